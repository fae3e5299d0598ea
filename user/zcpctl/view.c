// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows of zcpctl top.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wchar.h>

#include "view.h"

/**
 * struct layout - A column
 * @title: Its title.
 * @key: The key that sorts by it.
 * @least: Columns of the terminal it has at least.
 * @most: How many it takes when there is room.
 * @numbers: Larger comes first, and its text is at the right.
 */
struct layout {
	const char *title;
	char key;
	int least;
	int most;
	bool numbers;
};

/* With a space between them they fit in 80. */
static const struct layout layouts[COLUMN_COUNT] = {
	[COLUMN_PROCESS] = { "PROCESS", 'P', 10, 24, false },
	[COLUMN_FILE] = { "FILE", 'F', 10, 200, false },
	[COLUMN_PEER] = { "PEER", 'A', 14, 45, false },
	[COLUMN_STATE] = { "STATE", 'S', 7, 9, false },
	[COLUMN_PROGRESS] = { "PROGRESS", 'G', 10, 26, true },
	[COLUMN_RATE] = { "BIT/S", 'R', 5, 8, true },
	[COLUMN_RTT] = { "RTT", 'T', 5, 6, true },
	[COLUMN_QUEUE] = { "QUEUE", 'U', 5, 6, true },
	[COLUMN_ZEROCOPY] = { "ZC", 'Z', 4, 4, true },
};

const char *column_title(enum column column)
{
	return layouts[column].title;
}

char column_key(enum column column)
{
	return layouts[column].key;
}

void short_amount(char *buf, size_t size, uint64_t amount)
{
	static const char units[] = " kMGTPE";
	double value = amount;
	int unit = 0;

	while (value >= 999.5) {
		value /= 1000;
		unit++;
	}
	if (!unit)
		snprintf(buf, size, "%u", (unsigned int)amount);
	else
		snprintf(buf, size, "%.*f%c", value < 9.95 ? 1 : 0, value, units[unit]);
}

void short_time(char *buf, size_t size, uint32_t us)
{
	if (us < 1000)
		snprintf(buf, size, "%uus", us);
	else if (us < 10000)
		snprintf(buf, size, "%.1fms", us / 1e3);
	else if (us < 1000000)
		snprintf(buf, size, "%ums", us / 1000);
	else
		snprintf(buf, size, "%us", us / 1000000 > 9999 ? 9999 : us / 1000000);
}

/* Widths for a line of @width: what is over @least goes where it is of most use. */
static void widths(int width, int out[COLUMN_COUNT])
{
	static const enum column order[] = { COLUMN_PEER,  COLUMN_FILE,	 COLUMN_PROCESS,
					     COLUMN_STATE, COLUMN_RATE,	 COLUMN_PROGRESS,
					     COLUMN_RTT,   COLUMN_QUEUE, COLUMN_FILE,
					     COLUMN_PEER };
	/* The first time a column is widened only to this. */
	static const int first[COLUMN_COUNT] = { [COLUMN_PEER] = 21, [COLUMN_FILE] = 24 };
	bool widened[COLUMN_COUNT] = { false };
	int left = width - (COLUMN_COUNT - 1);

	for (int i = 0; i < COLUMN_COUNT; i++) {
		out[i] = layouts[i].least;
		left -= out[i];
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && left > 0; i++) {
		enum column c = order[i];
		int most = first[c] && !widened[c] ? first[c] : layouts[c].most;
		int more = most - out[c];

		widened[c] = true;
		if (more > left)
			more = left;
		out[c] += more;
		left -= more;
	}
}

int column_place(enum column column, int width, int *begin)
{
	int w[COLUMN_COUNT];
	int at = 0;

	widths(width, w);
	for (int i = 0; i < (int)column; i++)
		at += w[i] + 1;
	*begin = at;
	if (at >= width)
		return 0;
	return at + w[column] > width ? width - at : w[column];
}

/*
 * Appends @text in @width columns, cut or filled with spaces; at the right, or
 * with its end rather than its beginning. What is not printable, or takes no
 * column, is "?".
 */
