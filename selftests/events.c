// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: read(2), poll(2) and epoll, threads; and under whatever load each
 * accepted job yields exactly one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

FIXTURE(events) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(events)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(0);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->file = zt_file(&self->box, 1, ZT_MIB);
}

FIXTURE_TEARDOWN(events)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static uint64_t empty_job(FIXTURE_DATA(events) *self)
{
	return zt_submit_range(self->ctx, self->link, self->file, 0, 0);
}

static void set_nonblock(int fd, bool on)
{
	zt_need(!fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0));
}

TEST_F_TIMEOUT(events, read_nonblocking, 240)
{
	struct zcp_event event[2];
	uint64_t id;

	set_nonblock(self->ctx, true);
	EXPECT_EQ(-1, read(self->ctx, event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
	id = empty_job(self);
	EXPECT_TRUE(zt_readable(self->ctx, ZT_PATIENCE * 1000));
	/* A buffer that is too small loses nothing. */
	EXPECT_EQ(-1, read(self->ctx, event, sizeof(event[0]) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(sizeof(event[0]), read(self->ctx, event, sizeof(event)));
	EXPECT_EQ(id, event[0].job);
	EXPECT_EQ(-1, read(self->ctx, event, sizeof(event)));
	EXPECT_EQ(EAGAIN, errno);
}

/* As many whole records as fit, in the order in which the jobs ended. */
TEST_F_TIMEOUT(events, read_many, 240)
{
	struct zcp_event event[8];
	uint64_t id[10];
	int i;

	for (i = 0; i < 10; i++)
		id[i] = empty_job(self);
	zt_wait_state(self->ctx, id[9], ZCP_STATE_DONE);
	EXPECT_EQ(10, zt_jobs(self->ctx));
	EXPECT_EQ(3 * sizeof(event[0]), read(self->ctx, event, 4 * sizeof(event[0]) - 1));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(id[i], event[i].job);
		EXPECT_EQ(-ENOENT, zt_state(self->ctx, id[i]));
	}
	EXPECT_EQ(ZCP_STATE_DONE, zt_state(self->ctx, id[3]));
	EXPECT_EQ(7, zt_jobs(self->ctx));
	EXPECT_EQ(7 * sizeof(event[0]), read(self->ctx, event, sizeof(event)));
	for (i = 0; i < 7; i++) {
		EXPECT_EQ(id[3 + i], event[i].job);
		EXPECT_EQ(sizeof(event[i]), event[i].size);
	}
}

/* An event that cannot be delivered to the buffer is not lost. */
TEST_F_TIMEOUT(events, read_fault, 240)
{
	void *volatile nowhere = (void *)8;
	struct zcp_event event;
	uint64_t id = empty_job(self);

	zt_wait_state(self->ctx, id, ZCP_STATE_DONE);
	EXPECT_EQ(-1, read(self->ctx, nowhere, sizeof(event)));
	EXPECT_EQ(EFAULT, errno);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
}

/* A submission that reads events, too. */
static struct zcp_submit with_events(struct zcp_job *jobs, uint32_t nr, void *events, size_t len)
{
	return (struct zcp_submit) {
		.size = sizeof(struct zcp_submit), .jobs = (uintptr_t)jobs, .nr_jobs = nr,
		.job_size = sizeof(*jobs), .events = (uintptr_t)events, .events_len = len,
		.events_read = 99,
	};
}

/* A submission takes what read(2) would: whole records, the oldest first. */
TEST_F_TIMEOUT(events, submission_reads, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, 0);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zcp_event event[8];
	struct zcp_submit submit;
	struct zcp_cancel cancel;
	uint64_t id[4];
	int i;

	for (i = 0; i < 4; i++)
		id[i] = empty_job(self);
	zt_wait_state(self->ctx, id[3], ZCP_STATE_DONE);
	submit = with_events(&job, 1, event, 3 * sizeof(event[0]) - 1);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(1, submit.accepted);
	ASSERT_EQ(2 * sizeof(event[0]), submit.events_read);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(id[i], event[i].job);
		EXPECT_EQ(ZCP_STATE_DONE, event[i].state);
		EXPECT_EQ(sizeof(event[i]), event[i].size);
		EXPECT_EQ(-ENOENT, zt_state(self->ctx, id[i]));
	}
	for (i = 2; i < 4; i++) {
		zt_event(self->ctx, event);
		EXPECT_EQ(id[i], event[0].job);
	}
	zt_event(self->ctx, event);
	EXPECT_EQ(job.id, event[0].job);

	/* It waits for none, of a descriptor that blocks either. */
	seg = zt_range(self->file, 0, 4 * ZT_PAGE);
	job.rate = 1;
	submit = with_events(&job, 1, event, sizeof(event));
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(0, submit.events_read);
	EXPECT_EQ(0, zt_cancel(self->ctx, job.id, &cancel));
	zt_event(self->ctx, event);
	EXPECT_EQ(job.id, event[0].job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event[0].state);
}

/* A call that is refused for what it is reads nothing. */
TEST_F_TIMEOUT(events, refused_submission_reads_nothing, 240)
{
	struct zcp_segment seg = zt_range(-1, 0, 0);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	uint64_t id = empty_job(self);
	struct zcp_submit submit;
	struct zcp_event event;

	zt_wait_state(self->ctx, id, ZCP_STATE_DONE);
	submit = with_events(&job, 1, &event, sizeof(event));
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, submit.events_read);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
}

