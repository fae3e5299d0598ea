// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs ended by their owner: cancel, unlink, close and death, in each state.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	(2 * ZT_MIB)

FIXTURE(cancel) {
	struct zt_box box;
	struct zt_conn conn;	/* a job of LEN blocks */
	struct zt_conn hold;	/* a job of LEN is sent and not acked */
	struct zcp_cancel arg;
	uint32_t link;
	uint32_t hold_link;
	int ctx;
	int file;
};

FIXTURE_SETUP(cancel)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_blocking(&self->conn);
	zt_connect_holding(&self->hold);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->hold_link = zt_link(self->ctx, self->hold.tx);
	self->file = zt_file(&self->box, 1, LEN);
}

FIXTURE_TEARDOWN(cancel)
{
	if (self->ctx >= 0) {
		EXPECT_EQ(0, zt_jobs(self->ctx));
		EXPECT_FALSE(zt_readable(self->ctx, 0));
		close(self->ctx);
	}
	zt_close(&self->conn);
	zt_close(&self->hold);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static uint64_t blocked_job(FIXTURE_DATA(cancel) *self)
{
	uint64_t id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);

	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	return id;
}

static uint64_t sent_job(FIXTURE_DATA(cancel) *self)
{
	uint64_t id = zt_submit_range(self->ctx, self->hold_link, self->file, 0, LEN);

	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	return id;
}

static void expect_cancelled(struct __test_metadata *_metadata, FIXTURE_DATA(cancel) *self,
			     uint64_t id, uint64_t bytes)
{
	struct zcp_event event;

	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	EXPECT_EQ(ECANCELED, event.error);
	EXPECT_EQ(bytes, event.bytes_sent);
	EXPECT_EQ(-ENOENT, zt_state(self->ctx, id));
}

/* Nothing but the first @len bytes of the file arrives; the link has ended. */
static void expect_stream(struct __test_metadata *_metadata, struct zt_conn *conn, uint64_t len)
{
	struct zt_sink sink;

	zt_sink_start(&sink, conn->rx, 2 * LEN);
	close(conn->tx);
	conn->tx = -1;
	zt_sink_join(&sink);
	EXPECT_TRUE(sink.eof);
	EXPECT_EQ(len, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(cancel, queued, 240)
{
	uint64_t first = blocked_job(self), second, third, sent;
	struct zcp_event event;
	struct zt_sink sink;

	second = zt_submit_range(self->ctx, self->link, self->file, 0, 1000);
	third = zt_submit_range(self->ctx, self->link, self->file, 0, 100);
	EXPECT_EQ(ZCP_STATE_QUEUED, zt_state(self->ctx, second));
	ASSERT_EQ(0, zt_cancel(self->ctx, second, &self->arg));
	EXPECT_EQ(1, self->arg.cancelled);
	EXPECT_EQ(ZCP_STATE_CANCELLED, self->arg.state);
	EXPECT_EQ(0, self->arg.bytes_sent);
	expect_cancelled(_metadata, self, second, 0);
	/* For free: the others go on. */
	zt_sink_start(&sink, self->conn.rx, LEN + 100);
	for (sent = 0; sent < LEN + 100; sent += event.bytes_sent) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(sent ? third : first, event.job);
		ASSERT_EQ(ZCP_STATE_DONE, event.state);
	}
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, 1, 0));
	EXPECT_EQ(-1, zt_mismatch(sink.buf + LEN, 100, 1, 0));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(cancel, blocked, 240)
{
	uint64_t first = blocked_job(self), second;

	second = zt_submit_range(self->ctx, self->link, self->file, 0, 1000);
	ASSERT_EQ(0, zt_cancel(self->ctx, first, &self->arg));
	EXPECT_EQ(1, self->arg.cancelled);
	EXPECT_EQ(ZCP_STATE_CANCELLED, self->arg.state);
	EXPECT_GT(self->arg.bytes_sent, 0);
	EXPECT_LT(self->arg.bytes_sent, LEN);
	expect_cancelled(_metadata, self, first, self->arg.bytes_sent);
	/* It ended part way, and takes the one behind it along. */
	expect_cancelled(_metadata, self, second, 0);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	expect_stream(_metadata, &self->conn, self->arg.bytes_sent);
}

TEST_F_TIMEOUT(cancel, sent, 240)
{
	uint64_t id = sent_job(self), next;
	struct zt_sink sink;

	ASSERT_EQ(0, zt_cancel(self->ctx, id, &self->arg));
	EXPECT_EQ(1, self->arg.cancelled);
	EXPECT_EQ(ZCP_STATE_CANCELLED, self->arg.state);
	EXPECT_EQ(LEN, self->arg.bytes_sent);
	expect_cancelled(_metadata, self, id, LEN);
	/* All of it is in the send queue, nothing is broken: the link goes on. */
	next = zt_submit_range(self->ctx, self->hold_link, self->file, 0, 1000);
	zt_wait_state(self->ctx, next, ZCP_STATE_SENT);
	ASSERT_EQ(0, zt_cancel(self->ctx, next, &self->arg));
	expect_cancelled(_metadata, self, next, 1000);
	zt_sink_start(&sink, self->hold.rx, LEN + 1000);
	zt_sink_join(&sink);
	EXPECT_EQ(LEN + 1000, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, 1, 0));
	EXPECT_EQ(-1, zt_mismatch(sink.buf + LEN, 1000, 1, 0));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(cancel, final, 240)
{
	uint64_t id = zt_submit_range(self->ctx, self->link, self->file, 0, 0);
	struct zcp_event event;

	zt_wait_state(self->ctx, id, ZCP_STATE_DONE);
	ASSERT_EQ(0, zt_cancel(self->ctx, id, &self->arg));
	EXPECT_EQ(0, self->arg.cancelled);
	EXPECT_EQ(ZCP_STATE_DONE, self->arg.state);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(-ENOENT, zt_cancel(self->ctx, id, &self->arg));
}

