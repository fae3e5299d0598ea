/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Progress of a transfer: a bar for a terminal, or a line at each interval.
 */
#ifndef ZCPCTL_PROGRESS_H
#define ZCPCTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <zcp/zcp.h>

#include "print.h"

/**
 * struct progress - A transfer being watched
 * @printer: Where interval lines go.
 * @bar: Draw a bar on stderr.
 * @interval_ns: Between interval lines; 0 for none.
 * @last_ns: When the last line or bar was.
 * @last_bytes: Bytes at that time.
 * @next_ns: When the next line is due.
 * @rate: Bytes per second, smoothed, for the bar.
 * @drawn: There is a bar to wipe.
 */
struct progress {
	struct printer *printer;
	bool bar;
	uint64_t interval_ns;
	uint64_t last_ns;
	uint64_t last_bytes;
	uint64_t next_ns;
	double rate;
	bool drawn;
};

/* How often progress_update() should be called, in milliseconds. */
uint32_t progress_tick_ms(const struct progress *progress);
void progress_update(struct progress *progress, const struct zcp_status *status);
/* The same when nobody knows how many bytes will come: no bar, and no line twice a tick. */
void progress_bytes(struct progress *progress, uint64_t age, uint64_t bytes);
void progress_end(struct progress *progress);

#endif /* ZCPCTL_PROGRESS_H */
