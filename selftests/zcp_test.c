// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the C tests of zcp share; zcp_test.h says what each function is for.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/sockios.h>
#include <linux/tcp.h>

#include "zcp_test.h"

void zt_die_at(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "# %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
	abort();
}

uint64_t zt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void zt_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

int zt_run(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	zt_need(n > 0 && n < (int)sizeof(cmd));
	return system(cmd);
}

uint64_t zt_parameter(const char *name, uint64_t value)
{
	unsigned long long was;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/zcp/parameters/%s", name);
	f = fopen(path, "r+e");
	if (!f || fscanf(f, "%llu", &was) != 1)
		zt_die("%s: errno %d", path, errno);
	rewind(f);
	if (fprintf(f, "%llu", (unsigned long long)value) < 0 || fclose(f))
		zt_die("%s = %llu: errno %d", path, (unsigned long long)value, errno);
	return was;
}

int zt_refs(void)
{
	FILE *f = fopen("/sys/module/zcp/refcnt", "re");
	int n;

	if (!f)
		zt_die("/sys/module/zcp/refcnt: no zcp module is loaded");
	zt_need(fscanf(f, "%d", &n) == 1);
	fclose(f);
	return n;
}

static int zt_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	zt_need(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

void zt_box_open(struct zt_box *box, int mtu)
{
	struct rlimit lim = { 16384, 16384 };

	zt_need(!setrlimit(RLIMIT_NOFILE, &lim));
	box->refs = zt_refs();
	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		zt_die("unshare: errno %d (the tests need root)", errno);
	zt_need(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(box->dir, sizeof(box->dir), "/tmp/zcp-test.XXXXXX");
	zt_need(mkdtemp(box->dir));
	zt_need(!mount("zcp-test", box->dir, "tmpfs", 0, "mode=0700"));
	if (zt_run("ip link set lo mtu %d up", mtu))
		zt_die("ip link set lo up failed: is iproute2 installed?");
	box->fds = zt_count_fds();
}

int zt_box_close(struct zt_box *box)
{
	int fds = zt_count_fds();
	int i, refs, left = 0;
	bool mounted = true;

	if (fds != box->fds) {
		fprintf(stderr, "# left behind: %d descriptors, were %d\n", fds, box->fds);
		left++;
	}
	/* The last reference to a file may be dropped by a worker. */
	for (i = 0; i < ZT_PATIENCE * 10; i++) {
		if (mounted)
			mounted = umount(box->dir);
		refs = zt_refs();
		/* Less: a test before this one was killed, and is gone now. */
		if (!mounted && refs <= box->refs)
			break;
		zt_sleep_ms(100);
	}
	if (mounted) {
		fprintf(stderr, "# left behind: a file of the test (umount: EBUSY)\n");
		left++;
	} else {
		rmdir(box->dir);
	}
	if (refs > box->refs) {
		fprintf(stderr, "# left behind: module refcount %d, was %d\n", refs, box->refs);
		left++;
	}
	return left;
}

static socklen_t zt_loopback(int family, struct sockaddr_storage *ss, int port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *in = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = family;
	if (family == AF_INET6) {
		in6->sin6_addr = in6addr_loopback;
		in6->sin6_port = port;
		return sizeof(*in6);
	}
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->sin_port = port;
	return sizeof(*in);
}

int zt_listen(int family, int rcvbuf)
{
	struct sockaddr_storage ss;
	socklen_t len = zt_loopback(family, &ss, 0);
	int one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	zt_need(fd >= 0);
	zt_need(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	if (rcvbuf)
		zt_need(!setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)));
	zt_need(!bind(fd, (struct sockaddr *)&ss, len));
	zt_need(!listen(fd, 4096));
	return fd;
}

void zt_connect_to(struct zt_conn *conn, int listener, int sndbuf)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	zt_need(!getsockname(listener, (struct sockaddr *)&ss, &len));
	conn->tx = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	zt_need(conn->tx >= 0);
	if (sndbuf)
		zt_need(!setsockopt(conn->tx, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf,
				    sizeof(sndbuf)));
	zt_need(!connect(conn->tx, (struct sockaddr *)&ss, len));
	conn->rx = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	zt_need(conn->rx >= 0);
}

void zt_connect(struct zt_conn *conn, int sndbuf, int rcvbuf)
{
	int listener = zt_listen(AF_INET, rcvbuf);

	zt_connect_to(conn, listener, sndbuf);
	close(listener);
}

void zt_connect_blocking(struct zt_conn *conn)
{
	zt_connect(conn, 32 * ZT_KIB, 32 * ZT_KIB);
}

void zt_connect_holding(struct zt_conn *conn)
{
	zt_connect(conn, 4 * ZT_MIB, 32 * ZT_KIB);
}

void zt_close(struct zt_conn *conn)
{
	if (conn->tx >= 0)
		close(conn->tx);
	if (conn->rx >= 0)
		close(conn->rx);
	conn->tx = -1;
	conn->rx = -1;
}

