// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Requests of a monitor: one object, all of a kind, and cancelling.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>

#include "monitor.h"

/* How often a dump is begun again that changed while it was made. */
#define DUMP_TRIES 16

/**
 * struct zcp_snapshot - The messages of a dump
 * @cmd: What was dumped: enum zcp_nl_cmd.
 * @count: How many there are.
 * @room: How many fit into @messages.
 * @messages: The messages.
 */
struct zcp_snapshot {
	int cmd;
	size_t count;
	size_t room;
	struct nl_msg **messages;
};

/**
 * struct reply - What came back for a request
 * @monitor: Whose it was.
 * @snapshot: The messages.
 * @seq: The request's number, which they have too.
 * @error: What the kernel, or taking its messages, failed with.
 * @done: The kernel has said all.
 */
struct reply {
	struct zcp_monitor *monitor;
	struct zcp_snapshot *snapshot;
	uint32_t seq;
	int error;
	bool done;
};

static void drop(struct zcp_snapshot *s)
{
	for (size_t i = 0; i < s->count; i++)
		nlmsg_free(s->messages[i]);
	s->count = 0;
}

static int keep(struct zcp_snapshot *s, struct nl_msg *msg)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		struct nl_msg **more = reallocarray(s->messages, room, sizeof(struct nl_msg *));

		if (!more)
			return -ENOMEM;
		s->messages = more;
		s->room = room;
	}
	nlmsg_get(msg);
	s->messages[s->count++] = msg;
	return 0;
}

/* libnl's own check fails for ever when one request has got no answer. */
static int on_seq(struct nl_msg *msg, void *arg)
{
	const struct reply *reply = arg;

	return nlmsg_hdr(msg)->nlmsg_seq == reply->seq ? NL_OK : NL_SKIP;
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	if (!reply->error)
		reply->error = keep(reply->snapshot, msg);
	return NL_OK;
}

static void refused(struct reply *reply, const struct nlmsghdr *nlh, int error)
{
	reply->error = zcp_monitor_problem(reply->monitor, abs(error), zcp_parse_extack(nlh));
	reply->done = true;
}

/* The end of a dump may bring its error. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct reply *reply = arg;
	int error = 0;

	if (nlmsg_datalen(nlh) >= (int)sizeof(error))
		memcpy(&error, nlmsg_data(nlh), sizeof(error));
	if (error < 0)
		refused(reply, nlh, error);
	reply->done = true;
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct reply *reply = arg;

	(void)msg;
	reply->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *err, void *arg)
{
	(void)from;
	refused(arg, (const struct nlmsghdr *)err - 1, err->error);
	return NL_STOP;
}

_Static_assert(sizeof(struct nlmsghdr) == NLMSG_HDRLEN, "an error is right behind its header");

/* What is left of an answer that was given up must not be taken for the next one. */
static void drain(struct zcp_monitor *m)
{
	char rest[64];

	while (recv(nl_socket_get_fd(m->requests), rest, sizeof(rest), MSG_DONTWAIT) >= 0 ||
	       errno == ENOBUFS)
		;
}

/* Until the kernel has said all: 0, and its word is in the reply; or -errno. */
static int exchange(struct zcp_monitor *m, struct nl_msg *msg, struct reply *reply)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);
	int ret;

	if (!cb)
		return zcp_monitor_problem(m, ENOMEM, NULL);
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_seq, reply);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, reply);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, reply);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, reply);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, reply);
	errno = 0;
	ret = nl_send_auto(m->requests, msg);
	reply->seq = nlmsg_hdr(msg)->nlmsg_seq;
	while (ret >= 0 && !reply->done) {
		errno = 0;
		ret = nl_recvmsgs(m->requests, cb);
	}
	nl_cb_put(cb);
	if (ret == -NLE_DUMP_INTR)
		return zcp_monitor_problem(m, EAGAIN, "what was listed changed all the time");
	/* A refusal makes libnl fail as well, with less to say about it. */
	if (ret < 0 && !reply->done) {
		ret = zcp_monitor_problem(m, errno ? errno : -zcp_nl_errno(ret), NULL);
		drain(m);
		return ret;
	}
	return 0;
}

