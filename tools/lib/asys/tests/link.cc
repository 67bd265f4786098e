// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The library from C++: a read that sleeps until a write, with closures that are
 * lambdas, and results in a loop.
 */
#include <asys.h>
#include <cstdio>
#include <unistd.h>

struct pipe_test {
	asys_closure has_read, has_written;
	char byte;
	int results;
};

int main()
{
	pipe_test test = {};
	asys_info info;
	int fd[2];
	asys a;

	if (asys_probe(&info) || asys_init(&a, 4, 0) || pipe(fd))
		return 1;
	test.has_read.fn = [](asys *, long result, void *data) {
		auto t = static_cast<pipe_test *>(data);

		t->results += result == 1 && t->byte == 'x' ? 1 : 100;
	};
	test.has_read.data = &test;
	test.has_written.fn = [](asys *, long result, void *data) {
		static_cast<pipe_test *>(data)->results += result == 1 ? 10 : 100;
	};
	test.has_written.data = &test;

	asys_request *req = asys_get_request(&a);
	asys_prep_read(req, fd[0], &test.byte, 1);
	asys_set_closure(req, &test.has_read);
	if (asys_step(&a, false) || asys_pending(&a) != 1)
		return 1;
	req = asys_get_request(&a);
	asys_prep_write(req, fd[1], "x", 1);
	asys_set_closure(req, &test.has_written);
	if (asys_run(&a) || test.results != 11)
		return 1;

	for (uint64_t i = 1; i <= 4; i++) {
		req = asys_get_request(&a);
		asys_prep_nop(req);
		asys_set_cookie(req, i);
	}
	if (asys_submit_requests(&a))
		return 1;
	asys_completion comp;
	uint64_t sum = 0;
	asys_for_each(&a, comp)
		sum += comp.cookie;
	if (sum != 10)
		return 1;
	asys_exit(&a);
	std::printf("read and written\n");
	return 0;
}
