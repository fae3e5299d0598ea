/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP addresses and sockets.
 */
#ifndef ZCPCTL_NET_H
#define ZCPCTL_NET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_NAME_MAX 80

struct net_address {
	char host[256];
	char port[64];
};

/*
 * HOST:PORT, [V6]:PORT, and PORT alone unless @need_host. Returns 0 or -EINVAL.
 */
int net_parse(const char *text, bool need_host, struct net_address *address);

/*
 * Connect to the first of the host's addresses that answers, or listen. Return
 * a socket, or -errno with a line about it in @problem.
 */
int net_connect(const struct net_address *address, char *problem, size_t size);
int net_listen(const struct net_address *address, char *problem, size_t size);

/*
 * For who may be interrupted: how to wait until there is something on @fds or the time is
 * over, as poll(2) does. It is also called without @fds before anything is connected to.
 * 0 to go on, or -errno to end with.
 */
typedef int net_wait(struct pollfd *fds, nfds_t count, int timeout_ms);

/* As net_connect(), and once more to where @sock is connected to. */
int net_connect_by(const struct net_address *address, net_wait *wait, char *problem, size_t size);
int net_connect_again(int sock, net_wait *wait, char *problem, size_t size);

/* What makes zcp refuse this socket, as part of a sentence about it. */
void net_layer(int sock, char *text, size_t size);

/* Close a connection so that the peer cannot take what it got for all there is. */
void net_reset(int sock);

/* "address:port" of either end of a socket; "-" when it has none. */
void net_local(int sock, char name[NET_NAME_MAX]);
void net_peer(int sock, char name[NET_NAME_MAX]);

/* The same of an address in network order and a port in the host's. */
void net_name(int family, const void *addr, uint16_t port, char name[NET_NAME_MAX]);

#endif /* ZCPCTL_NET_H */
