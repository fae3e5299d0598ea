// SPDX-License-Identifier: GPL-2.0-only
/*
 * The soak test: many jobs of all kinds, over connections that lose, delay and
 * reorder packets, that are reset, unlinked and closed all the time, while jobs
 * are cancelled and files cut at random. Each accepted job has one event, and
 * what arrives is compared byte by byte.
 *
 * usage: soak [-j JOBS] [-p PROCESSES] [-t THREADS] [-c CONNECTIONS] [-w WINDOW_KIB]
 *             [-n NETNS -a ADDRESS] [-s SEED] [-f FILE_MIB] DIRECTORY...
 *
 * CONNECTIONS are those of a thread. NETNS is the network namespace of the
 * receivers, as a file, ADDRESS theirs. Four files are made in each DIRECTORY,
 * two of them with FILE_MIB and not changed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/falloc.h>

#include "../zcp_test.h"
#include "soak.h"

static unsigned int processes = 2, threads = 3;
static uint64_t seed = 1, fixed_size = SOAK_FIXED;

uint64_t soak_random(uint64_t *state, uint64_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state % below;
}

static void make_file(struct soak_file *file, const char *dir, uint64_t n, bool cut)
{
	const uint64_t step = 1 << 20;

	file->cut = cut;
	file->size = cut ? SOAK_CUT : fixed_size;
	file->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file->fd < 0)
		zt_die("%s: errno %d", dir, errno);
	/* In a small cgroup of memory, pages that cannot be written back in time kill. */
	for (uint64_t off = 0; off < file->size; off += step) {
		zt_fill(file->fd, 2 * n, off, off + step < file->size ? step : file->size - off);
		zt_need(!fsync(file->fd));
	}
	file->seed = 2 * n;
	if (!cut && fixed_size > SOAK_FIXED)
		return;
	file->old = malloc(file->size);
	zt_need(file->old);
	zt_pattern(file->old, file->seed, 0, file->size);
	if (!cut)
		return;
	file->new = malloc(file->size);
	zt_need(file->new);
	zt_pattern(file->new, file->seed + 1, 0, file->size);
}

static void make_files(struct soak *soak, char *const *dirs, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && soak->nr_files + 4 <= SOAK_FILES; i++) {
		make_file(&soak->files[soak->nr_files++], dirs[i], 4 * i + 1, false);
		make_file(&soak->files[soak->nr_files++], dirs[i], 4 * i + 2, false);
		make_file(&soak->files[soak->nr_files++], dirs[i], 4 * i + 3, true);
		make_file(&soak->files[soak->nr_files++], dirs[i], 4 * i + 4, true);
	}
}

