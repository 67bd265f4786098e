/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of asynchronous system calls share.
 *
 * A call submitted with ASYS_F_REPORT that comes back without ASYS_F_DONE is
 * asleep: no test has to wait for that, or to guess.
 */
#ifndef ASYS_TEST_H
#define ASYS_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/asys.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"

/* A debug kernel under emulation is two orders slower than a machine. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	150

#ifndef __NR_asys_submit
#define __NR_asys_submit		480
#define __NR_asys_await_completion	481
#define __NR_asys_enter			482
#define __NR_asys_control		483
#endif

/* linux/fs.h does not go with sys/uio.h. */
#ifndef FIFREEZE
#define FIFREEZE	_IOWR('X', 119, int)
#define FITHAW		_IOWR('X', 120, int)
#endif

#define PAGE	4096UL

static inline long asys_submit(struct asys_input *requests, unsigned long nr)
{
	return syscall(__NR_asys_submit, requests, nr);
}

static inline long asys_await(struct asys_completion *comp)
{
	return syscall(__NR_asys_await_completion, comp);
}

/* A request and its arguments: REQ(r, cookie, nr, args...) fills one in. */
struct req {
	struct asys_input in;
	uint64_t args[6];
};

static inline void __req(struct req *r, uint64_t cookie, int nr, int nr_args,
			 const uint64_t *args)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->args, args, nr_args * sizeof(*args));
	r->in.syscall_nr = nr;
	r->in.flags = ASYS_F_REPORT;
	r->in.cookie = cookie;
	r->in.nr_args = nr_args;
	r->in.args = (uintptr_t)r->args;
}

#define __U0()			0
#define __U1(a)			(uintptr_t)(a)
#define __U2(a, ...)		(uintptr_t)(a), __U1(__VA_ARGS__)
#define __U3(a, ...)		(uintptr_t)(a), __U2(__VA_ARGS__)
#define __U4(a, ...)		(uintptr_t)(a), __U3(__VA_ARGS__)
#define __U5(a, ...)		(uintptr_t)(a), __U4(__VA_ARGS__)
#define __U6(a, ...)		(uintptr_t)(a), __U5(__VA_ARGS__)
#define __NARGS(_0, _1, _2, _3, _4, _5, _6, n, ...)	n
#define NARGS(...)		__NARGS(0, ##__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0)
#define __CAT(a, b)		a##b
#define CAT(a, b)		__CAT(a, b)
#define ARGS(...)	((const uint64_t[]){ CAT(__U, NARGS(__VA_ARGS__))(__VA_ARGS__) })

#define REQ(r, cookie, nr, ...)	\
	__req(r, cookie, nr, NARGS(__VA_ARGS__), ARGS(__VA_ARGS__))

/*
 * Submit one call. 1: finished, its result is in *ret; 0: asleep; otherwise
 * it was not taken, -errno.
 */
static inline int __start(uint64_t cookie, int64_t *ret, int nr, int nr_args,
			  const uint64_t *args)
{
	struct req r;
	long n;

	*ret = 0;
	__req(&r, cookie, nr, nr_args, args);
	n = asys_submit(&r.in, 1);
	if (n != 1)
		return n < 0 ? -errno : -EPROTO;
	if (!(r.in.flags & ASYS_F_DONE))
		return 0;
	*ret = r.in.return_code;
	return 1;
}

#define try_start(cookie, ret, nr, ...)	\
	__start(cookie, ret, nr, NARGS(__VA_ARGS__), ARGS(__VA_ARGS__))

