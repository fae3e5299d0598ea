// SPDX-License-Identifier: GPL-2.0-only
/* The world: namespaces, devices, files and descriptors that stay. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

#define SPARSE		5	/* the file that is nearly all hole */
#define SPARSE_SIZE	(5ULL << 30)

static const uint32_t sizes[FZ_FILES] = {
	1 << 20, 100003, 1 << 20, 300007, 200000, 65536, 150001, 100, 0, 500001,
};

static const char * const params[] = {
	"max_jobs", "max_links", "max_user_jobs", "max_segments", "max_batch", "max_inline_total",
	"max_inflight", "max_user_inflight", "small_bytes", "quota_bytes", "readahead_kb",
	"progress_ms", "tight_ms",
};

#define NR_PARAMS	(sizeof(params) / sizeof(params[0]))

char fz_dir[64];
static char param_values[NR_PARAMS][24];
static uint64_t file_sizes[FZ_FILES];
static char mounts[2][96];

#define need(cond) \
	do { \
		if (!(cond)) \
			fz_die("%s:%d: %s: errno %d", __FILE__, __LINE__, #cond, errno); \
	} while (0)

static void move_fd(int fd, int to)
{
	need(fd >= 0);
	need(dup2(fd, to) == to);
	close(fd);
}

/* A command, with words for its first %s. */
static bool shell(const char *fmt, const char *word)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), fmt, word);
	return !system(cmd);
}

static bool shell_all(const char * const *fmts, const char *word)
{
	while (*fmts && shell(*fmts, word))
		fmts++;
	return !*fmts;
}

static void listen_at(int sock, int kind)
{
	static const char * const addrs[FD_ADDRS] = { "127.0.0.1", "::1", "10.99.0.2", "fd99::2" };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	int fd = socket(kind & 1 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int rcvbuf = sock % 4 == 1 ? 4096 : 32768;

	need(fd >= 0);
	if (sock % 4 == 1 || sock % 4 == 2)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (kind & 1) {
		inet_pton(AF_INET6, addrs[kind], &in6.sin6_addr);
		need(!bind(fd, (void *)&in6, sizeof(in6)));
	} else {
		inet_pton(AF_INET, addrs[kind], &in.sin_addr);
		need(!bind(fd, (void *)&in, sizeof(in)));
	}
	need(!listen(fd, 64));
	move_fd(fd, FD_LISTEN + sock * FD_ADDRS + kind);
}

static void listen_all(int kinds)
{
	int sock;

	for (sock = 0; sock < FZ_SOCKS; sock++) {
		listen_at(sock, kinds);
		listen_at(sock, kinds + 1);
	}
}

/* Loopback, and a pair of veth whose other end is in a namespace of its own. */
static void make_net(void)
{
	static const char * const at_home[] = {
		"ip link set lo up", "ip link add fz0 type veth peer name fz1",
		"echo 1 >/proc/sys/net/ipv6/conf/fz0/keep_addr_on_down",
		"ip link set fz1 netns %s", "ip addr add 10.99.0.1/24 dev fz0",
		"ip addr add fd99::1/64 dev fz0 nodad", "ip link set fz0 up", NULL
	};
	static const char * const at_peer[] = {
		"ip link set lo up", "ip addr add 10.99.0.2/24 dev fz1",
		"ip addr add fd99::2/64 dev fz1 nodad", "ip link set fz1 up", NULL
	};
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), peer;
	char path[64];

	need(home >= 0 && !unshare(CLONE_NEWNET));
	peer = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	need(peer >= 0 && !setns(home, CLONE_NEWNET));
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), peer);
	need(shell_all(at_home, path));
	listen_all(0);
	need(!setns(peer, CLONE_NEWNET));
	need(shell_all(at_peer, path));
	listen_all(2);
	need(!setns(home, CLONE_NEWNET));
	close(home);
	close(peer);
}

void fz_fill_file(int fd, unsigned int file, uint64_t from, uint64_t to)
{
	static unsigned char buf[65536];

	while (from < to) {
		size_t n = to - from < sizeof(buf) ? to - from : sizeof(buf);

		fz_pattern(buf, file, from, n);
		if (pwrite(fd, buf, n, from) != (ssize_t)n)
			break;
		from += n;
	}
}

static void fill(unsigned int file)
{
	int fd = FD_FILE + file;

	need(!ftruncate(fd, 0));
	fz_fill_file(fd, file, 0, sizes[file]);
	if (file == SPARSE)
		fz_fill_file(fd, file, SPARSE_SIZE - 65536, SPARSE_SIZE);
	file_sizes[file] = file == SPARSE ? SPARSE_SIZE : sizes[file];
}

/* Some change while this is asked: near enough. */
uint64_t fz_file_size(unsigned int file)
{
	struct stat st;

	return fstat(FD_FILE + file, &st) || !S_ISREG(st.st_mode) ? 0 : st.st_size;
}

