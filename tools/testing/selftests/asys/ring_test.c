// SPDX-License-Identifier: GPL-2.0
/*
 * asys_enter() and asys_control(): batches, the completion ring, chains,
 * cancel, timeouts.
 */
#include "asys_test.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define ENTRIES	64
#define USER	54326

static long enter(struct asys_request *r, unsigned int nr, unsigned int min,
		  unsigned int flags, struct asys_wait *wait)
{
	return syscall(__NR_asys_enter, r, nr, min, flags, wait,
		       wait ? sizeof(*wait) : 0);
}

static long control(unsigned int op, void *arg, size_t size)
{
	return syscall(__NR_asys_control, op, arg, size);
}

static long set_up(void *ring, unsigned int entries, unsigned int flags)
{
	struct asys_ring_setup setup = {
		.ring = (uintptr_t)ring,
		.entries = entries,
		.flags = flags,
	};

	return control(ASYS_CTL_RING, &setup, sizeof(setup));
}

static long set_ring(void *ring, unsigned int entries)
{
	return set_up(ring, entries, 0);
}

static void __fill(struct asys_request *r, uint64_t cookie, int nr, int nr_args,
		   const uint64_t *args)
{
	memset(r, 0, sizeof(*r));
	r->nr = nr;
	r->cookie = cookie;
	memcpy(r->args, args, nr_args * sizeof(*args));
}

#define FILL(r, cookie, nr, ...)	\
	__fill(r, cookie, nr, NARGS(__VA_ARGS__), ARGS(__VA_ARGS__))

FIXTURE(ring)
{
	struct asys_ring *ring;
	unsigned int entries;
	int p[2];
};

FIXTURE_SETUP(ring)
{
	NEED_ASYS();
	self->entries = ENTRIES;
	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	ASSERT_EQ(0, set_ring(self->ring, ENTRIES));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(ring)
{
}

/* How many completions there are. */
#define THERE()	(__atomic_load_n(&self->ring->tail, __ATOMIC_ACQUIRE) - self->ring->head)

/* Take one completion, which has to be this one. */
#define TAKE(_cookie, result)						\
do {									\
	struct asys_completion *__c;					\
	ASSERT_NE(0U, THERE());						\
	__c = &self->ring->completions[self->ring->head & (self->entries - 1)]; \
	EXPECT_EQ((uint64_t)(_cookie), __c->cookie);			\
	EXPECT_EQ((int64_t)(result), __c->return_code);			\
	__atomic_store_n(&self->ring->head, self->ring->head + 1, __ATOMIC_RELEASE); \
} while (0)

#define EMPTY()								\
do {									\
	EXPECT_EQ(0U, THERE());						\
	EXPECT_EQ(0U, self->ring->flags);				\
	EXPECT_EQ(0, enter(NULL, 0, 1, 0, NULL));			\
	EXPECT_EQ(0U, THERE());						\
} while (0)

#define FAILS(_errno, call)						\
do {									\
	EXPECT_EQ(-1, call);						\
	EXPECT_EQ(_errno, errno);					\
} while (0)

TEST(no_ring)
{
	struct asys_request r = { .nr = __NR_getppid };

	NEED_ASYS();
	FAILS(ENXIO, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(1, asys_submit(&(struct asys_input){ .syscall_nr = __NR_getppid }, 1));
	FAILS(ENXIO, enter(&r, 1, 0, 0, NULL));
}

TEST_F(ring, errors)
{
	struct asys_request r[3] = {};
	struct asys_wait w[2] = {};
	struct asys_ring_setup setup = { .ring = (uintptr_t)self->ring, .entries = 4 };
	uint64_t cookie = 1;
	int fd = -1;

	FILL(&r[0], 1, __NR_getppid);
	FAILS(EINVAL, enter(r, 1, 0, 4, NULL));
	FAILS(EINVAL, enter(r, 1, 0, ASYS_SETUP_DEFER, NULL));
	FAILS(EINVAL, syscall(__NR_asys_enter, r, 1, 0, 0, w, sizeof(w[0]) - 1));
	FAILS(EINVAL, syscall(__NR_asys_enter, r, 1, 0, 0, w, PAGE + 1));
	FAILS(EFAULT, syscall(__NR_asys_enter, r, 1, 0, 0, 8, sizeof(w[0])));
	((char *)&w[1])[0] = 1;
	FAILS(E2BIG, syscall(__NR_asys_enter, r, 1, 0, 0, w, sizeof(w)));
	w[0].timeout = -1ULL;
	FAILS(EINVAL, enter(r, 1, 0, 0, w));
	FAILS(EFAULT, enter((void *)64, 1, 0, 0, NULL));
	EXPECT_EQ(0, enter(NULL, 0, 0, 0, NULL));
	w[0].timeout = 0;
	w[0].sigmask = 8;
	w[0].sigsetsize = 8;
	FAILS(EFAULT, enter(NULL, 0, 1, 0, w));
	w[0].sigmask = (uintptr_t)w;
	w[0].sigsetsize = 7;
	FAILS(EINVAL, enter(NULL, 0, 1, 0, w));

	r[0].nr = 0xfffe;
	FAILS(ENOSYS, enter(r, 1, 0, 0, NULL));
	r[0].nr = __NR_fork;
	FAILS(EOPNOTSUPP, enter(r, 1, 0, 0, NULL));
	r[0].nr = __NR_asys_enter;
	FAILS(EOPNOTSUPP, enter(r, 1, 0, 0, NULL));
	r[0].nr = __NR_getppid;
	r[0].flags = 2;
	FAILS(EINVAL, enter(r, 1, 0, 0, NULL));

	/* What comes before is taken, and what comes after is not. */
	FILL(&r[0], 1, __NR_getppid);
	FILL(&r[1], 2, __NR_exit);
	FILL(&r[2], 3, __NR_getppid);
	EXPECT_EQ(1, enter(r, 3, 0, 0, NULL));
	TAKE(1, getppid());

	FAILS(EINVAL, control(99, NULL, 0));
	FAILS(EINVAL, control(ASYS_CTL_RING, &setup, sizeof(setup) - 1));
	FAILS(EFAULT, control(ASYS_CTL_RING, (void *)8, sizeof(setup)));
	FAILS(EINVAL, set_ring(self->ring, 3));
	FAILS(EINVAL, set_ring(self->ring, 0));
	FAILS(EINVAL, set_ring(self->ring, ASYS_RING_MAX * 2));
	FAILS(EINVAL, set_ring((char *)self->ring + 4, 4));
	FAILS(EFAULT, set_ring((void *)-PAGE, 4));
	FAILS(EFAULT, set_ring((void *)64, 4));
	FAILS(EINVAL, set_up(self->ring, 4, 1));
	FAILS(EINVAL, set_up(self->ring, 4, ASYS_SETUP_DEFER << 1));
	FAILS(EINVAL, control(ASYS_CTL_EVENTFD, &fd, 8));
	FAILS(EFAULT, control(ASYS_CTL_EVENTFD, (void *)8, 4));
	fd = 999;
	FAILS(EBADF, control(ASYS_CTL_EVENTFD, &fd, 4));
	fd = self->p[0];
	FAILS(EINVAL, control(ASYS_CTL_EVENTFD, &fd, 4));
	FAILS(EINVAL, control(ASYS_CTL_CANCEL, &cookie, 4));
	FAILS(EFAULT, control(ASYS_CTL_CANCEL, (void *)8, 8));
	FAILS(ENOENT, control(ASYS_CTL_CANCEL, &cookie, 8));
	FAILS(EINVAL, control(ASYS_CTL_CANCEL_ALL, &cookie, 8));
	EXPECT_EQ(0, control(ASYS_CTL_CANCEL_ALL, NULL, 0));
	FAILS(EFAULT, control(ASYS_CTL_INFO, (void *)8, 8));
	EMPTY();
}

/* Structures of a program that knows more: what we do not know has to be 0. */
TEST_F(ring, grown)
{
	union {
		struct asys_ring_setup setup;
		struct asys_wait wait;
		char page[PAGE];
	} u;
	struct asys_request r;
	size_t size[2], i;

	FILL(&r, 1, __NR_getppid);
	for (i = 0; i < 2; i++) {
		memset(&u, 0, sizeof(u));
		size[0] = sizeof(u.wait) + 1;
		size[1] = PAGE;
		EXPECT_EQ(1, syscall(__NR_asys_enter, &r, 1, 1, 0, &u, size[i]));
		TAKE(1, getppid());
		u.page[size[i] - 1] = 1;
		FAILS(E2BIG, syscall(__NR_asys_enter, &r, 1, 1, 0, &u, size[i]));

		memset(&u, 0, sizeof(u));
		size[0] = sizeof(u.setup) + 1;
		u.setup.ring = (uintptr_t)self->ring;
		u.setup.entries = ENTRIES;
		EXPECT_EQ(0, control(ASYS_CTL_RING, &u, size[i]));
		/* Refused, it leaves the ring as it was. */
		u.setup.entries = 1;
		u.page[size[i] - 1] = 1;
		FAILS(E2BIG, control(ASYS_CTL_RING, &u, size[i]));
		FAILS(EINVAL, control(ASYS_CTL_RING, &u, PAGE + 1));
		ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
		ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
		TAKE(1, getppid());
		TAKE(1, getppid());
	}
	EMPTY();
}

TEST_F(ring, info)
{
	struct asys_info info[2];

	memset(info, 0xff, sizeof(info));
	ASSERT_EQ(0, control(ASYS_CTL_INFO, info, sizeof(info)));
	EXPECT_EQ(ASYS_R_LINK, info->request_flags);
	EXPECT_EQ(ASYS_ENTER_NONBLOCK | ASYS_ENTER_ATOMIC, info->enter_flags);
	EXPECT_EQ(ASYS_SETUP_DEFER, info->setup_flags);
	EXPECT_EQ((1U << (ASYS_CTL_INFO + 1)) - 1, info->controls);
	EXPECT_EQ(ASYS_CHAIN_MAX, info->chain_max);
	EXPECT_EQ(read_long(SYSCTL_PER_TASK), info->fibrils_max);
	EXPECT_EQ(0, info->in_flight);
	EXPECT_EQ(0, info[1].request_flags);
	info->enter_flags = 77;
	ASSERT_EQ(0, control(ASYS_CTL_INFO, info, 4));
	EXPECT_EQ(77, info->enter_flags);
}

TEST_F(ring, at_once)
{
	struct asys_request r[ENTRIES];
	int i, round;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < ENTRIES; i++) {
			if (i % 3)
				FILL(&r[i], i, __NR_getppid);
			else
				FILL(&r[i], i, ASYS_NOP);
		}
		ASSERT_EQ(ENTRIES, enter(r, ENTRIES, ENTRIES, 0, NULL));
		for (i = 0; i < ENTRIES; i++)
			TAKE(i, i % 3 ? getppid() : 0);
		EMPTY();
	}
}

