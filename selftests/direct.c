// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that its file system hands out as copies: opened with O_DIRECT.
 * fs.sh runs this on file systems that take it, as `direct FILE`; it exits
 * with 0 when every byte arrived and was accounted as copied, reason fs, and the
 * end of the file is known far behind it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "zcp_test.h"

/* Sends the whole file, and ends with its event. */
static void transfer(int ctx, int fd, size_t len, uint32_t mode, bool blocking,
		     struct zt_sink *sink, struct zcp_event *event)
{
	struct zcp_segment seg = zt_range(fd, 0, len);
	struct zt_conn conn;
	struct zcp_job job;
	uint32_t link;

	if (blocking)
		zt_connect_blocking(&conn);
	else
		zt_connect(&conn, 0, 0);
	link = zt_link(ctx, conn.tx);
	job = zt_job(link, &seg, 1);
	job.mode = mode;
	zt_submit(ctx, &job);
	zt_sink_start(sink, conn.rx, len);
	zt_event(ctx, event);
	zt_need(!zt_unlink(ctx, link, NULL));
	close(conn.tx);
	zt_sink_join(sink);
	close(conn.rx);
}

static void expect_copied(int ctx, int fd, const char *want, size_t len, uint32_t mode,
			  bool blocking, uint32_t reason)
{
	struct zcp_event event;
	struct zt_sink sink;

	transfer(ctx, fd, len, mode, blocking, &sink, &event);
	if (event.state != ZCP_STATE_DONE)
		zt_die("mode %u: state %u, errno %u after %llu of %zu bytes", mode, event.state,
		       event.error, event.bytes_sent, len);
	zt_need(sink.len == len);
	if (memcmp(sink.buf, want, len))
		zt_die("mode %u: other bytes arrived than the file has", mode);
	if (event.bytes_copied != len || event.bytes_zerocopy || event.copy_reason != reason)
		zt_die("mode %u: %llu copied, %llu zero-copied, reason %u", mode,
		       event.bytes_copied, event.bytes_zerocopy, event.copy_reason);
	zt_sink_free(&sink);
}

/* Up to the end of the file, from far behind it: nothing, and no error. */
static void expect_nothing(int ctx, int fd, uint64_t off)
{
	struct zcp_segment seg = zt_range(fd, off, 0);
	struct zcp_event event;
	struct zt_conn conn;
	struct zcp_job job;
	uint32_t link;

	seg.flags = ZCP_SEGMENT_TO_EOF;
	zt_connect(&conn, 0, 0);
	link = zt_link(ctx, conn.tx);
	job = zt_job(link, &seg, 1);
	zt_submit(ctx, &job);
	zt_event(ctx, &event);
	if (event.state != ZCP_STATE_DONE || event.error || event.bytes_sent)
		zt_die("from offset %llu: state %u, errno %u, %llu bytes",
		       (unsigned long long)off, event.state, event.error, event.bytes_sent);
	zt_need(!zt_unlink(ctx, link, NULL));
	zt_close(&conn);
}

int main(int argc, char **argv)
{
	int fd, direct, ctx = zt_open(0);
	struct zcp_event event;
	struct zt_sink sink;
	struct stat st;
	char *want;

	zt_need(argc == 2);
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	zt_need(fd >= 0 && !fstat(fd, &st));
	want = malloc(st.st_size);
	zt_need(want);
	zt_read_full(fd, want, st.st_size);
	close(fd);
	direct = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	zt_need(direct >= 0);
	expect_copied(ctx, direct, want, st.st_size, ZCP_MODE_AUTO, false, ZCP_REASON_FS);
	/* The send queue takes any number of bytes, the disk whole sectors. */
	expect_copied(ctx, direct, want, st.st_size, ZCP_MODE_AUTO, true, ZCP_REASON_FS);
	expect_copied(ctx, direct, want, st.st_size, ZCP_MODE_COPY, true, ZCP_REASON_ASKED);
	/* Zero-copy cannot be: nothing is sent, and the reason is told. */
	transfer(ctx, direct, st.st_size, ZCP_MODE_ZEROCOPY, false, &sink, &event);
	if (event.state != ZCP_STATE_FAILED || event.error != EOPNOTSUPP ||
	    event.copy_reason != ZCP_REASON_FS || event.bytes_sent || sink.len)
		zt_die("mode zerocopy: state %u, errno %u, reason %u, %llu bytes", event.state,
		       event.error, event.copy_reason, event.bytes_sent);
	zt_sink_free(&sink);
	expect_nothing(ctx, direct, st.st_size);
	expect_nothing(ctx, direct, LLONG_MAX - 4097);
	expect_nothing(ctx, direct, LLONG_MAX - 100);
	expect_nothing(ctx, direct, LLONG_MAX);
	close(direct);
	close(ctx);
	free(want);
	return 0;
}
