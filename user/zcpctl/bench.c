// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl bench: hands over to zcp-bench.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "zcpctl.h"

/* From the directory that zcpctl is in: installed, and in the source tree. */
static const char *const places[] = { "../lib/zcp/zcp-bench", "../bench/zcp-bench" };

static int cmd_bench(int argc, char **argv);

const struct command bench_command = {
	.name = "bench",
	.args = "[ARGUMENT]...",
	.help = "compare the ways to send a file",
	.run = cmd_bench,
	.details =
		"Runs zcp-bench, which sends files in every way that Linux has, side by side,\n"
		"and says what each takes. The arguments are its own:\n"
		"\n"
		"  zcpctl bench help                 say all options\n"
		"  zcpctl bench --list               say what suites and ways to send there are\n"
		"  zcpctl bench --smoke              a quick run that compares what arrives\n"
		"  zcpctl bench --suite bulk         one suite\n"
		"  zcpctl bench serve [[ADDR:]PORT]  on another host, be the receiver\n"
		"  zcpctl bench --peer HOST[:PORT]   send to that host\n"
		"\n"
		"What cannot be had here is a check that fails, unless --suite, --methods,\n"
		"--cases or --peer leave it out. Exit status: 0 done, 1 a check failed, 2 usage,\n"
		"4 it could not go on.\n",
};

static int cmd_bench(int argc, char **argv)
{
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t len;
	char *end;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return verb_help(&bench_command);
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return fail("/proc/self/exe: %s", strerror(errno));
	self[len] = '\0';
	end = strrchr(self, '/');
	if (end)
		*end = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (snprintf(path, sizeof(path), "%s/%s", self, places[i]) >= (int)sizeof(path))
			continue;
		argv[0] = path;
		execv(path, argv);
		if (errno != ENOENT && errno != ENOTDIR)
			return fail("%s: %s", path, strerror(errno));
	}
	return fail("there is no %s/%s", self, places[0]);
}
