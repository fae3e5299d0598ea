// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs that leave the page cache as they found it: on a disk file system, in
 * an image on a loop device.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define LEN	(40 * ZT_MIB + 5)
#define PAGES	((LEN + ZT_PAGE - 1) / ZT_PAGE)
/*
 * Pages that each CPU may hold: on their way to the lists of the page cache,
 * and in 64 packets of 64 KiB that were received and will be freed later.
 */
#define STRAY	((32 + 64 * 17) * sysconf(_SC_NPROCESSORS_ONLN))

FIXTURE(nocache) {
	struct zt_box box;
	struct zt_conn conn;
	char mnt[96];
	int ctx;
	int file;
	uint32_t link;
	bool mounted;
};

FIXTURE_SETUP(nocache)
{
	char path[128];

	/*
	 * khugepaged takes a reference to the file of a mapping that it looks at, and has
	 * it for a while after the mapping is gone: the file system could not be unmounted.
	 */
	zt_need(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	zt_box_open(&self->box, 65536);
	self->ctx = zt_open(O_NONBLOCK);
	self->file = -1;
	self->conn.tx = -1;
	snprintf(self->mnt, sizeof(self->mnt), "%s/mnt", self->box.dir);
	self->mounted = !zt_run("truncate -s 96M %s/image", self->box.dir) &&
			!zt_run("mkfs.ext4 -q -F %s/image", self->box.dir) &&
			!zt_run("cd %s && mkdir mnt && mount -o loop image mnt", self->box.dir);
	/* Older harnesses go on with the test, so each of them asks again. */
	if (!self->mounted)
		SKIP(return, "needs ext4, mkfs.ext4 and a loop device");
	snprintf(path, sizeof(path), "%s/file", self->mnt);
	self->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ASSERT_GE(self->file, 0);
	zt_fill(self->file, 1, 0, LEN);
	ASSERT_EQ(0, fsync(self->file));
	ASSERT_EQ(0, posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
}

FIXTURE_TEARDOWN(nocache)
{
	close(self->file);
	EXPECT_EQ(0, zt_jobs(self->ctx));
	/* No page of a job holds the file system. */
	if (self->mounted)
		EXPECT_EQ(0, umount(self->mnt));
	close(self->ctx);
	zt_close(&self->conn);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Pages of the file in memory, from @first, of @nr. */
static unsigned int resident(int file, size_t first, size_t nr)
{
	static unsigned char vec[PAGES];
	unsigned int n = 0;
	void *map;
	size_t i;

	map = mmap(NULL, nr * ZT_PAGE, PROT_READ, MAP_SHARED, file, first * ZT_PAGE);
	zt_need(map != MAP_FAILED);
	zt_need(!mincore(map, nr * ZT_PAGE, vec));
	munmap(map, nr * ZT_PAGE);
	for (i = 0; i < nr; i++)
		n += vec[i] & 1;
	return n;
}

/* Reads a range, and nothing around it. */
static void make_resident(int file, size_t first, size_t nr)
{
	static char page[ZT_PAGE];
	size_t i;

	zt_need(!posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM));
	for (i = first; i < first + nr; i++)
		zt_need(pread(file, page, sizeof(page), i * ZT_PAGE) > 0);
	zt_need(!posix_fadvise(file, 0, 0, POSIX_FADV_NORMAL));
}

static uint64_t submit_nocache(FIXTURE_DATA(nocache) *self, uint64_t off, uint64_t len)
{
	struct zcp_segment seg = zt_range(self->file, off, len);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	job.flags = ZCP_JOB_NOCACHE;
	return zt_submit(self->ctx, &job);
}

/* Sends a range, checks its bytes, and returns the status before the event is read. */
static void transfer(struct __test_metadata *_metadata, FIXTURE_DATA(nocache) *self,
		     uint64_t off, uint64_t len, struct zcp_status *status)
{
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id;

	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	zt_sink_start(&sink, self->conn.rx, len);
	id = submit_nocache(self, off, len);
	zt_sink_join(&sink);
	ASSERT_EQ(len, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, len, 1, off));
	zt_sink_free(&sink);
	zt_wait_state(self->ctx, id, ZCP_STATE_DONE);
	ASSERT_EQ(0, zt_status(self->ctx, id, status));
	EXPECT_EQ(ZCP_JOB_NOCACHE, status->job_flags);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(len, event.bytes_zerocopy + event.bytes_copied);
	/* Packets that hold pages are waited for, but not for long. */
	EXPECT_LT(event.end_ns - event.acked_ns, 800 * 1000 * 1000);
}

TEST_F_TIMEOUT(nocache, leaves_no_trace, 240)
{
	struct zcp_status status;

	if (!self->mounted)
		return;
	ASSERT_LE(resident(self->file, 0, PAGES), STRAY);
	ASSERT_EQ(0, zt_run("echo 3 >/proc/sys/vm/drop_caches"));
	ASSERT_EQ(0, resident(self->file, 0, PAGES));
	transfer(_metadata, self, 0, LEN, &status);
	EXPECT_LE(resident(self->file, 0, PAGES), STRAY);
	EXPECT_GT(status.bytes_dropped, 0);
	EXPECT_LE(status.bytes_dropped, PAGES * ZT_PAGE);
	EXPECT_GE(status.bytes_zerocopy, LEN - 64 * ZT_KIB);
}

TEST_F_TIMEOUT(nocache, what_was_there_stays, 240)
{
	struct zcp_status status;

	if (!self->mounted)
		return;
	ASSERT_EQ(0, zt_run("echo 3 >/proc/sys/vm/drop_caches"));
	make_resident(self->file, 100, 50);
	make_resident(self->file, 1000, 3000);
	make_resident(self->file, PAGES - 1, 1);
	ASSERT_EQ(3051, resident(self->file, 0, PAGES));
	transfer(_metadata, self, 0, LEN, &status);
	EXPECT_EQ(50, resident(self->file, 100, 50));
	EXPECT_EQ(3000, resident(self->file, 1000, 3000));
	EXPECT_EQ(1, resident(self->file, PAGES - 1, 1));
	EXPECT_LE(resident(self->file, 0, PAGES), 3051 + STRAY);
}

TEST_F_TIMEOUT(nocache, what_others_use_stays, 240)
{
	const size_t used = 16;
	struct zcp_status status;
	volatile char *map;
	uint64_t id;
	size_t i;

	if (!self->mounted)
		return;
	ASSERT_EQ(0, zt_run("echo 3 >/proc/sys/vm/drop_caches"));
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	id = submit_nocache(self, 0, LEN);
	do {
		zt_sleep_ms(10);
		ASSERT_EQ(0, zt_status(self->ctx, id, &status));
	} while (status.bytes_sent < used * ZT_PAGE);
	/* Brought in by the job, in its packets; now used by us as well. */
	map = mmap(NULL, used * ZT_PAGE, PROT_READ, MAP_SHARED, self->file, 0);
	ASSERT_NE(MAP_FAILED, (void *)map);
	for (i = 0; i < used; i++)
		(void)map[i * ZT_PAGE];
	{
		struct zcp_event event;
		struct zt_sink sink;

		zt_sink_start(&sink, self->conn.rx, LEN);
		zt_sink_join(&sink);
		EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, 1, 0));
		zt_sink_free(&sink);
		zt_wait_state(self->ctx, id, ZCP_STATE_DONE);
		zt_event(self->ctx, &event);
	}
	EXPECT_EQ(used, resident(self->file, 0, used));
	EXPECT_LE(resident(self->file, used, PAGES - used), STRAY);
	munmap((void *)map, used * ZT_PAGE);
}

