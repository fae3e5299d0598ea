// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a job ends when the peer, the socket or the file does something: its
 * event says what happened, with exact counts, and what was sent is right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#ifndef TCP_ULP
#define TCP_ULP	31
#endif
#define LEN	(2 * ZT_MIB)

FIXTURE(end) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(end)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->file = zt_file(&self->box, 1, LEN);
}

FIXTURE_TEARDOWN(end)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static int try_range(FIXTURE_DATA(end) *self, uint64_t off, uint64_t len)
{
	struct zcp_segment seg = zt_range(self->file, off, len);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	return zt_try_submit(self->ctx, &job);
}

static void expect_failed(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self,
			  uint64_t id, int error, int other)
{
	struct zcp_event event;

	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_TRUE((int)event.error == error || (int)event.error == other)
		TH_LOG("error %u", event.error);
	EXPECT_LE(event.bytes_acked, event.bytes_sent);
	EXPECT_EQ(event.bytes_sent, event.bytes_zerocopy + event.bytes_copied);
	EXPECT_EQ(0, event.acked_ns);
}

/* SIGPIPE would end each of these tests: it has its default action. */
TEST_F_TIMEOUT(end, peer_closed_before, 240)
{
	uint64_t id;

	close(self->conn.rx);
	self->conn.rx = -1;
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	expect_failed(_metadata, self, id, EPIPE, ECONNRESET);
	EXPECT_EQ(-ESHUTDOWN, try_range(self, 0, 100));
}

TEST_F_TIMEOUT(end, peer_closes_during, 240)
{
	char buf[4096];
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_read_full(self->conn.rx, buf, sizeof(buf));
	/* Unread data: the peer's TCP resets. */
	close(self->conn.rx);
	self->conn.rx = -1;
	expect_failed(_metadata, self, id, EPIPE, ECONNRESET);
	EXPECT_EQ(-ESHUTDOWN, try_range(self, 0, 100));
}

/* Half a close is none: the peer has nothing to say and goes on reading. */
TEST_F_TIMEOUT(end, peer_half_closes, 240)
{
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_need(!shutdown(self->conn.rx, SHUT_WR));
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_sink_join(&sink);
	EXPECT_EQ(LEN, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
	EXPECT_EQ(0, try_range(self, 0, 0));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
}

TEST_F_TIMEOUT(end, peer_resets, 240)
{
	uint64_t id, queued;
	struct zcp_event event;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	queued = zt_submit_range(self->ctx, self->link, self->file, 0, 100);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	expect_failed(_metadata, self, id, ECONNRESET, ECONNRESET);
	/* The one behind it cannot be sent either. */
	zt_event(self->ctx, &event);
	EXPECT_EQ(queued, event.job);
	EXPECT_NE(ZCP_STATE_DONE, event.state);
	EXPECT_NE(0, event.error);
	EXPECT_EQ(0, event.bytes_sent);
	EXPECT_EQ(-ESHUTDOWN, try_range(self, 0, 100));
}

TEST_F_TIMEOUT(end, receiver_stalls_then_continues, 240)
{
	struct zcp_status before, after;
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	EXPECT_FALSE(zt_readable(self->ctx, 3 * ZT_WATCH));
	ASSERT_EQ(0, zt_status(self->ctx, id, &before));
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	ASSERT_EQ(0, zt_status(self->ctx, id, &after));
	EXPECT_EQ(ZCP_STATE_BLOCKED, after.state);
	EXPECT_EQ(before.bytes_sent, after.bytes_sent);
	EXPECT_GT(after.bytes_sent, 0);
	EXPECT_LT(after.bytes_sent, LEN);
	EXPECT_EQ(after.bytes_sent, after.position);
	EXPECT_EQ(LEN, after.bytes_total);
	/* Once more in the middle. */
	zt_sink_start(&sink, self->conn.rx, LEN / 2);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN / 2, 1, 0));
	zt_sink_free(&sink);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	EXPECT_FALSE(zt_readable(self->ctx, 3 * ZT_WATCH));
	zt_sink_start(&sink, self->conn.rx, LEN / 2);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_acked);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN / 2, 1, LEN / 2));
	zt_sink_free(&sink);
}

