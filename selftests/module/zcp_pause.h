/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module zcp_pause does for a test: it holds up who calls a function of
 * the kernel, so that an order of steps which else is rare comes for sure. One
 * function for each open descriptor.
 */
#ifndef ZCP_PAUSE_H
#define ZCP_PAUSE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ZPAUSE_DEV	"/dev/zcp_pause"

#define ZPAUSE_WORKER	(1 << 0)	/* only workers */

/**
 * struct zpause - Where to pause
 * @symbol: The function.
 * @caller: Something in the name of where it is called from, which is
 *	"function+offset/length [module]"; empty for anything.
 * @flags: ZPAUSE_*.
 * @max_ms: Go on by itself after that time: nothing else runs on that CPU.
 */
struct zpause {
	char symbol[64];
	char caller[64];
	__u32 flags;
	__u32 max_ms;
};

/* EOPNOTSUPP on a kernel without kprobes. */
#define ZPAUSE_AT	_IOW('P', 1, struct zpause)
/* The next one pauses, after so many. */
#define ZPAUSE_ARM	_IOW('P', 2, __u32)
/* Wait until somebody pauses, for so many ms; ETIMEDOUT. */
#define ZPAUSE_WAIT	_IOW('P', 3, __u32)
/* Let him go on. ETIMEDOUT when he did so by himself. */
#define ZPAUSE_GO	_IO('P', 4)

#endif /* ZCP_PAUSE_H */
