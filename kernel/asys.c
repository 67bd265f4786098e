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
#include <linux/eventfd.h>
#include <linux/keyctl.h>
#include <linux/kprobes.h>
#include <linux/nospec.h>
#include <linux/pagemap.h>
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

#define CREATE_TRACE_POINTS
#include <trace/events/asys.h>

#include "fibril_internal.h"

#define ASYS_MAX_ARGS	6

static_assert(sizeof(struct asys_request) == 64);
static_assert(sizeof(struct asys_ring) == 64);

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

/* By in_ia32_syscall(): a number means what it means in the call that submits. */
static const u8 asys_table[][NR_syscalls] = {
	{
#define ASYS_ALLOW(nr, name)		[nr] = ASYS_ALLOWED,
#define ASYS_CHECK(nr, name, check)	[nr] = ASYS_CHECK_##check,
#define ASYS_REFUSE(nr, name, reason)	[nr] = ASYS_REFUSED,
#include "asys_table.h"
	},
#ifdef CONFIG_IA32_EMULATION
	{
#define ASYS_IA32
#define ASYS_ALLOW(nr, name)		[__NR_ia32_##name] = ASYS_ALLOWED,
#define ASYS_CHECK(nr, name, check)	[__NR_ia32_##name] = ASYS_CHECK_##check,
#define ASYS_REFUSE(nr, name, reason)	[__NR_ia32_##name] = ASYS_REFUSED,
#include "asys_table.h"
	},
#endif
};

static_assert(IA32_NR_syscalls <= NR_syscalls);

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

