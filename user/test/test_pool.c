// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pools: what needs no kernel module.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcp/pool.h>

#include "tap.h"

#define THREADS 4
#define KEPT 32

static struct zcp_pool *open_pool(uint64_t limit, uint32_t flags)
{
	struct zcp_pool_opts opts = { .size = sizeof(opts), .limit = limit, .flags = flags };
	struct zcp_pool *pool;

	if (zcp_pool_open(&pool, &opts))
		exit(2);
	return pool;
}

static void *get(struct zcp_pool *pool, size_t len)
{
	void *buf;

	if (zcp_pool_alloc(pool, len, &buf))
		exit(2);
	return buf;
}

static struct zcp_pool_stats stats_of(struct zcp_pool *pool)
{
	struct zcp_pool_stats stats = { .size = sizeof(stats) };

	if (zcp_pool_get_stats(pool, &stats))
		exit(2);
	return stats;
}

/* What a child that calls @fn dies of: a signal, or minus its exit status. */
static int fate(void (*fn)(struct zcp_pool *pool), struct zcp_pool *pool)
{
	struct rlimit none = { 0 };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		close(2);
		fn(pool);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(2);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void test_options(void)
{
	struct zcp_pool_opts opts = { .size = sizeof(opts) };
	struct zcp_pool *pool;
	void *buf;

	opts.flags = 1U << 31;
	ok(zcp_pool_open(&pool, &opts) == -EOPNOTSUPP && !pool, "undefined flag: EOPNOTSUPP");
	opts.flags = 0;
	opts.min_bytes = 24;
	ok(zcp_pool_open(&pool, &opts) == -EINVAL, "a bucket that is no power of two: EINVAL");
	opts.min_bytes = 8;
	ok(zcp_pool_open(&pool, &opts) == -EINVAL, "a bucket too small: EINVAL");
	opts.min_bytes = 0;
	opts.max_bytes = 8 << 20;
	ok(zcp_pool_open(&pool, &opts) == -EINVAL, "a bucket too large: EINVAL");
	opts.max_bytes = 1024;
	opts.min_bytes = 256;
	ok(!zcp_pool_open(&pool, &opts), "buckets of 256 B to 1 KiB");
	ok(zcp_pool_alloc(pool, 1025, &buf) == -EMSGSIZE && !buf, "too long for it: EMSGSIZE");
	ok(zcp_pool_alloc(pool, 0, &buf) == -EINVAL && zcp_pool_alloc(pool, 1, NULL) == -EINVAL &&
		   zcp_pool_alloc(NULL, 1, &buf) == -EINVAL,
	   "no bytes, no room for the answer, no pool: EINVAL");
	ok(!zcp_pool_alloc(pool, 1, &buf) && !((uintptr_t)buf & 255), "the smallest bucket");
	ok(zcp_pool_free(pool, (char *)buf + 16) == -EINVAL &&
		   zcp_pool_free(pool, &opts) == -EINVAL && !zcp_pool_free(pool, NULL),
	   "what is not where a buffer begins is not freed");
	ok(zcp_pool_close(pool) == -EBUSY, "closing it with a buffer outstanding: EBUSY");
	zcp_pool_free(pool, buf);
	ok(!zcp_pool_close(pool) && !zcp_pool_close(NULL), "close");
}

/* A buffer is the file: what is written to one is read from the other. */
static void test_is_a_file(void)
{
	struct zcp_pool *pool = open_pool(0, 0);
	char text[6] = "";
	size_t bytes;
	int good = 1;
	uint64_t at;
	void *buf;
	int fd;

	for (unsigned int shift = 4; shift <= 22; shift++) {
		size_t len = ((size_t)1 << shift) - (shift > 4);

		buf = get(pool, len);
		memcpy(buf, "bytes", 6);
		good &= !zcp_pool_locate(pool, buf, &fd, &at, &bytes) &&
			bytes == (size_t)1 << shift && !(at & (bytes - 1)) &&
			pread(fd, text, 6, at) == 6 && !strcmp(text, "bytes");
		memset(buf, 1, bytes);
		zcp_pool_free(pool, buf);
	}
	ok(good, "19 buckets of 16 B to 4 MiB, each part of the file");
	ok(zcp_pool_locate(pool, &fd, &fd, NULL, NULL) == -EINVAL, "other memory is not: EINVAL");
	zcp_pool_close(pool);
}

static void test_stats_and_limit(void)
{
	struct zcp_pool *pool = open_pool(8 << 20, 0);
	struct zcp_pool_stats s, shorter = { .size = offsetof(struct zcp_pool_stats, misses) };
	void *buf[40];
	uint64_t bytes;
	int n, ret = 0;

	for (n = 0; n < 40 && !ret; n++)
		ret = zcp_pool_alloc(pool, 1 << 20, &buf[n]);
	ok(ret == -EAGAIN && n == 9, "8 MiB are 8 buffers of 1 MiB, the next is EAGAIN");
	s = stats_of(pool);
	ok(s.outstanding == 8 && s.used_bytes == 8 << 20 && s.reserved_bytes == 8 << 20 &&
		   s.high_water == 8 << 20 && s.limit == 8 << 20 && s.refusals == 1 &&
		   s.misses == 8 && !s.hits && s.threads == 1,
	   "what the statistics say of that");
	ok(zcp_pool_alloc(pool, 64, &buf[8]) == -EAGAIN, "nor is there a small one: EAGAIN");
	for (int i = 0; i < 8; i++)
		zcp_pool_free(pool, buf[i]);
	for (int i = 0; i < 8; i++)
		buf[i] = get(pool, 1 << 20);
	s = stats_of(pool);
	ok(s.hits == 8 && s.misses == 8, "buffers that came back are used again");
	for (int i = 0; i < 8; i++)
		zcp_pool_free(pool, buf[i]);
	ok(!zcp_pool_alloc(pool, 64, &buf[0]) && stats_of(pool).reserved_bytes <= 8 << 20,
	   "another bucket gets the memory of free buffers");
	ok(!zcp_pool_trim(pool, 0, &bytes) && bytes >= 7 << 20, "trim gives the rest back");
	s = stats_of(pool);
	ok(s.reserved_bytes == 64 << 10 && s.used_bytes == 64 && s.high_water == 8 << 20,
	   "one small buffer keeps one slab");
	zcp_pool_free(pool, buf[0]);
	ok(!zcp_pool_get_stats(pool, &shorter) && shorter.hits, "a shorter structure");
	ok(!zcp_pool_trim(pool, 0, NULL) && !stats_of(pool).reserved_bytes, "no buffer, no memory");
	ok(!zcp_pool_close(pool), "close");
}

/* The file's own blocks: that memory given back is, and is had again as zeros. */
static void test_trim(void)
{
	struct zcp_pool *pool = open_pool(0, 0);
	unsigned char *buf = get(pool, 1 << 20);
	struct stat st;
	int fd;

	memset(buf, 7, 1 << 20);
	zcp_pool_locate(pool, buf, &fd, NULL, NULL);
	fstat(fd, &st);
	ok(st.st_blocks * 512 == 1 << 20, "a buffer takes its memory");
	zcp_pool_free(pool, buf);
	zcp_pool_trim(pool, 0, NULL);
	fstat(fd, &st);
	ok(!st.st_blocks, "trimmed, it takes none");
	buf = get(pool, 1 << 20);
	ok(!buf[0] && !buf[(1 << 20) - 1], "and is zeros when it is used again");
	zcp_pool_free(pool, buf);
	zcp_pool_close(pool);
}

/* --- threads -------------------------------------------------------------- */

struct hammer {
	struct zcp_pool *pool;
	void **mail; /* buffers that go from thread to thread */
	unsigned int seed, wrong;
	long rounds;
};

/* Each buffer begins with its own address and its length. */
static void mark(void **buf, size_t len)
{
	buf[0] = buf;
	((size_t *)buf)[1] = len;
}

static int is_marked(void **buf)
{
	return buf[0] == buf && ((size_t *)buf)[1] >= 16;
}

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	void *kept[KEPT] = { 0 };

	for (long i = 0; i < h->rounds; i++) {
		unsigned int k = rand_r(&h->seed) % KEPT;
		unsigned int shift = 4 + rand_r(&h->seed) % 13;
		size_t len = ((size_t)1 << shift) + rand_r(&h->seed) % (1U << shift);
		void *other;

		if (kept[k]) {
			h->wrong += !is_marked(kept[k]);
			/* Half of them are freed by whoever finds them. */
			other = kept[k];
			if (rand_r(&h->seed) & 1)
				other = __atomic_exchange_n(&h->mail[k], kept[k], __ATOMIC_ACQ_REL);
			if (other) {
				h->wrong += !is_marked(other);
				zcp_pool_free(h->pool, other);
			}
			kept[k] = NULL;
		}
		if (!zcp_pool_alloc(h->pool, len, &kept[k]))
			mark(kept[k], len);
		if (i % 4096 == 0)
			zcp_pool_trim(h->pool, 1 << 20, NULL);
	}
	for (int k = 0; k < KEPT; k++)
		zcp_pool_free(h->pool, kept[k]);
	return NULL;
}

