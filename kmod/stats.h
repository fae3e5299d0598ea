/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Statistics: what has been done for each network namespace since the module
 * was loaded, counted on each CPU by itself, in process context. A caller
 * holds the namespace, by a socket that lives there.
 */
#ifndef ZCP_STATS_H
#define ZCP_STATS_H

#include <linux/types.h>

#include "transmit.h"

struct net;

/**
 * struct zstats - The statistics of a network namespace
 * @submitted: jobs accepted
 * @done: jobs that ended as done
 * @failed: jobs that failed
 * @cancelled: jobs that were cancelled
 * @xfers: synchronous transfers that moved bytes
 * @lost: notifications that could not be delivered
 * @count: the bytes of jobs and transfers, as they travelled
 */
struct zstats {
	u64 submitted;
	u64 done;
	u64 failed;
	u64 cancelled;
	u64 xfers;
	u64 lost;
	struct zcount count;
};

int zstats_init(void);
void zstats_exit(void);

void zstats_job_new(struct net *net);
void zstats_job_end(struct net *net, u8 state);
void zstats_bytes(struct net *net, const struct zcount *count);
void zstats_xfer(struct net *net, const struct zcount *count);
void zstats_lost(struct net *net);
void zstats_read(struct net *net, struct zstats *sum);

#endif /* ZCP_STATS_H */
