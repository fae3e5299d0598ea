// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The messages of the netlink family, as structures.
 */
#include <arpa/inet.h>
#include <stdint.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "monitor.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The most attributes a message of ours has. */
#define ATTR_MAX 63

_Static_assert(ZCP_NL_A_JOB_MAX <= ATTR_MAX && ZCP_NL_A_LINK_MAX <= ATTR_MAX &&
		       ZCP_NL_A_CONTEXT_MAX <= ATTR_MAX && ZCP_NL_A_STATS_MAX <= ATTR_MAX,
	       "room for all attributes");

/**
 * struct field - Where an attribute goes
 * @attr: The attribute.
 * @offset: Of the member.
 * @width: Of the member, in bytes; 0 for a string, which stays where it is.
 * @binary: The attribute may be shorter.
 */
struct field {
	uint8_t attr;
	uint16_t offset;
	uint8_t width;
	bool binary;
};

#define FIELD(type, member, number)                                        \
	{                                                                  \
		.attr = (number), .offset = offsetof(struct type, member), \
		.width = sizeof(((struct type *)0)->member),               \
	}
#define STRING(type, member, number)                                       \
	{                                                                  \
		.attr = (number), .offset = offsetof(struct type, member), \
	}
#define ADDRESS(type, member, number)                                        \
	{                                                                    \
		.attr = (number), .offset = offsetof(struct type, member),   \
		.width = sizeof(((struct type *)0)->member), .binary = true, \
	}

static const struct field job_fields[] = {
	FIELD(zcp_job_info, job, ZCP_NL_A_JOB_ID),
	FIELD(zcp_job_info, context, ZCP_NL_A_JOB_CONTEXT),
	FIELD(zcp_job_info, link, ZCP_NL_A_JOB_LINK),
	FIELD(zcp_job_info, state, ZCP_NL_A_JOB_STATE),
	FIELD(zcp_job_info, mode, ZCP_NL_A_JOB_MODE),
	FIELD(zcp_job_info, complete, ZCP_NL_A_JOB_COMPLETE),
	FIELD(zcp_job_info, flags, ZCP_NL_A_JOB_FLAGS),
	FIELD(zcp_job_info, error, ZCP_NL_A_JOB_ERROR),
	FIELD(zcp_job_info, copy_reason, ZCP_NL_A_JOB_COPY_REASON),
	FIELD(zcp_job_info, nr_segments, ZCP_NL_A_JOB_NR_SEGMENTS),
	FIELD(zcp_job_info, segment, ZCP_NL_A_JOB_SEGMENT),
	FIELD(zcp_job_info, position, ZCP_NL_A_JOB_POSITION),
	FIELD(zcp_job_info, bytes_total, ZCP_NL_A_JOB_BYTES_TOTAL),
	FIELD(zcp_job_info, bytes_sent, ZCP_NL_A_JOB_BYTES_SENT),
	FIELD(zcp_job_info, bytes_acked, ZCP_NL_A_JOB_BYTES_ACKED),
	FIELD(zcp_job_info, bytes_zerocopy, ZCP_NL_A_JOB_BYTES_ZEROCOPY),
	FIELD(zcp_job_info, bytes_copied, ZCP_NL_A_JOB_BYTES_COPIED),
	FIELD(zcp_job_info, bytes_dropped, ZCP_NL_A_JOB_BYTES_DROPPED),
	FIELD(zcp_job_info, rate, ZCP_NL_A_JOB_RATE),
	FIELD(zcp_job_info, submit_ns, ZCP_NL_A_JOB_SUBMIT_NS),
	FIELD(zcp_job_info, sent_ns, ZCP_NL_A_JOB_SENT_NS),
	FIELD(zcp_job_info, acked_ns, ZCP_NL_A_JOB_ACKED_NS),
	FIELD(zcp_job_info, end_ns, ZCP_NL_A_JOB_END_NS),
	FIELD(zcp_job_info, uid, ZCP_NL_A_JOB_UID),
	FIELD(zcp_job_info, pid, ZCP_NL_A_JOB_PID),
	STRING(zcp_job_info, comm, ZCP_NL_A_JOB_COMM),
	STRING(zcp_job_info, file, ZCP_NL_A_JOB_FILE),
};

