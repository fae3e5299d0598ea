// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every byte arrives, in its place and once, in each mode; and the accounts
 * of a job add up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

FIXTURE(bytes) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int ctx;
};

FIXTURE_VARIANT(bytes) {
	uint32_t mode;
};

FIXTURE_VARIANT_ADD(bytes, auto) {
	.mode = ZCP_MODE_AUTO,
};

FIXTURE_VARIANT_ADD(bytes, zerocopy) {
	.mode = ZCP_MODE_ZEROCOPY,
};

FIXTURE_VARIANT_ADD(bytes, copy) {
	.mode = ZCP_MODE_COPY,
};

FIXTURE_SETUP(bytes)
{
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
}

FIXTURE_TEARDOWN(bytes)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	close(self->conn.tx);
	/* No byte more than was expected. */
	EXPECT_EQ(0, zt_drain(self->conn.rx));
	close(self->conn.rx);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/*
 * Sends the segments as one job; the stream must be @want, or the pattern of
 * @seed from @off when @want is NULL.
 */
static void send_and_compare(struct __test_metadata *_metadata, FIXTURE_DATA(bytes) *self,
			     uint32_t mode, const struct zcp_segment *segs, uint32_t nr,
			     const char *want, uint64_t seed, uint64_t off, size_t len,
			     size_t inlined)
{
	struct zcp_job job = zt_job(self->link, segs, nr);
	struct zcp_event event;
	struct zt_sink sink;
	struct zcp_info info;
	uint64_t file_bytes = len - inlined, slack;

	zt_info(self->ctx, &info);
	job.mode = mode;
	job.user_data = 0xfedcba9876543210ULL ^ len;
	zt_sink_start(&sink, self->conn.rx, len);
	zt_submit(self->ctx, &job);
	zt_event(self->ctx, &event);
	ASSERT_EQ(ZCP_STATE_DONE, event.state)
		TH_LOG("error %u after %llu of %zu bytes", event.error, event.bytes_sent, len);
	zt_sink_join(&sink);
	ASSERT_EQ(len, sink.len);
	EXPECT_EQ(-1, want ? (memcmp(want, sink.buf ?: "", len) ? 0 : -1) :
			     zt_mismatch(sink.buf, len, seed, off))
		TH_LOG("%zu bytes from offset %llu differ", len, (unsigned long long)off);
	EXPECT_EQ(job.id, event.job);
	EXPECT_EQ(job.user_data, event.user_data);
	EXPECT_EQ(self->link, event.link);
	EXPECT_EQ(0, event.error);
	EXPECT_EQ(nr, event.segment);
	EXPECT_EQ(len, event.bytes_sent);
	EXPECT_EQ(len, event.bytes_acked);
	EXPECT_EQ(len, event.bytes_zerocopy + event.bytes_copied);
	EXPECT_EQ(event.bytes_copied > 0, event.copy_reason != ZCP_REASON_NONE);
	EXPECT_LE(event.sent_ns, event.acked_ns);
	EXPECT_LE(event.acked_ns, event.end_ns);
	EXPECT_GT(event.end_ns, 0);
	switch (mode) {
	case ZCP_MODE_ZEROCOPY:
		EXPECT_EQ(file_bytes, event.bytes_zerocopy);
		EXPECT_EQ(0, event.copy_reasons & ~(1U << ZCP_REASON_INLINE));
		break;
	case ZCP_MODE_COPY:
		EXPECT_EQ(0, event.bytes_zerocopy);
		EXPECT_EQ(!!file_bytes, !!(event.copy_reasons & (1U << ZCP_REASON_ASKED)));
		break;
	default:
		if (nr == 1 && file_bytes) {
			EXPECT_EQ(file_bytes < info.small_bytes ? ZCP_REASON_SMALL :
				  ZCP_REASON_NONE, event.copy_reason);
		}
		slack = nr * info.small_bytes;
		EXPECT_LE(file_bytes - event.bytes_zerocopy, slack);
	}
	EXPECT_EQ(!!inlined, !!(event.copy_reasons & (1U << ZCP_REASON_INLINE)));
	zt_sink_free(&sink);
}

