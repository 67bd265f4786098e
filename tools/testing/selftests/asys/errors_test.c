// SPDX-License-Identifier: GPL-2.0
/*
 * Every error of asys_submit() and asys_await_completion(), every bad
 * pointer, count and flag, and how results are reported.
 */
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "asys_test.h"

/* Two pages, of which the second one is not there. */
FIXTURE(errors)
{
	char *page;
	char *end;
};

FIXTURE_SETUP(errors)
{
	NEED_ASYS();
	self->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	self->end = self->page + PAGE;
	ASSERT_EQ(0, munmap(self->end, PAGE));
}

FIXTURE_TEARDOWN(errors)
{
	munmap(self->page, PAGE);
}

#define KERNEL_ADDRESS	((void *)0xffff800000000000UL)
#define NON_CANONICAL	((void *)0x0000900000000000UL)
#define LAST_ADDRESS	((void *)-8UL)

#define SUBMIT_FAILS(err, requests, nr)					\
do {									\
	errno = 0;							\
	EXPECT_EQ(-1, asys_submit(requests, nr));			\
	EXPECT_EQ(err, errno);						\
} while (0)

#define AWAIT_FAILS(err, comp)						\
do {									\
	errno = 0;							\
	EXPECT_EQ(-1, asys_await(comp));				\
	EXPECT_EQ(err, errno);						\
} while (0)

TEST_F(errors, submit_nothing)
{
	EXPECT_EQ(0, asys_submit(NULL, 0));
	EXPECT_EQ(0, asys_submit(KERNEL_ADDRESS, 0));
	NOTHING_LEFT();
}

TEST_F(errors, submit_bad_requests)
{
	SUBMIT_FAILS(EFAULT, NULL, 1);
	SUBMIT_FAILS(EFAULT, NULL, -1UL);
	SUBMIT_FAILS(EFAULT, KERNEL_ADDRESS, 1);
	SUBMIT_FAILS(EFAULT, NON_CANONICAL, 1);
	SUBMIT_FAILS(EFAULT, LAST_ADDRESS, 1);
	SUBMIT_FAILS(EFAULT, (void *)self->end, 1);
	SUBMIT_FAILS(EFAULT, (void *)(self->end - 8), 1);
	SUBMIT_FAILS(EFAULT, (void *)(self->end - sizeof(struct asys_input) + 1), 1);
	NOTHING_LEFT();
}

TEST_F(errors, submit_bad_args)
{
	void *bad[] = { NULL, KERNEL_ADDRESS, NON_CANONICAL, LAST_ADDRESS,
			self->end, self->end - 8 };
	struct asys_input in = { .syscall_nr = __NR_getppid, .nr_args = 2 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		in.args = (uintptr_t)bad[i];
		SUBMIT_FAILS(EFAULT, &in, 1);
	}
	/* One argument fits, two do not. */
	in.args = (uintptr_t)(self->end - 8);
	in.nr_args = 1;
	EXPECT_EQ(1, asys_submit(&in, 1));
	REAP(0, getppid());

	/* No argument: nobody looks. */
	in.nr_args = 0;
	in.args = (uintptr_t)KERNEL_ADDRESS;
	EXPECT_EQ(1, asys_submit(&in, 1));
	REAP(0, getppid());
	NOTHING_LEFT();
}

TEST_F(errors, submit_bad_flags)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		struct asys_input in = {
			.syscall_nr = __NR_getppid,
			.flags = 1U << bit,
		};

		if (in.flags == ASYS_F_REPORT)
			continue;
		SUBMIT_FAILS(EINVAL, &in, 1);
		in.flags |= ASYS_F_REPORT;
		SUBMIT_FAILS(EINVAL, &in, 1);
	}
	NOTHING_LEFT();
}

/* A request that has been reported on is not fit to be submitted again. */
TEST_F(errors, submit_twice)
{
	struct req r;

	REQ(&r, 1, __NR_getppid);
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	EXPECT_EQ(ASYS_F_REPORT | ASYS_F_DONE, r.in.flags);
	SUBMIT_FAILS(EINVAL, &r.in, 1);
	NOTHING_LEFT();
}

