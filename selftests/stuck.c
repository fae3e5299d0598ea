// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs whose file system does not answer: a worker waits in it for as long as
 * that takes. Nobody else may have to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <netinet/in.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN	ZT_MIB
#define HELD	(LEN / 2)
#define SEED	7
#define USER	4242
/* release() of a context waits for a second; more would be for the worker. */
#define SOON_NS	(5 * 1000000000ULL)

FIXTURE(stuck) {
	struct zt_box box;
	struct zf_fs fs;
	struct zn_sock nl;
	struct zt_conn conn;
	struct zt_sink sink;
	uint64_t memory;
	uint32_t link;
	int ctx;
	int file;
	bool mounted;
};

#define SELF FIXTURE_DATA(stuck)

FIXTURE_SETUP(stuck)
{
	int ret;

	self->ctx = -1;
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
	self->ctx = zt_open(O_NONBLOCK);
	/* Room for all of a job, read or not. */
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
}

FIXTURE_TEARDOWN(stuck)
{
	if (self->ctx >= 0) {
		EXPECT_EQ(0, zt_jobs(self->ctx));
		EXPECT_FALSE(zt_readable(self->ctx, 0));
		close(self->ctx);
	}
	if (self->file >= 0)
		close(self->file);
	zt_close(&self->conn);
	if (self->mounted) {
		EXPECT_EQ(0, zf_unmount(&self->fs, 0));
		zn_close(&self->nl);
	}
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/*
 * Waits until all that the file system has given is sent, and a worker is at what it
 * has not. On a slow machine one may have got no further for a while and go on later.
 */
static void wait_stuck(SELF *self, uint64_t id)
{
	struct zcp_status status;
	unsigned int seen = 0;

	zf_wait_held(&self->fs);
	while (seen < 2) {
		zt_sleep_ms(ZT_WATCH / 8);
		zt_need(!zt_status(self->ctx, id, &status));
		if (status.bytes_sent == zf_first_held(&self->fs) &&
		    zn_held(&self->nl).workers == 1)
			seen++;
		else
			seen = 0;
	}
}

/* A job whose worker waits for the second half of the file. */
static uint64_t stuck_job(SELF *self)
{
	uint64_t id;

	zf_hold(&self->fs, HELD);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	wait_stuck(self, id);
	return id;
}

/* What has come is the file's beginning. */
static void expect_stream(struct __test_metadata *_metadata, SELF *self, uint64_t len)
{
	if (self->conn.tx >= 0)
		zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&self->sink);
	EXPECT_EQ(len, self->sink.len);
	EXPECT_EQ(-1, zt_mismatch(self->sink.buf, self->sink.len, SEED, 0));
	zt_sink_free(&self->sink);
}

enum way { CLOSE, CANCEL, CANCEL_LINK, UNLINK, NETLINK, CANCEL_UNLINK, WAYS };

/* In a thread of its own: the reply, when it has come. */
struct call {
	pthread_t thread;
	enum way way;
	struct zn_sock *nl;
	int ctx;
	uint32_t link;
	uint64_t job;
	uint32_t cancelled;
	int ret;
	bool back;
};

