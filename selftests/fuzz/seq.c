// SPDX-License-Identifier: GPL-2.0-only
/* Sequences: making them up, changing them, and their text. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static const char * const ends[FZ_ENDS] = { "clean", "drain", "exit", "kill" };

uint64_t fz_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static unsigned int below(uint64_t *rng, unsigned int n)
{
	return fz_random(rng) % n;
}

static unsigned int kind_of(const char *name)
{
	unsigned int i;

	for (i = 0; i < fz_nr_kinds; i++) {
		if (!strcmp(fz_kinds[i].name, name))
			break;
	}
	return i;
}

static unsigned int any_kind(uint64_t *rng)
{
	unsigned int i, sum = 0, at;

	for (i = 0; i < fz_nr_kinds; i++)
		sum += fz_kinds[i].weight;
	at = below(rng, sum);
	for (i = 0; at >= fz_kinds[i].weight; i++)
		at -= fz_kinds[i].weight;
	return i;
}

static void any_op(struct fz_op *op, uint64_t *rng)
{
	int i;

	op->worker = below(rng, FZ_WORKERS);
	op->kind = any_kind(rng);
	for (i = 0; i < FZ_ARGS; i++)
		op->arg[i] = fz_random(rng);
}

/* The numbers small: an object that is there, nothing mutated. */
static void add_plain(struct fz_seq *seq, const char *name, uint32_t a, uint32_t b, uint64_t *rng)
{
	struct fz_op *op = &seq->ops[seq->nr++];

	op->worker = 0;
	op->kind = kind_of(name);
	op->arg[0] = a;
	op->arg[1] = b;
	op->arg[2] = fz_random(rng);
	op->arg[3] = 0;
}

/* Something to work with: contexts, connections and links. */
static void add_prologue(struct fz_seq *seq, uint64_t *rng)
{
	unsigned int socks = 2 + below(rng, 4), i;

	add_plain(seq, "open", 0, fz_random(rng), rng);
	add_plain(seq, "open", 5, fz_random(rng), rng);
	add_plain(seq, "dup", 5 + below(rng, 2), 2 + below(rng, 2), rng);
	for (i = 0; i < socks; i++) {
		unsigned int sock = below(rng, FZ_SOCKS);

		add_plain(seq, "connect", sock, fz_random(rng), rng);
		/* Of the first context, or the second. */
		add_plain(seq, "link", below(rng, 4) ? 0 : 5, sock, rng);
	}
}

static void any_form(struct fz_seq *seq, uint64_t *rng)
{
	static const uint8_t of_end[] = {
		FZ_END_CLEAN, FZ_END_CLEAN, FZ_END_CLEAN, FZ_END_DRAIN, FZ_END_DRAIN,
		FZ_END_EXIT, FZ_END_EXIT, FZ_END_KILL,
	};

	seq->end = of_end[below(rng, sizeof(of_end))];
	seq->threads = below(rng, 3) == 0;
	seq->listen = below(rng, 2);
}

void fz_generate(struct fz_seq *seq, uint64_t *rng)
{
	unsigned int nr = 8 + below(rng, 72);

	memset(seq, 0, sizeof(*seq));
	any_form(seq, rng);
	if (below(rng, 16))
		add_prologue(seq, rng);
	seq->serial = seq->nr;
	/* Some have no races, and can be run again as they were. */
	if (below(rng, 4) == 0)
		seq->serial = FZ_OPS_MAX;
	while (nr--)
		any_op(&seq->ops[seq->nr++], rng);
	if (seq->serial > seq->nr)
		seq->serial = seq->nr;
}

static void insert(struct fz_seq *seq, unsigned int at, const struct fz_op *op)
{
	if (seq->nr == FZ_OPS_MAX)
		return;
	memmove(&seq->ops[at + 1], &seq->ops[at], (seq->nr - at) * sizeof(*op));
	seq->ops[at] = *op;
	seq->nr++;
	if (at < seq->serial)
		seq->serial++;
}

static void remove_at(struct fz_seq *seq, unsigned int at)
{
	seq->nr--;
	memmove(&seq->ops[at], &seq->ops[at + 1], (seq->nr - at) * sizeof(seq->ops[0]));
	if (at < seq->serial)
		seq->serial--;
}

