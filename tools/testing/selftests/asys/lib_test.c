// SPDX-License-Identifier: GPL-2.0
/*
 * libasys, the library in tools/lib/asys: every function, every error, and that
 * no result is lost or comes twice.
 */
#include "asys_test.h"

#include <asys.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define ENTRIES	64

FIXTURE(lib)
{
	struct asys a;
	int p[2];
	char buf[256];
};

FIXTURE_SETUP(lib)
{
	NEED_ASYS();
	ASSERT_EQ(0, asys_init(&self->a, ENTRIES, 0));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(lib)
{
}

/* Queue a call that finishes at once, or one that sleeps until FEED(). */
#define QUEUE(_cookie, nr, ...)						\
do {									\
	struct asys_request *__r = asys_get_request(a);			\
									\
	ASSERT_NE(NULL, __r);						\
	__queue(__r, _cookie, nr, NARGS(__VA_ARGS__), ARGS(__VA_ARGS__)); \
} while (0)

static void __queue(struct asys_request *r, uint64_t cookie, int nr, int nr_args,
		    const uint64_t *args)
{
	uint64_t v[6] = { };

	memcpy(v, args, nr_args * sizeof(*args));
	asys_prep(r, nr, v[0], v[1], v[2], v[3], v[4], v[5]);
	asys_set_cookie(r, cookie);
}

#define READ(_cookie)	QUEUE(_cookie, __NR_read, self->p[0], self->buf, 1)
#define FEED(nr)	ASSERT_EQ((ssize_t)(nr), write(self->p[1], self->buf, nr))

/* Take one result, which has to be there, and be this one. */
#define TAKE(_cookie, result)						\
do {									\
	struct asys_completion __c = { };				\
									\
	ASSERT_TRUE(asys_take(a, &__c));				\
	EXPECT_EQ((uint64_t)(_cookie), __c.cookie);			\
	EXPECT_EQ((int64_t)(result), __c.return_code);			\
} while (0)

/* Nothing is left. */
#define EMPTY()								\
do {									\
	struct asys_completion __c;					\
									\
	EXPECT_EQ(0, asys_pending(a));					\
	EXPECT_EQ(0, asys_ready(a));					\
	EXPECT_FALSE(asys_take(a, &__c));				\
	EXPECT_EQ(-ENODATA, asys_next(a, &__c));			\
	EXPECT_EQ(0, asys_step(a, true));				\
	EXPECT_EQ(0, a->in_flight);					\
} while (0)

/*
 * Requests
 */

/* After CALL, the request is for this system call, with these arguments. */
#define PREP(call, _nr, ...)						\
do {									\
	struct asys_request __r;					\
	uint64_t __v[7] = { __VA_ARGS__ };				\
	int __i;							\
									\
	memset(&__r, 0, sizeof(__r));					\
	memset(__r.args, 0xee, sizeof(__r.args));			\
	asys_prep_##call;						\
	EXPECT_EQ(_nr, __r.nr);						\
	for (__i = 0; __i < 6; __i++)					\
		EXPECT_EQ(__v[__i], __r.args[__i]) {			\
			TH_LOG(#call ": argument %d", __i);		\
		}							\
	EXPECT_EQ(0, __r.cookie);					\
	EXPECT_EQ(0, __r.flags);					\
	EXPECT_EQ(0, __r.use);						\
	EXPECT_EQ(0, __r.timeout);					\
} while (0)

TEST(prep_files)
{
	char *name = "name", *buf = (char *)0x1000;
	const struct iovec *iov = (void *)0x2000;
	struct statx *stx = (void *)0x3000;
	struct stat *st = (void *)0x4000;
	int64_t *in = (void *)0x5000, *out = (void *)0x6000;

	PREP(nop(&__r), ASYS_NOP, 0);
	PREP(read(&__r, 3, buf, 1UL << 33), __NR_read, 3, (uintptr_t)buf, 1UL << 33);
	PREP(write(&__r, -1, buf, 7), __NR_write, -1ULL, (uintptr_t)buf, 7);
	PREP(pread(&__r, 3, buf, 7, 1LL << 40), __NR_pread64, 3, (uintptr_t)buf, 7, 1LL << 40);
	PREP(pwrite(&__r, 3, buf, 7, -2), __NR_pwrite64, 3, (uintptr_t)buf, 7, -2ULL);
	PREP(readv(&__r, 3, iov, 9), __NR_readv, 3, (uintptr_t)iov, 9);
	PREP(writev(&__r, 3, iov, 9), __NR_writev, 3, (uintptr_t)iov, 9);
	PREP(openat(&__r, AT_FDCWD, name, O_CREAT, 0640), __NR_openat, AT_FDCWD,
	     (uintptr_t)name, O_CREAT, 0640);
	PREP(close(&__r, 3), __NR_close, 3);
	PREP(fstat(&__r, 3, st), __NR_fstat, 3, (uintptr_t)st);
	PREP(statx(&__r, 3, name, 4, 5, stx), __NR_statx, 3, (uintptr_t)name, 4, 5,
	     (uintptr_t)stx);
	PREP(fsync(&__r, 3), __NR_fsync, 3);
	PREP(fdatasync(&__r, 3), __NR_fdatasync, 3);
	PREP(fallocate(&__r, 3, 1, 2, 4), __NR_fallocate, 3, 1, 2, 4);
	PREP(ftruncate(&__r, 3, 1LL << 40), __NR_ftruncate, 3, 1LL << 40);
	PREP(splice(&__r, 3, in, 4, out, 5, 6), __NR_splice, 3, (uintptr_t)in, 4,
	     (uintptr_t)out, 5, 6);
	PREP(copy_file_range(&__r, 3, in, 4, out, 5, 6), __NR_copy_file_range, 3,
	     (uintptr_t)in, 4, (uintptr_t)out, 5, 6);
}

TEST(prep_names)
{
	char *old = "old", *new = "new", *buf = (char *)0x1000;

	PREP(getdents64(&__r, 3, buf, 7), __NR_getdents64, 3, (uintptr_t)buf, 7);
	PREP(readlinkat(&__r, 3, old, buf, 7), __NR_readlinkat, 3, (uintptr_t)old,
	     (uintptr_t)buf, 7);
	PREP(faccessat(&__r, 3, old, 4, 5), __NR_faccessat2, 3, (uintptr_t)old, 4, 5);
	PREP(unlinkat(&__r, 3, old, 4), __NR_unlinkat, 3, (uintptr_t)old, 4);
	PREP(renameat2(&__r, 3, old, 4, new, 5), __NR_renameat2, 3, (uintptr_t)old, 4,
	     (uintptr_t)new, 5);
	PREP(mkdirat(&__r, 3, old, 0750), __NR_mkdirat, 3, (uintptr_t)old, 0750);
	PREP(linkat(&__r, 3, old, 4, new, 5), __NR_linkat, 3, (uintptr_t)old, 4,
	     (uintptr_t)new, 5);
	PREP(symlinkat(&__r, old, 4, new), __NR_symlinkat, (uintptr_t)old, 4,
	     (uintptr_t)new);
	PREP(getxattr(&__r, old, new, buf, 7), __NR_getxattr, (uintptr_t)old,
	     (uintptr_t)new, (uintptr_t)buf, 7);
}

TEST(prep_sockets)
{
	struct sockaddr *addr = (void *)0x1000;
	socklen_t *len = (void *)0x2000;
	struct msghdr *msg = (void *)0x3000;
	char *buf = (char *)0x4000;

	PREP(accept4(&__r, 3, addr, len, 4), __NR_accept4, 3, (uintptr_t)addr,
	     (uintptr_t)len, 4);
	PREP(connect(&__r, 3, addr, 16), __NR_connect, 3, (uintptr_t)addr, 16);
	PREP(sendto(&__r, 3, buf, 5, 6, addr, 16), __NR_sendto, 3, (uintptr_t)buf, 5, 6,
	     (uintptr_t)addr, 16);
	PREP(recvfrom(&__r, 3, buf, 5, 6, addr, len), __NR_recvfrom, 3, (uintptr_t)buf,
	     5, 6, (uintptr_t)addr, (uintptr_t)len);
	PREP(send(&__r, 3, buf, 5, 6), __NR_sendto, 3, (uintptr_t)buf, 5, 6);
	PREP(recv(&__r, 3, buf, 5, 6), __NR_recvfrom, 3, (uintptr_t)buf, 5, 6);
	PREP(sendmsg(&__r, 3, msg, 4), __NR_sendmsg, 3, (uintptr_t)msg, 4);
	PREP(recvmsg(&__r, 3, msg, 4), __NR_recvmsg, 3, (uintptr_t)msg, 4);
	PREP(shutdown(&__r, 3, SHUT_WR), __NR_shutdown, 3, SHUT_WR);
}

TEST(prep_waiting)
{
	struct timespec *ts = (void *)0x1000;
	struct pollfd *fds = (void *)0x2000;
	struct epoll_event *events = (void *)0x3000;
	uint32_t *uaddr = (void *)0x4000;
	siginfo_t *info = (void *)0x5000;

	PREP(poll(&__r, fds, 2, -1), __NR_poll, (uintptr_t)fds, 2, -1ULL);
	PREP(ppoll(&__r, fds, 2, ts), __NR_ppoll, (uintptr_t)fds, 2, (uintptr_t)ts);
	PREP(epoll_wait(&__r, 3, events, 4, 5), __NR_epoll_wait, 3, (uintptr_t)events, 4, 5);
	PREP(nanosleep(&__r, ts), __NR_nanosleep, (uintptr_t)ts);
	PREP(clock_nanosleep(&__r, CLOCK_BOOTTIME, TIMER_ABSTIME, ts), __NR_clock_nanosleep,
	     CLOCK_BOOTTIME, TIMER_ABSTIME, (uintptr_t)ts);
	PREP(futex_wait(&__r, uaddr, 5, FUTEX_PRIVATE_FLAG, ts), __NR_futex,
	     (uintptr_t)uaddr, FUTEX_WAIT_PRIVATE, 5, (uintptr_t)ts);
	PREP(futex_wake(&__r, uaddr, 5, 0), __NR_futex, (uintptr_t)uaddr, FUTEX_WAKE, 5);
	PREP(waitid(&__r, P_PID, 77, info, WEXITED), __NR_waitid, P_PID, 77,
	     (uintptr_t)info, WEXITED);
}

TEST(setters)
{
	struct asys_request r = { .nr = 5 };
	struct asys_closure closure;
	struct asys_completion c;

	asys_set_cookie(&r, -5ULL);
	EXPECT_EQ(-5ULL, r.cookie);
	asys_set_data(&r, &c);
	c.cookie = r.cookie;
	EXPECT_EQ((void *)&c, asys_completion_data(&c));
	asys_set_closure(&r, &closure);
	EXPECT_EQ((uintptr_t)&closure, r.cookie);
	asys_set_timeout(&r, -1U);
	EXPECT_EQ(-1U, r.timeout);
	EXPECT_EQ(0, r.flags);
	asys_set_link(&r);
	EXPECT_EQ(ASYS_R_LINK, r.flags);
	EXPECT_EQ(0, r.use);
	asys_use_result(&r, 5, 15);
	EXPECT_EQ(ASYS_USE(5, 15), r.use);
	EXPECT_EQ(5, r.nr);

	/* What does not fit is neither cut off nor another call. */
	asys_prep(&r, 0x10000, 0, 0, 0, 0, 0, 0);
	EXPECT_EQ(0xfffe, r.nr);
	asys_prep(&r, -1, 0, 0, 0, 0, 0, 0);
	EXPECT_EQ(0xfffe, r.nr);
}

/* The kernel refuses what cannot be. */
TEST_F(lib, bad_use)
{
	static const struct {
		unsigned int arg, back;
	} bad[] = { { 0, 0 }, { 3, 0 }, { 6, 1 }, { 0, 16 }, { 0, 32 }, { 8, 1 }, { 0, 2 } };
	struct asys *a = &self->a;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct asys_request *r = asys_get_request(a);

		ASSERT_NE(NULL, r);
		asys_prep_nop(r);
		asys_set_link(r);
		r = asys_get_request(a);
		ASSERT_NE(NULL, r);
		asys_prep_nop(r);
		asys_use_result(r, bad[i].arg, bad[i].back);
		EXPECT_EQ(0, asys_submit_requests(a));
		TAKE(0, -EINVAL);
		TAKE(0, -EINVAL);
	}
	EMPTY();
}

/*
 * Setting up
 */

TEST(probe)
{
	struct asys_info info;

	NEED_ASYS();
	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, asys_probe(&info));
	EXPECT_EQ(ASYS_CHAIN_MAX, info.chain_max);
	EXPECT_EQ(0, info.in_flight);
	EXPECT_EQ(-EFAULT, asys_probe((void *)8));
}

