// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl monitor: a line for each event.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "jobs.h"
#include "print.h"
#include "zcpctl.h"

static int cmd_monitor(int argc, char **argv);

static const struct opt options[] = {
	OPT("progress", 'p', NULL, "events about progress too (yes)"),
	OPT("no-progress", 'P', NULL, "only of jobs that begin, change stage or end"),
	OPT("interval", 'i', "SEC",
	    "progress of a job at most every SEC seconds, 0.01 to 86400;\n"
	    "the module has an interval of its own, its parameter\n"
	    "progress_ms"),
	OPT_JSON("one object per line"),
	OPT_HELP,
	OPT_END,
};

const struct command monitor_command = {
	.name = "monitor",
	.args = "[OPTION]...",
	.help = "print what happens to jobs, as it happens",
	.options = options,
	.run = cmd_monitor,
	.details =
		"The events of this network namespace: new, stage (it runs, or all is sent),\n"
		"progress, done. It needs CAP_NET_ADMIN. Process ids are those of the initial\n"
		"namespace. Events that come faster than they are read are lost, and a line\n"
		"\"overrun\" tells. The line on stderr says that it watches. Ctrl-C ends it, and\n"
		"so does unloading the module, which is a failure.\n",
};

/* When the progress of a job was printed last. */
struct told {
	uint64_t job;
	uint64_t ns;
};

struct watch {
	struct printer printer;
	bool progress;
	uint64_t interval_ns;
	/* Open addressing; a @job of 0 is a free slot. */
	struct told *told;
	size_t slots;
	size_t used;
};

static int parse(int argc, char **argv, struct watch *w, bool *json)
{
	int status;
	int opt;

	w->progress = true;
	while ((opt = next_option(argc, argv, &monitor_command)) != -1) {
		if (option_stop(opt, &status))
			return status;
		switch (opt) {
		case 'p':
			w->progress = true;
			break;
		case 'P':
			w->progress = false;
			break;
		case 'i':
			if (!parse_interval(optarg, &w->interval_ns))
				return bad_value(&monitor_command);
			break;
		case 'j':
			*json = true;
			break;
		}
	}
	return operands_fit(argc, argv, &monitor_command, 0, 0) ? -1 : USAGE;
}

static struct told *slot(struct told *told, size_t slots, uint64_t job)
{
	size_t at = (job * 0x9e3779b97f4a7c15) >> 32;

	while (told[at % slots].job && told[at % slots].job != job)
		at++;
	return &told[at % slots];
}

/*
 * Makes room. A job whose interval is over is forgotten: it may be printed
 * again anyway. So the table has the jobs of one interval at most.
 */
static bool rehash(struct watch *w, uint64_t now)
{
	struct told *old = w->told;
	size_t alive = 0;
	size_t slots = 256;

	for (size_t i = 0; i < w->slots; i++)
		alive += old[i].job && now - old[i].ns < w->interval_ns;
	while (slots < 4 * alive)
		slots *= 2;
	w->told = calloc(slots, sizeof(*w->told));
	if (!w->told) {
		w->told = old;
		return false;
	}
	for (size_t i = 0; i < w->slots; i++)
		if (old[i].job && now - old[i].ns < w->interval_ns)
			*slot(w->told, slots, old[i].job) = old[i];
	free(old);
	w->slots = slots;
	w->used = alive;
	return true;
}

/* Whether the progress of a job is to be printed now. */
static bool due(struct watch *w, uint64_t job)
{
	uint64_t now = monotonic_ns();
	struct told *t;

	if (!w->interval_ns)
		return true;
	if (2 * w->used >= w->slots && !rehash(w, now))
		return true;
	t = slot(w->told, w->slots, job);
	if (t->job && now - t->ns < w->interval_ns)
		return false;
	w->used += !t->job;
	t->job = job;
	t->ns = now;
	return true;
}

static void print_time(struct printer *p, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char clock[32] = "-";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	print_text(p, "%s.%03u", clock, (unsigned int)(ns / 1000000 % 1000));
	print_seconds(p, "time", NULL, ns);
}

