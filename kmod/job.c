// SPDX-License-Identifier: GPL-2.0-only
/* Jobs: pushing their segments, their end, and what is told about them. */
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat/compat.h"
#include "context.h"
#include "job.h"
#include "link.h"
#include "nocache.h"
#include "slab.h"
#include "source.h"
#include "stats.h"
#include "trace.h"

#define ZSPLICE_BYTES	(256 * 1024)	/* one visit to the file system */
#define ZPUSH_MIN_BYTES	(64 * 1024)	/* look up at least this much */

static void zjob_let_go_files(struct zjob *job)
{
	struct file *file;
	u32 i;

	for (i = 0; i < job->nr_segs; i++) {
		file = job->segs[i].file;
		if (!file)
			continue;
		/* Somebody may be looking at its name. */
		spin_lock(&job->link->lock);
		job->segs[i].file = NULL;
		spin_unlock(&job->link->lock);
		/* Left to the kernel it would be closed by one thread for all of the system. */
		if (current->flags & PF_KTHREAD)
			__fput_sync(file);
		else
			fput(file);
	}
}

/**
 * zjob_memory() - What a job takes
 * @job: the job, with its segments and inline bytes
 *
 * Return: bytes.
 */
long zjob_memory(const struct zjob *job)
{
	long bytes = struct_size(job, segs, max_t(u32, job->nr_segs, ZSLAB_JOB_SEGS));

	if (job->inline_data)
		bytes += max_t(u32, job->inline_len, ZSLAB_INLINE);
	if (job->nocache)
		bytes += sizeof(*job->nocache);
	return bytes;
}

static void zjob_free(struct kref *ref)
{
	struct zjob *job = container_of(ref, struct zjob, ref);

	zjob_let_go_files(job);
	zslab_account(-zjob_memory(job));
	if (job->inline_len > ZSLAB_INLINE)
		kvfree(job->inline_data);
	else if (job->inline_data)
		kmem_cache_free(zslab_inline, job->inline_data);
	kfree(job->nocache);
	mem_cgroup_put(job->memcg);
	put_cred(job->cred);
	if (job->link)
		zlink_put(job->link);
	if (job->nr_segs > ZSLAB_JOB_SEGS)
		kfree(job);
	else
		kmem_cache_free(zslab_job, job);
}

void zjob_put(struct zjob *job)
{
	kref_put(&job->ref, zjob_free);
}

/**
 * zjob_forget() - A job's record is not wanted any more
 * @ctx: its context
 * @job: a job that is out of zctx.jobs and is final, or was not accepted; that
 *	reference is given back
 *
 * The files are let go here and not by the last reference, so that they are
 * free for the reader of the event even when a worker still holds the job.
 */
void zjob_forget(struct zctx *ctx, struct zjob *job)
{
	zlink_tell_hole(job->link, job->id);
	atomic64_sub(job->inline_len, &ctx->inline_bytes);
	zlimit_give(&ctx->nr_jobs);
	zlimit_give(&ctx->user->jobs);
	if (job->nocache)
		znocache_forget(job->nocache);
	zjob_let_go_files(job);
	zjob_put(job);
}

/**
 * zjob_begin_io() - The job needs the disk, from now on
 * @job: the current job of a link; the caller is the link's runner
 */
void zjob_begin_io(struct zjob *job)
{
	if (!job->io)
		atomic_inc(&zsource_readers);
	job->io = true;
}

/**
 * zjob_finish() - Make a job final, and post its event
 * @job: a job that is not final and is in no list
 * @state: the final state
 * @error: errno, positive, or 0
 * @acked: bytes known to be acknowledged
 *
 * The caller holds zlink.lock, and gives back the list's reference after it.
 */
void zjob_finish(struct zjob *job, u8 state, int error, u64 acked)
{
	lockdep_assert_held(&job->link->lock);

	if (job->io)
		atomic_dec(&zsource_readers);
	job->end_ns = ktime_to_ns(ktime_sub(ktime_get(), job->submitted));
	job->acked = acked;
	job->error = error;
	WRITE_ONCE(job->state, state);
	zstats_job_end(sock_net(job->link->sk), state);
	trace_zcp_done(job->id, job->link_id, state, error, job->sent, acked);
	zctx_post(job->link->ctx, job);
}

/* The current segment is through. */
static void zjob_next_segment(struct zjob *job)
{
	spin_lock(&job->link->lock);
	job->seg++;
	spin_unlock(&job->link->lock);
	if (job->seg < job->nr_segs && job->segs[job->seg].file)
		zsource_ra_init(&job->ra, job->segs[job->seg].file);
	if (job->nocache)
		job->nocache->head = 0;
}

