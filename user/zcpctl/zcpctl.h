/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the subcommands of zcpctl share.
 */
#ifndef ZCPCTL_ZCPCTL_H
#define ZCPCTL_ZCPCTL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include <zcp/zcp.h>

#define ZCP_DEVICE "/dev/zcp"
#define ZCP_MODULE_DIR "/sys/module/zcp"

/* Exit codes. */
enum {
	DONE = 0,
	FAILED = 1,
	USAGE = 2,
};

/* Each subcommand: argv[0] is its name. Returns an exit code. */
int cmd_send(int argc, char **argv);
int cmd_recv(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_cancel(int argc, char **argv);
int cmd_caps(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_bench(int argc, char **argv);

/* What its help says after the first two lines. */
extern const char send_help[];
extern const char recv_help[];
extern const char list_help[];
extern const char show_help[];
extern const char cancel_help[];
extern const char caps_help[];
extern const char info_help[];
extern const char doctor_help[];
extern const char bench_help[];

/* Print an error, one line on stderr; return FAILED or USAGE. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);
__attribute__((format(printf, 2, 3))) int usage_error(const char *verb, const char *format, ...);

/* The help of a subcommand to stdout; returns DONE. */
int verb_help(const char *verb);

/* After getopt_long() said '?' or ':'; returns USAGE. */
int bad_option(int opt, char **argv);

/*
 * The command line of a subcommand that has no options but --json and --help,
 * and @operands operands. Returns -1 to go on, else an exit code.
 */
int only_json(int argc, char **argv, int operands, bool *json);

/* Opens the device, or prints why not: 0 or -errno. */
int open_context(struct zcp_ctx **ctx);

/* What is wrong when opening the device gave @error, and what to do. */
void device_problem(int error, char *buf, size_t size);

/* The version of the loaded module, or an empty string. */
void module_version(char *buf, size_t size);

/* A whole number in decimal; false when @text is none. */
bool parse_number(const char *text, uint64_t *value);

/* The same, with k, M, G or T (1000) or Ki, Mi, Gi or Ti (1024) behind it. */
bool parse_amount(const char *text, uint64_t *value);

/* Set by SIGINT and SIGTERM once catch_signals() was called. */
extern volatile sig_atomic_t interrupted;
void catch_signals(void);

#endif /* ZCPCTL_ZCPCTL_H */
