// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of first fixed kernels, and the versions it is asked with.
 */
#include <errno.h>
#include <string.h>

#include "../zcpctl/cve.h"
#include "tap.h"

#define DEBIAN(v) "#1 SMP PREEMPT_DYNAMIC Debian " v " (2026-07-02)"
#define PLAIN "#1 SMP PREEMPT_DYNAMIC Thu Jul  2 15:50:42 UTC 2026"

static enum fix_state state(const char *cve, const char *release, const char *version)
{
	struct kernel k;

	if (kernel_parse(release, version, &k))
		return FIX_UNKNOWN;
	for (size_t i = 0; i < nr_fixes; i++) {
		const char *name = fix_cve(i) ? fix_cve(i) : fix_title(i);

		if (!strncmp(name, cve, strlen(cve)))
			return fix_check(i, &k);
	}
	return (enum fix_state)99;
}

/* How many of the fixes are in this state? */
static size_t count(enum fix_state want, const char *release, const char *version)
{
	struct kernel k;
	size_t same = 0;

	if (kernel_parse(release, version, &k))
		return 0;
	for (size_t i = 0; i < nr_fixes; i++)
		same += fix_check(i, &k) == want;
	return same;
}

static int all(enum fix_state want, const char *release, const char *version)
{
	return count(want, release, version) == nr_fixes;
}

/* All but that of skb_zerocopy(), which is not so far. */
static int all_but_last(enum fix_state want, const char *release, const char *version)
{
	return count(want, release, version) == nr_fixes - 1;
}

static void test_parse(void)
{
	struct kernel k;

	ok(!kernel_parse("6.1.0-56-amd64", DEBIAN("6.1.176-1"), &k) && k.major == 6 &&
		   k.minor == 1 && k.patch == 176 && k.revision == 1 && k.debian,
	   "Debian 12: the release is in uname -v");
	ok(!kernel_parse("6.12.95+deb12-amd64", DEBIAN("6.12.95-1~bpo12+1"), &k) && k.patch == 95 &&
		   k.revision == 1 && k.debian,
	   "a backport");
	ok(!kernel_parse("6.12.94", PLAIN, &k) && k.patch == 94 && !k.debian && !k.vendor,
	   "upstream");
	ok(!kernel_parse("6.8.0-45-generic", "#45-Ubuntu SMP", &k) && k.vendor && !k.debian,
	   "another vendor");
	ok(!kernel_parse("7.1-rc3", PLAIN, &k) && k.candidate && k.minor == 1,
	   "a release candidate");
	ok(!kernel_parse("6.12.1", DEBIAN("6.1.176-1"), &k) && !k.debian,
	   "a package of another line says nothing");
	ok(kernel_parse("next", PLAIN, &k) == -EINVAL, "no version at all");
}

static void test_debian(void)
{
	const char *abi = "6.1.0-50-amd64";

	ok(state("CVE-2026-31431", abi, DEBIAN("6.1.170-1")) == FIX_PRESENT &&
		   state("CVE-2026-31431", abi, DEBIAN("6.1.169-1")) == FIX_MISSING,
	   "6.1.170-1 has the first fix");
	ok(state("xfrm", abi, DEBIAN("6.1.170-2")) == FIX_PRESENT &&
		   state("xfrm", abi, DEBIAN("6.1.170-1")) == FIX_MISSING &&
		   state("rxrpc", abi, DEBIAN("6.1.170-1")) == FIX_MISSING,
	   "a fix that came with a revision of the package");
	ok(state("CVE-2026-46300", abi, DEBIAN("6.1.172-1")) == FIX_MISSING &&
		   state("CVE-2026-43503", abi, DEBIAN("6.1.174-1")) == FIX_PRESENT,
	   "6.1.174-1 keeps the mark of shared pages");
	ok(all_but_last(FIX_PRESENT, "6.1.0-56-amd64", DEBIAN("6.1.176-1")),
	   "6.1.176-1 has them all but one");
	ok(state("CVE-2026-46331", abi, DEBIAN("6.1.174-1")) == FIX_MISSING, "6.1.174-1 does not");
	ok(all_but_last(FIX_PRESENT, "6.12.95+deb12-amd64", DEBIAN("6.12.95-1~bpo12+1")),
	   "6.12.95-1~bpo12+1 has them all but one");
	ok(state("CVE-2026-46331", "6.12.90+deb13-amd64", DEBIAN("6.12.90-2")) == FIX_MISSING &&
		   state("CVE-2026-46300", "6.12.90+deb13-amd64", DEBIAN("6.12.90-1")) ==
			   FIX_PRESENT,
	   "6.12.90 has some");
	ok(all(FIX_MISSING, "6.12.74+deb13-amd64", DEBIAN("6.12.74-1")), "6.12.74-1 has none");
	ok(all_but_last(FIX_PRESENT, "7.2.12+deb13-amd64", DEBIAN("7.2.12-1~bpo13+1")),
	   "7.2.12 has them all but one");
}

