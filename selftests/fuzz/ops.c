// SPDX-License-Identifier: GPL-2.0-only
/* Operations on contexts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "fuzz.h"

#define MUTATED(m)	(((m) & 0xff) >= 216)
/* Any member of the structure may have any value, by command(). */
#define GARBLED(m)	(MUTATED(m) && ((m) >> 8) % 16 >= 12)

/*
 * A command, whose structure and pointer are as they should be or mutated. What
 * the kernel wrote comes back in @buf; *@known says whether that is so.
 */
static int command(struct fz_worker *w, int fd, unsigned int nr, void *buf, size_t size,
		   uint32_t m, bool *known)
{
	unsigned char *at = w->arena;
	uint32_t r = m >> 12, word;
	void *user = at;
	int ret;

	memset(at, 0, 1024);
	memcpy(at, buf, size);
	*known = true;
	if (MUTATED(m)) {
		switch ((m >> 8) % 16) {
		case 0:
			word = r % (size + 1);
			memcpy(at, &word, 4);
			break;
		case 1:
		case 2:
			word = size + 8 * (r % 16);
			memcpy(at, &word, 4);
			if ((m >> 8) % 16 == 2)
				at[size + (r >> 4) % 64] = r;
			break;
		case 3:
			word = fz_edge(r);
			memcpy(at, &word, 4);
			break;
		case 4:
			at[4 + r % 4] ^= 1 << (r / 4 % 8);
			break;
		case 5:
			user = NULL;
			*known = false;
			break;
		case 6:
			user = at + FZ_ARENA;
			*known = false;
			break;
		case 7:
			user = w->alias;
			*known = false;
			break;
		case 8:
			user = at + FZ_ARENA - r % size;
			memcpy(user, buf, r % size);
			*known = false;
			break;
		case 9:
			user = (void *)0xffff888000000000ULL;
			*known = false;
			break;
		case 10:
			user = at + 2048 + r % 8;
			memcpy(user, buf, size);
			break;
		case 11:
			nr += 7 + r % 32;	/* a command that there is not */
			*known = false;
			break;
		default:
			word = fz_edge(r);
			memcpy(at + 4 + r / 32 % (size / 4 - 1) * 4, &word, 4);
			break;
		}
	}
	ret = ioctl(fd, nr, user) ? -errno : 0;
	if (*known && user != at)
		memcpy(at, user, size);
	memcpy(buf, at, size);
	/* Others may have written to it by then: they say so before they begin. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fz->scribbling)
		*known = false;
	return ret;
}

int fz_op_open(struct fz_worker *w, const struct fz_op *op)
{
	int slot = fz_slot_of(op->arg[0]);
	int fd = open("/dev/zcp", O_RDWR | O_CLOEXEC | (op->arg[1] & 3 ? O_NONBLOCK : 0));
	int inst, ret = 0;

	if (fd < 0)
		return -errno;
	inst = atomic_fetch_add(&fz->nr_insts, 1);
	if (inst >= FZ_INSTS) {
		close(fd);
		return FZ_SKIP;
	}
	fz->ctx[slot].gen++;
	if (dup2(fd, FD_CTX + slot) < 0)
		ret = -errno;
	fz->ctx[slot].inst = inst;
	fz->ctx[slot].gen++;
	close(fd);
	return ret;
}

int fz_op_close(struct fz_worker *w, const struct fz_op *op)
{
	int slot = fz_slot_of(op->arg[0]);

	/* Not too often: there would be nothing to work with. */
	if (op->arg[1] % 8)
		slot = FZ_CTXS - 1;
	fz->ctx[slot].gen++;
	dup2(FD_NULL, FD_CTX + slot);
	fz->ctx[slot].inst = -1;
	fz->ctx[slot].gen++;
	return 0;
}

int fz_op_dup(struct fz_worker *w, const struct fz_op *op)
{
	int from = op->arg[0] % FZ_CTXS, to = op->arg[1] % FZ_CTXS;
	uint32_t gen = fz->ctx[from].gen;
	int inst = fz->ctx[from].inst;

	if (inst < 0 || from == to)
		return FZ_SKIP;
	fz->ctx[to].gen++;
	dup2(FD_CTX + from, FD_CTX + to);
	fz->ctx[to].inst = inst;
	fz->ctx[to].gen++;
	/* It became another one meanwhile: whose jobs are whose is not known. */
	if (!fz_slot_same(from, gen))
		fz->loose_jobs = true;
	return 0;
}