/*
 * A receiver on this machine holds pages as long as it has not read them, which is
 * long after they were acknowledged when its buffer is large.
 */
static void transfer_late(struct __test_metadata *_metadata, FIXTURE_DATA(nocache) *self,
			  uint64_t held)
{
	int listener, rcvbuf = 2 * LEN;
	struct zcp_status status;
	struct zcp_segment seg;
	struct zcp_event event;
	struct zt_sink sink;
	struct zcp_job job;
	uint64_t id;

	listener = zt_listen(AF_INET, 0);
	zt_need(!setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)));
	zt_connect_to(&self->conn, listener, 0);
	close(listener);
	self->link = zt_link(self->ctx, self->conn.tx);
	seg = zt_range(self->file, 0, LEN);
	job = zt_job(self->link, &seg, 1);
	job.flags = ZCP_JOB_NOCACHE;
	/* So that the receiver can have read everything when it ends. */
	job.rate = 24 * ZT_MIB;
	id = zt_submit(self->ctx, &job);
	do {
		zt_sleep_ms(10);
		ASSERT_EQ(0, zt_status(self->ctx, id, &status));
	} while (status.bytes_acked < held);
	EXPECT_GE(resident(self->file, 0, PAGES), held / ZT_PAGE);
	zt_sink_count(&sink, self->conn.rx);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(LEN, event.bytes_acked);
	EXPECT_EQ(0, shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(LEN, sink.len);
	zt_sink_free(&sink);
}

