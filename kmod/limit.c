// SPDX-License-Identifier: GPL-2.0-only
/* Limits: the module parameters, and the table of users. */
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "limit.h"

unsigned int zcp_max_links = 16384;
module_param_named(max_links, zcp_max_links, uint, 0644);
MODULE_PARM_DESC(max_links, "Links of a context (16384)");

unsigned int zcp_max_jobs = 65536;
module_param_named(max_jobs, zcp_max_jobs, uint, 0644);
MODULE_PARM_DESC(max_jobs, "Jobs of a context, with unread events (65536)");

unsigned int zcp_max_user_links = 65536;
module_param_named(max_user_links, zcp_max_user_links, uint, 0644);
MODULE_PARM_DESC(max_user_links, "Links of a user (65536)");

unsigned int zcp_max_user_jobs = 262144;
module_param_named(max_user_jobs, zcp_max_user_jobs, uint, 0644);
MODULE_PARM_DESC(max_user_jobs, "Jobs of a user, with unread events (262144)");

unsigned int zcp_max_segments = 256;
module_param_named(max_segments, zcp_max_segments, uint, 0644);
MODULE_PARM_DESC(max_segments, "Segments of a job (256, at most 1024)");

unsigned int zcp_max_batch = 4096;
module_param_named(max_batch, zcp_max_batch, uint, 0644);
MODULE_PARM_DESC(max_batch, "Jobs of one submission (4096)");

unsigned int zcp_max_inline_total = 64 * 1024 * 1024;
module_param_named(max_inline_total, zcp_max_inline_total, uint, 0644);
MODULE_PARM_DESC(max_inline_total, "Inline bytes a context holds (67108864)");

unsigned int zcp_max_inflight = 4096;
module_param_named(max_inflight, zcp_max_inflight, uint, 0644);
MODULE_PARM_DESC(max_inflight, "MiB a context has sent and not acked (4096)");

unsigned int zcp_max_user_inflight = 16384;
module_param_named(max_user_inflight, zcp_max_user_inflight, uint, 0644);
MODULE_PARM_DESC(max_user_inflight, "MiB a user has sent and not acked (16384)");

unsigned int zcp_small_bytes = 2048;
module_param_named(small_bytes, zcp_small_bytes, uint, 0644);
MODULE_PARM_DESC(small_bytes, "Mode auto copies ranges shorter than this (2048)");

unsigned int zcp_quota_bytes = 64 * 1024;
module_param_named(quota_bytes, zcp_quota_bytes, uint, 0644);
MODULE_PARM_DESC(quota_bytes, "Bytes a link pushes in a turn while others wait (65536)");

unsigned int zcp_readahead_kb = 8192;
module_param_named(readahead_kb, zcp_readahead_kb, uint, 0644);
MODULE_PARM_DESC(readahead_kb, "KiB to read ahead of a send queue (8192, 0: what the device says)");

static int tight_ms_set(const char *value, const struct kernel_param *param)
{
	/* More than INT_MAX would be no time to the kernel, but for ever. */
	return param_set_uint_minmax(value, param, 0, 60 * 60 * MSEC_PER_SEC);
}

static const struct kernel_param_ops tight_ms_ops = {
	.set = tight_ms_set,
	.get = param_get_uint,
};

unsigned int zcp_tight_ms = 200;
module_param_cb(tight_ms, &tight_ms_ops, &zcp_tight_ms, 0644);
__MODULE_PARM_TYPE(tight_ms, "uint");
MODULE_PARM_DESC(tight_ms,
		 "ms that long jobs hold back after TCP's memory was short (200, at most 3600000)");

static DEFINE_HASHTABLE(zuser_table, 6);
static DEFINE_SPINLOCK(zuser_lock);

static struct zuser *zuser_find(kuid_t uid)
{
	struct zuser *user;

	hash_for_each_possible(zuser_table, user, node, __kuid_val(uid)) {
		if (uid_eq(user->uid, uid))
			return user;
	}
	return NULL;
}

/**
 * zuser_get() - Find or make the record of a user
 * @uid: the user
 *
 * Return: the record with a reference for zuser_put(), or NULL for no memory.
 */
struct zuser *zuser_get(kuid_t uid)
{
	struct zuser *fresh, *user;

	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return NULL;
	fresh->uid = uid;
	zshare_init(&fresh->cached);
	zshare_init(&fresh->io);

	spin_lock(&zuser_lock);
	user = zuser_find(uid);
	if (!user) {
		user = fresh;
		fresh = NULL;
		hash_add(zuser_table, &user->node, __kuid_val(uid));
	}
	user->refs++;
	spin_unlock(&zuser_lock);

	kfree(fresh);
	return user;
}

/**
 * zuser_hold() - Take another reference
 * @user: the record; the caller has one
 *
 * Return: the record.
 */
struct zuser *zuser_hold(struct zuser *user)
{
	spin_lock(&zuser_lock);
	user->refs++;
	spin_unlock(&zuser_lock);
	return user;
}

/**
 * zuser_put() - Give back a reference
 * @user: the record
 */
void zuser_put(struct zuser *user)
{
	bool last;

	spin_lock(&zuser_lock);
	last = !--user->refs;
	if (last)
		hash_del(&user->node);
	spin_unlock(&zuser_lock);

	if (last)
		kfree(user);
}
