// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that wait for a disk, below a file system with a journal.
 *
 * ASYS_TEST_DIR names a directory there; /mnt/scratch and /scratch are tried.
 */
#include "asys_test.h"

#define BLOCK	4096UL
#define BLOCKS	64

FIXTURE(disk)
{
	char dir[PATH_MAX];
	char *buf;
};

FIXTURE_SETUP(disk)
{
	const char *dir = disk_dir();

	NEED_ASYS();
	if (!dir)
		SKIP(return, "no disk: set ASYS_TEST_DIR");
	snprintf(self->dir, sizeof(self->dir), "%s/asysXXXXXX", dir);
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, chdir(self->dir));
	ASSERT_EQ(0, posix_memalign((void **)&self->buf, BLOCK, BLOCKS * BLOCK));
}

FIXTURE_TEARDOWN(disk)
{
	ASSERT_EQ(0, chdir("/"));
	/* Each test has removed what it made. */
	EXPECT_EQ(0, rmdir(self->dir));
}

static char pattern(int block, int i)
{
	return block * 31 + i * 7 + (i >> 8);
}

static bool is_block(const char *buf, int block)
{
	unsigned int i;

	for (i = 0; i < BLOCK; i++) {
		if (buf[i] != pattern(block, i))
			return false;
	}
	return true;
}

/* A file of so many blocks, on the disk and not in memory */
static int make_file(const char *name, int blocks)
{
	char buf[BLOCK];
	unsigned int i;
	int fd, b;

	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (b = 0; b < blocks; b++) {
		for (i = 0; i < BLOCK; i++)
			buf[i] = pattern(b, i);
		if (write(fd, buf, BLOCK) != BLOCK)
			return -1;
	}
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		return -1;
	return fd;
}

/* Caches of the file system, with root's help */
static bool drop_caches(void)
{
	sync();
	return !write_file("/proc/sys/vm/drop_caches", "3");
}

/*
 * The same, and those blocks, too, that the journal has and would write to their
 * place some time later: it does when the file system is frozen.
 */
static bool drop_journal(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY);
	bool done;

	done = fd >= 0 && !ioctl(fd, FIFREEZE, 0) && !ioctl(fd, FITHAW, 0);
	close(fd);
	/* What the first time frees has kept pages in use. */
	return drop_caches() && drop_caches() && done;
}

/*
 * What is not in memory has to come from the disk. It may be there when the call
 * is about to sleep, if the disk is fast, or the CPU is not ours alone: how many
 * sleep cannot be said. That none does so many times over is no disk's doing.
 */
#define ROUNDS	40

#define SOME_SLEPT(cold, n)						\
do {									\
	if (cold) {							\
		EXPECT_LT(0, n);					\
	}								\
} while (0)

/* Fetch what is outstanding, and check each result against @want. */
#define REAP_ALL(n, want)						\
do {									\
	int __n = n;							\
	while (__n--) {							\
		struct asys_completion __c;				\
		ASSERT_EQ(0, asys_await(&__c));				\
		EXPECT_EQ((int64_t)(want), __c.return_code) {		\
			TH_LOG("call %llu", (unsigned long long)__c.cookie); \
		}							\
	}								\
} while (0)

/*
 * Submit n requests in one go, and return how many are asleep; -1: a result
 * was not as wanted.
 */
static int submit_batch(struct req *r, int n, int64_t want)
{
	struct asys_input in[BLOCKS * 4];
	int i, asleep = 0;

	for (i = 0; i < n; i++) {
		in[i] = r[i].in;
		in[i].args = (uintptr_t)r[i].args;
	}
	if (asys_submit(in, n) != n)
		return -1;
	/* How many sleep is up to the disk, and to what is in memory. */
	for (i = 0; i < n; i++) {
		if (!(in[i].flags & ASYS_F_DONE))
			asleep++;
		else if (want >= 0 ? in[i].return_code != want : in[i].return_code < 0)
			return -1;
	}
	return asleep;
}

