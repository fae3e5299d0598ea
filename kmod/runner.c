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
#include "runq.h"
#include "trace.h"

/*
 * A note that there is something to do, and a place in the run queue: while there is a
 * runner the note is enough, as it calls when it stops.
 */
static void zlink_call(struct zlink *link, bool now)
{
	/* Pairs with zlink_turn(): who takes the note away sees what it is about. */
	smp_mb__before_atomic();
	set_bit(ZLINK_AGAIN, &link->bits);
	/* Pairs with zlink_end_run(): it sees the note, or we the free bit. */
	smp_mb__after_atomic();
	if (!test_bit(ZLINK_RUNNING, &link->bits))
		zrunq_add(link, now);
}

/**
 * zlink_kick() - Let a worker take the link's next turn, as soon as it can
 * @link: the link; the caller has a reference, or stands in its callback
 *
 * While there is a runner this leaves a note: it calls when it stops.
 */
void zlink_kick(struct zlink *link)
{
	zlink_call(link, true);
}

/**
 * zlink_kick_with_others() - The same, of one of many links
 * @link: the link; the caller has a reference
 *
 * zrunq_call() follows when all of them are queued.
 */
void zlink_kick_with_others(struct zlink *link)
{
	zlink_call(link, false);
}

/**
 * zlink_kick_later() - Let a worker take the next turn later
 * @link: the link; the caller is its runner
 * @delay: in jiffies; a turn that comes sooner anyway is not put off
 */
void zlink_kick_later(struct zlink *link, unsigned long delay)
{
	unsigned long when = jiffies + delay;

	if (timer_pending(&link->later) &&
	    time_before_eq(READ_ONCE(link->later.expires), when))
		return;
	kref_get(&link->ref);
	if (timer_reduce(&link->later, when))
		zlink_put(link);
}

/**
 * zlink_later() - It is later now
 * @timer: zlink.later
 */
void zlink_later(struct timer_list *timer)
{
	struct zlink *link = container_of(timer, struct zlink, later);

	zlink_kick(link);
	zlink_put(link);
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
	if (test_bit(ZLINK_AGAIN, &link->bits) ||
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
	/* As in zlink_kick(). */
	smp_mb__before_atomic();
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