/* May call @nr be made with the arguments in @regs? */
static noinline bool asys_check_args(unsigned int nr, struct pt_regs *regs)
{
	unsigned long args[ASYS_MAX_ARGS];

	syscall_get_arguments(current, regs, args);
	switch (asys_table[in_ia32_syscall()][nr]) {
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

/* @ia32 is in_ia32_syscall(), for those who know it already. */
static __always_inline long asys_sys_call(const struct pt_regs *regs,
					  unsigned int nr, bool ia32)
{
	return ia32 ? ia32_sys_call(regs, nr) : x64_sys_call(regs, nr);
}

/* The kernel wants the call to be made again, not to be interrupted. */
static long asys_call_again(struct fibril *f, long ret)
{
	while (unlikely(ret == -ERESTARTNOINTR) && !fibril_signal_pending(false)) {
		schedule_timeout_uninterruptible(1);
		ret = asys_sys_call(fibril_regs(f), f->nr, in_ia32_syscall());
	}
	return ret;
}

static long asys_call(struct fibril *f)
{
	return asys_call_again(f, asys_sys_call(fibril_regs(f), f->nr,
						in_ia32_syscall()));
}

/* What user mode gets to see: nobody restarts these. */
static long asys_result(struct fibril *f, long ret)
{
	u8 cancel;

	switch (ret) {
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		/* Who is told to end by fibril_timeout() sees that, too. */
		cancel = smp_load_acquire(&f->cancel);
		if (READ_ONCE(f->timed_out))
			return -ETIMEDOUT;
		return cancel ? -ECANCELED : -EINTR;
	}
	return ret;
}

static noinline long asys_run_traced(struct fibril *f)
{
	struct pt_regs *regs = fibril_regs(f);
	long ret;

	trace_sys_enter(regs, f->nr);
	ret = asys_result(f, asys_call(f));
	regs->ax = ret;
	trace_sys_exit(regs, ret);
	return ret;
}

static noinline long asys_run_again(struct fibril *f, long ret)
{
	return asys_result(f, asys_call_again(f, ret));
}

/* The call that @regs, those of @f, are for: its result */
static __always_inline long asys_run(struct fibril *f, struct pt_regs *regs,
				     unsigned long work, bool ia32)
{
	long ret;

	if (unlikely(work & SYSCALL_WORK_SYSCALL_TRACEPOINT))
		return asys_run_traced(f);
	ret = asys_sys_call(regs, f->nr, ia32);
	/* Errors, among which those that user mode does not know */
	if (unlikely((unsigned long)ret >= -ERESTART_RESTARTBLOCK))
		ret = asys_run_again(f, ret);
	return ret;
}

static void asys_run_one(struct fibril *f)
{
	f->result = asys_run(f, fibril_regs(f),
			     READ_ONCE(current_thread_info()->syscall_work),
			     in_ia32_syscall());
}

/*
 * Completions
 */

/* Queue a result for asys_await_completion(). */
static void asys_complete(struct fibril *f)
{
	struct fibril_task *ft = current->fibrils;

	if (f->detached)
		trace_asys_complete(f->nr, f->cookie, f->result);
	list_add_tail(&f->node, &ft->done);
	if (ft->wait_left)
		ft->wait_left--;
}

/* Access to memory of the program, without sleep: if it is not there, a fault. */
static __always_inline bool asys_access_begin(const void __user *ptr, size_t size)
{
	pagefault_disable();
	if (likely(user_access_begin(ptr, size)))
		return true;
	pagefault_enable();
	return false;
}

static __always_inline void asys_access_end(void)
{
	user_access_end();
	pagefault_enable();
}

/* Between the two: how many completions the ring takes, or -ENOSPC, or -EFAULT. */
static __always_inline int asys_ring_room(const struct fibril_task *ft,
					  struct asys_ring __user *ring)
{
	u32 head, there;

	unsafe_get_user(head, &ring->head, fault);
	there = ft->ring_tail - head;
	return there <= ft->ring_mask ? ft->ring_mask - there + 1 : -ENOSPC;
fault:
	return -EFAULT;
}

/* Between the two, if there is room: 0 or -EFAULT. */
static __always_inline int __asys_ring_store(struct fibril_task *ft,
					     struct asys_ring __user *ring,
					     u64 cookie, s64 result)
{
	u32 tail = ft->ring_tail;
	struct asys_completion __user *c = &ring->completions[tail & ft->ring_mask];

	unsafe_put_user(result, &c->return_code, fault);
	unsafe_put_user(cookie, &c->cookie, fault);
	/* Who sees the new tail sees the completion. */
	smp_wmb();
	unsafe_put_user(tail + 1, &ring->tail, fault);
	ft->ring_tail = tail + 1;
	return 0;
fault:
	return -EFAULT;
}

/*
 * Store a completion in the ring: 0, or -ENOSPC, or -EFAULT.  Never sleeps, so
 * that the contexts of a task need no lock here.
 */
static __always_inline int asys_ring_store(struct fibril_task *ft, u64 cookie,
					   s64 result)
{
	struct asys_ring __user *ring = ft->ring;
	int ret;

	if (unlikely(!asys_access_begin(ring, sizeof(*ring))))
		return -EFAULT;
	ret = asys_ring_room(ft, ring);
	if (likely(ret > 0))
		ret = __asys_ring_store(ft, ring, cookie, result);
	asys_access_end();
	return ret;
}

/* Bring in what the next completion goes to, which may sleep: is it there now? */
static bool asys_ring_fault_in(struct fibril_task *ft)
{
	struct asys_completion __user *c =
		&ft->ring->completions[ft->ring_tail & ft->ring_mask];

	/* Not fault_in_writeable(), which writes. */
	return !fault_in_safe_writeable((char __user *)ft->ring,
					sizeof(*ft->ring)) &&
	       !fault_in_safe_writeable((char __user *)c, sizeof(*c));
}

/* Calls that run one after the other in one fibril. */
struct asys_chain {
	u32			nr;
	/* so many have finished, or will not be made */
	u32			done;
	/* the completions of so many are in the ring */
	u32			posted;
	/* its fibril is about to store some there */
	bool			posting;
	s64			result[ASYS_CHAIN_MAX];
	struct asys_request	request[ASYS_CHAIN_MAX];
};

/* Completions of a chain that are not in the ring yet: as asys_ring_store(). */
static int asys_chain_store(struct fibril_task *ft, struct asys_chain *chain)
{
	struct asys_ring __user *ring = ft->ring;
	/* No index below, whose bounds would be checked: not during the access. */
	const struct asys_request *req = chain->request + chain->posted;
	const struct asys_request *end = chain->request + chain->done;
	const s64 *result = chain->result + chain->posted;
	int room;

	if (unlikely(!asys_access_begin(ring, sizeof(*ring))))
		return -EFAULT;
	room = asys_ring_room(ft, ring);
	for (; room > 0 && req != end; room--, req++, result++) {
		if (unlikely(__asys_ring_store(ft, ring, req->cookie, *result))) {
			room = -EFAULT;
			break;
		}
	}
	asys_access_end();
	chain->posted = req - chain->request;
	if (req == end)
		return 0;
	return room < 0 ? room : -ENOSPC;
}

/* All completions of @f that there are: as asys_ring_store(). */
static int asys_store(struct fibril_task *ft, struct fibril *f)
{
	struct asys_chain *chain = f->chain;
	u32 tail = ft->ring_tail;
	int ret;

	if (chain && chain->posted == chain->done)
		return 0;
	if (unlikely(!ft->ring))
		return -EFAULT;
	ret = chain ? asys_chain_store(ft, chain) :
		      asys_ring_store(ft, f->cookie, f->result);
	if (f->detached)
		ft->wait_left -= min(ft->wait_left, ft->ring_tail - tail);
	return ret;
}

/* Wake home if it waits for no more completions than there are. */
static void asys_wake_home(struct fibril_task *ft)
{
	if (ft->waiting && !ft->wait_left)
		wake_up_context(current, TASK_NORMAL, FIBRIL_REF(FIBRIL_HOME));
}

/*
 * The same, after bringing the memory in if @sleep.  Others may store meanwhile,
 * home also what @f has: what asys_store() says last is what counts.
 */
static int asys_post(struct fibril_task *ft, struct fibril *f, bool sleep)
{
	int faults = sleep ? 3 : 0;
	bool there = true;
	int ret;

	for (;;) {
		ret = asys_store(ft, f);
		if (likely(ret != -EFAULT) || !there || !faults-- || !ft->ring)
			return ret;
		/* Some may be there, and home may be who brings in the memory. */
		asys_wake_home(ft);
		there = asys_ring_fault_in(ft);
	}
}

static void asys_free_chain(struct fibril_task *ft, struct fibril *f)
{
	if (ft->spare_chain)
		kfree(f->chain);
	else
		ft->spare_chain = f->chain;
	f->chain = NULL;
}

/* @f has finished, and its completions are in the ring. */
static void asys_put(struct fibril_task *ft, struct fibril *f)
{
	if (f->chain)
		asys_free_chain(ft, f);
	fibril_free(ft, f);
}

/* ASYS_RING_*; does not sleep. */
static void asys_set_flags(struct fibril_task *ft, u32 value)
{
	u32 __user *flags = &ft->ring->flags;

	if (!ft->ring)
		return;
	pagefault_disable();
	if (user_access_begin(flags, sizeof(*flags))) {
		unsafe_put_user(value, flags, fault);
fault:
		user_access_end();
	}
	pagefault_enable();
}

static void asys_tell_overflow(struct fibril_task *ft)
{
	asys_set_flags(ft, ASYS_RING_OVERFLOW);
}

/* The kernel keeps what does not fit. */
static void asys_overflow(struct fibril_task *ft, struct fibril *f)
{
	list_add_tail(&f->node, &ft->overflow);
	asys_tell_overflow(ft);
	/* Home has to know. */
	ft->wait_left = 0;
}

/* Completions of chains that have not finished: as asys_ring_store(). */
static int asys_flush_chains(struct fibril_task *ft)
{
	struct fibril *f;
	int ret;

	list_for_each_entry(f, &ft->flight, flight) {
		if (!f->chain || f->chain->posting)
			continue;
		ret = asys_store(ft, f);
		if (ret)
			return ret;
	}
	return 0;
}

/* A call that has slept has finished; on its fibril. */
static void asys_finish(struct fibril *f)
{
	struct fibril_task *ft = current->fibrils;

	if (!f->chain)
		trace_asys_complete(f->nr, f->cookie, f->result);
	if (likely(!f->chain && ft->ring) &&
	    likely(!asys_ring_store(ft, f->cookie, f->result))) {
		if (ft->wait_left)
			ft->wait_left--;
		/* It is not used again before it has left its stack. */
		fibril_free(ft, f);
	} else if (asys_post(ft, f, true)) {
		asys_overflow(ft, f);
	} else {
		asys_put(ft, f);
	}
	if (unlikely(ft->eventfd))
		eventfd_signal(ft->eventfd);
}

/* Store what did not fit before; sleep for it only if @sleep. */
static void asys_flush(struct fibril_task *ft, bool sleep)
{
	struct fibril *f;
	int ret, tries;

	/* It is set again by who finds no room, now or while we sleep. */
	if (!sleep)
		asys_set_flags(ft, 0);
	else if (ft->ring)
		put_user(0, &ft->ring->flags);
	while ((f = list_first_entry_or_null(&ft->overflow, struct fibril, node))) {
		list_del_init(&f->node);
		/* May sleep, and others may add to the list meanwhile. */
		if (asys_post(ft, f, sleep)) {
			list_add(&f->node, &ft->overflow);
			asys_tell_overflow(ft);
			return;
		}
		asys_put(ft, f);
	}
	for (tries = 0; ft->chain_waits && tries < 3; tries++) {
		ret = asys_flush_chains(ft);
		ft->chain_waits = ret;
		/* Not in the walk over those in flight, which may change. */
		if (ret != -EFAULT || !sleep || !ft->ring ||
		    !asys_ring_fault_in(ft))
			break;
	}
	if (ft->chain_waits)
		asys_tell_overflow(ft);
}

/* Does the kernel keep completions for the ring? */
static bool asys_keeps(struct fibril_task *ft)
{
	return !list_empty(&ft->overflow) || ft->chain_waits;
}

/* What the entry code does for a call, and what it cannot do for this one. */
static noinline long asys_enter_work(unsigned long work, struct fibril *f)
{
	struct pt_regs *regs = fibril_regs(f);
	struct seccomp_data sd = {
		.nr = f->nr,
		.arch = syscall_get_arch(current),
		.instruction_pointer = KSTK_EIP(current),
	};

	syscall_get_arguments(current, regs, (unsigned long *)sd.args);
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

/*
 * Get @f ready for call @nr, whose arguments are there: 0, or 1 if it is not to
 * be made because f->result is known, or why it cannot be made.
 */
static __always_inline long asys_look_up(struct fibril *f, struct pt_regs *regs,
					 unsigned int nr, bool ia32)
{
	if (unlikely(nr >= NR_syscalls)) {
		f->result = 0;
		return nr == ASYS_NOP ? 1 : -ENOSYS;
	}
	nr = array_index_nospec(nr, NR_syscalls);
	f->nr = nr;
	arch_fibril_set_nr(regs, nr);
	if (ia32)
		arch_fibril_ia32_args(regs);
	if (unlikely(asys_table[ia32][nr] != ASYS_ALLOWED) &&
	    !asys_check_args(nr, regs))
		return -EOPNOTSUPP;
	return 0;
}

/* The same, and ask those who have a say in it.  May sleep. */
static long asys_prepare(struct fibril *f, unsigned int nr)
{
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);
	long ret = asys_look_up(f, fibril_regs(f), nr, in_ia32_syscall());

	if (!ret && unlikely(work & ~SYSCALL_WORK_SYSCALL_TRACEPOINT))
		ret = asys_enter_work(work, f);
	return ret;
}

/* Returns 0 if the request was taken. */
static long asys_submit_one(struct fibril_task *ft,
			    struct asys_input __user *ureq)
{
	u64 args[ASYS_MAX_ARGS] = { };
	struct asys_input req;
	struct fibril *f;
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

	f = fibril_alloc(ft, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(f))
		return PTR_ERR(f);

	f->cookie = req.cookie;
	f->fn = NULL;
	f->batch = NULL;
	f->finish = asys_complete;
	arch_fibril_set_args(fibril_regs(f), args);

	ret = asys_prepare(f, req.syscall_nr);
	if (unlikely(ret < 0)) {
		fibril_free(ft, f);
		return ret;
	}
	/* Either a filter has answered, or we ask the kernel. */
	if (!ret && !fibril_run(ft, f)) {
		trace_asys_sleep(f->nr, f->cookie);
		return 0;
	}

	if (req.flags & ASYS_F_REPORT && user_write_access_begin(ureq, sizeof(*ureq))) {
		unsafe_put_user(f->result, &ureq->return_code, fault);
		unsafe_put_user(req.flags | ASYS_F_DONE, &ureq->flags, fault);
		user_write_access_end();
		fibril_free(ft, f);
		return 0;
fault:
		user_write_access_end();
	}
	asys_complete(f);
	fibril_keep(f);
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
 * A request that cannot be taken ends the batch, and so does a signal.
 *
 * Return: how many requests were taken, or why the first one was not:
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
	struct fibril_task *ft;
	unsigned long i;
	long ret;

	if (READ_ONCE(sysctl_asys_disabled))
		return -EPERM;
	if (!nr_requests)
		return 0;

	ret = fibril_attach();
	if (ret)
		return ret;
	ft = current->fibrils;
	fibril_begin(ft);

	for (i = 0; i < nr_requests; i++) {
		ret = asys_submit_one(ft, &requests[i]);
		if (unlikely(ret))
			break;
		if (unlikely(signal_pending(current))) {
			i++;
			break;
		}
		cond_resched();
	}
	fibril_trim(ft);
	return i ? i : ret;
}

/*
 * Completion
 */

/*
 * Sleep until @nr more calls have finished, or none can any more: 0, -ETIME or
 * -ERESTARTSYS.
 */
static long asys_wait(struct fibril_task *ft, unsigned int nr, ktime_t *until)
{
	long ret = 0;

	ft->wait_left = nr;
	ft->waiting = true;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!ft->wait_left || !current->fibrils_in_flight)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		if (!until) {
			schedule();
		} else if (!schedule_hrtimeout_range(until, current->timer_slack_ns,
						     HRTIMER_MODE_ABS)) {
			ret = ft->wait_left ? -ETIME : 0;
			break;
		}
	}
	__set_current_state(TASK_RUNNING);
	ft->waiting = false;
	ft->wait_left = 0;
	return ret;
}

