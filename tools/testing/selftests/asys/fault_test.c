// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults inside calls: a fibril that touches a cold page sleeps until
 * somebody, home for instance, has filled it.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "asys_test.h"

#define PAGES	64

FIXTURE(fault)
{
	struct cold cold;
	char page[PAGE];
	char buf[16 * PAGE];
	int p[2];
};

FIXTURE_SETUP(fault)
{
	unsigned int i;

	NEED_ASYS();
	NEED_COLD(&self->cold, PAGES);
	for (i = 0; i < PAGE; i++)
		self->page[i] = i * 13 + (i >> 8);
	ASSERT_EQ(0, pipe(self->p));
}

FIXTURE_TEARDOWN(fault)
{
	cold_exit(&self->cold);
}

#define FILL(addr, data)						\
do {									\
	ASSERT_EQ((char *)(addr), cold_wait(&self->cold));		\
	ASSERT_EQ(0, cold_fill(&self->cold, (char *)(addr), data));	\
} while (0)

/* Home is the one who fills the page its fibril waits for. */
TEST_F(fault, read_into_cold)
{
	char *mem = self->cold.mem;

	ASSERT_EQ(5, write(self->p[1], "hello", 5));
	START(1, __NR_read, self->p[0], mem + 10, 100);
	FILL(mem, self->page);
	REAP(1, 5);
	EXPECT_EQ(0, memcmp(mem, self->page, 10));
	EXPECT_EQ(0, memcmp(mem + 10, "hello", 5));
	EXPECT_EQ(0, memcmp(mem + 15, self->page + 15, PAGE - 15));
}

TEST_F(fault, write_from_cold)
{
	char *mem = self->cold.mem;

	START(1, __NR_write, self->p[1], mem, 3 * PAGE);
	FILL(mem, self->page);
	/* It goes on to the next page when it runs. */
	FILL(mem + PAGE, self->page);
	FILL(mem + 2 * PAGE, self->page);
	REAP(1, 3 * PAGE);
	ASSERT_EQ(3 * PAGE, read(self->p[0], self->buf, 3 * PAGE));
	EXPECT_EQ(0, memcmp(self->buf + 2 * PAGE, self->page, PAGE));
}

/* Many fibrils on one page, and one each on others; the last comes first. */
TEST_F(fault, many)
{
	struct asys_completion c;
	char *mem = self->cold.mem;
	int i;

	for (i = 0; i < 100; i++)
		START(i, __NR_getcwd, mem + 16, 1000);
	for (i = 1; i < 50; i++)
		START(100 + i, __NR_uname, mem + i * PAGE);
	for (i = 49; i >= 0; i--) {
		ASSERT_NE(NULL, cold_wait(&self->cold));
		ASSERT_EQ(0, cold_fill(&self->cold, mem + i * PAGE, self->page));
		if (!i)
			break;
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(100 + i, c.cookie);
		EXPECT_EQ(0, c.return_code);
	}
	getcwd(self->buf, 1000);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_GT(100, c.cookie);
		EXPECT_EQ(strlen(self->buf) + 1, c.return_code);
	}
	EXPECT_STREQ(self->buf, mem + 16);
	NOTHING_LEFT();
}

/* A path, read while the call holds nothing */
TEST_F(fault, path)
{
	char *mem = self->cold.mem;
	struct stat st;

	START(1, __NR_newfstatat, AT_FDCWD, mem, &st, 0);
	strcpy(self->page, "/dev/null");
	FILL(mem, self->page);
	REAP(1, 0);
	EXPECT_TRUE(S_ISCHR(st.st_mode));
}

/* The page never comes: what was there is unmapped, and whoever waits looks again. */
TEST_F(fault, unmapped)
{
	struct uffdio_range range = { .len = PAGE };

	START(1, __NR_uname, self->cold.mem);
	ASSERT_EQ(self->cold.mem, cold_wait(&self->cold));
	range.start = (uintptr_t)self->cold.mem;
	ASSERT_EQ(0, ioctl(self->cold.uffd, UFFDIO_UNREGISTER, &range));
	/* Unregistering has woken it, into an ordinary fault. */
	REAP(1, 0);
	EXPECT_EQ('L', self->cold.mem[0]);

	START(2, __NR_uname, self->cold.mem + PAGE);
	ASSERT_EQ(self->cold.mem + PAGE, cold_wait(&self->cold));
	ASSERT_EQ(0, munmap(self->cold.mem + PAGE, PAGE));
	close(self->cold.uffd);
	REAP(2, -EFAULT);
}

