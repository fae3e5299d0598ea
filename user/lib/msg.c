// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Messengers: messages to TCP sockets, copied or by reference, in one order.
 * Here are their lives and those of their links; how messages go is in msg_send.c.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "msg.h"

#define WINDOW_DEFAULT (4 << 20)
#define LINGER_MAX 1000000

static void msg_free(struct zcp_msg *msg)
{
	struct flight *f;

	while ((f = msg->unused)) {
		msg->unused = f->next;
		free(f);
	}
	zcp_ctx_close(msg->ctx);
	free(msg);
}

int zcp_msg_open(struct zcp_msg **out, struct zcp_pool *pool, const struct zcp_msg_opts *opts)
{
	struct zcp_ctx_opts ctx_opts = { .size = sizeof(ctx_opts) };
	struct zcp_info info = { .size = sizeof(info) };
	pthread_condattr_t attr;
	struct zcp_msg_opts o;
	struct zcp_msg *msg;
	int ret;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!pool)
		return -EINVAL;
	ret = zcp_opts_get(&o, sizeof(o), opts);
	if (ret)
		return ret;
	if (o.flags & ~(ZCP_MSG_NONBLOCK | ZCP_MSG_LOCAL))
		return -EOPNOTSUPP;
	if (o.linger_us > LINGER_MAX)
		return -ERANGE;
	if (!pool_is_ours(pool))
		return -EPERM;
	msg = calloc(1, sizeof(*msg));
	if (!msg)
		return -ENOMEM;
	ctx_opts.path = o.path;
	ret = zcp_ctx_open(&msg->ctx, &ctx_opts);
	if (ret) {
		free(msg);
		return ret;
	}
	ret = zcp_ctx_info(msg->ctx, &info);
	if (ret) {
		msg_free(msg);
		return ret;
	}
	msg->batch = info.max_segments < BATCH ? info.max_segments : BATCH;
	if (!msg->batch) /* which lets no job through, but send(2) goes */
		msg->batch = 1;
	msg->parts = msg->batch < PARTS_MAX ? msg->batch : PARTS_MAX;
	if (!o.threshold)
		zcp_msg_threshold_get(&o.threshold);
	msg->pool = pool;
	msg->threshold = o.threshold > pool->page ? o.threshold : pool->page;
	msg->window = o.window ? o.window : WINDOW_DEFAULT;
	msg->flags = o.flags;
	msg->linger_us = o.linger_us;
	pthread_mutex_init(&msg->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&msg->cond, &attr);
	pthread_cond_init(&msg->linger_cond, &attr);
	pthread_cond_init(&msg->looked, &attr);
	pthread_condattr_destroy(&attr);
	ret = msg_linger_start(msg);
	if (ret) {
		msg_free(msg);
		return ret;
	}
	msg->reaper.reap = msg_reap;
	pool_add_reaper(pool, &msg->reaper);
	*out = msg;
	return 0;
}

void zcp_msg_close(struct zcp_msg *msg)
{
	if (!msg)
		return;
	if (pool_is_ours(msg->pool))
		msg_linger_stop(msg);
	while (msg->links)
		zcp_msg_link_remove(msg->links);
	if (pool_is_ours(msg->pool))
		pool_del_reaper(msg->pool, &msg->reaper);
	msg_free(msg);
}

int zcp_msg_fd(const struct zcp_msg *msg)
{
	return msg ? zcp_ctx_fd(msg->ctx) : -EINVAL;
}

/*
 * Whether packets leave this machine by this device: one that sits on a bus.
 * What a device of software delivers stays the same memory.
 */
static bool is_hardware(int sock, const char *name)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq ifr = { 0 };

	memcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name) - 1);
	ifr.ifr_data = (void *)&info;
	if (ioctl(sock, SIOCETHTOOL, &ifr))
		return false;
	return info.bus_info[0] && strcmp(info.bus_info, "tun") && strcmp(info.bus_info, "tap") &&
	       strcmp(info.bus_info, "N/A");
}

int zcp_msg_link_add(struct zcp_msg *msg, int sock, struct zcp_msg_link **out)
{
	struct zcp_link req = { .size = sizeof(req) };
	struct zcp_msg_link *link;
	int saved = errno;
	int ret;

	if (!out)
		return -EINVAL;
	*out = NULL;
	if (!msg)
		return -EINVAL;
	if (!pool_is_ours(msg->pool))
		return -EPERM;
	link = calloc(1, sizeof(*link));
	if (!link)
		return -ENOMEM;
	link->msg = msg;
	link->sock = fcntl(sock, F_DUPFD_CLOEXEC, 3);
	ret = link->sock < 0 ? -errno : zcp_link_add(msg->ctx, link->sock, 0, &req);
	if (ret) {
		if (link->sock >= 0)
			close(link->sock);
		free(link);
		errno = saved;
		return ret;
	}
	link->id = req.link;
	link->by_ref = req.path_mode == ZCP_MODE_ZEROCOPY &&
		       (msg->flags & ZCP_MSG_LOCAL || is_hardware(link->sock, req.path_ifname));
	pthread_mutex_init(&link->lock, NULL);
	pthread_mutex_lock(&msg->lock);
	link->next = msg->links;
	msg->links = link;
	pthread_mutex_unlock(&msg->lock);
	*out = link;
	errno = saved;
	return 0;
}

static void stats_add(struct zcp_msg_stats *s, const struct zcp_msg_link *link)
{
	s->messages += counted(&link->messages);
	s->bytes += counted(&link->bytes);
	s->copied += counted(&link->copied);
	s->referenced += counted(&link->referenced);
}

void zcp_msg_link_remove(struct zcp_msg_link *link)
{
	struct zcp_msg_link **at;
	struct zcp_msg *msg;
	int saved = errno;

	if (!link)
		return;
	msg = link->msg;
	if (pool_is_ours(msg->pool)) {
		msg_linger_forget(link);
		msg_gathered_drop(link);
		zcp_link_remove(msg->ctx, link->id, NULL);
		/* Each has its event now. */
		while (msg_wait_link(link, -1) == -EINTR)
			;
	}
	/* In a child who has the lock is not known, and nobody needs it. */
	if (pool_is_ours(msg->pool))
		pthread_mutex_lock(&msg->lock);
	for (at = &msg->links; *at != link; at = &(*at)->next)
		;
	*at = link->next;
	stats_add(&msg->gone, link);
	if (pool_is_ours(msg->pool))
		pthread_mutex_unlock(&msg->lock);
	close(link->sock);
	free(link);
	errno = saved;
}

int zcp_msg_get_stats(struct zcp_msg *msg, struct zcp_msg_stats *stats)
{
	struct zcp_msg_stats s;
	size_t size;

	if (!msg || !stats || stats->size < sizeof(stats->size))
		return -EINVAL;
	if (!pool_is_ours(msg->pool))
		return -EPERM;
	size = stats->size;
	pthread_mutex_lock(&msg->lock);
	s = msg->gone;
	for (struct zcp_msg_link *link = msg->links; link; link = link->next)
		stats_add(&s, link);
	s.jobs = msg->jobs;
	s.open = msg->open;
	s.failed = msg->failed;
	s.threshold = msg->threshold;
	pthread_mutex_unlock(&msg->lock);
	memset(stats, 0, size);
	memcpy(stats, &s, size < sizeof(s) ? size : sizeof(s));
	stats->size = size;
	return 0;
}
