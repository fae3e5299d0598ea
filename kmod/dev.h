/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_DEV_H
#define ZCP_DEV_H

#include <linux/miscdevice.h>

extern struct miscdevice zcp_dev;

#endif /* ZCP_DEV_H */
