// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notifications of the netlink family: their order, their number, readers that
 * are too slow, and what ends while somebody looks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN		(1 * ZT_MIB)

FIXTURE(notify) {
	struct zt_box box;
	struct zt_conn conn;
	struct zt_sink sink;
	struct zn_sock nl;
	uint64_t progress_ms;
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(notify)
{
	char path[128];

	zt_box_open(&self->box, 1500);
	snprintf(path, sizeof(path), "%s/a file", self->box.dir);
	self->file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	zt_need(self->file >= 0);
	zt_fill(self->file, 1, 0, LEN);
	zn_open(&self->nl);
	self->ctx = zt_open(0);
	zt_connect(&self->conn, 0, 0);
	zt_sink_count(&self->sink, self->conn.rx);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->progress_ms = zt_parameter("progress_ms", 1000);
}

FIXTURE_TEARDOWN(notify)
{
	close(self->ctx);
	shutdown(self->conn.tx, SHUT_WR);
	zt_sink_join(&self->sink);
	zt_close(&self->conn);
	close(self->file);
	zn_close(&self->nl);
	zt_parameter("progress_ms", self->progress_ms);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* What was told of up to 4,096 jobs, which have ids that follow each other. */
struct told {
	uint64_t first;
	struct {
		uint8_t last;		/* command of the last message */
		uint8_t state;		/* in it */
		uint8_t nr[4];		/* new, progress, stage, done */
		uint64_t sent;
	} job[4096];
	unsigned int wrong;
};

#define WRONG(cond) \
	do { \
		if (cond) { \
			if (!told->wrong++) \
				fprintf(stderr, "# job %u: command %u state %u: %s\n", (int)at, \
					msg->cmd, zn_u32(msg, ZCP_NL_A_JOB_STATE), #cond); \
		} \
	} while (0)

static void keep_told(const struct zn_msg *msg, void *arg)
{
	uint32_t state = zn_u32(msg, ZCP_NL_A_JOB_STATE);
	uint64_t sent = zn_u64(msg, ZCP_NL_A_JOB_BYTES_SENT);
	struct told *told = arg;
	uint64_t at;

	if (!told->first)
		told->first = zn_u64(msg, ZCP_NL_A_JOB_ID);
	at = zn_u64(msg, ZCP_NL_A_JOB_ID) - told->first;
	zt_need(at < 4096);
	WRONG(told->job[at].last == ZCP_NL_CMD_JOB_DONE_NTF);
	switch (msg->cmd) {
	case ZCP_NL_CMD_JOB_NEW_NTF:
		WRONG(told->job[at].last || state != ZCP_STATE_QUEUED || sent);
		break;
	case ZCP_NL_CMD_JOB_STAGE_NTF:
		if (state == ZCP_STATE_RUNNING)
			WRONG(told->job[at].last != ZCP_NL_CMD_JOB_NEW_NTF);
		else
			WRONG(state != ZCP_STATE_SENT || !told->job[at].nr[2]);
		break;
	case ZCP_NL_CMD_JOB_PROGRESS_NTF:
		WRONG(!told->job[at].nr[2] || told->job[at].state == ZCP_STATE_SENT);
		WRONG(sent <= told->job[at].sent);
		break;
	case ZCP_NL_CMD_JOB_DONE_NTF:
		WRONG(state < ZCP_STATE_DONE);
		break;
	default:
		WRONG(true);
	}
	WRONG(zn_u32(msg, ZCP_NL_A_JOB_PID) == 0 || zn_u32(msg, ZCP_NL_A_JOB_UID) != 0);
	WRONG(msg->attrs[ZCP_NL_A_JOB_FILE] && strcmp(zn_str(msg, ZCP_NL_A_JOB_FILE), "a file"));
	told->job[at].last = msg->cmd;
	told->job[at].state = state;
	told->job[at].sent = sent;
	told->job[at].nr[msg->cmd - ZCP_NL_CMD_JOB_NEW_NTF]++;
}

static void expect_told(struct __test_metadata *_metadata, const struct told *told,
			unsigned int at, unsigned int stages, uint32_t state)
{
	EXPECT_EQ(1, told->job[at].nr[0]);
	EXPECT_EQ(stages, told->job[at].nr[2]);
	EXPECT_EQ(1, told->job[at].nr[3]);
	EXPECT_EQ(state, told->job[at].state);
}

TEST_F_TIMEOUT(notify, stages_come_in_order_and_once, 2 * ZT_PATIENCE)
{
	static struct told told;
	struct zcp_segment seg = zt_inline("0123456789", 10);
	struct zcp_cancel cancel;
	struct zt_conn conn;
	struct zcp_event event;
	struct zcp_job job;
	uint32_t link;
	uint64_t id;

	ASSERT_EQ(0, zn_subscribe(&self->nl));
	zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_event(self->ctx, &event);
	job = zt_job(self->link, &seg, 1);
	job.complete = ZCP_COMPLETE_SENT;
	zt_submit(self->ctx, &job);
	zt_event(self->ctx, &event);
	/* Cancelled when blocked, when queued, when sent. */
	zt_connect_blocking(&conn);
	link = zt_link(self->ctx, conn.tx);
	id = zt_submit_range(self->ctx, link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_submit_range(self->ctx, link, self->file, 0, LEN);
	ASSERT_EQ(0, zt_cancel(self->ctx, id + 1, &cancel));
	ASSERT_EQ(0, zt_cancel(self->ctx, id, &cancel));
	zt_unlink(self->ctx, link, NULL);
	zt_close(&conn);
	zt_connect_holding(&conn);
	link = zt_link(self->ctx, conn.tx);
	id = zt_submit_range(self->ctx, link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	ASSERT_EQ(0, zt_cancel(self->ctx, id, &cancel));
	/* Ended by the connection, and by close(2). */
	zt_close(&conn);
	zt_unlink(self->ctx, link, NULL);
	zt_connect_blocking(&conn);
	link = zt_link(self->ctx, conn.tx);
	id = zt_submit_range(self->ctx, link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	zt_reset(conn.rx);
	conn.rx = -1;
	zt_wait_state(self->ctx, id, ZCP_STATE_FAILED);
	zt_close(&conn);
	zt_connect_blocking(&conn);
	link = zt_link(self->ctx, conn.tx);
	id = zt_submit_range(self->ctx, link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	close(self->ctx);
	self->ctx = zt_open(0);
	self->link = zt_link(self->ctx, self->conn.tx);

	EXPECT_GT(zn_listen(&self->nl, ZT_WATCH, keep_told, &told), 0);
	EXPECT_EQ(0, told.wrong);
	EXPECT_EQ(id, told.first + 6);
	expect_told(_metadata, &told, 0, 2, ZCP_STATE_DONE);
	expect_told(_metadata, &told, 1, 1, ZCP_STATE_DONE);
	expect_told(_metadata, &told, 2, 1, ZCP_STATE_CANCELLED);
	expect_told(_metadata, &told, 3, 0, ZCP_STATE_CANCELLED);
	expect_told(_metadata, &told, 4, 2, ZCP_STATE_CANCELLED);
	expect_told(_metadata, &told, 5, 1, ZCP_STATE_FAILED);
	expect_told(_metadata, &told, 6, 1, ZCP_STATE_CANCELLED);
	zt_close(&conn);
}

TEST_F_TIMEOUT(notify, every_job_of_many_links_is_told_in_order, 2 * ZT_PATIENCE)
{
	enum { LINKS = 8, EACH = 40 };
	static struct told told;
	struct zt_conn conn[LINKS];
	struct zt_sink sink[LINKS];
	int big = 64 << 20;
	struct zcp_event event;
	unsigned int i, j;
	uint32_t link[LINKS];

	zt_need(!setsockopt(nl_socket_get_fd(self->nl.sk), SOL_SOCKET, SO_RCVBUFFORCE, &big,
			    sizeof(big)));
	ASSERT_EQ(0, zn_subscribe(&self->nl));
	for (i = 0; i < LINKS; i++) {
		zt_connect(&conn[i], 0, 0);
		zt_sink_count(&sink[i], conn[i].rx);
		link[i] = zt_link(self->ctx, conn[i].tx);
	}
	for (j = 0; j < EACH; j++) {
		for (i = 0; i < LINKS; i++)
			zt_submit_range(self->ctx, link[i], self->file, 0, 10000 * (i + 1));
	}
	for (j = 0; j < LINKS * EACH; j++)
		zt_event(self->ctx, &event);
	EXPECT_GT(zn_listen(&self->nl, ZT_WATCH, keep_told, &told), 0);
	EXPECT_EQ(0, told.wrong);
	for (j = 0; j < LINKS * EACH; j++)
		expect_told(_metadata, &told, j, 2, ZCP_STATE_DONE);
	for (i = 0; i < LINKS; i++) {
		zt_unlink(self->ctx, link[i], NULL);
		shutdown(conn[i].tx, SHUT_WR);
		zt_sink_join(&sink[i]);
		zt_close(&conn[i]);
	}
}

static unsigned int progress_of_a_job(FIXTURE_DATA(notify) *self, struct told *told)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zcp_event event;

	memset(told, 0, sizeof(*told));
	/* A second long, in many pushes. */
	job.rate = LEN;
	zt_submit(self->ctx, &job);
	zt_event(self->ctx, &event);
	zt_need(zn_listen(&self->nl, ZT_WATCH, keep_told, told) > 0);
	return told->job[0].nr[1];
}

TEST_F_TIMEOUT(notify, progress_keeps_its_interval, 2 * ZT_PATIENCE)
{
	static struct told told;
	unsigned int nr;

	ASSERT_EQ(0, zn_subscribe(&self->nl));
	zt_parameter("progress_ms", 100);
	nr = progress_of_a_job(self, &told);
	EXPECT_GE(nr, 1);
	EXPECT_LE(nr, 1 + (told.job[0].nr[3] ? 3000 / 100 : 0));
	EXPECT_EQ(0, told.wrong);
	zt_parameter("progress_ms", 0);
	EXPECT_EQ(0, progress_of_a_job(self, &told));
	EXPECT_EQ(0, told.wrong);
	zt_parameter("progress_ms", 100000);
	EXPECT_EQ(0, progress_of_a_job(self, &told));
}

static void keep_lost(const struct zn_msg *msg, void *arg)
{
	*(uint64_t *)arg = zn_u64(msg, ZCP_NL_A_STATS_EVENTS_LOST);
}

TEST_F_TIMEOUT(notify, slow_reader_loses_and_jobs_go_on, 2 * ZT_PATIENCE)
{
	enum { JOBS = 500 };
	static struct told told;
	int small = 16 * 1024, one = 1, fd;
	struct zn_sock ask;
	struct zcp_event event;
	uint64_t lost = 0;
	unsigned int i;

	zn_open(&ask);
	fd = nl_socket_get_fd(self->nl.sk);
	zt_need(!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	zt_need(!setsockopt(fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &one, sizeof(one)));
	ASSERT_EQ(0, zn_subscribe(&self->nl));
	for (i = 0; i < JOBS; i++)
		zt_submit_range(self->ctx, self->link, self->file, 0, 100);
	for (i = 0; i < JOBS; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	EXPECT_EQ(0, zn_get(&ask, ZCP_NL_CMD_STATS_GET, 0, 0, keep_lost, &lost));
	EXPECT_GT(lost, JOBS);
	EXPECT_LT(lost, 4 * JOBS);
	/* It is told so, once, and gets what had room. */
	EXPECT_EQ(-ENOBUFS, zn_listen(&self->nl, ZT_WATCH, keep_told, &told));
	EXPECT_GT(zn_listen(&self->nl, ZT_WATCH, keep_told, &told), 0);
	EXPECT_EQ(0, told.wrong);
	/* And later everything again. */
	memset(&told, 0, sizeof(told));
	zt_submit_range(self->ctx, self->link, self->file, 0, 100);
	zt_event(self->ctx, &event);
	EXPECT_GE(zn_listen(&self->nl, ZT_WATCH, keep_told, &told), 4);
	EXPECT_EQ(0, told.wrong);
	expect_told(_metadata, &told, 0, 2, ZCP_STATE_DONE);
	zn_close(&ask);
}

TEST_F(notify, other_namespaces_hear_nothing)
{
	static struct told told;
	struct zn_sock other;
	struct zcp_event event;
	int here;

	here = open("/proc/self/ns/net", O_RDONLY);
	zt_need(here >= 0 && !unshare(CLONE_NEWNET));
	zn_open(&other);
	zt_need(!zn_subscribe(&other));
	zt_need(!setns(here, CLONE_NEWNET));
	close(here);
	ASSERT_EQ(0, zn_subscribe(&self->nl));
	zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_event(self->ctx, &event);
	EXPECT_GE(zn_listen(&self->nl, ZT_WATCH, keep_told, &told), 4);
	EXPECT_EQ(0, zn_listen(&other, ZT_WATCH, keep_told, &told));
	zn_close(&other);
}

struct looker {
	pthread_t thread;
	struct zn_sock nl;
	bool stop;
	unsigned int nr;
};

static void count_message(const struct zn_msg *msg, void *arg)
{
	(*(unsigned int *)arg)++;
}

/* Looks at everything there is, again and again. */
static void *looker_main(void *arg)
{
	struct looker *l = arg;
	struct zn_sock ask;

	zn_open(&ask);
	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		zn_dump(&ask, ZCP_NL_CMD_JOB_GET, 0, 0, count_message, &l->nr);
		zn_dump(&ask, ZCP_NL_CMD_LINK_GET, 0, 0, count_message, &l->nr);
		zn_dump(&ask, ZCP_NL_CMD_CONTEXT_GET, 0, 0, count_message, &l->nr);
		zn_get(&ask, ZCP_NL_CMD_STATS_GET, 0, 0, NULL, NULL);
		zn_listen(&l->nl, 0, count_message, &l->nr);
	}
	zn_close(&ask);
	return NULL;
}

static void looker_start(struct looker *l)
{
	memset(l, 0, sizeof(*l));
	zn_open(&l->nl);
	zt_need(!zn_subscribe(&l->nl));
	zt_need(!pthread_create(&l->thread, NULL, looker_main, l));
}

static void looker_join(struct looker *l)
{
	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
	pthread_join(l->thread, NULL);
	zn_close(&l->nl);
}

/*
 * Each round leaves jobs in all states to close(2), and the file system that
 * they send from is unmounted at once: who looks holds nothing.
 */
TEST_F_TIMEOUT(notify, contexts_close_while_somebody_looks, 2 * ZT_PATIENCE)
{
	struct looker looker[2];
	char dir[128], path[192];
	unsigned int round, i;
	struct zt_conn conn;
	uint32_t link;
	int ctx, file;

	snprintf(dir, sizeof(dir), "%s/mnt", self->box.dir);
	snprintf(path, sizeof(path), "%s/file", dir);
	zt_need(!zt_run("mkdir %s", dir));
	for (i = 0; i < 2; i++)
		looker_start(&looker[i]);
	for (round = 0; round < 6; round++) {
		zt_need(!zt_run("mount -t tmpfs none %s", dir));
		file = open(path, O_RDWR | O_CREAT, 0600);
		zt_need(file >= 0);
		zt_fill(file, 1, 0, LEN);
		ctx = zt_open(0);
		zt_connect_blocking(&conn);
		link = zt_link(ctx, conn.tx);
		zt_submit_range(ctx, link, file, 0, 1);
		zt_submit_range(ctx, link, file, 0, LEN);
		for (i = 0; i < 20; i++)
			zt_submit_range(ctx, link, file, 0, 1);
		close(file);
		close(ctx);
		/* Packets do not hold a mount, and nobody else does. */
		EXPECT_EQ(0, zt_run("umount %s", dir));
		zt_close(&conn);
	}
	for (i = 0; i < 2; i++) {
		looker_join(&looker[i]);
		EXPECT_GT(looker[i].nr, 0);
	}
	zt_run("rmdir %s", dir);
}

/* A job and its context are left in a namespace that has lost its name. */
static int in_named_namespace(int go, int ready)
{
	struct zt_conn conn;
	uint32_t link;
	uint64_t id;
	char byte;
	int ctx, file = open("/tmp/zcp-notify-file", O_RDWR | O_CREAT, 0600);

	zt_need(file >= 0);
	unlink("/tmp/zcp-notify-file");
	zt_fill(file, 1, 0, LEN);
	ctx = zt_open(0);
	zt_connect_blocking(&conn);
	link = zt_link(ctx, conn.tx);
	id = zt_submit_range(ctx, link, file, 0, LEN);
	zt_wait_state(ctx, id, ZCP_STATE_BLOCKED);
	zt_need(write(ready, "", 1) == 1);
	zt_need(read(go, &byte, 1) == 1);
	/* It has no name by now, and the job is as it was. */
	return zt_state(ctx, id) == ZCP_STATE_BLOCKED ? 0 : 1;
}

TEST_F_TIMEOUT(notify, namespace_is_removed_with_jobs_in_flight, 2 * ZT_PATIENCE)
{
	int go[2], ready[2], status, round;
	struct looker looker;
	char byte;
	pid_t pid;

	looker_start(&looker);
	for (round = 0; round < 3; round++) {
		zt_need(!pipe(go) && !pipe(ready));
		ASSERT_EQ(0, zt_run("ip netns add zcp-notify"));
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			int ns = open("/run/netns/zcp-notify", O_RDONLY);

			zt_need(ns >= 0 && !setns(ns, CLONE_NEWNET));
			close(ns);
			zt_need(!zt_run("ip link set lo up"));
			_exit(in_named_namespace(go[0], ready[1]));
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		EXPECT_EQ(0, zt_run("ip netns del zcp-notify"));
		ASSERT_EQ(1, write(go[1], "", 1));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		close(go[0]);
		close(go[1]);
		close(ready[0]);
		close(ready[1]);
	}
	looker_join(&looker);
}

/*
 * A final job of a namespace that is gone: its socket is let go, its context
 * and its record are here.
 */
TEST_F(notify, namespace_is_gone_before_the_event_is_read)
{
	struct zt_conn conn;
	struct zcp_event event;
	struct looker looker;
	unsigned int nr = 0;
	uint32_t link;
	int here;

	here = open("/proc/self/ns/net", O_RDONLY);
	zt_need(here >= 0 && !unshare(CLONE_NEWNET));
	zt_need(!zt_run("ip link set lo up"));
	zt_connect_blocking(&conn);
	zt_need(!setns(here, CLONE_NEWNET));
	close(here);
	looker_start(&looker);
	link = zt_link(self->ctx, conn.tx);
	zt_submit_range(self->ctx, link, self->file, 0, LEN);
	zt_unlink(self->ctx, link, NULL);
	zt_close(&conn);
	zt_sleep_ms(100);
	/* Not of this namespace, and of no other that will ever be. */
	EXPECT_EQ(0, zn_dump(&self->nl, ZCP_NL_CMD_JOB_GET, 0, 0, count_message, &nr));
	EXPECT_EQ(0, nr);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	looker_join(&looker);
}

/* Few enough that some samples are taken while the host does nothing else. */
#define TIMED_JOBS	20

static uint64_t time_of_jobs(FIXTURE_DATA(notify) *self)
{
	struct zcp_segment seg = zt_inline("x", 1);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	uint64_t begin = zt_now_ns(), took;
	struct zcp_event event;
	unsigned int i;

	job.complete = ZCP_COMPLETE_SENT;
	for (i = 0; i < TIMED_JOBS; i++) {
		zt_submit(self->ctx, &job);
		zt_event(self->ctx, &event);
	}
	took = zt_now_ns() - begin;
	return took;
}

TEST_F_TIMEOUT(notify, nobody_listening_costs_less_than_somebody, 2 * ZT_PATIENCE)
{
	uint64_t without = ~0ULL, with = ~0ULL, took;
	struct zn_sock nl;
	int round;

	for (round = 0; round < 50; round++) {
		took = time_of_jobs(self);
		without = took < without ? took : without;
		zn_open(&nl);
		zt_need(!zn_subscribe(&nl));
		took = time_of_jobs(self);
		with = took < with ? took : with;
		zn_close(&nl);
	}
	TH_LOG("ns for a job: %llu, with a listener %llu", (unsigned long long)without / TIMED_JOBS,
	       (unsigned long long)with / TIMED_JOBS);
	EXPECT_LT(without, with);
}

TEST_HARNESS_MAIN
