/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The monitoring interface of zcp: a generic netlink family.
 */
#ifndef _UAPI_LINUX_ZCP_NETLINK_H
#define _UAPI_LINUX_ZCP_NETLINK_H

/**
 * DOC: The zcp generic netlink family
 *
 * docs/netlink/zcp.yaml specifies it; a test compares the two. All values are
 * those of <linux/zcp.h>: states, modes, reasons, flags.
 *
 * A request sees the objects of its own network namespace: the jobs and links
 * whose sockets live there, and the contexts that were opened there. Of these,
 * a caller without CAP_NET_ADMIN over that namespace sees and cancels only what
 * its own user owns: a dump leaves the rest out, a request for one object gets
 * EPERM. The multicast group needs CAP_NET_ADMIN. Every refusal carries its
 * reason as text in the extended acknowledgment; that of a dump comes with its
 * NLMSG_DONE, or as NLMSG_ERROR.
 *
 * Notifications come in order for each job. A subscriber that reads too slowly
 * gets ENOBUFS from its socket, and later notifications again; jobs never wait
 * for it.
 *
 * Attributes may be added to any message; receivers skip what they do not know.
 */

#define ZCP_NL_FAMILY_NAME	"zcp"
#define ZCP_NL_FAMILY_VERSION	1

#define ZCP_NL_MCGRP_EVENTS	"events"

/**
 * enum zcp_nl_attr_job - Attributes of a job
 * @ZCP_NL_A_JOB_ID: u64: its id, unique while the module is loaded.
 * @ZCP_NL_A_JOB_CONTEXT: u64: the id of its context.
 * @ZCP_NL_A_JOB_LINK: u32: the id of its link in that context.
 * @ZCP_NL_A_JOB_STATE: u32: enum zcp_state.
 * @ZCP_NL_A_JOB_MODE: u32: enum zcp_mode.
 * @ZCP_NL_A_JOB_COMPLETE: u32: enum zcp_complete.
 * @ZCP_NL_A_JOB_FLAGS: u32: ZCP_JOB_*.
 * @ZCP_NL_A_JOB_ERROR: u32: errno of a final state, else 0.
 * @ZCP_NL_A_JOB_COPY_REASON: u32: the reason for which most bytes were copied.
 * @ZCP_NL_A_JOB_NR_SEGMENTS: u32: its segments.
 * @ZCP_NL_A_JOB_SEGMENT: u32: index of the segment it is at.
 * @ZCP_NL_A_JOB_POSITION: u64: offset of the next byte in that segment's file.
 * @ZCP_NL_A_JOB_BYTES_TOTAL: u64: bytes to send, as far as known.
 * @ZCP_NL_A_JOB_BYTES_SENT: u64: bytes that entered the send queue.
 * @ZCP_NL_A_JOB_BYTES_ACKED: u64: bytes that the peer has acknowledged.
 * @ZCP_NL_A_JOB_BYTES_ZEROCOPY: u64: of those sent, by reference.
 * @ZCP_NL_A_JOB_BYTES_COPIED: u64: of those sent, copied.
 * @ZCP_NL_A_JOB_BYTES_DROPPED: u64: page cache given back by %ZCP_JOB_NOCACHE.
 * @ZCP_NL_A_JOB_RATE: u64: bytes per second at most, 0 for no limit.
 * @ZCP_NL_A_JOB_SUBMIT_NS: u64: CLOCK_MONOTONIC when it was accepted.
 * @ZCP_NL_A_JOB_SENT_NS: u64: from then until all was sent, or 0.
 * @ZCP_NL_A_JOB_ACKED_NS: u64: until all was seen acknowledged, or 0.
 * @ZCP_NL_A_JOB_END_NS: u64: until it ended, or 0.
 * @ZCP_NL_A_JOB_UID: u32: who opened its context, in the reader's user
 *	namespace; in events in the one that owns the network namespace.
 * @ZCP_NL_A_JOB_PID: u32: the process that opened its context, in the
 *	reader's pid namespace, 0 when it is not in there. In events as the
 *	initial namespace counts.
 * @ZCP_NL_A_JOB_COMM: string: that process's name when it opened the context.
 * @ZCP_NL_A_JOB_FILE: string: the path of the file of its current segment, or
 *	of its first that has one; the name alone in events; absent when it has
 *	none, or none any more: its event has been read, which may be before
 *	%ZCP_NL_CMD_JOB_DONE_NTF is sent.
 * @ZCP_NL_A_JOB_COPIED: nest, once for each reason that occurred: enum
 *	zcp_nl_attr_copied.
 * @ZCP_NL_A_JOB_PAD: nothing.
 *
 * Since: 0.3
 */
