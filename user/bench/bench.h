/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * zcp-bench: what its parts share. A suite runs methods against each other in
 * rounds that are interleaved; a method is one way to send a file; a peer is
 * the receiver; a meter says what a run took; results are what is reported.
 */
#ifndef ZCP_BENCH_H
#define ZCP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The options of this run; see main.c. */
struct bench_options {
	int rounds;	     /* of each comparison */
	bool smoke;	     /* small sizes, bytes checked, no speeds judged */
	bool pin;	     /* the sender stays on the first CPU, the receiver on the last */
	int lowat;	     /* SO_RCVLOWAT of receivers of few connections */
	const char *dir;     /* where files are made: a tmpfs */
	const char *disk;    /* block device for the suites cold and cache, or NULL */
	const char *out;     /* where results go */
	const char *remote;  /* HOST:PORT of `serve`, or NULL for this machine */
	const char *methods; /* comma-separated names, or NULL for all */
	const char *cases;   /* a shell pattern, or NULL for all */
};

extern struct bench_options opt;

/* Exit status of who could not go on; 1 is that of a check that failed. */
#define STATUS_BROKEN 4

/* Prints to stderr and ends the program with STATUS_BROKEN. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
/* The same, with strerror(error). */
__attribute__((noreturn, format(printf, 2, 3))) void die_errno(int error, const char *format, ...);
/* Progress, on stderr. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

uint64_t now_ns(void);
/* Whether @name is in a comma-separated list. */
bool list_has(const char *list, const char *name);
/* Whether this case of a suite is to run. */
bool case_wanted(const char *cas);

/* --- machine.c: what is compared on ------------------------------------ */

/* A line of text. */
void machine_describe(char *buf, size_t size);
/* This process, and those it forks then, stay on the first CPU, or on the last. */
void machine_pin(bool last);

/* --- file.c: files to send ------------------------------------------- */

/* A file whose bytes are a function of their offset (file_byte()). */
struct file {
	char path[256]; /* for messages: in file_make()'s directory it has no name */
	int fd;
	uint64_t size;
};

/*
 * Makes @size bytes in @dir, resident in the page cache. Others do not see the file, and
 * it goes with who has it open.
 */
void file_make(struct file *f, const char *dir, const char *name, uint64_t size);
void file_remove(struct file *f);
uint8_t file_byte(uint64_t offset);
/* The bytes at @offset and after. */
void file_fill(void *buf, uint64_t offset, size_t len);

/* --- peer.c: the receiver -------------------------------------------- */

enum peer_path {
	PEER_LOOPBACK, /* 127.0.0.1 in this namespace */
	PEER_VETH,     /* from namespace tx to 10.77.0.2 in rx */
	PEER_REMOTE,   /* opt.remote */
};

enum peer_mode {
	PEER_DISCARD, /* MSG_TRUNC: the receiver does not copy */
	PEER_READ,    /* read into a buffer, and dropped */
	PEER_STORE,   /* read, and written to a file of the peer's */
	PEER_CHECK,   /* every byte compared; see struct peer_hello */
	PEER_STALL,   /* nothing is read until peer_resume(), or ever without it */
};

/* The first bytes of a connection, in network order of members as they are. */
struct peer_hello {
	uint32_t magic;
	uint16_t mode;
	uint16_t flags;
	/*
	 * After each @unit bytes the peer answers with one byte: 'y', or 'n'
	 * when PEER_CHECK saw a wrong byte. 0: only at the end of the stream.
	 */
	uint64_t unit;
	/*
	 * PEER_CHECK: a unit is @header bytes of 'H' and a file from @offset,
	 * which grows from unit to unit by @step.
	 */
	uint64_t header;
	uint64_t offset;
	uint64_t step;
	/* PEER_ALONE: its SO_RCVLOWAT while a unit has more to come. */
	uint64_t lowat;
	/* Where bytes are compared: the file begins again after so many; 0: never. */
	uint64_t wrap;
	/* Of whom it is: what he has stalled ends with his connection for commands. */
	uint64_t client;
};

/*
 * Has a thread of the receiver that waits for whole units: for few connections, and refused
 * when there are many.
 */
#define PEER_ALONE 1
/* Shares one thread of the receiver with all that ask for it. */
#define PEER_TOGETHER 2
/* At most 64 KiB of it are read before it is the others' turn: all are served alike. */
#define PEER_TURNS 4
/* What is read, stored or dropped is also compared, as with PEER_CHECK. */
#define PEER_COMPARE 8

#define MAX_LOWAT (64 << 20)

#define PEER_MAGIC 0x7a637064 /* "zcpd" */
#define PEER_PORT "5077"      /* of serve */
/* What a hello is answered with; of a connection that is refused nothing is read. */
#define PEER_WELCOME 'y'
#define PEER_REFUSED 'r'

