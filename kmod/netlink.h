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

int znl_init(void);
void znl_exit(void);

/* netmsg.c */
int znl_put_job(struct sk_buff *skb, struct zctx *ctx, const struct zjob *job,
		u32 state, const struct zreader *reader);
int znl_put_link(struct sk_buff *skb, struct zctx *ctx, struct zlink *link);
int znl_put_context(struct sk_buff *skb, struct zctx *ctx,
		    const struct zreader *reader);
int znl_put_stats(struct sk_buff *skb, struct net *net);

#endif /* ZCP_NETLINK_H */
