// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process that receives: two threads that share the connections, each with
 * an epoll of its own, and one for each connection that asks for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "receiver.h"

#define WORKERS 2
#define BATCH 64
/* At most this much of one connection before the others have their turn. */
#define TURN_BYTES (4 << 20)
#define READ_BYTES (1 << 20)
/* Of one that is to have short turns. */
#define SHORT_TURN_BYTES (64 << 10)
/* A connection with a thread: what it waits for in recv(), within a unit. */
#define ALONE_BYTES (64 << 20)
#define ALONE_MAX 64
/*
 * A stored stream whose unit is longer starts over in its file here: there is one for
 * each method, all at a time, in memory beside the file that is sent.
 */
#define STORE_BYTES (256ULL << 20)
#define ANSWERS 4096

struct worker {
	int epoll;
	char *buf;	/* address space, used as far as bytes are wanted */
	char *expected; /* READ_BYTES */
	pthread_t thread;
};

struct conn {
	int fd;
	struct worker *worker;
	struct peer_hello hello;
	size_t hello_got;
	uint64_t got;
	int lowat;
	uint64_t owed; /* answers that were not sent yet */
	int store;
	bool wrong;   /* PEER_CHECK saw it */
	bool ended;   /* by the sender */
	bool alone;   /* has a thread */
	bool local;   /* the control connection of this process */
	bool polling; /* for room to answer */
	struct conn *next;
};

static struct worker workers[WORKERS];
static int listener;
static pthread_mutex_t stalled_lock = PTHREAD_MUTEX_INITIALIZER;
static struct conn *stalled;
static int nr_alone;

static char *buffer(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		die_errno(errno, "receiver: memory");
	return p;
}

static void conn_poll(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(c->worker->epoll, op, c->fd, &ev))
		die_errno(errno, "receiver: epoll");
}

