// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZCP_IOC_XFER: what a drop-in for sendfile(2) needs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <linux/sockios.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	(1 * ZT_MIB)

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
