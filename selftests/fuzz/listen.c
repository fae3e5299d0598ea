// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notifications, as they must come: for each job first that it is new, then its
 * stages and its progress, and that it has ended, once and last; with numbers
 * that fit each other and, at the end, the job's event.
 *
 * The executor listens, in sequences that say so: what nobody listens to takes
 * another way. When messages were lost, which it is told, less is known.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/zcp_netlink.h>

#include "fuzz.h"

#define ROOM		(32 << 20)
#define PATIENCE_NS	25000000000ULL

/* What was told of a job. */
struct told {
	bool new, running, sent_all, done;
	uint8_t state;
	uint8_t error;
	uint64_t sent;
	uint64_t acked;
};

static struct told *told;
static bool listening, lost;

void fz_listen_begin(void)
{
	int room = ROOM;

	if (!fz->seq.listen)
		return;
	told = calloc(FZ_JOBS, sizeof(*told));
	if (!told || fz_netlink_open(FD_LISTENER))
		fz_die("no socket to listen at: errno %d", errno);
	setsockopt(FD_LISTENER, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fz_netlink_join(FD_LISTENER, true))
		fz_die("cannot listen: errno %d", errno);
	listening = true;
}

static void wrong(uint64_t id, unsigned int cmd, const uint64_t *v, const char *what)
{
	fz_fail("notification %u of job %llu: %s (state %llu, %llu sent, %llu acked)", cmd,
		(unsigned long long)id, what, (unsigned long long)v[ZCP_NL_A_JOB_STATE],
		(unsigned long long)v[ZCP_NL_A_JOB_BYTES_SENT],
		(unsigned long long)v[ZCP_NL_A_JOB_BYTES_ACKED]);
}

static const char *is_wrong(const struct told *was, unsigned int cmd, const uint64_t *v)
{
	uint64_t state = v[ZCP_NL_A_JOB_STATE], sent = v[ZCP_NL_A_JOB_BYTES_SENT];

	if (v[ZCP_NL_A_JOB_BYTES_ACKED] > sent)
		return "more is acknowledged than sent";
	if (v[ZCP_NL_A_JOB_BYTES_ZEROCOPY] + v[ZCP_NL_A_JOB_BYTES_COPIED] != sent)
		return "the account of copies is not that of the bytes sent";
	if (was->done)
		return "it has ended before";
	if (sent < was->sent || v[ZCP_NL_A_JOB_BYTES_ACKED] < was->acked)
		return "bytes are taken back";
	switch (cmd) {
	case ZCP_NL_CMD_JOB_NEW_NTF:
		return was->new || state != ZCP_STATE_QUEUED || sent ? "it is not new" : NULL;
	case ZCP_NL_CMD_JOB_STAGE_NTF:
		if (state == ZCP_STATE_RUNNING)
			return was->running || sent ? "it was running before" : NULL;
		return state != ZCP_STATE_SENT || was->sent_all || (!was->running && !lost) ?
		       "no such stage is next" : NULL;
	case ZCP_NL_CMD_JOB_PROGRESS_NTF:
		return sent == was->sent || was->sent_all || (!was->running && !lost) ?
		       "no progress" : NULL;
	case ZCP_NL_CMD_JOB_DONE_NTF:
		return state < ZCP_STATE_DONE || state > ZCP_STATE_CANCELLED ||
		       (state == ZCP_STATE_DONE) != !v[ZCP_NL_A_JOB_ERROR] ? "no end" : NULL;
	default:
		return "there is no such message";
	}
}

static void take_message(unsigned int cmd, const uint64_t *v)
{
	uint64_t id = v[ZCP_NL_A_JOB_ID];
	const char *what;
	struct told *job;

	/* The last messages of an earlier sequence may come now. */
	if (id <= fz->base_id)
		return;
	if (id - fz->base_id >= FZ_JOBS) {
		wrong(id, cmd, v, "there is no such job");
		return;
	}
	job = &told[id - fz->base_id];
	what = is_wrong(job, cmd, v);
	if (!what && !lost && cmd != ZCP_NL_CMD_JOB_NEW_NTF && !job->new)
		what = "it was not told of when it was new";
	if (what)
		wrong(id, cmd, v, what);
	job->new |= cmd == ZCP_NL_CMD_JOB_NEW_NTF;
	job->done |= cmd == ZCP_NL_CMD_JOB_DONE_NTF;
	if (cmd == ZCP_NL_CMD_JOB_STAGE_NTF) {
		job->running = true;
		job->sent_all |= v[ZCP_NL_A_JOB_STATE] == ZCP_STATE_SENT;
	}
	job->state = v[ZCP_NL_A_JOB_STATE];
	job->error = v[ZCP_NL_A_JOB_ERROR];
	job->sent = v[ZCP_NL_A_JOB_BYTES_SENT];
	job->acked = v[ZCP_NL_A_JOB_BYTES_ACKED];
	fz_note_id(id);
}

/* Take what has come. */
void fz_listen(void)
{
	static unsigned char buf[16384] __attribute__((aligned(8)));
	uint64_t v[ZCP_NL_A_JOB_MAX + 1];
	int len;

	while (listening) {
		const struct nlmsghdr *hdr = (void *)buf;

		len = recv(FD_LISTENER, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && errno == ENOBUFS) {
			lost = true;
			continue;
		}
		if (len <= 0)
			return;
		for (; NLMSG_OK(hdr, (unsigned int)len); hdr = NLMSG_NEXT(hdr, len)) {
			const struct genlmsghdr *genl = NLMSG_DATA(hdr);

			fz->notifications++;
			fz_netlink_values(hdr, v, ZCP_NL_A_JOB_MAX + 1);
			take_message(genl->cmd, v);
		}
	}
}

/* The first job that was begun to be told of and not ended, or 0. */
static uint64_t untold(void)
{
	uint32_t i;

	for (i = 1; i < FZ_JOBS && fz->base_id + i <= fz->last_id; i++) {
		bool ours = !fz->abroad &&
			    fz->job[i].flags == (FZ_JOB_ACCEPTED | FZ_JOB_EVENT);
		bool begun = told[i].new || ours;

		if (begun && !told[i].done)
			return fz->base_id + i;
	}
	return 0;
}

static void compare(uint64_t id, const struct fz_job *job, const struct told *t)
{
	if (job->state != t->state || job->error != t->error || job->sent != t->sent ||
	    job->acked != t->acked)
		fz_fail("job %llu: event: %u, errno %u, %llu, %llu; told: %u, %u, %llu, %llu",
			(unsigned long long)id, job->state, job->error,
			(unsigned long long)job->sent, (unsigned long long)job->acked, t->state,
			t->error, (unsigned long long)t->sent, (unsigned long long)t->acked);
}

/* All jobs have ended, or will without us: so it is told, as their events say. */
void fz_listen_end(void)
{
	uint64_t until = fz_now() + PATIENCE_NS, id = 0;
	uint32_t i;

	if (!listening)
		return;
	for (;;) {
		fz_listen();
		id = lost ? 0 : untold();
		if (!id || fz->failed || fz_now() > until)
			break;
		fz_sleep_us(500);
	}
	if (id)
		fz_fail("nobody was told that job %llu has ended", (unsigned long long)id);
	for (i = 1; i < FZ_JOBS && fz->base_id + i <= fz->last_id; i++) {
		if (told[i].done && fz->job[i].flags & FZ_JOB_EVENT)
			compare(fz->base_id + i, &fz->job[i], &told[i]);
	}
}
