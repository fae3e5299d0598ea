// SPDX-License-Identifier: GPL-2.0-only
/* Page cache left as it was found: own readahead, and drop-behind. */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "nocache.h"
#include "source.h"

#define ZNOCACHE_CHUNK	256		/* pages looked at together */
#define ZNOCACHE_STEP	(1024 * 1024)	/* acknowledged bytes between attempts */
#define ZNOCACHE_TRIES	16		/* then others may have the room */
#define ZNOCACHE_SPREAD	8		/* attempts while as many bytes again are sent */
#define ZNOCACHE_LINGER	max(HZ / 10, 1)

/**
 * znocache_new() - Make an account, to be freed with kfree()
 */
struct znocache *znocache_new(void)
{
	struct znocache *nc = kzalloc(sizeof(*nc), GFP_KERNEL_ACCOUNT);

	if (nc)
		mutex_init(&nc->lock);
	return nc;
}

/**
 * znocache_check() - Can reading this file leave no trace?
 * @file: a file that zsource_check() accepts
 *
 * Return: 0, or -EOPNOTSUPP where the pages are brought in by a file system
 * in ways that cannot be followed.
 */
int znocache_check(struct file *file)
{
	if ((file->f_flags & O_DIRECT) || IS_DAX(file_inode(file)) ||
	    zsource_is_cached(file))
		return 0;
	return -EOPNOTSUPP;
}

/**
 * znocache_tracks() - Does reading this file put pages into a cache of a disk?
 * @file: a file that znocache_check() accepts
 *
 * The pages of a tmpfs are the file, there is nothing to be dropped.
 */
bool znocache_tracks(struct file *file)
{
	return zsource_is_cached(file) && file->f_mapping->a_ops->readahead;
}

/* The first index from @index on, below @end, that is in the cache or is not. */
static pgoff_t znocache_next(struct address_space *mapping, pgoff_t index,
			     pgoff_t end, bool present)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, end - 1) {
		pgoff_t first;

		/* A shadow of a page that was there once. */
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		first = max(xas.xa_index, index);
		if (present || first > index) {
			index = present ? first : index;
			goto out;
		}
		/* It may be gone and be another by now: go forward anyway. */
		index = max(index + 1, folio_next_index(folio));
		if (index >= end)
			break;
	}
	if (present)
		index = end;
out:
	rcu_read_unlock();
	return min(index, end);
}

/* Forget the oldest pages that have been held for long: they are somebody else's. */
static bool znocache_give_up(struct znocache *nc)
{
	u32 i;

	for (i = 0; i < nc->nr; i++) {
		if (nc->runs[i].tries < ZNOCACHE_TRIES)
			continue;
		nc->nr--;
		memmove(&nc->runs[i], &nc->runs[i + 1],
			(nc->nr - i) * sizeof(nc->runs[0]));
		return true;
	}
	return false;
}

/*
 * Note pages that are about to be brought in. Those that follow each other have
 * an end of their own as long as there is room. False when there is none.
 */
static bool znocache_note(struct znocache *nc, struct file *file, pgoff_t start,
			  pgoff_t end, u64 mark)
{
	struct znorun *last = nc->nr ? &nc->runs[nc->nr - 1] : NULL;
	bool full = nc->nr == ZNOCACHE_RUNS;

	if (last && last->file == file && last->end == start && !last->tries &&
	    (full || end - last->start <= ZNOCACHE_CHUNK)) {
		last->end = end;
		last->mark = mark;
		return true;
	}
	if (full && !znocache_give_up(nc))
		return false;
	nc->runs[nc->nr++] = (struct znorun){
		.file = file, .start = start, .end = end, .mark = mark,
	};
	return true;
}

/*
 * Have pages read, these and no others: a window of their number, entered in
 * sequence.
 */
static void znocache_read(struct file *file, pgoff_t start, pgoff_t end)
{
	struct file_ra_state ra = {
		.ra_pages = end - start,
		.prev_pos = ((loff_t)start << PAGE_SHIFT) - 1,
	};
	DEFINE_READAHEAD(ractl, file, &ra, file->f_mapping, start);

	page_cache_sync_ra(&ractl, end - start);
}

/**
 * znocache_ahead() - Have the disk read far ahead of the send queue
 * @nc: the account
 * @file: a file that znocache_tracks()
 * @pos: the offset of the next byte
 * @end: where the segment or the file ends
 * @sent: bytes of the job sent before @pos
 *
 * The next half of a window is asked for when the socket has reached the
 * middle of it. May wait for memory and for the file system's look-up of
 * blocks, not for the data.
 */
