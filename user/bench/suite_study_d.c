// SPDX-License-Identifier: GPL-2.0-only
/*
 * study-d: one run of messages in memory, by several allocators. Each runs in a
 * process of its own: this program again, with an allocator preloaded.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcp/pool.h>

#include "rounds.h"
#include "study.h"

#define SUITE "study-d"
#define RUNS 1000000
#define RUNS_SMOKE 5000
/* Messages that are alive at a time, in the order in which they were made. */
#define ALIVE 2000
/* So many samples of memory in a run. */
#define SAMPLES 200
#define PAGE 4096
/* The same lengths in each run. */
#define SEED 1
/* Lengths of each power of two that a check draws. */
#define KIND_DRAWS 1000

struct subject {
	const char *name;
	const char *preload; /* NULL: nothing */
	bool pool;
};

static const struct subject subjects[] = {
	{ "glibc", NULL, false },
	{ "tcmalloc", "libtcmalloc_minimal.so.4", false },
	{ "jemalloc", "libjemalloc.so.2", false },
	{ "zcp-pool", NULL, true },
};

struct workload {
	const char *name;
	unsigned int alive;
	size_t min, max; /* bytes; as many of each power of two */
};

static const struct workload workloads[] = {
	{ "one-1KiB", 1, 1 << 10, 1 << 10 },
	{ "queue-1KiB", ALIVE, 1 << 10, 1 << 10 },
	{ "queue-64B-64KiB", ALIVE, 64, 64 << 10 },
};

/* --- the process that is measured ------------------------------------------- */

/* What it tells at its end, through a pipe. */
struct report {
	double ns;	   /* of a message */
	double peak;	   /* bytes of memory at most, above those at the start */
	double fragmented; /* bytes held / bytes alive, at the end of the run */
};

static uint64_t resident(void)
{
	unsigned long long size, rss;
	char buf[128];
	FILE *in = fopen("/proc/self/statm", "re");

	if (!in || !fgets(buf, sizeof(buf), in) || sscanf(buf, "%llu %llu", &size, &rss) != 2)
		die("/proc/self/statm is not understood");
	fclose(in);
	return rss * PAGE;
}

static bool is_loaded(const char *name)
{
	FILE *in = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	while (in && fgets(line, sizeof(line), in))
		found |= !!strstr(line, name);
	if (in)
		fclose(in);
	return found;
}

/* How many powers of two there are from the shortest to the longest. */
static unsigned int powers(const struct workload *w)
{
	unsigned int n = 1;

	for (size_t len = w->min; len < w->max; len *= 2)
		n++;
	return n;
}

/* One of so many powers of two. */
static size_t random_len(const struct workload *w, unsigned int kinds, uint64_t *seed)
{
	size_t len = w->max >> rounds_random(seed) % kinds;

	/* Up to a quarter less, as messages are no powers of two. */
	return len - (w->min == w->max ? 0 : rounds_random(seed) % (len / 4));
}

/* Whether about as many lengths are of each power of two. */
static bool all_kinds(const struct workload *w)
{
	unsigned int nr = powers(w), kind, seen[CHAR_BIT * sizeof(size_t)] = { 0 };
	uint64_t seed = SEED;

	for (unsigned int i = 0; i < nr * KIND_DRAWS; i++) {
		size_t len = random_len(w, nr, &seed);

		for (kind = 0; len <= w->max >> (kind + 1); kind++)
			;
		if (kind >= nr)
			return false;
		seen[kind]++;
	}
	for (kind = 0; kind < nr; kind++)
		if (seen[kind] < KIND_DRAWS * 0.8 || seen[kind] > KIND_DRAWS * 1.2)
			return false;
	return true;
}

static void run_one(const struct workload *w, bool pooled, uint64_t runs, const char *dat,
		    struct report *r)
{
	static void *alive[ALIVE];
	static size_t length[ALIVE];
	uint64_t seed = SEED, used = 0, start, peak, first, paused = 0;
	unsigned int kinds = powers(w);
	struct zcp_pool *pool = NULL;
	FILE *out = NULL;

	if (pooled && zcp_pool_open(&pool, NULL))
		die("zcp_pool_open");
	if (dat)
		out = fopen(dat, "we");
	first = resident();
	peak = first;
	start = now_ns();
	for (uint64_t i = 0; i < runs; i++) {
		unsigned int k = i % w->alive;
		size_t len = random_len(w, kinds, &seed);

		if (alive[k]) {
			used -= length[k];
			if (pool)
				zcp_pool_free(pool, alive[k]);
			else
				free(alive[k]);
		}
		if (!pool)
			alive[k] = malloc(len);
		else if (zcp_pool_alloc(pool, len, &alive[k]))
			alive[k] = NULL;
		if (!alive[k])
			die("no memory");
		length[k] = len;
		used += len;
		for (size_t at = 0; at < len; at += PAGE)
			((volatile char *)alive[k])[at] = i;
		if (i % (runs / SAMPLES) == 0) {
			uint64_t now = now_ns(), held = resident();

			if (held > peak)
				peak = held;
			if (out)
				fprintf(out, "%g %g %g\n", (now - start - paused) / 1e6,
					(double)held - first, (double)used);
			paused += now_ns() - now;
		}
	}
	r->ns = (double)(now_ns() - start - paused) / runs;
	r->peak = (double)peak - first;
	r->fragmented = ((double)resident() - first) / used;
	if (out)
		fclose(out);
}

