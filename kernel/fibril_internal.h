/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fibrils: what kernel/fibril.c offers to the layer that runs calls on them.
 */
#ifndef _KERNEL_FIBRIL_INTERNAL_H
#define _KERNEL_FIBRIL_INTERNAL_H

#include <linux/blk-mq.h>
#include <linux/fibril.h>
#include <linux/hrtimer.h>
#include <linux/idr.h>
#include <linux/kasan.h>
#include <linux/list.h>
#include <linux/mm_types_task.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/timerqueue.h>
#include <asm/fibril.h>

/*
 * Members of task_struct that describe a context and not the task.  They are
 * saved and restored at each switch, in groups: few contexts use more than the
 * first when they sleep.  kernel/fibril_state.txt lists every member of
 * task_struct with the reason for what is done with it.
 */

/* Always */
#define FIBRIL_STATE_COMMON(X)	\
	X(cred)			\
	X(plug)

/*
 * If any of these is used.  One that is not used is all zero, and one that is
 * used is not zero in its first word: see fibril_uses().
 */
#define FIBRIL_RARE_COMMON(X)	\
	X(nameidata)		\
	X(journal_info)		\
	X(bio_list)		\
	X(reclaim_state)	\
	X(pagefault_disabled)	\
	X(faults_disabled_mapping) \
	X(bpf_net_context)

/* The same, for what a context keeps for its next call */
#define FIBRIL_CACHES(X)	\
	X(splice_pipe)		\
	X(task_frag)

/*
 * Holds arguments while its function is set, and nanosleep()'s while it has a
 * type.
 */
#define FIBRIL_RESTART(X)	\
	X(restart_block)

#ifdef CONFIG_COMPACTION
#define FIBRIL_RARE_COMPACTION(X)	X(capture_control)
#else
#define FIBRIL_RARE_COMPACTION(X)
#endif
#ifdef CONFIG_MEMCG
#define FIBRIL_RARE_MEMCG(X)		X(active_memcg)
#else
#define FIBRIL_RARE_MEMCG(X)
#endif
#ifdef CONFIG_MEMCG_V1
#define FIBRIL_RARE_MEMCG_V1(X)	X(memcg_in_oom)
#else
#define FIBRIL_RARE_MEMCG_V1(X)
#endif
#ifdef CONFIG_MEM_ALLOC_PROFILING
#define FIBRIL_RARE_ALLOC_TAG(X)	X(alloc_tag)
#else
#define FIBRIL_RARE_ALLOC_TAG(X)
#endif
#ifdef CONFIG_BPF_SYSCALL
#define FIBRIL_RARE_BPF(X)		X(bpf_ctx)
#else
#define FIBRIL_RARE_BPF(X)
#endif
#ifdef CONFIG_KRETPROBES
#define FIBRIL_STATE_KRETPROBES(X)	X(kretprobe_instances)
#else
#define FIBRIL_STATE_KRETPROBES(X)
#endif
#ifdef CONFIG_RETHOOK
#define FIBRIL_STATE_RETHOOK(X)		X(rethooks)
#else
#define FIBRIL_STATE_RETHOOK(X)
#endif
#ifdef CONFIG_PREEMPT_NOTIFIERS
#define FIBRIL_RARE_NOTIFIERS(X)	X(preempt_notifiers)
#else
#define FIBRIL_RARE_NOTIFIERS(X)
#endif
#ifdef CONFIG_DEBUG_MUTEXES
#define FIBRIL_STATE_MUTEXES(X)		X(blocked_on)
#else
#define FIBRIL_STATE_MUTEXES(X)
#endif
#ifdef CONFIG_DEBUG_ATOMIC_SLEEP
#define FIBRIL_STATE_SLEEP(X)		X(task_state_change)
#else
#define FIBRIL_STATE_SLEEP(X)
#endif
#if defined(CONFIG_KASAN_GENERIC) || defined(CONFIG_KASAN_SW_TAGS)
#define FIBRIL_RARE_KASAN(X)		X(kasan_depth)
#else
#define FIBRIL_RARE_KASAN(X)
#endif

#ifdef CONFIG_KCSAN_WEAK_MEMORY
#define FIBRIL_KCSAN_WEAK(X)		X(kcsan_stack_depth)
#else
#define FIBRIL_KCSAN_WEAK(X)
#endif
#ifdef CONFIG_KCSAN
#define FIBRIL_KCSAN(X)		\
	X(kcsan_ctx)		\
	FIBRIL_KCSAN_WEAK(X)