TEST_F(errors, submit_bad_nr_args)
{
	uint64_t bad[] = { 7, 8, 1U << 31, 1UL << 32, (1UL << 32) + 1,
			   1UL << 61, 1UL << 63, -1UL };
	struct asys_input in = { .syscall_nr = __NR_getppid };
	uint64_t args[6] = {};
	unsigned int i;

	in.args = (uintptr_t)args;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		in.nr_args = bad[i];
		SUBMIT_FAILS(EINVAL, &in, 1);
	}
	for (i = 0; i <= 6; i++) {
		in.nr_args = i;
		EXPECT_EQ(1, asys_submit(&in, 1));
		REAP(0, getppid());
	}
	NOTHING_LEFT();
}

TEST_F(errors, submit_bad_nr)
{
	int none[] = { -1, INT_MIN, INT_MAX, 4096, 0x40000000,
		       0x40000000 | __NR_getppid };
	struct asys_input in = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(none); i++) {
		in.syscall_nr = none[i];
		SUBMIT_FAILS(ENOSYS, &in, 1);
	}
	in.syscall_nr = 400;
	SUBMIT_FAILS(EOPNOTSUPP, &in, 1);
	in.syscall_nr = __NR_asys_submit;
	SUBMIT_FAILS(EOPNOTSUPP, &in, 1);
	in.syscall_nr = __NR_asys_await_completion;
	SUBMIT_FAILS(EOPNOTSUPP, &in, 1);
	in.syscall_nr = __NR_fork;
	SUBMIT_FAILS(EOPNOTSUPP, &in, 1);
	NOTHING_LEFT();
}

/* An argument that was not given is zero, whatever the last call had there. */
TEST_F(errors, missing_args_are_zero)
{
	char buf[8] = "abcdefg";
	int p[2];

	ASSERT_EQ(0, pipe(p));
	EXPECT_EQ(4, acall(__NR_write, p[1], buf, 4));
	/* Zero bytes, not four */
	EXPECT_EQ(0, acall(__NR_write, p[1], buf));
	/* Descriptor 0 is none */
	close(0);
	EXPECT_EQ(-EBADF, acall(__NR_write));
	EXPECT_EQ(4, read(p[0], buf, sizeof(buf)));
}

/* What is wrong with a request ends the batch there: those before count. */
TEST_F(errors, partial)
{
	int bad;

	for (bad = 0; bad < 5; bad++) {
		int i, want[] = { EINVAL, EINVAL, ENOSYS, EOPNOTSUPP, EFAULT };

		for (i = 0; i < 5; i++) {
			struct asys_input in[3] = {
				{ .syscall_nr = __NR_getppid, .cookie = 10 },
				{ .syscall_nr = __NR_getppid, .cookie = 11 },
				{ .syscall_nr = __NR_getppid, .cookie = 12 },
			};

			switch (i) {
			case 0:
				in[1].flags = 2;
				break;
			case 1:
				in[1].nr_args = 7;
				break;
			case 2:
				in[1].syscall_nr = -1;
				break;
			case 3:
				in[1].syscall_nr = __NR_exit;
				break;
			case 4:
				in[1].nr_args = 1;
				break;
			}
			EXPECT_EQ(1, asys_submit(in, 3));
			REAP(10, getppid());
			NOTHING_LEFT();
			SUBMIT_FAILS(want[i], in + 1, 2);
			NOTHING_LEFT();
		}
	}
}

/* The array ends where memory ends. */
TEST_F(errors, requests_cross_into_nothing)
{
	struct asys_input *in;
	int i, n = 5;

	in = (struct asys_input *)self->end - n;
	memset(in, 0, n * sizeof(*in));
	for (i = 0; i < n; i++) {
		in[i].syscall_nr = __NR_getppid;
		in[i].cookie = i;
	}
	EXPECT_EQ(n, asys_submit(in, n + 1));
	for (i = 0; i < n; i++)
		REAP(i, getppid());
	NOTHING_LEFT();

	EXPECT_EQ(n, asys_submit(in, -1UL));
	for (i = 0; i < n; i++)
		REAP(i, getppid());
	NOTHING_LEFT();

	/* The same, with a request cut in two */
	memmove((char *)in + 8, in, n * sizeof(*in) - 8);
	in = (struct asys_input *)((char *)in + 8);
	EXPECT_EQ(n - 1, asys_submit(in, n));
	for (i = 0; i < n - 1; i++)
		REAP(i, getppid());
	NOTHING_LEFT();
}

