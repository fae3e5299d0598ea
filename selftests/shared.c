// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every packet that carries pages of a file is marked as shared, so that nothing
 * on its way writes to the page cache: in the send queue, on the wire, in pieces
 * that segmentation and lost packets make of it, and in the receiver's queue.
 * The module zcp_frags looks at the packets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "module/zcp_frags.h"
#include "zcp_test.h"

#define SEED	1
#define LEN	(1 * ZT_MIB)

/* Loads the module, the first time; false if there is none. */
static bool have_frags(void)
{
	const char *ko = getenv("ZCP_FRAGS_KO");

	if (!access(ZFRAGS_DEV, F_OK))
		return true;
	return ko && !zt_run("insmod '%s'", ko) && !access(ZFRAGS_DEV, F_OK);
}

#define LACKS_FRAGS	"there is no " ZFRAGS_DEV ": ZCP_FRAGS_KO names the module zcp_frags.ko"

FIXTURE(shared) {
	struct zt_box box;
	struct zt_conn conn;
	uint32_t link;
	int frags;
	int ctx;
	int file;
};

FIXTURE_SETUP(shared)
{
	bool have = have_frags();

	zt_box_open(&self->box, 1500);
	self->frags = have ? open(ZFRAGS_DEV, O_RDWR | O_CLOEXEC) : -1;
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->file = zt_file(&self->box, SEED, LEN);
}

FIXTURE_TEARDOWN(shared)
{
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	if (self->frags >= 0)
		close(self->frags);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static struct zfrags look(FIXTURE_DATA(shared) *self, uint32_t queue, int fd)
{
	struct zfrags frags = { .fd = fd, .queue = queue };

	zt_need(!ioctl(self->frags, ZFRAGS_LOOK, &frags));
	return frags;
}

/* Pages of the file are there, and none of them is without the mark. */
#define MARKED(queue, fd, least) do { \
	struct zfrags __l = look(self, queue, fd); \
	EXPECT_GE(__l.frags, least); \
	EXPECT_EQ(0, __l.bare) \
		TH_LOG(#queue ": %llu of %llu packets with pages of files are not marked", \
		       __l.bare, __l.with_file); \
} while (0)

/* What is in the send queue, and then all there is up to the receiver. */
static void sent_is_marked(struct __test_metadata *_metadata, FIXTURE_DATA(shared) *self,
			   struct zcp_job *job, size_t len)
{
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id = zt_submit(self->ctx, job);

	zt_wait_state(self->ctx, id, ZCP_STATE_SENT);
	MARKED(ZFRAGS_SEND, self->conn.tx, len / ZT_PAGE / 2);
	MARKED(ZFRAGS_WIRE, -1, 1);
	MARKED(ZFRAGS_RECEIVE, self->conn.rx, 1);
	zt_sink_start(&sink, self->conn.rx, len);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	EXPECT_GE(event.bytes_zerocopy, len / 2);
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	MARKED(ZFRAGS_WIRE, -1, len / ZT_PAGE / 2);
}

TEST_F_TIMEOUT(shared, job, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	sent_is_marked(_metadata, self, &job, LEN);
}

TEST_F_TIMEOUT(shared, job_zerocopy, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	job.mode = ZCP_MODE_ZEROCOPY;
	sent_is_marked(_metadata, self, &job, LEN);
}

/* Inline bytes are private, and share packets with pages that are not. */
TEST_F_TIMEOUT(shared, header_file_trailer, 240)
{
	char text[100] = "header";
	struct zcp_segment seg[] = {
		zt_inline(text, sizeof(text)), zt_range(self->file, 5, 300),
		zt_inline(text, sizeof(text)), zt_range(self->file, 4097, LEN - 5000),
		zt_inline(text, sizeof(text)), zt_range(self->file, 1, 5000),
	};
	struct zcp_job job = zt_job(self->link, seg, ARRAY_SIZE(seg));

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	sent_is_marked(_metadata, self, &job, 3 * sizeof(text) + 300 + LEN);
}

/* Many small jobs in one packet. */
TEST_F_TIMEOUT(shared, small_jobs, 240)
{
	struct zcp_event event;
	unsigned int i;

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	for (i = 0; i < 64; i++)
		zt_submit_range(self->ctx, self->link, self->file, i * 2500, 2500);
	zt_wait_state(self->ctx, zt_submit_range(self->ctx, self->link, self->file, 7, 2500),
		      ZCP_STATE_SENT);
	MARKED(ZFRAGS_SEND, self->conn.tx, 32);
	MARKED(ZFRAGS_RECEIVE, self->conn.rx, 1);
	close(self->conn.rx);
	self->conn.rx = -1;
	for (i = 0; i < 65; i++)
		zt_event(self->ctx, &event);
}

