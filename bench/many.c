// SPDX-License-Identifier: GPL-2.0
/*
 * Many calls that sleep: what it costs to wake one of them and to have it sleep
 * again, and what memory each holds.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "bench.h"

static int *fds;
static uint64_t *counters;
static unsigned int blocks, per_block;
/* The block that is awake, and the one that is being woken */
static unsigned int awake, waking;

static void raise_limits(void)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_NPROC, &none);
	xwrite("/proc/sys/kernel/pid_max", "200000");
	xwrite("/proc/sys/kernel/threads-max", "200000");
	xwrite("/proc/sys/vm/max_map_count", "500000");
	if (!access("/proc/sys/kernel/fibrils_per_task", F_OK)) {
		xwrite("/proc/sys/kernel/fibrils_per_task", "131000");
		xwrite("/proc/sys/kernel/fibrils_per_user", "200000");
	}
}

static bool many_setup(const struct row *row)
{
	unsigned int i;

	raise_limits();
	per_block = row->batch;
	blocks = row->arg / per_block + 1;
	fds = calloc(blocks * per_block, sizeof(*fds));
	counters = calloc(blocks * per_block, sizeof(*counters));
	if (!fds || !counters)
		errx(1, "no memory");
	for (i = 0; i < blocks * per_block; i++) {
		fds[i] = eventfd(0, 0);
		if (fds[i] < 0)
			err(1, "eventfd");
	}
	return true;
}

__inline_all struct call many_call(unsigned int i)
{
	i += awake * per_block;
	return CALL(__NR_read, fds[i], P(&counters[i]), 8);
}

__inline_all void many_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	i += awake * per_block;
	io_uring_prep_read(sqe, fds[i], &counters[i], 8, -1);
}

/* A thread of its own for each call */

static int left;

static void *sleeper(void *arg)
{
	unsigned int i = (unsigned long)arg;

	for (;;) {
		struct call c = CALL(__NR_read, fds[i], P(&counters[i]), 8);

		result[i % per_block] = make_call(&c);
		if (!__atomic_sub_fetch(&left, 1, __ATOMIC_ACQ_REL))
			syscall(__NR_futex, &left, FUTEX_WAKE_PRIVATE, 1);
	}
	return NULL;
}

static void start_thread(void *(*fn)(void *), unsigned long arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN);
	ret = pthread_create(&thread, &attr, fn, (void *)arg);
	if (ret)
		errx(1, "pthread_create: %s", strerror(ret));
}

static void many_prime(const struct row *row, enum peer peer)
{
	unsigned int i;

	(void)row;
	/* A thread sleeps again by itself. */
	for (awake = peer != POOL32; awake < blocks; awake++) {
		switch (peer) {
		case ASYS:
			asys_start(many_call, per_block);
			break;
		case POOL32:
			for (i = 0; i < per_block; i++)
				start_thread(sleeper, awake * per_block + i);
			break;
		default:
			uring_start(many_sqe, per_block);
		}
	}
	if (peer == POOL32)
		usleep(100000);
	awake = 0;
	waking = 0;
}

/*
 * Wake a block, and have the one that was woken before sleep again: not the same,
 * or io_uring might find data there before it gets to sleep.  Here and there, so
 * that each has been asleep for as long as can be.
 */
static void elsewhere(unsigned int n)
{
	(void)n;
	awake = waking;
	waking = (waking + 7919) % blocks;
}

static long eight(unsigned int i)
{
	(void)i;
	return 8;
}

static void wake(unsigned int n)
{
	static const uint64_t add = 1;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct call c = CALL(__NR_write, fds[waking * per_block + i], P(&add), 8);

		if (make_call(&c) != 8)
			err(1, "write");
	}
}

static void many_uring(unsigned int n)
{
	wake(n);
	uring_batch(many_sqe, n);
}

static void many_asys(unsigned int n)
{
	wake(n);
	asys_batch(many_call, n);
}

