// SPDX-License-Identifier: GPL-2.0
/*
 * A 32-bit program: numbers, arguments and structures are those of its ABI,
 * requests and completions are the same as everywhere. Built with -m32.
 *
 * The other tests that are built for it, too, check what is not about that.
 */
#include <assert.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <linux/net.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>

#include "asys_test.h"

#ifdef __LP64__
#error This is a test of 32-bit programs
#endif

#define ABOVE	0x100000000ULL

/* What the program uses without time64 */
struct timespec32 {
	int32_t tv_sec;
	int32_t tv_nsec;
};

FIXTURE(compat)
{
	struct asys_ring *ring;
	int p[2];
	char buf[64];
};

FIXTURE_SETUP(compat)
{
	struct asys_ring_setup setup = { .entries = 64 };

	NEED_ASYS();
	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	setup.ring = (uintptr_t)self->ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(compat)
{
}

#define ENTER(r, nr, min)	syscall(__NR_asys_enter, r, nr, min, 0, NULL, 0)

/* Take one completion from the ring, which has to be this one. */
#define TAKE(_cookie, result)						\
do {									\
	struct asys_completion *__c;					\
	ASSERT_NE(self->ring->head,					\
		  __atomic_load_n(&self->ring->tail, __ATOMIC_ACQUIRE)); \
	__c = &self->ring->completions[self->ring->head++ & 63];	\
	EXPECT_EQ((uint64_t)(_cookie), __c->cookie);			\
	EXPECT_EQ((int64_t)(result), __c->return_code);			\
} while (0)

/* The same numbers as for 64-bit programs: nothing depends on the compiler. */
#define AT(type, member, offset)	\
	static_assert(offsetof(struct type, member) == (offset), #member)

TEST(layout)
{
	static_assert(sizeof(struct asys_input) == 32, "");
	AT(asys_input, flags, 4);
	AT(asys_input, cookie, 8);
	AT(asys_input, nr_args, 16);
	AT(asys_input, return_code, 16);
	AT(asys_input, args, 24);
	static_assert(sizeof(struct asys_completion) == 16, "");
	AT(asys_completion, cookie, 8);
	static_assert(sizeof(struct asys_request) == 64, "");
	AT(asys_request, use, 3);
	AT(asys_request, timeout, 4);
	AT(asys_request, cookie, 8);
	AT(asys_request, args, 16);
	static_assert(sizeof(struct asys_ring) == 64, "");
	AT(asys_ring, completions, 64);
	/* asys_control() wants it like that. */
	static_assert(__alignof__(struct asys_ring) == 8, "");
	static_assert(sizeof(struct asys_wait) == ASYS_WAIT_SIZE_VER0, "");
	AT(asys_wait, sigmask, 8);
	AT(asys_wait, sigsetsize, 16);
	static_assert(sizeof(struct asys_ring_setup) == 16, "");
	AT(asys_ring_setup, entries, 8);
	static_assert(sizeof(struct asys_info) == 28, "");
}

TEST_F(compat, at_once)
{
	struct asys_request r[3] = {
		{ .nr = __NR_getpid, .cookie = ABOVE | 1 },
		{ .nr = __NR_dup, .cookie = 2, .args = { -1 } },
		{ .nr = ASYS_NOP, .cookie = 3 },
	};

	EXPECT_EQ(getpid(), acall(__NR_getpid));
	EXPECT_EQ(-EBADF, acall(__NR_dup, -1));
	ASSERT_EQ(3, ENTER(r, 3, 0));
	TAKE(ABOVE | 1, getpid());
	TAKE(2, -EBADF);
	TAKE(3, 0);
	NOTHING_LEFT();
}

TEST_F(compat, asleep)
{
	struct asys_request r = {
		.nr = __NR_read,
		.cookie = 2,
		.args = { self->p[0], (uintptr_t)self->buf + 4, 4 },
	};

	START(ABOVE | 1, __NR_read, self->p[0], self->buf, 4);
	ASSERT_EQ(1, ENTER(&r, 1, 0));
	ASSERT_EQ(8, write(self->p[1], "abcdefgh", 8));
	REAP(ABOVE | 1, 4);
	EXPECT_EQ(0, ENTER(NULL, 0, 1));
	TAKE(2, 4);
	EXPECT_EQ(0, memcmp("abcdefgh", self->buf, 8));
}

/* A chain goes on in the fibril, long after the call that submitted it. */
TEST_F(compat, chain)
{
	struct asys_request r[3] = {
		{ .nr = __NR_read, .flags = ASYS_R_LINK, .cookie = 1,
		  .args = { self->p[0], (uintptr_t)self->buf, 4 } },
		{ .nr = __NR_write, .flags = ASYS_R_LINK, .cookie = 2, .use = ASYS_USE(2, 1),
		  .args = { self->p[1], (uintptr_t)self->buf } },
		{ .nr = __NR_getpid, .cookie = 3 },
	};

	ASSERT_EQ(3, ENTER(r, 3, 0));
	ASSERT_EQ(2, write(self->p[1], "ab", 2));
	EXPECT_EQ(0, ENTER(NULL, 0, 3));
	TAKE(1, 2);
	TAKE(2, 2);
	TAKE(3, getpid());
}

/*
 * Arguments are 32 bits: the program does not care what it has extended how.
 */
TEST_F(compat, upper_halves)
{
	const uint64_t high = 0xdeadbeef00000000ULL;
	struct asys_request r = {
		.nr = __NR_write,
		.cookie = 1,
		.args = { high | self->p[1], high | (uintptr_t)"abcd", high | 4 },
	};
	uint64_t args[3] = { high | self->p[0], high | (uintptr_t)self->buf, high | 4 };
	struct req q;

	ASSERT_EQ(1, ENTER(&r, 1, 0));
	TAKE(1, 4);
	__req(&q, 2, __NR_read, 3, args);
	ASSERT_EQ(1, asys_submit(&q.in, 1));
	EXPECT_EQ(4, q.in.return_code);
	EXPECT_EQ(0, memcmp("abcd", self->buf, 4));
	/* What is checked is what is used, and a number is not an argument. */
	args[1] = high | FUTEX_LOCK_PI;
	__req(&q, 3, __NR_futex, 3, args);
	ASSERT_EQ(-1, asys_submit(&q.in, 1));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

/* Addresses in our own structures have 64 bits, and mean them. */
TEST_F(compat, pointers_above)
{
	struct asys_ring_setup setup = {
		.ring = ABOVE + (uintptr_t)self->ring,
		.entries = 4,
	};
	uint64_t mask = 0, args[1] = { -1 };
	struct asys_wait wait = { .sigmask = ABOVE + (uintptr_t)&mask, .sigsetsize = 8 };
	struct asys_input in = {
		.syscall_nr = __NR_dup,
		.nr_args = 1,
		.args = ABOVE + (uintptr_t)args,
	};

	ASSERT_EQ(-1, asys_submit(&in, 1));
	EXPECT_EQ(EFAULT, errno);
	in.args -= ABOVE;
	EXPECT_EQ(1, asys_submit(&in, 1));
	REAP(0, -EBADF);

	ASSERT_EQ(-1, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(-1, syscall(__NR_asys_enter, NULL, 0, 1, 0, &wait, sizeof(wait)));
	EXPECT_EQ(EFAULT, errno);
	wait.sigmask -= ABOVE;
	EXPECT_EQ(0, syscall(__NR_asys_enter, NULL, 0, 1, 0, &wait, sizeof(wait)));
	/* The last page that a 32-bit address reaches */
	ASSERT_EQ(-1, asys_submit((void *)-4096, 1));
	EXPECT_EQ(EFAULT, errno);
}

static volatile sig_atomic_t handled;

static void handler(int sig)
{
	handled++;
}

TEST_F(compat, wait_sigmask)
{
	struct asys_wait wait = { .sigsetsize = 8 };
	uint64_t mask = 0;
	sigset_t usr1;

	wait.sigmask = (uintptr_t)&mask;
	signal(SIGUSR1, handler);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	ASSERT_EQ(0, raise(SIGUSR1));
	START(1, __NR_read, self->p[0], self->buf, 1);
	mask = 1ULL << (SIGUSR1 - 1);
	wait.timeout = 1000;
	ASSERT_EQ(-1, syscall(__NR_asys_enter, NULL, 0, 1, 0, &wait, sizeof(wait)));
	EXPECT_EQ(ETIME, errno);
	EXPECT_EQ(0, handled);
	mask = 0;
	ASSERT_EQ(-1, syscall(__NR_asys_enter, NULL, 0, 1, 0, &wait, sizeof(wait)));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(1, handled);
}

/* A signal mask of a 32-bit call in a fibril is not home's. */
TEST_F(compat, ppoll_sigmask)
{
	struct pollfd pfd = { .fd = self->p[0], .events = POLLIN }, pfd2 = pfd;
	struct timespec32 forever = { 1000, 0 };
	uint64_t all = -1ULL;
	sigset_t now;
	int q[2];

	signal(SIGUSR1, handler);
	START(1, __NR_ppoll, &pfd, 1, &forever, &all, 8);
	ASSERT_EQ(0, pipe(q));
	pfd2.fd = q[0];
	START(2, __NR_ppoll_time64, &pfd2, 1, NULL, &all, 8);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &now));
	EXPECT_EQ(0, sigismember(&now, SIGUSR1));
	/* Nor is the one that a handler of home's goes back to. */
	sigaddset(&now, SIGUSR2);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, &now, NULL));
	ASSERT_EQ(0, raise(SIGUSR1));
	EXPECT_EQ(1, handled);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &now));
	EXPECT_EQ(1, sigismember(&now, SIGUSR2));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
	ASSERT_EQ(1, write(q[1], "x", 1));
	REAP(2, 1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &now));
	EXPECT_EQ(0, sigismember(&now, SIGUSR1));
	EXPECT_EQ(-EINVAL, acall(__NR_ppoll, &pfd, 1, &forever, &all, 4));
}

