// SPDX-License-Identifier: GPL-2.0
/*
 * What belongs to a call and not to the task: credentials it has taken on,
 * files it has open; and files that are closed while calls are asleep.
 */
#include <sys/epoll.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "asys_test.h"

FIXTURE(state)
{
	struct cold cold;
	char page[PAGE];
	char buf[64];
	int p[2];
};

FIXTURE_SETUP(state)
{
	NEED_ASYS();
	NEED_COLD(&self->cold, 4);
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(state)
{
	cold_exit(&self->cold);
}

/*
 * Credentials
 */

#define SOMEBODY	54323

/* A file that only root may read */
static int secret(char *path)
{
	int fd = mkstemp(path);

	return fd < 0 || fchmod(fd, 0600) ? -1 : fd;
}

static bool can_open(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * faccessat() works with the real uid in place of the effective one, and reads
 * the path after it has put that in force. Home keeps its own meanwhile.
 */
TEST_F(state, access_as_somebody)
{
	char path[] = "/tmp/asysXXXXXX";
	pid_t pid;

	NEED_ROOT();
	ASSERT_LE(0, secret(path));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		struct cold cold;
		int64_t ret;
		int i;

		MUST(!cold_init(&cold, 4));
		/* Really somebody, root in effect */
		MUST(!setresuid(SOMEBODY, 0, 0));
		MUST(access(path, R_OK) == -1 && errno == EACCES);
		MUST(can_open(path));
		for (i = 0; i < 2; i++) {
			char *page = cold.mem + i * PAGE;

			MUST(!try_start(1, &ret, __NR_faccessat, AT_FDCWD, page, R_OK));
			MUST(cold_wait(&cold) == page);
			MUST(geteuid() == 0 && getuid() == SOMEBODY);
			MUST(can_open(path));
			/* A second one, and calls that home commits */
			MUST(access(path, R_OK) == -1 && errno == EACCES);
			MUST(!seteuid(SOMEBODY));
			MUST(!can_open(path));
			MUST(!seteuid(0));
			MUST(can_open(path));
			if (i)
				MUST(!setresuid(0, 0, 0));
			strcpy(self->page, path);
			MUST(!cold_fill(&cold, page, self->page));
			MUST(!asys_await(&c) && c.return_code == -EACCES);
			MUST(can_open(path));
			MUST(geteuid() == 0);
		}
		_exit(7);
	}
	EXITS(pid, 7);
	unlink(path);
}

/* The other way round: home is somebody, the call is root. */
TEST_F(state, access_as_root)
{
	char path[] = "/tmp/asysXXXXXX";
	pid_t pid;

	NEED_ROOT();
	ASSERT_LE(0, secret(path));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		struct cold cold;
		int64_t ret;

		MUST(!cold_init(&cold, 4));
		MUST(!setresuid(0, SOMEBODY, 0));
		MUST(!access(path, R_OK));
		MUST(!can_open(path));
		MUST(!try_start(1, &ret, __NR_faccessat, AT_FDCWD, cold.mem, R_OK));
		MUST(cold_wait(&cold) == cold.mem);
		MUST(!can_open(path));
		MUST(!access(path, R_OK));
		MUST(!can_open(path));
		strcpy(self->page, path);
		MUST(!cold_fill(&cold, cold.mem, self->page));
		MUST(!asys_await(&c) && c.return_code == 0);
		MUST(!can_open(path));
		_exit(7);
	}
	EXITS(pid, 7);
	unlink(path);
}

/* A call runs with the credentials it was submitted with, to its end. */
TEST_F(state, creds_at_submission)
{
	char path[] = "/tmp/asysXXXXXX";
	pid_t pid;

	NEED_ROOT();
	ASSERT_LE(0, secret(path));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		struct cold cold;
		int64_t ret;

		MUST(!cold_init(&cold, 4));
		strcpy(self->page, path);
		MUST(!try_start(1, &ret, __NR_openat, AT_FDCWD, cold.mem, O_RDONLY, 0));
		MUST(!seteuid(SOMEBODY));
		MUST(!try_start(2, &ret, __NR_openat, AT_FDCWD, cold.mem + PAGE, O_RDONLY, 0));
		MUST(!seteuid(0));
		MUST(!try_start(3, &ret, __NR_openat, AT_FDCWD, cold.mem + 2 * PAGE, O_RDONLY, 0));
		/* For good */
		MUST(!setresuid(SOMEBODY, SOMEBODY, SOMEBODY));
		MUST(!can_open(path));
		MUST(!cold_fill(&cold, cold.mem, self->page));
		MUST(!asys_await(&c) && c.cookie == 1 && c.return_code >= 0);
		MUST(!can_open(path));
		MUST(!cold_fill(&cold, cold.mem + PAGE, self->page));
		MUST(!asys_await(&c) && c.cookie == 2 && c.return_code == -EACCES);
		MUST(!cold_fill(&cold, cold.mem + 2 * PAGE, self->page));
		MUST(!asys_await(&c) && c.cookie == 3 && c.return_code >= 0);
		MUST(!can_open(path));
		MUST(geteuid() == SOMEBODY && getuid() == SOMEBODY);
		/* What is submitted now is somebody's. */
		MUST(acall(__NR_openat, AT_FDCWD, path, O_RDONLY, 0) == -EACCES);
		_exit(7);
	}
	EXITS(pid, 7);
	unlink(path);
}

