// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cold files, and what they do to the jobs of a cached file, of which one is due each 5 ms,
 * whether the ones before have ended or not. One that could not be submitted when it was due,
 * because its thread did not run or was in another call, is submitted as soon as it can be. It
 * is told
 *
 * - of p50, p99 and max: the time from when it was due until its event has been read, that is all
 *   that somebody waits for;
 * - of *_sent and *_acked: the time from the call that submits it until, by the clock of zcp, all
 *   of it was in the send queue, or was seen to be acknowledged: what zcp, TCP and the receiver
 *   take;
 * - of max_late: the time from when it was due until that call: the thread's wait for a CPU.
 *
 * With each load as many jobs are counted, as the longest of many takes longer than that of a
 * few. Cold files are sent, all of them, as often as it takes until so many jobs were due while
 * one of them was on its way.
 *
 * A hundred files also keep all CPUs busy, with receiving them not least. What
 * that alone does to the cached one is seen beside as many cold files that
 * threads send by sendfile(2). One thread receives all of the cold ones, by 64 KiB
 * in turn, and another one the cached one.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cold.h"
#include "method.h"
#include "rounds.h"

#define SUITE "cold"
#define HOT_BYTES 65536
#define PERIOD_NS 5000000ULL
/* Jobs of a sample: so many that the 99th percentile is not the longest. */
#define JOBS 200
#define JOBS_SMOKE 10
/* As often the cold files are sent for them, at most. */
#define MAX_TIMES 100
#define HOT UINT64_MAX

enum load {
	ALONE,
	BESIDE_JOBS,
	BESIDE_SENDFILE,
	NR_LOADS,
};

static const char *const cases[NR_LOADS] = { "hot-alone", "hot-beside-cold",
					     "hot-beside-sendfile" };

struct hot {
	struct cold *c;
	const struct method *sendfile; /* or NULL */
	struct jobs jobs;
	struct file file;
	int sock;
	uint32_t link;
	int wanted; /* jobs of a sample */
	/* Of each of them, ns. */
	uint64_t due[JOBS], late[JOBS], sent[JOBS], acked[JOBS], latency[JOBS];
	int nr_begun, nr_ended;
	int cold_left;
	uint64_t cold_end; /* when the last one ended that has */
};

struct sender {
	struct hot *h;
	int nr;
	pthread_t thread;
};

struct latencies {
	struct samples p50, p99, max, p99_sent, max_sent, p99_acked, max_acked, max_late;
	bool complete; /* as many jobs as were wanted, in each sample */
};

void cold_open(struct cold *c, struct peer *peer, int nr, uint64_t size)
{
	char name[32];

	*c = (struct cold){ .peer = peer, .nr = nr, .bytes = nr * size };
	c->file = allocate(nr * sizeof(*c->file));
	c->sock = allocate(nr * sizeof(*c->sock));
	for (int i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "cold-%llu-%d", (unsigned long long)size, i);
		disk_file(&c->file[i], name, size, i * size);
	}
}

void cold_close(struct cold *c)
{
	for (int i = 0; i < c->nr; i++)
		disk_file_close(&c->file[i]);
	free(c->file);
	free(c->sock);
}

static struct peer_hello hello_of(const struct cold *c)
{
	return (struct peer_hello){
		.mode = opt.smoke ? PEER_CHECK : PEER_DISCARD,
		.flags = c->flags,
	};
}

void cold_prepare(struct cold *c)
{
	struct peer_hello hello = hello_of(c);

	for (int i = 0; i < c->nr; i++) {
		hello.unit = c->file[i].size;
		hello.offset = i * c->file[i].size;
		c->sock[i] = peer_connect(c->peer, &hello);
	}
	disk_drop(c->file, c->nr);
}

void cold_finish(struct cold *c)
{
	for (int i = 0; i < c->nr; i++)
		close(c->sock[i]);
}

static int cold_left(struct hot *h)
{
	return __atomic_load_n(&h->cold_left, __ATOMIC_ACQUIRE);
}

/* Times may come in another order, by no more than what ends together. */
static void cold_ended(struct hot *h, uint64_t ns)
{
	__atomic_store_n(&h->cold_end, ns, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&h->cold_left, 1, __ATOMIC_RELEASE);
}

/* Whether a cold file is on its way at this time, as far as is known now. */
static bool beside_cold(struct hot *h, uint64_t ns)
{
	return cold_left(h) || ns < __atomic_load_n(&h->cold_end, __ATOMIC_RELAXED);
}

