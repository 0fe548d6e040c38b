/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of pools out of names of threads and start routines, whichever pools there are. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fnmatch.h>
#include <locale.h>

#include "model/pool_names.h"

static const char *family(const char *name)
{
	static char text[POOL_NAME_SIZE];

	pool_name_family(name, false, text);
	return text;
}

static const char *by_routine(const char *module, const char *symbol)
{
	static char text[POOL_NAME_SIZE];

	pool_name_routine(module, symbol, text);
	return text;
}

static void families_fold_the_last_digits(void **state)
{
	char all[POOL_NAME_SIZE];

	assert_string_equal(family("pool-1-thread-3"), "pool-1-thread-*");
	assert_string_equal(family("worker12"), "worker*");
	assert_string_equal(family("tokio-rt-worker"), "tokio-rt-worker");
	assert_string_equal(family("h2-io"), "h*-io");
	assert_string_equal(family("42"), "*");
	assert_string_equal(family(""), "");
	pool_name_family("pool-1-thread-3", true, all);
	assert_string_equal(all, "pool-*-thread-*");
}

static void reserved_names_stay_reserved(void **state)
{
	assert_string_equal(family("main"), "main*");
	assert_string_equal(family("other"), "other*");
	assert_string_equal(by_routine("main", ""), "main*");
	assert_int_equal(fnmatch("main*", "main", 0), 0);
	assert_string_equal(family("mainly"), "mainly");
}

static void every_name_is_a_glob_that_matches_itself_and_its_threads(void **state)
{
	static const char *const hostile[] = {
		"[kworker/0:1]", "a*b?c\\d", "\\", "]", "[!a]", "x[", "*", "?7", "\x1b[2J", "\n\r\t", "\xff\xfe\x80", "caf\xc3\xa9-7",
		"cut-multi-byte\xc3", "\xf0\x9f\x98\x80-1", "\xed\xa0\x80", "a b  c", "-", "!x", "^7", "main", "other",
	};
	static const char *const locales[] = {"C", "C.UTF-8"};

	for (size_t l = 0; l < ARRAY_SIZE(locales); l++) {
		assert_non_null(setlocale(LC_ALL, locales[l]));
		for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
			const char *name = family(hostile[i]);

			assert_int_equal(fnmatch(name, name, 0), 0);
			assert_int_equal(fnmatch(name, hostile[i], 0), 0);
			name = by_routine(hostile[i], hostile[i]);
			assert_int_equal(fnmatch(name, name, 0), 0);
			assert_true(strlen(name) > 0);
		}
	}
	setlocale(LC_ALL, "C");
	assert_string_equal(family("[kworker/0:1]"), "?kworker/0:*?");
	assert_string_equal(family("\x1b[2J"), "\x1b?*J");
}

static void without_a_symbol_the_place_tells_routines_apart(void **state)
{
	assert_string_equal(by_routine("app2", "+0x1139"), "app2+0x1139");
	assert_string_equal(by_routine("app2", "+0x117d5"), "app2+0x117d5");
	assert_string_equal(by_routine("libfoo3.so.1.2.34", "+0x4020"), "libfoo3.so+0x4020");
}

static void start_routines_lose_what_changes_between_builds(void **state)
{
	char longest[400];

	assert_string_equal(by_routine("libgomp.so.1.0.0", "gomp_thread_start"), "libgomp.so:gomp_thread_start");
	assert_string_equal(by_routine("libgomp.so.1.0.0", ""), "libgomp.so");
	assert_string_equal(by_routine("", "worker"), "worker");
	assert_string_equal(by_routine("python3.11", "thread_run"), "python3.11:thread_run");
	assert_string_equal(by_routine("app", "work.constprop.0"), "app:work");
	assert_string_equal(by_routine("libfoo.socket", "f"), "libfoo.socket:f");
	assert_string_equal(by_routine("libnetty_x86_6438472837.so", "f"), "libnetty_x86_*.so:f");
	assert_string_equal(by_routine("app", "_ZN3std6thread17h0123456789abcdefE"), "app:_ZN3std6thread17h*");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(strlen(by_routine("app", longest)), POOL_NAME_SIZE - 1);
	assert_int_equal(fnmatch(by_routine("app", longest), by_routine("app", longest), 0), 0);
	assert_true(by_routine("app", longest)[POOL_NAME_SIZE - 2] == '*');
}

static void long_names_keep_both_ends(void **state)
{
	static const char module[] = "my_long_executable_name_for_service";
	char first[POOL_NAME_SIZE], second[POOL_NAME_SIZE];

	strcpy(first, by_routine(module, "process_incoming_http_requests_gateway_first"));
	strcpy(second, by_routine(module, "process_incoming_http_requests_gateway_second"));
	assert_string_equal(first, "my_long_executable_name_for_service:proces*quests_gateway_first");
	assert_int_equal(strlen(first), POOL_NAME_SIZE - 1);
	assert_string_not_equal(first, second);
	assert_int_equal(fnmatch(first, "my_long_executable_name_for_service:process_incoming_http_requests_gateway_first", 0), 0);
	/* Between characters, never within one. */
	for (size_t shift = 0; shift < 2; shift++) {
		char symbol[96] = "x";
		const char *name;

		for (size_t i = shift; i + 2 < 90; i += 2)
			memcpy(symbol + i, "\303\244", 2);
		name = by_routine("", symbol);
		assert_in_range(strlen(name), POOL_NAME_SIZE - 3, POOL_NAME_SIZE - 1);
		for (const char *at = name + shift; *at; at += *at == '*' ? 1 : 2)
			assert_true(*at == '*' || !memcmp(at, "\303\244", 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_fold_the_last_digits),
		cmocka_unit_test(reserved_names_stay_reserved),
		cmocka_unit_test(every_name_is_a_glob_that_matches_itself_and_its_threads),
		cmocka_unit_test(without_a_symbol_the_place_tells_routines_apart),
		cmocka_unit_test(start_routines_lose_what_changes_between_builds),
		cmocka_unit_test(long_names_keep_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
