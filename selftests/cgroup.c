// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control groups: memory is charged to the group of who submitted the job,
 * whoever runs it; a group that is frozen does not stop its jobs, and jobs do
 * not stop the freezing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN		(16 * ZT_MIB)
#define SEED		7
#define JOBS		500
#define INLINE		(32 * ZT_KIB)
/* Contexts, and jobs of each that hold nothing but their records. */
#define CONTEXTS	64
#define RECORDS		1000
#define INDEX		500	/* bytes of a job, at least, to find it by its id */

FIXTURE(cgroup) {
	struct zt_box box;
	struct zt_conn conn;
	char root[80];		/* of the hierarchy */
	char group[96];		/* the submitter's, below it */
	int ctx;
	int go[2];		/* the submitter waits for this to be closed */
	int told[2];
	pid_t pid;
};

#define SELF FIXTURE_DATA(cgroup)

static bool has_word(const char *path, const char *word)
{
	char text[512];
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && fscanf(f, "%511s", text) == 1)
		found |= !strcmp(text, word);
	if (f)
		fclose(f);
	return found;
}

static bool write_to(const char *dir, const char *name, const char *text)
{
	char path[160];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok;
}

FIXTURE_SETUP(cgroup)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_blocking(&self->conn);
	snprintf(self->root, sizeof(self->root), "%s/cgroup", self->box.dir);
	snprintf(self->group, sizeof(self->group), "%s/zcp-test-%d", self->root, getpid());
	zt_need(!mkdir(self->root, 0700));
	zt_need(!pipe2(self->go, O_CLOEXEC) && !pipe2(self->told, O_CLOEXEC));
	self->box.fds += 4;
	if (mount("zcp-test", self->root, "cgroup2", 0, NULL))
		self->group[0] = '\0';
	else
		zt_need(!mkdir(self->group, 0700));
}

FIXTURE_TEARDOWN(cgroup)
{
	int i;

	close(self->ctx);
	zt_close(&self->conn);
	if (self->group[0]) {
		/* Its last process may still be leaving. */
		for (i = 0; i < ZT_PATIENCE * 10 && rmdir(self->group); i++)
			zt_sleep_ms(100);
		EXPECT_NE(0, access(self->group, F_OK));
		umount(self->root);
	}
	close(self->go[0]);
	close(self->told[0]);
	close(self->told[1]);
	self->box.fds -= 4;
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static const char *lacks_memory(SELF *self)
{
	char path[160];

	if (!self->group[0])
		return "the kernel lacks cgroup2";
	snprintf(path, sizeof(path), "%s/cgroup.controllers", self->root);
	if (!has_word(path, "memory") || !write_to(self->root, "cgroup.subtree_control", "+memory"))
		return "cgroup2 lacks the controller memory";
	return NULL;
}

/* A number of the group: of a file, or behind a word in it. */
static long long group_number(SELF *self, const char *name, const char *word)
{
	char path[160], text[64];
	long long n = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", self->group, name);
	f = fopen(path, "re");
	zt_need(f);
	while (word && fscanf(f, "%63s", text) == 1 && strcmp(text, word))
		;
	zt_need(fscanf(f, "%lld", &n) == 1);
	fclose(f);
	return n;
}

typedef void (*does)(SELF *self);

/* A process of the group does it, says so, and waits. */
static void start_submitter(SELF *self, does what)
{
	char c;

	self->pid = fork();
	zt_need(self->pid >= 0);
	if (!self->pid) {
		close(self->go[1]);
		zt_need(write_to(self->group, "cgroup.procs", "0"));
		what(self);
		zt_need(write(self->told[1], "x", 1) == 1);
		zt_need(read(self->go[0], &c, 1) == 0);
		_exit(0);
	}
	zt_need(read(self->told[0], &c, 1) == 1);
}

static void end_submitter(struct __test_metadata *_metadata, SELF *self)
{
	int status;

	close(self->go[1]);
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* More than any noise: bytes that jobs hold. */
static void submit_inline(SELF *self)
{
	static char text[INLINE];
	struct zcp_segment seg = zt_inline(text, sizeof(text));
	uint32_t link = zt_link(self->ctx, self->conn.tx);
	int i;

	for (i = 0; i < JOBS; i++) {
		struct zcp_job job = zt_job(link, &seg, 1);

		zt_submit(self->ctx, &job);
	}
}

TEST_F_TIMEOUT(cgroup, jobs_are_the_submitters, 240)
{
	const char *lacks = lacks_memory(self);
	struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };
	long long before, held, after;
	int i;

	if (lacks)
		SKIP(return, "%s", lacks);
	before = group_number(self, "memory.current", NULL);
	start_submitter(self, submit_inline);
	held = group_number(self, "memory.current", NULL);
	EXPECT_GT(held - before, JOBS * INLINE);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_STATUS, &status));
	EXPECT_EQ(JOBS, zt_jobs(self->ctx));
	close(self->ctx);
	end_submitter(_metadata, self);
	/* The context is closed, and what it held is given back. */
	for (i = 0; i < ZT_PATIENCE * 10; i++) {
		after = group_number(self, "memory.current", NULL);
		if (after - before < JOBS * INLINE / 4)
			break;
		zt_sleep_ms(100);
	}
	EXPECT_LT(after - before, JOBS * INLINE / 4);
	TH_LOG("%lld, with %d jobs %lld, then %lld", before, JOBS, held, after);
	self->ctx = zt_open(O_NONBLOCK);
}