/* Cut it, punch a hole, or write it again, old or new. */
static void disturb_file(struct soak_file *file, uint64_t *random)
{
	uint64_t off = soak_random(random, file->size);
	uint64_t len = soak_random(random, file->size - off) + 1;

	if (!file->cut) {
		posix_fadvise(file->fd, off, len, POSIX_FADV_DONTNEED);
		return;
	}
	switch (soak_random(random, 12)) {
	case 0:
		zt_need(!ftruncate(file->fd, off));
		break;
	case 1:
		zt_need(!ftruncate(file->fd, file->size));
		break;
	case 2:
		zt_need(!fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
		break;
	case 3:
		zt_need(pwrite(file->fd, file->new + off, len, off) == (ssize_t)len);
		break;
	default:
		zt_need(pwrite(file->fd, file->old + off, len, off) == (ssize_t)len);
	}
}

static void disturb_job(struct soak *soak, uint64_t *random)
{
	unsigned int i = soak_random(random, SOAK_RECENT);
	uint64_t id = atomic_exchange(&soak->recent[i].job, 0);
	int ctx = atomic_load(&soak->recent[i].ctx);
	struct zcp_cancel cancel;
	struct zcp_status st;
	int ret;

	if (!id)
		return;
	if (soak_random(random, 4) == 0) {
		ret = zt_status(ctx, id, &st);
		zt_need(!ret || ret == -ENOENT);
		zt_need(ret || st.bytes_acked <= st.bytes_sent);
	}
	ret = zt_cancel(ctx, id, &cancel);
	zt_need(!ret || ret == -ENOENT);
	if (!ret && cancel.cancelled) {
		zt_need(cancel.state == ZCP_STATE_CANCELLED);
		atomic_fetch_add(&soak->totals->cancels, 1);
	}
}

static void *disturb(void *arg)
{
	struct soak *soak = arg;
	uint64_t random = seed * 7919 + getpid();
	unsigned int i;

	while (!atomic_load(&soak->ended)) {
		for (i = 0; i < 4; i++)
			disturb_job(soak, &random);
		disturb_file(&soak->files[soak_random(&random, soak->nr_files)], &random);
		usleep(500 + soak_random(&random, 2000));
	}
	return NULL;
}

static void read_events(struct soak *soak, int ctx)
{
	struct zcp_event evs[64];
	ssize_t n, i;

	do {
		n = read(ctx, evs, sizeof(evs));
		zt_need(n > 0 || errno == EAGAIN);
		for (i = 0; i < n / (ssize_t)sizeof(evs[0]); i++)
			soak_dispatch(soak, &evs[i]);
	} while (n == sizeof(evs));
}

static void poll_conn(struct pollfd *pfd, const struct soak_conn *c)
{
	*pfd = (struct pollfd) { .fd = -1 };
	if (c->state == SOAK_CONNECTING && !c->connected)
		*pfd = (struct pollfd) { .fd = c->tx, .events = POLLOUT };
	else if (c->state == SOAK_OPEN || c->state == SOAK_ENDING)
		*pfd = (struct pollfd) { .fd = c->eof ? -1 : c->rx, .events = POLLIN };
}

static void turn(struct soak_thread *t, struct pollfd *pfds)
{
	struct soak *soak = t->soak;
	unsigned int i, nr = 0;

	for (i = 0; i < SOAK_CTXS; i++)
		pfds[nr++] = (struct pollfd) { .fd = soak->ctxs[i], .events = POLLIN };
	pfds[nr++] = (struct pollfd) { .fd = t->listener, .events = POLLIN };
	for (i = 0; i < soak->conns; i++)
		poll_conn(&pfds[nr++], &t->conns[i]);
	zt_need(poll(pfds, nr, 20) >= 0);
	if (pfds[SOAK_CTXS].revents)
		soak_accept(t);
	for (i = 0; i < soak->conns; i++) {
		struct soak_conn *c = &t->conns[i];

		if (!pfds[SOAK_CTXS + 1 + i].revents)
			continue;
		if (c->state == SOAK_CONNECTING)
			c->connected = true;
		else
			soak_conn_receive(c);
	}
	for (i = 0; i < SOAK_CTXS; i++)
		if (pfds[i].revents)
			read_events(soak, soak->ctxs[i]);
}

static bool any_left(const struct soak_thread *t)
{
	unsigned int i;

	if (atomic_load(&t->soak->totals->submitted) < t->soak->target)
		return true;
	for (i = 0; i < t->soak->conns; i++)
		if (t->conns[i].state != SOAK_FREE)
			return true;
	return false;
}

static void listen_there(struct soak_thread *t)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = t->soak->address };
	socklen_t len = sizeof(sa);

	if (t->soak->netns >= 0)
		zt_need(!setns(t->soak->netns, CLONE_NEWNET));
	t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	zt_need(t->listener >= 0);
	zt_need(!bind(t->listener, (struct sockaddr *)&sa, sizeof(sa)));
	zt_need(!listen(t->listener, 4096));
	zt_need(!getsockname(t->listener, (struct sockaddr *)&sa, &len));
	t->port = ntohs(sa.sin_port);
	if (t->soak->netns >= 0)
		zt_need(!setns(t->soak->home, CLONE_NEWNET));
}

static void *work(void *arg)
{
	struct soak_thread *t = arg;
	struct pollfd *pfds = calloc(t->soak->conns + SOAK_CTXS + 1, sizeof(*pfds));
	unsigned int i;

	t->conns = calloc(t->soak->conns, sizeof(*t->conns));
	zt_need(pfds && t->conns);
	for (i = 0; i < t->soak->conns; i++) {
		t->conns[i].jobs = calloc(SOAK_LIFE + 1, sizeof(struct soak_job));
		zt_need(t->conns[i].jobs);
	}
	while (any_left(t) && !atomic_load(&t->soak->totals->stop)) {
		turn(t, pfds);
		for (i = 0; i < t->soak->conns; i++)
			soak_conn_step(t, &t->conns[i]);
	}
	for (i = 0; i < t->soak->conns; i++) {
		free(t->conns[i].jobs);
		free(t->conns[i].buf);
	}
	close(t->listener);
	free(t->conns);
	free(pfds);
	return NULL;
}

