/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the pool share.
 *
 * A pool is one memfd, mapped once. Each bucket (class) has its own part of it,
 * span bytes long, so that an address tells its bucket and the buffer's number
 * without a look-up. Memory comes in slabs. What is known about a buffer is kept
 * outside of it: nothing of the library's is ever in what is sent.
 *
 *	thread's magazines  <->  free stacks of the slabs  <->  the system
 *	(no lock, no atomics)    (zcp_pool.lock)
 *
 * Locks, outer first: zcp_msg_link.lock, zcp_pool.reap_lock, zcp_msg.lock,
 * the lock of all threads' caches, zcp_pool.lock.
 */
#ifndef LIBZCP_SLAB_H
#define LIBZCP_SLAB_H

#include <pthread.h>
#include <stdbool.h>

#include <zcp/pool.h>

#include "internal.h"

#define CLASSES_MAX 19
#define CLASS_SHIFT_MIN 4
#define CLASS_SHIFT_MAX 22
#define MAGAZINE 64
#define NO_SLAB UINT32_MAX

/* Debug: what a buffer is, and what it was when it was handed over. */
enum tag_state {
	TAG_FREE, /* in the pool */
	TAG_USED, /* the program's */
	TAG_SENT, /* on its way */
};

struct tag {
	uint64_t sum;
	uint32_t len;
	uint32_t state;
};

struct slab {
	uint16_t *free;	  /* stack of the numbers of free buffers; NULL: no memory */
	struct tag *tags; /* debug only */
	uint32_t prev, next;
	uint32_t nfree;
};

/* Slabs with free buffers are in a list: those that are not wholly free first. */
struct bucket {
	unsigned int shift, slab_shift;
	uint32_t per_slab;
	uint32_t room;	  /* buffers a magazine keeps */
	uint32_t made;	  /* slabs that have ever had memory */
	uint32_t max;	  /* slabs there is room for */
	uint32_t retired; /* stack of slabs without memory */
	uint32_t head, tail;
	uint64_t taken, given; /* by threads that have ended */
	struct slab *slab;
};

struct magazine {
	uint32_t n, room;
	uint64_t taken, given; /* by this thread; others read them */
	void *buf[MAGAZINE];
};

/* A thread's own buffers of one pool. */
struct cache {
	uint64_t id;
	struct zcp_pool *pool;	    /* NULL when it has been closed */
	struct cache *next;	    /* of the thread */
	struct cache *prev_in_pool; /* of the pool */
	struct cache *next_in_pool;
	struct magazine magazine[CLASSES_MAX];
};

/* Who can make buffers come back. */
struct reaper {
	void (*reap)(struct reaper *r);
	struct reaper *next;
};

struct zcp_pool {
	/*
	 * The pool's id, on a page that a fork clears: no test is needed on the
	 * fast path, as no thread has a cache with the id 0.
	 */
	uint64_t *life;
	uint8_t *base;
	unsigned int span_shift, min_shift, classes;
	bool debug;
	int fd;
	size_t page;
	size_t bytes; /* of the mapping */
	uint64_t id, limit;
	uint64_t in_flight; /* atomic */
	uint64_t refusals, renewed;

	pthread_mutex_t lock;
	uint64_t reserved, high_water, misses;
	struct bucket bucket[CLASSES_MAX];

	struct cache *caches; /* under the lock of all threads' caches */

	pthread_mutex_t reap_lock;
	struct reaper *reapers;
};

static inline bool pool_is_ours(const struct zcp_pool *pool)
{
	return *pool->life == pool->id;
}

static inline size_t bucket_bytes(const struct bucket *c)
{
	return (size_t)1 << c->shift;
}

/* Plain loads and stores, for counters that one thread writes. */
static inline void count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline uint64_t counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* --- slab.c --- */

int slabs_init(struct zcp_pool *pool);
void slabs_free(struct zcp_pool *pool);
/* Takes up to @n buffers that are free; returns how many. */
uint32_t slabs_take(struct zcp_pool *pool, unsigned int cls, void **buf, uint32_t n);
void slabs_give(struct zcp_pool *pool, unsigned int cls, void *const *buf, uint32_t n);
/* Gets memory for another slab: 0, -EAGAIN at the limit, -ENOMEM. */
int slabs_grow(struct zcp_pool *pool, unsigned int cls);
/* Gives free slabs back until @keep bytes are held; returns bytes given back. */
uint64_t slabs_trim(struct zcp_pool *pool, uint64_t keep);
/* The tag of a buffer, in debug mode. */
struct tag *slabs_tag(struct zcp_pool *pool, unsigned int cls, const void *buf);
/* Gives a buffer of whole pages new memory; the old may be in packets. */
int slabs_renew(struct zcp_pool *pool, void *buf, size_t bytes);

/* --- guard.c: debug mode --- */

/* Before a slab gets its memory, and after. */
void guard_open(void *buf, size_t bytes);
void guard_new(struct zcp_pool *pool, unsigned int cls, void *buf, size_t bytes);
void guard_alloc(struct zcp_pool *pool, unsigned int cls, void *buf);
void guard_free(struct zcp_pool *pool, unsigned int cls, void *buf);
void guard_send(struct zcp_pool *pool, unsigned int cls, void *buf, size_t len);
void guard_unsend(struct zcp_pool *pool, unsigned int cls, void *buf);
void guard_back(struct zcp_pool *pool, unsigned int cls, void *buf);

/* --- pool.c: for messengers --- */

/* Whether @buf is in the pool's memory. */
bool pool_has(const struct zcp_pool *pool, const void *buf);
/* The bucket of a buffer, or -EINVAL when none begins there. */
int pool_bucket(const struct zcp_pool *pool, const void *buf);
uint64_t pool_offset(const struct zcp_pool *pool, const void *buf);
/* A buffer is on its way. */
void pool_lend(struct zcp_pool *pool, void *buf, size_t len);
/* It was not sent after all. */
void pool_unlend(struct zcp_pool *pool, void *buf);
/* It is back. @renew: packets may still be sent from it; for whole pages only. */
void pool_back(struct zcp_pool *pool, void *buf, bool renew);
void pool_add_reaper(struct zcp_pool *pool, struct reaper *r);
void pool_del_reaper(struct zcp_pool *pool, struct reaper *r);

#endif /* LIBZCP_SLAB_H */
