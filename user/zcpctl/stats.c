// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl stats: sums over all jobs.
 */
#include <getopt.h>

#include "command.h"
#include "jobs.h"
#include "print.h"
#include "prometheus.h"
#include "zcpctl.h"

static int cmd_stats(int argc, char **argv);

static const struct opt options[] = {
	OPT("prometheus", 'p', NULL, "in the text format that Prometheus scrapes"),
	OPT_JSON("one object"),
	OPT_HELP,
	OPT_END,
};

const struct command stats_command = {
	.name = "stats",
	.args = "[--json | --prometheus]",
	.help = "print sums: jobs, bytes, copies by reason, memory, workers",
	.options = options,
	.run = cmd_stats,
	.details =
		"Sums of this network namespace since the module was loaded or the namespace made,\n"
		"for every user; memory and workers are those of all namespaces. For Prometheus let\n"
		"node_exporter's textfile collector read what a timer writes:\n"
		"\n"
		"  zcpctl stats --prometheus >zcp.prom.new && mv zcp.prom.new zcp.prom\n",
};

static void print_stats(struct printer *p, const struct zcp_stats *s)
{
	print_object(p, NULL);
	print_number(p, "jobs_submitted", "jobs submitted:   %s\n", s->jobs_submitted);
	print_number(p, "jobs_done", "  done:           %s\n", s->jobs_done);
	print_number(p, "jobs_failed", "  failed:         %s\n", s->jobs_failed);
	print_number(p, "jobs_cancelled", "  cancelled:      %s\n", s->jobs_cancelled);
	print_number(p, "jobs_active", "  active:         %s\n", s->jobs_active);
	print_number(p, "xfers", "transfers:        %s\n", s->xfers);
	print_number(p, "bytes_sent", "bytes sent:       %s\n", s->bytes_sent);
	print_number(p, "bytes_zerocopy", "  zero-copied:    %s", s->bytes_zerocopy);
	print_share(p, "zerocopy_share", " (%s)\n", s->bytes_zerocopy, s->bytes_sent);
	print_number(p, "bytes_copied", "  copied:         %s\n", s->bytes_copied);
	print_copied(p, s->copied);
	for (uint32_t i = 0; i < ZCP_REASON_COUNT; i++)
		if (s->copied[i])
			print_text(p, "    %-12s  %llu\n", zcp_reason_name(i),
				   (unsigned long long)s->copied[i]);
	print_number(p, "inflight", "bytes in flight:  %s\n", s->inflight);
	print_number(p, "contexts", "contexts:         %s\n", s->contexts);
	print_number(p, "links", "links:            %s\n", s->links);
	print_number(p, "memory", "memory:           %s bytes\n", s->memory);
	print_number(p, "workers", "workers:          %s\n", s->workers);
	print_number(p, "events_lost", "events lost:      %s\n", s->events_lost);
	print_end(p);
}

static int cmd_stats(int argc, char **argv)
{
	struct zcp_stats stats = { .size = sizeof(stats) };
	struct zcp_monitor *monitor;
	bool prometheus = false;
	bool json = false;
	struct printer p;
	int status;
	int opt;
	int ret;

	while ((opt = next_option(argc, argv, &stats_command)) != -1) {
		if (option_stop(opt, &status))
			return status;
		prometheus |= opt == 'p';
		json |= opt == 'j';
	}
	if (!operands_fit(argc, argv, &stats_command, 0, 0))
		return USAGE;
	if (json && prometheus)
		return usage_error("stats", "it is either --json or --prometheus");
	if (open_monitor(&monitor))
		return FAILED;
	ret = zcp_monitor_stats(monitor, &stats);
	if (ret)
		ret = monitor_failed(monitor, "cannot get the statistics", -ret);
	zcp_monitor_close(monitor);
	if (ret)
		return ret;
	print_init(&p, stdout, json);
	if (prometheus)
		prometheus_stats(stdout, &stats);
	else
		print_stats(&p, &stats);
	return DONE;
}
