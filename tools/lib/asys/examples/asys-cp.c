// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Copy a file, with several blocks on their way at any time.
 *
 * A block is copied by a chain of two calls: a pread(), and a pwrite() of as
 * many bytes as that has returned. The program sees a block again when it has
 * been written.
 */
#include <asys.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS		8
#define BLOCK_SIZE	(256 * 1024)

struct block {
	struct asys_closure has_read, has_written;
	/* what is left of it */
	int64_t offset;
	size_t size;
	long got;
	char data[BLOCK_SIZE];
};

static int in, out;
static const char *in_name, *out_name;
static int64_t next_offset;
static bool failed;

static void fail(const char *name, long error)
{
	/* One error is enough: others tend to be the same. */
	if (!failed)
		warnx("%s: %s", name, strerror((int)-error));
	failed = true;
}

static void copy_block(struct asys *a, struct block *b)
{
	struct asys_request *req = asys_get_request(a);

	if (!req)
		errx(1, "no room for a request");
	asys_prep_pread(req, in, b->data, b->size, b->offset);
	asys_set_closure(req, &b->has_read);
	asys_set_link(req);

	req = asys_get_request(a);
	if (!req)
		errx(1, "no room for a request");
	asys_prep_pwrite(req, out, b->data, 0, b->offset);
	asys_use_result(req, 2, 1);
	asys_set_closure(req, &b->has_written);
}

static void copy_next(struct asys *a, struct block *b)
{
	b->offset = next_offset;
	b->size = BLOCK_SIZE;
	next_offset += BLOCK_SIZE;
	copy_block(a, b);
}

static void has_read(struct asys *a, long result, void *data)
{
	struct block *b = data;

	(void)a;
	b->got = result;
}

/* This comes after has_read(), even if that has got an error. */
static void has_written(struct asys *a, long result, void *data)
{
	struct block *b = data;

	if (b->got < 0)
		fail(in_name, b->got);
	else if (result < 0)
		fail(out_name, result);
	else if (b->got && !result)
		fail(out_name, -EIO);
	/* Nothing to read: this was the end of the file. */
	if (failed || !b->got)
		return;

	/* Either call may have done less than it was asked for. */
	b->offset += result;
	b->size -= (size_t)result;
	if (b->size)
		copy_block(a, b);
	else
		copy_next(a, b);
}

static void copy(void)
{
	struct block *blocks;
	struct asys a;
	int i, error;

	blocks = calloc(BLOCKS, sizeof(*blocks));
	if (!blocks)
		err(1, "calloc");
	error = asys_init(&a, 2 * BLOCKS, 0);
	if (error)
		errx(1, "asys_init: %s", strerror(-error));

	for (i = 0; i < BLOCKS; i++) {
		blocks[i].has_read.fn = has_read;
		blocks[i].has_read.data = &blocks[i];
		blocks[i].has_written.fn = has_written;
		blocks[i].has_written.data = &blocks[i];
		copy_next(&a, &blocks[i]);
	}
	do
		error = asys_run(&a);
	while (error == -EINTR);
	if (error)
		fail("asys_run", error);
	asys_exit(&a);
	free(blocks);
}

int main(int argc, char **argv)
{
	struct stat from, to;

	if (argc != 3)
		errx(1, "usage: asys-cp from to");
	in_name = argv[1];
	out_name = argv[2];

	in = open(in_name, O_RDONLY | O_CLOEXEC);
	if (in < 0 || fstat(in, &from))
		err(1, "%s", in_name);
	if (!S_ISREG(from.st_mode))
		errx(1, "%s: not a regular file", in_name);

	/* Nobody else may read it before it has the mode of the other one. */
	out = open(out_name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (out < 0 || fstat(out, &to))
		err(1, "%s", out_name);
	if (!S_ISREG(to.st_mode))
		errx(1, "%s: not a regular file", out_name);
	if (from.st_dev == to.st_dev && from.st_ino == to.st_ino)
		errx(1, "%s and %s are the same file", in_name, out_name);
	if (ftruncate(out, 0))
		err(1, "%s", out_name);

	copy();

	if (fchmod(out, from.st_mode & 07777) || close(out))
		err(1, "%s", out_name);
	return failed;
}