static void print_event(struct printer *p, const struct zcp_monitor_event *e,
			const struct zcp_job_info *j)
{
	print_object(p, NULL);
	print_time(p, e->time_ns);
	print_string(p, "event", "  %-8s", zcp_monitor_type_name(e->type));
	if (e->type == ZCP_MONITOR_OVERRUN) {
		print_number(p, "overruns", "  events were lost, for the %s. time\n", e->overruns);
		print_end(p);
		return;
	}
	print_number(p, "job", "  job %s", j->job);
	print_string(p, "state", "  %-9s", zcp_state_name(j->state));
	print_number(p, "bytes_sent", "  %s", j->bytes_sent);
	print_number(p, "bytes_total", " of %s bytes", j->bytes_total);
	print_number(p, "bytes_acked", ", %s acked", j->bytes_acked);
	print_share(p, "zerocopy_share", ", %s zero-copied", j->bytes_zerocopy, j->bytes_sent);
	print_number(p, "errno", NULL, j->error);
	if (j->error)
		print_text(p, ", %s", strerror((int)j->error));
	print_string(p, "comm", "  %s", j->comm);
	print_number(p, "pid", "[%s]", j->pid);
	print_string(p, "file", "  %s\n", j->file);
	print_number(p, "uid", NULL, j->uid);
	print_number(p, "context", NULL, j->context);
	print_number(p, "link", NULL, j->link);
	print_string(p, "mode", NULL, zcp_mode_name(j->mode));
	print_number(p, "bytes_zerocopy", NULL, j->bytes_zerocopy);
	print_number(p, "bytes_copied", NULL, j->bytes_copied);
	print_string(p, "copy_reason", NULL, zcp_reason_name(j->copy_reason));
	print_ns(p, "sent_ns", NULL, j->sent_ns);
	print_ns(p, "acked_ns", NULL, j->acked_ns);
	print_ns(p, "end_ns", NULL, j->end_ns);
	print_end(p);
}

/* Prints what has come: 0, or -errno. */
static int print_events(struct watch *w, struct zcp_monitor *monitor)
{
	struct zcp_monitor_event event = { .size = sizeof(event) };
	struct zcp_job_info job = { .size = sizeof(job) };
	int ret = 0;

	while (!interrupted && (ret = zcp_monitor_read(monitor, &event, &job)) > 0) {
		if (event.type == ZCP_MONITOR_PROGRESS && (!w->progress || !due(w, job.job)))
			continue;
		print_event(&w->printer, &event, &job);
		print_flush(w->printer.out);
		if (ferror(w->printer.out))
			return -EPIPE;
	}
	return interrupted ? 0 : ret;
}

static int follow(struct watch *w, struct zcp_monitor *monitor)
{
	/* The other end of a pipe may go while nothing happens. */
	struct pollfd fds[] = {
		{ .fd = zcp_monitor_fd(monitor), .events = POLLIN },
		{ .fd = fileno(w->printer.out) },
	};
	int ret = 0;

	while (!interrupted && !ret) {
		ret = await(fds, 2, -1);
		if (ret)
			return ret;
		if (fds[1].revents & (POLLERR | POLLHUP))
			return -EPIPE;
		ret = print_events(w, monitor);
	}
	return ret;
}

static int cmd_monitor(int argc, char **argv)
{
	struct zcp_monitor *monitor;
	struct watch w = { 0 };
	bool json = false;
	int ret;

	ret = parse(argc, argv, &w, &json);
	if (ret >= 0)
		return ret;
	if (open_monitor(&monitor))
		return FAILED;
	ret = zcp_monitor_subscribe(monitor);
	if (ret == -EPERM)
		ret = fail("watching events needs CAP_NET_ADMIN in this network namespace; "
			   "try: sudo zcpctl");
	else if (ret)
		ret = monitor_failed(monitor, "cannot watch events", -ret);
	if (ret)
		goto out;
	catch_signals();
	/* A reader that goes away, as head(1) does, is no failure. */
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	print_init(&w.printer, stdout, json);
	/* Who starts it in the background wants to know from when on. */
	fprintf(stderr, "watching the jobs of this network namespace\n");
	ret = follow(&w, monitor);
	if (ret && ret != -EPIPE)
		ret = monitor_failed(monitor, "cannot read events", -ret);
	else
		ret = DONE;
	free(w.told);
out:
	zcp_monitor_close(monitor);
	return ret;
}