/* Have a filter do something about a system call; args[1] > 0 only, if so wished. */
static int filter_call(int nr, bool with_requests, uint32_t action)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, with_requests, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

TEST(old_kernel)
{
	struct asys_info info;
	struct asys a;

	ASSERT_EQ(0, filter_call(__NR_asys_enter, false, SECCOMP_RET_ERRNO | ENOSYS));
	ASSERT_EQ(0, filter_call(__NR_asys_control, false, SECCOMP_RET_ERRNO | ENOSYS));
	EXPECT_EQ(-ENOSYS, asys_probe(&info));
	EXPECT_EQ(-ENOSYS, asys_init(&a, ENTRIES, 0));
	asys_exit(&a);
}

TEST(init)
{
	struct rlimit limit;
	struct asys a, b;

	NEED_ASYS();
	EXPECT_EQ(-EINVAL, asys_init(&a, 0, 0));
	asys_exit(&a);
	EXPECT_EQ(-EINVAL, asys_init(&a, ASYS_RING_MAX + 1, 0));
	EXPECT_EQ(-EINVAL, asys_init(&a, -1U, 0));
	EXPECT_EQ(-EINVAL, asys_init(&a, ENTRIES, 4));
	EXPECT_EQ(-EINVAL, asys_init(&a, ENTRIES, ASYS_SETUP_DEFER << 1));
	ASSERT_EQ(0, getrlimit(RLIMIT_AS, &limit));
	limit.rlim_cur = 64 << 20;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));
	EXPECT_EQ(-ENOMEM, asys_init(&a, ASYS_RING_MAX, 0));
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_AS, &limit));

	ASSERT_EQ(0, asys_init(&a, ASYS_RING_MAX, 0));
	EXPECT_EQ(-EBUSY, asys_init(&b, ENTRIES, 0));
	asys_exit(&b);
	/* That has not harmed the other one. */
	asys_prep_nop(asys_get_request(&a));
	EXPECT_EQ(0, asys_submit_requests(&a));
	EXPECT_EQ(1, asys_ready(&a));
	asys_exit(&a);
	asys_exit(&a);
	ASSERT_EQ(0, asys_init(&b, 37, 0));
	EXPECT_EQ(63, b.mask);
	EXPECT_EQ(37, b.slots);
	asys_exit(&b);
	ASSERT_EQ(0, asys_init(&b, 1, ASYS_SETUP_DEFER | ASYS_ENTER_NONBLOCK));
	EXPECT_EQ(ASYS_ENTER_NONBLOCK, b.flags);
	EXPECT_EQ(0, b.mask);
	EXPECT_EQ(ASYS_CHAIN_MAX, b.slots);
	asys_exit(&b);
	/* The ring is not the kernel's any more. */
	EXPECT_EQ(-1, syscall(__NR_asys_enter, NULL, 0, 0, 0, NULL, 0));
	EXPECT_EQ(ENXIO, errno);
}

