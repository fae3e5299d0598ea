// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messengers where there is no room: for jobs, in sockets and in pools. What waits goes
 * on when there is some, and what must not wait does not.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>

#include "mock.h"
#include "msg_test.h"

#define SOCKET_BYTES (16 << 10)
#define MIB (1 << 20)
#define REF (32 << 10) /* goes by reference */
#define SMALL 8192     /* is acknowledged before somebody reads it */
#define COPIED 60000   /* more than a connection has room for, less than is copied together */
#define LONG_MS 20000  /* does not pass when all is well */
#define THREADS 3
#define EVENTS 50

/* A messenger, and connections whose second end nobody reads yet. */
struct room {
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	struct zcp_msg_link *link[2];
	int tx[2], rx[2];
};

/* A message that a thread sends. */
struct sending {
	struct room *room;
	int link, ret;
	char *buf;
	size_t len;
	bool over; /* atomic */
	pthread_t thread;
};

static void room_for(long jobs)
{
	__atomic_store_n(&mock_max_jobs, jobs, __ATOMIC_RELAXED);
}

static void open_room(struct room *r, const struct zcp_pool_opts *pool_opts,
		      struct zcp_msg_opts opts)
{
	struct timeval tv = { .tv_sec = LONG_MS / 1000 };

	opts.size = sizeof(opts);
	opts.flags |= ZCP_MSG_LOCAL;
	if (!opts.threshold)
		opts.threshold = 16 << 10;
	need(!zcp_pool_open(&r->pool, pool_opts), "zcp_pool_open");
	need(!zcp_msg_open(&r->msg, r->pool, &opts), "zcp_msg_open");
	for (int i = 0; i < 2; i++) {
		connect_sized(&r->tx[i], &r->rx[i], SOCKET_BYTES);
		setsockopt(r->rx[i], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		r->link[i] = NULL;
	}
}

static void add_links(struct room *r)
{
	for (int i = 0; i < 2; i++)
		need(!zcp_msg_link_add(r->msg, r->tx[i], &r->link[i]), "zcp_msg_link_add");
}

/* A peer goes, and what was on its way to it ends. */
static void hang_up(struct room *r, int i)
{
	if (r->rx[i] >= 0)
		close(r->rx[i]);
	r->rx[i] = -1;
}

static void close_room(struct room *r)
{
	room_for(LONG_MAX);
	for (int i = 0; i < 2; i++)
		hang_up(r, i);
	zcp_msg_close(r->msg);
	ok(!zcp_pool_close(r->pool), "every buffer came back");
	for (int i = 0; i < 2; i++)
		close(r->tx[i]);
}

static void *filled(struct room *r, size_t len, char value)
{
	void *buf;

	need(!zcp_pool_alloc(r->pool, len, &buf), "zcp_pool_alloc");
	memset(buf, value, len);
	return buf;
}

/* A buffer as a message; it is nobody's afterwards. */
static int send_filled(struct room *r, int i, size_t len, char value, uint32_t flags)
{
	void *buf = filled(r, len, value);
	int ret = zcp_send_msg(r->link[i], buf, len, flags);

	if (ret)
		zcp_pool_free(r->pool, buf);
	return ret;
}

/* So many bytes come, of one value. */
static bool comes(struct room *r, int i, size_t len, char value)
{
	char *buf = malloc(len);
	bool good;

	need(!!buf, "malloc");
	good = get(r->rx[i], buf, len);
	for (size_t k = 0; k < len && good; k++)
		good = buf[k] == value;
	free(buf);
	return good;
}

static void *sending(void *arg)
{
	struct sending *s = arg;

	s->ret = zcp_send_msg(s->room->link[s->link], s->buf, s->len, 0);
	/* A buffer, or else this does nothing. */
	if (s->ret)
		zcp_pool_free(s->room->pool, s->buf);
	__atomic_store_n(&s->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start_sending(struct sending *s, struct room *r, int i, size_t len, char value)
{
	*s = (struct sending){ .room = r, .link = i, .len = len, .buf = filled(r, len, value) };
	need(!pthread_create(&s->thread, NULL, sending, s), "thread");
}

static uint64_t jobs_open(struct room *r)
{
	struct zcp_msg_stats stats = { .size = sizeof(stats) };

	need(!zcp_msg_get_stats(r->msg, &stats), "zcp_msg_get_stats");
	return stats.open;
}

/* Room for one job, which the first link has, and a thread that waits for room. */
static void start_waiting(struct sending *s, struct room *r)
{
	room_for(1);
	open_room(r, NULL, (struct zcp_msg_opts){ 0 });
	add_links(r);
	need(!send_filled(r, 0, MIB, 'a', 0), "zcp_send_msg");
	start_sending(s, r, 1, REF, 'b');
	for (int i = 0; i < LONG_MS && jobs_open(r) < 2; i++)
		usleep(1000);
}

/* --- nobody makes room ------------------------------------------------------ */

struct refused {
	struct room *room;
	uint32_t count;
	bool failed;
	pthread_t thread;
};

/* A buffer for a job, until one is not refused, or often enough. */
static void *refused(void *arg)
{
	struct refused *r = arg;
	int ret;

	for (uint32_t i = 0; i < r->count && !r->failed; i++) {
		ret = send_filled(r->room, i % 2, REF, 'a', 0);
		r->failed = ret != -EAGAIN;
	}
	return NULL;
}

struct idle {
	struct room *room;
	bool stop; /* atomic */
	int ret;
	pthread_t thread;
};

static void *idle(void *arg)
{
	struct idle *w = arg;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		w->ret |= zcp_msg_reap(w->room->msg, -1);
		w->ret |= zcp_msg_wait(w->room->link[0], -1);
	}
	return NULL;
}

/* Others have all the room: nobody waits for a job that is refused. */
static void test_no_room(uint32_t count)
{
	struct refused threads[THREADS];
	struct room r;
	struct idle w = { .room = &r };
	bool good = true;

	room_for(0);
	open_room(&r, NULL, (struct zcp_msg_opts){ 0 });
	add_links(&r);
	need(!pthread_create(&w.thread, NULL, idle, &w), "thread");
	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct refused){ .room = &r, .count = count };
		need(!pthread_create(&threads[i].thread, NULL, refused, &threads[i]), "thread");
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		good &= !threads[i].failed;
	}
	ok(good, "when others have all the room: EAGAIN, for each of several threads");
	__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
	pthread_join(w.thread, NULL);
	ok(!w.ret, "and who waits for the end of jobs does not wait for those");
	close_room(&r);
}

