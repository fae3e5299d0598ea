// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * sendfile(2) by zcp. What zcp sends is answered here; whatever it does not
 * take, and each question of form, is the system call's to answer: wrong
 * arguments, the end of the file, and SIGPIPE.
 */
/* sendfile() and sendfile64() are both defined here. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

typedef ssize_t (*sendfile_fn)(int out_fd, int in_fd, off64_t *offset, size_t count);

static sendfile_fn next;

__attribute__((constructor)) static void find_next(void)
{
	next = (sendfile_fn)dlsym(RTLD_NEXT, "sendfile64");
}

static ssize_t pass(int out_fd, int in_fd, off64_t *offset, size_t count)
{
	stats_passed();
	if (next)
		return next(out_fd, in_fd, offset, count);
		/* Called by a constructor that ran before ours. */
#ifdef SYS_sendfile64
	return syscall(SYS_sendfile64, out_fd, in_fd, offset, count);
#else
	return syscall(SYS_sendfile, out_fd, in_fd, offset, count);
#endif
}

/* What to transfer, unless it is nothing or the kernel's to refuse. */
static bool range(struct zcp_xfer *xfer, const off64_t *offset, size_t count)
{
	/* As much as one call ever sends. */
	size_t most = INT_MAX & ~((size_t)sysconf(_SC_PAGESIZE) - 1);
	off64_t pos;

	if (!count || count > SSIZE_MAX)
		return false;
	pos = offset ? *offset : lseek64(xfer->in_fd, 0, SEEK_CUR);
	if (pos < 0 || (uint64_t)pos > INT64_MAX - count)
		return false;
	xfer->offset = pos;
	xfer->count = count < most ? count : most;
	return true;
}

/*
 * Is this not an outcome of the transfer, but of asking zcp for it? Nothing was
 * sent then. EPIPE is the connection's, but only the system call raises the
 * signal that belongs to it.
 */
static bool is_refusal(int error)
{
	switch (error) {
	case E2BIG:
	case EACCES:
	case EBADF:
	case EFAULT:
	case EINVAL:
	case EISDIR:
	case ENODEV:
	case ENOMEM:
	case ENOTCONN:
	case ENOTSOCK:
	case ENOTTY:
	case EOPNOTSUPP:
	case EPERM:
	case EPIPE:
		return true;
	}
	return false;
}

PRELOAD_API ssize_t sendfile64(int out_fd, int in_fd, off64_t *offset, size_t count)
{
	struct zcp_xfer xfer = {
		.size = sizeof(xfer),
		.in_fd = in_fd,
		.out_fd = out_fd,
		.mode = ZCP_MODE_AUTO,
	};
	int saved = errno;
	int error;

	error = range(&xfer, offset, count) ? -device_xfer(&xfer) : EINVAL;
	errno = saved;
	if (is_refusal(error) || (!error && !xfer.done))
		return pass(out_fd, in_fd, offset, count);
	if (error) {
		stats_failed();
		errno = error;
		return -1;
	}
	stats_served(&xfer);
	if (offset)
		*offset = xfer.offset;
	else
		lseek64(in_fd, xfer.offset, SEEK_SET);
	return xfer.done;
}

/* With 32-bit offsets sendfile() has limits of its own, and is left alone. */
#if __SIZEOF_LONG__ == 8
PRELOAD_API ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
	return sendfile64(out_fd, in_fd, offset, count);
}
#endif
