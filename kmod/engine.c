// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine: turns of a link. A turn pushes the current job until it is
 * sent, the send queue is full, or its quota is used up; reports what was
 * acknowledged; and arranges what will start the next turn.
 */
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "limit.h"
#include "link.h"
#include "nocache.h"
#include "notify.h"
#include "runq.h"
#include "slab.h"
#include "stats.h"
#include "trace.h"

#define ZDELAY_MIN	max(HZ / 10, 1)	/* safety net: first, and at most */
#define ZDELAY_MAX	(2 * HZ)
#define ZDELAY_STALLED	(30 * HZ)	/* when no event depends on it */
#define ZJOB_COST	256	/* what an empty job takes off the quota */
#define ZLINK_INFLIGHT	(64 * 1024)	/* what each link may always have */
#define ZTURN_ALONE	(2 * 1024 * 1024)	/* before a link looks for others */
#define ZTURN_BUDGET	(32 * 1024 * 1024)	/* of a worker, at most */
#define ZDELAY_NOMEM	max(HZ / 100, 1)
#define ZDELAY_LINGER	max(HZ / 100, 1)	/* for packets to let go of pages */

/**
 * zlink_una() - Up to where the peer has acknowledged
 * @link: a link that is not closed
 *
 * When a connection has ended, what it had acknowledged then stays: a socket
 * that is connected again starts with other sequence numbers. The mark
 * %ZLINK_BROKEN is set before that can happen, and looked at after.
 */
u32 zlink_una(const struct zlink *link)
{
	u32 una = READ_ONCE(tcp_sk(link->sk)->snd_una);

	/* Pairs with the locks between a disconnect and the next connect. */
	smp_rmb();
	if (test_bit(ZLINK_BROKEN, &link->bits)) {
		/* Pairs with zlink_wake(). */
		smp_rmb();
		una = link->final_una;
	}
	return una;
}

/*
 * Acknowledged bytes of a job, under zlink.lock. Conservative: what others
 * wrote to the socket meanwhile counts as not acknowledged.
 */
static u64 zjob_acked(const struct zjob *job, u32 una)
{
	s32 open = job->end_seq - una;

	if (!job->pushed)
		return 0;
	if (open <= 0)
		return job->sent;
	return job->sent > open ? job->sent - open : 0;
}

/**
 * zlink_job_acked() - Acknowledged bytes of a job
 * @link: its link, locked
 * @job: the job
 *
 * Return: bytes; never too many.
 */
u64 zlink_job_acked(struct zlink *link, const struct zjob *job)
{
	lockdep_assert_held(&link->lock);

	return zjob_is_final(job) ? job->acked :
				    zjob_acked(job, zlink_una(link));
}

/**
 * zlink_charge() - Bytes of a job have entered the send queue
 * @link: its link, locked
 * @bytes: their number
 * @seq: TCP sequence after them
 */
void zlink_charge(struct zlink *link, u64 bytes, u32 seq)
{
	link->last_seq = seq;
	link->inflight += bytes;
	atomic64_add(bytes, &link->ctx->inflight);
	atomic64_add(bytes, &link->ctx->user->inflight);
}

/* Of what is in flight only @open bytes are. */
static void zlink_settle(struct zlink *link, s32 open)
{
	u64 left = open > 0 ? min_t(u64, open, link->inflight) : 0;
	u64 acked = link->inflight - left;

	lockdep_assert_held(&link->lock);
	link->inflight = left;
	atomic64_sub(acked, &link->ctx->inflight);
	atomic64_sub(acked, &link->ctx->user->inflight);
}

/**
 * zlink_room() - How many bytes more may be in flight
 * @link: a link that is not closed; the caller is its runner
 *
 * A link with little in flight has room whatever the others hold: one whose
 * peer has stalled may hold all there is, and must not stop them.
 *
 * Return: bytes; 0 or less for none.
 */
s64 zlink_room(const struct zlink *link)
{
	s64 ctx = (s64)READ_ONCE(zcp_max_inflight) << 20;
	s64 user = (s64)READ_ONCE(zcp_max_user_inflight) << 20;

	s64 own = ZLINK_INFLIGHT - (s64)READ_ONCE(link->inflight);

	ctx -= atomic64_read(&link->ctx->inflight);
	user -= atomic64_read(&link->ctx->user->inflight);
	return max(min(ctx, user), own);
}

