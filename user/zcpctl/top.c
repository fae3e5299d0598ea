// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl top: the jobs on a full screen that refreshes.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "top.h"
#include "zcpctl.h"

#define BATCH_WIDTH 132

static int cmd_top(int argc, char **argv);

static const struct opt options[] = {
	OPT("interval", 'i', "SEC", "refresh every SEC seconds, 0.01 to 86400 (2)"),
	OPT("batch", 'b', NULL, "lines of text instead of a screen; needs no terminal"),
	OPT("count", 'n', "N", "end after N refreshes"),
	OPT_JSON("as --batch, one object per line"),
	OPT_HELP,
	OPT_END,
};

const struct command top_command = {
	.name = "top",
	.args = "[OPTION]...",
	.help = "show the jobs on a screen that refreshes",
	.options = options,
	.run = cmd_top,
	.details =
		"The jobs of this network namespace, by rate; without CAP_NET_ADMIN only one's own.\n"
		"BIT/S is the rate since the refresh before, RTT the connection's round trip time,\n"
		"QUEUE the bytes in its send queue, ZC the share of the sent bytes that was not\n"
		"copied. Keys: q quit, c cancel, / filter, < and > sort, r reverse, h for all keys.\n"
		"NO_COLOR is respected. Text is cut to COLUMNS with --batch. Ctrl-C and SIGTERM end\n"
		"it as q does, and so does unloading the module, which is a failure.\n",
};

struct settings {
	uint64_t interval_ns;
	uint64_t count;
	bool batch;
	bool json;
};

static int parse(int argc, char **argv, struct settings *s)
{
	int status;
	int opt;

	s->interval_ns = 2000000000;
	while ((opt = next_option(argc, argv, &top_command)) != -1) {
		bool good = true;

		if (option_stop(opt, &status))
			return status;
		switch (opt) {
		case 'i':
			good = parse_interval(optarg, &s->interval_ns);
			break;
		case 'n':
			good = parse_number(optarg, &s->count) && s->count;
			break;
		case 'b':
			s->batch = true;
			break;
		case 'j':
			s->batch = true;
			s->json = true;
			break;
		}
		if (!good)
			return bad_value(&top_command);
	}
	return operands_fit(argc, argv, &top_command, 0, 0) ? -1 : USAGE;
}

void top_headline(const struct top *top, char *buf, size_t size)
{
	char rate[16], inflight[16], memory[16], clock[16] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	short_amount(rate, sizeof(rate), 8 * top->rate);
	short_amount(inflight, sizeof(inflight), top->stats.inflight);
	short_amount(memory, sizeof(memory), top->stats.memory);
	snprintf(buf, size, "%s  jobs %u  %sbit/s  in flight %sB  memory %sB  workers %u", clock,
		 top->stats.jobs_active, rate, inflight, memory, top->stats.workers);
}

/* Takes a new snapshot: 0, or -errno and the one before stays. */
static int refresh_jobs(struct top *top, struct zcp_monitor *monitor)
{
	struct zcp_stats stats = { .size = sizeof(stats) };
	struct jobs jobs;
	int ret;

	ret = zcp_monitor_stats(monitor, &stats);
	if (!ret)
		ret = jobs_take(monitor, NULL, &jobs);
	if (ret)
		return ret;
	if (top->jobs.taken_ns) {
		uint64_t ns = jobs.taken_ns - top->jobs.taken_ns;

		jobs_rates(&jobs, &top->jobs);
		top->rate = bits_per_second(stats.bytes_sent - top->stats.bytes_sent, ns) / 8;
	} else {
		/* Until there is something to compare with. */
		for (size_t i = 0; i < jobs.count; i++)
			if (jobs.entries[i].job.state < ZCP_STATE_SENT)
				top->rate += jobs.entries[i].rate;
	}
	jobs_free(&top->jobs);
	top->jobs = jobs;
	top->stats = stats;
	return view_update(&top->view, &top->jobs);
}

/* Until @deadline, or until it is interrupted: 0 or -errno. */
static int sleep_until(uint64_t deadline)
{
	uint64_t now = monotonic_ns();
	int ret = 0;

	for (; now < deadline && !interrupted && !ret; now = monotonic_ns())
		ret = await(NULL, 0, (int)((deadline - now + 999999) / 1000000));
	return ret;
}

