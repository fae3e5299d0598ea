// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine of the stand-in for /dev/zcp: its ioctls, and a thread for each
 * context that does the jobs. What is set by the environment says mock.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mock.h"

#define MAX_INLINE 65536
#define MAX_RATE (1ULL << 40)
#define CHUNK 65536
#define FEATURES \
	(ZCP_FEATURE_NOCACHE | ZCP_FEATURE_RATE | ZCP_FEATURE_HEADER | ZCP_FEATURE_SUBMIT_EVENTS)

long mock_max_jobs = LONG_MAX, mock_max_segments = MAX_SEGMENTS, mock_read_ms;
bool mock_hold, mock_held;

static uint64_t last_job;

long mock_setting(const char *name, long otherwise)
{
	const char *value = getenv(name);

	return value ? strtol(value, NULL, 0) : otherwise;
}

static long limit(const long *which)
{
	return __atomic_load_n(which, __ATOMIC_RELAXED);
}

static bool can(uint64_t feature)
{
	return mock_setting("ZCP_MOCK_FEATURES", FEATURES) & feature;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The rule for structures that may grow, as the kernel applies it. */
static int copy_in(void *to, size_t known, size_t min, const void *from)
{
	const unsigned char *bytes = from;
	__u32 size;

	memcpy(&size, from, sizeof(size));
	if (size < min)
		return -EINVAL;
	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	memset(to, 0, known);
	memcpy(to, from, size < known ? size : known);
	return 0;
}

static void copy_out(void *to, const void *from, size_t known)
{
	__u32 size;

	memcpy(&size, to, sizeof(size));
	memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
	       (size < known ? size : known) - sizeof(size));
}

static void put_event(struct ctx *ctx, struct job *job)
{
	const struct zcp_status *s = &job->status;
	long size = mock_setting("ZCP_MOCK_EVENT_SIZE", sizeof(struct zcp_event));
	struct zcp_event ev = {
		.size = size,
		.type = ZCP_EVENT_FINAL,
		.job = s->job,
		.user_data = s->user_data,
		.link = s->link,
		.state = s->state,
		.error = s->error,
		.copy_reason = s->copy_reason,
		.segment = s->segment,
		.position = s->position,
		.bytes_sent = s->bytes_sent,
		.bytes_acked = s->bytes_acked,
		.bytes_zerocopy = s->bytes_zerocopy,
		.bytes_copied = s->bytes_copied,
		.submit_ns = s->submit_ns,
		.sent_ns = s->sent_ns,
		.acked_ns = s->acked_ns,
		.end_ns = s->end_ns,
	};
	char record[1 << 14];

	for (__u32 i = 0; i < ZCP_REASON_COUNT; i++)
		if (s->copied[i])
			ev.copy_reasons |= 1U << i;
	memset(record, 0xff, sizeof(record));
	memcpy(record, &ev, sizeof(ev));
	if (write(ctx->events, record, size) != size)
		abort();
}

static void account(struct zcp_status *s, uint32_t reason, size_t len)
{
	s->bytes_sent += len;
	if (reason == ZCP_REASON_NONE) {
		s->bytes_zerocopy += len;
		return;
	}
	s->bytes_copied += len;
	s->copied[reason] += len;
	for (__u32 i = 0; i < ZCP_REASON_COUNT; i++)
		if (s->copied[i] > s->copied[s->copy_reason])
			s->copy_reason = i;
}

static int send_all(int sock, const char *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = send(sock, buf, len, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		buf += n;
		len -= n;
	}
	return 0;
}

/* Sends one piece of a segment; *done says how long it was, 0 at its end. */
static int push(struct job *job, int sock, struct zcp_segment *seg, size_t *done)
{
	bool to_eof = seg->flags & ZCP_SEGMENT_TO_EOF;
	uint32_t reason = mock_setting("ZCP_MOCK_REASON", 0);
	char buf[CHUNK];
	size_t want = CHUNK;
	ssize_t n;
	int error;

	if (!to_eof && seg->len < want)
		want = seg->len;
	*done = 0;
	if (!want)
		return 0;
	if (seg->type == ZCP_SEGMENT_INLINE) {
		reason = ZCP_REASON_INLINE;
		memcpy(buf, (void *)(uintptr_t)seg->addr, want);
		n = want;
	} else {
		n = pread(seg->fd, buf, want, seg->addr);
		if (n < 0)
			return -errno;
		if (!n)
			return to_eof ? 0 : -ENODATA;
		if (job->status.mode == ZCP_MODE_COPY)
			reason = ZCP_REASON_ASKED;
	}
	error = send_all(sock, buf, n);
	if (error)
		return error;
	pthread_mutex_lock(&mock_lock);
	account(&job->status, reason, n);
	seg->addr += n;
	if (!to_eof)
		seg->len -= n;
	if (seg->type == ZCP_SEGMENT_FILE)
		job->status.position = seg->addr;
	pthread_mutex_unlock(&mock_lock);
	*done = n;
	return 0;
}

