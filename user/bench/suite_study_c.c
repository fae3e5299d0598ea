// SPDX-License-Identifier: GPL-2.0-only
/*
 * study-c: what messages cost that are allocated in several ways, alone, and
 * copied into and sent to a receiver that reads them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <zcp/pool.h>

#include "jobs.h"
#include "method.h"
#include "rounds.h"
#include "study.h"

#define SUITE "study-c"
/* How long a message may wait for others. */
#define LINGER_US 5000
#define PAGE 4096
/*
 * Times are told for so many messages, and taken of as many as each way sends in this time: of
 * a few that all of them send the fastest would tell no more than how long its calls take.
 */
#define MESSAGES 10000
#define SEND_SECONDS 0.25
#define MESSAGES_SMOKE 64
/* So many short ones may be on their way then: see sent(). */
#define SMOKE_GATHER 4
/* A shorter sample says nothing. */
#define SHORTEST_MS 50
/* Memory of one burst of allocations, and their number at most. */
#define BURST_BYTES (16 << 20)
#define BURST_MAX 1024
#define ALLOC_NS 50000000

static const size_t sizes[] = { 64, 512, 1 << 10, 4 << 10, 64 << 10, 1 << 20 };

/* --- allocation alone ------------------------------------------------------- */

struct allocator {
	const char *name;
	struct zcp_pool *pool; /* NULL: malloc(3) */
};

static void *get(const struct allocator *a, size_t len)
{
	void *buf = NULL;

	if (a->pool)
		zcp_pool_alloc(a->pool, len, &buf);
	else
		buf = malloc(len);
	if (!buf)
		die("%s: no memory", a->name);
	return buf;
}

static void put(const struct allocator *a, void *buf)
{
	if (a->pool)
		zcp_pool_free(a->pool, buf);
	else
		free(buf);
}

/* What makes memory really there: a byte of each page is written. */
static void touch(volatile char *buf, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE)
		buf[i] = 1;
}

/* Nanoseconds of one message, when so many are had at a time. */
static double alloc_time(const struct allocator *a, size_t len, unsigned int burst)
{
	static void *buf[BURST_MAX];
	uint64_t start = now_ns(), done = 0, ns;

	do {
		/* Not by one: a look at the clock may be dearer than all of it. */
		for (unsigned int n = 0; n < (burst == 1 ? BURST_MAX : 1); n++) {
			for (unsigned int i = 0; i < burst; i++) {
				buf[i] = get(a, len);
				touch(buf[i], len);
			}
			for (unsigned int i = 0; i < burst; i++)
				put(a, buf[i]);
			done += burst;
		}
		ns = now_ns() - start;
	} while (ns < (opt.smoke ? 1 : ALLOC_NS));
	return (double)ns / done;
}

static void alloc_case(const char *kind, const char *size, size_t len, unsigned int burst)
{
	struct allocator a[2] = { { "malloc", NULL }, { "zcp-pool", NULL } };
	struct samples ns[2] = { 0 };
	char cas[32];
	int ret;

	ret = zcp_pool_open(&a[1].pool, NULL);
	if (ret)
		die_errno(ret, "zcp_pool_open");
	snprintf(cas, sizeof(cas), "%s-%s", kind, size);
	for (int i = 0; i < 2; i++)
		alloc_time(&a[i], len, burst);
	for (int round = 0; round < opt.rounds; round++)
		for (int i = 0; i < 2; i++)
			samples_add(&ns[(i + round) % 2],
				    alloc_time(&a[(i + round) % 2], len, burst));
	for (int i = 0; i < 2; i++)
		result_add(SUITE, cas, a[i].name, "time", "ns", &ns[i]);
	if (!opt.smoke && !strcmp(kind, "burst"))
		result_target(SUITE, cas, "time of malloc and first touch / zcp-pool",
			      samples_median(&ns[0]) / samples_median(&ns[1]),
			      ">=", len >= PAGE ? 3 : 1);
	ret = zcp_pool_close(a[1].pool);
	if (ret)
		die_errno(ret, "zcp_pool_close");
}