/**
 * sys_asys_await_completion - wait for a submitted call to finish
 * @comp: where to store its result
 *
 * Return: 0, or
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
	while (list_empty(&ft->done)) {
		if (!current->fibrils_in_flight)
			return -ENODATA;
		ret = asys_wait(ft, 1, NULL);
		if (ret)
			return ret;
	}

	f = list_first_entry(&ft->done, struct fibril, node);
	c.return_code = f->result;
	c.cookie = f->cookie;
	if (copy_to_user(comp, &c, sizeof(c)))
		return -EFAULT;
	list_del(&f->node);
	fibril_free(ft, f);
	fibril_trim(ft);
	return 0;
}

/*
 * The ring
 */

/* The first word of a request. */
union asys_head {
	struct {
		u16	nr;
		u8	flags;
		u8	use;
		u32	timeout;
	};
	u64		word;
};

/* Its flags and use: such a request is one of a chain. */
#define ASYS_HEAD_CHAIN	0xffff0000U

/* A chain has not finished, but has completions already. */
static void asys_post_early(struct fibril_task *ft, struct fibril *f)
{
	f->chain->posting = true;
	if (asys_post(ft, f, true)) {
		/* Home stores them once there is room. */
		ft->chain_waits = true;
		asys_tell_overflow(ft);
		ft->wait_left = 0;
	}
	if (ft->eventfd)
		eventfd_signal(ft->eventfd);
	f->chain->posting = false;
	asys_wake_home(ft);
}

