// SPDX-License-Identifier: GPL-2.0
/*
 * What others see of calls in flight: /proc/<pid>/fibrils, tracepoints, and the
 * kernel log where the stacks of tasks are printed.
 */
#include "asys_test.h"

FIXTURE(show)
{
	int p[2];
	char byte;
};

FIXTURE_SETUP(show)
{
	NEED_ASYS();
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(show)
{
}

/* What a file of /proc says, as one string */
static const char *proc(const char *format, pid_t pid, pid_t tid)
{
	static char buf[64 * 1024];
	ssize_t n, len = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), format, pid, tid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return strerror(errno);
	while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += n;
	close(fd);
	buf[len] = 0;
	return n ? strerror(errno) : buf;
}

static int lines(const char *s)
{
	int n = 0;

	while ((s = strchr(s, '\n'))) {
		n++;
		s++;
	}
	return n;
}

TEST_F(show, proc)
{
	pid_t pid = getpid(), tid = asys_gettid();
	unsigned long long cookie;
	struct timespec day = { .tv_sec = 86400 };
	unsigned int nr, ms;
	char state, where[64];
	const char *s;
	int n;

	EXPECT_STREQ("", proc("/proc/%d/fibrils", pid, 0));
	START(0x2a, __NR_read, self->p[0], &self->byte, 1);
	START(~0ULL, __NR_nanosleep, &day, NULL);

	s = proc("/proc/%d/fibrils", pid, 0);
	ASSERT_EQ(2, lines(s)) {
		TH_LOG("%s", s);
	}
	n = sscanf(s, "%u %llx %c %u %63s\n", &nr, &cookie, &state, &ms, where);
	ASSERT_EQ(5, n);
	EXPECT_EQ(__NR_read, nr);
	EXPECT_EQ(0x2aULL, cookie);
	EXPECT_EQ('S', state);
	EXPECT_NE(NULL, strstr(where, "pipe_read")) {
		TH_LOG("%s", where);
	}
	s = strchr(s, '\n') + 1;
	n = sscanf(s, "%u %llx %c %u %63s\n", &nr, &cookie, &state, &ms, where);
	ASSERT_EQ(5, n);
	EXPECT_EQ(__NR_nanosleep, nr);
	EXPECT_EQ(~0ULL, cookie);
	EXPECT_NE(NULL, strstr(where, "nanosleep")) {
		TH_LOG("%s", where);
	}

	EXPECT_EQ(2, lines(proc("/proc/%d/task/%d/fibrils", pid, tid)));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(0x2a, 1);
	EXPECT_EQ(1, lines(proc("/proc/%d/fibrils", pid, 0)));
}

/* A thousand, while one after the other ends and a new one begins, and all end */
TEST_F(show, proc_many)
{
	int ready[2], quit[2], i, n, status;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe2(quit, O_NONBLOCK));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		int64_t ret;

		for (i = 0; i < 1000; i++)
			MUST(!try_start(i, &ret, __NR_read, self->p[0],
					&self->byte, 1));
		MUST(write(ready[1], "x", 1) == 1);
		while (read(quit[0], &byte, 1) < 0) {
			MUST(errno == EAGAIN);
			MUST(write(self->p[1], "x", 1) == 1);
			MUST(!asys_await(&c) && c.return_code == 1);
			MUST(!try_start(i, &ret, __NR_read, self->p[0],
					&self->byte, 1));
		}
		_exit(7);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	for (i = 0; i < 100; i++) {
		/* Not all at one moment: some may be missed. */
		n = lines(proc("/proc/%d/fibrils", pid, 0));
		ASSERT_LE(900, n);
		ASSERT_GE(1100, n);
	}
	ASSERT_EQ(1, write(quit[1], "x", 1));
	while (!waitpid(pid, &status, WNOHANG))
		proc("/proc/%d/fibrils", pid, 0);
	ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) {
		TH_LOG("status %x", status);
	}
}

static void *sleeper(void *arg)
{
	int64_t ret;
	char byte;
	int *p = arg;

	MUST(!try_start(1, &ret, __NR_read, p[0], &byte, 1));
	p[2] = asys_gettid();
	write(p[3], "x", 1);
	read(p[4], &byte, 1);
	return NULL;
}

