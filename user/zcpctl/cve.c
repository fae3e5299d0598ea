// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which kernels have the fixes for the page-cache-write bugs of 2026.
 *
 * The names of the fixes, and the packages that have them first, are those of
 * the changelogs of Debian's linux packages (6.1.192-2, 6.12.117-1 and
 * 7.3.4-1~bpo13+1). A fix is listed with a CVE number only where these
 * changelogs give one. The upstream releases are those of the changelogs where
 * the fix came with one, else of the kernel's own CVE records.
 *
 * Mainline has had all of them since 7.1, so later lines have them too.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cve.h"

/* A stable line in which fixes were looked up. */
enum line {
	LINE_6_1,
	LINE_6_12,
	NR_LINES,
};

static const struct {
	unsigned int major;
	unsigned int minor;
} lines[NR_LINES] = {
	[LINE_6_1] = { 6, 1 },
	[LINE_6_12] = { 6, 12 },
};

/**
 * struct first - The first version of a line that has a fix
 * @stable: The upstream stable release; 0: not known.
 * @package: Debian's package: its upstream part,
 * @revision: and its revision.
 */
struct first {
	unsigned int stable;
	unsigned int package;
	unsigned int revision;
};

static const struct fix {
	const char *cve;
	const char *title;
	struct first first[NR_LINES];
} fixes[] = {
	{
		.cve = "CVE-2026-31431",
		.title = "crypto: algif_aead - Revert to operating out-of-place",
		.first[LINE_6_1] = { 170, 170, 1 },
		.first[LINE_6_12] = { 85, 85, 1 },
	},
	{
		.title = "xfrm: esp: avoid in-place decrypt on shared skb frags",
		.first[LINE_6_1] = { 172, 170, 2 },
		.first[LINE_6_12] = { 87, 86, 1 },
	},
	{
		.title = "rxrpc: Also unshare DATA/RESPONSE packets when paged frags are present",
		.first[LINE_6_1] = { 0, 170, 2 },
		/* Upstream's is "Fix DATA decrypt vs splice() by copying data". */
		.first[LINE_6_12] = { 93, 86, 1 },
	},
	{
		.cve = "CVE-2026-46300",
		.title = "net: skbuff: preserve shared-frag marker during coalescing",
		.first[LINE_6_1] = { 174, 174, 1 },
		.first[LINE_6_12] = { 91, 90, 1 },
	},
	{
		.cve = "CVE-2026-43503",
		.title = "net: skbuff: propagate shared-frag marker through frag-transfer helpers",
		.first[LINE_6_1] = { 174, 174, 1 },
		.first[LINE_6_12] = { 91, 90, 1 },
	},
	{
		.cve = "CVE-2026-46331",
		.title = "net/sched: fix pedit partial COW leading to page cache corruption",
		.first[LINE_6_1] = { 177, 176, 1 },
		.first[LINE_6_12] = { 94, 94, 1 },
	},
};

const size_t nr_fixes = sizeof(fixes) / sizeof(fixes[0]);

/* The first mainline release with all of them. */
#define MAINLINE_MAJOR 7
#define MAINLINE_MINOR 1

int kernel_parse(const char *release, const char *version, struct kernel *kernel)
{
	const char *debian = strstr(version, "Debian ");
	unsigned int major, minor, patch, revision;
	int end = 0;

	memset(kernel, 0, sizeof(*kernel));
	if (sscanf(release, "%u.%u%n", &kernel->major, &kernel->minor, &end) < 2)
		return -EINVAL;
	release += end;
	end = 0;
	if (sscanf(release, ".%u%n", &kernel->patch, &end) == 1)
		release += end;
	kernel->vendor = *release;
	kernel->candidate = !strncmp(release, "-rc", 3) || !strncmp(release, "~rc", 3);

	/* Debian's uname -r may name the ABI (6.1.0-56) and not the release. */
	if (debian &&
	    sscanf(debian, "Debian %u.%u.%u-%u", &major, &minor, &patch, &revision) == 4 &&
	    major == kernel->major && minor == kernel->minor) {
		kernel->patch = patch;
		kernel->revision = revision;
		kernel->debian = true;
	}
	return 0;
}

static const struct first *first_of(size_t fix, const struct kernel *k)
{
	for (size_t i = 0; i < NR_LINES; i++)
		if (lines[i].major == k->major && lines[i].minor == k->minor)
			return &fixes[fix].first[i];
	return NULL;
}

static bool mainline_has(const struct kernel *k)
{
	if (k->major == MAINLINE_MAJOR && k->minor == MAINLINE_MINOR)
		return !k->candidate;
	return k->major > MAINLINE_MAJOR ||
	       (k->major == MAINLINE_MAJOR && k->minor > MAINLINE_MINOR);
}

enum fix_state fix_check(size_t fix, const struct kernel *k)
{
	const struct first *first = first_of(fix, k);

	if (mainline_has(k))
		return FIX_PRESENT;
	if (!first)
		return FIX_UNKNOWN;
	if (k->debian) {
		if (k->patch != first->package)
			return k->patch > first->package ? FIX_PRESENT : FIX_MISSING;
		return k->revision >= first->revision ? FIX_PRESENT : FIX_MISSING;
	}
	if (!first->stable)
		return FIX_UNKNOWN;
	if (k->patch >= first->stable)
		return FIX_PRESENT;
	/* Whoever put the suffix there may have put the fix there too. */
	return k->vendor ? FIX_UNKNOWN : FIX_MISSING;
}

const char *fix_cve(size_t fix)
{
	return fixes[fix].cve;
}

const char *fix_title(size_t fix)
{
	return fixes[fix].title;
}

void fix_version(size_t fix, const struct kernel *k, char *buf, size_t size)
{
	const struct first *first = first_of(fix, k);

	buf[0] = '\0';
	if (mainline_has(k))
		snprintf(buf, size, "%u.%u", MAINLINE_MAJOR, MAINLINE_MINOR);
	else if (first && k->debian)
		snprintf(buf, size, "Debian %u.%u.%u-%u", k->major, k->minor, first->package,
			 first->revision);
	else if (first && first->stable)
		snprintf(buf, size, "%u.%u.%u", k->major, k->minor, first->stable);
}
