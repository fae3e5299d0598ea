// SPDX-License-Identifier: GPL-2.0-only
/*
 * Batches that are accepted in part, and limits: EAGAIN, and which one it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define MAX_CHANGES	4

FIXTURE(limits) {
	struct zt_box box;
	struct zt_conn conn;
	/* Parameters that were changed, and what they were. */
	struct {
		const char *name;
		uint64_t value;
	} changed[MAX_CHANGES];
	int nr_changed;
	uint32_t link;
	int ctx;
	int file;
};

/* Until the teardown. */
static void set_parameter(FIXTURE_DATA(limits) *self, const char *name, unsigned int value)
{
	zt_need(self->nr_changed < MAX_CHANGES);
	self->changed[self->nr_changed].name = name;
	self->changed[self->nr_changed++].value = zt_parameter(name, value);
}

/* A limit that is left behind would fail all tests that follow. */
static void restore_parameters(FIXTURE_DATA(limits) *self)
{
	while (self->nr_changed) {
		self->nr_changed--;
		zt_parameter(self->changed[self->nr_changed].name,
			     self->changed[self->nr_changed].value);
	}
}

FIXTURE_SETUP(limits)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->file = zt_file(&self->box, 1, ZT_MIB);
}

FIXTURE_TEARDOWN(limits)
{
	restore_parameters(self);
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static struct zcp_submit batch(struct zcp_job *jobs, uint32_t nr)
{
	return (struct zcp_submit) {
		.size = sizeof(struct zcp_submit), .jobs = (uintptr_t)jobs, .nr_jobs = nr,
		.job_size = sizeof(*jobs),
		/* Outputs are written on refusal too. */
		.accepted = 99, .error = 99, .limit = 99, .reason = 99,
	};
}

static void expect_done(struct __test_metadata *_metadata, FIXTURE_DATA(limits) *self, int nr)
{
	struct zcp_event event;

	while (nr--) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	EXPECT_FALSE(zt_readable(self->ctx, 0));
}

TEST_F_TIMEOUT(limits, batch_accepted_in_part, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, 0), bad = zt_range(-1, 0, 0);
	struct zcp_submit submit;
	struct zcp_job jobs[5];
	int i;

	for (i = 0; i < 5; i++)
		jobs[i] = zt_job(self->link, i == 3 ? &bad : &seg, 1);
	submit = batch(jobs, 5);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(3, submit.accepted);
	EXPECT_EQ(EBADF, submit.error);
	EXPECT_EQ(ZCP_LIMIT_NONE, submit.limit);
	EXPECT_EQ(ZCP_REASON_NONE, submit.reason);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(i < 3, !!jobs[i].id)
			TH_LOG("job %d", i);
	}
	expect_done(_metadata, self, 3);
	EXPECT_EQ(0, zt_jobs(self->ctx));

	/* The first one refused: its error is that of the call. */
	jobs[0].link = self->link + 1000;
	submit = batch(jobs, 5);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(ENOENT, submit.error);
	EXPECT_EQ(ZCP_LIMIT_NONE, submit.limit);
	EXPECT_EQ(0, zt_jobs(self->ctx));
}

/* Each job says its own size, in an array with its own distance. */
TEST_F_TIMEOUT(limits, batch_of_longer_jobs, 240)
{
	struct {
		struct zcp_job job;
		uint64_t tail;
	} jobs[3];
	struct zcp_segment seg = zt_range(self->file, 0, 0);
	struct zcp_submit submit = batch(&jobs[0].job, 3);
	int i;

	for (i = 0; i < 3; i++) {
		jobs[i].job = zt_job(self->link, &seg, 1);
		jobs[i].tail = 0;
	}
	jobs[1].job.size = sizeof(jobs[1]);
	submit.job_size = sizeof(jobs[0]);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(3, submit.accepted);
	expect_done(_metadata, self, 3);
	jobs[1].tail = 1;
	submit = batch(&jobs[0].job, 3);
	submit.job_size = sizeof(jobs[0]);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(E2BIG, submit.error);
	expect_done(_metadata, self, 1);
}

