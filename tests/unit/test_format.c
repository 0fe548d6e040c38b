/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures as short text: the borders of each form, and that none is ever wider than its column. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "view/escape.h"
#include "view/format.h"
#include "view/sparkline.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static void test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" },		      { 1, "1B" },
		{ 999, "999B" },	      { 1000, "0.98K" },
		{ 1024, "1.00K" },	      { 10 * KIB, "10.0K" },
		{ 812 * KIB, "812K" },	      { 999 * KIB + 511, "999K" },
		{ 1000 * KIB, "0.98M" },      { 63 * MIB, "63.0M" },
		{ 100 * MIB - 1, "100M" },    { 1536 * MIB, "1.50G" },
		{ 1023 * MIB, "1.00G" },      { UINT64_MAX - 1, "16.0E" },
		{ UNKNOWN_U64, "n/a" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(format_bytes(FORMAT_BUFFER, cases[i].bytes), cases[i].text);
}

static void test_growth(void **state)
{
	assert_string_equal(format_growth(FORMAT_BUFFER, 0), "0");
	assert_string_equal(format_growth(FORMAT_BUFFER, 63 * (int64_t)MIB), "+63.0M");
	assert_string_equal(format_growth(FORMAT_BUFFER, -1), "-1B");
	assert_string_equal(format_growth(FORMAT_BUFFER, -(int64_t)GIB), "-1.00G");
	assert_string_equal(format_growth(FORMAT_BUFFER, INT64_MIN + 1), "-8.00E");
	assert_string_equal(format_growth(FORMAT_BUFFER, UNKNOWN_I64), "n/a");
}

static void test_count_percent_age(void **state)
{
	assert_string_equal(format_count(FORMAT_BUFFER, 99999), "99999");
	assert_string_equal(format_count(FORMAT_BUFFER, 100000), "100k");
	assert_string_equal(format_count(FORMAT_BUFFER, 1500000), "1.50M");
	assert_string_equal(format_count(FORMAT_BUFFER, UNKNOWN_U64), "n/a");
	assert_string_equal(format_percent(FORMAT_BUFFER, 0), "0.0");
	assert_string_equal(format_percent(FORMAT_BUFFER, 99.96), "100.0");
	assert_string_equal(format_percent(FORMAT_BUFFER, 1600), "1600");
	assert_string_equal(format_percent(FORMAT_BUFFER, NAN), "n/a");
	assert_string_equal(format_age(FORMAT_BUFFER, 0), "0s");
	assert_string_equal(format_age(FORMAT_BUFFER, 99 * NSEC_PER_SEC), "99s");
	assert_string_equal(format_age(FORMAT_BUFFER, 100 * NSEC_PER_SEC), "1m40");
	assert_string_equal(format_age(FORMAT_BUFFER, 605 * NSEC_PER_SEC), "10m");
	assert_string_equal(format_age(FORMAT_BUFFER, 119 * 60 * NSEC_PER_SEC), "119m");
	assert_string_equal(format_age(FORMAT_BUFFER, 120 * 60 * NSEC_PER_SEC), "2h00");
	assert_string_equal(format_age(FORMAT_BUFFER, 50 * 3600 * NSEC_PER_SEC), "2d");
	assert_string_equal(format_age(FORMAT_BUFFER, UNKNOWN_U64), "n/a");
}

static void test_duration(void **state)
{
	static const struct {
		double seconds;
		const char *text;
	} cases[] = {
		{ 0.4, "0.4 s" },	{ 41, "41 s" },	       { 41 * 60, "41 min" },
		{ 11520, "3 h 12 min" }, { 187200, "2 d 4 h" }, { 1e12, "years" },
		{ NAN, "n/a" },		{ INFINITY, "n/a" },   { -1, "n/a" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(format_duration(FORMAT_BUFFER, cases[i].seconds), cases[i].text);
}

static void test_clock(void **state)
{
	uint64_t noon = 1795348800ULL * NSEC_PER_SEC; /* 2026-11-22 12:00:00 UTC */

	assert_string_equal(format_clock(FORMAT_BUFFER, noon, noon), "12:00:00");
	assert_string_equal(format_clock(FORMAT_BUFFER, noon, noon + 30 * 3600 * NSEC_PER_SEC), "11-22 12:00:00");
	assert_string_equal(format_clock(FORMAT_BUFFER, 0, noon), "n/a");
}

/* Whatever the figure is, it keeps to its column. */
static void test_widths(void **state)
{
	for (int shift = 0; shift < 64; shift++)
		for (int64_t near = -700; near <= 700; near += 7) {
			uint64_t value = (1ULL << shift) + (uint64_t)near;

			assert_true(strlen(format_bytes(FORMAT_BUFFER, value)) <= 5);
			assert_true(strlen(format_count(FORMAT_BUFFER, value)) <= 5);
			assert_true(strlen(format_growth(FORMAT_BUFFER, (int64_t)value)) <= 6);
			assert_true(strlen(format_age(FORMAT_BUFFER, value)) <= 4);
			assert_true(strlen(format_percent(FORMAT_BUFFER, (double)(value >> 44) / 8)) <= 6);
		}
}

static void assert_sparkline(const uint64_t *history, size_t count, bool utf8, size_t width, const char *expected)
{
	char text[256];

	assert_string_equal(sparkline_draw(history, count, utf8, width, text, sizeof(text)), expected);
}

static void test_sparkline(void **state)
{
	static const uint64_t ramp[] = { 0, 1, 2, 3, 4, 5, 6, 7 }, noise[] = { 1000, 1010, 1003, 1020 },
			      gap[] = { 0, UNKNOWN_U64, 7 }, huge[] = { 0, UINT64_MAX - 1 };

	assert_sparkline(ramp, 8, true, 8, "▁▂▃▄▅▆▇█");
	assert_sparkline(ramp, 8, false, 8, "__..--=#");
	assert_sparkline(ramp, 8, true, 4, "▂▄▆█");	 /* squeezed: the largest of two */
	assert_sparkline(ramp, 8, true, 10, "  ▁▂▃▄▅▆▇█"); /* the newest at the right */
	assert_sparkline(noise, 4, true, 4, "▁▁▁▁");
	assert_sparkline(gap, 3, true, 3, "▁ █");
	assert_sparkline(huge, 2, true, 2, "▁█");
	assert_sparkline(ramp, 0, true, 3, "   ");
	assert_sparkline(ramp, 8, true, 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),	 cmocka_unit_test(test_growth), cmocka_unit_test(test_count_percent_age),
		cmocka_unit_test(test_duration), cmocka_unit_test(test_clock),	cmocka_unit_test(test_widths),
		cmocka_unit_test(test_sparkline),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
