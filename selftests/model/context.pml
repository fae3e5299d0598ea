/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/event.c and kmod/context.c: events, acknowledgments, the end of a context. */

/* In a step. */
inline zctx_wake() {
	use_ctx();
	wait_woken = wait_woken || wait_on
}

/* In a step: zctx.lock is within zlink.lock. */
inline zctx_post(j) {
	events!j;
	zctx_wake()
}

/* In the callback. Its link is the only one, so it is the first in the list. */
inline zctx_ready() {
	d_step {
		assert(link_ctx);
		use_ctx();
		w_flag = ready;
		ready = true
	};
	if
	:: w_flag
	:: else ->
		d_step {
			assert(!in_ready);
			link_ref++;
			in_ready = true
		};
		d_step {
			zctx_wake();
			if
			:: look_timer == IDLE ->
				looked = false;
				look_timer = DUE
			:: else
			fi
		}
	fi;
	w_flag = false
}

/* Of the timer, to its last step. */
inline zctx_look_later() {
	d_step {
		use_ctx();
		t_idle = !in_ready
	};
	if
	:: t_idle
	:: !t_idle && looked ->
		d_step {
			looked = false;
			look_timer = DUE
		}
	:: !t_idle && !looked ->
		d_step {
			if
			:: look == IDLE && ctx_ref > 0 ->
				assert(!wq_gone);
				ctx_ref = ctx_ref + (BUG != BUG_LOOK_REF -> 1 : 0);
				look = CALLED
			:: else
			fi
		}
	fi;
	d_step {
		t_idle = false;
		look_timer_runs = false;
		if
		:: ctx_waits ->
			ctx_waits = false;
			look_timer = IDLE;
			zctx_free()
		:: else
		fi
	}
}

inline zctx_look() {
	d_step {
		use_ctx();
		t_listed = in_ready;
		looked = looked || in_ready;
		in_ready = false
	};
	if
	:: t_listed ->
#if BUG != BUG_LOOK_LATE
		ready = false;
#endif
		zlink_push_now();
		d_step {
#if BUG == BUG_LOOK_LATE
			ready = false;
#endif
			t_listed = false;
			zlink_put()
		}
	:: else
	fi
}

/* Of a worker, to its last step. */
inline zctx_look_work() {
	zctx_look();
	d_step {
		zctx_put();
		look_runs = false
	}
}

/* The job whose event is the oldest: sets t_job. */
inline zctx_pop() {
	d_step {
		use_ctx();
		if
		:: len(events) > 0 -> events?t_job
		:: else -> t_job = NOBODY
		fi
	}
}

inline forget_event() {
	d_step {
		use_job(t_job);
		assert(FINAL(t_job) && job[t_job].reads == 0);
		job[t_job].reads++;
		zjob_forget(t_job);
		t_job = NOBODY
	}
}

inline zctx_forget_events() {
	do
	:: zctx_pop();
		if
		:: t_job == NOBODY -> break
		:: else ->
			t_ended = true;
			forget_event()
		fi
	od;
	skip
}

/* Reads until there was something; a signal ends the wait when it may. */
inline zctx_read(mortal) {
	do
	:: zctx_look();
		zctx_forget_events();
		if
		:: t_ended -> break
		:: else
		fi;
		/* wait_event_interruptible() */
#if BUG == BUG_READER
		t_flag = len(events) > 0 || in_ready;
#endif
		d_step {
			wait_on = true;
			wait_woken = false
		};
#if BUG != BUG_READER
		t_flag = len(events) > 0 || in_ready;
#endif
end_read:
		if
		:: t_flag || wait_woken
		:: !t_flag && mortal -> break
		fi;
		d_step {
			wait_on = false;
			t_flag = false
		}
	od;
	skip;
	d_step {
		wait_on = false;
		t_flag = false;
		t_ended = false
	}
}

/* The last system call on the file is over. */
inline zctx_release(who) {
	d_step {
		t_listed = in_links;
		in_links = false
	};
	if
	:: t_listed ->
		zlink_abandon(who);
		d_step {
			t_listed = false;
			zlink_put()
		}
	:: else
	fi;
	zctx_forget_events();
	d_step {
		zctx_put()
	}
}
