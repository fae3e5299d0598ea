// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the netlink family, made up here, as the library's structures.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "../lib/monitor.h"
#include "tap.h"

#define FAMILY 42

static struct nl_msg *begin(int cmd)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg || !genlmsg_put(msg, 0, 0, FAMILY, 0, 0, cmd, ZCP_NL_FAMILY_VERSION))
		abort();
	return msg;
}

static void put_copied(struct nl_msg *msg, int attr, uint32_t reason, uint64_t bytes)
{
	struct nlattr *nest = nla_nest_start(msg, attr);

	nla_put_u32(msg, ZCP_NL_A_COPIED_REASON, reason);
	nla_put_u64(msg, ZCP_NL_A_COPIED_BYTES, bytes);
	nla_nest_end(msg, nest);
}

/* Every attribute has a value of its own: its number and the size of its type. */
#define VALUE32(attr) (1000u + (attr))
#define VALUE64(attr) (0x100000000ull * (attr) + 64)

static const int job32[] = {
	ZCP_NL_A_JOB_LINK,  ZCP_NL_A_JOB_STATE,	      ZCP_NL_A_JOB_MODE,
	ZCP_NL_A_JOB_ERROR, ZCP_NL_A_JOB_COMPLETE,    ZCP_NL_A_JOB_FLAGS,
	ZCP_NL_A_JOB_UID,   ZCP_NL_A_JOB_COPY_REASON, ZCP_NL_A_JOB_NR_SEGMENTS,
	ZCP_NL_A_JOB_PID,   ZCP_NL_A_JOB_SEGMENT,
};

static const int job64[] = {
	ZCP_NL_A_JOB_ID,
	ZCP_NL_A_JOB_CONTEXT,
	ZCP_NL_A_JOB_POSITION,
	ZCP_NL_A_JOB_BYTES_TOTAL,
	ZCP_NL_A_JOB_BYTES_SENT,
	ZCP_NL_A_JOB_BYTES_ACKED,
	ZCP_NL_A_JOB_BYTES_ZEROCOPY,
	ZCP_NL_A_JOB_BYTES_COPIED,
	ZCP_NL_A_JOB_BYTES_DROPPED,
	ZCP_NL_A_JOB_RATE,
	ZCP_NL_A_JOB_SUBMIT_NS,
	ZCP_NL_A_JOB_SENT_NS,
	ZCP_NL_A_JOB_ACKED_NS,
	ZCP_NL_A_JOB_END_NS,
};

