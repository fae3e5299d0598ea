// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messengers under threads, with the stand-in for /dev/zcp. Built with what finds
 * races and bad accesses, which no test kernel's user space has.
 */
#include <limits.h>
#include <string.h>
#include <sys/wait.h>

#include "mock.h"
#include "msg_test.h"

/* The race finder does not support children that have threads to forget. */
#ifdef __SANITIZE_THREAD__
#define CAN_FORK 0
#else
#define CAN_FORK 1
#endif

#define LINKS 3
#define SENDERS 2 /* of each link */
#define LONGEST 100000

/* What each message begins with; the rest of it is the serial number's last byte. */
struct head {
	uint32_t len, sender, serial;
};

struct stream {
	struct zcp_pool *pool;
	struct zcp_msg_link *link;
	int tx, rx;
	uint32_t messages; /* that are wanted */
	bool good;
	pthread_t thread;
};

struct sender {
	struct stream *stream;
	uint32_t id, count;
	bool failed;
	pthread_t thread;
};

static struct zcp_msg *open_msg(struct zcp_pool *pool, uint32_t linger_us)
{
	struct zcp_msg_opts opts = {
		.size = sizeof(opts),
		.threshold = 16 << 10,
		.linger_us = linger_us,
		.flags = ZCP_MSG_LOCAL,
	};
	struct zcp_msg *msg;

	need(!zcp_msg_open(&msg, pool, &opts), "zcp_msg_open");
	return msg;
}

/* Each sender's messages come whole and in their order. */
static void *receiver(void *arg)
{
	uint32_t serial[SENDERS] = { 0 };
	struct stream *s = arg;
	struct head h;
	char *rest;

	rest = malloc(LONGEST);
	need(!!rest, "malloc");
	s->good = true;
	for (uint32_t i = 0; i < s->messages && s->good; i++) {
		s->good = get(s->rx, &h, sizeof(h)) && h.len >= sizeof(h) && h.len <= LONGEST &&
			  h.sender < SENDERS && h.serial == serial[h.sender];
		if (!s->good)
			break;
		serial[h.sender]++;
		h.len -= sizeof(h);
		s->good = !h.len || get(s->rx, rest, h.len);
		for (uint32_t k = 0; k < h.len && s->good; k++)
			s->good = rest[k] == (char)h.serial;
	}
	free(rest);
	return NULL;
}

static size_t random_len(unsigned int *seed)
{
	static const size_t most[] = { 40, 3000, 20000, LONGEST - sizeof(struct head) };

	return sizeof(struct head) + rand_r(seed) % most[rand_r(seed) % 4];
}

static void *sender(void *arg)
{
	struct sender *s = arg;
	unsigned int seed = s->id + 1;
	void *buf;
	int ret;

	for (uint32_t i = 0; i < s->count && !s->failed; i++) {
		struct head h = { .sender = s->id, .serial = i };

		h.len = random_len(&seed);
		while ((ret = zcp_pool_alloc(s->stream->pool, h.len, &buf)) == -EAGAIN)
			usleep(100);
		need(!ret, "zcp_pool_alloc");
		memset(buf, (char)i, h.len);
		memcpy(buf, &h, sizeof(h));
		s->failed = zcp_send_msg(s->stream->link, buf, h.len, i % 5 ? 0 : ZCP_MSG_MORE);
		if (s->failed)
			zcp_pool_free(s->stream->pool, buf);
		if (i % 50 == 49)
			usleep(2000);
	}
	return NULL;
}

/* Several threads send on each of several links: nobody flushes but the messenger. */
static void test_threads(uint32_t linger_us, uint32_t count, const char *name)
{
	struct sender senders[LINKS * SENDERS] = { 0 };
	struct stream streams[LINKS] = { 0 };
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	bool good = true;

	need(!zcp_pool_open(&pool, NULL), "zcp_pool_open");
	msg = open_msg(pool, linger_us);
	for (int i = 0; i < LINKS; i++) {
		struct stream *s = &streams[i];

		s->pool = pool;
		s->messages = SENDERS * count;
		connect_pair(&s->tx, &s->rx);
		need(!zcp_msg_link_add(msg, s->tx, &s->link), "zcp_msg_link_add");
		need(!pthread_create(&s->thread, NULL, receiver, s), "thread");
	}
	for (int i = 0; i < LINKS * SENDERS; i++) {
		senders[i] = (struct sender){ .stream = &streams[i / SENDERS], .count = count };
		senders[i].id = i % SENDERS;
		need(!pthread_create(&senders[i].thread, NULL, sender, &senders[i]), "thread");
	}
	for (int i = 0; i < LINKS * SENDERS; i++) {
		pthread_join(senders[i].thread, NULL);
		good &= !senders[i].failed;
	}
	for (int i = 0; i < LINKS; i++) {
		/* Without a thread that does it, what was kept last is to be sent. */
		if (!linger_us)
			good &= !zcp_msg_flush(streams[i].link);
		pthread_join(streams[i].thread, NULL);
		good &= streams[i].good;
		zcp_msg_link_remove(streams[i].link);
		close(streams[i].tx);
		close(streams[i].rx);
	}
	ok(good, name);
	zcp_msg_close(msg);
	ok(!zcp_pool_close(pool), "every buffer came back");
}