/* Requests and arguments that are cold make home sleep, not the call. */
static void *fill_one(void *arg)
{
	void **a = arg;
	char *page = cold_wait(a[0]);

	return (void *)(long)(page ? cold_fill(a[0], page, a[1]) : -EIO);
}

static void *fill_two(void *arg)
{
	void **a = arg;
	void *ret = fill_one(a);

	a[1] = a[2];
	return ret ?: fill_one(a);
}

TEST_F(fault, requests)
{
	void *arg[3] = { &self->cold, self->page, self->buf + PAGE };
	uint64_t *args = (uint64_t *)(self->buf + PAGE);
	struct asys_input *in = (void *)self->page;
	pthread_t thread;
	void *ret;

	START(7, __NR_read, self->p[0], self->buf, 10);
	memset(in, 0, sizeof(*in));
	in->syscall_nr = __NR_write;
	in->cookie = 1;
	in->nr_args = 3;
	in->args = (uintptr_t)(self->cold.mem + PAGE);
	args[0] = self->p[1];
	args[1] = (uintptr_t)"request";
	args[2] = 7;
	ASSERT_EQ(0, pthread_create(&thread, NULL, fill_two, arg));
	ASSERT_EQ(1, asys_submit((void *)self->cold.mem, 1));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	ASSERT_EQ(NULL, ret);
	REAP(1, 7);
	REAP(7, 7);
	EXPECT_EQ(0, memcmp(self->buf, "request", 7));
	NOTHING_LEFT();
}

/* So does the place for a completion. */
TEST_F(fault, completion)
{
	struct asys_completion *c = (void *)self->cold.mem;
	void *arg[2] = { &self->cold, self->page };
	pthread_t thread;
	struct req r;

	REQ(&r, 3, __NR_getppid);
	r.in.flags = 0;
	ASSERT_EQ(1, asys_submit(&r.in, 1));
	START(7, __NR_read, self->p[0], self->buf, 10);
	ASSERT_EQ(0, pthread_create(&thread, NULL, fill_one, arg));
	ASSERT_EQ(0, asys_await(c));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(3, c->cookie);
	EXPECT_EQ(getppid(), c->return_code);
	ASSERT_EQ(1, write(self->p[1], "x", 1));
	REAP(7, 1);
	NOTHING_LEFT();
}

/*
 * Two senders copy from cold pages into packets. A task has one page to
 * carve packets from: two contexts that share it overwrite each other.
 */
struct conn {
	int tx, rx;
};

static int connect_pair(struct conn *c)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int l;

	l = socket(AF_INET, SOCK_STREAM, 0);
	c->tx = socket(AF_INET, SOCK_STREAM, 0);
	if (l < 0 || c->tx < 0 || bind(l, (void *)&addr, len) ||
	    listen(l, 1) || getsockname(l, (void *)&addr, &len) ||
	    connect(c->tx, (void *)&addr, len))
		return -1;
	c->rx = accept(l, NULL, NULL);
	close(l);
	return c->rx;
}

static int read_all(int fd, char *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n <= 0)
			return -1;
		buf += n;
		len -= n;
	}
	return 0;
}

