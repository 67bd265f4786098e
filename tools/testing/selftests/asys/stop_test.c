// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that are stopped, traced or frozen with calls asleep. User code
 * stops; a fibril that holds a lock of the kernel goes on and gives it back;
 * a tracer sees home.
 */
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "asys_test.h"

/*
 * The child has readers asleep, and a writer that holds a lock until we fill its
 * page: the mutex of another pipe, or the lock of an inode. Then it does what
 * the test tells it, and in the end collects the results.
 */
#define READERS	10

FIXTURE(stop)
{
	int p[2];
	int locked[2];
	int ready[2];
	int file;
	pid_t pid;
	int uffd;
	char *cold;
	char page[PAGE];
	char buf[4 * PAGE];
	volatile uint64_t *shared;
};

FIXTURE_VARIANT(stop)
{
	/* home runs in user mode, and not in asys_await_completion() */
	bool spin;
	/* the writer writes to a file on a disk, through the page cache */
	bool file;
};

FIXTURE_VARIANT_ADD(stop, home_waits)
{
	.spin = false,
};

FIXTURE_VARIANT_ADD(stop, home_spins)
{
	.spin = true,
};

FIXTURE_VARIANT_ADD(stop, buffered_write)
{
	.file = true,
};

FIXTURE_VARIANT_ADD(stop, buffered_write_home_spins)
{
	.spin = true,
	.file = true,
};

#define MAGIC	0x6b6c6d6e6f707172UL

static struct asys_completion comp;

/* In user mode, with a register that says so, until another one is set */
static void spin(void)
{
	unsigned long on;

	asm volatile("mov %1, %%r12\n"
		     "	xor %%r13, %%r13\n"
		     "1:	pause\n"
		     "	cmp %%r12, %%r13\n"
		     "	jne 1b\n"
		     : "=&r" (on) : "r" (MAGIC) : "r12", "r13", "cc", "memory");
}

static void child(int p[2], int locked, int file, int ready, bool spins,
		  volatile uint64_t *shared, char *buf)
{
	struct cold cold;
	int64_t ret;
	int i;

	MUST(!cold_init(&cold, 1));
	for (i = 0; i < READERS; i++)
		MUST(!try_start(i, &ret, __NR_read, p[0], buf + i, 1));
	if (file >= 0)
		MUST(!try_start(100, &ret, __NR_pwrite64, file, cold.mem, PAGE, 0));
	else
		MUST(!try_start(100, &ret, __NR_write, locked, cold.mem, PAGE));
	MUST(write(ready, &cold, sizeof(cold)) == sizeof(cold));
	if (spins) {
		while (!*shared)
			;
	}
	for (i = 0; i < READERS + 1; i++) {
		while (asys_await(&comp))
			MUST(errno == EINTR);
		MUST(comp.return_code == (comp.cookie == 100 ? (long)PAGE : 1));
	}
	MUST(asys_await(&comp) == -1 && errno == ENODATA);
	_exit(7);
}

FIXTURE_SETUP(stop)
{
	struct cold cold, probe = {};
	char path[PATH_MAX];
	int pidfd;

	NEED_ASYS();
	NEED_COLD(&probe, 1);
	cold_exit(&probe);
	self->file = -1;
	if (variant->file) {
		if (!disk_dir())
			SKIP(return, "no disk: set ASYS_TEST_DIR");
		snprintf(path, sizeof(path), "%s/asysXXXXXX", disk_dir());
		self->file = mkstemp(path);
		ASSERT_LE(0, self->file);
		unlink(path);
	}
	memset(self->page, 'C', PAGE);
	self->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	ASSERT_EQ(0, pipe(self->p));
	ASSERT_EQ(0, pipe(self->locked));
	ASSERT_EQ(0, pipe(self->ready));
	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		child(self->p, self->locked[1], self->file, self->ready[1],
		      variant->spin, self->shared, self->buf);
	ASSERT_EQ(sizeof(cold), read(self->ready[0], &cold, sizeof(cold)));
	pidfd = syscall(__NR_pidfd_open, self->pid, 0);
	ASSERT_LE(0, pidfd);
	self->uffd = syscall(__NR_pidfd_getfd, pidfd, cold.uffd, 0);
	if (self->uffd < 0)
		SKIP(kill(self->pid, SIGKILL); return, "no pidfd_getfd()");
	self->cold = cold.mem;
	if (!variant->spin)
		wait_state(self->pid, self->pid, 'S');
}

