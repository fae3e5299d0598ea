// SPDX-License-Identifier: GPL-2.0-only
/*
 * multi: one file on several connections, each with a contiguous part of it, as
 * `zcpctl send --streams` does it. What that does with one stream is not compared
 * with what it does without the option: both are the same call of zcp_send_file().
 */
#include <stdio.h>
#include <string.h>
#include <sched.h>

#include "transfer.h"

#define SUITE "multi"
#define SECONDS 0.4
#define MB 1000000ULL
#define STREAMS 4

static const char *const names[] = { "read-send-1m", "sendfile", "zcp-job" };

#define NR_NAMES ((int)ARRAY_SIZE(names))

static int cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);
}

static double speed(const struct transfer *t)
{
	return samples_median(&t->throughput);
}

/*
 * With both ends on this machine a stream keeps two CPUs busy, so that N
 * streams can be as fast as min(N, CPUs / 2) of them.
 */
static void judge(const char *cas, int streams, const struct transfer *t,
		  const struct transfer *one)
{
	int room = opt.remote ? cpus() : cpus() / 2;
	int times = streams < room ? streams : room;
	char what[96];

	if (times < 1)
		times = 1;
	snprintf(what, sizeof(what), "throughput of zcp-job, %d streams / 1, on %d CPUs", streams,
		 cpus());
	result_target(SUITE, cas, what, speed(t) / speed(one), ">=", 0.9 * times);
}

static void run_on(enum peer_path path)
{
	struct transfer t[STREAMS * NR_NAMES] = { 0 };
	const struct transfer *job[STREAMS] = { NULL };
	struct peer *peer = peer_start(path);
	char cas[STREAMS][24];
	struct file f;
	int nr = 0;

	file_make(&f, opt.dir, "zcp-bench-multi", (opt.smoke ? 2 : 350) * MB + 1234);
	for (int c = 0; c < STREAMS; c++) {
		snprintf(cas[c], sizeof(cas[c]), "streams-%d", c + 1);
		for (int i = 0; i < NR_NAMES; i++) {
			t[nr].method = method_find(names[i]);
			if (!t[nr].method)
				continue;
			t[nr].file = &f;
			t[nr].size = f.size;
			t[nr].streams = c + 1;
			t[nr].mode = opt.smoke ? PEER_CHECK : PEER_DISCARD;
			if (!strcmp(names[i], "zcp-job"))
				job[c] = &t[nr];
			nr++;
		}
	}
	say("  1 to %d streams of %llu MB", STREAMS, (unsigned long long)(f.size / MB));
	transfers_run(t, nr, peer, opt.smoke ? 0 : SECONDS);
	for (int i = 0; i < nr; i++) {
		int c = t[i].streams - 1;

		transfer_report(&t[i], SUITE, cas[c]);
		/* A wrong byte would have ended the run. */
		if (opt.smoke)
			result_check(SUITE, cas[c], true, "every byte of every part arrives");
	}
	for (int c = 1; job[0] && !opt.smoke && c < STREAMS; c++)
		judge(cas[c], c + 1, job[c], job[0]);
	file_remove(&f);
	peer_stop(peer);
}

static void run(void)
{
	run_on(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
}

const struct suite suite_multi = {
	"multi",
	"parts of one cached file on 1 to 4 connections",
	run,
};
