// SPDX-License-Identifier: GPL-2.0
/*
 * Signals are for home. A fibril does not see them, home does not lose them,
 * and nobody sees a number that only the kernel knows (512 to 516).
 */
#include <net/if.h>
#include <poll.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "asys_test.h"

static volatile sig_atomic_t handled;
static int handler_fd = -1;

static void handler(int sig)
{
	int err = errno;

	handled++;
	if (handler_fd >= 0 && write(handler_fd, "signal", 6) != 6)
		_exit(97);
	errno = err;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	sigaction(sig, &sa, NULL);
}

FIXTURE(signals)
{
	int p[2];
	char buf[256];
};

FIXTURE_SETUP(signals)
{
	NEED_ASYS();
	ASSERT_EQ(0, pipe(self->p));
	handled = 0;
	handler_fd = -1;
}

FIXTURE_TEARDOWN(signals)
{
}

/* A thread that signals home once home sleeps */
struct sender {
	pthread_t thread;
	pid_t home;
	int sig;
	int fd;
};

static void *sender_main(void *arg)
{
	struct sender *s = arg;
	sigset_t set;

	/* Whatever is sent to the process is for home. */
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	wait_state(getpid(), s->home, 'S');
	syscall(__NR_tgkill, getpid(), s->home, s->sig);
	if (s->fd > 0) {
		while (!handled)
			sched_yield();
		if (write(s->fd, "sender", 6) != 6)
			_exit(97);
	}
	return NULL;
}

