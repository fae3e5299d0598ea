// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run queues: links that wait for a worker's turn. Users take turns, and of a user's
 * links the one that has waited longest is first. A workqueue alone does not keep that
 * order: it has a pool of workers for each group of CPUs that share a cache, and serves
 * the pools in turn, so that links in the shorter one had twice the turns of the others.
 *
 * A worker that has work takes links from the queue until there are none. Turns that
 * may wait for a disk have a queue of their own, since they must not take the
 * workers of those that only move cached pages. A turn may wait for as long as a
 * file system, or who has a socket's lock, likes: so a user has half of the workers at
 * most, and no user can stop the links of all others.
 */
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/nodemask.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

#include "limit.h"
#include "link.h"
#include "runq.h"

#define ZRUNQ_IO_TURNS		128	/* of a user, at a time */
#define ZRUNQ_LEAST		32	/* the same, if nodes have few */
/* Turns of a worker before the workqueue may stop or move it. */
#define ZRUNQ_TURNS		16

/**
 * struct zrunq - A run queue
 * @shares: of users who have links that wait, and may have another turn now; through
 *	zshare.entry, in their order
 * @most: turns of a user that are taken at a time
 * @loud: links that wait and for which a worker was called
 * @idle: workers that have not been called, through zrunq_worker.idle
 * @wq: where they run
 * @workers: all of them
 */
