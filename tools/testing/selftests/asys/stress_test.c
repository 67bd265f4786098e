// SPDX-License-Identifier: GPL-2.0
/*
 * A random mix of calls, in several processes, with several threads each, on
 * all CPUs. Each result is what the plain call returned, or would return.
 *
 * ASYS_STRESS_SECONDS says for how long, 120 by default; ASYS_STRESS_SEED, with
 * which random numbers.
 */
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "asys_test.h"

/* It ends by itself. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	1000000

#define FLIGHTS	32

/* A call, what it should return, and what it needs until it does */
struct flight {
	bool used;
	int64_t want;
	int fd[2];
	char buf[64];
	struct pollfd pfd;
	struct timespec ts;
	struct stat st;
	uint32_t word;
	enum { NOTHING, WRITE, WAKE } wake;
	/* checks beside the result */
	bool (*check)(struct flight *f, int64_t ret);
};

struct worker {
	uint64_t seed;
	struct flight f[FLIGHTS];
	int flying;
	long calls, slept;
	/* what plain calls have said */
	struct stat st;
	int dir, file;
	char data[4096];
};

static uint32_t rnd(struct worker *w, uint32_t n)
{
	w->seed = w->seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (w->seed >> 33) % n;
}

static bool check_text(struct flight *f, int64_t ret)
{
	return ret <= 0 || !memcmp(f->buf, "0123456789abcdefghijklmnopqrstuv", ret);
}

static bool check_close(struct flight *f, int64_t ret)
{
	return ret < 0 || !close(ret);
}

static bool check_unmap(struct flight *f, int64_t ret)
{
	return ret <= 0 || !munmap((void *)ret, 4 * PAGE);
}

/* All see the same file. */
static struct worker *check_worker;
static volatile int stop;

static bool check_stat(struct flight *f, int64_t ret)
{
	return f->st.st_ino == check_worker->st.st_ino &&
	       f->st.st_size == check_worker->st.st_size;
}

static void close_pair(struct flight *f)
{
	if (f->fd[0] >= 0)
		close(f->fd[0]);
	if (f->fd[1] >= 0)
		close(f->fd[1]);
	f->fd[0] = -1;
	f->fd[1] = -1;
}

static void landed(struct worker *w, struct flight *f, int64_t ret)
{
	if (ret != f->want && !(f->want == INT64_MAX && ret >= 0)) {
		fprintf(stderr, "# flight %ld: %lld, not %lld\n", (long)(f - w->f),
			(long long)ret, (long long)f->want);
		_exit(99);
	}
	MUST(!f->check || f->check(f, ret));
	close_pair(f);
	f->used = false;
	w->flying--;
}

/* Submit something random. */
static void takeoff(struct worker *w, struct flight *f)
{
	uint64_t cookie = f - w->f;
	int len = 1 + rnd(w, 32), s;
	int64_t ret;

	memset(f, 0, sizeof(*f));
	f->used = true;
	f->fd[0] = -1;
	f->fd[1] = -1;
	f->want = len;
	w->flying++;
	w->calls++;

#define GO(nr, ...)	s = try_start(cookie, &ret, nr, ##__VA_ARGS__)
	switch (rnd(w, 16)) {
	case 0:
		MUST(!pipe(f->fd));
		f->wake = WRITE;
		f->check = check_text;
		GO(__NR_read, f->fd[0], f->buf, len);
		break;
	case 1:
		MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, f->fd));
		f->wake = WRITE;
		f->check = check_text;
		GO(__NR_recvfrom, f->fd[0], f->buf, len, MSG_WAITALL, NULL, NULL);
		break;
	case 2:
		MUST(!pipe(f->fd));
		f->wake = WRITE;
		f->want = 1;
		f->pfd = (struct pollfd){ .fd = f->fd[0], .events = POLLIN };
		GO(__NR_poll, &f->pfd, 1, -1);
		break;
	case 3:
		f->wake = WAKE;
		f->want = 0;
		GO(__NR_futex, &f->word, FUTEX_WAIT, 0, NULL, NULL, 0);
		break;
	case 4:
		f->ts.tv_nsec = rnd(w, 2000000);
		f->want = 0;
		GO(__NR_nanosleep, &f->ts, NULL);
		break;
	case 5:
		f->ts.tv_nsec = rnd(w, 1000000);
		f->want = -ETIMEDOUT;
		GO(__NR_futex, &f->word, FUTEX_WAIT, 0, &f->ts, NULL, 0);
		break;
	case 6:
		f->want = 0;
		f->check = check_stat;
		GO(__NR_newfstatat, w->file, "", &f->st, AT_EMPTY_PATH);
		break;
	case 7:
		f->want = INT64_MAX;
		f->check = check_close;
		GO(__NR_openat, w->dir, "file", O_RDWR, 0);
		break;
	case 8:
		f->want = -ENOENT;
		GO(__NR_openat, w->dir, "none", O_RDWR, 0);
		break;
	case 9:
		memcpy(f->buf, "0123456789abcdefghijklmnopqrstuv", 32);
		GO(__NR_pwrite64, w->file, f->buf, len, 64 * cookie);
		break;
	case 10:
		f->want = 0;
		GO(__NR_fdatasync, w->file);
		break;
	case 11:
		f->want = INT64_MAX;
		f->check = check_unmap;
		GO(__NR_mmap, NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 12:
		f->want = asys_gettid();
		GO(__NR_gettid);
		break;
	case 13:
		f->want = -EINVAL;
		GO(__NR_mprotect, w->data + 1, 1, PROT_READ);
		break;
	case 14:
		f->want = -EBADF;
		GO(__NR_read, -1, f->buf, len);
		break;
	default:
		f->want = INT64_MAX;
		f->check = check_close;
		GO(__NR_eventfd2, 0, 0);
		break;
	}
