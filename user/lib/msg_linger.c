// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Messages that wait for others: a thread sends what no call has sent in time.
 *
 * While a link has something gathered the thread looks at it twice in the time that
 * messages may wait, and sends what it had found the time before. So nobody who
 * sends has to read a clock, and the first message of those that leave together
 * waits for half of the time at least, and for all of it at most.
 */
#include <signal.h>
#include <time.h>

#include "msg.h"

#define NS 1000000000L

/* Waits for half of the time, or for the end of the messenger. */
static void half(struct zcp_msg *msg)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += msg->linger_us * 500L;
	ts.tv_sec += ts.tv_nsec / NS;
	ts.tv_nsec %= NS;
	while (!msg->ending &&
	       pthread_cond_timedwait(&msg->linger_cond, &msg->lock, &ts) != ETIMEDOUT)
		;
}

/* With zcp_msg.lock, which it leaves while it sends. */
static void look(struct zcp_msg *msg, struct zcp_msg_link *link)
{
	TAILQ_REMOVE(&msg->lingering, link, linger);
	/* Who has it is about to add to what is gathered, or to send it. */
	if (pthread_mutex_trylock(&link->lock)) {
		TAILQ_INSERT_TAIL(&msg->lingering, link, linger);
		return;
	}
	msg->looked_at = link;
	pthread_mutex_unlock(&msg->lock);
	if (link->batch == link->seen)
		msg_flush_now(link);
	link->seen = link->batch;
	link->listed = msg_has_gathered(link);
	pthread_mutex_lock(&msg->lock);
	if (link->listed)
		TAILQ_INSERT_TAIL(&msg->lingering, link, linger);
	pthread_mutex_unlock(&link->lock);
	msg->looked_at = NULL;
	pthread_cond_broadcast(&msg->looked);
}

static void *linger(void *arg)
{
	struct zcp_msg *msg = arg;
	struct zcp_msg_link *link;
	size_t nr;

	pthread_mutex_lock(&msg->lock);
	while (!msg->ending) {
		if (TAILQ_EMPTY(&msg->lingering)) {
			pthread_cond_wait(&msg->linger_cond, &msg->lock);
			continue;
		}
		half(msg);
		nr = 0;
		for (link = TAILQ_FIRST(&msg->lingering); link; link = TAILQ_NEXT(link, linger))
			nr++;
		while (nr-- && !msg->ending && (link = TAILQ_FIRST(&msg->lingering)))
			look(msg, link);
	}
	pthread_mutex_unlock(&msg->lock);
	return NULL;
}

int msg_linger_start(struct zcp_msg *msg)
{
	sigset_t all, old;
	int ret;

	TAILQ_INIT(&msg->lingering);
	if (!msg->linger_us)
		return 0;
	/* Signals are for the program's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	ret = pthread_create(&msg->thread, NULL, linger, msg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -ret;
}

void msg_linger_stop(struct zcp_msg *msg)
{
	if (!msg->linger_us)
		return;
	pthread_mutex_lock(&msg->lock);
	msg->ending = true;
	pthread_cond_signal(&msg->linger_cond);
	pthread_mutex_unlock(&msg->lock);
	pthread_join(msg->thread, NULL);
}

void msg_linger(struct zcp_msg_link *link)
{
	struct zcp_msg *msg = link->msg;

	if (link->listed)
		return;
	pthread_mutex_lock(&msg->lock);
	link->listed = true;
	link->seen = link->batch - 1;
	if (TAILQ_EMPTY(&msg->lingering))
		pthread_cond_signal(&msg->linger_cond);
	TAILQ_INSERT_TAIL(&msg->lingering, link, linger);
	pthread_mutex_unlock(&msg->lock);
}

void msg_linger_forget(struct zcp_msg_link *link)
{
	struct zcp_msg *msg = link->msg;

	pthread_mutex_lock(&msg->lock);
	while (msg->looked_at == link)
		pthread_cond_wait(&msg->looked, &msg->lock);
	if (link->listed)
		TAILQ_REMOVE(&msg->lingering, link, linger);
	link->listed = false;
	pthread_mutex_unlock(&msg->lock);
}
