// SPDX-License-Identifier: GPL-2.0
/* Calls that find everything in memory, and do not sleep. */
#include <sys/mount.h>
#include <sys/xattr.h>

#include "bench.h"

#define FILES	32
#define ATTR	"user.bench"

/* The names of operation i: a file, one that is not there, and so on */
static char file[FILES][8], other[FILES][8], link_to[FILES][8], dir[FILES][8];
static struct statx statxes[FILES];
static char buf[FILES][PAGE] __attribute__((aligned(PAGE)));
static int fd;
static int dir_fd[FILES];
static long *fds;

static int create(const char *name)
{
	int f = open(name, O_CREAT | O_RDWR, 0644);

	if (f < 0)
		err(1, "%s", name);
	return f;
}

static void enter(const char *where)
{
	mkdir(where, 0755);
	if (chdir(where))
		err(1, "%s", where);
}

/*
 * A file system of its own for each process: what it costs to rename a file, say,
 * depends on what was renamed in that directory before.
 */
static void enter_tmpfs(const char *where)
{
	umount2(where, MNT_DETACH);
	mkdir(where, 0755);
	if (mount("tmpfs", where, "tmpfs", 0, NULL))
		err(1, "%s", where);
	enter(where);
}

/* Files in memory, and all else that a row on tmpfs wants */
static bool files_setup(const struct row *row)
{
	int i, f, k;

	(void)row;
	enter_tmpfs("/tmp/asys-bench");
	for (i = 0; i < FILES; i++) {
		snprintf(file[i], sizeof(file[i]), "f%d", i);
		snprintf(other[i], sizeof(other[i]), "g%d", i);
		snprintf(link_to[i], sizeof(link_to[i]), "l%d", i);
		snprintf(dir[i], sizeof(dir[i]), "d%d", i);
		f = create(file[i]);
		if (fsetxattr(f, ATTR, "0123456789", 10, 0))
			err(1, "setxattr");
		close(f);
		unlink(other[i]);
		unlink(link_to[i]);
		if (symlink(file[i], link_to[i]))
			err(1, "symlink");
		rmdir(dir[i]);
	}
	fd = create("data");
	for (i = 0; i < FILES; i++)
		if (write(fd, buf[i], PAGE) != PAGE)
			err(1, "write");

	/* Directories with 16 files each */
	for (i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir%d", i);
		mkdir(name, 0755);
		dir_fd[i] = open(name, O_RDONLY | O_DIRECTORY);
		for (k = 0; k < 16; k++) {
			snprintf(name, sizeof(name), "dir%d/file%02d", i, k);
			close(create(name));
		}
	}
	return true;
}

long zero(unsigned int i)
{
	(void)i;
	return 0;
}

long page(unsigned int i)
{
	(void)i;
	return PAGE;
}

/* nop: what a call costs that does nothing; getppid() for those without */

__inline_all struct call nop_call(unsigned int i)
{
	(void)i;
	return CALL(ASYS_NOP);
}

__inline_all void nop_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	(void)i;
	io_uring_prep_nop(sqe);
}

__inline_all struct call getppid_call(unsigned int i)
{
	(void)i;
	return CALL(__NR_getppid);
}

static void nop_asys(unsigned int n)
{
	asys_batch(nop_call, n);
}

static long ppid(unsigned int i)
{
	(void)i;
	return getppid();
}

/* nop, except in the plain column */
static long nop_or_ppid(unsigned int i)
{
	return result[i] ? getppid() : 0;
}

ROW_URING(nop)
ROW_CALL(getppid)
ROW_SUBMIT(getppid)

/* statx */

__inline_all struct call statx_call(unsigned int i)
{
	return CALL(__NR_statx, AT_FDCWD, P(file[i]), 0, STATX_BASIC_STATS, P(&statxes[i]));
}

__inline_all void statx_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_statx(sqe, AT_FDCWD, file[i], 0, STATX_BASIC_STATS, &statxes[i]);
}

ROW_CALL(statx)
ROW_URING(statx)
ROW_SUBMIT(statx)

/* openat and close: two rounds, because only the second knows the files */

__inline_all struct call open_call(unsigned int i)
{
	return CALL(__NR_openat, AT_FDCWD, P(file[i]), O_RDONLY, 0);
}

__inline_all void open_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_openat(sqe, AT_FDCWD, file[i], O_RDONLY, 0);
}

__inline_all struct call close_call(unsigned int i)
{
	return CALL(__NR_close, fds[i]);
}

__inline_all void close_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_close(sqe, fds[i]);
}

#define ROW_OPEN(peer, what) \
static void open_##peer(unsigned int n) \
{ \
	peer##_batch(open_##what, n); \
	fds = keep_results(); \
	peer##_batch(close_##what, n); \
}

ROW_OPEN(plain, call)
ROW_OPEN(pool, call)
ROW_OPEN(asys, call)
ROW_OPEN(uring, sqe)

/*
 * The same as chains, for those that have them: nothing comes back in between.
 * io_uring cannot pass on a descriptor, but has a table of its own.  Beside it,
 * what a chain costs whose calls do nothing.
 */