/* Progress never goes back, and one count never overtakes another. */
TEST_F_TIMEOUT(end, status_is_monotonic, 240)
{
	struct zcp_status last = {}, now;
	struct zcp_event event;
	unsigned int steps = 0;
	char buf[32 * ZT_KIB];
	size_t got = 0;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	while (got < LEN) {
		ssize_t n = read(self->conn.rx, buf, sizeof(buf));

		ASSERT_GT(n, 0);
		got += n;
		ASSERT_EQ(0, zt_status(self->ctx, id, &now));
		EXPECT_GE(now.bytes_sent, last.bytes_sent);
		EXPECT_GE(now.bytes_acked, last.bytes_acked);
		EXPECT_GE(now.position, last.position);
		EXPECT_LE(now.bytes_acked, now.bytes_sent);
		EXPECT_LE(now.bytes_sent, now.bytes_total);
		EXPECT_EQ(now.bytes_sent, now.bytes_zerocopy + now.bytes_copied);
		if (now.bytes_sent > last.bytes_sent)
			steps++;
		last = now;
	}
	EXPECT_GT(steps, 5);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_sent);
	EXPECT_EQ(LEN, event.bytes_acked);
	EXPECT_EQ(last.submit_ns, event.submit_ns);
	EXPECT_GE(event.sent_ns, last.sent_ns);
}

/* The file shrinks while it is sent. Returns what the receiver got. */
static size_t shrink(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self, bool exact,
		     struct zcp_event *event)
{
	struct zcp_segment seg = exact ? zt_range(self->file, 0, LEN) : zt_to_eof(self->file, 0);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zt_sink sink;
	size_t len;

	zt_submit(self->ctx, &job);
	zt_wait_state(self->ctx, job.id, ZCP_STATE_BLOCKED);
	zt_need(!ftruncate(self->file, LEN / 2 + 100));
	zt_sink_start(&sink, self->conn.rx, LEN + 1);
	zt_event(self->ctx, event);
	EXPECT_EQ(job.id, event->job);
	EXPECT_EQ(LEN / 2 + 100, event->bytes_sent);
	EXPECT_EQ(LEN / 2 + 100, event->position);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_TRUE(sink.eof);
	/* Never a byte beyond the end, nor a zero that was not there. */
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	len = sink.len;
	zt_sink_free(&sink);
	return len;
}

TEST_F_TIMEOUT(end, truncated_exact, 240)
{
	struct zcp_event event;

	EXPECT_EQ(LEN / 2 + 100, shrink(_metadata, self, true, &event));
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(ENODATA, event.error);
	EXPECT_EQ(0, event.segment);
}

TEST_F_TIMEOUT(end, truncated_to_eof, 240)
{
	struct zcp_event event;

	EXPECT_EQ(LEN / 2 + 100, shrink(_metadata, self, false, &event));
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(0, event.error);
	EXPECT_EQ(1, event.segment);
	EXPECT_EQ(LEN / 2 + 100, event.bytes_acked);
}

/* Truncated below what is queued already: no hang, no byte from beyond. */
TEST_F_TIMEOUT(end, truncated_to_nothing, 240)
{
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id;
	size_t i;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_need(!ftruncate(self->file, 0));
	zt_sink_start(&sink, self->conn.rx, LEN + 1);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(ENODATA, event.error);
	EXPECT_LT(event.bytes_sent, LEN);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(event.bytes_sent, sink.len);
	for (i = 0; i < sink.len; i++) {
		char want;

		zt_pattern(&want, 1, i, 1);
		if (sink.buf[i] && sink.buf[i] != want)
			zt_die("byte %zu was never in the file", i);
	}
	zt_sink_free(&sink);
}

