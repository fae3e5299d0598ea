/* SPDX-License-Identifier: GPL-2.0-only */
/* kmod/engine.c, kmod/ending.c, and the part of kmod/job.c that pushes: turns, and how jobs end. */

mtype = { PUSH_SENT, PUSH_BLOCKED, PUSH_PACED, PUSH_QUOTA, PUSH_IO, PUSH_NOMEM, PUSH_STOPPED,
	  PUSH_FAILED }

/* What a process that ends jobs or takes a link's run keeps to itself. */
#define LOCALS							\
	bool got, t_flag, t_again, t_idle, t_disk, t_listed, t_ended;	\
	byte t_job = NOBODY, t_una, t_set

inline zlink_una(u) {
#if BUG != BUG_UNA
#if RECONNECT
	d_step {
		use_sock();
		u = una
	};
	u = (broken -> final_una : u)
#else
	d_step {
		use_sock();
		u = (broken -> final_una : una)
	}
#endif
#else
	t_flag = broken;
	u = (t_flag -> final_una : una);
	t_flag = false
#endif
}

/* In a step, which is what zlink.lock makes of it. */
inline zlink_end_locked(j, how) {
	assert(job[j].events == 0);
	assert(how != DONE || !ACKED_ONLY(j) ||
	       (job[j].sent == LENGTH(j) && job[j].end_seq <= real_una && !job[j].astray));
	io = io && current_job != j;
	current_job = (current_job == j -> NOBODY : current_job);
	t_set = t_set | (1 << j);
	job[j].state = how;
	job[j].events++;
	zctx_post(j)
}

/* The references of the list, when the lock was given back. */
inline zended_put() {
	if
	:: t_set ->
		d_step {
			k = 0;
			do
			:: k < NR_JOBS ->
				if
				:: t_set & (1 << k) -> zjob_put(k)
				:: else
				fi;
				k++
			:: else ->
				break
			od;
			k = 0;
			t_set = 0
		}
	:: else
	fi
}

inline zlink_reap() {
	zlink_una(t_una);
	d_step {
		if
		:: last_seq <= t_una -> inflight = 0
		:: last_seq > t_una && last_seq - t_una < inflight -> inflight = last_seq - t_una
		:: else
		fi;
		k = 0;
		do
		:: k < NR_JOBS && job[k].state == SENT && job[k].end_seq <= t_una ->
			zlink_end_locked(k, DONE);
			k++
		:: k < NR_JOBS && job[k].state != SENT ->
			k++
		:: else ->
			break
		od;
		k = 0;
		t_una = 0
	};
	zended_put()
}

inline zlink_finish_all(how) {
	d_step {
		inflight = (ending || broken -> 0 : inflight);
		k = 0;
		do
		:: k < NR_JOBS ->
			if
			:: job[k].state == SENT && job[k].end_seq <= t_una ->
				zlink_end_locked(k, DONE)
			:: (job[k].state == SENT && job[k].end_seq > t_una) || IN_QUEUE(k) ->
				zlink_end_locked(k, how)
			:: else
			fi;
			k++
		:: else ->
			break
		od;
		k = 0;
		t_una = 0
	};
	zended_put()
}

/* With zlink.lock; whose runner may have closed the link by now. */
inline zlink_finish_others() {
	d_step {
		use_link();
		k = (link_sk -> 0 : NR_JOBS);
		t_una = (broken -> final_una : una);
		do
		:: k < NR_JOBS ->
			if
			:: job[k].state == SENT && job[k].end_seq <= t_una ->
				zlink_end_locked(k, DONE)
			:: (job[k].state == SENT && job[k].end_seq > t_una) ||
			   (IN_QUEUE(k) && (k != current_job || BUG == BUG_OTHERS)) ->
				zlink_end_locked(k, CANCELLED)
			:: else
			fi;
			k++
		:: else ->
			break
		od;
		k = 0;
		t_una = 0
	};
	zended_put()
}

inline zlink_end_job(j, how) {
	d_step {
		use_job(j);
		t_ended = !FINAL(j) || BUG == BUG_END_TWICE;
		if
		:: !t_ended
		:: t_ended && how != DONE && job[j].state != SENT && job[j].sent && !CONTINUE ->
			zlink_end_locked(j, how);
			k = 0;
			do
			:: k < NR_JOBS ->
				if
				:: IN_QUEUE(k) -> zlink_end_locked(k, CANCELLED)
				:: else
				fi;
				k++
			:: else ->
				break
			od;
			k = 0
		:: else ->
			zlink_end_locked(j, how)
		fi
	};
	zended_put()
}

