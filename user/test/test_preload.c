// SPDX-License-Identifier: GPL-2.0-only
/*
 * libzcp-preload without a kernel module: its objects are linked into this
 * program, which answers their open(2) of the device and their ioctl(2) itself
 * (see --wrap in the Makefile).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/zcp.h>

#include "tap.h"
#include "wrap.h"

#define BYTES 100000
#define THREADS 8
#define CALLS 2000

/* What the device answers next, and what it was asked. */
static int answer_error;
static uint64_t answer_done;
static struct zcp_xfer asked;
static int asked_times;
static int opened_times;
static int device = -1; /* where it was last asked */

int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (strcmp(path, "/dev/zcp"))
		return __real_open64(path, flags, mode);
	opened_times++;
	if (getenv("TEST_NO_DEVICE")) {
		errno = ENOENT;
		return -1;
	}
	/* Any file that is nothing else here. */
	return __real_open64("/dev/urandom", O_RDONLY | O_CLOEXEC);
}

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	struct zcp_xfer *xfer;
	va_list ap;

	va_start(ap, cmd);
	xfer = va_arg(ap, struct zcp_xfer *);
	va_end(ap);
	if (cmd != ZCP_IOC_XFER)
		return __real_ioctl(fd, cmd, xfer);
	/* Closed, or something else by now. */
	if (device >= 0 && fd == device && __real_ioctl(fd, cmd, xfer) && errno == EBADF)
		return -1;
	__atomic_add_fetch(&asked_times, 1, __ATOMIC_RELAXED);
	device = fd;
	asked = *xfer;
	if (answer_error) {
		errno = answer_error;
		return -1;
	}
	xfer->done = answer_done;
	xfer->offset += answer_done;
	xfer->bytes_zerocopy = answer_done;
	return 0;
}

static int file;
static int ends[2];
static char got[BYTES];

static void answer(int error, uint64_t done)
{
	answer_error = error;
	answer_done = done;
	asked_times = 0;
}

/* How many bytes the system call has sent. */
static ssize_t arrived(void)
{
	ssize_t n = recv(ends[1], got, sizeof(got), MSG_DONTWAIT);

	return n < 0 && errno == EAGAIN ? 0 : n;
}

static off_t position(void)
{
	return lseek(file, 0, SEEK_CUR);
}

static void rewind_to(off_t pos)
{
	if (lseek(file, pos, SEEK_SET) != pos)
		exit(2);
}

static void test_served(void)
{
	off_t pos = 10;
	ssize_t n;

	rewind_to(7);
	answer(0, 500);
	errno = ENOANO;
	n = sendfile(ends[0], file, &pos, 1000);
	ok(n == 500 && errno == ENOANO, "what zcp has sent is returned, errno is left alone");
	ok(pos == 510 && position() == 7, "an offset is advanced, and not the file's position");
	ok(asked.in_fd == file && asked.out_fd == ends[0] && asked.offset == 10 &&
		   asked.count == 1000 && asked.size == sizeof(asked) && !asked.flags &&
		   asked.mode == ZCP_MODE_AUTO,
	   "what zcp is asked for");
	ok(!arrived(), "the system call is not made");
	n = sendfile(ends[0], file, NULL, 1000);
	ok(n == 500 && asked.offset == 7 && position() == 507,
	   "without an offset it is the file's position");
	n = sendfile64(ends[0], file, NULL, SSIZE_MAX - 600);
	ok(n == 500 && asked.count == (INT_MAX & ~((uint64_t)getpagesize() - 1)),
	   "no more is asked for than one call sends");
}

/* Like test_served(), but the system call gives all answers. */
static int passes(int error, ssize_t want)
{
	off_t pos = 10;

	rewind_to(36);
	answer(error, 0);
	if (sendfile(ends[0], file, &pos, 1000) != want || pos != 10 + want)
		return 0;
	if (arrived() != want || memcmp(got, "klmnop", 6))
		return 0;
	if (sendfile(ends[0], file, NULL, 1000) != want || position() != 36 + want)
		return 0;
	return arrived() == want && !memcmp(got, "klmnop", 6) && asked_times == 2;
}

