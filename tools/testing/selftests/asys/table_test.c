// SPDX-License-Identifier: GPL-2.0
/*
 * Every number from 0 to 511: those that may be submitted return what the
 * plain call returns, the others are refused.
 *
 * Each call is made with arguments that are all ones, which no call can do
 * anything with, and with none at all, by a process of its own that may do
 * nothing; the plain call likewise, in another process.
 */
#include <linux/keyctl.h>
#include <linux/kvm.h>
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "asys_test.h"

#define NOBODY	65534

enum policy { ABSENT, ALLOWED, CHECKED, REFUSED };

static const struct call {
	enum policy policy;
	const char *name;
} table[512] = {
#define A(nr, call)	[nr] = { ALLOWED, #call },
#define C(nr, call)	[nr] = { CHECKED, #call },
#define R(nr, call)	[nr] = { REFUSED, #call },
#ifdef __LP64__
#include "table.h"
#else
#include "table_32.h"
#endif
#undef A
#undef C
#undef R
};

FIXTURE(table)
{
};

FIXTURE_SETUP(table)
{
	NEED_ASYS();
}

FIXTURE_TEARDOWN(table)
{
}

static int64_t plain(int nr, const uint64_t *a)
{
	long ret = syscall(nr, (long)a[0], (long)a[1], (long)a[2], (long)a[3],
			   (long)a[4], (long)a[5]);

	return ret == -1 ? -errno : ret;
}

/* What can differ between two processes, relative to the process */
static int64_t relative(int nr, int64_t ret)
{
	switch (nr) {
	case __NR_getpid:
	case __NR_gettid:
		return ret - getpid();
	/* Ticks and seconds */
	case __NR_times:
	case __NR_time:
		return ret > 0;
	}
	return ret;
}

/*
 * One process, one call. It may leave behind what it likes, for it ends;
 * descriptor 0 is /dev/null, and those above 2 are as free as they are.
 */
static pid_t one(int nr, bool async, const uint64_t *args, int64_t *result)
{
	pid_t pid;

	pid = fork();
	if (pid)
		return pid;
	alarm(0);
	signal(SIGSYS, SIG_DFL);
	*result = async ? __call(nr, 6, args) : plain(nr, args);
	*result = relative(nr, *result);
	_exit(0);
}

struct shared {
	int64_t result[2];
};

static void compare(struct __test_metadata *_metadata, const uint64_t *args,
		    const bool *skip)
{
	struct shared *s;
	int nr, async, null;

	s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	null = open("/dev/null", O_RDWR);
	ASSERT_LE(0, null);
	ASSERT_EQ(0, dup2(null, 0));
	ASSERT_EQ(0, close(null));
	if (!geteuid()) {
		ASSERT_EQ(0, setresgid(NOBODY, NOBODY, NOBODY));
		ASSERT_EQ(0, setresuid(NOBODY, NOBODY, NOBODY));
	}
	ASSERT_EQ(0, chdir("/"));

	for (nr = 0; nr < 512; nr++) {
		if (table[nr].policy != ALLOWED || skip[nr])
			continue;
		for (async = 0; async < 2; async++) {
			int status;
			pid_t pid;

			s->result[async] = 0x5a5a;
			pid = one(nr, async, args, &s->result[async]);
			ASSERT_LT(0, pid);
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
			EXPECT_EQ(0, status) {
				TH_LOG("%d (%s), %s: ended with %x", nr,
				       table[nr].name, async ? "async" : "plain",
				       status);
			}
		}
		EXPECT_EQ(s->result[0], s->result[1]) {
			TH_LOG("%d (%s)", nr, table[nr].name);
		}
	}
	munmap(s, PAGE);
}

TEST_F(table, ones)
{
	const uint64_t args[6] = { -1UL, -1UL, -1UL, -1UL, -1UL, -1UL };
	const bool skip[512] = {
		/* Makes a queue, which the second one finds */
		[__NR_msgget] = true,
	};

	compare(_metadata, args, skip);
}

TEST_F(table, zeroes)
{
	const uint64_t args[6] = {};
	const bool skip[512] = {
		/* Wait for good */
		[__NR_select] = true,
		[__NR_pselect6] = true,
		[__NR_ppoll] = true,
#ifndef __LP64__
		[__NR__newselect] = true,
		[__NR_pselect6_time64] = true,
		[__NR_ppoll_time64] = true,
#endif
		/* Make objects that stay, with another number each */
		[__NR_msgget] = true,
		[__NR_semget] = true,
		[__NR_shmget] = true,
		/* Take their time */
		[__NR_sync] = true,
	};

	compare(_metadata, args, skip);
}

static int policy(int nr, const uint64_t *args)
{
	int64_t ret;
	int s = __start(1, &ret, nr, 6, args);
	struct asys_completion c;

	if (s == 0)
		asys_await(&c);
	return s < 0 ? s : 0;
}

TEST_F(table, refused)
{
	const uint64_t args[3][6] = {
		{}, { -1UL, -1UL, -1UL, -1UL, -1UL, -1UL }, { 1, 2, 3, 4, 5, 6 },
	};
	int nr, i, refused = 0;

	for (nr = 0; nr < 512; nr++) {
		/* Beyond the last one, there is none. */
		int want = nr <= 483 ? -EOPNOTSUPP : -ENOSYS;

		if (table[nr].policy == ALLOWED || table[nr].policy == CHECKED)
			continue;
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(want, policy(nr, args[i])) {
				TH_LOG("%d (%s)", nr, table[nr].name ?: "none");
			}
		}
		refused += table[nr].policy == REFUSED;
	}
	EXPECT_LE(60, refused);
	NOTHING_LEFT();
}

