// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP addresses and sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

/* Newer than some systems' headers. */
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_SMC
#define IPPROTO_SMC 256
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static bool take(char *to, size_t size, const char *from, size_t len)
{
	if (!len || len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/* The name of a service, or a number that a port can have. */
static bool port_is_possible(const char *port)
{
	if (port[strspn(port, "0123456789")])
		return getservbyname(port, "tcp");
	return strlen(port) <= 5 && atoi(port) <= 65535;
}

int net_parse(const char *text, bool need_host, struct net_address *address)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t len;

	address->host[0] = '\0';
	if (!colon) {
		if (need_host || !take(address->port, sizeof(address->port), text, strlen(text)))
			return -EINVAL;
		return port_is_possible(address->port) ? 0 : -EINVAL;
	}
	len = colon - text;
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		/* An IPv6 address without brackets: where does it end? */
		return -EINVAL;
	}
	if (!take(address->host, sizeof(address->host), host, len) ||
	    !take(address->port, sizeof(address->port), colon + 1, strlen(colon + 1)))
		return -EINVAL;
	return port_is_possible(address->port) ? 0 : -EINVAL;
}

static void describe(const struct sockaddr_storage *ss, char name[NET_NAME_MAX])
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;
	char text[INET6_ADDRSTRLEN];

	strcpy(name, "-");
	if (ss->ss_family == AF_INET) {
		if (inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)))
			snprintf(name, NET_NAME_MAX, "%s:%u", text, ntohs(in->sin_port));
	} else if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		if (inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof(text)))
			snprintf(name, NET_NAME_MAX, "%s:%u", text, ntohs(in6->sin6_port));
	} else if (ss->ss_family == AF_INET6) {
		if (inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)))
			snprintf(name, NET_NAME_MAX, "[%s]:%u", text, ntohs(in6->sin6_port));
	}
}

void net_name(int family, const void *addr, uint16_t port, char name[NET_NAME_MAX])
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	struct sockaddr_in6 *in6 = (void *)&ss;
	struct sockaddr_in *in = (void *)&ss;

	if (family == AF_INET) {
		memcpy(&in->sin_addr, addr, sizeof(in->sin_addr));
		in->sin_port = htons(port);
	} else if (family == AF_INET6) {
		memcpy(&in6->sin6_addr, addr, sizeof(in6->sin6_addr));
		in6->sin6_port = htons(port);
	}
	describe(&ss, name);
}

void net_local(int sock, char name[NET_NAME_MAX])
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);

	getsockname(sock, (struct sockaddr *)&ss, &len);
	describe(&ss, name);
}

void net_peer(int sock, char name[NET_NAME_MAX])
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);

	getpeername(sock, (struct sockaddr *)&ss, &len);
	describe(&ss, name);
}

static int resolve(const struct net_address *address, int flags, struct addrinfo **list,
		   char *problem, size_t size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
	const char *host = address->host[0] ? address->host : NULL;
	int error;

	error = getaddrinfo(host, address->port, &hints, list);
	if (!error)
		return 0;
	snprintf(problem, size, "no address for %s port %s: %s", host ? host : "*", address->port,
		 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	return error == EAI_SYSTEM ? -errno : -EHOSTUNREACH;
}

static int stopped(net_wait *wait)
{
	return wait ? wait(NULL, 0, 0) : 0;
}

static int finish_connecting(int sock, net_wait *wait)
{
	struct pollfd pfd = { .fd = sock, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);
	int ret;

	do {
		ret = wait(&pfd, 1, -1);
	} while (!ret && !pfd.revents);
	if (ret)
		return ret;
	return getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &len) ? -errno : -error;
}

/* A new socket that is connected, or -errno. */
static int connect_to(int family, const struct sockaddr *addr, socklen_t len, net_wait *wait)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | (wait ? SOCK_NONBLOCK : 0);
	int ret = stopped(wait);
	int sock;

	if (ret)
		return ret;
	sock = socket(family, type, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, addr, len))
		ret = -errno;
	if (wait && (!ret || ret == -EINPROGRESS))
		ret = finish_connecting(sock, wait);
	if (!ret && wait && fcntl(sock, F_SETFL, fcntl(sock, F_GETFL) & ~O_NONBLOCK))
		ret = -errno;
	if (!ret)
		return sock;
	close(sock);
	return ret;
}