/* Bytes that the peer has not acknowledged, or -errno: it will not any more. */
static int unacked(int sock)
{
	struct tcp_info tcp;
	socklen_t len = sizeof(tcp);
	int queued;

	if (getsockopt(sock, IPPROTO_TCP, TCP_INFO, &tcp, &len) ||
	    syscall(SYS_ioctl, sock, SIOCOUTQ, &queued))
		return -errno;
	return queued && tcp.tcpi_state == TCP_CLOSE ? -ECONNRESET : queued;
}

static bool cancelled(const struct job *job)
{
	return __atomic_load_n(&job->cancel, __ATOMIC_RELAXED);
}

static int run(struct job *job, int sock)
{
	struct zcp_status *s = &job->status;
	long delay = mock_setting("ZCP_MOCK_DELAY_US", 0);
	size_t done;
	int error;

	while (s->segment < s->nr_segments) {
		if (cancelled(job))
			return -ECANCELED;
		error = push(job, sock, &job->segments[s->segment], &done);
		if (error)
			return error;
		if (!done)
			s->segment++;
		else if (delay)
			usleep(delay);
		if (s->rate)
			usleep(done * 1000000 / s->rate);
	}
	s->sent_ns = now_ns() - s->submit_ns;
	if (s->complete == ZCP_COMPLETE_SENT)
		return 0;
	s->state = ZCP_STATE_SENT;
	for (;;) {
		if (cancelled(job))
			return -ECANCELED;
		error = unacked(sock);
		if (error < 0)
			return error;
		if (!error)
			break;
		usleep(1000);
	}
	s->acked_ns = now_ns() - s->submit_ns;
	s->bytes_acked = s->bytes_sent;
	if (s->job_flags & ZCP_JOB_NOCACHE)
		s->bytes_dropped = s->bytes_zerocopy;
	return 0;
}

static struct job *next_job(struct ctx *ctx)
{
	struct job *next = NULL;

	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &ctx->jobs[i];

		if (!job->used || job->status.state != ZCP_STATE_QUEUED)
			continue;
		if (!next || job->status.job < next->status.job)
			next = job;
	}
	return next;
}

/* Its files are closed; its status can still be asked for. */
static void job_end(struct job *job)
{
	for (__u32 i = 0; i < job->status.nr_segments; i++) {
		if (job->segments[i].type == ZCP_SEGMENT_FILE)
			syscall(SYS_close, job->segments[i].fd);
		free(job->copy[i]);
	}
	job->ended = true;
}

/* Jobs under way, and those with unread events. */
static long open_jobs(const struct ctx *ctx)
{
	int unread = 0;
	long nr;

	if (syscall(SYS_ioctl, ctx->fd, FIONREAD, &unread))
		abort();
	nr = unread / mock_setting("ZCP_MOCK_EVENT_SIZE", sizeof(struct zcp_event));
	for (int i = 0; i < MAX_JOBS; i++)
		nr += ctx->jobs[i].used && !ctx->jobs[i].ended;
	return nr;
}

/* For a new job: a place that nobody has, or that of the job that ended long ago. */
static struct job *job_place(struct ctx *ctx)
{
	struct job *place = NULL;

	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &ctx->jobs[i];

		if (!job->used)
			return job;
		if (!job->ended)
			continue;
		if (!place || job->status.job < place->status.job)
			place = job;
	}
	return place;
}

/* It ended part way: nothing goes behind it until that is known. */
static void make_hole(struct ctx *ctx, const struct job *torn)
{
	struct link *link = &ctx->links[torn->status.link];

	if (link->flags & ZCP_LINK_CONTINUE)
		return;
	link->hole = torn->status.job;
	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &ctx->jobs[i];

		if (job->used && job->status.link == torn->status.link &&
		    job->status.state == ZCP_STATE_QUEUED)
			__atomic_store_n(&job->cancel, true, __ATOMIC_RELAXED);
	}
}