TEST_F(errors, requests_unaligned)
{
	char *p = self->page + 1;
	struct asys_input in = {
		.syscall_nr = __NR_getppid,
		.flags = ASYS_F_REPORT,
		.cookie = 1,
	};

	memcpy(p, &in, sizeof(in));
	ASSERT_EQ(1, asys_submit((void *)p, 1));
	memcpy(&in, p, sizeof(in));
	EXPECT_EQ(ASYS_F_REPORT | ASYS_F_DONE, in.flags);
	EXPECT_EQ(getppid(), in.return_code);
	NOTHING_LEFT();
}

TEST_F(errors, report)
{
	struct asys_input want;
	char buf[8];
	struct req r;
	int p[2];

	/* Finished: the result, and nothing else, is in the request. */
	REQ(&r, 0x1234567890abcdef, __NR_write, -1, buf, 1);
	want = r.in;
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	want.flags = ASYS_F_REPORT | ASYS_F_DONE;
	want.return_code = -EBADF;
	EXPECT_EQ(0, memcmp(&want, &r.in, sizeof(want)));
	NOTHING_LEFT();

	/* Asleep: the request is as it was, also later. */
	ASSERT_EQ(0, pipe(p));
	REQ(&r, 77, __NR_read, p[0], buf, 8);
	want = r.in;
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	EXPECT_EQ(0, memcmp(&want, &r.in, sizeof(want)));
	ASSERT_EQ(3, write(p[1], "abc", 3));
	REAP(77, 3);
	EXPECT_EQ(0, memcmp(&want, &r.in, sizeof(want)));

	/* Not asked for: the request is as it was. */
	REQ(&r, 78, __NR_getppid);
	r.in.flags = 0;
	want = r.in;
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	EXPECT_EQ(0, memcmp(&want, &r.in, sizeof(want)));
	REAP(78, getppid());
	NOTHING_LEFT();
}

/* A report that cannot be made is a completion, once. */
TEST_F(errors, report_read_only)
{
	struct asys_input *in = (void *)self->page;

	in->syscall_nr = __NR_getppid;
	in->flags = ASYS_F_REPORT;
	in->cookie = 5;
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));
	ASSERT_EQ(1, asys_submit(in, 1));
	EXPECT_EQ(ASYS_F_REPORT, in->flags);
	REAP(5, getppid());
	NOTHING_LEFT();
}

/* Completions come in the order in which calls finished. */
TEST_F(errors, order)
{
	struct asys_input in[100];
	char buf[3];
	int i, p[2];

	ASSERT_EQ(0, pipe(p));
	START(1000, __NR_read, p[0], buf, 3);
	memset(in, 0, sizeof(in));
	for (i = 0; i < 100; i++) {
		in[i].syscall_nr = __NR_getppid;
		in[i].cookie = i;
	}
	ASSERT_EQ(100, asys_submit(in, 100));
	for (i = 0; i < 50; i++)
		REAP(i, getppid());
	ASSERT_EQ(3, write(p[1], "abc", 3));
	for (; i < 100; i++)
		REAP(i, getppid());
	REAP(1000, 3);
	NOTHING_LEFT();
}

/* Two requests may share their arguments, which are read at submission. */
TEST_F(errors, args_are_copied)
{
	struct asys_input in[2];
	uint64_t args[3];
	char buf[4] = {};
	int p[2];

	ASSERT_EQ(0, pipe(p));
	args[0] = p[0];
	args[1] = (uintptr_t)buf;
	args[2] = 1;
	memset(in, 0, sizeof(in));
	in[0] = (struct asys_input){ .syscall_nr = __NR_read, .cookie = 1,
				     .nr_args = 3, .args = (uintptr_t)args };
	in[1] = in[0];
	in[1].cookie = 2;
	ASSERT_EQ(2, asys_submit(in, 2));
	memset(args, 0xff, sizeof(args));
	memset(in, 0xff, sizeof(in));
	ASSERT_EQ(1, write(p[1], "x", 1));
	REAP(1, 1);
	ASSERT_EQ(1, write(p[1], "y", 1));
	REAP(2, 1);
	EXPECT_EQ('y', buf[0]);
	NOTHING_LEFT();
}

