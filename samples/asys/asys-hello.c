// SPDX-License-Identifier: GPL-2.0
/* Read a line without waiting for it, see README.md */
#include <err.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/asys.h>

int main(void)
{
	char line[80];
	__u64 args[] = { STDIN_FILENO, (__u64)line, sizeof(line) };
	struct asys_input request = { .syscall_nr = __NR_read, .cookie = 0x2007,
				      .nr_args = 3, .args = (__u64)args };
	struct asys_completion done;

	if (syscall(__NR_asys_submit, &request, 1) != 1)
		err(1, "asys_submit");
	puts("Reading, but not waiting for it.");
	fflush(stdout);
	if (syscall(__NR_asys_await_completion, &done))
		err(1, "asys_await_completion");
	printf("read() returned %d: %.*s", (int)done.return_code,
	       (int)done.return_code, line);
	return 0;
}