FIXTURE_TEARDOWN(stop)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
}

/*
 * While the task is stopped: the writer's page comes, and so its lock must be
 * free for us; the data is there although nobody continued the task.
 */
static int mutex_is_released(struct cold *c, char *page, int pipe_rd, char *buf)
{
	if (cold_fill(c, c->mem, page))
		return 1;
	if (read(pipe_rd, buf, PAGE) != PAGE)
		return 2;
	return memcmp(buf, page, PAGE) ? 3 : 0;
}

/* Others wait for the inode, one to make the file shorter, one to write to it. */
static int inode_is_released(struct cold *c, char *page, int fd, char *buf)
{
	int i, status, err = 0;
	struct stat st;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			return 1;
		if (!pid[i]) {
			if (i)
				MUST(pwrite(fd, "after", 5, PAGE) == 5);
			else
				MUST(!ftruncate(fd, 100));
			_exit(0);
		}
		wait_state(pid[i], pid[i], 'D');
	}
	for (i = 0; i < 2; i++) {
		if (waitpid(pid[i], &status, WNOHANG))
			err = 2;
	}
	if (cold_fill(c, c->mem, page))
		return 3;
	for (i = 0; i < 2; i++) {
		if (waitpid(pid[i], &status, 0) != pid[i] || status)
			return 4;
	}
	/* What is left of the writer's page, whoever was first */
	if (pread(fd, buf, 100, 0) != 100 || memcmp(buf, page, 100))
		return 5;
	if (fstat(fd, &st) || (st.st_size != 100 && st.st_size != PAGE + 5))
		return 6;
	return err;
}

static int lock_is_released(int uffd, char *cold, char *page, int file,
			    int pipe_rd, char *buf)
{
	struct cold c = { .uffd = uffd, .mem = cold };

	return file >= 0 ? inode_is_released(&c, page, file, buf) :
			   mutex_is_released(&c, page, pipe_rd, buf);
}

#define LOCK_IS_RELEASED()						\
	ASSERT_EQ(0, lock_is_released(self->uffd, self->cold, self->page, \
				      self->file, self->locked[0],	\
				      self->buf + 2 * PAGE))

#define FINISH()							\
do {									\
	*self->shared = 1;						\
	EXITS(self->pid, 7);						\
	self->pid = 0;							\
} while (0)

TEST_F(stop, sigstop)
{
	int status;

	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	LOCK_IS_RELEASED();
	ASSERT_EQ(READERS, write(self->p[1], "0123456789", READERS));
	/* Fibrils have run, home has not. */
	wait_state(self->pid, self->pid, 'T');
	ASSERT_EQ(0, waitpid(self->pid, &status, WNOHANG | WUNTRACED));
	ASSERT_EQ(0, kill(self->pid, SIGCONT));
	FINISH();
}

/* Stopped and continued all the time, with results coming in between */
TEST_F(stop, sigstop_often)
{
	int i, status;

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, kill(self->pid, SIGSTOP));
		ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
		ASSERT_TRUE(WIFSTOPPED(status));
		if (i % 5 == 0)
			ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, kill(self->pid, SIGCONT));
		ASSERT_EQ(self->pid, waitpid(self->pid, &status, WCONTINUED));
	}
	LOCK_IS_RELEASED();
	FINISH();
}

TEST_F(stop, sigkill_when_stopped)
{
	int status;

	ASSERT_EQ(0, kill(self->pid, SIGSTOP));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, WUNTRACED));
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	KILLED(self->pid, SIGKILL);
	self->pid = 0;
	/* Its writer has let go of the pipe, or of the file. */
	if (variant->file) {
		ASSERT_EQ(0, ftruncate(self->file, 100));
	} else {
		ASSERT_EQ(4, write(self->locked[1], "free", 4));
	}
}

