// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Monitors: opening one, and what went wrong with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <netlink/genl/genl.h>

#include "monitor.h"

#define BUFFER_BYTES (1U << 20)
#define BUFFER_BYTES_MAX (1U << 30)

int zcp_monitor_problem(struct zcp_monitor *monitor, int error, const char *text)
{
	snprintf(monitor->error, sizeof(monitor->error), "%s", text ? text : strerror(error));
	return -error;
}

int zcp_monitor_unloaded(struct zcp_monitor *monitor)
{
	return zcp_monitor_problem(monitor, ENODEV, "the module was unloaded");
}

int zcp_nl_errno(int nl_error)
{
	switch (abs(nl_error)) {
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	case NLE_NOACCESS:
		return -EACCES;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_OPNOTSUPP:
		return -EOPNOTSUPP;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	case NLE_INTR:
		return -EINTR;
	case NLE_AGAIN:
	case NLE_DUMP_INTR:
		return -EAGAIN;
	case NLE_BUSY:
		return -EBUSY;
	case NLE_INVAL:
		return -EINVAL;
	default:
		return -EPROTO;
	}
}

static int open_requests(struct zcp_monitor *m)
{
	int on = 1;
	int ret;

	m->requests = nl_socket_alloc();
	if (!m->requests)
		return -ENOMEM;
	/* libnl's code for it may hide which limit it was. */
	errno = 0;
	ret = genl_connect(m->requests);
	if (ret)
		return errno ? -errno : zcp_nl_errno(ret);
	/* See on_seq() of the requests. */
	nl_socket_disable_seq_check(m->requests);
	/* Older kernels do without the texts. */
	setsockopt(nl_socket_get_fd(m->requests), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	m->family = zcp_monitor_lookup(m);
	if (!m->family)
		return -ENOENT;
	return m->family < 0 ? m->family : 0;
}

int zcp_monitor_open(struct zcp_monitor **monitor, const struct zcp_monitor_opts *opts)
{
	struct zcp_monitor_opts o;
	struct zcp_monitor *m;
	int saved = errno;
	int ret;

	if (!monitor)
		return -EINVAL;
	*monitor = NULL;
	ret = zcp_opts_get(&o, sizeof(o), opts);
	if (ret)
		return ret;
	if (o.flags)
		return -EOPNOTSUPP;
	if (o.buffer_bytes > BUFFER_BYTES_MAX)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m) {
		errno = saved;
		return -ENOMEM;
	}
	m->buffer_bytes = o.buffer_bytes ? o.buffer_bytes : BUFFER_BYTES;
	ret = open_requests(m);
	if (ret)
		zcp_monitor_close(m);
	else
		*monitor = m;
	errno = saved;
	return ret;
}

void zcp_monitor_close(struct zcp_monitor *monitor)
{
	int saved = errno;

	if (!monitor)
		return;
	nlmsg_free(monitor->job);
	nlmsg_free(monitor->link);
	nl_socket_free(monitor->events);
	nl_socket_free(monitor->requests);
	free(monitor->datagram);
	free(monitor);
	errno = saved;
}

const char *zcp_monitor_error(const struct zcp_monitor *monitor)
{
	return monitor ? monitor->error : "";
}