#else
#define FIBRIL_KCSAN(X)
#endif

#define FIBRIL_STATE(X)		\
	FIBRIL_STATE_COMMON(X)	\
	FIBRIL_STATE_KRETPROBES(X) \
	FIBRIL_STATE_RETHOOK(X)	\
	FIBRIL_STATE_MUTEXES(X)	\
	FIBRIL_STATE_SLEEP(X)

#define FIBRIL_RARE(X)		\
	FIBRIL_RARE_COMMON(X)	\
	FIBRIL_RARE_COMPACTION(X) \
	FIBRIL_RARE_MEMCG(X)	\
	FIBRIL_RARE_MEMCG_V1(X)	\
	FIBRIL_RARE_ALLOC_TAG(X) \
	FIBRIL_RARE_BPF(X)	\
	FIBRIL_RARE_NOTIFIERS(X) \
	FIBRIL_RARE_KASAN(X)

/* Bit-fields of one bit, which have no typeof(). */
#ifdef CONFIG_MEMCG_V1
#define FIBRIL_BITS_MEMCG_V1(X)		X(in_user_fault)
#else
#define FIBRIL_BITS_MEMCG_V1(X)
#endif
#ifdef CONFIG_LRU_GEN
#define FIBRIL_BITS_LRU_GEN(X)		X(in_lru_fault)
#else
#define FIBRIL_BITS_LRU_GEN(X)
#endif
#ifdef CONFIG_PAGE_OWNER
#define FIBRIL_BITS_PAGE_OWNER(X)	X(in_page_owner)
#else
#define FIBRIL_BITS_PAGE_OWNER(X)
#endif
#ifdef CONFIG_TASK_DELAY_ACCT
#define FIBRIL_BITS_DELAY_ACCT(X)	X(in_thrashing)
#else
#define FIBRIL_BITS_DELAY_ACCT(X)
#endif

#ifdef CONFIG_RT_MUTEXES
#define FIBRIL_BITS_RT_MUTEXES(X)	X(sched_rt_mutex)
#else
#define FIBRIL_BITS_RT_MUTEXES(X)
#endif

/* Always, and with FIBRIL_RARE */
#define FIBRIL_BITS(X)		\
	X(in_iowait)
#define FIBRIL_RARE_BITS(X)	\
	X(in_execve)		\
	FIBRIL_BITS_MEMCG_V1(X)	\
	FIBRIL_BITS_LRU_GEN(X)	\
	FIBRIL_BITS_PAGE_OWNER(X) \
	FIBRIL_BITS_DELAY_ACCT(X) \
	FIBRIL_BITS_RT_MUTEXES(X)

/* Bits of task_struct::flags that belong to a context, with FIBRIL_RARE. */
#define PF_FIBRIL	(PF_MEMALLOC | PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO | \
			 PF_MEMALLOC_PIN | PF_LOCAL_THROTTLE | \
			 PF_NO_NOTIFY_SIGNAL)

/* A fibril that has not slept borrows so many files; see fibril_fdget(). */
#define FIBRIL_FILES	4

struct fibril_state {
#define X(member)	typeof_member(struct task_struct, member) member;
	FIBRIL_STATE(X)
	FIBRIL_RARE(X)
	FIBRIL_CACHES(X)
	FIBRIL_RESTART(X)
	FIBRIL_KCSAN(X)
#undef X
#define X(member)	bool member;
	FIBRIL_BITS(X)
	FIBRIL_RARE_BITS(X)
#undef X
	unsigned int		flags;
	struct arch_fibril_state arch;
};

/**
 * struct fibril_top - what a fibril has at the upper end of its stack
 * @saved: T. the task's state while parked
 * @fibril: the fibril
 * @files: T. files that the call has borrowed
 * @deadline: P. in the queue of those that have one
 */
struct fibril_top {
	struct fibril_state	saved;
	struct fibril		*fibril;
	struct file		*files[FIBRIL_FILES];
	struct timerqueue_node	deadline;
};

/* Too large to be with the others, on the stack. */
struct fibril_locks {
#ifdef CONFIG_LOCKDEP
	u64			curr_chain_key;
	int			lockdep_depth;
	struct held_lock	held_locks[MAX_LOCK_DEPTH];
#endif
};

