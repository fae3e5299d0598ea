/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of zcpctl top: which jobs, in which order, and as text.
 */
#ifndef ZCPCTL_VIEW_H
#define ZCPCTL_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "jobs.h"

#define VIEW_WIDTH_MAX 512

/* Room for a line: a column may take some bytes. */
#define VIEW_LINE_MAX (4 * VIEW_WIDTH_MAX)

enum column {
	COLUMN_PROCESS,
	COLUMN_FILE,
	COLUMN_PEER,
	COLUMN_STATE,
	COLUMN_PROGRESS,
	COLUMN_RATE,
	COLUMN_RTT,
	COLUMN_QUEUE,
	COLUMN_ZEROCOPY,
	COLUMN_COUNT,
};

/**
 * struct view - What is shown
 * @sort: The column that orders the rows.
 * @reverse: Against the order that is usual for it: large numbers first, words
 *	by the alphabet.
 * @filter: Only jobs that have this somewhere, in letters of any size.
 * @rows: The jobs, in the order they are shown.
 * @count: Their number.
 */
struct view {
	enum column sort;
	bool reverse;
	char filter[64];
	const struct entry **rows;
	size_t count;
};

/* Chooses and sorts the rows: 0, or -ENOMEM. They are valid as long as @jobs. */
int view_update(struct view *view, const struct jobs *jobs);
void view_free(struct view *view);

/* The names of columns and how a key chooses them. */
const char *column_title(enum column column);
char column_key(enum column column);

/* A line of at most @width columns: the titles, or a job. */
void view_titles(int width, char line[VIEW_LINE_MAX]);
void view_line(const struct entry *entry, int width, char line[VIEW_LINE_MAX]);

/* Where a column begins and how wide it is; 0 when it is not there. */
int column_place(enum column column, int width, int *begin);

/* An amount in few characters: 999, 12.3k, 4.56G; and a time. */
void short_amount(char *buf, size_t size, uint64_t amount);
void short_time(char *buf, size_t size, uint32_t us);

#endif /* ZCPCTL_VIEW_H */
