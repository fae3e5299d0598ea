// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: who may see what, requests, and dumps. A request
 * holds no lock over its walks, and the semaphore of generic netlink for
 * reading; so it waits for nothing that may take long.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "link.h"
#include "netlink.h"

#define ZNL_CANCEL_WAIT	HZ		/* for a runner that does not stop */
#define ZNL_JOB_SIZE	(2048 + PATH_MAX)
#define ZDUMP_JOBS	64		/* jobs looked up at a time */

/**
 * struct zsee - What a caller may see
 * @uid: what belongs to this user; INVALID_UID for nothing
 * @admin: everything, having CAP_NET_ADMIN over the network namespace
 */
struct zsee {
	kuid_t uid;
	bool admin;
};

/*
 * As for capabilities: when the message may have been written by a program that
 * did not know what its descriptor was, who opened the socket counts too.
 */
static void zsee_init(struct zsee *see, struct sk_buff *skb)
{
	const struct netlink_skb_parms *from = &NETLINK_CB(skb);

	see->admin = netlink_ns_capable(skb, sock_net(skb->sk)->user_ns,
					CAP_NET_ADMIN);
	see->uid = current_euid();
	if (!(from->flags & NETLINK_SKB_DST) &&
	    !uid_eq(from->sk->sk_socket->file->f_cred->euid, see->uid))
		see->uid = INVALID_UID;
}

static bool zsee_may(const struct zsee *see, const struct zctx *ctx)
{
	return see->admin || uid_eq(see->uid, ctx->user->uid);
}

/* Other attributes than these would be ignored: refuse them. */
static int znl_check_attrs(struct nlattr **attrs, u32 max, u32 allowed,
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

/* The one who asks now, who may not be the one who sent the request. */
static struct zreader zreader_current(char *path)
{
	return (struct zreader) {
		.users = current_user_ns(),
		.pids = task_active_pid_ns(current),
		.path = path,
	};
}

static const struct nla_policy znl_job_policy[] = {
	[ZCP_NL_A_JOB_ID] = NLA_POLICY_MIN(NLA_U64, 1),
	[ZCP_NL_A_JOB_CONTEXT] = NLA_POLICY_MIN(NLA_U64, 1),
	[ZCP_NL_A_JOB_LINK] = NLA_POLICY_MIN(NLA_U32, 1),
	[ZCP_NL_A_JOB_STATE] = NLA_POLICY_RANGE(NLA_U32, ZCP_STATE_QUEUED,
						ZCP_STATE_CANCELLED),
	[ZCP_NL_A_JOB_UID] = { .type = NLA_U32 },
};

static const struct nla_policy znl_link_policy[] = {
	[ZCP_NL_A_LINK_ID] = NLA_POLICY_MIN(NLA_U32, 1),
	[ZCP_NL_A_LINK_CONTEXT] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy znl_context_policy[] = {
	[ZCP_NL_A_CONTEXT_ID] = NLA_POLICY_MIN(NLA_U64, 1),
};

static const struct nla_policy znl_cancel_policy[] = {
	[ZCP_NL_A_JOB_ID] = NLA_POLICY_MIN(NLA_U64, 1),
};

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

	while ((*ctx = zctx_next(next))) {
		job = zctx_find_job(*ctx, id);
		if (job)
			return job;
		next = (u64)(*ctx)->id + 1;
		zctx_put(*ctx);
		cond_resched();
	}
	return NULL;
}

static void znl_put_found(struct zjob *job, struct zctx *ctx)
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

	job = znl_get_job(skb, info, ARRAY_SIZE(znl_job_policy) - 1, &ctx);
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

	job = znl_get_job(skb, info, ARRAY_SIZE(znl_cancel_policy) - 1, &ctx);
	if (IS_ERR(job))
		return PTR_ERR(job);
	ret = zlink_cancel_job(job->link, job, ZNL_CANCEL_WAIT, &cancelled);
	if (ret == -EINTR) {
		GENL_SET_ERR_MSG(info, "interrupted; the job ends by itself");
		goto out;
	}
	/* One whose runner does not stop ends later: its state says so. */
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

	reply = znl_reply_begin(info, ZCP_NL_CMD_STATS_GET,
				GENLMSG_DEFAULT_SIZE, &hdr);
	if (!reply)
		return -ENOMEM;
	return znl_reply_end(info, reply, hdr,
			     znl_put_stats(reply, genl_info_net(info)));
}

