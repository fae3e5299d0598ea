/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A producer of messages on one connection, as suite message needs it.
 */
#ifndef ZCP_BENCH_MESSAGE_H
#define ZCP_BENCH_MESSAGE_H

#include <zcp/pool.h>

#include "bench.h"
#include "jobs.h"

enum message_way {
	MESSAGE_SEND,	    /* from one buffer, by send(2) */
	MESSAGE_SEND_BATCH, /* one behind the other in a buffer, many by one send(2) */
	MESSAGE_XFER,
	MESSAGE_JOB,
	MESSAGE_AUTO,	     /* by zcp_send_msg(), one by one */
	MESSAGE_AUTO_MORE,   /* the same, as many as it likes to gather */
	MESSAGE_AUTO_LINGER, /* one by one, of which each may wait for LINGER_US */
};

/* Buffers that are used in turn: memory that is a file as well. */
struct ring {
	int fd;
	uint8_t *memory;
	size_t distance; /* from one buffer to the next */
	unsigned int nr;
};

struct producer {
	enum message_way way;
	size_t len;
	uint64_t count;	     /* messages of a run, a multiple of what it was opened with */
	uint64_t per_answer; /* messages that the receiver confirms with one answer */
	uint64_t confirmed;  /* answers of this sample */
	uint64_t serial;     /* of the next message, over all samples */
	int sock;
	struct ring ring;
	struct jobs jobs;
	uint32_t link;
	unsigned int batch; /* jobs of one submission */
	struct zcp_job *job;
	struct zcp_segment *segment;
	struct zcp_pool *pool;
	struct zcp_msg *msg;
	struct zcp_msg_link *msg_link;
	struct samples throughput, messages, cpu;
	double cpu_seconds; /* of all rounds */
};

/* What @count must be a multiple of. */
unsigned int producer_granularity(size_t len);
/* @threshold: from which size on zcp_send_msg() sends by reference. */
void producer_open(struct producer *p, enum message_way way, size_t len, uint64_t count,
		   uint64_t threshold, struct peer *peer);
void producer_close(struct producer *p);
/* Sends @count messages; returns when all are confirmed and all events are read. */
void producer_run(struct producer *p);

/* zcp-bench message [--tune]; the exit status. */
int message_main(int argc, char **argv);

#endif /* ZCP_BENCH_MESSAGE_H */
