// SPDX-License-Identifier: GPL-2.0-only
/* Slab caches: making and destroying them. */
#include "compat/compat.h"
#include "job.h"
#include "link.h"
#include "slab.h"
#include "transmit.h"

struct kmem_cache *zslab_link;
struct kmem_cache *zslab_job;
struct kmem_cache *zslab_inline;
static struct kmem_cache *zslab_batch;

DEFINE_PER_CPU(long, zslab_bytes);

/**
 * zslab_held() - Bytes of contexts, links and jobs, and what jobs hold
 */
u64 zslab_held(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(zslab_bytes, cpu);
	return max(sum, 0L);
}

/* 1 MiB of single pages, and what one look-up may bring above that. */
#define ZBATCH_LARGE	(256 + ZCP_FOLIO_BATCH_MAX)

/**
 * struct zbatch_large - A batch that a turn works with
 * @batch: with room for 1 MiB of single pages
 * @bv: its elements
 * @folios: its folios
 */
struct zbatch_large {
	struct zbatch batch;
	struct bio_vec bv[ZBATCH_LARGE];
	struct folio *folios[ZBATCH_LARGE];
};

/**
 * zbatch_new() - Get memory to work with
 *
 * Return: an empty batch for zbatch_free(), or NULL.
 */
struct zbatch *zbatch_new(void)
{
	struct zbatch_large *large;

	large = kmem_cache_alloc(zslab_batch, GFP_KERNEL);
	if (!large)
		return NULL;
	large->batch = (struct zbatch) {
		.max = ZBATCH_LARGE,
		.bv = large->bv,
		.folios = large->folios,
	};
	return &large->batch;
}

/**
 * zbatch_free() - Give it back
 * @batch: from zbatch_new(), holding no pages, or NULL
 */
void zbatch_free(struct zbatch *batch)
{
	if (batch)
		kmem_cache_free(zslab_batch,
				container_of(batch, struct zbatch_large, batch));
}

static struct kmem_cache *zslab_make(const char *name, size_t size,
				     slab_flags_t flags)
{
	return kmem_cache_create(name, size, 0, flags | SLAB_NO_MERGE, NULL);
}

int zslab_init(void)
{
	size_t job = struct_size_t(struct zjob, segs, ZSLAB_JOB_SEGS);

	zslab_link = zslab_make("zcp_link", sizeof(struct zlink), SLAB_ACCOUNT);
	zslab_job = zslab_make("zcp_job", job, SLAB_ACCOUNT);
	/* What users' bytes are copied into has to be declared as such. */
	zslab_inline = kmem_cache_create_usercopy("zcp_inline", ZSLAB_INLINE, 0,
						  SLAB_ACCOUNT | SLAB_NO_MERGE,
						  0, ZSLAB_INLINE, NULL);
	zslab_batch = zslab_make("zcp_batch", sizeof(struct zbatch_large), 0);
	if (zslab_link && zslab_job && zslab_inline && zslab_batch)
		return 0;
	zslab_exit();
	return -ENOMEM;
}

/* NULL is no cache, and is let pass. */
void zslab_exit(void)
{
	kmem_cache_destroy(zslab_batch);
	kmem_cache_destroy(zslab_inline);
	kmem_cache_destroy(zslab_job);
	kmem_cache_destroy(zslab_link);
}
