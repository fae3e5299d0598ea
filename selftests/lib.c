// SPDX-License-Identifier: GPL-2.0-only
/*
 * libzcp with the real module: the blocking one-liner, and the asynchronous
 * interface under it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <zcp/zcp.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	(1 * ZT_MIB)

FIXTURE(lib) {
	struct zt_box box;
	struct zt_conn conn;
	struct zcp_result result;
	struct zcp_ctx *ctx;
	int file;
};

FIXTURE_SETUP(lib)
{
	zt_box_open(&self->box, 1500);
	zt_connect(&self->conn, 0, 0);
	self->file = zt_file(&self->box, 1, LEN);
	self->result.size = sizeof(self->result);
	ASSERT_EQ(0, zcp_ctx_open(&self->ctx, NULL));
}

FIXTURE_TEARDOWN(lib)
{
	struct zcp_status status = { .size = sizeof(status) };

	EXPECT_EQ(-ENOENT, zcp_job_next(self->ctx, 0, &status));
	zcp_ctx_close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static void expect_stream(struct __test_metadata *_metadata, struct zt_sink *sink, size_t skip,
			  uint64_t off, size_t len)
{
	zt_sink_join(sink);
	ASSERT_LE(skip + len, sink->len);
	EXPECT_EQ(-1, zt_mismatch(sink->buf + skip, len, 1, off));
}

TEST_F_TIMEOUT(lib, send_file_defaults, 240)
{
	struct zt_sink sink;

	zt_sink_start(&sink, self->conn.rx, LEN);
	EXPECT_EQ(0, zcp_send_file(self->conn.tx, self->file, 0, ZCP_TO_EOF, NULL, NULL));
	EXPECT_EQ(0, zt_unacked(self->conn.tx));
	expect_stream(_metadata, &sink, 0, 0, LEN);
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(lib, send_file_with_everything, 240)
{
	struct zcp_send_opts opts = {
		.size = sizeof(opts), .header = "head", .header_len = 4, .trailer = "tail!",
		.trailer_len = 5, .mode = ZCP_MODE_ZEROCOPY,
	};
	struct zt_sink sink;

	zt_sink_start(&sink, self->conn.rx, 4 + 200000 + 5);
	EXPECT_EQ(0, zcp_send_file(self->conn.tx, self->file, 12345, 200000, &opts,
				   &self->result));
	EXPECT_EQ(ZCP_STAGE_JOB, self->result.stage);
	EXPECT_EQ(ZCP_STATE_DONE, self->result.state);
	EXPECT_EQ(0, self->result.error);
	EXPECT_NE(0, self->result.job);
	EXPECT_EQ(200009, self->result.bytes_sent);
	EXPECT_EQ(200009, self->result.bytes_acked);
	EXPECT_EQ(200000, self->result.bytes_zerocopy);
	EXPECT_EQ(9, self->result.bytes_copied);
	EXPECT_EQ(ZCP_REASON_INLINE, self->result.copy_reason);
	EXPECT_STREQ("lo", self->result.path_ifname);
	EXPECT_LE(self->result.sent_ns, self->result.acked_ns);
	expect_stream(_metadata, &sink, 4, 12345, 200000);
	EXPECT_EQ(0, memcmp(sink.buf, "head", 4));
	EXPECT_EQ(0, memcmp(sink.buf + 200004, "tail!", 5));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(lib, send_file_modes, 240)
{
	struct zcp_send_opts opts = { .size = sizeof(opts), .mode = ZCP_MODE_COPY };
	struct zt_sink sink;

	zt_sink_start(&sink, self->conn.rx, 100000);
	EXPECT_EQ(0, zcp_send_file(self->conn.tx, self->file, 0, 100000, &opts, &self->result));
	EXPECT_EQ(100000, self->result.bytes_copied);
	EXPECT_EQ(ZCP_REASON_ASKED, self->result.copy_reason);
	expect_stream(_metadata, &sink, 0, 0, 100000);
	zt_sink_free(&sink);
	opts.mode = 77;
	EXPECT_GT(0, zcp_send_file(self->conn.tx, self->file, 0, 1, &opts, &self->result));
}

/* At `sent` the bytes wait in the socket, and that is all there is to wait for. */
TEST_F_TIMEOUT(lib, send_file_until_sent, 240)
{
	struct zcp_send_opts opts = { .size = sizeof(opts), .complete = ZCP_COMPLETE_SENT };
	struct zt_conn conn;

	zt_connect_holding(&conn);
	EXPECT_EQ(0, zcp_send_file(conn.tx, self->file, 0, LEN, &opts, &self->result));
	EXPECT_EQ(LEN, self->result.bytes_sent);
	EXPECT_LT(self->result.bytes_acked, LEN);
	EXPECT_GT(zt_unacked(conn.tx), 0);
	zt_close(&conn);
}

