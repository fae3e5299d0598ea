// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine is suspended, as far as its tasks are frozen, and its CPUs come
 * and go, while jobs run: neither fails, and what is sent is right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN		(4 * ZT_MIB)
#define PACED		(64 * ZT_KIB)
#define LINKS		4
#define ROUNDS		6
#define CPU		"/sys/devices/system/cpu/cpu1/online"
#define PM_TEST		"/sys/power/pm_test"
#define PM_DELAY	"/sys/module/suspend/parameters/pm_test_delay"

/* Streams that never pause: each has jobs until it is told to stop. */
FIXTURE(power) {
	struct zt_box box;
	struct zt_conn conns[LINKS];
	struct zt_sink sinks[LINKS];
	uint32_t links[LINKS];
	int ctx;
	int file;
	uint64_t submitted[LINKS];
	uint64_t done;
	pthread_t feeder;
	bool started;
	bool stop;
};

#define SELF FIXTURE_DATA(power)

/* One of the links has jobs that wait for their timer most of the time. */
static uint64_t length(int link)
{
	return link ? LEN : PACED;
}

static void submit_next(SELF *self, int i)
{
	struct zcp_segment seg = zt_range(self->file, 0, length(i));
	struct zcp_job job = zt_job(self->links[i], &seg, 1);

	job.user_data = i;
	job.rate = i ? 0 : 8 * PACED;
	zt_submit(self->ctx, &job);
	self->submitted[i]++;
}

static void *feed(void *arg)
{
	unsigned int running = LINKS;
	struct zcp_event event;
	SELF *self = arg;

	while (running) {
		zt_event(self->ctx, &event);
		zt_need(event.state == ZCP_STATE_DONE);
		zt_need(event.bytes_acked == length(event.user_data));
		__atomic_fetch_add(&self->done, 1, __ATOMIC_RELAXED);
		if (__atomic_load_n(&self->stop, __ATOMIC_ACQUIRE))
			running--;
		else
			submit_next(self, event.user_data);
	}
	return NULL;
}

FIXTURE_SETUP(power)
{
	int i;

	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, 1, LEN);
	for (i = 0; i < LINKS; i++) {
		zt_connect(&self->conns[i], 0, 0);
		zt_sink_count(&self->sinks[i], self->conns[i].rx);
		self->links[i] = zt_link(self->ctx, self->conns[i].tx);
	}
}

static void start(SELF *self)
{
	int i;

	for (i = 0; i < LINKS; i++)
		submit_next(self, i);
	zt_need(!pthread_create(&self->feeder, NULL, feed, self));
	self->started = true;
}

FIXTURE_TEARDOWN(power)
{
	int i;

	__atomic_store_n(&self->stop, true, __ATOMIC_RELEASE);
	if (self->started)
		zt_need(!pthread_join(self->feeder, NULL));
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	for (i = 0; i < LINKS; i++) {
		close(self->conns[i].tx);
		zt_sink_join(&self->sinks[i]);
		zt_sink_free(&self->sinks[i]);
		EXPECT_EQ(self->submitted[i] * length(i), self->sinks[i].len);
		close(self->conns[i].rx);
	}
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static uint64_t done(SELF *self)
{
	return __atomic_load_n(&self->done, __ATOMIC_RELAXED);
}

static void expect_jobs_go_on(struct __test_metadata *_metadata, SELF *self)
{
	uint64_t before = done(self);
	int i;

	for (i = 0; i < ZT_PATIENCE * 100 && done(self) < before + LINKS; i++)
		zt_sleep_ms(10);
	EXPECT_GE(done(self), before + LINKS);
}

/* 0 or -errno. */
static int write_to(const char *path, const char *text)
{
	int ret, fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

TEST_F_TIMEOUT(power, cpu_comes_and_goes, 240)
{
	int round;

	if (access(CPU, W_OK))
		SKIP(return, "needs a second CPU that can be taken away: there is no " CPU);
	start(self);
	for (round = 0; round < ROUNDS; round++) {
		EXPECT_EQ(0, write_to(CPU, "0"));
		expect_jobs_go_on(_metadata, self);
		EXPECT_EQ(0, write_to(CPU, "1"));
		expect_jobs_go_on(_metadata, self);
	}
}

/* How often suspending has succeeded. */
static int suspended(void)
{
	FILE *f = fopen("/sys/power/suspend_stats/success", "re");
	int n;

	zt_need(f && fscanf(f, "%d", &n) == 1);
	fclose(f);
	return n;
}

/* All tasks and workers freeze, wait for a second, and go on. */
TEST_F_TIMEOUT(power, suspend, 240)
{
	int before;

	if (write_to(PM_TEST, "freezer"))
		SKIP(return, "the kernel lacks suspend or its tests: there is no " PM_TEST);
	start(self);
	write_to(PM_DELAY, "1");
	before = suspended();
	EXPECT_EQ(0, write_to("/sys/power/state", "freeze"));
	EXPECT_EQ(before + 1, suspended());
	write_to(PM_DELAY, "5");
	EXPECT_EQ(0, write_to(PM_TEST, "none"));
	expect_jobs_go_on(_metadata, self);
}

TEST_HARNESS_MAIN