enum zcp_nl_attr_job {
	ZCP_NL_A_JOB_UNSPEC,
	ZCP_NL_A_JOB_ID,
	ZCP_NL_A_JOB_CONTEXT,
	ZCP_NL_A_JOB_LINK,
	ZCP_NL_A_JOB_STATE,
	ZCP_NL_A_JOB_MODE,
	ZCP_NL_A_JOB_COMPLETE,
	ZCP_NL_A_JOB_FLAGS,
	ZCP_NL_A_JOB_ERROR,
	ZCP_NL_A_JOB_COPY_REASON,
	ZCP_NL_A_JOB_NR_SEGMENTS,
	ZCP_NL_A_JOB_SEGMENT,
	ZCP_NL_A_JOB_POSITION,
	ZCP_NL_A_JOB_BYTES_TOTAL,
	ZCP_NL_A_JOB_BYTES_SENT,
	ZCP_NL_A_JOB_BYTES_ACKED,
	ZCP_NL_A_JOB_BYTES_ZEROCOPY,
	ZCP_NL_A_JOB_BYTES_COPIED,
	ZCP_NL_A_JOB_BYTES_DROPPED,
	ZCP_NL_A_JOB_RATE,
	ZCP_NL_A_JOB_SUBMIT_NS,
	ZCP_NL_A_JOB_SENT_NS,
	ZCP_NL_A_JOB_ACKED_NS,
	ZCP_NL_A_JOB_END_NS,
	ZCP_NL_A_JOB_UID,
	ZCP_NL_A_JOB_PID,
	ZCP_NL_A_JOB_COMM,
	ZCP_NL_A_JOB_FILE,
	ZCP_NL_A_JOB_COPIED,
	ZCP_NL_A_JOB_PAD,

	__ZCP_NL_A_JOB_MAX,
	ZCP_NL_A_JOB_MAX = (__ZCP_NL_A_JOB_MAX - 1)
};

/**
 * enum zcp_nl_attr_copied - Attributes of %ZCP_NL_A_JOB_COPIED and
 * %ZCP_NL_A_STATS_COPIED
 * @ZCP_NL_A_COPIED_REASON: u32: enum zcp_reason.
 * @ZCP_NL_A_COPIED_BYTES: u64: bytes that were copied for it.
 * @ZCP_NL_A_COPIED_PAD: nothing.
 *
 * Since: 0.3
 */
enum zcp_nl_attr_copied {
	ZCP_NL_A_COPIED_UNSPEC,
	ZCP_NL_A_COPIED_REASON,
	ZCP_NL_A_COPIED_BYTES,
	ZCP_NL_A_COPIED_PAD,

	__ZCP_NL_A_COPIED_MAX,
	ZCP_NL_A_COPIED_MAX = (__ZCP_NL_A_COPIED_MAX - 1)
};

