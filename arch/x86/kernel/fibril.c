// SPDX-License-Identifier: GPL-2.0
/*
 * Fibrils: a look at the stack of one that does not run.
 */
#include <linux/kernel.h>
#include <linux/sched/debug.h>

#include <asm/fibril.h>
#include <asm/stacktrace.h>
#include <asm/unwind.h>

#ifdef CONFIG_UNWINDER_ORC

/* unwind_start() knows the stacks on which a task runs, or home. */
static bool arch_fibril_unwind_start(struct unwind_state *state,
				     struct task_struct *p, unsigned long sp,
				     void *stack)
{
	struct inactive_task_frame *frame = (void *)sp;

	*state = (struct unwind_state) {
		.stack_info = {
			.type = STACK_TYPE_TASK,
			.begin = stack,
			.end = stack + THREAD_SIZE,
		},
		.stack_mask = BIT(STACK_TYPE_TASK),
		.task = p,
		.sp = (unsigned long)(frame + 1),
	};
	/* It may be about to store another one. */
	if (!on_stack(&state->stack_info, frame, sizeof(*frame)))
		return false;
	state->bp = READ_ONCE_NOCHECK(frame->bp);
	state->ip = READ_ONCE_NOCHECK(frame->ret_addr);
	return true;
}

/**
 * arch_fibril_trace() - find the return addresses on a stack
 * @p: the task; its pi_lock is held, so that the stack remains
 * @sp: stack pointer that arch_fibril_switch() has stored
 * @stack: lowest address of the stack
 * @addrs: where to put the addresses
 * @max: how many, at most
 *
 * Those in the scheduler are left out.
 *
 * Return: how many there are.
 */
unsigned int arch_fibril_trace(struct task_struct *p, unsigned long sp,
			       void *stack, unsigned long *addrs,
			       unsigned int max)
{
	struct unwind_state state;
	unsigned long addr;
	unsigned int n = 0;

	if (!arch_fibril_unwind_start(&state, p, sp, stack))
		return 0;
	for (; !unwind_done(&state) && n < max; unwind_next_frame(&state)) {
		addr = unwind_get_return_address(&state);
		if (!addr)
			break;
		if (!in_sched_functions(addr))
			addrs[n++] = addr;
	}
	return n;
}

/**
 * arch_fibril_trace_reliable() - find all return addresses on a stack
 * @p: the task; it is current, or does not run as long as its pi_lock is held
 * @sp: where its context that is on the stack has left it
 * @stack: lowest address of the stack
 * @addrs: where to put the addresses
 * @max: how many, at most
 *
 * Return: how many there are, or -EINVAL: they are not known, or too many.
 */
int arch_fibril_trace_reliable(struct task_struct *p, unsigned long sp,
			       void *stack, unsigned long *addrs,
			       unsigned int max)
{
	struct unwind_state state;
	struct pt_regs *regs;
	unsigned int n = 0;

	if (!arch_fibril_unwind_start(&state, p, sp, stack))
		return -EINVAL;
	for (; !unwind_done(&state) && !unwind_error(&state);
	     unwind_next_frame(&state)) {
		regs = unwind_get_entry_regs(&state, NULL);
		/* Home's, and the end of its stack */
		if (regs && user_mode(regs))
			return n;
		if (n == max)
			return -EINVAL;
		addrs[n] = unwind_get_return_address(&state);
		if (!addrs[n++])
			return -EINVAL;
	}
	return unwind_error(&state) ? -EINVAL : n;
}

#else

/* Nobody unwinds here, so an address that is out of use may be among them. */
unsigned int arch_fibril_trace(struct task_struct *p, unsigned long sp,
			       void *stack, unsigned long *addrs,
			       unsigned int max)
{
	unsigned long addr, end = (unsigned long)stack + THREAD_SIZE;
	unsigned int n = 0;

	for (; sp < end && n < max; sp += sizeof(unsigned long)) {
		addr = READ_ONCE_NOCHECK(*(unsigned long *)sp);
		if (__kernel_text_address(addr) && !in_sched_functions(addr))
			addrs[n++] = addr;
	}
	return n;
}

int arch_fibril_trace_reliable(struct task_struct *p, unsigned long sp,
			       void *stack, unsigned long *addrs,
			       unsigned int max)
{
	return -EINVAL;
}

#endif
