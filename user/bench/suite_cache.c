// SPDX-License-Identifier: GPL-2.0-only
/*
 * cache: a file larger than memory is sent once, and what that does to the
 * page cache: how much it grows, and what is left of another file, which is
 * hot, that is read twice before, or warm, that is read once.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "jobs.h"
#include "method.h"
#include "rounds.h"

#define SUITE "cache"
#define MIB (1ULL << 20)
#define BIG_BYTES (8192 * MIB)
#define HOT_BYTES (256 * MIB)
/* The expert gives back what was sent in pieces like this. */
#define PIECE_BYTES (16 * MIB)
#define SAMPLE_NS 50000000
#define GROWTH_MAX (64 * MIB)
#define MAX_WAYS 4

struct way {
	const char *name;
	const char *needs; /* the method that must be usable for it */
	void (*send)(int sock, const struct file *f);
	struct samples throughput, cpu, growth, resident;
	double cpu_seconds; /* of all rounds */
};

/* "Cached" of /proc/meminfo, as it is watched while a file is sent. */
static struct {
	pthread_t thread;
	bool stop;
	uint64_t start, max;
} watch;

static uint64_t cache_bytes(void)
{
	char buf[4096];
	const char *p;
	ssize_t n;
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n < 0)
		die_errno(errno, "/proc/meminfo");
	close(fd);
	buf[n] = '\0';
	p = strstr(buf, "\nCached:");
	if (!p)
		die("/proc/meminfo does not tell what is cached");
	return strtoull(p + strlen("\nCached:"), NULL, 10) * 1024;
}

