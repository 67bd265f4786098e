// SPDX-License-Identifier: GPL-2.0
/*
 * Filters are asked about each submitted call, with its own number and its
 * own arguments. What they cannot do to a fibril refuses the request.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "asys_test.h"

FIXTURE(seccomp)
{
	int p[2];
	char buf[16];
};

FIXTURE_SETUP(seccomp)
{
	NEED_ASYS();
	if (prctl(PR_GET_SECCOMP) < 0)
		SKIP(return, "no seccomp");
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(seccomp)
{
}

#define LOAD(field)	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JEQ(k, t, f)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define RET(k)		BPF_STMT(BPF_RET | BPF_K, k)

static int install(struct sock_filter *filter, unsigned short len, int flags)
{
	struct sock_fprog prog = { .len = len, .filter = filter };

	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* Everything is allowed, but for one call. */
static int filter_one(int nr, uint32_t action, int flags)
{
	struct sock_filter filter[] = {
		LOAD(nr),
		JEQ(nr, 0, 1),
		RET(action),
		RET(SECCOMP_RET_ALLOW),
	};

	return install(filter, ARRAY_SIZE(filter), flags);
}

FIXTURE(seccomp_action)
{
	int p[2];
};

FIXTURE_VARIANT(seccomp_action)
{
	uint32_t action;
	int flags;
	/* of the submission, or 0 and what the call returns */
	int err;
	int64_t result;
};

FIXTURE_VARIANT_ADD(seccomp_action, allow)
{
	.action = SECCOMP_RET_ALLOW,
	.result = 1,
};

FIXTURE_VARIANT_ADD(seccomp_action, log)
{
	.action = SECCOMP_RET_LOG,
	.result = 1,
};

FIXTURE_VARIANT_ADD(seccomp_action, errno_0)
{
	.action = SECCOMP_RET_ERRNO,
	.result = 0,
};

FIXTURE_VARIANT_ADD(seccomp_action, errno_77)
{
	.action = SECCOMP_RET_ERRNO | 77,
	.result = -77,
};

FIXTURE_VARIANT_ADD(seccomp_action, errno_max)
{
	.action = SECCOMP_RET_ERRNO | 0xffff,
	.result = -4095,
};

FIXTURE_VARIANT_ADD(seccomp_action, trap)
{
	.action = SECCOMP_RET_TRAP,
	.err = EACCES,
};

FIXTURE_VARIANT_ADD(seccomp_action, kill_thread)
{
	.action = SECCOMP_RET_KILL_THREAD,
	.err = EACCES,
};

FIXTURE_VARIANT_ADD(seccomp_action, kill_process)
{
	.action = SECCOMP_RET_KILL_PROCESS,
	.err = EACCES,
};

FIXTURE_VARIANT_ADD(seccomp_action, trace)
{
	.action = SECCOMP_RET_TRACE,
	.err = EACCES,
};

FIXTURE_VARIANT_ADD(seccomp_action, user_notif)
{
	.action = SECCOMP_RET_USER_NOTIF,
	.flags = SECCOMP_FILTER_FLAG_NEW_LISTENER,
	.err = EACCES,
};

FIXTURE_VARIANT_ADD(seccomp_action, unknown)
{
	.action = 0x7ff10000,
	.err = EACCES,
};

FIXTURE_SETUP(seccomp_action)
{
	NEED_ASYS();
	if (prctl(PR_GET_SECCOMP) < 0)
		SKIP(return, "no seccomp");
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(seccomp_action)
{
}

TEST_F(seccomp_action, verdict)
{
	int n = 0, i;

	/* write() is what the harness speaks with: take pwritev2(). */
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };

	ASSERT_LE(0, filter_one(__NR_pwritev2, variant->action, variant->flags));
	for (i = 0; i < 3; i++) {
		int64_t ret = 0;
		int s = try_start(1, &ret, __NR_pwritev2, self->p[1], &iov, 1, -1L, -1L, 0);

		if (variant->err) {
			EXPECT_EQ(-variant->err, s);
			continue;
		}
		EXPECT_EQ(1, s);
		EXPECT_EQ(variant->result, ret);
	}
	/* Made, or not made */
	ASSERT_EQ(0, ioctl(self->p[0], FIONREAD, &n));
	EXPECT_EQ(variant->err || variant->result <= 0 ? 0 : 3, n);
	NOTHING_LEFT();
}

