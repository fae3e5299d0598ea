// SPDX-License-Identifier: GPL-2.0-only
/* Netlink for the tests of the family. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <netlink/genl/ctrl.h>
#include <linux/netlink.h>

#include "zcp_nl.h"
#include "zcp_test.h"

void zn_open(struct zn_sock *nl)
{
	int one = 1;

	memset(nl, 0, sizeof(*nl));
	nl->sk = nl_socket_alloc();
	zt_need(nl->sk);
	zt_need(!genl_connect(nl->sk));
	nl->family = genl_ctrl_resolve(nl->sk, ZCP_NL_FAMILY_NAME);
	nl->group = genl_ctrl_resolve_grp(nl->sk, ZCP_NL_FAMILY_NAME, ZCP_NL_MCGRP_EVENTS);
	if (nl->family < 0 || nl->group < 0)
		zt_die("no family %s", ZCP_NL_FAMILY_NAME);
	zt_need(!setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_EXT_ACK, &one,
			    sizeof(one)));
	zt_need(!setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_CAP_ACK, &one,
			    sizeof(one)));
}

void zn_close(struct zn_sock *nl)
{
	nl_socket_free(nl->sk);
	nl->sk = NULL;
}

int zn_subscribe(struct zn_sock *nl)
{
	return setsockopt(nl_socket_get_fd(nl->sk), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
			  &nl->group, sizeof(nl->group)) ? -errno : 0;
}

struct nl_msg *zn_new(struct zn_sock *nl, uint8_t cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	zt_need(msg);
	zt_need(genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, cmd,
			    ZCP_NL_FAMILY_VERSION));
	return msg;
}

static void zn_parse(struct nlmsghdr *hdr, struct zn_msg *msg)
{
	zt_need(!genlmsg_parse(hdr, 0, msg->attrs, ZN_ATTRS - 1, NULL));
	msg->cmd = genlmsg_hdr(hdr)->cmd;
}

/* The end of an answer: its errno, and its text after @skip bytes. */
static int zn_take_end(struct zn_sock *nl, struct nlmsghdr *hdr, size_t skip)
{
	struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1] = {};
	int error;

	memcpy(&error, nlmsg_data(hdr), sizeof(error));
	nl->text[0] = '\0';
	if (hdr->nlmsg_flags & NLM_F_ACK_TLVS) {
		nla_parse(attrs, NLMSGERR_ATTR_MAX, nlmsg_data(hdr) + skip,
			  nlmsg_datalen(hdr) - skip, NULL);
		if (attrs[NLMSGERR_ATTR_MSG])
			snprintf(nl->text, sizeof(nl->text), "%s",
				 nla_get_string(attrs[NLMSGERR_ATTR_MSG]));
	}
	return error;
}

int zn_ask(struct zn_sock *nl, struct nl_msg *msg, zn_each each, void *arg)
{
	static __thread char buf[64 * 1024] __attribute__((aligned(8)));
	uint32_t seq;

	zt_need(nl_send_auto(nl->sk, msg) > 0);
	seq = nlmsg_hdr(msg)->nlmsg_seq;
	nlmsg_free(msg);
	for (;;) {
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;
		int len = recv(nl_socket_get_fd(nl->sk), buf, sizeof(buf), 0);

		if (len < 0)
			return -errno;
		for (; nlmsg_ok(hdr, len); hdr = nlmsg_next(hdr, &len)) {
			struct zn_msg one = {};

			if (hdr->nlmsg_seq != seq)
				continue;
			if (hdr->nlmsg_type == NLMSG_ERROR)
				return zn_take_end(nl, hdr, sizeof(struct nlmsgerr));
			if (hdr->nlmsg_type == NLMSG_DONE)
				return zn_take_end(nl, hdr, sizeof(int));
			zn_parse(hdr, &one);
			if (each)
				each(&one, arg);
		}
	}
}

static int zn_send(struct zn_sock *nl, uint8_t cmd, int flags, int attr, uint64_t value,
		   zn_each each, void *arg)
{
	struct nl_msg *msg = zn_new(nl, cmd, flags);

	if (attr)
		zt_need(!nla_put_u64(msg, attr, value));
	return zn_ask(nl, msg, each, arg);
}

int zn_get(struct zn_sock *nl, uint8_t cmd, int attr, uint64_t value, zn_each each, void *arg)
{
	return zn_send(nl, cmd, 0, attr, value, each, arg);
}

int zn_dump(struct zn_sock *nl, uint8_t cmd, int attr, uint64_t value, zn_each each, void *arg)
{
	return zn_send(nl, cmd, NLM_F_DUMP, attr, value, each, arg);
}