/* The calls of a chain, on their fibril. */
static void asys_run_chain(struct fibril *f)
{
	struct fibril_task *ft = current->fibrils;
	struct asys_chain *chain = f->chain;
	struct pt_regs *regs = fibril_regs(f);
	bool ia32 = in_ia32_syscall();
	long ret = 0;
	u32 i;

	for (i = 0; i < chain->nr; i++) {
		struct asys_request *req = &chain->request[i];

		if (ret >= 0) {
			if (req->use)
				req->args[req->use & 7] = chain->result[i - (req->use >> 3)];
			arch_fibril_set_args(regs, req->args);
			f->cookie = req->cookie;
			ret = asys_prepare(f, req->nr);
			if (!ret) {
				f->result = asys_run(f, regs,
						     READ_ONCE(current_thread_info()->syscall_work),
						     ia32);
				if (unlikely(f->to_end))
					fibril_end_call(f);
				else
					f->of_call = 0;
			}
			if (ret >= 0)
				ret = f->result;
			chain->result[i] = ret;
			if (f->detached)
				trace_asys_complete(f->nr, f->cookie, ret);
		} else {
			chain->result[i] = -ECANCELED;
		}
		chain->done = i + 1;
		/* The last ones are stored when the chain has finished. */
		if (f->detached && i + 1 < chain->nr)
			asys_post_early(ft, f);
	}
}

/* Arguments are looked at when they are known: see asys_prepare(). */
static long asys_may_be_linked(unsigned int nr)
{
	const u8 *table = asys_table[in_ia32_syscall()];

	if (nr == ASYS_NOP)
		return 0;
	if (nr >= NR_syscalls)
		return -ENOSYS;
	if (table[array_index_nospec(nr, NR_syscalls)] <= ASYS_REFUSED)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * A request is not in memory, and we must not sleep: is it just that, or can it
 * not be read at all?
 */
static long asys_why_fault(const struct asys_request __user *req)
{
	unsigned long addr = (unsigned long)req, end = addr + sizeof(*req) - 1;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	long ret = -EFAULT;

	if (!access_ok(req, sizeof(*req)))
		return -EFAULT;
	if (!mmap_read_trylock(mm))
		return -EAGAIN;
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_flags & VM_READ) {
		vma = vma_lookup(mm, end);
		if (vma && vma->vm_flags & VM_READ)
			ret = -EAGAIN;
	}
	mmap_read_unlock(mm);
	return ret;
}

static long asys_fault_in(const struct asys_request __user *req, gfp_t gfp)
{
	if (!gfpflags_allow_blocking(gfp))
		return asys_why_fault(req);
	return fault_in_readable((const char __user *)req, sizeof(*req)) ?
	       -EFAULT : 0;
}

static __always_inline long asys_get_request(struct asys_request *req,
					     const struct asys_request __user *ureq,
					     gfp_t gfp)
{
	const u64 __user *from = (const u64 __user *)ureq;
	u64 *to = (u64 *)req;
	unsigned int i;

	if (likely(asys_access_begin(ureq, sizeof(*ureq)))) {
		for (i = 0; i < sizeof(*req) / sizeof(*to); i++)
			unsafe_get_user(to[i], &from[i], fault);
		asys_access_end();
		return 0;
fault:
		asys_access_end();
	}
	if (!gfpflags_allow_blocking(gfp))
		return asys_why_fault(ureq);
	return copy_from_user(req, ureq, sizeof(*req)) ? -EFAULT : 0;
}

/*
 * Get the chain that begins at @ureq: how many requests it has.  Does not sleep
 * if @gfp does not allow it.
 */
static long asys_get_chain(struct fibril_task *ft, struct fibril *f,
			   const struct asys_request __user *ureq,
			   unsigned long nr, gfp_t gfp)
{
	struct asys_chain *chain = ft->spare_chain;
	struct asys_request *req;
	unsigned long i = 0;
	long ret;

	if (chain) {
		ft->spare_chain = NULL;
	} else {
		/* There may be a spare one after this, if it sleeps. */
		if (gfp)
			chain = kmalloc(sizeof(*chain), gfp);
		if (!chain)
			return gfpflags_allow_blocking(gfp) ? -ENOMEM : -EAGAIN;
	}
	f->chain = chain;
	chain->posting = false;
	do {
		req = &chain->request[i];
		ret = asys_get_request(req, &ureq[i], gfp);
		if (ret)
			return ret;
		if (req->flags & ~ASYS_R_LINK || (i && req->timeout))
			return -EINVAL;
		if (req->use && ((req->use & 7) >= ASYS_MAX_ARGS ||
				 !(req->use >> 3) || req->use >> 3 > i))
			return -EINVAL;
		ret = asys_may_be_linked(req->nr);
		if (ret)
			return ret;
		i++;
	} while (req->flags & ASYS_R_LINK && i < nr && i < ASYS_CHAIN_MAX);
	/* The last one is linked to nothing. */
	if (req->flags & ASYS_R_LINK)
		return -EINVAL;
	chain->nr = i;
	chain->done = 0;
	chain->posted = 0;
	return i;
}

/* Something for home to do between two requests? */
static __always_inline bool asys_has_work(struct fibril_task *ft)
{
	unsigned long work = READ_ONCE(current_thread_info()->flags) &
			     (_TIF_NEED_RESCHED | _TIF_FIBRIL |
			      _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL);

	return unlikely(work) &&
	       (work != _TIF_FIBRIL || fibrils_want_turn(ft));
}