/**
 * enum zcp_nl_attr_link - Attributes of a link
 * @ZCP_NL_A_LINK_ID: u32: its id in its context.
 * @ZCP_NL_A_LINK_CONTEXT: u64: the id of its context.
 * @ZCP_NL_A_LINK_FLAGS: u32: ZCP_LINK_*.
 * @ZCP_NL_A_LINK_FAMILY: u32: AF_INET or AF_INET6.
 * @ZCP_NL_A_LINK_LOCAL_ADDR: binary: 4 or 16 bytes in network order.
 * @ZCP_NL_A_LINK_LOCAL_PORT: u16, in network order.
 * @ZCP_NL_A_LINK_PEER_ADDR: binary: 4 or 16 bytes in network order.
 * @ZCP_NL_A_LINK_PEER_PORT: u16, in network order.
 * @ZCP_NL_A_LINK_IFINDEX: u32: the egress device, 0 without a cached route.
 * @ZCP_NL_A_LINK_IFNAME: string: its name.
 * @ZCP_NL_A_LINK_PATH_CAPS: u32: ZCP_PATH_*.
 * @ZCP_NL_A_LINK_PATH_MODE: u32: how mode auto would send now.
 * @ZCP_NL_A_LINK_PATH_REASON: u32: why it would copy.
 * @ZCP_NL_A_LINK_MSS: u32: current maximum segment size, in bytes.
 * @ZCP_NL_A_LINK_RTT: u32: TCP's smoothed round trip time, in µs.
 * @ZCP_NL_A_LINK_RTT_VAR: u32: its mean deviation, in µs.
 * @ZCP_NL_A_LINK_CWND: u32: congestion window, in segments.
 * @ZCP_NL_A_LINK_RETRANS: u32: segments that were sent again, in all.
 * @ZCP_NL_A_LINK_QUEUE: u32: bytes in the send queue, unacknowledged included.
 * @ZCP_NL_A_LINK_NOTSENT: u32: of these, bytes that were never sent.
 * @ZCP_NL_A_LINK_INFLIGHT: u64: bytes of its jobs that are not acknowledged.
 * @ZCP_NL_A_LINK_NR_JOBS: u32: its jobs that have not ended.
 * @ZCP_NL_A_LINK_PAD: nothing.
 *
 * Since: 0.3
 */
enum zcp_nl_attr_link {
	ZCP_NL_A_LINK_UNSPEC,
	ZCP_NL_A_LINK_ID,
	ZCP_NL_A_LINK_CONTEXT,
	ZCP_NL_A_LINK_FLAGS,
	ZCP_NL_A_LINK_FAMILY,
	ZCP_NL_A_LINK_LOCAL_ADDR,
	ZCP_NL_A_LINK_LOCAL_PORT,
	ZCP_NL_A_LINK_PEER_ADDR,
	ZCP_NL_A_LINK_PEER_PORT,
	ZCP_NL_A_LINK_IFINDEX,
	ZCP_NL_A_LINK_IFNAME,
	ZCP_NL_A_LINK_PATH_CAPS,
	ZCP_NL_A_LINK_PATH_MODE,
	ZCP_NL_A_LINK_PATH_REASON,
	ZCP_NL_A_LINK_MSS,
	ZCP_NL_A_LINK_RTT,
	ZCP_NL_A_LINK_RTT_VAR,
	ZCP_NL_A_LINK_CWND,
	ZCP_NL_A_LINK_RETRANS,
	ZCP_NL_A_LINK_QUEUE,
	ZCP_NL_A_LINK_NOTSENT,
	ZCP_NL_A_LINK_INFLIGHT,
	ZCP_NL_A_LINK_NR_JOBS,
	ZCP_NL_A_LINK_PAD,

	__ZCP_NL_A_LINK_MAX,
	ZCP_NL_A_LINK_MAX = (__ZCP_NL_A_LINK_MAX - 1)
};

/**
 * enum zcp_nl_attr_context - Attributes of a context
 * @ZCP_NL_A_CONTEXT_ID: u64: unique while the module is loaded.
 * @ZCP_NL_A_CONTEXT_UID: u32: who opened it, in the reader's user namespace.
 * @ZCP_NL_A_CONTEXT_PID: u32: the process that opened it, in the reader's pid
 *	namespace, 0 when it is not in there.
 * @ZCP_NL_A_CONTEXT_COMM: string: that process's name then.
 * @ZCP_NL_A_CONTEXT_NR_LINKS: u32: its links.
 * @ZCP_NL_A_CONTEXT_NR_JOBS: u32: its jobs, those with unread events included.
 * @ZCP_NL_A_CONTEXT_NR_EVENTS: u32: events that wait to be read.
 * @ZCP_NL_A_CONTEXT_INFLIGHT: u64: bytes of its jobs not acknowledged.
 * @ZCP_NL_A_CONTEXT_INLINE_BYTES: u64: inline bytes it holds.
 * @ZCP_NL_A_CONTEXT_PAD: nothing.
 *
 * Since: 0.3
 */
