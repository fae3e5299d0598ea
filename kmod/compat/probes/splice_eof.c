// SPDX-License-Identifier: GPL-2.0-only
/* proto_ops.splice_eof: 6.5 (2bfc66850952), and some stable backports. */
#include <linux/net.h>

void probe(struct socket *sock);

void probe(struct socket *sock)
{
	sock->ops->splice_eof(sock);
}