/* Why a fibril that takes the requests of a batch gives back to home. */
enum asys_why {
	/* home has something to do, or there are no more requests */
	ASYS_WHY_WORK,
	/* the next request cannot be taken: asys_batch::error */
	ASYS_WHY_ERROR,
	/* the next request is not in memory */
	ASYS_WHY_FAULT,
	/* the next request begins a chain, for which something is not there */
	ASYS_WHY_CHAIN,
	/* somebody has to be asked about the next request */
	ASYS_WHY_ASK,
	/* the completion of the last one does not fit into the ring */
	ASYS_WHY_POST,
};

/* So many batches begin with a plug after one in which calls have slept for I/O. */
#define ASYS_PLUG_AHEAD	63

/*
 * What home and the fibrils that run its batch have in common.  A fibril looks
 * at it until it sleeps; from then on home goes on.
 */
struct asys_batch {
	/* of the request that was taken last */
	union asys_head head;
	struct fibril_task *ft;
	/* the requests: the next one, and behind the last; user addresses all */
	const struct asys_request __user *first, *next, *end;
	enum asys_why why;
	/* so many more completions need not ask whether the ring has room */
	int room;
	/* how many calls have slept for I/O */
	unsigned int ios;
	long error;
};

/*
 * The next request begins a chain: make its calls here, on @f, if all that it
 * takes is there, and go on with %ASYS_WHY_WORK.
 */
static noinline notrace enum asys_why
asys_run_batch_chain(struct fibril *f, struct asys_batch *b)
{
	struct fibril_task *ft = b->ft;
	long n = asys_get_chain(ft, f, b->next, b->end - b->next, 0);

	if (n < 0) {
		/* Home can sleep for it, and says what is wrong. */
		if (f->chain)
			asys_free_chain(ft, f);
		return ASYS_WHY_CHAIN;
	}
	b->next += n;
	asys_run_chain(f);
	/* As in asys_run_batch(): from here on, it may be on its own. */
	if (unlikely(f->to_end))
		fibril_done(f);
	if (asys_post(ft, f, false))
		return ASYS_WHY_POST;
	asys_free_chain(ft, f);
	b->room = 0;
	fibril_renew(f);
	WRITE_ONCE(current_thread_info()->fibril, f->id);
	return ASYS_WHY_WORK;
}

NOKPROBE_SYMBOL(asys_run_batch_chain);

/*
 * Take requests, and make the calls, one after the other.  This is the fast
 * path, on a fibril: as long as no call sleeps, one stack switch serves the
 * batch, and what a call costs is what is in this loop.  It must not sleep
 * anywhere else, for @b would be home's then.
 */
static __always_inline enum asys_why asys_run_batch(struct fibril *f,
						    struct asys_batch *b,
						    bool ia32)
{
	struct thread_info *ti = current_thread_info();
	struct pt_regs *regs = fibril_regs(f);
	struct fibril_task *ft = b->ft;
	const struct asys_request __user *req = b->next;
	struct asys_ring __user *ring;
	unsigned long work;
	long ret;

	if (unlikely(!asys_access_begin(req, sizeof(*req))))
		return ASYS_WHY_FAULT;
	/* Home may have stored some since. */
	b->room = 0;
	/* One register for each of them, not two that are an offset apart */
	OPTIMIZER_HIDE_VAR(regs);
	for (;;) {
		OPTIMIZER_HIDE_VAR(req);
		ret = arch_fibril_get_request(regs, &b->head.word, &f->cookie, req);
		asys_access_end();
		if (unlikely(ret))
			return ASYS_WHY_FAULT;

		if (unlikely(b->head.word & ASYS_HEAD_CHAIN)) {
			enum asys_why why = asys_run_batch_chain(f, b);

			req = b->next;
			if (why != ASYS_WHY_WORK || req == b->end ||
			    asys_has_work(ft))
				return why;
			if (unlikely(!asys_access_begin(req, sizeof(*req))))
				return ASYS_WHY_FAULT;
			continue;
		}
		/* A filter's answer is logged, and that may sleep. */
		work = READ_ONCE(ti->syscall_work);
		if (unlikely(work & ~SYSCALL_WORK_SYSCALL_TRACEPOINT))
			return ASYS_WHY_ASK;
		ret = asys_look_up(f, regs, b->head.nr, ia32);
		if (unlikely(ret < 0)) {
			b->error = ret;
			return ASYS_WHY_ERROR;
		}

		b->next = ++req;
		ret = likely(!ret) ? asys_run(f, regs, work, ia32) : 0;
		/* From here on, it may be on its own: then this is the end. */
		if (unlikely(f->to_end)) {
			f->result = ret;
			fibril_done(f);
		}

		/*
		 * Two in one go: the completion, and the next request.  Both are
		 * below TASK_SIZE_MAX, as asys_set_ring() and asys_take_all() saw.
		 */
		pagefault_disable();
		__uaccess_begin();
		ring = ft->ring;
		if (unlikely(--b->room < 0)) {
			b->room = asys_ring_room(ft, ring) - 1;
			if (unlikely(b->room < 0))
				break;
		}
		if (unlikely(__asys_ring_store(ft, ring, f->cookie, ret)))
			break;
		fibril_renew(f);
		WRITE_ONCE(ti->fibril, f->id);
		if (unlikely(req == b->end) || unlikely(asys_has_work(ft))) {
			asys_access_end();
			return ASYS_WHY_WORK;
		}
	}
	asys_access_end();
	f->result = ret;
	return ASYS_WHY_POST;
}

/* So that the other one need not ask for each call. */
static noinline notrace enum asys_why asys_run_batch_ia32(struct fibril *f)
{
	return asys_run_batch(f, f->batch, true);
}

NOKPROBE_SYMBOL(asys_run_batch_ia32);

asmlinkage __visible notrace void fibril_main(struct fibril *f)
{
	struct asys_batch *b = f->batch;

	if (unlikely(b && in_ia32_syscall()))
		b->why = asys_run_batch_ia32(f);
	else if (likely(b))
		b->why = asys_run_batch(f, b, false);
	else if (f->fn)
		f->fn(f);
	else
		asys_run_one(f);
	if (unlikely(f->to_end))
		fibril_done(f);
}

NOKPROBE_SYMBOL(fibril_main);

/* Get a fibril for the calls of a batch. */
static __always_inline struct fibril *asys_get_fibril(struct fibril_task *ft,
						      gfp_t gfp)
{
	struct fibril *f = fibril_alloc(ft, gfp);

	if (IS_ERR(f)) {
		/* We might have slept for it. */
		if (f == ERR_PTR(-ENOMEM) && !gfpflags_allow_blocking(gfp))
			f = ERR_PTR(-EAGAIN);
		return f;
	}
	f->fn = NULL;
	f->finish = asys_finish;
	f->chain = NULL;
	return f;
}

