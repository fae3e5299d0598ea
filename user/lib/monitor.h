/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the monitor share.
 */
#ifndef LIBZCP_MONITOR_H
#define LIBZCP_MONITOR_H

#include <stdbool.h>

#include <netlink/netlink.h>

#include <linux/zcp_netlink.h>
#include <zcp/monitor.h>

#include "internal.h"

#define MONITOR_ERROR_MAX 160

/*
 * Requests and events have a socket each: on one, a flood of events would push
 * out the replies.
 */
struct zcp_monitor {
	struct nl_sock *requests;
	struct nl_sock *events;
	int family;
	bool gone; /* and it will not come back: a module that is loaded again has another */
	bool lost; /* what would have told of that may have been lost */
	uint32_t buffer_bytes;

	/* What zcp_monitor_job() and zcp_monitor_link() gave away strings of. */
	struct nl_msg *job;
	struct nl_msg *link;

	/* The datagram that zcp_monitor_read() is at. */
	char *datagram;
	const struct nlmsghdr *next;
	int left;
	uint64_t overruns;

	char error[MONITOR_ERROR_MAX];
};

/* Says what went wrong, "%s" of strerror() at the end for NULL; returns -error. */
int zcp_monitor_problem(struct zcp_monitor *monitor, int error, const char *text);

/* Asks the kernel for the family's id: 0 when it knows of none, or -errno: it did not say. */
int zcp_monitor_lookup(struct zcp_monitor *monitor);

/* Whether the kernel says that the family is there no more, and the problem it is. */
bool zcp_monitor_gone(struct zcp_monitor *monitor);
int zcp_monitor_unloaded(struct zcp_monitor *monitor);

/* What libnl's error is as -errno. */
int zcp_nl_errno(int nl_error);

/*
 * A message of the family's as structure: 0, or -EPROTO. The strings stay where
 * they are. All of the structure is set, its size too.
 */
int zcp_parse_job(const struct nlmsghdr *nlh, struct zcp_job_info *job);
int zcp_parse_link(const struct nlmsghdr *nlh, struct zcp_link_info *link);
int zcp_parse_context(const struct nlmsghdr *nlh, struct zcp_context_info *context);
int zcp_parse_stats(const struct nlmsghdr *nlh, struct zcp_stats *stats);

/* The type of the event in a notification, 0 for one that is not known. */
uint32_t zcp_parse_type(const struct nlmsghdr *nlh);

/* The kernel's sentence in an acknowledgment, or NULL. */
const char *zcp_parse_extack(const struct nlmsghdr *nlh);

/*
 * Give a structure whose first member is its size_t size to the caller, whose
 * own may be shorter or longer: 0, or -EINVAL.
 */
int zcp_out(void *user, const void *out, size_t known);

#endif /* LIBZCP_MONITOR_H */
