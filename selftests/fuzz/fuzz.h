/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fuzzer of zcp's interfaces: sequences of operations over pools of valid
 * objects, with mutated fields, run by workers that get in each other's way.
 *
 * The manager makes the world once (namespaces, files, descriptors that stay)
 * and forks an executor for each sequence, which starts the workers and reads
 * what the sockets deliver. All that they tell each other is in struct fz.
 */
#ifndef ZCP_FUZZ_H
#define ZCP_FUZZ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <linux/netlink.h>
#include <linux/zcp.h>

#define FZ_WORKERS	4
#define FZ_ARGS		4
#define FZ_OPS_MAX	160	/* of a sequence */
#define FZ_KINDS	64	/* of operations, at most */
#define FZ_ERRNOS	160

/*
 * Pools: objects of one kind have fixed descriptors. Closing one puts
 * /dev/null in its place in the same step, so that its number never leads to
 * an object of another kind while somebody still uses it.
 */
#define FZ_CTXS		4
#define FZ_SOCKS	8
#define FZ_FILES	10
#define FZ_ODDS		16
#define FZ_NLS		2
#define FD_CTX		100
#define FD_TX		120
#define FD_RX		140
#define FD_FILE		160
#define FD_ODD		180
#define FD_NL		200
#define FD_LISTEN	220	/* for each socket and kind of address */
#define FD_ADDRS	4
#define FD_KCOV		260
#define FD_NULL		300
#define FD_DONE		301	/* a worker has run all of its operations */
#define FD_LISTENER	302	/* the executor's, of notifications */

#define FZ_LINKS	16	/* remembered of a context */
#define FZ_INSTS	128	/* contexts that were open in one sequence */
#define FZ_JOBS		65536	/* ids that one sequence may use */
#define FZ_PIECES	8192
#define FZ_PCS		65536

/* What a worker's operation works on in memory. */
#define FZ_ARENA	(128 * 1024UL)
#define FZ_AT_JOBS	(8 * 1024UL)
#define FZ_AT_SEGS	(32 * 1024UL)
#define FZ_AT_INLINE	(64 * 1024UL)	/* bytes that inline segments send */
#define FZ_MAX_INLINE	(24 * 1024UL)
#define FZ_AT_DATA	(88 * 1024UL)
#define FZ_AT_BYTES	(112 * 1024UL)	/* bytes for files and sockets */

enum fz_end {
	FZ_END_CLEAN,		/* cancel what is left, read all events */
	FZ_END_DRAIN,		/* let it go on for a moment, then the same */
	FZ_END_EXIT,		/* leave it to exit(2) */
	FZ_END_KILL,		/* SIGKILL at any time */
	FZ_ENDS,
};

struct fz_op {
	uint8_t worker;
	uint8_t kind;
	uint32_t arg[FZ_ARGS];
};

/**
 * struct fz_seq - A sequence of operations
 * @end: enum fz_end
 * @threads: the workers share their memory, else only their descriptors
 * @listen: the executor listens to notifications
 * @serial: so many operations are run one after another before the others
 * @nr: operations
 * @ops: the operations; those of a worker are run in order
 */
struct fz_seq {
	uint32_t end;
	uint32_t threads;
	uint32_t listen;
	uint32_t serial;
	uint32_t nr;
	struct fz_op ops[FZ_OPS_MAX];
};

/**
 * struct fz_worker - Somebody who runs operations
 * @tgid: its process
 * @tid: its thread
 * @op: index of the operation that it runs
 * @since: when that began, in ns, 0 when it runs none
 * @done: it has run all of its own
 * @arena: its memory: FZ_ARENA bytes, followed by a page that is not there
 * @alias: the same, not to be written to
 */
struct fz_worker {
	pid_t tgid;
	pid_t tid;

	_Atomic uint32_t op;
	_Atomic uint64_t since;
	_Atomic bool done;
	unsigned char *arena;
	unsigned char *alias;
	uint64_t *cover;
};

/* A context, as long as it is open. */
struct fz_inst {
	_Atomic uint32_t unknown;	/* jobs may have been accepted without our knowing */
	_Atomic uint32_t max_link;
	struct {
		_Atomic uint32_t id;
		uint32_t sock;
	} links[FZ_LINKS];
	_Atomic uint32_t next_link;
};

struct fz_slot {
	_Atomic uint32_t gen;		/* odd while it changes */
	_Atomic int inst;		/* index, -1 for none */
};

#define FZ_JOB_ACCEPTED	1
#define FZ_JOB_EVENT	2

struct fz_job {
	_Atomic uint8_t flags;
	_Atomic int8_t inst;
	_Atomic uint16_t op;

	/* Of its event. */
	uint8_t state;
	uint8_t error;
	uint64_t sent;
	uint64_t acked;
};

/* Bytes that may be sent: where in a file they begin, and how many. */
struct fz_piece {
	uint64_t start;
	uint64_t len;
};

enum fz_pace { FZ_FAST, FZ_SLOW, FZ_STALLED };

