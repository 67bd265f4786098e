/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rows of the benchmark have in common: the peers, each of which makes
 * a batch of calls in its own way, and the clock.
 *
 * A row says for operation i of a batch what is to be called.  The functions
 * below make a batch of it; they are inline so that no peer pays for an
 * indirect call, and a call with three arguments loads three registers.  Each
 * stores what operation i has returned in result[i], where it is checked when
 * the clock does not run.
 */
#ifndef BENCH_H
#define BENCH_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <libaio.h>
#include <liburing.h>
#include <linux/asys.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __inline_all	static inline __attribute__((always_inline))

enum peer {
	PLAIN,
	URING,
	URING_DEFER,
	AIO,
	POOL4,
	POOL32,
	ASYS,
	NR_PEERS
};

/* Most operations of a batch */
#define MAX_BATCH	128

/* Make a batch. */
typedef void batch_fn(unsigned int n);

struct row {
	const char *name;
	/* NULL: instructions or nanoseconds */
	const char *unit;
	/* operations of a batch, and batches of a block; 0: 50 */
	unsigned int batch;
	unsigned int rounds;
	/* for rows that share their functions */
	long arg;
	/* there is nothing to do at times */
	bool idles;
	/* time says nothing: two CPUs of an emulated machine wait for each other */
	bool only_icount;
	/* once, before the peer is there; false: not on this machine */
	bool (*setup)(const struct row *row);
	/* once, when the peer is there */
	void (*prime)(const struct row *row, enum peer peer);
	/* before and after each batch; the clock does not run */
	void (*before)(unsigned int n);
	/* what operation i has to return; not for rows that check themselves */
	long (*expect)(unsigned int i);
	batch_fn *plain;
	batch_fn *uring;
	batch_fn *aio;
	batch_fn *pool;
	batch_fn *asys;
	/* a row that measures in its own way: see struct measured */
	void (*measure)(const struct row *row, enum peer peer);
	/* a row that not all peers can do, or measure(): 1 << peer */
	unsigned int peers;
};

extern const struct row first_rows[], call_rows[], disk_rows[], sleep_rows[];
extern const struct row many_rows[], walk_rows[], last_rows[];

/*
 * The clock
 */

extern bool icount;
extern volatile uint64_t *soaked;

/* Instructions under icount, where each takes a tick; else nanoseconds. */
__inline_all uint64_t now(void)
{
	struct timespec t;

	if (icount)
		return __rdtsc();
	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The loop that uses up what is idle has two instructions: see soak(). */
__inline_all uint64_t idle(void)
{
	return 2 * *soaked;
}

struct measured {
	uint64_t at, idle;
	/* since start(): all, and without what nobody wanted */
	uint64_t elapsed, busy;
};

__inline_all void start(struct measured *m)
{
	m->idle = idle();
	m->at = now();
}

__inline_all void stop(struct measured *m)
{
	m->elapsed = now() - m->at;
	m->busy = m->elapsed - (idle() - m->idle);
}

/* What this process has found, per operation */
void report(double busy, double elapsed);

/*
 * A call
 */

struct call {
	unsigned int nr;
	unsigned int nargs;
	unsigned long a[6];
};

#define CALL(number, ...) \
	((struct call){ .nr = (number), \
		.nargs = sizeof((unsigned long[]){ __VA_ARGS__ }) / sizeof(long), \
		.a = { __VA_ARGS__ } })
#define P(pointer)	((unsigned long)(pointer))

typedef struct call call_fn(unsigned int i);
typedef void sqe_fn(struct io_uring_sqe *sqe, unsigned int i);
typedef void iocb_fn(struct iocb *iocb, unsigned int i);

extern long *result;

/* Where the results are, which become arguments; others have room now. */
long *keep_results(void);

__inline_all long make_call(const struct call *c)
{
	register unsigned long r10 asm("r10");
	register unsigned long r8 asm("r8");
	register unsigned long r9 asm("r9");
	long ret = c->nr;

#define SYSCALL(...)	asm volatile("syscall" : "+a" (ret) : __VA_ARGS__ : \
				     "rcx", "r11", "memory")
	switch (c->nargs) {
	case 0:
		asm volatile("syscall" : "+a" (ret) : : "rcx", "r11", "memory");
		break;
	case 1:
		SYSCALL("D" (c->a[0]));
		break;
	case 2:
		SYSCALL("D" (c->a[0]), "S" (c->a[1]));
		break;
	case 3:
		SYSCALL("D" (c->a[0]), "S" (c->a[1]), "d" (c->a[2]));
		break;
	case 4:
		r10 = c->a[3];
		SYSCALL("D" (c->a[0]), "S" (c->a[1]), "d" (c->a[2]), "r" (r10));
		break;
	case 5:
		r10 = c->a[3];
		r8 = c->a[4];
		SYSCALL("D" (c->a[0]), "S" (c->a[1]), "d" (c->a[2]), "r" (r10), "r" (r8));
		break;
	default:
		r10 = c->a[3];
		r8 = c->a[4];
		r9 = c->a[5];
		SYSCALL("D" (c->a[0]), "S" (c->a[1]), "d" (c->a[2]), "r" (r10), "r" (r8),
			"r" (r9));
	}
#undef SYSCALL
	return ret;
}

