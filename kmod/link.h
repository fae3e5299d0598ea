/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_LINK_H
#define ZCP_LINK_H

#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/net.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/zcp.h>

struct zbatch;
struct zctx;
struct zjob;
struct zrunq;
struct zuser;

/* Bits of zlink.bits */
enum {
	ZLINK_RUNNING,		/* somebody is the runner */
	ZLINK_AGAIN,		/* there is news for the runner */
	ZLINK_ENDING,		/* to be closed; never taken back */
	ZLINK_CLOSED,		/* closed: no socket, no jobs */
	ZLINK_BROKEN,		/* the connection has ended; never taken back */
	ZLINK_WANT_SPACE,	/* the runner waits for room in the send queue */
	ZLINK_WANT_ACK,		/* the runner waits for @ack_seq */
	ZLINK_IO,		/* the current job needs the disk: the next turn may wait */
	ZLINK_NOCACHE,		/* has had jobs that leave no trace in the page cache */
	ZLINK_READY,		/* in zctx.ready, or on its way there */
};

/**
 * struct zlink - A link: a TCP socket and the FIFO of its jobs
 * @ref: one of zctx.links, one of each job, of a run queue, of @later, of each look-up
 * @id: in its context
 * @flags: ZCP_LINK_*
 * @ctx: its context, with a reference until closed
 * @user: the context's, with a reference
 * @net_cookie: the network namespace of the socket
 * @sock: the socket, with a reference to its file until closed, or until @end has run
 * @sk: @sock->sk; NULL when closed (changed under @lock)
 * @node: in the table of linked sockets, until closed
 * @lock: @queue, @unacked, @current_job, @nr_jobs, @inflight, @hole, the states
 *	and progress of jobs, and their letting go of files
 * @queue: jobs that are not sent, oldest first
 * @unacked: jobs that are sent and wait for their acknowledgment
 * @current_job: the first of @queue, when the runner has begun with it
 * @nr_jobs: jobs in @queue and @unacked
 * @inflight: bytes of jobs that were sent and are not known to be acked; also
 *	in zctx.inflight and zuser.inflight
 * @hole: the job that ended part way, until its event is read: what is queued
 *	meanwhile is cancelled, since its submitter does not know yet; 0 for none
 * @cancelled: jobs that were cancelled when the link was closed; the runner's
 * @more: the last bytes were announced to have successors; the runner's
 * @last_seq: TCP sequence after the last byte that was sent for a job
 * @bits: ZLINK_*
 * @ack_seq: the sequence number that the runner waits to see acknowledged
 * @final_una: what was acknowledged when the connection ended
 * @err: the last error of the socket that was seen, positive
 * @wqh: the socket's wait queue
 * @wait: our entry in it
 * @runq: where it waits for a worker's turn, or NULL; under the lock of run queues
 * @called: its place there
 * @quiet: no worker was called for it by itself; as @runq
 * @later: calls for a worker when nothing else has; the safety net
 * @timer: calls for the next turn of a job that has a rate
 * @ready: in zctx.ready
 * @end: lets go of the socket when the link was closed by a turn, or by a worker,
 *	unless somebody waits for that; holds a reference
 * @idle: waiters for ZLINK_RUNNING to be free
 * @waiters: calls that wait to be the runner; they go first
 * @delay: of the safety net, in jiffies
 *
 * The runner: whoever holds the bit ZLINK_RUNNING, which is a submitter, a
 * worker, or a call that ends something. Only the runner pushes, begins and
 * closes. The bit is not a lock that anybody must wait for: a submitter and a
 * worker leave a note (ZLINK_AGAIN) and go, a cancelling call waits killably,
 * and close(2) waits only for a moment; whoever ends a run looks at the notes. A
 * turn begins by taking the note away, and the link out of the run queue.
 *
 * Lock order: zlink.lock → zctx.lock → the context's wait queue. Both locks
 * are taken in process context only, and nothing sleeps under them. The wait
 * entry's callback runs in softirq under the lock of the socket's wait queue
 * and takes no lock of ours but those of the context's wait queue and of the run
 * queues: it reads the socket, sets bits, calls for a worker, or has the context's
 * reader look. The lock of the run queues is the last in any order.
 *
 * Ordering: the runner sets a WANT bit and SOCK_NOSPACE, then looks at the
 * socket again; TCP changes the socket, then looks at SOCK_NOSPACE and calls
 * us. One of the two sees the other. A slow timer is the safety net for what
 * TCP does not announce: an acknowledgment while the send queue stays full.
 *
 * Life: made by LINK, in zctx.links until UNLINK or release(), closed once by
 * the runner that finds ZLINK_ENDING. A closed link has no jobs and no socket;
 * jobs whose events are unread keep the structure.
 */
