// SPDX-License-Identifier: GPL-2.0
/* Disks that do nothing, or remember what is written, in a time of our choice. */
#include <sys/mount.h>

#include "bench.h"

#define NULLB	"/sys/kernel/config/nullb"

static void set(const char *disk, const char *name, unsigned long value)
{
	char path[128];

	snprintf(path, sizeof(path), NULLB "/%s/%s", disk, name);
	xwrite(path, "%lu", value);
}

bool null_blk(const char *name, unsigned long ns, bool memory)
{
	char path[128];
	int i;

	if (access(NULLB, F_OK))
		mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	snprintf(path, sizeof(path), NULLB "/%s", name);
	/* One of that name is left by the peer before. */
	if (!access(path, F_OK) && rmdir(path))
		err(1, "%s", path);
	if (mkdir(path, 0755))
		return false;
	set(name, "irqmode", ns ? 2 : 1);
	if (ns)
		set(name, "completion_nsec", ns);
	set(name, "memory_backed", memory);
	set(name, "size", 64);
	set(name, "blocksize", memory ? 512 : 4096);
	set(name, "hw_queue_depth", 256);
	set(name, "submit_queues", 1);
	set(name, "power", 1);
	snprintf(path, sizeof(path), "/dev/%s", name);
	for (i = 0; i < 100 && access(path, F_OK); i++)
		usleep(10000);
	snprintf(path, sizeof(path), "/sys/block/%s/queue/scheduler", name);
	xwrite(path, "none");
	return true;
}
