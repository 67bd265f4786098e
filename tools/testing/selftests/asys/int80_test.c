// SPDX-License-Identifier: GPL-2.0
/*
 * A 64-bit program that makes 32-bit calls, too, by int $0x80. A number, and
 * the arguments with it, mean what they mean in the call that submits them;
 * and a call that has slept is of the kind it was, whatever home does by then.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

#include "asys_test.h"

/* Of i386 */
enum {
	I386_READ = 3,
	I386_WRITE = 4,
	I386_GETPID = 20,
	I386_IOCTL = 54,
	I386_GETPPID = 64,
	I386_MMAP2 = 192,
	I386_SETSOCKOPT = 366,
};

#define LOW	0x100000000UL

static long int80(long nr, long a, long b, long c, long d, long e, long f)
{
	register long bp asm("r12") = f;
	long ret;

	asm volatile("xchg %%rbp, %%r12; int $0x80; xchg %%rbp, %%r12"
		     : "=a" (ret), "+r" (bp)
		     : "0" (nr), "b" (a), "c" (b), "d" (c), "S" (d), "D" (e)
		     : "r8", "r9", "r10", "r11", "memory", "cc");
	return (int)ret;
}

/* What such a call can reach */
struct low {
	struct asys_input in;
	struct asys_completion comp;
	struct asys_request r[4];
	uint64_t args[6];
	uint32_t words[16];
	char buf[64];
};

FIXTURE(int80)
{
	struct low *low;
	struct asys_ring *ring;
	int p[2];
};

FIXTURE_SETUP(int80)
{
	struct asys_ring_setup setup = { .entries = 64 };
	int status;
	pid_t pid;

	NEED_ASYS();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(int80(I386_GETPID, 0, 0, 0, 0, 0, 0) != getpid());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (status)
		SKIP(return, "no 32-bit system calls");

	self->low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, self->low);
	/* Out of reach for 32-bit pointers, and yet of use for both */
	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	ASSERT_LT(LOW, (uintptr_t)self->ring);
	setup.ring = (uintptr_t)self->ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(int80)
{
}

#define TAKE(_cookie, result)						\
do {									\
	struct asys_completion *__c;					\
	ASSERT_NE(self->ring->head,					\
		  __atomic_load_n(&self->ring->tail, __ATOMIC_ACQUIRE)); \
	__c = &self->ring->completions[self->ring->head++ & 63];	\
	EXPECT_EQ((uint64_t)(_cookie), __c->cookie);			\
	EXPECT_EQ((int64_t)(result), __c->return_code);			\
} while (0)

/* The result of the oldest completion in the ring, which is taken */
#define RESULT()	(self->ring->completions[self->ring->head++ & 63].return_code)

/* Submit one 32-bit call, with arguments anywhere: as try_start(). */
static int __start32(struct low *low, uint64_t cookie, int64_t *ret, int nr,
		     int nr_args, const uint64_t *args)
{
	long n;

	*ret = 0;
	low->in = (struct asys_input) {
		.syscall_nr = nr,
		.flags = ASYS_F_REPORT,
		.cookie = cookie,
		.nr_args = nr_args,
		.args = (uintptr_t)args,
	};
	n = int80(__NR_asys_submit, (long)&low->in, 1, 0, 0, 0, 0);
	if (n != 1)
		return n < 0 ? n : -EPROTO;
	if (!(low->in.flags & ASYS_F_DONE))
		return 0;
	*ret = low->in.return_code;
	return 1;
}

#define try_start32(cookie, ret, nr, ...)	\
	__start32(self->low, cookie, ret, nr, NARGS(__VA_ARGS__), ARGS(__VA_ARGS__))

