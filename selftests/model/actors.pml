/* SPDX-License-Identifier: GPL-2.0-only */
/* Who acts: system calls, workers, timers, TCP; and who judges. */

active proctype engine() {
	bool t_flag, t_idle, t_disk, t_now, t_space, t_wait, t_ended, t_ack;
	byte t_job = NOBODY, t_una, t_set;
	mtype t_res = NONE;

end:	do
	:: engine_does == TURN ->
		assert(running);
		take_turn();
		atomic {
			engine_reads = false;
			engine_does = NONE
		}
	:: engine_does == CLOSE ->
		close_link();
		engine_does = NONE
	od
}

/* Each takes the link from the run queue, with that reference. */
active [WORKERS] proctype worker() {
	LOCALS;

end:	do
	:: atomic {
			called && !called_io ->
			called = false;
			workers++
		};
		zlink_take_turn(false);
		d_step {
			zlink_put();
			workers--
		}
	od
}

#if COLD != 255
active proctype io_worker() {
	LOCALS;

end:	do
	:: atomic {
			called && called_io ->
			called = false;
			io_workers++
		};
		zlink_take_turn(io);
		d_step {
			zlink_put();
			io_workers--
		}
	od
}
#endif

/* zctx.look */
active proctype looker() {
	LOCALS;

end:	do
	:: atomic {
			look == CALLED ->
			look = IDLE;
			look_runs = true
		};
		zctx_look_work()
	od
}

/* To the end of what it is part of. */
inline wake_and_unlock() {
	atomic {
		!wqh_locked;
		wqh_locked = listens
	};
	if
	:: wqh_locked -> zlink_wake()
	:: else
	fi;
	d_step {
		w_kick = false;
		w_acked = false;
		wqh_locked = false;
		sock_locked = false
	}
}

/* The peer, and TCP on this side. */
active proctype tcp() {
	bool w_kick, w_acked, w_flag, t_idle, t_disk, stalled;

end:	do
	:: d_step {
			!stalled && !sk_closed && una < write_seq ->
			sock_locked = true;
			una++;
			real_una = real_una + (sk_next -> 0 : 1)
		};
		/* tcp_check_space() */
		d_step {
			w_flag = nospace && WRITEABLE;
			nospace = nospace && !w_flag;
			sock_locked = w_flag
		};
		if
		:: w_flag ->
			w_flag = false;
			wake_and_unlock()
		:: else
		fi
	:: atomic {
			STALL && !stalled ->
			stalled = true
		}
	:: atomic {
			RESET && !sk_closed && !sk_next ->
			sock_locked = true;
			sk_closed = true
		};
		wake_and_unlock()
	:: atomic {
			RECONNECT && sk_closed && broken ->
			if
			:: una = 0
			:: una = ABROAD
			fi;
			write_seq = una;
			sk_next = true;
			sk_closed = false
		}
	od
}

/* The timers that may be relied upon. */
active proctype clock() {
	bool t_idle, t_disk;

end:	do
	:: atomic {
			later == DUE ->
			later = IDLE;
			later_runs = true
		};
		zlink_later()
	:: atomic {
			look_timer == DUE ->
			look_timer = IDLE;
			look_timer_runs = true
		};
		zctx_look_later()
	/* That of a job which has ended may be as far away as can be. */
	:: atomic {
			timer_for != NOBODY && !FINAL(timer_for) ->
			timer_for = NOBODY;
			timer_runs = true
		};
		zlink_timer();
		timer_runs = false
	od
}

#define KNOWN(j)	(job[j].state != NONE)
#define ACKED_NOT_TOLD(j) (job[j].state == SENT && job[j].end_seq <= una)

/* Of every job, when nobody moves any more. */
#define JUDGE(j)							\
	assert(job[j].events == (FINAL(j) -> 1 : 0));			\
	assert(!KNOWN(j) || FINAL(j) || !(closed || broken));		\
	assert(!KNOWN(j) || FINAL(j) || !WRITEABLE ||			\
	       !(IN_QUEUE(j) || ACKED_NOT_TOLD(j)));			\
	assert(!RELEASE || job[j].ref == 0)

