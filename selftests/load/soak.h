/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The soak test: what its parts share. A run is some processes of some
 * threads. A thread owns connections and works through their lives; the
 * threads of a process share two contexts and read the events of both; one
 * more thread cancels jobs and cuts files at random.
 */
#ifndef ZCP_LOAD_SOAK_H
#define ZCP_LOAD_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/zcp.h>

#define SOAK_IDS	(1U << 24)	/* of jobs, in one run */
#define SOAK_CTXS	2	/* contexts that the threads of a process share */
#define SOAK_RECENT	256	/* jobs that may be cancelled */
#define SOAK_LIFE	250	/* jobs of a connection, at most */
#define SOAK_BATCH	32
#define SOAK_HEAD	32
#define SOAK_TAIL	16
#define SOAK_FILES	12
#define SOAK_FIXED	(4U << 20)	/* size of a file that nobody changes */
#define SOAK_CUT	(256U << 10)	/* of one that is cut, at most */
#define SOAK_PATIENCE	60	/* seconds without any progress of a connection */

/**
 * struct soak_totals - What all processes count, in shared memory
 * @submitted: jobs that were accepted
 * @ended: events by state, from DONE on
 * @abandoned: jobs whose context was closed before their event was read
 * @refused: jobs that SUBMIT did not take
 * @cancels: CANCELs that have ended a job
 * @xfers: synchronous transfers
 * @links: connections
 * @bytes: that were received and compared
 * @doubled: events of a job that had its event
 * @stop: a thread has failed
 * @accepted: by id
 * @seen: events by id
 */
struct soak_totals {
	atomic_ullong submitted;
	atomic_ullong ended[3];
	atomic_ullong abandoned;
	atomic_ullong refused;
	atomic_ullong cancels;
	atomic_ullong xfers;
	atomic_ullong links;
	atomic_ullong bytes;
	atomic_ullong doubled;
	atomic_bool stop;
	atomic_uchar accepted[SOAK_IDS / 8];
	atomic_uchar seen[SOAK_IDS / 8];
};

/**
 * struct soak_file - A file that is sent
 * @fd: it
 * @cut: it is truncated, punched and written again
 * @size: of it, or its largest
 * @seed: of its bytes
 * @old: them, unless they are too many
 * @new: what may be there as well, if it is cut
 */
struct soak_file {
	int fd;
	bool cut;
	uint64_t size;
	uint64_t seed;
	unsigned char *old;
	unsigned char *new;
};

/**
 * struct soak_job - A job, or an XFER, and what it is to bring
 * @done: its event was read, by any thread
 * @ev: the event
 * @id: of the job
 * @file: what its second segment is from, or NULL
 * @to_eof: up to where that ends
 * @off: there
 * @len: bytes, if not to the end
 * @head: before it
 * @head_len: bytes of that
 * @tail: behind it
 * @tail_len: bytes of that
 * @nr: segments
 */
struct soak_job {
	atomic_int done;
	struct zcp_event ev;
	uint64_t id;
	struct soak_file *file;
	bool to_eof;
	uint64_t off;
	uint64_t len;
	unsigned char head[SOAK_HEAD];
	uint32_t head_len;
	unsigned char tail[SOAK_TAIL];
	uint32_t tail_len;
	uint32_t nr;
};

enum soak_state {
	SOAK_FREE,
	SOAK_CONNECTING,
	SOAK_OPEN,
	SOAK_ENDING,
};

enum soak_end {
	SOAK_UNLINK_IDLE,	/* when all events are there */
	SOAK_UNLINK_BUSY,
	SOAK_SHUTDOWN,		/* of the sending side, by its owner */
	SOAK_DISCONNECT,	/* the same, with a reset */
	SOAK_RESET,		/* by the receiver */
	SOAK_CLOSE,		/* of the context, with jobs in flight */
	SOAK_ENDS,
};

/**
 * struct soak_conn - A connection and its link
 * @state: where in its life it is
 * @end: how it will end
 * @tx: the end that sends, or -1
 * @rx: the other
 * @connected: TCP says so
 * @port: of @tx
 * @ctx: its context
 * @own: that is its alone
 * @link: there
 * @jobs: in order
 * @nr: of them
 * @life: how many it will have
 * @at: the first that is not compared
 * @open_bytes: that jobs from @at on may bring
 * @buf: what was received and is not compared
 * @cap: of @buf
 * @len: bytes there
 * @received: bytes in all
 * @eof: nothing more will come
 * @reset: that was said by a reset
 * @since: when anything has happened last
 */
struct soak_conn {
	enum soak_state state;
	enum soak_end end;
	int tx;
	int rx;
	bool connected;
	uint16_t port;
	int ctx;
	bool own;
	uint32_t link;
	struct soak_job *jobs;
	unsigned int nr;
	unsigned int life;
	unsigned int at;
	uint64_t open_bytes;
	unsigned char *buf;
	size_t cap;
	size_t len;
	uint64_t received;
	bool eof;
	bool reset;
	uint64_t since;
};

/**
 * struct soak - What the threads of a process share
 * @totals: of all processes
 * @target: jobs of all processes
 * @window: bytes that a connection may have on its way
 * @conns: of a thread
 * @netns: where the receivers are, a descriptor
 * @home: where the senders are
 * @address: of the receivers, as in struct in_addr
 * @files: that are sent
 * @nr_files: of them
 * @ctxs: shared contexts
 * @recent: jobs that may be cancelled
 * @ended: the disturbing thread shall end
 */
struct soak {
	struct soak_totals *totals;
	uint64_t target;
	uint64_t window;
	unsigned int conns;
	int netns;
	int home;
	uint32_t address;
	struct soak_file files[SOAK_FILES];
	unsigned int nr_files;
	int ctxs[SOAK_CTXS];
	struct {
		atomic_ullong job;
		atomic_int ctx;
	} recent[SOAK_RECENT];
	atomic_bool ended;
};

/**
 * struct soak_thread - A thread and its connections
 * @soak: the process
 * @random: state of its numbers
 * @listener: where its connections arrive
 * @port: of that
 * @conns: its connections
 */
struct soak_thread {
	struct soak *soak;
	uint64_t random;
	int listener;
	uint16_t port;
	struct soak_conn *conns;
};

uint64_t soak_random(uint64_t *state, uint64_t below);

/* soak_conn.c */
void soak_conn_step(struct soak_thread *t, struct soak_conn *c);
void soak_conn_receive(struct soak_conn *c);
void soak_accept(struct soak_thread *t);
void soak_dispatch(struct soak *soak, const struct zcp_event *ev);

/* soak_job.c */
unsigned int soak_submit(struct soak_thread *t, struct soak_conn *c, unsigned int nr);
void soak_xfer(struct soak_thread *t, struct soak_conn *c);
void soak_check_event(const struct soak_conn *c, const struct soak_job *job);
void soak_compare(const struct soak_job *job, const unsigned char *buf, uint64_t have);

#endif /* ZCP_LOAD_SOAK_H */