ssize_t mock_read(struct ctx *ctx, void *buf, size_t len)
{
	size_t record = mock_setting("ZCP_MOCK_EVENT_SIZE", sizeof(struct zcp_event));
	struct zcp_event ev = { 0 };
	ssize_t n;

	if (limit(&mock_read_ms) && len > record)
		len = record;
	n = syscall(SYS_read, ctx->fd, buf, len / record * record);
	for (ssize_t at = 0; at < n; at += record) {
		memcpy(&ev, (char *)buf + at, record < sizeof(ev) ? record : sizeof(ev));
		if (ctx->links[ev.link].hole == ev.job)
			ctx->links[ev.link].hole = 0;
	}
	return n;
}

void *mock_worker(void *arg)
{
	struct ctx *ctx = arg;
	struct job *job;
	int error;

	pthread_mutex_lock(&mock_lock);
	while (!ctx->closing) {
		job = next_job(ctx);
		if (!job) {
			pthread_cond_wait(&mock_work, &mock_lock);
			continue;
		}
		job->status.state = ZCP_STATE_RUNNING;
		pthread_mutex_unlock(&mock_lock);
		error = run(job, ctx->links[job->status.link].sock);
		pthread_mutex_lock(&mock_lock);
		job->status.error = -error;
		job->status.end_ns = now_ns() - job->status.submit_ns;
		job->status.state = !error		  ? ZCP_STATE_DONE
				    : error == -ECANCELED ? ZCP_STATE_CANCELLED
							  : ZCP_STATE_FAILED;
		if (error && job->status.bytes_sent && !job->status.sent_ns)
			make_hole(ctx, job);
		job_end(job);
		put_event(ctx, job);
	}
	pthread_mutex_unlock(&mock_lock);
	return NULL;
}

static int do_info(void *arg)
{
	struct zcp_info info;
	int error;

	error = copy_in(&info, sizeof(info), sizeof(info), arg);
	if (error)
		return error;
	info.features = mock_setting("ZCP_MOCK_FEATURES", FEATURES);
	info.job_flags = can(ZCP_FEATURE_NOCACHE) ? ZCP_JOB_NOCACHE : 0;
	info.modes = 7;
	info.reasons = (1U << ZCP_REASON_COUNT) - 1;
	info.event_size = mock_setting("ZCP_MOCK_EVENT_SIZE", sizeof(struct zcp_event));
	info.max_links = MAX_LINKS - 1;
	info.max_jobs = MAX_JOBS;
	info.max_segments = limit(&mock_max_segments);
	info.max_batch = MAX_JOBS;
	info.max_inline = MAX_INLINE;
	info.small_bytes = 4096;
	info.quota_bytes = 1 << 20;
	copy_out(arg, &info, sizeof(info));
	return 0;
}

/* The connection has ended. */
static bool is_over(int sock)
{
	struct tcp_info tcp;
	socklen_t len = sizeof(tcp);

	return getsockopt(sock, IPPROTO_TCP, TCP_INFO, &tcp, &len) || tcp.tcpi_state == TCP_CLOSE;
}

static int do_link(struct ctx *ctx, void *arg)
{
	uint32_t reason = mock_setting("ZCP_MOCK_REASON", 0);
	struct tcp_info tcp;
	socklen_t len = sizeof(tcp);
	struct zcp_link link;
	int error;

	error = copy_in(&link, sizeof(link), sizeof(link), arg);
	if (error)
		return error;
	if (link.flags & ~ZCP_LINK_CONTINUE)
		return -EOPNOTSUPP;
	if (getsockopt(link.fd, IPPROTO_TCP, TCP_INFO, &tcp, &len))
		return -errno;
	for (int i = 1; i < MAX_LINKS; i++) {
		if (ctx->links[i].used)
			continue;
		ctx->links[i].used = true;
		ctx->links[i].flags = link.flags;
		ctx->links[i].hole = 0;
		ctx->links[i].sock = syscall(SYS_fcntl, link.fd, F_DUPFD_CLOEXEC, 3);
		link.link = i;
		link.path_caps = ZCP_PATH_CSUM | (reason == ZCP_REASON_NO_SG ? 0 : ZCP_PATH_SG);
		link.path_ifindex = 1;
		link.path_mode = reason ? ZCP_MODE_COPY : ZCP_MODE_ZEROCOPY;
		link.path_reason = reason;
		link.mss = tcp.tcpi_snd_mss;
		strcpy(link.path_ifname, "mock0");
		copy_out(arg, &link, sizeof(link));
		return 0;
	}
	link.limit = ZCP_LIMIT_LINKS;
	copy_out(arg, &link, sizeof(link));
	return -EAGAIN;
}