#undef GO
	MUST(s >= 0);
	if (s)
		landed(w, f, ret);
	else
		w->slept++;
}

/* What a call waits for happens. */
static void wake(struct worker *w, struct flight *f)
{
	switch (f->wake) {
	case WRITE:
		/* All of it: some want no less. */
		MUST(write(f->fd[1], "0123456789abcdefghijklmnopqrstuv", 32) == 32);
		break;
	case WAKE:
		MUST(futex(&f->word, FUTEX_WAKE, 1, NULL, NULL, 0) == 1);
		break;
	case NOTHING:
		break;
	}
	f->wake = NOTHING;
}

static void reap(struct worker *w)
{
	struct asys_completion c;

	while (asys_await(&c))
		MUST(errno == EINTR);
	MUST(c.cookie < FLIGHTS && w->f[c.cookie].used);
	landed(w, &w->f[c.cookie], c.return_code);
}

static void on_signal(int sig)
{
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int i;

	while (!stop) {
		struct flight *f = &w->f[rnd(w, FLIGHTS)];

		if (!f->used) {
			takeoff(w, f);
			continue;
		}
		switch (rnd(w, 4)) {
		case 0:
			wake(w, f);
			break;
		case 1:
			/* Everything that waits for us may come now. */
			for (i = 0; i < FLIGHTS; i++)
				if (w->f[i].used)
					wake(w, &w->f[i]);
			while (w->flying)
				reap(w);
			break;
		case 2:
			w->data[rnd(w, sizeof(w->data))]++;
			sched_yield();
			break;
		case 3:
			raise(SIGUSR1);
			break;
		}
	}
	for (i = 0; i < FLIGHTS; i++)
		if (w->f[i].used)
			wake(w, &w->f[i]);
	while (w->flying)
		reap(w);
	return NULL;
}

FIXTURE(stress)
{
	char dir[128];
	uint64_t seed;
	long seconds;
};

FIXTURE_SETUP(stress)
{
	const char *disk = disk_dir();

	NEED_ASYS();
	self->seconds = env_long("ASYS_STRESS_SECONDS", 120);
	self->seed = env_long("ASYS_STRESS_SEED", time(NULL));
	snprintf(self->dir, sizeof(self->dir), "%s/asysXXXXXX", disk ?: "/tmp");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	printf("# seed %llu, %ld seconds\n", (unsigned long long)self->seed,
	       self->seconds);
	fflush(stdout);
}

FIXTURE_TEARDOWN(stress)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/file", self->dir);
	unlink(path);
	rmdir(self->dir);
}

TEST_F(stress, mix)
{
	pid_t pid[3];
	char path[192], block[4096] = {};
	int i, k, fd;

	snprintf(path, sizeof(path), "%s/file", self->dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(block), write(fd, block, sizeof(block)));
	close(fd);

	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			static struct worker w[3];
			struct sigaction sa = { .sa_handler = on_signal };
			uint64_t end = now_ns() + self->seconds * 1000000000ULL;
			pthread_t thread[3];
			long calls = 0, slept = 0;
			int left;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			/* Of three, one restarts. */
			sa.sa_flags = i ? 0 : SA_RESTART;
			sigaction(SIGUSR1, &sa, NULL);
			for (k = 0; k < 3; k++) {
				w[k].seed = self->seed * 31 + i * 3 + k;
				w[k].dir = open(self->dir, O_RDONLY | O_DIRECTORY);
				w[k].file = open(path, O_RDWR);
				MUST(!fstat(w[k].file, &w[k].st));
			}
			check_worker = &w[0];
			for (k = 0; k < 3; k++)
				MUST(!pthread_create(&thread[k], NULL, work, &w[k]));
			for (left = self->seconds; now_ns() < end; left--) {
				sleep(1);
				if (!i && left % 60 == 0) {
					printf("# %d seconds left\n", left);
					fflush(stdout);
				}
			}
			stop = 1;
			for (k = 0; k < 3; k++) {
				MUST(!pthread_join(thread[k], NULL));
				calls += w[k].calls;
				slept += w[k].slept;
			}
			printf("# %ld calls, %ld slept\n", calls, slept);
			fflush(stdout);
			MUST(slept > 0 && slept < calls);
			_exit(7);
		}
	}
	for (i = 0; i < 3; i++)
		EXITS(pid[i], 7);
}

TEST_HARNESS_MAIN