static const struct field link_fields[] = {
	FIELD(zcp_link_info, link, ZCP_NL_A_LINK_ID),
	FIELD(zcp_link_info, context, ZCP_NL_A_LINK_CONTEXT),
	FIELD(zcp_link_info, flags, ZCP_NL_A_LINK_FLAGS),
	FIELD(zcp_link_info, family, ZCP_NL_A_LINK_FAMILY),
	ADDRESS(zcp_link_info, local_addr, ZCP_NL_A_LINK_LOCAL_ADDR),
	FIELD(zcp_link_info, local_port, ZCP_NL_A_LINK_LOCAL_PORT),
	ADDRESS(zcp_link_info, peer_addr, ZCP_NL_A_LINK_PEER_ADDR),
	FIELD(zcp_link_info, peer_port, ZCP_NL_A_LINK_PEER_PORT),
	FIELD(zcp_link_info, ifindex, ZCP_NL_A_LINK_IFINDEX),
	STRING(zcp_link_info, ifname, ZCP_NL_A_LINK_IFNAME),
	FIELD(zcp_link_info, path_caps, ZCP_NL_A_LINK_PATH_CAPS),
	FIELD(zcp_link_info, path_mode, ZCP_NL_A_LINK_PATH_MODE),
	FIELD(zcp_link_info, path_reason, ZCP_NL_A_LINK_PATH_REASON),
	FIELD(zcp_link_info, mss, ZCP_NL_A_LINK_MSS),
	FIELD(zcp_link_info, rtt_us, ZCP_NL_A_LINK_RTT),
	FIELD(zcp_link_info, rtt_var_us, ZCP_NL_A_LINK_RTT_VAR),
	FIELD(zcp_link_info, cwnd, ZCP_NL_A_LINK_CWND),
	FIELD(zcp_link_info, retrans, ZCP_NL_A_LINK_RETRANS),
	FIELD(zcp_link_info, queue_bytes, ZCP_NL_A_LINK_QUEUE),
	FIELD(zcp_link_info, notsent_bytes, ZCP_NL_A_LINK_NOTSENT),
	FIELD(zcp_link_info, inflight, ZCP_NL_A_LINK_INFLIGHT),
	FIELD(zcp_link_info, nr_jobs, ZCP_NL_A_LINK_NR_JOBS),
};

static const struct field context_fields[] = {
	FIELD(zcp_context_info, context, ZCP_NL_A_CONTEXT_ID),
	FIELD(zcp_context_info, uid, ZCP_NL_A_CONTEXT_UID),
	FIELD(zcp_context_info, pid, ZCP_NL_A_CONTEXT_PID),
	STRING(zcp_context_info, comm, ZCP_NL_A_CONTEXT_COMM),
	FIELD(zcp_context_info, nr_links, ZCP_NL_A_CONTEXT_NR_LINKS),
	FIELD(zcp_context_info, nr_jobs, ZCP_NL_A_CONTEXT_NR_JOBS),
	FIELD(zcp_context_info, nr_events, ZCP_NL_A_CONTEXT_NR_EVENTS),
	FIELD(zcp_context_info, inflight, ZCP_NL_A_CONTEXT_INFLIGHT),
	FIELD(zcp_context_info, inline_bytes, ZCP_NL_A_CONTEXT_INLINE_BYTES),
};