/* Which groups of a struct fibril_state are used; the others are not stored. */
enum fibril_uses {
	FIBRIL_USES_RARE	= 1,
	FIBRIL_USES_CACHES	= 2,
	FIBRIL_USES_RESTART	= 4,
};

/* What fibril_cancel() lets a fibril see. */
enum fibril_cancel {
	/* nothing */
	FIBRIL_GO_ON,
	/* signal_pending(): a signal that is handled */
	FIBRIL_INTERRUPT,
	/* fatal_signal_pending(), too: nobody wants the result */
	FIBRIL_KILL,
};

/* What a fibril is not told of: see ignore_sigpending(). */
enum fibril_deaf {
	FIBRIL_HEARS,
	/* that it is cancelled */
	FIBRIL_DEAF,
	/* nor that the task dies; home says so once it waits for fibrils */
	FIBRIL_DEAF_TO_DEATH,
};

/**
 * struct fibril - one context of a task
 *
 * Members are accessed by:
 *
 *  T: the task itself, that is, by one context at a time
 *  P: anybody who holds the task's pi_lock
 *
 * @id: T. names this use of the context, see FIBRIL_HOME
 * @state: P. what the context sleeps for, a TASK_* mask, while it is parked;
 *	TASK_RUNNING otherwise
 * @queued: P. on the run queue
 * @cancel: P. told to end, an enum fibril_cancel
 * @dead: T. has oopsed, and stays as it is
 * @detached: T. has slept: it does not return to the one who started it
 * @has_works: T. there are @works
 * @to_end: both: is there something to do when its call has returned?
 * @ending: T. takes no more @works, and is not cancelled any more
 * @free: T. among those to be used again
 * @uses: T. which groups of @saved are used, an enum fibril_uses
 * @parked: P. when it was parked last, in jiffies
 * @next: P. the one behind it in the run queue; T. among those to be used again
 * @node: T. in a list of finished ones
 * @nr_files: T. how many files the call has borrowed; %FIBRIL_FILES
 *	if it may not borrow another one
 * @nr_held: T. how many of them have a reference, once @detached
 * @patient: T. its next sleep may be long, and nobody is to worry
 * @deaf: T. what it is not told of, an enum fibril_deaf
 * @of_call: all of these, which each call finds cleared
 * @flight: P. in the list of those that are detached and not finished
 * @sp: T. stack pointer while parked, or to start with
 * @stack: T. lowest address of the stack
 * @saved: T. the task's state while parked; a fibril's is on its stack
 * @locks: T. the same, of lockdep
 * @base_cred: T. credentials the call runs with, a reference
 * @works: T. work to run before the call counts as finished
 * @rcuwait: T. what it is about to sleep on, for wakers that have seen it there
 * @timed_out: P. cancelled because its deadline has passed
 * @fn: T. what to run; %NULL: the call that fibril_regs() are for
 * @finish: T. what to call, on the fibril, when a detached @fn has returned
 * @cookie: user's name for the call
 * @result: what the call returned
 * @nr: number of the call
 * @since: when the call has slept first, in jiffies
 * @chain: the calls of a chain, or %NULL
 * @batch: where the calls come from that it makes until one sleeps, or %NULL
 *
 * The last ones belong to the layer above, kernel/asys.c.
 */
struct fibril {
	u32			id;
	unsigned int		state;
	/* These are set together when a fibril is used again. */
	union {
		struct {
			bool	detached;
			bool	has_works;
		};
		u16		to_end;
	};
	u8			cancel;
	bool			timed_out;
	bool			ending;
	bool			free;
	union {
		struct {
			u8	nr_files;
			u8	nr_held;
			bool	patient;
			u8	deaf;
		};
		u32		of_call;
	};
	bool			queued;
	bool			dead;
	u8			uses;
	unsigned long		parked;
	struct fibril		*next;
	struct list_head	node;
	struct list_head	flight;
	unsigned long		sp;
	void			*stack;
	const struct cred	*base_cred;
	struct callback_head	*works;
	const struct rcuwait	*rcuwait;
	void			(*fn)(struct fibril *f);
	void			(*finish)(struct fibril *f);

	u64			cookie;
	s64			result;
	u32			nr;
	unsigned long		since;
	struct asys_chain	*chain;
	struct asys_batch	*batch;

	struct fibril_state	*saved;
	struct fibril_locks	locks;
};

/* An id is a slot, and above it a count of the uses of the slot. */
#define FIBRIL_SLOT_BITS	17
#define FIBRIL_SLOT_MASK	((1U << FIBRIL_SLOT_BITS) - 1)

