// SPDX-License-Identifier: GPL-2.0-only
/* The table of operations: how often each is chosen, and the errnos it may give. */
#include <errno.h>

#include "fuzz.h"

/* ENOTTY and EBADF also where a context was closed; each command may give the first six. */
static const short of_info[] = { ENOTTY, E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF, 0 };

static const short of_link[] = {
	ENOTTY, E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF,
	ENOTSOCK, ENOTCONN, EBUSY, EAGAIN, ENOMEM, 0
};

static const short of_unlink[] = { ENOTTY, E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF, ENOENT, 0 };

static const short of_submit[] = {
	ENOTTY, E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF,
	ENOENT, EACCES, EISDIR, ESHUTDOWN, EAGAIN, ENODATA, ENOMEM, 0
};

static const short of_xfer[] = {
	ENOTTY, E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF,
	ENOTSOCK, EACCES, EISDIR, ENOTCONN, EAGAIN, ENOMEM, EINTR,
	/* Of the connection, and of the file system. */
	EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENETDOWN, ECONNABORTED, EIO, 0
};

static const short of_cancel[] = { ENOTTY, E2BIG, EINVAL, EOPNOTSUPP, EFAULT, EBADF, ENOENT, 0 };

static const short of_read[] = { EINVAL, EAGAIN, EFAULT, EINTR, 0 };

static const short of_poll[] = { EINTR, 0 };

static const short of_open[] = { ENOMEM, 0 };

static const short of_netlink[] = {
	EINVAL, ENOENT, EPERM, EOPNOTSUPP, ERANGE, EMSGSIZE, ENOBUFS, EAGAIN, EBUSY, ENOMEM, 0
};

const struct fz_kind fz_kinds[] = {
	{ "open", fz_op_open, 6, of_open },
	{ "close", fz_op_close, 6, NULL },
	{ "dup", fz_op_dup, 1, NULL },
	{ "info", fz_op_info, 2, of_info },
	{ "link", fz_op_link, 18, of_link },
	{ "unlink", fz_op_unlink, 8, of_unlink },
	{ "submit", fz_op_submit, 60, of_submit },
	{ "cancel", fz_op_cancel, 14, of_cancel },
	{ "cancel-link", fz_op_cancel_link, 5, of_cancel },
	{ "status", fz_op_status, 8, of_cancel },
	{ "walk", fz_op_walk, 3, of_cancel },
	{ "xfer", fz_op_xfer, 16, of_xfer },
	{ "read", fz_op_read, 24, of_read },
	{ "poll", fz_op_poll, 6, of_poll },
	{ "other", fz_op_other, 3, NULL },
	{ "connect", fz_op_connect, 12, NULL },
	{ "peer", fz_op_peer, 6, NULL },
	{ "pace", fz_op_pace, 6, NULL },
	{ "sock-close", fz_op_sock_close, 3, NULL },
	{ "sock-write", fz_op_sock_write, 3, NULL },
	{ "sock-option", fz_op_sock_option, 4, NULL },
	{ "sock-shutdown", fz_op_sock_shutdown, 2, NULL },
	{ "sock-disconnect", fz_op_sock_disconnect, 2, NULL },
	{ "truncate", fz_op_truncate, 5, NULL },
	{ "write", fz_op_write, 6, NULL },
	{ "punch", fz_op_punch, 4, NULL },
	{ "unlink-file", fz_op_new_file, 2, NULL },
	{ "reopen", fz_op_reopen, 3, NULL },
	{ "advise", fz_op_advise, 4, NULL },
	{ "map", fz_op_map, 2, NULL },
	{ "route", fz_op_route, 2, NULL },
	{ "device", fz_op_device, 2, NULL },
	{ "features", fz_op_features, 3, NULL },
	{ "signal", fz_op_signal, 5, NULL },
	{ "fork", fz_op_fork, 1, NULL },
	{ "sleep", fz_op_sleep, 6, NULL },
	{ "parameter", fz_op_parameter, 2, NULL },
	{ "scribble", fz_op_scribble, 2, NULL },
	{ "nl-get", fz_op_nl_get, 8, of_netlink },
	{ "nl-dump", fz_op_nl_dump, 6, of_netlink },
	{ "nl-cancel", fz_op_nl_cancel, 4, of_netlink },
	{ "nl-raw", fz_op_nl_raw, 6, of_netlink },
	{ "nl-group", fz_op_nl_group, 2, NULL },
	{ "nl-drain", fz_op_nl_drain, 3, NULL },
	{ "nl-reopen", fz_op_nl_reopen, 2, NULL },
};

const unsigned int fz_nr_kinds = sizeof(fz_kinds) / sizeof(fz_kinds[0]);
