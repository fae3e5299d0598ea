// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks that fail: the job ends with EIO at the first byte that cannot be
 * read, what is before it arrives, and the link goes on when the disk does.
 *
 * usage: disk error|xfer|flakey DIRECTORY NAME DEVICE
 *
 * DIRECTORY is on device mapper's NAME, which is a linear map of DEVICE.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#include "../zcp_test.h"

#define LEN		ZT_MIB
#define FLAKEY_LEN	(8 * ZT_MIB)	/* more than is read ahead */
#define HEAD		100
#define SECTORS		131072
/* A page cannot be read when another in its folio cannot. */
#define FOLIO		(2 * ZT_MIB)

/**
 * struct stream - A connection that is read all the time
 * @conn: it
 * @sink: what has arrived
 * @taken: of that, compared
 */
struct stream {
	struct zt_conn conn;
	struct zt_sink sink;
	size_t taken;
};

static const char *dir, *name, *device;
static uint64_t length = LEN;	/* of a file */
static char head[HEAD];

static int make_file(void)
{
	int file = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	zt_need(file >= 0);
	zt_fill(file, 1, 0, length);
	zt_need(!syncfs(file));
	return file;
}

static void load_table(const char *table)
{
	if (zt_run("printf '%s' | dmsetup --noudevsync --noudevrules reload %s", table, name) ||
	    zt_run("dmsetup suspend --nolockfs --noudevsync %s", name) ||
	    zt_run("dmsetup resume --noudevsync --noudevrules %s", name))
		zt_die("dmsetup does not load:\n%s", table);
}

static void repair(void)
{
	char table[128];

	snprintf(table, sizeof(table), "0 %d linear %s 0\\n", SECTORS, device);
	load_table(table);
}

/* The sector on the disk that a byte of the file is in. */
static uint64_t sector_of(int file, uint64_t off)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} f = { .map = { .fm_start = off, .fm_length = 1, .fm_extent_count = 1,
			 .fm_flags = FIEMAP_FLAG_SYNC } };

	zt_need(!ioctl(file, FS_IOC_FIEMAP, &f.map) && f.map.fm_mapped_extents == 1);
	return (f.extent.fe_physical + off - f.extent.fe_logical) / 512;
}

/* One block can be read no more. */
static void break_block(int file, uint64_t off)
{
	uint64_t at = sector_of(file, off / ZT_PAGE * ZT_PAGE);
	char table[256];

	snprintf(table, sizeof(table),
		 "0 %llu linear %s 0\\n%llu 8 error\\n%llu %llu linear %s %llu\\n",
		 (unsigned long long)at, device, (unsigned long long)at,
		 (unsigned long long)at + 8, (unsigned long long)(SECTORS - at - 8), device,
		 (unsigned long long)at + 8);
	load_table(table);
}

/*
 * Only a file that was not sent before is sure to go: packets that were received
 * may hold its pages until the next ones come.
 */
