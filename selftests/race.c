// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that get in each other's way: jobs are cancelled and looked at
 * while they are being submitted, by ids that are not told yet, twice at the
 * same time, and while their link is ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <kselftest_harness.h>
#include "zcp_test.h"

#define SECONDS		3
#define CANCELLERS	2

FIXTURE(race) {
	struct zt_box box;
	struct zt_conn conn;
	struct zt_sink sink;
	int ctx;
	int file;
	bool stop;
	uint32_t link;
	uint64_t next;
	size_t submitted;
	size_t events;
	size_t cancelled;
	size_t told;
};

FIXTURE_SETUP(race)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, 1, ZT_MIB);
	zt_connect(&self->conn, 0, 0);
	zt_sink_count(&self->sink, self->conn.rx);
}

FIXTURE_TEARDOWN(race)
{
	close(self->ctx);
	close(self->file);
	close(self->conn.tx);
	zt_sink_join(&self->sink);
	close(self->conn.rx);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

#define SELF FIXTURE_DATA(race)

static bool stopped(SELF *self)
{
	return __atomic_load_n(&self->stop, __ATOMIC_ACQUIRE);
}

/* Cancels the newest job and the ones that come next. */
static void *cancel_ahead(void *arg)
{
	SELF *self = arg;
	struct zcp_cancel cancel;
	unsigned int i = 0;

	while (!stopped(self)) {
		uint64_t id = __atomic_load_n(&self->next, __ATOMIC_RELAXED) + i++ % 3;
		int ret = zt_cancel(self->ctx, id, &cancel);

		zt_need(!ret || ret == -ENOENT);
		if (!ret)
			__atomic_fetch_add(&self->cancelled, cancel.cancelled, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Looks at every job there is, again and again. */
static void *walk(void *arg)
{
	SELF *self = arg;

	while (!stopped(self)) {
		struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };

		while (!ioctl(self->ctx, ZCP_IOC_STATUS, &status)) {
			zt_need(status.bytes_acked <= status.bytes_sent);
			zt_need(status.bytes_zerocopy + status.bytes_copied == status.bytes_sent);
			status.job++;
		}
		zt_need(errno == ENOENT);
	}
	return NULL;
}

static void *collect(void *arg)
{
	SELF *self = arg;
	struct zcp_event events[16];

	for (;;) {
		bool last = stopped(self);
		ssize_t n = read(self->ctx, events, sizeof(events)), i;

		if (n < 0) {
			zt_need(errno == EAGAIN);
			if (last)
				return NULL;
			zt_sleep_ms(1);
			continue;
		}
		for (i = 0; i < n / (ssize_t)sizeof(events[0]); i++) {
			self->events++;
			self->told += events[i].state == ZCP_STATE_CANCELLED;
		}
	}
}

/* Submits until the time is up; the link is ended and made anew now and then. */
static void submit_and_relink(SELF *self, bool relink)
{
	uint64_t end = zt_now_ns() + SECONDS * 1000000000ULL;
	unsigned int round = 0;

	while (zt_now_ns() < end) {
		struct zcp_segment seg = zt_range(self->file, 0, 1 + round % (256 * ZT_KIB));
		struct zcp_job job = zt_job(self->link, &seg, 1);
		int ret;

		ret = zt_try_submit(self->ctx, &job);
		/* Too many at a time: their events are on their way. */
		zt_need(!ret || ret == -EAGAIN);
		if (!ret) {
			self->submitted++;
			__atomic_store_n(&self->next, job.id, __ATOMIC_RELAXED);
		}
		if (++round % 64 == 0 && relink) {
			zt_need(!zt_unlink(self->ctx, self->link, NULL));
			self->link = zt_link_flags(self->ctx, self->conn.tx, ZCP_LINK_CONTINUE);
		}
	}
}

static void run(struct __test_metadata *_metadata, SELF *self, bool relink)
{
	pthread_t threads[CANCELLERS + 2];
	unsigned int i;

	self->link = zt_link_flags(self->ctx, self->conn.tx, ZCP_LINK_CONTINUE);
	for (i = 0; i < CANCELLERS; i++)
		zt_need(!pthread_create(&threads[i], NULL, cancel_ahead, self));
	zt_need(!pthread_create(&threads[i++], NULL, walk, self));
	zt_need(!pthread_create(&threads[i++], NULL, collect, self));
	submit_and_relink(self, relink);
	EXPECT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < CANCELLERS + 2; i++)
		zt_need(!pthread_join(threads[i], NULL));
	TH_LOG("%zu jobs, %zu cancelled, %zu of them by a call", self->submitted, self->told,
	       self->cancelled);
	EXPECT_GT(self->submitted, 100);
	EXPECT_EQ(self->submitted, self->events);
	EXPECT_LE(self->cancelled, self->told);
	EXPECT_EQ(0, zt_jobs(self->ctx));
}

TEST_F_TIMEOUT(race, cancel_while_submitting, 120)
{
	run(_metadata, self, false);
}

/* Submits jobs of nothing, each of as many segments as may be; how long that takes, in ns. */
static uint64_t submit_empty(SELF *self)
{
	enum { JOBS = 64, SEGMENTS = 256 };
	struct zcp_segment segs[SEGMENTS];
	struct zcp_job jobs[JOBS];
	struct zcp_submit submit = {
		.size = sizeof(submit), .job_size = sizeof(jobs[0]), .nr_jobs = JOBS,
		.jobs = (uintptr_t)jobs,
	};
	uint64_t begin;
	int i;

	for (i = 0; i < SEGMENTS; i++)
		segs[i] = zt_inline("", 0);
	for (i = 0; i < JOBS; i++)
		jobs[i] = zt_job(self->link, segs, SEGMENTS);
	begin = zt_now_ns();
	zt_need(!ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit) || errno == EAGAIN);
	return zt_now_ns() - begin;
}

/* The longest of many. */
static void *submit_many_empty(void *arg)
{
	static uint64_t longest[4];
	static unsigned int callers;
	uint64_t *mine = &longest[__atomic_fetch_add(&callers, 1, __ATOMIC_RELAXED)];
	SELF *self = arg;
	uint64_t ns;

	while (!stopped(self)) {
		ns = submit_empty(self);
		if (ns > *mine)
			*mine = ns;
	}
	return mine;
}

/* Who happens to be the runner does not go on for as long as others bring jobs. */
TEST_F_TIMEOUT(race, nobody_is_kept, 120)
{
	/* Jobs of so many segments take 16 KiB each. */
	uint64_t max_jobs = zt_parameter("max_jobs", 4096);
	uint64_t *longest, limit = 2000000000ULL, alone = 0;
	pthread_t threads[3], collector;
	int i;

	self->link = zt_link(self->ctx, self->conn.tx);
	zt_need(!pthread_create(&collector, NULL, collect, self));
	/* A kernel that looks for races takes some hundred ms for one. */
	for (i = 0; i < 3; i++)
		alone += submit_empty(self) / 3;
	if (limit < 10 * alone)
		limit = 10 * alone;
	for (i = 0; i < 3; i++)
		zt_need(!pthread_create(&threads[i], NULL, submit_many_empty, self));
	zt_sleep_ms(SECONDS * 2000);
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 3; i++) {
		zt_need(!pthread_join(threads[i], (void **)&longest));
		EXPECT_LT(*longest, limit)
			TH_LOG("one call took %llu ms, alone %llu",
			       (unsigned long long)*longest / 1000000,
			       (unsigned long long)alone / 1000000);
	}
	zt_need(!pthread_join(collector, NULL));
	zt_parameter("max_jobs", max_jobs);
	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
}

