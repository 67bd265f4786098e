// SPDX-License-Identifier: GPL-2.0
/*
 * Fibrils: more than one kernel stack in one task.
 *
 * A task has one context that came from user mode, home, and any number of
 * fibrils, each with a stack of its own.  One of them runs, the others are
 * parked.  A context gives up the CPU to another one of its task only where
 * it would have slept, in schedule(), so that code sees concurrency inside a
 * task only where it sleeps.  See Documentation/fibrils.rst.
 *
 * How a context parks and is woken
 *
 * Everything below happens under the pi_lock of the task, which wakers hold
 * anyway:
 *
 *   context A of task T			waker
 *
 *   A is on a wait queue, with its id
 *   T->__state = S (set_current_state())
 *   fibril_schedule():			try_to_wake_up_context(T, mask, A):
 *     lock pi_lock			  lock pi_lock
 *       T->__state still S?		    A runs: match T->__state,
 *       A->state = S, nothing runs	      as for any other task
 *       pick B: T->__state = RUNNING	    A is parked: match A->state,
 *     unlock				      put A on the run queue
 *     switch from A to B		  unlock
 *
 * A waker that comes before the section of A changes T->__state, and A sees it
 * there.  One that comes after it finds A parked.  There is no time when A is
 * neither.
 *
 * If no context can run, the section publishes TASK_FIBRILS, with home's state
 * for those who look, in T->__state, and T goes to sleep as tasks do.  A waker
 * that makes a context runnable while TASK_FIBRILS is set wakes T; from there
 * on, the usual rules between schedule() and ttwu() hold.  Once T is awake it
 * takes the lock and picks whatever is on the run queue by then.
 *
 * A call that does not sleep takes no part in this: fibril_run() calls it on
 * the other stack, and it returns.  Only @running and the id change, without
 * the lock.  A waker that names a context has seen its wait queue entry, and
 * so the id that was stored before.  One that names home without that, that
 * is, a signal, may still see the fibril.  Then home sees the signal:
 *
 *   home				signal_wake_up()
 *   running = home			set TIF_SIGPENDING
 *   T->__state = S			lock pi_lock, smp_mb()
 *   smp_mb()				read running
 *   read TIF_SIGPENDING
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/fibril.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/idr.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/memcontrol.h>
#include <linux/pipe_fs_i.h>
#include <linux/rcupdate.h>
#include <linux/restart_block.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/tick.h>
#include <linux/vmalloc.h>

#include "fibril_internal.h"

DEFINE_STATIC_KEY_FALSE(fibrils_used);
EXPORT_SYMBOL(fibrils_used);

unsigned int sysctl_fibrils_per_task __read_mostly = 16384;
unsigned int sysctl_fibrils_per_user __read_mostly = 65536;

static_assert(FIBRIL_MAX == 1U << FIBRIL_SLOT_BITS);

/*
 * State of the task that belongs to a context
 */

/* The first word of a member, which says whether it is used */
#define fibril_word(member)	({					\
	const void *__p = &(member);					\
	sizeof(member) < sizeof(long) ? *(const unsigned int *)__p :	\
					*(const unsigned long *)__p; })

static __always_inline bool fibril_uses_restart(struct task_struct *tsk)
{
	return tsk->restart_block.fn != do_no_restart_syscall ||
	       tsk->restart_block.nanosleep.type != TT_NONE;
}

static noinline unsigned int __fibril_uses(struct task_struct *tsk)
{
	unsigned long rare = tsk->flags & PF_FIBRIL, caches = 0;

#define X(member)	rare |= fibril_word(tsk->member);
	FIBRIL_RARE(X)
#undef X
#define X(member)	rare |= tsk->member;
	FIBRIL_RARE_BITS(X)
#undef X
#define X(member)	caches |= fibril_word(tsk->member);
	FIBRIL_CACHES(X)
#undef X
	return (rare ? FIBRIL_USES_RARE : 0) |
	       (caches ? FIBRIL_USES_CACHES : 0) |
	       (fibril_uses_restart(tsk) ? FIBRIL_USES_RESTART : 0);
}

/* Which groups the context that runs uses: none, mostly */
static __always_inline unsigned int fibril_uses(struct task_struct *tsk)
{
	unsigned long any = tsk->flags & PF_FIBRIL;
	bool bits = false;

	/* One after the other: gcc has no registers to read all of them first. */
#define X(member)	any |= fibril_word(tsk->member); OPTIMIZER_HIDE_VAR(any);
	FIBRIL_RARE(X)
	FIBRIL_CACHES(X)
#undef X
#define X(member)	bits = bits || tsk->member;
	FIBRIL_RARE_BITS(X)
#undef X
	if (likely(!any) && likely(!bits) && likely(!fibril_uses_restart(tsk)))
		return 0;
	return __fibril_uses(tsk);
}

/*
 * Who asks to be told when the task loses and gets the CPU, a virtual CPU for
 * one, asks for the context that runs: the lists are saved and restored.
 */
static void fibril_notify_out(struct task_struct *tsk)
{
#ifdef CONFIG_PREEMPT_NOTIFIERS
	struct preempt_notifier *notifier;

	hlist_for_each_entry(notifier, &tsk->preempt_notifiers, link)
		notifier->ops->sched_out(notifier, tsk);
#endif
}

static void fibril_notify_in(struct task_struct *tsk)
{
#ifdef CONFIG_PREEMPT_NOTIFIERS
	struct preempt_notifier *notifier;

	preempt_disable();
	local_irq_enable();
	hlist_for_each_entry(notifier, &tsk->preempt_notifiers, link)
		notifier->ops->sched_in(notifier, raw_smp_processor_id());
	preempt_enable();
#endif
}

static noinline void fibril_save_groups(struct task_struct *tsk,
					struct fibril *f)
{
	struct fibril_state *s = f->saved;

#define X(member)	s->member = tsk->member;
	if (f->uses & FIBRIL_USES_RARE) {
		fibril_notify_out(tsk);
		FIBRIL_RARE(X)
		FIBRIL_RARE_BITS(X)
		s->flags = tsk->flags & PF_FIBRIL;
	}
	if (f->uses & FIBRIL_USES_CACHES) {
		FIBRIL_CACHES(X)
	}
	if (f->uses & FIBRIL_USES_RESTART) {
		FIBRIL_RESTART(X)
	}
#undef X
}

/* Take over from a context that used the groups in @old. */
static noinline void fibril_restore_groups(struct task_struct *tsk,
					   struct fibril *f, unsigned int old)
{
	struct fibril_state *s = f->saved;

	if (f->uses & FIBRIL_USES_RARE) {
#define X(member)	tsk->member = s->member;
		FIBRIL_RARE(X)
		FIBRIL_RARE_BITS(X)
#undef X
		tsk->flags = (tsk->flags & ~PF_FIBRIL) | s->flags;
	} else if (old & FIBRIL_USES_RARE) {
#define X(member)	memset(&tsk->member, 0, sizeof(tsk->member));
		FIBRIL_RARE(X)
#undef X
#define X(member)	tsk->member = 0;
		FIBRIL_RARE_BITS(X)
#undef X
		tsk->flags &= ~PF_FIBRIL;
	}
	if (f->uses & FIBRIL_USES_CACHES) {
#define X(member)	tsk->member = s->member;
		FIBRIL_CACHES(X)
#undef X
	} else if (old & FIBRIL_USES_CACHES) {
#define X(member)	memset(&tsk->member, 0, sizeof(tsk->member));
		FIBRIL_CACHES(X)
#undef X
	}
	if (f->uses & FIBRIL_USES_RESTART) {
#define X(member)	tsk->member = s->member;
		FIBRIL_RESTART(X)
#undef X
	} else if (old & FIBRIL_USES_RESTART) {
		tsk->restart_block.fn = do_no_restart_syscall;
		tsk->restart_block.nanosleep.type = TT_NONE;
	}
}

/*
 * KCSAN changes its own members of the task at any access that it looks at: not
 * at these.
 */
static noinline __no_kcsan void fibril_save_kcsan(struct task_struct *tsk,
						  struct fibril_state *s)
{
#define X(member)	s->member = tsk->member;
	FIBRIL_KCSAN(X)
#undef X
}

static noinline __no_kcsan void fibril_restore_kcsan(struct task_struct *tsk,
						     struct fibril_state *s)
{
#define X(member)	tsk->member = s->member;
	FIBRIL_KCSAN(X)
#undef X
#ifdef CONFIG_KCSAN_WEAK_MEMORY
	/* What was delayed when it was saved: pi_lock was a barrier since. */
	tsk->kcsan_ctx.reorder_access.size = 0;
#endif
}

/* These are about all but what is the architecture's. */

