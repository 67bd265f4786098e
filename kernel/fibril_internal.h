/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fibrils: what kernel/fibril.c offers to the layer that runs calls on them.
 */
#ifndef _KERNEL_FIBRIL_INTERNAL_H
#define _KERNEL_FIBRIL_INTERNAL_H

#include <linux/fibril.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/mm_types_task.h>
#include <linux/restart_block.h>
#include <linux/sched.h>
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
 * @node: P. in the run queue; T. in a list of idle or finished ones
 * @flight: P. in the list of those that are detached and not finished
 * @sp: T. stack pointer while parked
 * @stack: T. lowest address of the stack
 * @saved: T. the task's state while parked
 * @base_cred: T. credentials the call runs with, a reference
 * @works: T. work to run before the call counts as finished
 * @rcuwait: T. what it is about to sleep on, for wakers that have seen it there
 * @fn: T. what to run
 * @finish: T. what to call, on the fibril, when a detached @fn has returned
 * @cookie: user's name for the call
 * @result: what the call returned
 * @nr: number of the call
 * @flags: ASYS_F_* of the call
 * @since: when the call was submitted, in jiffies
 *
 * The last ones belong to the layer above, kernel/asys.c.
 */
struct fibril {
	u32			id;
	unsigned int		state;
	bool			queued;
	u8			cancel;
	bool			dead;
	bool			detached;
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
	u32			flags;
	unsigned long		since;

	struct fibril_state	saved;
};

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
 * @nr_done: T. how many
 * @wait_done: T. home sleeps until @nr_done is at least this; 0: it does not
 * @wait_for: T. home sleeps until this one has finished
 * @idle: T. fibrils to use again
 * @stacks: T. stacks to use again, linked through their first word
 * @nr_stacks: T. how many
 * @nr: T. how many fibrils there are
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
	unsigned int		nr_done;
	unsigned int		wait_done;
	struct fibril		*wait_for;

	struct list_head	idle;
	void			*stacks;
	unsigned int		nr_stacks;
	unsigned int		nr;
	struct ida		ids;
	struct user_struct	*user;
	struct rcu_head		rcu;
	struct fibril		**chunks[FIBRIL_CHUNKS];
};

extern unsigned int sysctl_fibrils_per_task;
extern unsigned int sysctl_fibrils_per_user;

int fibril_attach(void);
struct fibril *fibril_alloc(void);
void fibril_free(struct fibril *f);
void fibril_begin(void);
bool fibril_run(struct fibril *f);
void fibril_trim(void);
bool fibril_cancel(struct fibril *f, enum fibril_cancel how);
asmlinkage void fibril_main(struct fibril *f);
bool fibril_home_match_locked(struct task_struct *p, unsigned int state);
unsigned long fibril_wchan(struct task_struct *p, struct fibril *f);

static inline struct pt_regs *fibril_regs(struct fibril *f)
{
	return (struct pt_regs *)(f->stack + THREAD_SIZE) - 1;
}

#endif /* _KERNEL_FIBRIL_INTERNAL_H */
