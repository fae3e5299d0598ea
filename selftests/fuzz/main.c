// SPDX-License-Identifier: GPL-2.0-only
/*
 * The manager: chooses sequences, has them executed, watches over that, and
 * checks that nothing is left behind.
 *
 *   fuzz [--seed N] [--ops N] [--time S] [--corpus DIR] [--keep DIR]
 *   fuzz --replay FILE [--times N]
 *   fuzz --print N [--seed N]      only print sequences
 *
 * ZCP_FUZZ_SECONDS, ZCP_FUZZ_SEED and ZCP_FUZZ_KEEP are as --time, --seed and
 * --keep. First all sequences of the corpus, then others until the time is up or so
 * many operations were run. With KCOV those that reach new code are kept, and
 * mutated; without it the sequences follow from the seed alone.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/kcov.h>
#include <linux/zcp_netlink.h>

#include <kselftest.h>
#include "fuzz.h"

#define COVER_WORDS	(16 << 10)
#define KEPT_MAX	1024
#define NS		1000000000ULL
#define CORPUS_NS	(300 * NS)	/* at least, for the corpus */

struct fz *fz;
static struct fz_seq kept[KEPT_MAX];
static unsigned int nr_kept, nr_corpus, corpus_left;
static uint64_t seed = 1, sequences;
static unsigned int patience = 30;
static const char *keep_dir;
static uint64_t memory_before;
static int refs_before;

uint64_t fz_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void fz_sleep_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

/* The first failure is the one that is told. */
void fz_fail(const char *fmt, ...)
{
	static atomic_flag first = ATOMIC_FLAG_INIT;
	va_list ap;

	if (fz->failed || atomic_flag_test_and_set(&first))
		return;
	va_start(ap, fmt);
	vsnprintf(fz->why, sizeof(fz->why), fmt, ap);
	va_end(ap);
	fz->failed = 1;
}

