// SPDX-License-Identifier: GPL-2.0-only
/*
 * The executor: runs the workers of one sequence, reads what the sockets
 * deliver, and looks whether everything has ended as it should.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>
#include <linux/kcov.h>

#include "fuzz.h"

#define NUDGE_NS	4000000	/* what takes longer is waiting: a signal ends it */
#define DRAIN_NS	50000000

static void take_pcs(struct fz_worker *w)
{
	uint64_t n, i;

	if (!w->cover)
		return;
	n = __atomic_load_n(&w->cover[0], __ATOMIC_RELAXED);
	for (i = 1; i <= n; i++) {
		uint64_t pc = w->cover[i], none;
		uint32_t at = pc * 0x9e3779b97f4a7c15ULL >> 48;

		for (;; at = (at + 1) % FZ_PCS) {
			none = 0;
			if (fz->pcs[at] == pc)
				break;
			if (atomic_compare_exchange_strong(&fz->pcs[at], &none, pc)) {
				fz->nr_pcs++;
				fz->fresh++;
				break;
			}
			if (none == pc)
				break;
		}
	}
	__atomic_store_n(&w->cover[0], 0, __ATOMIC_RELAXED);
}

static void check_errno(const struct fz_kind *kind, uint32_t index, int error)
{
	const short *p = kind->errnos;

	while (p && *p && *p != error)
		p++;
	if (p && !*p)
		fz_fail("operation %u: %s gave errno %d (%s)", index, kind->name, error,
			strerror(error));
}

static void run_op(struct fz_worker *w, uint32_t index)
{
	const struct fz_op *op = &fz->seq.ops[index];
	const struct fz_kind *kind = &fz_kinds[op->kind];
	int ret;

	w->op = index;
	w->since = fz_now();
	ret = kind->run(w, op);
	w->since = 0;
	take_pcs(w);
	if (ret == FZ_SKIP)
		return;
	if (-ret < 0 || -ret >= FZ_ERRNOS) {
		fz_fail("operation %u: %s gave errno %d", index, kind->name, -ret);
		return;
	}
	__atomic_fetch_add(&fz->count[op->kind][-ret], 1, __ATOMIC_RELAXED);
	if (ret)
		check_errno(kind, index, -ret);
}

static void run_worker(struct fz_worker *w)
{
	unsigned int nr = w - fz->worker;
	uint64_t one = 1;
	uint32_t i;

	w->tid = syscall(SYS_gettid);
	w->tgid = getpid();
	if (w->cover)
		ioctl(FD_KCOV + nr, KCOV_ENABLE, KCOV_TRACE_PC);
	if (!nr) {
		for (i = 0; i < fz->seq.serial && !fz->failed; i++)
			run_op(w, i);
		fz->go = 1;
		syscall(SYS_futex, &fz->go, FUTEX_WAKE, FZ_WORKERS, NULL, NULL, 0);
	}
	while (!fz->go)
		syscall(SYS_futex, &fz->go, FUTEX_WAIT, 0, NULL, NULL, 0);
	for (i = fz->seq.serial; i < fz->seq.nr && !fz->failed; i++) {
		if (fz->seq.ops[i].worker == nr)
			run_op(w, i);
	}
	if (w->cover)
		ioctl(FD_KCOV + nr, KCOV_DISABLE, 0);
	w->done = true;
	write(FD_DONE, &one, sizeof(one));
}

static void *thread_main(void *arg)
{
	run_worker(arg);
	return NULL;
}

static void on_signal(int nr, siginfo_t *info, void *context)
{
	pid_t tid = syscall(SYS_gettid);
	int i;

	if (nr == SIGPIPE)
		fz_fail("SIGPIPE was raised");
	if (nr != SIGSEGV)
		return;
	for (i = 0; i < FZ_WORKERS && fz->worker[i].tid != tid; i++)
		;
	fz_fail("the fuzzer itself: address %p, worker %d, operation %u", info->si_addr, i,
		i < FZ_WORKERS ? fz->worker[i].op : 0);
	_exit(1);
}

static void start(struct fz_worker *w)
{
	pthread_t thread;
	pid_t pid;

	if (fz->seq.threads) {
		if (pthread_create(&thread, NULL, thread_main, w))
			fz_die("no thread");
		pthread_detach(thread);
		return;
	}
	/* A process that has its descriptors in common with us. */
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		fz_die("no process: errno %d", errno);
	if (!pid) {
		run_worker(w);
		_exit(0);
	}
}

