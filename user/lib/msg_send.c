// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Messages on their way: copied by send(2), or gathered for the next job.
 *
 * While no job of a link is open its socket may be written to, and copies go by
 * send(2). While one is, everything goes by jobs, whose order the kernel keeps.
 * What send(2) has not taken of a message goes by a job as well, so that
 * nothing can get between.
 *
 * Only buffers of whole pages are sent by reference: what a packet refers to
 * belongs to one buffer, which can be given new memory should it come back
 * before the packet has gone.
 */
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "msg.h"

#define STAGING (64 << 10)
/* What is gathered: up to this it is copied together, beyond it a segment. */
#define STAGE_MAX 4096
/* Who waits for the end of what the kernel does not take looks again after this. */
#define KEPT_MS 10

/* --- gathering: what the next job will be made of ------------------------- */

static struct flight *gathering(struct zcp_msg_link *link)
{
	if (!link->flight) {
		link->flight = flight_new(link->msg);
		if (link->flight)
			link->flight->link = link;
	}
	return link->flight;
}

static uint32_t gathered(const struct zcp_msg_link *link)
{
	return link->flight ? link->flight->nr : 0;
}

bool msg_has_gathered(const struct zcp_msg_link *link)
{
	return gathered(link);
}

static void add_segment(struct zcp_msg_link *link, void *buf, size_t from, size_t len)
{
	struct zcp_pool *pool = link->msg->pool;
	struct flight *f = link->flight;

	zcp_segment_file(&link->segment[f->nr], pool->fd, pool_offset(pool, buf) + from, len);
	f->buf[f->nr++] = buf;
	f->bytes += len;
	link->staging = NULL;
}

/* So that what was gathered can be undone up to here. */
struct mark {
	uint32_t nr;
	uint64_t bytes;
	void *staging;
	size_t staged;
};

static void mark_set(struct mark *m, const struct zcp_msg_link *link)
{
	m->nr = gathered(link);
	m->bytes = m->nr ? link->flight->bytes : 0;
	m->staging = link->staging;
	m->staged = link->staged;
}

/* Buffers that the library took for copies go; @buf is the caller's again. */
static void mark_undo(const struct mark *m, struct zcp_msg_link *link, const void *buf)
{
	struct flight *f = link->flight;

	if (!f)
		return;
	while (f->nr > m->nr) {
		f->nr--;
		if (f->buf[f->nr] != buf)
			zcp_pool_free(link->msg->pool, f->buf[f->nr]);
	}
	f->bytes = m->bytes;
	if (!f->nr)
		f->copied = false;
	link->staging = m->staging;
	link->staged = m->staged;
	if (link->staging)
		link->segment[f->nr - 1].len = m->staged;
}

/* Nothing is gathered any more, and the buffers are in the pool. */
static void empty(struct zcp_msg_link *link)
{
	struct mark none = { 0 };

	mark_undo(&none, link, NULL);
	link->begun = false;
}

/* All that was gathered is lost: the connection has ended. */
void msg_gathered_drop(struct zcp_msg_link *link)
{
	if (!link->flight)
		return;
	empty(link);
	flight_free(link->msg, link->flight);
	link->flight = NULL;
}

/* Of the pool's, and if need be what others have on their way and gets acknowledged. */
static int staging_alloc(struct zcp_msg_link *link, size_t len, bool wait, void **buf)
{
	int ret, n;

	for (;;) {
		ret = zcp_pool_alloc(link->msg->pool, len, buf);
		if (ret != -EAGAIN || !wait || !counted(&link->msg->open))
			return ret;
		n = msg_wait_event(link->msg, -1);
		if (n < 0)
			return n;
	}
}

static size_t largest(const struct zcp_pool *pool)
{
	return bucket_bytes(&pool->bucket[pool->classes - 1]);
}

