// SPDX-License-Identifier: GPL-2.0-only
/* kernel_sendpage(): until 6.4; dc97391e6610 in 6.5 replaced it. */
#include <linux/net.h>

int probe(struct socket *sock, struct page *page);

int probe(struct socket *sock, struct page *page)
{
	return kernel_sendpage(sock, page, 0, 1, MSG_SENDPAGE_NOTLAST);
}
