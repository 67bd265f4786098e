// SPDX-License-Identifier: GPL-2.0
/*
 * Block I/O that completes on the CPU on which home runs, in user mode: the
 * completion's wake-up is for the fibril, and it must not be taken for one of
 * the task that runs and so needs none.
 */
#include <poll.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "asys_test.h"

#define CONFIGFS	"/sys/kernel/config/nullb/asys"
#define DEVICE		"/dev/asys"

FIXTURE(nullblk)
{
	int fd, direct;
	int cpu[2], cpus;
	char *buf;
};

FIXTURE_VARIANT(nullblk)
{
	/* how null_blk completes: 0 at once, 1 softirq, 2 timer */
	int irqmode;
	/* requests that it has at a time, or 0: as it likes */
	int depth;
};

FIXTURE_VARIANT_ADD(nullblk, at_once)
{
	.irqmode = 0,
};

FIXTURE_VARIANT_ADD(nullblk, softirq)
{
	.irqmode = 1,
};

FIXTURE_VARIANT_ADD(nullblk, timer)
{
	.irqmode = 2,
};

/* Most have to sleep before they are submitted, too. */
FIXTURE_VARIANT_ADD(nullblk, timer_depth_4)
{
	.irqmode = 2,
	.depth = 4,
};

static int set(const char *name, long value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", CONFIGFS, name);
	return write_long(path, value);
}

FIXTURE_SETUP(nullblk)
{
	char path[64];
	long index;

	NEED_ASYS();
	NEED_ROOT();
	if (access("/sys/kernel/config/nullb", F_OK))
		mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir(CONFIGFS, 0755))
		SKIP(return, "no null_blk, or no configfs: %s", strerror(errno));
	ASSERT_EQ(0, set("irqmode", variant->irqmode));
	if (variant->irqmode == 2)
		ASSERT_EQ(0, set("completion_nsec", 1000000));
	if (variant->depth)
		ASSERT_EQ(0, set("hw_queue_depth", variant->depth));
	/* Its memory tells whether each read went to the right place. */
	ASSERT_EQ(0, set("memory_backed", 1));
	ASSERT_EQ(0, set("size", 16));
	ASSERT_EQ(0, set("blocksize", 4096));
	ASSERT_EQ(0, set("power", 1));
	snprintf(path, sizeof(path), "%s/index", CONFIGFS);
	index = read_long(path);
	snprintf(path, sizeof(path), "/dev/nullb%ld", index);
	self->fd = open(path, O_RDWR);
	if (self->fd < 0) {
		/* Named like its directory */
		self->fd = open(DEVICE, O_RDWR);
		snprintf(path, sizeof(path), "%s", DEVICE);
	}
	ASSERT_LE(0, self->fd);
	self->direct = open(path, O_RDWR | O_DIRECT);
	ASSERT_LE(0, self->direct);
	ASSERT_EQ(0, posix_memalign((void **)&self->buf, PAGE, 128 * PAGE));
	self->cpus = two_cpus(self->cpu);
	ASSERT_EQ(0, pin_to(self->cpu[0]));
}

FIXTURE_TEARDOWN(nullblk)
{
	close(self->fd);
	close(self->direct);
	set("power", 0);
	rmdir(CONFIGFS);
}

/* splice() stores the offset when its direct read is done: home sees that. */
TEST_F(nullblk, home_spins)
{
	volatile uint64_t off;
	int64_t ret;
	int p[2], i, s, asleep = 0;

	ASSERT_EQ(0, pipe(p));
	for (i = 0; i < 200; i++) {
		off = i * PAGE;
		s = try_start(i, &ret, __NR_splice, self->direct, &off, p[1], NULL,
			      PAGE, 0);
		ASSERT_LE(0, s);
		while (off != (i + 1) * PAGE)
			;
		if (s) {
			ASSERT_EQ(PAGE, ret);
		} else {
			REAP(i, PAGE);
		}
		asleep += !s;
		ASSERT_EQ(PAGE, read(p[0], self->buf, PAGE));
	}
	/* A millisecond is longer than it takes to wait. */
	if (variant->irqmode == 2)
		EXPECT_LT(0, asleep);
	NOTHING_LEFT();
}

