// SPDX-License-Identifier: GPL-2.0-only
/*
 * The soak test's jobs: making them at random, and comparing what their events
 * say and what has arrived with what they are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../zcp_test.h"
#include "soak.h"

/* Most are small. */
static uint64_t random_length(struct soak_thread *t)
{
	uint64_t kind = soak_random(&t->random, 1000);

	if (kind < 20)
		return 0;
	if (kind < 850)
		return soak_random(&t->random, 4 * ZT_KIB);
	if (kind < 970)
		return soak_random(&t->random, 16 * ZT_KIB);
	if (kind < 997)
		return soak_random(&t->random, 128 * ZT_KIB);
	return soak_random(&t->random, 2 * ZT_MIB);
}

static void make_words(unsigned char *to, uint32_t len, uint64_t *random)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		to[i] = soak_random(random, 256);
}

/* What it brings; one of a context that will be closed can be told without its event. */
static void make_job(struct soak_thread *t, const struct soak_conn *c, struct soak_job *job)
{
	struct soak *soak = t->soak;
	uint64_t kind = soak_random(&t->random, 100);

	memset(job, 0, sizeof(*job));
	if (kind < 70 || kind >= 90)
		job->head_len = soak_random(&t->random, SOAK_HEAD + 1);
	if (kind < 90) {
		do {
			job->file = &soak->files[soak_random(&t->random, soak->nr_files)];
		} while (c->own && job->file->cut);
		job->off = soak_random(&t->random, job->file->size);
		job->len = random_length(t);
		if (job->len > job->file->size - job->off)
			job->len = job->file->size - job->off;
		/* One that does not end would be the last. */
		if (job->file->cut && kind % 2)
			job->to_eof = true;
	}
	if (kind < 40)
		job->tail_len = soak_random(&t->random, SOAK_TAIL + 1);
	make_words(job->head, job->head_len, &t->random);
	make_words(job->tail, job->tail_len, &t->random);
}

static uint32_t make_segments(struct soak_job *job, struct zcp_segment *segs)
{
	uint32_t nr = 0;

	if (job->head_len || !job->file)
		segs[nr++] = zt_inline(job->head, job->head_len);
	if (job->file && job->to_eof)
		segs[nr++] = zt_to_eof(job->file->fd, job->off);
	else if (job->file)
		segs[nr++] = zt_range(job->file->fd, job->off, job->len);
	if (job->tail_len)
		segs[nr++] = zt_inline(job->tail, job->tail_len);
	job->nr = nr;
	return nr;
}

static void make_options(struct soak_thread *t, const struct soak_job *job, struct zcp_job *req)
{
	uint64_t kind = soak_random(&t->random, 100);

	if (kind < 10)
		req->mode = ZCP_MODE_COPY;
	else if (kind < 20)
		req->mode = ZCP_MODE_ZEROCOPY;
	if (kind % 5 == 0)
		req->complete = ZCP_COMPLETE_SENT;
	else if (kind % 5 == 1 && job->file)
		req->flags = ZCP_JOB_NOCACHE;
	if (kind % 20 == 3)
		req->rate = (1 + soak_random(&t->random, 64)) << 20;
}

static void remember(struct soak_thread *t, const struct soak_conn *c, const struct soak_job *job)
{
	unsigned int i = soak_random(&t->random, SOAK_RECENT);

	atomic_store(&t->soak->recent[i].ctx, c->ctx);
	atomic_store(&t->soak->recent[i].job, job->id);
}

static void mark(atomic_uchar *map, uint64_t id)
{
	atomic_fetch_or(&map[id % SOAK_IDS / 8], 1U << id % 8);
}

/* Returns how many were accepted. */
unsigned int soak_submit(struct soak_thread *t, struct soak_conn *c, unsigned int nr)
{
	struct zcp_segment segs[SOAK_BATCH][3];
	struct zcp_job reqs[SOAK_BATCH];
	struct zcp_submit submit = {
		.size = sizeof(submit),
		.jobs = (uintptr_t)reqs,
		.job_size = sizeof(reqs[0]),
		.nr_jobs = nr,
	};
	struct soak_totals *totals = t->soak->totals;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct soak_job *job = &c->jobs[c->nr + i];

		make_job(t, c, job);
		reqs[i] = zt_job(c->link, segs[i], make_segments(job, segs[i]));
		reqs[i].user_data = (uintptr_t)job;
		make_options(t, job, &reqs[i]);
	}
	if (ioctl(c->ctx, ZCP_IOC_SUBMIT, &submit))
		submit.accepted = 0;
	/* A file that is cut may be too short, a cgroup may be full. */
	if (submit.error && submit.error != ENODATA && submit.error != ENOMEM)
		zt_die("SUBMIT: %u of %u, error %u, limit %u, reason %u", submit.accepted, nr,
		       submit.error, submit.limit, submit.reason);
	for (i = 0; i < submit.accepted; i++) {
		struct soak_job *job = &c->jobs[c->nr + i];

		job->id = reqs[i].id;
		mark(totals->accepted, job->id);
		if (!c->own && soak_random(&t->random, 4) == 0)
			remember(t, c, job);
		c->open_bytes += job->head_len + job->len + job->tail_len;
		if (job->to_eof)
			c->open_bytes += SOAK_CUT;
	}
	c->nr += submit.accepted;
	atomic_fetch_add(&totals->submitted, submit.accepted);
	atomic_fetch_add(&totals->refused, nr - submit.accepted);
	return submit.accepted;
}

