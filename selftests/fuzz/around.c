// SPDX-License-Identifier: GPL-2.0-only
/* Operations on what is around zcp: sockets, files, devices, processes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

static int result(long ret)
{
	return ret < 0 ? -errno : 0;
}

int fz_op_connect(struct fz_worker *w, const struct fz_op *op)
{
	return fz_connect(op->arg[0] % FZ_SOCKS, op->arg[1]);
}

/* What the other end does. */
int fz_op_peer(struct fz_worker *w, const struct fz_op *op)
{
	unsigned int sock = op->arg[0] % FZ_SOCKS;
	struct linger now = { 1, 0 };

	if (!fz->rx[sock].live)
		return FZ_SKIP;
	switch (op->arg[1] % 6) {
	case 0:
	case 1:
		/* A reset, or the end of the stream. */
		if (op->arg[1] % 6 == 0)
			setsockopt(FD_RX + sock, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		fz->rx[sock].live = false;
		return result(dup2(FD_NULL, FD_RX + sock));
	case 2:
		return result(shutdown(FD_RX + sock, SHUT_RD));
	default:
		return result(shutdown(FD_RX + sock, SHUT_WR));
	}
}

int fz_op_pace(struct fz_worker *w, const struct fz_op *op)
{
	fz->rx[op->arg[0] % FZ_SOCKS].pace = op->arg[1] % 8 < 4 ? FZ_FAST :
					     op->arg[1] % 8 < 6 ? FZ_SLOW : FZ_STALLED;
	return 0;
}

int fz_op_sock_close(struct fz_worker *w, const struct fz_op *op)
{
	return result(dup2(FD_NULL, FD_TX + op->arg[0] % FZ_SOCKS));
}

int fz_op_sock_write(struct fz_worker *w, const struct fz_op *op)
{
	unsigned char *at = w->arena + FZ_AT_BYTES;
	unsigned int sock = op->arg[0] % FZ_SOCKS;
	size_t len = op->arg[1] % 8192;

	memset(at, 0x10 | (op->arg[2] & 15), len);
	fz->rx[sock].mixed = true;
	return result(send(FD_TX + sock, at, len, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int fz_op_sock_option(struct fz_worker *w, const struct fz_op *op)
{
	static const struct {
		int level;
		int name;
		int mask;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { IPPROTO_TCP, TCP_CORK, 1 },
		{ SOL_SOCKET, SO_SNDBUF, 0xfffff }, { SOL_SOCKET, SO_MAX_PACING_RATE, 0x7ffffff },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0xffff }, { IPPROTO_TCP, TCP_USER_TIMEOUT, 0xff },
		{ SOL_SOCKET, SO_ZEROCOPY, 1 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_MAXSEG, 0x3ff }, { SOL_SOCKET, SO_SNDTIMEO, 0 },
	};
	unsigned int i = op->arg[1] % (sizeof(options) / sizeof(options[0]) + 1);
	int fd = FD_TX + op->arg[0] % FZ_SOCKS, value;

	/* An upper layer, without keys: nothing is encrypted. */
	if (i == sizeof(options) / sizeof(options[0])) {
		if (op->arg[2] % 8)
			return FZ_SKIP;
		return result(setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 3));
	}
	value = op->arg[2] & options[i].mask;
	return result(setsockopt(fd, options[i].level, options[i].name, &value, sizeof(value)));
}

int fz_op_sock_shutdown(struct fz_worker *w, const struct fz_op *op)
{
	return result(shutdown(FD_TX + op->arg[0] % FZ_SOCKS, op->arg[1] % 3));
}

int fz_op_sock_disconnect(struct fz_worker *w, const struct fz_op *op)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return result(connect(FD_TX + op->arg[0] % FZ_SOCKS, &none, sizeof(none)));
}

/* Regular files of the pool: those that are not too large to be filled again. */
static int any_file(uint32_t arg)
{
	int file = arg % FZ_FILES;

	fz->dirty_files |= 1U << file;
	return file;
}

static uint64_t any_offset(uint32_t arg, uint64_t size)
{
	static const uint64_t at[] = { 0, 1, 4095, 4096, 4097, 65536, 262144 };

	if (arg % 4 == 0)
		return at[arg / 4 % (sizeof(at) / sizeof(at[0]))];
	return size ? arg / 4 % size : 0;
}

int fz_op_truncate(struct fz_worker *w, const struct fz_op *op)
{
	int file = any_file(op->arg[0]);
	uint64_t size = fz_file_size(file);

	if (op->arg[2] % 8 == 0)
		size += 100000;
	fz->nr_tiny++;
	return result(ftruncate(FD_FILE + file, any_offset(op->arg[1], size)));
}

/* Always the bytes that belong there. */
int fz_op_write(struct fz_worker *w, const struct fz_op *op)
{
	int file = any_file(op->arg[0]);
	uint64_t off = any_offset(op->arg[1], 1200000);
	unsigned char *at = w->arena + FZ_AT_BYTES;
	size_t len = op->arg[2] % 8192;

	fz_pattern(at, file, off, len);
	return result(pwrite(FD_FILE + file, at, len, off));
}

int fz_op_punch(struct fz_worker *w, const struct fz_op *op)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, 0,
		FALLOC_FL_KEEP_SIZE,
	};
	int file = any_file(op->arg[0]);
	uint64_t size = fz_file_size(file);

	if (size > 4 << 20)
		size = 4 << 20;
	fz->nr_tiny++;
	return result(fallocate(FD_FILE + file, modes[op->arg[2] % 4], any_offset(op->arg[1], size),
				1 + op->arg[3] % 300000));
}