#define SENDER(s, ...)							\
	struct sender s = { .home = asys_gettid(), .sig = SIGUSR1,	\
			    ##__VA_ARGS__ };				\
	ASSERT_EQ(0, pthread_create(&s.thread, NULL, sender_main, &s))

TEST_F(signals, await_interrupted)
{
	struct asys_completion c;

	handle(SIGUSR1, 0);
	START(1, __NR_read, self->p[0], self->buf, 64);
	SENDER(s);
	ASSERT_EQ(-1, asys_await(&c));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(1, handled);
	pthread_join(s.thread, NULL);
	/* The call sleeps on. */
	ASSERT_EQ(4, write(self->p[1], "data", 4));
	REAP(1, 4);
	NOTHING_LEFT();
}

/* Restarted, and then ended by what the sender writes after the handler ran */
TEST_F(signals, await_restarted)
{
	handle(SIGUSR1, SA_RESTART);
	START(1, __NR_read, self->p[0], self->buf, 64);
	SENDER(s, .fd = self->p[1]);
	REAP(1, 6);
	EXPECT_EQ(1, handled);
	EXPECT_EQ(0, memcmp(self->buf, "sender", 6));
	pthread_join(s.thread, NULL);
}

/* The handler itself ends the call that home waits for. */
TEST_F(signals, await_restarted_handler_writes)
{
	handle(SIGUSR1, SA_RESTART);
	handler_fd = self->p[1];
	START(1, __NR_read, self->p[0], self->buf, 64);
	SENDER(s);
	REAP(1, 6);
	EXPECT_EQ(1, handled);
	EXPECT_EQ(0, memcmp(self->buf, "signal", 6));
	pthread_join(s.thread, NULL);
}

/* No handler, no interruption */
TEST_F(signals, await_ignored)
{
	struct sigaction ign = { .sa_handler = SIG_IGN };

	sigaction(SIGUSR1, &ign, NULL);
	handled = 1;
	START(1, __NR_read, self->p[0], self->buf, 64);
	SENDER(s, .fd = self->p[1]);
	REAP(1, 6);
	pthread_join(s.thread, NULL);
}

/* A result that is there is fetched, signal or not. */
TEST_F(signals, await_done_first)
{
	sigset_t set;

	handle(SIGUSR1, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	START(1, __NR_read, self->p[0], self->buf, 64);
	handler_fd = self->p[1];
	raise(SIGUSR1);
	REAP(1, 6);
	EXPECT_EQ(1, handled);
	NOTHING_LEFT();
}

/* Home's other calls are interrupted as always. */
TEST_F(signals, home_read_interrupted)
{
	int q[2];

	ASSERT_EQ(0, pipe(q));
	handle(SIGUSR1, 0);
	START(1, __NR_read, self->p[0], self->buf, 64);
	SENDER(s);
	ASSERT_EQ(-1, read(q[0], self->buf, 1));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(1, handled);
	pthread_join(s.thread, NULL);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
}

TEST_F(signals, home_read_restarted)
{
	int q[2];

	ASSERT_EQ(0, pipe(q));
	handle(SIGUSR1, SA_RESTART);
	handler_fd = q[1];
	START(1, __NR_read, self->p[0], self->buf, 64);
	SENDER(s);
	ASSERT_EQ(6, read(q[0], self->buf, 64));
	EXPECT_EQ(1, handled);
	pthread_join(s.thread, NULL);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
}

/*
 * One of each kind of sleep that a signal would end in home; signals of each
 * sort; and each goes on until its event comes.
 */
TEST_F(signals, fibrils_undisturbed)
{
	static const struct timespec ages = { .tv_sec = 100000 };
	struct pollfd fd = { .fd = self->p[0], .events = POLLIN };
	struct itimerval it = { .it_value.tv_usec = 1 };
	struct asys_completion c;
	uint32_t word = 0;
	int q[2], ep, i;

	ASSERT_EQ(0, pipe(q));
	ep = epoll_create1(0);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->p[0],
			       &(struct epoll_event){ .events = EPOLLIN }));
	handle(SIGUSR1, 0);
	handle(SIGALRM, 0);
	handle(SIGCHLD, 0);
	START(0, __NR_read, q[0], self->buf, 64);
	START(1, __NR_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	START(2, __NR_poll, &fd, 1, -1);
	START(3, __NR_epoll_wait, ep, self->buf + 64, 1, -1);
	START(4, __NR_nanosleep, &ages, NULL);
	for (i = 0; i < 200; i++)
		raise(SIGUSR1);
	ASSERT_EQ(200, handled);
	setitimer(ITIMER_REAL, &it, NULL);
	while (handled == 200)
		;
	i = fork();
	if (!i)
		_exit(0);
	while (waitpid(i, NULL, 0) < 0)
		ASSERT_EQ(EINTR, errno);
	while (handled == 201)
		;

	ASSERT_EQ(1, write(q[1], "x", 1));
	REAP(0, 1);
	ASSERT_EQ(1, futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
	REAP(1, 0);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_TRUE(c.cookie == 2 || c.cookie == 3);
		EXPECT_EQ(1, c.return_code);
	}
}

/* A thousand signals while home waits, and fibrils that come and go */
struct flood {
	pthread_t thread;
	pid_t home;
	int stop;
	int sig[2];
};

static void *flood_main(void *arg)
{
	struct flood *f = arg;
	sigset_t set;

	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		int before = handled;

		syscall(__NR_tgkill, getpid(), f->home, f->sig[0]);
		syscall(__NR_tgkill, getpid(), f->home, f->sig[1]);
		/* The second one has a handler. */
		while (handled == before && !__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
			sched_yield();
	}
	return NULL;
}

TEST_F(signals, flood)
{
	struct flood f = { .home = asys_gettid(), .sig = { SIGUSR1, SIGUSR2 } };
	struct asys_completion c;
	int i, eintr = 0;

	handle(SIGUSR1, 0);
	handle(SIGUSR2, SA_RESTART);
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, flood_main, &f));
	for (i = 0; i < 500 || !eintr; i++) {
		struct timespec ts = { .tv_nsec = 50000 };
		int64_t ret;
		int s;

		/* It may be over before it sleeps. */
		s = try_start(i, &ret, __NR_nanosleep, &ts, NULL);
		ASSERT_LE(0, s);
		ASSERT_EQ(0, ret);
		if (s)
			continue;
		while (asys_await(&c)) {
			ASSERT_EQ(EINTR, errno);
			eintr++;
		}
		ASSERT_EQ(i, c.cookie);
		ASSERT_EQ(0, c.return_code);
	}
	__atomic_store_n(&f.stop, 1, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
	NOTHING_LEFT();
}

/*
 * Masks of ppoll() and the like: looked at, and not applied
 */

