/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The kernel ABI of zcp: file-to-socket transfers as kernel objects.
 */
#ifndef _UAPI_LINUX_ZCP_H
#define _UAPI_LINUX_ZCP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: The zcp ioctl interface
 *
 * ``open("/dev/zcp")`` makes a *context*. A context owns *links* (one linked
 * TCP socket each) and *jobs* (an ordered list of segments that goes to one
 * link, in FIFO order). Every accepted job yields exactly one final event,
 * which read(2) on the context returns and poll(2) announces. close(2) of the
 * last descriptor of a context cancels and frees everything it owns.
 *
 * The interface is extensible without version numbers:
 *
 * - Every command has its own number and takes one structure, whose first
 *   member @size is set by the caller to the size it was compiled with.
 * - A structure may grow at its end. A kernel that knows less than the caller
 *   accepts the longer structure when the tail it does not know is zero; a
 *   kernel that knows more takes the missing tail as zero.
 * - Flag bits that are not defined and reserved members that are not zero are
 *   refused, so both can get a meaning later. ZCP_IOC_INFO tells what this
 *   kernel knows.
 * - All members have fixed widths and the same layout for 32-bit callers.
 *   User pointers travel in ``__aligned_u64`` members.
 * - A structure is read once, and the outputs are written to it on success
 *   and, where a command says so, on refusal too.
 *
 * Each errno has one meaning. Commands name only what is theirs alone:
 *
 * =============  ==========================================================
 * ENOTTY         the command does not exist
 * E2BIG          @size is larger than this kernel's structure and the tail
 *                is not zero, or larger than a page
 * EINVAL         @size is too small, or a member has a value that can never
 *                be right: a range that overflows, an unknown segment type,
 *                more segments, jobs or inline bytes than ZCP_IOC_INFO says
 *                one request may have, a source that is neither a regular
 *                file nor a directory
 * EOPNOTSUPP     an undefined flag, a non-zero reserved member, or a value
 *                that is well formed but not supported here: a socket that
 *                is not plain TCP, a file system without a page cache, or
 *                mode zerocopy on a path that would copy
 * EFAULT         a pointer leads to memory that is not the caller's
 * ENOENT         no such link or job in this context
 * EBADF          a descriptor is not open, or is an O_PATH descriptor
 * ENOTSOCK       the target is not a socket
 * EACCES         the source is not open for reading
 * EISDIR         the source is a directory
 * ENOTCONN       the socket is listening, or not connected
 * EBUSY          the socket is linked already, in this context or another
 * ESHUTDOWN      the link can send no more: its connection has ended
 * EAGAIN         a limit was reached (the reply says which), or a
 *                non-blocking call has nothing to return yet
 * ENODATA        the file ends before an exact-length range does
 * ENOMEM         no memory, or over the memory limit of the caller's cgroup
 * EINTR          a signal arrived before anything was done
 * =============  ==========================================================
 *
 * Errors *of a job* (its @error in an event or status) are those above, those
 * of the file system (EIO …) and those of the connection: EPIPE, ECONNRESET,
 * ETIMEDOUT, EHOSTUNREACH …; ECANCELED for a job that was cancelled. They are
 * positive numbers. No zcp call ever raises SIGPIPE.
 */

#define ZCP_IOC_TYPE	(0xF7)

enum {
	ZCP_CMD_BASE = 0x40,
	ZCP_CMD_INFO = ZCP_CMD_BASE,
	ZCP_CMD_LINK = 0x41,
	ZCP_CMD_UNLINK = 0x42,
	ZCP_CMD_SUBMIT = 0x43,
	ZCP_CMD_CANCEL = 0x44,
	ZCP_CMD_STATUS = 0x45,
	ZCP_CMD_XFER = 0x46,
};

/**
 * enum zcp_mode - How the bytes of a file may travel
 * @ZCP_MODE_AUTO: By reference where the path takes it; what is copied is
 *	accounted with its reason.
 * @ZCP_MODE_ZEROCOPY: By reference, or fail with EOPNOTSUPP. Inline segments
 *	are copies by nature and are allowed.
 * @ZCP_MODE_COPY: Copy into the socket buffer: the receiver gets the bytes
 *	the file had when they were sent, whatever happens to it later.
 */
enum zcp_mode {
	ZCP_MODE_AUTO = 0,
	ZCP_MODE_ZEROCOPY = 1,
	ZCP_MODE_COPY = 2,
};

