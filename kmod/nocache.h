/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs that leave the page cache as they found it: reading ahead by
 * themselves, so that they know which pages were not there before, and
 * dropping those when they have been acknowledged.
 */
#ifndef ZCP_NOCACHE_H
#define ZCP_NOCACHE_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/types.h>

#define ZNOCACHE_RUNS	64

/**
 * struct znorun - Pages that a job has brought in
 * @file: whose, borrowed from the job's segment
 * @start: the first
 * @end: the one after the last
 * @mark: when so many bytes of the job are acknowledged they are not needed
 * @again: acknowledged bytes of the job at which to try again, when some of them
 *	could not be dropped; else 0
 * @tries: how often that was
 */
struct znorun {
	struct file *file;
	pgoff_t start;
	pgoff_t end;
	u64 mark;
	u64 again;
	u32 tries;
};

/**
 * struct znocache - What a job with ZCP_JOB_NOCACHE keeps account of
 * @lock: @runs and what follows from them; the files of @runs are there while
 *	it is held. Innermost but for what the page cache takes
 * @done: all is acknowledged, and everything dropped or not waited for
 * @until: in jiffies: how long to wait for packets that hold pages, from when
 *	all was acknowledged; 0 before
 * @head: the first page of the current segment not asked for yet
 * @tried: acknowledged bytes at the last attempt to drop
 * @dropped: bytes of page cache that were given back
 * @nr: elements of @runs
 * @runs: pages brought in and not dropped yet, in the order of the job's bytes
 *
 * @head belongs to the runner of the job's link. Who forgets a job empties
 * @runs before it lets the files go. @dropped is read by anyone.
 */
struct znocache {
	struct mutex lock;	/* runs */
	bool done;
	unsigned long until;
	pgoff_t head;
	u64 tried;
	u64 dropped;
	u32 nr;
	struct znorun runs[ZNOCACHE_RUNS];
};

struct znocache *znocache_new(void);
int znocache_check(struct file *file);
bool znocache_tracks(struct file *file);
void znocache_ahead(struct znocache *nc, struct file *file, loff_t pos,
		    loff_t end, u64 sent);
bool znocache_finish(struct znocache *nc, u64 acked);
void znocache_drop(struct znocache *nc, u64 acked, bool all);
void znocache_forget(struct znocache *nc);

#endif /* ZCP_NOCACHE_H */
