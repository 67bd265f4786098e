// SPDX-License-Identifier: GPL-2.0
/*
 * Walking a tree: each directory is read with getdents64, and statx is called for
 * each entry.  io_uring cannot read directories.  The disk takes 1 ms for each
 * request; cold, nothing of it is in memory.
 */
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "peers.h"

#define DIRS		64
#define FILES		32
#define ENTRIES		(DIRS + DIRS * FILES)
#define WHERE		"/tmp/asys-bench-walk"
#define REPEAT		5

struct dirent64_k {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

struct dir {
	struct dir *next;
	char path[64];
	int fd;
	/* what there is of it in buf[], and how far we are */
	int size, at;
	/* calls that use it, and whether it is in to_stat */
	unsigned int calls;
	bool listed;
	char buf[4096];
};

/* What has been found */
struct found {
	unsigned long entries, bytes;
};

static struct dir *new_dir(const char *parent, const char *name)
{
	struct dir *d = malloc(sizeof(*d));

	if (!d)
		errx(1, "no memory");
	if (parent)
		snprintf(d->path, sizeof(d->path), "%s/%s", parent, name);
	else
		snprintf(d->path, sizeof(d->path), "%s", name);
	d->fd = -1;
	d->size = 0;
	d->at = 0;
	d->calls = 0;
	d->listed = false;
	return d;
}

static struct dirent64_k *next_entry(struct dir *d)
{
	struct dirent64_k *e;

	while (d->at < d->size) {
		e = (void *)(d->buf + d->at);
		d->at += e->reclen;
		if (strcmp(e->name, ".") && strcmp(e->name, "..") &&
		    strcmp(e->name, "lost+found"))
			return e;
	}
	return NULL;
}

__inline_all struct call open_call(struct dir *d)
{
	return CALL(__NR_openat, AT_FDCWD, P(d->path), O_RDONLY | O_DIRECTORY);
}

__inline_all struct call read_call(struct dir *d)
{
	return CALL(__NR_getdents64, d->fd, P(d->buf), sizeof(d->buf));
}

__inline_all struct call stat_call(struct dir *d, struct dirent64_k *e, struct statx *stx)
{
	return CALL(__NR_statx, d->fd, P(e->name), AT_SYMLINK_NOFOLLOW,
		    STATX_TYPE | STATX_SIZE, P(stx));
}

static long call(struct call c)
{
	long ret = make_call(&c);

	if (ret < 0)
		errx(1, "call %u: %s", c.nr, strerror(-ret));
	return ret;
}

/* One directory, one call after the other; its directories go to @list. */
static void walk_dir(struct dir *d, struct dir **list, struct found *found)
{
	struct dirent64_k *e;
	struct statx stx;
	struct dir *sub;

	d->fd = call(open_call(d));
	while ((d->size = call(read_call(d)))) {
		d->at = 0;
		while ((e = next_entry(d))) {
			call(stat_call(d, e, &stx));
			found->entries++;
			if (S_ISDIR(stx.stx_mode)) {
				sub = new_dir(d->path, e->name);
				sub->next = *list;
				*list = sub;
			} else {
				found->bytes += stx.stx_size;
			}
		}
	}
	close(d->fd);
	free(d);
}

static void walk_plain(struct found *found)
{
	struct dir *list = new_dir(NULL, WHERE), *d;

	list->next = NULL;
	while ((d = list)) {
		list = d->next;
		walk_dir(d, &list, found);
	}
}

/* Threads: each takes a directory from the list that they have in common. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct dir *common;
static int busy;

static void *walker(void *arg)
{
	struct found *total = arg, mine = { };
	struct dir *d, *subs, *last;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!common && busy)
			pthread_cond_wait(&more, &lock);
		if (!common)
			break;
		d = common;
		common = d->next;
		busy++;
		pthread_mutex_unlock(&lock);

		subs = NULL;
		walk_dir(d, &subs, &mine);

		pthread_mutex_lock(&lock);
		busy--;
		if (subs) {
			for (last = subs; last->next; last = last->next)
				;
			last->next = common;
			common = subs;
		}
		if (subs || !busy)
			pthread_cond_broadcast(&more);
	}
	total->entries += mine.entries;
	total->bytes += mine.bytes;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void walk_threads(struct found *found, int n)
{
	pthread_t thread[32];
	int i;

	common = new_dir(NULL, WHERE);
	common->next = NULL;
	for (i = 0; i < n; i++)
		if (pthread_create(&thread[i], NULL, walker, found))
			errx(1, "pthread_create");
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

/*
 * asys: a call in flight has a slot, which is its cookie.  A directory is opened,
 * read, and read again when all that was in it has been asked about.
 */

#define SLOTS	128
#define BATCH	32

static struct slot {
	struct slot *next;
	struct dir *dir;
	/* for statx: what it was called for */
	struct dirent64_k *entry;
	struct statx stx;
} slots[SLOTS], *free_slots;
static unsigned int in_flight, nr_requests;
/* Directories that are to be opened or read, and that have entries left */
static struct dir *to_read, *to_stat;

static void push(struct dir **list, struct dir *d)
{
	d->next = *list;
	*list = d;
}

static struct slot *take_slot(struct dir *d, struct dirent64_k *e)
{
	struct slot *s = free_slots;