TEST_F_TIMEOUT(limits, max_batch, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, 0);
	struct zcp_submit submit;
	struct zcp_job jobs[9];
	struct zcp_info info;
	int i;

	set_parameter(self, "max_batch", 8);
	zt_info(self->ctx, &info);
	EXPECT_EQ(8, info.max_batch);
	for (i = 0; i < 9; i++)
		jobs[i] = zt_job(self->link, &seg, 1);
	submit = batch(jobs, 9);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(EINVAL, errno);
	submit = batch(jobs, 8);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(8, submit.accepted);
	restore_parameters(self);
	expect_done(_metadata, self, 8);
}

static void jobs_limit(struct __test_metadata *_metadata, FIXTURE_DATA(limits) *self,
		       const char *name, uint32_t limit)
{
	struct zcp_segment seg = zt_range(self->file, 0, 0);
	struct zcp_submit submit;
	struct zcp_event event;
	struct zcp_job jobs[8];
	int i;

	set_parameter(self, name, 5);
	for (i = 0; i < 8; i++)
		jobs[i] = zt_job(self->link, &seg, 1);
	submit = batch(jobs, 8);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(5, submit.accepted);
	EXPECT_EQ(EAGAIN, submit.error);
	EXPECT_EQ(limit, submit.limit);
	zt_wait_state(self->ctx, jobs[4].id, ZCP_STATE_DONE);
	/* Final, but their events are not read: they count. */
	submit = batch(jobs + 5, 3);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(EAGAIN, submit.error);
	EXPECT_EQ(limit, submit.limit);
	/* One read, one more accepted. */
	zt_event(self->ctx, &event);
	submit = batch(jobs + 5, 3);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(limit, submit.limit);
	/* Read by the call that is refused: there is room for the next. */
	submit = batch(jobs + 6, 2);
	submit.events = (uintptr_t)&event;
	submit.events_len = sizeof(event);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(limit, submit.limit);
	EXPECT_EQ(sizeof(event), submit.events_read);
	EXPECT_EQ(jobs[1].id, event.job);
	submit = batch(jobs + 6, 2);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(1, submit.accepted);
	restore_parameters(self);
	expect_done(_metadata, self, 5);
}

TEST_F_TIMEOUT(limits, max_jobs, 240)
{
	jobs_limit(_metadata, self, "max_jobs", ZCP_LIMIT_JOBS);
}

TEST_F_TIMEOUT(limits, max_user_jobs, 240)
{
	jobs_limit(_metadata, self, "max_user_jobs", ZCP_LIMIT_USER_JOBS);
}

static void links_limit(struct __test_metadata *_metadata, FIXTURE_DATA(limits) *self,
			const char *name, uint32_t limit)
{
	struct zcp_link arg = { .size = sizeof(arg) };
	struct zt_conn conn[3];
	uint32_t link[2];
	int i;

	set_parameter(self, name, 3);
	for (i = 0; i < 3; i++)
		zt_connect(&conn[i], 0, 0);
	for (i = 0; i < 2; i++)
		link[i] = zt_link(self->ctx, conn[i].tx);
	arg.fd = conn[2].tx;
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_LINK, &arg));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(limit, arg.limit);
	EXPECT_EQ(0, zt_unlink(self->ctx, link[0], NULL));
	link[0] = zt_link(self->ctx, conn[2].tx);
	restore_parameters(self);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, zt_unlink(self->ctx, link[i], NULL))
			TH_LOG("link %u", link[i]);
	}
	for (i = 0; i < 3; i++)
		zt_close(&conn[i]);
}

TEST_F_TIMEOUT(limits, max_links, 240)
{
	links_limit(_metadata, self, "max_links", ZCP_LIMIT_LINKS);
}

TEST_F_TIMEOUT(limits, max_user_links, 240)
{
	links_limit(_metadata, self, "max_user_links", ZCP_LIMIT_USER_LINKS);
}

