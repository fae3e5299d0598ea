// SPDX-License-Identifier: GPL-2.0-only
/*
 * The receiver, as a suite sees it: a process of this machine, or `serve` of
 * another one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../zcpctl/net.h"
#include "bench.h"
#include "receiver.h"

/* As `ip netns add` leaves them; see selftests/vm/nic.sh for the devices. */
#define NETNS_TX "/run/netns/tx"
#define NETNS_RX "/run/netns/rx"
#define VETH_RX "10.77.0.2"
#define BACKLOG 4096

struct peer {
	enum peer_path path;
	pid_t pid;
	int control;
	uint64_t client;  /* of the receiver, which may be there for others too */
	uint64_t compare; /* bytes of the file that it compares with, or 0 */
	struct sockaddr_in address;
	struct net_address remote;
};

const char *peer_path_name(enum peer_path path)
{
	static const char *const names[] = { "loopback", "veth", "remote" };

	return names[path];
}

const char *peer_path_missing(enum peer_path path)
{
	if (path == PEER_VETH && (access(NETNS_TX, F_OK) || access(NETNS_RX, F_OK)))
		return "it needs the network namespaces tx and rx (selftests/vm/nic.sh)";
	if (path == PEER_REMOTE && !opt.remote)
		return "it needs --peer";
	return NULL;
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die_errno(errno, "%s", netns);
	close(fd);
}

/* A socket of namespace @netns, or of this one when it is NULL. */
static int tcp_socket(const char *netns)
{
	int back = -1;
	int sock;

	if (netns) {
		back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (back < 0)
			die_errno(errno, "/proc/thread-self/ns/net");
		enter(netns);
	}
	sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		die_errno(errno, "socket");
	if (netns) {
		if (setns(back, CLONE_NEWNET))
			die_errno(errno, "back from %s", netns);
		close(back);
	}
	return sock;
}

/* In the child: tells its port, and receives. */
__attribute__((noreturn)) static void child(enum peer_path path, int control)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	socklen_t len = sizeof(any);
	int sock;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* What the parent has open must end when the parent ends it. */
	if (dup2(control, 3) < 0)
		die_errno(errno, "receiver");
	closefrom(4);
	sock = tcp_socket(path == PEER_VETH ? NETNS_RX : NULL);
	any.sin_addr.s_addr = htonl(path == PEER_VETH ? INADDR_ANY : INADDR_LOOPBACK);
	if (bind(sock, (struct sockaddr *)&any, sizeof(any)) || listen(sock, BACKLOG) ||
	    getsockname(sock, (struct sockaddr *)&any, &len))
		die_errno(errno, "receiver: listening");
	if (send(3, &any.sin_port, sizeof(any.sin_port), MSG_NOSIGNAL) != sizeof(any.sin_port))
		_exit(1);
	receiver_run(sock, 3);
}

pid_t peer_fork(void)
{
	pid_t pid;

	fflush(NULL);
	/* In User-mode Linux a process is on that CPU of the host where it is forked. */
	if (opt.pin)
		machine_pin(true);
	pid = fork();
	if (pid < 0)
		die_errno(errno, "fork");
	if (pid && opt.pin)
		machine_pin(false);
	return pid;
}

static void start_local(struct peer *peer)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die_errno(errno, "socketpair");
	peer->pid = peer_fork();
	if (!peer->pid)
		child(peer->path, pair[1]);
	close(pair[1]);
	peer->control = pair[0];
	peer->address.sin_family = AF_INET;
	if (recv(pair[0], &peer->address.sin_port, sizeof(peer->address.sin_port), MSG_WAITALL) !=
	    sizeof(peer->address.sin_port))
		die("the receiver did not start");
	inet_pton(AF_INET, peer->path == PEER_VETH ? VETH_RX : "127.0.0.1",
		  &peer->address.sin_addr);
}

