// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap and MSG_ZEROCOPY, with notifications read in batches.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Needs struct timespec. */
#include <linux/errqueue.h>

#include "method.h"

/* Bytes of one call: each is one notification. */
#define CALL_BYTES (1 << 20)
/* Calls whose notification may be missing before one looks. */
#define LOOK_AFTER 32
#define QUEUE_BATCH 16

struct zerocopy {
	int sock;
	uint32_t calls;
	uint32_t notified;
};

static const char *zerocopy_missing(void)
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int ret;

	if (sock < 0)
		return "no sockets";
	ret = setsockopt(sock, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on));
	close(sock);
	return ret ? "no SO_ZEROCOPY" : NULL;
}

static void *zerocopy_open(int sock)
{
	struct zerocopy *z = allocate(sizeof(*z));
	int on = 1;

	z->sock = sock;
	if (setsockopt(sock, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)))
		die_errno(errno, "SO_ZEROCOPY");
	return z;
}

static void take(struct zerocopy *z, struct msghdr *msg)
{
	const struct sock_extended_err *e;
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);

	if (!c || (msg->msg_flags & MSG_CTRUNC))
		die("MSG_ZEROCOPY: a notification is not understood");
	e = (const struct sock_extended_err *)CMSG_DATA(c);
	if (e->ee_errno || e->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
		die_errno(e->ee_errno, "MSG_ZEROCOPY");
	z->notified += e->ee_data - e->ee_info + 1;
}

/* Reads the notifications that are there. */
static void look(struct zerocopy *z)
{
	char control[QUEUE_BATCH][128];
	struct mmsghdr batch[QUEUE_BATCH];
	int n;

	do {
		memset(batch, 0, sizeof(batch));
		for (int i = 0; i < QUEUE_BATCH; i++) {
			batch[i].msg_hdr.msg_control = control[i];
			batch[i].msg_hdr.msg_controllen = sizeof(control[i]);
		}
		n = recvmmsg(z->sock, batch, QUEUE_BATCH, MSG_ERRQUEUE | MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			die_errno(errno, "MSG_ERRQUEUE");
		for (int i = 0; i < n; i++)
			take(z, &batch[i].msg_hdr);
	} while (n == QUEUE_BATCH);
}

static void look_and_wait(struct zerocopy *z)
{
	struct pollfd pfd = { .fd = z->sock };

	if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
		die_errno(errno, "poll");
	look(z);
}

static void zerocopy_send(void *state, const struct file *f, uint64_t off, uint64_t len,
			  const void *hdr, size_t hdr_len)
{
	struct zerocopy *z = state;
	struct window w;
	size_t size;
	ssize_t n;

	/* The caller's header may change before it is on the wire. */
	send_all(z->sock, hdr, hdr_len, len ? MSG_MORE : 0);
	for (; len; off += w.len, len -= w.len) {
		window_map(&w, f, off, len);
		for (size_t done = 0; done < w.len; done += n) {
			size = w.len - done < CALL_BYTES ? w.len - done : CALL_BYTES;
			n = send(z->sock, w.data + done, size,
				 MSG_ZEROCOPY | MSG_NOSIGNAL | (done + size < len ? MSG_MORE : 0));
			if (n > 0) {
				z->calls++;
			} else if (errno == ENOBUFS && z->calls != z->notified) {
				look_and_wait(z);
				n = 0;
			} else if (errno == EINTR) {
				n = 0;
			} else {
				die_errno(errno, "MSG_ZEROCOPY");
			}
			if (z->calls - z->notified >= LOOK_AFTER)
				look(z);
		}
		/* The kernel holds the pages itself. */
		window_unmap(&w);
	}
}

static void zerocopy_finish(void *state)
{
	struct zerocopy *z = state;

	look(z);
	while (z->calls != z->notified)
		look_and_wait(z);
}

const struct method method_msg_zerocopy = {
	"msg-zerocopy", zerocopy_missing, zerocopy_open, zerocopy_send, zerocopy_finish, free,
};
