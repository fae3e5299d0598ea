/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libzcp: file-to-socket transfers by the kernel.
 */
#ifndef ZCP_ZCP_H
#define ZCP_ZCP_H

#include <stddef.h>
#include <stdint.h>

#include <linux/zcp.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ZCP_API __attribute__((visibility("default")))
#else
#define ZCP_API
#endif

/**
 * DOC: libzcp
 *
 * A program opens a *context*, links connected TCP sockets to it and submits
 * *jobs*: file ranges with bytes before, between and after them. Each accepted
 * job yields exactly one event, in which it says what became of every byte.
 * zcp_send_file() does all of that for one file.
 *
 * Results: functions that return int return 0 or a positive number on success
 * and a negative errno on failure; errno itself is left alone. What each errno
 * means is written once, in <linux/zcp.h>; the comments here name only what is
 * particular to a function. A NULL context or a NULL pointer where none is
 * allowed gives -EINVAL.
 *
 * Structures: those of <linux/zcp.h> go to the kernel as they are. The caller
 * sets their first member, @size, to the sizeof() it was compiled with, and
 * clears what it does not use. Structures defined here start with a size_t
 * @size and follow the same rule: one that is longer than this library knows
 * is accepted while its tail is zero, else the call returns -E2BIG; one that
 * is shorter is taken with a tail of zeros. A NULL pointer to options means
 * the defaults.
 *
 * Threads: the library has no global state. Functions may be called at the
 * same time by any threads, on the same context too, except zcp_ctx_close().
 *
 * Lifetime: a context is a file descriptor. Closing it, exec (it is
 * close-on-exec) and the end of the process cancel the jobs it owns.
 */

struct zcp_ctx;

/* A length: up to where the file ends when the transfer gets there. */
#define ZCP_TO_EOF UINT64_MAX

/**
 * zcp_version() - The version of the library
 *
 * Return: A string such as "0.1.0", valid for ever.
 * Since: 0.1
 */
ZCP_API const char *zcp_version(void);

/**
 * struct zcp_ctx_opts - How to open a context
 * @size: sizeof(struct zcp_ctx_opts).
 * @path: The device; NULL for "/dev/zcp".
 * @flags: Must be 0.
 * @reserved: Must be 0.
 *
 * Since: 0.1
 */
struct zcp_ctx_opts {
	size_t size;
	const char *path;
	uint32_t flags;
	uint32_t reserved;
};

/**
 * zcp_ctx_open() - Open a context
 * @ctx: Out: the context; NULL on failure.
 * @opts: Options, or NULL.
 *
 * Return: 0, or -ENOENT when the module is not loaded, -EACCES when this user
 * may not use the device, -ENOTTY when the path is not zcp's, -EOPNOTSUPP for
 * a flag that is not defined, -ENOMEM, -EMFILE or what else open(2) says.
 * Since: 0.1
 */
ZCP_API int zcp_ctx_open(struct zcp_ctx **ctx, const struct zcp_ctx_opts *opts);

/**
 * zcp_ctx_close() - Cancel what the context owns and free it
 * @ctx: The context, or NULL. No thread may be using it, nor use it again.
 *
 * Since: 0.1
 */
ZCP_API void zcp_ctx_close(struct zcp_ctx *ctx);

/**
 * zcp_ctx_fd() - The descriptor of a context, for poll(2) and epoll(7)
 * @ctx: The context.
 *
 * It is readable while an event waits to be read. It belongs to the context:
 * do not close it. It is non-blocking; zcp_event_read() does the waiting.
 *
 * Return: The descriptor.
 * Since: 0.1
 */
ZCP_API int zcp_ctx_fd(const struct zcp_ctx *ctx);

/**
 * zcp_ctx_info() - What this kernel's zcp can do, and its limits
 * @ctx: The context.
 * @info: In: @size. Out: the rest.
 *
 * Return: 0, or -errno.
 * Since: 0.1
 */
ZCP_API int zcp_ctx_info(const struct zcp_ctx *ctx, struct zcp_info *info);

/**
 * zcp_link_add() - Link a connected TCP socket
 * @ctx: The context.
 * @sock: The socket. It stays the caller's, who may close it any time; the
 *	link keeps the connection open until it is removed.
 * @flags: ZCP_LINK_*, or 0.
 * @link: In: @size; zcp_link_add() sets @fd and @flags. Out: the id of the
 *	link and what the socket's route can do. With -EAGAIN: @limit.
 *
 * Return: 0, or -errno.
 * Since: 0.1
 */
