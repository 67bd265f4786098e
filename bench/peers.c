// SPDX-License-Identifier: GPL-2.0
/* The peers: what each has to set up, and the pool of threads. */
#include <pthread.h>

#include "peers.h"

long *result;
static long results[2][MAX_BATCH];

struct io_uring uring;
io_context_t aio;
struct iocb iocbs[MAX_BATCH], *iocb_list[MAX_BATCH];
struct io_event events[MAX_BATCH];
struct asys_ring *ring;
struct asys_request requests[MAX_BATCH] __attribute__((aligned(64)));
struct asys_input inputs[MAX_BATCH];
__u64 input_args[MAX_BATCH][6];

const char *const peer_names[NR_PEERS] = {
	[PLAIN]		= "plain",
	[URING]		= "io_uring",
	[URING_DEFER]	= "io_uring-defer",
	[AIO]		= "libaio",
	[POOL4]		= "threads-4",
	[POOL32]	= "threads-32",
	[ASYS]		= "asys",
};

/*
 * The pool: one lock, one condition for those who wait for work, one for who
 * waits for them.
 */

struct call jobs[MAX_BATCH];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER;
static unsigned int next, queued, done, idlers;
/* pool_start() waits for them all to be taken */
static bool want_taken;

static void *worker(void *unused)
{
	unsigned int i;
	long ret;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (next == queued) {
			idlers++;
			pthread_cond_wait(&work, &lock);
			idlers--;
		}
		i = next++;
		if (want_taken && next == queued)
			pthread_cond_signal(&progress);
		pthread_mutex_unlock(&lock);

		jobs[i].nargs = 6;
		ret = make_call(&jobs[i]);

		pthread_mutex_lock(&lock);
		result[i] = ret;
		if (++done == queued)
			pthread_cond_signal(&progress);
	}
	return unused;
}

void pool_run(unsigned int n)
{
	unsigned int wake;

	pthread_mutex_lock(&lock);
	next = 0;
	done = 0;
	queued = n;
	for (wake = n < idlers ? n : idlers; wake; wake--)
		pthread_cond_signal(&work);
	pthread_mutex_unlock(&lock);
}

void pool_start(unsigned int n)
{
	want_taken = true;
	pool_run(n);
	pthread_mutex_lock(&lock);
	while (next != queued)
		pthread_cond_wait(&progress, &lock);
	pthread_mutex_unlock(&lock);
}

void pool_wait(void)
{
	pthread_mutex_lock(&lock);
	while (done != queued)
		pthread_cond_wait(&progress, &lock);
	/* Nothing to do for those who have not come to sleep yet. */
	next = 0;
	done = 0;
	queued = 0;
	pthread_mutex_unlock(&lock);
}

int peer_threads(enum peer peer)
{
	return peer == POOL4 ? 4 : 32;
}

static void setup_pool(enum peer peer)
{
	pthread_t thread;
	int i;

	for (i = 0; i < peer_threads(peer); i++)
		if (pthread_create(&thread, NULL, worker, NULL))
			errx(1, "pthread_create");
}

static void setup_uring(enum peer peer)
{
	unsigned int flags = 0;
	int ret;

	if (peer == URING_DEFER)
		flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	ret = io_uring_queue_init(256, &uring, flags);
	if (ret)
		errx(1, "io_uring_queue_init: %s", strerror(-ret));
	/* Saves it looking up its file at every call. */
	ret = io_uring_register_ring_fd(&uring);
	if (ret != 1)
		errx(1, "io_uring_register_ring_fd: %s", strerror(-ret));
}

static void setup_aio(void)
{
	int ret = io_setup(MAX_BATCH, &aio);

	if (ret)
		errx(1, "io_setup: %s", strerror(-ret));
}

static void setup_asys(void)
{
	struct asys_ring_setup setup = {
		.entries = RING_ENTRIES,
		.flags = ASYS_SETUP_DEFER,
	};

	ring = aligned_alloc(PAGE, PAGE + RING_ENTRIES * sizeof(ring->completions[0]));
	if (!ring)
		errx(1, "no memory");
	memset(ring, 0, sizeof(*ring));
	setup.ring = P(ring);
	if (syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)))
		err(1, "asys_control");
}

void drop_ring(const struct row *row, enum peer peer)
{
	struct asys_ring_setup none = { };

	(void)row;
	if (peer == ASYS && syscall(__NR_asys_control, ASYS_CTL_RING, &none, sizeof(none)))
		err(1, "asys_control");
}

void setup_peer(enum peer peer)
{
	result = results[0];
	switch (peer) {
	case URING:
	case URING_DEFER:
		setup_uring(peer);
		break;
	case AIO:
		setup_aio();
		break;
	case POOL4:
	case POOL32:
		setup_pool(peer);
		break;
	case ASYS:
		setup_asys();
		break;
	default:
		break;
	}
}

bool have_asys(void)
{
	return syscall(__NR_asys_control, ASYS_CTL_INFO, NULL, 0) != -1 ||
	       errno != ENOSYS;
}

/* The results of the calls before become arguments of those that follow. */
long *keep_results(void)
{
	long *kept = result;

	result = results[result == results[0]];
	return kept;
}
