/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the stand-in for /dev/zcp share.
 */
#ifndef ZCP_MOCK_H
#define ZCP_MOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/zcp.h>

#define MAX_LINKS 16
#define MAX_JOBS 64
#define MAX_SEGMENTS 64

struct job {
	struct zcp_status status;
	struct zcp_segment segments[MAX_SEGMENTS];
	char *copy[MAX_SEGMENTS]; /* inline bytes */
	bool used;
	bool ended;  /* its place may be taken */
	bool cancel; /* atomic */
};

struct link {
	int sock;
	bool used;
	uint32_t flags;
	uint64_t hole; /* the job that ended part way, until its event is read */
};

struct ctx {
	int fd;
	int events;
	bool used;
	bool closing;
	pthread_t worker;
	struct link links[MAX_LINKS];
	struct job jobs[MAX_JOBS];
};

/*
 * Limits of each context and job, atomic: jobs, those with unread events included, and
 * segments. At first they are as many as there is room for.
 */
extern long mock_max_jobs, mock_max_segments;
/* Atomic: read(2) takes so many milliseconds and gives one event; 0: it is as quick as it is. */
extern long mock_read_ms;
/* Atomic: a submission does not return while the first is set, and then sets the second. */
extern bool mock_hold, mock_held;

/* Of all contexts. */
extern pthread_mutex_t mock_lock;
/* There is something for a worker. */
extern pthread_cond_t mock_work;

/* An environment variable's number. */
long mock_setting(const char *name, long otherwise);
/* A thread that does the jobs of a context, struct ctx, until it is closing. */
void *mock_worker(void *arg);
/* An ioctl, under the lock: 0 or -errno. */
int mock_command(struct ctx *ctx, unsigned long cmd, void *arg);
/* read(2) of events, under the lock. */
ssize_t mock_read(struct ctx *ctx, void *buf, size_t len);

#endif /* ZCP_MOCK_H */
