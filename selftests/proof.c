// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stages are what they claim to be. Zero-copy: a change made to the file
 * while the bytes wait in the send queue shows up at the receiver. Copy: it
 * does not. Acked: never before the peer's TCP has acknowledged the last byte.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define OLD	1	/* the seeds of what the file has and gets */
#define NEW	2
#define LEN	(1 * ZT_MIB)

FIXTURE(proof) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(proof)
{
	/* Frames of Ethernet's size, so that a small window is a small window. */
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->file = zt_file(&self->box, OLD, LEN);
}

FIXTURE_TEARDOWN(proof)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Words of the stream that are the file's new bytes; the others are old. */
static size_t count_new(const char *buf, size_t len)
{
	char old[8], new[8];
	size_t off, n = 0;

	for (off = 0; off < len; off += 8) {
		zt_pattern(old, OLD, off, 8);
		zt_pattern(new, NEW, off, 8);
		if (!memcmp(buf + off, new, 8))
			n++;
		else if (memcmp(buf + off, old, 8))
			zt_die("word at %zu is neither old nor new", off);
	}
	return n * 8;
}

/* Sends the file, changes it after `sent`, and counts the new bytes received. */
static size_t change_after_sent(struct __test_metadata *_metadata, FIXTURE_DATA(proof) *self,
				uint32_t mode, bool by_mmap, struct zcp_event *event)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zt_sink sink;
	size_t n;

	job.mode = mode;
	job.complete = ZCP_COMPLETE_SENT;
	zt_submit(self->ctx, &job);
	zt_event(self->ctx, event);
	EXPECT_EQ(ZCP_STATE_DONE, event->state);
	EXPECT_EQ(LEN, event->bytes_sent);
	EXPECT_LT(event->bytes_acked, LEN);
	/* The data is held back: most of it waits in the send queue. */
	EXPECT_GT(zt_unacked(self->conn.tx), LEN / 2);
	if (by_mmap) {
		void *map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, self->file, 0);

		zt_need(map != MAP_FAILED);
		zt_pattern(map, NEW, 0, LEN);
		munmap(map, LEN);
	} else {
		zt_fill(self->file, NEW, 0, LEN);
	}
	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_sink_join(&sink);
	zt_need(sink.len == LEN);
	n = count_new(sink.buf, LEN);
	zt_sink_free(&sink);
	return n;
}

TEST_F_TIMEOUT(proof, late_write_shows_in_zerocopy, 240)
{
	struct zcp_event event;

	EXPECT_GT(change_after_sent(_metadata, self, ZCP_MODE_ZEROCOPY, false, &event), LEN / 2);
	EXPECT_EQ(LEN, event.bytes_zerocopy);
	EXPECT_EQ(0, event.bytes_copied);
}

TEST_F_TIMEOUT(proof, late_write_shows_in_auto, 240)
{
	struct zcp_event event;

	EXPECT_GT(change_after_sent(_metadata, self, ZCP_MODE_AUTO, false, &event), LEN / 2);
	EXPECT_EQ(LEN, event.bytes_zerocopy);
}

TEST_F_TIMEOUT(proof, late_mmap_shows_in_zerocopy, 240)
{
	struct zcp_event event;

	EXPECT_GT(change_after_sent(_metadata, self, ZCP_MODE_ZEROCOPY, true, &event), LEN / 2);
}

TEST_F_TIMEOUT(proof, late_write_hidden_in_copy, 240)
{
	struct zcp_event event;

	EXPECT_EQ(0, change_after_sent(_metadata, self, ZCP_MODE_COPY, false, &event));
	EXPECT_EQ(0, event.bytes_zerocopy);
	EXPECT_EQ(LEN, event.bytes_copied);
	EXPECT_EQ(ZCP_REASON_ASKED, event.copy_reason);
}

TEST_F_TIMEOUT(proof, late_mmap_hidden_in_copy, 240)
{
	struct zcp_event event;

	EXPECT_EQ(0, change_after_sent(_metadata, self, ZCP_MODE_COPY, true, &event));
}

/* Whatever is done with the file after `acked`, the job is told the truth. */
TEST_F_TIMEOUT(proof, sent_is_not_acked, 240)
{
	uint64_t base = zt_tcp_acked(self->conn.tx), acked, id;
	struct zcp_status status;
	struct zcp_event event;
	struct zt_sink sink;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	/* The window is closed: SENT it is, and DONE it must not become. */
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	ASSERT_EQ(0, zt_status(self->ctx, id, &status));
	acked = zt_tcp_acked(self->conn.tx) - base;
	EXPECT_EQ(ZCP_STATE_SENT, status.state);
	EXPECT_EQ(LEN, status.bytes_sent);
	EXPECT_LE(status.bytes_acked, acked);
	EXPECT_LT(acked, LEN);
	EXPECT_GT(zt_unacked(self->conn.tx), 0);
	EXPECT_GT(status.sent_ns, 0);
	EXPECT_EQ(0, status.acked_ns);
	EXPECT_EQ(0, status.end_ns);

	zt_sink_start(&sink, self->conn.rx, LEN);
	ASSERT_TRUE(zt_readable(self->ctx, ZT_PATIENCE * 1000));
	/* At this moment nothing of the job is unacknowledged. */
	EXPECT_EQ(0, zt_unacked(self->conn.tx));
	EXPECT_EQ(LEN, zt_tcp_acked(self->conn.tx) - base);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_acked);
	EXPECT_GE(event.acked_ns, event.sent_ns + ZT_WATCH * 1000000ULL);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, OLD, 0));
	zt_sink_free(&sink);
}

