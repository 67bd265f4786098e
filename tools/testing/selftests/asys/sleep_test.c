// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that sleep, and what wakes them: timers, home, other threads, other
 * CPUs, with home asleep, in another call, or in user mode.
 */
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "asys_test.h"

/* Some have other names in a 32-bit program. */
#ifndef __LP64__
#undef __NR_select
#define __NR_select	__NR__newselect
#define __NR_semop	__NR_semtimedop_time64
#endif

FIXTURE(sleep)
{
	int p[2];
	char buf[64];
};

FIXTURE_SETUP(sleep)
{
	NEED_ASYS();
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(sleep)
{
	close(self->p[0]);
	close(self->p[1]);
}

/*
 * Another thread, and what it is to do: it writes to a descriptor, or wakes a
 * futex, once home is in the state it waits for (0: at once).
 */
struct helper {
	pthread_t thread;
	pid_t home;
	char state;
	int cpu;
	int fd;
	uint32_t *word;
	long ret;
};

static void *helper_main(void *arg)
{
	struct helper *h = arg;

	if (h->cpu >= 0 && pin_to(h->cpu))
		return NULL;
	if (h->state)
		wait_state(getpid(), h->home, h->state);
	if (h->word) {
		__atomic_store_n(h->word, 1, __ATOMIC_SEQ_CST);
		h->ret = futex(h->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	} else {
		h->ret = write(h->fd, "helper", 6);
	}
	return NULL;
}

#define HELPER(h, ...)							\
	struct helper h = { .cpu = -1, .home = asys_gettid(), ##__VA_ARGS__ }; \
	ASSERT_EQ(0, pthread_create(&h.thread, NULL, helper_main, &h))

static int set_ring(struct asys_ring *ring, unsigned int entries)
{
	struct asys_ring_setup setup = {
		.ring = (uintptr_t)ring,
		.entries = entries,
	};

	return syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup));
}

static long enter(struct asys_request *r, unsigned int nr, unsigned int min)
{
	return syscall(__NR_asys_enter, r, nr, min, 0, NULL, 0);
}

static void __call_in_ring(struct asys_request *r, uint64_t cookie, int flags,
			   int nr, int nr_args, const uint64_t *args)
{
	memset(r, 0, sizeof(*r));
	r->nr = nr;
	r->flags = flags;
	r->cookie = cookie;
	memcpy(r->args, args, nr_args * sizeof(*args));
}

#define CALL(r, cookie, flags, nr, ...)					\
	__call_in_ring(r, cookie, flags, nr, NARGS(__VA_ARGS__),	\
		       ARGS(__VA_ARGS__))

/*
 * Time
 */

TEST_F(sleep, nanosleep)
{
	struct timespec ts = { .tv_nsec = 100000000 };
	uint64_t t = now_ns();

	START(1, __NR_nanosleep, &ts, NULL);
	REAP(1, 0);
	EXPECT_LE(100000000, now_ns() - t);
	NOTHING_LEFT();
}

TEST_F(sleep, nanosleep_order)
{
	struct timespec now, ts[10];
	int i, cpu[2];

	/* All timers are of one CPU: it may be late, but not for one of them. */
	two_cpus(cpu);
	ASSERT_EQ(0, pin_to(cpu[0]));
	/* Submitted last, due first */
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (i = 0; i < 10; i++) {
		uint64_t due = now.tv_nsec + 1000000000 - i * 5000000;

		ts[i].tv_sec = now.tv_sec + due / 1000000000;
		ts[i].tv_nsec = due % 1000000000;
		START(i, __NR_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME,
		      &ts[i], NULL);
	}
	for (i = 9; i >= 0; i--)
		REAP(i, 0);
	NOTHING_LEFT();
}

TEST_F(sleep, jiffies_timeout)
{
	struct timeval tv = { .tv_usec = 100000 };
	int s[2];

	/* schedule_timeout() */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	ASSERT_EQ(0, setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	START(1, __NR_recvfrom, s[0], self->buf, 8, 0, NULL, NULL);
	REAP(1, -EAGAIN);
	/* hrtimer with slack */
	START(2, __NR_poll, NULL, 0, 100);
	REAP(2, 0);
	NOTHING_LEFT();
}

/* Each of a thousand has its own timer, and one waker is all of them's. */
TEST_F(sleep, timeouts_1000)
{
	struct timespec ts = { .tv_nsec = 200000000 };
	bool seen[1000] = {};
	struct req *r;
	int i;

	r = calloc(1000, sizeof(*r));
	ASSERT_NE(NULL, r);
	for (i = 0; i < 1000; i++) {
		ts.tv_nsec = 200000000 + i * 1000;
		START(i, __NR_nanosleep, &ts, NULL);
	}
	for (i = 0; i < 1000; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, asys_await(&c));
		ASSERT_GT(1000, c.cookie);
		EXPECT_EQ(0, c.return_code);
		EXPECT_FALSE(seen[c.cookie]);
		seen[c.cookie] = true;
	}
	NOTHING_LEFT();
	free(r);
}

/*
 * The same with schedule_timeout(), each with another timeout: nobody has the
 * time of somebody else.
 */
TEST_F(sleep, jiffies_timeouts_1000)
{
	/* A timer is early by as much as ticks are late, on a busy machine. */
	const uint64_t late = 100000000;
	static uint64_t due[1000];
	int i, s[2], early = 0;
	bool seen[1000] = {};

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	for (i = 0; i < 1000; i++) {
		/* In no order; a call takes its timeout from the socket at once. */
		long us = 200000 + i * 379 % 1000 * 1000;
		struct timeval tv = {
			.tv_sec = us / 1000000, .tv_usec = us % 1000000,
		};

		ASSERT_EQ(0, setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
		due[i] = now_ns() + us * 1000 - late;
		START(i, __NR_recvfrom, s[0], self->buf, 8, 0, NULL, NULL);
	}
	for (i = 0; i < 1000; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, asys_await(&c));
		ASSERT_GT(1000, c.cookie);
		EXPECT_EQ(-EAGAIN, c.return_code);
		early += now_ns() < due[c.cookie];
		EXPECT_FALSE(seen[c.cookie]);
		seen[c.cookie] = true;
	}
	NOTHING_LEFT();
	EXPECT_EQ(0, early);
	/* None of them is left on the queue of the socket. */
	START(1000, __NR_recvfrom, s[0], self->buf, 8, 0, NULL, NULL);
	ASSERT_EQ(5, write(s[1], "hello", 5));
	REAP(1000, 5);
}

/*
 * Pipes and who writes to them
 */

TEST_F(sleep, pipe_home_writes)
{
	START(1, __NR_read, self->p[0], self->buf, 64);
	ASSERT_EQ(5, write(self->p[1], "hello", 5));
	REAP(1, 5);
	EXPECT_EQ(0, memcmp(self->buf, "hello", 5));
	NOTHING_LEFT();
}

TEST_F(sleep, pipe_fibril_writes)
{
	int64_t ret;

	START(1, __NR_read, self->p[0], self->buf, 64);
	ASSERT_EQ(1, try_start(2, &ret, __NR_write, self->p[1], "hello", 5));
	EXPECT_EQ(5, ret);
	REAP(1, 5);
	EXPECT_EQ(0, memcmp(self->buf, "hello", 5));
}

/* Home sleeps in asys_await_completion() when the write comes. */
TEST_F(sleep, pipe_thread_writes)
{
	START(1, __NR_read, self->p[0], self->buf, 64);
	HELPER(h, .fd = self->p[1], .state = 'S');
	REAP(1, 6);
	EXPECT_EQ(0, memcmp(self->buf, "helper", 6));
	pthread_join(h.thread, NULL);
	EXPECT_EQ(6, h.ret);
}

/*
 * Home is in user mode, makes no system call, and sees the data: the fibril
 * ran on an interrupt from the other CPU.
 */
TEST_F(sleep, pipe_other_cpu_home_spins)
{
	volatile char *buf = self->buf;
	int cpu[2], i;

	if (two_cpus(cpu) < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, pin_to(cpu[0]));
	for (i = 0; i < 100; i++) {
		buf[5] = 0;
		START(i, __NR_read, self->p[0], self->buf, 6);
		HELPER(h, .fd = self->p[1], .cpu = cpu[1]);
		while (buf[5] != 'r')
			;
		REAP(i, 6);
		pthread_join(h.thread, NULL);
	}
	NOTHING_LEFT();
}

/* The interrupt of a timer comes to the CPU on which home spins. */
TEST_F(sleep, timer_irq_home_spins)
{
	struct itimerspec it = { .it_value.tv_nsec = 1000000 };
	volatile uint64_t ticks;
	int cpu[2], fd, i, s;
	int64_t ret;

	two_cpus(cpu);
	ASSERT_EQ(0, pin_to(cpu[0]));
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < 20; i++) {
		ticks = 0;
		ASSERT_EQ(0, timerfd_settime(fd, 0, &it, NULL));
		s = try_start(i, &ret, __NR_read, fd, &ticks, 8);
		ASSERT_LE(0, s);
		if (s) {
			/* The timer was first: give a slow machine more time. */
			it.it_value.tv_nsec *= 2;
			ASSERT_GT(1000000000, it.it_value.tv_nsec);
			i--;
			continue;
		}
		while (!ticks)
			;
		EXPECT_EQ(1, ticks);
		REAP(i, 8);
	}
	close(fd);
}