/* What cannot be written, or told, is not lost. */
TEST_F_TIMEOUT(events, submission_fault, 240)
{
	struct zcp_submit *submit = mmap(NULL, 2 * ZT_PAGE, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = (char *)submit + ZT_PAGE;
	struct zcp_segment seg = zt_range(self->file, 0, 0);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	size_t room = sizeof(struct zcp_event);
	struct zcp_event event;
	uint64_t id[4];
	int i;

	ASSERT_NE(MAP_FAILED, submit);
	zt_need(!munmap(end, ZT_PAGE));
	for (i = 0; i < 2; i++)
		id[i] = empty_job(self);
	zt_wait_state(self->ctx, id[1], ZCP_STATE_DONE);

	/* No room at all. */
	*submit = with_events(&job, 1, end, 8 * room);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, submit));
	EXPECT_EQ(1, submit->accepted);
	EXPECT_EQ(0, submit->events_read);
	id[2] = job.id;

	/* For one. */
	zt_wait_state(self->ctx, id[2], ZCP_STATE_DONE);
	*submit = with_events(&job, 1, end - room - room / 2, 8 * room);
	EXPECT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, submit));
	EXPECT_EQ(1, submit->accepted);
	EXPECT_EQ(room, submit->events_read);
	memcpy(&event, end - room - room / 2, room);
	EXPECT_EQ(id[0], event.job);
	id[3] = job.id;

	/* Their number cannot be told. */
	*submit = with_events(&job, 1, &event, room);
	event.job = 0;
	zt_need(!mprotect(submit, ZT_PAGE, PROT_READ));
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_SUBMIT, submit));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, event.job);
	for (i = 1; i < 4; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(id[i], event.job);
	}
	zt_event(self->ctx, &event);
	EXPECT_EQ(job.id, event.job);
	munmap(submit, ZT_PAGE);
}

struct reader {
	pthread_t thread;
	int ctx;
	ssize_t n;
	int error;
	uint64_t start;
	uint64_t end;
	struct zcp_event event;
};

static void *read_one(void *arg)
{
	struct reader *r = arg;

	r->start = zt_now_ns();
	r->n = read(r->ctx, &r->event, sizeof(r->event));
	r->error = errno;
	r->end = zt_now_ns();
	return NULL;
}

