// SPDX-License-Identifier: GPL-2.0-only
/*
 * cold: files that are not in the page cache, on a disk that takes 5 ms for
 * each read; and how a cached file fares beside them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cold.h"
#include "method.h"
#include "rounds.h"

#define SUITE "cold"
#define MB 1000000ULL
#define MAX_METHODS 5

struct stream {
	struct cold *c;
	const struct method *method;
	int nr;
	void *state;
	pthread_t thread;
	pthread_barrier_t *ready;
};

struct entry {
	const struct method *method;
	struct samples throughput, cpu;
	double cpu_seconds; /* of all rounds */
};

/* Methods that work here. */
static int choose(struct entry *e)
{
	static const char *const names[] = { "read-send-1m", "sendfile", "zcp-xfer", "zcp-job" };
	int nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct method *m = method_find(names[i]);

		if (!m)
			continue;
		e[nr++] = (struct entry){ .method = m };
		if (!strcmp(names[i], "sendfile"))
			e[nr++] = (struct entry){ .method = &method_sendfile_ahead };
	}
	return nr;
}

static bool is_zcp(const struct method *m)
{
	return !strncmp(m->name, "zcp-", 4);
}

static void *send_stream(void *arg)
{
	struct stream *s = arg;
	const struct file *f = &s->c->file[s->nr];

	pthread_barrier_wait(s->ready);
	s->method->send(s->state, f, 0, f->size, NULL, 0);
	s->method->finish(s->state);
	peer_wait(s->c->sock[s->nr], 1);
	return NULL;
}

static void with_threads(struct cold *c, struct stream *s, struct meter *m)
{
	pthread_barrier_t ready;
	int error;

	pthread_barrier_init(&ready, NULL, c->nr + 1);
	for (int i = 0; i < c->nr; i++) {
		s[i].ready = &ready;
		error = pthread_create(&s[i].thread, NULL, send_stream, &s[i]);
		if (error)
			die_errno(error, "thread");
	}
	meter_start(c->peer);
	pthread_barrier_wait(&ready);
	for (int i = 0; i < c->nr; i++)
		pthread_join(s[i].thread, NULL);
	meter_stop(c->peer, m);
	pthread_barrier_destroy(&ready);
}

/* Jobs need one thread, however many there are. */
static void without_threads(struct cold *c, struct stream *s, struct meter *m)
{
	meter_start(c->peer);
	for (int i = 0; i < c->nr; i++)
		s[i].method->send(s[i].state, &c->file[i], 0, c->file[i].size, NULL, 0);
	for (int i = 0; i < c->nr; i++)
		s[i].method->finish(s[i].state);
	for (int i = 0; i < c->nr; i++)
		peer_wait(c->sock[i], 1);
	meter_stop(c->peer, m);
}

static void sample(struct cold *c, struct entry *e)
{
	struct stream *s = calloc(c->nr, sizeof(*s));
	struct meter m;

	if (!s)
		die("no memory");
	cold_prepare(c);
	for (int i = 0; i < c->nr; i++) {
		s[i] = (struct stream){ .c = c, .method = e->method, .nr = i };
		s[i].state = e->method->open(c->sock[i]);
	}
	/* It is opened by the first who asks, which may not be threads. */
	if (is_zcp(e->method))
		method_zcp();
	if (c->nr == 1 || !strcmp(e->method->name, "zcp-job"))
		without_threads(c, s, &m);
	else
		with_threads(c, s, &m);
	for (int i = 0; i < c->nr; i++)
		e->method->close(s[i].state);
	cold_finish(c);
	samples_add(&e->throughput, c->bytes * 8.0 / m.ns);
	samples_add(&e->cpu, m.cpu / (c->bytes / 1e9));
	e->cpu_seconds += m.cpu;
	free(s);
}

static const struct samples *find(const struct entry *e, int nr, const char *name)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(e[i].method->name, name))
			return &e[i].throughput;
	return NULL;
}

static void run_streams(struct peer *peer, int streams, uint64_t size)
{
	struct entry e[MAX_METHODS];
	int order[MAX_METHODS];
	const struct samples *job, *base;
	struct cold c;
	char cas[24];
	int nr = choose(e);

	snprintf(cas, sizeof(cas), "streams-%d", streams);
	say("  %s", cas);
	cold_open(&c, peer, streams, size);
	for (int round = 0; round < opt.rounds; round++) {
		rounds_order(order, nr, round);
		for (int i = 0; i < nr; i++)
			sample(&c, &e[order[i]]);
	}
	cold_close(&c);
	for (int i = 0; i < nr; i++) {
		result_add(SUITE, cas, e[i].method->name, "throughput", "Gbit/s", &e[i].throughput);
		rounds_report_cpu(SUITE, cas, e[i].method->name, &e[i].cpu, e[i].cpu_seconds);
	}
	if (opt.smoke)
		result_check(SUITE, cas, true, "every byte of every file arrives");
	job = find(e, nr, "zcp-job");
	base = find(e, nr, "sendfile");
	if (streams == 1 && job && base && !opt.smoke)
		result_target(SUITE, cas, "throughput of zcp-job / sendfile",
			      samples_median(job) / samples_median(base), ">=", 2);
}

static void run(void)
{
	int many = opt.smoke ? 4 : 100;
	struct peer *peer;

	if (!disk_open(5))
		return;
	peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	run_streams(peer, 1, opt.smoke ? 2 * MB : 64 * MB);
	run_streams(peer, many, opt.smoke ? MB / 2 : 8 * MB);
	if (!jobs_missing())
		cold_run_hot(peer, many, opt.smoke ? MB / 2 : 8 * MB);
	peer_stop(peer);
	disk_close();
}

const struct suite suite_cold = {
	"cold",
	"files on a slow disk, 1 and 100 at a time, and a cached one beside them",
	run,
};
