// SPDX-License-Identifier: GPL-2.0-only
/*
 * study-a: files of 7 MB to 1 GB, sent by reading and writing, by sendfile(2) and
 * by zcp. study-b: very long files, and the same block of a file again and again,
 * on one to three connections, to a receiver that drops or stores.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "interval.h"
#include "rounds.h"
#include "transfer.h"

#define A "study-a"
#define B "study-b"
#define MB 1000000ULL
#define SECONDS 0.25
#define BLOCK_BYTES (1 << 20)
/* The study's 10 GB and 100 GB. The second is sent once in a sample, so it is few. */
#define LONG_MB 10000
#define VERY_LONG_MB 100000
#define STREAMS 3
#define NR 3
/* Beside a file: what else has to fit into memory. */
#define SPARE_MB 256

static const char *const names[NR] = { "read-send-1m", "sendfile", "zcp-job" };
static const uint64_t sizes[] = { 7, 21, 63, 98, 200, 350, 700, 1000 };

static int choose(struct transfer *t, const struct transfer *like)
{
	int nr = 0;

	for (int i = 0; i < NR; i++) {
		t[nr] = *like;
		t[nr].method = method_find(names[i]);
		nr += !!t[nr].method;
	}
	return nr;
}

/* A sample, with what each interval of it had; of the first sample also as a file. */
static void round_of_intervals(struct transfer *t, const char *cas, bool first,
			       struct samples *slowest)
{
	char dat[4096];
	double speed;

	snprintf(dat, sizeof(dat), "%s/interval-%s.%s.dat", opt.out ? opt.out : "", cas,
		 t->method->name);
	intervals_start(t->sock, t->streams);
	transfer_round(t);
	speed = intervals_stop(opt.out && first ? dat : NULL);
	if (speed > 0)
		samples_add(slowest, speed);
}

static void run_intervals(struct transfer *t, int nr, struct peer *peer, const char *cas)
{
	struct samples slowest[NR] = { 0 };
	int order[NR];

	for (int i = 0; i < nr; i++)
		transfer_open(&t[i], peer, 0);
	for (int round = 0; round < opt.rounds; round++) {
		rounds_order(order, nr, round);
		for (int i = 0; i < nr; i++)
			round_of_intervals(&t[order[i]], cas, !round, &slowest[order[i]]);
	}
	for (int i = 0; i < nr; i++) {
		transfer_close(&t[i]);
		/* What is over sooner has no interval but the first. */
		if (slowest[i].n)
			result_add(B, cas, t[i].method->name, "slowest_interval", "Gbit/s",
				   &slowest[i]);
	}
}

static void measure(const char *suite, const char *cas, struct peer *peer,
		    const struct transfer *like, double seconds)
{
	struct transfer t[NR];
	struct samples ms;
	int nr = choose(t, like);

	if (!case_wanted(cas))
		return;
	say("  %s", cas);
	peer_compare(peer, opt.smoke ? like->same ? like->piece : like->file->size : 0);
	if (!strcmp(suite, B))
		run_intervals(t, nr, peer, cas);
	else
		transfers_run(t, nr, peer, seconds);
	for (int i = 0; i < nr; i++) {
		transfer_report(&t[i], suite, cas);
		/* As the study says it: what one transfer takes. */
		ms = t[i].throughput;
		for (int k = 0; k < ms.n; k++)
			ms.v[k] = like->size * 8 / ms.v[k] / 1e6;
		result_add(suite, cas, t[i].method->name, "time", "ms", &ms);
	}
	/* A wrong one ends the run. */
	if (opt.smoke && nr)
		result_check(suite, cas, true, "every byte arrives");
}

static struct peer *receiver(void)
{
	return peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
}

static void run_a(void)
{
	struct peer *peer = receiver();
	char cas[32], why[96];
	struct file f;

	for (size_t i = 0; i < (opt.smoke ? 1 : ARRAY_SIZE(sizes)); i++) {
		struct transfer like = { .size = sizes[i] * MB, .file = &f, .mode = PEER_READ };

		if (sizes[i] < 1000)
			snprintf(cas, sizeof(cas), "%lluMB", (unsigned long long)sizes[i]);
		else
			snprintf(cas, sizeof(cas), "1GB");
		if (!case_wanted(cas))
			continue;
		if (memory_available() < like.size + SPARE_MB * MB) {
			snprintf(why, sizeof(why), "it needs %llu MB of memory, and there are %llu",
				 (unsigned long long)sizes[i] + SPARE_MB,
				 (unsigned long long)(memory_available() / MB));
			result_left_out(cas, why);
			continue;
		}
		file_make(&f, opt.dir, "zcp-bench-study", like.size);
		measure(A, cas, peer, &like, opt.smoke ? 0 : SECONDS);
		file_remove(&f);
	}
	peer_stop(peer);
}

/* What memory has room for of a file that is sent until @mb are full. */
static uint64_t room(uint64_t mb)
{
	uint64_t size = memory_available() / 2;
	struct statvfs fs;

	if (!statvfs(opt.dir, &fs) && size > (uint64_t)fs.f_bavail * fs.f_bsize)
		size = (uint64_t)fs.f_bavail * fs.f_bsize;
	if (size > mb * MB)
		size = mb * MB;
	return size - size % BLOCK_BYTES;
}

static void run_b_size(struct peer *peer, uint64_t mb, bool streams)
{
	static const enum peer_mode modes[] = { PEER_DISCARD, PEER_STORE };
	const char *label = mb == VERY_LONG_MB ? "100GB" : mb == LONG_MB ? "10GB" : "small";
	struct transfer like = { .size = mb * MB };
	struct file f;
	char cas[48];

	if (!room(mb)) {
		result_left_out(label, "it needs memory for more than one block of 1 MiB");
		return;
	}
	/* In smoke too it is sent more than once. */
	file_make(&f, opt.dir, "zcp-bench-study", room(opt.smoke ? mb / 2 : mb));
	like.file = &f;
	for (int store = 0; store < 2; store++) {
		like.mode = modes[store];
		for (int same = 0; same < 2; same++) {
			like.same = same;
			like.piece = same ? BLOCK_BYTES : f.size;
			snprintf(cas, sizeof(cas), "%s-%s%s", label, same ? "fixed" : "growing",
				 store ? "-stored" : "");
			measure(B, cas, peer, &like, 0);
		}
	}
	like.same = false;
	like.mode = PEER_DISCARD;
	like.piece = f.size;
	for (int n = 1; streams && n <= STREAMS; n++) {
		like.streams = n;
		snprintf(cas, sizeof(cas), "streams-%d", n);
		measure(B, cas, peer, &like, 0);
	}
	file_remove(&f);
}

static void run_b(void)
{
	struct peer *peer = receiver();

	run_b_size(peer, opt.smoke ? 8 : LONG_MB, true);
	if (!opt.smoke) {
		/* A sample of it is as long as ten. */
		int rounds = opt.rounds;

		opt.rounds = 1;
		run_b_size(peer, VERY_LONG_MB, false);
		opt.rounds = rounds;
	}
	peer_stop(peer);
}

const struct suite suite_study_a = {
	A,
	"files of 7 MB to 1 GB: read and write, sendfile, zcp",
	run_a,
};

const struct suite suite_study_b = {
	B,
	"10 GB and 100 GB: a growing and a fixed offset, stored, 1 to 3 connections",
	run_b,
};
