// SPDX-License-Identifier: GPL-2.0-only
/*
 * Order on a link, fairness between links, and how little thousands of jobs
 * need.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_test.h"

FIXTURE(fair) {
	struct zt_box box;
	int ctx;
};

FIXTURE_SETUP(fair)
{
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
}

FIXTURE_TEARDOWN(fair)
{
	if (self->ctx >= 0) {
		EXPECT_EQ(0, zt_jobs(self->ctx));
		close(self->ctx);
	}
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* First in, first out, whatever a job is made of. */
TEST_F_TIMEOUT(fair, fifo_on_a_link, 240)
{
	enum { N = 60 };
	static char text[N][2000];
	int file = zt_file(&self->box, 1, ZT_MIB);
	struct zcp_segment seg[N];
	struct zcp_event event;
	uint64_t id[N], total = 0, off = 0;
	struct zt_conn conn;
	struct zt_sink sink;
	uint32_t link;
	int i;

	zt_connect_blocking(&conn);
	link = zt_link(self->ctx, conn.tx);
	for (i = 0; i < N; i++) {
		struct zcp_job job;

		zt_pattern(text[i], 1000 + i, 0, sizeof(text[i]));
		switch (i % 3) {
		case 0:
			seg[i] = zt_range(file, i * 5000, 100000 + i);
			break;
		case 1:
			seg[i] = zt_inline(text[i], sizeof(text[i]) - i);
			break;
		default:
			seg[i] = zt_range(file, i, i);
		}
		job = zt_job(link, &seg[i], 1);
		job.mode = i % 2 ? ZCP_MODE_COPY : ZCP_MODE_AUTO;
		id[i] = zt_submit(self->ctx, &job);
		total += seg[i].len;
	}
	zt_sink_start(&sink, conn.rx, total);
	for (i = 0; i < N; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(id[i], event.job);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	zt_sink_join(&sink);
	ASSERT_EQ(total, sink.len);
	for (i = 0; i < N; i++) {
		bool text = seg[i].type == ZCP_SEGMENT_INLINE;

		EXPECT_EQ(-1, zt_mismatch(sink.buf + off, seg[i].len, text ? 1000 + i : 1,
					  text ? 0 : seg[i].addr))
			TH_LOG("job %d is not where it belongs", i);
		off += seg[i].len;
	}
	zt_sink_free(&sink);
	zt_close(&conn);
	close(file);
}

/* Huge jobs on some links do not keep a small one on another waiting. */
TEST_F_TIMEOUT(fair, small_job_passes_huge_ones, 400)
{
	enum { N = 4 };
	static const uint64_t huge = 1000 * ZT_GIB;
	int file = zt_file(&self->box, 1, ZT_MIB);
	int sparse = zt_file(&self->box, 2, 0);
	struct zt_conn conn[N], small;
	uint64_t id[N], before[N], now;
	struct zcp_status status;
	struct zcp_cancel cancel;
	struct zcp_event event;
	struct zt_sink sink[N], small_sink;
	int i, round;

	zt_need(!ftruncate(sparse, huge));
	for (i = 0; i < N; i++) {
		zt_connect(&conn[i], 0, 0);
		zt_sink_count(&sink[i], conn[i].rx);
		/* The same 16 MiB again and again would do; this is simpler. */
		id[i] = zt_submit_range(self->ctx, zt_link(self->ctx, conn[i].tx), sparse, 0, huge);
	}
	for (round = 0; round < 3; round++) {
		uint32_t link;

		/* One that needs the worker: more than its socket takes at once. */
		zt_connect_blocking(&small);
		link = zt_link(self->ctx, small.tx);
		zt_sink_start(&small_sink, small.rx, ZT_MIB);
		zt_submit_range(self->ctx, link, file, 0, ZT_MIB);
		zt_event(self->ctx, &event);
		EXPECT_EQ(link, event.link);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		zt_sink_join(&small_sink);
		EXPECT_EQ(-1, zt_mismatch(small_sink.buf, ZT_MIB, 1, 0));
		zt_sink_free(&small_sink);
		EXPECT_EQ(0, zt_unlink(self->ctx, link, NULL));
		zt_close(&small);
	}
	/* And none of the huge ones starves. */
	for (i = 0; i < N; i++) {
		ASSERT_EQ(0, zt_status(self->ctx, id[i], &status));
		before[i] = status.bytes_sent;
	}
	for (i = 0; i < N; i++) {
		int tries = ZT_PATIENCE * 10;

		do {
			zt_sleep_ms(100);
			ASSERT_EQ(0, zt_status(self->ctx, id[i], &status));
			now = status.bytes_sent;
		} while (now == before[i] && --tries);
		EXPECT_GT(now, before[i])
			TH_LOG("huge job %d of %d starves", i, N);
	}
	for (i = 0; i < N; i++) {
		EXPECT_EQ(0, zt_cancel(self->ctx, id[i], &cancel));
		zt_event(self->ctx, &event);
		EXPECT_EQ(id[i], event.job);
		EXPECT_EQ(0, zt_unlink(self->ctx, event.link, NULL));
		close(conn[i].tx);
		zt_sink_join(&sink[i]);
		EXPECT_EQ(event.bytes_sent, sink[i].len);
		zt_sink_free(&sink[i]);
		close(conn[i].rx);
	}
	close(file);
	close(sparse);
}

static int kernel_threads(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	zt_need(d);
	while ((e = readdir(d))) {
		char name[300], comm[32] = "";
		FILE *f;

		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		snprintf(name, sizeof(name), "/proc/%s/stat", e->d_name);
		f = fopen(name, "re");
		if (!f)
			continue;
		/* pid (comm) state ppid: the parent of kernel threads is kthreadd. */
		{
			char state;
			int ppid;

			if (fscanf(f, "%*d (%31[^)]) %c %d", comm, &state, &ppid) == 3 && ppid == 2)
				n++;
		}
		fclose(f);
	}
	closedir(d);
	return n;
}

/* 2,000 stalled jobs on 2,000 links: no thread waits for any of them. */
TEST_F_TIMEOUT(fair, thousands_of_jobs, 400)
{
	enum { N = 2000, LEN = 128 * 1024, RESUME = 50 };
	static struct zt_conn conn[N];
	static uint64_t id[N];
	int listener = zt_listen(AF_INET, 4096);
	int file = zt_file(&self->box, 1, LEN);
	int before = kernel_threads(), most = 0, now, i;
	struct zcp_event event;
	static char buf[LEN];

	for (i = 0; i < N; i++) {
		zt_connect_to(&conn[i], listener, 4096);
		id[i] = zt_submit_range(self->ctx, zt_link(self->ctx, conn[i].tx), file, 0, LEN);
		if (i % 200 == 199) {
			now = kernel_threads();
			most = now > most ? now : most;
		}
	}
	for (i = 0; i < N; i += 100)
		zt_wait_state(self->ctx, id[i], ZCP_STATE_BLOCKED);
	now = kernel_threads();
	most = now > most ? now : most;
	TH_LOG("kernel threads: %d before, at most %d with %d jobs", before, most, N);
	EXPECT_LE(most - before, 16);
	EXPECT_EQ(N, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	/* Some of them go on. */
	for (i = 0; i < RESUME; i++) {
		zt_read_full(conn[i * 7].rx, buf, LEN);
		EXPECT_EQ(-1, zt_mismatch(buf, LEN, 1, 0));
		zt_event(self->ctx, &event);
		EXPECT_EQ(id[i * 7], event.job);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	/* The others end with their context. */
	close(self->ctx);
	self->ctx = -1;
	EXPECT_EQ(self->box.refs, zt_refs());
	for (i = 0; i < N; i++)
		zt_close(&conn[i]);
	close(listener);
	close(file);
}

/*
 * Jobs that follow each other on a link share packets, and the end of the last
 * one waits for nothing.
 */
TEST_F_TIMEOUT(fair, jobs_share_packets, 240)
{
	enum { N = 50, LEN = 1000 };
	int file = zt_file(&self->box, 1, N * LEN), one = 1, unsent = -1, i;
	struct zcp_submit submit = { .size = sizeof(submit) };
	struct zcp_segment seg[N];
	struct zcp_job job[N];
	struct zcp_event event;
	struct tcp_info info;
	socklen_t len = sizeof(info);
	struct zt_conn conn;
	struct zt_sink sink;
	uint32_t link;

	zt_connect(&conn, 0, 0);
	zt_need(!setsockopt(conn.tx, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	link = zt_link(self->ctx, conn.tx);
	for (i = 0; i < N; i++) {
		seg[i] = zt_range(file, i * LEN, LEN);
		job[i] = zt_job(link, &seg[i], 1);
	}
	submit.jobs = (uintptr_t)job;
	submit.nr_jobs = N;
	submit.job_size = sizeof(job[0]);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit));
	ASSERT_EQ(N, submit.accepted);
	zt_need(!ioctl(conn.tx, SIOCOUTQNSD, &unsent));
	EXPECT_EQ(0, unsent);
	zt_need(!getsockopt(conn.tx, IPPROTO_TCP, TCP_INFO, &info, &len));
	EXPECT_LE(info.tcpi_data_segs_out, N / 5);

	zt_sink_start(&sink, conn.rx, N * LEN);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
	for (i = 0; i < N; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(job[i].id, event.job);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		EXPECT_EQ(LEN, event.bytes_sent);
	}
	zt_close(&conn);
	close(file);
}

#define TRACE	"/sys/kernel/tracing"
#define STARTED	TRACE "/events/workqueue/workqueue_execute_start/enable"

/* How often workers have begun to look at a context, since the trace was emptied. */
static unsigned int looks(void)
{
	FILE *trace = fopen(TRACE "/trace", "r");
	unsigned int nr = 0;
	char line[512];

	zt_need(trace);
	while (fgets(line, sizeof(line), trace)) {
		if (strstr(line, "zctx_look_work"))
			nr++;
	}
	fclose(trace);
	return nr;
}

/*
 * Nobody waits for these acknowledgments: a worker for each would take the CPU from
 * whoever receives the packets.
 */
TEST_F_TIMEOUT(fair, acknowledgments_call_few_workers, 240)
{
	enum { N = 200, LOOK_MS = 4 };
	struct zcp_segment seg = zt_inline("x", 1);
	struct zcp_event event;
	struct zt_conn conn;
	uint64_t begin, took;
	struct zcp_job job;
	unsigned int i, nr;
	int one = 1;
	char byte;

	if (access(STARTED, W_OK) &&
	    (zt_run("mount -t tracefs none " TRACE) || access(STARTED, W_OK)))
		SKIP(return, "the kernel lacks trace events of workqueues");
	zt_connect_blocking(&conn);
	job = zt_job(zt_link(self->ctx, conn.tx), &seg, 1);
	zt_need(!zt_run("echo 1 >" STARTED " && echo >" TRACE "/trace"));
	begin = zt_now_ns();
	for (i = 0; i < N; i++) {
		zt_submit(self->ctx, &job);
		/* Who has read all acknowledges at once. */
		zt_need(recv(conn.rx, &byte, 1, 0) == 1);
		do {
			zt_need(!setsockopt(conn.rx, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one)));
		} while (zt_unacked(conn.tx));
	}
	/* That of the last ones. */
	zt_sleep_ms(50);
	took = zt_now_ns() - begin;
	nr = looks();
	zt_need(!zt_run("echo 0 >" STARTED));
	TH_LOG("%u looks of workers in %llu us", nr, (unsigned long long)took / 1000);
	EXPECT_GE(nr, 1);
	EXPECT_LE(nr, 5 + took / (LOOK_MS * 1000000));
	for (i = 0; i < N; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	zt_close(&conn);
}

struct submitter {
	int ctx;
	struct zcp_job *jobs;
	unsigned int nr;
	struct zcp_submit reply;
	int ret;
};

static void *submitter(void *arg)
{
	struct submitter *s = arg;

	s->reply = (struct zcp_submit){
		.size = sizeof(s->reply), .nr_jobs = s->nr, .job_size = sizeof(*s->jobs),
		.jobs = (uintptr_t)s->jobs,
	};
	s->ret = ioctl(s->ctx, ZCP_IOC_SUBMIT, &s->reply);
	return NULL;
}

/*
 * Long jobs of one batch begin together, so that the first ones are not far ahead
 * when the last are there: none has sent anything while the submission is still
 * reading the batch. Here it cannot read on, then finds that the rest is no job.
 */
TEST_F_TIMEOUT(fair, long_jobs_begin_together, 240)
{
	enum { N = 24 };
	int file = zt_file(&self->box, 2, ZT_MIB);
	struct zcp_job jobs[N + 1] = { 0 };
	struct submitter s = { .ctx = self->ctx, .jobs = jobs, .nr = N + 1 };
	struct zcp_segment seg[N];
	struct zt_conn conn[N];
	struct zt_sink sink[N];
	struct zcp_event event;
	pthread_t thread;
	struct zf_fs fs;
	void *slow;
	int fd, i;

	if (zf_mount(&fs, self->box.dir, 3, ZT_PAGE))
		SKIP(return, "the kernel lacks FUSE");
	fd = zf_open(&fs);
	slow = mmap(NULL, ZT_PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	zt_need(slow != MAP_FAILED);
	close(fd);
	zf_hold(&fs, 0);
	for (i = 0; i < N; i++) {
		zt_connect(&conn[i], 0, 0);
		seg[i] = zt_range(file, 0, ZT_MIB);
		jobs[i] = zt_job(zt_link(self->ctx, conn[i].tx), &seg[i], 1);
	}
	jobs[N] = jobs[0];
	jobs[N].segments = (uintptr_t)slow;
	zt_need(!pthread_create(&thread, NULL, submitter, &s));
	zf_wait_held(&fs);
	zt_sleep_ms(200);
	for (i = 0; i < N; i++) {
		struct zcp_status status;

		zt_need(!zt_status(self->ctx, jobs[i].id, &status));
		EXPECT_EQ(0, status.bytes_sent);
	}
	zf_release(&fs, 0);
	zt_need(!pthread_join(thread, NULL));
	EXPECT_EQ(0, s.ret);
	EXPECT_EQ(N, s.reply.accepted);
	EXPECT_NE(0, s.reply.error);
	for (i = 0; i < N; i++)
		zt_sink_start(&sink[i], conn[i].rx, ZT_MIB);
	for (i = 0; i < N; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		EXPECT_EQ(ZT_MIB, event.bytes_sent);
	}
	for (i = 0; i < N; i++) {
		zt_sink_join(&sink[i]);
		EXPECT_EQ(-1, zt_mismatch(sink[i].buf, ZT_MIB, 2, 0));
		zt_sink_free(&sink[i]);
		zt_close(&conn[i]);
	}
	munmap(slow, ZT_PAGE);
	EXPECT_EQ(0, zf_unmount(&fs, 0));
	close(file);
}

/* When the first and the last of some jobs are sent, since the last was submitted. */
static void race_of_jobs(int ctx, int file, uint64_t *first, uint64_t *last)
{
	enum { LINKS = 24, N = 2 * LINKS, LEN = 256 * 1024 };
	uint64_t begun = 0, sent[N], total = 0;
	struct zt_conn conn[LINKS];
	struct zt_sink sink[LINKS];
	struct zcp_job jobs[N];
	struct submitter s = { .ctx = ctx, .jobs = jobs, .nr = N };
	struct zcp_segment seg = zt_range(file, 0, LEN);
	struct zcp_event event;
	uint32_t link = 0;
	int i;

	for (i = 0; i < N; i++) {
		/* With two of them a link has enough to wait until all are queued. */
		if (i % 2 == 0) {
			zt_connect_holding(&conn[i / 2]);
			link = zt_link(ctx, conn[i / 2].tx);
		}
		jobs[i] = zt_job(link, &seg, 1);
	}
	submitter(&s);
	zt_need(!s.ret && s.reply.accepted == N);
	for (i = 0; i < LINKS; i++)
		zt_sink_start(&sink[i], conn[i].rx, 2 * LEN);
	for (i = 0; i < N; i++) {
		zt_event(ctx, &event);
		zt_need(event.state == ZCP_STATE_DONE);
		total += event.bytes_sent;
		sent[i] = event.submit_ns + event.sent_ns;
		begun = event.submit_ns > begun ? event.submit_ns : begun;
	}
	zt_need(total == (uint64_t)N * LEN);
	*first = UINT64_MAX;
	*last = 0;
	for (i = 0; i < N; i++) {
		*first = sent[i] < *first ? sent[i] : *first;
		*last = sent[i] > *last ? sent[i] : *last;
	}
	*first -= begun;
	*last -= begun;
	for (i = 0; i < LINKS; i++) {
		zt_sink_join(&sink[i]);
		zt_need(zt_mismatch(sink[i].buf, LEN, 1, 0) < 0);
		zt_sink_free(&sink[i]);
		zt_close(&conn[i]);
	}
}

/*
 * A short job is sent at a stretch: of many the first is, soon. Divided into turns, the
 * first of these would be when more than a third of all bytes are.
 */
TEST_F_TIMEOUT(fair, short_jobs_are_not_divided, 240)
{
	int file = zt_file(&self->box, 1, ZT_MIB), tries = 5;
	uint64_t first, last;

	do {
		race_of_jobs(self->ctx, file, &first, &last);
		TH_LOG("sent: the first after %llu us, the last after %llu",
		       (unsigned long long)first / 1000, (unsigned long long)last / 1000);
	} while (first * 8 > last && --tries);
	EXPECT_LE(first * 8, last);
	close(file);
}

TEST_HARNESS_MAIN