/* The family's id in the controller's answer, or -errno. */
static int family_id(const struct zcp_snapshot *s)
{
	struct nlmsghdr *nlh = s->count ? nlmsg_hdr(s->messages[0]) : NULL;
	struct nlattr *id = NULL;

	if (nlh && genlmsg_valid_hdr(nlh, 0))
		id = nlmsg_find_attr(nlh, GENL_HDRLEN, CTRL_ATTR_FAMILY_ID);
	return id && nla_len(id) >= 2 ? nla_get_u16(id) : -EPROTO;
}

/* Not by libnl, of whose versions some take every failure for a family that is not there. */
int zcp_monitor_lookup(struct zcp_monitor *monitor)
{
	struct zcp_snapshot s = { 0 };
	struct reply reply = { .monitor = monitor, .snapshot = &s };
	struct nl_msg *msg = nlmsg_alloc();
	char told[MONITOR_ERROR_MAX];
	int ret = -ENOMEM;

	memcpy(told, monitor->error, sizeof(told));
	if (msg &&
	    genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, GENL_ID_CTRL, 0, 0, CTRL_CMD_GETFAMILY,
			1) &&
	    !nla_put_string(msg, CTRL_ATTR_FAMILY_NAME, ZCP_NL_FAMILY_NAME))
		ret = exchange(monitor, msg, &reply);
	nlmsg_free(msg);
	if (!ret && reply.error)
		ret = reply.error == -ENOENT ? 0 : reply.error;
	else if (!ret)
		ret = family_id(&s);
	drop(&s);
	free(s.messages);
	memcpy(monitor->error, told, sizeof(told));
	return ret;
}

bool zcp_monitor_gone(struct zcp_monitor *monitor)
{
	int family = zcp_monitor_lookup(monitor);

	return family >= 0 && family != monitor->family;
}

static int converse(struct zcp_monitor *m, struct nl_msg *msg, struct zcp_snapshot *s)
{
	struct reply reply = { .monitor = m, .snapshot = s };
	int ret;

	ret = exchange(m, msg, &reply);
	if (ret)
		return ret;
	if (reply.error == -ENOENT && zcp_monitor_gone(m))
		return zcp_monitor_unloaded(m);
	if (reply.error && !m->error[0])
		zcp_monitor_problem(m, -reply.error, NULL);
	return reply.error;
}

/* A new request of the family; @flags are NLM_F_DUMP or 0. */
static struct nl_msg *request(struct zcp_monitor *m, int cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	m->error[0] = '\0';
	if (msg && !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, m->family, 0, flags, cmd,
				ZCP_NL_FAMILY_VERSION)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	if (!msg)
		zcp_monitor_problem(m, ENOMEM, NULL);
	return msg;
}

/* Sends a dump's request, and frees it. */
static int dump(struct zcp_monitor *m, struct nl_msg *msg, int cmd, struct zcp_snapshot **snapshot)
{
	struct zcp_snapshot *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		nlmsg_free(msg);
		return zcp_monitor_problem(m, ENOMEM, NULL);
	}
	s->cmd = cmd;
	for (int try = 0; try < DUMP_TRIES; try++) {
		nlmsg_hdr(msg)->nlmsg_seq = NL_AUTO_SEQ;
		drop(s);
		m->error[0] = '\0';
		ret = converse(m, msg, s);
		if (ret != -EAGAIN)
			break;
	}
	nlmsg_free(msg);
	if (ret)
		zcp_snapshot_free(s);
	else
		*snapshot = s;
	return ret;
}

/* Sends a request for one object, and frees it: the reply, or NULL. */
static int one(struct zcp_monitor *m, struct nl_msg *msg, struct nl_msg **answer)
{
	struct zcp_snapshot s = { 0 };
	int ret = converse(m, msg, &s);

	nlmsg_free(msg);
	if (!ret && s.count != 1)
		ret = zcp_monitor_problem(m, EPROTO, "the kernel gave no answer");
	if (!ret) {
		nlmsg_get(s.messages[0]);
		*answer = s.messages[0];
	}
	drop(&s);
	free(s.messages);
	return ret;
}