TEST_F(errors, await_nothing)
{
	struct asys_completion c;
	struct req r;

	/* Never submitted */
	AWAIT_FAILS(ENODATA, &c);
	AWAIT_FAILS(ENODATA, NULL);
	/* Nothing taken */
	SUBMIT_FAILS(EFAULT, NULL, 1);
	AWAIT_FAILS(ENODATA, &c);
	/* Reported */
	REQ(&r, 1, __NR_getppid);
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	AWAIT_FAILS(ENODATA, &c);
	AWAIT_FAILS(ENODATA, KERNEL_ADDRESS);
	/* Fetched */
	REQ(&r, 1, __NR_getppid);
	r.in.flags = 0;
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	REAP(1, getppid());
	AWAIT_FAILS(ENODATA, &c);
}

/* A result that cannot be stored is kept. */
TEST_F(errors, await_bad_pointer)
{
	void *bad[] = { NULL, KERNEL_ADDRESS, NON_CANONICAL, LAST_ADDRESS,
			self->end, self->end - 8,
			self->end - sizeof(struct asys_completion) + 1,
			self->page };
	struct req r[2];
	unsigned int i;
	char buf[4];
	int p[2];

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));

	/* One that has finished */
	REQ(&r[0], 1, __NR_getppid);
	r[0].in.flags = 0;
	ASSERT_EQ(1, asys_submit(&r[0].in, 1));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		AWAIT_FAILS(EFAULT, bad[i]);
	REAP(1, getppid());
	NOTHING_LEFT();

	/* One that finishes during the wait */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct timespec ts = { .tv_nsec = 100000000 };

		START(i, __NR_nanosleep, &ts, NULL);
		AWAIT_FAILS(EFAULT, bad[i]);
		AWAIT_FAILS(EFAULT, bad[i]);
		REAP(i, 0);
		NOTHING_LEFT();
	}

	/* The last byte of memory is good enough. */
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ | PROT_WRITE));
	START(9, __NR_read, p[0], buf, 4);
	ASSERT_EQ(4, write(p[1], "abcd", 4));
	ASSERT_EQ(0, asys_await((void *)(self->end - sizeof(struct asys_completion))));
	EXPECT_EQ(0, memcmp(buf, "abcd", 4));
	NOTHING_LEFT();
}

/* Completions are the task's: one thread's are not for another one. */
static void *await_in_thread(void *arg)
{
	struct asys_completion c;

	return (void *)(asys_await(&c) ? (long)errno : 0L);
}

TEST_F(errors, await_other_thread)
{
	pthread_t thread;
	char buf[4];
	void *ret;
	int p[2];

	ASSERT_EQ(0, pipe(p));
	START(1, __NR_read, p[0], buf, 4);
	ASSERT_EQ(0, pthread_create(&thread, NULL, await_in_thread, NULL));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(ENODATA, (long)ret);
	ASSERT_EQ(4, write(p[1], "abcd", 4));
	ASSERT_EQ(0, pthread_create(&thread, NULL, await_in_thread, NULL));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(ENODATA, (long)ret);
	REAP(1, 4);
}

/*
 * EBUSY: somebody looks at each system call of the task, where it enters
 */

/* A tracer that stops at system calls sees none that goes past it. */
TEST_F(errors, traced)
{
	int status, stops = 0, sig;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		int64_t ret;

		MUST(!ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		/* PTRACE_SYSCALL */
		MUST(try_start(1, &ret, __NR_getppid) == -EBUSY);
		raise(SIGUSR1);
		/* PTRACE_CONT */
		MUST(try_start(1, &ret, __NR_getppid) == 1);
		MUST(ret == getppid());
		raise(SIGUSR2);
		/* PTRACE_SYSEMU would not make the call at all. */
		MUST(asys_await(&c) == -1 && errno == ENODATA);
		_exit(7);
	}

	for (;;) {
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (WIFEXITED(status))
			break;
		ASSERT_TRUE(WIFSTOPPED(status)) {
			TH_LOG("status %x", status);
		}
		sig = WSTOPSIG(status);
		if (sig == SIGTRAP)
			stops++;
		ASSERT_EQ(0, ptrace(sig == SIGUSR1 || sig == SIGUSR2 ?
				    PTRACE_CONT : PTRACE_SYSCALL, pid, 0, 0));
	}
	EXPECT_EQ(7, WEXITSTATUS(status));
	EXPECT_LE(2, stops);
}

