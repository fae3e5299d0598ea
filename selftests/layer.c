// SPDX-License-Identifier: GPL-2.0-only
/*
 * To be preloaded: what a program connects gets the layer that ZCP_LAYER names,
 * mptcp (where its sockets are made), or one of TCP_ULP: tls, espintcp. Where the
 * kernel lacks that the program ends with status 77.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/tcp.h>

int socket(int family, int type, int protocol)
{
	int (*next)(int family, int type, int protocol) = dlsym(RTLD_NEXT, "socket");
	const char *layer = getenv("ZCP_LAYER");

	if (layer && !strcmp(layer, "mptcp") && (type & 15) == SOCK_STREAM &&
	    (family == AF_INET || family == AF_INET6))
		protocol = IPPROTO_MPTCP;
	return next(family, type, protocol);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int (*next)(int fd, const struct sockaddr *addr, socklen_t len) =
		dlsym(RTLD_NEXT, "connect");
	const char *layer = getenv("ZCP_LAYER");
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int ret = next(fd, addr, len);

	/* Who does not wait for it has it here all the same. */
	if (ret && errno == EINPROGRESS)
		ret = poll(&pfd, 1, -1) == 1 ? 0 : -1;
	if (!ret && layer && strcmp(layer, "mptcp") &&
	    setsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, strlen(layer)))
		_exit(77);
	return ret;
}
