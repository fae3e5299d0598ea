// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server of files for many players, in one thread: HTTP/1.1 with ranges and
 * connections that stay open. Its bytes are sent by the kernel.
 *
 *	cc video_server.c -o video_server $(pkg-config --cflags --libs libzcp)
 *	./video_server DIRECTORY PORT
 *
 * Each response is one job: a header from memory, then a range of a file. The
 * jobs of all requests that came in one turn of the loop are submitted by one
 * call. A response takes no buffer and no thread here, however slow its player.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <zcp/zcp.h>

#define BATCH 64	 /* jobs of one submission */
#define PIPELINE 8	 /* responses that a player may have asked for at a time */
#define REQUEST_MAX 4096 /* bytes of a request */

struct player {
	int sock;
	uint32_t link;
	unsigned int jobs;   /* submitted, or in the batch; the event is still to come */
	bool reading;	     /* more requests are welcome */
	bool last;	     /* the response to the last request is on its way */
	bool gone;	     /* no longer there, but jobs of it may be */
	struct player *next; /* of those that are gone */
	size_t have;
	char request[REQUEST_MAX];
};

/* A response that is not submitted yet. */
struct response {
	struct zcp_segment segments[2];
	char header[512];
	int file;
};

static struct {
	struct zcp_ctx *ctx;
	int epoll;
	int listener;
	int directory;
	struct player *gone;
	unsigned int nr;
	struct zcp_job jobs[BATCH];
	struct response responses[BATCH];
	unsigned long long served, bytes, zerocopy, copied, broken;
} server;

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

__attribute__((format(printf, 2, 3), noreturn)) static void die(int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(error));
	exit(1);
}

/* What to wait for on a player's socket; its bytes are the kernel's to send. */
static void watch(struct player *p, bool reading)
{
	struct epoll_event want = { .events = reading ? EPOLLIN : 0, .data.ptr = p };

	p->reading = reading;
	epoll_ctl(server.epoll, EPOLL_CTL_MOD, p->sock, &want);
}

/* The jobs of the link end as cancelled, and their events still come. */
static void drop(struct player *p)
{
	if (p->gone)
		return;
	p->gone = true;
	p->next = server.gone;
	server.gone = p;
	zcp_link_remove(server.ctx, p->link, NULL);
	close(p->sock);
}

/* At the end of a turn, when nothing in it leads to them any more. */
static void bury(void)
{
	struct player **at = &server.gone;
	struct player *p;

	while ((p = *at)) {
		if (p->jobs) {
			at = &p->next;
		} else {
			*at = p->next;
			free(p);
		}
	}
}

/* Submit what the players have asked for. */
static void flush(void)
{
	struct zcp_submit reply = { .size = sizeof(reply) };
	unsigned int done = 0;
	struct player *p;
	int ret;

	while (done < server.nr) {
		ret = zcp_job_submit(server.ctx, server.jobs + done, server.nr - done, &reply);
		if (ret > 0) {
			done += ret;
			continue;
		}
		/* The first of them was refused: its connection has ended, or a limit. */
		p = (struct player *)(uintptr_t)server.jobs[done++].user_data;
		if (!p->gone && ret != -ESHUTDOWN)
			fprintf(stderr, "a response was refused: %s, limit %s\n", strerror(-ret),
				zcp_limit_name(reply.limit));
		p->jobs--;
		server.broken++;
		drop(p);
	}
	/* The kernel has its own references now. */
	for (unsigned int i = 0; i < server.nr; i++)
		if (server.responses[i].file >= 0)
			close(server.responses[i].file);
	server.nr = 0;
}

/* Put a response into the batch: a header and, unless @file is -1, a range of it. */
static void respond(struct player *p, const char *status, const char *fields, int file,
		    uint64_t offset, uint64_t length, bool body)
{
	struct response *r = &server.responses[server.nr];
	struct zcp_job *job = &server.jobs[server.nr];
	int len;

	len = snprintf(r->header, sizeof(r->header),
		       "HTTP/1.1 %s\r\nContent-Length: %llu\r\nAccept-Ranges: bytes\r\n%s%s\r\n",
		       status, (unsigned long long)length, fields,
		       p->last ? "Connection: close\r\n" : "");
	r->file = file;
	zcp_segment_inline(&r->segments[0], r->header, len);
	if (body)
		zcp_segment_file(&r->segments[1], file, offset, length);
	*job = (struct zcp_job){
		.size = sizeof(*job),
		.link = p->link,
		.segments = (uintptr_t)r->segments,
		.nr_segments = body ? 2 : 1,
		.user_data = (uintptr_t)p,
	};
	p->jobs++;
	server.nr++;
	if (server.nr == BATCH)
		flush();
}

