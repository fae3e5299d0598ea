// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that is sent again and again.
 *
 * A sample has parts, and methods take turns by them: what else the host does meets all of
 * them. The time of a part is that from the first call until the receiver has confirmed
 * every byte and the method has nothing open any more. Connections last for
 * all samples; what a method sets up for a connection is made anew for each
 * part, before its time starts (zcp's link with the first job, within it), and
 * ended after it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rounds.h"
#include "transfer.h"

/* What is shorter says little about what a transfer takes. */
#define LEARN_NS 50000000
#define HEADER 200
#define CEILING_BLOCK (1 << 20)
#define MAX_TRANSFERS 64
/* Of a sample that is as many transfers or more. */
#define PARTS 5

struct stream {
	struct transfer *t;
	int nr;
	void *state;
	uint64_t off, repeat;
	pthread_t thread;
	pthread_barrier_t *ready;
};

/* Jobs of all connections have one queue of events and need one thread. */
static bool needs_threads(const struct transfer *t)
{
	return t->streams > 1 && strcmp(t->method->name, "zcp-job") &&
	       strcmp(t->method->name, "ceiling");
}

static void send_once(struct stream *s)
{
	const struct transfer *t = s->t;
	uint64_t piece = t->piece ? t->piece : UINT64_MAX;
	/* A part may begin after the end of a file that is sent more than once. */
	uint64_t off = s->off % t->file->size, left = t->part[s->nr];
	uint64_t n;

	/* It sends one block by itself. */
	if (!strcmp(t->method->name, "ceiling"))
		piece = UINT64_MAX;
	for (; left; left -= n) {
		n = left < piece ? left : piece;
		if (piece != UINT64_MAX && n > t->file->size - off)
			n = t->file->size - off;
		t->method->send(s->state, t->file, off, n, NULL, 0);
		if (!t->same)
			off = (off + n) % t->file->size;
	}
}

static void *send_stream(void *arg)
{
	struct stream *s = arg;
	struct transfer *t = s->t;

	s->state = t->method->open(t->sock[s->nr]);
	pthread_barrier_wait(s->ready);
	for (uint64_t i = 0; i < s->repeat; i++)
		send_once(s);
	t->method->finish(s->state);
	peer_wait(t->sock[s->nr], s->repeat);
	return NULL;
}

static void with_threads(struct transfer *t, struct stream *streams, struct meter *m)
{
	pthread_barrier_t ready;
	int error;

	pthread_barrier_init(&ready, NULL, t->streams + 1);
	for (int i = 0; i < t->streams; i++) {
		streams[i].ready = &ready;
		error = pthread_create(&streams[i].thread, NULL, send_stream, &streams[i]);
		if (error)
			die_errno(error, "thread");
	}
	meter_start(t->peer);
	pthread_barrier_wait(&ready);
	for (int i = 0; i < t->streams; i++)
		pthread_join(streams[i].thread, NULL);
	meter_stop(t->peer, m);
	pthread_barrier_destroy(&ready);
}

static void without_threads(struct transfer *t, struct stream *streams, struct meter *m)
{
	for (int i = 0; i < t->streams; i++)
		streams[i].state = t->method->open(t->sock[i]);
	meter_start(t->peer);
	for (uint64_t n = 0; n < streams[0].repeat; n++)
		for (int i = 0; i < t->streams; i++)
			send_once(&streams[i]);
	for (int i = 0; i < t->streams; i++)
		t->method->finish(streams[i].state);
	for (int i = 0; i < t->streams; i++)
		peer_wait(t->sock[i], streams[i].repeat);
	meter_stop(t->peer, m);
}

/* So many transfers. */
static void run(struct transfer *t, uint64_t repeat, struct meter *m)
{
	struct stream streams[MAX_STREAMS] = { 0 };
	uint64_t off = 0;

	for (int i = 0; i < t->streams; i++) {
		streams[i].t = t;
		streams[i].nr = i;
		streams[i].off = off;
		streams[i].repeat = repeat;
		off += t->part[i];
	}
	if (needs_threads(t))
		with_threads(t, streams, m);
	else
		without_threads(t, streams, m);
	for (int i = 0; i < t->streams; i++)
		t->method->close(streams[i].state);
}

void transfer_open(struct transfer *t, struct peer *peer, double seconds)
{
	struct peer_hello hello = { .mode = t->mode, .lowat = opt.lowat };
	struct meter m;

	if (t->mode != PEER_CHECK)
		hello.flags = PEER_ALONE;
	if (!t->streams)
		t->streams = 1;
	t->peer = peer;
	for (int i = 0; i < t->streams; i++) {
		t->part[i] = t->size / t->streams;
		if (i == t->streams - 1)
			t->part[i] = t->size - t->part[0] * i;
		hello.unit = t->part[i];
		/* With PEER_CHECK: each connection brings its own part. */
		hello.offset = t->part[0] * i;
		t->sock[i] = peer_connect(peer, &hello);
	}
	t->repeat = 1;
	if (seconds <= 0)
		return;
	for (;;) {
		run(t, t->repeat, &m);
		if (m.ns >= LEARN_NS)
			break;
		t->repeat *= 2;
	}
	t->repeat = seconds * 1e9 * t->repeat / m.ns + 1;
}

/* A part of a sample, which is nothing when there are fewer transfers than parts. */
static void run_part(struct transfer *t, int part)
{
	uint64_t repeat = t->repeat * (part + 1) / PARTS - t->repeat * part / PARTS;
	struct meter m;

	if (!repeat)
		return;
	run(t, repeat, &m);
	t->sum.ns += m.ns;
	t->sum.cpu += m.cpu;
	if (m.peak_mem > t->sum.peak_mem)
		t->sum.peak_mem = m.peak_mem;
}

/* All parts of it have been run. */
static void add_sample(struct transfer *t)
{
	double bytes = (double)t->size * t->repeat;

	samples_add(&t->throughput, bytes * 8 / t->sum.ns);
	samples_add(&t->cpu, t->sum.cpu / (bytes / 1e9));
	t->cpu_seconds += t->sum.cpu;
	samples_add(&t->memory, t->sum.peak_mem);
	t->sum = (struct meter){ 0 };
}

void transfer_round(struct transfer *t)
{
	for (int part = 0; part < PARTS; part++)
		run_part(t, part);
	add_sample(t);
}

void transfer_close(struct transfer *t)
{
	for (int i = 0; i < t->streams; i++)
		close(t->sock[i]);
}

void transfer_report(const struct transfer *t, const char *suite, const char *cas)
{
	result_add(suite, cas, t->method->name, "throughput", "Gbit/s", &t->throughput);
	rounds_report_cpu(suite, cas, t->method->name, &t->cpu, t->cpu_seconds);
	result_add(suite, cas, t->method->name, "peak_memory", "bytes", &t->memory);
}

void transfers_run(struct transfer *t, int nr, struct peer *peer, double seconds)
{
	int order[MAX_TRANSFERS];

	if (nr > MAX_TRANSFERS)
		die("too many transfers");
	for (int i = 0; i < nr; i++)
		transfer_open(&t[i], peer, seconds);
	for (int round = 0; round < opt.rounds; round++) {
		for (int part = 0; part < PARTS; part++) {
			rounds_order(order, nr, (uint64_t)round * PARTS + part);
			for (int i = 0; i < nr; i++)
				run_part(&t[order[i]], part);
		}
		for (int i = 0; i < nr; i++)
			add_sample(&t[i]);
	}
	for (int i = 0; i < nr; i++)
		transfer_close(&t[i]);
}

/* Sends a file's bytes from @off on, twice, as units that are compared. */
static void check_units(const struct method *method, const struct file *f, struct peer *peer,
			uint64_t off, size_t hdr_len)
{
	struct peer_hello hello = { .mode = PEER_CHECK, .header = hdr_len, .offset = off };
	uint64_t len = f->size - off, answers = 2;
	char header[HEADER];
	void *state;
	int sock;

	hello.unit = hdr_len + len;
	if (!strcmp(method->name, "ceiling")) {
		if (off || hdr_len)
			return;
		len -= len % CEILING_BLOCK;
		hello.unit = CEILING_BLOCK;
		answers = 2 * len / CEILING_BLOCK;
	}
	sock = peer_connect(peer, &hello);
	state = method->open(sock);
	for (int i = 0; i < 2; i++) {
		memset(header, 'H', sizeof(header));
		method->send(state, f, off, len, header, hdr_len);
		memset(header, 'X', sizeof(header));
	}
	method->finish(state);
	peer_wait(sock, answers);
	method->close(state);
	close(sock);
}

void transfer_check(const char *suite, const char *cas, const struct method *method,
		    const struct file *f, struct peer *peer)
{
	char what[64] = "every byte arrives by ";

	check_units(method, f, peer, 0, 0);
	check_units(method, f, peer, 0, HEADER);
	check_units(method, f, peer, 4097, HEADER);
	result_check(suite, cas, true, strcat(what, method->name));
}
