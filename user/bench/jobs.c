// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches of jobs, and their events.
 */
#include <errno.h>

#include "jobs.h"

#define EVENTS 1024

const char *jobs_missing(void)
{
	return method_find("zcp-job") ? NULL : "zcp-job cannot be used";
}

void jobs_open(struct jobs *j)
{
	struct zcp_info info = { .size = sizeof(info) };
	int ret;

	*j = (struct jobs){ 0 };
	ret = zcp_ctx_open(&j->ctx, NULL);
	if (ret)
		die_errno(ret, "/dev/zcp");
	ret = zcp_ctx_info(j->ctx, &info);
	if (ret)
		die_errno(ret, "zcp_ctx_info");
	j->batch = info.max_batch;
}

void jobs_close(struct jobs *j)
{
	if (j->open)
		die("%llu jobs have no event", (unsigned long long)j->open);
	if (j->bytes_acked != j->bytes_asked)
		die("of %llu bytes %llu were acknowledged", (unsigned long long)j->bytes_asked,
		    (unsigned long long)j->bytes_acked);
	zcp_ctx_close(j->ctx);
}

uint32_t jobs_link(struct jobs *j, int sock)
{
	struct zcp_link link = { .size = sizeof(link) };
	int ret;

	ret = zcp_link_add(j->ctx, sock, 0, &link);
	if (ret)
		die_errno(ret, "zcp_link_add (limit: %s)", zcp_limit_name(link.limit));
	return link.link;
}

void jobs_unlink(struct jobs *j, uint32_t link)
{
	int ret;

	ret = zcp_link_remove(j->ctx, link, NULL);
	if (ret)
		die_errno(ret, "zcp_link_remove");
}

void jobs_prepare(struct zcp_job *job, uint32_t link, const struct zcp_segment *segments,
		  unsigned int nr_segments, uint64_t user_data)
{
	*job = (struct zcp_job){
		.size = sizeof(*job),
		.link = link,
		.mode = ZCP_MODE_AUTO,
		.complete = ZCP_COMPLETE_ACKED,
		.nr_segments = nr_segments,
		.segments = (uintptr_t)segments,
		.user_data = user_data,
	};
}

static uint64_t asked(const struct zcp_job *job)
{
	const struct zcp_segment *segments = (void *)(uintptr_t)job->segments;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < job->nr_segments; i++)
		bytes += segments[i].len;
	return bytes;
}

void jobs_submit(struct jobs *j, struct zcp_job *job, unsigned int nr)
{
	struct zcp_submit reply = { .size = sizeof(reply) };
	unsigned int n;
	int ret;

	while (nr) {
		n = nr < j->batch ? nr : j->batch;
		ret = zcp_job_submit(j->ctx, job, n, &reply);
		if (ret < 0)
			die_errno(ret, "zcp_job_submit (limit: %s)", zcp_limit_name(reply.limit));
		j->open += ret;
		for (int i = 0; i < ret; i++)
			j->bytes_asked += asked(&job[i]);
		job += ret;
		nr -= ret;
	}
}

unsigned int jobs_read(struct jobs *j, int timeout_ms, job_done_fn *done, void *arg)
{
	static struct zcp_event events[EVENTS];
	int n;

	n = zcp_event_read(j->ctx, events, EVENTS, timeout_ms);
	if (n == -EINTR)
		return 0;
	if (n < 0)
		die_errno(n, "zcp_event_read");
	for (int i = 0; i < n; i++) {
		const struct zcp_event *event = &events[i];

		if (event->state != ZCP_STATE_DONE)
			die_errno(event->error, "a job %s", zcp_state_name(event->state));
		if (event->bytes_acked != event->bytes_sent)
			die("a job is done with bytes that are not acknowledged");
		j->bytes_acked += event->bytes_acked;
		if (done)
			done(event, arg);
	}
	j->open -= n;
	return n;
}

void jobs_wait(struct jobs *j, uint64_t left, job_done_fn *done, void *arg)
{
	while (j->open > left)
		jobs_read(j, -1, done, arg);
}

static void transfer(struct zcp_ctx *ctx, struct zcp_xfer *xfer, uint64_t len)
{
	int ret;

	for (; len; len -= xfer->done) {
		xfer->count = len;
		xfer->done = 0;
		ret = zcp_transfer(ctx, xfer);
		if (ret == -EINTR)
			continue;
		if (ret || (!xfer->done && !xfer->header_done))
			die_errno(ret ? ret : ENODATA, "zcp_transfer");
		xfer->header += xfer->header_done;
		xfer->header_len -= xfer->header_done;
	}
}

void jobs_transfer(struct zcp_ctx *ctx, int sock, int fd, uint64_t off, uint64_t len)
{
	struct zcp_xfer xfer = { .size = sizeof(xfer), .in_fd = fd, .out_fd = sock, .offset = off };

	transfer(ctx, &xfer, len);
}

void jobs_transfer_with(struct zcp_ctx *ctx, int sock, const void *header, uint32_t header_len,
			int fd, uint64_t len, bool more)
{
	struct zcp_xfer xfer = {
		.size = sizeof(xfer),
		.flags = more ? ZCP_XFER_MORE : 0,
		.in_fd = fd,
		.out_fd = sock,
		.header = (uintptr_t)header,
		.header_len = header_len,
	};

	transfer(ctx, &xfer, len);
}
