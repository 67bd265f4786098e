/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fibrils: more than one kernel stack in one task.
 *
 * The hooks that the rest of the kernel calls.  Each is a no-op, behind a
 * static key, for a task that never started a fibril.  The design is in
 * Documentation/fibrils.rst.
 */
#ifndef _LINUX_FIBRIL_H
#define _LINUX_FIBRIL_H

#include <linux/fibril_types.h>
#include <linux/jump_label.h>

struct blk_plug;
struct callback_head;
struct fd;
struct fibril;
struct rcuwait;
struct task_struct;

struct fd fibril_fdget(unsigned int fd, fmode_t mask);

/**
 * struct fibril_io - what a fibril waits for: one I/O, and nobody else does
 * @task: the task
 * @fibril: its context that has come to sleep for it
 * @done: it is done
 * @woken: @fibril was made runnable for that reason, and no other
 *
 * Such a wait needs no wait queue.  Who writes to it has the task's pi_lock.
 */
struct fibril_io {
	struct task_struct	*task;
	struct fibril		*fibril;
	bool			done;
	bool			woken;
};

void fibril_io_wait(struct fibril_io *io);
void fibril_io_done(struct fibril_io *io);

#ifdef CONFIG_FIBRILS

DECLARE_STATIC_KEY_FALSE(fibrils_used);

static __always_inline bool task_has_fibrils(const struct task_struct *tsk)
{
	const struct thread_info *ti = (const struct thread_info *)tsk;

	return static_branch_unlikely(&fibrils_used) &&
	       unlikely(READ_ONCE(ti->fibril));
}

/* Does current run on a stack other than its own? */
static __always_inline bool in_fibril(void)
{
	return static_branch_unlikely(&fibrils_used) &&
	       unlikely(fibril_self_id() > FIBRIL_HOME);
}

enum fibril_wake {
	/* nothing to do for the task as a whole */
	FIBRIL_WAKE_DONE,
	/* a context was made runnable, the task sleeps: wake it */
	FIBRIL_WAKE_TASK,
	/* the context that runs is meant, too: as in a task without fibrils */
	FIBRIL_WAKE_RUNNING,
};

enum fibril_wake fibril_wake(struct task_struct *p, unsigned int state,
			     fibril_ref_t fibril, int *success);
bool fibril_schedule(void);
void schedule_all_contexts(bool preempt);
int fibril_wake_parked(struct task_struct *p, unsigned int state,
		       fibril_ref_t fibril, bool queue);
void __fibril_tick(void);
void __fibril_resume(void);
int __fibril_cond_yield(void);
bool __fibril_plug_borrowed(void);
bool fibril_signal_pending(bool fatal);
bool __fibril_task_work_add(struct callback_head *work);
bool __fibril_home_match(struct task_struct *p, unsigned int state);
void __fibril_exit(void);
void __noreturn __fibril_die(void);
bool fibrils_in_flight(void);
bool __fibrils_can_run(void);
bool __fibrils_may_freeze(struct task_struct *p);
void fibril_init_task(struct task_struct *p);
void __fibril_show(struct task_struct *p);
unsigned long __fibrils_blocked(struct task_struct *p);
int __fibril_trace_reliable(struct task_struct *p, u32 *slot,
			    unsigned long *addrs, unsigned int max);
bool __fibril_be_patient(void);
void __fibril_set_deaf(bool deaf);
void __fibril_set_rcuwait(const struct rcuwait *w);
fibril_ref_t __fibril_rcuwaiter(struct task_struct *p, const struct rcuwait *w);

/* Which rcuwait current is about to sleep on; %NULL: none any more. */
static inline void fibril_set_rcuwait(const struct rcuwait *w)
{
	if (task_has_fibrils(current))
		__fibril_set_rcuwait(w);
}

/* Which context of @p sleeps on @w. */
static inline fibril_ref_t fibril_rcuwaiter(struct task_struct *p,
					    const struct rcuwait *w)
{
	return task_has_fibrils(p) ? __fibril_rcuwaiter(p, w) :
				     FIBRIL_REF(FIBRIL_ANY);
}

/* Run what was made runnable while it was held back. */
#define fibril_kick(tsk)						\
	do {								\
		if (task_has_fibrils(tsk))				\
			wake_up_context(tsk, 0, FIBRIL_REF(FIBRIL_KICK)); \
	} while (0)

/* Is home parked in one of @state while fibrils of @p run? */
static inline bool fibril_home_match(struct task_struct *p, unsigned int state)
{
	return task_has_fibrils(p) && __fibril_home_match(p, state);
}

/* Does no fibril of @p sleep for something that must come? Under pi_lock. */
static inline bool fibrils_may_freeze(struct task_struct *p)
{
	return !task_has_fibrils(p) || __fibrils_may_freeze(p);
}

/* Let contexts that can run do so; home returns to user mode after that. */
static inline void fibril_resume_user_mode(void)
{
	if (task_has_fibrils(current))
		__fibril_resume();
}

/*
 * For a loop that does not sleep while it waits for what another context of
 * its own task may have to do.
 */
static __always_inline int fibril_cond_yield(void)
{
	if (static_branch_unlikely(&fibrils_used) &&
	    unlikely(test_thread_flag(TIF_FIBRIL)))
		return __fibril_cond_yield();
	return 0;
}

/* While @curr runs, on its CPU */
static inline void fibril_tick(struct task_struct *curr)
{
	if (task_has_fibrils(curr))
		__fibril_tick();
}

/*
 * Have signal_pending() and fatal_signal_pending() say no, if @deaf, whether or
 * not the call shall end; false: not in a fibril.
 */