/* What is in flight is cancelled, waited for, and does not come up again. */
TEST_F(lib, exit)
{
	struct asys *a = &self->a;
	struct asys_info info;
	uint64_t ev = 0;
	int fd, i;

	fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, asys_set_eventfd(a, fd));
	/* More than the ring takes; some have finished, one is not submitted. */
	for (i = 0; i < 3 * ENTRIES; i++) {
		if (i % 2)
			READ(i);
		else
			QUEUE(i, ASYS_NOP);
	}
	ASSERT_EQ(0, asys_submit_requests(a));
	QUEUE(i, __NR_write, self->p[1], "x", 1);
	asys_exit(a);
	ASSERT_EQ(0, asys_probe(&info));
	EXPECT_EQ(0, info.in_flight);
	ASSERT_EQ(0, fcntl(self->p[0], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-1, read(self->p[0], &ev, 1));
	EXPECT_EQ(8, read(fd, &ev, 8));
	EXPECT_EQ(3 * ENTRIES / 2, ev);

	ASSERT_EQ(0, fcntl(self->p[0], F_SETFL, 0));
	ASSERT_EQ(0, asys_init(a, ENTRIES, 0));
	READ(1);
	ASSERT_EQ(0, asys_submit_requests(a));
	FEED(1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(1, 1);
	/* The eventfd was taken away. */
	EXPECT_EQ(-1, read(fd, &ev, 8));
	EMPTY();
}

/* A child has nothing; it can give the memory back, and begin anew. */
TEST_F(lib, fork)
{
	struct asys *a = &self->a;
	pid_t pid;

	READ(1);
	ASSERT_EQ(0, asys_submit_requests(a));
	QUEUE(2, ASYS_NOP);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;

		MUST(asys_submit_requests(a) == -ENXIO);
		asys_exit(a);
		MUST(!asys_init(a, 4, 0));
		asys_prep_nop(asys_get_request(a));
		MUST(!asys_next(a, &c) && !c.cookie && !c.return_code);
		asys_exit(a);
		_exit(7);
	}
	EXITS(pid, 7);
	FEED(1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 2));
	TAKE(1, 1);
	TAKE(2, 0);
	EMPTY();
}

/* Nothing that the library does, or fails to do, changes errno. */
TEST_F(lib, no_errno)
{
	struct asys *a = &self->a, b;
	struct timespec no = { .tv_nsec = -1 }, soon = { .tv_nsec = 1000 };
	struct asys_completion c;

	errno = 4711;
	EXPECT_EQ(-EFAULT, asys_probe((void *)8));
	EXPECT_EQ(-EBUSY, asys_init(&b, 4, 0));
	EXPECT_EQ(-EBADF, asys_set_eventfd(a, 999));
	EXPECT_EQ(-EINVAL, asys_submit_and_wait_for(a, 1, &no, NULL));
	EXPECT_EQ(-ENODATA, asys_next(a, &c));
	EXPECT_EQ(-ENOENT, asys_cancel(a, 1));
	QUEUE(1, __NR_close, -1);
	QUEUE(2, __NR_fork);
	QUEUE(3, __NR_read, self->p[0], self->buf, 1);
	EXPECT_EQ(-ETIME, asys_submit_and_wait_for(a, 3, &soon, NULL));
	EXPECT_EQ(1, asys_cancel_all(a));
	TAKE(1, -EBADF);
	TAKE(3, -ECANCELED);
	TAKE(2, -EOPNOTSUPP);
	EXPECT_EQ(0, asys_run(a));
	asys_exit(a);
	EXPECT_EQ(4711, errno);
}

/*
 * Results
 */

TEST_F(lib, at_once)
{
	struct asys *a = &self->a;
	struct asys_completion c;
	int i, round;

	EMPTY();
	for (round = 0; round < 5; round++) {
		for (i = 0; i < ENTRIES; i++)
			QUEUE(i, i % 3 ? __NR_getppid : ASYS_NOP);
		EXPECT_EQ(ENTRIES, asys_pending(a));
		EXPECT_EQ(0, asys_ready(a));
		EXPECT_FALSE(asys_take(a, &c));
		ASSERT_EQ(0, asys_submit_requests(a));
		EXPECT_EQ(ENTRIES, asys_ready(a));
		for (i = 0; i < ENTRIES; i++) {
			EXPECT_EQ(ENTRIES - i, asys_pending(a));
			TAKE(i, i % 3 ? getppid() : 0);
		}
		EMPTY();
	}
}

TEST_F(lib, asleep)
{
	struct asys *a = &self->a;
	struct asys_completion c;
	int i;

	for (i = 0; i < 10; i++)
		READ(i);
	/* Who has to wait submits. */
	ASSERT_EQ(-ETIME, asys_submit_and_wait_for(a, 1, &(struct timespec){ }, NULL));
	EXPECT_EQ(10, asys_pending(a));
	EXPECT_EQ(0, asys_ready(a));
	FEED(10);
	ASSERT_EQ(0, asys_submit_and_wait(a, 10));
	EXPECT_EQ(10, asys_ready(a));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, asys_next(a, &c));
		EXPECT_EQ(i, c.cookie);
		EXPECT_EQ(1, c.return_code);
	}
	EMPTY();

	/* What is there is taken first; then it submits, and waits. */
	QUEUE(1, ASYS_NOP);
	ASSERT_EQ(0, asys_submit_requests(a));
	READ(2);
	QUEUE(3, __NR_write, self->p[1], "x", 1);
	ASSERT_EQ(0, asys_next(a, &c));
	EXPECT_EQ(1, c.cookie);
	EXPECT_EQ(0, a->in_flight);
	ASSERT_EQ(0, asys_next(a, &c));
	EXPECT_EQ(3, c.cookie);
	ASSERT_EQ(0, asys_next(a, &c));
	EXPECT_EQ(2, c.cookie);
	EMPTY();
}

/* As many as there are, each once: what is submitted meanwhile is for the next. */
TEST_F(lib, for_each)
{
	struct asys *a = &self->a;
	struct asys_completion c;
	uint64_t seen = 0;
	int i, nr = 0;

	READ(10);
	ASSERT_EQ(0, asys_submit_requests(a));
	asys_for_each(a, c)
		nr++;
	EXPECT_EQ(0, nr);
	for (i = 0; i < 10; i++)
		QUEUE(i, i % 5 ? ASYS_NOP : __NR_fork);
	ASSERT_EQ(0, asys_submit_requests(a));
	asys_for_each(a, c) {
		nr++;
		ASSERT_GE(10, nr);
		seen += 1ULL << 4 * c.cookie;
		if (c.cookie < 10)
			EXPECT_EQ(c.cookie % 5 ? 0 : -EOPNOTSUPP, c.return_code);
		QUEUE(11, ASYS_NOP);
		ASSERT_EQ(0, asys_submit_requests(a));
	}
	EXPECT_EQ(10, nr);
	asys_for_each(a, c)
		seen += 1ULL << 4 * c.cookie;
	EXPECT_EQ(0xa01111111111ULL, seen);

	/* Where it is left, the rest remains. */
	for (i = 0; i < 5; i++)
		QUEUE(i, ASYS_NOP);
	ASSERT_EQ(0, asys_submit_requests(a));
	asys_for_each(a, c) {
		if (c.cookie < 2)
			continue;
		break;
	}
	EXPECT_EQ(2, c.cookie);
	TAKE(3, 0);
	TAKE(4, 0);
	FEED(1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 1));
	asys_for_each(a, c)
		EXPECT_EQ(10, c.cookie);
	EMPTY();
}

static void *write_when_asleep(void *fd)
{
	wait_state(getpid(), getpid(), 'S');
	MUST(write(*(int *)fd, "x", 1) == 1);
	return NULL;
}