static void test_job(void)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_JOB_GET);
	struct zcp_job_info j;
	int ret;

	for (size_t i = 0; i < sizeof(job32) / sizeof(job32[0]); i++)
		nla_put_u32(msg, job32[i], VALUE32(job32[i]));
	for (size_t i = 0; i < sizeof(job64) / sizeof(job64[0]); i++)
		nla_put_u64(msg, job64[i], VALUE64(job64[i]));
	nla_put_string(msg, ZCP_NL_A_JOB_COMM, "server");
	nla_put_string(msg, ZCP_NL_A_JOB_FILE, "/srv/file");
	put_copied(msg, ZCP_NL_A_JOB_COPIED, ZCP_REASON_SMALL, 7);
	put_copied(msg, ZCP_NL_A_JOB_COPIED, ZCP_REASON_NO_SG, 11);
	/* Of a module that knows more. */
	put_copied(msg, ZCP_NL_A_JOB_COPIED, 1000000, 13);
	nla_put_u32(msg, ZCP_NL_A_JOB_MAX + 5, 1);
	nla_put_u32(msg, 500, 1);
	ret = zcp_parse_job(nlmsg_hdr(msg), &j);
	ok(!ret && j.size == sizeof(j), "a job is taken");
	ok(j.link == VALUE32(ZCP_NL_A_JOB_LINK) && j.state == VALUE32(ZCP_NL_A_JOB_STATE) &&
		   j.mode == VALUE32(ZCP_NL_A_JOB_MODE) &&
		   j.complete == VALUE32(ZCP_NL_A_JOB_COMPLETE) &&
		   j.flags == VALUE32(ZCP_NL_A_JOB_FLAGS) &&
		   j.error == VALUE32(ZCP_NL_A_JOB_ERROR) &&
		   j.copy_reason == VALUE32(ZCP_NL_A_JOB_COPY_REASON) &&
		   j.nr_segments == VALUE32(ZCP_NL_A_JOB_NR_SEGMENTS) &&
		   j.segment == VALUE32(ZCP_NL_A_JOB_SEGMENT) &&
		   j.uid == VALUE32(ZCP_NL_A_JOB_UID) && j.pid == VALUE32(ZCP_NL_A_JOB_PID),
	   "its small numbers");
	ok(j.job == VALUE64(ZCP_NL_A_JOB_ID) && j.context == VALUE64(ZCP_NL_A_JOB_CONTEXT) &&
		   j.position == VALUE64(ZCP_NL_A_JOB_POSITION) &&
		   j.bytes_total == VALUE64(ZCP_NL_A_JOB_BYTES_TOTAL) &&
		   j.bytes_sent == VALUE64(ZCP_NL_A_JOB_BYTES_SENT) &&
		   j.bytes_acked == VALUE64(ZCP_NL_A_JOB_BYTES_ACKED) &&
		   j.bytes_zerocopy == VALUE64(ZCP_NL_A_JOB_BYTES_ZEROCOPY) &&
		   j.bytes_copied == VALUE64(ZCP_NL_A_JOB_BYTES_COPIED) &&
		   j.bytes_dropped == VALUE64(ZCP_NL_A_JOB_BYTES_DROPPED) &&
		   j.rate == VALUE64(ZCP_NL_A_JOB_RATE),
	   "its large numbers");
	ok(j.submit_ns == VALUE64(ZCP_NL_A_JOB_SUBMIT_NS) &&
		   j.sent_ns == VALUE64(ZCP_NL_A_JOB_SENT_NS) &&
		   j.acked_ns == VALUE64(ZCP_NL_A_JOB_ACKED_NS) &&
		   j.end_ns == VALUE64(ZCP_NL_A_JOB_END_NS),
	   "its times");
	ok(!strcmp(j.comm, "server") && !strcmp(j.file, "/srv/file"), "its strings");
	ok(j.copied[ZCP_REASON_SMALL] == 7 && j.copied[ZCP_REASON_NO_SG] == 11 &&
		   !j.copied[ZCP_REASON_ASKED],
	   "what was copied, by reason; a reason that is too new is left out");
	nlmsg_free(msg);
}

static void test_nothing(void)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_JOB_DONE_NTF);
	struct zcp_job_info j;

	memset(&j, 0xff, sizeof(j));
	ok(!zcp_parse_job(nlmsg_hdr(msg), &j) && !j.job && !j.comm && !j.file && !j.copied[3] &&
		   j.size == sizeof(j),
	   "what is not told is 0");
	nlmsg_free(msg);
}

/* One wrong attribute in a message: its parsing must fail. */
static int refused(int attr, const void *data, int len)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_JOB_GET);
	struct zcp_job_info j;
	int ret;

	nla_put_u64(msg, ZCP_NL_A_JOB_ID, 1);
	nla_put(msg, attr, len, data);
	ret = zcp_parse_job(nlmsg_hdr(msg), &j);
	nlmsg_free(msg);
	return ret == -EPROTO;
}

static void test_nonsense(void)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_JOB_GET);
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct zcp_job_info j;

	ok(refused(ZCP_NL_A_JOB_CONTEXT, "1234", 4) && refused(ZCP_NL_A_JOB_STATE, "12", 2),
	   "a number that is too short");
	ok(refused(ZCP_NL_A_JOB_COMM, "abc", 3) && refused(ZCP_NL_A_JOB_FILE, "", 0),
	   "a string without an end");
	ok(refused(ZCP_NL_A_JOB_COPIED, "", 0), "a reason without bytes");
	nlh->nlmsg_len = NLMSG_HDRLEN;
	ok(zcp_parse_job(nlh, &j) == -EPROTO && !zcp_parse_type(nlh),
	   "a message without a command");
	nlmsg_free(msg);
}

