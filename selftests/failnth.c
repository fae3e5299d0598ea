// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail the Nth: each call that succeeds is replayed with its first, second, ...
 * allocation or user copy failing, until none is left that fails. Whatever
 * fails: the error is one that is documented, what was accepted yields its one
 * event, and nothing is left behind. Jobs and transfers are in failjobs.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "zcp_fault.h"

#define LEN	(64 * ZT_KIB + 77)

static int file;

FIXTURE(failnth) {
	struct zf_bed bed;
};

FIXTURE_SETUP(failnth)
{
	const char *lacks = zf_open(&self->bed);

	if (lacks)
		SKIP(return, "%s", lacks);
	file = zt_file(&self->bed.box, 1, LEN);
}

FIXTURE_TEARDOWN(failnth)
{
	if (self->bed.fail >= 0)
		close(file);
	EXPECT_EQ(0, zf_close(&self->bed));
}

static bool open_once(struct zf_bed *bed, const void *arg)
{
	bool hit;
	int ctx;

	zf_arm(bed);
	ctx = open(ZT_DEV, O_RDWR | O_CLOEXEC);
	hit = zf_disarm(bed, ctx < 0);
	if (ctx >= 0)
		close(ctx);
	else if (errno != ENOMEM && errno != EFAULT)
		zt_die("fault %u: errno %d", bed->nth, errno);
	return hit;
}

TEST_F_TIMEOUT(failnth, open, ZF_TIMEOUT)
{
	zf_replay(&self->bed, open_once, NULL);
}

static bool info_once(struct zf_bed *bed, const void *arg)
{
	struct zcp_info info = { .size = sizeof(info) };
	int ctx = zt_open(O_CLOEXEC);
	bool hit;
	int ret = zf_ioctl(bed, ctx, ZCP_IOC_INFO, &info, &hit);

	zt_need(ret || info.max_jobs);
	close(ctx);
	return hit;
}

TEST_F_TIMEOUT(failnth, info, ZF_TIMEOUT)
{
	zf_replay(&self->bed, info_once, NULL);
}

static bool link_once(struct zf_bed *bed, const void *arg)
{
	struct zf_line line;
	struct zcp_link req;
	bool hit;
	int ret;

	zf_line_open(&line);
	req = (struct zcp_link) { .size = sizeof(req), .fd = line.conn.tx };
	ret = zf_ioctl(bed, line.ctx, ZCP_IOC_LINK, &req, &hit);
	/* One that failed holds the socket no longer; one that did not does. */
	if (ret)
		req.link = zt_link(line.ctx, line.conn.tx);
	zt_need(!zt_unlink(line.ctx, req.link, NULL));
	zf_line_close(&line);
	zt_sink_free(&line.sink);
	return hit;
}

TEST_F_TIMEOUT(failnth, link, ZF_TIMEOUT)
{
	zf_replay(&self->bed, link_once, NULL);
}

/* A job that blocks is ended by a call; @arg is the command. */
static bool end_once(struct zf_bed *bed, const void *arg)
{
	unsigned long cmd = *(const unsigned long *)arg;
	struct zcp_unlink unlink = { .size = sizeof(unlink) };
	struct zcp_cancel cancel = { .size = sizeof(cancel) };
	struct zcp_segment seg = zt_range(file, 0, LEN);
	struct zcp_segment segs[32];
	struct zcp_status status;
	struct zcp_event event;
	struct zt_conn conn;
	struct zcp_job job;
	unsigned int i;
	uint64_t id;
	bool hit;
	int ctx, ret;

	ctx = zt_open(O_NONBLOCK | O_CLOEXEC);
	zt_connect_blocking(&conn);
	unlink.link = zt_link(ctx, conn.tx);
	for (i = 0; i < 32; i++)
		segs[i] = seg;
	job = zt_job(unlink.link, segs, 32);
	id = zt_submit(ctx, &job);
	cancel.job = id;
	zt_wait_state(ctx, id, ZCP_STATE_BLOCKED);
	if (cmd == ZCP_IOC_UNLINK) {
		ret = zf_ioctl(bed, ctx, cmd, &unlink, &hit);
		/* It has ended it, or has not begun. */
		ret = zt_unlink(ctx, unlink.link, NULL);
		zt_need(!ret || ret == -ENOENT);
	} else if (cmd == ZCP_IOC_CANCEL) {
		ret = zf_ioctl(bed, ctx, cmd, &cancel, &hit);
		zt_need(!zt_cancel(ctx, id, &cancel));
		zt_need(cancel.state == ZCP_STATE_CANCELLED);
	} else {
		memset(&status, 0, sizeof(status));
		status.size = sizeof(status);
		status.job = id;
		ret = zf_ioctl(bed, ctx, ZCP_IOC_STATUS, &status, &hit);
		zt_need(ret || status.bytes_total == 32 * LEN);
		zt_need(!zt_cancel(ctx, id, &cancel));
	}
	zt_event(ctx, &event);
	zt_need(event.job == id && event.state == ZCP_STATE_CANCELLED);
	zt_need(!zt_jobs(ctx) && !zt_readable(ctx, 0));
	close(ctx);
	zt_close(&conn);
	return hit;
}