#define START32(cookie, nr, ...)					\
do {									\
	int64_t __ret = 0;						\
	int __s = try_start32(cookie, &__ret, nr, ##__VA_ARGS__);	\
	ASSERT_EQ(0, __s) {						\
		TH_LOG(#nr ": state %d, result %lld", __s, (long long)__ret); \
	}								\
} while (0)

#define REAP32(_cookie, result)						\
do {									\
	struct asys_completion *__c = &self->low->comp;			\
	ASSERT_EQ(0, int80(__NR_asys_await_completion, (long)__c, 0, 0, 0, 0, 0)); \
	EXPECT_EQ((uint64_t)(_cookie), __c->cookie);			\
	EXPECT_EQ((int64_t)(result), __c->return_code);			\
} while (0)

#define ENTER32(r, nr, min)	int80(__NR_asys_enter, (long)(r), nr, min, 0, 0, 0)
#define ENTER(r, nr, min)	syscall(__NR_asys_enter, r, nr, min, 0, NULL, 0)

TEST_F(int80, numbers)
{
	struct asys_request *r = self->low->r;
	int64_t ret;
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(1, try_start32(1, &ret, I386_GETPID));
		EXPECT_EQ(getpid(), ret);
		EXPECT_EQ(1, try_start(1, &ret, __NR_getpid));
		EXPECT_EQ(getpid(), ret);
		r[0] = (struct asys_request){ .nr = I386_GETPPID, .cookie = 1 };
		r[1] = (struct asys_request){ .nr = __NR_getppid, .cookie = 2 };
		EXPECT_EQ(1, ENTER32(&r[0], 1, 0));
		EXPECT_EQ(1, ENTER(&r[1], 1, 0));
		TAKE(1, getppid());
		TAKE(2, getppid());
	}
	/* 60 is exit, and umask; 120 is getresgid, and clone. */
	EXPECT_EQ(-EOPNOTSUPP, try_start(1, &ret, 60));
	EXPECT_EQ(1, try_start32(1, &ret, 60, 022));
	EXPECT_EQ(1, try_start(1, &ret, 120, 0, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP, try_start32(1, &ret, 120));
	for (i = 0; i < 2; i++) {
		r[i] = (struct asys_request){ .nr = 60, .args = { 022 } };
		r[i + 2] = (struct asys_request){ .nr = 120 };
	}
	r[0].flags = ASYS_R_LINK;
	r[2].flags = ASYS_R_LINK;
	EXPECT_EQ(-1, ENTER(r, 2, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(2, ENTER32(r, 2, 0));
	TAKE(0, 022);
	TAKE(0, 022);
	EXPECT_EQ(2, ENTER(r + 2, 2, 0));
	TAKE(0, -EFAULT);
	TAKE(0, -ECANCELED);
	EXPECT_EQ(-EOPNOTSUPP, ENTER32(r + 2, 2, 0));

	EXPECT_EQ(-EOPNOTSUPP, try_start32(1, &ret, 480));
	EXPECT_EQ(-ENOSYS, try_start32(1, &ret, 484));
	NOTHING_LEFT();
}

/* Each kind sleeps while home makes calls of the other one, and ends in one. */
TEST_F(int80, asleep)
{
	int64_t ret;

	START32(1, I386_READ, self->p[0], self->low->buf, 2);
	EXPECT_EQ(1, try_start(2, &ret, __NR_getpid));
	ASSERT_EQ(2, write(self->p[1], "ab", 2));
	REAP(1, 2);

	START(2, __NR_read, self->p[0], self->low->buf + 2, 2);
	EXPECT_EQ(1, try_start32(2, &ret, I386_GETPID));
	memcpy(self->low->words, "cd", 2);
	ASSERT_EQ(2, int80(I386_WRITE, self->p[1], (long)self->low->words, 2, 0, 0, 0));
	REAP32(2, 2);
	EXPECT_EQ(0, memcmp(self->low->buf, "abcd", 4));
}

/*
 * The rest of a chain is made after a sleep: with its own numbers, and in the
 * part of the address space that its calls get memory in.
 */
TEST_F(int80, chain32)
{
	struct asys_request *r = self->low->r;
	int64_t addr;

	r[0] = (struct asys_request){ .nr = I386_READ, .flags = ASYS_R_LINK, .cookie = 1,
		.args = { self->p[0], (uintptr_t)self->low->buf, 1 } };
	r[1] = (struct asys_request){ .nr = I386_GETPPID, .flags = ASYS_R_LINK, .cookie = 2 };
	r[2] = (struct asys_request){ .nr = I386_MMAP2, .cookie = 3,
		.args = { 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } };
	ASSERT_EQ(3, ENTER32(r, 3, 0));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	EXPECT_EQ(0, ENTER(NULL, 0, 3));
	TAKE(1, 1);
	TAKE(2, getppid());
	addr = RESULT();
	EXPECT_LT(0, addr);
	EXPECT_GT(LOW, addr);
}

TEST_F(int80, chain64)
{
	struct asys_request *r = self->low->r;
	int64_t addr;

	r[0] = (struct asys_request){ .nr = __NR_read, .flags = ASYS_R_LINK, .cookie = 1,
		.args = { self->p[0], (uintptr_t)self->low->buf, 1 } };
	r[1] = (struct asys_request){ .nr = __NR_getppid, .flags = ASYS_R_LINK, .cookie = 2 };
	r[2] = (struct asys_request){ .nr = __NR_mmap, .cookie = 3,
		.args = { 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 } };
	ASSERT_EQ(3, ENTER(r, 3, 0));
	ASSERT_EQ(1, int80(I386_WRITE, self->p[1], (long)self->low->buf, 1, 0, 0, 0));
	EXPECT_EQ(0, ENTER32(NULL, 0, 3));
	TAKE(1, 1);
	TAKE(2, getppid());
	addr = RESULT();
	EXPECT_LT(LOW, addr);
}

/*
 * SO_ATTACH_FILTER finds out whether it has got a 32-bit structure only after
 * its first look at it: with that in a cold page, after a sleep.
 */
struct fprog32 {
	uint16_t len;
	uint32_t filter;
};

static struct sock_filter accept_all = BPF_STMT(BPF_RET | BPF_K, 1);

/* Two cold pages that 32-bit pointers reach, and a page of data for them */
struct attach {
	struct cold cold;
	int socket;
	struct uffdio_copy *copy;
	char *data;
};

static int attach_init(struct attach *a, struct low *low)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int err = cold_init(&a->cold, 2);

	if (err)
		return err;
	munmap(a->cold.mem, a->cold.len);
	a->cold.mem = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (a->cold.mem == MAP_FAILED)
		return -errno;
	reg.range.start = (uintptr_t)a->cold.mem;
	reg.range.len = a->cold.len;
	if (ioctl(a->cold.uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	a->data = a->cold.mem + 2 * PAGE;
	a->copy = (void *)low->words;
	a->socket = socket(AF_UNIX, SOCK_DGRAM, 0);
	memcpy(low->buf, &accept_all, sizeof(accept_all));
	return a->socket < 0 ? -errno : 0;
}

#define NEED_ATTACH(a, low)						\
do {									\
	int __err = attach_init(a, low);				\
	if (__err == -ENOSYS || __err == -EPERM)			\
		SKIP(return, "no userfaultfd: %s", strerror(-__err));	\
	ASSERT_EQ(0, __err);						\
} while (0)

/* Put the structure of one kind or the other in place. */
static int attach_fill(struct attach *a, struct low *low, char *page, bool is32)
{
	struct fprog32 f32 = { 1, (uintptr_t)low->buf };
	struct sock_fprog f64 = { 1, (void *)low->buf };

	memset(a->data, 0, PAGE);
	if (is32)
		memcpy(a->data, &f32, sizeof(f32));
	else
		memcpy(a->data, &f64, sizeof(f64));
	*a->copy = (struct uffdio_copy) {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)a->data,
		.len = PAGE,
	};
	/* By a call of the other kind */
	if (is32)
		return ioctl(a->cold.uffd, UFFDIO_COPY, a->copy) ? -errno : 0;
	return int80(I386_IOCTL, a->cold.uffd, UFFDIO_COPY, (long)a->copy, 0, 0, 0);
}

TEST_F(int80, structure)
{
	struct attach a;
	char *page;

	NEED_ATTACH(&a, self->low);
	page = a.cold.mem;
	START32(1, I386_SETSOCKOPT, a.socket, SOL_SOCKET, SO_ATTACH_FILTER,
		page, sizeof(struct fprog32));
	ASSERT_EQ(page, cold_wait(&a.cold));
	ASSERT_EQ(0, attach_fill(&a, self->low, page, true));
	REAP(1, 0);

	page += PAGE;
	START(2, __NR_setsockopt, a.socket, SOL_SOCKET, SO_ATTACH_FILTER,
	      page, sizeof(struct sock_fprog));
	ASSERT_EQ(page, cold_wait(&a.cold));
	ASSERT_EQ(0, attach_fill(&a, self->low, page, false));
	REAP32(2, 0);
}

/* The same, where it is home that sleeps, and calls of the other kind end. */
struct other {
	struct attach *a;
	struct low *low;
	struct asys_ring *ring;
	int fd;
};

static void *other_main(void *arg)
{
	struct other *o = arg;
	char *page;
	int i;

	for (i = 0; i < 2; i++) {
		uint32_t tail = o->ring->tail;

		page = cold_wait(&o->a->cold);
		MUST(page && write(o->fd, "x", 1) == 1);
		while (__atomic_load_n(&o->ring->tail, __ATOMIC_ACQUIRE) == tail)
			sched_yield();
		MUST(!attach_fill(o->a, o->low, page, page != o->a->cold.mem));
	}
	return NULL;
}

TEST_F(int80, home)
{
	struct asys_request *r = self->low->r;
	struct attach a;
	struct other o = { &a, self->low, self->ring, self->p[1] };
	pthread_t thread;

	NEED_ATTACH(&a, self->low);
	r[0] = (struct asys_request){ .nr = I386_READ, .cookie = 1,
		.args = { self->p[0], (uintptr_t)self->low->args, 1 } };
	r[1] = (struct asys_request){ .nr = __NR_read, .cookie = 2,
		.args = { self->p[0], (uintptr_t)self->low->args, 1 } };
	ASSERT_EQ(0, pthread_create(&thread, NULL, other_main, &o));

	ASSERT_EQ(1, ENTER32(&r[0], 1, 0));
	EXPECT_EQ(0, setsockopt(a.socket, SOL_SOCKET, SO_ATTACH_FILTER,
				a.cold.mem, sizeof(struct sock_fprog)));
	TAKE(1, 1);
	ASSERT_EQ(1, ENTER(&r[1], 1, 0));
	EXPECT_EQ(0, int80(I386_SETSOCKOPT, a.socket, SOL_SOCKET, SO_ATTACH_FILTER,
			   (long)a.cold.mem + PAGE, sizeof(struct fprog32), 0));
	TAKE(2, 1);
	pthread_join(thread, NULL);
}

/*
 * What others see of a task that sleeps is home's, whoever of its contexts
 * has run last.
 */
TEST_F(int80, tracer)
{
	struct __ptrace_syscall_info info;
	struct asys_ring_setup setup = { .entries = 4 };
	struct asys_ring *ring;
	char path[64], line[256] = {};
	int block[2], i, fd;
	pid_t pid;

	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	ASSERT_EQ(0, pipe(block));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_request *r = self->low->r;

		setup.ring = (uintptr_t)ring;
		MUST(!syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
		for (i = 0; i < 2; i++) {
			r[i] = (struct asys_request){ .nr = I386_READ, .cookie = 1,
				.args = { self->p[0], (uintptr_t)self->low->buf, 1 } };
		}
		MUST(ENTER32(r, 2, 0) == 2);
		read(block[0], self->low, 0x123);
		_exit(98);
	}
	wait_state(pid, pid, 'S');
	for (i = 0; i < 2; i++) {
		if (i) {
			int status;

			ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, 0, 0));
			ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, 0, 0));
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			ASSERT_TRUE(WIFSTOPPED(status));
		}
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		while (__atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == i)
			sched_yield();
		wait_state(pid, pid, i ? 't' : 'S');
		if (i) {
			ASSERT_LT(0, ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info));
			EXPECT_EQ(AUDIT_ARCH_X86_64, info.arch);
			break;
		}
		snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
		fd = open(path, O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_LT(0, read(fd, line, sizeof(line) - 1));
		snprintf(path, sizeof(path), "%d %#x %#lx 0x123 ", __NR_read,
			 block[0], (long)self->low);
		EXPECT_EQ(0, strncmp(path, line, strlen(path))) {
			TH_LOG("%s", line);
		}
		close(fd);
	}
	kill(pid, SIGKILL);
	KILLED(pid, SIGKILL);
}