/*
 * Jobs of a link that have ended under the lock, through zjob.ended_next, the
 * first one first. Their list's references are theirs until they are given back
 * outside of the lock.
 */
struct zended {
	struct zjob *first;
	struct zjob *last;
	struct ztell_to to;
};

static void zended_put(struct zended *ended)
{
	struct zjob *job;

	while ((job = ended->first)) {
		ended->first = job->ended_next;
		ztell_done(&ended->to, job);
		zjob_put(job);
	}
	ztell_end(&ended->to);
}

/* Take a job off its list and make it final. */
static void zlink_end_locked(struct zlink *link, struct zjob *job, u8 state,
			     int error, u32 una, struct zended *ended)
{
	list_del_init(&job->entry);
	if (link->current_job == job)
		link->current_job = NULL;
	link->nr_jobs--;
	if (ended->first)
		ended->last->ended_next = job;
	else
		ended->first = job;
	ended->last = job;
	ztell_begin(&ended->to, link);
	zjob_finish(job, state, error, zjob_acked(job, una));
}

/* When its last byte was seen acknowledged, under zlink.lock. */
static void zjob_set_acked(struct zjob *job)
{
	if (!job->acked_ns)
		job->acked_ns = ktime_to_ns(ktime_sub(ktime_get(),
						      job->submitted));
}

static void zlink_ack_locked(struct zlink *link, struct zjob *job, u32 una,
			     struct zended *ended)
{
	zjob_set_acked(job);
	trace_zcp_ack(job->id, job->link_id, job->sent);
	zlink_end_locked(link, job, ZCP_STATE_DONE, 0, una, ended);
}

/* The oldest job that has pages to give back, with a reference. */
static struct zjob *zlink_find_nocache(struct zlink *link, u64 *acked, bool *all)
{
	struct zjob *job = NULL, *pos;
	u32 una;

	spin_lock(&link->lock);
	list_for_each_entry(pos, &link->unacked, entry) {
		if (pos->nocache && !pos->nocache->done) {
			job = pos;
			break;
		}
	}
	if (!job && link->current_job && link->current_job->nocache)
		job = link->current_job;
	if (job) {
		kref_get(&job->ref);
		una = zlink_una(link);
		*acked = zjob_acked(job, una);
		/* An empty one too waits for what went before it. */
		*all = job->state == ZCP_STATE_SENT &&
		       !before(una, job->end_seq);
		if (*all)
			zjob_set_acked(job);
	}
	spin_unlock(&link->lock);
	return job;
}

/*
 * Give back the page cache that acknowledged bytes have brought in, before
 * their jobs are reported. A job whose pages are still held by packets is
 * reported a little later.
 */
static void zlink_drop_behind(struct zlink *link)
{
	struct zjob *job;
	bool all = true;
	u64 acked;

	while (all) {
		job = zlink_find_nocache(link, &acked, &all);
		if (!job)
			return;
		if (!all) {
			znocache_drop(job->nocache, acked, false);
		} else if (!znocache_finish(job->nocache, acked)) {
			zlink_kick_later(link, ZDELAY_LINGER);
			all = false;
		}
		zjob_put(job);
		cond_resched();
	}
}

/* Report the jobs whose bytes are all acknowledged. */
static bool zlink_reap(struct zlink *link)
{
	struct zended ended = {};
	struct zjob *job, *next;
	bool any;
	u32 una;

	if (test_bit(ZLINK_NOCACHE, &link->bits))
		zlink_drop_behind(link);
	una = zlink_una(link);
	spin_lock(&link->lock);
	zlink_settle(link, link->last_seq - una);
	list_for_each_entry_safe(job, next, &link->unacked, entry) {
		if (before(una, job->end_seq) ||
		    (job->nocache && !job->nocache->done))
			break;
		zlink_ack_locked(link, job, una, &ended);
	}
	spin_unlock(&link->lock);
	any = ended.first;
	zended_put(&ended);
	return any;
}