/* Each thread has its own. */
TEST_F(show, proc_of_thread)
{
	int ready[2], quit[2], arg[5];
	pthread_t thread;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(quit));
	arg[0] = self->p[0];
	arg[3] = ready[1];
	arg[4] = quit[0];
	ASSERT_EQ(0, pthread_create(&thread, NULL, sleeper, arg));
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_EQ(0, lines(proc("/proc/%d/fibrils", getpid(), 0)));
	EXPECT_EQ(1, lines(proc("/proc/%d/task/%d/fibrils", getpid(), arg[2])));
	EXPECT_EQ(1, lines(proc("/proc/%d/fibrils", arg[2], 0)));
	ASSERT_EQ(1, write(quit[1], "x", 1));
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

/* Where a call of somebody else sleeps is a secret. */
TEST_F(show, proc_of_other)
{
	pid_t pid;

	NEED_ROOT();
	START(1, __NR_read, self->p[0], &self->byte, 1);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		MUST(lines(proc("/proc/%d/fibrils", getppid(), 0)) == 1);
		MUST(!setresuid(54323, 54323, 54323));
		MUST(!strcmp(strerror(EACCES),
			     proc("/proc/%d/fibrils", getppid(), 0)));
		_exit(7);
	}
	EXITS(pid, 7);
}

/* SysRq-T prints where each call sleeps, after the stack of its task. */
TEST_F(show, sysrq)
{
	bool call = false, where = false, home = false;
	char record[8192];
	ssize_t n;
	int fd;

	NEED_ROOT();
	fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_LT(0, write(fd, "asys-expect: Call Trace\n", 24));
	ASSERT_LE(0, lseek(fd, 0, SEEK_END));
	START(0xf1b2, __NR_read, self->p[0], &self->byte, 1);
	if (write_file("/proc/sysrq-trigger", "t"))
		SKIP(return, "no SysRq");

	while ((n = read(fd, record, sizeof(record) - 1)) >= 0 ||
	       errno == EPIPE) {
		if (n < 0)
			continue;
		record[n] = 0;
		if (strstr(record, "sysrq_handle_showstate") && !call)
			home = true;
		if (strstr(record, "fibril: call:0 cookie:0xf1b2 state:S"))
			call = true;
		else if (strstr(record, "fibril: call:"))
			call = false;
		else if (call && strstr(record, "pipe_read"))
			where = true;
	}
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_TRUE(home);
	EXPECT_TRUE(where);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(0xf1b2, 1);
}

#define TRACING	"/sys/kernel/tracing/"

/* Where @line is in @s, which has to be moved on behind it, or NULL */
static const char *behind(const char *s, const char *line)
{
	s = strstr(s, line);
	return s ? s + strlen(line) : NULL;
}

TEST_F(show, trace)
{
	static union {
		struct asys_ring ring;
		char mem[PAGE];
	} u;
	struct asys_ring_setup setup = { .ring = (uintptr_t)&u, .entries = 4 };
	struct asys_request req = {
		.nr = __NR_read,
		.cookie = 0xcafe,
		.args = { self->p[0], (uintptr_t)&self->byte, 1 },
	};
	uint64_t cookie = 0xbeef;
	int64_t ret;
	const char *s;
	int fd;

	NEED_ROOT();
	if (access(TRACING "events", F_OK))
		SKIP(return, "no tracing");
	fd = open(TRACING "trace", O_WRONLY | O_TRUNC);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, write_file(TRACING "events/asys/enable", "1"));

	/* One that does not sleep, one that does, one that is cancelled */
	ASSERT_EQ(1, try_start(1, &ret, __NR_getppid));
	START(0xf00d, __NR_read, self->p[0], &self->byte, 1);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(0xf00d, 1);
	START(cookie, __NR_read, self->p[0], &self->byte, 1);
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_CANCEL, &cookie,
			     sizeof(cookie)));
	REAP(cookie, -ECANCELED);
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	ASSERT_EQ(1, syscall(__NR_asys_enter, &req, 1, 0, 0, NULL, 0));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	EXPECT_EQ(1U, u.ring.tail);

	ASSERT_EQ(0, write_file(TRACING "events/asys/enable", "0"));
	s = proc(TRACING "trace", 0, 0);
	EXPECT_EQ(NULL, strstr(s, "cookie=0x1\n"));
	s = behind(s, "asys_sleep: nr=0 cookie=0xf00d\n");
	ASSERT_NE(NULL, s);
	s = behind(s, "asys_complete: nr=0 cookie=0xf00d result=1\n");
	ASSERT_NE(NULL, s);
	s = behind(s, "asys_sleep: nr=0 cookie=0xbeef\n");
	ASSERT_NE(NULL, s);
	s = behind(s, "asys_cancel: nr=0 cookie=0xbeef woken=1\n");
	ASSERT_NE(NULL, s);
	s = behind(s, "asys_complete: nr=0 cookie=0xbeef result=-125\n");
	ASSERT_NE(NULL, s);
	s = behind(s, "asys_sleep: nr=0 cookie=0xcafe\n");
	ASSERT_NE(NULL, s);
	s = behind(s, "asys_complete: nr=0 cookie=0xcafe result=1\n");
	ASSERT_NE(NULL, s);
}

