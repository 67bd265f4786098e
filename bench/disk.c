// SPDX-License-Identifier: GPL-2.0
/*
 * Disks: direct reads from null_blk, and the job with which uringlets were
 * measured, buffered random writes of 1 KiB.
 */
#include "bench.h"

static int fd;
static char *buf;

/*
 * How far the blocks are apart that direct reads are of: two pages, or one, and
 * then who collects requests makes one of several.
 */
static off_t stride;

/*
 * Argument of the row: nanoseconds of a timer, or 0: a soft interrupt; one more:
 * of blocks that are next to each other
 */
static bool direct_setup(const struct row *row)
{
	stride = row->arg & 1 ? PAGE : 2 * PAGE;
	if (!null_blk("bench", row->arg & ~1L, 0))
		return false;
	fd = open("/dev/bench", O_RDONLY | O_DIRECT);
	if (fd < 0)
		err(1, "/dev/bench");
	buf = aligned_alloc(PAGE, MAX_BATCH * PAGE);
	if (!buf)
		errx(1, "no memory");
	memset(buf, 0, MAX_BATCH * PAGE);
	return true;
}

__inline_all struct call direct_call(unsigned int i)
{
	return CALL(__NR_pread64, fd, P(buf + i * PAGE), PAGE, i * stride);
}

__inline_all void direct_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_read(sqe, fd, buf + i * PAGE, PAGE, i * stride);
}

__inline_all void direct_iocb(struct iocb *iocb, unsigned int i)
{
	io_prep_pread(iocb, fd, buf + i * PAGE, PAGE, i * stride);
}

ROW_CALL(direct)
ROW_URING(direct)
ROW_AIO(direct)

/* The same places for all peers */
#define BLOCK		1024
#define BLOCKS_OF_FILE	8192

static unsigned long offsets[MAX_BATCH];

static bool random_setup(const struct row *row)
{
	struct stat st;
	int i;

	(void)row;
	fd = open("/scratch/random", O_CREAT | O_RDWR, 0644);
	if (fd < 0)
		return false;
	buf = calloc(MAX_BATCH, BLOCK);
	if (!buf)
		errx(1, "no memory");
	if (!fstat(fd, &st) && st.st_size == BLOCKS_OF_FILE * BLOCK)
		return true;
	for (i = 0; i < BLOCKS_OF_FILE; i++)
		if (write(fd, buf, BLOCK) != BLOCK)
			err(1, "write");
	fsync(fd);
	return true;
}

static void elsewhere(unsigned int n)
{
	static uint32_t number = 1;
	unsigned int i;

	for (i = 0; i < n; i++) {
		number = number * 1664525 + 1013904223;
		offsets[i] = (number >> 8) % BLOCKS_OF_FILE * BLOCK;
	}
}

static long block(unsigned int i)
{
	(void)i;
	return BLOCK;
}

__inline_all struct call random_call(unsigned int i)
{
	return CALL(__NR_pwrite64, fd, P(buf + i * BLOCK), BLOCK, offsets[i]);
}

__inline_all void random_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_write(sqe, fd, buf + i * BLOCK, BLOCK, offsets[i]);
}

__inline_all void random_iocb(struct iocb *iocb, unsigned int i)
{
	io_prep_pwrite(iocb, fd, buf + i * BLOCK, BLOCK, offsets[i]);
}

ROW_CALL(random)
ROW_URING(random)
ROW_AIO(random)

#define RANDOM(depth) .batch = (depth), .setup = random_setup, .before = elsewhere, \
	.expect = block, .plain = random_plain, .uring = random_uring, .aio = random_aio, \
	.pool = random_pool, .asys = random_asys
#define DIRECT(depth, ns) .batch = (depth), .arg = (ns), .idles = true, .setup = direct_setup, \
	.expect = page, .plain = direct_plain, .uring = direct_uring, \
	.aio = direct_aio, .pool = direct_pool, .asys = direct_asys

const struct row disk_rows[] = {
	{ "null_blk softirq, depth 1", .rounds = 200, DIRECT(1, 0) },
	{ "null_blk softirq, depth 8", .rounds = 50, DIRECT(8, 0) },
	{ "null_blk softirq, depth 32", DIRECT(32, 0) },
	{ "null_blk softirq, depth 128", .rounds = 10, DIRECT(128, 0) },
	{ "null_blk 10 us, depth 1", .rounds = 200, DIRECT(1, 10000) },
	{ "null_blk 10 us, depth 8", .rounds = 50, DIRECT(8, 10000) },
	{ "null_blk 10 us, depth 32", DIRECT(32, 10000) },
	{ "null_blk 10 us, depth 128", .rounds = 10, DIRECT(128, 10000) },
	{ "null_blk softirq, adjacent, 32", DIRECT(32, 1) },
	{ "null_blk 10 us, adjacent, 32", DIRECT(32, 10001) },
	{ "random write 1 KiB, depth 1", .rounds = 200, RANDOM(1) },
	{ "random write 1 KiB, depth 2", .rounds = 100, RANDOM(2) },
	{ "random write 1 KiB, depth 4", .rounds = 100, RANDOM(4) },
	{ "random write 1 KiB, depth 8", .rounds = 50, RANDOM(8) },
	{ "random write 1 KiB, depth 16", .rounds = 30, RANDOM(16) },
	{ "random write 1 KiB, depth 32", RANDOM(32) },
	{ }
};
