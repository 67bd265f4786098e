// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Count the files, directories and bytes of a tree, with many calls in flight.
 *
 * What find is told by one call after the other, this program asks about many
 * names at a time. A call that is to be made is a struct op, on a stack, so that
 * the walk goes down before it goes on: few directories are open at a time.
 */
#define _GNU_SOURCE
#include <asys.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_FLIGHT	256
#define DENTS_SIZE	32768

/* An open directory, for as long as a call uses it */
struct dir {
	int fd;
	unsigned int users;
	char dents[DENTS_SIZE];
};

/* A call: to be made, or in flight */
struct op {
	struct op *next;
	struct asys_request request;
	struct asys_closure closure;
	struct dir *dir;
	struct statx stx;
	char name[];
};

static struct op *todo;
static unsigned long files, dirs, others, errors;
static unsigned long long bytes;

static void failed(const struct op *op, long error)
{
	warnx("%s: %s", op->name, strerror((int)-error));
	errors++;
}

static void push(struct op *op, void (*fn)(struct asys *, long, void *))
{
	op->closure.fn = fn;
	op->closure.data = op;
	asys_set_closure(&op->request, &op->closure);
	op->next = todo;
	todo = op;
}

/* A call that will use a directory */
static struct op *new_op(struct dir *dir, const char *name)
{
	size_t size = strlen(name) + 1;
	struct op *op = calloc(1, sizeof(*op) + size);

	if (!op)
		err(1, "calloc");
	memcpy(op->name, name, size);
	op->dir = dir;
	dir->users++;
	return op;
}

static void has_closed(struct asys *a, long result, void *data)
{
	struct op *op = data;

	(void)a;
	if (result < 0)
		failed(op, result);
	free(op->dir);
	free(op);
}

/* The last user of a directory closes it. */
static void end_op(struct op *op)
{
	if (--op->dir->users) {
		free(op);
		return;
	}
	asys_prep_close(&op->request, op->dir->fd);
	push(op, has_closed);
}

static void read_dir(struct op *op);
static void look_at(struct dir *dir, const char *name);

static void has_dents(struct asys *a, long result, void *data)
{
	struct op *op = data;
	struct dir *dir = op->dir;
	long pos;

	(void)a;
	if (result <= 0) {
		if (result < 0)
			failed(op, result);
		end_op(op);
		return;
	}
	/* Below the names on the stack: it overwrites them. */
	read_dir(op);
	for (pos = 0; pos < result;) {
		struct dirent64 *d = (struct dirent64 *)(dir->dents + pos);

		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			look_at(dir, d->d_name);
		pos += d->d_reclen;
	}
}

static void read_dir(struct op *op)
{
	asys_prep_getdents64(&op->request, op->dir->fd, op->dir->dents,
			     sizeof(op->dir->dents));
	push(op, has_dents);
}

static void has_opened(struct asys *a, long result, void *data)
{
	struct op *op = data;
	struct dir *dir;

	(void)a;
	if (result < 0) {
		failed(op, result);
	} else {
		dir = malloc(sizeof(*dir));
		if (!dir)
			err(1, "malloc");
		dir->fd = (int)result;
		dir->users = 0;
		read_dir(new_op(dir, op->name));
	}
	end_op(op);
}

static void has_stat(struct asys *a, long result, void *data)
{
	struct op *op = data;

	(void)a;
	if (result < 0) {
		failed(op, result);
		end_op(op);
		return;
	}
	bytes += op->stx.stx_size;
	if (S_ISDIR(op->stx.stx_mode)) {
		dirs++;
		asys_prep_openat(&op->request, op->dir->fd, op->name,
				 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
		push(op, has_opened);
		return;
	}
	if (S_ISREG(op->stx.stx_mode))
		files++;
	else
		others++;
	end_op(op);
}

static void look_at(struct dir *dir, const char *name)
{
	struct op *op = new_op(dir, name);

	asys_prep_statx(&op->request, dir->fd, op->name,
			AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			STATX_TYPE | STATX_SIZE, &op->stx);
	push(op, has_stat);
}

static void walk(struct asys *a)
{
	struct asys_request *req;
	int ret;

	do {
		while (todo && asys_pending(a) < IN_FLIGHT) {
			req = asys_get_request(a);
			if (!req)
				break;
			*req = todo->request;
			todo = todo->next;
		}
		ret = asys_step(a, true);
		if (ret < 0 && ret != -EINTR)
			errx(1, "asys_step: %s", strerror(-ret));
	} while (ret || todo);
}

int main(int argc, char **argv)
{
	/* Its second user never ends, so that nobody closes it. */
	struct dir cwd = { .fd = AT_FDCWD, .users = 1 };
	struct rlimit limit;
	struct asys a;
	int error;

	if (argc != 2)
		errx(1, "usage: asys-tree directory");
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	error = asys_init(&a, IN_FLIGHT, 0);
	if (error)
		errx(1, "asys_init: %s", strerror(-error));

	look_at(&cwd, argv[1]);
	walk(&a);
	asys_exit(&a);
	printf("%lu files, %lu directories, %lu others, %llu bytes\n",
	       files, dirs, others, bytes);
	return errors != 0;
}
