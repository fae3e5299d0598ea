// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rounds of a comparison.
 */
#include <unistd.h>

#include "rounds.h"

/* What is over sooner than this part of a sample says too little about how long one takes. */
#define LEARN_PART 4
/* /proc/stat counts in ticks, mostly of 10 ms. Fewer of them are no figure. */
#define MIN_TICKS 20

/* splitmix64, which takes any number to begin with. */
uint64_t rounds_random(uint64_t *state)
{
	uint64_t z;

	*state += 0x9e3779b97f4a7c15;
	z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

void rounds_order(int *order, int nr, uint64_t round)
{
	uint64_t state = round;
	int other, swap;

	for (int i = 0; i < nr; i++)
		order[i] = i;
	for (int i = nr - 1; i > 0; i--) {
		other = rounds_random(&state) % (i + 1);
		swap = order[i];
		order[i] = order[other];
		order[other] = swap;
	}
}

uint64_t rounds_count(double seconds, uint64_t multiple, rounds_run_fn *run, void *arg)
{
	uint64_t count = multiple;
	double took;

	do {
		count *= 4;
		took = run(count, arg);
	} while (took * LEARN_PART < seconds);
	/* Once more: something else may have held it up. */
	do {
		count = count * seconds / took;
		count = (count / multiple + 1) * multiple;
		took = run(count, arg);
	} while (took * 2 < seconds);
	return count;
}

void rounds_report_cpu(const char *suite, const char *cas, const char *method,
		       const struct samples *per_gb, double seconds)
{
	/* Sums of them are not exact. */
	if (seconds * sysconf(_SC_CLK_TCK) > MIN_TICKS - 0.5)
		result_add(suite, cas, method, "cpu_per_gb", "s", per_gb);
}