/**
 * enum zcp_complete - The stage that ends a job
 * @ZCP_COMPLETE_ACKED: The peer's TCP has acknowledged every byte. The file
 *	may be changed, truncated or deleted.
 * @ZCP_COMPLETE_SENT: Every byte is in the socket's send queue. The pages of
 *	the file may still be sent, and sent again.
 */
enum zcp_complete {
	ZCP_COMPLETE_ACKED = 0,
	ZCP_COMPLETE_SENT = 1,
};

/**
 * enum zcp_state - Where a job is in its life
 * @ZCP_STATE_QUEUED: Accepted, waiting for its turn on the link.
 * @ZCP_STATE_RUNNING: Being pushed into the socket.
 * @ZCP_STATE_BLOCKED: Waiting for room in the socket's send queue, for its rate,
 *	or under a limit of bytes in flight.
 * @ZCP_STATE_SENT: All bytes are in the send queue, not all acknowledged.
 * @ZCP_STATE_DONE: Ended at the stage that was asked for. Final.
 * @ZCP_STATE_FAILED: Ended by an error. Final.
 * @ZCP_STATE_CANCELLED: Ended by ZCP_IOC_CANCEL, ZCP_IOC_UNLINK or by an
 *	earlier job of its link that ended part way. Final.
 */
enum zcp_state {
	ZCP_STATE_QUEUED = 1,
	ZCP_STATE_RUNNING = 2,
	ZCP_STATE_BLOCKED = 3,
	ZCP_STATE_SENT = 4,
	ZCP_STATE_DONE = 5,
	ZCP_STATE_FAILED = 6,
	ZCP_STATE_CANCELLED = 7,
};

/**
 * enum zcp_reason - Why bytes were copied
 * @ZCP_REASON_NONE: They were not.
 * @ZCP_REASON_ASKED: The job's mode is %ZCP_MODE_COPY.
 * @ZCP_REASON_INLINE: Bytes of an inline segment.
 * @ZCP_REASON_SMALL: Below the size at which a copy is the cheaper way.
 * @ZCP_REASON_NO_SG: The egress device has no scatter/gather.
 * @ZCP_REASON_NO_CSUM: The egress device cannot checksum this protocol.
 * @ZCP_REASON_FS: The file system handed out a copy, not its page cache. The
 *	zeros of a hole are nobody's copy.
 * @ZCP_REASON_IPSEC: The route encrypts.
 * @ZCP_REASON_NO_ROUTE: The socket has no cached route, so what the device
 *	will do is not known; counted as copied.
 */
enum zcp_reason {
	ZCP_REASON_NONE = 0,
	ZCP_REASON_ASKED = 1,
	ZCP_REASON_INLINE = 2,
	ZCP_REASON_SMALL = 3,
	ZCP_REASON_NO_SG = 4,
	ZCP_REASON_NO_CSUM = 5,
	ZCP_REASON_FS = 6,
	ZCP_REASON_IPSEC = 7,
	ZCP_REASON_NO_ROUTE = 8,
};

#define ZCP_REASON_COUNT	9
/* Room for reasons to come in zcp_status.copied. */
#define ZCP_REASON_MAX		16

/**
 * enum zcp_limit - Which limit refused a request with EAGAIN
 * @ZCP_LIMIT_NONE: None did.
 * @ZCP_LIMIT_LINKS: Links of this context.
 * @ZCP_LIMIT_JOBS: Jobs of this context, those with unread events included.
 * @ZCP_LIMIT_USER_LINKS: Links of this user in all contexts.
 * @ZCP_LIMIT_USER_JOBS: Jobs of this user in all contexts.
 * @ZCP_LIMIT_INLINE: Inline bytes this context holds.
 */
enum zcp_limit {
	ZCP_LIMIT_NONE = 0,
	ZCP_LIMIT_LINKS = 1,
	ZCP_LIMIT_JOBS = 2,
	ZCP_LIMIT_USER_LINKS = 3,
	ZCP_LIMIT_USER_JOBS = 4,
	ZCP_LIMIT_INLINE = 5,
};

/*
 * Optional abilities, reported in zcp_info.features.
 * ZCP_FEATURE_NOCACHE: jobs take %ZCP_JOB_NOCACHE.
 * ZCP_FEATURE_RATE: jobs take a rate.
 * ZCP_FEATURE_HEADER: ZCP_IOC_XFER takes a header.
 * ZCP_FEATURE_SUBMIT_EVENTS: ZCP_IOC_SUBMIT also reads events.
 */
