// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fail the Nth, of jobs and transfers: each submission that succeeds is replayed
 * with its first, second, ... allocation or user copy failing, until none is left
 * that fails. Whatever fails: each accepted job yields one event, which tells the
 * truth about the bytes that have arrived, and nothing is left behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "zcp_fault.h"

#define LEN	(64 * ZT_KIB + 77)
#define ROUNDS	16	/* of what fails at random */

/* Of seed 1 in the page cache; of seed 2 on a disk, or -1. */
static int file, cold;

/**
 * struct plan - What is submitted
 * @jobs: How many jobs, each the same.
 * @segs: Segments of each: inline ones and ranges in turn.
 * @head: Bytes of an inline segment.
 * @len: Bytes of a range.
 * @cold: From the disk.
 * @to_eof: The ranges end where the file does.
 * @listen: While somebody listens to notifications.
 */
struct plan {
	unsigned int jobs, segs;
	uint32_t head, len, xfer_head;
	uint32_t mode, complete, flags, link_flags;
	uint64_t rate;
	bool cold, to_eof, listen;
};

#define PLAN_JOBS	ZF_JOBS
#define PLAN_SEGS	24

static char inlined[256 * ZT_KIB];

static size_t plan_seg(struct zf_bed *bed, const struct plan *plan, unsigned int i,
		       struct zcp_segment *seg)
{
	int from = plan->cold ? cold : file;

	if (i % 2 == 0) {
		*seg = zt_inline(inlined, plan->head);
		return plan->head;
	}
	*seg = plan->to_eof ? zt_to_eof(from, LEN - plan->len) :
			       zt_range(from, i, plan->len);
	return plan->len;
}

/* Does @len bytes at @buf begin as the job does? */
static void check_bytes(struct zf_bed *bed, const struct plan *plan, const char *buf, size_t len)
{
	unsigned int i;

	for (i = 0; i < plan->segs && len; i++) {
		struct zcp_segment seg;
		size_t n = plan_seg(bed, plan, i, &seg);

		n = n < len ? n : len;
		if (i % 2 == 0)
			zt_need(!memcmp(buf, inlined, n));
		else
			zt_need(zt_mismatch(buf, n, plan->cold ? 2 : 1, seg.addr) < 0);
		buf += n;
		len -= n;
	}
	zt_need(!len);
}

static uint64_t plan_total(struct zf_bed *bed, const struct plan *plan)
{
	struct zcp_segment seg;
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < plan->segs; i++)
		total += plan_seg(bed, plan, i, &seg);
	return total;
}

static void forget_pages(struct zf_bed *bed, const struct plan *plan)
{
	if (plan->cold)
		zt_need(!posix_fadvise(cold, 0, 0, POSIX_FADV_DONTNEED));
}

struct heard {
	unsigned int new;
	unsigned int done;
};

static void hear(const struct zn_msg *msg, void *arg)
{
	struct heard *heard = arg;

	heard->new += msg->cmd == ZCP_NL_CMD_JOB_NEW_NTF;
	heard->done += msg->cmd == ZCP_NL_CMD_JOB_DONE_NTF;
}

/* Each job is told of, or it is told that something was lost. */
static void check_heard(struct zf_bed *bed, unsigned int jobs, uint64_t lost)
{
	struct heard heard = {};
	int ret = zn_listen(&bed->nl, 50, hear, &heard);

	if (ret == -ENOBUFS) {
		while (zn_listen(&bed->nl, 50, NULL, NULL) > 0)
			;
		return;
	}
	zt_need(ret >= 0);
	if ((heard.new != jobs || heard.done != jobs) &&
	    zf_stat(bed, ZCP_NL_A_STATS_EVENTS_LOST) == lost)
		zt_die("fault %u: %u jobs, %u told as new, %u as done, none as lost",
		       bed->nth, jobs, heard.new, heard.done);
}

