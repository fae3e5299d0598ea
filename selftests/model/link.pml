/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/link.c: closing. */

inline remove_wait_queue() {
	atomic {
		!wqh_locked;
		listens = false
	}
}

/* Of the process engine. */
inline close_link() {
	d_step {
		use_link();
		assert(running && ending && !closed);
		closed = true
	};
#if BUG != BUG_WAIT_ENTRY
	remove_wait_queue();
#endif
	/* hrtimer_cancel() */
	atomic {
		!timer_runs;
		timer_for = NOBODY
	};
	/* timer_delete_sync() */
	atomic {
		!later_runs;
		d_step {
			if
			:: later != IDLE ->
				later = IDLE;
				zlink_put()
			:: else
			fi
		}
	};
	d_step {
		zrunq_remove()
	};
	zlink_una(t_una);
	zlink_finish_all(CANCELLED);
	d_step {
		link_sk = false;
		sock_gone = true
	};
#if BUG == BUG_WAIT_ENTRY
	remove_wait_queue();
#endif
	d_step {
		link_ctx = false;
		zctx_put()
	}
}

inline close_and_end_run() {
	if
	:: !closed -> zlink_close()
	:: else
	fi;
	got = false;
	zlink_end_run()
}

/* The caller has taken the link out of the table, with that reference. */
inline zlink_unlink(who) {
	ending = true;
	zlink_wait_run(who, got);
	if
	:: got -> close_and_end_run()
	:: else
	fi
}

/* Waits for a moment. */
inline zlink_abandon(who) {
	ending = true;
	wait_idle(who, true, got);
	idle_on[who] = false;
	if
	:: got -> close_and_end_run()
	:: else ->
		zlink_finish_others();
		zlink_kick()
	fi
}