struct zrunq {
	struct list_head shares;
	unsigned int most;
	unsigned int loud;
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

/* Work that is no link's turn: looks at contexts, and what may wait for file systems. */
static struct workqueue_struct *zrunq_look, *zrunq_end;

/* All of both queues, the shares, and zlink.runq. Taken last, in any context. */
static DEFINE_SPINLOCK(zrunq_lock);

/* Workers that take a turn now. */
atomic_t zrunq_active = ATOMIC_INIT(0);

/**
 * zshare_init() - A user without links
 * @share: his part of a run queue
 */
void zshare_init(struct zshare *share)
{
	INIT_LIST_HEAD(&share->links);
	INIT_LIST_HEAD(&share->entry);
}

static struct zshare *zshare_of(const struct zrunq *rq, struct zlink *link)
{
	return rq == &zrunq_io ? &link->user->io : &link->user->cached;
}

/* Behind the other users, when there is something to do and a turn to have. */
static void zshare_enlist(struct zrunq *rq, struct zshare *share)
{
	lockdep_assert_held(&zrunq_lock);
	if (list_empty(&share->entry) && !list_empty(&share->links) &&
	    share->turns < rq->most)
		list_add_tail(&share->entry, &rq->shares);
}

/* Take a link out of the queue that it waits in; its reference is the caller's. */
static void zrunq_take(struct zlink *link)
{
	struct zshare *share = zshare_of(link->runq, link);

	lockdep_assert_held(&zrunq_lock);
	list_del(&link->called);
	if (list_empty(&share->links))
		list_del_init(&share->entry);
	if (!link->quiet)
		link->runq->loud--;
	WRITE_ONCE(link->runq, NULL);
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

/*
 * The next link, with the queue's reference; without one the worker is idle. A worker
 * that was called for another link than the one it takes has that made up for.
 */
static struct zlink *zrunq_next(struct zrunq_worker *worker)
{
	struct zrunq_worker *other = NULL;
	struct zrunq *rq = worker->rq;
	struct zlink *link = NULL;
	struct zshare *share;
	unsigned long flags;

	spin_lock_irqsave(&zrunq_lock, flags);
	share = list_first_entry_or_null(&rq->shares, struct zshare, entry);
	if (share) {
		link = list_first_entry(&share->links, struct zlink, called);
		zrunq_take(link);
		share->turns++;
		list_del_init(&share->entry);
		zshare_enlist(rq, share);
		if (link->quiet && rq->loud && !list_empty(&rq->shares))
			other = zrunq_take_idle(rq);
	} else {
		list_add(&worker->idle, &rq->idle);
	}
	spin_unlock_irqrestore(&zrunq_lock, flags);
	if (other)
		queue_work(rq->wq, &other->work);
	return link;
}

/* A turn is over; the caller looks for the next one. */
static void zrunq_end_turn(struct zrunq *rq, struct zlink *link)
{
	struct zshare *share = zshare_of(rq, link);
	unsigned long flags;

	spin_lock_irqsave(&zrunq_lock, flags);
	share->turns--;
	zshare_enlist(rq, share);
	spin_unlock_irqrestore(&zrunq_lock, flags);
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
		zrunq_end_turn(rq, link);
		zlink_put(link);
		cond_resched();
	}
	queue_work(rq->wq, work);
}

/**
 * zrunq_add() - Have a worker take a link's turn
 * @link: the link; the caller has a reference, or stands in its callback
 * @call: call a worker, if one is idle; else zrunq_call() is to follow
 *
 * A link that waits already keeps its place, unless it needs the disk by now. One that
 * was added without a call has that made up for by the first that makes one: what calls
 * for all may be long in coming.
 */
void zrunq_add(struct zlink *link, bool call)
{
	struct zrunq *rq = test_bit(ZLINK_IO, &link->bits) ? &zrunq_io :
							    &zrunq_cached;
	struct zrunq_worker *worker = NULL;
	struct zshare *share = zshare_of(rq, link);
	unsigned long flags;

	spin_lock_irqsave(&zrunq_lock, flags);
	if (link->runq != rq) {
		if (link->runq)
			zrunq_take(link);
		else
			kref_get(&link->ref);
		list_add_tail(&link->called, &share->links);
		WRITE_ONCE(link->runq, rq);
		link->quiet = true;
		zshare_enlist(rq, share);
	}
	if (call && link->quiet) {
		link->quiet = false;
		rq->loud++;
		/* Else all of the user's turns are taken: who ends one takes the next. */
		if (!list_empty(&share->entry))
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
	if (!list_empty(&rq->shares))
		worker = zrunq_take_idle(rq);
	spin_unlock_irqrestore(&zrunq_lock, flags);
	if (worker)
		queue_work(rq->wq, &worker->work);
	return worker;
}

/**
 * zrunq_call() - Call workers for links that were added without
 * @nr: how many links, all of a user
 */
void zrunq_call(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < min(nr, zrunq_cached.most) && zrunq_call_one(&zrunq_cached); i++)
		;
	for (i = 0; i < min(nr, zrunq_io.most) && zrunq_call_one(&zrunq_io); i++)
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
	if (was)
		zrunq_take(link);
	spin_unlock_irqrestore(&zrunq_lock, flags);
	if (was)
		zlink_put(link);
}

/**
 * zrunq_is_wanted() - Does any other link wait for a worker?
 * @link: the link that has one
 *
 * Those of a user who has all of his turns wait for nobody but him. A link that waits for
 * a turn that may read, while another moves what is cached, counts as another.
 */
bool zrunq_is_wanted(const struct zlink *link)
{
	const struct zuser *user = link->user;

	return !list_empty(&zrunq_cached.shares) || !list_empty(&zrunq_io.shares) ||
	       !list_empty(&user->cached.links) || !list_empty(&user->io.links);
}

/**
 * zrunq_queue() - Have a worker do something that is no link's turn
 * @work: what; it does not wait for a disk, and is not queued already
 */
void zrunq_queue(struct work_struct *work)
{
	queue_work(zrunq_look, work);
}

/**
 * zrunq_queue_end() - Have a worker do what may wait for a disk or a server
 * @work: what; however long it takes, no link waits for it
 */
void zrunq_queue_end(struct work_struct *work)
{
	queue_work(zrunq_end, work);
}

/*
 * Half of what a workqueue runs at a time on the node that runs the least, where each node
 * has the part that its CPUs are of all. Workers run where they are called: with more, a
 * user whose turns all wait on one node would stop the others' that are called there. Not
 * so few that a node of a few CPUs among many would hold up everybody.
 */
static unsigned int zrunq_half_of_node(void)
{
	unsigned int cpus, all, part = WQ_UNBOUND_MAX_ACTIVE;
	const struct cpumask *used;
	int node;

	/* It may be replaced at any time. */
	rcu_read_lock();
	used = housekeeping_cpumask(HK_TYPE_DOMAIN);
	all = max(cpumask_weight_and(used, cpu_online_mask), 1U);
	for_each_online_node(node) {
		cpus = cpumask_weight_and(cpumask_of_node(node), used);
		if (cpus)
			part = min_t(unsigned int, part, WQ_UNBOUND_MAX_ACTIVE * cpus / all);
	}
	rcu_read_unlock();
	return max_t(unsigned int, part / 2, ZRUNQ_LEAST);
}

/* With as many workers as two users can have at a time. */
static int zrunq_setup(struct zrunq *rq, const char *name, unsigned int turns)
{
	unsigned int most = min(turns, zrunq_half_of_node());
	unsigned int i, nr = 2 * most;

	INIT_LIST_HEAD(&rq->shares);
	INIT_LIST_HEAD(&rq->idle);
	rq->most = most;
	rq->workers = kcalloc(nr, sizeof(*rq->workers), GFP_KERNEL);
	if (!rq->workers)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		INIT_WORK(&rq->workers[i].work, zrunq_work);
		rq->workers[i].rq = rq;
		list_add_tail(&rq->workers[i].idle, &rq->idle);
	}
	/* What limits it is the number of workers. */
	rq->wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_FREEZABLE, WQ_UNBOUND_MAX_ACTIVE, name);
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
	ret = zrunq_setup(&zrunq_io, "zcp_io", ZRUNQ_IO_TURNS);
	if (ret)
		goto err_cached;
	ret = -ENOMEM;
	zrunq_look = alloc_workqueue("zcp_look", WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!zrunq_look)
		goto err_io;
	/* A server that does not answer must not keep the system from being suspended. */
	zrunq_end = alloc_workqueue("zcp_end", WQ_UNBOUND, 0);
	if (!zrunq_end)
		goto err_look;
	return 0;

err_look:
	destroy_workqueue(zrunq_look);
err_io:
	zrunq_teardown(&zrunq_io);
err_cached:
	zrunq_teardown(&zrunq_cached);
	return ret;
}

void zrunq_exit(void)
{
	/* Both call for workers. */
	destroy_workqueue(zrunq_end);
	destroy_workqueue(zrunq_look);
	/*
	 * A worker that has ended a run just before another closed the link may
	 * still be about to call for a worker of the other queue.
	 */
	flush_workqueue(zrunq_cached.wq);
	zrunq_teardown(&zrunq_io);
	zrunq_teardown(&zrunq_cached);
}