#define ZCP_FEATURE_NOCACHE	(1ULL << 0)
#define ZCP_FEATURE_RATE	(1ULL << 1)
#define ZCP_FEATURE_HEADER	(1ULL << 2)
#define ZCP_FEATURE_SUBMIT_EVENTS	(1ULL << 3)

/**
 * struct zcp_info - ioctl(ZCP_IOC_INFO): what this kernel can do
 * @size: sizeof(struct zcp_info).
 * @flags: Must be 0.
 * @features: Out: optional abilities (ZCP_FEATURE_*).
 * @modes: Out: bit ``1 << ZCP_MODE_x`` is set for each mode.
 * @reasons: Out: bit ``1 << ZCP_REASON_x`` for each reason it can report.
 * @link_flags: Out: the flags ZCP_IOC_LINK takes.
 * @submit_flags: Out: the flags ZCP_IOC_SUBMIT takes.
 * @job_flags: Out: the flags of a job.
 * @segment_flags: Out: the flags of a segment.
 * @cancel_flags: Out: the flags ZCP_IOC_CANCEL takes.
 * @status_flags: Out: the flags ZCP_IOC_STATUS takes.
 * @xfer_flags: Out: the flags ZCP_IOC_XFER takes.
 * @event_size: Out: bytes of one event record.
 * @max_links: Out: links a context may have.
 * @max_jobs: Out: jobs a context may have, those with unread events included.
 * @max_user_links: Out: links one user may have.
 * @max_user_jobs: Out: jobs one user may have.
 * @max_segments: Out: segments a job may have.
 * @max_batch: Out: jobs one ZCP_IOC_SUBMIT takes.
 * @max_inline: Out: inline bytes a job may have.
 * @small_bytes: Out: file ranges shorter than this are copied in mode auto.
 * @quota_bytes: Out: bytes a link may push while others wait for their turn; a job of
 *	up to five times as many, and no more than 2 MiB, is not divided.
 * @__reserved: 0.
 * @max_inline_total: Out: inline bytes a context may hold.
 * @max_inflight: Out: bytes of its jobs that a context may have sent and not
 *	acknowledged. At this limit jobs wait; none is refused. A link may have
 *	64 KiB in any case, so that a peer that stalls does not stop the others.
 * @max_user_inflight: Out: the same for one user.
 */
struct zcp_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__u32 modes;
	__u32 reasons;
	__u32 link_flags;
	__u32 submit_flags;
	__u32 job_flags;
	__u32 segment_flags;
	__u32 cancel_flags;
	__u32 status_flags;
	__u32 xfer_flags;
	__u32 event_size;
	__u32 max_links;
	__u32 max_jobs;
	__u32 max_user_links;
	__u32 max_user_jobs;
	__u32 max_segments;
	__u32 max_batch;
	__u32 max_inline;
	__u32 small_bytes;
	__u32 quota_bytes;
	__u32 __reserved;
	__aligned_u64 max_inline_total;
	__aligned_u64 max_inflight;
	__aligned_u64 max_user_inflight;
};

#define ZCP_IOC_INFO	_IO(ZCP_IOC_TYPE, ZCP_CMD_INFO)

/*
 * ZCP_LINK_CONTINUE: when a job of this link ends part way (some of its bytes
 * were sent, not all), go on with the jobs queued behind it. Without it they
 * are cancelled, so that nothing follows a broken message on the wire unless
 * it is submitted after the broken one's event has been read; what is submitted
 * before (since 0.9.2) is accepted and cancelled, too.
 */
#define ZCP_LINK_CONTINUE	(1U << 0)

/* zcp_link.path_caps: what the egress device of the socket's route can do. */
#define ZCP_PATH_SG	(1U << 0)	/* scatter/gather DMA */
#define ZCP_PATH_CSUM	(1U << 1)	/* checksum of this protocol */
#define ZCP_PATH_TSO	(1U << 2)	/* segmentation of this protocol */
#define ZCP_PATH_IPSEC	(1U << 3)	/* the route encrypts */

#define ZCP_IFNAMSIZ	16