/* Read what has come, for a millisecond at most. */
static bool receive(void)
{
	static unsigned char buf[65536];
	struct pollfd pfd[FZ_SOCKS + 1] = { [FZ_SOCKS] = { .fd = FD_DONE, .events = POLLIN } };
	uint64_t count;
	bool any = false;
	int i, n = 0, ready;

	for (i = 0; i < FZ_SOCKS; i++) {
		struct fz_rx *rx = &fz->rx[i];

		pfd[i].fd = rx->live && rx->pace == FZ_FAST ? FD_RX + i : -1;
		pfd[i].events = POLLIN;
		pfd[i].revents = 0;
	}
	ready = poll(pfd, FZ_SOCKS + 1, 1);
	fz_listen();
	if (pfd[FZ_SOCKS].revents)
		read(FD_DONE, &count, sizeof(count));
	for (i = 0; i < FZ_SOCKS; i++) {
		struct fz_rx *rx = &fz->rx[i];
		bool slow = rx->live && rx->pace == FZ_SLOW;

		if (!slow && (ready <= 0 || !pfd[i].revents))
			continue;
		n = recv(FD_RX + i, buf, slow ? 1500 : sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			fz_receive(rx, buf, n);
			any = true;
		} else if (!n || (errno != EAGAIN && errno != EINTR)) {
			rx->live = false;
		}
	}
	return any;
}

/* Whoever waits in a system call for long gets a signal, again and again. */
static bool all_done(int nr)
{
	static uint64_t last;
	uint64_t now = fz_now();
	bool done = true, late = now - last > NUDGE_NS;
	int i;

	for (i = 0; i < nr; i++) {
		struct fz_worker *w = &fz->worker[i];
		uint64_t since = w->since;

		done &= w->done;
		if (since && late && now > since + NUDGE_NS) {
			syscall(SYS_tgkill, w->tgid, w->tid, SIGUSR1);
			fz->signals++;
			last = now;
		}
	}
	return done;
}

/* Workers are children, and end by themselves. */
static void reap(int *left)
{
	int status;

	while (*left && waitpid(-1, &status, WNOHANG) > 0) {
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
			fz_fail("a worker died of signal %d", WTERMSIG(status));
	}
}

static void check_bytes(void)
{
	uint32_t may = 2 * fz->nr_tiny;

	if (!fz->loose_bytes && fz->misplaced)
		fz_fail("%u times bytes came from a place that no piece begins at",
			fz->misplaced);
	if (!fz->loose_bytes && fz->unexplained > may)
		fz_fail("at %u places bytes arrived that no piece begins with, %u may be",
			fz->unexplained, may);
}

void fz_execute(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	int nr = fz->seq.serial == fz->seq.nr ? 1 : FZ_WORKERS, left = nr, i;
	uint64_t until;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	fz_world_executor();
	for (i = 0; i < FZ_WORKERS; i++) {
		size_t at;

		for (at = 0; at < FZ_MAX_INLINE; at++)
			fz->worker[i].arena[FZ_AT_INLINE + at] = 0x20 | (at & 31);
	}
	fz_listen_begin();
	for (i = 0; i < nr; i++)
		start(&fz->worker[i]);
	while (!all_done(nr) && !fz->failed) {
		receive();
		if (!fz->seq.threads)
			reap(&left);
	}
	if (fz->seq.end == FZ_END_EXIT)
		_exit(0);
	while (fz->seq.end == FZ_END_KILL)
		receive();
	if (fz->seq.end == FZ_END_DRAIN) {
		for (i = 0; i < FZ_SOCKS; i++)
			fz->rx[i].pace = FZ_FAST;
		until = fz_now() + DRAIN_NS;
		while (fz_now() < until && (receive() || fz_now() < until - DRAIN_NS * 3 / 4))
			;
	}
	fz->resolving = true;
	if (!fz->failed)
		fz_check_jobs();
	for (i = 0; i < 4 && receive(); i++)
		;
	if (!fz->failed)
		fz_listen_end();
	check_bytes();
	_exit(0);
}
