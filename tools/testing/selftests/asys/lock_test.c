// SPDX-License-Identifier: GPL-2.0
/*
 * Locks of the kernel that belong to a call asleep. A write of a page that
 * nobody has filled holds the lock of what it writes to until somebody does.
 */
#include <linux/futex.h>
#include <poll.h>
#include <sys/file.h>

#include "asys_test.h"

FIXTURE(lock)
{
	struct cold cold;
	char page[PAGE];
	char buf[4 * PAGE];
	int p[2];
};

FIXTURE_SETUP(lock)
{
	NEED_ASYS();
	NEED_COLD(&self->cold, 16);
	memset(self->page, 'C', PAGE);
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(lock)
{
	cold_exit(&self->cold);
}

/* Fills the page once home sleeps, uninterruptibly: it waits for the lock. */
struct filler {
	pthread_t thread;
	struct cold *cold;
	const char *page;
	pid_t home;
	char state;
	int cpu;
	int err;
};

static void *filler_main(void *arg)
{
	struct filler *f = arg;
	char *page;

	if (f->cpu >= 0)
		pin_to(f->cpu);
	page = cold_wait(f->cold);
	if (f->state)
		wait_state(getpid(), f->home, f->state);
	f->err = page ? cold_fill(f->cold, page, f->page) : -EIO;
	return NULL;
}

#define FILLER(f, ...)							\
	struct filler f = { .cold = &self->cold, .page = self->page,	\
			    .home = asys_gettid(), .cpu = -1, .err = 1,	\
			    ##__VA_ARGS__ };				\
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, filler_main, &f))

#define FILLED(f)							\
do {									\
	ASSERT_EQ(0, pthread_join(f.thread, NULL));			\
	EXPECT_EQ(0, f.err);						\
} while (0)

/*
 * Home needs the lock
 */

TEST_F(lock, pipe_mutex_read)
{
	START(1, __NR_write, self->p[1], self->cold.mem, PAGE);
	FILLER(f, .state = 'D');
	/* If home could have the lock it would find the pipe empty, and 'S'. */
	ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
	EXPECT_EQ(0, memcmp(self->buf, self->page, PAGE));
	REAP(1, PAGE);
	FILLED(f);
	NOTHING_LEFT();
}

TEST_F(lock, pipe_mutex_write)
{
	START(1, __NR_write, self->p[1], self->cold.mem, PAGE);
	FILLER(f, .state = 'D');
	ASSERT_EQ(4, write(self->p[1], "home", 4));
	REAP(1, PAGE);
	FILLED(f);
	ASSERT_EQ(PAGE + 4, read(self->p[0], self->buf, sizeof(self->buf)));
	EXPECT_EQ(0, memcmp(self->buf, self->page, PAGE));
	EXPECT_EQ(0, memcmp(self->buf + PAGE, "home", 4));
}

/*
 * All on one CPU: a home that spins until the owner of the mutex, which is
 * itself as far as the lock knows, has left the CPU spins for good.
 */
TEST_F(lock, pipe_mutex_one_cpu)
{
	int cpu[2], i;

	two_cpus(cpu);
	ASSERT_EQ(0, pin_to(cpu[0]));
	for (i = 0; i < 16; i++) {
		START(i, __NR_write, self->p[1], self->cold.mem + i * PAGE, 100);
		FILLER(f, .state = 'D', .cpu = cpu[0]);
		ASSERT_EQ(100, read(self->p[0], self->buf, PAGE));
		REAP(i, 100);
		FILLED(f);
	}
}

/* The same with a CPU for each */
TEST_F(lock, pipe_mutex_two_cpus)
{
	int cpu[2], i;

	if (two_cpus(cpu) < 2)
		SKIP(return, "one CPU");
	ASSERT_EQ(0, pin_to(cpu[0]));
	for (i = 0; i < 16; i++) {
		START(i, __NR_write, self->p[1], self->cold.mem + i * PAGE, 100);
		FILLER(f, .cpu = cpu[1]);
		ASSERT_EQ(100, read(self->p[0], self->buf, PAGE));
		REAP(i, 100);
		FILLED(f);
	}
}

TEST_F(lock, pipe_ioctl)
{
	int n = 0;

	START(1, __NR_write, self->p[1], self->cold.mem, PAGE);
	FILLER(f, .state = 'D');
	ASSERT_EQ(0, ioctl(self->p[0], FIONREAD, &n));
	EXPECT_EQ(PAGE, n);
	REAP(1, PAGE);
	FILLED(f);
}

static int temp_file(void)
{
	char path[] = "/tmp/asysXXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return fd;
}

