// SPDX-License-Identifier: GPL-2.0-only
/* <linux/folio_batch.h>: where <linux/pagevec.h> went, after 6.18. */
#include <linux/folio_batch.h>

unsigned int probe(struct folio_batch *fbatch);

unsigned int probe(struct folio_batch *fbatch)
{
	return folio_batch_count(fbatch);
}