static __always_inline void fibril_save(struct task_struct *tsk,
					struct fibril *f)
{
	struct fibril_state *s = f->saved;

#define X(member)	s->member = tsk->member;
	FIBRIL_STATE(X)
	FIBRIL_BITS(X)
#undef X
	f->uses = fibril_uses(tsk);
	if (unlikely(f->uses))
		fibril_save_groups(tsk, f);
#ifdef CONFIG_LOCKDEP
	f->locks.curr_chain_key = tsk->curr_chain_key;
	f->locks.lockdep_depth = tsk->lockdep_depth;
	memcpy(f->locks.held_locks, tsk->held_locks,
	       tsk->lockdep_depth * sizeof(tsk->held_locks[0]));
#endif
	if (IS_ENABLED(CONFIG_KCSAN))
		fibril_save_kcsan(tsk, s);
}

/*
 * Take over from a context that used the groups in @old; @first: that has been
 * called by @f, which is home, and never does so with any of FIBRIL_BITS set.
 */
static __always_inline void fibril_restore(struct task_struct *tsk,
					   struct fibril *f, unsigned int old,
					   bool first)
{
	struct fibril_state *s = f->saved;

#define X(member)	tsk->member = s->member;
	FIBRIL_STATE(X)
#undef X
#define X(member)	tsk->member = first ? false : s->member;
	FIBRIL_BITS(X)
#undef X
	if (unlikely(f->uses | old))
		fibril_restore_groups(tsk, f, old);
#ifdef CONFIG_LOCKDEP
	tsk->curr_chain_key = f->locks.curr_chain_key;
	tsk->lockdep_depth = f->locks.lockdep_depth;
	memcpy(tsk->held_locks, f->locks.held_locks,
	       tsk->lockdep_depth * sizeof(tsk->held_locks[0]));
#endif
	if (IS_ENABLED(CONFIG_KCSAN))
		fibril_restore_kcsan(tsk, s);
}

/*
 * Wake-up, under pi_lock
 */

static struct fibril *fibril_lookup(struct fibril_task *ft, u32 id)
{
	u32 slot = id & FIBRIL_SLOT_MASK;
	struct fibril **chunk;
	struct fibril *f;

	if (id == FIBRIL_HOME)
		return &ft->home;
	if (slot >= FIBRIL_MAX)
		return NULL;
	chunk = ft->chunks[slot / FIBRIL_CHUNK];
	if (!chunk)
		return NULL;
	f = chunk[slot % FIBRIL_CHUNK];
	return f && f->id == id ? f : NULL;
}

static noinline void fibril_raise(struct task_struct *p)
{
	set_tsk_thread_flag(p, TIF_FIBRIL);
	/* Home may be there. */
	if (p != current)
		kick_process(p);
}

/*
 * TIF_FIBRIL says that there is something on the run queue, to a context that
 * polls and to home on its way to user mode: not if all that is there may come
 * @later.  It may also say that there is something in the plug: __fibril_tick().
 */
static __always_inline void fibril_enqueue(struct task_struct *p,
					   struct fibril_task *ft,
					   struct fibril *f, bool later)
{
	f->queued = true;
	f->next = NULL;
	*ft->run_last = f;
	ft->run_last = &f->next;
	if (!later && unlikely(!test_tsk_thread_flag(p, TIF_FIBRIL)))
		fibril_raise(p);
}

static void fibril_dequeue(struct task_struct *p, struct fibril_task *ft,
			   struct fibril *f)
{
	struct fibril **link = &ft->run_first;

	/* All others are in front of home if they are held. */
	while (unlikely(*link != f))
		link = &(*link)->next;
	*link = f->next;
	if (!f->next)
		ft->run_last = link;
	f->queued = false;
	if (!ft->run_first)
		clear_tsk_thread_flag(p, TIF_FIBRIL);
}

static __always_inline bool __fibril_wake_one(struct task_struct *p,
					      struct fibril_task *ft,
					      struct fibril *f,
					      unsigned int state, bool later)
{
	if (!(f->state & state))
		return false;
	later = later && !(f->state & TASK_UNINTERRUPTIBLE);
	f->state = TASK_RUNNING;
	if (!f->queued)
		fibril_enqueue(p, ft, f, later);
	return true;
}

static bool fibril_wake_one(struct task_struct *p, struct fibril_task *ft,
			    struct fibril *f, unsigned int state)
{
	return __fibril_wake_one(p, ft, f, state, false);
}

/* No fibril runs while a tracer looks at the task. */
static bool fibrils_held(struct task_struct *p)
{
	return READ_ONCE(p->jobctl) & JOBCTL_PTRACE_FROZEN;
}

static struct fibril *fibril_first(struct task_struct *p,
				   struct fibril_task *ft)
{
	if (unlikely(fibrils_held(p)))
		return ft->home.queued ? &ft->home : NULL;
	return ft->run_first;
}

/* Is home in a chain of owners and waiters of rt_mutexes? Then no fibril runs. */
static bool fibrils_wait_in_chain(struct task_struct *p)
{
#ifdef CONFIG_RT_MUTEXES
	return p->pi_blocked_on;
#else
	return false;
#endif
}

/**
 * fibril_wake() - make contexts of a task runnable
 * @p: the task; its pi_lock is held, and it has fibrils
 * @state: mask of states to wake from
 * @ref: which context is meant
 * @success: set to whether a context was made runnable
 *
 * Return: what is to be done about the task as a whole.
 */
enum fibril_wake fibril_wake(struct task_struct *p, unsigned int state,
			     fibril_ref_t ref, int *success)
{
	struct fibril_task *ft = p->fibrils;
	unsigned int task_state = READ_ONCE(p->__state);
	struct fibril *f, *running = READ_ONCE(ft->running);
	bool woken = false;

	lockdep_assert_held(&p->pi_lock);

	if (unlikely(ref.id == FIBRIL_KICK)) {
		woken = fibril_first(p, ft);
	} else if (unlikely(ref.id == FIBRIL_ANY)) {
		list_for_each_entry(f, &ft->flight, flight)
			woken |= fibril_wake_one(p, ft, f, state);
		woken |= fibril_wake_one(p, ft, &ft->home, state);
	} else {
		f = fibril_lookup(ft, ref.id);
		if (f && f != running)
			woken = fibril_wake_one(p, ft, f, state);
	}

	*success = woken;
	if (task_state & TASK_FIBRILS) {
		/*
		 * Frozen, by itself or by a tracer: home ends that, and runs
		 * what became runnable in the meantime.
		 */
		if ((task_state & TASK_FROZEN || fibrils_held(p)) &&
		    !ft->home.queued)
			return FIBRIL_WAKE_DONE;
		return woken ? FIBRIL_WAKE_TASK : FIBRIL_WAKE_DONE;
	}
	/* Home sleeps in the place of all, and makes way. */
	if (unlikely(woken && fibrils_wait_in_chain(p)))
		return FIBRIL_WAKE_TASK;
	if (running && (ref.id == FIBRIL_ANY || ref.id == running->id))
		return FIBRIL_WAKE_RUNNING;
	return FIBRIL_WAKE_DONE;
}

/**
 * fibril_wake_parked() - the same, if it is about a context that is parked only
 * @p: the task
 * @state: mask of states to wake from
 * @ref: which context is meant
 * @queue: it sleeps on a wait queue, where nobody hands it a lock
 *
 * This is most that a task sees that has calls in flight and does not sleep.
 *
 * A program may have asked for calls to go on when it waits for them.  Then one
 * that it wakes itself, from a sleep that may have lasted for ever, goes on when
 * home sleeps, or asks for it, or at the next tick.
 *
 * Return: whether the context was made runnable, or -1: fibril_wake() has to
 * find out.
 */
int fibril_wake_parked(struct task_struct *p, unsigned int state,
		       fibril_ref_t ref, bool queue)
{
	struct fibril_task *ft;
	unsigned long flags;
	struct fibril *f;
	int ret = -1;

	raw_spin_lock_irqsave(&p->pi_lock, flags);
	/* As in try_to_wake_up(): what was done before, and the state. */
	smp_mb__after_spinlock();
	ft = p->fibrils;
	if (ft && ref.id != FIBRIL_ANY && ref.id != FIBRIL_KICK &&
	    !(READ_ONCE(p->__state) & TASK_FIBRILS) && !fibrils_wait_in_chain(p)) {
		f = fibril_lookup(ft, ref.id);
		if (f != READ_ONCE(ft->running))
			ret = f && __fibril_wake_one(p, ft, f, state,
						     queue && ft->defer &&
						     p == current && in_task() &&
						     !tick_nohz_full_enabled());
	}
	raw_spin_unlock_irqrestore(&p->pi_lock, flags);
	return ret;
}

/*
 * A struct rcuwait names a task only.  The context is found the other way
 * round: it has stored @w before the task appeared there, which is what the
 * waker has seen.
 */
void __fibril_set_rcuwait(const struct rcuwait *w)
{
	WRITE_ONCE(current->fibrils->running->rcuwait, w);
}
EXPORT_SYMBOL_GPL(__fibril_set_rcuwait);