/* Calls that sleep when a tracer comes go on. */
TEST_F(errors, traced_in_flight)
{
	int p[2], q[2], status;
	pid_t pid;

	ASSERT_EQ(0, pipe(p));
	ASSERT_EQ(0, pipe(q));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct asys_completion c;
		char buf[4];
		int64_t ret;

		MUST(!ptrace(PTRACE_TRACEME, 0, 0, 0));
		MUST(try_start(1, &ret, __NR_read, p[0], buf, 4) == 0);
		raise(SIGSTOP);
		MUST(try_start(2, &ret, __NR_read, p[0], buf, 4) == -EBUSY);
		MUST(write(p[1], "abcd", 4) == 4);
		MUST(!asys_await(&c) && c.cookie == 1 && c.return_code == 4);
		_exit(7);
	}
	do {
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (WIFSTOPPED(status))
			ASSERT_EQ(0, ptrace(PTRACE_SYSCALL, pid, 0, 0));
	} while (WIFSTOPPED(status));
	ASSERT_TRUE(WIFEXITED(status)) {
		TH_LOG("status %x", status);
	}
	EXPECT_EQ(7, WEXITSTATUS(status));
}

TEST_F(errors, user_dispatch)
{
	char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	int64_t ret;

	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0,
		  &selector))
		SKIP(return, "no syscall user dispatch");
	EXPECT_EQ(-EBUSY, try_start(1, &ret, __NR_getppid));
	ASSERT_EQ(0, prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF,
			   0, 0, 0));
	EXPECT_EQ(1, try_start(1, &ret, __NR_getppid));
	EXPECT_EQ(getppid(), ret);
	NOTHING_LEFT();
}

/*
 * Audit. Once it was switched on, all new tasks are audited, so first comes a
 * rule that spares every user but ours.
 */
#define AUDITED_UID	54322

static int audit_send(int fd, int type, const void *data, size_t len)
{
	struct {
		struct nlmsghdr h;
		char data[2048];
	} msg = { .h = { .nlmsg_len = NLMSG_SPACE(len), .nlmsg_type = type,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK } };
	struct nlmsgerr *err = (void *)msg.data;

	memcpy(msg.data, data, len);
	if (send(fd, &msg, msg.h.nlmsg_len, 0) < 0)
		return -errno;
	do {
		if (recv(fd, &msg, sizeof(msg), 0) < 0)
			return -errno;
	} while (msg.h.nlmsg_type != NLMSG_ERROR);
	return err->error;
}

TEST_F(errors, audited)
{
	struct audit_rule_data rule = {
		.flags = AUDIT_FILTER_TASK,
		.action = AUDIT_NEVER,
		.field_count = 1,
		.fields = { AUDIT_UID },
		.values = { AUDITED_UID },
		.fieldflags = { AUDIT_NOT_EQUAL },
	};
	struct audit_status status = {
		.mask = AUDIT_STATUS_ENABLED,
		.enabled = 1,
	};
	int fd, err;
	pid_t pid;

	NEED_ROOT();
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	if (fd < 0)
		SKIP(return, "no audit");
	err = audit_send(fd, AUDIT_ADD_RULE, &rule, sizeof(rule));
	if (err && err != -EEXIST)
		SKIP(return, "no audit rules: %s", strerror(-err));
	err = audit_send(fd, AUDIT_SET, &status, sizeof(status));
	if (err)
		SKIP(return, "cannot switch audit on: %s", strerror(-err));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int64_t ret;
		pid_t child;
		int st;

		/* Spared */
		MUST(try_start(1, &ret, __NR_getppid) == 1);
		MUST(!setresuid(AUDITED_UID, AUDITED_UID, AUDITED_UID));
		child = fork();
		if (!child) {
			MUST(try_start(1, &ret, __NR_getppid) == -EBUSY);
			_exit(8);
		}
		MUST(waitpid(child, &st, 0) == child);
		MUST(WIFEXITED(st) && WEXITSTATUS(st) == 8);
		_exit(7);
	}
	EXITS(pid, 7);
	status.enabled = 0;
	EXPECT_EQ(0, audit_send(fd, AUDIT_SET, &status, sizeof(status)));
}

