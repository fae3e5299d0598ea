// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose rights count: for each read those of who submitted the job, as they were
 * then, and what read(2) and sendfile(2) are refused zcp is refused too. Who
 * opened the file, and who runs the job, does not matter.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/landlock.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_test.h"

#define LEN	ZT_MIB
#define HELD	(LEN / 2)
#define SEED	7
#define USER	4242

FIXTURE(creds) {
	struct zt_box box;
	struct zt_conn conn;
	struct zt_sink sink;
	struct zf_fs fs;
	bool mounted;
	uint32_t link;
	int ctx;
	int file;	/* whose reads are page-cache reads */
	int slow;	/* which the file system is asked for, each time */
	int bpf;
};

#define SELF FIXTURE_DATA(creds)

FIXTURE_SETUP(creds)
{
	self->slow = -1;
	self->bpf = -1;
	zt_box_open(&self->box, 1500);
	self->file = zt_file(&self->box, SEED, LEN);
	self->ctx = zt_open(O_NONBLOCK);
	zt_connect_holding(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
	self->mounted = !zf_mount(&self->fs, self->box.dir, SEED, LEN);
	if (self->mounted)
		self->slow = zf_open(&self->fs);
}

FIXTURE_TEARDOWN(creds)
{
	if (self->bpf >= 0)
		close(self->bpf);
	EXPECT_EQ(0, zt_jobs(self->ctx));
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	close(self->ctx);
	close(self->file);
	zt_close(&self->conn);
	if (self->mounted) {
		close(self->slow);
		EXPECT_EQ(0, zf_unmount(&self->fs, 0));
	}
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* What three ways to send say: 0 or -errno. */
struct verdict {
	int sendfile;
	int xfer;
	int submit;
};

static int try_submit(SELF *self, int file, uint64_t len)
{
	struct zcp_segment seg = zt_range(file, 0, len);
	struct zcp_job job = zt_job(self->link, &seg, 1);

	return zt_try_submit(self->ctx, &job);
}

static struct verdict judge(SELF *self, int file)
{
	struct zcp_xfer xfer = {
		.size = sizeof(xfer), .in_fd = file, .out_fd = self->conn.tx, .count = 100,
	};
	struct verdict v = {};
	off_t off = 0;

	if (sendfile(self->conn.tx, file, &off, 100) < 0)
		v.sendfile = -errno;
	if (ioctl(self->ctx, ZCP_IOC_XFER, &xfer))
		v.xfer = -errno;
	v.submit = try_submit(self, file, 100);
	return v;
}

typedef int (*become)(void);

/* The verdict on a child that has become somebody else. */
static struct verdict judge_as(SELF *self, int file, become who)
{
	struct verdict v, *shared;
	int status;
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	zt_need(shared != MAP_FAILED);
	pid = fork();
	zt_need(pid >= 0);
	if (!pid) {
		zt_need(!who());
		*shared = judge(self, file);
		_exit(0);
	}
	zt_need(waitpid(pid, &status, 0) == pid && !status);
	v = *shared;
	munmap(shared, sizeof(*shared));
	return v;
}

static int become_user(void)
{
	return setresgid(USER, USER, USER) || setresuid(USER, USER, USER);
}

static int become_root_of_a_namespace(void)
{
	return become_user() || unshare(CLONE_NEWUSER);
}

/* May open nothing any more. */
static int become_landlocked(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE,
	};
	int fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (fd < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, fd, 0))
		return -errno;
	return open("/dev/zcp", O_RDWR) < 0 && errno == EACCES ? 0 : -EINVAL;
}

static void expect_verdict(struct __test_metadata *_metadata, struct verdict v, int want)
{
	EXPECT_EQ(want, v.sendfile);
	EXPECT_EQ(want, v.xfer);
	EXPECT_EQ(want, v.submit);
}

static void expect_done(struct __test_metadata *_metadata, SELF *self)
{
	struct zcp_event event;

	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_DONE, event.state)
		TH_LOG("error %u", event.error);
}

/* A file that a privileged process has opened, which they themselves cannot. */
TEST_F_TIMEOUT(creds, passed_file, 240)
{
	expect_verdict(_metadata, judge_as(self, self->file, become_user), 0);
	expect_done(_metadata, self);
	expect_verdict(_metadata, judge_as(self, self->file, become_root_of_a_namespace), 0);
	expect_done(_metadata, self);
}

