// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contract of the ioctls: sizes, flags, reserved members, pointers,
 * values, batches. Every refusal gives the errno of the table in
 * include/uapi/linux/zcp.h, and nothing is left behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240

#define ROOM	512	/* more than the largest structure, and a tail */

enum { INFO, LINK, UNLINK, SUBMIT, CANCEL, STATUS, XFER, NR_CALLS };

static const struct {
	const char *name;
	unsigned long cmd;
	size_t size;
	size_t first;	/* its size in the first version */
	uint32_t known_flags;
} calls[NR_CALLS] = {
	[INFO] = { "INFO", ZCP_IOC_INFO, sizeof(struct zcp_info), 120, 0 },
	[LINK] = { "LINK", ZCP_IOC_LINK, sizeof(struct zcp_link), 56, ZCP_LINK_CONTINUE },
	[UNLINK] = { "UNLINK", ZCP_IOC_UNLINK, sizeof(struct zcp_unlink), 16, 0 },
	[SUBMIT] = { "SUBMIT", ZCP_IOC_SUBMIT, sizeof(struct zcp_submit), 40, 0 },
	[CANCEL] = { "CANCEL", ZCP_IOC_CANCEL, sizeof(struct zcp_cancel), 40, ZCP_CANCEL_LINK },
	[STATUS] = { "STATUS", ZCP_IOC_STATUS, sizeof(struct zcp_status), 264,
		     ZCP_STATUS_NEXT },
	[XFER] = { "XFER", ZCP_IOC_XFER, sizeof(struct zcp_xfer), 64,
		   ZCP_XFER_NONBLOCK | ZCP_XFER_MORE },
};

/* The size of struct zcp_job in the first version. */
#define JOB_FIRST	48

/* All structures begin with these two. */
struct head {
	uint32_t size;
	uint32_t flags;
};