/*
 * ENOMEM, each allocation failing in turn, on a kernel that can inject faults,
 * and EFAULT, if it can in copies: the call is not made, or is made and
 * finishes; there is nothing in between.
 */
enum { NOT_HIT = 10, HIT, REFUSED, FAULTED };

struct memory {
	struct asys_ring *ring;
	int p[2], efd;
	char buf[4];
};

FIXTURE(no_memory)
{
	struct memory m;
};

FIXTURE_VARIANT(no_memory)
{
	/* to be done before, what is tried, and whether all is well after it */
	bool (*before)(struct memory *m);
	long (*try)(struct memory *m);
	bool (*after)(struct memory *m);
	/* what it returns if nothing fails */
	long taken;
	/* at least so many allocations without which it cannot be done */
	int needed;
};

static long memory_control(unsigned int op, void *arg, size_t size)
{
	return syscall(__NR_asys_control, op, arg, size);
}

static long memory_enter(struct asys_request *r, unsigned int nr, unsigned int min)
{
	return syscall(__NR_asys_enter, r, nr, min, 0, NULL, 0);
}

static long memory_set_ring(struct memory *m)
{
	struct asys_ring_setup setup = {
		.ring = (uintptr_t)m->ring,
		.entries = 4,
	};

	return memory_control(ASYS_CTL_RING, &setup, sizeof(setup));
}

static bool memory_has_ring(struct memory *m)
{
	return !memory_set_ring(m);
}

/* The calls of the ring, or nothing: then they would be there before these. */
static bool memory_tail(struct memory *m, unsigned int tail)
{
	struct asys_info info;

	return !memory_control(ASYS_CTL_INFO, &info, sizeof(info)) &&
	       !info.in_flight && m->ring->tail == tail && !m->ring->flags;
}

/* What describes the task, the call, and its stack */
static long memory_submit(struct memory *m)
{
	uint64_t args[] = { m->p[0], (uintptr_t)m->buf, 4 };
	struct asys_input in = {
		.syscall_nr = __NR_read,
		.nr_args = 3,
		.args = (uintptr_t)args,
	};

	return asys_submit(&in, 1);
}

static bool memory_submitted(struct memory *m)
{
	struct asys_completion c;

	return write(m->p[1], "abcd", 4) == 4 &&
	       !asys_await(&c) && c.return_code == 4 &&
	       asys_await(&c) == -1 && errno == ENODATA;
}

FIXTURE_VARIANT_ADD(no_memory, submit)
{
	.try = memory_submit,
	.after = memory_submitted,
	.taken = 1,
	.needed = 3,
};

/* The call, and its stack */
static long memory_read(struct memory *m)
{
	struct asys_request r = {
		.nr = __NR_read,
		.args = { m->p[0], (uintptr_t)m->buf, 4 },
	};

	return memory_enter(&r, 1, 0);
}

static bool memory_was_read(struct memory *m)
{
	return write(m->p[1], "abcd", 4) == 4 && !memory_enter(NULL, 0, 1) &&
	       m->ring->completions[0].return_code == 4 && memory_tail(m, 1);
}

FIXTURE_VARIANT_ADD(no_memory, enter)
{
	.before = memory_has_ring,
	.try = memory_read,
	.after = memory_was_read,
	.taken = 1,
	.needed = 2,
};

/* A chain's requests, for a task that has all but that */
static bool memory_has_fibril(struct memory *m)
{
	struct asys_request r = { .nr = ASYS_NOP };

	return !memory_set_ring(m) && memory_enter(&r, 1, 1) == 1;
}

static long memory_chain(struct memory *m)
{
	struct asys_request r[2] = {
		{ .nr = ASYS_NOP, .flags = ASYS_R_LINK },
		{ .nr = __NR_read,
		  .args = { m->p[0], (uintptr_t)m->buf, 4 } },
	};

	return memory_enter(r, 2, 0);
}