static int accept_job(struct ctx *ctx, void *arg, struct zcp_submit *reply)
{
	size_t first = offsetof(struct zcp_job, rate);
	struct zcp_job in = { 0 };
	struct job *job;
	int error;

	error = copy_in(&in, can(ZCP_FEATURE_RATE) ? sizeof(in) : first, first, arg);
	if (error)
		return error;
	if (in.flags & ~(can(ZCP_FEATURE_NOCACHE) ? ZCP_JOB_NOCACHE : 0))
		return -EOPNOTSUPP;
	if ((in.flags & ZCP_JOB_NOCACHE) && in.complete != ZCP_COMPLETE_ACKED)
		return -EOPNOTSUPP;
	if (in.rate > MAX_RATE)
		return -EINVAL;
	if (!in.nr_segments || in.nr_segments > limit(&mock_max_segments) ||
	    in.mode > ZCP_MODE_COPY)
		return -EINVAL;
	if (in.link >= MAX_LINKS || !ctx->links[in.link].used)
		return -ENOENT;
	if (is_over(ctx->links[in.link].sock))
		return -ESHUTDOWN;
	if (in.mode == ZCP_MODE_ZEROCOPY && mock_setting("ZCP_MOCK_REASON", 0)) {
		reply->reason = mock_setting("ZCP_MOCK_REASON", 0);
		return -EOPNOTSUPP;
	}
	job = open_jobs(ctx) < limit(&mock_max_jobs) ? job_place(ctx) : NULL;
	if (!job) {
		reply->limit = ZCP_LIMIT_JOBS;
		return -EAGAIN;
	}
	memset(job, 0, sizeof(*job));
	memcpy(job->segments, (void *)(uintptr_t)in.segments,
	       in.nr_segments * sizeof(struct zcp_segment));
	for (__u32 s = 0; s < in.nr_segments; s++) {
		struct zcp_segment *seg = &job->segments[s];
		char *copy;

		if (seg->type == ZCP_SEGMENT_FILE) {
			off_t end = lseek(seg->fd, 0, SEEK_END);

			if (end < 0)
				return -errno;
			seg->fd = syscall(SYS_fcntl, seg->fd, F_DUPFD_CLOEXEC, 3);
			job->status.bytes_total +=
				seg->flags & ZCP_SEGMENT_TO_EOF ? end - seg->addr : seg->len;
			continue;
		}
		if (seg->len > MAX_INLINE)
			return -EINVAL;
		copy = malloc(seg->len + 1);
		memcpy(copy, (void *)(uintptr_t)seg->addr, seg->len);
		job->copy[s] = copy;
		seg->addr = (uintptr_t)copy;
		job->status.bytes_total += seg->len;
	}
	job->used = true;
	job->status.job = ++last_job;
	job->status.user_data = in.user_data;
	job->status.link = in.link;
	job->status.mode = in.mode;
	job->status.complete = in.complete;
	job->status.nr_segments = in.nr_segments;
	job->status.job_flags = in.flags;
	job->status.rate = in.rate;
	job->status.submit_ns = now_ns();
	job->status.state = ZCP_STATE_QUEUED;
	job->cancel = ctx->links[in.link].hole;
	in.id = last_job;
	copy_out(arg, &in, sizeof(in));
	return 0;
}

static int do_submit(struct ctx *ctx, void *arg)
{
	long record = mock_setting("ZCP_MOCK_EVENT_SIZE", sizeof(struct zcp_event));
	size_t first = offsetof(struct zcp_submit, events);
	struct zcp_submit submit = { 0 };
	ssize_t n = 0;
	int error;

	error = copy_in(&submit, can(ZCP_FEATURE_SUBMIT_EVENTS) ? sizeof(submit) : first, first,
			arg);
	if (error)
		return error;
	if (submit.events_len && submit.events_len < record)
		return -EINVAL;
	for (__u32 i = 0; i < submit.nr_jobs && !error; i++) {
		error = accept_job(ctx, (char *)(uintptr_t)submit.jobs + i * submit.job_size,
				   &submit);
		if (!error)
			submit.accepted++;
	}
	submit.error = -error;
	if (submit.events_len && (submit.accepted || error == -EAGAIN))
		n = mock_read(ctx, (void *)(uintptr_t)submit.events, submit.events_len);
	submit.events_read = n > 0 ? n : 0;
	copy_out(arg, &submit, can(ZCP_FEATURE_SUBMIT_EVENTS) ? sizeof(submit) : first);
	pthread_cond_broadcast(&mock_work);
	return submit.accepted ? 0 : error;
}