static char *fit(char *out, const char *text, int width, bool right, bool tail)
{
	wchar_t wide[VIEW_LINE_MAX];
	mbstate_t in = { 0 };
	char safe[VIEW_LINE_MAX];
	char *s = safe;
	size_t n = 0, from = 0;
	int columns = 0;

	if (tail && strlen(text) >= sizeof(safe))
		text += strlen(text) - sizeof(safe) + 1;
	printable(text, safe, sizeof(safe));
	for (size_t len = strlen(safe); len;) {
		size_t used = mbrtowc(&wide[n], s, len, &in);

		if (used == (size_t)-1 || used == (size_t)-2) {
			wide[n] = L'?';
			memset(&in, 0, sizeof(in));
			used = 1;
		} else if (wcwidth(wide[n]) <= 0) {
			/* What takes no column would take bytes without end. */
			wide[n] = L'?';
		}
		columns += wcwidth(wide[n++]);
		s += used;
		len -= used;
	}
	while (tail && from < n && columns > width)
		columns -= wcwidth(wide[from++]);
	while (n > from && columns > width)
		columns -= wcwidth(wide[--n]);
	if (right)
		out += sprintf(out, "%*s", width - columns, "");
	memset(&in, 0, sizeof(in));
	while (from < n) {
		size_t used = wcrtomb(out, wide[from++], &in);

		out += used == (size_t)-1 ? 0 : used;
	}
	if (!right)
		out += sprintf(out, "%*s", width - columns, "");
	*out = '\0';
	return out;
}

/* On a terminal that is too narrow. */
static void clip(char line[VIEW_LINE_MAX], int width)
{
	char whole[VIEW_LINE_MAX];

	strcpy(whole, line);
	fit(line, whole, width, false, false);
}

static double progress(const struct zcp_job_info *j)
{
	if (!j->bytes_total)
		return j->state == ZCP_STATE_DONE ? 1 : 0;
	return j->bytes_sent >= j->bytes_total ? 1 : (double)j->bytes_sent / j->bytes_total;
}

static void bar(const struct zcp_job_info *j, int width, char *buf)
{
	double part = progress(j);
	int length = width - 5;
	int full = (int)(part * length);

	memset(buf, '#', full);
	memset(buf + full, '.', length - full);
	/* 100% is all of it. */
	sprintf(buf + length, " %3d%%", (int)(part * 100));
}

static void share(const struct zcp_job_info *j, char *buf, size_t size)
{
	if (!j->bytes_sent)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%d%%", (int)((double)j->bytes_zerocopy / j->bytes_sent * 100));
}

static void column_text(const struct entry *e, enum column which, int width, char *buf, size_t size)
{
	const struct zcp_job_info *j = &e->job;

	switch (which) {
	case COLUMN_PROCESS:
		if (width < 16)
			snprintf(buf, size, "%s", j->comm ? j->comm : "-");
		else
			snprintf(buf, size, "%7u %s", j->pid, j->comm ? j->comm : "-");
		break;
	case COLUMN_FILE:
		snprintf(buf, size, "%s", j->file ? j->file : "-");
		break;
	case COLUMN_PEER:
		snprintf(buf, size, "%s", e->peer);
		break;
	case COLUMN_STATE:
		snprintf(buf, size, "%s", zcp_state_name(j->state));
		break;
	case COLUMN_PROGRESS:
		bar(j, width, buf);
		break;
	case COLUMN_RATE:
		short_amount(buf, size, 8 * e->rate);
		break;
	case COLUMN_RTT:
		if (e->link.size)
			short_time(buf, size, e->link.rtt_us);
		else
			snprintf(buf, size, "-");
		break;
	case COLUMN_QUEUE:
		if (e->link.size)
			short_amount(buf, size, e->link.queue_bytes);
		else
			snprintf(buf, size, "-");
		break;
	default:
		share(j, buf, size);
		break;
	}
}

