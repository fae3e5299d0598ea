// SPDX-License-Identifier: GPL-2.0-only
/* Contexts: making, finding what they own, and their end. */
#include <linux/cred.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "context.h"
#include "job.h"
#include "link.h"
#include "runq.h"
#include "slab.h"

/* id → context; see struct zctx. */
static DEFINE_XARRAY_FLAGS(zctx_table, XA_FLAGS_ACCOUNT);
static atomic_long_t zctx_last_id = ATOMIC_LONG_INIT(0);
static atomic_t zctx_live = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(zctx_gone);

/* Who opens it: the process, whichever of its threads does. */
static void zctx_set_opener(struct zctx *ctx)
{
	ctx->pid = get_pid(task_tgid(current));
	rcu_read_lock();
	get_task_comm(ctx->comm, current->group_leader);
	rcu_read_unlock();
	ctx->net_cookie = current->nsproxy->net_ns->net_cookie;
}

static void zctx_end_work(struct work_struct *work);

/**
 * zctx_new() - Make a context for the current user
 *
 * Return: the context with the reference of its file, or an ERR_PTR.
 */
struct zctx *zctx_new(void)
{
	struct zctx *ctx;
	int ret;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);

	ctx->user = zuser_get(current_euid());
	if (!ctx->user) {
		kfree(ctx);
		return ERR_PTR(-ENOMEM);
	}

	kref_init(&ctx->ref);
	/* It is these flags that count: those of a call only count where memory is short. */
	xa_init_flags(&ctx->links, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	xa_init_flags(&ctx->jobs, XA_FLAGS_ACCOUNT);
	spin_lock_init(&ctx->lock);
	INIT_LIST_HEAD(&ctx->events);
	init_waitqueue_head(&ctx->wait);
	init_llist_head(&ctx->ready);
	timer_setup(&ctx->timer, zctx_look_later, 0);
	INIT_WORK(&ctx->look, zctx_look_work);
	INIT_WORK(&ctx->end, zctx_end_work);
	zctx_set_opener(ctx);
	ctx->id = atomic_long_inc_return(&zctx_last_id);
	atomic_inc(&zctx_live);
	zslab_account(sizeof(*ctx));
	/* From here on it is seen, and may get more references. */
	ret = xa_insert(&zctx_table, ctx->id, ctx, GFP_KERNEL);
	if (ret) {
		zctx_put(ctx);
		return ERR_PTR(ret);
	}
	return ctx;
}

static void zctx_free(struct zctx *ctx)
{
	struct zlink *link, *next;
	struct zjob *job;
	unsigned long id;

	/* There is no link any more that starts it. */
	timer_delete_sync(&ctx->timer);
	xa_erase(&zctx_table, ctx->id);
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
	put_pid(ctx->pid);
	kfree(ctx);
	zslab_account(-(long)sizeof(*ctx));

	if (atomic_dec_and_test(&zctx_live))
		wake_up_all(&zctx_gone);
}

static void zctx_last_put(struct kref *ref)
{
	struct zctx *ctx = container_of(ref, struct zctx, ref);

	/* Its files may wait for their servers. */
	if (current->flags & PF_KTHREAD && !xa_empty(&ctx->jobs))
		zrunq_queue_end(&ctx->end);
	else
		zctx_free(ctx);
}

void zctx_put(struct zctx *ctx)
{
	kref_put(&ctx->ref, zctx_last_put);
}

static void zctx_close(struct zctx *ctx)
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
	zctx_forget_events(ctx);
	zctx_put(ctx);
}

/* What has no reference is to be freed, what still has its file's to be closed. */
static void zctx_end_work(struct work_struct *work)
{
	struct zctx *ctx = container_of(work, struct zctx, end);

	if (kref_read(&ctx->ref))
		zctx_close(ctx);
	else
		zctx_free(ctx);
}

/**
 * zctx_release() - The file of a context was closed
 * @ctx: the context
 *
 * Every link is closed, here or by the worker that is busy with it, and every
 * job ends; all but those that a worker is busy with let go of their files. Waits
 * for such workers only for a moment, all in all, and not at all in a process that
 * is being killed. The kernel's thread that closes files for the whole system does
 * not wait: a worker does all of it.
 */
void zctx_release(struct zctx *ctx)
{
	if (current->flags & PF_KTHREAD)
		zrunq_queue_end(&ctx->end);
	else
		zctx_close(ctx);
}

/**
 * zctx_wait_all_gone() - Wait until no context is left; for the module's exit
 */
void zctx_wait_all_gone(void)
{
	wait_event(zctx_gone, !atomic_read(&zctx_live));
}

/**
 * zctx_next() - Find the first context whose id is not less than one
 * @id: where to begin
 *
 * Return: the context with a reference, or NULL.
 */
struct zctx *zctx_next(u64 id)
{
	unsigned long index = id;
	struct zctx *ctx;

	if (id > ULONG_MAX)
		return NULL;
	xa_lock(&zctx_table);
	ctx = xa_find(&zctx_table, &index, ULONG_MAX, XA_PRESENT);
	/* One without references is about to leave the table. */
	while (ctx && !kref_get_unless_zero(&ctx->ref))
		ctx = xa_find_after(&zctx_table, &index, ULONG_MAX, XA_PRESENT);
	xa_unlock(&zctx_table);
	return ctx;
}

/**
 * zctx_find() - Find a context by its id
 * @id: the context's id
 *
 * Return: the context with a reference, or NULL.
 */
struct zctx *zctx_find(u64 id)
{
	struct zctx *ctx = zctx_next(id);

	if (!ctx || ctx->id == id)
		return ctx;
	zctx_put(ctx);
	return NULL;
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
 * zctx_next_link() - Find the first link whose id is not less than one
 * @ctx: the context
 * @id: where to begin
 *
 * Return: the link with a reference, or NULL.
 */
struct zlink *zctx_next_link(struct zctx *ctx, u64 id)
{
	unsigned long index = id;
	struct zlink *link;

	if (id > U32_MAX)
		return NULL;
	xa_lock(&ctx->links);
	link = xa_find(&ctx->links, &index, U32_MAX, XA_PRESENT);
	if (link)
		kref_get(&link->ref);
	xa_unlock(&ctx->links);
	return link;
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