ZCP_API int zcp_link_add(struct zcp_ctx *ctx, int sock, uint32_t flags, struct zcp_link *link);

/**
 * zcp_link_remove() - End a link and cancel its jobs
 * @ctx: The context.
 * @link: The id of the link.
 * @cancelled: Out: jobs cancelled by this, each of which has an event. May be
 *	NULL.
 *
 * Return: 0, or -ENOENT when there is no such link.
 * Since: 0.1
 */
ZCP_API int zcp_link_remove(struct zcp_ctx *ctx, uint32_t link, uint32_t *cancelled);

/**
 * zcp_link_cancel() - Cancel every job of a link; the link stays
 * @ctx: The context.
 * @link: The id of the link.
 * @cancelled: Out: jobs cancelled by this. May be NULL.
 * @bytes_sent: Out: bytes of these jobs that had entered the socket. May be
 *	NULL.
 *
 * Return: 0, or -ENOENT when there is no such link.
 * Since: 0.1
 */
ZCP_API int zcp_link_cancel(struct zcp_ctx *ctx, uint32_t link, uint32_t *cancelled,
			    uint64_t *bytes_sent);

/**
 * zcp_segment_file() - Make a segment of a range of a file
 * @segment: Out: the segment.
 * @fd: The file. It may be closed when the job has been submitted.
 * @offset: Where the range starts, in bytes.
 * @length: Its length in bytes, or %ZCP_TO_EOF. A file that ends before an
 *	exact length does fails the job with ENODATA.
 *
 * Since: 0.1
 */
ZCP_API void zcp_segment_file(struct zcp_segment *segment, int fd, uint64_t offset,
			      uint64_t length);

/**
 * zcp_segment_inline() - Make a segment of bytes in memory
 * @segment: Out: the segment.
 * @data: The bytes. They may be reused when the job has been submitted.
 * @length: Their number; all those of a job: at most zcp_info.max_inline.
 *
 * Since: 0.1
 */
ZCP_API void zcp_segment_inline(struct zcp_segment *segment, const void *data, size_t length);

/**
 * zcp_job_submit() - Submit jobs
 * @ctx: The context.
 * @jobs: The jobs, each with the same @size: the distance from one to the next
 *	in this array. The @id of the accepted ones is set.
 * @count: Their number, 1 to zcp_info.max_batch.
 * @reply: In: @size; the rest is set here. Out, on failure too: why and by
 *	which limit the first job that was not accepted was refused. May be
 *	NULL.
 *
 * The first of the jobs may be under way, or even have ended, when this
 * returns. It counts as a read of each file: its access time advances, and who
 * watches it is told.
 *
 * Return: The number of jobs accepted, at least 1; they are the first ones of
 * the array. -errno when none was: the reason for which the first was refused.
 * Since: 0.1
 */
ZCP_API int zcp_job_submit(struct zcp_ctx *ctx, struct zcp_job *jobs, unsigned int count,
			   struct zcp_submit *reply);

/**
 * zcp_job_submit_and_read() - Submit jobs, and read the events that are there
 * @ctx: The context.
 * @jobs: The jobs, as for zcp_job_submit().
 * @count: Their number.
 * @reply: As for zcp_job_submit().
 * @events: Out: events of any job of the context, in the order in which these
 *	ended; also of the jobs submitted, if they have by then.
 * @max: Room in @events, at least 1. No more are read than fit 8192 bytes, of the
 *	kernel's zcp_info.event_size each: 68 of this version's.
 * @nr_events: Out: their number, which may be 0, also when no job was accepted;
 *	or -EPROTO when a record cannot be understood.
 *
 * What zcp_job_submit() and zcp_event_read() without waiting do, by one system
 * call: for who has always something to submit, or waits for room below a limit.
 * Events are read when a job was accepted, or the first was refused with
 * -EAGAIN. A kernel that lacks %ZCP_FEATURE_SUBMIT_EVENTS is called twice.
 *
 * Return: As zcp_job_submit().
 * Since: 0.9.0
 */
