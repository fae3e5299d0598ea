// SPDX-License-Identifier: GPL-2.0-only
/*
 * What TCP sends again after the file was changed: the old bytes, the new ones, or
 * zeros, of this file and at their place; never a page that is somebody else's by
 * now. All that was sent at first is lost, and the memory is used up by others
 * before it is sent again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <linux/falloc.h>
#include <linux/tcp.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define OLD	1	/* the seeds of what the file has and gets */
#define NEW	2
#define MARK	0x5a5a0bad0bad5a5aULL	/* what is in the memory of others */
#define LEN	(1 * ZT_MIB)
#define OTHERS	(64 * ZT_MIB)
#define LACKS_NETEM "tc qdisc add netem failed: needs tc (iproute2) and the module sch_netem"

static char large[128];	/* a file of zeros */

FIXTURE(retrans) {
	struct zt_box box;
	struct zt_conn conn;
	char mnt[96];
	char cgroup[96];
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_VARIANT(retrans) {
	void (*change)(int file);
	bool disk;	/* whose pages can be evicted; tmpfs needs swap for that */
	bool limit;	/* all this in a cgroup that may have little memory */
};

static void rewrite(int file)
{
	zt_fill(file, NEW, 0, LEN);
}

static void cut(int file)
{
	zt_need(!ftruncate(file, 0));
}

static void cut_within_page(int file)
{
	zt_need(!ftruncate(file, LEN / 2 + 100));
}

static void cut_and_rewrite(int file)
{
	cut(file);
	rewrite(file);
}

static void punch(int file)
{
	zt_need(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000, LEN - 5000));
}

