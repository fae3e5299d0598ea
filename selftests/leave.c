// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a context that ends leaves to a worker that is busy with one of its links: a
 * file system does not answer, and the worker closes the rest when it comes back. The
 * owner does not wait for it, and nobody else waits for what it closes then.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <linux/io_uring.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN	ZT_MIB
#define HELD	(LEN / 2)
#define SEED	7
/* release() of a context waits for a second; more would be for the worker. */
#define SOON_NS	(5 * 1000000000ULL)
/* For what would not come at all, in milliseconds. */
#define LATE	20000

FIXTURE(leave) {
	struct zt_box box;
	struct zf_fs fs;
	struct zn_sock nl;
	struct zt_conn conn;
	struct zt_sink sink;
	int file;
	bool mounted;
};

#define SELF FIXTURE_DATA(leave)

FIXTURE_SETUP(leave)
{
	int ret;

	self->file = -1;
	self->conn.tx = -1;
	self->conn.rx = -1;
	zt_box_open(&self->box, 1500);
	ret = zf_mount(&self->fs, self->box.dir, SEED, LEN);
	if (ret)
		SKIP(return, "needs FUSE: errno %d", -ret);
	self->mounted = true;
	zn_open(&self->nl);
	self->file = zf_open(&self->fs);
	/* Room for all of a job, read or not. */
	zt_connect_holding(&self->conn);
}

/* A worker may have been the last who had the file open. */
static int unmount_soon(struct zf_fs *fs)
{
	uint64_t begin = zt_now_ns();
	int ret;

	while ((ret = zf_unmount(fs, 0)) == -EBUSY && zt_now_ns() - begin < SOON_NS)
		zt_sleep_ms(100);
	return ret;
}

FIXTURE_TEARDOWN(leave)
{
	if (self->file >= 0)
		close(self->file);
	zt_close(&self->conn);
	if (self->mounted) {
		EXPECT_EQ(0, unmount_soon(&self->fs));
		zn_close(&self->nl);
	}
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* The worker closes what its owner had to leave to it. */
static void expect_nothing_held(struct __test_metadata *_metadata, SELF *self)
{
	struct zn_held held;
	int i;

	for (i = 0; i < ZT_PATIENCE * 10; i++) {
		held = zn_held(&self->nl);
		if (!held.contexts && !held.links && !held.jobs && !held.inflight)
			break;
		zt_sleep_ms(100);
	}
	EXPECT_EQ(0, held.contexts);
	EXPECT_EQ(0, held.links);
	EXPECT_EQ(0, held.jobs);
	EXPECT_EQ(0, held.inflight);
}

/* A context with a link and a job; a worker waits for its first bytes. */
static int stuck_context(SELF *self, int sock, struct zf_fs *fs, int file)
{
	int ctx = zt_open(O_NONBLOCK);

	zf_hold(fs, 0);
	zt_submit_range(ctx, zt_link(ctx, sock), file, 0, 8192);
	zf_wait_held(fs);
	zn_wait_workers(&self->nl, 1);
	return ctx;
}

/* A worker is at a job's first read, and has the context and its sockets to itself. */
static void leave_to_worker(SELF *self, int sock)
{
	zt_need(!posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
	close(stuck_context(self, sock, &self->fs, self->file));
}

/* Is the socket with this port in the state of a connection that nobody has closed? */
static bool is_established(unsigned int port)
{
	FILE *f = fopen("/proc/thread-self/net/tcp", "re");
	unsigned int local, state;
	bool found = false;
	char line[256];

	zt_need(f);
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, " %*d: %*x:%x %*x:%*x %x", &local, &state) == 2 &&
			local == port && state == 1;
	fclose(f);
	return found;
}

static bool spinning;

static void *spin(void *arg)
{
	while (__atomic_load_n(&spinning, __ATOMIC_RELAXED))
		;
	return NULL;
}

/* Starts a thread that goes before all workers, on one CPU. */
static void start_first(pthread_t *thread, unsigned int cpu, void *(*fn)(void *), void *arg)
{
	struct sched_param first = { .sched_priority = 1 };
	pthread_attr_t attr;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	zt_need(!pthread_attr_init(&attr) &&
		!pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED) &&
		!pthread_attr_setschedpolicy(&attr, SCHED_FIFO) &&
		!pthread_attr_setschedparam(&attr, &first) &&
		!pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus));
	zt_need(!pthread_create(thread, &attr, fn, arg));
	pthread_attr_destroy(&attr);
}