ZCP_API int zcp_job_submit_and_read(struct zcp_ctx *ctx, struct zcp_job *jobs, unsigned int count,
				    struct zcp_submit *reply, struct zcp_event *events,
				    unsigned int max, int *nr_events);

/**
 * zcp_job_cancel() - Cancel a job
 * @ctx: The context.
 * @job: Its id.
 * @reply: In: @size; the rest is set here. Out: how far the job got. May be
 *	NULL.
 *
 * The job still yields its event.
 *
 * Return: 0, also for a job that had ended before; -ENOENT when there is no
 * such job in this context, or its event has been read.
 * Since: 0.1
 */
ZCP_API int zcp_job_cancel(struct zcp_ctx *ctx, uint64_t job, struct zcp_cancel *reply);

/**
 * zcp_job_status() - Where a job is
 * @ctx: The context.
 * @job: Its id.
 * @status: In: @size. Out: the rest.
 *
 * Return: 0, or -ENOENT when there is no such job in this context, or its
 * event has been read.
 * Since: 0.1
 */
ZCP_API int zcp_job_status(const struct zcp_ctx *ctx, uint64_t job, struct zcp_status *status);

/**
 * zcp_job_next() - Walk the jobs of a context
 * @ctx: The context.
 * @job: The lowest id to consider: 0 to begin, then the last one's id + 1.
 * @status: In: @size. Out: the job with the lowest id that is not below @job.
 *
 * Jobs that come and go during a walk may or may not be seen.
 *
 * Return: 0, or -ENOENT when there is no further job.
 * Since: 0.1
 */
ZCP_API int zcp_job_next(const struct zcp_ctx *ctx, uint64_t job, struct zcp_status *status);

/**
 * zcp_event_read() - Read events
 * @ctx: The context.
 * @events: Out: the events, in the order in which their jobs ended.
 * @max: Room in @events, at least 1.
 * @timeout_ms: How long to wait for the first one, in milliseconds; 0: not at
 *	all, negative: without limit.
 *
 * Records of a kernel that writes longer or shorter ones are translated: the
 * @size of each event says how many of its bytes the kernel knew, the rest is
 * zero. Threads may read at the same time; each event goes to one of them.
 *
 * Return: The number of events, which may be less than there are; 0 when the
 * time is over; -EINTR when a signal arrived first; -EPROTO when a record
 * cannot be understood.
 * Since: 0.1
 */
ZCP_API int zcp_event_read(struct zcp_ctx *ctx, struct zcp_event *events, unsigned int max,
			   int timeout_ms);

/**
 * zcp_transfer() - One synchronous transfer, without link and job
 * @ctx: The context.
 * @xfer: In and out: as described for struct zcp_xfer, @size included.
 *
 * A server's answer is one call: its header, and the file behind it.
 *
 * Return: 0 with @xfer->header_done bytes of the header sent and @xfer->done of
 * the file, which are 0 at its end, or while the header is not complete; -EAGAIN
 * when non-blocking and the socket is full; -EINTR when a signal arrived before
 * the first byte; -E2BIG when the kernel's module takes no header; else -errno.
 * Since: 0.1
 */
ZCP_API int zcp_transfer(struct zcp_ctx *ctx, struct zcp_xfer *xfer);

/**
 * struct zcp_send_opts - How zcp_send_file() sends
 * @size: sizeof(struct zcp_send_opts).
 * @path: The device; NULL for "/dev/zcp".
 * @header: Bytes to send before the file, or NULL.
 * @header_len: Their number; with @trailer_len at most zcp_info.max_inline.
 * @trailer: Bytes to send after the file, or NULL.
 * @trailer_len: Their number.
 * @progress: Called by zcp_send_file(), in its thread, each @interval_ms while
 *	the job goes on, and when a signal interrupts the wait. When it returns
 *	anything but 0 the job is cancelled and it is not called again. NULL
 *	for none; signals then do not end the call.
 * @arg: Given to @progress.
 * @mode: enum zcp_mode.
 * @complete: enum zcp_complete.
 * @interval_ms: In milliseconds; 0 means 200.
 * @flags: ZCP_JOB_*, or 0. Since: 0.2.0.
 * @rate: Bytes per second at most, header and trailer included; 0 for as fast
 *	as possible. Since: 0.2.0.
 *
 * The defaults are no header, no trailer, no callback, mode auto, no flags, no
 * rate, and to wait until the peer has acknowledged every byte. A kernel that
 * cannot do what @flags or @rate ask for is not given the job: -EOPNOTSUPP,
 * with the features it lacks in the result. A library that is older than these
 * two members refuses them: flags with -EOPNOTSUPP, a rate with -E2BIG.
 *
 * Since: 0.1
 */
