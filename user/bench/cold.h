/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that are not in the page cache, and connections to send them on.
 */
#ifndef ZCP_BENCH_COLD_H
#define ZCP_BENCH_COLD_H

#include "bench.h"
#include "disk.h"
#include "jobs.h"

struct cold {
	struct peer *peer;
	int nr;
	struct file *file;
	int *sock;	/* made anew for each sample */
	uint16_t flags; /* for the receiver */
	uint64_t bytes;
};

/* @nr files of @size bytes each. */
void cold_open(struct cold *c, struct peer *peer, int nr, uint64_t size);
void cold_close(struct cold *c);
/* Before a sample: the files leave the page cache, and a connection for each. */
void cold_prepare(struct cold *c);
/* After it. */
void cold_finish(struct cold *c);

/* Jobs of a cached file, alone and beside @nr cold ones. */
void cold_run_hot(struct peer *peer, int nr, uint64_t size);

#endif /* ZCP_BENCH_COLD_H */