/*
 * Structures that differ
 */

TEST_F(compat, stat)
{
	char plain[256], async[256];
	int fd = open("/proc/self/exe", O_RDONLY);

	memset(plain, 0x5a, sizeof(plain));
	memset(async, 0x5a, sizeof(async));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, syscall(__NR_fstatat64, fd, "", plain, AT_EMPTY_PATH));
	EXPECT_EQ(0, acall(__NR_fstatat64, fd, "", async, AT_EMPTY_PATH));
	EXPECT_EQ(0, memcmp(plain, async, sizeof(plain)));
	ASSERT_EQ(0, syscall(__NR_fstat, 0, plain));
	EXPECT_EQ(0, acall(__NR_fstat, 0, async));
	EXPECT_EQ(0, memcmp(plain, async, sizeof(plain)));
}

TEST_F(compat, iovec)
{
	struct iovec iov[2] = { { self->buf, 2 }, { self->buf + 8, 2 } };

	START(1, __NR_readv, self->p[0], iov, 2);
	memset(iov, 0, sizeof(iov));
	ASSERT_EQ(4, write(self->p[1], "abcd", 4));
	REAP(1, 4);
	EXPECT_EQ(0, memcmp("ab\0\0\0\0\0\0cd", self->buf, 10));
}

TEST_F(compat, times)
{
	struct { struct timespec32 ts; uint64_t guard; } t = { .guard = -1ULL };
	struct timespec32 nap = { 0, 100000000 };
	struct timespec now;
	uint64_t start;

	ASSERT_EQ(0, acall(__NR_clock_gettime, CLOCK_MONOTONIC, &t));
	clock_gettime(CLOCK_MONOTONIC, &now);
	EXPECT_GE(1, now.tv_sec - t.ts.tv_sec);
	EXPECT_EQ(-1ULL, t.guard);

	start = now_ns();
	START(1, __NR_nanosleep, &nap, NULL);
	REAP(1, 0);
	EXPECT_LE(100000000ULL, now_ns() - start);
	EXPECT_GE(10000000000ULL, now_ns() - start);
}

