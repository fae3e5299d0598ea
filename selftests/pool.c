// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages from a pool, with the real module: order, where buffers go, and
 * what the receiver gets when things go wrong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcp/pool.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define BIG	(1 * ZT_MIB)

FIXTURE(pool) {
	struct zt_box box;
	struct zt_conn conn;
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	struct zcp_msg_link *link;
	uint32_t linger_us;
};

/* A pool, a messenger and a link to self->conn. */
static void begin(FIXTURE_DATA(pool) *self, uint32_t pool_flags, uint32_t msg_flags, uint64_t limit,
		  uint64_t window)
{
	struct zcp_pool_opts p = { .size = sizeof(p), .limit = limit, .flags = pool_flags };
	struct zcp_msg_opts m = {
		.size = sizeof(m), .threshold = 16 * ZT_KIB, .window = window, .flags = msg_flags,
		.linger_us = self->linger_us,
	};

	zt_need(!zcp_pool_open(&self->pool, &p));
	zt_need(!zcp_msg_open(&self->msg, self->pool, &m));
	zt_need(!zcp_msg_link_add(self->msg, self->conn.tx, &self->link));
}

static struct zcp_pool_stats pool_stats(struct zcp_pool *pool)
{
	struct zcp_pool_stats s = { .size = sizeof(s) };

	zt_need(!zcp_pool_get_stats(pool, &s));
	return s;
}

static struct zcp_msg_stats msg_stats(struct zcp_msg *msg)
{
	struct zcp_msg_stats s = { .size = sizeof(s) };

	zt_need(!zcp_msg_get_stats(msg, &s));
	return s;
}

FIXTURE_SETUP(pool)
{
	zt_box_open(&self->box, 1500);
	zt_connect(&self->conn, 0, 0);
}

FIXTURE_TEARDOWN(pool)
{
	zcp_msg_close(self->msg);
	if (self->pool) {
		EXPECT_EQ(0, pool_stats(self->pool).outstanding);
		EXPECT_EQ(0, pool_stats(self->pool).in_flight);
		EXPECT_EQ(0, zcp_pool_close(self->pool));
	}
	zt_close(&self->conn);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static size_t random_len(unsigned int *seed)
{
	switch (rand_r(seed) % 4) {
	case 0:
		return 1 + rand_r(seed) % 100;
	case 1:
		return 1 + rand_r(seed) % 5000;
	case 2:
		return 4096 + rand_r(seed) % 30000;
	default:
		return 16384 + rand_r(seed) % 200000;
	}
}

/*
 * Messages of all sizes, from the pool and from elsewhere, gathered and not:
 * the stream is what was sent, in that order.
 */
static void mixed(struct __test_metadata *_metadata, struct zcp_pool *pool,
		  struct zcp_msg_link *link, int rx, unsigned int seed, unsigned int n)
{
	unsigned int lens = seed, i;
	struct zt_sink sink;
	uint64_t total = 0;
	void *other;

	for (i = 0; i < n; i++)
		total += random_len(&lens);
	other = malloc(256 * ZT_KIB);
	zt_need(other);
	zt_sink_start(&sink, rx, total);
	lens = seed;
	for (total = 0, i = 0; i < n; i++) {
		size_t len = random_len(&lens);
		bool own = i % 5 == 4;
		void *buf = other;
		int ret = 0;

		while (!own && (ret = zcp_pool_alloc(pool, len, &buf)) == -EAGAIN)
			zt_need(!zcp_msg_wait(link, -1));
		zt_need(!ret);
		zt_pattern(buf, seed, total, len);
		ASSERT_EQ(0, zcp_send_msg(link, buf, len, i % 3 ? ZCP_MSG_MORE : 0));
		total += len;
	}
	ASSERT_EQ(0, zcp_msg_wait(link, -1));
	free(other);
	zt_sink_join(&sink);
	EXPECT_EQ(total, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, total, seed, 0));
	zt_sink_free(&sink);
}

/* Over loopback nothing goes by reference unless that is asked for. */
TEST_F_TIMEOUT(pool, order_of_copies, 240)
{
	begin(self, 0, 0, 0, 0);
	mixed(_metadata, self->pool, self->link, self->conn.rx, 1, 1000);
	EXPECT_EQ(1000, msg_stats(self->msg).messages);
	EXPECT_EQ(1000, msg_stats(self->msg).copied);
	EXPECT_EQ(0, msg_stats(self->msg).referenced);
}