TEST_F(ring, asleep)
{
	struct asys_request r[20];
	char buf[20];
	int i;

	for (i = 0; i < 20; i++) {
		FILL(&r[i], i, __NR_getppid);
		if (i % 4 == 1)
			FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
	}
	ASSERT_EQ(20, enter(r, 20, 15, 0, NULL));
	for (i = 0; i < 20; i++) {
		if (i % 4 != 1)
			TAKE(i, getppid());
	}
	EXPECT_EQ(0U, THERE());
	ASSERT_EQ(5, write(self->p[1], "abcde", 5));
	ASSERT_EQ(0, enter(NULL, 0, 5, 0, NULL));
	for (i = 1; i < 20; i += 4) {
		TAKE(i, 1);
		EXPECT_EQ('a' + i / 4, buf[i]);
	}
	EMPTY();
}

/* Calls go on when they are asked for, and not before, but for the tick. */
TEST_F(ring, deferred)
{
	int i, later = 0, deferred = 0, rounds = 200;
	struct asys_request r;
	char c;

	FILL(&r, 1, __NR_read, self->p[0], &c, 1);
	for (i = 0; i < 2 * rounds; i++) {
		if (i % rounds == 0) {
			ASSERT_EQ(0, set_up(self->ring, ENTRIES, i ? 0 : ASYS_SETUP_DEFER));
		}
		ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
		ASSERT_EQ(0U, THERE());
		ASSERT_EQ(1, write(self->p[1], "a", 1));
		later += !THERE();
		/* Not to wait, or to wait for one, is the same. */
		ASSERT_EQ(0, enter(NULL, 0, i % 2, 0, NULL));
		TAKE(1, 1);
		if (i == rounds - 1)
			deferred = later;
	}
	/* Not if a tick came, and not all of them do. */
	EXPECT_LT(0, deferred);
	EXPECT_EQ(deferred, later);

	/* What was woken goes on when the flag is taken back. */
	ASSERT_EQ(0, set_up(self->ring, ENTRIES, ASYS_SETUP_DEFER));
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	ASSERT_EQ(0, set_ring(self->ring, ENTRIES));
	TAKE(1, 1);
	EMPTY();
}

/* Nobody asks for it: home sleeps for something else, or does not sleep. */
TEST_F(ring, deferred_unasked)
{
	struct timespec nap = { .tv_nsec = 100000000 };
	struct asys_wait now = { .timeout = 1 };
	struct asys_request r;
	pid_t child;
	int status;
	char c;

	ASSERT_EQ(0, set_up(self->ring, ENTRIES, ASYS_SETUP_DEFER));
	FILL(&r, 1, __NR_read, self->p[0], &c, 1);

	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	ASSERT_EQ(0, nanosleep(&nap, NULL));
	TAKE(1, 1);

	/* At the tick */
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	while (!THERE())
		;
	TAKE(1, 1);

	/* No time to wait is time enough for what can go on. */
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, &now));
	TAKE(1, 1);

	/* It is not cancelled any more. */
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	control(ASYS_CTL_CANCEL_ALL, NULL, 0);
	TAKE(1, 1);

	/* Somebody else wakes it. */
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(write(self->p[1], "a", 1) != 1);
	while (!THERE())
		;
	TAKE(1, 1);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EMPTY();
}

/* Woken, but not gone on yet: it is too late, unless a tick has come before. */
TEST_F(ring, cancel_woken)
{
	struct asys_request r;
	uint64_t cookie = 1;
	bool woken = false;
	char c;

	ASSERT_EQ(0, set_up(self->ring, ENTRIES, ASYS_SETUP_DEFER));
	FILL(&r, cookie, __NR_read, self->p[0], &c, 1);
	while (!woken) {
		ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
		ASSERT_EQ(1, write(self->p[1], "a", 1));
		ASSERT_EQ(-1, control(ASYS_CTL_CANCEL, &cookie, 8));
		woken = errno == EALREADY;
		if (!woken)
			ASSERT_EQ(ENOENT, errno);
		TAKE(cookie, 1);
	}
	EMPTY();
}

/* The old calls' results are not the ring's, nor the other way round. */
TEST_F(ring, both_interfaces)
{
	struct asys_request r;
	char buf[2];

	START(1, __NR_read, self->p[0], &buf[0], 1);
	FILL(&r, 2, __NR_read, self->p[0], &buf[1], 1);
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(2, write(self->p[1], "ab", 2));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(2, 1);
	REAP(1, 1);
	NOTHING_LEFT();
	EMPTY();
}

TEST_F(ring, overflow)
{
	struct asys_request r[40];
	char buf[40];
	int i;

	ASSERT_EQ(0, set_ring(self->ring, 4));
	self->entries = 4;
	for (i = 0; i < 20; i++)
		FILL(&r[i], i, __NR_getppid);
	for (i = 20; i < 40; i++)
		FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
	ASSERT_EQ(40, enter(r, 40, 0, 0, NULL));
	EXPECT_EQ(4U, THERE());
	EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
	ASSERT_EQ(20, write(self->p[1], "abcdefghijklmnopqrst", 20));
	/* Full: nothing to wait for */
	ASSERT_EQ(0, enter(NULL, 0, 40, 0, NULL));
	for (i = 0; i < 40; i++) {
		if (!THERE())
			ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
		TAKE(i, i < 20 ? getppid() : 1);
	}
	ASSERT_EQ(0, enter(NULL, 0, 0, 0, NULL));
	EMPTY();
}