static void test_zerocopy(void)
{
	const char *fix = "net: skbuff: propagate shared-frag marker in skb_zerocopy()";
	const char *abi = "6.1.0-56-amd64";
	char since[64];
	struct kernel k;

	ok(state(fix, "6.12.115+deb13-amd64", DEBIAN("6.12.115-1")) == FIX_PRESENT &&
		   state(fix, "6.12.113+deb13-amd64", DEBIAN("6.12.113-1")) == FIX_MISSING &&
		   all(FIX_PRESENT, "6.12.117+deb12-amd64", DEBIAN("6.12.117-1~deb12u1")),
	   "skb_zerocopy() is mended in 6.12.115-1, which has them all");
	ok(state(fix, "7.3.4+deb13-amd64", DEBIAN("7.3.4-1~bpo13+1")) == FIX_PRESENT &&
		   all(FIX_PRESENT, "7.3.4+deb13-amd64", DEBIAN("7.3.4-1~bpo13+1")),
	   "7.3.4-1~bpo13+1 has them all");
	ok(state(fix, abi, DEBIAN("6.1.192-2")) == FIX_NOWHERE &&
		   state(fix, abi, DEBIAN("6.1.176-1")) == FIX_NOWHERE &&
		   state(fix, "7.2.12+deb13-amd64", DEBIAN("7.2.12-1~bpo13+1")) == FIX_NOWHERE,
	   "no package of 6.1 and 7.2 has it");
	ok(state(fix, abi, DEBIAN("6.1.192-3")) == FIX_UNKNOWN &&
		   state(fix, abi, DEBIAN("6.1.200-1")) == FIX_UNKNOWN &&
		   state(fix, "7.2.13+deb13-amd64", DEBIAN("7.2.13-1")) == FIX_UNKNOWN,
	   "a package that was not looked at may");
	ok(state(fix, "7.3.4", PLAIN) == FIX_UNKNOWN && state(fix, "8.0", PLAIN) == FIX_UNKNOWN,
	   "upstream's release is not known");
	kernel_parse(abi, DEBIAN("6.1.176-1"), &k);
	fix_version(nr_fixes - 1, &k, since, sizeof(since));
	ok(!strcmp(since, "Debian 6.1.192-2"), "the last one that was looked at is named");
}

static void test_upstream(void)
{
	char since[64];
	struct kernel k;

	ok(state("CVE-2026-46300", "6.12.90", PLAIN) == FIX_MISSING &&
		   state("CVE-2026-46300", "6.12.91", PLAIN) == FIX_PRESENT,
	   "upstream's release is later than the package that had the fix");
	ok(state("CVE-2026-46300", "6.12.90-cloud", PLAIN) == FIX_UNKNOWN,
	   "an older release with a vendor's suffix may have the fix");
	ok(state("rxrpc", "6.1.190", PLAIN) == FIX_UNKNOWN, "what is not known is not said");
	ok(all(FIX_UNKNOWN, "6.18.44", PLAIN) &&
		   all(FIX_UNKNOWN, "5.10.0-40-amd64", DEBIAN("5.10.260-1")),
	   "a line that was not looked up");
	ok(all_but_last(FIX_PRESENT, "7.1.0", PLAIN) && all_but_last(FIX_PRESENT, "8.0", PLAIN) &&
		   all(FIX_UNKNOWN, "7.1-rc3", PLAIN) && all(FIX_UNKNOWN, "7.0.9", PLAIN),
	   "mainline from 7.1 on");
	kernel_parse("6.1.0-56-amd64", DEBIAN("6.1.176-1"), &k);
	fix_version(1, &k, since, sizeof(since));
	ok(!strcmp(since, "Debian 6.1.170-2"), "the package is named");
}

int main(void)
{
	test_parse();
	test_debian();
	test_zerocopy();
	test_upstream();
	return tap_end();
}