static inline bool fibril_set_deaf(bool deaf)
{
	if (!in_fibril())
		return false;
	__fibril_set_deaf(deaf);
	return true;
}

/*
 * Is there nothing pending that any context of @p could see?  What a fibril has
 * to see sets one of these flags first, as a signal does.
 */
static __always_inline bool fibril_no_signal(struct task_struct *p)
{
	return !(read_ti_thread_flags((struct thread_info *)p) &
		 (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_FIBRIL_END));
}

/*
 * Need @plug of current, which is about to sleep, not be flushed, because
 * another context does that?
 */
static inline bool fibril_plug_borrowed(const struct blk_plug *plug)
{
	return plug && in_fibril() && __fibril_plug_borrowed();
}

/* Queue @work to run before the call completes; false: not in a fibril. */
static inline bool fibril_task_work_add(struct callback_head *work)
{
	return in_fibril() && __fibril_task_work_add(work);
}

/*
 * Can one of them run? For home, where it sleeps in the place of all: it is
 * woken when one can.
 */
static inline bool fibrils_can_run(void)
{
	return task_has_fibrils(current) && __fibrils_can_run();
}

/* Are there calls of current on other stacks than the one it was entered on? */
static inline bool fibrils_have_stacks(void)
{
	return task_has_fibrils(current) && fibrils_in_flight();
}

/*
 * Some objects of current are replaced by current only, and used by it
 * without a reference.  Not while calls that use them sleep.
 */
static inline int fibril_may_replace(void)
{
	return fibrils_have_stacks() ? -EBUSY : 0;
}

/*
 * What stack_trace_save_tsk_reliable() is for a task, for the context in *@slot
 * or the next one above it that it leaves out; *@slot is set to the one after.
 * -ENOENT: there is none any more.
 */
static inline int fibril_trace_reliable(struct task_struct *p, u32 *slot,
					unsigned long *addrs, unsigned int max)
{
	return task_has_fibrils(p) ?
	       __fibril_trace_reliable(p, slot, addrs, max) : -ENOENT;
}

/*
 * Cancel the calls that sleep, wait until none is left, and forget results
 * that nobody has asked for.
 */
static inline void fibril_exit(void)
{
	if (task_has_fibrils(current))
		__fibril_exit();
}

/*
 * How long has a context of @p been blocked, in jiffies: in a sleep that the
 * hung task detector looks for, and does not see while others run?
 */
static inline unsigned long fibrils_blocked(struct task_struct *p)
{
	return task_has_fibrils(p) ? __fibrils_blocked(p) : 0;
}

/* Will that be told that the next sleep of current may be a long one? */
static inline bool fibril_be_patient(void)
{
	return in_fibril() && __fibril_be_patient();
}

/* Print where the fibrils of @p sleep. */
static inline void fibril_show(struct task_struct *p)
{
	if (task_has_fibrils(p))
		__fibril_show(p);
}

/* An oops on a fibril's stack ends the fibril here and kills the task. */
static inline void fibril_die(void)
{
	if (in_fibril())
		__fibril_die();
}

#else /* !CONFIG_FIBRILS */

/* Macros: with an inline function the compiler orders some code differently. */
#define task_has_fibrils(tsk)	false

#define in_fibril()		false
static inline bool fibril_schedule(void) { return false; }
#define fibril_kick(tsk)	do { } while (0)

static inline bool fibril_home_match(struct task_struct *p, unsigned int state)
{
	return false;
}

static inline bool fibril_set_deaf(bool deaf) { return false; }
static inline bool fibril_no_signal(struct task_struct *p) { return false; }
static inline bool fibril_signal_pending(bool fatal) { return false; }
static inline bool fibrils_in_flight(void) { return false; }
static inline bool fibrils_may_freeze(struct task_struct *p) { return true; }
static inline void fibril_set_rcuwait(const struct rcuwait *w) { }
static inline bool fibrils_can_run(void) { return false; }
static inline bool fibrils_have_stacks(void) { return false; }
static inline int fibril_may_replace(void) { return 0; }
static inline int fibril_trace_reliable(struct task_struct *p, u32 *slot,
					unsigned long *addrs, unsigned int max)
{
	return -ENOENT;
}

static inline int fibril_cond_yield(void) { return 0; }
static inline bool fibril_plug_borrowed(const struct blk_plug *plug)
{
	return false;
}

static inline bool fibril_task_work_add(struct callback_head *work)
{
	return false;
}

static inline void fibril_tick(struct task_struct *curr) { }
static inline void fibril_resume_user_mode(void) { }
static inline void fibril_exit(void) { }
static inline void fibril_die(void) { }
static inline fibril_ref_t fibril_rcuwaiter(struct task_struct *p,
					    const struct rcuwait *w)
{
	return FIBRIL_REF(FIBRIL_ANY);
}

static inline void fibril_init_task(struct task_struct *p) { }
static inline unsigned long fibrils_blocked(struct task_struct *p) { return 0; }
static inline bool fibril_be_patient(void) { return false; }
static inline void fibril_show(struct task_struct *p) { }

#endif /* CONFIG_FIBRILS */

/* Where others may look at a task's stack, and where arch code looks. */
#ifdef CONFIG_FIBRILS
unsigned long fibril_home_sp(struct task_struct *p);
#define fibril_stack_page(tsk)	((void *)READ_ONCE((tsk)->fibril_stack))
#else
#define fibril_stack_page(tsk)	((void *)NULL)
#endif

/*
 * For locks and the like that know their owner: the task or, in a fibril, an
 * address that is not a task's.  To be compared, and for nothing else.
 */
#define current_context()						\
	((struct task_struct *)(fibril_stack_page(current) ?: (void *)current))

#endif /* _LINUX_FIBRIL_H */
