// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a run took: time, CPU seconds of the whole machine, memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SAMPLE_NS 10000000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static pthread_t sampler;
static bool sampling;
static uint64_t memory_start, memory_peak;
static uint64_t ns_start;
static double cpu_start;

static size_t read_proc(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		die_errno(errno, "%s", path);
	n = read(fd, buf, size - 1);
	if (n < 0)
		die_errno(errno, "%s", path);
	close(fd);
	buf[n] = '\0';
	return n;
}

double machine_cpu(void)
{
	unsigned long long user, nice, sys, idle, wait, irq, softirq;
	char buf[512];

	read_proc("/proc/stat", buf, sizeof(buf));
	/* What follows is not its own: time in which the host ran somebody else. */
	if (sscanf(buf, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &sys, &idle, &wait,
		   &irq, &softirq) != 7)
		die("/proc/stat is not understood");
	return (double)(user + nice + sys + irq + softirq) / sysconf(_SC_CLK_TCK);
}

static uint64_t memory_of(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	if (!p)
		die("/proc/meminfo has no %s", key);
	return strtoull(p + strlen(key), NULL, 10) * 1024;
}

uint64_t memory_available(void)
{
	char buf[4096];

	read_proc("/proc/meminfo", buf, sizeof(buf));
	return memory_of(buf, "MemAvailable:");
}

static uint64_t memory_used(void)
{
	char buf[4096];

	read_proc("/proc/meminfo", buf, sizeof(buf));
	return memory_of(buf, "MemTotal:") - memory_of(buf, "MemAvailable:");
}

static void *sample(void *arg)
{
	struct timespec until;
	uint64_t used;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &until);
	pthread_mutex_lock(&lock);
	while (sampling) {
		until.tv_nsec += SAMPLE_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		if (pthread_cond_timedwait(&wake, &lock, &until) != ETIMEDOUT)
			continue;
		used = memory_used();
		if (used > memory_peak)
			memory_peak = used;
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void start_sampler(void)
{
	pthread_condattr_t attr;
	int error;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &attr);
	sampling = true;
	error = pthread_create(&sampler, NULL, sample, NULL);
	if (error)
		die_errno(error, "thread");
}

static void stop_sampler(void)
{
	pthread_mutex_lock(&lock);
	sampling = false;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(sampler, NULL);
	pthread_cond_destroy(&wake);
}

void meter_start(struct peer *peer)
{
	memory_start = memory_used();
	memory_peak = memory_start;
	start_sampler();
	cpu_start = machine_cpu() + peer_cpu(peer);
	ns_start = now_ns();
}

void meter_stop(struct peer *peer, struct meter *m)
{
	m->ns = now_ns() - ns_start;
	m->cpu = machine_cpu() + peer_cpu(peer) - cpu_start;
	stop_sampler();
	m->peak_mem = memory_peak - memory_start;
}
