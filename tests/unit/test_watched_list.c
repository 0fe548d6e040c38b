/* SPDX-License-Identifier: GPL-2.0-only */
/* The list of targets: found by number and by PID in whatever order they came; who has ended goes, and is nobody's PID any more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/watched_list.h"

#define COUNT 302U

static struct watched *make(uint32_t id)
{
	const struct fact_target info = {.pid = 1000 + id};
	struct watched *watched = watched_new(id, &info, NULL, NULL, NULL, "/nowhere");

	assert_non_null(watched);
	return watched;
}

static void found_by_number(void **state)
{
	struct watched_list list = {.count = 0};

	assert_null(watched_list_find(&list, 1));
	/* 1, 8, 15, ...: each once, since 7 and COUNT + 1 have no common divisor. */
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(watched_list_add(&list, make(1 + i * 7 % (COUNT + 1))), 0);
	assert_int_equal(list.count, COUNT);
	for (size_t i = 1; i < list.count; i++)
		assert_true(list.watched[i - 1]->id < list.watched[i]->id);
	for (size_t i = 0; i < list.count; i++)
		assert_ptr_equal(watched_list_find(&list, list.watched[i]->id), list.watched[i]);
	for (uint32_t id = 1; id <= COUNT; id++)
		assert_ptr_equal(watched_list_living_of(&list, 1000 + id), watched_list_find(&list, id));
	assert_null(watched_list_find(&list, COUNT + 7));
	assert_null(watched_list_living_of(&list, 1000));
	watched_list_clear(&list);
	assert_int_equal(list.count, 0);
}

static void who_has_ended_goes(void **state)
{
	struct watched_list list = {.count = 0};

	for (uint32_t id = 1; id <= 9; id++)
		assert_int_equal(watched_list_add(&list, make(id)), 0);
	for (uint32_t id = 1; id <= 9; id += 2)
		watched_list_find(&list, id)->ended = true;
	assert_int_equal(watched_list_living(&list), 4);
	assert_null(watched_list_living_of(&list, 1003));
	assert_int_equal(watched_list_living_of(&list, 1004)->id, 4);
	assert_non_null(watched_list_find(&list, 3)); /* until it is buried */
	watched_list_bury(&list);
	assert_int_equal(list.count, 4);
	assert_null(watched_list_find(&list, 3));
	assert_int_equal(watched_list_find(&list, 8)->info.pid, 1008);
	watched_list_clear(&list);
}

static void a_pid_that_was_another(void **state)
{
	struct watched_list list = {.count = 0};
	struct watched *watched;

	/* The same PID three times, its former owners not yet buried, between two others. */
	for (uint32_t id = 1; id <= 5; id++) {
		watched = make(id);
		watched->info.pid = id == 1 ? 6 : id == 5 ? 8 : 7;
		watched->ended = id < 4;
		assert_int_equal(watched_list_add(&list, watched), 0);
	}
	assert_int_equal(watched_list_living_of(&list, 7)->id, 4);
	assert_null(watched_list_living_of(&list, 6));
	watched_list_bury(&list);
	assert_int_equal(watched_list_living_of(&list, 7)->id, 4);
	assert_int_equal(watched_list_living_of(&list, 8)->id, 5);
	watched_list_find(&list, 4)->ended = true;
	assert_null(watched_list_living_of(&list, 7));
	watched_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_number),
		cmocka_unit_test(who_has_ended_goes),
		cmocka_unit_test(a_pid_that_was_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