static int nonsense(struct zcp_monitor *m)
{
	return zcp_monitor_problem(m, EPROTO, "the kernel's answer makes no sense");
}

static int put_filter(struct nl_msg *msg, const struct zcp_job_filter *f)
{
	int ret = 0;

	if (f->fields & ZCP_FILTER_CONTEXT)
		ret |= nla_put_u64(msg, ZCP_NL_A_JOB_CONTEXT, f->context);
	if (f->fields & ZCP_FILTER_LINK)
		ret |= nla_put_u32(msg, ZCP_NL_A_JOB_LINK, f->link);
	if (f->fields & ZCP_FILTER_STATE)
		ret |= nla_put_u32(msg, ZCP_NL_A_JOB_STATE, f->state);
	if (f->fields & ZCP_FILTER_UID)
		ret |= nla_put_u32(msg, ZCP_NL_A_JOB_UID, f->uid);
	return ret;
}

int zcp_monitor_jobs(struct zcp_monitor *monitor, const struct zcp_job_filter *filter,
		     struct zcp_snapshot **snapshot)
{
	struct zcp_job_filter f;
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor || !snapshot)
		return -EINVAL;
	*snapshot = NULL;
	ret = zcp_opts_get(&f, sizeof(f), filter);
	if (ret)
		return zcp_monitor_problem(monitor, -ret, "the filter's size is wrong");
	if (f.fields & ~(ZCP_FILTER_CONTEXT | ZCP_FILTER_LINK | ZCP_FILTER_STATE | ZCP_FILTER_UID))
		return zcp_monitor_problem(monitor, EOPNOTSUPP, "no such field to filter by");
	msg = request(monitor, ZCP_NL_CMD_JOB_GET, NLM_F_DUMP);
	if (!msg)
		return -ENOMEM;
	put_filter(msg, &f);
	ret = dump(monitor, msg, ZCP_NL_CMD_JOB_GET, snapshot);
	errno = saved;
	return ret;
}

int zcp_monitor_links(struct zcp_monitor *monitor, uint64_t context, struct zcp_snapshot **snapshot)
{
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor || !snapshot)
		return -EINVAL;
	*snapshot = NULL;
	msg = request(monitor, ZCP_NL_CMD_LINK_GET, NLM_F_DUMP);
	if (!msg)
		return -ENOMEM;
	if (context)
		nla_put_u64(msg, ZCP_NL_A_LINK_CONTEXT, context);
	ret = dump(monitor, msg, ZCP_NL_CMD_LINK_GET, snapshot);
	errno = saved;
	return ret;
}

int zcp_monitor_contexts(struct zcp_monitor *monitor, struct zcp_snapshot **snapshot)
{
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor || !snapshot)
		return -EINVAL;
	*snapshot = NULL;
	msg = request(monitor, ZCP_NL_CMD_CONTEXT_GET, NLM_F_DUMP);
	if (!msg)
		return -ENOMEM;
	ret = dump(monitor, msg, ZCP_NL_CMD_CONTEXT_GET, snapshot);
	errno = saved;
	return ret;
}

size_t zcp_snapshot_count(const struct zcp_snapshot *snapshot)
{
	return snapshot ? snapshot->count : 0;
}

/* The message of an item, or why there is none. */
static int item(const struct zcp_snapshot *s, int cmd, size_t index, const struct nlmsghdr **nlh)
{
	if (!s || s->cmd != cmd)
		return -EINVAL;
	if (index >= s->count)
		return -ENOENT;
	*nlh = nlmsg_hdr(s->messages[index]);
	return 0;
}

int zcp_snapshot_job(const struct zcp_snapshot *snapshot, size_t index, struct zcp_job_info *job)
{
	const struct nlmsghdr *nlh;
	struct zcp_job_info info;
	int ret = item(snapshot, ZCP_NL_CMD_JOB_GET, index, &nlh);

	if (!ret)
		ret = zcp_parse_job(nlh, &info);
	return ret ? ret : zcp_out(job, &info, sizeof(info));
}