/* Those of all system calls tell of submitted ones, too. */
TEST_F(show, trace_syscalls)
{
	static union {
		struct asys_ring ring;
		char mem[PAGE];
	} u;
	struct asys_ring_setup setup = { .ring = (uintptr_t)&u, .entries = 4 };
	struct asys_request req = {
		.nr = __NR_close,
		.args = { 0x2345678 },
	};
	char line[2][128];
	const char *from, *s;
	int64_t ret;
	int fd;

	NEED_ROOT();
	if (access(TRACING "events/raw_syscalls", F_OK))
		SKIP(return, "no tracing of system calls");
	fd = open(TRACING "trace", O_WRONLY | O_TRUNC);
	ASSERT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
	ASSERT_EQ(0, write_file(TRACING "events/raw_syscalls/enable", "1"));

	/* One that does not sleep, of either interface, and one that does */
	ASSERT_EQ(1, try_start(1, &ret, __NR_close, 0x1234567));
	ASSERT_EQ(1, syscall(__NR_asys_enter, &req, 1, 0, 0, NULL, 0));
	START(2, __NR_read, self->p[0], &self->byte, 1);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(2, 1);

	ASSERT_EQ(0, write_file(TRACING "events/raw_syscalls/enable", "0"));
	s = proc(TRACING "trace", 0, 0);
	snprintf(line[0], sizeof(line[0]),
		 "sys_enter: NR %d (1234567, 0, 0, 0, 0, 0)\n", __NR_close);
	snprintf(line[1], sizeof(line[1]), "sys_exit: NR %d = %d\n",
		 __NR_close, -EBADF);
	from = behind(s, line[0]);
	ASSERT_NE(NULL, from);
	from = behind(from, line[1]);
	ASSERT_NE(NULL, from);
	snprintf(line[0], sizeof(line[0]),
		 "sys_enter: NR %d (2345678, 0, 0, 0, 0, 0)\n", __NR_close);
	from = behind(from, line[0]);
	ASSERT_NE(NULL, from);
	from = behind(from, line[1]);
	ASSERT_NE(NULL, from);

	snprintf(line[0], sizeof(line[0]),
		 "sys_enter: NR %d (%x, %lx, 1, 0, 0, 0)\n",
		 __NR_read, self->p[0], (unsigned long)&self->byte);
	snprintf(line[1], sizeof(line[1]), "sys_exit: NR %d = 1\n", __NR_read);
	from = behind(from, line[0]);
	ASSERT_NE(NULL, from);
	/* It has not ended when the write() begins, which ends it. */
	snprintf(line[0], sizeof(line[0]), "sys_enter: NR %d (%x, ", __NR_write,
		 self->p[1]);
	s = behind(from, line[0]);
	ASSERT_NE(NULL, s);
	EXPECT_EQ(behind(from, line[1]), behind(s, line[1]));
	EXPECT_NE(NULL, behind(s, line[1]));
}

TEST_HARNESS_MAIN