/**
 * struct fz_rx - What a socket has delivered, byte by byte
 * @live: there is a connection to read
 * @pace: enum fz_pace
 * @gen: connections so far, counted when one is about to be there, and when it is
 * @seen: of these, before the bytes that were read last
 * @mixed: not only jobs send to it
 * @known: the next byte is that of @off in file @file, or a zero
 * @since: bytes since the last break
 * @zeros: some of these were zeros
 * @stray: they begin where no piece does
 * @have: bytes of an incomplete word
 * @bytes: all that came
 */
struct fz_rx {
	_Atomic bool live;
	_Atomic uint32_t pace;
	_Atomic uint32_t gen;
	uint32_t seen;
	_Atomic bool mixed;
	bool known;
	bool zeros;
	bool stray;
	uint32_t file;
	uint64_t off;
	uint64_t since;
	unsigned int have;
	unsigned char word[8];
	uint64_t bytes;
};

struct fz {
	struct fz_seq seq;
	struct fz_worker worker[FZ_WORKERS];
	_Atomic int nr_started;
	_Atomic int go;			/* 1: the serial part is over */
	_Atomic bool resolving;

	struct fz_slot ctx[FZ_CTXS];
	struct fz_inst inst[FZ_INSTS];
	_Atomic int nr_insts;
	uint64_t base_id;		/* of the last job before this sequence */
	_Atomic uint64_t last_id;
	struct fz_job job[FZ_JOBS];
	_Atomic bool loose_jobs;	/* who has which event is not known */
	_Atomic bool scribbling;	/* what is read or written is not known either */
	_Atomic bool loose_bytes;	/* what may arrive is not known */
	_Atomic bool abroad;		/* jobs may be told of in another namespace */
	_Atomic uint64_t recent[64];
	_Atomic uint32_t nr_recent;

	_Atomic uint32_t dirty_files;
	_Atomic bool dirty_net;
	_Atomic bool dirty_params;
	_Atomic uint32_t busy_sock;	/* bits: a connection is being made */

	struct fz_piece piece[FZ_PIECES];
	_Atomic uint32_t nr_pieces;
	_Atomic uint32_t nr_tiny;	/* pieces without a whole word */
	_Atomic uint32_t unexplained;
	_Atomic uint32_t misplaced;
	struct fz_rx rx[FZ_SOCKS];

	uint64_t count[FZ_KINDS][FZ_ERRNOS];
	_Atomic uint64_t events[ZCP_STATE_CANCELLED + 1];
	_Atomic uint64_t job_errors[FZ_ERRNOS];
	_Atomic uint64_t bytes;
	_Atomic uint64_t signals;
	uint64_t notifications;
	_Atomic uint32_t fresh;		/* what was seen for the first time */
	_Atomic uint32_t nr_pcs;
	_Atomic uint64_t pcs[FZ_PCS];

	_Atomic int failed;
	char why[512];
};

extern struct fz *fz;
extern unsigned int fz_verbose;

/**
 * struct fz_kind - A row of the table of operations
 * @name: in the text of a sequence
 * @run: does it: 0, -errno, or FZ_SKIP when there was nothing to do it with
 * @weight: how often it is chosen
 * @errnos: the only ones it may give, ending with 0; NULL for any
 */
struct fz_kind {
	const char *name;
	int (*run)(struct fz_worker *w, const struct fz_op *op);
	unsigned int weight;
	const short *errnos;
};

#define FZ_SKIP		1

extern const struct fz_kind fz_kinds[];
extern const unsigned int fz_nr_kinds;

__attribute__((format(printf, 1, 2)))
void fz_fail(const char *fmt, ...);
__attribute__((noreturn, format(printf, 1, 2)))
void fz_die(const char *fmt, ...);
uint64_t fz_now(void);
void fz_sleep_us(unsigned int us);

/* seq.c: random numbers, sequences as such */
uint64_t fz_random(uint64_t *state);
void fz_generate(struct fz_seq *seq, uint64_t *rng);
void fz_mutate(struct fz_seq *seq, const struct fz_seq *other, uint64_t *rng);
void fz_print_seq(FILE *f, const struct fz_seq *seq);
bool fz_parse_seq(FILE *f, struct fz_seq *seq, const char *name, bool quoted);

/* world.c: namespaces, files and descriptors that stay */
void fz_world_make(void);
void fz_world_end(void);
void fz_world_refresh(void);
void fz_world_executor(void);
void fz_fill_file(int fd, unsigned int file, uint64_t from, uint64_t to);
uint64_t fz_file_size(unsigned int file);
int fz_connect(unsigned int sock, uint32_t how);
extern char fz_dir[64];

/* check.c: what must hold */
void fz_note_piece(uint64_t start, uint64_t len);
void fz_note_accepted(struct fz_worker *w, int slot, uint32_t gen, uint64_t id);
void fz_note_unknown(int slot, uint32_t gen);
void fz_note_id(uint64_t id);
bool fz_slot_same(int slot, uint32_t gen);
void fz_take_events(const void *buf, size_t len);
void fz_receive(struct fz_rx *rx, const unsigned char *buf, size_t len);
void fz_check_jobs(void);
void fz_pattern(void *buf, unsigned int file, uint64_t off, size_t len);