FIXTURE(abi) {
	struct zt_box box;
	struct zt_conn conn;
	struct zcp_segment seg;
	struct zcp_job job;
	char buf[ROOM] __attribute__((aligned(8)));
	uint64_t done;	/* a final job whose event is not read */
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(abi)
{
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect(&self->conn, 0, 0);
	self->file = zt_file(&self->box, 1, 64 * ZT_KIB);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->done = zt_submit_range(self->ctx, self->link, self->file, 0, 0);
	zt_wait_state(self->ctx, self->done, ZCP_STATE_DONE);
}

FIXTURE_TEARDOWN(abi)
{
	struct zcp_event event;

	/* The only job there ever was. */
	zt_event(self->ctx, &event);
	EXPECT_EQ(self->done, event.job);
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	/* zcp holds no reference to the socket: the peer sees it close. */
	close(self->conn.tx);
	EXPECT_EQ(0, zt_drain(self->conn.rx));
	close(self->conn.rx);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* A call that would succeed, and leaves nothing that has to be undone. */
static struct head *prepare(FIXTURE_DATA(abi) *self, int call)
{
	struct head *head = (struct head *)self->buf;

	memset(self->buf, 0, sizeof(self->buf));
	head->size = calls[call].size;
	switch (call) {
	case LINK:
		/* Not linked yet in the context that undo() ends it in. */
		((struct zcp_link *)head)->fd = self->conn.rx;
		break;
	case UNLINK:
		((struct zcp_unlink *)head)->link = zt_link(self->ctx, self->conn.rx);
		break;
	case SUBMIT: {
		struct zcp_submit *submit = (struct zcp_submit *)head;

		self->seg = zt_range(self->file, 0, 0);
		self->job = zt_job(self->link, &self->seg, 1);
		submit->jobs = (uintptr_t)&self->job;
		submit->nr_jobs = 1;
		submit->job_size = sizeof(self->job);
		break;
	}
	case CANCEL:
		((struct zcp_cancel *)head)->job = self->done;
		break;
	case STATUS:
		((struct zcp_status *)head)->job = self->done;
		break;
	case XFER: {
		struct zcp_xfer *xfer = (struct zcp_xfer *)head;

		xfer->in_fd = self->file;
		xfer->out_fd = self->conn.tx;
		break;
	}
	}
	return head;
}

/* Takes back what a call did, whether it succeeded or not. */
static void undo(FIXTURE_DATA(abi) *self, int call, bool succeeded)
{
	struct zcp_event event;

	if (call == LINK && succeeded)
		zt_need(!zt_unlink(self->ctx, ((struct zcp_link *)self->buf)->link, NULL));
	if (call == UNLINK && !succeeded)
		zt_need(!zt_unlink(self->ctx, ((struct zcp_unlink *)self->buf)->link, NULL));
	if (call == SUBMIT && succeeded) {
		/* Keep the first event unread. */
		zt_event(self->ctx, &event);
		if (event.job == self->done) {
			zt_event(self->ctx, &event);
			self->done = zt_submit_range(self->ctx, self->link, self->file, 0, 0);
			zt_wait_state(self->ctx, self->done, ZCP_STATE_DONE);
		}
	}
}

static int call_now(FIXTURE_DATA(abi) *self, int call, void *arg)
{
	int ret = ioctl(self->ctx, calls[call].cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* Does the call prepared in self->buf, and takes it back. */
static int try_call(FIXTURE_DATA(abi) *self, int call)
{
	int ret = call_now(self, call, self->buf);

	undo(self, call, ret >= 0);
	return ret;
}

TEST_F_TIMEOUT(abi, valid_calls_succeed, 240)
{
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		prepare(self, i);
		EXPECT_EQ(0, try_call(self, i))
			TH_LOG("%s", calls[i].name);
	}
}

TEST_F_TIMEOUT(abi, size_short, 240)
{
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		const size_t sizes[] = { 0, 1, 4, 8, calls[i].first / 2, calls[i].first - 1 };
		size_t k;

		for (k = 0; k < ARRAY_SIZE(sizes); k++) {
			prepare(self, i)->size = sizes[k];
			EXPECT_EQ(-EINVAL, try_call(self, i))
				TH_LOG("%s with size %zu", calls[i].name, sizes[k]);
		}
	}
}

/* Programs built for an older version: what is new has not happened. */
TEST_F_TIMEOUT(abi, size_of_first_version, 240)
{
	size_t k;
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		prepare(self, i)->size = calls[i].first;
		memset(self->buf + calls[i].first, 0x5a, sizeof(self->buf) - calls[i].first);
		EXPECT_EQ(0, try_call(self, i))
			TH_LOG("%s with size %zu", calls[i].name, calls[i].first);
		for (k = calls[i].first; k < sizeof(self->buf); k++)
			ASSERT_EQ(0x5a, self->buf[k])
				TH_LOG("%s wrote to byte %zu", calls[i].name, k);
	}
	prepare(self, SUBMIT);
	self->job.size = JOB_FIRST;
	self->job.rate = UINT64_MAX;
	((struct zcp_submit *)self->buf)->job_size = JOB_FIRST;
	EXPECT_EQ(0, try_call(self, SUBMIT));
}

TEST_F_TIMEOUT(abi, size_oversized_zero, 240)
{
	size_t more;
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		for (more = 1; more <= 33; more += 8) {
			prepare(self, i)->size += more;
			EXPECT_EQ(0, try_call(self, i))
				TH_LOG("%s with %zu zero bytes", calls[i].name, more);
		}
	}
}

TEST_F_TIMEOUT(abi, size_oversized_nonzero, 240)
{
	size_t more;
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		for (more = 1; more <= 33; more += 8) {
			prepare(self, i)->size += more;
			self->buf[calls[i].size + more - 1] = 1;
			EXPECT_EQ(-E2BIG, try_call(self, i))
				TH_LOG("%s with %zu bytes, the last one set", calls[i].name, more);
		}
	}
}

TEST_F_TIMEOUT(abi, size_absurd, 240)
{
	int i;

	/* The tail leaves the page that is mapped: not a crash, not accepted. */
	for (i = 0; i < NR_CALLS; i++) {
		int ret;

		prepare(self, i)->size = UINT32_MAX;
		ret = try_call(self, i);
		EXPECT_TRUE(ret == -E2BIG || ret == -EFAULT)
			TH_LOG("%s with size 0xffffffff: %d", calls[i].name, ret);
	}
}

TEST_F_TIMEOUT(abi, flags_unknown, 240)
{
	int i, bit;

	for (i = 0; i < NR_CALLS; i++) {
		for (bit = 0; bit < 32; bit++) {
			if (calls[i].known_flags & (1U << bit))
				continue;
			prepare(self, i)->flags |= 1U << bit;
			EXPECT_EQ(-EOPNOTSUPP, try_call(self, i))
				TH_LOG("%s with flag %d", calls[i].name, bit);
		}
	}
}