struct unlinker {
	pthread_t thread;
	int ctx;
	uint32_t link;
	int sock;
	bool open;
};

static void *unlinker_main(void *arg)
{
	struct unlinker *u = arg;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	zt_need(!getsockname(u->sock, (struct sockaddr *)&sin, &len));
	zt_need(!zt_unlink(u->ctx, u->link, NULL));
	close(u->sock);
	u->open = is_established(ntohs(sin.sin_port));
	return NULL;
}

/*
 * UNLINK that has waited for a worker: that has the socket no more. Other CPUs have no time
 * for what the worker would leave to others.
 */
TEST_F_TIMEOUT(leave, nothing_after_unlink, 240)
{
	enum { ROUNDS = 10, CPUS = 16 };
	unsigned int cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct unlinker u = { .ctx = zt_open(O_NONBLOCK) };
	pthread_t spinners[CPUS];
	unsigned int i, open = 0;
	struct zcp_event event;
	struct zt_conn conn;
	struct zf_fs fs;
	char dir[80];
	int file;

	cpus = cpus < CPUS ? cpus : CPUS;
	snprintf(dir, sizeof(dir), "%s/unlink", self->box.dir);
	zt_need(!mkdir(dir, 0755) && !zf_mount(&fs, dir, SEED, ROUNDS * LEN));
	file = zf_open(&fs);
	for (i = 0; i < ROUNDS; i++) {
		zt_connect(&conn, 0, 0);
		u.sock = conn.tx;
		u.link = zt_link(u.ctx, conn.tx);
		zf_hold(&fs, 0);
		/* Where nobody has read ahead yet. */
		zt_submit_range(u.ctx, u.link, file, i * LEN, 8192);
		zf_wait_held(&fs);
		zn_wait_workers(&self->nl, 1);
		start_first(&u.thread, 0, unlinker_main, &u);
		zt_sleep_ms(20);
		spinning = true;
		for (cpu = 1; cpu < cpus; cpu++)
			start_first(&spinners[cpu], cpu, spin, NULL);
		zf_release(&fs, 0);
		zt_need(!pthread_join(u.thread, NULL));
		__atomic_store_n(&spinning, false, __ATOMIC_RELAXED);
		for (cpu = 1; cpu < cpus; cpu++)
			zt_need(!pthread_join(spinners[cpu], NULL));
		open += u.open;
		zt_event(u.ctx, &event);
		conn.tx = -1;
		zt_close(&conn);
	}
	EXPECT_EQ(0, open);
	close(u.ctx);
	close(file);
	EXPECT_EQ(0, unmount_soon(&fs));
}

TEST_F_TIMEOUT(leave, close_does_not_wait, 240)
{
	int ctx = zt_open(O_NONBLOCK);
	struct zn_held held;
	uint64_t begin;

	zf_hold(&self->fs, HELD);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	zt_submit_range(ctx, zt_link(ctx, self->conn.tx), self->file, 0, LEN);
	zf_wait_held(&self->fs);
	zn_wait_workers(&self->nl, 1);
	begin = zt_now_ns();
	close(ctx);
	EXPECT_LT(zt_now_ns() - begin, SOON_NS);
	EXPECT_EQ(self->box.refs, zt_refs());
	held = zn_held(&self->nl);
	EXPECT_EQ(1, held.jobs);
	zf_release(&self->fs, 0);
	expect_nothing_held(_metadata, self);
	zt_close(&self->conn);
	zt_sink_join(&self->sink);
	EXPECT_EQ(-1, zt_mismatch(self->sink.buf, self->sink.len, SEED, 0));
	zt_sink_free(&self->sink);
}

