// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small files with a header each, sent as a server would.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "method.h"
#include "small.h"

#define READ_BYTES (64 << 10)

/* What the receiver expects of a header. */
static char header[SMALL_HEADER];

/* Without a name, so that nothing is left of them. */
static int pool_file(uint64_t first, uint64_t size, char *buf)
{
	char path[64];
	ssize_t n;
	int fd, ro;

	fd = open(opt.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		die_errno(errno, "a file in %s", opt.dir);
	file_fill(buf, first, size);
	for (uint64_t done = 0; done < size; done += n) {
		n = write(fd, buf + done, size - done);
		if (n <= 0)
			die_errno(n ? errno : EIO, "a file in %s: writing", opt.dir);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (ro < 0)
		die_errno(errno, "%s", path);
	close(fd);
	return ro;
}

void pool_make(struct pool *p, uint64_t size)
{
	char *buf = allocate_pages(size);

	p->size = size;
	for (int i = 0; i < SMALL_POOL; i++)
		p->fd[i] = pool_file(i * size, size, buf);
	free(buf);
}

void pool_remove(struct pool *p)
{
	for (int i = 0; i < SMALL_POOL; i++)
		close(p->fd[i]);
}

/* The file that is next on a connection. */
static int next_file(struct server *s, unsigned int conn)
{
	return s->pool->fd[(conn + s->count[conn]++) % SMALL_POOL];
}

/*
 * Responses that follow each other on a connection share packets in all ways, as they do when
 * they are jobs of one submission: an expert corks the connection meanwhile, or says that more
 * is to come where a call can say so. With it sendfile(2) had 1.2 times as many files of up to
 * 16 KiB on one connection, 1.1 times as many of 256 KiB, and as many of 64 KiB; reading and
 * sending and XFER gained as much.
 */
static bool more_follows(const unsigned int *conn, unsigned int i, unsigned int nr)
{
	return i + 1 < nr && conn[i + 1] == conn[i];
}

static void cork(int sock, int on)
{
	if (setsockopt(sock, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)))
		die_errno(errno, "TCP_CORK");
}

static void respond_read_send(struct server *s, const unsigned int *conn, unsigned int nr)
{
	static char buf[SMALL_HEADER + READ_BYTES];
	uint64_t size = s->pool->size;

	for (unsigned int i = 0; i < nr; i++) {
		int after = more_follows(conn, i, nr) ? MSG_MORE : 0;
		size_t before = SMALL_HEADER;
		int fd = next_file(s, conn[i]);
		ssize_t n;

		/* The header is sent with the first piece. */
		memcpy(buf, header, SMALL_HEADER);
		for (uint64_t at = 0; at < size; at += n) {
			n = pread(fd, buf + before, READ_BYTES, at);
			if (n <= 0)
				die_errno(n ? errno : ENODATA, "reading a file");
			send_all(s->sock[conn[i]], buf, before + n,
				 at + n < size ? MSG_MORE : after);
			before = 0;
		}
	}
}

static void respond_sendfile(struct server *s, const unsigned int *conn, unsigned int nr)
{
	uint64_t size = s->pool->size;
	bool corked = false;
	ssize_t n;

	for (unsigned int i = 0; i < nr; i++) {
		bool more = more_follows(conn, i, nr);
		int fd = next_file(s, conn[i]);
		off_t at = 0;

		if (more && !corked)
			cork(s->sock[conn[i]], 1);
		send_all(s->sock[conn[i]], header, SMALL_HEADER, MSG_MORE);
		while ((uint64_t)at < size) {
			n = sendfile(s->sock[conn[i]], fd, &at, size - at);
			if (n <= 0 && !(n && errno == EINTR))
				die_errno(n ? errno : ENODATA, "sendfile");
		}
		if (corked && !more)
			cork(s->sock[conn[i]], 0);
		corked = more;
	}
}

static void respond_xfer(struct server *s, const unsigned int *conn, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		int fd = next_file(s, conn[i]);

		jobs_transfer_with(s->jobs.ctx, s->sock[conn[i]], header, SMALL_HEADER, fd,
				   s->pool->size, more_follows(conn, i, nr));
	}
}

static void respond_job(struct server *s, const unsigned int *conn, unsigned int nr)
{
	struct zcp_segment *segment = s->segment;

	for (unsigned int i = 0; i < nr; i++) {
		zcp_segment_inline(&segment[0], header, SMALL_HEADER);
		zcp_segment_file(&segment[1], next_file(s, conn[i]), 0, s->pool->size);
		jobs_prepare(&s->job[i], s->link[conn[i]], segment, 2, conn[i]);
		segment += 2;
	}
	jobs_submit(&s->jobs, s->job, nr);
}

const struct way small_ways[] = {
	{ "read-send-64k", false, respond_read_send },
	{ "sendfile", false, respond_sendfile },
	{ "zcp-xfer", false, respond_xfer },
	{ "zcp-job", true, respond_job },
};

const size_t nr_small_ways = ARRAY_SIZE(small_ways);

bool way_usable(const struct way *way)
{
	return method_find(way->name);
}

static bool uses_zcp(const struct way *way)
{
	return way->jobs || way->respond == respond_xfer;
}

uint64_t server_bytes(const struct server *s)
{
	return SMALL_HEADER + s->pool->size;
}

void server_open(struct server *s, const struct way *way, const struct pool *pool,
		 struct peer *peer, unsigned int nr, uint64_t unit, unsigned int wave, bool check)
{
	struct peer_hello hello = { .mode = check ? PEER_CHECK : PEER_DISCARD };

	memset(header, 'H', sizeof(header));
	*s = (struct server){ .way = way, .pool = pool, .nr = nr };
	s->sock = allocate(nr * sizeof(*s->sock));
	s->count = allocate(nr * sizeof(*s->count));
	s->link = allocate(nr * sizeof(*s->link));
	s->job = allocate(wave * sizeof(*s->job));
	s->segment = allocate(2 * wave * sizeof(*s->segment));
	if (uses_zcp(way))
		jobs_open(&s->jobs);
	/* It has one CPU: a second thread would wait for the first one's time to end. */
	if (opt.pin)
		hello.flags = PEER_TOGETHER;
	hello.unit = unit * server_bytes(s);
	hello.header = SMALL_HEADER;
	hello.step = pool->size;
	for (unsigned int i = 0; i < nr; i++) {
		hello.offset = i * pool->size;
		s->sock[i] = peer_connect(peer, &hello);
		if (way->jobs)
			s->link[i] = jobs_link(&s->jobs, s->sock[i]);
	}
}

void server_close(struct server *s)
{
	/* With a reset, so that thousands of them leave nothing behind. */
	struct linger now = { .l_onoff = 1 };

	if (uses_zcp(s->way))
		jobs_close(&s->jobs);
	for (unsigned int i = 0; i < s->nr; i++) {
		setsockopt(s->sock[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		close(s->sock[i]);
	}
	free(s->sock);
	free(s->count);
	free(s->link);
	free(s->job);
	free(s->segment);
}

/* The bytes of each job must be those of a response. */
static void check_event(const struct zcp_event *event, void *arg)
{
	const struct server *s = arg;

	if (event->bytes_sent != server_bytes(s))
		die("a job is done with %llu of %llu bytes", (unsigned long long)event->bytes_sent,
		    (unsigned long long)server_bytes(s));
}

void server_settle(struct server *s, uint64_t open)
{
	if (s->way->jobs)
		jobs_wait(&s->jobs, open, check_event, s);
}

void server_reap(struct server *s)
{
	if (s->way->jobs)
		jobs_read(&s->jobs, 0, check_event, s);
}