TEST_F(lib, wait)
{
	struct timespec ts = { .tv_nsec = 20000000 };
	struct asys *a = &self->a;
	struct asys_completion c;
	pthread_t t;
	uint64_t from;

	READ(1);
	from = now_ns();
	EXPECT_EQ(-ETIME, asys_submit_and_wait_for(a, 1, &ts, NULL));
	EXPECT_LE(20000000, now_ns() - from);
	/* Forever; modulo 2^64 nanoseconds, it would be 20 ms. */
	ts.tv_sec = 1L << 55;
	ASSERT_EQ(0, pthread_create(&t, NULL, write_when_asleep, &self->p[1]));
	EXPECT_EQ(0, asys_submit_and_wait_for(a, 1, &ts, NULL));
	TAKE(1, 1);
	pthread_join(t, NULL);
	/* Nothing to wait for */
	EXPECT_EQ(0, asys_submit_and_wait(a, 1));

	READ(2);
	ASSERT_EQ(0, pthread_create(&t, NULL, write_when_asleep, &self->p[1]));
	ASSERT_EQ(0, asys_next(a, &c));
	EXPECT_EQ(2, c.cookie);
	pthread_join(t, NULL);

	/* A bad time is found before anything is submitted. */
	QUEUE(3, ASYS_NOP);
	ts = (struct timespec){ .tv_nsec = 1000000000 };
	EXPECT_EQ(-EINVAL, asys_submit_and_wait_for(a, 1, &ts, NULL));
	ts = (struct timespec){ .tv_nsec = -1 };
	EXPECT_EQ(-EINVAL, asys_submit_and_wait_for(a, 1, &ts, NULL));
	ts = (struct timespec){ .tv_sec = -1 };
	EXPECT_EQ(-EINVAL, asys_submit_and_wait_for(a, 1, &ts, NULL));
	EXPECT_EQ(0, a->in_flight);
	READ(4);
	EXPECT_EQ(-EFAULT, asys_submit_and_wait_for(a, 2, NULL, (void *)8));
	TAKE(3, 0);
	FEED(1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(4, 1);
	EMPTY();
}

static volatile int handled;

static void handler(int sig)
{
	handled = sig;
}

TEST_F(lib, signal)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct asys *a = &self->a;
	struct asys_completion c;
	sigset_t usr1, none;

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	READ(1);
	raise(SIGUSR1);
	EXPECT_EQ(-EINTR, asys_submit_and_wait_for(a, 1, NULL, &none));
	EXPECT_EQ(SIGUSR1, handled);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &usr1));
	EXPECT_TRUE(sigismember(&usr1, SIGUSR1));
	FEED(1);
	EXPECT_EQ(0, asys_next(a, &c));
	EMPTY();
}

static void *interrupt(void *home)
{
	wait_state(getpid(), *(pid_t *)home, 'S');
	MUST(!syscall(__NR_tgkill, getpid(), *(pid_t *)home, SIGUSR1));
	return NULL;
}

/* A signal ends every wait. */
TEST_F(lib, interrupted)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct asys *a = &self->a;
	struct asys_completion c;
	pid_t me = asys_gettid();
	int i, ret = 0;
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	READ(0);
	ASSERT_EQ(0, asys_submit_requests(a));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pthread_create(&t, NULL, interrupt, &me));
		switch (i) {
		case 0:
			ret = asys_submit_and_wait(a, 1);
			break;
		case 1:
			ret = asys_next(a, &c);
			break;
		case 2:
			ret = asys_step(a, true);
			break;
		case 3:
			ret = asys_run(a);
			break;
		}
		EXPECT_EQ(-EINTR, ret);
		pthread_join(t, NULL);
		EXPECT_EQ(1, asys_pending(a));
	}
	FEED(1);
	EXPECT_EQ(0, asys_run(a));
	EMPTY();
}

/* A ring with little room: the kernel keeps the rest, in order. */
FIXTURE(small)
{
	struct asys a;
	int p[2];
	char buf[256];
};

FIXTURE_VARIANT(small)
{
	unsigned int entries;
};

FIXTURE_VARIANT_ADD(small, one) { .entries = 1 };
FIXTURE_VARIANT_ADD(small, two) { .entries = 2 };
FIXTURE_VARIANT_ADD(small, eight) { .entries = 8 };

FIXTURE_SETUP(small)
{
	NEED_ASYS();
	ASSERT_EQ(0, asys_init(&self->a, variant->entries, 0));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(small)
{
}

TEST_F(small, overflow)
{
	struct asys *a = &self->a;
	struct asys_completion c;
	int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 100; i++)
			QUEUE(i, __NR_getppid);
		for (; i < 200; i++)
			READ(i);
		ASSERT_EQ(0, asys_submit_requests(a));
		EXPECT_EQ(variant->entries, asys_ready(a));
		EXPECT_EQ(200, asys_pending(a));
		FEED(100);
		/* The ring is full: there is nothing to wait for. */
		EXPECT_EQ(0, asys_submit_and_wait(a, 200));
		for (i = 0; i < 100; i++)
			TAKE(i, getppid());
		for (; i < 150; i++)
			TAKE(i, 1);
		for (; i < 200; i++) {
			ASSERT_EQ(0, asys_next(a, &c));
			EXPECT_EQ(i, c.cookie);
			EXPECT_EQ(1, c.return_code);
		}
		EMPTY();
	}
}

/* Chains, whose first completions come early */
TEST_F(small, overflow_chain)
{
	struct asys *a = &self->a;
	struct asys_request *r;
	int i;

	for (i = 0; i < ASYS_CHAIN_MAX; i++) {
		r = asys_get_request(a);
		ASSERT_NE(NULL, r);
		if (i == 7)
			asys_prep_read(r, self->p[0], self->buf, 1);
		else
			asys_prep_nop(r);
		asys_set_cookie(r, i);
		if (i < ASYS_CHAIN_MAX - 1)
			asys_set_link(r);
	}
	ASSERT_EQ(0, asys_submit_requests(a));
	FEED(1);
	for (i = 0; i < ASYS_CHAIN_MAX; i++) {
		ASSERT_EQ(0, asys_submit_and_wait(a, 1));
		TAKE(i, i == 7);
	}
	EMPTY();
}

/* Give the kernel a ring whose counters are about to be 0 again. */
TEST_F(small, wrap)
{
	struct asys_ring_setup setup = { .entries = variant->entries };
	struct asys *a = &self->a;
	int i, n;

	a->ring->head = -11U;
	a->ring->tail = -11U;
	setup.ring = (uintptr_t)a->ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	EXPECT_EQ(0, asys_ready(a));
	for (n = 0; n < 30; n++) {
		for (i = 0; i < 10; i++)
			QUEUE(i, i == 5 ? ASYS_NOP : __NR_getppid);
		ASSERT_EQ(0, asys_submit_and_wait(a, 1));
		EXPECT_EQ(variant->entries, asys_ready(a));
		for (i = 0; i < 10; i++)
			TAKE(i, i == 5 ? 0 : getppid());
		EMPTY();
	}
	EXPECT_EQ(289U, a->ring->head);
}

/*
 * The queue
 */

/* A full queue is submitted; what it makes does not wait for the program. */
TEST_F(lib, queue_full)
{
	struct asys *a = &self->a;
	struct asys_completion c;
	int i;

	for (i = 0; i < ENTRIES; i++)
		QUEUE(i, ASYS_NOP);
	EXPECT_EQ(0, asys_ready(a));
	QUEUE(i, ASYS_NOP);
	EXPECT_EQ(ENTRIES, asys_ready(a));
	for (i++; i < 10 * ENTRIES + 5; i++)
		QUEUE(i, ASYS_NOP);
	EXPECT_EQ(10 * ENTRIES + 5, asys_pending(a));
	for (i = 0; i < 10 * ENTRIES + 5; i++) {
		ASSERT_EQ(0, asys_next(a, &c));
		EXPECT_EQ(i, c.cookie);
	}
	EMPTY();
}

/* Slots that were used before come back empty. */
TEST_F(lib, queue_zero)
{
	struct asys *a = &self->a;
	struct asys_request *r, zero = { };
	struct asys_completion c;
	int i;

	for (i = 0; i < 5 * ENTRIES; i++) {
		r = asys_get_request(a);
		ASSERT_NE(NULL, r);
		EXPECT_EQ(0, memcmp(r, &zero, sizeof(zero)));
		memset(r, 0xff, sizeof(*r));
		r->flags = 0;
		r->use = 0;
	}
	for (i = 0; i < 5 * ENTRIES; i++) {
		ASSERT_EQ(0, asys_next(a, &c));
		EXPECT_EQ(-1ULL, c.cookie);
		EXPECT_EQ(0, c.return_code);
	}
	EMPTY();
}