fibril_ref_t __fibril_rcuwaiter(struct task_struct *p, const struct rcuwait *w)
{
	/* Nobody: whoever it was, it does not wait any more. */
	u32 id = FIBRIL_KICK;
	struct fibril_task *ft;
	unsigned long flags;
	struct fibril *f;

	raw_spin_lock_irqsave(&p->pi_lock, flags);
	ft = p->fibrils;
	if (!ft) {
		id = FIBRIL_ANY;
		goto out;
	}
	if (READ_ONCE(ft->home.rcuwait) == w)
		id = FIBRIL_HOME;
	f = READ_ONCE(ft->running);
	if (f && READ_ONCE(f->rcuwait) == w)
		id = f->id;
	list_for_each_entry(f, &ft->flight, flight) {
		if (READ_ONCE(f->rcuwait) == w)
			id = f->id;
	}
out:
	raw_spin_unlock_irqrestore(&p->pi_lock, flags);
	return FIBRIL_REF(id);
}

/*
 * Switching
 */

/* A fibril that sleeps for something that must come is not frozen. */
bool __fibrils_may_freeze(struct task_struct *p)
{
	struct fibril_task *ft = p->fibrils;
	struct fibril *f;

	lockdep_assert_held(&p->pi_lock);

	if (!ft)
		return true;
	list_for_each_entry(f, &ft->flight, flight) {
		if (!(f->state & (TASK_INTERRUPTIBLE | TASK_FREEZABLE)))
			return false;
	}
	return true;
}

/* What the task shows while all its contexts sleep. */
static unsigned int fibrils_sleep_state(struct task_struct *tsk,
					struct fibril_task *ft)
{
	unsigned int state = ft->home.state;

	/*
	 * Somebody else may freeze the task only while home is stopped.  Home
	 * freezes itself otherwise, and is frozen once no fibril is in the
	 * middle of something.  The locks that the task shows are not home's.
	 */
	state &= ~TASK_FREEZABLE;
	if (state & TASK_FROZEN && !__fibrils_may_freeze(tsk))
		state &= ~TASK_FROZEN;
	return state | TASK_FIBRILS | __TASK_FREEZABLE_UNSAFE;
}

/* All contexts sleep: what a tracer sees, and may change, is home's. */
static void __sched fibrils_sleep(struct task_struct *tsk,
				  struct fibril_task *ft)
{
	struct arch_fibril_state own;

	if (!in_fibril()) {
		schedule_all_contexts(false);
		return;
	}
	arch_fibril_save(tsk, &own);
	arch_fibril_restore(tsk, &ft->home_state.arch);
	schedule_all_contexts(false);
	arch_fibril_save(tsk, &ft->home_state.arch);
	arch_fibril_restore(tsk, &own);
}

/*
 * Does the task end, or its process begin another program?  Home takes SIGKILL
 * off the pending signals before it comes to fibril_exit(); from then on these
 * tell.
 */
static __always_inline bool fibrils_to_end(struct task_struct *tsk)
{
	return READ_ONCE(tsk->signal->flags) & SIGNAL_GROUP_EXIT ||
	       READ_ONCE(tsk->signal->group_exec_task);
}

/* @next runs now. */
static __always_inline void fibril_set_current(struct task_struct *tsk,
					       struct fibril_task *ft,
					       struct fibril *next, u32 id)
{
	WRITE_ONCE(ft->running, next);
	ft->switched = jiffies;
	task_thread_info(tsk)->fibril = id;
}

/* @next has been parked, and runs now. */
static __always_inline void fibril_set_running(struct task_struct *tsk,
					       struct fibril_task *ft,
					       struct fibril *next)
{
	WRITE_ONCE(tsk->__state, next->state);
	next->state = TASK_RUNNING;
	next->patient = false;
	fibril_set_current(tsk, ft, next, next->id);
	/* What @next sees: see fibril_no_signal(). */
	if (unlikely(next->cancel | ft->exiting | fibrils_to_end(tsk)))
		set_tsk_thread_flag(tsk, TIF_FIBRIL_END);
	else if (unlikely(test_tsk_thread_flag(tsk, TIF_FIBRIL_END)))
		clear_tsk_thread_flag(tsk, TIF_FIBRIL_END);
}

/* Home runs now, which has not been parked, but has called the one that ran. */
static __always_inline void fibril_set_home(struct task_struct *tsk,
					    struct fibril_task *ft)
{
	WRITE_ONCE(tsk->__state, TASK_RUNNING);
	fibril_set_current(tsk, ft, &ft->home, FIBRIL_HOME);
	/* It sees signals, and no more. */
	if (unlikely(test_tsk_thread_flag(tsk, TIF_FIBRIL_END)))
		clear_tsk_thread_flag(tsk, TIF_FIBRIL_END);
}

/*
 * Take the next context that can run from the queue; sleep if there is none.
 * Called with pi_lock held and no context running; the lock may be dropped.
 */
static __always_inline struct fibril *__sched fibril_pick(struct task_struct *tsk,
							  struct fibril_task *ft)
{
	struct fibril *next;

	lockdep_assert_held(&tsk->pi_lock);

	while (unlikely(!(next = fibril_first(tsk, ft)))) {
		WRITE_ONCE(tsk->__state, fibrils_sleep_state(tsk, ft));
		raw_spin_unlock_irq(&tsk->pi_lock);
		fibrils_sleep(tsk, ft);
		raw_spin_lock_irq(&tsk->pi_lock);
	}

	fibril_dequeue(tsk, ft, next);
	fibril_set_running(tsk, ft, next);
	return next;
}

/* Back to the pool; above the word that tells an overflow, it is not in use. */
static void fibril_put_stack(struct fibril_task *ft, struct fibril *f)
{
	kasan_unpoison_range(f->stack, THREAD_SIZE);
	*(void **)(f->stack + sizeof(unsigned long)) = ft->stacks;
	ft->stacks = f->stack;
	ft->nr_stacks++;
	f->stack = NULL;
}

/* The one that was switched away from has finished: keep its stack. */
void __fibril_finish_switch(struct fibril_task *ft)
{
	struct fibril *f = ft->zombie;

	ft->zombie = NULL;
	fibril_put_stack(ft, f);
}

/*
 * Run @next instead of @prev, which has been marked as parked; @first: for the
 * first time, and @next is home.  Called with pi_lock held, returns without and
 * with interrupts on, when @prev runs again.
 */
static __always_inline void __sched fibril_switch(struct task_struct *tsk,
						  struct fibril_task *ft,
						  struct fibril *prev,
						  struct fibril *next, bool first)
	__releases(&tsk->pi_lock)
{
	/* Interrupts stay off: no preemption between two contexts. */
	raw_spin_unlock(&tsk->pi_lock);
	if (likely(next != prev)) {
		/* Voluntary: for khungtaskd, and for RCU tasks. */
		tsk->nvcsw++;
		fibril_save(tsk, prev);
		arch_fibril_save(tsk, &prev->saved->arch);
		if (first && prev->saved->plug == next->saved->plug)
			/* Home's, which goes on with it and its clock. */
			prev->saved->plug = NULL;
		else
			blk_plug_invalidate_ts();
		fibril_restore(tsk, next, prev->uses, first);
		/* Home goes on with that of @prev, which it has called. */
		if (!first)
			arch_fibril_restore(tsk, &next->saved->arch);
		tsk->fibril_stack = (unsigned long)next->stack;
		if (first)
			arch_fibril_return(&prev->sp, &next->sp);
		else
			arch_fibril_switch(&prev->sp, &next->sp);
		fibril_finish_switch(ft);
		if (unlikely(prev->uses & FIBRIL_USES_RARE))
			fibril_notify_in(tsk);
	}
	local_irq_enable();
	preempt_check_resched();
}

/*
 * @f is about to sleep for the first time.  From now on it is on its own; home
 * goes on first, and what home had when it started @f is in home_state, but for
 * what is the architecture's: home has that of @f.
 */
static __always_inline void fibril_detach(struct task_struct *tsk,
					  struct fibril_task *ft,
					  struct fibril *f)
{
	struct file *file, **files = fibril_top(f)->files;
	struct fibril *home = &ft->home;
	unsigned int i, held = 0;

	lockdep_assert_held(&tsk->pi_lock);

	f->detached = true;
	f->since = jiffies;
	f->base_cred = get_cred(rcu_dereference_protected(home->saved->cred, 1));
	list_add_tail(&f->flight, &ft->flight);
	WRITE_ONCE(tsk->fibrils_in_flight, tsk->fibrils_in_flight + 1);

	/* @f may be in the middle of using these. */
	home->uses &= ~FIBRIL_USES_CACHES;

	/*
	 * What @f uses can be closed from now on.  A file that @f has closed
	 * itself goes when its call ends: it is among @works.
	 */
	for (i = 0; i < f->nr_files; i++) {
		file = files[i];
		if (atomic_long_inc_not_zero(&file->f_count))
			files[held++] = file;
	}
	f->nr_files = FIBRIL_FILES;
	f->nr_held = held;
}

