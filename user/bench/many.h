/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What zcp takes from the system while it has many jobs.
 */
#ifndef ZCP_BENCH_MANY_H
#define ZCP_BENCH_MANY_H

#include "bench.h"

/* Bytes of zcp's slab caches, or -1 when there are none to be seen. */
int64_t many_slab_bytes(void);

/* Kernel threads that work for zcp now. */
unsigned int many_workers(void);

/* Looks at many_workers() all the time, and returns the most it saw. */
void many_watch_start(void);
unsigned int many_watch_stop(void);

#endif /* ZCP_BENCH_MANY_H */
