/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The jobs of all processes, each with its link and its rate.
 */
#ifndef ZCPCTL_JOBS_H
#define ZCPCTL_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcp/monitor.h>

#include "net.h"
#include "print.h"

/**
 * struct entry - A job
 * @job: The job.
 * @link: Its link; a @size of 0 when there is none any more.
 * @peer: Where it goes to; "-" without a link.
 * @rate: Bytes per second: since the snapshot before, else since submission.
 */
struct entry {
	struct zcp_job_info job;
	struct zcp_link_info link;
	char peer[NET_NAME_MAX];
	uint64_t rate;
};

/**
 * struct jobs - A snapshot of jobs, the oldest first
 * @entries: The jobs.
 * @count: Their number.
 * @taken_ns: CLOCK_MONOTONIC of the snapshot.
 * @strings: What the strings in @entries belong to.
 * @link_strings: The same for links.
 */
struct jobs {
	struct entry *entries;
	size_t count;
	uint64_t taken_ns;
	struct zcp_snapshot *strings;
	struct zcp_snapshot *link_strings;
};

/* Open a monitor, or say why not: 0 or -errno. */
int open_monitor(struct zcp_monitor **monitor);

/* Says why a call of a monitor failed; returns FAILED. */
int monitor_failed(const struct zcp_monitor *monitor, const char *what, int error);

/* The same for the job @id. */
int job_failed(const struct zcp_monitor *monitor, uint64_t id, const char *what, int error);

/* Takes a snapshot: 0, or -errno and nothing to free. */
int jobs_take(struct zcp_monitor *monitor, const struct zcp_job_filter *filter, struct jobs *jobs);
void jobs_free(struct jobs *jobs);

/* Sets each rate by what was sent since @before. */
void jobs_rates(struct jobs *jobs, const struct jobs *before);

/* Fills the link and the peer of an entry. */
void entry_link(struct entry *entry, const struct zcp_link_info *link);

/* The bytes of a job by reason, as the object "copied". */
void print_copied(struct printer *p, const uint64_t copied[ZCP_REASON_MAX]);

/* A line of zcpctl list, or an object. */
void print_entry(struct printer *p, const struct entry *entry);

uint64_t monotonic_ns(void);

/* Whether this process has CAP_NET_ADMIN, and so sees the jobs of all users. */
bool sees_all_users(void);

#endif /* ZCPCTL_JOBS_H */