TEST_F_TIMEOUT(creds, passed_file_with_landlock, 240)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0)
		SKIP(return, "the kernel lacks Landlock: errno %d", errno);
	expect_verdict(_metadata, judge_as(self, self->file, become_landlocked), 0);
	expect_done(_metadata, self);
}

/* Says no, while it is told to, to whoever reads a file. */
struct guard {
	pthread_t thread;
	int fd;
	bool deny;
	unsigned int asked;
};

static void *guard_main(void *arg)
{
	struct fanotify_event_metadata event;
	struct guard *guard = arg;

	while (read(guard->fd, &event, sizeof(event)) == sizeof(event)) {
		struct fanotify_response answer = {
			.fd = event.fd,
			.response = __atomic_load_n(&guard->deny, __ATOMIC_ACQUIRE) ?
				    FAN_DENY : FAN_ALLOW,
		};

		__atomic_fetch_add(&guard->asked, 1, __ATOMIC_RELAXED);
		zt_need(write(guard->fd, &answer, sizeof(answer)) == sizeof(answer));
		close(event.fd);
	}
	return NULL;
}

/* Open @file anew: newer kernels ask for no file that was open before it was watched. */
static void open_again(int file)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	fd = open(path, O_RDONLY | O_CLOEXEC | (fcntl(file, F_GETFL) & O_DIRECT));
	zt_need(fd >= 0 && dup2(fd, file) == file);
	close(fd);
}

/* 0, or -errno when the kernel cannot. */
static int guard_start(struct guard *guard, int file, bool deny)
{
	int ret = 0;

	memset(guard, 0, sizeof(*guard));
	guard->deny = deny;
	guard->fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);
	if (guard->fd < 0)
		return -errno;
	if (fanotify_mark(guard->fd, FAN_MARK_ADD, FAN_ACCESS_PERM, file, NULL)) {
		ret = -errno;
		close(guard->fd);
		return ret;
	}
	open_again(file);
	zt_need(!pthread_create(&guard->thread, NULL, guard_main, guard));
	return 0;
}

static void guard_stop(struct guard *guard)
{
	pthread_cancel(guard->thread);
	pthread_join(guard->thread, NULL);
	close(guard->fd);
}

TEST_F_TIMEOUT(creds, fanotify_denies, 240)
{
	struct guard guard;
	int ret;

	ret = guard_start(&guard, self->file, true);
	if (ret)
		SKIP(return, "the kernel lacks permission events of fanotify: errno %d", -ret);
	expect_verdict(_metadata, judge(self, self->file), -EPERM);
	__atomic_store_n(&guard.deny, false, __ATOMIC_RELEASE);
	expect_verdict(_metadata, judge(self, self->file), 0);
	expect_done(_metadata, self);
	EXPECT_GE(guard.asked, 6);
	guard_stop(&guard);
}

/* A job that waits for its file: submitted by @who, and in the middle of it. */
static void submit_slow(SELF *self, become who)
{
	struct zcp_status first = { .size = sizeof(first), .flags = ZCP_STATUS_NEXT };
	int status;
	pid_t pid;

	zf_hold(&self->fs, HELD);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	pid = fork();
	zt_need(pid >= 0);
	if (!pid) {
		zt_need(!who || !who());
		_exit(-try_submit(self, self->slow, LEN));
	}
	zt_need(waitpid(pid, &status, 0) == pid && !status);
	zf_wait_held(&self->fs);
	zt_need(!ioctl(self->ctx, ZCP_IOC_STATUS, &first));
	zt_wait_stuck(self->ctx, first.job);
}

/* It was denied in the middle: what it may read by then has been sent. */
static void expect_denied(struct __test_metadata *_metadata, SELF *self, int error)
{
	struct zcp_event event;

	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(ZCP_STATE_FAILED, event.state);
	EXPECT_EQ(error, event.error);
	EXPECT_GT(event.bytes_sent, 0);
	EXPECT_LT(event.bytes_sent, LEN);
	EXPECT_EQ(event.bytes_sent, event.position);
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&self->sink);
	EXPECT_EQ(event.bytes_sent, self->sink.len);
	EXPECT_EQ(-1, zt_mismatch(self->sink.buf, self->sink.len, SEED, 0));
	zt_sink_free(&self->sink);
}

