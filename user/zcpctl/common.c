// SPDX-License-Identifier: GPL-2.0-only
/*
 * Errors, numbers and the device: what the verbs share.
 */
#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "print.h"
#include "zcpctl.h"

volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
	/* Once more each second: a call may begin to wait just after it was looked at. */
	alarm(1);
}

void catch_signals(void)
{
	/*
	 * No SA_RESTART: the call that waits is to return. No SA_RESETHAND: timeout(1) sends
	 * its signal twice, and the second one is not to end what the first one has ended.
	 */
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGALRM, &sa, NULL);
}

void hold_signals(sigset_t *before)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGWINCH);
	sigprocmask(SIG_BLOCK, &held, before);
}

int await(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	sigset_t before;
	int ret = 0;

	hold_signals(&before);
	if (!interrupted && ppoll(fds, count, timeout_ms < 0 ? NULL : &ts, &before) < 0 &&
	    errno != EINTR)
		ret = -errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int await_or_cancel(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int ret = await(fds, count, timeout_ms);

	return interrupted ? -ECANCELED : ret;
}

int fail(const char *format, ...)
{
	va_list ap;

	print_flush(stdout);
	fputs("zcpctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return FAILED;
}

int usage_error(const char *verb, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "zcpctl%s%s: ", verb ? " " : "", verb ? verb : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "; try: zcpctl help%s%s\n", verb ? " " : "", verb ? verb : "");
	return USAGE;
}

bool member_advice(char *buf, size_t size)
{
	const mode_t both = 0060;
	struct group *group = NULL;
	struct stat st;

	if (!stat(ZCP_DEVICE, &st) && st.st_gid && (st.st_mode & both) == both)
		group = getgrgid(st.st_gid);
	if (group)
		snprintf(buf, size,
			 "the group %s may use it: sudo usermod -aG %s USER, and log in anew",
			 group->gr_name, group->gr_name);
	return group;
}

void device_problem(int error, char *buf, size_t size)
{
	const char *advice = "zcpctl doctor may know more";
	char member[160];

	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		advice = "is the module loaded? try: sudo modprobe zcp (or insmod zcp.ko)";
		break;
	case EACCES:
	case EPERM:
		advice = "this user may not use it; try: sudo zcpctl, or zcpctl doctor";
		if (member_advice(member, sizeof(member)))
			advice = member;
		break;
	case ENOTTY:
	case EPROTO:
		advice = "it is not zcp's, or of another version; try: zcpctl doctor";
		break;
	}
	snprintf(buf, size, "cannot open %s: %s; %s", ZCP_DEVICE, strerror(error), advice);
}

int open_context(struct zcp_ctx **ctx)
{
	char problem[256];
	int ret;

	ret = zcp_ctx_open(ctx, NULL);
	if (ret) {
		device_problem(-ret, problem, sizeof(problem));
		fail("%s", problem);
	}
	return ret;
}

void module_version(char *buf, size_t size)
{
	FILE *f = fopen(ZCP_MODULE_DIR "/version", "re");

	buf[0] = '\0';
	if (!f)
		return;
	if (fgets(buf, (int)size, f))
		buf[strcspn(buf, "\n")] = '\0';
	else
		buf[0] = '\0';
	fclose(f);
}

bool parse_number(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && !*end;
}

bool parse_amount(const char *text, uint64_t *value)
{
	static const char units[] = "kMGT";
	size_t digits = strspn(text, "0123456789");
	const char *suffix = text + digits;
	uint64_t factor = 1;
	const char *unit;
	char number[32];

	if (digits >= sizeof(number))
		return false;
	memcpy(number, text, digits);
	number[digits] = '\0';
	if (!parse_number(number, value))
		return false;
	if (!*suffix)
		return true;
	unit = strchr(units, *suffix == 'K' ? 'k' : *suffix);
	if (!unit || strcmp(suffix + 1, suffix[1] == 'i' ? "i" : ""))
		return false;
	for (const char *u = units; u <= unit; u++)
		factor *= suffix[1] == 'i' ? 1024 : 1000;
	return !__builtin_mul_overflow(*value, factor, value);
}

bool parse_interval(const char *text, uint64_t *ns)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.01 && s <= 86400))
		return false;
	*ns = (uint64_t)(s * 1e9);
	return true;
}
