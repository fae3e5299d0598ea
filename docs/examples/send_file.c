// SPDX-License-Identifier: GPL-2.0-only
/*
 * Send a file and a line feed by libzcp, and say what became of the bytes.
 *
 *	cc send_file.c -o send_file $(pkg-config --cflags --libs libzcp)
 *	./send_file HOST PORT FILE
 *
 * This is zcp_send_file() taken apart, because the parts are what a program with
 * many files and many sockets uses. It is C and C++.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zcp/zcp.h>

/* Says what failed; error is a negative errno, as the library returns it. */
static int failed(const char *what, int error)
{
	fprintf(stderr, "send_file: %s: %s\n", what, strerror(-error));
	return 1;
}

static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints, *list, *a;
	int error, sock = -1;

	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	error = getaddrinfo(host, port, &hints, &list);
	if (error) {
		fprintf(stderr, "send_file: %s: %s\n", host, gai_strerror(error));
		return -1;
	}
	for (a = list; a; a = a->ai_next) {
		sock = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (sock < 0)
			continue;
		if (!connect(sock, a->ai_addr, a->ai_addrlen))
			break;
		error = -errno;
		close(sock);
		sock = -1;
	}
	freeaddrinfo(list);
	if (sock < 0)
		failed(host, error);
	return sock;
}

/* One job: the whole file, then a line feed. Returns 0, or what was refused. */
static int submit(struct zcp_ctx *ctx, int sock, int file)
{
	struct zcp_segment segments[2];
	struct zcp_link path;
	struct zcp_job job;
	int ret;

	/* Each structure says how long it is; what is not used is zero. */
	memset(&path, 0, sizeof(path));
	path.size = sizeof(path);
	ret = zcp_link_add(ctx, sock, 0, &path);
	if (ret)
		return failed("this socket is refused", ret);

	zcp_segment_file(&segments[0], file, 0, ZCP_TO_EOF);
	zcp_segment_inline(&segments[1], "\n", 1);
	memset(&job, 0, sizeof(job));
	job.size = sizeof(job);
	job.link = path.link;
	job.mode = ZCP_MODE_AUTO;
	job.complete = ZCP_COMPLETE_ACKED;
	job.segments = (uintptr_t)segments;
	job.nr_segments = 2;
	ret = zcp_job_submit(ctx, &job, 1, NULL);
	if (ret < 0)
		return failed("this file is refused", ret);
	/* From here on the kernel sends. The file could be closed. */
	return 0;
}

/* Waits for the event of the job, which is the only one. */
static int account(struct zcp_ctx *ctx)
{
	struct zcp_event event;
	int ret;

	do {
		ret = zcp_event_read(ctx, &event, 1, -1);
	} while (ret == -EINTR);
	if (ret < 0)
		return failed("no event", ret);
	printf("%s: %llu bytes sent, %llu acknowledged, %llu by reference, %llu copied (%s)\n",
	       zcp_state_name(event.state), (unsigned long long)event.bytes_sent,
	       (unsigned long long)event.bytes_acked, (unsigned long long)event.bytes_zerocopy,
	       (unsigned long long)event.bytes_copied, zcp_reason_name(event.copy_reason));
	if (event.state != ZCP_STATE_DONE)
		return failed("the job ended early", -(int)event.error);
	return 0;
}

int main(int argc, char **argv)
{
	struct zcp_ctx *ctx;
	int file, sock, ret;

	if (argc != 4) {
		fprintf(stderr, "usage: send_file HOST PORT FILE\n");
		return 2;
	}
	ret = zcp_ctx_open(&ctx, NULL);
	if (ret == -ENOENT)
		return failed("/dev/zcp: is the module loaded? (modprobe zcp)", ret);
	if (ret == -EACCES)
		return failed("/dev/zcp: are you in the group zcp?", ret);
	if (ret)
		return failed("/dev/zcp", ret);

	ret = 1;
	file = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		failed(argv[3], -errno);
		goto out;
	}
	sock = connect_to(argv[1], argv[2]);
	if (sock >= 0) {
		ret = submit(ctx, sock, file);
		if (!ret)
			ret = account(ctx);
		close(sock);
	}
	close(file);
out:
	zcp_ctx_close(ctx);
	return ret;
}