/*
 * The interrupt comes to another CPU, the one on which the timer was set: who is
 * there spins, so that it is not moved. Nobody else makes a call meanwhile.
 */
struct setter {
	pthread_t thread;
	int cpu;
	int fd;
	volatile uint64_t *ticks;
	pid_t home;
	int err;
};

static void *setter_main(void *arg)
{
	struct itimerspec it = { .it_value.tv_nsec = 1000000 };
	struct setter *s = arg;

	s->err = pin_to(s->cpu);
	if (s->home)
		wait_state(getpid(), s->home, 'S');
	s->err |= timerfd_settime(s->fd, 0, &it, NULL);
	while (!s->err && !*s->ticks)
		;
	return NULL;
}

TEST_F(sleep, timer_irq_other_cpu)
{
	volatile uint64_t ticks;
	int cpu[2], fd, i;

	if (two_cpus(cpu) < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, pin_to(cpu[0]));
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < 40; i++) {
		struct setter s = {
			.cpu = cpu[1], .fd = fd, .ticks = &ticks,
			/* Home spins, or it sleeps. */
			.home = i & 1 ? asys_gettid() : 0,
		};

		ticks = 0;
		START(i, __NR_read, fd, &ticks, 8);
		ASSERT_EQ(0, pthread_create(&s.thread, NULL, setter_main, &s));
		while (!s.home && !ticks)
			;
		REAP(i, 8);
		EXPECT_EQ(1, ticks);
		ASSERT_EQ(0, pthread_join(s.thread, NULL));
		EXPECT_EQ(0, s.err);
	}
	NOTHING_LEFT();
	close(fd);
}

