// SPDX-License-Identifier: GPL-2.0
/*
 * asys-bench [-i] [-n PROCESSES] [-p PEER] [ROW...]: what system calls cost, made
 * one after the other, with io_uring, libaio, threads, and asys.
 *
 * -i: the machine counts instructions (QEMU with -icount shift=0,sleep=off), and
 * that is what is reported; else nanoseconds.  Each row is measured for each peer
 * in so many processes, and in more if these do not agree on instructions.  ROW is
 * a pattern as in the shell.  Each line of output is a JSON object: the median of
 * the processes, and the lowest and the highest.
 */
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "peers.h"

#define BLOCKS		5
#define MAX_PROCESSES	31
/* So many times as many, if they are further apart than this */
#define MORE		3
#define APART		0.01

bool icount;
volatile uint64_t *soaked;
static pid_t soaker;
static unsigned int processes = 3;
/* Where a process writes what it has found */
static int to_parent;

/* What the processes of a row and peer have found */
struct found {
	double busy[MAX_PROCESSES], elapsed[MAX_PROCESSES];
	unsigned int n;
	/* the status of one that has failed */
	int failed;
};

static const struct row *const tables[] = {
	first_rows, call_rows, disk_rows, sleep_rows, many_rows, walk_rows, last_rows,
};

void report(double busy, double elapsed)
{
	double both[] = { busy, elapsed };

	if (write(to_parent, both, sizeof(both)) != sizeof(both))
		err(1, "write");
}

void xwrite(const char *path, const char *format, ...)
{
	va_list args;
	FILE *f = fopen(path, "w");

	if (!f)
		err(1, "%s", path);
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	if (fclose(f))
		err(1, "%s", path);
}

/*
 * Where everybody sleeps, the clock goes on: what is idle then is used up by
 * a process that nobody waits for, and that counts its own instructions, and
 * nothing else, two by two.
 */
static void soak(void)
{
	struct sched_param none = { };

	soaked = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (soaked == MAP_FAILED)
		err(1, "mmap");
	if (!icount)
		return;
	soaker = fork();
	if (soaker < 0)
		err(1, "fork");
	if (soaker) {
		/* Or it stops itself when it is wanted for the first time. */
		if (waitpid(soaker, NULL, WUNTRACED) != soaker)
			err(1, "waitpid");
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		err(1, "SCHED_IDLE");
	raise(SIGSTOP);
	for (;;)
		asm volatile("1: incq (%0); jmp 1b" : : "r" (soaked) : "memory");
}

/* It is not there where it would only be in the way of the scheduler. */
static void soaking(bool on)
{
	if (soaker && kill(soaker, on ? SIGCONT : SIGSTOP))
		err(1, "kill");
}

static void check_icount(void)
{
	struct measured m;
	uint64_t n, best = UINT64_MAX;
	int i;

	/* Without an interrupt in one of them */
	for (i = 0; i < 10; i++) {
		n = 500000;
		start(&m);
		asm volatile("1: dec %0; jnz 1b" : "+r" (n));
		stop(&m);
		if (m.busy < best)
			best = m.busy;
	}
	if (best < 1000000 || best > 1000100)
		errx(1, "this machine does not count instructions: %llu for 1000000",
		     (unsigned long long)best);
}

static batch_fn *function(const struct row *row, enum peer peer)
{
	switch (peer) {
	case PLAIN:
		return row->plain;
	case URING:
	case URING_DEFER:
		return row->uring;
	case AIO:
		return row->aio;
	case POOL4:
	case POOL32:
		return row->pool;
	case ASYS:
		return row->asys;
	default:
		return NULL;
	}
}

static bool has(const struct row *row, enum peer peer)
{
	if (row->peers && !(row->peers & 1 << peer))
		return false;
	return row->measure || function(row, peer);
}

static int by_size(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static void one_batch(const struct row *row, batch_fn *run, struct measured *sum)
{
	struct measured m;
	unsigned int i;

	memset(result, 0x55, MAX_BATCH * sizeof(*result));
	if (row->before)
		row->before(row->batch);
	start(&m);
	run(row->batch);
	stop(&m);
	for (i = 0; row->expect && i < row->batch; i++)
		if (result[i] != row->expect(i))
			errx(1, "operation %u: %ld instead of %ld", i, result[i],
			     row->expect(i));
	sum->busy += m.busy;
	sum->elapsed += m.elapsed;
}

/* For harness/profile: what is executed between two calls of it, in the last block */
static __attribute__((noinline, section(".mark"))) void mark(void)
{
	asm volatile("");
}

/* The median of some blocks of batches */
static void measure(const struct row *row, enum peer peer)
{
	batch_fn *run = function(row, peer);
	unsigned int rounds = row->rounds ?: 50;
	double busy[BLOCKS], elapsed[BLOCKS];
	unsigned int block, i;

	for (block = 0; block < BLOCKS; block++) {
		struct measured sum = { };

		/* Everything is there the second time. */
		for (i = 0; i < (block ? 1 : rounds / 2 + 3); i++)
			one_batch(row, run, &sum);
		memset(&sum, 0, sizeof(sum));
		if (block == BLOCKS - 1)
			mark();
		for (i = 0; i < rounds; i++)
			one_batch(row, run, &sum);
		if (block == BLOCKS - 1)
			mark();
		busy[block] = (double)sum.busy / rounds / row->batch;
		elapsed[block] = (double)sum.elapsed / rounds / row->batch;
	}
	qsort(busy, BLOCKS, sizeof(busy[0]), by_size);
	qsort(elapsed, BLOCKS, sizeof(elapsed[0]), by_size);
	report(busy[BLOCKS / 2], elapsed[BLOCKS / 2]);
}

static void run_child(const struct row *row, enum peer peer)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (row->setup && !row->setup(row))
		_exit(0);
	setup_peer(peer);
	if (row->prime)
		row->prime(row, peer);
	if (row->measure)
		row->measure(row, peer);
	else
		measure(row, peer);
	_exit(0);
}

/* Nothing is left of the processes before. */
static void run(const struct row *row, enum peer peer, struct found *found)
{
	double both[2];
	int status, p[2];
	pid_t pid;

	soaking(row->idles);
	if (pipe(p))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		close(p[0]);
		to_parent = p[1];
		run_child(row, peer);
	}
	close(p[1]);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	soaking(false);
	/* A row that this machine cannot do has found nothing. */
	if (status) {
		found->failed = status;
	} else if (read(p[0], both, sizeof(both)) == sizeof(both)) {
		found->busy[found->n] = both[0];
		found->elapsed[found->n++] = both[1];
	}
	close(p[0]);
}

