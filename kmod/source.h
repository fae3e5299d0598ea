/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_SOURCE_H
#define ZCP_SOURCE_H

#include <linux/fs.h>

#include "transmit.h"

/**
 * struct zread - A reading position in a file
 * @file: the file
 * @pos: the offset
 * @len: bytes wanted from there
 * @left: bytes that will be wanted from there, those of @len among them
 * @ra: readahead state; NULL when this caller may not wait for the disk, or
 *	reads ahead by itself
 * @nocache: the pages shall not be marked as used
 */
struct zread {
	struct file *file;
	loff_t pos;
	size_t len;
	u64 left;
	struct file_ra_state *ra;
	bool nocache;
};

extern atomic_t zsource_readers;

int zsource_check(struct file *file);
bool zsource_is_cached(struct file *file);
pgoff_t zsource_window(const struct file *file);
void zsource_ra_init(struct file_ra_state *ra, struct file *file);
size_t zsource_lookup(const struct zread *rd, struct zbatch *batch);
bool zsource_wait(const struct zread *rd);
size_t zsource_read(const struct zread *rd, struct zbatch *batch);
void zsource_prime(struct file *file);
void zbatch_release(struct zbatch *batch, bool used);
ssize_t zsource_splice(const struct zread *rd, struct zpush *push, bool more,
		       bool *send_failed);

#endif /* ZCP_SOURCE_H */
