/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools of makers that are gone, or change: where what they made belongs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lineage_facts.h"

/* Threads that live for a moment, with teams that end before it, at its end or after it: all of each maker's pool. */
static void teams_of_a_moment(void **state)
{
	for (uint32_t order = 0; order < 3; order++) {
		struct script s = {0};
		const struct snapshot_target *target;

		script_begin(&s);
		leader(&s);
		refresh(&s);
		for (uint32_t round = 0; round < 10; round++) {
			uint32_t maker = 200 + 10 * round;

			born_of(&s, maker, PID, "app", "work");
			for (uint32_t i = 1; i <= 3; i++)
				born_of(&s, maker + i, maker, "libgomp.so.1", "");
			pass(&s, 5 * MSEC);
			for (uint32_t i = 0; i <= 3; i++) /* the maker as the last, the second, the first */
				exited(&s, maker + (i + 1 + order) % 4);
			pass(&s, 100 * MSEC);
		}
		target = refresh(&s);
		assert_null(find_pool(target, "libgomp"));
		assert_int_equal(pool(target, "app:work")->threads_started, 10);
		assert_int_equal(pool(target, "app:work/libgomp")->threads_started, 30);
		assert_int_equal(pool(target, "app:work/libgomp")->threads_peak, 3);
		assert_string_equal(parent_of(target, "app:work/libgomp"), "app:work");
		script_end(&s);
	}
}

/* Two pools take turns at making threads: what lives at a refresh is one's or the other's. */
static void makers_that_take_turns(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born_of(&s, 200, PID, "app", "alpha");
	born_of(&s, 201, PID, "app", "beta");
	refresh(&s);
	for (uint32_t round = 0; round < 6; round++) {
		born_of(&s, 300 + round, 200 + round % 2, "app", "consume");
		target = refresh(&s);
		assert_string_equal(parent_of(target, "app:consume"), round ? "none" : "app:alpha");
		exited(&s, 300 + round);
	}
	target = refresh(&s);
	assert_string_equal(parent_of(target, "app:consume"), "none");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(teams_of_a_moment),
		cmocka_unit_test(makers_that_take_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
