// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * libasys: asynchronous system calls, for programs; see asys(7).
 */
#include <asys.h>
#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <time.h>

/* Unlike the calls that these numbers come from, they may be missing yet. */
#ifndef __NR_asys_enter
#define __NR_asys_enter		482
#define __NR_asys_control	483
#endif

#define ASYS_EXPORT	__attribute__((visibility("default")))

/*
 * A system call. syscall() would store errors in errno, which is the program's:
 * it must not change because a callback, or a loop, uses the library.
 */
static long sys_call(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	register long r10 __asm__("r10") = a3;
	register long r8 __asm__("r8") = a4;
	register long r9 __asm__("r9") = a5;
	long ret;

	__asm__ volatile("syscall"
			 : "=a" (ret)
			 : "0" (nr), "D" (a0), "S" (a1), "d" (a2), "r" (r10), "r" (r8), "r" (r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static long enter(const struct asys_request *requests, unsigned int nr, unsigned int min,
		  unsigned int flags, const struct asys_wait *wait)
{
	return sys_call(__NR_asys_enter, (long)requests, nr, min, flags, (long)wait,
			wait ? sizeof(*wait) : 0);
}

static long control(unsigned int op, const void *arg, size_t size)
{
	return sys_call(__NR_asys_control, op, (long)arg, (long)size, 0, 0, 0);
}

/* ring: NULL for none */
static long set_ring(const struct asys_ring *ring, unsigned int entries,
		     unsigned int flags)
{
	struct asys_ring_setup setup = {
		.ring = (uintptr_t)ring,
		.entries = entries,
		.flags = flags,
	};

	return control(ASYS_CTL_RING, &setup, sizeof(setup));
}

/*
 * Setting up
 */

/**
 * asys_probe() - ask what the kernel has
 * @info: where to store it
 *
 * Return: 0, or
 * * -ENOSYS: no asynchronous system calls
 * * -EFAULT: @info cannot be written
 */
ASYS_EXPORT int asys_probe(struct asys_info *info)
{
	return (int)control(ASYS_CTL_INFO, info, sizeof(*info));
}

/**
 * asys_init() - get ready to make calls
 * @a: to be initialised; belongs to the calling thread from then on
 * @entries: so many completions fit into the ring, and so many requests into
 *	the queue; the ring has a power of 2, the queue at least %ASYS_CHAIN_MAX
 * @flags: %ASYS_SETUP_DEFER: calls go on when they are waited for;
 *	%ASYS_ENTER_NONBLOCK, %ASYS_ENTER_ATOMIC: for each submission
 *
 * Return: 0, or
 * * -ENOSYS: no asynchronous system calls
 * * -EINVAL: unknown flags, or @entries is 0 or larger than %ASYS_RING_MAX
 * * -EBUSY: the thread has a ring already
 * * -ENOMEM: out of memory
 */
ASYS_EXPORT int asys_init(struct asys *a, unsigned int entries, unsigned int flags)
{
	unsigned int slots = entries < ASYS_CHAIN_MAX ? ASYS_CHAIN_MAX : entries;
	unsigned int setup = flags & ASYS_SETUP_DEFER;
	size_t size;
	long ret;

	memset(a, 0, sizeof(*a));
	if (!entries || entries > ASYS_RING_MAX)
		return -EINVAL;
	while (entries & (entries - 1))
		entries += entries & -entries;

	/* Is there a ring? And are the flags known? */
	flags -= setup;
	ret = enter(NULL, 0, 0, flags, NULL);
	if (ret != -ENXIO)
		return ret ? (int)ret : -EBUSY;

	/* Not malloc(): that stores errors in errno. */
	size = sizeof(*a->ring) + entries * sizeof(struct asys_completion);
	size = (size + sizeof(*a->slot) - 1) / sizeof(*a->slot) * sizeof(*a->slot);
	a->size = size + slots * sizeof(*a->slot);
	ret = sys_call(__NR_mmap, 0, (long)a->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ret < 0 && ret >= -4095)
		return (int)ret;
	a->ring = (struct asys_ring *)ret;
	a->slot = (union asys_slot *)(ret + (long)size);
	a->mask = entries - 1;
	a->slots = slots;
	a->flags = flags;

	ret = set_ring(a->ring, entries, setup);
	if (ret) {
		sys_call(__NR_munmap, (long)a->ring, (long)a->size, 0, 0, 0, 0);
		memset(a, 0, sizeof(*a));
	}
	return (int)ret;
}

/**
 * asys_exit() - undo asys_init()
 * @a: calls of this thread; or, in a child of fork(), of its parent
 *
 * Requests that are queued are dropped. Calls in flight are cancelled and waited
 * for: afterwards, none of them uses memory of the program. Their results are
 * dropped, and no closure is called.
 */
ASYS_EXPORT void asys_exit(struct asys *a)
{
	struct asys_completion comp;
	bool again = true;

	if (!a->ring)
		return;
	asys_cancel_all(a);
	/* Nothing comes in a child, which has no calls. */
	while (a->in_flight && again) {
		again = enter(NULL, 0, 1, 0, NULL) == -EINTR;
		while (asys_take(a, &comp))
			again = true;
	}
	asys_set_eventfd(a, -1);
	/* As long as it is the kernel's, it must not become other memory. */
	if (!set_ring(NULL, 0, 0))
		sys_call(__NR_munmap, (long)a->ring, (long)a->size, 0, 0, 0, 0);
	memset(a, 0, sizeof(*a));
}

/**
 * asys_set_eventfd() - have an eventfd told of calls that finish
 * @a: calls of this thread
 * @fd: an eventfd, or -1 for none
 *
 * It is told of each call that has slept, and not of those that have finished
 * at once.
 *
 * Return: 0, or
 * * -EBADF: @fd is not open
 * * -EINVAL: @fd is not an eventfd
 * * -ENOMEM: out of memory
 */
ASYS_EXPORT int asys_set_eventfd(struct asys *a, int fd)
{
	(void)a;
	return (int)control(ASYS_CTL_EVENTFD, &fd, sizeof(fd));
}

/*
 * The queue of requests
 */

/* Will the request in slot @i be made after the one before it? */
static bool is_linked(const struct asys *a, unsigned int i)
{
	return i > a->refused && a->slot[i - 1].request.flags & ASYS_R_LINK;
}

/* Where the chain ends that the request in slot @i is in */
static unsigned int chain_end(const struct asys *a, unsigned int i)
{
	do
		i++;
	while (i < a->end && is_linked(a, i));
	return i;
}

/* The requests from slot @from up to @to are not made: @error is their result. */
static void refuse(struct asys *a, unsigned int from, unsigned int to, int error)
{
	for (; from < to; from++) {
		struct asys_completion comp = {
			.return_code = error,
			.cookie = a->slot[from].request.cookie,
		};
		union asys_slot *slot = &a->slot[a->refused];

		memmove(slot + 1, slot, (from - a->refused) * sizeof(*slot));
		slot->completion = comp;
		a->refused++;
	}
}

/* Is it because of the request that the kernel does not take it? */
static bool is_refusal(long error)
{
	return error == -EINVAL || error == -ENOSYS || error == -EOPNOTSUPP || error == -EACCES;
}

/* Submit the first @nr requests of the queue: 0, or why the others still are there. */
static int submit(struct asys *a, unsigned int nr)
{
	while (nr) {
		union asys_slot *slot = &a->slot[a->refused];
		long ret = enter(&slot->request, nr, 0, a->flags, NULL);

		if (is_refusal(ret)) {
			unsigned int end = chain_end(a, a->refused);

			nr -= end - a->refused;
			refuse(a, a->refused, end, (int)ret);
			continue;
		}
		if (ret < 0)
			return (int)ret;
		a->end -= (unsigned int)ret;
		memmove(slot, slot + ret, (a->end - a->refused) * sizeof(*slot));
		a->in_flight += (unsigned int)ret;
		nr -= (unsigned int)ret;
	}
	return 0;
}

/* Get room in the queue for a request. */
static bool make_room(struct asys *a)
{
	unsigned int end = a->end;

	/* A chain that may go on stays: it has to be submitted as a whole. */
	if (end > a->refused && a->slot[end - 1].request.flags & ASYS_R_LINK) {
		do
			end--;
		while (is_linked(a, end));
	}
	submit(a, end - a->refused);

	/* Over what the program has seen */
	memmove(a->slot, &a->slot[a->seen], (a->end - a->seen) * sizeof(*a->slot));
	a->end -= a->seen;
	a->refused -= a->seen;
	a->seen = 0;
	return a->end < a->slots;
}

/**
 * asys_get_request() - append a request to the queue
 * @a: calls of this thread
 *
 * If the queue is full, it is submitted first. So fill a request in before you
 * get the next one, and do not touch it any more afterwards.
 *
 * Return: the request, all zero, to be filled in with asys_prep() and the like;
 * or %NULL, if there is no room: the kernel takes no requests now, and
 * asys_submit_requests() says why; or there are as many results of refused
 * requests as the queue has entries, and the program has to take some; or a
 * chain is too long.
 */
ASYS_EXPORT struct asys_request *asys_get_request(struct asys *a)
{
	struct asys_request *req;

	if (a->end == a->slots && !make_room(a))
		return NULL;
	req = &a->slot[a->end++].request;
	memset(req, 0, sizeof(*req));
	return req;
}

/*
 * Results
 */

/* How many completions there are in the ring */
static unsigned int in_ring(struct asys *a)
{
	struct asys_ring *ring = a->ring;
	unsigned int nr;

	/* A completion is there before the tail says so. */
	nr = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) - ring->head;
	/* The kernel keeps some: there is room for them now. */
	if (!nr && __atomic_load_n(&ring->flags, __ATOMIC_RELAXED) & ASYS_RING_OVERFLOW) {
		enter(NULL, 0, 0, 0, NULL);
		nr = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) - ring->head;
	}
	return nr;
}

/**
 * asys_ready() - how many results asys_take() would find now
 * @a: calls of this thread
 *
 * Return: the number; there may be more, if the ring is full.
 */
ASYS_EXPORT unsigned int asys_ready(struct asys *a)
{
	return in_ring(a) + a->refused - a->seen;
}

/**
 * asys_pending() - how many requests have no result yet that was taken
 * @a: calls of this thread
 *
 * Return: the number; it counts requests that were not submitted yet, too.
 */
ASYS_EXPORT unsigned int asys_pending(const struct asys *a)
{
	return a->in_flight + a->end - a->seen;
}

/**
 * asys_take() - take a result, if there is one
 * @a: calls of this thread
 * @comp: where to store it
 *
 * Return: whether there was one. Does not sleep.
 */
ASYS_EXPORT bool asys_take(struct asys *a, struct asys_completion *comp)
{
	struct asys_ring *ring = a->ring;

	if (in_ring(a)) {
		*comp = ring->completions[ring->head & a->mask];
		/* From here on the kernel may store another one there. */
		__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
		a->in_flight--;
		return true;
	}
	if (a->seen == a->refused)
		return false;
	*comp = a->slot[a->seen++].completion;
	return true;
}

/*
 * Submitting, waiting
 */

/* At a limit, or out of memory: that changes when calls finish. */
static bool is_passing(const struct asys *a, int error)
{
	return a->in_flight && (error == -EAGAIN || error == -ENOMEM);
}

/* Wait with this: 0 or -EINVAL */
static int get_wait(struct asys_wait *wait, const struct timespec *timeout, const sigset_t *sigmask)
{
	wait->timeout = 0;
	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)
			return -EINVAL;
		/* Longer than 200 years is forever, and 0 would be. */
		if (timeout->tv_sec < INT64_MAX / 1000000000)
			wait->timeout = (uint64_t)timeout->tv_sec * 1000000000 +
					(uint64_t)timeout->tv_nsec + !timeout->tv_sec;
	}
	wait->sigmask = (uintptr_t)sigmask;
	/* The kernel's mask is the beginning of the C library's. */
	wait->sigsetsize = sizeof(uint64_t);
	return 0;
}