#define SEND_RANGE(seg, seed, off, len) do { \
	struct zcp_segment __seg = (seg); \
	send_and_compare(_metadata, self, variant->mode, &__seg, 1, NULL, seed, off, len, 0); \
} while (0)

TEST_F_TIMEOUT(bytes, sizes, 240)
{
	static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 65535, ZT_MIB + 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		int file = zt_file(&self->box, i, sizes[i]);

		SEND_RANGE(zt_range(file, 0, sizes[i]), i, 0, sizes[i]);
		SEND_RANGE(zt_to_eof(file, 0), i, 0, sizes[i]);
		close(file);
	}
}

TEST_F_TIMEOUT(bytes, size_64m, 400)
{
	static const size_t size = 64 * ZT_MIB;
	int file = zt_file(&self->box, 64, size);

	SEND_RANGE(zt_range(file, 0, size), 64, 0, size);
	close(file);
}

TEST_F_TIMEOUT(bytes, sparse_crosses_4g, 240)
{
	static const uint64_t edge = 4 * ZT_GIB;
	int file = zt_file(&self->box, 4, 0);

	zt_fill(file, 4, edge - ZT_PAGE, 2 * ZT_PAGE);
	SEND_RANGE(zt_range(file, edge - ZT_PAGE, 2 * ZT_PAGE), 4, edge - ZT_PAGE, 2 * ZT_PAGE);
	SEND_RANGE(zt_to_eof(file, edge - ZT_PAGE), 4, edge - ZT_PAGE, 2 * ZT_PAGE);
	SEND_RANGE(zt_range(file, edge - 1, 2), 4, edge - 1, 2);
	SEND_RANGE(zt_range(file, edge - ZT_PAGE + 1, 2 * ZT_PAGE - 2), 4, edge - ZT_PAGE + 1,
		   2 * ZT_PAGE - 2);
	SEND_RANGE(zt_to_eof(file, edge), 4, edge, ZT_PAGE);
	close(file);
}

TEST_F_TIMEOUT(bytes, hole_is_zeros, 240)
{
	static const size_t len = 5 * ZT_PAGE;
	int file = zt_file(&self->box, 8, ZT_PAGE);
	struct zcp_segment seg = zt_range(file, 0, len);
	char *want = calloc(1, len);

	ASSERT_NE(NULL, want);
	zt_fill(file, 8, 4 * ZT_PAGE, ZT_PAGE);
	zt_pattern(want, 8, 0, ZT_PAGE);
	zt_pattern(want + 4 * ZT_PAGE, 8, 4 * ZT_PAGE, ZT_PAGE);
	send_and_compare(_metadata, self, variant->mode, &seg, 1, want, 0, 0, len, 0);
	free(want);
	close(file);
}

TEST_F_TIMEOUT(bytes, odd_offsets, 240)
{
	static const size_t offs[] = { 1, 511, 4095, 4097, 12345, 65535, 262143 };
	static const size_t lens[] = { 1, 4095, 4096, 8193, 65535, 200001 };
	int file = zt_file(&self->box, 9, ZT_MIB);
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(offs); i++)
		for (k = 0; k < ARRAY_SIZE(lens); k++)
			SEND_RANGE(zt_range(file, offs[i], lens[k]), 9, offs[i], lens[k]);
	SEND_RANGE(zt_to_eof(file, ZT_MIB - 70001), 9, ZT_MIB - 70001, 70001);
	/* From the end on there is nothing to send, and that is no error. */
	SEND_RANGE(zt_to_eof(file, ZT_MIB), 9, ZT_MIB, 0);
	SEND_RANGE(zt_to_eof(file, 2 * ZT_MIB), 9, ZT_MIB, 0);
	close(file);
}

