// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages that are written to memory and then sent from there.
 *
 * What a job sent by reference is in the peer's hands when it is acknowledged,
 * and its buffer is used again then. Over loopback the receiver's queue still
 * refers to that memory, which no other way to send by reference changes; as
 * speeds are the same, only smoke, where bytes are compared, also waits until
 * the receiver has read them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"
#include "method.h"

#define PAGE 4096
#define MIN_DISTANCE 64
/* Enough that neither way waits for a buffer while the connection could take more. */
#define RING_BYTES (16 << 20)
#define RING_MIN 16
#define RING_MAX 4096
#define RING_SMOKE 16
/* The ring is confirmed in so many parts. */
#define PARTS 4
/* One submission, or one send(2) of many. */
#define BATCH_BYTES (512 << 10)
#define BATCH_MAX 128
/* Of zcp_send_msg() in smoke, so that the receiver has read what is used again. */
#define SMOKE_GATHER 4
/* How long a message may wait for others. */
#define LINGER_US 5000

static unsigned int buffers(size_t len)
{
	unsigned int nr = RING_MAX;

	if (opt.smoke)
		return RING_SMOKE;
	while (nr > RING_MIN && nr * len > RING_BYTES)
		nr /= 2;
	return nr;
}

unsigned int producer_granularity(size_t len)
{
	return buffers(len) / PARTS;
}

static void ring_make(struct ring *r, enum message_way way, size_t len)
{
	size_t align = len < PAGE ? MIN_DISTANCE : PAGE;
	size_t size;

	r->nr = buffers(len);
	r->distance = (len + align - 1) / align * align;
	if (way == MESSAGE_SEND_BATCH) {
		r->nr = len < BATCH_BYTES ? BATCH_BYTES / len : 1;
		r->distance = len;
	}
	size = r->nr * r->distance;
	r->fd = memfd_create("zcp-bench-ring", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, size))
		die_errno(errno, "memfd");
	r->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (r->memory == MAP_FAILED)
		die_errno(errno, "memfd: mmap");
}

static void ring_remove(struct ring *r)
{
	munmap(r->memory, r->nr * r->distance);
	close(r->fd);
}

/* What a producer does first: a new message. The receiver knows those of smoke. */
static void produce(struct producer *p, uint8_t *buffer)
{
	if (opt.smoke)
		file_fill(buffer, p->serial * p->len, p->len);
	else
		memset(buffer, p->serial, p->len);
	p->serial++;
}

static void answers(struct producer *p, uint64_t n)
{
	if (n <= p->confirmed)
		return;
	peer_wait(p->sock, n - p->confirmed);
	p->confirmed = n;
}

/* Waits until the receiver has read so many messages of this sample. */
static void confirmed(struct producer *p, uint64_t messages)
{
	answers(p, (messages + p->per_answer - 1) / p->per_answer);
}

static void run_send(struct producer *p)
{
	for (uint64_t i = 0; i < p->count; i++) {
		produce(p, p->ring.memory);
		send_all(p->sock, p->ring.memory, p->len, 0);
	}
}

/*
 * Messages are written one behind the other, as one writes them who sends many: they need no
 * vector. The buffer is free again when the call returns.
 */
static void run_send_batch(struct producer *p)
{
	const struct ring *r = &p->ring;
	uint64_t n;

	for (uint64_t i = 0; i < p->count; i += n) {
		n = p->count - i < r->nr ? p->count - i : r->nr;
		for (uint64_t k = 0; k < n; k++)
			produce(p, r->memory + k * p->len);
		send_all(p->sock, r->memory, n * p->len, 0);
	}
}

static void run_xfer(struct producer *p)
{
	const struct ring *r = &p->ring;

	for (uint64_t i = 0; i < p->count; i++) {
		size_t at = i % r->nr * r->distance;

		if (i >= r->nr)
			confirmed(p, i - r->nr + 1);
		produce(p, r->memory + at);
		jobs_transfer(p->jobs.ctx, p->sock, r->fd, at, p->len);
	}
}

static void check_event(const struct zcp_event *event, void *arg)
{
	const struct producer *p = arg;

	if (event->bytes_sent != p->len)
		die("a job is done with %llu of %zu bytes", (unsigned long long)event->bytes_sent,
		    p->len);
}

static void run_job(struct producer *p)
{
	const struct ring *r = &p->ring;
	unsigned int n;

	for (uint64_t i = 0; i < p->count; i += n) {
		n = p->count - i < p->batch ? p->count - i : p->batch;
		/* They end in the order in which they were submitted. */
		jobs_wait(&p->jobs, r->nr - n, check_event, p);
		if (opt.smoke && i + n > r->nr)
			confirmed(p, i + n - r->nr);
		for (unsigned int k = 0; k < n; k++) {
			size_t at = (i + k) % r->nr * r->distance;

			produce(p, r->memory + at);
			zcp_segment_file(&p->segment[k], r->fd, at, p->len);
			jobs_prepare(&p->job[k], p->link, &p->segment[k], 1, i + k);
		}
		jobs_submit(&p->jobs, p->job, n);
	}
	jobs_wait(&p->jobs, 0, check_event, p);
}

