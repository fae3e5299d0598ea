// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can happen to a job, in each stage it can be in when it happens: each
 * job yields exactly one event, or none when its context has died, and all that
 * was held is given back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "kselftest_harness.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN	ZT_MIB
#define HUGE_LEN	(100 * ZT_GIB)
#define RATE	(LEN / 32)	/* a job takes half a minute */

/* Where the job is when something happens. */
enum stage { QUEUED, RUNNING, PACED, BLOCKED, SENT, UNREAD, STAGES };

static const char *const stage_names[] = {
	"queued", "running", "paced", "blocked", "sent", "unread",
};

/* What there is of zcp in this namespace, and in all (memory). */
struct held {
	uint32_t contexts;
	uint32_t links;
	uint32_t jobs;
	uint64_t inflight;
	uint64_t memory;
	uint64_t submitted;
	uint64_t ended;
};

struct cell {
	enum stage stage;
	struct zt_conn conn;
	struct zt_sink sink;
	bool reading;		/* the sink reads */
	uint64_t seg_flags;
	int ctx;
	int file;
	uint32_t link;
	uint64_t job;		/* what it is about */
	uint64_t before;	/* the one that it waits behind, or 0 */
};

FIXTURE(matrix) {
	struct zt_box box;
	struct zn_sock nl;
	struct held held;	/* before the first cell */
	struct cell cells[STAGES];
	struct cell *cell;	/* the one that it is about */
	char dir[80];
	bool detached;
};

#define SELF FIXTURE_DATA(matrix)

static void held_keep(const struct zn_msg *msg, void *arg)
{
	struct held *held = arg;

	held->contexts = zn_u32(msg, ZCP_NL_A_STATS_CONTEXTS);
	held->links = zn_u32(msg, ZCP_NL_A_STATS_LINKS);
	held->jobs = zn_u32(msg, ZCP_NL_A_STATS_JOBS_ACTIVE);
	held->inflight = zn_u64(msg, ZCP_NL_A_STATS_INFLIGHT);
	held->memory = zn_u64(msg, ZCP_NL_A_STATS_MEMORY);
	held->submitted = zn_u64(msg, ZCP_NL_A_STATS_JOBS_SUBMITTED);
	held->ended = zn_u64(msg, ZCP_NL_A_STATS_JOBS_DONE) +
		      zn_u64(msg, ZCP_NL_A_STATS_JOBS_FAILED) +
		      zn_u64(msg, ZCP_NL_A_STATS_JOBS_CANCELLED);
}

static struct held held_now(SELF *self)
{
	struct held held = {};

	zt_need(!zn_get(&self->nl, ZCP_NL_CMD_STATS_GET, 0, 0, held_keep, &held));
	return held;
}

static bool held_nothing(SELF *self, const struct held *now)
{
	return !now->contexts && !now->links && !now->jobs && !now->inflight &&
	       now->submitted == now->ended && zt_refs() == self->box.refs;
}

FIXTURE_SETUP(matrix)
{
	zt_box_open(&self->box, 1500);
	snprintf(self->dir, sizeof(self->dir), "%s/mnt", self->box.dir);
	zt_need(!mkdir(self->dir, 0700));
	zn_open(&self->nl);
	self->box.fds++;
	self->held = held_now(self);
}