TEST_F_TIMEOUT(limits, max_inline_total, 240)
{
	static char text[30000];
	struct zcp_segment seg = zt_inline(text, sizeof(text));
	struct zcp_submit submit;
	struct zcp_job jobs[5];
	struct zt_sink sink;
	uint64_t blocker;
	int i;

	zt_pattern(text, 3, 0, sizeof(text));
	/* Behind a job that blocks they are held. */
	blocker = zt_submit_range(self->ctx, self->link, self->file, 0, ZT_MIB);
	zt_wait_state(self->ctx, blocker, ZCP_STATE_BLOCKED);
	set_parameter(self, "max_inline_total", 100000);
	for (i = 0; i < 5; i++)
		jobs[i] = zt_job(self->link, &seg, 1);
	submit = batch(jobs, 5);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(3, submit.accepted);
	EXPECT_EQ(EAGAIN, submit.error);
	EXPECT_EQ(ZCP_LIMIT_INLINE, submit.limit);
	zt_sink_start(&sink, self->conn.rx, ZT_MIB + 3 * sizeof(text));
	expect_done(_metadata, self, 4);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf + ZT_MIB, sizeof(text), 3, 0));
	zt_sink_free(&sink);
	/* They are given back with the jobs. */
	submit = batch(jobs, 3);
	zt_sink_start(&sink, self->conn.rx, 3 * sizeof(text));
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(3, submit.accepted);
	restore_parameters(self);
	expect_done(_metadata, self, 3);
	zt_sink_join(&sink);
	zt_sink_free(&sink);
}

/* What a link may have in flight whatever the others have. */
#define LINK_INFLIGHT	(64 * ZT_KIB)

/*
 * Jobs wait at the limit of bytes in flight, on whichever link, and go on when
 * the peer has acknowledged some.
 */
static void inflight_limit(struct __test_metadata *_metadata, FIXTURE_DATA(limits) *self,
			   const char *name)
{
	struct zcp_status first, second;
	struct zt_conn holds[2];
	struct zt_sink sinks[2];
	uint64_t ids[2];
	uint32_t links[2];
	int big, i;

	set_parameter(self, name, 1);
	big = zt_file(&self->box, 5, 3 * ZT_MIB);
	for (i = 0; i < 2; i++) {
		zt_connect_holding(&holds[i]);
		links[i] = zt_link(self->ctx, holds[i].tx);
		ids[i] = zt_submit_range(self->ctx, links[i], big, 0, 3 * ZT_MIB);
		zt_wait_state(self->ctx, ids[i], ZCP_STATE_BLOCKED);
	}
	/* Each send queue alone could hold all of its job. */
	zt_sleep_ms(ZT_WATCH);
	ASSERT_EQ(0, zt_status(self->ctx, ids[0], &first));
	ASSERT_EQ(0, zt_status(self->ctx, ids[1], &second));
	/* Blocked, but for the moments in which they look for room. */
	EXPECT_LE(first.state, ZCP_STATE_BLOCKED);
	EXPECT_LE(second.state, ZCP_STATE_BLOCKED);
	EXPECT_GT(first.bytes_sent, ZT_MIB / 2);
	/* The second may have a little in any case. */
	EXPECT_LE(first.bytes_sent - first.bytes_acked +
		  second.bytes_sent - second.bytes_acked, ZT_MIB + LINK_INFLIGHT);
	/* The second link has room when the first one's bytes are through. */
	for (i = 0; i < 2; i++) {
		zt_sink_start(&sinks[i], holds[i].rx, 3 * ZT_MIB);
		expect_done(_metadata, self, 1);
		zt_sink_join(&sinks[i]);
		EXPECT_EQ(3 * ZT_MIB, sinks[i].len);
		EXPECT_EQ(-1, zt_mismatch(sinks[i].buf, sinks[i].len, 5, 0));
		zt_sink_free(&sinks[i]);
		EXPECT_EQ(0, zt_unlink(self->ctx, links[i], NULL));
		zt_close(&holds[i]);
	}
	close(big);
}

TEST_F_TIMEOUT(limits, max_inflight, 240)
{
	inflight_limit(_metadata, self, "max_inflight");
}

TEST_F_TIMEOUT(limits, max_user_inflight, 240)
{
	inflight_limit(_metadata, self, "max_user_inflight");
}

