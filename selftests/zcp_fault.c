// SPDX-License-Identifier: GPL-2.0-only
/* Fault injection for tests; zcp_fault.h says what each function is for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "zcp_fault.h"

#define MANY	1000000

/* The allocators come first: they can also fail at random. */
static const char *const faults[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
#define ALLOCATORS	2
#define FAULTS		3

static bool write_knob(const char *dir, const char *name, const char *value)
{
	char path[96];
	bool done;
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, value, strlen(value)) > 0;
	close(fd);
	return done;
}

/* Everything may fail, and is not told in the kernel log. */
static bool set_knobs(void)
{
	return write_knob("failslab", "ignore-gfp-wait", "0") &&
	       write_knob("failslab", "verbose", "0") &&
	       write_knob("fail_page_alloc", "ignore-gfp-wait", "0") &&
	       write_knob("fail_page_alloc", "ignore-gfp-highmem", "0") &&
	       write_knob("fail_page_alloc", "min-order", "0") &&
	       write_knob("fail_page_alloc", "verbose", "0") &&
	       write_knob("fail_usercopy", "verbose", "0");
}

bool zf_code(unsigned long *start, unsigned long *end)
{
	FILE *file = fopen("/proc/modules", "re");
	unsigned long size = 0;
	char line[256];

	*start = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "zcp %lu %*s %*s %*s %lx", &size, start) == 2)
			break;
	}
	if (file)
		fclose(file);
	*end = *start + size;
	return *start;
}

bool zf_below(unsigned long start, unsigned long end)
{
	char first[24], last[24];
	unsigned int i;
	bool set = true;

	snprintf(first, sizeof(first), "0x%lx", start);
	snprintf(last, sizeof(last), "0x%lx", end);
	for (i = 0; i < FAULTS && set; i++)
		set = write_knob(faults[i], "require-start", first) &&
		      write_knob(faults[i], "require-end", last) &&
		      write_knob(faults[i], "stacktrace-depth", "32");
	return set;
}

/* Nothing fails at random: what a test has left on can make this fail too. */
static void calm(void)
{
	unsigned int i, tries;

	for (i = 0; i < ALLOCATORS; i++) {
		for (tries = 0; tries < 1000; tries++) {
			if (write_knob(faults[i], "probability", "0"))
				break;
		}
	}
}

const char *zf_prepare(struct zf_bed *bed)
{
	memset(bed, 0, sizeof(*bed));
	bed->nth = 1;
	bed->fail = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (bed->fail < 0)
		return "needs /proc/self/fail-nth: a kernel with CONFIG_FAULT_INJECTION";
	/* Of what an earlier test has set, nothing stays; not all kernels have it. */
	calm();
	zf_below(0, -1UL);
	if (set_knobs())
		return NULL;
	close(bed->fail);
	bed->fail = -1;
	return "needs failslab, fail_page_alloc and fail_usercopy in debugfs";
}

static void keep_stats(const struct zn_msg *msg, void *arg)
{
	uint64_t *stats = arg;
	unsigned int i;

	for (i = 0; i <= ZCP_NL_A_STATS_EVENTS_LOST; i++) {
		if (i != ZCP_NL_A_STATS_COPIED)
			stats[i] = zn_u64(msg, i);
	}
}

uint64_t zf_stat(struct zf_bed *bed, int attr)
{
	uint64_t stats[ZCP_NL_A_STATS_EVENTS_LOST + 1] = {};

	zt_need(!zn_get(&bed->nl, ZCP_NL_CMD_STATS_GET, 0, 0, keep_stats, stats));
	return stats[attr];
}

const char *zf_open(struct zf_bed *bed)
{
	const char *lacks = zf_prepare(bed);

	if (lacks)
		return lacks;
	zt_box_open(&bed->box, 65536);
	zn_open(&bed->nl);
	bed->memory = zf_stat(bed, ZCP_NL_A_STATS_MEMORY);
	/* As long as it is open the user's counts are not forgotten. */
	bed->ctx = zt_open(O_NONBLOCK | O_CLOEXEC);
	bed->max_links = zt_parameter("max_user_links", 1);
	bed->max_jobs = zt_parameter("max_user_jobs", ZF_JOBS);
	return NULL;
}

/* Is there still room for as many as there was at the beginning? */
static int count_limits(struct zf_bed *bed)
{
	struct zcp_segment seg = zt_inline("", 0);
	struct zcp_link link = { .size = sizeof(link) };
	struct zcp_job jobs[ZF_JOBS];
	struct zcp_submit req = {
		.size = sizeof(req),
		.jobs = (uintptr_t)jobs,
		.nr_jobs = ZF_JOBS,
		.job_size = sizeof(jobs[0]),
	};
	struct zt_conn conn;
	unsigned int i;
	int left = 0;

	zt_connect(&conn, 0, 0);
	link.fd = conn.tx;
	if (ioctl(bed->ctx, ZCP_IOC_LINK, &link)) {
		fprintf(stderr, "# left behind: a link that counts for the user\n");
		left++;
	} else {
		for (i = 0; i < ZF_JOBS; i++)
			jobs[i] = zt_job(link.link, &seg, 1);
		ioctl(bed->ctx, ZCP_IOC_SUBMIT, &req);
		if (req.accepted != ZF_JOBS) {
			fprintf(stderr, "# left behind: %u jobs that count for the user\n",
				ZF_JOBS - req.accepted);
			left++;
		}
	}
	close(bed->ctx);
	zt_close(&conn);
	return left;
}