FIXTURE_TEARDOWN(matrix)
{
	zn_close(&self->nl);
	self->box.fds--;
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static uint64_t cell_length(const struct cell *cell)
{
	switch (cell->stage) {
	case RUNNING:
		return HUGE_LEN;
	case UNREAD:
		return 100;
	default:
		return LEN;
	}
}

/* The file is in a file system of its own. */
static void cell_open_file(SELF *self, struct cell *cell)
{
	char path[100];

	zt_need(!mount("zcp-test", self->dir, "tmpfs", 0, NULL));
	snprintf(path, sizeof(path), "%s/file", self->dir);
	cell->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	zt_need(cell->file >= 0);
	if (cell->stage == RUNNING)
		zt_need(!ftruncate(cell->file, HUGE_LEN));
	else
		zt_fill(cell->file, 1, 0, cell_length(cell));
}

static void cell_connect(struct cell *cell)
{
	if (cell->stage == RUNNING || cell->stage == PACED || cell->stage == UNREAD)
		zt_connect(&cell->conn, 0, 0);
	else if (cell->stage == SENT)
		zt_connect_holding(&cell->conn);
	else
		zt_connect_blocking(&cell->conn);
}

static void cell_read(struct cell *cell)
{
	if (!cell->reading)
		zt_sink_count(&cell->sink, cell->conn.rx);
	cell->reading = true;
}

/* The peer does not read any more; the sink's thread has ended. */
static void cell_stop_reading(struct cell *cell)
{
	if (!cell->reading)
		return;
	zt_need(!shutdown(cell->conn.rx, SHUT_RD) || errno == ENOTCONN);
	zt_sink_join(&cell->sink);
	zt_sink_free(&cell->sink);
	cell->reading = false;
}

static uint64_t cell_submit(struct cell *cell)
{
	struct zcp_segment seg = zt_range(cell->file, 0, cell_length(cell));
	struct zcp_job job;

	if (cell->seg_flags & ZCP_SEGMENT_TO_EOF)
		seg = zt_to_eof(cell->file, 0);
	job = zt_job(cell->link, &seg, 1);
	if (cell->stage == PACED)
		job.rate = RATE;
	return zt_submit(cell->ctx, &job);
}

/* The owner's part: a context, and the job in its stage. */
static void cell_go(struct cell *cell)
{
	static const uint32_t states[] = {
		[QUEUED] = ZCP_STATE_QUEUED, [PACED] = ZCP_STATE_BLOCKED,
		[BLOCKED] = ZCP_STATE_BLOCKED, [SENT] = ZCP_STATE_SENT,
		[UNREAD] = ZCP_STATE_DONE,
	};
	struct zcp_status status;

	cell->ctx = zt_open(O_NONBLOCK);
	/* What happens to one job is not what happens to the next. */
	cell->link = zt_link_flags(cell->ctx, cell->conn.tx, ZCP_LINK_CONTINUE);
	if (cell->stage == QUEUED) {
		cell->before = cell_submit(cell);
		zt_wait_state(cell->ctx, cell->before, ZCP_STATE_BLOCKED);
	}
	cell->job = cell_submit(cell);
	if (cell->stage != RUNNING) {
		zt_wait_state(cell->ctx, cell->job, states[cell->stage]);
		return;
	}
	do {
		zt_need(!zt_status(cell->ctx, cell->job, &status));
	} while (status.bytes_acked < LEN);
	zt_need(status.state == ZCP_STATE_RUNNING || status.state == ZCP_STATE_BLOCKED);
}

static struct cell *cell_prepare(SELF *self, enum stage stage)
{
	struct cell *cell = &self->cells[stage];

	memset(cell, 0, sizeof(*cell));
	self->cell = cell;
	cell->stage = stage;
	cell->ctx = -1;
	self->detached = false;
	cell_open_file(self, cell);
	cell_connect(cell);
	if (stage == RUNNING || stage == PACED)
		cell_read(cell);
	return cell;
}

/*
 * Nothing is held any more: at once, or as soon as a worker comes to it. The mere
 * memory of a link is there until a worker has seen that nothing is to be done.
 */
static void expect_nothing_held(struct __test_metadata *_metadata, SELF *self, bool at_once)
{
	struct held now;
	bool nothing;
	int ret, i;

	for (i = 0; i < ZT_PATIENCE * 100; i++) {
		now = held_now(self);
		nothing = held_nothing(self, &now);
		if (nothing ? now.memory == self->held.memory : at_once)
			break;
		zt_sleep_ms(10);
	}
	EXPECT_TRUE(nothing && now.memory == self->held.memory)
		TH_LOG("%s: contexts %u, links %u, jobs %u, in flight %llu, bytes %lld, refs %d",
		       stage_names[self->cell->stage], now.contexts, now.links, now.jobs,
		       (unsigned long long)now.inflight,
		       (long long)(now.memory - self->held.memory), zt_refs() - self->box.refs);
	if (self->detached)
		return;
	/* A worker lets go of a file by another one, as every thread of the kernel does. */
	while ((ret = umount(self->dir)) && errno == EBUSY && !at_once && i++ < ZT_PATIENCE * 100)
		zt_sleep_ms(10);
	EXPECT_EQ(0, ret)
		TH_LOG("%s: umount: errno %d", stage_names[self->cell->stage], errno);
}

/* The owner lets go of all, and then the peer. */
static void cell_close(struct cell *cell)
{
	if (cell->file >= 0)
		close(cell->file);
	if (cell->ctx >= 0)
		close(cell->ctx);
	if (cell->conn.tx >= 0)
		close(cell->conn.tx);
	if (cell->reading) {
		zt_sink_join(&cell->sink);
		zt_sink_free(&cell->sink);
	}
	if (cell->conn.rx >= 0)
		close(cell->conn.rx);
}

static void cell_end(struct __test_metadata *_metadata, SELF *self, bool at_once)
{
	cell_close(self->cell);
	expect_nothing_held(_metadata, self, at_once);
}

/*
 * How a job has ended: D for done, C for cancelled, F for failed, with one of
 * two errors. A job that does not end soon is cancelled here: E.
 */
static void expect_end(struct __test_metadata *_metadata, SELF *self, char end, int error,
		       int other)
{
	struct cell *cell = self->cell;
	unsigned int nr = cell->before ? 2 : 1, seen = 0;
	struct zcp_cancel cancel;
	struct zcp_event event;
	char got = '?';

	if (end == 'E') {
		EXPECT_FALSE(zt_readable(cell->ctx, 20));
		zt_need(!zt_cancel(cell->ctx, cell->job, &cancel));
		end = 'C';
	}
	if (cell->conn.rx >= 0)
		cell_read(cell);
	while (nr--) {
		zt_event(cell->ctx, &event);
		if (event.job != cell->job)
			continue;
		seen++;
		got = event.state == ZCP_STATE_DONE ? 'D' :
		      event.state == ZCP_STATE_FAILED ? 'F' : 'C';
		if (got == 'F')
			EXPECT_TRUE((int)event.error == error || (int)event.error == other)
				TH_LOG("%s: error %u", stage_names[cell->stage], event.error);
		EXPECT_EQ(event.bytes_sent, event.bytes_zerocopy + event.bytes_copied);
		EXPECT_LE(event.bytes_acked, event.bytes_sent);
		if (got == 'D' && !cell->seg_flags)
			EXPECT_EQ(cell_length(cell), event.bytes_acked);
	}
	EXPECT_EQ(1, seen)
		TH_LOG("%s", stage_names[cell->stage]);
	EXPECT_EQ(end, got)
		TH_LOG("%s: ends as %c, not %c", stage_names[cell->stage], got, end);
	EXPECT_FALSE(zt_readable(cell->ctx, 0));
	EXPECT_EQ(0, zt_jobs(cell->ctx));
}

typedef void (*happens)(struct __test_metadata *_metadata, SELF *self, struct cell *cell);

/* Ends, one for each stage, as in expect_end(). */
static void each_stage(struct __test_metadata *_metadata, SELF *self, happens what,
		       const char *ends, int error, int other)
{
	enum stage stage;

	for (stage = 0; stage < STAGES; stage++) {
		cell_go(cell_prepare(self, stage));
		what(_metadata, self, self->cell);
		expect_end(_metadata, self, ends[stage], error, other);
		cell_end(_metadata, self, false);
	}
}

static void cancel_job(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	struct zcp_cancel cancel;

	EXPECT_EQ(0, zt_cancel(cell->ctx, cell->job, &cancel));
	EXPECT_EQ(cell->stage != UNREAD, cancel.cancelled);
	EXPECT_EQ(0, zt_cancel(cell->ctx, cell->job, &cancel));
	EXPECT_EQ(0, cancel.cancelled);
}

TEST_F_TIMEOUT(matrix, cancel, 240)
{
	each_stage(_metadata, self, cancel_job, "CCCCCD", 0, 0);
}

static void cancel_link(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	struct zcp_cancel arg = { .size = sizeof(arg), .flags = ZCP_CANCEL_LINK,
				  .link = cell->link };

	EXPECT_EQ(0, ioctl(cell->ctx, ZCP_IOC_CANCEL, &arg));
	EXPECT_EQ(cell->stage == UNREAD ? 0 : cell->before ? 2 : 1, arg.cancelled);
}

TEST_F_TIMEOUT(matrix, cancel_of_the_link, 240)
{
	each_stage(_metadata, self, cancel_link, "CCCCCD", 0, 0);
}

static void unlink_link(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	uint32_t cancelled = 99;

	EXPECT_EQ(0, zt_unlink(cell->ctx, cell->link, &cancelled));
	EXPECT_EQ(cell->stage == UNREAD ? 0 : cell->before ? 2 : 1, cancelled);
}

TEST_F_TIMEOUT(matrix, unlink, 240)
{
	each_stage(_metadata, self, unlink_link, "CCCCCD", 0, 0);
}

static void peer_resets(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	cell_stop_reading(cell);
	zt_reset(cell->conn.rx);
	cell->conn.rx = -1;
}

TEST_F_TIMEOUT(matrix, reset, 240)
{
	each_stage(_metadata, self, peer_resets, "FFFFFD", ECONNRESET, EPIPE);
}

static void peer_closes(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	cell_stop_reading(cell);
	close(cell->conn.rx);
	cell->conn.rx = -1;
}

TEST_F_TIMEOUT(matrix, peer_closes, 240)
{
	each_stage(_metadata, self, peer_closes, "FFFFFD", ECONNRESET, EPIPE);
}

static void own_shutdown(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	zt_need(!shutdown(cell->conn.tx, SHUT_WR));
}

/* What is in the send queue by then is still delivered. */
TEST_F_TIMEOUT(matrix, shutdown, 240)
{
	each_stage(_metadata, self, own_shutdown, "FFFFDD", EPIPE, EPIPE);
}

static void disconnect(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	zt_need(!connect(cell->conn.tx, &none, sizeof(none)));
}

TEST_F_TIMEOUT(matrix, disconnect, 240)
{
	each_stage(_metadata, self, disconnect, "FFFFFD", ECONNRESET, EPIPE);
}

/* Somebody with the right to it ends the connection, as ss -K does. */
static void destroy(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	struct inet_diag_req_v2 req = {
		.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP,
		.id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
	};
	struct nl_sock *sk = nl_socket_alloc();
	struct sockaddr_in here, there;
	socklen_t len = sizeof(here);

	zt_need(!getsockname(cell->conn.tx, (struct sockaddr *)&here, &len));
	zt_need(!getpeername(cell->conn.tx, (struct sockaddr *)&there, &len));
	req.id.idiag_src[0] = here.sin_addr.s_addr;
	req.id.idiag_sport = here.sin_port;
	req.id.idiag_dst[0] = there.sin_addr.s_addr;
	req.id.idiag_dport = there.sin_port;
	zt_need(sk && !nl_connect(sk, NETLINK_SOCK_DIAG));
	zt_need(nl_send_simple(sk, SOCK_DESTROY, 0, &req, sizeof(req)) >= 0);
	EXPECT_EQ(0, nl_wait_for_ack(sk));
	nl_socket_free(sk);
}

TEST_F_TIMEOUT(matrix, destroyed, 240)
{
	each_stage(_metadata, self, destroy, "FFFFFD", ECONNABORTED, EPIPE);
}

/* The link holds the socket; its descriptor is not needed. */
static void close_socket(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	close(cell->conn.tx);
	cell->conn.tx = -1;
}

TEST_F_TIMEOUT(matrix, close_of_the_socket, 240)
{
	each_stage(_metadata, self, close_socket, "DEEDDD", 0, 0);
}

static void close_file(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	close(cell->file);
	cell->file = -1;
}

static void truncate_file(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	zt_need(!ftruncate(cell->file, 0));
}

/* What is in the send queue by then keeps its pages. */
TEST_F_TIMEOUT(matrix, truncate, 240)
{
	each_stage(_metadata, self, truncate_file, "FFFFDD", ENODATA, ENODATA);
}

static void truncate_to_eof(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	zt_need(!ftruncate(cell->file, 100));
}

TEST_F_TIMEOUT(matrix, truncate_of_what_goes_to_eof, 240)
{
	enum stage stage;

	for (stage = 0; stage < STAGES; stage++) {
		cell_prepare(self, stage);
		self->cell->seg_flags = ZCP_SEGMENT_TO_EOF;
		cell_go(self->cell);
		truncate_to_eof(_metadata, self, self->cell);
		expect_end(_metadata, self, 'D', 0, 0);
		cell_end(_metadata, self, false);
	}
}

static void punch_file(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	zt_need(!fallocate(cell->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, LEN));
}

TEST_F_TIMEOUT(matrix, hole_punch, 240)
{
	each_stage(_metadata, self, punch_file, "DEEDDD", 0, 0);
}

/* The job alone holds the file system, until its event is read. */
static void unmount(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	close_file(_metadata, self, cell);
	EXPECT_EQ(-1, umount(self->dir));
	EXPECT_EQ(EBUSY, errno)
		TH_LOG("%s", stage_names[cell->stage]);
}

TEST_F_TIMEOUT(matrix, unmount, 240)
{
	each_stage(_metadata, self, unmount, "DEEDDD", 0, 0);
}

static void remove_module(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	zt_need(zt_refs() > 0);
	EXPECT_EQ(-1, syscall(SYS_delete_module, "zcp", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
}

TEST_F_TIMEOUT(matrix, rmmod, 240)
{
	each_stage(_metadata, self, remove_module, "DEEDDD", 0, 0);
}

/* A child that has all the descriptors ends, and nothing of its parent's does. */
static void fork_and_exit(struct __test_metadata *_metadata, SELF *self, struct cell *cell)
{
	int status;
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
}

TEST_F_TIMEOUT(matrix, child_exits, 240)
{
	each_stage(_metadata, self, fork_and_exit, "DEEDDD", 0, 0);
}

static bool has_device(const char *name)
{
	return !zt_run("ip link show %s >/dev/null 2>&1", name);
}

/*
 * The network namespace has lost its last process, and never had a name. The sockets keep it
 * until the links and their owner let go of them; then its devices go.
 */
TEST_F_TIMEOUT(matrix, namespace_is_removed, 240)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	enum stage stage;
	int i;

	zt_need(here >= 0 && !unshare(CLONE_NEWNET));
	zt_need(!zt_run("ip link set lo mtu 1500 up"));
	zt_need(!zt_run("ip link add zcp-there type veth peer name zcp-here netns /proc/%d/fd/%d",
			getpid(), here));
	for (stage = 0; stage < STAGES; stage++)
		cell_prepare(self, stage);
	/* Its last process. */
	zt_need(!setns(here, CLONE_NEWNET));
	close(here);
	for (stage = 0; stage < STAGES; stage++)
		cell_go(&self->cells[stage]);
	for (stage = 0; stage < STAGES; stage++) {
		self->cell = &self->cells[stage];
		expect_end(_metadata, self, "DEEDDD"[stage], 0, 0);
	}
	EXPECT_TRUE(has_device("zcp-here"));
	for (stage = 0; stage < STAGES; stage++)
		cell_close(&self->cells[stage]);
	expect_nothing_held(_metadata, self, false);
	/* The others, which were mounted below. */
	for (stage = 1; stage < STAGES; stage++)
		EXPECT_EQ(0, umount(self->dir));
	for (i = 0; i < ZT_PATIENCE && has_device("zcp-here"); i++)
		zt_sleep_ms(500);
	EXPECT_FALSE(has_device("zcp-here"));
}

/*
 * The context is closed: no event, and nothing but the memory of a link, for a moment, is
 * held when close(2) returns.
 */
TEST_F_TIMEOUT(matrix, close, 240)
{
	enum stage stage;

	for (stage = 0; stage < STAGES; stage++) {
		cell_go(cell_prepare(self, stage));
		close(self->cell->file);
		self->cell->file = -1;
		close(self->cell->ctx);
		self->cell->ctx = -1;
		expect_nothing_held(_metadata, self, true);
		self->detached = true;
		cell_end(_metadata, self, true);
	}
}

enum death { KILLED, EXITS, EXECS, DEATHS };

/* The owner is another process, which ends: by a signal, by itself, or as exec. */
static void owner_dies(struct __test_metadata *_metadata, SELF *self, enum death death)
{
	int ready[2], go[2], status;
	struct cell *cell;
	enum stage stage;
	pid_t pid;
	char c;

	for (stage = 0; stage < STAGES; stage++) {
		cell = cell_prepare(self, stage);
		zt_need(!pipe2(ready, O_CLOEXEC) && !pipe(go));
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			close(cell->conn.rx);
			cell_go(cell);
			close(cell->file);
			close(go[1]);
			zt_need(write(ready[1], "x", 1) == 1);
			if (death == EXECS) {
				/* Lives on, as another program, until told to end. */
				zt_need(dup2(go[0], STDIN_FILENO) == STDIN_FILENO);
				execlp("cat", "cat", NULL);
				_exit(99);
			}
			zt_need(read(go[0], &c, 1) >= 0);
			_exit(0);
		}
		close(ready[1]);
		close(go[0]);
		close(cell->file);
		cell->file = -1;
		close(cell->conn.tx);
		cell->conn.tx = -1;
		ASSERT_EQ(1, read(ready[0], &c, 1));
		/* Of exec: what was closed by it. */
		if (death == EXECS) {
			EXPECT_EQ(0, read(ready[0], &c, 1));
		} else {
			if (death == KILLED)
				zt_need(!kill(pid, SIGKILL));
			else
				close(go[1]);
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
		}
		cell_end(_metadata, self, false);
		if (death == EXECS) {
			close(go[1]);
			ASSERT_EQ(pid, waitpid(pid, &status, 0));
		}
		EXPECT_EQ(death == KILLED ? SIGKILL : 0, status);
		if (death == KILLED)
			close(go[1]);
		close(ready[0]);
	}
}

TEST_F_TIMEOUT(matrix, owner_killed, 240)
{
	owner_dies(_metadata, self, KILLED);
}

TEST_F_TIMEOUT(matrix, owner_exits, 240)
{
	owner_dies(_metadata, self, EXITS);
}

TEST_F_TIMEOUT(matrix, owner_execs, 240)
{
	owner_dies(_metadata, self, EXECS);
}

TEST_HARNESS_MAIN
