// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcp-bench: options, and the suites.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "bench.h"
#include "message.h"
#include "study.h"

#define DEFAULT_ROUNDS 7

struct bench_options opt = { .dir = "/dev/shm", .lowat = 1 << 20 };

static const struct suite *const suites[] = {
	&suite_bulk,  &suite_multi,   &suite_small,   &suite_message, &suite_cold,    &suite_many,
	&suite_cache, &suite_study_a, &suite_study_b, &suite_study_c, &suite_study_d,
};

static const struct option options[] = {
	{ "suite", required_argument, NULL, 's' }, { "rounds", required_argument, NULL, 'r' },
	{ "smoke", no_argument, NULL, 'k' },	   { "out", required_argument, NULL, 'o' },
	{ "dir", required_argument, NULL, 'd' },   { "disk", required_argument, NULL, 'D' },
	{ "peer", required_argument, NULL, 'p' },  { "methods", required_argument, NULL, 'm' },
	{ "cases", required_argument, NULL, 'c' }, { "rcvlowat", required_argument, NULL, 'L' },
	{ "list", no_argument, NULL, 'l' },	   { "pin", no_argument, NULL, 'P' },
	{ "help", no_argument, NULL, 'h' },	   { NULL, 0, NULL, 0 },
};

static const struct option serve_options[] = {
	{ "dir", required_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"usage: zcp-bench [OPTION]...\n"
	"       zcp-bench serve [--dir DIR] [[ADDR:]PORT]\n"
	"       zcp-bench message --tune [--peer HOST[:PORT]]\n"
	"\n"
	"Send files in every way that Linux has, side by side.\n"
	"\n"
	"      --suite NAME[,NAME]    these suites only; all without\n"
	"      --methods NAME[,NAME]  these ways to send only; also those of study-c\n"
	"      --cases PATTERN        of some suites these only: 'conns-64-*'\n"
	"      --rounds N             rounds of each comparison (7, at most 64)\n"
	"      --smoke                small sizes, bytes of each way compared, speeds not\n"
	"                             judged\n"
	"      --out DIR              write results.json, targets.json and table.txt there\n"
	"      --dir DIR              make files there; should be a tmpfs (/dev/shm)\n"
	"      --disk DEV             a block device to use, for cold and cache; it is\n"
	"                             overwritten\n"
	"      --peer HOST[:PORT]     send to `zcp-bench serve` there (port 5077)\n"
	"      --rcvlowat BYTES       wake receivers of bulk data for this much (1048576);\n"
	"                             1: for each packet\n"
	"      --pin                  the sender stays on the first CPU, the receiver on the\n"
	"                             last\n"
	"      --list                 say what there is\n"
	"\n"
	"serve takes connections from anybody who can reach it, drops what arrives, and\n"
	"tells how much CPU time this machine used. What --suite bulk and study-b have\n"
	"stored is in files of DIR (/dev/shm), 2 GiB at most, until they end. It refuses\n"
	"what it has no room for, and ends by a signal.\n"
	"\n"
	"message --tune finds from which size on messages are faster by reference, and\n"
	"stores it for the programs of this host that use zcp_send_msg().\n"
	"\n"
	"Throughput counts until the receiver has confirmed every byte and the way to\n"
	"send has told all it has to tell. CPU seconds are those of all CPUs of the\n"
	"machine, of both machines with --peer.\n"
	"\n"
	"A way to send, a case or a peer that cannot be had is a check that fails, and\n"
	"says what it needs, unless --suite, --methods, --cases or --peer leave it out.\n"
	"Exit status: 0 done, 1 a check failed, 2 usage, 4 it could not go on: what was\n"
	"written to --out is not all.\n";

void die(const char *format, ...)
{
	va_list ap;

	fputs("zcp-bench: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(STATUS_BROKEN);
}

void die_errno(int error, const char *format, ...)
{
	va_list ap;

	fputs("zcp-bench: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(error < 0 ? -error : error));
	exit(STATUS_BROKEN);
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool case_wanted(const char *cas)
{
	return !opt.cases || !fnmatch(opt.cases, cas, 0);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

bool list_has(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, name, len) && (!p[len] || p[len] == ','))
			return true;
	}
	return false;
}

static int usage(const char *what, const char *value)
{
	fprintf(stderr, "zcp-bench: %s%s%s; see zcp-bench --help\n", what, value ? " " : "",
		value ? value : "");
	return 2;
}

static bool is_suite(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++)
		if (!strcmp(suites[i]->name, name))
			return true;
	return false;
}

static bool is_method(const char *name)
{
	for (size_t i = 0; i < nr_methods; i++)
		if (!strcmp(methods[i]->name, name))
			return true;
	return study_c_has(name);
}

/* The first name in @list that is none, or NULL; to be freed. */
static char *unknown_name(const char *list, bool (*is)(const char *))
{
	char *copy = strdup(list);
	char *save, *bad = NULL;

	for (char *name = strtok_r(copy, ",", &save); name && !bad;
	     name = strtok_r(NULL, ",", &save))
		if (!is(name))
			bad = strdup(name);
	if (!strtok_r(strcpy(copy, list), ",", &save))
		bad = strdup("\"\"");
	free(copy);
	return bad;
}

static int list(void)
{
	puts("suites:");
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++)
		printf("  %-14s %s\n", suites[i]->name, suites[i]->help);
	puts("methods:");
	for (size_t i = 0; i < nr_methods; i++) {
		const char *why = methods[i]->missing();

		printf("  %-14s %s\n", methods[i]->name, why ? why : "works here");
	}
	return 0;
}

/* Thousands of connections, and both ends of them. */
static void raise_limits(void)
{
	struct rlimit lim = { .rlim_cur = 1 << 18, .rlim_max = 1 << 18 };

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	if (lim.rlim_max < 1 << 18) {
		struct rlimit more = { .rlim_cur = 1 << 18, .rlim_max = 1 << 18 };

		if (!setrlimit(RLIMIT_NOFILE, &more))
			return;
	}
	lim.rlim_cur = lim.rlim_max < 1 << 18 ? lim.rlim_max : 1 << 18;
	setrlimit(RLIMIT_NOFILE, &lim);
}

static int run(const char *names)
{
	signal(SIGPIPE, SIG_IGN);
	raise_limits();
	if (mkdir(opt.dir, 0755) && errno != EEXIST)
		die_errno(errno, "%s", opt.dir);
	if (opt.out && mkdir(opt.out, 0755) && errno != EEXIST)
		die_errno(errno, "%s", opt.out);
	for (size_t i = 0; i < ARRAY_SIZE(suites); i++) {
		if (names && !list_has(names, suites[i]->name))
			continue;
		say("suite %s: %s", suites[i]->name, suites[i]->help);
		if (opt.pin)
			machine_pin(false);
		result_begin(suites[i]->name);
		suites[i]->run();
		result_end();
		results_save();
	}
	return results_finish();
}

static int print_help(void)
{
	fputs(help, stdout);
	return 0;
}

static int run_serve(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", serve_options, NULL)) != -1) {
		switch (c) {
		case 'd':
			opt.dir = optarg;
			break;
		case 'h':
			return print_help();
		default:
			return usage("that is not understood", NULL);
		}
	}
	if (optind + 1 < argc)
		return usage("serve takes one address", NULL);
	signal(SIGPIPE, SIG_IGN);
	raise_limits();
	return peer_serve(optind < argc ? argv[optind] : PEER_PORT);
}

