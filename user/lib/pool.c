// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pools: buffers of memory that is a file. Each thread keeps some of each bucket
 * at hand, in a cache that nobody else touches; whole batches go to and from the
 * slabs.
 *
 * A cache is the thread's, which frees it, and in the list of its pool. Both
 * ends, of the thread and of the pool, take the lock of all caches.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "slab.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

#define LIMIT_DEFAULT (256ULL << 20)
#define LIMIT_MAX (1ULL << 36)
#define BYTES_MIN (1U << CLASS_SHIFT_MIN)
#define BYTES_MAX (1U << CLASS_SHIFT_MAX)

static pthread_mutex_t caches_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* whose destructor gives the caches back */
static bool key_made;
static uint64_t last_id;

/* The pool this thread used last, and all of its caches: without a call to find them. */
#define QUICK __attribute__((tls_model("initial-exec")))
static __thread uint64_t my_id QUICK;
static __thread struct cache *my_cache QUICK;
static __thread struct cache *my_caches QUICK;

/* --- caches ----------------------------------------------------------- */

/* All buffers of a cache go to the slabs; its pool is open. */
static void cache_empty(struct cache *c)
{
	for (unsigned int i = 0; i < c->pool->classes; i++) {
		struct magazine *m = &c->magazine[i];

		if (m->n)
			slabs_give(c->pool, i, m->buf, m->n);
		m->n = 0;
	}
}

/* Under the lock of all caches: the pool forgets it. */
static void cache_leave(struct cache *c)
{
	struct zcp_pool *pool = c->pool;

	if (c->prev_in_pool)
		c->prev_in_pool->next_in_pool = c->next_in_pool;
	else
		pool->caches = c->next_in_pool;
	if (c->next_in_pool)
		c->next_in_pool->prev_in_pool = c->prev_in_pool;
	for (unsigned int i = 0; i < pool->classes; i++) {
		pool->bucket[i].taken += counted(&c->magazine[i].taken);
		pool->bucket[i].given += counted(&c->magazine[i].given);
	}
	c->pool = NULL;
}

static void thread_ends(void *arg)
{
	struct cache *c, *next;

	(void)arg;
	pthread_mutex_lock(&caches_lock);
	for (c = my_caches; c; c = next) {
		next = c->next;
		/* In a child the pool is only the parent's. */
		if (c->pool && pool_is_ours(c->pool)) {
			cache_empty(c);
			cache_leave(c);
		}
		free(c);
	}
	pthread_mutex_unlock(&caches_lock);
	my_caches = NULL;
	my_cache = NULL;
	my_id = 0;
}

static void before_fork(void)
{
	pthread_mutex_lock(&caches_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&caches_lock);
}

static void init_once(void)
{
	if (pthread_atfork(before_fork, after_fork, after_fork))
		return;
	key_made = !pthread_key_create(&key, thread_ends);
}

/* Those of pools that have been closed. */
static void forget_closed(void)
{
	struct cache **at = &my_caches;
	struct cache *c;

	while ((c = *at)) {
		if (c->pool) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		free(c);
	}
}

static struct cache *cache_new(struct zcp_pool *pool)
{
	struct cache *c;

	/* Any value does but NULL: it calls the destructor. */
	if (pthread_setspecific(key, &my_caches))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->id = pool->id;
	for (unsigned int i = 0; i < pool->classes; i++)
		c->magazine[i].room = pool->bucket[i].room;
	pthread_mutex_lock(&caches_lock);
	forget_closed();
	c->pool = pool;
	c->next_in_pool = pool->caches;
	if (pool->caches)
		pool->caches->prev_in_pool = c;
	pool->caches = c;
	c->next = my_caches;
	my_caches = c;
	pthread_mutex_unlock(&caches_lock);
	return c;
}

static struct cache *cache_find(struct zcp_pool *pool)
{
	struct cache *c;

	for (c = my_caches; c; c = c->next)
		if (c->id == pool->id)
			break;
	if (!c)
		c = cache_new(pool);
	if (c) {
		my_id = pool->id;
		my_cache = c;
	}
	return c;
}

/* This thread's; NULL in a child, or without memory. */
static inline struct cache *cache_get(struct zcp_pool *pool)
{
	uint64_t id = *pool->life;

	if (__builtin_expect(id == my_id && id, 1))
		return my_cache;
	return id ? cache_find(pool) : NULL;
}

/* --- opening and closing ------------------------------------------------ */

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static unsigned int shift_of(uint64_t n)
{
	return 63 - __builtin_clzll(n);
}

