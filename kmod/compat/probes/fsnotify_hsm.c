// SPDX-License-Identifier: GPL-2.0-only
/* FMODE_FSNOTIFY_HSM(): pre-content events, 6.14, and stable backports. */
#include <linux/fs.h>

bool probe(const struct file *file);

bool probe(const struct file *file)
{
	return FMODE_FSNOTIFY_HSM(file->f_mode);
}
