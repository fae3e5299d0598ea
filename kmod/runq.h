/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_RUNQ_H
#define ZCP_RUNQ_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/workqueue.h>

struct zlink;

/**
 * struct zshare - A user's part of a run queue
 * @links: that wait, through zlink.called, each with a reference; the oldest first
 * @entry: among those of the users who may have another turn
 * @turns: that workers take for him now
 *
 * Under the lock of the run queues. Lives in struct zuser, which each link holds.
 */
struct zshare {
	struct list_head links;
	struct list_head entry;
	unsigned int turns;
};

extern atomic_t zrunq_active;

void zshare_init(struct zshare *share);
int zrunq_init(void);
void zrunq_exit(void);
void zrunq_add(struct zlink *link, bool call);
void zrunq_call(unsigned int nr);
void zrunq_remove(struct zlink *link);
bool zrunq_is_wanted(const struct zlink *link);
void zrunq_queue(struct work_struct *work);
void zrunq_queue_end(struct work_struct *work);

#endif /* ZCP_RUNQ_H */
