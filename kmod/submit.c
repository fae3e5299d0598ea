// SPDX-License-Identifier: GPL-2.0-only
/* Submission: reading jobs from user memory, checking and queueing them. */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fsnotify.h>
#include <linux/memcontrol.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "link.h"
#include "nocache.h"
#include "runq.h"
#include "slab.h"
#include "source.h"

#define ZSUBMIT_MANY	16		/* jobs, of a long batch */
#define ZSUBMIT_LONG	(512 * 1024)	/* bytes, which take many turns */

static atomic_long_t zjob_last_id = ATOMIC_LONG_INIT(0);

static int zseg_take_file(struct zseg *seg, const struct zcp_segment *req)
{
	struct file *file;
	loff_t size;
	int ret;

	if (req->flags & ~ZCP_SEGMENT_TO_EOF)
		return -EOPNOTSUPP;
	seg->to_eof = req->flags & ZCP_SEGMENT_TO_EOF;
	if (seg->to_eof && req->len)
		return -EINVAL;
	if (req->addr > LLONG_MAX || req->len > LLONG_MAX - req->addr)
		return -EINVAL;

	file = fget(req->fd);
	if (!file)
		return -EBADF;
	seg->file = file;
	ret = zsource_check(file);
	if (ret)
		return ret;

	seg->pos = req->addr;
	size = i_size_read(file_inode(file));
	if (seg->to_eof)
		seg->left = size > seg->pos ? size - seg->pos : 0;
	else
		seg->left = req->len;
	if (!seg->to_eof && seg->left && zsource_is_cached(file) &&
	    seg->pos + (loff_t)seg->left > size)
		return -ENODATA;

	ret = rw_verify_area(READ, file, &seg->pos,
			     min_t(u64, seg->left, MAX_RW_COUNT));
	if (ret)
		return ret;
	seg->small = seg->left < READ_ONCE(zcp_small_bytes);
	return 0;
}

static int zseg_check_inline(const struct zcp_segment *req, u32 *total)
{
	if (req->flags)
		return -EOPNOTSUPP;
	if (req->fd != -1)
		return -EINVAL;
	if (req->len > ZCP_MAX_INLINE || *total + req->len > ZCP_MAX_INLINE)
		return -EINVAL;
	*total += req->len;
	return 0;
}

static int zjob_take_inline(struct zctx *ctx, struct zjob *job,
			    const struct zcp_segment *reqs, u32 *limit)
{
	u32 total = 0, i;
	int ret;

	for (i = 0; i < job->nr_segs; i++) {
		if (reqs[i].type != ZCP_SEGMENT_INLINE)
			continue;
		ret = zseg_check_inline(&reqs[i], &total);
		if (ret)
			return ret;
	}
	if (!total)
		return 0;

	if (atomic64_add_return(total, &ctx->inline_bytes) >
	    zcp_max_inline_total) {
		atomic64_sub(total, &ctx->inline_bytes);
		*limit = ZCP_LIMIT_INLINE;
		return -EAGAIN;
	}
	job->inline_len = total;
	/* How much is up to the user: that it is too much is no news for the log. */
	if (total > ZSLAB_INLINE)
		job->inline_data = kvmalloc(total, GFP_KERNEL_ACCOUNT |
						   __GFP_NOWARN);
	else
		job->inline_data = kmem_cache_alloc(zslab_inline,
						    GFP_KERNEL_ACCOUNT);
	if (!job->inline_data)
		return -ENOMEM;

	total = 0;
	for (i = 0; i < job->nr_segs; i++) {
		struct zseg *seg = &job->segs[i];

		if (reqs[i].type != ZCP_SEGMENT_INLINE)
			continue;
		seg->data = job->inline_data + total;
		seg->left = reqs[i].len;
		if (copy_from_user(job->inline_data + total,
				   u64_to_user_ptr(reqs[i].addr), reqs[i].len))
			return -EFAULT;
		total += reqs[i].len;
	}
	return 0;
}