static void print(const struct row *row, enum peer peer, struct found *found)
{
	unsigned int n = found->n;
	double busy;

	if (!n && !found->failed)
		return;
	printf("{\"row\": \"%s\", \"peer\": \"%s\", ", row->name, peer_names[peer]);
	if (found->failed) {
		printf("\"failed\": %d}\n", found->failed);
		return;
	}
	qsort(found->busy, n, sizeof(found->busy[0]), by_size);
	qsort(found->elapsed, n, sizeof(found->elapsed[0]), by_size);
	busy = found->busy[n / 2];
	printf("\"batch\": %u, \"rounds\": %u, \"unit\": \"%s\", \"busy\": %.2f, \"elapsed\": %.2f, ",
	       row->batch, row->rounds ?: 50, row->unit ?: icount ? "instructions" : "ns", busy,
	       found->elapsed[n / 2]);
	printf("\"processes\": %u, \"low\": %.2f, \"high\": %.2f, \"spread\": %.4f}\n", n,
	       found->busy[0], found->busy[n - 1],
	       busy ? (found->busy[n - 1] - found->busy[0]) / busy : 0);
}

/* Threads never do. */
static bool agree(const struct found *found)
{
	enum peer peer;
	unsigned int i;

	for (peer = 0; peer < NR_PEERS; peer++) {
		const double *busy = found[peer].busy;

		if (peer == POOL4 || peer == POOL32)
			continue;
		for (i = 1; i < found[peer].n; i++) {
			if (busy[i] > (1 + APART) * busy[0] ||
			    busy[0] > (1 + APART) * busy[i])
				return false;
		}
	}
	return true;
}

/* Peers take turns: what drifts does so for all of them. */
static bool run_row(const struct row *row, const char *only)
{
	struct found found[NR_PEERS] = { };
	unsigned int i, most = icount ? MORE * processes : processes;
	bool well = true;
	enum peer peer;

	for (i = 0; i < processes || (i < most && !agree(found)); i++) {
		for (peer = 0; peer < NR_PEERS; peer++) {
			if (has(row, peer) && !found[peer].failed &&
			    (!only || !fnmatch(only, peer_names[peer], 0)) &&
			    (peer != ASYS || have_asys()))
				run(row, peer, &found[peer]);
		}
	}
	for (peer = 0; peer < NR_PEERS; peer++) {
		print(row, peer, &found[peer]);
		well &= !found[peer].failed;
	}
	fflush(stdout);
	return well;
}

static bool wanted(const struct row *row, char **patterns)
{
	bool none = !*patterns;

	if (row->only_icount && !icount)
		return false;
	for (; *patterns; patterns++)
		if (!fnmatch(*patterns, row->name, 0))
			return true;
	return none;
}

int main(int argc, char **argv)
{
	struct rlimit files = { 1 << 20, 1 << 20 };
	const char *only = NULL;
	const struct row *row;
	unsigned int i, n = 0, rows = 0;
	bool well = true;
	int c;

	while ((c = getopt(argc, argv, "in:p:")) != -1) {
		switch (c) {
		case 'i':
			icount = true;
			break;
		case 'n':
			processes = atoi(optarg);
			if (!processes || processes > MAX_PROCESSES / MORE)
				errx(1, "1 to %d processes", MAX_PROCESSES / MORE);
			break;
		case 'p':
			only = optarg;
			break;
		default:
			errx(1, "usage: asys-bench [-i] [-n processes] [-p peer] [row...]");
		}
	}
	setrlimit(RLIMIT_NOFILE, &files);
	soak();
	if (icount)
		check_icount();
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (row = tables[i]; row->name; row++)
			rows += wanted(row, argv + optind);
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		for (row = tables[i]; row->name; row++) {
			if (!wanted(row, argv + optind))
				continue;
			fprintf(stderr, "%u/%u %s\n", ++n, rows, row->name);
			well &= run_row(row, only);
		}
	}
	if (soaker)
		kill(soaker, SIGKILL);
	return !well;
}
