/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The generic netlink family, for those who look at the jobs of others. What
 * it says is told in <linux/zcp_netlink.h>.
 */
#ifndef ZCP_NETLINK_H
#define ZCP_NETLINK_H

#include <linux/zcp_netlink.h>
#include <net/genetlink.h>

struct pid_namespace;
struct user_namespace;
struct zctx;
struct zjob;
struct zlink;

#define ZNL_GROUP_EVENTS	0

/* The last attribute that a request may have */
#define ZNL_JOB_ATTRS		ZCP_NL_A_JOB_UID
#define ZNL_LINK_ATTRS		ZCP_NL_A_LINK_CONTEXT
#define ZNL_CONTEXT_ATTRS	ZCP_NL_A_CONTEXT_ID
#define ZNL_CANCEL_ATTRS	ZCP_NL_A_JOB_ID

extern struct genl_family znl_family;

/**
 * struct zreader - Who is told
 * @users: user ids are as they are in there
 * @pids: process ids are as they are in there
 * @path: PATH_MAX bytes to make the path of a file in, as the current process
 *	sees it; NULL for no more than the file's name
 */
struct zreader {
	struct user_namespace *users;
	struct pid_namespace *pids;
	char *path;
};

/**
 * struct zsee - What a caller may see
 * @uid: what belongs to this user; INVALID_UID for nothing
 * @admin: everything, having CAP_NET_ADMIN over the network namespace
 */
struct zsee {
	kuid_t uid;
	bool admin;
};

/* netlink.c */
int znl_init(void);
void znl_exit(void);
void zsee_init(struct zsee *see, struct sk_buff *skb);
bool zsee_may(const struct zsee *see, const struct zctx *ctx);
int znl_check_attrs(struct nlattr **attrs, u32 max, u32 allowed,
		    struct netlink_ext_ack *extack);
struct zreader zreader_current(char *path);
void znl_put_found(struct zjob *job, struct zctx *ctx);

/* netdump.c */
int znl_job_start(struct netlink_callback *cb);
int znl_job_dump(struct sk_buff *skb, struct netlink_callback *cb);
int znl_link_start(struct netlink_callback *cb);
int znl_link_dump(struct sk_buff *skb, struct netlink_callback *cb);
int znl_context_start(struct netlink_callback *cb);
int znl_context_dump(struct sk_buff *skb, struct netlink_callback *cb);

/* netmsg.c */
int znl_put_job(struct sk_buff *skb, struct zctx *ctx, const struct zjob *job,
		u32 state, const struct zreader *reader);
int znl_put_link(struct sk_buff *skb, struct zctx *ctx, struct zlink *link);
int znl_put_context(struct sk_buff *skb, struct zctx *ctx,
		    const struct zreader *reader);
int znl_put_stats(struct sk_buff *skb, struct net *net);

#endif /* ZCP_NETLINK_H */