TEST_F_TIMEOUT(events, read_blocks, 240)
{
	struct reader r = { .ctx = self->ctx };
	uint64_t id, before;

	zt_need(!pthread_create(&r.thread, NULL, read_one, &r));
	zt_sleep_ms(ZT_WATCH);
	before = zt_now_ns();
	id = empty_job(self);
	zt_need(!pthread_join(r.thread, NULL));
	EXPECT_EQ(sizeof(r.event), r.n);
	EXPECT_EQ(id, r.event.job);
	EXPECT_GE(r.end, before);
}

static void on_signal(int sig)
{
	(void)sig;
}

TEST_F_TIMEOUT(events, read_interrupted, 240)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct reader r = { .ctx = self->ctx };
	int i;

	zt_need(!sigaction(SIGUSR1, &act, NULL));
	zt_need(!pthread_create(&r.thread, NULL, read_one, &r));
	/* Until one of them arrives while it waits. */
	for (i = 0; i < ZT_PATIENCE && !r.end; i++) {
		zt_sleep_ms(200);
		pthread_kill(r.thread, SIGUSR1);
		zt_sleep_ms(100);
		if (*(volatile uint64_t *)&r.end)
			break;
	}
	zt_need(!pthread_join(r.thread, NULL));
	EXPECT_EQ(-1, r.n);
	EXPECT_EQ(EINTR, r.error);
}

/* Two that wait, two events: one each, none twice. */
TEST_F_TIMEOUT(events, read_by_two_threads, 240)
{
	struct reader r[2] = { { .ctx = self->ctx }, { .ctx = self->ctx } };
	uint64_t id[2];
	int i;

	for (i = 0; i < 2; i++)
		zt_need(!pthread_create(&r[i].thread, NULL, read_one, &r[i]));
	zt_sleep_ms(ZT_WATCH);
	for (i = 0; i < 2; i++)
		id[i] = empty_job(self);
	for (i = 0; i < 2; i++) {
		zt_need(!pthread_join(r[i].thread, NULL));
		EXPECT_EQ(sizeof(r[i].event), r[i].n);
	}
	EXPECT_NE(r[0].event.job, r[1].event.job);
	EXPECT_EQ(id[0] + id[1], r[0].event.job + r[1].event.job);
}

TEST_F_TIMEOUT(events, poll_and_select, 240)
{
	struct pollfd pfd = { .fd = self->ctx, .events = POLLIN | POLLOUT | POLLPRI };
	struct timeval now = { 0, 0 };
	struct zcp_event event;
	fd_set set;

	EXPECT_EQ(0, poll(&pfd, 1, 0));
	empty_job(self);
	EXPECT_EQ(1, poll(&pfd, 1, ZT_PATIENCE * 1000));
	EXPECT_EQ(POLLIN, pfd.revents);
	FD_ZERO(&set);
	FD_SET(self->ctx, &set);
	EXPECT_EQ(1, select(self->ctx + 1, &set, NULL, NULL, &now));
	zt_event(self->ctx, &event);
	EXPECT_EQ(0, poll(&pfd, 1, 0));
}

static void poll_by_epoll(struct __test_metadata *_metadata, FIXTURE_DATA(events) *self,
			  uint32_t edge)
{
	struct epoll_event want = { .events = EPOLLIN | edge, .data.u64 = 42 }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct zcp_event event;
	int i;

	zt_need(ep >= 0);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->ctx, &want));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, epoll_wait(ep, &got, 1, 0));
		empty_job(self);
		EXPECT_EQ(1, epoll_wait(ep, &got, 1, ZT_PATIENCE * 1000));
		EXPECT_EQ(EPOLLIN, got.events);
		EXPECT_EQ(42, got.data.u64);
		EXPECT_EQ(edge ? 0 : 1, epoll_wait(ep, &got, 1, 0));
		zt_event(self->ctx, &event);
	}
	close(ep);
}

TEST_F_TIMEOUT(events, epoll_level, 240)
{
	poll_by_epoll(_metadata, self, 0);
}

TEST_F_TIMEOUT(events, epoll_edge, 240)
{
	poll_by_epoll(_metadata, self, EPOLLET);
}