TEST_F_TIMEOUT(nocache, held_by_a_late_receiver, 240)
{
	if (!self->mounted)
		return;
	ASSERT_EQ(0, zt_run("echo 3 >/proc/sys/vm/drop_caches"));
	transfer_late(_metadata, self, 30 * ZT_MIB);
	EXPECT_LE(resident(self->file, 0, PAGES), STRAY)
		TH_LOG("%u pages are left", resident(self->file, 0, PAGES));
}

/* More pieces than a job can keep account of: those that were there stay. */
TEST_F_TIMEOUT(nocache, held_in_many_pieces, 240)
{
	const size_t step = 32;
	size_t i;

	if (!self->mounted)
		return;
	ASSERT_EQ(0, zt_run("echo 3 >/proc/sys/vm/drop_caches"));
	for (i = 0; i < PAGES; i += step)
		make_resident(self->file, i, 1);
	ASSERT_EQ((PAGES + step - 1) / step, resident(self->file, 0, PAGES));
	transfer_late(_metadata, self, 30 * ZT_MIB);
	for (i = 0; i < PAGES; i += step)
		EXPECT_EQ(1, resident(self->file, i, 1));
}

/* What was read ahead and never sent goes as well. */
TEST_F_TIMEOUT(nocache, cancelled, 240)
{
	struct zcp_status status;
	struct zcp_cancel cancel;
	struct zcp_event event;
	struct zt_sink sink;
	uint64_t id;

	if (!self->mounted)
		return;
	ASSERT_EQ(0, zt_run("echo 3 >/proc/sys/vm/drop_caches"));
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	id = submit_nocache(self, 0, LEN);
	do {
		zt_sleep_ms(10);
		ASSERT_EQ(0, zt_status(self->ctx, id, &status));
	} while (!status.bytes_sent);
	ASSERT_EQ(0, zt_cancel(self->ctx, id, &cancel));
	EXPECT_EQ(1, cancel.cancelled);
	ASSERT_EQ(0, zt_unlink(self->ctx, self->link, NULL));
	shutdown(self->conn.tx, SHUT_WR);
	zt_sink_count(&sink, self->conn.rx);
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	EXPECT_LE(resident(self->file, 0, PAGES), STRAY);
}

