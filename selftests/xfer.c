// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZCP_IOC_XFER: what a drop-in for sendfile(2) needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <linux/sockios.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	(1 * ZT_MIB)
#define HEAD_MAX	(64 * ZT_KIB)

FIXTURE(xfer) {
	struct zt_box box;
	struct zt_conn conn;
	struct zcp_xfer arg;
	int ctx;
	int file;
};

FIXTURE_SETUP(xfer)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect(&self->conn, 0, 0);
	self->file = zt_file(&self->box, 1, LEN);
	self->arg.size = sizeof(self->arg);
	self->arg.in_fd = self->file;
	self->arg.out_fd = self->conn.tx;
}

FIXTURE_TEARDOWN(xfer)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	close(self->conn.tx);
	if (self->conn.rx >= 0) {
		EXPECT_EQ(0, zt_drain(self->conn.rx));
		close(self->conn.rx);
	}
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static int xfer(FIXTURE_DATA(xfer) *self)
{
	return ioctl(self->ctx, ZCP_IOC_XFER, &self->arg) ? -errno : 0;
}

static void replace_conn(FIXTURE_DATA(xfer) *self, bool blocking)
{
	zt_close(&self->conn);
	if (blocking)
		zt_connect_blocking(&self->conn);
	else
		zt_connect_holding(&self->conn);
	self->arg.out_fd = self->conn.tx;
}

static void expect_stream(struct __test_metadata *_metadata, int fd, uint64_t off, size_t len)
{
	struct zt_sink sink;

	zt_sink_start(&sink, fd, len);
	zt_sink_join(&sink);
	EXPECT_EQ(len, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, off));
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(xfer, count_and_offset, 240)
{
	static const struct {
		uint64_t off;
		uint64_t count;
		uint64_t done;
	} t[] = {
		{ 0, 0, 0 }, { 0, 1, 1 }, { 1, 4096, 4096 }, { 4095, 65537, 65537 },
		{ LEN - 10, 100, 10 }, { LEN, 100, 0 }, { LEN + 5, 100, 0 },
		{ 100, INT64_MAX - 100, LEN - 100 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct zt_sink sink;

		self->arg.offset = t[i].off;
		self->arg.count = t[i].count;
		zt_sink_start(&sink, self->conn.rx, t[i].done);
		EXPECT_EQ(0, xfer(self));
		EXPECT_EQ(t[i].done, self->arg.done)
			TH_LOG("case %zu", i);
		EXPECT_EQ(t[i].off + t[i].done, self->arg.offset);
		EXPECT_EQ(t[i].count, self->arg.count);
		EXPECT_EQ(t[i].done, self->arg.bytes_zerocopy + self->arg.bytes_copied);
		zt_sink_join(&sink);
		EXPECT_EQ(t[i].done, sink.len);
		EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, t[i].off));
		zt_sink_free(&sink);
	}
}

static void set_header(FIXTURE_DATA(xfer) *self, const void *data, uint32_t len)
{
	self->arg.header = (uintptr_t)data;
	self->arg.header_len = len;
}

/* The header goes first, once, and is in no account but its own. */
TEST_F_TIMEOUT(xfer, header, 240)
{
	static const struct {
		uint32_t head;
		uint64_t off;
		uint64_t count;
		uint64_t done;
	} t[] = {
		{ 1, 0, 0, 0 }, { 200, 0, 0, 0 }, { 200, 0, 1, 1 }, { 1, 1, 4096, 4096 },
		{ 200, 0, 65537, 65537 }, { 4096, LEN - 10, 100, 10 }, { 200, LEN, 100, 0 },
		{ HEAD_MAX, 100, 300000, 300000 },
	};
	char *head = malloc(HEAD_MAX);
	size_t i;

	zt_need(head);
	memset(head, 'h', HEAD_MAX);
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct zt_sink sink;
		int unsent;

		set_header(self, head, t[i].head);
		self->arg.offset = t[i].off;
		self->arg.count = t[i].count;
		zt_sink_start(&sink, self->conn.rx, t[i].head + t[i].done);
		EXPECT_EQ(0, xfer(self));
		/* Not even the end of a header that no file followed waits for more. */
		zt_need(!ioctl(self->conn.tx, SIOCOUTQNSD, &unsent));
		if (t[i].head + t[i].done < 4096)
			EXPECT_EQ(0, unsent);
		EXPECT_EQ(t[i].head, self->arg.header_done);
		EXPECT_EQ(t[i].done, self->arg.done)
			TH_LOG("case %zu", i);
		EXPECT_EQ(t[i].off + t[i].done, self->arg.offset);
		EXPECT_EQ(t[i].done, self->arg.bytes_zerocopy + self->arg.bytes_copied);
		EXPECT_NE(ZCP_REASON_INLINE, self->arg.copy_reason);
		zt_sink_join(&sink);
		ASSERT_EQ(t[i].head + t[i].done, sink.len);
		EXPECT_EQ(0, memcmp(sink.buf, head, t[i].head));
		EXPECT_EQ(-1, zt_mismatch(sink.buf + t[i].head, t[i].done, 1, t[i].off));
		zt_sink_free(&sink);
	}
	free(head);
}

