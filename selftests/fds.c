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
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/tcp.h>
#include <linux/vm_sockets.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#ifndef AF_SMC
#define AF_SMC	43
#endif

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

/* A connection of two sockets of another kind; false if the kernel lacks it. */
static bool connect_kind(struct zt_conn *conn, int family, int protocol)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = 1, .svm_port = 4000 };
	struct sockaddr *addr = (struct sockaddr *)&sin;
	socklen_t len = sizeof(sin);
	int listener;

	if (family == AF_VSOCK) {
		addr = (struct sockaddr *)&vm;
		len = sizeof(vm);
	}
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
	if (listener < 0)
		return false;
	conn->tx = got(socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol));
	if (bind(listener, addr, len) || listen(listener, 1) ||
	    getsockname(listener, addr, &len) || connect(conn->tx, addr, len)) {
		close(listener);
		close(conn->tx);
		return false;
	}
	conn->rx = got(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	return true;
}

/* What is refused as a target has not taken a byte. */
#define CONNECTED(expected, conn) do { \
	char __c; \
	TARGET(expected, (conn)->tx); \
	EXPECT_EQ(0, recv((conn)->rx, &__c, 1, 0)) TH_LOG("something arrived"); \
	close((conn)->rx); \
} while (0)

TEST_F(fds, target_mptcp)
{
	struct zt_conn conn;

	zt_run("modprobe -q mptcp");
	if (!connect_kind(&conn, AF_INET, IPPROTO_MPTCP))
		SKIP(return, "socket(IPPROTO_MPTCP): errno %d, the kernel lacks CONFIG_MPTCP",
		     errno);
	CONNECTED(-EOPNOTSUPP, &conn);
}

