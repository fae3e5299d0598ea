// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is reported: JSON, a table, targets and checks.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define NAME 48
#define COLUMNS 12
#define WHAT 256

struct result {
	char suite[NAME], cas[NAME], method[NAME], metric[NAME], unit[NAME];
	double median, min, max;
	int rounds;
};

struct target {
	char suite[NAME], cas[NAME], what[128], op[4];
	double value, target;
	bool met;
};

struct check {
	char suite[NAME], cas[NAME], what[WHAT];
	bool good;
	bool left_out;
};

static struct result *results;
static size_t nr_results;
static struct target *targets;
static size_t nr_targets;
static struct check *checks;
static size_t nr_checks;
/* The suite that runs, and what there was before it. */
static char running[NAME];
static size_t results_before, checks_before;

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void samples_add(struct samples *s, double v)
{
	if (s->n == MAX_ROUNDS)
		die("too many samples");
	s->v[s->n++] = v;
}

double samples_median(const struct samples *s)
{
	struct samples sorted = *s;

	if (!s->n)
		return NAN;
	qsort(sorted.v, s->n, sizeof(double), compare_doubles);
	return s->n % 2 ? sorted.v[s->n / 2] : (sorted.v[s->n / 2 - 1] + sorted.v[s->n / 2]) / 2;
}

/* The smallest value that p per cent of them do not exceed. */
double percentile(uint64_t *v, size_t n, double p)
{
	size_t rank;

	if (!n)
		return NAN;
	qsort(v, n, sizeof(*v), compare_numbers);
	rank = ceil(p / 100 * n);
	return v[rank ? rank - 1 : 0];
}

static void *grow(void *array, size_t n, size_t size)
{
	void *p = realloc(array, (n + 1) * size);

	if (!p)
		die("no memory");
	memset((char *)p + n * size, 0, size);
	return p;
}

static void copy(char *to, size_t size, const char *from)
{
	if (snprintf(to, size, "%s", from) >= (int)size)
		die("%s: too long for a name", from);
}

void result_add(const char *suite, const char *cas, const char *method, const char *metric,
		const char *unit, const struct samples *s)
{
	struct result *r;

	if (!s->n)
		return;
	results = grow(results, nr_results, sizeof(*results));
	r = &results[nr_results++];
	copy(r->suite, NAME, suite);
	copy(r->cas, NAME, cas);
	copy(r->method, NAME, method);
	copy(r->metric, NAME, metric);
	copy(r->unit, NAME, unit);
	r->median = samples_median(s);
	r->min = s->v[0];
	r->max = s->v[0];
	for (int i = 1; i < s->n; i++) {
		r->min = fmin(r->min, s->v[i]);
		r->max = fmax(r->max, s->v[i]);
	}
	r->rounds = s->n;
}

void result_target(const char *suite, const char *cas, const char *what, double value,
		   const char *op, double target)
{
	struct target *t;

	targets = grow(targets, nr_targets, sizeof(*targets));
	t = &targets[nr_targets++];
	copy(t->suite, NAME, suite);
	copy(t->cas, NAME, cas);
	copy(t->what, sizeof(t->what), what);
	copy(t->op, sizeof(t->op), op);
	t->value = value;
	t->target = target;
	if (!strcmp(op, ">="))
		t->met = value >= target;
	else if (!strcmp(op, "<="))
		t->met = value <= target;
	else
		die("a target has no %s", op);
}

void result_check(const char *suite, const char *cas, bool good, const char *what)
{
	struct check *c;

	checks = grow(checks, nr_checks, sizeof(*checks));
	c = &checks[nr_checks++];
	copy(c->suite, NAME, suite);
	copy(c->cas, NAME, cas);
	copy(c->what, sizeof(c->what), what);
	c->good = good;
	printf("%s - %s %s: %s\n", good ? "ok" : "not ok", suite, cas, what);
	fflush(stdout);
}

void result_begin(const char *suite)
{
	copy(running, NAME, suite);
	results_before = nr_results;
	checks_before = nr_checks;
}