struct peer;

/* Why there is no such path here, or NULL. */
const char *peer_path_missing(enum peer_path path);
/* Starts receivers for this path, in another process. */
struct peer *peer_start(enum peer_path path);
void peer_stop(struct peer *peer);
/* fork(2) for a receiver; one that is pinned is on the last CPU from the beginning. */
pid_t peer_fork(void);
/* A connected blocking socket, after the hello has been accepted. */
int peer_connect(struct peer *peer, const struct peer_hello *hello);
/*
 * What is connected from now on sends a file of @size bytes again and again, and has every
 * byte compared, whatever its mode. 0: no more.
 */
void peer_compare(struct peer *peer, uint64_t size);
/* Waits for @n answers; dies when one is 'n' or the connection ends. */
void peer_wait(int sock, uint64_t n);
/* All connections that this peer has stalled read on. */
void peer_resume(struct peer *peer);
/* `zcp-bench serve`; returns an exit status. */
int peer_serve(const char *address);
const char *peer_path_name(enum peer_path path);
/* CPU seconds of another machine that the peer is on, or 0. */
double peer_cpu(struct peer *peer);

/* --- meter.c: what a run took ---------------------------------------- */

struct meter {
	uint64_t ns;	   /* wall clock */
	double cpu;	   /* CPU seconds of the whole machine; of both, with a remote */
	uint64_t peak_mem; /* bytes in use at most, above those at the start */
};

/* One at a time. @peer may be NULL when nothing is remote. */
void meter_start(struct peer *peer);
void meter_stop(struct peer *peer, struct meter *m);
/* CPU seconds of this machine since it was started. */
double machine_cpu(void);
uint64_t memory_available(void);

/* --- method.c, method_*.c: ways to send a file ------------------------ */

/*
 * One way to send. A state belongs to one connection. send() puts @hdr_len
 * bytes of header (which may be 0) and the range of the file on their way; it
 * may return before they are in the send queue. finish() returns when nothing
 * is open any more that the interface tells about: notifications, completions,
 * events of acknowledgment. Errors end the program.
 */
struct method {
	const char *name;
	/* Why it cannot work here, or NULL. */
	const char *(*missing)(void);
	void *(*open)(int sock);
	void (*send)(void *state, const struct file *f, uint64_t off, uint64_t len, const void *hdr,
		     size_t hdr_len);
	void (*finish)(void *state);
	void (*close)(void *state);
};

extern const struct method *const methods[];
extern const size_t nr_methods;

/* NULL when opt.methods leaves it out, or it is missing: see result_left_out(). */
const struct method *method_find(const char *name);
/* The context that zcp-xfer and zcp-job share; opened when first asked for. */
struct zcp_ctx *method_zcp(void);

/* --- result.c: what is reported --------------------------------------- */

#define MAX_ROUNDS 64

/* Samples of one metric of one method in one case. */
struct samples {
	double v[MAX_ROUNDS];
	int n;
};

void samples_add(struct samples *s, double v);
double samples_median(const struct samples *s);
/* The p-th percentile (0..100) of @n values, which get sorted. */
double percentile(uint64_t *v, size_t n, double p);

/* Metric names and units as docs/performance.md lists them. */
void result_add(const char *suite, const char *cas, const char *method, const char *metric,
		const char *unit, const struct samples *s);
/* A target: the ratio of two medians, or a bound. Reported, and judged only in prose. */
void result_target(const char *suite, const char *cas, const char *what, double value,
		   const char *op, double target);
/* A check of bytes or counts that must hold at any speed; a failure is the exit status. */
void result_check(const char *suite, const char *cas, bool good, const char *what);
/* A suite begins, and ends. One that has reported nothing, though nobody asked it to, fails. */
void result_begin(const char *suite);
void result_end(void);
/*
 * A way, a case or a peer of this suite that is wanted and cannot be had: a check that fails,
 * once in a suite. @why is for who can change that; with a word like "needs", "lacks",
 * "without" or "missing" it is nothing that zcp does wrong: selftests/smoke.sh skips it.
 */
void result_left_out(const char *what, const char *why);
/* Writes what there is so far to opt.out. */
void results_save(void);
/* Writes results.json, targets.json and table.txt to opt.out, prints the table. */
int results_finish(void);

/* --- suite_*.c --------------------------------------------------------- */

struct suite {
	const char *name;
	const char *help;
	void (*run)(void);
};

extern const struct suite suite_bulk, suite_small, suite_message, suite_cold, suite_many,
	suite_cache, suite_multi, suite_study_a, suite_study_b, suite_study_c, suite_study_d;

#endif /* ZCP_BENCH_H */
