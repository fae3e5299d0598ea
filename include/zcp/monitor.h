/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libzcp: see and cancel the jobs of other processes.
 */
#ifndef ZCP_MONITOR_H
#define ZCP_MONITOR_H

#include <zcp/zcp.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * DOC: Monitoring
 *
 * A *monitor* asks the kernel about the jobs, links and contexts of all
 * processes in the network namespace it was opened in, and cancels jobs. It
 * needs no access to /dev/zcp. Without CAP_NET_ADMIN in that namespace it sees
 * what its own user has opened: lists leave out the rest, and a job that is
 * named gives -EPERM.
 *
 * Lists come as a *snapshot*, which is taken in one call and looked at item by
 * item. Events (a job was accepted, made progress, ended …) are for those who
 * subscribe, which needs CAP_NET_ADMIN; zcp_monitor_read() returns one after
 * the other and never waits, and zcp_monitor_fd() is the descriptor to wait on.
 * What a reader does not fetch in time waits in the socket's buffer, and is lost
 * when that is full; then an event of type %ZCP_MONITOR_OVERRUN says so.
 *
 * A monitor ends with the module: when that is unloaded, zcp_monitor_read() and
 * requests give -ENODEV from then on, also when it is loaded again. Close the
 * monitor then, and open another one.
 *
 * Results, structures and errno are as in <zcp/zcp.h>. After a failure
 * zcp_monitor_error() has a sentence about it, mostly the kernel's own. Strings
 * in structures belong to what they came from: those of a snapshot are valid
 * until it is freed, those of zcp_monitor_job() and zcp_monitor_read() until the
 * next call of the same function with the same monitor. Structures are filled
 * as far as the caller's @size goes; what this kernel does not tell is 0.
 *
 * Threads: one at a time may use a monitor. Snapshots may be read by any number.
 */

struct zcp_monitor;
struct zcp_snapshot;

/**
 * struct zcp_monitor_opts - How to open a monitor
 * @size: sizeof(struct zcp_monitor_opts).
 * @flags: Must be 0.
 * @buffer_bytes: Memory for events that wait to be read, in bytes, up to
 *	2^30; 0 for 1 MiB. The kernel may allow less (net.core.rmem_max).
 *
 * Since: 0.3
 */
struct zcp_monitor_opts {
	size_t size;
	uint32_t flags;
	uint32_t buffer_bytes;
};

/**
 * zcp_monitor_open() - Open a monitor of this network namespace
 * @monitor: Out: the monitor; NULL on failure.
 * @opts: Options, or NULL.
 *
 * Return: 0, or -ENOENT when the kernel has no such family because the module
 * is not loaded or older than 0.3, -EOPNOTSUPP for a flag that is not defined,
 * -EINVAL for @buffer_bytes, -ENOMEM, -EMFILE or what else socket(2) says.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_open(struct zcp_monitor **monitor, const struct zcp_monitor_opts *opts);

/**
 * zcp_monitor_close() - Close a monitor
 * @monitor: The monitor, or NULL. Snapshots taken from it stay valid.
 *
 * Since: 0.3
 */
ZCP_API void zcp_monitor_close(struct zcp_monitor *monitor);

/**
 * zcp_monitor_error() - What the last failure of a monitor was about
 * @monitor: The monitor.
 *
 * Return: A sentence without a full stop, valid until the next call with this
 * monitor; empty when the last call did not fail.
 * Since: 0.3
 */
ZCP_API const char *zcp_monitor_error(const struct zcp_monitor *monitor);