/* What cannot be stored is kept. */
TEST_F(ring, fault)
{
	static const int how[] = { PROT_READ, PROT_NONE };
	struct asys_request r[2];
	char byte;
	int i;

	for (i = 0; i < 2; i++) {
		FILL(&r[0], 1, __NR_getppid);
		FILL(&r[1], 2, __NR_read, self->p[0], &byte, 1);
		ASSERT_EQ(0, mprotect(self->ring, PAGE, how[i]));
		ASSERT_EQ(2, enter(r, 2, 0, 0, NULL));
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, mprotect(self->ring, PAGE, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
		TAKE(1, getppid());
		TAKE(2, 1);
		EMPTY();
	}

	/* The memory is gone: they go to the next ring. */
	ASSERT_EQ(0, munmap(self->ring, PAGE));
	ASSERT_EQ(2, enter(r, 2, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	ASSERT_EQ(0, set_ring(self->ring, ENTRIES));
	ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	TAKE(1, getppid());
	TAKE(2, 1);
	EMPTY();
}

/* A ring whose header is on another page than the next completions */
#define PAGES_ENTRIES	512
#define PAGES_FIRST	((PAGE - sizeof(struct asys_ring)) /		\
			 sizeof(struct asys_completion))

static struct asys_ring *ring_of_pages(void)
{
	struct asys_ring *ring;

	ring = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ring == MAP_FAILED)
		return NULL;
	ring->head = PAGES_FIRST;
	ring->tail = PAGES_FIRST;
	return set_ring(ring, PAGES_ENTRIES) ? NULL : ring;
}

/* The header is there, and says so if completions cannot be stored. */
TEST_F(ring, fault_behind_header)
{
	static const int how[] = { PROT_READ, PROT_NONE };
	struct asys_request r[3];
	char byte, *page;
	int i;

	self->ring = ring_of_pages();
	ASSERT_NE(NULL, self->ring);
	self->entries = PAGES_ENTRIES;
	page = (char *)self->ring + PAGE;
	for (i = 0; i < 2; i++) {
		FILL(&r[0], 1, __NR_getppid);
		FILL(&r[1], 2, __NR_read, self->p[0], &byte, 1);
		FILL(&r[2], 3, ASYS_NOP);
		ASSERT_EQ(0, mprotect(page, PAGE, how[i]));
		/* It would wait for what there is no room for. */
		ASSERT_EQ(3, enter(r, 3, 3, 0, NULL));
		EXPECT_EQ(0U, THERE());
		EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, enter(NULL, 0, 3, 0, NULL));
		EXPECT_EQ(0U, THERE());
		EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
		ASSERT_EQ(0, mprotect(page, PAGE, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, enter(NULL, 0, 3, 0, NULL));
		TAKE(1, getppid());
		TAKE(3, 0);
		TAKE(2, 1);
		EMPTY();
	}
}

/* The same for a chain that goes on after its first completion */
TEST_F(ring, fault_in_chain)
{
	struct asys_request r[3];
	char buf[2], *page;
	int i;

	self->ring = ring_of_pages();
	ASSERT_NE(NULL, self->ring);
	self->entries = PAGES_ENTRIES;
	page = (char *)self->ring + PAGE;
	for (i = 0; i < 2; i++) {
		FILL(&r[0], 1, __NR_read, self->p[0], &buf[0], 1);
		FILL(&r[1], 2, __NR_read, self->p[0], &buf[1], 1);
		FILL(&r[2], 3, __NR_getppid);
		r[0].flags = ASYS_R_LINK;
		r[1].flags = ASYS_R_LINK;
		ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
		ASSERT_EQ(0, mprotect(page, PAGE, PROT_NONE));
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
		ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
		EXPECT_EQ(0U, THERE());
		EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
		/* It finishes before the page is there, or after that. */
		if (i)
			ASSERT_EQ(1, write(self->p[1], "y", 1));
		/* One that has not been touched, for which the kernel sleeps */
		ASSERT_EQ(page, mmap(page, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		ASSERT_EQ(0, enter(NULL, 0, i ? 3 : 1, 0, NULL));
		TAKE(1, 1);
		if (!i) {
			EXPECT_EQ(0U, THERE());
			EXPECT_EQ(0U, self->ring->flags);
			ASSERT_EQ(1, write(self->p[1], "y", 1));
		}
		TAKE(2, 1);
		TAKE(3, getppid());
		EMPTY();
	}
}

/* Nothing is pinned or locked: no limit counts, not for the largest ring. */
static long status_kb(const char *name)
{
	char line[256];
	long kb = -1;
	FILE *f;

	f = fopen("/proc/self/status", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)))
			kb = strtol(line + strlen(name), NULL, 10);
	}
	fclose(f);
	return kb;
}

TEST_F(ring, nothing_locked)
{
	size_t size = sizeof(struct asys_ring) +
		      ASYS_RING_MAX * sizeof(struct asys_completion);
	struct rlimit none = {};
	struct asys_request r[ENTRIES];
	char buf[ENTRIES];
	int i;

	if (!geteuid())
		ASSERT_EQ(0, setresuid(USER, USER, USER));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	self->ring = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	/* Across the end */
	self->ring->head = ASYS_RING_MAX - ENTRIES / 2;
	self->ring->tail = self->ring->head;
	self->entries = ASYS_RING_MAX;
	ASSERT_EQ(0, set_ring(self->ring, ASYS_RING_MAX));
	for (i = 0; i < ENTRIES; i++)
		FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
	ASSERT_EQ(ENTRIES, enter(r, ENTRIES, 0, 0, NULL));
	EXPECT_EQ(0, status_kb("VmLck:"));
	EXPECT_EQ(0, status_kb("VmPin:"));
	ASSERT_EQ(ENTRIES, write(self->p[1], buf, ENTRIES));
	ASSERT_EQ(0, enter(NULL, 0, ENTRIES, 0, NULL));
	for (i = 0; i < ENTRIES; i++)
		TAKE(i, 1);
	EXPECT_EQ(0, status_kb("VmLck:"));
	EXPECT_EQ(0, status_kb("VmPin:"));
	EMPTY();
}

static void *write_soon(void *fd)
{
	usleep(50000);
	MUST(write(*(int *)fd, "x", 1) == 1);
	return NULL;
}

TEST_F(ring, wait)
{
	struct asys_wait w = { .timeout = 20000000 };
	struct asys_request r;
	pthread_t t;
	uint64_t from;
	char byte;

	FILL(&r, 1, __NR_read, self->p[0], &byte, 1);
	from = now_ns();
	ASSERT_EQ(1, enter(&r, 1, 1, 0, &w));
	EXPECT_LE(20000000, now_ns() - from);
	FAILS(ETIME, enter(NULL, 0, 1, 0, &w));
	ASSERT_EQ(0, pthread_create(&t, NULL, write_soon, &self->p[1]));
	w.timeout = 0;
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, &w));
	TAKE(1, 1);
	pthread_join(t, NULL);
	EMPTY();
}

static volatile int handled;

static void handler(int sig)
{
	handled = sig;
}

/* It does not wait for a call that one that was not taken might have to end. */
TEST_F(ring, wait_for_part)
{
	struct asys_request r[2];
	char byte;
	int i, seen = 0;

	FILL(&r[0], 1, __NR_read, self->p[0], &byte, 1);
	FILL(&r[1], 2, __NR_write, self->p[1], "x", 1);
	r[1].flags = 0x80;
	ASSERT_EQ(1, enter(r, 2, 1, 0, NULL));
	EXPECT_EQ(0U, THERE());
	r[1].flags = 0;
	ASSERT_EQ(1, enter(r + 1, 1, 2, 0, NULL));
	/* The one that writes may let the one that reads go first. */
	ASSERT_EQ(2U, THERE());
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, self->ring->completions[i].return_code);
		seen |= self->ring->completions[i].cookie;
	}
	EXPECT_EQ(3, seen);
	self->ring->head += 2;
	EMPTY();
}

TEST_F(ring, wait_signal)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct asys_wait w = { .sigsetsize = 8 };
	struct asys_request r;
	uint64_t none = 0;
	sigset_t usr1;
	char byte;

	w.sigmask = (uintptr_t)&none;
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	FILL(&r, 1, __NR_read, self->p[0], &byte, 1);
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	raise(SIGUSR1);
	EXPECT_EQ(0, handled);
	/* The mask of the wait lets it through; afterwards it is as it was. */
	FAILS(EINTR, enter(NULL, 0, 1, 0, &w));
	EXPECT_EQ(SIGUSR1, handled);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, NULL, &usr1));
	EXPECT_TRUE(sigismember(&usr1, SIGUSR1));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, &w));
	TAKE(1, 1);
	EMPTY();
}

/* One that is pending ends the batch, but no chain, and nobody waits. */
TEST_F(ring, signal_ends_batch)
{
	struct asys_request r[3];
	int i;

	signal(SIGUSR1, handler);
	for (i = 0; i < 2; i++) {
		handled = 0;
		FILL(&r[0], 1, __NR_tgkill, getpid(), asys_gettid(), SIGUSR1);
		FILL(&r[1], 2, __NR_getppid);
		FILL(&r[2], 3, __NR_getppid);
		r[0].flags = i ? ASYS_R_LINK : 0;
		ASSERT_EQ(1 + i, enter(r, 3, 3, 0, NULL));
		EXPECT_EQ(SIGUSR1, handled);
		TAKE(1, 0);
		if (i)
			TAKE(2, getppid());
		EXPECT_EQ(0U, THERE());
		/* The others as if they had never been given */
		ASSERT_EQ(2 - i, enter(r + 1 + i, 2 - i, 2 - i, 0, NULL));
		if (!i)
			TAKE(2, getppid());
		TAKE(3, getppid());
		EMPTY();
	}
}

