// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many requests in one netlink message buffer: they are served at a stretch, while
 * nobody can add or remove a generic netlink family. So one takes long at most, and
 * each is answered, also when who has sent it is killed meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "zcp_fuse.h"
#include "zcp_nl.h"
#include "zcp_test.h"

#define SEED		7
#define LEN		8192
#define FEW		8
#define LINKS		4000
#define MANY		10000
#define RATIO		10
#define REFUSED_TEXT	"only as the first request of a message"

FIXTURE(burst) {
	struct zt_box box;
	struct zt_conn conn;
	struct zn_sock nl;
	struct zf_fs fs;
	uint64_t id;		/* of the context */
	uint32_t link;
	int ctx;
};

#define SELF FIXTURE_DATA(burst)

FIXTURE_SETUP(burst)
{
	zt_box_open(&self->box, 1500);
	zn_open(&self->nl);
	self->ctx = zt_open(O_NONBLOCK);
	self->id = zn_last_context(&self->nl);
	zt_connect_blocking(&self->conn);
	self->link = zt_link(self->ctx, self->conn.tx);
}

FIXTURE_TEARDOWN(burst)
{
	close(self->ctx);
	zt_close(&self->conn);
	zn_close(&self->nl);
	EXPECT_EQ(0, zt_box_close(&self->box));
}

/* Requests that go in one call; those of a burst are numbered from 1 on. */
struct burst {
	char *buf;
	size_t size;
	size_t len;
	unsigned int nr;
};

/* With one attribute of 8 bytes; 0 for none. */
static void burst_add(struct burst *b, struct zn_sock *nl, uint8_t cmd, int attr, uint64_t value)
{
	struct nl_msg *msg = zn_new(nl, cmd, NLM_F_REQUEST);
	struct nlmsghdr *hdr = nlmsg_hdr(msg);

	if (attr)
		zt_need(!nla_put_u64(msg, attr, value));
	hdr->nlmsg_seq = ++b->nr;
	hdr->nlmsg_pid = 0;
	if (b->len + NLMSG_ALIGN(hdr->nlmsg_len) > b->size) {
		b->size = 2 * b->size + NLMSG_ALIGN(hdr->nlmsg_len);
		b->buf = realloc(b->buf, b->size);
		zt_need(b->buf);
	}
	memcpy(b->buf + b->len, hdr, hdr->nlmsg_len);
	b->len += NLMSG_ALIGN(hdr->nlmsg_len);
	nlmsg_free(msg);
}

static void burst_send(struct burst *b, struct zn_sock *nl)
{
	zt_need(send(nl_socket_get_fd(nl->sk), b->buf, b->len, 0) == (ssize_t)b->len);
}

static void burst_free(struct burst *b)
{
	free(b->buf);
	*b = (struct burst) {};
}

/* How a request was answered: by messages, and an errno with its text. */
struct answer {
	unsigned int replies;
	uint8_t cmd;
	uint32_t state;		/* of a job */
	bool refused;
	int error;
	char text[64];
};

static void take_refusal(struct nlmsghdr *hdr, struct answer *answer)
{
	struct nlmsgerr *err = nlmsg_data(hdr);
	struct nlattr *text;

	answer->refused = true;
	answer->error = err->error;
	text = nla_find((void *)(err + 1), nlmsg_datalen(hdr) - sizeof(*err), NLMSGERR_ATTR_MSG);
	if (text)
		snprintf(answer->text, sizeof(answer->text), "%s", nla_get_string(text));
}

static void take_reply(struct nlmsghdr *hdr, struct answer *answer)
{
	struct nlattr *attrs[ZN_ATTRS];

	zt_need(!genlmsg_parse(hdr, 0, attrs, ZN_ATTRS - 1, NULL));
	answer->replies++;
	answer->cmd = genlmsg_hdr(hdr)->cmd;
	if (answer->cmd == ZCP_NL_CMD_JOB_CANCEL)
		answer->state = nla_get_u32(attrs[ZCP_NL_A_JOB_STATE]);
}