/**
 * asys_submit_and_wait_for() - submit what is queued, wait for results
 * @a: calls of this thread
 * @min: wait until there are so many results; 0: do not wait
 * @timeout: wait no longer; %NULL: no limit
 * @sigmask: signals that are blocked while it waits; %NULL: as they are
 *
 * The requests are made in the order in which they were got. One that the kernel
 * cannot make has the error as its result; if it is part of a chain, all of the
 * chain have.
 *
 * With @min, fewer results can be there on return, if no call is in flight any
 * more, if the ring is full, or if requests have to wait because the kernel is
 * at a limit.
 *
 * Return: 0: nothing is queued any more, unless the kernel is at a limit; or
 * * -EINVAL: bad @timeout
 * * -ETIME: the time is over
 * * -EINTR: a signal came first
 * * -EFAULT: @sigmask cannot be read
 *
 * or, while requests are queued still:
 *
 * * -EAGAIN: the task or the user has as many calls as it may have, or there
 *   is no memory for more and the flags forbid to wait for it
 * * -ENOMEM: out of memory
 * * -EPERM: the system administrator has switched the facility off
 * * -EBUSY: the task's system calls are traced, audited or dispatched to
 *   user mode
 * * -ENXIO: the thread has no ring: @a is not its own
 *
 * The first two of these, with @min, only if no call is in flight: it waits for
 * one to finish, otherwise.
 */