static const struct field stats_fields[] = {
	FIELD(zcp_stats, jobs_submitted, ZCP_NL_A_STATS_JOBS_SUBMITTED),
	FIELD(zcp_stats, jobs_done, ZCP_NL_A_STATS_JOBS_DONE),
	FIELD(zcp_stats, jobs_failed, ZCP_NL_A_STATS_JOBS_FAILED),
	FIELD(zcp_stats, jobs_cancelled, ZCP_NL_A_STATS_JOBS_CANCELLED),
	FIELD(zcp_stats, xfers, ZCP_NL_A_STATS_XFERS),
	FIELD(zcp_stats, bytes_sent, ZCP_NL_A_STATS_BYTES_SENT),
	FIELD(zcp_stats, bytes_zerocopy, ZCP_NL_A_STATS_BYTES_ZEROCOPY),
	FIELD(zcp_stats, bytes_copied, ZCP_NL_A_STATS_BYTES_COPIED),
	FIELD(zcp_stats, contexts, ZCP_NL_A_STATS_CONTEXTS),
	FIELD(zcp_stats, links, ZCP_NL_A_STATS_LINKS),
	FIELD(zcp_stats, jobs_active, ZCP_NL_A_STATS_JOBS_ACTIVE),
	FIELD(zcp_stats, workers, ZCP_NL_A_STATS_WORKERS),
	FIELD(zcp_stats, inflight, ZCP_NL_A_STATS_INFLIGHT),
	FIELD(zcp_stats, memory, ZCP_NL_A_STATS_MEMORY),
	FIELD(zcp_stats, events_lost, ZCP_NL_A_STATS_EVENTS_LOST),
};

/* The attributes of @nlh that @fields names, checked and in a table. */
static int attributes(const struct nlmsghdr *nlh, const struct field *fields, size_t count,
		      struct nlattr **attrs)
{
	struct nla_policy policy[ATTR_MAX + 1] = { 0 };

	for (size_t i = 0; i < count; i++) {
		const struct field *f = &fields[i];

		if (!f->width)
			policy[f->attr].type = NLA_STRING;
		else if (!f->binary)
			policy[f->attr].minlen = f->width;
	}
	if (!genlmsg_valid_hdr((struct nlmsghdr *)(uintptr_t)nlh, 0))
		return -EPROTO;
	if (genlmsg_parse((struct nlmsghdr *)(uintptr_t)nlh, 0, attrs, ATTR_MAX, policy))
		return -EPROTO;
	return 0;
}

static int fill(const struct nlmsghdr *nlh, const struct field *fields, size_t count, void *out)
{
	struct nlattr *attrs[ATTR_MAX + 1];
	int ret = attributes(nlh, fields, count, attrs);

	if (ret)
		return ret;
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &fields[i];
		char *member = (char *)out + f->offset;
		const struct nlattr *attr = attrs[f->attr];

		if (attr && f->width)
			nla_memcpy(member, attr, f->width);
		else if (attr)
			*(const char **)member = nla_get_string(attr);
	}
	return 0;
}

/* An attribute that comes once for each reason. */
static int fill_copied(const struct nlmsghdr *nlh, int type, uint64_t *copied)
{
	static struct nla_policy policy[ZCP_NL_A_COPIED_MAX + 1] = {
		[ZCP_NL_A_COPIED_REASON] = { .minlen = sizeof(uint32_t) },
		[ZCP_NL_A_COPIED_BYTES] = { .minlen = sizeof(uint64_t) },
	};
	struct genlmsghdr *header = nlmsg_data(nlh);
	struct nlattr *copy[ZCP_NL_A_COPIED_MAX + 1];
	struct nlattr *attr;
	uint32_t reason;
	int left;

	nla_for_each_attr(attr, genlmsg_attrdata(header, 0), genlmsg_attrlen(header, 0), left) {
		if (nla_type(attr) != type)
			continue;
		if (nla_parse_nested(copy, ZCP_NL_A_COPIED_MAX, attr, policy))
			return -EPROTO;
		if (!copy[ZCP_NL_A_COPIED_REASON] || !copy[ZCP_NL_A_COPIED_BYTES])
			return -EPROTO;
		reason = nla_get_u32(copy[ZCP_NL_A_COPIED_REASON]);
		/* One that this library has no room for is in the sum. */
		if (reason < ZCP_REASON_MAX)
			nla_memcpy(&copied[reason], copy[ZCP_NL_A_COPIED_BYTES], sizeof(*copied));
	}
	return 0;
}