/* Home waits. */
TEST_F(nullblk, direct)
{
	int i, k, asleep;

	for (i = 0; i < 128; i++)
		memset(self->buf + i * PAGE, i + 1, PAGE);
	for (k = 0; k < 20; k++) {
		int64_t ret;

		for (i = asleep = 0; i < 128; i++) {
			int s = try_start(i, &ret, k & 1 ? __NR_pread64 : __NR_pwrite64,
					  self->direct, self->buf + i * PAGE, PAGE, i * PAGE);

			ASSERT_LE(0, s);
			if (s)
				ASSERT_EQ(PAGE, ret);
			asleep += !s;
		}
		while (asleep--) {
			struct asys_completion c;

			ASSERT_EQ(0, asys_await(&c));
			ASSERT_EQ(PAGE, c.return_code);
		}
		for (i = 0; i < 128; i++) {
			ASSERT_EQ((char)(i + 1), self->buf[i * PAGE]);
			ASSERT_EQ((char)(i + 1), self->buf[i * PAGE + PAGE - 1]);
		}
		if (!(k & 1))
			memset(self->buf, 0, 128 * PAGE);
	}
	NOTHING_LEFT();
}

/* Many in one batch, more than the device takes */
TEST_F(nullblk, batch)
{
	struct asys_ring_setup setup = { .entries = 64 };
	struct asys_request r[64];
	struct asys_ring *ring;
	int i, k;

	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	setup.ring = (uintptr_t)ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	for (i = 0; i < 64; i++)
		memset(self->buf + i * PAGE, i + 1, PAGE);
	for (k = 0; k < 50; k++) {
		for (i = 0; i < 64; i++) {
			r[i] = (struct asys_request) {
				.nr = k & 1 ? __NR_pread64 : __NR_pwrite64,
				.cookie = i,
				.args = { self->direct, (uintptr_t)self->buf + i * PAGE,
					  PAGE, i * PAGE },
			};
		}
		ASSERT_EQ(64, syscall(__NR_asys_enter, r, 64, 64, 0, NULL, 0));
		for (i = 0; i < 64; i++)
			ASSERT_EQ(PAGE, ring->completions[i].return_code);
		ASSERT_EQ(64 * (k + 1), ring->tail);
		ring->head += 64;
		for (i = 0; i < 64; i++) {
			ASSERT_EQ((char)(i + 1), self->buf[i * PAGE]);
			ASSERT_EQ((char)(i + 1), self->buf[i * PAGE + PAGE - 1]);
		}
		if (!(k & 1))
			memset(self->buf, 0, 64 * PAGE);
	}
}

/* Where the device tells how many reads it has done: that is the first number. */
static int open_stat(int fd)
{
	char path[64];
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat",
		 major(st.st_rdev), minor(st.st_rdev));
	return open(path, O_RDONLY);
}

static long device_reads(int stat)
{
	char line[256] = "";

	return pread(stat, line, sizeof(line) - 1, 0) > 0 ? atol(line) : -1;
}

/*
 * Reads of adjacent blocks that are in a plug at the same time become one.  Once
 * calls have slept for I/O, the next batches begin with a plug, but for some that
 * do not, in which the first read is sent by itself.
 */
