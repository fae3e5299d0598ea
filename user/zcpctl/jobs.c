// SPDX-License-Identifier: GPL-2.0-only
/*
 * The jobs of all processes, each with its link and its rate.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "jobs.h"
#include "zcpctl.h"

uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int open_monitor(struct zcp_monitor **monitor)
{
	int ret = zcp_monitor_open(monitor, NULL);

	if (ret == -ENOENT && access(ZCP_MODULE_DIR, F_OK))
		fail("the zcp module is not loaded; try: sudo modprobe zcp (or insmod zcp.ko)");
	else if (ret == -ENOENT)
		fail("the loaded zcp module is older than 0.3 and shows no jobs; load a newer one");
	else if (ret)
		fail("cannot ask the kernel about jobs: %s", strerror(-ret));
	return ret;
}

int monitor_failed(const struct zcp_monitor *monitor, const char *what, int error)
{
	const char *said = zcp_monitor_error(monitor);

	return fail("%s: %s", what, *said ? said : strerror(error));
}

int job_failed(const struct zcp_monitor *monitor, uint64_t id, const char *what, int error)
{
	unsigned long long job = id;

	switch (error) {
	case ENOENT:
		return fail("there is no job %llu in this network namespace; see zcpctl list", job);
	case EPERM:
	case EACCES:
		return fail("job %llu is another user's: %s it needs %s; try: sudo zcpctl", job,
			    what, "CAP_NET_ADMIN");
	}
	return fail("job %llu: %s", job,
		    *zcp_monitor_error(monitor) ? zcp_monitor_error(monitor) : strerror(error));
}

bool sees_all_users(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
}

void entry_link(struct entry *entry, const struct zcp_link_info *link)
{
	entry->link = *link;
	net_name((int)link->family, link->peer_addr, link->peer_port, entry->peer);
}

static int by_link(const void *a, const void *b)
{
	const struct zcp_link_info *x = a, *y = b;

	if (x->context != y->context)
		return x->context < y->context ? -1 : 1;
	return x->link < y->link ? -1 : x->link > y->link;
}

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->job.job < y->job.job ? -1 : x->job.job > y->job.job;
}

/* Links come and go between the two lists: a job may be without one. */
static int take_links(struct zcp_monitor *monitor, struct jobs *jobs)
{
	struct zcp_link_info *links;
	size_t count;
	int ret;

	ret = zcp_monitor_links(monitor, 0, &jobs->link_strings);
	if (ret)
		return ret;
	count = zcp_snapshot_count(jobs->link_strings);
	links = calloc(count + 1, sizeof(*links));
	if (!links)
		return -ENOMEM;
	for (size_t i = 0; i < count && !ret; i++) {
		links[i].size = sizeof(links[i]);
		ret = zcp_snapshot_link(jobs->link_strings, i, &links[i]);
	}
	qsort(links, count, sizeof(*links), by_link);
	for (size_t i = 0; i < jobs->count; i++) {
		struct entry *e = &jobs->entries[i];
		struct zcp_link_info key = { .context = e->job.context, .link = e->job.link };
		const struct zcp_link_info *found;

		found = bsearch(&key, links, count, sizeof(*links), by_link);
		if (found)
			entry_link(e, found);
	}
	free(links);
	return ret;
}

static uint64_t per_second(uint64_t bytes, uint64_t ns)
{
	return ns ? (uint64_t)(bytes * 1e9 / ns) : 0;
}

/* Until its last byte was sent, or until now. */
static uint64_t average(const struct zcp_job_info *job, uint64_t now)
{
	uint64_t ns = job->sent_ns ? job->sent_ns : job->end_ns;

	if (!ns && now > job->submit_ns)
		ns = now - job->submit_ns;
	return per_second(job->bytes_sent, ns);
}

