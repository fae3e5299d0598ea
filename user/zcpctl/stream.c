// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams: the parts of a file, and the header of each.
 */
#include <string.h>

#include "stream.h"

#define PAGE_BYTES 4096
#define MAGIC_BYTES 8

static const char magic[] = "zcpstrm1";

/* Where part @index begins: a page of the file, or the end of the range. */
static uint64_t begin_of(uint32_t index, uint32_t streams, uint64_t from, uint64_t total)
{
	uint64_t at = total / streams * index + total % streams * index / streams;

	if (!index)
		return 0;
	if (index == streams)
		return total;
	at = (from + at) / PAGE_BYTES * PAGE_BYTES;
	return at > from ? at - from : 0;
}

void stream_split(struct stream *parts, uint32_t streams, uint64_t from, uint64_t total)
{
	for (uint32_t i = 0; i < streams; i++) {
		struct stream *s = &parts[i];

		s->streams = streams;
		s->index = i;
		s->total = total;
		s->offset = begin_of(i, streams, from, total);
		s->length = begin_of(i + 1, streams, from, total) - s->offset;
	}
}

static unsigned char *put(unsigned char *to, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*to++ = value >> 8 * i;
	return to;
}

static uint64_t get(const unsigned char *from, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t)from[i] << 8 * i;
	return value;
}

void stream_pack(const struct stream *s, unsigned char header[STREAM_HEADER])
{
	unsigned char *to = header;

	memcpy(to, magic, MAGIC_BYTES);
	memcpy(to + MAGIC_BYTES, s->id, STREAM_ID);
	to = put(to + MAGIC_BYTES + STREAM_ID, s->streams, 4);
	to = put(to, s->index, 4);
	to = put(to, s->total, 8);
	to = put(to, s->offset, 8);
	to = put(to, s->length, 8);
	put(to, 0, 8);
}

bool stream_unpack(struct stream *s, const unsigned char header[STREAM_HEADER])
{
	memcpy(s->id, header + MAGIC_BYTES, STREAM_ID);
	s->streams = get(header + 24, 4);
	s->index = get(header + 28, 4);
	s->total = get(header + 32, 8);
	s->offset = get(header + 40, 8);
	s->length = get(header + 48, 8);
	return !memcmp(header, magic, MAGIC_BYTES) && s->streams && s->streams <= STREAM_MAX &&
	       s->index < s->streams && s->total <= INT64_MAX && s->offset <= s->total &&
	       s->length <= s->total - s->offset && !get(header + 56, 8);
}
