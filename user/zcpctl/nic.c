// SPDX-License-Identifier: GPL-2.0-only
/*
 * What network devices can do for zero-copy, asked through ethtool ioctls.
 */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nic.h"

static int ethtool(int sock, const struct nic *nic, void *data)
{
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, nic->name, sizeof(ifr.ifr_name));
	ifr.ifr_data = data;
	return ioctl(sock, SIOCETHTOOL, &ifr) ? -errno : 0;
}

/* The names of all features, in the order of their bits. */
static struct ethtool_gstrings *feature_names(int sock, const struct nic *nic)
{
	struct ethtool_gstrings *strings;
	union {
		struct ethtool_sset_info info;
		__u64 room[4];
	} sset = { .info.cmd = ETHTOOL_GSSET_INFO };
	__u32 count;

	sset.info.sset_mask = 1ULL << ETH_SS_FEATURES;
	if (ethtool(sock, nic, &sset) || !sset.info.sset_mask)
		return NULL;
	count = sset.info.data[0];
	strings = calloc(1, sizeof(*strings) + (size_t)count * ETH_GSTRING_LEN);
	if (!strings)
		return NULL;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = count;
	if (ethtool(sock, nic, strings)) {
		free(strings);
		return NULL;
	}
	return strings;
}

static void take(struct nic_feature *feature, bool on, bool available)
{
	feature->on |= on;
	feature->available |= available;
}

static void take_feature(struct nic *nic, const char *name, bool on, bool available)
{
	if (!strcmp(name, "tx-scatter-gather"))
		take(&nic->sg, on, available);
	if (!strcmp(name, "tx-checksum-ipv4") || !strcmp(name, "tx-checksum-ip-generic"))
		take(&nic->csum4, on, available);
	if (!strcmp(name, "tx-checksum-ipv6") || !strcmp(name, "tx-checksum-ip-generic"))
		take(&nic->csum6, on, available);
	if (!strcmp(name, "tx-tcp-segmentation"))
		take(&nic->tso, on, available);
}

static int features(int sock, struct nic *nic)
{
	struct ethtool_gstrings *strings = feature_names(sock, nic);
	struct ethtool_gfeatures *bits;
	__u32 blocks;
	int ret;

	if (!strings)
		return -EOPNOTSUPP;
	blocks = (strings->len + 31) / 32;
	bits = calloc(1, sizeof(*bits) + blocks * sizeof(bits->features[0]));
	if (!bits) {
		free(strings);
		return -ENOMEM;
	}
	bits->cmd = ETHTOOL_GFEATURES;
	bits->size = blocks;
	ret = ethtool(sock, nic, bits);
	for (__u32 i = 0; !ret && i < strings->len; i++) {
		const struct ethtool_get_features_block *block = &bits->features[i / 32];
		char name[ETH_GSTRING_LEN + 1] = "";

		memcpy(name, strings->data + (size_t)i * ETH_GSTRING_LEN, ETH_GSTRING_LEN);
		take_feature(nic, name, block->active >> (i % 32) & 1,
			     block->available >> (i % 32) & 1);
	}
	free(bits);
	free(strings);
	return ret;
}

int nic_walk(void (*each)(const struct nic *nic, int error, void *arg), void *arg)
{
	struct if_nameindex *list = if_nameindex();
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (!list || sock < 0) {
		ret = -errno;
		goto out;
	}
	for (struct if_nameindex *i = list; i->if_index; i++) {
		struct ifreq ifr = { 0 };
		struct nic nic = { 0 };
		int error;

		snprintf(nic.name, sizeof(nic.name), "%s", i->if_name);
		memcpy(ifr.ifr_name, nic.name, sizeof(ifr.ifr_name));
		if (ioctl(sock, SIOCGIFFLAGS, &ifr) || !(ifr.ifr_flags & IFF_UP) ||
		    (ifr.ifr_flags & IFF_LOOPBACK))
			continue;
		error = -features(sock, &nic);
		each(&nic, error, arg);
	}
out:
	if (sock >= 0)
		close(sock);
	if (list)
		if_freenameindex(list);
	return ret;
}