/* Sockets that take a little at a time: the rest of a message is a job's. */
TEST_F_TIMEOUT(pool, order_of_copies_in_pieces, 240)
{
	zt_close(&self->conn);
	zt_connect(&self->conn, 8 * ZT_KIB, 8 * ZT_KIB);
	zt_need(!fcntl(self->conn.tx, F_SETFL, O_NONBLOCK));
	begin(self, ZCP_POOL_DEBUG, 0, 0, 0);
	mixed(_metadata, self->pool, self->link, self->conn.rx, 2, 300);
	EXPECT_GT(msg_stats(self->msg).jobs, 0);
}

/* By reference; the receiver reads late, so each buffer is used once. */
TEST_F_TIMEOUT(pool, order_by_reference, 240)
{
	enum { N = 400 };
	unsigned int lens = 3, i;
	struct zt_sink sink;
	uint64_t total = 0;
	void *buf[N];
	size_t len[N];

	begin(self, ZCP_POOL_DEBUG, ZCP_MSG_LOCAL, 0, 8 * ZT_MIB);
	for (i = 0; i < N; i++) {
		len[i] = random_len(&lens);
		zt_need(!zcp_pool_alloc(self->pool, len[i], &buf[i]));
		zt_pattern(buf[i], 3, total, len[i]);
		total += len[i];
	}
	zt_sink_start(&sink, self->conn.rx, total);
	for (i = 0; i < N; i++) {
		bool small = len[i] <= 4096;

		/*
		 * A small one would be gathered as a copy, in a buffer that has come
		 * back and that the receiver may not have read yet.
		 */
		if (small)
			zt_need(!zcp_msg_flush(self->link));
		ASSERT_EQ(0, zcp_send_msg(self->link, buf[i], len[i],
					  i % 3 && !small ? ZCP_MSG_MORE : 0));
	}
	ASSERT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_sink_join(&sink);
	EXPECT_EQ(total, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, total, 3, 0));
	zt_sink_free(&sink);
	EXPECT_GT(msg_stats(self->msg).referenced, 50);
	EXPECT_EQ(0, msg_stats(self->msg).failed);
	EXPECT_EQ(0, pool_stats(self->pool).renewed);
}

/* Nobody flushes: each message leaves in time, and in its turn. */
TEST_F_TIMEOUT(pool, order_of_those_that_linger, 240)
{
	self->linger_us = 2000;
	begin(self, 0, 0, 0, 0);
	mixed(_metadata, self->pool, self->link, self->conn.rx, 3, 1000);
	EXPECT_EQ(1000, msg_stats(self->msg).messages);
	EXPECT_GT(1000, msg_stats(self->msg).jobs);
}

static bool arrived(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

/* Half of the time at least a message waits, and then it needs nobody. */
TEST_F_TIMEOUT(pool, lingers, 240)
{
	struct zt_sink sink;
	uint64_t jobs;
	void *buf;

	self->linger_us = 600000;
	begin(self, 0, ZCP_MSG_LOCAL, 0, 0);
	zt_need(!zcp_pool_alloc(self->pool, 20000, &buf));
	zt_pattern(buf, 6, 0, 20000);
	ASSERT_EQ(0, zcp_send_msg(self->link, buf, 20000, 0));
	zt_need(!zcp_pool_alloc(self->pool, 100, &buf));
	zt_pattern(buf, 6, 20000, 100);
	ASSERT_EQ(0, zcp_send_msg(self->link, buf, 100, 0));
	EXPECT_FALSE(arrived(self->conn.rx, 150));
	EXPECT_EQ(0, msg_stats(self->msg).jobs);
	zt_sink_start(&sink, self->conn.rx, 20100);
	zt_sink_join(&sink);
	EXPECT_EQ(20100, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, 20100, 6, 0));
	zt_sink_free(&sink);
	EXPECT_EQ(1, msg_stats(self->msg).jobs);
	/* Who knows that nothing follows need not wait. */
	ASSERT_EQ(0, zcp_send_msg(self->link, "x", 1, 0));
	ASSERT_EQ(0, zcp_msg_flush(self->link));
	EXPECT_TRUE(arrived(self->conn.rx, 150));
	/* Nor does what is enough for a submission. */
	jobs = msg_stats(self->msg).jobs;
	zt_sink_count(&sink, self->conn.rx);
	for (int i = 0; i < 33; i++) {
		zt_need(!zcp_pool_alloc(self->pool, 65536, &buf));
		ASSERT_EQ(0, zcp_send_msg(self->link, buf, 65536, 0));
	}
	EXPECT_EQ(jobs + 1, msg_stats(self->msg).jobs);
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(1 + 33 * 65536, sink.len);
	zt_sink_free(&sink);
}

