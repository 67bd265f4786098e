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
#include <linux/fibril.h>
#include <linux/fs_struct.h>
#include <linux/idr.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/memcontrol.h>
#include <linux/pipe_fs_i.h>
#include <linux/rcupdate.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/vmalloc.h>

#include "fibril_internal.h"

DEFINE_STATIC_KEY_FALSE(fibrils_used);
EXPORT_SYMBOL(fibrils_used);

/* Stacks, and fibrils without, that a task keeps when no call needs them. */
#define FIBRIL_STACKS_KEPT	64
#define FIBRILS_KEPT		1024

unsigned int sysctl_fibrils_per_task __read_mostly = 16384;
unsigned int sysctl_fibrils_per_user __read_mostly = 65536;

static_assert(FIBRIL_MAX == 1U << FIBRIL_SLOT_BITS);

/*
 * State of the task that belongs to a context
 */

static __always_inline void fibril_save(struct task_struct *tsk,
					struct fibril_state *s)
{
#define X(member)	s->member = tsk->member;
	FIBRIL_STATE(X)
	FIBRIL_BITS(X)
#undef X
	s->flags = tsk->flags & PF_FIBRIL;
	arch_fibril_save(&s->arch);
#ifdef CONFIG_LOCKDEP
	s->curr_chain_key = tsk->curr_chain_key;
	s->lockdep_depth = tsk->lockdep_depth;
	memcpy(s->held_locks, tsk->held_locks,
	       s->lockdep_depth * sizeof(s->held_locks[0]));
#endif
}

static __always_inline void fibril_restore(struct task_struct *tsk,
					   struct fibril_state *s)
{
#define X(member)	tsk->member = s->member;
	FIBRIL_STATE(X)
	FIBRIL_BITS(X)
#undef X
	tsk->flags = (tsk->flags & ~PF_FIBRIL) | s->flags;
	arch_fibril_restore(&s->arch);
#ifdef CONFIG_LOCKDEP
	tsk->curr_chain_key = s->curr_chain_key;
	tsk->lockdep_depth = s->lockdep_depth;
	memcpy(tsk->held_locks, s->held_locks,
	       s->lockdep_depth * sizeof(s->held_locks[0]));
#endif
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

static void fibril_enqueue(struct task_struct *p, struct fibril_task *ft,
			   struct fibril *f)
{
	f->queued = true;
	list_add_tail(&f->node, &ft->runq);
	/* Home may be on its way to user mode, or there. */
	set_notify_resume(p);
}

static bool fibril_wake_one(struct task_struct *p, struct fibril_task *ft,
			    struct fibril *f, unsigned int state)
{
	if (!(f->state & state))
		return false;
	f->state = TASK_RUNNING;
	if (!f->queued)
		fibril_enqueue(p, ft, f);
	return true;
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
	return list_first_entry_or_null(&ft->runq, struct fibril, node);
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

