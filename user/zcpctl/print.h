/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One printer for text and JSON: each call gives a value its JSON key and its
 * place in the text, so neither form can say what the other does not.
 */
#ifndef ZCPCTL_PRINT_H
#define ZCPCTL_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PRINT_DEPTH 4

/**
 * struct printer - Where output goes, and in which form
 * @out: The stream.
 * @json: JSON, else text.
 * @depth: Open objects and arrays.
 * @ends: The bracket that closes each of them.
 * @members: Whether each of them has a member already.
 */
struct printer {
	FILE *out;
	bool json;
	int depth;
	char ends[PRINT_DEPTH];
	bool members[PRINT_DEPTH];
};

void print_init(struct printer *p, FILE *out, bool json);

/*
 * Flushes a stream to which something has just been written. Who is interrupted does not
 * wait for that, and what has no room is dropped.
 */
void print_flush(FILE *out);

/*
 * Whether a stream takes nothing more from who is interrupted: nothing is to be printed
 * to it until it is flushed.
 */
bool print_stuck(FILE *out);

/* Flushes stdout: 0, or the errno of what has been lost since the program began. */
int print_lost(void);

/*
 * An object or an array, under @key when it is a member of an object. The
 * outermost one ends a line of JSON and is flushed. Text shows nothing.
 */
void print_object(struct printer *p, const char *key);
void print_array(struct printer *p, const char *key);
void print_end(struct printer *p);

/*
 * Values. @text is a printf format with one %s in the place of the value; NULL
 * leaves it out of the text. Without @key it is an element of an array.
 *
 * print_string: NULL is null in JSON and "-" in text.
 * print_bool: "yes" or "no" in text.
 * print_number: an unsigned integer.
 * print_ns: nanoseconds; seconds with three decimals in text.
 * print_seconds: nanoseconds, as seconds in JSON too.
 * print_rate: bits per second; Gbit/s with three decimals in text.
 * print_share: a part of a whole: 0 to 1 in JSON, percent in text; null and "-"
 *	when there is no whole.
 *
 * In text, bytes of a string that are no printable UTF-8 appear as "?": names of
 * files and processes are anybody's, and a terminal obeys what it is told.
 */
void print_string(struct printer *p, const char *key, const char *text, const char *value);
void print_bool(struct printer *p, const char *key, const char *text, bool value);
void print_number(struct printer *p, const char *key, const char *text, uint64_t value);
void print_ns(struct printer *p, const char *key, const char *text, uint64_t value);
void print_seconds(struct printer *p, const char *key, const char *text, uint64_t ns);
void print_rate(struct printer *p, const char *key, const char *text, uint64_t value);
void print_share(struct printer *p, const char *key, const char *text, uint64_t part,
		 uint64_t whole);

/* Words between values, in text only. */
__attribute__((format(printf, 2, 3))) void print_text(struct printer *p, const char *format, ...);

/* Bits per second, 0 when no time has passed. */
uint64_t bits_per_second(uint64_t bytes, uint64_t ns);

/* A copy of @value that is safe on a terminal, cut to the size of @buf. */
void printable(const char *value, char *buf, size_t size);

#endif /* ZCPCTL_PRINT_H */