/* The rwsem of an inode, for writing */
TEST_F(lock, inode_rwsem)
{
	struct stat st;
	int fd;

	fd = temp_file();
	ASSERT_LE(0, fd);
	START(1, __NR_pwrite64, fd, self->cold.mem, PAGE, 0);
	FILLER(f, .state = 'D');
	ASSERT_EQ(0, ftruncate(fd, 100));
	REAP(1, PAGE);
	FILLED(f);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(100, st.st_size);
	close(fd);
}

/* A file position has a mutex when the file is shared. */
TEST_F(lock, file_position)
{
	int fd;

	fd = temp_file();
	ASSERT_LE(0, fd);
	ASSERT_LE(0, dup(fd));
	START(1, __NR_write, fd, self->cold.mem, PAGE);
	FILLER(f, .state = 'D');
	EXPECT_EQ(PAGE, lseek(fd, 0, SEEK_CUR));
	REAP(1, PAGE);
	FILLED(f);
	close(fd);
}

/*
 * Siblings need it
 */

/* Each in turn: the first one has the lock, the others queue up for it. */
TEST_F(lock, siblings)
{
	char want[PAGE];
	int i;

	START(0, __NR_write, self->p[1], self->cold.mem, PAGE);
	for (i = 1; i < 10; i++) {
		memset(self->buf, '0' + i, PAGE);
		START(i, __NR_write, self->p[1], self->buf, PAGE);
	}
	/* What they write is read when they have the lock. */
	memset(self->buf, 'S', PAGE);
	memset(want, 'S', PAGE);
	ASSERT_EQ(self->cold.mem, cold_wait(&self->cold));
	ASSERT_EQ(0, cold_fill(&self->cold, self->cold.mem, self->page));
	for (i = 0; i < 10; i++)
		REAP(i, PAGE);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
		EXPECT_EQ(0, memcmp(self->buf, i ? want : self->page, PAGE));
	}
	NOTHING_LEFT();
}

/* The owner, a sibling, and home behind both of them */
TEST_F(lock, sibling_then_home)
{
	START(1, __NR_write, self->p[1], self->cold.mem, PAGE);
	START(2, __NR_write, self->p[1], "sibling", 7);
	FILLER(f, .state = 'D');
	ASSERT_EQ(4, write(self->p[1], "home", 4));
	FILLED(f);
	REAP(1, PAGE);
	REAP(2, 7);
	ASSERT_EQ(PAGE + 11, read(self->p[0], self->buf, sizeof(self->buf)));
	EXPECT_EQ(0, memcmp(self->buf + PAGE, "siblinghome", 11));
}

/*
 * A write of a page to a pipe is atomic: one that finds another one's bytes in
 * its page had company inside the mutex. Here others hammer on the mutex, from
 * this task and from a thread.
 */
struct hammer {
	pthread_t thread;
	int p[2];
	int stop;
	long pages;
	long bad;
};

static void *hammer_writes(void *arg)
{
	struct hammer *h = arg;
	char page[PAGE];

	memset(page, 'T', PAGE);
	while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED)) {
		if (write(h->p[1], page, PAGE) != PAGE)
			break;
	}
	return NULL;
}

static void *hammer_reads(void *arg)
{
	struct hammer *h = arg;
	char page[PAGE];
	size_t n = 0;
	ssize_t got;

	while ((got = read(h->p[0], page + n, PAGE - n)) > 0) {
		n += got;
		if (n < PAGE)
			continue;
		h->pages++;
		h->bad += memcmp(page, page + 1, PAGE - 1) != 0;
		n = 0;
	}
	return NULL;
}

TEST_F(lock, mutex_hammered)
{
	struct hammer w = {}, r = {};
	char pages[8][PAGE];
	int i, round;

	w.p[1] = self->p[1];
	r.p[0] = self->p[0];
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, hammer_reads, &r));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, hammer_writes, &w));
	for (round = 0; round < 100; round++) {
		int asleep = 0;

		for (i = 0; i < 8; i++) {
			int64_t ret;
			int s;

			memset(pages[i], '0' + i, PAGE);
			s = try_start(i, &ret, __NR_write, self->p[1], pages[i], PAGE);
			ASSERT_LE(0, s);
			if (s == 0)
				asleep++;
			else
				ASSERT_EQ(PAGE, ret);
			if (i == 4)
				ASSERT_EQ(PAGE, write(self->p[1], self->page, PAGE));
		}
		while (asleep--) {
			struct asys_completion c;

			ASSERT_EQ(0, asys_await(&c));
			ASSERT_EQ(PAGE, c.return_code);
		}
	}
	__atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
	pthread_join(w.thread, NULL);
	close(self->p[1]);
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_LE(900, r.pages);
}