int zcp_snapshot_link(const struct zcp_snapshot *snapshot, size_t index, struct zcp_link_info *link)
{
	const struct nlmsghdr *nlh;
	struct zcp_link_info info;
	int ret = item(snapshot, ZCP_NL_CMD_LINK_GET, index, &nlh);

	if (!ret)
		ret = zcp_parse_link(nlh, &info);
	return ret ? ret : zcp_out(link, &info, sizeof(info));
}

int zcp_snapshot_context(const struct zcp_snapshot *snapshot, size_t index,
			 struct zcp_context_info *context)
{
	const struct nlmsghdr *nlh;
	struct zcp_context_info info;
	int ret = item(snapshot, ZCP_NL_CMD_CONTEXT_GET, index, &nlh);

	if (!ret)
		ret = zcp_parse_context(nlh, &info);
	return ret ? ret : zcp_out(context, &info, sizeof(info));
}

void zcp_snapshot_free(struct zcp_snapshot *snapshot)
{
	int saved = errno;

	if (!snapshot)
		return;
	drop(snapshot);
	free(snapshot->messages);
	free(snapshot);
	errno = saved;
}

int zcp_monitor_job(struct zcp_monitor *monitor, uint64_t id, struct zcp_job_info *job)
{
	struct zcp_job_info info;
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor || !job)
		return -EINVAL;
	nlmsg_free(monitor->job);
	monitor->job = NULL;
	msg = request(monitor, ZCP_NL_CMD_JOB_GET, 0);
	if (!msg)
		return -ENOMEM;
	nla_put_u64(msg, ZCP_NL_A_JOB_ID, id);
	ret = one(monitor, msg, &monitor->job);
	if (!ret && zcp_parse_job(nlmsg_hdr(monitor->job), &info))
		ret = nonsense(monitor);
	errno = saved;
	return ret ? ret : zcp_out(job, &info, sizeof(info));
}

int zcp_monitor_link(struct zcp_monitor *monitor, uint64_t context, uint32_t id,
		     struct zcp_link_info *link)
{
	struct zcp_link_info info;
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor || !link)
		return -EINVAL;
	nlmsg_free(monitor->link);
	monitor->link = NULL;
	msg = request(monitor, ZCP_NL_CMD_LINK_GET, 0);
	if (!msg)
		return -ENOMEM;
	nla_put_u64(msg, ZCP_NL_A_LINK_CONTEXT, context);
	nla_put_u32(msg, ZCP_NL_A_LINK_ID, id);
	ret = one(monitor, msg, &monitor->link);
	if (!ret && zcp_parse_link(nlmsg_hdr(monitor->link), &info))
		ret = nonsense(monitor);
	errno = saved;
	return ret ? ret : zcp_out(link, &info, sizeof(info));
}

int zcp_monitor_stats(struct zcp_monitor *monitor, struct zcp_stats *stats)
{
	struct nl_msg *answer = NULL;
	struct zcp_stats sums;
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor || !stats)
		return -EINVAL;
	msg = request(monitor, ZCP_NL_CMD_STATS_GET, 0);
	if (!msg)
		return -ENOMEM;
	ret = one(monitor, msg, &answer);
	if (!ret && zcp_parse_stats(nlmsg_hdr(answer), &sums))
		ret = nonsense(monitor);
	nlmsg_free(answer);
	errno = saved;
	return ret ? ret : zcp_out(stats, &sums, sizeof(sums));
}

int zcp_monitor_cancel(struct zcp_monitor *monitor, uint64_t id, struct zcp_job_info *job)
{
	struct nl_msg *answer = NULL;
	struct zcp_job_info info;
	struct nl_msg *msg;
	int saved = errno;
	int ret;

	if (!monitor)
		return -EINVAL;
	msg = request(monitor, ZCP_NL_CMD_JOB_CANCEL, 0);
	if (!msg)
		return -ENOMEM;
	nla_put_u64(msg, ZCP_NL_A_JOB_ID, id);
	ret = one(monitor, msg, &answer);
	if (!ret && zcp_parse_job(nlmsg_hdr(answer), &info))
		ret = nonsense(monitor);
	/* No string outlives the answer. */
	info.comm = NULL;
	info.file = NULL;
	nlmsg_free(answer);
	errno = saved;
	return ret || !job ? ret : zcp_out(job, &info, sizeof(info));
}