/* Home drops what it had between two submissions, and does not get it back. */
TEST_F(state, dropped_for_good)
{
	char path[] = "/tmp/asysXXXXXX";
	pid_t pid;

	NEED_ROOT();
	ASSERT_LE(0, secret(path));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		int64_t ret;

		MUST(try_start(1, &ret, __NR_getppid) == 1);
		MUST(!setresuid(SOMEBODY, SOMEBODY, SOMEBODY));
		MUST(!try_start(2, &ret, __NR_read, self->p[0], self->buf, 1));
		MUST(geteuid() == SOMEBODY);
		MUST(!can_open(path));
		MUST(write(self->p[1], "x", 1) == 1);
		MUST(!asys_await(&c) && c.return_code == 1);
		MUST(geteuid() == SOMEBODY);
		MUST(!can_open(path));
		_exit(7);
	}
	EXITS(pid, 7);
	unlink(path);
}

/*
 * Closing
 */

/* The last writer's close is complete when the call is: no home needed. */
TEST_F(state, close_is_complete)
{
	int64_t ret;
	int i;

	for (i = 0; i < 100; i++) {
		int q[2];

		ASSERT_EQ(0, pipe(q));
		ASSERT_LE(0, try_start(1, &ret, __NR_close, q[1]));
		/* This would wait for good if there were still a writer. */
		ASSERT_EQ(0, read(q[0], self->buf, 1));
		ASSERT_EQ(0, ret);
		close(q[0]);
	}
}

/*
 * A fibril reads, another one closes the other end, home waits. Once it has
 * woken the first one, the second one gives way to it if the tick comes then.
 */
TEST_F(state, close_ends_read)
{
	struct asys_completion c;
	int64_t ret = 0;
	int s, i;

	START(1, __NR_read, self->p[0], self->buf, 64);
	s = try_start(2, &ret, __NR_close, self->p[1]);
	ASSERT_LE(0, s);
	EXPECT_EQ(0, ret);
	for (i = s; i < 2; i++) {
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(0, c.return_code);
	}
	NOTHING_LEFT();
}

/*
 * Home waits in a read of its own for a file that a fibril closes: the last
 * writer is in a message, and goes with the message, which the fibril has
 * begun to receive, into a cold page.
 */
static void *fill_later(void *arg)
{
	void **a = arg;

	wait_state(getpid(), (long)a[1], 'S');
	return (void *)(long)cold_fill(a[0], ((struct cold *)a[0])->mem, a[2]);
}

TEST_F(state, close_while_home_reads)
{
	struct iovec iov = { .iov_base = self->buf, .iov_len = 1 };
	union {
		struct cmsghdr h;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	void *arg[3] = { &self->cold, (void *)(long)asys_gettid(), self->page };
	pthread_t thread;
	int q[2], s[2];
	void *err;

	ASSERT_EQ(0, pipe(q));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	control.h.cmsg_len = CMSG_LEN(sizeof(int));
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.h), &q[1], sizeof(int));
	ASSERT_EQ(1, sendmsg(s[0], &msg, 0));
	ASSERT_EQ(0, close(q[1]));
	START(1, __NR_recvfrom, s[1], self->cold.mem, 1, 0, NULL, NULL);
	ASSERT_EQ(self->cold.mem, cold_wait(&self->cold));
	ASSERT_EQ(0, pthread_create(&thread, NULL, fill_later, arg));
	EXPECT_EQ(0, read(q[0], self->buf, 1));
	REAP(1, 1);
	ASSERT_EQ(0, pthread_join(thread, &err));
	EXPECT_EQ(NULL, err);
}

/* The file that a call works with stays, whatever home does to its number. */
TEST_F(state, home_closes_what_fibril_reads)
{
	int i;

	for (i = 0; i < 100; i++) {
		int q[2], r[2];

		ASSERT_EQ(0, pipe(q));
		START(i, __NR_read, q[0], self->buf, 64);
		ASSERT_EQ(0, close(q[0]));
		/* Another file takes the number. */
		ASSERT_EQ(0, pipe(r));
		ASSERT_EQ(q[0], r[0]);
		ASSERT_EQ(4, write(r[1], "else", 4));
		/* There is still a reader. */
		ASSERT_EQ(5, write(q[1], "right", 5));
		REAP(i, 5);
		EXPECT_EQ(0, memcmp(self->buf, "right", 5));
		/* And now there is none. */
		signal(SIGPIPE, SIG_IGN);
		ASSERT_EQ(-1, write(q[1], "x", 1));
		ASSERT_EQ(EPIPE, errno);
		close(q[1]);
		close(r[0]);
		close(r[1]);
	}
}