/**
 * struct zcp_link - ioctl(ZCP_IOC_LINK): link a connected TCP socket
 * @size: sizeof(struct zcp_link).
 * @flags: ZCP_LINK_*.
 * @fd: The socket: TCP over IPv4 or IPv6, connected, without an upper layer
 *	protocol (kTLS …) on it.
 * @link: Out: the id of the link, unique in its context and never 0.
 * @path_caps: Out: ZCP_PATH_*, of the route as it is now.
 * @path_ifindex: Out: the egress device, 0 when there is no cached route.
 * @path_mode: Out: how mode auto would send now: %ZCP_MODE_ZEROCOPY or
 *	%ZCP_MODE_COPY.
 * @path_reason: Out: why it would copy (enum zcp_reason).
 * @mss: Out: current maximum segment size, in bytes.
 * @limit: Out, also with EAGAIN: the limit that was reached (enum zcp_limit).
 * @path_ifname: Out: the egress device's name, NUL-terminated.
 *
 * The link holds the socket open until ZCP_IOC_UNLINK or close(2) of the
 * context. The caller may go on reading from it, and may write to it while no
 * job is on the link. The path ends at the egress device: a device made of
 * software (veth, a tunnel, WireGuard …) reports scatter/gather and cannot
 * know what happens to the pages behind it.
 */
struct zcp_link {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 link;
	__u32 path_caps;
	__u32 path_ifindex;
	__u32 path_mode;
	__u32 path_reason;
	__u32 mss;
	__u32 limit;
	char path_ifname[ZCP_IFNAMSIZ];
};

#define ZCP_IOC_LINK	_IO(ZCP_IOC_TYPE, ZCP_CMD_LINK)

/**
 * struct zcp_unlink - ioctl(ZCP_IOC_UNLINK): end a link
 * @size: sizeof(struct zcp_unlink).
 * @flags: Must be 0.
 * @link: The link.
 * @cancelled: Out: jobs that were cancelled by this, each with its event.
 *
 * When the call has returned 0 no byte of the link's jobs enters the socket
 * any more, and zcp holds no reference to the socket.
 */
struct zcp_unlink {
	__u32 size;
	__u32 flags;
	__u32 link;
	__u32 cancelled;
};

#define ZCP_IOC_UNLINK	_IO(ZCP_IOC_TYPE, ZCP_CMD_UNLINK)

/**
 * enum zcp_segment_type - What a segment is made of
 * @ZCP_SEGMENT_FILE: A range of a file.
 * @ZCP_SEGMENT_INLINE: Bytes from memory, copied when the job is submitted.
 */
enum zcp_segment_type {
	ZCP_SEGMENT_FILE = 1,
	ZCP_SEGMENT_INLINE = 2,
};

/*
 * ZCP_SEGMENT_TO_EOF: the range ends where the file ends when the job gets
 * there; @len must be 0.
 */
#define ZCP_SEGMENT_TO_EOF	(1U << 0)

/**
 * struct zcp_segment - A piece of a job
 * @type: enum zcp_segment_type.
 * @flags: ZCP_SEGMENT_*; must be 0 for an inline segment.
 * @fd: The file: regular, open for reading. Must be -1 for an inline segment.
 *	It may be closed when the job has been submitted.
 * @__reserved: Must be 0.
 * @addr: The file offset in bytes; for an inline segment the user address.
 * @len: Bytes, 0 and more. @addr + @len must not exceed 2^63 - 1 for a file.
 */
struct zcp_segment {
	__u32 type;
	__u32 flags;
	__s32 fd;
	__u32 __reserved;
	__aligned_u64 addr;
	__aligned_u64 len;
};

/*
 * ZCP_JOB_NOCACHE: leave the page cache as it was found. Pages that this job
 * caused to be read are dropped when the peer has acknowledged them, unless
 * they are dirty, mapped, or in use by somebody else; pages that were there
 * before stay, and are not marked as used. The event of such a job may come up
 * to 100 ms after the last acknowledgment, while packets still hold pages.
 * EOPNOTSUPP with %ZCP_COMPLETE_SENT, and for files whose reads are not plain
 * page-cache reads (overlayfs, FUSE, NFS, encrypted …).
 */
#define ZCP_JOB_NOCACHE		(1U << 0)