int zf_close(struct zf_bed *bed)
{
	static const struct {
		int attr;
		const char *name;
	} counts[] = {
		{ ZCP_NL_A_STATS_CONTEXTS, "contexts" },
		{ ZCP_NL_A_STATS_LINKS, "links" },
		{ ZCP_NL_A_STATS_JOBS_ACTIVE, "jobs" },
		{ ZCP_NL_A_STATS_INFLIGHT, "bytes in flight" },
		{ ZCP_NL_A_STATS_MEMORY, "bytes of memory" },
	};
	int left = 0;
	size_t i;

	if (bed->fail < 0)
		return 0;
	left += count_limits(bed);
	zt_parameter("max_user_links", bed->max_links);
	zt_parameter("max_user_jobs", bed->max_jobs);
	fprintf(stderr, "# %u times something failed, %u times the call did\n", bed->hits,
		bed->refused);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint64_t was = counts[i].attr == ZCP_NL_A_STATS_MEMORY ? bed->memory : 0;
		uint64_t now = zf_stat(bed, counts[i].attr);

		if (now == was)
			continue;
		fprintf(stderr, "# left behind: %llu %s, were %llu\n", (unsigned long long)now,
			counts[i].name, (unsigned long long)was);
		left++;
	}
	zn_close(&bed->nl);
	left += zt_box_close(&bed->box);
	close(bed->fail);
	bed->fail = -1;
	return left;
}

static unsigned int random_hits(const char *dir)
{
	unsigned int left;
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/times", dir);
	file = fopen(path, "re");
	zt_need(file && fscanf(file, "%u", &left) == 1);
	fclose(file);
	return MANY - left;
}

bool zf_random(struct zf_bed *bed, bool on)
{
	unsigned long start, end;
	bool set = true;
	char times[24];
	unsigned int i;

	/* Before there is no filter any more. */
	calm();
	if (!on) {
		for (i = 0; i < ALLOCATORS && bed->random; i++)
			bed->hits += random_hits(faults[i]);
		bed->random = false;
		return zf_below(0, -1UL);
	}
	if (!zf_code(&start, &end) || !zf_below(start, end))
		return false;
	snprintf(times, sizeof(times), "%d", MANY);
	for (i = 0; i < ALLOCATORS && set; i++)
		set = write_knob(faults[i], "interval", "1") &&
		      write_knob(faults[i], "times", times) &&
		      write_knob(faults[i], "probability", "15");
	bed->random = set;
	return set;
}

void zf_arm(struct zf_bed *bed)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", bed->nth);

	if (bed->nth)
		zt_need(pwrite(bed->fail, text, len, 0) == len);
	else
		zt_need(zf_random(bed, true));
}

/* Reading and writing here can fail by it as well. */
bool zf_disarm(struct zf_bed *bed, bool failed)
{
	char text[16] = {};
	bool hit = false;
	int was = errno;

	if (!bed->nth) {
		/* Workers may have more to do. */
		bed->refused += failed;
		return true;
	}
	if (pread(bed->fail, text, sizeof(text) - 1, 0) > 0)
		hit = !strtoul(text, NULL, 10);
	while (pwrite(bed->fail, "0", 1, 0) < 0)
		zt_need(errno == EFAULT);
	bed->hits += hit;
	bed->refused += hit && failed;
	if (failed && !hit)
		zt_die("the call failed by itself, with errno %d", was);
	errno = was;
	return hit;
}

int zf_ioctl(struct zf_bed *bed, int ctx, unsigned long cmd, void *arg, bool *hit)
{
	int ret;

	zf_arm(bed);
	ret = ioctl(ctx, cmd, arg);
	*hit = zf_disarm(bed, ret < 0);
	if (ret && errno != ENOMEM && errno != EFAULT)
		zt_die("fault %u: errno %d", bed->nth, errno);
	return ret ? -errno : 0;
}

void zf_replay(struct zf_bed *bed, zf_once once, const void *arg)
{
	/* Skipped: not every harness leaves the test out then. */
	if (bed->fail < 0)
		return;
	for (bed->nth = 1; once(bed, arg); bed->nth++)
		zt_need(bed->nth < ZF_FAULTS);
}

void zf_line_open(struct zf_line *line)
{
	memset(line, 0, sizeof(*line));
	line->ctx = zt_open(O_NONBLOCK | O_CLOEXEC);
	zt_connect(&line->conn, 0, 0);
	zt_sink_start(&line->sink, line->conn.rx, SIZE_MAX);
}

void zf_line_close(struct zf_line *line)
{
	close(line->ctx);
	close(line->conn.tx);
	zt_sink_join(&line->sink);
	zt_need(!line->sink.error);
	close(line->conn.rx);
}
