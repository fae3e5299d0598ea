// SPDX-License-Identifier: GPL-2.0-only
/* The device: its file operations, and the table of its ioctls. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "context.h"
#include "dev.h"
#include "job.h"
#include "link.h"
#include "xfer.h"

union zcmd_buffer {
	struct zcp_info info;
	struct zcp_link link;
	struct zcp_unlink unlink;
	struct zcp_submit submit;
	struct zcp_cancel cancel;
	struct zcp_status status;
	struct zcp_xfer xfer;
};

/**
 * struct zcmd - A command on its way
 * @ctx: the context
 * @user: the caller's structure
 * @size: its size, from the caller
 * @cmd: our copy, with zeros where the caller's is shorter
 */
struct zcmd {
	struct zctx *ctx;
	void __user *user;
	u32 size;
	void *cmd;
};

static int zcmd_reply(const struct zcmd *c, size_t size)
{
	if (copy_to_user(c->user, c->cmd, min_t(size_t, c->size, size)))
		return -EFAULT;
	return 0;
}

static int zcmd_info(struct zcmd *c)
{
	struct zcp_info *info = c->cmd;

	if (info->flags || info->__reserved)
		return -EOPNOTSUPP;
	info->features = ZCP_FEATURE_NOCACHE | ZCP_FEATURE_RATE |
			 ZCP_FEATURE_HEADER | ZCP_FEATURE_SUBMIT_EVENTS;
	info->modes = BIT(ZCP_MODE_AUTO) | BIT(ZCP_MODE_ZEROCOPY) |
		      BIT(ZCP_MODE_COPY);
	info->reasons = GENMASK(ZCP_REASON_COUNT - 1, 1);
	info->link_flags = ZCP_LINK_CONTINUE;
	info->submit_flags = 0;
	info->job_flags = ZCP_JOB_NOCACHE;
	info->segment_flags = ZCP_SEGMENT_TO_EOF;
	info->cancel_flags = ZCP_CANCEL_LINK;
	info->status_flags = ZCP_STATUS_NEXT;
	info->xfer_flags = ZCP_XFER_NONBLOCK | ZCP_XFER_MORE;
	info->event_size = sizeof(struct zcp_event);
	info->max_links = READ_ONCE(zcp_max_links);
	info->max_jobs = READ_ONCE(zcp_max_jobs);
	info->max_user_links = READ_ONCE(zcp_max_user_links);
	info->max_user_jobs = READ_ONCE(zcp_max_user_jobs);
	info->max_segments = min(READ_ONCE(zcp_max_segments), 1024U);
	info->max_batch = READ_ONCE(zcp_max_batch);
	info->max_inline = ZCP_MAX_INLINE;
	info->small_bytes = READ_ONCE(zcp_small_bytes);
	info->quota_bytes = READ_ONCE(zcp_quota_bytes);
	info->max_inline_total = READ_ONCE(zcp_max_inline_total);
	info->max_inflight = (u64)READ_ONCE(zcp_max_inflight) << 20;
	info->max_user_inflight = (u64)READ_ONCE(zcp_max_user_inflight) << 20;
	return zcmd_reply(c, sizeof(*info));
}

static int zcmd_link(struct zcmd *c)
{
	struct zcp_link *req = c->cmd;
	struct zlink *link;
	int ret;

	ret = zlink_new(c->ctx, req, &link);
	if (ret) {
		if (ret == -EAGAIN && zcmd_reply(c, sizeof(*req)))
			return -EFAULT;
		return ret;
	}
	ret = zcmd_reply(c, sizeof(*req));
	if (ret) {
		xa_erase(&c->ctx->links, link->id);
		zlink_abandon(link, jiffies + HZ);
		zlink_put(link);
		return ret;
	}
	zlink_publish(link);
	return 0;
}

static int zcmd_unlink(struct zcmd *c)
{
	struct zcp_unlink *req = c->cmd;
	struct zlink *link;
	int ret;

	if (req->flags)
		return -EOPNOTSUPP;
	/* Not an id that is only reserved: that one is its maker's. */
	xa_lock(&c->ctx->links);
	link = xa_load(&c->ctx->links, req->link);
	if (link)
		__xa_erase(&c->ctx->links, req->link);
	xa_unlock(&c->ctx->links);
	if (!link)
		return -ENOENT;
	ret = zlink_unlink(link, &req->cancelled);
	zlink_put(link);
	return ret ?: zcmd_reply(c, sizeof(*req));
}

static int zcmd_submit(struct zcmd *c)
{
	struct zcp_submit *req = c->cmd;
	ssize_t n;
	int ret;

	ret = zctx_submit(c->ctx, req);
	if (zcmd_reply(c, sizeof(*req)))
		return -EFAULT;
	if (!req->events_len || (ret && ret != -EAGAIN))
		return ret;
	/* Not before it is known that the caller can be told how many. */
	n = zctx_read(c->ctx, u64_to_user_ptr(req->events), req->events_len,
		      true);
	if (n <= 0)
		return ret;
	req->events_read = n;
	return zcmd_reply(c, sizeof(*req)) ? -EFAULT : ret;
}