/* Does any byte follow the current segment? */
static bool zjob_has_more(const struct zjob *job)
{
	u32 i;

	for (i = job->seg + 1; i < job->nr_segs; i++) {
		if (job->segs[i].left)
			return true;
	}
	return false;
}

/*
 * TCP sequence after the last @n bytes. The number of a next connection on the
 * socket says nothing here: when this one has ended, they count as not
 * acknowledged.
 */
static u32 zjob_seq_after(const struct zjob *job, size_t n)
{
	const struct zlink *link = job->link;
	u32 seq = READ_ONCE(tcp_sk(link->sk)->write_seq);

	/* Pairs with the locks between a disconnect and the next connect. */
	smp_rmb();
	if (!test_bit(ZLINK_BROKEN, &link->bits))
		return seq;
	/* Pairs with zlink_wake(). */
	smp_rmb();
	seq = link->final_una;
	if (job->pushed && before(seq, job->end_seq))
		seq = job->end_seq;
	return seq + n;
}

static void zjob_advance(struct zjob *job, struct zseg *seg, size_t n,
			 const struct zcount *count)
{
	struct zlink *link = job->link;

	/* One step for who looks on: see zjob_status(). */
	spin_lock(&link->lock);
	seg->pos += n;
	seg->left -= min_t(u64, n, seg->left);
	job->end_seq = zjob_seq_after(job, n);
	job->pushed = true;
	job->sent += n;
	zlink_charge(link, n, job->end_seq);
	zcount_add(&job->count, count);
	zstats_bytes(sock_net(link->sk), count);
	spin_unlock(&link->lock);
}

/*
 * How many bytes to look up: what the send queue has space for, so that pages
 * are not taken only to be let go again.
 */
static size_t zjob_window(struct sock *sk, u64 left, s64 room)
{
	long space = max_t(long, sk_stream_wspace(sk), ZPUSH_MIN_BYTES);

	return min3(left, (u64)room, (u64)space);
}

/* What the disk has to bring for a job that shall leave no trace. */
static void zseg_read_ahead(struct zjob *job, struct zseg *seg, bool again)
{
	loff_t end = i_size_read(file_inode(seg->file));

	if (again)
		job->nocache->head = 0;
	if (!seg->to_eof)
		end = min_t(loff_t, end, seg->pos + seg->left);
	znocache_ahead(job->nocache, seg->file, seg->pos, end, job->sent);
}

/* Pages of the cache, in it by now or, when the caller may wait, soon. */
static size_t zseg_get_pages(struct zjob *job, struct zseg *seg,
			     const struct zread *rd, struct zbatch *batch,
			     bool may_read)
{
	size_t n;

	if (!may_read)
		return zsource_lookup(rd, batch);
	if (!rd->nocache || !znocache_tracks(seg->file))
		return zsource_read(rd, batch);
	zseg_read_ahead(job, seg, false);
	n = zsource_lookup(rd, batch);
	if (n)
		return n;
	/* Not there yet, or taken away since. */
	zseg_read_ahead(job, seg, true);
	return zsource_read(rd, batch);
}

static ssize_t zseg_push_file(struct zjob *job, struct zseg *seg,
			      struct zpush *push, struct zbatch *batch,
			      s64 room, bool may_read, bool *need_read,
			      bool *send_failed)
{
	struct sock *sk = push->sock->sk;
	struct zread rd = {
		.file = seg->file,
		.pos = seg->pos,
		.nocache = job->nocache,
	};
	bool more = push->follow || zjob_has_more(job);
	ssize_t n;

	if (seg->to_eof) {
		loff_t size = i_size_read(file_inode(seg->file));

		seg->left = size > seg->pos ? size - seg->pos : 0;
		if (!seg->left && zsource_is_cached(seg->file))
			return 0;
	}
	/* What would be read here has to be found out before it is. */
	if (job->nocache && !may_read && znocache_tracks(seg->file)) {
		*need_read = true;
		return -EAGAIN;
	}
	if (may_read && !job->nocache)
		rd.ra = &job->ra;

	if (zsource_is_cached(seg->file)) {
		rd.len = zjob_window(sk, seg->left, room);
		rd.left = seg->left;
		if (zseg_get_pages(job, seg, &rd, batch, may_read)) {
			*send_failed = true;
			more = more || batch->bytes < seg->left;
			n = zpush_pages(push, batch->bv, batch->nr,
					batch->bytes, false,
					more && !job->pace.rate);
			zbatch_release(batch, !job->nocache);
			return n;
		}
		if (seg->pos >= i_size_read(file_inode(seg->file)))
			return 0;
	}

	if (!may_read) {
		*need_read = true;
		return -EAGAIN;
	}
	rd.len = min3(seg->left ?: PAGE_SIZE, (u64)room, (u64)ZSPLICE_BYTES);
	more = more || rd.len < seg->left;
	n = zsource_splice(&rd, push, more && !job->pace.rate, send_failed);
	if (n > 0)
		job->ra.prev_pos = rd.pos + n - 1;
	return n;
}