void znocache_ahead(struct znocache *nc, struct file *file, loff_t pos,
		    loff_t end, u64 sent)
{
	struct address_space *mapping = file->f_mapping;
	pgoff_t index = pos >> PAGE_SHIFT, last = DIV_ROUND_UP_ULL(end, PAGE_SIZE);
	pgoff_t window = zsource_window(file), limit;

	nc->head = max(nc->head, index);
	if (nc->head - index > window / 2)
		return;
	limit = min(index + window, last);
	while (nc->head < limit) {
		pgoff_t to = min(nc->head + ZNOCACHE_CHUNK, limit);
		pgoff_t start = znocache_next(mapping, nc->head, to, false);
		pgoff_t stop = start < to ? znocache_next(mapping, start, to, true) : to;

		if (start < stop) {
			loff_t until = min((loff_t)stop << PAGE_SHIFT, end);

			bool noted;

			mutex_lock(&nc->lock);
			noted = znocache_note(nc, file, start, stop,
					      sent + until - pos);
			mutex_unlock(&nc->lock);
			if (!noted)
				return;
			znocache_read(file, start, stop);
		}
		nc->head = stop;
		cond_resched();
	}
}

/* Has anybody else a use for it? */
static bool znocache_is_ours(struct folio *folio)
{
	return !folio_test_referenced(folio) && !folio_test_active(folio) &&
	       !folio_test_dirty(folio) && !folio_test_writeback(folio) &&
	       !folio_mapped(folio);
}

/*
 * Drop what is left of a run. Pages that somebody else uses by now stay.
 * Returns false when packets still hold some of the others.
 */
static bool znorun_drop(struct znorun *run, u64 *dropped)
{
	struct address_space *mapping = run->file->f_mapping;
	pgoff_t index = run->start;
	bool all = true;

	while (index < run->end) {
		pgoff_t from = 0, to = 0;
		struct folio_batch fbatch;
		unsigned long n;
		unsigned int i;

		folio_batch_init(&fbatch);
		if (!filemap_get_folios(mapping, &index, run->end - 1, &fbatch))
			break;
		/* Those that belong together, of one kind: the rest comes next. */
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			if (!znocache_is_ours(folio)) {
				if (to > from) {
					index = folio->index;
					break;
				}
				continue;
			}
			if (to > from && folio->index != to) {
				index = folio->index;
				break;
			}
			if (from == to)
				from = folio->index;
			to = folio_next_index(folio);
		}
		/* They are dropped only when nobody holds them, us included. */
		for (i = 0; i < folio_batch_count(&fbatch); i++)
			folio_put(fbatch.folios[i]);
		if (from == to)
			continue;
		n = invalidate_mapping_pages(mapping, from, to - 1);
		*dropped += (u64)n << PAGE_SHIFT;
		if (n < to - from) {
			if (all)
				run->start = from;
			all = false;
		}
	}
	return all;
}

/*
 * Some pages of a run could not be dropped. The more they are the later they are
 * looked at again, so that it costs as much for each byte sent as for few.
 */
static void znorun_wait(struct znorun *run, u64 acked)
{
	u64 bytes = (u64)(run->end - run->start) << PAGE_SHIFT;

	run->tries++;
	run->again = acked + max_t(u64, bytes / ZNOCACHE_SPREAD, ZNOCACHE_STEP);
}

/* Two that follow each other and wait become one, so that there is room. */
static bool znorun_merge(struct znorun *last, const struct znorun *run)
{
	if (!last->tries || !run->tries || last->file != run->file ||
	    last->end != run->start)
		return false;
	last->end = run->end;
	last->mark = run->mark;
	last->tries = min(last->tries, run->tries);
	return true;
}

/**
 * znocache_drop() - Drop what is not needed any more
 * @nc: the account
 * @acked: bytes of the job that are acknowledged
 * @all: the job ends: try whatever is left
 *
 * A page may still be in use when its bytes have been acknowledged: a receiver
 * on this machine has not read them, which may be all that its buffer takes, or the
 * NIC has not reported the packet. It is tried again with those that follow.
 */
void znocache_drop(struct znocache *nc, u64 acked, bool all)
{
	u64 dropped = 0;
	u32 i, kept = 0;

	if (!all && acked - nc->tried < ZNOCACHE_STEP)
		return;
	mutex_lock(&nc->lock);
	nc->tried = acked;
	for (i = 0; i < nc->nr; i++) {
		struct znorun *run = &nc->runs[i];

		if (all || max(run->mark, run->again) <= acked) {
			if (znorun_drop(run, &dropped))
				continue;
			znorun_wait(run, acked);
			cond_resched();
		}
		if (kept && znorun_merge(&nc->runs[kept - 1], run))
			continue;
		nc->runs[kept++] = *run;
	}
	nc->nr = kept;
	WRITE_ONCE(nc->dropped, nc->dropped + dropped);
	mutex_unlock(&nc->lock);
}

/**
 * znocache_finish() - Drop what is left when all is acknowledged
 * @nc: the account
 * @acked: bytes of the job
 *
 * Return: false when packets still hold pages, and it is worth coming back.
 */
bool znocache_finish(struct znocache *nc, u64 acked)
{
	if (!nc->until)
		nc->until = (jiffies + ZNOCACHE_LINGER) | 1;
	znocache_drop(nc, acked, true);
	nc->done = !nc->nr || time_after(jiffies, nc->until);
	return nc->done;
}

/**
 * znocache_forget() - The files of the job are let go after this
 * @nc: the account
 */
void znocache_forget(struct znocache *nc)
{
	znocache_drop(nc, 0, true);
	mutex_lock(&nc->lock);
	nc->nr = 0;
	mutex_unlock(&nc->lock);
}