/**
 * struct zdump - How far a dump is
 * @see: what it shows; who sent the request counts, not who reads
 * @checked: the request was looked at
 * @context: the context to go on with
 * @next: the job, or the link of @context, to go on with
 */
struct zdump {
	struct zsee see;
	bool checked;
	u64 context;
	u64 next;
};

static struct zdump *zdump_of(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct zdump) > sizeof(cb->ctx));
	return (struct zdump *)cb->ctx;
}

static u64 zdump_net(const struct netlink_callback *cb)
{
	return sock_net(cb->skb->sk)->net_cookie;
}

static void *zdump_put(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &znl_family, NLM_F_MULTI, cmd);
}

/* A message that does not fit is the first of the next buffer. */
static int zdump_end(struct sk_buff *skb, void *hdr, int ret)
{
	if (ret)
		genlmsg_cancel(skb, hdr);
	else
		genlmsg_end(skb, hdr);
	return ret;
}

static int zdump_return(const struct sk_buff *skb, int ret)
{
	if (ret == -EMSGSIZE && skb->len)
		ret = 0;
	return ret ?: skb->len;
}

/*
 * Look at the request, once. Kernels before 6.6 give no place for the reason of
 * a refusal to .start, and do to .dumpit; that sends an error all the same.
 */
static int zdump_check(struct netlink_callback *cb,
		       int (*check)(struct nlattr **attrs,
				    struct netlink_ext_ack *extack))
{
	struct zdump *dump = zdump_of(cb);
	int ret;

	if (dump->checked || !cb->extack)
		return 0;
	ret = check(zcp_genl_dump_attrs(cb), cb->extack);
	dump->checked = !ret;
	return ret;
}

/**
 * struct zfilter - Which jobs a dump shows
 * @see: those that the caller may see
 * @net: those of this network namespace
 * @context: of this context, 0 for any
 * @link: of this link, 0 for any
 * @state: in this state, 0 for any
 * @by_uid: of @uid only
 * @uid: of contexts that this user has opened
 */
struct zfilter {
	const struct zsee *see;
	u64 net;
	u64 context;
	u32 link;
	u32 state;
	bool by_uid;
	kuid_t uid;
};

/**
 * struct zfound - A job that a dump is about to show
 * @job: with a reference
 * @ctx: its context, with a reference
 */
struct zfound {
	struct zjob *job;
	struct zctx *ctx;
};

static void zfilter_init(struct zfilter *f, struct netlink_callback *cb)
{
	struct nlattr **attrs = zcp_genl_dump_attrs(cb);

	memset(f, 0, sizeof(*f));
	f->see = &zdump_of(cb)->see;
	f->net = zdump_net(cb);
	if (attrs[ZCP_NL_A_JOB_CONTEXT])
		f->context = nla_get_u64(attrs[ZCP_NL_A_JOB_CONTEXT]);
	if (attrs[ZCP_NL_A_JOB_LINK])
		f->link = nla_get_u32(attrs[ZCP_NL_A_JOB_LINK]);
	if (attrs[ZCP_NL_A_JOB_STATE])
		f->state = nla_get_u32(attrs[ZCP_NL_A_JOB_STATE]);
	f->by_uid = attrs[ZCP_NL_A_JOB_UID];
	if (f->by_uid)
		f->uid = make_kuid(current_user_ns(),
				   nla_get_u32(attrs[ZCP_NL_A_JOB_UID]));
}

static bool zfilter_passes(const struct zfilter *f, const struct zjob *job)
{
	return job->link->net_cookie == f->net &&
	       (!f->link || job->link_id == f->link) &&
	       (!f->state || READ_ONCE(job->state) == f->state);
}

/* Add a job to an array that is in the order of ids, and keeps the least. */
static unsigned int zfound_add(struct zfound *found, unsigned int nr,
			       struct zjob *job, struct zctx *ctx)
{
	unsigned int at = nr;

	if (nr == ZDUMP_JOBS) {
		at = --nr;
		znl_put_found(found[nr].job, found[nr].ctx);
	}
	while (at && found[at - 1].job->id > job->id) {
		found[at] = found[at - 1];
		at--;
	}
	kref_get(&ctx->ref);
	found[at].job = job;
	found[at].ctx = ctx;
	return nr + 1;
}

static unsigned int zfound_add_jobs(struct zfound *found, unsigned int nr,
				    const struct zfilter *f, struct zctx *ctx,
				    u64 from)
{
	struct zjob *job;

	while ((job = zctx_next_job(ctx, from))) {
		from = job->id + 1;
		if (nr == ZDUMP_JOBS && job->id > found[nr - 1].job->id) {
			zjob_put(job);
			break;
		}
		if (zfilter_passes(f, job))
			nr = zfound_add(found, nr, job, ctx);
		else
			zjob_put(job);
		cond_resched();
	}
	return nr;
}