/* The other half is for those that follow while these are on their way. */
TEST_F_TIMEOUT(pool, half_of_the_window_leaves, 240)
{
	struct zt_sink sink;
	void *buf;

	self->linger_us = 1000000;
	begin(self, 0, ZCP_MSG_LOCAL, 0, 512 * ZT_KIB);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(0, msg_stats(self->msg).jobs);
		zt_need(!zcp_pool_alloc(self->pool, 65536, &buf));
		ASSERT_EQ(0, zcp_send_msg(self->link, buf, 65536, 0));
	}
	EXPECT_EQ(1, msg_stats(self->msg).jobs);
	zt_sink_count(&sink, self->conn.rx);
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(4 * 65536, sink.len);
	zt_sink_free(&sink);
}

/* One job at a time may be open: there is room when the event of the one before has been read. */
TEST_F_TIMEOUT(pool, waits_at_the_limit_of_jobs, 240)
{
	enum { NR = 40, LONG = 2 * BIG };
	uint64_t was = zt_parameter("max_jobs", 1);
	struct zt_sink sink;
	int ret = 0, i;
	void *buf;

	begin(self, 0, ZCP_MSG_LOCAL, 0, 0);
	zt_sink_count(&sink, self->conn.rx);
	for (i = 0; i < NR && !ret; i++) {
		zt_need(!zcp_pool_alloc(self->pool, LONG, &buf));
		ret = zcp_send_msg(self->link, buf, LONG, 0);
	}
	EXPECT_EQ(0, ret)
		TH_LOG("message %d", i);
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_parameter("max_jobs", was);
	EXPECT_EQ(NR, msg_stats(self->msg).jobs);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ((uint64_t)NR * LONG, sink.len);
	zt_sink_free(&sink);
}

/* The connection ends while messages wait: the next call says so. */
TEST_F_TIMEOUT(pool, peer_resets_while_they_linger, 240)
{
	void *buf;
	int ret = 0;

	self->linger_us = 100000;
	begin(self, 0, ZCP_MSG_LOCAL, 0, 0);
	zt_need(!zcp_pool_alloc(self->pool, 20000, &buf));
	ASSERT_EQ(0, zcp_send_msg(self->link, buf, 20000, 0));
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	for (int i = 0; !ret && i < ZT_PATIENCE * 10; i++) {
		zt_sleep_ms(100);
		ret = zcp_send_msg(self->link, "x", 1, 0);
	}
	EXPECT_GT(0, ret);
	EXPECT_EQ(0, pool_stats(self->pool).in_flight);
	EXPECT_EQ(0, pool_stats(self->pool).outstanding);
}

struct sender {
	FIXTURE_DATA(pool) *self;
	struct __test_metadata *metadata;
	struct zcp_msg_link *link;
	struct zt_conn conn;
	unsigned int seed;
	pthread_t thread;
};

static void *sender(void *arg)
{
	struct sender *s = arg;

	mixed(s->metadata, s->self->pool, s->link, s->conn.rx, s->seed, 200);
	return NULL;
}

TEST_F_TIMEOUT(pool, threads_with_a_link_each, 240)
{
	enum { N = 4 };
	struct sender s[N];
	int i;

	begin(self, 0, 0, 32 * ZT_MIB, 0);
	for (i = 0; i < N; i++) {
		s[i] = (struct sender){ .self = self, .metadata = _metadata, .seed = 10 + i };
		zt_connect(&s[i].conn, 32 * ZT_KIB, 32 * ZT_KIB);
		zt_need(!fcntl(s[i].conn.tx, F_SETFL, O_NONBLOCK));
		ASSERT_EQ(0, zcp_msg_link_add(self->msg, s[i].conn.tx, &s[i].link));
		zt_need(!pthread_create(&s[i].thread, NULL, sender, &s[i]));
	}
	for (i = 0; i < N; i++)
		zt_need(!pthread_join(s[i].thread, NULL));
	zcp_msg_link_remove(s[0].link);
	for (i = 0; i < N; i++)
		zt_close(&s[i].conn);
	EXPECT_EQ(N * 200, msg_stats(self->msg).messages);
}