/* The name goes, whoever has it open; a new file takes its place. */
int fz_op_new_file(struct fz_worker *w, const struct fz_op *op)
{
	int file = any_file(op->arg[0]);
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/new%d", fz_dir, w->tid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	fz_fill_file(fd, file, 0, 1 + op->arg[1] % 200000);
	ret = result(dup2(fd, FD_FILE + file));
	close(fd);
	unlink(path);
	return ret;
}

int fz_op_reopen(struct fz_worker *w, const struct fz_op *op)
{
	static const int flags[] = {
		O_RDONLY, O_RDWR, O_RDWR | O_DIRECT, O_WRONLY, O_PATH, O_RDWR | O_NONBLOCK,
		O_RDONLY | O_NOATIME, O_RDWR | O_SYNC,
	};
	int file = any_file(op->arg[0]);
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", FD_FILE + file);
	fd = open(path, flags[op->arg[1] % 8] | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = result(dup2(fd, FD_FILE + file));
	close(fd);
	return ret;
}

int fz_op_advise(struct fz_worker *w, const struct fz_op *op)
{
	int fd = FD_FILE + op->arg[0] % FZ_FILES;

	switch (op->arg[1] % 8) {
	case 0:
		return result(fsync(fd));
	case 1:
		return result(readahead(fd, op->arg[2] % 1000000, 100000));
	default:
		/* Clean pages of a disk's files go, the next read is a read. */
		fdatasync(fd);
		errno = posix_fadvise(fd, 0, 0, op->arg[1] % 8 < 6 ? POSIX_FADV_DONTNEED :
				      op->arg[2] % 6);
		return -errno;
	}
}

int fz_op_map(struct fz_worker *w, const struct fz_op *op)
{
	int file = any_file(op->arg[0]);
	uint64_t size = fz_file_size(file);
	unsigned char sum = 0;
	size_t len = 65536, i;
	unsigned char *map;

	if (size < len)
		return FZ_SKIP;
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, FD_FILE + file, 0);
	if (map == MAP_FAILED)
		return -errno;
	/* Not by hand: it may be truncated, and that is a signal. */
	i = mincore(map, len, w->arena + FZ_AT_BYTES);
	sum += i;
	madvise(map, len, op->arg[1] & 1 ? MADV_WILLNEED : MADV_COLD);
	madvise(map, len, MADV_POPULATE_READ);
	munmap(map, len);
	return 0;
}

int fz_op_route(struct fz_worker *w, const struct fz_op *op)
{
	fz->dirty_net = true;
	return fz_route(op->arg[0]);
}

static int device_ioctl(const char *name, unsigned int nr, struct ifreq *req)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	strcpy(req->ifr_name, name);
	ret = result(ioctl(fd, nr, req));
	close(fd);
	return ret;
}