static void drop_cache(int file)
{
	unsigned char vec[FLAKEY_LEN / ZT_PAGE];
	unsigned int tries, i;
	void *map;

	map = mmap(NULL, length, PROT_READ, MAP_SHARED, file, 0);
	zt_need(map != MAP_FAILED);
	for (tries = 0; tries < ZT_PATIENCE * 10; tries++) {
		zt_need(!posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
		if (tries % 10 == 9)
			zt_need(!zt_run("echo 1 >/proc/sys/vm/drop_caches"));
		zt_need(!mincore(map, length, vec));
		for (i = 0; i < length / ZT_PAGE && !(vec[i] & 1); i++)
			;
		if (i == length / ZT_PAGE)
			break;
		zt_sleep_ms(100);
	}
	munmap(map, length);
	zt_need(i == length / ZT_PAGE);
}

static bool readable(int file, uint64_t off)
{
	char byte;
	ssize_t n = pread(file, &byte, 1, off);

	zt_need(n == 1 || (n < 0 && errno == EIO));
	return n == 1;
}

/* Is that the first byte that read(2) cannot read? */
static void check_position(int file, uint64_t from, uint64_t position, uint64_t broken,
			   uint64_t near)
{
	if (position % ZT_PAGE && position != from)
		zt_die("position %llu is in a page", (unsigned long long)position);
	if (position > broken || position + near <= broken / ZT_PAGE * ZT_PAGE)
		zt_die("position %llu, broken is %llu", (unsigned long long)position,
		       (unsigned long long)broken);
	if (readable(file, position))
		zt_die("position %llu can be read", (unsigned long long)position);
	if (position > from && !readable(file, position - 1))
		zt_die("before %llu it cannot be read", (unsigned long long)position);
}

static uint64_t submit(int ctx, uint32_t link, int file, uint64_t from, uint32_t mode)
{
	struct zcp_segment segs[] = {
		zt_inline(head, HEAD),
		zt_range(file, from, length - from),
		zt_inline(head, 1),
	};
	struct zcp_job job = zt_job(link, segs, 3);

	job.mode = mode;
	return zt_submit(ctx, &job);
}

static void stream_open(struct stream *s, bool blocks)
{
	memset(s, 0, sizeof(*s));
	if (blocks)
		zt_connect_blocking(&s->conn);
	else
		zt_connect(&s->conn, 0, 0);
}

static void stream_read(struct stream *s)
{
	zt_sink_start(&s->sink, s->conn.rx, SIZE_MAX);
}

static void stream_close(struct stream *s)
{
	shutdown(s->conn.tx, SHUT_WR);
	zt_sink_join(&s->sink);
	zt_need(s->sink.len == s->taken);
	zt_sink_free(&s->sink);
	zt_close(&s->conn);
}

/* The bytes of a job from @from on arrive, and no others. */
static void expect_bytes(struct stream *s, uint64_t from, uint64_t bytes, bool whole)
{
	volatile size_t *len = &s->sink.len;
	uint64_t file = bytes - HEAD - whole;
	const char *buf;
	int i;

	zt_need(bytes >= HEAD);
	for (i = 0; i < ZT_PATIENCE * 100 && *len < s->taken + bytes; i++)
		zt_sleep_ms(10);
	zt_sleep_ms(10);
	if (*len != s->taken + bytes)
		zt_die("%zu bytes have arrived, not %llu", *len - s->taken,
		       (unsigned long long)bytes);
	/* Its buffer does not move while nothing comes. */
	buf = s->sink.buf + s->taken;
	zt_need(!memcmp(buf, head, HEAD));
	if (zt_mismatch(buf + HEAD, file, 1, from) >= 0)
		zt_die("wrong bytes");
	zt_need(!whole || buf[HEAD + file] == head[0]);
	s->taken += bytes;
}

static void expect_whole(int ctx, uint32_t link, int file, struct stream *s)
{
	struct zcp_event ev;

	submit(ctx, link, file, 0, ZCP_MODE_AUTO);
	zt_event(ctx, &ev);
	if (ev.state != ZCP_STATE_DONE || ev.bytes_sent != HEAD + length + 1)
		zt_die("on a disk that works: state %u, error %u, sent %llu", ev.state, ev.error,
		       ev.bytes_sent);
	expect_bytes(s, 0, ev.bytes_sent, true);
}

/* The event of a job that met the broken place, and what has arrived of it. */
static void expect_error(int ctx, int file, struct stream *s, uint64_t from, uint64_t broken,
			 uint64_t near)
{
	struct zcp_event ev;

	zt_event(ctx, &ev);
	if (ev.state != ZCP_STATE_FAILED || ev.error != EIO || ev.segment != 1)
		zt_die("state %u, error %u, segment %u, position %llu", ev.state, ev.error,
		       ev.segment, ev.position);
	zt_need(ev.bytes_sent == HEAD + ev.position - from);
	check_position(file, from, ev.position, broken, near);
	expect_bytes(s, from, ev.bytes_sent, false);
}

static void test_error(void)
{
	static const struct {
		uint64_t from, broken;
		uint32_t mode;
	} cases[] = {
		{ 0, 0, ZCP_MODE_AUTO },
		{ 0, 105 * ZT_PAGE, ZCP_MODE_ZEROCOPY },
		{ 0, LEN - 1, ZCP_MODE_COPY },
		{ LEN / 2 + 77, LEN / 2 + 77, ZCP_MODE_AUTO },
		{ 1001, 201 * ZT_PAGE + 1, ZCP_MODE_COPY },
		{ 5, LEN / 2, ZCP_MODE_ZEROCOPY },
	};
	struct stream stream;
	int ctx = zt_open(0), file;
	unsigned int i;
	uint32_t link;

	stream_open(&stream, false);
	stream_read(&stream);
	link = zt_link(ctx, stream.conn.tx);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		file = make_file();
		break_block(file, cases[i].broken);
		drop_cache(file);
		submit(ctx, link, file, cases[i].from, cases[i].mode);
		expect_error(ctx, file, &stream, cases[i].from, cases[i].broken, FOLIO);
		repair();
		expect_whole(ctx, link, file, &stream);
		close(file);
	}
	close(ctx);
	stream_close(&stream);
}