/* Two jobs on one link: the first is acked while the second is not. */
TEST_F_TIMEOUT(proof, acked_is_per_job, 240)
{
	uint64_t base = zt_tcp_acked(self->conn.tx), first, second;
	struct zcp_event event;
	struct zt_sink sink;

	first = zt_submit_range(self->ctx, self->link, self->file, 0, LEN / 2);
	second = zt_submit_range(self->ctx, self->link, self->file, LEN / 2, LEN / 2);
	zt_wait_state(self->ctx, second, ZCP_STATE_SENT);
	EXPECT_EQ(ZCP_STATE_SENT, zt_state(self->ctx, first));
	/* Enough of it for the first, not for the second. */
	zt_sink_start(&sink, self->conn.rx, LEN * 5 / 8);
	ASSERT_TRUE(zt_readable(self->ctx, ZT_PATIENCE * 1000));
	EXPECT_GE(zt_tcp_acked(self->conn.tx) - base, LEN / 2);
	zt_event(self->ctx, &event);
	EXPECT_EQ(first, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN / 2, event.bytes_acked);
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	EXPECT_EQ(ZCP_STATE_SENT, zt_state(self->ctx, second));
	zt_sink_start(&sink, self->conn.rx, LEN * 3 / 8);
	zt_event(self->ctx, &event);
	EXPECT_EQ(second, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_sink_join(&sink);
	zt_sink_free(&sink);
}

/* bytes_acked of our connection as ss(8) prints it. */
static uint64_t ss_acked(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	unsigned long long n = 0;
	char line[1024], *at;
	FILE *f;

	zt_need(!getsockname(fd, (struct sockaddr *)&sin, &len));
	snprintf(line, sizeof(line), "ss -tinH state established sport = :%d",
		 ntohs(sin.sin_port));
	f = popen(line, "re");
	zt_need(f);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "bytes_acked:");
		if (at)
			sscanf(at, "bytes_acked:%llu", &n);
	}
	zt_need(!pclose(f));
	return n;
}

/* The network holds the data back, and ss(8) is the witness. */
TEST_F_TIMEOUT(proof, acked_waits_for_the_network, 240)
{
	enum { DELAY = 1500, SMALL = 64000 };
	uint64_t base, start, acked, id;
	unsigned int looks = 0;
	struct zcp_status status;
	struct zcp_event event;
	struct zt_sink sink;

	if (zt_run("modprobe -q sch_netem; tc qdisc add dev lo root netem delay %dms", DELAY))
		SKIP(return, "tc qdisc add netem failed: needs tc (iproute2) and the module %s",
		     "sch_netem");
	base = ss_acked(self->conn.tx);
	zt_sink_start(&sink, self->conn.rx, SMALL);
	start = zt_now_ns();
	id = zt_submit_range(self->ctx, self->link, self->file, 0, SMALL);
	while (!zt_readable(self->ctx, 0)) {
		/* A look at the status first: what ss says later can only be more. */
		if (zt_status(self->ctx, id, &status))
			break;
		acked = ss_acked(self->conn.tx) - base;
		EXPECT_LE(status.bytes_acked, acked);
		if (status.state == ZCP_STATE_SENT)
			looks++;
		if (zt_now_ns() - start > ZT_PATIENCE * 1000000000ULL)
			break;
	}
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(SMALL, ss_acked(self->conn.tx) - base);
	EXPECT_EQ(0, zt_unacked(self->conn.tx));
	/* There and back: twice the delay, and `sent` did not wait for it. */
	EXPECT_GE(event.acked_ns, 2ULL * DELAY * 1000000);
	EXPECT_LT(event.sent_ns, 1ULL * DELAY * 1000000);
	EXPECT_GT(looks, 0);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, SMALL, OLD, 0));
	zt_sink_free(&sink);
}

/* A truthful `acked` on a connection that ended before it. */
TEST_F_TIMEOUT(proof, reset_while_unacked_is_not_done, 240)
{
	struct zcp_event event;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(ECONNRESET, event.error);
	EXPECT_EQ(LEN, event.bytes_sent);
	EXPECT_LT(event.bytes_acked, LEN);
	EXPECT_EQ(0, event.acked_ns);
}

/* connect(AF_UNSPEC) resets the sequence numbers: that is no acknowledgment. */
TEST_F_TIMEOUT(proof, disconnect_is_not_acked, 240)
{
	struct sockaddr any = { .sa_family = AF_UNSPEC };
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	struct zcp_event event;
	int listener = zt_listen(AF_INET, 0);
	struct zcp_segment seg;
	struct zcp_job job;
	uint64_t id;
	int ret;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	zt_need(!getsockname(listener, (struct sockaddr *)&sin, &len));
	zt_need(!connect(self->conn.tx, &any, sizeof(any)));
	/* A new connection on the same socket does not acknowledge it either. */
	zt_need(!connect(self->conn.tx, (struct sockaddr *)&sin, len));
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_NE(0, event.error);
	EXPECT_LT(event.bytes_acked, LEN);
	EXPECT_EQ(0, event.acked_ns);
	/* The link was to the old connection. */
	seg = zt_range(self->file, 0, 100);
	job = zt_job(self->link, &seg, 1);
	ret = zt_try_submit(self->ctx, &job);
	EXPECT_EQ(-ESHUTDOWN, ret);
	if (!ret)
		zt_event(self->ctx, &event);
	close(listener);
}

TEST_HARNESS_MAIN
