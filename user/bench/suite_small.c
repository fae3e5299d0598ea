// SPDX-License-Identifier: GPL-2.0-only
/*
 * small: cached files of 1 to 256 KiB, each with a header, on keep-alive
 * connections.
 *
 * files_per_s: responses go out in waves, one on each connection, and the time
 * ends when the receiver has confirmed all bytes and all events have been
 * read. p50 and p99: a connection gets its next response when the receiver has
 * confirmed the one before, and each counts from then on.
 *
 * Connections are kept, and so are zcp's links of them: neither is made or ended
 * in what is measured.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "method.h"
#include "rounds.h"
#include "small.h"

#define SUITE "small"
/* What a sample of files_per_s lasts, about, and the fewest waves of one. */
#define SECONDS 0.25
#define MIN_WAVES 4
#define MAX_WAYS 8
/* Responses of a wave when there is one connection. */
#define PIPELINE 64
/* Responses that are begun together: up to 4 MiB a submission sends itself. */
#define BATCH 32
/* What jobs have under way: bytes that caches and TCP's memory still have room for. */
#define OPEN_BYTES (64 << 20)
#define OPEN_JOBS 3000
/* Connections that are asked for at a time which of them are ready. */
#define READY 64
#define READY_SMOKE 4
/*
 * Responses of a part of a sample of latencies, on all connections and on each. The ways take
 * turns by parts: what else the host does meets all of them. One in a hundred is the 99th
 * percentile: there have to be many of those.
 */
#define LATENCIES 2500
#define LATENCIES_EACH 10
#define PARTS 4
/* Points of a latency distribution. */
#define POINTS 500

/* What the receiver can compare is not enough for more. */
static int rounds(void)
{
	return opt.smoke ? 1 : opt.rounds;
}

struct load {
	const struct way *way[MAX_WAYS];
	int nr_ways;
	struct pool pool;
	struct peer *peer;
	unsigned int conns;
	unsigned int per_conn; /* responses of a wave on each connection */
	unsigned int *wave;    /* the connections of a wave */
	uint64_t latencies;    /* of a part of a sample */
	int parts;	       /* of a sample of latencies */
	char cas[48];
};

static unsigned int wave_size(const struct load *l)
{
	return l->conns * l->per_conn;
}

/* So many jobs may be under way. */
static uint64_t open_jobs(const struct server *s)
{
	uint64_t open = OPEN_BYTES / server_bytes(s);

	return open < OPEN_JOBS ? open : OPEN_JOBS;
}

/* A response on each of these connections, with no more under way than is good. */
static void respond(struct server *s, const unsigned int *conn, unsigned int size)
{
	unsigned int nr;

	for (unsigned int i = 0; i < size; i += nr) {
		nr = size - i < BATCH ? size - i : BATCH;
		server_settle(s, open_jobs(s) - nr);
		s->way->respond(s, conn + i, nr);
	}
}

static void send_waves(struct load *l, struct server *s)
{
	for (unsigned int w = 0; w < s->waves; w++)
		respond(s, l->wave, wave_size(l));
	server_settle(s, 0);
	/* In smoke each response has an answer, else all of a sample have one. */
	for (unsigned int i = 0; i < l->conns; i++)
		peer_wait(s->sock[i], opt.smoke ? s->waves * l->per_conn : 1);
}

static void open_for_files(struct load *l, struct server *s, const struct way *way,
			   unsigned int waves)
{
	server_open(s, way, &l->pool, l->peer, l->conns, opt.smoke ? 1 : waves * l->per_conn,
		    wave_size(l), opt.smoke);
	s->waves = waves;
}

/* Whose speed is to be known. */
struct learner {
	struct load *l;
	const struct way *way;
};

/* The second time connections are as fast as they get. */
static double try_waves(uint64_t waves, void *arg)
{
	struct learner *learner = arg;
	uint64_t start, middle, end;
	struct server s;

	open_for_files(learner->l, &s, learner->way, waves);
	start = now_ns();
	send_waves(learner->l, &s);
	middle = now_ns();
	send_waves(learner->l, &s);
	end = now_ns();
	server_close(&s);
	return (end - middle < middle - start ? end - middle : middle - start) / 1e9;
}

/* How many waves fill a sample of this way. */
static unsigned int waves_for(struct load *l, const struct way *way)
{
	struct learner learner = { .l = l, .way = way };
	uint64_t waves;

	if (opt.smoke)
		return MIN_WAVES;
	waves = rounds_count(SECONDS, 1, try_waves, &learner);
	return waves < MIN_WAVES ? MIN_WAVES : waves;
}

static void sample_files(struct load *l, struct server *s)
{
	double files = (double)s->waves * wave_size(l);
	struct meter m;

	meter_start(l->peer);
	send_waves(l, s);
	meter_stop(l->peer, &m);
	samples_add(&s->files, files * 1e9 / m.ns);
	samples_add(&s->cpu, m.cpu / (files * server_bytes(s) / 1e9));
	s->cpu_seconds += m.cpu;
}

