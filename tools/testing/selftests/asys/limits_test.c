// SPDX-License-Identifier: GPL-2.0
/*
 * How many calls a task and a user may have, and the switch that turns it off.
 */
#include "asys_test.h"

#define USER	54324

FIXTURE(limits)
{
	long per_task, per_user, disabled;
	int p[2];
};

FIXTURE_SETUP(limits)
{
	NEED_ASYS();
	NEED_ROOT();
	self->per_task = read_long(SYSCTL_PER_TASK);
	self->per_user = read_long(SYSCTL_PER_USER);
	self->disabled = read_long(SYSCTL_DISABLED);
	ASSERT_LT(0, self->per_task);
	ASSERT_LT(0, self->per_user);
	ASSERT_EQ(0, self->disabled);
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(limits)
{
	write_long(SYSCTL_PER_TASK, self->per_task);
	write_long(SYSCTL_PER_USER, self->per_user);
	write_long(SYSCTL_DISABLED, self->disabled);
}

/* Submit n calls that sleep, in one go. */
static long sleepers(int fd, int n)
{
	static char buf[16];
	struct asys_input in[32];
	uint64_t args[3] = { fd, (uintptr_t)buf, 1 };
	int i;

	for (i = 0; i < n; i++) {
		in[i] = (struct asys_input){
			.syscall_nr = __NR_read, .nr_args = 3,
			.args = (uintptr_t)args, .cookie = i,
		};
	}
	return asys_submit(in, n);
}

TEST_F(limits, per_task)
{
	struct asys_completion c;
	struct req r;
	int64_t ret;
	int i;

	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, 5));
	/* So many were taken, */
	ASSERT_EQ(5, sleepers(self->p[0], 7));
	/* and then none. */
	ASSERT_EQ(-1, sleepers(self->p[0], 7));
	EXPECT_EQ(EAGAIN, errno);
	/* Not even one that would not sleep */
	EXPECT_EQ(-EAGAIN, try_start(1, &ret, __NR_getppid));

	ASSERT_EQ(1, write(self->p[1], "x", 1));
	ASSERT_EQ(0, asys_await(&c));
	EXPECT_EQ(1, c.return_code);
	EXPECT_EQ(1, try_start(1, &ret, __NR_getppid));
	EXPECT_EQ(getppid(), ret);
	/* A result that nobody has fetched counts, */
	REQ(&r, 9, __NR_getppid);
	r.in.flags = 0;
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	EXPECT_EQ(-EAGAIN, try_start(1, &ret, __NR_getppid));
	REAP(9, getppid());
	/* and one in the request does not. */
	for (i = 0; i < 20; i++)
		EXPECT_EQ(1, try_start(1, &ret, __NR_getppid));

	/* A higher limit counts at once. */
	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, 7));
	ASSERT_EQ(3, sleepers(self->p[0], 10));
	ASSERT_EQ(7, write(self->p[1], "1234567", 7));
	for (i = 0; i < 7; i++)
		ASSERT_EQ(0, asys_await(&c));
	NOTHING_LEFT();
}

/* Each thread is a task. */
static void *other_thread(void *arg)
{
	long *fd = arg;

	return (void *)sleepers(*fd, 7);
}

TEST_F(limits, per_task_not_per_process)
{
	long fd = self->p[0];
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, 5));
	ASSERT_EQ(5, sleepers(self->p[0], 7));
	ASSERT_EQ(0, pthread_create(&thread, NULL, other_thread, &fd));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(5, (long)ret);
}

TEST_F(limits, per_task_zero)
{
	int64_t ret;

	ASSERT_EQ(0, write_long(SYSCTL_PER_TASK, 0));
	EXPECT_EQ(-EAGAIN, try_start(1, &ret, __NR_getppid));
	NOTHING_LEFT();
}