/* A peer that stalls holds all that may be in flight, and stops nobody else. */
TEST_F_TIMEOUT(limits, inflight_of_stalled_link, 240)
{
	struct zcp_status status;
	struct zt_conn hold, other;
	struct zt_sink sink;
	uint64_t stalled;
	uint32_t links[2];
	int big;

	set_parameter(self, "max_inflight", 1);
	big = zt_file(&self->box, 5, 3 * ZT_MIB);
	zt_connect_holding(&hold);
	links[0] = zt_link(self->ctx, hold.tx);
	stalled = zt_submit_range(self->ctx, links[0], big, 0, 3 * ZT_MIB);
	do {
		zt_sleep_ms(ZT_WATCH);
		ASSERT_EQ(0, zt_status(self->ctx, stalled, &status));
	} while (status.bytes_sent - status.bytes_acked < ZT_MIB);

	zt_connect(&other, 0, 0);
	links[1] = zt_link(self->ctx, other.tx);
	zt_submit_range(self->ctx, links[1], big, 0, 3 * ZT_MIB);
	zt_sink_start(&sink, other.rx, 3 * ZT_MIB);
	expect_done(_metadata, self, 1);
	zt_sink_join(&sink);
	EXPECT_EQ(3 * ZT_MIB, sink.len);
	zt_sink_free(&sink);
	EXPECT_EQ(ZCP_STATE_BLOCKED, zt_state(self->ctx, stalled));

	restore_parameters(self);
	zt_sink_start(&sink, hold.rx, 3 * ZT_MIB);
	expect_done(_metadata, self, 1);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 5, 0));
	zt_sink_free(&sink);
	EXPECT_EQ(0, zt_unlink(self->ctx, links[0], NULL));
	EXPECT_EQ(0, zt_unlink(self->ctx, links[1], NULL));
	zt_close(&hold);
	zt_close(&other);
	close(big);
}

/* What was sent by jobs that are over still counts, until it is acknowledged. */
TEST_F_TIMEOUT(limits, inflight_of_ended_jobs, 240)
{
	struct zcp_segment seg;
	struct zcp_status status;
	struct zt_conn hold;
	struct zt_sink sink;
	struct zcp_job job;
	uint32_t link;
	int big;

	set_parameter(self, "max_inflight", 1);
	big = zt_file(&self->box, 5, 2 * ZT_MIB);
	zt_connect_holding(&hold);
	link = zt_link(self->ctx, hold.tx);
	seg = zt_range(big, 0, 1000 * ZT_KIB);
	job = zt_job(link, &seg, 1);
	job.complete = ZCP_COMPLETE_SENT;
	zt_submit(self->ctx, &job);
	expect_done(_metadata, self, 1);
	seg = zt_range(big, 1000 * ZT_KIB, 1000 * ZT_KIB);
	zt_submit(self->ctx, &job);
	zt_wait_state(self->ctx, job.id, ZCP_STATE_BLOCKED);
	zt_sleep_ms(ZT_WATCH);
	ASSERT_EQ(0, zt_status(self->ctx, job.id, &status));
	EXPECT_LE(status.bytes_sent, 100 * ZT_KIB);
	zt_sink_start(&sink, hold.rx, 2000 * ZT_KIB);
	expect_done(_metadata, self, 1);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 5, 0));
	zt_sink_free(&sink);
	EXPECT_EQ(0, zt_unlink(self->ctx, link, NULL));
	zt_close(&hold);
	close(big);
}

TEST_F_TIMEOUT(limits, max_segments, 240)
{
	struct zcp_segment segs[5];
	struct zcp_job job = zt_job(self->link, segs, 5);
	struct zcp_info info;
	int i;

	set_parameter(self, "max_segments", 4);
	zt_info(self->ctx, &info);
	EXPECT_EQ(4, info.max_segments);
	for (i = 0; i < 5; i++)
		segs[i] = zt_range(self->file, i, 0);
	EXPECT_EQ(-EINVAL, zt_try_submit(self->ctx, &job));
	job.nr_segments = 4;
	EXPECT_EQ(0, zt_try_submit(self->ctx, &job));
	restore_parameters(self);
	expect_done(_metadata, self, 1);
}

