// SPDX-License-Identifier: GPL-2.0-only
/*
 * The runner: who takes a link's next turn, and what calls for one. How
 * submitters, workers and ending calls keep out of each other's way is told
 * at struct zlink.
 */
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "context.h"
#include "link.h"
#include "trace.h"

/*
 * Turns that only move cached pages, and turns that may wait for a disk: the
 * latter must not take the workers of the former.
 */
static struct workqueue_struct *zengine_wq;
static struct workqueue_struct *zengine_io_wq;

/* Links for which a worker is called and has not come. */
static atomic_t zengine_called = ATOMIC_INIT(0);

int zengine_init(void)
{
	zengine_wq = alloc_workqueue("zcp", WQ_UNBOUND | WQ_FREEZABLE,
				     2 * num_possible_cpus());
	if (!zengine_wq)
		return -ENOMEM;
	zengine_io_wq = alloc_workqueue("zcp_io", WQ_UNBOUND | WQ_FREEZABLE,
					128);
	if (!zengine_io_wq) {
		destroy_workqueue(zengine_wq);
		return -ENOMEM;
	}
	return 0;
}

void zengine_exit(void)
{
	/*
	 * A worker that has ended a run just before another closed the link may
	 * still be about to call for a worker of zengine_io_wq.
	 */
	flush_workqueue(zengine_wq);
	destroy_workqueue(zengine_io_wq);
	destroy_workqueue(zengine_wq);
}

/**
 * zengine_queue() - Have a worker do something that does not wait for a disk
 * @work: what
 * @delay: in jiffies
 *
 * Return: false when it is on its way already.
 */
bool zengine_queue(struct delayed_work *work, unsigned long delay)
{
	return queue_delayed_work(zengine_wq, work, delay);
}

/**
 * zengine_is_wanted() - Does any link wait for a worker?
 */
bool zengine_is_wanted(void)
{
	return atomic_read(&zengine_called) > 0;
}

static struct workqueue_struct *zlink_wq(const struct zlink *link)
{
	return test_bit(ZLINK_IO, &link->bits) ? zengine_io_wq : zengine_wq;
}

/**
 * zlink_kick() - Let a worker take the link's next turn, as soon as it can
 * @link: the link; the caller has a reference, or stands in its callback
 */
void zlink_kick(struct zlink *link)
{
	if (!test_and_set_bit(ZLINK_CALLED, &link->bits))
		atomic_inc(&zengine_called);
	kref_get(&link->ref);
	if (mod_delayed_work(zlink_wq(link), &link->work, 0))
		zlink_put(link);
}

/**
 * zlink_came() - The worker that was called has come, or will never
 * @link: the link
 */
void zlink_came(struct zlink *link)
{
	if (test_and_clear_bit(ZLINK_CALLED, &link->bits))
		atomic_dec(&zengine_called);
}

/**
 * zlink_kick_later() - Let a worker take the next turn later
 * @link: the link
 * @delay: in jiffies; a turn that comes sooner anyway is not put off
 *
 * The time at which the work's timer expires says nothing of a worker that was
 * called since: what counts is the mark %ZLINK_CALLED.
 */
void zlink_kick_later(struct zlink *link, unsigned long delay)
{
	if (test_bit(ZLINK_CALLED, &link->bits))
		return;
	if (delayed_work_pending(&link->work) &&
	    time_before_eq(READ_ONCE(link->work.timer.expires), jiffies + delay))
		return;
	kref_get(&link->ref);
	if (mod_delayed_work(zlink_wq(link), &link->work, delay))
		zlink_put(link);
	/* Pairs with zlink_kick(): it queues after this, or is seen here. */
	smp_mb();
	if (test_bit(ZLINK_CALLED, &link->bits))
		zlink_kick(link);
}

/**
 * zlink_try_run() - Become the runner of a link
 * @link: the link
 *
 * Return: true when the caller is the runner until zlink_end_run().
 */
bool zlink_try_run(struct zlink *link)
{
	return !test_and_set_bit_lock(ZLINK_RUNNING, &link->bits);
}

/**
 * zlink_end_run() - Stop being the runner
 * @link: the link
 *
 * Whoever came meanwhile and left a note gets a turn of a worker.
 */