int zcp_parse_job(const struct nlmsghdr *nlh, struct zcp_job_info *job)
{
	int ret;

	memset(job, 0, sizeof(*job));
	job->size = sizeof(*job);
	ret = fill(nlh, job_fields, COUNT(job_fields), job);
	return ret ? ret : fill_copied(nlh, ZCP_NL_A_JOB_COPIED, job->copied);
}

int zcp_parse_link(const struct nlmsghdr *nlh, struct zcp_link_info *link)
{
	int ret;

	memset(link, 0, sizeof(*link));
	link->size = sizeof(*link);
	ret = fill(nlh, link_fields, COUNT(link_fields), link);
	link->local_port = ntohs(link->local_port);
	link->peer_port = ntohs(link->peer_port);
	return ret;
}

int zcp_parse_context(const struct nlmsghdr *nlh, struct zcp_context_info *context)
{
	memset(context, 0, sizeof(*context));
	context->size = sizeof(*context);
	return fill(nlh, context_fields, COUNT(context_fields), context);
}

int zcp_parse_stats(const struct nlmsghdr *nlh, struct zcp_stats *stats)
{
	int ret;

	memset(stats, 0, sizeof(*stats));
	stats->size = sizeof(*stats);
	ret = fill(nlh, stats_fields, COUNT(stats_fields), stats);
	return ret ? ret : fill_copied(nlh, ZCP_NL_A_STATS_COPIED, stats->copied);
}

uint32_t zcp_parse_type(const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *header;

	if (!genlmsg_valid_hdr((struct nlmsghdr *)(uintptr_t)nlh, 0))
		return 0;
	header = nlmsg_data(nlh);
	switch (header->cmd) {
	case ZCP_NL_CMD_JOB_NEW_NTF:
		return ZCP_MONITOR_NEW;
	case ZCP_NL_CMD_JOB_PROGRESS_NTF:
		return ZCP_MONITOR_PROGRESS;
	case ZCP_NL_CMD_JOB_STAGE_NTF:
		return ZCP_MONITOR_STAGE;
	case ZCP_NL_CMD_JOB_DONE_NTF:
		return ZCP_MONITOR_DONE;
	}
	return 0;
}

const char *zcp_parse_extack(const struct nlmsghdr *nlh)
{
	static struct nla_policy policy[NLMSGERR_ATTR_MAX + 1] = {
		[NLMSGERR_ATTR_MSG] = { .type = NLA_STRING },
	};
	struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1];
	size_t at;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (nlh->nlmsg_type == NLMSG_DONE) {
		at = sizeof(int);
	} else {
		const struct nlmsgerr *err = nlmsg_data(nlh);

		if ((size_t)nlmsg_datalen(nlh) < sizeof(*err))
			return NULL;
		at = sizeof(*err);
		/* The request is in front of it, unless NETLINK_CAP_ACK was set. */
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
			if (err->msg.nlmsg_len < sizeof(err->msg))
				return NULL;
			at += NLMSG_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
		}
	}
	if ((size_t)nlmsg_datalen(nlh) <= at)
		return NULL;
	if (nla_parse(attrs, NLMSGERR_ATTR_MAX,
		      (struct nlattr *)((char *)nlmsg_data(nlh) + NLMSG_ALIGN(at)),
		      nlmsg_datalen(nlh) - (int)NLMSG_ALIGN(at), policy))
		return NULL;
	return attrs[NLMSGERR_ATTR_MSG] ? nla_get_string(attrs[NLMSGERR_ATTR_MSG]) : NULL;
}

int zcp_out(void *user, const void *out, size_t known)
{
	size_t size;

	if (!user)
		return -EINVAL;
	memcpy(&size, user, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	memset(user, 0, size);
	memcpy(user, out, size < known ? size : known);
	memcpy(user, &size, sizeof(size));
	return 0;
}
