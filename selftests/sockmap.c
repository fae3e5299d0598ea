// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets in a map whose program decides about what they send: such a socket is
 * refused, also when it comes into the map later. Without a program it is plain TCP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <linux/bpf.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

FIXTURE(sockmap) {
	struct zt_box box;
	int ctx;
	int file;
};

FIXTURE_SETUP(sockmap)
{
	char name[96];

	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	snprintf(name, sizeof(name), "%s/file", self->box.dir);
	self->file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_GE(self->file, 0);
	zt_fill(self->file, 1, 0, 10000);
}

FIXTURE_TEARDOWN(sockmap)
{
	EXPECT_EQ(0, zt_jobs(self->ctx));
	close(self->ctx);
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* By LINK and by XFER, and not a byte has gone. */
static void refused(struct __test_metadata *_metadata, FIXTURE_DATA(sockmap) *self,
		    struct zt_conn *conn)
{
	struct zcp_link link = { .size = sizeof(link), .fd = conn->tx };
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .in_fd = self->file, .out_fd = conn->tx, .count = 100,
	};

	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_LINK, &link));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(-1, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(EOPNOTSUPP, errno);
	close(conn->tx);
	EXPECT_EQ(0, zt_drain(conn->rx)) TH_LOG("something arrived");
	close(conn->rx);
}

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* A map of sockets, with a program that sees what they send if @verdict. */
static int map_of_sockets(bool verdict)
{
	struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = SK_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = 1,
	};
	int map = bpf(BPF_MAP_CREATE, &attr), prog;

	if (map < 0 || !verdict)
		return map;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SK_MSG;
	attr.insns = (uintptr_t)pass;
	attr.insn_cnt = ARRAY_SIZE(pass);
	attr.license = (uintptr_t)"GPL";
	prog = bpf(BPF_PROG_LOAD, &attr);
	zt_need(prog >= 0);
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = map;
	attr.attach_bpf_fd = prog;
	attr.attach_type = BPF_SK_MSG_VERDICT;
	zt_need(!bpf(BPF_PROG_ATTACH, &attr));
	close(prog);
	return map;
}

static int into_map(int map, int fd)
{
	uint32_t key = 0, value = fd;
	union bpf_attr attr = {
		.map_fd = map, .key = (uintptr_t)&key, .value = (uintptr_t)&value,
	};

	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

#define LACKS_SOCKMAP "bpf(BPF_MAP_TYPE_SOCKMAP): errno %d, the kernel lacks CONFIG_BPF_STREAM_PARSER"

/* A program decides about what such a socket sends; zcp would not ask it. */
TEST_F(sockmap, program)
{
	struct zt_conn conn;
	int map = map_of_sockets(true);

	if (map < 0)
		SKIP(return, LACKS_SOCKMAP, errno);
	zt_connect(&conn, 0, 0);
	zt_need(!into_map(map, conn.tx));
	refused(_metadata, self, &conn);
	close(map);
}

/* The same when it comes into the map while it is linked. */
TEST_F(sockmap, program_after_link)
{
	struct zcp_event event;
	struct zt_conn conn;
	struct zcp_segment seg = zt_range(self->file, 0, 5000);
	struct zcp_job job;
	int map = map_of_sockets(true), ret;

	if (map < 0)
		SKIP(return, LACKS_SOCKMAP, errno);
	zt_connect(&conn, 0, 0);
	job = zt_job(zt_link(self->ctx, conn.tx), &seg, 1);
	zt_need(!into_map(map, conn.tx));
	ret = zt_try_submit(self->ctx, &job);
	if (!ret) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_FAILED, event.state);
		EXPECT_EQ(EOPNOTSUPP, event.error);
		EXPECT_EQ(0, event.bytes_sent);
	} else {
		EXPECT_EQ(-EOPNOTSUPP, ret);
	}
	ASSERT_EQ(0, zt_unlink(self->ctx, job.link, NULL));
	close(conn.tx);
	EXPECT_EQ(0, zt_drain(conn.rx));
	close(conn.rx);
	close(map);
}

/* In a map without such a program it sends as it always did. */
TEST_F(sockmap, no_program)
{
	struct zcp_event event;
	struct zt_conn conn;
	char buf[5000];
	int map = map_of_sockets(false);

	if (map < 0)
		SKIP(return, LACKS_SOCKMAP, errno);
	zt_connect(&conn, 0, 0);
	zt_need(!into_map(map, conn.tx));
	zt_submit_range(self->ctx, zt_link(self->ctx, conn.tx), self->file, 0, sizeof(buf));
	zt_read_full(conn.rx, buf, sizeof(buf));
	EXPECT_EQ(-1, zt_mismatch(buf, sizeof(buf), 1, 0));
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_close(&conn);
	close(map);
}

TEST_HARNESS_MAIN