TEST_F(signals, ppoll_mask)
{
	struct pollfd fd = { .fd = self->p[0], .events = POLLIN };
	struct epoll_event ev = { .events = EPOLLIN };
	sigset_t none, usr1, set;
	struct { const void *mask; size_t size; } six;
	fd_set fds;
	int ep, i;

	handle(SIGUSR1, 0);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	/* Pending: with an empty mask, home's ppoll() would end at once. */
	raise(SIGUSR1);
	ASSERT_EQ(-1, ppoll(&fd, 1, NULL, &none));
	ASSERT_EQ(EINTR, errno);
	ASSERT_EQ(1, handled);
	raise(SIGUSR1);

	ep = epoll_create1(0);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->p[0], &ev));
	FD_ZERO(&fds);
	FD_SET(self->p[0], &fds);
	six.mask = &none;
	six.size = 8;
	START(0, __NR_ppoll, &fd, 1, NULL, &none, 8);
	START(1, __NR_epoll_pwait, ep, self->buf, 1, -1, &none, 8);
	START(2, __NR_epoll_pwait2, ep, self->buf + 32, 1, NULL, &none, 8);
	START(3, __NR_pselect6, self->p[0] + 1, &fds, NULL, NULL, NULL, &six);

	/* Home's mask is what it was, and the signal has not come through. */
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &set));
	EXPECT_EQ(1, sigismember(&set, SIGUSR1));
	EXPECT_EQ(1, handled);
	ASSERT_EQ(0, sigpending(&set));
	EXPECT_EQ(1, sigismember(&set, SIGUSR1));

	ASSERT_EQ(1, write(self->p[1], "x", 1));
	for (i = 0; i < 4; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(1, c.return_code);
	}
	EXPECT_EQ(1, handled);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &set));
	EXPECT_EQ(1, sigismember(&set, SIGUSR1));

	/* Bad ones are as bad as in home. */
	EXPECT_EQ(-EINVAL, acall(__NR_ppoll, &fd, 1, NULL, &none, 7));
	EXPECT_EQ(-EFAULT, acall(__NR_ppoll, &fd, 1, NULL, 1, 8));
	EXPECT_EQ(-EINVAL, acall(__NR_epoll_pwait, ep, self->buf, 1, -1, &none, 4));
	EXPECT_EQ(-EFAULT, acall(__NR_epoll_pwait, ep, self->buf, 1, -1, 1, 8));
	six.size = 3;
	EXPECT_EQ(-EINVAL, acall(__NR_pselect6, 0, NULL, NULL, NULL, NULL, &six));

	/* Let it in. */
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, &none, NULL));
	EXPECT_EQ(2, handled);
	NOTHING_LEFT();
}

/* Home's own mask for the time of a call is not undone by a fibril's end. */
TEST_F(signals, home_ppoll)
{
	struct pollfd fd = { .fd = self->p[0], .events = POLLIN };
	sigset_t none, usr1, set;
	int q[2];

	ASSERT_EQ(0, pipe(q));
	handle(SIGUSR1, 0);
	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	START(1, __NR_ppoll, &fd, 1, NULL, &none, 8);
	SENDER(s);
	fd.fd = q[0];
	ASSERT_EQ(-1, ppoll(&(struct pollfd){ .fd = q[0], .events = POLLIN }, 1,
			    NULL, &none));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(1, handled);
	pthread_join(s.thread, NULL);
	ASSERT_EQ(0, sigprocmask(SIG_SETMASK, NULL, &set));
	EXPECT_EQ(1, sigismember(&set, SIGUSR1));
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(1, 1);
}

/*
 * signalfd
 */

TEST_F(signals, signalfd_read)
{
	struct signalfd_siginfo si[2];
	sigset_t usr1;
	int fd;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	fd = signalfd(-1, &usr1, 0);
	if (fd < 0)
		SKIP(return, "no signalfd");
	START(1, __NR_read, fd, si, sizeof(si));
	raise(SIGUSR1);
	REAP(1, sizeof(si[0]));
	EXPECT_EQ(SIGUSR1, si[0].ssi_signo);
	EXPECT_EQ(getpid(), si[0].ssi_pid);
	/* One for the process */
	START(2, __NR_read, fd, si, sizeof(si));
	kill(getpid(), SIGUSR1);
	REAP(2, sizeof(si[0]));
	NOTHING_LEFT();
}

/*
 * A fibril that takes a signal off the queue looks whether more are pending,
 * and must not say no while home is on its way out of a call because of one:
 * home would return the number that asks for a restart.
 */
