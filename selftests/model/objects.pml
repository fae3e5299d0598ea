/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One context, one link, its jobs and its socket: what they hold, and who holds
 * them. A use of what is freed or let go is an assertion that fails.
 */

/* What the engine is asked for. */
mtype = { TURN, CLOSE }

/* The states of a job. */
mtype = { NONE, QUEUED, RUNNING, BLOCKED, SENT, DONE, FAILED, CANCELLED }

/* The states of zlink.later, zctx.timer and zctx.look. */
mtype = { IDLE, TIMER, DUE, CALLED }
/*
 * TIMER: it waits for the safety net, which is not to be relied upon and never
 * comes; DUE: for a time that is meant to come; CALLED: for a worker.
 */

#define ABROAD	7	/* numbers of the socket's next connection begin here, or at 1 */

typedef job_t {
	mtype state = NONE;
	byte ref;
	byte sent;
	byte end_seq;
	bool cancel;
	bool found;	/* in zctx.jobs */
	byte events;	/* that were posted */
	byte reads;	/* of them */
	bool astray;	/* bytes have gone to the next connection */
	bool io;
}

/* Bits of zlink.bits */
bool running, again, ending, closed, broken, want_space, want_ack, io, ready
byte waiters

/* Other members of zlink */
byte link_ref = 1		/* of the table of links */
bool link_freed
bool in_links = true
bool link_sk = true		/* zlink.sk */
bool link_ctx = true
bool listens = true		/* zlink.wait is in the socket's wait queue */
bool wqh_locked			/* that queue's lock */
byte current_job = NOBODY
byte inflight
byte last_seq
byte ack_seq
byte final_una
bool in_ready			/* zlink.ready is in zctx.ready */
bool called			/* it is in a run queue */
bool called_io			/* namely that for disks */
mtype later = IDLE
bool later_runs
byte timer_for = NOBODY		/* zlink.timer: whose rate it is */
bool timer_runs
job_t job[NR_JOBS]
byte nr_jobs			/* accepted so far; their order is that of the queue */

/* zlink.idle, and who stands in it */
bool idle_on[3]
bool idle_woken[3]

/* The context */
byte ctx_ref = 2		/* of its file and of the link */
bool ctx_waits			/* to be freed, for zctx.timer */
bool ctx_freed
chan events = [NR_JOBS] of { byte }
mtype look_timer = IDLE
bool look_timer_runs
bool looked			/* since it was started */
mtype look = IDLE
bool look_runs
bool wait_on			/* a reader stands in zctx.wait */
bool wait_woken
byte file_users			/* system calls on its file */
bool file_closed
bool netlink_busy

/* The module */
byte workers			/* busy with a link, of the workqueue for cached pages */
byte io_workers			/* and of that for disks */
bool wq_gone
bool wq_io_gone

/* The socket, which has room for SNDBUF bytes */
byte una			/* tcp_sock.snd_una */
byte write_seq = PRELOAD
bool nospace			/* SOCK_NOSPACE */
bool sk_closed			/* TCP_CLOSE */
bool sk_next			/* connected again */
bool sock_gone			/* the link's reference was the last */
byte real_una			/* what the connection that was linked has acknowledged */

#define SENDQ		(write_seq - una)
#define WRITEABLE	(SENDQ <= LOWAT)
#define FINAL(j)	(job[j].state == DONE || job[j].state == FAILED || \
			 job[j].state == CANCELLED)
#define IN_QUEUE(j)	(job[j].state == QUEUED || job[j].state == RUNNING || \
			 job[j].state == BLOCKED)

inline use_link() {
	assert(!link_freed)
}

inline use_ctx() {
	assert(!ctx_freed)
}

inline use_sock() {
	assert(!link_freed && link_sk && !sock_gone)
}

inline use_job(j) {
	assert(job[j].ref > 0)
}

/* In a step, as all that follow. */
inline zlink_put() {
	use_link();
	assert(link_ref > 0);
	link_ref--;
	if
	:: link_ref == 0 ->
		assert(!listens && closed && !called && later == IDLE && !in_ready && timer_for == NOBODY);
		link_freed = true
	:: else
	fi
}

inline zjob_put(j) {
	use_job(j);
	job[j].ref--;
	if
	:: job[j].ref == 0 ->
		assert(FINAL(j));
		zlink_put()
	:: else
	fi
}

inline zjob_forget(j) {
	assert(FINAL(j) && job[j].found);
	job[j].found = false;
	zjob_put(j)
}

inline zctx_free() {
	ctx_freed = true;
	if
	:: in_ready ->
		in_ready = false;
		zlink_put()
	:: else
	fi;
	k = 0;
	do
	:: k < NR_JOBS ->
		if
		:: job[k].found ->
			zjob_forget(k)
		:: else
		fi;
		k++
	:: else ->
		k = 0;
		break
	od
}

inline zctx_put() {
	use_ctx();
	assert(ctx_ref > 0);
	ctx_ref--;
	if
	:: ctx_ref == 0 ->
		assert(look == IDLE);
		/* timer_delete_sync() waits for the end of what runs, which then does the rest. */
		look_timer = IDLE;
		if
		:: look_timer_runs -> ctx_waits = true
		:: else -> zctx_free()
		fi
	:: else
	fi
}