/*
 * When nobody moves any more, nothing is left that somebody could do. The safety
 * net is no part of the model: what needs it is found here.
 */
active proctype monitor() {
end:	timeout ->
	d_step {
		assert(!running && waiters == 0 && !idle_on[0] && !idle_on[1] && !idle_on[2]);
		assert(!called && later != DUE && look_timer == IDLE && look == IDLE && !in_ready);
		assert(!ending || closed);
		JUDGE(0);
		JUDGE(1);
		assert(inflight == 0 || (!closed && !broken && (una < last_seq || !WRITEABLE)));
		/* A reader sleeps only when there is nothing to read. */
		assert(!wait_on || len(events) == 0);
		assert(!RELEASE || (ctx_freed && link_freed))
	}
}

#if READER
/* read(2) */
active proctype reader() {
	LOCALS;

	atomic {
		if
		:: file_closed -> goto out
		:: else -> file_users++
		fi
	};
end:	do
	:: zctx_read(READER == 2)
	:: atomic {
			READER == 2 ->
			file_users--;
			goto out
		}
	od;
out:
	skip
}
#endif

#if CANCEL
/* ZCP_IOC_CANCEL of a job */
active proctype canceller() {
	LOCALS;

	atomic {
		if
		:: file_closed || !job[CANCEL - 1].found -> goto out
		:: else ->
			file_users++;
			job[CANCEL - 1].ref++
		fi
	};
	zlink_cancel_job(CANCEL - 1, 0);
	d_step {
		zjob_put(CANCEL - 1);
		file_users--
	};
out:
	skip
}
#endif

#if NETLINK
/* ZCP_CMD_JOB_CANCEL holds the context, not its file. */
active proctype netlink_canceller() {
	LOCALS;

	atomic {
		if
		:: ctx_ref == 0 -> goto out
		:: else ->
			netlink_busy = true;
			ctx_ref++
		fi
	};
	atomic {
		if
		:: job[NETLINK - 1].found -> job[NETLINK - 1].ref++
		:: else -> goto put
		fi
	};
	zlink_cancel_job(NETLINK - 1, 1);
	d_step {
		zjob_put(NETLINK - 1)
	};
put:
	skip;
	d_step {
		zctx_put();
		netlink_busy = false
	};
out:
	skip
}
#endif

#if CANCEL_ALL
/* ZCP_IOC_CANCEL of a link */
active proctype link_canceller() {
	LOCALS;

	atomic {
		if
		:: file_closed || !in_links -> goto out
		:: else ->
			file_users++;
			link_ref++
		fi
	};
	zlink_cancel_all(1);
	d_step {
		zlink_put();
		file_users--
	};
out:
	skip
}
#endif

#if UNLINK
/* ZCP_IOC_UNLINK */
active proctype unlinker() {
	LOCALS;

	atomic {
		if
		:: file_closed || !in_links -> goto out
		:: else ->
			file_users++;
			in_links = false
		fi
	};
	zlink_unlink(2);
	d_step {
		zlink_put();
		file_users--
	};
out:
	skip
}
#endif

#if RELEASE
/* close(2), when no other call is under way; then rmmod */
active proctype closer() {
	LOCALS;

	atomic {
		file_users == 0 ->
		file_closed = true
	};
	zctx_release(2);
	/* zctx_wait_all_gone(), znl_exit() */
	ctx_freed && !netlink_busy;
	zrunq_exit();
	assert(!called && later == IDLE && look_timer == IDLE && look == IDLE && link_freed)
}
#endif

/* ZCP_IOC_SUBMIT: one job a call, or all of them. */
active proctype submitter() {
	LOCALS;
	byte n;

	atomic {
		if
		:: file_closed || !in_links ->
			goto out
		:: else ->
			file_users++;
			link_ref++
		fi
	};
	do
	:: n < JOBS ->
		n++;
		zlink_queue(got);
		if
		:: !got ->
			break
		:: got && n < JOBS ->
			got = false
		:: got ->
			got = false;
			zlink_push_now()
		fi
	:: else ->
		break
	od;
	skip;
	d_step {
		n = 0;
		got = false;
		zlink_put();
		file_users--
	};
out:
	skip
}
