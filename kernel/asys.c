// SPDX-License-Identifier: GPL-2.0
/*
 * Asynchronous system calls: any call, on a fibril of the caller's task.
 *
 * A call that does not sleep has finished when asys_submit() goes on to the
 * next request.  One that would sleep is left to itself; its result waits to
 * be fetched.  See Documentation/fibrils.rst, and kernel/fibril.c for the
 * stacks.
 */
#include <linux/asys.h>
#include <linux/close_range.h>
#include <linux/cred.h>
#include <linux/keyctl.h>
#include <linux/nospec.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/seccomp.h>
#include <linux/seq_file.h>
#include <linux/sysctl.h>
#include <linux/syscalls.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <uapi/linux/android/binder.h>
#include <uapi/linux/asys.h>
#include <uapi/linux/futex.h>
#include <uapi/linux/kvm.h>

#include <trace/events/syscalls.h>

#include "fibril_internal.h"

#define ASYS_MAX_ARGS	6

static unsigned int sysctl_asys_disabled __read_mostly;

/*
 * Which calls may be submitted
 */

enum asys_policy {
	/* no entry in asys_table.h: nobody has looked at it */
	ASYS_UNKNOWN,
	ASYS_REFUSED,
	ASYS_ALLOWED,
	/* depends on the arguments; these and higher name the function */
	ASYS_CHECK_ioctl,
	ASYS_CHECK_prctl,
	ASYS_CHECK_futex,
	ASYS_CHECK_keyctl,
	ASYS_CHECK_close_range,
};

static const u8 asys_table[NR_syscalls] = {
#define ASYS_ALLOW(nr, name)		[nr] = ASYS_ALLOWED,
#define ASYS_CHECK(nr, name, check)	[nr] = ASYS_CHECK_##check,
#define ASYS_REFUSE(nr, name, reason)	[nr] = ASYS_REFUSED,
#include "asys_table.h"
};

/* Calls take 32 bits of these arguments: what is above them is not looked at. */

static bool asys_check_ioctl(unsigned int cmd)
{
	switch (cmd) {
	case KVM_RUN:
	case BINDER_WRITE_READ:
	case BINDER_THREAD_EXIT:
		return false;
	}
	return true;
}

/* An option that a new kernel adds is refused until somebody has looked. */
static bool asys_check_prctl(int option)
{
	switch (option) {
	case PR_GET_PDEATHSIG:
	case PR_GET_NAME:
	case PR_GET_SECCOMP:
	case PR_GET_TSC:
	case PR_GET_TIMERSLACK:
	case PR_MCE_KILL_GET:
	case PR_GET_TID_ADDRESS:
	case PR_GET_CHILD_SUBREAPER:
	case PR_GET_NO_NEW_PRIVS:
	case PR_GET_SPECULATION_CTRL:
	case PR_GET_IO_FLUSHER:
	case PR_GET_KEEPCAPS:
	case PR_GET_SECUREBITS:
	case PR_CAPBSET_READ:
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE:
	case PR_SET_MM:
	case PR_GET_THP_DISABLE:
	case PR_SET_THP_DISABLE:
	case PR_GET_MDWE:
	case PR_SET_MDWE:
	case PR_SET_VMA:
	case PR_GET_AUXV:
	case PR_GET_MEMORY_MERGE:
	case PR_SET_MEMORY_MERGE:
		return true;
	}
	return false;
}

/* Priority inheritance is between tasks. */
static bool asys_check_futex(int op)
{
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_WAKE_OP:
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		return true;
	}
	return false;
}

/* These commit credentials. */
static bool asys_check_keyctl(int option)
{
	switch (option) {
	case KEYCTL_JOIN_SESSION_KEYRING:
	case KEYCTL_SET_REQKEY_KEYRING:
	case KEYCTL_ASSUME_AUTHORITY:
	case KEYCTL_INSTANTIATE:
	case KEYCTL_INSTANTIATE_IOV:
	case KEYCTL_NEGATE:
	case KEYCTL_REJECT:
		return false;
	}
	return true;
}

static bool asys_check_close_range(unsigned int flags)
{
	return !(flags & CLOSE_RANGE_UNSHARE);
}

