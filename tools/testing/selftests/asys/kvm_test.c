// SPDX-License-Identifier: GPL-2.0
/*
 * Calls in flight while home runs a virtual CPU, and while it waits for that
 * to have something to do.
 */
#include "asys_test.h"

#include <linux/kvm.h>
#include <linux/membarrier.h>
#include <sys/prctl.h>

/* Where the memory of the guest begins, and where it counts */
#define BASE	0x1000
#define COUNTER	0x1800

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	unsigned char *mem;
	int p[2];
	char buf;
	/* home */
	pthread_t thread;
	pid_t tid;
	/* the guest halts */
	bool halts;
	/* move home to this CPU while it waits */
	int cpu;
	/* wait until so many completions have been there */
	uint32_t *tail, last;
};

FIXTURE(kvm)
{
	struct guest guest;
	pid_t prodder;
};

static void kick(int sig)
{
}

/* A virtual machine: one CPU, in real mode, at the beginning of its one page. */
static int make_guest(struct guest *g)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = BASE,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)g->mem,
	};
	struct kvm_regs regs = { .rip = BASE, .rflags = 2 };
	struct kvm_sregs sregs;

	g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0 || ioctl(g->vm, KVM_CREATE_IRQCHIP, 0) ||
	    ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region))
		return -1;
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	if (g->vcpu < 0 || ioctl(g->vcpu, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs))
		return -1;
	return ioctl(g->vcpu, KVM_SET_REGS, &regs);
}

/*
 * QEMU 7.2 without KVM may lose an interrupt that comes when a guest's guest is
 * left: it forgets an old virtual interrupt by a plain read and write of a word
 * in which another of its threads announces the new one.  If that was the timer's,
 * whose handler sets it anew, nothing ends the endless loops here.  Any other
 * interrupt has QEMU see both: send some.
 */
static pid_t start_prodder(void)
{
	pid_t pid;

	if (syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0))
		return -1;
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		usleep(20000);
		MUST(!syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
	}
}

FIXTURE_SETUP(kvm)
{
	struct guest *g = &self->guest;
	struct sigaction sa = { .sa_handler = kick };

	NEED_ASYS();
	g->kvm = open("/dev/kvm", O_RDWR);
	if (g->kvm < 0)
		SKIP(return, "no /dev/kvm");
	self->prodder = start_prodder();
	ASSERT_LT(0, self->prodder);
	g->mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, g->mem);
	ASSERT_EQ(0, make_guest(g));
	g->run = mmap(NULL, ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		      PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	ASSERT_NE(MAP_FAILED, g->run);

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	ASSERT_EQ(0, pipe(g->p));
	g->thread = pthread_self();
	g->tid = asys_gettid();
	g->cpu = -1;
}

FIXTURE_TEARDOWN(kvm)
{
	int status;

	if (self->prodder > 0) {
		kill(self->prodder, SIGKILL);
		waitpid(self->prodder, &status, 0);
	}
}

static volatile uint16_t *counter(struct guest *g)
{
	return (uint16_t *)(g->mem + COUNTER - BASE);
}

/* Once home is in the guest: let its call go on, and then, have home back. */
static void *interfere(void *arg)
{
	struct guest *g = arg;
	uint16_t before;
	cpu_set_t set;

	while (!*counter(g))
		sched_yield();
	if (g->halts)
		wait_state(getpid(), g->tid, 'S');
	if (g->cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(g->cpu, &set);
		MUST(!sched_setaffinity(g->tid, sizeof(set), &set));
	}
	MUST(write(g->p[1], "a", 1) == 1);
	while (*(volatile char *)&g->buf != 'a')
		sched_yield();
	while (g->tail && __atomic_load_n(g->tail, __ATOMIC_ACQUIRE) != g->last)
		sched_yield();
	before = *counter(g);
	if (g->halts)
		wait_state(getpid(), g->tid, 'S');
	else
		while (*counter(g) == before)
			sched_yield();
	pthread_kill(g->thread, SIGUSR1);
	return NULL;
}

/* Have a call in flight, and be in the guest until it has finished. */
#define RUN()								\
do {									\
	pthread_t __t;							\
	g->buf = 0;							\
	*counter(g) = 0;						\
	START(1, __NR_read, g->p[0], &g->buf, 1);			\
	ASSERT_EQ(0, pthread_create(&__t, NULL, interfere, g));		\
	EXPECT_EQ(-1, ioctl(g->vcpu, KVM_RUN, 0));			\
	EXPECT_EQ(EINTR, errno);					\
	ASSERT_EQ(0, pthread_join(__t, NULL));				\
	REAP(1, 1);							\
} while (0)

/* Count, and never leave. */
static const unsigned char count[] = {
	0xff, 0x06, COUNTER & 0xff, COUNTER >> 8,	/* incw COUNTER */
	0xeb, 0xfa,					/* jmp to it */
};

