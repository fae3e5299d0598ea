/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What zcpctl top shows, and its screen.
 */
#ifndef ZCPCTL_TOP_H
#define ZCPCTL_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcp/monitor.h>

#include "jobs.h"
#include "view.h"

enum top_mode {
	TOP_ROWS,
	TOP_FILTER,
	TOP_CONFIRM,
	TOP_HELP,
};

/**
 * struct top - What is shown
 * @jobs: The jobs.
 * @stats: The sums.
 * @view: The rows.
 * @rate: Bytes per second of all jobs.
 * @mode: What keys are for.
 * @selected: The row that is marked.
 * @first: The first row on the screen.
 * @cancel: The job that is to be cancelled after a confirmation.
 * @stale: The jobs have changed by what was done here.
 * @message: What to tell until the next key; empty for nothing.
 */
struct top {
	struct jobs jobs;
	struct zcp_stats stats;
	struct view view;
	uint64_t rate;
	enum top_mode mode;
	size_t selected;
	size_t first;
	uint64_t cancel;
	bool stale;
	char message[160];
};

/* Keys that are no characters. */
enum screen_key {
	SCREEN_NONE = 0,
	SCREEN_UP = 1000,
	SCREEN_DOWN,
	SCREEN_PAGE_UP,
	SCREEN_PAGE_DOWN,
	SCREEN_HOME,
	SCREEN_END,
	SCREEN_ENTER,
	SCREEN_ESCAPE,
	SCREEN_BACKSPACE,
	SCREEN_RESIZE,
};

/* 0, or -errno when the terminal cannot be used. */
int screen_open(void);
void screen_close(void);

void screen_draw(struct top *top);

/* How many rows of jobs there is room for. */
size_t screen_rows(void);

/* A character or an enum screen_key; SCREEN_NONE when none came in time. */
int screen_key(int timeout_ms);

/* One line about everything: time, jobs, rate, bytes in flight, memory. */
void top_headline(const struct top *top, char *buf, size_t size);

#endif /* ZCPCTL_TOP_H */
