// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcp: transfers, jobs, and the same bytes again and again as what no file can
 * be faster than.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcp/zcp.h>

#include "method.h"

/* Jobs of one link that have not ended. */
#define JOBS 4
#define EVENTS 32
/* What the ceiling sends again and again. */
#define BLOCK_BYTES (1 << 20)
#define CEILING_SEGMENTS 256

static struct zcp_ctx *context;

struct zcp_ctx *method_zcp(void)
{
	int ret;

	if (!context) {
		ret = zcp_ctx_open(&context, NULL);
		if (ret)
			die_errno(ret, "/dev/zcp");
	}
	return context;
}

static const char *zcp_missing(void)
{
	static char why[128];
	struct zcp_ctx *ctx;
	int ret;

	if (context)
		return NULL;
	ret = zcp_ctx_open(&ctx, NULL);
	if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
		return "/dev/zcp is missing: load the module (modprobe zcp)";
	if (ret) {
		snprintf(why, sizeof(why), "/dev/zcp does not open: %s", strerror(-ret));
		return why;
	}
	zcp_ctx_close(ctx);
	return NULL;
}

static void *xfer_open(int sock)
{
	int *s = allocate(sizeof(*s));

	*s = sock;
	return s;
}

static void xfer_send(void *state, const struct file *f, uint64_t off, uint64_t len,
		      const void *hdr, size_t hdr_len)
{
	struct zcp_xfer xfer = { .size = sizeof(xfer) };
	const int *sock = state;
	int ret;

	send_all(*sock, hdr, hdr_len, len ? MSG_MORE : 0);
	xfer.in_fd = f->fd;
	xfer.out_fd = *sock;
	xfer.offset = off;
	while (len) {
		xfer.count = len;
		ret = zcp_transfer(method_zcp(), &xfer);
		if (ret == -EINTR)
			continue;
		if (ret || !xfer.done)
			die_errno(ret ? ret : ENODATA, "zcp_transfer");
		len -= xfer.done;
	}
}

static void xfer_finish(void *state)
{
	(void)state;
}

struct sender {
	int sock;
	uint32_t link;
	unsigned int jobs; /* whose event has not been read */
	struct zcp_segment segments[CEILING_SEGMENTS];
};

static void *job_open(int sock)
{
	struct sender *s = allocate(sizeof(*s));

	s->sock = sock;
	return s;
}

/* With the first job, so that it counts as part of the work. */
static void link_once(struct sender *s)
{
	struct zcp_link link = { .size = sizeof(link) };
	int ret;

	if (s->link)
		return;
	ret = zcp_link_add(method_zcp(), s->sock, 0, &link);
	if (ret)
		die_errno(ret, "zcp_link_add (limit: %s)", zcp_limit_name(link.limit));
	s->link = link.link;
}

/*
 * All connections have one context. Its events may be those of other senders,
 * which therefore are to be used by one thread.
 */
static void read_events(void)
{
	struct zcp_event events[EVENTS];
	struct sender *s;
	int n;

	n = zcp_event_read(method_zcp(), events, EVENTS, -1);
	if (n < 0 && n != -EINTR)
		die_errno(n, "zcp_event_read");
	for (int i = 0; i < n; i++) {
		if (events[i].state != ZCP_STATE_DONE)
			die_errno(events[i].error, "a job %s", zcp_state_name(events[i].state));
		s = (struct sender *)(uintptr_t)events[i].user_data;
		s->jobs--;
	}
}

static void submit(struct sender *s, unsigned int nr_segments)
{
	struct zcp_submit reply = { .size = sizeof(reply) };
	struct zcp_job job = { .size = sizeof(job) };
	int ret;

	link_once(s);
	while (s->jobs >= JOBS)
		read_events();
	job.link = s->link;
	job.mode = ZCP_MODE_AUTO;
	job.complete = ZCP_COMPLETE_ACKED;
	job.segments = (uintptr_t)s->segments;
	job.nr_segments = nr_segments;
	job.user_data = (uintptr_t)s;
	ret = zcp_job_submit(method_zcp(), &job, 1, &reply);
	if (ret < 0)
		die_errno(ret, "zcp_job_submit (limit: %s)", zcp_limit_name(reply.limit));
	s->jobs++;
}

static void job_send(void *state, const struct file *f, uint64_t off, uint64_t len, const void *hdr,
		     size_t hdr_len)
{
	struct sender *s = state;
	unsigned int n = 0;

	if (hdr_len)
		zcp_segment_inline(&s->segments[n++], hdr, hdr_len);
	zcp_segment_file(&s->segments[n++], f->fd, off, len);
	submit(s, n);
}

static void ceiling_send(void *state, const struct file *f, uint64_t off, uint64_t len,
			 const void *hdr, size_t hdr_len)
{
	uint64_t block = f->size < BLOCK_BYTES ? f->size : BLOCK_BYTES;
	struct sender *s = state;
	unsigned int n = 0;

	(void)off;
	if (hdr_len)
		zcp_segment_inline(&s->segments[n++], hdr, hdr_len);
	do {
		uint64_t size = len < block ? len : block;

		zcp_segment_file(&s->segments[n++], f->fd, 0, size);
		len -= size;
		if (!len || n == CEILING_SEGMENTS) {
			submit(s, n);
			n = 0;
		}
	} while (len);
}

static void job_finish(void *state)
{
	struct sender *s = state;

	while (s->jobs)
		read_events();
}

static void job_close(void *state)
{
	struct sender *s = state;
	int ret;

	if (s->link) {
		ret = zcp_link_remove(method_zcp(), s->link, NULL);
		if (ret)
			die_errno(ret, "zcp_link_remove");
	}
	free(s);
}

const struct method method_zcp_xfer = {
	"zcp-xfer", zcp_missing, xfer_open, xfer_send, xfer_finish, free,
};

const struct method method_zcp_job = {
	"zcp-job", zcp_missing, job_open, job_send, job_finish, job_close,
};

const struct method method_ceiling = {
	"ceiling", zcp_missing, job_open, ceiling_send, job_finish, job_close,
};