static int contexts[CONTEXTS];
static struct zt_conn conns[CONTEXTS];
static uint32_t links[CONTEXTS];

/* In turn: ids that follow each other are of other contexts, and have an index node each. */
static void submit_records(SELF *self)
{
	struct zcp_segment seg = zt_inline("", 0);
	int i;

	for (i = 0; i < CONTEXTS * RECORDS; i++) {
		struct zcp_job job = zt_job(links[i % CONTEXTS], &seg, 1);

		zt_submit(contexts[i % CONTEXTS], &job);
	}
}

static long long memory_of_zcp(struct zn_sock *nl)
{
	struct zn_numbers n = {};

	zt_need(!zn_get(nl, ZCP_NL_CMD_STATS_GET, 0, 0, zn_keep_stats, &n));
	return n.value[ZCP_NL_A_STATS_MEMORY];
}

/* So is what finds jobs by their ids, which is as large as jobs are. */
TEST_F_TIMEOUT(cgroup, index_is_the_submitters, 240)
{
	const char *lacks = lacks_memory(self);
	long long group, records, nodes;
	struct zn_sock nl;
	int i;

	if (lacks)
		SKIP(return, "%s", lacks);
	zn_open(&nl);
	for (i = 0; i < CONTEXTS; i++) {
		contexts[i] = zt_open(O_NONBLOCK);
		zt_connect(&conns[i], 0, 0);
		links[i] = zt_link(contexts[i], conns[i].tx);
	}
	group = group_number(self, "memory.current", NULL);
	records = memory_of_zcp(&nl);
	start_submitter(self, submit_records);
	group = group_number(self, "memory.current", NULL) - group;
	records = memory_of_zcp(&nl) - records;
	nodes = group - records;
	TH_LOG("%d jobs: %lld of the group, %lld of them records, %lld for each job's index",
	       CONTEXTS * RECORDS, group, records, nodes / (CONTEXTS * RECORDS));
	EXPECT_GT(records, 0);
	EXPECT_GE(nodes, CONTEXTS * RECORDS * INDEX);
	end_submitter(_metadata, self);
	for (i = 0; i < CONTEXTS; i++) {
		close(contexts[i]);
		zt_close(&conns[i]);
	}
	zn_close(&nl);
}