TEST_F(abi, flags_as_reported)
{
	struct zcp_info info;

	zt_info(self->ctx, &info);
	EXPECT_EQ(calls[LINK].known_flags, info.link_flags);
	EXPECT_EQ(calls[SUBMIT].known_flags, info.submit_flags);
	EXPECT_EQ(calls[CANCEL].known_flags, info.cancel_flags);
	EXPECT_EQ(calls[STATUS].known_flags, info.status_flags);
	EXPECT_EQ(calls[XFER].known_flags, info.xfer_flags);
	EXPECT_EQ(ZCP_JOB_NOCACHE, info.job_flags);
	EXPECT_EQ(ZCP_SEGMENT_TO_EOF, info.segment_flags);
	EXPECT_EQ(7, info.modes);
	EXPECT_EQ((1U << ZCP_REASON_COUNT) - 1, info.reasons | 1);
	EXPECT_EQ(sizeof(struct zcp_event), info.event_size);
	EXPECT_EQ(sizeof(struct zcp_info), info.size);
	EXPECT_EQ(ZCP_FEATURE_NOCACHE | ZCP_FEATURE_RATE | ZCP_FEATURE_HEADER |
		  ZCP_FEATURE_SUBMIT_EVENTS, info.features);
	EXPECT_EQ(0, info.__reserved);
	EXPECT_GE(info.max_inline, 64 * ZT_KIB);
	EXPECT_GE(info.max_links, 1000);
	EXPECT_GE(info.max_jobs, 1000);
	EXPECT_GE(info.max_batch, 100);
	EXPECT_GE(info.max_segments, 3);
	EXPECT_GE(info.max_inline_total, info.max_inline);
	EXPECT_GE(info.max_inflight, ZT_GIB);
	EXPECT_GE(info.max_user_inflight, info.max_inflight);
	EXPECT_GT(info.quota_bytes, 0);
}

TEST_F(abi, flags_of_job_and_segment)
{
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if ((1U << bit) != ZCP_JOB_NOCACHE) {
			prepare(self, SUBMIT);
			self->job.flags = 1U << bit;
			EXPECT_EQ(-EOPNOTSUPP, try_call(self, SUBMIT))
				TH_LOG("job flag %d", bit);
		}
		if ((1U << bit) == ZCP_SEGMENT_TO_EOF)
			continue;
		prepare(self, SUBMIT);
		self->seg.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, try_call(self, SUBMIT))
			TH_LOG("segment flag %d", bit);
		prepare(self, SUBMIT);
		self->seg = zt_inline("x", 1);
		self->seg.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, try_call(self, SUBMIT))
			TH_LOG("inline segment flag %d", bit);
	}
}

TEST_F(abi, reserved_nonzero)
{
	prepare(self, CANCEL);
	((struct zcp_cancel *)self->buf)->__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, try_call(self, CANCEL));
	prepare(self, CANCEL);
	((struct zcp_cancel *)self->buf)->__reserved = 0x80000000;
	EXPECT_EQ(-EOPNOTSUPP, try_call(self, CANCEL));

	prepare(self, SUBMIT);
	self->seg.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, try_call(self, SUBMIT));
	prepare(self, SUBMIT);
	self->seg = zt_inline("x", 1);
	self->seg.__reserved = 0x80000000;
	EXPECT_EQ(-EOPNOTSUPP, try_call(self, SUBMIT));
}