/*
 * Ask about the call that @f is ready for, and make it; true: it has finished.
 * Inlined, as is whatever calls fibril_run() for a batch: KCSAN counts functions,
 * and home goes on in the one where it was saved.
 */
static __always_inline bool asys_take_asked(struct asys_batch *b, struct fibril *f)
{
	long ret = asys_prepare(f, b->head.nr);

	if (ret < 0) {
		b->why = ASYS_WHY_ERROR;
		b->error = ret;
		return true;
	}
	b->next++;
	b->why = ASYS_WHY_POST;
	f->batch = NULL;
	return ret || fibril_run(b->ft, f);
}

/* Run the chain that is next; true: @f has finished. */
static __always_inline bool asys_take_chain(struct asys_batch *b,
					    struct fibril *f, gfp_t gfp)
{
	struct fibril_task *ft = b->ft;
	long n = asys_get_chain(ft, f, b->next, b->end - b->next, gfp);
	bool done;

	if (n < 0) {
		b->why = ASYS_WHY_ERROR;
		b->error = n;
		return true;
	}
	b->next += n;
	b->head.timeout = f->chain->request[0].timeout;
	b->why = ASYS_WHY_POST;
	f->batch = NULL;
	f->fn = asys_run_chain;
	done = fibril_run(ft, f);
	if (done)
		f->fn = NULL;
	return done;
}

/* The call of @f sleeps, for the first time. */
static __always_inline void asys_sleeps(struct asys_batch *b, struct fibril *f)
{
	trace_asys_sleep(f->nr, f->cookie);
	if (unlikely(b->head.timeout))
		fibril_set_deadline(f, ktime_add_us(ktime_get(), b->head.timeout));
	if (!f->saved->in_iowait)
		return;
	/*
	 * It sleeps for I/O.  Others will, too: let the driver have theirs in
	 * one go.  For a device that is done with it at once this is not worth
	 * it, and there, nobody sleeps, unless what it waits for is in a plug.
	 * So only some batches, after one that shows this, begin with one.
	 */
	b->ios++;
	if (b->next == b->end)
		return;
	if (current->plug) {
		if (!(b->ios % FIBRIL_PLUG_IOS))
			fibril_refill_plug(b->ft, b->end - b->next);
	} else {
		fibril_start_plug(b->ft, b->end - b->next);
		if (current->plug)
			b->ft->plug_ahead = ASYS_PLUG_AHEAD;
	}
}

/* Take requests until one cannot be taken, or a signal comes. */
static __always_inline void asys_take(struct asys_batch *b, gfp_t gfp)
{
	struct fibril_task *ft = b->ft;
	struct fibril *f = NULL;
	bool done;

	do {
		if (!f) {
			f = asys_get_fibril(ft, gfp);
			if (IS_ERR(f)) {
				b->error = PTR_ERR(f);
				return;
			}
		}
		f->batch = b;
		done = fibril_run(ft, f);
		if (done && b->why == ASYS_WHY_ASK)
			done = asys_take_asked(b, f);
		else if (done && b->why == ASYS_WHY_CHAIN)
			done = asys_take_chain(b, f, gfp);
		if (!done) {
			asys_sleeps(b, f);
			f = NULL;
		} else if (b->why == ASYS_WHY_POST) {
			if (asys_post(ft, f, gfpflags_allow_blocking(gfp))) {
				asys_overflow(ft, f);
				fibril_keep(f);
				f = NULL;
			} else {
				if (f->chain)
					asys_free_chain(ft, f);
				fibril_renew(f);
			}
		} else if (b->why == ASYS_WHY_FAULT) {
			b->error = asys_fault_in(b->next, gfp);
			if (b->error)
				break;
		} else if (b->why == ASYS_WHY_ERROR) {
			break;
		}
		if (asys_has_work(ft)) {
			cond_resched();
			fibril_cond_yield();
			if (signal_pending(current))
				break;
		}
	} while (b->next != b->end);
	/* Only to bring the first one in took so long. */
	if (b->next == b->first && !b->error)
		b->error = -ERESTARTNOINTR;

	if (f) {
		if (f->chain)
			asys_free_chain(ft, f);
		fibril_free(ft, f);
	}
}

static long asys_take_all(struct fibril_task *ft,
			  const struct asys_request __user *requests,
			  unsigned long nr, unsigned int flags)
{
	gfp_t gfp = flags & ASYS_ENTER_ATOMIC ? 0 :
		    flags & ASYS_ENTER_NONBLOCK ? GFP_NOWAIT | __GFP_ACCOUNT :
		    GFP_KERNEL_ACCOUNT;
	struct asys_batch b = {
		.ft = ft,
		.first = requests,
		.next = requests,
	};

	if (!access_ok(requests, sizeof(*requests)))
		return -EFAULT;
	b.end = requests + min(nr, (TASK_SIZE_MAX - (unsigned long)requests) /
				   sizeof(*requests));

	fibril_begin(ft);
	if (unlikely(ft->plug_ahead)) {
		ft->plug_ahead--;
		fibril_start_plug(ft, min(nr, ft->plug_ios));
	}
	asys_take(&b, gfp);
	/* Whose requests are there sleeps until then. */
	if (current->plug) {
		blk_finish_plug(&ft->plug);
		/* For one alone, it is not worth it. */
		ft->plug_ios = min(b.ios, U16_MAX);
		if (b.ios < 2)
			ft->plug_ahead = 0;
	}
	fibril_trim(ft);
	return b.next - b.first ?: b.error;
}

/* Wait until there are @min completions in the ring: 0, -ETIME or -EINTR. */
static long asys_wait_ring(struct fibril_task *ft, u32 min,
			   struct asys_wait *wait)
{
	ktime_t until = 0;
	u32 head, there;
	long ret = 0;