/*
 * The plain loop
 */

__inline_all void plain_batch(call_fn *call, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct call c = call(i);

		result[i] = make_call(&c);
	}
}

/*
 * io_uring
 */

extern struct io_uring uring;

__inline_all void uring_queue(sqe_fn *fill, unsigned int n)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sqe = io_uring_get_sqe(&uring);
		fill(sqe, i);
		io_uring_sqe_set_data64(sqe, i);
	}
}

__inline_all void uring_reap(unsigned int n)
{
	struct io_uring_cqe *cqe;
	unsigned int head, got;
	int ret;

	for (;;) {
		got = 0;
		io_uring_for_each_cqe(&uring, head, cqe) {
			result[cqe->user_data] = cqe->res;
			got++;
		}
		io_uring_cq_advance(&uring, got);
		n -= got;
		if (!n)
			break;
		ret = io_uring_wait_cqe_nr(&uring, &cqe, n);
		if (ret < 0)
			errx(1, "io_uring_wait_cqe_nr: %s", strerror(-ret));
	}
}

__inline_all void uring_start(sqe_fn *fill, unsigned int n)
{
	uring_queue(fill, n);
	if (io_uring_submit(&uring) != (int)n)
		errx(1, "io_uring_submit");
}

__inline_all void uring_batch(sqe_fn *fill, unsigned int n)
{
	uring_queue(fill, n);
	if (io_uring_submit_and_wait(&uring, n) != (int)n)
		errx(1, "io_uring_submit_and_wait");
	uring_reap(n);
}

/*
 * libaio
 */

extern io_context_t aio;
extern struct iocb iocbs[MAX_BATCH], *iocb_list[MAX_BATCH];
extern struct io_event events[MAX_BATCH];

__inline_all void aio_batch(iocb_fn *fill, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		fill(&iocbs[i], i);
		iocbs[i].data = (void *)(unsigned long)i;
		iocb_list[i] = &iocbs[i];
	}
	if (io_submit(aio, n, iocb_list) != (int)n)
		errx(1, "io_submit");
	if (io_getevents(aio, n, n, events, NULL) != (int)n)
		errx(1, "io_getevents");
	for (i = 0; i < n; i++)
		result[(unsigned long)events[i].data] = events[i].res;
}

/*
 * A pool of threads
 */

extern struct call jobs[MAX_BATCH];

/* Have jobs[] made; pool_start() returns when all have begun. */
void pool_start(unsigned int n);
void pool_run(unsigned int n);
void pool_wait(void);

__inline_all void pool_batch(call_fn *call, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		jobs[i] = call(i);
	pool_run(n);
	pool_wait();
}

/*
 * asys
 */

extern struct asys_ring *ring;
extern struct asys_request requests[MAX_BATCH];
#define RING_ENTRIES	1024

__inline_all long asys_enter(struct asys_request *req, unsigned int n,
			     unsigned int min)
{
	struct call c = CALL(__NR_asys_enter, P(req), n, min, 0, 0, 0);

	return make_call(&c);
}

