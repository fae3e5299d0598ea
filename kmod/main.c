// SPDX-License-Identifier: GPL-2.0-only
/* The module: load and unload. */
#include <linux/module.h>

#include "context.h"
#include "dev.h"
#include "netlink.h"
#include "runq.h"
#include "slab.h"
#include "stats.h"

static int __init zcp_init(void)
{
	int ret;

	ret = zslab_init();
	if (ret)
		return ret;
	ret = zstats_init();
	if (ret)
		goto err_slab;
	ret = zrunq_init();
	if (ret)
		goto err_stats;
	ret = znl_init();
	if (ret)
		goto err_engine;
	ret = misc_register(&zcp_dev);
	if (ret)
		goto err_netlink;
	return 0;

err_netlink:
	znl_exit();
err_engine:
	zrunq_exit();
err_stats:
	zstats_exit();
err_slab:
	zslab_exit();
	return ret;
}

static void __exit zcp_exit(void)
{
	misc_deregister(&zcp_dev);
	/* No file is open; a worker may still be closing the last links. */
	zctx_wait_all_gone();
	/* Nothing is left to be told. Waits for requests that are under way. */
	znl_exit();
	zrunq_exit();
	zstats_exit();
	zslab_exit();
}

module_init(zcp_init);
module_exit(zcp_exit);

MODULE_AUTHOR("The zcp developers");
MODULE_DESCRIPTION("File-to-socket transfers as kernel objects");
MODULE_LICENSE("GPL");
MODULE_VERSION(ZCP_VERSION);
