/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What came of a transfer that zcpctl recv has received.
 */
#ifndef ZCPCTL_RECV_H
#define ZCPCTL_RECV_H

#include <stdint.h>

#include "net.h"
#include "sha256.h"

/**
 * struct reception - A transfer that was received
 * @peer: Where it came from.
 * @streams: Streams that were joined; 0 for a connection taken as it is.
 * @bytes: Bytes received.
 * @ns: From the first connection to the end of the last.
 * @digest: SHA-256 in hexadecimal, empty when there is none.
 * @error: Errno, or 0.
 * @problem: What went wrong.
 */
struct reception {
	char peer[NET_NAME_MAX];
	uint32_t streams;
	uint64_t bytes;
	uint64_t ns;
	char digest[SHA256_HEX];
	int error;
	char problem[256];
};

#endif /* ZCPCTL_RECV_H */
