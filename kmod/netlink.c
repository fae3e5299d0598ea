// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: who may see what, and requests for one thing. A
 * request holds no lock over its walks, and the semaphore of generic netlink for
 * reading; so it waits for nothing that may take long.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "link.h"
#include "netlink.h"

#define ZNL_CANCEL_WAIT	(HZ / 10)	/* for a runner that does not stop */
#define ZNL_JOB_SIZE	(2048 + PATH_MAX)

/**
 * zsee_init() - What the sender of a request may see
 * @see: filled in
 * @skb: the request
 *
 * As for capabilities: when the message may have been written by a program that
 * did not know what its descriptor was, who opened the socket counts too.
 */
void zsee_init(struct zsee *see, struct sk_buff *skb)
{
	const struct netlink_skb_parms *from = &NETLINK_CB(skb);

	see->admin = netlink_ns_capable(skb, sock_net(skb->sk)->user_ns,
					CAP_NET_ADMIN);
	see->uid = current_euid();
	if (!(from->flags & NETLINK_SKB_DST) &&
	    !uid_eq(from->sk->sk_socket->file->f_cred->euid, see->uid))
		see->uid = INVALID_UID;
}

/**
 * zsee_may() - May a caller see this context, and what belongs to it?
 * @see: the caller
 * @ctx: the context
 */
bool zsee_may(const struct zsee *see, const struct zctx *ctx)
{
	return see->admin || uid_eq(see->uid, ctx->user->uid);
}

/**
 * znl_check_attrs() - Refuse attributes that would be ignored
 * @attrs: those of the request
 * @max: the last that there may be
 * @allowed: bits of those that it takes
 * @extack: the first other one is told here
 *
 * Return: 0 or -EINVAL.
 */
int znl_check_attrs(struct nlattr **attrs, u32 max, u32 allowed,
		    struct netlink_ext_ack *extack)
{
	u32 i;

