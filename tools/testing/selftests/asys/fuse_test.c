// SPDX-License-Identifier: GPL-2.0
/*
 * A FUSE file system whose server is home: it answers what its fibrils ask, when
 * it wants to, and in the order that it wants.
 */
#include <linux/fuse.h>
#include <poll.h>
#include <sys/mount.h>

#include "asys_test.h"

#define ACL		"system.posix_acl_access"
#define MOUNT_POINT	"/tmp/asys-fuse"

/* The smallest access control list: as the mode of a file has it */
struct acl {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entry[3];
};

#define ACL_OF(user, others)						\
	{								\
		.version = 2,						\
		.entry = {						\
			{ 0x01, user, -1U },				\
			{ 0x04, others, -1U },				\
			{ 0x20, others, -1U },				\
		},							\
	}

struct question {
	struct fuse_in_header head;
	char body[3 * PAGE];
};

FIXTURE(fuse) {
	int dev, fd;
	struct question q;
};

/* The next question: whether it is @opcode */
static bool ask(int dev, struct question *q, uint32_t opcode)
{
	struct pollfd p = { .fd = dev, .events = POLLIN };

	return poll(&p, 1, -1) == 1 && read(dev, q, sizeof(*q)) > 0 &&
	       q->head.opcode == opcode;
}

static bool answer(int dev, uint64_t unique, const void *body, size_t len)
{
	struct {
		struct fuse_out_header head;
		char body[256];
	} a = { .head = { .len = sizeof(a.head) + len, .unique = unique } };

	if (len)
		memcpy(a.body, body, len);
	return write(dev, &a, a.head.len) == a.head.len;
}

/* What there is to be known before a file can be opened, and its number */
static bool answer_open(int dev, struct question *q)
{
	struct fuse_attr_out dir = {
		.attr_valid = 1000,
		.attr = { .ino = FUSE_ROOT_ID, .mode = S_IFDIR | 0755, .nlink = 2 },
	};
	struct fuse_entry_out file = {
		.nodeid = 2,
		.entry_valid = 1000,
		.attr_valid = 1000,
		.attr = { .ino = 2, .mode = S_IFREG | 0755, .nlink = 1 },
	};
	struct fuse_open_out open = { .fh = 1 };

	for (;;) {
		if (ask(dev, q, FUSE_OPEN))
			return answer(dev, q->head.unique, &open, sizeof(open));
		if (q->head.opcode == FUSE_GETATTR)
			answer(dev, q->head.unique, &dir, sizeof(dir));
		else if (q->head.opcode == FUSE_LOOKUP)
			answer(dev, q->head.unique, &file, sizeof(file));
		else
			return false;
	}
}

FIXTURE_SETUP(fuse)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_POSIX_ACL,
		.max_write = PAGE,
		.time_gran = 1,
	};
	struct asys_completion c;
	char options[128];

	NEED_ASYS();
	NEED_ROOT();
	self->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (self->dev < 0)
		SKIP(return, "no FUSE: %s", strerror(errno));
	mkdir(MOUNT_POINT, 0755);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0",
		 self->dev);
	ASSERT_EQ(0, mount("asys", MOUNT_POINT, "fuse", 0, options));
	ASSERT_TRUE(ask(self->dev, &self->q, FUSE_INIT));
	ASSERT_TRUE(answer(self->dev, self->q.head.unique, &init, sizeof(init)));
	START(0, __NR_openat, AT_FDCWD, MOUNT_POINT "/file", O_RDONLY);
	ASSERT_TRUE(answer_open(self->dev, &self->q));
	ASSERT_EQ(0, asys_await(&c));
	self->fd = c.return_code;
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(fuse)
{
	if (self->dev < 0)
		return;
	/* Nobody answers any more. */
	close(self->dev);
	close(self->fd);
	umount2(MOUNT_POINT, MNT_DETACH);
	rmdir(MOUNT_POINT);
}

/*
 * Who reads an access control list keeps it for others, unless it has changed
 * since it was asked for.  Another context of the task that asks after the change
 * does not make that forgotten:
 *
 *	first fibril		second fibril		home
 *	asks
 *				sets another one
 *	(somebody asks again)	asks
 *	gets the old one
 *							gets what is kept
 */
TEST_F(fuse, acl)
{
	struct acl old = ACL_OF(7, 5), new = ACL_OF(7, 0), got[3] = {};
	uint64_t first, second;
	int64_t ret = 0;

	START(1, __NR_fgetxattr, self->fd, ACL, &got[0], sizeof(got[0]));
	ASSERT_TRUE(ask(self->dev, &self->q, FUSE_GETXATTR));
	first = self->q.head.unique;

	START(2, __NR_fsetxattr, self->fd, ACL, &new, sizeof(new), 0);
	ASSERT_TRUE(ask(self->dev, &self->q, FUSE_SETXATTR));
	ASSERT_TRUE(answer(self->dev, self->q.head.unique, NULL, 0));
	REAP(2, 0);

	START(3, __NR_fgetxattr, self->fd, ACL, &got[1], sizeof(got[1]));
	ASSERT_TRUE(ask(self->dev, &self->q, FUSE_GETXATTR));
	second = self->q.head.unique;

	ASSERT_TRUE(answer(self->dev, first, &old, sizeof(old)));
	REAP(1, sizeof(old));
	EXPECT_EQ(0, memcmp(&got[0], &old, sizeof(old)));
	ASSERT_TRUE(answer(self->dev, second, &new, sizeof(new)));
	REAP(3, sizeof(new));
	EXPECT_EQ(0, memcmp(&got[1], &new, sizeof(new)));

	/* It has been kept: nobody is asked. */
	ASSERT_EQ(1, try_start(4, &ret, __NR_fgetxattr, self->fd, ACL, &got[2],
			       sizeof(got[2])));
	EXPECT_EQ((int64_t)sizeof(new), ret);
	EXPECT_EQ(0, memcmp(&got[2], &new, sizeof(new)));
	NOTHING_LEFT();
}

/* A call that is cancelled tells the server, and ends when that has answered. */
TEST_F(fuse, interrupt)
{
	uint64_t cookie = 1;
	struct acl acl = ACL_OF(7, 5), got;
	uint64_t unique;

	START(cookie, __NR_fgetxattr, self->fd, ACL, &got, sizeof(got));
	ASSERT_TRUE(ask(self->dev, &self->q, FUSE_GETXATTR));
	unique = self->q.head.unique;
	ASSERT_EQ(0, syscall(__NR_asys_control, ASYS_CTL_CANCEL, &cookie, 8));
	ASSERT_TRUE(ask(self->dev, &self->q, FUSE_INTERRUPT));
	EXPECT_EQ(unique, *(uint64_t *)self->q.body);
	ASSERT_TRUE(answer(self->dev, unique, &acl, sizeof(acl)));
	REAP(cookie, sizeof(acl));
	NOTHING_LEFT();
}

TEST_HARNESS_MAIN