TEST_F_TIMEOUT(failnth, unlink, ZF_TIMEOUT)
{
	unsigned long cmd = ZCP_IOC_UNLINK;

	zf_replay(&self->bed, end_once, &cmd);
}

TEST_F_TIMEOUT(failnth, cancel, ZF_TIMEOUT)
{
	unsigned long cmd = ZCP_IOC_CANCEL;

	zf_replay(&self->bed, end_once, &cmd);
}

TEST_F_TIMEOUT(failnth, status, ZF_TIMEOUT)
{
	unsigned long cmd = ZCP_IOC_STATUS;

	zf_replay(&self->bed, end_once, &cmd);
}

/* close(2) of a context in whose job the connection is stuck. */
static bool close_once(struct zf_bed *bed, const void *arg)
{
	struct zcp_segment segs[32];
	struct zt_conn conn;
	struct zcp_job job;
	unsigned int i;
	bool hit;
	int ctx, ret;

	ctx = zt_open(O_NONBLOCK | O_CLOEXEC);
	zt_connect_blocking(&conn);
	for (i = 0; i < 32; i++)
		segs[i] = zt_range(file, 0, LEN);
	job = zt_job(zt_link(ctx, conn.tx), segs, 32);
	zt_wait_state(ctx, zt_submit(ctx, &job), ZCP_STATE_BLOCKED);
	zf_arm(bed);
	ret = close(ctx);
	hit = zf_disarm(bed, ret < 0);
	zt_need(!ret);
	zt_close(&conn);
	return hit;
}

TEST_F_TIMEOUT(failnth, close, ZF_TIMEOUT)
{
	zf_replay(&self->bed, close_once, NULL);
}

static bool read_once(struct zf_bed *bed, const void *arg)
{
	struct zcp_event events[ZF_JOBS + 1];
	unsigned int i, got = 0;
	struct zf_line line;
	uint32_t link;
	bool hit;
	ssize_t n;

	zf_line_open(&line);
	link = zt_link(line.ctx, line.conn.tx);
	for (i = 0; i < ZF_JOBS; i++) {
		struct zcp_segment seg = zt_range(file, 0, LEN);
		struct zcp_job job = zt_job(link, &seg, 1);

		job.user_data = i;
		zt_wait_state(line.ctx, zt_submit(line.ctx, &job), ZCP_STATE_DONE);
	}
	zf_arm(bed);
	n = read(line.ctx, events, sizeof(events));
	hit = zf_disarm(bed, n < 0);
	zt_need(n > 0 || errno == EFAULT);
	/* What could not be read is still there, and in order. */
	for (;;) {
		for (i = 0; n > 0 && i < n / sizeof(events[0]); i++)
			zt_need(events[i].user_data == got++);
		if (got == ZF_JOBS)
			break;
		n = read(line.ctx, events, sizeof(events));
		zt_need(n > 0);
	}
	zt_need(!zt_jobs(line.ctx) && !zt_readable(line.ctx, 0));
	zf_line_close(&line);
	zt_sink_free(&line.sink);
	return hit;
}

TEST_F_TIMEOUT(failnth, read, ZF_TIMEOUT)
{
	zf_replay(&self->bed, read_once, NULL);
}

/**
 * struct ask - A request to the netlink family
 * @cmd: Its command.
 * @flags: NLM_F_DUMP, or 0.
 * @job: It names the job.
 * @replies: What it gets of what there is: one of each, two contexts.
 */
struct ask {
	uint8_t cmd;
	int flags;
	bool job;
	unsigned int replies;
};

