/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_ASYS_H
#define _LINUX_ASYS_H

#include <linux/jump_label.h>
#include <linux/sched.h>

struct pt_regs;
struct seq_file;

#ifdef CONFIG_ASYS
int proc_fibrils_show(struct seq_file *m, struct task_struct *task);
#endif

#ifdef CONFIG_ASYS_FORCE
DECLARE_STATIC_KEY_FALSE(asys_force_used);

/* Is any task?  asys_force_syscall() makes other calls as they are. */
static __always_inline bool asys_forced(void)
{
	return static_branch_unlikely(&asys_force_used);
}

long asys_force_syscall(struct pt_regs *regs, unsigned int nr);
#else
static __always_inline bool asys_forced(void) { return false; }
static inline long asys_force_syscall(struct pt_regs *regs, unsigned int nr)
{
	return 0;
}
#endif

#endif /* _LINUX_ASYS_H */