/* Where a worker reads through the file system it is asked again. */
TEST_F_TIMEOUT(creds, fanotify_denies_in_the_middle, 240)
{
	struct guard guard;
	int ret;

	if (!self->mounted)
		SKIP(return, "the kernel lacks FUSE");
	ret = guard_start(&guard, self->slow, false);
	if (ret)
		SKIP(return, "the kernel lacks permission events of fanotify: errno %d", -ret);
	submit_slow(self, NULL);
	__atomic_store_n(&guard.deny, true, __ATOMIC_RELEASE);
	expect_denied(_metadata, self, EPERM);
	guard_stop(&guard);
}

/* A program of the BPF LSM that lets this user read nothing; 0 or -errno. */
static int deny_user(SELF *self)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_uid_gid },
		/* The upper half is the group. */
		{ .code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 1, .off = 1, .imm = USER },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -EACCES },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_LSM_MAC);
	int prog, ret;

	libbpf_set_print(NULL);
	ret = libbpf_find_vmlinux_btf_id("file_permission", BPF_LSM_MAC);
	if (ret < 0)
		return ret;
	opts.attach_btf_id = ret;
	prog = bpf_prog_load(BPF_PROG_TYPE_LSM, "zcp_test", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), &opts);
	if (prog < 0)
		return -errno;
	self->bpf = bpf_raw_tracepoint_open(NULL, prog);
	ret = self->bpf < 0 ? -errno : 0;
	close(prog);
	return ret;
}

TEST_F_TIMEOUT(creds, lsm_denies, 240)
{
	struct verdict v;
	int ret;

	/* Loaded, but not in the list of lsm=, it is never asked. */
	ret = deny_user(self);
	if (!ret && judge_as(self, self->file, become_user).sendfile != -EACCES)
		ret = -EOPNOTSUPP;
	if (ret) {
		while (zt_readable(self->ctx, 0))
			expect_done(_metadata, self);
		SKIP(return, "the kernel lacks a BPF LSM that is in use: errno %d", -ret);
	}
	expect_verdict(_metadata, judge_as(self, self->file, become_user), -EACCES);
	v = judge_as(self, self->file, become_root_of_a_namespace);
	expect_verdict(_metadata, v, -EACCES);
	expect_verdict(_metadata, judge(self, self->file), 0);
	expect_done(_metadata, self);
}

/* The worker reads as who has submitted, whom the module now refuses. */
TEST_F_TIMEOUT(creds, lsm_denies_in_the_middle, 240)
{
	int ret;

	if (!self->mounted)
		SKIP(return, "the kernel lacks FUSE");
	submit_slow(self, become_user);
	ret = deny_user(self);
	if (!ret && judge_as(self, self->file, become_user).sendfile != -EACCES)
		ret = -EOPNOTSUPP;
	if (ret) {
		zf_release(&self->fs, 0);
		do {
			expect_done(_metadata, self);
		} while (zt_jobs(self->ctx));
		shutdown(self->conn.tx, SHUT_WR);
		zt_sink_join(&self->sink);
		zt_sink_free(&self->sink);
		SKIP(return, "the kernel lacks a BPF LSM that is in use: errno %d", -ret);
	}
	expect_denied(_metadata, self, EACCES);
}

/* And not as what the submitter has become since. */
TEST_F_TIMEOUT(creds, submitter_has_dropped_privileges, 240)
{
	uint32_t uid;

	if (!self->mounted)
		SKIP(return, "the kernel lacks FUSE");
	zf_hold(&self->fs, HELD);
	zt_sink_start(&self->sink, self->conn.rx, 2 * LEN);
	ASSERT_EQ(0, try_submit(self, self->slow, LEN));
	zf_wait_held(&self->fs);
	/* Only of this thread: those of the job are known to the kernel. */
	ASSERT_EQ(0, syscall(SYS_setresuid, -1, USER, -1));
	zf_release(&self->fs, 0);
	expect_done(_metadata, self);
	ASSERT_EQ(0, syscall(SYS_setresuid, -1, 0, -1));
	zt_need(!shutdown(self->conn.tx, SHUT_WR));
	zt_sink_join(&self->sink);
	EXPECT_EQ(LEN, self->sink.len);
	zt_sink_free(&self->sink);
	EXPECT_GT(zf_reads(&self->fs, &uid), 0);
	EXPECT_EQ(0, uid);
}

TEST_HARNESS_MAIN
