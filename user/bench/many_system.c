// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory and the threads that zcp has, by /proc.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "many.h"

#define LOOK_NS 20000000

static pthread_t watcher;
static bool stop;
static unsigned int most;

int64_t many_slab_bytes(void)
{
	unsigned long long objects, size;
	int64_t bytes = -1;
	char line[512];
	FILE *f = fopen("/proc/slabinfo", "re");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "zcp_", 4) ||
		    sscanf(line, "%*s %*u %llu %llu", &objects, &size) != 2)
			continue;
		if (bytes < 0)
			bytes = 0;
		bytes += objects * size;
	}
	fclose(f);
	return bytes;
}

static bool read_line(const char *pid, const char *name, char *buf, size_t size)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(buf, size, f))
		buf[0] = '\0';
	fclose(f);
	return true;
}

/*
 * A worker of a workqueue is named after its pool and what it works on, with a
 * plus: kworker/u8:3+zcp; or what it worked on last, with a minus.
 */
static bool is_worker(const char *pid)
{
	char comm[128], cmdline[16];

	return read_line(pid, "comm", comm, sizeof(comm)) && strstr(comm, "+zcp") &&
	       read_line(pid, "cmdline", cmdline, sizeof(cmdline)) && !cmdline[0];
}

unsigned int many_workers(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned int n = 0;

	if (!proc)
		die_errno(errno, "/proc");
	while ((entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			n += is_worker(entry->d_name);
	closedir(proc);
	return n;
}

static void *watch(void *arg)
{
	struct timespec pause = { .tv_nsec = LOOK_NS };
	unsigned int n;

	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		n = many_workers();
		if (n > most)
			most = n;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

void many_watch_start(void)
{
	int error;

	stop = false;
	most = many_workers();
	error = pthread_create(&watcher, NULL, watch, NULL);
	if (error)
		die_errno(error, "thread");
}

unsigned int many_watch_stop(void)
{
	unsigned int n;

	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(watcher, NULL);
	n = many_workers();
	return n > most ? n : most;
}
