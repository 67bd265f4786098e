// SPDX-License-Identifier: GPL-2.0
/* Calls that sleep. */
#include <sys/socket.h>

#include "bench.h"

#define OBJECTS		64

static int in[OBJECTS], out[OBJECTS];
static char byte[OBJECTS];
static int data;
static char buf[OBJECTS][PAGE];

static bool pipes_setup(const struct row *row)
{
	int i, p[2];

	(void)row;
	for (i = 0; i < OBJECTS; i++) {
		if (pipe(p))
			err(1, "pipe");
		in[i] = p[0];
		out[i] = p[1];
	}
	return true;
}

static bool sockets_setup(const struct row *row)
{
	int i, s[2];

	(void)row;
	for (i = 0; i < OBJECTS; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
			err(1, "socketpair");
		in[i] = s[0];
		out[i] = s[1];
	}
	return true;
}

static void wake(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct call c = CALL(__NR_write, out[i], P("x"), 1);

		if (make_call(&c) != 1)
			err(1, "write");
	}
}

static long one(unsigned int i)
{
	(void)i;
	return 1;
}

/*
 * Reads that begin before anything is written: what is measured is reading,
 * writing, waking, and learning of it.
 */
#define ROW_SLEEP(name) \
static void name##_uring(unsigned int n) \
{ \
	uring_start(name##_sqe, n); \
	name##_wake(n); \
	uring_reap(n); \
} \
static void name##_pool(unsigned int n) \
{ \
	unsigned int i; \
 \
	for (i = 0; i < n; i++) \
		jobs[i] = name##_call(i); \
	pool_start(n); \
	name##_wake(n); \
	pool_wait(); \
} \
static void name##_asys(unsigned int n) \
{ \
	asys_start(name##_call, n); \
	name##_wake(n); \
	asys_reap(n); \
}

__inline_all struct call pipe_call(unsigned int i)
{
	return CALL(__NR_read, in[i], P(&byte[i]), 1);
}

__inline_all void pipe_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_read(sqe, in[i], &byte[i], 1, -1);
}

__inline_all struct call socket_call(unsigned int i)
{
	return CALL(__NR_recvfrom, in[i], P(&byte[i]), 1, 0, 0, 0);
}

__inline_all void socket_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_recv(sqe, in[i], &byte[i], 1, 0);
}

#define pipe_wake	wake
#define socket_wake	wake

ROW_SLEEP(pipe)
ROW_SLEEP(socket)

static void pipe_submit(unsigned int n)
{
	submit_start(pipe_call, 0, n);
	wake(n);
	submit_reap(n);
}

/* Most read what is there, every tenth one sleeps in a pipe. */

static bool mixed_setup(const struct row *row)
{
	int i;

	pipes_setup(row);
	data = open("/tmp/asys-bench-mixed", O_CREAT | O_RDWR, 0644);
	for (i = 0; i < OBJECTS; i++)
		if (pwrite(data, buf[i], PAGE, i * PAGE) != PAGE)
			err(1, "write");
	return true;
}

static long mixed(unsigned int i)
{
	return i % 10 == 9 ? 1 : PAGE;
}

static void mixed_wake(unsigned int n)
{
	wake(n / 10);
}

__inline_all struct call mixed_call(unsigned int i)
{
	if (i % 10 == 9)
		return CALL(__NR_read, in[i / 10], P(&byte[i]), 1, 0);
	return CALL(__NR_pread64, data, P(buf[i]), PAGE, i * PAGE);
}

__inline_all void mixed_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	if (i % 10 == 9)
		io_uring_prep_read(sqe, in[i / 10], &byte[i], 1, -1);
	else
		io_uring_prep_read(sqe, data, buf[i], PAGE, i * PAGE);
}

ROW_SLEEP(mixed)

/* nanosleep: all for the same time */

static const struct timespec nap = { .tv_nsec = 200000 };
static struct __kernel_timespec uring_nap = { .tv_nsec = 200000 };

__inline_all struct call nanosleep_call(unsigned int i)
{
	(void)i;
	return CALL(__NR_nanosleep, P(&nap), 0);
}

__inline_all void nanosleep_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	(void)i;
	io_uring_prep_timeout(sqe, &uring_nap, 0, IORING_TIMEOUT_ETIME_SUCCESS);
}

ROW_CALL(nanosleep)
ROW_URING(nanosleep)

static long slept(unsigned int i)
{
	/* io_uring reports that the time is over as an error. */
	return result[i] == -ETIME ? -ETIME : 0;
}

/* A thread sleeps in one call at a time. */
#define SLEEP(name)	.uring = name##_uring, .pool = name##_pool, .asys = name##_asys, \
	.peers = ~(1 << POOL4)

const struct row sleep_rows[] = {
	{ "pipe read that sleeps", .batch = 32, .setup = pipes_setup, .expect = one,
	  SLEEP(pipe) },
	{ "pipe read, asys_submit", .batch = 32, .setup = pipes_setup, .prime = drop_ring,
	  .expect = one, .asys = pipe_submit },
	{ "socket read that sleeps", .batch = 32, .setup = sockets_setup, .expect = one,
	  SLEEP(socket) },
	{ "nanosleep", .batch = 32, .rounds = 10, .idles = true, .expect = slept,
	  .plain = nanosleep_plain, SLEEP(nanosleep) },
	{ "90 % cached, 10 % asleep", .batch = 40, .setup = mixed_setup, .expect = mixed,
	  SLEEP(mixed) },
	{ }
};