/* A tracer comes, sees home's registers, and goes. */
TEST_F(stop, ptrace)
{
	struct user_regs_struct regs;
	int status, i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->pid, 0, 0)) {
			TH_LOG("%s", strerror(errno));
		}
		ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->pid, 0, 0));
		ASSERT_EQ(self->pid, waitpid(self->pid, &status, __WALL));
		ASSERT_TRUE(WIFSTOPPED(status));
		ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, 0, &regs));
		if (variant->spin && regs.orig_rax == __NR_write) {
			/* It has said that it is ready, and is on its way back. */
			ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->pid, 0, 0));
			i--;
			continue;
		}
		if (!variant->spin) {
			/* In its call, which it will make again */
			EXPECT_EQ(__NR_asys_await_completion, regs.orig_rax);
			EXPECT_EQ((unsigned long)&comp, regs.rdi);
		} else {
			EXPECT_EQ(-1, (long)regs.orig_rax);
			EXPECT_LE((unsigned long)child - 65536, regs.rip);
			EXPECT_GE((unsigned long)child + 65536, regs.rip);
		}
		EXPECT_EQ(0x33, regs.cs);
		/* A word of its memory, too */
		errno = 0;
		ptrace(PTRACE_PEEKDATA, self->pid, self->shared, 0);
		EXPECT_EQ(0, errno);
		/* A call finishes while it is stopped. */
		ASSERT_EQ(1, write(self->p[1], "x", 1));
		ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->pid, 0, 0));
		if (!variant->spin)
			wait_state(self->pid, self->pid, 'S');
	}
	ASSERT_EQ(READERS - 3, write(self->p[1], "0123456789", READERS - 3));
	LOCK_IS_RELEASED();
	FINISH();
}

/* The old way to come: it stops as if by a signal, which the tracer takes away. */
TEST_F(stop, ptrace_attach)
{
	struct user_regs_struct regs;
	int status;

	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->pid, 0, 0)) {
		TH_LOG("%s", strerror(errno));
	}
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, __WALL));
	ASSERT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(SIGSTOP, WSTOPSIG(status));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, 0, &regs));
	if (!variant->spin) {
		EXPECT_EQ(__NR_asys_await_completion, regs.orig_rax);
		EXPECT_EQ((unsigned long)&comp, regs.rdi);
	}
	EXPECT_EQ(0x33, regs.cs);
	LOCK_IS_RELEASED();
	ASSERT_EQ(READERS, write(self->p[1], "0123456789", READERS));
	/* Fibrils have run, home has not. */
	wait_state(self->pid, self->pid, 't');
	ASSERT_EQ(0, waitpid(self->pid, &status, WNOHANG | __WALL));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->pid, 0, 0));
	FINISH();
}

/* The tracer changes home's registers: that is what home goes on with. */
TEST_F(stop, ptrace_setregs)
{
	struct user_regs_struct regs;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int64_t ret;

		MUST(!try_start(1, &ret, __NR_read, self->p[0], self->buf, 1));
		MUST(write(self->ready[1], "x", 1) == 1);
		spin();
		_exit(8);
	}
	ASSERT_EQ(1, read(self->ready[0], self->buf, 1));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, 0, 0));
	do {
		ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, 0, 0));
		ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
		ASSERT_TRUE(WIFSTOPPED(status));
		ASSERT_EQ(0, ptrace(PTRACE_GETREGS, pid, 0, &regs));
		if (regs.r12 == MAGIC && regs.r13 == 0) {
			regs.r13 = MAGIC;
			ASSERT_EQ(0, ptrace(PTRACE_SETREGS, pid, 0, &regs));
		}
		ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	} while (regs.r13 != MAGIC);
	EXITS(pid, 8);
}

/* What becomes runnable while a tracer looks runs when it has finished. */
TEST_F(stop, ptrace_writer)
{
	int status;

	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->pid, 0, 0));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->pid, 0, 0));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, __WALL));
	LOCK_IS_RELEASED();
	ASSERT_EQ(READERS, write(self->p[1], "0123456789", READERS));
	ASSERT_EQ(0, ptrace(PTRACE_CONT, self->pid, 0, 0));
	FINISH();
}

/*
 * The freezer of control groups
 */