inline zlink_begin() {
	d_step {
		t_job = (BUG == BUG_FIFO && IN_QUEUE(1) -> 1 : 0);
		do
		:: t_job < NR_JOBS && !IN_QUEUE(t_job) ->
			t_job++
		:: else ->
			break
		od;
		if
		:: t_job < NR_JOBS ->
			job[t_job].state = RUNNING;
			current_job = t_job
		:: else ->
			t_job = NOBODY
		fi
	}
}

/* What has entered the send queue is counted, in a step. */
inline zjob_advance() {
	if
	:: broken && BUG != BUG_NEXT_CONNECTION ->
		job[t_job].end_seq = 1 + (job[t_job].end_seq > final_una ->
					  job[t_job].end_seq : final_una)
	:: else ->
		job[t_job].end_seq = write_seq
	fi;
	job[t_job].sent++;
	inflight++;
	last_seq = job[t_job].end_seq
}

inline zjob_push(may_read) {
	do
	:: job[t_job].sent == LENGTH(t_job) ->
		t_res = PUSH_SENT;
		break
	:: job[t_job].sent < LENGTH(t_job) && (job[t_job].cancel || ending || broken) ->
		t_res = PUSH_STOPPED;
		break
	:: else ->
		if
		:: d_step {
				t_job == PACED && mishaps ->
				mishaps--;
				t_res = PUSH_PACED
			};
			break
		:: d_step {
				QUOTA && mishaps ->
				mishaps--;
				t_res = PUSH_QUOTA
			};
			break
		:: d_step {
				NOMEM && mishaps ->
				mishaps--;
				t_res = PUSH_NOMEM
			};
			break
		:: t_job == COLD && !may_read ->
			t_res = PUSH_IO;
			break
		/* With the socket's lock. */
		:: d_step {
				(t_job != COLD || may_read) && !sock_locked ->
				use_job(t_job);
				use_sock();
				assert(!FINAL(t_job));
				/* FIFO: all that was before it is sent, or has ended. */
				assert(t_job == 0 || !IN_QUEUE(0));
				if
				:: sk_closed ->
					t_res = PUSH_FAILED
				:: !sk_closed && SENDQ >= SNDBUF ->
					t_res = PUSH_BLOCKED
				:: else ->
					write_seq++;
					job[t_job].astray = job[t_job].astray || sk_next
#if !RESET
					;
					zjob_advance()
#endif
				fi
			};
			if
			:: t_res == NONE
#if RESET
				->
				d_step {
					use_sock();
					zjob_advance()
				}
#endif
			:: else -> break
			fi
		fi
	od
}

inline zlink_job_sent() {
	if
	:: ACKED_ONLY(t_job) ->
		d_step {
			assert(!FINAL(t_job));
			job[t_job].state = SENT;
			io = false;
			current_job = NOBODY
		}
	:: else ->
		zlink_end_job(t_job, DONE)
	fi
}

/* Can something be done now? Sets t_now. */
inline look_at_socket() {
	zlink_una(t_una);
	d_step {
		use_sock();
		t_now = ending || broken || (t_ack && t_una >= ack_seq) ||
			(t_space && (WRITEABLE || sk_closed));
		t_una = 0
	}
}

/* Sets t_now when something can be done now. */
inline zlink_arm() {
	d_step {
		k = 0;
		do
		:: k < NR_JOBS && job[k].state != SENT -> k++
		:: else -> break
		od;
		t_ack = k < NR_JOBS || inflight > 0;
		if
		:: k < NR_JOBS -> ack_seq = job[k].end_seq
		:: k == NR_JOBS && inflight -> ack_seq = last_seq
		:: else
		fi;
		k = 0;
		t_now = false
	};
	if
	:: t_ack || t_space ->
#if BUG == BUG_ARM_LATE
		look_at_socket();
#endif
		d_step {
			want_ack = want_ack || t_ack;
			want_space = want_space || t_space
		};
		d_step {
			use_sock();
			nospace = true
		};
#if BUG != BUG_ARM_LATE
		look_at_socket();
#endif
		if
		:: t_now
		:: else -> zlink_kick_later(TIMER)
		fi
	:: else
	fi;
	t_ack = false
}