struct zcp_send_opts {
	size_t size;
	const char *path;
	const void *header;
	size_t header_len;
	const void *trailer;
	size_t trailer_len;
	int (*progress)(const struct zcp_status *status, void *arg);
	void *arg;
	uint32_t mode;
	uint32_t complete;
	uint32_t interval_ms;
	uint32_t flags;
	uint64_t rate;
};

/**
 * enum zcp_stage - How far zcp_send_file() got
 * @ZCP_STAGE_NONE: Its arguments were refused.
 * @ZCP_STAGE_OPEN: The device could not be opened.
 * @ZCP_STAGE_LINK: The socket was refused.
 * @ZCP_STAGE_SUBMIT: The job was refused, by the kernel, or by the library for
 *	a feature that this kernel does not have.
 * @ZCP_STAGE_JOB: The job was accepted; its outcome is known unless @state is
 *	0.
 *
 * Since: 0.1
 */
enum zcp_stage {
	ZCP_STAGE_NONE = 0,
	ZCP_STAGE_OPEN = 1,
	ZCP_STAGE_LINK = 2,
	ZCP_STAGE_SUBMIT = 3,
	ZCP_STAGE_JOB = 4,
};

/**
 * struct zcp_result - What zcp_send_file() did
 * @size: In: sizeof(struct zcp_result). The rest is output.
 * @job: The id the job had, 0 when it was refused.
 * @stage: enum zcp_stage: where it ended.
 * @state: enum zcp_state, 0 when there was no job.
 * @error: Errno of the job or of the refusal, 0 when it is done.
 * @copy_reason: The reason for which most bytes were copied; when mode
 *	zerocopy was refused, why the path would copy (enum zcp_reason).
 * @copy_reasons: Bit ``1 << ZCP_REASON_x`` for each reason that occurred.
 * @limit: With EAGAIN: the limit that was reached (enum zcp_limit).
 * @bytes_sent: Bytes that entered the socket's send queue.
 * @bytes_acked: Bytes known to be acknowledged at the end.
 * @bytes_zerocopy: Bytes of @bytes_sent that went by reference.
 * @bytes_copied: Bytes of @bytes_sent that were copied.
 * @submit_ns: CLOCK_MONOTONIC when the job was accepted.
 * @sent_ns: Nanoseconds from then until the last byte was sent, or 0.
 * @acked_ns: Nanoseconds until the last was seen acknowledged, or 0.
 * @end_ns: Nanoseconds until the job ended.
 * @position: The file offset of the first byte that was not sent, when the
 *	job ended within the file.
 * @path_caps: ZCP_PATH_* of the route when the transfer began.
 * @path_ifindex: The egress device, 0 when there was no cached route.
 * @path_mode: How mode auto would have sent.
 * @path_reason: Why it would have copied (enum zcp_reason).
 * @mss: Maximum segment size then, in bytes.
 * @reserved: 0.
 * @path_ifname: The egress device's name.
 * @bytes_dropped: With %ZCP_JOB_NOCACHE: bytes of page cache that had been
 *	given back when the job ended. Since: 0.2.0.
 * @missing: With EOPNOTSUPP: the ZCP_FEATURE_* that the options need and this
 *	kernel does not have. Since: 0.2.0.
 *
 * Since: 0.1
 */
struct zcp_result {
	size_t size;
	uint64_t job;
	uint32_t stage;
	uint32_t state;
	uint32_t error;
	uint32_t copy_reason;
	uint32_t copy_reasons;
	uint32_t limit;
	uint64_t bytes_sent;
	uint64_t bytes_acked;
	uint64_t bytes_zerocopy;
	uint64_t bytes_copied;
	uint64_t submit_ns;
	uint64_t sent_ns;
	uint64_t acked_ns;
	uint64_t end_ns;
	uint64_t position;
	uint32_t path_caps;
	uint32_t path_ifindex;
	uint32_t path_mode;
	uint32_t path_reason;
	uint32_t mss;
	uint32_t reserved;
	char path_ifname[ZCP_IFNAMSIZ];
	uint64_t bytes_dropped;
	uint64_t missing;
};