/* The pool's limit: EAGAIN, until the peer reads and what it acknowledges is back. */
TEST_F_TIMEOUT(pool, exhaustion, 240)
{
	struct zt_sink sink;
	void *buf, *more;
	int n = 0, ret;

	zt_close(&self->conn);
	zt_connect_blocking(&self->conn);
	begin(self, 0, ZCP_MSG_LOCAL, 4 * ZT_MIB, 64 * ZT_MIB);
	while (!(ret = zcp_pool_alloc(self->pool, 64 * ZT_KIB, &buf))) {
		ASSERT_EQ(0, zcp_send_msg(self->link, buf, 64 * ZT_KIB, 0));
		ASSERT_LE(++n, 64);
	}
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_GE(n, 62);
	EXPECT_GE(pool_stats(self->pool).in_flight, 62);
	EXPECT_EQ(n, pool_stats(self->pool).outstanding);
	zt_sink_count(&sink, self->conn.rx);
	/* Nobody reads the events but the pool. */
	while (zcp_pool_alloc(self->pool, 64 * ZT_KIB, &more) == -EAGAIN)
		zt_sleep_ms(10);
	EXPECT_EQ(0, zcp_pool_free(self->pool, more));
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(n * 64 * ZT_KIB, sink.len);
	zt_sink_free(&sink);
}

/* Never waiting: EAGAIN at the window, and the buffer is still the caller's. */
TEST_F_TIMEOUT(pool, nonblock_and_window, 240)
{
	struct pollfd pfd;
	struct zt_sink sink;
	int n = 0, ret, more = 0;
	void *buf;

	zt_close(&self->conn);
	zt_connect_blocking(&self->conn);
	begin(self, 0, ZCP_MSG_LOCAL | ZCP_MSG_NONBLOCK, 0, ZT_MIB);
	for (;;) {
		zt_need(!zcp_pool_alloc(self->pool, 100000, &buf));
		ret = zcp_send_msg(self->link, buf, 100000, 0);
		if (ret)
			break;
		ASSERT_LE(++n, 10);
	}
	EXPECT_EQ(-EAGAIN, ret);
	/* Buffers of 128 KiB. */
	EXPECT_EQ(8, n);
	EXPECT_EQ(-EAGAIN, zcp_send_msg(self->link, "x", 1, ZCP_MSG_NONBLOCK) ?: -EAGAIN);
	EXPECT_EQ(-EAGAIN, zcp_msg_wait(self->link, 50));
	pfd = (struct pollfd){ .fd = zcp_msg_fd(self->msg), .events = POLLIN };
	EXPECT_EQ(0, poll(&pfd, 1, 0));
	zt_sink_count(&sink, self->conn.rx);
	while (zcp_send_msg(self->link, buf, 100000, 0) == -EAGAIN) {
		ASSERT_EQ(1, poll(&pfd, 1, ZT_PATIENCE * 1000));
		ret = zcp_msg_reap(self->msg, 0);
		ASSERT_GE(ret, 0);
		more += ret;
	}
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(9 * 100000 + msg_stats(self->msg).messages - 9, sink.len);
	zt_sink_free(&sink);
}

/* The peer is gone, with thousands of buffers on their way: all come back. */
TEST_F_TIMEOUT(pool, peer_resets, 240)
{
	enum { N = 4000 };
	void *buf;
	int i;

	zt_close(&self->conn);
	zt_connect_holding(&self->conn);
	begin(self, 0, ZCP_MSG_LOCAL, 0, 256 * ZT_MIB);
	for (i = 0; i < N; i++) {
		zt_need(!zcp_pool_alloc(self->pool, 20000, &buf));
		ASSERT_EQ(0, zcp_send_msg(self->link, buf, 20000, 0));
	}
	EXPECT_GT(pool_stats(self->pool).in_flight, N - 100);
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	EXPECT_GT(0, zcp_msg_wait(self->link, ZT_PATIENCE * 1000));
	EXPECT_EQ(0, msg_stats(self->msg).open);
	EXPECT_GT(msg_stats(self->msg).failed, N - 100);
	EXPECT_EQ(0, pool_stats(self->pool).in_flight);
	EXPECT_EQ(0, pool_stats(self->pool).outstanding);
	/* Packets that are not acknowledged keep the old memory. */
	EXPECT_GT(pool_stats(self->pool).renewed, 0);
	zt_need(!zcp_pool_alloc(self->pool, 20000, &buf));
	EXPECT_GT(0, zcp_send_msg(self->link, buf, 20000, 0));
	EXPECT_EQ(0, zcp_pool_free(self->pool, buf));
}

