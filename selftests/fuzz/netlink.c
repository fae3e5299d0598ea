// SPDX-License-Identifier: GPL-2.0-only
/* Operations on the generic netlink family, and routes. Messages by hand. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/zcp_netlink.h>

#include "fuzz.h"

struct request {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	unsigned char attrs[512];
};

static int family, group;

static void put(struct nlmsghdr *nl, unsigned int type, const void *data, size_t len)
{
	struct nlattr *attr = (void *)((char *)nl + NLMSG_ALIGN(nl->nlmsg_len));

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy((char *)attr + NLA_HDRLEN, data, len);
	nl->nlmsg_len = NLMSG_ALIGN(nl->nlmsg_len) + NLA_ALIGN(attr->nla_len);
}

static void begin(struct request *req, unsigned int cmd, unsigned int flags)
{
	static _Atomic uint32_t seq;

	memset(req, 0, sizeof(*req));
	req->nl.nlmsg_len = NLMSG_LENGTH(sizeof(req->genl));
	req->nl.nlmsg_type = family;
	req->nl.nlmsg_flags = NLM_F_REQUEST | flags;
	req->nl.nlmsg_seq = atomic_fetch_add(&seq, 1) | (uint32_t)getpid() << 16;
	req->genl.cmd = cmd;
	req->genl.version = ZCP_NL_FAMILY_VERSION;
}

int fz_netlink_open(int at)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), ret;
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };

	if (fd < 0)
		return -errno;
	/* Without an address it counts as who sends notifications, and gets none. */
	ret = bind(fd, (void *)&any, sizeof(any)) || dup2(fd, at) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * Ask, and take what comes without waiting: the errno at its end. A dump goes
 * on for @most messages; what is left of it is somebody else's.
 */
static int ask(int fd, struct nlmsghdr *nl, int most, void *reply, size_t size)
{
	unsigned char buf[16384] __attribute__((aligned(8)));
	int len, error;

	if (send(fd, nl, nl->nlmsg_len, MSG_DONTWAIT) < 0)
		return -errno;
	while (most--) {
		struct nlmsghdr *hdr = (void *)buf;

		len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0)
			return errno == EAGAIN ? 0 : -errno;
		for (; NLMSG_OK(hdr, (unsigned int)len); hdr = NLMSG_NEXT(hdr, len)) {
			if (hdr->nlmsg_seq != nl->nlmsg_seq)
				continue;
			if (hdr->nlmsg_type == NLMSG_ERROR || hdr->nlmsg_type == NLMSG_DONE) {
				memcpy(&error, NLMSG_DATA(hdr), sizeof(error));
				return error;
			}
			if (reply) {
				memcpy(reply, hdr, hdr->nlmsg_len < size ? hdr->nlmsg_len : size);
				reply = NULL;
			}
		}
	}
	return 0;
}

static const struct nlattr *find(const void *from, int len, unsigned int type)
{
	const struct nlattr *attr = from;

	while (len >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN && attr->nla_len <= len) {
		if ((attr->nla_type & NLA_TYPE_MASK) == type)
			return attr;
		len -= NLA_ALIGN(attr->nla_len);
		attr = (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len));
	}
	return NULL;
}

static const struct nlattr *find_in(const struct nlmsghdr *nl, unsigned int type)
{
	return find((const char *)NLMSG_DATA(nl) + GENL_HDRLEN,
		    nl->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN), type);
}

/* The number of the family, and of its group. */
void fz_netlink_init(void)
{
	unsigned char reply[4096] __attribute__((aligned(8)));
	const struct nlattr *attr;
	struct request req;
	int ret;

	fz_netlink_open(FD_NL);
	begin(&req, CTRL_CMD_GETFAMILY, 0);
	req.nl.nlmsg_type = GENL_ID_CTRL;
	req.genl.version = 2;
	put(&req.nl, CTRL_ATTR_FAMILY_NAME, ZCP_NL_FAMILY_NAME, sizeof(ZCP_NL_FAMILY_NAME));
	memset(reply, 0, sizeof(reply));
	ret = ask(FD_NL, &req.nl, 1, reply, sizeof(reply));
	attr = find_in((void *)reply, CTRL_ATTR_FAMILY_ID);
	if (ret || !attr)
		fz_die("no netlink family %s: errno %d", ZCP_NL_FAMILY_NAME, -ret);
	family = *(const uint16_t *)(attr + 1);
	attr = find_in((void *)reply, CTRL_ATTR_MCAST_GROUPS);
	if (attr)
		attr = find(attr + 1, attr->nla_len - NLA_HDRLEN, 1);
	if (attr)
		attr = find(attr + 1, attr->nla_len - NLA_HDRLEN, CTRL_ATTR_MCAST_GRP_ID);
	if (!attr)
		fz_die("no netlink group of %s", ZCP_NL_FAMILY_NAME);
	group = *(const uint32_t *)(attr + 1);
}