/* Two threads, each with calls that the other one's writes end. */
static void *ping_pong(void *arg)
{
	struct asys_completion c;
	int *fd = arg, i;
	int64_t ret;
	char byte;

	for (i = 0; i < 2000; i++) {
		int s = try_start(i, &ret, __NR_read, fd[0], &byte, 1);

		if (s < 0)
			return "submit";
		if (write(fd[1], "x", 1) != 1)
			return "write";
		if (s == 0) {
			if (asys_await(&c) || c.cookie != (unsigned int)i)
				return "await";
			ret = c.return_code;
		}
		if (ret != 1)
			return "result";
	}
	return NULL;
}

TEST_F(sleep, ping_pong)
{
	int q[2], a[2], b[2];
	pthread_t thread;
	char *why;
	void *ret;

	ASSERT_EQ(0, pipe(q));
	a[0] = self->p[0];
	a[1] = q[1];
	b[0] = q[0];
	b[1] = self->p[1];
	ASSERT_EQ(0, pthread_create(&thread, NULL, ping_pong, a));
	why = ping_pong(b);
	ASSERT_EQ(NULL, why) {
		TH_LOG("%s", why);
	}
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret) {
		TH_LOG("%s", (char *)ret);
	}
}

/*
 * Home sleeps in a call of its own: what wakes fibrils does not wake it, and
 * what wakes it is not for them.
 */
TEST_F(sleep, home_sleeps_elsewhere)
{
	uint32_t word = 0, fibril_word = 0;
	int i;

	for (i = 0; i < 10; i++)
		START(i, __NR_futex, &fibril_word, FUTEX_WAIT, 0, NULL, NULL, 0);
	START(10, __NR_read, self->p[0], self->buf, 6);
	HELPER(a, .word = &fibril_word, .state = 'S');
	HELPER(b, .fd = self->p[1], .state = 'S');
	pthread_join(a.thread, NULL);
	pthread_join(b.thread, NULL);
	EXPECT_EQ(10, a.ret);

	HELPER(home, .word = &word, .state = 'S');
	ASSERT_EQ(0, futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0));
	ASSERT_EQ(1, __atomic_load_n(&word, __ATOMIC_SEQ_CST));
	pthread_join(home.thread, NULL);
	EXPECT_EQ(1, home.ret);
	for (i = 0; i < 11; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(c.cookie == 10 ? 6 : 0, c.return_code);
	}
	NOTHING_LEFT();
}

/* A full pipe: the writer is the one that sleeps. */
TEST_F(sleep, pipe_full)
{
	static char data[65536 + 4096], back[sizeof(data)];
	size_t i, n = 0;

	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + (i >> 8);
	START(1, __NR_write, self->p[1], data, sizeof(data));
	while (n < sizeof(data)) {
		ssize_t got = read(self->p[0], back + n, sizeof(data) - n);

		ASSERT_LT(0, got);
		n += got;
	}
	REAP(1, sizeof(data));
	EXPECT_EQ(0, memcmp(data, back, sizeof(data)));
}

TEST_F(sleep, splice)
{
	int q[2];

	ASSERT_EQ(0, pipe(q));
	START(1, __NR_splice, self->p[0], NULL, q[1], NULL, 100, 0);
	START(2, __NR_read, q[0], self->buf, 64);
	ASSERT_EQ(7, write(self->p[1], "spliced", 7));
	REAP(1, 7);
	REAP(2, 7);
	EXPECT_EQ(0, memcmp(self->buf, "spliced", 7));
	START(3, __NR_tee, self->p[0], q[1], 100, 0);
	ASSERT_EQ(3, write(self->p[1], "tee", 3));
	REAP(3, 3);
	NOTHING_LEFT();
}

/* Opening one end of a FIFO waits for the other one. */
TEST_F(sleep, fifo_open)
{
	char dir[] = "/tmp/asysXXXXXX", path[64];
	struct asys_completion c;
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	ASSERT_EQ(0, mkfifo(path, 0600));
	START(1, __NR_openat, AT_FDCWD, path, O_RDONLY, 0);
	fd = open(path, O_WRONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, asys_await(&c));
	ASSERT_LT(0, c.return_code);
	ASSERT_EQ(4, write(fd, "fifo", 4));
	ASSERT_EQ(4, read(c.return_code, self->buf, 64));
	unlink(path);
	rmdir(dir);
}

