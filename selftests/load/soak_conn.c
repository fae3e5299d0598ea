// SPDX-License-Identifier: GPL-2.0-only
/*
 * The soak test's connections: their lives, from connecting to one of several
 * ends, and what arrives on them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../zcp_test.h"
#include "soak.h"

#define RECEIVE_BYTES	(128 * ZT_KIB)
/* A reset that was lost may never come: then what is there is all. */
#define RESET_NS	1500000000ULL

/* A reader may be any thread, the job another's. */
void soak_dispatch(struct soak *soak, const struct zcp_event *ev)
{
	struct soak_job *job = (struct soak_job *)(uintptr_t)ev->user_data;
	struct soak_totals *totals = soak->totals;

	zt_need(ev->size == sizeof(*ev) && ev->type == ZCP_EVENT_FINAL);
	zt_need(ev->state >= ZCP_STATE_DONE && ev->state <= ZCP_STATE_CANCELLED);
	atomic_fetch_add(&totals->ended[ev->state - ZCP_STATE_DONE], 1);
	if (atomic_fetch_or(&totals->seen[ev->job % SOAK_IDS / 8], 1U << ev->job % 8) &
	    1U << ev->job % 8) {
		atomic_fetch_add(&totals->doubled, 1);
		zt_die("job %llu: a second event", ev->job);
	}
	job->ev = *ev;
	zt_need(!atomic_exchange(&job->done, 1));
}

static struct sockaddr_in receiver_address(const struct soak_thread *t)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = t->soak->address,
		.sin_port = htons(t->port),
	};
}

static enum soak_end random_end(struct soak_thread *t)
{
	uint64_t kind = soak_random(&t->random, 100);

	if (kind < 50)
		return SOAK_UNLINK_IDLE;
	if (kind < 65)
		return SOAK_UNLINK_BUSY;
	if (kind < 72)
		return SOAK_SHUTDOWN;
	if (kind < 82)
		return SOAK_DISCONNECT;
	return kind < 92 ? SOAK_RESET : SOAK_CLOSE;
}