static void evict(int file)
{
	zt_need(!fsync(file) && !posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	zt_need(!zt_run("echo 3 >/proc/sys/vm/drop_caches"));
}

static void evict_and_rewrite(int file)
{
	evict(file);
	rewrite(file);
	evict(file);
}

static void cut_on_disk(int file)
{
	cut(file);
	evict(file);
}

/* Reads what is larger than this cgroup's memory, so that all else has to go. */
static void press(int file)
{
	int fd;

	zt_need(!fsync(file));
	fd = open(large, O_RDONLY | O_CLOEXEC);
	zt_need(fd >= 0);
	zt_drain(fd);
	close(fd);
	rewrite(file);
}

FIXTURE_VARIANT_ADD(retrans, overwritten) { .change = rewrite, };
FIXTURE_VARIANT_ADD(retrans, truncated) { .change = cut, };
FIXTURE_VARIANT_ADD(retrans, truncated_within_page) { .change = cut_within_page, };
FIXTURE_VARIANT_ADD(retrans, truncated_and_rewritten) { .change = cut_and_rewrite, };
FIXTURE_VARIANT_ADD(retrans, punched) { .change = punch, };
FIXTURE_VARIANT_ADD(retrans, evicted) { .change = evict, .disk = true, };
FIXTURE_VARIANT_ADD(retrans, evicted_and_rewritten) { .change = evict_and_rewrite, .disk = true, };
FIXTURE_VARIANT_ADD(retrans, truncated_on_disk) { .change = cut_on_disk, .disk = true, };
FIXTURE_VARIANT_ADD(retrans, out_of_memory) { .change = press, .disk = true, .limit = true, };

/* A small disk of the box's, and a file on it without a name. */
static int file_on_disk(FIXTURE_DATA(retrans) *self)
{
	const char *dir = self->box.dir;
	int fd;

	zt_run("modprobe -qa loop ext4");
	zt_need(!mkdir(self->mnt, 0700));
	if (zt_run("truncate -s 96M %s/disk", dir) ||
	    zt_run("mkfs.ext4 -q -F -O ^has_journal %s/disk", dir) ||
	    zt_run("mount -o loop %s/disk %s", dir, self->mnt))
		return -1;
	fd = open(self->mnt, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(fd >= 0);
	zt_fill(fd, OLD, 0, LEN);
	zt_need(!fsync(fd));
	snprintf(large, sizeof(large), "%s/large", self->mnt);
	zt_need(!zt_run("truncate -s 64M %s", large));
	return fd;
}

/* A cgroup that may have 24 MiB, and this process in it; false if there is none. */
static bool enter_cgroup(FIXTURE_DATA(retrans) *self)
{
	const char *dir = self->cgroup;

	zt_need(!mkdir(dir, 0700));
	if (zt_run("mount -t cgroup2 zcp-test %s", dir))
		return false;
	zt_run("echo +memory >%s/cgroup.subtree_control", dir);
	zt_run("mkdir %s/zcp-retrans", dir);
	return !zt_run("cd %s/zcp-retrans && echo 24M >memory.max && echo %d >cgroup.procs", dir,
		       getpid());
}

static void leave_cgroup(FIXTURE_DATA(retrans) *self)
{
	const char *dir = self->cgroup;

	zt_run("cd %s && echo %d >cgroup.procs && echo $$ >cgroup.procs && rmdir zcp-retrans", dir,
	       getpid());
	umount(dir);
}

FIXTURE_SETUP(retrans)
{
	zt_box_open(&self->box, 1500);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect(&self->conn, 4 * ZT_MIB, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	snprintf(self->mnt, sizeof(self->mnt), "%s/mnt", self->box.dir);
	snprintf(self->cgroup, sizeof(self->cgroup), "%s/cgroup", self->box.dir);
	if (variant->limit && !enter_cgroup(self))
		self->file = -2;
	else
		self->file = variant->disk ? file_on_disk(self) : zt_file(&self->box, OLD, LEN);
}

FIXTURE_TEARDOWN(retrans)
{
	close(self->ctx);
	zt_close(&self->conn);
	if (self->file >= 0)
		close(self->file);
	if (variant->disk)
		zt_run("umount -d %s", self->mnt);
	if (variant->limit)
		leave_cgroup(self);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Whoever has got a page of ours by mistake writes the mark into it. */
static void others_take_memory(FIXTURE_DATA(retrans) *self)
{
	static uint64_t page[ZT_PAGE / 8];
	uint64_t *mem, off;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(page); i++)
		page[i] = MARK;
	mem = mmap(NULL, OTHERS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zt_need(mem != MAP_FAILED);
	for (off = 0; off < OTHERS; off += ZT_PAGE)
		memcpy((char *)mem + off, page, ZT_PAGE);
	fd = open(self->box.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(fd >= 0);
	for (off = 0; off < OTHERS / 4; off += ZT_PAGE)
		zt_need(write(fd, page, ZT_PAGE) == ZT_PAGE);
	close(fd);
	munmap(mem, OTHERS);
}

/* Each byte is the old one, the new one or zero; returns how many are not old. */
static size_t judge(const char *buf, size_t len)
{
	size_t off, changed = 0, i;
	uint64_t mark = MARK;
	char old[64], new[64];

	for (off = 0; off < len; off += sizeof(old)) {
		zt_pattern(old, OLD, off, sizeof(old));
		zt_pattern(new, NEW, off, sizeof(new));
		if (memmem(buf + off, sizeof(old), &mark, sizeof(mark)))
			zt_die("at %zu is memory of somebody else", off);
		for (i = 0; i < sizeof(old); i++) {
			char c = buf[off + i];

			if (c != old[i] && c != new[i] && c)
				zt_die("byte %zu is neither old, new nor zero", off + i);
			changed += c != old[i];
		}
	}
	return changed;
}

static uint32_t resent(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	zt_need(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info.tcpi_total_retrans;
}

static void lose_and_send_again(struct __test_metadata *_metadata, FIXTURE_DATA(retrans) *self,
				void (*change)(int file), bool limit)
{
	struct zcp_event event;
	struct zt_sink sink;
	size_t changed;
	uint64_t id;

	id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	/* It has been on the wire, and nothing of it has arrived. */
	EXPECT_EQ(LEN, zt_unacked(self->conn.tx));
	change(self->file);
	/* A cgroup that may have little has been pressed already. */
	if (!limit)
		others_take_memory(self);
	zt_need(!zt_run("tc qdisc del dev lo root"));
	zt_sink_start(&sink, self->conn.rx, LEN);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_EQ(LEN, event.bytes_acked);
	EXPECT_EQ(LEN, event.bytes_zerocopy);
	EXPECT_GT(resent(self->conn.tx), 0);
	zt_sink_join(&sink);
	ASSERT_EQ(LEN, sink.len);
	changed = judge(sink.buf, LEN);
	/* By reference: what was written into the same pages is what arrives. */
	if (change == rewrite)
		EXPECT_GT(changed, LEN / 2);
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(retrans, file, 240)
{
	if (self->file == -2)
		SKIP(return, "needs a cgroup2 hierarchy with the memory controller");
	if (self->file < 0)
		SKIP(return, "needs ext4, mkfs.ext4 and a loop device");
	zt_run("modprobe -q sch_netem");
	if (zt_run("tc qdisc add dev lo root netem loss 100%%"))
		SKIP(return, LACKS_NETEM);
	lose_and_send_again(_metadata, self, variant->change, variant->limit);
}

TEST_HARNESS_MAIN