/*
 * Sockets
 */

TEST_F(sleep, unix_stream)
{
	int s[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	START(1, __NR_read, s[0], self->buf, 64);
	ASSERT_EQ(5, write(s[1], "hello", 5));
	REAP(1, 5);
	START(2, __NR_recvfrom, s[0], self->buf, 64, 0, NULL, NULL);
	HELPER(h, .fd = s[1], .state = 'S');
	REAP(2, 6);
	pthread_join(h.thread, NULL);
	/* End of file is an event too. */
	START(3, __NR_read, s[0], self->buf, 64);
	close(s[1]);
	REAP(3, 0);
}

TEST_F(sleep, unix_dgram_full)
{
	int64_t ret = 1;
	int s[2], n, i;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	for (n = 0; ; n++) {
		int state = try_start(n, &ret, __NR_write, s[1], "dgram", 5);

		ASSERT_LE(0, state);
		if (!state)
			break;
		ASSERT_EQ(5, ret);
	}
	for (i = 0; i <= n; i++)
		ASSERT_EQ(5, read(s[0], self->buf, 64));
	REAP(n, 5);
}

/* Packets over loopback come from a softirq. */
TEST_F(sleep, tcp)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	struct asys_completion c;
	int l, s, i;

	l = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, l);
	ASSERT_EQ(0, bind(l, (void *)&addr, len));
	ASSERT_EQ(0, listen(l, 8));
	ASSERT_EQ(0, getsockname(l, (void *)&addr, &len));

	START(1, __NR_accept4, l, NULL, NULL, 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(s, (void *)&addr, len))
		SKIP(return, "no loopback: %s", strerror(errno));
	ASSERT_EQ(0, asys_await(&c));
	ASSERT_EQ(1, c.cookie);
	ASSERT_LT(0, c.return_code);
	for (i = 0; i < 10; i++) {
		START(i, __NR_recvfrom, s, self->buf, 5, MSG_WAITALL, NULL, NULL);
		/* Half of it is not enough. */
		ASSERT_EQ(2, write(c.return_code, "he", 2));
		ASSERT_EQ(3, write(c.return_code, "llo", 3));
		REAP(i, 5);
	}
	START(11, __NR_read, s, self->buf, 64);
	ASSERT_EQ(0, shutdown(c.return_code, SHUT_WR));
	REAP(11, 0);
}

TEST_F(sleep, udp)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int a, b;

	a = socket(AF_INET, SOCK_DGRAM, 0);
	b = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, bind(a, (void *)&addr, len));
	ASSERT_EQ(0, getsockname(a, (void *)&addr, &len));
	START(1, __NR_recvfrom, a, self->buf, 64, 0, NULL, NULL);
	START(2, __NR_recvfrom, a, self->buf, 64, 0, NULL, NULL);
	if (sendto(b, "one", 3, 0, (void *)&addr, len) != 3)
		SKIP(return, "no loopback: %s", strerror(errno));
	REAP(1, 3);
	ASSERT_EQ(2, sendto(b, "10", 2, 0, (void *)&addr, len));
	REAP(2, 2);
}

/*
 * Waiting for one of several
 */

TEST_F(sleep, poll)
{
	struct pollfd fds[2];
	int q[2], i;

	ASSERT_EQ(0, pipe(q));
	for (i = 0; i < 2; i++) {
		memset(fds, 0, sizeof(fds));
		fds[0].fd = self->p[0];
		fds[1].fd = q[0];
		fds[0].events = POLLIN;
		fds[1].events = POLLIN;
		START(1, __NR_poll, fds, 2, -1);
		ASSERT_EQ(1, write(i ? q[1] : self->p[1], "x", 1));
		REAP(1, 1);
		EXPECT_EQ(POLLIN, fds[i].revents);
		EXPECT_EQ(0, fds[!i].revents);
		ASSERT_EQ(1, read(i ? q[0] : self->p[0], self->buf, 64));
	}
	START(2, __NR_poll, fds, 2, -1);
	close(q[1]);
	REAP(2, 1);
	EXPECT_EQ(POLLHUP, fds[1].revents);
}

TEST_F(sleep, poll_thread)
{
	struct pollfd fd = { .fd = self->p[0], .events = POLLIN };

	START(1, __NR_poll, &fd, 1, -1);
	HELPER(h, .fd = self->p[1], .state = 'S');
	REAP(1, 1);
	EXPECT_EQ(POLLIN, fd.revents);
	pthread_join(h.thread, NULL);
}

TEST_F(sleep, select)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(self->p[0], &set);
	START(1, __NR_select, self->p[0] + 1, &set, NULL, NULL, NULL);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
	EXPECT_TRUE(FD_ISSET(self->p[0], &set));
}

