/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways to have and to send messages, for the studies of pools and allocators.
 */
#ifndef ZCP_BENCH_STUDY_H
#define ZCP_BENCH_STUDY_H

#include "bench.h"

/*
 * One way to send messages. send() makes a message of @len bytes that it copies
 * from @data, and puts it on its way; finish() returns when nothing is open that
 * the way can tell about. @state belongs to one connection.
 */
struct messenger {
	const char *name;
	/* Why it cannot work here, or NULL. */
	const char *(*missing)(void);
	void *(*open)(struct peer *peer, size_t len, uint64_t count);
	void (*send)(void *state, const void *data, size_t len);
	/* All of @count have arrived; in smoke they are file_byte(0) and after, again each time. */
	void (*finish)(void *state);
	void (*close)(void *state);
};

/* Their receiver is not the peer, but a process of this machine. */
extern const struct messenger messenger_zmq_copy, messenger_zmq_zerocopy;

/* Whether study-c has a way to send of this name. */
bool study_c_has(const char *name);

/* The process that study-d measures. */
int study_d_main(int argc, char **argv);

#endif /* ZCP_BENCH_STUDY_H */