int fz_op_info(struct fz_worker *w, const struct fz_op *op)
{
	struct zcp_info info = { .size = sizeof(info) };
	bool known;

	return command(w, fz_ctx_of(op->arg[0]).fd, ZCP_IOC_INFO, &info, sizeof(info), op->arg[3],
		       &known);
}

int fz_op_link(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	struct zcp_link link = {
		.size = sizeof(link), .fd = fz_sock_of(op->arg[1]),
		.flags = op->arg[2] & ZCP_LINK_CONTINUE,
	};
	struct fz_inst *inst;
	uint32_t at, max;
	bool known;
	int ret;

	/* An accepted socket is in the peer's namespace: so are its jobs' notifications. */
	if (link.fd >= FD_RX && link.fd < FD_RX + FZ_SOCKS)
		fz->abroad = true;
	ret = command(w, t.fd, ZCP_IOC_LINK, &link, sizeof(link), op->arg[3], &known);
	if (ret || !known || t.inst < 0 || !fz_slot_same(t.slot, t.gen))
		return ret;
	if (!link.link)
		fz_fail("LINK gave the id 0");
	inst = &fz->inst[t.inst];
	at = atomic_fetch_add(&inst->next_link, 1) % FZ_LINKS;
	inst->links[at].id = link.link;
	inst->links[at].sock = link.fd;
	max = inst->max_link;
	while (link.link > max && !atomic_compare_exchange_weak(&inst->max_link, &max, link.link))
		;
	return 0;
}

int fz_op_unlink(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	struct zcp_unlink unlink = { .size = sizeof(unlink), .link = fz_link_of(&t, op->arg[1]) };
	bool known;

	return command(w, t.fd, ZCP_IOC_UNLINK, &unlink, sizeof(unlink), op->arg[3], &known);
}

/* One segment, at random but for what is asked for. */
static void make_segment(struct fz_worker *w, struct zcp_segment *seg, uint64_t *rng, bool plain)
{
	uint64_t r = fz_random(rng);

	memset(seg, 0, sizeof(*seg));
	if (r % 4 == 0) {
		seg->type = ZCP_SEGMENT_INLINE;
		seg->fd = -1;
		seg->len = (r >> 8) % (r & 0x80 ? 200 : FZ_MAX_INLINE / 2);
		seg->addr = (uintptr_t)w->arena + FZ_AT_INLINE + (r >> 32) % (FZ_MAX_INLINE / 2);
	} else {
		seg->type = ZCP_SEGMENT_FILE;
		seg->fd = fz_file_of(plain ? (r >> 8) & 0xffff : (uint32_t)(r >> 8));
		fz_range_of(rng, seg->fd, (uint64_t *)&seg->addr, (uint64_t *)&seg->len);
		if (r >> 60 < 3) {
			seg->flags = ZCP_SEGMENT_TO_EOF;
			seg->len = 0;
		}
	}
	if (plain || (r >> 48) % 32)
		return;
	r = fz_random(rng);
	switch (r % 6) {
	case 0:
		seg->type = r >> 8;
		break;
	case 1:
		seg->flags = r >> 8;
		break;
	case 2:
		seg->__reserved = r >> 8;
		break;
	case 3:
		seg->addr = fz_edge(r >> 8);
		break;
	case 4:
		seg->len = fz_edge(r >> 8);
		fz->loose_bytes = true;
		break;
	case 5:
		fz->loose_bytes = true;
		seg->addr = (uintptr_t)w->arena + FZ_ARENA - (r >> 8) % 64;
		break;
	}
}

