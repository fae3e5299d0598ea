/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the netlink family need of netlink: libnl makes and takes
 * apart messages; answers are received here, because it does not tell the text
 * of a refusal.
 */
#ifndef ZCP_NL_H
#define ZCP_NL_H

#include <stdbool.h>
#include <stdint.h>
#include <netlink/netlink.h>
#include <netlink/genl/genl.h>
#include <linux/zcp_netlink.h>

#define ZN_ATTRS	32

/**
 * struct zn_sock - A netlink socket that knows the family
 * @sk: The socket.
 * @family: The family's number.
 * @group: The number of the group "events".
 * @text: Why the last request was refused; empty when no text came.
 */
struct zn_sock {
	struct nl_sock *sk;
	int family;
	int group;
	char text[128];
};

/* A message that was received; the attributes by their number. */
struct zn_msg {
	uint8_t cmd;
	struct nlattr *attrs[ZN_ATTRS];
};

typedef void (*zn_each)(const struct zn_msg *msg, void *arg);

void zn_open(struct zn_sock *nl);
void zn_close(struct zn_sock *nl);
/* 0 or -errno. */
int zn_subscribe(struct zn_sock *nl);
/* Without those of the socket: an absent descriptor is none. */
struct nl_msg *zn_new(struct zn_sock *nl, uint8_t cmd, int flags);
/* Sends the message and frees it; calls @each for each reply. 0 or -errno. */
int zn_ask(struct zn_sock *nl, struct nl_msg *msg, zn_each each, void *arg);
/* The same for a request with one attribute of 8 or 4 bytes; 0 for none. */
int zn_get(struct zn_sock *nl, uint8_t cmd, int attr, uint64_t value, zn_each each,
	   void *arg);
int zn_get32(struct zn_sock *nl, uint8_t cmd, int flags, int attr, uint32_t value,
	     zn_each each, void *arg);
int zn_dump(struct zn_sock *nl, uint8_t cmd, int attr, uint64_t value, zn_each each,
	    void *arg);
/* Notifications that come within that time; -errno of the socket, or how many. */
int zn_listen(struct zn_sock *nl, int ms, zn_each each, void *arg);

/* What a dump shows: ids; more of them than fit are a failure of the test. */
struct zn_ids {
	uint64_t id[4096];
	unsigned int nr;
};

/* Contexts have their id where jobs have theirs. @arg: a struct zn_ids */
void zn_keep_id(const struct zn_msg *msg, void *arg);
void zn_keep_link_id(const struct zn_msg *msg, void *arg);
/* The context that was opened last, or 0. */
uint64_t zn_last_context(struct zn_sock *nl);
int zn_get_link(struct zn_sock *nl, uint64_t context, uint32_t link, zn_each each, void *arg);

/* Attributes that are numbers, by their number. */
struct zn_numbers {
	uint64_t value[ZN_ATTRS];
};

/* Those of statistics. @arg: a struct zn_numbers */
void zn_keep_stats(const struct zn_msg *msg, void *arg);

/**
 * struct zn_held - What this network namespace has of the module
 * @contexts: Contexts.
 * @links: Links that are not closed.
 * @jobs: Jobs that have not ended.
 * @inflight: Bytes that are sent and not acknowledged.
 * @workers: Workers that take a turn now, of all namespaces.
 */
struct zn_held {
	uint32_t contexts;
	uint32_t links;
	uint32_t jobs;
	uint64_t inflight;
	uint32_t workers;
};

struct zn_held zn_held(struct zn_sock *nl);
/* Waits until so many workers are at a turn, and a moment more. */
void zn_wait_workers(struct zn_sock *nl, unsigned int nr);

/* Attributes, 0 when they are not there. */
uint64_t zn_u64(const struct zn_msg *msg, int attr);
uint32_t zn_u32(const struct zn_msg *msg, int attr);
const char *zn_str(const struct zn_msg *msg, int attr);

#endif /* ZCP_NL_H */
