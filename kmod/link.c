// SPDX-License-Identifier: GPL-2.0-only
/* Links: making and closing them. The engine drives them. */
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/sock.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "link.h"
#include "runq.h"
#include "slab.h"
#include "transmit.h"

/* Linked sockets, so that two links never mix their jobs on one wire. */
static DEFINE_HASHTABLE(zlink_socks, 10);
static DEFINE_SPINLOCK(zlink_socks_lock);

static bool zlink_claim_sock(struct zlink *link)
{
	struct zlink *other;
	bool free = true;

	spin_lock(&zlink_socks_lock);
	hash_for_each_possible(zlink_socks, other, node,
			       (unsigned long)link->sk) {
		if (other->sk == link->sk) {
			free = false;
			break;
		}
	}
	if (free)
		hash_add(zlink_socks, &link->node, (unsigned long)link->sk);
	spin_unlock(&zlink_socks_lock);
	return free;
}

static void zlink_yield_sock(struct zlink *link)
{
	spin_lock(&zlink_socks_lock);
	hash_del(&link->node);
	spin_unlock(&zlink_socks_lock);
}

static void zlink_free(struct kref *ref)
{
	struct zlink *link = container_of(ref, struct zlink, ref);

	zuser_put(link->user);
	kmem_cache_free(zslab_link, link);
	zslab_account(-(long)sizeof(struct zlink));
}

void zlink_put(struct zlink *link)
{
	kref_put(&link->ref, zlink_free);
}

struct zlink_poll {
	poll_table table;
	struct zlink *link;
};

static void zlink_add_wait(struct file *file, wait_queue_head_t *wqh,
			   poll_table *table)
{
	struct zlink *link = container_of(table, struct zlink_poll, table)->link;

	if (link->wqh)
		return;
	link->wqh = wqh;
	add_wait_queue(wqh, &link->wait);
}

/* Stand in the socket's wait queue, as a poller does. */
static int zlink_listen(struct zlink *link)
{
	struct zlink_poll poll = { .link = link };

	init_waitqueue_func_entry(&link->wait, zlink_wake);
	init_poll_funcptr(&poll.table, zlink_add_wait);
	vfs_poll(link->sock->file, &poll.table);
	return link->wqh ? 0 : -EOPNOTSUPP;
}

static void zlink_end_work(struct work_struct *work);

static int zlink_take_limits(struct zctx *ctx, u32 *limit)
{
	if (!zlimit_take(&ctx->nr_links, zcp_max_links)) {
		*limit = ZCP_LIMIT_LINKS;
		return -EAGAIN;
	}
	if (!zlimit_take(&ctx->user->links, zcp_max_user_links)) {
		zlimit_give(&ctx->nr_links);
		*limit = ZCP_LIMIT_USER_LINKS;
		return -EAGAIN;
	}
	return 0;
}

static void zlink_give_limits(struct zctx *ctx)
{
	zlimit_give(&ctx->user->links);
	zlimit_give(&ctx->nr_links);
}

/**
 * zlink_new() - Link a socket
 * @ctx: the context
 * @req: the request; its outputs are filled in
 * @out: the link
 *
 * The id is reserved but not found by look-ups: zlink_publish() ends that, or
 * zlink_abandon() and zlink_put() undo the link.
 *
 * Return: 0 or a negative errno.
 */
