/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What zcpctl send is asked for, and what came of it.
 */
#ifndef ZCPCTL_SEND_H
#define ZCPCTL_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include <zcp/zcp.h>

#include "net.h"
#include "progress.h"
#include "stream.h"

/* Bytes of --header or --trailer. */
struct extra {
	char *data;
	size_t len;
};

/**
 * struct request - The command line
 * @file: The file.
 * @target: HOST:PORT as given, and as @address.
 * @address: Where to connect to.
 * @offset: Where to start in the file.
 * @length: How many bytes, or %ZCP_TO_EOF.
 * @mode: enum zcp_mode.
 * @complete: enum zcp_complete.
 * @flags: ZCP_JOB_*.
 * @streams: Number of connections.
 * @rate: Bytes per second, of all streams together; 0 for no limit.
 * @header_arg: --header, NULL for none.
 * @trailer_arg: --trailer.
 * @header: What they stand for.
 * @trailer: What they stand for.
 * @json: JSON, else text.
 * @quiet: Only errors.
 * @progress: How progress is shown.
 */
struct request {
	const char *file;
	const char *target;
	struct net_address address;
	uint64_t offset;
	uint64_t length;
	uint32_t mode;
	uint32_t complete;
	uint32_t flags;
	uint32_t streams;
	uint64_t rate;
	const char *header_arg;
	const char *trailer_arg;
	struct extra header;
	struct extra trailer;
	bool json;
	bool quiet;
	struct progress progress;
};

/**
 * struct part - One of several streams, and what came of it
 * @stream: Its part of the file.
 * @header: What it begins with.
 * @sock: Its connection, or -1.
 * @link: The link, and its path.
 * @status: Where its job is; a @job of 0: there is none. The bytes are those
 *	of the file, without the header's.
 * @running: Its job has not ended.
 */
struct part {
	struct stream stream;
	unsigned char header[STREAM_HEADER];
	int sock;
	struct zcp_link link;
	struct zcp_status status;
	bool running;
};

/**
 * struct outcome - What came of it
 * @result: Of the whole transfer.
 * @peer: The address that was connected to.
 * @problem: What went wrong; empty when nothing did.
 * @parts: The streams, when there are several.
 * @failed: The one that failed first, NULL for none.
 */
struct outcome {
	struct zcp_result result;
	char peer[NET_NAME_MAX];
	char problem[384];
	struct part *parts;
	struct part *failed;
};

/* Says what went wrong; returns -error. */
__attribute__((format(printf, 3, 4))) int problem(struct outcome *o, int error, const char *format,
						  ...);

/* The same when there is no connection, and @text says why. */
int send_unconnected(struct outcome *o, int error, const char *text);

/*
 * Closes a connection whose job is done, when its bytes are safe: 0, or -errno with
 * @o->problem, and it is reset.
 */
int send_end(const struct request *r, int sock, struct outcome *o);

#endif /* ZCPCTL_SEND_H */
