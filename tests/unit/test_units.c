/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures as people write them: what is taken, what is refused, and that formats parse back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "edge/units.h"

struct figure {
	const char *text;
	int result;
	uint64_t value;
};

#define UNTOUCHED 4711

static void check(int (*parse)(const char *, uint64_t *), const struct figure *figures, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value = UNTOUCHED;
		int r = parse(figures[i].text, &value);

		if (r != figures[i].result || value != (r ? UNTOUCHED : figures[i].value))
			fail_msg("'%s': %d, %llu", figures[i].text, r, (unsigned long long)value);
	}
}

static void counts(void **state)
{
	static const struct figure figures[] = {
		{ "0", 0, 0 }, { "40", 0, 40 }, { "18446744073709551614", 0, UINT64_MAX - 1 },
		{ "18446744073709551615", -ERANGE, 0 }, { "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 }, { " 1", -EINVAL, 0 }, { "1 ", -EINVAL, 0 },
		{ "1.0", -EINVAL, 0 }, { "0x10", -EINVAL, 0 }, { "1e3", -EINVAL, 0 }, { "4O", -EINVAL, 0 },
	};

	check(count_parse, figures, ARRAY_SIZE(figures));
}

static void bytes(void **state)
{
	static const struct figure figures[] = {
		{ "512", 0, 512 }, { "0B", 0, 0 }, { "1KiB", 0, 1024 }, { "80MiB", 0, 80 << 20 }, { "6GiB", 0, 6ULL << 30 },
		{ "100kB", 0, 100000 }, { "3MB", 0, 3000000 }, { "2GB", 0, 2000000000 }, { "1.5GiB", 0, 3ULL << 29 },
		{ "0.5KiB", 0, 512 }, { "16777215TiB", 0, 16777215ULL << 40 }, { "16777216TiB", -ERANGE, 0 },
		{ "0.3B", -EINVAL, 0 }, { "0.1KiB", -EINVAL, 0 }, { "6G", -EINVAL, 0 }, { "6 GiB", -EINVAL, 0 },
		{ "6gib", -EINVAL, 0 }, { "-6GiB", -EINVAL, 0 }, { "GiB", -EINVAL, 0 }, { "1.", -EINVAL, 0 }, { ".5MiB", -EINVAL, 0 },
		{ "1.5.5GiB", -EINVAL, 0 }, { "90%", -EINVAL, 0 }, { "1.00000000000000000000000000000000000001GiB", -ERANGE, 0 },
	};

	check(bytes_parse, figures, ARRAY_SIZE(figures));
}

static void percents(void **state)
{
	static const struct figure figures[] = {
		{ "0%", 0, 0 }, { "90%", 0, 9000 }, { "12.5%", 0, 1250 }, { "0.01%", 0, 1 }, { "100%", 0, 10000 },
		{ "100.01%", -ERANGE, 0 }, { "101%", -ERANGE, 0 }, { "0.001%", -EINVAL, 0 }, { "90", -EINVAL, 0 },
		{ "%", -EINVAL, 0 }, { "90%%", -EINVAL, 0 }, { "90 %", -EINVAL, 0 },
	};

	check(percent_parse, figures, ARRAY_SIZE(figures));
}

static void durations(void **state)
{
	static const struct figure figures[] = {
		{ "0s", 0, 0 }, { "500ms", 0, 500 * NSEC_PER_MSEC }, { "30s", 0, 30 * NSEC_PER_SEC },
		{ "0.5s", 0, NSEC_PER_SEC / 2 }, { "5m", 0, 300 * NSEC_PER_SEC }, { "2h", 0, 7200 * NSEC_PER_SEC },
		{ "1d", 0, 86400 * NSEC_PER_SEC }, { "0.000001ms", 0, 1 }, { "213504d", -ERANGE, 0 },
		{ "5", -EINVAL, 0 }, { "1h30m", -EINVAL, 0 }, { "5min", -EINVAL, 0 }, { "5M", -EINVAL, 0 }, { "0.0000001ms", -EINVAL, 0 },
	};

	check(duration_parse, figures, ARRAY_SIZE(figures));
}

static void addresses(void **state)
{
	static const char *const good[] = { "127.0.0.1:10464", "[::1]:80", ":9100", "localhost:0", "a-b.example:65535" };
	static const char *const bad[] = { "",	       "127.0.0.1", "::1:80", "127.0.0.1:", "127.0.0.1:65536", "[::1:1",
					   "[]:1",     "[1.2]:1",   "a b:1",  "a/b:1",	    "127.0.0.1:-1",    "127.0.0.1:http",
					   "\xc3\xa9:1", "[::1]x:1" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(address_check(good[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(address_check(bad[i]), -EINVAL);
}

/* Whatever a formatter prints, the parser reads back unchanged. */
static void formats_parse_back(void **state)
{
	static const uint64_t values[] = { 0, 1, 999, 1000, 1024, 1536, 80 << 20, 6ULL << 30, 123456789, 1ULL << 40,
					   60 * NSEC_PER_SEC, 90 * NSEC_PER_SEC, 1500 * NSEC_PER_MSEC, UINT64_MAX - 1 };
	char text[64];
	uint64_t back;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_int_equal(bytes_parse(bytes_format(values[i], text, sizeof(text)), &back), 0);
		assert_int_equal(back, values[i]);
		assert_int_equal(duration_parse(duration_format(values[i], text, sizeof(text)), &back), 0);
		assert_int_equal(back, values[i]);
	}
	for (uint64_t percent = 0; percent <= 10000; percent++) {
		assert_int_equal(percent_parse(percent_format(percent, text, sizeof(text)), &back), 0);
		assert_int_equal(back, percent);
	}
	assert_string_equal(bytes_format(80 << 20, text, sizeof(text)), "80MiB");
	assert_string_equal(duration_format(120 * NSEC_PER_SEC, text, sizeof(text)), "2m");
	assert_string_equal(percent_format(1250, text, sizeof(text)), "12.5%");
}

static void hints(void **state)
{
	char hint[64];

	assert_string_equal(bytes_hint("6G", hint, sizeof(hint)), "6GiB");
	assert_string_equal(bytes_hint("1.5Gi", hint, sizeof(hint)), "1.5GiB");
	assert_string_equal(bytes_hint("80 MiB", hint, sizeof(hint)), "80MiB");
	assert_null(bytes_hint("many", hint, sizeof(hint)));
	assert_null(bytes_hint("", hint, sizeof(hint)));
}

static void nearest_words(void **state)
{
	static const char *const words[] = { "threads", "resident_bytes", "resident_bytes_per_thread", "for", "clear_for", NULL };

	assert_string_equal(word_nearest("thraeds", words), "threads");
	assert_string_equal(word_nearest("thread", words), "threads");
	assert_string_equal(word_nearest("residentbytes", words), "resident_bytes");
	assert_string_equal(word_nearest("resident", words), "resident_bytes");
	assert_string_equal(word_nearest("clearfor", words), "clear_for");
	assert_null(word_nearest("color", words));
	assert_null(word_nearest("", words));
	assert_null(word_nearest("x", words));
	assert_null(word_nearest("ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt", words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),	cmocka_unit_test(bytes),
		cmocka_unit_test(percents),	cmocka_unit_test(durations),
		cmocka_unit_test(addresses),	cmocka_unit_test(formats_parse_back),
		cmocka_unit_test(hints),	cmocka_unit_test(nearest_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
