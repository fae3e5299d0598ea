// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user's links can hold of the workers: half. Theirs stand still here, in a
 * file system or beside who has the socket's lock; another user's jobs go on. And what
 * stands still of a user's does not hold up his other jobs where there are workers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define USER	4242
#define SEED	7
#define LEN	ZT_MIB
/* Turns of a user that may wait for a disk, at a time; and links that ask for more. */
#define TURNS	128
#define LINKS	(TURNS + 2)
/* What a link pushes before it looks for others that wait, if nothing says less. */
#define QUOTA	(2 * ZT_MIB)
/* What a submission pushes by itself is less. */
#define LONG	(16 * ZT_MIB)
/* For what would not come at all, in milliseconds. */
#define LATE	20000

FIXTURE(shares) {
	struct zt_box box;
	struct zf_fs held;	/* of one page */
	struct zf_fs disk;
	struct zn_sock nl;
	struct zt_conn conns[LINKS];
	unsigned int nr_conns;
	struct zt_conn other;
	char node[80];		/* of the device, for all users */
	uint64_t quota;		/* what it was */
	int page;		/* the file in @held */
	int cold;		/* the file in @disk */
	int ctx;
	bool mounted;
};

#define SELF FIXTURE_DATA(shares)

/* A file system in a directory of its own. */
static int mount_at(SELF *self, struct zf_fs *fs, const char *name, uint64_t len)
{
	char dir[80];

	snprintf(dir, sizeof(dir), "%s/%s", self->box.dir, name);
	zt_need(!mkdir(dir, 0755));
	return zf_mount(fs, dir, SEED, len);
}

FIXTURE_SETUP(shares)
{
	struct stat device;
	int ret;

	self->other.tx = -1;
	self->other.rx = -1;
	zt_box_open(&self->box, 65536);
	ret = mount_at(self, &self->held, "held", ZT_PAGE);
	if (ret)
		SKIP(return, "needs FUSE: errno %d", -ret);
	self->mounted = true;
	zt_need(!mount_at(self, &self->disk, "disk", QUOTA));
	snprintf(self->node, sizeof(self->node), "%s/zcp", self->box.dir);
	zt_need(!stat(ZT_DEV, &device) && !chmod(self->box.dir, 0711));
	zt_need(!mknod(self->node, S_IFCHR | 0600, device.st_rdev) && !chmod(self->node, 0666));
	zn_open(&self->nl);
	self->page = zf_open(&self->held);
	self->cold = zf_open(&self->disk);
	self->ctx = zt_open(O_NONBLOCK);
	zf_hold(&self->held, 0);
}

