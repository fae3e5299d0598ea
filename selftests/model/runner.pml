/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/runner.c: who takes the link's next turn, and what calls for one. */

/* kmod/runq.c; in a step. Its link is the only one. */
inline zrunq_add(disk) {
	use_link();
	if
	:: called && called_io == disk
	:: else ->
		assert(disk -> !wq_io_gone : !wq_gone);
		link_ref = link_ref + (called || BUG == BUG_CALL_REF -> 0 : 1);
		called = true;
		called_io = disk
	fi
}

/* In a step. */
inline zrunq_remove() {
	if
	:: called ->
		called = false;
		zlink_put()
	:: else
	fi
}

inline zlink_kick() {
#if BUG == BUG_KICK
	t_idle = !running;
	again = true;
#else
	again = true;
	d_step {
		use_link();
#if COLD == 255
		if
		:: !running -> zrunq_add(io)
		:: else
		fi
#else
		/* Which queue it is for was looked at before the lock was taken. */
		t_idle = !running;
		t_disk = io
#endif
	};
#endif
#if BUG == BUG_KICK || COLD != 255
	d_step {
		if
		:: t_idle -> zrunq_add(t_disk)
		:: else
		fi;
		t_idle = false;
		t_disk = false
	}
#else
	skip
#endif
}

/* The runner's. */
inline zlink_kick_later(how) {
	d_step {
		use_link();
		link_ref = link_ref + (later == IDLE -> 1 : 0);
		later = (later == DUE -> DUE : how)
	}
}

/* Of a timer, to its last step. */
inline zlink_later() {
	zlink_kick();
	d_step {
		zlink_put();
		later_runs = false
	}
}

inline zlink_try_run(got) {
#if BUG != BUG_TWO_RUNNERS
	d_step {
		use_link();
		got = !running;
		running = true
	}
#else
	got = !running;
	running = true
#endif
}

/* In a step. */
inline wake_idle() {
	idle_woken[0] = idle_woken[0] || idle_on[0];
	idle_woken[1] = idle_woken[1] || idle_on[1];
	idle_woken[2] = idle_woken[2] || idle_on[2]
}

/* What follows the clearing of RUNNING is one look around. */
inline zlink_end_run() {
#if BUG == BUG_END_RUN
	t_again = again;
#endif
#if BUG == BUG_IDLE
	d_step {
		wake_idle()
	};
#endif
	running = false;
	d_step {
		use_link();
#if BUG != BUG_IDLE
		wake_idle();
#endif
#if BUG != BUG_END_RUN
		t_again = again;
#endif
		t_again = !closed && (t_again || ending)
	};
	if
	:: t_again ->
		t_again = false;
		zlink_kick()
	:: else
	fi
}

/* Who waits goes first. */
inline run_if_nobody_waits(got) {
#if BUG != BUG_TWO_RUNNERS
	d_step {
		use_link();
		got = !running && waiters == 0;
		running = running || got
	}
#else
	zlink_try_run(got)
#endif
}

inline zlink_run_or_note(got) {
	run_if_nobody_waits(got);
	if
	:: got
	:: else ->
		again = true;
#if BUG != BUG_NOTE
		run_if_nobody_waits(got)
#endif
	fi
}

/* wait_event_killable_timeout(); MORTAL: a signal or the time limit may come. */
inline wait_idle(who, mortal, got) {
	do
	:: zlink_try_run(got);
		if
		:: got ->
			break
		:: !got && idle_on[who] ->
			if
			:: idle_woken[who]
			:: mortal ->
				break
			fi
		:: !got && !idle_on[who]
		fi;
		skip;
		d_step {
			idle_on[who] = true;
			idle_woken[who] = false
		}
	od
}

inline zlink_wait_run(who, got) {
	d_step {
		use_link();
		waiters++
	};
	wait_idle(who, MORTAL, got);
	skip;
	d_step {
		use_link();
		idle_on[who] = false;
		waiters--
	};
	if
	:: got
	:: else -> zlink_kick()
	fi
}

/* In the socket's wait queue, under its lock. */
inline zlink_wake() {
#if RESET
	if
	:: sk_closed && !broken ->
		final_una = una;
		broken = true;
		w_kick = true
	:: else
	fi;
#endif
	d_step {
		use_sock();
		w_kick = w_kick || want_space;
		want_space = false;
		w_acked = want_ack && una >= ack_seq;
		nospace = nospace || (want_ack && una < ack_seq)
	};
	if
	:: w_kick || w_acked ->
		want_ack = false;
		if
		:: w_kick -> zlink_kick()
		:: else -> zctx_ready()
		fi
	:: else
	fi
}

inline zlink_timer() {
	zlink_kick()
}

/* Of the module, when no context is left. */
inline zrunq_exit() {
#if BUG != BUG_EXIT
	/* flush_workqueue() */
	!(called && !called_io) && workers == 0 && look != CALLED && !look_runs;
#endif
	/* destroy_workqueue(), twice */
	atomic {
		!(called && called_io) && io_workers == 0;
		wq_io_gone = true
	};
	atomic {
		!called && workers == 0 && look != CALLED && !look_runs;
		wq_gone = true
	}
}
