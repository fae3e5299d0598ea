// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Slabs: the memory of a pool, and the buffers in it that no thread has.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "slab.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SMALL_SLAB_SHIFT 16 /* of buffers up to 4 KiB */
#define SLAB_SHIFT 18
#define SMALL_SHIFT 12
/* A thread keeps no more than so many bytes of a bucket at hand, and two buffers. */
#define MAGAZINE_BYTES (256 << 10)

static uint8_t *slab_base(const struct zcp_pool *pool, const struct bucket *c, uint32_t nr)
{
	return pool->base + ((uint64_t)(c - pool->bucket) << pool->span_shift) +
	       ((uint64_t)nr << c->slab_shift);
}

static uint32_t slab_of(const struct zcp_pool *pool, const struct bucket *c, const void *buf)
{
	return ((uintptr_t)buf - (uintptr_t)slab_base(pool, c, 0)) >> c->slab_shift;
}

static uint32_t number_in_slab(const struct zcp_pool *pool, const struct bucket *c, const void *buf)
{
	return (((uintptr_t)buf - (uintptr_t)slab_base(pool, c, 0)) >> c->shift) &
	       (c->per_slab - 1);
}

int slabs_init(struct zcp_pool *pool)
{
	for (unsigned int i = 0; i < pool->classes; i++) {
		struct bucket *c = &pool->bucket[i];
		uint64_t room;

		c->shift = pool->min_shift + i;
		c->slab_shift = c->shift <= SMALL_SHIFT ? SMALL_SLAB_SHIFT : SLAB_SHIFT;
		if (c->slab_shift < c->shift)
			c->slab_shift = c->shift;
		c->per_slab = 1U << (c->slab_shift - c->shift);
		room = MAGAZINE_BYTES >> c->shift;
		c->room = room > MAGAZINE ? MAGAZINE : room < 2 ? 2 : room;
		c->max = 1ULL << (pool->span_shift - c->slab_shift);
		c->retired = NO_SLAB;
		c->head = NO_SLAB;
		c->tail = NO_SLAB;
		c->slab = calloc(c->max, sizeof(*c->slab));
		if (!c->slab)
			return -ENOMEM;
	}
	return 0;
}

void slabs_free(struct zcp_pool *pool)
{
	for (unsigned int i = 0; i < pool->classes; i++) {
		struct bucket *c = &pool->bucket[i];

		for (uint32_t nr = 0; c->slab && nr < c->made; nr++)
			free(c->slab[nr].free);
		free(c->slab);
	}
}

static void list_del(struct bucket *c, uint32_t nr)
{
	struct slab *s = &c->slab[nr];

	if (s->prev == NO_SLAB)
		c->head = s->next;
	else
		c->slab[s->prev].next = s->next;
	if (s->next == NO_SLAB)
		c->tail = s->prev;
	else
		c->slab[s->next].prev = s->prev;
}

static void list_add_head(struct bucket *c, uint32_t nr)
{
	struct slab *s = &c->slab[nr];

	s->prev = NO_SLAB;
	s->next = c->head;
	if (c->head == NO_SLAB)
		c->tail = nr;
	else
		c->slab[c->head].prev = nr;
	c->head = nr;
}

static void list_add_tail(struct bucket *c, uint32_t nr)
{
	struct slab *s = &c->slab[nr];

	s->next = NO_SLAB;
	s->prev = c->tail;
	if (c->tail == NO_SLAB)
		c->head = nr;
	else
		c->slab[c->tail].next = nr;
	c->tail = nr;
}

uint32_t slabs_take(struct zcp_pool *pool, unsigned int cls, void **buf, uint32_t n)
{
	struct bucket *c = &pool->bucket[cls];
	uint32_t got = 0;

	pthread_mutex_lock(&pool->lock);
	while (got < n && c->head != NO_SLAB) {
		uint32_t nr = c->head;
		struct slab *s = &c->slab[nr];
		uint8_t *base = slab_base(pool, c, nr);

		while (got < n && s->nfree)
			buf[got++] = base + ((size_t)s->free[--s->nfree] << c->shift);
		if (!s->nfree)
			list_del(c, nr);
	}
	pthread_mutex_unlock(&pool->lock);
	return got;
}

void slabs_give(struct zcp_pool *pool, unsigned int cls, void *const *buf, uint32_t n)
{
	struct bucket *c = &pool->bucket[cls];

	pthread_mutex_lock(&pool->lock);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t nr = slab_of(pool, c, buf[i]);
		struct slab *s = &c->slab[nr];

		s->free[s->nfree++] = number_in_slab(pool, c, buf[i]);
		if (s->nfree == c->per_slab) {
			if (c->per_slab > 1)
				list_del(c, nr);
			/* Of those that are wholly free the last used is the next. */
			if (c->per_slab > 1)
				list_add_tail(c, nr);
			else
				list_add_head(c, nr);
		} else if (s->nfree == 1) {
			list_add_head(c, nr);
		}
	}
	pthread_mutex_unlock(&pool->lock);
}

