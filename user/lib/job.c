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

/* The caller's structure may be shorter than ours, which the kernel's may be, too. */
static int reply_size(const struct zcp_submit *reply)
{
	return !reply || reply->size >= offsetof(struct zcp_submit, events) ? 0 : -EINVAL;
}

static void reply_set(struct zcp_submit *reply, const struct zcp_submit *from)
{
	uint32_t size;

	if (!reply)
		return;
	size = reply->size;
	memcpy(reply, from, size < sizeof(*from) ? size : sizeof(*from));
	reply->size = size;
}

/* Events are read into @records, which has room for *@len bytes; so many have come. */
static int submit(struct zcp_ctx *ctx, struct zcp_job *jobs, unsigned int count,
		  struct zcp_submit *reply, void *records, uint32_t *len)
{
	struct zcp_submit s = { .size = sizeof(s) };
	uint32_t room = *len;
	int ret;

	*len = 0;
	if (!jobs || !count || count > INT_MAX || reply_size(reply))
		return -EINVAL;
	s.jobs = (uintptr_t)jobs;
	s.nr_jobs = count;
	s.job_size = jobs[0].size;
	s.events = room ? (uintptr_t)records : 0;
	s.events_len = room;

	ret = zcp_ioctl(ctx, ZCP_IOC_SUBMIT, &s);
	*len = s.events_read;
	/* They were the library's. */
	s.events = 0;
	s.events_len = 0;
	s.events_read = 0;
	reply_set(reply, &s);
	return ret ? ret : (int)s.accepted;
}

int zcp_job_submit(struct zcp_ctx *ctx, struct zcp_job *jobs, unsigned int count,
		   struct zcp_submit *reply)
{
	uint32_t none = 0;

	return submit(ctx, jobs, count, reply, NULL, &none);
}

int zcp_job_submit_and_read(struct zcp_ctx *ctx, struct zcp_job *jobs, unsigned int count,
			    struct zcp_submit *reply, struct zcp_event *events, unsigned int max,
			    int *nr_events)
{
	char records[ZCP_EVENT_BATCH];
	uint32_t len = 0, room;
	int ret;

	if (!ctx || !events || !max || !nr_events)
		return -EINVAL;
	*nr_events = 0;
	room = sizeof(records) / ctx->event_size;
	if (room > max)
		room = max;
	if (ctx->features & ZCP_FEATURE_SUBMIT_EVENTS)
		len = room * ctx->event_size;
	if (len) {
		ret = submit(ctx, jobs, count, reply, records, &len);
		*nr_events = zcp_event_cut(events, room, records, len);
		return ret;
	}
	/* A kernel that cannot, or whose records are longer than what there is room for here. */
	ret = submit(ctx, jobs, count, reply, NULL, &len);
	if (ret > 0 || ret == -EAGAIN)
		*nr_events = zcp_event_read(ctx, events, max, 0);
	return ret;
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