TEST_F(nullblk, plug)
{
	struct asys_ring_setup setup = { .entries = 8 };
	int i, k, stat, all = 0, not_the_first = 0;
	struct asys_request r[8];
	struct asys_ring *ring;
	long before, reads;

	if (variant->irqmode != 2 || variant->depth)
		SKIP(return, "calls may not sleep, or not for the device alone");
	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	setup.ring = (uintptr_t)ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	for (i = 0; i < 8; i++)
		r[i] = (struct asys_request) {
			.nr = __NR_pread64,
			.args = { self->direct, (uintptr_t)self->buf + i * PAGE,
				  PAGE, i * PAGE },
		};
	stat = open_stat(self->direct);
	ASSERT_LE(0, stat);
	/* More than two times as many as begin with a plug in a row */
	for (k = 0; k < 200; k++) {
		before = device_reads(stat);
		ASSERT_LE(0, before);
		ASSERT_EQ(8, syscall(__NR_asys_enter, r, 8, 8, 0, NULL, 0));
		for (i = 0; i < 8; i++, ring->head++)
			ASSERT_EQ(PAGE, ring->completions[ring->head & 7].return_code);
		reads = device_reads(stat) - before;
		all += reads == 1;
		/* The very first could not know. */
		not_the_first += k && reads == 2;
	}
	EXPECT_LT(100, all);
	EXPECT_LT(0, not_the_first);
	close(stat);
}

#define FDS	1000
#define POLLS	1000

/*
 * A batch that begins with reads, and goes on for some ticks with calls that sleep
 * for something else: the reads do not wait for its end.  Its last call tells.
 */
TEST_F(nullblk, plug_in_long_batch)
{
	struct asys_ring_setup setup = { .entries = 1024 };
	struct asys_request *r = calloc(POLLS + 3, sizeof(*r));
	struct pollfd *fds = calloc(FDS, sizeof(*fds));
	int i, k, stat, p[2], polls = 8, both = 0;
	struct timespec from, to;
	struct asys_ring *ring;
	char line[256];
	long before;

	if (variant->irqmode != 2 || variant->depth)
		SKIP(return, "calls may not sleep, or not for the device alone");
	ASSERT_TRUE(r && fds);
	ring = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	setup.ring = (uintptr_t)ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	stat = open_stat(self->direct);
	ASSERT_LE(0, stat);
	ASSERT_EQ(0, pipe(p));
	/* These take their time until they sleep. */
	for (i = 0; i < FDS; i++)
		fds[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	for (k = 0; k < 16;) {
		for (i = 0; i < 2; i++)
			r[i] = (struct asys_request) {
				.nr = __NR_pread64,
				.args = { self->direct, (uintptr_t)self->buf + i * PAGE,
					  PAGE, 8 * i * PAGE },
			};
		for (; i < polls + 2; i++)
			r[i] = (struct asys_request) {
				.nr = __NR_poll,
				.args = { (uintptr_t)fds, FDS, -1 },
			};
		r[i++] = (struct asys_request) {
			.nr = __NR_pread64,
			.args = { stat, (uintptr_t)line, sizeof(line) - 1 },
		};
		before = device_reads(stat);
		memset(line, 0, sizeof(line));
		clock_gettime(CLOCK_MONOTONIC, &from);
		ASSERT_EQ(i, syscall(__NR_asys_enter, r, i, 0, 0, NULL, 0));
		clock_gettime(CLOCK_MONOTONIC, &to);
		ASSERT_EQ(1, write(p[1], "x", 1));
		ASSERT_EQ(0, syscall(__NR_asys_enter, NULL, 0, i, 0, NULL, 0));
		ASSERT_EQ(1, read(p[0], line + sizeof(line) - 1, 1));
		ring->head = ring->tail;
		/* Two ticks, and more, of any length */
		if ((to.tv_sec - from.tv_sec) * 1000 +
		    (to.tv_nsec - from.tv_nsec) / 1000000 < 25) {
			polls += polls / 2;
			if (polls > POLLS)
				SKIP(return, "takes no time");
			continue;
		}
		both += atol(line) == before + 2;
		k++;
	}
	/* Others may have had the CPU. */
	EXPECT_LE(12, both);
	NOTHING_LEFT();
	close(stat);
	free(fds);
	free(r);
}

/* Through the page cache of the device; home sees the bytes arrive. */
TEST_F(nullblk, buffered_home_spins)
{
	volatile char *buf = self->buf;
	int64_t ret;
	int i, s;

	for (i = 0; i < 64; i++) {
		ASSERT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED));
		memset(self->buf, 0xff, PAGE);
		s = try_start(i, &ret, __NR_pread64, self->fd, buf, PAGE, i * PAGE);
		ASSERT_LE(0, s);
		while (buf[PAGE - 1] == (char)0xff)
			;
		if (s) {
			ASSERT_EQ(PAGE, ret);
		} else {
			REAP(i, PAGE);
		}
	}
}

