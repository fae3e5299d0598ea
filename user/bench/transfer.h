/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that is sent again and again by one method, on one connection or as
 * contiguous parts on several, and what that took.
 */
#ifndef ZCP_BENCH_TRANSFER_H
#define ZCP_BENCH_TRANSFER_H

#include "bench.h"

#define MAX_STREAMS 8

struct transfer {
	/* Set by the suite. */
	const struct method *method;
	const struct file *file;
	uint64_t size;	     /* bytes of one transfer */
	uint64_t piece;	     /* bytes of one send at most; 0: all at once */
	bool same;	     /* each piece is the first one of the file */
	int streams;	     /* 0 counts as 1 */
	enum peer_mode mode; /* what the receiver does */

	struct peer *peer;
	int sock[MAX_STREAMS];
	uint64_t part[MAX_STREAMS]; /* bytes of each stream */
	uint64_t repeat;	    /* transfers in one sample */
	struct meter sum;	    /* of the parts of a sample so far */
	struct samples throughput, cpu, memory;
	double cpu_seconds; /* of all rounds */
};

/* Connects, sends the file a few times, and finds how often a sample sends it. */
void transfer_open(struct transfer *t, struct peer *peer, double seconds);
/* Takes a sample, its parts in a row. */
void transfer_round(struct transfer *t);
void transfer_close(struct transfer *t);
void transfer_report(const struct transfer *t, const char *suite, const char *cas);

/* All of them, opt.rounds times. They take turns by parts, in another order each time. */
void transfers_run(struct transfer *t, int nr, struct peer *peer, double seconds);

/* Sends all of @f with and without a header and has every byte compared. */
void transfer_check(const char *suite, const char *cas, const struct method *method,
		    const struct file *f, struct peer *peer);

#endif /* ZCP_BENCH_TRANSFER_H */