TEST_F(ring, timeout)
{
	struct asys_request r[12];
	bool seen[10] = {};
	char buf[12];
	int i, n;

	/* Due in the opposite order; the last ones never */
	for (i = 0; i < 12; i++) {
		FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
		if (i < 10)
			r[i].timeout = 300000 - i * 20000;
	}
	ASSERT_EQ(12, enter(r, 12, 10, 0, NULL));
	/* A machine that stops for a while may change the order. */
	for (i = 0; i < 10; i++) {
		struct asys_completion *c;

		ASSERT_NE(0U, THERE());
		c = &self->ring->completions[self->ring->head++ & (ENTRIES - 1)];
		EXPECT_EQ(-ETIMEDOUT, c->return_code);
		ASSERT_GT(10, c->cookie);
		EXPECT_FALSE(seen[c->cookie]);
		seen[c->cookie] = true;
	}
	EXPECT_EQ(0U, THERE());
	ASSERT_EQ(2, write(self->p[1], "xy", 2));
	ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	TAKE(10, 1);
	TAKE(11, 1);

	/* One that finishes in time is not bothered, at whatever time. */
	for (n = 0; n < 200; n++) {
		struct asys_completion *c;

		FILL(&r[0], 1, __NR_read, self->p[0], buf, 1);
		r[0].timeout = 1 + n * 3;
		ASSERT_EQ(1, enter(r, 1, 0, 0, NULL));
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
		ASSERT_EQ(1U, THERE());
		c = &self->ring->completions[self->ring->head++ & (ENTRIES - 1)];
		if (c->return_code == -ETIMEDOUT) {
			ASSERT_EQ(1, read(self->p[0], buf, 1));
		} else {
			ASSERT_EQ(1, c->return_code);
		}
	}
	EMPTY();
}

/*
 * The event, asys_control() and the timer race for each call: one of them ends
 * it, and it has one result.
 */
#define RACERS	8

struct race {
	int fd;
	unsigned int round, written;
	bool stop;
};

/* Writes half as many bytes as there are calls, in each round. */
static void *race_main(void *arg)
{
	struct race *race = arg;
	volatile int spin;
	int i;

	while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&race->round, __ATOMIC_ACQUIRE) ==
		    race->written / (RACERS / 2)) {
			sched_yield();
			continue;
		}
		for (i = 0; i < RACERS / 2; i++) {
			for (spin = race->round * 37 % 1000; spin; spin--)
				;
			MUST(write(race->fd, "x", 1) == 1);
			__atomic_add_fetch(&race->written, 1, __ATOMIC_RELEASE);
		}
	}
	return NULL;
}

static void race_start(struct race *race, unsigned int round)
{
	__atomic_store_n(&race->round, round + 1, __ATOMIC_RELEASE);
}

/* Calls whose time is over sooner or later, or never */
static void race_fill(struct asys_request *r, unsigned int round, int fd,
		      char *buf)
{
	int i;

	for (i = 0; i < RACERS; i++) {
		FILL(&r[i], round * RACERS + i, __NR_read, fd, buf + i, 1);
		if (i % 4)
			r[i].timeout = 1 + (round * 29 + i * 61) % 500;
	}
}

TEST_F(ring, race)
{
	struct race race = { .fd = self->p[1] };
	unsigned int round, i, won[3] = {};
	struct asys_request r[RACERS];
	struct asys_completion *c;
	struct asys_info info;
	char buf[RACERS];
	pthread_t thread;
	int left;

	ASSERT_EQ(0, pthread_create(&thread, NULL, race_main, &race));
	for (round = 0; round < 1000 || !won[0] || !won[1] || !won[2]; round++) {
		bool done[RACERS] = {}, late[RACERS] = {};
		unsigned int read_before = won[0];

		race_fill(r, round, self->p[0], buf);
		if (round % 2)
			race_start(&race, round);
		ASSERT_EQ(RACERS, enter(r, RACERS, 0, 0, NULL));
		race_start(&race, round);
		for (i = round % 3; i < RACERS; i += 3) {
			uint64_t cookie = r[i].cookie;

			if (!control(ASYS_CTL_CANCEL, &cookie, 8))
				continue;
			late[i] = errno == ENOENT;
			ASSERT_TRUE(late[i] || errno == EALREADY);
		}
		while (__atomic_load_n(&race.written, __ATOMIC_ACQUIRE) !=
		       (round + 1) * (RACERS / 2))
			sched_yield();
		/* Nobody sleeps while there is something to read. */
		do {
			ASSERT_EQ(0, enter(NULL, 0, 0, 0, NULL));
			ASSERT_EQ(0, control(ASYS_CTL_INFO, &info, sizeof(info)));
			ASSERT_EQ(0, ioctl(self->p[0], FIONREAD, &left));
		} while (left && info.in_flight);
		ASSERT_LE(0, control(ASYS_CTL_CANCEL_ALL, NULL, 0));
		ASSERT_EQ(0, enter(NULL, 0, RACERS, 0, NULL));

		ASSERT_EQ(RACERS, THERE());
		while (THERE()) {
			c = &self->ring->completions[self->ring->head++ & (ENTRIES - 1)];
			i = c->cookie - round * RACERS;
			ASSERT_GT(RACERS, i);
			ASSERT_FALSE(done[i]);
			done[i] = true;
			if (c->return_code == -ECANCELED) {
				/* If it was not there any more, it was not that. */
				ASSERT_FALSE(late[i]);
				won[1]++;
			} else if (c->return_code == -ETIMEDOUT) {
				ASSERT_NE(0, r[i].timeout);
				won[2]++;
			} else {
				ASSERT_EQ(1, c->return_code);
				won[0]++;
			}
		}
		ASSERT_EQ(RACERS / 2, won[0] - read_before + left);
		if (left)
			ASSERT_EQ(left, read(self->p[0], buf, RACERS));
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EMPTY();
}

/* The end of the process joins in, of itself or by a signal. */
TEST_F(ring, race_exit)
{
	unsigned int n;
	int ready[2];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	for (n = 0; n < 60; n++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			struct asys_request r[RACERS];
			struct race race = {};
			unsigned int round;
			pthread_t thread;
			char buf[RACERS];
			int p[2];

			MUST(!pipe(p));
			race.fd = p[1];
			MUST(!set_ring(self->ring, ENTRIES));
			MUST(!pthread_create(&thread, NULL, race_main, &race));
			for (round = 0;; round++) {
				uint64_t cookie = round * RACERS;

				race_fill(r, round, p[0], buf);
				MUST(enter(r, RACERS, 0, 0, NULL) == RACERS);
				race_start(&race, round);
				control(ASYS_CTL_CANCEL, &cookie, 8);
				if (round == n / 2)
					MUST(write(ready[1], "x", 1) == 1);
				if (n % 2 == 0 && round == n)
					break;
				control(ASYS_CTL_CANCEL_ALL, NULL, 0);
				MUST(!enter(NULL, 0, RACERS, 0, NULL));
				self->ring->head = self->ring->tail;
			}
			_exit(7);
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		if (n % 2) {
			ASSERT_EQ(0, kill(pid, SIGKILL));
			KILLED(pid, SIGKILL);
		} else {
			EXITS(pid, 7);
		}
	}
	EMPTY();
}

TEST_F(ring, cancel)
{
	struct asys_request r[10];
	uint64_t cookie = 4;
	char buf[10];
	int i;

	for (i = 0; i < 10; i++)
		FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
	ASSERT_EQ(10, enter(r, 10, 0, 0, NULL));
	ASSERT_EQ(0, control(ASYS_CTL_CANCEL, &cookie, 8));
	TAKE(4, -ECANCELED);
	FAILS(ENOENT, control(ASYS_CTL_CANCEL, &cookie, 8));
	EXPECT_EQ(9, control(ASYS_CTL_CANCEL_ALL, NULL, 0));
	for (i = 0; i < 10; i++) {
		if (i != 4)
			TAKE(i, -ECANCELED);
	}
	EMPTY();
}

/* A file system that is frozen cannot be written to, nor waited for less. */
TEST_F(ring, cancel_later)
{
	struct asys_request r;
	uint64_t cookie = 1;
	int fd, dir;

	NEED_ROOT();
	fd = open("/scratch/ring_test", O_RDWR | O_CREAT | O_TRUNC, 0600);
	dir = open("/scratch", O_RDONLY | O_DIRECTORY);
	if (fd < 0 || dir < 0 || ioctl(dir, FIFREEZE, 0))
		SKIP(return, "nothing to freeze");
	FILL(&r, 1, __NR_write, fd, "x", 1);
	EXPECT_EQ(1, enter(&r, 1, 0, 0, NULL));
	EXPECT_EQ(0U, THERE());
	FAILS(EALREADY, control(ASYS_CTL_CANCEL, &cookie, 8));
	EXPECT_EQ(0, ioctl(dir, FITHAW, 0));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(1, -ECANCELED);
	EMPTY();
	unlink("/scratch/ring_test");
}

TEST_F(ring, event_fd)
{
	struct asys_request r[4];
	uint64_t count;
	char buf[4];
	int fd, none = -1, i;

	fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, control(ASYS_CTL_EVENTFD, &fd, sizeof(fd)));
	for (i = 0; i < 4; i++)
		FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
	FILL(&r[0], 0, __NR_getppid);
	ASSERT_EQ(4, enter(r, 4, 0, 0, NULL));
	FAILS(EAGAIN, read(fd, &count, 8));
	ASSERT_EQ(2, write(self->p[1], "ab", 2));
	ASSERT_EQ(8, read(fd, &count, 8));
	EXPECT_EQ(2, count);
	ASSERT_EQ(0, control(ASYS_CTL_EVENTFD, &none, sizeof(none)));
	ASSERT_EQ(1, write(self->p[1], "c", 1));
	ASSERT_EQ(0, enter(NULL, 0, 4, 0, NULL));
	FAILS(EAGAIN, read(fd, &count, 8));
	TAKE(0, getppid());
	for (i = 1; i < 4; i++)
		TAKE(i, 1);
	EMPTY();
}