int main(int argc, char **argv)
{
	const char *names = NULL;
	char *bad, *end;
	long n;
	int c;

	if (argc > 1 && !strcmp(argv[1], "serve"))
		return run_serve(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "study-d-run"))
		return study_d_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "message"))
		return message_main(argc - 1, argv + 1);
	if (argc == 2 && !strcmp(argv[1], "help"))
		return print_help();
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 's':
			bad = unknown_name(optarg, is_suite);
			if (bad)
				return usage("there is no suite", bad);
			names = optarg;
			break;
		case 'm':
			bad = unknown_name(optarg, is_method);
			if (bad)
				return usage("there is no method", bad);
			opt.methods = optarg;
			break;
		case 'c':
			opt.cases = optarg;
			break;
		case 'r':
			n = strtol(optarg, &end, 10);
			if (*end || n < 1 || n > MAX_ROUNDS)
				return usage("not a number of rounds:", optarg);
			opt.rounds = n;
			break;
		case 'k':
			opt.smoke = true;
			break;
		case 'o':
			opt.out = optarg;
			break;
		case 'd':
			opt.dir = optarg;
			break;
		case 'D':
			opt.disk = optarg;
			break;
		case 'p':
			opt.remote = optarg;
			break;
		case 'L':
			n = strtol(optarg, &end, 10);
			if (*end || n < 1 || n > MAX_LOWAT)
				return usage("not a number of bytes up to 64 Mi:", optarg);
			opt.lowat = n;
			break;
		case 'P':
			opt.pin = true;
			break;
		case 'l':
			return list();
		case 'h':
			return print_help();
		default:
			return usage("that is not understood", NULL);
		}
	}
	if (optind < argc)
		return usage("what is", argv[optind]);
	if (!opt.rounds)
		opt.rounds = opt.smoke ? 1 : DEFAULT_ROUNDS;
	return run(names);
}