/**
 * struct zcp_job_info - A job
 * @size: In: sizeof(struct zcp_job_info).
 * @job: Its id, unique while the module is loaded.
 * @context: The id of its context.
 * @link: The id of its link in that context.
 * @state: enum zcp_state.
 * @mode: enum zcp_mode.
 * @complete: enum zcp_complete.
 * @flags: ZCP_JOB_*.
 * @error: Errno of a final state, a positive number, else 0.
 * @copy_reason: The reason for which most bytes were copied.
 * @nr_segments: Its segments.
 * @segment: Index of the segment it is at.
 * @uid: The user who opened its context.
 * @pid: The process that opened its context; 0 when this pid namespace has no
 *	number for it. In events it is the number of the initial namespace.
 * @position: File offset of the next byte, in that segment.
 * @bytes_total: Bytes to send, as far as known.
 * @bytes_sent: Bytes that entered the send queue.
 * @bytes_acked: Bytes the peer has acknowledged; never too many.
 * @bytes_zerocopy: Bytes of @bytes_sent that went by reference.
 * @bytes_copied: Bytes of @bytes_sent that were copied.
 * @bytes_dropped: Bytes of page cache that %ZCP_JOB_NOCACHE gave back.
 * @rate: Bytes per second at most, 0 for no limit.
 * @submit_ns: CLOCK_MONOTONIC when it was accepted, in nanoseconds.
 * @sent_ns: Nanoseconds from then until the last byte was sent, or 0.
 * @acked_ns: Nanoseconds until the last was seen acknowledged, or 0.
 * @end_ns: Nanoseconds until it ended, or 0.
 * @copied: The bytes of @bytes_copied by enum zcp_reason.
 * @comm: The name that process had then, or NULL.
 * @file: The path of the file it is at, or NULL when it has none; in events
 *	the name alone.
 *
 * Since: 0.3
 */
struct zcp_job_info {
	size_t size;
	uint64_t job;
	uint64_t context;
	uint32_t link;
	uint32_t state;
	uint32_t mode;
	uint32_t complete;
	uint32_t flags;
	uint32_t error;
	uint32_t copy_reason;
	uint32_t nr_segments;
	uint32_t segment;
	uint32_t uid;
	uint32_t pid;
	uint32_t reserved;
	uint64_t position;
	uint64_t bytes_total;
	uint64_t bytes_sent;
	uint64_t bytes_acked;
	uint64_t bytes_zerocopy;
	uint64_t bytes_copied;
	uint64_t bytes_dropped;
	uint64_t rate;
	uint64_t submit_ns;
	uint64_t sent_ns;
	uint64_t acked_ns;
	uint64_t end_ns;
	uint64_t copied[ZCP_REASON_MAX];
	const char *comm;
	const char *file;
};

/**
 * struct zcp_link_info - A link
 * @size: In: sizeof(struct zcp_link_info).
 * @context: The id of its context.
 * @link: Its id in that context.
 * @flags: ZCP_LINK_*.
 * @family: AF_INET or AF_INET6.
 * @local_port: Host byte order.
 * @peer_port: Host byte order.
 * @local_addr: 4 or 16 bytes in network order, as inet_ntop(3) takes them.
 * @peer_addr: The same of the peer.
 * @ifindex: The egress device, 0 without a cached route.
 * @path_caps: ZCP_PATH_*.
 * @path_mode: How mode auto would send now.
 * @path_reason: Why it would copy.
 * @mss: Current maximum segment size, in bytes.
 * @rtt_us: TCP's smoothed round trip time, in microseconds.
 * @rtt_var_us: Its mean deviation.
 * @cwnd: Congestion window, in segments.
 * @retrans: Segments that were sent again, in all.
 * @queue_bytes: Bytes in the send queue, unacknowledged ones included.
 * @notsent_bytes: Of these, bytes that were never sent.
 * @nr_jobs: Its jobs that have not ended.
 * @inflight: Bytes of its jobs that are not acknowledged.
 * @ifname: The egress device's name, or NULL.
 *
 * Since: 0.3
 */
struct zcp_link_info {
	size_t size;
	uint64_t context;
	uint32_t link;
	uint32_t flags;
	uint32_t family;
	uint16_t local_port;
	uint16_t peer_port;
	uint8_t local_addr[16];
	uint8_t peer_addr[16];
	uint32_t ifindex;
	uint32_t path_caps;
	uint32_t path_mode;
	uint32_t path_reason;
	uint32_t mss;
	uint32_t rtt_us;
	uint32_t rtt_var_us;
	uint32_t cwnd;
	uint32_t retrans;
	uint32_t queue_bytes;
	uint32_t notsent_bytes;
	uint32_t nr_jobs;
	uint64_t inflight;
	const char *ifname;
};