static void make_job(struct fz_worker *w, struct zcp_job *job, const struct fz_target *t,
		     uint64_t *rng, uint32_t *segs)
{
	struct zcp_segment *seg = (void *)(w->arena + FZ_AT_SEGS);
	uint64_t r = fz_random(rng);
	bool plain = r % 8 != 0;
	uint32_t room = (FZ_AT_DATA - FZ_AT_SEGS) / sizeof(*seg) - *segs, i;
	uint32_t nr = 1 + (r >> 8) % ((r >> 20) % 16 ? 4 : 40);

	if (nr > room)
		nr = room;
	memset(job, 0, sizeof(*job));
	job->size = sizeof(*job);
	job->link = fz_link_of(t, plain ? (r >> 32) | 15 : (uint32_t)(r >> 32));
	/* What is in the arena, others may have written since. */
	job->nr_segments = nr;
	job->segments = (uintptr_t)(seg + *segs);
	job->user_data = 0x5a00000000000000ULL | (r >> 12);
	job->mode = (r >> 16) % 8 < 5 ? ZCP_MODE_AUTO : (r >> 16) % 3;
	job->complete = (r >> 24) % 3 == 0;
	if ((r >> 26) % 16 == 0 && !job->complete)
		job->flags = ZCP_JOB_NOCACHE;
	if ((r >> 56) % 8 == 0)
		job->rate = 100000ULL << (r >> 59);
	for (i = 0; i < nr; i++)
		make_segment(w, &seg[(*segs)++], rng, plain);
	if (plain || (r >> 44) % 4)
		return;
	r = fz_random(rng);
	switch (r % 9) {
	case 0:
		job->size = fz_edge(r >> 8);
		break;
	case 1:
		job->flags = r >> 8;
		break;
	case 2:
		job->mode = fz_edge(r >> 8);
		break;
	case 3:
		job->complete = fz_edge(r >> 8);
		break;
	case 4:
		/* Segments of an earlier submission may follow. */
		job->nr_segments = fz_edge(r >> 8);
		fz->loose_bytes = true;
		break;
	case 5:
		job->segments = fz_edge(r >> 8);
		fz->loose_bytes = true;
		break;
	case 6:
		job->rate = fz_edge(r >> 8);
		break;
	case 7:
		job->segments = (uintptr_t)w->arena + FZ_ARENA - (r >> 8) % 200;
		fz->loose_bytes = true;
		break;
	case 8:
		job->id = r;
		break;
	}
}

/* All that these segments may send, whoever accepts them. */
static void note_pieces(struct fz_worker *w, uint32_t nr)
{
	struct zcp_segment *seg = (void *)(w->arena + FZ_AT_SEGS);

	for (; nr; seg++, nr--) {
		if (seg->type == ZCP_SEGMENT_FILE)
			fz_note_piece(seg->addr, seg->len ? seg->len : UINT64_MAX);
		else
			fz_note_piece(UINT64_MAX, seg->len);
	}
}

/* Events too, at the end of the arena: what is garbled cannot write to much of it. */
static void want_events(struct fz_worker *w, struct zcp_submit *submit, uint32_t r)
{
	uint32_t nr = 1 + r % 8;
	unsigned char *at = w->arena + FZ_ARENA - nr * sizeof(struct zcp_event);

	switch (r / 8 % 16) {
	case 0:
		at = NULL;
		break;
	case 1:
		at = w->alias;
		break;
	case 2:
		at += sizeof(struct zcp_event) / 2;
		break;
	}
	submit->events = (uintptr_t)at;
	submit->events_len = nr * sizeof(struct zcp_event);
}

static void take_events(const struct zcp_submit *submit)
{
	if (submit->events_read > submit->events_len)
		fz_fail("SUBMIT read %u bytes of events", submit->events_read);
	else if (submit->events_read)
		fz_take_events((void *)(uintptr_t)submit->events, submit->events_read);
}