/* An offset takes two arguments. */
TEST_F(compat, offset64)
{
	int fd = syscall(__NR_memfd_create, "offset64", 0);
	uint64_t pos = 5 * ABOVE + 7;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, acall(__NR_ftruncate64, fd, pos & -1U, pos >> 32));
	EXPECT_EQ(4, acall(__NR_pwrite64, fd, "abcd", 4, pos & -1U, pos >> 32));
	EXPECT_EQ(3, acall(__NR_pread64, fd, self->buf, 8, (pos + 1) & -1U, pos >> 32));
	EXPECT_EQ(0, memcmp("bcd", self->buf, 3));
}

TEST_F(compat, mmap)
{
	const uint32_t old[6] = { 0, PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 };
	int64_t ret[2];
	int i;

	ret[0] = acall(__NR_mmap2, 0, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ret[1] = acall(__NR_mmap, old);
	for (i = 0; i < 2; i++) {
		/* An address is not an error, however high it is. */
		ASSERT_LT(0, ret[i]);
		ASSERT_GT(ABOVE, ret[i]);
		memset((void *)(uintptr_t)ret[i], 1, PAGE);
	}
}

TEST_F(compat, ioctl)
{
	int fd = syscall(__NR_memfd_create, "ioctl", 0);
	int n = 0, plain, plain_err;
	long flags;

	ASSERT_EQ(3, write(self->p[1], "abc", 3));
	EXPECT_EQ(0, acall(__NR_ioctl, self->p[0], FIONREAD, &n));
	EXPECT_EQ(3, n);
	/* Has the size of a long in its number, and another one here. */
	plain = ioctl(fd, FS_IOC_GETFLAGS, &flags);
	plain_err = plain ? -errno : 0;
	EXPECT_EQ(plain_err, acall(__NR_ioctl, fd, FS_IOC_GETFLAGS, &flags));
	EXPECT_EQ(0, plain_err);
}

/* Results that are stored after a sleep */
TEST_F(compat, waitid)
{
	siginfo_t info = {};
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		MUST(read(self->p[0], self->buf, 1) == 1);
		_exit(7);
	}
	START(1, __NR_waitid, P_PID, pid, &info, WEXITED, NULL);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 0);
	EXPECT_EQ(pid, info.si_pid);
	EXPECT_EQ(7, info.si_status);
}