TEST_F_TIMEOUT(leave, killed_owner_does_not_wait, 240)
{
	int ready[2], status;
	uint64_t begin;
	pid_t pid;
	char c;

	zt_need(!pipe2(ready, O_CLOEXEC));
	zf_hold(&self->fs, HELD);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int ctx = zt_open(0);
		uint64_t id;

		id = zt_submit_range(ctx, zt_link(ctx, self->conn.tx), self->file, 0, LEN);
		zt_wait_stuck(ctx, id);
		zt_need(write(ready[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	zf_wait_held(&self->fs);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	begin = zt_now_ns();
	zt_need(!kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_LT(zt_now_ns() - begin, SOON_NS);
	close(ready[0]);
	close(ready[1]);
	zf_release(&self->fs, 0);
	expect_nothing_held(_metadata, self);
	zt_close(&self->conn);
	zt_sink_join(&self->sink);
	EXPECT_EQ(-1, zt_mismatch(self->sink.buf, self->sink.len, SEED, 0));
	zt_sink_free(&self->sink);
}

/*
 * The last reference to a socket that lingers when it is closed. Other files that workers
 * let go of, those of later jobs, do not wait for its peer.
 */
TEST_F_TIMEOUT(leave, socket_that_lingers, 240)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 100 };
	socklen_t len = sizeof(linger);
	static char data[LEN];
	struct zt_conn conn;

	zt_connect_blocking(&conn);
	zt_need(!setsockopt(conn.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	leave_to_worker(self, conn.tx);
	while (send(conn.tx, data, LEN, MSG_DONTWAIT) > 0)
		;
	close(conn.tx);
	zf_release(&self->fs, 0);
	expect_nothing_held(_metadata, self);
	/* Whose owner still has it waits as he has asked for. */
	zt_need(!setsockopt(self->conn.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	leave_to_worker(self, self->conn.tx);
	close(self->file);
	self->file = -1;
	zf_release(&self->fs, 0);
	expect_nothing_held(_metadata, self);
	zt_need(!getsockopt(self->conn.tx, SOL_SOCKET, SO_LINGER, &linger, &len));
	EXPECT_EQ(100, linger.l_linger);
	linger.l_onoff = 0;
	zt_need(!setsockopt(self->conn.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	EXPECT_EQ(0, unmount_soon(&self->fs));
	close(conn.rx);
	self->mounted = false;
	zn_close(&self->nl);
}

/* A ring that has these files open, and nothing to do. */
static int ring_with(const int *fds, unsigned int nr)
{
	struct io_uring_params params = {};
	int ring = syscall(SYS_io_uring_setup, 4, &params);

	if (ring < 0)
		return -errno;
	zt_need(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, fds, nr));
	return ring;
}

/* Is the other end of a connection or a pipe closed, now or in time? */
static bool is_closed(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };
	int n = poll(&pfd, 1, LATE);

	zt_need(n >= 0);
	return n;
}

/* Is the link closed, and the turn of the worker over, now or in time? */
static bool is_worker_done(SELF *self)
{
	struct zn_held held;
	int ms;

	for (ms = 0; ms < LATE; ms += 100) {
		held = zn_held(&self->nl);
		if (!held.links && !held.workers)
			return true;
		zt_sleep_ms(100);
	}
	return false;
}

/* Does the kernel still close what is let go of outside of a process? */
static bool kernel_closes_files(void)
{
	int ends[2], ring;
	bool closed;

	zt_need(!pipe2(ends, O_CLOEXEC));
	ring = ring_with(&ends[1], 1);
	close(ends[1]);
	close(ring);
	closed = is_closed(ends[0]);
	close(ends[0]);
	return closed;
}

/*
 * The last reference to a file that was written to: closing it waits for its server.
 * What workers, and the kernel, let go of meanwhile does not wait with it, and no turn
 * is spent on it. The test closes no descriptor of that file itself, which would wait.
 */
TEST_F_TIMEOUT(leave, file_that_is_written_back, 240)
{
	char dir[80], page[ZT_PAGE];
	struct zt_conn conn;
	int ctx, file, out;
	struct zf_fs slow;

	snprintf(dir, sizeof(dir), "%s/slow", self->box.dir);
	zt_need(!mkdir(dir, 0700) && !zf_mount_writeback(&slow, dir, SEED, LEN));
	out = zf_open_to_write(&slow);
	file = zf_open(&slow);
	ctx = stuck_context(self, self->conn.tx, &slow, file);
	close(file);
	zf_hold_writes(&slow);
	zt_pattern(page, SEED, LEN - ZT_PAGE, ZT_PAGE);
	zt_need(pwrite(out, page, ZT_PAGE, LEN - ZT_PAGE) == ZT_PAGE);
	close(ctx);
	/* The worker lets the job's file go, which nobody else has open for reading. */
	zf_release(&slow, 0);
	EXPECT_TRUE(is_worker_done(self));
	zf_wait_held_write(&slow);
	zt_sleep_ms(ZT_WATCH);
	EXPECT_TRUE(kernel_closes_files());

	zt_connect(&conn, 0, 0);
	leave_to_worker(self, conn.tx);
	close(conn.tx);
	zf_release(&self->fs, 0);
	EXPECT_TRUE(is_closed(conn.rx));

	zf_release_writes(&slow);
	expect_nothing_held(_metadata, self);
	close(out);
	close(conn.rx);
	EXPECT_EQ(0, unmount_soon(&slow));
}

/* Of a link that a worker is busy with, one job is the worker's, and no other's file. */
TEST_F_TIMEOUT(leave, nothing_but_what_a_worker_is_at, 240)
{
	int ctx = zt_open(O_NONBLOCK), file, ret;
	uint64_t sent;
	uint32_t link;
	char dir[80];

	snprintf(dir, sizeof(dir), "%s/other", self->box.dir);
	zt_need(!mkdir(dir, 0700) && !mount("zcp-test", dir, "tmpfs", 0, NULL));
	file = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(file >= 0);
	zt_fill(file, 1, 0, LEN);

	link = zt_link(ctx, self->conn.tx);
	sent = zt_submit_range(ctx, link, file, 0, LEN);
	zt_wait_state(ctx, sent, ZCP_STATE_SENT);
	zf_hold(&self->fs, 0);
	zt_submit_range(ctx, link, self->file, 0, 8192);
	zt_submit_range(ctx, link, file, 0, LEN);
	zt_submit_range(ctx, link, file, 0, 100);
	zf_wait_held(&self->fs);
	zn_wait_workers(&self->nl, 1);
	close(file);
	close(ctx);
	ret = umount(dir);
	EXPECT_EQ(0, ret)
		TH_LOG("errno %d", errno);
	EXPECT_EQ(1, zn_held(&self->nl).jobs);

	zf_release(&self->fs, 0);
	expect_nothing_held(_metadata, self);
	if (ret)
		umount2(dir, MNT_DETACH);
}

/*
 * The kernel closes the files of a ring by its own thread for all that is let go of
 * outside of a process: that one does not wait for a worker, or all others would.
 */
TEST_F_TIMEOUT(leave, contexts_of_a_ring, 240)
{
	enum { NR = 16 };
	struct zt_conn conns[NR];
	int ctxs[NR], i, ring;
	uint64_t begin, ns;

	ring = ring_with(&self->file, 1);
	if (ring < 0)
		SKIP(return, "needs io_uring: errno %d", -ring);
	close(ring);
	zf_hold(&self->fs, 0);
	for (i = 0; i < NR; i++) {
		ctxs[i] = zt_open(O_NONBLOCK);
		zt_connect(&conns[i], 0, 0);
		zt_submit_range(ctxs[i], zt_link(ctxs[i], conns[i].tx), self->file, 0, 4096);
	}
	zf_wait_held(&self->fs);
	zn_wait_workers(&self->nl, NR);
	ring = ring_with(ctxs, NR);
	zt_need(ring >= 0);
	for (i = 0; i < NR; i++)
		close(ctxs[i]);
	EXPECT_EQ(self->box.refs + NR, zt_refs());

	begin = zt_now_ns();
	close(ring);
	do {
		zt_sleep_ms(50);
		ns = zt_now_ns() - begin;
	} while (zt_refs() > self->box.refs && ns < ZT_PATIENCE * 1000000000ULL);
	/* A second for each, one after the other, would be twice as long. */
	EXPECT_LT(ns, NR / 2 * 1000000000ULL);

	zf_release(&self->fs, 0);
	expect_nothing_held(_metadata, self);
	for (i = 0; i < NR; i++)
		zt_close(&conns[i]);
}

TEST_HARNESS_MAIN
