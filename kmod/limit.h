/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits: what a job, a context and a user may hold. All of them are module
 * parameters; a change counts for requests after it.
 */
#ifndef ZCP_LIMIT_H
#define ZCP_LIMIT_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/zcp.h>

#include "runq.h"

#define ZCP_MAX_INLINE	(64 * 1024)	/* inline bytes of a job: ABI, fixed */

extern unsigned int zcp_max_links;
extern unsigned int zcp_max_jobs;
extern unsigned int zcp_max_user_links;
extern unsigned int zcp_max_user_jobs;
extern unsigned int zcp_max_segments;
extern unsigned int zcp_max_batch;
extern unsigned int zcp_max_inline_total;
extern unsigned int zcp_max_inflight;
extern unsigned int zcp_max_user_inflight;
extern unsigned int zcp_small_bytes;
extern unsigned int zcp_quota_bytes;
extern unsigned int zcp_readahead_kb;
extern unsigned int zcp_tight_ms;

/**
 * struct zuser - What one user holds, in all contexts
 * @node: in the table of users
 * @refs: contexts of this user, and links; under the table's lock
 * @uid: the user
 * @links: links
 * @jobs: jobs, those with unread events included
 * @inflight: bytes of jobs that were sent and are not known to be acked
 * @cached: his links that wait for a worker
 * @io: and those that wait for one that may wait for a disk
 *
 * Made by the first context that a user opens, freed with the last, or with the last
 * link if somebody still has that. A context
 * belongs to the user who opened it, whoever uses it later.
 */
struct zuser {
	struct hlist_node node;
	unsigned int refs;
	kuid_t uid;
	atomic_t links;
	atomic_t jobs;
	atomic64_t inflight;
	struct zshare cached;
	struct zshare io;
};

struct zuser *zuser_get(kuid_t uid);
struct zuser *zuser_hold(struct zuser *user);
void zuser_put(struct zuser *user);

/**
 * zlimit_take() - Take one of a counted thing
 * @count: how many there are
 * @max: how many there may be
 *
 * Return: true when one was taken, which zlimit_give() gives back.
 */
static inline bool zlimit_take(atomic_t *count, unsigned int max)
{
	if (atomic_inc_return(count) <= (int)min_t(unsigned int, max, INT_MAX))
		return true;
	atomic_dec(count);
	return false;
}

static inline void zlimit_give(atomic_t *count)
{
	atomic_dec(count);
}

#endif /* ZCP_LIMIT_H */
