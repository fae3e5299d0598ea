// SPDX-License-Identifier: GPL-2.0-only
/* proto.splice_eof: 6.5 (1d7e4538a546), and some stable backports. */
#include <net/tcp.h>

void probe(struct socket *sock);

void probe(struct socket *sock)
{
	tcp_prot.splice_eof(sock);
}
