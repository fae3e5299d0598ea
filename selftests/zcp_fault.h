/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests in which allocations and user copies fail: the kernel's fault
 * injection, and what must be as before when all is over.
 */
#ifndef ZCP_FAULT_H
#define ZCP_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "zcp_nl.h"
#include "zcp_test.h"

#define ZF_FAULTS	4000	/* no call has that many places to fail */
#define ZF_TIMEOUT	600	/* of a test, in seconds */
#define ZF_JOBS		3	/* as many as there may be at a time, and one link */

/**
 * struct zf_bed - Where calls are made to fail
 * @box: Where it is.
 * @nl: To ask the module for what it holds.
 * @fail: /proc/self/fail-nth.
 * @nth: The place that fails; 0: at random, see zf_random().
 * @hits: Calls in which something failed, or failures at random.
 * @refused: Calls that failed by it.
 * @memory: What the module held at the beginning.
 * @ctx: A context that stays open.
 * @max_links: max_user_links before.
 * @max_jobs: max_user_jobs before.
 * @random: Failures at random are on.
 */
struct zf_bed {
	struct zt_box box;
	struct zn_sock nl;
	int fail;
	unsigned int nth;
	unsigned int hits;
	unsigned int refused;
	uint64_t memory;
	int ctx;
	unsigned int max_links;
	unsigned int max_jobs;
	bool random;
};

/* NULL, or what this kernel lacks. */
const char *zf_prepare(struct zf_bed *bed);
/* The same, with a box to be in. */
const char *zf_open(struct zf_bed *bed);
/* Says what is left behind; 0 if nothing. */
int zf_close(struct zf_bed *bed);

/* The next call of this thread fails; whether it did, errno is kept. */
void zf_arm(struct zf_bed *bed);
bool zf_disarm(struct zf_bed *bed, bool failed);
/* 0 or -errno, which is one that a call may fail with. */
int zf_ioctl(struct zf_bed *bed, int ctx, unsigned long cmd, void *arg, bool *hit);

/* Makes a call again and again until it says that nothing in it failed. */
typedef bool (*zf_once)(struct zf_bed *bed, const void *arg);
void zf_replay(struct zf_bed *bed, zf_once once, const void *arg);

/*
 * Things fail below code from @start on, and before @end: in
 * /proc/self/fail-nth as well. False when the kernel cannot do that.
 */
bool zf_below(unsigned long start, unsigned long end);
/* Where the module's code is. */
bool zf_code(unsigned long *start, unsigned long *end);
/* Allocations below the module's code fail at random, in all threads. */
bool zf_random(struct zf_bed *bed, bool on);

uint64_t zf_stat(struct zf_bed *bed, int attr);

/**
 * struct zf_line - A context, and a connection that is read to its end
 * @conn: The connection.
 * @sink: After zf_line_close() it has all that was sent.
 * @ctx: The context; -1 when it is closed.
 */
struct zf_line {
	struct zt_conn conn;
	struct zt_sink sink;
	int ctx;
};

void zf_line_open(struct zf_line *line);
void zf_line_close(struct zf_line *line);

#endif /* ZCP_FAULT_H */
