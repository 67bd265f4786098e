// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU: how often was each piece of code executed, between two
 * executions of the code at a mark?  harness/profile loads it:
 *
 *	-plugin profile.so,mark=ADDRESS,out=FILE
 *
 * Each line of FILE is an address, how many instructions follow it without a
 * branch, and how often they were executed.
 *
 * Debian has no header for plugins: these are the functions of version 1 that
 * are used.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*fn)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*fn)(unsigned int, void *), int flags,
					  void *data);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op,
					      void *to, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

int qemu_plugin_version = 1;

static struct block {
	uint64_t address, length, count;
	struct block *next;
} *blocks;

static uint64_t mark;
static const char *out;
static unsigned int marks;

static void at_mark(unsigned int cpu, void *data)
{
	struct block *b;
	FILE *f;

	(void)cpu;
	(void)data;
	if (!(marks++ & 1)) {
		for (b = blocks; b; b = b->next)
			b->count = 0;
		return;
	}
	f = fopen(out, "w");
	if (!f) {
		perror(out);
		return;
	}
	for (b = blocks; b; b = b->next)
		if (b->count)
			fprintf(f, "%016" PRIx64 " %" PRIu64 " %" PRIu64 "\n", b->address,
				b->length, b->count);
	fclose(f);
}

/* One CPU, and one thread for it: no lock. */
static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	(void)id;
	if (!b)
		abort();
	b->address = qemu_plugin_tb_vaddr(tb);
	b->length = qemu_plugin_tb_n_insns(tb);
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &b->count, 1);
	if (b->address == mark)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, at_mark, 0, NULL);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "mark=", 5))
			mark = strtoull(argv[i] + 5, NULL, 16);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	}
	if (!mark || !out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