int net_connect_by(const struct net_address *address, net_wait *wait, char *problem, size_t size)
{
	struct addrinfo *list;
	int ret;

	ret = resolve(address, AI_ADDRCONFIG, &list, problem, size);
	if (ret == -EHOSTUNREACH && !stopped(wait))
		ret = resolve(address, 0, &list, problem, size);
	if (ret) /* for which a signal may be the reason */
		return stopped(wait) ? stopped(wait) : ret;
	ret = -EHOSTUNREACH;
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		ret = connect_to(ai->ai_family, ai->ai_addr, ai->ai_addrlen, wait);
		if (ret >= 0 || ret == -EINTR || ret == -ECANCELED)
			break;
	}
	freeaddrinfo(list);
	if (ret < 0)
		snprintf(problem, size, "cannot connect to %s port %s: %s", address->host,
			 address->port, strerror(-ret));
	return ret;
}

int net_connect(const struct net_address *address, char *problem, size_t size)
{
	return net_connect_by(address, NULL, problem, size);
}

int net_connect_again(int sock, net_wait *wait, char *problem, size_t size)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char peer[NET_NAME_MAX];
	int ret;

	net_peer(sock, peer);
	if (getpeername(sock, (struct sockaddr *)&ss, &len))
		ret = -errno;
	else
		ret = connect_to(ss.ss_family, (struct sockaddr *)&ss, len, wait);
	if (ret < 0)
		snprintf(problem, size, "cannot connect to %s once more: %s", peer, strerror(-ret));
	return ret;
}

static int listen_on(int family, const struct sockaddr *addr, socklen_t len)
{
	int sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, off = 0;
	int ret;

	if (sock < 0)
		return -errno;
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!bind(sock, addr, len) && !listen(sock, 128))
		return sock;
	ret = -errno;
	close(sock);
	return ret;
}

int net_listen(const struct net_address *address, char *problem, size_t size)
{
	struct addrinfo *list;
	int ret;

	ret = resolve(address, AI_PASSIVE, &list, problem, size);
	if (ret)
		return ret;
	ret = -EADDRNOTAVAIL;
	/* IPv6 first: without an address it takes IPv4 as well. */
	for (int family = AF_INET6; ret < 0 && family; family = family == AF_INET6 ? AF_INET : 0)
		for (struct addrinfo *ai = list; ai && ret < 0; ai = ai->ai_next)
			if (ai->ai_family == family)
				ret = listen_on(family, ai->ai_addr, ai->ai_addrlen);
	freeaddrinfo(list);
	if (ret < 0)
		snprintf(problem, size, "cannot listen on %s%sport %s: %s", address->host,
			 address->host[0] ? " " : "", address->port, strerror(-ret));
	return ret;
}

void net_layer(int sock, char *text, size_t size)
{
	int protocol = 0, family = AF_UNSPEC;
	socklen_t len = sizeof(int);
	char ulp[32] = "";

	getsockopt(sock, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	len = sizeof(int);
	getsockopt(sock, SOL_SOCKET, SO_DOMAIN, &family, &len);
	len = sizeof(ulp) - 1;
	if (getsockopt(sock, IPPROTO_TCP, TCP_ULP, ulp, &len))
		ulp[0] = '\0';
	if (protocol == IPPROTO_MPTCP)
		snprintf(text, size, "it is MPTCP, not plain TCP");
	else if (family == AF_SMC || protocol == IPPROTO_SMC)
		snprintf(text, size, "it is SMC, not plain TCP");
	else if (ulp[0])
		snprintf(text, size, "it has the layer \"%s\" on it, which is not plain TCP", ulp);
	else
		snprintf(text, size, "it is not plain TCP (is it in a sockmap?)");
}

void net_reset(int sock)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(sock);
}