static void *watch_cached(void *arg)
{
	struct timespec pause = { .tv_nsec = SAMPLE_NS };
	uint64_t now;

	(void)arg;
	while (!__atomic_load_n(&watch.stop, __ATOMIC_RELAXED)) {
		now = cache_bytes();
		if (now > watch.max)
			watch.max = now;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void watch_start(void)
{
	int error;

	watch.stop = false;
	watch.start = cache_bytes();
	watch.max = watch.start;
	error = pthread_create(&watch.thread, NULL, watch_cached, NULL);
	if (error)
		die_errno(error, "thread");
}

static uint64_t watch_stop(void)
{
	__atomic_store_n(&watch.stop, true, __ATOMIC_RELAXED);
	pthread_join(watch.thread, NULL);
	return watch.max - watch.start;
}

static void send_sendfile(int sock, const struct file *f)
{
	const struct method *m = &method_sendfile;
	void *state = m->open(sock);

	m->send(state, f, 0, f->size, NULL, 0);
	m->finish(state);
	m->close(state);
}

/*
 * Reads ahead as in suite cold. What the socket still refers to cannot be given back, and goes
 * with the next piece.
 */
static void send_sendfile_fadvise(int sock, const struct file *f)
{
	const struct method *m = &method_sendfile;
	void *state = m->open(sock);
	uint64_t asked = 0, n;

	for (uint64_t off = 0; off < f->size; off += n) {
		asked = ask_ahead(f, asked, off, f->size);
		n = f->size - off < AHEAD_PIECE ? f->size - off : AHEAD_PIECE;
		m->send(state, f, off, n, NULL, 0);
		if ((off + n) % PIECE_BYTES == 0)
			posix_fadvise(f->fd, 0, off + n, POSIX_FADV_DONTNEED);
	}
	m->finish(state);
	m->close(state);
	peer_wait(sock, 1);
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void send_job(int sock, const struct file *f)
{
	struct zcp_segment segment;
	struct zcp_job job;
	struct jobs j;

	jobs_open(&j);
	zcp_segment_file(&segment, f->fd, 0, f->size);
	jobs_prepare(&job, jobs_link(&j, sock), &segment, 1, 0);
	job.flags = ZCP_JOB_NOCACHE;
	jobs_submit(&j, &job, 1);
	jobs_wait(&j, 0, NULL, NULL);
	jobs_close(&j);
}

static bool has_nocache(void)
{
	struct zcp_info info = { .size = sizeof(info) };

	return !jobs_missing() && !zcp_ctx_info(method_zcp(), &info) &&
	       info.features & ZCP_FEATURE_NOCACHE;
}

static void warm(const struct file *hot, int reads)
{
	for (int i = 0; i < reads; i++)
		disk_read(hot);
	if (disk_resident(hot) < 1)
		die("%s does not stay in the page cache, there is too little memory", hot->path);
}

static void sample(struct way *w, struct peer *peer, const struct file *big, const struct file *hot,
		   int reads)
{
	struct peer_hello hello = { .mode = opt.smoke ? PEER_CHECK : PEER_DISCARD };
	struct meter m;
	int sock;

	disk_drop(big, 1);
	/* It is gone as well. */
	warm(hot, reads);
	hello.unit = big->size;
	sock = peer_connect(peer, &hello);
	watch_start();
	meter_start(peer);
	w->send(sock, big);
	/* This one has waited, to give back the rest. */
	if (w->send != send_sendfile_fadvise)
		peer_wait(sock, 1);
	meter_stop(peer, &m);
	samples_add(&w->growth, watch_stop());
	samples_add(&w->resident, disk_resident(hot));
	close(sock);
	samples_add(&w->throughput, big->size * 8.0 / m.ns);
	samples_add(&w->cpu, m.cpu / (big->size / 1e9));
	w->cpu_seconds += m.cpu;
}

static void report(const char *cas, const struct way *w)
{
	result_add(SUITE, cas, w->name, "throughput", "Gbit/s", &w->throughput);
	rounds_report_cpu(SUITE, cas, w->name, &w->cpu, w->cpu_seconds);
	result_add(SUITE, cas, w->name, "cache_growth", "bytes", &w->growth);
	result_add(SUITE, cas, w->name, "hot_resident", "fraction", &w->resident);
	if (w->send != send_job)
		return;
	if (opt.smoke) {
		result_check(SUITE, cas, true, "every byte arrives");
		result_check(SUITE, cas, samples_median(&w->resident) == 1.0,
			     "the other file stays in the page cache");
		return;
	}
	result_target(SUITE, cas, "cache_growth of zcp-job", samples_median(&w->growth),
		      "<=", GROWTH_MAX);
	result_target(SUITE, cas, "hot_resident of zcp-job", samples_median(&w->resident), ">=", 1);
}

static void run_case(const char *cas, int reads, const struct way *ways, int nr, struct peer *peer,
		     const struct file *big, const struct file *hot)
{
	struct way way[MAX_WAYS];
	int order[MAX_WAYS];

	say("  %s: %llu MiB beside %llu MiB, %llu MiB of memory available", cas,
	    (unsigned long long)(big->size / MIB), (unsigned long long)(hot->size / MIB),
	    (unsigned long long)(memory_available() / MIB));
	memcpy(way, ways, nr * sizeof(*way));
	for (int round = 0; round < opt.rounds; round++) {
		rounds_order(order, nr, round);
		for (int i = 0; i < nr; i++)
			sample(&way[order[i]], peer, big, hot, reads);
	}
	for (int i = 0; i < nr; i++)
		report(cas, &way[i]);
}

static void run_ways(const struct way *way, int nr)
{
	uint64_t big_size = opt.smoke ? 64 * MIB : BIG_BYTES;
	uint64_t hot_size = opt.smoke ? 8 * MIB : HOT_BYTES;
	struct file big, hot;
	struct peer *peer;
	uint64_t room;

	disk_file(&hot, "hot-large", hot_size, 0);
	room = disk_room("big");
	if (room < big_size)
		big_size = room - room % (64 * MIB);
	if (big_size < 64 * MIB) {
		result_left_out("all cases", "it needs a larger --disk");
		return;
	}
	disk_file(&big, "big", big_size, 0);
	peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	run_case("file-beside-hot", 2, way, nr, peer, &big, &hot);
	if (!opt.smoke)
		run_case("file-beside-warm", 1, way, nr, peer, &big, &hot);
	peer_stop(peer);
	disk_file_close(&big);
	disk_file_close(&hot);
}

static void run(void)
{
	static const struct way all[] = {
		{ .name = "sendfile", .needs = "sendfile", .send = send_sendfile },
		{ .name = "sendfile-fadvise", .needs = "sendfile", .send = send_sendfile_fadvise },
		{ .name = "zcp-job", .needs = "zcp-job", .send = send_job },
	};
	struct way way[MAX_WAYS];
	int nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (!method_find(all[i].needs))
			continue;
		if (all[i].send == send_job && !has_nocache())
			result_left_out("zcp-job", "this module lacks NOCACHE");
		else
			way[nr++] = all[i];
	}
	if (!nr || !disk_open(0))
		return;
	run_ways(way, nr);
	disk_close();
}

const struct suite suite_cache = {
	"cache",
	"a file larger than memory, beside one that is in use",
	run,
};