TEST_F(fault, tcp_senders)
{
	char *mem = self->cold.mem, data[3][PAGE], warm[3000];
	struct conn conn[3];
	int i, k, round;

	for (i = 0; i < 3; i++) {
		if (connect_pair(&conn[i]) < 0)
			SKIP(return, "no loopback: %s", strerror(errno));
		for (k = 0; k < (int)PAGE; k++)
			data[i][k] = (k >> 4) * 7 + k + 85 * i;
	}
	memset(warm, 'W', sizeof(warm));

	for (round = 0; round < 16; round++) {
		/*
		 * The first bytes are warm, so that a packet is begun when the
		 * second page faults.
		 */
		char *a = mem + 4 * round * PAGE, *b = a + 2 * PAGE;
		size_t off = PAGE - 64 * (round + 1), len = 2 * PAGE - off;

		ASSERT_EQ(0, cold_fill(&self->cold, a, data[0]));
		ASSERT_EQ(0, cold_fill(&self->cold, b, data[1]));
		START(0, __NR_sendto, conn[0].tx, a + off, len, 0, NULL, 0);
		ASSERT_EQ(a + PAGE, cold_wait(&self->cold));
		START(1, __NR_sendto, conn[1].tx, b + off, len, 0, NULL, 0);
		ASSERT_EQ(b + PAGE, cold_wait(&self->cold));
		/* Home sends as well, and on the first one's heels. */
		ASSERT_EQ(sizeof(warm), send(conn[2].tx, warm, sizeof(warm), 0));
		if (round & 1) {
			ASSERT_EQ(0, cold_fill(&self->cold, b + PAGE, data[1]));
			REAP(1, len);
			ASSERT_EQ(0, cold_fill(&self->cold, a + PAGE, data[0]));
			REAP(0, len);
		} else {
			ASSERT_EQ(0, cold_fill(&self->cold, a + PAGE, data[0]));
			REAP(0, len);
			ASSERT_EQ(0, cold_fill(&self->cold, b + PAGE, data[1]));
			REAP(1, len);
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, read_all(conn[i].rx, self->buf, len));
			EXPECT_EQ(0, memcmp(self->buf, data[i] + off, PAGE - off));
			EXPECT_EQ(0, memcmp(self->buf + PAGE - off, data[i], PAGE));
		}
		ASSERT_EQ(0, read_all(conn[2].rx, self->buf, sizeof(warm)));
		EXPECT_EQ(0, memcmp(self->buf, warm, sizeof(warm)));
	}
}

/* Two offsets that come when both calls have begun */
TEST_F(fault, sendfile_pipe)
{
	char *mem = self->cold.mem;
	int q[2], fd;

	ASSERT_EQ(0, pipe(q));
	fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		SKIP(return, "no temporary files");
	ASSERT_EQ(PAGE, write(fd, self->page, PAGE));
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	START(1, __NR_sendfile, self->p[1], fd, mem, 100);
	START(2, __NR_sendfile, q[1], fd, mem + PAGE, 100);
	memset(self->buf, 0, PAGE);
	ASSERT_EQ(mem, cold_wait(&self->cold));
	ASSERT_EQ(mem + PAGE, cold_wait(&self->cold));
	self->buf[0] = 10;
	ASSERT_EQ(0, cold_fill(&self->cold, mem, self->buf));
	self->buf[0] = 20;
	ASSERT_EQ(0, cold_fill(&self->cold, mem + PAGE, self->buf));
	REAP(1, 100);
	REAP(2, 100);
	ASSERT_EQ(100, read(self->p[0], self->buf, 200));
	EXPECT_EQ(0, memcmp(self->buf, self->page + 10, 100));
	ASSERT_EQ(100, read(q[0], self->buf, 200));
	EXPECT_EQ(0, memcmp(self->buf, self->page + 20, 100));
	EXPECT_EQ(110, *(uint64_t *)mem);
}

/* sendfile(file, file) goes through a pipe that the task keeps for it. */
TEST_F(fault, sendfile_file)
{
	int in, out[4], i, n = 0;
	struct asys_completion c;
	off_t off[4] = {};

	in = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (in < 0)
		SKIP(return, "no temporary files");
	for (i = 0; i < 16; i++) {
		memset(self->buf, 'a' + i, PAGE);
		ASSERT_EQ(PAGE, write(in, self->buf, PAGE));
	}
	for (i = 0; i < 4; i++) {
		int64_t ret;
		int s;

		out[i] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
		ASSERT_LE(0, out[i]);
		off[i] = i * PAGE;
		s = try_start(i, &ret, __NR_sendfile, out[i], in, &off[i], 10 * PAGE);
		ASSERT_LE(0, s);
		if (s)
			EXPECT_EQ(10 * PAGE, ret);
		n += !s;
	}
	while (n--) {
		ASSERT_EQ(0, asys_await(&c));
		EXPECT_EQ(10 * PAGE, c.return_code);
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(10 * PAGE, pread(out[i], self->buf, 16 * PAGE, 0));
		EXPECT_EQ('a' + i, self->buf[0]);
		EXPECT_EQ('a' + i + 9, self->buf[10 * PAGE - 1]);
	}
}

TEST_HARNESS_MAIN
