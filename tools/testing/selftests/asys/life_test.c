// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that end, or start anew, with calls asleep: 1, 100 and 1000 of them.
 *
 * Whether all is given back shows in the limit per user: it is set so low
 * that what one task leaves behind is missing to the next one. Whether the memory
 * is, shows in what the system has of it.
 */
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "asys_test.h"

/* Nobody else's fibrils count for this user. */
#define USER	54321

static struct {
	int pipe[2];
	int listener;
	int epoll;
	uint32_t word;
	struct cold cold;
} on;

/* Whatever a call can sleep on; each process has its own. */
static void sleepers_init(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	MUST(!pipe(on.pipe));
	on.listener = socket(AF_INET, SOCK_STREAM, 0);
	if (on.listener >= 0) {
		MUST(!bind(on.listener, (void *)&addr, sizeof(addr)));
		MUST(!listen(on.listener, 1));
	}
	on.epoll = epoll_create1(0);
	if (cold_init(&on.cold, 1))
		on.cold.mem = NULL;
}

/* Put n calls to sleep, of all kinds; returns how many were taken. */
static int sleepers(int n)
{
	static const struct timespec ages = { .tv_sec = 100000 };
	static char buf[16];
	struct pollfd fd = { .fd = on.pipe[0], .events = POLLIN };
	int64_t ret;
	int i, s;

	for (i = 0; i < n; i++) {
		switch (i % 8) {
		case 0:
		default:
			s = try_start(i, &ret, __NR_read, on.pipe[0], buf, 16);
			break;
		case 1:
			s = try_start(i, &ret, __NR_futex, &on.word, FUTEX_WAIT,
				      0, NULL, NULL, 0);
			break;
		case 2:
			s = try_start(i, &ret, __NR_nanosleep, &ages, NULL);
			break;
		case 3:
			s = try_start(i, &ret, __NR_poll, &fd, 1, -1);
			break;
		case 4:
			s = try_start(i, &ret, __NR_epoll_wait, on.epoll, buf, 1, -1);
			break;
		case 5:
			if (on.listener < 0)
				goto pipe;
			s = try_start(i, &ret, __NR_accept, on.listener, NULL, NULL);
			break;
		case 6:
			/* A sleep that only a fatal signal ends */
			if (!on.cold.mem)
				goto pipe;
			s = try_start(i, &ret, __NR_uname, on.cold.mem);
			break;
		case 7:
pipe:
			s = try_start(i, &ret, __NR_ppoll, &fd, 1, NULL, NULL, 8);
			break;
		}
		if (s == -EAGAIN)
			break;
		MUST(s == 0);
	}
	return i;
}

/* A line of /proc/meminfo, in kB */
static long meminfo(const char *name)
{
	char line[128];
	long kb = -1;
	FILE *f;

	f = fopen("/proc/meminfo", "re");
	MUST(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			kb = atol(line + strlen(name) + 1);
	}
	fclose(f);
	MUST(kb >= 0);
	return kb;
}

/*
 * Stacks, by their own count, and by the pages that vmalloc() has given away.
 * Each CPU keeps some of the former to itself, and others start and end threads:
 * this much may be amiss. A thousand stacks are four times as much.
 */
static const char * const stacks[] = { "KernelStack", "VmallocUsed" };

#define STACK_KB	16
#define AMISS_KB	4000

FIXTURE(life)
{
	long per_user;
	long kb[2];
};

FIXTURE_VARIANT(life)
{
	int n;
};

FIXTURE_VARIANT_ADD(life, of_1)
{
	.n = 1,
};

FIXTURE_VARIANT_ADD(life, of_100)
{
	.n = 100,
};

FIXTURE_VARIANT_ADD(life, of_1000)
{
	.n = 1000,
};

FIXTURE_SETUP(life)
{
	int i;

	NEED_ASYS();
	NEED_ROOT();
	self->per_user = read_long(SYSCTL_PER_USER);
	ASSERT_EQ(0, write_long(SYSCTL_PER_USER, variant->n));
	for (i = 0; i < 2; i++)
		self->kb[i] = meminfo(stacks[i]);
}

FIXTURE_TEARDOWN(life)
{
	int i;

	EXPECT_EQ(0, write_long(SYSCTL_PER_USER, self->per_user));
	/* Those who had them have been waited for. */
	for (i = 0; i < 2; i++) {
		long kb = meminfo(stacks[i]) - self->kb[i];

		EXPECT_GT(AMISS_KB, kb) {
			TH_LOG("%s: %ld kB more than before", stacks[i], kb);
		}
	}
}

/*
 * Run @child, in a process of a user of its own that has put its share of
 * calls to sleep. The limit holds, and no more is possible.
 */
static pid_t run(int n, void (*child)(int n))
{
	pid_t pid;

	pid = fork();
	if (pid)
		return pid;
	sleepers_init();
	MUST(!setresgid(USER, USER, USER));
	MUST(!setresuid(USER, USER, USER));
	prctl(PR_SET_DUMPABLE, 1);
	MUST(sleepers(n + 1) == n);
	child(n);
	_exit(98);
}