/* "bytes=5-9", "bytes=5-" and "bytes=-9"; what is none of them is no range. */
static bool parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *end)
{
	unsigned long long a, b;
	int n = 0;

	if (sscanf(text, "bytes=%llu-%llu%n", &a, &b, &n) == 2 && !text[n] && a <= b) {
		*first = a;
		*end = b < size ? b + 1 : size;
	} else if (sscanf(text, "bytes=-%llu%n", &b, &n) == 1 && !text[n]) {
		*first = b < size ? size - b : 0;
		*end = b ? size : 0;
	} else if (sscanf(text, "bytes=%llu%n", &a, &n) == 1 && !strcmp(text + n, "-")) {
		*first = a;
		*end = size;
	} else {
		return false;
	}
	return true;
}

/* A regular file below the directory, whatever ".." and symbolic links say. */
static int open_below(const char *path, uint64_t *size)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	struct stat st;
	int file;

	file = (int)syscall(SYS_openat2, server.directory, path, &how, sizeof(how));
	if (file < 0)
		return -1;
	if (fstat(file, &st) || !S_ISREG(st.st_mode)) {
		close(file);
		return -1;
	}
	*size = st.st_size;
	return file;
}

/* The value of a field of a request, or an empty string. */
static void field(const char *request, const char *name, char *value, size_t size)
{
	size_t len = strlen(name);
	const char *line = request;

	value[0] = '\0';
	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (!strncasecmp(line, name, len) && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " \t");
			snprintf(value, size, "%.*s", (int)strcspn(line, "\r\n"), line);
			return;
		}
	}
}

/* One request, without the empty line at its end. */
static void serve(struct player *p, const char *request)
{
	char method[8], path[1024], version[16], value[64], fields[128] = "";
	uint64_t size, first = 0, end;
	bool ranged;
	int file;

	if (sscanf(request, "%7s /%1023s %15s", method, path, version) != 3) {
		p->last = true;
		respond(p, "400 Bad Request", "", -1, 0, 0, false);
		return;
	}
	field(request, "Connection", value, sizeof(value));
	p->last = !strcasecmp(value, "close") || strcmp(version, "HTTP/1.1");
	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		p->last = true;
		respond(p, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", -1, 0, 0, false);
		return;
	}
	path[strcspn(path, "?")] = '\0';
	file = open_below(path, &size);
	if (file < 0) {
		respond(p, "404 Not Found", "", -1, 0, 0, false);
		return;
	}
	end = size;
	field(request, "Range", value, sizeof(value));
	ranged = parse_range(value, size, &first, &end);
	if (ranged && first >= end) {
		snprintf(fields, sizeof(fields), "Content-Range: bytes */%llu\r\n",
			 (unsigned long long)size);
		close(file);
		respond(p, "416 Range Not Satisfiable", fields, -1, 0, 0, false);
		return;
	}
	if (ranged)
		snprintf(fields, sizeof(fields), "Content-Range: bytes %llu-%llu/%llu\r\n",
			 (unsigned long long)first, (unsigned long long)end - 1,
			 (unsigned long long)size);
	respond(p, ranged ? "206 Partial Content" : "200 OK", fields, file, first, end - first,
		method[0] == 'G');
}

/* Serve the requests that are complete, as far as there may be more responses. */
static void serve_all(struct player *p)
{
	char *end;

	while (!p->gone && !p->last && p->jobs < PIPELINE) {
		end = memmem(p->request, p->have, "\r\n\r\n", 4);
		if (!end)
			break;
		*end = '\0';
		end += 4;
		serve(p, p->request);
		p->have -= end - p->request;
		memmove(p->request, end, p->have);
	}
	if (p->gone)
		return;
	watch(p, !p->last && p->jobs < PIPELINE);
	/* It is full, and no request. */
	if (p->reading && p->have == sizeof(p->request))
		drop(p);
}