static struct server *find(struct load *l, struct server *s, const char *name)
{
	for (int i = 0; i < l->nr_ways; i++)
		if (!strcmp(s[i].way->name, name))
			return &s[i];
	return NULL;
}

static double ratio(const struct samples *a, const struct samples *b)
{
	return samples_median(a) / samples_median(b);
}

static void judge_files(struct load *l, struct server *s)
{
	struct server *base = find(l, s, "sendfile");
	struct server *job = find(l, s, "zcp-job");
	struct server *xfer = find(l, s, "zcp-xfer");

	if (opt.smoke || !base)
		return;
	if (job && l->pool.size >= 4096 && l->pool.size <= 65536)
		result_target(SUITE, l->cas, "files_per_s of zcp-job / sendfile",
			      ratio(&job->files, &base->files), ">=", 2);
	if (xfer)
		result_target(SUITE, l->cas, "files_per_s of zcp-xfer / sendfile",
			      ratio(&xfer->files, &base->files), ">=", 1);
}

static void run_files(struct load *l)
{
	struct server s[MAX_WAYS];
	int order[MAX_WAYS];

	for (int i = 0; i < l->nr_ways; i++)
		open_for_files(l, &s[i], l->way[i], waves_for(l, l->way[i]));
	for (int round = 0; round < rounds(); round++) {
		rounds_order(order, l->nr_ways, round);
		for (int i = 0; i < l->nr_ways; i++)
			sample_files(l, &s[order[i]]);
	}
	for (int i = 0; i < l->nr_ways; i++) {
		server_close(&s[i]);
		result_add(SUITE, l->cas, l->way[i]->name, "files_per_s", "1/s", &s[i].files);
		rounds_report_cpu(SUITE, l->cas, l->way[i]->name, &s[i].cpu, s[i].cpu_seconds);
	}
	judge_files(l, s);
}

/*
 * One connection. A response is due when the one before is confirmed. Events of those that
 * have ended are read while one is on its way, as a server would.
 */
static void closed_loop_one(struct load *l, struct server *s, uint64_t *latency)
{
	const unsigned int conn = 0;
	uint64_t due = now_ns(), now;

	for (uint64_t i = 0; i < l->latencies; i++) {
		s->way->respond(s, &conn, 1);
		server_reap(s);
		peer_wait(s->sock[0], 1);
		now = now_ns();
		latency[i] = now - due;
		due = now;
	}
	server_settle(s, 0);
}

static int poll_all(const struct server *s)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		die_errno(errno, "epoll");
	for (unsigned int i = 0; i < s->nr; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };

		if (epoll_ctl(fd, EPOLL_CTL_ADD, s->sock[i], &ev))
			die_errno(errno, "epoll");
	}
	return fd;
}

/*
 * All connections, each of which has a response due or on its way: those that are seen to be
 * confirmed together go on together. A response is due when the one before is seen to be
 * confirmed, and waits from then on, if for others' turns.
 */
static void closed_loop_all(struct load *l, struct server *s, uint64_t *latency)
{
	int most = opt.smoke ? READY_SMOKE : READY;
	uint64_t *due = allocate(l->conns * sizeof(*due));
	struct epoll_event ready[READY];
	unsigned int conn[READY];
	uint64_t begun = l->conns, done = 0, now = now_ns();
	unsigned int nr;
	int fd = poll_all(s);
	int n;

	for (unsigned int i = 0; i < l->conns; i++)
		due[i] = now;
	respond(s, l->wave, l->conns);
	while (done < l->latencies) {
		n = epoll_wait(fd, ready, most, -1);
		if (n < 0 && errno != EINTR)
			die_errno(errno, "epoll");
		nr = 0;
		for (int i = 0; i < n; i++) {
			unsigned int c = ready[i].data.u32;

			peer_wait(s->sock[c], 1);
			now = now_ns();
			latency[done++] = now - due[c];
			due[c] = now;
			if (begun < l->latencies) {
				conn[nr++] = c;
				begun++;
			}
		}
		respond(s, conn, nr);
		server_reap(s);
	}
	server_settle(s, 0);
	close(fd);
	free(due);
}

/* One sample of each way. */
static void sample_latency(struct load *l, struct server *s, int round)
{
	uint64_t nr = l->latencies * l->parts;
	uint64_t *latency;
	int order[MAX_WAYS];

	for (int part = 0; part < l->parts; part++) {
		rounds_order(order, l->nr_ways, (uint64_t)round * l->parts + part);
		for (int k = 0; k < l->nr_ways; k++) {
			int i = order[k];

			latency = s[i].latency + round * nr + part * l->latencies;
			if (l->conns == 1)
				closed_loop_one(l, &s[i], latency);
			else
				closed_loop_all(l, &s[i], latency);
		}
	}
	for (int i = 0; i < l->nr_ways; i++) {
		latency = s[i].latency + round * nr;
		samples_add(&s[i].p50, percentile(latency, nr, 50) / 1e3);
		samples_add(&s[i].p99, percentile(latency, nr, 99) / 1e3);
	}
}