static void test_link(void)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_LINK_GET);
	struct zcp_link_info l;
	struct in_addr v4 = { htonl(0x0a4d0001) };
	struct in6_addr v6 = IN6ADDR_LOOPBACK_INIT;

	nla_put_u32(msg, ZCP_NL_A_LINK_ID, 3);
	nla_put_u64(msg, ZCP_NL_A_LINK_CONTEXT, 0x500000001);
	nla_put_u32(msg, ZCP_NL_A_LINK_FAMILY, AF_INET);
	nla_put(msg, ZCP_NL_A_LINK_LOCAL_ADDR, sizeof(v4), &v4);
	nla_put_u16(msg, ZCP_NL_A_LINK_LOCAL_PORT, htons(1234));
	nla_put(msg, ZCP_NL_A_LINK_PEER_ADDR, sizeof(v6), &v6);
	nla_put_u16(msg, ZCP_NL_A_LINK_PEER_PORT, htons(7000));
	nla_put_string(msg, ZCP_NL_A_LINK_IFNAME, "eth0");
	nla_put_u32(msg, ZCP_NL_A_LINK_RTT, 250);
	nla_put_u32(msg, ZCP_NL_A_LINK_QUEUE, 65536);
	nla_put_u64(msg, ZCP_NL_A_LINK_INFLIGHT, 1ull << 40);
	ok(!zcp_parse_link(nlmsg_hdr(msg), &l) && l.link == 3 && l.context == 0x500000001 &&
		   l.family == AF_INET && l.rtt_us == 250 && l.queue_bytes == 65536 &&
		   l.inflight == 1ull << 40 && !l.cwnd && !strcmp(l.ifname, "eth0"),
	   "a link");
	ok(l.local_port == 1234 && l.peer_port == 7000 && !memcmp(l.local_addr, &v4, 4) &&
		   !l.local_addr[4] && !memcmp(l.peer_addr, &v6, 16),
	   "its addresses");
	nlmsg_free(msg);
}

static void test_context(void)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_CONTEXT_GET);
	struct zcp_context_info c;

	nla_put_u64(msg, ZCP_NL_A_CONTEXT_ID, 9);
	nla_put_u32(msg, ZCP_NL_A_CONTEXT_UID, 1000);
	nla_put_u32(msg, ZCP_NL_A_CONTEXT_NR_EVENTS, 5);
	nla_put_u64(msg, ZCP_NL_A_CONTEXT_INLINE_BYTES, 77);
	nla_put_string(msg, ZCP_NL_A_CONTEXT_COMM, "x");
	ok(!zcp_parse_context(nlmsg_hdr(msg), &c) && c.context == 9 && c.uid == 1000 &&
		   c.nr_events == 5 && c.inline_bytes == 77 && !strcmp(c.comm, "x") && !c.pid,
	   "a context");
	nlmsg_free(msg);
}

static void test_stats(void)
{
	struct nl_msg *msg = begin(ZCP_NL_CMD_STATS_GET);
	struct zcp_stats s;

	nla_put_u64(msg, ZCP_NL_A_STATS_JOBS_SUBMITTED, 100);
	nla_put_u64(msg, ZCP_NL_A_STATS_BYTES_SENT, 1ull << 50);
	put_copied(msg, ZCP_NL_A_STATS_COPIED, ZCP_REASON_INLINE, 12);
	nla_put_u32(msg, ZCP_NL_A_STATS_WORKERS, 2);
	nla_put_u64(msg, ZCP_NL_A_STATS_EVENTS_LOST, 1);
	ok(!zcp_parse_stats(nlmsg_hdr(msg), &s) && s.jobs_submitted == 100 &&
		   s.bytes_sent == 1ull << 50 && s.copied[ZCP_REASON_INLINE] == 12 &&
		   s.workers == 2 && s.events_lost == 1,
	   "statistics");
	nlmsg_free(msg);
}

static uint32_t type_of(int cmd)
{
	struct nl_msg *msg = begin(cmd);
	uint32_t type = zcp_parse_type(nlmsg_hdr(msg));

	nlmsg_free(msg);
	return type;
}