void zt_reset(int fd)
{
	struct linger now = { 1, 0 };

	zt_need(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(fd);
}

uint64_t zt_unacked(int fd)
{
	int n = -1;

	zt_need(!ioctl(fd, SIOCOUTQ, &n) && n >= 0);
	return n;
}

uint64_t zt_tcp_acked(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	zt_need(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_bytes_acked;
}

static uint64_t zt_word(uint64_t seed, uint64_t index)
{
	uint64_t z = index * 0x9e3779b97f4a7c15ULL + seed * 0xd1b54a32d192ed03ULL + 1;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

void zt_pattern(void *buf, uint64_t seed, uint64_t off, size_t len)
{
	unsigned char *p = buf;

	while (len) {
		uint64_t word = zt_word(seed, off / 8);
		size_t skip = off % 8;
		size_t n = 8 - skip < len ? 8 - skip : len;

		memcpy(p, (unsigned char *)&word + skip, n);
		p += n;
		off += n;
		len -= n;
	}
}

ssize_t zt_mismatch(const void *buf, size_t len, uint64_t seed, uint64_t off)
{
	const unsigned char *p = buf;
	unsigned char want[4096];
	size_t done = 0;

	while (done < len) {
		size_t n = len - done < sizeof(want) ? len - done : sizeof(want);
		size_t i;

		zt_pattern(want, seed, off + done, n);
		if (memcmp(want, p + done, n)) {
			for (i = 0; p[done + i] == want[i]; i++)
				;
			return done + i;
		}
		done += n;
	}
	return -1;
}

void zt_fill(int fd, uint64_t seed, uint64_t off, uint64_t len)
{
	static const size_t chunk = 256 * ZT_KIB;
	char *buf = malloc(chunk);

	zt_need(buf);
	while (len) {
		size_t n = len < chunk ? len : chunk;

		zt_pattern(buf, seed, off, n);
		zt_need(pwrite(fd, buf, n, off) == (ssize_t)n);
		off += n;
		len -= n;
	}
	free(buf);
}

int zt_file(struct zt_box *box, uint64_t seed, uint64_t len)
{
	int fd = open(box->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	zt_need(fd >= 0);
	zt_fill(fd, seed, 0, len);
	return fd;
}

static void *zt_sink_main(void *arg)
{
	struct zt_sink *s = arg;
	size_t cap = s->discard ? 256 * ZT_KIB : 0;

	if (cap)
		s->buf = malloc(cap);
	while (s->len < s->want) {
		size_t at = s->discard ? 0 : s->len;
		size_t room;
		ssize_t n;

		if (at == cap) {
			cap = cap ? cap * 2 : 64 * ZT_KIB;
			s->buf = realloc(s->buf, cap);
			zt_need(s->buf);
		}
		room = cap - at < s->want - s->len ? cap - at : s->want - s->len;
		n = read(s->fd, s->buf + at, room);
		if (n < 0) {
			s->error = errno;
			break;
		}
		if (!n) {
			s->eof = true;
			break;
		}
		s->len += n;
	}
	return NULL;
}

static void zt_sink_run(struct zt_sink *sink, int fd, size_t want, bool discard)
{
	memset(sink, 0, sizeof(*sink));
	sink->fd = fd;
	sink->want = want;
	sink->discard = discard;
	zt_need(!pthread_create(&sink->thread, NULL, zt_sink_main, sink));
}

void zt_sink_start(struct zt_sink *sink, int fd, size_t want)
{
	zt_sink_run(sink, fd, want, false);
}

void zt_sink_count(struct zt_sink *sink, int fd)
{
	zt_sink_run(sink, fd, SIZE_MAX, true);
}

void zt_sink_join(struct zt_sink *sink)
{
	zt_need(!pthread_join(sink->thread, NULL));
}

void zt_sink_free(struct zt_sink *sink)
{
	free(sink->buf);
	sink->buf = NULL;
}

uint64_t zt_drain(int fd)
{
	static char buf[64 * ZT_KIB];
	uint64_t total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += n;
	return total;
}

void zt_read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n <= 0)
			zt_die("stream ended after %zu of %zu bytes: errno %d", done, len,
			       n ? errno : 0);
		done += n;
	}
}

int zt_open(int flags)
{
	int fd = open(ZT_DEV, O_RDWR | O_CLOEXEC | flags);

	if (fd < 0)
		zt_die("%s: errno %d", ZT_DEV, errno);
	return fd;
}

void zt_info(int ctx, struct zcp_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	zt_need(!ioctl(ctx, ZCP_IOC_INFO, info));
}

uint32_t zt_link_flags(int ctx, int fd, uint32_t flags)
{
	struct zcp_link link = { .size = sizeof(link), .flags = flags, .fd = fd };

	zt_need(!ioctl(ctx, ZCP_IOC_LINK, &link));
	zt_need(link.link);
	return link.link;
}

uint32_t zt_link(int ctx, int fd)
{
	return zt_link_flags(ctx, fd, 0);
}

int zt_unlink(int ctx, uint32_t link, uint32_t *cancelled)
{
	struct zcp_unlink unlink = { .size = sizeof(unlink), .link = link };

	if (ioctl(ctx, ZCP_IOC_UNLINK, &unlink))
		return -errno;
	if (cancelled)
		*cancelled = unlink.cancelled;
	return 0;
}

struct zcp_segment zt_range(int fd, uint64_t off, uint64_t len)
{
	return (struct zcp_segment) {
		.type = ZCP_SEGMENT_FILE, .fd = fd, .addr = off, .len = len,
	};
}

struct zcp_segment zt_to_eof(int fd, uint64_t off)
{
	return (struct zcp_segment) {
		.type = ZCP_SEGMENT_FILE, .flags = ZCP_SEGMENT_TO_EOF, .fd = fd, .addr = off,
	};
}

struct zcp_segment zt_inline(const void *buf, size_t len)
{
	return (struct zcp_segment) {
		.type = ZCP_SEGMENT_INLINE, .fd = -1, .addr = (uintptr_t)buf, .len = len,
	};
}

struct zcp_job zt_job(uint32_t link, const struct zcp_segment *segs, uint32_t nr)
{
	return (struct zcp_job) {
		.size = sizeof(struct zcp_job),
		.link = link,
		.nr_segments = nr,
		.segments = (uintptr_t)segs,
	};
}

int zt_try_submit(int ctx, struct zcp_job *job)
{
	struct zcp_submit submit = {
		.size = sizeof(submit),
		.jobs = (uintptr_t)job,
		.nr_jobs = 1,
		.job_size = sizeof(*job),
	};

	if (ioctl(ctx, ZCP_IOC_SUBMIT, &submit))
		return -errno;
	if (submit.accepted != 1 || submit.error || !job->id)
		zt_die("accepted %u, error %u, id %llu", submit.accepted, submit.error, job->id);
	return 0;
}

uint64_t zt_submit(int ctx, struct zcp_job *job)
{
	int ret = zt_try_submit(ctx, job);

	if (ret)
		zt_die("ZCP_IOC_SUBMIT: errno %d", -ret);
	return job->id;
}

uint64_t zt_submit_range(int ctx, uint32_t link, int fd, uint64_t off, uint64_t len)
{
	struct zcp_segment seg = zt_range(fd, off, len);
	struct zcp_job job = zt_job(link, &seg, 1);

	return zt_submit(ctx, &job);
}

int zt_cancel(int ctx, uint64_t job, struct zcp_cancel *cancel)
{
	memset(cancel, 0, sizeof(*cancel));
	cancel->size = sizeof(*cancel);
	cancel->job = job;
	return ioctl(ctx, ZCP_IOC_CANCEL, cancel) ? -errno : 0;
}

int zt_status(int ctx, uint64_t job, struct zcp_status *status)
{
	memset(status, 0, sizeof(*status));
	status->size = sizeof(*status);
	status->job = job;
	return ioctl(ctx, ZCP_IOC_STATUS, status) ? -errno : 0;
}

int zt_state(int ctx, uint64_t job)
{
	struct zcp_status status;
	int ret = zt_status(ctx, job, &status);

	return ret ? ret : (int)status.state;
}

void zt_wait_state(int ctx, uint64_t job, uint32_t state)
{
	int i, now = 0;

	for (i = 0; i < ZT_PATIENCE * 50; i++) {
		now = zt_state(ctx, job);
		if (now == (int)state)
			return;
		if (now < 0 || now >= ZCP_STATE_DONE)
			break;
		zt_sleep_ms(20);
	}
	zt_die("job %llu: state %d, never %u", (unsigned long long)job, now, state);
}

void zt_wait_stuck(int ctx, uint64_t job)
{
	uint64_t last = UINT64_MAX;
	struct zcp_status status;

	for (;;) {
		zt_need(!zt_status(ctx, job, &status));
		if (status.bytes_sent && status.bytes_sent == last)
			return;
		last = status.bytes_sent;
		zt_sleep_ms(ZT_WATCH / 4);
	}
}

unsigned int zt_jobs(int ctx)
{
	struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };
	unsigned int n = 0;

	while (!ioctl(ctx, ZCP_IOC_STATUS, &status)) {
		n++;
		status.job++;
		status.flags = ZCP_STATUS_NEXT;
	}
	zt_need(errno == ENOENT);
	return n;
}

bool zt_readable(int ctx, int ms)
{
	struct pollfd pfd = { .fd = ctx, .events = POLLIN };
	int n = poll(&pfd, 1, ms);

	zt_need(n >= 0);
	if (n && pfd.revents != POLLIN && pfd.revents != (POLLIN | POLLRDNORM))
		zt_die("poll on a context: revents 0x%x", pfd.revents);
	return n;
}

void zt_event(int ctx, struct zcp_event *event)
{
	ssize_t n;

	if (!zt_readable(ctx, ZT_PATIENCE * 1000))
		zt_die("no event in %d seconds, %u jobs", ZT_PATIENCE, zt_jobs(ctx));
	memset(event, 0, sizeof(*event));
	n = read(ctx, event, sizeof(*event));
	if (n != sizeof(*event))
		zt_die("read of an event: %zd, errno %d", n, errno);
	if (event->size != sizeof(*event) || event->type != ZCP_EVENT_FINAL)
		zt_die("event of size %u, type %u", event->size, event->type);
}