static bool asys_may_submit(unsigned int nr, const u64 *args)
{
	switch (asys_table[nr]) {
	case ASYS_ALLOWED:
		return true;
	case ASYS_CHECK_ioctl:
		return asys_check_ioctl(args[1]);
	case ASYS_CHECK_prctl:
		return asys_check_prctl(args[0]);
	case ASYS_CHECK_futex:
		return asys_check_futex(args[1]);
	case ASYS_CHECK_keyctl:
		return asys_check_keyctl(args[0]);
	case ASYS_CHECK_close_range:
		return asys_check_close_range(args[2]);
	}
	return false;
}

/*
 * Running a call, on its fibril
 */

static long asys_call(struct fibril *f)
{
	struct pt_regs *regs = fibril_regs(f);
	long ret = arch_fibril_syscall(regs);

	/* The kernel wants the call to be made again, not to be interrupted. */
	while (unlikely(ret == -ERESTARTNOINTR) && !fibril_signal_pending(false)) {
		schedule_timeout_uninterruptible(1);
		ret = arch_fibril_syscall(regs);
	}
	return ret;
}

static void asys_run(struct fibril *f)
{
	struct pt_regs *regs = fibril_regs(f);
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);
	long ret;

	if (unlikely(work & SYSCALL_WORK_SYSCALL_TRACEPOINT))
		trace_sys_enter(regs, f->nr);

	ret = asys_call(f);

	switch (ret) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		ret = -EINTR;
	}
	f->result = ret;

	if (unlikely(work & SYSCALL_WORK_SYSCALL_TRACEPOINT)) {
		regs->ax = ret;
		trace_sys_exit(regs, ret);
	}
}

/* Queue a result for asys_await_completion(). */
static void asys_complete(struct fibril *f)
{
	struct fibril_task *ft = current->fibrils;

	list_add_tail(&f->node, &ft->done);
	ft->nr_done++;
}

/* What the entry code does for a call, and what it cannot do for this one. */
static long asys_enter_work(unsigned long work, struct fibril *f)
{
	struct pt_regs *regs = fibril_regs(f);
	struct seccomp_data sd = {
		.nr = f->nr,
		.arch = syscall_get_arch(current),
		.instruction_pointer = KSTK_EIP(current),
		.args = { regs->di, regs->si, regs->dx,
			  regs->r10, regs->r8, regs->r9 },
	};

	if (work & (SYSCALL_WORK_SYSCALL_TRACE | SYSCALL_WORK_SYSCALL_EMU |
		    SYSCALL_WORK_SYSCALL_AUDIT |
		    SYSCALL_WORK_SYSCALL_USER_DISPATCH))
		return -EBUSY;
	if (work & SYSCALL_WORK_SECCOMP)
		return seccomp_async(&sd, &f->result);
	return 0;
}

/*
 * Submission
 */

/* Returns 0 if the request was taken. */
static long asys_submit_one(struct asys_input __user *ureq)
{
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);
	u64 args[ASYS_MAX_ARGS] = { };
	struct asys_input req;
	struct fibril *f;
	bool done;
	long ret;

	if (copy_from_user(&req, ureq, sizeof(req)))
		return -EFAULT;
	if (req.flags & ~ASYS_F_REPORT || req.nr_args > ASYS_MAX_ARGS)
		return -EINVAL;
	if ((unsigned int)req.syscall_nr >= NR_syscalls)
		return -ENOSYS;
	if (copy_from_user(args, u64_to_user_ptr(req.args),
			   req.nr_args * sizeof(args[0])))
		return -EFAULT;
	if (!asys_may_submit(array_index_nospec(req.syscall_nr, NR_syscalls),
			     args))
		return -EOPNOTSUPP;

	f = fibril_alloc();
	if (IS_ERR(f))
		return PTR_ERR(f);

	f->nr = req.syscall_nr;
	f->cookie = req.cookie;
	f->since = jiffies;
	f->fn = asys_run;
	f->finish = asys_complete;
	arch_fibril_set_args(fibril_regs(f), f->nr, args);

	ret = 0;
	if (unlikely(work & ~SYSCALL_WORK_SYSCALL_TRACEPOINT))
		ret = asys_enter_work(work, f);
	if (unlikely(ret < 0)) {
		fibril_free(f);
		return ret;
	}
	/* Either a filter has answered, or we ask the kernel. */
	done = ret > 0 || fibril_run(f);
	if (!done)
		return 0;

	if (req.flags & ASYS_F_REPORT && user_write_access_begin(ureq, sizeof(*ureq))) {
		unsafe_put_user(f->result, &ureq->return_code, fault);
		unsafe_put_user(req.flags | ASYS_F_DONE, &ureq->flags, fault);
		user_write_access_end();
		fibril_free(f);
		return 0;
fault:
		user_write_access_end();
	}
	asys_complete(f);
	return 0;
}