/**
 * zlink_finish_all() - End every job of a link
 * @link: the link; the caller is its runner
 * @una: what the peer has acknowledged
 * @state: the final state of jobs that are not acknowledged by that
 * @error: their errno
 * @nr: incremented for each of them
 * @bytes: their bytes sent are added
 */
void zlink_finish_all(struct zlink *link, u32 una, u8 state, int error,
		      u32 *nr, u64 *bytes)
{
	struct zended ended = {};
	struct zjob *job, *next;

	spin_lock(&link->lock);
	if (zlink_is_ending(link))
		zlink_settle(link, 0);
	list_for_each_entry_safe(job, next, &link->unacked, entry) {
		if (!before(una, job->end_seq)) {
			zlink_ack_locked(link, job, una, &ended);
			continue;
		}
		(*nr)++;
		*bytes += job->sent;
		zlink_end_locked(link, job, state, error, una, &ended);
	}
	list_for_each_entry_safe(job, next, &link->queue, entry) {
		(*nr)++;
		*bytes += job->sent;
		zlink_end_locked(link, job, state, error, una, &ended);
	}
	spin_unlock(&link->lock);
	zended_put(&ended);
}

/*
 * End one job, unless it has ended by now. When it ends part way, what is
 * queued behind it is cancelled in the same step: a job that is submitted
 * after the event is not.
 */
static bool zlink_end_job(struct zlink *link, struct zjob *job, u8 state,
			  int error)
{
	struct zended ended = {};
	struct zjob *next;
	u32 una;

	spin_lock(&link->lock);
	if (zjob_is_final(job)) {
		spin_unlock(&link->lock);
		return false;
	}
	una = zlink_una(link);
	if (state != ZCP_STATE_DONE && job->state != ZCP_STATE_SENT &&
	    job->sent && !(link->flags & ZCP_LINK_CONTINUE)) {
		zlink_end_locked(link, job, state, error, una, &ended);
		list_for_each_entry_safe(job, next, &link->queue, entry)
			zlink_end_locked(link, job, ZCP_STATE_CANCELLED,
					 ECANCELED, una, &ended);
	} else {
		zlink_end_locked(link, job, state, error, una, &ended);
	}
	spin_unlock(&link->lock);
	zended_put(&ended);
	return true;
}

/* The job at the head of the queue, which the runner begins with. */
static struct zjob *zlink_begin(struct zlink *link)
{
	struct zjob *job;
	bool begins;

	spin_lock(&link->lock);
	job = list_first_entry_or_null(&link->queue, struct zjob, entry);
	begins = job && job->state == ZCP_STATE_QUEUED;
	if (job) {
		WRITE_ONCE(job->state, ZCP_STATE_RUNNING);
		link->current_job = job;
		if (!job->io)
			clear_bit(ZLINK_IO, &link->bits);
	}
	spin_unlock(&link->lock);
	if (begins)
		ztell_stage(link, job, ZCP_STATE_RUNNING);
	return job;
}

static void zlink_job_sent(struct zlink *link, struct zjob *job)
{
	if (job->complete == ZCP_COMPLETE_SENT) {
		zlink_end_job(link, job, ZCP_STATE_DONE, 0);
		return;
	}
	/* Now, while it is the current one: later anyone may end it. */
	ztell_stage(link, job, ZCP_STATE_SENT);
	spin_lock(&link->lock);
	WRITE_ONCE(job->state, ZCP_STATE_SENT);
	list_move_tail(&job->entry, &link->unacked);
	link->current_job = NULL;
	spin_unlock(&link->lock);
}

/*
 * Arrange to be called when something can be done. Returns true when it can
 * be done now.
 */
