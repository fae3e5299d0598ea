/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system on opt.disk, for files that are not, or not wholly, in the
 * page cache.
 */
#ifndef ZCP_BENCH_DISK_H
#define ZCP_BENCH_DISK_H

#include "bench.h"

/*
 * Mounts it, with @delay_ms more for each read; makes it when the disk has
 * none of ours. False when that cannot be done here, and says why.
 */
bool disk_open(unsigned int delay_ms);
void disk_close(void);
/* Bytes that file @name can have. */
uint64_t disk_room(const char *name);

/*
 * A file on it that has file_byte(@first) first. It is kept for other runs,
 * and made only if there is none of this size.
 */
void disk_file(struct file *f, const char *name, uint64_t size, uint64_t first);
void disk_file_close(struct file *f);

/* Takes all of these out of the page cache. */
void disk_drop(const struct file *f, int nr);
/* The share of a file that is in the page cache. */
double disk_resident(const struct file *f);
/* Reads all of it. */
void disk_read(const struct file *f);

#endif /* ZCP_BENCH_DISK_H */
