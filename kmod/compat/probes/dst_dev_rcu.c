// SPDX-License-Identifier: GPL-2.0-only
/* dst_dev_rcu(): 6.17 (caedcc5b6df1), and stable backports. */
#include <net/dst.h>

struct net_device *probe(const struct dst_entry *dst);

struct net_device *probe(const struct dst_entry *dst)
{
	return dst_dev_rcu(dst);
}