/* A hole punched while it is sent: each word is what it was, or zero. */
TEST_F_TIMEOUT(end, hole_punched, 240)
{
	struct zcp_event event;
	size_t off, zeros = 0;
	struct zt_sink sink;
	uint64_t id, word;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_need(!fallocate(self->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN / 2));
	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_sent);
	zt_sink_join(&sink);
	zt_need(sink.len == LEN);
	for (off = 0; off < LEN; off += 8) {
		zt_pattern(&word, 1, off, 8);
		if (!memcmp(sink.buf + off, "\0\0\0\0\0\0\0\0", 8))
			zeros += 8;
		else if (memcmp(sink.buf + off, &word, 8))
			zt_die("word at %zu is neither old nor zero", off);
	}
	/* What was not queued by then comes from the hole. */
	EXPECT_GT(zeros, LEN / 8);
	EXPECT_LE(zeros, LEN / 2);
	zt_sink_free(&sink);
}

/* What cannot go on without a broken message is cancelled behind it. */
static void partial_failure(struct __test_metadata *_metadata, FIXTURE_DATA(end) *self,
			    uint32_t flags)
{
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id[4], next;
	size_t i, want;
	uint32_t link;

	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	link = zt_link_flags(self->ctx, self->conn.tx, flags);
	self->link = link;
	id[0] = zt_submit_range(self->ctx, link, self->file, 0, LEN);
	id[1] = zt_submit_range(self->ctx, link, self->file, 4096, 5000);
	id[2] = zt_submit_range(self->ctx, link, self->file, 8192, 5000);
	zt_wait_state(self->ctx, id[0], ZCP_STATE_BLOCKED);
	EXPECT_EQ(ZCP_STATE_QUEUED, zt_state(self->ctx, id[2]));
	zt_need(!ftruncate(self->file, LEN / 2));
	zt_sink_start(&sink, self->conn.rx, LEN + 1);
	/* Nobody has been told yet, and who submits does not know. */
	zt_wait_state(self->ctx, id[0], ZCP_STATE_FAILED);
	id[3] = zt_submit_range(self->ctx, link, self->file, 1000, 5000);
	for (i = 0; i < 4; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(id[i], event.job);
		if (!i) {
			EXPECT_EQ(ZCP_STATE_FAILED, event.state);
			EXPECT_EQ(ENODATA, event.error);
			EXPECT_EQ(LEN / 2, event.bytes_sent);
		} else if (flags & ZCP_LINK_CONTINUE) {
			EXPECT_EQ(ZCP_STATE_DONE, event.state);
			EXPECT_EQ(5000, event.bytes_acked);
		} else {
			EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
			EXPECT_EQ(ECANCELED, event.error);
			EXPECT_EQ(0, event.bytes_sent);
		}
	}
	/* The link itself is not broken, once the event has told of it. */
	next = zt_submit_range(self->ctx, link, self->file, 0, 3000);
	zt_event(self->ctx, &event);
	EXPECT_EQ(next, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	want = LEN / 2 + (flags & ZCP_LINK_CONTINUE ? 15000 : 0) + 3000;
	EXPECT_EQ(want, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN / 2, 1, 0));
	EXPECT_EQ(-1, zt_mismatch(sink.buf + want - 3000, 3000, 1, 0));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(end, partial_failure_cancels_the_rest, 240)
{
	partial_failure(_metadata, self, 0);
}

TEST_F_TIMEOUT(end, partial_failure_continue, 240)
{
	partial_failure(_metadata, self, ZCP_LINK_CONTINUE);
}

TEST_F_TIMEOUT(end, own_shutdown_before, 240)
{
	struct zcp_event event;
	int ret;

	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	ret = try_range(self, 0, 100);
	if (!ret) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_FAILED, event.state);
		EXPECT_EQ(EPIPE, event.error);
		EXPECT_EQ(0, event.bytes_sent);
	} else {
		EXPECT_EQ(-ESHUTDOWN, ret);
	}
	EXPECT_EQ(0, zt_drain(self->conn.rx));
}

