// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file spread over several connections: a link and a job for each in one
 * context, and one loop that waits for all.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spread.h"
#include "zcpctl.h"

/**
 * struct spread - A transfer under way
 * @r: What is asked for.
 * @o: What comes of it; its parts are here too.
 * @ctx: The context of all links and jobs.
 * @running: Parts whose jobs have not ended.
 * @cancelled: They have been cancelled.
 */
struct spread {
	struct request *r;
	struct outcome *o;
	struct zcp_ctx *ctx;
	uint32_t running;
	bool cancelled;
};

static struct part *end_of(const struct spread *s)
{
	return s->o->parts + s->r->streams;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A file that grows later is sent as long as it was. */
static int find_range(struct request *r, int fd, struct outcome *o)
{
	struct stat st;

	if (r->length != ZCP_TO_EOF)
		return 0;
	if (fstat(fd, &st))
		return problem(o, errno, "cannot ask for the size of %s: %s", r->file,
			       strerror(errno));
	if (r->offset > (uint64_t)st.st_size)
		r->offset = st.st_size;
	r->length = st.st_size - r->offset;
	return 0;
}

static int make_parts(struct spread *s)
{
	struct request *r = s->r;
	struct stream streams[STREAM_MAX];
	unsigned char id[STREAM_ID];
	struct part *part;

	if (r->offset > INT64_MAX || r->length > INT64_MAX - r->offset)
		return problem(s->o, EINVAL, "no file has so many bytes");
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return problem(s->o, errno, "no random bytes for the id of the transfer: %s",
			       strerror(errno));
	s->o->parts = calloc(r->streams, sizeof(*part));
	if (!s->o->parts)
		return problem(s->o, ENOMEM, "%s", strerror(ENOMEM));
	stream_split(streams, r->streams, r->offset, r->length);
	for (part = s->o->parts; part < end_of(s); part++) {
		part->stream = streams[part - s->o->parts];
		memcpy(part->stream.id, id, sizeof(id));
		stream_pack(&part->stream, part->header);
		part->sock = -1;
		part->status.bytes_total = part->stream.length;
	}
	return 0;
}

static int connect_all(struct spread *s)
{
	struct part *first = s->o->parts;
	struct part *part;
	char text[256];

	for (part = s->o->parts; part < end_of(s); part++) {
		if (part == first)
			part->sock =
				net_connect_by(&s->r->address, await_or_cancel, text, sizeof(text));
		else
			part->sock =
				net_connect_again(first->sock, await_or_cancel, text, sizeof(text));
		if (part->sock < 0)
			return send_unconnected(s->o, -part->sock, text);
	}
	net_peer(first->sock, s->o->peer);
	return 0;
}

/* With this the parts end together. */
static uint64_t share_of(const struct part *part, uint64_t rate)
{
	const struct stream *s = &part->stream;
	uint64_t share;

	if (!rate)
		return 0;
	share = s->total ? (uint64_t)((double)rate * s->length / s->total) : rate / s->streams;
	return share ? share : 1;
}

static int submit(struct spread *s, struct part *part, int fd)
{
	const struct stream *stream = &part->stream;
	struct zcp_submit reply = { .size = sizeof(reply) };
	struct zcp_segment segments[2];
	struct zcp_job job = {
		.size = sizeof(job),
		.flags = s->r->flags,
		.link = part->link.link,
		.mode = s->r->mode,
		.complete = s->r->complete,
		.nr_segments = 2,
		.segments = (uintptr_t)segments,
		.user_data = stream->index,
		.rate = share_of(part, s->r->rate),
	};
	int ret;

	zcp_segment_inline(&segments[0], part->header, STREAM_HEADER);
	zcp_segment_file(&segments[1], fd, s->r->offset + stream->offset, stream->length);
	ret = zcp_job_submit(s->ctx, &job, 1, &reply);
	if (ret < 0) {
		part->status.copy_reason = reply.reason;
		part->link.limit = reply.limit;
		part->status.error = -ret;
		return ret;
	}
	part->status.job = job.id;
	part->status.submit_ns = now_ns();
	part->status.state = ZCP_STATE_QUEUED;
	part->running = true;
	s->running++;
	return 0;
}

/* All links first: when one of them is refused nothing has been sent. */
static int begin(struct spread *s, int fd)
{
	struct zcp_result *res = &s->o->result;
	struct part *part;
	int ret;

	res->stage = ZCP_STAGE_LINK;
	for (part = s->o->parts; part < end_of(s); part++) {
		part->link.size = sizeof(part->link);
		ret = zcp_link_add(s->ctx, part->sock, 0, &part->link);
		if (ret)
			goto failed;
	}
	res->stage = ZCP_STAGE_SUBMIT;
	for (part = s->o->parts; part < end_of(s); part++) {
		ret = submit(s, part, fd);
		if (ret)
			goto failed;
	}
	res->stage = ZCP_STAGE_JOB;
	return 0;

failed:
	s->o->failed = part;
	return ret;
}

static void cancel(struct spread *s)
{
	struct part *part;

	if (s->cancelled)
		return;
	s->cancelled = true;
	for (part = s->o->parts; part < end_of(s); part++)
		if (part->running)
			zcp_job_cancel(s->ctx, part->status.job, NULL);
}

/* The header is no byte of the file, and goes first. */
static void without_header(struct zcp_status *st)
{
	uint64_t header = st->bytes_sent < STREAM_HEADER ? st->bytes_sent : STREAM_HEADER;

	st->bytes_sent -= header;
	st->bytes_copied -= header;
	st->bytes_acked -= st->bytes_acked < header ? st->bytes_acked : header;
}

static void refresh(struct spread *s)
{
	struct part *part;

	for (part = s->o->parts; part < end_of(s); part++) {
		struct zcp_status st = { .size = sizeof(st) };

		if (!part->running || zcp_job_status(s->ctx, part->status.job, &st))
			continue;
		without_header(&st);
		st.bytes_total = part->stream.length;
		part->status = st;
	}
}

/* Why bytes of the file were copied: the header is, in any mode. */
static uint32_t reason_of(const struct zcp_status *st, uint32_t reasons)
{
	if (st->copy_reason != ZCP_REASON_INLINE)
		return st->copy_reason;
	for (uint32_t i = ZCP_REASON_NONE + 1; st->bytes_copied && i < ZCP_REASON_COUNT; i++)
		if (i != ZCP_REASON_INLINE && (reasons & 1U << i))
			return i;
	return ZCP_REASON_NONE;
}

static int take_event(struct spread *s)
{
	struct zcp_status *st;
	struct zcp_event ev;
	struct part *part;
	int ret;

	/* What the page cache got back is told until the event has been read. */
	if (s->r->flags & ZCP_JOB_NOCACHE)
		refresh(s);
	ret = zcp_event_read(s->ctx, &ev, 1, 0);
	if (ret <= 0)
		return ret;
	if (ev.user_data >= s->r->streams)
		return -EPROTO;
	part = &s->o->parts[ev.user_data];
	st = &part->status;
	st->state = ev.state;
	st->error = ev.error;
	st->copy_reason = ev.copy_reason;
	st->position = ev.position;
	st->bytes_sent = ev.bytes_sent;
	st->bytes_acked = ev.bytes_acked;
	st->bytes_zerocopy = ev.bytes_zerocopy;
	st->bytes_copied = ev.bytes_copied;
	st->submit_ns = ev.submit_ns;
	st->sent_ns = ev.sent_ns;
	st->acked_ns = ev.acked_ns;
	st->end_ns = ev.end_ns;
	without_header(st);
	st->copy_reason = reason_of(st, ev.copy_reasons);
	part->running = false;
	s->running--;
	if (ev.state != ZCP_STATE_DONE && !s->o->failed) {
		s->o->failed = part;
		cancel(s);
	}
	return 0;
}

/* All parts as one job. Its state is that of the part that is least far. */
static void add_up(const struct spread *s, struct zcp_status *sum)
{
	const struct part *part;
	uint64_t most = 0;

	*sum = (struct zcp_status){
		.size = sizeof(*sum),
		.job = s->o->parts[0].status.job,
		.state = ZCP_STATE_CANCELLED,
		.complete = s->r->complete,
		.submit_ns = UINT64_MAX,
	};
	for (part = s->o->parts; part < end_of(s); part++) {
		const struct zcp_status *st = &part->status;

		if (st->state < sum->state)
			sum->state = st->state;
		if (st->submit_ns && st->submit_ns < sum->submit_ns)
			sum->submit_ns = st->submit_ns;
		if (st->bytes_copied > most) {
			most = st->bytes_copied;
			sum->copy_reason = st->copy_reason;
		}
		sum->bytes_total += st->bytes_total;
		sum->bytes_sent += st->bytes_sent;
		sum->bytes_acked += st->bytes_acked;
		sum->bytes_zerocopy += st->bytes_zerocopy;
		sum->bytes_copied += st->bytes_copied;
		sum->bytes_dropped += st->bytes_dropped;
	}
}

static int wait_all(struct spread *s)
{
	struct pollfd pfd = { .fd = zcp_ctx_fd(s->ctx), .events = POLLIN };
	uint64_t tick = progress_tick_ms(&s->r->progress) * 1000000ULL;
	uint64_t next = now_ns() + tick;
	struct zcp_status sum;
	uint64_t now;
	int ret;

	while (s->running) {
		if (interrupted)
			cancel(s);
		now = now_ns();
		ret = poll(&pfd, 1, next > now ? (int)((next - now + 999999) / 1000000) : 0);
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (ret > 0) {
			ret = take_event(s);
			if (ret && ret != -EINTR)
				return ret;
		}
		now = now_ns();
		if (now < next || s->cancelled)
			continue;
		next = now + tick;
		refresh(s);
		add_up(s, &sum);
		progress_update(&s->r->progress, &sum);
	}
	progress_end(&s->r->progress);
	return 0;
}

/* When the last part got to a stage; 0 when one did not. */
static uint64_t latest(const struct spread *s, uint64_t start, size_t member)
{
	const struct part *part;
	uint64_t end = 0;
	__u64 ns;

	for (part = s->o->parts; part < end_of(s); part++) {
		memcpy(&ns, (const char *)&part->status + member, sizeof(ns));
		if (!ns)
			return 0;
		ns += part->status.submit_ns - start;
		if (ns > end)
			end = ns;
	}
	return end;
}

static void sum_result(struct spread *s, int error)
{
	const struct part *shown = s->o->failed ? s->o->failed : s->o->parts;
	struct zcp_result *res = &s->o->result;
	struct zcp_status sum;

	add_up(s, &sum);
	res->job = sum.job;
	/* Of a transfer that did not begin as a whole there is no state to tell. */
	if (res->stage == ZCP_STAGE_JOB)
		res->state = s->o->failed ? s->o->failed->status.state
			     : error	  ? ZCP_STATE_FAILED
					  : ZCP_STATE_DONE;
	res->error = error;
	res->copy_reason = s->o->failed ? s->o->failed->status.copy_reason : sum.copy_reason;
	res->limit = shown->link.limit;
	res->bytes_sent = sum.bytes_sent;
	res->bytes_acked = sum.bytes_acked;
	res->bytes_zerocopy = sum.bytes_zerocopy;
	res->bytes_copied = sum.bytes_copied;
	res->bytes_dropped = sum.bytes_dropped;
	res->submit_ns = sum.submit_ns;
	res->sent_ns = latest(s, sum.submit_ns, offsetof(struct zcp_status, sent_ns));
	res->acked_ns = latest(s, sum.submit_ns, offsetof(struct zcp_status, acked_ns));
	res->end_ns = latest(s, sum.submit_ns, offsetof(struct zcp_status, end_ns));
	res->position = shown->status.position;
	res->path_reason = shown->link.path_reason;
	memcpy(res->path_ifname, shown->link.path_ifname, sizeof(res->path_ifname));
	res->path_ifname[sizeof(res->path_ifname) - 1] = '\0';
}

static int run(struct spread *s, int fd)
{
	const struct part *failed;
	int waited;
	int ret;

	s->o->result.stage = ZCP_STAGE_OPEN;
	ret = zcp_ctx_open(&s->ctx, NULL);
	if (ret)
		return ret;
	ret = begin(s, fd);
	if (ret)
		cancel(s);
	waited = wait_all(s);
	zcp_ctx_close(s->ctx);
	if (!ret)
		ret = waited;
	failed = s->o->failed;
	if (!ret && failed) {
		if (failed->status.error)
			ret = -(int)failed->status.error;
		else
			ret = failed->status.state == ZCP_STATE_CANCELLED ? -ECANCELED : -EPROTO;
	}
	sum_result(s, -ret);
	return ret;
}

/* None ends before all are done, and all are reset when one has failed: 0 or -errno. */
static int end_connections(struct spread *s, int ret)
{
	struct part *part;

	for (part = s->o->parts; !ret && part < end_of(s); part++)
		shutdown(part->sock, SHUT_WR);
	for (part = s->o->parts; part < end_of(s); part++) {
		if (part->sock < 0)
			continue;
		if (ret)
			net_reset(part->sock);
		else
			ret = send_end(s->r, part->sock, s->o);
		part->sock = -1;
	}
	return ret;
}

int spread_send(struct request *r, int fd, struct outcome *o)
{
	struct spread s = { .r = r, .o = o };
	int ret;

	ret = find_range(r, fd, o);
	if (!ret)
		ret = make_parts(&s);
	if (ret)
		return ret;
	ret = connect_all(&s);
	if (!ret)
		ret = run(&s, fd);
	return end_connections(&s, ret);
}
