// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring: linked splices through a pipe, and sends from registered buffers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "method.h"

#ifdef HAVE_LIBURING

#include <liburing.h>

#define ENTRIES 128

static void ring_init(struct io_uring *ring)
{
	int ret;

	/* Completions run in this thread, when it asks for them; Linux 6.1. */
	ret = io_uring_queue_init(ENTRIES, ring,
				  IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (ret == -EINVAL)
		ret = io_uring_queue_init(ENTRIES, ring, 0);
	if (ret)
		die_errno(ret, "io_uring");
}

static struct io_uring_sqe *get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		die("io_uring: the submission queue is full");
	return sqe;
}

static void submit_and_wait(struct io_uring *ring, unsigned int wait)
{
	int ret;

	do
		ret = io_uring_submit_and_wait(ring, wait);
	while (ret == -EINTR);
	if (ret < 0)
		die_errno(ret, "io_uring");
}

/* Has @take see the completions that are there; returns their number. */
static unsigned int take_all(struct io_uring *ring,
			     void (*take)(void *arg, const struct io_uring_cqe *cqe), void *arg)
{
	struct io_uring_cqe *cqes[ENTRIES];
	unsigned int n = io_uring_peek_batch_cqe(ring, cqes, ENTRIES);

	for (unsigned int i = 0; i < n; i++)
		take(arg, cqes[i]);
	io_uring_cq_advance(ring, n);
	return n;
}

static const char *uring_missing(int opcode)
{
	struct io_uring_probe *probe;
	struct io_uring ring;
	bool has;
	int ret;

	ret = io_uring_queue_init(2, &ring, 0);
	if (ret)
		return "this kernel lacks io_uring, or forbids it (kernel.io_uring_disabled)";
	probe = io_uring_get_probe_ring(&ring);
	has = probe && io_uring_opcode_supported(probe, opcode);
	if (probe)
		io_uring_free_probe(probe);
	io_uring_queue_exit(&ring);
	return has ? NULL : "this kernel's io_uring lacks it";
}

/*
 * uring-splice: chains of file to pipe, pipe to socket, file to pipe ... which
 * the kernel walks through without this thread. A short splice ends a chain.
 */

#define PIPE_BYTES (1 << 20)
/* Chunks of one chain: many, as nothing moves between two chains. */
#define CHUNKS 32

enum {
	FROM_HEADER = 1,
	FROM_FILE,
	FROM_PIPE
};

struct uring_splice {
	struct io_uring ring;
	int sock;
	int pipe[2];
};

static const char *splice_missing(void)
{
	return uring_missing(IORING_OP_SPLICE);
}

static void *splice_open(int sock)
{
	struct uring_splice *s = allocate(sizeof(*s));

	s->sock = sock;
	ring_init(&s->ring);
	if (pipe2(s->pipe, O_CLOEXEC))
		die_errno(errno, "pipe");
	if (fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) < 0)
		die_errno(errno, "F_SETPIPE_SZ");
	return s;
}

static void splice_close(void *state)
{
	struct uring_splice *s = state;

	io_uring_queue_exit(&s->ring);
	close(s->pipe[0]);
	close(s->pipe[1]);
	free(s);
}

static void prep_drain(struct uring_splice *s, size_t len, bool more, unsigned int flags)
{
	struct io_uring_sqe *sqe = get_sqe(&s->ring);

	io_uring_prep_splice(sqe, s->pipe[0], -1, s->sock, -1, len, more ? SPLICE_F_MORE : 0);
	io_uring_sqe_set_flags(sqe, flags);
	io_uring_sqe_set_data64(sqe, FROM_PIPE);
}

/* What is left to do, by completions. */
struct splice_state {
	uint64_t off;
	uint64_t len;
	size_t in_pipe;
	const char *hdr;
	size_t hdr_len;
};

/* As much as fits; returns the number of requests. */
static unsigned int prep_chain(struct uring_splice *s, const struct file *f,
			       const struct splice_state *left)
{
	uint64_t off = left->off, len = left->len;
	struct io_uring_sqe *sqe;
	unsigned int n = 0;
	size_t size;

	if (left->hdr_len) {
		sqe = get_sqe(&s->ring);
		io_uring_prep_send(sqe, s->sock, left->hdr, left->hdr_len,
				   MSG_WAITALL | MSG_NOSIGNAL | (len ? MSG_MORE : 0));
		io_uring_sqe_set_flags(sqe, len ? IOSQE_IO_LINK : 0);
		io_uring_sqe_set_data64(sqe, FROM_HEADER);
		n++;
	}
	if (left->in_pipe) {
		prep_drain(s, left->in_pipe, len, len ? IOSQE_IO_LINK : 0);
		n++;
	}
	for (int i = 0; i < CHUNKS && len; i++) {
		/* A pipe has room for so many pages, whole or not. */
		size = PIPE_BYTES - off % 4096;
		if (size > len)
			size = len;
		sqe = get_sqe(&s->ring);
		io_uring_prep_splice(sqe, f->fd, off, s->pipe[1], -1, size, SPLICE_F_MOVE);
		io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		io_uring_sqe_set_data64(sqe, FROM_FILE);
		off += size;
		len -= size;
		prep_drain(s, size, len, len && i + 1 < CHUNKS ? IOSQE_IO_LINK : 0);
		n += 2;
	}
	return n;
}