/* --- ways to send ------------------------------------------------------------- */

struct sender {
	int sock;
	void *buf;
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	struct zcp_msg_link *link;
	struct jobs jobs;
	uint32_t link_id;
	unsigned int unread; /* in smoke, where the receiver confirms each message */
};

static const char *no_jobs(void)
{
	return method_zcp_job.missing();
}

static struct sender *sender_new(struct peer *peer, size_t len, uint64_t count)
{
	struct peer_hello hello = { .mode = PEER_READ, .unit = len * count };
	struct sender *s = allocate(sizeof(*s));

	if (opt.smoke) {
		hello.unit = len;
		hello.step = len;
	}
	s->sock = peer_connect(peer, &hello);
	return s;
}

/* Waits until all that was sent has been read. */
static void confirmed(struct sender *s)
{
	peer_wait(s->sock, opt.smoke ? s->unread : 1);
	s->unread = 0;
}

/*
 * A message is on its way, from memory that is used again when it is acknowledged: in smoke
 * it also has to be read before, as message_producer.c says.
 */
static void sent(struct sender *s, size_t len)
{
	s->unread++;
	if (opt.smoke && (len > PAGE || s->unread == SMOKE_GATHER))
		confirmed(s);
}

static void *open_plain(struct peer *peer, size_t len, uint64_t count)
{
	struct sender *s = sender_new(peer, len, count);

	s->buf = allocate_pages(len);
	return s;
}

static void send_allocated(void *state, const void *data, size_t len)
{
	struct sender *s = state;
	void *buf = malloc(len);

	if (!buf)
		die("no memory");
	memcpy(buf, data, len);
	send_all(s->sock, buf, len, 0);
	free(buf);
	s->unread++;
}

static void send_reused(void *state, const void *data, size_t len)
{
	struct sender *s = state;

	memcpy(s->buf, data, len);
	send_all(s->sock, s->buf, len, 0);
	s->unread++;
}

static void finish_plain(void *state)
{
	confirmed(state);
}

static void close_plain(void *state)
{
	struct sender *s = state;

	close(s->sock);
	free(s->buf);
	free(s);
}

static struct sender *open_pool(struct peer *peer, size_t len, uint64_t count, uint64_t threshold,
				uint32_t linger_us)
{
	struct zcp_msg_opts opts = {
		.size = sizeof(opts),
		.threshold = threshold,
		.flags = ZCP_MSG_LOCAL,
		.linger_us = linger_us,
	};
	struct sender *s = sender_new(peer, len, count);
	int ret;

	ret = zcp_pool_open(&s->pool, NULL);
	if (!ret)
		ret = zcp_msg_open(&s->msg, s->pool, &opts);
	if (!ret)
		ret = zcp_msg_link_add(s->msg, s->sock, &s->link);
	if (ret)
		die_errno(ret, "messages");
	return s;
}

static void *open_copying(struct peer *peer, size_t len, uint64_t count)
{
	return open_pool(peer, len, count, ZCP_MSG_NEVER, 0);
}

static void *open_zerocopy(struct peer *peer, size_t len, uint64_t count)
{
	return open_pool(peer, len, count, PAGE, 0);
}

static void *open_auto(struct peer *peer, size_t len, uint64_t count)
{
	return open_pool(peer, len, count, 0, 0);
}

/* Like libzmq's, messages wait for others, and a thread sends them. */
static void *open_linger(struct peer *peer, size_t len, uint64_t count)
{
	return open_pool(peer, len, count, 0, LINGER_US);
}

static void send_pool(void *state, const void *data, size_t len)
{
	struct sender *s = state;
	void *buf;
	int ret;

	while ((ret = zcp_pool_alloc(s->pool, len, &buf)) == -EAGAIN)
		zcp_msg_reap(s->msg, -1);
	if (!ret) {
		memcpy(buf, data, len);
		ret = zcp_send_msg(s->link, buf, len, 0);
	}
	if (ret)
		die_errno(ret, "zcp_send_msg");
	sent(s, len);
}

