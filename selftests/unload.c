// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is removed as soon as the last context is closed, while what its
 * jobs have sent is still on its way: nothing of that needs it any more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN	(2 * ZT_MIB)

FIXTURE(unload) {
	struct zt_box box;
	struct zt_conn conn;
	const char *ko;		/* NULL when it cannot be loaded again */
	uint32_t link;
	int ctx;
	int file;
};

#define SELF FIXTURE_DATA(unload)

FIXTURE_SETUP(unload)
{
	zt_box_open(&self->box, 1500);
	self->ko = getenv("ZCP_KO");
	self->file = zt_file(&self->box, 1, LEN);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	if (!self->ko || access(self->ko, R_OK))
		SKIP(return, "needs the module's file: set ZCP_KO");
	if (self->box.refs)
		SKIP(return, "needs a module that nobody else uses");
}

FIXTURE_TEARDOWN(unload)
{
	if (self->ctx >= 0)
		close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Closes the context, and removes the module in the next moment. */
static void close_and_unload(struct __test_metadata *_metadata, SELF *self)
{
	EXPECT_EQ(-1, syscall(SYS_delete_module, "zcp", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	close(self->ctx);
	self->ctx = -1;
	ASSERT_EQ(0, syscall(SYS_delete_module, "zcp", O_NONBLOCK));
	EXPECT_NE(0, access("/sys/module/zcp", F_OK));
}

/* All of the file arrives, and then the module is there again. */
static void expect_all(struct __test_metadata *_metadata, SELF *self, uint64_t len)
{
	struct zt_sink sink;

	close(self->conn.tx);
	self->conn.tx = -1;
	zt_sink_start(&sink, self->conn.rx, LEN + 1);
	zt_sink_join(&sink);
	EXPECT_EQ(len, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
	EXPECT_EQ(0, zt_run("insmod %s", self->ko));
}

TEST_F_TIMEOUT(unload, acks_outstanding, 240)
{
	uint64_t id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);

	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	close_and_unload(_metadata, self);
	expect_all(_metadata, self, LEN);
}

TEST_F_TIMEOUT(unload, event_unread, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	job.complete = ZCP_COMPLETE_SENT;
	zt_wait_state(self->ctx, zt_submit(self->ctx, &job), ZCP_STATE_DONE);
	close_and_unload(_metadata, self);
	expect_all(_metadata, self, LEN);
}

/* What was lost on the way is sent again, from the pages of a cancelled job. */
TEST_F_TIMEOUT(unload, retransmission, 240)
{
	struct zcp_cancel cancel;
	uint64_t id;

	if (zt_run("tc qdisc add dev lo root netem loss 100%% 2>/dev/null"))
		SKIP(return, "the kernel lacks netem, or the command tc is missing");
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	ASSERT_EQ(0, zt_cancel(self->ctx, id, &cancel));
	EXPECT_EQ(LEN, cancel.bytes_sent);
	close_and_unload(_metadata, self);
	zt_sleep_ms(ZT_WATCH);
	EXPECT_EQ(LEN, zt_unacked(self->conn.tx));
	zt_need(!zt_run("tc qdisc del dev lo root"));
	expect_all(_metadata, self, LEN);
}

/* In the middle of a job, whose worker is at it until the context is closed. */
TEST_F_TIMEOUT(unload, running, 240)
{
	int huge = zt_file(&self->box, 2, 0);
	struct zcp_status status;
	struct zt_sink sink;
	uint64_t id;

	zt_need(!ftruncate(huge, 100 * ZT_GIB));
	zt_sink_count(&sink, self->conn.rx);
	id = zt_submit_range(self->ctx, self->link, huge, 0, 100 * ZT_GIB);
	do {
		zt_need(!zt_status(self->ctx, id, &status));
	} while (status.bytes_acked < LEN);
	close_and_unload(_metadata, self);
	close(huge);
	close(self->conn.tx);
	self->conn.tx = -1;
	zt_sink_join(&sink);
	EXPECT_GE(sink.len, LEN);
	zt_sink_free(&sink);
	EXPECT_EQ(0, zt_run("insmod %s", self->ko));
}

static void count_message(const struct zn_msg *msg, void *arg)
{
	(*(unsigned int *)arg)++;
}

/* Somebody listens: he does not hold the module, and hears no more of it. */
TEST_F_TIMEOUT(unload, subscriber, 240)
{
	unsigned int nr = 0;
	struct zn_sock nl;

	zn_open(&nl);
	zt_need(!zn_subscribe(&nl));
	zt_wait_state(self->ctx, zt_submit_range(self->ctx, self->link, self->file, 0, LEN),
		      ZCP_STATE_SENT);
	close_and_unload(_metadata, self);
	EXPECT_GT(zn_listen(&nl, 0, count_message, &nr), 0);
	EXPECT_EQ(-ENOENT, zn_get(&nl, ZCP_NL_CMD_STATS_GET, 0, 0, NULL, NULL));
	zn_close(&nl);
	expect_all(_metadata, self, LEN);
}

TEST_HARNESS_MAIN
