// SPDX-License-Identifier: GPL-2.0-only
/*
 * Orders of steps that are rare, and that things went wrong in: the module
 * zcp_pause holds up who takes the first one. See docs/model.md, which found them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "module/zcp_pause.h"
#include "zcp_fuse.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define SEED	1
#define LEN	ZT_MIB
#define PAUSE_MS	10000
#define TIMES	5
#define WORKERS_CPUS	"/sys/devices/virtual/workqueue/cpumask"

FIXTURE(order) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	char workers[64];	/* where they were */
	int point;
	int ctx;
	int file;
};

#define SELF FIXTURE_DATA(order)

/* Loads the module, the first time. */
static int open_point(void)
{
	const char *ko = getenv("ZCP_PAUSE_KO");

	if (access(ZPAUSE_DEV, F_OK) && (!ko || zt_run("insmod '%s'", ko)))
		return -1;
	return open(ZPAUSE_DEV, O_RDWR | O_CLOEXEC);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	zt_need(!sched_setaffinity(0, sizeof(set), &set));
}

/* Those that are bound to no CPU. */
static void read_workers(char *mask, size_t size)
{
	FILE *f = fopen(WORKERS_CPUS, "re");

	zt_need(f && fgets(mask, size, f));
	fclose(f);
	mask[strcspn(mask, "\n")] = '\0';
}

static void workers_on(const char *mask)
{
	zt_need(!zt_run("echo %s >" WORKERS_CPUS, mask));
}

FIXTURE_SETUP(order)
{
	/* Before the references are counted: loading needs a while to be over. */
	self->point = open_point();
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, SEED, LEN);
	self->conn.tx = -1;
	self->conn.rx = -1;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	/* Nothing else runs on the CPU of who pauses, and its timers wait. */
	read_workers(self->workers, sizeof(self->workers));
	workers_on("2");
	run_on(0);
}

