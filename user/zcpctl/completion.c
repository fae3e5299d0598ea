// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl completion: what a shell needs to complete the words of a command
 * line, from the table of verbs and their options.
 */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "zcpctl.h"

static int cmd_completion(int argc, char **argv);

static const struct opt options[] = { OPT_HELP, OPT_END };

const struct command completion_command = {
	.name = "completion",
	.args = "bash|zsh|fish",
	.help = "print what makes a shell complete verbs, options and job ids",
	.options = options,
	.operand = OPERAND_SHELL,
	.run = cmd_completion,
	.details =
		"  bash: zcpctl completion bash >~/.local/share/bash-completion/completions/zcpctl\n"
		"  zsh:  zcpctl completion zsh >DIRECTORY-OF-FPATH/_zcpctl\n"
		"  fish: zcpctl completion fish >~/.config/fish/completions/zcpctl.fish\n"
		"\n"
		"Or for one shell: . <(zcpctl completion bash)\n",
};

/* How the ids of jobs are found, by any shell. */
#define JOB_IDS "zcpctl list 2>/dev/null | awk 'NR > 1 { print $1 }'"

/* The words an option's value may be, "|" between them; NULL when it is open. */
static const char *words_of(const struct opt *o)
{
	if (o->words)
		return o->words;
	if (!o->value || !strchr(o->value, '|'))
		return NULL;
	for (const char *c = o->value; *c; c++)
		if (!islower((unsigned char)*c) && *c != '|')
			return NULL;
	return o->value;
}

static bool takes_file(const struct opt *o)
{
	return o->value && !strcmp(o->value, "FILE");
}

static bool takes_user(const struct opt *o)
{
	return o->value && !strcmp(o->value, "USER");
}

static void put_words(const char *words)
{
	for (; *words; words++)
		putchar(*words == '|' ? ' ' : *words);
}

static const struct opt *first_option(const struct command *c)
{
	static const struct opt none[] = { OPT_END };

	return c->options ? c->options : none;
}

static void put_verbs(void)
{
	for (const struct command *const *c = commands; *c; c++)
		printf("%s%s", c == commands ? "" : " ", (*c)->name);
}

static void put_option_names(const struct command *c)
{
	for (const struct opt *o = first_option(c); o->code; o++) {
		if (o->name)
			printf(" --%s", o->name);
		if (o->brief)
			printf(" -%c", o->code);
	}
}

/* The names an option goes by, as a pattern of bash's case. */
static void bash_pattern(const struct command *c, const struct opt *o)
{
	if (o->name)
		printf("\t%s:--%s", c->name, o->name);
	if (o->name && o->brief)
		printf(" | %s:-%c", c->name, o->code);
	if (!o->name)
		printf("\t%s:-%c", c->name, o->code);
	printf(")\n");
}

static void bash_value(const struct command *c, const struct opt *o)
{
	if (!o->value)
		return;
	bash_pattern(c, o);
	if (words_of(o)) {
		printf("\t\tmapfile -t COMPREPLY < <(compgen -W \"");
		put_words(words_of(o));
		printf("\" -- \"$cur\")\n");
	} else if (takes_file(o)) {
		printf("\t\tcompopt -o filenames\n"
		       "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n");
	} else if (takes_user(o)) {
		printf("\t\tmapfile -t COMPREPLY < <(compgen -u -- \"$cur\")\n");
	}
	printf("\t\treturn\n\t\t;;\n");
}

static void bash_operands(const struct command *c)
{
	if (c->operand == OPERAND_NONE)
		return;
	printf("\t%s)\n", c->name);
	switch (c->operand) {
	case OPERAND_FILE:
		printf("\t\tcompopt -o filenames\n"
		       "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n");
		break;
	case OPERAND_JOB:
		printf("\t\tmapfile -t COMPREPLY < <(compgen -W \"$(%s)\" -- \"$cur\")\n", JOB_IDS);
		break;
	case OPERAND_VERB:
		printf("\t\tmapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$cur\")\n");
		break;
	default:
		printf("\t\tmapfile -t COMPREPLY < <(compgen -W \"bash zsh fish\" -- \"$cur\")\n");
		break;
	}
	printf("\t\t;;\n");
}

static void print_bash(void)
{
	printf("# bash completion of zcpctl, made by: zcpctl completion bash\n"
	       "_zcpctl() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	       "\tlocal verb=${COMP_WORDS[1]} verbs=\"");
	put_verbs();
	printf("\"\n\n"
	       "\tCOMPREPLY=()\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W \"$verbs --help --version\" -- \"$cur\")\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tcase $verb:$prev in\n");
	for (const struct command *const *c = commands; *c; c++)
		for (const struct opt *o = first_option(*c); o->code; o++)
			bash_value(*c, o);
	printf("\tesac\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tlocal options=\n\n"
	       "\t\tcase $verb in\n");
	for (const struct command *const *c = commands; *c; c++) {
		printf("\t\t%s) options=\"", (*c)->name);
		put_option_names(*c);
		printf("\" ;;\n");
	}
	printf("\t\tesac\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tcase $verb in\n");
	for (const struct command *const *c = commands; *c; c++)
		bash_operands(*c);
	printf("\tesac\n"
	       "}\n"
	       "complete -F _zcpctl zcpctl\n");
}

/* The first line of a text, without what zsh or fish would take for their own. */
static void put_text(const char *text)
{
	for (; *text && *text != '\n'; text++) {
		if (strchr("'[]:\\", *text))
			putchar(' ');
		else
			putchar(*text);
	}
}