void fz_mutate(struct fz_seq *seq, const struct fz_seq *other, uint64_t *rng)
{
	unsigned int changes = 1 + below(rng, 6), i, from;
	struct fz_op op;

	while (changes--) {
		unsigned int at = below(rng, seq->nr);

		switch (below(rng, 8)) {
		case 0:
			any_op(&op, rng);
			insert(seq, at, &op);
			break;
		case 1:
			if (seq->nr > 4)
				remove_at(seq, at);
			break;
		case 2:
			seq->ops[at].arg[below(rng, FZ_ARGS)] = fz_random(rng);
			break;
		case 3:
			seq->ops[at].arg[below(rng, FZ_ARGS)] ^= 1U << below(rng, 32);
			break;
		case 4:
			seq->ops[at].worker = below(rng, FZ_WORKERS);
			break;
		case 5:
			op = seq->ops[at];
			insert(seq, below(rng, seq->nr), &op);
			break;
		case 6:
			/* Some of another one. */
			from = below(rng, other->nr);
			for (i = from; i < other->nr && i < from + 12; i++)
				insert(seq, at++, &other->ops[i]);
			break;
		case 7:
			any_form(seq, rng);
			break;
		}
	}
}

void fz_print_seq(FILE *f, const struct fz_seq *seq)
{
	unsigned int i, j;

	fprintf(f, "end %s\n%s\n%sserial %u\n", ends[seq->end],
		seq->threads ? "threads" : "processes", seq->listen ? "listen\n" : "",
		seq->serial);
	for (i = 0; i < seq->nr; i++) {
		const struct fz_op *op = &seq->ops[i];

		fprintf(f, "%u %s", op->worker, fz_kinds[op->kind].name);
		for (j = 0; j < FZ_ARGS; j++)
			fprintf(f, " %x", op->arg[j]);
		fputc('\n', f);
	}
	fputc('\n', f);
}

static bool parse_op(const char *line, struct fz_op *op)
{
	unsigned int worker, kind;
	char name[32];

	if (sscanf(line, "%u %31s %x %x %x %x", &worker, name, &op->arg[0], &op->arg[1],
		   &op->arg[2], &op->arg[3]) != 2 + FZ_ARGS)
		return false;
	kind = kind_of(name);
	op->worker = worker;
	op->kind = kind;
	return worker < FZ_WORKERS && kind < fz_nr_kinds;
}

static bool parse_form(const char *line, struct fz_seq *seq)
{
	char word[16] = "";
	unsigned int i;

	if (!strcmp(line, "threads") || !strcmp(line, "processes")) {
		seq->threads = line[0] == 't';
		return true;
	}
	if (!strcmp(line, "listen")) {
		seq->listen = true;
		return true;
	}
	if (sscanf(line, "serial %u", &seq->serial) == 1)
		return true;
	if (sscanf(line, "end %15s", word) != 1)
		return false;
	for (i = 0; i < FZ_ENDS; i++) {
		if (!strcmp(ends[i], word)) {
			seq->end = i;
			return true;
		}
	}
	return false;
}

/*
 * The next sequence of the file; they end with an empty line, "#" is a comment.
 * Quoted: as the self-tests' runner prints it, with "# " before each line.
 */
bool fz_parse_seq(FILE *f, struct fz_seq *seq, const char *name, bool quoted)
{
	char text[160];

	memset(seq, 0, sizeof(*seq));
	while (fgets(text, sizeof(text), f)) {
		const char *line = text;

		text[strcspn(text, "\n")] = '\0';
		if (quoted && line[0] == '#')
			line += line[1] == ' ' ? 2 : 1;
		if (!line[0]) {
			if (seq->nr)
				break;
			continue;
		}
		if (line[0] == '#' || parse_form(line, seq))
			continue;
		if (seq->nr == FZ_OPS_MAX || !parse_op(line, &seq->ops[seq->nr++]))
			fz_die("%s: what is \"%s\"?", name, line);
	}
	if (seq->serial > seq->nr)
		seq->serial = seq->nr;
	return seq->nr;
}