/**
 * struct zcp_context_info - A context
 * @size: In: sizeof(struct zcp_context_info).
 * @context: Its id, unique while the module is loaded.
 * @uid: The user who opened it.
 * @pid: The process that opened it, 0 when this pid namespace has no number
 *	for it.
 * @nr_links: Its links.
 * @nr_jobs: Its jobs, those with unread events included.
 * @nr_events: Events that wait to be read.
 * @reserved: 0.
 * @inflight: Bytes of its jobs that are not acknowledged.
 * @inline_bytes: Inline bytes it holds.
 * @comm: The name that process had then, or NULL.
 *
 * Since: 0.3
 */
struct zcp_context_info {
	size_t size;
	uint64_t context;
	uint32_t uid;
	uint32_t pid;
	uint32_t nr_links;
	uint32_t nr_jobs;
	uint32_t nr_events;
	uint32_t reserved;
	uint64_t inflight;
	uint64_t inline_bytes;
	const char *comm;
};

/**
 * struct zcp_stats - The sums of a network namespace
 * @size: In: sizeof(struct zcp_stats).
 * @jobs_submitted: Jobs accepted since the module was loaded or the namespace
 *	was made, whichever is later.
 * @jobs_done: Jobs that ended as done.
 * @jobs_failed: Jobs that failed.
 * @jobs_cancelled: Jobs that were cancelled.
 * @xfers: Synchronous transfers that moved bytes.
 * @bytes_sent: Bytes that entered send queues.
 * @bytes_zerocopy: Of these, bytes that went by reference.
 * @bytes_copied: Of these, bytes that were copied.
 * @copied: The bytes of @bytes_copied by enum zcp_reason.
 * @contexts: Contexts that are open.
 * @links: Links there are.
 * @jobs_active: Jobs that have not ended.
 * @workers: Workers that take a turn now, in all namespaces.
 * @inflight: Bytes of jobs that are not acknowledged.
 * @memory: Bytes of memory of contexts, links and jobs, in all namespaces.
 * @events_lost: Events for which there was no memory, or no room at a subscriber
 *	that has the socket option NETLINK_BROADCAST_ERROR set. A monitor of this
 *	library has not: it learns what it has lost by %ZCP_MONITOR_OVERRUN alone.
 *
 * Since: 0.3
 */
struct zcp_stats {
	size_t size;
	uint64_t jobs_submitted;
	uint64_t jobs_done;
	uint64_t jobs_failed;
	uint64_t jobs_cancelled;
	uint64_t xfers;
	uint64_t bytes_sent;
	uint64_t bytes_zerocopy;
	uint64_t bytes_copied;
	uint64_t copied[ZCP_REASON_MAX];
	uint32_t contexts;
	uint32_t links;
	uint32_t jobs_active;
	uint32_t workers;
	uint64_t inflight;
	uint64_t memory;
	uint64_t events_lost;
};

/*
 * zcp_job_filter.fields: only jobs that have these values. ZCP_FILTER_LINK
 * needs ZCP_FILTER_CONTEXT.
 */
#define ZCP_FILTER_CONTEXT (1U << 0)
#define ZCP_FILTER_LINK (1U << 1)
#define ZCP_FILTER_STATE (1U << 2)
#define ZCP_FILTER_UID (1U << 3)

/**
 * struct zcp_job_filter - Which jobs to list
 * @size: sizeof(struct zcp_job_filter).
 * @fields: ZCP_FILTER_*: which of the following count.
 * @link: The id of a link.
 * @context: The id of a context.
 * @state: enum zcp_state.
 * @uid: A user.
 *
 * Since: 0.3
 */
struct zcp_job_filter {
	size_t size;
	uint32_t fields;
	uint32_t link;
	uint64_t context;
	uint32_t state;
	uint32_t uid;
};