static int opts_check(struct zcp_pool_opts *o)
{
	const char *env = secure_getenv("ZCP_POOL_DEBUG");

	if (o->flags & ~ZCP_POOL_DEBUG || o->reserved)
		return -EOPNOTSUPP;
	if (!o->limit)
		o->limit = LIMIT_DEFAULT;
	if (!o->min_bytes)
		o->min_bytes = BYTES_MIN;
	if (!o->max_bytes)
		o->max_bytes = BYTES_MAX;
	if (!is_power_of_two(o->min_bytes) || !is_power_of_two(o->max_bytes) ||
	    o->min_bytes < BYTES_MIN || o->max_bytes > BYTES_MAX || o->min_bytes > o->max_bytes ||
	    o->limit > LIMIT_MAX)
		return -EINVAL;
	if (env && !strcmp(env, "1"))
		o->flags |= ZCP_POOL_DEBUG;
	return 0;
}

static int memory_file(uint64_t bytes)
{
	int fd;
	int ret;

	fd = syscall(SYS_memfd_create, "zcp-pool", 1U | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = syscall(SYS_memfd_create, "zcp-pool", 1U);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int memory_map(struct zcp_pool *pool)
{
	void *p;

	p = mmap(NULL, pool->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	pool->life = p;
	if (madvise(p, pool->page, MADV_WIPEONFORK))
		return -errno;
	pool->bytes = (uint64_t)pool->classes << pool->span_shift;
	pool->fd = memory_file(pool->bytes);
	if (pool->fd < 0)
		return pool->fd;
	p = mmap(NULL, pool->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, pool->fd,
		 0);
	if (p == MAP_FAILED)
		return -errno;
	pool->base = p;
	/* A child that writes would change what the parent sends. */
	if (madvise(p, pool->bytes, MADV_DONTFORK))
		return -errno;
	return 0;
}

static void pool_release(struct zcp_pool *pool)
{
	/* In a child there is nothing of ours at this address. */
	if (pool->base && pool_is_ours(pool))
		munmap(pool->base, pool->bytes);
	if (pool->fd >= 0)
		close(pool->fd);
	slabs_free(pool);
	if (pool->life)
		munmap(pool->life, pool->page);
	free(pool);
}

static int pool_make(struct zcp_pool **out, const struct zcp_pool_opts *o)
{
	struct zcp_pool *pool;
	int ret;

	pthread_once(&once, init_once);
	if (!key_made)
		return -EAGAIN;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return -ENOMEM;
	pool->fd = -1;
	pool->page = sysconf(_SC_PAGESIZE);
	pool->limit = o->limit;
	pool->debug = o->flags & ZCP_POOL_DEBUG;
	pool->min_shift = shift_of(o->min_bytes);
	pool->classes = shift_of(o->max_bytes) - pool->min_shift + 1;
	pool->span_shift = CLASS_SHIFT_MAX;
	while (1ULL << pool->span_shift < o->limit)
		pool->span_shift++;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_mutex_init(&pool->reap_lock, NULL);
	ret = memory_map(pool);
	if (!ret)
		ret = slabs_init(pool);
	if (ret) {
		if (pool->life)
			*pool->life = pool->id;
		pool_release(pool);
		return ret;
	}
	pool->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	*pool->life = pool->id;
	*out = pool;
	return 0;
}

int zcp_pool_open(struct zcp_pool **pool, const struct zcp_pool_opts *opts)
{
	struct zcp_pool_opts o;
	int saved = errno;
	int ret;

	if (!pool)
		return -EINVAL;
	*pool = NULL;
	ret = zcp_opts_get(&o, sizeof(o), opts);
	if (!ret)
		ret = opts_check(&o);
	if (!ret)
		ret = pool_make(pool, &o);
	errno = saved;
	return ret;
}

/* Buffers and bytes of them that are not in the pool, under the lock of all caches. */
static uint64_t outstanding(struct zcp_pool *pool, uint64_t *taken, uint64_t *bytes)
{
	uint64_t all = 0;

	*taken = 0;
	*bytes = 0;
	for (unsigned int i = 0; i < pool->classes; i++) {
		struct bucket *b = &pool->bucket[i];
		uint64_t t = b->taken, n = b->taken - b->given;

		for (struct cache *c = pool->caches; c; c = c->next_in_pool) {
			t += counted(&c->magazine[i].taken);
			n += counted(&c->magazine[i].taken) - counted(&c->magazine[i].given);
		}
		*taken += t;
		/* Given was read later than taken and may be ahead. */
		if ((int64_t)n < 0)
			n = 0;
		all += n;
		*bytes += n << b->shift;
	}
	return all;
}

int zcp_pool_close(struct zcp_pool *pool)
{
	uint64_t taken, bytes;
	int saved = errno;

	if (!pool)
		return 0;
	pthread_mutex_lock(&caches_lock);
	if (pool_is_ours(pool)) {
		if (pool->reapers || outstanding(pool, &taken, &bytes)) {
			pthread_mutex_unlock(&caches_lock);
			return -EBUSY;
		}
		while (pool->caches)
			cache_leave(pool->caches);
	} else {
		for (struct cache *c = my_caches; c; c = c->next)
			if (c->pool == pool)
				c->pool = NULL;
	}
	pthread_mutex_unlock(&caches_lock);
	pool_release(pool);
	errno = saved;
	return 0;
}

/* --- buffers ------------------------------------------------------------ */

bool pool_has(const struct zcp_pool *pool, const void *buf)
{
	return (uintptr_t)buf - (uintptr_t)pool->base < pool->bytes;
}

uint64_t pool_offset(const struct zcp_pool *pool, const void *buf)
{
	return (uintptr_t)buf - (uintptr_t)pool->base;
}

int pool_bucket(const struct zcp_pool *pool, const void *buf)
{
	uint64_t at = pool_offset(pool, buf);
	unsigned int cls;

	if (at >= pool->bytes)
		return -EINVAL;
	cls = at >> pool->span_shift;
	return at & (bucket_bytes(&pool->bucket[cls]) - 1) ? -EINVAL : (int)cls;
}

static void reap(struct zcp_pool *pool)
{
	/* Somebody else is at it: what comes back is for all. */
	if (pthread_mutex_trylock(&pool->reap_lock))
		return;
	for (struct reaper *r = pool->reapers; r; r = r->next)
		r->reap(r);
	pthread_mutex_unlock(&pool->reap_lock);
}

/* An empty magazine: 0 when it has some. */
static int refill(struct zcp_pool *pool, struct magazine *m, unsigned int cls)
{
	/* In debug mode no buffer is without its tag, which the slabs have. */
	uint32_t want = pool->debug ? 1 : (m->room + 1) / 2;
	int ret;

	m->n = slabs_take(pool, cls, m->buf, want);
	if (m->n)
		return 0;
	if (counted(&pool->in_flight)) {
		reap(pool);
		if (m->n)
			return 0;
	}
	do {
		m->n = slabs_take(pool, cls, m->buf, want);
		if (m->n)
			return 0;
		ret = slabs_grow(pool, cls);
	} while (!ret);
	__atomic_fetch_add(&pool->refusals, 1, __ATOMIC_RELAXED);
	return ret;
}

/* A full magazine: half of it goes to the slabs, those that were used longest ago. */
static void drain(struct zcp_pool *pool, struct magazine *m, unsigned int cls)
{
	uint32_t n = (m->n + 1) / 2;

	slabs_give(pool, cls, m->buf, n);
	m->n -= n;
	memmove(m->buf, m->buf + n, m->n * sizeof(m->buf[0]));
}

static __attribute__((noinline)) int alloc_slowly(struct zcp_pool *pool, struct cache *c,
						  unsigned int cls, void **buf)
{
	struct magazine *m = &c->magazine[cls];
	int saved = errno;
	int ret = 0;

	if (!m->n)
		ret = refill(pool, m, cls);
	errno = saved;
	if (ret)
		return ret;
	*buf = m->buf[--m->n];
	count(&m->taken);
	if (pool->debug)
		guard_alloc(pool, cls, *buf);
	return 0;
}

int zcp_pool_alloc(struct zcp_pool *pool, size_t len, void **buf)
{
	struct magazine *m;
	unsigned int cls;
	struct cache *c;

	if (!pool || !buf)
		return -EINVAL;
	*buf = NULL;
	if (!len)
		return -EINVAL;
	cls = len == 1 ? 0 : 64 - __builtin_clzll(len - 1);
	cls = cls > pool->min_shift ? cls - pool->min_shift : 0;
	if (cls >= pool->classes)
		return -EMSGSIZE;
	c = cache_get(pool);
	if (!c)
		return pool_is_ours(pool) ? -ENOMEM : -EPERM;
	m = &c->magazine[cls];
	if (__builtin_expect(!m->n || pool->debug, 0))
		return alloc_slowly(pool, c, cls, buf);
	*buf = m->buf[--m->n];
	count(&m->taken);
	return 0;
}

static inline void put(struct zcp_pool *pool, struct cache *c, unsigned int cls, void *buf)
{
	struct magazine *m = &c->magazine[cls];

	if (m->n == m->room)
		drain(pool, m, cls);
	m->buf[m->n++] = buf;
	count(&m->given);
}

static void put_debug(struct zcp_pool *pool, struct cache *c, unsigned int cls, void *buf)
{
	slabs_give(pool, cls, &buf, 1);
	count(&c->magazine[cls].given);
}

int zcp_pool_free(struct zcp_pool *pool, void *buf)
{
	struct cache *c;
	int cls;

	if (!pool)
		return -EINVAL;
	if (!buf)
		return 0;
	cls = pool_bucket(pool, buf);
	if (cls < 0)
		return cls;
	c = cache_get(pool);
	if (!c)
		return pool_is_ours(pool) ? -ENOMEM : -EPERM;
	if (__builtin_expect(pool->debug, 0)) {
		guard_free(pool, cls, buf);
		put_debug(pool, c, cls, buf);
		return 0;
	}
	put(pool, c, cls, buf);
	return 0;
}

int zcp_pool_locate(const struct zcp_pool *pool, const void *buf, int *fd, uint64_t *offset,
		    size_t *bytes)
{
	int cls;

	if (!pool)
		return -EINVAL;
	if (!pool_is_ours(pool))
		return -EPERM;
	cls = pool_bucket(pool, buf);
	if (cls < 0)
		return cls;
	if (fd)
		*fd = pool->fd;
	if (offset)
		*offset = pool_offset(pool, buf);
	if (bytes)
		*bytes = bucket_bytes(&pool->bucket[cls]);
	return 0;
}

int zcp_pool_trim(struct zcp_pool *pool, uint64_t keep, uint64_t *bytes)
{
	int saved = errno;
	struct cache *c;
	uint64_t given;

	if (!pool)
		return -EINVAL;
	if (!pool_is_ours(pool))
		return -EPERM;
	c = cache_get(pool);
	if (c)
		cache_empty(c);
	given = slabs_trim(pool, keep);
	if (bytes)
		*bytes = given;
	errno = saved;
	return 0;
}

int zcp_pool_get_stats(struct zcp_pool *pool, struct zcp_pool_stats *stats)
{
	struct zcp_pool_stats s = { 0 };
	uint64_t taken;
	size_t size;

	if (!pool || !stats || stats->size < sizeof(stats->size))
		return -EINVAL;
	if (!pool_is_ours(pool))
		return -EPERM;
	size = stats->size;
	pthread_mutex_lock(&caches_lock);
	s.outstanding = outstanding(pool, &taken, &s.used_bytes);
	for (struct cache *c = pool->caches; c; c = c->next_in_pool)
		s.threads++;
	pthread_mutex_lock(&pool->lock);
	s.misses = pool->misses;
	s.high_water = pool->high_water;
	s.reserved_bytes = pool->reserved;
	pthread_mutex_unlock(&pool->lock);
	pthread_mutex_unlock(&caches_lock);
	s.hits = taken > s.misses ? taken - s.misses : 0;
	s.refusals = counted(&pool->refusals);
	s.in_flight = counted(&pool->in_flight);
	s.renewed = counted(&pool->renewed);
	s.limit = pool->limit;
	memset(stats, 0, size);
	memcpy(stats, &s, size < sizeof(s) ? size : sizeof(s));
	stats->size = size;
	return 0;
}

/* --- for messengers ------------------------------------------------------ */

void pool_lend(struct zcp_pool *pool, void *buf, size_t len)
{
	__atomic_fetch_add(&pool->in_flight, 1, __ATOMIC_RELAXED);
	if (pool->debug)
		guard_send(pool, pool_bucket(pool, buf), buf, len);
}

void pool_unlend(struct zcp_pool *pool, void *buf)
{
	if (pool->debug)
		guard_unsend(pool, pool_bucket(pool, buf), buf);
	__atomic_fetch_sub(&pool->in_flight, 1, __ATOMIC_RELAXED);
}

void pool_back(struct zcp_pool *pool, void *buf, bool renew)
{
	int cls = pool_bucket(pool, buf);
	struct cache *c = cache_get(pool);

	if (pool->debug)
		guard_back(pool, cls, buf);
	if (renew) {
		__atomic_fetch_add(&pool->renewed, 1, __ATOMIC_RELAXED);
		slabs_renew(pool, buf, bucket_bytes(&pool->bucket[cls]));
	}
	/* Without a cache for want of memory it goes where others find it. */
	if (!c || pool->debug)
		slabs_give(pool, cls, &buf, 1);
	else
		put(pool, c, cls, buf);
	if (c && pool->debug)
		count(&c->magazine[cls].given);
	else if (!c)
		__atomic_fetch_add(&pool->bucket[cls].given, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&pool->in_flight, 1, __ATOMIC_RELAXED);
}

void pool_add_reaper(struct zcp_pool *pool, struct reaper *r)
{
	pthread_mutex_lock(&pool->reap_lock);
	r->next = pool->reapers;
	pool->reapers = r;
	pthread_mutex_unlock(&pool->reap_lock);
}

void pool_del_reaper(struct zcp_pool *pool, struct reaper *r)
{
	struct reaper **at;

	pthread_mutex_lock(&pool->reap_lock);
	for (at = &pool->reapers; *at != r; at = &(*at)->next)
		;
	*at = r->next;
	pthread_mutex_unlock(&pool->reap_lock);
}