TEST_F(compat, recvmsg)
{
	char space[CMSG_SPACE(sizeof(int)) + 16] = {};
	struct iovec iov = { self->buf, 8 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = CMSG_SPACE(sizeof(int)),
	}, sent = msg;
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov2 = { "fd", 2 };
	struct cmsghdr *c;
	int s[2], n = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	START(1, __NR_recvmsg, s[0], &msg, 0);

	sent.msg_iov = &iov2;
	sent.msg_control = control;
	c = CMSG_FIRSTHDR(&sent);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &self->p[0], sizeof(int));
	ASSERT_EQ(2, acall(__NR_sendmsg, s[1], &sent, 0));

	REAP(1, 2);
	EXPECT_EQ(CMSG_SPACE(sizeof(int)), msg.msg_controllen);
	c = CMSG_FIRSTHDR(&msg);
	ASSERT_NE(0UL, (unsigned long)c);
	EXPECT_EQ(SCM_RIGHTS, c->cmsg_type);
	ASSERT_EQ(CMSG_LEN(sizeof(int)), c->cmsg_len);
	memcpy(&n, CMSG_DATA(c), sizeof(int));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	EXPECT_EQ(1, read(n, self->buf, 8));
}

/*
 * Calls that take the number of another call
 */

TEST_F(compat, socketcall)
{
	int s[2];
	uint32_t pair[] = { AF_UNIX, SOCK_STREAM, 0, (uintptr_t)s };
	uint32_t recv[4], send[4];

	ASSERT_EQ(0, acall(__NR_socketcall, SYS_SOCKETPAIR, pair));
	memcpy(recv, (uint32_t[]){ s[0], (uintptr_t)self->buf, 4, 0 }, sizeof(recv));
	memcpy(send, (uint32_t[]){ s[1], (uintptr_t)"abcd", 4, 0 }, sizeof(send));
	START(1, __NR_socketcall, SYS_RECV, recv);
	EXPECT_EQ(4, acall(__NR_socketcall, SYS_SEND, send));
	REAP(1, 4);
	EXPECT_EQ(0, memcmp("abcd", self->buf, 4));
	EXPECT_EQ(-EINVAL, acall(__NR_socketcall, 99, send));
}

TEST_F(compat, ipc)
{
	struct sembuf down = { .sem_op = -1 }, up = { .sem_op = 1 };
	enum { SEMOP = 1, SEMGET = 2, SEMCTL = 3 };
	uint32_t val = 0;
	int id;

	id = acall(__NR_ipc, SEMGET, IPC_PRIVATE, 1, 0600);
	ASSERT_LE(0, id);
	START(1, __NR_ipc, SEMOP, id, 1, 0, &down);
	EXPECT_EQ(0, acall(__NR_ipc, SEMOP, id, 1, 0, &up));
	REAP(1, 0);
	EXPECT_EQ(0, acall(__NR_ipc, SEMCTL, id, 0, IPC_RMID, &val));
}

