/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notifications: what happens to jobs, for who listens to the group "events".
 * When nobody does they cost a look at a bit.
 *
 * The messages of a job come in order because of who sends them: the one that
 * accepts it under zlink.lock, when nobody else can find the job yet; the
 * stages and the progress by the runner of its link, while it is the current
 * job, which nobody else ends; the last by who has ended it.
 */
#ifndef ZCP_NOTIFY_H
#define ZCP_NOTIFY_H

#include <linux/jiffies.h>

#include "job.h"
#include "netlink.h"

/**
 * struct ztell_to - Where messages of a link's jobs go
 * @ctx: the context, with a reference; NULL when nobody listens
 * @net: the network namespace, with a reference
 *
 * For who is not the runner, and so cannot rely on the link staying open.
 */
struct ztell_to {
	struct zctx *ctx;
	struct net *net;
};

/**
 * struct ztell_new - The message that a job was accepted
 * @to: where to
 * @skb: the message, until it is sent
 */
struct ztell_new {
	struct ztell_to to;
	struct sk_buff *skb;
};

/* The kernel keeps one table of listeners for all network namespaces. */
static inline bool ztell_wanted(void)
{
	return genl_has_listeners(&znl_family, &init_net, ZNL_GROUP_EVENTS);
}

void ztell_take(struct ztell_to *to, struct zlink *link);
void ztell_put(struct ztell_to *to);
void ztell_make_new(struct ztell_new *news, struct zlink *link,
		    const struct zjob *job);
void ztell_send_new(struct ztell_new *news);
void ztell_send_stage(struct zlink *link, const struct zjob *job, u32 state);
void ztell_send_progress(struct zlink *link, struct zjob *job);
void ztell_send_done(const struct ztell_to *to, const struct zjob *job);

/**
 * ztell_begin() - Jobs of a link end: will somebody want to know?
 * @to: where to, zeroed before the first
 * @link: the link, locked and not closed
 */
static inline void ztell_begin(struct ztell_to *to, struct zlink *link)
{
	if (!to->ctx && unlikely(ztell_wanted()))
		ztell_take(to, link);
}

/**
 * ztell_done() - A job has ended
 * @to: from ztell_begin()
 * @job: the job
 */
static inline void ztell_done(const struct ztell_to *to, const struct zjob *job)
{
	if (unlikely(to->ctx))
		ztell_send_done(to, job);
}

/**
 * ztell_end() - Nothing more is to be told
 * @to: from ztell_begin()
 */
static inline void ztell_end(struct ztell_to *to)
{
	if (unlikely(to->ctx))
		ztell_put(to);
}

/**
 * ztell_prepare_new() - A job is about to be accepted
 * @news: zeroed
 * @link: its link, not locked
 * @job: the job
 */
static inline void ztell_prepare_new(struct ztell_new *news, struct zlink *link,
				     const struct zjob *job)
{
	if (unlikely(ztell_wanted()))
		ztell_make_new(news, link, job);
}

/**
 * ztell_new() - A job is accepted
 * @news: from ztell_prepare_new()
 *
 * The caller holds zlink.lock.
 */
static inline void ztell_new(struct ztell_new *news)
{
	if (unlikely(news->skb))
		ztell_send_new(news);
}

/**
 * ztell_end_new() - A job was accepted, or was not
 * @news: from ztell_prepare_new()
 */
static inline void ztell_end_new(struct ztell_new *news)
{
	kfree_skb(news->skb);
	ztell_end(&news->to);
}

/**
 * ztell_stage() - A job begins, or all its bytes are sent
 * @link: its link; the caller is its runner
 * @job: the current job
 * @state: %ZCP_STATE_RUNNING or %ZCP_STATE_SENT
 */
static inline void ztell_stage(struct zlink *link, struct zjob *job, u32 state)
{
	job->told = jiffies;
	if (unlikely(ztell_wanted()))
		ztell_send_stage(link, job, state);
}

/**
 * ztell_progress() - A job has sent bytes, and is to send more
 * @link: its link; the caller is its runner
 * @job: the current job
 */
static inline void ztell_progress(struct zlink *link, struct zjob *job)
{
	if (unlikely(ztell_wanted()))
		ztell_send_progress(link, job);
}

#endif /* ZCP_NOTIFY_H */