static void chain_prime(const struct row *row, enum peer peer)
{
	(void)row;
	if ((peer == URING || peer == URING_DEFER) &&
	    io_uring_register_files_sparse(&uring, FILES))
		errx(1, "io_uring_register_files_sparse");
}

__inline_all void chain_open_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_openat_direct(sqe, AT_FDCWD, file[i], O_RDONLY, 0, i);
}

__inline_all void chain_close_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_close_direct(sqe, i);
}

__inline_all struct call chain_close_call(unsigned int i)
{
	(void)i;
	return CALL(__NR_close);
}

__inline_all void uring_chains(sqe_fn *first, sqe_fn *second, unsigned int n)
{
	struct io_uring_sqe *sqe;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sqe = io_uring_get_sqe(&uring);
		first(sqe, i);
		sqe->flags |= IOSQE_IO_LINK;
		io_uring_sqe_set_data64(sqe, n + i);
		sqe = io_uring_get_sqe(&uring);
		second(sqe, i);
		io_uring_sqe_set_data64(sqe, i);
	}
	if (io_uring_submit_and_wait(&uring, 2 * n) != (int)(2 * n))
		errx(1, "io_uring_submit_and_wait");
	uring_reap(2 * n);
}

__inline_all void asys_chains(call_fn *first, call_fn *second, unsigned int use,
			      unsigned int n)
{
	struct asys_request *req = requests;
	unsigned int i;

	for (i = 0; i < n; i++) {
		asys_set(req, first(i), n + i);
		req->flags = ASYS_R_LINK;
		req++;
		asys_set(req, second(i), i);
		req->use = use;
		req++;
	}
	if (asys_enter(requests, 2 * n, 2 * n) != 2 * n)
		errx(1, "asys_enter");
	asys_reap(2 * n);
}

static void chain_uring(unsigned int n)
{
	uring_chains(chain_open_sqe, chain_close_sqe, n);
}

static void chain_asys(unsigned int n)
{
	asys_chains(open_call, chain_close_call, ASYS_USE(0, 1), n);
}

static void nop_chain_uring(unsigned int n)
{
	uring_chains(nop_sqe, nop_sqe, n);
}

static void nop_chain_asys(unsigned int n)
{
	asys_chains(nop_call, nop_call, 0, n);
}

/* getdents64: a directory of 16 files, from its beginning */

static long entries_size;

static void rewind_dirs(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (lseek(dir_fd[i], 0, SEEK_SET))
			err(1, "lseek");
}

static bool getdents_setup(const struct row *row)
{
	files_setup(row);
	entries_size = syscall(__NR_getdents64, dir_fd[0], buf[0], PAGE);
	return entries_size > 0;
}

static long entries(unsigned int i)
{
	(void)i;
	return entries_size;
}

__inline_all struct call getdents_call(unsigned int i)
{
	return CALL(__NR_getdents64, dir_fd[i], P(buf[i]), PAGE);
}

ROW_CALL(getdents)

/* readlinkat, faccessat */

static long name_length(unsigned int i)
{
	return i < 10 ? 2 : 3;
}

__inline_all struct call readlink_call(unsigned int i)
{
	return CALL(__NR_readlinkat, AT_FDCWD, P(link_to[i]), P(buf[i]), PAGE);
}

__inline_all struct call faccess_call(unsigned int i)
{
	return CALL(__NR_faccessat, AT_FDCWD, P(file[i]), R_OK);
}

ROW_CALL(readlink)
ROW_CALL(faccess)

/* unlinkat: of files that are made before each batch */

static void make_files(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		close(create(other[i]));
}

__inline_all struct call unlink_call(unsigned int i)
{
	return CALL(__NR_unlinkat, AT_FDCWD, P(other[i]), 0);
}

__inline_all void unlink_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_unlinkat(sqe, AT_FDCWD, other[i], 0);
}

ROW_CALL(unlink)
ROW_URING(unlink)

/* renameat: there, and in the next batch back */

static char (*from)[8] = other, (*to)[8] = file;

static void turn_round(unsigned int n)
{
	char (*t)[8] = from;

	(void)n;
	from = to;
	to = t;
}

__inline_all struct call rename_call(unsigned int i)
{
	return CALL(__NR_renameat, AT_FDCWD, P(from[i]), AT_FDCWD, P(to[i]));
}

__inline_all void rename_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_renameat(sqe, AT_FDCWD, from[i], AT_FDCWD, to[i], 0);
}

ROW_CALL(rename)
ROW_URING(rename)

/* mkdirat */

static void remove_dirs(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		rmdir(dir[i]);
}

__inline_all struct call mkdir_call(unsigned int i)
{
	return CALL(__NR_mkdirat, AT_FDCWD, P(dir[i]), 0755);
}

__inline_all void mkdir_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_mkdirat(sqe, AT_FDCWD, dir[i], 0755);
}

ROW_CALL(mkdir)
ROW_URING(mkdir)

/* getxattr */

static long ten(unsigned int i)
{
	(void)i;
	return 10;
}

__inline_all struct call getxattr_call(unsigned int i)
{
	return CALL(__NR_getxattr, P(file[i]), P(ATTR), P(buf[i]), 64);
}

