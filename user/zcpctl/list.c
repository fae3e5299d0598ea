// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl list: the jobs of all processes.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <unistd.h>

#include "command.h"
#include "jobs.h"
#include "print.h"
#include "zcpctl.h"

static int cmd_list(int argc, char **argv);

/* clang-format off */
static const struct opt options[] = {
	OPT("user", 'u', "USER", "only the jobs of this user: a name or a number"),
	{ .name = "state", .code = 's', .value = "STATE",
	  .help = "only jobs that are queued, running, blocked, sent, done, failed\n"
		  "or cancelled",
	  .words = "queued|running|blocked|sent|done|failed|cancelled" },
	OPT("context", 'c', "ID", "only the jobs of this context"),
	OPT_JSON("an array of objects"),
	OPT_HELP,
	OPT_END,
};

/* clang-format on */

const struct command list_command = {
	.name = "list",
	.args = "[OPTION]...",
	.help = "list the jobs of all processes",
	.options = options,
	.run = cmd_list,
	.details =
		"The jobs of this network namespace, the oldest first; those that have ended until\n"
		"their program has read their event. Without CAP_NET_ADMIN only one's own. RATE is\n"
		"the average in Gbit/s since the job was submitted, ZC the share of the sent bytes\n"
		"that was not copied. Sizes are in bytes.\n",
};

static bool parse_user(const char *text, uint32_t *uid)
{
	const struct passwd *pw = getpwnam(text);
	uint64_t number;

	if (pw) {
		*uid = pw->pw_uid;
		return true;
	}
	if (!parse_number(text, &number) || number >= UINT32_MAX)
		return false;
	*uid = (uint32_t)number;
	return true;
}

static int parse(int argc, char **argv, struct zcp_job_filter *f, bool *json)
{
	int status;
	int opt;

	while ((opt = next_option(argc, argv, &list_command)) != -1) {
		bool good = true;

		if (option_stop(opt, &status))
			return status;
		switch (opt) {
		case 'u':
			if (!parse_user(optarg, &f->uid))
				return usage_error("list", "there is no user \"%s\"", optarg);
			f->fields |= ZCP_FILTER_UID;
			break;
		case 's':
			good = !zcp_state_parse(optarg, &f->state);
			f->fields |= ZCP_FILTER_STATE;
			break;
		case 'c':
			good = parse_number(optarg, &f->context) && f->context;
			f->fields |= ZCP_FILTER_CONTEXT;
			break;
		case 'j':
			*json = true;
			break;
		}
		if (!good)
			return bad_value(&list_command);
	}
	return operands_fit(argc, argv, &list_command, 0, 0) ? -1 : USAGE;
}

static int cmd_list(int argc, char **argv)
{
	struct zcp_job_filter filter = { .size = sizeof(filter) };
	struct zcp_monitor *monitor;
	struct printer p;
	struct jobs jobs;
	bool json = false;
	int ret;

	ret = parse(argc, argv, &filter, &json);
	if (ret >= 0)
		return ret;
	if (open_monitor(&monitor))
		return FAILED;
	ret = jobs_take(monitor, &filter, &jobs);
	if (ret) {
		ret = monitor_failed(monitor, "cannot list the jobs", -ret);
		zcp_monitor_close(monitor);
		return ret;
	}
	zcp_monitor_close(monitor);
	/* An empty list would look like an answer. */
	if (!jobs.count && (filter.fields & ZCP_FILTER_UID) && filter.uid != geteuid() &&
	    !sees_all_users()) {
		jobs_free(&jobs);
		return fail("seeing the jobs of other users needs CAP_NET_ADMIN; try: sudo zcpctl");
	}
	print_init(&p, stdout, json);
	print_text(&p, "%8s  %7s  %-15s  %5s  %-9s  %-8s  %14s  %14s  %8s  %4s  %-21s  %s\n", "JOB",
		   "PID", "COMMAND", "UID", "STATE", "MODE", "SENT", "TOTAL", "RATE", "ZC", "PEER",
		   "FILE");
	print_array(&p, NULL);
	for (size_t i = 0; i < jobs.count; i++)
		print_entry(&p, &jobs.entries[i]);
	print_end(&p);
	jobs_free(&jobs);
	return DONE;
}
