// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process that receives: two threads that share the connections, each with
 * an epoll of its own, and one for each connection that asks for it.
 *
 * As `serve` it takes connections from anybody, and goes on whatever they do. A thread that
 * several share waits for none of them; who says no hello is closed, and so is one that asks
 * for more than there is, or for whom there is no memory, thread or room on the disk.
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
#include <sys/time.h>
#include <unistd.h>

#include "bench.h"
#include "receiver.h"
#include "receiver_conn.h"

#define WORKERS 2
#define BATCH 64
/* At most this much of one connection before the others have their turn. */
#define TURN_BYTES (4 << 20)
/* Of one that is to have short turns. */
#define SHORT_TURN_BYTES (64 << 10)
/* A connection with a thread: what it waits for in recv(), within a unit. */
#define ALONE_BYTES (64 << 20)
#define ALONE_MAX 128
/* How long it waits for room for its answers. */
#define ALONE_SEND_S 60
/* Answers to commands that nobody has read, about; with more the connection is closed. */
#define UNREAD_BYTES (16 << 10)
/* What a stalled connection takes in the kernel, about. */
#define STALL_BYTES (64 << 10)
#define ANSWERS 4096
#define CONNS_MAX (1 << 15)
/* In which the hello has to come. */
#define HELLO_NS 10000000000ULL
/* Nothing is accepted for so long when there is no descriptor or no memory for it. */
#define PAUSE_NS 100000000ULL

static struct worker workers[WORKERS];
static int listener;
/* When the first worker accepts again; 0: it does. */
static uint64_t accept_at;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Without a hello yet, the oldest first. */
static struct conns newcomers = TAILQ_HEAD_INITIALIZER(newcomers);
static struct conns controls = TAILQ_HEAD_INITIALIZER(controls);
/* Nobody looks at them. */
static struct conns stalled = TAILQ_HEAD_INITIALIZER(stalled);
static int nr_conns, nr_alone;

/* Address space; NULL when there is none. */
static char *buffer(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Puts a connection into this list and out of another; the lock is held. */
static void put(struct conn *c, struct conns *list)
{
	if (c->in)
		TAILQ_REMOVE(c->in, c, entry);
	c->in = list;
	if (list)
		TAILQ_INSERT_TAIL(list, c, entry);
}

static bool conn_poll(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (!epoll_ctl(c->worker->epoll, op, c->fd, &ev))
		return true;
	complain("epoll: %s", strerror(errno));
	return false;
}

/* Moves those that a client has stalled to another list; the lock is held. */
static void take_stalled(uint64_t client, struct conns *to)
{
	struct conn *c, *next;

	for (c = TAILQ_FIRST(&stalled); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->hello.client == client)
			put(c, to);
	}
}

static struct conn *take_first(struct conns *list)
{
	struct conn *c = TAILQ_FIRST(list);

	if (c)
		put(c, NULL);
	return c;
}

/* With a connection for commands ends what its client has stalled. */
static void conn_free(struct conn *c)
{
	struct conns left = TAILQ_HEAD_INITIALIZER(left);
	struct conn *other;

	if (c->local)
		_exit(0);
	pthread_mutex_lock(&lock);
	if (c->in == &controls)
		take_stalled(c->hello.client, &left);
	put(c, NULL);
	pthread_mutex_unlock(&lock);
	while ((other = take_first(&left)))
		conn_free(other);
	close(c->fd);
	store_close(c);
	__atomic_fetch_sub(&nr_conns, 1, __ATOMIC_RELAXED);
	free(c);
}

static void conn_new(int fd, bool local)
{
	static unsigned int turn;
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		complain("no memory");
		close(fd);
		return;
	}
	c->fd = fd;
	c->store = -1;
	c->lowat = 1;
	c->hello_due = now_ns() + HELLO_NS;
	if (local) {
		c->local = true;
		c->hello.mode = PEER_CONTROL;
		c->hello_got = sizeof(c->hello);
	}
	c->worker = &workers[turn++ % WORKERS];
	__atomic_fetch_add(&nr_conns, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&lock);
	put(c, local ? &controls : &newcomers);
	pthread_mutex_unlock(&lock);
	if (!conn_poll(c, EPOLL_CTL_ADD, EPOLLIN))
		conn_free(c);
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
		if (n < 0 && errno == EAGAIN && !c->alone) {
			if (!c->polling &&
			    !conn_poll(c, EPOLL_CTL_MOD, EPOLLOUT | (c->ended ? 0 : EPOLLIN)))
				return false;
			c->polling = true;
			return true;
		}
		if (n < 0)
			return false;
		c->owed -= n;
	}
	if (c->polling && !c->ended && !conn_poll(c, EPOLL_CTL_MOD, EPOLLIN))
		return false;
	c->polling = false;
	return !c->ended;
}