FIXTURE_TEARDOWN(order)
{
	if (self->workers[0])
		workers_on(self->workers);
	if (self->ctx >= 0)
		close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	if (self->point >= 0) {
		close(self->point);
		self->box.fds--;
	}
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* NULL, or why there are no pauses. */
static const char *pause_at(int point, const char *symbol, const char *caller, uint32_t flags)
{
	struct zpause at = { .flags = flags, .max_ms = PAUSE_MS };

	if (point < 0)
		return "there is no " ZPAUSE_DEV ": ZCP_PAUSE_KO names the module zcp_pause.ko";
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return "needs two CPUs: nothing runs on the one of who pauses";
	strcpy(at.symbol, symbol);
	strcpy(at.caller, caller);
	if (ioctl(point, ZPAUSE_AT, &at)) {
		zt_need(errno == EOPNOTSUPP);
		return "the kernel lacks kprobes";
	}
	return NULL;
}

static void arm(int point, uint32_t skip)
{
	zt_need(!ioctl(point, ZPAUSE_ARM, &skip));
}

static bool paused(int point, uint32_t ms)
{
	return !ioctl(point, ZPAUSE_WAIT, &ms);
}

static void go_on(int point)
{
	zt_need(!ioctl(point, ZPAUSE_GO));
}

/* Reads what there is, and what comes of it, for a moment. */
static void read_all(const struct zt_conn *conn)
{
	static char buf[65536];
	int tries;

	for (tries = 0; tries < 20; tries++) {
		while (recv(conn->rx, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		if (!zt_unacked(conn->tx))
			return;
		zt_sleep_ms(5);
	}
}

/* Bytes that were given to TCP; less for a moment, never more. */
static uint64_t written(int fd)
{
	uint64_t acked = zt_tcp_acked(fd);

	return acked + zt_unacked(fd);
}

/* Has somebody read until the worker that the test is about pauses. */
static void read_until_paused(int point, const struct zt_conn *conn, size_t step)
{
	uint64_t until = zt_now_ns() + ZT_PATIENCE * 1000000000ULL;
	char buf[65536];

	do {
		zt_need(zt_now_ns() < until);
		zt_need(recv(conn->rx, buf, step, MSG_DONTWAIT) > 0 || errno == EAGAIN);
	} while (!paused(point, 5));
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * A worker that is about to have a turn later, when one was called for at once: it
 * must not be put off. So it is when a turn that was to come much later is known
 * from before.
 */
TEST_F_TIMEOUT(order, called_worker_is_not_put_off, 240)
{
	const char *lacks = pause_at(self->point, "zlink_kick_later", "[zcp]", ZPAUSE_WORKER);
	uint64_t took[TIMES], began, had;
	int i;

	if (lacks)
		SKIP(return, "%s", lacks);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	for (i = 0; i < TIMES; i++) {
		/* The safety net is at half a second and more by now. */
		zt_sleep_ms(1000);
		arm(self->point, 0);
		read_until_paused(self->point, &self->conn, 4096);
		/* There was no room when it looked, now there is: a worker is called. */
		read_all(&self->conn);
		had = written(self->conn.tx);
		began = zt_now_ns();
		go_on(self->point);
		while (written(self->conn.tx) <= had && zt_now_ns() - began < 5000000000ULL)
			;
		took[i] = zt_now_ns() - began;
		TH_LOG("the next bytes came after %llu us", (unsigned long long)took[i] / 1000);
	}
	qsort(took, TIMES, sizeof(took[0]), compare);
	/* The net is at 100 ms after progress. */
	EXPECT_LT(took[TIMES / 2], 80 * 1000000ULL);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	zt_event(self->ctx, &(struct zcp_event){});
}

struct submission {
	pthread_t thread;
	SELF *self;
	uint64_t id;
	int error;
};

static void *submit(void *arg)
{
	struct submission *s = arg;

	run_on(1);
	s->id = zt_submit_range(s->self->ctx, s->self->link, s->self->file, 0, LEN);
	return NULL;
}

/* A socket begins another connection when bytes are about to be given to the first. */
TEST_F_TIMEOUT(order, next_connection_gets_nothing, 240)
{
	const char *lacks = pause_at(self->point, "lock_sock_nested", "[zcp]", 0);
	struct sockaddr any = { .sa_family = AF_UNSPEC };
	struct submission submission = { .self = self };
	struct zcp_event event;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int listener, next;

	if (lacks)
		SKIP(return, "%s", lacks);
	listener = zt_listen(AF_INET, 0);
	zt_need(!getsockname(listener, (struct sockaddr *)&sin, &len));
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	arm(self->point, 0);
	zt_need(!pthread_create(&submission.thread, NULL, submit, &submission));
	zt_need(paused(self->point, ZT_PATIENCE * 1000));
	zt_need(!connect(self->conn.tx, &any, sizeof(any)));
	zt_need(!connect(self->conn.tx, (struct sockaddr *)&sin, len));
	go_on(self->point);
	zt_need(!pthread_join(submission.thread, NULL));
	next = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	zt_need(next >= 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(submission.id, event.job);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(ECONNRESET, event.error);
	EXPECT_EQ(0, event.bytes_sent);
	EXPECT_EQ(0, event.bytes_acked);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	EXPECT_EQ(0, zt_drain(next));
	close(next);
	close(listener);
}

static void *submit_to_nobody(void *arg)
{
	struct submission *s = arg;
	struct zcp_segment seg = zt_range(s->self->file, 0, LEN);
	struct zcp_job job = zt_job(s->self->link, &seg, 1);

	run_on(1);
	s->error = -zt_try_submit(s->self->ctx, &job);
	return NULL;
}

/* A link is closed while listeners are about to be told of a job for it. */
TEST_F_TIMEOUT(order, closed_before_it_is_told, 240)
{
	const char *lacks = pause_at(self->point, "zjob_status", "[zcp]", 0);
	struct submission submission = { .self = self };
	struct zn_sock nl;

	if (lacks)
		SKIP(return, "%s", lacks);
	zn_open(&nl);
	zt_need(!zn_subscribe(&nl));
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	arm(self->point, 0);
	zt_need(!pthread_create(&submission.thread, NULL, submit_to_nobody, &submission));
	zt_need(paused(self->point, ZT_PATIENCE * 1000));
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	go_on(self->point);
	zt_need(!pthread_join(submission.thread, NULL));
	EXPECT_EQ(ENOENT, submission.error);
	EXPECT_EQ(0, zn_listen(&nl, 200, NULL, NULL));
	zn_close(&nl);
}

static void *call_rmmod(void *arg)
{
	*(int *)arg = syscall(SYS_delete_module, "zcp", O_NONBLOCK) ? errno : 0;
	return NULL;
}

/*
 * A worker is at the end of its turn, and is about to call for one that may wait
 * for a disk. Before it does, the link is closed by another, and the module goes:
 * not without the worker.
 */
TEST_F_TIMEOUT(order, rmmod_waits_for_a_call_to_come, 240)
{
	const char *ko = getenv("ZCP_KO"), *lacks;
	int point = open_point(), slow, ret = -1;
	struct zcp_segment segs[2];
	struct zcp_job job;
	struct zf_fs fs;
	pthread_t thread;

	lacks = pause_at(self->point, "zjob_begin_io", "", ZPAUSE_WORKER) ?:
		pause_at(point, "queue_work_on", "[zcp]", ZPAUSE_WORKER);
	if (!lacks && (!ko || access(ko, R_OK)))
		lacks = "needs the module's file: set ZCP_KO";
	if (!lacks && self->box.refs)
		lacks = "needs a module that nobody else uses";
	if (!lacks && zf_mount(&fs, self->box.dir, SEED, LEN))
		lacks = "needs FUSE";
	if (lacks) {
		if (point >= 0)
			close(point);
		SKIP(return, "%s", lacks);
	}
	slow = zf_open(&fs);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	/* Cached pages until it blocks, and then some that have to be read. */
	segs[0] = zt_range(self->file, 0, LEN);
	segs[1] = zt_range(slow, 0, LEN);
	job = zt_job(self->link, segs, 2);
	arm(self->point, 0);
	zt_submit(self->ctx, &job);
	read_until_paused(self->point, &self->conn, 65536);
	arm(point, 0);
	go_on(self->point);
	zt_need(paused(point, ZT_PATIENCE * 1000));
	close(self->ctx);
	self->ctx = -1;
	zt_need(!pthread_create(&thread, NULL, call_rmmod, &ret));
	zt_sleep_ms(500);
	go_on(point);
	zt_need(!pthread_join(thread, NULL));
	EXPECT_EQ(0, ret);
	EXPECT_NE(0, access("/sys/module/zcp", F_OK));
	close(point);
	zt_close(&self->conn);
	close(slow);
	EXPECT_EQ(0, zf_unmount(&fs, 0));
	EXPECT_EQ(0, zt_run("insmod %s", ko));
}

TEST_HARNESS_MAIN
