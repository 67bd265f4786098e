// SPDX-License-Identifier: GPL-2.0
/*
 * A call that waits for a 9P server, which is a thread here: when the call is to
 * end, the client tells the server, and waits for the answer to that.
 */
#include <stddef.h>
#include <sys/mount.h>

#include "asys_test.h"

enum {
	RLERROR = 7,
	TGETATTR = 24,
	TVERSION = 100,
	TATTACH = 104,
	TFLUSH = 108,
	TCLUNK = 120,
};

#pragma pack(push, 1)
struct message {
	uint32_t size;
	uint8_t type;
	uint16_t tag;
	uint8_t body[8185];
};

/* What TGETATTR asks for; of the last ones each is 64 bits. */
struct attributes {
	uint64_t valid;
	uint8_t qid[13];
	uint32_t mode, uid, gid;
	uint64_t nlink, rest[14];
};

#pragma pack(pop)

#define HEAD	offsetof(struct message, body)

struct server {
	int in, out;
	/* Answer no TGETATTR any more, nor a TFLUSH; how many of each there were */
	int hold, held, flushed;
	/* Answer the TFLUSH. */
	int go;
};

static void answer(struct server *s, struct message *m, uint8_t type, size_t len)
{
	m->size = HEAD + len;
	m->type = type;
	MUST(write(s->out, m, m->size) == (ssize_t)m->size);
}

static int look(int *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void set(int *word, int value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static bool get(int fd, void *buf, size_t len)
{
	char *p = buf;
	ssize_t n;

	for (; len; len -= n, p += n) {
		n = read(fd, p, len);
		if (n <= 0)
			return false;
	}
	return true;
}

static void *server_main(void *arg)
{
	struct attributes attr = {
		.valid = 0x7ff, .qid = { 0x80 }, .mode = S_IFDIR | 0755, .nlink = 2,
	};
	uint32_t error = ENOSYS;
	struct server *s = arg;
	struct message m;

	while (get(s->in, &m, HEAD) && get(s->in, m.body, m.size - HEAD)) {
		switch (m.type) {
		case TVERSION:
			answer(s, &m, m.type + 1, m.size - HEAD);
			break;
		case TATTACH:
			memcpy(m.body, attr.qid, sizeof(attr.qid));
			answer(s, &m, m.type + 1, sizeof(attr.qid));
			break;
		case TGETATTR:
			if (look(&s->hold)) {
				set(&s->held, s->held + 1);
				break;
			}
			memcpy(m.body, &attr, sizeof(attr));
			answer(s, &m, m.type + 1, sizeof(attr));
			break;
		case TFLUSH:
			set(&s->flushed, s->flushed + 1);
			while (!look(&s->go))
				usleep(1000);
			answer(s, &m, m.type + 1, 0);
			break;
		case TCLUNK:
			answer(s, &m, m.type + 1, 0);
			break;
		default:
			memcpy(m.body, &error, sizeof(error));
			answer(s, &m, RLERROR, sizeof(error));
		}
	}
	return NULL;
}

FIXTURE(net9p)
{
	struct server server;
	pthread_t thread;
	struct asys_ring *ring;
	char dir[32];
	int p[2];
};

FIXTURE_SETUP(net9p)
{
	struct asys_ring_setup setup = { .entries = 8 };
	int to[2], from[2];
	char options[128];

	NEED_ASYS();
	NEED_ROOT();
	ASSERT_EQ(0, pipe(self->p));
	ASSERT_EQ(0, pipe2(to, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(from, O_CLOEXEC));
	self->server = (struct server){ .in = to[0], .out = from[1] };
	strcpy(self->dir, "/tmp/asys9p.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, server_main, &self->server));
	snprintf(options, sizeof(options),
		 "trans=fd,rfdno=%d,wfdno=%d,version=9p2000.L,cache=none", from[0], to[1]);
	if (mount("asys", self->dir, "9p", 0, options)) {
		ASSERT_TRUE(errno == ENODEV || errno == EINVAL) {
			TH_LOG("mount: %s", strerror(errno));
		}
		SKIP(return, "no 9P through descriptors");
	}
	close(from[0]);
	close(to[1]);

	self->ring = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->ring);
	setup.ring = (uintptr_t)self->ring;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_RING, &setup, sizeof(setup)));
}

FIXTURE_TEARDOWN(net9p)
{
	set(&self->server.hold, 0);
	set(&self->server.go, 1);
	umount2(self->dir, MNT_DETACH);
	rmdir(self->dir);
}

/* Submit a call that the server does not answer. */
#define START_STATX(_cookie, _timeout, buf)				\
do {									\
	struct asys_request __r = {					\
		.nr = __NR_statx, .cookie = _cookie, .timeout = _timeout, \
		.args = { AT_FDCWD, (uintptr_t)self->dir, AT_STATX_FORCE_SYNC, \
			  STATX_ALL, (uintptr_t)(buf) },		\
	};								\
	set(&self->server.hold, 1);					\
	ASSERT_EQ(1, syscall(__NR_asys_enter, &__r, 1, 0, 0, NULL, 0));	\
	while (!look(&self->server.held))				\
		sched_yield();						\
	ASSERT_EQ(0U, self->ring->tail);				\
} while (0)

/* Cancelled, it waits until the server knows. */
TEST_F(net9p, cancelled)
{
	uint64_t cookie = 7;
	struct statx st;

	START_STATX(cookie, 0, &st);
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_CANCEL, &cookie, sizeof(cookie)));
	while (!look(&self->server.flushed))
		sched_yield();
	/* It has been told, and does not look whether it is again. */
	sched_yield();
	EXPECT_EQ(0U, __atomic_load_n(&self->ring->tail, __ATOMIC_ACQUIRE));
	set(&self->server.go, 1);
	ASSERT_EQ(0, syscall(__NR_asys_enter, NULL, 0, 1, 0, NULL, 0));
	ASSERT_EQ(1U, self->ring->tail);
	EXPECT_EQ(-ECANCELED, self->ring->completions[0].return_code);
	EXPECT_EQ(1, self->server.flushed);
}

