// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cold files, and what they do to the jobs of a cached file: one such job is
 * submitted each 5 ms, whether the ones before have ended or not. Its latency
 * ends when its event has been read, that is after it was acknowledged; *_sent
 * is the time until all of it was in the send queue.
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

#define SUITE "cold"
#define HOT_BYTES 65536
#define PERIOD_NS 5000000ULL
/* Without cold files; with them it is as long as they take. */
#define ALONE_NS 1000000000ULL
#define ALONE_SMOKE_NS 50000000ULL
#define MAX_LATENCIES 65536
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
	uint64_t begun[MAX_LATENCIES];
	uint64_t latency[MAX_LATENCIES];
	uint64_t sent[MAX_LATENCIES];
	uint64_t nr_begun, nr_ended;
	int cold_left;
};

struct sender {
	struct hot *h;
	int nr;
	pthread_t thread;
};

struct latencies {
	struct samples p50, p99, max, p99_sent, max_sent;
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

static void cold_ended(struct hot *h)
{
	__atomic_fetch_sub(&h->cold_left, 1, __ATOMIC_RELEASE);
}

static void ended(const struct zcp_event *event, void *arg)
{
	struct hot *h = arg;
	uint64_t n = h->nr_ended;

	if (event->user_data != HOT) {
		cold_ended(h);
		return;
	}
	/* They end in the order in which they were submitted. */
	h->latency[n] = now_ns() - h->begun[n];
	h->sent[n] = event->submit_ns + event->sent_ns - h->begun[n];
	h->nr_ended++;
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

/* Hot jobs until this time has passed and all cold ones have ended. */
static void send_hot(struct hot *h, uint64_t duration)
{
	uint64_t start = now_ns();
	uint64_t next = start;

	while (cold_left(h) || now_ns() < start + duration) {
		if (now_ns() >= next && h->nr_begun < MAX_LATENCIES) {
			h->begun[h->nr_begun++] = now_ns();
			submit(&h->jobs, h->link, &h->file, HOT);
			/* What was missed is not made up for. */
			next += PERIOD_NS;
			if (next < now_ns())
				next = now_ns();
		}
		wait_until(&h->jobs, next);
		jobs_read(&h->jobs, 0, ended, h);
	}
	jobs_wait(&h->jobs, 0, ended, h);
	peer_wait(h->sock, h->nr_begun);
}

static void *send_cold(void *arg)
{
	struct sender *s = arg;
	const struct cold *c = s->h->c;
	const struct method *m = s->h->sendfile;
	void *state = m->open(c->sock[s->nr]);

	m->send(state, &c->file[s->nr], 0, c->file[s->nr].size, NULL, 0);
	m->close(state);
	cold_ended(s->h);
	return NULL;
}

static void beside_jobs(struct hot *h)
{
	struct cold *c = h->c;

	for (int i = 0; i < c->nr; i++)
		submit(&h->jobs, jobs_link(&h->jobs, c->sock[i]), &c->file[i], i);
	h->cold_left = c->nr;
	send_hot(h, 0);
}

static void beside_sendfile(struct hot *h)
{
	struct cold *c = h->c;
	struct sender *s = allocate(c->nr * sizeof(*s));
	int error;

	h->cold_left = c->nr;
	for (int i = 0; i < c->nr; i++) {
		s[i] = (struct sender){ .h = h, .nr = i };
		error = pthread_create(&s[i].thread, NULL, send_cold, &s[i]);
		if (error)
			die_errno(error, "thread");
	}
	send_hot(h, 0);
	for (int i = 0; i < c->nr; i++)
		pthread_join(s[i].thread, NULL);
	free(s);
}

static void sample(struct hot *h, enum load which, struct latencies *l)
{
	struct cold *c = h->c;
	struct peer_hello hello = hello_of(c);

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
	h->nr_begun = 0;
	h->nr_ended = 0;
	if (which == ALONE)
		send_hot(h, opt.smoke ? ALONE_SMOKE_NS : ALONE_NS);
	else if (which == BESIDE_JOBS)
		beside_jobs(h);
	else
		beside_sendfile(h);
	for (int i = 0; i < c->nr && which != ALONE; i++)
		peer_wait(c->sock[i], 1);
	jobs_close(&h->jobs);
	close(h->sock);
	cold_finish(c);
	samples_add(&l->p50, percentile(h->latency, h->nr_ended, 50) / 1e3);
	samples_add(&l->p99, percentile(h->latency, h->nr_ended, 99) / 1e3);
	samples_add(&l->max, percentile(h->latency, h->nr_ended, 100) / 1e3);
	samples_add(&l->p99_sent, percentile(h->sent, h->nr_ended, 99) / 1e3);
	samples_add(&l->max_sent, percentile(h->sent, h->nr_ended, 100) / 1e3);
}

static void report(const char *cas, const struct latencies *l)
{
	result_add(SUITE, cas, "zcp-job", "p50", "µs", &l->p50);
	result_add(SUITE, cas, "zcp-job", "p99", "µs", &l->p99);
	result_add(SUITE, cas, "zcp-job", "max", "µs", &l->max);
	result_add(SUITE, cas, "zcp-job", "p99_sent", "µs", &l->p99_sent);
	result_add(SUITE, cas, "zcp-job", "max_sent", "µs", &l->max_sent);
}

static void judge(const char *what, const struct samples *beside, const struct samples *alone)
{
	result_target(SUITE, cases[BESIDE_JOBS], what,
		      samples_median(beside) - samples_median(alone), "<=", 10000);
}

void cold_run_hot(struct peer *peer, int nr, uint64_t size)
{
	struct latencies l[NR_LOADS] = { 0 };
	struct hot *h = allocate(sizeof(*h));
	struct cold c;

	say("  %s", cases[BESIDE_JOBS]);
	cold_open(&c, peer, nr, size);
	/* With 4 MiB of each in turn it is the receiver that lets the cached one wait. */
	c.flags = PEER_TOGETHER | PEER_TURNS;
	h->c = &c;
	h->sendfile = method_find("sendfile");
	disk_file(&h->file, "hot", HOT_BYTES, 0);
	for (int round = 0; round < opt.rounds; round++) {
		for (int i = 0; i < NR_LOADS; i++) {
			enum load which = (i + round) % NR_LOADS;

			if (which != BESIDE_SENDFILE || h->sendfile)
				sample(h, which, &l[which]);
		}
	}
	for (int i = 0; i < NR_LOADS; i++)
		report(cases[i], &l[i]);
	if (opt.smoke) {
		result_check(SUITE, cases[BESIDE_JOBS], true,
			     "every byte of hot and cold files arrives");
	} else {
		judge("microseconds that cold jobs add to max", &l[BESIDE_JOBS].max, &l[ALONE].max);
		judge("microseconds that cold jobs add to max_sent", &l[BESIDE_JOBS].max_sent,
		      &l[ALONE].max_sent);
	}
	disk_file_close(&h->file);
	cold_close(&c);
	free(h);
}
