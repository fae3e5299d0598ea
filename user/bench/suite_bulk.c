// SPDX-License-Identifier: GPL-2.0-only
/*
 * bulk: cached files of many sizes on one connection.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "transfer.h"

#define SUITE "bulk"
/* What a sample lasts at least. */
#define SECONDS 0.25
#define MB 1000000ULL
#define GB 1000000000ULL
#define BLOCK_BYTES (1 << 20)
#define NR_METHODS 11
#define LONG_BYTES (10 * GB)
#define SMOKE_MB 2
/* Beside a file: what else has to fit into memory. */
#define SPARE_MB 256

static const char *const all[] = {
	"read-send-64k", "read-send-1m",  "mmap-send", "msg-zerocopy", "sendfile", "splice",
	"uring-splice",	 "uring-send-zc", "zcp-xfer",  "zcp-job",      "ceiling",
};

static const uint64_t full_sizes[] = { 7, 21, 63, 98, 200, 350, 700, 1000 };
static const uint64_t smoke_sizes[] = { SMOKE_MB };
static const uint64_t *sizes;
static size_t nr_sizes;

static double speed(const struct transfer *t)
{
	return samples_median(&t->throughput);
}

static const struct transfer *find(const struct transfer *t, int nr, const char *name)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(t[i].method->name, name))
			return &t[i];
	return NULL;
}

/* The targets of one size: zcp-job against others of the same rounds. */
static void judge(const char *cas, const struct transfer *t, int nr)
{
	static const struct {
		const char *other;
		double target;
	} faster[] = {
		{ "sendfile", 1.7 },
		{ "read-send-1m", 3 },
		{ "uring-splice", 1.7 },
		{ "ceiling", 0.9 },
	};
	const struct transfer *job = find(t, nr, "zcp-job");
	const struct transfer *other;
	char what[80];

	if (!job || opt.smoke)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(faster); i++) {
		other = find(t, nr, faster[i].other);
		if (!other)
			continue;
		snprintf(what, sizeof(what), "throughput of zcp-job / %s", faster[i].other);
		result_target(SUITE, cas, what, speed(job) / speed(other), ">=", faster[i].target);
	}
	other = find(t, nr, "sendfile");
	if (other)
		result_target(SUITE, cas, "cpu_per_gb of zcp-job / sendfile",
			      samples_median(&job->cpu) / samples_median(&other->cpu), "<=", 0.62);
}

/* Those of @names that work here; sets the rest as in @like. */
static int choose(struct transfer *t, const struct transfer *like, const char *const *names,
		  size_t nr_names)
{
	int nr = 0;

	for (size_t i = 0; i < nr_names; i++) {
		t[nr] = *like;
		t[nr].method = method_find(names[i]);
		if (t[nr].method)
			nr++;
	}
	return nr;
}

static void size_name(char *buf, size_t len, uint64_t mb)
{
	if (mb % 1000)
		snprintf(buf, len, "%lluMB", (unsigned long long)mb);
	else
		snprintf(buf, len, "%lluGB", (unsigned long long)mb / 1000);
}

static void cas_name(char *buf, size_t len, enum peer_path path, uint64_t mb)
{
	char size[24];

	size_name(size, sizeof(size), mb);
	snprintf(buf, len, "%s-%s", peer_path_name(path), size);
}

/* Returns the median of zcp-job, or 0. */
static double run_size(enum peer_path path, struct peer *peer, uint64_t mb)
{
	struct transfer t[NR_METHODS] = { 0 };
	struct transfer like = { .size = mb * MB };
	uint64_t room = memory_available() / MB;
	const struct transfer *job;
	char cas[48], why[96];
	struct file f;
	int nr;

	cas_name(cas, sizeof(cas), path, mb);
	if (!case_wanted(cas))
		return 0;
	if (room < mb + SPARE_MB) {
		snprintf(why, sizeof(why), "it needs %llu MB of memory, and there are %llu",
			 (unsigned long long)mb + SPARE_MB, (unsigned long long)room);
		result_left_out(cas, why);
		return 0;
	}
	file_make(&f, opt.dir, "zcp-bench-bulk", like.size);
	like.file = &f;
	nr = choose(t, &like, all, ARRAY_SIZE(all));
	say("  %s", cas);
	if (opt.smoke)
		for (int i = 0; i < nr; i++)
			transfer_check(SUITE, cas, t[i].method, &f, peer);
	transfers_run(t, nr, peer, opt.smoke ? 0 : SECONDS);
	for (int i = 0; i < nr; i++)
		transfer_report(&t[i], SUITE, cas);
	judge(cas, t, nr);
	job = find(t, nr, "zcp-job");
	file_remove(&f);
	return job ? speed(job) : 0;
}

static void run_sizes(enum peer_path path, struct peer *peer)
{
	double first = 0, last = 0;

	for (size_t i = 0; i < nr_sizes; i++) {
		last = run_size(path, peer, sizes[i]);
		if (!i)
			first = last;
	}
	/* Both of them, and not what memory or the user has left. */
	if (first > 0 && last > 0 && !opt.smoke)
		result_target(SUITE, peer_path_name(path),
			      "throughput of zcp-job, largest / smallest file", last / first,
			      ">=", 0.95);
}

/* The largest file that memory has room for, in whole 100 MB. */
static uint64_t largest(void)
{
	uint64_t size = memory_available() * 3 / 4;
	struct statvfs fs;

	if (!statvfs(opt.dir, &fs) && size > (uint64_t)fs.f_bavail * fs.f_bsize)
		size = (uint64_t)fs.f_bavail * fs.f_bsize;
	if (size > LONG_BYTES)
		size = LONG_BYTES;
	return size - size % (100 * MB);
}