static void conn_new(int fd, bool control)
{
	static unsigned int turn;
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		die("receiver: no memory");
	c->fd = fd;
	c->store = -1;
	c->lowat = 1;
	if (control) {
		c->local = true;
		c->hello.mode = PEER_CONTROL;
		c->hello_got = sizeof(c->hello);
	}
	c->worker = &workers[turn++ % WORKERS];
	conn_poll(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void conn_free(struct conn *c)
{
	if (c->local)
		_exit(0);
	close(c->fd);
	if (c->store >= 0)
		close(c->store);
	free(c);
}

/* Sends what is owed; false when the connection is no more. */
static bool conn_answer(struct conn *c)
{
	char answers[ANSWERS];
	ssize_t n;

	memset(answers, c->wrong ? 'n' : 'y', sizeof(answers));
	while (c->owed) {
		n = send(c->fd, answers, c->owed < ANSWERS ? c->owed : ANSWERS,
			 (c->alone ? 0 : MSG_DONTWAIT) | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!c->polling)
				conn_poll(c, EPOLL_CTL_MOD, EPOLLOUT | (c->ended ? 0 : EPOLLIN));
			c->polling = true;
			return true;
		}
		if (n < 0)
			return false;
		c->owed -= n;
	}
	if (c->polling && !c->ended)
		conn_poll(c, EPOLL_CTL_MOD, EPOLLIN);
	c->polling = false;
	return !c->ended;
}

static void resume_all(void)
{
	struct conn *c, *next;

	pthread_mutex_lock(&stalled_lock);
	c = stalled;
	stalled = NULL;
	pthread_mutex_unlock(&stalled_lock);
	for (; c; c = next) {
		next = c->next;
		c->hello.mode = PEER_DISCARD;
		conn_poll(c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static bool control(struct conn *c)
{
	char command;
	double cpu;
	ssize_t n;

	n = recv(c->fd, &command, 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	switch (command) {
	case CONTROL_RESUME:
		resume_all();
		return send(c->fd, &command, 1, MSG_NOSIGNAL) == 1;
	case CONTROL_CPU:
		cpu = machine_cpu();
		return send(c->fd, &cpu, sizeof(cpu), MSG_NOSIGNAL) == sizeof(cpu);
	default:
		return false;
	}
}

static int store_open(void)
{
	int fd = open(opt.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		die_errno(errno, "receiver: a file in %s", opt.dir);
	return fd;
}

/* Compares @len bytes of the stream that came to c->worker->buf. */
static void check(struct conn *c, size_t len)
{
	const struct peer_hello *h = &c->hello;
	char *expected = c->worker->expected;
	const char *buf = c->worker->buf;
	uint64_t unit, at;
	size_t n;

	for (size_t done = 0; done < len && !c->wrong; done += n) {
		unit = h->unit ? (c->got + done) / h->unit : 0;
		at = h->unit ? (c->got + done) % h->unit : c->got + done;
		n = len - done;
		if (h->unit && n > h->unit - at)
			n = h->unit - at;
		if (at < h->header) {
			if (n > h->header - at)
				n = h->header - at;
			memset(expected, 'H', n);
		} else {
			file_fill(expected, h->offset + unit * h->step + at - h->header, n);
		}
		if (memcmp(buf + done, expected, n)) {
			say("receiver: unit %llu has a wrong byte at or after %llu",
			    (unsigned long long)unit, (unsigned long long)at);
			c->wrong = true;
		}
	}
}

static void store(struct conn *c, size_t len)
{
	uint64_t wrap = c->hello.unit && c->hello.unit < STORE_BYTES ? c->hello.unit : STORE_BYTES;
	uint64_t at;
	ssize_t n;

	for (size_t done = 0; done < len; done += n) {
		at = (c->got + done) % wrap;
		n = len - done;
		if ((uint64_t)n > wrap - at)
			n = wrap - at;
		n = pwrite(c->store, c->worker->buf + done, n, at);
		if (n <= 0)
			die_errno(n ? errno : EIO, "receiver: storing");
	}
}

/*
 * How much to wait for in recv(), with @left bytes of the unit to come: not
 * woken for each packet, nor for bytes that come only with the next unit.
 */
static size_t alone_room(struct conn *c, uint64_t left, bool discard)
{
	uint64_t room = discard ? ALONE_BYTES : READ_BYTES;
	int lowat = 1;

	if (discard && left / 2 >= c->hello.lowat) {
		lowat = c->hello.lowat;
		left -= lowat;
	}
	if (lowat != c->lowat && setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)))
		die_errno(errno, "receiver: SO_RCVLOWAT");
	c->lowat = lowat;
	return left < room ? left : room;
}

static bool receive(struct conn *c)
{
	bool discard = c->hello.mode == PEER_DISCARD;
	size_t room = discard ? TURN_BYTES : READ_BYTES;
	int flags = discard ? MSG_TRUNC : 0;
	uint64_t before;
	ssize_t n;

	if (c->hello.flags & PEER_TURNS)
		room = SHORT_TURN_BYTES;
	if (c->alone) {
		room = alone_room(c, c->hello.unit - c->got % c->hello.unit, discard);
		flags |= MSG_WAITALL;
	} else {
		flags |= MSG_DONTWAIT;
	}
	n = recv(c->fd, c->worker->buf, room, flags);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!n) {
		c->ended = true;
		if (!c->hello.unit)
			c->owed++;
		if (c->polling)
			conn_poll(c, EPOLL_CTL_MOD, EPOLLOUT);
		return conn_answer(c) || c->polling;
	}
	if (c->hello.mode == PEER_CHECK)
		check(c, n);
	else if (c->hello.mode == PEER_STORE)
		store(c, n);
	before = c->got;
	c->got += n;
	if (c->hello.unit)
		c->owed += c->got / c->hello.unit - before / c->hello.unit;
	return !c->owed || conn_answer(c);
}

static void *work_alone(void *arg)
{
	struct conn *c = arg;
	struct worker *w = c->worker;

	while (receive(c))
		;
	conn_free(c);
	munmap(w->buf, ALONE_BYTES);
	free(w);
	__atomic_fetch_sub(&nr_alone, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Gives a connection a thread of its own, which stays in recv(). */
static void alone(struct conn *c)
{
	struct worker *w = calloc(1, sizeof(*w));
	int error;

	if (!w)
		die("receiver: no memory");
	w->buf = buffer(ALONE_BYTES);
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->worker = w;
	c->alone = true;
	__atomic_fetch_add(&nr_alone, 1, __ATOMIC_RELAXED);
	error = pthread_create(&w->thread, NULL, work_alone, c);
	if (error)
		die_errno(error, "receiver: thread");
	pthread_detach(w->thread);
}

/* Has the first thread read from a connection. */
static void together(struct conn *c)
{
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->worker = &workers[0];
	conn_poll(c, EPOLL_CTL_ADD, EPOLLIN);
}

/* After its answer to the hello it is not read from. */
static void stall(struct conn *c)
{
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	pthread_mutex_lock(&stalled_lock);
	c->next = stalled;
	stalled = c;
	pthread_mutex_unlock(&stalled_lock);
}

static bool is_hello(const struct peer_hello *h)
{
	if (h->magic != PEER_MAGIC || (h->unit && h->header > h->unit))
		return false;
	if (h->flags & PEER_ALONE && (h->mode > PEER_STORE || !h->unit || !h->lowat))
		return false;
	if (h->lowat > MAX_LOWAT)
		return false;
	return h->mode <= PEER_STALL || h->mode == PEER_CONTROL;
}

/* Takes part of the hello; false when it is none. */
static bool hello(struct conn *c)
{
	ssize_t n;

	n = recv(c->fd, (char *)&c->hello + c->hello_got, sizeof(c->hello) - c->hello_got,
		 MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->hello_got += n;
	if (!n)
		return false;
	if (c->hello_got < sizeof(c->hello))
		return true;
	if (!is_hello(&c->hello))
		return false;
	if (c->hello.mode == PEER_STORE)
		c->store = store_open();
	c->owed = 1;
	if (!conn_answer(c))
		return false;
	if (c->hello.mode == PEER_STALL)
		stall(c);
	else if (c->hello.flags & PEER_ALONE &&
		 __atomic_load_n(&nr_alone, __ATOMIC_RELAXED) < ALONE_MAX)
		alone(c);
	else if (c->hello.flags & PEER_TOGETHER && c->worker != &workers[0] && !c->polling)
		together(c);
	return true;
}

static void accept_all(void)
{
	int on = 1;
	int fd;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0)
			die_errno(errno, "receiver: accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		conn_new(fd, false);
	}
}

static void serve_conn(struct conn *c, uint32_t events)
{
	bool good = true;

	if (events & EPOLLOUT)
		good = conn_answer(c) || (c->ended && c->owed && c->polling);
	if (good && !c->ended && events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		if (c->hello_got < sizeof(c->hello))
			good = hello(c);
		else if (c->hello.mode == PEER_CONTROL)
			good = control(c);
		else
			good = receive(c);
	} else if (events & EPOLLERR) {
		good = false;
	}
	if (!good)
		conn_free(c);
}

static void *work(void *arg)
{
	struct epoll_event events[BATCH];
	struct worker *w = arg;
	int n;

	for (;;) {
		n = epoll_wait(w->epoll, events, BATCH, -1);
		if (n < 0 && errno != EINTR)
			die_errno(errno, "receiver: epoll");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve_conn(events[i].data.ptr, events[i].events);
			else
				accept_all();
		}
	}
	return NULL;
}

void receiver_run(int listen_fd, int control_fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int error;

	listener = listen_fd;
	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		w->buf = buffer(TURN_BYTES);
		w->expected = buffer(READ_BYTES);
		w->epoll = epoll_create1(EPOLL_CLOEXEC);
		if (w->epoll < 0)
			die_errno(errno, "receiver: epoll");
	}
	if (control_fd >= 0)
		conn_new(control_fd, true);
	if (epoll_ctl(workers[0].epoll, EPOLL_CTL_ADD, listener, &ev))
		die_errno(errno, "receiver: epoll");
	for (int i = 1; i < WORKERS; i++) {
		error = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
		if (error)
			die_errno(error, "receiver: thread");
	}
	work(&workers[0]);
	_exit(1);
}
