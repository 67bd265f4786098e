// SPDX-License-Identifier: GPL-2.0
/*
 * A task that makes blocking calls asynchronously stays who it is: its id, its
 * thread-local storage, its CPU, its registers. ASYS_IDENTITY_CALLS sets how
 * many calls.
 */
#include <asm/prctl.h>
#include <sys/rseq.h>

#include "asys_test.h"

static __thread uint64_t tls = 0x746c73;

FIXTURE(identity)
{
	int p[2];
};

FIXTURE_SETUP(identity)
{
	NEED_ASYS();
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(identity)
{
}

struct who {
	pid_t tid, pid;
	unsigned long fs, gs;
	uint64_t *tls;
	cpu_set_t cpus;
	sigset_t mask;
};

static void ask(struct who *w)
{
	memset(w, 0, sizeof(*w));
	w->tid = asys_gettid();
	w->pid = syscall(__NR_getpid);
	syscall(__NR_arch_prctl, ARCH_GET_FS, &w->fs);
	syscall(__NR_arch_prctl, ARCH_GET_GS, &w->gs);
	w->tls = &tls;
	sched_getaffinity(0, sizeof(w->cpus), &w->cpus);
	sigprocmask(SIG_SETMASK, NULL, &w->mask);
}

/* The area that the kernel keeps up to date, if the C library has one */
static int rseq_cpu(void)
{
	struct rseq *rs = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

	return __rseq_size ? (int)*(volatile uint32_t *)&rs->cpu_id : -1;
}

static int current_cpu(void)
{
	unsigned int cpu;

	return syscall(__NR_getcpu, &cpu, NULL, NULL) ? -1 : (int)cpu;
}

static void blocking_calls(struct __test_metadata *_metadata, int p[2], int n)
{
	struct who before, now;
	int i, cpu[2], cpus;
	char byte;

	cpus = two_cpus(cpu);
	ask(&before);
	for (i = 0; i < n; i++) {
		START(i, __NR_read, p[0], &byte, 1);
		ASSERT_EQ(1, write(p[1], "x", 1));
		/* Every now and then the task moves with a call asleep. */
		if (cpus == 2 && i % 100 == 0) {
			START(i + 1, __NR_read, p[0], &byte, 1);
			ASSERT_EQ(0, pin_to(cpu[i / 100 & 1]));
			REAP(i, 1);
			ASSERT_EQ(1, write(p[1], "x", 1));
			REAP(i + 1, 1);
			ASSERT_EQ(cpu[i / 100 & 1], current_cpu());
			if (rseq_cpu() >= 0)
				ASSERT_EQ(cpu[i / 100 & 1], rseq_cpu());
			ASSERT_EQ(0, sched_setaffinity(0, sizeof(before.cpus), &before.cpus));
		} else {
			REAP(i, 1);
		}
		ASSERT_EQ(0x746c73 + i, tls++);
		if (i % 10)
			continue;
		ask(&now);
		ASSERT_EQ(0, memcmp(&before, &now, sizeof(now)));
		/* What the call itself says */
		ASSERT_EQ(before.tid, acall(__NR_gettid));
		ASSERT_EQ(before.pid, acall(__NR_getpid));
	}
	NOTHING_LEFT();
}

TEST_F(identity, blocking_calls)
{
	blocking_calls(_metadata, self->p, env_long("ASYS_IDENTITY_CALLS", 100000));
}

/*
 * Registers of home: all of them have a value that is known, the general ones
 * around a submission that blocks, the vectors around both calls.
 */
#define CHECK_REGS(nr, arg0, arg1, bad)					\
	asm volatile(							\
		"push %%rbp\n\t"					\
		"mov $0x0101, %%rbx\n\t"				\
		"mov $0x0202, %%rdx\n\t"				\
		"mov $0x0303, %%r8\n\t"					\
		"mov $0x0404, %%r9\n\t"					\
		"mov $0x0505, %%r10\n\t"				\
		"mov $0x0606, %%r12\n\t"				\
		"mov $0x0707, %%r13\n\t"				\
		"mov $0x0808, %%r14\n\t"				\
		"mov $0x0909, %%r15\n\t"				\
		"mov $0x0a0a, %%rbp\n\t"				\
		"syscall\n\t"						\
		"xor $0x0101, %%rbx\n\t"				\
		"xor $0x0202, %%rdx\n\t"				\
		"xor $0x0303, %%r8\n\t"					\
		"xor $0x0404, %%r9\n\t"					\
		"xor $0x0505, %%r10\n\t"				\
		"xor $0x0606, %%r12\n\t"				\
		"xor $0x0707, %%r13\n\t"				\
		"xor $0x0808, %%r14\n\t"				\
		"xor $0x0909, %%r15\n\t"				\
		"xor $0x0a0a, %%rbp\n\t"				\
		"or %%rbp, %%rbx\n\t"					\
		"or %%rdx, %%rbx\n\t"					\
		"or %%r8, %%rbx\n\t"					\
		"or %%r9, %%rbx\n\t"					\
		"or %%r10, %%rbx\n\t"					\
		"or %%r12, %%rbx\n\t"					\
		"or %%r13, %%rbx\n\t"					\
		"or %%r14, %%rbx\n\t"					\
		"or %%r15, %%rbx\n\t"					\
		"pop %%rbp\n\t"						\
		: "=a" (ret), "=&b" (bad)				\
		: "a" (nr), "D" (arg0), "S" (arg1)			\
		: "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",	\
		  "r14", "r15", "memory")

TEST_F(identity, registers)
{
	struct asys_completion c;
	struct timespec ts = { .tv_nsec = 100000000 };
	struct req r[2];
	long ret, bad;
	char byte;
	int i;

	for (i = 0; i < 100; i++) {
		REQ(&r[0], 1, __NR_read, self->p[0], &byte, 1);
		CHECK_REGS((long)__NR_asys_submit, &r[0].in, 1L, bad);
		ASSERT_EQ(1, ret);
		EXPECT_EQ(0, bad);
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		CHECK_REGS((long)__NR_asys_await_completion, &c, 0L, bad);
		ASSERT_EQ(0, ret);
		EXPECT_EQ(0, bad);
	}
	/* With home asleep */
	START(1, __NR_nanosleep, &ts, NULL);
	CHECK_REGS((long)__NR_asys_await_completion, &c, 0L, bad);
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, bad);
}