void fz_die(const char *fmt, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

/* Emulated CPUs are slow. */
static bool emulated(void)
{
	unsigned int a, b = 0, c = 0, d = 0;

	__cpuid(0x40000000, a, b, c, d);
	return !memcmp(&b, "TCGT", sizeof(b));
}

static int refs(void)
{
	FILE *f = fopen("/sys/module/zcp/refcnt", "re");
	int n = -1;

	if (!f || fscanf(f, "%d", &n) != 1)
		fz_die("no zcp module is loaded");
	fclose(f);
	return n;
}

static void open_kcov(void)
{
	int i;

	for (i = 0; i < FZ_WORKERS; i++) {
		int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
		void *map;

		if (fd < 0 || dup2(fd, FD_KCOV + i) < 0)
			return;
		close(fd);
		if (ioctl(FD_KCOV + i, KCOV_INIT_TRACE, COVER_WORDS))
			return;
		map = mmap(NULL, COVER_WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED,
			   FD_KCOV + i, 0);
		if (map == MAP_FAILED)
			return;
		fz->worker[i].cover = map;
	}
}

/* Nothing of the last sequence. */
static void reset(void)
{
	int i;

	for (i = 0; i < FZ_WORKERS; i++) {
		struct fz_worker *w = &fz->worker[i];

		w->tid = 0;
		w->tgid = 0;
		w->since = 0;
		w->done = false;
		if (w->cover)
			w->cover[0] = 0;
	}
	fz->go = 0;
	fz->resolving = false;
	for (i = 0; i < FZ_CTXS; i++)
		fz->ctx[i] = (struct fz_slot) { .inst = -1 };
	memset(fz->inst, 0, sizeof(fz->inst));
	fz->nr_insts = 0;
	memset(fz->job, 0, (fz->last_id - fz->base_id + 1) * sizeof(fz->job[0]));
	fz->base_id = fz->last_id;
	fz->loose_jobs = false;
	fz->loose_bytes = false;
	fz->abroad = false;
	fz->scribbling = false;
	fz->nr_recent = 0;
	fz->busy_sock = 0;
	fz->nr_pieces = 0;
	fz->nr_tiny = 0;
	fz->unexplained = 0;
	fz->misplaced = 0;
	memset(fz->rx, 0, sizeof(fz->rx));
	fz->fresh = 0;
	fz_world_refresh();
}

static void print_stack(pid_t pid, pid_t tid)
{
	char path[64], line[160];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stack", pid, tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		printf("#     %s", line);
	if (f)
		fclose(f);
}

/* What hangs: each worker's operation, and where the kernel is with it. */
static void print_hang(pid_t executor)
{
	int i;

	printf("# the executor, %s:\n", fz->resolving ? "ending everything" : "waiting");
	print_stack(executor, executor);
	for (i = 0; i < FZ_WORKERS; i++) {
		struct fz_worker *w = &fz->worker[i];

		if (!w->tid || w->done)
			continue;
		printf("# worker %d in operation %u, %s:\n", i, w->op,
		       fz_kinds[fz->seq.ops[w->op].kind].name);
		print_stack(w->tgid, w->tid);
	}
}

static void judge(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		fz_fail("the executor died of signal %d", WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		fz_fail("the executor exited with %d", WEXITSTATUS(status));
}

/* Wait for children until there is none, for that long: whether there was none. */
static bool wait_all(pid_t executor, uint64_t until)
{
	struct timespec tick = { 0, 20000000 };
	sigset_t chld;
	int status;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		pid = waitpid(executor, &status, WNOHANG);
		if (pid > 0 && pid == executor)
			judge(status);
		if (pid == executor || (pid < 0 && errno == ECHILD))
			return true;
		if (fz_now() > until)
			return false;
		sigtimedwait(&chld, NULL, &tick);
	}
}

static void check_left(void)
{
	static const struct {
		int attr;
		const char *name;
	} zeros[] = {
		{ ZCP_NL_A_STATS_CONTEXTS, "contexts" }, { ZCP_NL_A_STATS_LINKS, "links" },
		{ ZCP_NL_A_STATS_JOBS_ACTIVE, "jobs" },
		{ ZCP_NL_A_STATS_INFLIGHT, "bytes in flight" },
		{ ZCP_NL_A_STATS_WORKERS, "workers" },
	};
	uint64_t until = fz_now() + patience * NS, v[ZCP_NL_A_STATS_MAX + 1];
	uint64_t ended;
	unsigned int i, tries = 0;

	for (;;) {
		if (!fz_netlink_stats(v, ZCP_NL_A_STATS_MAX + 1)) {
			fz_fail("no statistics");
			return;
		}
		for (i = 0; i < 5 && !v[zeros[i].attr]; i++)
			;
		if (i == 5 && v[ZCP_NL_A_STATS_MEMORY] <= memory_before && refs() <= refs_before)
			break;
		if (fz_now() > until) {
			if (i < 5)
				fz_fail("left behind: %llu %s",
					(unsigned long long)v[zeros[i].attr], zeros[i].name);
			else
				fz_fail("left behind: %lld bytes of memory, %d references",
					(long long)(v[ZCP_NL_A_STATS_MEMORY] - memory_before),
					refs() - refs_before);
			return;
		}
		if (tries++ < 100)
			sched_yield();
		else
			fz_sleep_us(500);
	}
	ended = v[ZCP_NL_A_STATS_JOBS_DONE] + v[ZCP_NL_A_STATS_JOBS_FAILED] +
		v[ZCP_NL_A_STATS_JOBS_CANCELLED];
	if (ended != v[ZCP_NL_A_STATS_JOBS_SUBMITTED])
		fz_fail("%llu jobs were submitted and %llu have ended",
			(unsigned long long)v[ZCP_NL_A_STATS_JOBS_SUBMITTED],
			(unsigned long long)ended);
}

/* One sequence: false when something is wrong, which was told. */
static bool execute(const struct fz_seq *seq, uint64_t *rng)
{
	uint64_t limit = patience * NS;
	bool in_time;
	pid_t pid;

	reset();
	fz->seq = *seq;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fz_die("fork: errno %d", errno);
	if (!pid) {
		setpgid(0, 0);
		fz_execute();
	}
	setpgid(pid, pid);
	if (seq->end == FZ_END_KILL) {
		in_time = wait_all(pid, fz_now() + fz_random(rng) % 30000000);
		kill(-pid, SIGKILL);
		in_time |= wait_all(pid, fz_now() + limit);
	} else {
		in_time = wait_all(pid, fz_now() + limit);
	}
	if (!in_time) {
		fz_fail("a sequence hangs, after %u seconds", patience);
		print_hang(pid);
	}
	kill(-pid, SIGKILL);
	/* Workers and children of theirs, which are ours now. */
	if (!wait_all(-1, fz_now() + limit))
		fz_fail("a process does not end when it is killed");
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	check_left();
	sequences++;
	if (!fz->failed)
		return true;
	printf("# FAILED: %s\n# the sequence, for --replay:\n", fz->why);
	fz_print_seq(stdout, &fz->seq);
	fflush(stdout);
	return false;
}

static uint64_t nr_ops(void)
{
	uint64_t n = 0;
	unsigned int i, j;

	for (i = 0; i < fz_nr_kinds; i++) {
		for (j = 0; j < FZ_ERRNOS; j++)
			n += fz->count[i][j];
	}
	return n;
}

static void keep(const struct fz_seq *seq, uint64_t *rng)
{
	unsigned int at = nr_kept < KEPT_MAX ? nr_kept++ :
			  nr_corpus + fz_random(rng) % (KEPT_MAX - nr_corpus);
	char path[256];
	FILE *f;

	kept[at] = *seq;
	if (!keep_dir || !fz->fresh)
		return;
	snprintf(path, sizeof(path), "%s/%06llu.txt", keep_dir, (unsigned long long)sequences);
	f = fopen(path, "we");
	if (!f)
		fz_die("%s: errno %d", path, errno);
	fprintf(f, "# %u new places\n", fz->fresh);
	fz_print_seq(f, seq);
	fclose(f);
}

static void choose(struct fz_seq *seq, uint64_t *rng)
{
	if (!nr_kept || fz_random(rng) % 3 == 0) {
		fz_generate(seq, rng);
		return;
	}
	*seq = kept[fz_random(rng) % nr_kept];
	fz_mutate(seq, &kept[fz_random(rng) % nr_kept], rng);
}

static bool replay_file(const char *name, unsigned int times, uint64_t *rng)
{
	FILE *f = fopen(name, "re");
	struct fz_seq seq;
	bool ok = true, quoted;
	unsigned int i;

	if (!f)
		fz_die("%s: errno %d", name, errno);
	/* Those of a log are comments, each line of them. */
	quoted = !fz_parse_seq(f, &seq, name, false);
	rewind(f);
	if (quoted && !fz_parse_seq(f, &seq, name, true))
		fz_die("%s: there is no sequence in it", name);
	rewind(f);
	while (ok && fz_parse_seq(f, &seq, name, quoted)) {
		for (i = 0; i < times && ok; i++)
			ok = execute(&seq, rng);
		if (nr_kept < KEPT_MAX / 2)
			kept[nr_kept++] = seq;
	}
	fclose(f);
	if (!ok)
		printf("# in %s\n", name);
	return ok;
}

static int is_text(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && !strcmp(dot, ".txt");
}

/* All of it, if that is possible: only then each operation has its chance. */
static bool replay_corpus(const char *dir, uint64_t until, uint64_t *rng)
{
	struct dirent **names;
	char path[512];
	int n = scandir(dir, &names, is_text, alphasort), i;
	bool ok = true;

	if (n < 0)
		fz_die("%s: errno %d", dir, errno);
	if (!n)
		fz_die("%s: there is no corpus in it", dir);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		if (fz_now() > until)
			corpus_left++;
		else
			ok = ok && replay_file(path, 1, rng);
		free(names[i]);
	}
	free(names);
	if (corpus_left)
		ksft_print_msg("no time for %u of %d files of the corpus\n", corpus_left, n);
	nr_corpus = nr_kept;
	return ok;
}

