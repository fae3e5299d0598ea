/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_JOB_H
#define ZCP_JOB_H

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/zcp.h>

#include "limit.h"
#include "pace.h"
#include "transmit.h"

struct mem_cgroup;
struct znocache;
struct zctx;
struct zlink;

/**
 * struct zseg - A segment of a job
 * @file: the file, with a reference; NULL for inline bytes, and when the job was
 *	forgotten. Who is not the runner of the link looks at it under zlink.lock
 * @data: the inline bytes, inside zjob.inline_data
 * @pos: the offset of the next byte, in the file or in @data
 * @left: bytes to go; for a segment to EOF an estimate that only ends it when
 *	the file does
 * @to_eof: ends where the file ends
 * @small: a copy is cheaper than a reference
 */
struct zseg {
	struct file *file;
	const u8 *data;
	loff_t pos;
	u64 left;
	bool to_eof;
	bool small;
};

/**
 * struct zjob - A job: an ordered list of segments with one final event
 * @ref: one of zctx.jobs (acceptance until the event is read), one of the
 *	link's list (until final), and one of each look-up
 * @id: unique while the module is loaded
 * @user_data: the submitter's
 * @link: where it goes, with a reference to the structure; the socket may be
 *	gone when the job is final
 * @link_id: @link's id
 * @entry: in zlink.queue or zlink.unacked (under zlink.lock), then in
 *	zctx.events (under zctx.lock), then in no list
 * @ended_next: of the jobs that ended together; belongs to who ended them
 * @mode: enum zcp_mode
 * @flags: ZCP_JOB_*
 * @complete: enum zcp_complete
 * @state: enum zcp_state; changed under zlink.lock, by the runner of the link
 *	except for the step to a final state
 * @cancel: the runner shall stop
 * @io: this job needed the disk: its turns belong to the workers for that
 * @nr_segs: elements of @segs
 * @seg: the current segment; written by the runner only
 * @end_seq: TCP sequence after the last byte that was sent
 * @pushed: @end_seq is valid
 * @error: errno of a final state, positive
 * @cred: the submitter's, for reads and sends in workers
 * @memcg: the submitter's memory cgroup: pays for pages that are read in
 * @total: bytes to send, as far as known
 * @sent: bytes in the send queue
 * @acked: bytes acknowledged when the job ended
 * @count: how those bytes travelled
 * @ra: readahead state of the current segment
 * @nocache: what has to be dropped from the page cache; NULL for nothing
 * @pace: how much its rate lets it send; belongs to the runner
 * @pace_ns: when to go on, from the last push that its rate has stopped
 * @told: in jiffies: when its progress was last told; the runner's
 * @submitted: when the job was accepted
 * @sent_ns: from then until all was sent
 * @acked_ns: until all was seen acknowledged
 * @end_ns: until final
 * @inline_data: the bytes of all inline segments
 * @inline_len: their number
 * @segs: the segments
 *
 * Life: made by zctx_submit(); queued by zlink_queue(); driven by the
 * link's runner; made final by zjob_finish(), once; forgotten, and its files
 * let go, when its event is read or its context freed.
 *
 * Progress members are written by the runner alone, under zlink.lock, which
 * the runner itself need not take to read them.
 */
struct zjob {
	struct kref ref;
	u64 id;
	u64 user_data;
	struct zlink *link;
	u32 link_id;
	struct list_head entry;
	struct zjob *ended_next;

	u8 mode;
	u8 complete;
	u8 state;
	bool cancel;
	bool io;
	bool pushed;
	u8 flags;
	u32 nr_segs;
	u32 seg;
	u32 end_seq;
	int error;

	const struct cred *cred;
	struct mem_cgroup *memcg;

	u64 total;
	u64 sent;
	u64 acked;
	struct zcount count;
	struct file_ra_state ra;
	struct znocache *nocache;
	struct zpace pace;
	u64 pace_ns;
	unsigned long told;

	ktime_t submitted;
	u64 sent_ns;
	u64 acked_ns;
	u64 end_ns;

	u8 *inline_data;
	u32 inline_len;
	struct zseg segs[];
};

/**
 * enum zpush_result - How an attempt to push a job ended
 * @ZPUSH_SENT: every byte is in the send queue
 * @ZPUSH_BLOCKED: the send queue is full
 * @ZPUSH_QUOTA: others want their turn
 * @ZPUSH_IO: the next bytes have to be read, which this turn may not do
 * @ZPUSH_NOMEM: no memory just now
 * @ZPUSH_LIMIT: as many bytes are in flight as may be
 * @ZPUSH_PACED: its rate does not let the job go on before zjob.pace_ns
 * @ZPUSH_STOPPED: the job or its link is to end
 * @ZPUSH_FAILED: the job has failed; zjob.error says why
 */
enum zpush_result {
	ZPUSH_SENT,
	ZPUSH_BLOCKED,
	ZPUSH_QUOTA,
	ZPUSH_IO,
	ZPUSH_NOMEM,
	ZPUSH_LIMIT,
	ZPUSH_PACED,
	ZPUSH_STOPPED,
	ZPUSH_FAILED,
};

/* A job of so many quotas, and bytes, is a short one. */
#define ZJOB_SHORT_QUOTAS	5
#define ZJOB_SHORT_BYTES	(2 * 1024 * 1024)

/* A short job is sent at a stretch: its receiver would need a call for each part. */
static inline bool zjob_is_short(const struct zjob *job)
{
	u64 most = (u64)READ_ONCE(zcp_quota_bytes) * ZJOB_SHORT_QUOTAS;

	return job->total <= min_t(u64, most, ZJOB_SHORT_BYTES);
}

static inline bool zjob_is_final(const struct zjob *job)
{
	return READ_ONCE(job->state) >= ZCP_STATE_DONE;
}

void zjob_put(struct zjob *job);
long zjob_memory(const struct zjob *job);
void zjob_forget(struct zctx *ctx, struct zjob *job);
void zjob_finish(struct zjob *job, u8 state, int error, u64 acked);
enum zpush_result zjob_push(struct zjob *job, struct zbatch *batch,
			    s64 *quota, bool may_read);
void zjob_event(const struct zjob *job, struct zcp_event *ev);
void zjob_status(const struct zjob *job, struct zcp_status *st);
void zjob_begin_io(struct zjob *job);

/* submit.c */
int zctx_submit(struct zctx *ctx, struct zcp_submit *req);
int zsource_check(struct file *file);

#endif /* ZCP_JOB_H */