static void test_threads(long rounds)
{
	struct zcp_pool *pool = open_pool(32 << 20, 0);
	struct hammer h[THREADS];
	void *mail[KEPT] = { 0 };
	pthread_t thread[THREADS];
	struct zcp_pool_stats s;
	unsigned int wrong = 0;

	for (int i = 0; i < THREADS; i++) {
		h[i] = (struct hammer){ pool, mail, i, 0, rounds };
		if (pthread_create(&thread[i], NULL, hammer, &h[i]))
			exit(2);
	}
	for (int i = 0; i < 100; i++)
		stats_of(pool);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		wrong += h[i].wrong;
	}
	for (int k = 0; k < KEPT; k++)
		zcp_pool_free(pool, mail[k]);
	s = stats_of(pool);
	ok(!wrong, "no buffer is two threads'");
	ok(!s.outstanding && !s.used_bytes, "all buffers are back");
	ok(s.threads <= 1, "threads that ended have left what they had");
	ok(s.high_water <= 32 << 20, "the limit was kept");
	zcp_pool_trim(pool, 0, NULL);
	ok(!stats_of(pool).reserved_bytes, "all memory can be given back");
	ok(!zcp_pool_close(pool), "close");
}

static struct zcp_pool *pools[200];

static void *use_and_stay(void *arg)
{
	pthread_barrier_t *barrier = arg;

	for (int i = 0; i < 200; i++)
		zcp_pool_free(pools[i], get(pools[i], 100));
	pthread_barrier_wait(barrier);
	/* They have been closed. */
	pthread_barrier_wait(barrier);
	return NULL;
}

