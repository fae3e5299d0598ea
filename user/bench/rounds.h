/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rounds of a comparison: in which order the ways take turns, how often each does
 * what it does in a sample, and whether its CPU time can be told.
 */
#ifndef ZCP_BENCH_ROUNDS_H
#define ZCP_BENCH_ROUNDS_H

#include "bench.h"

/* The next number of a row that looks random and is the same in each run. */
uint64_t rounds_random(uint64_t *state);

/*
 * The numbers from 0 to @nr - 1, shuffled: what comes before one of them is another one in
 * each round. Those of a @round are the same in each run.
 */
void rounds_order(int *order, int nr, uint64_t round);

/* Does it so many times, and returns the seconds it took. */
typedef double rounds_run_fn(uint64_t count, void *arg);

/* How many times, of which @multiple is a divisor, fill a sample of @seconds. */
uint64_t rounds_count(double seconds, uint64_t multiple, rounds_run_fn *run, void *arg);

/*
 * Adds cpu_per_gb to the results. @seconds is the CPU time of all rounds together, which is
 * counted by ticks: nothing is added when they are too few to tell.
 */
void rounds_report_cpu(const char *suite, const char *cas, const char *method,
		       const struct samples *per_gb, double seconds);

#endif /* ZCP_BENCH_ROUNDS_H */
