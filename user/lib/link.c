// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Links: the TCP sockets of a context.
 */
#include "internal.h"

int zcp_link_add(struct zcp_ctx *ctx, int sock, uint32_t flags, struct zcp_link *link)
{
	if (!link)
		return -EINVAL;
	link->fd = sock;
	link->flags = flags;
	return zcp_ioctl(ctx, ZCP_IOC_LINK, link);
}

int zcp_link_remove(struct zcp_ctx *ctx, uint32_t link, uint32_t *cancelled)
{
	struct zcp_unlink cmd = { .size = sizeof(cmd), .link = link };
	int ret;

	ret = zcp_ioctl(ctx, ZCP_IOC_UNLINK, &cmd);
	if (cancelled)
		*cancelled = ret ? 0 : cmd.cancelled;
	return ret;
}

int zcp_link_cancel(struct zcp_ctx *ctx, uint32_t link, uint32_t *cancelled, uint64_t *bytes_sent)
{
	struct zcp_cancel cmd = {
		.size = sizeof(cmd),
		.flags = ZCP_CANCEL_LINK,
		.link = link,
	};
	int ret;

	ret = zcp_ioctl(ctx, ZCP_IOC_CANCEL, &cmd);
	if (cancelled)
		*cancelled = ret ? 0 : cmd.cancelled;
	if (bytes_sent)
		*bytes_sent = ret ? 0 : cmd.bytes_sent;
	return ret;
}