/* The numbers in a message, by their attribute's number; 0 where there is none. */
void fz_netlink_values(const struct nlmsghdr *nl, uint64_t *values, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct nlattr *attr = find_in(nl, i);

		values[i] = 0;
		if (attr && attr->nla_len == NLA_HDRLEN + 8)
			memcpy(&values[i], attr + 1, 8);
		else if (attr && attr->nla_len == NLA_HDRLEN + 4)
			values[i] = *(const uint32_t *)(attr + 1);
	}
}

/*
 * The statistics of this namespace, by their attribute's number. Without a reply
 * they are not zeros, which is what is hoped for.
 */
bool fz_netlink_stats(uint64_t *values, unsigned int nr)
{
	unsigned char reply[4096] __attribute__((aligned(8)));
	struct request req;

	memset(reply, 0, sizeof(reply));
	begin(&req, ZCP_NL_CMD_STATS_GET, 0);
	if (ask(FD_NL, &req.nl, 1, reply, sizeof(reply)) ||
	    !find_in((void *)reply, ZCP_NL_A_STATS_CONTEXTS))
		return false;
	fz_netlink_values((void *)reply, values, nr);
	return true;
}

static uint64_t any_job(uint32_t r)
{
	uint32_t nr = fz->nr_recent < 64 ? fz->nr_recent : 64;

	return nr && r % 8 ? fz->recent[r / 8 % nr] : fz->last_id + r / 8 % 8;
}

/* Ids are unique while the module is loaded: only the kernel knows them. */
static uint64_t any_context(int fd, uint32_t r)
{
	unsigned char reply[1024] __attribute__((aligned(8)));
	const struct nlattr *attr;
	struct request req;
	uint64_t id;

	if (r % 8 == 0)
		return r;
	memset(reply, 0, sizeof(reply));
	begin(&req, ZCP_NL_CMD_CONTEXT_GET, NLM_F_DUMP);
	ask(fd, &req.nl, 4, reply, sizeof(reply));
	attr = find_in((void *)reply, ZCP_NL_A_CONTEXT_ID);
	if (!attr)
		return r;
	memcpy(&id, attr + 1, sizeof(id));
	return id + (r % 8 < 3);
}

static int nl_of(const struct fz_op *op)
{
	return FD_NL + op->arg[0] % FZ_NLS;
}

int fz_op_nl_get(struct fz_worker *w, const struct fz_op *op)
{
	struct request req;
	uint64_t id;
	uint32_t link = 1 + op->arg[2] % 6;

	switch (op->arg[1] % 4) {
	case 0:
	case 1:
		begin(&req, ZCP_NL_CMD_JOB_GET, op->arg[3] & 1 ? NLM_F_ACK : 0);
		id = any_job(op->arg[2]);
		put(&req.nl, ZCP_NL_A_JOB_ID, &id, 8);
		break;
	case 2:
		id = any_context(nl_of(op), op->arg[3]);
		begin(&req, ZCP_NL_CMD_LINK_GET, 0);
		put(&req.nl, ZCP_NL_A_LINK_CONTEXT, &id, 8);
		put(&req.nl, ZCP_NL_A_LINK_ID, &link, 4);
		break;
	default:
		if (op->arg[2] & 1) {
			begin(&req, ZCP_NL_CMD_STATS_GET, 0);
			break;
		}
		id = any_context(nl_of(op), op->arg[3]);
		begin(&req, ZCP_NL_CMD_CONTEXT_GET, 0);
		put(&req.nl, ZCP_NL_A_CONTEXT_ID, &id, 8);
		break;
	}
	return ask(nl_of(op), &req.nl, 2, NULL, 0);
}

int fz_op_nl_dump(struct fz_worker *w, const struct fz_op *op)
{
	static const uint8_t cmds[] = {
		ZCP_NL_CMD_JOB_GET, ZCP_NL_CMD_JOB_GET, ZCP_NL_CMD_LINK_GET, ZCP_NL_CMD_CONTEXT_GET,
	};
	unsigned int cmd = cmds[op->arg[1] % 4];
	uint32_t value = 1 + op->arg[2] % 8;
	struct request req;
	uint64_t id = 0;

	if (op->arg[2] >> 8 & 1)
		id = any_context(nl_of(op), op->arg[3]);
	begin(&req, cmd, NLM_F_DUMP);
	if (cmd == ZCP_NL_CMD_JOB_GET) {
		if (id)
			put(&req.nl, ZCP_NL_A_JOB_CONTEXT, &id, 8);
		if (op->arg[2] >> 9 & 1)
			put(&req.nl, ZCP_NL_A_JOB_STATE, &value, 4);
		if ((op->arg[2] >> 10 & 3) == 1)
			put(&req.nl, ZCP_NL_A_JOB_LINK, &value, 4);
		value = 0;
		if ((op->arg[2] >> 12 & 3) == 1)
			put(&req.nl, ZCP_NL_A_JOB_UID, &value, 4);
	} else if (cmd == ZCP_NL_CMD_LINK_GET && id) {
		put(&req.nl, ZCP_NL_A_LINK_CONTEXT, &id, 8);
	}
	/* Not always to the end: another request or the close finds it going on. */
	return ask(nl_of(op), &req.nl, op->arg[3] % 8 ? 1000 : 1, NULL, 0);
}