/**
 * struct zcp_job - One job of a batch
 * @size: sizeof(struct zcp_job), or up to @id for a job without a rate.
 * @flags: ZCP_JOB_*.
 * @link: The link to send to.
 * @mode: enum zcp_mode.
 * @complete: enum zcp_complete.
 * @nr_segments: Number of segments, at least 1.
 * @segments: User address of an array of struct zcp_segment.
 * @user_data: Given back in the event and the status.
 * @id: Out: the job's id, unique while the module is loaded, never 0. It is
 *	0 when the job was refused after its id had been written.
 * @rate: Bytes per second at most, up to 2^40 (more is EINVAL), 0 for as fast
 *	as possible. Counts from the job's first byte, headers included; a burst
 *	is at most 2 ms of the rate, or one page where that is more. A job that
 *	could not keep up does not catch up.
 */
struct zcp_job {
	__u32 size;
	__u32 flags;
	__u32 link;
	__u32 mode;
	__u32 complete;
	__u32 nr_segments;
	__aligned_u64 segments;
	__aligned_u64 user_data;
	__aligned_u64 id;
	__aligned_u64 rate;
};

/**
 * struct zcp_submit - ioctl(ZCP_IOC_SUBMIT): submit jobs, and read events
 * @size: sizeof(struct zcp_submit), or up to @reason without events.
 * @flags: Must be 0.
 * @jobs: User address of an array of struct zcp_job.
 * @nr_jobs: Number of jobs, at least 1, at most zcp_info.max_batch.
 * @job_size: Distance from one job to the next in the array, in bytes; the
 *	@size of each job must not exceed it.
 * @accepted: Out, also on refusal: jobs accepted. They are the first ones.
 * @error: Out, also on refusal: why the next one was refused (an errno), or 0.
 * @limit: Out, also on refusal: the limit that was reached (enum zcp_limit).
 * @reason: Out, also on refusal: with EOPNOTSUPP for mode zerocopy, why the
 *	path would copy (enum zcp_reason).
 * @events: User address of memory for events, as read(2) would give them
 *	(%ZCP_FEATURE_SUBMIT_EVENTS, since 0.9.0).
 * @events_len: Bytes there: 0 to read none, else at least zcp_info.event_size
 *	(less is EINVAL).
 * @events_read: Out, also on refusal: bytes of events that were read.
 *
 * Returns 0 when at least one job was accepted, otherwise the error of the
 * first. A job whose @id cannot be written is not accepted (EFAULT).
 * ESHUTDOWN: the connection of the link has ended.
 *
 * Events are read last, of any job of the context, without waiting: when a job
 * was accepted, or the first was refused for a limit (EAGAIN), which the jobs
 * of these events do not count towards any more. Those that cannot be written
 * to @events stay to be read, and are no error. None is read when the outputs
 * cannot be written (EFAULT), unless that memory goes while events are read:
 * those that are in @events then are gone.
 */
struct zcp_submit {
	__u32 size;
	__u32 flags;
	__aligned_u64 jobs;
	__u32 nr_jobs;
	__u32 job_size;
	__u32 accepted;
	__u32 error;
	__u32 limit;
	__u32 reason;
	__aligned_u64 events;
	__u32 events_len;
	__u32 events_read;
};

#define ZCP_IOC_SUBMIT	_IO(ZCP_IOC_TYPE, ZCP_CMD_SUBMIT)

/* ZCP_CANCEL_LINK: cancel every job of the link named in @link. */
#define ZCP_CANCEL_LINK	(1U << 0)

/**
 * struct zcp_cancel - ioctl(ZCP_IOC_CANCEL): cancel one job, or all of a link
 * @size: sizeof(struct zcp_cancel).
 * @flags: ZCP_CANCEL_*.
 * @job: The job; must be 0 with %ZCP_CANCEL_LINK.
 * @link: The link; must be 0 without %ZCP_CANCEL_LINK.
 * @cancelled: Out: 1 when this call has cancelled the job, else 0; jobs behind
 *	it that end with it are not counted. With %ZCP_CANCEL_LINK, how many jobs
 *	were cancelled by this call.
 * @state: Out: the state the job is in now; 0 with %ZCP_CANCEL_LINK.
 * @__reserved: Must be 0.
 * @bytes_sent: Out: bytes of the job that entered the socket; with
 *	%ZCP_CANCEL_LINK, of all jobs cancelled by this call.
 *
 * A queued job is cancelled for free. Of a job that runs, no byte enters the
 * socket any more when the call has returned 0; what was sent stays sent. A
 * job that waits only for its acknowledgment ends as cancelled, with all its
 * bytes sent. A job that is final already stays what it is: @cancelled is 0.
 */