static void ended(const struct zcp_event *event, void *arg)
{
	struct hot *h = arg;
	uint64_t called;
	int n;

	if (event->user_data != HOT) {
		cold_ended(h, event->submit_ns + event->end_ns);
		return;
	}
	/* They end in the order in which they were submitted. */
	n = h->nr_ended++;
	called = h->due[n] + h->late[n];
	h->sent[n] = event->submit_ns + event->sent_ns - called;
	h->acked[n] = event->submit_ns + event->acked_ns - called;
	h->latency[n] = now_ns() - h->due[n];
}

static void submit(struct jobs *j, uint32_t link, const struct file *f, uint64_t user_data)
{
	struct zcp_segment segment;
	struct zcp_job job;

	zcp_segment_file(&segment, f->fd, 0, f->size);
	jobs_prepare(&job, link, &segment, 1, user_data);
	jobs_submit(j, &job, 1);
}

static void wait_until(struct jobs *j, uint64_t ns)
{
	struct pollfd pfd = { .fd = zcp_ctx_fd(j->ctx), .events = POLLIN };
	uint64_t now = now_ns();
	struct timespec left = { 0 };

	if (now < ns)
		left.tv_nsec = ns - now;
	if (ppoll(&pfd, 1, &left, NULL) < 0 && errno != EINTR)
		die_errno(errno, "poll");
}

/* Hot jobs at their times, until there are enough or all cold ones have ended. */
static void send_hot(struct hot *h)
{
	uint64_t next = now_ns(), now;

	while (h->nr_begun < h->wanted && beside_cold(h, next)) {
		now = now_ns();
		if (now >= next) {
			h->due[h->nr_begun] = next;
			h->late[h->nr_begun++] = now - next;
			submit(&h->jobs, h->link, &h->file, HOT);
			next += PERIOD_NS;
		} else {
			wait_until(&h->jobs, next);
		}
		jobs_read(&h->jobs, 0, ended, h);
	}
	jobs_wait(&h->jobs, 0, ended, h);
}

static void *send_cold(void *arg)
{
	struct sender *s = arg;
	const struct cold *c = s->h->c;
	const struct method *m = s->h->sendfile;
	void *state = m->open(c->sock[s->nr]);

	m->send(state, &c->file[s->nr], 0, c->file[s->nr].size, NULL, 0);
	m->close(state);
	cold_ended(s->h, now_ns());
	return NULL;
}

static void beside_jobs(struct hot *h)
{
	struct cold *c = h->c;

	for (int i = 0; i < c->nr; i++)
		submit(&h->jobs, jobs_link(&h->jobs, c->sock[i]), &c->file[i], i);
	send_hot(h);
}

static void beside_sendfile(struct hot *h)
{
	struct cold *c = h->c;
	struct sender *s = allocate(c->nr * sizeof(*s));
	int error;

	for (int i = 0; i < c->nr; i++) {
		s[i] = (struct sender){ .h = h, .nr = i };
		error = pthread_create(&s[i].thread, NULL, send_cold, &s[i]);
		if (error)
			die_errno(error, "thread");
	}
	send_hot(h);
	for (int i = 0; i < c->nr; i++)
		pthread_join(s[i].thread, NULL);
	free(s);
}

/* The first one of a connection is not counted: no later one has to wait for its receiver. */
static void send_first(struct hot *h)
{
	submit(&h->jobs, h->link, &h->file, HOT);
	jobs_wait(&h->jobs, 0, NULL, NULL);
	peer_wait(h->sock, 1);
}

/* All cold files once, if there are any, and hot jobs meanwhile. */
static void send_all_once(struct hot *h, enum load which)
{
	struct cold *c = h->c;
	struct peer_hello hello = hello_of(c);
	int before = h->nr_begun;

	cold_prepare(c);
	/* What was cached for it went as well. */
	disk_read(&h->file);
	/* Who receives it stands for another machine, which does nothing else. */
	if (hello.mode != PEER_CHECK) {
		hello.flags = PEER_ALONE;
		hello.lowat = 1;
	}
	hello.unit = HOT_BYTES;
	h->sock = peer_connect(c->peer, &hello);
	jobs_open(&h->jobs);
	h->link = jobs_link(&h->jobs, h->sock);
	send_first(h);
	h->cold_left = which == ALONE ? 0 : c->nr;
	h->cold_end = which == ALONE ? UINT64_MAX : 0;
	if (which == ALONE)
		send_hot(h);
	else if (which == BESIDE_JOBS)
		beside_jobs(h);
	else
		beside_sendfile(h);
	peer_wait(h->sock, h->nr_begun - before);
	for (int i = 0; i < c->nr && which != ALONE; i++)
		peer_wait(c->sock[i], 1);
	jobs_close(&h->jobs);
	close(h->sock);
	cold_finish(c);
	/* That the last one had ended was not known then. */
	while (h->nr_begun > before && h->due[h->nr_begun - 1] >= h->cold_end)
		h->nr_begun--;
	h->nr_ended = h->nr_begun;
}