/*
 * Hand-off: the first waiter asks for the mutex when it was woken in vain, and
 * must not take for its own what another context of its task has.
 */

static unsigned int in_flight(void)
{
	struct asys_info info = {};

	MUST(!syscall(__NR_asys_control, ASYS_CTL_INFO, &info, sizeof(info)));
	return info.in_flight;
}

/* A wake-up that names the task only, for another fault, wakes the waiter too. */
TEST_F(lock, mutex_woken_in_vain)
{
	char *mem = self->cold.mem;
	int q[2];

	ASSERT_EQ(0, pipe(q));
	memset(self->buf, 'W', PAGE);
	START(1, __NR_write, self->p[1], mem, PAGE);
	ASSERT_EQ(mem, cold_wait(&self->cold));
	START(2, __NR_write, self->p[1], self->buf, PAGE);
	START(3, __NR_write, q[1], mem + PAGE, PAGE);
	ASSERT_EQ(mem + PAGE, cold_wait(&self->cold));
	ASSERT_EQ(0, cold_fill(&self->cold, mem + PAGE, self->page));
	REAP(3, PAGE);
	ASSERT_EQ(2, in_flight());
	ASSERT_EQ(0, cold_fill(&self->cold, mem, self->page));
	REAP(1, PAGE);
	REAP(2, PAGE);
	ASSERT_EQ(2 * PAGE, read(self->p[0], self->buf, sizeof(self->buf)));
	EXPECT_EQ(0, memcmp(self->buf, self->page, PAGE));
	memset(self->page, 'W', PAGE);
	EXPECT_EQ(0, memcmp(self->buf + PAGE, self->page, PAGE));
	NOTHING_LEFT();
}

/*
 * The same without such a wake-up: the one that ends the wait comes too late.
 * All of this is on one CPU, and the threads have real-time priority: the task
 * runs when they sleep.
 *
 *   waiter          sibling         owner, a thread    waker, a thread
 *   --------------- --------------- ------------------ -------------------
 *                                   has it, sleeps
 *   waits for it    sleeps
 *                   can run  <------------------------ fills a page,
 *                                   goes on  <-------- and another one
 *   can run  <--------------------- gives it back
 *                   takes it, sleeps
 *   goes on waiting
 */
FIXTURE(handoff)
{
	struct cold cold;
	char page[PAGE];
	char mine[PAGE];
	char buf[PAGE];
	int p[2];
	int cpu;
};

FIXTURE_VARIANT(handoff)
{
	/* and not a fibril */
	bool home_waits;
};

FIXTURE_VARIANT_ADD(handoff, fibril_waits)
{
	.home_waits = false,
};

FIXTURE_VARIANT_ADD(handoff, home_waits)
{
	.home_waits = true,
};

static int real_time(int policy)
{
	struct sched_param param = { .sched_priority = policy == SCHED_FIFO };

	return syscall(__NR_sched_setscheduler, 0, policy, &param);
}

FIXTURE_SETUP(handoff)
{
	int cpu[2];

	NEED_ASYS();
	if (real_time(SCHED_FIFO))
		SKIP(return, "no real-time priority: %s", strerror(errno));
	ASSERT_EQ(0, real_time(SCHED_OTHER));
	NEED_COLD(&self->cold, 3);
	memset(self->page, 'C', PAGE);
	memset(self->mine, 'W', PAGE);
	ASSERT_EQ(0, pipe(self->p));
	two_cpus(cpu);
	self->cpu = cpu[0];
	ASSERT_EQ(0, pin_to(self->cpu));
}

FIXTURE_TEARDOWN(handoff)
{
	cold_exit(&self->cold);
}

/* Cold pages: what the owner writes; where what the sibling writes is; and that. */
enum { OWNERS, VECTOR, SIBLINGS };

struct actor {
	pthread_t thread;
	struct cold *cold;
	int cpu;
	int fd;
	const char *page;
	/* If it is home that waits */
	pid_t home;
	int returned;
	int filled;
	long ret;
};

static void *owner_main(void *arg)
{
	struct actor *a = arg;

	if (pin_to(a->cpu) || real_time(SCHED_FIFO))
		return NULL;
	a->ret = write(a->fd, a->cold->mem + OWNERS * PAGE, PAGE);
	return NULL;
}

