// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of the kernel ABI is frozen and the same for 32-bit callers: the
 * offsets here, and a 32-bit program that does real work.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_test.h"

#define AT(type, member, offset) \
	_Static_assert(offsetof(struct zcp_##type, member) == (offset), \
		       #type "." #member " moved")
#define SIZE(type, size) \
	_Static_assert(sizeof(struct zcp_##type) == (size), "zcp_" #type " changed its size")

AT(info, size, 0); AT(info, flags, 4); AT(info, features, 8); AT(info, modes, 16);
AT(info, reasons, 20); AT(info, link_flags, 24); AT(info, submit_flags, 28);
AT(info, job_flags, 32); AT(info, segment_flags, 36); AT(info, cancel_flags, 40);
AT(info, status_flags, 44); AT(info, xfer_flags, 48); AT(info, event_size, 52);
AT(info, max_links, 56); AT(info, max_jobs, 60); AT(info, max_user_links, 64);
AT(info, max_user_jobs, 68); AT(info, max_segments, 72); AT(info, max_batch, 76);
AT(info, max_inline, 80); AT(info, small_bytes, 84); AT(info, quota_bytes, 88);
AT(info, __reserved, 92); AT(info, max_inline_total, 96);
AT(info, max_inflight, 104); AT(info, max_user_inflight, 112); SIZE(info, 120);

AT(link, size, 0); AT(link, flags, 4); AT(link, fd, 8); AT(link, link, 12);
AT(link, path_caps, 16); AT(link, path_ifindex, 20); AT(link, path_mode, 24);
AT(link, path_reason, 28); AT(link, mss, 32); AT(link, limit, 36);
AT(link, path_ifname, 40); SIZE(link, 56);

AT(unlink, size, 0); AT(unlink, flags, 4); AT(unlink, link, 8);
AT(unlink, cancelled, 12); SIZE(unlink, 16);

AT(segment, type, 0); AT(segment, flags, 4); AT(segment, fd, 8);
AT(segment, __reserved, 12); AT(segment, addr, 16); AT(segment, len, 24);
SIZE(segment, 32);

AT(job, size, 0); AT(job, flags, 4); AT(job, link, 8); AT(job, mode, 12);
AT(job, complete, 16); AT(job, nr_segments, 20); AT(job, segments, 24);
AT(job, user_data, 32); AT(job, id, 40); AT(job, rate, 48); SIZE(job, 56);

AT(submit, size, 0); AT(submit, flags, 4); AT(submit, jobs, 8);
AT(submit, nr_jobs, 16); AT(submit, job_size, 20); AT(submit, accepted, 24);
AT(submit, error, 28); AT(submit, limit, 32); AT(submit, reason, 36);
AT(submit, events, 40); AT(submit, events_len, 48); AT(submit, events_read, 52);
SIZE(submit, 56);

AT(cancel, size, 0); AT(cancel, flags, 4); AT(cancel, job, 8);
AT(cancel, link, 16); AT(cancel, cancelled, 20); AT(cancel, state, 24);
AT(cancel, __reserved, 28); AT(cancel, bytes_sent, 32); SIZE(cancel, 40);

AT(status, size, 0); AT(status, flags, 4); AT(status, job, 8);
AT(status, user_data, 16); AT(status, link, 24); AT(status, state, 28);
AT(status, mode, 32); AT(status, complete, 36); AT(status, error, 40);
AT(status, copy_reason, 44); AT(status, nr_segments, 48); AT(status, segment, 52);
AT(status, position, 56); AT(status, bytes_total, 64); AT(status, bytes_sent, 72);
AT(status, bytes_acked, 80); AT(status, bytes_zerocopy, 88);
AT(status, bytes_copied, 96); AT(status, submit_ns, 104); AT(status, sent_ns, 112);
AT(status, acked_ns, 120); AT(status, end_ns, 128); AT(status, copied, 136);
AT(status, rate, 264); AT(status, bytes_dropped, 272);
AT(status, job_flags, 280); AT(status, __reserved, 284); SIZE(status, 288);

AT(xfer, size, 0); AT(xfer, flags, 4); AT(xfer, in_fd, 8); AT(xfer, out_fd, 12);
AT(xfer, offset, 16); AT(xfer, count, 24); AT(xfer, done, 32);
AT(xfer, bytes_zerocopy, 40); AT(xfer, bytes_copied, 48); AT(xfer, mode, 56);
AT(xfer, copy_reason, 60); AT(xfer, header, 64); AT(xfer, header_len, 72);
AT(xfer, header_done, 76); SIZE(xfer, 80);

AT(event, size, 0); AT(event, type, 4); AT(event, job, 8); AT(event, user_data, 16);
AT(event, link, 24); AT(event, state, 28); AT(event, error, 32);
AT(event, copy_reason, 36); AT(event, segment, 40); AT(event, copy_reasons, 44);
AT(event, position, 48); AT(event, bytes_sent, 56); AT(event, bytes_acked, 64);
AT(event, bytes_zerocopy, 72); AT(event, bytes_copied, 80); AT(event, submit_ns, 88);
AT(event, sent_ns, 96); AT(event, acked_ns, 104); AT(event, end_ns, 112);
SIZE(event, 120);

_Static_assert(ZCP_IOC_INFO == 0xf740 && ZCP_IOC_LINK == 0xf741 &&
	       ZCP_IOC_UNLINK == 0xf742 && ZCP_IOC_SUBMIT == 0xf743 &&
	       ZCP_IOC_CANCEL == 0xf744 && ZCP_IOC_STATUS == 0xf745 &&
	       ZCP_IOC_XFER == 0xf746, "an ioctl changed its number");

/* compat.c: a 32-bit process links, submits, transfers and reads its event. */
TEST(compat_32bit)
{
	char path[PATH_MAX], got[306], want[306];
	struct zt_conn conn;
	struct zt_box box;
	int ctx, file, status;
	ssize_t n;
	pid_t pid;

	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	ASSERT_GT(n, 0);
	path[n] = '\0';
	dirname(path);
	strcat(path, "/compat");
	if (access(path, X_OK))
		SKIP(return, "%s is missing: it needs a compiler that takes -m32", path);
	zt_box_open(&box, 65536);
	ctx = zt_open(0);
	zt_connect(&conn, 0, 0);
	file = zt_file(&box, 32, 300);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* The numbers that compat.c expects. */
		if (dup2(ctx, 100) < 0 || dup2(conn.tx, 101) < 0 || dup2(file, 102) < 0)
			_exit(99);
		execl(path, "compat", NULL);
		_exit(errno == ENOEXEC ? 97 : 98);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 97)
		SKIP(return, "the kernel lacks CONFIG_IA32_EMULATION");
	ASSERT_TRUE(WIFEXITED(status))
		TH_LOG("wait status 0x%x", status);
	EXPECT_EQ(0, WEXITSTATUS(status))
		TH_LOG("compat.c stopped at step %d", WEXITSTATUS(status));
	zt_read_full(conn.rx, got, sizeof(got));
	memcpy(want, "head", 4);
	zt_pattern(want + 4, 32, 4, 196);
	memcpy(want + 200, "header", 6);
	zt_pattern(want + 206, 32, 200, 100);
	EXPECT_EQ(0, memcmp(got, want, sizeof(got)));
	close(ctx);
	zt_close(&conn);
	close(file);
	EXPECT_EQ(0, zt_box_close(&box));
}

TEST_HARNESS_MAIN
