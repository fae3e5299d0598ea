/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_XFER_H
#define ZCP_XFER_H

#include <linux/zcp.h>

int zxfer(struct zcp_xfer *req);

#endif /* ZCP_XFER_H */
