/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM asys

#if !defined(_TRACE_ASYS_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_ASYS_H

#include <linux/tracepoint.h>

/**
 * asys_sleep - a submitted call sleeps for the first time
 * @nr: number of the call
 * @cookie: user's name for it
 *
 * Its submitter goes on.  Calls that do not sleep are seen by sys_enter and
 * sys_exit only.
 */
TRACE_EVENT(asys_sleep,

	TP_PROTO(u32 nr, u64 cookie),

	TP_ARGS(nr, cookie),

	TP_STRUCT__entry(
		__field(u64,	cookie)
		__field(u32,	nr)
	),

	TP_fast_assign(
		__entry->cookie	= cookie;
		__entry->nr	= nr;
	),

	TP_printk("nr=%u cookie=%#llx", __entry->nr, __entry->cookie)
);

/**
 * asys_complete - a submitted call that has slept has finished
 * @nr: number of the call
 * @cookie: user's name for it
 * @result: what user mode gets
 */
TRACE_EVENT(asys_complete,

	TP_PROTO(u32 nr, u64 cookie, s64 result),

	TP_ARGS(nr, cookie, result),

	TP_STRUCT__entry(
		__field(u64,	cookie)
		__field(s64,	result)
		__field(u32,	nr)
	),

	TP_fast_assign(
		__entry->cookie	= cookie;
		__entry->result	= result;
		__entry->nr	= nr;
	),

	TP_printk("nr=%u cookie=%#llx result=%lld", __entry->nr,
		  __entry->cookie, __entry->result)
);

/**
 * asys_cancel - a submitted call that sleeps is told to end
 * @nr: number of the call
 * @cookie: user's name for it
 * @woken: whether it was woken for this, or has to be done with something first
 */
TRACE_EVENT(asys_cancel,

	TP_PROTO(u32 nr, u64 cookie, bool woken),

	TP_ARGS(nr, cookie, woken),

	TP_STRUCT__entry(
		__field(u64,	cookie)
		__field(u32,	nr)
		__field(bool,	woken)
	),

	TP_fast_assign(
		__entry->cookie	= cookie;
		__entry->nr	= nr;
		__entry->woken	= woken;
	),

	TP_printk("nr=%u cookie=%#llx woken=%d", __entry->nr, __entry->cookie,
		  __entry->woken)
);

#endif /* _TRACE_ASYS_H */

/* This part must be outside protection */
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE asys
#include <trace/define_trace.h>