/* Links and messengers go while messages wait and the thread is about to send them. */
static void test_ends(void)
{
	struct zcp_msg_link *link[2];
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	int tx, rx, sent = 0;

	need(!zcp_pool_open(&pool, NULL), "zcp_pool_open");
	for (int i = 0; i < 60; i++) {
		msg = open_msg(pool, 1 + i % 6 * 400);
		connect_pair(&tx, &rx);
		need(!zcp_msg_link_add(msg, tx, &link[0]), "zcp_msg_link_add");
		need(!zcp_msg_link_add(msg, tx, &link[1]), "zcp_msg_link_add");
		need(!zcp_send_msg(link[0], "some", 4, 0), "zcp_send_msg");
		need(!zcp_send_msg(link[1], "more", 4, 0), "zcp_send_msg");
		usleep(i % 4 * 500);
		zcp_msg_link_remove(link[i % 2]);
		if (i % 3)
			zcp_msg_link_remove(link[!(i % 2)]);
		zcp_msg_close(msg);
		sent += arrives(rx, 0);
		close(tx);
		close(rx);
	}
	ok(sent > 0 && sent < 60, "a link or messenger ends, before its messages leave or after");
	ok(!zcp_pool_close(pool), "every buffer came back");
}

/* A child has no such thread, and waits for none. */
static void test_fork(void)
{
	struct zcp_msg_link *link;
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	int tx, rx, status;
	pid_t pid;

	need(!zcp_pool_open(&pool, NULL), "zcp_pool_open");
	msg = open_msg(pool, 500000);
	connect_pair(&tx, &rx);
	need(!zcp_msg_link_add(msg, tx, &link), "zcp_msg_link_add");
	need(!zcp_send_msg(link, "some", 4, 0), "zcp_send_msg");
	fflush(NULL);
	/* A thread that begins allocates, and the bad-access finder's lock is no child's. */
	usleep(100000);
	pid = fork();
	if (!pid) {
		alarm(20);
		status =
			zcp_send_msg(link, "more", 4, 0) != -EPERM || zcp_msg_flush(link) != -EPERM;
		zcp_msg_close(msg);
		_exit(zcp_pool_close(pool) || status);
	}
	ok(waitpid(pid, &status, 0) == pid && !status, "a child closes what it inherited");
	ok(arrives(rx, 20000), "and the parent's message leaves by itself");
	zcp_msg_close(msg);
	zcp_pool_close(pool);
	close(tx);
	close(rx);
}

struct waiter {
	struct zcp_msg *msg;
	int events;
	pthread_t thread;
};

static void *waiter(void *arg)
{
	struct waiter *w = arg;

	w->events = zcp_msg_reap(w->msg, -1);
	return NULL;
}

/* Messages leave by themselves, which is no event: who waits for those is not woken. */
static void test_reap(void)
{
	struct waiter w = { .events = -1 };
	struct zcp_msg_link *link;
	struct zcp_pool *pool;
	struct timespec from;
	int tx, rx, events;
	char *buf;

	need(!zcp_pool_open(&pool, NULL), "zcp_pool_open");
	w.msg = open_msg(pool, 20000);
	connect_pair(&tx, &rx);
	need(!zcp_msg_link_add(w.msg, tx, &link), "zcp_msg_link_add");
	/* Nobody reads so many bytes yet: a job stays open. */
	buf = calloc(1, 1 << 20);
	need(!!buf, "calloc");
	need(!zcp_send_msg(link, buf, 1 << 20, 0) && !zcp_msg_flush(link), "zcp_send_msg");
	free(buf);
	need(!pthread_create(&w.thread, NULL, waiter, &w), "thread");
	usleep(50000);
	need(!zcp_send_msg(link, "more", 4, 0), "zcp_send_msg");
	clock_gettime(CLOCK_MONOTONIC, &from);
	events = zcp_msg_reap(w.msg, 300);
	ok(!events && ms_since(&from) >= 250, "who waits for events is woken by nothing else");
	close(rx);
	pthread_join(w.thread, NULL);
	ok(w.events > 0, "but by the end of a job");
	zcp_msg_close(w.msg);
	ok(!zcp_pool_close(pool), "every buffer came back");
	close(tx);
}