__inline_all void getxattr_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_getxattr(sqe, ATTR, buf[i], file[i], 64);
}

ROW_CALL(getxattr)
ROW_URING(getxattr)

/* fsync: of a file in memory, which has nothing to do */

__inline_all struct call fsync_call(unsigned int i)
{
	(void)i;
	return CALL(__NR_fsync, fd);
}

__inline_all void fsync_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	(void)i;
	io_uring_prep_fsync(sqe, fd, 0);
}

__inline_all void fsync_iocb(struct iocb *iocb, unsigned int i)
{
	(void)i;
	io_prep_fsync(iocb, fd);
}

ROW_CALL(fsync)
ROW_URING(fsync)
ROW_AIO(fsync)

/* pread and pwrite of pages in the page cache */

static bool ext4_setup(const struct row *row)
{
	unsigned int i;

	(void)row;
	enter("/scratch/asys-bench");
	fd = create("data");
	for (i = 0; i < FILES; i++)
		if (pwrite(fd, buf[i], PAGE, i * PAGE) != PAGE)
			err(1, "write");
	/* What is on the disk does not have to be allocated while we measure. */
	fsync(fd);
	return true;
}

__inline_all struct call pread_call(unsigned int i)
{
	return CALL(__NR_pread64, fd, P(buf[i]), PAGE, i * PAGE);
}

__inline_all void pread_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_read(sqe, fd, buf[i], PAGE, i * PAGE);
}

__inline_all void pread_iocb(struct iocb *iocb, unsigned int i)
{
	io_prep_pread(iocb, fd, buf[i], PAGE, i * PAGE);
}

__inline_all struct call pwrite_call(unsigned int i)
{
	return CALL(__NR_pwrite64, fd, P(buf[i]), PAGE, i * PAGE);
}

__inline_all void pwrite_sqe(struct io_uring_sqe *sqe, unsigned int i)
{
	io_uring_prep_write(sqe, fd, buf[i], PAGE, i * PAGE);
}

__inline_all void pwrite_iocb(struct iocb *iocb, unsigned int i)
{
	io_prep_pwrite(iocb, fd, buf[i], PAGE, i * PAGE);
}

ROW_CALL(pread)
ROW_URING(pread)
ROW_AIO(pread)
ROW_CALL(pwrite)
ROW_URING(pwrite)
ROW_AIO(pwrite)

#define THREE(name)	.plain = name##_plain, .pool = name##_pool, .asys = name##_asys
#define FOUR(name)	THREE(name), .uring = name##_uring
#define FIVE(name)	FOUR(name), .aio = name##_aio
#define FILES_ROW	.batch = FILES, .setup = files_setup, .expect = zero
/* What these leave to be freed later is freed now and then, and counts. */
#define MANY_ROUNDS	.rounds = 200

const struct row call_rows[] = {
	/* The plain column is getppid() for both. */
	{ "nop", .batch = 32, .setup = files_setup, .expect = nop_or_ppid,
	  .plain = getppid_plain, .uring = nop_uring, .asys = nop_asys },
	{ "getppid", .batch = 32, .setup = files_setup, .expect = ppid, THREE(getppid) },
	{ "getppid, asys_submit", .batch = 32, .setup = files_setup, .prime = drop_ring,
	  .expect = ppid, .asys = getppid_submit },
	{ "statx", FILES_ROW, FOUR(statx) },
	{ "statx, asys_submit", FILES_ROW, .prime = drop_ring, .asys = statx_submit },
	{ "openat+close", FILES_ROW, MANY_ROUNDS, FOUR(open) },
	{ "openat+close, chain", FILES_ROW, MANY_ROUNDS, .prime = chain_prime,
	  .uring = chain_uring, .asys = chain_asys },
	{ "nop, chain of two", FILES_ROW, .uring = nop_chain_uring, .asys = nop_chain_asys },
	{ "getdents64", .batch = FILES, .setup = getdents_setup, .before = rewind_dirs,
	  .expect = entries, THREE(getdents) },
	{ "readlinkat", .batch = FILES, .setup = files_setup, .expect = name_length,
	  THREE(readlink) },
	{ "faccessat", FILES_ROW, THREE(faccess) },
	{ "unlinkat", FILES_ROW, MANY_ROUNDS, .before = make_files, FOUR(unlink) },
	{ "renameat", FILES_ROW, MANY_ROUNDS, .before = turn_round, FOUR(rename) },
	{ "mkdirat", FILES_ROW, MANY_ROUNDS, .before = remove_dirs, FOUR(mkdir) },
	{ "getxattr", .batch = FILES, .setup = files_setup, .expect = ten, FOUR(getxattr) },
	{ "fsync", FILES_ROW, FIVE(fsync) },
	{ "pread tmpfs", .batch = FILES, .setup = files_setup, .expect = page, FIVE(pread) },
	{ "pread ext4", .batch = FILES, .setup = ext4_setup, .expect = page, FIVE(pread) },
	{ "pwrite ext4", .batch = FILES, .setup = ext4_setup, .expect = page, FIVE(pwrite) },
	{ }
};
