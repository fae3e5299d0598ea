// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl show: all about one job, with its link.
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "command.h"
#include "jobs.h"
#include "print.h"
#include "reason.h"
#include "zcpctl.h"

static int cmd_show(int argc, char **argv);

static const struct opt options[] = { OPT_JSON("one object"), OPT_HELP, OPT_END };

const struct command show_command = {
	.name = "show",
	.args = "[--json] JOB",
	.help = "show everything about a job",
	.options = options,
	.operand = OPERAND_JOB,
	.run = cmd_show,
	.details =
		"JOB is an id of zcpctl list. A job that has ended is there until its program has\n"
		"read its event. A job of another user needs CAP_NET_ADMIN. Round trip time,\n"
		"congestion window and retransmissions are those of the connection.\n",
};

static void print_flags(struct printer *p, const struct zcp_link_info *l)
{
	print_bool(p, "continue", NULL, l->flags & ZCP_LINK_CONTINUE);
	print_bool(p, "sg", NULL, l->path_caps & ZCP_PATH_SG);
	print_bool(p, "csum", NULL, l->path_caps & ZCP_PATH_CSUM);
	print_bool(p, "tso", NULL, l->path_caps & ZCP_PATH_TSO);
	print_bool(p, "ipsec", NULL, l->path_caps & ZCP_PATH_IPSEC);
}

static void print_link(struct printer *p, const struct zcp_link_info *l)
{
	char name[NET_NAME_MAX];
	char why[128];

	reason_explain(l->path_reason, l->ifname ? l->ifname : "", why, sizeof(why));
	print_object(p, "link");
	print_number(p, "id", "link:           %s", l->link);
	print_number(p, "context", " of context %s\n", l->context);
	net_name((int)l->family, l->local_addr, l->local_port, name);
	print_string(p, "local", "from:           %s\n", name);
	net_name((int)l->family, l->peer_addr, l->peer_port, name);
	print_string(p, "peer", "to:             %s\n", name);
	print_string(p, "ifname", "device:         %s\n", l->ifname);
	print_number(p, "ifindex", NULL, l->ifindex);
	print_string(p, "auto_mode", "mode auto:      %s", zcp_mode_name(l->path_mode));
	print_string(p, "copy_reason", NULL, zcp_reason_name(l->path_reason));
	print_string(p, "why", ", %s\n", why);
	print_flags(p, l);
	print_number(p, "mss", "segment size:   %s bytes\n", l->mss);
	print_number(p, "rtt_us", "round trip:     %s us", l->rtt_us);
	print_number(p, "rtt_var_us", ", deviation %s us\n", l->rtt_var_us);
	print_number(p, "cwnd", "window:         %s segments\n", l->cwnd);
	print_number(p, "retrans", "sent again:     %s segments\n", l->retrans);
	print_number(p, "queue_bytes", "send queue:     %s bytes", l->queue_bytes);
	print_number(p, "notsent_bytes", ", %s not sent yet\n", l->notsent_bytes);
	print_number(p, "inflight", "in flight:      %s bytes\n", l->inflight);
	print_number(p, "jobs", "jobs on it:     %s\n", l->nr_jobs);
	print_end(p);
}

static void print_job(struct printer *p, const struct zcp_job_info *j)
{
	print_number(p, "job", "job:            %s\n", j->job);
	print_number(p, "pid", "process:        %s", j->pid);
	print_string(p, "comm", " (%s)\n", j->comm);
	print_number(p, "uid", "user:           %s\n", j->uid);
	print_string(p, "file", "file:           %s\n", j->file);
	print_string(p, "state", "state:          %s\n", zcp_state_name(j->state));
	print_number(p, "errno", j->error ? "errno:          %s" : NULL, j->error);
	if (j->error)
		print_text(p, " (%s)\n", strerror((int)j->error));
	print_string(p, "mode", "mode:           %s\n", zcp_mode_name(j->mode));
	print_string(p, "wait", "wait:           %s\n", zcp_complete_name(j->complete));
	print_bool(p, "nocache", "no cache:       %s\n", j->flags & ZCP_JOB_NOCACHE);
	print_number(p, "rate", j->rate ? "rate:           %s bytes/s\n" : NULL, j->rate);
	print_number(p, "segment", "segment:        %s", j->segment);
	print_number(p, "segments", " of %s\n", j->nr_segments);
	print_number(p, "position", "position:       %s\n", j->position);
	print_number(p, "bytes_total", "bytes, total:   %s\n", j->bytes_total);
	print_number(p, "bytes_sent", "sent:           %s\n", j->bytes_sent);
	print_number(p, "bytes_acked", "acked:          %s\n", j->bytes_acked);
	print_number(p, "bytes_zerocopy", "zero-copied:    %s", j->bytes_zerocopy);
	print_share(p, "zerocopy_share", " (%s)\n", j->bytes_zerocopy, j->bytes_sent);
	print_number(p, "bytes_copied", "copied:         %s", j->bytes_copied);
	print_string(p, "copy_reason", " (%s)\n", zcp_reason_name(j->copy_reason));
	print_copied(p, j->copied);
	print_number(p, "bytes_dropped", j->flags & ZCP_JOB_NOCACHE ? "dropped:        %s\n" : NULL,
		     j->bytes_dropped);
}

static void print_times(struct printer *p, const struct zcp_job_info *j)
{
	uint64_t now = monotonic_ns();

	print_ns(p, "age_ns", "submitted:      %s s ago\n",
		 now > j->submit_ns ? now - j->submit_ns : 0);
	print_ns(p, "sent_ns", j->sent_ns ? "sent after:     %s s\n" : NULL, j->sent_ns);
	print_ns(p, "acked_ns", j->acked_ns ? "acked after:    %s s\n" : NULL, j->acked_ns);
	print_ns(p, "end_ns", j->end_ns ? "ended after:    %s s\n" : NULL, j->end_ns);
}

static int cmd_show(int argc, char **argv)
{
	struct zcp_link_info link = { .size = sizeof(link) };
	struct zcp_job_info job = { .size = sizeof(job) };
	struct zcp_monitor *monitor;
	struct printer p;
	uint64_t id;
	bool json;
	int ret;

	ret = only_json(argc, argv, &show_command, 1, &json);
	if (ret >= 0)
		return ret;
	if (!parse_number(argv[optind], &id))
		return usage_error("show", "\"%s\" is not the id of a job", argv[optind]);
	if (open_monitor(&monitor))
		return FAILED;
	ret = zcp_monitor_job(monitor, id, &job);
	if (ret) {
		ret = job_failed(monitor, id, "seeing", -ret);
		goto out;
	}
	print_init(&p, stdout, json);
	print_object(&p, NULL);
	print_job(&p, &job);
	print_times(&p, &job);
	/* A link that was removed leaves its jobs behind until they are read. */
	ret = zcp_monitor_link(monitor, job.context, job.link, &link);
	if (!ret)
		print_link(&p, &link);
	else
		print_string(&p, "link", "link:           %s, it is no more\n", NULL);
	print_end(&p);
	ret = DONE;
out:
	zcp_monitor_close(monitor);
	return ret;
}