/* So that no access to them finds the system without memory, which is SIGBUS. */
static int populate(const struct zcp_pool *pool, void *memory, size_t bytes)
{
	if (!madvise(memory, bytes, MADV_POPULATE_WRITE))
		return 0;
	/* Before Linux 5.14. */
	if (errno == EINVAL &&
	    !fallocate(pool->fd, 0, (uint8_t *)memory - pool->base, (off_t)bytes))
		return 0;
	return -ENOMEM;
}

static int discard(const struct zcp_pool *pool, void *memory, size_t bytes)
{
	if (fallocate(pool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (uint8_t *)memory - pool->base, (off_t)bytes))
		return -errno;
	return 0;
}

/* A slab without memory that nobody else sees, or NO_SLAB. Takes from the limit. */
static uint32_t slab_reserve(struct zcp_pool *pool, struct bucket *c)
{
	uint64_t bytes = 1ULL << c->slab_shift;
	uint32_t nr = NO_SLAB;

	pthread_mutex_lock(&pool->lock);
	if (pool->reserved + bytes <= pool->limit && (c->retired != NO_SLAB || c->made < c->max)) {
		nr = c->retired;
		if (nr == NO_SLAB)
			nr = c->made++;
		else
			c->retired = c->slab[nr].next;
		pool->reserved += bytes;
		if (pool->reserved > pool->high_water)
			pool->high_water = pool->reserved;
	}
	pthread_mutex_unlock(&pool->lock);
	return nr;
}

static void slab_retire(struct zcp_pool *pool, struct bucket *c, uint32_t nr)
{
	struct slab *s = &c->slab[nr];

	free(s->free);
	s->free = NULL;
	s->tags = NULL;
	s->nfree = 0;
	s->next = c->retired;
	c->retired = nr;
	pool->reserved -= 1ULL << c->slab_shift;
}

int slabs_grow(struct zcp_pool *pool, unsigned int cls)
{
	struct bucket *c = &pool->bucket[cls];
	size_t bytes = (size_t)1 << c->slab_shift;
	size_t numbers = (c->per_slab * sizeof(uint16_t) + 15) / 16 * 16;
	struct slab *s;
	uint8_t *base;
	uint32_t nr;
	int ret;

	nr = slab_reserve(pool, c);
	if (nr == NO_SLAB && bytes <= pool->limit) {
		/* What other buckets have and do not use. */
		slabs_trim(pool, pool->limit - bytes);
		nr = slab_reserve(pool, c);
	}
	if (nr == NO_SLAB)
		return -EAGAIN;

	/* Without the lock: it takes its time. */
	s = &c->slab[nr];
	base = slab_base(pool, c, nr);
	if (pool->debug)
		guard_open(base, bytes);
	s->nfree = 0;
	s->free = malloc(numbers + (pool->debug ? c->per_slab * sizeof(struct tag) : 0));
	ret = s->free ? populate(pool, base, bytes) : -ENOMEM;
	if (ret) {
		discard(pool, base, bytes);
		pthread_mutex_lock(&pool->lock);
		slab_retire(pool, c, nr);
		pthread_mutex_unlock(&pool->lock);
		return ret;
	}
	if (pool->debug) {
		s->tags = (struct tag *)((uint8_t *)s->free + numbers);
		memset(s->tags, 0, c->per_slab * sizeof(struct tag));
		guard_new(pool, cls, base, bytes);
	}
	for (uint32_t i = 0; i < c->per_slab; i++)
		s->free[i] = c->per_slab - 1 - i;
	pthread_mutex_lock(&pool->lock);
	s->nfree = c->per_slab;
	pool->misses++;
	list_add_head(c, nr);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

uint64_t slabs_trim(struct zcp_pool *pool, uint64_t keep)
{
	uint64_t given = 0;

	pthread_mutex_lock(&pool->lock);
	for (unsigned int i = pool->classes; i-- && pool->reserved > keep;) {
		struct bucket *c = &pool->bucket[i];
		size_t bytes = (size_t)1 << c->slab_shift;
		uint32_t nr, prev;

		for (nr = c->tail; nr != NO_SLAB && pool->reserved > keep; nr = prev) {
			prev = c->slab[nr].prev;
			if (c->slab[nr].nfree < c->per_slab)
				continue;
			if (discard(pool, slab_base(pool, c, nr), bytes))
				continue;
			list_del(c, nr);
			slab_retire(pool, c, nr);
			given += bytes;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return given;
}

struct tag *slabs_tag(struct zcp_pool *pool, unsigned int cls, const void *buf)
{
	struct bucket *c = &pool->bucket[cls];

	return &c->slab[slab_of(pool, c, buf)].tags[number_in_slab(pool, c, buf)];
}

int slabs_renew(struct zcp_pool *pool, void *buf, size_t bytes)
{
	int ret;

	ret = discard(pool, buf, bytes);
	return ret ? ret : populate(pool, buf, bytes);
}
