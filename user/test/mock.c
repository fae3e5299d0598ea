// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stand-in for /dev/zcp, preloaded into a program under test: open(2),
 * ioctl(2), read(2) and close(2) of that path are answered here, by a small and slow
 * engine (mock_engine.c) that reads and sends with system calls. Events go through a real
 * pipe, so read(2), poll(2) and epoll work on it.
 *
 * ZCP_MOCK_REASON      path_reason of each link (enum zcp_reason); mode
 *                      zerocopy is refused unless it is 0
 * ZCP_MOCK_DELAY_US    pause after each 64 KiB
 * ZCP_MOCK_FEATURES    zcp_info.features; what is not in it is refused as an
 *                      older kernel does
 * ZCP_MOCK_EVENT_SIZE  bytes of an event record; more than the ABI has are
 *                      0xff, fewer are left out
 * ZCP_MOCK_OPEN_ERRNO  open(2) fails with this
 *
 * A program that has it linked in also sets variables, at any time (mock.h).
 */
/* open() and open64() are both defined here, fcntl() and fcntl64() too. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mock.h"

#define EXPORT __attribute__((visibility("default")))

#define MAX_CTX 8

static struct ctx contexts[MAX_CTX];
pthread_mutex_t mock_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t mock_work = PTHREAD_COND_INITIALIZER;

static struct ctx *find_ctx(int fd)
{
	for (int i = 0; i < MAX_CTX; i++)
		if (__atomic_load_n(&contexts[i].used, __ATOMIC_ACQUIRE) && contexts[i].fd == fd)
			return &contexts[i];
	return NULL;
}

static int open_ctx(int flags)
{
	long error = mock_setting("ZCP_MOCK_OPEN_ERRNO", 0);
	int ends[2];

	if (!error && (flags & (O_CLOEXEC | O_NONBLOCK)) != (O_CLOEXEC | O_NONBLOCK))
		error = EPROTO;
	if (error) {
		errno = error;
		return -1;
	}
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -1;
	pthread_mutex_lock(&mock_lock);
	for (int i = 0; i < MAX_CTX; i++) {
		struct ctx *ctx = &contexts[i];

		if (ctx->used)
			continue;
		memset(ctx, 0, sizeof(*ctx));
		ctx->fd = ends[0];
		ctx->events = ends[1];
		__atomic_store_n(&ctx->used, true, __ATOMIC_RELEASE);
		pthread_create(&ctx->worker, NULL, mock_worker, ctx);
		break;
	}
	pthread_mutex_unlock(&mock_lock);
	return ends[0];
}

static int any_open(const char *path, int flags, mode_t mode)
{
	if (!strcmp(path, "/dev/zcp"))
		return open_ctx(flags);
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return any_open(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return any_open(path, flags, mode);
}

/* A context that is duplicated lives on as the new descriptor. */
static int any_fcntl(int fd, int cmd, long arg)
{
	int ret = syscall(SYS_fcntl, fd, cmd, arg);
	struct ctx *ctx;

	if (ret < 0 || cmd != F_DUPFD_CLOEXEC)
		return ret;
	pthread_mutex_lock(&mock_lock);
	ctx = find_ctx(fd);
	if (ctx)
		ctx->fd = ret;
	pthread_mutex_unlock(&mock_lock);
	return ret;
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return any_fcntl(fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return any_fcntl(fd, cmd, arg);
}

EXPORT int ioctl(int fd, unsigned long cmd, ...)
{
	struct ctx *ctx;
	va_list ap;
	void *arg;
	int error;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);

	pthread_mutex_lock(&mock_lock);
	ctx = find_ctx(fd);
	if (!ctx) {
		pthread_mutex_unlock(&mock_lock);
		return syscall(SYS_ioctl, fd, cmd, arg);
	}
	error = mock_command(ctx, cmd, arg);
	pthread_mutex_unlock(&mock_lock);
	while (cmd == ZCP_IOC_SUBMIT && __atomic_load_n(&mock_hold, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&mock_held, true, __ATOMIC_RELEASE);
		usleep(1000);
	}
	if (!error)
		return 0;
	errno = -error;
	return -1;
}

EXPORT ssize_t read(int fd, void *buf, size_t len)
{
	long ms = __atomic_load_n(&mock_read_ms, __ATOMIC_RELAXED);
	struct ctx *ctx = find_ctx(fd);
	ssize_t n;

	if (!ctx)
		return syscall(SYS_read, fd, buf, len);
	if (ms)
		usleep(ms * 1000);
	pthread_mutex_lock(&mock_lock);
	n = mock_read(ctx, buf, len);
	pthread_mutex_unlock(&mock_lock);
	return n;
}

static void close_ctx(struct ctx *ctx)
{
	pthread_mutex_lock(&mock_lock);
	ctx->closing = true;
	for (int i = 0; i < MAX_JOBS; i++)
		__atomic_store_n(&ctx->jobs[i].cancel, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&mock_work);
	pthread_mutex_unlock(&mock_lock);
	pthread_join(ctx->worker, NULL);
	for (int i = 0; i < MAX_LINKS; i++)
		if (ctx->links[i].used)
			syscall(SYS_close, ctx->links[i].sock);
	syscall(SYS_close, ctx->events);
	__atomic_store_n(&ctx->used, false, __ATOMIC_RELEASE);
}

EXPORT int close(int fd)
{
	struct ctx *ctx;

	/* Without the lock: who has it may find a race, whose report closes files. */
	ctx = find_ctx(fd);
	if (ctx)
		close_ctx(ctx);
	return syscall(SYS_close, fd);
}