/* A chain that is not complete stays in a full queue. */
TEST_F(lib, queue_chain)
{
	struct asys *a = &self->a;
	struct asys_request *r;
	int i, n, first, len;

	for (len = 2; len <= ASYS_CHAIN_MAX; len++) {
		/* The chain is cut by the end of the queue everywhere. */
		for (first = ENTRIES - len; first <= ENTRIES; first++) {
			for (i = 0; i < first; i++)
				QUEUE(i, ASYS_NOP);
			for (n = 0; n < len; n++, i++) {
				r = asys_get_request(a);
				ASSERT_NE(NULL, r);
				if (n)
					asys_prep(r, __NR_getppid, 0, 0, 0, 0, 0, 0);
				else
					asys_prep_close(r, -1);
				asys_set_cookie(r, i);
				if (n < len - 1)
					asys_set_link(r);
			}
			ASSERT_EQ(0, asys_submit_requests(a));
			for (i = 0; i < first + len; i++)
				TAKE(i, i < first ? 0 : i == first ? -EBADF : -ECANCELED);
			EMPTY();
		}
	}
}

/* A chain that is too long, or linked to nothing, is refused as a whole. */
TEST_F(small, queue_long_chain)
{
	struct asys *a = &self->a;
	struct asys_request *r;
	int i;

	for (i = 0; i < ASYS_CHAIN_MAX; i++) {
		r = asys_get_request(a);
		ASSERT_NE(NULL, r);
		asys_prep_nop(r);
		asys_set_cookie(r, i);
		asys_set_link(r);
	}
	/* The queue has 16 slots, and this chain does not end. */
	EXPECT_EQ(NULL, asys_get_request(a));
	EXPECT_EQ(ASYS_CHAIN_MAX, asys_pending(a));
	EXPECT_EQ(0, asys_submit_requests(a));
	for (i = 0; i < ASYS_CHAIN_MAX; i++)
		TAKE(i, -EINVAL);
	EMPTY();
}

TEST_F(lib, chain)
{
	struct asys *a = &self->a;
	struct asys_request *r;
	struct stat st;
	int i;

	for (i = 0; i < 3; i++) {
		memset(self->buf, 0, sizeof(self->buf));
		r = asys_get_request(a);
		asys_prep_openat(r, AT_FDCWD, "/proc/sys/kernel/ostype", O_RDONLY, 0);
		asys_set_cookie(r, 10);
		asys_set_link(r);
		r = asys_get_request(a);
		asys_prep_fstat(r, -1, &st);
		asys_use_result(r, 0, 1);
		asys_set_cookie(r, 11);
		asys_set_link(r);
		r = asys_get_request(a);
		asys_prep_read(r, -1, self->buf, sizeof(self->buf));
		asys_use_result(r, 0, 2);
		asys_set_cookie(r, 12);
		asys_set_link(r);
		r = asys_get_request(a);
		asys_prep_close(r, -1);
		asys_use_result(r, 0, 3);
		asys_set_cookie(r, 13);
		ASSERT_EQ(0, asys_submit_and_wait(a, 4));
		TAKE(10, self->p[1] + 1);
		TAKE(11, 0);
		TAKE(12, 6);
		TAKE(13, 0);
		EXPECT_STREQ("Linux\n", self->buf);
		EMPTY();
	}
}

/* Requests that the kernel does not take have results as others do. */
TEST_F(lib, refused)
{
	struct asys *a = &self->a;
	struct asys_request *r;
	int i;

	/* The write, which is after a bad one, ends the read. */
	READ(0);
	QUEUE(1, __NR_fork);
	QUEUE(2, 0xfffe);
	r = asys_get_request(a);
	asys_prep_nop(r);
	asys_set_cookie(r, 3);
	r->flags = 2;
	for (i = 4; i < 7; i++) {
		r = asys_get_request(a);
		asys_prep(r, i == 5 ? __NR_fork : __NR_getppid, 0, 0, 0, 0, 0, 0);
		asys_set_cookie(r, i);
		if (i < 6)
			asys_set_link(r);
	}
	QUEUE(7, __NR_write, self->p[1], "x", 1);
	EXPECT_EQ(8, asys_pending(a));
	ASSERT_EQ(0, asys_submit_and_wait(a, 8));
	EXPECT_EQ(8, asys_pending(a));
	EXPECT_EQ(8, asys_ready(a));
	TAKE(7, 1);
	TAKE(0, 1);
	TAKE(1, -EOPNOTSUPP);
	TAKE(2, -ENOSYS);
	EXPECT_EQ(4, asys_pending(a));
	/* More while some of them are there still */
	QUEUE(8, __NR_fork);
	QUEUE(9, ASYS_NOP);
	ASSERT_EQ(0, asys_submit_requests(a));
	TAKE(9, 0);
	TAKE(3, -EINVAL);
	for (i = 4; i < 7; i++)
		TAKE(i, -EOPNOTSUPP);
	TAKE(8, -EOPNOTSUPP);
	EMPTY();
}

/* They count for those who wait. */
TEST_F(lib, refused_wait)
{
	struct asys *a = &self->a;
	pthread_t t;

	READ(1);
	READ(2);
	QUEUE(3, __NR_fork);
	ASSERT_EQ(0, pthread_create(&t, NULL, write_when_asleep, &self->p[1]));
	ASSERT_EQ(0, asys_submit_and_wait(a, 2));
	pthread_join(t, NULL);
	TAKE(1, 1);
	TAKE(3, -EOPNOTSUPP);
	FEED(1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(2, 1);
	EMPTY();
}

/* As many as the queue is long; nothing is forgotten, and room comes back. */
TEST_F(lib, refused_full)
{
	struct asys *a = &self->a;
	int i, n;

	for (n = 0; n < 3; n++) {
		for (i = 0; i < ENTRIES; i++)
			QUEUE(i, __NR_fork);
		EXPECT_EQ(NULL, asys_get_request(a));
		EXPECT_EQ(NULL, asys_get_request(a));
		EXPECT_EQ(0, asys_submit_requests(a));
		for (i = 0; i < 10; i++)
			TAKE(i, -EOPNOTSUPP);
		for (i = 0; i < 10; i++)
			QUEUE(ENTRIES + i, i % 2 ? __NR_fork : ASYS_NOP);
		/* Five of those have gone, five have been refused. */
		for (i = 10; i < 15; i++)
			QUEUE(ENTRIES + i, __NR_fork);
		EXPECT_EQ(NULL, asys_get_request(a));
		EXPECT_EQ(ENTRIES + 5, asys_pending(a));
		for (i = 0; i < 10; i += 2)
			TAKE(ENTRIES + i, 0);
		for (i = 10; i < ENTRIES; i++)
			TAKE(i, -EOPNOTSUPP);
		for (i = 1; i < 10; i += 2)
			TAKE(ENTRIES + i, -EOPNOTSUPP);
		for (i = 10; i < 15; i++)
			TAKE(ENTRIES + i, -EOPNOTSUPP);
		EMPTY();
	}
}

/* A filter that wants something else is a refusal, too. */
TEST_F(lib, refused_filter)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getgid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };
	struct asys *a = &self->a;

	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	QUEUE(1, __NR_getgid);
	QUEUE(2, ASYS_NOP);
	EXPECT_EQ(0, asys_submit_requests(a));
	TAKE(2, 0);
	TAKE(1, -EACCES);
	EMPTY();
}

