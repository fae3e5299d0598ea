// SPDX-License-Identifier: GPL-2.0-only
/*
 * libzcp without a kernel module: run with mock.so preloaded.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <zcp/zcp.h>

#include "tap.h"

#define FILE_BYTES (3 * 65536 + 123)

static unsigned char content[FILE_BYTES];

/* What a peer has received, until the connection ends. */
struct sink {
	pthread_t thread;
	int sock;
	size_t len;
	unsigned char bytes[FILE_BYTES * 4];
};

static struct sink sink;

static void *sink_run(void *arg)
{
	struct sink *s = arg;
	ssize_t n;

	for (;;) {
		n = read(s->sock, s->bytes + s->len, sizeof(s->bytes) - s->len);
		if (n <= 0)
			return NULL;
		s->len += n;
	}
}

static int connect_sink(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener;
	int sock;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&addr, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) ||
	    connect(sock, (struct sockaddr *)&addr, len))
		exit(2);
	sink.sock = accept(listener, NULL, NULL);
	sink.len = 0;
	close(listener);
	if (pthread_create(&sink.thread, NULL, sink_run, &sink))
		exit(2);
	return sock;
}

static void end_sink(int sock)
{
	close(sock);
	pthread_join(sink.thread, NULL);
	close(sink.sock);
}

static int make_file(void)
{
	char name[] = "/tmp/zcp-test-XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		exit(2);
	unlink(name);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = i * 31 + (i >> 8);
	if (write(fd, content, sizeof(content)) != (ssize_t)sizeof(content))
		exit(2);
	return fd;
}

static void test_names(void)
{
	uint32_t value = 99;

	ok(!strcmp(zcp_version(), ZCP_VERSION), "version is the one it was built with");
	ok(!strcmp(zcp_state_name(ZCP_STATE_CANCELLED), "cancelled") &&
		   !strcmp(zcp_state_name(0), "unknown") && !strcmp(zcp_state_name(99), "unknown"),
	   "state names");
	ok(!strcmp(zcp_reason_name(ZCP_REASON_NO_SG), "no-sg") &&
		   !strcmp(zcp_reason_name(ZCP_REASON_NONE), "none") &&
		   !strcmp(zcp_reason_name(ZCP_REASON_COUNT), "unknown"),
	   "reason names");
	ok(!strcmp(zcp_limit_name(ZCP_LIMIT_USER_JOBS), "user-jobs"), "limit names");
	ok(!zcp_mode_parse("zerocopy", &value) && value == ZCP_MODE_ZEROCOPY, "mode is parsed");
	ok(zcp_mode_parse("zero", &value) == -EINVAL && value == ZCP_MODE_ZEROCOPY,
	   "a mode's beginning is no mode");
	ok(!strcmp(zcp_feature_name(ZCP_FEATURE_NOCACHE), "nocache") &&
		   !strcmp(zcp_feature_name(ZCP_FEATURE_RATE), "rate") &&
		   !strcmp(zcp_feature_name(ZCP_FEATURE_HEADER), "header") &&
		   !strcmp(zcp_feature_name(1ULL << 63), "unknown") &&
		   !strcmp(zcp_feature_name(0), "unknown") &&
		   !strcmp(zcp_feature_name(ZCP_FEATURE_NOCACHE | ZCP_FEATURE_RATE), "unknown"),
	   "feature names");
	ok(!zcp_complete_parse("sent", &value) && value == ZCP_COMPLETE_SENT &&
		   zcp_complete_parse("done", &value) == -EINVAL,
	   "completion is parsed");
}