static void make_file(unsigned int file, const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/file%u", dir, file);
	move_fd(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), FD_FILE + file);
	fill(file);
}

static void make_files(void)
{
	static const char * const commands[] = {
		"cd %s && mkdir merged lower upper work ext4", "truncate -s 24M %s/image",
		"PATH=$PATH:/sbin:/usr/sbin; mkfs.ext4 -q %s/image",
		"cd %s && mount -o loop image ext4", NULL
	};
	char ext4[96], merged[96], options[400];
	unsigned int i;

	snprintf(ext4, sizeof(ext4), "%s/ext4", fz_dir);
	snprintf(merged, sizeof(merged), "%s/merged", fz_dir);
	if (shell_all(commands, fz_dir))
		strcpy(mounts[0], ext4);
	else
		printf("# no files on ext4: needs mkfs.ext4 and a loop device\n");
	snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work",
		 fz_dir, fz_dir, fz_dir);
	if (!mount("overlay", merged, "overlay", 0, options))
		strcpy(mounts[1], merged);
	else
		printf("# no file on overlayfs: the kernel lacks it\n");
	for (i = 0; i < FZ_FILES; i++) {
		if (i == 4) {
			move_fd(memfd_create("fuzz", MFD_CLOEXEC), FD_FILE + i);
			fill(i);
		} else {
			make_file(i, i == 2 || i == 3 ? ext4 : i == 6 ? merged : fz_dir);
		}
	}
}

/* Descriptors that zcp has no use for. */
static void make_odds(void)
{
	char path[128];
	int fd[2], at = FD_ODD;

	move_fd(open(fz_dir, O_RDONLY | O_DIRECTORY), at++);
	snprintf(path, sizeof(path), "%s/fifo", fz_dir);
	need(!mkfifo(path, 0600));
	move_fd(open(path, O_RDWR | O_NONBLOCK), at++);
	move_fd(open("/dev/zero", O_RDWR), at++);
	move_fd(open("/proc/self/status", O_RDONLY), at++);
	move_fd(open("/sys/module/zcp/refcnt", O_RDONLY), at++);
	snprintf(path, sizeof(path), "%s/file0", fz_dir);
	move_fd(open(path, O_PATH), at++);
	move_fd(open(path, O_WRONLY), at++);
	move_fd(socket(AF_INET, SOCK_DGRAM, 0), at++);
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	move_fd(fd[0], at++);
	move_fd(fd[1], at++);
	need(dup2(FD_LISTEN, at) == at);
	at++;
	move_fd(socket(AF_INET6, SOCK_STREAM, 0), at++);
	move_fd(eventfd(1, EFD_NONBLOCK), at++);
	move_fd(socket(AF_NETLINK, SOCK_RAW, 0), at++);
	fd[0] = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	move_fd(fd[0] >= 0 ? fd[0] : dup(FD_NULL), at++);
#ifdef SYS_memfd_secret
	fd[0] = syscall(SYS_memfd_secret, 0);
#else
	fd[0] = -1;
#endif
	move_fd(fd[0] >= 0 ? fd[0] : dup(FD_NULL), at++);
	need(at == FD_ODD + FZ_ODDS);
}

static int param_file(unsigned int i, int flags)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/module/zcp/parameters/%s", params[i]);
	return open(path, flags | O_CLOEXEC);
}

static void take_params(void)
{
	unsigned int i;

	for (i = 0; i < NR_PARAMS; i++) {
		int fd = param_file(i, O_RDONLY);

		need(fd >= 0 && read(fd, param_values[i], sizeof(param_values[i]) - 1) > 0);
		close(fd);
	}
}

static void restore_params(void)
{
	unsigned int i;

	for (i = 0; i < NR_PARAMS; i++) {
		int fd = param_file(i, O_WRONLY);

		need(fd >= 0 && write(fd, param_values[i], strlen(param_values[i])) > 0);
		close(fd);
	}
}