static int batch_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width;

	if (columns && parse_number(columns, &width) && width >= 20 && width < VIEW_WIDTH_MAX)
		return (int)width;
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col >= 20)
		return size.ws_col;
	return BATCH_WIDTH;
}

/* Without the spaces at its end. */
static void print_trimmed(const char *line)
{
	size_t len = strlen(line);

	while (len && line[len - 1] == ' ')
		len--;
	if (print_stuck(stdout))
		return;
	printf("%.*s\n", (int)len, line);
}

static void batch_print(const struct top *top, struct printer *p)
{
	char line[VIEW_LINE_MAX];
	int width = batch_width();
	struct timespec now;

	if (!p->json) {
		top_headline(top, line, sizeof(line));
		print_trimmed(line);
		view_titles(width, line);
		print_trimmed(line);
		for (size_t i = 0; i < top->view.count; i++) {
			view_line(top->view.rows[i], width, line);
			print_trimmed(line);
		}
		print_trimmed("");
		print_flush(stdout);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	print_object(p, NULL);
	print_seconds(p, "time", NULL, (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	print_rate(p, "bits_per_second", NULL, 8 * top->rate);
	print_number(p, "jobs_active", NULL, top->stats.jobs_active);
	print_number(p, "inflight", NULL, top->stats.inflight);
	print_number(p, "memory", NULL, top->stats.memory);
	print_number(p, "workers", NULL, top->stats.workers);
	print_array(p, "jobs");
	for (size_t i = 0; i < top->view.count; i++)
		print_entry(p, top->view.rows[i]);
	print_end(p);
	print_end(p);
}

/* The first snapshot only says from where rates count. */
static int batch(struct top *top, struct zcp_monitor *monitor, const struct settings *s)
{
	uint64_t deadline;
	struct printer p;
	int ret;

	print_init(&p, stdout, s->json);
	ret = refresh_jobs(top, monitor);
	deadline = top->jobs.taken_ns;
	for (uint64_t i = 0; !ret && (!s->count || i < s->count); i++) {
		deadline += s->interval_ns;
		ret = sleep_until(deadline);
		if (ret || interrupted)
			break;
		ret = refresh_jobs(top, monitor);
		if (!ret)
			batch_print(top, &p);
		if (ferror(stdout))
			break;
	}
	return ret;
}

static void cancel_selected(struct top *top, struct zcp_monitor *monitor)
{
	struct zcp_job_info job = { .size = sizeof(job) };
	int ret = zcp_monitor_cancel(monitor, top->cancel, &job);

	if (!ret)
		snprintf(top->message, sizeof(top->message), "job %llu: %s after %llu bytes",
			 (unsigned long long)top->cancel, zcp_state_name(job.state),
			 (unsigned long long)job.bytes_sent);
	else
		snprintf(top->message, sizeof(top->message), "job %llu: %.100s",
			 (unsigned long long)top->cancel, zcp_monitor_error(monitor));
}

static void filter_key(struct top *top, int key)
{
	size_t len = strlen(top->view.filter);

	switch (key) {
	case SCREEN_ENTER:
		top->mode = TOP_ROWS;
		break;
	case SCREEN_ESCAPE:
		top->view.filter[0] = '\0';
		top->mode = TOP_ROWS;
		break;
	case SCREEN_BACKSPACE:
		/* All bytes of the last character. */
		while (len && (top->view.filter[--len] & 0xc0) == 0x80)
			;
		top->view.filter[len] = '\0';
		break;
	default:
		if (key >= ' ' && key < 256 && len + 1 < sizeof(top->view.filter)) {
			top->view.filter[len] = (char)key;
			top->view.filter[len + 1] = '\0';
		}
		break;
	}
}

static void sort_key(struct top *top, int key)
{
	if (key == '<')
		top->view.sort = (top->view.sort + COLUMN_COUNT - 1) % COLUMN_COUNT;
	else if (key == '>')
		top->view.sort = (top->view.sort + 1) % COLUMN_COUNT;
	for (int i = 0; i < COLUMN_COUNT; i++)
		if (key == column_key(i))
			top->view.sort = i;
}

static void move_key(struct top *top, int key)
{
	size_t page = screen_rows() ? screen_rows() : 1;
	size_t last = top->view.count ? top->view.count - 1 : 0;

	switch (key) {
	case SCREEN_UP:
	case 'k':
		top->selected -= top->selected > 0;
		break;
	case SCREEN_DOWN:
	case 'j':
		top->selected++;
		break;
	case SCREEN_PAGE_UP:
		top->selected -= top->selected > page ? page : top->selected;
		break;
	case SCREEN_PAGE_DOWN:
		top->selected += page;
		break;
	case SCREEN_HOME:
		top->selected = 0;
		break;
	case SCREEN_END:
		top->selected = last;
		break;
	}
	if (top->selected > last)
		top->selected = last;
}

/* Returns false to quit. */
static bool row_key(struct top *top, int key)
{
	switch (key) {
	case 'q':
		return false;
	case 'h':
	case '?':
		top->mode = TOP_HELP;
		break;
	case '/':
		top->mode = TOP_FILTER;
		break;
	case 'r':
		top->view.reverse = !top->view.reverse;
		break;
	case 'c':
		if (top->selected < top->view.count) {
			top->cancel = top->view.rows[top->selected]->job.job;
			top->mode = TOP_CONFIRM;
		}
		break;
	default:
		sort_key(top, key);
		move_key(top, key);
		break;
	}
	return true;
}

/* What a key does: false to quit. */
static bool on_key(struct top *top, struct zcp_monitor *monitor, int key)
{
	top->message[0] = '\0';
	switch (top->mode) {
	case TOP_FILTER:
		filter_key(top, key);
		break;
	case TOP_CONFIRM:
		top->mode = TOP_ROWS;
		if (key == 'y' || key == 'Y') {
			cancel_selected(top, monitor);
			top->stale = true;
		}
		break;
	case TOP_HELP:
		top->mode = TOP_ROWS;
		break;
	default:
		if (!row_key(top, key))
			return false;
		break;
	}
	view_update(&top->view, &top->jobs);
	return true;
}

/* The row of the job that was marked follows it when the order changes. */
static uint64_t marked(const struct top *top)
{
	return top->selected < top->view.count ? top->view.rows[top->selected]->job.job : 0;
}

static void mark(struct top *top, uint64_t job)
{
	for (size_t i = 0; job && i < top->view.count; i++)
		if (top->view.rows[i]->job.job == job)
			top->selected = i;
}

static int interact(struct top *top, struct zcp_monitor *monitor, const struct settings *s)
{
	uint64_t shown = 0;
	uint64_t next;
	uint64_t now;
	int ret = refresh_jobs(top, monitor);
	int key;

	next = top->jobs.taken_ns + s->interval_ns;
	while (!ret && !interrupted) {
		screen_draw(top);
		now = monotonic_ns();
		key = screen_key(now < next ? (int)((next - now) / 1000000) + 1 : 0);
		if (key == SCREEN_RESIZE)
			continue;
		if (key != SCREEN_NONE && !on_key(top, monitor, key))
			break;
		if (key != ' ' && !top->stale && monotonic_ns() < next)
			continue;
		top->stale = false;
		if (s->count && ++shown >= s->count)
			break;
		/* A list that moves under a question would be answered for another job. */
		if (top->mode != TOP_CONFIRM) {
			uint64_t job = marked(top);

			ret = refresh_jobs(top, monitor);
			mark(top, job);
		}
		next = monotonic_ns() + s->interval_ns;
	}
	return ret;
}

static int on_screen(struct top *top, struct zcp_monitor *monitor, const struct settings *s)
{
	int ret;

	ret = screen_open();
	if (ret) {
		fail("the terminal \"%s\" is not known; try --batch",
		     getenv("TERM") ? getenv("TERM") : "");
		return 1;
	}
	ret = interact(top, monitor, s);
	screen_close();
	return ret;
}

static int cmd_top(int argc, char **argv)
{
	struct top top = { .view.sort = COLUMN_RATE };
	struct settings s = { 0 };
	struct zcp_monitor *monitor;
	int ret;

	ret = parse(argc, argv, &s);
	if (ret >= 0)
		return ret;
	if (!s.batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return fail("top needs a terminal; try --batch");
	setlocale(LC_CTYPE, "");
	if (open_monitor(&monitor))
		return FAILED;
	catch_signals();
	ret = s.batch ? batch(&top, monitor, &s) : on_screen(&top, monitor, &s);
	if (ret < 0)
		monitor_failed(monitor, "cannot list the jobs", -ret);
	jobs_free(&top.jobs);
	view_free(&top.view);
	zcp_monitor_close(monitor);
	return ret ? FAILED : DONE;
}