/* A tmpfs has nothing to drop; a file system that reads for itself is refused. */
TEST_F_TIMEOUT(nocache, other_file_systems, 240)
{
	int file = zt_file(&self->box, 2, ZT_MIB), over;
	struct zcp_segment seg = zt_range(file, 0, ZT_MIB);
	struct zcp_event event;
	struct zt_sink sink;
	struct zcp_job job;
	char path[128];

	if (!self->mounted)
		return;
	zt_connect(&self->conn, 0, 0);
	self->link = zt_link(self->ctx, self->conn.tx);
	job = zt_job(self->link, &seg, 1);
	job.flags = ZCP_JOB_NOCACHE;
	ASSERT_GT(zt_submit(self->ctx, &job), 0);
	zt_sink_start(&sink, self->conn.rx, ZT_MIB);
	zt_sink_join(&sink);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, ZT_MIB, 2, 0));
	zt_sink_free(&sink);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	close(file);

	ASSERT_EQ(0, zt_run("cd %s && mkdir upper work over", self->box.dir));
	snprintf(path, sizeof(path), "lowerdir=mnt,upperdir=upper,workdir=work");
	ASSERT_EQ(0, zt_run("cd %s && mount -t overlay -o %s none over", self->box.dir, path));
	snprintf(path, sizeof(path), "%s/over/file", self->box.dir);
	over = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(over, 0);
	seg = zt_range(over, 0, ZT_MIB);
	EXPECT_EQ(-EOPNOTSUPP, zt_try_submit(self->ctx, &job));
	close(over);
	EXPECT_EQ(0, zt_run("umount %s/over", self->box.dir));
}

