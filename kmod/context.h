/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCP_CONTEXT_H
#define ZCP_CONTEXT_H

#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/zcp.h>

#include "limit.h"

struct zjob;
struct zlink;

/**
 * struct zctx - A context: what open("/dev/zcp") makes
 * @ref: one of the open file, one of each link that is not closed yet, one of
 *	@look while it is called or runs, and one of each look-up in the table of
 *	contexts
 * @id: unique while the module is loaded
 * @user: who opened it
 * @pid: the process that opened it, which may have ended since
 * @comm: that process's name then
 * @net_cookie: the network namespace in which it was opened
 * @links: id → link; an entry holds a reference
 * @next_link: where the search for a free link id begins
 * @jobs: id → job, from acceptance until the event is read; holds a reference
 * @lock: @events and @nr_events. Innermost: taken inside zlink.lock
 * @events: final jobs whose event is unread, through zjob.entry, oldest first
 * @nr_events: their number
 * @wait: readers and pollers
 * @ready: links whose acknowledgments have come, with a reference each; who
 *	reads, polls or asks for a status takes their turns
 * @timer: sees that nobody does; holds no reference, and ends before @ref is freed
 * @look: reports what was acknowledged on them then, and calls for their turns
 * @end: closes or frees it where a thread of the kernel's would have to, which must
 *	not wait for the file systems of its files
 * @called: @look is called and has not begun
 * @looked: somebody has taken them since @timer was started
 * @nr_links: entries of @links
 * @nr_jobs: entries of @jobs
 * @inline_bytes: inline bytes that jobs in @jobs hold
 * @inflight: bytes of jobs that were sent and are not known to be acked: what
 *	the send queues of its links hold
 *
 * Life: made by open(2). release() closes every link and forgets all jobs but those
 * that a worker is busy with; such a link is closed by its worker, so the context
 * can outlive its file, but not its links. The last reference frees the jobs that
 * are left, which are all final, on a workqueue of its own if it is a worker's.
 * While the file is open the module cannot be removed, and the module's exit waits
 * until the last context is gone.
 *
 * The table of contexts, for those who look at all of them, holds no reference:
 * freeing begins with leaving it, and a look-up takes a reference only when
 * there still is one. Who looks does not change what happens to a context: no
 * file, socket or namespace is held by such a reference once release() is over
 * and the links are closed. A network namespace is remembered by its cookie,
 * which no other will have, and is held by nothing but the sockets in it.
 *
 * An event takes no memory of its own: the job is its own record. So an event
 * cannot be lost for want of memory.
 */
struct zctx {
	struct kref ref;
	unsigned long id;
	struct zuser *user;
	struct pid *pid;
	char comm[TASK_COMM_LEN];
	u64 net_cookie;
	struct xarray links;
	u32 next_link;
	struct xarray jobs;

	spinlock_t lock;	/* events */
	struct list_head events;
	u32 nr_events;
	wait_queue_head_t wait;
	struct llist_head ready;
	struct timer_list timer;
	struct work_struct look;
	struct work_struct end;
	unsigned long called;
	bool looked;

	atomic_t nr_links;
	atomic_t nr_jobs;
	atomic64_t inline_bytes;
	atomic64_t inflight;
};

struct zctx *zctx_new(void);
void zctx_release(struct zctx *ctx);
void zctx_put(struct zctx *ctx);
void zctx_wait_all_gone(void);

struct zctx *zctx_find(u64 id);
struct zctx *zctx_next(u64 id);
struct zlink *zctx_find_link(struct zctx *ctx, u32 id);
struct zjob *zctx_find_job(struct zctx *ctx, u64 id);
struct zlink *zctx_next_link(struct zctx *ctx, u64 id);
struct zjob *zctx_next_job(struct zctx *ctx, u64 id);

/* event.c */
void zctx_ready(struct zctx *ctx, struct zlink *link);
void zctx_look(struct zctx *ctx);
void zctx_look_work(struct work_struct *work);
void zctx_look_later(struct timer_list *timer);
void zctx_post(struct zctx *ctx, struct zjob *job);
void zctx_forget_events(struct zctx *ctx);
ssize_t zctx_read(struct zctx *ctx, char __user *buf, size_t len, bool nonblock);
__poll_t zctx_poll(struct zctx *ctx, struct file *file, poll_table *wait);

#endif /* ZCP_CONTEXT_H */
