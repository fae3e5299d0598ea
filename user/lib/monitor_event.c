// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events of a monitor.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "monitor.h"

/* More than one notification is at most: it has no path, only a file's name. */
#define DATAGRAM_BYTES 16384

static int subscribe(struct zcp_monitor *m)
{
	int group;
	int ret;

	m->datagram = malloc(DATAGRAM_BYTES);
	m->events = nl_socket_alloc();
	if (!m->datagram || !m->events)
		return zcp_monitor_problem(m, ENOMEM, NULL);
	errno = 0;
	ret = genl_connect(m->events);
	if (!ret)
		ret = nl_socket_set_buffer_size(m->events, (int)m->buffer_bytes, 0);
	if (ret)
		return zcp_monitor_problem(m, errno ? errno : -zcp_nl_errno(ret), NULL);
	/* It tells when the family goes, and with it the membership in its own group. */
	group = genl_ctrl_resolve_grp(m->requests, "nlctrl", "notify");
	ret = group < 0 ? group : nl_socket_add_membership(m->events, group);
	if (ret)
		return zcp_monitor_problem(m, errno ? errno : -zcp_nl_errno(ret), NULL);
	group = genl_ctrl_resolve_grp(m->requests, ZCP_NL_FAMILY_NAME, ZCP_NL_MCGRP_EVENTS);
	if (zcp_monitor_gone(m))
		return zcp_monitor_unloaded(m);
	if (group < 0)
		return zcp_monitor_problem(m, -zcp_nl_errno(group), "the kernel has no events");
	errno = 0;
	ret = nl_socket_add_membership(m->events, group);
	if (ret && (errno == EPERM || ret == -NLE_PERM))
		return zcp_monitor_problem(m, EPERM,
					   "events need CAP_NET_ADMIN in this network namespace");
	if (ret)
		return zcp_monitor_problem(m, errno ? errno : -zcp_nl_errno(ret), NULL);
	return 0;
}

int zcp_monitor_subscribe(struct zcp_monitor *monitor)
{
	int saved = errno;
	int ret;

	if (!monitor)
		return -EINVAL;
	monitor->error[0] = '\0';
	if (monitor->events)
		return zcp_monitor_problem(monitor, EALREADY, NULL);
	ret = subscribe(monitor);
	if (ret) {
		nl_socket_free(monitor->events);
		monitor->events = NULL;
		free(monitor->datagram);
		monitor->datagram = NULL;
	}
	errno = saved;
	return ret;
}

int zcp_monitor_fd(const struct zcp_monitor *monitor)
{
	return monitor && monitor->events ? nl_socket_get_fd(monitor->events) : -EINVAL;
}

/*
 * Fetches a datagram: 1, 0 when there is none, or -errno. Not by libnl, whose
 * errors do not tell ENOBUFS, the kernel's word for events that were lost, from
 * ENOMEM.
 */
static int fetch(struct zcp_monitor *m)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = m->datagram, .iov_len = DATAGRAM_BYTES };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do {
		n = recvmsg(nl_socket_get_fd(m->events), &msg, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	/* Another process may send to this socket too: it is no event. */
	m->left = from.nl_pid || (msg.msg_flags & MSG_TRUNC) ? 0 : (int)n;
	m->next = (const struct nlmsghdr *)m->datagram;
	return 1;
}

/* Whether a message of the controller says that the family is gone. */
static bool tells_end(const struct zcp_monitor *m, const struct nlmsghdr *nlh)
{
	struct nlmsghdr *msg = (struct nlmsghdr *)(uintptr_t)nlh;
	struct nlattr *id;

	if (nlh->nlmsg_type != GENL_ID_CTRL || !genlmsg_valid_hdr(msg, 0) ||
	    genlmsg_hdr(msg)->cmd != CTRL_CMD_DELFAMILY)
		return false;
	id = nlmsg_find_attr(msg, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
	return id && nla_len(id) >= 2 && nla_get_u16(id) == m->family;
}

/* The end of the family may be what was lost. */
static void look_for_end(struct zcp_monitor *m)
{
	int family = zcp_monitor_lookup(m);

	/* It is asked once more when the kernel did not say. */
	m->lost = family < 0;
	if (family >= 0)
		m->gone = family != m->family;
}

/* The next message that is an event: 1, 0 when there is none, or -errno. */
static int next_event(struct zcp_monitor *m, uint32_t *type, struct zcp_job_info *job)
{
	const struct nlmsghdr *nlh;
	int ret;

	for (;;) {
		while (nlmsg_ok(m->next, m->left)) {
			nlh = m->next;
			m->next = nlmsg_next((struct nlmsghdr *)(uintptr_t)nlh, &m->left);
			if (tells_end(m, nlh))
				m->gone = true;
			if (nlh->nlmsg_type != m->family)
				continue;
			*type = zcp_parse_type(nlh);
			if (*type && !zcp_parse_job(nlh, job))
				return 1;
		}
		ret = fetch(m);
		if (!ret && m->lost)
			look_for_end(m);
		if (!ret && m->gone)
			return -ENODEV;
		if (ret <= 0)
			return ret;
	}
}

int zcp_monitor_read(struct zcp_monitor *monitor, struct zcp_monitor_event *event,
		     struct zcp_job_info *job)
{
	struct zcp_monitor_event e = { .size = sizeof(e) };
	struct zcp_job_info info = { .size = sizeof(info) };
	struct timespec now;
	int saved = errno;
	int ret;

	if (!monitor || !event || !job)
		return -EINVAL;
	monitor->error[0] = '\0';
	if (!monitor->events)
		return zcp_monitor_problem(monitor, EINVAL, "this monitor has not subscribed");
	ret = next_event(monitor, &e.type, &info);
	if (ret == -ENOBUFS) {
		monitor->overruns++;
		look_for_end(monitor);
		e.type = ZCP_MONITOR_OVERRUN;
		ret = 1;
	}
	if (ret == -ENODEV)
		zcp_monitor_unloaded(monitor);
	else if (ret < 0)
		zcp_monitor_problem(monitor, -ret, NULL);
	errno = saved;
	if (ret <= 0)
		return ret;
	clock_gettime(CLOCK_REALTIME, &now);
	e.time_ns = (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	e.overruns = monitor->overruns;
	ret = zcp_out(event, &e, sizeof(e));
	if (!ret)
		ret = zcp_out(job, &info, sizeof(info));
	return ret ? ret : 1;
}

const char *zcp_monitor_type_name(uint32_t type)
{
	static const char *const names[] = {
		[ZCP_MONITOR_NEW] = "new",	   [ZCP_MONITOR_PROGRESS] = "progress",
		[ZCP_MONITOR_STAGE] = "stage",	   [ZCP_MONITOR_DONE] = "done",
		[ZCP_MONITOR_OVERRUN] = "overrun",
	};

	return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type] : "unknown";
}
