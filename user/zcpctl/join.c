// SPDX-License-Identifier: GPL-2.0-only
/*
 * The streams of a transfer joined to a file again: a thread for each
 * connection, which reads its header and writes its part.
 *
 * The main thread accepts connections, and closes them when their threads have
 * ended. What the threads share is in struct join, under its lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "join.h"
#include "stream.h"
#include "zcpctl.h"

#define BUFFER_BYTES (256 << 10)
/* Parts of the transfer, parts of others that wait, and strangers. */
#define MAX_CONNS (3 * STREAM_MAX)
/* How long to wait for a part when all that came are complete. */
#define MISSING_NS 10000000000ULL

/**
 * struct conn - A connection
 * @join: What it is for.
 * @thread: Who reads from it; there is one unless @joined.
 * @sock: The socket, or -1: this one is free. Belongs to the main thread.
 * @since_ns: When it was accepted.
 * @ended: The thread needs nothing any more.
 * @joined: And has been waited for.
 * @claimed: It has brought a part of the transfer:
 * @stream: this one.
 * @got: Bytes of the part that were written.
 * @peer: The address at the other end.
 */
struct conn {
	struct join *join;
	pthread_t thread;
	int sock;
	uint64_t since_ns;
	bool ended;
	bool joined;
	bool claimed;
	struct stream stream;
	uint64_t got;
	char peer[NET_NAME_MAX];
};

/**
 * struct join - Transfers to a file, one after the other
 * @file: Where the parts are written to.
 * @digest: A digest of the file is wanted.
 * @wake: An eventfd: something has changed.
 * @lock: For all that follows.
 * @turn: A transfer may begin, or none will any more.
 * @stop: None will.
 * @waiting: Parts of other transfers that wait for @turn.
 * @last: The id of the last transfer, if @any: connections of it that come late
 *	belong to nothing.
 * @any: There was one.
 * @conns: The connections.
 * @receiving: A transfer may begin or go on:
 * @since_ns: since then.
 * @rec: What comes of it.
 * @fd: The file, or -1.
 * @begun: A header has come:
 * @first: the numbers all parts must have.
 * @claimed: Parts that have come.
 * @complete: Those of them that have ended as they should.
 * @promised: The sum of their lengths.
 * @start_ns: When the first connection came.
 * @change_ns: When a part came or ended last.
 */