struct zlink {
	struct kref ref;
	u32 id;
	u32 flags;
	struct zctx *ctx;
	struct zuser *user;
	u64 net_cookie;
	struct socket *sock;
	struct sock *sk;
	struct hlist_node node;

	spinlock_t lock;	/* jobs */
	struct list_head queue;
	struct list_head unacked;
	struct zjob *current_job;
	u32 nr_jobs;
	u64 inflight;
	u64 hole;
	u32 last_seq;
	u32 cancelled;
	bool more;

	unsigned long bits;
	u32 ack_seq;
	u32 final_una;
	int err;

	wait_queue_head_t *wqh;
	wait_queue_entry_t wait;
	struct zrunq *runq;
	struct list_head called;
	bool quiet;
	struct timer_list later;
	struct hrtimer timer;
	struct llist_node ready;
	struct work_struct end;
	wait_queue_head_t idle;
	atomic_t waiters;
	unsigned long delay;
};

/* There is no current job; the next one may not need the disk. Under zlink.lock. */
static inline void zlink_no_current(struct zlink *link)
{
	link->current_job = NULL;
	clear_bit(ZLINK_IO, &link->bits);
}

/*
 * Bytes that a submission, or a look at a context, pushes by itself: some dozens of
 * responses of 64 KiB. A short job that begins within them may end behind.
 */
#define ZTURN_INLINE	(4 * 1024 * 1024)

static inline bool zlink_is_ending(const struct zlink *link)
{
	return test_bit(ZLINK_ENDING, &link->bits) ||
	       test_bit(ZLINK_BROKEN, &link->bits);
}

/* The event of a job has been read: who submits from here on knows of it. */
static inline void zlink_tell_hole(struct zlink *link, u64 job)
{
	if (likely(READ_ONCE(link->hole) != job || !job))
		return;
	spin_lock(&link->lock);
	WRITE_ONCE(link->hole, 0);
	spin_unlock(&link->lock);
}

/* link.c */
int zlink_new(struct zctx *ctx, struct zcp_link *req, struct zlink **out);
void zlink_publish(struct zlink *link);
void zlink_put(struct zlink *link);
int zlink_unlink(struct zlink *link, u32 *cancelled);
void zlink_abandon(struct zlink *link, unsigned long until);
void zlink_close(struct zlink *link, bool in_turn);

/* runner.c */
void zlink_kick(struct zlink *link);
void zlink_kick_with_others(struct zlink *link);
void zlink_kick_later(struct zlink *link, unsigned long delay);
void zlink_later(struct timer_list *timer);
bool zlink_try_run(struct zlink *link);
bool zlink_run_or_note(struct zlink *link);
int zlink_wait_run(struct zlink *link, long timeout);
void zlink_end_run(struct zlink *link);
enum hrtimer_restart zlink_timer(struct hrtimer *timer);
int zlink_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key);

/* engine.c */
void zlink_take_turn(struct zlink *link, bool io);
int zlink_queue(struct zlink *link, struct zjob *job);
void zlink_reap_now(struct zlink *link);
void zlink_push_now(struct zlink *link, s64 *budget, struct zbatch **batch);
bool zlink_has_next(struct zlink *link, const struct zjob *job);

/* ending.c */
u32 zlink_una(const struct zlink *link);
u64 zlink_job_acked(struct zlink *link, const struct zjob *job);
void zlink_charge(struct zlink *link, u64 bytes, u32 seq);
bool zlink_waits_for_others(const struct zlink *link);
s64 zlink_room(const struct zlink *link, bool is_short);
bool zlink_reap(struct zlink *link);
bool zlink_end_job(struct zlink *link, struct zjob *job, u8 state, int error);
void zlink_finish_all(struct zlink *link, u32 una, u8 state, int error,
		      u32 *nr, u64 *bytes);
void zlink_finish_others(struct zlink *link);
int zlink_cancel_job(struct zlink *link, struct zjob *job, long timeout,
		     u32 *cancelled);
int zlink_cancel_all(struct zlink *link, u32 *cancelled, u64 *bytes);

#endif /* ZCP_LINK_H */
