// SPDX-License-Identifier: GPL-2.0-only
/*
 * The monitor API of libzcp with jobs that are made up, to see what zcpctl
 * makes of them without a kernel module. ZCP_FAKE says which kind of kernel:
 * "absent", "busy" (a thousand jobs), "refuses", "signal" (SIGTERM comes while it lists
 * jobs), "paths" (of few columns and many bytes, and of many columns) or, by default, a
 * few jobs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <zcp/monitor.h>

#define JOBS 3
#define BUSY 1000

struct zcp_snapshot {
	bool links;
	size_t count;
	struct zcp_job_info jobs[BUSY];
};

struct zcp_monitor {
	int fd;
	unsigned int event;
	unsigned int steps;
	bool cancelled;
	const char *error;
};

static bool is(const char *kind)
{
	const char *fake = getenv("ZCP_FAKE");

	return fake && !strcmp(fake, kind);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Characters that take no column (U+E0100), and more of them than a line has. */
static const char *long_path(uint64_t id)
{
	static char none[4 * 1000 + 16], many[1016];

	for (size_t i = 0; i < 1000; i++)
		memcpy(none + 4 * i, "\xf3\xa0\x84\x80", 4);
	memset(many, 'a', 1000);
	memcpy(none + 4000, "/film.mkv", 10);
	memcpy(many + 1000, "/film.mkv", 10);
	return id == 7 ? none : many;
}

/* Job 7 moves 10 MB with each look, 8 waits, 12 has ended and has no link. */
static void make_job(const struct zcp_monitor *m, uint64_t id, struct zcp_job_info *j)
{
	memset(j, 0, sizeof(*j));
	j->size = sizeof(*j);
	j->job = id;
	j->context = 3;
	j->link = 1;
	j->state = ZCP_STATE_RUNNING;
	j->nr_segments = 2;
	j->segment = 1;
	j->pid = 4242;
	j->bytes_total = 1000000000;
	j->bytes_sent = 100000000 + m->steps * 10000000ull;
	j->bytes_acked = j->bytes_sent - 1000000;
	j->bytes_copied = 25;
	j->bytes_zerocopy = j->bytes_sent - 25;
	j->copy_reason = ZCP_REASON_INLINE;
	j->copied[ZCP_REASON_INLINE] = 25;
	j->submit_ns = now_ns() - 10000000000;
	j->comm = "server";
	j->file = "/srv/films/a long name of a film.mkv";
	if (id == 8) {
		/* What a terminal would obey. */
		j->comm = "evil\033[31m";
		j->file = "/tmp/\033]0;title\a\xc2\x9b\x33\x31m\xc3\xa9\xff.bin";
		j->link = 2;
		j->state = ZCP_STATE_BLOCKED;
		j->uid = 1000;
		j->rate = 1000000;
		j->bytes_sent = 0;
		j->bytes_acked = 0;
		j->bytes_zerocopy = 0;
		j->bytes_copied = 0;
		j->flags = ZCP_JOB_NOCACHE;
	} else if (id == 12) {
		j->state = ZCP_STATE_FAILED;
		j->error = ECONNRESET;
		j->comm = NULL;
		j->file = NULL;
		j->pid = 0;
		j->context = 4;
		j->bytes_sent = 1000;
		j->bytes_copied = 1000;
		j->bytes_zerocopy = 0;
		j->end_ns = 5000000000;
	}
	if (is("paths"))
		j->file = long_path(id);
	if (m->cancelled && id == 7)
		j->state = ZCP_STATE_CANCELLED;
}