static void add(struct samples *s, uint64_t *ns, int nr, double p)
{
	samples_add(s, percentile(ns, nr, p) / 1e3);
}

static void sample(struct hot *h, enum load which, struct latencies *l)
{
	int nr;

	h->nr_begun = 0;
	h->nr_ended = 0;
	for (int times = 0; times < MAX_TIMES && h->nr_begun < h->wanted; times++)
		send_all_once(h, which);
	nr = h->nr_ended;
	l->complete &= nr == h->wanted;
	if (!nr)
		return;
	add(&l->p50, h->latency, nr, 50);
	add(&l->p99, h->latency, nr, 99);
	add(&l->max, h->latency, nr, 100);
	add(&l->p99_sent, h->sent, nr, 99);
	add(&l->max_sent, h->sent, nr, 100);
	add(&l->p99_acked, h->acked, nr, 99);
	add(&l->max_acked, h->acked, nr, 100);
	add(&l->max_late, h->late, nr, 100);
}

static void report(const char *cas, const struct latencies *l)
{
	result_add(SUITE, cas, "zcp-job", "p50", "µs", &l->p50);
	result_add(SUITE, cas, "zcp-job", "p99", "µs", &l->p99);
	result_add(SUITE, cas, "zcp-job", "max", "µs", &l->max);
	result_add(SUITE, cas, "zcp-job", "p99_sent", "µs", &l->p99_sent);
	result_add(SUITE, cas, "zcp-job", "max_sent", "µs", &l->max_sent);
	result_add(SUITE, cas, "zcp-job", "p99_acked", "µs", &l->p99_acked);
	result_add(SUITE, cas, "zcp-job", "max_acked", "µs", &l->max_acked);
	result_add(SUITE, cas, "zcp-job", "max_late", "µs", &l->max_late);
	if (l->max.n || !l->complete)
		result_check(SUITE, cas, l->complete, "as many jobs are counted with each load");
}

static void judge(const char *what, const struct samples *beside, const struct samples *alone)
{
	result_target(SUITE, cases[BESIDE_JOBS], what,
		      samples_median(beside) - samples_median(alone), "<=", 10000);
}

/* What cold jobs add to the longest of as many. */
static void judge_all(const struct latencies *beside, const struct latencies *alone)
{
	judge("microseconds that cold jobs add to max", &beside->max, &alone->max);
	judge("microseconds that cold jobs add to max_sent", &beside->max_sent, &alone->max_sent);
	judge("microseconds that cold jobs add to max_acked", &beside->max_acked,
	      &alone->max_acked);
}

void cold_run_hot(struct peer *peer, int nr, uint64_t size)
{
	struct latencies l[NR_LOADS] = { 0 };
	struct hot *h = allocate(sizeof(*h));
	int order[NR_LOADS];
	struct cold c;

	say("  %s", cases[BESIDE_JOBS]);
	cold_open(&c, peer, nr, size);
	/* With 4 MiB of each in turn it is the receiver that lets the cached one wait. */
	c.flags = PEER_TOGETHER | PEER_TURNS;
	h->c = &c;
	h->sendfile = method_find("sendfile");
	h->wanted = opt.smoke ? JOBS_SMOKE : JOBS;
	disk_file(&h->file, "hot", HOT_BYTES, 0);
	for (int i = 0; i < NR_LOADS; i++)
		l[i].complete = true;
	for (int round = 0; round < opt.rounds; round++) {
		rounds_order(order, NR_LOADS, round);
		for (int i = 0; i < NR_LOADS; i++) {
			enum load which = order[i];

			if (which != BESIDE_SENDFILE || h->sendfile)
				sample(h, which, &l[which]);
		}
	}
	for (int i = 0; i < NR_LOADS; i++)
		report(cases[i], &l[i]);
	if (opt.smoke)
		result_check(SUITE, cases[BESIDE_JOBS], true,
			     "every byte of hot and cold files arrives");
	else
		judge_all(&l[BESIDE_JOBS], &l[ALONE]);
	disk_file_close(&h->file);
	cold_close(&c);
	free(h);
}
