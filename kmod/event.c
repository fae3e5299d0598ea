// SPDX-License-Identifier: GPL-2.0-only
/* Events: the queue of final jobs, and reading it. */
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "context.h"
#include "job.h"

/**
 * zctx_post() - Queue the event of a job that has become final
 * @ctx: the context
 * @job: the job, in no list
 */
void zctx_post(struct zctx *ctx, struct zjob *job)
{
	spin_lock(&ctx->lock);
	list_add_tail(&job->entry, &ctx->events);
	spin_unlock(&ctx->lock);
	wake_up_interruptible_poll(&ctx->wait, EPOLLIN | EPOLLRDNORM);
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
	if (job)
		list_del_init(&job->entry);
	spin_unlock(&ctx->lock);
	return job;
}

static void zctx_push_back(struct zctx *ctx, struct zjob *job)
{
	spin_lock(&ctx->lock);
	list_add(&job->entry, &ctx->events);
	spin_unlock(&ctx->lock);
	wake_up_interruptible_poll(&ctx->wait, EPOLLIN | EPOLLRDNORM);
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
		ret = wait_event_interruptible(ctx->wait, zctx_has_event(ctx));
		if (ret)
			return ret;
	}
}

__poll_t zctx_poll(struct zctx *ctx, struct file *file, poll_table *wait)
{
	poll_wait(file, &ctx->wait, wait);
	return zctx_has_event(ctx) ? EPOLLIN | EPOLLRDNORM : 0;
}
