// SPDX-License-Identifier: GPL-2.0-only
/*
 * sendfile, with and without reading ahead, and splice through a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "method.h"

#define PIPE_BYTES (1 << 20)
/* What one call may move. */
#define COUNT_MAX 0x7ffff000
/* How far to read ahead, and what one call does of it. */
#define AHEAD_BYTES (8 << 20)
#define AHEAD_STEP (128 << 10)

struct sender {
	int sock;
	int pipe[2];
};

static void *sendfile_open(int sock)
{
	struct sender *s = allocate(sizeof(*s));

	s->sock = sock;
	return s;
}

static void sendfile_send(void *state, const struct file *f, uint64_t off, uint64_t len,
			  const void *hdr, size_t hdr_len)
{
	struct sender *s = state;
	off_t at = off;
	ssize_t n;

	send_all(s->sock, hdr, hdr_len, len ? MSG_MORE : 0);
	while (len) {
		n = sendfile(s->sock, f->fd, &at, len < COUNT_MAX ? len : COUNT_MAX);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die_errno(n ? errno : ENODATA, "sendfile");
		len -= n;
	}
}

uint64_t ask_ahead(const struct file *f, uint64_t asked, uint64_t off, uint64_t end)
{
	for (; asked < end && asked < off + AHEAD_BYTES; asked += AHEAD_STEP)
		posix_fadvise(f->fd, asked, AHEAD_STEP, POSIX_FADV_WILLNEED);
	return asked;
}

/* What an expert adds to sendfile: reading ahead, as much as one call does, again and again. */
static void ahead_send(void *state, const struct file *f, uint64_t off, uint64_t len,
		       const void *hdr, size_t hdr_len)
{
	uint64_t asked = off, end = off + len, n;

	for (; off < end; off += n) {
		asked = ask_ahead(f, asked, off, end);
		n = end - off < AHEAD_PIECE ? end - off : AHEAD_PIECE;
		sendfile_send(state, f, off, n, hdr, hdr_len);
		hdr_len = 0;
	}
}

static void finish(void *state)
{
	(void)state;
}

static void *splice_open(int sock)
{
	struct sender *s = allocate(sizeof(*s));

	s->sock = sock;
	if (pipe2(s->pipe, O_CLOEXEC))
		die_errno(errno, "pipe");
	if (fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
		die_errno(errno, "F_SETPIPE_SZ");
	return s;
}

static void splice_close(void *state)
{
	struct sender *s = state;

	close(s->pipe[0]);
	close(s->pipe[1]);
	free(s);
}

/* @more: more of the file will follow what is in the pipe. */
static void drain(struct sender *s, size_t len, bool more)
{
	ssize_t n;

	while (len) {
		n = splice(s->pipe[0], NULL, s->sock, NULL, len, more ? SPLICE_F_MORE : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die_errno(n ? errno : EIO, "splice to the socket");
		len -= n;
	}
}

static void splice_send(void *state, const struct file *f, uint64_t off, uint64_t len,
			const void *hdr, size_t hdr_len)
{
	struct sender *s = state;
	loff_t at = off;
	ssize_t n;

	send_all(s->sock, hdr, hdr_len, len ? MSG_MORE : 0);
	while (len) {
		n = splice(f->fd, &at, s->pipe[1], NULL, len < PIPE_BYTES ? len : PIPE_BYTES,
			   SPLICE_F_MOVE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die_errno(n ? errno : ENODATA, "splice from the file");
		len -= n;
		drain(s, n, len);
	}
}

const struct method method_sendfile = {
	"sendfile", never_missing, sendfile_open, sendfile_send, finish, free,
};

const struct method method_sendfile_ahead = {
	"sendfile-ahead", never_missing, sendfile_open, ahead_send, finish, free,
};

const struct method method_splice = {
	"splice", never_missing, splice_open, splice_send, finish, splice_close,
};
