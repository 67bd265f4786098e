/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fibrils: how a sleeper says which context of its task it is.
 */
#ifndef _LINUX_FIBRIL_TYPES_H
#define _LINUX_FIBRIL_TYPES_H

#include <linux/thread_info.h>
#include <linux/types.h>

/*
 * A context is one stack of a task: home, the one that came from user mode,
 * or a fibril.  Waiters record the id of the context that sleeps, next to the
 * task.  An id, unlike a pointer, cannot dangle: one that is out of date
 * names nobody.
 */
#define FIBRIL_ANY	0U	/* not known: every context that matches */
#define FIBRIL_HOME	1U	/* others are fibrils */
#define FIBRIL_KICK	(~0U)	/* nobody: run what was made runnable before */

#ifdef CONFIG_FIBRILS
/* The context that runs now; FIBRIL_ANY in a task that has no fibrils. */
#define fibril_self_id()	(current_thread_info()->fibril)
#define FIBRIL_REF(i)		((fibril_ref_t){ .id = (i) })
/* For headers that linux/fibril.h needs; others: !in_fibril() */
#define fibril_is_home()	(fibril_self_id() <= FIBRIL_HOME)
#else
#define FIBRIL_REF(i)		((fibril_ref_t){ })
#define fibril_is_home()	true
#endif

/* Do the two say the same, each next to the same task? */
static __always_inline bool fibril_is(fibril_ref_t a, fibril_ref_t b)
{
#ifdef CONFIG_FIBRILS
	return a.id == b.id;
#else
	return true;
#endif
}

/* What a sleeper records next to current, or next to any @tsk. */
#define fibril_self()		FIBRIL_REF(fibril_self_id())
#define fibril_self_of(tsk)	FIBRIL_REF((tsk) == current ? fibril_self_id() : FIBRIL_ANY)

#endif /* _LINUX_FIBRIL_TYPES_H */