static struct job *find_job(struct ctx *ctx, uint64_t id, bool next)
{
	struct job *found = NULL;

	for (int i = 0; i < MAX_JOBS; i++) {
		struct job *job = &ctx->jobs[i];

		if (!job->used || job->status.job < id || (!next && job->status.job != id))
			continue;
		if (!found || job->status.job < found->status.job)
			found = job;
	}
	return found;
}

static int do_status(struct ctx *ctx, void *arg)
{
	struct zcp_status status;
	struct job *job;
	int error;

	error = copy_in(&status, sizeof(status), offsetof(struct zcp_status, rate), arg);
	if (error)
		return error;
	job = find_job(ctx, status.job, status.flags & ZCP_STATUS_NEXT);
	if (!job)
		return -ENOENT;
	copy_out(arg, &job->status, sizeof(status));
	return 0;
}

static int do_cancel(struct ctx *ctx, void *arg)
{
	struct zcp_cancel cancel;
	struct job *job;
	int error;

	error = copy_in(&cancel, sizeof(cancel), sizeof(cancel), arg);
	if (error)
		return error;
	if (cancel.flags & ZCP_CANCEL_LINK) {
		for (int i = 0; i < MAX_JOBS; i++) {
			job = &ctx->jobs[i];
			if (!job->used || job->status.link != cancel.link ||
			    job->status.state >= ZCP_STATE_DONE)
				continue;
			__atomic_store_n(&job->cancel, true, __ATOMIC_RELAXED);
			cancel.cancelled++;
			cancel.bytes_sent += job->status.bytes_sent;
		}
	} else {
		job = find_job(ctx, cancel.job, false);
		if (!job)
			return -ENOENT;
		cancel.cancelled = job->status.state < ZCP_STATE_DONE;
		__atomic_store_n(&job->cancel, true, __ATOMIC_RELAXED);
		cancel.state = job->status.state;
		cancel.bytes_sent = job->status.bytes_sent;
	}
	copy_out(arg, &cancel, sizeof(cancel));
	return 0;
}

static int do_unlink(struct ctx *ctx, void *arg)
{
	struct zcp_unlink un;
	int error;

	error = copy_in(&un, sizeof(un), sizeof(un), arg);
	if (error)
		return error;
	if (!un.link || un.link >= MAX_LINKS || !ctx->links[un.link].used)
		return -ENOENT;
	ctx->links[un.link].used = false;
	syscall(SYS_close, ctx->links[un.link].sock);
	copy_out(arg, &un, sizeof(un));
	return 0;
}

static int do_xfer(void *arg)
{
	const size_t first = offsetof(struct zcp_xfer, header);
	struct tcp_info tcp;
	socklen_t len = sizeof(tcp);
	struct zcp_xfer xfer = { 0 };
	char buf[4096];
	ssize_t n;
	int error;

	error = copy_in(&xfer, can(ZCP_FEATURE_HEADER) ? sizeof(xfer) : first, first, arg);
	if (error)
		return error;
	if (xfer.header_len > MAX_INLINE)
		return -EINVAL;
	if (getsockopt(xfer.out_fd, IPPROTO_TCP, TCP_INFO, &tcp, &len))
		return errno == ENOTSOCK ? -ENOTSOCK : -EOPNOTSUPP;
	n = pread(xfer.in_fd, buf, xfer.count < sizeof(buf) ? xfer.count : sizeof(buf),
		  xfer.offset);
	if (n < 0)
		return -errno;
	error = send_all(xfer.out_fd, (const char *)(uintptr_t)xfer.header, xfer.header_len);
	if (!error)
		error = send_all(xfer.out_fd, buf, n);
	if (error)
		return error;
	xfer.header_done = xfer.header_len;
	xfer.done = n;
	xfer.offset += n;
	xfer.bytes_zerocopy = n;
	copy_out(arg, &xfer, sizeof(xfer));
	return 0;
}

int mock_command(struct ctx *ctx, unsigned long cmd, void *arg)
{
	switch (cmd) {
	case ZCP_IOC_INFO:
		return do_info(arg);
	case ZCP_IOC_LINK:
		return do_link(ctx, arg);
	case ZCP_IOC_UNLINK:
		return do_unlink(ctx, arg);
	case ZCP_IOC_SUBMIT:
		return do_submit(ctx, arg);
	case ZCP_IOC_CANCEL:
		return do_cancel(ctx, arg);
	case ZCP_IOC_STATUS:
		return do_status(ctx, arg);
	case ZCP_IOC_XFER:
		return do_xfer(arg);
	}
	return -ENOTTY;
}