static void *waker_main(void *arg)
{
	struct actor *a = arg;
	char *mem = a->cold->mem, vec[PAGE] = {};

	*(struct iovec *)vec = (struct iovec){ mem + SIBLINGS * PAGE, PAGE };
	if (pin_to(a->cpu))
		return NULL;
	if (a->home)
		wait_state(getpid(), a->home, 'D');
	if (real_time(SCHED_FIFO))
		return NULL;
	a->ret = cold_fill(a->cold, mem + VECTOR * PAGE, vec);
	a->ret |= cold_fill(a->cold, mem + OWNERS * PAGE, a->page);
	/* Now the owner runs, and then the task. */
	if (!a->home)
		return NULL;
	real_time(SCHED_OTHER);
	if (cold_wait(a->cold) != mem + SIBLINGS * PAGE)
		a->ret = -EIO;
	while (!__atomic_load_n(&a->returned, __ATOMIC_ACQUIRE) &&
	       task_state(getpid(), a->home) != 'D')
		sched_yield();
	__atomic_store_n(&a->filled, 1, __ATOMIC_RELEASE);
	a->ret |= cold_fill(a->cold, mem + SIBLINGS * PAGE, a->page);
	return NULL;
}

TEST_F(handoff, mutex)
{
	char *mem = self->cold.mem;
	int i, overtaken = 0, n;

	for (i = 0; i < 20 || (i < 400 && !overtaken); i++) {
		struct actor owner = {
			.cold = &self->cold, .cpu = self->cpu, .fd = self->p[1],
			.ret = -1,
		};
		struct actor waker = {
			.cold = &self->cold, .cpu = self->cpu, .page = self->page,
			.home = variant->home_waits ? asys_gettid() : 0, .ret = -1,
		};
		struct asys_completion c[2];
		bool early;

		ASSERT_EQ(0, madvise(mem, 3 * PAGE, MADV_DONTNEED));
		ASSERT_EQ(0, pthread_create(&owner.thread, NULL, owner_main, &owner));
		ASSERT_EQ(mem + OWNERS * PAGE, cold_wait(&self->cold));
		START(1, __NR_writev, self->p[1], mem + VECTOR * PAGE, 1);
		ASSERT_EQ(mem + VECTOR * PAGE, cold_wait(&self->cold));
		if (variant->home_waits) {
			ASSERT_EQ(0, pthread_create(&waker.thread, NULL, waker_main, &waker));
			ASSERT_EQ(PAGE, write(self->p[1], self->mine, PAGE));
			early = !__atomic_load_n(&waker.filled, __ATOMIC_ACQUIRE);
			__atomic_store_n(&waker.returned, 1, __ATOMIC_RELEASE);
			REAP(1, PAGE);
		} else {
			START(2, __NR_write, self->p[1], self->mine, PAGE);
			ASSERT_EQ(0, pthread_create(&waker.thread, NULL, waker_main, &waker));
			ASSERT_EQ(mem + SIBLINGS * PAGE, cold_wait(&self->cold));
			early = in_flight() < 2;
			ASSERT_EQ(0, cold_fill(&self->cold, mem + SIBLINGS * PAGE, self->page));
			ASSERT_EQ(0, asys_await(&c[0]));
			ASSERT_EQ(0, asys_await(&c[1]));
			EXPECT_EQ(PAGE, c[0].return_code);
			EXPECT_EQ(PAGE, c[1].return_code);
		}
		ASSERT_EQ(0, pthread_join(waker.thread, NULL));
		ASSERT_EQ(0, pthread_join(owner.thread, NULL));
		EXPECT_EQ(0, waker.ret);
		EXPECT_EQ(PAGE, owner.ret);
		NOTHING_LEFT();

		ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
		EXPECT_EQ(0, memcmp(self->buf, self->page, PAGE));
		ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
		if (!memcmp(self->buf, self->page, PAGE)) {
			/* The sibling was first, and still in there. */
			overtaken++;
			ASSERT_FALSE(early);
			ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
			EXPECT_EQ(0, memcmp(self->buf, self->mine, PAGE));
		} else {
			/* A tick came, and the waiter had its turn. */
			EXPECT_EQ(0, memcmp(self->buf, self->mine, PAGE));
			ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
			EXPECT_EQ(0, memcmp(self->buf, self->page, PAGE));
		}
		ASSERT_EQ(0, ioctl(self->p[0], FIONREAD, &n));
		EXPECT_EQ(0, n);
	}
	EXPECT_LT(0, overtaken);
}

/*
 * mmap_lock: fibrils write-lock it, home and a thread take page faults, and
 * another thread, on its CPU, maps and unmaps.
 */
struct mapper {
	pthread_t thread;
	int stop;
	int err;
};

static void *mapper_main(void *arg)
{
	struct mapper *m = arg;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
		char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			m->err = errno;
			break;
		}
		memset(p, 1, 64 * PAGE);
		munmap(p, 64 * PAGE);
	}
	return NULL;
}