TEST_F_TIMEOUT(race, unlink_while_cancelling, 120)
{
	run(_metadata, self, true);
}

/* Two of each kind of thread on one link, which is ended and made anew. */
static void *submit_until(void *arg)
{
	SELF *self = arg;
	unsigned int round = 0;

	while (!stopped(self)) {
		uint32_t link = __atomic_load_n(&self->link, __ATOMIC_ACQUIRE);
		struct zcp_segment seg = zt_range(self->file, 0, round++ * 997 % (128 * ZT_KIB));
		struct zcp_job job = zt_job(link, &seg, 1);
		int ret = zt_try_submit(self->ctx, &job);

		/* Its link may have ended, or it is too many at a time. */
		zt_need(!ret || ret == -ENOENT || ret == -EAGAIN);
		if (ret)
			continue;
		__atomic_fetch_add(&self->submitted, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&self->next, job.id, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Who loses the race to end it finds no such link, or that one is linked already. */
static void *relink(void *arg)
{
	struct zcp_link req = { .size = sizeof(req), .flags = ZCP_LINK_CONTINUE };
	SELF *self = arg;

	req.fd = self->conn.tx;
	while (!stopped(self)) {
		uint32_t link = __atomic_load_n(&self->link, __ATOMIC_ACQUIRE);
		int ret = zt_unlink(self->ctx, link, NULL);

		zt_need(!ret || ret == -ENOENT);
		if (!ioctl(self->ctx, ZCP_IOC_LINK, &req))
			__atomic_store_n(&self->link, req.link, __ATOMIC_RELEASE);
		else
			zt_need(errno == EBUSY);
		zt_sleep_ms(1);
	}
	return NULL;
}

static void *collect_one(void *arg)
{
	struct zcp_event event;
	SELF *self = arg;
	ssize_t n;

	for (;;) {
		bool last = stopped(self);

		n = read(self->ctx, &event, sizeof(event));
		if (n == sizeof(event)) {
			__atomic_fetch_add(&self->events, 1, __ATOMIC_RELAXED);
		} else {
			zt_need(n < 0 && errno == EAGAIN);
			if (last)
				return NULL;
			zt_sleep_ms(1);
		}
	}
}

TEST_F_TIMEOUT(race, everybody_at_once, 120)
{
	static void *(*const who[])(void *) = {
		submit_until, relink, cancel_ahead, walk, collect_one,
	};
	enum { KINDS = sizeof(who) / sizeof(who[0]) };
	pthread_t threads[2 * KINDS];
	unsigned int i;

	self->link = zt_link_flags(self->ctx, self->conn.tx, ZCP_LINK_CONTINUE);
	for (i = 0; i < 2 * KINDS; i++)
		zt_need(!pthread_create(&threads[i], NULL, who[i % KINDS], self));
	zt_sleep_ms(SECONDS * 1000);
	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2 * KINDS; i++)
		zt_need(!pthread_join(threads[i], NULL));
	zt_unlink(self->ctx, self->link, NULL);
	collect_one(self);
	TH_LOG("%zu jobs, the last link is %u", self->submitted, self->link);
	EXPECT_GT(self->submitted, 10);
	EXPECT_GT(self->link, 2);
	EXPECT_EQ(self->submitted, self->events);
	EXPECT_EQ(0, zt_jobs(self->ctx));
}

TEST_HARNESS_MAIN