int fz_op_submit(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	struct zcp_job *jobs = (void *)(w->arena + FZ_AT_JOBS);
	uint64_t rng = op->arg[2] | 1ULL << 40;
	struct zcp_submit submit;
	uint32_t nr = 1 + op->arg[1] % 6, segs = 0, i;
	bool known;
	int ret;

	if (op->arg[1] >> 8 == 0x11)
		nr = 60;
	for (i = 0; i < nr; i++)
		make_job(w, &jobs[i], &t, &rng, &segs);
	memset(&submit, 0, sizeof(submit));
	submit.size = sizeof(submit);
	submit.jobs = (uintptr_t)jobs;
	submit.nr_jobs = nr;
	submit.job_size = sizeof(*jobs);
	if ((op->arg[3] >> 8) % 64 == 3) {
		/* The array runs into memory that is not there. */
		size_t there = (nr - 1) * sizeof(*jobs) + op->arg[3] % sizeof(*jobs);

		jobs = memcpy(w->arena + FZ_ARENA - there, jobs, there);
		submit.jobs = (uintptr_t)jobs;
	} else if ((op->arg[3] >> 8) % 64 == 4) {
		/* Read-only: ids cannot be told. */
		jobs = (void *)(w->alias + FZ_AT_JOBS);
		submit.jobs = (uintptr_t)jobs;
	}
	if (submit.jobs == (uintptr_t)(w->arena + FZ_AT_JOBS) && op->arg[1] >> 16 & 1)
		want_events(w, &submit, op->arg[1] >> 17);
	note_pieces(w, segs);
	if (GARBLED(op->arg[3]))
		fz->loose_bytes = true;
	ret = command(w, t.fd, ZCP_IOC_SUBMIT, &submit, sizeof(submit), op->arg[3], &known);
	if (t.slot < 0)
		return ret;
	if (known && submit.size >= sizeof(submit) && (!ret || ret == -EAGAIN))
		take_events(&submit);
	if (!known || submit.job_size != sizeof(*jobs) ||
	    submit.jobs != (uintptr_t)jobs || submit.nr_jobs > nr) {
		fz_note_unknown(t.slot, t.gen);
		return ret;
	}
	if (ret && submit.accepted && !MUTATED(op->arg[3]))
		fz_fail("SUBMIT failed with %d and accepted %u", -ret, submit.accepted);
	if (ret)
		return ret;
	if (!submit.accepted || submit.accepted > nr)
		fz_fail("SUBMIT accepted %u of %u", submit.accepted, nr);
	for (i = 0; i < submit.accepted && i < nr; i++)
		fz_note_accepted(w, t.slot, t.gen, jobs[i].id);
	return ret;
}

int fz_op_cancel(struct fz_worker *w, const struct fz_op *op)
{
	struct zcp_cancel cancel = { .size = sizeof(cancel), .job = fz_job_of(op->arg[1]) };
	bool known;

	return command(w, fz_ctx_of(op->arg[0]).fd, ZCP_IOC_CANCEL, &cancel, sizeof(cancel),
		       op->arg[3], &known);
}

int fz_op_cancel_link(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	struct zcp_cancel cancel = {
		.size = sizeof(cancel), .flags = ZCP_CANCEL_LINK,
		.link = fz_link_of(&t, op->arg[1]),
	};
	bool known;

	return command(w, t.fd, ZCP_IOC_CANCEL, &cancel, sizeof(cancel), op->arg[3], &known);
}

static void check_status(const struct zcp_status *s)
{
	if (s->bytes_acked > s->bytes_sent ||
	    s->bytes_zerocopy + s->bytes_copied != s->bytes_sent ||
	    !s->state || s->state > ZCP_STATE_CANCELLED || s->user_data >> 56 != 0x5a)
		fz_fail("STATUS of job %llu: state %u, %llu sent, %llu acked, %llu + %llu",
			s->job, s->state, s->bytes_sent, s->bytes_acked, s->bytes_zerocopy,
			s->bytes_copied);
}

int fz_op_status(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	struct zcp_status status = { .size = sizeof(status), .job = fz_job_of(op->arg[1]) };
	bool known;
	int ret;

	ret = command(w, t.fd, ZCP_IOC_STATUS, &status, sizeof(status), op->arg[3], &known);
	if (!ret && known && !MUTATED(op->arg[3]) && t.slot >= 0)
		check_status(&status);
	return ret;
}

int fz_op_walk(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0] & 7);
	struct zcp_status status = { .size = sizeof(status), .flags = ZCP_STATUS_NEXT };
	int n = 0;

	while (!ioctl(t.fd, ZCP_IOC_STATUS, &status)) {
		check_status(&status);
		status.job++;
		n++;
	}
	return n ? 0 : -errno;
}

