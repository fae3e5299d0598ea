// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * zcp_send_file(): one file, from the first byte to the last acknowledgment.
 */
#include <limits.h>
#include <time.h>

#include "internal.h"

#define INTERVAL_MS 200

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static unsigned int fill_segments(struct zcp_segment *segments, int fd, uint64_t offset,
				  uint64_t length, const struct zcp_send_opts *opts)
{
	unsigned int n = 0;

	if (opts->header_len)
		zcp_segment_inline(&segments[n++], opts->header, opts->header_len);
	zcp_segment_file(&segments[n++], fd, offset, length);
	if (opts->trailer_len)
		zcp_segment_inline(&segments[n++], opts->trailer, opts->trailer_len);
	return n;
}

/* Returns what the callback does: not 0 to cancel. */
static int report(struct zcp_ctx *ctx, uint64_t job, const struct zcp_send_opts *opts)
{
	struct zcp_status status = { .size = sizeof(status) };

	if (zcp_job_status(ctx, job, &status))
		return 0;
	return opts->progress(&status, opts->arg);
}

/*
 * The event, as zcp_event_read() does it. What the page cache got back is only
 * in the status, which is there until the event has been read.
 */
static int next_event(struct zcp_ctx *ctx, uint64_t job, const struct zcp_send_opts *opts,
		      struct zcp_event *event, int timeout_ms, struct zcp_result *r)
{
	struct zcp_status status = { .size = sizeof(status) };
	int ret;

	if (opts->flags & ZCP_JOB_NOCACHE) {
		ret = zcp_event_wait(ctx, timeout_ms);
		if (ret <= 0)
			return ret;
		if (!zcp_job_status(ctx, job, &status))
			r->bytes_dropped = status.bytes_dropped;
	}
	return zcp_event_read(ctx, event, 1, timeout_ms);
}

/* The context has this one job, so its first event is the final one. */
static int wait_final(struct zcp_ctx *ctx, uint64_t job, const struct zcp_send_opts *opts,
		      struct zcp_event *event, struct zcp_result *r)
{
	int64_t interval = opts->interval_ms ? opts->interval_ms : INTERVAL_MS;
	int64_t next = now_ms() + interval;
	int reporting = !!opts->progress;
	int64_t left;
	int ret;

	for (;;) {
		left = -1;
		if (reporting) {
			left = next - now_ms();
			if (left < 0)
				left = 0;
			if (left > INT_MAX)
				left = INT_MAX;
		}
		ret = next_event(ctx, job, opts, event, (int)left, r);
		if (ret > 0)
			return 0;
		if (ret < 0 && ret != -EINTR)
			return ret;
		if (!reporting)
			continue;
		next = now_ms() + interval;
		if (report(ctx, job, opts)) {
			reporting = 0;
			ret = zcp_job_cancel(ctx, job, NULL);
			if (ret)
				return ret;
		}
	}
}

static void take_link(struct zcp_result *r, const struct zcp_link *link)
{
	r->limit = link->limit;
	r->path_caps = link->path_caps;
	r->path_ifindex = link->path_ifindex;
	r->path_mode = link->path_mode;
	r->path_reason = link->path_reason;
	r->mss = link->mss;
	memcpy(r->path_ifname, link->path_ifname, sizeof(r->path_ifname));
	r->path_ifname[sizeof(r->path_ifname) - 1] = '\0';
}

static void take_event(struct zcp_result *r, const struct zcp_event *event)
{
	r->state = event->state;
	r->error = event->error;
	r->copy_reason = event->copy_reason;
	r->copy_reasons = event->copy_reasons;
	r->bytes_sent = event->bytes_sent;
	r->bytes_acked = event->bytes_acked;
	r->bytes_zerocopy = event->bytes_zerocopy;
	r->bytes_copied = event->bytes_copied;
	r->submit_ns = event->submit_ns;
	r->sent_ns = event->sent_ns;
	r->acked_ns = event->acked_ns;
	r->end_ns = event->end_ns;
	r->position = event->position;
}