/*
 * A link is removed while its last bytes are not acknowledged, and may be sent
 * again. The buffers are used for something else at once, of which the peer
 * must not get a byte.
 */
TEST_F_TIMEOUT(pool, reuse_does_not_leak, 240)
{
	enum { N = 32 };
	static char got[N * 65536];
	void *buf;
	ssize_t n;
	int i;

	zt_close(&self->conn);
	zt_connect_holding(&self->conn);
	begin(self, 0, ZCP_MSG_LOCAL, 0, 64 * ZT_MIB);
	for (i = 0; i < N; i++) {
		zt_need(!zcp_pool_alloc(self->pool, 65536, &buf));
		zt_pattern(buf, 4, i * 65536, 65536);
		ASSERT_EQ(0, zcp_send_msg(self->link, buf, 65536, 0));
	}
	EXPECT_GT(zt_unacked(self->conn.tx), 0);
	zcp_msg_link_remove(self->link);
	EXPECT_GT(pool_stats(self->pool).renewed, 0);
	for (i = 0; i < 2 * N; i++) {
		zt_need(!zcp_pool_alloc(self->pool, 65536, &buf));
		memset(buf, 'X', 65536);
		EXPECT_EQ(0, zcp_pool_free(self->pool, buf));
	}
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	for (i = 0; (n = read(self->conn.rx, got + i, sizeof(got) - i)) > 0;)
		i += n;
	EXPECT_GT(i, 0);
	EXPECT_LE(zt_mismatch(got, i, 4, 0), -1);
}

/* --- misuse, which ends the process ------------------------------------- */

static void sent_and_used(FIXTURE_DATA(pool) *self, size_t len)
{
	volatile char *small, *big;

	zt_connect_blocking(&self->conn);
	begin(self, ZCP_POOL_DEBUG, ZCP_MSG_LOCAL, 0, 64 * ZT_MIB);
	zt_need(!zcp_pool_alloc(self->pool, BIG, (void **)&big));
	zt_need(!zcp_send_msg(self->link, (void *)big, BIG, 0));
	/* Behind a job that waits for the peer. */
	zt_need(!zcp_pool_alloc(self->pool, len, (void **)&small));
	memset((void *)small, 1, len);
	zt_need(!zcp_send_msg(self->link, (void *)small, len, 0));
	small[len / 2] = 2;
	zcp_msg_close(self->msg);
	_exit(0);
}

static int fate(FIXTURE_DATA(pool) *self, size_t len)
{
	struct rlimit none = { 0 };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		sent_and_used(self, len);
	}
	zt_need(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST_F_TIMEOUT(pool, used_after_hand_over, 240)
{
	EXPECT_EQ(SIGSEGV, fate(self, 20000));
	EXPECT_EQ(SIGABRT, fate(self, 100));
}

/* A child can do nothing with it, and the parent's messages go on. */
TEST_F_TIMEOUT(pool, fork, 240)
{
	struct zt_sink sink;
	void *buf, *foreign;
	int status;
	pid_t pid;

	begin(self, 0, ZCP_MSG_LOCAL, 0, 0);
	foreign = malloc(100);
	zt_need(foreign && !zcp_pool_alloc(self->pool, 50000, &buf));
	zt_pattern(buf, 5, 0, 50000);
	pid = fork();
	if (!pid) {
		struct zcp_msg_stats s = { .size = sizeof(s) };
		struct zcp_msg_link *link;

		if (zcp_send_msg(self->link, foreign, 100, 0) != -EPERM ||
		    zcp_msg_reap(self->msg, 0) != -EPERM ||
		    zcp_msg_wait(self->link, 0) != -EPERM ||
		    zcp_msg_get_stats(self->msg, &s) != -EPERM ||
		    zcp_msg_link_add(self->msg, self->conn.tx, &link) != -EPERM)
			_exit(1);
		zcp_msg_close(self->msg);
		_exit(zcp_pool_close(self->pool) ? 2 : 0);
	}
	free(foreign);
	zt_need(waitpid(pid, &status, 0) == pid);
	EXPECT_EQ(0, status);
	zt_sink_start(&sink, self->conn.rx, 50000);
	EXPECT_EQ(0, zcp_send_msg(self->link, buf, 50000, 0));
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, 50000, 5, 0));
	zt_sink_free(&sink);
}