TEST_F(identity, vectors)
{
	static uint64_t in[2] = { 0x1122334455667788, 0x99aabbccddeeff00 }, out[2];
	uint32_t mxcsr = 0x7f80, now;
	uint16_t fcw = 0x0f7f, fcw_now;
	struct asys_completion c;
	struct req r;
	char byte;
	int i;

	for (i = 0; i < 1000; i++) {
		long ret;

		REQ(&r, 1, __NR_read, self->p[0], &byte, 1);
		asm volatile("ldmxcsr %0; fldcw %1" : : "m" (mxcsr), "m" (fcw));
		asm volatile("movdqu %2, %%xmm7\n\t"
			     "movdqu %2, %%xmm15\n\t"
			     "syscall\n\t"
			     "pxor %%xmm15, %%xmm7\n\t"
			     "movdqu %%xmm15, %1\n\t"
			     : "=a" (ret), "=m" (out)
			     : "m" (in), "a" ((long)__NR_asys_submit),
			       "D" (&r.in), "S" (1L)
			     : "rcx", "r11", "xmm7", "xmm15", "memory");
		ASSERT_EQ(1, ret);
		ASSERT_EQ(0, memcmp(in, out, 16));
		asm volatile("stmxcsr %0; fnstcw %1" : "=m" (now), "=m" (fcw_now));
		ASSERT_EQ(mxcsr, now);
		ASSERT_EQ(fcw, fcw_now);
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		asm volatile("movdqu %2, %%xmm15\n\t"
			     "syscall\n\t"
			     "movdqu %%xmm15, %1\n\t"
			     : "=a" (ret), "=m" (out)
			     : "m" (in), "a" ((long)__NR_asys_await_completion),
			       "D" (&c)
			     : "rcx", "r11", "xmm15", "memory");
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, memcmp(in, out, 16));
		asm volatile("stmxcsr %0; fnstcw %1" : "=m" (now), "=m" (fcw_now));
		ASSERT_EQ(mxcsr, now);
		ASSERT_EQ(fcw, fcw_now);
	}
	mxcsr = 0x1f80;
	fcw = 0x37f;
	asm volatile("ldmxcsr %0; fldcw %1" : : "m" (mxcsr), "m" (fcw));
}