int fz_op_xfer(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	uint64_t rng = op->arg[2] | 1ULL << 41, off, len;
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .in_fd = fz_file_of(op->arg[1] >> 3),
		.out_fd = fz_sock_of(op->arg[1]),
		.mode = op->arg[0] >> 8 & 3 ? ZCP_MODE_AUTO : op->arg[0] >> 10 & 3,
		.flags = op->arg[0] >> 12 & (ZCP_XFER_NONBLOCK | ZCP_XFER_MORE),
	};
	uint64_t want;
	uint32_t head = 0;
	bool known;
	int ret;

	fz_range_of(&rng, xfer.in_fd, &off, &len);
	xfer.offset = off;
	xfer.count = len;
	want = len;
	if (op->arg[2] >> 24 & 1) {
		xfer.header = (uintptr_t)w->arena + FZ_AT_INLINE;
		xfer.header_len = fz_random(&rng) % (op->arg[2] >> 25 & 1 ? FZ_MAX_INLINE : 300);
		head = xfer.header_len;
	}
	if (GARBLED(op->arg[3]))
		fz->loose_bytes = true;
	fz_note_piece(off, len);
	if (xfer.out_fd >= FD_TX && xfer.out_fd < FD_TX + FZ_SOCKS)
		fz->rx[xfer.out_fd - FD_TX].mixed = true;
	ret = command(w, t.fd, ZCP_IOC_XFER, &xfer, sizeof(xfer), op->arg[3], &known);
	if (!ret && known && !MUTATED(op->arg[3]) &&
	    (xfer.done > want || xfer.offset != off + xfer.done || xfer.header_done > head ||
	     (xfer.done && xfer.header_done != head) ||
	     xfer.bytes_zerocopy + xfer.bytes_copied != xfer.done))
		fz_fail("XFER of %u + %llu: %u + %llu done, %llu + %llu, offset %llu from %llu",
			head, (unsigned long long)want, xfer.header_done, xfer.done,
			xfer.bytes_zerocopy, xfer.bytes_copied, xfer.offset,
			(unsigned long long)off);
	return ret;
}

int fz_op_read(struct fz_worker *w, const struct fz_op *op)
{
	struct fz_target t = fz_ctx_of(op->arg[0]);
	unsigned char *at = w->arena + FZ_AT_DATA;
	uint32_t m = op->arg[3];
	size_t len = (1 + op->arg[1] % 16) * sizeof(struct zcp_event) + (m >> 28);
	ssize_t n;

	if (t.slot < 0)
		return FZ_SKIP;
	if (MUTATED(m)) {
		switch ((m >> 8) % 5) {
		case 0:
			len = op->arg[1] % 256;
			break;
		case 1:
			at = NULL;
			break;
		case 2:
			at = w->alias;
			break;
		case 3:
			/* The second record does not fit. */
			at = w->arena + FZ_ARENA - sizeof(struct zcp_event) - (m >> 12) % 100;
			break;
		case 4:
			at += FZ_ARENA;
			break;
		}
	}
	n = read(t.fd, at, len);
	if (n < 0)
		return -errno;
	if (n)
		fz_take_events(at, n);
	return 0;
}

int fz_op_poll(struct fz_worker *w, const struct fz_op *op)
{
	struct pollfd pfd[3] = {
		{ .fd = fz_ctx_of(op->arg[0]).fd, .events = op->arg[1] },
		{ .fd = FD_CTX + op->arg[2] % FZ_CTXS, .events = POLLIN },
		{ .fd = FD_TX + op->arg[2] / 8 % FZ_SOCKS, .events = op->arg[1] & POLLOUT },
	};

	return poll(pfd, 3, op->arg[3] % 16 ? 0 : 5) < 0 ? -errno : 0;
}

/* System calls that a context has nothing for, and commands of nobody. */
int fz_op_other(struct fz_worker *w, const struct fz_op *op)
{
	int fd = fz_ctx_of(op->arg[0] & 7).fd;
	unsigned char *at = w->arena + FZ_AT_DATA;
	void *map;

	switch (op->arg[1] % 9) {
	case 0:
		return write(fd, at, op->arg[2] % 4096) < 0 ? -errno : 0;
	case 1:
		return lseek(fd, op->arg[2], op->arg[3] % 5) < 0 ? -errno : 0;
	case 2:
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			return -errno;
		munmap(map, 4096);
		return 0;
	case 3:
		return fcntl(fd, F_SETFL, op->arg[2] & O_NONBLOCK) < 0 ? -errno : 0;
	case 4:
		return pread(fd, at, 4096, op->arg[2]) < 0 ? -errno : 0;
	case 5:
		return sendfile(FD_TX + op->arg[2] % FZ_SOCKS, fd, NULL, 4096) < 0 ? -errno : 0;
	case 6:
		return ftruncate(fd, op->arg[2]) < 0 ? -errno : 0;
	case 7:
		return fsync(fd) < 0 ? -errno : 0;
	default:
		memset(at, op->arg[3], 4096);
		return ioctl(fd, op->arg[2] & 1 ? op->arg[2] : 0xf700 | op->arg[2] >> 24, at) < 0 ?
		       -errno : 0;
	}
}