static void receive(struct player *p)
{
	ssize_t n;

	if (p->gone)
		return;
	n = recv(p->sock, p->request + p->have, sizeof(p->request) - p->have, MSG_DONTWAIT);
	if (n > 0) {
		p->have += n;
		serve_all(p);
	} else if (!n && p->jobs) {
		/* It has said all, and listens on. */
		p->last = true;
		watch(p, false);
	} else if (!n || errno != EAGAIN) {
		drop(p);
	}
}

static void greet(void)
{
	struct zcp_link link = { .size = sizeof(link) };
	struct epoll_event want = { .events = EPOLLIN };
	struct player *p;
	int sock, ret;

	sock = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (sock < 0)
		return;
	p = calloc(1, sizeof(*p));
	ret = p ? zcp_link_add(server.ctx, sock, 0, &link) : -ENOMEM;
	if (ret) {
		fprintf(stderr, "a player was refused: %s, limit %s\n", strerror(-ret),
			zcp_limit_name(link.limit));
		free(p);
		close(sock);
		return;
	}
	p->sock = sock;
	p->link = link.link;
	p->reading = true;
	want.data.ptr = p;
	if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, sock, &want))
		drop(p);
}

/* A job has ended: its player has acknowledged the response, or is gone. */
static void ended(const struct zcp_event *e)
{
	struct player *p = (struct player *)(uintptr_t)e->user_data;

	p->jobs--;
	server.bytes += e->bytes_sent;
	server.zerocopy += e->bytes_zerocopy;
	server.copied += e->bytes_copied;
	if (e->state == ZCP_STATE_DONE) {
		server.served++;
	} else {
		server.broken++;
		drop(p);
	}
	if (p->last && !p->jobs)
		drop(p);
	else if (!p->gone && !p->reading)
		serve_all(p);
}

static void read_events(void)
{
	struct zcp_event events[BATCH];
	int n;

	n = zcp_event_read(server.ctx, events, BATCH, 0);
	for (int i = 0; i < n; i++)
		ended(&events[i]);
}

static void listen_on(const char *port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	int on = 1;

	any.sin6_port = htons(atoi(port));
	server.listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server.listener < 0)
		die(errno, "socket");
	setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(server.listener, (struct sockaddr *)&any, sizeof(any)) ||
	    listen(server.listener, SOMAXCONN))
		die(errno, "port %s", port);
}

static void loop(const sigset_t *signals)
{
	struct epoll_event ready[BATCH];
	int n;

	while (!stop) {
		n = epoll_pwait(server.epoll, ready, BATCH, -1, signals);
		for (int i = 0; i < n; i++) {
			if (ready[i].data.ptr == &server.listener)
				greet();
			else if (ready[i].data.ptr == &server.ctx)
				read_events();
			else
				receive(ready[i].data.ptr);
		}
		flush();
		bury();
	}
}

int main(int argc, char **argv)
{
	struct epoll_event want = { .events = EPOLLIN };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t blocked, signals;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: video_server DIRECTORY PORT\n");
		return 2;
	}
	server.directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (server.directory < 0)
		die(errno, "%s", argv[1]);
	ret = zcp_ctx_open(&server.ctx, NULL);
	if (ret)
		die(-ret, "/dev/zcp");
	listen_on(argv[2]);
	server.epoll = epoll_create1(EPOLL_CLOEXEC);
	want.data.ptr = &server.listener;
	if (server.epoll < 0 || epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &want))
		die(errno, "epoll");
	want.data.ptr = &server.ctx;
	if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, zcp_ctx_fd(server.ctx), &want))
		die(errno, "epoll");
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* They arrive while the loop waits, and at no other time. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &signals);
	loop(&signals);
	printf("%llu responses, %llu broken off: %llu bytes, %llu by reference, %llu copied\n",
	       server.served, server.broken, server.bytes, server.zerocopy, server.copied);
	zcp_ctx_close(server.ctx);
	return 0;
}