/* An older kernel would refuse these with an errno that has other causes too. */
static int check_features(struct zcp_ctx *ctx, const struct zcp_send_opts *opts,
			  struct zcp_result *r)
{
	struct zcp_info info = { .size = sizeof(info) };
	uint64_t needed = 0;
	int ret;

	if (opts->flags & ZCP_JOB_NOCACHE)
		needed |= ZCP_FEATURE_NOCACHE;
	if (opts->rate)
		needed |= ZCP_FEATURE_RATE;
	if (!needed)
		return 0;
	ret = zcp_ctx_info(ctx, &info);
	if (ret)
		return ret;
	r->missing = needed & ~info.features;
	if (!r->missing)
		return 0;
	r->stage = ZCP_STAGE_SUBMIT;
	return -EOPNOTSUPP;
}

static int send_on(struct zcp_ctx *ctx, int sock, struct zcp_job *job,
		   const struct zcp_send_opts *opts, struct zcp_result *r)
{
	struct zcp_submit reply = { .size = sizeof(reply) };
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_event event;
	int ret;

	r->stage = ZCP_STAGE_LINK;
	ret = zcp_link_add(ctx, sock, 0, &link);
	take_link(r, &link);
	if (ret)
		return ret;

	r->stage = ZCP_STAGE_SUBMIT;
	job->link = link.link;
	ret = zcp_job_submit(ctx, job, 1, &reply);
	if (ret < 0) {
		r->copy_reason = reply.reason;
		r->limit = reply.limit;
		return ret;
	}

	r->stage = ZCP_STAGE_JOB;
	r->job = job->id;
	ret = wait_final(ctx, job->id, opts, &event, r);
	if (ret)
		return ret;
	take_event(r, &event);
	if (event.state == ZCP_STATE_DONE)
		return 0;
	if (event.error)
		return -(int)event.error;
	return event.state == ZCP_STATE_CANCELLED ? -ECANCELED : -EPROTO;
}

static int send_file(int sock, int fd, uint64_t offset, uint64_t length,
		     const struct zcp_send_opts *user, struct zcp_result *r)
{
	struct zcp_ctx_opts ctx_opts = { .size = sizeof(ctx_opts) };
	struct zcp_job job = { .size = sizeof(job) };
	struct zcp_segment segments[3];
	struct zcp_send_opts opts;
	struct zcp_ctx *ctx;
	int ret;

	ret = zcp_opts_get(&opts, sizeof(opts), user);
	if (ret)
		return ret;
	if ((opts.header_len && !opts.header) || (opts.trailer_len && !opts.trailer))
		return -EINVAL;

	r->stage = ZCP_STAGE_OPEN;
	ctx_opts.path = opts.path;
	ret = zcp_ctx_open(&ctx, &ctx_opts);
	if (ret)
		return ret;

	job.flags = opts.flags;
	job.mode = opts.mode;
	job.complete = opts.complete;
	job.rate = opts.rate;
	job.nr_segments = fill_segments(segments, fd, offset, length, &opts);
	job.segments = (uintptr_t)segments;
	ret = check_features(ctx, &opts, r);
	if (!ret)
		ret = send_on(ctx, sock, &job, &opts, r);
	zcp_ctx_close(ctx);
	return ret;
}

int zcp_send_file(int sock, int fd, uint64_t offset, uint64_t length,
		  const struct zcp_send_opts *opts, struct zcp_result *result)
{
	struct zcp_result r = { .size = sizeof(r) };
	size_t size = 0;
	int ret;

	if (result) {
		size = result->size;
		if (size < sizeof(size))
			return -EINVAL;
	}
	ret = send_file(sock, fd, offset, length, opts, &r);
	if (ret && !r.error)
		r.error = -ret;
	if (result) {
		memset(result, 0, size);
		memcpy(result, &r, size < sizeof(r) ? size : sizeof(r));
		result->size = size;
	}
	return ret;
}