TEST_F(sleep, epoll)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 42 }, out[4];
	int ep, fd;

	ep = epoll_create1(0);
	fd = eventfd(0, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	START(1, __NR_epoll_wait, ep, out, 4, -1);
	ASSERT_EQ(0, eventfd_write(fd, 1));
	REAP(1, 1);
	EXPECT_EQ(42, out[0].data.u64);
	ASSERT_EQ(8, read(fd, self->buf, 8));

	ev.data.u64 = 43;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->p[0], &ev));
	START(2, __NR_epoll_pwait, ep, out, 4, -1, NULL, 8);
	HELPER(h, .fd = self->p[1], .state = 'S');
	REAP(2, 1);
	EXPECT_EQ(43, out[0].data.u64);
	pthread_join(h.thread, NULL);
}

/*
 * Waiters for one event are woken one by one: a wake-up that went to a context
 * that did not wait would be lost to the one that does.
 */
TEST_F(sleep, epoll_exclusive)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, out[8];
	int ep, fd, i;

	ep = epoll_create1(0);
	fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	for (i = 0; i < 8; i++)
		START(i, __NR_epoll_wait, ep, &out[i], 1, -1);
	for (i = 0; i < 8; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, eventfd_write(fd, 1));
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(1, c.return_code);
	}
	NOTHING_LEFT();
}

/* One byte, one reader */
TEST_F(sleep, pipe_many_readers)
{
	bool seen[200] = {};
	int i;

	for (i = 0; i < 200; i++)
		START(i, __NR_read, self->p[0], self->buf, 1);
	for (i = 0; i < 200; i++) {
		struct asys_completion c;

		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(1, c.return_code);
		EXPECT_FALSE(seen[c.cookie]);
		seen[c.cookie] = true;
	}
	NOTHING_LEFT();
}

/*
 * Futexes
 */

TEST_F(sleep, futex_home_wakes)
{
	uint32_t word = 0;

	START(1, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	EXPECT_EQ(1, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	REAP(1, 0);
	EXPECT_EQ(-EAGAIN, acall(__NR_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0));
	NOTHING_LEFT();
}

static void *futex_waiter(void *arg)
{
	return (void *)(long)futex(arg, FUTEX_WAIT, 0, NULL, NULL, 0);
}

/* A fibril wakes a thread: the wake call itself does not sleep. */
TEST_F(sleep, futex_fibril_wakes)
{
	pthread_t thread;
	uint32_t word = 0;
	int64_t n = 0;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, futex_waiter, &word));
	while (!n)
		ASSERT_EQ(1, try_start(1, &n, __NR_futex, &word, FUTEX_WAKE, 1));
	EXPECT_EQ(1, n);
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
}

TEST_F(sleep, futex_thread_wakes)
{
	uint32_t word = 0;

	START(1, __NR_futex, &word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 4);
	HELPER(h, .word = &word, .state = 'S');
	REAP(1, 0);
	pthread_join(h.thread, NULL);
	EXPECT_EQ(1, h.ret);
}