static void make_link(uint32_t id, struct zcp_link_info *l)
{
	struct in_addr v4 = { htonl(0x0a4d0002) };
	struct in6_addr v6 = IN6ADDR_LOOPBACK_INIT;

	memset(l, 0, sizeof(*l));
	l->size = sizeof(*l);
	l->context = 3;
	l->link = id;
	l->family = id == 1 ? AF_INET : AF_INET6;
	if (id == 1)
		memcpy(l->peer_addr, &v4, sizeof(v4));
	else
		memcpy(l->peer_addr, &v6, sizeof(v6));
	memcpy(l->local_addr, l->peer_addr, sizeof(l->local_addr));
	l->local_port = 40000 + id;
	l->peer_port = 7000;
	l->ifindex = 2;
	l->ifname = "eth0";
	l->path_caps = ZCP_PATH_SG | ZCP_PATH_CSUM;
	l->path_mode = ZCP_MODE_ZEROCOPY;
	l->mss = 1448;
	l->rtt_us = id == 1 ? 250 : 12345;
	l->rtt_var_us = 20;
	l->cwnd = 10;
	l->retrans = 3;
	l->queue_bytes = id == 1 ? 2500000 : 64;
	l->notsent_bytes = 1000;
	l->inflight = 1000000;
	l->nr_jobs = 1;
}

int zcp_monitor_open(struct zcp_monitor **monitor, const struct zcp_monitor_opts *opts)
{
	(void)opts;
	if (is("absent"))
		return -ENOENT;
	*monitor = calloc(1, sizeof(**monitor));
	(*monitor)->fd = -EINVAL;
	(*monitor)->error = "";
	return 0;
}

void zcp_monitor_close(struct zcp_monitor *monitor)
{
	if (monitor->fd >= 0)
		close(monitor->fd);
	free(monitor);
}

const char *zcp_monitor_error(const struct zcp_monitor *monitor)
{
	return monitor->error;
}

static bool fits(const struct zcp_job_filter *f, const struct zcp_job_info *j)
{
	if ((f->fields & ZCP_FILTER_UID) && f->uid != j->uid)
		return false;
	if ((f->fields & ZCP_FILTER_STATE) && f->state != j->state)
		return false;
	return !(f->fields & ZCP_FILTER_CONTEXT) || f->context == j->context;
}

int zcp_monitor_jobs(struct zcp_monitor *monitor, const struct zcp_job_filter *filter,
		     struct zcp_snapshot **snapshot)
{
	static const uint64_t ids[JOBS] = { 7, 8, 12 };
	struct zcp_snapshot *s = calloc(1, sizeof(*s));
	size_t count = is("busy") ? BUSY : JOBS;

	if (is("refuses")) {
		free(s);
		monitor->error = "the kernel's own words";
		return -ENOBUFS;
	}
	if (is("signal"))
		raise(SIGTERM);
	monitor->steps++;
	for (size_t i = 0; i < count; i++) {
		make_job(monitor, is("busy") ? 100 + i : ids[i], &s->jobs[s->count]);
		if (!filter || fits(filter, &s->jobs[s->count]))
			s->count++;
	}
	*snapshot = s;
	return 0;
}

int zcp_monitor_links(struct zcp_monitor *monitor, uint64_t context, struct zcp_snapshot **snapshot)
{
	(void)monitor;
	(void)context;
	*snapshot = calloc(1, sizeof(**snapshot));
	(*snapshot)->links = true;
	(*snapshot)->count = 2;
	return 0;
}

size_t zcp_snapshot_count(const struct zcp_snapshot *snapshot)
{
	return snapshot->count;
}

int zcp_snapshot_job(const struct zcp_snapshot *snapshot, size_t index, struct zcp_job_info *job)
{
	if (snapshot->links || index >= snapshot->count)
		return -EINVAL;
	*job = snapshot->jobs[index];
	return 0;
}

/* Not in the order of their ids. */
int zcp_snapshot_link(const struct zcp_snapshot *snapshot, size_t index, struct zcp_link_info *link)
{
	if (!snapshot->links || index >= snapshot->count)
		return -EINVAL;
	make_link(2 - (uint32_t)index, link);
	return 0;
}