TEST_F(signals, no_errno_512)
{
	struct flood f = { .home = asys_gettid(), .sig = { SIGUSR1, SIGUSR2 } };
	struct signalfd_siginfo si;
	int fd, q[2], i, eintr = 0, readers = 4;
	sigset_t usr1;

	ASSERT_EQ(0, pipe(q));
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	fd = signalfd(-1, &usr1, 0);
	if (fd < 0)
		SKIP(return, "no signalfd");
	handle(SIGUSR2, 0);
	for (i = 0; i < 4; i++)
		START(i, __NR_read, fd, &si, sizeof(si));
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, flood_main, &f));
	for (i = 0; i < 2000 || !eintr; i++) {
		struct timespec ts = { .tv_nsec = 100000 };
		struct asys_completion c;
		int64_t r;
		int ret, s;

		switch (i % 4) {
		case 0:
			/* -ERESTART_RESTARTBLOCK */
			ret = nanosleep(&ts, NULL);
			break;
		case 1:
			/* -ERESTARTNOHAND */
			ret = ppoll(&(struct pollfd){ .fd = q[0], .events = POLLIN },
				    1, &ts, NULL);
			break;
		case 2:
			/* -ERESTARTSYS */
			s = try_start(1, &r, __NR_read, fd, &si, sizeof(si));
			ASSERT_LE(0, s);
			readers += !s;
			ret = readers ? asys_await(&c) : 0;
			if (ret || !readers)
				break;
			ASSERT_EQ((int64_t)sizeof(si), c.return_code);
			readers--;
			break;
		default:
			ret = poll(&(struct pollfd){ .fd = q[0], .events = POLLIN }, 1, 1);
			break;
		}
		if (ret < 0) {
			ASSERT_EQ(EINTR, errno) {
				TH_LOG("call %d: %d", i % 4, errno);
			}
			eintr++;
		}
	}
	__atomic_store_n(&f.stop, 1, __ATOMIC_RELAXED);
	pthread_join(f.thread, NULL);
}

/*
 * restart_block: home's sleep goes on where it was after a stop, although
 * fibrils have slept with restart blocks of their own in between.
 */
TEST_F(signals, restart_block)
{
	struct timespec mine = { .tv_nsec = 30000000 };
	pid_t pid;
	int status;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct timespec ts = { .tv_nsec = 1000000 };
		struct pollfd fd = { .fd = self->p[0], .events = POLLIN };
		struct asys_completion c;
		uint64_t t = now_ns();
		int i, s, asleep = 0;
		int64_t ret;

		for (i = 0; i < 20; i++) {
			s = try_start(i, &ret, __NR_nanosleep, &ts, NULL);
			MUST(s == 0 || (s == 1 && ret == 0));
			asleep += !s;
		}
		s = try_start(i, &ret, __NR_poll, &fd, 1, 5);
		MUST(s == 0 || (s == 1 && ret == 0));
		asleep += !s;
		MUST(nanosleep(&mine, NULL) == 0);
		MUST(now_ns() - t >= 30000000);
		while (asleep--)
			MUST(!asys_await(&c) && c.return_code == 0);
		_exit(7);
	}
	wait_state(pid, pid, 'S');
	while (!kill(pid, SIGSTOP)) {
		ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
		if (WIFEXITED(status))
			break;
		ASSERT_TRUE(WIFSTOPPED(status));
		ASSERT_EQ(0, kill(pid, SIGCONT));
		/* Let it move. */
		usleep(1000);
	}
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(7, WEXITSTATUS(status));
}

/* Sent by a fibril to its own task: home takes it. */
TEST_F(signals, fibril_kills)
{
	handle(SIGUSR1, 0);
	EXPECT_EQ(0, acall(__NR_tgkill, getpid(), asys_gettid(), SIGUSR1));
	EXPECT_EQ(1, handled);
	EXPECT_EQ(0, acall(__NR_kill, getpid(), SIGUSR1));
	EXPECT_EQ(2, handled);
	/* Broken pipe: the signal is home's, the error the fibril's. */
	handle(SIGPIPE, 0);
	close(self->p[0]);
	EXPECT_EQ(-EPIPE, acall(__NR_write, self->p[1], "x", 1));
	EXPECT_EQ(3, handled);
}

/* One that is pending ends the batch: the rest has not been looked at. */
TEST_F(signals, ends_batch)
{
	struct asys_input in[3];
	struct req r[3];
	sigset_t usr1;
	int i;

	handle(SIGUSR1, 0);
	REQ(&r[0], 1, __NR_tgkill, getpid(), asys_gettid(), SIGUSR1);
	REQ(&r[1], 2, __NR_getppid);
	REQ(&r[2], 3, __NR_getppid);
	for (i = 0; i < 3; i++) {
		in[i] = r[i].in;
		in[i].flags = 0;
	}
	ASSERT_EQ(1, asys_submit(in, 3));
	EXPECT_EQ(1, handled);
	REAP(1, 0);
	NOTHING_LEFT();
	ASSERT_EQ(2, asys_submit(in + 1, 2));
	REAP(2, getppid());
	REAP(3, getppid());

	/* One that is blocked does not. */
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &usr1, NULL));
	ASSERT_EQ(3, asys_submit(in, 3));
	EXPECT_EQ(1, handled);
	REAP(1, 0);
	REAP(2, getppid());
	REAP(3, getppid());
	NOTHING_LEFT();
}

