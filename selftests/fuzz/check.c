// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must hold: each accepted job has one event, and what arrives are bytes
 * of the files, zeros, or bytes that somebody sent from memory.
 *
 * A byte says what it is: 0x00 is a hole's; 0x10 to 0x1f were written to the
 * socket; 0x20 to 0x3f are inline; and each 8 bytes of a file are 0x80 plus the
 * file's number, and the number of that word in 7 digits, 0x40 plus 6 bits. All
 * others come from elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"

static void make_word(unsigned char *word, unsigned int file, uint64_t index)
{
	int i;

	word[0] = 0x80 | file;
	for (i = 1; i < 8; i++, index >>= 6)
		word[i] = 0x40 | (index & 0x3f);
}

void fz_pattern(void *buf, unsigned int file, uint64_t off, size_t len)
{
	unsigned char *p = buf, word[8];

	while (len) {
		size_t skip = off % 8, n = 8 - skip < len ? 8 - skip : len;

		make_word(word, file, off / 8);
		memcpy(p, word + skip, n);
		p += n;
		off += n;
		len -= n;
	}
}

void fz_note_piece(uint64_t start, uint64_t len)
{
	uint32_t at;

	if (len && len < 16)
		fz->nr_tiny++;
	if (start == UINT64_MAX)
		return;
	at = atomic_fetch_add(&fz->nr_pieces, 1);
	if (at >= FZ_PIECES) {
		fz->loose_bytes = true;
		return;
	}
	fz->piece[at].start = start;
	fz->piece[at].len = len;
}

/*
 * Does a piece begin there? The first bytes of one may be those that were expected
 * of the one before. In the middle only after zeros, of which nobody knows whose
 * they are, and where others write to the socket too.
 */
static bool explained(const struct fz_rx *rx, uint64_t off)
{
	uint32_t nr = fz->nr_pieces, i;
	bool inside = rx->zeros || rx->mixed;

	for (i = 0; i < nr && i < FZ_PIECES; i++) {
		const struct fz_piece *p = &fz->piece[i];

		if (p->start <= off &&
		    (off - p->start <= 16 || (inside && off - p->start < p->len)))
			return true;
	}
	return false;
}

/* Pieces too short for a word may have been among the last @since bytes. */
static bool begins_by(uint64_t off, uint64_t since)
{
	uint32_t nr = fz->nr_pieces, i;

	for (i = 0; i < nr && i < FZ_PIECES; i++) {
		if (fz->piece[i].start <= off && off - fz->piece[i].start <= since)
			return true;
	}
	return false;
}

/* A word is complete: here is where this run of bytes began. */
static void located(struct fz_rx *rx)
{
	uint64_t index = 0, off;
	bool begun;
	int i;

	for (i = 7; i; i--)
		index = index << 6 | (rx->word[i] & 0x3f);
	off = index * 8;
	rx->have = 0;
	/* A word torn in two, of different pieces. */
	if (off >> 40) {
		fz->unexplained++;
		rx->since = 0;
		rx->zeros = false;
		return;
	}
	rx->known = true;
	rx->file = rx->word[0] & 0x3f;
	rx->off = off + 8;
	begun = begins_by(rx->off - 8, rx->since);
	/* More zeros than there can be before it are the holes of another piece. */
	if (rx->since > rx->off)
		rx->stray = !rx->zeros || !begun;
	else
		rx->stray = !explained(rx, rx->off - rx->since);
	if (rx->stray)
		fz->unexplained++;
	rx->stray &= !begun;
}

static void lost(struct fz_rx *rx)
{
	rx->known = false;
	rx->stray = false;
	rx->have = 0;
	rx->since = 0;
	rx->zeros = false;
}

static bool expected(struct fz_rx *rx, unsigned char byte)
{
	unsigned char want;

	if (!byte) {
		rx->zeros = true;
	} else {
		fz_pattern(&want, rx->file, rx->off, 1);
		if (byte != want)
			return false;
	}
	rx->off++;
	rx->since++;
	return true;
}