static void restore_net(void)
{
	static const uint32_t on[] = {
		ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO,
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;
	struct ifreq req = { .ifr_name = "fz0" };

	fz_route(0);
	req.ifr_mtu = 1500;
	ioctl(fd, SIOCSIFMTU, &req);
	req.ifr_flags = IFF_UP;
	need(!ioctl(fd, SIOCSIFFLAGS, &req));
	for (i = 0; i < 10; i++) {
		struct ethtool_value value = { .cmd = on[i % 5], .data = 1 };

		strcpy(req.ifr_name, i < 5 ? "fz0" : "lo");
		req.ifr_data = (void *)&value;
		ioctl(fd, SIOCETHTOOL, &req);
	}
	close(fd);
}

static void make_arenas(void)
{
	int fd = memfd_create("arena", MFD_CLOEXEC), i;
	size_t step = FZ_ARENA + 4096;

	need(fd >= 0 && !ftruncate(fd, FZ_WORKERS * FZ_ARENA));
	for (i = 0; i < FZ_WORKERS; i++) {
		struct fz_worker *w = &fz->worker[i];

		/* First a place with a page behind it that nothing is mapped at. */
		w->arena = mmap(NULL, step, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(w->arena != MAP_FAILED);
		need(mmap(w->arena, FZ_ARENA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			  i * FZ_ARENA) == w->arena);
		w->alias = mmap(NULL, FZ_ARENA, PROT_READ, MAP_SHARED, fd, i * FZ_ARENA);
		need(w->alias != MAP_FAILED);
	}
	close(fd);
}

void fz_world_make(void)
{
	int fd;

	need(!unshare(CLONE_NEWNET | CLONE_NEWNS));
	need(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	strcpy(fz_dir, "/tmp/zcp-fuzz.XXXXXX");
	need(mkdtemp(fz_dir));
	need(!mount("zcp-fuzz", fz_dir, "tmpfs", 0, "mode=0700"));
	move_fd(open("/dev/null", O_RDWR), FD_NULL);
	for (fd = FD_CTX; fd < FD_FILE; fd++)
		need(dup2(FD_NULL, fd) == fd);
	make_arenas();
	make_net();
	make_files();
	make_odds();
	take_params();
	fz_netlink_init();
}

void fz_world_end(void)
{
	int fd;

	restore_params();
	for (fd = FD_CTX; fd < FD_KCOV; fd++)
		close(fd);
	if (mounts[1][0])
		umount(mounts[1]);
	if (mounts[0][0] && umount(mounts[0]))
		fz_fail("a file on ext4 is still in use: errno %d", errno);
	if (umount(fz_dir))
		fz_fail("a file on tmpfs is still in use: errno %d", errno);
	rmdir(fz_dir);
}

/* As it was before the last sequence. */
void fz_world_refresh(void)
{
	unsigned int i;

	for (i = 0; i < FZ_FILES; i++) {
		if (fz->dirty_files >> i & 1)
			fill(i);
	}
	if (fz->dirty_net)
		restore_net();
	if (fz->dirty_params)
		restore_params();
	fz->dirty_files = 0;
	fz->dirty_net = false;
	fz->dirty_params = false;
}

/* What an executor has for itself. */
void fz_world_executor(void)
{
	int i;

	for (i = 0; i < FZ_NLS; i++)
		need(!fz_netlink_open(FD_NL + i));
	move_fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), FD_DONE);
}

/* The other end of @fd among those that wait to be accepted. */
static int accept_of(int listener, int fd)
{
	struct sockaddr_in6 own = {}, peer = {};
	socklen_t len = sizeof(own);
	int rx, tries;

	if (getsockname(fd, (void *)&own, &len))
		return -1;
	for (tries = 0; tries < 8; tries++) {
		rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (rx < 0)
			break;
		len = sizeof(peer);
		/* The port is at the same place for both families. */
		if (!getpeername(rx, (void *)&peer, &len) && peer.sin6_port == own.sin6_port)
			return rx;
		close(rx);
	}
	return -1;
}

static bool connected(int fd, int listener)
{
	struct sockaddr_storage ss;
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(ss);
	int error = 0, tries;

	if (getsockname(listener, (void *)&ss, &len))
		return false;
	if (!connect(fd, (void *)&ss, len))
		return true;
	for (tries = 0; tries < 5 && errno == EINPROGRESS; tries++) {
		if (poll(&pfd, 1, 20) > 0)
			break;
		errno = EINPROGRESS;
	}
	len = sizeof(error);
	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) && !error &&
	       pfd.revents & POLLOUT && !(pfd.revents & (POLLERR | POLLHUP));
}

/* A new connection, over loopback or veth, with buffers of any size. */
int fz_connect(unsigned int sock, uint32_t how)
{
	static const int bufs[] = { 0, 4096, 32768, 1 << 20 };
	unsigned int kind = how % FD_ADDRS;
	int listener = FD_LISTEN + sock * FD_ADDRS + kind, buf = bufs[how / 4 % 4];
	int fd, rx, ret = -ECONNREFUSED;

	if (atomic_fetch_or(&fz->busy_sock, 1U << sock) & 1U << sock)
		return FZ_SKIP;
	fd = socket(kind & 1 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		goto out;
	if (buf)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buf, sizeof(buf));
	if (!connected(fd, listener))
		goto out_fd;
	rx = accept_of(listener, fd);
	if (rx < 0)
		goto out_fd;
	if (how >> 8 & 1)
		fcntl(fd, F_SETFL, 0);
	fz->rx[sock].live = false;
	fz->rx[sock].gen++;
	fz->rx[sock].pace = how >> 12 & 7 ? FZ_FAST : FZ_STALLED;
	ret = dup2(rx, FD_RX + sock) < 0 || dup2(fd, FD_TX + sock) < 0 ? -errno : 0;
	fz->rx[sock].gen++;
	fz->rx[sock].live = true;
	close(rx);
out_fd:
	close(fd);
out:
	atomic_fetch_and(&fz->busy_sock, ~(1U << sock));
	return ret;
}
