// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine: turns of a link. A turn pushes the current job until it is
 * sent, the send queue is full, or its quota is used up; has what was
 * acknowledged reported (ending.c); and arranges what will start the next turn.
 */
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
#define ZJOB_COST	256	/* what a job takes off the quota, also an empty one */
#define ZJOB_COST_SEGS	8	/* the same again for so many segments */
#define ZTURN_ALONE	(2 * 1024 * 1024)	/* before a link looks for others */
#define ZTURN_BUDGET	(32 * 1024 * 1024)	/* of a worker, at most */
#define ZDELAY_NOMEM	max(HZ / 100, 1)

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
	}
	spin_unlock(&link->lock);
	if (begins)
		ztell_stage(link, job, ZCP_STATE_RUNNING);
	return job;
}

static void zlink_job_sent(struct zlink *link, struct zjob *job)
{
	bool cancel;

	if (job->complete == ZCP_COMPLETE_SENT) {
		zlink_end_job(link, job, ZCP_STATE_DONE, 0);
		return;
	}
	/* Now, while it is the current one: later anyone may end it. */
	ztell_stage(link, job, ZCP_STATE_SENT);
	spin_lock(&link->lock);
	WRITE_ONCE(job->state, ZCP_STATE_SENT);
	list_move_tail(&job->entry, &link->unacked);
	zlink_no_current(link);
	cancel = job->cancel;
	/* From here on anyone may end it, and who reads its event free it. */
	if (cancel)
		kref_get(&job->ref);
	spin_unlock(&link->lock);
	/* Who has cancelled it may not have waited for this push, which was the last. */
	if (cancel) {
		zlink_end_job(link, job, ZCP_STATE_CANCELLED, ECANCELED);
		zjob_put(job);
	}
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
	if (!job)
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

/* As many bytes are in flight as may be, or were sent for now: wait for a call. */
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
 * Whatever was announced, unless it is the rest of a job that has begun. Takes the
 * socket's lock, as a push does, but not from somebody who may be held up by his memory:
 * nobody who ends something waits for that.
 */
static void zlink_flush(struct zlink *link)
{
	if (!link->more || (link->current_job && link->current_job->sent))
		return;
	if (zsock_is_owned(link->sk)) {
		zlink_kick_later(link, link->delay);
		link->delay = min(2 * link->delay, (unsigned long)ZDELAY_MAX);
		return;
	}
	zcp_flush(link->sock);
	link->more = false;
}

/* Bytes to push before looking for links that wait. */
static s64 zturn_quota(const struct zlink *link, s64 budget)
{
	s64 quota = max_t(u32, READ_ONCE(zcp_quota_bytes), PAGE_SIZE);

	if (!zrunq_is_wanted(link))
		quota = max_t(s64, quota, ZTURN_ALONE);
	return min(quota, budget);
}

/*
 * The same for a job, in a turn with @quota left. A short one is not divided: it gains
 * little by others' turns. Nor is the last one of a budget, which would call a worker for
 * what is left of it.
 */
static s64 zturn_quota_of(const struct zjob *job, s64 quota)
{
	if (quota <= 0 || !zjob_is_short(job) || job->sent >= job->total)
		return quota;
	return max_t(s64, quota, job->total - job->sent);
}

/* Empty jobs push nothing, which is where others look at the quota. */
static bool zlink_has_jobs(struct zlink *link)
{
	bool has;

	spin_lock(&link->lock);
	has = !list_empty(&link->queue);
	spin_unlock(&link->lock);
	return has;
}

/*
 * One turn of the runner, of one quota when other links wait for a worker,
 * else of all of @budget.
 */
static void zlink_turn(struct zlink *link, bool may_read, s64 *budget,
		       struct zbatch **batch)
{
	s64 left, had, cost, quota = zturn_quota(link, *budget);
	unsigned int stalls = 0;
	enum zpush_result result;
	struct zjob *job;
	u64 bytes = 0, was;
	u32 nr = 0;

	/* What called for a turn gets this one; what calls from here on, the next. */
	if (may_read || !test_bit(ZLINK_IO, &link->bits))
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
			zlink_close(link, true);
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
		had = quota;
		quota = zturn_quota_of(job, quota);
		left = quota;
		result = zjob_push(job, *batch, &quota, may_read);
		*budget -= left - quota;
		/* What it had more, and has not sent, is not for the next ones. */
		if (result == ZPUSH_FAILED || result == ZPUSH_STOPPED)
			quota = min(quota, had);
		if (result == ZPUSH_SENT || result == ZPUSH_FAILED || result == ZPUSH_STOPPED) {
			cost = ZJOB_COST * (1 + job->nr_segs / ZJOB_COST_SEGS);
			quota -= cost;
			*budget -= cost;
		}
		if (job->sent != was && result != ZPUSH_SENT)
			ztell_progress(link, job);
		switch (result) {
		case ZPUSH_SENT:
			zlink_job_sent(link, job);
			link->delay = ZDELAY_MIN;
			stalls = 0;
			if (quota > 0 || !zlink_has_jobs(link))
				continue;
			goto out_of_quota;
		case ZPUSH_FAILED:
			zlink_end_job(link, job, ZCP_STATE_FAILED, job->error);
			if (quota > 0 || !zlink_has_jobs(link))
				continue;
			goto out_of_quota;
		case ZPUSH_STOPPED:
			if (READ_ONCE(job->cancel))
				zlink_end_job(link, job, ZCP_STATE_CANCELLED,
					      ECANCELED);
			if (quota > 0 || zlink_is_ending(link) || !zlink_has_jobs(link))
				continue;
			goto out_of_quota;
		case ZPUSH_BLOCKED:
			if (job->sent != was) {
				link->delay = ZDELAY_MIN;
				stalls = 0;
			}
			if (zlink_block(link, job, &stalls))
				continue;
			break;
		case ZPUSH_LIMIT:
			/*
			 * Any link may make room: look again, in a moment. Not
			 * when that is TCP's: acknowledgments of this link's
			 * own bytes do, and others may be thousands.
			 */
			if (zlink_waits_for_others(link))
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
out_of_quota:
			if (*budget > 0 && !zrunq_is_wanted(link)) {
				quota = zturn_quota(link, *budget);
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
		/* As if it had been queued a moment ago. */
		if (link->hole)
			job->cancel = true;
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
 * zlink_reap_now() - Report what was acknowledged, and call for the rest of a turn
 * @link: the link
 *
 * Takes no lock of the socket: who looks at contexts that nobody reads must not wait for it.
 */
void zlink_reap_now(struct zlink *link)
{
	if (!zlink_run_or_note(link))
		return;
	/* To give back page cache is for a turn, too. */
	if (!test_bit(ZLINK_CLOSED, &link->bits) && !zlink_is_ending(link) &&
	    !test_bit(ZLINK_NOCACHE, &link->bits))
		zlink_reap(link);
	set_bit(ZLINK_AGAIN, &link->bits);
	zlink_end_run(link);
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