static void *message_buffer(struct producer *p)
{
	void *buf;
	int ret;

	while ((ret = zcp_pool_alloc(p->pool, p->len, &buf)) == -EAGAIN)
		zcp_msg_reap(p->msg, -1);
	if (ret)
		die_errno(ret, "zcp_pool_alloc");
	return buf;
}

static void run_auto(struct producer *p, bool gather)
{
	/* A buffer that goes by reference is not to be used before it is read. */
	uint64_t group = p->len > PAGE ? 1 : SMOKE_GATHER;
	uint32_t more;
	void *buf;
	int ret;

	for (uint64_t i = 0; i < p->count; i++) {
		more = gather && i + 1 < p->count ? ZCP_MSG_MORE : 0;
		if (opt.smoke && i % group == 0)
			confirmed(p, i);
		if (opt.smoke && i % group == group - 1)
			more = 0;
		buf = message_buffer(p);
		produce(p, buf);
		ret = zcp_send_msg(p->msg_link, buf, p->len, more);
		if (ret)
			die_errno(ret, "zcp_send_msg");
	}
	ret = zcp_msg_wait(p->msg_link, -1);
	if (ret)
		die_errno(ret, "zcp_msg_wait");
}

void producer_run(struct producer *p)
{
	p->confirmed = 0;
	switch (p->way) {
	case MESSAGE_SEND:
		run_send(p);
		break;
	case MESSAGE_SEND_BATCH:
		run_send_batch(p);
		break;
	case MESSAGE_XFER:
		run_xfer(p);
		break;
	case MESSAGE_JOB:
		run_job(p);
		break;
	case MESSAGE_AUTO:
	case MESSAGE_AUTO_MORE:
	case MESSAGE_AUTO_LINGER:
		run_auto(p, p->way == MESSAGE_AUTO_MORE);
		break;
	}
	confirmed(p, p->count);
}

static bool uses_zcp(const struct producer *p)
{
	return p->way == MESSAGE_XFER || p->way == MESSAGE_JOB;
}

static bool uses_messages(const struct producer *p)
{
	return p->way == MESSAGE_AUTO || p->way == MESSAGE_AUTO_MORE ||
	       p->way == MESSAGE_AUTO_LINGER;
}

/* Loopback and veth stand for a NIC here: see the head of this file. */
static void messages_open(struct producer *p, uint64_t threshold)
{
	struct zcp_msg_opts opts = {
		.size = sizeof(opts),
		.threshold = threshold,
		.flags = ZCP_MSG_LOCAL,
		.linger_us = p->way == MESSAGE_AUTO_LINGER ? LINGER_US : 0,
	};
	int ret;

	ret = zcp_pool_open(&p->pool, NULL);
	if (!ret)
		ret = zcp_msg_open(&p->msg, p->pool, &opts);
	if (!ret)
		ret = zcp_msg_link_add(p->msg, p->sock, &p->msg_link);
	if (ret)
		die_errno(ret, "messages");
}

static void messages_close(struct producer *p)
{
	struct zcp_msg_stats stats = { .size = sizeof(stats) };
	int ret;

	ret = zcp_msg_get_stats(p->msg, &stats);
	if (ret || stats.failed || stats.open)
		die("%llu jobs failed, %llu are open", (unsigned long long)stats.failed,
		    (unsigned long long)stats.open);
	zcp_msg_close(p->msg);
	ret = zcp_pool_close(p->pool);
	if (ret)
		die_errno(ret, "zcp_pool_close");
}

void producer_open(struct producer *p, enum message_way way, size_t len, uint64_t count,
		   uint64_t threshold, struct peer *peer)
{
	struct peer_hello hello = { .mode = opt.smoke ? PEER_CHECK : PEER_DISCARD, .step = len };

	*p = (struct producer){ .way = way, .len = len, .count = count };
	p->per_answer = count;
	if (way == MESSAGE_XFER)
		p->per_answer = producer_granularity(len);
	if (opt.smoke)
		p->per_answer = 1;
	hello.unit = p->per_answer * len;
	p->sock = peer_connect(peer, &hello);
	ring_make(&p->ring, way, len);
	p->batch = BATCH_BYTES / len;
	if (p->batch > BATCH_MAX)
		p->batch = BATCH_MAX;
	if (p->batch > p->ring.nr / PARTS)
		p->batch = p->ring.nr / PARTS;
	if (!p->batch)
		p->batch = 1;
	p->job = allocate(p->batch * sizeof(*p->job));
	p->segment = allocate(p->batch * sizeof(*p->segment));
	if (uses_zcp(p))
		jobs_open(&p->jobs);
	if (way == MESSAGE_JOB)
		p->link = jobs_link(&p->jobs, p->sock);
	if (uses_messages(p))
		messages_open(p, threshold);
}

void producer_close(struct producer *p)
{
	if (uses_zcp(p))
		jobs_close(&p->jobs);
	if (uses_messages(p))
		messages_close(p);
	close(p->sock);
	ring_remove(&p->ring);
	free(p->job);
	free(p->segment);
}