int zlink_new(struct zctx *ctx, struct zcp_link *req, struct zlink **out)
{
	struct zlink *link;
	struct socket *sock;
	int ret;

	req->limit = ZCP_LIMIT_NONE;
	if (req->flags & ~ZCP_LINK_CONTINUE)
		return -EOPNOTSUPP;

	sock = sockfd_lookup(req->fd, &ret);
	if (!sock)
		return ret;
	ret = zsock_check(sock);
	if (ret)
		goto err_sock;

	ret = zlink_take_limits(ctx, &req->limit);
	if (ret)
		goto err_sock;

	link = kmem_cache_zalloc(zslab_link, GFP_KERNEL_ACCOUNT);
	if (!link) {
		ret = -ENOMEM;
		goto err_limits;
	}
	zslab_account(sizeof(*link));
	kref_init(&link->ref);
	link->flags = req->flags;
	link->ctx = ctx;
	link->user = zuser_hold(ctx->user);
	link->sock = sock;
	link->sk = sock->sk;
	link->net_cookie = sock_net(sock->sk)->net_cookie;
	spin_lock_init(&link->lock);
	INIT_LIST_HEAD(&link->queue);
	INIT_LIST_HEAD(&link->unacked);
	timer_setup(&link->later, zlink_later, 0);
	zcp_hrtimer_setup(&link->timer, zlink_timer);
	INIT_WORK(&link->end, zlink_end_work);
	init_waitqueue_head(&link->idle);
	atomic_set(&link->waiters, 0);
	link->delay = 1;

	if (!zlink_claim_sock(link)) {
		ret = -EBUSY;
		goto err_link;
	}
	ret = xa_alloc_cyclic(&ctx->links, &link->id, NULL, xa_limit_32b,
			      &ctx->next_link, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto err_claim;
	ret = zlink_listen(link);
	if (ret)
		goto err_id;

	/* The connection may have ended before we stood in the queue. */
	kref_get(&ctx->ref);
	ret = zsock_check(sock);
	if (ret) {
		/* A worker may have been called for it. */
		xa_erase(&ctx->links, link->id);
		zlink_abandon(link, jiffies + HZ);
		zlink_put(link);
		return ret;
	}
	zpath_describe(link->sk, req);
	req->link = link->id;
	*out = link;
	return 0;

err_id:
	xa_erase(&ctx->links, link->id);
err_claim:
	zlink_yield_sock(link);
err_link:
	zlink_put(link);
err_limits:
	zlink_give_limits(ctx);
err_sock:
	sockfd_put(sock);
	return ret;
}

/**
 * zlink_publish() - Let look-ups find a new link
 * @link: the link; the caller's reference goes to zctx.links
 */
void zlink_publish(struct zlink *link)
{
	xa_store(&link->ctx->links, link->id, link, GFP_KERNEL_ACCOUNT);
}

/*
 * Nobody waits for a worker's reference, so it need not linger, if it is the last: who
 * else has one may let go of it at any moment.
 */
static void zlink_end_work(struct work_struct *work)
{
	struct zlink *link = container_of(work, struct zlink, end);
	struct file *file = link->sock->file;
	struct sock *sk = link->sock->sk;
	unsigned long linger = READ_ONCE(sk->sk_lingertime);
	bool cut;

	sock_hold(sk);
	cut = linger > 1 && cmpxchg(&sk->sk_lingertime, linger, 1) == linger;
	link->sock = NULL;
	__fput_sync(file);
	/* For who has it still, unless he has set another time since. */
	if (cut && !sock_flag(sk, SOCK_DEAD))
		cmpxchg(&sk->sk_lingertime, 1, linger);
	sock_put(sk);
	zlink_put(link);
}

/*
 * A worker would leave it to the one thread that does so for all of the system; and who
 * takes a turn within a call, until that call returns.
 */
static void zlink_let_go_sock(struct zlink *link, bool in_turn)
{
	struct socket *sock = link->sock;

	if (in_turn || current->flags & PF_KTHREAD) {
		kref_get(&link->ref);
		zrunq_queue_end(&link->end);
	} else {
		link->sock = NULL;
		sockfd_put(sock);
	}
}

/* Who has waited for a turn that closes a link waits until the socket is free, too. */
static void zlink_take_back_sock(struct zlink *link)
{
	struct socket *sock;

	if (current->flags & PF_KTHREAD || !cancel_work_sync(&link->end))
		return;
	sock = link->sock;
	link->sock = NULL;
	sockfd_put(sock);
	zlink_put(link);
}

/**
 * zlink_close() - Close a link that is ending
 * @link: the link; the caller is its runner
 * @in_turn: takes a turn; else nothing but the end of the link is what it has to do
 */
void zlink_close(struct zlink *link, bool in_turn)
{
	struct zctx *ctx = link->ctx;
	u64 bytes = 0;

	if (test_and_set_bit(ZLINK_CLOSED, &link->bits))
		return;

	remove_wait_queue(link->wqh, &link->wait);
	hrtimer_cancel(&link->timer);
	if (timer_delete_sync(&link->later))
		zlink_put(link);
	zrunq_remove(link);
	zlink_yield_sock(link);

	zlink_finish_all(link, zlink_una(link), ZCP_STATE_CANCELLED, ECANCELED,
			 &link->cancelled, &bytes);
	/*
	 * What TCP holds back is the end of a job that was cut off here, or of the one before
	 * it: it goes with the next acknowledgment, or by TCP's own timer. To flush would be
	 * to wait for who has the socket's lock, and this may be close(2).
	 */
	spin_lock(&link->lock);
	link->sk = NULL;
	spin_unlock(&link->lock);
	zlink_let_go_sock(link, in_turn);

	zlink_give_limits(ctx);
	link->ctx = NULL;
	zctx_put(ctx);
}

/**
 * zlink_unlink() - End a link, and wait until that is so
 * @link: a link that is out of zctx.links
 * @cancelled: out: jobs that were cancelled by it
 *
 * Return: 0, or -EINTR when a fatal signal came first; the link then ends
 * without the caller.
 */
int zlink_unlink(struct zlink *link, u32 *cancelled)
{
	*cancelled = 0;
	set_bit(ZLINK_ENDING, &link->bits);
	if (zlink_wait_run(link, MAX_SCHEDULE_TIMEOUT))
		return -EINTR;
	/* Unless the runner before us has done so when it saw the mark. */
	zlink_close(link, false);
	*cancelled = link->cancelled;
	zlink_end_run(link);
	zlink_take_back_sock(link);
	return 0;
}

/**
 * zlink_abandon() - End a link because its context ends
 * @link: a link that is out of zctx.links
 * @until: in jiffies: do not wait any longer
 *
 * A worker may be busy with the link inside a file system. It is waited for
 * only for a moment, so that a disk or server that does not answer cannot
 * hold up close(2); the worker then closes the link when it comes back, and has
 * nothing left but the job that it is busy with.
 */
void zlink_abandon(struct zlink *link, unsigned long until)
{
	unsigned long now = jiffies;
	long wait = time_before(now, until) ? until - now : 0;

	set_bit(ZLINK_ENDING, &link->bits);
	if (wait_event_killable_timeout(link->idle, zlink_try_run(link),
					wait) <= 0) {
		zlink_finish_others(link);
		zlink_kick(link);
		return;
	}
	zlink_close(link, false);
	zlink_end_run(link);
	zlink_take_back_sock(link);
}