/* Those of others stay as they are. */
static void resume(uint64_t client)
{
	struct conns resumed = TAILQ_HEAD_INITIALIZER(resumed);
	struct conn *c;

	pthread_mutex_lock(&lock);
	take_stalled(client, &resumed);
	pthread_mutex_unlock(&lock);
	while ((c = take_first(&resumed))) {
		c->hello.mode = PEER_DISCARD;
		if (!conn_poll(c, EPOLL_CTL_ADD, EPOLLIN))
			conn_free(c);
	}
}

/* Who does not read his answers gets no more of them. */
static bool reply(struct conn *c, const void *answer, size_t len)
{
	return send(c->fd, answer, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
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
		resume(c->hello.client);
		return reply(c, &command, 1);
	case CONTROL_CPU:
		cpu = machine_cpu();
		return reply(c, &cpu, sizeof(cpu));
	default:
		return false;
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
		complain("SO_RCVLOWAT: %s", strerror(errno));
	c->lowat = lowat;
	return left < room ? left : room;
}

static bool receive(struct conn *c)
{
	bool discard = c->hello.mode == PEER_DISCARD && !is_compared(c);
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
		if (c->polling && !conn_poll(c, EPOLL_CTL_MOD, EPOLLOUT))
			return false;
		return conn_answer(c) || c->polling;
	}
	if (is_compared(c))
		compare(c, n);
	if (c->hello.mode == PEER_STORE && !store(c, n))
		return false;
	before = c->got;
	c->got += n;
	if (c->hello.unit)
		c->owed += c->got / c->hello.unit - before / c->hello.unit;
	return !c->owed || conn_answer(c);
}

static void worker_free(struct worker *w)
{
	if (w->buf)
		munmap(w->buf, ALONE_BYTES);
	if (w->expected)
		munmap(w->expected, READ_BYTES);
	free(w);
}

