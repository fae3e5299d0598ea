/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the C tests of zcp share: a box to run in, TCP connections, files with
 * verifiable bytes, and one-line wrappers around the ioctls.
 *
 * Helpers end the test (abort(3), which the harness reports as a failed
 * assertion) when something that is not under test goes wrong.
 */
#ifndef ZCP_TEST_H
#define ZCP_TEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/zcp.h>

#define ZT_DEV		"/dev/zcp"
#define ZT_KIB		1024ULL
#define ZT_MIB		(1024ULL * 1024)
#define ZT_GIB		(1024ULL * 1024 * 1024)
#define ZT_PAGE		4096ULL

/* Emulated machines are slow: how long anything may take before it hangs. */
#define ZT_PATIENCE	90
/* How long to watch for something that must not happen, in milliseconds. */
#define ZT_WATCH	400

#define zt_die(fmt, ...) \
	zt_die_at(__FILE__, __LINE__, fmt, ##__VA_ARGS__)
#define zt_need(cond) \
	do { \
		if (!(cond)) \
			zt_die("%s: errno %d", #cond, errno); \
	} while (0)

__attribute__((noreturn, format(printf, 3, 4)))
void zt_die_at(const char *file, int line, const char *fmt, ...);

/**
 * struct zt_box - Where a test runs
 * @dir: A tmpfs of its own, in a mount namespace of its own.
 * @refs: References to the module when the test began.
 * @fds: Open descriptors when the test began.
 *
 * The network namespace has nothing but a loopback device that is up.
 */
struct zt_box {
	char dir[64];
	int refs;
	int fds;
};

void zt_box_open(struct zt_box *box, int mtu);
/* Says what is left behind of contexts, files and descriptors; 0 if nothing. */
int zt_box_close(struct zt_box *box);
int zt_refs(void);
int zt_run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Sets a parameter of the module, for all: what it was, to be set again. */
uint64_t zt_parameter(const char *name, uint64_t value);

/**
 * struct zt_conn - A TCP connection
 * @tx: The end that zcp sends on.
 * @rx: The other end.
 */
struct zt_conn {
	int tx;
	int rx;
};

/* Buffer sizes are in bytes as setsockopt(2) takes them; 0 leaves them alone. */
int zt_listen(int family, int rcvbuf);
void zt_connect_to(struct zt_conn *conn, int listener, int sndbuf);
void zt_connect(struct zt_conn *conn, int sndbuf, int rcvbuf);
/* Small send queue, small window: a job of 1 MiB blocks. */
void zt_connect_blocking(struct zt_conn *conn);
/* Large send queue, small window: a job of 1 MiB is sent and not acked. */
void zt_connect_holding(struct zt_conn *conn);
void zt_close(struct zt_conn *conn);
void zt_reset(int fd);
uint64_t zt_unacked(int fd);
uint64_t zt_tcp_acked(int fd);

/* Bytes that tell where they belong: word N of file SEED is a mix of both. */
void zt_pattern(void *buf, uint64_t seed, uint64_t off, size_t len);
ssize_t zt_mismatch(const void *buf, size_t len, uint64_t seed, uint64_t off);
void zt_fill(int fd, uint64_t seed, uint64_t off, uint64_t len);
/* A new file of the box, opened for reading and writing, without a name. */
int zt_file(struct zt_box *box, uint64_t seed, uint64_t len);

/**
 * struct zt_sink - A thread that reads a connection
 * @fd: What it reads.
 * @want: It ends after that many bytes, or at the end of the stream.
 * @discard: Do not keep them.
 * @buf: The bytes.
 * @len: How many.
 * @error: errno of the read that failed, or 0.
 * @eof: The stream ended.
 * @thread: The thread.
 */
struct zt_sink {
	int fd;
	size_t want;
	bool discard;
	char *buf;
	size_t len;
	int error;
	bool eof;
	pthread_t thread;
};

void zt_sink_start(struct zt_sink *sink, int fd, size_t want);
/* Counts what it reads to the end of the stream, and keeps nothing. */
void zt_sink_count(struct zt_sink *sink, int fd);
void zt_sink_join(struct zt_sink *sink);
void zt_sink_free(struct zt_sink *sink);
/* Reads to the end of the stream or an error; the number of bytes. */
uint64_t zt_drain(int fd);
void zt_read_full(int fd, void *buf, size_t len);

int zt_open(int flags);
void zt_info(int ctx, struct zcp_info *info);
uint32_t zt_link(int ctx, int fd);
uint32_t zt_link_flags(int ctx, int fd, uint32_t flags);
/* 0 or -errno; the number of jobs that it ended goes to @cancelled. */
int zt_unlink(int ctx, uint32_t link, uint32_t *cancelled);
struct zcp_segment zt_range(int fd, uint64_t off, uint64_t len);
struct zcp_segment zt_to_eof(int fd, uint64_t off);
struct zcp_segment zt_inline(const void *buf, size_t len);
struct zcp_job zt_job(uint32_t link, const struct zcp_segment *segs, uint32_t nr);
/* 0 or -errno; the job's id goes to job->id. */
int zt_try_submit(int ctx, struct zcp_job *job);
uint64_t zt_submit(int ctx, struct zcp_job *job);
uint64_t zt_submit_range(int ctx, uint32_t link, int fd, uint64_t off, uint64_t len);
int zt_cancel(int ctx, uint64_t job, struct zcp_cancel *cancel);
int zt_status(int ctx, uint64_t job, struct zcp_status *status);
int zt_state(int ctx, uint64_t job);
/* Waits until the job is in this state; ends the test if it never is. */
void zt_wait_state(int ctx, uint64_t job, uint32_t state);
/* Waits until its progress has begun, and come to a halt wherever that is. */
void zt_wait_stuck(int ctx, uint64_t job);
/* Jobs of the context, by walking them. */
unsigned int zt_jobs(int ctx);
/* Is an event readable within that time? */
bool zt_readable(int ctx, int ms);
void zt_event(int ctx, struct zcp_event *event);
uint64_t zt_now_ns(void);
void zt_sleep_ms(unsigned int ms);

#endif /* ZCP_TEST_H */