/* Copies bytes to the end of what is gathered; others follow unless @alone. */
static int stage(struct zcp_msg_link *link, const uint8_t *data, size_t len, bool alone, bool wait)
{
	struct zcp_pool *pool = link->msg->pool;
	size_t room, n;
	void *buf;
	int ret;

	for (; len; data += n, len -= n) {
		if (!link->staging || link->staged == STAGING) {
			room = len > STAGING || alone ? len : STAGING;
			if (room > largest(pool))
				room = largest(pool);
			ret = staging_alloc(link, room, wait, &buf);
			if (ret)
				return ret;
			n = len < room ? len : room;
			memcpy(buf, data, n);
			add_segment(link, buf, 0, n);
			if (bucket_bytes(&pool->bucket[pool_bucket(pool, buf)]) < pool->page)
				link->flight->copied = true;
			/* The next one may follow here. */
			if (n < STAGING && room == STAGING) {
				link->staging = buf;
				link->staged = n;
			}
			continue;
		}
		n = STAGING - link->staged;
		if (n > len)
			n = len;
		memcpy((uint8_t *)link->staging + link->staged, data, n);
		link->staged += n;
		link->segment[link->flight->nr - 1].len = link->staged;
		link->flight->bytes += n;
	}
	return 0;
}

/* --- sending --------------------------------------------------------------- */

/* By send(2), as far as it goes: bytes sent, or -errno when it was none. */
static ssize_t send_now(struct zcp_msg_link *link, const uint8_t *data, size_t len, bool wait)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(link->sock, data + done, len - done,
			 MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
		if (n < 0 && errno == EINTR && done)
			continue;
		if (n < 0)
			return done && errno == EAGAIN ? (ssize_t)done : -errno;
		done += n;
	}
	return (ssize_t)done;
}

/* Errors that do not end the connection. */
static bool is_passing(int ret)
{
	return ret == -EAGAIN || ret == -EINTR || ret == -ENOMEM;
}

/* Whatever it takes. */
static int send_rest(struct zcp_msg_link *link, const uint8_t *data, size_t len)
{
	struct pollfd pfd = { .fd = link->sock, .events = POLLOUT };
	ssize_t n;

	for (;;) {
		n = send_now(link, data, len, false);
		if (n < 0 && !is_passing((int)n))
			return (int)n;
		if (n > 0) {
			data += n;
			len -= n;
		}
		if (!len)
			return 0;
		poll(&pfd, 1, -1);
	}
}

/* Returns the first error of the link, which may be another one. */
static int broken(struct zcp_msg_link *link, int error)
{
	link_fail(link, error);
	msg_gathered_drop(link);
	return -link_error(link);
}

/* Submits what was gathered as one job: 0, or -errno and it still is gathered. */
static int submit(struct zcp_msg_link *link, bool wait)
{
	struct zcp_msg *msg = link->msg;
	struct flight *f = link->flight;
	struct zcp_job job = {
		.size = sizeof(job),
		.link = link->id,
		.mode = f->copied || !link->by_ref ? ZCP_MODE_COPY : ZCP_MODE_AUTO,
		.complete = ZCP_COMPLETE_ACKED,
		.nr_segments = f->nr,
		.segments = (uintptr_t)link->segment,
		.user_data = (uintptr_t)f,
	};
	uint64_t held, over;
	int ret;

	f->copied = job.mode == ZCP_MODE_COPY;
	f->held = 0;
	for (uint32_t i = 0; i < f->nr; i++) {
		f->held += bucket_bytes(&msg->pool->bucket[pool_bucket(msg->pool, f->buf[i])]);
		pool_lend(msg->pool, f->buf[i], link->segment[i].len);
	}
	held = f->held;
	flight_count(link, f);
	do {
		/* Nothing goes behind a job that has ended part way. */
		ret = -link_error(link);
		if (ret)
			break;
		over = counted(&msg->over);
		ret = msg_submit(link, &job, held);
		/* Our own open jobs may be what the limit is made of. */
		if (ret == -EAGAIN)
			ret = msg_wait_room(msg, over, wait);
	} while (!ret);
	if (ret < 0)
		goto err;
	flight_taken(msg);
	link->flight = NULL;
	link->staging = NULL;
	link->begun = false;
	return 0;

err:
	flight_uncount(link, f);
	for (uint32_t i = 0; i < f->nr; i++)
		pool_unlend(msg->pool, f->buf[i]);
	return ret;
}

