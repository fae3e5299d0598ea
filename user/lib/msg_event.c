// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The end of messages: events of jobs, by which buffers go back to the pool.
 */
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "msg.h"

#define EVENTS 64
/* Sent between two looks at events: little enough for the CPU's caches. */
#define WARM_BYTES (2 << 20)
/* Who waits for room, or for what may be refused, looks again after this. */
#define AGAIN_MS 100

struct flight *flight_new(struct zcp_msg *msg)
{
	struct flight *f;

	pthread_mutex_lock(&msg->lock);
	f = msg->unused;
	if (f)
		msg->unused = f->next;
	pthread_mutex_unlock(&msg->lock);
	if (!f)
		f = malloc(sizeof(*f));
	if (f) {
		f->nr = 0;
		f->bytes = 0;
		f->copied = false;
	}
	return f;
}

static void flight_free_locked(struct zcp_msg *msg, struct flight *f)
{
	f->next = msg->unused;
	msg->unused = f;
}

void flight_free(struct zcp_msg *msg, struct flight *f)
{
	pthread_mutex_lock(&msg->lock);
	flight_free_locked(msg, f);
	pthread_mutex_unlock(&msg->lock);
}

/* Before the submission: the event may come before that returns. */
void flight_count(struct zcp_msg_link *link, const struct flight *f)
{
	struct zcp_msg *msg = link->msg;

	pthread_mutex_lock(&msg->lock);
	__atomic_store_n(&msg->open, msg->open + 1, __ATOMIC_RELAXED);
	msg->jobs++;
	__atomic_fetch_add(&msg->pending, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&link->unacked, link->unacked + f->held, __ATOMIC_RELAXED);
	__atomic_store_n(&link->open, link->open + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&msg->lock);
}

void flight_taken(struct zcp_msg *msg)
{
	__atomic_fetch_sub(&msg->pending, 1, __ATOMIC_RELAXED);
}

static void uncount_locked(struct zcp_msg_link *link, const struct flight *f)
{
	__atomic_store_n(&link->msg->open, link->msg->open - 1, __ATOMIC_RELAXED);
	__atomic_store_n(&link->unacked, link->unacked - f->held, __ATOMIC_RELAXED);
	__atomic_store_n(&link->open, link->open - 1, __ATOMIC_RELEASE);
}

void flight_uncount(struct zcp_msg_link *link, const struct flight *f)
{
	pthread_mutex_lock(&link->msg->lock);
	link->msg->jobs--;
	flight_taken(link->msg);
	uncount_locked(link, f);
	pthread_mutex_unlock(&link->msg->lock);
}

/* Under zcp_msg.lock. */
static void end(struct zcp_msg *msg, const struct zcp_event *event)
{
	struct flight *f = (void *)(uintptr_t)event->user_data;
	struct zcp_msg_link *link = f->link;
	/*
	 * What was sent and is not acknowledged may be sent again: from the old
	 * memory, which is not the buffer any more then.
	 */
	bool renew = event->bytes_sent > event->bytes_acked && !f->copied;

	if (event->state != ZCP_STATE_DONE) {
		msg->failed++;
		link_fail(link, event->error ? (int)event->error : EIO);
	}
	for (uint32_t i = 0; i < f->nr; i++)
		pool_back(msg->pool, f->buf[i], renew);
	__atomic_store_n(&msg->over, msg->over + 1, __ATOMIC_RELAXED);
	uncount_locked(link, f);
	flight_free_locked(msg, f);
}

/* Who was reading has read them; under zcp_msg.lock. */
static void ended(struct zcp_msg *msg, const struct zcp_event *events, int n)
{
	msg->reading = false;
	for (int i = 0; i < n; i++)
		end(msg, &events[i]);
	pthread_cond_broadcast(&msg->cond);
}

/* Reads events; with zcp_msg.lock, which it leaves while it waits. */
static int read_events(struct zcp_msg *msg, int timeout_ms)
{
	struct zcp_event events[EVENTS];
	int n;

	msg->reading = true;
	pthread_mutex_unlock(&msg->lock);
	n = zcp_event_read(msg->ctx, events, EVENTS, timeout_ms);
	pthread_mutex_lock(&msg->lock);
	ended(msg, events, n);
	return n;
}

static void deadline_in(struct timespec *ts, int ms)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += ms % 1000 * 1000000L;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_nsec -= 1000000000;
		ts->tv_sec++;
	}
}