__inline_all void asys_set(struct asys_request *req, struct call c,
			   unsigned long cookie)
{
	unsigned int i;

	/* As who writes the assignments down: as asys_prep_*() of the library. */
	req->nr = c.nr;
	req->flags = 0;
	req->use = 0;
	req->timeout = 0;
	req->cookie = cookie;
#pragma GCC unroll 6
	for (i = 0; i < c.nargs; i++)
		req->args[i] = c.a[i];
}

__inline_all void asys_fill(call_fn *call, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		asys_set(&requests[i], call(i), i);
}

__inline_all void asys_reap(unsigned int n)
{
	uint32_t head = ring->head, tail;

	for (;;) {
		tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
		n -= tail - head;
		for (; head != tail; head++) {
			struct asys_completion *c =
				&ring->completions[head & (RING_ENTRIES - 1)];

			result[c->cookie] = c->return_code;
		}
		__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
		if (!n)
			break;
		if (asys_enter(NULL, 0, n))
			errx(1, "asys_enter");
	}
}

__inline_all void asys_start(call_fn *call, unsigned int n)
{
	asys_fill(call, n);
	if (asys_enter(requests, n, 0) != (long)n)
		errx(1, "asys_enter");
}

__inline_all void asys_batch(call_fn *call, unsigned int n)
{
	asys_fill(call, n);
	if (asys_enter(requests, n, n) != (long)n)
		errx(1, "asys_enter");
	asys_reap(n);
}

/*
 * asys by the two calls of old: arguments are elsewhere, and results are fetched
 * one by one
 */

extern struct asys_input inputs[MAX_BATCH];
extern __u64 input_args[MAX_BATCH][6];

/* For rows that use these only: it has neither a ring nor its flags. */
void drop_ring(const struct row *row, enum peer peer);

__inline_all void submit_start(call_fn *call, unsigned int flags, unsigned int n)
{
	struct call submit = CALL(__NR_asys_submit, P(inputs), n);
	unsigned int i, k;

	for (i = 0; i < n; i++) {
		struct call c = call(i);

		inputs[i].syscall_nr = c.nr;
		inputs[i].flags = flags;
		inputs[i].cookie = i;
		inputs[i].nr_args = c.nargs;
		inputs[i].args = P(input_args[i]);
#pragma GCC unroll 6
		for (k = 0; k < c.nargs; k++)
			input_args[i][k] = c.a[k];
	}
	if (make_call(&submit) != (long)n)
		errx(1, "asys_submit");
}

__inline_all void submit_reap(unsigned int n)
{
	struct asys_completion done;
	struct call await = CALL(__NR_asys_await_completion, P(&done));

	while (n--) {
		if (make_call(&await))
			errx(1, "asys_await_completion");
		result[done.cookie] = done.return_code;
	}
}

__inline_all void submit_batch(call_fn *call, unsigned int n)
{
	unsigned int i, left = 0;

	submit_start(call, ASYS_F_REPORT, n);
	for (i = 0; i < n; i++) {
		if (inputs[i].flags & ASYS_F_DONE)
			result[i] = inputs[i].return_code;
		else
			left++;
	}
	submit_reap(left);
}

/* All the functions of a row whose batch is one round of one call. */
#define ROW_CALL(name) \
static void name##_plain(unsigned int n) { plain_batch(name##_call, n); } \
static void name##_pool(unsigned int n) { pool_batch(name##_call, n); } \
static void name##_asys(unsigned int n) { asys_batch(name##_call, n); }
#define ROW_URING(name) \
static void name##_uring(unsigned int n) { uring_batch(name##_sqe, n); }
#define ROW_AIO(name) \
static void name##_aio(unsigned int n) { aio_batch(name##_iocb, n); }
#define ROW_SUBMIT(name) \
static void name##_submit(unsigned int n) { submit_batch(name##_call, n); }

/* Helpers of the rows */
void xwrite(const char *path, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Make /dev/NAME, a null_blk whose requests take @ns nanoseconds, or if that is 0
 * finish in a soft interrupt, and that keeps what is written if @memory.
 */
bool null_blk(const char *name, unsigned long ns, bool memory);
long zero(unsigned int i);
long page(unsigned int i);

#define PAGE	4096

#endif /* BENCH_H */