static void many_threads(unsigned int n)
{
	int v;

	__atomic_store_n(&left, n, __ATOMIC_RELEASE);
	wake(n);
	while ((v = __atomic_load_n(&left, __ATOMIC_ACQUIRE)))
		syscall(__NR_futex, &left, FUTEX_WAIT_PRIVATE, v, NULL);
}

/*
 * Memory: what is free before and after so many calls have gone to sleep in
 * splice(), which io_uring leaves to its workers, in a pipe that is empty.
 */

#define FEW	1000

static int in[2], out[2];

static bool memory_setup(const struct row *row)
{
	(void)row;
	raise_limits();
	return !pipe(in) && !pipe(out);
}

__inline_all struct call splice_call(unsigned int i)
{
	(void)i;
	return CALL(__NR_splice, in[0], 0, out[1], 0, 1, 0);
}

__inline_all void splice_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	(void)i;
	io_uring_prep_splice(sqe, in[0], -1, out[1], -1, 1, 0);
}

static void *splicer(void *unused)
{
	struct call c = splice_call(0);

	make_call(&c);
	return unused;
}

/* The sum of what stands behind @name in @path */
static long from_proc(const char *path, const char *name)
{
	char line[256], *at;
	FILE *f = fopen(path, "r");
	long n = 0;

	if (!f)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f)) {
		at = line + strspn(line, " ");
		if (!strncmp(at, name, strlen(name)))
			n += atol(at + strlen(name));
	}
	fclose(f);
	return n;
}

static long free_bytes(void)
{
	usleep(500000);
	/* The pages that each CPU keeps for itself do not count as free. */
	return 1024 * from_proc("/proc/meminfo", "MemFree:") +
	       PAGE * from_proc("/proc/zoneinfo", "count:");
}

static void put_to_sleep(enum peer peer, unsigned int n)
{
	long threads = from_proc("/proc/self/status", "Threads:");
	unsigned int i;

	switch (peer) {
	case ASYS:
		for (i = 0; i < n; i += 50)
			asys_start(splice_call, 50);
		return;
	case POOL32:
		for (i = 0; i < n; i++)
			start_thread(splicer, i);
		break;
	default:
		for (i = 0; i < n; i += 50)
			uring_start(splice_sqe, 50);
	}
	for (i = 0; from_proc("/proc/self/status", "Threads:") < threads + n; i++) {
		usleep(100000);
		if (i == 1000)
			errx(1, "no %u threads", n);
	}
}

static void memory(const struct row *row, enum peer peer)
{
	unsigned int most[2] = { 100000, 100000 };
	long before, after;

	if (peer == URING && io_uring_register_iowq_max_workers(&uring, most))
		errx(1, "io_uring_register_iowq_max_workers");
	put_to_sleep(peer, FEW);
	before = free_bytes();
	put_to_sleep(peer, row->arg);
	after = free_bytes();
	report((double)(before - after) / row->arg, 0);
}

#define MANY(n, size) .batch = (size), .arg = (n), .rounds = 100, .setup = many_setup, \
	.prime = many_prime, .before = elsewhere, .expect = eight, .uring = many_uring, \
	.asys = many_asys
#define THREADS .pool = many_threads, .peers = ~(1 << POOL4)

const struct row many_rows[] = {
	{ "block and wake, 1 asleep", MANY(1, 1), THREADS },
	{ "block and wake, 10 asleep", MANY(10, 10), THREADS },
	{ "block and wake, 100 asleep", MANY(100, 10), THREADS },
	{ "block and wake, 1000 asleep", MANY(1000, 10), THREADS },
	{ "block and wake, 10000 asleep", MANY(10000, 10), THREADS },
	{ "block and wake, 100000 asleep", MANY(100000, 10) },
	{ "memory of a sleeping call", .unit = "bytes", .batch = 1, .arg = 4000,
	  .setup = memory_setup, .measure = memory,
	  .peers = 1 << URING | 1 << POOL32 | 1 << ASYS },
	{ }
};