static void run_process(struct soak *soak, unsigned int n)
{
	struct soak_thread *ts = calloc(threads, sizeof(*ts));
	pthread_t ids[threads], disturbing;
	unsigned int i;

	zt_need(ts);
	for (i = 0; i < SOAK_CTXS; i++)
		soak->ctxs[i] = zt_open(O_NONBLOCK);
	for (i = 0; i < threads; i++) {
		ts[i].soak = soak;
		ts[i].random = seed * 1000003 + n * 101 + i + 1;
		listen_there(&ts[i]);
	}
	for (i = 0; i < threads; i++)
		zt_need(!pthread_create(&ids[i], NULL, work, &ts[i]));
	zt_need(!pthread_create(&disturbing, NULL, disturb, soak));
	for (i = 0; i < threads; i++)
		zt_need(!pthread_join(ids[i], NULL));
	atomic_store(&soak->ended, true);
	zt_need(!pthread_join(disturbing, NULL));
	for (i = 0; i < SOAK_CTXS; i++) {
		if (!atomic_load(&soak->totals->stop))
			zt_need(!zt_jobs(soak->ctxs[i]));
		close(soak->ctxs[i]);
	}
	free(ts);
}

static int wait_for_all(struct soak_totals *totals)
{
	int status, failed = 0;

	while (wait(&status) > 0) {
		if (status) {
			failed = 1;
			atomic_store(&totals->stop, true);
		}
	}
	return failed;
}

static unsigned int count_bits(const atomic_uchar *map)
{
	unsigned int i, n = 0;

	for (i = 0; i < SOAK_IDS / 8; i++)
		n += __builtin_popcount(map[i]);
	return n;
}

static int report(const struct soak_totals *totals, uint64_t ns)
{
	unsigned long long submitted = totals->submitted, lost;
	unsigned long long events = totals->ended[0] + totals->ended[1] + totals->ended[2];
	unsigned int seen = count_bits(totals->seen);

	lost = submitted - totals->abandoned - seen;
	printf("%llu jobs in %.0f s: %llu done, %llu failed, %llu cancelled (%llu by CANCEL)\n",
	       submitted, ns / 1e9, totals->ended[0], totals->ended[1], totals->ended[2],
	       totals->cancels);
	printf("%llu closed with their context, %llu refused\n", totals->abandoned,
	       totals->refused);
	printf("%llu links, %llu transfers, %.1f MB received and compared\n", totals->links,
	       totals->xfers, totals->bytes / 1e6);
	printf("%lld events lost, %llu doubled, 0 wrong bytes\n", (long long)lost, totals->doubled);
	return lost || totals->doubled || events != seen ||
	       count_bits(totals->accepted) != submitted;
}

static void options(struct soak *soak, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "j:p:t:c:w:n:a:s:f:")) != -1) {
		switch (opt) {
		case 'j':
			soak->target = strtoull(optarg, NULL, 10);
			break;
		case 'p':
			processes = atoi(optarg);
			break;
		case 't':
			threads = atoi(optarg);
			break;
		case 'c':
			soak->conns = atoi(optarg);
			break;
		case 'w':
			soak->window = strtoull(optarg, NULL, 10) * ZT_KIB;
			break;
		case 'n':
			soak->netns = open(optarg, O_RDONLY | O_CLOEXEC);
			zt_need(soak->netns >= 0);
			break;
		case 'a':
			zt_need(inet_pton(AF_INET, optarg, &soak->address) == 1);
			break;
		case 'f':
			fixed_size = strtoull(optarg, NULL, 10) * ZT_MIB;
			break;
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		default:
			exit(2);
		}
	}
	zt_need(optind < argc && processes && threads && soak->conns && seed);
	zt_need(soak->target && soak->target < SOAK_IDS / 2);
}

int main(int argc, char **argv)
{
	struct rlimit lim = { 16384, 16384 };
	static struct soak soak = {
		.target = 2000,
		.conns = 8,
		.window = 4 * ZT_MIB,
		.netns = -1,
	};
	uint64_t began;
	unsigned int i;

	soak.address = htonl(INADDR_LOOPBACK);
	options(&soak, argc, argv);
	zt_need(!setrlimit(RLIMIT_NOFILE, &lim));
	soak.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	zt_need(soak.home >= 0);
	soak.totals = mmap(NULL, sizeof(*soak.totals), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	zt_need(soak.totals != MAP_FAILED);
	make_files(&soak, argv + optind, argc - optind);
	began = zt_now_ns();
	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		zt_need(pid >= 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_process(&soak, i);
			exit(0);
		}
	}
	if (wait_for_all(soak.totals))
		return 1;
	return report(soak.totals, zt_now_ns() - began);
}
