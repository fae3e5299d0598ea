// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs with a rate: never ahead of it, by no more than a burst of 2 ms, and
 * not catching up on what the connection would not take.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define NSEC	1000000000ULL

FIXTURE(pace) {
	struct zt_box box;
	struct zt_conn conn;
	int ctx;
	uint32_t link;
};

FIXTURE_SETUP(pace)
{
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	self->conn.tx = -1;
}

FIXTURE_TEARDOWN(pace)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	close(self->ctx);
	zt_close(&self->conn);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* What a job may have sent at most by @ns after its submission. */
static uint64_t at_most(uint64_t rate, uint64_t ns)
{
	uint64_t burst = rate / 500 > ZT_PAGE ? rate / 500 : ZT_PAGE;

	return burst + rate * ns / NSEC;
}

static void paced_job(struct __test_metadata *_metadata, FIXTURE_DATA(pace) *self,
		      struct zcp_job *job, const struct zcp_segment *segs, uint32_t nr,
		      uint64_t rate)
{
	*job = zt_job(self->link, segs, nr);
	job->rate = rate;
	ASSERT_GT(zt_submit(self->ctx, job), 0);
}

/* At every read of the receiver, and at the end. */
TEST_F_TIMEOUT(pace, never_ahead, 240)
{
	static const uint64_t rates[] = { 100 * 1000, 3 * ZT_MIB, 40 * ZT_MIB };
	static char header[3000], buf[65536];
	size_t i;

	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t rate = rates[i], len = rate / 2, got = 0, begin, ns;
		int file = zt_file(&self->box, i, len);
		struct zcp_segment segs[2];
		struct zcp_status status;
		struct zcp_event event;
		struct zcp_job job;

		segs[0] = zt_inline(header, sizeof(header));
		segs[1] = zt_range(file, 0, len);
		begin = zt_now_ns();
		paced_job(_metadata, self, &job, segs, 2, rate);
		ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
		EXPECT_EQ(rate, status.rate);
		while (got < sizeof(header) + len) {
			ssize_t n = recv(self->conn.rx, buf, sizeof(buf), 0);
			size_t k, head = got < sizeof(header) ? sizeof(header) - got : 0;

			ASSERT_GT(n, 0);
			ns = zt_now_ns() - begin;
			ASSERT_LE(got + n, at_most(rate, ns))
				TH_LOG("rate %lu: %lu bytes after %lu us", (unsigned long)rate,
				       (unsigned long)(got + n),
				       (unsigned long)(ns / 1000));
			if (head > (size_t)n)
				head = n;
			for (k = 0; k < head; k++)
				ASSERT_EQ(0, buf[k]);
			if (n > (ssize_t)head)
				ASSERT_EQ(-1, zt_mismatch(buf + head, n - head, i,
							  got + head - sizeof(header)));
			got += n;
		}
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		/* Nothing but the rate holds it up: no multiple of the time. */
		EXPECT_LT(event.sent_ns, 20 * NSEC);
		close(file);
	}
}

/* A receiver that stood still is not sent what it has missed. */
TEST_F_TIMEOUT(pace, no_catching_up, 240)
{
	const uint64_t rate = 8 * ZT_MIB;
	uint64_t before, since, stalled;
	int file = zt_file(&self->box, 1, 32 * ZT_MIB);
	struct zcp_segment seg = zt_range(file, 0, 32 * ZT_MIB);
	struct zcp_cancel cancel;
	struct zcp_status status;
	struct zcp_event event;
	struct zt_sink sink;
	struct zcp_job job;
	int i;

	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	paced_job(_metadata, self, &job, &seg, 1, rate);
	/* Until the connection takes no more. */
	do {
		ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
		stalled = status.bytes_sent;
		zt_sleep_ms(300);
		ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
	} while (status.bytes_sent != stalled);
	EXPECT_EQ(ZCP_STATE_BLOCKED, status.state);

	since = zt_now_ns();
	before = status.bytes_sent;
	zt_sink_count(&sink, self->conn.rx);
	for (i = 0; i < 50; i++) {
		uint64_t ns;

		zt_sleep_ms(10);
		ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
		ns = zt_now_ns() - since;
		ASSERT_LE(status.bytes_sent - before, at_most(rate, ns))
			TH_LOG("%lu bytes in %lu us", (unsigned long)(status.bytes_sent - before),
			       (unsigned long)(ns / 1000));
	}
	EXPECT_GT(status.bytes_sent, before);
	ASSERT_EQ(0, zt_cancel(self->ctx, job.id, &cancel));
	EXPECT_EQ(1, cancel.cancelled);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	EXPECT_EQ(cancel.bytes_sent, event.bytes_sent);
	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	shutdown(self->conn.tx, SHUT_WR);
	zt_sink_join(&sink);
	EXPECT_EQ(event.bytes_sent, sink.len);
	zt_sink_free(&sink);
	close(file);
}

/* A job that waits for its rate is ended at once, and holds up nothing else. */
TEST_F_TIMEOUT(pace, waiting_is_ended, 240)
{
	int file = zt_file(&self->box, 1, ZT_MIB);
	struct zcp_segment seg = zt_range(file, 0, ZT_MIB);
	struct zcp_status status;
	struct zcp_event event;
	struct zt_conn other;
	struct zcp_job job;
	uint32_t cancelled, link;
	uint64_t begin;

	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	paced_job(_metadata, self, &job, &seg, 1, 1);
	do {
		zt_sleep_ms(10);
		ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
	} while (status.bytes_sent != status.bytes_acked || !status.bytes_sent);
	EXPECT_LE(status.bytes_sent, ZT_PAGE);

	zt_connect(&other, 0, 0);
	link = zt_link(self->ctx, other.tx);
	zt_submit_range(self->ctx, link, file, 0, 1000);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(link, event.link);

	begin = zt_now_ns();
	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, &cancelled));
	EXPECT_LT(zt_now_ns() - begin, 5 * NSEC);
	EXPECT_EQ(1, cancelled);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	EXPECT_EQ(status.bytes_sent, event.bytes_sent);
	zt_close(&other);
	close(file);
}

/* What is queued behind a job that waits for its rate need not wait for it too. */
TEST_F_TIMEOUT(pace, next_begins_when_cancelled, 240)
{
	int file = zt_file(&self->box, 1, ZT_MIB);
	struct zcp_segment seg = zt_range(file, 0, ZT_MIB);
	struct zcp_status status;
	struct zcp_cancel cancel;
	struct zcp_event event;
	struct zcp_job job;
	uint64_t next;

	zt_connect(&self->conn, 0, 0);
	self->link = zt_link_flags(self->ctx, self->conn.tx, ZCP_LINK_CONTINUE);
	paced_job(_metadata, self, &job, &seg, 1, 1);
	next = zt_submit_range(self->ctx, self->link, file, 0, 1000);
	/* Nothing is under way that would call for another turn. */
	do {
		zt_sleep_ms(10);
		ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
	} while (status.bytes_sent != status.bytes_acked || !status.bytes_sent);
	zt_sleep_ms(100);

	ASSERT_EQ(0, zt_cancel(self->ctx, job.id, &cancel));
	EXPECT_EQ(1, cancel.cancelled);
	zt_event(self->ctx, &event);
	EXPECT_EQ(job.id, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	zt_event(self->ctx, &event);
	EXPECT_EQ(next, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(1000, event.bytes_sent);
	close(file);
}

TEST_HARNESS_MAIN
