/* SPDX-License-Identifier: GPL-2.0-only */
/* Hostile names: what reaches a terminal is printable, whatever the bytes were. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <string.h>

#include "view/cells.h"
#include "view/escape.h"

static void assert_escaped(const char *raw, bool utf8, const char *expected)
{
	char out[256];

	assert_string_equal(escape_text(raw, 64, utf8, out, sizeof(out)), expected);
}

static void test_forms(void **state)
{
	assert_escaped("worker-*", true, "worker-*");
	assert_escaped("\033[31mred\a\n\t\x7f", true, "\\x1b[31mred\\x07\\x0a\\x09\\x7f");
	assert_escaped("caf\xc3\xa9", true, "caf\xc3\xa9");
	assert_escaped("caf\xc3\xa9", false, "caf\\xc3\\xa9");
	assert_escaped("日本", true, "日本");
	assert_escaped("\xff\xc3", true, "\\xff\\xc3");		/* no UTF-8; cut off */
	assert_escaped("\xc2\x9b" "2J", true, "\\xc2\\x9b2J");	/* C1: a CSI in one character */
	assert_escaped("\xe2\x80\xae" "abc", true, "\\xe2\\x80\\xaeabc"); /* turns the text round */
	assert_escaped("e\xcc\x81", true, "e\\xcc\\x81");	/* combining */
	assert_escaped("\xed\xa0\x80", true, "\\xed\\xa0\\x80"); /* surrogate */
	assert_escaped("\xc0\xaf", true, "\\xc0\\xaf");		/* overlong */
	assert_escaped("", true, "");
	assert_escaped(" ", true, "\\x20");
	assert_escaped("  a b ", true, "\\x20 a b\\x20");
}

/* Names that differ look different. */
static void test_backslashes(void **state)
{
	assert_escaped("a\\b", true, "a\\b");
	assert_escaped("\\x41", true, "\\x5cx41");
	assert_escaped("\\x1b", true, "\\x5cx1b");
	assert_escaped("\\xg", true, "\\xg");
}

static void test_without_terminator(void **state)
{
	static const char raw[4] = { 'a', 'b', 'c', 'd' };
	char out[16];

	assert_string_equal(escape_text(raw, sizeof(raw), true, out, sizeof(out)), "abcd");
	assert_string_equal(escape_text("\xe2\x80\xae", 2, true, out, sizeof(out)), "\\xe2\\x80");
}

static void test_cut_between_characters(void **state)
{
	char out[8];

	assert_string_equal(escape_text("日本語", 9, true, out, 8), "日本");
	assert_string_equal(escape_text("abc\033d", 5, true, out, 6), "abc");
	assert_string_equal(escape_text("abc", 3, true, out, 1), "");
}

/* All bytes at all places: the result is printable, and decodes without an error. */
static void test_any_bytes(void **state)
{
	unsigned int seed = 7;

	for (int i = 0; i < 20000; i++) {
		char raw[16], out[80];
		size_t width = 0;
		char32_t character;

		for (size_t j = 0; j < sizeof(raw); j++)
			raw[j] = (char)(rand_r(&seed) >> 8);
		escape_text(raw, sizeof(raw), i % 2, out, sizeof(out));
		for (const char *at = out; *at;) {
			int length = utf8_decode(at, SIZE_MAX, &character);

			assert_true(length > 0);
			assert_true(character_width(character) > 0);
			assert_true(i % 2 || character < 0x7f);
			width += (size_t)character_width(character);
			at += length;
		}
		assert_int_equal(width, text_width(out));
	}
}

static void test_encode_decode(void **state)
{
	for (char32_t character = 1; character <= 0x10ffff; character += character < 0x3000 ? 1 : 251) {
		char bytes[5] = "";
		char32_t back = 0;
		int length = utf8_put(character, bytes);

		if (character >= 0xd800 && character <= 0xdfff)
			continue;
		assert_int_equal(utf8_decode(bytes, 5, &back), length);
		assert_int_equal(back, character);
	}
}

static void test_cells_cut_and_widen(void **state)
{
	struct cells *cells = NULL;
	char text[64] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_int_equal(cells_new(3, 6, true, &cells), 0);
	assert_int_equal(cells_write(cells, 0, 0, 6, ATTR_NORMAL, "abcdefg"), 6);
	assert_int_equal(cells_write(cells, 1, 0, 6, ATTR_NORMAL, "日本語文"), 5); /* no half characters */
	assert_int_equal(cells_write(cells, 2, 4, 9, ATTR_NORMAL, "xyz"), 2);
	assert_int_equal(cells_write(cells, 2, 6, 9, ATTR_NORMAL, "xyz"), 0);
	assert_int_equal(cells_write(cells, 3, 0, 9, ATTR_NORMAL, "xyz"), 3); /* outside: dropped */
	assert_int_equal(cells_print(cells, out), 0);
	fclose(out);
	assert_string_equal(text, "abcde…\n日本…\n    x…\n");
	cells_free(cells);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_backslashes),
		cmocka_unit_test(test_without_terminator),
		cmocka_unit_test(test_cut_between_characters),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_encode_decode),
		cmocka_unit_test(test_cells_cut_and_widen),
	};

	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
