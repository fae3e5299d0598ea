/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the subcommands of zcpctl share.
 */
#ifndef ZCPCTL_ZCPCTL_H
#define ZCPCTL_ZCPCTL_H

#include <poll.h>
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

/* Print an error, one line on stderr; return FAILED or USAGE. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);
__attribute__((format(printf, 2, 3))) int usage_error(const char *verb, const char *format, ...);

/* Opens the device, or prints why not: 0 or -errno. */
int open_context(struct zcp_ctx **ctx);

/* Who may use the device: the members of its group; false when it has been given to none. */
bool member_advice(char *buf, size_t size);

/* What is wrong when opening the device gave @error, and what to do. */
void device_problem(int error, char *buf, size_t size);

/* The version of the loaded module, or an empty string. */
void module_version(char *buf, size_t size);

/* A whole number in decimal; false when @text is none. */
bool parse_number(const char *text, uint64_t *value);

/* The same, with k, M, G or T (1000) or Ki, Mi, Gi or Ti (1024) behind it. */
bool parse_amount(const char *text, uint64_t *value);

/* Seconds, 0.01 to 86400, with a fraction. */
bool parse_interval(const char *text, uint64_t *ns);

/*
 * Set by SIGINT and SIGTERM once catch_signals() was called. From then on calls that wait
 * are interrupted each second, so who looks at it before each of them misses none.
 */
extern volatile sig_atomic_t interrupted;
void catch_signals(void);

/*
 * Holds SIGINT, SIGTERM and SIGWINCH back. What they would have changed can then be
 * looked at, and ppoll() with @before waits without missing one that came in between.
 * sigprocmask(SIG_SETMASK, @before, NULL) lets them through again.
 */
void hold_signals(sigset_t *before);

/*
 * Waits until there is something on @fds, `interrupted` is set, any other signal comes, or
 * the time is over; a negative one never is. Returns 0 or -errno.
 */
int await(struct pollfd *fds, nfds_t count, int timeout_ms);

/* The same, but -ECANCELED when `interrupted` is set. */
int await_or_cancel(struct pollfd *fds, nfds_t count, int timeout_ms);

#endif /* ZCPCTL_ZCPCTL_H */