/*
 * A chain that has slept: once for the call that slept, with those before it,
 * and once for each one after that, whether it is made or not.
 */
TEST_F(ring, event_fd_chain)
{
	struct asys_request r[5];
	uint64_t count;
	char buf[2];
	int fd, i, round;

	fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, control(ASYS_CTL_EVENTFD, &fd, sizeof(fd)));

	/* One that does not sleep is not told of. */
	for (i = 0; i < 5; i++) {
		FILL(&r[i], i, __NR_getppid);
		r[i].flags = i < 4 ? ASYS_R_LINK : 0;
	}
	ASSERT_EQ(5, enter(r, 5, 0, 0, NULL));
	FAILS(EAGAIN, read(fd, &count, 8));
	for (i = 0; i < 5; i++)
		TAKE(i, getppid());

	for (round = 0; round < 2; round++) {
		FILL(&r[1], 1, __NR_read, self->p[0], &buf[0], 1);
		FILL(&r[3], 3, __NR_read, self->p[0], &buf[1], 1);
		r[1].flags = ASYS_R_LINK;
		r[3].flags = ASYS_R_LINK;
		ASSERT_EQ(5, enter(r, 5, 0, 0, NULL));
		FAILS(EAGAIN, read(fd, &count, 8));
		ASSERT_EQ(1, write(self->p[1], "a", 1));
		ASSERT_EQ(8, read(fd, &count, 8));
		EXPECT_EQ(2, count);
		TAKE(0, getppid());
		TAKE(1, 1);
		TAKE(2, getppid());
		EXPECT_EQ(0U, THERE());
		if (round) {
			ASSERT_EQ(1, control(ASYS_CTL_CANCEL_ALL, NULL, 0));
		} else {
			ASSERT_EQ(1, write(self->p[1], "b", 1));
		}
		ASSERT_EQ(8, read(fd, &count, 8));
		EXPECT_EQ(2, count);
		TAKE(3, round ? -ECANCELED : 1);
		TAKE(4, round ? -ECANCELED : getppid());
		EMPTY();
	}
}

/* A ring of 4 that is full, with cookies 0 to 3, and a chain of 4 and 5, asleep */
static void full_with_chain(struct __test_metadata *_metadata,
			    struct asys_ring *ring, int fd, char *buf)
{
	struct asys_request r[4];
	int i;

	ASSERT_EQ(0, set_ring(ring, 4));
	for (i = 0; i < 4; i++)
		FILL(&r[i], i, __NR_getppid);
	ASSERT_EQ(4, enter(r, 4, 0, 0, NULL));
	FILL(&r[0], 4, __NR_read, fd, &buf[0], 1);
	FILL(&r[1], 5, __NR_read, fd, &buf[1], 1);
	r[0].flags = ASYS_R_LINK;
	ASSERT_EQ(2, enter(r, 2, 0, 0, NULL));
}

/* It is told, too, of what does not fit into the ring. */
TEST_F(ring, event_fd_chain_full)
{
	uint64_t count;
	char buf[2];
	int fd, i;

	fd = eventfd(0, EFD_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, control(ASYS_CTL_EVENTFD, &fd, sizeof(fd)));
	self->entries = 4;
	full_with_chain(_metadata, self->ring, self->p[0], buf);
	FAILS(EAGAIN, read(fd, &count, 8));
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
	ASSERT_EQ(8, read(fd, &count, 8));
	EXPECT_EQ(1, count);
	for (i = 0; i < 4; i++)
		TAKE(i, getppid());
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(4, 1);
	ASSERT_EQ(1, write(self->p[1], "b", 1));
	ASSERT_EQ(8, read(fd, &count, 8));
	TAKE(5, 1);
	EMPTY();
}

TEST_F(ring, chain)
{
	struct asys_request r[5];
	struct stat st;
	char buf[64];
	int round;

	for (round = 0; round < 3; round++) {
		memset(buf, 0, sizeof(buf));
		FILL(&r[0], 10, __NR_openat, AT_FDCWD, "/proc/sys/kernel/ostype", O_RDONLY);
		FILL(&r[1], 11, __NR_fstat, -1, &st);
		r[1].use = ASYS_USE(0, 1);
		FILL(&r[2], 12, __NR_read, -1, buf, sizeof(buf));
		r[2].use = ASYS_USE(0, 2);
		FILL(&r[3], 13, __NR_close, -1);
		r[3].use = ASYS_USE(0, 3);
		r[0].flags = ASYS_R_LINK;
		r[1].flags = ASYS_R_LINK;
		r[2].flags = ASYS_R_LINK;
		FILL(&r[4], 14, __NR_getppid);
		ASSERT_EQ(5, enter(r, 5, 5, 0, NULL));
		EXPECT_EQ(5U, THERE());
		TAKE(10, self->p[1] + 1);
		TAKE(11, 0);
		TAKE(12, 6);
		TAKE(13, 0);
		TAKE(14, getppid());
		EXPECT_STREQ("Linux\n", buf);
		EMPTY();
	}
}

TEST_F(ring, chain_fails)
{
	struct asys_request r[4];
	int i;

	FILL(&r[0], 0, __NR_getppid);
	FILL(&r[1], 1, __NR_close, 999);
	FILL(&r[2], 2, __NR_getppid);
	FILL(&r[3], 3, __NR_getppid);
	for (i = 0; i < 3; i++)
		r[i].flags = ASYS_R_LINK;
	ASSERT_EQ(4, enter(r, 4, 4, 0, NULL));
	TAKE(0, getppid());
	TAKE(1, -EBADF);
	TAKE(2, -ECANCELED);
	TAKE(3, -ECANCELED);
	EMPTY();
}

/* A chain that sleeps in the middle, twice; its first completion comes early. */
TEST_F(ring, chain_sleeps)
{
	struct asys_request r[4];
	char buf[8];
	int q[2], i;

	ASSERT_EQ(0, pipe(q));
	FILL(&r[0], 0, __NR_read, self->p[0], buf, 8);
	FILL(&r[1], 1, __NR_write, q[1], "12345678", 0);
	r[1].use = ASYS_USE(2, 1);
	FILL(&r[2], 2, __NR_read, self->p[0], buf, 8);
	FILL(&r[3], 3, __NR_getppid);
	for (i = 0; i < 3; i++)
		r[i].flags = ASYS_R_LINK;
	ASSERT_EQ(4, enter(r, 4, 0, 0, NULL));
	/* It is a copy. */
	memset(r, 0xff, sizeof(r));
	EXPECT_EQ(0U, THERE());
	ASSERT_EQ(3, write(self->p[1], "abc", 3));
	ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	TAKE(0, 3);
	TAKE(1, 3);
	EXPECT_EQ(3, read(q[0], buf, 8));
	EXPECT_EQ(0U, THERE());
	ASSERT_EQ(2, write(self->p[1], "de", 2));
	ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	TAKE(2, 2);
	TAKE(3, getppid());
	EMPTY();
}

TEST_F(ring, chain_errors)
{
	struct asys_request r[ASYS_CHAIN_MAX + 1];
	int i;

	for (i = 0; i <= ASYS_CHAIN_MAX; i++) {
		FILL(&r[i], i, ASYS_NOP);
		r[i].flags = ASYS_R_LINK;
	}
	/* Linked to nothing; too long */
	FAILS(EINVAL, enter(r, 1, 0, 0, NULL));
	FAILS(EINVAL, enter(r, 5, 0, 0, NULL));
	r[ASYS_CHAIN_MAX].flags = 0;
	FAILS(EINVAL, enter(r, ASYS_CHAIN_MAX + 1, 0, 0, NULL));
	r[ASYS_CHAIN_MAX - 1].flags = 0;
	ASSERT_EQ(ASYS_CHAIN_MAX, enter(r, ASYS_CHAIN_MAX, 0, 0, NULL));
	for (i = 0; i < ASYS_CHAIN_MAX; i++)
		TAKE(i, 0);
	r[2].flags = 0;
	r[0].use = ASYS_USE(0, 1);
	FAILS(EINVAL, enter(r, 3, 0, 0, NULL));
	r[0].use = 0;
	r[1].use = ASYS_USE(0, 2);
	FAILS(EINVAL, enter(r, 3, 0, 0, NULL));
	r[1].use = ASYS_USE(6, 1);
	FAILS(EINVAL, enter(r, 3, 0, 0, NULL));
	r[1].use = 1;
	FAILS(EINVAL, enter(r, 3, 0, 0, NULL));
	r[1].use = 0;
	r[1].timeout = 1;
	FAILS(EINVAL, enter(r, 3, 0, 0, NULL));
	r[1].timeout = 0;
	r[1].nr = __NR_exit;
	FAILS(EOPNOTSUPP, enter(r, 3, 0, 0, NULL));
	r[1].nr = 0xfffe;
	FAILS(ENOSYS, enter(r, 3, 0, 0, NULL));
	EMPTY();
}

