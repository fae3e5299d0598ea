/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the messenger's test share.
 */
#ifndef ZCP_TEST_MSG_H
#define ZCP_TEST_MSG_H

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <zcp/pool.h>

#include "tap.h"

static inline void need(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(2);
}

/* A connection; with buffers of so many bytes, unless that is 0. */
static inline void connect_sized(int *tx, int *rx, int bytes)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	need(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, 1) &&
		     !getsockname(fd, (struct sockaddr *)&addr, &len),
	     "listen");
	*tx = socket(AF_INET, SOCK_STREAM, 0);
	if (bytes)
		setsockopt(*tx, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	need(!connect(*tx, (struct sockaddr *)&addr, sizeof(addr)), "connect");
	*rx = accept(fd, NULL, NULL);
	need(*rx >= 0, "accept");
	close(fd);
}

static inline void connect_pair(int *tx, int *rx)
{
	connect_sized(tx, rx, 0);
}

static inline bool get(int fd, void *to, size_t len)
{
	return recv(fd, to, len, MSG_WAITALL) == (ssize_t)len;
}

static inline bool arrives(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1;
}

static inline long ms_since(const struct timespec *from)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000 + (now.tv_nsec - from->tv_nsec) / 1000000;
}

/* test_room.c */
void test_rooms(uint32_t count);

#endif /* ZCP_TEST_MSG_H */