static void take_splice(void *arg, const struct io_uring_cqe *cqe)
{
	struct splice_state *left = arg;
	int res = cqe->res;

	if (res == -ECANCELED || res == -EINTR)
		return;
	if (res < 0)
		die_errno(res, "io_uring splice");
	switch (io_uring_cqe_get_data64(cqe)) {
	case FROM_HEADER:
		left->hdr += res;
		left->hdr_len -= res;
		break;
	case FROM_FILE:
		if (!res)
			die_errno(ENODATA, "io_uring splice");
		left->off += res;
		left->len -= res;
		left->in_pipe += res;
		break;
	case FROM_PIPE:
		left->in_pipe -= res;
		break;
	}
}

static void splice_send(void *state, const struct file *f, uint64_t off, uint64_t len,
			const void *hdr, size_t hdr_len)
{
	struct splice_state left = { off, len, 0, hdr, hdr_len };
	struct uring_splice *s = state;
	unsigned int n;

	while (left.len || left.in_pipe || left.hdr_len) {
		n = prep_chain(s, f, &left);
		for (; n; n -= take_all(&s->ring, take_splice, &left))
			submit_and_wait(&s->ring, n);
	}
}

/*
 * uring-send-zc: reads into registered buffers run ahead of the socket; what
 * has been read goes out in order, one chain of sends at a time; a buffer is
 * free when its notification has come.
 */

#define BUFFERS 16
#define BUFFER_BYTES (256 << 10)

enum buffer_state {
	FREE,
	READING,
	READY,
	SENDING,
	NOTIFYING
};

struct buffer {
	enum buffer_state state;
	int fd;
	uint64_t off;	/* of the file's first byte in it */
	size_t hdr_len; /* in front of the file's bytes */
	size_t len;	/* all of it */
	size_t got;	/* of @len, what is there */
	bool result;	/* the send's completion has come */
	bool released;	/* its notification has, or will not */
};

struct uring_zc {
	struct io_uring ring;
	int sock;
	char *memory;
	struct buffer buffers[BUFFERS];
	unsigned int fill;    /* the next buffer to read into */
	unsigned int drain;   /* the next one to send */
	unsigned int sending; /* sends of the chain without a result */
	unsigned int unsent;  /* buffers with bytes that are not in the send queue */
	unsigned int busy;    /* buffers that are not free */
};

static const char *zc_missing(void)
{
	return uring_missing(IORING_OP_SEND_ZC);
}

static void *zc_open(int sock)
{
	struct uring_zc *z = allocate(sizeof(*z));
	struct iovec iov[BUFFERS];
	int ret;

	z->sock = sock;
	ring_init(&z->ring);
	z->memory = allocate_pages(BUFFERS * BUFFER_BYTES);
	for (int i = 0; i < BUFFERS; i++) {
		iov[i].iov_base = z->memory + i * BUFFER_BYTES;
		iov[i].iov_len = BUFFER_BYTES;
	}
	ret = io_uring_register_buffers(&z->ring, iov, BUFFERS);
	if (ret)
		die_errno(ret, "io_uring: registering buffers");
	return z;
}

static void zc_close(void *state)
{
	struct uring_zc *z = state;

	io_uring_queue_exit(&z->ring);
	free(z->memory);
	free(z);
}

static void prep_read(struct uring_zc *z, unsigned int i)
{
	struct io_uring_sqe *sqe = get_sqe(&z->ring);
	struct buffer *b = &z->buffers[i];

	io_uring_prep_read_fixed(sqe, b->fd, z->memory + i * BUFFER_BYTES + b->got, b->len - b->got,
				 b->off + b->got - b->hdr_len, i);
	io_uring_sqe_set_data64(sqe, i);
	b->state = READING;
}

static bool is_coming(const struct buffer *b)
{
	return b->state == READING || b->state == READY;
}

