// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a monitor makes of the controller's notifications, which are made up here.
 * The self-tests unload the module.
 */
#include <linux/genetlink.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include "../lib/monitor.h"
#include "tap.h"

#define FAMILY 33
#define DATAGRAM 4096

static struct nl_msg *coming;
static uint32_t sender;

/* In the place of libc's. */
ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sockaddr_nl *from = msg->msg_name;
	struct nlmsghdr *nlh;
	ssize_t len;

	(void)fd;
	(void)flags;
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

int main(void)
{
	static char datagram[DATAGRAM];
	struct zcp_monitor m = {
		.events = nl_socket_alloc(),
		.family = FAMILY,
		.datagram = datagram,
	};

	ok(!told(&m, CTRL_CMD_NEWFAMILY, FAMILY, 0), "a new family");
	ok(!told(&m, CTRL_CMD_DELFAMILY, FAMILY + 1, 0), "another family is gone");
	ok(!told(&m, CTRL_CMD_DELFAMILY, FAMILY, 4711), "a process says that it is gone");
	ok(told(&m, CTRL_CMD_DELFAMILY, FAMILY, 0) == -ENODEV &&
		   !strcmp(zcp_monitor_error(&m), "the module was unloaded"),
	   "the family is gone: ENODEV, and a sentence");
	ok(told(&m, CTRL_CMD_NEWFAMILY, FAMILY + 2, 0) == -ENODEV, "for ever");
	nl_socket_free(m.events);
	return tap_end();
}
