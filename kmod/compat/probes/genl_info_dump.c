// SPDX-License-Identifier: GPL-2.0-only
/* genl_info_dump(), and attributes where it says: 6.6 (7288dd2fd488). */
#include <net/genetlink.h>

struct nlattr **probe(struct netlink_callback *cb);

struct nlattr **probe(struct netlink_callback *cb)
{
	return genl_info_dump(cb)->attrs;
}