/* May the context that runs be parked here? */
static bool fibril_may_switch(struct task_struct *tsk)
{
#ifdef CONFIG_KMAP_LOCAL
	if (tsk->kmap_ctrl.idx)
		return false;
#endif
	return !preempt_count() && !irqs_disabled() && !rcu_preempt_depth();
}

/*
 * Park @f, which runs, and has not slept before: home goes on, whoever else can
 * run.  @state is kept for it.  pi_lock is held.
 */
static __always_inline void __sched fibril_park_first(struct task_struct *tsk,
						      struct fibril_task *ft,
						      struct fibril *f,
						      unsigned int state)
	__releases(&tsk->pi_lock)
{
	f->state = state;
	f->parked = jiffies;
	fibril_detach(tsk, ft, f);
	fibril_set_home(tsk, ft);
	fibril_switch(tsk, ft, f, &ft->home, true);
}

/* Park the context that runs, whichever that is. */
static noinline void __sched fibril_park(struct task_struct *tsk,
					 struct fibril_task *ft,
					 unsigned int state)
	__releases(&tsk->pi_lock)
{
	struct fibril *prev = ft->running;

	if (prev == &ft->home) {
		ft->begun = false;
	} else if (!prev->detached) {
		fibril_park_first(tsk, ft, prev, state);
		return;
	}
	prev->state = state;
	prev->parked = jiffies;
	WRITE_ONCE(ft->running, NULL);
	fibril_switch(tsk, ft, prev, fibril_pick(tsk, ft), false);
}

/*
 * Does the context that is about to sleep have its submitter's plug?  Then home
 * flushes it, at the end of the batch or before it sleeps itself: home goes on
 * now, and nobody waits for what is in the plug but calls that sleep.  So one
 * flush serves the batch.
 */
bool __fibril_plug_borrowed(void)
{
	struct fibril_task *ft = current->fibrils;

	return !ft->running->detached && current->plug == ft->home_state.plug;
}

/**
 * fibril_fdget() - fdget() for a task that has fibrils
 * @fd: file descriptor
 * @mask: modes of files that are not meant: FMODE_PATH or 0
 *
 * A file need not have a reference while only the one who uses it could close
 * it.  This is so until it sleeps: fibril_detach() gets the references.  Home
 * has none when it sleeps, and so needs them if calls are in flight.
 *
 * Return: the file, or an empty one.
 */
struct fd fibril_fdget(unsigned int fd, fmode_t mask)
{
	struct task_struct *tsk = current;
	struct files_struct *files = tsk->files;
	struct fibril *f = tsk->fibrils->running;
	unsigned int i = f->nr_files;
	struct file *file;

	/* Acquire as in __fget_light() */
	if (unlikely(atomic_read_acquire(&files->count) != 1)) {
		file = mask ? fget(fd) : fget_raw(fd);
		return file ? CLONED_FD(file) : EMPTY_FD;
	}
	/* The table keeps it until we are through: who could change that is us. */
	file = files_lookup_fd_raw(files, fd);
	if (unlikely(!file || file->f_mode & mask))
		return EMPTY_FD;
	/* Home, and who has slept, have so many. */
	if (unlikely(i == FIBRIL_FILES)) {
		if (f->id != FIBRIL_HOME || tsk->fibrils_in_flight)
			return CLONED_FD(get_file(file));
		return BORROWED_FD(file);
	}
	fibril_top(f)->files[i] = file;
	f->nr_files = i + 1;
	return BORROWED_FD(file);
}

static bool fibril_plug_empty(struct blk_plug *plug)
{
#ifdef CONFIG_BLOCK
	return rq_list_empty(&plug->mq_list) &&
	       rq_list_empty(&plug->cached_rqs) && list_empty(&plug->cb_list);
#else
	return true;
#endif
}

/* Is there something in the plug that somebody will wait for? */
static bool fibril_plug_used(struct fibril_task *ft)
{
	return unlikely(ft->plugged) && unlikely(!fibril_plug_empty(&ft->plug));
}

/**
 * fibril_start_plug() - start a plug for calls that sleep for I/O
 * @ft: the task's fibrils
 * @nr: how many may do so
 *
 * Home goes on while they sleep.  If that takes longer than a tick, it flushes the
 * plug between two calls, and a call does at the next cond_resched(), if the kernel
 * is not fully preemptible: see __fibril_tick().
 *
 * Context: home, between two calls; without a plug
 */
void fibril_start_plug(struct fibril_task *ft, unsigned long nr)
{
	/* One that has slept in a driver is in the middle of it: rare enough. */
	if (fibril_plug_used(ft))
		return;
	/* There may be no tick, then. */
	if (tick_nohz_full_enabled())
		return;
	blk_start_plug_nr_ios(&ft->plug, min(nr, USHRT_MAX));
	ft->plugged = true;
	fibril_begin(ft);
}

static noinline void __fibril_flush_plug(struct fibril_task *ft)
{
	/* This clears PF_BLOCK_TS, which is about the plug that is current. */
	if (current->plug != &ft->plug)
		blk_plug_invalidate_ts();
	blk_flush_plug(&ft->plug, true);
}

/*
 * A call that had the plug when it began to submit I/O, and slept before it was
 * done, for want of a request, say, uses it, and nobody else looks after it.
 */
static __always_inline void fibril_flush_plug(struct fibril_task *ft)
{
	if (fibril_plug_used(ft))
		__fibril_flush_plug(ft);
}

/**
 * fibril_schedule() - schedule() for a task that has fibrils
 *
 * Context: any that schedule() may be called in.
 * Return: %false if the caller has to put the task to sleep, because it has
 * but one context, or must not leave the one that runs.
 */
bool __sched fibril_schedule(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;
	unsigned int state;

	if (fibril_self_id() == FIBRIL_HOME && !tsk->fibrils_in_flight)
		return false;
	if (unlikely(!fibril_may_switch(tsk))) {
		/* Nobody else does, then: fibril_plug_borrowed() */
		blk_flush_plug(tsk->plug, true);
		fibril_flush_plug(ft);
		return false;
	}

	/* Not if it has only borrowed it: home goes on. */
	if (ft->running == &ft->home || ft->running->detached)
		fibril_flush_plug(ft);

	/* Other tasks first. */
	if (need_resched())
		schedule_all_contexts(true);

	raw_spin_lock_irq(&tsk->pi_lock);
	state = READ_ONCE(tsk->__state);
	if (state == TASK_RUNNING) {
		/* The likes of yield(): let another one have a turn. */
		if (!fibril_first(tsk, ft)) {
			raw_spin_unlock_irq(&tsk->pi_lock);
			/* It may be for what is in there. */
			fibril_flush_plug(ft);
			return false;
		}
		fibril_enqueue(tsk, ft, ft->running, false);
	} else if (signal_pending_state(state, tsk)) {
		WRITE_ONCE(tsk->__state, TASK_RUNNING);
		raw_spin_unlock_irq(&tsk->pi_lock);
		return true;
	}
	fibril_park(tsk, ft, state);
	return true;
}

/* In a place where the task must not leave the context that runs */
static noinline void __sched fibril_io_wait_here(struct fibril_io *io)
{
	struct task_struct *tsk = current;

	raw_spin_lock_irq(&tsk->pi_lock);
	io->fibril = tsk->fibrils->running;
	while (!io->done) {
		WRITE_ONCE(tsk->__state, TASK_UNINTERRUPTIBLE);
		raw_spin_unlock_irq(&tsk->pi_lock);
		io_schedule();
		raw_spin_lock_irq(&tsk->pi_lock);
	}
	raw_spin_unlock_irq(&tsk->pi_lock);
}

/**
 * fibril_io_wait() - wait for one I/O
 * @io: with its @task set to current, and everything else 0
 *
 * This is what wait_for_completion_io() does for others, and schedule() for it:
 *
 *   fibril F				who ends the I/O
 *
 *   lock pi_lock			lock pi_lock
 *     return if @done			  @done = true
 *     @fibril = F, F is parked		  if @fibril is set, and F still sleeps
 *   unlock				    @woken = true
 *   switch				    put F on the run queue
 *					unlock
 *   picked under pi_lock, runs
 *   return if @woken
 *
 * If somebody else has woken F, who does not know which context he means, F may
 * run before the other one has the lock, and sleeps again; or while he has it.
 * Then @woken is not set, @done may be, and @io is in use until F gets the lock.
 *
 * Context: a fibril. May sleep.
 */
void __sched fibril_io_wait(struct fibril_io *io)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;
	struct fibril *f = ft->running;

	might_sleep();
	if (unlikely(!fibril_may_switch(tsk))) {
		fibril_io_wait_here(io);
		return;
	}

	/* See __fibril_plug_borrowed(). */
	if (f->detached || tsk->plug != ft->home_state.plug) {
		blk_flush_plug(tsk->plug, true);
		if (f->detached)
			fibril_flush_plug(ft);
	}
	if (need_resched())
		schedule_all_contexts(true);

	tsk->in_iowait = true;
	raw_spin_lock_irq(&tsk->pi_lock);
	while (!io->done) {
		io->fibril = f;
		/* The hung task detector need not worry. */
		f->patient = true;
		if (likely(!f->detached))
			fibril_park_first(tsk, ft, f, TASK_UNINTERRUPTIBLE);
		else
			fibril_park(tsk, ft, TASK_UNINTERRUPTIBLE);
		if (likely(io->woken))
			goto out;
		raw_spin_lock_irq(&tsk->pi_lock);
	}
	raw_spin_unlock_irq(&tsk->pi_lock);