TEST_F_TIMEOUT(bytes, header_file_trailer, 240)
{
	static const size_t a = 100001, b = 5000, max = 64 * ZT_KIB;
	char *want = malloc(2 * max + a + b);
	struct zcp_segment segs[4];
	size_t head;
	int one, two;

	ASSERT_NE(NULL, want);
	one = zt_file(&self->box, 1, a);
	two = zt_file(&self->box, 2, b + 77);
	segs[1] = zt_range(one, 0, a);
	segs[2] = zt_to_eof(two, 77);
	/* A trailer of one byte; a header of one byte and of all that is allowed. */
	for (head = 1; head < max; head = max - 1) {
		segs[0] = zt_inline(want, head);
		segs[3] = zt_inline("!", 1);
		zt_pattern(want, 3, 0, head);
		zt_pattern(want + head, 1, 0, a);
		zt_pattern(want + head + a, 2, 77, b);
		want[head + a + b] = '!';
		send_and_compare(_metadata, self, variant->mode, segs, 4, want, 0, 0,
				 head + a + b + 1, head + 1);
		if (head == max - 1)
			break;
	}
	/* Only inline bytes; only empty segments. */
	send_and_compare(_metadata, self, variant->mode, segs, 1, want, 0, 0, max - 1, max - 1);
	segs[0] = zt_inline(NULL, 0);
	segs[1] = zt_range(one, 0, 0);
	send_and_compare(_metadata, self, variant->mode, segs, 2, want, 0, 0, 0, 0);
	free(want);
	close(one);
	close(two);
}

/* An inline segment is copied by the submit: the caller may reuse its memory. */
TEST_F(bytes, inline_copied_at_submit)
{
	static char head[5000], got[5000];
	struct zcp_segment seg[2];
	struct zcp_job job;
	struct zcp_event event;
	int file = zt_file(&self->box, 5, ZT_MIB);
	struct zt_conn conn;
	struct zt_sink sink;

	zt_connect_blocking(&conn);
	zt_pattern(head, 6, 0, sizeof(head));
	seg[0] = zt_range(file, 0, ZT_MIB);
	seg[1] = zt_inline(head, sizeof(head));
	job = zt_job(zt_link(self->ctx, conn.tx), seg, 2);
	job.mode = variant->mode;
	zt_submit(self->ctx, &job);
	memset(head, 0, sizeof(head));
	zt_sink_start(&sink, conn.rx, ZT_MIB);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, ZT_MIB, 5, 0));
	zt_sink_free(&sink);
	zt_read_full(conn.rx, got, sizeof(got));
	EXPECT_EQ(-1, zt_mismatch(got, sizeof(got), 6, 0));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_close(&conn);
	close(file);
}

TEST_F_TIMEOUT(bytes, batch_of_100_jobs, 240)
{
	enum { N = 100, LEN = 7001 };
	static struct zcp_segment segs[N];
	static struct zcp_job jobs[N];
	struct zcp_submit submit = {
		.size = sizeof(submit), .jobs = (uintptr_t)jobs, .nr_jobs = N,
		.job_size = sizeof(jobs[0]),
	};
	int file = zt_file(&self->box, 100, N * LEN);
	struct zcp_event events[N];
	struct zt_sink sink;
	ssize_t n, have = 0;
	int i;

	for (i = 0; i < N; i++) {
		/* Backwards through the file, so that order shows. */
		segs[i] = zt_range(file, (uint64_t)(N - 1 - i) * LEN, LEN);
		jobs[i] = zt_job(self->link, &segs[i], 1);
		jobs[i].mode = variant->mode;
		jobs[i].user_data = i;
	}
	zt_sink_start(&sink, self->conn.rx, N * LEN);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(N, submit.accepted);
	EXPECT_EQ(0, submit.error);
	zt_sink_join(&sink);
	ASSERT_EQ(N * LEN, sink.len);
	for (i = 0; i < N; i++) {
		EXPECT_EQ(-1, zt_mismatch(sink.buf + i * LEN, LEN, 100, segs[i].addr))
			TH_LOG("job %d", i);
	}
	while (have < N) {
		ASSERT_TRUE(zt_readable(self->ctx, ZT_PATIENCE * 1000));
		n = read(self->ctx, events + have, (N - have) * sizeof(events[0]));
		ASSERT_GT(n, 0);
		ASSERT_EQ(0, n % sizeof(events[0]));
		have += n / sizeof(events[0]);
	}
	for (i = 0; i < N; i++) {
		EXPECT_EQ(jobs[i].id, events[i].job);
		EXPECT_EQ(i, events[i].user_data);
		EXPECT_EQ(ZCP_STATE_DONE, events[i].state);
		EXPECT_EQ(LEN, events[i].bytes_acked);
	}
	zt_sink_free(&sink);
	close(file);
}

