// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module loaded and unloaded under load: contexts with links and jobs in
 * every state are closed, or their process is killed, and the module goes at
 * once, with somebody listening to its notifications or not.
 *
 * usage: cycles NUMBER MODULE
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../zcp_nl.h"
#include "../zcp_test.h"

#define LINKS		16
#define JOBS		16
#define FILE_LEN	ZT_MIB

enum how {
	HOW_EXIT,	/* with everything open */
	HOW_CLOSE,	/* the contexts first */
	HOW_KILLED,	/* by a signal, while it waits */
	HOW_KILLED_BUSY,	/* while it goes on and on */
	HOW_MANY,
};

static int file;
static unsigned int states[ZCP_STATE_CANCELLED + 1];
static unsigned int killed, killed_early;

static void submit_mix(int ctx, uint32_t link, unsigned int n)
{
	struct zcp_segment seg = zt_range(file, 0, n % 3 ? FILE_LEN / (1 + n) : FILE_LEN);
	struct zcp_job job = zt_job(link, &seg, 1);

	job.complete = n % 4 == 1 ? ZCP_COMPLETE_SENT : ZCP_COMPLETE_ACKED;
	job.rate = n % 8 == 7 ? ZT_MIB : 0;
	zt_submit(ctx, &job);
}

/* One step further, when the parent says so. */
static void step(int parent)
{
	char c;

	zt_need(write(parent, "", 1) == 1);
	zt_need(read(parent, &c, 1) == 1);
}

/* Some block, some are sent, some are read, some have lost their peer. */
static void make_links(int ctx, struct zt_sink *sinks, int parent)
{
	struct zt_conn conn;
	unsigned int i, j;
	uint32_t link;

	for (i = 0; i < LINKS; i++) {
		step(parent);
		if (i % 4 == 0)
			zt_connect_holding(&conn);
		else if (i % 4 == 1)
			zt_connect(&conn, 0, 0);
		else
			zt_connect_blocking(&conn);
		link = zt_link_flags(ctx, conn.tx, i % 2 ? ZCP_LINK_CONTINUE : 0);
		if (i % 4 == 1)
			zt_sink_count(&sinks[i], conn.rx);
		for (j = 0; j < JOBS; j++)
			submit_mix(ctx, link, i + j);
		if (i % 8 == 7)
			zt_reset(conn.rx);
	}
}

static void load(enum how how, int parent)
{
	static struct zt_sink sinks[2][LINKS];
	struct zcp_event ev;
	int ctxs[2], i;

	for (i = 0; i < 2; i++) {
		ctxs[i] = zt_open(O_NONBLOCK);
		make_links(ctxs[i], sinks[i], parent);
	}
	/* Those that end by themselves do so when somebody has looked. */
	step(parent);
	while (how == HOW_KILLED_BUSY) {
		i = read(ctxs[0], &ev, sizeof(ev));
		if (i > 0 && ev.state == ZCP_STATE_DONE)
			submit_mix(ctxs[0], ev.link, ev.job % 16);
	}
	if (how == HOW_KILLED)
		pause();
	if (how == HOW_CLOSE) {
		close(ctxs[1]);
		close(ctxs[0]);
	}
	_exit(0);
}

static void look(const struct zn_msg *msg, void *arg)
{
	uint32_t state = zn_u32(msg, ZCP_NL_A_JOB_STATE);

	if (state <= ZCP_STATE_CANCELLED)
		states[state]++;
}

/* By a socket of its own: others get notifications in between. */
static void dump(void)
{
	struct zn_sock nl;

	zn_open(&nl);
	zt_need(!zn_dump(&nl, ZCP_NL_CMD_JOB_GET, 0, 0, look, NULL));
	zn_close(&nl);
}

static void answer(int end)
{
	zt_need(write(end, "", 1) == 1);
}

static void cycle(unsigned int n, const char *module)
{
	/* Each way to end with each way to listen, in sixteen cycles. */
	enum how how = (n + n / 4) % HOW_MANY;
	bool listens = n % 2, stays = n % 4 == 3;
	/* One of four is killed as soon as it may make so many links, and no more. */
	bool early = how >= HOW_KILLED && n % 4 == 1;
	unsigned int links = early ? (5 + n / 8 * 5) % (2 * LINKS) : 2 * LINKS, i;
	struct zn_sock nl;
	int fd, ends[2], status;
	pid_t pid;
	char c;

	fd = open(module, O_RDONLY | O_CLOEXEC);
	zt_need(fd >= 0);
	if (syscall(SYS_finit_module, fd, "", 0))
		zt_die("loading: errno %d", errno);
	close(fd);
	if (listens) {
		zn_open(&nl);
		zt_need(!zn_subscribe(&nl));
	}
	zt_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	pid = fork();
	zt_need(pid >= 0);
	if (!pid)
		load(how, ends[1]);
	close(ends[1]);
	for (i = 0; i < links; i++) {
		zt_need(read(ends[0], &c, 1) == 1);
		answer(ends[0]);
	}
	if (!early)
		zt_need(read(ends[0], &c, 1) == 1);
	if (n % 3 == 0)
		dump();
	if (!early)
		answer(ends[0]);
	if (how >= HOW_KILLED) {
		if (!early)
			usleep(n * 37 % 20 * 1000);
		kill(pid, SIGKILL);
		killed++;
		killed_early += early;
	}
	zt_need(waitpid(pid, &status, 0) == pid);
	close(ends[0]);
	zt_need(how >= HOW_KILLED ? WIFSIGNALED(status) : !status);
	if (listens && !stays)
		zn_close(&nl);
	if (syscall(SYS_delete_module, "zcp", O_NONBLOCK))
		zt_die("unloading: errno %d", errno);
	zt_need(access("/sys/module/zcp", F_OK));
	if (listens && stays)
		zn_close(&nl);
}

int main(int argc, char **argv)
{
	unsigned int i, nr, states_seen = 0;

	zt_need(argc == 3);
	nr = atoi(argv[1]);
	zt_need(!zt_run("ip link set lo up"));
	file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	zt_need(file >= 0);
	zt_fill(file, 1, 0, FILE_LEN);
	if (syscall(SYS_delete_module, "zcp", O_NONBLOCK))
		zt_die("unloading: errno %d", errno);
	for (i = 0; i < nr; i++) {
		cycle(i, argv[2]);
		/* Each waits for some grace periods. */
		if (i % 50 == 49)
			fprintf(stderr, "%u times so far\n", i + 1);
	}
	printf("%u times loaded and unloaded, %u by SIGKILL, %u of these before all was set up;",
	       nr, killed, killed_early);
	printf(" jobs seen just before:");
	for (i = ZCP_STATE_QUEUED; i <= ZCP_STATE_CANCELLED; i++) {
		printf(" %u", states[i]);
		states_seen += !!states[i];
	}
	printf(" (queued running blocked sent done failed cancelled)\n");
	/* Else there was no load. */
	return states_seen < 3;
}