/* Twice: the second one needs what the first one had. */
#define TWICE(child, end, what)						\
do {									\
	int __i;							\
	for (__i = 0; __i < 2; __i++) {					\
		pid_t __pid = run(variant->n, child);			\
		ASSERT_LT(0, __pid);					\
		end(__pid, what);					\
	}								\
} while (0)

static void do_exit_group(int n)
{
	_exit(42);
}

TEST_F(life, exit_group)
{
	TWICE(do_exit_group, EXITS, 42);
}

/* The thread ends, which here is the last one. */
static void do_exit(int n)
{
	syscall(__NR_exit, 43);
}

TEST_F(life, exit)
{
	TWICE(do_exit, EXITS, 43);
}

static void do_kill(int n)
{
	kill(getpid(), SIGKILL);
}

TEST_F(life, sigkill)
{
	TWICE(do_kill, KILLED, SIGKILL);
}

/* Killed by somebody else while it waits for a completion */
static int ready[2];

static void do_await(int n)
{
	struct asys_completion c;

	MUST(write(ready[1], "x", 1) == 1);
	asys_await(&c);
}

TEST_F(life, sigkill_waiting)
{
	char byte;
	int i, k;

	ASSERT_EQ(0, pipe(ready));
	for (i = 0; i < 2; i++) {
		pid_t pid = run(variant->n, do_await);

		ASSERT_LT(0, pid);
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		wait_state(pid, pid, 'S');
		/* What is to be given back is there now. */
		for (k = 0; k < 2; k++)
			EXPECT_LT(variant->n * STACK_KB - AMISS_KB,
				  meminfo(stacks[k]) - self->kb[k]);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		KILLED(pid, SIGKILL);
	}
}

static void do_term(int n)
{
	raise(SIGTERM);
}

TEST_F(life, sigterm)
{
	TWICE(do_term, KILLED, SIGTERM);
}

/*
 * The program starts again as somebody who has nothing outstanding, and can
 * have as many calls asleep as before.
 */
static void __attribute__((constructor)) executed(void)
{
	const char *n = getenv("ASYS_EXECUTED");

	if (!n)
		return;
	MUST(asys_await(NULL) == -1 && errno == ENODATA);
	sleepers_init();
	MUST(sleepers(atoi(n) + 1) == atoi(n));
	_exit(44);
}

static void do_execve(int n)
{
	char *argv[] = { "life_test", NULL }, *envp[2] = {}, env[64];

	snprintf(env, sizeof(env), "ASYS_EXECUTED=%d", n);
	envp[0] = env;
	/* One that fails leaves everything as it was. */
	MUST(execve("/nonexistent", argv, envp) == -1 && errno == ENOENT);
	MUST(sleepers(1) == 0);
	execve("/proc/self/exe", argv, envp);
}

TEST_F(life, execve)
{
	TWICE(do_execve, EXITS, 44);
}

/* A thread with calls asleep executes, another one with calls asleep goes. */
static void *execve_thread(void *arg)
{
	int n = (long)arg;

	MUST(sleepers(n) == n);
	do_execve(2 * n);
	return NULL;
}

static void do_execve_thread(int n)
{
	struct asys_completion c;
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, execve_thread, (void *)(long)n));
	asys_await(&c);
}

TEST_F(life, execve_thread)
{
	int i;

	for (i = 0; i < 2; i++) {
		pid_t pid;

		/* Room for both of them */
		ASSERT_EQ(0, write_long(SYSCTL_PER_USER, 2 * variant->n));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			sleepers_init();
			MUST(!setresgid(USER, USER, USER));
			MUST(!setresuid(USER, USER, USER));
			MUST(sleepers(variant->n) == variant->n);
			do_execve_thread(variant->n);
			_exit(98);
		}
		EXITS(pid, 44);
	}
}

/* The child has nothing of it; what the parent has goes on. */
static void do_fork(int n)
{
	struct asys_completion c;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		MUST(asys_await(&c) == -1 && errno == ENODATA);
		/* The parent's count for the same user. */
		MUST(sleepers(1) == 0);
		_exit(1);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	/* The first one is a reader. */
	MUST(write(on.pipe[1], "x", 1) == 1);
	MUST(!asys_await(&c));
	MUST(c.cookie % 8 == 0 || c.cookie % 8 == 3 || c.cookie % 8 == 7);
	MUST(c.return_code == 1);
	_exit(45);
}

TEST_F(life, fork)
{
	TWICE(do_fork, EXITS, 45);
}

static void do_vfork(int n)
{
	struct asys_completion c;
	int status;
	pid_t pid;

	pid = vfork();
	if (!pid) {
		if (asys_await(&c) != -1 || errno != ENODATA)
			_exit(2);
		_exit(1);
	}
	MUST(waitpid(pid, &status, 0) == pid);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	_exit(46);
}