static int zjob_take_segments(struct zctx *ctx, struct zjob *job,
			      const struct zcp_segment *reqs, u32 *limit)
{
	u32 i;
	int ret;

	for (i = 0; i < job->nr_segs; i++) {
		if (reqs[i].__reserved)
			return -EOPNOTSUPP;
		if (reqs[i].type == ZCP_SEGMENT_INLINE)
			continue;
		if (reqs[i].type != ZCP_SEGMENT_FILE)
			return -EINVAL;
		ret = zseg_take_file(&job->segs[i], &reqs[i]);
		if (!ret && job->nocache)
			ret = znocache_check(job->segs[i].file);
		if (ret)
			return ret;
	}
	ret = zjob_take_inline(ctx, job, reqs, limit);
	if (ret)
		return ret;
	for (i = 0; i < job->nr_segs; i++) {
		if (check_add_overflow(job->total, job->segs[i].left,
				       &job->total))
			return -EINVAL;
	}
	if (job->segs[0].file)
		zsource_ra_init(&job->ra, job->segs[0].file);
	return 0;
}

static int zjob_take_limits(struct zctx *ctx, u32 *limit)
{
	if (!zlimit_take(&ctx->nr_jobs, zcp_max_jobs)) {
		*limit = ZCP_LIMIT_JOBS;
		return -EAGAIN;
	}
	if (!zlimit_take(&ctx->user->jobs, zcp_max_user_jobs)) {
		zlimit_give(&ctx->nr_jobs);
		*limit = ZCP_LIMIT_USER_JOBS;
		return -EAGAIN;
	}
	return 0;
}

static int zjob_check(const struct zcp_job *req)
{
	if (req->flags & ~ZCP_JOB_NOCACHE)
		return -EOPNOTSUPP;
	if (req->rate > ZPACE_MAX_RATE)
		return -EINVAL;
	/* What is not known to be acknowledged cannot be dropped. */
	if ((req->flags & ZCP_JOB_NOCACHE) &&
	    req->complete != ZCP_COMPLETE_ACKED)
		return -EOPNOTSUPP;
	if (req->mode > ZCP_MODE_COPY || req->complete > ZCP_COMPLETE_SENT)
		return -EOPNOTSUPP;
	if (!req->nr_segments ||
	    req->nr_segments > min(READ_ONCE(zcp_max_segments), 1024U))
		return -EINVAL;
	return 0;
}

/* Make a job from a request. Nothing can find it yet. */
static struct zjob *zjob_make(struct zctx *ctx, struct zlink *link,
			      const struct zcp_job *req, u32 *limit)
{
	struct zcp_segment few[ZSLAB_JOB_SEGS], *reqs = few;
	struct zjob *job;
	int ret;

	if (req->nr_segments > ARRAY_SIZE(few)) {
		reqs = memdup_user(u64_to_user_ptr(req->segments),
				   array_size(req->nr_segments, sizeof(*reqs)));
		if (IS_ERR(reqs))
			return ERR_CAST(reqs);
	} else if (copy_from_user(few, u64_to_user_ptr(req->segments),
				  req->nr_segments * sizeof(*few))) {
		return ERR_PTR(-EFAULT);
	}

	ret = zjob_take_limits(ctx, limit);
	if (ret)
		goto err_reqs;
	if (req->nr_segments > ZSLAB_JOB_SEGS)
		job = kzalloc(struct_size(job, segs, req->nr_segments),
			      GFP_KERNEL_ACCOUNT);
	else
		job = kmem_cache_zalloc(zslab_job, GFP_KERNEL_ACCOUNT);
	if (!job) {
		zlimit_give(&ctx->user->jobs);
		zlimit_give(&ctx->nr_jobs);
		ret = -ENOMEM;
		goto err_reqs;
	}

	kref_init(&job->ref);
	INIT_LIST_HEAD(&job->entry);
	job->state = ZCP_STATE_QUEUED;
	job->mode = req->mode;
	job->complete = req->complete;
	job->flags = req->flags;
	job->pace.rate = req->rate;
	job->user_data = req->user_data;
	job->nr_segs = req->nr_segments;
	/* Every taker of a reference writes the same 0 there. */
	job->cred = data_race(get_current_cred());
	job->memcg = get_mem_cgroup_from_mm(current->mm);
	kref_get(&link->ref);
	job->link = link;
	job->link_id = link->id;

	if (job->flags & ZCP_JOB_NOCACHE) {
		job->nocache = znocache_new();
		ret = job->nocache ? 0 : -ENOMEM;
	}
	if (!ret)
		ret = zjob_take_segments(ctx, job, reqs, limit);
	zslab_account(zjob_memory(job));
	if (ret) {
		zjob_forget(ctx, job);
		goto err_reqs;
	}
	if (reqs != few)
		kfree(reqs);
	return job;

err_reqs:
	if (reqs != few)
		kfree(reqs);
	return ERR_PTR(ret);
}

