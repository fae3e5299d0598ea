// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl: dispatch and help, from one table.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "print.h"
#include "zcpctl.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct opt help_only[] = { OPT_HELP, OPT_END };
static const struct opt json_and_help[] = { OPT_JSON("one object"), OPT_HELP, OPT_END };

static const struct command version_command = {
	.name = "version",
	.args = "",
	.help = "print the version",
	.options = json_and_help,
	.run = cmd_version,
};

static const struct command help_command = {
	.name = "help",
	.args = "[VERB]",
	.help = "print help",
	.options = help_only,
	.operand = OPERAND_VERB,
	.run = cmd_help,
};

/* clang-format off */
const struct command *const commands[] = {
	&send_command,
	&recv_command,
	&list_command,
	&show_command,
	&cancel_command,
	&monitor_command,
	&stats_command,
	&top_command,
	&caps_command,
	&info_command,
	&doctor_command,
	&bench_command,
	&completion_command,
	&version_command,
	&help_command,
	NULL,
};

/* clang-format on */

const struct command *find_command(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

static void overview(FILE *out)
{
	fprintf(out, "usage: zcpctl VERB [ARGUMENT]...\n\n"
		     "Send files from the page cache to TCP sockets, in the kernel.\n\n");
	for (const struct command *const *c = commands; *c; c++)
		fprintf(out, "  %-10s %s\n", (*c)->name, (*c)->help);
	fprintf(out, "\nzcpctl help VERB tells more. Exit status: 0 done, 1 failed, 2 usage.\n");
}

static int cmd_version(int argc, char **argv)
{
	struct printer p;
	bool json;
	int ret;

	ret = only_json(argc, argv, &version_command, 0, &json);
	if (ret >= 0)
		return ret;
	print_init(&p, stdout, json);
	print_object(&p, NULL);
	print_string(&p, "version", "zcpctl %s\n", zcp_version());
	print_end(&p);
	return DONE;
}

static int cmd_help(int argc, char **argv)
{
	const struct command *c;

	if (argc > 2)
		return usage_error("help", "takes one verb");
	if (argc == 2) {
		if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
			return verb_help(&help_command);
		c = find_command(argv[1]);
		if (!c)
			return usage_error(NULL, "there is no verb \"%s\"", argv[1]);
		return verb_help(c);
	}
	overview(stdout);
	return DONE;
}

static int run(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2)
		return usage_error(NULL, "no verb is given");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		overview(stdout);
		return DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return cmd_version(1, argv);
	c = find_command(argv[1]);
	if (!c)
		return usage_error(NULL, "there is no verb \"%s\"", argv[1]);
	return c->run(argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);
	int error = print_lost();

	/* A reader that goes away, as head(1) does, is no failure. */
	if (status == DONE && error && error != EPIPE)
		return fail("cannot write to stdout: %s", strerror(error));
	return status;
}
