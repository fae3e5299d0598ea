/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SHA-256 (FIPS 180-4).
 */
#ifndef ZCPCTL_SHA256_H
#define ZCPCTL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_HEX 65 /* digits and NUL */

struct sha256 {
	uint32_t h[8];
	uint64_t len;
	unsigned char block[SHA256_BLOCK];
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_hex(struct sha256 *s, char hex[SHA256_HEX]);

#endif /* ZCPCTL_SHA256_H */