/* netlink.c: the family, and routes */
void fz_netlink_init(void);
int fz_netlink_open(int at);
int fz_netlink_join(int fd, bool join);
void fz_netlink_values(const struct nlmsghdr *nl, uint64_t *values, unsigned int nr);
bool fz_netlink_stats(uint64_t *values, unsigned int nr);
void fz_link_up(const char *name, bool up, int mtu);
int fz_route(uint32_t how);
int fz_op_nl_get(struct fz_worker *w, const struct fz_op *op);
int fz_op_nl_dump(struct fz_worker *w, const struct fz_op *op);
int fz_op_nl_cancel(struct fz_worker *w, const struct fz_op *op);
int fz_op_nl_raw(struct fz_worker *w, const struct fz_op *op);
int fz_op_nl_group(struct fz_worker *w, const struct fz_op *op);
int fz_op_nl_drain(struct fz_worker *w, const struct fz_op *op);
int fz_op_nl_reopen(struct fz_worker *w, const struct fz_op *op);

/* listen.c: what must hold of notifications */
void fz_listen_begin(void);
void fz_listen(void);
void fz_listen_end(void);

/* pick.c: what arguments choose */

/* Where in a context's slot, and the descriptor to use for it. */
struct fz_target {
	int fd;
	int slot;		/* -1 when it is no context's */
	uint32_t gen;
	int inst;
};

uint64_t fz_edge(uint32_t r);
int fz_slot_of(uint32_t arg);
struct fz_target fz_ctx_of(uint32_t arg);
int fz_sock_of(uint32_t arg);
int fz_file_of(uint32_t arg);
uint32_t fz_link_of(const struct fz_target *t, uint32_t r);
uint64_t fz_job_of(uint32_t r);
void fz_range_of(uint64_t *rng, int fd, uint64_t *off, uint64_t *len);

/* ops.c: contexts */
int fz_op_open(struct fz_worker *w, const struct fz_op *op);
int fz_op_close(struct fz_worker *w, const struct fz_op *op);
int fz_op_dup(struct fz_worker *w, const struct fz_op *op);
int fz_op_info(struct fz_worker *w, const struct fz_op *op);
int fz_op_link(struct fz_worker *w, const struct fz_op *op);
int fz_op_unlink(struct fz_worker *w, const struct fz_op *op);
int fz_op_submit(struct fz_worker *w, const struct fz_op *op);
int fz_op_cancel(struct fz_worker *w, const struct fz_op *op);
int fz_op_cancel_link(struct fz_worker *w, const struct fz_op *op);
int fz_op_status(struct fz_worker *w, const struct fz_op *op);
int fz_op_walk(struct fz_worker *w, const struct fz_op *op);
int fz_op_xfer(struct fz_worker *w, const struct fz_op *op);
int fz_op_read(struct fz_worker *w, const struct fz_op *op);
int fz_op_poll(struct fz_worker *w, const struct fz_op *op);
int fz_op_other(struct fz_worker *w, const struct fz_op *op);

/* around.c: sockets, files, routes, processes */
int fz_op_connect(struct fz_worker *w, const struct fz_op *op);
int fz_op_peer(struct fz_worker *w, const struct fz_op *op);
int fz_op_pace(struct fz_worker *w, const struct fz_op *op);
int fz_op_sock_close(struct fz_worker *w, const struct fz_op *op);
int fz_op_sock_write(struct fz_worker *w, const struct fz_op *op);
int fz_op_sock_option(struct fz_worker *w, const struct fz_op *op);
int fz_op_sock_shutdown(struct fz_worker *w, const struct fz_op *op);
int fz_op_sock_disconnect(struct fz_worker *w, const struct fz_op *op);
int fz_op_truncate(struct fz_worker *w, const struct fz_op *op);
int fz_op_write(struct fz_worker *w, const struct fz_op *op);
int fz_op_punch(struct fz_worker *w, const struct fz_op *op);
int fz_op_new_file(struct fz_worker *w, const struct fz_op *op);
int fz_op_reopen(struct fz_worker *w, const struct fz_op *op);
int fz_op_advise(struct fz_worker *w, const struct fz_op *op);
int fz_op_map(struct fz_worker *w, const struct fz_op *op);
int fz_op_route(struct fz_worker *w, const struct fz_op *op);
int fz_op_device(struct fz_worker *w, const struct fz_op *op);
int fz_op_features(struct fz_worker *w, const struct fz_op *op);
int fz_op_signal(struct fz_worker *w, const struct fz_op *op);
int fz_op_fork(struct fz_worker *w, const struct fz_op *op);
int fz_op_sleep(struct fz_worker *w, const struct fz_op *op);
int fz_op_parameter(struct fz_worker *w, const struct fz_op *op);
int fz_op_scribble(struct fz_worker *w, const struct fz_op *op);

/* execute.c: the executor and its workers */
void fz_execute(void);

#endif /* ZCP_FUZZ_H */