TEST_F(ring, chain_overflow)
{
	struct asys_request r[8];
	char byte;
	int i;

	ASSERT_EQ(0, set_ring(self->ring, 2));
	self->entries = 2;
	for (i = 0; i < 8; i++) {
		FILL(&r[i], i, i == 4 ? __NR_read : __NR_getppid,
		     self->p[0], &byte, 1);
		r[i].flags = i < 7 ? ASYS_R_LINK : 0;
	}
	ASSERT_EQ(8, enter(r, 8, 0, 0, NULL));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	for (i = 0; i < 8; i++) {
		if (!THERE())
			ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
		TAKE(i, i == 4 ? 1 : getppid());
	}
	ASSERT_EQ(0, enter(NULL, 0, 0, 0, NULL));
	EMPTY();
}

TEST_F(ring, chain_cancel)
{
	struct asys_request r[3];
	uint64_t cookie = 1;
	char byte;

	FILL(&r[0], 0, __NR_getppid);
	FILL(&r[1], 1, __NR_read, self->p[0], &byte, 1);
	FILL(&r[2], 2, __NR_getppid);
	r[0].flags = ASYS_R_LINK;
	r[1].flags = ASYS_R_LINK;
	ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
	ASSERT_EQ(0, control(ASYS_CTL_CANCEL, &cookie, 8));
	ASSERT_EQ(0, enter(NULL, 0, 3, 0, NULL));
	TAKE(0, getppid());
	TAKE(1, -ECANCELED);
	TAKE(2, -ECANCELED);
	EMPTY();
}

/* Only the one that is on its way is in flight. */
TEST_F(ring, chain_cancel_other)
{
	struct asys_request r[3];
	uint64_t cookie;
	char buf[2];

	FILL(&r[0], 1, __NR_read, self->p[0], &buf[0], 1);
	FILL(&r[1], 2, __NR_read, self->p[0], &buf[1], 1);
	FILL(&r[2], 3, __NR_getppid);
	r[0].flags = ASYS_R_LINK;
	r[1].flags = ASYS_R_LINK;
	ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
	for (cookie = 2; cookie < 4; cookie++)
		FAILS(ENOENT, control(ASYS_CTL_CANCEL, &cookie, 8));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	TAKE(1, 1);
	for (cookie = 1; cookie < 4; cookie += 2)
		FAILS(ENOENT, control(ASYS_CTL_CANCEL, &cookie, 8));
	EXPECT_EQ(0U, THERE());
	cookie = 2;
	ASSERT_EQ(0, control(ASYS_CTL_CANCEL, &cookie, 8));
	TAKE(2, -ECANCELED);
	TAKE(3, -ECANCELED);
	EMPTY();
}

/* The timeout of the first one is the chain's: it ends whichever call sleeps. */
TEST_F(ring, chain_timeout)
{
	unsigned int timeout = 10000;
	struct asys_completion *c;
	struct asys_request r[3];
	char buf[2];
	bool slept;

	FILL(&r[0], 0, ASYS_NOP);
	FILL(&r[1], 1, __NR_read, self->p[0], buf, 1);
	FILL(&r[2], 2, ASYS_NOP);
	r[0].flags = ASYS_R_LINK;
	r[1].flags = ASYS_R_LINK;
	r[0].timeout = timeout;
	ASSERT_EQ(3, enter(r, 3, 3, 0, NULL));
	TAKE(0, 0);
	TAKE(1, -ETIMEDOUT);
	TAKE(2, -ECANCELED);
	EMPTY();

	/* The second sleep; on a slow machine, the next time */
	do {
		FILL(&r[0], 0, __NR_read, self->p[0], &buf[0], 1);
		FILL(&r[1], 1, __NR_read, self->p[0], &buf[1], 1);
		r[0].flags = ASYS_R_LINK;
		r[1].flags = ASYS_R_LINK;
		r[0].timeout = timeout;
		timeout *= 2;
		ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, enter(NULL, 0, 3, 0, NULL));
		ASSERT_EQ(3U, THERE());
		c = &self->ring->completions[self->ring->head & (ENTRIES - 1)];
		slept = c->return_code == 1;
		TAKE(0, slept ? 1 : -ETIMEDOUT);
		TAKE(1, slept ? -ETIMEDOUT : -ECANCELED);
		TAKE(2, -ECANCELED);
		if (!slept)
			ASSERT_EQ(1, read(self->p[0], buf, 1));
		EMPTY();
	} while (!slept);
}

struct cold_ring {
	struct cold cold;
	/* what the memory is to hold */
	char page[PAGE];
	int faults;
};

#define FAULTS()	__atomic_load_n(&c.faults, __ATOMIC_ACQUIRE)

static void *fill_ring(void *arg)
{
	struct cold_ring *c = arg;
	char *page;

	while ((page = cold_wait(&c->cold))) {
		int err;

		__atomic_add_fetch(&c->faults, 1, __ATOMIC_RELEASE);
		err = cold_fill(&c->cold, page, c->page);
		/* Several contexts may wait for it. */
		MUST(!err || err == -EEXIST);
	}
	return NULL;
}

/* A ring that somebody has to bring, whenever it is needed */
TEST_F(ring, userfaultfd)
{
	struct cold_ring c = {};
	struct asys_request r[3];
	pthread_t thread;
	char byte[3];
	int i, seen = 0;

	NEED_COLD(&c.cold, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, fill_ring, &c));
	self->ring = (struct asys_ring *)c.cold.mem;
	self->entries = 128;
	ASSERT_EQ(0, set_ring(self->ring, 128));
	for (i = 0; i < 3; i++)
		FILL(&r[i], i, __NR_getppid);
	ASSERT_EQ(3, enter(r, 3, 3, 0, NULL));
	EXPECT_LE(1, FAULTS());
	for (i = 0; i < 3; i++)
		TAKE(i, getppid());

	/* It goes while calls sleep. */
	for (i = 0; i < 3; i++)
		FILL(&r[i], i, __NR_read, self->p[0], byte + i, 1);
	ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
	memcpy(c.page, self->ring, PAGE);
	ASSERT_EQ(0, madvise(c.cold.mem, PAGE, MADV_DONTNEED));
	ASSERT_EQ(3, write(self->p[1], "abc", 3));
	ASSERT_EQ(0, enter(NULL, 0, 3, 0, NULL));
	EXPECT_LE(2, FAULTS());
	for (i = 0; i < 3; i++) {
		struct asys_completion *done = &self->ring->completions[3 + i];

		ASSERT_NE(0U, THERE());
		EXPECT_EQ(1, done->return_code);
		seen |= 1 << done->cookie;
		__atomic_store_n(&self->ring->head, self->ring->head + 1, __ATOMIC_RELEASE);
	}
	EXPECT_EQ(7, seen);
	EXPECT_EQ(0, self->ring->flags & ASYS_RING_OVERFLOW);

	/* It goes, and a batch begins. */
	memcpy(c.page, self->ring, PAGE);
	ASSERT_EQ(0, madvise(c.cold.mem, PAGE, MADV_DONTNEED));
	for (i = 0; i < 3; i++)
		FILL(&r[i], 10 + i, __NR_getppid);
	ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
	EXPECT_LE(3, FAULTS());
	for (i = 0; i < 3; i++)
		TAKE(10 + i, getppid());
	EMPTY();
}

/* A call whose completion cannot be stored yet has finished: too late. */
TEST_F(ring, cancel_too_late)
{
	uint64_t cookie = 5;
	struct asys_request r;
	char page[PAGE] = {};
	struct cold cold = {};
	char byte, *where;

	NEED_COLD(&cold, 1);
	self->ring = (struct asys_ring *)cold.mem;
	/* So that the kernel may look at it */
	ASSERT_EQ(0, cold_fill(&cold, cold.mem, page));
	ASSERT_EQ(0, set_ring(self->ring, ENTRIES));
	FILL(&r, cookie, __NR_read, self->p[0], &byte, 1);
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(0, madvise(cold.mem, PAGE, MADV_DONTNEED));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	/* It sleeps for the ring's page. */
	where = cold_wait(&cold);
	ASSERT_EQ(cold.mem, where);
	FAILS(ENOENT, control(ASYS_CTL_CANCEL, &cookie, 8));
	EXPECT_EQ(0, control(ASYS_CTL_CANCEL_ALL, NULL, 0));
	ASSERT_EQ(0, cold_fill(&cold, where, page));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(cookie, 1);
	EMPTY();
}

