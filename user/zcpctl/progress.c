// SPDX-License-Identifier: GPL-2.0-only
/*
 * Progress of a transfer: a bar for a terminal, or a line at each interval.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "progress.h"

#define TICK_MS 200
#define BAR_WIDTH 24

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Bytes that got as far as the job is to go. */
static uint64_t counted(const struct zcp_status *status)
{
	return status->complete == ZCP_COMPLETE_SENT ? status->bytes_sent : status->bytes_acked;
}

static void line(struct progress *progress, const struct zcp_status *status, uint64_t age,
		 uint64_t bytes)
{
	struct printer *p = progress->printer;

	print_object(p, NULL);
	print_seconds(p, "seconds", "%10s s", age);
	print_number(p, "bytes", "  %15s bytes", bytes);
	print_rate(p, "bits_per_second", "  %9s Gbit/s\n",
		   bits_per_second(bytes - progress->last_bytes, age - progress->last_ns));
	print_number(p, "job", NULL, status->job);
	print_string(p, "state", NULL, zcp_state_name(status->state));
	print_end(p);
	print_flush(p->out);
}

static void amount(char *buf, size_t size, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	int unit = 0;

	while (bytes >= 1024 && unit < 6) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, size, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
}

static void remaining(char *buf, size_t size, double bytes, double rate)
{
	uint64_t s;

	if (rate < 1 || bytes / rate > 360000) {
		snprintf(buf, size, "--:--");
		return;
	}
	s = (uint64_t)(bytes / rate + 0.5);
	if (s >= 3600)
		snprintf(buf, size, "%u:%02u:%02u", (unsigned int)(s / 3600),
			 (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
	else
		snprintf(buf, size, "%02u:%02u", (unsigned int)(s / 60), (unsigned int)(s % 60));
}

static void draw(struct progress *progress, const struct zcp_status *status, uint64_t age,
		 uint64_t bytes)
{
	uint64_t total = status->bytes_total > bytes ? status->bytes_total : bytes;
	double rate = age > progress->last_ns
			      ? (bytes - progress->last_bytes) * 1e9 / (age - progress->last_ns)
			      : 0;
	int full = total ? (int)((double)bytes / total * BAR_WIDTH) : BAR_WIDTH;
	char bar[BAR_WIDTH + 1];
	char sent[32], eta[32];

	progress->rate = progress->drawn ? 0.7 * progress->rate + 0.3 * rate : rate;
	memset(bar, ' ', BAR_WIDTH);
	memset(bar, '#', full);
	bar[BAR_WIDTH] = '\0';
	amount(sent, sizeof(sent), bytes);
	remaining(eta, sizeof(eta), total - bytes, progress->rate);
	fprintf(stderr, "\r%3u%% [%s] %10s %8.3f Gbit/s  ETA %-8s",
		total ? (unsigned int)((double)bytes / total * 100) : 100, bar, sent,
		progress->rate * 8 / 1e9, eta);
	fflush(stderr);
	progress->drawn = true;
}

uint32_t progress_tick_ms(const struct progress *progress)
{
	uint64_t ms = progress->interval_ns / 1000000;

	if (!ms || ms > TICK_MS)
		return TICK_MS;
	return ms;
}

void progress_update(struct progress *progress, const struct zcp_status *status)
{
	uint64_t now = now_ns();
	uint64_t age = now > status->submit_ns ? now - status->submit_ns : 0;
	uint64_t bytes = counted(status);

	if (progress->interval_ns) {
		if (!progress->next_ns)
			progress->next_ns = progress->interval_ns;
		/* A tick may come a little early. */
		if (age + 1000000 < progress->next_ns)
			return;
		line(progress, status, age, bytes);
		while (progress->next_ns <= age + 1000000)
			progress->next_ns += progress->interval_ns;
	} else if (progress->bar) {
		draw(progress, status, age, bytes);
	} else {
		return;
	}
	progress->last_ns = age;
	progress->last_bytes = bytes;
}

void progress_bytes(struct progress *progress, uint64_t age, uint64_t bytes)
{
	uint64_t ns = age - progress->last_ns;
	double rate;
	char got[32];

	if (!progress->bar || ns < TICK_MS * 1000000ull)
		return;
	rate = (bytes - progress->last_bytes) * 1e9 / ns;
	progress->rate = progress->drawn ? 0.7 * progress->rate + 0.3 * rate : rate;
	amount(got, sizeof(got), bytes);
	fprintf(stderr, "\r%10s %8.3f Gbit/s ", got, progress->rate * 8 / 1e9);
	fflush(stderr);
	progress->last_ns = age;
	progress->last_bytes = bytes;
	progress->drawn = true;
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fprintf(stderr, "\r%79s\r", "");
	progress->drawn = false;
}