/* All rounds together, with more points where it gets rare. */
static void write_distribution(struct load *l, struct server *s)
{
	uint64_t n = l->latencies * l->parts * rounds();
	char path[4096];
	double share, us;
	FILE *out;

	if (!opt.out)
		return;
	snprintf(path, sizeof(path), "%s/latency-%s.%s.dat", opt.out, l->cas, s->way->name);
	out = fopen(path, "we");
	if (!out)
		die_errno(errno, "%s", path);
	percentile(s->latency, n, 50);
	for (int i = 0; i < POINTS; i++) {
		share = (double)i / POINTS;
		share = 1 - (1 - share) * (1 - share);
		us = s->latency[(uint64_t)(share * n)] / 1e3;
		fprintf(out, "%.1f %.6f\n", us, share);
	}
	fprintf(out, "%.1f 1\n", s->latency[n - 1] / 1e3);
	if (ferror(out) || fclose(out))
		die_errno(errno, "%s", path);
}

static void judge_latency(struct load *l, struct server *s)
{
	static const char *const names[] = { "zcp-job", "zcp-xfer" };
	struct server *base = find(l, s, "sendfile");
	struct server *other;
	char what[64];

	if (opt.smoke || !base)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		other = find(l, s, names[i]);
		if (!other)
			continue;
		snprintf(what, sizeof(what), "p99 of %s / sendfile", names[i]);
		result_target(SUITE, l->cas, what, ratio(&other->p99, &base->p99), "<=", 1);
	}
}

static void run_latency(struct load *l)
{
	struct server s[MAX_WAYS];

	l->parts = opt.smoke ? 1 : PARTS;
	l->latencies = opt.smoke ? 24 : LATENCIES;
	if (!opt.smoke && l->latencies < LATENCIES_EACH * l->conns)
		l->latencies = LATENCIES_EACH * l->conns;
	for (int i = 0; i < l->nr_ways; i++) {
		server_open(&s[i], l->way[i], &l->pool, l->peer, l->conns, 1, l->conns, opt.smoke);
		s[i].latency = allocate(l->latencies * l->parts * rounds() * sizeof(uint64_t));
	}
	for (int round = 0; round < rounds(); round++)
		sample_latency(l, s, round);
	for (int i = 0; i < l->nr_ways; i++) {
		server_close(&s[i]);
		result_add(SUITE, l->cas, l->way[i]->name, "p50", "µs", &s[i].p50);
		result_add(SUITE, l->cas, l->way[i]->name, "p99", "µs", &s[i].p99);
		write_distribution(l, &s[i]);
		free(s[i].latency);
	}
	judge_latency(l, s);
}

static void run_conns(struct load *l, unsigned int conns)
{
	l->conns = conns;
	l->per_conn = conns == 1 ? PIPELINE : 1;
	if (opt.smoke && conns == 1)
		l->per_conn = 8;
	l->wave = allocate(wave_size(l) * sizeof(*l->wave));
	for (unsigned int i = 0; i < wave_size(l); i++)
		l->wave[i] = i % conns;
	snprintf(l->cas, sizeof(l->cas), "conns-%u-%lluKiB", conns,
		 (unsigned long long)l->pool.size / 1024);
	if (case_wanted(l->cas)) {
		say("  %s", l->cas);
		run_files(l);
		run_latency(l);
		if (opt.smoke)
			result_check(SUITE, l->cas, true, "every byte of every response arrives");
	}
	free(l->wave);
}

static void run(void)
{
	static const uint64_t full_sizes[] = { 1, 4, 16, 64, 256 };
	static const uint64_t smoke_sizes[] = { 1, 16, 256 };
	static const unsigned int full_conns[] = { 1, 64, 1000 };
	static const unsigned int smoke_conns[] = { 1, 8 };
	const uint64_t *sizes = opt.smoke ? smoke_sizes : full_sizes;
	const unsigned int *conns = opt.smoke ? smoke_conns : full_conns;
	size_t nr_sizes = opt.smoke ? ARRAY_SIZE(smoke_sizes) : ARRAY_SIZE(full_sizes);
	size_t nr_conns = opt.smoke ? ARRAY_SIZE(smoke_conns) : ARRAY_SIZE(full_conns);
	struct load l = { 0 };

	for (size_t i = 0; i < nr_small_ways; i++)
		if (way_usable(&small_ways[i]))
			l.way[l.nr_ways++] = &small_ways[i];
	if (!l.nr_ways)
		return;
	l.peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	for (size_t c = 0; c < nr_conns; c++) {
		for (size_t i = 0; i < nr_sizes; i++) {
			pool_make(&l.pool, sizes[i] * 1024);
			run_conns(&l, conns[c]);
			pool_remove(&l.pool);
		}
	}
	peer_stop(l.peer);
}

const struct suite suite_small = {
	"small",
	"cached files of 1 to 256 KiB with a header, on 1, 64 and 1000 connections",
	run,
};