struct zcp_cancel {
	__u32 size;
	__u32 flags;
	__aligned_u64 job;
	__u32 link;
	__u32 cancelled;
	__u32 state;
	__u32 __reserved;
	__aligned_u64 bytes_sent;
};

#define ZCP_IOC_CANCEL	_IO(ZCP_IOC_TYPE, ZCP_CMD_CANCEL)

/*
 * ZCP_STATUS_NEXT: report the first job of this context whose id is @job or
 * more; ENOENT ends such a walk.
 */
#define ZCP_STATUS_NEXT	(1U << 0)

/**
 * struct zcp_status - ioctl(ZCP_IOC_STATUS): where a job is
 * @size: sizeof(struct zcp_status).
 * @flags: ZCP_STATUS_*.
 * @job: In and out: the job's id.
 * @user_data: Out: as submitted.
 * @link: Out: its link.
 * @state: Out: enum zcp_state.
 * @mode: Out: as submitted.
 * @complete: Out: as submitted.
 * @error: Out: errno of a final state, else 0.
 * @copy_reason: Out: the reason for which most bytes were copied; of a job
 *	that failed because its mode is zerocopy, why it would have copied.
 * @nr_segments: Out: as submitted.
 * @segment: Out: index of the segment the job is at.
 * @position: Out: the file offset of the next byte, when that segment is a
 *	range of a file; else its next byte.
 * @bytes_total: Out: bytes the job is to send; a segment to EOF counts with
 *	the size its file had at submission until the job has passed it.
 * @bytes_sent: Out: bytes that entered the socket's send queue.
 * @bytes_acked: Out: bytes the peer has acknowledged; never too many.
 * @bytes_zerocopy: Out: bytes of @bytes_sent that went by reference.
 * @bytes_copied: Out: bytes of @bytes_sent that were copied.
 * @submit_ns: Out: CLOCK_MONOTONIC when the job was accepted.
 * @sent_ns: Out: nanoseconds from then until the last byte was sent, or 0.
 * @acked_ns: Out: nanoseconds until the last was seen acknowledged, or 0.
 * @end_ns: Out: nanoseconds until the state was final, or 0.
 * @copied: Out: the bytes of @bytes_copied by reason.
 * @rate: Out: as submitted.
 * @bytes_dropped: Out: bytes of page cache that %ZCP_JOB_NOCACHE gave back.
 * @job_flags: Out: the job's flags, as submitted.
 * @__reserved: Out: 0.
 *
 * The numbers belong together: they are of one moment, after a push into the
 * send queue and before the next. What a push that is under way has sent by
 * then is not in them. A final job can be asked for until its event has been
 * read.
 */
struct zcp_status {
	__u32 size;
	__u32 flags;
	__aligned_u64 job;
	__aligned_u64 user_data;
	__u32 link;
	__u32 state;
	__u32 mode;
	__u32 complete;
	__u32 error;
	__u32 copy_reason;
	__u32 nr_segments;
	__u32 segment;
	__aligned_u64 position;
	__aligned_u64 bytes_total;
	__aligned_u64 bytes_sent;
	__aligned_u64 bytes_acked;
	__aligned_u64 bytes_zerocopy;
	__aligned_u64 bytes_copied;
	__aligned_u64 submit_ns;
	__aligned_u64 sent_ns;
	__aligned_u64 acked_ns;
	__aligned_u64 end_ns;
	__aligned_u64 copied[ZCP_REASON_MAX];
	__aligned_u64 rate;
	__aligned_u64 bytes_dropped;
	__u32 job_flags;
	__u32 __reserved;
};

#define ZCP_IOC_STATUS	_IO(ZCP_IOC_TYPE, ZCP_CMD_STATUS)

/* ZCP_XFER_NONBLOCK: return what fits in the send queue now, or EAGAIN. */
#define ZCP_XFER_NONBLOCK	(1U << 0)
/* ZCP_XFER_MORE: more will follow; the last segment may wait for it. */
#define ZCP_XFER_MORE		(1U << 1)

