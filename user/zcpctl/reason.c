// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why bytes are copied, in words, and what can be done about it.
 */
#include <stdio.h>

#include <zcp/zcp.h>

#include "reason.h"

void reason_explain(uint32_t reason, const char *ifname, char *buf, size_t size)
{
	const char *dev = ifname[0] ? ifname : "the device";
	const char *name = zcp_reason_name(reason);

	switch (reason) {
	case ZCP_REASON_NONE:
		snprintf(buf, size, "nothing is copied");
		break;
	case ZCP_REASON_ASKED:
		snprintf(buf, size, "mode copy was asked for (%s)", name);
		break;
	case ZCP_REASON_INLINE:
		snprintf(buf, size, "inline bytes are copies (%s)", name);
		break;
	case ZCP_REASON_SMALL:
		snprintf(buf, size, "so few bytes are cheaper to copy (%s)", name);
		break;
	case ZCP_REASON_NO_SG:
		snprintf(buf, size, "%s has no scatter/gather (%s)", dev, name);
		break;
	case ZCP_REASON_NO_CSUM:
		snprintf(buf, size, "%s does not compute checksums (%s)", dev, name);
		break;
	case ZCP_REASON_FS:
		snprintf(buf, size, "the file system gives copies, not its page cache (%s)", name);
		break;
	case ZCP_REASON_IPSEC:
		snprintf(buf, size, "the route through %s encrypts (%s)", dev, name);
		break;
	case ZCP_REASON_NO_ROUTE:
		snprintf(buf, size, "the socket has no route at the moment (%s)", name);
		break;
	default:
		snprintf(buf, size, "reason %u, which this version does not know", reason);
		break;
	}
}

void reason_cure(uint32_t reason, const char *ifname, char *buf, size_t size)
{
	const char *dev = ifname[0] ? ifname : "DEVICE";

	buf[0] = '\0';
	switch (reason) {
	case ZCP_REASON_NO_SG:
		snprintf(buf, size, "ethtool -K %s sg on", dev);
		break;
	case ZCP_REASON_NO_CSUM:
		snprintf(buf, size, "ethtool -K %s tx on", dev);
		break;
	}
}