#define FIBRIL_CHUNK	512
#define FIBRIL_CHUNKS	256
#define FIBRIL_MAX	(FIBRIL_CHUNK * FIBRIL_CHUNKS)
/* FIBRIL_ANY and FIBRIL_HOME are 0 and 1, and the last is in FIBRIL_KICK. */
#define FIBRILS_MOST	(FIBRIL_MAX - 3)

/**
 * struct fibril_task - the contexts of one task
 * @home: the context that came from user mode
 * @home_state: where the task's state is saved for it
 * @begun: T. @home has been saved in this batch, and has not slept since
 * @running: P. the one that runs; NULL while all are parked.  Home and a
 *	fibril that has not slept yet take turns without the lock.
 * @run_first: P. contexts that can run, in order; TIF_FIBRIL is set while there
 *	are any, but for those that may come later, and at times for the plug: see
 *	fibril_enqueue()
 * @run_last: P. where the next one is linked
 * @flight: P. fibrils that have slept and have not finished
 * @exiting: P. all are cancelled
 * @defer: T. what may go on later need not go on before home asks for it
 * @zombie: T. has finished and gives up its stack, which is still in use
 * @switched: T. when @running began to run, in jiffies
 * @plug: T. of home, for a batch of calls.  Calls that have slept may have a
 *	pointer to it still, from when they submitted I/O, and use it.
 * @plugged: T. it has been used
 * @plug_old: T. there was something in it at the last tick
 * @plug_ahead: T. so many more batches begin with it
 * @plug_ios: T. for so many calls: that many have slept for I/O in the last one
 * @done: T. finished calls whose results nobody has fetched, oldest first
 * @waiting: T. home sleeps until @wait_left is 0, or nothing is in flight
 * @wait_left: T. so many calls have yet to finish
 * @wait_for: T. home sleeps until this one has finished
 * @timer: for the first in @deadlines
 * @deadlines: P. fibrils that have a deadline, by time
 * @task: P. whose they are
 * @ring: T. where completions go, or %NULL
 * @ring_tail: T. how many have gone there
 * @ring_mask: T. number of its entries, less one
 * @overflow: T. finished calls whose completions are not there yet
 * @chain_waits: T. a chain in flight has some, too
 * @eventfd: T. to be told of calls that have slept, or %NULL
 * @spare_chain: T. to be used for the next chain, or %NULL
 * @idle: T. fibrils to use again, with their stacks
 * @bare: T. fibrils to use again, without
 * @nr_free: T. how many these are together
 * @stacks: T. stacks to use again, linked through their second word
 * @nr_stacks: T. how many these are, with those in @idle
 * @nr: T. how many fibrils there are
 * @generation: T. count of uses, in their ids, that new ones begin with
 * @ids: T. which slots are in use
 * @user: whom the fibrils count for
 * @rcu: for those who look at a task that exits
 * @chunks: P. fibrils by slot
 */
struct fibril_task {
	struct fibril		home;
	struct fibril_state	home_state;
	bool			begun;
	struct fibril		*running;
	struct fibril		*run_first;
	struct fibril		**run_last;
	struct list_head	flight;
	bool			exiting;
	bool			defer;
	struct fibril		*zombie;
	unsigned long		switched;
	struct blk_plug		plug;
	bool			plugged;
	bool			plug_old;
	u8			plug_ahead;
	u16			plug_ios;

	struct list_head	done;
	bool			waiting;
	unsigned int		wait_left;
	struct fibril		*wait_for;

	struct hrtimer		timer;
	struct timerqueue_head	deadlines;
	struct task_struct	*task;

	/* of kernel/asys.c */
	struct asys_ring __user	*ring;
	u32			ring_tail;
	u32			ring_mask;
	struct list_head	overflow;
	bool			chain_waits;
	struct eventfd_ctx	*eventfd;
	struct asys_chain	*spare_chain;

	struct fibril		*idle;
	struct fibril		*bare;
	unsigned int		nr_free;
	void			*stacks;
	unsigned int		nr_stacks;
	unsigned int		nr;
	u32			generation;
	struct ida		ids;
	struct user_struct	*user;
	struct rcu_head		rcu;
	struct fibril		**chunks[FIBRIL_CHUNKS];
};

#define FIBRIL_TRACE	16

