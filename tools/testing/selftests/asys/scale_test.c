// SPDX-License-Identifier: GPL-2.0
/*
 * Very many calls asleep in one task, woken in any order, each with a result
 * of its own. ASYS_SCALE sets how many.
 */
#include "asys_test.h"

FIXTURE(scale)
{
	long per_task, per_user;
	int n;
};

FIXTURE_SETUP(scale)
{
	long free_kb = 0;
	char line[128];
	FILE *f;

	NEED_ASYS();
	self->n = env_long("ASYS_SCALE", 10000);
	self->per_task = read_long(SYSCTL_PER_TASK);
	self->per_user = read_long(SYSCTL_PER_USER);
	if (self->per_task < self->n + 16 &&
	    write_long(SYSCTL_PER_TASK, self->n + 16))
		SKIP(return, "may not raise the limit per task");
	if (self->per_user < self->n + 16 &&
	    write_long(SYSCTL_PER_USER, self->n + 16))
		SKIP(return, "may not raise the limit per user");
	f = fopen("/proc/meminfo", "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &free_kb) == 1)
			break;
	fclose(f);
	/* A stack of a debug kernel is 32 KiB, and its shadow 4. */
	if (free_kb < self->n * 48L)
		SKIP(return, "%ld MiB of memory are too few", free_kb >> 10);
}

FIXTURE_TEARDOWN(scale)
{
	write_long(SYSCTL_PER_TASK, self->per_task);
	write_long(SYSCTL_PER_USER, self->per_user);
}

static uint32_t seed = 20071201;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (uint64_t)seed * n >> 32;
}

static uint32_t *shuffled(int n)
{
	uint32_t *order = malloc(n * sizeof(*order)), i;

	for (i = 0; i < (uint32_t)n; i++) {
		uint32_t k = rnd(i + 1);

		order[i] = order[k];
		order[k] = i;
	}
	return order;
}

/*
 * Each waits for one of four words, and returns which of them was woken: its
 * result says who it is and who woke it.
 */
TEST_F(scale, random_order)
{
	struct futex_waitv w[4];
	uint8_t *want, *seen;
	uint32_t *word, *order;
	int i, k, n = self->n;

	word = calloc(n, 4 * sizeof(*word));
	want = calloc(n, 1);
	seen = calloc(n, 1);
	order = shuffled(n);
	ASSERT_TRUE(word && want && seen && order);

	for (i = 0; i < n; i++) {
		for (k = 0; k < 4; k++)
			w[k] = (struct futex_waitv){
				.uaddr = (uintptr_t)&word[4 * i + k],
				.flags = FUTEX_32 | FUTEX_PRIVATE_FLAG,
			};
		START(i, __NR_futex_waitv, w, 4, 0, NULL, 0);
	}
	for (i = 0; i < n; i++) {
		uint32_t who = order[i];

		want[who] = rnd(4);
		ASSERT_EQ(1, futex(&word[4 * who + want[who]], FUTEX_WAKE_PRIVATE,
				   INT_MAX, NULL, NULL, 0));
	}
	for (i = 0; i < n; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, asys_await(&c));
		ASSERT_GT((uint64_t)n, c.cookie);
		ASSERT_EQ(0, seen[c.cookie]);
		seen[c.cookie] = 1;
		ASSERT_EQ(want[c.cookie], c.return_code);
	}
	NOTHING_LEFT();
}

/* In one wake-up, and from another CPU */
static void *wake_all(void *arg)
{
	wait_state(getpid(), getpid(), 'S');
	return (void *)(long)futex(arg, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

TEST_F(scale, all_at_once)
{
	int i, n = self->n;
	pthread_t thread;
	uint32_t word = 0;
	uint8_t *seen;
	void *woken;

	seen = calloc(n, 1);
	for (i = 0; i < n; i++)
		START(i, __NR_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, wake_all, &word));
	for (i = 0; i < n; i++) {
		struct asys_completion c;

		ASSERT_EQ(0, asys_await(&c));
		ASSERT_GT((uint64_t)n, c.cookie);
		ASSERT_EQ(0, seen[c.cookie]);
		seen[c.cookie] = 1;
		ASSERT_EQ(0, c.return_code);
	}
	NOTHING_LEFT();
	ASSERT_EQ(0, pthread_join(thread, &woken));
	EXPECT_EQ(n, (long)woken);
}

/* The task ends with all of them asleep. */
TEST_F(scale, exit)
{
	int i, round;

	ASSERT_EQ(0, write_long(SYSCTL_PER_USER, self->n));
	for (round = 0; round < 2; round++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			static uint32_t word;
			int64_t ret;

			MUST(!setresuid(54325, 54325, 54325));
			for (i = 0; i < self->n; i++)
				MUST(!try_start(i, &ret, __NR_futex, &word,
						FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
			MUST(try_start(i, &ret, __NR_getppid) == -EAGAIN);
			_exit(7);
		}
		EXITS(pid, 7);
	}
}

TEST_HARNESS_MAIN
