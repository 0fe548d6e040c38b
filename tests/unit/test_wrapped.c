/* SPDX-License-Identifier: GPL-2.0-only */
/* Text that is broken between words, for terminals of several widths. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base.h"
#include "edge/wrapped.h"

static void lines_by_width(void **state)
{
	static const struct {
		size_t columns, indent;
		const char *text, *expected;
	} cases[] = {
		{SIZE_MAX, 2, "  one line wherever it goes", "  one line wherever it goes\n"},
		{24, 2, "  read the files of other users", "  read the files of\n  other users\n"},
		{24, 4, "ok  there: to enter tracefs and read", "ok  there: to enter\n    tracefs and read\n"},
		/* A line that is just full; what is wider than a line; letters of more bytes than one. */
		{24, 0, "abcdefghijk lmnopqrstuvw x", "abcdefghijk lmnopqrstuvw\nx\n"},
		{24, 2, "abcdefghijklmnopqrstuvwxyz0123 x", "abcdefghijklmnopqrstuvwxyz0123\n  x\n"},
		{24, 0, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 x",
		 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4 x\n"},
		/* No room is left beside the indent. */
		{24, 10, "          left as it is, the terminal breaks it", "          left as it is, the terminal breaks it\n"},
		{24, 0, "", "\n"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);

		wrapped_put(out, cases[i].columns, cases[i].indent, cases[i].text);
		fclose(out);
		assert_string_equal(text, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_by_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