/* More and more, until no memory is given any more. */
static void submit_all(SELF *self)
{
	static char text[INLINE];
	struct zcp_segment seg = zt_inline(text, sizeof(text));
	uint32_t link = zt_link(self->ctx, self->conn.tx);
	struct zcp_job job = zt_job(link, &seg, 1);
	int ret;

	do {
		ret = zt_try_submit(self->ctx, &job);
	} while (!ret);
	zt_need(ret == -ENOMEM);
}

/*
 * At its limit a group gets ENOMEM, or the kernel kills in it; klog.sh knows the
 * name. The jobs that were accepted by then are whole, and others' go on.
 */
TEST_F_TIMEOUT(cgroup, limit_is_the_submitters, 240)
{
	const char *lacks = lacks_memory(self);
	int mine, file, status;
	unsigned int jobs, nr = 0;
	struct zcp_event event;
	struct zt_conn conn;
	struct zt_sink sink;

	if (lacks)
		SKIP(return, "%s", lacks);
	/* Others send all the time. */
	mine = zt_open(O_NONBLOCK);
	zt_connect(&conn, 0, 0);
	zt_sink_count(&sink, conn.rx);
	file = zt_file(&self->box, 1, 0);
	zt_need(!ftruncate(file, 100 * ZT_GIB));
	zt_submit_range(mine, zt_link(mine, conn.tx), file, 0, 100 * ZT_GIB);

	zt_need(!rmdir(self->group));
	snprintf(self->group, sizeof(self->group), "%s/zcp-test-oom-%d", self->root, getpid());
	zt_need(!mkdir(self->group, 0700));
	zt_need(write_to(self->group, "memory.max", "16M"));
	self->pid = fork();
	ASSERT_GE(self->pid, 0);
	if (!self->pid) {
		zt_need(write_to(self->group, "cgroup.procs", "0"));
		submit_all(self);
		_exit(0);
	}
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_TRUE(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		TH_LOG("status %x", status);
	jobs = zt_jobs(self->ctx);
	EXPECT_GT(jobs, 16 * ZT_MIB / INLINE / 2);
	EXPECT_LT(jobs, 16 * ZT_MIB / INLINE);
	EXPECT_EQ(0, zt_unlink(self->ctx, 1, NULL));
	while (zt_readable(self->ctx, 0)) {
		zt_event(self->ctx, &event);
		/* Its peer may have had room for the first ones. */
		EXPECT_TRUE(event.state == ZCP_STATE_CANCELLED || event.state == ZCP_STATE_DONE);
		EXPECT_TRUE(event.state == ZCP_STATE_CANCELLED || event.bytes_acked == INLINE);
		nr++;
	}
	EXPECT_EQ(jobs, nr);
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(mine, 0));
	zt_unlink(mine, 1, NULL);
	zt_event(mine, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	close(conn.tx);
	zt_sink_join(&sink);
	EXPECT_EQ(event.bytes_sent, sink.len);
	zt_sink_free(&sink);
	close(conn.rx);
	close(mine);
	close(file);
	close(self->go[1]);
}

static struct zf_fs fs;

static void submit_file(SELF *self)
{
	int file = zf_open(&fs);

	zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), file, 0, LEN);
	close(file);
}

/* What a worker reads for a job is in the page cache on the submitter's account. */
TEST_F_TIMEOUT(cgroup, pages_are_the_submitters, 240)
{
	const char *lacks = lacks_memory(self);
	struct zcp_event event;
	struct zt_sink sink;
	long long before;
	int ret;

	if (lacks)
		SKIP(return, "%s", lacks);
	ret = zf_mount(&fs, self->box.dir, SEED, LEN);
	if (ret)
		SKIP(return, "needs FUSE: errno %d", -ret);
	before = group_number(self, "memory.stat", "file");
	start_submitter(self, submit_file);
	zt_sink_count(&sink, self->conn.rx);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_GE(group_number(self, "memory.stat", "file") - before, LEN * 9 / 10);
	end_submitter(_metadata, self);
	close(self->ctx);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	self->ctx = zt_open(O_NONBLOCK);
	EXPECT_EQ(0, zf_unmount(&fs, 0));
}

