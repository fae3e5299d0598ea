// SPDX-License-Identifier: GPL-2.0-only
/*
 * The printer: the same calls as text and as JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "../zcpctl/print.h"
#include "../zcpctl/zcpctl.h"
#include "tap.h"

/* Of common.c, which is not here. */
volatile sig_atomic_t interrupted;

static char *printed;
static size_t printed_len;

static void begin(struct printer *p, bool json)
{
	free(printed);
	printed = NULL;
	print_init(p, open_memstream(&printed, &printed_len), json);
}

/* In @want ' stands for a quotation mark that is not escaped. */
static int is(struct printer *p, const char *want)
{
	size_t i;

	fclose(p->out);
	for (i = 0; want[i]; i++)
		if (printed[i] != (want[i] == '\'' ? '"' : want[i]))
			break;
	if (!want[i] && !printed[i])
		return 1;
	printf("# got: %s\n", printed);
	return 0;
}

static void numbers(struct printer *p)
{
	print_object(p, NULL);
	print_number(p, "n", "%s bytes, ", UINT64_MAX);
	print_ns(p, "ns", "%s s, ", 1234567890);
	print_seconds(p, "s", "%s s, ", 1034567890);
	print_rate(p, "r", "%s Gbit/s.\n", 9412000000);
	print_end(p);
}

static void words(struct printer *p)
{
	print_object(p, NULL);
	print_string(p, "name", "name %s, ", "a");
	print_bool(p, "good", "good: %s,", true);
	print_string(p, "hidden", NULL, NULL);
	print_array(p, "list");
	print_string(p, NULL, " %s", "x");
	print_string(p, NULL, " %s", NULL);
	print_end(p);
	print_text(p, ".\n");
	print_end(p);
}

static void test_forms(void)
{
	struct printer p;

	begin(&p, false);
	numbers(&p);
	ok(is(&p, "18446744073709551615 bytes, 1.235 s, 1.035 s, 9.412 Gbit/s.\n"),
	   "numbers in text");
	begin(&p, true);
	numbers(&p);
	ok(is(&p, "{'n':18446744073709551615,'ns':1234567890,'s':1.034567890,'r':9412000000}\n"),
	   "numbers in JSON");
	begin(&p, false);
	words(&p);
	ok(is(&p, "name a, good: yes, x -.\n"), "words in text");
	begin(&p, true);
	words(&p);
	ok(is(&p, "{'name':'a','good':true,'hidden':null,'list':['x',null]}\n"), "words in JSON");
	begin(&p, true);
	print_array(&p, NULL);
	print_end(&p);
	ok(is(&p, "[]\n"), "an empty array");
}

static void check_string(const char *value, const char *want, const char *name)
{
	struct printer p;

	begin(&p, true);
	print_string(&p, NULL, NULL, value);
	ok(is(&p, want), name);
}

static void test_strings(void)
{
	check_string("\"\\\n\t\x7f", "'\\\"\\\\\\n\\u0009\\u007f'", "characters that are escaped");
	check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		     "'\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'", "UTF-8");
	check_string("\xff \xc0\x80 \xe2\x82", "'\\ufffd \\ufffd\\ufffd \\ufffd\\ufffd'",
		     "bytes that are not UTF-8");
	check_string("\xed\xa0\x80", "'\\ufffd\\ufffd\\ufffd'", "a surrogate");
}

int main(void)
{
	test_forms();
	test_strings();
	ok(bits_per_second(1000, 1000) == 8000000000 && !bits_per_second(5, 0),
	   "bits per second, in no time too");
	free(printed);
	return tap_end();
}
