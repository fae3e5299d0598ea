/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM zcp

#if !defined(ZCP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ZCP_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(zcp_submit,
	TP_PROTO(u64 job, u32 link, u32 segments, u64 bytes, u32 mode),
	TP_ARGS(job, link, segments, bytes, mode),
	TP_STRUCT__entry(
		__field(u64, job)
		__field(u64, bytes)
		__field(u32, link)
		__field(u32, segments)
		__field(u32, mode)
	),
	TP_fast_assign(
		__entry->job = job;
		__entry->bytes = bytes;
		__entry->link = link;
		__entry->segments = segments;
		__entry->mode = mode;
	),
	TP_printk("job=%llu link=%u segments=%u bytes=%llu mode=%u",
		  __entry->job, __entry->link, __entry->segments,
		  __entry->bytes, __entry->mode)
);

TRACE_EVENT(zcp_push,
	TP_PROTO(u64 job, u64 offered, s64 result, u32 reason),
	TP_ARGS(job, offered, result, reason),
	TP_STRUCT__entry(
		__field(u64, job)
		__field(u64, offered)
		__field(s64, result)
		__field(u32, reason)
	),
	TP_fast_assign(
		__entry->job = job;
		__entry->offered = offered;
		__entry->result = result;
		__entry->reason = reason;
	),
	TP_printk("job=%llu offered=%llu result=%lld reason=%u",
		  __entry->job, __entry->offered, __entry->result,
		  __entry->reason)
);

TRACE_EVENT(zcp_block,
	TP_PROTO(u64 job, u32 link, u64 sent),
	TP_ARGS(job, link, sent),
	TP_STRUCT__entry(
		__field(u64, job)
		__field(u64, sent)
		__field(u32, link)
	),
	TP_fast_assign(
		__entry->job = job;
		__entry->sent = sent;
		__entry->link = link;
	),
	TP_printk("job=%llu link=%u sent=%llu",
		  __entry->job, __entry->link, __entry->sent)
);

TRACE_EVENT(zcp_wake,
	TP_PROTO(u32 link, u32 events),
	TP_ARGS(link, events),
	TP_STRUCT__entry(
		__field(u32, link)
		__field(u32, events)
	),
	TP_fast_assign(
		__entry->link = link;
		__entry->events = events;
	),
	TP_printk("link=%u events=%#x", __entry->link, __entry->events)
);

TRACE_EVENT(zcp_ack,
	TP_PROTO(u64 job, u32 link, u64 bytes),
	TP_ARGS(job, link, bytes),
	TP_STRUCT__entry(
		__field(u64, job)
		__field(u64, bytes)
		__field(u32, link)
	),
	TP_fast_assign(
		__entry->job = job;
		__entry->bytes = bytes;
		__entry->link = link;
	),
	TP_printk("job=%llu link=%u bytes=%llu",
		  __entry->job, __entry->link, __entry->bytes)
);

TRACE_EVENT(zcp_done,
	TP_PROTO(u64 job, u32 link, u32 state, int error, u64 sent, u64 acked),
	TP_ARGS(job, link, state, error, sent, acked),
	TP_STRUCT__entry(
		__field(u64, job)
		__field(u64, sent)
		__field(u64, acked)
		__field(u32, link)
		__field(u32, state)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->job = job;
		__entry->sent = sent;
		__entry->acked = acked;
		__entry->link = link;
		__entry->state = state;
		__entry->error = error;
	),
	TP_printk("job=%llu link=%u state=%u error=%d sent=%llu acked=%llu",
		  __entry->job, __entry->link, __entry->state, __entry->error,
		  __entry->sent, __entry->acked)
);

#endif /* ZCP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
