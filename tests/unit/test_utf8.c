/* SPDX-License-Identifier: GPL-2.0-only */
/* Names out of raw bytes: always valid UTF-8, harmless to a terminal, and never two alike. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "view/utf8.h"

static void test_text_table(void **state)
{
	static const struct {
		const char *raw, *newline, *controls;
	} cases[] = {
		{"worker-1", "worker-1", "worker-1"},
		{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d",
		 "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d"},
		{"\xff", "\\xff", "\\xff"},
		{"a\xc3", "a\\xc3", "a\\xc3"},			      /* cut short */
		{"\xc0\xaf", "\\xc0\\xaf", "\\xc0\\xaf"},	      /* too long a form of '/' */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80"}, /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
		{"\x1b[2J", "\\x1b[2J", "\x1b[2J"},
		{"a\nb\tc", "a\nb\\x09c", "a\nb\tc"},
		{"\x7f", "\\x7f", "\\x7f"},
		{"\xc2\x9b" "31m", "\\xc2\\x9b31m", "\\xc2\\x9b31m"}, /* C1 CSI */
		{"\xc2\xa0", "\xc2\xa0", "\xc2\xa0"},
		{"C:\\x", "C:\\x", "C:\\x"},
		{"\\xff", "\\x5cxff", "\\x5cxff"},
		{"", "", ""},
	};
	char text[UTF8_TEXT_SIZE(32)];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		utf8_text(cases[i].raw, UTF8_KEEP_NEWLINE, text, sizeof(text));
		assert_string_equal(text, cases[i].newline);
		utf8_text(cases[i].raw, UTF8_KEEP_CONTROLS, text, sizeof(text));
		assert_string_equal(text, cases[i].controls);
	}
}

static void test_small_room_cuts_at_a_whole_character(void **state)
{
	char text[8];

	utf8_text("ab\xe2\x82\xac", UTF8_KEEP_NEWLINE, text, 5);
	assert_string_equal(text, "ab");
	utf8_text("ab\xe2\x82\xac", UTF8_KEEP_NEWLINE, text, 6);
	assert_string_equal(text, "ab\xe2\x82\xac");
	utf8_text("ab\xff", UTF8_KEEP_NEWLINE, text, 6);
	assert_string_equal(text, "ab");
	utf8_text("ab\xff", UTF8_KEEP_NEWLINE, text, 7);
	assert_string_equal(text, "ab\\xff");
	utf8_text("ab", UTF8_KEEP_NEWLINE, text, 1);
	assert_string_equal(text, "");
}

/* The text decodes to the raw bytes again, so no two names can share one. */
static void test_text_is_injective(void **state)
{
	static const char alphabet[] = "\\x5cff\xff\xc3\xa4\n";
	uint32_t seed = 12345;

	for (int round = 0; round < 20000; round++) {
		char raw[12] = "", text[UTF8_TEXT_SIZE(sizeof(raw))], back[sizeof(text)] = "";
		size_t n = 0;

		for (int i = 0; i < 11; i++) {
			seed = seed * 1664525 + 1013904223;
			raw[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		utf8_text(raw, UTF8_KEEP_NEWLINE, text, sizeof(text));
		for (const char *at = text; *at;) {
			unsigned byte;

			if (at[0] == '\\' && at[1] == 'x' && isxdigit((unsigned char)at[2]) && isxdigit((unsigned char)at[3]) &&
			    sscanf(at + 2, "%2x", &byte) == 1)
				back[n++] = (char)byte, at += 4;
			else
				back[n++] = *at++;
		}
		assert_string_equal(back, raw);
		for (size_t i = 0, length; text[i]; i += length) {
			length = utf8_sequence((const unsigned char *)text + i, strlen(text + i));
			assert_true(length > 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_table),
		cmocka_unit_test(test_small_room_cuts_at_a_whole_character),
		cmocka_unit_test(test_text_is_injective),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