/* What cannot be read stops at its first byte; what could was sent. */
TEST_F_TIMEOUT(xfer, header_that_is_not_there, 240)
{
	char *map = mmap(NULL, 2 * ZT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct zt_sink sink;
	int ret;

	zt_need(map != MAP_FAILED && !munmap(map + ZT_PAGE, ZT_PAGE));
	memset(map, 'h', ZT_PAGE);
	self->arg.count = 100;
	set_header(self, map + ZT_PAGE, 10);
	EXPECT_EQ(-EFAULT, xfer(self));
	set_header(self, NULL, 10);
	EXPECT_EQ(-EFAULT, xfer(self));
	set_header(self, (void *)-10UL, 10);
	EXPECT_EQ(-EFAULT, xfer(self));
	EXPECT_EQ(0, self->arg.header_done);
	EXPECT_EQ(0, self->arg.done);

	set_header(self, map + ZT_PAGE - 10, 20);
	ret = xfer(self);
	EXPECT_TRUE(ret == -EFAULT || (!ret && self->arg.header_done == 10));
	EXPECT_EQ(0, self->arg.done);
	EXPECT_EQ(0, self->arg.offset);
	zt_sink_start(&sink, self->conn.rx, ret ? 0 : 10);
	zt_sink_join(&sink);
	EXPECT_EQ(ret ? 0 : 10, sink.len);
	zt_sink_free(&sink);
	munmap(map, ZT_PAGE);
}

/* Little room on both sides, and nobody reads. */
static void replace_by_narrow(FIXTURE_DATA(xfer) *self)
{
	zt_close(&self->conn);
	zt_connect(&self->conn, 8192, 4096);
	self->arg.out_fd = self->conn.tx;
}

/* A header that does not fit is gone on with, and the file follows it. */
TEST_F_TIMEOUT(xfer, header_in_parts, 240)
{
	struct pollfd room = { .fd = self->conn.tx, .events = POLLOUT };
	char *head = malloc(HEAD_MAX);
	uint32_t done;
	struct zt_sink sink;
	int ret;

	zt_need(head);
	memset(head, 'h', HEAD_MAX);
	replace_by_narrow(self);
	self->arg.flags = ZCP_XFER_NONBLOCK;
	set_header(self, head, HEAD_MAX);
	self->arg.count = LEN;
	ASSERT_EQ(0, xfer(self));
	done = self->arg.header_done;
	EXPECT_GT(done, 0);
	EXPECT_LT(done, HEAD_MAX);
	EXPECT_EQ(0, self->arg.done);
	zt_sink_start(&sink, self->conn.rx, LEN + HEAD_MAX);
	while (self->arg.offset < LEN || done < HEAD_MAX) {
		uint64_t before = self->arg.offset;

		set_header(self, head + done, HEAD_MAX - done);
		self->arg.count = LEN - self->arg.offset;
		ret = xfer(self);
		if (ret == -EAGAIN) {
			EXPECT_EQ(0, self->arg.header_done);
			poll(&room, 1, ZT_PATIENCE * 1000);
			continue;
		}
		ASSERT_EQ(0, ret);
		done += self->arg.header_done;
		if (self->arg.offset != before)
			ASSERT_EQ(HEAD_MAX, done);
	}
	zt_sink_join(&sink);
	ASSERT_EQ(LEN + HEAD_MAX, sink.len);
	EXPECT_EQ(0, memcmp(sink.buf, head, HEAD_MAX));
	EXPECT_EQ(-1, zt_mismatch(sink.buf + HEAD_MAX, LEN, 1, 0));
	zt_sink_free(&sink);
	free(head);
}

TEST_F_TIMEOUT(xfer, modes_and_reasons, 240)
{
	struct zcp_info info;

	zt_info(self->ctx, &info);
	replace_conn(self, false);
	self->arg.count = 100000;

	self->arg.mode = ZCP_MODE_ZEROCOPY;
	EXPECT_EQ(0, xfer(self));
	EXPECT_EQ(100000, self->arg.bytes_zerocopy);
	EXPECT_EQ(ZCP_REASON_NONE, self->arg.copy_reason);
	expect_stream(_metadata, self->conn.rx, 0, 100000);

	self->arg.mode = ZCP_MODE_COPY;
	EXPECT_EQ(0, xfer(self));
	EXPECT_EQ(100000, self->arg.bytes_copied);
	EXPECT_EQ(ZCP_REASON_ASKED, self->arg.copy_reason);
	expect_stream(_metadata, self->conn.rx, 100000, 100000);

	self->arg.mode = ZCP_MODE_AUTO;
	EXPECT_EQ(0, xfer(self));
	EXPECT_EQ(100000, self->arg.bytes_zerocopy);
	EXPECT_EQ(ZCP_REASON_NONE, self->arg.copy_reason);
	expect_stream(_metadata, self->conn.rx, 200000, 100000);

	if (info.small_bytes > 1) {
		self->arg.count = info.small_bytes - 1;
		EXPECT_EQ(0, xfer(self));
		EXPECT_EQ(info.small_bytes - 1, self->arg.bytes_copied);
		EXPECT_EQ(ZCP_REASON_SMALL, self->arg.copy_reason);
		expect_stream(_metadata, self->conn.rx, 300000, info.small_bytes - 1);
	}
}

/* What fits now, then EAGAIN, then the rest: as a poll(2) loop does it. */
static void nonblocking(struct __test_metadata *_metadata, FIXTURE_DATA(xfer) *self)
{
	uint64_t first;

	self->arg.count = LEN;
	ASSERT_EQ(0, xfer(self));
	EXPECT_GT(self->arg.done, 0);
	EXPECT_LT(self->arg.done, LEN);
	EXPECT_EQ(self->arg.done, self->arg.offset);
	first = self->arg.done;
	/* The queue is full now, unless an acknowledgment made room. */
	while (self->arg.offset < LEN) {
		uint64_t before = self->arg.offset;
		int ret;

		self->arg.count = LEN - before;
		ret = xfer(self);
		if (ret) {
			ASSERT_EQ(-EAGAIN, ret);
			EXPECT_EQ(before, self->arg.offset);
			break;
		}
		ASSERT_GT(self->arg.done, 0);
		ASSERT_EQ(before + self->arg.done, self->arg.offset);
	}
	ASSERT_LT(self->arg.offset, LEN);
	ASSERT_GE(self->arg.offset, first);
	expect_stream(_metadata, self->conn.rx, 0, self->arg.offset);
}

TEST_F_TIMEOUT(xfer, nonblock_flag, 240)
{
	replace_conn(self, true);
	self->arg.flags = ZCP_XFER_NONBLOCK;
	nonblocking(_metadata, self);
}

TEST_F_TIMEOUT(xfer, nonblock_socket, 240)
{
	replace_conn(self, true);
	zt_need(!fcntl(self->conn.tx, F_SETFL, O_NONBLOCK));
	nonblocking(_metadata, self);
}

TEST_F_TIMEOUT(xfer, blocking_waits_for_room, 240)
{
	struct zt_sink sink;

	replace_conn(self, true);
	self->arg.count = LEN;
	zt_sink_start(&sink, self->conn.rx, LEN);
	EXPECT_EQ(0, xfer(self));
	EXPECT_EQ(LEN, self->arg.done);
	EXPECT_EQ(LEN, self->arg.offset);
	zt_sink_join(&sink);
	EXPECT_EQ(LEN, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

/* With MORE a segment that is not full waits; without it, it goes. */
TEST_F_TIMEOUT(xfer, more_holds_the_last_segment, 240)
{
	int unsent = 0, i;

	self->arg.flags = ZCP_XFER_MORE;
	self->arg.count = 100;
	/* The cork pops by itself after 200 ms: a slow machine gets several tries. */
	for (i = 0; i < 20 && !unsent; i++) {
		ASSERT_EQ(0, xfer(self));
		ASSERT_EQ(100, self->arg.done);
		zt_need(!ioctl(self->conn.tx, SIOCOUTQNSD, &unsent));
	}
	EXPECT_GT(unsent, 0);
	self->arg.flags = 0;
	ASSERT_EQ(0, xfer(self));
	zt_need(!ioctl(self->conn.tx, SIOCOUTQNSD, &unsent));
	EXPECT_EQ(0, unsent);
	expect_stream(_metadata, self->conn.rx, 0, self->arg.offset);
}

/* The access time advances, and who watches the file is told. */
TEST_F_TIMEOUT(xfer, is_a_read, 240)
{
	struct timespec old[2] = { { .tv_sec = 1 }, { .tv_nsec = UTIME_OMIT } };
	struct inotify_event event = {};
	char path[64];
	struct stat st;
	int watch;

	zt_need(!futimens(self->file, old));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->file);
	watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	zt_need(watch >= 0 && inotify_add_watch(watch, path, IN_ACCESS) >= 0);
	self->arg.offset = LEN;
	self->arg.count = 100;
	EXPECT_EQ(0, xfer(self));
	EXPECT_EQ(-1, read(watch, &event, sizeof(event)));
	self->arg.offset = 0;
	EXPECT_EQ(0, xfer(self));
	EXPECT_EQ(100, self->arg.done);
	EXPECT_EQ(sizeof(event), read(watch, &event, sizeof(event)));
	EXPECT_EQ(IN_ACCESS, event.mask);
	zt_need(!fstat(self->file, &st));
	EXPECT_NE(1, st.st_atim.tv_sec);
	close(watch);
	expect_stream(_metadata, self->conn.rx, 0, 100);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void alarm_soon(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	/* Again and again, in case the first one comes too early. */
	struct itimerval timer = { { 0, 200000 }, { 0, 500000 } };

	zt_need(!sigaction(SIGALRM, &act, NULL));
	zt_need(!setitimer(ITIMER_REAL, &timer, NULL));
}

static void alarm_off(void)
{
	struct itimerval timer = {};

	zt_need(!setitimer(ITIMER_REAL, &timer, NULL));
}

/* A signal after some bytes: their number. A signal before any: EINTR. */
TEST_F_TIMEOUT(xfer, signal, 240)
{
	uint64_t sent;

	replace_conn(self, true);
	alarm_soon();
	self->arg.count = LEN;
	EXPECT_EQ(0, xfer(self));
	EXPECT_GT(self->arg.done, 0);
	EXPECT_LT(self->arg.done, LEN);
	EXPECT_EQ(self->arg.done, self->arg.offset);
	/* Fill it up, so that the next call can send nothing. */
	self->arg.flags = ZCP_XFER_NONBLOCK;
	while (!xfer(self) && self->arg.offset < LEN / 2)
		;
	zt_sleep_ms(500);
	while (!xfer(self) && self->arg.offset < LEN / 2)
		;
	sent = self->arg.offset;
	self->arg.flags = 0;
	EXPECT_EQ(-EINTR, xfer(self));
	EXPECT_EQ(sent, self->arg.offset);
	alarm_off();
	expect_stream(_metadata, self->conn.rx, 0, sent);
}

/* What a signal finds sent stays so, a part of the header too. */
TEST_F_TIMEOUT(xfer, signal_in_header, 240)
{
	char *head = calloc(1, HEAD_MAX);

	zt_need(head);
	replace_by_narrow(self);
	self->arg.count = LEN;
	set_header(self, head, HEAD_MAX);
	alarm_soon();
	EXPECT_EQ(0, xfer(self));
	alarm_off();
	EXPECT_GT(self->arg.header_done, 0);
	EXPECT_LT(self->arg.header_done, HEAD_MAX);
	EXPECT_EQ(0, self->arg.done);
	EXPECT_EQ(0, self->arg.offset);
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	free(head);
}

TEST_F_TIMEOUT(xfer, killed_while_blocked, 240)
{
	int status;
	pid_t pid;

	replace_conn(self, true);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		self->arg.count = LEN;
		xfer(self);
		_exit(1);
	}
	zt_sleep_ms(500);
	zt_need(!kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	/* What it sent is in order, and there is no more of it. */
	close(self->conn.tx);
	{
		struct zt_sink sink;

		zt_sink_start(&sink, self->conn.rx, LEN + 1);
		zt_sink_join(&sink);
		EXPECT_TRUE(sink.eof);
		EXPECT_LT(sink.len, LEN);
		EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
		zt_sink_free(&sink);
	}
}

/* No SIGPIPE: its default action would end this test. */
TEST_F_TIMEOUT(xfer, peer_gone, 240)
{
	int i, ret = 0;

	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	self->arg.count = 100;
	for (i = 0; i < 100 && !ret; i++) {
		ret = xfer(self);
		zt_sleep_ms(10);
	}
	EXPECT_TRUE(ret == -EPIPE || ret == -ECONNRESET)
		TH_LOG("%d", ret);
	self->arg.offset = 0;
	EXPECT_EQ(-EPIPE, xfer(self));
	EXPECT_EQ(0, self->arg.offset);
}

TEST_F_TIMEOUT(xfer, shut_down, 240)
{
	self->arg.count = 100;
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	EXPECT_EQ(-EPIPE, xfer(self));
	EXPECT_EQ(0, self->arg.offset);
}

TEST_HARNESS_MAIN
