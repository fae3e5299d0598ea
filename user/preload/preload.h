/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libzcp-preload.so: sendfile(2) of programs that know nothing of zcp.
 */
#ifndef ZCP_PRELOAD_H
#define ZCP_PRELOAD_H

#include <linux/zcp.h>

#define PRELOAD_API __attribute__((visibility("default")))

/* The device: one context of the process, which its children share. */
int device_xfer(struct zcp_xfer *xfer);

/* Counts, told when the process ends. */
void stats_served(const struct zcp_xfer *xfer);
void stats_failed(void);
void stats_passed(void);

#endif /* ZCP_PRELOAD_H */