/**
 * sys_asys_submit - make system calls that need not have finished on return
 * @requests: array of requests
 * @nr_requests: how many there are
 *
 * The calls are made in order.  One that would sleep is left to itself, in a
 * fibril, and the next one is made.  Each has exactly one completion, unless
 * %ASYS_F_REPORT says otherwise, which asys_await_completion() returns.
 *
 * A request that cannot be taken ends the batch.
 *
 * Return: how many requests were taken, or why the first one was not:
 *
 * * -EPERM: the system administrator has switched the facility off
 * * -EFAULT: @requests, or the arguments, cannot be read
 * * -EINVAL: unknown flags, or more than 6 arguments
 * * -ENOSYS: there is no system call with this number
 * * -EOPNOTSUPP: this one cannot be made asynchronously, or not with these
 *   arguments
 * * -EACCES: a seccomp filter wants something else than to allow or fail it
 * * -EBUSY: the task's system calls are traced, audited or dispatched to
 *   user mode
 * * -EAGAIN: the task or the user has as many calls as it may have
 * * -ENOMEM: out of memory
 */
SYSCALL_DEFINE2(asys_submit, struct asys_input __user *, requests,
		unsigned long, nr_requests)
{
	unsigned long i;
	long ret;

	if (READ_ONCE(sysctl_asys_disabled))
		return -EPERM;
	if (!nr_requests)
		return 0;

	ret = fibril_attach();
	if (ret)
		return ret;
	fibril_begin();

	for (i = 0; i < nr_requests; i++) {
		ret = asys_submit_one(&requests[i]);
		if (unlikely(ret))
			break;
		if (unlikely(signal_pending(current))) {
			i++;
			break;
		}
		cond_resched();
	}
	fibril_trim();
	return i ? i : ret;
}

/*
 * Completion
 */

/* Sleep until there are @nr results, or none can come any more. */
static long asys_wait(struct fibril_task *ft, unsigned int nr)
{
	long ret = 0;

	ft->wait_done = nr;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (ft->nr_done >= nr || !current->fibrils_in_flight)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	ft->wait_done = 0;
	return ret;
}

/**
 * sys_asys_await_completion - wait for a submitted call to finish
 * @comp: where to store its result
 *
 * Return: 0, or
 *
 * * -ENODATA: no call is in flight, and no result is left
 * * -EINTR: a signal came first; the wait is restarted under SA_RESTART
 * * -EFAULT: @comp cannot be written; the result is kept
 */
SYSCALL_DEFINE1(asys_await_completion, struct asys_completion __user *, comp)
{
	struct fibril_task *ft = current->fibrils;
	struct asys_completion c = { };
	struct fibril *f;
	long ret;

	if (!ft)
		return -ENODATA;
	if (list_empty(&ft->done)) {
		if (!current->fibrils_in_flight)
			return -ENODATA;
		ret = asys_wait(ft, 1);
		if (ret)
			return ret;
		if (list_empty(&ft->done))
			return -ENODATA;
	}

	f = list_first_entry(&ft->done, struct fibril, node);
	c.return_code = f->result;
	c.cookie = f->cookie;
	if (copy_to_user(comp, &c, sizeof(c)))
		return -EFAULT;
	list_del(&f->node);
	ft->nr_done--;
	fibril_free(f);
	fibril_trim();
	return 0;
}

static struct ctl_table asys_sysctls[] = {
	{
		.procname	= "asys_disabled",
		.data		= &sysctl_asys_disabled,
		.maxlen		= sizeof(sysctl_asys_disabled),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
	{
		.procname	= "fibrils_per_task",
		.data		= &sysctl_fibrils_per_task,
		.maxlen		= sizeof(sysctl_fibrils_per_task),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
	{
		.procname	= "fibrils_per_user",
		.data		= &sysctl_fibrils_per_user,
		.maxlen		= sizeof(sysctl_fibrils_per_user),
		.mode		= 0644,
		.proc_handler	= proc_douintvec,
	},
};

static int __init asys_init(void)
{
	register_sysctl_init("kernel", asys_sysctls);
	return 0;
}
core_initcall(asys_init);

/*
 * What an administrator sees
 */

/* What /proc/<pid>/fibrils says about a call. */
struct asys_line {
	u32 nr;
	unsigned int state;
	u64 cookie;
	unsigned long since, wchan;
};

/* Get the call in @slot, if it is in flight; %false: there are no more slots. */
static bool asys_get_line(struct task_struct *task, u32 slot,
			  struct asys_line *line)
{
	struct fibril **chunk = NULL;
	struct fibril *f;