/* Reserve the id, tell it, and only then let the job go. */
static int zjob_launch(struct zctx *ctx, struct zlink *link, struct zjob *job,
		       u64 __user *id_ptr)
{
	int ret;

	job->id = atomic_long_inc_return(&zjob_last_id);
	job->submitted = ktime_get();
	ret = xa_reserve(&ctx->jobs, job->id, GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret;
	if (put_user(job->id, id_ptr)) {
		ret = -EFAULT;
		goto err_reserve;
	}
	ret = zlink_queue(link, job);
	if (ret) {
		/* The id of a job that was not accepted; a fault is as good. */
		if (put_user(0, id_ptr))
			ret = -EFAULT;
		goto err_reserve;
	}
	return 0;

err_reserve:
	xa_release(&ctx->jobs, job->id);
	return ret;
}

/* In mode zerocopy a path that would copy is refused before the job is. */
static int zjob_check_path(struct zlink *link, const struct zjob *job,
			   u32 *reason)
{
	struct sock *sk;
	u32 i;

	if (job->mode != ZCP_MODE_ZEROCOPY)
		return 0;
	for (i = 0; i < job->nr_segs && !job->segs[i].file; i++)
		;
	if (i == job->nr_segs)
		return 0;

	spin_lock(&link->lock);
	sk = link->sk;
	/* Not its file: UNLINK does not wait for this, and the connection must end. */
	if (sk)
		sock_hold(sk);
	spin_unlock(&link->lock);
	if (!sk)
		return -ENOENT;
	*reason = zpath_reason(sk);
	sock_put(sk);
	if (*reason == ZCP_REASON_NONE)
		return 0;
	/* A connection that has ended has no route either. */
	if (zlink_is_ending(link)) {
		*reason = ZCP_REASON_NONE;
		return test_bit(ZLINK_BROKEN, &link->bits) ? -ESHUTDOWN : -ENOENT;
	}
	return -EOPNOTSUPP;
}

/*
 * A read, also when the page cache is only looked at. It is told here, where it is the
 * caller's, and where who runs the job's turns does not wait for a file system's journal.
 */
static void zjob_tell_access(const struct zjob *job)
{
	u32 i;

	for (i = 0; i < job->nr_segs; i++) {
		const struct zseg *seg = &job->segs[i];

		if (!seg->file || (!seg->left && !seg->to_eof))
			continue;
		file_accessed(seg->file);
		fsnotify_access(seg->file);
	}
}

static int zctx_submit_one(struct zctx *ctx, struct zlink *link,
			   const struct zcp_job *req, u64 __user *id_ptr,
			   struct zcp_submit *reply, u64 *total)
{
	struct zjob *job;
	int ret;

	if (test_bit(ZLINK_BROKEN, &link->bits))
		return -ESHUTDOWN;
	job = zjob_make(ctx, link, req, &reply->limit);
	if (IS_ERR(job))
		return PTR_ERR(job);
	*total += job->total;
	ret = zjob_check_path(link, job, &reply->reason);
	if (!ret) {
		zjob_tell_access(job);
		ret = zjob_launch(ctx, link, job, id_ptr);
	}
	if (ret)
		zjob_forget(ctx, job);
	return ret;
}

/* Read one element of the batch, as every structure of the ABI is read. */
static int zctx_fetch_job(const void __user *from, u32 stride,
			  struct zcp_job *req)
{
	u32 size;
	int ret;

	if (get_user(size, (u32 __user *)from))
		return -EFAULT;
	if (size < offsetofend(struct zcp_job, id) || size > stride)
		return -EINVAL;
	ret = copy_struct_from_user(req, sizeof(*req), from, size);
	if (ret)
		return ret;
	return req->size == size ? 0 : -EINVAL;
}

/**
 * struct zstart - How the links of a batch begin
 * @many: the batch is long
 * @bytes: of the jobs that the current link got
 * @waiting: links that wait for the end of the batch
 * @budget: bytes that may be pushed here
 * @batch: memory to work with
 */
struct zstart {
	bool many;
	u64 bytes;
	unsigned int waiting;
	s64 budget;
	struct zbatch *batch;
};

/*
 * What takes many turns waits until all of a long batch is queued, which takes
 * little time beside it. Else workers give the first links one turn after the
 * other, while the last ones are not there yet.
 */
static void zlink_start(struct zlink *link, struct zstart *start, bool last)
{
	if (start->bytes >= ZSUBMIT_LONG &&
	    (start->waiting || (start->many && !last))) {
		zlink_kick_with_others(link);
		start->waiting++;
	} else {
		zlink_push_now(link, &start->budget, &start->batch);
	}
	start->bytes = 0;
}

/*
 * The jobs are queued in order until one is refused. Each time the batch
 * leaves a link for another, and at its end, that link starts: by its first
 * push here, within one budget for the whole batch, or with all others.
 */
static int zctx_submit_batch(struct zctx *ctx, struct zcp_submit *req)
{
	struct zstart start = {
		.many = req->nr_jobs > ZSUBMIT_MANY,
		.budget = ZTURN_INLINE,
	};
	struct zlink *link = NULL;
	int ret = 0;
	u32 i;

	for (i = 0; i < req->nr_jobs; i++) {
		void __user *from = u64_to_user_ptr(req->jobs) +
				    (size_t)i * req->job_size;
		u64 __user *id_ptr = from + offsetof(struct zcp_job, id);
		struct zcp_job job;

		ret = zctx_fetch_job(from, req->job_size, &job);
		if (!ret)
			ret = zjob_check(&job);
		if (ret)
			break;
		if (!link || link->id != job.link) {
			if (link) {
				zlink_start(link, &start, false);
				zlink_put(link);
			}
			link = zctx_find_link(ctx, job.link);
			if (!link) {
				ret = -ENOENT;
				break;
			}
		}
		ret = zctx_submit_one(ctx, link, &job, id_ptr, req, &start.bytes);
		if (ret)
			break;
		req->accepted++;
		cond_resched();
		if (fatal_signal_pending(current))
			break;
	}
	if (link) {
		zlink_start(link, &start, true);
		zlink_put(link);
	}
	zrunq_call(start.waiting);
	zbatch_free(start.batch);
	return ret;
}

static int zctx_check_batch(const struct zcp_submit *req)
{
	if (req->flags)
		return -EOPNOTSUPP;
	if (!req->nr_jobs || req->nr_jobs > READ_ONCE(zcp_max_batch) ||
	    req->job_size < offsetofend(struct zcp_job, id) ||
	    req->job_size > PAGE_SIZE)
		return -EINVAL;
	if (req->events_len && req->events_len < sizeof(struct zcp_event))
		return -EINVAL;
	return 0;
}

/**
 * zctx_submit() - Submit a batch of jobs
 * @ctx: the context
 * @req: the batch; its outputs are filled in, but for events, which are the caller's
 *
 * Return: 0 when at least one was accepted, or a negative errno.
 */
int zctx_submit(struct zctx *ctx, struct zcp_submit *req)
{
	int ret;

	req->accepted = 0;
	req->limit = ZCP_LIMIT_NONE;
	req->reason = ZCP_REASON_NONE;
	req->events_read = 0;
	ret = zctx_check_batch(req);
	if (!ret)
		ret = zctx_submit_batch(ctx, req);
	req->error = -ret;
	return req->accepted ? 0 : ret;
}