static void finish_pool(void *state)
{
	struct sender *s = state;
	int ret;

	ret = zcp_msg_wait(s->link, -1);
	if (ret)
		die_errno(ret, "zcp_msg_wait");
	confirmed(s);
}

static void close_pool(void *state)
{
	struct sender *s = state;

	zcp_msg_close(s->msg);
	if (zcp_pool_close(s->pool))
		die("zcp_pool_close: buffers are missing");
	close(s->sock);
	free(s);
}

/* A file in memory for each message, which is gone when its job is. */
static void *open_no_pool(struct peer *peer, size_t len, uint64_t count)
{
	struct sender *s = sender_new(peer, len, count);

	jobs_open(&s->jobs);
	s->link_id = jobs_link(&s->jobs, s->sock);
	return s;
}

static void send_no_pool(void *state, const void *data, size_t len)
{
	struct sender *s = state;
	struct zcp_segment segment;
	struct zcp_job job;
	int fd = memfd_create("zcp-bench-message", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		die_errno(errno, "memfd");
	zcp_segment_file(&segment, fd, 0, len);
	jobs_prepare(&job, s->link_id, &segment, 1, 0);
	jobs_submit(&s->jobs, &job, 1);
	close(fd);
	jobs_wait(&s->jobs, 64, NULL, NULL);
	s->unread++;
}

static void finish_no_pool(void *state)
{
	struct sender *s = state;

	jobs_wait(&s->jobs, 0, NULL, NULL);
	confirmed(s);
}

static void close_no_pool(void *state)
{
	struct sender *s = state;

	jobs_close(&s->jobs);
	close(s->sock);
	free(s);
}

static const struct messenger malloc_copy = { "malloc-copy",  never_missing, open_plain,
					      send_allocated, finish_plain,  close_plain };
static const struct messenger reused = { "reused-buffer", never_missing, open_plain,
					 send_reused,	  finish_plain,	 close_plain };
static const struct messenger pool = { "pool",	  no_jobs,     open_copying,
				       send_pool, finish_pool, close_pool };
static const struct messenger pool_zerocopy = { "pool-zerocopy", no_jobs,     open_zerocopy,
						send_pool,	 finish_pool, close_pool };
static const struct messenger zerocopy = { "zerocopy",	 no_jobs,	 open_no_pool,
					   send_no_pool, finish_no_pool, close_no_pool };
static const struct messenger automatic = { "zcp-auto", no_jobs,     open_auto,
					    send_pool,	finish_pool, close_pool };

static const struct messenger lingering = { "zcp-linger", no_jobs,     open_linger,
					    send_pool,	  finish_pool, close_pool };

static const struct messenger *const messengers[] = {
	&malloc_copy,
	&reused,
	&pool,
	&pool_zerocopy,
	&zerocopy,
	&automatic,
	&lingering,
	&messenger_zmq_copy,
	&messenger_zmq_zerocopy,
};

#define WAYS ARRAY_SIZE(messengers)

bool study_c_has(const char *name)
{
	for (size_t i = 0; i < WAYS; i++)
		if (!strcmp(messengers[i]->name, name))
			return true;
	return false;
}

/* What is missing fails; what the user has chosen does not. */
static bool usable(const struct messenger *m)
{
	bool local = m == &messenger_zmq_copy || m == &messenger_zmq_zerocopy;
	const char *why;

	if (opt.methods && !list_has(opt.methods, m->name))
		return false;
	if (local && opt.remote) {
		say("%s is left out by --peer: its receiver is on this machine", m->name);
		return false;
	}
	why = m->missing();
	if (why)
		result_left_out(m->name, why);
	return !why;
}

/* One way to send messages of one length, and what it took. */
struct sending {
	const struct messenger *m;
	struct peer *peer;
	const void *data;
	size_t len;
	uint64_t count; /* messages of a sample */
	void *state;	/* of a connection for so many; NULL: this way is left out */
	struct samples ms;
};

/* Milliseconds. In smoke each message has other bytes, which are compared. */
static double send_time(const struct sending *s)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; i < s->count; i++)
		s->m->send(s->state, (const char *)s->data + (opt.smoke ? i * s->len : 0), s->len);
	s->m->finish(s->state);
	return (now_ns() - start) / 1e6;
}