out:
	/* If it was set before, by who flushes a plug, it is about to be cleared. */
	tsk->in_iowait = false;
}

/**
 * fibril_io_done() - say that the I/O is done
 * @io: what the fibril waits for, or is about to; may be gone after that
 *
 * Context: any.
 */
void fibril_io_done(struct fibril_io *io)
{
	struct task_struct *p = io->task;
	struct fibril *f;
	unsigned long flags;
	u32 id;

	raw_spin_lock_irqsave(&p->pi_lock, flags);
	io->done = true;
	f = io->fibril;
	if (!f) {
		/* It does not sleep for it yet, and sees that before it does. */
	} else if (likely(f->state == TASK_UNINTERRUPTIBLE) &&
		   likely(!(READ_ONCE(p->__state) & TASK_FIBRILS) &&
			  !fibrils_wait_in_chain(p))) {
		io->woken = true;
		f->state = TASK_RUNNING;
		fibril_enqueue(p, p->fibrils, f, false);
	} else {
		/* The task sleeps, or somebody else has woken the fibril. */
		id = f->id;
		/* It may be over, and the task, too, before it is woken. */
		guard(rcu)();
		raw_spin_unlock_irqrestore(&p->pi_lock, flags);
		wake_up_context(p, TASK_UNINTERRUPTIBLE, FIBRIL_REF(id));
		return;
	}
	raw_spin_unlock_irqrestore(&p->pi_lock, flags);
}

/* TIF_FIBRIL was set for the plug only: see __fibril_tick(). */
static void fibril_none_can_run(struct task_struct *tsk, struct fibril_task *ft)
{
	if (!ft->run_first)
		clear_tsk_thread_flag(tsk, TIF_FIBRIL);
}

/* Let the contexts that can run do so before this one goes on. */
static void __sched fibril_yield(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;

	if (unlikely(!fibril_may_switch(tsk)))
		return;

	/* It may take a while. */
	fibril_flush_plug(ft);

	raw_spin_lock_irq(&tsk->pi_lock);
	if (unlikely(!fibril_first(tsk, ft))) {
		fibril_none_can_run(tsk, ft);
		raw_spin_unlock_irq(&tsk->pi_lock);
		return;
	}
	fibril_enqueue(tsk, ft, ft->running, false);
	fibril_park(tsk, ft, READ_ONCE(tsk->__state));
}

/*
 * The same, if the context that runs has kept others waiting for a tick.  Where it
 * must not migrate, these must not, either, until it goes on; but it may itself
 * wait for one of them, or for what is in the plug.
 */
int __sched __fibril_cond_yield(void)
{
	struct fibril_task *ft = current->fibrils;

	if (likely(!fibrils_want_turn(ft)))
		return 0;
	if (!in_task() || !fibril_may_switch(current))
		return 0;
	WRITE_ONCE(ft->plug_old, false);
	fibril_yield();
	return 1;
}

/* Let them do so before home goes to user mode: it has nothing else to do. */
void __sched __fibril_resume(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;
	struct fibril *home = &ft->home, *next;

	raw_spin_lock_irq(&tsk->pi_lock);
	next = fibril_first(tsk, ft);
	if (unlikely(!next)) {
		fibril_none_can_run(tsk, ft);
		raw_spin_unlock_irq(&tsk->pi_lock);
		return;
	}
	/* The queue is not empty before home is in it, nor after @next has left. */
	home->queued = true;
	home->next = NULL;
	*ft->run_last = home;
	ft->run_last = &home->next;
	ft->run_first = next->next;
	next->queued = false;

	home->state = READ_ONCE(tsk->__state);
	ft->begun = false;
	fibril_set_running(tsk, ft, next);
	fibril_switch(tsk, ft, home, next, false);
}

/*
 * What was left for later has waited long enough; the tick of current.
 *
 * So has what is in the plug, where home is in the middle of a batch, or a call
 * has added to it later: see fibril_flush_plug().  Not only does the device wait,
 * and whoever wants what the calls that sleep hold: a loop with cond_resched() in
 * another call may wait for one of these,
 *
 *   close() of a file that has no name     rmdir() of where it was
 *
 *   __dentry_kill(): it is dead
 *   evict() reads a block: in the plug
 *   sleeps
 *                                          shrink_dcache_parent(): one is dead,
 *                                          wait for who has killed it, again
 *                                          and again
 *
 * and nothing can run, for nobody has sent the request.  With TIF_FIBRIL set,
 * the loop gets to fibril_yield(), which does.
 */
void __fibril_tick(void)
{
	struct fibril_task *ft = current->fibrils;

	fibril_ask(ft);
	if (fibril_plug_used(ft)) {
		WRITE_ONCE(ft->plug_old, true);
		set_thread_flag(TIF_FIBRIL);
	}
}

/*
 * Running calls
 */

/* Free what a context keeps for its next call, or leave it to home. */
static void fibril_put_caches(struct task_struct *tsk, struct fibril *home)
{
	struct fibril_state *s = home->saved;

	if (likely(!tsk->task_frag.page && !tsk->splice_pipe))
		return;
	if (!(home->uses & FIBRIL_USES_CACHES)) {
		home->uses |= FIBRIL_USES_CACHES;
		s->task_frag = tsk->task_frag;
		s->splice_pipe = tsk->splice_pipe;
		tsk->task_frag.page = NULL;
		tsk->splice_pipe = NULL;
		return;
	}
	if (tsk->task_frag.page) {
		if (!s->task_frag.page)
			s->task_frag = tsk->task_frag;
		else
			put_page(tsk->task_frag.page);
		tsk->task_frag.page = NULL;
	}
	if (tsk->splice_pipe) {
		if (!s->splice_pipe)
			s->splice_pipe = tsk->splice_pipe;
		else
			free_pipe_info(tsk->splice_pipe);
		tsk->splice_pipe = NULL;
	}
}

/* Leave the stack of @f for good. */
static __always_inline void __noreturn fibril_leave(struct task_struct *tsk,
						    struct fibril_task *ft,
						    struct fibril *f,
						    unsigned int uses)
{
	const struct cred *base_cred;
	struct fibril *next;

	fibril_flush_plug(ft);
	raw_spin_lock_irq(&tsk->pi_lock);
	if (unlikely(!f->detached)) {
		/* It has oopsed; home goes on, with user mode's. */
		arch_fibril_save(tsk, &ft->home_state.arch);
		fibril_detach(tsk, ft, f);
		fibril_enqueue(tsk, ft, &ft->home, false);
	}
	base_cred = f->base_cred;
	WRITE_ONCE(ft->running, NULL);
	list_del_init(&f->flight);
	WRITE_ONCE(tsk->fibrils_in_flight, tsk->fibrils_in_flight - 1);
	if (!RB_EMPTY_NODE(&fibril_top(f)->deadline.node))
		timerqueue_del(&ft->deadlines, &fibril_top(f)->deadline);
	if (ft->home.state &&
	    (ft->exiting ? !tsk->fibrils_in_flight :
	     ft->wait_for == f ||
	     (ft->waiting && (!ft->wait_left || !tsk->fibrils_in_flight))))
		fibril_wake_one(tsk, ft, &ft->home, TASK_NORMAL);

	next = fibril_pick(tsk, ft);
	raw_spin_unlock(&tsk->pi_lock);

	tsk->nvcsw++;
	fibril_restore(tsk, next, uses, false);
	arch_fibril_restore(tsk, &next->saved->arch);
	/* These are not current_cred() any more. */
	put_cred(base_cred);
	tsk->fibril_stack = (unsigned long)next->stack;
	arch_fibril_switch(&f->sp, &next->sp);
	panic("a fibril that has ended runs\n");
}

/* Which groups a call that ends may use: cf. fibril_uses(). */
static __always_inline unsigned int fibril_left(struct task_struct *tsk)
{
	unsigned int rare = tsk->flags & PF_FIBRIL;

	/* Nobody restarts it. */
	if (unlikely(tsk->restart_block.fn != do_no_restart_syscall))
		tsk->restart_block.fn = do_no_restart_syscall;
	tsk->restart_block.nanosleep.type = TT_NONE;
#define X(member)	rare |= tsk->member;
	FIBRIL_BITS_DELAY_ACCT(X)
#undef X
	return rare ? FIBRIL_USES_RARE : 0;
}

