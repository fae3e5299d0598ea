/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/runner.c: who takes the link's next turn, and what calls for one. */

/*
 * mod_delayed_work(), in a step: what is pending is taken back first, and with it
 * its reference.
 */
inline mod_work(how) {
	use_link();
	assert(io -> !wq_io_gone : !wq_gone);
	if
	:: work == IDLE && BUG != BUG_WORK_REF -> link_ref++
	:: else
	fi;
	work = how;
	work_io = io
}

inline zlink_kick() {
	d_step {
		mod_work(CALLED);
		called = true
	}
}

/*
 * The runner's. The time at which the work's timer expires says whether what is
 * pending comes sooner; of a work that was called since it was set, it may say
 * either.
 */
inline zlink_kick_later(how) {
	if
#if BUG != BUG_PUT_OFF
	:: called || work == how || work == DUE || work == CALLED
	:: !called && (work == IDLE || work == CALLED || (work == TIMER && how == DUE)) ->
#else
	:: work == how || work == DUE || work == CALLED
	:: work == IDLE || work == CALLED || (work == TIMER && how == DUE) ->
#endif
		d_step {
			mod_work(how)
		};
#if BUG != BUG_PUT_OFF
		if
		:: called -> zlink_kick()
		:: else
		fi
#endif
	fi
}

inline zlink_came() {
	called = false
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
	d_step {
		t_again = again;
		again = false
	};
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
		t_again = again && !closed;
		again = again && closed;
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
inline zengine_exit() {
#if BUG != BUG_EXIT
	/* flush_workqueue() */
	!(work == CALLED && !work_io) && !(work_runs && !work_runs_io) && look != CALLED &&
		!look_runs;
#endif
	/* destroy_workqueue(), twice */
	atomic {
		!(work == CALLED && work_io) && !(work_runs && work_runs_io);
		wq_io_gone = true
	};
	atomic {
		work != CALLED && !work_runs && look != CALLED && !look_runs;
		wq_gone = true
	}
}
