/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_RUNQ_H
#define ZCP_RUNQ_H

#include <linux/atomic.h>
#include <linux/workqueue.h>

struct zlink;

extern atomic_t zrunq_active;

int zrunq_init(void);
void zrunq_exit(void);
void zrunq_add(struct zlink *link, bool call);
void zrunq_call(unsigned int nr);
void zrunq_remove(struct zlink *link);
bool zrunq_is_wanted(void);
void zrunq_queue(struct work_struct *work);
void zrunq_queue_end(struct work_struct *work);

#endif /* ZCP_RUNQ_H */
