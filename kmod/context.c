// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: making, finding what they own, and their end. */
#include <linux/cred.h>
#include <linux/slab.h>

#include "context.h"
#include "job.h"
#include "link.h"

static atomic_t zctx_live = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(zctx_gone);

/**
 * zctx_new() - Make a context for the current user
 *
 * Return: the context with the reference of its file, or an ERR_PTR.
 */
struct zctx *zctx_new(void)
{
	struct zctx *ctx;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);

	ctx->user = zuser_get(current_euid());
	if (!ctx->user) {
		kfree(ctx);
		return ERR_PTR(-ENOMEM);
	}

	kref_init(&ctx->ref);
	xa_init_flags(&ctx->links, XA_FLAGS_ALLOC1);
	xa_init(&ctx->jobs);
	spin_lock_init(&ctx->lock);
	INIT_LIST_HEAD(&ctx->events);
	init_waitqueue_head(&ctx->wait);
	init_llist_head(&ctx->ready);
	INIT_DELAYED_WORK(&ctx->look, zctx_look_work);
	atomic_inc(&zctx_live);
	return ctx;
}

static void zctx_free(struct kref *ref)
{
	struct zctx *ctx = container_of(ref, struct zctx, ref);
	struct zlink *link, *next;
	struct zjob *job;
	unsigned long id;

	/* Closed, all of them: nothing is left to be done. */
	llist_for_each_entry_safe(link, next, llist_del_all(&ctx->ready), ready)
		zlink_put(link);
	xa_for_each(&ctx->jobs, id, job) {
		xa_erase(&ctx->jobs, id);
		zjob_forget(ctx, job);
	}
	xa_destroy(&ctx->jobs);
	xa_destroy(&ctx->links);
	zuser_put(ctx->user);
	kfree(ctx);

	if (atomic_dec_and_test(&zctx_live))
		wake_up_all(&zctx_gone);
}

void zctx_put(struct zctx *ctx)
{
	kref_put(&ctx->ref, zctx_free);
}

/**
 * zctx_release() - The file of a context was closed
 * @ctx: the context
 *
 * Every link is closed, here or by the worker that is busy with it, and every
 * job ends. Waits for such workers only for a moment, all in all, and not at
 * all in a process that is being killed.
 */
void zctx_release(struct zctx *ctx)
{
	unsigned long until = jiffies + HZ;
	struct zlink *link;
	unsigned long id;

	xa_for_each(&ctx->links, id, link)
		set_bit(ZLINK_ENDING, &link->bits);
	xa_for_each(&ctx->links, id, link) {
		xa_erase(&ctx->links, id);
		zlink_abandon(link, until);
		zlink_put(link);
	}
	if (cancel_delayed_work(&ctx->look))
		zctx_put(ctx);
	zctx_put(ctx);
}

/**
 * zctx_wait_all_gone() - Wait until no context is left; for the module's exit
 */
void zctx_wait_all_gone(void)
{
	wait_event(zctx_gone, !atomic_read(&zctx_live));
}

/**
 * zctx_find_link() - Find a link by its id
 * @ctx: the context
 * @id: the link's id
 *
 * Return: the link with a reference, or NULL.
 */
struct zlink *zctx_find_link(struct zctx *ctx, u32 id)
{
	struct zlink *link;

	xa_lock(&ctx->links);
	link = xa_load(&ctx->links, id);
	if (link)
		kref_get(&link->ref);
	xa_unlock(&ctx->links);
	return link;
}

/**
 * zctx_find_job() - Find a job by its id
 * @ctx: the context
 * @id: the job's id
 *
 * Return: the job with a reference, or NULL.
 */
struct zjob *zctx_find_job(struct zctx *ctx, u64 id)
{
	struct zjob *job;

	if (id > ULONG_MAX)
		return NULL;
	xa_lock(&ctx->jobs);
	job = xa_load(&ctx->jobs, id);
	if (job)
		kref_get(&job->ref);
	xa_unlock(&ctx->jobs);
	return job;
}

/**
 * zctx_next_job() - Find the first job whose id is not less than one
 * @ctx: the context
 * @id: where to begin
 *
 * Return: the job with a reference, or NULL.
 */
struct zjob *zctx_next_job(struct zctx *ctx, u64 id)
{
	unsigned long index = id;
	struct zjob *job;

	if (id > ULONG_MAX)
		return NULL;
	xa_lock(&ctx->jobs);
	job = xa_find(&ctx->jobs, &index, ULONG_MAX, XA_PRESENT);
	if (job)
		kref_get(&job->ref);
	xa_unlock(&ctx->jobs);
	return job;
}