/* All six arguments arrive. */
TEST_F(compat, six)
{
	uint32_t word[2] = { 5, 0 };

	EXPECT_EQ(-EAGAIN, acall(__NR_futex, &word[0], FUTEX_CMP_REQUEUE, 0, 0, &word[1], 6));
	EXPECT_EQ(0, acall(__NR_futex, &word[0], FUTEX_CMP_REQUEUE, 0, 0, &word[1], 5));
	START(1, __NR_futex, &word[0], FUTEX_WAIT, 5, NULL);
	EXPECT_EQ(1, acall(__NR_futex, &word[0], FUTEX_CMP_REQUEUE, 0, 1, &word[1], 5));
	EXPECT_EQ(1, acall(__NR_futex, &word[1], FUTEX_WAKE, 1));
	REAP(1, 0);
}

/*
 * Forced mode: a call that brings a signal mask is made by home, or the mask
 * would have no effect.
 */
TEST(force_mask)
{
	struct timespec32 sec = { 100, 0 };
	struct { uint32_t mask, size; } six;
	uint64_t none = 0;
	struct {
		int nr;
		uint32_t args[6];
	} calls[] = {
		{ __NR_ppoll, { 0, 0, (uintptr_t)&sec, (uintptr_t)&none, 8 } },
		{ __NR_ppoll_time64, { 0, 0, 0, (uintptr_t)&none, 8 } },
		{ __NR_pselect6, { 0, 0, 0, 0, (uintptr_t)&sec, (uintptr_t)&six } },
		{ __NR_pselect6_time64, { 0, 0, 0, 0, 0, (uintptr_t)&six } },
		{ __NR_epoll_pwait, { 0, (uintptr_t)calls, 1, -1, (uintptr_t)&none, 8 } },
		{ __NR_epoll_pwait2, { 0, (uintptr_t)calls, 1, 0, (uintptr_t)&none, 8 } },
	};
	unsigned int i;
	sigset_t usr1;

	NEED_ASYS();
	if (write_file("/proc/self/asys_force", "1"))
		SKIP(return, "no forced mode");
	signal(SIGUSR1, handler);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	six.mask = (uintptr_t)&none;
	six.size = 8;
	calls[4].args[0] = syscall(__NR_epoll_create1, 0);
	calls[5].args[0] = calls[4].args[0];
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		uint32_t *a = calls[i].args;

		ASSERT_EQ(0, raise(SIGUSR1));
		EXPECT_EQ(-1, syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]));
		EXPECT_EQ(EINTR, errno);
		EXPECT_EQ(i + 1, (unsigned int)handled);
	}
}

/*
 * seccomp
 */

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JEQ(k, t, f)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define RET(k)		BPF_STMT(BPF_RET | BPF_K, k)

#define WANT(i)		(0x01010101U * ((i) + 1))

/* Is the call what the program has submitted, and what it gets? */
TEST_F(compat, seccomp)
{
	struct sock_filter filter[64];
	struct sock_fprog prog = { .filter = filter };
	struct asys_request r = { .nr = __NR_mq_notify, .cookie = 1 };
	int i, n = 0, end = 5 + 6 * 4;
	uint64_t args[6];
	struct req q;

	for (i = 0; i < 6; i++)
		args[i] = 0x1234567800000000ULL | WANT(i);
	filter[n++] = (struct sock_filter)LOAD(nr);
	filter[n++] = (struct sock_filter)JEQ(__NR_mq_notify, 1, 0);
	filter[n++] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)LOAD(arch);
	filter[n] = (struct sock_filter)JEQ(AUDIT_ARCH_I386, 0, end - n);
	n++;
	for (i = 0; i < 6; i++) {
		filter[n++] = (struct sock_filter)LOAD(args[i]);
		filter[n] = (struct sock_filter)JEQ(WANT(i), 0, end - n);
		n++;
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
				offsetof(struct seccomp_data, args[i]) + 4);
		filter[n] = (struct sock_filter)JEQ(0, 0, end - n);
		n++;
	}
	filter[n++] = (struct sock_filter)RET(SECCOMP_RET_ERRNO | 501);
	filter[n++] = (struct sock_filter)RET(SECCOMP_RET_ERRNO | 502);
	prog.len = n;
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog));

	__req(&q, 1, __NR_mq_notify, 6, args);
	ASSERT_EQ(1, asys_submit(&q.in, 1));
	EXPECT_EQ(-501, q.in.return_code);
	memcpy(r.args, args, sizeof(args));
	ASSERT_EQ(1, ENTER(&r, 1, 0));
	TAKE(1, -501);
	r.args[5]++;
	ASSERT_EQ(1, ENTER(&r, 1, 0));
	TAKE(1, -502);
}

TEST_HARNESS_MAIN
