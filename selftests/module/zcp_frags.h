/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module zcp_frags tells a test about the packets of a socket, and of
 * a network namespace.
 */
#ifndef ZCP_FRAGS_H
#define ZCP_FRAGS_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ZFRAGS_DEV	"/dev/zcp_frags"

enum zfrags_queue {
	ZFRAGS_SEND,	/* of the socket: written, and not acknowledged */
	ZFRAGS_RECEIVE,	/* of the socket: not read */
	ZFRAGS_WIRE,	/* what devices of the namespace sent since open(2) */
};

/**
 * struct zfrags - A look at packets
 * @fd: The socket; not looked at for ZFRAGS_WIRE.
 * @queue: enum zfrags_queue.
 * @skbs: Packets.
 * @with_file: Of these, with a fragment that is a page of a file.
 * @bare: Of these, not marked as shared: others may write to the page.
 * @frags: Fragments that are pages of files.
 */
struct zfrags {
	__s32 fd;
	__u32 queue;
	__u64 skbs;
	__u64 with_file;
	__u64 bare;
	__u64 frags;
};

#define ZFRAGS_LOOK	_IOWR('F', 1, struct zfrags)

#endif /* ZCP_FRAGS_H */