TEST_F(life, vfork)
{
	TWICE(do_vfork, EXITS, 46);
}

/* A thread ends and leaves nothing to the process that goes on. */
static void *thread_main(void *arg)
{
	int n = (long)arg;

	MUST(sleepers(n + 1) == n);
	return NULL;
}

TEST_F(life, thread_exit)
{
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pthread_t thread;
		int i;

		sleepers_init();
		MUST(!setresgid(USER, USER, USER));
		MUST(!setresuid(USER, USER, USER));
		for (i = 0; i < 3; i++) {
			MUST(!pthread_create(&thread, NULL, thread_main,
					     (void *)(long)variant->n));
			MUST(!pthread_join(thread, NULL));
		}
		MUST(sleepers(variant->n + 1) == variant->n);
		_exit(47);
	}
	EXITS(pid, 47);
}

/* Another thread ends the process of one that waits, or runs in user mode. */
static void *exits(void *arg)
{
	if (arg)
		wait_state(getpid(), getpid(), 'S');
	_exit(48);
}

static void do_exit_by_thread(int n)
{
	struct asys_completion c;
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, exits, "wait"));
	asys_await(&c);
}

TEST_F(life, exit_by_thread)
{
	TWICE(do_exit_by_thread, EXITS, 48);
}

static void do_exit_by_thread_spin(int n)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, exits, NULL));
	for (;;)
		;
}

TEST_F(life, exit_by_thread_spin)
{
	TWICE(do_exit_by_thread_spin, EXITS, 48);
}

/*
 * Threads that have fibrils, and end while somebody wakes them: who has seen that
 * they have some finds none.
 */
static pid_t exiting[2];

static void ignored(int sig)
{
}

static void *ends(void *arg)
{
	struct asys_input nop = { .syscall_nr = __NR_getppid };
	pid_t *tid = arg;

	MUST(asys_submit(&nop, 1) == 1);
	__atomic_store_n(tid, asys_gettid(), __ATOMIC_RELEASE);
	/* The C library would block signals first. */
	syscall(__NR_exit, 0);
	return NULL;
}

static void *wakes(void *arg)
{
	pid_t tid;
	int i;

	for (i = 0; !*(volatile bool *)arg; i ^= 1) {
		tid = __atomic_load_n(&exiting[i], __ATOMIC_ACQUIRE);
		if (tid)
			syscall(__NR_tgkill, getpid(), tid, SIGUSR1);
	}
	return NULL;
}

TEST(woken_while_exiting)
{
	pthread_t waker, thread[2];
	bool stop = false;
	int i;

	NEED_ASYS();
	ASSERT_NE(SIG_ERR, signal(SIGUSR1, ignored));
	ASSERT_EQ(0, pthread_create(&waker, NULL, wakes, &stop));
	for (i = 0; i < 300; i++) {
		exiting[i % 2] = 0;
		ASSERT_EQ(0, pthread_create(&thread[i % 2], NULL, ends, &exiting[i % 2]));
		if (i)
			ASSERT_EQ(0, pthread_join(thread[(i + 1) % 2], NULL));
	}
	ASSERT_EQ(0, pthread_join(thread[(i + 1) % 2], NULL));
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(waker, NULL));
}

/* The core is of a process that is quiet; and it is there. */
static void do_core(int n)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &unlimited);
	abort();
}

TEST_F(life, core_dump)
{
	char dir[] = "/tmp/asysXXXXXX", pattern[64] = {}, cmd[64];
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int fd, i;

	fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	ASSERT_LT(0, read(fd, pattern, sizeof(pattern) - 1));
	close(fd);
	if (strcmp(pattern, "core\n"))
		SKIP(return, "core_pattern is %s", pattern);
	if (setrlimit(RLIMIT_CORE, &unlimited))
		SKIP(return, "no core dumps");
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, chmod(dir, 0777));
	ASSERT_EQ(0, chdir(dir));
	for (i = 0; i < 2; i++) {
		pid_t pid = run(variant->n, do_core);
		struct stat st;
		int status;

		ASSERT_LT(0, pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status)) {
			TH_LOG("status %x", status);
		}
		EXPECT_EQ(SIGABRT, WTERMSIG(status));
		EXPECT_TRUE(WCOREDUMP(status));
		snprintf(cmd, sizeof(cmd), "core.%d", pid);
		EXPECT_TRUE(!stat("core", &st) || !stat(cmd, &st));
		unlink("core");
		unlink(cmd);
	}
	ASSERT_EQ(0, chdir("/"));
	rmdir(dir);
}

/* Results that nobody has fetched go with the task as well. */
static void do_unfetched(int n)
{
	MUST(write(on.pipe[1], "0123456789abcdef", 16) == 16);
	MUST(futex(&on.word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0) >= 0);
	_exit(49);
}

TEST_F(life, unfetched)
{
	TWICE(do_unfetched, EXITS, 49);
}

TEST_HARNESS_MAIN