static void *work_alone(void *arg)
{
	struct conn *c = arg;
	struct worker *w = c->worker;

	if (conn_answer(c))
		while (receive(c))
			;
	conn_free(c);
	worker_free(w);
	__atomic_fetch_sub(&nr_alone, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* A thread that has all that it needs; false without one. */
static bool alone_start(struct conn *c)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct timeval patience = { .tv_sec = ALONE_SEND_S };

	if (!w)
		return false;
	w->buf = buffer(ALONE_BYTES);
	if (is_compared(c))
		w->expected = buffer(READ_BYTES);
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	c->worker = w;
	c->alone = true;
	if (!w->buf || (is_compared(c) && !w->expected) ||
	    pthread_create(&w->thread, NULL, work_alone, c)) {
		worker_free(w);
		return false;
	}
	pthread_detach(w->thread);
	return true;
}

/* Gives a connection a thread of its own, which answers the hello and stays in recv(). */
static bool alone(struct conn *c)
{
	bool good;

	good = __atomic_fetch_add(&nr_alone, 1, __ATOMIC_RELAXED) < ALONE_MAX;
	if (!good)
		complain("more than %d connections want a thread", ALONE_MAX);
	else if (!alone_start(c))
		complain("no memory for a thread");
	else
		return true;
	__atomic_fetch_sub(&nr_alone, 1, __ATOMIC_RELAXED);
	return false;
}

/* Has the first thread read from a connection. */
static bool together(struct conn *c)
{
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	c->worker = &workers[0];
	return conn_poll(c, EPOLL_CTL_ADD, EPOLLIN);
}

/* The connection for commands of a client; the lock is held. */
static struct conn *control_of(uint64_t client)
{
	struct conn *c;

	for (c = TAILQ_FIRST(&controls); c; c = TAILQ_NEXT(c, entry))
		if (c->hello.client == client)
			break;
	return c;
}

/*
 * After its answer to the hello it is not read from. From then on it is whose command
 * resumes it or whose end ends it.
 */
static bool stall(struct conn *c)
{
	static const char welcome = PEER_WELCOME;
	int size = STALL_BYTES;
	bool good;

	setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	pthread_mutex_lock(&lock);
	good = control_of(c->hello.client) && reply(c, &welcome, 1);
	if (good)
		put(c, &stalled);
	pthread_mutex_unlock(&lock);
	if (!good)
		complain("who stalls has no connection for commands");
	return good;
}

static bool command(struct conn *c)
{
	int size = UNREAD_BYTES;
	bool good;

	setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	pthread_mutex_lock(&lock);
	good = !control_of(c->hello.client);
	if (good)
		put(c, &controls);
	pthread_mutex_unlock(&lock);
	if (!good)
		complain("a client has two connections for commands");
	return good;
}

static bool refuse(struct conn *c)
{
	static const char refused = PEER_REFUSED;

	reply(c, &refused, 1);
	return false;
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

/* Takes part of the hello; false when it is none, or asks for more than there is. */
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
	pthread_mutex_lock(&lock);
	put(c, NULL);
	pthread_mutex_unlock(&lock);
	if (!is_hello(&c->hello))
		return false;
	if (c->hello.mode == PEER_STALL)
		return stall(c) || refuse(c);
	if (c->hello.mode == PEER_CONTROL && !command(c))
		return refuse(c);
	if (c->hello.mode == PEER_STORE && !store_open(c))
		return refuse(c);
	c->owed = 1;
	if (c->hello.flags & PEER_ALONE && c->hello.mode != PEER_CONTROL)
		return alone(c) || refuse(c);
	if (!conn_answer(c))
		return false;
	if (c->hello.flags & PEER_TOGETHER && c->worker != &workers[0] && !c->polling)
		return together(c);
	return true;
}

/* Of one whose machine is gone nothing would be heard. */
static void keep_alive(int fd)
{
	int on = 1, idle = 30, interval = 10, tries = 6;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}

static void accepting(bool on)
{
	struct epoll_event ev = { .events = on ? EPOLLIN : 0 };

	accept_at = on ? 0 : now_ns() + PAUSE_NS;
	if (epoll_ctl(workers[0].epoll, EPOLL_CTL_MOD, listener, &ev))
		die_errno(errno, "receiver: epoll");
}

/* What accept(2) says of the listener; all else is of the connection, or is over soon. */
static bool is_fault(int error)
{
	return error == EBADF || error == EINVAL || error == ENOTSOCK || error == EFAULT;
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Some of those that wait. */
static void accept_some(void)
{
	int on = 1;
	int fd;

	for (int i = 0; i < BATCH; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 && is_fault(errno))
			die_errno(errno, "receiver: accept");
		if (fd < 0 && is_shortage(errno)) {
			complain("accept: %s", strerror(errno));
			accepting(false);
			return;
		}
		if (fd < 0)
			continue;
		if (__atomic_load_n(&nr_conns, __ATOMIC_RELAXED) >= CONNS_MAX) {
			complain("there are %d connections", CONNS_MAX);
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		keep_alive(fd);
		conn_new(fd, false);
	}
}

/* Shut down, which their workers see. */
static void expire(uint64_t now)
{
	struct conn *c;

	pthread_mutex_lock(&lock);
	while ((c = TAILQ_FIRST(&newcomers)) && c->hello_due <= now) {
		shutdown(c->fd, SHUT_RDWR);
		put(c, NULL);
	}
	pthread_mutex_unlock(&lock);
}

static uint64_t first_due(void)
{
	uint64_t due = accept_at ? accept_at : UINT64_MAX;
	struct conn *c;

	pthread_mutex_lock(&lock);
	c = TAILQ_FIRST(&newcomers);
	if (c && c->hello_due < due)
		due = c->hello_due;
	pthread_mutex_unlock(&lock);
	return due;
}

/* What is to be done when its time has come; returns the milliseconds until then, or -1. */
static int look_after(void)
{
	uint64_t next = first_due(), now;

	/* Mostly, and then nobody asks what time it is: where that is dear it would be measured. */
	if (next == UINT64_MAX)
		return -1;
	now = now_ns();
	if (accept_at && accept_at <= now)
		accepting(true);
	expire(now);
	next = first_due();
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000 + 1);
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
		n = epoll_wait(w->epoll, events, BATCH, w == &workers[0] ? look_after() : -1);
		if (n < 0 && errno != EINTR)
			die_errno(errno, "receiver: epoll");
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve_conn(events[i].data.ptr, events[i].events);
			else
				accept_some();
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
		if (!w->buf || !w->expected)
			die("receiver: no memory");
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
