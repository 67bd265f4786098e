// SPDX-License-Identifier: GPL-2.0
/*
 * Count the files, directories and bytes of a tree, as find and du do: one call
 * after the other, and with many in flight, from the same single thread.  Both
 * walks make the same calls and begin with cold caches, which takes root.
 *
 * The second one is worth copying.  Each call is a struct op.  A directory that
 * statx() has found goes through openat(), getdents64() until the end, a statx()
 * for each entry, and close() when the last of these is done.  Each step is
 * taken when the call before it has finished: see finished().
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/asys.h>

#define DIR_FLAGS	(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define STAT_FLAGS	(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)
#define STAT_MASK	(STATX_TYPE | STATX_SIZE)
#define DENTS_SIZE	32768
#define BATCH		64

/* What a walk finds.  Two walks must find the same. */
struct totals {
	unsigned long files, dirs, others, errors;
	unsigned long long bytes;
};

static struct totals totals;

static void count(const struct statx *stx)
{
	if (S_ISREG(stx->stx_mode))
		totals.files++;
	else if (S_ISDIR(stx->stx_mode))
		totals.dirs++;
	else
		totals.others++;
	totals.bytes += stx->stx_size;
}

static void failed(const char *name, int error)
{
	warnx("%s: %s", name, strerror(error));
	totals.errors++;
}

static void show(const struct totals *t)
{
	printf("%lu files, %lu directories, %lu others, %llu bytes\n",
	       t->files, t->dirs, t->others, t->bytes);
}

/* The next name that getdents64() has stored, from *pos on */
static const char *next_name(char **pos, const char *end)
{
	while (*pos < end) {
		struct dirent64 *d = (struct dirent64 *)*pos;

		*pos += d->d_reclen;
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			return d->d_name;
	}
	return NULL;
}

/* The walk, one call after the other */

static void walk_sync(int parent, const char *name)
{
	char dents[DENTS_SIZE], *pos;
	struct statx stx;
	ssize_t len;
	int fd;

	if (statx(parent, name, STAT_FLAGS, STAT_MASK, &stx)) {
		failed(name, errno);
		return;
	}
	count(&stx);
	if (!S_ISDIR(stx.stx_mode))
		return;

	fd = openat(parent, name, DIR_FLAGS);
	if (fd < 0) {
		failed(name, errno);
		return;
	}
	while ((len = getdents64(fd, dents, sizeof(dents))) > 0) {
		pos = dents;
		while ((name = next_name(&pos, dents + len)))
			walk_sync(fd, name);
	}
	if (len < 0)
		failed("getdents64", errno);
	close(fd);
}

/* The walk, asynchronous */

/* An open directory, for as long as a call uses it */
struct dir {
	int fd;
	unsigned int users;
	char dents[DENTS_SIZE];
};

/* A system call: to be made, or in flight */
struct op {
	struct op *next;
	int nr;
	uint64_t args[5];
	struct dir *dir;	/* what it works in, or on */
	struct statx stx;
	char name[];
};

static struct op *todo;
static unsigned int most_in_flight = 256;
static unsigned int in_flight, max_in_flight;
static unsigned long at_once, slept;

/* Last in, first out: the walk goes down before it goes on, so few are open. */
static void push(struct op *op)
{
	op->next = todo;
	todo = op;
}

/* Add a call; one that takes a name keeps the directory open. */
static void add(int nr, struct dir *dir, const char *name)
{
	size_t len = strlen(name) + 1;
	struct op *op = calloc(1, sizeof(*op) + len);

	if (!op)
		err(1, "calloc");
	op->nr = nr;
	op->dir = dir;
	op->args[0] = dir->fd;
	memcpy(op->name, name, len);

	switch (nr) {
	case __NR_statx:
		op->args[1] = (uintptr_t)op->name;
		op->args[2] = STAT_FLAGS;
		op->args[3] = STAT_MASK;
		op->args[4] = (uintptr_t)&op->stx;
		dir->users++;
		break;
	case __NR_openat:
		op->args[1] = (uintptr_t)op->name;
		op->args[2] = DIR_FLAGS;
		dir->users++;
		break;
	case __NR_getdents64:
		op->args[1] = (uintptr_t)dir->dents;
		op->args[2] = sizeof(dir->dents);
		break;
	}
	push(op);
}

/* The last user of a directory closes it. */
static void put(struct dir *dir)
{
	if (!--dir->users)
		add(__NR_close, dir, "");
}