static bool zlink_arm(struct zlink *link, bool want_space)
{
	unsigned long longest = ZDELAY_MAX;
	struct sock *sk = link->sk;
	bool want_ack = false;
	struct zjob *job;

	spin_lock(&link->lock);
	job = list_first_entry_or_null(&link->unacked, struct zjob, entry);
	if (job) {
		/* One that lingers has all its acknowledgments. */
		want_ack = !job->nocache || !job->nocache->until;
		WRITE_ONCE(link->ack_seq, job->end_seq);
	} else if (link->inflight) {
		/* Nobody asks for it, but it counts until then. */
		want_ack = true;
		WRITE_ONCE(link->ack_seq, link->last_seq);
	}
	spin_unlock(&link->lock);

	if (!want_ack && !want_space)
		return false;
	if (want_ack)
		set_bit(ZLINK_WANT_ACK, &link->bits);
	if (want_space)
		set_bit(ZLINK_WANT_SPACE, &link->bits);
	set_bit(SOCK_NOSPACE, &link->sock->flags);
	/* Pairs with tcp_check_space(): see the order in struct zlink. */
	smp_mb__after_atomic();

	if (zlink_is_ending(link))
		return true;
	if (want_ack && !before(zlink_una(link), READ_ONCE(link->ack_seq)))
		return true;
	if (want_space && (sk_stream_is_writeable(sk) || READ_ONCE(sk->sk_err) ||
			   (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN)))
		return true;

	/*
	 * Room is always announced: thousands of links whose peers have stalled
	 * must not take turns only to see that.
	 */
	if (!job && want_space)
		longest = ZDELAY_STALLED;
	link->delay = min(link->delay, longest);
	zlink_kick_later(link, link->delay);
	link->delay *= 2;
	return false;
}

/* The current job could not go on: block it, or go on when it can by now. */
static bool zlink_block(struct zlink *link, struct zjob *job,
			unsigned int *stalls)
{
	trace_zcp_block(job->id, link->id, job->sent);
	spin_lock(&link->lock);
	WRITE_ONCE(job->state, ZCP_STATE_BLOCKED);
	spin_unlock(&link->lock);

	if (!zlink_arm(link, true))
		return false;
	/*
	 * There is room, but the socket took nothing, more than once: it is
	 * short of memory. Give it time.
	 */
	if (++*stalls < 3)
		return true;
	zlink_kick_later(link, ZDELAY_NOMEM);
	return false;
}

/* As many bytes are in flight as may be: wait for acknowledgments. */
static bool zlink_wait_for_room(struct zlink *link, struct zjob *job)
{
	trace_zcp_block(job->id, link->id, job->sent);
	spin_lock(&link->lock);
	WRITE_ONCE(job->state, ZCP_STATE_BLOCKED);
	spin_unlock(&link->lock);
	return zlink_arm(link, false);
}

/**
 * zlink_has_next() - Does another job follow?
 * @link: the link
 * @job: its current job
 */
bool zlink_has_next(struct zlink *link, const struct zjob *job)
{
	bool next;

	spin_lock(&link->lock);
	next = !list_is_last(&job->entry, &link->queue);
	spin_unlock(&link->lock);
	return next;
}

/**
 * zlink_flush() - No more bytes come for now: let TCP send the last
 * @link: a link that is not closed; the caller is its runner
 *
 * Whatever was announced, unless it is the rest of a job that has begun.
 */
void zlink_flush(struct zlink *link)
{
	if (!link->more || (link->current_job && link->current_job->sent))
		return;
	zcp_flush(link->sock);
	link->more = false;
}

/* Bytes to push before looking for links that wait. */
static s64 zturn_quota(s64 budget)
{
	s64 quota = max_t(u32, READ_ONCE(zcp_quota_bytes), PAGE_SIZE);

	if (!zrunq_is_wanted())
		quota = max_t(s64, quota, ZTURN_ALONE);
	return min(quota, budget);
}

/*
 * One turn of the runner, of one quota when other links wait for a worker,
 * else of all of @budget.
 */
static void zlink_turn(struct zlink *link, bool may_read, s64 *budget,
		       struct zbatch **batch)
{
	s64 left, quota = zturn_quota(*budget);
	unsigned int stalls = 0;
	enum zpush_result result;
	struct zjob *job;
	u64 bytes = 0, was;
	u32 nr = 0;

