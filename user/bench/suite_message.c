// SPDX-License-Identifier: GPL-2.0-only
/*
 * message: messages from memory. Each is written before it is sent, so that
 * all ways pay for that.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "message.h"
#include "rounds.h"

#define SUITE "message"
/*
 * What a sample lasts, about, whichever way is sampled, and one that is taken to find the
 * threshold. The ways take turns by parts of a sample: what else the host does meets all of
 * them.
 */
#define SECONDS 0.25
#define PARTS 5
#define SECONDS_LEARN 0.05
#define LEARN_ROUNDS 5
#define SECONDS_SMOKE 0.002
/* A shorter sample says nothing. */
#define SHORTEST_NS 50000000
/* By reference has to be this much faster: a length that is as fast either way is copied. */
#define MARGIN 1.05
#define PAGE 4096
#define WAYS 7

static const size_t full_sizes[] = { 64,       256,	 512,	    1 << 10, 4 << 10,
				     16 << 10, 64 << 10, 256 << 10, 1 << 20 };
static const size_t smoke_sizes[] = { 64, 4 << 10, 256 << 10 };

static const size_t *sizes;
static size_t nr_sizes;
static struct peer *peer;
/* From which size on zcp_send_msg() sends by reference. */
static uint64_t threshold;

/*
 * send-batch is what a producer that has several messages at a time can do without
 * zcp: he writes up to 512 KiB of them to one buffer and sends that. zcp-auto-more is
 * what he can do with it; zcp-auto-linger is of one who has not, and lets the library
 * wait for more.
 */
static const char *const names[WAYS] = {
	"send", "send-batch", "zcp-xfer", "zcp-job", "zcp-auto", "zcp-auto-more", "zcp-auto-linger",
};

static const enum message_way ways[WAYS] = {
	MESSAGE_SEND, MESSAGE_SEND_BATCH, MESSAGE_XFER,	       MESSAGE_JOB,
	MESSAGE_AUTO, MESSAGE_AUTO_MORE,  MESSAGE_AUTO_LINGER,
};

static bool usable(int i)
{
	/* What the others are compared with. */
	if (strncmp(names[i], "zcp-", 4))
		return true;
	return method_find(strcmp(names[i], "zcp-xfer") ? "zcp-job" : "zcp-xfer");
}

static double seconds(struct producer *p)
{
	uint64_t ns = now_ns();

	producer_run(p);
	return (now_ns() - ns) / 1e9;
}

/* Whose speed is to be known. */
struct learner {
	enum message_way way;
	size_t len;
};

/* The second time a connection is as fast as it gets. */
static double try_count(uint64_t count, void *arg)
{
	const struct learner *l = arg;
	struct producer p;
	double first, second;

	producer_open(&p, l->way, l->len, count, threshold, peer);
	first = seconds(&p);
	second = seconds(&p);
	producer_close(&p);
	return first < second ? first : second;
}

/* How many messages go this way in this time. */
static uint64_t count_for(enum message_way way, size_t len, double time)
{
	struct learner l = { .way = way, .len = len };

	return rounds_count(time, producer_granularity(len), try_count, &l);
}

/* Whether by reference is clearly the faster way for messages of this length. */
static bool reference_is_faster(size_t len)
{
	uint64_t count = count_for(MESSAGE_SEND, len, SECONDS_LEARN);
	struct samples time[2] = { 0 };
	struct producer p[2];

	producer_open(&p[0], MESSAGE_SEND, len, count, 0, peer);
	producer_open(&p[1], MESSAGE_AUTO, len, count, len, peer);
	for (int round = 0; round < LEARN_ROUNDS; round++)
		for (int i = 0; i < 2; i++)
			samples_add(&time[i], seconds(&p[i]));
	producer_close(&p[0]);
	producer_close(&p[1]);
	return samples_median(&time[1]) * MARGIN < samples_median(&time[0]);
}

/* The first length from which on, up to the longest, messages are faster by reference. */
static void find_threshold(void)
{
	threshold = ZCP_MSG_NEVER;
	if (opt.smoke) {
		threshold = 16 << 10;
		return;
	}
	/* What is shorter than a page is always copied. */
	for (size_t i = nr_sizes; i-- && sizes[i] >= PAGE;) {
		if (!reference_is_faster(sizes[i]))
			break;
		threshold = sizes[i];
	}
	if (threshold == ZCP_MSG_NEVER)
		say("  threshold: none, send(2) is faster");
	else
		say("  threshold: %llu bytes", (unsigned long long)threshold);
}

/* A part of a sample. What is too short, though it was learned, is taken again, of more. */
static void sample_part(struct producer *p, struct meter *m)
{
	for (;;) {
		meter_start(peer);
		producer_run(p);
		meter_stop(peer, m);
		if (opt.smoke || m->ns * PARTS >= SHORTEST_NS)
			return;
		p->count *= 2;
	}
}

/* One sample of each of @nr ways. */
static void sample_all(struct producer *p, int nr, int round)
{
	int parts = opt.smoke ? 1 : PARTS;
	struct meter sum[WAYS] = { 0 };
	uint64_t sent[WAYS] = { 0 };
	int order[WAYS];
	struct meter m;

	for (int part = 0; part < parts; part++) {
		rounds_order(order, nr, (uint64_t)round * PARTS + part);
		for (int k = 0; k < nr; k++) {
			int i = order[k];

			sample_part(&p[i], &m);
			sum[i].ns += m.ns;
			sum[i].cpu += m.cpu;
			sent[i] += p[i].count;
		}
	}
	for (int i = 0; i < nr; i++) {
		double messages = sent[i];
		double bytes = messages * p[i].len;

		samples_add(&p[i].throughput, bytes * 8 / sum[i].ns);
		samples_add(&p[i].messages, messages * 1e9 / sum[i].ns);
		samples_add(&p[i].cpu, sum[i].cpu / (bytes / 1e9));
		p[i].cpu_seconds += sum[i].cpu;
	}
}

