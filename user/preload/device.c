// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The device: a context of which nothing but its transfers is used. It is opened
 * before main(), because a server may give up its rights later, and moved to a
 * descriptor out of the way of the program's own. Children inherit it by fork;
 * exec closes it, and what is executed opens its own.
 *
 * A program may close descriptors that it has not opened. So when the answer
 * is one that something else could give, it is looked at whether the descriptor
 * is still ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload.h"

#define DEVICE "/dev/zcp"
#define HIGH 1000 /* below the usual limit of 1024 */

enum {
	NOT_OPEN = -1,
	GIVEN_UP = -2
};

static atomic_int device = NOT_OPEN;
/* What fstat(2) says of it. All openings of the device are the same node. */
static _Atomic dev_t node_dev;
static _Atomic ino_t node_ino;

static bool is_ours(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_dev == node_dev && st.st_ino == node_ino;
}

static int open_high(void)
{
	int low = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int high;

	if (low < 0)
		return -1;
	high = fcntl(low, F_DUPFD_CLOEXEC, HIGH);
	if (high < 0)
		return low;
	close(low);
	return high;
}

/* Returns the descriptor, or -1. Threads may get here at the same time. */
static int device_open(void)
{
	int fd = atomic_load(&device);
	int expected = NOT_OPEN;
	struct stat st;

	if (fd != NOT_OPEN)
		return fd < 0 ? -1 : fd;
	fd = open_high();
	if (fd < 0) {
		/* No descriptor or memory now is no reason to never ask again. */
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
			atomic_compare_exchange_strong(&device, &expected, GIVEN_UP);
		return -1;
	}
	if (!fstat(fd, &st)) {
		node_dev = st.st_dev;
		node_ino = st.st_ino;
	}
	if (!atomic_compare_exchange_strong(&device, &expected, fd)) {
		close(fd);
		return expected < 0 ? -1 : expected;
	}
	return fd;
}

__attribute__((constructor)) static void device_begin(void)
{
	int saved = errno;

	device_open();
	errno = saved;
}

/**
 * device_xfer() - One transfer
 * @xfer: as for ZCP_IOC_XFER
 *
 * Return: 0 or -errno; -ENODEV when the device cannot be opened.
 */
int device_xfer(struct zcp_xfer *xfer)
{
	int error;
	int fd;

	for (;;) {
		fd = device_open();
		if (fd < 0)
			return -ENODEV;
		if (!ioctl(fd, ZCP_IOC_XFER, xfer))
			return 0;
		error = errno;
		if (error != EBADF && error != ENOTTY && error != EINVAL)
			return -error;
		if (is_ours(fd))
			return -error;
		/* Not closed: it is somebody else's by now, or nobody's. */
		atomic_compare_exchange_strong(&device, &fd, NOT_OPEN);
	}
}
