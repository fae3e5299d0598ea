/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file spread over several connections.
 */
#ifndef ZCPCTL_SPREAD_H
#define ZCPCTL_SPREAD_H

#include "send.h"

/*
 * Send @r->streams parts of a file and wait for the end of all. Returns 0 or
 * -errno, with the sum and the parts in @o; without a line in @o->problem it is
 * @o->result that says what went wrong. @r->length becomes the real one.
 */
int spread_send(struct request *r, int fd, struct outcome *o);

#endif /* ZCPCTL_SPREAD_H */