/* Reads the events of all jobs, and checks what has arrived. */
static void check_jobs(struct zf_bed *bed, const struct plan *plan, struct zf_line *line,
		       const uint64_t *ids, unsigned int accepted)
{
	uint64_t total = plan_total(bed, plan), sent[PLAN_JOBS], sum = 0;
	struct zcp_event event;
	bool broken = false;
	unsigned int i;

	for (i = 0; i < accepted; i++) {
		unsigned int j;

		zt_event(line->ctx, &event);
		for (j = 0; j < accepted && ids[j] != event.job; j++)
			;
		zt_need(j < accepted);
		sent[j] = event.bytes_sent;
		zt_need(event.bytes_sent <= total);
		switch (event.state) {
		case ZCP_STATE_DONE:
			zt_need(event.bytes_sent == total && !event.error);
			break;
		case ZCP_STATE_FAILED:
			if (event.error != ENOMEM && !(plan->cold && event.error == EIO))
				zt_die("fault %u: a job failed with errno %u", bed->nth,
				       event.error);
			broken = true;
			break;
		default:
			zt_need(event.state == ZCP_STATE_CANCELLED && broken);
		}
	}
	zt_need(!zt_readable(line->ctx, 0) && !zt_jobs(line->ctx));
	zf_line_close(line);
	if (!bed->nth)
		zt_need(zf_random(bed, false));
	for (i = 0; i < accepted; i++) {
		zt_need(sum + sent[i] <= line->sink.len);
		check_bytes(bed, plan, line->sink.buf + sum, sent[i]);
		sum += sent[i];
	}
	zt_need(sum == line->sink.len);
	zt_sink_free(&line->sink);
}

static bool submit_once(struct zf_bed *bed, const void *arg)
{
	const struct plan *plan = arg;
	struct zcp_segment segs[PLAN_SEGS];
	struct zcp_job jobs[PLAN_JOBS];
	uint64_t ids[PLAN_JOBS], lost = 0;
	struct zcp_submit req = {
		.size = sizeof(req),
		.jobs = (uintptr_t)jobs,
		.nr_jobs = plan->jobs,
		.job_size = sizeof(jobs[0]),
	};
	unsigned int i, accepted;
	struct zf_line line;
	uint32_t link;
	bool hit;
	int ret;

	zf_line_open(&line);
	link = zt_link_flags(line.ctx, line.conn.tx, plan->link_flags);
	forget_pages(bed, plan);
	for (i = 0; i < plan->segs; i++)
		plan_seg(bed, plan, i, &segs[i]);
	for (i = 0; i < plan->jobs; i++) {
		jobs[i] = zt_job(link, segs, plan->segs);
		jobs[i].mode = plan->mode;
		jobs[i].complete = plan->complete;
		jobs[i].flags = plan->flags;
		jobs[i].rate = plan->rate;
	}
	if (plan->listen)
		lost = zf_stat(bed, ZCP_NL_A_STATS_EVENTS_LOST);
	ret = zf_ioctl(bed, line.ctx, ZCP_IOC_SUBMIT, &req, &hit);
	/* Events are not read yet, so all that were accepted are there. */
	accepted = zt_jobs(line.ctx);
	if (ret != -EFAULT)
		zt_need(accepted == req.accepted && !ret == !!accepted);
	zt_need(hit || accepted == plan->jobs);
	/* Who was not told how many were accepted can see it by their ids. */
	for (i = 0; i < plan->jobs; i++) {
		ids[i] = jobs[i].id;
		zt_need(i < accepted ? ids[i] : ret == -EFAULT || req.error == EFAULT || !ids[i]);
	}
	check_jobs(bed, plan, &line, ids, accepted);
	if (plan->listen)
		check_heard(bed, accepted, lost);
	return hit;
}

