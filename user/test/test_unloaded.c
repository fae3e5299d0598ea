// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a monitor makes of the controller's notifications, which are made up here, and
 * of its answers. The self-tests unload the module.
 */
#include <dlfcn.h>
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "../lib/monitor.h"
#include "tap.h"

/* The kernel has none of this number. */
#define FAMILY 1000
#define DATAGRAM 4096

static struct nl_msg *coming;
static uint32_t sender;
static bool overrun;
/* There is no memory for the controller's answer, if that is what comes next. */
static bool no_memory, controller;

/* These two are in the place of libc's, for libnl too. */
__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	__typeof__(sendmsg) *real = dlsym(RTLD_NEXT, "sendmsg");
	const struct nlmsghdr *nlh = msg->msg_iov->iov_base;

	controller = nlh->nlmsg_type == GENL_ID_CTRL;
	return real(fd, msg, flags);
}

__attribute__((visibility("default"))) ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	__typeof__(recvmsg) *real = dlsym(RTLD_NEXT, "recvmsg");
	struct sockaddr_nl *from = msg->msg_name;
	struct nlmsghdr *nlh;
	ssize_t len;

	/* The socket for events is not open. */
	if (fd >= 0 && (!no_memory || !controller))
		return real(fd, msg, flags);
	if (fd >= 0 || overrun) {
		overrun = false;
		errno = fd >= 0 ? ENOMEM : ENOBUFS;
		return -1;
	}
	if (!coming) {
		errno = EAGAIN;
		return -1;
	}
	nlh = nlmsg_hdr(coming);
	len = nlh->nlmsg_len;
	memcpy(msg->msg_iov->iov_base, nlh, len);
	from->nl_pid = sender;
	msg->msg_flags = 0;
	nlmsg_free(coming);
	coming = NULL;
	return len;
}

/* What reading gives when the controller, or who says it is, says this of a family. */
static int told(struct zcp_monitor *m, uint8_t cmd, int family, uint32_t by)
{
	struct zcp_monitor_event event = { .size = sizeof(event) };
	struct zcp_job_info job = { .size = sizeof(job) };

	coming = nlmsg_alloc();
	genlmsg_put(coming, 0, 0, GENL_ID_CTRL, 0, 0, cmd, 2);
	nla_put_string(coming, CTRL_ATTR_FAMILY_NAME, "zcp");
	nla_put_u16(coming, CTRL_ATTR_FAMILY_ID, (uint16_t)family);
	sender = by;
	return zcp_monitor_read(m, &event, &job);
}

static int read_type(struct zcp_monitor *m)
{
	struct zcp_monitor_event event = { .size = sizeof(event) };
	struct zcp_job_info job = { .size = sizeof(job) };
	int ret = zcp_monitor_read(m, &event, &job);

	return ret > 0 ? (int)event.type : ret;
}

/* What libnl has for want of memory is what it has for a family that is gone. */
static void test_no_memory(struct zcp_monitor *m)
{
	struct zcp_job_info job = { .size = sizeof(job) };

	no_memory = true;
	ok(zcp_monitor_job(m, 7, &job) == -ENOENT, "no job, and no memory to look why: ENOENT");
	overrun = true;
	ok(read_type(m) == ZCP_MONITOR_OVERRUN && !read_type(m),
	   "an overrun, and no memory to look for its end: not gone");
	coming = nlmsg_alloc();
	genlmsg_put(coming, 0, 0, FAMILY, 0, 0, ZCP_NL_CMD_JOB_DONE_NTF, ZCP_NL_FAMILY_VERSION);
	sender = 0;
	ok(read_type(m) == ZCP_MONITOR_DONE && !read_type(m), "what comes then is read");
	no_memory = false;
	ok(read_type(m) == -ENODEV, "with memory it is asked again");
	ok(zcp_monitor_job(m, 7, &job) == -ENODEV, "the same of a job");
	m->gone = false;
}

int main(void)
{
	static char datagram[DATAGRAM];
	struct zcp_monitor m = {
		.requests = nl_socket_alloc(),
		.events = nl_socket_alloc(),
		.family = FAMILY,
		.datagram = datagram,
	};

	ok(!genl_connect(m.requests), "generic netlink");
	test_no_memory(&m);
	ok(!told(&m, CTRL_CMD_NEWFAMILY, FAMILY, 0), "a new family");
	ok(!told(&m, CTRL_CMD_DELFAMILY, FAMILY + 1, 0), "another family is gone");
	ok(!told(&m, CTRL_CMD_DELFAMILY, FAMILY, 4711), "a process says that it is gone");
	ok(told(&m, CTRL_CMD_DELFAMILY, FAMILY, 0) == -ENODEV &&
		   !strcmp(zcp_monitor_error(&m), "the module was unloaded"),
	   "the family is gone: ENODEV, and a sentence");
	ok(told(&m, CTRL_CMD_NEWFAMILY, FAMILY + 2, 0) == -ENODEV, "for ever");
	nl_socket_free(m.requests);
	nl_socket_free(m.events);
	return tap_end();
}