void result_end(void)
{
	bool reported = nr_results > results_before || nr_checks > checks_before;

	if (!reported && (opt.methods || opt.cases))
		say("  nothing: --methods and --cases leave nothing of it");
	else if (!reported)
		result_check(running, "all cases", false, "something is measured");
	running[0] = '\0';
}

void result_left_out(const char *what, const char *why)
{
	char text[WHAT];

	/* Of what is no suite. */
	if (!running[0]) {
		say("%s is left out: %s", what, why);
		return;
	}
	for (size_t i = checks_before; i < nr_checks; i++)
		if (checks[i].left_out && !strcmp(checks[i].cas, what))
			return;
	snprintf(text, sizeof(text), "left out: %s", why);
	result_check(running, what, false, text);
	checks[nr_checks - 1].left_out = true;
}

static void json_string(FILE *out, const char *key, const char *value)
{
	fprintf(out, "\"%s\": \"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		if ((unsigned char)*value >= ' ')
			fputc(*value, out);
	}
	fputs("\", ", out);
}

/* JSON has no NaN. */
static void json_number(FILE *out, const char *key, double value)
{
	if (isfinite(value))
		fprintf(out, "\"%s\": %.6g, ", key, value);
	else
		fprintf(out, "\"%s\": null, ", key);
}

static void write_results(FILE *out)
{
	for (size_t i = 0; i < nr_results; i++) {
		const struct result *r = &results[i];

		fputs(i ? ",\n  {" : "[\n  {", out);
		json_string(out, "suite", r->suite);
		json_string(out, "case", r->cas);
		json_string(out, "method", r->method);
		json_string(out, "metric", r->metric);
		json_string(out, "unit", r->unit);
		json_number(out, "median", r->median);
		json_number(out, "min", r->min);
		json_number(out, "max", r->max);
		fprintf(out, "\"rounds\": %d}", r->rounds);
	}
	fputs(nr_results ? "\n]\n" : "[]\n", out);
}

static void write_targets(FILE *out)
{
	for (size_t i = 0; i < nr_targets; i++) {
		const struct target *t = &targets[i];

		fputs(i ? ",\n  {" : "[\n  {", out);
		json_string(out, "suite", t->suite);
		json_string(out, "case", t->cas);
		json_string(out, "what", t->what);
		json_number(out, "value", t->value);
		json_string(out, "op", t->op);
		json_number(out, "target", t->target);
		fprintf(out, "\"met\": %s}", t->met ? "true" : "false");
	}
	fputs(nr_targets ? "\n]\n" : "[]\n", out);
}

/* A number with three or four digits that count, bytes with a suffix. */
static void number(char *buf, size_t size, double v, const char *unit)
{
	static const char *const suffix[] = { "", "k", "M", "G" };
	unsigned int i = 0;
	int digits = 2;

	if (!strcmp(unit, "bytes"))
		for (; v >= 10000 && i < 3; i++)
			v /= 1000;
	if (v >= 100 || (v == floor(v) && !i))
		digits = 0;
	else if (v >= 10)
		digits = 1;
	if (v != 0 && fabs(v) < 0.1)
		snprintf(buf, size, "%.2g", v);
	else
		snprintf(buf, size, "%.*f%s", digits, v, suffix[i]);
}

static void cell(char *buf, size_t size, const struct result *r)
{
	char median[24], min[24], max[24];

	number(median, sizeof(median), r->median, r->unit);
	number(min, sizeof(min), r->min, r->unit);
	number(max, sizeof(max), r->max, r->unit);
	if (r->rounds > 1)
		snprintf(buf, size, "%s (%s-%s)", median, min, max);
	else
		snprintf(buf, size, "%s", median);
}

static const struct result *find(const char *suite, const char *cas, const char *method,
				 const char *metric)
{
	for (size_t i = 0; i < nr_results; i++) {
		const struct result *r = &results[i];

		if (!strcmp(r->suite, suite) && !strcmp(r->cas, cas) &&
		    !strcmp(r->method, method) && !strcmp(r->metric, metric))
			return r;
	}
	return NULL;
}

