// SPDX-License-Identifier: GPL-2.0
/*
 * An oops inside a fibril kills its task, and only that; the machine goes on.
 * LKDTM provides the oops. What the kernel says about it is announced to the
 * one who reads its log.
 */
#include "asys_test.h"

#define PROVOKE	"/sys/kernel/debug/provoke-crash/DIRECT"

FIXTURE(oops)
{
	int fd;
	int p[2];
};

FIXTURE_VARIANT(oops)
{
	const char *what;
	/* others asleep at that time */
	int asleep;
};

FIXTURE_VARIANT_ADD(oops, bug)
{
	.what = "BUG",
};

FIXTURE_VARIANT_ADD(oops, bug_100_asleep)
{
	.what = "BUG",
	.asleep = 100,
};

FIXTURE_VARIANT_ADD(oops, exception)
{
	.what = "EXCEPTION",
	.asleep = 3,
};

FIXTURE_SETUP(oops)
{
	char have[4096] = {}, want[32];
	int fd;

	NEED_ASYS();
	NEED_ROOT();
	if (read_long("/proc/sys/kernel/panic_on_oops") != 0)
		SKIP(return, "panic_on_oops");
	fd = open(PROVOKE, O_RDONLY);
	if (fd < 0)
		SKIP(return, "no LKDTM");
	ASSERT_LT(0, read(fd, have, sizeof(have) - 1));
	close(fd);
	snprintf(want, sizeof(want), "%s\n", variant->what);
	if (!strstr(have, want))
		SKIP(return, "LKDTM has no %s", variant->what);
	self->fd = open(PROVOKE, O_WRONLY);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe(self->p));
	ASSERT_EQ(0, write_file("/dev/kmsg", "asys-expect: .*\n"));
}

FIXTURE_TEARDOWN(oops)
{
}

static void machine_goes_on(struct __test_metadata *_metadata)
{
	char byte;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	START(1, __NR_read, p[0], &byte, 1);
	ASSERT_EQ(1, write(p[1], "x", 1));
	REAP(1, 1);
	NOTHING_LEFT();
}

static void sleepers(int fd, int n)
{
	static char byte;
	int64_t ret;
	int i;

	for (i = 0; i < n; i++)
		MUST(!try_start(i, &ret, __NR_read, fd, &byte, 1));
}

/* Home submits, and does not come back. */
TEST_F(oops, at_submission)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int64_t ret;

		sleepers(self->p[0], variant->asleep);
		try_start(1, &ret, __NR_write, self->fd, variant->what,
			  strlen(variant->what));
		_exit(98);
	}
	KILLED(pid, SIGKILL);
	machine_goes_on(_metadata);
}

/* The call has slept before, on a page of its buffer; home waits. */
TEST_F(oops, after_sleep)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		char page[PAGE] = {};
		struct cold cold = {};
		int64_t ret;

		MUST(!cold_init(&cold, 1));
		sleepers(self->p[0], variant->asleep);
		MUST(!try_start(1, &ret, __NR_write, self->fd, cold.mem,
				strlen(variant->what)));
		strcpy(page, variant->what);
		MUST(cold_wait(&cold) == cold.mem);
		MUST(!cold_fill(&cold, cold.mem, page));
		asys_await(&c);
		_exit(98);
	}
	KILLED(pid, SIGKILL);
	machine_goes_on(_metadata);
}

/* A process with other threads goes as a whole. */
static void *waits(void *arg)
{
	struct asys_completion c;

	sleepers(*(int *)arg, 5);
	asys_await(&c);
	return NULL;
}

TEST_F(oops, in_thread)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		pthread_t thread;
		int64_t ret;

		MUST(!pthread_create(&thread, NULL, waits, &self->p[0]));
		sleepers(self->p[0], variant->asleep);
		try_start(1, &ret, __NR_write, self->fd, variant->what,
			  strlen(variant->what));
		_exit(98);
	}
	KILLED(pid, SIGKILL);
	machine_goes_on(_metadata);
}

TEST_HARNESS_MAIN
