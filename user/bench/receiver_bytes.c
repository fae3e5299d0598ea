// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of the bytes of a connection: they are compared, or stored.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "receiver_conn.h"

/*
 * A stored stream whose unit is longer starts over in its file here: there is one for
 * each method, all at a time, in memory beside the file that is sent.
 */
#define STORE_BYTES (256ULL << 20)
/* All of them: two cases with three, as those of the first may end a little later. */
#define STORES_BYTES (2ULL << 30)
/* It tells of what it refuses so often at most. */
#define COMPLAIN_NS 1000000000ULL

static uint64_t stored_bytes;

void complain(const char *format, ...)
{
	static uint64_t last;
	uint64_t now = now_ns(), before = __atomic_load_n(&last, __ATOMIC_RELAXED);
	char text[256];
	va_list ap;

	if ((before && now - before < COMPLAIN_NS) ||
	    !__atomic_compare_exchange_n(&last, &before, now, false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	say("receiver: %s", text);
}

bool is_compared(const struct conn *c)
{
	return c->hello.mode == PEER_CHECK || c->hello.flags & PEER_COMPARE;
}

void compare(struct conn *c, size_t len)
{
	const struct peer_hello *h = &c->hello;
	char *expected = c->worker->expected;
	const char *buf = c->worker->buf;
	uint64_t unit, at, from;
	size_t n;

	for (size_t done = 0; done < len && !c->wrong; done += n) {
		unit = h->unit ? (c->got + done) / h->unit : 0;
		at = h->unit ? (c->got + done) % h->unit : c->got + done;
		n = len - done;
		if (h->unit && n > h->unit - at)
			n = h->unit - at;
		if (at < h->header) {
			if (n > h->header - at)
				n = h->header - at;
			memset(expected, 'H', n);
		} else {
			from = h->offset + unit * h->step + at - h->header;
			if (h->wrap)
				from %= h->wrap;
			if (h->wrap && n > h->wrap - from)
				n = h->wrap - from;
			file_fill(expected, from, n);
		}
		if (memcmp(buf + done, expected, n)) {
			complain("unit %llu has a wrong byte at or after %llu",
				 (unsigned long long)unit, (unsigned long long)at);
			c->wrong = true;
		}
	}
}

bool store_open(struct conn *c)
{
	uint64_t bytes = c->hello.unit && c->hello.unit < STORE_BYTES ? c->hello.unit : STORE_BYTES;

	c->store_bytes = bytes;
	if (__atomic_add_fetch(&stored_bytes, bytes, __ATOMIC_RELAXED) > STORES_BYTES) {
		complain("no room to store more than %llu MiB", STORES_BYTES >> 20);
		return false;
	}
	c->store = open(opt.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (c->store < 0)
		complain("a file in %s: %s", opt.dir, strerror(errno));
	return c->store >= 0;
}

bool store(struct conn *c, size_t len)
{
	uint64_t at;
	ssize_t n;

	for (size_t done = 0; done < len; done += n) {
		at = (c->got + done) % c->store_bytes;
		n = len - done;
		if ((uint64_t)n > c->store_bytes - at)
			n = c->store_bytes - at;
		n = pwrite(c->store, c->worker->buf + done, n, at);
		if (n <= 0) {
			complain("storing in %s: %s", opt.dir, strerror(n ? errno : EIO));
			return false;
		}
	}
	return true;
}

void store_close(struct conn *c)
{
	if (c->store >= 0)
		close(c->store);
	__atomic_fetch_sub(&stored_bytes, c->store_bytes, __ATOMIC_RELAXED);
}