void view_titles(int width, char line[VIEW_LINE_MAX])
{
	int w[COLUMN_COUNT];
	char *out = line;
	char title[32];

	if (width > VIEW_WIDTH_MAX - 1)
		width = VIEW_WIDTH_MAX - 1;
	widths(width, w);
	for (int i = 0; i < COLUMN_COUNT; i++) {
		snprintf(title, sizeof(title), "%s", layouts[i].title);
		if (i)
			*out++ = ' ';
		out = fit(out, title, w[i], layouts[i].numbers, false);
	}
	clip(line, width);
}

void view_line(const struct entry *entry, int width, char line[VIEW_LINE_MAX])
{
	int w[COLUMN_COUNT];
	char text[4200];
	char *out = line;

	if (width > VIEW_WIDTH_MAX - 1)
		width = VIEW_WIDTH_MAX - 1;
	widths(width, w);
	for (int i = 0; i < COLUMN_COUNT; i++) {
		column_text(entry, i, w[i], text, sizeof(text));
		if (i)
			*out++ = ' ';
		/* Of a path the end says more. */
		out = fit(out, text, w[i], layouts[i].numbers, i == COLUMN_FILE);
	}
	clip(line, width);
}

static int compare_numbers(double a, double b)
{
	/* Large ones first. */
	return a > b ? -1 : a < b;
}

static int compare_words(const char *a, const char *b)
{
	return strcasecmp(a ? a : "", b ? b : "");
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct entry *x = *(const struct entry *const *)a;
	const struct entry *y = *(const struct entry *const *)b;
	const struct view *view = arg;
	int ret = 0;

	switch (view->sort) {
	case COLUMN_PROCESS:
		ret = compare_words(x->job.comm, y->job.comm);
		if (!ret)
			ret = -compare_numbers(x->job.pid, y->job.pid);
		break;
	case COLUMN_FILE:
		ret = compare_words(x->job.file, y->job.file);
		break;
	case COLUMN_PEER:
		ret = compare_words(x->peer, y->peer);
		break;
	case COLUMN_STATE:
		ret = -compare_numbers(x->job.state, y->job.state);
		break;
	case COLUMN_PROGRESS:
		ret = compare_numbers(progress(&x->job), progress(&y->job));
		break;
	case COLUMN_RATE:
		ret = compare_numbers(x->rate, y->rate);
		break;
	case COLUMN_RTT:
		ret = compare_numbers(x->link.rtt_us, y->link.rtt_us);
		break;
	case COLUMN_QUEUE:
		ret = compare_numbers(x->link.queue_bytes, y->link.queue_bytes);
		break;
	default:
		ret = compare_numbers((double)x->job.bytes_zerocopy /
					      (x->job.bytes_sent ? x->job.bytes_sent : 1),
				      (double)y->job.bytes_zerocopy /
					      (y->job.bytes_sent ? y->job.bytes_sent : 1));
		break;
	}
	if (view->reverse)
		ret = -ret;
	/* Rows that are equal keep their places. */
	return ret ? ret : -compare_numbers(x->job.job, y->job.job);
}

static bool matches(const struct view *view, const struct entry *e)
{
	char pid[16], id[24];
	const char *const texts[] = {
		e->job.comm, e->job.file, e->peer, zcp_state_name(e->job.state), pid, id,
	};

	if (!view->filter[0])
		return true;
	snprintf(pid, sizeof(pid), "%u", e->job.pid);
	snprintf(id, sizeof(id), "%llu", (unsigned long long)e->job.job);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i] && strcasestr(texts[i], view->filter))
			return true;
	return false;
}

int view_update(struct view *view, const struct jobs *jobs)
{
	const struct entry **rows;

	rows = reallocarray(view->rows, jobs->count + 1, sizeof(struct entry *));
	if (!rows)
		return -ENOMEM;
	view->rows = rows;
	view->count = 0;
	for (size_t i = 0; i < jobs->count; i++)
		if (matches(view, &jobs->entries[i]))
			rows[view->count++] = &jobs->entries[i];
	qsort_r(rows, view->count, sizeof(struct entry *), compare, view);
	return 0;
}

void view_free(struct view *view)
{
	free(view->rows);
	view->rows = NULL;
	view->count = 0;
}