/* All in one batch: one plug, of which no sleeper may keep a part. */
TEST_F(disk, direct_reads)
{
	int fd, dfd, b, n, round, asleep = 0;
	struct req r[BLOCKS];

	fd = make_file("direct", BLOCKS);
	ASSERT_LE(0, fd);
	dfd = open("direct", O_RDONLY | O_DIRECT);
	if (dfd < 0)
		SKIP(unlink("direct"); return, "no O_DIRECT");
	for (round = 0; round < 8 || (round < ROUNDS && !asleep); round++) {
		memset(self->buf, 0, BLOCKS * BLOCK);
		for (b = 0; b < BLOCKS; b++)
			REQ(&r[b], b, __NR_pread64, dfd, self->buf + b * BLOCK,
			    BLOCK, b * BLOCK);
		n = submit_batch(r, BLOCKS, BLOCK);
		ASSERT_LE(0, n);
		asleep += n;
		REAP_ALL(n, BLOCK);
		for (b = 0; b < BLOCKS; b++)
			ASSERT_TRUE(is_block(self->buf + b * BLOCK, b));
	}
	SOME_SLEPT(true, asleep);
	NOTHING_LEFT();
	close(fd);
	close(dfd);
	unlink("direct");
}

TEST_F(disk, direct_writes)
{
	struct req r[BLOCKS];
	int fd, b, n, asleep = 0;
	unsigned int i;

	fd = open("direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
	if (fd < 0)
		SKIP(return, "no O_DIRECT");
	/* Into the file, over it, and into holes */
	for (i = 0; i < 3 || (i < ROUNDS && !asleep); i++) {
		for (b = 0; b < BLOCKS; b++) {
			unsigned int k;

			for (k = 0; k < BLOCK; k++)
				self->buf[b * BLOCK + k] = pattern(b, k);
			REQ(&r[b], b, __NR_pwrite64, fd, self->buf + b * BLOCK,
			    BLOCK, (i == 2 ? 1000 + 3 * b : b) * BLOCK);
		}
		n = submit_batch(r, BLOCKS, BLOCK);
		ASSERT_LE(0, n);
		asleep += n;
		REAP_ALL(n, BLOCK);
	}
	SOME_SLEPT(true, asleep);
	for (b = 0; b < BLOCKS; b++) {
		ASSERT_EQ(BLOCK, pread(fd, self->buf, BLOCK, b * BLOCK));
		ASSERT_TRUE(is_block(self->buf, b));
		ASSERT_EQ(BLOCK, pread(fd, self->buf, BLOCK, (1000 + 3 * b) * BLOCK));
		ASSERT_TRUE(is_block(self->buf, b));
	}
	close(fd);
	unlink("direct");
}

/* Through the page cache; neighbours wait for one read-ahead. */
TEST_F(disk, cold_reads)
{
	int fd, b, n, round, asleep = 0;
	struct req r[BLOCKS];

	for (round = 0; round < ROUNDS && !asleep; round++) {
		/* This one drops what it has written, without root. */
		fd = make_file("cold", BLOCKS);
		ASSERT_LE(0, fd);
		drop_caches();
		memset(self->buf, 0, BLOCKS * BLOCK);
		for (b = 0; b < BLOCKS; b++) {
			int block = b * 37 % BLOCKS;

			REQ(&r[b], block, __NR_pread64, fd, self->buf + block * BLOCK,
			    BLOCK, block * BLOCK);
		}
		n = submit_batch(r, BLOCKS, BLOCK);
		ASSERT_LE(0, n);
		asleep += n;
		REAP_ALL(n, BLOCK);
		for (b = 0; b < BLOCKS; b++)
			ASSERT_TRUE(is_block(self->buf + b * BLOCK, b));
		close(fd);
		unlink("cold");
	}
	SOME_SLEPT(true, asleep);
}

/* A fault inside a call, on a page of a file */
TEST_F(disk, cold_mapping)
{
	int fd, b, n, round, p[2], asleep = 0;
	struct req r[BLOCKS];
	char *map;

	/* Packets: each write is one. */
	ASSERT_EQ(0, pipe2(p, O_DIRECT));
	ASSERT_LE(BLOCKS * BLOCK, fcntl(p[1], F_SETPIPE_SZ, BLOCKS * BLOCK));
	for (round = 0; round < ROUNDS && !asleep; round++) {
		fd = make_file("mapped", BLOCKS);
		ASSERT_LE(0, fd);
		drop_caches();
		map = mmap(NULL, BLOCKS * BLOCK, PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		ASSERT_EQ(0, madvise(map, BLOCKS * BLOCK, MADV_RANDOM));
		for (b = 0; b < BLOCKS; b++)
			REQ(&r[b], b, __NR_write, p[1], map + b * BLOCK, BLOCK);
		n = submit_batch(r, BLOCKS, BLOCK);
		ASSERT_LE(0, n);
		asleep += n;
		REAP_ALL(n, BLOCK);
		for (b = 0; b < BLOCKS; b++) {
			int block;

			ASSERT_EQ(BLOCK, read(p[0], self->buf, BLOCK));
			for (block = 0; block < BLOCKS; block++)
				if (is_block(self->buf, block))
					break;
			EXPECT_GT(BLOCKS, block);
		}
		munmap(map, BLOCKS * BLOCK);
		close(fd);
		unlink("mapped");
	}
	SOME_SLEPT(true, asleep);
}

TEST_F(disk, getdents)
{
	struct linux_dirent64 {
		uint64_t ino;
		int64_t off;
		uint16_t len;
		uint8_t type;
		char name[];
	} *d;
	static char names[256][32];
	static struct stat st[256];
	static struct req r[256];
	int dir, i, n, fd, round, asleep, state;
	struct asys_completion c;
	bool cold = true;
	char name[32];
	int64_t got;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		fd = open(name, O_CREAT | O_WRONLY, 0600);
		ASSERT_LE(0, fd);
		close(fd);
	}
	dir = open(".", O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	for (round = 0, asleep = 0; round < ROUNDS && cold && !asleep; round++) {
		bool seen[300] = {};

		cold = drop_journal(self->dir);
		ASSERT_EQ(0, lseek(dir, 0, SEEK_SET));
		n = 0;
		for (;;) {
			int64_t pos;

			state = try_start(1, &got, __NR_getdents64, dir, self->buf, 1024);
			ASSERT_LE(0, state);
			if (!state) {
				ASSERT_EQ(0, asys_await(&c));
				got = c.return_code;
				asleep++;
			}
			if (got <= 0)
				break;
			for (pos = 0; pos < got; pos += d->len) {
				d = (void *)(self->buf + pos);
				if (sscanf(d->name, "file-%d", &i) == 1) {
					ASSERT_FALSE(seen[i]);
					seen[i] = true;
					n++;
				}
			}
		}
		EXPECT_EQ(0, got);
		EXPECT_EQ(300, n);
	}
	SOME_SLEPT(cold, asleep);

	/* Cold inodes, all at a time */
	cold = true;
	for (round = 0, asleep = 0; round < ROUNDS && cold && !asleep; round++) {
		cold = drop_journal(self->dir);
		memset(st, 0, sizeof(st));
		for (i = 0; i < 256; i++) {
			snprintf(names[i], sizeof(names[i]), "file-%d", i);
			REQ(&r[i], i, __NR_newfstatat, AT_FDCWD, names[i], &st[i], 0);
		}
		asleep = submit_batch(r, 256, 0);
		ASSERT_LE(0, asleep);
		REAP_ALL(asleep, 0);
		for (i = 0; i < 256; i++)
			EXPECT_TRUE(S_ISREG(st[i].st_mode));
	}
	SOME_SLEPT(cold, asleep);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		ASSERT_EQ(0, acall(__NR_unlinkat, AT_FDCWD, name, 0));
	}
	close(dir);
}

TEST_F(disk, fsync)
{
	int fd[16], i, n, round, asleep = 0;
	struct req r[16];
	char name[16];

	for (round = 0; round < ROUNDS && !asleep; round++) {
		for (i = 0; i < 16; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			fd[i] = open(name, O_CREAT | O_RDWR, 0600);
			ASSERT_LE(0, fd[i]);
			ASSERT_EQ(100, write(fd[i], self->buf, 100));
			REQ(&r[i], i, i & 1 ? __NR_fsync : __NR_fdatasync, fd[i]);
		}
		n = submit_batch(r, 16, 0);
		ASSERT_LE(0, n);
		asleep += n;
		/* Home commits too. */
		ASSERT_EQ(0, fsync(fd[0]));
		REAP_ALL(n, 0);
		for (i = 0; i < 16; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			close(fd[i]);
			unlink(name);
		}
	}
	/* At least for a thread of the journal, however fast the disk is */
	SOME_SLEPT(true, asleep);
}

/*
 * Many calls inside transactions, home among them, while a thread commits all
 * the time, so that they wait for buffers there. A task has one place for a
 * handle.
 */
struct syncer {
	pthread_t thread;
	int fd;
	int stop;
	int err;
};

static void *syncer_main(void *arg)
{
	struct syncer *s = arg;
	int i;

	for (i = 0; !__atomic_load_n(&s->stop, __ATOMIC_RELAXED); i++) {
		if (pwrite(s->fd, "sync", 4, i % 100 * BLOCK) != 4 || fsync(s->fd))
			s->err = errno;
	}
	return NULL;
}

TEST_F(disk, transactions)
{
	static char path[BLOCKS][2][32];
	struct req r[BLOCKS];
	struct syncer s = {};
	struct stat st;
	int round, i, n, sync_fd;

	sync_fd = open("sync", O_CREAT | O_RDWR, 0600);
	ASSERT_LE(0, sync_fd);
	s.fd = sync_fd;
	ASSERT_EQ(0, pthread_create(&s.thread, NULL, syncer_main, &s));
	for (i = 0; i < BLOCKS; i++) {
		snprintf(path[i][0], 32, "d%d", i);
		snprintf(path[i][1], 32, "d%d/file", i);
	}
	for (round = 0; round < 3; round++) {
		drop_caches();
		for (i = 0; i < BLOCKS; i++)
			REQ(&r[i], i, __NR_mkdirat, AT_FDCWD, path[i][0], 0700);
		n = submit_batch(r, BLOCKS, 0);
		ASSERT_LE(0, n);
		ASSERT_EQ(4, pwrite(sync_fd, "sync", 4, round * BLOCK));
		ASSERT_EQ(0, fsync(sync_fd));
		REAP_ALL(n, 0);

		drop_caches();
		for (i = 0; i < BLOCKS; i++)
			REQ(&r[i], i, __NR_mknodat, AT_FDCWD, path[i][1],
			    S_IFREG | 0600, 0);
		n = submit_batch(r, BLOCKS, 0);
		ASSERT_LE(0, n);
		ASSERT_EQ(0, mkdir("home", 0700));
		ASSERT_EQ(0, rmdir("home"));
		REAP_ALL(n, 0);

		drop_caches();
		for (i = 0; i < BLOCKS; i++)
			REQ(&r[i], i, __NR_truncate, path[i][1], (i + 1) * 1000);
		n = submit_batch(r, BLOCKS, 0);
		ASSERT_LE(0, n);
		ASSERT_EQ(0, fsync(sync_fd));
		REAP_ALL(n, 0);
		for (i = 0; i < BLOCKS; i++) {
			ASSERT_EQ(0, stat(path[i][1], &st));
			EXPECT_EQ((i + 1) * 1000, st.st_size);
		}

		drop_caches();
		for (i = 0; i < BLOCKS; i++)
			REQ(&r[i], i, __NR_unlinkat, AT_FDCWD, path[i][1], 0);
		n = submit_batch(r, BLOCKS, 0);
		ASSERT_LE(0, n);
		REAP_ALL(n, 0);
		for (i = 0; i < BLOCKS; i++)
			REQ(&r[i], i, __NR_unlinkat, AT_FDCWD, path[i][0], AT_REMOVEDIR);
		n = submit_batch(r, BLOCKS, 0);
		ASSERT_LE(0, n);
		REAP_ALL(n, 0);
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(s.thread, NULL));
	EXPECT_EQ(0, s.err);
	close(sync_fd);
	unlink("sync");
}

/* Written, allocated, punched, synced and read, all of it in flight together */
TEST_F(disk, one_file)
{
	struct req r[BLOCKS];
	int fd, b, n, s, round;
	int64_t ret = 0;
	unsigned int k;

	fd = open("one", O_CREAT | O_RDWR, 0600);
	ASSERT_LE(0, fd);
	for (round = 0; round < 4; round++) {
		for (b = 0; b < BLOCKS; b++) {
			for (k = 0; k < BLOCK; k++)
				self->buf[b * BLOCK + k] = pattern(b + round, k);
			REQ(&r[b], b, __NR_pwrite64, fd, self->buf + b * BLOCK,
			    BLOCK, (b + round * BLOCKS) * BLOCK);
		}
		n = submit_batch(r, BLOCKS, BLOCK);
		ASSERT_LE(0, n);
		REAP_ALL(n, BLOCK);
		s = try_start(1, &ret, __NR_fsync, fd);
		ASSERT_LE(0, s);
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE,
				       (round + 1) * BLOCKS * BLOCK, BLOCKS * BLOCK));
		ASSERT_EQ(0, ret);
		if (!s)
			REAP(1, 0);
		for (b = 0; b < BLOCKS; b++) {
			ASSERT_EQ(BLOCK, pread(fd, self->buf, BLOCK, (b + round * BLOCKS) * BLOCK));
			ASSERT_TRUE(is_block(self->buf, b + round));
		}
	}
	close(fd);
	unlink("one");
}