enum zcp_nl_attr_context {
	ZCP_NL_A_CONTEXT_UNSPEC,
	ZCP_NL_A_CONTEXT_ID,
	ZCP_NL_A_CONTEXT_UID,
	ZCP_NL_A_CONTEXT_PID,
	ZCP_NL_A_CONTEXT_COMM,
	ZCP_NL_A_CONTEXT_NR_LINKS,
	ZCP_NL_A_CONTEXT_NR_JOBS,
	ZCP_NL_A_CONTEXT_NR_EVENTS,
	ZCP_NL_A_CONTEXT_INFLIGHT,
	ZCP_NL_A_CONTEXT_INLINE_BYTES,
	ZCP_NL_A_CONTEXT_PAD,

	__ZCP_NL_A_CONTEXT_MAX,
	ZCP_NL_A_CONTEXT_MAX = (__ZCP_NL_A_CONTEXT_MAX - 1)
};

/**
 * enum zcp_nl_attr_stats - Attributes of the statistics of a network namespace
 * @ZCP_NL_A_STATS_JOBS_SUBMITTED: u64: jobs accepted since the module was
 *	loaded or the namespace made.
 * @ZCP_NL_A_STATS_JOBS_DONE: u64: jobs that ended as done.
 * @ZCP_NL_A_STATS_JOBS_FAILED: u64: jobs that failed.
 * @ZCP_NL_A_STATS_JOBS_CANCELLED: u64: jobs that were cancelled.
 * @ZCP_NL_A_STATS_XFERS: u64: calls of ZCP_IOC_XFER that moved bytes.
 * @ZCP_NL_A_STATS_BYTES_SENT: u64: bytes of jobs, ended or not, and xfers.
 * @ZCP_NL_A_STATS_BYTES_ZEROCOPY: u64: of these, by reference.
 * @ZCP_NL_A_STATS_BYTES_COPIED: u64: of these, copied.
 * @ZCP_NL_A_STATS_COPIED: nest, once for each reason there is: enum
 *	zcp_nl_attr_copied.
 * @ZCP_NL_A_STATS_CONTEXTS: u32: contexts that are open.
 * @ZCP_NL_A_STATS_LINKS: u32: links there are.
 * @ZCP_NL_A_STATS_JOBS_ACTIVE: u32: jobs that have not ended.
 * @ZCP_NL_A_STATS_INFLIGHT: u64: bytes of jobs that are not acknowledged.
 * @ZCP_NL_A_STATS_MEMORY: u64: bytes of memory of contexts, links and jobs, of
 *	inline bytes too; of all namespaces.
 * @ZCP_NL_A_STATS_WORKERS: u32: workers that take a turn now, in all
 *	namespaces.
 * @ZCP_NL_A_STATS_EVENTS_LOST: u64: notifications for which there was no
 *	memory, or no room at a subscriber that has the socket option
 *	NETLINK_BROADCAST_ERROR set. Others learn it by ENOBUFS alone.
 * @ZCP_NL_A_STATS_PAD: nothing.
 *
 * Since: 0.3
 */
