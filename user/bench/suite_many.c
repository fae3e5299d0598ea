// SPDX-License-Identifier: GPL-2.0-only
/*
 * many: thousands of jobs on as many sockets, some of whose receivers do not
 * read for a while; and equal jobs, which should get on equally.
 *
 * Fairness is Jain's index of the bytes that each job has sent when half of
 * all bytes are sent: 1 when all have sent as much, 1/n when one has sent it
 * all. TCP decides by itself how large a socket's send buffer is, and with it how
 * much of a job it takes at once, more on some than on others; so this is also
 * measured with small buffers of one size, where turns decide.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <zcp/monitor.h>

#include "many.h"
#include "method.h"
#include "jobs.h"

#define SUITE "many"
#define KIB 1024ULL
#define MIB (1024 * KIB)
/* Jobs begin at different places of the file. */
#define STEP (16 * KIB)
#define STEPS 64
/* One in so many receivers stalls. */
#define STALL 20
#define WORKERS_PER_CPU 4
#define MEMORY_MAX 2048
#define LOOK_NS 1000000
#define SEND_BUFFER (32 << 10)
/* Who looks too late, after this share was sent, looks again in another round. */
#define TOO_LATE 0.75

struct entry {
	int sock;
	uint32_t link;
	bool stalls;
	bool ended;
	uint64_t size;
};

struct crowd {
	struct peer *peer;
	struct file file;
	struct jobs jobs;
	struct zcp_monitor *monitor;
	unsigned int nr;
	struct entry *entry;
	struct zcp_job *job;
	struct zcp_segment *segment;
	unsigned int moving, moving_ended;
	unsigned int stalled, stalled_ended;
	/* Of the stalled ones those that do not fit in what a receiver takes unread. */
	unsigned int large, large_ended;
	uint64_t largest;
	uint64_t moving_bytes;
	bool wrong; /* an event is not what it should be */
};

struct outcome {
	struct samples throughput, jobs, cpu, memory, workers, jain;
	bool wrong;
	unsigned int large, large_ended; /* of all rounds, before their receivers read */
};

static uint64_t offset_of(unsigned int i)
{
	return i % STEPS * STEP;
}

/*
 * Sizes go from @smallest to @largest and again, by doubling. When they are equal,
 * one thread receives all, since of two the scheduler may favour one.
 */
static void crowd_open(struct crowd *c, struct peer *peer, unsigned int nr, uint64_t smallest,
		       uint64_t largest, bool some_stall)
{
	uint64_t size = smallest;

	*c = (struct crowd){ .peer = peer, .nr = nr, .largest = largest };
	file_make(&c->file, opt.dir, "zcp-bench-many", largest + STEPS * STEP);
	c->entry = allocate(nr * sizeof(*c->entry));
	c->job = allocate(nr * sizeof(*c->job));
	c->segment = allocate(nr * sizeof(*c->segment));
	for (unsigned int i = 0; i < nr; i++) {
		struct peer_hello hello = { .mode = opt.smoke ? PEER_CHECK : PEER_DISCARD };
		struct entry *e = &c->entry[i];

		e->size = size;
		e->stalls = some_stall && i % STALL == STALL - 1;
		if (e->stalls) {
			c->stalled++;
			c->large += size == largest;
			hello.mode = PEER_STALL;
		} else {
			c->moving++;
			c->moving_bytes += size;
		}
		size = size < largest ? size * 2 : smallest;
		if (smallest == largest)
			hello.flags = PEER_TOGETHER | PEER_TURNS;
		hello.unit = e->size;
		hello.offset = offset_of(i);
		e->sock = peer_connect(peer, &hello);
	}
	jobs_open(&c->jobs);
}

