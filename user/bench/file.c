// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files whose bytes are known from their offset.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK_WORDS (1 << 17)

#define MAX_FILES 64

/* What is to be removed when the program ends early. */
static char paths[MAX_FILES][sizeof(((struct file *)0)->path)];
static pid_t owner;

static void remove_all(void)
{
	/* Not by the receiver. */
	if (getpid() != owner)
		return;
	for (int i = 0; i < MAX_FILES; i++)
		if (paths[i][0])
			unlink(paths[i]);
}

static void stop(int sig)
{
	remove_all();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void remember(const char *path)
{
	if (!owner) {
		owner = getpid();
		atexit(remove_all);
		signal(SIGINT, stop);
		signal(SIGTERM, stop);
		signal(SIGHUP, stop);
	}
	for (int i = 0; i < MAX_FILES; i++) {
		if (!paths[i][0]) {
			strcpy(paths[i], path);
			return;
		}
	}
}

static void forget(const char *path)
{
	for (int i = 0; i < MAX_FILES; i++)
		if (!strcmp(paths[i], path))
			paths[i][0] = '\0';
}

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

void file_make(struct file *f, const char *dir, const char *name, uint64_t size)
{
	size_t block = BLOCK_WORDS * 8;
	uint8_t *buf = malloc(block);
	ssize_t n;
	int fd;

	if (!buf)
		die("no memory");
	if (snprintf(f->path, sizeof(f->path), "%s/%s", dir, name) >= (int)sizeof(f->path))
		die("%s: the name is too long", dir);
	remember(f->path);
	fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		die_errno(errno, "%s", f->path);
	for (uint64_t at = 0; at < size; at += n) {
		n = size - at < block ? size - at : block;
		file_fill(buf, at, n);
		n = write(fd, buf, n);
		if (n <= 0)
			die_errno(n ? errno : EIO, "%s: writing", f->path);
	}
	close(fd);
	free(buf);
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0)
		die_errno(errno, "%s", f->path);
	f->size = size;
}

void file_remove(struct file *f)
{
	close(f->fd);
	unlink(f->path);
	forget(f->path);
	f->fd = -1;
}
