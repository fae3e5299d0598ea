// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where TCP's memory gets short (net.ipv4.tcp_mem): what has no room at the
 * receiver is dropped and sent again, so links push little at a time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

/* Enough that TCP's count of sockets, which is not exact, is about right. */
#define NR	128
#define LEN	(512 * ZT_KIB)
/* What a link may have in flight in any case. */
#define LITTLE	(64 * ZT_KIB)
#define BLOCK	"/sys/kernel/tracing/events/zcp/zcp_block/enable"
#define TRACE	"/sys/kernel/tracing/trace"

FIXTURE(tcpmem) {
	struct zt_box box;
	struct zt_conn conns[NR];
	/* The machine's, which is not seen from within the box. */
	int tcp_mem;
	char was[96];
	/* The module's, to be written back. */
	uint64_t tight_ms;
	int ctx;
	int file;
};

static void set_tcp_mem(FIXTURE_DATA(tcpmem) *self, const char *value)
{
	zt_need(pwrite(self->tcp_mem, value, strlen(value), 0) == (ssize_t)strlen(value));
}

/* A job on each link, which its send queue could hold. */
FIXTURE_SETUP(tcpmem)
{
	int i;

	self->tight_ms = zt_parameter("tight_ms", 200);
	self->tcp_mem = open("/proc/sys/net/ipv4/tcp_mem", O_RDWR | O_CLOEXEC);
	zt_need(self->tcp_mem >= 0);
	zt_need(pread(self->tcp_mem, self->was, sizeof(self->was) - 1, 0) > 0);
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, 1, LEN);
	/* In pages: 4, 12 and 48 MiB. */
	set_tcp_mem(self, "1024 3072 12288");
	/* The more sockets there are, the less is the share of each. */
	for (i = 0; i < NR; i++)
		zt_connect_holding(&self->conns[i]);
	for (i = 0; i < NR; i++)
		zt_submit_range(self->ctx, zt_link(self->ctx, self->conns[i].tx), self->file, 0,
				LEN);
}

/* All of them are done, when their peers read. */
FIXTURE_TEARDOWN(tcpmem)
{
	struct zt_sink sinks[NR];
	struct zcp_event event;
	int i;

	for (i = 0; i < NR; i++)
		zt_sink_start(&sinks[i], self->conns[i].rx, LEN);
	for (i = 0; i < NR; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		EXPECT_EQ(LEN, event.bytes_acked);
	}
	for (i = 0; i < NR; i++) {
		zt_sink_join(&sinks[i]);
		EXPECT_EQ(LEN, sinks[i].len);
		EXPECT_EQ(-1, zt_mismatch(sinks[i].buf, sinks[i].len, 1, 0));
		zt_sink_free(&sinks[i]);
	}
	set_tcp_mem(self, self->was);
	zt_parameter("tight_ms", self->tight_ms);
	close(self->ctx);
	for (i = 0; i < NR; i++)
		zt_close(&self->conns[i]);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
	close(self->tcp_mem);
}

TEST_F_TIMEOUT(tcpmem, little_in_flight, 240)
{
	uint64_t sent, all = 0;
	int i;

	zt_sleep_ms(ZT_WATCH);
	for (i = 0; i < NR; i++) {
		sent = zt_unacked(self->conns[i].tx) + zt_tcp_acked(self->conns[i].tx);
		EXPECT_GE(sent, LITTLE);
		all += sent;
	}
	/* 8 MiB, what CPUs have at hand, and half of a socket's share of 48 MiB each. */
	EXPECT_LE(all, 32 * ZT_MIB)
		TH_LOG("%llu bytes in flight", (unsigned long long)all);
}

/* How often links have found no room since the trace was emptied. */
static unsigned int blocks(void)
{
	FILE *trace = fopen(TRACE, "r");
	unsigned int nr = 0;
	char line[512];

	zt_need(trace);
	while (fgets(line, sizeof(line), trace)) {
		if (strstr(line, " zcp_block:"))
			nr++;
	}
	fclose(trace);
	return nr;
}

