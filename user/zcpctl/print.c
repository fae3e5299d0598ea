// SPDX-License-Identifier: GPL-2.0-only
/*
 * One printer for text and JSON.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "zcpctl.h"

/* Why standard output did not take something: an errno, or 0. */
static int lost;

bool print_stuck(FILE *out)
{
	return interrupted && ferror(out);
}

/*
 * As fflush(3), but who is interrupted does not wait for room, and loses what has none. What
 * could not be written before may be in the buffer still, or not.
 */
static int flush(FILE *out)
{
	int ret = fflush(out);

	if (!interrupted || !ferror(out) || (ret && errno != EINTR))
		return ret;
	__fpurge(out);
	clearerr(out);
	return 0;
}

void print_flush(FILE *out)
{
	if ((flush(out) || ferror(out)) && out == stdout && !lost)
		lost = errno;
}

int print_lost(void)
{
	if (flush(stdout) && !lost)
		lost = errno;
	/* One of which nobody has seen the reason. */
	if (ferror(stdout) && !lost)
		lost = EIO;
	return lost;
}

void print_init(struct printer *p, FILE *out, bool json)
{
	memset(p, 0, sizeof(*p));
	p->out = out;
	p->json = json;
}

static void put_char(FILE *out, char c)
{
	if (!print_stuck(out))
		fputc(c, out);
}

static void put_text(FILE *out, const char *text)
{
	if (!print_stuck(out))
		fputs(text, out);
}

/* Length of the UTF-8 sequence at @s, 0 when it is none. */
static int utf8_length(const unsigned char *s)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	int n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	c = s[0] & (0xff >> (n + 1));
	for (int i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

static void json_string(FILE *out, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	int n;

	put_char(out, '"');
	while (*s && !print_stuck(out)) {
		n = utf8_length(s);
		if (!n) {
			fputs("\\ufffd", out);
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s);
		} else if (*s == '\n') {
			fputs("\\n", out);
		} else if (*s < 0x20 || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s);
		} else {
			fwrite(s, 1, n, out);
		}
		s += n;
	}
	put_char(out, '"');
}

void printable(const char *value, char *buf, size_t size)
{
	const unsigned char *s = (const unsigned char *)value;
	size_t at = 0;
	int n;

	for (; *s; s += n) {
		n = utf8_length(s);
		/* C0, DEL and C1 are what terminals act upon. */
		if (!n || *s < 0x20 || *s == 0x7f || (n == 2 && *s == 0xc2 && s[1] < 0xa0)) {
			if (at + 1 >= size)
				break;
			buf[at++] = '?';
			n = n ? n : 1;
			continue;
		}
		if (at + n >= size)
			break;
		memcpy(buf + at, s, n);
		at += n;
	}
	buf[at] = '\0';
}

/* The comma and the key before a value. */
static void json_lead(struct printer *p, const char *key)
{
	if (p->depth) {
		if (p->members[p->depth - 1])
			put_char(p->out, ',');
		p->members[p->depth - 1] = true;
	}
	if (key) {
		json_string(p->out, key);
		put_char(p->out, ':');
	}
}

static void open_level(struct printer *p, const char *key, char begin, char end)
{
	if (!p->json)
		return;
	json_lead(p, key);
	put_char(p->out, begin);
	p->ends[p->depth] = end;
	p->members[p->depth++] = false;
}

void print_object(struct printer *p, const char *key)
{
	open_level(p, key, '{', '}');
}

void print_array(struct printer *p, const char *key)
{
	open_level(p, key, '[', ']');
}

void print_end(struct printer *p)
{
	if (!p->json)
		return;
	put_char(p->out, p->ends[--p->depth]);
	if (!p->depth) {
		put_char(p->out, '\n');
		print_flush(p->out);
	}
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void put_format(FILE *out, const char *text, const char *value)
{
	if (!print_stuck(out))
		fprintf(out, text, value);
}

static void safe_string(struct printer *p, const char *text, const char *value)
{
	size_t size = strlen(value) + 1;
	char *safe = malloc(size);

	if (safe)
		printable(value, safe, size);
	put_format(p->out, text, safe ? safe : "?");
	free(safe);
}

void print_string(struct printer *p, const char *key, const char *text, const char *value)
{
	if (!p->json) {
		if (text && value)
			safe_string(p, text, value);
		else if (text)
			put_format(p->out, text, "-");
		return;
	}
	json_lead(p, key);
	if (value)
		json_string(p->out, value);
	else
		put_text(p->out, "null");
}

void print_bool(struct printer *p, const char *key, const char *text, bool value)
{
	if (!p->json) {
		if (text)
			put_format(p->out, text, value ? "yes" : "no");
		return;
	}
	json_lead(p, key);
	put_text(p->out, value ? "true" : "false");
}

/* A number as JSON has it, and as text shows it. */
static void number(struct printer *p, const char *key, const char *text, const char *json,
		   const char *shown)
{
	if (!p->json) {
		if (text)
			put_format(p->out, text, shown);
		return;
	}
	json_lead(p, key);
	put_text(p->out, json);
}

#pragma GCC diagnostic pop

void print_number(struct printer *p, const char *key, const char *text, uint64_t value)
{
	char json[32];

	snprintf(json, sizeof(json), "%" PRIu64, value);
	number(p, key, text, json, json);
}

/* A number that text shows in units of 10^9. */
static void scaled(struct printer *p, const char *key, const char *text, uint64_t value)
{
	char json[32], shown[32];

	snprintf(json, sizeof(json), "%" PRIu64, value);
	snprintf(shown, sizeof(shown), "%.3f", value / 1e9);
	number(p, key, text, json, shown);
}

void print_ns(struct printer *p, const char *key, const char *text, uint64_t value)
{
	scaled(p, key, text, value);
}

void print_rate(struct printer *p, const char *key, const char *text, uint64_t value)
{
	scaled(p, key, text, value);
}

void print_seconds(struct printer *p, const char *key, const char *text, uint64_t ns)
{
	char json[32], shown[32];

	snprintf(json, sizeof(json), "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
	snprintf(shown, sizeof(shown), "%.3f", ns / 1e9);
	number(p, key, text, json, shown);
}

void print_share(struct printer *p, const char *key, const char *text, uint64_t part,
		 uint64_t whole)
{
	char json[32] = "null", shown[32] = "-";
	double share;

	if (whole) {
		share = (double)part / whole;
		snprintf(json, sizeof(json), "%.9f", share);
		/* All and nothing are said only when it is so. */
		if (part && part < whole && (share >= 0.995 || share < 0.005))
			snprintf(shown, sizeof(shown), share < 0.5 ? "<1%%" : ">99%%");
		else
			snprintf(shown, sizeof(shown), "%.0f%%", share * 100);
	}
	number(p, key, text, json, shown);
}

void print_text(struct printer *p, const char *format, ...)
{
	va_list ap;

	if (p->json || print_stuck(p->out))
		return;
	va_start(ap, format);
	vfprintf(p->out, format, ap);
	va_end(ap);
	if (strchr(format, '\n'))
		print_flush(p->out);
}

uint64_t bits_per_second(uint64_t bytes, uint64_t ns)
{
	return ns ? (uint64_t)(bytes * 8e9 / ns) : 0;
}
