// SPDX-License-Identifier: GPL-2.0-only
/* Events: the queue of final jobs, and reading it. */
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "context.h"
#include "job.h"
#include "limit.h"
#include "link.h"
#include "runq.h"
#include "slab.h"

#define ZLOOK_DELAY	max(HZ / 200, 1)	/* when nobody takes the turns sooner */

static void zctx_wake(struct zctx *ctx)
{
	/* With a barrier, which pairs with the one of who begins to wait. */
	if (wq_has_sleeper(&ctx->wait))
		wake_up_interruptible_poll(&ctx->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * zctx_ready() - Acknowledgments for a link have come
 * @ctx: the context
 * @link: the link; the caller stands in its callback
 *
 * Who waits for events takes the link's turn himself, which saves a change to
 * a worker and back for each; who comes to read them later takes the turns of
 * all that are ready by then. A worker does it when nobody has for a while: one
 * called at once, for each acknowledgment, would take the CPU from the receiver
 * of a loopback connection, or from what else runs where packets arrive. So would
 * one every few milliseconds, now and then, when a reader keeps up with them.
 */
void zctx_ready(struct zctx *ctx, struct zlink *link)
{
	if (test_and_set_bit(ZLINK_READY, &link->bits))
		return;
	kref_get(&link->ref);
	/* Not the first: somebody was called for that one, and takes all. */
	if (!llist_add(&link->ready, &ctx->ready))
		return;
	zctx_wake(ctx);
	if (!timer_pending(&ctx->timer))
		WRITE_ONCE(ctx->looked, false);
	timer_reduce(&ctx->timer, jiffies + ZLOOK_DELAY);
}

/**
 * zctx_look_later() - Call a worker unless somebody looks by himself
 * @timer: zctx.timer
 *
 * What is there now has come since the last look, or there was none.
 */
void zctx_look_later(struct timer_list *timer)
{
	struct zctx *ctx = container_of(timer, struct zctx, timer);

	/* Pairs with llist_add(): who still finds the timer pending has his link seen. */
	smp_mb();
	if (llist_empty(&ctx->ready))
		return;
	if (READ_ONCE(ctx->looked)) {
		WRITE_ONCE(ctx->looked, false);
		timer_reduce(timer, jiffies + ZLOOK_DELAY);
		return;
	}
	if (test_and_set_bit(0, &ctx->called))
		return;
	/* In its end nothing needs it. */
	if (kref_get_unless_zero(&ctx->ref))
		zrunq_queue(&ctx->look);
}

/**
 * zctx_look() - Take the turns of links that are ready
 * @ctx: the context
 */
void zctx_look(struct zctx *ctx)
{
	s64 budget = ZTURN_INLINE;
	struct zbatch *batch = NULL;
	struct zlink *link, *next;
	struct llist_node *first;

	if (llist_empty(&ctx->ready))
		return;
	WRITE_ONCE(ctx->looked, true);
	first = llist_reverse_order(llist_del_all(&ctx->ready));
	llist_for_each_entry_safe(link, next, first, ready) {
		clear_bit(ZLINK_READY, &link->bits);
		/* What comes from here on is a new call: the turn is after it. */
		smp_mb__after_atomic();
		zlink_push_now(link, &budget, &batch);
		zlink_put(link);
		cond_resched();
	}
	zbatch_free(batch);
}

void zctx_look_work(struct work_struct *work)
{
	struct zctx *ctx = container_of(work, struct zctx, look);
	struct zlink *link, *next;

	clear_bit(0, &ctx->called);
	/* What comes from here on calls again; what was there before is looked at. */
	smp_mb__after_atomic();
	/* Turns are of their user's share: one may wait for who has a socket's lock. */
	llist_for_each_entry_safe(link, next, llist_reverse_order(llist_del_all(&ctx->ready)),
				  ready) {
		clear_bit(ZLINK_READY, &link->bits);
		/* What comes from here on is a new call: the turn is after it. */
		smp_mb__after_atomic();
		zlink_reap_now(link);
		zlink_put(link);
		cond_resched();
	}
	zctx_put(ctx);
}

/**
 * zctx_post() - Queue the event of a job that has become final
 * @ctx: the context
 * @job: the job, in no list
 */
void zctx_post(struct zctx *ctx, struct zjob *job)
{
	spin_lock(&ctx->lock);
	list_add_tail(&job->entry, &ctx->events);
	ctx->nr_events++;
	spin_unlock(&ctx->lock);
	zctx_wake(ctx);
}

static bool zctx_has_event(struct zctx *ctx)
{
	return !list_empty_careful(&ctx->events);
}

static struct zjob *zctx_pop(struct zctx *ctx)
{
	struct zjob *job;

	spin_lock(&ctx->lock);
	job = list_first_entry_or_null(&ctx->events, struct zjob, entry);
	if (job) {
		list_del_init(&job->entry);
		ctx->nr_events--;
	}
	spin_unlock(&ctx->lock);
	return job;
}

static void zctx_push_back(struct zctx *ctx, struct zjob *job)
{
	spin_lock(&ctx->lock);
	list_add(&job->entry, &ctx->events);
	ctx->nr_events++;
	spin_unlock(&ctx->lock);
	zctx_wake(ctx);
}

/**
 * zctx_forget_events() - Nobody will read the events
 * @ctx: a context whose file is closed
 *
 * Their jobs let go of their files now, whoever still looks at the context.
 */
void zctx_forget_events(struct zctx *ctx)
{
	struct zjob *job;

	while ((job = zctx_pop(ctx))) {
		xa_erase(&ctx->jobs, job->id);
		zjob_forget(ctx, job);
		cond_resched();
	}
}

/**
 * zctx_read() - Read events
 * @ctx: the context
 * @buf: where to
 * @len: bytes there
 * @nonblock: do not wait
 *
 * An event is gone only when it has been copied out: one that could not be is
 * the next again.
 *
 * Return: bytes, or a negative errno.
 */
ssize_t zctx_read(struct zctx *ctx, char __user *buf, size_t len, bool nonblock)
{
	struct zcp_event ev;
	struct zjob *job;
	size_t done = 0;
	int ret;

	if (len < sizeof(ev))
		return -EINVAL;

	for (;;) {
		zctx_look(ctx);
		while (done + sizeof(ev) <= len) {
			job = zctx_pop(ctx);
			if (!job)
				break;
			zjob_event(job, &ev);
			if (copy_to_user(buf + done, &ev, sizeof(ev))) {
				zctx_push_back(ctx, job);
				return done ? done : -EFAULT;
			}
			done += sizeof(ev);
			xa_erase(&ctx->jobs, job->id);
			zjob_forget(ctx, job);
			cond_resched();
		}
		if (done)
			return done;
		if (nonblock)
			return -EAGAIN;
		ret = wait_event_interruptible(ctx->wait, zctx_has_event(ctx) ||
					       !llist_empty(&ctx->ready));
		if (ret)
			return ret;
	}
}

__poll_t zctx_poll(struct zctx *ctx, struct file *file, poll_table *wait)
{
	poll_wait(file, &ctx->wait, wait);
	zctx_look(ctx);
	return zctx_has_event(ctx) ? EPOLLIN | EPOLLRDNORM : 0;
}