	if (wait->timeout)
		until = ktime_add_safe(ktime_get(), ns_to_ktime(wait->timeout));
	if (wait->sigmask) {
		ret = set_user_sigmask(u64_to_user_ptr(wait->sigmask),
				       wait->sigsetsize);
		if (ret)
			return ret;
	}
	/* Those that can go on: there may be enough after that. */
	if (READ_ONCE(ft->run_first))
		__fibril_resume();
	for (;;) {
		if (asys_keeps(ft))
			asys_flush(ft, true);
		if (get_user(head, &ft->ring->head)) {
			ret = -EFAULT;
			break;
		}
		there = ft->ring_tail - head;
		/* Nor will there be more before the program makes room. */
		if (there >= min || asys_keeps(ft) ||
		    !current->fibrils_in_flight)
			break;
		ret = asys_wait(ft, min - there, wait->timeout ? &until : NULL);
		if (ret)
			break;
	}
	if (ret == -ERESTARTSYS)
		ret = -EINTR;
	restore_saved_sigmask_unless(ret == -EINTR);
	return ret;
}

/**
 * sys_asys_enter - make system calls, and wait for some to finish
 * @requests: array of requests
 * @nr_requests: how many there are
 * @min_complete: wait until so many completions are in the ring, or no call is
 *	in flight; 0: do not wait
 * @flags: ASYS_ENTER_*
 * @wait: how to wait; may be %NULL
 * @size: size of *@wait
 *
 * Completions go to the ring that asys_control() has set.  A request that cannot
 * be taken ends the batch, and then there is no wait.
 *
 * Return: how many requests were taken; if that is 0 and some were given, why
 * the first one was not, as with asys_submit(); if none was given, how the wait
 * ended:
 * * 0: there are @min_complete completions, or no call is in flight, or
 *   the ring is full
 * * -ETIME: the time is over
 * * -EINTR: a signal came first
 * * -EFAULT: the head of the ring cannot be read
 *
 * and, in addition to those of asys_submit():
 *
 * * -ENXIO: there is no ring
 * * -EINVAL: unknown flags; a bad chain; a bad @wait or mask
 * * -E2BIG: @wait has members that this kernel does not know, not 0
 * * -EAGAIN: with %ASYS_ENTER_NONBLOCK or %ASYS_ENTER_ATOMIC, the call needs
 *   memory that is not there
 */
SYSCALL_DEFINE6(asys_enter, const struct asys_request __user *, requests,
		unsigned int, nr_requests, unsigned int, min_complete,
		unsigned int, flags, const struct asys_wait __user *, wait,
		size_t, size)
{
	struct fibril_task *ft = current->fibrils;
	struct asys_wait w = { };
	long taken = 0, ret;

	/* What is in flight can be waited for. */
	if (nr_requests && READ_ONCE(sysctl_asys_disabled))
		return -EPERM;
	if (unlikely(flags & ~(ASYS_ENTER_NONBLOCK | ASYS_ENTER_ATOMIC)))
		return -EINVAL;
	if (unlikely(!ft || !ft->ring))
		return -ENXIO;
	if (wait) {
		if (size < ASYS_WAIT_SIZE_VER0 || size > PAGE_SIZE)
			return -EINVAL;
		ret = copy_struct_from_user(&w, sizeof(w), wait, size);
		if (ret)
			return ret;
		if (w.timeout > KTIME_MAX)
			return -EINVAL;
	}

	fibril_ask(ft);
	if (unlikely(asys_keeps(ft)))
		asys_flush(ft, !(flags & (ASYS_ENTER_NONBLOCK | ASYS_ENTER_ATOMIC)));
	if (nr_requests) {
		taken = asys_take_all(ft, requests, nr_requests, flags);
		if (taken < 0)
			return taken;
	}
	/* It might wait for what one of the others is to bring about. */
	if (!min_complete || taken < nr_requests)
		return taken;
	ret = asys_wait_ring(ft, min_complete, &w);
	return taken ?: ret;
}

static long asys_set_ring(const struct asys_ring_setup *setup)
{
	struct asys_ring __user *ring = u64_to_user_ptr(setup->ring);
	struct fibril_task *ft;
	u32 tail;
	long ret;

	if (setup->flags & ~ASYS_SETUP_DEFER)
		return -EINVAL;
	if (ring && (!is_power_of_2(setup->entries) ||
		     setup->entries > ASYS_RING_MAX ||
		     !IS_ALIGNED(setup->ring, 8)))
		return -EINVAL;
	if (ring && !access_ok(ring, struct_size(ring, completions, setup->entries)))
		return -EFAULT;
	if (ring && get_user(tail, &ring->tail))
		return -EFAULT;
	ret = fibril_attach();
	if (ret)
		return ret;
	ft = current->fibrils;
	ft->ring = ring;
	ft->ring_mask = setup->entries - 1;
	ft->ring_tail = ring ? tail : 0;
	ft->defer = setup->flags & ASYS_SETUP_DEFER;
	fibril_ask(ft);
	return 0;
}

