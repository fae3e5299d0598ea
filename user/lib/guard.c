// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The debug mode of a pool: buffers that are used when they should not be.
 *
 * What is on its way must not be changed to find that out: a buffer of whole
 * pages cannot be accessed meanwhile, and of a smaller one a checksum is kept.
 * Free ones are filled with a pattern, or cannot be accessed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "slab.h"

#define PATTERN 0xdb

static bool has_pages(const struct zcp_pool *pool, unsigned int cls)
{
	return bucket_bytes(&pool->bucket[cls]) >= pool->page;
}

__attribute__((noreturn)) static void found(const struct zcp_pool *pool, unsigned int cls,
					    const void *buf, const char *what)
{
	fprintf(stderr, "libzcp: buffer %p of %zu bytes: %s\n", buf,
		bucket_bytes(&pool->bucket[cls]), what);
	abort();
}

static uint64_t sum(const uint8_t *p, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * 0x100000001b3;
	return hash;
}

static bool is_pattern(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != PATTERN)
			return false;
	return true;
}

/* A lock on access may fail: a process may have only so many mappings. */
static void allow(void *buf, size_t bytes, int access)
{
	int saved = errno;

	mprotect(buf, bytes, access);
	errno = saved;
}

void guard_open(void *buf, size_t bytes)
{
	allow(buf, bytes, PROT_READ | PROT_WRITE);
}

void guard_new(struct zcp_pool *pool, unsigned int cls, void *buf, size_t bytes)
{
	if (has_pages(pool, cls))
		allow(buf, bytes, PROT_NONE);
	else
		memset(buf, PATTERN, bytes);
}

void guard_alloc(struct zcp_pool *pool, unsigned int cls, void *buf)
{
	struct tag *tag = slabs_tag(pool, cls, buf);
	size_t bytes = bucket_bytes(&pool->bucket[cls]);

	if (has_pages(pool, cls))
		guard_open(buf, bytes);
	else if (!is_pattern(buf, bytes))
		found(pool, cls, buf, "written to after it had been freed");
	tag->state = TAG_USED;
}

static void hide(struct zcp_pool *pool, unsigned int cls, void *buf)
{
	size_t bytes = bucket_bytes(&pool->bucket[cls]);

	if (has_pages(pool, cls))
		allow(buf, bytes, PROT_NONE);
	else
		memset(buf, PATTERN, bytes);
}

void guard_free(struct zcp_pool *pool, unsigned int cls, void *buf)
{
	struct tag *tag = slabs_tag(pool, cls, buf);

	if (tag->state == TAG_FREE)
		found(pool, cls, buf, "freed twice");
	if (tag->state == TAG_SENT)
		found(pool, cls, buf, "freed after it had been sent");
	tag->state = TAG_FREE;
	hide(pool, cls, buf);
}

void guard_send(struct zcp_pool *pool, unsigned int cls, void *buf, size_t len)
{
	struct tag *tag = slabs_tag(pool, cls, buf);
	size_t bytes = bucket_bytes(&pool->bucket[cls]);

	if (tag->state == TAG_FREE)
		found(pool, cls, buf, "sent after it had been freed");
	if (tag->state == TAG_SENT)
		found(pool, cls, buf, "sent twice");
	tag->state = TAG_SENT;
	tag->len = len;
	if (has_pages(pool, cls))
		allow(buf, bytes, PROT_NONE);
	else
		tag->sum = sum(buf, bytes);
}

void guard_unsend(struct zcp_pool *pool, unsigned int cls, void *buf)
{
	slabs_tag(pool, cls, buf)->state = TAG_USED;
	if (has_pages(pool, cls))
		guard_open(buf, bucket_bytes(&pool->bucket[cls]));
}

void guard_back(struct zcp_pool *pool, unsigned int cls, void *buf)
{
	struct tag *tag = slabs_tag(pool, cls, buf);
	size_t bytes = bucket_bytes(&pool->bucket[cls]);

	if (!has_pages(pool, cls) && tag->sum != sum(buf, bytes))
		found(pool, cls, buf, "written to after it had been sent");
	tag->state = TAG_FREE;
	hide(pool, cls, buf);
}