int zn_get32(struct zn_sock *nl, uint8_t cmd, int flags, int attr, uint32_t value, zn_each each,
	     void *arg)
{
	struct nl_msg *msg = zn_new(nl, cmd, flags);

	zt_need(!nla_put_u32(msg, attr, value));
	return zn_ask(nl, msg, each, arg);
}

int zn_listen(struct zn_sock *nl, int ms, zn_each each, void *arg)
{
	static __thread char buf[64 * 1024] __attribute__((aligned(8)));
	struct pollfd pfd = { .fd = nl_socket_get_fd(nl->sk), .events = POLLIN };
	uint64_t until = zt_now_ns() + ms * 1000000ULL;
	int nr = 0;

	for (;;) {
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;
		uint64_t now = zt_now_ns();
		struct zn_msg one = {};
		int len;

		if (poll(&pfd, 1, now < until ? (until - now) / 1000000 + 1 : 0) <= 0)
			return nr;
		len = recv(pfd.fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0)
			return -errno;
		zt_need(nlmsg_ok(hdr, len) && hdr->nlmsg_type == nl->family);
		zn_parse(hdr, &one);
		nr++;
		if (each)
			each(&one, arg);
	}
}

uint64_t zn_u64(const struct zn_msg *msg, int attr)
{
	return msg->attrs[attr] ? nla_get_u64(msg->attrs[attr]) : 0;
}

uint32_t zn_u32(const struct zn_msg *msg, int attr)
{
	return msg->attrs[attr] ? nla_get_u32(msg->attrs[attr]) : 0;
}

const char *zn_str(const struct zn_msg *msg, int attr)
{
	return msg->attrs[attr] ? nla_get_string(msg->attrs[attr]) : "";
}

void zn_keep_id(const struct zn_msg *msg, void *arg)
{
	struct zn_ids *ids = arg;

	zt_need(ids->nr < 4096);
	ids->id[ids->nr++] = zn_u64(msg, ZCP_NL_A_JOB_ID);
}

void zn_keep_link_id(const struct zn_msg *msg, void *arg)
{
	struct zn_ids *ids = arg;

	zt_need(ids->nr < 4096);
	ids->id[ids->nr++] = zn_u32(msg, ZCP_NL_A_LINK_ID);
}

uint64_t zn_last_context(struct zn_sock *nl)
{
	struct zn_ids ids = {};

	zt_need(!zn_dump(nl, ZCP_NL_CMD_CONTEXT_GET, 0, 0, zn_keep_id, &ids));
	return ids.nr ? ids.id[ids.nr - 1] : 0;
}

int zn_get_link(struct zn_sock *nl, uint64_t context, uint32_t link, zn_each each, void *arg)
{
	struct nl_msg *msg = zn_new(nl, ZCP_NL_CMD_LINK_GET, 0);

	zt_need(!nla_put_u64(msg, ZCP_NL_A_LINK_CONTEXT, context));
	zt_need(!nla_put_u32(msg, ZCP_NL_A_LINK_ID, link));
	return zn_ask(nl, msg, each, arg);
}

void zn_keep_stats(const struct zn_msg *msg, void *arg)
{
	struct zn_numbers *n = arg;
	int i;

	for (i = 1; i < ZCP_NL_A_STATS_PAD; i++) {
		if (!msg->attrs[i] || i == ZCP_NL_A_STATS_COPIED)
			continue;
		n->value[i] = nla_len(msg->attrs[i]) == 8 ? zn_u64(msg, i) : zn_u32(msg, i);
	}
}

static void zn_keep_held(const struct zn_msg *msg, void *arg)
{
	struct zn_held *held = arg;

	held->contexts = zn_u32(msg, ZCP_NL_A_STATS_CONTEXTS);
	held->links = zn_u32(msg, ZCP_NL_A_STATS_LINKS);
	held->jobs = zn_u32(msg, ZCP_NL_A_STATS_JOBS_ACTIVE);
	held->inflight = zn_u64(msg, ZCP_NL_A_STATS_INFLIGHT);
	held->workers = zn_u32(msg, ZCP_NL_A_STATS_WORKERS);
}

struct zn_held zn_held(struct zn_sock *nl)
{
	struct zn_held held = {};

	zt_need(!zn_get(nl, ZCP_NL_CMD_STATS_GET, 0, 0, zn_keep_held, &held));
	return held;
}

void zn_wait_workers(struct zn_sock *nl, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < ZT_PATIENCE * 10 && zn_held(nl).workers < nr; i++)
		zt_sleep_ms(100);
	if (i == ZT_PATIENCE * 10)
		zt_die("%u workers at a turn, not %u", zn_held(nl).workers, nr);
	zt_sleep_ms(ZT_WATCH / 4);
}