static void test_types(void)
{
	ok(type_of(ZCP_NL_CMD_JOB_NEW_NTF) == ZCP_MONITOR_NEW &&
		   type_of(ZCP_NL_CMD_JOB_PROGRESS_NTF) == ZCP_MONITOR_PROGRESS &&
		   type_of(ZCP_NL_CMD_JOB_STAGE_NTF) == ZCP_MONITOR_STAGE &&
		   type_of(ZCP_NL_CMD_JOB_DONE_NTF) == ZCP_MONITOR_DONE,
	   "types of events");
	ok(!type_of(ZCP_NL_CMD_JOB_GET) && !type_of(200), "what is no event");
}

/* An acknowledgment as the kernel makes it, with a request of @extra bytes in it. */
static struct nl_msg *ack(int flags, int extra, const char *text)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlmsghdr *nlh = nlmsg_put(msg, 0, 0, NLMSG_ERROR, 0, flags);
	struct nlmsgerr *err = nlmsg_reserve(msg, sizeof(*err) + extra, NLMSG_ALIGNTO);

	err->error = -EPERM;
	err->msg.nlmsg_len = sizeof(err->msg) + extra;
	if (text)
		nla_put_string(msg, NLMSGERR_ATTR_MSG, text);
	return nlh ? msg : NULL;
}

static int says(struct nl_msg *msg, const char *want)
{
	const char *text = zcp_parse_extack(nlmsg_hdr(msg));
	int same = want ? text && !strcmp(text, want) : !text;

	nlmsg_free(msg);
	return same;
}

static void test_extack(void)
{
	struct nl_msg *msg;
	int error = -EPERM;

	ok(says(ack(NLM_F_ACK_TLVS, 20, "not yours"), "not yours"), "the kernel's sentence");
	ok(says(ack(NLM_F_ACK_TLVS | NLM_F_CAPPED, 0, "not yours"), "not yours"),
	   "without the request");
	ok(says(ack(0, 20, NULL), NULL) && says(ack(NLM_F_ACK_TLVS, 20, NULL), NULL),
	   "no sentence");
	msg = ack(NLM_F_ACK_TLVS, 20, "x");
	((struct nlmsgerr *)nlmsg_data(nlmsg_hdr(msg)))->msg.nlmsg_len = 0xfffffff0;
	ok(says(msg, NULL), "a request longer than its answer");
	msg = nlmsg_alloc();
	nlmsg_put(msg, 0, 0, NLMSG_DONE, 0, NLM_F_MULTI | NLM_F_ACK_TLVS);
	nlmsg_append(msg, &error, sizeof(error), NLMSG_ALIGNTO);
	nla_put_string(msg, NLMSGERR_ATTR_MSG, "no such link");
	ok(says(msg, "no such link"), "at the end of a dump");
}

static void test_out(void)
{
	struct zcp_monitor_event e = { .size = sizeof(e), .type = 3, .overruns = 5 };
	struct {
		struct zcp_monitor_event event;
		uint64_t more;
	} newer = { .event.size = sizeof(newer), .more = 1 };
	struct zcp_monitor_event older = { .size = offsetof(struct zcp_monitor_event, time_ns),
					   .overruns = 77 };
	size_t none = 1;

	ok(!zcp_out(&newer, &e, sizeof(e)) && newer.event.overruns == 5 && !newer.more &&
		   newer.event.size == sizeof(newer),
	   "a caller that knows more gets zeros");
	ok(!zcp_out(&older, &e, sizeof(e)) && older.type == 3 && older.overruns == 77,
	   "of a caller that knows less nothing is overwritten");
	ok(zcp_out(&none, &e, sizeof(e)) == -EINVAL && zcp_out(NULL, &e, sizeof(e)) == -EINVAL,
	   "no size, no structure");
}

int main(void)
{
	test_job();
	test_nothing();
	test_nonsense();
	test_link();
	test_context();
	test_stats();
	test_types();
	test_extack();
	test_out();
	return tap_end();
}