/* Submit a call that has to sleep. */
#define START(cookie, nr, ...)						\
do {									\
	int64_t __ret = 0;						\
	int __s = try_start(cookie, &__ret, nr, ##__VA_ARGS__);		\
	ASSERT_EQ(0, __s) {						\
		TH_LOG(#nr ": state %d, result %lld", __s, (long long)__ret); \
	}								\
} while (0)

/* Fetch one completion, which has to be this one. */
#define REAP(_cookie, result)						\
do {									\
	struct asys_completion __c = {};				\
	ASSERT_EQ(0, asys_await(&__c)) {				\
		TH_LOG("await: %s", strerror(errno));			\
	}								\
	EXPECT_EQ((uint64_t)(_cookie), __c.cookie);			\
	EXPECT_EQ((int64_t)(result), __c.return_code);			\
} while (0)

/* Nothing is in flight, and nothing is left. */
#define NOTHING_LEFT()							\
do {									\
	struct asys_completion __c;					\
	ASSERT_EQ(-1, asys_await(&__c));				\
	ASSERT_EQ(ENODATA, errno);					\
} while (0)

/* Make one call, asleep or not, and return what it returns: -errno. */
static inline int64_t __call(int nr, int nr_args, const uint64_t *args)
{
	struct asys_completion c;
	int64_t ret = 0;
	int s;

	s = __start(0x63616c6c, &ret, nr, nr_args, args);
	if (s == 0) {
		if (asys_await(&c))
			return -errno;
		if (c.cookie != 0x63616c6c)
			return -EPROTO;
		ret = c.return_code;
	}
	return s < 0 ? s : ret;
}

#define acall(nr, ...)	__call(nr, NARGS(__VA_ARGS__), ARGS(__VA_ARGS__))

/* The kernel has the calls, or the test is of no use here. */
#define NEED_ASYS()							\
do {									\
	if (asys_await(NULL) == -1 && errno == ENOSYS)			\
		SKIP(return, "no asynchronous system calls");		\
} while (0)

#define NEED_ROOT()							\
do {									\
	if (geteuid())							\
		SKIP(return, "not root");				\
} while (0)

/*
 * In processes and threads in which the harness' assertions mean nothing
 */
#define MUST(cond)							\
do {									\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d: %s (errno %d: %s)\n", __FILE__, \
			__LINE__, #cond, errno, strerror(errno));	\
		_exit(99);						\
	}								\
} while (0)

#define EXITS(pid, code)						\
do {									\
	int __status;							\
	ASSERT_EQ(pid, waitpid(pid, &__status, 0));			\
	ASSERT_TRUE(WIFEXITED(__status)) {				\
		TH_LOG("status %x", __status);				\
	}								\
	ASSERT_EQ(code, WEXITSTATUS(__status));				\
} while (0)

#define KILLED(pid, sig)						\
do {									\
	int __status;							\
	ASSERT_EQ(pid, waitpid(pid, &__status, 0));			\
	ASSERT_TRUE(WIFSIGNALED(__status)) {				\
		TH_LOG("status %x", __status);				\
	}								\
	ASSERT_EQ(sig, WTERMSIG(__status));				\
} while (0)

static inline pid_t asys_gettid(void)
{
	return syscall(__NR_gettid);
}

/* The state letter of a thread, as ps shows it. */
static inline char task_state(pid_t pid, pid_t tid)
{
	char path[64], buf[512], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 'X';
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 'X';
	buf[n] = 0;
	p = strrchr(buf, ')');
	return p && p[1] ? p[2] : '?';
}

/* Wait until a thread sleeps, stops, ...; or is no more. */
static inline void wait_state(pid_t pid, pid_t tid, char state)
{
	char now;

	do {
		sched_yield();
		now = task_state(pid, tid);
	} while (now != state && now != 'X' && now != 'Z');
}

static inline int futex(uint32_t *uaddr, int op, uint32_t val, void *timeout,
			uint32_t *uaddr2, uint32_t val3)
{
	return syscall(__NR_futex, uaddr, op, val, timeout, uaddr2, val3);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline int pin_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* Up to two CPUs to use; returns how many there are. */
static inline int two_cpus(int cpu[2])
{
	cpu_set_t set;
	int i, n = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (i = 0; i < CPU_SETSIZE && n < 2; i++) {
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	}
	return n;
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

static inline long read_long(const char *path)
{
	char buf[64] = {};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = 0;
	close(fd);
	return strtol(buf, NULL, 10);
}

static inline int write_long(const char *path, long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", value);
	return write_file(path, buf);
}

#define SYSCTL_PER_TASK	"/proc/sys/kernel/fibrils_per_task"
#define SYSCTL_PER_USER	"/proc/sys/kernel/fibrils_per_user"
#define SYSCTL_DISABLED	"/proc/sys/kernel/asys_disabled"

static inline long env_long(const char *name, long dflt)
{
	const char *s = getenv(name);

	return s && *s ? strtol(s, NULL, 0) : dflt;
}

/* A directory on a file system with a journal, on a disk; NULL if none. */
static inline const char *disk_dir(void)
{
	static const char * const dirs[] = { "/mnt/scratch", "/scratch" };
	const char *dir = getenv("ASYS_TEST_DIR");
	struct statfs fs;
	unsigned int i;

	if (dir)
		return !statfs(dir, &fs) ? dir : NULL;
	for (i = 0; i < 2; i++) {
		if (!statfs(dirs[i], &fs) && fs.f_type == 0xEF53)
			return dirs[i];
	}
	return NULL;
}

/*
 * Cold pages: memory in which the first access sleeps until somebody answers.
 */
struct cold {
	int uffd;
	char *mem;
	size_t len;
};

static inline int cold_init(struct cold *c, size_t pages)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;

	c->len = pages * PAGE;
	c->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (c->uffd < 0)
		return -errno;
	if (ioctl(c->uffd, UFFDIO_API, &api))
		return -errno;
	c->mem = mmap(NULL, c->len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->mem == MAP_FAILED)
		return -errno;
	reg.range.start = (uintptr_t)c->mem;
	reg.range.len = c->len;
	reg.mode = UFFDIO_REGISTER_MODE_MISSING;
	return ioctl(c->uffd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static inline void cold_exit(struct cold *c)
{
	munmap(c->mem, c->len);
	close(c->uffd);
}

/* Wait for an access, and return its page. */
static inline char *cold_wait(struct cold *c)
{
	struct uffd_msg msg;

	do {
		if (read(c->uffd, &msg, sizeof(msg)) != sizeof(msg))
			return NULL;
	} while (msg.event != UFFD_EVENT_PAGEFAULT);
	return (char *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE - 1));
}

/* Answer it, with a page of data. */
static inline int cold_fill(struct cold *c, char *page, const void *data)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)data,
		.len = PAGE,
	};

	return ioctl(c->uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

#define NEED_COLD(c, pages)						\
do {									\
	int __err = cold_init(c, pages);				\
	if (__err == -ENOSYS || __err == -EPERM)			\
		SKIP(return, "no userfaultfd: %s", strerror(-__err));	\
	ASSERT_EQ(0, __err);						\
} while (0)

#endif /* ASYS_TEST_H */