/* An empty job waits for the bytes before it, which have no job any more. */
TEST_F_TIMEOUT(nocache, empty_behind_unacked, 240)
{
	struct zcp_event event;
	uint64_t first, empty;

	if (!self->mounted)
		return;
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	first = zt_submit_range(self->ctx, self->link, self->file, 0, ZT_MIB);
	zt_wait_state(self->ctx, first, ZCP_STATE_SENT);
	empty = submit_nocache(self, 0, 0);
	zt_wait_state(self->ctx, empty, ZCP_STATE_SENT);
	zt_need(zt_unacked(self->conn.tx));
	zt_cancel(self->ctx, first, &(struct zcp_cancel) {});
	zt_event(self->ctx, &event);
	EXPECT_EQ(first, event.job);
	EXPECT_FALSE(zt_readable(self->ctx, ZT_WATCH));
	EXPECT_EQ(0, shutdown(self->conn.tx, SHUT_WR));
	EXPECT_EQ(ZT_MIB, zt_drain(self->conn.rx));
	zt_event(self->ctx, &event);
	EXPECT_EQ(empty, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
}

#define BATCH	4096
#define BATCHES	8
#define BEHIND	16384
/* Of what should take about as long; else it is ten times and more. */
#define RATIO_SENT	3
#define RATIO_ACKED	5
/* Something else may have taken the time, now and then. */
#define ROUNDS	3

FIXTURE(many) {
	struct zt_box box;
	struct zt_conn conn;
	int ctx;
	int file;
	uint32_t link;
};

FIXTURE_SETUP(many)
{
	zt_box_open(&self->box, 1500);
	self->file = zt_file(&self->box, 1, ZT_MIB);
}

FIXTURE_TEARDOWN(many)
{
	close(self->file);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Empty jobs, in batches. */
static uint64_t submit_empty(FIXTURE_DATA(many) *self, unsigned int nr, uint32_t flags)
{
	static struct zcp_job jobs[BATCH];
	struct zcp_segment seg = zt_inline("", 0);
	struct zcp_submit submit = {
		.size = sizeof(submit), .jobs = (uintptr_t)jobs, .nr_jobs = BATCH,
		.job_size = sizeof(jobs[0]),
	};
	unsigned int i, done;

	for (done = 0; done < nr; done += BATCH) {
		for (i = 0; i < BATCH; i++) {
			jobs[i] = zt_job(self->link, &seg, 1);
			jobs[i].flags = flags;
		}
		zt_need(!ioctl(self->ctx, ZCP_IOC_SUBMIT, &submit) && submit.accepted == BATCH);
	}
	return jobs[BATCH - 1].id;
}

/* One that leaves no trace, and is done. */
static void nocache_once(FIXTURE_DATA(many) *self)
{
	struct zcp_segment seg = zt_inline("x", 1);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct zcp_event event;

	job.flags = ZCP_JOB_NOCACHE;
	zt_submit(self->ctx, &job);
	zt_event(self->ctx, &event);
	zt_need(event.state == ZCP_STATE_DONE);
}

/* A link with bytes that are sent, of which the peer acknowledges a part until it reads. */
static void stalled_link(FIXTURE_DATA(many) *self, bool nocache)
{
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	if (nocache)
		nocache_once(self);
	zt_wait_state(self->ctx, zt_submit_range(self->ctx, self->link, self->file, 0, ZT_MIB),
		      ZCP_STATE_SENT);
}

static void end_link(FIXTURE_DATA(many) *self)
{
	close(self->ctx);
	zt_close(&self->conn);
}

static void wait_sent(int ctx, uint64_t id)
{
	uint64_t begin = zt_now_ns();

	while (zt_state(ctx, id) != ZCP_STATE_SENT) {
		zt_need(zt_now_ns() - begin < ZT_PATIENCE * 1000000000ULL);
		zt_sleep_ms(1);
	}
}

/* Until all of them are sent. */
static uint64_t time_sent(FIXTURE_DATA(many) *self, bool nocache)
{
	uint64_t ns;

	stalled_link(self, nocache);
	ns = zt_now_ns();
	wait_sent(self->ctx, submit_empty(self, BATCHES * BATCH, 0));
	ns = zt_now_ns() - ns;
	end_link(self);
	return ns;
}

/* From the peer's first read to the last event. */
static uint64_t time_acked(FIXTURE_DATA(many) *self, bool nocache)
{
	static struct zcp_event events[256];
	uint64_t ns, last, first;
	struct zt_sink sink;
	unsigned int nr = 0;
	ssize_t n;

	stalled_link(self, false);
	last = submit_empty(self, BEHIND, nocache ? ZCP_JOB_NOCACHE : 0);
	wait_sent(self->ctx, last);
	first = zt_now_ns();
	zt_sink_count(&sink, self->conn.rx);
	while (nr < BEHIND + 1) {
		zt_need(zt_readable(self->ctx, ZT_PATIENCE * 1000));
		n = read(self->ctx, events, sizeof(events));
		zt_need(n > 0 && n % sizeof(events[0]) == 0);
		nr += n / sizeof(events[0]);
		zt_need(events[0].state == ZCP_STATE_DONE);
	}
	ns = zt_now_ns() - first;
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	end_link(self);
	return ns;
}

typedef uint64_t (*timed)(FIXTURE_DATA(many) *self, bool nocache);

/* The best of some rounds. */
static void expect_ratio(struct __test_metadata *_metadata, FIXTURE_DATA(many) *self,
			 timed call, unsigned int most)
{
	uint64_t plain = UINT64_MAX, nocache = UINT64_MAX, ns;
	int i;

	for (i = 0; i < ROUNDS && (!i || nocache >= most * plain); i++) {
		ns = call(self, false);
		plain = ns < plain ? ns : plain;
		ns = call(self, true);
		nocache = ns < nocache ? ns : nocache;
	}
	TH_LOG("%llu and %llu us", plain / 1000ULL, nocache / 1000ULL);
	EXPECT_LT(nocache, most * plain);
}

/* Jobs that wait for acknowledgments are not looked at each time that one is sent. */
TEST_F_TIMEOUT(many, sent_after_one, 600)
{
	expect_ratio(_metadata, self, time_sent, RATIO_SENT);
}

/* Nor, when many are acknowledged together, at all of them for each. */
TEST_F_TIMEOUT(many, acked_together, 600)
{
	expect_ratio(_metadata, self, time_acked, RATIO_ACKED);
}

TEST_HARNESS_MAIN