static void test_open(void)
{
	struct {
		struct zcp_ctx_opts opts;
		char tail[16];
	} longer = { .opts.size = sizeof(longer) };
	struct zcp_ctx_opts opts = { .size = sizeof(opts) };
	struct zcp_info info = { .size = sizeof(info) };
	struct zcp_ctx *ctx;

	errno = 1234;
	opts.path = "/nonexistent/zcp";
	ok(zcp_ctx_open(&ctx, &opts) == -ENOENT && !ctx, "no device: ENOENT and no context");
	opts.path = "/dev/null";
	ok(zcp_ctx_open(&ctx, &opts) == -ENOTTY && !ctx, "another device: ENOTTY");
	opts.path = NULL;
	opts.flags = 1;
	ok(zcp_ctx_open(&ctx, &opts) == -EOPNOTSUPP, "undefined flag: EOPNOTSUPP");
	opts.flags = 0;
	opts.size = 4;
	ok(zcp_ctx_open(&ctx, &opts) == -EINVAL, "options too short: EINVAL");
	longer.tail[15] = 1;
	ok(zcp_ctx_open(&ctx, &longer.opts) == -E2BIG, "options with an unknown tail: E2BIG");
	longer.tail[15] = 0;
	ok(!zcp_ctx_open(&ctx, &longer.opts), "options with a tail of zeros");
	zcp_ctx_close(ctx);
	opts.size = offsetof(struct zcp_ctx_opts, flags);
	ok(!zcp_ctx_open(&ctx, &opts), "shorter options");
	zcp_ctx_close(ctx);
	setenv("ZCP_MOCK_EVENT_SIZE", "8", 1);
	ok(zcp_ctx_open(&ctx, NULL) == -EPROTO, "event records that cannot be: EPROTO");
	unsetenv("ZCP_MOCK_EVENT_SIZE");

	ok(!zcp_ctx_open(&ctx, NULL), "default options");
	ok(fcntl(zcp_ctx_fd(ctx), F_GETFD) & FD_CLOEXEC, "close-on-exec");
	ok(!zcp_ctx_info(ctx, &info) && info.max_inline == 65536, "info");
	info.size = 4;
	ok(zcp_ctx_info(ctx, &info) == -EINVAL, "info too short: EINVAL");
	ok(zcp_ctx_info(ctx, NULL) == -EINVAL && zcp_ctx_info(NULL, &info) == -EINVAL &&
		   zcp_ctx_fd(NULL) == -EINVAL,
	   "NULL: EINVAL");
	zcp_ctx_close(ctx);
	zcp_ctx_close(NULL);
	ok(errno == 1234, "errno is left alone");
}

static void test_segments(void)
{
	struct zcp_segment seg;

	memset(&seg, 0xff, sizeof(seg));
	zcp_segment_file(&seg, 5, 1ULL << 40, 7);
	ok(seg.type == ZCP_SEGMENT_FILE && seg.fd == 5 && seg.addr == 1ULL << 40 && seg.len == 7 &&
		   !seg.flags && !seg.__reserved,
	   "file segment");
	zcp_segment_file(&seg, 5, 1, ZCP_TO_EOF);
	ok(seg.flags == ZCP_SEGMENT_TO_EOF && !seg.len, "file segment to EOF");
	zcp_segment_inline(&seg, content, 9);
	ok(seg.type == ZCP_SEGMENT_INLINE && seg.fd == -1 && seg.len == 9 && !seg.flags &&
		   seg.addr == (uintptr_t)content,
	   "inline segment");
}

static void test_links(void)
{
	struct zcp_link link = { .size = sizeof(link) };
	uint32_t cancelled = 9;
	struct zcp_ctx *ctx;
	int sock = connect_sink();

	zcp_ctx_open(&ctx, NULL);
	ok(!zcp_link_add(ctx, sock, 0, &link) && link.link && !strcmp(link.path_ifname, "mock0"),
	   "link");
	ok(zcp_link_add(ctx, sock, 1U << 31, &link) == -EOPNOTSUPP, "link: undefined flag");
	ok(zcp_link_add(ctx, zcp_ctx_fd(ctx), 0, &link) == -ENOTSOCK, "link: not a socket");
	ok(!zcp_link_cancel(ctx, link.link, &cancelled, NULL) && !cancelled, "cancel an idle link");
	ok(!zcp_link_remove(ctx, link.link, NULL), "unlink");
	cancelled = 9;
	ok(zcp_link_remove(ctx, link.link, &cancelled) == -ENOENT && !cancelled, "unlink again");
	zcp_ctx_close(ctx);
	end_sink(sock);
}

