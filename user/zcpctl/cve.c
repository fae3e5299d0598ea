// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which kernels have the fixes for the page-cache-write bugs of 2026.
 *
 * The names of the fixes, and the packages that have them first, are those of
 * the changelogs of Debian's linux packages (6.1.192-2, 6.12.117-1, 7.2.12-1 and
 * 7.3.4-1~bpo13+1). A fix is listed with a CVE number only where these
 * changelogs give one. The upstream releases are those of the changelogs where
 * the fix came with one, else of the kernel's own CVE records.
 *
 * Mainline has had six of them since 7.1, so later lines have them too. The last
 * one is a patch of Debian's own in the first packages that have it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cve.h"

/* A stable line in which fixes were looked up. */
enum line {
	LINE_6_1,
	LINE_6_12,
	LINE_7_2,
	LINE_7_3,
	NR_LINES,
};

static const struct {
	unsigned int major;
	unsigned int minor;
} lines[NR_LINES] = {
	[LINE_6_1] = { 6, 1 },
	[LINE_6_12] = { 6, 12 },
	[LINE_7_2] = { 7, 2 },
	[LINE_7_3] = { 7, 3 },
};

/**
 * struct first - The first version of a line that has a fix
 * @stable: The upstream stable release; 0: not known.
 * @package: Debian's package: its upstream part,
 * @revision: and its revision.
 * @none: There is no such package; these are the newest that was looked at.
 */
struct first {
	unsigned int stable;
	unsigned int package;
	unsigned int revision;
	bool none;
};

static const struct fix {
	const char *cve;
	const char *title;
	bool mainline; /* has it since MAINLINE_MAJOR.MAINLINE_MINOR */
	struct first first[NR_LINES];
} fixes[] = {
	{
		.cve = "CVE-2026-31431",
		.title = "crypto: algif_aead - Revert to operating out-of-place",
		.mainline = true,
		.first[LINE_6_1] = { 170, 170, 1 },
		.first[LINE_6_12] = { 85, 85, 1 },
	},
	{
		.title = "xfrm: esp: avoid in-place decrypt on shared skb frags",
		.mainline = true,
		.first[LINE_6_1] = { 172, 170, 2 },
		.first[LINE_6_12] = { 87, 86, 1 },
	},
	{
		.title = "rxrpc: Also unshare DATA/RESPONSE packets when paged frags are present",
		.mainline = true,
		.first[LINE_6_1] = { 0, 170, 2 },
		/* Upstream's is "Fix DATA decrypt vs splice() by copying data". */
		.first[LINE_6_12] = { 93, 86, 1 },
	},
	{
		.cve = "CVE-2026-46300",
		.title = "net: skbuff: preserve shared-frag marker during coalescing",
		.mainline = true,
		.first[LINE_6_1] = { 174, 174, 1 },
		.first[LINE_6_12] = { 91, 90, 1 },
	},
	{
		.cve = "CVE-2026-43503",
		.title = "net: skbuff: propagate shared-frag marker through frag-transfer helpers",
		.mainline = true,
		.first[LINE_6_1] = { 174, 174, 1 },
		.first[LINE_6_12] = { 91, 90, 1 },
	},
	{
		.cve = "CVE-2026-46331",
		.title = "net/sched: fix pedit partial COW leading to page cache corruption",
		.mainline = true,
		.first[LINE_6_1] = { 177, 176, 1 },
		.first[LINE_6_12] = { 94, 94, 1 },
	},
	{
		.title = "net: skbuff: propagate shared-frag marker in skb_zerocopy()",
		.first[LINE_6_1] = { 0, 192, 2, true },
		.first[LINE_6_12] = { 0, 115, 1 },
		.first[LINE_7_2] = { 0, 12, 1, true },
		.first[LINE_7_3] = { 0, 1, 1 },
	},
};

const size_t nr_fixes = sizeof(fixes) / sizeof(fixes[0]);

/* The first mainline release with those that say so. */
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

/* Is this the package, or a newer one? */
static bool has_package(const struct kernel *k, const struct first *first)
{
	if (k->patch != first->package)
		return k->patch > first->package;
	return k->revision >= first->revision;
}

enum fix_state fix_check(size_t fix, const struct kernel *k)
{
	const struct first *first = first_of(fix, k);

	if (fixes[fix].mainline && mainline_has(k))
		return FIX_PRESENT;
	if (!first)
		return FIX_UNKNOWN;
	if (k->debian && first->none) {
		bool newest = k->patch == first->package && k->revision == first->revision;

		return has_package(k, first) && !newest ? FIX_UNKNOWN : FIX_NOWHERE;
	}
	if (k->debian)
		return has_package(k, first) ? FIX_PRESENT : FIX_MISSING;
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
	if (fixes[fix].mainline && mainline_has(k))
		snprintf(buf, size, "%u.%u", MAINLINE_MAJOR, MAINLINE_MINOR);
	else if (first && k->debian)
		snprintf(buf, size, "Debian %u.%u.%u-%u", k->major, k->minor, first->package,
			 first->revision);
	else if (first && first->stable)
		snprintf(buf, size, "%u.%u.%u", k->major, k->minor, first->stable);
}
