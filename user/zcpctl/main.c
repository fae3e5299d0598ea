// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl: dispatch and help, from one table.
 */
#include <stdio.h>
#include <string.h>

#include "zcpctl.h"

struct command {
	const char *name;
	const char *args;
	const char *help;
	int (*run)(int argc, char **argv);
	const char *details;
};

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command commands[] = {
	{ "send", "[OPTION]... FILE HOST:PORT", "send a file to a TCP server", cmd_send,
	  send_help },
	{ "recv", "[--once] [-o FILE] [--streams] [--json] [--quiet] [ADDR:]PORT",
	  "receive what TCP clients send", cmd_recv, recv_help },
	{ "list", "[--json]", "list the jobs", cmd_list, list_help },
	{ "show", "[--json] ID", "show where a job is", cmd_show, show_help },
	{ "cancel", "[--json] ID", "cancel a job", cmd_cancel, cancel_help },
	{ "caps", "[--json] HOST:PORT", "say what zero-copy needs and the route there has",
	  cmd_caps, caps_help },
	{ "info", "[--json]", "show what the loaded module can do, and its limits", cmd_info,
	  info_help },
	{ "doctor", "[--json]", "check this system and say what to do about each finding",
	  cmd_doctor, doctor_help },
	{ "bench", "[ARGUMENT]...", "compare the ways to send a file", cmd_bench, bench_help },
	{ "version", "", "print the version", cmd_version, NULL },
	{ "help", "[VERB]", "print help", cmd_help, NULL },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void overview(FILE *out)
{
	fprintf(out, "usage: zcpctl VERB [ARGUMENT]...\n\n"
		     "Send files from the page cache to TCP sockets, in the kernel.\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\nzcpctl help VERB tells more. Exit status: 0 done, 1 failed, 2 usage.\n");
}

int verb_help(const char *verb)
{
	const struct command *c = find(verb);

	printf("usage: zcpctl %s%s%s\n\n%c%s.\n", c->name, *c->args ? " " : "", c->args,
	       c->help[0] - 'a' + 'A', c->help + 1);
	if (c->details)
		printf("\n%s", c->details);
	return DONE;
}

static int cmd_version(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return verb_help("version");
	if (argc > 1)
		return usage_error("version", "takes no arguments");
	printf("zcpctl %s\n", zcp_version());
	return DONE;
}

static int cmd_help(int argc, char **argv)
{
	if (argc > 2)
		return usage_error("help", "takes one verb");
	if (argc == 2) {
		if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
			return verb_help("help");
		if (!find(argv[1]))
			return usage_error(NULL, "there is no verb \"%s\"", argv[1]);
		return verb_help(argv[1]);
	}
	overview(stdout);
	return DONE;
}

int main(int argc, char **argv)
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
	c = find(argv[1]);
	if (!c)
		return usage_error(NULL, "there is no verb \"%s\"", argv[1]);
	return c->run(argc - 1, argv + 1);
}
