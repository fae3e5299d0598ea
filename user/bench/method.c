// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways to send a file, and what they share.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "method.h"

#define PAGE 4096
#define WINDOW_BYTES (32 << 20)

const struct method *const methods[] = {
	&method_read_send_64k, &method_read_send_1m, &method_mmap_send,	   &method_msg_zerocopy,
	&method_sendfile,      &method_splice,	     &method_uring_splice, &method_uring_send_zc,
	&method_zcp_xfer,      &method_zcp_job,	     &method_ceiling,
};

const size_t nr_methods = ARRAY_SIZE(methods);

const struct method *method_find(const char *name)
{
	const char *why;

	for (size_t i = 0; i < nr_methods; i++) {
		if (strcmp(methods[i]->name, name))
			continue;
		if (opt.methods && !list_has(opt.methods, name))
			return NULL;
		why = methods[i]->missing();
		if (!why)
			return methods[i];
		result_left_out(name, why);
		return NULL;
	}
	die("there is no method %s", name);
}

const char *never_missing(void)
{
	return NULL;
}

void *allocate(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		die("no memory");
	return p;
}

void *allocate_pages(size_t size)
{
	void *p = aligned_alloc(PAGE, (size + PAGE - 1) / PAGE * PAGE);

	if (!p)
		die("no memory");
	return p;
}

void send_all(int sock, const void *data, size_t len, int flags)
{
	ssize_t n;

	for (; len; data = (const char *)data + n, len -= n) {
		n = send(sock, data, len, flags | MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			die_errno(errno, "send");
		if (n < 0)
			n = 0;
	}
}

/* In pieces, so that a large file does not need page tables for all of it. */
void window_map(struct window *w, const struct file *f, uint64_t off, uint64_t len)
{
	size_t before = off % PAGE;

	w->len = len < WINDOW_BYTES - before ? len : WINDOW_BYTES - before;
	w->map_len = w->len + before;
	w->map = mmap(NULL, w->map_len, PROT_READ, MAP_SHARED | MAP_POPULATE, f->fd, off - before);
	if (w->map == MAP_FAILED)
		die_errno(errno, "mmap");
	w->data = (char *)w->map + before;
}

void window_unmap(struct window *w)
{
	munmap(w->map, w->map_len);
}
