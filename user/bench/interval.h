/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Speed by interval: what the peer has acknowledged, looked at every so often
 * while a transfer lasts.
 */
#ifndef ZCP_BENCH_INTERVAL_H
#define ZCP_BENCH_INTERVAL_H

#include "bench.h"

/* Looks at these TCP sockets until intervals_stop(); one at a time. */
void intervals_start(const int *sock, int nr);

/*
 * Returns the Gbit/s of the slowest whole interval but the first, 0 when there was
 * none. Writes lines of seconds and Gbit/s to the file @path unless it is NULL.
 */
double intervals_stop(const char *path);

#endif /* ZCP_BENCH_INTERVAL_H */