	/* What called for a turn gets this one; what calls from here on, the next. */
	zrunq_remove(link);
	clear_bit(ZLINK_AGAIN, &link->bits);
	clear_bit(ZLINK_WANT_SPACE, &link->bits);
	clear_bit(ZLINK_WANT_ACK, &link->bits);
	/* Pairs with zlink_kick(), before which something has changed. */
	smp_mb__after_atomic();

	for (;;) {
		if (test_bit(ZLINK_CLOSED, &link->bits))
			return;
		if (test_bit(ZLINK_ENDING, &link->bits)) {
			zlink_close(link);
			return;
		}
		if (zlink_reap(link))
			link->delay = ZDELAY_MIN;
		if (test_bit(ZLINK_BROKEN, &link->bits)) {
			zlink_finish_all(link, zlink_una(link),
					 ZCP_STATE_FAILED,
					 READ_ONCE(link->err) ?: ECONNRESET,
					 &nr, &bytes);
			break;
		}
		job = zlink_begin(link);
		if (!job) {
			zlink_flush(link);
			if (zlink_arm(link, false))
				continue;
			break;
		}
		if (!*batch) {
			*batch = zbatch_new();
			if (!*batch) {
				zlink_kick_later(link, ZDELAY_NOMEM);
				break;
			}
		}

		was = job->sent;
		left = quota;
		result = zjob_push(job, *batch, &quota, may_read);
		if (result == ZPUSH_SENT)
			quota -= ZJOB_COST;
		*budget -= left - quota;
		if (job->sent != was && result != ZPUSH_SENT)
			ztell_progress(link, job);
		switch (result) {
		case ZPUSH_SENT:
			zlink_job_sent(link, job);
			link->delay = ZDELAY_MIN;
			stalls = 0;
			continue;
		case ZPUSH_FAILED:
			zlink_end_job(link, job, ZCP_STATE_FAILED, job->error);
			continue;
		case ZPUSH_STOPPED:
			if (READ_ONCE(job->cancel))
				zlink_end_job(link, job, ZCP_STATE_CANCELLED,
					      ECANCELED);
			continue;
		case ZPUSH_BLOCKED:
			if (job->sent != was) {
				link->delay = ZDELAY_MIN;
				stalls = 0;
			}
			if (zlink_block(link, job, &stalls))
				continue;
			break;
		case ZPUSH_LIMIT:
			/* Any link may make room: look again, in a moment. */
			zlink_kick_later(link, ZDELAY_MIN);
			if (zlink_wait_for_room(link, job))
				continue;
			break;
		case ZPUSH_PACED:
			hrtimer_start(&link->timer, ns_to_ktime(job->pace_ns),
				      HRTIMER_MODE_REL);
			if (zlink_wait_for_room(link, job))
				continue;
			break;
		case ZPUSH_QUOTA:
			if (*budget > 0 && !zrunq_is_wanted()) {
				quota = zturn_quota(*budget);
				cond_resched();
				continue;
			}
			zlink_kick(link);
			break;
		case ZPUSH_IO:
			zjob_begin_io(job);
			set_bit(ZLINK_IO, &link->bits);
			zlink_kick(link);
			break;
		case ZPUSH_NOMEM:
			zlink_kick_later(link, ZDELAY_NOMEM);
			break;
		}
		break;
	}
	zlink_flush(link);
}

/**
 * zlink_take_turn() - A worker's turn
 * @link: the link
 * @io: this worker may wait for a disk
 */
void zlink_take_turn(struct zlink *link, bool io)
{
	s64 budget = ZTURN_BUDGET;
	struct zbatch *batch = NULL;

	if (zlink_run_or_note(link)) {
		zlink_turn(link, io && test_bit(ZLINK_IO, &link->bits), &budget,
			   &batch);
		zlink_end_run(link);
	}
	zbatch_free(batch);
}

/**
 * zlink_queue() - Queue a job, and let look-ups find it
 * @link: its link
 * @job: the job, whose id is reserved in zctx.jobs; the caller's reference
 *	goes there, another one to the list
 *
 * Both in one step: a job that can be found can be cancelled.
 *
 * Return: 0, -ENOENT when the link is ending, or -ESHUTDOWN.
 */