/* The next jobs of all contexts, the oldest first. */
static unsigned int zfound_fill(struct zfound *found, const struct zfilter *f,
				u64 from)
{
	u64 context = f->context;
	unsigned int nr = 0;
	struct zctx *ctx;

	while ((ctx = zctx_next(context))) {
		context = (u64)ctx->id + 1;
		if (f->context && ctx->id != f->context) {
			zctx_put(ctx);
			break;
		}
		if (zsee_may(f->see, ctx) &&
		    (!f->by_uid || uid_eq(f->uid, ctx->user->uid)))
			nr = zfound_add_jobs(found, nr, f, ctx, from);
		zctx_put(ctx);
		cond_resched();
	}
	return nr;
}

static int znl_dump_job(struct sk_buff *skb, struct netlink_callback *cb,
			const struct zfound *found, const struct zreader *reader)
{
	void *hdr = zdump_put(skb, cb, ZCP_NL_CMD_JOB_GET);

	if (!hdr)
		return -EMSGSIZE;
	return zdump_end(skb, hdr, znl_put_job(skb, found->ctx, found->job, 0,
					       reader));
}

static int znl_dump_jobs(struct sk_buff *skb, struct netlink_callback *cb,
			 struct zfound *found, const struct zreader *reader)
{
	struct zdump *dump = zdump_of(cb);
	unsigned int nr, i;
	struct zfilter f;
	int ret = 0;

	zfilter_init(&f, cb);
	do {
		nr = zfound_fill(found, &f, dump->next);
		for (i = 0; i < nr; i++) {
			if (!ret)
				ret = znl_dump_job(skb, cb, &found[i], reader);
			if (!ret)
				dump->next = found[i].job->id + 1;
			znl_put_found(found[i].job, found[i].ctx);
		}
	} while (nr && !ret);
	return zdump_return(skb, ret);
}

static int zjob_check_dump(struct nlattr **attrs, struct netlink_ext_ack *extack)
{
	int ret;

	ret = znl_check_attrs(attrs, ARRAY_SIZE(znl_job_policy) - 1,
			      BIT(ZCP_NL_A_JOB_CONTEXT) |
			      BIT(ZCP_NL_A_JOB_LINK) |
			      BIT(ZCP_NL_A_JOB_STATE) | BIT(ZCP_NL_A_JOB_UID),
			      extack);
	if (ret)
		return ret;
	if (attrs[ZCP_NL_A_JOB_LINK] && !attrs[ZCP_NL_A_JOB_CONTEXT]) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[ZCP_NL_A_JOB_LINK],
				    "the id of a link means nothing without its context's");
		return -EINVAL;
	}
	if (attrs[ZCP_NL_A_JOB_UID] &&
	    !uid_valid(make_kuid(current_user_ns(),
				 nla_get_u32(attrs[ZCP_NL_A_JOB_UID])))) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[ZCP_NL_A_JOB_UID],
				    "no such user in this user namespace");
		return -EINVAL;
	}
	return 0;
}

static int znl_job_start(struct netlink_callback *cb)
{
	zsee_init(&zdump_of(cb)->see, cb->skb);
	return zdump_check(cb, zjob_check_dump);
}

static int znl_job_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct zreader reader = zreader_current(NULL);
	struct zfound *found;
	int ret;

	ret = zdump_check(cb, zjob_check_dump);
	if (ret)
		return ret;
	ret = -ENOMEM;
	found = kmalloc_array(ZDUMP_JOBS, sizeof(*found), GFP_KERNEL);
	reader.path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (found && reader.path)
		ret = znl_dump_jobs(skb, cb, found, &reader);
	kfree(reader.path);
	kfree(found);
	return ret;
}

static int zlink_check_dump(struct nlattr **attrs, struct netlink_ext_ack *extack)
{
	return znl_check_attrs(attrs, ARRAY_SIZE(znl_link_policy) - 1,
			       BIT(ZCP_NL_A_LINK_CONTEXT), extack);
}

static int znl_link_start(struct netlink_callback *cb)
{
	zsee_init(&zdump_of(cb)->see, cb->skb);
	return zdump_check(cb, zlink_check_dump);
}