/**
 * struct fibril_view - what others see of a fibril
 * @used: there is a call in flight; otherwise nothing else is filled in
 * @nr: number of the call
 * @state: what it sleeps in
 * @cookie: user's name for the call
 * @since: when the call has slept first, in jiffies
 * @depth: how many addresses there are in @trace
 * @trace: where it sleeps, and where it has been called from, as far as known
 */
struct fibril_view {
	bool			used;
	u32			nr;
	unsigned int		state;
	u64			cookie;
	unsigned long		since;
	unsigned int		depth;
	unsigned long		trace[FIBRIL_TRACE];
};

extern unsigned int sysctl_fibrils_per_task;
extern unsigned int sysctl_fibrils_per_user;

int fibril_attach(void);
void asys_exit(struct fibril_task *ft);
struct fibril *__fibril_alloc(struct fibril_task *ft, gfp_t gfp);
void __fibril_free(struct fibril_task *ft, struct fibril *f);
void fibril_keep(struct fibril *f);
void __fibril_trim(struct fibril_task *ft);
void fibril_start_plug(struct fibril_task *ft, unsigned long nr);
void fibril_set_deadline(struct fibril *f, ktime_t when);
bool fibril_cancel(struct fibril *f, enum fibril_cancel how);
void fibril_end_call(struct fibril *f);
void fibril_done(struct fibril *f);
void fibril_save_home(struct fibril_task *ft);
void __fibril_finish_switch(struct fibril_task *ft);

/*
 * What a fibril runs, called by arch_fibril_call() on its stack: the layer
 * above has this.  It calls fibril_done() if there is something to do, or if
 * @f is detached, last.
 */
asmlinkage void fibril_main(struct fibril *f);

bool fibril_home_match_locked(struct task_struct *p, unsigned int state);
bool fibril_look(struct task_struct *p, u32 slot, struct fibril_view *view,
		 unsigned int depth);

/* Stacks, and fibrils without, that a task keeps when no call needs them. */
#define FIBRIL_STACKS_KEPT	256
#define FIBRILS_KEPT		1024

/* Use a fibril again that has finished without sleeping. */
static inline void fibril_renew(struct fibril *f)
{
	/* A new id: who still has the old one means another call. */
	f->id += 1U << FIBRIL_SLOT_BITS;
	f->of_call = 0;
}

/*
 * What is on the stack of @f, from the top: the registers of the call, a struct
 * fibril_top, and then what arch_fibril_init_stack() puts there.
 */
static inline struct pt_regs *fibril_regs(struct fibril *f)
{
	return (struct pt_regs *)(f->stack + THREAD_SIZE) - 1;
}

/* Of a fibril, not of home */
static inline struct fibril_top *fibril_top(struct fibril *f)
{
	return container_of(f->saved, struct fibril_top, saved);
}

/**
 * fibril_alloc() - get a fibril to run a call on
 * @ft: the task's fibrils
 * @gfp: how to get memory; 0: not at all
 *
 * Context: home. May sleep if @gfp says so.
 * Return: the fibril, ready for fibril_run() but for its functions, or
 * * -EAGAIN: the task or the user has as many as it may have
 * * -ENOMEM: out of memory
 */
static __always_inline struct fibril *fibril_alloc(struct fibril_task *ft,
						   gfp_t gfp)
{
	struct fibril *f = ft->idle;

	if (unlikely(!f))
		return __fibril_alloc(ft, gfp);
	ft->idle = f->next;
	ft->nr_free--;
	ft->nr_stacks--;
	/* What the one before has left there, and is not cleaned up. */
	kasan_unpoison_range(f->stack, THREAD_SIZE);
	f->sp = arch_fibril_first_sp(f->saved);
	fibril_renew(f);
	f->cancel = FIBRIL_GO_ON;
	f->timed_out = false;
	f->to_end = 0;
	f->ending = false;
	f->free = false;
	return f;
}

/**
 * fibril_free() - give back a fibril
 * @ft: the task's fibrils
 * @f: the fibril; it may be the one that runs, if all it does is to end
 */
static __always_inline void fibril_free(struct fibril_task *ft, struct fibril *f)
{
	if (unlikely(!f->stack)) {
		__fibril_free(ft, f);
		return;
	}
	f->free = true;
	f->next = ft->idle;
	ft->idle = f;
	ft->nr_free++;
	ft->nr_stacks++;
}

/**
 * fibril_trim() - free what a burst of calls has left behind
 * @ft: the task's fibrils
 *
 * Context: home. May sleep.
 */