static bool xfer_once(struct zf_bed *bed, const void *arg)
{
	const struct plan *plan = arg;
	struct zcp_xfer req = { .size = sizeof(req), .count = plan->len, .mode = plan->mode };
	struct zf_line line;
	size_t head;
	bool hit;
	int ret;

	zf_line_open(&line);
	forget_pages(bed, plan);
	req.in_fd = plan->cold ? cold : file;
	req.out_fd = line.conn.tx;
	req.header = (uintptr_t)inlined;
	req.header_len = plan->xfer_head;
	zf_arm(bed);
	ret = ioctl(line.ctx, ZCP_IOC_XFER, &req);
	hit = zf_disarm(bed, ret < 0);
	if (ret && errno != ENOMEM && errno != EFAULT && !(plan->cold && errno == EIO))
		zt_die("fault %u: errno %d", bed->nth, errno);
	/* What came is the beginning; how much, only the kernel's reply says. */
	if (ret && errno != EFAULT)
		zt_need(!req.done && !req.header_done);
	zf_line_close(&line);
	if (!ret)
		zt_need(req.header_done + req.done == line.sink.len &&
			(hit || (req.header_done == req.header_len && req.done == plan->len)));
	head = line.sink.len < req.header_len ? line.sink.len : req.header_len;
	zt_need(!memcmp(line.sink.buf, inlined, head));
	zt_need(zt_mismatch(line.sink.buf + head, line.sink.len - head, plan->cold ? 2 : 1, 0) <
		0);
	zt_sink_free(&line.sink);
	return hit;
}

/* What a plan does not say. */
static void plan_complete(struct plan *plan)
{
	plan->jobs = plan->jobs ?: 1;
	plan->segs = plan->segs ?: 3;
	plan->head = plan->head ?: 100;
	plan->len = plan->len ?: 30000;
}

/* Where plans are carried out. */
struct stage {
	struct zf_bed bed;
	struct plan plan;
	char mnt[96];
	bool mounted;
};

/* The file of seed 2; false without a disk. */
static bool get_disk(struct stage *stage)
{
	const char *dir = stage->bed.box.dir;
	char path[128];

	snprintf(stage->mnt, sizeof(stage->mnt), "%s/mnt", dir);
	stage->mounted = !zt_run("truncate -s 16M %s/image", dir) &&
			 !zt_run("mkfs.ext4 -q -F %s/image", dir) &&
			 !zt_run("cd %s && mkdir mnt && mount -o loop image mnt", dir);
	if (!stage->mounted)
		return false;
	snprintf(path, sizeof(path), "%s/file", stage->mnt);
	cold = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	zt_need(cold >= 0);
	zt_fill(cold, 2, 0, LEN);
	zt_need(!fsync(cold));
	return true;
}

static int stage_close(struct stage *stage)
{
	if (stage->bed.fail < 0)
		return 0;
	close(file);
	if (cold >= 0)
		close(cold);
	if (stage->mounted)
		zt_need(!umount(stage->mnt));
	return zf_close(&stage->bed);
}

/* NULL, or what is lacking. */
static const char *stage_open(struct stage *stage, const struct plan *plan)
{
	const char *lacks = zf_open(&stage->bed);

	if (lacks)
		return lacks;
	stage->plan = *plan;
	plan_complete(&stage->plan);
	cold = -1;
	file = zt_file(&stage->bed.box, 1, LEN);
	if (plan->cold && !get_disk(stage)) {
		stage_close(stage);
		return "needs ext4, mkfs.ext4 and a loop device";
	}
	if (plan->listen)
		zt_need(!zn_subscribe(&stage->bed.nl));
	return NULL;
}

FIXTURE(submit) {
	struct stage stage;
};

FIXTURE_VARIANT(submit) {
	struct plan plan;
};

FIXTURE_SETUP(submit)
{
	const char *lacks = stage_open(&self->stage, &variant->plan);

	if (lacks)
		SKIP(return, "%s", lacks);
}

FIXTURE_TEARDOWN(submit)
{
	EXPECT_EQ(0, stage_close(&self->stage));
}

FIXTURE_VARIANT_ADD(submit, plain)
{
	.plan = { .jobs = 1 },
};

FIXTURE_VARIANT_ADD(submit, zerocopy)
{
	.plan = { .mode = ZCP_MODE_ZEROCOPY },
};