static void nothing(int sig)
{
	(void)sig;
}

struct sender {
	struct server *server;
	pid_t home;
	int fd;
	/* Home has been interrupted. */
	int done;
};

/* Alone on the CPU of home: the call is late, and home has a signal, when it runs. */
static void *sender_main(void *arg)
{
	struct sched_param fifo = { .sched_priority = 1 };
	struct sender *s = arg;
	uint64_t until;
	int i;

	wait_state(getpid(), s->home, 'S');
	MUST(!sched_setscheduler(0, SCHED_FIFO, &fifo));
	until = now_ns() + 600000000;
	while (now_ns() < until)
		;
	MUST(!syscall(__NR_tgkill, getpid(), s->home, SIGUSR1));
	fifo.sched_priority = 0;
	MUST(!sched_setscheduler(0, SCHED_OTHER, &fifo));
	while (!look(&s->server->flushed))
		usleep(1000);
	/* Lest home sleep for ever: it should have been done long ago. */
	for (i = 0; i < 10000 && !look(&s->done); i++)
		usleep(1000);
	MUST(write(s->fd, "x", 1) == 1);
	return NULL;
}

/* What interrupts home is not taken away by a call that goes on though it is late. */
TEST_F(net9p, signal)
{
	struct sigaction act = { .sa_handler = nothing };
	struct sender s = { &self->server, asys_gettid(), self->p[1], 0 };
	pthread_t thread;
	struct statx st;
	int cpu[2];
	char c;

	ASSERT_EQ(0, sigaction(SIGUSR1, &act, NULL));
	two_cpus(cpu);
	ASSERT_EQ(0, pin_to(cpu[0]));
	ASSERT_EQ(0, pthread_create(&thread, NULL, sender_main, &s));
	START_STATX(8, 500000, &st);
	EXPECT_EQ(-1, read(self->p[0], &c, 1));
	EXPECT_EQ(EINTR, errno);
	set(&s.done, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	set(&self->server.go, 1);
	ASSERT_EQ(0, syscall(__NR_asys_enter, NULL, 0, 1, 0, NULL, 0));
	ASSERT_EQ(1U, self->ring->tail);
	EXPECT_EQ(-ETIMEDOUT, self->ring->completions[0].return_code);
}

TEST_HARNESS_MAIN
