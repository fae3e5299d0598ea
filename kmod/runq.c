// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run queues: links that wait for a worker's turn, the one that has waited longest
 * first. A workqueue alone does not keep that order: it has a pool of workers for
 * each group of CPUs that share a cache, and serves the pools in turn, so that
 * links in the shorter one had twice the turns of the others.
 *
 * A worker that has work takes links from the queue until it is empty. Turns that
 * may wait for a disk have a queue of their own, since they must not take the
 * workers of those that only move cached pages.
 */
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "link.h"
#include "runq.h"

#define ZRUNQ_IO_WORKERS	128
/* Turns of a worker before the workqueue may stop or move it. */
#define ZRUNQ_TURNS		16

/**
 * struct zrunq - A run queue
 * @links: through zlink.called, each with a reference
 * @idle: workers that have not been called, through zrunq_worker.idle
 * @wq: where they run
 * @workers: all of them
 */
struct zrunq {
	struct list_head links;
	struct list_head idle;
	struct workqueue_struct *wq;
	struct zrunq_worker *workers;
};

struct zrunq_worker {
	struct work_struct work;
	struct list_head idle;
	struct zrunq *rq;
};

static struct zrunq zrunq_cached, zrunq_io;

/* What ends contexts that no process is there for, and may wait for file systems. */
static struct workqueue_struct *zrunq_end;

/* Links and idle workers of both queues, and zlink.runq. Taken last, in any context. */
static DEFINE_SPINLOCK(zrunq_lock);

/* Links in both. */
static unsigned int zrunq_links;

/* Workers that take a turn now. */
atomic_t zrunq_active = ATOMIC_INIT(0);

/* The next link, with the queue's reference; without one the worker is idle. */
static struct zlink *zrunq_next(struct zrunq_worker *worker)
{
	struct zrunq *rq = worker->rq;
	struct zlink *link;
	unsigned long flags;

	spin_lock_irqsave(&zrunq_lock, flags);
	link = list_first_entry_or_null(&rq->links, struct zlink, called);
	if (link) {
		list_del(&link->called);
		WRITE_ONCE(link->runq, NULL);
		WRITE_ONCE(zrunq_links, zrunq_links - 1);
	} else {
		list_add(&worker->idle, &rq->idle);
	}
	spin_unlock_irqrestore(&zrunq_lock, flags);
	return link;
}

static void zrunq_work(struct work_struct *work)
{
	struct zrunq_worker *worker = container_of(work, struct zrunq_worker,
						   work);
	struct zrunq *rq = worker->rq;
	struct zlink *link;
	int i;

	for (i = 0; i < ZRUNQ_TURNS; i++) {
		link = zrunq_next(worker);
		if (!link)
			return;
		atomic_inc(&zrunq_active);
		zlink_take_turn(link, rq == &zrunq_io);
		atomic_dec(&zrunq_active);
		zlink_put(link);
		cond_resched();
	}
	queue_work(rq->wq, work);
}

/* A worker that has not been called, to be called outside of the lock, or NULL. */
static struct zrunq_worker *zrunq_take_idle(struct zrunq *rq)
{
	struct zrunq_worker *worker;

	lockdep_assert_held(&zrunq_lock);
	worker = list_first_entry_or_null(&rq->idle, struct zrunq_worker, idle);
	if (worker)
		list_del(&worker->idle);
	return worker;
}

/**
 * zrunq_add() - Have a worker take a link's turn
 * @link: the link; the caller has a reference, or stands in its callback
 * @call: call a worker, if one is idle; else zrunq_call() is to follow
 *
 * A link that waits already keeps its place, unless it needs the disk by now.
 */
void zrunq_add(struct zlink *link, bool call)
{
	struct zrunq *rq = test_bit(ZLINK_IO, &link->bits) ? &zrunq_io :
							    &zrunq_cached;
	struct zrunq_worker *worker = NULL;
	unsigned long flags;

	spin_lock_irqsave(&zrunq_lock, flags);
	if (link->runq != rq) {
		if (link->runq) {
			list_del(&link->called);
		} else {
			kref_get(&link->ref);
			WRITE_ONCE(zrunq_links, zrunq_links + 1);
		}
		list_add_tail(&link->called, &rq->links);
		WRITE_ONCE(link->runq, rq);
		if (call)
			worker = zrunq_take_idle(rq);
	}
	spin_unlock_irqrestore(&zrunq_lock, flags);
	if (worker)
		queue_work(rq->wq, &worker->work);
}