/* What is gathered and has not been sent. */
static const uint8_t *segment_data(const struct zcp_msg_link *link, uint32_t i)
{
	return link->msg->pool->base + link->segment[i].addr;
}

/*
 * What was gathered is one buffer of copies, or has begun by send(2), which can go on:
 * 0, -errno, or 1 when it is for a job.
 */
static int flush_copies(struct zcp_msg_link *link, bool wait)
{
	struct flight *f = link->flight;
	struct zcp_segment *s = &link->segment[0];
	ssize_t n;

	if (f->nr != 1 || (f->buf[0] != link->staging && !link->begun) || link_open(link))
		return 1;
	/* Of the jobs that have ended by now. */
	if (link_error(link))
		return -link_error(link);
	n = send_now(link, segment_data(link, 0), s->len, wait);
	if (n == -EAGAIN)
		return 1;
	if (n < 0)
		return (int)n;
	s->addr += n;
	s->len -= n;
	f->bytes -= n;
	if (s->len) {
		link->begun = true;
		return 1;
	}
	empty(link);
	return 0;
}

/*
 * No job takes what has begun, and none of the link is open: whatever it takes, it
 * goes by send(2).
 */
static int finish(struct zcp_msg_link *link)
{
	int ret;

	for (uint32_t i = 0; i < link->flight->nr; i++) {
		ret = send_rest(link, segment_data(link, i), link->segment[i].len);
		if (ret)
			return ret;
	}
	empty(link);
	return 0;
}

/*
 * 0; what the kernel does not take now stays gathered, which is -EAGAIN: if @wait, only
 * when none of it has been sent.
 */
static int flush(struct zcp_msg_link *link, bool wait)
{
	int ret;

	if (!gathered(link))
		return 0;
	if (link_error(link))
		return -link_error(link);
	ret = flush_copies(link, wait);
	if (ret == 1)
		ret = submit(link, wait);
	if (is_passing(ret) && wait && link->begun)
		ret = finish(link);
	return ret;
}

/* Waits until @len bytes more may be on their way. */
static int make_room(struct zcp_msg_link *link, size_t len, bool wait)
{
	struct zcp_msg *msg = link->msg;
	uint64_t more = len + (link->flight ? link->flight->bytes : 0);
	bool looked = false;
	int ret;

	while (link_open(link) && link_unacked(link) + more > msg->window) {
		if (looked && !wait)
			return -EAGAIN;
		ret = msg_wait_event(msg, wait ? -1 : 0);
		if (ret < 0)
			return ret;
		looked = true;
	}
	return 0;
}

struct message {
	void *buf;
	size_t len;
	bool owned; /* a buffer of the pool */
	bool pages; /* of whole pages */
	bool more, wait;
};

/* Only copies, and no job is open: returns 1 when bytes are left for one. */
static int send_copy(struct zcp_msg_link *link, const struct message *m, size_t *from)
{
	ssize_t n;

	*from = 0;
	/* Of the jobs that have ended by now. */
	if (link_error(link))
		return -link_error(link);
	/* The rest must not wait for memory. */
	if (!m->wait && !gathering(link))
		return -ENOMEM;
	n = send_now(link, m->buf, m->len, m->wait);
	if (n > 0)
		*from = n;
	if (n == (ssize_t)m->len)
		return 0;
	return n >= 0 || n == -EAGAIN ? 1 : (int)n;
}

/* Adds a message to what is gathered. */
static int gather(struct zcp_msg_link *link, const struct message *m, size_t from)
{
	bool alone = !gathered(link) && !m->more;

	if (!gathering(link))
		return -ENOMEM;
	if (!gathered(link))
		link->batch++;
	if (m->owned && ((m->pages && m->len > STAGE_MAX) || alone || from)) {
		if (!m->pages)
			link->flight->copied = true;
		add_segment(link, m->buf, from, m->len - from);
		return 0;
	}
	return stage(link, (uint8_t *)m->buf + from, m->len - from, alone, m->wait);
}