/* The kernel takes a part, the rest stays, in order; chains stay whole. */
TEST(partial)
{
	struct asys a_, *a = &a_;
	struct asys_completion c;
	struct asys_request *r;
	char buf[2];
	int p[2], i;

	NEED_ASYS();
	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, asys_init(a, ENTRIES, ASYS_ENTER_ATOMIC));
	/* There is no stack at all, and nothing that would give one back. */
	QUEUE(0, ASYS_NOP);
	EXPECT_EQ(-EAGAIN, asys_submit_requests(a));
	EXPECT_EQ(-EAGAIN, asys_submit_and_wait(a, 1));
	EXPECT_EQ(-EAGAIN, asys_next(a, &c));
	EXPECT_EQ(-EAGAIN, asys_step(a, false));
	EXPECT_EQ(-EAGAIN, asys_run(a));
	EXPECT_EQ(1, asys_pending(a));
	EXPECT_EQ(1, asys_cancel_all(a));
	TAKE(0, -ECANCELED);
	asys_exit(a);

	ASSERT_EQ(0, asys_init(a, ENTRIES, 0));
	QUEUE(0, ASYS_NOP);
	EXPECT_EQ(0, asys_submit_requests(a));
	TAKE(0, 0);
	asys_exit(a);

	/* From that there is one stack, and no memory for a chain. */
	ASSERT_EQ(0, asys_init(a, ENTRIES, ASYS_ENTER_ATOMIC));
	QUEUE(1, __NR_read, p[0], buf, 1);
	QUEUE(2, __NR_read, p[0], buf + 1, 1);
	for (i = 3; i < 6; i++) {
		r = asys_get_request(a);
		asys_prep_nop(r);
		asys_set_cookie(r, i);
		if (i < 5)
			asys_set_link(r);
	}
	EXPECT_EQ(-EAGAIN, asys_submit_requests(a));
	EXPECT_EQ(5, asys_pending(a));
	EXPECT_EQ(1, a->in_flight);
	EXPECT_EQ(-EAGAIN, asys_submit_and_wait(a, 0));
	EXPECT_EQ(-EAGAIN, asys_step(a, false));
	/* It waits for what is in flight, as that may change it. */
	EXPECT_EQ(-ETIME, asys_submit_and_wait_for(a, 2, &(struct timespec){ }, NULL));
	ASSERT_EQ(1, write(p[1], "x", 1));
	EXPECT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(1, 1);
	EXPECT_EQ(-EAGAIN, asys_submit_requests(a));
	ASSERT_EQ(1, write(p[1], "y", 1));
	ASSERT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(2, 1);
	EXPECT_EQ('y', buf[1]);
	EXPECT_EQ(-EAGAIN, asys_submit_and_wait(a, 1));
	EXPECT_EQ(3, asys_pending(a));
	/* A queue that cannot be submitted has room as long as it has. */
	for (i = 6; i < 3 + ENTRIES; i++) {
		r = asys_get_request(a);
		ASSERT_NE(NULL, r);
		asys_prep_nop(r);
		asys_set_cookie(r, i);
	}
	EXPECT_EQ(NULL, asys_get_request(a));
	a->flags = 0;
	ASSERT_NE(NULL, r = asys_get_request(a));
	asys_prep_nop(r);
	asys_set_cookie(r, i);
	EXPECT_EQ(0, asys_submit_requests(a));
	for (i = 3; i < 4 + ENTRIES; i++)
		TAKE(i, 0);
	EMPTY();
}

static void count(struct asys *a, long result, void *data)
{
	if (result >= 0)
		++*(int *)data;
}

/* Far more calls than may be in flight: all of them are made, whoever waits. */
TEST_F(lib, limit)
{
	struct asys *a = &self->a;
	struct asys_closure closure;
	struct asys_completion c;
	char from[200];
	int i, done = 0;
	pthread_t t;
	long old;

	NEED_ROOT();
	old = read_long(SYSCTL_PER_TASK);
	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, 4));
	for (i = 0; i < 30; i++)
		QUEUE(i, __NR_read, self->p[0], from + i, 1);
	EXPECT_EQ(-EAGAIN, asys_submit_requests(a));
	EXPECT_EQ(4, a->in_flight);
	/* One that finishes is enough to go on. */
	ASSERT_EQ(0, pthread_create(&t, NULL, write_when_asleep, &self->p[1]));
	EXPECT_EQ(0, asys_submit_and_wait(a, 30));
	pthread_join(t, NULL);
	TAKE(0, 1);
	for (i = 0; i < 30; i++)
		self->buf[i] = 'a' + i;
	ASSERT_EQ(29, write(self->p[1], self->buf + 1, 29));
	for (i = 1; i < 30; i++) {
		ASSERT_EQ(0, asys_next(a, &c));
		EXPECT_EQ(i, c.cookie);
		EXPECT_EQ('a' + i, from[i]);
	}

	/* Each read needs the write after it, when there is room for it. */
	closure = (struct asys_closure){ count, &done };
	for (i = 0; i < 60; i++) {
		struct asys_request *r = asys_get_request(a);

		ASSERT_NE(NULL, r);
		if (i % 2)
			asys_prep_write(r, self->p[1], "x", 1);
		else
			asys_prep_read(r, self->p[0], self->buf, 1);
		asys_set_closure(r, &closure);
	}
	EXPECT_EQ(0, asys_run(a));
	EXPECT_EQ(60, done);
	EXPECT_EQ(0, write_long(SYSCTL_PER_TASK, old));
	EMPTY();
}

static int room_fd;

/* What a call finds that is at the limit; and then there is room. */
static void at_limit(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.gregs[REG_RAX] = -EAGAIN;
	MUST(write(room_fd, "x", 1) == 1);
}

/* It does not wait for a second one to finish, which may need what is queued. */
TEST_F(lib, limit_over)
{
	struct sigaction sa = { .sa_sigaction = at_limit, .sa_flags = SA_SIGINFO };
	struct asys *a = &self->a;

	READ(1);
	READ(2);
	ASSERT_EQ(0, asys_submit_requests(a));
	QUEUE(3, __NR_write, self->p[1], "x", 1);
	room_fd = self->p[1];
	ASSERT_EQ(0, sigaction(SIGSYS, &sa, NULL));
	ASSERT_EQ(0, filter_call(__NR_asys_enter, true, SECCOMP_RET_TRAP));
	EXPECT_EQ(0, asys_submit_and_wait(a, 3));
	TAKE(1, 1);
	EXPECT_EQ(2, asys_pending(a));
}

/* Errors that are not of a request leave the queue as it is. */
TEST_F(lib, disabled)
{
	struct asys *a = &self->a;
	struct asys_completion c;

	NEED_ROOT();
	READ(1);
	ASSERT_EQ(0, asys_submit_requests(a));
	QUEUE(2, ASYS_NOP);
	ASSERT_EQ(0, write_long(SYSCTL_DISABLED, 1));
	EXPECT_EQ(-EPERM, asys_submit_requests(a));
	EXPECT_EQ(-EPERM, asys_submit_and_wait(a, 1));
	EXPECT_EQ(-EPERM, asys_next(a, &c));
	EXPECT_EQ(-EPERM, asys_step(a, true));
	EXPECT_EQ(-EPERM, asys_run(a));
	EXPECT_EQ(0, write_long(SYSCTL_DISABLED, 0));
	EXPECT_EQ(2, asys_pending(a));
	EXPECT_EQ(0, asys_submit_requests(a));
	TAKE(2, 0);
	FEED(1);
	ASSERT_EQ(0, asys_next(a, &c));
	EMPTY();
}

TEST_F(lib, dispatched)
{
	struct asys *a = &self->a;
	char no = 0;

	QUEUE(1, __NR_getppid);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &no))
		SKIP(return, "no syscall user dispatch");
	EXPECT_EQ(-EBUSY, asys_submit_requests(a));
	EXPECT_EQ(0, prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0));
	EXPECT_EQ(0, asys_submit_requests(a));
	TAKE(1, getppid());
	EMPTY();
}

/* No memory: waits if that can help, and does not if it cannot. */
TEST_F(lib, no_memory)
{
	struct asys *a = &self->a;
	struct asys_completion c;

	READ(1);
	ASSERT_EQ(0, asys_submit_requests(a));
	ASSERT_EQ(0, filter_call(__NR_asys_enter, true, SECCOMP_RET_ERRNO | ENOMEM));
	QUEUE(2, ASYS_NOP);
	EXPECT_EQ(-ENOMEM, asys_submit_requests(a));
	EXPECT_EQ(-ETIME, asys_submit_and_wait_for(a, 1, &(struct timespec){ }, NULL));
	FEED(1);
	EXPECT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(1, 1);
	EXPECT_EQ(-ENOMEM, asys_submit_and_wait(a, 1));
	EXPECT_EQ(-ENOMEM, asys_next(a, &c));
	EXPECT_EQ(1, asys_cancel_all(a));
	TAKE(2, -ECANCELED);
	EMPTY();
}