static void receive_byte(struct fz_rx *rx, unsigned char byte, unsigned int at)
{
	bool zeros = rx->zeros;

	if (rx->known) {
		if (expected(rx, byte))
			return;
		lost(rx);
		/* These zeros may have been those of what comes now. */
		rx->zeros = zeros;
	}
	if (!byte) {
		rx->zeros = true;
		rx->have = 0;
		rx->since++;
	} else if (byte >= 0x80 && byte < 0x80 + FZ_FILES) {
		rx->word[0] = byte;
		rx->have = 1;
		rx->since++;
	} else if (byte >= 0x40 && byte < 0x80) {
		rx->since++;
		if (rx->have)
			rx->word[rx->have++] = byte;
		if (rx->have == 8)
			located(rx);
	} else if (byte >= 0x10 && byte < 0x40) {
		lost(rx);
	} else if (!fz->loose_bytes) {
		fz_fail("socket %u: byte %llu is 0x%02x, of no file, header or hole", at,
			(unsigned long long)rx->bytes, byte);
	}
}

void fz_receive(struct fz_rx *rx, const unsigned char *buf, size_t len)
{
	static unsigned char want[4096];
	unsigned int at = rx - fz->rx;
	uint32_t gen = rx->gen;
	size_t i, n;

	/* Another connection: what came last of the one before says nothing of it. */
	if (rx->seen != gen && rx->bytes) {
		lost(rx);
		rx->mixed = true;
	}
	rx->seen = gen;
	for (i = 0; i < len; rx->bytes++) {
		/* Mostly it is as expected, for long. */
		n = len - i < sizeof(want) ? len - i : sizeof(want);
		if (rx->known && n > 64) {
			fz_pattern(want, rx->file, rx->off, n);
			if (!memcmp(want, buf + i, n)) {
				/* Too many for a word that was torn in two. */
				fz->misplaced += rx->stray;
				rx->stray = false;
				rx->off += n;
				rx->since += n;
				rx->bytes += n - 1;
				i += n;
				continue;
			}
		}
		receive_byte(rx, buf[i++], at);
	}
	fz->bytes += len;
}

bool fz_slot_same(int slot, uint32_t gen)
{
	return slot >= 0 && !(gen & 1) && fz->ctx[slot].gen == gen;
}

void fz_note_unknown(int slot, uint32_t gen)
{
	int inst = fz->ctx[slot].inst;

	if (!fz_slot_same(slot, gen) || inst < 0)
		fz->loose_jobs = true;
	else
		fz->inst[inst].unknown++;
}

static struct fz_job *job_at(uint64_t id)
{
	if (id <= fz->base_id || id - fz->base_id >= FZ_JOBS)
		return NULL;
	return &fz->job[id - fz->base_id];
}

void fz_note_id(uint64_t id)
{
	uint64_t last = fz->last_id;

	while (id > last && !atomic_compare_exchange_weak(&fz->last_id, &last, id))
		;
}

void fz_note_accepted(struct fz_worker *w, int slot, uint32_t gen, uint64_t id)
{
	struct fz_job *job = job_at(id);

	if (fz->scribbling)
		return;
	if (!job) {
		fz_fail("SUBMIT gave job %llu, the last one before was %llu",
			(unsigned long long)id, (unsigned long long)fz->base_id);
		return;
	}
	/* Of the context that is there now, if that was the one all the time. */
	if (fz_slot_same(slot, gen)) {
		job->inst = fz->ctx[slot].inst;
		job->op = w->op;
		if (atomic_fetch_or(&job->flags, FZ_JOB_ACCEPTED) & FZ_JOB_ACCEPTED)
			fz_fail("job %llu was accepted twice", (unsigned long long)id);
	} else {
		fz->loose_jobs = true;
	}
	fz->recent[atomic_fetch_add(&fz->nr_recent, 1) % 64] = id;
	fz_note_id(id);
}

static bool error_fits(uint32_t state, uint32_t error)
{
	static const short failures[] = {
		EOPNOTSUPP, ENODATA, EIO, EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH,
		ENETUNREACH, ENETDOWN, ECONNABORTED, ESHUTDOWN, EACCES, 0
	};
	const short *p = failures;

	if (state == ZCP_STATE_DONE)
		return !error;
	if (state == ZCP_STATE_CANCELLED)
		return error == ECANCELED;
	while (*p && *p != (int)error)
		p++;
	return *p;
}

