// SPDX-License-Identifier: GPL-2.0-only
/*
 * A layer that a socket gets while zcp sends on it, kTLS here: from the moment on
 * at which setsockopt(2) has returned not a byte of a file enters the connection
 * as it is. What was queued before is what was asked for before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <linux/tls.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#ifndef SOL_TLS
#define SOL_TLS	282
#endif

#define LEN	(1 * ZT_MIB)
#define LACKS_TLS "TCP_ULP tls: the kernel lacks the module tls"

FIXTURE(ktls) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(ktls)
{
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, 1, LEN);
	self->conn.tx = -1;
	self->conn.rx = -1;
}

FIXTURE_TEARDOWN(ktls)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* 0 or -errno */
static int encrypt(int fd)
{
	struct tls12_crypto_info_aes_gcm_128 key = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
		.key = "0123456789abcde",
	};

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	    setsockopt(fd, SOL_TLS, TLS_TX, &key, sizeof(key)))
		return -errno;
	return 0;
}

static bool have_tls(void)
{
	struct zt_conn conn;
	int ret;

	zt_run("modprobe -q tls");
	zt_connect(&conn, 0, 0);
	ret = encrypt(conn.tx);
	zt_close(&conn);
	return !ret;
}

/* In a thread of its own: sends more than there is room for, and gives up a context. */
struct call {
	pthread_t thread;
	int fd;
	bool back;
};

static void *call_send(void *arg)
{
	static char data[LEN];
	struct call *call = arg;

	zt_need(send(call->fd, data, LEN, MSG_NOSIGNAL) > 0);
	return NULL;
}