void zcp_snapshot_free(struct zcp_snapshot *snapshot)
{
	free(snapshot);
}

/* Job 13 is somebody else's. */
static int look(struct zcp_monitor *m, uint64_t id)
{
	m->error = "";
	if (id == 7 || id == 8 || id == 12)
		return 0;
	m->error = id == 13 ? "not yours" : "no such job";
	return id == 13 ? -EPERM : -ENOENT;
}

int zcp_monitor_job(struct zcp_monitor *monitor, uint64_t id, struct zcp_job_info *job)
{
	int ret = look(monitor, id);

	if (!ret)
		make_job(monitor, id, job);
	return ret;
}

int zcp_monitor_link(struct zcp_monitor *monitor, uint64_t context, uint32_t id,
		     struct zcp_link_info *link)
{
	(void)monitor;
	if (context != 3)
		return -ENOENT;
	make_link(id, link);
	return 0;
}

int zcp_monitor_stats(struct zcp_monitor *monitor, struct zcp_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->size = sizeof(*stats);
	stats->jobs_submitted = 10;
	stats->jobs_done = 5;
	stats->jobs_failed = 2;
	stats->jobs_cancelled = 1;
	stats->jobs_active = 2;
	stats->xfers = 77;
	stats->bytes_sent = 1000000 + monitor->steps * 10000000ull;
	stats->bytes_zerocopy = 900000 + monitor->steps * 10000000ull;
	stats->bytes_copied = 100000;
	stats->copied[ZCP_REASON_SMALL] = 40000;
	stats->copied[ZCP_REASON_NO_SG] = 60000;
	stats->contexts = 2;
	stats->links = 3;
	stats->workers = 1;
	stats->inflight = 65536;
	stats->memory = 12345;
	stats->events_lost = 6;
	return 0;
}

int zcp_monitor_cancel(struct zcp_monitor *monitor, uint64_t id, struct zcp_job_info *job)
{
	int ret = look(monitor, id);

	if (ret)
		return ret;
	if (id == 7)
		monitor->cancelled = true;
	make_job(monitor, id, job);
	return 0;
}

int zcp_monitor_subscribe(struct zcp_monitor *monitor)
{
	if (is("refuses"))
		return -EPERM;
	monitor->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return 0;
}

int zcp_monitor_fd(const struct zcp_monitor *monitor)
{
	return monitor->fd;
}

/* Six events, then nothing more; or five thousand about progress. */
int zcp_monitor_read(struct zcp_monitor *monitor, struct zcp_monitor_event *event,
		     struct zcp_job_info *job)
{
	static const uint32_t types[] = {
		ZCP_MONITOR_NEW,      ZCP_MONITOR_STAGE,   ZCP_MONITOR_PROGRESS,
		ZCP_MONITOR_PROGRESS, ZCP_MONITOR_OVERRUN, ZCP_MONITOR_DONE,
	};
	uint32_t type;
	uint64_t value;

	if (monitor->event == (is("busy") ? 5 * BUSY : sizeof(types) / sizeof(types[0]))) {
		/* So that it is not readable any more. */
		if (read(monitor->fd, &value, sizeof(value)) < 0)
			return 0;
		return 0;
	}
	type = is("busy") ? ZCP_MONITOR_PROGRESS : types[monitor->event];
	monitor->event++;
	memset(event, 0, sizeof(*event));
	event->size = sizeof(*event);
	event->type = type;
	event->time_ns = 1700000000123456789;
	event->overruns = type == ZCP_MONITOR_OVERRUN;
	make_job(monitor, is("busy") ? 100 + monitor->event % BUSY : 7, job);
	if (type == ZCP_MONITOR_DONE)
		job->state = ZCP_STATE_DONE;
	return 1;
}

const char *zcp_monitor_type_name(uint32_t type)
{
	static const char *const names[] = { "", "new", "progress", "stage", "done", "overrun" };

	return names[type];
}
