// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics in the text exposition format of Prometheus.
 *
 * All samples of a metric are together, behind its HELP and TYPE. Every reason
 * has a sample from the beginning, so that a rate() sees its first bytes.
 */
#include <inttypes.h>

#include "prometheus.h"

static void metric(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	metric(out, name, "counter", help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
	metric(out, name, "gauge", help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

void prometheus_stats(FILE *out, const struct zcp_stats *s)
{
	counter(out, "zcp_jobs_submitted_total", "Jobs that were accepted.", s->jobs_submitted);
	metric(out, "zcp_jobs_ended_total", "counter", "Jobs that have ended, by how.");
	fprintf(out, "zcp_jobs_ended_total{state=\"done\"} %" PRIu64 "\n", s->jobs_done);
	fprintf(out, "zcp_jobs_ended_total{state=\"failed\"} %" PRIu64 "\n", s->jobs_failed);
	fprintf(out, "zcp_jobs_ended_total{state=\"cancelled\"} %" PRIu64 "\n", s->jobs_cancelled);
	counter(out, "zcp_xfers_total", "Synchronous transfers that moved bytes.", s->xfers);
	counter(out, "zcp_sent_bytes_total", "Bytes that entered send queues.", s->bytes_sent);
	counter(out, "zcp_zerocopy_bytes_total", "Bytes of those sent that went by reference.",
		s->bytes_zerocopy);
	metric(out, "zcp_copied_bytes_total", "counter",
	       "Bytes of those sent that were copied, by reason.");
	for (uint32_t i = 0; i < ZCP_REASON_COUNT; i++)
		if (i != ZCP_REASON_NONE)
			fprintf(out, "zcp_copied_bytes_total{reason=\"%s\"} %" PRIu64 "\n",
				zcp_reason_name(i), s->copied[i]);
	gauge(out, "zcp_jobs", "Jobs that have not ended.", s->jobs_active);
	gauge(out, "zcp_contexts", "Contexts that are open.", s->contexts);
	gauge(out, "zcp_links", "Sockets that are linked.", s->links);
	gauge(out, "zcp_inflight_bytes", "Bytes of jobs that are not acknowledged.", s->inflight);
	gauge(out, "zcp_memory_bytes", "Memory of contexts, links and jobs, in all namespaces.",
	      s->memory);
	gauge(out, "zcp_workers", "Workers that take a turn, in all namespaces.", s->workers);
	counter(out, "zcp_events_lost_total",
		"Events without memory, or room at a subscriber with NETLINK_BROADCAST_ERROR.",
		s->events_lost);
}