static uint32_t pkru(void)
{
	uint32_t eax, edx;

	asm volatile("rdpkru" : "=a" (eax), "=d" (edx) : "c" (0));
	return eax;
}

struct pkru_writer {
	int fd;
	pid_t home;
};

static void *pkru_write(void *arg)
{
	struct pkru_writer *w = arg;

	wait_state(getpid(), w->home, 'S');
	MUST(write(w->fd, "z", 1) == 1);
	return NULL;
}

/* Protection keys: a call has the rights that home had when it submitted it. */
TEST_F(identity, protection_keys)
{
	static const unsigned int deny[] = { PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE };
	struct pkru_writer w = { .fd = self->p[1], .home = asys_gettid() };
	pthread_t thread;
	uint32_t own;
	char *page;
	int key, i;

	key = pkey_alloc(0, 0);
	if (key < 0)
		SKIP(return, "no protection keys");
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, pkey_mprotect(page, PAGE, PROT_READ | PROT_WRITE, key));
	for (i = 0; i < 2; i++) {
		/* Home may not write there any more, and the call may. */
		START(1, __NR_read, self->p[0], page, 1);
		ASSERT_EQ(0, pkey_set(key, deny[i]));
		own = pkru();
		ASSERT_EQ(1, write(self->p[1], "ab" + i, 1));
		EXPECT_EQ(own, pkru());
		REAP(1, 1);
		EXPECT_EQ(own, pkru());
		EXPECT_EQ(-EFAULT, acall(__NR_getcwd, page, PAGE));
		EXPECT_EQ(own, pkru());

		/* The other way round */
		START(2, __NR_read, self->p[0], page, 1);
		ASSERT_EQ(0, pkey_set(key, 0));
		own = pkru();
		ASSERT_EQ('a' + i, page[0]);
		ASSERT_EQ(1, write(self->p[1], "y", 1));
		EXPECT_EQ(own, pkru());
		REAP(2, -EFAULT);
		ASSERT_EQ(1, read(self->p[0], page, 1));

		/* While home sleeps */
		START(3, __NR_read, self->p[0], page, 1);
		ASSERT_EQ(0, pkey_set(key, deny[i]));
		own = pkru();
		ASSERT_EQ(0, pthread_create(&thread, NULL, pkru_write, &w));
		REAP(3, 1);
		EXPECT_EQ(own, pkru());
		ASSERT_EQ(0, pthread_join(thread, NULL));
		ASSERT_EQ(0, pkey_set(key, 0));
		EXPECT_EQ('z', page[0]);
	}
	NOTHING_LEFT();
}

/* What the calls used is the task's: time, faults, bytes. */
TEST_F(identity, accounting)
{
	char buf[4096];
	FILE *f;
	long wchar = 0, base = -1;
	int i, k;

	for (k = 0; k < 2; k++) {
		f = fopen("/proc/self/io", "r");
		if (!f)
			SKIP(return, "no I/O accounting");
		while (fgets(buf, sizeof(buf), f))
			sscanf(buf, "wchar: %ld", &wchar);
		fclose(f);
		if (k)
			break;
		base = wchar;
		for (i = 0; i < 10; i++) {
			ASSERT_EQ(4096, acall(__NR_write, self->p[1], buf, 4096));
			ASSERT_EQ(4096, read(self->p[0], buf, 4096));
		}
	}
	EXPECT_LE(40960, wchar - base);
}

TEST_HARNESS_MAIN