static bool is_full(const struct zcp_msg_link *link)
{
	uint64_t half = link->msg->window / 2;

	/* Room for the parts of a long message that is copied. */
	return gathered(link) + link->msg->parts >= link->msg->batch ||
	       link->flight->bytes >= (half < BATCH_BYTES ? half : BATCH_BYTES);
}

static int send_job(struct zcp_msg_link *link, struct message *m, size_t from)
{
	struct mark mark;
	bool by_itself;
	int ret;

	ret = make_room(link, m->len, m->wait);
	/* What has begun must go on. */
	if (ret && !from)
		return ret;
	mark_set(&mark, link);
	ret = gather(link, m, from);
	by_itself = !ret && link->flight->nr && link->flight->buf[link->flight->nr - 1] == m->buf;
	if (!ret) {
		link->begun |= from > 0;
		if (!m->more || is_full(link))
			ret = flush(link, m->wait);
		/* It goes before everything else, when there is room. */
		if (is_passing(ret) && link->begun)
			ret = 0;
	}
	if (ret) {
		mark_undo(&mark, link, m->buf);
		/* There is no memory to keep the rest in. */
		if (is_passing(ret) && from)
			ret = send_rest(link, (uint8_t *)m->buf + from, m->len - from);
		else if (is_passing(ret))
			return ret;
		if (ret)
			return broken(link, -ret);
		by_itself = false;
	}
	/* It has been copied. */
	if (m->owned && !by_itself)
		zcp_pool_free(link->msg->pool, m->buf);
	return 0;
}

/*
 * The same of memory that is not the pool's, which must not wait: so there is a buffer
 * for what send(2) leaves before it takes a part.
 */
static int send_spare(struct zcp_msg_link *link, const struct message *foreign)
{
	struct zcp_pool *pool = link->msg->pool;
	struct message m = *foreign;
	size_t from;
	int ret;

	ret = zcp_pool_alloc(pool, m.len, &m.buf);
	if (ret)
		return ret;
	ret = send_copy(link, foreign, &from);
	if (ret <= 0)
		goto free;
	memcpy((uint8_t *)m.buf + from, (uint8_t *)foreign->buf + from, m.len - from);
	m.owned = true;
	m.pages = bucket_bytes(&pool->bucket[pool_bucket(pool, m.buf)]) >= pool->page;
	ret = send_job(link, &m, from);
	if (!ret)
		return 0;
free:
	zcp_pool_free(pool, m.buf);
	return ret;
}

static int send_message(struct zcp_msg_link *link, struct message *m)
{
	bool by_ref = link->by_ref && m->pages && m->len >= link->msg->threshold;
	size_t from = 0;
	int ret;

	/* What could not be submitted before. */
	if (link->begun) {
		ret = flush(link, m->wait);
		if (ret)
			return ret;
	}
	if (link_error(link))
		return -link_error(link);
	if (by_ref || m->more || gathered(link) || link_open(link)) {
		ret = send_job(link, m, 0);
	} else if (!m->wait && !m->owned && m->len > largest(link->msg->pool)) {
		/* By several buffers, of which send(2) sees none. */
		ret = send_job(link, m, 0);
	} else if (!m->wait && !m->owned) {
		ret = send_spare(link, m);
	} else {
		ret = send_copy(link, m, &from);
		if (ret < 0)
			return ret;
		if (!ret && m->owned)
			zcp_pool_free(link->msg->pool, m->buf);
		if (ret)
			ret = send_job(link, m, from);
	}
	if (ret)
		return ret;
	count(&link->messages);
	count(by_ref ? &link->referenced : &link->copied);
	__atomic_store_n(&link->bytes, link->bytes + m->len, __ATOMIC_RELAXED);
	return 0;
}