/* Operations by errno; those that never succeed say so. */
static void print_table(void)
{
	unsigned int i, j;

	printf("# %-16s %9s  not\n", "operation", "succeeded");
	for (i = 0; i < fz_nr_kinds; i++) {
		printf("# %-16s %9llu ", fz_kinds[i].name, (unsigned long long)fz->count[i][0]);
		for (j = 1; j < FZ_ERRNOS; j++) {
			if (fz->count[i][j])
				printf(" %s %llu,", strerrorname_np(j),
				       (unsigned long long)fz->count[i][j]);
		}
		putchar('\n');
	}
	printf("# jobs: %llu done, %llu failed, %llu cancelled;", (unsigned long long)
	       fz->events[ZCP_STATE_DONE], (unsigned long long)fz->events[ZCP_STATE_FAILED],
	       (unsigned long long)fz->events[ZCP_STATE_CANCELLED]);
	for (j = 1; j < FZ_ERRNOS; j++) {
		if (fz->job_errors[j])
			printf(" %s %llu,", strerrorname_np(j),
			       (unsigned long long)fz->job_errors[j]);
	}
	printf("\n# %llu MiB arrived, %llu notifications, %llu signals to those who waited\n",
	       (unsigned long long)fz->bytes >> 20, (unsigned long long)fz->notifications,
	       (unsigned long long)fz->signals);
}

static unsigned int never_succeeded(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < fz_nr_kinds; i++) {
		if (!fz->count[i][0]) {
			printf("# %s has never succeeded\n", fz_kinds[i].name);
			nr++;
		}
	}
	return nr;
}

static void judge_operations(bool corpus)
{
	static const char name[] = "each operation succeeds at times";

	if (!corpus)
		ksft_test_result_skip("%s: needs more than a file to replay\n", name);
	else if (corpus_left)
		ksft_test_result_skip("%s: needs more time, for %u files of the corpus\n", name,
				      corpus_left);
	else
		ksft_test_result(!never_succeeded(), "%s\n", name);
}

