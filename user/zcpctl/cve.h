/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which kernels have the fixes for bugs that write to page-cache pages that
 * are being sent, or handed to another subsystem by splice.
 */
#ifndef ZCPCTL_CVE_H
#define ZCPCTL_CVE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct kernel - The version of a kernel
 * @major: 6 of 6.12.94.
 * @minor: 12 of it.
 * @patch: 94 of it: the stable release.
 * @debian: The package is Debian's, and its version was found.
 * @revision: 2 of Debian's 6.1.170-2.
 * @vendor: The release has a suffix, so its maker may have added fixes that
 *	the numbers do not show.
 * @candidate: A release candidate.
 */
struct kernel {
	unsigned int major;
	unsigned int minor;
	unsigned int patch;
	bool debian;
	unsigned int revision;
	bool vendor;
	bool candidate;
};

enum fix_state {
	FIX_PRESENT,
	FIX_MISSING,
	FIX_UNKNOWN,
	FIX_NOWHERE, /* no package of this line has it, up to fix_version() */
};

/* Fixes, numbered from 0. */
extern const size_t nr_fixes;

/* From uname -r and uname -v. Returns 0 or -EINVAL. */
int kernel_parse(const char *release, const char *version, struct kernel *kernel);

enum fix_state fix_check(size_t fix, const struct kernel *kernel);

/* The CVE it belongs to, or NULL; what it is, as the kernel's log says. */
const char *fix_cve(size_t fix);
const char *fix_title(size_t fix);

/*
 * The first version of this kernel's line that has it, or for FIX_NOWHERE the last
 * one that is known not to; may be empty.
 */
void fix_version(size_t fix, const struct kernel *kernel, char *buf, size_t size);

#endif /* ZCPCTL_CVE_H */