/* More pools than keys a process may have would find out if each had one. */
static void test_closed_before_thread_ends(void)
{
	pthread_barrier_t barrier;
	pthread_t thread;
	int good = 1;

	pthread_barrier_init(&barrier, NULL, 2);
	for (int i = 0; i < 200; i++)
		pools[i] = open_pool(1 << 20, 0);
	if (pthread_create(&thread, NULL, use_and_stay, &barrier))
		exit(2);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < 200; i++)
		good &= !zcp_pool_close(pools[i]);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	ok(good, "pools that are closed before threads that used them end");
}

/* --- fork ------------------------------------------------------------------ */

static char *parents;

static void child_uses(struct zcp_pool *pool)
{
	struct zcp_pool_stats s = { .size = sizeof(s) };
	struct zcp_pool *own;
	uint64_t at;
	void *buf;

	if (zcp_pool_alloc(pool, 64, &buf) != -EPERM || buf ||
	    zcp_pool_free(pool, parents) != -EPERM || zcp_pool_trim(pool, 0, NULL) != -EPERM ||
	    zcp_pool_get_stats(pool, &s) != -EPERM ||
	    zcp_pool_locate(pool, parents, NULL, &at, NULL) != -EPERM)
		_exit(1);
	/* One of its own works, and closing the parent's one is right. */
	if (zcp_pool_open(&own, NULL) || zcp_pool_alloc(own, 64, &buf) || zcp_pool_free(own, buf) ||
	    zcp_pool_close(own))
		_exit(2);
	if (zcp_pool_close(pool))
		_exit(3);
#ifndef __SANITIZE_THREAD__ /* whose own thread would go on */
	pthread_exit(NULL); /* with the destructors */
#endif
}

static void child_touches(struct zcp_pool *pool)
{
	(void)pool;
	parents[0] = 'c';
}

static void test_fork(void)
{
	struct zcp_pool *pool = open_pool(0, 0);

	parents = get(pool, 64);
	parents[0] = 'p';
	ok(!fate(child_uses, pool), "in a child: EPERM, but a pool of its own");
	ok(fate(child_touches, pool) == SIGSEGV && parents[0] == 'p',
	   "a child does not have the buffers");
	ok(stats_of(pool).outstanding == 1 && !zcp_pool_free(pool, parents) &&
		   !zcp_pool_close(pool),
	   "the parent notices nothing");
}

/* --- misuse ----------------------------------------------------------------- */

static size_t misused;

static void free_twice(struct zcp_pool *pool)
{
	struct zcp_pool *own = open_pool(0, ZCP_POOL_DEBUG);
	void *buf = get(own, misused);

	(void)pool;
	zcp_pool_free(own, buf);
	zcp_pool_free(own, buf);
}

static void use_after_free(struct zcp_pool *pool)
{
	struct zcp_pool *own = open_pool(0, ZCP_POOL_DEBUG);
	volatile char *buf = get(own, misused);

	(void)pool;
	zcp_pool_free(own, (void *)buf);
	buf[misused / 2]++;
	for (int i = 0; i < 100; i++)
		get(own, misused);
}

