/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fibrils: what kernel/fibril.c offers to the layer that runs calls on them.
 */
#ifndef _KERNEL_FIBRIL_INTERNAL_H
#define _KERNEL_FIBRIL_INTERNAL_H

#include <linux/fibril.h>
#include <linux/hrtimer.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mm_types_task.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
#include <linux/timerqueue.h>
#include <asm/fibril.h>

/*
 * Members of task_struct that describe a context and not the task.  They are
 * saved and restored at each switch.  kernel/fibril_state.txt lists every
 * member of task_struct with the reason for what is done with it.
 */
#define FIBRIL_STATE_COMMON(X)	\
	X(cred)			\
	X(nameidata)		\
	X(journal_info)		\
	X(bio_list)		\
	X(plug)			\
	X(reclaim_state)	\
	X(splice_pipe)		\
	X(task_frag)		\
	X(pagefault_disabled)	\
	X(faults_disabled_mapping) \
	X(bpf_net_context)	\
	X(restart_block)

#ifdef CONFIG_COMPACTION
#define FIBRIL_STATE_COMPACTION(X)	X(capture_control)
#else
#define FIBRIL_STATE_COMPACTION(X)
#endif
#ifdef CONFIG_MEMCG
#define FIBRIL_STATE_MEMCG(X)		X(active_memcg)
#else
#define FIBRIL_STATE_MEMCG(X)
#endif
#ifdef CONFIG_MEMCG_V1
#define FIBRIL_STATE_MEMCG_V1(X)	X(memcg_in_oom)
#else
#define FIBRIL_STATE_MEMCG_V1(X)
#endif
#ifdef CONFIG_MEM_ALLOC_PROFILING
#define FIBRIL_STATE_ALLOC_TAG(X)	X(alloc_tag)
#else
#define FIBRIL_STATE_ALLOC_TAG(X)
#endif
#ifdef CONFIG_BPF_SYSCALL
#define FIBRIL_STATE_BPF(X)		X(bpf_ctx)
#else
#define FIBRIL_STATE_BPF(X)
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
#define FIBRIL_STATE_NOTIFIERS(X)	X(preempt_notifiers)
#else
#define FIBRIL_STATE_NOTIFIERS(X)
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
#define FIBRIL_STATE_KASAN(X)		X(kasan_depth)
#else
#define FIBRIL_STATE_KASAN(X)
#endif

#define FIBRIL_STATE(X)		\
	FIBRIL_STATE_COMMON(X)	\
	FIBRIL_STATE_COMPACTION(X) \
	FIBRIL_STATE_MEMCG(X)	\
	FIBRIL_STATE_MEMCG_V1(X) \
	FIBRIL_STATE_ALLOC_TAG(X) \
	FIBRIL_STATE_BPF(X)	\
	FIBRIL_STATE_KRETPROBES(X) \
	FIBRIL_STATE_RETHOOK(X)	\
	FIBRIL_STATE_NOTIFIERS(X) \
	FIBRIL_STATE_MUTEXES(X)	\
	FIBRIL_STATE_SLEEP(X)	\
	FIBRIL_STATE_KASAN(X)

/* Bit-fields, which have no typeof(). */
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

#define FIBRIL_BITS(X)		\
	X(in_execve)		\
	X(in_iowait)		\
	FIBRIL_BITS_MEMCG_V1(X)	\
	FIBRIL_BITS_LRU_GEN(X)	\
	FIBRIL_BITS_PAGE_OWNER(X) \
	FIBRIL_BITS_DELAY_ACCT(X)

/* Bits of task_struct::flags that belong to a context. */
#define PF_FIBRIL	(PF_MEMALLOC | PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO | \
			 PF_MEMALLOC_PIN | PF_LOCAL_THROTTLE | PF_BLOCK_TS | \
			 PF_NO_NOTIFY_SIGNAL)

struct fibril_state {
#define X(member)	typeof_member(struct task_struct, member) member;
	FIBRIL_STATE(X)
#undef X
#define X(member)	unsigned int member:1;
	FIBRIL_BITS(X)
#undef X
	unsigned int		flags;
	struct arch_fibril_state arch;
#ifdef CONFIG_LOCKDEP
	u64			curr_chain_key;
	int			lockdep_depth;
	struct held_lock	held_locks[MAX_LOCK_DEPTH];
#endif
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
 * @ending: T. takes no more @works, and is not cancelled any more
 * @node: P. in the run queue; T. in a list of idle or finished ones
 * @flight: P. in the list of those that are detached and not finished
 * @sp: T. stack pointer while parked
 * @stack: T. lowest address of the stack
 * @saved: T. the task's state while parked
 * @base_cred: T. credentials the call runs with, a reference
 * @works: T. work to run before the call counts as finished
 * @rcuwait: T. what it is about to sleep on, for wakers that have seen it there
 * @timed_out: P. cancelled because its @deadline has passed
 * @deadline: P. in the queue of those that have one
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
	bool			queued;
	u8			cancel;
	bool			timed_out;
	bool			dead;
	bool			detached;
	bool			ending;
	struct list_head	node;
	struct list_head	flight;
	unsigned long		sp;
	void			*stack;
	const struct cred	*base_cred;
	struct callback_head	*works;
	const struct rcuwait	*rcuwait;
	void			(*fn)(struct fibril *f);
	void			(*finish)(struct fibril *f);