static ssize_t zseg_push_inline(struct zjob *job, struct zseg *seg,
				struct zpush *push, s64 room)
{
	size_t len = min_t(u64, seg->left, room);

	return zpush_data(push, seg->data + seg->pos, len,
			  len < seg->left || push->follow ||
			  zjob_has_more(job));
}

/* How many bytes limits and the job's rate let it send, or why none. */
static s64 zjob_room(struct zjob *job, const struct zseg *seg, s64 quota,
		     enum zpush_result *why)
{
	s64 room = min(quota, zlink_room(job->link, zjob_is_short(job)));
	u64 paced;

	*why = ZPUSH_LIMIT;
	if (room <= 0 || !job->pace.rate)
		return room;
	*why = ZPUSH_PACED;
	paced = zpace_room(&job->pace, ktime_get(), seg->left ?: 1, &job->pace_ns);
	return min_t(u64, room, paced);
}

static bool zjob_must_stop(const struct zjob *job)
{
	return READ_ONCE(job->cancel) || zlink_is_ending(job->link);
}

/* The send queue is full, unless an error waits to be collected there. */
static bool zsock_is_full(const struct sock *sk)
{
	return !sk_stream_memory_free(sk) && !READ_ONCE(sk->sk_err) &&
	       !(READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN);
}

static enum zpush_result zjob_push_segments(struct zjob *job,
					    struct zpush *push,
					    struct zbatch *batch, s64 *quota,
					    bool may_read)
{
	/* One without bytes too. */
	if (!job->sent && READ_ONCE(job->cancel))
		return ZPUSH_STOPPED;
	while (job->seg < job->nr_segs) {
		struct zseg *seg = &job->segs[job->seg];
		bool need_read = false, send_failed = true;
		struct zcount count = {};
		enum zpush_result why;
		s64 room;
		ssize_t n;

		if (!seg->left && !seg->to_eof) {
			zjob_next_segment(job);
			continue;
		}
		if (zjob_must_stop(job))
			return ZPUSH_STOPPED;
		if (*quota <= 0)
			return ZPUSH_QUOTA;
		if (zsock_is_full(push->sock->sk))
			return ZPUSH_BLOCKED;
		room = zjob_room(job, seg, *quota, &why);
		if (room <= 0)
			return why;

		push->small = seg->small;
		push->count = &count;
		if (seg->file)
			n = zseg_push_file(job, seg, push, batch, room,
					   may_read, &need_read, &send_failed);
		else
			n = zseg_push_inline(job, seg, push, room);
		if (n > 0) {
			*quota -= n;
			zpace_use(&job->pace, n);
			zjob_advance(job, seg, n, &count);
			continue;
		}
		if (need_read)
			return ZPUSH_IO;
		/* It ends as the others of its connection do. */
		if (n == -ECONNABORTED && test_bit(ZLINK_BROKEN, &job->link->bits))
			return ZPUSH_STOPPED;
		if (n == 0 && seg->to_eof) {
			seg->left = 0;
			seg->to_eof = false;
			continue;
		}
		if (n == 0) {
			job->error = ENODATA;
			return ZPUSH_FAILED;
		}
		if (send_failed && n == -EAGAIN)
			return ZPUSH_BLOCKED;
		if (n == -ENOMEM || (send_failed && n == -ENOBUFS))
			return ZPUSH_NOMEM;
		if (push->refused) {
			/* A connection that has ended has no route either. */
			if (zjob_must_stop(job))
				return ZPUSH_STOPPED;
			job->count.refused = push->refused;
		}
		job->error = -n;
		return ZPUSH_FAILED;
	}
	return ZPUSH_SENT;
}

/**
 * zjob_push() - Push a job into its socket as far as it goes
 * @job: the current job of a link; the caller is the link's runner
 * @batch: memory to work with
 * @quota: bytes that may be pushed; what was is taken off
 * @may_read: the caller may wait for the disk
 *
 * Works with the submitter's credentials and memory cgroup, and holds no lock.
 *
 * Return: how it ended.
 */