	line->nr = NR_syscalls;
	raw_spin_lock_irq(&task->pi_lock);
	/* The lowest free slot is used first. */
	if (task->fibrils)
		chunk = task->fibrils->chunks[slot / FIBRIL_CHUNK];
	f = chunk ? chunk[slot % FIBRIL_CHUNK] : NULL;
	if (f && !list_empty(&f->flight)) {
		line->nr = f->nr;
		line->state = f->state;
		line->cookie = f->cookie;
		line->since = f->since;
		line->wchan = f == task->fibrils->running ?
			      0 : fibril_wchan(task, f);
	}
	raw_spin_unlock_irq(&task->pi_lock);
	return chunk;
}

/*
 * One line for each call that sleeps: number, cookie, state, milliseconds, and
 * the function it sleeps in.
 */
int proc_fibrils_show(struct seq_file *m, struct task_struct *task)
{
	struct asys_line line;
	u32 slot;

	for (slot = 0; slot < FIBRIL_MAX; slot++) {
		if (!asys_get_line(task, slot, &line) || seq_has_overflowed(m))
			break;
		cond_resched();
		if (line.nr == NR_syscalls)
			continue;
		seq_printf(m, "%u %#llx %c %u %ps\n", line.nr, line.cookie,
			   task_index_to_char(__task_state_index(line.state, 0)),
			   jiffies_to_msecs(jiffies - line.since),
			   (void *)line.wchan);
	}
	return 0;
}

#ifdef CONFIG_ASYS_FORCE

/*
 * Forced mode: every call that may be submitted is, and waited for.
 */

static void asys_force_run(struct fibril *f)
{
	f->result = asys_call(f);
}

static void asys_force_done(struct fibril *f)
{
	/* A call that is restarted goes on from what it has left there. */
	current->fibrils->home.saved.restart_block = current->restart_block;
}

/* These look at a signal mask, which is home's. */
static bool asys_force_mask(unsigned int nr, const u64 *args)
{
	switch (nr) {
	case __NR_ppoll:
		return args[3];
	case __NR_pselect6:
	case __NR_io_pgetevents:
		return args[5];
	case __NR_epoll_pwait:
	case __NR_epoll_pwait2:
		return args[4];
	}
	return false;
}

static void asys_force_wait(struct fibril_task *ft, struct fibril *f)
{
	unsigned int state = TASK_INTERRUPTIBLE;

	ft->wait_for = f;
	for (;;) {
		set_current_state(state);
		if (list_empty(&f->flight))
			break;
		/* Interrupts the call, which says what comes of it. */
		if (state == TASK_INTERRUPTIBLE && signal_pending(current)) {
			__set_current_state(TASK_RUNNING);
			fibril_cancel(f, FIBRIL_INTERRUPT);
			state = TASK_UNINTERRUPTIBLE;
			continue;
		}
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	ft->wait_for = NULL;
}

long asys_force_syscall(const struct pt_regs *regs, unsigned int nr)
{
	u64 args[ASYS_MAX_ARGS] = {
		regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9,
	};
	struct fibril *f;
	long ret;

	if (!asys_may_submit(nr, args) || asys_force_mask(nr, args) ||
	    fibril_attach())
		return x64_sys_call(regs, nr);
	f = fibril_alloc();
	if (IS_ERR(f))
		return x64_sys_call(regs, nr);

	f->nr = nr;
	f->cookie = 0;
	f->since = jiffies;
	f->fn = asys_force_run;
	f->finish = asys_force_done;
	arch_fibril_set_args(fibril_regs(f), nr, args);
	fibril_begin();
	if (!fibril_run(f))
		asys_force_wait(current->fibrils, f);
	/* After an oops its stack is not to be used again. */
	if (unlikely(f->dead))
		return -EINTR;
	ret = f->result;
	fibril_free(f);
	return ret;
}

#endif /* CONFIG_ASYS_FORCE */