/* As many segments as a job may have, each of another kind than the last. */
TEST_F_TIMEOUT(limits, as_many_segments_as_allowed, 240)
{
	struct zcp_segment *segs;
	struct zt_sink sink;
	struct zcp_info info;
	struct zcp_job job;
	uint32_t i;
	size_t at = 0;

	zt_info(self->ctx, &info);
	segs = calloc(info.max_segments, sizeof(*segs));
	zt_need(segs);
	for (i = 0; i < info.max_segments; i++)
		segs[i] = i % 2 ? zt_inline("/", 1) : zt_range(self->file, i * 100, 333);
	job = zt_job(self->link, segs, info.max_segments);
	zt_sink_start(&sink, self->conn.rx, info.max_segments / 2 * 334 +
		      info.max_segments % 2 * 333);
	EXPECT_EQ(0, zt_try_submit(self->ctx, &job));
	expect_done(_metadata, self, 1);
	zt_sink_join(&sink);
	for (i = 0; i < info.max_segments && at < sink.len; i++) {
		if (i % 2) {
			EXPECT_EQ('/', sink.buf[at]);
			at++;
		} else {
			EXPECT_EQ(-1, zt_mismatch(sink.buf + at, 333, 1, i * 100));
			at += 333;
		}
	}
	EXPECT_EQ(sink.len, at);
	zt_sink_free(&sink);
	free(segs);
}

#define USER	4242

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	zt_need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* Jobs of no bytes until one is refused; which limit that was. */
static int jobs_until_refused(int ctx, uint32_t link, int file, uint32_t *limit)
{
	struct zcp_segment seg = zt_range(file, 0, 0);
	struct zcp_job job = zt_job(link, &seg, 1);
	struct zcp_submit submit;
	int nr = 0;

	for (;;) {
		submit = batch(&job, 1);
		if (ioctl(ctx, ZCP_IOC_SUBMIT, &submit))
			break;
		nr++;
	}
	zt_need(errno == EAGAIN);
	*limit = submit.limit;
	return nr;
}

/*
 * Root of a user namespace is counted as the user that he is outside, and not as
 * root; who gets a context from another counts as that one.
 */
TEST_F_TIMEOUT(limits, user_namespace_counts_for_its_user, 240)
{
	struct zt_conn conn;
	struct stat device;
	uint32_t limit;
	char node[80];
	int status;
	pid_t pid;

	/* A device that this user may open, where he can get at it. */
	snprintf(node, sizeof(node), "%s/zcp", self->box.dir);
	zt_need(!stat(ZT_DEV, &device) && !chmod(self->box.dir, 0711));
	zt_need(!mknod(node, S_IFCHR | 0600, device.st_rdev) && !chmod(node, 0666));
	zt_connect(&conn, 0, 0);
	set_parameter(self, "max_user_jobs", 5);
	EXPECT_EQ(5, jobs_until_refused(self->ctx, self->link, self->file, &limit));
	EXPECT_EQ(ZCP_LIMIT_USER_JOBS, limit);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int ctx;

		zt_need(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER));
		/* Or his own files in /proc are root's. */
		zt_need(!prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
		zt_need(!unshare(CLONE_NEWUSER));
		write_file("/proc/self/uid_map", "0 4242 1");
		zt_need(getuid() == 0);
		/* Somebody else's: that one's are used up. */
		zt_need(!jobs_until_refused(self->ctx, self->link, self->file, &limit));
		ctx = open(node, O_RDWR | O_CLOEXEC);
		zt_need(ctx >= 0);
		zt_need(jobs_until_refused(ctx, zt_link(ctx, conn.tx), self->file, &limit) == 5);
		zt_need(limit == ZCP_LIMIT_USER_JOBS);
		close(ctx);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	restore_parameters(self);
	expect_done(_metadata, self, 5);
	zt_close(&conn);
}

/* What resource limits forbid, nothing here does. */
TEST_F_TIMEOUT(limits, smallest_rlimits, 240)
{
	static const int resources[] = {
		RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_NPROC, RLIMIT_MEMLOCK, RLIMIT_AS,
		RLIMIT_DATA, RLIMIT_CORE, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE,
	};
	struct zt_sink sink;
	int status;
	pid_t pid;

	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct rlimit none = {};
		unsigned int i;

		for (i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
			zt_need(!setrlimit(resources[i], &none));
		zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), self->file, 0,
				ZT_MIB);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	zt_sink_start(&sink, self->conn.rx, ZT_MIB);
	expect_done(_metadata, self, 1);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

TEST_HARNESS_MAIN
