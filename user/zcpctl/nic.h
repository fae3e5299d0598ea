/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What network devices can do for zero-copy.
 */
#ifndef ZCPCTL_NIC_H
#define ZCPCTL_NIC_H

#include <net/if.h>
#include <stdbool.h>

/**
 * struct nic_feature - A feature of a device
 * @on: It is in use.
 * @available: It can be switched on and off.
 */
struct nic_feature {
	bool on;
	bool available;
};

struct nic {
	char name[IF_NAMESIZE];
	struct nic_feature sg;
	struct nic_feature csum4;
	struct nic_feature csum6;
	struct nic_feature tso;
};

/*
 * Calls @each for every device that is up, except loopback, with an errno
 * instead of features where they cannot be had. Returns 0 or -errno.
 */
int nic_walk(void (*each)(const struct nic *nic, int error, void *arg), void *arg);

#endif /* ZCPCTL_NIC_H */