static int submit(struct zcp_ctx *ctx, uint32_t link, int fd, unsigned int n, struct zcp_job *jobs)
{
	static struct zcp_segment segs[8];

	memset(jobs, 0, n * sizeof(*jobs));
	for (unsigned int i = 0; i < n; i++) {
		zcp_segment_file(&segs[i], fd, 0, ZCP_TO_EOF);
		jobs[i].size = sizeof(jobs[i]);
		jobs[i].link = link;
		jobs[i].nr_segments = 1;
		jobs[i].segments = (uintptr_t)&segs[i];
		jobs[i].user_data = 1000 + i;
	}
	return zcp_job_submit(ctx, jobs, n, NULL);
}

static void test_jobs(int fd)
{
	struct zcp_status status = { .size = sizeof(status) };
	struct zcp_submit reply = { .size = sizeof(reply) };
	struct zcp_cancel cancel = { .size = sizeof(cancel) };
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_event ev[8];
	struct zcp_job jobs[4];
	struct zcp_ctx *ctx;
	struct pollfd pfd;
	unsigned int n = 0;
	uint64_t id = 0;
	int sock = connect_sink();
	int ret;

	zcp_ctx_open(&ctx, NULL);
	pfd = (struct pollfd){ .fd = zcp_ctx_fd(ctx), .events = POLLIN };
	zcp_link_add(ctx, sock, 0, &link);
	ok(zcp_job_next(ctx, 0, &status) == -ENOENT, "no job to walk to");
	ok(zcp_event_read(ctx, ev, 8, 0) == 0, "no event, no wait");
	ok(zcp_event_read(ctx, ev, 8, 20) == 0, "no event within 20 ms");
	ok(zcp_event_read(ctx, ev, 0, 0) == -EINVAL, "room for no event: EINVAL");

	ok(submit(ctx, link.link, fd, 3, jobs) == 3 && jobs[0].id && jobs[2].id > jobs[1].id,
	   "a batch of jobs");
	while (!zcp_job_next(ctx, id, &status)) {
		n++;
		id = status.job + 1;
	}
	ok(n == 3, "the walk sees them");
	for (n = 0; n < 3; n += ret) {
		ret = zcp_event_read(ctx, &ev[n], 8 - n, -1);
		if (ret <= 0)
			break;
	}
	ok(n == 3 && ev[0].job == jobs[0].id && ev[2].job == jobs[2].id && ev[1].user_data == 1001,
	   "their events, in order");
	ok(ev[0].state == ZCP_STATE_DONE && ev[0].bytes_sent == FILE_BYTES && !ev[0].error &&
		   ev[0].size == sizeof(ev[0]),
	   "what an event says");
	ok(poll(&pfd, 1, 0) == 0, "the descriptor is not readable any more");

	jobs[0].size = sizeof(jobs[0]);
	jobs[0].link = 77;
	ok(zcp_job_submit(ctx, jobs, 1, &reply) == -ENOENT && reply.error == ENOENT &&
		   !reply.accepted,
	   "a job for no link");
	jobs[0].link = link.link;
	jobs[1].mode = 9;
	ok(zcp_job_submit(ctx, jobs, 3, &reply) == 1 && reply.error == EINVAL,
	   "only the first job is accepted");
	ok(zcp_event_read(ctx, ev, 1, -1) == 1, "and has its event");
	ok(zcp_job_submit(ctx, jobs, 0, NULL) == -EINVAL, "no jobs: EINVAL");

	setenv("ZCP_MOCK_DELAY_US", "20000", 1);
	submit(ctx, link.link, fd, 1, jobs);
	ok(!zcp_job_status(ctx, jobs[0].id, &status) && status.bytes_total == FILE_BYTES,
	   "status of a job under way");
	ok(!zcp_job_cancel(ctx, jobs[0].id, &cancel) && cancel.cancelled == 1, "cancel");
	ok(zcp_event_read(ctx, ev, 1, 5000) == 1 && ev[0].state == ZCP_STATE_CANCELLED &&
		   ev[0].error == ECANCELED,
	   "event of a cancelled job");
	unsetenv("ZCP_MOCK_DELAY_US");
	ok(zcp_job_cancel(ctx, 1ULL << 60, NULL) == -ENOENT, "cancel no job: ENOENT");
	zcp_ctx_close(ctx);
	end_sink(sock);
}