FIXTURE_VARIANT_ADD(submit, copy)
{
	.plan = { .mode = ZCP_MODE_COPY },
};

FIXTURE_VARIANT_ADD(submit, sent)
{
	.plan = { .complete = ZCP_COMPLETE_SENT },
};

FIXTURE_VARIANT_ADD(submit, small)
{
	.plan = { .len = 1000 },
};

FIXTURE_VARIANT_ADD(submit, to_eof)
{
	.plan = { .segs = 2, .to_eof = true },
};

FIXTURE_VARIANT_ADD(submit, many_segments)
{
	.plan = { .segs = PLAN_SEGS, .len = 5000 },
};

FIXTURE_VARIANT_ADD(submit, large_inline)
{
	.plan = { .head = 30000 },
};

FIXTURE_VARIANT_ADD(submit, rate)
{
	.plan = { .rate = 100000000 },
};

FIXTURE_VARIANT_ADD(submit, batch)
{
	.plan = { .jobs = PLAN_JOBS },
};

FIXTURE_VARIANT_ADD(submit, batch_continue)
{
	.plan = { .jobs = PLAN_JOBS, .link_flags = ZCP_LINK_CONTINUE },
};

FIXTURE_VARIANT_ADD(submit, cold)
{
	.plan = { .cold = true, .len = 60000 },
};

FIXTURE_VARIANT_ADD(submit, nocache)
{
	.plan = { .cold = true, .flags = ZCP_JOB_NOCACHE, .len = 60000 },
};

FIXTURE_VARIANT_ADD(submit, listened_to)
{
	.plan = { .jobs = PLAN_JOBS, .listen = true },
};

TEST_F_TIMEOUT(submit, fail_nth, ZF_TIMEOUT)
{
	zf_replay(&self->stage.bed, submit_once, &self->stage.plan);
}

/* Workers have no fail-nth: what fails while jobs run is chosen at random. */
TEST_F_TIMEOUT(submit, fail_at_random, ZF_TIMEOUT)
{
	struct zf_bed *bed = &self->stage.bed;
	unsigned int round;

	if (bed->fail < 0)
		return;
	if (!zf_random(bed, false))
		SKIP(return, "needs CONFIG_FAULT_INJECTION_STACKTRACE_FILTER");
	bed->nth = 0;
	for (round = 0; round < ROUNDS; round++)
		submit_once(bed, &self->stage.plan);
	EXPECT_GT(bed->hits, ROUNDS / 4);
}

FIXTURE(xfer) {
	struct stage stage;
};

FIXTURE_VARIANT(xfer) {
	struct plan plan;
};

FIXTURE_SETUP(xfer)
{
	const char *lacks = stage_open(&self->stage, &variant->plan);

	if (lacks)
		SKIP(return, "%s", lacks);
}

FIXTURE_TEARDOWN(xfer)
{
	EXPECT_EQ(0, stage_close(&self->stage));
}

FIXTURE_VARIANT_ADD(xfer, plain)
{
	.plan = { .len = LEN },
};

FIXTURE_VARIANT_ADD(xfer, small)
{
	.plan = { .len = 5000 },
};

FIXTURE_VARIANT_ADD(xfer, header)
{
	.plan = { .len = 5000, .xfer_head = 3000 },
};

FIXTURE_VARIANT_ADD(xfer, zerocopy)
{
	.plan = { .mode = ZCP_MODE_ZEROCOPY, .len = LEN },
};

FIXTURE_VARIANT_ADD(xfer, copy)
{
	.plan = { .mode = ZCP_MODE_COPY, .len = LEN },
};

FIXTURE_VARIANT_ADD(xfer, cold)
{
	.plan = { .cold = true, .len = LEN },
};

TEST_F_TIMEOUT(xfer, fail_nth, ZF_TIMEOUT)
{
	zf_replay(&self->stage.bed, xfer_once, &self->stage.plan);
}

TEST_HARNESS_MAIN