/**
 * zcp_send_file() - Send a range of a file and wait for the end
 * @sock: A connected TCP socket; blocking or not makes no difference.
 * @fd: The file, open for reading. Its file position is not used.
 * @offset: Where the range starts, in bytes.
 * @length: Its length in bytes, or %ZCP_TO_EOF.
 * @opts: Options, or NULL.
 * @result: In: @size. Out: what happened, as far as it is known. May be NULL.
 *
 * Each call opens a context of its own; programs that send many files, or to
 * many sockets at once, use one context and zcp_job_submit().
 *
 * Return: 0 when the job is done; -ECANCELED when the callback cancelled it;
 * -ENODATA when the file ends before an exact length does; -EOPNOTSUPP when
 * mode zerocopy was refused, with the reason in @result, or when this kernel
 * lacks a feature that the options need, with the feature in @result; else the
 * -errno of the refusal or of the job.
 * Since: 0.1
 */
ZCP_API int zcp_send_file(int sock, int fd, uint64_t offset, uint64_t length,
			  const struct zcp_send_opts *opts, struct zcp_result *result);

/**
 * zcp_state_name() - The name of a state of a job
 * @state: enum zcp_state.
 *
 * Return: "queued", "running", "blocked", "sent", "done", "failed" or
 * "cancelled"; "unknown" for any other value. Valid for ever.
 * Since: 0.1
 */
ZCP_API const char *zcp_state_name(uint32_t state);

/**
 * zcp_state_parse() - The state of a name
 * @name: As zcp_state_name() gives it.
 * @state: Out: enum zcp_state.
 *
 * Return: 0, or -EINVAL when no state has that name.
 * Since: 0.3
 */
ZCP_API int zcp_state_parse(const char *name, uint32_t *state);

/**
 * zcp_reason_name() - The name of a reason to copy
 * @reason: enum zcp_reason.
 *
 * Return: "none", "asked", "inline", "small", "no-sg", "no-csum", "fs",
 * "ipsec" or "no-route"; "unknown" for any other value. Valid for ever.
 * Since: 0.1
 */
ZCP_API const char *zcp_reason_name(uint32_t reason);

/**
 * zcp_limit_name() - The name of a limit
 * @limit: enum zcp_limit.
 *
 * Return: "none", "links", "jobs", "user-links", "user-jobs" or "inline";
 * "unknown" for any other value. Valid for ever.
 * Since: 0.1
 */
ZCP_API const char *zcp_limit_name(uint32_t limit);

/**
 * zcp_mode_name() - The name of a mode
 * @mode: enum zcp_mode.
 *
 * Return: "auto", "zerocopy" or "copy"; "unknown" for any other value. Valid
 * for ever.
 * Since: 0.1
 */
ZCP_API const char *zcp_mode_name(uint32_t mode);

/**
 * zcp_mode_parse() - The mode of a name
 * @name: As zcp_mode_name() gives it.
 * @mode: Out: enum zcp_mode.
 *
 * Return: 0, or -EINVAL when no mode has that name.
 * Since: 0.1
 */
ZCP_API int zcp_mode_parse(const char *name, uint32_t *mode);

/**
 * zcp_complete_name() - The name of the stage that ends a job
 * @complete: enum zcp_complete.
 *
 * Return: "acked" or "sent"; "unknown" for any other value. Valid for ever.
 * Since: 0.1
 */
ZCP_API const char *zcp_complete_name(uint32_t complete);

/**
 * zcp_complete_parse() - The completion of a name
 * @name: As zcp_complete_name() gives it.
 * @complete: Out: enum zcp_complete.
 *
 * Return: 0, or -EINVAL when no stage has that name.
 * Since: 0.1
 */
ZCP_API int zcp_complete_parse(const char *name, uint32_t *complete);

/**
 * zcp_feature_name() - The name of an optional ability
 * @feature: One of ZCP_FEATURE_*, a bit of zcp_info.features.
 *
 * Return: "nocache", "rate", "header" or "submit-events"; "unknown" for any other
 * value. Valid for ever.
 * Since: 0.2.0
 */
ZCP_API const char *zcp_feature_name(uint64_t feature);

#ifdef __cplusplus
}
#endif

#endif /* ZCP_ZCP_H */