TEST_F_TIMEOUT(cancel, twice, 240)
{
	uint64_t id = blocked_job(self), sent;

	ASSERT_EQ(0, zt_cancel(self->ctx, id, &self->arg));
	EXPECT_EQ(1, self->arg.cancelled);
	sent = self->arg.bytes_sent;
	ASSERT_EQ(0, zt_cancel(self->ctx, id, &self->arg));
	EXPECT_EQ(0, self->arg.cancelled);
	EXPECT_EQ(ZCP_STATE_CANCELLED, self->arg.state);
	EXPECT_EQ(sent, self->arg.bytes_sent);
	expect_cancelled(_metadata, self, id, sent);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	expect_stream(_metadata, &self->conn, sent);
}

/* While it runs: a reader keeps it moving until it is cancelled. */
TEST_F_TIMEOUT(cancel, running, 240)
{
	static const uint64_t huge = 100 * ZT_GIB;
	int file = zt_file(&self->box, 1, 0);
	struct zt_sink sink;
	struct zt_conn conn;
	uint64_t id, sent;
	uint32_t link;
	int i;

	zt_need(!ftruncate(file, huge));
	for (i = 0; i < 5; i++) {
		zt_connect(&conn, 0, 0);
		zt_sink_count(&sink, conn.rx);
		link = zt_link(self->ctx, conn.tx);
		id = zt_submit_range(self->ctx, link, file, 0, huge);
		zt_sleep_ms(i * 20);
		ASSERT_EQ(0, zt_cancel(self->ctx, id, &self->arg));
		EXPECT_EQ(1, self->arg.cancelled);
		sent = self->arg.bytes_sent;
		expect_cancelled(_metadata, self, id, sent);
		EXPECT_EQ(0, zt_unlink(self->ctx, link, NULL));
		close(conn.tx);
		zt_sink_join(&sink);
		EXPECT_EQ(sent, sink.len);
		zt_sink_free(&sink);
		close(conn.rx);
		zt_need(!ftruncate(file, 0));
		zt_need(!ftruncate(file, huge));
	}
	close(file);
}

TEST_F_TIMEOUT(cancel, whole_link, 240)
{
	struct zcp_cancel arg = { .size = sizeof(arg), .flags = ZCP_CANCEL_LINK };
	uint64_t id[10], other = sent_job(self), sent = 0;
	struct zcp_event event;
	int i;

	id[0] = blocked_job(self);
	for (i = 1; i < 10; i++)
		id[i] = zt_submit_range(self->ctx, self->link, self->file, 0, 1000);
	arg.link = self->link;
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_CANCEL, &arg));
	EXPECT_EQ(10, arg.cancelled);
	EXPECT_EQ(0, arg.state);
	for (i = 0; i < 10; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(id[i], event.job);
		EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
		sent += event.bytes_sent;
	}
	EXPECT_EQ(sent, arg.bytes_sent);
	/* Not those of another link. */
	EXPECT_EQ(ZCP_STATE_SENT, zt_state(self->ctx, other));
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_CANCEL, &arg));
	EXPECT_EQ(0, arg.cancelled);
	EXPECT_EQ(0, zt_cancel(self->ctx, other, &self->arg));
	expect_cancelled(_metadata, self, other, LEN);
}

TEST_F_TIMEOUT(cancel, unlink_in_flight, 240)
{
	uint64_t first = blocked_job(self), second, sent;
	uint32_t cancelled = 0;
	struct zcp_event event;

	second = zt_submit_range(self->ctx, self->link, self->file, 0, 1000);
	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, &cancelled));
	EXPECT_EQ(2, cancelled);
	zt_event(self->ctx, &event);
	EXPECT_EQ(first, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	sent = event.bytes_sent;
	EXPECT_GT(sent, 0);
	expect_cancelled(_metadata, self, second, 0);
	EXPECT_EQ(-ENOENT, zt_unlink(self->ctx, self->link, NULL));
	/* The socket is the caller's again, and zcp does not hold it open. */
	expect_stream(_metadata, &self->conn, sent);
	/* A job that waits for its acknowledgment ends likewise. */
	first = sent_job(self);
	ASSERT_EQ(0, zt_unlink(self->ctx, self->hold_link, &cancelled));
	EXPECT_EQ(1, cancelled);
	expect_cancelled(_metadata, self, first, LEN);
	expect_stream(_metadata, &self->hold, LEN);
}

