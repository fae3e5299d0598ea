// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending pages by reference. Kernels with sendpage operations take one page
 * run at a time; later ones take a whole bvec iterator. The MSG_SPLICE_PAGES
 * macro says nothing: 6.1 stable defines it, but its TCP ignores it and would
 * copy.
 */
#include <net/sock.h>
#include <net/tcp.h>

#include "compat.h"

#ifdef ZCP_HAVE_KERNEL_SENDPAGE

ssize_t zcp_send_pages(struct sock *sk, struct bio_vec *bv,
		       unsigned int nr, size_t bytes, int flags)
{
	ssize_t sent = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		int f = flags;
		int n;

		if (i + 1 < nr)
			f |= MSG_MORE | MSG_SENDPAGE_NOTLAST;

		/*
		 * Runs are never joined across folios here: one reference is
		 * taken for each call, on the compound page.
		 */
		n = tcp_sendpage_locked(sk, bv[i].bv_page, bv[i].bv_offset,
					bv[i].bv_len, f);
		if (n < 0) {
			sent = sent ?: n;
			break;
		}
		sent += n;
		if (n < bv[i].bv_len)
			break;
	}
	return sent;
}

#else

ssize_t zcp_send_pages(struct sock *sk, struct bio_vec *bv,
		       unsigned int nr, size_t bytes, int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, bv, nr, bytes);
	return tcp_sendmsg_locked(sk, &msg, bytes);
}

#endif
