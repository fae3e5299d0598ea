/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the messenger share.
 */
#ifndef LIBZCP_MSG_H
#define LIBZCP_MSG_H

#include <sys/queue.h>

#include "slab.h"

/*
 * Segments of a job at most, and its bytes, when messages are gathered; or half of the
 * window. Segments of one message at most. Fewer where the kernel allows fewer.
 */
#define BATCH 64
#define PARTS_MAX 16
#define BATCH_BYTES (2 << 20)

/*
 * The buffers of a job. They are the kernel's from its submission to its event,
 * which has this address in its user_data.
 */
struct flight {
	struct zcp_msg_link *link;
	struct flight *next; /* of those that are not used */
	uint64_t bytes;
	uint64_t held; /* memory of the pool, which is what the window bounds */
	uint32_t nr;
	bool copied; /* no packet refers to the buffers */
	void *buf[BATCH];
};

TAILQ_HEAD(linger_list, zcp_msg_link);

struct zcp_msg {
	struct reaper reaper; /* first */
	struct zcp_pool *pool;
	struct zcp_ctx *ctx;
	uint64_t threshold, window;
	uint32_t flags;
	uint32_t batch, parts; /* BATCH and PARTS_MAX, or less */

	pthread_mutex_t lock;
	/* One thread at a time reads events; the others wait for it to have some. */
	pthread_cond_t cond;
	bool reading;
	/* Jobs that are open, and that have ended: written under the lock, read without. */
	uint64_t open, over;
	uint64_t pending; /* atomic; of those that are open: the kernel has not taken them yet */
	uint64_t refused; /* of these: have had no room, and wait for it */
	uint64_t jobs, failed;
	struct flight *unused;
	struct zcp_msg_link *links;
	struct zcp_msg_stats gone; /* of links that were removed */

	/* The thread that sends what has waited long enough; none when linger_us is 0. */
	uint32_t linger_us;
	pthread_t thread;
	pthread_cond_t linger_cond; /* for it: a link has been listed, or the end */
	struct linger_list lingering;
	struct zcp_msg_link *looked_at; /* not in the list, its lock is the thread's */
	pthread_cond_t looked;		/* it is not any more */
	bool ending;
};

struct zcp_msg_link {
	struct zcp_msg *msg;
	struct zcp_msg_link *next; /* under zcp_msg.lock */
	uint32_t id;
	int sock;
	bool by_ref;

	/* Of the events: written under zcp_msg.lock, read without. */
	uint64_t open, unacked;
	int error; /* atomic: the first one, of an event or of who sends */

	/* Who sends holds it, also while it waits: that is the order of messages. */
	pthread_mutex_t lock;
	struct flight *flight; /* what is gathered for the next job, or NULL */
	void *staging;	       /* the last buffer of it, when messages are copied there */
	size_t staged;	       /* bytes in it */
	uint64_t unlooked;     /* bytes of buffers that went since events were looked at */
	bool begun;	       /* its first bytes have been sent: it cannot be undone */
	bool listed;	       /* in zcp_msg.lingering, or looked at */
	uint64_t batch;	       /* counts what is gathered */
	uint64_t seen;	       /* the batch that the thread has found here */
	struct zcp_segment segment[BATCH];
	uint64_t messages, bytes, copied, referenced;

	TAILQ_ENTRY(zcp_msg_link) linger; /* under zcp_msg.lock */
};

/* --- msg_send.c --- */

/* What was gathered is lost, and its buffers are in the pool. */
void msg_gathered_drop(struct zcp_msg_link *link);
/* With zcp_msg_link.lock. */
bool msg_has_gathered(const struct zcp_msg_link *link);
/* Sends what is gathered as far as the kernel takes it without waiting. */
void msg_flush_now(struct zcp_msg_link *link);

/* --- msg_linger.c --- */

int msg_linger_start(struct zcp_msg *msg);
void msg_linger_stop(struct zcp_msg *msg);
/* With zcp_msg_link.lock: something is gathered, which the thread is to send in time. */
void msg_linger(struct zcp_msg_link *link);
/* The link is about to be removed. */
void msg_linger_forget(struct zcp_msg_link *link);

/* --- msg_event.c --- */

struct flight *flight_new(struct zcp_msg *msg);
void flight_free(struct zcp_msg *msg, struct flight *f);
/* A job is about to be submitted, the kernel has it, or could not take it. */
void flight_count(struct zcp_msg_link *link, const struct flight *f);
void flight_taken(struct zcp_msg *msg);
void flight_uncount(struct zcp_msg_link *link, const struct flight *f);
/*
 * Waits for an event of any link, if a job is open: their number, 0 when the time
 * is over, another thread has read some or it is worth another look, or -errno.
 */
int msg_wait_event(struct zcp_msg *msg, int timeout_ms);
/*
 * A submission was refused, before which @over jobs had ended. 0: there may be room now;
 * -EAGAIN: there is not, and it is not to be waited for, or no job is open but refused
 * ones; or -errno.
 */
int msg_wait_room(struct zcp_msg *msg, uint64_t over, bool wait);
/* Submits a job of so many bytes of buffers, as zcp_job_submit(), and may read events. */
int msg_submit(struct zcp_msg_link *link, struct zcp_job *job, uint64_t bytes);
/* When a time is over that begins now, and what is left of it; negative for ever. */
int64_t msg_deadline(int timeout_ms);
int msg_left(int64_t deadline);
/* Waits until all jobs of a link have ended: 0, -EAGAIN or -EINTR. */
int msg_wait_link(struct zcp_msg_link *link, int timeout_ms);
void msg_reap(struct reaper *r);

static inline uint64_t link_open(const struct zcp_msg_link *link)
{
	return __atomic_load_n(&link->open, __ATOMIC_ACQUIRE);
}

static inline uint64_t link_unacked(const struct zcp_msg_link *link)
{
	return __atomic_load_n(&link->unacked, __ATOMIC_RELAXED);
}

static inline int link_error(const struct zcp_msg_link *link)
{
	return __atomic_load_n(&link->error, __ATOMIC_RELAXED);
}

/* Only the first one counts. */
static inline void link_fail(struct zcp_msg_link *link, int error)
{
	int none = 0;

	__atomic_compare_exchange_n(&link->error, &none, error, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

#endif /* LIBZCP_MSG_H */