int jobs_take(struct zcp_monitor *monitor, const struct zcp_job_filter *filter, struct jobs *jobs)
{
	int ret;

	memset(jobs, 0, sizeof(*jobs));
	ret = zcp_monitor_jobs(monitor, filter, &jobs->strings);
	if (ret)
		return ret;
	jobs->taken_ns = monotonic_ns();
	jobs->count = zcp_snapshot_count(jobs->strings);
	jobs->entries = calloc(jobs->count + 1, sizeof(*jobs->entries));
	if (!jobs->entries) {
		ret = -ENOMEM;
		goto err;
	}
	for (size_t i = 0; i < jobs->count; i++) {
		struct entry *e = &jobs->entries[i];

		e->job.size = sizeof(e->job);
		ret = zcp_snapshot_job(jobs->strings, i, &e->job);
		if (ret)
			goto err;
		strcpy(e->peer, "-");
		e->rate = average(&e->job, jobs->taken_ns);
	}
	/* So that jobs_rates() finds them. */
	qsort(jobs->entries, jobs->count, sizeof(*jobs->entries), by_id);
	ret = take_links(monitor, jobs);
	if (!ret)
		return 0;
err:
	jobs_free(jobs);
	return ret;
}

void jobs_free(struct jobs *jobs)
{
	free(jobs->entries);
	zcp_snapshot_free(jobs->strings);
	zcp_snapshot_free(jobs->link_strings);
	memset(jobs, 0, sizeof(*jobs));
}

void jobs_rates(struct jobs *jobs, const struct jobs *before)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct entry *e = &jobs->entries[i];
		const struct entry *old;

		old = bsearch(e, before->entries, before->count, sizeof(*e), by_id);
		if (old && e->job.bytes_sent >= old->job.bytes_sent)
			e->rate = per_second(e->job.bytes_sent - old->job.bytes_sent,
					     jobs->taken_ns - before->taken_ns);
	}
}

void print_copied(struct printer *p, const uint64_t copied[ZCP_REASON_MAX])
{
	print_object(p, "copied");
	for (uint32_t i = 0; i < ZCP_REASON_COUNT; i++)
		if (copied[i])
			print_number(p, zcp_reason_name(i), NULL, copied[i]);
	print_end(p);
}

void print_entry(struct printer *p, const struct entry *e)
{
	const struct zcp_job_info *j = &e->job;

	print_object(p, NULL);
	print_number(p, "job", "%8s", j->job);
	print_number(p, "pid", "  %7s", j->pid);
	print_string(p, "comm", "  %-15s", j->comm);
	print_number(p, "uid", "  %5s", j->uid);
	print_string(p, "state", "  %-9s", zcp_state_name(j->state));
	print_string(p, "mode", "  %-8s", zcp_mode_name(j->mode));
	print_number(p, "bytes_sent", "  %14s", j->bytes_sent);
	print_number(p, "bytes_total", "  %14s", j->bytes_total);
	print_rate(p, "bits_per_second", "  %8s", 8 * e->rate);
	print_share(p, "zerocopy_share", "  %4s", j->bytes_zerocopy, j->bytes_sent);
	print_string(p, "peer", "  %-21s", e->peer);
	print_string(p, "file", "  %s\n", j->file);
	print_number(p, "context", NULL, j->context);
	print_number(p, "link", NULL, j->link);
	print_number(p, "errno", NULL, j->error);
	print_number(p, "bytes_acked", NULL, j->bytes_acked);
	print_number(p, "bytes_zerocopy", NULL, j->bytes_zerocopy);
	print_number(p, "bytes_copied", NULL, j->bytes_copied);
	print_string(p, "copy_reason", NULL, zcp_reason_name(j->copy_reason));
	print_bool(p, "nocache", NULL, j->flags & ZCP_JOB_NOCACHE);
	print_number(p, "bytes_dropped", NULL, j->bytes_dropped);
	print_number(p, "rate", NULL, j->rate);
	if (e->link.size) {
		print_number(p, "rtt_us", NULL, e->link.rtt_us);
		print_number(p, "queue_bytes", NULL, e->link.queue_bytes);
	}
	print_end(p);
}