/*
 * The last close of an unlinked file frees its blocks, on the fibril; the
 * directory it was in can go at once.
 */
TEST_F(disk, close_unlinked)
{
	int i, fd, s, asleep = 0;
	bool cold = true;
	int64_t ret;

	for (i = 0; i < 4 || (i < 16 && cold && !asleep); i++) {
		ASSERT_EQ(0, mkdir("parent", 0700));
		fd = make_file("parent/big", 2048);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, unlink("parent/big"));
		cold = drop_journal(self->dir);
		s = try_start(1, &ret, __NR_close, fd);
		ASSERT_LE(0, s);
		asleep += !s;
		if (i & 1)
			ASSERT_EQ(0, rmdir("parent"));
		ASSERT_EQ(0, ret);
		if (!s)
			REAP(1, 0);
		if (!(i & 1))
			ASSERT_EQ(0, acall(__NR_rmdir, "parent"));
		ASSERT_EQ(-1, fcntl(fd, F_GETFD));
		NOTHING_LEFT();
	}
	/* The blocks that say which blocks are free are cold. */
	SOME_SLEPT(cold, asleep);
}

/*
 * The same in a batch: what close() reads is in the plug of the batch, which
 * goes on, and rmdir() waits for it without sleeping.
 */
TEST_F(disk, close_unlinked_in_batch)
{
	struct asys_ring_setup setup = { .entries = 64 };
	int i, k, fd, plugged = 0;
	struct asys_request r[2];
	struct asys_ring *ring;
	int file, direct;
	bool cold = true;

	ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ring);
	setup.ring = (uintptr_t)ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	file = make_file("direct", 2);
	ASSERT_LE(0, file);
	direct = open("direct", O_RDONLY | O_DIRECT);
	ASSERT_LE(0, direct);
	for (i = 0; i < 8 || (i < ROUNDS && cold && !plugged); i++) {
		ASSERT_EQ(0, mkdir("parent", 0700));
		fd = make_file("parent/big", 2048);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, unlink("parent/big"));
		cold = drop_journal(self->dir);
		/* If both sleep, the next batch begins with a plug. */
		for (k = 0; k < 2; k++)
			r[k] = (struct asys_request){ .nr = __NR_pread64,
				.args = { direct, (uintptr_t)self->buf + k * BLOCK,
					  BLOCK, k * BLOCK } };
		ASSERT_EQ(2, syscall(__NR_asys_enter, r, 2, 0, 0, NULL, 0));
		plugged += ring->tail == ring->head;
		ASSERT_EQ(0, syscall(__NR_asys_enter, NULL, 0, 2, 0, NULL, 0));
		for (k = 0; k < 2; k++, ring->head++)
			ASSERT_EQ(BLOCK, ring->completions[ring->head & 63].return_code);

		/* rmdir() has what it needs. */
		ASSERT_EQ(-1, access("none", F_OK));
		ASSERT_EQ(-1, access("parent/none", F_OK));
		r[0] = (struct asys_request){ .nr = __NR_close, .args = { fd } };
		r[1] = (struct asys_request){ .nr = __NR_rmdir,
			.args = { (uintptr_t)"parent" } };
		ASSERT_EQ(2, syscall(__NR_asys_enter, r, 2, 2, 0, NULL, 0));
		for (k = 0; k < 2; k++, ring->head++)
			ASSERT_EQ(0, ring->completions[ring->head & 63].return_code);
		ASSERT_EQ(4 * (i + 1), ring->tail);
	}
	SOME_SLEPT(cold, plugged);
	close(direct);
	close(file);
	ASSERT_EQ(0, unlink("direct"));
}

/* Ends with transactions and direct writes in flight. */
TEST_F(disk, killed)
{
	int i, round;

	for (round = 0; round < 4; round++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			char name[16];
			int64_t ret;
			int fd;

			for (i = 0; i < 32; i++) {
				snprintf(name, sizeof(name), "k%d", i);
				fd = open(name, O_CREAT | O_RDWR, 0600);
				MUST(fd >= 0);
				MUST(write(fd, self->buf, BLOCK) == BLOCK);
				MUST(try_start(i, &ret, __NR_fsync, fd) >= 0);
			}
			if (round & 1)
				_exit(7);
			kill(getpid(), SIGKILL);
		}
		if (round & 1) {
			EXITS(pid, 7);
		} else {
			KILLED(pid, SIGKILL);
		}
		for (i = 0; i < 32; i++) {
			char name[16];

			snprintf(name, sizeof(name), "k%d", i);
			ASSERT_EQ(0, unlink(name));
		}
	}
}

TEST_HARNESS_MAIN
