// SPDX-License-Identifier: GPL-2.0-only
/*
 * A connection that has lost its route: what zcp says of bytes that it pushes then,
 * and that all of them arrive when the route is back. Reason ipsec is in inplace.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	(64 * ZT_KIB)

FIXTURE(route) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int ctx;
	int file;
};

static void route_is_back(void)
{
	zt_need(!zt_run("ip route add local 127.0.0.1 dev lo table local"));
	zt_need(!zt_run("ip route add local 127.0.0.0/8 dev lo table local src 127.0.0.1"));
}

static void route_is_lost(void)
{
	zt_need(!zt_run("ip route del local 127.0.0.0/8 dev lo table local"));
	zt_need(!zt_run("ip route del local 127.0.0.1 dev lo table local"));
}

/* Ends with a socket that knows of no route; its bytes are the file's. */
FIXTURE_SETUP(route)
{
	struct zcp_event event;
	char c;

	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, 1, 4 * LEN);
	zt_connect(&self->conn, ZT_MIB, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	zt_submit_range(self->ctx, self->link, self->file, 0, 1);
	zt_read_full(self->conn.rx, &c, 1);
	zt_event(self->ctx, &event);
	ASSERT_EQ(ZCP_STATE_DONE, event.state);
	route_is_lost();
	/* TCP itself finds out, when it has a packet to send. */
	zt_submit_range(self->ctx, self->link, self->file, 1, LEN - 1);
}

FIXTURE_TEARDOWN(route)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* With the route all that was pushed arrives, and is right. */
static void arrives(struct __test_metadata *_metadata, FIXTURE_DATA(route) *self, size_t len)
{
	struct zt_sink sink;

	zt_sink_start(&sink, self->conn.rx, len);
	route_is_back();
	zt_sink_join(&sink);
	EXPECT_EQ(len, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 1));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(route, lost_is_the_reason, 240)
{
	struct zcp_event first, second;

	zt_submit_range(self->ctx, self->link, self->file, LEN, LEN);
	arrives(_metadata, self, 2 * LEN - 1);
	zt_event(self->ctx, &first);
	zt_event(self->ctx, &second);
	EXPECT_EQ(ZCP_STATE_DONE, first.state);
	EXPECT_EQ(ZCP_STATE_DONE, second.state);
	EXPECT_EQ(0, second.bytes_zerocopy);
	EXPECT_EQ(LEN, second.bytes_copied);
	EXPECT_EQ(ZCP_REASON_NO_ROUTE, second.copy_reason);
	EXPECT_EQ(1U << ZCP_REASON_NO_ROUTE, second.copy_reasons);
}

TEST_F_TIMEOUT(route, lost_refuses_zerocopy, 240)
{
	struct zcp_segment seg = zt_range(self->file, LEN, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zcp_submit submit = {
		.size = sizeof(submit), .nr_jobs = 1, .jobs = (uintptr_t)&job,
		.job_size = sizeof(job),
	};
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .mode = ZCP_MODE_ZEROCOPY, .in_fd = self->file,
		.out_fd = self->conn.tx, .count = LEN,
	};
	struct zcp_event event;

	job.mode = ZCP_MODE_ZEROCOPY;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(ZCP_REASON_NO_ROUTE, submit.reason);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(ZCP_REASON_NO_ROUTE, xfer.copy_reason);
	/* Nor does a header go whose file could not follow. */
	xfer.header = (uintptr_t)"header";
	xfer.header_len = 6;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(ZCP_REASON_NO_ROUTE, xfer.copy_reason);
	EXPECT_EQ(0, xfer.header_done);
	arrives(_metadata, self, LEN - 1);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
}

/* A link that is made then says so; it is what is true now, and not for ever. */
TEST_F_TIMEOUT(route, link_tells, 240)
{
	struct zcp_link link = { .size = sizeof(link), .fd = self->conn.tx };
	struct zcp_event event;

	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	zt_event(self->ctx, &event);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_LINK, &link));
	EXPECT_EQ(ZCP_REASON_NO_ROUTE, link.path_reason);
	EXPECT_EQ(ZCP_MODE_COPY, link.path_mode);
	EXPECT_EQ(0, link.path_ifindex);
	arrives(_metadata, self, LEN - 1);
	zt_submit_range(self->ctx, link.link, self->file, 0, 5000);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(5000, event.bytes_zerocopy);
}

TEST_HARNESS_MAIN
