// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl cancel: end jobs.
 */
#include <getopt.h>

#include "command.h"
#include "jobs.h"
#include "print.h"
#include "zcpctl.h"

static int cmd_cancel(int argc, char **argv);

static const struct opt options[] = {
	OPT_JSON("one object per line for each job: how far it got"),
	OPT_HELP,
	OPT_END,
};

const struct command cancel_command = {
	.name = "cancel",
	.args = "[--json] JOB...",
	.help = "cancel jobs of any process",
	.options = options,
	.operand = OPERAND_JOB,
	.run = cmd_cancel,
	.details =
		"JOB is an id of zcpctl list. What was sent stays sent; no more follows. When it is a\n"
		"part of the job, those behind it on its link are cancelled too, unless their program\n"
		"wants otherwise. A job that had ended before stays what it was. One that a worker is\n"
		"stuck with shows the state it is in, and ends when that worker comes back; that is\n"
		"no failure. A job of another user needs CAP_NET_ADMIN. The exit status is 1 when one\n"
		"of the jobs could not be cancelled; the others are.\n",
};

static int cancel(struct zcp_monitor *monitor, struct printer *p, uint64_t id)
{
	struct zcp_job_info job = { .size = sizeof(job) };
	int ret = zcp_monitor_cancel(monitor, id, &job);

	if (ret)
		return job_failed(monitor, id, "cancelling", -ret);
	print_object(p, NULL);
	print_number(p, "job", "job %s", job.job);
	print_string(p, "state", ": %s", zcp_state_name(job.state));
	print_number(p, "bytes_sent", " after %s bytes\n", job.bytes_sent);
	print_end(p);
	return DONE;
}

static int cmd_cancel(int argc, char **argv)
{
	struct zcp_monitor *monitor;
	int worst = DONE;
	struct printer p;
	bool json = false;
	uint64_t id;
	int status;
	int opt;

	while ((opt = next_option(argc, argv, &cancel_command)) != -1) {
		if (option_stop(opt, &status))
			return status;
		json = true;
	}
	if (!operands_fit(argc, argv, &cancel_command, 1, argc))
		return USAGE;
	for (int i = optind; i < argc; i++)
		if (!parse_number(argv[i], &id))
			return usage_error("cancel", "\"%s\" is not the id of a job", argv[i]);
	if (open_monitor(&monitor))
		return FAILED;
	print_init(&p, stdout, json);
	for (int i = optind; i < argc; i++) {
		parse_number(argv[i], &id);
		if (cancel(monitor, &p, id))
			worst = FAILED;
	}
	zcp_monitor_close(monitor);
	return worst;
}