	struct timerqueue_node	deadline;

	u64			cookie;
	s64			result;
	u32			nr;
	unsigned long		since;
	struct asys_chain	*chain;
	struct asys_batch	*batch;

	struct fibril_state	saved;
};

/* An id is a slot, and above it a count of the uses of the slot. */
#define FIBRIL_SLOT_BITS	17
#define FIBRIL_SLOT_MASK	((1U << FIBRIL_SLOT_BITS) - 1)

#define FIBRIL_CHUNK	512
#define FIBRIL_CHUNKS	256
#define FIBRIL_MAX	(FIBRIL_CHUNK * FIBRIL_CHUNKS)

/**
 * struct fibril_task - the contexts of one task
 * @home: the context that came from user mode
 * @begun: T. @home has been saved in this batch, and has not slept since
 * @running: P. the one that runs; NULL while all are parked.  Home and a
 *	fibril that has not slept yet take turns without the lock.
 * @runq: P. contexts that can run, in order
 * @flight: P. fibrils that have slept and have not finished
 * @exiting: P. all are cancelled
 * @zombie: T. has finished, but the stack is still in use
 * @switched: T. when @running began to run, in jiffies
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
 * @idle: T. fibrils to use again
 * @nr_idle: T. how many
 * @stacks: T. stacks to use again, linked through their first word
 * @nr_stacks: T. how many
 * @nr: T. how many fibrils there are
 * @generation: T. count of uses, in their ids, that new ones begin with
 * @ids: T. which slots are in use
 * @user: whom the fibrils count for
 * @rcu: for those who look at a task that exits
 * @chunks: P. fibrils by slot
 */
struct fibril_task {
	struct fibril		home;
	bool			begun;
	struct fibril		*running;
	struct list_head	runq;
	struct list_head	flight;
	bool			exiting;
	struct fibril		*zombie;
	unsigned long		switched;

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

	struct list_head	idle;
	unsigned int		nr_idle;
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
struct fibril *fibril_alloc(gfp_t gfp);
void fibril_free(struct fibril *f);
void fibril_keep(struct fibril *f);
void fibril_trim(void);
void fibril_set_deadline(struct fibril *f, ktime_t when);
bool fibril_cancel(struct fibril *f, enum fibril_cancel how);
void fibril_run_works(struct fibril *f);
void fibril_done(struct fibril *f);
void fibril_save_home(struct fibril_task *ft);
void fibril_switched(struct fibril_task *ft);

/*
 * What a fibril runs, called by arch_fibril_call() on its stack: the layer
 * above has this.  It calls fibril_done() if there is something to do, or if
 * @f is detached, last.
 */
asmlinkage void fibril_main(struct fibril *f);

bool fibril_home_match_locked(struct task_struct *p, unsigned int state);
bool fibril_look(struct task_struct *p, u32 slot, struct fibril_view *view,
		 unsigned int depth);

/* Use a fibril again that has finished without sleeping. */
static inline void fibril_renew(struct fibril *f)
{
	/* A new id: who still has the old one means another call. */
	f->id += 1U << FIBRIL_SLOT_BITS;
}

static inline struct pt_regs *fibril_regs(struct fibril *f)
{
	return (struct pt_regs *)(f->stack + THREAD_SIZE) - 1;
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
	fibril_hide_hooks(tsk, &ft->home.saved);

	WRITE_ONCE(ft->running, f);
	tsk->fibril_stack = (unsigned long)f->stack;
	WRITE_ONCE(ti->fibril, f->id);

	if (likely(!arch_fibril_call(&ft->home.sp, &f->sp, f))) {
		WRITE_ONCE(ti->fibril, FIBRIL_HOME);
		tsk->fibril_stack = 0;
		WRITE_ONCE(ft->running, &ft->home);
		fibril_show_hooks(tsk, &ft->home.saved);
		return true;
	}
	fibril_switched(ft);
	return false;
}

#endif /* _KERNEL_FIBRIL_INTERNAL_H */