TEST_F(state, home_closes_everything)
{
	/* The other end of the pair goes; the third one waits in vain. */
	static const int64_t want[] = { -1, 2, 0, 0 };
	int i, q[2], s[2], fd, ep, seen = 0;
	struct asys_completion c;

	ASSERT_EQ(0, pipe(q));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	ep = epoll_create1(0);
	fd = dup(q[1]);
	START(1, __NR_read, q[0], self->buf, 8);
	START(2, __NR_recvfrom, s[0], self->buf + 8, 8, 0, NULL, NULL);
	START(3, __NR_epoll_wait, ep, self->buf + 16, 1, 100);
	ASSERT_EQ(0, close_range(q[0], fd - 1, 0));
	ASSERT_EQ(2, write(fd, "ok", 2));
	/* In whatever order: a machine can be slower than a timer. */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, asys_await(&c));
		ASSERT_LE(1, c.cookie);
		ASSERT_GE(3, c.cookie);
		EXPECT_EQ(want[c.cookie], c.return_code);
		seen |= 1 << c.cookie;
	}
	EXPECT_EQ(0xe, seen);
	NOTHING_LEFT();
}

/* Its own number, closed by another call */
TEST_F(state, fibril_closes_what_fibril_reads)
{
	START(1, __NR_read, self->p[0], self->buf, 64);
	ASSERT_EQ(self->p[0], acall(__NR_dup2, 0, self->p[0]));
	ASSERT_EQ(2, write(self->p[1], "ok", 2));
	REAP(1, 2);
}

/*
 * What calls in flight use without a reference is not replaced under them.
 */
TEST_F(state, home_may_not_unshare)
{
	int ns = open("/proc/self/ns/mnt", O_RDONLY);

	START(1, __NR_read, self->p[0], self->buf, 64);
	EXPECT_EQ(-1, unshare(CLONE_FILES));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, unshare(CLONE_NEWNS));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, close_range(1000, 2000, CLOSE_RANGE_UNSHARE));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, close_range(1000, 2000, 0));
	if (ns >= 0) {
		EXPECT_EQ(-1, setns(ns, CLONE_NEWNS));
		EXPECT_EQ(EBUSY, errno);
	}
	errno = 0;
	syscall(__NR_set_mempolicy, 0, NULL, 0);
	EXPECT_TRUE(errno == EBUSY || errno == ENOSYS);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	/* Finished and not fetched: nobody uses anything. */
	while (unshare(CLONE_FILES))
		ASSERT_EQ(EBUSY, errno);
	EXPECT_EQ(0, close_range(1000, 2000, CLOSE_RANGE_UNSHARE));
	REAP(1, 1);
}

/* A position is shared by calls one after the other. */
TEST_F(state, offset)
{
	char path[] = "/tmp/asysXXXXXX";
	int fd = mkstemp(path), i;

	ASSERT_LE(0, fd);
	unlink(path);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(6, acall(__NR_write, fd, "record", 6));
	ASSERT_EQ(60, lseek(fd, 0, SEEK_CUR));
	ASSERT_EQ(6, acall(__NR_lseek, fd, 6, SEEK_SET));
	ASSERT_EQ(6, read(fd, self->buf, 6));
	ASSERT_EQ(12, acall(__NR_lseek, fd, 0, SEEK_CUR));
}

/* More files than a call may use without a reference, closed while it sleeps */
TEST_F(state, home_closes_what_fibril_polls)
{
	struct pollfd fds[8];
	int p[8][2], i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, pipe(p[i]));
		fds[i].fd = p[i][0];
		fds[i].events = POLLIN;
	}
	START(1, __NR_poll, fds, 8, -1);
	for (i = 0; i < 7; i++)
		ASSERT_EQ(0, close(p[i][0]));
	ASSERT_EQ(1, write(p[7][1], "x", 1));
	REAP(1, 8);
	for (i = 0; i < 7; i++)
		EXPECT_EQ(POLLNVAL, fds[i].revents);
	EXPECT_EQ(POLLIN, fds[7].revents);
}

/* Home has flags for good that only a scope has otherwise. */
TEST_F(state, io_flusher)
{
	int64_t ret;
	char byte;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		SKIP(return, "not allowed");
	ASSERT_EQ(1, try_start(1, &ret, __NR_getppid));
	START(2, __NR_read, p[0], &byte, 1);
	EXPECT_EQ(1, prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	ASSERT_EQ(1, write(p[1], "x", 1));
	REAP(2, 1);
	EXPECT_EQ(1, prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
	ASSERT_EQ(0, prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0));

	/* One that sleeps keeps what it began with, and it ends with it. */
	ASSERT_EQ(0, prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
	START(3, __NR_read, p[0], &byte, 1);
	ASSERT_EQ(0, prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0));
	ASSERT_EQ(1, write(p[1], "x", 1));
	REAP(3, 1);
	EXPECT_EQ(0, prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0));
}

TEST_HARNESS_MAIN