static int wait_frozen(const char *path, int frozen)
{
	char buf[256], want[16];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return -1;
	snprintf(want, sizeof(want), "frozen %d", frozen);
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);

		if (n < 0)
			break;
		buf[n] = 0;
		if (strstr(buf, want))
			break;
		poll(&p, 1, -1);
	}
	close(fd);
	return 0;
}

TEST_F(stop, cgroup_freezer)
{
	char dir[64], path[128];
	int i;

	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/asys-freezer-%d", getpid());
	if (mkdir(dir, 0755))
		SKIP(return, "no cgroup v2");
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	ASSERT_EQ(0, write_long(path, self->pid));
	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.freeze", dir);
		ASSERT_EQ(0, write_file(path, "1"));
		snprintf(path, sizeof(path), "%s/cgroup.events", dir);
		ASSERT_EQ(0, wait_frozen(path, 1));
		if (i == 2)
			LOCK_IS_RELEASED();
		ASSERT_EQ(2, write(self->p[1], "xy", 2));
		snprintf(path, sizeof(path), "%s/cgroup.freeze", dir);
		ASSERT_EQ(0, write_file(path, "0"));
		snprintf(path, sizeof(path), "%s/cgroup.events", dir);
		ASSERT_EQ(0, wait_frozen(path, 0));
	}
	ASSERT_EQ(2, write(self->p[1], "xy", 2));
	FINISH();
	while (rmdir(dir))
		ASSERT_EQ(EBUSY, errno);
}

/* A frozen one can be killed. */
TEST_F(stop, cgroup_freezer_kill)
{
	char dir[64], path[128];

	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/asys-freezer-%d", getpid());
	if (mkdir(dir, 0755))
		SKIP(return, "no cgroup v2");
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	ASSERT_EQ(0, write_long(path, self->pid));
	snprintf(path, sizeof(path), "%s/cgroup.freeze", dir);
	ASSERT_EQ(0, write_file(path, "1"));
	snprintf(path, sizeof(path), "%s/cgroup.events", dir);
	ASSERT_EQ(0, wait_frozen(path, 1));
	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	KILLED(self->pid, SIGKILL);
	self->pid = 0;
	while (rmdir(dir))
		ASSERT_EQ(EBUSY, errno);
}

/*
 * The freezer of suspend
 */

static const char *suspend_test(void)
{
	char buf[64] = {};
	int fd = open("/sys/power/state", O_RDONLY);

	if (fd < 0)
		return NULL;
	if (read(fd, buf, sizeof(buf) - 1) <= 0)
		buf[0] = 0;
	close(fd);
	if (write_file("/sys/power/pm_test", "freezer"))
		return NULL;
	/* It would wait for five seconds. */
	write_file("/sys/module/suspend/parameters/pm_test_delay", "0");
	return strstr(buf, "freeze") ? "freeze" : strstr(buf, "mem") ? "mem" : NULL;
}

TEST_F(stop, suspend_freezer)
{
	const char *state = suspend_test();
	int i;

	if (!state)
		SKIP(return, "no suspend to test");
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, write_file("/sys/power/state", state));
		ASSERT_EQ(3, write(self->p[1], "xyz", 3));
	}
	LOCK_IS_RELEASED();
	ASSERT_EQ(0, write_file("/sys/power/state", state));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	FINISH();
	write_file("/sys/power/pm_test", "none");
}

/* The one who suspends is not frozen, and so must not have calls in flight. */
TEST_F(stop, suspend_with_calls)
{
	const char *state = suspend_test();
	int fd, q[2];
	char byte;

	if (!state)
		SKIP(return, "no suspend to test");
	ASSERT_EQ(0, pipe(q));
	START(1, __NR_read, q[0], &byte, 1);
	EXPECT_EQ(-EBUSY, write_file("/sys/power/state", state));
	ASSERT_EQ(1, write(q[1], "x", 1));
	REAP(1, 1);
	fd = open("/sys/power/state", O_WRONLY);
	EXPECT_EQ(-EBUSY, acall(__NR_write, fd, state, strlen(state)));
	EXPECT_EQ(strlen(state), write(fd, state, strlen(state)));
	close(fd);
	write_file("/sys/power/pm_test", "none");
}

TEST_HARNESS_MAIN
