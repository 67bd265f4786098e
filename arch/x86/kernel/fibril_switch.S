/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Switching between the kernel stacks of one task.
 *
 * Both functions leave a struct inactive_task_frame on the stack they switch
 * away from, as __switch_to_asm() does, so that unwinders find their way.
 * Nothing of the user state is touched: the task remains the same.
 */
#include <linux/linkage.h>
#include <linux/objtool.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

/* This must match the order in struct inactive_task_frame. */
.macro PUSH_FRAME
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

.macro POP_FRAME
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
.endm

/*
 * FILL_RETURN_BUFFER without a loop: there is no branch that could be predicted
 * to end it early, hence no need of a barrier.
 */
.macro FILL_RSB
	ALTERNATIVE "jmp .Lfilled_\@", "", X86_FEATURE_RSB_CTXSW
	.rept RSB_CLEAR_LOOPS; __FILL_RETURN_SLOT; .endr
	addq	$8 * RSB_CLEAR_LOOPS, %rsp
	CREDIT_CALL_DEPTH
	CALL_THUNKS_DEBUG_INC_CTXSW
.Lfilled_\@:
.endm

	.text

/*
 * %rdi: where to store the stack pointer of the caller
 * %rsi: where the stack pointer to use is stored, see arch_fibril_init_stack()
 * %rdx: argument of fibril_main()
 *
 * Returns 0 if fibril_main() has returned.  If it has slept,
 * arch_fibril_switch() returns to the caller in our place, with 1, and it does
 * not return here any more.
 */
SYM_FUNC_START(arch_fibril_call)
	PUSH_FRAME

	movq	%rdi, %rbx
	movq	%rsp, (%rdi)

	/* there is a frame like ours, for unwinders */
	movq	(%rsi), %rsp
	movq	%rdx, %rdi
	xorl	%ebp, %ebp
	call	fibril_main

	/* switch back */
	movq	(%rbx), %rsp

	POP_FRAME
	xorl	%eax, %eax
	RET
SYM_FUNC_END(arch_fibril_call)

/* Where the outermost frame of a fibril's stack seems to have come from. */
SYM_CODE_START(arch_fibril_stack_end)
	UNWIND_HINT_END_OF_STACK
	ANNOTATE_NOENDBR // not called
	ud2
SYM_CODE_END(arch_fibril_stack_end)

/*
 * %rdi: where to store the stack pointer of the context that stops
 * %rsi: where the stack pointer of the context that goes on is stored
 */
SYM_FUNC_START(arch_fibril_switch)
	PUSH_FRAME

	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp

	/* The call stacks differ: see __switch_to_asm(). */
	FILL_RSB

	POP_FRAME
	movl	$1, %eax
	RET
SYM_FUNC_END(arch_fibril_switch)

/*
 * The same, for a fibril that leaves its stack for the first time, to the one
 * who called arch_fibril_call().
 *
 * The return stack buffer is not filled.  Every call between there and here was
 * made, and none of them has returned, since the caller pushed its frame.  For
 * each return that the caller has yet to make there is an entry that the kernel
 * has pushed, or one above it: returns find more entries than without this
 * switch, and neither an empty buffer nor those of user mode.  They mispredict
 * to where the kernel returns to, as returns past a longjmp() do.
 */
SYM_FUNC_START(arch_fibril_return)
	PUSH_FRAME

	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp

	POP_FRAME
	movl	$1, %eax
	RET
SYM_FUNC_END(arch_fibril_return)
