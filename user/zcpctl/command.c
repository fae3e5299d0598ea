// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verbs and their options.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "zcpctl.h"

#define OPTIONS_MAX 32

/* What next_option() returns to stop: this and an exit code. */
#define STOP 0x1000

/* Columns of an option and its value, "  " before and behind. */
static int option_width(const struct opt *o)
{
	int width = 4;

	if (o->brief)
		width += 2;
	if (o->brief && o->name)
		width += 2;
	if (o->name)
		width += 2 + (int)strlen(o->name);
	if (o->value)
		width += 1 + (int)strlen(o->value);
	return width;
}

static void option_help(const struct opt *o, int width)
{
	const char *line = o->help;
	size_t len;

	fputs("  ", stdout);
	if (o->brief)
		printf("-%c", o->code);
	if (o->brief && o->name)
		fputs(", ", stdout);
	if (o->name)
		printf("--%s", o->name);
	if (o->value)
		printf(" %s", o->value);
	printf("%*s", width - option_width(o) + 2, "");
	for (;;) {
		len = strcspn(line, "\n");
		printf("%.*s\n", (int)len, line);
		if (!line[len])
			break;
		line += len + 1;
		printf("%*s", width, "");
	}
}

int verb_help(const struct command *command)
{
	int width = 0;

	printf("usage: zcpctl %s%s%s\n\n%c%s.\n", command->name, *command->args ? " " : "",
	       command->args, command->help[0] - 'a' + 'A', command->help + 1);
	for (const struct opt *o = command->options; o && o->code; o++)
		if (option_width(o) > width)
			width = option_width(o);
	if (width)
		putchar('\n');
	for (const struct opt *o = command->options; o && o->code; o++)
		option_help(o, width);
	if (command->details)
		printf("\n%s", command->details);
	return DONE;
}

/* After getopt_long() said '?' or ':'; returns USAGE. */
static int bad_option(int opt, char **argv)
{
	const char *what = opt == ':' ? "needs a value" : "is not an option here";

	/* A long option, or a short one in a word of its own. */
	if (!optopt || !strncmp(argv[optind - 1], "--", 2))
		return usage_error(argv[0], "%s %s", argv[optind - 1], what);
	return usage_error(argv[0], "-%c %s", optopt, what);
}

int next_option(int argc, char **argv, const struct command *command)
{
	struct option longs[OPTIONS_MAX + 1] = { 0 };
	char shorts[2 * OPTIONS_MAX + 2] = ":";
	size_t at = 1;
	size_t n = 0;
	int opt;

	for (const struct opt *o = command->options; o->code && n < OPTIONS_MAX; o++) {
		if (o->name) {
			longs[n].name = o->name;
			longs[n].has_arg = o->value ? required_argument : no_argument;
			longs[n++].val = o->code;
		}
		if (o->brief) {
			shorts[at++] = o->code;
			if (o->value)
				shorts[at++] = ':';
		}
	}
	opt = getopt_long(argc, argv, shorts, longs, NULL);
	if (opt == 'h')
		return STOP + verb_help(command);
	if (opt == '?' || opt == ':')
		return STOP + bad_option(opt, argv);
	return opt;
}

bool option_stop(int opt, int *status)
{
	if (opt < STOP)
		return false;
	*status = opt - STOP;
	return true;
}

int bad_value(const struct command *command)
{
	return usage_error(command->name, "\"%s\" is not a value for this option", optarg);
}

bool operands_fit(int argc, char **argv, const struct command *command, int least, int most)
{
	if (argc - optind < least)
		usage_error(command->name, "an argument is missing");
	else if (argc - optind > most)
		usage_error(command->name, "\"%s\" is one argument too many", argv[optind + most]);
	else
		return true;
	return false;
}

int only_json(int argc, char **argv, const struct command *command, int operands, bool *json)
{
	int status;
	int opt;

	*json = false;
	while ((opt = next_option(argc, argv, command)) != -1) {
		if (option_stop(opt, &status))
			return status;
		*json = true;
	}
	return operands_fit(argc, argv, command, operands, operands) ? -1 : USAGE;
}
