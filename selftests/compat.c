// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 32-bit program without a C library, so that it builds wherever the
 * compiler takes -m32. Its parent (layout.c) gives it a context as descriptor
 * 100, a connected socket as 101 and a file of 300 bytes as 102. It exits with
 * 0, or with the number of the step that went wrong.
 *
 * On the wire: "head", bytes 4 to 200 of the file by a job, bytes 200 to 300 by
 * ZCP_IOC_XFER.
 */
#include <linux/zcp.h>

#define CTX	100
#define SOCK	101
#define FILE_FD	102

#define NR_exit		1
#define NR_read		3
#define NR_ioctl	54

static long call(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a" (ret) : "0" (nr), "b" (a), "c" (b), "d" (c)
			 : "memory");
	return ret;
}

static long zcp(unsigned long cmd, void *arg)
{
	return call(NR_ioctl, CTX, cmd, (long)arg);
}

static struct zcp_info info;
static struct zcp_link link;
static struct zcp_segment segs[2];
static struct zcp_job job;
static struct zcp_submit submit;
static struct zcp_event event;
static struct zcp_xfer xfer;
static struct zcp_unlink unlink;
static char head[4] = { 'h', 'e', 'a', 'd' };

static int steps(void)
{
	info.size = sizeof(info);
	if (zcp(ZCP_IOC_INFO, &info) || info.event_size != sizeof(event))
		return 1;
	link.size = sizeof(link);
	link.fd = SOCK;
	if (zcp(ZCP_IOC_LINK, &link) || !link.link || !link.mss)
		return 2;
	segs[0].type = ZCP_SEGMENT_INLINE;
	segs[0].fd = -1;
	segs[0].addr = (unsigned long)head;
	segs[0].len = sizeof(head);
	segs[1].type = ZCP_SEGMENT_FILE;
	segs[1].fd = FILE_FD;
	segs[1].addr = 4;
	segs[1].len = 196;
	job.size = sizeof(job);
	job.link = link.link;
	job.nr_segments = 2;
	job.segments = (unsigned long)segs;
	job.user_data = 0x123456789abcdef0ULL;
	submit.size = sizeof(submit);
	submit.jobs = (unsigned long)&job;
	submit.nr_jobs = 1;
	submit.job_size = sizeof(job);
	submit.events = (unsigned long)&event;
	submit.events_len = sizeof(event);
	if (zcp(ZCP_IOC_SUBMIT, &submit) || submit.accepted != 1 || !job.id)
		return 3;
	if (!submit.events_read && call(NR_read, CTX, (long)&event, sizeof(event)) != sizeof(event))
		return 4;
	if (event.job != job.id || event.user_data != job.user_data ||
	    event.state != ZCP_STATE_DONE || event.bytes_sent != 200 ||
	    event.bytes_acked != 200 || event.segment != 2)
		return 5;
	xfer.size = sizeof(xfer);
	xfer.in_fd = FILE_FD;
	xfer.out_fd = SOCK;
	xfer.offset = 200;
	xfer.count = 100;
	xfer.header = (unsigned long)"header";
	xfer.header_len = 6;
	if (zcp(ZCP_IOC_XFER, &xfer) || xfer.header_done != 6 || xfer.done != 100 ||
	    xfer.offset != 300)
		return 6;
	unlink.size = sizeof(unlink);
	unlink.link = link.link;
	if (zcp(ZCP_IOC_UNLINK, &unlink) || unlink.cancelled)
		return 7;
	/* An undefined pointer bit is not lost by the 32-bit entry. */
	if (zcp(ZCP_IOC_INFO, (void *)8) != -14)
		return 8;
	return 0;
}

void _start(void)
{
	call(NR_exit, steps(), 0, 0);
	for (;;)
		;
}