TEST_F_TIMEOUT(abi, pointer_bad, 240)
{
	void *hole = mmap(NULL, 2 * ZT_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_EQ(0, munmap(hole + ZT_PAGE, ZT_PAGE));
	for (i = 0; i < NR_CALLS; i++) {
		void *const bad[] = {
			NULL, (void *)8, hole + ZT_PAGE, (void *)-1L, (void *)-4096L,
			(void *)0xffff888000000000UL,
		};
		size_t k;
		void *edge;

		prepare(self, i);
		for (k = 0; k < ARRAY_SIZE(bad); k++) {
			EXPECT_EQ(-EFAULT, call_now(self, i, bad[k]))
				TH_LOG("%s at %p", calls[i].name, bad[k]);
		}
		/* The structure begins in memory and ends outside. */
		for (k = 4; k < calls[i].size; k += 4) {
			edge = hole + ZT_PAGE - k;
			memcpy(edge, self->buf, k);
			EXPECT_EQ(-EFAULT, call_now(self, i, edge))
				TH_LOG("%s cut after %zu bytes", calls[i].name, k);
		}
		undo(self, i, false);
		/* And where it just fits. */
		prepare(self, i);
		edge = hole + ZT_PAGE - calls[i].size;
		memcpy(edge, self->buf, calls[i].size);
		EXPECT_EQ(0, call_now(self, i, edge))
			TH_LOG("%s at the edge", calls[i].name);
		memcpy(self->buf, edge, calls[i].size);
		undo(self, i, true);
	}
	munmap(hole, ZT_PAGE);
}

/* Outputs that cannot be written: EFAULT, and as if it had not been called. */
TEST_F_TIMEOUT(abi, pointer_read_only, 240)
{
	struct zcp_submit submit = { .size = sizeof(submit), .nr_jobs = 1 };
	struct zcp_job *job = mmap(NULL, ZT_PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t link;

	ASSERT_NE(MAP_FAILED, job);
	prepare(self, LINK);
	memcpy(job, self->buf, sizeof(struct zcp_link));
	mprotect(job, ZT_PAGE, PROT_READ);
	EXPECT_EQ(-EFAULT, call_now(self, LINK, job));
	link = zt_link(self->ctx, self->conn.rx);	/* EBUSY if it was left */
	EXPECT_EQ(0, zt_unlink(self->ctx, link, NULL));

	mprotect(job, ZT_PAGE, PROT_READ | PROT_WRITE);
	prepare(self, SUBMIT);
	self->seg = zt_inline("left behind", 11);
	*job = self->job;
	mprotect(job, ZT_PAGE, PROT_READ);
	submit.jobs = (uintptr_t)job;
	submit.job_size = sizeof(*job);
	EXPECT_EQ(-EFAULT, call_now(self, SUBMIT, &submit));
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(EFAULT, submit.error);
	/* The teardown sees an event or a byte of a job that went on. */
	munmap(job, ZT_PAGE);
}

TEST_F(abi, pointer_inside)
{
	void *const bad[] = { NULL, (void *)8, (void *)-4096L, (void *)0xffff888000000000UL };
	struct zcp_submit *submit;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(bad); k++) {
		submit = (struct zcp_submit *)prepare(self, SUBMIT);
		submit->jobs = (uintptr_t)bad[k];
		EXPECT_EQ(-EFAULT, try_call(self, SUBMIT))
			TH_LOG("jobs at %p", bad[k]);
		EXPECT_EQ(0, submit->accepted);

		submit = (struct zcp_submit *)prepare(self, SUBMIT);
		self->job.segments = (uintptr_t)bad[k];
		EXPECT_EQ(-EFAULT, try_call(self, SUBMIT))
			TH_LOG("segments at %p", bad[k]);
		EXPECT_EQ(EFAULT, submit->error);

		prepare(self, SUBMIT);
		self->seg = zt_inline(bad[k], 100);
		EXPECT_EQ(-EFAULT, try_call(self, SUBMIT))
			TH_LOG("inline bytes at %p", bad[k]);
	}
}

TEST_F(abi, command_unknown)
{
	static const unsigned long cmds[] = {
		_IO(ZCP_IOC_TYPE, ZCP_CMD_BASE - 1), _IO(ZCP_IOC_TYPE, ZCP_CMD_XFER + 1),
		_IO(ZCP_IOC_TYPE, 0), _IO(ZCP_IOC_TYPE, 0xff), _IO(ZCP_IOC_TYPE + 1, ZCP_CMD_INFO),
		_IO(0, ZCP_CMD_INFO), _IOR(ZCP_IOC_TYPE, ZCP_CMD_INFO, struct zcp_info),
		_IOWR(ZCP_IOC_TYPE, ZCP_CMD_LINK, struct zcp_link), 0x5401 /* TCGETS */,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		prepare(self, INFO);
		EXPECT_EQ(-1, ioctl(self->ctx, cmds[i], self->buf));
		EXPECT_EQ(ENOTTY, errno)
			TH_LOG("command 0x%lx", cmds[i]);
	}
}

TEST_F(abi, id_unknown)
{
	struct zcp_cancel cancel = { .size = sizeof(cancel), .flags = ZCP_CANCEL_LINK };
	struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };
	int other = zt_open(O_NONBLOCK);

	EXPECT_EQ(-ENOENT, zt_unlink(self->ctx, 0, NULL));
	EXPECT_EQ(-ENOENT, zt_unlink(self->ctx, self->link + 1000000, NULL));
	EXPECT_EQ(-ENOENT, zt_status(self->ctx, 0, &status));
	EXPECT_EQ(-ENOENT, zt_status(self->ctx, UINT64_MAX, &status));
	EXPECT_EQ(-ENOENT, zt_cancel(self->ctx, self->done + 1000000, &cancel));
	memset(&cancel, 0, sizeof(cancel));
	cancel.size = sizeof(cancel);
	cancel.flags = ZCP_CANCEL_LINK;
	cancel.link = self->link + 1000000;
	EXPECT_EQ(-ENOENT, call_now(self, CANCEL, &cancel));
	prepare(self, SUBMIT);
	self->job.link = self->link + 1000000;
	EXPECT_EQ(-ENOENT, try_call(self, SUBMIT));
	/* Another context does not see this one's jobs and links. */
	EXPECT_EQ(-ENOENT, zt_status(other, self->done, &status));
	EXPECT_EQ(-ENOENT, zt_cancel(other, self->done, &cancel));
	EXPECT_EQ(-ENOENT, zt_unlink(other, self->link, NULL));
	EXPECT_EQ(0, zt_jobs(other));
	close(other);
}