/* All that is ready, unless a chain is under way. @more of the file will come. */
static void prep_sends(struct uring_zc *z, bool more)
{
	struct io_uring_sqe *sqe = NULL;
	struct buffer *b;
	unsigned int i;
	int flags;

	if (z->sending)
		return;
	for (b = &z->buffers[z->drain]; b->state == READY; b = &z->buffers[z->drain]) {
		i = z->drain;
		z->drain = (z->drain + 1) % BUFFERS;
		flags = MSG_WAITALL | MSG_NOSIGNAL;
		if (more || is_coming(&z->buffers[z->drain]))
			flags |= MSG_MORE;
		sqe = get_sqe(&z->ring);
		io_uring_prep_send_zc_fixed(sqe, z->sock, z->memory + i * BUFFER_BYTES, b->len,
					    flags, 0, i);
		io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
		io_uring_sqe_set_data64(sqe, i);
		b->state = SENDING;
		b->result = false;
		b->released = false;
		z->sending++;
	}
	if (sqe)
		sqe->flags &= ~IOSQE_IO_LINK;
}

static void take_zc(void *arg, const struct io_uring_cqe *cqe)
{
	struct uring_zc *z = arg;
	unsigned int i = io_uring_cqe_get_data64(cqe);
	struct buffer *b = &z->buffers[i];

	if (b->state == READING) {
		if (cqe->res <= 0 && cqe->res != -EINTR && cqe->res != -EAGAIN)
			die_errno(cqe->res ? cqe->res : ENODATA, "io_uring read");
		b->got += cqe->res > 0 ? cqe->res : 0;
		if (b->got == b->len)
			b->state = READY;
		else
			prep_read(z, i);
		return;
	}
	if (cqe->flags & IORING_CQE_F_NOTIF) {
		b->released = true;
	} else {
		if (cqe->res != (int)b->len)
			die_errno(cqe->res < 0 ? cqe->res : EIO, "io_uring send_zc");
		b->result = true;
		b->released = b->released || !(cqe->flags & IORING_CQE_F_MORE);
		z->sending--;
		z->unsent--;
		b->state = NOTIFYING;
	}
	if (b->result && b->released) {
		b->state = FREE;
		z->busy--;
	}
}

static void wait_zc(struct uring_zc *z)
{
	submit_and_wait(&z->ring, 1);
	take_all(&z->ring, take_zc, z);
}

static void read_ahead(struct uring_zc *z, int fd, uint64_t off, size_t hdr_len, size_t len)
{
	struct buffer *b = &z->buffers[z->fill];

	b->fd = fd;
	b->off = off;
	b->hdr_len = hdr_len;
	b->got = hdr_len;
	b->len = len;
	prep_read(z, z->fill);
	z->fill = (z->fill + 1) % BUFFERS;
	z->unsent++;
	z->busy++;
}

static void zc_send(void *state, const struct file *f, uint64_t off, uint64_t len, const void *hdr,
		    size_t hdr_len)
{
	struct uring_zc *z = state;
	size_t size;

	if (hdr_len >= BUFFER_BYTES || !len) {
		/* Not what this is for. */
		send_all(z->sock, hdr, hdr_len, len ? MSG_MORE : 0);
		hdr_len = 0;
	}
	while (len || z->unsent) {
		while (len && z->buffers[z->fill].state == FREE) {
			size = BUFFER_BYTES - hdr_len;
			if (size > len)
				size = len;
			memcpy(z->memory + z->fill * BUFFER_BYTES, hdr, hdr_len);
			read_ahead(z, f->fd, off, hdr_len, hdr_len + size);
			off += size;
			len -= size;
			hdr_len = 0;
		}
		prep_sends(z, len);
		wait_zc(z);
	}
}

static void zc_finish(void *state)
{
	struct uring_zc *z = state;

	while (z->busy)
		wait_zc(z);
}

static void splice_finish(void *state)
{
	(void)state;
}

#else /* !HAVE_LIBURING */

static const char *built_without(void)
{
	return "zcp-bench was built without liburing (liburing-dev)";
}

#define splice_missing built_without
#define splice_open NULL
#define splice_send NULL
#define splice_finish NULL
#define splice_close NULL
#define zc_missing built_without
#define zc_open NULL
#define zc_send NULL
#define zc_finish NULL
#define zc_close NULL

#endif

const struct method method_uring_splice = {
	"uring-splice", splice_missing, splice_open, splice_send, splice_finish, splice_close,
};

const struct method method_uring_send_zc = {
	"uring-send-zc", zc_missing, zc_open, zc_send, zc_finish, zc_close,
};