/*
 * The stress: links that come and go, peers that read, stall and reset, jobs
 * of all kinds, cancelled at random, while two threads read the events,
 * and submissions some.
 */
#define LANES	8
#define MAX_IDS	200000
#define SECONDS	6
#define LONGEST	180	/* seconds, where a kernel is too slow to see enough in those */
#define ENOUGH	10	/* jobs that end in each way */

struct tally {
	pthread_mutex_t lock;
	uint64_t *ids;
	size_t nr;
	size_t states[ZCP_STATE_CANCELLED + 1];
	int ctx;
	volatile bool stop;
};

static void take(struct tally *t, const struct zcp_event *event, size_t n)
{
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < n; i++) {
		zt_need(t->nr < MAX_IDS);
		zt_need(event[i].state >= ZCP_STATE_DONE);
		zt_need(event[i].state <= ZCP_STATE_CANCELLED);
		zt_need((event[i].state == ZCP_STATE_DONE) == !event[i].error);
		zt_need(event[i].bytes_acked <= event[i].bytes_sent);
		zt_need(event[i].bytes_zerocopy + event[i].bytes_copied == event[i].bytes_sent);
		t->states[event[i].state]++;
		t->ids[t->nr++] = event[i].job;
	}
	pthread_mutex_unlock(&t->lock);
}