static long asys_set_eventfd(int fd)
{
	struct eventfd_ctx *ctx = NULL;
	struct fibril_task *ft;
	long ret;

	if (fd != -1) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	ret = fibril_attach();
	if (ret) {
		if (ctx)
			eventfd_ctx_put(ctx);
		return ret;
	}
	ft = current->fibrils;
	swap(ft->eventfd, ctx);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

/*
 * Cancel calls that sleep.  Home does this, and so no fibril runs: each either
 * has finished, and is not in flight, or sleeps.  Who else may wake it, for
 * what it waits for or because it is late, does so under pi_lock, before us or
 * after us; it ends once in either case.
 */
static long asys_cancel(const u64 *cookie)
{
	struct fibril_task *ft = current->fibrils;
	long ret = cookie ? -ENOENT : 0;
	struct fibril *f;
	bool woken;

	if (!ft)
		return ret;
	fibril_ask(ft);
	list_for_each_entry(f, &ft->flight, flight) {
		/* One that is about to store its completion has finished. */
		if (f->ending || (cookie && (f->cookie != *cookie ||
					     (f->chain && f->chain->posting))))
			continue;
		woken = fibril_cancel(f, FIBRIL_KILL);
		trace_asys_cancel(f->nr, f->cookie, woken);
		if (cookie)
			return woken ? 0 : -EALREADY;
		ret++;
	}
	return ret;
}

/**
 * sys_asys_control - set up, cancel, ask
 * @op: ASYS_CTL_*
 * @arg: its argument
 * @size: size of *@arg
 *
 * Return: 0; for %ASYS_CTL_CANCEL_ALL, how many calls were told to end; or
 * * -EINVAL: unknown operation, or flags; bad size; a ring whose number of
 *   entries is not a power of 2, or too large, or that is not aligned; a file
 *   that is not an eventfd
 * * -E2BIG: %ASYS_CTL_RING: *@arg has members that this kernel does not know,
 *   not 0
 * * -EFAULT: @arg, or the ring, cannot be accessed
 * * -ENOMEM: out of memory
 * * -EBADF: not an open file, for %ASYS_CTL_EVENTFD
 * * -ENOENT: %ASYS_CTL_CANCEL: no call with this cookie is in flight
 * * -EALREADY: %ASYS_CTL_CANCEL: it cannot be interrupted now, and will be
 *   when that changes, if it has not finished by then; or it has been woken
 *   already, and is about to go on
 */
SYSCALL_DEFINE3(asys_control, unsigned int, op, void __user *, arg,
		size_t, size)
{
	struct asys_ring_setup setup;
	struct asys_info info;
	s32 fd;
	u64 cookie;
	long ret;

	switch (op) {
	case ASYS_CTL_RING:
		if (size < sizeof(setup) || size > PAGE_SIZE)
			return -EINVAL;
		ret = copy_struct_from_user(&setup, sizeof(setup), arg, size);
		return ret ?: asys_set_ring(&setup);
	case ASYS_CTL_EVENTFD:
		if (size != sizeof(fd))
			return -EINVAL;
		if (get_user(fd, (s32 __user *)arg))
			return -EFAULT;
		return asys_set_eventfd(fd);
	case ASYS_CTL_CANCEL:
		if (size != sizeof(cookie))
			return -EINVAL;
		if (copy_from_user(&cookie, arg, sizeof(cookie)))
			return -EFAULT;
		return asys_cancel(&cookie);
	case ASYS_CTL_CANCEL_ALL:
		if (arg || size)
			return -EINVAL;
		return asys_cancel(NULL);
	case ASYS_CTL_INFO:
		if (size > PAGE_SIZE)
			return -EINVAL;
		memset(&info, 0, sizeof(info));
		info.request_flags = ASYS_R_LINK;
		info.enter_flags = ASYS_ENTER_NONBLOCK | ASYS_ENTER_ATOMIC;
		info.setup_flags = ASYS_SETUP_DEFER;
		info.controls = (1U << (ASYS_CTL_INFO + 1)) - 1;
		info.chain_max = ASYS_CHAIN_MAX;
		info.fibrils_max = min_t(u32, FIBRILS_MOST,
					 READ_ONCE(sysctl_fibrils_per_task));
		info.in_flight = current->fibrils_in_flight;
		if (copy_to_user(arg, &info, min(size, sizeof(info))) ||
		    (size > sizeof(info) &&
		     clear_user(arg + sizeof(info), size - sizeof(info))))
			return -EFAULT;
		return 0;
	}
	return -EINVAL;
}

/* The task has no calls in flight any more. */
void asys_exit(struct fibril_task *ft)
{
	struct fibril *f;

	list_for_each_entry(f, &ft->overflow, node) {
		kfree(f->chain);
		f->chain = NULL;
	}
	kfree(ft->spare_chain);
	if (ft->eventfd)
		eventfd_ctx_put(ft->eventfd);
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

/*
 * One line for each call that sleeps: number, cookie, state, milliseconds, and
 * the function it sleeps in.
 */
int proc_fibrils_show(struct seq_file *m, struct task_struct *task)
{
	struct fibril_view view;
	u32 slot;

	for (slot = 0; fibril_look(task, slot, &view, 1); slot++) {
		if (seq_has_overflowed(m))
			break;
		cond_resched();
		if (!view.used)
			continue;
		seq_printf(m, "%u %#llx %c %u %ps\n", view.nr, view.cookie,
			   task_index_to_char(__task_state_index(view.state, 0)),
			   jiffies_to_msecs(jiffies - view.since),
			   view.depth ? (void *)view.trace[0] : NULL);
	}
	return 0;
}

#ifdef CONFIG_ASYS_FORCE

/*
 * Forced mode: every call that may be submitted is, and waited for.
 */

DEFINE_STATIC_KEY_FALSE(asys_force_used);

static void asys_force_run(struct fibril *f)
{
	f->result = asys_call(f);
}

/* A call that is restarted goes on from what it has left there. */
static void asys_force_done(struct fibril *f)
{
	struct fibril *home = &current->fibrils->home;

	home->saved->restart_block = current->restart_block;
	home->uses |= FIBRIL_USES_RESTART;
}

/* These look at a signal mask, which is home's. */
static bool asys_force_mask(unsigned int nr, struct pt_regs *regs)
{
#define IA32(name)	(NR_syscalls + __NR_ia32_##name)
	unsigned long args[ASYS_MAX_ARGS];

	syscall_get_arguments(current, regs, args);
	switch (in_ia32_syscall() ? NR_syscalls + nr : nr) {
	case __NR_ppoll:
	case IA32(ppoll):
	case IA32(ppoll_time64):
		return args[3];
	case __NR_pselect6:
	case __NR_io_pgetevents:
	case IA32(pselect6):
	case IA32(pselect6_time64):
	case IA32(io_pgetevents):
	case IA32(io_pgetevents_time64):
		return args[5];
	case __NR_epoll_pwait:
	case __NR_epoll_pwait2:
	case IA32(epoll_pwait):
	case IA32(epoll_pwait2):
		return args[4];
	}
	return false;
#undef IA32
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

long asys_force_syscall(struct pt_regs *regs, unsigned int nr)
{
	bool ia32 = in_ia32_syscall();
	struct fibril_task *ft;
	struct fibril *f;
	long ret;

	if (!current->asys_force ||
	    (asys_table[ia32][nr] != ASYS_ALLOWED && !asys_check_args(nr, regs)) ||
	    asys_force_mask(nr, regs) ||
	    fibril_attach())
		return asys_sys_call(regs, nr, ia32);
	ft = current->fibrils;
	f = fibril_alloc(ft, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(f))
		return asys_sys_call(regs, nr, ia32);

	f->nr = nr;
	f->cookie = 0;
	f->fn = asys_force_run;
	f->batch = NULL;
	f->finish = asys_force_done;
	arch_fibril_copy_args(fibril_regs(f), regs);
	arch_fibril_set_nr(fibril_regs(f), nr);
	fibril_begin(ft);
	if (!fibril_run(ft, f))
		asys_force_wait(ft, f);
	/* After an oops its stack is not to be used again. */
	if (unlikely(f->dead))
		return -EINTR;
	ret = f->result;
	fibril_free(ft, f);
	return ret;
}

#endif /* CONFIG_ASYS_FORCE */