static bool memory_chain_ran(struct memory *m)
{
	return write(m->p[1], "abcd", 4) == 4 && !memory_enter(NULL, 0, 3) &&
	       m->ring->completions[1].return_code == 0 &&
	       m->ring->completions[2].return_code == 4 && memory_tail(m, 3);
}

FIXTURE_VARIANT_ADD(no_memory, enter_chain)
{
	.before = memory_has_fibril,
	.try = memory_chain,
	.after = memory_chain_ran,
	.taken = 2,
	.needed = 1,
};

/* What describes the task */
static bool memory_ring_works(struct memory *m)
{
	struct asys_request r = { .nr = ASYS_NOP };

	return memory_enter(&r, 1, 1) == 1 && memory_tail(m, 1);
}

FIXTURE_VARIANT_ADD(no_memory, set_ring)
{
	.try = memory_set_ring,
	.after = memory_ring_works,
	.needed = 1,
};

static long memory_set_eventfd(struct memory *m)
{
	return memory_control(ASYS_CTL_EVENTFD, &m->efd, sizeof(m->efd));
}

static bool memory_eventfd_works(struct memory *m)
{
	uint64_t count;

	return !memory_set_ring(m) && memory_read(m) == 1 &&
	       memory_was_read(m) &&
	       read(m->efd, &count, 8) == 8 && count == 1;
}

FIXTURE_VARIANT_ADD(no_memory, set_eventfd)
{
	.try = memory_set_eventfd,
	.after = memory_eventfd_works,
	.needed = 1,
};

FIXTURE_SETUP(no_memory)
{
	int fd;

	NEED_ASYS();
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fd < 0)
		SKIP(return, "no fault injection");
	close(fd);
	if (write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N"))
		SKIP(return, "no fault injection into slabs");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	self->m.ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->m.ring);
}

FIXTURE_TEARDOWN(no_memory)
{
}

TEST_F(no_memory, each_fails)
{
	int n, st, refused = 0;

	/* The call makes fewer than n allocations: all have failed once. */
	for (n = 1, st = 0; st != NOT_HIT; n++) {
		char nth[16] = {};
		pid_t pid;

		/* A task that has never had a fibril, each time */
		ASSERT_EQ(0, pipe(self->m.p));
		self->m.efd = eventfd(0, EFD_NONBLOCK);
		ASSERT_LE(0, self->m.efd);
		memset(self->m.ring, 0, PAGE);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			unsigned int tail;
			int fd, how;
			long ret;

			MUST(!variant->before || variant->before(&self->m));
			tail = self->m.ring->tail;
			fd = open("/proc/thread-self/fail-nth", O_RDWR);
			MUST(fd >= 0);
			snprintf(nth, sizeof(nth), "%d", n);
			MUST(write(fd, nth, strlen(nth)) > 0);
			ret = variant->try(&self->m);
			if (ret < 0)
				ret = -errno;
			memset(nth, 0, sizeof(nth));
			/* The copy to user mode may be the n-th, in turn. */
			how = pread(fd, nth, sizeof(nth) - 1, 0) > 0 &&
			      !atoi(nth) ? HIT : NOT_HIT;
			/* ... or that from it: then this is the second try. */
			MUST(write(fd, "0", 1) == 1 ||
			     write(fd, "0", 1) == 1);
			if (ret == -ENOMEM || ret == -EFAULT) {
				MUST(how == HIT);
				how = ret == -ENOMEM ? REFUSED : FAULTED;
				/* Nothing is left of it, and once more is all right. */
				MUST(memory_tail(&self->m, tail));
				ret = variant->try(&self->m);
			}
			MUST(ret == variant->taken);
			MUST(variant->after(&self->m));
			_exit(how);
		}
		close(self->m.p[0]);
		close(self->m.p[1]);
		close(self->m.efd);
		ASSERT_EQ(pid, waitpid(pid, &st, 0));
		ASSERT_TRUE(WIFEXITED(st) && WEXITSTATUS(st) < 99) {
			TH_LOG("allocation %d: status %x", n, st);
		}
		st = WEXITSTATUS(st);
		refused += st == REFUSED;
	}
	EXPECT_LE(variant->needed, refused);
}

TEST_HARNESS_MAIN