void zlink_end_run(struct zlink *link)
{
	clear_bit_unlock(ZLINK_RUNNING, &link->bits);
	/* Whoever comes now either takes the bit or is seen below. */
	smp_mb__after_atomic();
	/* Pairs with the barrier of wait_event(), by the one above. */
	if (waitqueue_active(&link->idle))
		wake_up_all(&link->idle);
	/* Nothing is left to do, and the workqueues may be about to go. */
	if (test_bit(ZLINK_CLOSED, &link->bits))
		return;
	if (test_and_clear_bit(ZLINK_AGAIN, &link->bits) ||
	    test_bit(ZLINK_ENDING, &link->bits))
		zlink_kick(link);
}

/**
 * zlink_run_or_note() - Become the runner, or leave a note for who is
 * @link: the link
 *
 * Who waits in zlink_wait_run() goes first; it gives zlink.waiters back before
 * it looks at the notes.
 *
 * Return: true when the caller is the runner until zlink_end_run().
 */
bool zlink_run_or_note(struct zlink *link)
{
	if (!atomic_read(&link->waiters) && zlink_try_run(link))
		return true;
	set_bit(ZLINK_AGAIN, &link->bits);
	/* Pairs with zlink_end_run(): it sees the note, or we the free bit. */
	smp_mb__after_atomic();
	return !atomic_read(&link->waiters) && zlink_try_run(link);
}

/**
 * zlink_wait_run() - Become the runner, after the one there is
 * @link: the link
 * @timeout: how long to wait, in jiffies
 *
 * Return: 0, -EINTR after a fatal signal, or -ETIMEDOUT; workers then go on.
 */
int zlink_wait_run(struct zlink *link, long timeout)
{
	long ret;

	atomic_inc(&link->waiters);
	ret = wait_event_killable_timeout(link->idle, zlink_try_run(link),
					  timeout);
	atomic_dec(&link->waiters);
	if (ret > 0)
		return 0;
	zlink_kick(link);
	return ret ? -EINTR : -ETIMEDOUT;
}

/**
 * zlink_wake() - The socket has news; called in its wait queue
 * @wait: our entry
 * @mode: unused
 * @sync: unused
 * @key: what happened, as poll bits; NULL for a change of state
 *
 * Return: 0.
 */
int zlink_wake(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct zlink *link = container_of(wait, struct zlink, wait);
	__poll_t events = key_to_poll(key);
	struct sock *sk = link->sk;
	bool kick = false, acked = false;
	int err;

	if (events && !(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		return 0;

	err = READ_ONCE(sk->sk_err);
	if (err)
		WRITE_ONCE(link->err, err);

	if (READ_ONCE(sk->sk_state) == TCP_CLOSE &&
	    !test_bit(ZLINK_BROKEN, &link->bits)) {
		link->final_una = READ_ONCE(tcp_sk(sk)->snd_una);
		/* Pairs with zlink_una(). */
		smp_mb__before_atomic();
		set_bit(ZLINK_BROKEN, &link->bits);
		kick = true;
	}
	if (test_and_clear_bit(ZLINK_WANT_SPACE, &link->bits))
		kick = true;
	if (test_bit(ZLINK_WANT_ACK, &link->bits)) {
		if (before(READ_ONCE(tcp_sk(sk)->snd_una),
			   READ_ONCE(link->ack_seq)))
			set_bit(SOCK_NOSPACE, &link->sock->flags);
		else
			acked = true;
	}
	if (!kick && !acked)
		return 0;
	clear_bit(ZLINK_WANT_ACK, &link->bits);
	trace_zcp_wake(link->id, (__force u32)events);
	if (kick)
		zlink_kick(link);
	else
		zctx_ready(link->ctx, link);
	return 0;
}

/**
 * zlink_timer() - The rate of a job lets it go on
 * @timer: zlink.timer
 *
 * Return: HRTIMER_NORESTART.
 */
enum hrtimer_restart zlink_timer(struct hrtimer *timer)
{
	zlink_kick(container_of(timer, struct zlink, timer));
	return HRTIMER_NORESTART;
}