/* Only while no job is on the link. */
void soak_xfer(struct soak_thread *t, struct soak_conn *c)
{
	struct soak_job *job = &c->jobs[c->nr];
	struct zcp_xfer xfer = { .size = sizeof(xfer), .flags = ZCP_XFER_NONBLOCK };

	make_job(t, c, job);
	if (!job->file)
		return;
	job->head_len = 0;
	job->tail_len = 0;
	job->to_eof = false;
	xfer.in_fd = job->file->fd;
	xfer.out_fd = c->tx;
	xfer.offset = job->off;
	xfer.count = job->len;
	if (ioctl(c->ctx, ZCP_IOC_XFER, &xfer)) {
		if (errno != EAGAIN && errno != ENOMEM)
			zt_die("XFER: errno %d", errno);
		return;
	}
	zt_need(xfer.done <= job->len && xfer.bytes_zerocopy + xfer.bytes_copied == xfer.done);
	job->len = xfer.done;
	job->nr = 1;
	job->ev.state = ZCP_STATE_DONE;
	job->ev.segment = 1;
	job->ev.bytes_sent = xfer.done;
	job->ev.bytes_zerocopy = xfer.done;
	atomic_store(&job->done, 1);
	c->open_bytes += job->len;
	c->nr++;
	atomic_fetch_add(&t->soak->totals->xfers, 1);
}

static bool may_fail(const struct soak_conn *c, const struct soak_job *job)
{
	switch (job->ev.error) {
	case ENODATA:
		return job->file && job->file->cut && !job->to_eof;
	case EPIPE:
	case ECONNRESET:
		return c->state == SOAK_ENDING && c->end >= SOAK_SHUTDOWN;
	}
	return false;
}

/* What an event may say of its job. */
void soak_check_event(const struct soak_conn *c, const struct soak_job *job)
{
	const struct zcp_event *ev = &job->ev;
	bool good = ev->job == job->id && ev->bytes_zerocopy + ev->bytes_copied == ev->bytes_sent &&
		    ev->bytes_acked <= ev->bytes_sent && ev->segment <= job->nr;

	switch (ev->state) {
	case ZCP_STATE_DONE:
		good = good && !ev->error && ev->segment == job->nr;
		if (!job->to_eof)
			good = good && ev->bytes_sent == job->head_len + job->len + job->tail_len;
		break;
	case ZCP_STATE_CANCELLED:
		good = good && ev->error == ECANCELED;
		break;
	case ZCP_STATE_FAILED:
		good = good && may_fail(c, job);
		break;
	default:
		good = false;
	}
	if (!good)
		zt_die("job %llu, %llu: state %u, error %u, sent %llu, acked %llu, segment %u; %d",
		       (unsigned long long)job->id, ev->job, ev->state, ev->error, ev->bytes_sent,
		       ev->bytes_acked, ev->segment, c->end);
}

/* Bytes of the file among those that were sent. */
static uint64_t file_bytes(const struct soak_job *job)
{
	uint32_t segment = job->head_len ? 1 : 0;
	uint64_t rest = job->ev.bytes_sent - job->head_len;

	if (!job->file || job->ev.bytes_sent <= job->head_len)
		return 0;
	if (!job->to_eof)
		return rest < job->len ? rest : job->len;
	if (job->ev.segment <= segment)
		return rest;
	return rest - (job->ev.segment == job->nr ? job->tail_len : job->ev.position);
}

/* Old bytes, new bytes, or zeros. */
static bool cut_equal(const struct soak_job *job, const unsigned char *buf, uint64_t len)
{
	const unsigned char *old = job->file->old + job->off;
	const unsigned char *new = job->file->new + job->off;
	uint64_t i;

	for (i = 0; i < len; i++)
		if (buf[i] && buf[i] != old[i] && buf[i] != new[i])
			return false;
	return true;
}

static bool file_equal(const struct soak_job *job, const unsigned char *buf, uint64_t len)
{
	if (job->file->cut)
		return cut_equal(job, buf, len);
	if (!job->file->old)
		return zt_mismatch(buf, len, job->file->seed, job->off) < 0;
	return !memcmp(buf, job->file->old + job->off, len);
}

static uint64_t at_most(uint64_t len, uint64_t have)
{
	return len < have ? len : have;
}

/* The first @have bytes of what has arrived of a job. */
void soak_compare(const struct soak_job *job, const unsigned char *buf, uint64_t have)
{
	uint64_t file = file_bytes(job);
	uint64_t n = at_most(job->head_len, have);

	if (memcmp(buf, job->head, n))
		zt_die("job %llu: wrong bytes in its header", (unsigned long long)job->id);
	buf += n;
	have -= n;
	n = at_most(file, have);
	if (n && job->off + n > job->file->size)
		zt_die("job %llu: bytes beyond the file", (unsigned long long)job->id);
	if (n && !file_equal(job, buf, n))
		zt_die("job %llu: wrong bytes among %llu from %llu on", (unsigned long long)job->id,
		       (unsigned long long)n, (unsigned long long)job->off);
	buf += n;
	have -= n;
	if (have > job->tail_len || memcmp(buf, job->tail, have))
		zt_die("job %llu: wrong bytes in its trailer", (unsigned long long)job->id);
}