static int znl_dump_link(struct sk_buff *skb, struct netlink_callback *cb,
			 struct zctx *ctx, struct zlink *link)
{
	void *hdr = zdump_put(skb, cb, ZCP_NL_CMD_LINK_GET);
	int ret;

	if (!hdr)
		return -EMSGSIZE;
	ret = zdump_end(skb, hdr, znl_put_link(skb, ctx, link));
	/* Closed, just now. */
	return ret == -ENOENT ? 0 : ret;
}

static int znl_dump_links(struct sk_buff *skb, struct netlink_callback *cb,
			  struct zctx *ctx)
{
	struct zdump *dump = zdump_of(cb);
	struct zlink *link;
	int ret = 0;

	while (!ret && (link = zctx_next_link(ctx, dump->next))) {
		if (link->net_cookie == zdump_net(cb))
			ret = znl_dump_link(skb, cb, ctx, link);
		if (!ret)
			dump->next = (u64)link->id + 1;
		zlink_put(link);
		cond_resched();
	}
	return ret;
}

static int znl_link_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct zdump *dump = zdump_of(cb);
	struct nlattr **attrs;
	struct zctx *ctx;
	u64 only = 0;
	int ret;

	ret = zdump_check(cb, zlink_check_dump);
	if (ret)
		return ret;
	attrs = zcp_genl_dump_attrs(cb);
	if (attrs[ZCP_NL_A_LINK_CONTEXT])
		only = nla_get_u64(attrs[ZCP_NL_A_LINK_CONTEXT]);
	dump->context = max(dump->context, only);
	while (!ret && (ctx = zctx_next(dump->context))) {
		if (only && ctx->id != only) {
			zctx_put(ctx);
			break;
		}
		if (ctx->id != dump->context)
			dump->next = 0;
		dump->context = ctx->id;
		if (zsee_may(&dump->see, ctx))
			ret = znl_dump_links(skb, cb, ctx);
		if (!ret) {
			dump->context++;
			dump->next = 0;
		}
		zctx_put(ctx);
		cond_resched();
	}
	return zdump_return(skb, ret);
}

static int zcontext_check_dump(struct nlattr **attrs,
			       struct netlink_ext_ack *extack)
{
	return znl_check_attrs(attrs, ARRAY_SIZE(znl_context_policy) - 1, 0,
			       extack);
}

static int znl_context_start(struct netlink_callback *cb)
{
	zsee_init(&zdump_of(cb)->see, cb->skb);
	return zdump_check(cb, zcontext_check_dump);
}

static int znl_dump_context(struct sk_buff *skb, struct netlink_callback *cb,
			    struct zctx *ctx)
{
	struct zreader reader = zreader_current(NULL);
	void *hdr = zdump_put(skb, cb, ZCP_NL_CMD_CONTEXT_GET);

	if (!hdr)
		return -EMSGSIZE;
	return zdump_end(skb, hdr, znl_put_context(skb, ctx, &reader));
}

static int znl_context_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct zdump *dump = zdump_of(cb);
	struct zctx *ctx;
	int ret;

	ret = zdump_check(cb, zcontext_check_dump);
	if (ret)
		return ret;
	while (!ret && (ctx = zctx_next(dump->context))) {
		if (ctx->net_cookie == zdump_net(cb) &&
		    zsee_may(&dump->see, ctx))
			ret = znl_dump_context(skb, cb, ctx);
		if (!ret)
			dump->context = (u64)ctx->id + 1;
		zctx_put(ctx);
		cond_resched();
	}
	return zdump_return(skb, ret);
}

static const struct genl_ops znl_ops[] = {
	{
		.cmd = ZCP_NL_CMD_JOB_GET,
		.doit = znl_job_get,
		.start = znl_job_start,
		.dumpit = znl_job_dump,
		.policy = znl_job_policy,
		.maxattr = ARRAY_SIZE(znl_job_policy) - 1,
	},
	{
		.cmd = ZCP_NL_CMD_LINK_GET,
		.doit = znl_link_get,
		.start = znl_link_start,
		.dumpit = znl_link_dump,
		.policy = znl_link_policy,
		.maxattr = ARRAY_SIZE(znl_link_policy) - 1,
	},
	{
		.cmd = ZCP_NL_CMD_CONTEXT_GET,
		.doit = znl_context_get,
		.start = znl_context_start,
		.dumpit = znl_context_dump,
		.policy = znl_context_policy,
		.maxattr = ARRAY_SIZE(znl_context_policy) - 1,
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
		.maxattr = ARRAY_SIZE(znl_cancel_policy) - 1,
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
