/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_FIBRIL_H
#define _ASM_X86_FIBRIL_H

#include <linux/cpufeature.h>
#include <linux/sched.h>

#include <asm/asm.h>
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

/* The stack pointer to start with on a stack that ends at @end. */
static __always_inline unsigned long arch_fibril_first_sp(void *end)
{
	struct inactive_task_frame *frame = end;

	return (unsigned long)PTR_ALIGN_DOWN(frame - 1, 16);
}

/* Get a stack ready that ends at @end; calls leave it so. */
static inline void arch_fibril_init_stack(void *end)
{
	struct inactive_task_frame *frame = (void *)arch_fibril_first_sp(end);

	memset(frame, 0, sizeof(*frame));
	/* Unwinders look up the instruction before this. */
	frame->ret_addr = (unsigned long)arch_fibril_stack_end + 1;
}

/* Switch stacks: store the old stack pointer in *@prev, take up *@next. */
void arch_fibril_switch(unsigned long *prev, unsigned long *next);
/* The same, to who called arch_fibril_call(), when it has not returned yet. */
void arch_fibril_return(unsigned long *prev, unsigned long *next);

unsigned int arch_fibril_trace(struct task_struct *p, unsigned long sp,
			       void *stack, unsigned long *addrs,
			       unsigned int max);
int arch_fibril_trace_reliable(struct task_struct *p, unsigned long sp,
			       void *stack, unsigned long *addrs,
			       unsigned int max);

/* @tsk is current. */
static __always_inline void arch_fibril_save(struct task_struct *tsk,
					     struct arch_fibril_state *state)
{
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		state->pkru = rdpkru();
	state->compat = task_thread_info(tsk)->status & TS_COMPAT;
}

static __always_inline void arch_fibril_restore(struct task_struct *tsk,
						struct arch_fibril_state *state)
{
	struct thread_info *ti = task_thread_info(tsk);

	/* Expensive to write, and nearly always the same. */
	if (cpu_feature_enabled(X86_FEATURE_OSPKE) &&
	    unlikely(rdpkru() != state->pkru))
		wrpkru(state->pkru);
	ti->status = (ti->status & ~TS_COMPAT) | state->compat;
}

/* Registers of a system call, from which the syscall wrappers take arguments. */
static __always_inline void arch_fibril_set_nr(struct pt_regs *regs,
					       unsigned int nr)
{
	regs->orig_ax = nr;
	regs->ax = -ENOSYS;
}

static inline void arch_fibril_copy_args(struct pt_regs *regs,
					 const struct pt_regs *from)
{
	regs->di = from->di;
	regs->si = from->si;
	regs->dx = from->dx;
	regs->r10 = from->r10;
	regs->r8 = from->r8;
	regs->r9 = from->r9;
	/* i386 has some in these. */
	regs->bx = from->bx;
	regs->cx = from->cx;
	regs->bp = from->bp;
}

/*
 * Copy a struct asys_request in one go, between user_read_access_begin() and
 * end: the first word, the cookie, and the arguments.
 */
static __always_inline int arch_fibril_get_request(struct pt_regs *regs,
						   u64 *word, u64 *cookie,
						   const void __user *req)
{
#define MOVE(n, to)	#n ": movq 8*(" #n "-1)(%[req]), %%rax\n\t"	\
			"movq %%rax, " to "\n\t"				\
			_ASM_EXTABLE_UA(n##b, "%l[fault]") "\n\t"

	asm goto volatile(MOVE(1, "(%[word])")
			  MOVE(2, "(%[cookie])")
			  MOVE(3, "%c[di](%[regs])")
			  MOVE(4, "%c[si](%[regs])")
			  MOVE(5, "%c[dx](%[regs])")
			  MOVE(6, "%c[r10](%[regs])")
			  MOVE(7, "%c[r8](%[regs])")
			  MOVE(8, "%c[r9](%[regs])")
			  : : [req] "r" (req), [regs] "r" (regs),
			      [word] "r" (word), [cookie] "r" (cookie),
			      [di] "i" (offsetof(struct pt_regs, di)),
			      [si] "i" (offsetof(struct pt_regs, si)),
			      [dx] "i" (offsetof(struct pt_regs, dx)),
			      [r10] "i" (offsetof(struct pt_regs, r10)),
			      [r8] "i" (offsetof(struct pt_regs, r8)),
			      [r9] "i" (offsetof(struct pt_regs, r9))
			  : "rax", "memory"
			  : fault);
#undef MOVE
	return 0;
fault:
	return -EFAULT;
}

static inline void arch_fibril_set_args(struct pt_regs *regs, const u64 *args)
{
	regs->di = args[0];
	regs->si = args[1];
	regs->dx = args[2];
	regs->r10 = args[3];
	regs->r8 = args[4];
	regs->r9 = args[5];
}

/*
 * Move arguments to where calls of i386 take them from, 32 bits of each: a
 * program need not care how it has extended what is an int or a pointer there.
 */
static inline void arch_fibril_ia32_args(struct pt_regs *regs)
{
	regs->bx = (u32)regs->di;
	regs->cx = (u32)regs->si;
	regs->dx = (u32)regs->dx;
	regs->si = (u32)regs->r10;
	regs->di = (u32)regs->r8;
	regs->bp = (u32)regs->r9;
}

#endif /* _ASM_X86_FIBRIL_H */