TEST_F_TIMEOUT(lib, send_file_failures, 240)
{
	int listener = zt_listen(AF_INET, 0);

	EXPECT_EQ(-ENODATA, zcp_send_file(self->conn.tx, self->file, LEN - 100, 101, NULL,
					  &self->result));
	EXPECT_EQ(ENODATA, self->result.error);
	EXPECT_EQ(0, self->result.bytes_sent);
	EXPECT_EQ(-ENOTCONN, zcp_send_file(listener, self->file, 0, 1, NULL, &self->result));
	EXPECT_EQ(ZCP_STAGE_LINK, self->result.stage);
	EXPECT_EQ(0, self->result.state);
	EXPECT_EQ(-EBADF, zcp_send_file(self->conn.tx, -1, 0, 1, NULL, &self->result));
	EXPECT_EQ(ZCP_STAGE_SUBMIT, self->result.stage);
	close(listener);
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	EXPECT_GT(0, zcp_send_file(self->conn.tx, self->file, 0, 100, NULL, &self->result));
}

static int count_and_cancel(const struct zcp_status *status, void *arg)
{
	int *calls = arg;

	zt_need(status->bytes_sent <= status->bytes_total);
	return ++*calls == 3;
}

TEST_F_TIMEOUT(lib, send_file_cancelled_by_callback, 240)
{
	int calls = 0;
	struct zcp_send_opts opts = {
		.size = sizeof(opts), .progress = count_and_cancel, .arg = &calls,
		.interval_ms = 100,
	};
	struct zt_conn conn;

	zt_connect_blocking(&conn);
	EXPECT_EQ(-ECANCELED, zcp_send_file(conn.tx, self->file, 0, LEN, &opts, &self->result));
	EXPECT_EQ(3, calls);
	EXPECT_EQ(ZCP_STATE_CANCELLED, self->result.state);
	EXPECT_GT(self->result.bytes_sent, 0);
	EXPECT_LT(self->result.bytes_sent, LEN);
	zt_close(&conn);
}

/* Jobs of several sizes on one link, their events by way of poll(2). */
TEST_F_TIMEOUT(lib, asynchronous, 240)
{
	static const uint64_t sizes[] = { 0, 1, 4095, 4097, 65535, 300000 };
	enum { N = 6 };
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_submit reply = { .size = sizeof(reply) };
	struct zcp_status status = { .size = sizeof(status) };
	struct zcp_segment segs[N];
	struct zcp_event events[4];
	struct zcp_job jobs[N];
	uint64_t total = 0, off = 0;
	struct zt_sink sink;
	int i, got = 0, n;

	ASSERT_EQ(0, zcp_link_add(self->ctx, self->conn.tx, 0, &link));
	for (i = 0; i < N; i++) {
		zcp_segment_file(&segs[i], self->file, i * 1000, sizes[i]);
		jobs[i] = zt_job(link.link, &segs[i], 1);
		jobs[i].user_data = i;
		total += sizes[i];
	}
	EXPECT_EQ(0, zcp_event_read(self->ctx, events, 4, 0));
	zt_sink_start(&sink, self->conn.rx, total);
	ASSERT_EQ(N, zcp_job_submit(self->ctx, jobs, N, &reply));
	EXPECT_EQ(0, reply.error);
	while (got < N) {
		struct pollfd pfd = { .fd = zcp_ctx_fd(self->ctx), .events = POLLIN };

		ASSERT_EQ(1, poll(&pfd, 1, ZT_PATIENCE * 1000));
		n = zcp_event_read(self->ctx, events, 4, 0);
		ASSERT_GT(n, 0);
		for (i = 0; i < n; i++, got++) {
			EXPECT_EQ(jobs[got].id, events[i].job);
			EXPECT_EQ(got, events[i].user_data);
			EXPECT_EQ(ZCP_STATE_DONE, events[i].state);
			EXPECT_EQ(sizes[got], events[i].bytes_acked);
			EXPECT_EQ(-ENOENT, zcp_job_status(self->ctx, events[i].job, &status));
		}
	}
	zt_sink_join(&sink);
	for (i = 0; i < N; i++) {
		EXPECT_EQ(-1, zt_mismatch(sink.buf + off, sizes[i], 1, i * 1000));
		off += sizes[i];
	}
	zt_sink_free(&sink);
	EXPECT_EQ(0, zcp_link_remove(self->ctx, link.link, NULL));
}