/* Two processes of one user share what it may have; a third one's is apart. */
TEST_F(limits, per_user)
{
	int i, k, ready[2], quit[2], got[3], uid[3] = { USER, USER, USER + 1 };
	int want[3] = { 3, 2, 5 };
	pid_t pid[3];

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(quit));
	ASSERT_EQ(0, write_long(SYSCTL_PER_USER, 5));
	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			char byte;

			close(quit[1]);
			MUST(!setresuid(uid[i], uid[i], uid[i]));
			k = sleepers(self->p[0], i ? 7 : 3);
			MUST(write(ready[1], &k, sizeof(k)) == sizeof(k));
			MUST(read(quit[0], &byte, 1) == 0);
			_exit(i);
		}
		ASSERT_EQ(sizeof(int), read(ready[0], &got[i], sizeof(int)));
		EXPECT_EQ(want[i], got[i]);
	}
	close(quit[1]);
	for (i = 0; i < 3; i++)
		EXITS(pid[i], i);

	/* All is given back when they have ended. */
	pid[0] = fork();
	ASSERT_LE(0, pid[0]);
	if (!pid[0]) {
		int64_t ret;

		MUST(!setresuid(USER, USER, USER));
		MUST(sleepers(self->p[0], 7) == 5);
		MUST(try_start(1, &ret, __NR_getppid) == -EAGAIN);
		_exit(7);
	}
	EXITS(pid[0], 7);
}

TEST_F(limits, switched_off)
{
	int64_t ret;

	ASSERT_EQ(2, sleepers(self->p[0], 2));
	ASSERT_EQ(0, write_long(SYSCTL_DISABLED, 1));
	EXPECT_EQ(-EPERM, try_start(1, &ret, __NR_getppid));
	EXPECT_EQ(-1, asys_submit(NULL, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(-1, asys_submit(NULL, 1));
	EXPECT_EQ(EPERM, errno);
	/* What was begun is finished. */
	ASSERT_EQ(2, write(self->p[1], "xy", 2));
	REAP(0, 1);
	REAP(1, 1);
	NOTHING_LEFT();
	ASSERT_EQ(0, write_long(SYSCTL_DISABLED, 0));
	EXPECT_EQ(1, try_start(1, &ret, __NR_getppid));
}

TEST_F(limits, bad_values)
{
	EXPECT_EQ(-EINVAL, write_file(SYSCTL_DISABLED, "2"));
	EXPECT_EQ(-EINVAL, write_file(SYSCTL_DISABLED, "-1"));
	EXPECT_EQ(-EINVAL, write_file(SYSCTL_PER_TASK, "-1"));
	EXPECT_EQ(-EINVAL, write_file(SYSCTL_PER_USER, "many"));
	EXPECT_EQ(0, read_long(SYSCTL_DISABLED));
	EXPECT_EQ(self->per_task, read_long(SYSCTL_PER_TASK));
	EXPECT_EQ(self->per_user, read_long(SYSCTL_PER_USER));
}

/* The administrator's files, not anybody's */
TEST_F(limits, permissions)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		MUST(!setresuid(USER, USER, USER));
		MUST(write_file(SYSCTL_DISABLED, "1") == -EACCES);
		MUST(write_file(SYSCTL_PER_TASK, "1") == -EACCES);
		MUST(write_file(SYSCTL_PER_USER, "1") == -EACCES);
		_exit(7);
	}
	EXITS(pid, 7);
}

/* Stacks are charged to the memory cgroup of the task. */
TEST_F(limits, memcg)
{
	const char *dir = "/sys/fs/cgroup/asys-limits";
	long size[2];
	char path[128];
	pid_t pid;
	int q[2];

	if (mkdir(dir, 0755) && errno != EEXIST)
		SKIP(return, "no cgroup v2");
	snprintf(path, sizeof(path), "%s/memory.current", dir);
	if (access(path, R_OK))
		SKIP(rmdir(dir); return, "no memory controller");
	ASSERT_EQ(0, pipe(q));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int i;

		snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
		MUST(!write_file(path, "0"));
		snprintf(path, sizeof(path), "%s/memory.current", dir);
		MUST(sleepers(self->p[0], 1) == 1);
		size[0] = read_long(path);
		for (i = 0; i < 1000; i += 20)
			MUST(sleepers(self->p[0], 20) == 20);
		size[1] = read_long(path);
		MUST(write(q[1], size, sizeof(size)) == sizeof(size));
		_exit(7);
	}
	ASSERT_EQ(sizeof(size), read(q[0], size, sizeof(size)));
	EXITS(pid, 7);
	/* At least two pages each */
	EXPECT_LE(1000 * 2 * 4096, size[1] - size[0]);
	while (rmdir(dir))
		ASSERT_EQ(EBUSY, errno);
}

