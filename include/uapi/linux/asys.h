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
	__aligned_u64	cookie;
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
	__aligned_u64	cookie;
};

/**
 * struct asys_request - a system call to make, with its arguments
 * @nr: its number, __NR_*
 * @flags: ASYS_R_*
 * @use: which argument is the result of which call before; see ASYS_USE()
 * @timeout: microseconds after which the call is cancelled, with %-ETIMEDOUT
 *	as its result; 0: never. A chain has one timeout, that of its first.
 * @cookie: comes back in the &struct asys_completion
 * @args: arguments; those that the call does not have are not looked at
 */
struct asys_request {
	__u16	nr;
	__u8	flags;
	__u8	use;
	__u32	timeout;
	__aligned_u64	cookie;
	__u64	args[6];
};

/* No call: finishes at once, with 0. */
#define ASYS_NOP	0xffff

/*
 * The next request is made after this one, in the same fibril, unless this
 * one fails: then the result of the rest of the chain is -ECANCELED.
 */
#define ASYS_R_LINK	(1U << 0)

/* In a chain, a call may have up to so many others before and after it. */
#define ASYS_CHAIN_MAX	16

/*
 * In a chain: argument @arg, 0 to 5, is the result of the call that is @back
 * requests, 1 to 15, before this one.
 */
#define ASYS_USE(arg, back)	((back) << 3 | (arg))

/**
 * struct asys_ring - where completions go, in memory of the task
 * @head: count of completions that the program has taken; it is the one who
 *	writes this
 * @tail: count of completions that the kernel has stored; a completion is there
 *	before @tail says so, if @tail is read with acquire semantics
 * @flags: ASYS_RING_*
 * @reserved: 0
 * @completions: number n is at n modulo the number of entries
 *
 * It is ordinary memory: nothing is pinned, and nothing is lost if it is full,
 * or cannot be written: the kernel keeps what does not fit until asys_enter()
 * is called the next time.
 */
struct asys_ring {
	__u32	head;
	__u32	tail;
	__u32	flags;
	__u32	reserved[13];
	struct asys_completion completions[];
};

/* Most entries of a ring */
#define ASYS_RING_MAX	(1U << 20)

/* The kernel has completions for which there was no room. */
#define ASYS_RING_OVERFLOW	(1U << 0)

/**
 * struct asys_wait - how asys_enter() waits
 * @timeout: nanoseconds; 0: no limit
 * @sigmask: address of a signal mask to wait with, or 0
 * @sigsetsize: size of that mask in bytes
 */
struct asys_wait {
	__aligned_u64	timeout;
	__aligned_u64	sigmask;
	__aligned_u64	sigsetsize;
};

/* Size of the first published version of the structure. */
#define ASYS_WAIT_SIZE_VER0	24

/* asys_enter(): do not sleep for the memory that a call needs: -EAGAIN */
#define ASYS_ENTER_NONBLOCK	(1U << 0)
/* ... and use no more memory than the task has got for calls before. */
#define ASYS_ENTER_ATOMIC	(1U << 1)

/* asys_control() */
enum {
	/* struct asys_ring_setup: completions go there from now on */
	ASYS_CTL_RING,
	/* __s32: an eventfd to be told of each call that has slept, or -1 */
	ASYS_CTL_EVENTFD,
	/* __u64: cookie of the call to cancel */
	ASYS_CTL_CANCEL,
	/* nothing: cancel all calls */
	ASYS_CTL_CANCEL_ALL,
	/* struct asys_info: what this kernel has */
	ASYS_CTL_INFO,
};

/**
 * struct asys_ring_setup - argument of %ASYS_CTL_RING
 * @ring: address of a &struct asys_ring, or 0 for none
 * @entries: how many completions it has room for, a power of 2
 * @flags: ASYS_SETUP_*
 */
struct asys_ring_setup {
	__aligned_u64	ring;
	__u32	entries;
	__u32	flags;
};

/*
 * A call that the task wakes itself, by a write() to the pipe that the call reads,
 * say, goes on when the task calls asys_enter() or sleeps, or at the next tick,
 * and not at once: calls go on together, and not one by one.
 *
 * This is none of the bits that asys_enter() knows, so that a library can take
 * all in one word.
 */
#define ASYS_SETUP_DEFER	(1U << 16)

/**
 * struct asys_info - argument of %ASYS_CTL_INFO
 * @request_flags: ASYS_R_* that are known
 * @enter_flags: ASYS_ENTER_* that are known
 * @setup_flags: ASYS_SETUP_* that are known
 * @controls: bit n: operation n of asys_control() is known
 * @chain_max: longest chain
 * @fibrils_max: calls that the task may have in flight
 * @in_flight: calls that it has in flight
 */
struct asys_info {
	__u32	request_flags;
	__u32	enter_flags;
	__u32	setup_flags;
	__u32	controls;
	__u32	chain_max;
	__u32	fibrils_max;
	__u32	in_flight;
};

#endif /* _UAPI_LINUX_ASYS_H */