	switch (ref.id) {
	case FIBRIL_KICK:
		woken = fibril_first(p, ft);
		break;
	case FIBRIL_ANY:
		list_for_each_entry(f, &ft->flight, flight)
			woken |= fibril_wake_one(p, ft, f, state);
		woken |= fibril_wake_one(p, ft, &ft->home, state);
		break;
	default:
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
	if (running && (ref.id == FIBRIL_ANY || ref.id == running->id))
		return FIBRIL_WAKE_RUNNING;
	return FIBRIL_WAKE_DONE;
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
static void __sched fibrils_sleep(struct fibril_task *ft)
{
	struct arch_fibril_state own;

	if (!in_fibril()) {
		schedule_all_contexts(false);
		return;
	}
	arch_fibril_save(&own);
	arch_fibril_restore(&ft->home.saved.arch);
	schedule_all_contexts(false);
	arch_fibril_save(&ft->home.saved.arch);
	arch_fibril_restore(&own);
}

/*
 * Take the next context that can run from the queue; sleep if there is none.
 * Called with pi_lock held and no context running; the lock may be dropped.
 */
static struct fibril *__sched fibril_pick(struct task_struct *tsk,
					  struct fibril_task *ft)
{
	struct fibril *next;

	lockdep_assert_held(&tsk->pi_lock);

	while (!(next = fibril_first(tsk, ft))) {
		WRITE_ONCE(tsk->__state, fibrils_sleep_state(tsk, ft));
		raw_spin_unlock_irq(&tsk->pi_lock);
		fibrils_sleep(ft);
		raw_spin_lock_irq(&tsk->pi_lock);
	}

	list_del_init(&next->node);
	next->queued = false;
	WRITE_ONCE(tsk->__state, next->state);
	next->state = TASK_RUNNING;
	ft->running = next;
	ft->switched = jiffies;
	current_thread_info()->fibril = next->id;
	return next;
}

/* Back to the pool; above the word that tells an overflow, it is not in use. */
static void fibril_put_stack(struct fibril_task *ft, struct fibril *f)
{
	if (!f->stack)
		return;
	kasan_unpoison_range(f->stack, THREAD_SIZE);
	*(void **)(f->stack + sizeof(unsigned long)) = ft->stacks;
	ft->stacks = f->stack;
	ft->nr_stacks++;
	f->stack = NULL;
}

/* The one that was switched away from has finished: keep its stack. */
static void fibril_finish_switch(struct fibril_task *ft)
{
	struct fibril *f = ft->zombie;

	if (likely(!f))
		return;
	ft->zombie = NULL;
	fibril_put_stack(ft, f);
	put_cred(f->base_cred);
	f->base_cred = NULL;
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

	hlist_for_each_entry(notifier, &tsk->preempt_notifiers, link)
		notifier->ops->sched_in(notifier, raw_smp_processor_id());
#endif
}

/*
 * Run another context; @prev has been marked as parked.  Called with pi_lock
 * held, returns without and with interrupts on, when @prev runs again.
 */
static void __sched fibril_switch(struct task_struct *tsk,
				  struct fibril_task *ft, struct fibril *prev)
	__releases(&tsk->pi_lock)
{
	struct fibril *next = fibril_pick(tsk, ft);

	/* Interrupts stay off: no preemption between two contexts. */
	raw_spin_unlock(&tsk->pi_lock);
	if (next != prev) {
		/* Voluntary: for khungtaskd, and for RCU tasks. */
		tsk->nvcsw++;
		blk_plug_invalidate_ts();
		fibril_notify_out(tsk);
		fibril_save(tsk, &prev->saved);
		fibril_restore(tsk, &next->saved);
		tsk->fibril_stack = (unsigned long)next->stack;
		arch_fibril_switch(&prev->sp, &next->sp);
		fibril_finish_switch(ft);
	}
	preempt_disable();
	local_irq_enable();
	if (next != prev)
		fibril_notify_in(tsk);
	preempt_enable();
}

/*
 * @f is about to sleep for the first time.  From now on it is on its own; home
 * goes on first, and what home had when it started @f is in home.saved.
 */
static void fibril_detach(struct task_struct *tsk, struct fibril_task *ft,
			  struct fibril *f)
{
	struct fibril *home = &ft->home;

	lockdep_assert_held(&tsk->pi_lock);

	f->detached = true;
	f->since = jiffies;
	f->base_cred = get_cred(rcu_dereference_protected(home->saved.cred, 1));
	list_add_tail(&f->flight, &ft->flight);
	WRITE_ONCE(tsk->fibrils_in_flight, tsk->fibrils_in_flight + 1);

	/* User mode's, which calls before this one may have changed. */
	arch_fibril_save(&home->saved.arch);

	/* @f may be in the middle of using these. */
	home->saved.task_frag.page = NULL;
	home->saved.splice_pipe = NULL;

	/* The submitter's plug is not for @f. */
	blk_plug_invalidate_ts();
	if (tsk->plug == home->saved.plug)
		tsk->plug = NULL;

	home->queued = true;
	list_add(&home->node, &ft->runq);
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

/* Park the context that runs; @state is kept for it.  pi_lock is held. */
static void __sched fibril_park(struct task_struct *tsk, struct fibril_task *ft,
				unsigned int state)
	__releases(&tsk->pi_lock)
{
	struct fibril *prev = ft->running;

	prev->state = state;
	ft->running = NULL;
	if (prev == &ft->home)
		ft->begun = false;
	else if (unlikely(!prev->detached))
		fibril_detach(tsk, ft, prev);
	fibril_switch(tsk, ft, prev);
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
	if (unlikely(!fibril_may_switch(tsk)))
		return false;

	/* Other tasks first. */
	if (need_resched())
		schedule_all_contexts(true);

	raw_spin_lock_irq(&tsk->pi_lock);
	state = READ_ONCE(tsk->__state);
	if (state == TASK_RUNNING) {
		/* The likes of yield(): let another one have a turn. */
		if (!fibril_first(tsk, ft)) {
			raw_spin_unlock_irq(&tsk->pi_lock);
			return false;
		}
		fibril_enqueue(tsk, ft, ft->running);
	} else if (signal_pending_state(state, tsk)) {
		WRITE_ONCE(tsk->__state, TASK_RUNNING);
		raw_spin_unlock_irq(&tsk->pi_lock);
		return true;
	}
	fibril_park(tsk, ft, state);
	return true;
}

/* Let the contexts that can run do so before this one goes on. */
void __sched __fibril_yield(void)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;

	if (unlikely(!fibril_may_switch(tsk)))
		return;

	raw_spin_lock_irq(&tsk->pi_lock);
	if (!fibril_first(tsk, ft)) {
		raw_spin_unlock_irq(&tsk->pi_lock);
		return;
	}
	/* Home needs no reminder: it is on its way. */
	ft->running->queued = true;
	list_add_tail(&ft->running->node, &ft->runq);
	if (ft->running != &ft->home)
		set_notify_resume(tsk);
	fibril_park(tsk, ft, READ_ONCE(tsk->__state));
}

/* Has the context that runs kept others waiting for a tick? */
bool fibril_yield_due(void)
{
	struct fibril_task *ft = current->fibrils;

#ifdef CONFIG_SMP
	/* The others would be pinned to this CPU, too: not for a mere yield. */
	if (current->migration_disabled)
		return false;
#endif
	return !list_empty_careful(&ft->runq) &&
	       time_after(jiffies, ft->switched) &&
	       in_task() && fibril_may_switch(current);
}

/*
 * Running calls
 */

/* Free what a context keeps for its next call, or leave it to home. */
static void fibril_put_caches(struct task_struct *tsk, struct fibril *home)
{
	if (tsk->task_frag.page) {
		if (!home->saved.task_frag.page)
			home->saved.task_frag = tsk->task_frag;
		else
			put_page(tsk->task_frag.page);
		tsk->task_frag.page = NULL;
	}
	if (tsk->splice_pipe) {
		if (!home->saved.splice_pipe)
			home->saved.splice_pipe = tsk->splice_pipe;
		else
			free_pipe_info(tsk->splice_pipe);
		tsk->splice_pipe = NULL;
	}
}

/* Leave the stack of @f for good. */
static void __noreturn fibril_leave(struct task_struct *tsk,
				    struct fibril_task *ft, struct fibril *f)
{
	struct fibril *next;

	raw_spin_lock_irq(&tsk->pi_lock);
	if (!f->detached)
		fibril_detach(tsk, ft, f);
	ft->running = NULL;
	list_del_init(&f->flight);
	WRITE_ONCE(tsk->fibrils_in_flight, tsk->fibrils_in_flight - 1);
	if (!RB_EMPTY_NODE(&f->deadline.node))
		timerqueue_del(&ft->deadlines, &f->deadline);
	if (ft->exiting ? !tsk->fibrils_in_flight :
	    ft->wait_for == f ||
	    (ft->waiting && (!ft->wait_left || !tsk->fibrils_in_flight)))
		fibril_wake_one(tsk, ft, &ft->home, TASK_NORMAL);

	next = fibril_pick(tsk, ft);
	raw_spin_unlock(&tsk->pi_lock);

	tsk->nvcsw++;
	fibril_restore(tsk, &next->saved);
	tsk->fibril_stack = (unsigned long)next->stack;
	arch_fibril_switch(&f->sp, &next->sp);
	panic("a fibril that has ended runs\n");
}

static void __noreturn fibril_end(struct task_struct *tsk,
				  struct fibril_task *ft, struct fibril *f)
{
	/* What comes now is not the call's: it is not cancelled. */
	f->ending = true;
	fibril_put_caches(tsk, &ft->home);
	f->finish(f);

	WARN_ON_ONCE(current_cred() != f->base_cred);
	WARN_ON_ONCE(tsk->journal_info || tsk->bio_list || tsk->plug ||
		     tsk->nameidata || tsk->reclaim_state ||
		     tsk->faults_disabled_mapping || tsk->pagefault_disabled ||
		     tsk->in_iowait);

	if (IS_ENABLED(CONFIG_SCHED_STACK_END_CHECK) &&
	    *(unsigned long *)f->stack != STACK_END_MAGIC)
		panic("corrupted end of a fibril's stack\n");

	/* Until the next context has the CPU: see fibril_finish_switch(). */
	ft->zombie = f;
	fibril_leave(tsk, ft, f);
}

/**
 * fibril_run_works() - do what a call has left to be done before it counts
 * @f: the fibril, which runs
 *
 * Files that the call has closed are closed when it has finished.
 */
void fibril_run_works(struct fibril *f)
{
	while (f->works) {
		struct callback_head *work = f->works;

		f->works = work->next;
		work->func(work);
	}
}

/**
 * fibril_done() - a fibril has made its call
 * @f: the fibril, which runs
 *
 * Returns if @f has not slept, to the one who started it.
 */
void fibril_done(struct fibril *f)
{
	struct task_struct *tsk = current;

	fibril_run_works(f);
	if (f->detached)
		fibril_end(tsk, tsk->fibrils, f);
}

/* Keep what home gets back when a fibril of this batch sleeps. */
void fibril_save_home(struct fibril_task *ft)
{
	fibril_save(current, &ft->home.saved);
	ft->begun = true;
}

/* The end of fibril_switch(), for one who comes from arch_fibril_switch(). */
void fibril_switched(struct fibril_task *ft)
{
	fibril_finish_switch(ft);
	local_irq_enable();
	preempt_check_resched();
}

bool __fibril_task_work_add(struct callback_head *work)
{
	struct fibril *f = current->fibrils->running;

	if (!in_task() || f->ending)
		return false;
	work->next = f->works;
	f->works = work;
	return true;
}

/* What signal_pending() and, if @fatal, fatal_signal_pending() say in a fibril. */
bool fibril_signal_pending(bool fatal)
{
	struct task_struct *tsk = current;
	struct fibril_task *ft = tsk->fibrils;
	struct fibril *f = ft->running;

	/*
	 * Home takes SIGKILL off the pending signals before it comes to
	 * fibril_exit(); from then on the group flags tell.
	 */
	return (f && !f->ending &&
		READ_ONCE(f->cancel) >= (fatal ? FIBRIL_KILL : FIBRIL_INTERRUPT)) ||
	       READ_ONCE(ft->exiting) ||
	       sigismember(&tsk->pending.signal, SIGKILL) ||
	       READ_ONCE(tsk->signal->flags) & SIGNAL_GROUP_EXIT ||
	       READ_ONCE(tsk->signal->group_exec_task);
}
EXPORT_SYMBOL(fibril_signal_pending);

bool fibrils_in_flight(void)
{
	return current->fibrils_in_flight;
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

/* Where home is, for those who look at a task that does not run. */
unsigned long fibril_home_sp(struct task_struct *p)
{
	unsigned long sp = READ_ONCE(p->thread.sp);
	struct fibril_task *ft;

	guard(rcu)();
	ft = READ_ONCE(p->fibrils);
	if (ft && READ_ONCE(p->fibril_stack))
		sp = READ_ONCE(ft->home.sp);
	return sp;
}

/*
 * The return addresses on the stack of a parked fibril: up to @max of them,
 * without those in the scheduler.  Nobody unwinds here, so a stale one may be
 * among them.
 */
static unsigned int fibril_trace(struct fibril *f, unsigned long *addrs,
				 unsigned int max)
{
	unsigned long sp = f->sp, end = (unsigned long)f->stack + THREAD_SIZE;
	unsigned long addr;
	unsigned int n = 0;

	for (; sp < end && n < max; sp += sizeof(unsigned long)) {
		addr = READ_ONCE_NOCHECK(*(unsigned long *)sp);
		if (__kernel_text_address(addr) && !in_sched_functions(addr))
			addrs[n++] = addr;
	}
	return n;
}

/* Under pi_lock; see fibril_look(). */
static bool __fibril_look(struct task_struct *p, u32 slot,
			  struct fibril_view *view, unsigned int depth)
{
	struct fibril **chunk = NULL;
	struct fibril *f;

	view->used = false;
	/* The lowest free slot is used first. */
	if (p->fibrils && slot < FIBRIL_MAX)
		chunk = p->fibrils->chunks[slot / FIBRIL_CHUNK];
	f = chunk ? chunk[slot % FIBRIL_CHUNK] : NULL;
	if (f && !list_empty(&f->flight)) {
		view->used = true;
		view->nr = f->nr;
		view->state = f->state;
		view->cookie = f->cookie;
		view->since = f->since;
		view->depth = f == p->fibrils->running ? 0 :
			      fibril_trace(f, view->trace, depth);
	}
	return chunk;
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
			pr_info("  ? %pB\n", (void *)view.trace[i]);
	}
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
		f = container_of(node, struct fibril, deadline);
		f->timed_out = true;
		WRITE_ONCE(f->cancel, FIBRIL_KILL);
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

	f->deadline.expires = when;
	raw_spin_lock_irq(&tsk->pi_lock);
	if (timerqueue_add(&ft->deadlines, &f->deadline))
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
	    ft->nr >= FIBRIL_MAX - 3)
		return ERR_PTR(-EAGAIN);
	if (atomic_long_inc_return(&ft->user->fibrils) >
	    READ_ONCE(sysctl_fibrils_per_user))
		goto uncount;

	err = -ENOMEM;
	/* 0 and 1 are FIBRIL_ANY and FIBRIL_HOME; the last is in FIBRIL_KICK. */
	slot = ida_alloc_range(&ft->ids, FIBRIL_HOME + 1, FIBRIL_MAX - 2, gfp);
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
	timerqueue_init(&f->deadline);
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

/**
 * fibril_alloc() - get a fibril to run a call on
 * @gfp: how to get memory; 0: not at all
 *
 * Context: home of a task to which fibrils are attached. May sleep if @gfp says so.
 * Return: the fibril, ready for fibril_run() but for its functions, or
 * * -EAGAIN: the task or the user has as many as it may have
 * * -ENOMEM: out of memory
 */
struct fibril *fibril_alloc(gfp_t gfp)
{
	struct fibril_task *ft = current->fibrils;
	struct fibril *f;

	f = list_first_entry_or_null(&ft->idle, struct fibril, node);
	if (likely(f)) {
		list_del_init(&f->node);
		ft->nr_idle--;
	} else {
		f = gfp ? fibril_create(ft, gfp) : ERR_PTR(-ENOMEM);
		if (IS_ERR(f))
			return f;
	}
	if (unlikely(!f->stack)) {
		/* vmalloc() sleeps, whatever it is told. */
		if (gfpflags_allow_blocking(gfp) || ft->nr_stacks)
			f->stack = fibril_stack_alloc(ft, gfp);
		if (!f->stack) {
			fibril_free(f);
			return ERR_PTR(-ENOMEM);
		}
		f->sp = arch_fibril_init_stack(fibril_regs(f));
	}
	fibril_renew(f);
	f->cancel = FIBRIL_GO_ON;
	f->timed_out = false;
	f->detached = false;
	f->ending = false;
	return f;
}

/**
 * fibril_keep() - a fibril has finished its call, but is not free yet
 * @f: the fibril, whose stack is not in use
 */
void fibril_keep(struct fibril *f)
{
	fibril_put_stack(current->fibrils, f);
}

/**
 * fibril_free() - give back a fibril that does not run
 * @f: the fibril
 */
void fibril_free(struct fibril *f)
{
	struct fibril_task *ft = current->fibrils;

	/* One that is about to end runs on its stack still. */
	if (ft->running != f)
		fibril_put_stack(ft, f);
	list_add(&f->node, &ft->idle);
	ft->nr_idle++;
}

/**
 * fibril_trim() - free what a burst of calls has left behind
 *
 * Context: home. May sleep.
 */
void fibril_trim(void)
{
	struct fibril_task *ft = current->fibrils;
	struct fibril *f;

	while (ft->nr_stacks > FIBRIL_STACKS_KEPT)
		fibril_stack_free(fibril_stack_alloc(ft, 0));
	while (ft->nr_idle > FIBRILS_KEPT) {
		f = list_first_entry(&ft->idle, struct fibril, node);
		list_del(&f->node);
		ft->nr_idle--;
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
	INIT_LIST_HEAD(&ft->home.node);
	INIT_LIST_HEAD(&ft->runq);
	INIT_LIST_HEAD(&ft->flight);
	INIT_LIST_HEAD(&ft->done);
	INIT_LIST_HEAD(&ft->idle);
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
	list_splice_init(&ft->overflow, &ft->idle);
	list_splice_init(&ft->done, &ft->idle);
	list_for_each_entry_safe(f, tmp, &ft->idle, node)
		fibril_destroy(ft, f);
	while (ft->nr_stacks)
		fibril_stack_free(fibril_stack_alloc(ft, 0));
	hrtimer_cancel(&ft->timer);

	scoped_guard(raw_spinlock_irq, &tsk->pi_lock) {
		current_thread_info()->fibril = FIBRIL_ANY;
		tsk->fibrils = NULL;
	}
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
	fibril_leave(tsk, ft, ft->running);
}