static void test_record_sizes(int fd, const char *size, const char *name)
{
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_event ev[3];
	struct zcp_job jobs[3];
	struct zcp_ctx *ctx;
	size_t bytes = strtoul(size, NULL, 0);
	unsigned int n;
	int sock = connect_sink();
	int ret;

	setenv("ZCP_MOCK_EVENT_SIZE", size, 1);
	zcp_ctx_open(&ctx, NULL);
	zcp_link_add(ctx, sock, 0, &link);
	submit(ctx, link.link, fd, 3, jobs);
	usleep(50000);
	memset(ev, 0xee, sizeof(ev));
	for (n = 0; n < 3; n += ret) {
		ret = zcp_event_read(ctx, &ev[n], 3 - n, 5000);
		if (ret <= 0)
			break;
	}
	if (bytes > sizeof(ev[0]))
		bytes = sizeof(ev[0]);
	ok(n == 3 && ev[2].job == jobs[2].id && ev[2].size == bytes &&
		   ev[2].bytes_sent == FILE_BYTES && (bytes == sizeof(ev[0]) || !ev[2].end_ns),
	   name);
	unsetenv("ZCP_MOCK_EVENT_SIZE");
	zcp_ctx_close(ctx);
	end_sink(sock);
}

/* As one call, or as two of a kernel that does not do it in one, or has long records. */
static void test_submit_and_read(int fd, const char *features, const char *size, int at_once,
				 const char *name)
{
	struct zcp_submit reply = { .size = offsetof(struct zcp_submit, events) };
	struct zcp_submit short_reply = { 0 };
	struct zcp_status status = { .size = sizeof(status) };
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_segment seg;
	struct zcp_event ev[3];
	struct zcp_job jobs[3], job = { .size = sizeof(job), .nr_segments = 1 };
	struct zcp_ctx *ctx;
	int sock = connect_sink();
	int n = 99;

	setenv("ZCP_MOCK_FEATURES", features, 1);
	setenv("ZCP_MOCK_EVENT_SIZE", size, 1);
	zcp_ctx_open(&ctx, NULL);
	zcp_link_add(ctx, sock, 0, &link);
	submit(ctx, link.link, fd, 3, jobs);
	while (!zcp_job_status(ctx, jobs[2].id, &status) && status.state < ZCP_STATE_DONE)
		usleep(1000);
	zcp_segment_inline(&seg, "last", 4);
	job.link = link.link;
	job.segments = (uintptr_t)&seg;
	reply.accepted = 99;
	ok(zcp_job_submit_and_read(ctx, &job, 1, &reply, ev, 2, &n) == 1 && n == at_once &&
		   job.id && reply.accepted == 1 && ev[0].job == jobs[0].id &&
		   ev[n - 1].job == jobs[n - 1].id && ev[n - 1].bytes_sent == FILE_BYTES,
	   name);
	/* The stack has the records of that call still. */
	n = 99;
	ok(zcp_job_submit_and_read(ctx, &job, 0, &reply, ev, 2, &n) == -EINVAL && !n,
	   "no job: no events");
	n = 99;
	ok(zcp_job_submit_and_read(ctx, NULL, 1, &reply, ev, 2, &n) == -EINVAL && !n,
	   "jobs that are nowhere: no events");
	n = 99;
	short_reply.size = 4;
	ok(zcp_job_submit_and_read(ctx, &job, 1, &short_reply, ev, 2, &n) == -EINVAL && !n,
	   "a reply that is too short: no events");
	ok(at_once == 2 || (zcp_event_read(ctx, ev, 1, 5000) == 1 && ev[0].job == jobs[1].id),
	   "the second one's event");
	job.link = 77;
	n = 99;
	ok(zcp_job_submit_and_read(ctx, &job, 1, &reply, ev, 2, &n) == -ENOENT && !n &&
		   reply.error == ENOENT,
	   "a job for no link: no events");
	ok(zcp_event_read(ctx, ev, 1, 5000) == 1 && ev[0].job == jobs[2].id, "which are there");
	ok(zcp_event_read(ctx, ev, 1, 5000) == 1 && ev[0].bytes_sent == 4, "the last one's, too");
	unsetenv("ZCP_MOCK_EVENT_SIZE");
	unsetenv("ZCP_MOCK_FEATURES");
	zcp_ctx_close(ctx);
	end_sink(sock);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_interrupt(void)
{
	struct itimerval soon = { .it_value.tv_usec = 20000 };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct zcp_event ev;
	struct zcp_ctx *ctx;

	zcp_ctx_open(&ctx, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ok(zcp_event_read(ctx, &ev, 1, 5000) == -EINTR, "a signal ends the wait: EINTR");
	zcp_ctx_close(ctx);
}

static void test_transfer(int fd)
{
	struct zcp_xfer xfer = { .size = sizeof(xfer), .in_fd = fd, .offset = 10, .count = 20 };
	static const char head[] = "head";
	struct zcp_ctx *ctx;
	int sock = connect_sink();

	zcp_ctx_open(&ctx, NULL);
	xfer.out_fd = sock;
	ok(!zcp_transfer(ctx, &xfer) && xfer.done == 20 && xfer.offset == 30, "transfer");
	xfer.header = (uintptr_t)head;
	xfer.header_len = 4;
	ok(!zcp_transfer(ctx, &xfer) && xfer.header_done == 4 && xfer.done == 20 &&
		   xfer.offset == 50,
	   "transfer with a header");
	setenv("ZCP_MOCK_FEATURES", "3", 1);
	ok(zcp_transfer(ctx, &xfer) == -E2BIG, "where the module knows no header: E2BIG");
	xfer.header = 0;
	xfer.header_len = 0;
	xfer.header_done = 0;
	xfer.count = 0;
	ok(!zcp_transfer(ctx, &xfer), "but it transfers files");
	unsetenv("ZCP_MOCK_FEATURES");
	zcp_ctx_close(ctx);
	end_sink(sock);
	ok(sink.len == 44 && !memcmp(sink.bytes, content + 10, 20) &&
		   !memcmp(sink.bytes + 20, "head", 4) &&
		   !memcmp(sink.bytes + 24, content + 30, 20),
	   "its bytes arrive, the header first");
}

static int count_calls(const struct zcp_status *status, void *arg)
{
	int *calls = arg;

	return status->bytes_total != FILE_BYTES || ++*calls < 0;
}

static int cancel_at_once(const struct zcp_status *status, void *arg)
{
	(void)status;
	(void)arg;
	return 1;
}

static void test_send_file(int fd)
{
	struct zcp_send_opts opts = { .size = sizeof(opts) };
	struct zcp_result result = { .size = sizeof(result) };
	int calls = 0;
	int sock;

	sock = connect_sink();
	ok(!zcp_send_file(sock, fd, 0, ZCP_TO_EOF, NULL, NULL), "send a file, no options");
	end_sink(sock);
	ok(sink.len == FILE_BYTES && !memcmp(sink.bytes, content, FILE_BYTES), "its bytes arrive");

	sock = connect_sink();
	opts.header = "head";
	opts.header_len = 4;
	opts.trailer = "tail!";
	opts.trailer_len = 5;
	ok(!zcp_send_file(sock, fd, 5, 1000, &opts, &result) && result.bytes_sent == 1009 &&
		   result.bytes_zerocopy == 1000 && result.bytes_copied == 9 &&
		   result.copy_reason == ZCP_REASON_INLINE && result.state == ZCP_STATE_DONE &&
		   result.stage == ZCP_STAGE_JOB && result.acked_ns && result.bytes_acked == 1009,
	   "send header, range and trailer");
	ok(!strcmp(result.path_ifname, "mock0") && result.mss, "the result knows the path");
	end_sink(sock);
	ok(sink.len == 1009 && !memcmp(sink.bytes, "head", 4) &&
		   !memcmp(sink.bytes + 4, content + 5, 1000) &&
		   !memcmp(sink.bytes + 1004, "tail!", 5),
	   "header, range and trailer arrive in order");

	sock = connect_sink();
	opts = (struct zcp_send_opts){ .size = sizeof(opts), .complete = ZCP_COMPLETE_SENT };
	ok(!zcp_send_file(sock, fd, 0, 10, &opts, &result) && result.sent_ns && !result.acked_ns,
	   "completion at sent");
	ok(zcp_send_file(sock, fd, FILE_BYTES - 10, 11, NULL, &result) == -ENODATA &&
		   result.state == ZCP_STATE_FAILED && result.error == ENODATA &&
		   result.bytes_sent == 10,
	   "the file is too short: ENODATA");
	setenv("ZCP_MOCK_DELAY_US", "20000", 1);
	opts = (struct zcp_send_opts){ .size = sizeof(opts), .interval_ms = 10 };
	opts.progress = count_calls;
	opts.arg = &calls;
	ok(!zcp_send_file(sock, fd, 0, ZCP_TO_EOF, &opts, &result) && calls >= 3,
	   "progress is reported");
	opts.progress = cancel_at_once;
	ok(zcp_send_file(sock, fd, 0, ZCP_TO_EOF, &opts, &result) == -ECANCELED &&
		   result.state == ZCP_STATE_CANCELLED && result.bytes_sent < FILE_BYTES,
	   "the callback cancels");
	unsetenv("ZCP_MOCK_DELAY_US");

	setenv("ZCP_MOCK_REASON", "4", 1);
	opts = (struct zcp_send_opts){ .size = sizeof(opts), .mode = ZCP_MODE_ZEROCOPY };
	ok(zcp_send_file(sock, fd, 0, ZCP_TO_EOF, &opts, &result) == -EOPNOTSUPP &&
		   result.stage == ZCP_STAGE_SUBMIT && result.copy_reason == ZCP_REASON_NO_SG &&
		   result.error == EOPNOTSUPP && !result.state,
	   "zerocopy is refused with its reason");
	unsetenv("ZCP_MOCK_REASON");
	opts = (struct zcp_send_opts){ .size = sizeof(opts), .header_len = 1 };
	ok(zcp_send_file(sock, fd, 0, 1, &opts, &result) == -EINVAL &&
		   result.stage == ZCP_STAGE_NONE,
	   "a header that is not there: EINVAL");
	ok(zcp_send_file(fd, fd, 0, 1, NULL, &result) == -ENOTSOCK &&
		   result.stage == ZCP_STAGE_LINK,
	   "not a socket: ENOTSOCK");
	setenv("ZCP_MOCK_OPEN_ERRNO", "13", 1);
	ok(zcp_send_file(sock, fd, 0, 1, NULL, &result) == -EACCES &&
		   result.stage == ZCP_STAGE_OPEN,
	   "no permission: EACCES");
	unsetenv("ZCP_MOCK_OPEN_ERRNO");
	result.size = 2;
	ok(zcp_send_file(sock, fd, 0, 1, NULL, &result) == -EINVAL, "result too short: EINVAL");
	result.size = offsetof(struct zcp_result, bytes_acked);
	result.bytes_acked = 4711;
	ok(!zcp_send_file(sock, fd, 0, 7, NULL, &result) && result.bytes_sent == 7 &&
		   result.bytes_acked == 4711,
	   "a shorter result is filled as far as it goes");
	end_sink(sock);
}

static int rate_was;
static int flags_were;

static int look(const struct zcp_status *status, void *arg)
{
	(void)arg;
	rate_was = status->rate;
	flags_were = status->job_flags;
	return 0;
}

static void test_send_limits(int fd)
{
	struct {
		struct zcp_send_opts opts;
		uint64_t tail;
	} longer = { .opts.size = sizeof(longer), .tail = 1 };
	struct zcp_send_opts opts = { .size = sizeof(opts) };
	struct zcp_result result = { .size = sizeof(result) };
	int sock = connect_sink();

	opts.flags = ZCP_JOB_NOCACHE;
	opts.rate = 1000000;
	opts.progress = look;
	opts.interval_ms = 10;
	ok(!zcp_send_file(sock, fd, 0, ZCP_TO_EOF, &opts, &result) &&
		   result.end_ns > FILE_BYTES * 1000ULL && result.bytes_sent == FILE_BYTES,
	   "send at a rate");
	ok(rate_was == 1000000 && flags_were == ZCP_JOB_NOCACHE, "the status knows rate and flags");
	ok(result.bytes_dropped == FILE_BYTES && !result.missing,
	   "the result knows what the page cache got back");

	/* What a program has that was built with 0.1. */
	opts.size = offsetof(struct zcp_send_opts, rate);
	opts.flags = 0;
	result.size = offsetof(struct zcp_result, bytes_dropped);
	result.bytes_dropped = 4711;
	rate_was = -1;
	setenv("ZCP_MOCK_DELAY_US", "20000", 1);
	ok(!zcp_send_file(sock, fd, 0, ZCP_TO_EOF, &opts, &result) && !rate_was && !flags_were &&
		   result.bytes_dropped == 4711,
	   "options and result of version 0.1");
	unsetenv("ZCP_MOCK_DELAY_US");
	ok(zcp_send_file(sock, fd, 0, 1, &longer.opts, NULL) == -E2BIG,
	   "options of a later version: E2BIG");

	opts = (struct zcp_send_opts){ .size = sizeof(opts), .flags = 1U << 31 };
	result.size = sizeof(result);
	ok(zcp_send_file(sock, fd, 0, 1, &opts, &result) == -EOPNOTSUPP && !result.missing &&
		   result.stage == ZCP_STAGE_SUBMIT,
	   "an undefined flag: EOPNOTSUPP");
	opts.flags = ZCP_JOB_NOCACHE;
	opts.rate = 1;
	setenv("ZCP_MOCK_FEATURES", "1", 1);
	ok(zcp_send_file(sock, fd, 0, 1, &opts, &result) == -EOPNOTSUPP &&
		   result.missing == ZCP_FEATURE_RATE && result.stage == ZCP_STAGE_SUBMIT &&
		   result.error == EOPNOTSUPP && !result.state,
	   "a kernel without rates: EOPNOTSUPP, and the result says so");
	setenv("ZCP_MOCK_FEATURES", "0", 1);
	ok(zcp_send_file(sock, fd, 0, 1, &opts, &result) == -EOPNOTSUPP &&
		   result.missing == (ZCP_FEATURE_RATE | ZCP_FEATURE_NOCACHE),
	   "a kernel with neither: EOPNOTSUPP");
	ok(!zcp_send_file(sock, fd, 0, 1, NULL, &result) && !result.missing,
	   "without them it sends on such a kernel");
	unsetenv("ZCP_MOCK_FEATURES");
	end_sink(sock);
	ok(sink.len == 2 * FILE_BYTES + 1 && !memcmp(sink.bytes, content, FILE_BYTES),
	   "the bytes arrive");
}

int main(void)
{
	int fd = make_file();

	test_names();
	test_open();
	test_segments();
	test_links();
	test_jobs(fd);
	test_record_sizes(fd, "512", "records of a newer kernel");
	test_record_sizes(fd, "9000", "records longer than the read buffer");
	test_record_sizes(fd, "128", "records of an older kernel");
	test_submit_and_read(fd, "0xf", "128", 2, "submit and read");
	test_submit_and_read(fd, "0xf", "512", 2, "records of a newer kernel");
	test_submit_and_read(fd, "7", "128", 2, "a kernel that does not read events so");
	test_submit_and_read(fd, "0xf", "9000", 1, "records longer than the buffer");
	test_interrupt();
	test_transfer(fd);
	test_send_file(fd);
	test_send_limits(fd);
	return tap_end();
}