static void take_event(const struct zcp_event *ev)
{
	struct fz_job *job = job_at(ev->job);

	if (ev->size != sizeof(*ev) || ev->type != ZCP_EVENT_FINAL ||
	    ev->state < ZCP_STATE_DONE || ev->state > ZCP_STATE_CANCELLED ||
	    ev->user_data >> 56 != 0x5a || ev->bytes_acked > ev->bytes_sent ||
	    ev->bytes_zerocopy + ev->bytes_copied != ev->bytes_sent ||
	    ev->copy_reasons >> ZCP_REASON_COUNT) {
		fz_fail("event of job %llu: size %u type %u state %u, %llu sent, %llu acked",
			ev->job, ev->size, ev->type, ev->state, ev->bytes_sent, ev->bytes_acked);
		return;
	}
	if (!error_fits(ev->state, ev->error))
		fz_fail("event of job %llu: state %u with errno %u", ev->job, ev->state, ev->error);
	fz_note_id(ev->job);
	fz->events[ev->state]++;
	fz->job_errors[ev->error % FZ_ERRNOS]++;
	if (job) {
		job->state = ev->state;
		job->error = ev->error;
		job->sent = ev->bytes_sent;
		job->acked = ev->bytes_acked;
	}
	if (!job)
		fz_fail("event of job %llu, which is of another time", ev->job);
	else if (atomic_fetch_or(&job->flags, FZ_JOB_EVENT) & FZ_JOB_EVENT)
		fz_fail("two events of job %llu", ev->job);
}

void fz_take_events(const void *buf, size_t len)
{
	struct zcp_event ev;
	size_t at;

	if (fz->scribbling)
		return;
	if (len % sizeof(ev))
		fz_fail("read gave %zu bytes", len);
	for (at = 0; at + sizeof(ev) <= len; at += sizeof(ev)) {
		memcpy(&ev, (const char *)buf + at, sizeof(ev));
		take_event(&ev);
	}
}

static void end_links(int fd, const struct fz_inst *inst)
{
	uint32_t id;

	for (id = 1; id <= inst->max_link + 40; id++) {
		struct zcp_unlink unlink = { .size = sizeof(unlink), .link = id };

		if (ioctl(fd, ZCP_IOC_UNLINK, &unlink) && errno != ENOENT)
			fz_fail("UNLINK at the end: errno %d", errno);
	}
}

static void read_rest(int fd)
{
	struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };
	struct zcp_event ev[32];
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((n = read(fd, ev, sizeof(ev))) > 0)
		fz_take_events(ev, n);
	if (n == 0 || errno != EAGAIN)
		fz_fail("read at the end: %zd, errno %d", n, errno);
	if (fz->scribbling)
		return;
	if (!ioctl(fd, ZCP_IOC_STATUS, &status))
		fz_fail("job %llu in state %u when all links have ended", status.job,
			status.state);
}

static bool any_unknown(void)
{
	int i;

	for (i = 0; i < FZ_INSTS; i++) {
		if (fz->inst[i].unknown)
			return true;
	}
	return false;
}

/* All jobs of contexts that stayed open end now, and have had one event each. */
void fz_check_jobs(void)
{
	bool open[FZ_INSTS] = {};
	unsigned int i;
	int slot;

	for (slot = 0; slot < FZ_CTXS; slot++) {
		int inst = fz->ctx[slot].inst;

		if (inst < 0)
			continue;
		open[inst] = true;
		end_links(FD_CTX + slot, &fz->inst[inst]);
	}
	for (slot = 0; slot < FZ_CTXS; slot++) {
		if (fz->ctx[slot].inst >= 0)
			read_rest(FD_CTX + slot);
	}
	for (i = 0; i < FZ_JOBS && !fz->loose_jobs && !fz->scribbling; i++) {
		const struct fz_job *job = &fz->job[i];

		if (fz->base_id + i > fz->last_id)
			break;
		if (job->flags == FZ_JOB_ACCEPTED && open[job->inst])
			fz_fail("job %llu of operation %u has had no event",
				(unsigned long long)(fz->base_id + i), job->op);
		if (job->flags == FZ_JOB_EVENT && !any_unknown())
			fz_fail("event of job %llu, which nobody submitted",
				(unsigned long long)(fz->base_id + i));
	}
}