/* The same, or waits for the thread that does; not for longer than is sure to end. */
static int wait_locked(struct zcp_msg *msg, int timeout_ms)
{
	struct timespec ts;

	if (!msg->open)
		return 0;
	/* A job that the kernel refuses has no event. */
	if (counted(&msg->pending) && (timeout_ms < 0 || timeout_ms > AGAIN_MS))
		timeout_ms = AGAIN_MS;
	if (!msg->reading)
		return read_events(msg, timeout_ms);
	if (timeout_ms < 0) {
		pthread_cond_wait(&msg->cond, &msg->lock);
	} else if (timeout_ms) {
		deadline_in(&ts, timeout_ms);
		pthread_cond_timedwait(&msg->cond, &msg->lock, &ts);
	}
	return 0;
}

int msg_wait_event(struct zcp_msg *msg, int timeout_ms)
{
	int ret;

	pthread_mutex_lock(&msg->lock);
	ret = wait_locked(msg, timeout_ms);
	pthread_mutex_unlock(&msg->lock);
	return ret;
}

int msg_wait_room(struct zcp_msg *msg, uint64_t over, bool wait)
{
	int ret = 0;

	pthread_mutex_lock(&msg->lock);
	if (msg->over != over)
		goto unlock; /* whichever thread has read its event */
	if (!wait) {
		/* Unread events have room too. */
		if (!msg->reading)
			ret = wait_locked(msg, 0);
		if (!ret)
			ret = -EAGAIN;
		goto unlock;
	}
	msg->refused++;
	ret = msg->open <= msg->refused ? -EAGAIN : wait_locked(msg, AGAIN_MS);
	msg->refused--;
unlock:
	pthread_mutex_unlock(&msg->lock);
	return ret < 0 ? ret : 0;
}

/*
 * What has been acknowledged by now goes back, so that the buffers that are used next
 * are those that were used last: the CPU's caches still have them, and writing to them
 * takes half of the time. A submission that reads events as well takes no longer for it.
 */
int msg_submit(struct zcp_msg_link *link, struct zcp_job *job, uint64_t bytes)
{
	struct zcp_msg *msg = link->msg;
	struct zcp_event events[EVENTS];
	bool look = false;
	int ret, n;

	if (link->unlooked + bytes >= WARM_BYTES) {
		pthread_mutex_lock(&msg->lock);
		/* Another thread may wait for one of them: they are for that one, then. */
		look = !msg->reading;
		msg->reading = true;
		pthread_mutex_unlock(&msg->lock);
	}
	if (!look) {
		ret = zcp_job_submit(msg->ctx, job, 1, NULL);
		if (ret > 0)
			link->unlooked += bytes;
		return ret;
	}
	link->unlooked = 0;
	ret = zcp_job_submit_and_read(msg->ctx, job, 1, NULL, events, EVENTS, &n);
	pthread_mutex_lock(&msg->lock);
	ended(msg, events, n);
	pthread_mutex_unlock(&msg->lock);
	return ret;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t msg_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

int msg_left(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - now_ms();
	return left < 0 ? 0 : (int)left;
}

int msg_wait_link(struct zcp_msg_link *link, int timeout_ms)
{
	int64_t deadline = msg_deadline(timeout_ms);
	struct zcp_msg *msg = link->msg;
	int left = timeout_ms;
	int ret = 0;

	pthread_mutex_lock(&msg->lock);
	while (link->open && ret >= 0) {
		ret = wait_locked(msg, left);
		if (!left && !ret)
			break;
		/* Events of other links may go on coming. */
		if (deadline >= 0 && now_ms() > deadline)
			break;
		left = msg_left(deadline);
	}
	if (ret >= 0)
		ret = link->open ? -EAGAIN : 0;
	pthread_mutex_unlock(&msg->lock);
	return ret;
}

/* For zcp_pool_alloc(): what is there now. */
void msg_reap(struct reaper *r)
{
	struct zcp_msg *msg = (struct zcp_msg *)r;

	pthread_mutex_lock(&msg->lock);
	if (!msg->reading)
		wait_locked(msg, 0);
	pthread_mutex_unlock(&msg->lock);
}

int zcp_msg_reap(struct zcp_msg *msg, int timeout_ms)
{
	int64_t deadline = msg_deadline(timeout_ms);
	uint64_t over;
	int n;

	if (!msg)
		return -EINVAL;
	if (!pool_is_ours(msg->pool))
		return -EPERM;
	pthread_mutex_lock(&msg->lock);
	over = msg->over;
	for (;;) {
		n = wait_locked(msg, timeout_ms);
		/* There may be more, which are not waited for. */
		if (n != EVENTS && (n < 0 || !timeout_ms || msg->over != over || !msg->open))
			break;
		timeout_ms = n == EVENTS ? 0 : msg_left(deadline);
	}
	over = msg->over - over;
	pthread_mutex_unlock(&msg->lock);
	if (over)
		return over < INT_MAX ? (int)over : INT_MAX;
	return n < 0 ? n : 0;
}