/* The same without a report: an answer of a filter is a completion. */
TEST_F(seccomp_action, completion)
{
	uint64_t arg = -1;
	struct asys_input in[3] = {
		{ .syscall_nr = __NR_getppid, .cookie = 10 },
		{ .syscall_nr = __NR_dup, .cookie = 11, .nr_args = 1,
		  .args = (uintptr_t)&arg },
		{ .syscall_nr = __NR_getppid, .cookie = 12 },
	};
	int taken = variant->err ? 1 : 3;

	ASSERT_LE(0, filter_one(__NR_dup, variant->action, variant->flags));
	ASSERT_EQ(taken, asys_submit(in, 3));
	REAP(10, getppid());
	if (taken == 3) {
		REAP(11, variant->result == 1 ? -EBADF : variant->result);
		REAP(12, getppid());
	}
	NOTHING_LEFT();
}

/* A call that sleeps is asked about once, before. */
TEST_F(seccomp, filter_comes_later)
{
	START(1, __NR_readv, self->p[0],
	      &((struct iovec){ .iov_base = self->buf, .iov_len = 16 }), 1);
	ASSERT_EQ(0, filter_one(__NR_readv, SECCOMP_RET_KILL_PROCESS, 0));
	ASSERT_EQ(4, write(self->p[1], "data", 4));
	REAP(1, 4);
}

/* All six arguments, both halves of each, the number, and the architecture */
#define MAGIC(i)	(0x1111111111111111UL * ((i) + 1) ^ 0xabcd000000001234UL)

static int filter_args(const uint64_t *want)
{
	struct sock_filter filter[64];
	int i, n = 0, end = 5 + 6 * 4;

	filter[n++] = (struct sock_filter)LOAD(nr);
	filter[n++] = (struct sock_filter)JEQ(__NR_mq_notify, 1, 0);
	filter[n++] = (struct sock_filter)RET(SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)LOAD(arch);
	filter[n] = (struct sock_filter)JEQ(AUDIT_ARCH_X86_64, 0, end - n);
	n++;
	for (i = 0; i < 6; i++) {
		filter[n++] = (struct sock_filter)LOAD(args[i]);
		filter[n] = (struct sock_filter)JEQ((uint32_t)want[i], 0, end - n);
		n++;
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
				offsetof(struct seccomp_data, args[i]) + 4);
		filter[n] = (struct sock_filter)JEQ((uint32_t)(want[i] >> 32), 0, end - n);
		n++;
	}
	filter[n++] = (struct sock_filter)RET(SECCOMP_RET_ERRNO | 501);
	filter[n++] = (struct sock_filter)RET(SECCOMP_RET_ERRNO | 502);
	return install(filter, n, 0);
}

TEST_F(seccomp, sees_submitted_args)
{
	uint64_t want[6];
	struct req r;
	int i, k;

	for (i = 0; i < 6; i++)
		want[i] = MAGIC(i);
	ASSERT_EQ(0, filter_args(want));
	__req(&r, 1, __NR_mq_notify, 6, want);
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	EXPECT_EQ(-501, r.in.return_code);
	for (i = 0; i < 6; i++) {
		for (k = 0; k < 64; k += 21) {
			__req(&r, 1, __NR_mq_notify, 6, want);
			r.args[i] ^= 1UL << k;
			ASSERT_EQ(1, asys_submit(&r.in, 1));
			EXPECT_EQ(-502, r.in.return_code);
		}
	}
}

/* What is not given is zero, not what home has in that register. */
TEST_F(seccomp, sees_zero)
{
	uint64_t want[6] = { MAGIC(0), MAGIC(1) };
	struct req r;
	long ret;

	ASSERT_EQ(0, filter_args(want));
	__req(&r, 1, __NR_mq_notify, 2, want);
	/* Home's call has the numbers of its own, and rubbish elsewhere. */
	ret = syscall(__NR_asys_submit, &r.in, 1, -1L, -1L, -1L, -1L);
	ASSERT_EQ(1, ret);
	EXPECT_EQ(-501, r.in.return_code);
}