ASYS_EXPORT int asys_submit_and_wait_for(struct asys *a, unsigned int min,
					 const struct timespec *timeout,
					 const sigset_t *sigmask)
{
	unsigned int ready, before, refused;
	struct asys_wait wait;
	int ret;

	ret = get_wait(&wait, timeout, sigmask);
	if (ret)
		return ret;
	before = asys_ready(a);

	/*
	 * Not in one call with the wait: requests that are refused count as
	 * results, and how many are is known afterwards.
	 */
	ret = submit(a, a->end - a->refused);
	if (ret && (!min || !is_passing(a, ret)))
		return ret;

	/* Who has finished meanwhile has made room: the next time, not now. */
	ready = asys_ready(a);
	if (ready >= min || (ret && ready != before))
		return 0;
	if (ret)
		min = ready + 1;
	refused = a->refused - a->seen;
	return (int)enter(NULL, 0, min - refused, 0, &wait);
}

/**
 * asys_submit_and_wait() - submit what is queued, wait for results
 * @a: calls of this thread
 * @min: wait until there are so many results; 0: do not wait
 *
 * Return: as asys_submit_and_wait_for() without a time and a mask.
 */
ASYS_EXPORT int asys_submit_and_wait(struct asys *a, unsigned int min)
{
	return asys_submit_and_wait_for(a, min, NULL, NULL);
}

