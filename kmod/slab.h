/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slab caches: where the objects of which there are thousands come from, so
 * that /proc/slabinfo tells what zcp holds. All are charged to the memory
 * cgroup of the task that asks, but for batches, which live for one turn.
 */
#ifndef ZCP_SLAB_H
#define ZCP_SLAB_H

#include <linux/percpu.h>
#include <linux/slab.h>

struct zbatch;

/* Jobs of more segments, and more inline bytes, come from kmalloc(). */
#define ZSLAB_JOB_SEGS		2
#define ZSLAB_INLINE		512

extern struct kmem_cache *zslab_link;
extern struct kmem_cache *zslab_job;
extern struct kmem_cache *zslab_inline;

DECLARE_PER_CPU(long, zslab_bytes);

/* Bytes of contexts, links and jobs, and what jobs hold: made, or freed. */
static inline void zslab_account(long bytes)
{
	this_cpu_add(zslab_bytes, bytes);
}

u64 zslab_held(void);

struct zbatch *zbatch_new(void);
void zbatch_free(struct zbatch *batch);

int zslab_init(void);
void zslab_exit(void);

#endif /* ZCP_SLAB_H */