/*
 * A cgroup that is full: a process that may be killed is killed, with all its
 * calls, and one that may not is refused more of them, and loses none.
 */
#define FULL_DIR	"/sys/fs/cgroup/asys-limits-full"
#define FULL		(8 * 1024 * 1024)
#define FULL_CALLS	4000

FIXTURE(memcg_full)
{
	int p[2];
};

FIXTURE_VARIANT(memcg_full)
{
	const char *score;
};

FIXTURE_VARIANT_ADD(memcg_full, killed)
{
	.score = "1000",
};

FIXTURE_VARIANT_ADD(memcg_full, refused)
{
	.score = "-1000",
};

/* Write to a file of the cgroup. */
static int set_cgroup(const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FULL_DIR "/%s", file);
	return write_file(path, value);
}

FIXTURE_SETUP(memcg_full)
{
	NEED_ASYS();
	NEED_ROOT();
	if (mkdir(FULL_DIR, 0755) && errno != EEXIST)
		SKIP(return, "no cgroup v2");
	if (write_long(FULL_DIR "/memory.max", FULL))
		SKIP(rmdir(FULL_DIR); return, "no memory controller");
	set_cgroup("memory.swap.max", "0");
	ASSERT_EQ(0, pipe(self->p));
	/* The kernel tells of who needs too much, and how it came to that. */
	ASSERT_EQ(0, write_file("/dev/kmsg", "asys-expect: Call Trace\n"));
}

FIXTURE_TEARDOWN(memcg_full)
{
}

TEST_F(memcg_full, sleepers)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		static struct asys_completion c;
		static char x[FULL_CALLS];
		long taken = 0, more, i;
		int64_t ret;

		MUST(!write_file("/proc/self/oom_score_adj", variant->score));
		MUST(!set_cgroup("cgroup.procs", "0"));
		/* What is used below is there already. */
		memset(x, 'x', sizeof(x));
		memset(&c, 0, sizeof(c));
		MUST(fcntl(self->p[1], F_SETPIPE_SZ, FULL_CALLS) >= FULL_CALLS);
		do {
			more = sleepers(self->p[0], 20);
			if (more > 0)
				taken += more;
		} while (more > 0 && taken < FULL_CALLS - 20);
		MUST(more == -1 && (errno == ENOMEM || errno == EAGAIN));
		MUST(taken > 100);
		/* Again, the same; and all that were taken are there. */
		MUST(sleepers(self->p[0], 1) == -1);
		MUST(errno == ENOMEM || errno == EAGAIN);
		MUST(!set_cgroup("memory.max", "max"));
		MUST(try_start(1, &ret, __NR_getppid) == 1);
		MUST(write(self->p[1], x, taken) == taken);
		for (i = 0; i < taken; i++)
			MUST(!asys_await(&c) && c.return_code == 1);
		MUST(asys_await(&c) == -1 && errno == ENODATA);
		_exit(7);
	}
	if (variant->score[0] == '-') {
		EXITS(pid, 7);
	} else {
		KILLED(pid, SIGKILL);
	}
	/* The stacks are given back. */
	while (read_long(FULL_DIR "/memory.current") > FULL / 2)
		sched_yield();
	while (rmdir(FULL_DIR))
		ASSERT_EQ(EBUSY, errno);
}

TEST_HARNESS_MAIN
