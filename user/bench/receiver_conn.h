/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection of the receiver, and what becomes of its bytes.
 */
#ifndef ZCP_BENCH_RECEIVER_CONN_H
#define ZCP_BENCH_RECEIVER_CONN_H

#include <pthread.h>
#include <sys/queue.h>

#include "bench.h"

/* What is read at a time where bytes are wanted. */
#define READ_BYTES (1 << 20)

struct worker {
	int epoll;
	char *buf;	/* address space, used as far as bytes are wanted */
	char *expected; /* READ_BYTES */
	pthread_t thread;
};

TAILQ_HEAD(conns, conn);

struct conn {
	int fd;
	struct worker *worker;
	struct peer_hello hello;
	size_t hello_got;
	uint64_t hello_due; /* now_ns() */
	uint64_t got;
	int lowat;
	uint64_t owed; /* answers that were not sent yet */
	int store;
	uint64_t store_bytes; /* after which it starts over */
	bool wrong;	      /* what is compared is not what it should be */
	bool ended;	      /* by the sender */
	bool alone;	      /* has a thread */
	bool local;	      /* the control connection of this process */
	bool polling;	      /* for room to answer */
	struct conns *in;     /* under the lock, as all lists */

	TAILQ_ENTRY(conn) entry;
};

/* On stderr, as long as it is not too often. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

bool is_compared(const struct conn *c);
/* Compares @len bytes of the stream that came to c->worker->buf. */
void compare(struct conn *c, size_t len);

/* Has a file to store in; false when there is no room for one more. */
bool store_open(struct conn *c);
/* Stores them; false when that cannot be done. */
bool store(struct conn *c, size_t len);
void store_close(struct conn *c);

#endif /* ZCP_BENCH_RECEIVER_CONN_H */