/*
 * 10 GB with an offset that grows, through a file as large as memory allows
 * and then from its start again, against the same block again and again.
 */
static void run_long(enum peer_path path, struct peer *peer)
{
	static const char *const growing_names[] = { "read-send-1m", "sendfile", "zcp-job" };
	static const char *const same_names[] = { "read-send-1m", "sendfile", "zcp-job",
						  "ceiling" };
	struct transfer t[7] = { 0 };
	struct transfer like = { .size = LONG_BYTES };
	const struct transfer *a, *b;
	char growing[48], same[48];
	struct file f;
	int nr, nr_growing;

	snprintf(growing, sizeof(growing), "%s-10GB-growing", peer_path_name(path));
	snprintf(same, sizeof(same), "%s-10GB-same", peer_path_name(path));
	if (!case_wanted(growing))
		return;
	if (!largest()) {
		result_left_out(growing, "it needs more than 133 MB of memory");
		return;
	}
	file_make(&f, opt.dir, "zcp-bench-bulk", largest());
	say("  %s: a file of %llu MB, sent until 10 GB are full; %s: 1 MiB again and again",
	    growing, (unsigned long long)(f.size / MB), same);
	like.file = &f;
	like.piece = f.size;
	nr = choose(t, &like, growing_names, ARRAY_SIZE(growing_names));
	nr_growing = nr;
	like.piece = BLOCK_BYTES;
	like.same = true;
	nr += choose(t + nr, &like, same_names, ARRAY_SIZE(same_names));
	transfers_run(t, nr, peer, 0);
	for (int i = 0; i < nr; i++)
		transfer_report(&t[i], SUITE, i < nr_growing ? growing : same);
	judge(growing, t, nr_growing);
	a = find(t, nr_growing, "zcp-job");
	b = find(t + nr_growing, nr - nr_growing, "zcp-job");
	if (a && b)
		result_target(SUITE, growing, "throughput of zcp-job, growing / same offset",
			      speed(a) / speed(b), ">=", 0.9);
	b = find(t + nr_growing, nr - nr_growing, "ceiling");
	if (a && b)
		result_target(SUITE, growing, "throughput of zcp-job, growing / ceiling",
			      speed(a) / speed(b), ">=", 0.9);
	file_remove(&f);
}

/* A receiver that takes the bytes, and one that stores them. */
static void run_real(enum peer_path path, struct peer *peer)
{
	static const char *const names[] = { "read-send-1m", "sendfile", "zcp-job" };
	static const enum peer_mode modes[] = { PEER_READ, PEER_STORE };
	struct transfer t[2 * ARRAY_SIZE(names)] = { 0 };
	struct transfer like = { .size = (opt.smoke ? SMOKE_MB : 200) * MB };
	char cas[48], size[24];
	int nr[2];
	struct file f;

	size_name(size, sizeof(size), like.size / MB);
	snprintf(cas, sizeof(cas), "%s-%s-store", peer_path_name(path), size);
	if (!case_wanted(cas))
		return;
	file_make(&f, opt.dir, "zcp-bench-bulk", like.size);
	like.file = &f;
	say("  %s-%s-read and -store", peer_path_name(path), size);
	for (int i = 0; i < 2; i++) {
		like.mode = modes[i];
		nr[i] = choose(t + (i ? nr[0] : 0), &like, names, ARRAY_SIZE(names));
	}
	/* A wrong byte ends the run. */
	peer_compare(peer, opt.smoke ? f.size : 0);
	transfers_run(t, nr[0] + nr[1], peer, opt.smoke ? 0 : SECONDS);
	peer_compare(peer, 0);
	for (int i = 0; i < nr[0] + nr[1]; i++) {
		snprintf(cas, sizeof(cas), "%s-%s-%s", peer_path_name(path), size,
			 i < nr[0] ? "read" : "store");
		transfer_report(&t[i], SUITE, cas);
		if (opt.smoke)
			result_check(SUITE, cas, true, "every byte arrives");
	}
	file_remove(&f);
}

/* Whether there is a case for it: without one nobody misses it. */
static bool path_wanted(enum peer_path path)
{
	char cas[48], other[64];
	bool wanted = false;

	for (size_t i = 0; i < nr_sizes; i++) {
		cas_name(cas, sizeof(cas), path, sizes[i]);
		wanted |= case_wanted(cas);
	}
	if (path == PEER_VETH)
		return wanted;

	cas_name(cas, sizeof(cas), path, opt.smoke ? SMOKE_MB : 200);
	snprintf(other, sizeof(other), "%s-store", cas);
	wanted |= case_wanted(other);
	snprintf(other, sizeof(other), "%s-10GB-growing", peer_path_name(path));
	return wanted || (!opt.smoke && case_wanted(other));
}

static void run_path(enum peer_path path)
{
	const char *why = peer_path_missing(path);
	struct peer *peer;

	if (!path_wanted(path))
		return;
	if (why) {
		result_left_out(peer_path_name(path), why);
		return;
	}
	peer = peer_start(path);
	run_sizes(path, peer);
	if (path != PEER_VETH) {
		run_real(path, peer);
		if (!opt.smoke)
			run_long(path, peer);
	}
	peer_stop(peer);
}

static void run(void)
{
	sizes = opt.smoke ? smoke_sizes : full_sizes;
	nr_sizes = opt.smoke ? ARRAY_SIZE(smoke_sizes) : ARRAY_SIZE(full_sizes);
	if (opt.remote) {
		run_path(PEER_REMOTE);
	} else {
		run_path(PEER_LOOPBACK);
		run_path(PEER_VETH);
	}
}

const struct suite suite_bulk = {
	"bulk",
	"a cached file on one connection, 7 MB to 1 GB, and 10 GB",
	run,
};