static void size_name(char *buf, size_t size, size_t len)
{
	if (len < 1 << 10)
		snprintf(buf, size, "%zuB", len);
	else if (len < 1 << 20)
		snprintf(buf, size, "%zuKiB", len >> 10);
	else
		snprintf(buf, size, "%zuMiB", len >> 20);
}

/* Throughput of a way, 0 if it is left out. */
static double speed(const struct producer *p, const char *const *name, int nr, const char *wanted)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(name[i], wanted))
			return samples_median(&p[i].throughput);
	return 0;
}

static double wanted(size_t len)
{
	if (len >= 1 << 20)
		return 1.8;
	return len >= 64 << 10 ? 1.3 : 0.97;
}

/* Returns how many times as fast as send-batch jobs are, as both have many messages. */
static double run_size(size_t len)
{
	double time = opt.smoke ? SECONDS_SMOKE : SECONDS / PARTS;
	struct producer p[WAYS];
	const char *name[WAYS];
	char cas[24];
	double plain, autos;
	int nr = 0;

	size_name(cas, sizeof(cas), len);
	if (!case_wanted(cas))
		return 0;
	say("  %s", cas);
	for (int i = 0; i < WAYS; i++) {
		if (!usable(i))
			continue;
		name[nr] = names[i];
		producer_open(&p[nr++], ways[i], len, count_for(ways[i], len, time), threshold,
			      peer);
	}
	for (int round = 0; round < opt.rounds; round++)
		sample_all(p, nr, round);
	for (int i = 0; i < nr; i++) {
		producer_close(&p[i]);
		result_add(SUITE, cas, name[i], "throughput", "Gbit/s", &p[i].throughput);
		result_add(SUITE, cas, name[i], "messages_per_s", "1/s", &p[i].messages);
		rounds_report_cpu(SUITE, cas, name[i], &p[i].cpu, p[i].cpu_seconds);
	}
	plain = speed(p, name, nr, "send");
	autos = speed(p, name, nr, "zcp-auto");
	if (autos > 0 && !opt.smoke)
		result_target(SUITE, cas, "throughput of zcp-auto / send", autos / plain,
			      ">=", wanted(len));
	autos = speed(p, name, nr, "zcp-auto-linger");
	if (autos > 0 && !opt.smoke)
		result_target(SUITE, cas, "throughput of zcp-auto-linger / send", autos / plain,
			      ">=", wanted(len));
	if (opt.smoke)
		result_check(SUITE, cas, true, "every byte of every message arrives");
	return speed(p, name, nr, "zcp-job") / speed(p, name, nr, "send-batch");
}

static void report_threshold(const char *cas, const char *method, size_t bytes)
{
	struct samples s = { 0 };

	samples_add(&s, bytes);
	result_add(SUITE, cas, method, "threshold", "bytes", &s);
}

static void run(void)
{
	double ratio[ARRAY_SIZE(full_sizes)];
	size_t i;

	sizes = opt.smoke ? smoke_sizes : full_sizes;
	nr_sizes = opt.smoke ? ARRAY_SIZE(smoke_sizes) : ARRAY_SIZE(full_sizes);
	threshold = ZCP_MSG_NEVER;
	peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	if (!jobs_missing())
		find_threshold();
	if (!opt.smoke && threshold != ZCP_MSG_NEVER)
		report_threshold("threshold", "zcp-auto", threshold);
	for (i = 0; i < nr_sizes; i++)
		ratio[i] = run_size(sizes[i]);
	peer_stop(peer);
	/* From here on a batch of jobs is faster than one send(2) of many messages. */
	while (i && ratio[i - 1] > 1)
		i--;
	if (!opt.smoke && i < nr_sizes)
		report_threshold("threshold-batch", "zcp-job", sizes[i]);
}

/* Measures the threshold, and stores it for this host. */
static int tune(void)
{
	char path[4096];
	int ret;

	if (jobs_missing())
		die("%s", jobs_missing());
	sizes = full_sizes;
	nr_sizes = ARRAY_SIZE(full_sizes);
	peer = peer_start(opt.remote ? PEER_REMOTE : PEER_LOOPBACK);
	find_threshold();
	peer_stop(peer);
	ret = zcp_msg_threshold_set(threshold, path, sizeof(path));
	if (ret)
		die_errno(ret, "%s", path);
	say("  stored in %s", path);
	return 0;
}

static const char message_usage[] = "usage: zcp-bench message --tune [--peer HOST[:PORT]]\n"
				    "       zcp-bench --suite message, to run the suite";

int message_main(int argc, char **argv)
{
	bool tuning = false, good = true;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--tune"))
			tuning = true;
		else if (!strcmp(argv[i], "--peer") && i + 1 < argc)
			opt.remote = argv[++i];
		else
			good = false;
	}
	if (tuning && good)
		return tune();
	say("%s", message_usage);
	return 2;
}

const struct suite suite_message = {
	"message",
	"messages of 64 B to 1 MiB from memory",
	run,
};