static void zsh_option(const struct opt *o)
{
	char names[2][64];
	int n = 0;

	if (o->name)
		snprintf(names[n++], sizeof(names[0]), "--%s", o->name);
	if (o->brief)
		snprintf(names[n++], sizeof(names[0]), "-%c", o->code);
	for (int i = 0; i < n; i++) {
		printf(" \\\n\t\t\t'");
		if (n == 2)
			printf("(%s %s)", names[0], names[1]);
		printf("%s[", names[i]);
		put_text(o->help);
		putchar(']');
		if (o->value)
			printf(":value:");
		if (words_of(o)) {
			putchar('(');
			put_words(words_of(o));
			putchar(')');
		} else if (takes_file(o)) {
			printf("_files");
		} else if (takes_user(o)) {
			printf("_users");
		}
		putchar('\'');
	}
}

static void zsh_operands(const struct command *c)
{
	switch (c->operand) {
	case OPERAND_FILE:
		printf(" \\\n\t\t\t'*:file:_files'");
		break;
	case OPERAND_JOB:
		printf(" \\\n\t\t\t'*:job:_zcpctl_jobs'");
		break;
	case OPERAND_VERB:
		printf(" \\\n\t\t\t'*:verb:(");
		put_verbs();
		printf(")'");
		break;
	case OPERAND_SHELL:
		printf(" \\\n\t\t\t'*:shell:(bash zsh fish)'");
		break;
	default:
		break;
	}
}

static void print_zsh(void)
{
	printf("#compdef zcpctl\n"
	       "# zsh completion of zcpctl, made by: zcpctl completion zsh\n"
	       "_zcpctl_jobs() {\n"
	       "\tlocal -a jobs\n"
	       "\tjobs=(${(f)\"$(%s)\"})\n"
	       "\tcompadd -a jobs\n"
	       "}\n\n"
	       "_zcpctl() {\n"
	       "\tlocal -a verbs\n"
	       "\tverbs=(\n",
	       JOB_IDS);
	for (const struct command *const *c = commands; *c; c++) {
		printf("\t\t'%s:", (*c)->name);
		put_text((*c)->help);
		printf("'\n");
	}
	printf("\t)\n"
	       "\tif ((CURRENT == 2)); then\n"
	       "\t\t_describe verb verbs\n"
	       "\t\t[[ $PREFIX != -* ]] || compadd -- --help --version\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tlocal verb=$words[2]\n"
	       "\tshift words\n"
	       "\t((CURRENT--))\n"
	       "\tcase $verb in\n");
	for (const struct command *const *c = commands; *c; c++) {
		if (!(*c)->options)
			continue;
		printf("\t%s)\n\t\t_arguments", (*c)->name);
		for (const struct opt *o = first_option(*c); o->code; o++)
			zsh_option(o);
		zsh_operands(*c);
		printf("\n\t\t;;\n");
	}
	printf("\tesac\n"
	       "}\n\n"
	       "if [ \"$funcstack[1]\" = _zcpctl ]; then\n"
	       "\t_zcpctl \"$@\"\n"
	       "else\n"
	       "\tcompdef _zcpctl zcpctl\n"
	       "fi\n");
}

static void fish_option(const struct command *c, const struct opt *o)
{
	printf("complete -c zcpctl -n '__fish_seen_subcommand_from %s'", c->name);
	if (o->name)
		printf(" -l %s", o->name);
	if (o->brief)
		printf(" -s %c", o->code);
	if (words_of(o)) {
		printf(" -x -a '");
		put_words(words_of(o));
		putchar('\'');
	} else if (takes_file(o)) {
		printf(" -r -F");
	} else if (takes_user(o)) {
		printf(" -x -a '(__fish_complete_users)'");
	} else if (o->value) {
		printf(" -x");
	}
	printf(" -d '");
	put_text(o->help);
	printf("'\n");
}

static void fish_operands(const struct command *c)
{
	if (c->operand == OPERAND_NONE)
		return;
	printf("complete -c zcpctl -n '__fish_seen_subcommand_from %s' ", c->name);
	switch (c->operand) {
	case OPERAND_FILE:
		printf("-F\n");
		break;
	case OPERAND_JOB:
		printf("-a \"(%s 2>/dev/null | string match -r '^ *[0-9]+' | string trim)\"\n",
		       "zcpctl list");
		break;
	case OPERAND_VERB:
		printf("-a '");
		put_verbs();
		printf("'\n");
		break;
	default:
		printf("-a 'bash zsh fish'\n");
		break;
	}
}

static void print_fish(void)
{
	printf("# fish completion of zcpctl, made by: zcpctl completion fish\n"
	       "complete -c zcpctl -f\n"
	       "complete -c zcpctl -n __fish_use_subcommand -l help -d 'print help'\n"
	       "complete -c zcpctl -n __fish_use_subcommand -l version -d 'print the version'\n");
	for (const struct command *const *c = commands; *c; c++) {
		printf("complete -c zcpctl -n __fish_use_subcommand -a %s -d '", (*c)->name);
		put_text((*c)->help);
		printf("'\n");
	}
	for (const struct command *const *c = commands; *c; c++) {
		for (const struct opt *o = first_option(*c); o->code; o++)
			fish_option(*c, o);
		fish_operands(*c);
	}
}

static int cmd_completion(int argc, char **argv)
{
	int status;
	int opt;

	while ((opt = next_option(argc, argv, &completion_command)) != -1)
		if (option_stop(opt, &status))
			return status;
	if (!operands_fit(argc, argv, &completion_command, 1, 1))
		return USAGE;
	if (!strcmp(argv[optind], "bash"))
		print_bash();
	else if (!strcmp(argv[optind], "zsh"))
		print_zsh();
	else if (!strcmp(argv[optind], "fish"))
		print_fish();
	else
		return usage_error("completion", "\"%s\" is not bash, zsh or fish", argv[optind]);
	return DONE;
}