TEST_F_TIMEOUT(lib, asynchronous_cancel, 240)
{
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_status status = { .size = sizeof(status) };
	struct zcp_cancel cancel = { .size = sizeof(cancel) };
	struct zcp_segment segs[2];
	struct zcp_event event[3];
	struct zcp_job jobs[3];
	struct zt_conn conn;
	uint32_t cancelled = 0;
	uint64_t sent = 0;
	int i;

	zt_connect_blocking(&conn);
	ASSERT_EQ(0, zcp_link_add(self->ctx, conn.tx, 0, &link));
	zcp_segment_inline(&segs[0], "x", 1);
	zcp_segment_file(&segs[1], self->file, 0, ZCP_TO_EOF);
	for (i = 0; i < 3; i++)
		jobs[i] = zt_job(link.link, segs, 2);
	ASSERT_EQ(3, zcp_job_submit(self->ctx, jobs, 3, NULL));
	zt_wait_state(zcp_ctx_fd(self->ctx), jobs[0].id, ZCP_STATE_BLOCKED);
	EXPECT_EQ(0, zcp_job_next(self->ctx, jobs[0].id + 1, &status));
	EXPECT_EQ(jobs[1].id, status.job);
	EXPECT_EQ(0, zcp_job_cancel(self->ctx, jobs[1].id, &cancel));
	EXPECT_EQ(1, cancel.cancelled);
	EXPECT_EQ(1, zcp_event_read(self->ctx, event, 3, -1));
	EXPECT_EQ(jobs[1].id, event[0].job);
	EXPECT_EQ(0, zcp_link_cancel(self->ctx, link.link, &cancelled, &sent));
	EXPECT_EQ(2, cancelled);
	EXPECT_GT(sent, 0);
	EXPECT_EQ(2, zcp_event_read(self->ctx, event, 3, ZT_PATIENCE * 1000));
	EXPECT_EQ(sent, event[0].bytes_sent + event[1].bytes_sent);
	EXPECT_EQ(0, zcp_event_read(self->ctx, event, 3, 100));
	zt_close(&conn);
}

TEST_F_TIMEOUT(lib, transfer, 240)
{
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .in_fd = self->file, .out_fd = self->conn.tx,
		.offset = LEN - 1000, .count = 5000,
	};
	struct zt_sink sink;

	zt_sink_start(&sink, self->conn.rx, 1000);
	EXPECT_EQ(0, zcp_transfer(self->ctx, &xfer));
	EXPECT_EQ(1000, xfer.done);
	EXPECT_EQ(LEN, xfer.offset);
	expect_stream(_metadata, &sink, 0, LEN - 1000, 1000);
	zt_sink_free(&sink);
	EXPECT_EQ(0, zcp_transfer(self->ctx, &xfer));
	EXPECT_EQ(0, xfer.done);
}

TEST_F(lib, info_and_open)
{
	struct zcp_info info = { .size = sizeof(info) };
	struct zcp_ctx_opts opts = { .size = sizeof(opts), .path = "/dev/null" };
	struct zcp_ctx *ctx;

	EXPECT_EQ(0, zcp_ctx_info(self->ctx, &info));
	EXPECT_EQ(sizeof(struct zcp_event), info.event_size);
	EXPECT_EQ(-ENOTTY, zcp_ctx_open(&ctx, &opts));
	EXPECT_NULL(ctx);
	opts.path = "/dev/no-such-device";
	EXPECT_EQ(-ENOENT, zcp_ctx_open(&ctx, &opts));
	EXPECT_NE(0, fcntl(zcp_ctx_fd(self->ctx), F_GETFD) & FD_CLOEXEC);
}

TEST_HARNESS_MAIN