TEST_F(lock, mmap_lock)
{
	struct mapper m = {};
	int i, k;

	ASSERT_EQ(0, pthread_create(&m.thread, NULL, mapper_main, &m));
	for (i = 0; i < 300; i++) {
		int asleep = 0;
		char *p;

		p = mmap(NULL, 64 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
		ASSERT_NE(MAP_FAILED, p);
		for (k = 0; k < 8; k++) {
			int64_t ret;
			int s = try_start(k, &ret, __NR_mprotect, p + 8 * k * PAGE,
					  8 * PAGE, PROT_READ | PROT_WRITE);

			ASSERT_LE(0, s);
			if (s)
				ASSERT_EQ(0, ret);
			asleep += !s;
		}
		/* A fault of home's, while they are at it */
		self->cold.len = *(volatile char *)p + self->cold.len;
		while (asleep--) {
			struct asys_completion c;

			ASSERT_EQ(0, asys_await(&c));
			ASSERT_EQ(0, c.return_code);
		}
		memset(p, 2, 64 * PAGE);
		ASSERT_EQ(0, acall(__NR_munmap, p, 64 * PAGE));
	}
	__atomic_store_n(&m.stop, 1, __ATOMIC_RELAXED);
	pthread_join(m.thread, NULL);
	EXPECT_EQ(0, m.err);
}

/*
 * Two readers of one rwsem, released at once: both are in one wake_q, which
 * holds a task once. ext4 seeks for data under the inode's lock, shared.
 */
TEST_F(lock, two_readers_one_wake)
{
	const char *dir = disk_dir();
	char path[256];
	int fd[5], i, k;

	if (!dir)
		SKIP(return, "no disk: set ASYS_TEST_DIR");
	snprintf(path, sizeof(path), "%s/asysXXXXXX", dir);
	fd[0] = mkstemp(path);
	ASSERT_LE(0, fd[0]);
	/* Open files have a lock each, too, for their position. */
	for (k = 1; k <= 4; k++) {
		fd[k] = open(path, O_RDONLY);
		ASSERT_LE(0, fd[k]);
	}
	unlink(path);
	for (i = 0; i < 16; i++) {
		struct asys_completion c;

		START(0, __NR_pwrite64, fd[0], self->cold.mem + i * PAGE, PAGE, 0);
		for (k = 1; k <= 4; k++)
			START(k, __NR_lseek, fd[k], 0, SEEK_DATA);
		ASSERT_EQ(self->cold.mem + i * PAGE, cold_wait(&self->cold));
		ASSERT_EQ(0, cold_fill(&self->cold, self->cold.mem + i * PAGE, self->page));
		for (k = 0; k < 5; k++) {
			ASSERT_EQ(0, asys_await(&c));
			EXPECT_EQ(c.cookie ? 0 : PAGE, c.return_code);
		}
		NOTHING_LEFT();
	}
	for (k = 0; k <= 4; k++)
		close(fd[k]);
}

/*
 * Home waits for a futex with priority inheritance, and its owner for what a call
 * of home's task is to do.
 */
struct pi_owner {
	pthread_t thread;
	uint32_t futex;
	int ready, go;
	int fd;
	const char *buf;
	pid_t home;
	bool spins;
	long err;
};

static void *pi_owner_main(void *arg)
{
	struct pi_owner *o = arg;

	o->err = syscall(__NR_futex, &o->futex, FUTEX_LOCK_PI_PRIVATE, 0, NULL);
	__atomic_store_n(&o->ready, 1, __ATOMIC_RELEASE);
	if (o->err)
		return NULL;
	while (!__atomic_load_n(&o->go, __ATOMIC_ACQUIRE))
		usleep(1000);
	if (!o->spins)
		wait_state(getpid(), o->home, 'S');
	else
		while (!(__atomic_load_n(&o->futex, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
			;
	o->err = write(o->fd, "x", 1) != 1;
	while (__atomic_load_n(o->buf, __ATOMIC_ACQUIRE) != 'x') {
		if (!o->spins)
			usleep(1000);
	}
	o->err += syscall(__NR_futex, &o->futex, FUTEX_UNLOCK_PI_PRIVATE);
	return NULL;
}

TEST_F(lock, pi_futex)
{
	struct pi_owner o = {
		.fd = self->p[1], .buf = self->buf, .home = asys_gettid(),
	};
	struct timespec past = { };

	START(1, __NR_read, self->p[0], self->buf, 1);
	ASSERT_EQ(0, pthread_create(&o.thread, NULL, pi_owner_main, &o));
	while (!__atomic_load_n(&o.ready, __ATOMIC_ACQUIRE))
		sched_yield();
	EXPECT_EQ(-1, syscall(__NR_futex, &o.futex, FUTEX_LOCK_PI_PRIVATE, 0, &past));
	EXPECT_EQ(ETIMEDOUT, errno);
	__atomic_store_n(&o.go, 1, __ATOMIC_RELEASE);
	ASSERT_EQ(0, syscall(__NR_futex, &o.futex, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	EXPECT_EQ((uint32_t)o.home, o.futex & FUTEX_TID_MASK);
	EXPECT_EQ(0, syscall(__NR_futex, &o.futex, FUTEX_UNLOCK_PI_PRIVATE));
	ASSERT_EQ(0, pthread_join(o.thread, NULL));
	EXPECT_EQ(0, o.err);
	REAP(1, 1);
	NOTHING_LEFT();
}

/* The same with an owner that does not sleep, on another CPU: home does, though. */
TEST_F(lock, pi_futex_spins)
{
	struct pi_owner o = {
		.fd = self->p[1], .buf = self->buf, .home = asys_gettid(), .spins = true,
		.go = 1,
	};
	int i;

	for (i = 0; i < 20; i++) {
		self->buf[0] = 0;
		o.ready = 0;
		START(1, __NR_read, self->p[0], self->buf, 1);
		ASSERT_EQ(0, pthread_create(&o.thread, NULL, pi_owner_main, &o));
		while (!__atomic_load_n(&o.ready, __ATOMIC_ACQUIRE))
			sched_yield();
		ASSERT_EQ(0, syscall(__NR_futex, &o.futex, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
		EXPECT_EQ(0, syscall(__NR_futex, &o.futex, FUTEX_UNLOCK_PI_PRIVATE));
		ASSERT_EQ(0, pthread_join(o.thread, NULL));
		EXPECT_EQ(0, o.err);
		REAP(1, 1);
	}
}

/* The priority that @tid of this process runs with, as the kernel counts */
static int priority(pid_t tid)
{
	char path[64], buf[512], *p;
	int fd, prio = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	MUST(n > 0);
	buf[n] = 0;
	p = strrchr(buf, ')');
	MUST(sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %d",
		    &prio) == 1);
	return prio;
}

struct lender {
	pthread_t owner, watcher;
	uint32_t futex;
	pid_t tid;
	int locked, unlock;
	int fd;
	const char *buf;
	int lent;
};

static void *lender_owner(void *arg)
{
	struct lender *l = arg;

	l->tid = asys_gettid();
	MUST(!syscall(__NR_futex, &l->futex, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	__atomic_store_n(&l->locked, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&l->unlock, __ATOMIC_ACQUIRE))
		usleep(1000);
	MUST(!syscall(__NR_futex, &l->futex, FUTEX_UNLOCK_PI_PRIVATE));
	return NULL;
}

static void *lender_watcher(void *arg)
{
	struct lender *l = arg;

	while (priority(l->tid) >= 0)
		usleep(1000);
	l->lent = 1;
	/* Home leaves the queue, for this one, and comes back. */
	MUST(write(l->fd, "x", 1) == 1);
	while (__atomic_load_n(l->buf, __ATOMIC_ACQUIRE) != 'x')
		usleep(1000);
	while (priority(l->tid) >= 0)
		usleep(1000);
	l->lent = 2;
	__atomic_store_n(&l->unlock, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Home lends its priority while it waits, though calls come and go meanwhile. */
TEST_F(lock, pi_futex_lends)
{
	struct lender l = { .fd = self->p[1], .buf = self->buf };

	if (real_time(SCHED_FIFO))
		SKIP(return, "no real-time priority: %s", strerror(errno));
	ASSERT_EQ(0, real_time(SCHED_OTHER));
	ASSERT_EQ(0, pthread_create(&l.owner, NULL, lender_owner, &l));
	while (!__atomic_load_n(&l.locked, __ATOMIC_ACQUIRE))
		sched_yield();
	ASSERT_EQ(0, pthread_create(&l.watcher, NULL, lender_watcher, &l));
	START(1, __NR_read, self->p[0], self->buf, 1);
	ASSERT_EQ(0, real_time(SCHED_FIFO));
	ASSERT_EQ(0, syscall(__NR_futex, &l.futex, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	ASSERT_EQ(0, syscall(__NR_futex, &l.futex, FUTEX_UNLOCK_PI_PRIVATE));
	ASSERT_EQ(0, real_time(SCHED_OTHER));
	ASSERT_EQ(0, pthread_join(l.watcher, NULL));
	ASSERT_EQ(0, pthread_join(l.owner, NULL));
	EXPECT_EQ(2, l.lent);
	REAP(1, 1);
	NOTHING_LEFT();
}

/* Somebody else would have home wait for a second futex, while calls go on. */
TEST_F(lock, pi_futex_requeue)
{
	struct timespec past = {};
	uint32_t word[2] = {};

	START(1, __NR_read, self->p[0], self->buf, 1);
	EXPECT_EQ(-1, syscall(__NR_futex, &word[0], FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0,
			      &past, &word[1], 0));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
	EXPECT_EQ(-1, syscall(__NR_futex, &word[0], FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0,
			      &past, &word[1], 0));
	EXPECT_EQ(ETIMEDOUT, errno);
	NOTHING_LEFT();
}

struct circle {
	pthread_t thread;
	uint32_t mine, yours;
	int locked;
	int err;
};

static void *circle_main(void *arg)
{
	struct circle *c = arg;
	struct timespec until;

	MUST(!syscall(__NR_futex, &c->yours, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	__atomic_store_n(&c->locked, 1, __ATOMIC_RELEASE);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	c->err = syscall(__NR_futex, &c->mine, FUTEX_LOCK_PI_PRIVATE, 0, &until) ?
		 errno : 0;
	MUST(!syscall(__NR_futex, &c->yours, FUTEX_UNLOCK_PI_PRIVATE));
	return NULL;
}

/*
 * A circle of futexes. With a call in flight, nobody can say whether it is one:
 * who waits with a timeout gets out, and the other one gets the futex.
 */
TEST_F(lock, pi_futex_circle)
{
	struct circle c = {};

	ASSERT_EQ(0, syscall(__NR_futex, &c.mine, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	START(1, __NR_read, self->p[0], self->buf, 1);
	ASSERT_EQ(0, pthread_create(&c.thread, NULL, circle_main, &c));
	while (!__atomic_load_n(&c.locked, __ATOMIC_ACQUIRE) ||
	       !(__atomic_load_n(&c.mine, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
		sched_yield();
	ASSERT_EQ(0, syscall(__NR_futex, &c.yours, FUTEX_LOCK_PI_PRIVATE, 0, NULL));
	EXPECT_EQ(0, syscall(__NR_futex, &c.yours, FUTEX_UNLOCK_PI_PRIVATE));
	ASSERT_EQ(0, pthread_join(c.thread, NULL));
	EXPECT_EQ(ETIMEDOUT, c.err);
	EXPECT_EQ(0, syscall(__NR_futex, &c.mine, FUTEX_UNLOCK_PI_PRIVATE));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
	NOTHING_LEFT();
}

/*
 * A process that was killed while one of its fibrils waits for a mutex, which
 * somebody else holds, ends when it has got it, and not before.
 */
TEST_F(lock, killed_uninterruptible)
{
	int go[2], status;
	pid_t holder, pid;
	char buf[4];

	/* The holder is another process, asleep in its write. */
	ASSERT_EQ(0, pipe(go));
	holder = fork();
	ASSERT_LE(0, holder);
	if (!holder) {
		struct cold cold;
		sigset_t set;
		int64_t ret;
		int sig;

		/* Our own memory: the parent's registration is not ours. */
		MUST(!cold_init(&cold, 1));
		MUST(try_start(1, &ret, __NR_write, self->p[1], cold.mem, PAGE) == 0);
		MUST(cold_wait(&cold) == cold.mem);
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		MUST(write(go[1], "x", 1) == 1);
		MUST(!sigwait(&set, &sig));
		MUST(!cold_fill(&cold, cold.mem, self->page));
		MUST(!asys_await((struct asys_completion *)self->buf));
		_exit(0);
	}
	ASSERT_EQ(1, read(go[0], buf, 1));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int64_t ret;

		MUST(try_start(1, &ret, __NR_write, self->p[1], self->page, PAGE) == 0);
		MUST(write(go[1], "z", 1) == 1);
		for (;;)
			pause();
	}
	ASSERT_EQ(1, read(go[0], buf, 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	/* It has seen the signal and waits for its fibril. */
	wait_state(pid, pid, 'D');
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	ASSERT_EQ(0, kill(holder, SIGUSR1));
	KILLED(pid, SIGKILL);
	EXITS(holder, 0);
	/* The lock is free again. */
	ASSERT_EQ(PAGE, read(self->p[0], self->buf, PAGE));
	EXPECT_EQ(0, memcmp(self->buf, self->page, PAGE));
}

/*
 * Freezing a file system waits, in a struct rcuwait, for those who write to it.
 * That has a task and nothing else: which of its contexts waits is looked up.
 */
FIXTURE(freeze)
{
	struct cold cold;
	char page[PAGE];
	char path[PATH_MAX];
	int dir;
	int fd;
	int p[2];
};

FIXTURE_SETUP(freeze)
{
	const char *dir = disk_dir();

	NEED_ASYS();
	NEED_ROOT();
	if (!dir)
		SKIP(return, "no file system on a disk");
	NEED_COLD(&self->cold, 1);
	ASSERT_EQ(0, pipe(self->p));
	snprintf(self->path, sizeof(self->path), "%s/freeze.%d", dir, getpid());
	self->fd = open(self->path, O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, self->fd);
	self->dir = open(dir, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, self->dir);
	if (ioctl(self->dir, FIFREEZE, 0))
		SKIP(return, "cannot freeze %s", dir);
	ASSERT_EQ(0, ioctl(self->dir, FITHAW, 0));
}

FIXTURE_TEARDOWN(freeze)
{
	/* Whatever has become of the test, others need the file system. */
	ioctl(self->dir, FITHAW, 0);
	if (self->path[0])
		unlink(self->path);
}

/* Writes all the time, to a file of its own in @dir, until it is killed. */
static pid_t start_writer(int dir)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR, 0600);
	pid_t pid;

	if (fd < 0)
		return -1;
	pid = fork();
	if (!pid) {
		while (pwrite(fd, "x", 1, 0) == 1)
			;
		_exit(1);
	}
	close(fd);
	return pid;
}

/*
 * The one that freezes keeps new writers out, and then goes to sleep for those
 * that are in: wait until it does the first. Its task has a CPU only for us
 * before it has done the second.
 */
static void wait_kept_out(pid_t writer)
{
	char path[64], where[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/wchan", writer);
	do {
		usleep(1000);
		fd = open(path, O_RDONLY);
		MUST(fd >= 0);
		n = read(fd, where, sizeof(where) - 1);
		MUST(n >= 0);
		where[n] = 0;
		close(fd);
	} while (strcmp(where, "percpu_rwsem_wait"));
}

TEST_F(freeze, in_fibril)
{
	char *page, byte;
	pid_t writer;

	writer = start_writer(self->dir);
	ASSERT_LT(0, writer);
	START(1, __NR_pwrite64, self->fd, self->cold.mem, PAGE, 0);
	page = cold_wait(&self->cold);
	ASSERT_NE(NULL, page);
	/* It waits for the one above; others sleep, for something else. */
	START(2, __NR_read, self->p[0], &byte, 1);
	START(3, __NR_ioctl, self->dir, FIFREEZE, 0);
	START(4, __NR_read, self->p[0], &byte, 1);
	wait_kept_out(writer);
	ASSERT_EQ(0, cold_fill(&self->cold, page, self->page));
	REAP(1, PAGE);
	REAP(3, 0);
	ASSERT_EQ(0, ioctl(self->dir, FITHAW, 0));
	ASSERT_EQ(0, kill(writer, SIGKILL));
	KILLED(writer, SIGKILL);
	ASSERT_EQ(2, write(self->p[1], "xy", 2));
	REAP(2, 1);
	REAP(4, 1);
	NOTHING_LEFT();
}

/* Fills the page once home sleeps for the one who wants it. */
struct late_filler {
	struct cold *cold;
	const char *page;
	pid_t writer;
	int err;
};

static void *late_filler_main(void *arg)
{
	struct late_filler *f = arg;
	char *page = cold_wait(f->cold);

	wait_kept_out(f->writer);
	f->err = page ? cold_fill(f->cold, page, f->page) : -EIO;
	return NULL;
}

TEST_F(freeze, home)
{
	struct late_filler filler = { .cold = &self->cold, .page = self->page };
	pthread_t thread;
	char byte;

	filler.writer = start_writer(self->dir);
	ASSERT_LT(0, filler.writer);
	ASSERT_EQ(0, pthread_create(&thread, NULL, late_filler_main, &filler));
	START(2, __NR_read, self->p[0], &byte, 1);
	START(1, __NR_pwrite64, self->fd, self->cold.mem, PAGE, 0);
	ASSERT_EQ(0, ioctl(self->dir, FIFREEZE, 0));
	ASSERT_EQ(0, ioctl(self->dir, FITHAW, 0));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, filler.err);
	ASSERT_EQ(0, kill(filler.writer, SIGKILL));
	KILLED(filler.writer, SIGKILL);
	REAP(1, PAGE);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(2, 1);
	NOTHING_LEFT();
}

TEST_HARNESS_MAIN
