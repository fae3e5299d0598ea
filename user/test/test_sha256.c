// SPDX-License-Identifier: GPL-2.0-only
/*
 * SHA-256 against the examples of FIPS 180-4 and of its predecessors.
 */
#include <string.h>

#include "../zcpctl/sha256.h"
#include "tap.h"

static void check(const char *name, const char *text, size_t repeat, const char *want)
{
	char hex[SHA256_HEX];
	struct sha256 s;

	sha256_init(&s);
	while (repeat--)
		sha256_update(&s, text, strlen(text));
	sha256_hex(&s, hex);
	ok(!strcmp(hex, want), name);
}

/* The digest must not depend on how the bytes are cut. */
static void check_cuts(void)
{
	unsigned char data[300];
	char whole[SHA256_HEX], parts[SHA256_HEX];
	struct sha256 s;
	int differ = 0;

	memset(data, 0xa5, sizeof(data));
	for (size_t len = 0; len <= sizeof(data); len++) {
		sha256_init(&s);
		sha256_update(&s, data, len);
		sha256_hex(&s, whole);
		sha256_init(&s);
		for (size_t at = 0, n = 1; at < len; at += n, n = n * 3 % 71 + 1) {
			if (n > len - at)
				n = len - at;
			sha256_update(&s, data + at, n);
		}
		sha256_hex(&s, parts);
		differ += !!strcmp(whole, parts);
	}
	ok(!differ, "every length to 300, in pieces");
}

int main(void)
{
	check("nothing", "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check("one block", "abc", 1,
	      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check("two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	check("a million bytes", "a", 1000000,
	      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	check_cuts();
	return tap_end();
}