FIXTURE_TEARDOWN(shares)
{
	unsigned int i;

	if (self->mounted) {
		zf_release(&self->held, 0);
		zf_release(&self->disk, 0);
		close(self->ctx);
		close(self->page);
		close(self->cold);
		EXPECT_EQ(0, zf_unmount(&self->held, 0));
		EXPECT_EQ(0, zf_unmount(&self->disk, 0));
		zn_close(&self->nl);
	}
	for (i = 0; i < self->nr_conns; i++)
		zt_close(&self->conns[i]);
	zt_close(&self->other);
	if (self->quota)
		zt_parameter("quota_bytes", self->quota);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Each with a job that waits for the same page; those that have no turn wait for one. */
static void stuck_links(struct __test_metadata *_metadata, SELF *self)
{
	int listener = zt_listen(AF_INET, 0);

	for (; self->nr_conns < LINKS; self->nr_conns++) {
		struct zt_conn *conn = &self->conns[self->nr_conns];

		zt_connect_to(conn, listener, 0);
		zt_submit_range(self->ctx, zt_link(self->ctx, conn->tx), self->page, 0, ZT_PAGE);
	}
	close(listener);
	zn_wait_workers(&self->nl, TURNS);
	EXPECT_EQ(TURNS, zn_held(&self->nl).workers);
}

static void expect_done(struct __test_metadata *_metadata, int ctx, unsigned int nr)
{
	struct zcp_event event;

	while (nr--) {
		zt_event(ctx, &event);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
}

/* Another user sends a file: is it done in time? */
static bool other_user_sends(SELF *self, int file, uint64_t len)
{
	struct zt_sink sink;
	int status;
	pid_t pid;

	zt_connect(&self->other, 0, 0);
	zt_sink_count(&sink, self->other.rx);
	pid = fork();
	zt_need(pid >= 0);
	if (!pid) {
		struct zcp_event event = {};
		int ctx;

		zt_need(!setresgid(USER, USER, USER) && !setresuid(USER, USER, USER));
		ctx = open(self->node, O_RDWR | O_CLOEXEC);
		zt_need(ctx >= 0);
		zt_submit_range(ctx, zt_link(ctx, self->other.tx), file, 0, len);
		if (zt_readable(ctx, ZT_PATIENCE * 1000))
			zt_event(ctx, &event);
		_exit(event.state != ZCP_STATE_DONE);
	}
	zt_need(waitpid(pid, &status, 0) == pid);
	zt_need(!shutdown(self->other.tx, SHUT_WR));
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	return !status && sink.len == len;
}

/* Workers that may wait for a disk. */
TEST_F_TIMEOUT(shares, file_system_that_does_not_answer, 300)
{
	stuck_links(_metadata, self);
	EXPECT_TRUE(other_user_sends(self, self->cold, LEN));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	zf_release(&self->held, 0);
	expect_done(_metadata, self->ctx, LINKS);
}

/* The job behind one that has needed the disk does not, and has other workers. */
TEST_F_TIMEOUT(shares, cached_behind_uncached, 300)
{
	int cached = zt_file(&self->box, 1, LEN);
	uint64_t ids[2];
	struct zcp_event event;
	struct zt_sink sink;
	uint32_t link;
	int i;

	/* The first job takes all of a turn, which began before others waited. */
	self->quota = zt_parameter("quota_bytes", QUOTA);
	zt_connect(&self->other, 4 * QUOTA, 0);
	zt_sink_count(&sink, self->other.rx);
	link = zt_link(self->ctx, self->other.tx);
	zf_hold(&self->disk, 0);
	ids[0] = zt_submit_range(self->ctx, link, self->cold, 0, QUOTA);
	ids[1] = zt_submit_range(self->ctx, link, cached, 0, LEN);
	zf_wait_held(&self->disk);
	zn_wait_workers(&self->nl, 1);
	stuck_links(_metadata, self);
	zf_release(&self->disk, 0);
	for (i = 0; i < 2; i++) {
		EXPECT_TRUE(zt_readable(self->ctx, LATE))
			TH_LOG("job %d", i);
		if (!zt_readable(self->ctx, 0))
			break;
		zt_event(self->ctx, &event);
		EXPECT_EQ(ids[i], event.job);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	zf_release(&self->held, 0);
	expect_done(_metadata, self->ctx, LINKS + 2 - i);
	zt_need(!shutdown(self->other.tx, SHUT_WR));
	zt_sink_join(&sink);
	EXPECT_EQ(QUOTA + LEN, sink.len);
	zt_sink_free(&sink);
	close(cached);
}

/* CPUs that there may be: workers of cached files are in proportion to them. */
static unsigned int possible_cpus(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	unsigned int last = 0;
	int c;

	/* Such as 0-3 or 0,2-5: the number after the last one. */
	zt_need(f);
	while (fscanf(f, "%u", &last) == 1 && (c = fgetc(f)) != EOF && c != '\n')
		;
	fclose(f);
	return last + 1;
}

struct reader {
	pthread_t thread;
	char *memory;
	int sock;
};

static void *reader_main(void *arg)
{
	struct reader *r = arg;

	zt_need(recv(r->sock, r->memory, 1, 0) == 1);
	return NULL;
}

/* A job that is sent slowly, and calls for a worker some times a second. */
static void slow_job(SELF *self, int sock, int file)
{
	struct zcp_segment segs[16];
	struct zcp_job job = zt_job(zt_link(self->ctx, sock), segs, 16);
	int i;

	for (i = 0; i < 16; i++)
		segs[i] = zt_range(file, 0, LEN);
	job.rate = 20 * ZT_KIB;
	zt_submit(self->ctx, &job);
}

/*
 * Workers of cached files: somebody reads from linked sockets into memory that does not
 * come, and has their locks, which whoever sends on them has to wait for.
 */
TEST_F_TIMEOUT(shares, readers_that_have_the_sockets_lock, 300)
{
	unsigned int i, turns = 2 * possible_cpus(), nr = turns + 2;
	int file = zt_file(&self->box, 1, LEN);
	int other = zt_file(&self->box, 2, LONG);
	struct reader *readers = calloc(nr, sizeof(*readers));
	char *memory;

	if (nr > LINKS)
		SKIP(return, "needs a machine with fewer CPUs");
	memory = mmap(NULL, ZT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->page, 0);
	zt_need(readers && memory != MAP_FAILED);
	for (i = 0; i < nr; i++) {
		struct zt_conn *conn = &self->conns[self->nr_conns++];

		zt_connect_holding(conn);
		slow_job(self, conn->tx, file);
		zt_need(send(conn->rx, "x", 1, 0) == 1);
		readers[i].memory = memory + i;
		readers[i].sock = conn->tx;
		zt_need(!pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]));
	}
	zf_wait_held(&self->held);
	zn_wait_workers(&self->nl, turns);
	EXPECT_EQ(turns, zn_held(&self->nl).workers);
	EXPECT_TRUE(other_user_sends(self, other, LONG));
	zf_release(&self->held, 0);
	for (i = 0; i < nr; i++)
		zt_need(!pthread_join(readers[i].thread, NULL));
	EXPECT_EQ(nr, zt_jobs(self->ctx));
	munmap(memory, ZT_PAGE);
	free(readers);
	close(other);
	close(file);
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

/*
 * A long batch calls for workers when all of it is queued. Part of it is in memory that
 * does not come: who waits for room on a link of that batch does not wait for the rest.
 */
TEST_F_TIMEOUT(shares, batch_that_stands_still, 240)
{
	enum { NR = 17 };
	int file = zt_file(&self->box, 1, LEN), i;
	struct zcp_segment segs[2] = { zt_range(file, 0, LEN), zt_range(file, 0, 100) };
	struct submission s = { .ctx = self->ctx };
	struct zcp_job jobs[NR];
	struct zcp_event event;
	uint32_t links[2];
	struct zt_sink sink;
	bool came;
	void *memory;
	uint64_t id;

	memory = mmap(NULL, ZT_PAGE, PROT_READ, MAP_PRIVATE, self->page, 0);
	zt_need(memory != MAP_FAILED);
	self->nr_conns = 2;
	zt_connect_blocking(&self->conns[0]);
	zt_connect(&self->conns[1], 0, 0);
	for (i = 0; i < 2; i++)
		links[i] = zt_link(self->ctx, self->conns[i].tx);
	id = zt_submit_range(self->ctx, links[0], file, 0, LEN);
	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);

	jobs[0] = zt_job(links[0], &segs[0], 1);
	jobs[1] = zt_job(links[1], memory, 1);
	for (i = 2; i < NR; i++)
		jobs[i] = zt_job(links[1], &segs[1], 1);
	s.req = (struct zcp_submit) {
		.size = sizeof(s.req), .jobs = (uintptr_t)jobs, .nr_jobs = NR,
		.job_size = sizeof(*jobs),
	};
	zt_need(!pthread_create(&s.thread, NULL, submission_main, &s));
	zf_wait_held(&self->held);
	zt_sink_start(&sink, self->conns[0].rx, 2 * LEN);
	came = zt_readable(self->ctx, LATE);
	EXPECT_TRUE(came);
	zf_release(&self->held, 0);
	zt_need(!pthread_join(s.thread, NULL));
	/* The second job is nonsense: what is in the file. */
	EXPECT_EQ(0, s.ret);
	EXPECT_EQ(1, s.req.accepted);
	EXPECT_NE(0, s.req.error);
	for (i = 0; i < 2; i++) {
		zt_event(self->ctx, &event);
		EXPECT_EQ(i ? jobs[0].id : id, event.job);
		EXPECT_EQ(ZCP_STATE_DONE, event.state);
	}
	zt_sink_join(&sink);
	EXPECT_EQ(2 * LEN, sink.len);
	EXPECT_EQ(-1, zt_mismatch(sink.buf, LEN, 1, 0));
	zt_sink_free(&sink);
	munmap(memory, ZT_PAGE);
	close(file);
}

/*
 * No worker was called for a link of a batch that stands still. One that is called for
 * another user's link may take that one first, and wait for its socket's lock.
 */
TEST_F_TIMEOUT(shares, call_for_another_user, 240)
{
	enum { NR = 17 };
	int file = zt_file(&self->box, 1, LEN), other = zt_file(&self->box, 2, LONG), i;
	struct zcp_segment segs[2] = { zt_range(file, 0, LEN), zt_range(file, 0, 100) };
	struct submission s = { .ctx = self->ctx };
	struct reader reader = {};
	struct zcp_job jobs[NR];
	struct zcp_event event;
	struct zt_sink sink;
	uint32_t links[2];

	reader.memory = mmap(NULL, ZT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->page, 0);
	zt_need(reader.memory != MAP_FAILED);
	self->nr_conns = 2;
	for (i = 0; i < 2; i++) {
		zt_connect(&self->conns[i], 0, 0);
		links[i] = zt_link(self->ctx, self->conns[i].tx);
	}
	reader.sock = self->conns[0].tx;
	zt_need(send(self->conns[0].rx, "x", 1, 0) == 1);
	zt_need(!pthread_create(&reader.thread, NULL, reader_main, &reader));
	zf_wait_held(&self->held);

	jobs[0] = zt_job(links[0], &segs[0], 1);
	jobs[1] = zt_job(links[1], (void *)reader.memory, 1);
	for (i = 2; i < NR; i++)
		jobs[i] = zt_job(links[1], &segs[1], 1);
	s.req = (struct zcp_submit) {
		.size = sizeof(s.req), .jobs = (uintptr_t)jobs, .nr_jobs = NR,
		.job_size = sizeof(*jobs),
	};
	zt_need(!pthread_create(&s.thread, NULL, submission_main, &s));
	while (!__atomic_load_n(&jobs[0].id, __ATOMIC_ACQUIRE))
		zt_sleep_ms(10);
	zt_sleep_ms(ZT_WATCH / 4);
	EXPECT_EQ(0, zn_held(&self->nl).workers);
	EXPECT_TRUE(other_user_sends(self, other, LONG));
	EXPECT_EQ(1, zn_held(&self->nl).workers);

	zt_sink_count(&sink, self->conns[0].rx);
	zf_release(&self->held, 0);
	zt_need(!pthread_join(s.thread, NULL) && !pthread_join(reader.thread, NULL));
	EXPECT_EQ(1, s.req.accepted);
	zt_event(self->ctx, &event);
	EXPECT_EQ(jobs[0].id, event.job);
	EXPECT_EQ(ZCP_STATE_DONE, event.state);
	zt_need(!shutdown(self->conns[0].tx, SHUT_WR));
	zt_sink_join(&sink);
	zt_sink_free(&sink);
	munmap(reader.memory, ZT_PAGE);
	close(other);
	close(file);
}

TEST_HARNESS_MAIN