	free_slots = s->next;
	s->dir = d;
	s->entry = e;
	d->calls++;
	in_flight++;
	return s;
}

/* Add requests; false: nothing is left, and nothing in flight. */
static bool add_some(void)
{
	struct asys_request *req = requests, *end = requests + BATCH;
	struct dirent64_k *e;
	struct slot *s;
	struct dir *d;

	while (req != end && free_slots) {
		/* What has been begun comes first: fewer are open at a time. */
		d = to_stat;
		if (!d) {
			d = to_read;
			if (!d)
				break;
			to_read = d->next;
			s = take_slot(d, NULL);
			if (d->fd < 0)
				asys_set(req++, open_call(d), P(s));
			else
				asys_set(req++, read_call(d), P(s));
			continue;
		}
		while (req != end && free_slots && (e = next_entry(d))) {
			s = take_slot(d, e);
			asys_set(req++, stat_call(d, e, &s->stx), P(s));
		}
		if (d->at == d->size) {
			to_stat = d->next;
			d->listed = false;
			if (!d->calls)
				push(&to_read, d);
		}
	}
	nr_requests = req - requests;
	return in_flight;
}

/* @d has been opened, or read. */
static void dir_finished(struct dir *d, long ret)
{
	if (d->fd < 0) {
		d->fd = ret;
		push(&to_read, d);
	} else if (!ret) {
		close(d->fd);
		free(d);
	} else {
		d->size = ret;
		d->at = 0;
		d->listed = true;
		push(&to_stat, d);
	}
}

static void finished(struct slot *s, long ret, struct found *found)
{
	struct dir *d = s->dir;

	if (ret < 0)
		errx(1, "%s: %s", d->path, strerror(-ret));
	s->next = free_slots;
	free_slots = s;
	in_flight--;
	d->calls--;
	if (!s->entry) {
		dir_finished(d, ret);
		return;
	}
	found->entries++;
	if (S_ISDIR(s->stx.stx_mode))
		push(&to_read, new_dir(d->path, s->entry->name));
	else
		found->bytes += s->stx.stx_size;
	if (!d->calls && !d->listed)
		push(&to_read, d);
}

static void begin(void)
{
	int i;

	free_slots = NULL;
	for (i = SLOTS - 1; i >= 0; i--) {
		slots[i].next = free_slots;
		free_slots = &slots[i];
	}
	push(&to_read, new_dir(NULL, WHERE));
}

static void walk_asys(struct found *found)
{
	struct asys_completion *c;
	uint32_t head = ring->head, tail;

	begin();
	while (add_some()) {
		/* There is something to wait for if there was nothing to do. */
		if (asys_enter(requests, nr_requests, nr_requests < BATCH) != nr_requests)
			errx(1, "asys_enter");
		tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
		for (; head != tail; head++) {
			c = &ring->completions[head & (RING_ENTRIES - 1)];
			finished((void *)(unsigned long)c->cookie, c->return_code, found);
		}
		__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
	}
}

/* The same program, but for plain calls instead of asys_enter(). */
static void walk_calls(struct found *found)
{
	struct asys_request *req;
	long ret[BATCH];
	unsigned int i;

	begin();
	while (add_some()) {
		for (i = 0; i < nr_requests; i++) {
			req = &requests[i];
			ret[i] = make_call(&CALL(req->nr, req->args[0], req->args[1],
						 req->args[2], req->args[3], req->args[4]));
		}
		for (i = 0; i < nr_requests; i++)
			finished((void *)(unsigned long)requests[i].cookie, ret[i], found);
	}
}

/* A file system without a journal on the disk, made once */
static bool walk_setup(const struct row *row)
{
	char name[64];
	int i, k, fd;

	(void)row;
	if (!access(WHERE "/0", F_OK))
		return true;
	if (!null_blk("walk", 1000000, true))
		return false;
	if (system("mke2fs -F -b 4096 -I 256 /dev/walk >/dev/null"))
		return false;
	mkdir(WHERE, 0755);
	if (mount("/dev/walk", WHERE, "ext4", 0, NULL))
		err(1, "mount");
	for (i = 0; i < DIRS; i++) {
		/* Eight of them in the first, and so on */
		if (i < 8)
			snprintf(name, sizeof(name), WHERE "/%d", i);
		else
			snprintf(name, sizeof(name), WHERE "/%d/%d", i % 8, i / 8);
		if (mkdir(name, 0755))
			err(1, "%s", name);
		for (k = 0; k < FILES; k++) {
			size_t end = strlen(name);

			snprintf(name + end, sizeof(name) - end, "/file%d", k);
			fd = open(name, O_CREAT | O_WRONLY, 0644);
			if (fd < 0 || ftruncate(fd, 1000))
				err(1, "%s", name);
			close(fd);
			name[end] = 0;
		}
	}
	sync();
	return true;
}

static int by_busy(const void *a, const void *b)
{
	const struct measured *x = a, *y = b;

	return x->busy < y->busy ? -1 : x->busy > y->busy;
}

/* Arguments of the rows */
enum { CACHED, COLD, SAME_PROGRAM };

static void walk(const struct row *row, enum peer peer)
{
	struct measured m[REPEAT];
	struct found found;
	int i;

	/* What is freed is used again, and not given back: no page faults. */
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	for (i = -1; i < REPEAT; i++) {
		memset(&found, 0, sizeof(found));
		if (row->arg == COLD)
			xwrite("/proc/sys/vm/drop_caches", "3");
		start(&m[i < 0 ? 0 : i]);
		if (peer == PLAIN && row->arg == SAME_PROGRAM)
			walk_calls(&found);
		else if (peer == PLAIN)
			walk_plain(&found);
		else if (peer == ASYS)
			walk_asys(&found);
		else
			walk_threads(&found, peer_threads(peer));
		stop(&m[i < 0 ? 0 : i]);
		if (found.entries != ENTRIES || found.bytes != DIRS * FILES * 1000)
			errx(1, "found %lu entries, %lu bytes", found.entries, found.bytes);
	}
	qsort(m, REPEAT, sizeof(m[0]), by_busy);
	report((double)m[REPEAT / 2].busy / ENTRIES, (double)m[REPEAT / 2].elapsed / ENTRIES);
}

#define WALK .batch = ENTRIES, .setup = walk_setup, .measure = walk
#define ALL .peers = 1 << PLAIN | 1 << POOL4 | 1 << POOL32 | 1 << ASYS

const struct row walk_rows[] = {
	{ "tree walk, cached", WALK, ALL },
	{ "cached walk, same program", .arg = SAME_PROGRAM, WALK,
	  .peers = 1 << PLAIN | 1 << ASYS },
	{ "tree walk, cold", .arg = COLD, .idles = true, WALK, ALL },
	{ }
};