/* Bytes of memory of this process. */
static uint64_t resident(void)
{
	FILE *in = fopen("/proc/self/statm", "r");
	unsigned long size, rss;

	zt_need(in && fscanf(in, "%lu %lu", &size, &rss) == 2);
	fclose(in);
	return rss * ZT_PAGE;
}

/*
 * However many messages take no more memory than the window allows: as many as
 * ZCP_TEST_MESSAGES says.
 */
TEST_F_TIMEOUT(pool, no_growth, 600)
{
	const char *env = getenv("ZCP_TEST_MESSAGES");
	long n = env ? atol(env) : 20000, i;
	uint64_t rss = resident(), total = 0;
	struct zt_sink sink;
	void *buf;

	begin(self, 0, ZCP_MSG_LOCAL, 0, 0);
	zt_sink_count(&sink, self->conn.rx);
	for (i = 0; i < n; i++) {
		size_t len = (16ULL << i % 7) + (i % 64 ? 0 : 16384);

		zt_need(!zcp_pool_alloc(self->pool, len, &buf));
		ASSERT_EQ(0, zcp_send_msg(self->link, buf, len, i % 8 ? ZCP_MSG_MORE : 0));
		total += len;
	}
	EXPECT_EQ(0, zcp_msg_wait(self->link, -1));
	EXPECT_EQ(0, pool_stats(self->pool).outstanding);
	/* The window, and what slabs and the thread keep of each bucket. */
	EXPECT_LE(pool_stats(self->pool).high_water, 10 * ZT_MIB);
	EXPECT_LE(resident(), rss + 10 * ZT_MIB);
	EXPECT_EQ(n, msg_stats(self->msg).messages);
	EXPECT_EQ(total, msg_stats(self->msg).bytes);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(total, sink.len);
	zt_sink_free(&sink);
}

TEST_F(pool, arguments)
{
	struct zcp_msg_opts opts = { .size = sizeof(opts), .flags = 1U << 31 };
	struct zcp_pool_stats stats;
	struct zcp_msg *msg;
	char *buf;

	begin(self, 0, 0, 0, 0);
	EXPECT_EQ(-EOPNOTSUPP, zcp_msg_open(&msg, self->pool, &opts));
	EXPECT_NULL(msg);
	EXPECT_EQ(-EINVAL, zcp_msg_open(&msg, NULL, NULL));
	opts.flags = 0;
	opts.path = "/dev/null";
	EXPECT_EQ(-ENOTTY, zcp_msg_open(&msg, self->pool, &opts));
	zt_need(!zcp_pool_alloc(self->pool, 4096, (void **)&buf));
	EXPECT_EQ(-EINVAL, zcp_send_msg(self->link, buf, 0, 0));
	EXPECT_EQ(-EINVAL, zcp_send_msg(self->link, buf, 4097, 0));
	EXPECT_EQ(-EINVAL, zcp_send_msg(self->link, buf + 16, 16, 0));
	EXPECT_EQ(-EOPNOTSUPP, zcp_send_msg(self->link, buf, 16, 1U << 31));
	EXPECT_EQ(-EMSGSIZE, zcp_send_msg(self->link, self, 64 * ZT_MIB + 1, 0));
	EXPECT_EQ(-EBUSY, zcp_pool_close(self->pool));
	EXPECT_EQ(0, zcp_pool_free(self->pool, buf));
	EXPECT_EQ(-EBUSY, zcp_pool_close(self->pool));
	stats = pool_stats(self->pool);
	EXPECT_EQ(0, stats.outstanding);
}

TEST_HARNESS_MAIN