	for (i = 1; i <= max; i++) {
		if (attrs[i] && !(allowed & BIT(i))) {
			NL_SET_ERR_MSG_ATTR(extack, attrs[i],
					    "this request does not take this attribute");
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * zreader_current() - The one who asks now
 * @path: see struct zreader
 *
 * May not be the one who sent the request.
 */
struct zreader zreader_current(char *path)
{
	return (struct zreader) {
		.users = current_user_ns(),
		.pids = task_active_pid_ns(current),
		.path = path,
	};
}

static const struct nla_policy znl_job_policy[ZNL_JOB_ATTRS + 1] = {
	[ZCP_NL_A_JOB_ID] = NLA_POLICY_MIN(NLA_U64, 1),
	[ZCP_NL_A_JOB_CONTEXT] = NLA_POLICY_MIN(NLA_U64, 1),
	[ZCP_NL_A_JOB_LINK] = NLA_POLICY_MIN(NLA_U32, 1),
	[ZCP_NL_A_JOB_STATE] = NLA_POLICY_RANGE(NLA_U32, ZCP_STATE_QUEUED,
						ZCP_STATE_CANCELLED),
	[ZCP_NL_A_JOB_UID] = { .type = NLA_U32 },
};

static const struct nla_policy znl_link_policy[ZNL_LINK_ATTRS + 1] = {
	[ZCP_NL_A_LINK_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[ZCP_NL_A_LINK_CONTEXT] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy znl_context_policy[ZNL_CONTEXT_ATTRS + 1] = {
	[ZCP_NL_A_CONTEXT_ID] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy znl_cancel_policy[ZNL_CANCEL_ATTRS + 1] = {
	[ZCP_NL_A_JOB_ID] = NLA_POLICY_MIN(NLA_U64, 1),
};

/*
 * Of a buffer with many requests, which are all served while no family can be added
 * or removed: is this the first?
 */
static bool znl_is_first(const struct sk_buff *skb)
{
	return !skb_headroom(skb);
}

/* What takes long where there are many links is served once in a buffer. */
static int znl_check_long(const struct sk_buff *skb, struct genl_info *info)
{
	if (znl_is_first(skb))
		return 0;
	GENL_SET_ERR_MSG(info, "only as the first request of a message");
	return -EBUSY;
}

/* Begin a reply of about that size. */
static struct sk_buff *znl_reply_begin(struct genl_info *info, u8 cmd,
				       size_t size, void **hdr)
{
	struct sk_buff *reply = genlmsg_new(size, GFP_KERNEL);

	if (!reply)
		return NULL;
	*hdr = genlmsg_put_reply(reply, info, &znl_family, 0, cmd);
	if (*hdr)
		return reply;
	nlmsg_free(reply);
	return NULL;
}

/* Send it, unless something went wrong. */
static int znl_reply_end(struct genl_info *info, struct sk_buff *reply,
			 void *hdr, int ret)
{
	if (ret) {
		nlmsg_free(reply);
		return ret;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/* The job with a reference, and its context with another. */
static struct zjob *znl_find_job(u64 id, struct zctx **ctx)
{
	struct zjob *job;
	u64 next = 0;

	/* The answer is for who is killed meanwhile. */
	while (!fatal_signal_pending(current) && (*ctx = zctx_next(next))) {
		job = zctx_find_job(*ctx, id);
		if (job)
			return job;
		next = (u64)(*ctx)->id + 1;
		zctx_put(*ctx);
		cond_resched();
	}
	return NULL;
}

/**
 * znl_put_found() - Let go of a job and its context
 * @job: the job
 * @ctx: the context
 */
void znl_put_found(struct zjob *job, struct zctx *ctx)
{
	zjob_put(job);
	zctx_put(ctx);
}

/* The job that is asked for, when the caller may see it. */
static struct zjob *znl_get_job(struct sk_buff *skb, struct genl_info *info,
				u32 max, struct zctx **ctx)
{
	struct zjob *job = NULL;
	struct zsee see;
	int ret;

	ret = znl_check_attrs(info->attrs, max, BIT(ZCP_NL_A_JOB_ID),
			      info->extack);
	if (ret)
		return ERR_PTR(ret);
	if (GENL_REQ_ATTR_CHECK(info, ZCP_NL_A_JOB_ID)) {
		GENL_SET_ERR_MSG(info, "the id of a job is missing");
		return ERR_PTR(-EINVAL);
	}
	job = znl_find_job(nla_get_u64(info->attrs[ZCP_NL_A_JOB_ID]), ctx);
	if (job && job->link->net_cookie != genl_info_net(info)->net_cookie) {
		znl_put_found(job, *ctx);
		job = NULL;
	}
	if (!job) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[ZCP_NL_A_JOB_ID],
				    "no such job in this network namespace");
		return ERR_PTR(-ENOENT);
	}
	zsee_init(&see, skb);
	if (!zsee_may(&see, *ctx)) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[ZCP_NL_A_JOB_ID],
				    "the job of another user: CAP_NET_ADMIN is needed");
		znl_put_found(job, *ctx);
		return ERR_PTR(-EPERM);
	}
	return job;
}

static int znl_job_get(struct sk_buff *skb, struct genl_info *info)
{
	struct zreader reader = zreader_current(NULL);
	struct sk_buff *reply;
	struct zctx *ctx;
	struct zjob *job;
	int ret = -ENOMEM;
	void *hdr;

	job = znl_get_job(skb, info, ZNL_JOB_ATTRS, &ctx);
	if (IS_ERR(job))
		return PTR_ERR(job);
	reader.path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!reader.path)
		goto out;
	reply = znl_reply_begin(info, ZCP_NL_CMD_JOB_GET, ZNL_JOB_SIZE, &hdr);
	if (reply)
		ret = znl_reply_end(info, reply, hdr,
				    znl_put_job(reply, ctx, job, 0, &reader));
	kfree(reader.path);
out:
	znl_put_found(job, ctx);
	return ret;
}

static int znl_job_cancel(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	struct zctx *ctx;
	struct zjob *job;
	u32 cancelled;
	void *hdr;
	int ret;

	job = znl_get_job(skb, info, ZNL_CANCEL_ATTRS, &ctx);
	if (IS_ERR(job))
		return PTR_ERR(job);
	/* One whose runner does not stop ends later: its state says so. */
	zlink_cancel_job(job->link, job, znl_is_first(skb) ? ZNL_CANCEL_WAIT : 0, &cancelled);
	ret = -ENOMEM;
	reply = znl_reply_begin(info, ZCP_NL_CMD_JOB_CANCEL,
				GENLMSG_DEFAULT_SIZE, &hdr);
	if (!reply)
		goto out;
	ret = 0;
	if (nla_put_u64_64bit(reply, ZCP_NL_A_JOB_ID, job->id,
			      ZCP_NL_A_JOB_PAD) ||
	    nla_put_u32(reply, ZCP_NL_A_JOB_STATE, READ_ONCE(job->state)) ||
	    nla_put_u64_64bit(reply, ZCP_NL_A_JOB_BYTES_SENT,
			      READ_ONCE(job->sent), ZCP_NL_A_JOB_PAD))
		ret = -EMSGSIZE;
	ret = znl_reply_end(info, reply, hdr, ret);
out:
	znl_put_found(job, ctx);
	return ret;
}

static int znl_link_get(struct sk_buff *skb, struct genl_info *info)
{
	struct zlink *link = NULL;
	struct sk_buff *reply;
	struct zctx *ctx;
	struct zsee see;
	int ret;
	void *hdr;

	if (GENL_REQ_ATTR_CHECK(info, ZCP_NL_A_LINK_CONTEXT) ||
	    GENL_REQ_ATTR_CHECK(info, ZCP_NL_A_LINK_ID)) {
		GENL_SET_ERR_MSG(info, "the ids of a context and a link are needed");
		return -EINVAL;
	}
	ctx = zctx_find(nla_get_u64(info->attrs[ZCP_NL_A_LINK_CONTEXT]));
	if (ctx)
		link = zctx_find_link(ctx, nla_get_u32(info->attrs[ZCP_NL_A_LINK_ID]));
	ret = -ENOENT;
	if (!link || link->net_cookie != genl_info_net(info)->net_cookie)
		goto out;
	zsee_init(&see, skb);
	if (!zsee_may(&see, ctx)) {
		GENL_SET_ERR_MSG(info, "the link of another user: CAP_NET_ADMIN is needed");
		ret = -EPERM;
		goto out;
	}
	ret = -ENOMEM;
	reply = znl_reply_begin(info, ZCP_NL_CMD_LINK_GET, GENLMSG_DEFAULT_SIZE,
				&hdr);
	if (reply)
		ret = znl_reply_end(info, reply, hdr,
				    znl_put_link(reply, ctx, link));
out:
	if (ret == -ENOENT)
		GENL_SET_ERR_MSG(info, "no such link in this network namespace");
	if (link)
		zlink_put(link);
	if (ctx)
		zctx_put(ctx);
	return ret;
}

static int znl_context_get(struct sk_buff *skb, struct genl_info *info)
{
	struct zreader reader = zreader_current(NULL);
	struct sk_buff *reply;
	struct zctx *ctx;
	struct zsee see;
	void *hdr;
	int ret;

	ret = znl_check_long(skb, info);
	if (ret)
		return ret;
	if (GENL_REQ_ATTR_CHECK(info, ZCP_NL_A_CONTEXT_ID)) {
		GENL_SET_ERR_MSG(info, "the id of a context is missing");
		return -EINVAL;
	}
	ctx = zctx_find(nla_get_u64(info->attrs[ZCP_NL_A_CONTEXT_ID]));
	if (!ctx || ctx->net_cookie != genl_info_net(info)->net_cookie) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[ZCP_NL_A_CONTEXT_ID],
				    "no such context in this network namespace");
		ret = -ENOENT;
		goto out;
	}
	zsee_init(&see, skb);
	if (!zsee_may(&see, ctx)) {
		NL_SET_ERR_MSG_ATTR(info->extack,
				    info->attrs[ZCP_NL_A_CONTEXT_ID],
				    "the context of another user: CAP_NET_ADMIN is needed");
		ret = -EPERM;
		goto out;
	}
	ret = -ENOMEM;
	reply = znl_reply_begin(info, ZCP_NL_CMD_CONTEXT_GET,
				GENLMSG_DEFAULT_SIZE, &hdr);
	if (reply)
		ret = znl_reply_end(info, reply, hdr,
				    znl_put_context(reply, ctx, &reader));
out:
	if (ctx)
		zctx_put(ctx);
	return ret;
}

static int znl_stats_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *hdr;
	int ret;

