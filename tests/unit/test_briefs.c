/* SPDX-License-Identifier: GPL-2.0-only */
/* How many of those that ended before they were counted lived at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "model/briefs.h"

static void note(struct briefs *briefs, uint64_t born, uint64_t ended, uint32_t pool, uint32_t members)
{
	briefs_note(briefs, &(struct brief){.born = born, .ended = ended, .pool = pool, .pool_number = pool + 10,
					    .members = members});
}

static uint64_t most_of(struct briefs *briefs)
{
	uint32_t next;

	briefs_sort(briefs);
	return briefs_most(briefs, 0, &next);
}

static void who_lived_at_once(void **state)
{
	static const struct {
		uint64_t lives[4][2];
		uint64_t most;
	} cases[] = {
		{{{1, 2}, {3, 4}, {5, 6}, {7, 8}}, 1}, /* one after the other */
		{{{1, 5}, {2, 6}, {3, 7}, {4, 8}}, 4},
		{{{1, 8}, {2, 3}, {4, 5}, {6, 7}}, 2}, /* one beside each of the others */
		{{{1, 2}, {2, 3}, {3, 4}, {4, 5}}, 2}, /* born when another ends: both */
		{{{4, 8}, {3, 7}, {1, 5}, {2, 2}}, 3}, /* in any order */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct briefs briefs = {0};

		for (size_t k = 0; k < 4; k++)
			note(&briefs, cases[i].lives[k][0], cases[i].lives[k][1], 0, 0);
		assert_int_equal(most_of(&briefs), cases[i].most);
		briefs_clear(&briefs);
	}
}

static void members_count_with_them(void **state)
{
	struct briefs briefs = {0};

	note(&briefs, 1, 5, 0, 3);
	note(&briefs, 2, 6, 0, 9); /* when it ended the first had gone */
	note(&briefs, 3, 4, 0, 2);
	assert_int_equal(most_of(&briefs), 10);
	briefs_clear(&briefs);
}

/* Members that left, and newborns that became ones in time, have been judged as they did: by themselves they are no news. */
static void what_is_counted_already(void **state)
{
	static const struct brief counted[] = {
		{.born = 10, .ended = 10, .members = 8, .is_counted = true}, /* a member: nine lived */
		{.born = 2, .ended = 20, .members = 7, .is_counted = true},
		{.born = 50, .ended = 50, .members = 20, .is_counted = true},
	};
	struct briefs briefs = {0};

	for (size_t i = 0; i < 3; i++)
		briefs_note(&briefs, &counted[i]);
	assert_int_equal(most_of(&briefs), 0);
	note(&briefs, 5, 30, 0, 6); /* with the first two, not with the last */
	briefs.brief[3].pool_number = 0;
	assert_int_equal(most_of(&briefs), 11);
	briefs_clear(&briefs);
}

static void each_pool_by_itself(void **state)
{
	struct briefs briefs = {0};
	uint32_t first, next;

	for (uint32_t i = 0; i < 30; i++)
		note(&briefs, i, 100 - i, i % 3, 0);
	note(&briefs, 0, 100, 7, 0);
	briefs_sort(&briefs);
	for (first = 0; first < 30; first = next)
		assert_int_equal(briefs_most(&briefs, first, &next), 10);
	assert_int_equal(briefs_most(&briefs, first, &next), 1);
	assert_int_equal(next, 31);
	briefs_forget(&briefs);
	assert_int_equal(briefs.count, 0);
	assert_non_null(briefs.brief);
	briefs_forget(&briefs);
	assert_null(briefs.brief);
	briefs_clear(&briefs);
}

static void there_is_a_bound(void **state)
{
	struct briefs briefs = {0};

	for (uint32_t i = 0; i < 2 * BRIEFS_MAX; i++)
		note(&briefs, i, 1000000, 0, 0);
	assert_int_equal(briefs.count, BRIEFS_MAX);
	assert_int_equal(most_of(&briefs), BRIEFS_MAX);
	briefs_clear(&briefs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_lived_at_once),
		cmocka_unit_test(members_count_with_them),
		cmocka_unit_test(what_is_counted_already),
		cmocka_unit_test(each_pool_by_itself),
		cmocka_unit_test(there_is_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