TEST_F_TIMEOUT(end, own_shutdown_during, 240)
{
	struct zt_sink sink;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_start(&sink, self->conn.rx, LEN + 1);
	expect_failed(_metadata, self, id, EPIPE, EPIPE);
	zt_sink_join(&sink);
	EXPECT_TRUE(sink.eof);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

/* Everything was sent, then the caller shuts down: that is a normal end. */
TEST_F_TIMEOUT(end, own_shutdown_after_sent, 240)
{
	struct zcp_event event;
	struct zt_sink sink;
	struct zt_conn conn;
	uint64_t id;

	zt_connect_holding(&conn);
	id = zt_submit_range(self->ctx, zt_link(self->ctx, conn.tx), self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	zt_need(!shutdown(conn.tx, SHUT_WR));
	zt_sink_start(&sink, conn.rx, LEN + 1);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_acked);
	zt_sink_join(&sink);
	EXPECT_EQ(LEN, sink.len);
	EXPECT_TRUE(sink.eof);
	zt_sink_free(&sink);
	zt_close(&conn);
}

static int set_tls(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4) ? -errno : 0;
}

TEST_F_TIMEOUT(end, tls_before_link, 240)
{
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_xfer xfer = { .size = sizeof(xfer), .in_fd = self->file, .count = 100 };
	struct zt_conn conn;
	int ret;

	zt_connect(&conn, 0, 0);
	ret = set_tls(conn.tx);
	if (ret)
		SKIP(return, "TCP_ULP tls: errno %d, the kernel lacks the module tls", -ret);
	link.fd = conn.tx;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_LINK, &link));
	EXPECT_EQ(EOPNOTSUPP, errno);
	xfer.out_fd = conn.tx;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(EOPNOTSUPP, errno);
	zt_close(&conn);
}

/* kTLS set on a linked socket: file bytes must not go out in the clear. */
TEST_F_TIMEOUT(end, tls_after_link, 240)
{
	struct zcp_event event;
	int ret;

	ret = set_tls(self->conn.tx);
	if (ret)
		SKIP(return, "TCP_ULP tls: errno %d, the kernel lacks the module tls", -ret);
	ret = try_range(self, 0, 100);
	if (!ret) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_FAILED, event.state);
		EXPECT_EQ(EOPNOTSUPP, event.error);
		EXPECT_EQ(0, event.bytes_sent);
	} else {
		EXPECT_EQ(-EOPNOTSUPP, ret);
	}
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	close(self->conn.tx);
	self->conn.tx = -1;
	EXPECT_EQ(0, zt_drain(self->conn.rx));
}

/* Busy until the event has been read, and not a moment longer. */
TEST_F_TIMEOUT(end, unmount_after_event, 240)
{
	struct zcp_event event;
	struct zt_sink sink;
	char dir[80];
	uint64_t id;
	int file;

	snprintf(dir, sizeof(dir), "%s/mnt", self->box.dir);
	zt_need(!mkdir(dir, 0700));
	zt_need(!mount("zcp-test", dir, "tmpfs", 0, NULL));
	file = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(file >= 0);
	zt_fill(file, 1, 0, LEN);
	id = zt_submit_range(self->ctx, self->link, file, 0, LEN);
	close(file);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	EXPECT_EQ(-1, umount(dir));
	EXPECT_EQ(EBUSY, errno);
	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_event(self->ctx, &event);
	EXPECT_EQ(0, umount(dir))
		TH_LOG("errno %d", errno);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

/* The egress device goes away under a job that is blocked. */
TEST_F_TIMEOUT(end, device_down, 240)
{
	struct zcp_cancel cancel;
	struct zcp_event event;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_need(!zt_run("ip link set lo down"));
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	EXPECT_EQ(0, zt_cancel(self->ctx, id, &cancel));
	EXPECT_EQ(1, cancel.cancelled);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	EXPECT_EQ(cancel.bytes_sent, event.bytes_sent);
}

TEST_HARNESS_MAIN
