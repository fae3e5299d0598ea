/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streams: the parts of a file that goes over several connections, and the
 * header that each of them begins with.
 *
 * The header has 64 bytes; its numbers are little endian:
 *
 *    0  8  magic, "zcpstrm1"
 *    8 16  id of the transfer, random
 *   24  4  number of streams, 1 to 64
 *   28  4  index of this one, from 0
 *   32  8  bytes of the whole transfer, at most 2^63 - 1
 *   40  8  where this part begins in it
 *   48  8  bytes of this part, 0 and more
 *   56  8  0
 *
 * The bytes of the part follow, and then the end of the connection. The parts
 * of a transfer leave nothing out and do not overlap. The sender ends none of
 * its connections before all parts have gone out, so that a receiver that sees
 * them end knows that none of them failed.
 */
#ifndef ZCPCTL_STREAM_H
#define ZCPCTL_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#define STREAM_MAX 64
#define STREAM_HEADER 64
#define STREAM_ID 16

/**
 * struct stream - One part of a transfer, as its header has it
 * @id: The same for all parts.
 * @streams: Their number.
 * @index: Which one this is, from 0.
 * @total: Bytes of the whole transfer.
 * @offset: Where this part begins in it.
 * @length: Bytes of this part.
 */
struct stream {
	unsigned char id[STREAM_ID];
	uint32_t streams;
	uint32_t index;
	uint64_t total;
	uint64_t offset;
	uint64_t length;
};

/*
 * Cut @total bytes of a file, which begin at its offset @from, into parts of
 * nearly the same length. They begin where pages of the file do, so that no
 * page is sent by two. Sets all members but @id.
 */
void stream_split(struct stream *parts, uint32_t streams, uint64_t from, uint64_t total);

void stream_pack(const struct stream *s, unsigned char header[STREAM_HEADER]);

/* The header of a stream; false when it is none, or its numbers cannot be. */
bool stream_unpack(struct stream *s, const unsigned char header[STREAM_HEADER]);

#endif /* ZCPCTL_STREAM_H */
