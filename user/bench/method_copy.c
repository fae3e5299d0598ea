// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways to send that copy: read and send, mmap and send.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "method.h"

struct copier {
	int sock;
	size_t size;
	char *buf;
};

static void *open_size(int sock, size_t size)
{
	struct copier *c = allocate(sizeof(*c));

	c->sock = sock;
	c->size = size;
	c->buf = size ? allocate_pages(size) : NULL;
	return c;
}

static void *open_64k(int sock)
{
	return open_size(sock, 64 << 10);
}

static void *open_1m(int sock)
{
	return open_size(sock, 1 << 20);
}

static void *open_mmap(int sock)
{
	return open_size(sock, 0);
}

static void copier_close(void *state)
{
	struct copier *c = state;

	free(c->buf);
	free(c);
}

/* The header and what follows it, with one call when the socket has room. */
static void send_two(int sock, const void *hdr, size_t hdr_len, const void *data, size_t len,
		     int flags)
{
	struct iovec iov[2] = { { (void *)hdr, hdr_len }, { (void *)data, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (!hdr_len) {
		send_all(sock, data, len, flags);
		return;
	}
	do
		n = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		die_errno(errno, "sendmsg");
	if ((size_t)n < hdr_len) {
		send_all(sock, (const char *)hdr + n, hdr_len - n, MSG_MORE);
		n = hdr_len;
	}
	n -= hdr_len;
	send_all(sock, (const char *)data + n, len - n, flags);
}

static void read_send(void *state, const struct file *f, uint64_t off, uint64_t len,
		      const void *hdr, size_t hdr_len)
{
	struct copier *c = state;
	ssize_t n;

	do {
		n = pread(f->fd, c->buf, len < c->size ? len : c->size, off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (!n && len))
			die_errno(n ? errno : ENODATA, "read");
		off += n;
		len -= n;
		send_two(c->sock, hdr, hdr_len, c->buf, n, len ? MSG_MORE : 0);
		hdr_len = 0;
	} while (len);
}

static void mmap_send(void *state, const struct file *f, uint64_t off, uint64_t len,
		      const void *hdr, size_t hdr_len)
{
	struct copier *c = state;
	struct window w;

	if (!len)
		send_all(c->sock, hdr, hdr_len, 0);
	for (; len; off += w.len, len -= w.len) {
		window_map(&w, f, off, len);
		send_two(c->sock, hdr, hdr_len, w.data, w.len, len > w.len ? MSG_MORE : 0);
		window_unmap(&w);
		hdr_len = 0;
	}
}

static void finish(void *state)
{
	(void)state;
}

const struct method method_read_send_64k = {
	"read-send-64k", never_missing, open_64k, read_send, finish, copier_close,
};

const struct method method_read_send_1m = {
	"read-send-1m", never_missing, open_1m, read_send, finish, copier_close,
};

const struct method method_mmap_send = {
	"mmap-send", never_missing, open_mmap, mmap_send, finish, copier_close,
};
