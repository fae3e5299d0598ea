// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread that looks at sockets once in each interval. TCP's own count of what was
 * acknowledged is the same for every way to send.
 */
#include <linux/tcp.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "interval.h"

#define INTERVAL_NS 250000000ULL
#define NS_PER_S 1000000000ULL
/* A quarter of an hour. */
#define MAX_INTERVALS 3600

struct interval {
	uint64_t ns;
	uint64_t bytes;
};

static const int *watched;
static int nr_watched;
static struct interval seen[MAX_INTERVALS];
static int nr_seen;
static pthread_t watcher;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static bool watching;

static uint64_t acked_bytes(void)
{
	struct tcp_info info;
	uint64_t sum = 0;

	for (int i = 0; i < nr_watched; i++) {
		socklen_t len = sizeof(info);

		memset(&info, 0, sizeof(info));
		if (getsockopt(watched[i], IPPROTO_TCP, TCP_INFO, &info, &len))
			die_errno(errno, "TCP_INFO");
		sum += info.tcpi_bytes_acked;
	}
	return sum;
}

static void look(void)
{
	if (nr_seen == MAX_INTERVALS)
		return;
	seen[nr_seen].bytes = acked_bytes();
	seen[nr_seen++].ns = now_ns();
}

static void *watch(void *arg)
{
	uint64_t next = now_ns();
	struct timespec until;

	(void)arg;
	pthread_mutex_lock(&lock);
	while (watching) {
		next += INTERVAL_NS;
		until.tv_sec = next / NS_PER_S;
		until.tv_nsec = next % NS_PER_S;
		if (pthread_cond_timedwait(&wake, &lock, &until) == ETIMEDOUT)
			look();
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void intervals_start(const int *sock, int nr)
{
	pthread_condattr_t attr;
	int error;

	watched = sock;
	nr_watched = nr;
	nr_seen = 0;
	look();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &attr);
	watching = true;
	error = pthread_create(&watcher, NULL, watch, NULL);
	if (error)
		die_errno(error, "thread");
}

double intervals_stop(const char *path)
{
	FILE *f = NULL;
	double slowest = 0;

	pthread_mutex_lock(&lock);
	watching = false;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(watcher, NULL);
	pthread_cond_destroy(&wake);

	if (path) {
		f = fopen(path, "we");
		if (!f)
			die_errno(errno, "%s", path);
	}
	for (int i = 1; i < nr_seen; i++) {
		double ns = seen[i].ns - seen[i - 1].ns;
		double speed = (seen[i].bytes - seen[i - 1].bytes) * 8 / ns;

		if (f)
			fprintf(f, "%g %g\n", (seen[i].ns - seen[0].ns) / 1e9, speed);
		/* The first has the connection's start in it. */
		if (i > 1 && (!slowest || speed < slowest))
			slowest = speed;
	}
	if (f && fclose(f))
		die_errno(errno, "%s", path);
	return slowest;
}