static bool random_part(uint64_t until, uint64_t ops, uint64_t *rng)
{
	uint64_t told = fz_now();
	bool ok = true;

	while (ok && fz_now() < until && (!ops || nr_ops() < ops)) {
		struct fz_seq seq;

		choose(&seq, rng);
		ok = execute(&seq, rng);
		if (ok && fz->fresh)
			keep(&seq, rng);
		if (fz_now() > told + 60 * NS) {
			told = fz_now();
			printf("# %llu sequences, %llu operations, %u places reached, %u kept\n",
			       (unsigned long long)sequences, (unsigned long long)nr_ops(),
			       fz->nr_pcs, nr_kept);
		}
	}
	return ok;
}

static unsigned long long parse(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 0);

	if (!*text || *end)
		fz_die("\"%s\" is no number", text);
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", 1, NULL, 's' }, { "ops", 1, NULL, 'o' }, { "time", 1, NULL, 't' },
		{ "replay", 1, NULL, 'r' }, { "times", 1, NULL, 'n' }, { "corpus", 1, NULL, 'c' },
		{ "keep", 1, NULL, 'k' }, { "print", 1, NULL, 'p' }, {}
	};
	const char *corpus = FUZZ_CORPUS, *replay = NULL, *text = getenv("ZCP_FUZZ_SECONDS");
	unsigned long long ops = 0, seconds = emulated() ? 15 : 60, times = 1, print = 0;
	uint64_t begin, until, corpus_until, rng, v[ZCP_NL_A_STATS_MAX + 1];
	bool ok, any_seed = false;
	sigset_t chld;
	int c;

	keep_dir = getenv("ZCP_FUZZ_KEEP");
	if (text)
		seconds = parse(text);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = parse(optarg);
			any_seed = true;
			break;
		case 'o':
			ops = parse(optarg);
			seconds = 1000000;
			break;
		case 't':
			seconds = parse(optarg);
			break;
		case 'r':
			replay = optarg;
			break;
		case 'n':
			times = parse(optarg);
			break;
		case 'c':
			corpus = optarg;
			break;
		case 'k':
			keep_dir = optarg;
			break;
		case 'p':
			print = parse(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!any_seed && getenv("ZCP_FUZZ_SEED"))
		seed = parse(getenv("ZCP_FUZZ_SEED"));
	else if (!any_seed)
		seed = fz_now() ^ getpid();
	if (emulated())
		patience = 120;
	rng = seed;
	fz = mmap(NULL, sizeof(*fz), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fz == MAP_FAILED)
		fz_die("mmap: errno %d", errno);
	for (; print; print--) {
		struct fz_seq seq;

		choose(&seq, &rng);
		fz_print_seq(stdout, &seq);
		if (print == 1)
			return 0;
	}

	ksft_print_header();
	if (access("/dev/zcp", R_OK | W_OK)) {
		ksft_exit_skip("needs root and /dev/zcp\n");
		return 4;
	}
	ksft_set_plan(4);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	refs_before = refs();
	fz_world_make();
	open_kcov();
	if (!fz_netlink_stats(v, ZCP_NL_A_STATS_MAX + 1))
		fz_die("no statistics");
	memory_before = v[ZCP_NL_A_STATS_MEMORY];
	ksft_print_msg("seed %llu, %llu seconds, %s KCOV\n", (unsigned long long)seed, seconds,
		       fz->worker[FZ_WORKERS - 1].cover ? "with" : "without");

	begin = fz_now();
	until = begin + seconds * NS;
	corpus_until = until > begin + CORPUS_NS ? until : begin + CORPUS_NS;
	ok = replay ? replay_file(replay, times, &rng) : replay_corpus(corpus, corpus_until, &rng);
	if (!sequences)
		fz_die("no sequence was run");
	ksft_test_result(ok, "the corpus: %llu sequences, %llu operations\n",
			 (unsigned long long)sequences, (unsigned long long)nr_ops());
	if (ok && !replay)
		ok = random_part(until, ops, &rng);
	ksft_test_result(ok, "in all: %llu sequences, %llu operations, %llu in a second\n",
			 (unsigned long long)sequences, (unsigned long long)nr_ops(),
			 (unsigned long long)(nr_ops() * 1000000000ULL / (fz_now() - begin + 1)));
	print_table();
	if (fz->worker[FZ_WORKERS - 1].cover)
		ksft_print_msg("%u places in the code of zcp were reached by system calls\n",
			       fz->nr_pcs);
	judge_operations(!replay);
	fz_world_end();
	if (fz->failed && ok)
		printf("# FAILED: %s\n", fz->why);
	ksft_test_result(!fz->failed, "nothing is left behind\n");
	ksft_finished();
}