static bool zrunq_call_one(struct zrunq *rq)
{
	struct zrunq_worker *worker = NULL;
	unsigned long flags;

	spin_lock_irqsave(&zrunq_lock, flags);
	if (!list_empty(&rq->links))
		worker = zrunq_take_idle(rq);
	spin_unlock_irqrestore(&zrunq_lock, flags);
	if (worker)
		queue_work(rq->wq, &worker->work);
	return worker;
}

/**
 * zrunq_call() - Call workers for links that were added without
 * @nr: how many links
 */
void zrunq_call(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr && zrunq_call_one(&zrunq_cached); i++)
		;
	for (i = 0; i < nr && zrunq_call_one(&zrunq_io); i++)
		;
}

/**
 * zrunq_remove() - A link's turn is being taken, or will never be
 * @link: the link; the caller is its runner and has a reference
 */
void zrunq_remove(struct zlink *link)
{
	unsigned long flags;
	bool was;

	if (!READ_ONCE(link->runq))
		return;
	spin_lock_irqsave(&zrunq_lock, flags);
	was = link->runq;
	if (was) {
		list_del(&link->called);
		WRITE_ONCE(link->runq, NULL);
		WRITE_ONCE(zrunq_links, zrunq_links - 1);
	}
	spin_unlock_irqrestore(&zrunq_lock, flags);
	if (was)
		zlink_put(link);
}

/**
 * zrunq_is_wanted() - Does any link wait for a worker?
 */
bool zrunq_is_wanted(void)
{
	return READ_ONCE(zrunq_links);
}

/**
 * zrunq_queue() - Have a worker do something that is no link's turn
 * @work: what; it does not wait for a disk, and is not queued already
 */
void zrunq_queue(struct work_struct *work)
{
	queue_work(zrunq_cached.wq, work);
}

/**
 * zrunq_queue_end() - Have a worker do what may wait for a disk or a server
 * @work: what; however long it takes, no link waits for it
 */
void zrunq_queue_end(struct work_struct *work)
{
	queue_work(zrunq_end, work);
}

static int zrunq_setup(struct zrunq *rq, const char *name, unsigned int nr)
{
	unsigned int i;

	INIT_LIST_HEAD(&rq->links);
	INIT_LIST_HEAD(&rq->idle);
	rq->workers = kcalloc(nr, sizeof(*rq->workers), GFP_KERNEL);
	if (!rq->workers)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		INIT_WORK(&rq->workers[i].work, zrunq_work);
		rq->workers[i].rq = rq;
		list_add_tail(&rq->workers[i].idle, &rq->idle);
	}
	/* What limits it is the number of workers. */
	rq->wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_FREEZABLE, 0, name);
	if (!rq->wq) {
		kfree(rq->workers);
		return -ENOMEM;
	}
	return 0;
}

static void zrunq_teardown(struct zrunq *rq)
{
	destroy_workqueue(rq->wq);
	kfree(rq->workers);
}

int zrunq_init(void)
{
	int ret = zrunq_setup(&zrunq_cached, "zcp", 2 * num_possible_cpus());

	if (ret)
		return ret;
	ret = zrunq_setup(&zrunq_io, "zcp_io", ZRUNQ_IO_WORKERS);
	if (ret)
		goto err_cached;
	zrunq_end = alloc_workqueue("zcp_end", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!zrunq_end) {
		ret = -ENOMEM;
		goto err_io;
	}
	return 0;

err_io:
	zrunq_teardown(&zrunq_io);
err_cached:
	zrunq_teardown(&zrunq_cached);
	return ret;
}

void zrunq_exit(void)
{
	/* What ends a context calls for workers. */
	destroy_workqueue(zrunq_end);
	/*
	 * A worker that has ended a run just before another closed the link may
	 * still be about to call for a worker of the other queue.
	 */
	flush_workqueue(zrunq_cached.wq);
	zrunq_teardown(&zrunq_io);
	zrunq_teardown(&zrunq_cached);
}