enum zpush_result zjob_push(struct zjob *job, struct zbatch *batch,
			    s64 *quota, bool may_read)
{
	struct zpush push = {
		.sock = job->link->sock,
		.link = job->link,
		.job = job->id,
		.mode = job->mode,
		.held = job->link->more,
		.flags = MSG_DONTWAIT,
	};
	struct mem_cgroup *old_memcg;
	struct zlink *link = job->link;
	enum zpush_result result;
	const struct cred *old;

	/* A turn that may wait for a disk lets no bytes wait with it. */
	push.follow = !may_read && !job->pace.rate && zlink_has_next(link, job);

	if (may_read && (current->flags & PF_KTHREAD) &&
	    job->seg < job->nr_segs && job->segs[job->seg].file)
		zsource_prime(job->segs[job->seg].file);

	old = override_creds(job->cred);
	old_memcg = set_active_memcg(job->memcg);
	result = zjob_push_segments(job, &push, batch, quota, may_read);
	link->more = push.held;
	set_active_memcg(old_memcg);
	revert_creds(old);

	if (result == ZPUSH_SENT) {
		spin_lock(&link->lock);
		job->total = job->sent;
		if (!job->pushed)
			job->end_seq = zjob_seq_after(job, 0);
		job->pushed = true;
		job->sent_ns = ktime_to_ns(ktime_sub(ktime_get(),
						     job->submitted));
		spin_unlock(&link->lock);
	}
	return result;
}

/* Where the job is in its current segment. */
static u64 zjob_position(const struct zjob *job, u32 *segment)
{
	*segment = job->seg;
	if (*segment < job->nr_segs)
		return job->segs[*segment].pos;
	return job->segs[job->nr_segs - 1].pos;
}

/**
 * zjob_event() - Fill in the record of a final job
 * @job: the job
 * @ev: the record
 */
void zjob_event(const struct zjob *job, struct zcp_event *ev)
{
	memset(ev, 0, sizeof(*ev));
	ev->size = sizeof(*ev);
	ev->type = ZCP_EVENT_FINAL;
	ev->job = job->id;
	ev->user_data = job->user_data;
	ev->link = job->link_id;
	ev->state = job->state;
	ev->error = job->error;
	ev->copy_reason = zcount_reason(&job->count);
	ev->copy_reasons = zcount_reasons(&job->count);
	ev->position = zjob_position(job, &ev->segment);
	ev->bytes_sent = job->sent;
	ev->bytes_acked = job->acked;
	ev->bytes_zerocopy = job->count.zerocopy;
	ev->bytes_copied = zcount_copied(&job->count);
	ev->submit_ns = ktime_to_ns(job->submitted);
	ev->sent_ns = job->sent_ns;
	ev->acked_ns = job->acked_ns;
	ev->end_ns = job->end_ns;
}

/**
 * zjob_status() - Fill in where a job is
 * @job: the job
 * @st: @st->size and @st->flags are kept, the rest is written
 *
 * What progress changes is changed and read under the link's lock, so the
 * numbers belong together. A push that is under way is not in them yet.
 */
void zjob_status(const struct zjob *job, struct zcp_status *st)
{
	struct zlink *link = job->link;
	u32 i;

	st->job = job->id;
	st->user_data = job->user_data;
	st->link = job->link_id;
	st->mode = job->mode;
	st->complete = job->complete;
	st->nr_segments = job->nr_segs;
	st->submit_ns = ktime_to_ns(job->submitted);

	spin_lock(&link->lock);
	st->state = job->state;
	st->error = zjob_is_final(job) ? job->error : 0;
	st->copy_reason = zcount_reason(&job->count);
	st->position = zjob_position(job, &st->segment);
	st->bytes_total = job->total;
	st->bytes_sent = job->sent;
	st->bytes_acked = zlink_job_acked(link, job);
	st->bytes_zerocopy = job->count.zerocopy;
	st->bytes_copied = zcount_copied(&job->count);
	st->sent_ns = job->sent_ns;
	st->acked_ns = job->acked_ns;
	st->end_ns = zjob_is_final(job) ? job->end_ns : 0;
	for (i = 0; i < ZCP_REASON_COUNT; i++)
		st->copied[i] = job->count.copied[i];
	spin_unlock(&link->lock);
	for (i = ZCP_REASON_COUNT; i < ZCP_REASON_MAX; i++)
		st->copied[i] = 0;
	st->rate = job->pace.rate;
	st->bytes_dropped = job->nocache ? READ_ONCE(job->nocache->dropped) : 0;
	st->job_flags = job->flags;
	st->__reserved = 0;
}
