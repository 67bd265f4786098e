// SPDX-License-Identifier: GPL-2.0
/*
 * What follows and replaces functions of the kernel by looking at the stacks of
 * tasks: the function graph tracer and live patching.
 */
#include "asys_test.h"

#define TRACING	"/sys/kernel/tracing/"

FIXTURE(graph)
{
	int p[2];
	char buf[8];
};

FIXTURE_SETUP(graph)
{
	static const char * const functions[] = {
		"vfs_*\n", "pipe_*\n", "*fibril*\n", "schedule*\n", "*nanosleep*\n",
	};
	unsigned int i;
	int fd;

	NEED_ASYS();
	NEED_ROOT();
	ASSERT_EQ(0, pipe(self->p));
	if (access(TRACING "max_graph_depth", F_OK))
		SKIP(return, "no function graph tracer");
	fd = open(TRACING "trace", O_WRONLY | O_TRUNC);
	ASSERT_LE(0, fd);
	close(fd);
	/* Before the tracer, for to follow all takes very long; one at a time */
	fd = open(TRACING "set_ftrace_filter", O_WRONLY | O_TRUNC);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		ASSERT_EQ((ssize_t)strlen(functions[i]),
			  write(fd, functions[i], strlen(functions[i])));
	}
	close(fd);
	ASSERT_EQ(0, write_long(TRACING "set_ftrace_pid", getpid()));
	ASSERT_EQ(0, write_file(TRACING "current_tracer", "function_graph"));
}

FIXTURE_TEARDOWN(graph)
{
	write_file(TRACING "current_tracer", "nop");
	write_file(TRACING "set_ftrace_filter", "");
	write_file(TRACING "set_ftrace_pid", "");
	write_file(TRACING "tracing_on", "1");
}

/* Read the trace: how often does it have @text? */
static long in_trace(const char *text)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[256];
	long n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, text);
	fclose(f);
	return n;
}

/*
 * Functions of two contexts are entered and left in any order: a function of
 * home that was entered first may be left last, and the other way round.
 */
TEST_F(graph, interleaved)
{
	struct timespec a_while = { .tv_nsec = 100000000 };
	struct asys_completion c[2];
	int i, q[2];

	ASSERT_EQ(0, pipe(q));
	for (i = 0; i < 20; i++) {
		/* Three that sleep at once, woken in another order */
		START(1, __NR_read, self->p[0], self->buf, 1);
		START(2, __NR_read, q[0], self->buf + 1, 1);
		START(3, __NR_nanosleep, &a_while, NULL);
		ASSERT_EQ(1, write(q[1], "x", 1));
		/* In the middle of a call of home, which is woken in turn */
		ASSERT_EQ(0, asys_await(&c[0]));
		ASSERT_EQ(0, asys_await(&c[1]));
		EXPECT_EQ(5U, c[0].cookie + c[1].cookie);
		EXPECT_EQ(1, c[0].return_code + c[1].return_code);
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		REAP(1, 1);
		/* Home alone */
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(1, read(self->p[0], self->buf, 1));
	}
	NOTHING_LEFT();
	ASSERT_EQ(0, write_file(TRACING "tracing_on", "0"));
	/* Of home, and none of what ran on fibrils */
	EXPECT_LE(20, in_trace(" vfs_read()") + in_trace(" vfs_read() {"));
	EXPECT_EQ(0, in_trace(" do_nanosleep()") + in_trace(" do_nanosleep() {"));
}

/* Traced from when calls are asleep on, and not any more when they go on. */
TEST_F(graph, switched)
{
	ASSERT_EQ(0, write_file(TRACING "current_tracer", "nop"));
	START(1, __NR_read, self->p[0], self->buf, 1);
	ASSERT_EQ(0, write_file(TRACING "current_tracer", "function_graph"));
	START(2, __NR_read, self->p[0], self->buf + 1, 1);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
	ASSERT_EQ(0, write_file(TRACING "current_tracer", "nop"));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(2, 1);
	NOTHING_LEFT();
}

/*
 * test_modules/asys_livepatch.ko: eventfd_read() fails with ENOANO.
 */
#define MODULE	"test_modules/asys_livepatch.ko"
#define PATCH	"/sys/kernel/livepatch/asys_livepatch/"

FIXTURE(livepatch)
{
	int module;
	int p[2];
	int asleep;
	int data;
	uint64_t count[2];
	char buf[8];
};

FIXTURE_SETUP(livepatch)
{
	NEED_ASYS();
	NEED_ROOT();
	if (access("/sys/kernel/livepatch", F_OK))
		SKIP(return, "no live patching");
	self->module = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (self->module < 0)
		SKIP(return, "no " MODULE);
	ASSERT_EQ(0, pipe(self->p));
	/* One to sleep in, and one with something to read */
	self->asleep = syscall(__NR_eventfd2, 0, 0);
	ASSERT_LE(0, self->asleep);
	self->data = syscall(__NR_eventfd2, 1, 0);
	ASSERT_LE(0, self->data);
}

static long patch_state(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/patch_state", pid);
	return read_long(path);
}

static void wait_patched(const char *file, long value)
{
	while (read_long(file) != value)
		usleep(10000);
}

FIXTURE_TEARDOWN(livepatch)
{
	write_file(PATCH "enabled", "0");
	while (!access(PATCH "transition", F_OK))
		usleep(10000);
	syscall(__NR_delete_module, "asys_livepatch", 0);
}

/*
 * The task is not patched while a call of it sleeps in the old function, though
 * home comes from user mode and goes there, and is patched while another sleeps.
 */
TEST_F(livepatch, stacks)
{
	int status;
	pid_t other;

	/* Calls that home never waits for */
	START(1, __NR_read, self->asleep, &self->count[0], 8);
	START(2, __NR_read, self->p[0], self->buf, 1);
	other = fork();
	ASSERT_LE(0, other);
	if (!other) {
		for (;;)
			usleep(10000);
	}

	ASSERT_EQ(0, syscall(__NR_finit_module, self->module, "", 0));
	while (patch_state(other) != 1)
		usleep(10000);
	ASSERT_EQ(0, kill(other, SIGKILL));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	/* Everybody but us has been looked at, and so have we. */
	EXPECT_EQ(0, patch_state(getpid()));
	EXPECT_EQ(1, read_long(PATCH "transition"));
	EXPECT_EQ(8, read(self->data, &self->count[1], 8));
	EXPECT_EQ(1U, self->count[1]);

	self->count[1] = 2;
	ASSERT_EQ(8, write(self->asleep, &self->count[1], 8));
	REAP(1, 8);
	EXPECT_EQ(2U, self->count[0]);

	/* The other one sleeps on. */
	wait_patched(PATCH "transition", 0);
	EXPECT_EQ(1, read_long(PATCH "enabled"));
	EXPECT_EQ(-ENOANO, acall(__NR_read, self->data, &self->count[1], 8));
	EXPECT_EQ(-1, read(self->data, &self->count[1], 8));
	EXPECT_EQ(ENOANO, errno);

	/* And back, while it does */
	ASSERT_EQ(0, write_file(PATCH "enabled", "0"));
	while (!access(PATCH "transition", F_OK))
		usleep(10000);
	ASSERT_EQ(8, write(self->data, &self->count[0], 8));
	EXPECT_EQ(8, acall(__NR_read, self->data, &self->count[1], 8));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(2, 1);
	NOTHING_LEFT();
}

TEST_HARNESS_MAIN
