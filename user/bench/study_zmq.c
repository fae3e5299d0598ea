// SPDX-License-Identifier: GPL-2.0-only
/*
 * libzmq's messages: PUSH to a PULL of another process over TCP, copied into
 * messages of its own, or zero-copy (as libzmq calls it) with the pointer handed
 * over and a callback that frees it. Its I/O thread sends them.
 */
#include "study.h"

#ifdef HAVE_LIBZMQ

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "method.h"

#define ENDPOINT 64

struct zmq {
	void *context, *socket;
	pid_t pid;
	int control;
};

/* Whether it is the @n-th, as finish() of study.h says; @expected has room for it. */
static bool is_right(zmq_msg_t *msg, size_t len, uint64_t n, void *expected)
{
	if (zmq_msg_size(msg) != len)
		return false;
	if (!opt.smoke)
		return true;
	file_fill(expected, n * len, len);
	return !memcmp(zmq_msg_data(msg), expected, len);
}

/* Receives @count messages of @len bytes and says so, again and again. */
__attribute__((noreturn)) static void child(int control, size_t len, uint64_t count)
{
	char endpoint[ENDPOINT] = "";
	size_t size = sizeof(endpoint);
	void *context, *socket, *expected = allocate(len);
	bool right = true;
	zmq_msg_t msg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	context = zmq_ctx_new();
	socket = zmq_socket(context, ZMQ_PULL);
	if (!socket || zmq_bind(socket, "tcp://127.0.0.1:*") ||
	    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) ||
	    send(control, endpoint, sizeof(endpoint), MSG_NOSIGNAL) != sizeof(endpoint))
		_exit(1);
	zmq_msg_init(&msg);
	for (uint64_t n = 1;; n++) {
		if (zmq_msg_recv(&msg, socket, 0) < 0)
			_exit(1);
		right &= is_right(&msg, len, (n - 1) % count, expected);
		if (n % count == 0 && send(control, right ? "y" : "n", 1, MSG_NOSIGNAL) != 1)
			_exit(0);
	}
}

static void *zmq_start(struct peer *peer, size_t len, uint64_t count)
{
	struct zmq *z = allocate(sizeof(*z));
	char endpoint[ENDPOINT];
	int pair[2];
	int linger = 0;

	(void)peer;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die_errno(errno, "socketpair");
	z->pid = peer_fork();
	if (!z->pid) {
		close(pair[0]);
		child(pair[1], len, count);
	}
	close(pair[1]);
	z->control = pair[0];
	if (recv(z->control, endpoint, sizeof(endpoint), MSG_WAITALL) != sizeof(endpoint))
		die("libzmq: the receiver did not start");
	z->context = zmq_ctx_new();
	z->socket = zmq_socket(z->context, ZMQ_PUSH);
	if (!z->socket || zmq_setsockopt(z->socket, ZMQ_LINGER, &linger, sizeof(linger)) ||
	    zmq_connect(z->socket, endpoint))
		die_errno(errno, "libzmq");
	return z;
}

static void zmq_push(struct zmq *z, zmq_msg_t *msg)
{
	while (zmq_msg_send(msg, z->socket, 0) < 0)
		if (errno != EINTR)
			die_errno(errno, "zmq_msg_send");
}

static void send_copy(void *state, const void *data, size_t len)
{
	zmq_msg_t msg;

	if (zmq_msg_init_size(&msg, len))
		die_errno(errno, "zmq_msg_init_size");
	memcpy(zmq_msg_data(&msg), data, len);
	zmq_push(state, &msg);
}

static void give_back(void *data, void *hint)
{
	(void)hint;
	free(data);
}

static void send_pointer(void *state, const void *data, size_t len)
{
	void *copy = malloc(len);
	zmq_msg_t msg;

	if (!copy)
		die("no memory");
	memcpy(copy, data, len);
	if (zmq_msg_init_data(&msg, copy, len, give_back, NULL))
		die_errno(errno, "zmq_msg_init_data");
	zmq_push(state, &msg);
}

static void zmq_finish(void *state)
{
	struct zmq *z = state;

	peer_wait(z->control, 1);
}

static void zmq_stop(void *state)
{
	struct zmq *z = state;

	zmq_close(z->socket);
	zmq_ctx_term(z->context);
	kill(z->pid, SIGKILL);
	waitpid(z->pid, NULL, 0);
	close(z->control);
	free(z);
}

static const char *missing(void)
{
	return NULL;
}

#else

static const char *missing(void)
{
	return "zcp-bench was built without libzmq (libzmq3-dev)";
}

#define zmq_start NULL
#define send_copy NULL
#define send_pointer NULL
#define zmq_finish NULL
#define zmq_stop NULL

#endif

const struct messenger messenger_zmq_copy = {
	"zmq-copy", missing, zmq_start, send_copy, zmq_finish, zmq_stop,
};

const struct messenger messenger_zmq_zerocopy = {
	"zmq-zerocopy", missing, zmq_start, send_pointer, zmq_finish, zmq_stop,
};
