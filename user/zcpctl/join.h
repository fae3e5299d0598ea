/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The streams of a transfer joined to a file again.
 */
#ifndef ZCPCTL_JOIN_H
#define ZCPCTL_JOIN_H

#include <stdbool.h>

#include "recv.h"

struct join;

/*
 * Begin to receive into a file, with a digest of it or without. Returns NULL
 * when there is no memory.
 */
struct join *join_open(const char *file, bool digest);

/*
 * Receive one transfer; accept(2) must not wait on @listener. Connections of another
 * one that come meanwhile wait for their turn, which is the next call. Returns false
 * when it was interrupted before a transfer had begun; else what came of it is in @rec.
 */
bool join_receive(struct join *j, int listener, struct reception *rec);

/* Those that still wait see that their connections are reset. */
void join_close(struct join *j);

#endif /* ZCPCTL_JOIN_H */
