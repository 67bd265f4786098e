// SPDX-License-Identifier: GPL-2.0
/*
 * A task without fibrils: two processes that wake each other.  Of interest
 * beside the same figure of a kernel without this series.
 */
#include <sched.h>
#include <sys/wait.h>

#include "bench.h"

static int there[2], back[2];

static void pass_on(int from, int to)
{
	char c;
	struct call r = CALL(__NR_read, from, P(&c), 1);
	struct call w = CALL(__NR_write, to, P(&c), 1);

	if (make_call(&r) != 1)
		_exit(0);
	make_call(&w);
}

static bool pipes(const struct row *row)
{
	const struct sched_param prio = { .sched_priority = 1 };

	(void)row;
	/*
	 * A fair scheduler takes one of several ways, a fifth apart, by how much
	 * each of the two has run long before; this one always takes the same.
	 */
	if (sched_setscheduler(0, SCHED_FIFO, &prio))
		err(1, "sched_setscheduler");
	if (pipe(there) || pipe(back))
		err(1, "pipe");
	if (!fork()) {
		close(there[1]);
		close(back[0]);
		for (;;)
			pass_on(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	if (write(there[1], "x", 1) != 1)
		err(1, "write");
	return true;
}

static void ping_pong(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		pass_on(back[0], there[1]);
}

#define PING_PONG .batch = 100, .rounds = 100, .only_icount = true, .setup = pipes, \
	.plain = ping_pong

/* The first row of all, and the last: after fibrils have been used. */
const struct row first_rows[] = { { "ping-pong, before", PING_PONG }, { } };
const struct row last_rows[] = { { "ping-pong, after", PING_PONG }, { } };