/* A call leaves nothing behind that it does not when it is made by home. */
static void fibril_check_left(struct task_struct *tsk, struct fibril *f,
			      unsigned int uses)
{
	/* Home may have had these for good: PR_SET_IO_FLUSHER */
	unsigned int flags = PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE;

	WARN_ON_ONCE(__fibril_uses(tsk) & ~uses || tsk->in_iowait ||
		     tsk->flags & PF_FIBRIL & ~flags);
	WARN_ON_ONCE(rcu_access_pointer(tsk->cred) != f->base_cred || tsk->plug);
}

static __always_inline void __noreturn fibril_end(struct task_struct *tsk,
						  struct fibril_task *ft,
						  struct fibril *f)
{
	unsigned int uses;

	/* What comes now is not the call's: it is not cancelled. */
	f->ending = true;
	fibril_put_caches(tsk, &ft->home);
	f->finish(f);

	uses = fibril_left(tsk);
	if (IS_ENABLED(CONFIG_DEBUG_FIBRILS))
		fibril_check_left(tsk, f, uses);

	if (IS_ENABLED(CONFIG_SCHED_STACK_END_CHECK) &&
	    *(unsigned long *)f->stack != STACK_END_MAGIC)
		panic("corrupted end of a fibril's stack\n");

	/* Until the next context has the CPU: see fibril_finish_switch(). */
	if (unlikely(!f->free))
		ft->zombie = f;
	fibril_leave(tsk, ft, f, uses);
}

static __always_inline void __fibril_end_call(struct fibril *f)
{
	if (f->detached) {
		struct file **files = fibril_top(f)->files;
		unsigned int held = f->nr_held;

		f->nr_held = 0;
		while (held)
			fput(files[--held]);
	} else {
		/* From here on it may close them. */
		f->nr_files = 0;
	}
	f->deaf = FIBRIL_HEARS;
	while (f->works) {
		struct callback_head *work = f->works;

		f->works = work->next;
		work->func(work);
	}
	f->has_works = false;
}

/**
 * fibril_end_call() - do what a call has left to be done before it counts
 * @f: the fibril, which runs
 *
 * Files that the call has closed are closed when it has finished.
 */
void fibril_end_call(struct fibril *f)
{
	__fibril_end_call(f);
}

/**
 * fibril_done() - a fibril has made its call
 * @f: the fibril, which runs
 *
 * Returns if @f has not slept, to the one who started it.
 */
notrace void fibril_done(struct fibril *f)
{
	struct task_struct *tsk = current;

	__fibril_end_call(f);
	if (!f->detached)
		return;
	/* It is not fetched again for each use. */
	OPTIMIZER_HIDE_VAR(tsk);
	fibril_end(tsk, tsk->fibrils, f);
}

/* Nothing may wait for it to return, nor for its caller. */
NOKPROBE_SYMBOL(fibril_done);

/*
 * Keep what home gets back when a fibril of this batch sleeps.  Home goes on in
 * the caller then: KCSAN is not to count this function.
 */
void __no_kcsan fibril_save_home(struct fibril_task *ft)
{
	struct task_struct *tsk = current;

	/* Home restarts nothing: what its last nanosleep() has left is not used. */
	if (tsk->restart_block.fn == do_no_restart_syscall)
		tsk->restart_block.nanosleep.type = TT_NONE;
	fibril_save(tsk, &ft->home);
	ft->begun = true;
}

bool __fibril_task_work_add(struct callback_head *work)
{
	struct fibril *f = current->fibrils->running;

	if (!in_task() || f->ending)
		return false;
	work->next = f->works;
	f->works = work;
	f->has_works = true;
	return true;
}

static bool fibrils_die(struct task_struct *tsk)
{
	return sigismember(&tsk->pending.signal, SIGKILL) || fibrils_to_end(tsk);
}

/*
 * What signal_pending() and, if @fatal, fatal_signal_pending() say in a fibril,
 * if one of the flags is set: see fibril_no_signal().
 */
bool fibril_signal_pending(bool fatal)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;
	struct fibril *f = ft->running;

	if (READ_ONCE(ft->exiting))
		return true;
	if (unlikely(f && f->deaf))
		return f->deaf == FIBRIL_DEAF && fibrils_die(tsk);
	return (f && !f->ending &&
		READ_ONCE(f->cancel) >= (fatal ? FIBRIL_KILL : FIBRIL_INTERRUPT)) ||
	       fibrils_die(tsk);
}
EXPORT_SYMBOL(fibril_signal_pending);

/* Of what was there to be seen by then, as of signals that are taken off. */
void __fibril_set_deaf(bool deaf)
{
	struct task_struct *tsk = current;
	struct fibril *f = tsk->fibrils->running;

	f->deaf = !deaf ? FIBRIL_HEARS :
		  fibrils_die(tsk) ? FIBRIL_DEAF_TO_DEATH : FIBRIL_DEAF;
}
EXPORT_SYMBOL(__fibril_set_deaf);

bool fibrils_in_flight(void)
{
	return current->fibrils_in_flight;
}

bool __fibrils_can_run(void)
{
	return READ_ONCE(current->fibrils->run_first);
}

bool __fibril_home_match(struct task_struct *p, unsigned int state)
{
	bool match = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&p->pi_lock, flags);
	if (p->fibrils)
		match = p->fibrils->home.state & state;
	raw_spin_unlock_irqrestore(&p->pi_lock, flags);
	return match;
}

/* The same for wait_task_inactive(), which holds pi_lock. */
bool fibril_home_match_locked(struct task_struct *p, unsigned int state)
{
	lockdep_assert_held(&p->pi_lock);
	return p->fibrils && p->fibrils->home.state & state;
}

/* A place on home's stack for an unwinder to begin, and to find nothing. */
static unsigned long fibril_no_sp(struct task_struct *p)
{
	return (unsigned long)task_pt_regs(p) - sizeof(struct inactive_task_frame);
}

/*
 * Where home is, for those who look at a task that does not run.
 *
 * If it has run since they have seen that, where it has slept last may have been
 * on a fibril's stack, which is freed.  They keep home's.
 */
unsigned long fibril_home_sp(struct task_struct *p)
{
	unsigned long sp = READ_ONCE(p->thread.sp);
	struct fibril_task *ft;

	guard(rcu)();
	ft = READ_ONCE(p->fibrils);
	if (ft && READ_ONCE(p->fibril_stack))
		sp = READ_ONCE(ft->home.sp);
	if (sp - (unsigned long)task_stack_page(p) >= THREAD_SIZE)
		sp = fibril_no_sp(p);
	return sp;
}

/*
 * The context of @p in @slot, or %NULL.  Return %false: neither in @slot nor in
 * any above it, for the lowest free slot is used first.
 */
static bool fibril_in_slot(struct task_struct *p, u32 slot, struct fibril **f)
{
	struct fibril **chunk = NULL;

	if (p != current)
		lockdep_assert_held(&p->pi_lock);

	if (p->fibrils && slot < FIBRIL_MAX)
		chunk = p->fibrils->chunks[slot / FIBRIL_CHUNK];
	*f = chunk ? chunk[slot % FIBRIL_CHUNK] : NULL;
	if (chunk && slot == FIBRIL_HOME)
		*f = &p->fibrils->home;
	return chunk;
}

/* Under pi_lock; see fibril_look(). */
static bool __fibril_look(struct task_struct *p, u32 slot,
			  struct fibril_view *view, unsigned int depth)
{
	struct fibril *f;
	bool more = fibril_in_slot(p, slot, &f);

	view->used = f && !list_empty(&f->flight);
	if (view->used) {
		view->nr = f->nr;
		view->state = f->state;
		view->cookie = f->cookie;
		view->since = f->since;
		view->depth = f == p->fibrils->running ? 0 :
			      arch_fibril_trace(p, f->sp, f->stack, view->trace,
						depth);
	}
	return more;
}

/**
 * fibril_look() - see what a fibril does
 * @p: its task
 * @slot: where it is among the fibrils of the task
 * @view: what to fill in; its @used says whether there is a call in flight
 * @depth: how many addresses to fill in, at most
 *
 * Return: %false: neither in @slot nor in any above it.
 */
bool fibril_look(struct task_struct *p, u32 slot, struct fibril_view *view,
		 unsigned int depth)
{
	unsigned long flags;
	bool more;

	raw_spin_lock_irqsave(&p->pi_lock, flags);
	more = __fibril_look(p, slot, view, depth);
	raw_spin_unlock_irqrestore(&p->pi_lock, flags);
	return more;
}

/* So many fibrils of a task go to the log. */
#define FIBRIL_SHOW	64

/*
 * printk() may wake @p, so not under pi_lock: some of it may be over by then.
 * Nor does it wait for pi_lock: it has to tell of a machine that is stuck, and
 * who calls it may have locks of his own, as RCU has in a stall.
 */
