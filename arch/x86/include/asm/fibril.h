/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_FIBRIL_H
#define _ASM_X86_FIBRIL_H

#include <linux/cpufeature.h>
#include <linux/sched.h>

#include <asm/ptrace.h>
#include <asm/special_insns.h>
#include <asm/switch_to.h>
#include <asm/syscall.h>

/* What belongs to a context and is not in task_struct. */
struct arch_fibril_state {
	u32 pkru;
	u32 compat;
};

struct fibril;

/*
 * Call fibril_main(@f) on the stack at *@next; the caller's stack pointer goes
 * to *@prev.  Return 0 when it returns, 1 if it was switched away from before.
 */
unsigned long arch_fibril_call(unsigned long *prev, unsigned long *next,
			       struct fibril *f);
void arch_fibril_stack_end(void);

/* Get a stack ready that ends at @end; return the stack pointer to start with. */
static inline unsigned long arch_fibril_init_stack(void *end)
{
	struct inactive_task_frame *frame = end;

	frame = PTR_ALIGN_DOWN(frame - 1, 16);
	memset(frame, 0, sizeof(*frame));
	/* Unwinders look up the instruction before this. */
	frame->ret_addr = (unsigned long)arch_fibril_stack_end + 1;
	return (unsigned long)frame;
}

/* Switch stacks: store the old stack pointer in *@prev, take up *@next. */
void arch_fibril_switch(unsigned long *prev, unsigned long *next);

static __always_inline void arch_fibril_save(struct arch_fibril_state *state)
{
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		state->pkru = rdpkru();
	state->compat = current_thread_info()->status & TS_COMPAT;
}

static __always_inline void arch_fibril_restore(struct arch_fibril_state *state)
{
	struct thread_info *ti = current_thread_info();

	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		wrpkru(state->pkru);
	ti->status = (ti->status & ~TS_COMPAT) | state->compat;
}

/* Registers of a system call, from which the syscall wrappers take arguments. */
static inline void arch_fibril_set_args(struct pt_regs *regs, unsigned int nr,
					const u64 *args)
{
	regs->orig_ax = nr;
	regs->ax = -ENOSYS;
	regs->di = args[0];
	regs->si = args[1];
	regs->dx = args[2];
	regs->r10 = args[3];
	regs->r8 = args[4];
	regs->r9 = args[5];
}

static __always_inline long arch_fibril_syscall(const struct pt_regs *regs)
{
	return x64_sys_call(regs, array_index_nospec(regs->orig_ax, NR_syscalls));
}

#endif /* _ASM_X86_FIBRIL_H */