/* Home sleeps in I/O of its own on the same CPU: each has its own wake-up. */
TEST_F(nullblk, home_reads)
{
	int i, k, asleep;
	char *mine = self->buf + 64 * PAGE;
	int64_t ret;

	for (i = 0; i < 100; i++) {
		for (k = asleep = 0; k < 8; k++) {
			int s = try_start(k, &ret, __NR_pread64, self->direct,
					  self->buf + k * PAGE, PAGE, k * PAGE);

			ASSERT_LE(0, s);
			asleep += !s;
		}
		ASSERT_EQ(PAGE, pread(self->direct, mine, PAGE, i * PAGE));
		while (asleep--) {
			struct asys_completion c;

			ASSERT_EQ(0, asys_await(&c));
			ASSERT_EQ(PAGE, c.return_code);
		}
	}
}

/*
 * test_modules/asys_wake.ko: what is written to this is the id of a task to wake,
 * whichever of its contexts sleep, and for whatever.
 */
#define MODULE	"test_modules/asys_wake.ko"
#define WAKE	"/sys/module/asys_wake/parameters/pid"

/* Others wake the task all the time; each read ends when it is done, not before. */
TEST_F(nullblk, woken_in_vain)
{
	int i, k, asleep, some = 0, status, module;
	pid_t waker, me = getpid();
	int64_t ret;

	module = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (module < 0)
		SKIP(return, "no " MODULE);
	/* A test that has failed leaves it there. */
	if (syscall(__NR_finit_module, module, "", 0) && errno != EEXIST) {
		/* No modules at all, for another kernel, or not signed */
		ASSERT_TRUE(errno == ENOSYS || errno == ENOEXEC ||
			    errno == EPERM || errno == EKEYREJECTED);
		SKIP(return, MODULE ": %s", strerror(errno));
	}
	waker = fork();
	ASSERT_LE(0, waker);
	if (!waker) {
		pin_to(self->cpu[1]);
		while (!write_long(WAKE, me))
			;
		_exit(1);
	}
	for (k = 0; k < 20; k++) {
		memset(self->buf, 0xff, 65 * PAGE);
		for (i = asleep = 0; i < 64; i++) {
			int s = try_start(i, &ret, __NR_pread64, self->direct,
					  self->buf + i * PAGE, PAGE, i * PAGE);

			ASSERT_LE(0, s);
			if (s)
				ASSERT_EQ(PAGE, ret);
			asleep += !s;
		}
		some |= asleep;
		/* Home is in one of its own, too. */
		ASSERT_EQ(PAGE, pread(self->direct, self->buf + 64 * PAGE, PAGE, 0));
		while (asleep--) {
			struct asys_completion c;

			ASSERT_EQ(0, asys_await(&c));
			ASSERT_EQ(PAGE, c.return_code);
		}
		/* Nothing has been written there. */
		for (i = 0; i < 65 * PAGE; i++)
			ASSERT_EQ(0, self->buf[i]);
	}
	/* A millisecond is longer than it takes to sleep. */
	if (variant->irqmode == 2)
		EXPECT_LT(0, some);
	NOTHING_LEFT();
	ASSERT_EQ(0, kill(waker, SIGKILL));
	ASSERT_EQ(waker, waitpid(waker, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(0, syscall(__NR_delete_module, "asys_wake", 0));
}

TEST_HARNESS_MAIN