static void sending_open(struct sending *s, uint64_t count)
{
	s->count = count;
	s->state = s->m->open(s->peer, s->len, count);
}

/* The second time a connection is as fast as it gets. */
static double try_count(uint64_t count, void *arg)
{
	struct sending *s = arg;
	double first, second;

	sending_open(s, count);
	first = send_time(s);
	second = send_time(s);
	s->m->close(s->state);
	return (first < second ? first : second) / 1e3;
}

/* A sample. One that is too short, though it was learned, is taken again, of more. */
static void sample(struct sending *s)
{
	double took;

	for (;;) {
		took = send_time(s);
		if (opt.smoke || took >= SHORTEST_MS)
			break;
		s->m->close(s->state);
		sending_open(s, 2 * s->count);
		send_time(s);
	}
	samples_add(&s->ms, took * MESSAGES / s->count);
}

static void send_case(struct peer *peer, const bool *use, const char *size, size_t len)
{
	size_t data_len = opt.smoke ? len * MESSAGES_SMOKE : len;
	struct sending sending[WAYS] = { 0 };
	void *data = allocate_pages(data_len);
	uint64_t count = MESSAGES_SMOKE;
	int order[WAYS];
	char cas[32];

	snprintf(cas, sizeof(cas), "send-%s", size);
	file_fill(data, 0, data_len);
	peer_compare(peer, opt.smoke ? data_len : 0);
	for (size_t i = 0; i < WAYS; i++) {
		struct sending *s = &sending[i];

		if (!use[i])
			continue;
		*s = (struct sending){ .m = messengers[i], .peer = peer, .data = data, .len = len };
		if (!opt.smoke)
			count = rounds_count(SEND_SECONDS, 1, try_count, s);
		sending_open(s, count);
		send_time(s);
	}
	for (int round = 0; round < opt.rounds; round++) {
		rounds_order(order, WAYS, round);
		for (size_t i = 0; i < WAYS; i++)
			if (sending[order[i]].state)
				sample(&sending[order[i]]);
	}
	for (size_t i = 0; i < WAYS; i++) {
		if (!sending[i].state)
			continue;
		messengers[i]->close(sending[i].state);
		result_add(SUITE, cas, messengers[i]->name, "time_10000", "ms", &sending[i].ms);
	}
	free(data);
	if (opt.smoke)
		result_check(SUITE, cas, true, "every byte of every message arrives");
}

static void size_name(char *buf, size_t size, size_t len)
{
	if (len < 1 << 10)
		snprintf(buf, size, "%zuB", len);
	else if (len < 1 << 20)
		snprintf(buf, size, "%zuKiB", len >> 10);
	else
		snprintf(buf, size, "%zuMiB", len >> 20);
}

static void run(void)
{
	struct peer *peer;
	bool use[WAYS];
	char name[24];

	for (size_t i = 0; i < WAYS; i++)
		use[i] = usable(messengers[i]);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int burst = BURST_BYTES / sizes[i];

		size_name(name, sizeof(name), sizes[i]);
		alloc_case("one", name, sizes[i], 1);
		alloc_case("burst", name, sizes[i], burst < BURST_MAX ? burst : BURST_MAX);
	}
	peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_name(name, sizeof(name), sizes[i]);
		say("  %s", name);
		send_case(peer, use, name, sizes[i]);
	}
	peer_stop(peer);
}

const struct suite suite_study_c = {
	"study-c",
	"messages: allocation alone, and sent, by pool and not",
	run,
};
