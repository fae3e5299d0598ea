/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the ways to send share.
 */
#ifndef ZCP_BENCH_METHOD_H
#define ZCP_BENCH_METHOD_H

#include "bench.h"

extern const struct method method_read_send_64k, method_read_send_1m, method_mmap_send,
	method_msg_zerocopy, method_sendfile, method_splice, method_uring_splice,
	method_uring_send_zc, method_zcp_xfer, method_zcp_job, method_ceiling;

/* For files that are not cached: sendfile, told what will be needed. In no list. */
extern const struct method method_sendfile_ahead;

/*
 * What it asks for, of [@off, @end) of a file whose bytes up to @asked were asked for before.
 * Returns up to where they are now.
 */
uint64_t ask_ahead(const struct file *f, uint64_t asked, uint64_t off, uint64_t end);
/* Bytes of which then are sent. */
#define AHEAD_PIECE (1 << 20)

/* For what every kernel has. */
const char *never_missing(void);

/* Memory that is clear, or the end of the program. */
void *allocate(size_t size);
/* Buffers for I/O: whole pages. */
void *allocate_pages(size_t size);

/* Sends all of it on a blocking socket. */
void send_all(int sock, const void *data, size_t len, int flags);

/* A part of a file in memory, with its pages mapped. */
struct window {
	void *map;
	size_t map_len;
	const char *data;
	size_t len;
};

/* At @off, and not longer than @len nor than a window should be. */
void window_map(struct window *w, const struct file *f, uint64_t off, uint64_t len);
void window_unmap(struct window *w);

#endif /* ZCP_BENCH_METHOD_H */
