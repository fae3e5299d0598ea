// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many links whose peers do not read, and some whose peers do, of one context:
 * how fast the latter are with and without the former, in turns.
 *
 * usage: stalled LINKS STALLED ROUNDS SECONDS PERCENT
 *
 * Fails when the others keep less than PERCENT of their speed: in each round
 * that is compared with the speed just before it and just after it, so that what
 * the machine does otherwise in these minutes has less of a say. The median counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../zcp_test.h"

#define FILE_LEN	(4 * ZT_MIB)
#define JOB_LEN		(256 * ZT_KIB)
#define AHEAD		2	/* jobs of a link that moves */
#define READERS		2	/* processes */
#define EVENTS		64
#define ROUNDS_MAX	32
#define SMALL_BUF	(8 * ZT_KIB)
#define STALLED_DATA	UINT64_MAX

/**
 * struct peers - Connections, and links of them
 * @conns: connections
 * @links: their links
 * @nr: of both
 */
struct peers {
	struct zt_conn *conns;
	uint32_t *links;
	unsigned int nr;
};

static int ctx, file;

static void peers_make(struct peers *p, unsigned int nr, int sndbuf, int rcvbuf)
{
	int listener = zt_listen(AF_INET, rcvbuf);
	unsigned int i;

	p->nr = nr;
	p->conns = calloc(nr, sizeof(*p->conns));
	p->links = calloc(nr, sizeof(*p->links));
	zt_need(p->conns && p->links);
	for (i = 0; i < nr; i++) {
		/* A listener has 28000 ports to be reached from. */
		if (i % 20000 == 19999) {
			close(listener);
			listener = zt_listen(AF_INET, rcvbuf);
		}
		zt_connect_to(&p->conns[i], listener, sndbuf);
		p->links[i] = zt_link(ctx, p->conns[i].tx);
	}
	close(listener);
}

static void peers_free(struct peers *p)
{
	unsigned int i;

	for (i = 0; i < p->nr; i++) {
		zt_need(!zt_unlink(ctx, p->links[i], NULL));
		/* No one has to wait for its port. */
		if (p->conns[i].rx >= 0)
			zt_reset(p->conns[i].rx);
		close(p->conns[i].tx);
	}
	free(p->conns);
	free(p->links);
}

/* Reads connections for ever, and keeps nothing. */
static void read_all(const struct peers *p, unsigned int first)
{
	struct epoll_event evs[EVENTS];
	int ep = epoll_create1(EPOLL_CLOEXEC), i, n;

	zt_need(ep >= 0);
	for (i = first; i < p->nr; i += READERS) {
		struct epoll_event ev = { .events = EPOLLIN, .data.fd = p->conns[i].rx };

		zt_need(!epoll_ctl(ep, EPOLL_CTL_ADD, ev.data.fd, &ev));
	}
	for (;;) {
		n = epoll_wait(ep, evs, EVENTS, -1);
		for (i = 0; i < n; i++) {
			/* Without copying them: what is measured is the sender. */
			if (recv(evs[i].data.fd, NULL, ZT_MIB, MSG_TRUNC | MSG_DONTWAIT) <= 0)
				zt_need(errno == EAGAIN);
		}
	}
}

static void start_readers(const struct peers *p, pid_t *pids)
{
	unsigned int i;

	for (i = 0; i < READERS; i++) {
		pids[i] = fork();
		zt_need(pids[i] >= 0);
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(ctx);
			read_all(p, i);
		}
	}
}

static void submit_all(struct zcp_job *jobs, unsigned int nr)
{
	struct zcp_submit submit = {
		.size = sizeof(submit),
		.jobs = (uintptr_t)jobs,
		.nr_jobs = nr,
		.job_size = sizeof(*jobs),
	};

	if (!nr)
		return;
	if (ioctl(ctx, ZCP_IOC_SUBMIT, &submit) || submit.accepted != nr)
		zt_die("SUBMIT: %u of %u, error %u, limit %u", submit.accepted, nr, submit.error,
		       submit.limit);
}

/* Each job that ends is followed by another, for that long; their number. */
static uint64_t pump(uint64_t ns)
{
	struct zcp_segment segs[EVENTS];
	struct zcp_job jobs[EVENTS];
	struct zcp_event evs[EVENTS];
	uint64_t until = zt_now_ns() + ns, done = 0;
	static uint64_t at;
	ssize_t n, i;

	while (zt_now_ns() < until) {
		unsigned int nr = 0;

		if (!zt_readable(ctx, ZT_PATIENCE * 1000))
			zt_die("no job ends, %u are there", zt_jobs(ctx));
		n = read(ctx, evs, sizeof(evs));
		zt_need(n > 0);
		for (i = 0; i < n / (ssize_t)sizeof(evs[0]); i++) {
			if (evs[i].user_data == STALLED_DATA || evs[i].state != ZCP_STATE_DONE)
				zt_die("job %llu: state %u, error %u", evs[i].job, evs[i].state,
				       evs[i].error);
			at = (at + JOB_LEN) % FILE_LEN;
			segs[nr] = zt_range(file, at, JOB_LEN);
			jobs[nr] = zt_job(evs[i].user_data, &segs[nr], 1);
			jobs[nr].user_data = evs[i].user_data;
			nr++;
		}
		submit_all(jobs, nr);
		done += nr;
	}
	return done;
}