TEST_F(abi, values_wrong)
{
	struct zcp_info info;
	struct zcp_submit *submit;
	struct zcp_cancel *cancel;

	zt_info(self->ctx, &info);
#define SUBMIT_WITH(expected, statement) do { \
	submit = (struct zcp_submit *)prepare(self, SUBMIT); \
	statement; \
	EXPECT_EQ(expected, try_call(self, SUBMIT)) \
		TH_LOG("%s", #statement); \
	EXPECT_EQ(0, submit->accepted); \
} while (0)
	SUBMIT_WITH(-EINVAL, submit->nr_jobs = 0);
	SUBMIT_WITH(-EINVAL, submit->nr_jobs = info.max_batch + 1);
	SUBMIT_WITH(-EINVAL, submit->nr_jobs = UINT32_MAX);
	SUBMIT_WITH(-EINVAL, submit->job_size = 0);
	SUBMIT_WITH(-EINVAL, submit->events_len = 1);
	SUBMIT_WITH(-EINVAL, submit->events_len = info.event_size - 1);
	SUBMIT_WITH(-EINVAL, submit->job_size = JOB_FIRST - 1);
	SUBMIT_WITH(-EINVAL, self->job.size = 0);
	SUBMIT_WITH(-EINVAL, self->job.size = JOB_FIRST - 1);
	SUBMIT_WITH(-EINVAL, self->job.size = sizeof(struct zcp_job) + 8);
	SUBMIT_WITH(-EINVAL, self->job.rate = (1ULL << 40) + 1);
	SUBMIT_WITH(-EOPNOTSUPP, self->job.flags = ZCP_JOB_NOCACHE;
				 self->job.complete = ZCP_COMPLETE_SENT);
	SUBMIT_WITH(-EOPNOTSUPP, self->job.mode = 3);
	SUBMIT_WITH(-EOPNOTSUPP, self->job.complete = 2);
	SUBMIT_WITH(-EINVAL, self->job.nr_segments = 0);
	SUBMIT_WITH(-EINVAL, self->job.nr_segments = info.max_segments + 1);
	SUBMIT_WITH(-EINVAL, self->job.nr_segments = UINT32_MAX);
	SUBMIT_WITH(-EINVAL, self->seg.type = 0);
	SUBMIT_WITH(-EINVAL, self->seg.type = 3);
	SUBMIT_WITH(-EINVAL, (self->seg = zt_to_eof(self->file, 0), self->seg.len = 1));
	SUBMIT_WITH(-EINVAL, (self->seg = zt_inline("x", 1), self->seg.fd = self->file));
	SUBMIT_WITH(-EOPNOTSUPP, (self->seg = zt_inline("x", 1),
				  self->seg.flags = ZCP_SEGMENT_TO_EOF));
	SUBMIT_WITH(-ENODATA, self->seg.len = 64 * ZT_KIB + 1);
	SUBMIT_WITH(-ENODATA, (self->seg.addr = 64 * ZT_KIB, self->seg.len = 1));
	SUBMIT_WITH(-EINVAL, self->seg = zt_inline("x", info.max_inline + 1));
	SUBMIT_WITH(-EINVAL, self->seg = zt_inline("x", SIZE_MAX));
#undef SUBMIT_WITH
	cancel = (struct zcp_cancel *)prepare(self, CANCEL);
	cancel->link = self->link;
	EXPECT_EQ(-EINVAL, try_call(self, CANCEL));
	cancel = (struct zcp_cancel *)prepare(self, CANCEL);
	cancel->flags = ZCP_CANCEL_LINK;
	cancel->link = self->link;
	EXPECT_EQ(-EINVAL, try_call(self, CANCEL));
	prepare(self, XFER);
	((struct zcp_xfer *)self->buf)->mode = 3;
	EXPECT_EQ(-EOPNOTSUPP, try_call(self, XFER));
	prepare(self, XFER);
	((struct zcp_xfer *)self->buf)->header_len = 64 * ZT_KIB + 1;
	EXPECT_EQ(-EINVAL, try_call(self, XFER));
	prepare(self, XFER);
	((struct zcp_xfer *)self->buf)->header_len = 1;
	EXPECT_EQ(-EFAULT, try_call(self, XFER));
}

