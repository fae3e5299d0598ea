// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a test, and fails it when a byte of the page cache changes that it has
 * nothing to do with.
 *
 *   canary COMMAND [ARGUMENT...]
 *
 * Watched are the files named in ZCP_CANARY, separated by colons, and some of
 * the root that every system has. They are mapped and locked while the command
 * runs: a page that was dropped and read again would hide what happened to it.
 * Exits with the command's status, or with 1 when something changed; the line
 * "not ok" that says what also ends up in the command's TAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WATCHED	16
#define MAX_BYTES	(1UL << 20)	/* of one file */
#define PIECE		4096UL

/**
 * struct watched - A file that must not change
 * @name: its path
 * @len: its bytes that are watched
 * @map: its page cache
 * @sums: a hash of each page, before the command
 */
struct watched {
	char *name;
	size_t len;
	const unsigned char *map;
	uint64_t *sums;
};

static struct watched watched[MAX_WATCHED];
static unsigned int nr_watched;

static const char * const of_root[] = {
	"/bin/busybox", "/bin/sh", "/etc/passwd", "/etc/protocols", "/etc/services",
	"/usr/bin/env",
};

static void die(const char *what, const char *name)
{
	fprintf(stderr, "canary: %s: %s: %s\n", name, what, strerror(errno));
	exit(1);
}

/* Multiply and shift: each word counts, and so does its place. */
static uint64_t hash(const unsigned char *p, size_t len)
{
	uint64_t h = len, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	while (len--)
		h = (h ^ *p++) * 0x9e3779b97f4a7c15ULL;
	return h;
}

static size_t piece_len(const struct watched *w, size_t i)
{
	size_t left = w->len - i * PIECE;

	return left < PIECE ? left : PIECE;
}

static size_t nr_pieces(const struct watched *w)
{
	return (w->len + PIECE - 1) / PIECE;
}

/* Returns whether the file can be watched: it is there, and has bytes. */
static int watch(const char *name)
{
	struct watched *w = &watched[nr_watched];
	struct stat st;
	size_t i;
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	w->len = st.st_size < (off_t)MAX_BYTES ? (size_t)st.st_size : MAX_BYTES;
	w->map = mmap(NULL, w->len, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (w->map == MAP_FAILED)
		die("mmap", name);
	close(fd);
	if (mlock(w->map, w->len))
		die("mlock", name);
	w->name = strdup(name);
	w->sums = calloc(nr_pieces(w), sizeof(*w->sums));
	if (!w->name || !w->sums)
		die("memory", name);
	for (i = 0; i < nr_pieces(w); i++)
		w->sums[i] = hash(w->map + i * PIECE, piece_len(w, i));
	nr_watched++;
	return 1;
}

static void watch_all(void)
{
	char *names = getenv("ZCP_CANARY");
	char *name, *copy;
	size_t i;

	copy = strdup(names ? names : "");
	if (!copy)
		die("memory", "names");
	for (name = strtok(copy, ":"); name; name = strtok(NULL, ":")) {
		if (nr_watched == MAX_WATCHED || !watch(name))
			die("cannot be watched", name);
	}
	free(copy);
	for (i = 0; i < sizeof(of_root) / sizeof(of_root[0]) && nr_watched < MAX_WATCHED; i++)
		watch(of_root[i]);
	if (!nr_watched)
		die("nothing to watch", "/");
}

static int run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		die("fork", argv[0]);
	if (!pid) {
		execvp(argv[0], argv);
		fprintf(stderr, "canary: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("wait", argv[0]);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Returns how many pages are not what they were. */
static size_t nr_changed(const struct watched *w)
{
	size_t i, nr = 0, first = 0;

	for (i = 0; i < nr_pieces(w); i++) {
		if (hash(w->map + i * PIECE, piece_len(w, i)) == w->sums[i])
			continue;
		if (!nr++)
			first = i;
	}
	if (nr)
		printf("not ok - canary: %zu pages of %s have changed, the first at %zu\n", nr,
		       w->name, first * PIECE);
	return nr;
}

int main(int argc, char **argv)
{
	size_t nr = 0;
	unsigned int i;
	int status;

	if (argc < 2) {
		fprintf(stderr, "usage: canary COMMAND [ARGUMENT...]\n");
		return 2;
	}
	watch_all();
	status = run(argv + 1);
	for (i = 0; i < nr_watched; i++)
		nr += nr_changed(&watched[i]);
	return nr ? 1 : status;
}
