// SPDX-License-Identifier: GPL-2.0-only
/*
 * A context that is handed on: by SCM_RIGHTS, dup, fork and exec. It lives as
 * long as somebody can get at it, in a message that nobody has read too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	ZT_MIB
#define EVENTS	200

FIXTURE(pass) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	uint64_t job;
	int ctx;
	int file;
	int pair[2];
};

#define SELF FIXTURE_DATA(pass)

FIXTURE_SETUP(pass)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = zt_file(&self->box, 1, LEN);
	zt_connect_blocking(&self->conn);
	self->link = zt_link_flags(self->ctx, self->conn.tx, ZCP_LINK_CONTINUE);
	self->job = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, self->job, ZCP_STATE_BLOCKED);
	zt_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, self->pair));
}

FIXTURE_TEARDOWN(pass)
{
	int i;

	if (self->ctx >= 0)
		close(self->ctx);
	for (i = 0; i < 2; i++) {
		if (self->pair[i] >= 0)
			close(self->pair[i]);
	}
	zt_close(&self->conn);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static void send_fds(int sock, const int *fds, int nr)
{
	char control[CMSG_SPACE(4 * sizeof(int))] = {};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	zt_need(sendmsg(sock, &msg, 0) == 1);
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	zt_need(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The peer gets all of the file, as the only job's event says. */
static void expect_done(struct __test_metadata *_metadata, SELF *self, int ctx)
{
	struct zcp_event event;
	struct zt_sink sink;

	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_event(ctx, &event);
	EXPECT_EQ(self->job, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, sink.len, 1, 0));
	zt_sink_free(&sink);
}

/* Nobody can get at it any more: it has ended, with its job and its link. */
static void expect_ended(struct __test_metadata *_metadata, SELF *self)
{
	int i;

	for (i = 0; i < ZT_PATIENCE * 10 && zt_refs() > self->box.refs; i++)
		zt_sleep_ms(100);
	ASSERT_EQ(self->box.refs, zt_refs());
	close(self->conn.tx);
	self->conn.tx = -1;
	EXPECT_LT(zt_drain(self->conn.rx), LEN);
}

TEST_F_TIMEOUT(pass, in_a_message_when_closed, 240)
{
	send_fds(self->pair[0], &self->ctx, 1);
	close(self->ctx);
	zt_sleep_ms(ZT_WATCH);
	EXPECT_EQ(self->box.refs + 1, zt_refs());
	/* As it was. */
	self->ctx = receive_fd(self->pair[1]);
	EXPECT_EQ(ZCP_STATE_BLOCKED, zt_state(self->ctx, self->job));
	expect_done(_metadata, self, self->ctx);
}

TEST_F_TIMEOUT(pass, in_a_message_that_nobody_reads, 240)
{
	send_fds(self->pair[0], &self->ctx, 1);
	close(self->ctx);
	self->ctx = -1;
	close(self->pair[0]);
	self->pair[0] = -1;
	EXPECT_EQ(self->box.refs + 1, zt_refs());
	close(self->pair[1]);
	self->pair[1] = -1;
	expect_ended(_metadata, self);
}

/*
 * A socket whose queue has the socket itself, and the context: a cycle. The kernel looks
 * for these when a socket is closed, but not again for one that is closed while it looks.
 */
TEST_F_TIMEOUT(pass, in_a_cycle, 240)
{
	int fds[2] = { self->pair[1], self->ctx };
	int other[2];
	int i;

	send_fds(self->pair[0], fds, 2);
	close(self->ctx);
	self->ctx = -1;
	close(self->pair[0]);
	close(self->pair[1]);
	self->pair[0] = -1;
	self->pair[1] = -1;
	for (i = 0; i < ZT_PATIENCE * 10 && zt_refs() > self->box.refs; i++) {
		zt_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other));
		close(other[0]);
		close(other[1]);
		zt_sleep_ms(100);
	}
	expect_ended(_metadata, self);
}

/* Another process has it now; its jobs are sent with that process's files. */
TEST_F_TIMEOUT(pass, received_by_another_process, 240)
{
	struct zt_sink sink;
	struct zcp_event event;
	int status;
	pid_t pid;
	char c;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int ctx, file;

		close(self->ctx);
		close(self->pair[0]);
		ctx = receive_fd(self->pair[1]);
		file = zt_file(&self->box, 2, 1000);
		zt_submit_range(ctx, self->link, file, 0, 1000);
		zt_event(ctx, &event);
		zt_need(event.job == self->job && event.state == ZCP_STATE_DONE);
		zt_event(ctx, &event);
		zt_need(event.state == ZCP_STATE_DONE);
		zt_need(zt_jobs(ctx) == 0);
		zt_need(write(self->pair[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	send_fds(self->pair[0], &self->ctx, 1);
	close(self->ctx);
	self->ctx = -1;
	zt_sink_start(&sink, self->conn.rx, LEN + 1000);
	ASSERT_EQ(1, read(self->pair[0], &c, 1));
	zt_sink_join(&sink);
	EXPECT_EQ(LEN + 1000, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, 1, 0));
	EXPECT_EQ(-1, zt_mismatch(sink.buf + LEN, 1000, 2, 0));
	zt_sink_free(&sink);
	EXPECT_EQ(self->box.refs + 1, zt_refs());
	zt_need(!kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	expect_ended(_metadata, self);
}

/* A descriptor that is not close-on-exec is the next program's. */
TEST_F_TIMEOUT(pass, kept_by_exec, 240)
{
	int go[2], status;
	pid_t pid;

	zt_need(!pipe2(go, O_CLOEXEC));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		zt_need(!fcntl(self->ctx, F_SETFD, 0));
		zt_need(dup2(go[0], STDIN_FILENO) == STDIN_FILENO);
		execlp("cat", "cat", NULL);
		_exit(99);
	}
	close(go[0]);
	close(self->ctx);
	self->ctx = -1;
	zt_sleep_ms(ZT_WATCH);
	EXPECT_EQ(self->box.refs + 1, zt_refs());
	close(go[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	expect_ended(_metadata, self);
}

/* Two processes read events: each event is one of theirs. */
TEST_F_TIMEOUT(pass, two_processes_read, 240)
{
	struct zcp_event event;
	struct zt_sink sink;
	int counts[2], status, i;
	unsigned int mine = 0, total;
	pid_t pid;

	zt_need(!pipe2(counts, O_CLOEXEC));
	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_event(self->ctx, &event);
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		unsigned int nr = 0;

		close(counts[0]);
		while (zt_readable(self->ctx, ZT_WATCH))
			nr += read(self->ctx, &event, sizeof(event)) == sizeof(event);
		zt_need(write(counts[1], &nr, sizeof(nr)) == sizeof(nr));
		_exit(0);
	}
	for (i = 0; i < EVENTS; i++) {
		zt_submit_range(self->ctx, self->link, self->file, 0, 0);
		if (i % 2)
			mine += read(self->ctx, &event, sizeof(event)) == sizeof(event);
	}
	ASSERT_EQ(sizeof(total), read(counts[0], &total, sizeof(total)));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	while (zt_readable(self->ctx, 0))
		mine += read(self->ctx, &event, sizeof(event)) == sizeof(event);
	TH_LOG("%u and %u", mine, total);
	EXPECT_EQ(EVENTS, mine + total);
	EXPECT_EQ(0, zt_jobs(self->ctx));
	close(counts[0]);
	close(counts[1]);
}

TEST_HARNESS_MAIN