/**
 * zcp_monitor_jobs() - List the jobs
 * @monitor: The monitor.
 * @filter: Which jobs, or NULL for all.
 * @snapshot: Out: the jobs, the oldest first; NULL on failure. Ended jobs are
 *	listed until their event has been read.
 *
 * Return: 0, or -errno: -ENOMEM; -EAGAIN when the jobs changed all the time
 * while they were listed.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_jobs(struct zcp_monitor *monitor, const struct zcp_job_filter *filter,
			     struct zcp_snapshot **snapshot);

/**
 * zcp_monitor_links() - List the links
 * @monitor: The monitor.
 * @context: Those of one context, or 0 for all.
 * @snapshot: Out: the links; NULL on failure.
 *
 * Return: 0, or -errno as from zcp_monitor_jobs().
 * Since: 0.3
 */
ZCP_API int zcp_monitor_links(struct zcp_monitor *monitor, uint64_t context,
			      struct zcp_snapshot **snapshot);

/**
 * zcp_monitor_contexts() - List the contexts
 * @monitor: The monitor.
 * @snapshot: Out: the contexts; NULL on failure.
 *
 * Return: 0, or -errno as from zcp_monitor_jobs().
 * Since: 0.3
 */
ZCP_API int zcp_monitor_contexts(struct zcp_monitor *monitor, struct zcp_snapshot **snapshot);

/**
 * zcp_snapshot_count() - How many items a snapshot has
 * @snapshot: The snapshot, or NULL, which has none.
 *
 * Return: The number of items.
 * Since: 0.3
 */
ZCP_API size_t zcp_snapshot_count(const struct zcp_snapshot *snapshot);

/**
 * zcp_snapshot_job() - An item of zcp_monitor_jobs()
 * @snapshot: The snapshot.
 * @index: 0 to zcp_snapshot_count() - 1.
 * @job: In: @size. Out: the rest.
 *
 * Return: 0, -ENOENT beyond the last item, -EINVAL when the snapshot is one of
 * something else, -EPROTO when the kernel's message makes no sense.
 * Since: 0.3
 */
ZCP_API int zcp_snapshot_job(const struct zcp_snapshot *snapshot, size_t index,
			     struct zcp_job_info *job);

/**
 * zcp_snapshot_link() - An item of zcp_monitor_links()
 * @snapshot: The snapshot.
 * @index: 0 to zcp_snapshot_count() - 1.
 * @link: In: @size. Out: the rest.
 *
 * Return: As zcp_snapshot_job().
 * Since: 0.3
 */
ZCP_API int zcp_snapshot_link(const struct zcp_snapshot *snapshot, size_t index,
			      struct zcp_link_info *link);

/**
 * zcp_snapshot_context() - An item of zcp_monitor_contexts()
 * @snapshot: The snapshot.
 * @index: 0 to zcp_snapshot_count() - 1.
 * @context: In: @size. Out: the rest.
 *
 * Return: As zcp_snapshot_job().
 * Since: 0.3
 */
ZCP_API int zcp_snapshot_context(const struct zcp_snapshot *snapshot, size_t index,
				 struct zcp_context_info *context);

/**
 * zcp_snapshot_free() - Free a snapshot
 * @snapshot: The snapshot, or NULL.
 *
 * Since: 0.3
 */
ZCP_API void zcp_snapshot_free(struct zcp_snapshot *snapshot);

/**
 * zcp_monitor_job() - Look at one job
 * @monitor: The monitor.
 * @id: Its id.
 * @job: In: @size. Out: the rest.
 *
 * Return: 0, -ENOENT when there is no such job in this network namespace,
 * -EPERM when it is another user's, or another -errno.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_job(struct zcp_monitor *monitor, uint64_t id, struct zcp_job_info *job);

/**
 * zcp_monitor_link() - Look at one link
 * @monitor: The monitor.
 * @context: The id of its context.
 * @id: Its id in that context.
 * @link: In: @size. Out: the rest; its strings are valid until the next call
 *	of this function.
 *
 * Return: 0, -ENOENT, -EPERM or another -errno, as zcp_monitor_job().
 * Since: 0.3
 */
ZCP_API int zcp_monitor_link(struct zcp_monitor *monitor, uint64_t context, uint32_t id,
			     struct zcp_link_info *link);