static void start_remote(struct peer *peer)
{
	struct peer_hello hello = { .mode = PEER_CONTROL };
	char text[sizeof(peer->remote.host) + 16];

	if (net_parse(opt.remote, true, &peer->remote)) {
		snprintf(text, sizeof(text), "%s:%s", opt.remote, PEER_PORT);
		if (net_parse(text, true, &peer->remote))
			die("%s is no HOST:PORT", opt.remote);
	}
	if (getrandom(&peer->client, sizeof(peer->client), 0) != sizeof(peer->client))
		die_errno(errno, "getrandom");
	peer->control = peer_connect(peer, &hello);
}

struct peer *peer_start(enum peer_path path)
{
	const char *why = peer_path_missing(path);
	struct peer *peer = calloc(1, sizeof(*peer));

	if (why)
		die("%s: %s", peer_path_name(path), why);
	if (!peer)
		die("no memory");
	peer->path = path;
	if (path == PEER_REMOTE)
		start_remote(peer);
	else
		start_local(peer);
	return peer;
}

void peer_stop(struct peer *peer)
{
	int status;

	close(peer->control);
	if (peer->pid) {
		while (waitpid(peer->pid, &status, 0) < 0 && errno == EINTR)
			;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			die("the receiver failed");
	}
	free(peer);
}

void peer_compare(struct peer *peer, uint64_t size)
{
	peer->compare = size;
}

/* Waits for what the hello is answered with. */
static void welcome(int sock)
{
	char answer;
	ssize_t n;

	do
		n = recv(sock, &answer, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		die("the receiver ended the connection%s%s",
		    n ? ": " : ", as one of another version does", n ? strerror(errno) : "");
	if (answer != PEER_WELCOME)
		die("the receiver refuses a connection that it has no room for, and says of what");
}

int peer_connect(struct peer *peer, const struct peer_hello *hello)
{
	struct peer_hello h = *hello;
	char problem[256];
	int on = 1;
	int sock;

	if (peer->path == PEER_REMOTE) {
		sock = net_connect(&peer->remote, problem, sizeof(problem));
		if (sock < 0)
			die("%s", problem);
	} else {
		sock = tcp_socket(peer->path == PEER_VETH ? NETNS_TX : NULL);
		while (connect(sock, (struct sockaddr *)&peer->address, sizeof(peer->address)))
			if (errno != EINTR)
				die_errno(errno, "connecting to the receiver");
	}
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	h.magic = PEER_MAGIC;
	h.client = peer->client;
	if (peer->compare) {
		h.flags |= PEER_COMPARE;
		h.wrap = peer->compare;
	}
	if (send(sock, &h, sizeof(h), MSG_NOSIGNAL) != sizeof(h))
		die_errno(errno, "the receiver");
	welcome(sock);
	return sock;
}

void peer_wait(int sock, uint64_t n)
{
	char answers[4096];
	ssize_t got;

	while (n) {
		got = recv(sock, answers, n < sizeof(answers) ? n : sizeof(answers), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			die_errno(got ? errno : ECONNRESET, "the receiver ended the connection");
		if (memchr(answers, 'n', got))
			die("wrong bytes arrived");
		n -= got;
	}
}

static void command(struct peer *peer, char c, void *reply, size_t len)
{
	if (send(peer->control, &c, 1, MSG_NOSIGNAL) != 1 ||
	    recv(peer->control, reply, len, MSG_WAITALL) != (ssize_t)len)
		die("the receiver is gone");
}

void peer_resume(struct peer *peer)
{
	char reply;

	command(peer, CONTROL_RESUME, &reply, 1);
}

double peer_cpu(struct peer *peer)
{
	double cpu = 0;

	if (peer && peer->path == PEER_REMOTE)
		command(peer, CONTROL_CPU, &cpu, sizeof(cpu));
	return cpu;
}

int peer_serve(const char *text)
{
	struct net_address address;
	char problem[256], name[NET_NAME_MAX];
	int sock;

	if (net_parse(text, false, &address)) {
		fprintf(stderr, "zcp-bench: %s is no [ADDR:]PORT\n", text);
		return 2;
	}
	sock = net_listen(&address, problem, sizeof(problem));
	if (sock < 0)
		die("%s", problem);
	net_local(sock, name);
	say("receiving on %s", name);
	receiver_run(sock, -1);
}
