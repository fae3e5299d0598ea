/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs of a suite that needs more of zcp than the method zcp-job: a context of
 * its own, batches, and every event looked at.
 */
#ifndef ZCP_BENCH_JOBS_H
#define ZCP_BENCH_JOBS_H

#include <zcp/zcp.h>

#include "bench.h"

struct jobs {
	struct zcp_ctx *ctx;
	unsigned int batch;   /* jobs of one submission at most */
	uint64_t open;	      /* jobs whose event has not been read */
	uint64_t bytes_asked; /* by all jobs */
	uint64_t bytes_acked; /* by the word of all events */
};

/* Why there can be no jobs here, or NULL. */
const char *jobs_missing(void);
void jobs_open(struct jobs *j);
/* All that was asked for must have been acknowledged. */
void jobs_close(struct jobs *j);

/* The link's id. */
uint32_t jobs_link(struct jobs *j, int sock);
void jobs_unlink(struct jobs *j, uint32_t link);

/* A job that ends when it is acknowledged. */
void jobs_prepare(struct zcp_job *job, uint32_t link, const struct zcp_segment *segments,
		  unsigned int nr_segments, uint64_t user_data);
/* All of them, with as few calls as the limits allow. */
void jobs_submit(struct jobs *j, struct zcp_job *job, unsigned int nr);

typedef void job_done_fn(const struct zcp_event *event, void *arg);

/*
 * Reads events, for which it waits until @timeout_ms is over, and gives those
 * to @done, which may be NULL. Returns how many. A job that is not done ends
 * the program.
 */
unsigned int jobs_read(struct jobs *j, int timeout_ms, job_done_fn *done, void *arg);
/* Reads them until at most @left jobs are open. */
void jobs_wait(struct jobs *j, uint64_t left, job_done_fn *done, void *arg);

/* Sends [@off, @off + @len) of a file by ZCP_IOC_XFER. */
void jobs_transfer(struct zcp_ctx *ctx, int sock, int fd, uint64_t off, uint64_t len);
/*
 * The first @len bytes of a file behind a header, in one call. @more: something else follows
 * on this connection, and may share a packet.
 */
void jobs_transfer_with(struct zcp_ctx *ctx, int sock, const void *header, uint32_t header_len,
			int fd, uint64_t len, bool more);

#endif /* ZCP_BENCH_JOBS_H */
