/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state machine of jobs and links, with who may act upon it: docs/model.md.
 * Which processes there are, what may happen to them, and which defect is put in
 * (BUG, one of those below), is chosen by -D.
 */

/* What the model finds when the code has it: one step out of its place. */
#define BUG_ARM_LATE		1	/* zlink_arm() looks at the socket, then sets the bits */
#define BUG_NOTE		2	/* zlink_run_or_note() does not try again */
#define BUG_END_RUN		3	/* zlink_end_run() looks at the note, then clears RUNNING */
#define BUG_IDLE		4	/* zlink_end_run() wakes, then clears RUNNING */
#define BUG_KICK		5	/* zlink_kick() looks at RUNNING, then leaves the note */
#define BUG_CANCEL_NEXT		6	/* zlink_cancel_job() leaves the next job to the old timer */
#define BUG_LOOK_LATE		7	/* zctx_look() takes the turn, then clears READY */
#define BUG_READER		8	/* zctx_read() looks, then enters the wait queue */
#define BUG_END_TWICE		9	/* zlink_end_job() does not see that the job is final */
#define BUG_QUEUE		10	/* zlink_queue() does not look at ENDING */
#define BUG_TWO_RUNNERS		11	/* zlink_try_run() tests, then sets */
#define BUG_FIFO		12	/* zlink_begin() takes the newest job */
#define BUG_UNA			13	/* zlink_una() looks at BROKEN first */
#define BUG_NEXT_CONNECTION	14	/* zjob_advance() trusts the socket's number */
#define BUG_CALL_REF		15	/* zrunq_add() takes no reference */
#define BUG_LOOK_REF		16	/* zctx_look_later() takes none of the context */
#define BUG_WAIT_ENTRY		17	/* zlink_close() lets the socket go first */
#define BUG_EXIT		18	/* zrunq_exit() does not flush */
#define BUG_NOTE_LATE		19	/* zlink_turn() takes the note away when it ends */
#define BUG_OTHERS		20	/* zlink_finish_others() ends what the runner is at, too */

#define NR_JOBS		2
#define NOBODY		255

/* What can be chosen, and what it is otherwise. */
#ifndef BUG
#define BUG		0
#endif
#ifndef JOBS
#define JOBS		2	/* that are submitted */
#endif
#ifndef LENGTH_0
#define LENGTH_0	1	/* bytes of job 0 */
#endif
#ifndef LENGTH_1
#define LENGTH_1	1	/* and of job 1 */
#endif
#ifndef SNDBUF
#define SNDBUF		1	/* bytes of the send queue */
#endif
#ifndef LOWAT
#define LOWAT		0	/* writers are told of room when no more are in the send queue */
#endif
#ifndef PRELOAD
#define PRELOAD	0	/* bytes that were in the send queue before */
#endif
#ifndef MISHAPS
#define MISHAPS		0	/* how often something of the next three happens */
#endif
#ifndef PACED
#define PACED		NOBODY	/* which job has a rate that makes it wait */
#endif
#ifndef QUOTA
#define QUOTA		0	/* a quota or budget may be used up */
#endif
#ifndef NOMEM
#define NOMEM		0	/* there may be no memory */
#endif
#ifndef WORKERS
#define WORKERS		1	/* that can be busy at the same time */
#endif
#ifndef COLD
#define COLD		NOBODY	/* which job's pages have to be read */
#endif
#ifndef CONTINUE
#define CONTINUE	0	/* ZCP_LINK_CONTINUE */
#endif
#ifndef SENT_ONLY
#define SENT_ONLY	0	/* job 1 has ZCP_COMPLETE_SENT */
#endif
#ifndef MORTAL
#define MORTAL		0	/* signals or time limits end waits */
#endif
#ifndef STALL
#define STALL		0	/* the peer may stop reading */
#endif
#ifndef RESET
#define RESET		0	/* the connection may end */
#endif
#ifndef RECONNECT
#define RECONNECT	0	/* and begin again */
#endif
#ifndef READER
#define READER		0	/* there is a reader: 1, or 2 when it leaves by itself */
#endif
#ifndef CANCEL
#define CANCEL		0	/* a job is cancelled: 1 + its number */
#endif
#ifndef NETLINK
#define NETLINK		0	/* the same by netlink */
#endif
#ifndef CANCEL_ALL
#define CANCEL_ALL	0	/* all jobs are */
#endif
#ifndef UNLINK
#define UNLINK		0	/* the link is ended */
#endif
#ifndef RELEASE
#define RELEASE		0	/* the file is closed, and the module removed */
#endif

byte mishaps = MISHAPS
byte k		/* a counter within atomic steps, 0 elsewhere */
bool sock_locked

#define LENGTH(j)	((j) == 0 -> LENGTH_0 : LENGTH_1)
#define ACKED_ONLY(j)	(!SENT_ONLY || (j) != 1)


#include "objects.pml"
#include "runner.pml"
#include "context.pml"
#include "engine.pml"
#include "link.pml"
#include "actors.pml"

#ifdef LIVENESS
/* A job whose peer reads ends. */
ltl ends { [] (nr_jobs == JOBS -> <> (FINAL(0) && (JOBS == 1 || FINAL(1)))) }
#endif