struct reaper_thread {
	struct zcp_msg *msg;
	bool stop;
	pthread_t thread;
};

static void *reaper(void *arg)
{
	struct reaper_thread *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		zcp_msg_reap(r->msg, 0);
	return NULL;
}

/* Room for one job, which another thread than the sender's may learn the end of. */
static void test_room(uint32_t count)
{
	struct stream s = { .messages = count };
	struct sender one = { .stream = &s, .count = count };
	struct reaper_thread r = { 0 };

	__atomic_store_n(&mock_max_jobs, 1, __ATOMIC_RELAXED);
	need(!zcp_pool_open(&s.pool, NULL), "zcp_pool_open");
	r.msg = open_msg(s.pool, 0);
	connect_pair(&s.tx, &s.rx);
	need(!zcp_msg_link_add(r.msg, s.tx, &s.link), "zcp_msg_link_add");
	need(!pthread_create(&s.thread, NULL, receiver, &s), "thread");
	need(!pthread_create(&r.thread, NULL, reaper, &r), "thread");
	sender(&one);
	ok(!one.failed && !zcp_msg_flush(s.link), "who waits for room has it, whoever makes it");
	if (one.failed)
		shutdown(s.tx, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(r.thread, NULL);
	zcp_msg_close(r.msg);
	ok(!zcp_pool_close(s.pool), "every buffer came back");
	close(s.tx);
	close(s.rx);
	__atomic_store_n(&mock_max_jobs, LONG_MAX, __ATOMIC_RELAXED);
}

/*
 * A connection ends while one thread sends and another learns of the ends of jobs. In
 * debug mode it takes longer to take back what is not sent.
 */
static void test_resets(uint32_t count)
{
	struct zcp_pool_opts opts = { .size = sizeof(opts), .flags = ZCP_POOL_DEBUG };
	struct reaper_thread r;
	struct stream s;
	bool good = true;

	for (uint32_t i = 0; i < count; i++) {
		struct sender one = { .stream = &s, .count = UINT32_MAX };
		int ret;

		need(!zcp_pool_open(&s.pool, &opts), "zcp_pool_open");
		r = (struct reaper_thread){ .msg = open_msg(s.pool, 0) };
		connect_pair(&s.tx, &s.rx);
		need(!zcp_msg_link_add(r.msg, s.tx, &s.link), "zcp_msg_link_add");
		need(!pthread_create(&one.thread, NULL, sender, &one), "thread");
		need(!pthread_create(&r.thread, NULL, reaper, &r), "thread");
		need(arrives(s.rx, 20000), "the first bytes");
		usleep(i % 10 * 200);
		close(s.rx);
		pthread_join(one.thread, NULL);
		ret = zcp_msg_wait(s.link, 20000);
		/* 0: it was send(2) that failed. */
		good &= ret != -EAGAIN && zcp_msg_flush(s.link) == ret;
		__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
		pthread_join(r.thread, NULL);
		zcp_msg_close(r.msg);
		good &= !zcp_pool_close(s.pool);
		close(s.tx);
	}
	ok(good, "a connection ends under a sender and a reaper");
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? atoi(argv[1]) : 300;
	struct zcp_msg_opts opts = { .size = sizeof(opts), .linger_us = 1000001 };
	struct zcp_pool *pool;
	struct zcp_msg *msg;

	/* Who waits for ever is not to. */
	alarm(120);
	need(!zcp_pool_open(&pool, NULL), "zcp_pool_open");
	ok(zcp_msg_open(&msg, pool, &opts) == -ERANGE && !msg, "longer than a second: ERANGE");
	zcp_pool_close(pool);
	test_threads(0, count, "threads on links, one message at a time");
	test_threads(1000, count, "threads on links, messages that linger");
	test_room(count * 10);
	test_resets(count);
	test_ends();
	test_reap();
	test_rooms(count);
	if (CAN_FORK)
		test_fork();
	return tap_end();
}
