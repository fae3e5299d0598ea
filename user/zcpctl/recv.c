// SPDX-License-Identifier: GPL-2.0-only
/*
 * zcpctl recv: bytes from TCP clients to a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "join.h"
#include "net.h"
#include "print.h"
#include "progress.h"
#include "recv.h"
#include "sha256.h"
#include "zcpctl.h"

#define BUFFER_BYTES (1 << 20)

static int cmd_recv(int argc, char **argv);

/* clang-format off */
static const struct opt options[] = {
	OPT("once", '1', NULL, "serve one connection, or one transfer with --streams, then end"),
	{ .code = 'o', .brief = true, .value = "FILE",
	  .help = "write to FILE, not to stdout; each connection overwrites what the\n"
		  "one before it has left there" },
	OPT("streams", 's', NULL, "join the connections of zcpctl send --streams N; needs -o"),
	OPT_JSON("the result of each connection as one JSON object per line"),
	OPT("quiet", 'q', NULL, "no progress and no result in text, only errors"),
	OPT_HELP,
	OPT_END,
};

/* clang-format on */

const struct command recv_command = {
	.name = "recv",
	.args = "[OPTION]... [ADDR:]PORT",
	.help = "receive what TCP clients send",
	.options = options,
	.run = cmd_recv,
	.details =
		"Connections are served one after the other until Ctrl-C. Without ADDR, IPv4 and\n"
		"IPv6 clients may connect to any address of this host. PORT 0 takes a free port;\n"
		"the line \"listening on ...\" on stderr tells which. Results go to stdout, or to\n"
		"stderr when the data go to stdout: bytes, seconds, Gbit/s and SHA-256. While a\n"
		"connection lasts a terminal on stderr shows bytes and rate, without --streams.\n"
		"Ctrl-C while one lasts is a failure, and so it is with --once before one came.\n"
		"\n"
		"With --streams each connection has to begin with the header of a stream. Those of\n"
		"one transfer are received at the same time and have one result; another transfer\n"
		"waits for its turn. The digest is that of the whole file, which is read once more\n"
		"for it. A file that is not complete stays as it is, and the exit status is 1.\n",
};