int zlink_queue(struct zlink *link, struct zjob *job)
{
	struct ztell_new news = {};
	int ret = 0;

	ztell_prepare_new(&news, link, job);
	spin_lock(&link->lock);
	if (test_bit(ZLINK_ENDING, &link->bits)) {
		ret = -ENOENT;
	} else if (test_bit(ZLINK_BROKEN, &link->bits)) {
		ret = -ESHUTDOWN;
	} else {
		trace_zcp_submit(job->id, job->link_id, job->nr_segs,
				 job->total, job->mode);
		kref_get(&job->ref);
		if (job->nocache)
			set_bit(ZLINK_NOCACHE, &link->bits);
		list_add_tail(&job->entry, &link->queue);
		/* The id is reserved: this allocates nothing. */
		xa_store(&link->ctx->jobs, job->id, job, GFP_NOWAIT);
		link->nr_jobs++;
		zstats_job_new(sock_net(link->sk));
		/* Before anybody can tell more of it. */
		ztell_new(&news);
	}
	spin_unlock(&link->lock);
	ztell_end_new(&news);
	return ret;
}

/**
 * zlink_push_now() - A turn of who has queued jobs, or looks at the context
 * @link: the link
 * @budget: bytes it may push, %ZTURN_INLINE to begin with; what was is taken off
 * @batch: in and out: memory to work with, made when it is needed
 *
 * Never waits for a disk or another runner. When somebody else is the runner,
 * or the budget is used up, or others wait, workers go on.
 */
void zlink_push_now(struct zlink *link, s64 *budget, struct zbatch **batch)
{
	if (*budget <= 0) {
		zlink_kick(link);
		return;
	}
	if (zlink_run_or_note(link)) {
		zlink_turn(link, false, budget, batch);
		zlink_end_run(link);
	}
}

/**
 * zlink_cancel_job() - Cancel one job
 * @link: its link
 * @job: the job
 * @timeout: how long to wait for the runner to stop, in jiffies
 * @cancelled: out: 1 when this call has cancelled it, else 0
 *
 * Return: 0, -EINTR after a fatal signal, or -ETIMEDOUT; the job then ends by
 * itself.
 */
int zlink_cancel_job(struct zlink *link, struct zjob *job, long timeout,
		     u32 *cancelled)
{
	struct zended ended = {};
	bool running = false;
	bool ours = false;
	int ret;

	spin_lock(&link->lock);
	if (!zjob_is_final(job)) {
		running = job == link->current_job;
		ours = !job->cancel;
		WRITE_ONCE(job->cancel, true);
		if (!running)
			zlink_end_locked(link, job, ZCP_STATE_CANCELLED,
					 ECANCELED, zlink_una(link), &ended);
	}
	spin_unlock(&link->lock);
	zended_put(&ended);
	*cancelled = ours;
	if (!running)
		return 0;

	/* The runner stops at its next step; when there is none, be it. */
	ret = zlink_wait_run(link, timeout);
	if (ret)
		return ret;
	if (zlink_end_job(link, job, ZCP_STATE_CANCELLED, ECANCELED)) {
		zlink_flush(link);
		/* The next turn was to wait for what this job waited for. */
		set_bit(ZLINK_AGAIN, &link->bits);
	}
	zlink_end_run(link);
	*cancelled = ours && job->state == ZCP_STATE_CANCELLED;
	return 0;
}

/**
 * zlink_cancel_all() - Cancel every job of a link
 * @link: the link
 * @cancelled: out: jobs that this has cancelled
 * @bytes: out: bytes of them that were sent
 *
 * Return: 0, or -EINTR after a fatal signal; nothing was cancelled then.
 */
int zlink_cancel_all(struct zlink *link, u32 *cancelled, u64 *bytes)
{
	*cancelled = 0;
	*bytes = 0;
	if (zlink_wait_run(link, MAX_SCHEDULE_TIMEOUT))
		return -EINTR;
	if (!test_bit(ZLINK_CLOSED, &link->bits)) {
		zlink_finish_all(link, zlink_una(link), ZCP_STATE_CANCELLED,
				 ECANCELED, cancelled, bytes);
		zlink_flush(link);
	}
	zlink_end_run(link);
	return 0;
}