/* One wake-up of two waiters of the same task: the second one is not lost. */
TEST_F(sleep, futex_two_in_one_wake)
{
	uint32_t word = 0;
	int i;

	for (i = 0; i < 200; i++) {
		struct asys_completion c[2];

		START(1, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		START(2, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		ASSERT_EQ(2, futex(&word, FUTEX_WAKE, 2, NULL, NULL, 0));
		ASSERT_EQ(0, asys_await(&c[0]));
		ASSERT_EQ(0, asys_await(&c[1]));
		EXPECT_EQ(0, c[0].return_code);
		EXPECT_EQ(0, c[1].return_code);
		EXPECT_EQ(3, c[0].cookie + c[1].cookie);
	}
	/* The same from another thread, with home asleep */
	for (i = 0; i < 50; i++) {
		struct asys_completion c[2];

		word = 0;
		START(1, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		START(2, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
		HELPER(h, .word = &word, .state = 'S');
		ASSERT_EQ(0, asys_await(&c[0]));
		ASSERT_EQ(0, asys_await(&c[1]));
		EXPECT_EQ(3, c[0].cookie + c[1].cookie);
		pthread_join(h.thread, NULL);
		EXPECT_EQ(2, h.ret);
	}
}

/* Home and a fibril in the same wake-up */
TEST_F(sleep, futex_home_and_fibril)
{
	uint32_t word = 0;

	START(1, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	HELPER(h, .word = &word, .state = 'S');
	ASSERT_EQ(0, futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0));
	pthread_join(h.thread, NULL);
	EXPECT_EQ(2, h.ret);
	REAP(1, 0);
}

/*
 * What a call that has slept does next ends home's sleep, and what home does
 * then ends that of another one.
 */
TEST_F(sleep, futex_fibril_wakes_home)
{
	struct asys_request r[4];
	struct asys_ring *ring;
	uint32_t word, other;
	int i;

	ring = calloc(1, sizeof(*ring) + 4 * sizeof(ring->completions[0]));
	ASSERT_NE(NULL, ring);
	ASSERT_EQ(0, set_ring(ring, 4));
	for (i = 0; i < 50; i++) {
		struct asys_completion *c = ring->completions;

		word = 0;
		other = 0;
		/* Read, and wake home; sleep, and write to the pipe. */
		CALL(&r[0], 0, ASYS_R_LINK, __NR_read, self->p[0], self->buf, 6);
		CALL(&r[1], 1, 0, __NR_futex, &word, FUTEX_WAKE, 1);
		CALL(&r[2], 2, ASYS_R_LINK, __NR_futex, &other, FUTEX_WAIT, 0,
		     NULL, NULL, 0);
		CALL(&r[3], 3, 0, __NR_write, self->p[1], "fibril", 6);
		ring->head = ring->tail;
		ASSERT_EQ(4, enter(r, 4, 0));
		ASSERT_EQ(ring->head, ring->tail);

		HELPER(h, .fd = self->p[1], .state = 'S');
		ASSERT_EQ(0, futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0));
		EXPECT_EQ(0, memcmp(self->buf, "helper", 6));
		pthread_join(h.thread, NULL);
		EXPECT_EQ(6, h.ret);

		ASSERT_EQ(1, futex(&other, FUTEX_WAKE, 1, NULL, NULL, 0));
		ASSERT_EQ(6, read(self->p[0], self->buf, 64));
		EXPECT_EQ(0, memcmp(self->buf, "fibril", 6));

		ASSERT_EQ(0, enter(NULL, 0, 4));
		EXPECT_EQ(4, ring->tail - ring->head);
		EXPECT_EQ(0, c[0].cookie);
		EXPECT_EQ(6, c[0].return_code);
		EXPECT_EQ(1, c[1].cookie);
		EXPECT_EQ(1, c[1].return_code);
		EXPECT_EQ(2, c[2].cookie);
		EXPECT_EQ(0, c[2].return_code);
		EXPECT_EQ(3, c[3].cookie);
		EXPECT_EQ(6, c[3].return_code);
	}
	ASSERT_EQ(0, set_ring(NULL, 0));
	free(ring);
}

/* One is woken, and only one. */
TEST_F(sleep, futex_wakes_one)
{
	struct asys_completion c;
	uint32_t word = 0;
	int i;

	for (i = 0; i < 3; i++)
		START(i, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	ASSERT_EQ(1, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	ASSERT_EQ(0, asys_await(&c));
	EXPECT_EQ(0, c.return_code);
	ASSERT_EQ(2, futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0));
	ASSERT_EQ(0, asys_await(&c));
	ASSERT_EQ(0, asys_await(&c));
	NOTHING_LEFT();
}

TEST_F(sleep, futex_requeue)
{
	uint32_t a = 0, b = 0;

	START(1, __NR_futex, &a, FUTEX_WAIT, 0, NULL, NULL, 0);
	ASSERT_EQ(1, futex(&a, FUTEX_CMP_REQUEUE, 0, (void *)1, &b, 0));
	ASSERT_EQ(0, futex(&a, FUTEX_WAKE, 1, NULL, NULL, 0));
	ASSERT_EQ(1, futex(&b, FUTEX_WAKE, 1, NULL, NULL, 0));
	REAP(1, 0);
}

TEST_F(sleep, futex_timeout)
{
	struct timespec ts = { .tv_nsec = 100000000 };
	uint32_t word = 0;

	START(1, __NR_futex, &word, FUTEX_WAIT, 0, &ts, NULL, 0);
	REAP(1, -ETIMEDOUT);
	EXPECT_EQ(0, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

TEST_F(sleep, futex_waitv)
{
	struct futex_waitv w[4];
	uint32_t word[4] = {};
	int i;

	memset(w, 0, sizeof(w));
	for (i = 0; i < 4; i++) {
		w[i].uaddr = (uintptr_t)&word[i];
		w[i].flags = FUTEX_32 | FUTEX_PRIVATE_FLAG;
	}
	for (i = 0; i < 4; i++) {
		START(i, __NR_futex_waitv, w, 4, 0, NULL, 0);
		ASSERT_EQ(1, futex(&word[i], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
		REAP(i, i);
	}
}

/*
 * Locks, children, messages, notifications
 */

TEST_F(sleep, flock)
{
	int a, b;

	a = open("/tmp/asys-flock", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, a);
	b = open("/tmp/asys-flock", O_RDWR);
	unlink("/tmp/asys-flock");
	ASSERT_EQ(0, flock(a, LOCK_EX));
	START(1, __NR_flock, b, LOCK_EX);
	ASSERT_EQ(0, flock(a, LOCK_UN));
	REAP(1, 0);
	ASSERT_EQ(-1, flock(a, LOCK_EX | LOCK_NB));
	ASSERT_EQ(EAGAIN, errno);
	/* Two in the queue */
	START(2, __NR_flock, a, LOCK_EX);
	close(b);
	REAP(2, 0);
}

TEST_F(sleep, fcntl_lock)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct flock unlock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	int a, b;

	a = open("/tmp/asys-lock", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, a);
	b = open("/tmp/asys-lock", O_RDWR);
	unlink("/tmp/asys-lock");
	ASSERT_EQ(0, fcntl(a, F_OFD_SETLK, &lock));
	START(1, __NR_fcntl, b, F_OFD_SETLKW, &lock);
	ASSERT_EQ(0, fcntl(a, F_OFD_SETLK, &unlock));
	REAP(1, 0);
	close(a);
	close(b);
}

TEST_F(sleep, waitid)
{
	siginfo_t info = {};
	int status, i;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		int q[2];

		ASSERT_EQ(0, pipe(q));
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			close(q[1]);
			MUST(read(q[0], self->buf, 1) == 0);
			_exit(40 + i);
		}
		if (i)
			START(i, __NR_wait4, pid[i], &status, 0, NULL);
		else
			START(i, __NR_waitid, P_PID, pid[i], &info, WEXITED, NULL);
		close(q[0]);
		close(q[1]);
		REAP(i, i ? pid[i] : 0);
	}
	EXPECT_EQ(pid[0], info.si_pid);
	EXPECT_EQ(40, info.si_status);
	EXPECT_EQ(41, WEXITSTATUS(status));
	NOTHING_LEFT();
}

/*
 * A child that ends wakes whatever the task does: home, which waits for a signal
 * in one sleep, is none the wiser, and goes on waiting.
 */
TEST_F(sleep, sigtimedwait)
{
	struct timespec long_time = { .tv_sec = 1000 }, short_time = { .tv_nsec = 1 };
	pid_t me = getpid(), child, sender;
	siginfo_t info;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	for (i = 0; i < 2; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			wait_state(me, me, 'S');
			_exit(0);
		}
		START(1, __NR_waitid, P_PID, child, &info, WEXITED, NULL);
		sender = fork();
		ASSERT_LE(0, sender);
		if (!sender) {
			/* Until it has been waited for, and home sleeps again */
			while (!kill(child, 0))
				sched_yield();
			wait_state(me, me, 'S');
			MUST(!kill(me, SIGUSR1));
			_exit(0);
		}
		EXPECT_EQ(SIGUSR1, sigtimedwait(&set, NULL, i ? &long_time : NULL));
		REAP(1, 0);
		EXITS(sender, 0);
	}
	EXPECT_EQ(-1, sigtimedwait(&set, NULL, &short_time));
	EXPECT_EQ(EAGAIN, errno);
	NOTHING_LEFT();
}

/*
 * Of several messages that a task wants to send, the first two do not fit yet,
 * and the third does.
 */
TEST_F(sleep, msgsnd)
{
	struct message { long type; char text[100]; } in, out = { .type = 1 };
	struct msqid_ds ds;
	int id;

	id = msgget(IPC_PRIVATE, 0600);
	if (id < 0 && errno == ENOSYS)
		SKIP(return, "no System V messages");
	ASSERT_LE(0, id);
	ASSERT_EQ(0, msgctl(id, IPC_STAT, &ds));
	ds.msg_qbytes = 100;
	ASSERT_EQ(0, msgctl(id, IPC_SET, &ds));
	ASSERT_EQ(0, msgsnd(id, &out, 50, 0));
	ASSERT_EQ(0, msgsnd(id, &out, 50, 0));
	START(1, __NR_msgsnd, id, &out, 95, 0);
	START(2, __NR_msgsnd, id, &out, 85, 0);
	START(3, __NR_msgsnd, id, &out, 10, 0);
	/* 50 are left */
	ASSERT_EQ(50, msgrcv(id, &in, 100, 0, 0));
	REAP(3, 0);
	/* 10 */
	ASSERT_EQ(50, msgrcv(id, &in, 100, 0, 0));
	REAP(2, 0);
	/* 85, and none */
	ASSERT_EQ(10, msgrcv(id, &in, 100, 0, 0));
	ASSERT_EQ(85, msgrcv(id, &in, 100, 0, 0));
	REAP(1, 0);
	ASSERT_EQ(95, msgrcv(id, &in, 100, 0, 0));
	NOTHING_LEFT();
	ASSERT_EQ(0, msgctl(id, IPC_RMID, NULL));
}

TEST_F(sleep, msgrcv)
{
	struct { long type; char text[16]; } in, out = { .type = 3, .text = "msg" };
	int id;

	id = msgget(IPC_PRIVATE, 0600);
	if (id < 0 && errno == ENOSYS)
		SKIP(return, "no System V messages");
	ASSERT_LE(0, id);
	START(1, __NR_msgrcv, id, &in, 16, 3, 0);
	/* Not what it waits for */
	out.type = 2;
	ASSERT_EQ(0, msgsnd(id, &out, 16, 0));
	out.type = 3;
	ASSERT_EQ(0, msgsnd(id, &out, 4, 0));
	REAP(1, 4);
	EXPECT_STREQ("msg", in.text);
	START(2, __NR_msgrcv, id, &in, 16, 4, 0);
	ASSERT_EQ(0, msgctl(id, IPC_RMID, NULL));
	REAP(2, -EIDRM);
}

TEST_F(sleep, semop)
{
	struct sembuf down = { 0, -2, 0 }, up = { 0, 1, 0 };
	int id, i;

	id = semget(IPC_PRIVATE, 1, 0600);
	if (id < 0 && errno == ENOSYS)
		SKIP(return, "no System V semaphores");
	ASSERT_LE(0, id);
	for (i = 0; i < 2; i++) {
		/* With SEM_UNDO, from two contexts of a task that had none */
		down.sem_flg = i ? SEM_UNDO : 0;
		START(1, __NR_semop, id, &down, 1);
		ASSERT_EQ(0, semop(id, &up, 1));
		ASSERT_EQ(0, semop(id, &up, 1));
		REAP(1, 0);
		EXPECT_EQ(0, semctl(id, 0, GETVAL));
	}
	START(2, __NR_semop, id, &down, 1);
	ASSERT_EQ(0, semctl(id, 0, IPC_RMID));
	REAP(2, -EIDRM);
}

TEST_F(sleep, mq)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 16 };
	mqd_t mq;

	mq = mq_open("/asys_sleep", O_RDWR | O_CREAT, 0600, &attr);
	if (mq < 0 && errno == ENOSYS)
		SKIP(return, "no POSIX messages");
	ASSERT_LE(0, mq);
	mq_unlink("/asys_sleep");
	START(1, __NR_mq_timedreceive, mq, self->buf, 16, NULL, NULL);
	ASSERT_EQ(0, mq_send(mq, "message", 8, 0));
	REAP(1, 8);
	EXPECT_STREQ("message", self->buf);
	ASSERT_EQ(0, mq_send(mq, "full", 5, 0));
	START(2, __NR_mq_timedsend, mq, "more", 5, 0, NULL);
	ASSERT_EQ(5, mq_receive(mq, self->buf, 16, NULL));
	REAP(2, 0);
	mq_close(mq);
}

TEST_F(sleep, inotify)
{
	char dir[] = "/tmp/asysXXXXXX", path[64];
	struct inotify_event *ev;
	char buf[256];
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/new", dir);
	fd = inotify_init();
	if (fd < 0)
		SKIP(rmdir(dir); return, "no inotify");
	ASSERT_LE(0, inotify_add_watch(fd, dir, IN_CREATE));
	START(1, __NR_read, fd, buf, sizeof(buf));
	ASSERT_EQ(0, mkdir(path, 0700));
	REAP(1, sizeof(*ev) + 16);
	ev = (void *)buf;
	EXPECT_STREQ("new", ev->name);
	rmdir(path);
	rmdir(dir);
}

TEST_F(sleep, eventfd)
{
	uint64_t value = 0;
	int fd;

	fd = eventfd(0, EFD_SEMAPHORE);
	START(1, __NR_read, fd, &value, 8);
	START(2, __NR_read, fd, &value, 8);
	ASSERT_EQ(0, eventfd_write(fd, 2));
	REAP(1, 8);
	REAP(2, 8);
	EXPECT_EQ(1, value);
	close(fd);
}

TEST_F(sleep, pidfd_poll)
{
	struct pollfd fd = { .events = POLLIN };
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->p[1]);
		MUST(read(self->p[0], self->buf, 1) == 0);
		_exit(0);
	}
	fd.fd = syscall(__NR_pidfd_open, pid, 0);
	ASSERT_LE(0, fd.fd);
	START(1, __NR_poll, &fd, 1, -1);
	close(self->p[1]);
	REAP(1, 1);
	EXITS(pid, 0);
}