/* An endless job with a reader; the group of its submitter is frozen. */
static void submit_endless(SELF *self)
{
	int file = zt_file(&self->box, 1, 0);

	zt_need(!ftruncate(file, 100 * ZT_GIB));
	zt_submit_range(self->ctx, zt_link(self->ctx, self->conn.tx), file, 0, 100 * ZT_GIB);
	close(file);
}

static bool is_frozen(SELF *self)
{
	return group_number(self, "cgroup.events", "frozen") == 1;
}

static uint64_t bytes_acked(SELF *self)
{
	struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };

	zt_need(!ioctl(self->ctx, ZCP_IOC_STATUS, &status));
	return status.bytes_acked;
}

static void expect_progress(struct __test_metadata *_metadata, SELF *self)
{
	uint64_t acked = bytes_acked(self);
	int i;

	for (i = 0; i < ZT_PATIENCE * 100 && bytes_acked(self) < acked + ZT_MIB; i++)
		zt_sleep_ms(10);
	EXPECT_GE(bytes_acked(self), acked + ZT_MIB);
}

TEST_F_TIMEOUT(cgroup, freezer, 240)
{
	struct zcp_event event;
	struct zt_sink sink;
	int i, round;

	if (!self->group[0])
		SKIP(return, "the kernel lacks cgroup2");
	zt_sink_count(&sink, self->conn.rx);
	start_submitter(self, submit_endless);
	for (round = 0; round < 3; round++) {
		zt_need(write_to(self->group, "cgroup.freeze", "1"));
		for (i = 0; i < ZT_PATIENCE * 100 && !is_frozen(self); i++)
			zt_sleep_ms(10);
		EXPECT_TRUE(is_frozen(self));
		/* It is the kernel that sends. */
		expect_progress(_metadata, self);
		zt_need(write_to(self->group, "cgroup.freeze", "0"));
		expect_progress(_metadata, self);
	}
	EXPECT_EQ(0, zt_unlink(self->ctx, 1, NULL));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	end_submitter(_metadata, self);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(event.bytes_sent, sink.len);
	zt_sink_free(&sink);
}

static void read_event(SELF *self)
{
	uint32_t link = zt_link(self->ctx, self->conn.tx);
	struct zcp_event event;
	int file;

	file = zt_file(&self->box, 1, ZT_MIB);
	zt_submit_range(self->ctx, link, file, 0, ZT_MIB);
	close(file);
	zt_need(!fcntl(self->ctx, F_SETFL, 0));
	zt_need(write(self->told[1], "x", 1) == 1);
	/* Frozen in here, and not told of it. */
	zt_need(read(self->ctx, &event, sizeof(event)) == sizeof(event));
	zt_need(event.state == ZCP_STATE_DONE);
}

/* Who waits in read(2) is frozen there, and gets his event after. */
TEST_F_TIMEOUT(cgroup, frozen_in_read, 240)
{
	struct zt_sink sink;
	char c;
	int i;

	if (!self->group[0])
		SKIP(return, "the kernel lacks cgroup2");
	start_submitter(self, read_event);
	zt_need(write_to(self->group, "cgroup.freeze", "1"));
	for (i = 0; i < ZT_PATIENCE * 100 && !is_frozen(self); i++)
		zt_sleep_ms(10);
	EXPECT_TRUE(is_frozen(self));
	zt_sink_start(&sink, self->conn.rx, ZT_MIB);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
	zt_need(write_to(self->group, "cgroup.freeze", "0"));
	EXPECT_EQ(1, read(self->told[0], &c, 1));
	end_submitter(_metadata, self);
}

TEST_HARNESS_MAIN
