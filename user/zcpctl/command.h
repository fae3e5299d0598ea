/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs and their options: what parsing, help and completion have in common.
 */
#ifndef ZCPCTL_COMMAND_H
#define ZCPCTL_COMMAND_H

#include <stdbool.h>

/**
 * struct opt - An option of a verb
 * @name: Its long name without the dashes, or NULL.
 * @code: What next_option() returns for it. Its short name too, with @brief.
 * @brief: There is a short name.
 * @value: What its help calls its value, NULL when it takes none: "FILE" is a
 *	file, "USER" a user, small letters with "|" between are the words it may be.
 * @help: What it does, in lines.
 * @words: The words it may be, when @value does not have them.
 */
struct opt {
	const char *name;
	char code;
	bool brief;
	const char *value;
	const char *help;
	const char *words;
};

/* clang-format off */
#define OPT(long_name, letter, takes, what) \
	{ .name = (long_name), .code = (letter), .value = (takes), .help = (what) }
#define OPT_JSON(what) { .name = "json", .code = 'j', .help = (what) }
#define OPT_HELP { .name = "help", .code = 'h', .brief = true, .help = "print this" }
#define OPT_END { .name = NULL }
/* clang-format on */

/* What the operands of a verb are, for completion. */
enum operand {
	OPERAND_NONE,
	OPERAND_FILE,
	OPERAND_JOB,
	OPERAND_VERB,
	OPERAND_SHELL,
};

/**
 * struct command - A verb
 * @name: Its name.
 * @args: Its arguments, in its usage line.
 * @help: What it does, in half a line that begins with a small letter.
 * @options: Its options, in the order of its help.
 * @operand: What its operands are.
 * @details: What its help says besides, in lines; or NULL.
 * @run: Does it: argv[0] is its name. Returns an exit code.
 */
struct command {
	const char *name;
	const char *args;
	const char *help;
	const struct opt *options;
	enum operand operand;
	const char *details;
	int (*run)(int argc, char **argv);
};

extern const struct command send_command;
extern const struct command recv_command;
extern const struct command list_command;
extern const struct command show_command;
extern const struct command cancel_command;
extern const struct command monitor_command;
extern const struct command stats_command;
extern const struct command top_command;
extern const struct command caps_command;
extern const struct command info_command;
extern const struct command doctor_command;
extern const struct command bench_command;
extern const struct command completion_command;

/* All verbs, in the order of the overview; ends with NULL. */
extern const struct command *const commands[];
const struct command *find_command(const char *name);

/*
 * The next option's code and, in optarg, its value; -1 behind the last one,
 * from where optind counts operands. Prints help, or what is wrong, and returns
 * an option_stop() when there is nothing else to do.
 */
int next_option(int argc, char **argv, const struct command *command);

/* Whether next_option() said to stop, and the exit code to stop with. */
bool option_stop(int opt, int *status);

/* After next_option(): "VALUE is not a value for this option"; returns USAGE. */
int bad_value(const struct command *command);

/* Whether there are @least to @most operands; else says so. */
bool operands_fit(int argc, char **argv, const struct command *command, int least, int most);

/*
 * The command line of a verb that has no options but --json and --help, and
 * @operands operands. Returns -1 to go on, else an exit code.
 */
int only_json(int argc, char **argv, const struct command *command, int operands, bool *json);

/* The help of a verb to stdout; returns DONE. */
int verb_help(const struct command *command);

#endif /* ZCPCTL_COMMAND_H */