static void *collect(void *arg)
{
	struct tally *t = arg;

	while (!t->stop || zt_jobs(t->ctx)) {
		struct pollfd pfd = { .fd = t->ctx, .events = POLLIN };
		struct zcp_event event[5];
		ssize_t n;

		if (poll(&pfd, 1, 50) <= 0)
			continue;
		n = read(t->ctx, event, sizeof(event));
		if (n < 0) {
			/* The other thread was faster. */
			zt_need(errno == EAGAIN);
			continue;
		}
		take(t, event, n / sizeof(event[0]));
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void open_lane(int ctx, struct zt_conn *conn, uint32_t *link)
{
	zt_connect_blocking(conn);
	set_nonblock(conn->rx, true);
	*link = zt_link_flags(ctx, conn->tx, rand() % 2 ? ZCP_LINK_CONTINUE : 0);
}

static int submit_some(struct tally *t, uint32_t link, int file, uint64_t *ids, size_t *nr)
{
	struct zcp_segment segs[8][2];
	struct zcp_event event[3];
	struct zcp_job jobs[8];
	struct zcp_submit submit = {
		.size = sizeof(submit), .jobs = (uintptr_t)jobs,
		.nr_jobs = 1 + rand() % 8, .job_size = sizeof(jobs[0]),
		.events = (uintptr_t)event, .events_len = rand() % 4 * sizeof(event[0]),
	};
	uint32_t i;
	int ret;

	for (i = 0; i < submit.nr_jobs; i++) {
		segs[i][0] = zt_range(file, rand() % (ZT_MIB - 128 * ZT_KIB),
				      rand() % (128 * ZT_KIB));
		segs[i][1] = zt_inline("trailer", rand() % 8);
		jobs[i] = zt_job(link, segs[i], 1 + rand() % 2);
		jobs[i].mode = rand() % 3;
		jobs[i].complete = rand() % 2;
	}
	ret = ioctl(t->ctx, ZCP_IOC_SUBMIT, &submit) ? -errno : 0;
	zt_need(ret || submit.accepted);
	zt_need(submit.events_read <= submit.events_len);
	take(t, event, submit.events_read / sizeof(event[0]));
	for (i = 0; i < submit.accepted; i++)
		ids[(*nr)++] = jobs[i].id;
	return ret;
}

static bool seen_enough(struct tally *t)
{
	bool enough;

	pthread_mutex_lock(&t->lock);
	enough = t->states[ZCP_STATE_DONE] > ENOUGH && t->states[ZCP_STATE_FAILED] > ENOUGH &&
		 t->states[ZCP_STATE_CANCELLED] > ENOUGH;
	pthread_mutex_unlock(&t->lock);
	return enough;
}

TEST_F_TIMEOUT(events, exactly_one_per_job, 400)
{
	static char buf[64 * ZT_KIB];
	struct tally t = { .lock = PTHREAD_MUTEX_INITIALIZER, .ctx = self->ctx };
	uint64_t *ids = calloc(MAX_IDS, sizeof(*ids));
	struct zt_conn conns[LANES];
	uint32_t links[LANES];
	struct zcp_cancel cancel;
	pthread_t threads[2];
	size_t nr = 0, i;
	uint64_t end, last;

	srand(2026);
	t.ids = calloc(MAX_IDS, sizeof(*t.ids));
	ASSERT_TRUE(ids && t.ids);
	set_nonblock(self->ctx, true);
	for (i = 0; i < LANES; i++)
		open_lane(self->ctx, &conns[i], &links[i]);
	for (i = 0; i < 2; i++)
		zt_need(!pthread_create(&threads[i], NULL, collect, &t));
	end = zt_now_ns() + SECONDS * 1000000000ULL;
	last = zt_now_ns() + LONGEST * 1000000000ULL;
	while (nr < MAX_IDS - 8 &&
	       (zt_now_ns() < end || (zt_now_ns() < last && !seen_enough(&t)))) {
		int lane = rand() % LANES, what = rand() % 100, ret;

		if (what < 35) {
			ret = submit_some(&t, links[lane], self->file, ids, &nr);
			/* The peer reset this one, or there are enough jobs. */
			zt_need(!ret || ret == -ESHUTDOWN || ret == -EAGAIN || ret == -ENODATA);
		} else if (what < 37) {
			/* Jobs that are under way end with ENODATA. */
			zt_need(!ftruncate(self->file, rand() % ZT_MIB));
			zt_sleep_ms(rand() % 5);
			zt_need(!ftruncate(self->file, ZT_MIB));
		} else if (what < 85) {
			while (read(conns[lane].rx, buf, sizeof(buf)) > 0 && rand() % 8)
				;
		} else if (what < 95 && nr) {
			ret = zt_cancel(self->ctx, ids[nr - 1 - rand() % (nr < 64 ? nr : 64)],
					&cancel);
			zt_need(!ret || ret == -ENOENT);
		} else {
			bool first = rand() % 2;

			if (rand() % 2) {
				zt_reset(conns[lane].rx);
				conns[lane].rx = -1;
			}
			if (first)
				close(conns[lane].tx);
			zt_need(!zt_unlink(self->ctx, links[lane], NULL));
			if (first)
				conns[lane].tx = -1;
			zt_close(&conns[lane]);
			open_lane(self->ctx, &conns[lane], &links[lane]);
		}
	}
	for (i = 0; i < LANES; i++) {
		EXPECT_EQ(0, zt_unlink(self->ctx, links[i], NULL));
		zt_close(&conns[i]);
	}
	t.stop = true;
	for (i = 0; i < 2; i++)
		zt_need(!pthread_join(threads[i], NULL));
	TH_LOG("%zu jobs: %zu done, %zu failed, %zu cancelled", nr, t.states[ZCP_STATE_DONE],
	       t.states[ZCP_STATE_FAILED], t.states[ZCP_STATE_CANCELLED]);
	EXPECT_GT(t.states[ZCP_STATE_DONE], ENOUGH);
	EXPECT_GT(t.states[ZCP_STATE_FAILED], ENOUGH);
	EXPECT_GT(t.states[ZCP_STATE_CANCELLED], ENOUGH);
	EXPECT_EQ(nr, t.nr);
	qsort(ids, nr, sizeof(*ids), by_value);
	qsort(t.ids, t.nr, sizeof(*t.ids), by_value);
	for (i = 1; i < nr; i++) {
		if (ids[i] == ids[i - 1])
			zt_die("job id %llu was given twice", (unsigned long long)ids[i]);
	}
	EXPECT_EQ(0, memcmp(ids, t.ids, nr * sizeof(*ids)));
	free(ids);
	free(t.ids);
}

TEST_HARNESS_MAIN