static void test_refused(void)
{
	static const int errors[] = {
		E2BIG, EACCES, EBADF,	 EFAULT,   EINVAL, EISDIR,     ENODEV,
		EPERM, ENOMEM, ENOTCONN, ENOTSOCK, ENOTTY, EOPNOTSUPP, EPIPE,
	};
	int opened = opened_times;
	char name[64];

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		snprintf(name, sizeof(name), "refused with %s: the system call",
			 strerrorname_np(errors[i]));
		ok(passes(errors[i], 1000), name);
	}
	ok(passes(0, 1000), "nothing sent: the system call says whether the file has ended");
	ok(opened_times == opened, "the device is not opened again for it");
}

static void test_failed(void)
{
	static const int errors[] = {
		EAGAIN, EINTR, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, EIO,
	};
	char name[64];

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		off_t pos = 10;

		rewind_to(20);
		answer(errors[i], 0);
		errno = 0;
		snprintf(name, sizeof(name), "%s is the answer", strerrorname_np(errors[i]));
		ok(sendfile(ends[0], file, &pos, 1000) == -1 && errno == errors[i] && pos == 10 &&
			   !arrived() && asked_times == 1 && position() == 20,
		   name);
	}
}

static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int sig)
{
	(void)sig;
	sigpipes++;
}

static void test_sigpipe(void)
{
	off_t pos = 0;
	int broken[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, broken))
		exit(2);
	close(broken[1]);
	signal(SIGPIPE, on_sigpipe);
	answer(EPIPE, 0);
	ok(sendfile(broken[0], file, &pos, 10) == -1 && errno == EPIPE && sigpipes == 1,
	   "EPIPE comes with SIGPIPE");
	signal(SIGPIPE, SIG_DFL);
	close(broken[0]);
}

static int kernel_says(int want, int in_fd, off_t *pos, size_t count)
{
	errno = 0;
	answer(0, 500);
	return sendfile(ends[0], in_fd, pos, count) == (want ? -1 : 0) && errno == want &&
	       !asked_times && !arrived();
}

static void test_form(void)
{
	off_t negative = -1, large = INT64_MAX - 10, zero = 0;
	int pipes[2];

	if (pipe(pipes))
		exit(2);
	ok(kernel_says(0, file, &zero, 0), "no bytes");
	ok(kernel_says(EINVAL, file, &negative, 10), "a negative offset");
	ok(kernel_says(EINVAL, file, &large, 11), "a range that overflows");
	ok(kernel_says(EINVAL, file, &zero, (size_t)SSIZE_MAX + 1), "a negative count");
	ok(kernel_says(EBADF, -1, NULL, 10), "no such file");
	ok(kernel_says(EINVAL, pipes[0], NULL, 10), "from a pipe");
	close(pipes[0]);
	close(pipes[1]);
}

static void test_device(void)
{
	int opened = opened_times;
	off_t pos = 0;
	int other;

	answer(0, 1);
	sendfile(ends[0], file, &pos, 10);
	ok(device >= 1000 && fcntl(device, F_GETFD) == FD_CLOEXEC && opened == 1,
	   "it is opened once, out of the way, and not for what is executed");
	close(device);
	ok(sendfile(ends[0], file, &pos, 10) == 1 && opened_times == opened + 1,
	   "closed by the program: it is opened again");
	other = dup2(file, device);
	answer(ENOTTY, 0);
	device = -1;
	ok(sendfile(ends[0], file, &pos, 10) == 10 && arrived() == 10 &&
		   opened_times == opened + 2 && fcntl(other, F_GETFD) >= 0 && device != other,
	   "something else by now: it is left alone, and another one opened");
	close(other);
}

/* Programs of their own, whose counts are looked at. */
static char stats[32];