/* A call has finished: what it was good for, and what comes next. */
static void finished(struct op *op, long ret)
{
	struct dir *dir = op->dir;
	char *pos = dir->dents;
	const char *name;

	if (ret < 0)
		failed(op->name, -ret);

	switch (op->nr) {
	case __NR_statx:
		if (ret == 0) {
			count(&op->stx);
			if (S_ISDIR(op->stx.stx_mode))
				add(__NR_openat, dir, op->name);
		}
		put(dir);
		break;

	case __NR_openat:
		put(dir);
		if (ret < 0)
			break;
		dir = malloc(sizeof(*dir));
		if (!dir)
			err(1, "malloc");
		dir->fd = ret;
		dir->users = 1;
		add(__NR_getdents64, dir, op->name);
		break;

	case __NR_getdents64:
		if (ret <= 0) {
			put(dir);
			break;
		}
		add(__NR_getdents64, dir, op->name);
		while ((name = next_name(&pos, dir->dents + ret)))
			add(__NR_statx, dir, name);
		break;

	case __NR_close:
		free(dir);
		break;
	}
	free(op);
}

/* Submit what there is to do and may be in flight. */
static void submit(void)
{
	struct asys_input batch[BATCH];
	unsigned int n = 0;
	long taken;

	while (todo && n < BATCH && in_flight + n < most_in_flight) {
		struct op *op = todo;

		todo = op->next;
		batch[n++] = (struct asys_input){
			.syscall_nr = op->nr,
			.flags = ASYS_F_REPORT,
			.cookie = (uintptr_t)op,
			.nr_args = 5,
			.args = (uintptr_t)op->args,
		};
	}

	taken = syscall(__NR_asys_submit, batch, n);
	if (taken < 0) {
		/* At a limit: go on when some have finished. */
		if (errno != EAGAIN || !in_flight)
			err(1, "asys_submit");
		most_in_flight = in_flight;
		taken = 0;
	}

	/* Those that it did not take are to be done still, in their order. */
	while (n > taken)
		push((void *)batch[--n].cookie);

	/* Those that did not sleep have finished. */
	for (struct asys_input *req = batch; req < batch + taken; req++) {
		if (req->flags & ASYS_F_DONE) {
			at_once++;
			finished((void *)req->cookie, req->return_code);
		} else if (++in_flight > max_in_flight) {
			max_in_flight = in_flight;
		}
	}
}

static void walk_async(int parent, const char *name)
{
	struct dir cwd = { .fd = parent, .users = 1 };
	struct asys_completion comp;

	add(__NR_statx, &cwd, name);
	while (todo || in_flight) {
		/* Not for every one that finishes: batches are cheaper. */
		if (todo && in_flight <= most_in_flight / 4 * 3) {
			submit();
			continue;
		}
		if (syscall(__NR_asys_await_completion, &comp))
			err(1, "asys_await_completion");
		in_flight--;
		slept++;
		finished((void *)comp.cookie, comp.return_code);
	}
}

static bool cold = true;

static double timed(void (*walk)(int, const char *), const char *name)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	struct timespec from, to;

	sync();
	cold = write(fd, "3", 1) == 1 && cold;
	close(fd);

	totals = (struct totals){ };
	clock_gettime(CLOCK_MONOTONIC, &from);
	walk(AT_FDCWD, name);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9;
}

int main(int argc, char **argv)
{
	double sync_time, async_time;
	struct totals sync_totals;
	struct rlimit files;

	if (argc != 2)
		errx(1, "usage: asys-demo directory");
	if (syscall(__NR_asys_submit, NULL, 0))
		err(1, "asys_submit");
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}

	sync_time = timed(walk_sync, argv[1]);
	sync_totals = totals;
	async_time = timed(walk_async, argv[1]);

	show(&totals);
	printf("\nsystem calls       %8lu\n  finished at once %8lu\n",
	       at_once + slept, at_once);
	printf("  slept            %8lu\n  most in flight   %8u\n\n",
	       slept, max_in_flight);
	printf("synchronous walk   %8.2f s\n", sync_time);
	printf("asynchronous walk  %8.2f s, %.1f times as fast\n",
	       async_time, sync_time / async_time);
	if (!cold)
		printf("not comparable: cold caches for both take root\n");

	if (memcmp(&totals, &sync_totals, sizeof(totals))) {
		show(&sync_totals);
		errx(1, "the walks differ");
	}
	return totals.errors ? 1 : 0;
}