void __fibril_show(struct task_struct *p)
{
	struct fibril_view view;
	unsigned int i, shown = 0;
	unsigned long flags;
	bool more = true;
	u32 slot;

	for (slot = 0; more; slot++) {
		if (!raw_spin_trylock_irqsave(&p->pi_lock, flags)) {
			pr_info(" fibrils: somebody holds pi_lock\n");
			return;
		}
		more = __fibril_look(p, slot, &view, FIBRIL_TRACE);
		raw_spin_unlock_irqrestore(&p->pi_lock, flags);
		if (!view.used)
			continue;
		if (shown++ == FIBRIL_SHOW) {
			pr_info(" and more: see /proc/%d/fibrils\n",
				task_pid_nr(p));
			return;
		}
		pr_info(" fibril: call:%u cookie:%#llx state:%c for %u ms\n",
			view.nr, view.cookie,
			task_index_to_char(__task_state_index(view.state, 0)),
			jiffies_to_msecs(jiffies - view.since));
		for (i = 0; i < view.depth; i++)
			pr_info("  %s%pB\n",
				IS_ENABLED(CONFIG_UNWINDER_ORC) ? "" : "? ",
				(void *)view.trace[i]);
	}
}

/* How long has @f been in a sleep that nothing but what it waits for ends? */
static unsigned long fibril_blocked(struct fibril *f)
{
	if (!(f->state & TASK_UNINTERRUPTIBLE) ||
	    f->state & (TASK_WAKEKILL | TASK_NOLOAD) || f->patient)
		return 0;
	return jiffies - f->parked;
}

/* See fibrils_blocked(). */
unsigned long __fibrils_blocked(struct task_struct *p)
{
	unsigned long flags, longest = 0;
	struct fibril *f;
	bool more = true;
	u32 slot;

	for (slot = 0; more; slot++) {
		raw_spin_lock_irqsave(&p->pi_lock, flags);
		more = fibril_in_slot(p, slot, &f);
		if (f)
			longest = max(longest, fibril_blocked(f));
		raw_spin_unlock_irqrestore(&p->pi_lock, flags);
	}
	return longest;
}

#ifdef CONFIG_LIVEPATCH

/*
 * Where @f is, if it is on a stack that stack_trace_save_tsk_reliable() does not
 * look at; 0 otherwise.  That looks at the stack that is in use if @p is current,
 * and at home's if not.
 */
static unsigned long fibril_other_sp(struct task_struct *p, struct fibril *f)
{
	bool used = (unsigned long)f->stack == p->fibril_stack;

	if (p == current)
		return used ? 0 : f->sp;
	if (f->id == FIBRIL_HOME)
		return 0;
	return used ? p->thread.sp : f->sp;
}

/* See fibril_trace_reliable(). @p is current, or does not run: under pi_lock. */
int __fibril_trace_reliable(struct task_struct *p, u32 *slot,
			    unsigned long *addrs, unsigned int max)
{
	struct fibril *f;
	unsigned long sp;

	while (fibril_in_slot(p, *slot, &f)) {
		(*slot)++;
		if (!f || (f->id != FIBRIL_HOME && !f->stack))
			continue;
		/* One that has a call, or is about to leave its stack for good */
		if (f->id != FIBRIL_HOME && list_empty(&f->flight) &&
		    (unsigned long)f->stack != p->fibril_stack)
			continue;
		sp = fibril_other_sp(p, f);
		if (sp)
			return arch_fibril_trace_reliable(p, sp,
							  f->stack ?: p->stack,
							  addrs, max);
	}
	return -ENOENT;
}

#endif

/* See fibril_be_patient(). */
bool __fibril_be_patient(void)
{
	current->fibrils->running->patient = true;
	return true;
}

/**
 * fibril_cancel() - tell a fibril to end
 * @f: a detached fibril of current
 * @how: what it sees pending from now on
 *
 * Return: whether it was woken for this.
 */
bool fibril_cancel(struct fibril *f, enum fibril_cancel how)
{
	struct task_struct *tsk = current;
	bool woken;

	raw_spin_lock_irq(&tsk->pi_lock);
	WRITE_ONCE(f->cancel, how);
	woken = fibril_wake_one(tsk, tsk->fibrils, f, how == FIBRIL_KILL ?
				TASK_INTERRUPTIBLE | TASK_WAKEKILL :
				TASK_INTERRUPTIBLE);
	raw_spin_unlock_irq(&tsk->pi_lock);
	return woken;
}

/*
 * Cancel what is late; interrupt context.  The timer is started under pi_lock,
 * so that it is for the first deadline whoever starts it last.
 */
static enum hrtimer_restart fibril_timeout(struct hrtimer *timer)
{
	struct fibril_task *ft = container_of(timer, struct fibril_task, timer);
	struct task_struct *tsk = ft->task;
	struct timerqueue_node *node;
	struct fibril *f;
	unsigned long flags;
	ktime_t now = ktime_get(), next;
	fibril_ref_t ref;
	int n = 0;

	raw_spin_lock_irqsave(&tsk->pi_lock, flags);
	while ((node = timerqueue_getnext(&ft->deadlines))) {
		next = node->expires;
		if (next > now)
			break;
		/* There may be thousands: let others have the CPU. */
		next = ktime_add_us(now, 100);
		if (n++ == 64)
			break;
		timerqueue_del(&ft->deadlines, node);
		f = container_of(node, struct fibril_top, deadline)->fibril;
		WRITE_ONCE(f->timed_out, true);
		if (f->queued && !test_and_set_tsk_thread_flag(tsk, TIF_FIBRIL))
			kick_process(tsk);
		/* Pairs with asys_result(). */
		smp_store_release(&f->cancel, FIBRIL_KILL);
		if (f == ft->running)
			set_tsk_thread_flag(tsk, TIF_FIBRIL_END);
		/* Without the lock, it may finish before we wake it. */
		ref = FIBRIL_REF(f->id);
		raw_spin_unlock_irqrestore(&tsk->pi_lock, flags);
		wake_up_context(tsk, TASK_INTERRUPTIBLE | TASK_WAKEKILL, ref);
		raw_spin_lock_irqsave(&tsk->pi_lock, flags);
	}
	if (node)
		hrtimer_start(timer, next, HRTIMER_MODE_ABS);
	raw_spin_unlock_irqrestore(&tsk->pi_lock, flags);
	return HRTIMER_NORESTART;
}

/**
 * fibril_set_deadline() - cancel a fibril when it is late
 * @f: the fibril, which has just slept for the first time
 * @when: CLOCK_MONOTONIC
 *
 * Context: home, before it sleeps again.
 */
void fibril_set_deadline(struct fibril *f, ktime_t when)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;

	fibril_top(f)->deadline.expires = when;
	raw_spin_lock_irq(&tsk->pi_lock);
	if (timerqueue_add(&ft->deadlines, &fibril_top(f)->deadline))
		hrtimer_start(&ft->timer, when, HRTIMER_MODE_ABS);
	raw_spin_unlock_irq(&tsk->pi_lock);
}

/*
 * Allocation
 */

static void fibril_stack_account(void *stack, int sign)
{
	struct vm_struct *vm = find_vm_area(stack);
	int i;

	for (i = 0; i < THREAD_SIZE / PAGE_SIZE; i++)
		mod_lruvec_page_state(vm->pages[i], NR_KERNEL_STACK_KB,
				      sign * (int)(PAGE_SIZE / 1024));
}

static void *fibril_stack_alloc(struct fibril_task *ft, gfp_t gfp)
{
	void *stack = ft->stacks;

	if (stack) {
		ft->stacks = *(void **)(stack + sizeof(unsigned long));
		ft->nr_stacks--;
		return stack;
	}
	/* vmalloc() sleeps, whatever it is told. */
	if (!gfpflags_allow_blocking(gfp))
		return NULL;

	stack = __vmalloc_node(THREAD_SIZE, THREAD_ALIGN,
			       gfp | __GFP_ZERO | __GFP_NOWARN, NUMA_NO_NODE,
			       __builtin_return_address(0));
	if (stack) {
		*(unsigned long *)stack = STACK_END_MAGIC;
		fibril_stack_account(stack, 1);
	}
	return stack;
}

static void fibril_stack_free(void *stack)
{
	fibril_stack_account(stack, -1);
	vfree(stack);
}

static struct fibril *fibril_create(struct fibril_task *ft, gfp_t gfp)
{
	struct fibril **chunk, *f;
	int slot, err = -EAGAIN;

	if (ft->nr >= READ_ONCE(sysctl_fibrils_per_task) ||
	    ft->nr >= FIBRILS_MOST)
		return ERR_PTR(-EAGAIN);
	if (atomic_long_inc_return(&ft->user->fibrils) >
	    READ_ONCE(sysctl_fibrils_per_user))
		goto uncount;

