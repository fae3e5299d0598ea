// SPDX-License-Identifier: GPL-2.0-only
/*
 * To be preloaded: system calls that fail as they do on a system that lacks something. With
 * BROKEN_ACCEPT, some numbers of errors, each is told by accept4(2) once before it accepts;
 * with BROKEN_WRITE the disk is full: pwrite(2) writes nothing. With BROKEN_SEND the last byte
 * of what send(2) is given is another one; a hello of zcp-bench is too short for that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO_BYTES 64

/* The next of the numbers in @list, or 0. */
static int next_error(const char *list)
{
	static const char *at;
	char *end;
	long error;

	if (!list)
		return 0;
	if (!at)
		at = list;
	error = strtol(at, &end, 10);
	at = end;
	return error;
}

__attribute__((visibility("default"))) int accept4(int fd, struct sockaddr *address, socklen_t *len,
						   int flags)
{
	__typeof__(accept4) *real = dlsym(RTLD_NEXT, "accept4");
	int error = next_error(getenv("BROKEN_ACCEPT"));

	if (!error)
		return real(fd, address, len, flags);
	errno = error;
	return -1;
}

__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *buf, size_t len,
							off64_t off)
{
	__typeof__(pwrite64) *real = dlsym(RTLD_NEXT, "pwrite64");

	if (!getenv("BROKEN_WRITE"))
		return real(fd, buf, len, off);
	errno = ENOSPC;
	return -1;
}

__attribute__((visibility("default"))) ssize_t send(int fd, const void *buf, size_t len, int flags)
{
	__typeof__(send) *real = dlsym(RTLD_NEXT, "send");
	ssize_t n = -1;
	char *copy;

	if (len <= HELLO_BYTES || !getenv("BROKEN_SEND"))
		return real(fd, buf, len, flags);
	copy = malloc(len);
	if (copy) {
		memcpy(copy, buf, len);
		copy[len - 1] ^= 1;
		n = real(fd, copy, len, flags);
	}
	free(copy);
	return n;
}