/* All answers that have come; those to requests from 1 to @nr. */
static void take_answers(struct zn_sock *nl, struct answer *answers, unsigned int nr)
{
	static char buf[64 * 1024] __attribute__((aligned(8)));
	int len;

	memset(answers, 0, nr * sizeof(*answers));
	while ((len = recv(nl_socket_get_fd(nl->sk), buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		struct nlmsghdr *hdr = (struct nlmsghdr *)buf;

		for (; nlmsg_ok(hdr, len); hdr = nlmsg_next(hdr, &len)) {
			zt_need(hdr->nlmsg_seq && hdr->nlmsg_seq <= nr);
			if (hdr->nlmsg_type == NLMSG_ERROR)
				take_refusal(hdr, &answers[hdr->nlmsg_seq - 1]);
			else
				take_reply(hdr, &answers[hdr->nlmsg_seq - 1]);
		}
	}
	zt_need(len < 0 && errno == EAGAIN);
}

static void expect_served(struct __test_metadata *_metadata, const struct answer *answer,
			  uint8_t cmd)
{
	EXPECT_EQ(1, answer->replies);
	EXPECT_EQ(cmd, answer->cmd);
	EXPECT_FALSE(answer->refused)
		TH_LOG("error %d, %s", answer->error, answer->text);
}

static void expect_refused(struct __test_metadata *_metadata, const struct answer *answer)
{
	EXPECT_EQ(0, answer->replies);
	EXPECT_TRUE(answer->refused);
	EXPECT_EQ(-EBUSY, answer->error);
	EXPECT_STREQ(REFUSED_TEXT, answer->text);
}

/* Those that look at all links, or at all of a context. */
TEST_F(burst, long_ones_only_as_the_first)
{
	static const struct {
		uint8_t cmd;
		int attr;
	} kinds[] = {
		{ ZCP_NL_CMD_STATS_GET, 0 },
		{ ZCP_NL_CMD_CONTEXT_GET, ZCP_NL_A_CONTEXT_ID },
	};
	struct answer answers[FEW];
	struct burst b = {};
	int i, kind, round;

	for (kind = 0; kind < 2; kind++) {
		for (i = 0; i < FEW; i++)
			burst_add(&b, &self->nl, kinds[kind].cmd, kinds[kind].attr, self->id);
		/* The next buffer has a first one as well. */
		for (round = 0; round < 2; round++) {
			burst_send(&b, &self->nl);
			take_answers(&self->nl, answers, FEW);
			expect_served(_metadata, &answers[0], kinds[kind].cmd);
			for (i = 1; i < FEW; i++)
				expect_refused(_metadata, &answers[i]);
		}
		burst_free(&b);
	}
}

TEST_F(burst, short_ones_are_all_served)
{
	struct zcp_segment seg = zt_inline("", 0);
	struct zcp_job job = zt_job(self->link, &seg, 1);
	struct answer answers[FEW + 4];
	struct burst b = {};
	uint64_t id;
	int i;

	id = zt_submit(self->ctx, &job);
	for (i = 0; i < FEW; i++)
		burst_add(&b, &self->nl, ZCP_NL_CMD_JOB_GET, ZCP_NL_A_JOB_ID, id);
	/* A long one that is not the first of all is refused, whatever is before it. */
	burst_add(&b, &self->nl, ZCP_NL_CMD_STATS_GET, 0, 0);
	burst_add(&b, &self->nl, ZCP_NL_CMD_JOB_GET, ZCP_NL_A_JOB_ID, id);
	burst_add(&b, &self->nl, ZCP_NL_CMD_CONTEXT_GET, ZCP_NL_A_CONTEXT_ID, self->id);
	burst_add(&b, &self->nl, ZCP_NL_CMD_JOB_CANCEL, ZCP_NL_A_JOB_ID, id);
	burst_send(&b, &self->nl);
	take_answers(&self->nl, answers, FEW + 4);
	for (i = 0; i < FEW; i++)
		expect_served(_metadata, &answers[i], ZCP_NL_CMD_JOB_GET);
	expect_refused(_metadata, &answers[FEW]);
	expect_served(_metadata, &answers[FEW + 1], ZCP_NL_CMD_JOB_GET);
	expect_refused(_metadata, &answers[FEW + 2]);
	expect_served(_metadata, &answers[FEW + 3], ZCP_NL_CMD_JOB_CANCEL);
	EXPECT_EQ(ZCP_STATE_DONE, answers[FEW + 3].state);
	burst_free(&b);
}

/* How long the call takes that has that many of them. */
static uint64_t time_burst(uint8_t cmd, int attr, uint64_t value, unsigned int nr)
{
	int sndbuf = 4 * ZT_MIB;
	struct burst b = {};
	struct zn_sock nl;
	uint64_t begin, ns;

	zn_open(&nl);
	zt_need(!setsockopt(nl_socket_get_fd(nl.sk), SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf,
			    sizeof(sndbuf)));
	while (b.nr < nr)
		burst_add(&b, &nl, cmd, attr, value);
	begin = zt_now_ns();
	burst_send(&b, &nl);
	ns = zt_now_ns() - begin;
	burst_free(&b);
	zn_close(&nl);
	return ns;
}

/*
 * Where there are many links a call with many requests for statistics takes about as long
 * as one with as many that find nothing. Nobody reads the answers.
 */
TEST_F_TIMEOUT(burst, many_links, 600)
{
	static struct zt_conn conns[LINKS];
	int listener = zt_listen(AF_INET, 0), i;
	uint64_t one, none, stats, context;

	for (i = 0; i < LINKS; i++) {
		zt_connect_to(&conns[i], listener, 0);
		zt_link(self->ctx, conns[i].tx);
	}
	one = time_burst(ZCP_NL_CMD_STATS_GET, 0, 0, 1);
	none = time_burst(ZCP_NL_CMD_JOB_GET, ZCP_NL_A_JOB_ID, UINT64_MAX, MANY);
	stats = time_burst(ZCP_NL_CMD_STATS_GET, 0, 0, MANY);
	context = time_burst(ZCP_NL_CMD_CONTEXT_GET, ZCP_NL_A_CONTEXT_ID, self->id, MANY);
	TH_LOG("us: %llu for one of %d links; for %d: %llu without a job, %llu and %llu",
	       one / 1000ULL, LINKS, MANY, none / 1000ULL, stats / 1000ULL, context / 1000ULL);
	EXPECT_LT(stats, RATIO * (one + none));
	EXPECT_LT(context, RATIO * (one + none));
	for (i = 0; i < LINKS; i++)
		zt_close(&conns[i]);
	close(listener);
}

/* Does a process wait where only a signal that kills it can end that? */
static bool waits(pid_t pid)
{
	char path[64], text[512];
	const char *end;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	zt_need(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	end = strrchr(text, ')');
	zt_need(end);
	return end[2] == 'D';
}

enum { BEGUN = 1, BACK = 2 };

/*
 * Sends one from a process that is killed while it waits for the job's runner. Whether it
 * was in time: it does not wait for long.
 */
static bool send_and_be_killed(struct burst *b, struct zn_sock *nl)
{
	int *at = mmap(NULL, ZT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool killed, is_back;
	int status;
	pid_t pid;

	zt_need(at != MAP_FAILED);
	pid = fork();
	zt_need(pid >= 0);
	if (!pid) {
		__atomic_store_n(at, BEGUN, __ATOMIC_RELEASE);
		burst_send(b, nl);
		__atomic_store_n(at, BACK, __ATOMIC_RELEASE);
		pause();
		_exit(0);
	}
	do {
		is_back = __atomic_load_n(at, __ATOMIC_ACQUIRE) == BACK;
	} while (!is_back && !(__atomic_load_n(at, __ATOMIC_ACQUIRE) == BEGUN && waits(pid)));
	zt_need(!kill(pid, SIGKILL));
	zt_need(waitpid(pid, &status, 0) == pid);
	killed = __atomic_load_n(at, __ATOMIC_ACQUIRE) == BEGUN;
	munmap(at, ZT_PAGE);
	return killed;
}

/* Others have the socket too, and wait for the answer. */
TEST_F_TIMEOUT(burst, killed_while_it_cancels, 240)
{
	struct zcp_event event;
	struct answer answer;
	struct burst b = {};
	bool killed;
	uint64_t id;
	int file, ret;

	ret = zf_mount(&self->fs, self->box.dir, SEED, LEN);
	if (ret)
		SKIP(return, "needs FUSE: errno %d", -ret);
	file = zf_open(&self->fs);
	zf_hold(&self->fs, 0);
	id = zt_submit_range(self->ctx, self->link, file, 0, LEN);
	zf_wait_held(&self->fs);
	zn_wait_workers(&self->nl, 1);
	burst_add(&b, &self->nl, ZCP_NL_CMD_JOB_CANCEL, ZCP_NL_A_JOB_ID, id);
	killed = send_and_be_killed(&b, &self->nl);
	TH_LOG("killed %s", killed ? "while it waited" : "too late");
	take_answers(&self->nl, &answer, 1);
	expect_served(_metadata, &answer, ZCP_NL_CMD_JOB_CANCEL);
	/* It ends when the file system has answered. */
	EXPECT_EQ(ZCP_STATE_RUNNING, answer.state);
	EXPECT_FALSE(zt_readable(self->ctx, 0));
	zf_release(&self->fs, 0);
	zt_event(self->ctx, &event);
	EXPECT_EQ(id, event.job);
	EXPECT_EQ(ZCP_STATE_CANCELLED, event.state);
	burst_free(&b);
	close(file);
	EXPECT_EQ(0, zf_unmount(&self->fs, 0));
}

TEST_HARNESS_MAIN