/* Thousands that wait for peers which have stalled must not keep workers busy. */
TEST_F_TIMEOUT(tcpmem, who_waits_takes_no_turns, 240)
{
	unsigned int nr;

	if (access(BLOCK, W_OK) &&
	    (zt_run("mount -t tracefs none /sys/kernel/tracing") || access(BLOCK, W_OK)))
		SKIP(return, "the kernel lacks trace events");
	/* Until the safety net's first and short delays are over. */
	zt_sleep_ms(4000);
	zt_need(!zt_run("echo 1 >" BLOCK " && echo >" TRACE));
	zt_sleep_ms(2000);
	nr = blocks();
	zt_need(!zt_run("echo 0 >" BLOCK));
	EXPECT_LE(nr, NR)
		TH_LOG("%u turns in two seconds", nr);
}

/* What TCP holds, in pages. */
static long tcp_pages(void)
{
	FILE *sockstat = fopen("/proc/net/sockstat", "r");
	long pages = -1;
	char line[512];
	char *mem;

	zt_need(sockstat);
	while (fgets(line, sizeof(line), sockstat)) {
		mem = strstr(line, "mem ");
		if (!strncmp(line, "TCP:", 4) && mem)
			pages = atol(mem + 4);
	}
	fclose(sockstat);
	zt_need(pages >= 0);
	return pages;
}

/*
 * What others have left when it is not short any more is not for the first who comes, but
 * for short jobs. In pages: from 512 MiB on it is short; a share is 96 MiB by 2 x 260.
 */
TEST_F_TIMEOUT(tcpmem, long_jobs_hold_back_for_a_while, 240)
{
	static const struct {
		uint64_t ms, len, least, most;
	} jobs[] = {
		{ 0, LEN, LEN, LEN },
		{ 600000, LEN, LITTLE, LEN - LEN / 4 },
		{ 600000, LEN / 2, LEN / 2, LEN / 2 },
	};
	int ctx = zt_open(O_NONBLOCK);
	struct zcp_status status;
	struct zt_conn conn[3];
	uint64_t job;
	int i;

	zt_sleep_ms(ZT_WATCH);
	EXPECT_GT(tcp_pages(), 1024);
	set_tcp_mem(self, "131072 131072 24576");
	for (i = 0; i < 3; i++) {
		zt_connect_holding(&conn[i]);
		zt_parameter("tight_ms", jobs[i].ms);
		job = zt_submit_range(ctx, zt_link(ctx, conn[i].tx), self->file, 0, jobs[i].len);
		zt_sleep_ms(500);
		ASSERT_EQ(0, zt_status(ctx, job, &status));
		EXPECT_GE(status.bytes_sent, jobs[i].least)
			TH_LOG("%llu bytes of job %d", (unsigned long long)status.bytes_sent, i);
		EXPECT_LE(status.bytes_sent, jobs[i].most)
			TH_LOG("%llu bytes of job %d", (unsigned long long)status.bytes_sent, i);
	}
	EXPECT_LT(tcp_pages(), 131072);
	close(ctx);
	for (i = 0; i < 3; i++)
		zt_close(&conn[i]);
}

/* Somebody who wants no limit writes the largest number that there is. */
TEST_F_TIMEOUT(tcpmem, no_limit, 240)
{
#define MOST	"9223372036854775807"
	int ctx = zt_open(O_NONBLOCK);
	struct zcp_status status;
	struct zt_conn conn;
	uint64_t job;
	int i;

	set_tcp_mem(self, MOST " " MOST " " MOST);
	zt_parameter("tight_ms", 0);
	zt_connect_holding(&conn);
	job = zt_submit_range(ctx, zt_link(ctx, conn.tx), self->file, 0, LEN);
	for (i = 0; i < ZT_PATIENCE * 10; i++) {
		ASSERT_EQ(0, zt_status(ctx, job, &status));
		if (status.bytes_sent == LEN)
			break;
		zt_sleep_ms(100);
	}
	EXPECT_EQ(LEN, status.bytes_sent);
	close(ctx);
	zt_close(&conn);
}

TEST_HARNESS_MAIN
