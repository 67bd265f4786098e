/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * Asynchronous system calls, see Documentation/fibrils.rst.
 */
#ifndef _UAPI_LINUX_ASYS_H
#define _UAPI_LINUX_ASYS_H

#include <linux/types.h>

/**
 * struct asys_input - a system call to make
 * @syscall_nr: its number, __NR_*
 * @flags: ASYS_F_*
 * @cookie: comes back in the &struct asys_completion
 * @nr_args: how many arguments there are, 0 to 6; the others are 0
 * @args: address of an array of @nr_args 64-bit arguments
 * @return_code: in place of @nr_args, the result, if %ASYS_F_DONE is set
 */
struct asys_input {
	__s32	syscall_nr;
	__u32	flags;
	__u64	cookie;
	union {
		__u64	nr_args;
		__s64	return_code;
	};
	__aligned_u64	args;
};

/*
 * If the call finishes without sleeping, store its result in the request, set
 * ASYS_F_DONE, and queue no completion.
 */
#define ASYS_F_REPORT	(1U << 0)

/* Set by the kernel: @return_code is valid, the call has finished. */
#define ASYS_F_DONE	(1U << 31)

/**
 * struct asys_completion - the result of a system call
 * @return_code: what the call returned, a negative errno for an error
 * @cookie: the one of the request
 */
struct asys_completion {
	__s64	return_code;
	__u64	cookie;
};

#endif /* _UAPI_LINUX_ASYS_H */
