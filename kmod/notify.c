// SPDX-License-Identifier: GPL-2.0-only
/* Notifications: making and sending them. */
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <net/sock.h>

#include "context.h"
#include "link.h"
#include "notify.h"
#include "stats.h"

/* What a job takes at most: a name of 255 bytes, and bytes copied by reason. */
#define ZTELL_SIZE	1280

static unsigned int zcp_progress_ms = 1000;
module_param_named(progress_ms, zcp_progress_ms, uint, 0644);
MODULE_PARM_DESC(progress_ms, "Milliseconds between two progress notifications of a job (1000, 0: none)");

/**
 * ztell_take() - Remember where to tell of a link's jobs
 * @to: out: where to
 * @link: the link, locked and not closed
 */
void ztell_take(struct ztell_to *to, struct zlink *link)
{
	kref_get(&link->ctx->ref);
	to->ctx = link->ctx;
	/* Its socket is there, and so is the namespace. */
	to->net = get_net(sock_net(link->sk));
}

/**
 * ztell_put() - Give back what ztell_take() has taken
 * @to: where to
 */
void ztell_put(struct ztell_to *to)
{
	put_net(to->net);
	zctx_put(to->ctx);
	to->ctx = NULL;
}

/* A message that cannot be made is missed by everybody: so they are told. */
static struct sk_buff *ztell_make(struct net *net, struct zctx *ctx,
				  const struct zjob *job, u8 cmd, u32 state)
{
	struct zreader reader = {
		.users = net->user_ns,
		.pids = &init_pid_ns,
	};
	struct sk_buff *skb;
	void *hdr;

	skb = genlmsg_new(ZTELL_SIZE, GFP_KERNEL);
	if (!skb)
		goto lost;
	hdr = genlmsg_put(skb, 0, 0, &znl_family, 0, cmd);
	if (!hdr || znl_put_job(skb, ctx, job, state, &reader))
		goto lost;
	genlmsg_end(skb, hdr);
	return skb;

lost:
	kfree_skb(skb);
	zstats_lost(net);
	genl_set_err(&znl_family, net, 0, ZNL_GROUP_EVENTS, -ENOBUFS);
	return NULL;
}

/*
 * Without waiting: who sends is not to be held up by who reads too slowly. A
 * reader without room learns that from its socket, as does everybody who
 * listens when there is no memory for a copy.
 */
static void ztell_send(struct net *net, struct sk_buff *skb)
{
	if (genlmsg_multicast_netns(&znl_family, net, skb, 0, ZNL_GROUP_EVENTS,
				    GFP_ATOMIC) == -ENOBUFS)
		zstats_lost(net);
}

static void ztell(struct net *net, struct zctx *ctx, const struct zjob *job,
		  u8 cmd, u32 state)
{
	struct sk_buff *skb = ztell_make(net, ctx, job, cmd, state);

	if (skb)
		ztell_send(net, skb);
}

/**
 * ztell_make_new() - Make the message that a job was accepted
 * @news: zeroed
 * @link: its link
 * @job: the job, which is not in any list yet
 *
 * Before the lock is taken under which it is sent.
 */
void ztell_make_new(struct ztell_new *news, struct zlink *link,
		    const struct zjob *job)
{
	spin_lock(&link->lock);
	if (link->sk)
		ztell_take(&news->to, link);
	spin_unlock(&link->lock);
	if (news->to.ctx)
		news->skb = ztell_make(news->to.net, news->to.ctx, job,
				       ZCP_NL_CMD_JOB_NEW_NTF, 0);
}

/**
 * ztell_send_new() - Send it
 * @news: from ztell_make_new()
 */
void ztell_send_new(struct ztell_new *news)
{
	ztell_send(news->to.net, news->skb);
	news->skb = NULL;
}

/**
 * ztell_send_stage() - Tell that a job has come to another stage
 * @link: its link; the caller is its runner
 * @job: the current job
 * @state: %ZCP_STATE_RUNNING or %ZCP_STATE_SENT
 */
void ztell_send_stage(struct zlink *link, const struct zjob *job, u32 state)
{
	ztell(sock_net(link->sk), link->ctx, job, ZCP_NL_CMD_JOB_STAGE_NTF,
	      state);
}

/**
 * ztell_send_progress() - Tell how far a job is, when it is time for that
 * @link: its link; the caller is its runner
 * @job: the current job
 */
void ztell_send_progress(struct zlink *link, struct zjob *job)
{
	unsigned int ms = READ_ONCE(zcp_progress_ms);

	if (!ms || time_before(jiffies, job->told + msecs_to_jiffies(ms)))
		return;
	job->told = jiffies;
	ztell(sock_net(link->sk), link->ctx, job, ZCP_NL_CMD_JOB_PROGRESS_NTF,
	      0);
}

/**
 * ztell_send_done() - Tell that a job has ended
 * @to: where to
 * @job: the job
 */
void ztell_send_done(const struct ztell_to *to, const struct zjob *job)
{
	ztell(to->net, to->ctx, job, ZCP_NL_CMD_JOB_DONE_NTF, 0);
}