/* The same, of a chain that has not finished: another call of it is next. */
TEST_F(ring, cancel_too_late_in_chain)
{
	uint64_t cookie = 5;
	struct asys_request r[2];
	char page[PAGE] = {};
	struct cold cold = {};
	char buf[2], *where;

	NEED_COLD(&cold, 1);
	self->ring = (struct asys_ring *)cold.mem;
	ASSERT_EQ(0, cold_fill(&cold, cold.mem, page));
	ASSERT_EQ(0, set_ring(self->ring, ENTRIES));
	FILL(&r[0], cookie, __NR_read, self->p[0], &buf[0], 1);
	FILL(&r[1], 6, __NR_read, self->p[0], &buf[1], 1);
	r[0].flags = ASYS_R_LINK;
	ASSERT_EQ(2, enter(r, 2, 0, 0, NULL));
	ASSERT_EQ(0, madvise(cold.mem, PAGE, MADV_DONTNEED));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	where = cold_wait(&cold);
	ASSERT_EQ(cold.mem, where);
	FAILS(ENOENT, control(ASYS_CTL_CANCEL, &cookie, 8));
	ASSERT_EQ(0, cold_fill(&cold, where, page));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(cookie, 1);
	ASSERT_EQ(1, write(self->p[1], "y", 1));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(6, 1);
	EMPTY();
}

/*
 * The last completions of a chain go to a ring whose memory has to be brought in.
 * It is there before the fibril goes on, and home stores them, since the ring was
 * full before: they are not stored twice.
 */
TEST_F(ring, flush_while_chain_posts)
{
	char page[PAGE], buf[2], *where;
	struct cold cold = {};
	struct uffdio_copy copy = {
		.src = (uintptr_t)page, .len = PAGE, .mode = UFFDIO_COPY_MODE_DONTWAKE,
	};
	struct uffdio_range range = { .len = PAGE };
	int i;

	NEED_COLD(&cold, 1);
	memset(page, 0, sizeof(page));
	self->ring = (struct asys_ring *)cold.mem;
	ASSERT_EQ(0, cold_fill(&cold, cold.mem, page));
	self->entries = 4;
	full_with_chain(_metadata, self->ring, self->p[0], buf);
	ASSERT_EQ(1, write(self->p[1], "a", 1));
	EXPECT_EQ(ASYS_RING_OVERFLOW, self->ring->flags);
	for (i = 0; i < 4; i++)
		TAKE(i, getppid());

	memcpy(page, cold.mem, PAGE);
	ASSERT_EQ(0, madvise(cold.mem, PAGE, MADV_DONTNEED));
	ASSERT_EQ(1, write(self->p[1], "b", 1));
	where = cold_wait(&cold);
	ASSERT_EQ(cold.mem, where);
	copy.dst = (uintptr_t)cold.mem;
	range.start = copy.dst;
	ASSERT_EQ(0, ioctl(cold.uffd, UFFDIO_COPY, &copy));
	ASSERT_EQ(0, enter(NULL, 0, 0, 0, NULL));
	TAKE(4, 1);
	TAKE(5, 1);
	EXPECT_EQ(0U, THERE());
	ASSERT_EQ(0, ioctl(cold.uffd, UFFDIO_WAKE, &range));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	EMPTY();
}

struct waker {
	pid_t home;
	int fd;
};

static void *wake_when_asleep(void *arg)
{
	struct waker *w = arg;

	wait_state(getpid(), w->home, 'S');
	MUST(write(w->fd, "x", 1) == 1);
	return NULL;
}

/*
 * Two completions of a chain, of which the second goes to a page that is not
 * there.  Home waits for one, and is woken: it is who brings in the page.
 */
TEST_F(ring, wait_while_chain_posts)
{
	struct waker w = { .home = asys_gettid(), .fd = self->p[1] };
	char page[PAGE] = {}, byte;
	struct cold cold = {};
	struct asys_request r[3];
	pthread_t thread;

	NEED_COLD(&cold, 3);
	self->ring = (struct asys_ring *)page;
	self->ring->head = PAGES_FIRST - 1;
	self->ring->tail = PAGES_FIRST - 1;
	ASSERT_EQ(0, cold_fill(&cold, cold.mem, page));
	self->ring = (struct asys_ring *)cold.mem;
	self->entries = PAGES_ENTRIES;
	ASSERT_EQ(0, set_ring(self->ring, self->entries));
	FILL(&r[0], 1, ASYS_NOP);
	FILL(&r[1], 2, __NR_read, self->p[0], &byte, 1);
	FILL(&r[2], 3, ASYS_NOP);
	r[0].flags = ASYS_R_LINK;
	r[1].flags = ASYS_R_LINK;
	ASSERT_EQ(3, enter(r, 3, 0, 0, NULL));
	ASSERT_EQ(0, pthread_create(&thread, NULL, wake_when_asleep, &w));
	ASSERT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	TAKE(1, 0);
	ASSERT_EQ(cold.mem + PAGE, cold_wait(&cold));
	memset(page, 0, sizeof(page));
	ASSERT_EQ(0, cold_fill(&cold, cold.mem + PAGE, page));
	ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	TAKE(2, 1);
	TAKE(3, 0);
	EMPTY();
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

/* Memory for the first call has to come from somewhere. */
TEST(atomic)
{
	static const unsigned int flags[] = {
		ASYS_ENTER_NONBLOCK, ASYS_ENTER_ATOMIC
	};
	struct asys_request r[2];
	struct asys_ring *ring;
	char byte;
	int p[2], i;

	NEED_ASYS();
	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	ASSERT_EQ(0, set_ring(ring, ENTRIES));
	ASSERT_EQ(0, pipe(p));
	FILL(&r[0], 1, __NR_read, p[0], &byte, 1);
	FILL(&r[1], 2, __NR_read, p[0], &byte, 1);
	for (i = 0; i < 4; i++)
		FAILS(EAGAIN, enter(r, 1, 0, flags[i % 2], NULL));
	EXPECT_EQ(0U, ring->tail);
	/* One stack is there, after this: for one call that sleeps */
	r[0].nr = __NR_getppid;
	ASSERT_EQ(1, enter(r, 1, 0, 0, NULL));
	r[0].nr = __NR_read;
	ASSERT_EQ(1, enter(r, 2, 0, ASYS_ENTER_ATOMIC, NULL));
	ASSERT_EQ(1, write(p[1], "x", 1));
	ASSERT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	EXPECT_EQ(2U, ring->tail);
	ASSERT_EQ(1, enter(r, 2, 0, ASYS_ENTER_NONBLOCK, NULL));
	FAILS(EAGAIN, enter(r, 2, 0, ASYS_ENTER_NONBLOCK, NULL));
	FAILS(EAGAIN, enter(r, 2, 0, ASYS_ENTER_ATOMIC, NULL));
	ASSERT_EQ(1, write(p[1], "x", 1));
	ASSERT_EQ(0, enter(NULL, 0, 3, 0, NULL));
	EXPECT_EQ(3U, ring->tail);

	/* So it is for a chain, which needs room for its requests. */
	r[0].nr = ASYS_NOP;
	r[1].nr = ASYS_NOP;
	r[0].flags = ASYS_R_LINK;
	FAILS(EAGAIN, enter(r, 2, 0, ASYS_ENTER_ATOMIC, NULL));
	ASSERT_EQ(2, enter(r, 2, 0, 0, NULL));
	ASSERT_EQ(2, enter(r, 2, 0, ASYS_ENTER_ATOMIC, NULL));
	EXPECT_EQ(7U, ring->tail);
}

/* Requests in memory that is not mapped yet, and that ends. */
TEST_F(ring, cold_requests)
{
	struct asys_request *r, *warm;
	int fd, i;

	fd = memfd_create("requests", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 3 * PAGE));
	warm = mmap(NULL, 3 * PAGE, PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, warm);
	for (i = 0; i < 192; i++)
		FILL(&warm[i], i, ASYS_NOP);
	r = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, r);
	ASSERT_EQ(0, munmap((char *)r + 3 * PAGE, PAGE));
	for (i = 0; i < 192; i += ENTRIES) {
		ASSERT_EQ(ENTRIES, enter(r + i, ENTRIES, 0, 0, NULL));
		self->ring->head += ENTRIES;
	}
	ASSERT_EQ(2, enter(r + 190, 5, 0, 0, NULL));
	FAILS(EFAULT, enter(r + 192, 1, 0, 0, NULL));
	TAKE(190, 0);
	TAKE(191, 0);
	EMPTY();
}