static int zcmd_cancel_link(struct zcmd *c)
{
	struct zcp_cancel *req = c->cmd;
	struct zlink *link;
	int ret;

	if (req->job)
		return -EINVAL;
	link = zctx_find_link(c->ctx, req->link);
	if (!link)
		return -ENOENT;
	ret = zlink_cancel_all(link, &req->cancelled, &req->bytes_sent);
	zlink_put(link);
	req->state = 0;
	return ret ?: zcmd_reply(c, sizeof(*req));
}

static int zcmd_cancel(struct zcmd *c)
{
	struct zcp_cancel *req = c->cmd;
	struct zjob *job;
	int ret;

	if ((req->flags & ~ZCP_CANCEL_LINK) || req->__reserved)
		return -EOPNOTSUPP;
	if (req->flags & ZCP_CANCEL_LINK)
		return zcmd_cancel_link(c);
	if (req->link)
		return -EINVAL;
	job = zctx_find_job(c->ctx, req->job);
	if (!job)
		return -ENOENT;
	ret = zlink_cancel_job(job->link, job, MAX_SCHEDULE_TIMEOUT,
			       &req->cancelled);
	req->state = READ_ONCE(job->state);
	req->bytes_sent = READ_ONCE(job->sent);
	zjob_put(job);
	return ret ?: zcmd_reply(c, sizeof(*req));
}

static int zcmd_status(struct zcmd *c)
{
	struct zcp_status *req = c->cmd;
	struct zjob *job;

	if (req->flags & ~ZCP_STATUS_NEXT)
		return -EOPNOTSUPP;
	if (req->flags & ZCP_STATUS_NEXT)
		job = zctx_next_job(c->ctx, req->job);
	else
		job = zctx_find_job(c->ctx, req->job);
	if (!job)
		return -ENOENT;
	zctx_look(c->ctx);
	zjob_status(job, req);
	zjob_put(job);
	return zcmd_reply(c, sizeof(*req));
}

static int zcmd_xfer(struct zcmd *c)
{
	struct zcp_xfer *req = c->cmd;
	int ret;

	ret = zxfer(req);
	if (zcmd_reply(c, sizeof(*req)))
		return -EFAULT;
	return ret;
}

/**
 * struct zcmd_op - A row of the command table
 * @nr: the command's number
 * @size: of its structure
 * @min_size: what the first version of the structure had
 * @execute: its handler, which replies by itself
 */
struct zcmd_op {
	unsigned int nr;
	u32 size;
	u32 min_size;
	int (*execute)(struct zcmd *c);
};

#define ZCMD_OP(_cmd, _fn, _struct, _last)				\
	{								\
		.nr = _cmd,						\
		.size = sizeof(_struct),				\
		.min_size = offsetofend(_struct, _last),		\
		.execute = _fn,						\
	}

/* In the order of their numbers. */
static const struct zcmd_op zcmd_ops[] = {
	ZCMD_OP(ZCP_IOC_INFO, zcmd_info, struct zcp_info, max_user_inflight),
	ZCMD_OP(ZCP_IOC_LINK, zcmd_link, struct zcp_link, path_ifname),
	ZCMD_OP(ZCP_IOC_UNLINK, zcmd_unlink, struct zcp_unlink, cancelled),
	ZCMD_OP(ZCP_IOC_SUBMIT, zcmd_submit, struct zcp_submit, reason),
	ZCMD_OP(ZCP_IOC_CANCEL, zcmd_cancel, struct zcp_cancel, bytes_sent),
	ZCMD_OP(ZCP_IOC_STATUS, zcmd_status, struct zcp_status, copied),
	ZCMD_OP(ZCP_IOC_XFER, zcmd_xfer, struct zcp_xfer, copy_reason),
};

static long zcp_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	union zcmd_buffer buf;
	struct zcmd c = {
		.ctx = file->private_data,
		.user = (void __user *)arg,
		.cmd = &buf,
	};
	const struct zcmd_op *op;
	unsigned int index = _IOC_NR(nr) - ZCP_CMD_BASE;
	int ret;

	if (index >= ARRAY_SIZE(zcmd_ops))
		return -ENOTTY;
	op = &zcmd_ops[index];
	if (op->nr != nr)
		return -ENOTTY;

	if (get_user(c.size, (u32 __user *)c.user))
		return -EFAULT;
	if (c.size < op->min_size)
		return -EINVAL;
	if (c.size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&buf, op->size, c.user, c.size);
	if (ret)
		return ret;
	/* The reply starts with @size as first read, whatever it is by now. */
	*(u32 *)&buf = c.size;
	return op->execute(&c);
}

static int zcp_open(struct inode *inode, struct file *file)
{
	struct zctx *ctx = zctx_new();

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	file->private_data = ctx;
	return stream_open(inode, file);
}

static int zcp_release(struct inode *inode, struct file *file)
{
	zctx_release(file->private_data);
	return 0;
}

static ssize_t zcp_read(struct file *file, char __user *buf, size_t len,
			loff_t *pos)
{
	return zctx_read(file->private_data, buf, len,
			 file->f_flags & O_NONBLOCK);
}

static __poll_t zcp_poll(struct file *file, poll_table *wait)
{
	return zctx_poll(file->private_data, file, wait);
}

static const struct file_operations zcp_fops = {
	.owner = THIS_MODULE,
	.open = zcp_open,
	.release = zcp_release,
	.read = zcp_read,
	.poll = zcp_poll,
	.unlocked_ioctl = zcp_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

struct miscdevice zcp_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "zcp",
	.fops = &zcp_fops,
	.mode = 0660,
};