struct join {
	const char *file;
	bool digest;
	int wake;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	bool stop;
	uint32_t waiting;
	unsigned char last[STREAM_ID];
	bool any;
	struct conn conns[MAX_CONNS];
	bool receiving;
	uint64_t since_ns;
	struct reception *rec;
	int fd;
	bool begun;
	struct stream first;
	uint32_t claimed;
	uint32_t complete;
	uint64_t promised;
	uint64_t start_ns;
	uint64_t change_ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/*
 * The transfer has failed, because of the part of @c if that is not NULL. Only
 * the first reason counts. With the lock held.
 */
__attribute__((format(printf, 4, 5))) static void give_up(struct join *j, const struct conn *c,
							  int error, const char *format, ...)
{
	char *problem = j->rec->problem;
	size_t size = sizeof(j->rec->problem);
	int len = 0;
	va_list ap;

	if (j->rec->error)
		return;
	j->rec->error = error;
	if (c)
		len = snprintf(problem, size, "part %u of %u ", c->stream.index + 1,
			       c->stream.streams);
	va_start(ap, format);
	vsnprintf(problem + len, size - len, format, ap);
	va_end(ap);
}

/* Each part is written to its place, so the file needs places. */
static bool open_file(struct join *j)
{
	const char *file = j->file;

	j->fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (j->fd < 0)
		give_up(j, NULL, errno, "cannot open %s: %s", file, strerror(errno));
	else if (lseek(j->fd, 0, SEEK_SET) < 0)
		give_up(j, NULL, errno, "cannot join streams in %s: %s", file, strerror(errno));
	return !j->rec->error;
}

/* Does this part fit to those that are here? */
static bool fits(struct join *j, const struct conn *c)
{
	const struct stream *a = &c->stream;
	const struct conn *other;

	if (a->streams != j->first.streams || a->total != j->first.total) {
		give_up(j, c, EPROTO, "is of %llu bytes, but others are of %u parts and %llu bytes",
			(unsigned long long)a->total, j->first.streams,
			(unsigned long long)j->first.total);
		return false;
	}
	for (other = j->conns; other < j->conns + MAX_CONNS; other++) {
		const struct stream *b = &other->stream;

		if (!other->claimed)
			continue;
		if (a->index == b->index) {
			give_up(j, c, EPROTO, "came twice");
			return false;
		}
		if (a->length && b->length && a->offset < b->offset + b->length &&
		    b->offset < a->offset + a->length) {
			give_up(j, c, EPROTO, "overlaps with part %u", b->index + 1);
			return false;
		}
	}
	return true;
}

/*
 * Wait until the part of a header is one of the transfer that is received, or
 * may begin one. With the lock held.
 */
static bool wait_turn(struct join *j, const struct conn *c)
{
	while (!j->stop) {
		if (j->any && !memcmp(j->last, c->stream.id, STREAM_ID))
			return false;
		if (j->receiving && !j->rec->error &&
		    (!j->begun || !memcmp(j->first.id, c->stream.id, STREAM_ID)))
			return true;
		if (j->waiting == STREAM_MAX) {
			fail("refused a stream from %s: too many are waiting", c->peer);
			return false;
		}
		j->waiting++;
		pthread_cond_wait(&j->turn, &j->lock);
		j->waiting--;
	}
	return false;
}

/* Make a part of the transfer of what a header says. With the lock held. */
static bool claim(struct join *j, struct conn *c)
{
	if (!wait_turn(j, c))
		return false;
	if (!j->begun) {
		j->begun = true;
		j->first = c->stream;
		j->start_ns = c->since_ns > j->since_ns ? c->since_ns : j->since_ns;
		j->rec->streams = c->stream.streams;
		strcpy(j->rec->peer, c->peer);
		if (!open_file(j))
			return false;
	}
	if (!fits(j, c))
		return false;
	c->claimed = true;
	j->claimed++;
	j->promised += c->stream.length;
	j->change_ns = now_ns();
	if (j->claimed == j->first.streams && j->promised != j->first.total) {
		give_up(j, NULL, EPROTO, "the %u parts have %llu of %llu bytes", j->claimed,
			(unsigned long long)j->promised, (unsigned long long)j->first.total);
		return false;
	}
	return true;
}

/*
 * A connection that ends without a word is nobody's. Another one that brings no
 * header is in the place of a transfer, unless there is one: a part that is
 * missing there is noticed there.
 */
static void no_header(struct join *j, const struct conn *c, int error)
{
	if (j->stop)
		return;
	if (!j->receiving || j->begun) {
		if (!error)
			fail("refused %s: it sends no header of a stream", c->peer);
		return;
	}
	if (error)
		give_up(j, NULL, error, "cannot read from %s: %s", c->peer, strerror(error));
	else
		give_up(j, NULL, EPROTO, "%s sends no header of a stream; was it zcpctl send %s?",
			c->peer, "--streams with 2 or more");
	strcpy(j->rec->peer, c->peer);
}

/* False when the connection has nothing for the file. */
static bool read_header(struct join *j, struct conn *c)
{
	unsigned char header[STREAM_HEADER];
	size_t len = 0;
	bool good = false;
	int error = 0;
	ssize_t n;

	while (len < sizeof(header)) {
		n = read(c->sock, header + len, sizeof(header) - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			error = errno;
		if (n <= 0)
			break;
		len += n;
	}
	pthread_mutex_lock(&j->lock);
	if (len == sizeof(header) && stream_unpack(&c->stream, header))
		good = claim(j, c);
	else if (len || error)
		no_header(j, c, error);
	pthread_mutex_unlock(&j->lock);
	return good;
}

static int write_at(int fd, const char *data, size_t len, uint64_t offset)
{
	ssize_t n;

	while (len) {
		n = pwrite(fd, data, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		len -= n;
		offset += n;
	}
	return 0;
}

/* Returns an errno; a part that is too short or too long gives 0. */
static int copy_part(struct join *j, struct conn *c, char *buffer, const char **doing)
{
	const struct stream *s = &c->stream;
	ssize_t n;
	int error;

	while (c->got <= s->length) {
		*doing = "receive it";
		n = read(c->sock, buffer, BUFFER_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (!n)
			break;
		*doing = "write it";
		if ((uint64_t)n <= s->length - c->got) {
			error = write_at(j->fd, buffer, n, s->offset + c->got);
			if (error)
				return error;
		}
		c->got += n;
	}
	return 0;
}

static void receive_part(struct join *j, struct conn *c)
{
	char *buffer = malloc(BUFFER_BYTES);
	const char *doing = "get memory";
	int error;

	error = buffer ? copy_part(j, c, buffer, &doing) : ENOMEM;
	free(buffer);
	pthread_mutex_lock(&j->lock);
	j->change_ns = now_ns();
	if (error)
		give_up(j, c, error, "failed after %llu of %llu bytes: cannot %s: %s",
			(unsigned long long)c->got, (unsigned long long)c->stream.length, doing,
			strerror(error));
	else if (c->got < c->stream.length)
		give_up(j, c, ENODATA, "ended after %llu of %llu bytes", (unsigned long long)c->got,
			(unsigned long long)c->stream.length);
	else if (c->got > c->stream.length)
		give_up(j, c, EPROTO, "is longer than the %llu bytes it should have",
			(unsigned long long)c->stream.length);
	else
		j->complete++;
	pthread_mutex_unlock(&j->lock);
}

static void *serve(void *arg)
{
	struct conn *c = arg;
	struct join *j = c->join;

	if (read_header(j, c))
		receive_part(j, c);
	pthread_mutex_lock(&j->lock);
	c->ended = true;
	pthread_mutex_unlock(&j->lock);
	eventfd_write(j->wake, 1);
	return NULL;
}

static void accept_one(struct join *j, int listener)
{
	int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct conn *c;
	int error;

	if (sock < 0) {
		if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
			give_up(j, NULL, errno, "cannot accept a connection: %s", strerror(errno));
		return;
	}
	for (c = j->conns; c < j->conns + MAX_CONNS; c++)
		if (c->sock < 0)
			break;
	memset(c, 0, sizeof(*c));
	c->join = j;
	c->sock = sock;
	net_peer(sock, c->peer);
	c->since_ns = now_ns();
	error = pthread_create(&c->thread, NULL, serve, c);
	if (error) {
		c->ended = true;
		c->joined = true;
		give_up(j, NULL, error, "no thread for a connection: %s", strerror(error));
	}
}

/* Let go of the connections whose threads have ended and that are no parts. */
static void reap(struct join *j)
{
	struct conn *c;

	for (c = j->conns; c < j->conns + MAX_CONNS; c++) {
		if (c->sock < 0 || !c->ended)
			continue;
		if (!c->joined)
			pthread_join(c->thread, NULL);
		c->joined = true;
		if (c->claimed)
			continue;
		net_reset(c->sock);
		c->sock = -1;
	}
}

static bool may_accept(struct join *j)
{
	struct conn *c;

	if (j->begun && j->claimed == j->first.streams)
		return false;
	for (c = j->conns; c < j->conns + MAX_CONNS; c++)
		if (c->sock < 0)
			return true;
	return false;
}

/* Milliseconds to wait for a connection; -1 for any time. */
static int patience(struct join *j)
{
	uint64_t age;
	uint32_t index;
	struct conn *c;

	if (!j->begun || j->claimed == j->first.streams || j->complete < j->claimed)
		return -1;
	age = now_ns() - j->change_ns;
	if (age < MISSING_NS)
		return (int)((MISSING_NS - age) / 1000000 + 1);
	for (index = 0; index < j->first.streams; index++) {
		for (c = j->conns; c < j->conns + MAX_CONNS; c++)
			if (c->claimed && c->stream.index == index)
				break;
		if (c == j->conns + MAX_CONNS)
			break;
	}
	give_up(j, NULL, ETIMEDOUT,
		"part %u of %u is missing: no connection brought it within %llu s", index + 1,
		j->first.streams, MISSING_NS / 1000000000);
	return 0;
}

/*
 * Until the transfer is complete or has failed. Signals are let in only where
 * it waits.
 */
static void accept_all(struct join *j, int listener, const sigset_t *mask)
{
	struct pollfd pfds[] = {
		{ .fd = j->wake, .events = POLLIN },
		{ .fd = listener, .events = POLLIN },
	};
	struct timespec ts;
	eventfd_t count;
	int wait_ms;

	pthread_mutex_lock(&j->lock);
	j->receiving = true;
	j->since_ns = now_ns();
	pthread_cond_broadcast(&j->turn);
	for (;;) {
		reap(j);
		wait_ms = patience(j);
		if (interrupted)
			give_up(j, NULL, EINTR, "interrupted");
		if (j->rec->error || (j->begun && j->complete == j->first.streams))
			break;
		pfds[1].fd = may_accept(j) ? listener : -1;
		pfds[1].revents = 0;
		pthread_mutex_unlock(&j->lock);
		ts = (struct timespec){ wait_ms / 1000, wait_ms % 1000 * 1000000L };
		ppoll(pfds, 2, wait_ms < 0 ? NULL : &ts, mask);
		eventfd_read(j->wake, &count);
		pthread_mutex_lock(&j->lock);
		if (pfds[1].revents)
			accept_one(j, listener);
	}
	j->receiving = false;
	j->rec->ns = j->begun ? now_ns() - j->start_ns : 0;
	pthread_mutex_unlock(&j->lock);
}

/*
 * The connections of the transfer. A sender of which something is missing is to
 * see that it has failed.
 */
static void end_parts(struct join *j)
{
	struct conn *c;

	for (c = j->conns; c < j->conns + MAX_CONNS; c++) {
		if (c->sock < 0 || !c->claimed)
			continue;
		if (!c->joined) {
			shutdown(c->sock, SHUT_RDWR);
			pthread_join(c->thread, NULL);
		}
		j->rec->bytes += c->got < c->stream.length ? c->got : c->stream.length;
		if (j->rec->error)
			net_reset(c->sock);
		else
			close(c->sock);
		c->sock = -1;
		c->claimed = false;
	}
}

/* What a device has taken cannot be read back. */
static void hash_file(struct join *j)
{
	char *buffer = malloc(BUFFER_BYTES);
	struct sha256 sha;
	uint64_t at = 0;
	struct stat st;
	ssize_t n;

	if (!buffer || fstat(j->fd, &st) || S_ISCHR(st.st_mode))
		goto out;
	sha256_init(&sha);
	while (at < j->first.total && !interrupted) {
		n = pread(j->fd, buffer, BUFFER_BYTES, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			give_up(j, NULL, n ? errno : EIO, "cannot read back %s: %s", j->file,
				n ? strerror(errno) : "it has become shorter");
			goto out;
		}
		sha256_update(&sha, buffer, n);
		at += n;
	}
	if (interrupted)
		give_up(j, NULL, EINTR, "interrupted before the digest was complete");
	else
		sha256_hex(&sha, j->rec->digest);
out:
	free(buffer);
}

/* Take leave of the transfer; the threads that are left do not look at it. */
static void finish(struct join *j)
{
	struct reception *rec = j->rec;

	end_parts(j);
	if (rec->error == EINTR)
		snprintf(rec->problem, sizeof(rec->problem), "interrupted after %llu bytes",
			 (unsigned long long)rec->bytes);
	if (!rec->error && j->digest)
		hash_file(j);
	/* A file system may find out only here that it has no room. */
	if (j->fd >= 0 && close(j->fd))
		give_up(j, NULL, errno, "cannot write %s: %s", j->file, strerror(errno));
}

struct join *join_open(const char *file, bool digest)
{
	struct join *j = calloc(1, sizeof(*j));
	struct conn *c;

	if (!j)
		return NULL;
	j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->wake < 0) {
		free(j);
		return NULL;
	}
	j->file = file;
	j->digest = digest;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->turn, NULL);
	for (c = j->conns; c < j->conns + MAX_CONNS; c++)
		c->sock = -1;
	return j;
}

bool join_receive(struct join *j, int listener, struct reception *rec)
{
	sigset_t signals, mask;
	bool begun;

	strcpy(rec->peer, "-");
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, &mask);
	j->rec = rec;
	j->fd = -1;
	accept_all(j, listener, &mask);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	finish(j);

	pthread_mutex_lock(&j->lock);
	begun = j->begun;
	if (begun) {
		j->any = true;
		memcpy(j->last, j->first.id, STREAM_ID);
	}
	j->rec = NULL;
	j->begun = false;
	j->claimed = 0;
	j->complete = 0;
	j->promised = 0;
	pthread_cond_broadcast(&j->turn);
	pthread_mutex_unlock(&j->lock);
	return begun || rec->error != EINTR;
}

void join_close(struct join *j)
{
	struct conn *c;

	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_broadcast(&j->turn);
	pthread_mutex_unlock(&j->lock);
	for (c = j->conns; c < j->conns + MAX_CONNS; c++) {
		if (c->sock < 0)
			continue;
		if (!c->joined) {
			shutdown(c->sock, SHUT_RDWR);
			pthread_join(c->thread, NULL);
		}
		net_reset(c->sock);
	}
	pthread_cond_destroy(&j->turn);
	pthread_mutex_destroy(&j->lock);
	close(j->wake);
	free(j);
}