static void start(const struct peers *p, unsigned int each, uint64_t len, bool stalled)
{
	struct zcp_segment seg = zt_range(file, 0, len);
	unsigned int i, j;

	for (i = 0; i < p->nr; i++) {
		struct zcp_job jobs[AHEAD];

		for (j = 0; j < each; j++) {
			jobs[j] = zt_job(p->links[i], &seg, 1);
			jobs[j].user_data = stalled ? STALLED_DATA : p->links[i];
		}
		submit_all(jobs, each);
	}
}

/* Those that wait for their peers, or look if they have to, with a part sent. */
static unsigned int count_blocked(void)
{
	struct zcp_status st = { .size = sizeof(st), .flags = ZCP_STATUS_NEXT };
	unsigned int n = 0;

	while (!ioctl(ctx, ZCP_IOC_STATUS, &st)) {
		n += st.user_data == STALLED_DATA &&
		     (st.state == ZCP_STATE_BLOCKED || st.state == ZCP_STATE_RUNNING) &&
		     st.bytes_sent > 0 && st.bytes_sent < st.bytes_total;
		st.job++;
		st.flags = ZCP_STATUS_NEXT;
	}
	return n;
}

/* Leaves the events of those that were moving; they are followed later. */
static void stop_stalled(struct peers *p)
{
	struct zcp_event evs[EVENTS];
	unsigned int left = p->nr;
	ssize_t n, i;

	peers_free(p);
	while (left) {
		zt_need(zt_readable(ctx, ZT_PATIENCE * 1000));
		n = read(ctx, evs, sizeof(evs));
		zt_need(n > 0);
		for (i = 0; i < n / (ssize_t)sizeof(evs[0]); i++) {
			struct zcp_segment seg = zt_range(file, 0, JOB_LEN);
			struct zcp_job job = zt_job(evs[i].user_data, &seg, 1);

			if (evs[i].user_data == STALLED_DATA) {
				zt_need(evs[i].state == ZCP_STATE_CANCELLED);
				left--;
				continue;
			}
			job.user_data = evs[i].user_data;
			submit_all(&job, 1);
		}
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double measure(double seconds)
{
	uint64_t began = zt_now_ns();
	uint64_t done = pump(seconds * 1e9);

	return done * JOB_LEN / 1e6 / ((zt_now_ns() - began) / 1e9);
}

int main(int argc, char **argv)
{
	struct rlimit lim = { 65536, 65536 };
	unsigned int nr, stalled, rounds, i;
	double with[ROUNDS_MAX], without[ROUNDS_MAX], shares[ROUNDS_MAX];
	double seconds, share, before, after;
	struct peers moving, waiting;
	pid_t readers[READERS];

	zt_need(argc == 6);
	nr = atoi(argv[1]);
	stalled = atoi(argv[2]);
	rounds = atoi(argv[3]);
	seconds = atof(argv[4]);
	zt_need(nr > stalled && stalled && rounds && rounds <= ROUNDS_MAX && seconds > 0);
	zt_need(!setrlimit(RLIMIT_NOFILE, &lim));
	ctx = zt_open(O_NONBLOCK);
	file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(file >= 0);
	zt_fill(file, 1, 0, FILE_LEN);

	peers_make(&moving, nr - stalled, 0, 0);
	start_readers(&moving, readers);
	start(&moving, AHEAD, JOB_LEN, false);
	pump(seconds * 1e9);
	after = measure(seconds);
	for (i = 0; i < rounds; i++) {
		unsigned int blocked;

		before = after;
		peers_make(&waiting, stalled, SMALL_BUF, SMALL_BUF);
		start(&waiting, 1, ZT_MIB, true);
		/*
		 * TCP asks peers that stall after 0.2 s, then after twice as long
		 * each time. All of them have stalled at once, so it asks all at
		 * once, which takes a while: four times four seconds are between
		 * the sixth time and the seventh.
		 */
		pump(4 * seconds * 1e9);
		with[i] = measure(seconds);
		blocked = count_blocked();
		if (blocked != stalled)
			zt_die("%u of %u links are blocked", blocked, stalled);
		stop_stalled(&waiting);
		pump(seconds / 2 * 1e9);
		after = measure(seconds);
		without[i] = (before + after) / 2;
		shares[i] = with[i] * 100 / without[i];
		printf("round %u: %.0f and %.0f MB/s, with %u stalled links %.0f MB/s: %.1f %%\n",
		       i + 1, before, after, stalled, with[i], shares[i]);
		fflush(stdout);
	}
	for (i = 0; i < READERS; i++) {
		kill(readers[i], SIGKILL);
		waitpid(readers[i], NULL, 0);
	}
	share = median(shares, rounds);
	printf("%u of %u links stalled: others %.0f MB/s, alone %.0f MB/s: %.1f %%, of %u rounds\n",
	       stalled, nr, median(with, rounds), median(without, rounds), share, rounds);
	return share < atof(argv[5]);
}
