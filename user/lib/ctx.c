// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Contexts, and the structures that may grow.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define ZCP_DEVICE "/dev/zcp"

/* The members every event record has: size, type and job. */
#define EVENT_SIZE_MIN offsetof(struct zcp_event, user_data)

int zcp_opts_get(void *opts, size_t known, const void *user)
{
	const unsigned char *bytes = user;
	size_t size;

	memset(opts, 0, known);
	if (!user)
		return 0;
	memcpy(&size, user, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	for (size_t i = known; i < size; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(opts, user, size < known ? size : known);
	return 0;
}

const char *zcp_version(void)
{
	return ZCP_VERSION;
}

int zcp_ctx_open(struct zcp_ctx **ctx, const struct zcp_ctx_opts *opts)
{
	struct zcp_info info = { .size = sizeof(info) };
	struct zcp_ctx_opts o;
	struct zcp_ctx *new;
	int saved = errno;
	int ret;

	if (!ctx)
		return -EINVAL;
	*ctx = NULL;
	ret = zcp_opts_get(&o, sizeof(o), opts);
	if (ret)
		return ret;
	if (o.flags || o.reserved)
		return -EOPNOTSUPP;

	new = calloc(1, sizeof(*new));
	if (!new) {
		errno = saved;
		return -ENOMEM;
	}
	/*
	 * Never blocking: between poll(2) and read(2) another thread may take
	 * the last event.
	 */
	new->fd = open(o.path ? o.path : ZCP_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (new->fd < 0) {
		ret = -errno;
		goto err_free;
	}
	ret = zcp_ioctl(new, ZCP_IOC_INFO, &info);
	if (ret)
		goto err_close;
	if (info.event_size < EVENT_SIZE_MIN) {
		ret = -EPROTO;
		goto err_close;
	}
	new->event_size = info.event_size;
	new->features = info.features;
	*ctx = new;
	return 0;

err_close:
	close(new->fd);
err_free:
	free(new);
	errno = saved;
	return ret;
}

void zcp_ctx_close(struct zcp_ctx *ctx)
{
	int saved = errno;

	if (!ctx)
		return;
	close(ctx->fd);
	free(ctx);
	errno = saved;
}

int zcp_ctx_fd(const struct zcp_ctx *ctx)
{
	return ctx ? ctx->fd : -EINVAL;
}

int zcp_ctx_info(const struct zcp_ctx *ctx, struct zcp_info *info)
{
	return zcp_ioctl(ctx, ZCP_IOC_INFO, info);
}