/* Home's calls are home's: the submission itself can be forbidden. */
TEST_F(seccomp, submit_forbidden)
{
	int64_t ret;

	START(1, __NR_readv, self->p[0],
	      &((struct iovec){ .iov_base = self->buf, .iov_len = 16 }), 1);
	ASSERT_EQ(0, filter_one(__NR_asys_submit, SECCOMP_RET_ERRNO | 78, 0));
	EXPECT_EQ(-78, try_start(1, &ret, __NR_getppid));
	ASSERT_EQ(4, write(self->p[1], "data", 4));
	REAP(1, 4);
}

/* The strictest of two filters, and the table of refused calls before both */
TEST_F(seccomp, two_filters)
{
	int64_t ret;

	ASSERT_EQ(0, filter_one(__NR_dup, SECCOMP_RET_ERRNO | 79, 0));
	ASSERT_EQ(0, filter_one(__NR_dup, SECCOMP_RET_TRAP, 0));
	ASSERT_EQ(0, filter_one(__NR_fork, SECCOMP_RET_ERRNO | 80, 0));
	EXPECT_EQ(-EACCES, try_start(1, &ret, __NR_dup, 0));
	EXPECT_EQ(-EOPNOTSUPP, try_start(1, &ret, __NR_fork));
	NOTHING_LEFT();
}

/* Strict mode allows home four calls, and none of ours is among them. */
TEST_F(seccomp, strict)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int64_t ret;

		MUST(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		try_start(1, &ret, __NR_getppid);
		syscall(__NR_exit, 98);
	}
	KILLED(pid, SIGKILL);
}

/* A thread that is killed by a filter leaves, and its calls with it. */
TEST_F(seccomp, home_killed)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		int64_t ret;
		int i;

		for (i = 0; i < 10; i++)
			MUST(!try_start(i, &ret, __NR_read, self->p[0], self->buf, 1));
		MUST(!filter_one(__NR_dup, SECCOMP_RET_KILL_PROCESS, 0));
		dup(0);
		_exit(98);
	}
	KILLED(pid, SIGSYS);
}

/*
 * Landlock: it is asked by the code of the call, with the credentials that home
 * had when the call was submitted.
 */
TEST(landlock)
{
	static const char file[] = "/proc/sys/kernel/ostype";
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	struct landlock_path_beneath_attr dev = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	struct cold cold = {};
	char page[PAGE] = {};
	int rules, fd;
	char *where;

	NEED_ASYS();
	rules = syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		SKIP(return, "no Landlock");
	dev.parent_fd = open("/dev", O_PATH | O_DIRECTORY);
	ASSERT_LE(0, dev.parent_fd);
	ASSERT_EQ(0, syscall(__NR_landlock_add_rule, rules,
			     LANDLOCK_RULE_PATH_BENEATH, &dev, 0));
	NEED_COLD(&cold, 1);

	/* One that is on its way to the file before the restriction */
	START(1, __NR_openat, AT_FDCWD, cold.mem, O_RDONLY, 0);
	where = cold_wait(&cold);
	ASSERT_EQ(cold.mem, where);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_EQ(0, syscall(__NR_landlock_restrict_self, rules, 0));

	/* After that, home is refused, and so are its calls. */
	ASSERT_EQ(-1, open(file, O_RDONLY));
	ASSERT_EQ(EACCES, errno);
	EXPECT_EQ(-EACCES, acall(__NR_openat, AT_FDCWD, file, O_RDONLY, 0));
	fd = acall(__NR_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0);
	EXPECT_LE(0, fd);

	strcpy(page, file);
	ASSERT_EQ(0, cold_fill(&cold, where, page));
	REAP(1, fd + 1);
	EXPECT_EQ(1, read(fd + 1, page, 1));
	/* The next one that sleeps there is refused. */
	ASSERT_EQ(0, madvise(cold.mem, PAGE, MADV_DONTNEED));
	START(2, __NR_openat, AT_FDCWD, cold.mem, O_RDONLY, 0);
	where = cold_wait(&cold);
	ASSERT_EQ(cold.mem, where);
	strcpy(page, file);
	ASSERT_EQ(0, cold_fill(&cold, where, page));
	REAP(2, -EACCES);
	NOTHING_LEFT();
	cold_exit(&cold);
}

TEST_HARNESS_MAIN