static void conn_begin(struct soak_thread *t, struct soak_conn *c)
{
	struct sockaddr_in to = receiver_address(t);
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	c->tx = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	zt_need(c->tx >= 0);
	if (connect(c->tx, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		zt_die("connect: errno %d", errno);
	zt_need(!getsockname(c->tx, (struct sockaddr *)&own, &len));
	c->port = own.sin_port;
	c->rx = -1;
	c->connected = false;
	c->end = random_end(t);
	c->life = 1 + soak_random(&t->random, SOAK_LIFE);
	c->nr = 0;
	c->at = 0;
	c->open_bytes = 0;
	c->len = 0;
	c->received = 0;
	c->eof = false;
	c->reset = false;
	c->since = zt_now_ns();
	c->state = SOAK_CONNECTING;
}

/* They arrive in any order. */
void soak_accept(struct soak_thread *t)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	unsigned int i;
	int fd;

	while ((fd = accept4(t->listener, (struct sockaddr *)&from, &len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		for (i = 0; i < t->soak->conns; i++) {
			struct soak_conn *c = &t->conns[i];

			if (c->state == SOAK_CONNECTING && c->rx < 0 && c->port == from.sin_port)
				break;
		}
		if (i == t->soak->conns)
			zt_die("a connection from port %u that nobody made", ntohs(from.sin_port));
		t->conns[i].rx = fd;
		len = sizeof(from);
	}
	zt_need(errno == EAGAIN);
}

static void conn_connected(struct soak_thread *t, struct soak_conn *c)
{
	socklen_t len = sizeof(int);
	int err;

	if (!c->connected)
		return;
	zt_need(!getsockopt(c->tx, SOL_SOCKET, SO_ERROR, &err, &len));
	if (err)
		zt_die("connect: errno %d", err);
	if (c->rx < 0)
		return;
	c->own = c->end == SOAK_CLOSE;
	c->ctx = c->own ? zt_open(O_NONBLOCK) : t->soak->ctxs[soak_random(&t->random, SOAK_CTXS)];
	c->link = zt_link_flags(c->ctx, c->tx,
				soak_random(&t->random, 2) ? ZCP_LINK_CONTINUE : 0);
	c->since = zt_now_ns();
	c->state = SOAK_OPEN;
	atomic_fetch_add(&t->soak->totals->links, 1);
}

void soak_conn_receive(struct soak_conn *c)
{
	ssize_t n;

	do {
		if (c->cap - c->len < RECEIVE_BYTES) {
			c->cap = 2 * (c->len + RECEIVE_BYTES);
			c->buf = realloc(c->buf, c->cap);
			zt_need(c->buf);
		}
		n = recv(c->rx, c->buf + c->len, RECEIVE_BYTES, MSG_DONTWAIT);
		if (n > 0) {
			c->len += n;
			c->received += n;
			c->since = zt_now_ns();
		}
	} while (n == RECEIVE_BYTES);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		if (errno != ECONNRESET || c->end != SOAK_DISCONNECT || c->state != SOAK_ENDING)
			zt_die("recv: errno %d, end %d, state %d", errno, c->end, c->state);
		c->reset = true;
		c->eof = true;
	} else if (!n) {
		c->eof = true;
	}
}

/* Compare what has arrived of jobs that have ended; all of it when @last. */
static void conn_compare(struct soak_thread *t, struct soak_conn *c, bool last)
{
	bool cut = c->end == SOAK_DISCONNECT || c->end == SOAK_RESET || c->end == SOAK_CLOSE;
	size_t used = 0;

	while (c->at < c->nr && (last || atomic_load(&c->jobs[c->at].done))) {
		struct soak_job *job = &c->jobs[c->at];
		uint64_t have = c->len - used;

		if (have > job->ev.bytes_sent)
			have = job->ev.bytes_sent;
		if (have < job->ev.bytes_sent && !last)
			break;
		if (have < job->ev.bytes_sent && !cut)
			zt_die("job %llu: %llu of %llu bytes have arrived, end %d",
			       (unsigned long long)job->id, (unsigned long long)have,
			       job->ev.bytes_sent, c->end);
		/* The receiver's TCP had acknowledged them. */
		if (have < job->ev.bytes_acked && c->end == SOAK_DISCONNECT)
			zt_die("job %llu: %llu bytes have arrived, and %llu were acknowledged",
			       (unsigned long long)job->id, (unsigned long long)have,
			       job->ev.bytes_acked);
		if (job->id && !c->own)
			soak_check_event(c, job);
		soak_compare(job, c->buf + used, have);
		used += have;
		c->open_bytes -= job->head_len + job->len + job->tail_len;
		if (job->to_eof)
			c->open_bytes -= SOAK_CUT;
		c->at++;
		c->since = zt_now_ns();
	}
	if (c->at == c->nr && c->len > used && (last || !c->own))
		zt_die("%zu bytes that no job has sent", c->len - used);
	memmove(c->buf, c->buf + used, c->len - used);
	c->len -= used;
	atomic_fetch_add(&t->soak->totals->bytes, used);
}

static bool all_done(const struct soak_conn *c)
{
	unsigned int i;

	for (i = c->at; i < c->nr; i++)
		if (!atomic_load(&c->jobs[i].done))
			return false;
	return true;
}

/* No events come: what may have arrived is all, in order, up to somewhere. */
static void conn_close_context(struct soak_thread *t, struct soak_conn *c)
{
	struct zcp_event evs[8];
	unsigned int i;
	ssize_t n;

	if (soak_random(&t->random, 2)) {
		n = read(c->ctx, evs, sizeof(evs));
		zt_need(n > 0 || errno == EAGAIN);
		for (i = 0; n > 0 && i < n / sizeof(evs[0]); i++)
			soak_dispatch(t->soak, &evs[i]);
	}
	close(c->ctx);
	for (i = c->at; i < c->nr; i++) {
		struct soak_job *job = &c->jobs[i];

		if (atomic_load(&job->done))
			continue;
		atomic_fetch_add(&t->soak->totals->abandoned, 1);
		memset(&job->ev, 0, sizeof(job->ev));
		job->ev.bytes_sent = job->head_len + job->len + job->tail_len;
		job->ev.segment = job->nr;
	}
}

static void conn_disconnect(struct soak_conn *c)
{
	struct sockaddr sa = { .sa_family = AF_UNSPEC };

	zt_need(!connect(c->tx, &sa, sizeof(sa)));
}

static void conn_end(struct soak_thread *t, struct soak_conn *c)
{
	/* Before what makes events: they are judged by it. */
	c->state = SOAK_ENDING;
	c->since = zt_now_ns();
	switch (c->end) {
	case SOAK_UNLINK_IDLE:
	case SOAK_UNLINK_BUSY:
		zt_need(!zt_unlink(c->ctx, c->link, NULL));
		break;
	case SOAK_SHUTDOWN:
		zt_need(!shutdown(c->tx, SHUT_WR));
		return;
	case SOAK_DISCONNECT:
		conn_disconnect(c);
		return;
	case SOAK_RESET:
		soak_conn_receive(c);
		zt_reset(c->rx);
		c->rx = -1;
		c->eof = true;
		return;
	case SOAK_CLOSE:
		conn_close_context(t, c);
		break;
	case SOAK_ENDS:
		abort();
	}
	close(c->tx);
	c->tx = -1;
}

/* Both have seen the end, or will not. */
static bool conn_is_over(struct soak_conn *c)
{
	if (!c->own && !all_done(c))
		return false;
	if (c->end == SOAK_DISCONNECT && !c->eof)
		return zt_now_ns() - c->since > RESET_NS;
	return c->eof;
}

static void conn_finish(struct soak_thread *t, struct soak_conn *c)
{
	if (c->tx >= 0) {
		/* One that is broken may have no jobs and be there all the same. */
		zt_need(!zt_unlink(c->ctx, c->link, NULL));
		close(c->tx);
	}
	conn_compare(t, c, true);
	if (c->rx >= 0)
		close(c->rx);
	c->tx = -1;
	c->rx = -1;
	c->state = SOAK_FREE;
}

static void conn_submit(struct soak_thread *t, struct soak_conn *c)
{
	unsigned int nr = 1 + soak_random(&t->random, SOAK_BATCH);

	if (c->nr == c->at && soak_random(&t->random, 4) == 0 && c->len == 0) {
		soak_xfer(t, c);
		return;
	}
	if (c->open_bytes > t->soak->window || c->nr - c->at > 2 * SOAK_BATCH)
		return;
	if (nr > c->life - c->nr)
		nr = c->life - c->nr;
	soak_submit(t, c, nr);
}

/* What the first job without an event is waiting for. */
static void conn_watch(const struct soak_conn *c)
{
	struct zcp_status st = {};
	unsigned int i = c->at;
	int ret = 0;

	if (zt_now_ns() - c->since < SOAK_PATIENCE * 1000000000ULL)
		return;
	while (i < c->nr && atomic_load(&c->jobs[i].done))
		i++;
	if (i < c->nr)
		ret = zt_status(c->ctx, c->jobs[i].id, &st);
	fprintf(stderr, "# state %d, end %d, job %u to %u of %u, %llu received, eof %d\n",
		c->state, c->end, c->at, i, c->nr, (unsigned long long)c->received, c->eof);
	zt_die("nothing happens: status %d: state %u, sent %llu, acked %llu of %llu", ret,
	       st.state, st.bytes_sent, st.bytes_acked, st.bytes_total);
}

void soak_conn_step(struct soak_thread *t, struct soak_conn *c)
{
	bool enough = c->nr == c->life ||
		      atomic_load(&t->soak->totals->submitted) >= t->soak->target;

	/* Nothing is compared before it is closed. */
	if (c->own && (c->open_bytes > t->soak->window || c->nr > 2 * SOAK_BATCH))
		enough = true;
	switch (c->state) {
	case SOAK_FREE:
		if (atomic_load(&t->soak->totals->submitted) < t->soak->target)
			conn_begin(t, c);
		return;
	case SOAK_CONNECTING:
		conn_connected(t, c);
		break;
	case SOAK_OPEN:
		if (!c->own)
			conn_compare(t, c, false);
		if (enough) {
			if (c->end != SOAK_UNLINK_IDLE || c->at == c->nr)
				conn_end(t, c);
		} else {
			conn_submit(t, c);
		}
		break;
	case SOAK_ENDING:
		if (!c->own)
			conn_compare(t, c, false);
		if (conn_is_over(c))
			conn_finish(t, c);
		break;
	}
	if (c->state != SOAK_FREE)
		conn_watch(c);
}