/* A filter is told of which kind a call is, and is asked about each. */
TEST_F(int80, seccomp)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, I386_GETPPID, 0, 4),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 501),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 502),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };
	struct asys_request *r = self->low->r;
	int64_t ret;

	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));
	EXPECT_EQ(1, try_start32(1, &ret, I386_GETPPID));
	EXPECT_EQ(-501, ret);
	EXPECT_EQ(1, try_start(1, &ret, __NR_getppid));
	EXPECT_EQ(-502, ret);
	EXPECT_EQ(1, try_start32(1, &ret, I386_GETPID));
	EXPECT_EQ(getpid(), ret);

	/* The rest of a chain, too, after a sleep */
	r[0] = (struct asys_request){ .nr = I386_READ, .flags = ASYS_R_LINK, .cookie = 1,
		.args = { self->p[0], (uintptr_t)self->low->buf, 1 } };
	r[1] = (struct asys_request){ .nr = I386_GETPPID, .cookie = 2 };
	ASSERT_EQ(2, ENTER32(r, 2, 0));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	EXPECT_EQ(0, ENTER(NULL, 0, 2));
	TAKE(1, 1);
	TAKE(2, -501);
}

/*
 * Home is in a call of x32 while what it has submitted before goes on: that is
 * a 64-bit call, which does not ignore the upper half of a tv_nsec.
 */