TEST_F_TIMEOUT(cancel, close_in_flight, 240)
{
	struct zcp_status status;
	uint64_t id, sent;

	sent_job(self);
	id = blocked_job(self);
	zt_submit_range(self->ctx, self->link, self->file, 0, 1000);
	ASSERT_EQ(0, zt_status(self->ctx, id, &status));
	sent = status.bytes_sent;
	close(self->ctx);
	self->ctx = -1;
	EXPECT_EQ(self->box.refs, zt_refs());
	/* The sockets are open still, with what was sent and no more. */
	zt_need(write(self->hold.tx, "x", 1) == 1);
	expect_stream(_metadata, &self->conn, sent);
	{
		struct zt_sink sink;

		zt_sink_start(&sink, self->hold.rx, LEN + 1);
		zt_sink_join(&sink);
		EXPECT_EQ(LEN + 1, sink.len);
		EXPECT_EQ('x', sink.buf[LEN]);
		EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, 1, 0));
		zt_sink_free(&sink);
	}
}

/* Not before the last descriptor of the context is closed. */
TEST_F_TIMEOUT(cancel, close_of_a_duplicate, 240)
{
	int again = dup(self->ctx);
	uint64_t id = blocked_job(self);

	close(self->ctx);
	self->ctx = again;
	EXPECT_EQ(ZCP_STATE_BLOCKED, zt_state(again, id));
	EXPECT_FALSE(zt_readable(again, ZT_WATCH));
	EXPECT_EQ(0, zt_cancel(again, id, &self->arg));
	expect_cancelled(_metadata, self, id, self->arg.bytes_sent);
}

enum life { IDLE, LINKED, BLOCKED, SENT, UNREAD, READING, LIVES };

/* The child: it goes as far as @life, says so, and waits to be killed. */
static void live(FIXTURE_DATA(cancel) *self, enum life life, int report)
{
	struct zcp_event event;
	int ctx = zt_open(0);
	uint32_t link = 0;
	uint64_t id;

	if (life >= LINKED)
		link = zt_link(ctx, life == SENT ? self->hold.tx : self->conn.tx);
	if (life == BLOCKED || life == SENT || life == READING) {
		id = zt_submit_range(ctx, link, self->file, 0, LEN);
		zt_wait_state(ctx, id, life == SENT ? ZCP_STATE_SENT : ZCP_STATE_BLOCKED);
	}
	if (life == UNREAD) {
		id = zt_submit_range(ctx, link, self->file, 0, 0);
		zt_wait_state(ctx, id, ZCP_STATE_DONE);
	}
	zt_need(write(report, "x", 1) == 1);
	if (life == READING)
		zt_need(read(ctx, &event, sizeof(event)) < 0);
	for (;;)
		pause();
}

/* SIGKILL: the peers see the connections end, and nothing is left. */
static void kill_in(struct __test_metadata *_metadata, FIXTURE_DATA(cancel) *self,
		    enum life life)
{
	struct zt_sink sink;
	int report[2], status;
	char c;
	pid_t pid;

	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	EXPECT_EQ(0, zt_unlink(self->ctx, self->hold_link, NULL));
	close(self->ctx);
	self->ctx = -1;
	zt_need(!pipe2(report, O_CLOEXEC));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		close(report[0]);
		close(self->conn.rx);
		close(self->hold.rx);
		live(self, life, report[1]);
	}
	close(report[1]);
	close(self->conn.tx);
	self->conn.tx = -1;
	close(self->hold.tx);
	self->hold.tx = -1;
	ASSERT_EQ(1, read(report[0], &c, 1));
	close(report[0]);
	EXPECT_EQ(self->box.refs + 1, zt_refs());
	zt_need(!kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	zt_sink_start(&sink, self->conn.rx, 2 * LEN);
	zt_sink_join(&sink);
	EXPECT_TRUE(sink.eof || sink.error == ECONNRESET);
	EXPECT_LT(sink.len, LEN);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
	zt_sink_start(&sink, self->hold.rx, 2 * LEN);
	zt_sink_join(&sink);
	EXPECT_TRUE(sink.eof);
	EXPECT_EQ(life == SENT ? LEN : 0, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(cancel, killed_idle, 240)
{
	kill_in(_metadata, self, IDLE);
}

TEST_F_TIMEOUT(cancel, killed_linked, 240)
{
	kill_in(_metadata, self, LINKED);
}

TEST_F_TIMEOUT(cancel, killed_blocked, 240)
{
	kill_in(_metadata, self, BLOCKED);
}

TEST_F_TIMEOUT(cancel, killed_sent, 240)
{
	kill_in(_metadata, self, SENT);
}

TEST_F_TIMEOUT(cancel, killed_with_unread_event, 240)
{
	kill_in(_metadata, self, UNREAD);
}

TEST_F_TIMEOUT(cancel, killed_in_read, 240)
{
	kill_in(_metadata, self, READING);
}

TEST_HARNESS_MAIN