/*
 * -ERESTARTSYS: a process in the background that reads from its terminal gets a
 * signal, and is to try again after that.
 */
TEST_F(signals, background_read)
{
	char name[64];
	int pty, tty;
	pid_t pid;

	pty = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	if (pty < 0)
		SKIP(return, "no pseudo-terminals");
	ASSERT_EQ(0, unlockpt(pty));
	ASSERT_EQ(0, ptsname_r(pty, name, sizeof(name)));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int status;

		MUST(setsid() == getpid());
		/* It becomes the terminal of the session. */
		tty = open(name, O_RDWR);
		MUST(tty >= 0);
		pid = fork();
		MUST(pid >= 0);
		if (!pid) {
			struct asys_completion c;
			uint64_t args[] = { tty, (uintptr_t)self->buf, 1 };
			struct asys_input in = {
				.syscall_nr = __NR_read,
				.nr_args = 3,
				.args = (uintptr_t)args,
			};

			MUST(!setpgid(0, 0));
			handle(SIGTTIN, SA_RESTART);
			/* In the request, and in a completion */
			MUST(acall(__NR_read, tty, self->buf, 1) == -EINTR);
			MUST(handled == 1);
			MUST(asys_submit(&in, 1) == 1);
			MUST(handled == 2);
			MUST(!asys_await(&c) && c.return_code == -EINTR);
			_exit(7);
		}
		MUST(waitpid(pid, &status, 0) == pid);
		MUST(WIFEXITED(status));
		_exit(WEXITSTATUS(status));
	}
	EXITS(pid, 7);
}

/*
 * -ERESTARTNOINTR without a signal: who writes to a file of a network device
 * does not wait for the lock that others hold, but comes again.  Here, one call
 * holds it, and waits for a page.
 */
TEST_F(signals, call_again)
{
	const char *path = "/sys/class/net/lo/tx_queue_len";
	char page[PAGE] = {}, len[32], *where;
	struct ethtool_value *link;
	struct asys_completion c;
	struct asys_input in[2];
	struct ifreq ifr = {};
	struct cold cold = {};
	uint64_t cookie = 2;
	int sock, fd, n, i;
	struct req r[2];

	NEED_ROOT();
	fd = open(path, O_RDWR);
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || sock < 0)
		SKIP(return, "no network");
	n = read(fd, len, sizeof(len));
	ASSERT_LT(0, n);
	NEED_COLD(&cold, 2);
	/* The command is there, and where the answer goes is not. */
	link = (void *)(cold.mem + PAGE - sizeof(link->cmd));
	((__u32 *)page)[PAGE / sizeof(__u32) - 1] = ETHTOOL_GLINK;
	ASSERT_EQ(0, cold_fill(&cold, cold.mem, page));
	strcpy(ifr.ifr_name, "lo");
	ifr.ifr_data = (void *)link;
	START(1, __NR_ioctl, sock, SIOCETHTOOL, &ifr);
	where = cold_wait(&cold);
	ASSERT_EQ(cold.mem + PAGE, where);

	/* It is on its way again, and again, until it is cancelled. */
	START(2, __NR_pwrite64, fd, len, n, 0);
	ASSERT_EQ(-1, syscall(__NR_asys_control, ASYS_CTL_CANCEL, &cookie,
			      sizeof(cookie)));
	ASSERT_EQ(EALREADY, errno);
	REAP(2, -ECANCELED);

	/* Home has no signal, and does not hear of it. */
	REQ(&r[0], 3, __NR_pwrite64, fd, len, n, 0);
	REQ(&r[1], 4, __NR_getppid);
	in[0] = r[0].in;
	in[1] = r[1].in;
	ASSERT_EQ(2, asys_submit(in, 2));
	EXPECT_EQ(0U, in[0].flags & ASYS_F_DONE);
	EXPECT_EQ(ASYS_F_DONE, in[1].flags & ASYS_F_DONE);
	ASSERT_EQ(0, cold_fill(&cold, where, page));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(c.cookie == 1 ? 0 : n, c.return_code);
	}
	EXPECT_EQ(1, link->data);
	NOTHING_LEFT();
	cold_exit(&cold);
}

TEST_HARNESS_MAIN