static void *stranger(void *a)
{
	MUST(asys_submit_requests(a) == -ENXIO);
	return NULL;
}

TEST_F(lib, wrong_thread)
{
	struct asys *a = &self->a;
	pthread_t t;

	QUEUE(1, ASYS_NOP);
	ASSERT_EQ(0, pthread_create(&t, NULL, stranger, a));
	pthread_join(t, NULL);
	EXPECT_EQ(0, asys_submit_requests(a));
	TAKE(1, 0);
	EMPTY();
}

/*
 * Closures
 */

struct seen {
	int calls;
	long result;
	struct asys *a;
};

static void see(struct asys *a, long result, void *data)
{
	struct seen *s = data;

	s->calls++;
	s->result = result;
	s->a = a;
}

TEST_F(lib, closure)
{
	struct seen now = { }, later = { }, bad = { };
	struct asys_closure closures[] = { { see, &now }, { see, &later }, { see, &bad } };
	struct asys *a = &self->a;

	QUEUE((uintptr_t)&closures[0], __NR_getppid);
	QUEUE((uintptr_t)&closures[1], __NR_read, self->p[0], self->buf, 1);
	QUEUE((uintptr_t)&closures[2], __NR_fork);
	/* None */
	QUEUE(0, ASYS_NOP);
	EXPECT_EQ(3, asys_step(a, false));
	EXPECT_EQ(1, now.calls);
	EXPECT_EQ(getppid(), now.result);
	EXPECT_EQ(a, now.a);
	EXPECT_EQ(1, bad.calls);
	EXPECT_EQ(-EOPNOTSUPP, bad.result);
	EXPECT_EQ(0, later.calls);
	EXPECT_EQ(0, asys_step(a, false));
	FEED(1);
	EXPECT_EQ(1, asys_step(a, true));
	EXPECT_EQ(1, later.calls);
	EXPECT_EQ(1, later.result);
	EXPECT_EQ(1, now.calls);
	EMPTY();

	/* One who takes results himself */
	QUEUE((uintptr_t)&closures[0], __NR_close, -1);
	QUEUE(5, ASYS_NOP);
	EXPECT_EQ(0, asys_submit_requests(a));
	for (;;) {
		struct asys_completion c;

		if (!asys_take(a, &c))
			break;
		if (c.cookie != 5)
			asys_call_closure(a, &c);
	}
	EXPECT_EQ(2, now.calls);
	EXPECT_EQ(-EBADF, now.result);
	EMPTY();
}

/* A step does not go on with what has come meanwhile. */
TEST_F(small, step_ends)
{
	struct asys *a = &self->a;
	struct asys_closure closure;
	unsigned int i;
	int done = 0;

	closure = (struct asys_closure){ count, &done };
	for (i = 0; i < 3 * variant->entries; i++)
		QUEUE((uintptr_t)&closure, ASYS_NOP);
	for (i = 1; i <= 3; i++) {
		EXPECT_EQ(variant->entries, asys_step(a, false));
		EXPECT_EQ(i * variant->entries, done);
	}
	EMPTY();
}

/*
 * Pipes in a circle: each player waits for the token, and passes it on.  All
 * reads but one sleep, no write does.
 */
#define PLAYERS	40
#define TOKENS	25

struct hop {
	struct asys_closure closure;
	int in, out, got;
	char byte;
	bool passes;
};

static int depth, max_depth;

static void hop(struct asys *a, long result, void *data)
{
	struct asys_request *r;
	struct hop *h = data;

	MUST(result == 1);
	if (++depth > max_depth)
		max_depth = depth;
	h->passes = !h->passes;
	if (h->passes) {
		h->got++;
		r = asys_get_request(a);
		MUST(r);
		asys_prep_write(r, h->out, &h->byte, 1);
		asys_set_closure(r, &h->closure);
	} else if (h->got < TOKENS) {
		r = asys_get_request(a);
		MUST(r);
		asys_prep_read(r, h->in, &h->byte, 1);
		asys_set_closure(r, &h->closure);
	}
	depth--;
}

TEST_F(small, closure_submits)
{
	struct hop h[PLAYERS] = { };
	struct asys *a = &self->a;
	char byte = 'x';
	int i, p[2];

	for (i = 0; i < PLAYERS; i++) {
		ASSERT_EQ(0, pipe(p));
		h[i].closure = (struct asys_closure){ hop, &h[i] };
		h[i].in = p[0];
		h[(i + PLAYERS - 1) % PLAYERS].out = p[1];
		QUEUE((uintptr_t)&h[i].closure, __NR_read, p[0], &h[i].byte, 1);
	}
	EXPECT_EQ(0, asys_step(a, false));
	EXPECT_EQ(PLAYERS, a->in_flight);
	ASSERT_EQ(1, write(h[PLAYERS - 1].out, &byte, 1));
	EXPECT_EQ(0, asys_run(a));
	for (i = 0; i < PLAYERS; i++) {
		EXPECT_EQ(TOKENS, h[i].got);
		EXPECT_EQ('x', h[i].byte);
	}
	/* Never one within the other */
	EXPECT_EQ(1, max_depth);
	EMPTY();
}

/* A closure that is gone when it is called, and the library does not mind */
struct own {
	struct asys_closure closure;
	int *freed;
};

static void free_own(struct asys *a, long result, void *data)
{
	struct own *own = data;

	++*own->freed;
	memset(own, 0xee, sizeof(*own));
	free(own);
}

TEST_F(lib, closure_frees)
{
	struct asys *a = &self->a;
	int i, freed = 0;

	for (i = 0; i < 50; i++) {
		struct own *own = malloc(sizeof(*own));

		own->closure.fn = free_own;
		own->closure.data = own;
		own->freed = &freed;
		QUEUE((uintptr_t)&own->closure, i % 2 ? ASYS_NOP : __NR_read, self->p[0],
		      self->buf, 1);
	}
	FEED(25);
	EXPECT_EQ(0, asys_run(a));
	EXPECT_EQ(50, freed);
	EMPTY();
}

/* A closure that takes steps, or results, itself */
static void nested(struct asys *a, long result, void *data)
{
	struct seen *s = data;
	struct asys_completion c;

	s->calls++;
	if (s->calls % 2)
		MUST(asys_step(a, false) >= 0);
	else if (asys_take(a, &c))
		asys_call_closure(a, &c);
}

TEST_F(lib, closure_nests)
{
	struct seen s = { };
	struct asys_closure closure = { nested, &s };
	struct asys *a = &self->a;
	int i;

	for (i = 0; i < 50; i++)
		QUEUE((uintptr_t)&closure, i % 3 ? ASYS_NOP : __NR_fork);
	EXPECT_EQ(0, asys_run(a));
	EXPECT_EQ(50, s.calls);
	EMPTY();
}

/*
 * Cancelling
 */

TEST_F(lib, cancel)
{
	struct seen s = { };
	struct asys_closure closure = { see, &s };
	struct asys *a = &self->a;
	int i;

	EXPECT_EQ(-ENOENT, asys_cancel(a, 4));
	for (i = 0; i < 10; i++)
		READ(i);
	ASSERT_EQ(0, asys_submit_requests(a));
	EXPECT_EQ(0, asys_cancel(a, 4));
	EXPECT_EQ(-ENOENT, asys_cancel(a, 4));
	TAKE(4, -ECANCELED);
	EXPECT_EQ(-ENOENT, asys_cancel(a, 4));
	/* Those that are queued still are as good as in flight. */
	for (i = 10; i < 15; i++)
		READ(i);
	EXPECT_EQ(14, asys_cancel_all(a));
	for (i = 0; i < 10; i++) {
		if (i != 4)
			TAKE(i, -ECANCELED);
	}
	for (i = 10; i < 15; i++)
		TAKE(i, -ECANCELED);
	EMPTY();

	QUEUE((uintptr_t)&closure, __NR_read, self->p[0], self->buf, 1);
	EXPECT_EQ(0, asys_step(a, false));
	EXPECT_EQ(0, asys_cancel_closure(a, &closure));
	EXPECT_EQ(0, asys_run(a));
	EXPECT_EQ(1, s.calls);
	EXPECT_EQ(-ECANCELED, s.result);
	EMPTY();
}