	ret = znl_check_long(skb, info);
	if (ret)
		return ret;
	reply = znl_reply_begin(info, ZCP_NL_CMD_STATS_GET,
				GENLMSG_DEFAULT_SIZE, &hdr);
	if (!reply)
		return -ENOMEM;
	return znl_reply_end(info, reply, hdr,
			     znl_put_stats(reply, genl_info_net(info)));
}

static const struct genl_ops znl_ops[] = {
	{
		.cmd = ZCP_NL_CMD_JOB_GET,
		.doit = znl_job_get,
		.start = znl_job_start,
		.dumpit = znl_job_dump,
		.policy = znl_job_policy,
		.maxattr = ZNL_JOB_ATTRS,
	},
	{
		.cmd = ZCP_NL_CMD_LINK_GET,
		.doit = znl_link_get,
		.start = znl_link_start,
		.dumpit = znl_link_dump,
		.policy = znl_link_policy,
		.maxattr = ZNL_LINK_ATTRS,
	},
	{
		.cmd = ZCP_NL_CMD_CONTEXT_GET,
		.doit = znl_context_get,
		.start = znl_context_start,
		.dumpit = znl_context_dump,
		.policy = znl_context_policy,
		.maxattr = ZNL_CONTEXT_ATTRS,
	},
	/* Without a policy: it takes no attribute. */
	{
		.cmd = ZCP_NL_CMD_STATS_GET,
		.doit = znl_stats_get,
	},
	{
		.cmd = ZCP_NL_CMD_JOB_CANCEL,
		.doit = znl_job_cancel,
		.policy = znl_cancel_policy,
		.maxattr = ZNL_CANCEL_ATTRS,
	},
};

static const struct genl_multicast_group znl_groups[] = {
	[ZNL_GROUP_EVENTS] = {
		.name = ZCP_NL_MCGRP_EVENTS,
		.flags = GENL_MCAST_CAP_NET_ADMIN,
	},
};

struct genl_family znl_family = {
	.name = ZCP_NL_FAMILY_NAME,
	.version = ZCP_NL_FAMILY_VERSION,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = znl_ops,
	.n_ops = ARRAY_SIZE(znl_ops),
	.mcgrps = znl_groups,
	.n_mcgrps = ARRAY_SIZE(znl_groups),
};

int znl_init(void)
{
	return genl_register_family(&znl_family);
}

void znl_exit(void)
{
	genl_unregister_family(&znl_family);
}
