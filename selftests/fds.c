// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors of the wrong kind, as the file of a job and as its socket: the
 * errno of the contract, and no reference is left behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <linux/netlink.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240

FIXTURE(fds) {
	struct zt_box box;
	struct zt_conn conn;
	char name[96];
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(fds)
{
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	snprintf(self->name, sizeof(self->name), "%s/file", self->box.dir);
	self->file = open(self->name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_GE(self->file, 0);
	zt_fill(self->file, 1, 0, 10000);
}

FIXTURE_TEARDOWN(fds)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	close(self->conn.tx);
	EXPECT_EQ(0, zt_drain(self->conn.rx));
	close(self->conn.rx);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static int try_source(FIXTURE_DATA(fds) *self, int fd)
{
	struct zcp_segment seg = zt_range(fd, 0, 100);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	return zt_try_submit(self->ctx, &job);
}

static int try_xfer(FIXTURE_DATA(fds) *self, int in, int out)
{
	struct zcp_xfer xfer = { .size = sizeof(xfer), .in_fd = in, .out_fd = out, .count = 100 };

	return ioctl(self->ctx, ZCP_IOC_XFER, &xfer) ? -errno : 0;
}

static int try_link(FIXTURE_DATA(fds) *self, int fd)
{
	struct zcp_link link = { .size = sizeof(link), .fd = fd };

	return ioctl(self->ctx, ZCP_IOC_LINK, &link) ? -errno : 0;
}

/* Both ways a file gets in refuse it alike; a second segment is looked at too. */
#define SOURCE(expected, fd) do { \
	int __fd = (fd); \
	struct zcp_segment __seg[2]; \
	struct zcp_job __job = zt_job(self->link, __seg, 2); \
	__seg[0] = zt_range(self->file, 0, 100); \
	__seg[1] = zt_range(__fd, 0, 100); \
	EXPECT_EQ(expected, try_source(self, __fd)) TH_LOG("submit: %s", #fd); \
	EXPECT_EQ(expected, zt_try_submit(self->ctx, &__job)) TH_LOG("second: %s", #fd); \
	EXPECT_EQ(expected, try_xfer(self, __fd, self->conn.tx)) TH_LOG("xfer: %s", #fd); \
	if (__fd > 2 && __fd < 16384) \
		close(__fd); \
} while (0)

#define TARGET(expected, fd) do { \
	int __fd = (fd); \
	EXPECT_EQ(expected, try_link(self, __fd)) TH_LOG("link: %s", #fd); \
	EXPECT_EQ(expected, try_xfer(self, self->file, __fd)) TH_LOG("xfer: %s", #fd); \
	if (__fd > 2 && __fd < 16384) \
		close(__fd); \
} while (0)

/* What must be there, or the test tells nothing. */
static int got(int fd)
{
	zt_need(fd >= 0);
	return fd;
}

static int pipe_end(int end)
{
	int p[2];

	zt_need(!pipe2(p, O_CLOEXEC));
	close(p[!end]);
	return p[end];
}

static int unix_end(int type)
{
	int s[2];

	zt_need(!socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s));
	close(s[1]);
	return s[0];
}

static int closed_fd(void)
{
	int fd = got(open("/dev/null", O_RDONLY));

	close(fd);
	return fd;
}

static int signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return got(signalfd(-1, &set, SFD_CLOEXEC));
}

TEST_F(fds, source_not_open)
{
	SOURCE(-EBADF, -1);
	SOURCE(-EBADF, -100);
	SOURCE(-EBADF, 16000);
	SOURCE(-EBADF, INT32_MAX);
	EXPECT_EQ(-EBADF, try_source(self, closed_fd()));
	SOURCE(-EBADF, got(open(self->name, O_PATH | O_CLOEXEC)));
	SOURCE(-EBADF, got(open(self->box.dir, O_PATH | O_CLOEXEC)));
}

TEST_F(fds, source_not_readable)
{
	SOURCE(-EACCES, got(open(self->name, O_WRONLY | O_CLOEXEC)));
	SOURCE(-EACCES, got(open(self->name, O_WRONLY | O_APPEND | O_CLOEXEC)));
}

TEST_F(fds, source_directory)
{
	SOURCE(-EISDIR, got(open(self->box.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	SOURCE(-EISDIR, got(open("/proc", O_RDONLY | O_CLOEXEC)));
}

TEST_F(fds, source_not_a_file)
{
	SOURCE(-EINVAL, pipe_end(0));
	SOURCE(-EINVAL, unix_end(SOCK_STREAM));
	SOURCE(-EINVAL, got(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	SOURCE(-EINVAL, got(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
	SOURCE(-EINVAL, zt_listen(AF_INET, 0));
	SOURCE(-EINVAL, zt_open(0));
	SOURCE(-EINVAL, got(dup(self->ctx)));
	SOURCE(-EINVAL, got(dup(self->conn.tx)));
	SOURCE(-EINVAL, got(eventfd(1, EFD_CLOEXEC)));
	SOURCE(-EINVAL, got(epoll_create1(EPOLL_CLOEXEC)));
	SOURCE(-EINVAL, got(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)));
	SOURCE(-EINVAL, got(inotify_init1(IN_CLOEXEC)));
	SOURCE(-EINVAL, signal_fd());
	SOURCE(-EINVAL, got(open("/dev/zero", O_RDONLY | O_CLOEXEC)));
	SOURCE(-EINVAL, got(open("/dev/null", O_RDWR | O_CLOEXEC)));
	SOURCE(-EINVAL, got(open("/dev/ptmx", O_RDWR | O_CLOEXEC | O_NOCTTY)));
}

TEST_F(fds, source_without_page_cache)
{
	SOURCE(-EOPNOTSUPP, got(open("/proc/self/status", O_RDONLY | O_CLOEXEC)));
	SOURCE(-EOPNOTSUPP, got(open("/proc/version", O_RDONLY | O_CLOEXEC)));
	SOURCE(-EOPNOTSUPP, got(open("/proc/sys/kernel/ostype", O_RDONLY | O_CLOEXEC)));
	SOURCE(-EOPNOTSUPP, got(open("/sys/devices/system/cpu/online",
				     O_RDONLY | O_CLOEXEC)));
	SOURCE(-EOPNOTSUPP, got(open("/sys/module/zcp/refcnt", O_RDONLY | O_CLOEXEC)));
}

/* Its pages are not in the kernel's memory map: nothing may refer to them. */
TEST_F(fds, source_memfd_secret)
{
	int fd = syscall(SYS_memfd_secret, 0);

	if (fd < 0)
		SKIP(return, "memfd_secret: errno %d, the kernel was booted without %s",
		     errno, "secretmem.enable=1");
	zt_need(!ftruncate(fd, ZT_PAGE));
	SOURCE(-EOPNOTSUPP, fd);
}

TEST_F(fds, source_accepted)
{
	int memfd = got(memfd_create("zcp", MFD_CLOEXEC));
	struct zcp_event event;
	char buf[100];
	int fds[3];
	size_t i;

	/* Deleted, memory only, and read-write: all of them are files. */
	fds[0] = self->file;
	fds[1] = memfd;
	fds[2] = got(open(self->name, O_RDWR | O_CLOEXEC));
	zt_need(!unlink(self->name));
	zt_fill(memfd, 1, 0, 100);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(0, try_source(self, fds[i]));
		zt_read_full(self->conn.rx, buf, sizeof(buf));
		EXPECT_EQ(-1, zt_mismatch(buf, sizeof(buf), 1, 0));
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	close(memfd);
	close(fds[2]);
}

TEST_F(fds, target_not_open)
{
	TARGET(-EBADF, -1);
	TARGET(-EBADF, 16000);
	TARGET(-EBADF, INT32_MAX);
	EXPECT_EQ(-EBADF, try_link(self, closed_fd()));
	TARGET(-EBADF, got(open(self->name, O_PATH | O_CLOEXEC)));
}

TEST_F(fds, target_not_a_socket)
{
	TARGET(-ENOTSOCK, pipe_end(1));
	TARGET(-ENOTSOCK, got(open(self->name, O_RDWR | O_CLOEXEC)));
	TARGET(-ENOTSOCK, got(open(self->box.dir, O_RDONLY | O_CLOEXEC)));
	TARGET(-ENOTSOCK, got(open("/dev/null", O_RDWR | O_CLOEXEC)));
	TARGET(-ENOTSOCK, got(open("/proc/self/status", O_RDONLY | O_CLOEXEC)));
	TARGET(-ENOTSOCK, zt_open(0));
	TARGET(-ENOTSOCK, got(dup(self->ctx)));
	TARGET(-ENOTSOCK, got(eventfd(1, EFD_CLOEXEC)));
	TARGET(-ENOTSOCK, got(epoll_create1(EPOLL_CLOEXEC)));
	TARGET(-ENOTSOCK, got(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)));
	TARGET(-ENOTSOCK, got(memfd_create("zcp", MFD_CLOEXEC)));
}

TEST_F(fds, target_not_plain_tcp)
{
	TARGET(-EOPNOTSUPP, unix_end(SOCK_STREAM));
	TARGET(-EOPNOTSUPP, unix_end(SOCK_DGRAM));
	TARGET(-EOPNOTSUPP, unix_end(SOCK_SEQPACKET));
	TARGET(-EOPNOTSUPP, got(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
	TARGET(-EOPNOTSUPP, got(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
	TARGET(-EOPNOTSUPP, got(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP)));
	TARGET(-EOPNOTSUPP, got(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP)));
	TARGET(-EOPNOTSUPP, got(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)));
	TARGET(-EOPNOTSUPP, got(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)));
}

TEST_F(fds, target_mptcp)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (fd < 0)
		SKIP(return, "socket(IPPROTO_MPTCP): errno %d, the kernel lacks CONFIG_MPTCP",
		     errno);
	TARGET(-EOPNOTSUPP, fd);
}

TEST_F(fds, target_not_connected)
{
	int bound = zt_listen(AF_INET, 0);
	struct zt_conn conn;
	struct sockaddr any = { .sa_family = AF_UNSPEC };

	TARGET(-ENOTCONN, got(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	TARGET(-ENOTCONN, got(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	TARGET(-ENOTCONN, zt_listen(AF_INET, 0));
	TARGET(-ENOTCONN, zt_listen(AF_INET6, 0));
	zt_connect_to(&conn, bound, 0);
	zt_need(!connect(conn.tx, &any, sizeof(any)));
	TARGET(-ENOTCONN, conn.tx);
	close(conn.rx);
	close(bound);
}

TEST_F(fds, target_ipv6)
{
	int listener = zt_listen(AF_INET6, 0);
	struct zcp_event event;
	struct zt_conn conn;
	char buf[5000];

	zt_connect_to(&conn, listener, 0);
	zt_submit_range(self->ctx, zt_link(self->ctx, conn.tx), self->file, 0, sizeof(buf));
	zt_read_full(conn.rx, buf, sizeof(buf));
	EXPECT_EQ(-1, zt_mismatch(buf, sizeof(buf), 1, 0));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(5000, event.bytes_acked);
	zt_close(&conn);
	close(listener);
}

/* zcp keeps what it needs: the caller may close every descriptor. */
TEST_F(fds, closed_after_submit)
{
	static char buf[64 * ZT_KIB];
	struct zcp_event event;
	struct zt_conn conn;
	int file = zt_file(&self->box, 7, ZT_MIB);
	uint64_t off;

	zt_connect_blocking(&conn);
	zt_submit_range(self->ctx, zt_link(self->ctx, conn.tx), file, 0, ZT_MIB);
	close(file);
	close(conn.tx);
	for (off = 0; off < ZT_MIB; off += sizeof(buf)) {
		zt_read_full(conn.rx, buf, sizeof(buf));
		ASSERT_EQ(-1, zt_mismatch(buf, sizeof(buf), 7, off));
	}
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(ZT_MIB, event.bytes_acked);
	close(conn.rx);
}

TEST_HARNESS_MAIN
