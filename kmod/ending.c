// SPDX-License-Identifier: GPL-2.0-only
/*
 * How jobs end: what of them is in flight and what was acknowledged, and from
 * there to their events. Whoever ends a job, it is made final under the lock of
 * its link, by one of two functions here, and told outside of it.
 */
#include <linux/math64.h>
#include <linux/percpu_counter.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "context.h"
#include "job.h"
#include "limit.h"
#include "link.h"
#include "nocache.h"
#include "notify.h"
#include "trace.h"

#define ZLINK_INFLIGHT	(64 * 1024)	/* what each link may always have */
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
 * @link: its link, locked; closed, when the job is final or not queued yet
 * @job: the job
 *
 * Return: bytes; never too many.
 */
u64 zlink_job_acked(struct zlink *link, const struct zjob *job)
{
	lockdep_assert_held(&link->lock);

	if (zjob_is_final(job))
		return job->acked;
	return job->pushed ? zjob_acked(job, zlink_una(link)) : 0;
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

/*
 * When TCP had too much memory last, in jiffies, of whatever link. Nobody waits for it,
 * and it may be a moment late.
 */
static unsigned long ztight_last;

/*
 * Has TCP about as much memory as it may have? With more it drops what arrives on
 * sockets that have more than their share. What is pushed on thousands of links at a
 * time would be sent again later; but for a few bytes of each it can wait in its file.
 */
static bool ztight_now(const struct sock *sk)
{
	unsigned long now = jiffies;

	/* The limits may be as large as a long is. */
	if (atomic_long_read(READ_ONCE(sk->sk_prot)->memory_allocated) <=
	    sk_prot_mem_limits(sk, 0) / 2 + sk_prot_mem_limits(sk, 1) / 2)
		return false;
	if (READ_ONCE(ztight_last) != now)
		WRITE_ONCE(ztight_last, now);
	return true;
}

/*
 * The same, a moment ago. Those that have stopped go on when their own bytes are
 * acknowledged: until then those whose were first would take all that is free by now.
 */
static bool ztight_before(void)
{
	unsigned long last = READ_ONCE(ztight_last);

	return time_in_range(jiffies, last,
			     last + msecs_to_jiffies(READ_ONCE(zcp_tight_ms)));
}

/*
 * A link's part of TCP's memory. Half of a socket's: over loopback the receiver
 * has the other half.
 */
static s64 zlink_share(const struct zlink *link)
{
	const struct sock *sk = link->sk;
	s64 sockets, pages;

	sockets = percpu_counter_read_positive(READ_ONCE(sk->sk_prot)->sockets_allocated);
	pages = min_t(s64, sk_prot_mem_limits(sk, 2), S64_MAX >> PAGE_SHIFT);
	return div64_s64(pages << PAGE_SHIFT, 2 * max_t(s64, sockets, 1));
}

/* What the limits of the link's context and user leave: bytes, 0 or less for none. */
static s64 zlink_room_of_owner(const struct zlink *link)
{
	s64 ctx = (s64)READ_ONCE(zcp_max_inflight) << 20;
	s64 user = (s64)READ_ONCE(zcp_max_user_inflight) << 20;

	ctx -= atomic64_read(&link->ctx->inflight);
	user -= atomic64_read(&link->ctx->user->inflight);
	return min(ctx, user);
}

/**
 * zlink_waits_for_others() - May other links' acknowledgments make room for this one?
 * @link: a link that is not closed, and has no room
 */
bool zlink_waits_for_others(const struct zlink *link)
{
	return zlink_room_of_owner(link) <= 0;
}

/**
 * zlink_room() - How many bytes more may be in flight
 * @link: a link that is not closed; the caller is its runner
 * @is_short: the job is a short one, which does not hold back for what was a moment ago
 *
 * A link with little in flight has room whatever the others hold: one whose
 * peer has stalled may hold all there is, and must not stop them.
 *
 * Return: bytes; 0 or less for none.
 */
s64 zlink_room(const struct zlink *link, bool is_short)
{
	s64 inflight = READ_ONCE(link->inflight);
	s64 own = ZLINK_INFLIGHT - inflight;
	s64 room = zlink_room_of_owner(link);

	if (ztight_now(link->sk) || (!is_short && ztight_before()))
		room = min(room, zlink_share(link) - inflight);
	return max(room, own);
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

/* Does it end part way, on a link where nothing goes behind half of a job? */
static bool zlink_makes_hole(const struct zlink *link, const struct zjob *job, u8 state)
{
	return state != ZCP_STATE_DONE && job->state != ZCP_STATE_SENT && job->sent &&
	       !(link->flags & ZCP_LINK_CONTINUE);
}

/* Take a job off its list and make it final. */
static void zlink_end_locked(struct zlink *link, struct zjob *job, u8 state,
			     int error, u32 una, struct zended *ended)
{
	if (zlink_makes_hole(link, job, state))
		WRITE_ONCE(link->hole, job->id);
	list_del_init(&job->entry);
	if (link->current_job == job)
		zlink_no_current(link);
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

/*
 * The oldest job behind @last that has acknowledged pages to give back, with a reference.
 * @last is NULL, or one that still waits unless it has been ended meanwhile.
 */
static struct zjob *zlink_find_nocache(struct zlink *link, struct zjob *last, u64 *acked,
				       bool *all)
{
	struct zjob *job = NULL, *pos = NULL;
	bool open = false;
	u32 una;

	spin_lock(&link->lock);
	una = zlink_una(link);
	if (last && last->state == ZCP_STATE_SENT)
		pos = last;
	pos = list_prepare_entry(pos, &link->unacked, entry);
	list_for_each_entry_continue(pos, &link->unacked, entry) {
		if (pos->nocache && !pos->nocache->done) {
			job = pos;
			break;
		}
		/* Nothing behind it is acknowledged. */
		open = before(una, pos->end_seq);
		if (open)
			break;
	}
	if (!job && !open && link->current_job && link->current_job->nocache)
		job = link->current_job;
	if (job) {
		kref_get(&job->ref);
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
	struct zjob *job, *last = NULL;
	bool all = true;
	u64 acked;

	while (all && !test_bit(ZLINK_ENDING, &link->bits)) {
		job = zlink_find_nocache(link, last, &acked, &all);
		if (last)
			zjob_put(last);
		last = job;
		if (!job)
			return;
		if (!all) {
			znocache_drop(job->nocache, acked, false);
		} else if (!znocache_finish(job->nocache, acked)) {
			zlink_kick_later(link, ZDELAY_LINGER);
			all = false;
		}
		cond_resched();
	}
	if (last)
		zjob_put(last);
}

/**
 * zlink_reap() - Report the jobs whose bytes are all acknowledged
 * @link: a link that is not closed; the caller is its runner
 *
 * Return: whether there were any.
 */
bool zlink_reap(struct zlink *link)
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

/**
 * zlink_finish_others() - Cancel every job of a link but the one that its runner is at
 * @link: a link that is ending, closed by now or not; the caller is not its runner
 *
 * What the peer has acknowledged is done.
 */
void zlink_finish_others(struct zlink *link)
{
	struct zended ended = {};
	struct zjob *job, *next;
	u32 una;

	spin_lock(&link->lock);
	if (!link->sk) {
		spin_unlock(&link->lock);
		return;
	}
	una = zlink_una(link);
	list_for_each_entry_safe(job, next, &link->unacked, entry) {
		if (before(una, job->end_seq))
			zlink_end_locked(link, job, ZCP_STATE_CANCELLED, ECANCELED, una, &ended);
		else
			zlink_ack_locked(link, job, una, &ended);
	}
	list_for_each_entry_safe(job, next, &link->queue, entry) {
		if (job != link->current_job)
			zlink_end_locked(link, job, ZCP_STATE_CANCELLED, ECANCELED, una, &ended);
	}
	spin_unlock(&link->lock);
	zended_put(&ended);
}

/**
 * zlink_end_job() - End one job, unless it has ended by now
 * @link: its link; the caller is its runner
 * @job: the job
 * @state: its final state
 * @error: its errno
 *
 * When it ends part way, what is queued behind it is cancelled in the same
 * step, and what is until its event has been read, by zlink_queue().
 *
 * Return: whether this has ended it.
 */
bool zlink_end_job(struct zlink *link, struct zjob *job, u8 state, int error)
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
	if (zlink_makes_hole(link, job, state)) {
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

/**
 * zlink_cancel_job() - Cancel one job
 * @link: its link
 * @job: the job
 * @timeout: how long to wait for the runner to stop, in jiffies; the first who
 * cancels the job does, and others only if that is MAX_SCHEDULE_TIMEOUT
 * @cancelled: out: 1 when this call has cancelled it, else 0
 *
 * Takes no lock of the socket, which others may hold for as long as they like.
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
		/* One behind a hole is to be cancelled, but nobody has asked for it. */
		ours = !job->cancel || job->state == ZCP_STATE_QUEUED;
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
	if (!ours && timeout != MAX_SCHEDULE_TIMEOUT)
		timeout = 0;
	ret = zlink_wait_run(link, timeout);
	if (ret)
		return ret;
	/* The next turn was to wait for what this job waited for; and it flushes. */
	if (zlink_end_job(link, job, ZCP_STATE_CANCELLED, ECANCELED))
		set_bit(ZLINK_AGAIN, &link->bits);
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
		/* A worker flushes: who has the socket's lock may be slow. */
		set_bit(ZLINK_AGAIN, &link->bits);
	}
	zlink_end_run(link);
	return 0;
}