TEST_F_TIMEOUT(bytes, links_1000, 400)
{
	enum { N = 1000, LEN = 5001 };
	static struct zt_conn conns[N];
	static bool seen[N];
	int listener = zt_listen(AF_INET, 0);
	int file = zt_file(&self->box, 10, N + LEN);
	struct zcp_event event;
	char buf[LEN];
	int i;

	for (i = 0; i < N; i++) {
		struct zcp_segment seg = zt_range(file, i, LEN);
		struct zcp_job job;

		zt_connect_to(&conns[i], listener, 0);
		job = zt_job(zt_link(self->ctx, conns[i].tx), &seg, 1);
		job.mode = variant->mode;
		job.user_data = i;
		zt_submit(self->ctx, &job);
	}
	for (i = 0; i < N; i++) {
		zt_read_full(conns[i].rx, buf, LEN);
		ASSERT_EQ(-1, zt_mismatch(buf, LEN, 10, i));
	}
	for (i = 0; i < N; i++) {
		zt_event(self->ctx, &event);
		ASSERT_EQ(ZCP_STATE_DONE, event.state);
		ASSERT_LT(event.user_data, N);
		EXPECT_FALSE(seen[event.user_data]);
		seen[event.user_data] = true;
	}
	for (i = 0; i < N; i++)
		zt_close(&conns[i]);
	close(listener);
	close(file);
}

/* Exact length and a file that is shorter: refused before a byte is sent. */
TEST_F_TIMEOUT(bytes, exact_beyond_eof, 240)
{
	int file = zt_file(&self->box, 11, 10000);
	struct zcp_segment seg[2] = { zt_range(file, 0, 100), zt_range(file, 0, 10001) };
	struct zcp_job job = zt_job(self->link, seg, 2);

	job.mode = variant->mode;
	EXPECT_EQ(-ENODATA, zt_try_submit(self->ctx, &job));
	/* Not one byte of the segment before it either: the teardown looks. */
	close(file);
}

/* The access time advances, and who watches the file is told: once for each segment. */
TEST_F_TIMEOUT(bytes, is_a_read, 240)
{
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_nsec = UTIME_OMIT } };
	int file = zt_file(&self->box, 1, 100), watch;
	struct inotify_event event = {};
	struct zcp_segment none[1] = { zt_range(file, 100, 0) };
	struct zcp_segment some[1] = { zt_range(file, 0, 100) };
	char path[64];
	struct stat st;

	zt_need(!futimens(file, old));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	zt_need(watch >= 0 && inotify_add_watch(watch, path, IN_ACCESS) >= 0);
	send_and_compare(_metadata, self, variant->mode, none, 1, NULL, 1, 100, 0, 0);
	EXPECT_EQ(-1, read(watch, &event, sizeof(event)));
	zt_need(!fstat(file, &st));
	EXPECT_EQ(1, st.st_atim.tv_sec);
	send_and_compare(_metadata, self, variant->mode, some, 1, NULL, 1, 0, 100, 0);
	EXPECT_EQ(sizeof(event), read(watch, &event, sizeof(event)));
	EXPECT_EQ(IN_ACCESS, event.mask);
	EXPECT_EQ(-1, read(watch, &event, sizeof(event)));
	zt_need(!fstat(file, &st));
	EXPECT_NE(1, st.st_atim.tv_sec);
	close(watch);
	close(file);
}

TEST_HARNESS_MAIN
