// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcp-bench: the order of its rounds, how much fills a sample, and CPU time that is too
 * little to be told.
 */
#include <string.h>
#include <unistd.h>

#include "../bench/rounds.h"
#include "tap.h"

#define WAYS 4
#define ROUNDS 64

static int reported;

/* Instead of the one that keeps results. */
void result_add(const char *suite, const char *cas, const char *method, const char *metric,
		const char *unit, const struct samples *s)
{
	reported += !strcmp(suite, "s") && !strcmp(cas, "c") && !strcmp(method, "m") &&
		    !strcmp(metric, "cpu_per_gb") && !strcmp(unit, "s") && s->n == 1;
}

static void test_order(void)
{
	int before[WAYS][WAYS] = { 0 };
	bool whole = true, same = true, all = true;
	int order[WAYS], again[WAYS];

	for (int round = 0; round < ROUNDS; round++) {
		int seen[WAYS] = { 0 };

		rounds_order(order, WAYS, round);
		rounds_order(again, WAYS, round);
		same &= !memcmp(order, again, sizeof(order));
		for (int i = 0; i < WAYS; i++) {
			whole &= order[i] >= 0 && order[i] < WAYS && !seen[order[i]]++;
			if (i)
				before[order[i - 1]][order[i]]++;
		}
	}
	/* Each of 12 has a twelfth of all, or something like it. */
	for (int i = 0; i < WAYS; i++)
		for (int k = 0; k < WAYS; k++)
			if (i != k)
				all &= before[i][k] >= ROUNDS * (WAYS - 1) / 12 / 3;
	ok(whole, "a round has every way once");
	ok(same, "a round has the same order in each run");
	ok(all, "every way comes right after every other one");
}

/* One that takes a second to begin with, and then a hundredth for each. */
static double slow_start(uint64_t count, void *arg)
{
	int *calls = arg;

	(*calls)++;
	return 1 + count / 100.0;
}

/* So many in a second. */
static double at_rate(uint64_t count, void *arg)
{
	const double *rate = arg;

	return count / *rate;
}

/* A thousandth of a second for each, but something else takes most of the first call. */
static double disturbed(uint64_t count, void *arg)
{
	int *calls = arg;

	return count / 1000.0 * ((*calls)++ ? 1 : 50);
}

static void test_count(void)
{
	double slow = 50, fast = 50e6;
	uint64_t count;
	int calls = 0, others = 0;

	count = rounds_count(0.05, 1, at_rate, &slow);
	ok(count >= 2 && count <= 4, "a slow way does little in a sample");
	count = rounds_count(0.05, 1024, at_rate, &fast);
	ok(count / fast >= 0.05 && count / fast < 0.06, "a fast way fills a sample as well");
	ok(count % 1024 == 0, "the count is a multiple of what was asked for");
	count = rounds_count(0.25, 8, slow_start, &calls);
	ok(count == 8 && calls == 2, "there is always something to do");
	count = rounds_count(0.25, 1, disturbed, &others);
	ok(count >= 125 && count <= 500, "a sample is filled though learning was disturbed");
}

static void test_cpu(void)
{
	struct samples s = { .v = { 1 }, .n = 1 };
	double tick = 1.0 / sysconf(_SC_CLK_TCK);

	rounds_report_cpu("s", "c", "m", &s, 0);
	rounds_report_cpu("s", "c", "m", &s, 19 * tick);
	ok(!reported, "19 ticks are no figure");
	rounds_report_cpu("s", "c", "m", &s, 20 * tick);
	ok(reported == 1, "20 ticks are one");
}

int main(void)
{
	test_order();
	test_count();
	test_cpu();
	return tap_end();
}