int fz_op_device(struct fz_worker *w, const struct fz_op *op)
{
	struct ifreq req = {};

	fz->dirty_net = true;
	if (op->arg[0] % 2) {
		req.ifr_flags = op->arg[1] % 4 ? IFF_UP : 0;
		return device_ioctl("fz0", SIOCSIFFLAGS, &req);
	}
	req.ifr_mtu = op->arg[1] % 3 ? 1500 : 600 + op->arg[1] % 8000;
	return device_ioctl("fz0", SIOCSIFMTU, &req);
}

int fz_op_features(struct fz_worker *w, const struct fz_op *op)
{
	static const uint32_t what[] = {
		ETHTOOL_SSG, ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO,
	};
	struct ethtool_value value = { .cmd = what[op->arg[0] % 5], .data = op->arg[1] & 1 };
	struct ifreq req = { .ifr_data = (void *)&value };

	fz->dirty_net = true;
	return device_ioctl(op->arg[0] / 8 % 4 ? "fz0" : "lo", SIOCETHTOOL, &req);
}

int fz_op_signal(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_worker *to = &fz->worker[op->arg[0] % FZ_WORKERS];

	if (!to->tid || to->done)
		return FZ_SKIP;
	return result(syscall(SYS_tgkill, to->tgid, to->tid, SIGUSR1));
}

/* A child has all descriptors too, and may be the last to close them. */
int fz_op_fork(struct fz_worker *w, const struct fz_op *op)
{
	struct zcp_info info = { .size = sizeof(info) };
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		fz_sleep_us(op->arg[0] % 8192);
		ioctl(FD_CTX + op->arg[1] % FZ_CTXS, ZCP_IOC_INFO, &info);
		_exit(0);
	}
	if (op->arg[2] & 1)
		waitpid(pid, NULL, 0);
	return 0;
}

int fz_op_sleep(struct fz_worker *w, const struct fz_op *op)
{
	/* A tick may be long: mostly others just get their turn. */
	if (op->arg[1] % 8)
		sched_yield();
	else
		fz_sleep_us(op->arg[0] % 6000);
	return 0;
}

int fz_op_parameter(struct fz_worker *w, const struct fz_op *op)
{
	static const struct {
		const char *name;
		unsigned int value[4];
	} params[] = {
		{ "max_jobs", { 1, 5, 20, 65536 } }, { "max_links", { 1, 2, 4, 16384 } },
		{ "max_user_jobs", { 2, 10, 100, 262144 } },
		{ "max_segments", { 1, 3, 1024, 256 } }, { "max_batch", { 1, 2, 8, 4096 } },
		{ "max_inline_total", { 0, 1000, 50000, 1 << 26 } },
		{ "max_inflight", { 0, 1, 2, 4096 } },
		{ "max_user_inflight", { 0, 1, 4, 16384 } },
		{ "small_bytes", { 0, 1, 100000, 2048 } }, { "quota_bytes", { 0, 1, 5000, 65536 } },
		{ "readahead_kb", { 0, 4, 128, 8192 } }, { "progress_ms", { 0, 1, 50, 1000 } },
		{ "tight_ms", { 0, 1, 10000, 200 } },
	};
	unsigned int i = op->arg[0] % (sizeof(params) / sizeof(params[0]));
	char path[96], text[16];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/module/zcp/parameters/%s", params[i].name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fz->dirty_params = true;
	snprintf(text, sizeof(text), "%u", params[i].value[op->arg[1] % 4]);
	ret = result(write(fd, text, strlen(text)));
	close(fd);
	return ret;
}

/* Another worker's structures change while the kernel reads them. */
int fz_op_scribble(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_worker *to = &fz->worker[op->arg[0] % FZ_WORKERS];
	uint64_t rng = op->arg[2];
	int i;

	if (to == w || op->arg[1] % 8)
		return FZ_SKIP;
	fz->loose_bytes = true;
	fz->loose_jobs = true;
	fz->scribbling = true;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < 2000; i++) {
		uint64_t r = fz_random(&rng);
		size_t at = r % 8 < 3 ? (r >> 8) % 128 : FZ_AT_JOBS + (r >> 8) % 512;

		if (r % 8 > 5)
			at = FZ_AT_SEGS + (r >> 8) % 512;
		*(volatile uint32_t *)(to->arena + (at & ~3UL)) = r >> 40;
	}
	return 0;
}