/*
 * Calls that depend on what they are asked for. Only the lower half of the
 * argument counts, for the call as for the check.
 */

static int policy3(int nr, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t args[6] = { a, b, c, -1UL, -1UL, -1UL };

	return policy(nr, args);
}

#define HIGH	(1ULL << 32)

TEST_F(table, ioctl)
{
	/* BINDER_WRITE_READ and BINDER_THREAD_EXIT */
	uint32_t refused[] = { KVM_RUN, 0xc0306201, 0x40046208 }, i;

	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		EXPECT_EQ(-EOPNOTSUPP, policy3(__NR_ioctl, -1, refused[i], 0));
		EXPECT_EQ(-EOPNOTSUPP, policy3(__NR_ioctl, -1, HIGH | refused[i], 0));
		EXPECT_EQ(0, policy3(__NR_ioctl, -1, refused[i] + 1, 0));
	}
	for (i = 0; i < 100; i++)
		EXPECT_EQ(0, policy3(__NR_ioctl, -1, i, -1));
	EXPECT_EQ(-EBADF, acall(__NR_ioctl, -1, FIONREAD, NULL));
}

TEST_F(table, prctl)
{
	static const int allowed[] = {
		PR_GET_PDEATHSIG, PR_GET_NAME, PR_GET_SECCOMP, PR_GET_TSC,
		PR_GET_TIMERSLACK, PR_MCE_KILL_GET, PR_GET_TID_ADDRESS,
		PR_GET_CHILD_SUBREAPER, PR_GET_NO_NEW_PRIVS,
		PR_GET_SPECULATION_CTRL, PR_GET_IO_FLUSHER, PR_GET_KEEPCAPS,
		PR_GET_SECUREBITS, PR_CAPBSET_READ, PR_GET_DUMPABLE,
		PR_SET_DUMPABLE, PR_SET_MM, PR_GET_THP_DISABLE,
		PR_SET_THP_DISABLE, PR_GET_MDWE, PR_SET_MDWE, PR_SET_VMA,
		PR_GET_AUXV, PR_GET_MEMORY_MERGE, PR_SET_MEMORY_MERGE,
	};
	bool may[200] = {};
	unsigned int i;
	char name[16];

	for (i = 0; i < ARRAY_SIZE(allowed); i++) {
		if (allowed[i] < 200)
			may[allowed[i]] = true;
		EXPECT_EQ(0, policy3(__NR_prctl, HIGH | allowed[i], -1UL, -1UL));
	}
	for (i = 0; i < 200; i++) {
		EXPECT_EQ(may[i] ? 0 : -EOPNOTSUPP,
			  policy3(__NR_prctl, i, -1UL, -1UL)) {
			TH_LOG("option %d", i);
		}
	}
	EXPECT_EQ(-EOPNOTSUPP, policy3(__NR_prctl, PR_SET_PTRACER, 0, 0));
	EXPECT_EQ(0, acall(__NR_prctl, PR_GET_NAME, name));
	EXPECT_EQ(0, strncmp(name, "table_test", 10));
}

TEST_F(table, futex)
{
	int allowed[] = { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE,
			  FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET,
			  FUTEX_WAKE_BITSET };
	bool may[FUTEX_CMD_MASK & 0x7f] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(allowed); i++)
		may[allowed[i]] = true;
	for (i = 0; i < ARRAY_SIZE(may); i++) {
		int want = may[i] ? 0 : -EOPNOTSUPP;

		/* A word at no address */
		EXPECT_EQ(want, policy3(__NR_futex, -1UL, i, 0));
		EXPECT_EQ(want, policy3(__NR_futex, -1UL, HIGH | i, 0));
		EXPECT_EQ(want, policy3(__NR_futex, -1UL, i | FUTEX_PRIVATE_FLAG, 0));
		EXPECT_EQ(want, policy3(__NR_futex, -1UL, i | FUTEX_CLOCK_REALTIME, 0));
	}
}

TEST_F(table, keyctl)
{
	int refused[] = { KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_SET_REQKEY_KEYRING,
			  KEYCTL_ASSUME_AUTHORITY, KEYCTL_INSTANTIATE,
			  KEYCTL_INSTANTIATE_IOV, KEYCTL_NEGATE, KEYCTL_REJECT };
	bool may_not[100] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		may_not[refused[i]] = true;
	for (i = 0; i < 100; i++) {
		int want = may_not[i] ? -EOPNOTSUPP : 0;

		/* That would replace home's session keyring. */
		if (i == KEYCTL_SESSION_TO_PARENT)
			continue;
		EXPECT_EQ(want, policy3(__NR_keyctl, i, -1UL, -1UL));
		EXPECT_EQ(want, policy3(__NR_keyctl, HIGH | i, -1UL, -1UL));
	}
}

TEST_F(table, close_range)
{
	EXPECT_EQ(0, policy3(__NR_close_range, 1000, 1001, 0));
	EXPECT_EQ(0, policy3(__NR_close_range, 1000, 1001, 4));
	EXPECT_EQ(-EOPNOTSUPP, policy3(__NR_close_range, 1000, 1001, 2));
	EXPECT_EQ(-EOPNOTSUPP, policy3(__NR_close_range, 1000, 1001, HIGH | 6));
	EXPECT_EQ(0, policy3(__NR_close_range, 1000, 1001, HIGH));
}

TEST_HARNESS_MAIN