TEST_F(abi, range_overflow)
{
	static const struct {
		uint64_t addr;
		uint64_t len;
	} bad[] = {
		{ INT64_MAX, 1 }, { 1, INT64_MAX }, { 1ULL << 63, 0 }, { UINT64_MAX, 0 },
		{ 0, 1ULL << 63 }, { 0, UINT64_MAX }, { UINT64_MAX, UINT64_MAX },
		{ UINT64_MAX, 1 }, { 4096, UINT64_MAX - 4095 },
	};
	struct zcp_xfer *xfer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		prepare(self, SUBMIT);
		self->seg.addr = bad[i].addr;
		self->seg.len = bad[i].len;
		EXPECT_EQ(-EINVAL, try_call(self, SUBMIT))
			TH_LOG("range %zu", i);
		xfer = (struct zcp_xfer *)prepare(self, XFER);
		xfer->offset = bad[i].addr;
		xfer->count = bad[i].len;
		EXPECT_EQ(-EINVAL, try_call(self, XFER))
			TH_LOG("xfer %zu", i);
	}
	prepare(self, SUBMIT);
	self->seg = zt_to_eof(self->file, 1ULL << 63);
	EXPECT_EQ(-EINVAL, try_call(self, SUBMIT));
	/* The largest range there is. */
	prepare(self, SUBMIT);
	self->seg.addr = INT64_MAX;
	EXPECT_EQ(0, try_call(self, SUBMIT));
}

TEST_F(abi, link_twice)
{
	struct zcp_link *link;
	int again = dup(self->conn.tx);
	int other = zt_open(O_NONBLOCK);

	link = (struct zcp_link *)prepare(self, LINK);
	link->fd = self->conn.tx;
	EXPECT_EQ(-EBUSY, try_call(self, LINK));
	link->fd = again;
	EXPECT_EQ(-EBUSY, try_call(self, LINK));
	/* Nor by another context: two would mix their bytes on one wire. */
	EXPECT_EQ(-1, ioctl(other, ZCP_IOC_LINK, link));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	EXPECT_EQ(0, zt_unlink(other, zt_link(other, self->conn.tx), NULL));
	self->link = zt_link(self->ctx, self->conn.tx);
	close(other);
	close(again);
}

TEST_F(abi, link_reply)
{
	struct zcp_link *link = (struct zcp_link *)prepare(self, LINK);

	ASSERT_EQ(0, call_now(self, LINK, link));
	EXPECT_NE(0, link->link);
	EXPECT_STREQ("lo", link->path_ifname);
	EXPECT_EQ(1, link->path_ifindex);
	EXPECT_EQ(ZCP_PATH_SG | ZCP_PATH_CSUM, link->path_caps & ~ZCP_PATH_TSO);
	EXPECT_EQ(ZCP_MODE_ZEROCOPY, link->path_mode);
	EXPECT_EQ(ZCP_REASON_NONE, link->path_reason);
	EXPECT_GT(link->mss, 500);
	EXPECT_EQ(ZCP_LIMIT_NONE, link->limit);
	undo(self, LINK, true);
}

TEST_F(abi, read_short_and_write)
{
	void *volatile nowhere = (void *)8;
	struct zcp_event event;

	EXPECT_EQ(-1, read(self->ctx, &event, sizeof(event) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(self->ctx, &event, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(self->ctx, nowhere, sizeof(event)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, write(self->ctx, &event, sizeof(event)));
	EXPECT_EQ(EINVAL, errno);
	/* The event is still there: the teardown reads it. */
}

TEST_HARNESS_MAIN