/* Whether result @i is the first of its suite (and case and method). */
static bool is_first(size_t i, bool row)
{
	for (size_t j = 0; j < i; j++)
		if (!strcmp(results[j].suite, results[i].suite) &&
		    (!row || (!strcmp(results[j].cas, results[i].cas) &&
			      !strcmp(results[j].method, results[i].method))))
			return false;
	return true;
}

static int columns(const char *suite, const struct result **column)
{
	int n = 0, c;

	for (size_t i = 0; i < nr_results; i++) {
		if (strcmp(results[i].suite, suite))
			continue;
		for (c = 0; c < n; c++)
			if (!strcmp(column[c]->metric, results[i].metric))
				break;
		if (c == n && n < COLUMNS)
			column[n++] = &results[i];
	}
	return n;
}

/* Text and blanks, @width in all; a character of UTF-8 takes one place. */
static void padded(FILE *out, const char *text, int width)
{
	fputs(text, out);
	for (; *text; text++)
		width -= (*text & 0xc0) != 0x80;
	fprintf(out, "%*s", width > 0 ? width : 0, "");
}

static void write_suite(FILE *out, const char *suite)
{
	const struct result *column[COLUMNS];
	const struct result *r;
	char text[2 * NAME + 8];
	int n = columns(suite, column);

	fprintf(out, "\n%s: medians (min-max)\n", suite);
	padded(out, "case", 25);
	padded(out, "method", 14);
	for (int c = 0; c < n; c++) {
		snprintf(text, sizeof(text), "  %s %s", column[c]->metric, column[c]->unit);
		padded(out, text, 24);
	}
	fputc('\n', out);
	for (size_t i = 0; i < nr_results; i++) {
		if (strcmp(results[i].suite, suite) || !is_first(i, true))
			continue;
		padded(out, results[i].cas, 25);
		padded(out, results[i].method, 14);
		for (int c = 0; c < n; c++) {
			r = find(suite, results[i].cas, results[i].method, column[c]->metric);
			if (r)
				cell(text, sizeof(text), r);
			fputs("  ", out);
			padded(out, r ? text : "-", 22);
		}
		fputc('\n', out);
	}
}

static void write_table(FILE *out)
{
	static char machine[256];

	if (!machine[0])
		machine_describe(machine, sizeof(machine));
	fprintf(out, "\n%s\n", machine);
	for (size_t i = 0; i < nr_results; i++)
		if (is_first(i, false))
			write_suite(out, results[i].suite);
	if (nr_targets)
		fputs("\ntargets\n", out);
	for (size_t i = 0; i < nr_targets; i++) {
		const struct target *t = &targets[i];

		fprintf(out, "%-7s %s %s: %s: %.3g, wanted %s %.3g\n", t->met ? "met" : "MISSED",
			t->suite, t->cas, t->what, t->value, t->op, t->target);
	}
	if (nr_checks)
		fputs("\nchecks\n", out);
	for (size_t i = 0; i < nr_checks; i++)
		fprintf(out, "%s - %s %s: %s\n", checks[i].good ? "ok" : "not ok", checks[i].suite,
			checks[i].cas, checks[i].what);
}

static void save(const char *name, void (*writer)(FILE *out))
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", opt.out, name);
	out = fopen(path, "we");
	if (!out)
		die_errno(errno, "%s", path);
	writer(out);
	if (ferror(out) || fclose(out))
		die_errno(errno, "%s", path);
}

void results_save(void)
{
	if (!opt.out)
		return;
	save("results.json", write_results);
	save("targets.json", write_targets);
	save("table.txt", write_table);
}

int results_finish(void)
{
	int failed = 0;

	if (!nr_results && !nr_checks)
		result_check("bench", "all suites", false,
			     "something is measured: --methods and --cases leave nothing");
	results_save();
	write_table(stdout);
	for (size_t i = 0; i < nr_checks; i++)
		failed += !checks[i].good;
	return failed ? 1 : 0;
}