static void test_xfer(void)
{
	struct zcp_xfer xfer = { .size = sizeof(xfer), .count = LEN };
	uint64_t broken = LEN / 2 + 5 * ZT_PAGE;
	struct zt_conn conn;
	struct zt_sink sink;
	int ctx = zt_open(0), file = make_file();

	xfer.in_fd = file;
	zt_connect(&conn, 0, 0);
	zt_sink_start(&sink, conn.rx, SIZE_MAX);
	xfer.out_fd = conn.tx;
	break_block(file, broken);
	drop_cache(file);
	while (!ioctl(ctx, ZCP_IOC_XFER, &xfer)) {
		zt_need(xfer.done && xfer.done < LEN);
		xfer.count = LEN - xfer.offset;
	}
	if (errno != EIO)
		zt_die("XFER: errno %d", errno);
	check_position(file, 0, xfer.offset, broken, FOLIO);
	repair();
	while (xfer.offset < LEN) {
		xfer.count = LEN - xfer.offset;
		zt_need(!ioctl(ctx, ZCP_IOC_XFER, &xfer) && xfer.done);
	}
	shutdown(conn.tx, SHUT_WR);
	zt_sink_join(&sink);
	zt_need(sink.len == LEN && zt_mismatch(sink.buf, LEN, 1, 0) < 0);
	zt_sink_free(&sink);
	close(file);
	close(ctx);
	zt_close(&conn);
}

/* The disk goes while the job waits for its peer, with some pages read ahead. */
static void test_flakey(void)
{
	struct stream stream;
	char table[128];
	uint64_t was;
	int ctx = zt_open(0), file;
	uint32_t link;
	uint64_t job;

	length = FLAKEY_LEN;
	file = make_file();
	stream_open(&stream, true);
	link = zt_link(ctx, stream.conn.tx);
	was = zt_parameter("readahead_kb", 0);
	drop_cache(file);
	job = submit(ctx, link, file, 0, ZCP_MODE_AUTO);
	zt_wait_state(ctx, job, ZCP_STATE_BLOCKED);
	snprintf(table, sizeof(table), "0 %d flakey %s 0 0 3600\\n", SECTORS, device);
	load_table(table);
	stream_read(&stream);
	expect_error(ctx, file, &stream, 0, length - 1, length);
	repair();
	zt_parameter("readahead_kb", was);
	expect_whole(ctx, link, file, &stream);
	close(file);
	close(ctx);
	stream_close(&stream);
}

int main(int argc, char **argv)
{
	zt_need(argc == 5);
	name = argv[3];
	device = argv[4];
	dir = argv[2];
	zt_pattern(head, 7, 0, HEAD);
	if (!strcmp(argv[1], "error"))
		test_error();
	else if (!strcmp(argv[1], "xfer"))
		test_xfer();
	else
		test_flakey();
	return 0;
}