static __always_inline void fibril_trim(struct fibril_task *ft)
{
	if (unlikely(ft->nr_stacks > FIBRIL_STACKS_KEPT ||
		     ft->nr_free > FIBRILS_KEPT))
		__fibril_trim(ft);
}

/* Returns that are hooked belong to the stack that they are on. */
static __always_inline void fibril_hide_hooks(struct task_struct *tsk,
					      struct fibril_state *s)
{
#ifdef CONFIG_KRETPROBES
	s->kretprobe_instances = tsk->kretprobe_instances;
	tsk->kretprobe_instances.first = NULL;
#endif
#ifdef CONFIG_RETHOOK
	s->rethooks = tsk->rethooks;
	tsk->rethooks.first = NULL;
#endif
}

static __always_inline void fibril_show_hooks(struct task_struct *tsk,
					      struct fibril_state *s)
{
#ifdef CONFIG_KRETPROBES
	tsk->kretprobe_instances = s->kretprobe_instances;
#endif
#ifdef CONFIG_RETHOOK
	tsk->rethooks = s->rethooks;
#endif
}

/**
 * fibril_begin() - begin to start fibrils, in a system call of home
 * @ft: the task's fibrils
 *
 * What was saved of home before is out of date: it has been in user mode.
 */
static inline void fibril_begin(struct fibril_task *ft)
{
	ft->begun = false;
}

/* Have what can run do so before home returns to user mode. */
static inline void fibril_ask(struct fibril_task *ft)
{
	if (READ_ONCE(ft->run_first))
		set_thread_flag(TIF_FIBRIL);
}

/* After a switch, before anything else */
static __always_inline void fibril_finish_switch(struct fibril_task *ft)
{
	if (unlikely(ft->zombie))
		__fibril_finish_switch(ft);
}

/* A plug gets no more requests at a time than these: BLK_MAX_REQUEST_COUNT */
#define FIBRIL_PLUG_IOS		32

/**
 * fibril_refill_plug() - have the plug get requests in one go again
 * @ft: the task's fibrils
 * @nr: how many more calls may need one
 *
 * What fibril_start_plug() has asked for is for so many requests only; after
 * that, each would be allocated by itself.
 *
 * Context: home, with the plug
 */
static __always_inline void fibril_refill_plug(struct fibril_task *ft,
					       unsigned long nr)
{
#ifdef CONFIG_BLOCK
	ft->plug.nr_ios = min(nr, FIBRIL_PLUG_IOS);
#endif
}

/*
 * TIF_FIBRIL is set: has the context that runs kept others, or the requests in the
 * plug, waiting for a tick?
 */
static __always_inline bool fibrils_want_turn(struct fibril_task *ft)
{
	return time_after(jiffies, ft->switched) || READ_ONCE(ft->plug_old);
}

/**
 * fibril_run() - run a fibril until it sleeps or has finished
 * @ft: the task's fibrils
 * @f: the fibril, with its function set
 *
 * Context: home, after fibril_begin(), with nothing on its mind that
 * FIBRIL_STATE is about, other than a plug.
 * Return: %true if @f has finished.  Otherwise it goes on by itself, and calls
 * its finish function in the end; the caller may touch it until it sleeps.
 */
static __always_inline bool fibril_run(struct fibril_task *ft, struct fibril *f)
{
	struct task_struct *tsk = current;
	struct thread_info *ti = current_thread_info();

	/*
	 * What home gets back if @f sleeps.  It is the same for all fibrils of
	 * a batch, unless home sleeps in between.
	 */
	if (unlikely(!ft->begun))
		fibril_save_home(ft);
	fibril_hide_hooks(tsk, &ft->home_state);

	WRITE_ONCE(ft->running, f);
	tsk->fibril_stack = (unsigned long)f->stack;
	WRITE_ONCE(ti->fibril, f->id);

	if (likely(!arch_fibril_call(&ft->home.sp, &f->sp, f))) {
		WRITE_ONCE(ti->fibril, FIBRIL_HOME);
		tsk->fibril_stack = 0;
		WRITE_ONCE(ft->running, &ft->home);
		fibril_show_hooks(tsk, &ft->home_state);
		return true;
	}
	/* As at the end of fibril_switch(): we come from arch_fibril_switch(). */
	fibril_finish_switch(ft);
	local_irq_enable();
	preempt_check_resched();
	return false;
}

#endif /* _KERNEL_FIBRIL_INTERNAL_H */