int fz_op_nl_cancel(struct fz_worker *w, const struct fz_op *op)
{
	uint64_t id = any_job(op->arg[1]);
	struct request req;

	begin(&req, ZCP_NL_CMD_JOB_CANCEL, NLM_F_ACK);
	put(&req.nl, ZCP_NL_A_JOB_ID, &id, 8);
	return ask(nl_of(op), &req.nl, 2, NULL, 0);
}

/* Anything: attributes of wrong types, sizes and nesting, flags, commands. */
int fz_op_nl_raw(struct fz_worker *w, const struct fz_op *op)
{
	uint64_t rng = op->arg[2] | 1ULL << 42, r;
	unsigned char data[40];
	struct request req;
	unsigned int nr = op->arg[1] % 5, i;

	begin(&req, op->arg[1] >> 8 & 1 ? 1 + (op->arg[1] >> 9) % 6 : op->arg[1] >> 9,
	      op->arg[3] & 3 ? NLM_F_ACK : NLM_F_DUMP);
	if (op->arg[3] % 16 == 4)
		req.nl.nlmsg_flags |= op->arg[3] >> 16;
	if (op->arg[3] % 16 == 5)
		req.genl.version = op->arg[3] >> 16;
	for (i = 0; i < nr; i++) {
		static const uint8_t lens[] = { 8, 8, 4, 4, 0, 1, 2, 16, 33 };

		r = fz_random(&rng);
		memset(data, r % 3 ? 0 : (int)(r >> 8), sizeof(data));
		data[0] = r >> 16;
		put(&req.nl, (r >> 24) % 40 | ((r >> 32) % 16 == 0 ? NLA_F_NESTED : 0), data,
		    lens[(r >> 40) % sizeof(lens)]);
	}
	if (op->arg[3] % 16 == 6)
		req.nl.nlmsg_len -= (op->arg[3] >> 16) % (req.nl.nlmsg_len - NLMSG_HDRLEN + 1);
	if (op->arg[3] % 16 == 7 && nr)
		((struct nlattr *)req.attrs)->nla_len = op->arg[3] >> 16;
	return ask(nl_of(op), &req.nl, 20, NULL, 0);
}

int fz_netlink_join(int fd, bool join)
{
	return setsockopt(fd, SOL_NETLINK, join ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP,
			  &group, sizeof(group)) ? -errno : 0;
}

int fz_op_nl_group(struct fz_worker *w, const struct fz_op *op)
{
	int small = op->arg[2] & 1 ? 2048 : 200000;

	setsockopt(nl_of(op), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return fz_netlink_join(nl_of(op), op->arg[1] % 4);
}

int fz_op_nl_drain(struct fz_worker *w, const struct fz_op *op)
{
	unsigned char buf[8192];
	unsigned int n = 0;

	while (n < 200 && recv(nl_of(op), buf, sizeof(buf), MSG_DONTWAIT) > 0)
		n++;
	return n ? 0 : -errno;
}

int fz_op_nl_reopen(struct fz_worker *w, const struct fz_op *op)
{
	return fz_netlink_open(nl_of(op));
}

/* A route to the peer's address that is better than its network's. */
int fz_route(uint32_t how)
{
	static const uint8_t types[] = {
		RTN_UNREACHABLE, RTN_BLACKHOLE, RTN_PROHIBIT, RTN_THROW,
	};
	struct {
		struct nlmsghdr nl;
		struct rtmsg rt;
		unsigned char attrs[64];
	} req = {
		.nl.nlmsg_len = NLMSG_LENGTH(sizeof(req.rt)),
		.nl.nlmsg_type = how % 2 ? RTM_NEWROUTE : RTM_DELROUTE,
		.nl.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
		.rt.rtm_family = AF_INET, .rt.rtm_dst_len = 32, .rt.rtm_table = RT_TABLE_MAIN,
		.rt.rtm_protocol = RTPROT_STATIC, .rt.rtm_scope = RT_SCOPE_UNIVERSE,
		.rt.rtm_type = types[how / 2 % 4],
	};
	uint32_t addr = inet_addr("10.99.0.2");
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), ret;

	if (fd < 0)
		return -errno;
	if (!(how % 2)) {
		req.nl.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		req.rt.rtm_type = RTN_UNSPEC;
		req.rt.rtm_scope = RT_SCOPE_NOWHERE;
		req.rt.rtm_protocol = 0;
	}
	put(&req.nl, RTA_DST, &addr, 4);
	ret = ask(fd, &req.nl, 1, NULL, 0);
	close(fd);
	return ret;
}
