// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dumps of the generic netlink family: jobs, links, contexts, as many of them
 * as the caller may see. What has come or gone between two buffers of a dump
 * is in it or not; what was there all the time is in it once.
 */
#include <linux/cred.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "link.h"
#include "netlink.h"

#define ZDUMP_JOBS	64		/* jobs looked up at a time */

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

	ret = znl_check_attrs(attrs, ZNL_JOB_ATTRS,
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

int znl_job_start(struct netlink_callback *cb)
{
	zsee_init(&zdump_of(cb)->see, cb->skb);
	return zdump_check(cb, zjob_check_dump);
}

int znl_job_dump(struct sk_buff *skb, struct netlink_callback *cb)
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
	return znl_check_attrs(attrs, ZNL_LINK_ATTRS,
			       BIT(ZCP_NL_A_LINK_CONTEXT), extack);
}

int znl_link_start(struct netlink_callback *cb)
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

int znl_link_dump(struct sk_buff *skb, struct netlink_callback *cb)
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
	return znl_check_attrs(attrs, ZNL_CONTEXT_ATTRS, 0,
			       extack);
}

int znl_context_start(struct netlink_callback *cb)
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

int znl_context_dump(struct sk_buff *skb, struct netlink_callback *cb)
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
