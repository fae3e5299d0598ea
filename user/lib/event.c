// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events: waiting for them, and records of kernels that know more or less.
 */
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void translate(struct zcp_event *event, const char *record, uint32_t size)
{
	if (size > sizeof(*event))
		size = sizeof(*event);
	memset(event, 0, sizeof(*event));
	memcpy(event, record, size);
	event->size = size;
}

/* Each record says where the next one starts. */
int zcp_event_cut(struct zcp_event *events, unsigned int max, const char *records, size_t len)
{
	unsigned int n = 0;
	uint32_t size;

	while (len) {
		if (n == max || len < offsetof(struct zcp_event, user_data))
			return -EPROTO;
		memcpy(&size, records, sizeof(size));
		if (size < offsetof(struct zcp_event, user_data) || size > len)
			return -EPROTO;
		translate(&events[n++], records, size);
		records += size;
		len -= size;
	}
	return n;
}

/* What is there now; -EAGAIN when nothing is. */
static int read_now(const struct zcp_ctx *ctx, struct zcp_event *events, unsigned int max)
{
	char batch[ZCP_EVENT_BATCH];
	char *buf = batch;
	size_t room = sizeof(batch) / ctx->event_size;
	ssize_t len;
	int ret;

	if (!room) {
		buf = malloc(ctx->event_size);
		if (!buf)
			return -ENOMEM;
		room = 1;
	}
	if (room > max)
		room = max;

	len = read(ctx->fd, buf, room * ctx->event_size);
	if (len < 0)
		ret = -errno;
	else if (!len)
		ret = -EPROTO;
	else
		ret = zcp_event_cut(events, room, buf, len);
	if (buf != batch)
		free(buf);
	return ret;
}

static int wait_readable(const struct zcp_ctx *ctx, int timeout_ms)
{
	struct pollfd pfd = { .fd = ctx->fd, .events = POLLIN };
	int ret;

	ret = poll(&pfd, 1, timeout_ms);
	if (ret < 0)
		return -errno;
	if (ret && !(pfd.revents & POLLIN))
		return pfd.revents & POLLNVAL ? -EBADF : -EIO;
	return ret;
}

static int event_read(const struct zcp_ctx *ctx, struct zcp_event *events, unsigned int max,
		      int timeout_ms)
{
	int64_t deadline = timeout_ms > 0 ? now_ms() + timeout_ms : 0;
	int64_t left;
	int ret;

	for (;;) {
		ret = read_now(ctx, events, max);
		if (ret != -EAGAIN)
			return ret;
		if (!timeout_ms)
			return 0;
		left = -1;
		if (timeout_ms > 0) {
			left = deadline - now_ms();
			if (left <= 0)
				return 0;
		}
		ret = wait_readable(ctx, left > INT_MAX ? INT_MAX : (int)left);
		if (ret < 0)
			return ret;
	}
}

int zcp_event_wait(const struct zcp_ctx *ctx, int timeout_ms)
{
	int saved = errno;
	int ret;

	ret = wait_readable(ctx, timeout_ms);
	errno = saved;
	return ret;
}

int zcp_event_read(struct zcp_ctx *ctx, struct zcp_event *events, unsigned int max, int timeout_ms)
{
	int saved = errno;
	int ret;

	if (!ctx || !events || !max)
		return -EINVAL;
	ret = event_read(ctx, events, max, timeout_ms);
	errno = saved;
	return ret;
}