static void use_rightly(struct zcp_pool *pool)
{
	struct zcp_pool *own = open_pool(0, 0); /* by the environment */
	void *buf[64];

	(void)pool;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 64; i++)
			memset(buf[i] = get(own, misused), i, misused);
		for (int i = 0; i < 64; i++)
			zcp_pool_free(own, buf[i]);
		zcp_pool_trim(own, 0, NULL);
	}
	_exit(zcp_pool_close(own) ? 1 : 0);
}

static void test_misuse(void)
{
	misused = 64;
	ok(fate(free_twice, NULL) == SIGABRT, "debug: a small buffer freed twice");
	ok(fate(use_after_free, NULL) == SIGABRT, "debug: a small buffer used after it was freed");
	misused = 64 << 10;
	ok(fate(free_twice, NULL) == SIGABRT, "debug: a large buffer freed twice");
	ok(fate(use_after_free, NULL) == SIGSEGV, "debug: a large buffer used after it was freed");
	setenv("ZCP_POOL_DEBUG", "1", 1);
	ok(fate(free_twice, NULL) == SIGABRT, "debug by the environment");
	ok(!fate(use_rightly, NULL), "debug: right use of large buffers");
	misused = 1000;
	ok(!fate(use_rightly, NULL), "debug: right use of small buffers");
	unsetenv("ZCP_POOL_DEBUG");
}

/* --- the threshold ----------------------------------------------------------- */

static void put_text(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	if (!out)
		exit(2);
	fputs(text, out);
	fclose(out);
}

/* Root would store it for the whole system. */
static void store_as_user(struct zcp_pool *pool)
{
	const char *dir = getenv("XDG_CONFIG_HOME");
	char path[256];
	uint64_t bytes;

	(void)pool;
	if (!geteuid() && seteuid(65534))
		_exit(1);
	if (zcp_msg_threshold_set(0, NULL, 0) != -EINVAL ||
	    zcp_msg_threshold_set(12288, path, sizeof(path)) || strncmp(path, dir, strlen(dir)) ||
	    zcp_msg_threshold_get(&bytes) || bytes != 12288)
		_exit(2);
	if (zcp_msg_threshold_set(ZCP_MSG_NEVER, path, sizeof(path)) ||
	    zcp_msg_threshold_get(&bytes) || bytes != ZCP_MSG_NEVER || unlink(path))
		_exit(3);
}

static void test_threshold(void)
{
	char dir[] = "/tmp/zcp-pool-XXXXXX", path[128], host[64], file[256];
	uint64_t bytes;

	if (!mkdtemp(dir))
		exit(2);
	setenv("XDG_CONFIG_HOME", dir, 1);
	gethostname(host, sizeof(host));
	snprintf(path, sizeof(path), "%s/zcp", dir);
	ok(!chmod(dir, 0777) && !fate(store_as_user, NULL), "threshold: stored, and had again");
	mkdir(path, 0755);
	snprintf(file, sizeof(file), "%s/message.%s.conf", path, host);
	put_text(file, "# comment\nthreshold = 12345\n");
	ok(!zcp_msg_threshold_get(&bytes) && bytes == 12345, "threshold: of the user's file");
	put_text(file, "threshold = never\n");
	ok(!zcp_msg_threshold_get(&bytes) && bytes == ZCP_MSG_NEVER, "threshold: never");
	put_text(file, "threshold = 12K\n");
	ok(zcp_msg_threshold_get(&bytes) == -EINVAL && bytes == 64 << 10,
	   "threshold: one that is no number is the default, and EINVAL");
	setenv("ZCP_MSG_THRESHOLD", "4096", 1);
	ok(!zcp_msg_threshold_get(&bytes) && bytes == 4096,
	   "threshold: the environment goes first");
	setenv("ZCP_MSG_THRESHOLD", "-1", 1);
	ok(zcp_msg_threshold_get(&bytes) == -EINVAL, "threshold: no negative ones");
	unsetenv("ZCP_MSG_THRESHOLD");
	unlink(file);
	rmdir(path);
	rmdir(dir);
	unsetenv("XDG_CONFIG_HOME");
}

int main(int argc, char **argv)
{
	/* A sanitizer makes it slow. */
	long rounds = argc > 1 ? atol(argv[1]) : 200000;

	test_options();
	test_is_a_file();
	test_stats_and_limit();
	test_trim();
	test_threads(rounds);
	test_closed_before_thread_ends();
	test_fork();
	test_misuse();
	test_threshold();
	return tap_end();
}