/* Terminals: the reader of one side waits for the writer of the other. */
TEST_F(sleep, pty)
{
	int master, slave, unlock = 0, n, len;
	char path[32];

	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (master < 0)
		SKIP(return, "no pseudo terminals");
	ASSERT_EQ(0, ioctl(master, TIOCSPTLCK, &unlock));
	ASSERT_EQ(0, ioctl(master, TIOCGPTN, &n));
	snprintf(path, sizeof(path), "/dev/pts/%d", n);
	slave = open(path, O_RDWR | O_NOCTTY);
	if (slave < 0)
		SKIP(return, "no %s", path);
	START(1, __NR_read, slave, self->buf, 64);
	ASSERT_EQ(5, write(master, "line\n", 5));
	REAP(1, 5);
	/* Its echo, which comes in pieces */
	for (n = 0; n < 6; n += len) {
		len = read(master, self->buf, 6 - n);
		ASSERT_LT(0, len);
	}
	START(2, __NR_read, master, self->buf, 64);
	ASSERT_EQ(3, write(slave, "out", 3));
	REAP(2, 3);
}

TEST_F(sleep, aio)
{
	uint64_t ctx = 0;
	char ev[32];
	int64_t ret;

	ret = acall(__NR_io_setup, 4, &ctx);
	if (ret == -ENOSYS)
		SKIP(return, "no aio");
	ASSERT_EQ(0, ret);
	START(1, __NR_io_getevents, ctx, 1, 1, ev, NULL);
	/* The context goes, and with it who waits. */
	ASSERT_EQ(0, syscall(__NR_io_destroy, ctx));
	REAP(1, -EINVAL);
}

TEST_HARNESS_MAIN