static void *call_close(void *arg)
{
	struct call *call = arg;

	close(call->fd);
	__atomic_store_n(&call->back, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * Who sends by the layer has its lock for as long as he waits for room. What TCP was
 * told that more of a file follows is not a reason to wait for him.
 */
TEST_F_TIMEOUT(ktls, close_beside_a_sender_that_waits, 240)
{
	struct call sender, closer = {};
	struct zt_sink sink;
	unsigned int i;
	uint64_t id;

	if (!have_tls())
		SKIP(return, LACKS_TLS);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	/* Until no worker looks at it for a while. */
	zt_sleep_ms(4000);
	ASSERT_EQ(0, encrypt(self->conn.tx));
	sender.fd = self->conn.tx;
	zt_need(!pthread_create(&sender.thread, NULL, call_send, &sender));
	zt_sleep_ms(ZT_WATCH / 4);
	closer.fd = self->ctx;
	zt_need(!pthread_create(&closer.thread, NULL, call_close, &closer));
	for (i = 0; i < 50 && !__atomic_load_n(&closer.back, __ATOMIC_ACQUIRE); i++)
		zt_sleep_ms(100);
	EXPECT_TRUE(__atomic_load_n(&closer.back, __ATOMIC_ACQUIRE))
		TH_LOG("close(2) waits for the sender");
	zt_sink_count(&sink, self->conn.rx);
	zt_need(!pthread_join(closer.thread, NULL) && !pthread_join(sender.thread, NULL));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	self->ctx = zt_open(O_NONBLOCK);
}

/* Submits bytes of its own until it is told to stop: how long the longest call took. */
struct submitter {
	pthread_t thread;
	uint32_t link;
	uint64_t longest;
	int ctx;
	bool stop;
};

static void *call_submit(void *arg)
{
	struct submitter *s = arg;
	struct zcp_segment seg = zt_inline("x", 1);
	struct zcp_event event;
	struct zcp_job job;
	uint64_t begin;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		job = zt_job(s->link, &seg, 1);
		begin = zt_now_ns();
		zt_try_submit(s->ctx, &job);
		begin = zt_now_ns() - begin;
		if (begin > s->longest)
			s->longest = begin;
		while (zt_readable(s->ctx, 0)) {
			zt_event(s->ctx, &event);
			zt_need(event.error == EOPNOTSUPP && !event.bytes_sent);
		}
		zt_sleep_ms(10);
	}
	return NULL;
}

/*
 * The same with bytes of the job's own, when there is some room, but not as much as a
 * sender that waits is woken for.
 */
TEST_F_TIMEOUT(ktls, submit_beside_a_sender_that_waits, 240)
{
	struct submitter s = { .ctx = self->ctx };
	struct call sender;
	struct zt_sink sink;
	static char some[16 * ZT_KIB];
	int i;

	if (!have_tls())
		SKIP(return, LACKS_TLS);
	zt_connect_blocking(&self->conn);
	s.link = zt_link(self->ctx, self->conn.tx);
	ASSERT_EQ(0, encrypt(self->conn.tx));
	sender.fd = self->conn.tx;
	zt_need(!pthread_create(&sender.thread, NULL, call_send, &sender));
	zt_sleep_ms(ZT_WATCH / 4);
	zt_need(!pthread_create(&s.thread, NULL, call_submit, &s));
	for (i = 0; i < 8; i++) {
		zt_need(recv(self->conn.rx, some, sizeof(some), MSG_WAITALL) > 0);
		zt_sleep_ms(1000);
	}
	zt_sink_count(&sink, self->conn.rx);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
	zt_need(!pthread_join(s.thread, NULL) && !pthread_join(sender.thread, NULL));
	EXPECT_LT(s.longest, 800000000ULL);
	ASSERT_EQ(0, zt_unlink(self->ctx, s.link, NULL));
	close(self->ctx);
	self->ctx = zt_open(O_NONBLOCK);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	zt_sink_free(&sink);
}

/* All bytes that were ever written to the connection, of one moment. */
static uint64_t written(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	zt_need(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes;
}

/* A job waits in the middle for room, another one behind it. */
TEST_F_TIMEOUT(ktls, set_while_blocked, 240)
{
	struct zcp_event first, second;
	struct zt_sink sink;
	uint64_t before, id;

	if (!have_tls())
		SKIP(return, LACKS_TLS);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	ASSERT_EQ(0, encrypt(self->conn.tx));
	before = written(self->conn.tx);
	zt_sink_start(&sink, self->conn.rx, before);
	zt_event(self->ctx, &first);
	zt_event(self->ctx, &second);
	EXPECT_EQ(id, first.job);
	EXPECT_EQ(ZCP_STATE_FAILED, first.state);
	EXPECT_EQ(EOPNOTSUPP, first.error);
	EXPECT_EQ(before, first.bytes_sent);
	EXPECT_EQ(0, second.bytes_sent);
	EXPECT_EQ(before, written(self->conn.tx));
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

/* Set at any moment of a job that goes at full speed. */
TEST_F_TIMEOUT(ktls, set_while_running, 240)
{
	enum { ROUNDS = 40, JOBS = 6 };
	unsigned int i, j, late = 0, midway = 0;
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t before;

	if (!have_tls())
		SKIP(return, LACKS_TLS);
	for (i = 0; i < ROUNDS; i++) {
		/* What does not fit at once is pushed by a worker. */
		zt_connect(&self->conn, 256 * ZT_KIB, 0);
		self->link = zt_link(self->ctx, self->conn.tx);
		zt_sink_count(&sink, self->conn.rx);
		for (j = 0; j < JOBS; j++)
			zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
		usleep(i % 16 * 40);
		ASSERT_EQ(0, encrypt(self->conn.tx));
		before = written(self->conn.tx);
		for (j = 0; j < JOBS; j++) {
			zt_event(self->ctx, &event);
			before -= event.bytes_sent;
			midway += event.state == ZCP_STATE_FAILED && event.bytes_sent;
		}
		late += !!before;
		ASSERT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
		close(self->conn.tx);
		zt_sink_join(&sink);
		zt_sink_free(&sink);
		close(self->conn.rx);
		self->conn.tx = -1;
		self->conn.rx = -1;
	}
	EXPECT_EQ(0, late);
	EXPECT_GT(midway, 0);
}

struct xfers {
	pthread_t thread;
	int ctx;
	int in;
	int out;
	uint64_t done;
	int error;
};

static void *xfer_main(void *arg)
{
	struct xfers *x = arg;

	for (;;) {
		struct zcp_xfer xfer = {
			.size = sizeof(xfer), .in_fd = x->in, .out_fd = x->out, .count = LEN,
		};

		if (ioctl(x->ctx, ZCP_IOC_XFER, &xfer)) {
			x->error = errno;
			return NULL;
		}
		x->done += xfer.done;
	}
}

/* Set while another thread waits for room in XFER, and has more to send. */
TEST_F_TIMEOUT(ktls, set_during_xfer, 240)
{
	struct xfers x = { .ctx = self->ctx, .in = self->file };
	struct zt_sink sink;
	uint64_t before;
	unsigned int i;

	if (!have_tls())
		SKIP(return, LACKS_TLS);
	for (i = 0; i < 10; i++) {
		zt_connect(&self->conn, i % 2 ? 32 * ZT_KIB : 0, i % 2 ? 32 * ZT_KIB : 0);
		x.out = self->conn.tx;
		x.done = 0;
		x.error = 0;
		zt_need(!pthread_create(&x.thread, NULL, xfer_main, &x));
		if (i % 2)
			zt_sleep_ms(50);
		else
			zt_sink_count(&sink, self->conn.rx);
		usleep(i * 50);
		ASSERT_EQ(0, encrypt(self->conn.tx));
		before = written(self->conn.tx);
		if (i % 2)
			zt_sink_count(&sink, self->conn.rx);
		zt_need(!pthread_join(x.thread, NULL));
		EXPECT_EQ(EOPNOTSUPP, x.error);
		EXPECT_EQ(before, x.done);
		EXPECT_EQ(before, written(self->conn.tx));
		close(self->conn.tx);
		zt_sink_join(&sink);
		zt_sink_free(&sink);
		close(self->conn.rx);
		self->conn.tx = -1;
		self->conn.rx = -1;
	}
}

/* Is there a run of the file's bytes, at a multiple of 64, in what was captured? */
static bool has_file(const char *buf, size_t len, const char *file)
{
	size_t off;

	for (off = 0; off < LEN; off += 64)
		if (memmem(buf, len, file + off, 32))
			return true;
	return false;
}

/* On the wire: TLS records of what send(2) was given, and nothing of the file. */
TEST_F_TIMEOUT(ktls, wire, 240)
{
	static char packet[128 * 1024], data[LEN];
	struct zcp_xfer xfer = { .size = sizeof(xfer), .in_fd = self->file, .count = LEN };
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	bool leak = false, secret = false, record = false;
	struct zcp_event event;
	struct zcp_job job;
	ssize_t n;
	int tap;

	if (!have_tls())
		SKIP(return, LACKS_TLS);
	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	zt_pattern(data, 1, 0, LEN);
	tap = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	zt_need(tap >= 0);
	ASSERT_EQ(0, encrypt(self->conn.tx));
	job = zt_job(self->link, &seg, 1);
	if (!zt_try_submit(self->ctx, &job)) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(EOPNOTSUPP, event.error);
		EXPECT_EQ(0, event.bytes_sent);
	}
	xfer.out_fd = self->conn.tx;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(16000, send(self->conn.tx, data, 16000, 0));
	zt_need(recv(self->conn.rx, packet, 5, MSG_WAITALL) == 5);
	EXPECT_EQ(0, memcmp(packet, "\x17\x03\x03", 3));
	while ((n = recv(tap, packet, sizeof(packet), 0)) > 0) {
		leak |= has_file(packet, n, data);
		record |= !!memmem(packet, n, "\x17\x03\x03", 3);
	}
	EXPECT_TRUE(record);
	EXPECT_FALSE(leak);
	/* The look finds what is there. */
	zt_close(&self->conn);
	zt_connect(&self->conn, 0, 0);
	zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), self->file, 0, 16000);
	zt_event(self->ctx, &event);
	while ((n = recv(tap, packet, sizeof(packet), 0)) > 0)
		secret |= has_file(packet, n, data);
	EXPECT_TRUE(secret);
	close(tap);
}

TEST_HARNESS_MAIN
