/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libzcp share.
 */
#ifndef LIBZCP_INTERNAL_H
#define LIBZCP_INTERNAL_H

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <zcp/zcp.h>

/*
 * A context never changes after zcp_ctx_open(), so any number of threads may
 * use it without a lock until zcp_ctx_close().
 */
struct zcp_ctx {
	int fd;
	uint32_t event_size;
	uint64_t features;
};

/*
 * Take an option structure whose first member is a size_t size: the caller's
 * may be shorter or longer than @known bytes. All of @opts is set.
 */
int zcp_opts_get(void *opts, size_t known, const void *user);

/*
 * Wait until an event can be read: 1, 0 when the time is over, or -errno. A
 * negative time has no end.
 */
int zcp_event_wait(const struct zcp_ctx *ctx, int timeout_ms);

/* Records of events: up to 68 of the ABI's as it is, fewer of a kernel that writes longer ones. */
#define ZCP_EVENT_BATCH 8192

/*
 * Translate @len bytes of records: the number of events, of which there is room
 * for @max, or -EPROTO.
 */
int zcp_event_cut(struct zcp_event *events, unsigned int max, const char *records, size_t len);

static inline int zcp_ioctl(const struct zcp_ctx *ctx, unsigned long cmd, void *arg)
{
	int saved = errno;
	int ret = 0;

	if (!ctx || !arg)
		return -EINVAL;
	if (ioctl(ctx->fd, cmd, arg) < 0)
		ret = -errno;
	errno = saved;
	return ret;
}

#endif /* LIBZCP_INTERNAL_H */
