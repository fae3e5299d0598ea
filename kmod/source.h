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
 * @ra: readahead state; NULL when this caller may not wait for the disk
 */
struct zread {
	struct file *file;
	loff_t pos;
	size_t len;
	struct file_ra_state *ra;
};

int zsource_check(struct file *file);
bool zsource_is_cached(struct file *file);
size_t zsource_lookup(const struct zread *rd, struct zbatch *batch);
void zsource_prime(struct file *file);
void zbatch_release(struct zbatch *batch);
ssize_t zsource_splice(const struct zread *rd, struct zpush *push, bool more,
		       bool *send_failed);

#endif /* ZCP_SOURCE_H */
