/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A test program's side of the Test Anything Protocol.
 */
#ifndef ZCP_TEST_TAP_H
#define ZCP_TEST_TAP_H

#include <stdio.h>

/* Of all files of the program. */
__attribute__((weak)) int tap_count;
__attribute__((weak)) int tap_failed;

#define ok(cond, ...) tap_ok(!!(cond), #cond, __FILE__, __LINE__, __VA_ARGS__)

static inline int tap_ok(int good, const char *cond, const char *file, int line, const char *name)
{
	tap_count++;
	printf("%sok %d - %s\n", good ? "" : "not ", tap_count, name);
	if (!good) {
		tap_failed++;
		printf("# %s:%d: %s\n", file, line, cond);
	}
	fflush(stdout);
	return good;
}

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif /* ZCP_TEST_TAP_H */
