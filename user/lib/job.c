// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Jobs: batches of segments, their progress, and synchronous transfers.
 */
#include <limits.h>

#include "internal.h"

void zcp_segment_file(struct zcp_segment *segment, int fd, uint64_t offset, uint64_t length)
{
	memset(segment, 0, sizeof(*segment));
	segment->type = ZCP_SEGMENT_FILE;
	segment->fd = fd;
	segment->addr = offset;
	if (length == ZCP_TO_EOF)
		segment->flags = ZCP_SEGMENT_TO_EOF;
	else
		segment->len = length;
}

void zcp_segment_inline(struct zcp_segment *segment, const void *data, size_t length)
{
	memset(segment, 0, sizeof(*segment));
	segment->type = ZCP_SEGMENT_INLINE;
	segment->fd = -1;
	segment->addr = (uintptr_t)data;
	segment->len = length;
}

int zcp_job_submit(struct zcp_ctx *ctx, struct zcp_job *jobs, unsigned int count,
		   struct zcp_submit *reply)
{
	struct zcp_submit local = { .size = sizeof(local) };
	int ret;

	if (!jobs || !count || count > INT_MAX)
		return -EINVAL;
	if (!reply)
		reply = &local;
	reply->flags = 0;
	reply->jobs = (uintptr_t)jobs;
	reply->nr_jobs = count;
	reply->job_size = jobs[0].size;
	reply->accepted = 0;
	reply->error = 0;
	reply->limit = ZCP_LIMIT_NONE;
	reply->reason = ZCP_REASON_NONE;

	ret = zcp_ioctl(ctx, ZCP_IOC_SUBMIT, reply);
	return ret ? ret : (int)reply->accepted;
}

int zcp_job_cancel(struct zcp_ctx *ctx, uint64_t job, struct zcp_cancel *reply)
{
	struct zcp_cancel local = { .size = sizeof(local) };

	if (!reply)
		reply = &local;
	reply->flags = 0;
	reply->job = job;
	reply->link = 0;
	reply->__reserved = 0;
	return zcp_ioctl(ctx, ZCP_IOC_CANCEL, reply);
}

static int job_status(const struct zcp_ctx *ctx, uint64_t job, uint32_t flags,
		      struct zcp_status *status)
{
	if (!status)
		return -EINVAL;
	status->flags = flags;
	status->job = job;
	return zcp_ioctl(ctx, ZCP_IOC_STATUS, status);
}

int zcp_job_status(const struct zcp_ctx *ctx, uint64_t job, struct zcp_status *status)
{
	return job_status(ctx, job, 0, status);
}

int zcp_job_next(const struct zcp_ctx *ctx, uint64_t job, struct zcp_status *status)
{
	return job_status(ctx, job, ZCP_STATUS_NEXT, status);
}

int zcp_transfer(struct zcp_ctx *ctx, struct zcp_xfer *xfer)
{
	return zcp_ioctl(ctx, ZCP_IOC_XFER, xfer);
}
