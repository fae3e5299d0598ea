// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files whose bytes are known from their offset. They have no name: runs that go on at the
 * same time do not meet, and nothing is left of one that is killed.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK_WORDS (1 << 17)

/* The eight bytes at offset @i * 8: no two pages are alike. */
static inline uint64_t word(uint64_t i)
{
	uint64_t x = i * 0x9e3779b97f4a7c15;

	return x ^ x >> 29;
}

uint8_t file_byte(uint64_t offset)
{
	return word(offset / 8) >> offset % 8 * 8;
}

void file_fill(void *buf, uint64_t offset, size_t len)
{
	uint8_t *p = buf;
	uint64_t w;

	while (len && offset % 8) {
		*p++ = file_byte(offset++);
		len--;
	}
	for (; len >= 8; len -= 8, p += 8, offset += 8) {
		w = htole64(word(offset / 8));
		memcpy(p, &w, 8);
	}
	while (len--)
		*p++ = file_byte(offset++);
}

static void fill(int fd, const char *name, uint64_t size)
{
	size_t block = BLOCK_WORDS * 8;
	uint8_t *buf = malloc(block);
	ssize_t n;

	if (!buf)
		die("no memory");
	for (uint64_t at = 0; at < size; at += n) {
		n = size - at < block ? size - at : block;
		file_fill(buf, at, n);
		n = write(fd, buf, n);
		if (n <= 0)
			die_errno(n ? errno : EIO, "%s: writing", name);
	}
	free(buf);
}

/* As a server opens what it sends. */
static int read_only(int fd)
{
	char path[64];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (ro < 0)
		die_errno(errno, "%s", path);
	return ro;
}

void file_make(struct file *f, const char *dir, const char *name, uint64_t size)
{
	int fd;

	if (snprintf(f->path, sizeof(f->path), "%s/%s", dir, name) >= (int)sizeof(f->path))
		die("%s: the name is too long", dir);
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		die_errno(errno, "a file without a name in %s", dir);
	fill(fd, f->path, size);
	f->fd = read_only(fd);
	close(fd);
	f->size = size;
}

void file_remove(struct file *f)
{
	close(f->fd);
	f->fd = -1;
}
