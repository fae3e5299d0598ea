// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Counts of this process. When it ends, by exit() or _exit(), a line of them
 * is appended to the file that ZCP_PRELOAD_STATS names, if there is anything to
 * count. A child begins at zero: the kernel wipes the page.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload.h"

struct counts {
	_Atomic uint64_t served; /* sent something by zcp */
	_Atomic uint64_t bytes;
	_Atomic uint64_t zerocopy; /* of these bytes, by reference */
	_Atomic uint64_t copied;
	_Atomic uint64_t failed; /* answered by zcp with an error, EAGAIN mostly */
	_Atomic uint64_t passed; /* left to the system call */
};

static struct counts *counts;
static char *path;
static void (*next_exit)(int status);

__attribute__((constructor)) static void stats_begin(void)
{
	const char *name = getenv("ZCP_PRELOAD_STATS");
	int saved = errno;
	void *page;

	next_exit = (void (*)(int))dlsym(RTLD_NEXT, "_exit");
	if (name && *name) {
		page = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page != MAP_FAILED && !madvise(page, sizeof(*counts), MADV_WIPEONFORK)) {
			path = strdup(name);
			counts = page;
		}
	}
	errno = saved;
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
	atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

void stats_served(const struct zcp_xfer *xfer)
{
	if (!counts)
		return;
	add(&counts->served, 1);
	add(&counts->bytes, xfer->done);
	add(&counts->zerocopy, xfer->bytes_zerocopy);
	add(&counts->copied, xfer->bytes_copied);
}

void stats_failed(void)
{
	if (counts)
		add(&counts->failed, 1);
}

void stats_passed(void)
{
	if (counts)
		add(&counts->passed, 1);
}

/* What was told is not told again: exit() and _exit() may both come here. */
static uint64_t take(_Atomic uint64_t *count)
{
	return atomic_exchange(count, 0);
}

static void stats_tell(void)
{
	uint64_t served, failed, passed;
	char line[512];
	int fd, len;

	if (!counts || !path)
		return;
	served = take(&counts->served);
	failed = take(&counts->failed);
	passed = take(&counts->passed);
	if (!served && !failed && !passed)
		return;
	len = snprintf(line, sizeof(line),
		       "pid=%d served=%" PRIu64 " bytes=%" PRIu64 " zerocopy=%" PRIu64
		       " copied=%" PRIu64 " failed=%" PRIu64 " passed=%" PRIu64 " name=%.64s\n",
		       (int)getpid(), served, take(&counts->bytes), take(&counts->zerocopy),
		       take(&counts->copied), failed, passed, program_invocation_short_name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	if (write(fd, line, len) != len)
		dprintf(STDERR_FILENO, "libzcp-preload: cannot write to %s\n", path);
	close(fd);
}

__attribute__((destructor)) static void stats_end(void)
{
	stats_tell();
}

/* Children that were forked rarely end by exit(). */
PRELOAD_API void _exit(int status)
{
	stats_tell();
	if (next_exit)
		next_exit(status);
	for (;;)
		syscall(SYS_exit_group, status);
}

PRELOAD_API void _Exit(int status)
{
	_exit(status);
}