TEST_F_TIMEOUT(shared, xfer, 240)
{
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .flags = ZCP_XFER_NONBLOCK, .in_fd = self->file,
		.out_fd = self->conn.tx, .count = LEN,
	};
	struct zcp_xfer small = xfer;

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_XFER, &xfer));
	EXPECT_EQ(LEN, xfer.done);
	EXPECT_EQ(LEN, xfer.bytes_zerocopy);
	small.count = 3000;
	small.offset = 4090;
	ASSERT_EQ(0, ioctl(self->ctx, ZCP_IOC_XFER, &small));
	EXPECT_EQ(3000, small.bytes_zerocopy);
	MARKED(ZFRAGS_SEND, self->conn.tx, LEN / ZT_PAGE / 2);
	MARKED(ZFRAGS_WIRE, -1, 1);
	MARKED(ZFRAGS_RECEIVE, self->conn.rx, 1);
}

/* What the file system's own splice_read() gives, here that of overlayfs. */
TEST_F_TIMEOUT(shared, splice, 240)
{
	struct zcp_segment seg;
	struct zcp_job job;
	char path[128];
	int file;

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	zt_need(!zt_run("cd %s && mkdir a b m && : >b/x", self->box.dir));
	zt_run("modprobe -q overlay");
	if (zt_run("cd %s && mount -t overlay -o lowerdir=a:b overlay m", self->box.dir))
		SKIP(return, "mount -t overlay failed: the kernel lacks %s", "overlayfs");
	snprintf(path, sizeof(path), "%s/a/file", self->box.dir);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	zt_need(file >= 0);
	zt_fill(file, SEED, 0, LEN);
	close(file);
	snprintf(path, sizeof(path), "%s/m/file", self->box.dir);
	file = open(path, O_RDONLY | O_CLOEXEC);
	zt_need(file >= 0);
	seg = zt_range(file, 0, LEN);
	job = zt_job(self->link, &seg, 1);
	sent_is_marked(_metadata, self, &job, LEN);
	close(file);
	snprintf(path, sizeof(path), "%s/m", self->box.dir);
	/* The last reference may be a worker's. */
	while (umount(path))
		zt_sleep_ms(20);
}

/* Packets that the kernel itself cuts are marked, whatever the device can do. */
TEST_F_TIMEOUT(shared, segmented, 240)
{
	struct zcp_segment seg = zt_range(self->file, 3, LEN - 3);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	if (zt_run("ethtool -K lo tso off gso off gro off >/dev/null 2>&1"))
		SKIP(return, "ethtool -K lo failed: needs %s", "ethtool");
	sent_is_marked(_metadata, self, &job, LEN - 3);
}

/*
 * Packets are lost, others acknowledged before them: the sender splits, joins and
 * shifts, the receiver keeps them out of order and joins.
 */
TEST_F_TIMEOUT(shared, lossy, 240)
{
	struct zcp_event event;
	unsigned int looks = 0;
	uint64_t bare = 0;
	struct zt_sink sink;
	int i;

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	zt_run("modprobe -q sch_netem");
	if (zt_run("tc qdisc add dev lo root netem limit 20000 delay 3ms 1ms loss 8%%"))
		SKIP(return, "tc qdisc add netem failed: needs tc (iproute2) and the module %s",
		     "sch_netem");
	for (i = 0; i < 4; i++)
		zt_submit_range(self->ctx, self->link, self->file, i, LEN - i);
	zt_sink_start(&sink, self->conn.rx, 4 * LEN - 6);
	for (i = 0; i < 4; ) {
		bare += look(self, ZFRAGS_SEND, self->conn.tx).bare;
		bare += look(self, ZFRAGS_RECEIVE, self->conn.rx).bare;
		looks++;
		if (!zt_readable(self->ctx, 10))
			continue;
		zt_event(self->ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
		i++;
	}
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	EXPECT_GT(looks, 4);
	EXPECT_EQ(0, bare);
	MARKED(ZFRAGS_WIRE, -1, LEN / ZT_PAGE);
}

/* The look itself is worth something: a copy has no page of the file. */
TEST_F_TIMEOUT(shared, copy_has_none, 240)
{
	struct zcp_segment seg = zt_range(self->file, 0, LEN);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zcp_event event;
	struct zfrags frags;

	if (self->frags < 0)
		SKIP(return, LACKS_FRAGS);
	job.mode = ZCP_MODE_COPY;
	zt_wait_state(self->ctx, zt_submit(self->ctx, &job), ZCP_STATE_SENT);
	frags = look(self, ZFRAGS_SEND, self->conn.tx);
	EXPECT_GT(frags.skbs, 0);
	EXPECT_EQ(0, frags.frags);
	EXPECT_GT(look(self, ZFRAGS_WIRE, -1).skbs, 0);
	EXPECT_EQ(0, look(self, ZFRAGS_WIRE, -1).frags);
	close(self->conn.rx);
	self->conn.rx = -1;
	zt_event(self->ctx, &event);
}

TEST_HARNESS_MAIN