/**
 * zcp_monitor_stats() - The sums of this network namespace
 * @monitor: The monitor.
 * @stats: In: @size. Out: the rest.
 *
 * Return: 0, or -errno.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_stats(struct zcp_monitor *monitor, struct zcp_stats *stats);

/**
 * zcp_monitor_cancel() - Cancel a job
 * @monitor: The monitor.
 * @id: Its id.
 * @job: In: @size. Out: @job, @state and @bytes_sent, as they are afterwards.
 *	A job that had ended before stays what it was. May be NULL.
 *
 * When @state is not final, the job ends as soon as the worker that is stuck with
 * it comes back.
 *
 * Return: 0, -ENOENT when there is no such job in this network namespace,
 * -EPERM when it is another user's, or another -errno.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_cancel(struct zcp_monitor *monitor, uint64_t id, struct zcp_job_info *job);

/**
 * enum zcp_monitor_type - What an event of a monitor says
 * @ZCP_MONITOR_NEW: A job was accepted.
 * @ZCP_MONITOR_PROGRESS: A job has sent bytes; for each job at most once in
 *	the interval of the module's parameter progress_ms.
 * @ZCP_MONITOR_STAGE: A job has begun to run, or all its bytes are sent.
 * @ZCP_MONITOR_DONE: A job has ended.
 * @ZCP_MONITOR_OVERRUN: Events were lost, because they were not read in time.
 *	They are older or newer than those that are read next.
 *
 * Since: 0.3
 */
enum zcp_monitor_type {
	ZCP_MONITOR_NEW = 1,
	ZCP_MONITOR_PROGRESS = 2,
	ZCP_MONITOR_STAGE = 3,
	ZCP_MONITOR_DONE = 4,
	ZCP_MONITOR_OVERRUN = 5,
};

/**
 * struct zcp_monitor_event - An event
 * @size: In: sizeof(struct zcp_monitor_event).
 * @type: enum zcp_monitor_type.
 * @reserved: 0.
 * @time_ns: CLOCK_REALTIME when it was read, in nanoseconds since the epoch.
 * @overruns: How often events were lost since zcp_monitor_subscribe(). Each
 *	time it was one event or more.
 *
 * Since: 0.3
 */
struct zcp_monitor_event {
	size_t size;
	uint32_t type;
	uint32_t reserved;
	uint64_t time_ns;
	uint64_t overruns;
};

/**
 * zcp_monitor_subscribe() - Have events collected from now on
 * @monitor: The monitor.
 *
 * Return: 0, -EPERM without CAP_NET_ADMIN in this network namespace, -EALREADY
 * when it has subscribed before, or another -errno.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_subscribe(struct zcp_monitor *monitor);

/**
 * zcp_monitor_fd() - The descriptor of the events, for poll(2) and epoll(7)
 * @monitor: The monitor.
 *
 * It is readable when events have arrived; then call zcp_monitor_read() until
 * that returns 0. It belongs to the monitor: do not read from it nor close it.
 *
 * Return: The descriptor, or -EINVAL before zcp_monitor_subscribe().
 * Since: 0.3
 */
ZCP_API int zcp_monitor_fd(const struct zcp_monitor *monitor);

/**
 * zcp_monitor_read() - Read the next event, without waiting for one
 * @monitor: The monitor.
 * @event: In: @size. Out: the rest.
 * @job: In: @size. Out: the job it is about; cleared for an overrun.
 *
 * Return: 1 when there was one, 0 when there is none yet, -EINVAL before
 * zcp_monitor_subscribe(), -ENODEV when the module was unloaded and all events
 * before that have been read, or another -errno.
 * Since: 0.3
 */
ZCP_API int zcp_monitor_read(struct zcp_monitor *monitor, struct zcp_monitor_event *event,
			     struct zcp_job_info *job);

/**
 * zcp_monitor_type_name() - The name of a type of event
 * @type: enum zcp_monitor_type.
 *
 * Return: "new", "progress", "stage", "done", "overrun", or "unknown".
 * Since: 0.3
 */
ZCP_API const char *zcp_monitor_type_name(uint32_t type);

#ifdef __cplusplus
}
#endif

#endif /* ZCP_MONITOR_H */