static void *call_unlink(void *arg)
{
	struct call *call = arg;

	call->ret = zt_unlink(call->ctx, call->link, &call->cancelled);
	__atomic_store_n(&call->back, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *call_rmmod(void *arg)
{
	struct call *call = arg;

	call->ret = syscall(SYS_delete_module, "zcp", O_NONBLOCK) ? -errno : 0;
	__atomic_store_n(&call->back, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool is_back(struct call *call)
{
	return __atomic_load_n(&call->back, __ATOMIC_ACQUIRE);
}

/* The worker sees that the link is to end before the caller can see it. */
TEST_F_TIMEOUT(stuck, unlink_waits_and_tells_all, 240)
{
	struct call call = { .ctx = self->ctx, .link = self->link };
	uint64_t ids[2], sent = 0;
	struct zcp_event event;
	int i;

	ids[0] = stuck_job(self);
	ids[1] = zt_submit_range(self->ctx, self->link, self->file, 0, 100);
	zt_need(!pthread_create(&call.thread, NULL, call_unlink, &call));
	zt_sleep_ms(ZT_WATCH);
	EXPECT_FALSE(is_back(&call));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	zf_release(&self->fs, 0);
	zt_need(!pthread_join(call.thread, NULL));
	EXPECT_EQ(0, call.ret);
	EXPECT_EQ(2, call.cancelled);
	for (i = 0; i < 2; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ids[i], event.job);
		EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
		sent += event.bytes_sent;
	}
	expect_stream(_metadata, self, sent);
}

/* Who waits for the worker can be killed; the job ends without him. */
TEST_F_TIMEOUT(stuck, cancel_can_be_killed, 240)
{
	struct zcp_cancel cancel;
	struct zcp_event event;
	uint64_t id = stuck_job(self);
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(!zt_cancel(self->ctx, id, &cancel));
	zt_sleep_ms(ZT_WATCH);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	zt_need(!kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	expect_stream(_metadata, self, event.bytes_sent);
}

/* Who cancels by netlink has not waited long enough: the last push may end the job. */
TEST_F_TIMEOUT(stuck, cancelled_in_the_last_push, 240)
{
	struct zcp_event event;
	uint64_t id;

	zf_hold(&self->fs, 0);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	id = zt_submit_range(self->ctx, self->link, self->file, 0, 8192);
	zf_wait_held(&self->fs);
	zn_wait_workers(&self->nl, 1);
	EXPECT_EQ(0, zn_get(&self->nl, ZCP_NL_CMD_JOB_CANCEL, ZCP_NL_A_JOB_ID, id, NULL, NULL));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	expect_stream(_metadata, self, event.bytes_sent);
}

/* All requests of a message are served at a stretch, while nobody can add a family. */
TEST_F_TIMEOUT(stuck, many_cancels_in_one_message, 240)
{
	enum { NR = 20 };
	struct nl_msg *msg;
	struct zcp_event event;
	char all[NR * 128];
	size_t len = 0;
	uint64_t begin, id;
	struct zn_sock nl;
	int i;

	id = stuck_job(self);
	zn_open(&nl);
	for (i = 0; i < NR; i++) {
		msg = zn_new(&nl, ZCP_NL_CMD_JOB_CANCEL, NLM_F_REQUEST);
		zt_need(msg && !nla_put_u64(msg, ZCP_NL_A_JOB_ID, id));
		zt_need(len + nlmsg_total_size(nlmsg_datalen(nlmsg_hdr(msg))) <= sizeof(all));
		memcpy(all + len, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
		len += NLMSG_ALIGN(nlmsg_hdr(msg)->nlmsg_len);
		nlmsg_free(msg);
	}
	begin = zt_now_ns();
	EXPECT_EQ(len, send(nl_socket_get_fd(nl.sk), all, len, 0));
	EXPECT_LT(zt_now_ns() - begin, SOON_NS);
	zn_close(&nl);
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	expect_stream(_metadata, self, event.bytes_sent);
}

/* What is behind it is not the worker's. */
TEST_F_TIMEOUT(stuck, queued_job_is_cancelled_at_once, 240)
{
	struct zcp_cancel cancel;
	struct zcp_event event;
	uint64_t ids[2];

	ids[0] = stuck_job(self);
	ids[1] = zt_submit_range(self->ctx, self->link, self->file, 0, 100);
	EXPECT_EQ(0, zt_cancel(self->ctx, ids[1], &cancel));
	EXPECT_EQ(1, cancel.cancelled);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ids[1], event.job);
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ids[0], event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	expect_stream(_metadata, self, LEN);
}

static void *call_end(void *arg)
{
	struct call *e = arg;
	struct zcp_cancel cancel = {
		.size = sizeof(cancel), .flags = ZCP_CANCEL_LINK, .link = e->link,
	};

	if (e->way == CLOSE)
		e->ret = close(e->ctx);
	else if (e->way == UNLINK)
		e->ret = zt_unlink(e->ctx, e->link, NULL);
	else if (e->way == NETLINK)
		e->ret = zn_get(e->nl, ZCP_NL_CMD_JOB_CANCEL, ZCP_NL_A_JOB_ID, e->job, NULL, NULL);
	else if (e->way == CANCEL || e->way == CANCEL_UNLINK)
		e->ret = zt_cancel(e->ctx, e->job, &cancel);
	else
		e->ret = ioctl(e->ctx, ZCP_IOC_CANCEL, &cancel);
	/* A worker that has TCP send the last bytes has come by then. */
	if (e->way == CANCEL_UNLINK && !e->ret) {
		zt_sleep_ms(ZT_WATCH);
		e->ret = zt_unlink(e->ctx, e->link, NULL);
	}
	__atomic_store_n(&e->back, true, __ATOMIC_RELEASE);
	return NULL;
}

struct reader {
	pthread_t thread;
	void *memory;
	int sock;
};

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	zt_need(recv(r->sock, r->memory, 1, 0) == 1);
	return NULL;
}

/*
 * Somebody reads from a linked socket into memory that does not come, and has the
 * socket's lock. Its jobs end without it.
 */
TEST_F_TIMEOUT(stuck, ends_beside_a_reader_that_waits, 240)
{
	int other = zt_file(&self->box, 1, LEN), i, wait;
	struct reader r;
	struct zt_conn conn;

	for (i = CLOSE; i < WAYS; i++) {
		struct call e = { .way = i, .nl = &self->nl, .ctx = zt_open(O_NONBLOCK) };

		zt_connect_blocking(&conn);
		e.link = zt_link(e.ctx, conn.tx);
		e.job = zt_submit_range(e.ctx, e.link, other, 0, LEN);
		zt_wait_state(e.ctx, e.job, ZCP_STATE_BLOCKED);
		/* Until no worker looks at it for a while. */
		zt_sleep_ms(4000);
		r.sock = conn.tx;
		/* Memory that nobody has read yet. */
		r.memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->file,
				i * 8192);
		zt_need(r.memory != MAP_FAILED && send(conn.rx, "x", 1, 0) == 1);
		zt_need(!posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
		zf_hold(&self->fs, 0);
		zt_need(!pthread_create(&r.thread, NULL, reader_main, &r));
		zf_wait_held(&self->fs);
		zt_need(!pthread_create(&e.thread, NULL, call_end, &e));
		for (wait = 0; wait < 50 && !is_back(&e); wait++)
			zt_sleep_ms(100);
		EXPECT_TRUE(is_back(&e))
			TH_LOG("way %d waits for the reader", i);
		zf_release(&self->fs, 0);
		zt_need(!pthread_join(e.thread, NULL) && !pthread_join(r.thread, NULL));
		EXPECT_EQ(0, e.ret);
		if (i != CLOSE)
			close(e.ctx);
		munmap(r.memory, 4096);
		zt_close(&conn);
	}
	close(other);
}

struct submission {
	pthread_t thread;
	struct zcp_submit req;
	int ctx;
	int ret;
};

static void *submission_main(void *arg)
{
	struct submission *s = arg;

	s->ret = ioctl(s->ctx, ZCP_IOC_SUBMIT, &s->req) ? -errno : 0;
	return NULL;
}

/* Does the peer hear within @ms that the connection has ended? */
static bool ends_within(int sock, unsigned int ms)
{
	uint64_t until = zt_now_ns() + ms * 1000000ULL;
	char buf[4096];
	ssize_t len = 1;

	while (len > 0 && zt_now_ns() < until) {
		if (!zt_readable(sock, 100))
			continue;
		len = recv(sock, buf, sizeof(buf), MSG_DONTWAIT);
	}
	return len <= 0;
}

/*
 * UNLINK while a submission is at the link of a socket that nobody else has. That closes
 * it, and goes on with the rest of its batch, which is in memory that does not come: the
 * connection does not stay open for that.
 */
TEST_F_TIMEOUT(stuck, unlink_within_a_submission, 240)
{
	int file = zt_file(&self->box, 1, LEN);
	struct zcp_segment seg = zt_range(file, 0, LEN);
	struct submission s = { .ctx = self->ctx };
	struct call call = { .ctx = self->ctx };
	struct zcp_event event;
	struct zcp_job jobs[2];
	struct zt_conn conn;
	struct reader r;
	struct zf_fs fs;
	char dir[80];
	void *memory;
	int page;

	snprintf(dir, sizeof(dir), "%s/memory", self->box.dir);
	zt_need(!mkdir(dir, 0755) && !zf_mount(&fs, dir, SEED, LEN));
	page = zf_open(&fs);
	memory = mmap(NULL, ZT_PAGE, PROT_READ, MAP_PRIVATE, page, 0);
	zt_connect(&conn, 0, 0);
	call.link = zt_link(self->ctx, conn.tx);
	r.sock = conn.tx;
	r.memory = mmap(NULL, ZT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->file, 0);
	zt_need(memory != MAP_FAILED && r.memory != MAP_FAILED);
	zt_need(send(conn.rx, "x", 1, 0) == 1);
	zf_hold(&self->fs, 0);
	zf_hold(&fs, 0);
	zt_need(!pthread_create(&r.thread, NULL, reader_main, &r));
	zf_wait_held(&self->fs);

	/* The first job's push waits for the reader. */
	jobs[0] = zt_job(call.link, &seg, 1);
	jobs[1] = zt_job(self->link, memory, 1);
	s.req = (struct zcp_submit) {
		.size = sizeof(s.req), .jobs = (uintptr_t)jobs, .nr_jobs = 2,
		.job_size = sizeof(*jobs),
	};
	zt_need(!pthread_create(&s.thread, NULL, submission_main, &s));
	while (!__atomic_load_n(&jobs[0].id, __ATOMIC_ACQUIRE))
		zt_sleep_ms(10);
	zt_sleep_ms(ZT_WATCH / 4);
	/* Nobody else has it. */
	zt_need(!close(conn.tx));
	conn.tx = -1;
	zt_need(!pthread_create(&call.thread, NULL, call_unlink, &call));
	zt_sleep_ms(ZT_WATCH / 4);
	EXPECT_FALSE(is_back(&call));
	zf_release(&self->fs, 0);
	zf_wait_held(&fs);
	zt_need(!pthread_join(call.thread, NULL) && !pthread_join(r.thread, NULL));
	EXPECT_EQ(0, call.ret);
	EXPECT_TRUE(ends_within(conn.rx, ZT_WATCH * 4));
	zf_release(&fs, 0);
	zt_need(!pthread_join(s.thread, NULL));
	/* The second job is nonsense: what is in the file. */
	EXPECT_EQ(1, s.req.accepted);
	zt_event(self->ctx, &event);
	EXPECT_EQ(jobs[0].id, event.job);
	zt_close(&conn);
	munmap(r.memory, ZT_PAGE);
	munmap(memory, ZT_PAGE);
	close(page);
	close(file);
	EXPECT_EQ(0, zf_unmount(&fs, 0));
}

TEST_F_TIMEOUT(stuck, other_links_go_on, 240)
{
	int other = zt_file(&self->box, 1, LEN);
	struct zcp_event event;
	struct zt_sink sink;
	struct zt_conn conn;
	uint64_t id, stuck;

	stuck = stuck_job(self);
	zt_connect(&conn, 0, 0);
	zt_sink_start(&sink, conn.rx, LEN);
	id = zt_submit_range(self->ctx, zt_link(self->ctx, conn.tx), other, 0, LEN);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
	zt_close(&conn);
	close(other);
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(stuck, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	expect_stream(_metadata, self, LEN);
}

/* The event says what the file system said, and where; the link can be used. */
TEST_F_TIMEOUT(stuck, error_in_the_middle, 240)
{
	struct zcp_segment seg = zt_inline("x", 1);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zcp_event event, next;

	stuck_job(self);
	zf_release(&self->fs, EIO);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(EIO, event.error);
	EXPECT_EQ(event.bytes_sent, event.position);
	EXPECT_LE(event.bytes_sent, HELD);
	EXPECT_EQ(0, zt_try_submit(self->ctx, &job));
	zt_event(self->ctx, &next);
	EXPECT_EQ(ZCP_STATE_DONE, next.state);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&self->sink);
	EXPECT_EQ(event.bytes_sent + 1, self->sink.len);
	EXPECT_EQ(-1, zt_mismatch(self->sink.buf, event.bytes_sent, SEED, 0));
	zt_sink_free(&self->sink);
}

TEST_F_TIMEOUT(stuck, reset, 240)
{
	struct zcp_event event;
	uint64_t id;

	zf_hold(&self->fs, HELD);
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	wait_stuck(self, id);
	zt_reset(self->conn.rx);
	self->conn.rx = -1;
	/* Nobody but the worker ends a job that it is busy with. */
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_TRUE(event.error == ECONNRESET || event.error == EPIPE);
}

/* Bytes that were read for one connection do not go to the next of its socket. */
TEST_F_TIMEOUT(stuck, reconnected, 240)
{
	int listener = zt_listen(AF_INET, 0), next;
	struct sockaddr any = { .sa_family = AF_UNSPEC };
	struct zcp_event event;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	uint64_t id;

	zt_need(!getsockname(listener, (struct sockaddr *)&sin, &len));
	zf_hold(&self->fs, HELD);
	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	wait_stuck(self, id);
	zt_need(!connect(self->conn.tx, &any, sizeof(any)));
	zt_need(!connect(self->conn.tx, (struct sockaddr *)&sin, len));
	next = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	zt_need(next >= 0);
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(ECONNRESET, event.error);
	EXPECT_LE(event.bytes_acked, event.bytes_sent);
	EXPECT_LE(event.bytes_sent, HELD);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	EXPECT_EQ(0, zt_drain(next));
	close(next);
	close(listener);
}

/* The server is gone for good. */
TEST_F_TIMEOUT(stuck, file_system_is_aborted, 240)
{
	struct zcp_event event;

	stuck_job(self);
	EXPECT_EQ(-1, umount2(self->fs.dir, MNT_FORCE));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_TRUE(event.error == EIO || event.error == ECONNABORTED ||
		    event.error == ENOTCONN)
		TH_LOG("error %u", event.error);
	expect_stream(_metadata, self, event.bytes_sent);
}

/* Reads are the submitter's, whoever does them. */
TEST_F_TIMEOUT(stuck, worker_reads_as_the_submitter, 240)
{
	struct zcp_event event;
	int status;
	uint32_t uid;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		zt_need(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER));
		zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	expect_stream(_metadata, self, LEN);
	EXPECT_GT(zf_reads(&self->fs, &uid), 0);
	EXPECT_EQ(USER, uid);
}

/* Unloading waits for the worker that closes what was left to it. */
TEST_F_TIMEOUT(stuck, rmmod_waits_for_the_worker, 240)
{
	const char *ko = getenv("ZCP_KO");
	struct call call = {};

	if (!ko || access(ko, R_OK))
		SKIP(return, "needs the module's file: set ZCP_KO");
	if (self->box.refs)
		SKIP(return, "needs a module that nobody else uses");
	stuck_job(self);
	close(self->ctx);
	self->ctx = -1;
	zt_need(!pthread_create(&call.thread, NULL, call_rmmod, &call));
	zt_sleep_ms(ZT_WATCH);
	EXPECT_FALSE(is_back(&call));
	zf_release(&self->fs, 0);
	zt_need(!pthread_join(call.thread, NULL));
	EXPECT_EQ(0, call.ret);
	EXPECT_NE(0, access("/sys/module/zcp", F_OK));
	zt_close(&self->conn);
	zt_sink_join(&self->sink);
	zt_sink_free(&self->sink);
	EXPECT_EQ(0, zt_run("insmod %s", ko));
}

TEST_HARNESS_MAIN