/* Count, and wait; after that, say so. */
static const unsigned char halt[] = {
	0xff, 0x06, COUNTER & 0xff, COUNTER >> 8,	/* incw COUNTER */
	0xf4,						/* hlt */
	0xb0, 'x',					/* mov 'x', %al */
	0xe6, 0x10,					/* out %al, 0x10 */
	0xeb, 0xf5,					/* jmp to incw */
};

/* Home does not come back to user mode: what can run does so between two entries. */
TEST_F(kvm, runs)
{
	struct guest *g = &self->guest;
	int i;

	memcpy(g->mem, count, sizeof(count));
	for (i = 0; i < 10; i++)
		RUN();
	NOTHING_LEFT();
}

/* It has been in the guest on one CPU, and a call takes it to another one. */
TEST_F(kvm, moves)
{
	struct guest *g = &self->guest;
	struct asys_ring_setup setup = { .entries = 4 };
	struct asys_request r[2] = {
		{ .nr = __NR_read, .flags = ASYS_R_LINK, .args = { 0, 0, 1 } },
		{ .nr = __NR_sched_setaffinity },
	};
	struct asys_ring *ring;
	cpu_set_t set;
	pthread_t t;
	int i, cpu[2];

	if (two_cpus(cpu) < 2)
		SKIP(return, "one CPU");
	memcpy(g->mem, count, sizeof(count));
	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	setup.ring = (uintptr_t)ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	r[0].args[0] = g->p[0];
	r[0].args[1] = (uintptr_t)&g->buf;
	r[1].args[1] = sizeof(set);
	r[1].args[2] = (uintptr_t)&set;
	g->tail = &ring->tail;

	for (i = 0; i < 10; i++) {
		CPU_ZERO(&set);
		CPU_SET(cpu[i & 1], &set);
		g->buf = 0;
		g->last = ring->head + 2;
		*counter(g) = 0;
		ASSERT_EQ(2, syscall(__NR_asys_enter, r, 2, 0, 0, NULL, 0));
		ASSERT_EQ(ring->head, ring->tail);
		ASSERT_EQ(0, pthread_create(&t, NULL, interfere, g));
		EXPECT_EQ(-1, ioctl(g->vcpu, KVM_RUN, 0));
		EXPECT_EQ(EINTR, errno);
		ASSERT_EQ(0, pthread_join(t, NULL));
		EXPECT_EQ(cpu[i & 1], sched_getcpu());
		ASSERT_EQ(g->last, ring->tail);
		EXPECT_EQ(1, ring->completions[ring->head & 3].return_code);
		EXPECT_EQ(0, ring->completions[(ring->head + 1) & 3].return_code);
		ring->head = ring->tail;
	}
	NOTHING_LEFT();
}

/* Home waits in the kernel, a virtual CPU of its own, and wakes on another CPU. */
TEST_F(kvm, halts)
{
	struct guest *g = &self->guest;
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	int i, cpu[2];

	if (two_cpus(cpu) < 2)
		SKIP(return, "one CPU");
	memcpy(g->mem, halt, sizeof(halt));
	g->halts = true;
	for (i = 0; i < 10; i++) {
		g->cpu = cpu[i & 1];
		RUN();
		ASSERT_EQ(0, ioctl(g->vcpu, KVM_SET_MP_STATE, &runnable));
		ASSERT_EQ(0, ioctl(g->vcpu, KVM_RUN, 0));
		ASSERT_EQ(KVM_EXIT_IO, g->run->exit_reason);
		EXPECT_EQ(0x10, g->run->io.port);
		EXPECT_EQ('x', *((char *)g->run + g->run->io.data_offset));
	}
	NOTHING_LEFT();
}

/* A virtual CPU is the thread's that runs it. */
TEST_F(kvm, refused)
{
	struct guest *g = &self->guest;
	int64_t ret;

	EXPECT_EQ(-EOPNOTSUPP, try_start(1, &ret, __NR_ioctl, g->vcpu, KVM_RUN, 0));
	NOTHING_LEFT();
}

/* Killed while it runs one, with a call in flight. */
TEST_F(kvm, killed)
{
	struct guest *g = &self->guest;
	pid_t child;

	memcpy(g->mem, count, sizeof(count));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int64_t ret;

		/* One cannot run a parent's. */
		MUST(!make_guest(g));
		MUST(!try_start(1, &ret, __NR_read, g->p[0], &g->buf, 1));
		ioctl(g->vcpu, KVM_RUN, 0);
		_exit(1);
	}
	while (!*counter(g))
		sched_yield();
	ASSERT_EQ(0, kill(child, SIGKILL));
	KILLED(child, SIGKILL);
}

TEST_HARNESS_MAIN
