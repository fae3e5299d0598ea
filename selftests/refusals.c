// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the netlink family refuses: to other users, in other namespaces, and
 * requests that make no sense. What it says otherwise is in netlink.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define LEN	(1 * ZT_MIB)
#define NOBODY	65534

FIXTURE(refusals) {
	struct zt_box box;
	struct zt_conn conn;	/* a job of LEN blocks */
	struct zn_sock nl;
	uint64_t id;		/* of the context */
	uint32_t link;
	int ctx;
	int file;
};

FIXTURE_SETUP(refusals)
{
	zt_box_open(&self->box, 1500);
	zt_need(!chmod(self->box.dir, 0711));
	self->file = open(self->box.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(self->file >= 0);
	zt_fill(self->file, 1, 0, LEN);
	zn_open(&self->nl);
	self->ctx = zt_open(O_NONBLOCK);
	self->id = zn_last_context(&self->nl);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
}

FIXTURE_TEARDOWN(refusals)
{
	close(self->ctx);
	zt_close(&self->conn);
	close(self->file);
	zn_close(&self->nl);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

static uint64_t blocked_job(FIXTURE_DATA(refusals) *self)
{
	uint64_t id = zt_submit_range(self->ctx, self->link, self->file, 0, LEN);

	zt_wait_state(self->ctx, id, ZCP_STATE_BLOCKED);
	return id;
}

/* Runs in another process, which may change what it is; the result is a byte. */
static int elsewhere(int (*run)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	zt_need(pid >= 0);
	if (!pid)
		_exit(run(arg));
	zt_need(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void become_nobody(void)
{
	zt_need(!setresgid(NOBODY, NOBODY, NOBODY));
	zt_need(!setresuid(NOBODY, NOBODY, NOBODY));
}

#define MUST(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1); \
		} \
	} while (0)

struct other {
	uint64_t context;
	uint64_t job;
	uint32_t link;
	char node[128];
};

static int as_other_user(void *arg)
{
	static const char *const text = ": CAP_NET_ADMIN is needed";
	struct other *o = arg;
	struct zn_ids ids = {};
	struct zn_sock nl;
	int ctx;

	become_nobody();
	zn_open(&nl);
	MUST(zn_get(&nl, ZCP_NL_CMD_JOB_GET, ZCP_NL_A_JOB_ID, o->job, NULL, NULL) == -EPERM);
	MUST(strstr(nl.text, text));
	MUST(zn_get(&nl, ZCP_NL_CMD_JOB_CANCEL, ZCP_NL_A_JOB_ID, o->job, NULL, NULL) == -EPERM);
	MUST(strstr(nl.text, text));
	MUST(zn_get(&nl, ZCP_NL_CMD_CONTEXT_GET, ZCP_NL_A_CONTEXT_ID, o->context, NULL, NULL) ==
	     -EPERM);
	MUST(strstr(nl.text, text));
	MUST(zn_get_link(&nl, o->context, o->link, NULL, NULL) == -EPERM);
	MUST(strstr(nl.text, text));
	MUST(!zn_dump(&nl, ZCP_NL_CMD_JOB_GET, 0, 0, zn_keep_id, &ids));
	MUST(!zn_dump(&nl, ZCP_NL_CMD_LINK_GET, 0, 0, zn_keep_link_id, &ids));
	MUST(!zn_dump(&nl, ZCP_NL_CMD_CONTEXT_GET, 0, 0, zn_keep_id, &ids));
	MUST(!ids.nr);
	MUST(!zn_get(&nl, ZCP_NL_CMD_STATS_GET, 0, 0, NULL, NULL));
	MUST(zn_subscribe(&nl) == -EPERM);

	/* What is its own it sees. */
	ctx = open(o->node, O_RDWR);
	MUST(ctx >= 0);
	MUST(!zn_dump(&nl, ZCP_NL_CMD_CONTEXT_GET, 0, 0, zn_keep_id, &ids));
	MUST(ids.nr == 1 && ids.id[0] != o->context);
	return 0;
}

/* A socket that root has opened does not lend root's eyes: sendmsg() tells who asks. */
static int with_roots_socket(void *arg)
{
	struct zn_ids ids = {};
	struct zn_sock nl;

	zn_open(&nl);
	become_nobody();
	MUST(!zn_dump(&nl, ZCP_NL_CMD_JOB_GET, 0, 0, zn_keep_id, &ids));
	MUST(!ids.nr);
	return 0;
}

/* Nor does root lend them to who has opened the socket, and has root write to it. */
static int written_by_root(void *arg)
{
	unsigned char buf[8192] __attribute__((aligned(8)));
	const struct nlmsghdr *reply = (void *)buf;
	struct nlmsghdr *hdr;
	struct zn_sock nl;
	struct nl_msg *msg;
	int fd;

	MUST(!seteuid(NOBODY));
	zn_open(&nl);
	MUST(!seteuid(0));
	msg = zn_new(&nl, ZCP_NL_CMD_JOB_GET, NLM_F_DUMP);
	nl_complete_msg(nl.sk, msg);
	hdr = nlmsg_hdr(msg);
	fd = nl_socket_get_fd(nl.sk);
	/* To nobody: a program that does not know what it writes to. */
	MUST(write(fd, hdr, hdr->nlmsg_len) == hdr->nlmsg_len);
	MUST(recv(fd, buf, sizeof(buf), 0) >= (ssize_t)sizeof(*reply));
	MUST(reply->nlmsg_type == NLMSG_DONE);
	return 0;
}

TEST_F(refusals, other_users_need_a_capability)
{
	struct other o = { .context = self->id, .link = self->link };
	struct stat st;

	zt_need(!stat(ZT_DEV, &st));
	snprintf(o.node, sizeof(o.node), "%s/node", self->box.dir);
	zt_need(!mknod(o.node, S_IFCHR | 0666, st.st_rdev) && !chmod(o.node, 0666));
	o.job = blocked_job(self);
	EXPECT_EQ(0, elsewhere(as_other_user, &o));
	EXPECT_EQ(0, elsewhere(with_roots_socket, &o));
	EXPECT_EQ(0, elsewhere(written_by_root, &o));
	EXPECT_EQ(ZCP_STATE_BLOCKED, zt_state(self->ctx, o.job));
}

static int in_other_namespace(void *arg)
{
	struct other *o = arg;
	struct zn_ids ids = {};
	struct zn_numbers n = {};
	struct zn_sock nl;

	MUST(!unshare(CLONE_NEWNET));
	zn_open(&nl);
	MUST(zn_get(&nl, ZCP_NL_CMD_JOB_GET, ZCP_NL_A_JOB_ID, o->job, NULL, NULL) == -ENOENT);
	MUST(zn_get(&nl, ZCP_NL_CMD_JOB_CANCEL, ZCP_NL_A_JOB_ID, o->job, NULL, NULL) == -ENOENT);
	MUST(zn_get(&nl, ZCP_NL_CMD_CONTEXT_GET, ZCP_NL_A_CONTEXT_ID, o->context, NULL, NULL) ==
	     -ENOENT);
	MUST(zn_get_link(&nl, o->context, o->link, NULL, NULL) == -ENOENT);
	MUST(!zn_dump(&nl, ZCP_NL_CMD_JOB_GET, 0, 0, zn_keep_id, &ids));
	MUST(!zn_dump(&nl, ZCP_NL_CMD_LINK_GET, 0, 0, zn_keep_link_id, &ids));
	MUST(!zn_dump(&nl, ZCP_NL_CMD_CONTEXT_GET, 0, 0, zn_keep_id, &ids));
	MUST(!ids.nr);
	MUST(!zn_get(&nl, ZCP_NL_CMD_STATS_GET, 0, 0, zn_keep_stats, &n));
	MUST(!n.value[ZCP_NL_A_STATS_JOBS_SUBMITTED] && !n.value[ZCP_NL_A_STATS_CONTEXTS] &&
	     !n.value[ZCP_NL_A_STATS_LINKS] && n.value[ZCP_NL_A_STATS_MEMORY]);

	/* What is opened here is here. */
	zt_open(0);
	MUST(zn_last_context(&nl) > o->context);
	return 0;
}

TEST_F(refusals, other_namespaces_see_nothing)
{
	struct other o = { .context = self->id, .link = self->link };

	o.job = blocked_job(self);
	EXPECT_EQ(0, elsewhere(in_other_namespace, &o));
	EXPECT_EQ(ZCP_STATE_BLOCKED, zt_state(self->ctx, o.job));
}

/* Status 2: this kernel has no such namespaces. */
static int in_own_user_namespace(void *arg)
{
	struct zn_ids ids = {};
	struct zn_sock nl;
	int ctx = zt_open(0);

	become_nobody();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return errno == EINVAL ? 2 : 1;
	zn_open(&nl);
	MUST(!zn_subscribe(&nl));
	MUST(!zn_dump(&nl, ZCP_NL_CMD_CONTEXT_GET, 0, 0, zn_keep_id, &ids));
	MUST(!ids.nr);
	close(ctx);
	return 0;
}

TEST_F(refusals, own_user_namespace_gives_the_capability)
{
	int status = elsewhere(in_own_user_namespace, NULL);

	if (status == 2)
		SKIP(return, "the kernel lacks user namespaces");
	EXPECT_EQ(0, status);
}

struct refused {
	const char *what;
	uint8_t cmd;
	int flags;
	int attr;
	int size;
	uint64_t value;
	int error;
};

static int refuse(struct zn_sock *nl, const struct refused *r)
{
	struct nl_msg *msg = zn_new(nl, r->cmd, r->flags);

	if (r->attr)
		zt_need(!nla_put(msg, r->attr, r->size, &r->value));
	return zn_ask(nl, msg, NULL, NULL);
}

TEST_F(refusals, malformed_requests_are_refused_with_a_reason)
{
	enum {
		JOB = ZCP_NL_CMD_JOB_GET, LINK = ZCP_NL_CMD_LINK_GET,
		CONTEXT = ZCP_NL_CMD_CONTEXT_GET, STATS = ZCP_NL_CMD_STATS_GET,
		CANCEL = ZCP_NL_CMD_JOB_CANCEL, DUMP = NLM_F_DUMP,
	};
	static const struct refused refused[] = {
		{ "no id", JOB, 0, 0, 0, 0, EINVAL },
		{ "no id", CANCEL, 0, 0, 0, 0, EINVAL },
		{ "no id", CONTEXT, 0, 0, 0, 0, EINVAL },
		{ "no ids", LINK, 0, 0, 0, 0, EINVAL },
		{ "no context", LINK, 0, ZCP_NL_A_LINK_ID, 4, 1, EINVAL },
		{ "no link", LINK, 0, ZCP_NL_A_LINK_CONTEXT, 8, 1, EINVAL },
		{ "id 0", JOB, 0, ZCP_NL_A_JOB_ID, 8, 0, ERANGE },
		{ "id 0", CANCEL, 0, ZCP_NL_A_JOB_ID, 8, 0, ERANGE },
		{ "id 0", CONTEXT, 0, ZCP_NL_A_CONTEXT_ID, 8, 0, ERANGE },
		{ "an id that is too short", JOB, 0, ZCP_NL_A_JOB_ID, 4, 1, EINVAL },
		{ "an id of no size", CANCEL, 0, ZCP_NL_A_JOB_ID, 0, 0, EINVAL },
		{ "an id that is too long", LINK, 0, ZCP_NL_A_LINK_ID, 8, 1, EINVAL },
		{ "no such job", JOB, 0, ZCP_NL_A_JOB_ID, 8, ~0ULL, ENOENT },
		{ "no such job", CANCEL, 0, ZCP_NL_A_JOB_ID, 8, ~0ULL, ENOENT },
		{ "no such context", CONTEXT, 0, ZCP_NL_A_CONTEXT_ID, 8, ~0ULL, ENOENT },
		{ "a filter for one job", JOB, 0, ZCP_NL_A_JOB_CONTEXT, 8, 1, EINVAL },
		{ "an attribute only for answers", JOB, 0, ZCP_NL_A_JOB_COMM, 4, 1, EINVAL },
		{ "an attribute only for answers", JOB, 0, ZCP_NL_A_JOB_MODE, 4, 1, EINVAL },
		{ "an unknown attribute", JOB, 0, 99, 4, 1, EINVAL },
		{ "an unknown attribute", STATS, 0, 1, 4, 1, EINVAL },
		{ "an unknown attribute", CANCEL, 0, ZCP_NL_A_JOB_STATE, 4, 1, EINVAL },
		{ "an unknown attribute", CONTEXT, 0, ZCP_NL_A_CONTEXT_UID, 4, 1, EINVAL },
		{ "an id for a dump", JOB, DUMP, ZCP_NL_A_JOB_ID, 8, 1, EINVAL },
		{ "an id for a dump", LINK, DUMP, ZCP_NL_A_LINK_ID, 4, 1, EINVAL },
		{ "an id for a dump", CONTEXT, DUMP, ZCP_NL_A_CONTEXT_ID, 8, 1, EINVAL },
		{ "an unknown attribute", JOB, DUMP, 99, 4, 1, EINVAL },
		{ "a link without context", JOB, DUMP, ZCP_NL_A_JOB_LINK, 4, 1, EINVAL },
		{ "no such state", JOB, DUMP, ZCP_NL_A_JOB_STATE, 4, 8, ERANGE },
		{ "no such state", JOB, DUMP, ZCP_NL_A_JOB_STATE, 4, 0, ERANGE },
		{ "no such user", JOB, DUMP, ZCP_NL_A_JOB_UID, 4, ~0ULL, EINVAL },
		{ "flags of no meaning", JOB, NLM_F_ROOT, 0, 0, 0, EINVAL },
	};
	const struct refused commands[] = {
		{ "command 0", 0, 0, 0, 0, 0, EOPNOTSUPP },
		{ "a notification", ZCP_NL_CMD_JOB_DONE_NTF, 0, 0, 0, 0, EOPNOTSUPP },
		{ "an unknown command", 200, 0, 0, 0, 0, EOPNOTSUPP },
		{ "a dump of one thing", STATS, DUMP, 0, 0, 0, EOPNOTSUPP },
		{ "a dump of a deed", CANCEL, DUMP, 0, 0, 0, EOPNOTSUPP },
	};
	unsigned int i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		EXPECT_EQ(-refused[i].error, refuse(&self->nl, &refused[i]))
			TH_LOG("%s, command %u", refused[i].what, refused[i].cmd);
		EXPECT_NE('\0', self->nl.text[0])
			TH_LOG("no text for %s, command %u", refused[i].what, refused[i].cmd);
	}
	/* These the kernel refuses by itself, without a text. */
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		EXPECT_EQ(-commands[i].error, refuse(&self->nl, &commands[i]))
			TH_LOG("%s", commands[i].what);
	}
	EXPECT_EQ(0, zn_get(&self->nl, ZCP_NL_CMD_STATS_GET, 0, 0, NULL, NULL));
}

TEST_HARNESS_MAIN