static void calls(int served, int failed, int passed)
{
	off_t pos;

	for (; served; served--) {
		pos = 0;
		answer(0, 10);
		sendfile(ends[0], file, &pos, 10);
	}
	for (; failed; failed--) {
		answer(EAGAIN, 0);
		sendfile(ends[0], file, &pos, 10);
	}
	for (; passed; passed--) {
		pos = 0;
		answer(EOPNOTSUPP, 0);
		sendfile(ends[0], file, &pos, 10);
		arrived();
	}
}

static void *thread(void *arg)
{
	off_t pos;

	for (int i = 0; i < CALLS; i++) {
		pos = 0;
		sendfile(ends[0], file, &pos, 10);
	}
	return arg;
}

static int program(const char *what)
{
	pthread_t threads[THREADS];
	int i, status;
	pid_t pid;

	if (!strcmp(what, "nothing"))
		return 0;
	if (!strcmp(what, "forks")) {
		calls(1, 2, 3);
		pid = fork();
		if (!pid) {
			calls(10, 0, 0);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return 2;
	} else if (!strcmp(what, "threads")) {
		answer(0, 10);
		for (i = 0; i < THREADS; i++) {
			if (pthread_create(&threads[i], NULL, thread, NULL))
				return 2;
		}
		for (i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		_exit(0);
	} else {
		calls(2, 0, 1);
	}
	return 0;
}

/* Runs one; the sums of its lines are in seen, and their number is returned. */
static const char *const names[] = {
	" served=", " bytes=", " zerocopy=", " copied=", " failed=", " passed=",
};

static unsigned long seen[6];

static int run(const char *self, const char *what, const char *variable)
{
	int lines = 0, status;
	char text[512];
	pid_t pid;
	FILE *f;

	pid = fork();
	if (!pid) {
		setenv("ZCP_PRELOAD_STATS", stats, 1);
		if (variable)
			setenv(variable, "1", 1);
		execl(self, self, what, NULL);
		_exit(2);
	}
	/* What never ran has no line either. */
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return -1;
	memset(seen, 0, sizeof(seen));
	f = fopen(stats, "r");
	while (f && fgets(text, sizeof(text), f)) {
		for (int i = 0; i < 6; i++) {
			const char *value = strstr(text, names[i]);

			if (!value)
				return -1;
			seen[i] += strtoul(value + strlen(names[i]), NULL, 10);
		}
		lines++;
	}
	if (f)
		fclose(f);
	if (truncate(stats, 0))
		exit(2);
	return lines;
}

static int counted(unsigned long served, unsigned long failed, unsigned long passed)
{
	return seen[0] == served && seen[1] == 10 * served && seen[2] == 10 * served && !seen[3] &&
	       seen[4] == failed && seen[5] == passed;
}

static void test_stats(const char *self)
{
	ok(run(self, "nothing", NULL) == 0, "no call, no line");
	ok(run(self, "some", NULL) == 1 && counted(2, 0, 1), "a line with what was counted");
	ok(run(self, "forks", NULL) == 2 && counted(11, 2, 3),
	   "a child tells its own counts, by _exit() too");
	ok(run(self, "threads", NULL) == 1 && counted(THREADS * CALLS, 0, 0),
	   "threads: nothing is lost");
	ok(run(self, "some", "TEST_NO_DEVICE") == 1 && counted(0, 0, 3),
	   "no device: all calls are left to the system call");
}

int main(int argc, char **argv)
{
	char content[BYTES];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = 'a' + i % 26;
	file = memfd_create("preload", MFD_CLOEXEC);
	if (file < 0 || write(file, content, sizeof(content)) != sizeof(content) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return 2;
	if (argc > 1)
		return program(argv[1]);
	strcpy(stats, "/tmp/zcp-preload-XXXXXX");
	close(mkstemp(stats));
	test_served();
	test_refused();
	test_failed();
	test_sigpipe();
	test_form();
	test_device();
	test_stats(argv[0]);
	unlink(stats);
	return tap_end();
}