/* Waits for the end of the answer to @seq; 0 or -errno. */
static int take_answer(int fd, uint32_t seq, unsigned int *replies)
{
	static char buf[64 * 1024] __attribute__((aligned(8)));
	struct timeval patience = { .tv_sec = ZT_PATIENCE };
	int error;

	zt_need(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	for (;;) {
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;
		int len = recv(fd, buf, sizeof(buf), 0);

		if (len < 0)
			return -errno;
		for (; nlmsg_ok(hdr, len); hdr = nlmsg_next(hdr, &len)) {
			zt_need(hdr->nlmsg_seq == seq);
			if (hdr->nlmsg_type == NLMSG_ERROR || hdr->nlmsg_type == NLMSG_DONE) {
				memcpy(&error, nlmsg_data(hdr), sizeof(error));
				return error;
			}
			++*replies;
		}
	}
}

static bool ask_once(struct zf_bed *bed, const void *arg)
{
	const struct ask *ask = arg;
	struct zcp_cancel cancel;
	struct zcp_event event;
	unsigned int replies = 0;
	struct nlmsghdr *hdr;
	struct nl_msg *msg;
	struct zf_line line;
	struct zn_sock nl;
	uint32_t link;
	uint64_t id;
	int ret = 0;
	bool hit;

	zf_line_open(&line);
	link = zt_link(line.ctx, line.conn.tx);
	id = zt_submit_range(line.ctx, link, file, 0, LEN);
	zn_open(&nl);
	msg = zn_new(&nl, ask->cmd, ask->flags);
	if (ask->job)
		zt_need(!nla_put_u64(msg, ZCP_NL_A_JOB_ID, id));
	nl_complete_msg(nl.sk, msg);
	hdr = nlmsg_hdr(msg);
	zf_arm(bed);
	if (send(nl_socket_get_fd(nl.sk), hdr, hdr->nlmsg_len, 0) < 0)
		ret = -errno;
	hit = zf_disarm(bed, ret);
	if (!ret) {
		ret = take_answer(nl_socket_get_fd(nl.sk), hdr->nlmsg_seq, &replies);
		bed->refused += !!ret;
	}
	if (ret && (!hit || (ret != -ENOMEM && ret != -ENOBUFS && ret != -EFAULT)))
		zt_die("fault %u: errno %d", bed->nth, -ret);
	zt_need(ret || replies == ask->replies);
	nlmsg_free(msg);
	zn_close(&nl);
	zt_need(!zt_cancel(line.ctx, id, &cancel));
	zt_event(line.ctx, &event);
	zt_need(event.job == id && !zt_jobs(line.ctx) && !zt_readable(line.ctx, 0));
	zf_line_close(&line);
	zt_need(line.sink.len == event.bytes_sent);
	zt_sink_free(&line.sink);
	return hit;
}

TEST_F_TIMEOUT(failnth, netlink_job, ZF_TIMEOUT)
{
	struct ask ask = { ZCP_NL_CMD_JOB_GET, 0, true, 1 };

	zf_replay(&self->bed, ask_once, &ask);
}

TEST_F_TIMEOUT(failnth, netlink_jobs, ZF_TIMEOUT)
{
	struct ask ask = { ZCP_NL_CMD_JOB_GET, NLM_F_DUMP, false, 1 };

	zf_replay(&self->bed, ask_once, &ask);
}

TEST_F_TIMEOUT(failnth, netlink_links, ZF_TIMEOUT)
{
	struct ask ask = { ZCP_NL_CMD_LINK_GET, NLM_F_DUMP, false, 1 };

	zf_replay(&self->bed, ask_once, &ask);
}

TEST_F_TIMEOUT(failnth, netlink_contexts, ZF_TIMEOUT)
{
	struct ask ask = { ZCP_NL_CMD_CONTEXT_GET, NLM_F_DUMP, false, 2 };

	zf_replay(&self->bed, ask_once, &ask);
}

TEST_F_TIMEOUT(failnth, netlink_stats, ZF_TIMEOUT)
{
	struct ask ask = { ZCP_NL_CMD_STATS_GET, 0, false, 1 };

	zf_replay(&self->bed, ask_once, &ask);
}

TEST_F_TIMEOUT(failnth, netlink_cancel, ZF_TIMEOUT)
{
	struct ask ask = { ZCP_NL_CMD_JOB_CANCEL, 0, true, 1 };

	zf_replay(&self->bed, ask_once, &ask);
}

/*
 * The module is loaded, failing what it does at that: of the rest of loading some
 * things warn when they fail. It comes to lie where it was, or not far from there.
 */
#define NEAR	(64 * ZT_MIB)

FIXTURE(load) {
	struct zf_bed bed;
};

FIXTURE_SETUP(load)
{
	const char *lacks = zf_prepare(&self->bed);

	if (lacks)
		SKIP(return, "%s", lacks);
}

FIXTURE_TEARDOWN(load)
{
	if (self->bed.fail >= 0)
		close(self->bed.fail);
	zf_below(0, -1UL);
}

static bool load_once(struct zf_bed *bed, const void *arg)
{
	int ko = *(const int *)arg, ret;
	bool hit;

	zt_need(!syscall(SYS_delete_module, "zcp", O_NONBLOCK));
	zf_arm(bed);
	ret = syscall(SYS_finit_module, ko, "", 0);
	hit = zf_disarm(bed, ret < 0);
	if (ret) {
		int error = errno;

		/* The tests that come need it in any case. */
		zt_need(!syscall(SYS_finit_module, ko, "", 0));
		if (error != ENOMEM)
			zt_die("fault %u: errno %d", bed->nth, error);
	}
	return hit;
}

TEST_F_TIMEOUT(load, module, ZF_TIMEOUT)
{
	const char *name = getenv("ZCP_KO");
	unsigned long start, end;
	int ko;

	if (self->bed.fail < 0)
		return;
	if (!name)
		SKIP(return, "needs ZCP_KO, the module's file");
	if (!zf_code(&start, &end) || !zf_below(start - NEAR, end + NEAR))
		SKIP(return, "needs CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");
	ko = open(name, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(ko, 0);
	ASSERT_EQ(0, zt_refs());
	zf_replay(&self->bed, load_once, &ko);
	TH_LOG("%u times something failed, %u times loading did", self->bed.hits,
	       self->bed.refused);
	EXPECT_GT(self->bed.refused, 5);
	EXPECT_EQ(0, zt_refs());
	close(ko);
}

TEST_HARNESS_MAIN