TEST_F(int80, x32)
{
	struct timespec bad = { .tv_nsec = 1L << 32 };
	struct timespec ok = { .tv_nsec = 1000000 };
	struct asys_request r[] = {
		{
			.nr = __NR_read, .flags = ASYS_R_LINK, .cookie = 1,
			.args = { self->p[0], (uintptr_t)self->low->buf, 1 },
		}, {
			.nr = __NR_nanosleep, .cookie = 2,
			.args = { (uintptr_t)&bad, 0 },
		},
	};
	struct asys_completion *done = self->ring->completions;

	if (syscall(__X32_SYSCALL_BIT | __NR_getpid) != getpid())
		SKIP(return, "no calls of x32");
	/* In x32, it is ignored. */
	ASSERT_EQ(0, syscall(__X32_SYSCALL_BIT | __NR_nanosleep, &bad, NULL));
	ASSERT_EQ(-1, syscall(__NR_nanosleep, &bad, NULL));
	ASSERT_EQ(EINVAL, errno);

	ASSERT_EQ(2, syscall(__NR_asys_enter, r, 2, 0, 0, NULL, 0));
	ASSERT_EQ(0U, self->ring->tail);
	/* When this one has written, or in the next, the chain goes on. */
	ASSERT_EQ(1, syscall(__X32_SYSCALL_BIT | __NR_write, self->p[1], "x", 1));
	ASSERT_EQ(0, syscall(__X32_SYSCALL_BIT | __NR_nanosleep, &ok, NULL));
	ASSERT_EQ(2U, self->ring->tail);
	EXPECT_EQ(1, done[0].return_code);
	EXPECT_EQ(-EINVAL, done[1].return_code);

	/* x32 has none of the calls that submit. */
	EXPECT_EQ(-1, syscall(__X32_SYSCALL_BIT | __NR_asys_enter, r, 2, 0, 0, NULL, 0));
	EXPECT_EQ(ENOSYS, errno);
}

TEST_HARNESS_MAIN