	err = -ENOMEM;
	slot = ida_alloc_range(&ft->ids, FIBRIL_HOME + 1, FIBRILS_MOST + 1, gfp);
	if (slot < 0)
		goto uncount;
	chunk = ft->chunks[slot / FIBRIL_CHUNK];
	if (!chunk) {
		chunk = kcalloc(FIBRIL_CHUNK, sizeof(*chunk), gfp);
		if (!chunk)
			goto free_slot;
		/* Who finds it finds it cleared: fibril_lookup() */
		smp_store_release(&ft->chunks[slot / FIBRIL_CHUNK], chunk);
	}
	f = kzalloc(sizeof(*f), gfp);
	if (!f)
		goto free_slot;
	/* Whoever was in this slot before had a lower count. */
	f->id = slot | ft->generation << FIBRIL_SLOT_BITS;
	INIT_LIST_HEAD(&f->node);
	INIT_LIST_HEAD(&f->flight);
	/* The same, initialised */
	smp_store_release(&chunk[slot % FIBRIL_CHUNK], f);
	ft->nr++;
	return f;

free_slot:
	ida_free(&ft->ids, slot);
uncount:
	atomic_long_dec(&ft->user->fibrils);
	return ERR_PTR(err);
}

static void fibril_destroy(struct fibril_task *ft, struct fibril *f)
{
	u32 slot = f->id & FIBRIL_SLOT_MASK;

	/* A waker that is late looks it up under the lock. */
	scoped_guard(raw_spinlock_irq, &current->pi_lock)
		ft->chunks[slot / FIBRIL_CHUNK][slot % FIBRIL_CHUNK] = NULL;
	ft->generation = max(ft->generation, f->id >> FIBRIL_SLOT_BITS);
	ida_free(&ft->ids, slot);
	if (f->stack)
		fibril_stack_free(f->stack);
	kfree(f);
	ft->nr--;
	atomic_long_dec(&ft->user->fibrils);
}

static void fibril_set_stack(struct fibril *f, void *stack)
{
	struct fibril_top *top;

	f->stack = stack;
	top = (struct fibril_top *)fibril_regs(f) - 1;
	top->fibril = f;
	timerqueue_init(&top->deadline);
	f->saved = &top->saved;
	arch_fibril_init_stack(top);
}

/* fibril_alloc(), if there is none that has a stack. */
struct fibril *__fibril_alloc(struct fibril_task *ft, gfp_t gfp)
{
	struct fibril *f = ft->bare;
	void *stack;

	if (f) {
		ft->bare = f->next;
		ft->nr_free--;
	} else {
		f = gfp ? fibril_create(ft, gfp) : ERR_PTR(-ENOMEM);
		if (IS_ERR(f))
			return f;
	}
	stack = fibril_stack_alloc(ft, gfp);
	if (!stack) {
		__fibril_free(ft, f);
		return ERR_PTR(-ENOMEM);
	}
	fibril_set_stack(f, stack);
	fibril_free(ft, f);
	return fibril_alloc(ft, gfp);
}

/* fibril_free(), if it has no stack; there may be one. */
void __fibril_free(struct fibril_task *ft, struct fibril *f)
{
	if (ft->stacks) {
		fibril_set_stack(f, fibril_stack_alloc(ft, 0));
		fibril_free(ft, f);
		return;
	}
	f->free = true;
	f->next = ft->bare;
	ft->bare = f;
	ft->nr_free++;
}

/**
 * fibril_keep() - a fibril has finished its call, but is not free yet
 * @f: the fibril, whose stack is not in use
 */
void fibril_keep(struct fibril *f)
{
	fibril_put_stack(current->fibrils, f);
}

/* The next of those to be used again, to be destroyed, or the stack only. */
static struct fibril *fibril_take_free(struct fibril_task *ft,
				       struct fibril **list)
{
	struct fibril *f = *list;

	if (f) {
		*list = f->next;
		ft->nr_free--;
		if (f->stack)
			ft->nr_stacks--;
	}
	return f;
}

/* fibril_trim(), if there is something to do. */
void __fibril_trim(struct fibril_task *ft)
{
	struct fibril *f;

	while (ft->nr_stacks > FIBRIL_STACKS_KEPT) {
		if (ft->stacks) {
			fibril_stack_free(fibril_stack_alloc(ft, 0));
		} else {
			f = fibril_take_free(ft, &ft->idle);
			fibril_stack_free(f->stack);
			f->stack = NULL;
			__fibril_free(ft, f);
		}
	}
	while (ft->nr_free > FIBRILS_KEPT) {
		f = fibril_take_free(ft, &ft->bare) ?:
		    fibril_take_free(ft, &ft->idle);
		fibril_destroy(ft, f);
	}
}

/**
 * fibril_attach() - make current a task that has fibrils
 *
 * Context: a system call. May sleep.
 * Return: 0 or -ENOMEM.
 */
int fibril_attach(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft;

	if (tsk->fibrils)
		return 0;

	ft = kzalloc(sizeof(*ft), GFP_KERNEL_ACCOUNT);
	if (!ft)
		return -ENOMEM;
	ft->home.id = FIBRIL_HOME;
	ft->home.saved = &ft->home_state;
	ft->home.nr_files = FIBRIL_FILES;
	INIT_LIST_HEAD(&ft->home.node);
	INIT_LIST_HEAD(&ft->home.flight);
	ft->run_last = &ft->run_first;
	INIT_LIST_HEAD(&ft->flight);
	INIT_LIST_HEAD(&ft->done);
	INIT_LIST_HEAD(&ft->overflow);
	ida_init(&ft->ids);
	hrtimer_init(&ft->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	ft->timer.function = fibril_timeout;
	timerqueue_init_head(&ft->deadlines);
	ft->task = tsk;
	ft->running = &ft->home;
	ft->user = get_uid(current_user());

	static_branch_enable(&fibrils_used);

	scoped_guard(raw_spinlock_irq, &tsk->pi_lock) {
		tsk->fibrils = ft;
		current_thread_info()->fibril = FIBRIL_HOME;
	}
	return 0;
}

/* A new task has none of its parent's. */
void fibril_init_task(struct task_struct *p)
{
	task_thread_info(p)->fibril = FIBRIL_ANY;
	p->fibrils = NULL;
	p->fibril_stack = 0;
	p->fibrils_in_flight = 0;
	clear_tsk_thread_flag(p, TIF_FIBRIL);
	clear_tsk_thread_flag(p, TIF_FIBRIL_END);
	/* Shared by all contexts, and perhaps set by one that sleeps. */
#ifdef CONFIG_PSI
	p->in_memstall = 0;
#endif
#ifdef CONFIG_SMP
	if (current->fibrils_in_flight && p->migration_disabled) {
		p->migration_disabled = 0;
		p->cpus_ptr = &p->cpus_mask;
	}
#endif
	if (current->fibrils_in_flight)
		p->flags &= ~PF_NOFREEZE;
}

void __fibril_exit(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;
	struct fibril *f, *tmp;
	int i;

	if (WARN_ON_ONCE(in_fibril()))
		__fibril_die();

	scoped_guard(raw_spinlock_irq, &tsk->pi_lock) {
		WRITE_ONCE(ft->exiting, true);
		list_for_each_entry(f, &ft->flight, flight)
			fibril_wake_one(tsk, ft, f,
					TASK_INTERRUPTIBLE | TASK_WAKEKILL);
	}

	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		if (!tsk->fibrils_in_flight)
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);

	/* What the layer above has kept. */
	asys_exit(ft);
	list_splice_init(&ft->overflow, &ft->done);
	list_for_each_entry_safe(f, tmp, &ft->done, node)
		fibril_destroy(ft, f);
	while ((f = fibril_take_free(ft, &ft->idle) ?:
		    fibril_take_free(ft, &ft->bare)))
		fibril_destroy(ft, f);
	while (ft->nr_stacks)
		fibril_stack_free(fibril_stack_alloc(ft, 0));
	hrtimer_cancel(&ft->timer);

	scoped_guard(raw_spinlock_irq, &tsk->pi_lock) {
		/* It may be on a stack that is gone: see fibril_home_sp(). */
		WRITE_ONCE(tsk->thread.sp, fibril_no_sp(tsk));
		/* Who finds no fibrils takes that. */
		smp_store_release(&current_thread_info()->fibril, FIBRIL_ANY);
		tsk->fibrils = NULL;
	}
	clear_thread_flag(TIF_FIBRIL_END);
	/* Nobody else does without fibrils. */
	clear_thread_flag(TIF_FIBRIL);
	/* Home may have died of an oops in the middle of a batch. */
	if (tsk->plug == &ft->plug)
		blk_finish_plug(&ft->plug);
	for (i = 0; i < FIBRIL_CHUNKS; i++)
		kfree(ft->chunks[i]);
	ida_destroy(&ft->ids);
	free_uid(ft->user);
	kfree_rcu(ft, rcu);
}

/**
 * __fibril_die() - end a fibril after an oops
 *
 * The fibril stays where it is, with all that it holds, and its stack is not
 * used again.  The task gets SIGKILL; home and the other fibrils unwind.
 */
void __noreturn __fibril_die(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;

	ft->running->dead = true;
	send_sig(SIGKILL, tsk, 1);
	/* Not to be freed: the stack, and what is linked to it, is in use. */
	fibril_leave(tsk, ft, ft->running, fibril_uses(tsk));
}