/**
 * struct zcp_xfer - ioctl(ZCP_IOC_XFER): one synchronous transfer
 * @size: sizeof(struct zcp_xfer).
 * @flags: ZCP_XFER_*. A socket with O_NONBLOCK counts as %ZCP_XFER_NONBLOCK.
 * @in_fd: The file: regular, open for reading.
 * @out_fd: The socket: as for ZCP_IOC_LINK. It need not be linked.
 * @offset: In and out: file offset; advanced by @done.
 * @count: Bytes to send at most.
 * @done: Out: bytes that entered the send queue; less than @count at the end
 *	of the file, after a signal, or when non-blocking.
 * @bytes_zerocopy: Out: of these, bytes that went by reference.
 * @bytes_copied: Out: of these, bytes that were copied.
 * @mode: enum zcp_mode.
 * @copy_reason: Out, also on refusal: the reason for which most were copied,
 *	or why mode zerocopy was refused.
 * @header: Address of bytes to send before those of the file
 *	(%ZCP_FEATURE_HEADER, since 0.6.0). They are copied; @bytes_copied does
 *	not count them.
 * @header_len: Their number, at most zcp_info.max_inline; 0 for none.
 * @header_done: Out: how many of them entered the send queue. Bytes of the
 *	file follow only when that is @header_len.
 *
 * When a part of header and file was sent the call succeeds; what hindered the
 * rest is told to the next one.
 *
 * EPIPE, ECONNRESET …: the connection has ended.
 */
struct zcp_xfer {
	__u32 size;
	__u32 flags;
	__s32 in_fd;
	__s32 out_fd;
	__aligned_u64 offset;
	__aligned_u64 count;
	__aligned_u64 done;
	__aligned_u64 bytes_zerocopy;
	__aligned_u64 bytes_copied;
	__u32 mode;
	__u32 copy_reason;
	__aligned_u64 header;
	__u32 header_len;
	__u32 header_done;
};

#define ZCP_IOC_XFER	_IO(ZCP_IOC_TYPE, ZCP_CMD_XFER)

/**
 * enum zcp_event_type - What an event record says
 * @ZCP_EVENT_FINAL: A job has ended; there is no other record for it.
 */
enum zcp_event_type {
	ZCP_EVENT_FINAL = 1,
};

/**
 * struct zcp_event - A record returned by read(2)
 * @size: Bytes of this record; the next one follows at that distance.
 * @type: enum zcp_event_type.
 * @job: The job's id.
 * @user_data: As submitted.
 * @link: Its link.
 * @state: %ZCP_STATE_DONE, %ZCP_STATE_FAILED or %ZCP_STATE_CANCELLED.
 * @error: Errno, or 0.
 * @copy_reason: The reason for which most bytes were copied; of a job that
 *	failed because its mode is zerocopy, why it would have copied.
 * @segment: Index of the segment the job ended at; nr_segments when all
 *	bytes were sent.
 * @copy_reasons: Bit ``1 << ZCP_REASON_x`` for each reason that occurred.
 * @position: The file offset of the first byte of that segment that was not
 *	sent; after an error of the file system, where it happened.
 * @bytes_sent: Bytes that entered the send queue.
 * @bytes_acked: Bytes known to be acknowledged when the job ended.
 * @bytes_zerocopy: Bytes of @bytes_sent that went by reference.
 * @bytes_copied: Bytes of @bytes_sent that were copied.
 * @submit_ns: CLOCK_MONOTONIC when the job was accepted.
 * @sent_ns: Nanoseconds from then until the last byte was sent, or 0.
 * @acked_ns: Nanoseconds until the last byte was seen acknowledged, or 0.
 * @end_ns: Nanoseconds until the job ended.
 *
 * read(2) returns as many whole records as fit, in the order in which the
 * jobs ended; EINVAL when not one fits, EAGAIN when there is none and the
 * descriptor is O_NONBLOCK. When the event of a job has been read, its id is
 * gone and zcp holds no reference to its files.
 */
struct zcp_event {
	__u32 size;
	__u32 type;
	__aligned_u64 job;
	__aligned_u64 user_data;
	__u32 link;
	__u32 state;
	__u32 error;
	__u32 copy_reason;
	__u32 segment;
	__u32 copy_reasons;
	__aligned_u64 position;
	__aligned_u64 bytes_sent;
	__aligned_u64 bytes_acked;
	__aligned_u64 bytes_zerocopy;
	__aligned_u64 bytes_copied;
	__aligned_u64 submit_ns;
	__aligned_u64 sent_ns;
	__aligned_u64 acked_ns;
	__aligned_u64 end_ns;
};

#endif /* _UAPI_LINUX_ZCP_H */