/* Requests and completions that are not in memory, which would take sleep. */
TEST_F(ring, cold_nonblock)
{
	static const unsigned int flags[] = { ASYS_ENTER_NONBLOCK, ASYS_ENTER_ATOMIC };
	struct asys_request *r, warm;
	char page[PAGE];
	unsigned int i;

	/* Get a stack. */
	FILL(&warm, 0, __NR_getppid);
	ASSERT_EQ(1, enter(&warm, 1, 0, 0, NULL));
	TAKE(0, getppid());

	r = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, r);
	ASSERT_EQ(0, mprotect((char *)r + 2 * PAGE, PAGE, PROT_NONE));
	r += PAGE / sizeof(*r) - 1;
	for (i = 0; i < 2; i++) {
		FILL(&r[0], i, __NR_getppid);
		/* The second one is on a page of its own. */
		ASSERT_EQ(1, enter(r, 2, 0, flags[i], NULL));
		TAKE(i, getppid());
		FAILS(EAGAIN, enter(&r[1], 1, 0, flags[i], NULL));
		FAILS(EFAULT, enter(&r[1 + PAGE / sizeof(*r)], 1, 0, flags[i], NULL));
		/* The same for a chain */
		r[0].flags = ASYS_R_LINK;
		FAILS(EAGAIN, enter(r, 2, 0, flags[i], NULL));
		EMPTY();
	}

	for (i = 0; i < 2; i++) {
		memcpy(page, self->ring, PAGE);
		FILL(&warm, 2 + i, __NR_getppid);
		ASSERT_EQ(0, madvise(self->ring, PAGE, MADV_DONTNEED));
		/* Kept, and told of by nothing: the flags are there, too. */
		ASSERT_EQ(1, enter(&warm, 1, 0, flags[i], NULL));
		memcpy(self->ring, page, PAGE);
		EXPECT_EQ(0U, THERE());
		ASSERT_EQ(0, enter(NULL, 0, 0, 0, NULL));
		TAKE(2 + i, getppid());
		EMPTY();
	}
}

/* EBUSY: somebody looks at each system call of the task, where it enters. */
TEST_F(ring, user_dispatch)
{
	char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	struct asys_request r[2];

	FILL(&r[0], 1, __NR_getppid);
	FILL(&r[1], 2, __NR_getppid);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0,
		  &selector))
		SKIP(return, "no syscall user dispatch");
	FAILS(EBUSY, enter(r, 1, 0, 0, NULL));
	/* A chain is taken, and asks before each of its calls. */
	r[0].flags = ASYS_R_LINK;
	EXPECT_EQ(2, enter(r, 2, 0, 0, NULL));
	TAKE(1, -EBUSY);
	TAKE(2, -ECANCELED);
	ASSERT_EQ(0, prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF,
			   0, 0, 0));
	ASSERT_EQ(2, enter(r, 2, 0, 0, NULL));
	TAKE(1, getppid());
	TAKE(2, getppid());
	EMPTY();
}

/* EAGAIN: so many in flight, and no more. */
TEST_F(ring, limit_per_task)
{
	long limit = read_long(SYSCTL_PER_TASK);
	struct asys_request r[ENTRIES];
	char byte;
	int i;

	NEED_ROOT();
	for (i = 0; i < ENTRIES; i++)
		FILL(&r[i], i, __NR_read, self->p[0], &byte, 1);
	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, 5));
	EXPECT_EQ(5, enter(r, 7, 0, 0, NULL));
	FAILS(EAGAIN, enter(r + 5, 2, 0, 0, NULL));
	/* What has finished counts no more, even if it is still in the ring. */
	EXPECT_EQ(2, write(self->p[1], "xx", 2));
	EXPECT_EQ(0, enter(NULL, 0, 2, 0, NULL));
	EXPECT_EQ(2, enter(r + 5, 3, 0, 0, NULL));
	/* One that would not sleep needs a fibril, too. */
	r[0].nr = __NR_getppid;
	FAILS(EAGAIN, enter(r, 1, 0, 0, NULL));
	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, limit));
	ASSERT_EQ(5, write(self->p[1], "xxxxx", 5));
	ASSERT_EQ(0, enter(NULL, 0, 7, 0, NULL));
	EXPECT_EQ(7U, THERE());
}

/* Switched off, what is in flight can be waited for. */
TEST_F(ring, disabled)
{
	struct asys_request r;
	char byte;

	NEED_ROOT();
	FILL(&r, 1, __NR_read, self->p[0], &byte, 1);
	ASSERT_EQ(1, enter(&r, 1, 0, 0, NULL));
	ASSERT_EQ(0, write_long(SYSCTL_DISABLED, 1));
	EXPECT_EQ(-1, enter(&r, 1, 0, 0, NULL));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(1, write(self->p[1], "x", 1));
	EXPECT_EQ(0, enter(NULL, 0, 1, 0, NULL));
	EXPECT_EQ(0, write_long(SYSCTL_DISABLED, 0));
	TAKE(1, 1);
	EMPTY();
}

/* The child has neither calls nor a ring; with the program, it is gone. */
TEST_F(ring, fork_exit)
{
	struct asys_request r[50];
	char buf[50];
	pid_t pid;
	int i;

	for (i = 0; i < 50; i++) {
		FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
		r[i].timeout = i % 2 ? 1000 : 10000000;
		r[i].flags = i % 5 == 4 ? 0 : ASYS_R_LINK;
		if (r[i].flags || i % 5)
			r[i].timeout = i % 5 ? 0 : r[i].timeout;
	}
	ASSERT_EQ(50, enter(r, 50, 0, 0, NULL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		MUST(enter(r, 1, 0, 0, NULL) == -1 && errno == ENXIO);
		MUST(!set_ring(self->ring, ENTRIES));
		MUST(enter(r, 50, 0, 0, NULL) == 50);
		_exit(7);
	}
	EXITS(pid, 7);
	EXPECT_LE(10, control(ASYS_CTL_CANCEL_ALL, NULL, 0) + THERE());
	ASSERT_EQ(0, enter(NULL, 0, 50, 0, NULL));
	EXPECT_EQ(50U, THERE());
}

/* A ring that has to be copied first, with a head that is not 0, stays whole. */
TEST_F(ring, copied_ring)
{
	struct asys_request r[2];
	char byte;
	int i, q[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(q));
	FILL(&r[0], 1, __NR_getppid);
	FILL(&r[1], 2, __NR_read, self->p[0], &byte, 1);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, enter(r, 1, 0, 0, NULL));
		TAKE(1, getppid());
	}
	for (i = 0; i < 2; i++) {
		if (i)
			ASSERT_EQ(1, enter(r + 1, 1, 0, 0, NULL));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			close(q[1]);
			_exit(read(q[0], &byte, 1));
		}
		if (i) {
			ASSERT_EQ(1, write(self->p[1], "x", 1));
		} else {
			ASSERT_EQ(1, enter(r, 1, 0, 0, NULL));
		}
		EXPECT_EQ(1U, THERE());
		EXPECT_EQ(5U + i, self->ring->head);
		TAKE(1 + i, i ? 1 : getppid());
		if (!i)
			continue;
		close(q[1]);
		EXITS(pid, 0);
		ASSERT_LT(0, wait(NULL));
	}
	EMPTY();
}

/* A chain closes the last end that it then waits for. */
TEST_F(ring, chain_closes)
{
	struct asys_request r[2];
	char byte;
	int q[2];

	ASSERT_EQ(0, pipe(q));
	FILL(&r[0], 1, __NR_dup2, self->p[0], q[1]);
	FILL(&r[1], 2, __NR_read, q[0], &byte, 1);
	r[0].flags = ASYS_R_LINK;
	ASSERT_EQ(2, enter(r, 2, 2, 0, NULL));
	TAKE(1, q[1]);
	TAKE(2, 0);
	EMPTY();
}

/* A filter is asked about each call of a batch, and what it says is logged. */
TEST_F(ring, filter)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_LOG),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getuid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getgid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };
	struct asys_request r[ENTRIES];
	struct asys_completion *c;
	char buf[ENTRIES];
	int i, round;

	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	for (round = 0; round < 50; round++) {
		for (i = 0; i < ENTRIES; i++) {
			if (i % 4 == 3)
				FILL(&r[i], i, __NR_read, self->p[0], buf + i, 1);
			else
				FILL(&r[i], i, i % 4 ? __NR_getppid : __NR_getuid);
			r[i].timeout = i % 4 == 3 ? 0 : 1;
		}
		/* Where many log, they sleep until that has been written. */
		ASSERT_EQ(ENTRIES, enter(r, ENTRIES, 3 * ENTRIES / 4, 0, NULL));
		for (i = 0; i < 3 * ENTRIES / 4; i++) {
			ASSERT_NE(0U, THERE());
			c = &self->ring->completions[self->ring->head & (self->entries - 1)];
			EXPECT_NE(3, c->cookie % 4);
			EXPECT_EQ(c->cookie % 4 ? getppid() : -77, c->return_code);
			__atomic_store_n(&self->ring->head, self->ring->head + 1,
					 __ATOMIC_RELEASE);
		}
		ASSERT_EQ(ENTRIES / 4, write(self->p[1], buf, ENTRIES / 4));
		ASSERT_EQ(0, enter(NULL, 0, ENTRIES / 4, 0, NULL));
		for (i = 3; i < ENTRIES; i += 4)
			TAKE(i, 1);
		EMPTY();
	}
	FILL(&r[0], 0, __NR_getgid);
	FAILS(EACCES, enter(r, 1, 0, 0, NULL));
	/* In a chain, it is a result. */
	FILL(&r[1], 1, __NR_getgid);
	FILL(&r[0], 0, __NR_getpid);
	r[0].flags = ASYS_R_LINK;
	ASSERT_EQ(2, enter(r, 2, 2, 0, NULL));
	TAKE(0, getpid());
	TAKE(1, -EACCES);
	EMPTY();
}

TEST_HARNESS_MAIN