int zcp_send_msg(struct zcp_msg_link *link, void *buf, size_t len, uint32_t flags)
{
	struct message m = { .buf = buf, .len = len };
	struct zcp_pool *pool;
	size_t bytes;
	int saved = errno;
	int ret;

	if (!link || !buf || !len)
		return -EINVAL;
	if (flags & ~(ZCP_MSG_MORE | ZCP_MSG_NONBLOCK))
		return -EOPNOTSUPP;
	pool = link->msg->pool;
	if (!pool_is_ours(pool))
		return -EPERM;
	m.more = flags & ZCP_MSG_MORE || link->msg->linger_us;
	m.wait = !((flags | link->msg->flags) & ZCP_MSG_NONBLOCK);
	m.owned = pool_has(pool, buf);
	if (m.owned) {
		ret = pool_bucket(pool, buf);
		if (ret < 0)
			return ret;
		bytes = bucket_bytes(&pool->bucket[ret]);
		if (len > bytes)
			return -EINVAL;
		m.pages = bytes >= pool->page;
	} else if (len > link->msg->parts * largest(pool)) {
		return -EMSGSIZE;
	}
	pthread_mutex_lock(&link->lock);
	ret = send_message(link, &m);
	if (link->msg->linger_us && gathered(link))
		msg_linger(link);
	pthread_mutex_unlock(&link->lock);
	errno = saved;
	return ret;
}

static int flush_all(struct zcp_msg_link *link, bool wait)
{
	int ret = -link_error(link);

	if (!ret)
		ret = flush(link, wait);
	return !ret || is_passing(ret) ? ret : broken(link, -ret);
}

void msg_flush_now(struct zcp_msg_link *link)
{
	flush_all(link, false);
}

int zcp_msg_flush(struct zcp_msg_link *link)
{
	int saved = errno;
	int ret;

	if (!link)
		return -EINVAL;
	if (!pool_is_ours(link->msg->pool))
		return -EPERM;
	pthread_mutex_lock(&link->lock);
	ret = flush_all(link, !(link->msg->flags & ZCP_MSG_NONBLOCK));
	pthread_mutex_unlock(&link->lock);
	errno = saved;
	return ret;
}

/* What is kept, as far as it goes at once: 0, 1 when something is kept still, or -errno. */
static int flush_some(struct zcp_msg_link *link, bool wait)
{
	int ret;

	if (wait)
		pthread_mutex_lock(&link->lock);
	else if (pthread_mutex_trylock(&link->lock))
		return 1;
	ret = flush_all(link, false);
	pthread_mutex_unlock(&link->lock);
	return is_passing(ret) ? 1 : ret;
}

static int pause_ms(int ms)
{
	struct timespec ts = { .tv_nsec = ms * 1000000L };

	return nanosleep(&ts, NULL) ? -EINTR : 0;
}

static int wait_all(struct zcp_msg_link *link, int timeout_ms)
{
	int64_t deadline = msg_deadline(timeout_ms);
	int left = timeout_ms;
	int kept, ret;

	for (;;) {
		kept = flush_some(link, timeout_ms < 0);
		if (kept < 0)
			return kept;
		ret = msg_wait_link(link, kept && (left < 0 || left > KEPT_MS) ? KEPT_MS : left);
		if (link_error(link))
			return -link_error(link);
		if (ret != -EAGAIN && (ret || !kept))
			return ret;
		if (!left)
			return -EAGAIN;
		/* It is somebody else who makes room. */
		if (!ret) {
			ret = pause_ms(left < 0 || left > KEPT_MS ? KEPT_MS : left);
			if (ret)
				return ret;
		}
		left = msg_left(deadline);
	}
}

int zcp_msg_wait(struct zcp_msg_link *link, int timeout_ms)
{
	int saved = errno;
	int ret;

	if (!link)
		return -EINVAL;
	if (!pool_is_ours(link->msg->pool))
		return -EPERM;
	ret = wait_all(link, timeout_ms);
	errno = saved;
	return ret;
}