/**
 * asys_submit_requests() - submit what is queued
 * @a: calls of this thread
 *
 * Return: as asys_submit_and_wait_for() that does not wait.
 */
ASYS_EXPORT int asys_submit_requests(struct asys *a)
{
	return submit(a, a->end - a->refused);
}

/**
 * asys_next() - take a result; if there is none, submit what is queued and wait
 * @a: calls of this thread
 * @comp: where to store it
 *
 * Return: 0; -ENODATA: nothing is pending; or, if there is no result, as
 * asys_submit_and_wait_for() without a time and a mask.
 */
ASYS_EXPORT int asys_next(struct asys *a, struct asys_completion *comp)
{
	int ret;

	if (asys_take(a, comp))
		return 0;
	ret = asys_submit_and_wait(a, 1);
	if (asys_take(a, comp))
		return 0;
	return ret ? ret : -ENODATA;
}

/*
 * Closures
 */

/**
 * asys_step() - submit what is queued, and call the closures of what has finished
 * @a: calls of this thread
 * @wait: if nothing has finished, wait until something has
 *
 * Closures of calls that did not sleep are called before it returns. What these
 * queue is submitted by the next step, so that each step comes to an end. A
 * closure may take a step itself.
 *
 * Return: how many results it has taken: 0, with @wait: nothing is pending; or
 * an error of asys_submit_and_wait_for(), whether closures were called or not.
 */
ASYS_EXPORT int asys_step(struct asys *a, bool wait)
{
	int ret = asys_submit_and_wait(a, wait);
	unsigned int nr = asys_ready(a);
	struct asys_completion comp;
	int taken = 0;

	/* It is taken before the closure is called, which may free, or take more. */
	while (nr-- && asys_take(a, &comp)) {
		asys_call_closure(a, &comp);
		taken++;
	}
	return ret ? ret : taken;
}

/**
 * asys_run() - take steps until nothing is pending
 * @a: calls of this thread
 *
 * Return: 0, or an error of asys_step().
 */
ASYS_EXPORT int asys_run(struct asys *a)
{
	int ret;

	do
		ret = asys_step(a, true);
	while (ret > 0);
	return ret;
}

/*
 * Cancelling
 */

/**
 * asys_cancel() - tell a call to end
 * @a: calls of this thread
 * @cookie: that of its request
 *
 * If the request was not submitted yet, it is not made, nor is any other one of
 * its chain. Either way it has a result, %-ECANCELED if nothing else.
 *
 * Return: 0, or
 * * -ENOENT: there is no such call: it has finished, or never was
 * * -EALREADY: it cannot be interrupted where it sleeps, or is awake already,
 *   and ends as soon as it can
 */
ASYS_EXPORT int asys_cancel(struct asys *a, uint64_t cookie)
{
	unsigned int i;
	long ret;

	ret = control(ASYS_CTL_CANCEL, &cookie, sizeof(cookie));
	for (i = a->refused; ret == -ENOENT && i < a->end; i++) {
		if (a->slot[i].request.cookie != cookie)
			continue;
		while (is_linked(a, i))
			i--;
		refuse(a, i, chain_end(a, i), -ECANCELED);
		return 0;
	}
	return (int)ret;
}

/**
 * asys_cancel_all() - tell all calls of the thread to end
 * @a: calls of this thread
 *
 * Requests that were not submitted yet are not made. All have results. It tells
 * calls that were made with asys_submit(2), too.
 *
 * Return: how many calls were told, and requests not made.
 */
ASYS_EXPORT int asys_cancel_all(struct asys *a)
{
	unsigned int queued = a->end - a->refused;
	long ret;

	refuse(a, a->refused, a->end, -ECANCELED);
	ret = control(ASYS_CTL_CANCEL_ALL, NULL, 0);
	return ret < 0 ? (int)ret : (int)(ret + queued);
}