/* Awake, and about to go on: it is too late. */
TEST_F(lib, cancel_awake)
{
	struct asys *a = &self->a;
	int tries = 0;
	long ret;

	asys_exit(a);
	ASSERT_EQ(0, asys_init(a, ENTRIES, ASYS_SETUP_DEFER));
	/* Unless a tick comes in between */
	do {
		READ(1);
		ASSERT_EQ(0, asys_submit_requests(a));
		FEED(1);
		ret = asys_cancel(a, 1);
		ASSERT_EQ(0, asys_submit_and_wait(a, 1));
		TAKE(1, 1);
	} while (ret == -ENOENT && ++tries < 100);
	EXPECT_EQ(-EALREADY, ret);
	EMPTY();
}

TEST_F(lib, cancel_queued)
{
	struct asys *a = &self->a;
	struct asys_request *r;
	int i;

	/* 0, 1 to 3, 4, 5 to 7, 8 */
	for (i = 0; i < 9; i++) {
		r = asys_get_request(a);
		asys_prep_write(r, self->p[1], &"abcdefghi"[i], 1);
		asys_set_cookie(r, i);
		if (i == 1 || i == 2 || i == 5 || i == 6)
			asys_set_link(r);
	}
	EXPECT_EQ(0, asys_cancel(a, 6));
	EXPECT_EQ(-ENOENT, asys_cancel(a, 6));
	EXPECT_EQ(0, asys_cancel(a, 4));
	EXPECT_EQ(0, asys_cancel(a, 8));
	EXPECT_EQ(0, asys_cancel(a, 0));
	EXPECT_EQ(-ENOENT, asys_cancel(a, 9));
	EXPECT_EQ(9, asys_pending(a));
	EXPECT_EQ(6, asys_ready(a));
	for (i = 5; i < 8; i++)
		TAKE(i, -ECANCELED);
	EXPECT_EQ(0, asys_submit_and_wait(a, 6));
	for (i = 1; i < 4; i++)
		TAKE(i, 1);
	TAKE(4, -ECANCELED);
	TAKE(8, -ECANCELED);
	TAKE(0, -ECANCELED);
	EXPECT_EQ(3, read(self->p[0], self->buf, 9));
	EXPECT_EQ(0, memcmp(self->buf, "bcd", 3));
	EMPTY();
}

/* A file system that is frozen cannot be written to, nor waited for less. */
TEST_F(lib, cancel_later)
{
	struct asys *a = &self->a;
	struct asys_completion c;
	int fd, dir;

	NEED_ROOT();
	fd = open("/scratch/lib_test", O_RDWR | O_CREAT | O_TRUNC, 0600);
	dir = open("/scratch", O_RDONLY | O_DIRECTORY);
	if (fd < 0 || dir < 0 || ioctl(dir, FIFREEZE, 0))
		SKIP(return, "nothing to freeze");
	QUEUE(1, __NR_write, fd, "x", 1);
	EXPECT_EQ(0, asys_submit_requests(a));
	EXPECT_EQ(-EALREADY, asys_cancel(a, 1));
	EXPECT_EQ(0, ioctl(dir, FITHAW, 0));
	ASSERT_EQ(0, asys_next(a, &c));
	EXPECT_EQ(-ECANCELED, c.return_code);
	EMPTY();
	unlink("/scratch/lib_test");
}

static int frozen;

static void *interrupt_and_thaw(void *home)
{
	usleep(50000);
	MUST(!syscall(__NR_tgkill, getpid(), *(pid_t *)home, SIGUSR1));
	usleep(50000);
	MUST(!ioctl(frozen, FITHAW, 0));
	return NULL;
}

/* asys_exit() waits for such a call, and no signal ends that. */
TEST_F(lib, exit_later)
{
	struct sigaction sa = { .sa_handler = handler };
	struct asys *a = &self->a;
	pid_t me = asys_gettid();
	struct asys_info info;
	pthread_t t;
	int fd;

	NEED_ROOT();
	sigaction(SIGUSR1, &sa, NULL);
	fd = open("/scratch/lib_test", O_RDWR | O_CREAT | O_TRUNC, 0600);
	frozen = open("/scratch", O_RDONLY | O_DIRECTORY);
	if (fd < 0 || frozen < 0 || ioctl(frozen, FIFREEZE, 0))
		SKIP(return, "nothing to freeze");
	QUEUE(1, __NR_write, fd, "x", 1);
	EXPECT_EQ(0, asys_submit_requests(a));
	EXPECT_EQ(0, pthread_create(&t, NULL, interrupt_and_thaw, &me));
	asys_exit(a);
	EXPECT_EQ(SIGUSR1, handled);
	EXPECT_EQ(0, asys_probe(&info));
	EXPECT_EQ(0, info.in_flight);
	pthread_join(t, NULL);
	unlink("/scratch/lib_test");
}

TEST_F(lib, timeout)
{
	struct asys *a = &self->a;
	struct asys_request *r;

	r = asys_get_request(a);
	asys_prep_read(r, self->p[0], self->buf, 1);
	asys_set_timeout(r, 1000);
	asys_set_cookie(r, 1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 1));
	TAKE(1, -ETIMEDOUT);
	EMPTY();
}

TEST_F(lib, event_fd)
{
	struct pollfd pfd = { .events = POLLIN };
	struct asys *a = &self->a;
	uint64_t nr;

	EXPECT_EQ(-EBADF, asys_set_eventfd(a, 999));
	EXPECT_EQ(-EINVAL, asys_set_eventfd(a, self->p[0]));
	pfd.fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, pfd.fd);
	ASSERT_EQ(0, asys_set_eventfd(a, pfd.fd));
	READ(1);
	READ(2);
	QUEUE(3, ASYS_NOP);
	ASSERT_EQ(0, asys_submit_requests(a));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	FEED(1);
	EXPECT_EQ(1, poll(&pfd, 1, -1));
	EXPECT_EQ(8, read(pfd.fd, &nr, 8));
	EXPECT_EQ(1, nr);
	ASSERT_EQ(0, asys_set_eventfd(a, -1));
	FEED(1);
	ASSERT_EQ(0, asys_submit_and_wait(a, 3));
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	TAKE(3, 0);
	TAKE(1, 1);
	TAKE(2, 1);
	EMPTY();
}

/*
 * Threads
 */

#define ROUNDS	500

struct player {
	int in, out, got;
	char byte;
	struct asys_closure closure;
};

static void hit(struct asys *a, long result, void *data)
{
	struct player *p = data;
	struct asys_request *r;

	MUST(result == 1);
	if (++p->got == ROUNDS)
		return;
	r = asys_get_request(a);
	asys_prep_write(r, p->out, "x", 1);
	asys_set_link(r);
	r = asys_get_request(a);
	asys_prep_read(r, p->in, &p->byte, 1);
	asys_set_closure(r, &p->closure);
}

static void *play(void *data)
{
	struct player *p = data;
	struct asys_request *r;
	struct asys a;

	MUST(!asys_init(&a, 2, 0));
	p->closure = (struct asys_closure){ hit, p };
	r = asys_get_request(&a);
	asys_prep_read(r, p->in, &p->byte, 1);
	asys_set_closure(r, &p->closure);
	MUST(!asys_run(&a));
	asys_exit(&a);
	return NULL;
}

/* Two threads that play ball with what each has of its own */
TEST(threads)
{
	struct player p[2] = { };
	pthread_t t[2];
	int i, ball[2][2];

	NEED_ASYS();
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pipe(ball[i]));
		p[i].in = ball[i][0];
		p[!i].out = ball[i][1];
	}
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, play, &p[i]));
	/* A ball for each */
	for (i = 0; i < 2; i++)
		ASSERT_EQ(1, write(ball[i][1], "x", 1));
	for (i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		EXPECT_EQ(ROUNDS, p[i].got);
	}
}

TEST_HARNESS_MAIN