/* zcp-bench study-d-run SUBJECT WORKLOAD RUNS DAT, with the report on fd 3. */
int study_d_main(int argc, char **argv)
{
	const struct subject *s;
	const struct workload *w;
	struct report r;

	if (argc != 5)
		return 2;
	s = &subjects[atoi(argv[1]) % ARRAY_SIZE(subjects)];
	w = &workloads[atoi(argv[2]) % ARRAY_SIZE(workloads)];
	if (s->preload && !is_loaded(s->preload))
		return 3;
	run_one(w, s->pool, strtoull(argv[3], NULL, 10), *argv[4] ? argv[4] : NULL, &r);
	return write(3, &r, sizeof(r)) == sizeof(r) ? 0 : 1;
}

/* --- the one that measures ---------------------------------------------------- */

/* False when the allocator is not installed. */
static bool measure(size_t subject, size_t workload, uint64_t runs, const char *dat,
		    struct report *r)
{
	char nr[2][24], count[24];
	char *argv[7] = { "zcp-bench", "study-d-run", nr[0], nr[1], count, (char *)dat, NULL };
	int ends[2], status;
	ssize_t got;
	pid_t pid;

	snprintf(nr[0], sizeof(nr[0]), "%zu", subject);
	snprintf(nr[1], sizeof(nr[1]), "%zu", workload);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)runs);
	if (pipe(ends))
		die_errno(errno, "pipe");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die_errno(errno, "fork");
	if (!pid) {
		if (dup2(ends[1], 3) < 0)
			_exit(1);
		closefrom(4);
		/* What is not there ld.so only warns of. */
		close(2);
		if (subjects[subject].preload)
			setenv("LD_PRELOAD", subjects[subject].preload, 1);
		execv("/proc/self/exe", argv);
		_exit(1);
	}
	close(ends[1]);
	got = read(ends[0], r, sizeof(*r));
	close(ends[0]);
	if (waitpid(pid, &status, 0) != pid)
		die_errno(errno, "waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		return false;
	if (status || got != sizeof(*r))
		die("study-d: %s failed", subjects[subject].name);
	return true;
}

/* Told once, however often it is not there. */
static void left_out(const struct subject *s)
{
	char why[80];

	snprintf(why, sizeof(why), "this system lacks %s", s->preload);
	result_left_out(s->name, why);
}

static void run_workload(size_t workload)
{
	const struct workload *w = &workloads[workload];
	uint64_t runs = opt.smoke ? RUNS_SMOKE : RUNS;
	struct samples ns[ARRAY_SIZE(subjects)] = { 0 };
	struct samples peak[ARRAY_SIZE(subjects)] = { 0 };
	struct samples fragmented[ARRAY_SIZE(subjects)] = { 0 };
	int order[ARRAY_SIZE(subjects)];
	char dat[4096];
	struct report r;

	say("  %s", w->name);
	for (int round = 0; round < opt.rounds; round++) {
		rounds_order(order, ARRAY_SIZE(subjects), round);
		for (size_t k = 0; k < ARRAY_SIZE(subjects); k++) {
			int i = order[k];

			*dat = '\0';
			if (opt.out && !round)
				snprintf(dat, sizeof(dat), "%s/memory-%s.%s.dat", opt.out, w->name,
					 subjects[i].name);
			if (!measure(i, workload, runs, dat, &r)) {
				left_out(&subjects[i]);
				continue;
			}
			samples_add(&ns[i], r.ns);
			samples_add(&peak[i], r.peak);
			samples_add(&fragmented[i], r.fragmented);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(subjects); i++) {
		result_add(SUITE, w->name, subjects[i].name, "time", "ns", &ns[i]);
		result_add(SUITE, w->name, subjects[i].name, "peak_memory", "bytes", &peak[i]);
		if (w->alive > 1)
			result_add(SUITE, w->name, subjects[i].name, "held_per_used", "ratio",
				   &fragmented[i]);
	}
	result_check(SUITE, w->name, ns[0].n && ns[3].n, "runs with glibc and with zcp-pool");
	result_check(SUITE, w->name, all_kinds(w), "as many lengths of each power of two");
}

static void run(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(workloads); i++)
		run_workload(i);
}

const struct suite suite_study_d = {
	"study-d",
	"messages in memory, by glibc, tcmalloc, jemalloc and zcp-pool",
	run,
};