/* Who accepts MPTCP, and gets TCP, has a socket of TCP. */
TEST_F(fds, target_mptcp_fallback)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	socklen_t len = sizeof(sin);
	struct zcp_event event;
	char buf[5000];
	int rx, tx;

	if (listener < 0)
		SKIP(return, "socket(IPPROTO_MPTCP): errno %d, the kernel lacks CONFIG_MPTCP",
		     errno);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	zt_need(!bind(listener, (struct sockaddr *)&sin, len) && !listen(listener, 1));
	zt_need(!getsockname(listener, (struct sockaddr *)&sin, &len));
	rx = got(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	zt_need(!connect(rx, (struct sockaddr *)&sin, len));
	tx = got(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	zt_submit_range(self->ctx, zt_link(self->ctx, tx), self->file, 0, sizeof(buf));
	zt_read_full(rx, buf, sizeof(buf));
	EXPECT_EQ(-1, zt_mismatch(buf, sizeof(buf), 1, 0));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	close(rx);
	close(tx);
	close(listener);
}

/* SMC that has found no way but TCP has become a socket of TCP; before, it is none. */
TEST_F(fds, target_smc)
{
	struct zcp_event event;
	struct zt_conn conn;
	char buf[5000];
	int ret;

	zt_run("modprobe -q smc");
	if (!connect_kind(&conn, AF_SMC, 0))
		SKIP(return, "socket(AF_SMC): errno %d, the kernel lacks the module smc", errno);
	TARGET(-EOPNOTSUPP, got(socket(AF_SMC, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	ret = try_link(self, conn.tx);
	if (!ret) {
		close(self->ctx);
		self->ctx = zt_open(O_NONBLOCK);
		zt_submit_range(self->ctx, zt_link(self->ctx, conn.tx), self->file, 0, sizeof(buf));
		zt_read_full(conn.rx, buf, sizeof(buf));
		EXPECT_EQ(-1, zt_mismatch(buf, sizeof(buf), 1, 0));
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	} else {
		EXPECT_EQ(-EOPNOTSUPP, ret);
	}
	zt_close(&conn);
}

TEST_F(fds, target_vsock)
{
	struct zt_conn conn;

	zt_run("modprobe -qa vsock vsock_loopback");
	if (!connect_kind(&conn, AF_VSOCK, 0))
		SKIP(return, "connect(AF_VSOCK): errno %d, the kernel lacks vsock_loopback", errno);
	CONNECTED(-EOPNOTSUPP, &conn);
}

TEST_F(fds, target_espintcp)
{
	struct zt_conn conn;

	zt_connect(&conn, 0, 0);
	if (setsockopt(conn.tx, IPPROTO_TCP, TCP_ULP, "espintcp", 8)) {
		zt_close(&conn);
		SKIP(return, "TCP_ULP espintcp: errno %d, the kernel lacks CONFIG_INET_ESPINTCP",
		     errno);
	}
	CONNECTED(-EOPNOTSUPP, &conn);
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

static int kind_file(const char *name, int flags)
{
	return open(name, flags | O_CLOEXEC | O_NONBLOCK);
}

static int kind_bpf(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1,
	};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static int kind_uring(void)
{
	char params[120] = "";

	return syscall(SYS_io_uring_setup, 1, params);
}

static int kind_perf(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr) };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static int kind_landlock(void)
{
	uint64_t attr = 1;

	return syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
}

static int kind_fifo(void)
{
	if (mkfifo("/tmp/zcp-fds-fifo", 0600) && errno != EEXIST)
		return -1;
	return kind_file("/tmp/zcp-fds-fifo", O_RDWR);
}

static int kind_block(void)
{
	zt_run("modprobe -q loop");
	return kind_file("/dev/loop0", O_RDONLY);
}

/* Every kind of descriptor there is, as both; SOURCE and TARGET want them anew. */
static int kind(unsigned int n)
{
	switch (n) {
	case 0: return pipe_end(0);
	case 1: return pipe_end(1);
	case 2: return kind_fifo();
	case 3: return kind_file("/", O_RDONLY | O_DIRECTORY);
	case 4: return kind_file("/", O_PATH);
	case 5: return kind_file("/dev/null", O_RDWR);
	case 6: return kind_file("/dev/zero", O_RDWR);
	case 7: return kind_file("/dev/random", O_RDONLY);
	case 8: return kind_file("/dev/kmsg", O_RDONLY);
	case 9: return kind_file("/dev/ptmx", O_RDWR | O_NOCTTY);
	case 10: return kind_file("/dev/net/tun", O_RDWR);
	case 11: return kind_block();
	case 12: return kind_file("/proc/self/ns/net", O_RDONLY);
	case 13: return kind_file("/proc/self/mem", O_RDONLY);
	case 14: return kind_file("/sys/kernel/uevent_seqnum", O_RDONLY);
	case 15: return zt_open(0);
	case 16: return eventfd(1, EFD_CLOEXEC);
	case 17: return epoll_create1(EPOLL_CLOEXEC);
	case 18: return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	case 19: return inotify_init1(IN_CLOEXEC);
	case 20: return signal_fd();
	case 21: return fanotify_init(FAN_CLOEXEC, O_RDONLY);
	case 22: return syscall(SYS_pidfd_open, getpid(), 0);
	case 23: return syscall(SYS_userfaultfd, O_CLOEXEC);
	case 24: return syscall(SYS_fsopen, "tmpfs", 0);
	case 25: return kind_uring();
	case 26: return kind_perf();
	case 27: return kind_landlock();
	case 28: return kind_bpf();
	case 29: return unix_end(SOCK_STREAM);
	case 30: return unix_end(SOCK_DGRAM);
	case 31: return unix_end(SOCK_SEQPACKET);
	case 32: return socket(AF_INET, SOCK_DGRAM, 0);
	case 33: return socket(AF_INET6, SOCK_DGRAM, 0);
	case 34: return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	case 35: return socket(AF_PACKET, SOCK_RAW, 0);
	case 36: return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	case 37: return socket(AF_ALG, SOCK_SEQPACKET, 0);
	case 38: return socket(AF_VSOCK, SOCK_STREAM, 0);
	case 39: return socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);
	case 40: return socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	case 41: return socket(AF_KCM, SOCK_DGRAM, 0);
	case 42: return socket(AF_TIPC, SOCK_STREAM, 0);
	case 43: return socket(AF_RXRPC, SOCK_DGRAM, PF_INET);
	case 44: return socket(AF_BLUETOOTH, SOCK_RAW, 1);
	case 45: return socket(AF_CAN, SOCK_RAW, 1);
	default: return -2;
	}
}

/* None of them is a file with a page cache: the errno is one of the contract's. */
TEST_F(fds, every_kind_as_source)
{
	unsigned int n, seen = 0;
	int fd, by_job, by_xfer;

	for (n = 0; (fd = kind(n)) != -2; n++) {
		if (fd < 0)
			continue;
		seen++;
		by_job = try_source(self, fd);
		by_xfer = try_xfer(self, fd, self->conn.tx);
		EXPECT_EQ(by_job, by_xfer) TH_LOG("kind %u", n);
		EXPECT_TRUE(by_job == -EINVAL || by_job == -EOPNOTSUPP || by_job == -EISDIR ||
			    by_job == -EBADF || by_job == -EACCES)
			TH_LOG("kind %u: %d", n, by_job);
		close(fd);
	}
	EXPECT_GE(seen, 25);
}

TEST_F(fds, every_kind_as_target)
{
	unsigned int n, seen = 0;
	int fd, by_link, by_xfer;

	for (n = 0; (fd = kind(n)) != -2; n++) {
		if (fd < 0)
			continue;
		seen++;
		by_link = try_link(self, fd);
		by_xfer = try_xfer(self, self->file, fd);
		EXPECT_EQ(by_link, by_xfer) TH_LOG("kind %u", n);
		EXPECT_TRUE(by_link == -ENOTSOCK || by_link == -EOPNOTSUPP || by_link == -EBADF)
			TH_LOG("kind %u: %d", n, by_link);
		close(fd);
	}
	EXPECT_GE(seen, 25);
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