static void crowd_close(struct crowd *c)
{
	/* With a reset, so that thousands of them leave nothing behind. */
	struct linger now = { .l_onoff = 1 };

	jobs_close(&c->jobs);
	for (unsigned int i = 0; i < c->nr; i++) {
		setsockopt(c->entry[i].sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(c->entry[i].sock);
	}
	file_remove(&c->file);
	free(c->entry);
	free(c->job);
	free(c->segment);
}

static void crowd_submit(struct crowd *c)
{
	for (unsigned int i = 0; i < c->nr; i++) {
		struct entry *e = &c->entry[i];

		e->link = jobs_link(&c->jobs, e->sock);
		zcp_segment_file(&c->segment[i], c->file.fd, offset_of(i), e->size);
		jobs_prepare(&c->job[i], e->link, &c->segment[i], 1, i);
	}
	jobs_submit(&c->jobs, c->job, c->nr);
}

static void crowd_ended(const struct zcp_event *event, void *arg)
{
	struct crowd *c = arg;
	struct entry *e;

	if (event->user_data >= c->nr) {
		c->wrong = true;
		return;
	}
	e = &c->entry[event->user_data];
	if (e->ended || event->bytes_sent != e->size || event->link != e->link)
		c->wrong = true;
	e->ended = true;
	if (e->stalls) {
		c->stalled_ended++;
		c->large_ended += e->size == c->largest;
	} else {
		c->moving_ended++;
	}
}

static void crowd_confirmed(struct crowd *c, bool stalls)
{
	for (unsigned int i = 0; i < c->nr; i++)
		if (c->entry[i].stalls == stalls)
			peer_wait(c->entry[i].sock, 1);
}

static double jain(const double *x, unsigned int n)
{
	double sum = 0, squares = 0;

	for (unsigned int i = 0; i < n; i++) {
		sum += x[i];
		squares += x[i] * x[i];
	}
	return squares > 0 ? sum * sum / (n * squares) : 0;
}

static void round_many(struct crowd *c, struct outcome *o)
{
	int64_t before = many_slab_bytes(), after;
	struct meter m;

	many_watch_start();
	meter_start(c->peer);
	crowd_submit(c);
	/* A job is there until its event has been read. */
	after = many_slab_bytes();
	while (c->moving_ended < c->moving)
		jobs_read(&c->jobs, -1, crowd_ended, c);
	crowd_confirmed(c, false);
	meter_stop(c->peer, &m);
	o->large += c->large;
	o->large_ended += c->large_ended;
	peer_resume(c->peer);
	jobs_wait(&c->jobs, 0, crowd_ended, c);
	crowd_confirmed(c, true);
	samples_add(&o->workers, many_watch_stop());
	samples_add(&o->throughput, c->moving_bytes * 8.0 / m.ns);
	samples_add(&o->jobs, c->moving * 1e9 / m.ns);
	samples_add(&o->cpu, m.cpu / (c->moving_bytes / 1e9));
	if (before >= 0)
		samples_add(&o->memory, (double)(after - before) / c->nr);
	o->wrong |= c->wrong || c->moving_ended != c->moving || c->stalled_ended != c->stalled;
}

/* What nothing was seen of would keep to any bound. */
static void judge_most(const char *cas, const char *what, const struct samples *s, double most)
{
	double median = samples_median(s);
	char text[64];

	if (median > 0) {
		result_target(SUITE, cas, what, median, "<=", most);
		return;
	}
	snprintf(text, sizeof(text), "%s: more than none is seen", what);
	result_check(SUITE, cas, false, text);
}

static void run_many(struct peer *peer)
{
	unsigned int nr = opt.smoke ? 60 : 10000;
	uint64_t largest = opt.smoke ? 256 * KIB : MIB;
	struct outcome o = { 0 };
	struct crowd c;
	char cas[24], what[80];

	snprintf(cas, sizeof(cas), "jobs-%u", nr);
	if (!case_wanted(cas))
		return;
	say("  %s", cas);
	for (int round = 0; round < opt.rounds; round++) {
		crowd_open(&c, peer, nr, 16 * KIB, largest, true);
		round_many(&c, &o);
		crowd_close(&c);
	}
	result_check(SUITE, cas, !o.wrong, "each job has one event, with the right bytes");
	snprintf(what, sizeof(what),
		 "of %u largest jobs whose receiver stalls %u end before it reads", o.large,
		 o.large_ended);
	result_check(SUITE, cas, o.large && !o.large_ended, what);
	result_add(SUITE, cas, "zcp-job", "throughput", "Gbit/s", &o.throughput);
	result_add(SUITE, cas, "zcp-job", "files_per_s", "1/s", &o.jobs);
	result_add(SUITE, cas, "zcp-job", "cpu_per_gb", "s", &o.cpu);
	result_add(SUITE, cas, "zcp-job", "workers", "threads", &o.workers);
	if (o.memory.n)
		result_add(SUITE, cas, "zcp-job", "memory_per_job", "bytes", &o.memory);
	else
		result_left_out("memory_per_job",
				"this kernel lacks caches of zcp's own in /proc/slabinfo");
	if (opt.smoke)
		return;
	judge_most(cas, "workers", &o.workers, WORKERS_PER_CPU * sysconf(_SC_NPROCESSORS_ONLN));
	if (o.memory.n)
		judge_most(cas, "memory_per_job", &o.memory, MEMORY_MAX);
}

/*
 * What each job has sent, in any order; returns the sum. The kernel lists them all in
 * a millisecond or two: asked one by one the last would have gone on for a long time.
 */
static double look(struct crowd *c, double *sent)
{
	struct zcp_job_filter filter = { .size = sizeof(filter), .fields = ZCP_FILTER_CONTEXT };
	struct zcp_job_info info = { .size = sizeof(info) };
	struct zcp_snapshot *jobs;
	double sum = 0;
	int ret;

	ret = zcp_monitor_job(c->monitor, c->job[0].id, &info);
	filter.context = info.context;
	if (!ret)
		ret = zcp_monitor_jobs(c->monitor, &filter, &jobs);
	if (ret)
		die_errno(ret, "listing jobs");
	if (zcp_snapshot_count(jobs) != c->nr)
		die("%zu jobs are listed, not %u", zcp_snapshot_count(jobs), c->nr);
	for (unsigned int i = 0; i < c->nr; i++) {
		info.size = sizeof(info);
		ret = zcp_snapshot_job(jobs, i, &info);
		if (ret)
			die_errno(ret, "a job's state");
		sent[i] = info.bytes_sent;
		sum += sent[i];
	}
	zcp_snapshot_free(jobs);
	return sum;
}

static void tell(const struct crowd *c, const double *sent, double sum)
{
	unsigned int none = 0, all = 0;

	for (unsigned int i = 0; i < c->nr; i++) {
		none += !sent[i];
		all += sent[i] >= c->entry[i].size;
	}
	say("  %.0f%% of all bytes are sent: %u jobs have sent nothing, %u everything",
	    100 * sum / c->moving_bytes, none, all);
}

static void round_fair(struct crowd *c, struct outcome *o)
{
	struct timespec pause = { .tv_nsec = LOOK_NS };
	double *x = allocate(c->nr * sizeof(*x));
	double sum;
	int ret = zcp_monitor_open(&c->monitor, NULL);

	if (ret)
		die_errno(ret, "zcp_monitor_open");
	crowd_submit(c);
	/* No event is read meanwhile: jobs that have ended must be seen. */
	while ((sum = look(c, x)) < c->moving_bytes / 2.0)
		nanosleep(&pause, NULL);
	if (!opt.smoke)
		tell(c, x, sum);
	if (opt.smoke || sum < TOO_LATE * c->moving_bytes)
		samples_add(&o->jain, jain(x, c->nr));
	zcp_monitor_close(c->monitor);
	jobs_wait(&c->jobs, 0, crowd_ended, c);
	crowd_confirmed(c, false);
	o->wrong |= c->wrong || c->moving_ended != c->moving;
	free(x);
}

static void run_fair(struct peer *peer, int send_buffer)
{
	unsigned int nr = opt.smoke ? 10 : 1000;
	uint64_t size = opt.smoke ? 256 * KIB : MIB;
	struct outcome o = { 0 };
	struct crowd c;
	char cas[32];

	snprintf(cas, sizeof(cas), "equal-%u%s", nr, send_buffer ? "-small-buffers" : "");
	if (!case_wanted(cas))
		return;
	say("  %s", cas);
	for (int try = 0; try < 3 * opt.rounds && o.jain.n < opt.rounds; try++) {
		crowd_open(&c, peer, nr, size, size, false);
		for (unsigned int i = 0; i < nr && send_buffer; i++)
			setsockopt(c.entry[i].sock, SOL_SOCKET, SO_SNDBUF, &send_buffer,
				   sizeof(send_buffer));
		round_fair(&c, &o);
		crowd_close(&c);
	}
	result_check(SUITE, cas, !o.wrong, "each job has one event, with the right bytes");
	/* Who is looked at too late says nothing, and without a number there is no target. */
	result_check(SUITE, cas, o.jain.n, "in a round at least the jobs are looked at in time");
	if (o.jain.n < opt.rounds)
		say("  %d of %d rounds: the others were looked at too late", o.jain.n, opt.rounds);
	result_add(SUITE, cas, "zcp-job", "jain", "index", &o.jain);
	if (!opt.smoke && o.jain.n)
		result_target(SUITE, cas, "jain", samples_median(&o.jain), ">=", 0.95);
}

static void run(void)
{
	struct peer *peer;

	if (jobs_missing())
		return;
	peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	run_many(peer);
	run_fair(peer, 0);
	run_fair(peer, SEND_BUFFER);
	peer_stop(peer);
}

const struct suite suite_many = {
	"many",
	"10000 jobs on as many sockets, and 1000 equal ones",
	run,
};