struct receiver {
	const char *file;
	bool once;
	bool streams;
	bool json;
	bool quiet;
	bool served;
	struct net_address address;
	struct join *join;
	struct printer printer;
	unsigned char *buffer;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int parse(int argc, char **argv, struct receiver *r)
{
	int status;
	int opt;

	while ((opt = next_option(argc, argv, &recv_command)) != -1) {
		if (option_stop(opt, &status))
			return status;
		switch (opt) {
		case '1':
			r->once = true;
			break;
		case 'o':
			r->file = optarg;
			break;
		case 's':
			r->streams = true;
			break;
		case 'j':
			r->json = true;
			break;
		case 'q':
			r->quiet = true;
			break;
		}
	}
	if (argc - optind != 1)
		return usage_error("recv", "needs one [ADDR:]PORT");
	if (net_parse(argv[optind], false, &r->address))
		return usage_error("recv", "\"%s\" is not [ADDR:]PORT or [IPV6]:PORT",
				   argv[optind]);
	if (r->file && !strcmp(r->file, "-"))
		r->file = NULL;
	if (r->streams && !r->file)
		return usage_error("recv", "--streams needs -o FILE");
	return -1;
}

static int write_all(int fd, const unsigned char *data, size_t len)
{
	ssize_t n;

	while (len && !interrupted) {
		n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		len -= n;
	}
	return len ? EINTR : 0;
}

static void failed(struct reception *c, const char *doing, const char *what, int error)
{
	c->error = error;
	if (error == EINTR)
		snprintf(c->problem, sizeof(c->problem), "interrupted after %llu bytes",
			 (unsigned long long)c->bytes);
	else
		snprintf(c->problem, sizeof(c->problem), "cannot %s %s after %llu bytes: %s", doing,
			 what, (unsigned long long)c->bytes, strerror(error));
}

/* What has come, as soon as something has: its bytes, 0 at the end, or -errno. */
static ssize_t take(struct receiver *r, int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	ssize_t n;
	int ret;

	while (!interrupted) {
		n = recv(sock, r->buffer, BUFFER_BYTES, MSG_DONTWAIT);
		if (n >= 0)
			return n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		ret = await(&pfd, 1, -1);
		if (ret)
			return ret;
	}
	return -EINTR;
}

static void receive(struct receiver *r, int sock, struct reception *c)
{
	struct progress progress = { .bar = !r->quiet && isatty(STDERR_FILENO) };
	uint64_t start = now_ns();
	struct sha256 sha;
	int fd = STDOUT_FILENO;
	ssize_t n;
	int error;

	net_peer(sock, c->peer);
	sha256_init(&sha);
	if (r->file) {
		fd = open(r->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (fd < 0) {
			failed(c, "open", r->file, errno);
			return;
		}
	}
	for (;;) {
		n = take(r, sock);
		if (n < 0)
			failed(c, "read from", c->peer, (int)-n);
		if (n <= 0)
			break;
		error = write_all(fd, r->buffer, n);
		if (error) {
			failed(c, "write", r->file ? r->file : "to stdout", error);
			break;
		}
		sha256_update(&sha, r->buffer, n);
		c->bytes += n;
		progress_bytes(&progress, now_ns() - start, c->bytes);
	}
	progress_end(&progress);
	c->ns = now_ns() - start;
	sha256_hex(&sha, c->digest);
	/* A file system may find out only here that it has no room. */
	if (r->file && close(fd) && !c->error)
		failed(c, "write", r->file, errno);
}

static void print_reception(struct receiver *r, const struct reception *c)
{
	struct printer *p = &r->printer;

	if (r->quiet && !r->json)
		return;
	print_object(p, NULL);
	print_number(p, "bytes", "received %s bytes", c->bytes);
	print_seconds(p, "seconds", " in %s s", c->ns);
	print_rate(p, "bits_per_second", ", %s Gbit/s", bits_per_second(c->bytes, c->ns));
	if (r->streams)
		print_number(p, "streams", c->streams ? ", %s streams" : NULL, c->streams);
	print_string(p, "sha256", ", sha256 %s", c->digest[0] ? c->digest : NULL);
	print_string(p, "peer", ", from %s\n", c->peer);
	print_string(p, "file", NULL, r->file);
	print_number(p, "errno", NULL, c->error);
	print_string(p, "error", NULL, c->error ? c->problem : NULL);
	print_end(p);
	print_flush(p->out);
}

static bool report(struct receiver *r, const struct reception *c)
{
	if (c->error)
		fail("%s", c->problem);
	print_reception(r, c);
	return !c->error;
}

/* The next connection, or -errno. */
static int next_connection(int listener)
{
	struct pollfd pfd = { .fd = listener, .events = POLLIN };
	int ret = 0;
	int sock;

	while (!interrupted && !ret) {
		sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (sock >= 0)
			return sock;
		if (errno == EAGAIN)
			ret = await(&pfd, 1, -1);
		else if (errno != EINTR && errno != ECONNABORTED)
			ret = -errno;
	}
	return ret ? ret : -EINTR;
}

/* Serves one connection; false when that failed. */
static bool serve(struct receiver *r, int listener)
{
	struct reception c = { 0 };
	int sock = next_connection(listener);

	if (sock == -EINTR)
		return true;
	if (sock < 0) {
		fail("cannot accept a connection: %s", strerror(-sock));
		return false;
	}
	r->served = true;
	receive(r, sock, &c);
	close(sock);
	return report(r, &c);
}

/* The same for one transfer of several connections. */
static bool join(struct receiver *r, int listener)
{
	struct reception c = { 0 };

	if (!join_receive(r->join, listener, &c))
		return true;
	r->served = true;
	return report(r, &c);
}

static int cmd_recv(int argc, char **argv)
{
	struct receiver r = { 0 };
	char name[NET_NAME_MAX];
	char problem[256];
	bool good = true;
	int listener;
	int ret;

	ret = parse(argc, argv, &r);
	if (ret >= 0)
		return ret;
	print_init(&r.printer, r.file ? stdout : stderr, r.json);
	r.buffer = malloc(BUFFER_BYTES);
	if (r.streams)
		r.join = join_open(r.file, r.json || !r.quiet);
	if (!r.buffer || (r.streams && !r.join))
		return fail("%s", strerror(ENOMEM));
	catch_signals();
	listener = net_listen(&r.address, problem, sizeof(problem));
	if (listener < 0) {
		free(r.buffer);
		return fail("%s", problem);
	}
	/* A connection may be gone before it is accepted. */
	fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
	net_local(listener, name);
	fprintf(stderr, "listening on %s\n", name);
	do {
		good &= r.streams ? join(&r, listener) : serve(&r, listener);
	} while (!r.once && !interrupted);
	if (r.once && good && !r.served) {
		fail("interrupted before anything was received");
		good = false;
	}
	close(listener);
	if (r.join)
		join_close(r.join);
	free(r.buffer);
	return good ? DONE : FAILED;
}
