/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A server of small files on keep-alive connections, as suite small needs it.
 */
#ifndef ZCP_BENCH_SMALL_H
#define ZCP_BENCH_SMALL_H

#include "bench.h"
#include "jobs.h"

#define SMALL_HEADER 200
#define SMALL_POOL 64

/* Open files of one size, all in the page cache. Their bytes go on from file to file. */
struct pool {
	int fd[SMALL_POOL];
	uint64_t size;
};

void pool_make(struct pool *p, uint64_t size);
void pool_remove(struct pool *p);

struct server;

/* How responses are sent. */
struct way {
	const char *name;
	bool jobs; /* its responses end later, with an event */
	/*
	 * Begins a response on each of these connections. One that is there more
	 * than once is so in a row: its responses may share packets.
	 */
	void (*respond)(struct server *s, const unsigned int *conn, unsigned int nr);
};

extern const struct way small_ways[];
extern const size_t nr_small_ways;

/* Connections that are served in one way. */
struct server {
	const struct way *way;
	const struct pool *pool;
	unsigned int nr;
	int *sock;
	uint64_t *count; /* responses begun on each */

	/* Of way zcp-job: */
	struct jobs jobs;
	uint32_t *link;
	struct zcp_job *job; /* room for a wave */
	struct zcp_segment *segment;

	unsigned int waves; /* of a sample */
	struct samples files, cpu, p50, p99;
	double cpu_seconds; /* of all rounds */
	uint64_t *latency;  /* ns, of all rounds */
};

/* Whether it works here and is wanted. */
bool way_usable(const struct way *way);
/*
 * @unit: responses that the receiver confirms with one answer. @wave: those of
 * one call of respond() at most. The receiver compares them when @check, which
 * it can for the first 64 files.
 */
void server_open(struct server *s, const struct way *way, const struct pool *pool,
		 struct peer *peer, unsigned int nr, uint64_t unit, unsigned int wave, bool check);
void server_close(struct server *s);
/* Until at most @open responses have an event to come. */
void server_settle(struct server *s, uint64_t open);
/* Reads the events that there are. */
void server_reap(struct server *s);
/* The bytes of a response. */
uint64_t server_bytes(const struct server *s);

#endif /* ZCP_BENCH_SMALL_H */