/* Of the process engine. */
inline take_turn() {
	d_step {
		if
		:: engine_reads || !io -> zrunq_remove()
		:: else
		fi
	};
#if BUG != BUG_NOTE_LATE
	again = false;
#endif
	d_step {
		want_space = false;
		want_ack = false
	};
	do
	:: closed ->
		break
	:: !closed && ending ->
		close_link();
		break
	:: else ->
		zlink_reap();
		if
		:: broken ->
			zlink_una(t_una);
			zlink_finish_all(FAILED);
			break
		:: else
		fi;
		zlink_begin();
		if
		:: t_job == NOBODY ->
			t_wait = true
		:: else ->
			zjob_push(engine_reads);
			if
			:: t_res == PUSH_SENT ->
				zlink_job_sent()
			:: t_res == PUSH_FAILED ->
				zlink_end_job(t_job, FAILED)
			:: t_res == PUSH_STOPPED ->
				if
				:: job[t_job].cancel -> zlink_end_job(t_job, CANCELLED)
				:: else
				fi
			:: t_res == PUSH_BLOCKED ->
				d_step {
					job[t_job].state = BLOCKED;
					t_wait = true;
					t_space = true
				}
			:: t_res == PUSH_PACED ->
				d_step {
					timer_for = t_job;
					job[t_job].state = BLOCKED;
					t_wait = true
				}
			:: t_res == PUSH_QUOTA ->
				zlink_kick();
				break
			:: t_res == PUSH_IO ->
				d_step {
					job[t_job].io = true;
					io = true
				};
				zlink_kick();
				break
			:: t_res == PUSH_NOMEM ->
				zlink_kick_later(DUE);
				break
			fi
		fi;
		d_step {
			t_ended = false;
			t_job = NOBODY;
			t_res = NONE
		};
		if
		:: t_wait ->
			zlink_arm();
			d_step {
				t_wait = false;
				t_space = false
			};
			if
			:: t_now -> t_now = false
			:: else -> break
			fi
		:: else
		fi
	od;
#if BUG == BUG_NOTE_LATE
	again = false;
#else
	skip;
#endif
	d_step {
		t_ended = false;
		t_job = NOBODY;
		t_res = NONE
	}
}

/*
 * Turns and closing belong to the runner, and there is only one: so they are
 * steps of one process, for which the runner waits.
 */
mtype engine_does = NONE
bool engine_reads

inline zlink_turn(may_read) {
	atomic {
		assert(engine_does == NONE);
		engine_reads = may_read;
		engine_does = TURN
	};
	engine_does == NONE
}

inline zlink_close() {
	atomic {
		assert(engine_does == NONE);
		engine_does = CLOSE
	};
	engine_does == NONE
}

inline zlink_take_turn(may_read) {
	zlink_run_or_note(got);
	if
	:: got ->
		got = false;
		zlink_turn(may_read);
		zlink_end_run()
	:: else
	fi
}

inline zlink_push_now() {
	if
	:: zlink_run_or_note(got);
		if
		:: got ->
			got = false;
			zlink_turn(false);
			zlink_end_run()
		:: else
		fi
	:: QUOTA ->
		/* Its budget is used up. */
		zlink_kick()
	fi
}

/* One step: what can be found can be cancelled. */
inline zlink_queue(queued) {
	d_step {
		use_link();
		queued = !(ending || broken) || BUG == BUG_QUEUE;
		if
		:: queued ->
			use_ctx();
			job[nr_jobs].state = QUEUED;
			job[nr_jobs].ref = 2;
			job[nr_jobs].found = true;
			link_ref++;
			nr_jobs++
		:: else
		fi
	}
}

inline zlink_cancel_job(j, who) {
	d_step {
		use_job(j);
		use_link();
		t_flag = !FINAL(j) && j == current_job;
		if
		:: !FINAL(j) ->
			job[j].cancel = true;
			if
			:: !t_flag -> zlink_end_locked(j, CANCELLED)
			:: else
			fi
		:: else
		fi
	};
	zended_put();
	if
	:: t_flag ->
		t_flag = false;
		zlink_wait_run(who, got);
		if
		:: got ->
			zlink_end_job(j, CANCELLED);
			d_step {
				again = again || (t_ended && BUG != BUG_CANCEL_NEXT);
				got = false;
				t_ended = false
			};
			zlink_end_run()
		:: else
		fi
	:: else
	fi
}

inline zlink_cancel_all(who) {
	zlink_wait_run(who, got);
	if
	:: got ->
		if
		:: !closed ->
			zlink_una(t_una);
			zlink_finish_all(CANCELLED)
		:: else
		fi;
		got = false;
		zlink_end_run()
	:: else
	fi
}