enum zcp_nl_attr_stats {
	ZCP_NL_A_STATS_UNSPEC,
	ZCP_NL_A_STATS_JOBS_SUBMITTED,
	ZCP_NL_A_STATS_JOBS_DONE,
	ZCP_NL_A_STATS_JOBS_FAILED,
	ZCP_NL_A_STATS_JOBS_CANCELLED,
	ZCP_NL_A_STATS_XFERS,
	ZCP_NL_A_STATS_BYTES_SENT,
	ZCP_NL_A_STATS_BYTES_ZEROCOPY,
	ZCP_NL_A_STATS_BYTES_COPIED,
	ZCP_NL_A_STATS_COPIED,
	ZCP_NL_A_STATS_CONTEXTS,
	ZCP_NL_A_STATS_LINKS,
	ZCP_NL_A_STATS_JOBS_ACTIVE,
	ZCP_NL_A_STATS_INFLIGHT,
	ZCP_NL_A_STATS_MEMORY,
	ZCP_NL_A_STATS_WORKERS,
	ZCP_NL_A_STATS_EVENTS_LOST,
	ZCP_NL_A_STATS_PAD,

	__ZCP_NL_A_STATS_MAX,
	ZCP_NL_A_STATS_MAX = (__ZCP_NL_A_STATS_MAX - 1)
};

/**
 * enum zcp_nl_cmd - Requests and notifications
 * @ZCP_NL_CMD_JOB_GET: Do: the job with %ZCP_NL_A_JOB_ID. Dump: jobs, the
 *	oldest first; with %ZCP_NL_A_JOB_CONTEXT, %ZCP_NL_A_JOB_LINK (needs the
 *	context), %ZCP_NL_A_JOB_STATE or %ZCP_NL_A_JOB_UID only those that have
 *	all of these values. Ended jobs are listed until their event is read.
 * @ZCP_NL_CMD_LINK_GET: Do: the link with %ZCP_NL_A_LINK_CONTEXT and
 *	%ZCP_NL_A_LINK_ID. Dump: links; with %ZCP_NL_A_LINK_CONTEXT those of one
 *	context.
 * @ZCP_NL_CMD_CONTEXT_GET: Do: the context with %ZCP_NL_A_CONTEXT_ID; since
 *	0.9.2 EBUSY behind another request of the same send(2). Dump: contexts.
 * @ZCP_NL_CMD_STATS_GET: Do: the statistics of the namespace; for everybody;
 *	EBUSY as for contexts.
 * @ZCP_NL_CMD_JOB_CANCEL: Do: cancel the job with %ZCP_NL_A_JOB_ID, as
 *	ZCP_IOC_CANCEL does. The reply has its id, state and bytes sent. The first
 *	request for a job, if it is the first of its send(2) (since 0.9.2), waits
 *	a tenth of a second at most for a worker that is held up by a disk: when
 *	the state is not final, the job ends as soon as that worker comes back.
 * @ZCP_NL_CMD_JOB_NEW_NTF: A job was accepted.
 * @ZCP_NL_CMD_JOB_PROGRESS_NTF: A job has sent bytes; at most once in the
 *	interval of the module's parameter progress_ms for each job.
 * @ZCP_NL_CMD_JOB_STAGE_NTF: A job has begun to run, or all its bytes are
 *	sent; its state says which. Not the latter for a job that ends by it.
 * @ZCP_NL_CMD_JOB_DONE_NTF: A job has ended.
 *
 * Since: 0.3
 */
enum zcp_nl_cmd {
	ZCP_NL_CMD_UNSPEC,
	ZCP_NL_CMD_JOB_GET,
	ZCP_NL_CMD_LINK_GET,
	ZCP_NL_CMD_CONTEXT_GET,
	ZCP_NL_CMD_STATS_GET,
	ZCP_NL_CMD_JOB_CANCEL,
	ZCP_NL_CMD_JOB_NEW_NTF,
	ZCP_NL_CMD_JOB_PROGRESS_NTF,
	ZCP_NL_CMD_JOB_STAGE_NTF,
	ZCP_NL_CMD_JOB_DONE_NTF,

	__ZCP_NL_CMD_MAX,
	ZCP_NL_CMD_MAX = (__ZCP_NL_CMD_MAX - 1)
};

#endif /* _UAPI_LINUX_ZCP_NETLINK_H */