/* --- somebody does ---------------------------------------------------------- */

/* Lingering messages are refused until events are read, which no call does. */
static void test_linger(void)
{
	struct room r;

	room_for(1);
	open_room(&r, NULL, (struct zcp_msg_opts){ .linger_us = 1000 });
	add_links(&r);
	ok(!send_filled(&r, 0, REF, 'a', 0) && comes(&r, 0, REF, 'a') &&
		   !send_filled(&r, 0, REF, 'b', 0) && comes(&r, 0, REF, 'b'),
	   "a message that lingers leaves when the one before has arrived");
	close_room(&r);
}

/* Who waits for room reads events, of which there are none. */
static void test_reap_beside(void)
{
	struct timespec from;
	struct sending s;
	struct room r;
	int events;

	start_waiting(&s, &r);
	clock_gettime(CLOCK_MONOTONIC, &from);
	events = zcp_msg_reap(r.msg, 300);
	ok(!events && ms_since(&from) >= 250, "waiting for events ends by no other thread's read");
	hang_up(&r, 0);
	ok(comes(&r, 1, REF, 'b'), "who waits for room has it when a job of another link ends");
	pthread_join(s.thread, NULL);
	ok(!s.ret, "which is no error for this one");
	close_room(&r);
}

/* No event of the messenger tells of it. */
static void test_room_of_others(void)
{
	struct sending s;
	struct room r;

	start_waiting(&s, &r);
	room_for(2);
	for (int i = 0; i < LONG_MS && !__atomic_load_n(&s.over, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	ok(s.over, "who waits for room has it when others make some");
	hang_up(&r, 0);
	ok(comes(&r, 1, REF, 'b'), "and the message goes");
	pthread_join(s.thread, NULL);
	close_room(&r);
}

/* --- zcp_msg_wait() ------------------------------------------------------------ */

/* Until the socket takes nothing any more. */
static void fill(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLOUT };
	static char byte[1024];

	do {
		while (send(sock, byte, sizeof(byte), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			;
	} while (poll(&pfd, 1, 50) > 0 || send(sock, byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
}

static bool waits(struct room *r, int ms)
{
	struct timespec from;

	clock_gettime(CLOCK_MONOTONIC, &from);
	return zcp_msg_wait(r->link[0], ms) == -EAGAIN && ms_since(&from) >= ms - 5 &&
	       ms_since(&from) < LONG_MS;
}

static void test_wait_full(void)
{
	struct room r;

	open_room(&r, NULL, (struct zcp_msg_opts){ 0 });
	fill(r.tx[0]);
	add_links(&r);
	ok(!zcp_send_msg(r.link[0], "x", 1, ZCP_MSG_MORE) && waits(&r, 100),
	   "zcp_msg_wait() on a full socket: EAGAIN, in time");
	close_room(&r);
}

static void test_wait_kept(void)
{
	struct room r;

	room_for(0);
	open_room(&r, NULL, (struct zcp_msg_opts){ .threshold = SMALL });
	add_links(&r);
	ok(!send_filled(&r, 0, SMALL, 'a', ZCP_MSG_MORE) && waits(&r, 100) && !arrives(r.rx[0], 0),
	   "zcp_msg_wait() without room: EAGAIN, as something is kept");
	room_for(LONG_MAX);
	ok(!zcp_msg_wait(r.link[0], -1) && comes(&r, 0, SMALL, 'a'), "and with room it goes");
	close_room(&r);
}

/* Another link has many events, which are read one by one. */
static void test_wait_busy(void)
{
	struct timespec from;
	void *bufs[EVENTS + 1];
	struct room r;
	bool good;
	long ms;

	open_room(&r, NULL, (struct zcp_msg_opts){ .threshold = 4096 });
	add_links(&r);
	/* Whoever asks for a buffer reads events. */
	for (int i = 0; i <= EVENTS; i++)
		bufs[i] = filled(&r, i < EVENTS ? 4096 : MIB, 'b');
	for (int i = 0; i < EVENTS; i++)
		need(!zcp_send_msg(r.link[1], bufs[i], 4096, 0) && comes(&r, 1, 4096, 'b'),
		     "zcp_send_msg");
	need(!zcp_send_msg(r.link[0], bufs[EVENTS], MIB, 0), "zcp_send_msg");
	need(arrives(r.rx[0], LONG_MS), "the first bytes");
	__atomic_store_n(&mock_read_ms, 40, __ATOMIC_RELAXED);
	clock_gettime(CLOCK_MONOTONIC, &from);
	good = zcp_msg_wait(r.link[0], 100) == -EAGAIN;
	ms = ms_since(&from);
	__atomic_store_n(&mock_read_ms, 0, __ATOMIC_RELAXED);
	ok(good && ms >= 95 && ms < 1000,
	   "zcp_msg_wait() keeps its time while jobs of another link end");
	close_room(&r);
}

/* --- what has begun ------------------------------------------------------------ */

static void *drain(void *arg)
{
	size_t *seen = arg, fd = seen[0];
	char buf[4096];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		for (ssize_t i = 0; i < n; i++)
			seen[1] += buf[i] == 'b';
	return NULL;
}

/* A message that waits for the window, behind one that somebody cancels. */
static void test_torn(void)
{
	struct zcp_cancel cancel = { .size = sizeof(cancel), .flags = ZCP_CANCEL_LINK, .link = 1 };
	struct sending s;
	pthread_t thread;
	size_t seen[2];
	struct room r;

	open_room(&r, NULL, (struct zcp_msg_opts){ .window = 64 << 10 });
	add_links(&r);
	need(!send_filled(&r, 0, MIB, 'a', 0), "zcp_send_msg");
	need(arrives(r.rx[0], LONG_MS), "the first bytes");
	start_sending(&s, &r, 0, REF, 'b');
	usleep(50000);
	need(!ioctl(zcp_msg_fd(r.msg), ZCP_IOC_CANCEL, &cancel) && cancel.cancelled == 1,
	     "ZCP_IOC_CANCEL");
	seen[0] = r.rx[0];
	seen[1] = 0;
	need(!pthread_create(&thread, NULL, drain, seen), "thread");
	pthread_join(s.thread, NULL);
	ok(s.ret == -ECANCELED && zcp_send_msg(r.link[0], "b", 1, 0) == -ECANCELED,
	   "behind half a message nothing goes");
	zcp_msg_link_remove(r.link[0]);
	shutdown(r.tx[0], SHUT_WR);
	pthread_join(thread, NULL);
	ok(!seen[1], "and nothing has gone");
	close_room(&r);
}

static bool has_events(struct room *r)
{
	struct pollfd pfd = { .fd = zcp_msg_fd(r->msg), .events = POLLIN };

	return poll(&pfd, 1, LONG_MS) == 1;
}

/* The same, but its event has not been read: the message is taken, and cancelled. */
static void test_torn_unread(void)
{
	struct zcp_cancel cancel = { .size = sizeof(cancel), .flags = ZCP_CANCEL_LINK, .link = 1 };
	struct zcp_msg_stats stats = { .size = sizeof(stats) };
	void *bufs[2];
	pthread_t thread;
	size_t seen[2];
	struct room r;

	open_room(&r, NULL, (struct zcp_msg_opts){ 0 });
	add_links(&r);
	/* Whoever asks for a buffer reads events. */
	bufs[0] = filled(&r, REF, 'b');
	bufs[1] = filled(&r, 1, 'b');
	need(!send_filled(&r, 0, MIB, 'a', 0), "zcp_send_msg");
	need(arrives(r.rx[0], LONG_MS), "the first bytes");
	need(!ioctl(zcp_msg_fd(r.msg), ZCP_IOC_CANCEL, &cancel) && cancel.cancelled == 1,
	     "ZCP_IOC_CANCEL");
	seen[0] = r.rx[0];
	seen[1] = 0;
	need(!pthread_create(&thread, NULL, drain, seen), "thread");
	need(has_events(&r), "the event");
	ok(!zcp_send_msg(r.link[0], bufs[0], REF, 0) && !zcp_send_msg(r.link[0], bufs[1], 1, 0),
	   "behind half a message that nobody knows of messages are taken");
	ok(zcp_msg_wait(r.link[0], LONG_MS) == -ECANCELED &&
		   zcp_send_msg(r.link[0], "b", 1, 0) == -ECANCELED,
	   "and are lost: ECANCELED");
	need(!zcp_msg_get_stats(r.msg, &stats), "zcp_msg_get_stats");
	ok(stats.failed == 3 && !stats.open, "each of their jobs has failed");
	zcp_msg_link_remove(r.link[0]);
	shutdown(r.tx[0], SHUT_WR);
	pthread_join(thread, NULL);
	ok(!seen[1], "and nothing has gone");
	close_room(&r);
}

/* A sender is told that the connection has ended, after the first job that failed was. */
static void test_first_error(void)
{
	struct sending s;
	struct room r;
	int first;

	open_room(&r, NULL, (struct zcp_msg_opts){ 0 });
	add_links(&r);
	/* Whoever asks for a buffer reads events. */
	s = (struct sending){ .room = &r, .buf = filled(&r, REF, 'b'), .len = REF };
	need(!send_filled(&r, 0, MIB, 'a', 0), "zcp_send_msg");
	need(arrives(r.rx[0], LONG_MS), "the first bytes");
	hang_up(&r, 0);
	need(has_events(&r), "the event");
	__atomic_store_n(&mock_held, false, __ATOMIC_RELAXED);
	__atomic_store_n(&mock_hold, true, __ATOMIC_RELEASE);
	need(!pthread_create(&s.thread, NULL, sending, &s), "thread");
	for (int i = 0; i < LONG_MS && !__atomic_load_n(&mock_held, __ATOMIC_ACQUIRE); i++)
		usleep(1000);
	need(zcp_msg_reap(r.msg, 0) == 1, "zcp_msg_reap");
	first = zcp_msg_wait(r.link[0], 0);
	__atomic_store_n(&mock_hold, false, __ATOMIC_RELEASE);
	pthread_join(s.thread, NULL);
	ok((first == -ECONNRESET || first == -EPIPE) && s.ret == first &&
		   zcp_msg_wait(r.link[0], 0) == first && zcp_msg_flush(r.link[0]) == first,
	   "what a sender is told later does not replace the errno of the first job");
	close_room(&r);
}

static void not_waiting(int sock)
{
	need(!fcntl(sock, F_SETFL, O_NONBLOCK), "fcntl");
}

/* The socket takes a part of a message, and no job takes the rest: the call does not end. */
static void test_rest(void)
{
	static char copied[COPIED / 2];
	struct sending s;
	struct room r;

	room_for(0);
	open_room(&r, NULL, (struct zcp_msg_opts){ .threshold = ZCP_MSG_NEVER });
	not_waiting(r.tx[0]);
	add_links(&r);
	start_sending(&s, &r, 0, MIB, 'a');
	ok(comes(&r, 0, MIB, 'a'), "a call that waits sends all of its message");
	pthread_join(s.thread, NULL);
	ok(!s.ret, "and says so");
	memset(copied, 'b', sizeof(copied));
	need(!zcp_send_msg(r.link[0], copied, COPIED / 2, ZCP_MSG_MORE), "zcp_send_msg");
	s = (struct sending){ .room = &r, .buf = copied, .len = COPIED / 2 };
	need(!pthread_create(&s.thread, NULL, sending, &s), "thread");
	ok(comes(&r, 0, COPIED, 'b'), "and of those which were kept for it");
	pthread_join(s.thread, NULL);
	ok(!s.ret, "and says so");
	close_room(&r);
}

/* Reads what comes, and flushes, until nothing is kept. */
static bool flushes(struct room *r, size_t len, char value)
{
	struct timespec from;
	char buf[4096];
	size_t seen = 0;
	ssize_t n;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		while ((n = recv(r->rx[0], buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
			seen += n;
			for (ssize_t i = 0; i < n; i++)
				if (buf[i] != value)
					return false;
		}
		ret = zcp_msg_flush(r->link[0]);
	} while (ret == -EAGAIN && ms_since(&from) < LONG_MS);
	return !ret && seen < len && comes(r, 0, len - seen, value);
}

/* What a call that does not wait has begun goes on, and nothing of it is left behind. */
static void test_begun(void)
{
	static char copied[COPIED];
	struct room r;

	memset(copied, 'a', sizeof(copied));
	room_for(0);
	open_room(&r, NULL, (struct zcp_msg_opts){ .flags = ZCP_MSG_NONBLOCK });
	add_links(&r);
	ok(!zcp_send_msg(r.link[0], copied, COPIED, ZCP_MSG_MORE) &&
		   zcp_msg_flush(r.link[0]) == -EAGAIN && arrives(r.rx[0], LONG_MS) &&
		   flushes(&r, COPIED, 'a'),
	   "messages that were kept, half sent, go on by send(2)");
	ok(send_filled(&r, 0, REF, 'b', 0) == -EAGAIN, "and one that cannot go is refused");
	memset(copied, 'c', sizeof(copied));
	ok(!zcp_send_msg(r.link[0], copied, COPIED, 0) && arrives(r.rx[0], LONG_MS) &&
		   send_filled(&r, 0, REF, 'b', 0) == -EAGAIN && flushes(&r, COPIED, 'c'),
	   "the rest of a message goes on by send(2), too");
	ok(send_filled(&r, 0, REF, 'b', 0) == -EAGAIN && !arrives(r.rx[0], 50),
	   "and one that cannot go is refused");
	close_room(&r);
}

/* --- no room in the pool ------------------------------------------------------- */

/* Memory that is not the pool's, which has no room for a copy. */
static void test_no_memory(void)
{
	struct zcp_pool_opts opts = { .size = sizeof(opts), .limit = 16 * MIB };
	void *bufs[256], *memory;
	struct timespec from;
	struct room r;
	int nr = 0;

	open_room(&r, &opts, (struct zcp_msg_opts){ 0 });
	add_links(&r);
	memory = calloc(8, MIB);
	need(!!memory, "calloc");
	for (size_t len = 4 * MIB; len >= 4096; len /= 4)
		while (nr < 256 && !zcp_pool_alloc(r.pool, len, &bufs[nr]))
			nr++;
	clock_gettime(CLOCK_MONOTONIC, &from);
	ok(zcp_send_msg(r.link[0], memory, MIB, ZCP_MSG_NONBLOCK) == -EAGAIN &&
		   zcp_send_msg(r.link[0], memory, 8 * MIB, ZCP_MSG_NONBLOCK) == -EAGAIN &&
		   ms_since(&from) < LONG_MS,
	   "no room for a copy: EAGAIN, at once");
	ok(!arrives(r.rx[0], 100), "and no byte has been sent");
	while (nr)
		zcp_pool_free(r.pool, bufs[--nr]);
	ok(!zcp_send_msg(r.link[0], memory, 8 * MIB, ZCP_MSG_NONBLOCK) &&
		   !zcp_send_msg(r.link[1], memory, MIB, ZCP_MSG_NONBLOCK),
	   "with room they are taken");
	free(memory);
	close_room(&r);
}

/* --- a kernel that takes fewer segments ---------------------------------------- */

static void test_segments(void)
{
	struct zcp_pool_opts opts = { .size = sizeof(opts), .max_bytes = 16 << 10 };
	const size_t most = 8 * (16 << 10);
	char *memory;
	struct room r;
	bool good = true;

	__atomic_store_n(&mock_max_segments, 8, __ATOMIC_RELAXED);
	open_room(&r, &opts, (struct zcp_msg_opts){ 0 });
	add_links(&r);
	memory = calloc(1, most + 1);
	need(!!memory, "calloc");
	ok(zcp_send_msg(r.link[0], memory, most + 1, 0) == -EMSGSIZE,
	   "longer than 8 segments: EMSGSIZE");
	for (int i = 0; i < 10; i++)
		good &= !send_filled(&r, 0, 5000, 'a', ZCP_MSG_MORE);
	ok(good && !zcp_msg_flush(r.link[0]) && comes(&r, 0, 50000, 'a'),
	   "messages of more segments than a job may have");
	ok(!zcp_send_msg(r.link[0], memory, most, ZCP_MSG_MORE) && !zcp_msg_flush(r.link[0]) &&
		   comes(&r, 0, most, 0),
	   "one of 8 segments");
	free(memory);
	close_room(&r);
	__atomic_store_n(&mock_max_segments, MAX_SEGMENTS, __ATOMIC_RELAXED);
}

/* So many buffers of messages that are kept leave together. */
static bool leave_together(long segments, int buffers)
{
	struct room r;
	bool good = true;

	__atomic_store_n(&mock_max_segments, segments, __ATOMIC_RELAXED);
	open_room(&r, NULL, (struct zcp_msg_opts){ 0 });
	add_links(&r);
	for (int i = 1; i <= buffers && good; i++)
		good = !send_filled(&r, 0, 5000, 'a', ZCP_MSG_MORE) &&
		       arrives(r.rx[0], i < buffers ? 20 : LONG_MS) == (i == buffers);
	good &= comes(&r, 0, 5000 * buffers, 'a');
	close_room(&r);
	__atomic_store_n(&mock_max_segments, MAX_SEGMENTS, __ATOMIC_RELAXED);
	return good;
}

void test_rooms(uint32_t count)
{
	test_no_room(count);
	test_linger();
	test_reap_beside();
	test_room_of_others();
	test_wait_full();
	test_wait_kept();
	test_wait_busy();
	test_torn();
	test_torn_unread();
	test_first_error();
	test_rest();
	test_begun();
	test_no_memory();
	test_segments();
	ok(leave_together(20, 4) && leave_together(16, 1) && leave_together(1, 1),
	   "what is kept leaves 16 buffers before a job has all its segments");
}
