// SPDX-License-Identifier: GPL-2.0-only
/*
 * To be preloaded: whoever waits for input begins to wait a moment late, as on a
 * busy machine. What comes in that moment must not be missed. Looking without
 * waiting takes no longer. With LATE_ABORTED the first connection is gone before it
 * is accepted.
 *
 * A signal comes, once, in the moment that matters, with its number in LATE_LOOKUP: while a
 * name is looked up; in LATE_WRITE: just before something is written to stdout; in LATE_WAIT:
 * just before it waits, which is not late then.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATE_NS 300000000

/* True when it has come, now or before. */
static bool signal_comes(const char *when)
{
	const char *sig = getenv(when);
	static bool come;

	if (sig && !come) {
		come = true;
		raise(atoi(sig));
	}
	return sig;
}

static void be_late(void)
{
	__typeof__(clock_nanosleep) *real = dlsym(RTLD_NEXT, "clock_nanosleep");
	struct timespec until;

	if (signal_comes("LATE_WAIT"))
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LATE_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	while (real(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

__attribute__((visibility("default"))) int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
	__typeof__(clock_nanosleep) *real = dlsym(RTLD_NEXT, "clock_nanosleep");

	be_late();
	return real(clock, flags, time, left);
}

__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *port,
						       const struct addrinfo *hints,
						       struct addrinfo **list)
{
	__typeof__(getaddrinfo) *real = dlsym(RTLD_NEXT, "getaddrinfo");

	signal_comes("LATE_LOOKUP");
	return real(host, port, hints, list);
}

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t len)
{
	__typeof__(write) *real = dlsym(RTLD_NEXT, "write");

	if (fd == STDOUT_FILENO)
		signal_comes("LATE_WRITE");
	return real(fd, data, len);
}

__attribute__((visibility("default"))) int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	__typeof__(poll) *real = dlsym(RTLD_NEXT, "poll");

	if (timeout)
		be_late();
	return real(fds, count, timeout);
}

__attribute__((visibility("default"))) int
ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	__typeof__(ppoll) *real = dlsym(RTLD_NEXT, "ppoll");

	if (!timeout || timeout->tv_sec || timeout->tv_nsec)
		be_late();
	return real(fds, count, timeout, mask);
}

__attribute__((visibility("default"))) int accept4(int sock, struct sockaddr *addr, socklen_t *len,
						   int flags)
{
	__typeof__(accept4) *real = dlsym(RTLD_NEXT, "accept4");
	static bool aborted;
	int ret;

	if (!(fcntl(sock, F_GETFL) & O_NONBLOCK))
		be_late();
	ret = real(sock, addr, len, flags);
	if (ret < 0 || aborted || !getenv("LATE_ABORTED"))
		return ret;
	aborted = true;
	close(ret);
	errno = ECONNABORTED;
	return -1;
}
