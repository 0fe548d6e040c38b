/* SPDX-License-Identifier: GPL-2.0-only */
/* Rings of samples: growth as a rate over the window that there is, and the points of a sparkline. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/history.h"
#include "model_facts.h"

static void put(struct history *history, uint64_t second, uint64_t value)
{
	history_put(history, second * SEC, &value);
}

static void no_rate_before_ten_seconds(void **state)
{
	struct history history;

	assert_int_equal(history_init(&history, 60, 1), 0);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), UNKNOWN_I64);
	for (uint64_t second = 100; second < 110; second++)
		put(&history, second, second * 1000);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), UNKNOWN_I64);
	put(&history, 110, 110 * 1000);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), 60000);
	history_clear(&history);
}

static void a_rate_is_over_its_window_alone(void **state)
{
	struct history history;

	assert_int_equal(history_init(&history, 334, 1), 0);
	for (uint64_t second = 0; second <= 200; second++)
		put(&history, second, second <= 140 ? second * 10 : 1400);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), 0);
	assert_int_equal(history_growth(&history, 0, 120 * SEC, 120 * SEC / 6), 300); /* half the time 10 a second */
	for (uint64_t second = 201; second <= 230; second++)
		put(&history, second, 1400 - (second - 200) * 20);
	assert_int_equal(history_growth(&history, 0, 30 * SEC, 30 * SEC / 6), -1200);
	history_clear(&history);
}

static void what_is_unknown_has_no_rate(void **state)
{
	struct history history;

	assert_int_equal(history_init(&history, 60, 1), 0);
	put(&history, 0, 5);
	put(&history, 30, UNKNOWN_U64);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), UNKNOWN_I64);
	put(&history, 40, 6);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), 1);
	put(&history, 50, INT64_MAX);
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), INT64_MAX);
	put(&history, 60, (uint64_t)-7); /* it may go below 0 */
	assert_int_equal(history_growth(&history, 0, 60 * SEC, 60 * SEC / 6), -12);
	history_clear(&history);
}

static void a_fast_refresh_covers_the_same_time(void **state)
{
	struct history history;
	uint64_t points[60], value;

	assert_int_equal(history_init(&history, 60, 1), 0);
	for (uint64_t i = 0; i <= 1200; i++) { /* 60 s at 50 ms */
		value = i;
		history_put(&history, 1000 * SEC + i * 50 * MSEC, &value);
	}
	assert_int_equal(history_copy(&history, 0, points, 60), 60);
	assert_int_equal(points[59], 1200); /* the newest is now */
	assert_true(points[0] < 150);
	for (size_t i = 1; i < 60; i++)
		assert_true(points[i] > points[i - 1]);
	/* a time that does not go on is no sample */
	value = 7;
	history_put(&history, 1000 * SEC, &value);
	assert_int_equal(history_copy(&history, 0, points, 60), 60);
	assert_int_equal(points[59], 1200);
	history_clear(&history);
}

static void a_ring_keeps_the_newest(void **state)
{
	struct history history;
	uint64_t points[8];

	assert_int_equal(history_init(&history, 4, 1), 0);
	for (uint64_t second = 1; second <= 10; second++)
		put(&history, second, second);
	assert_int_equal(history_copy(&history, 0, points, 8), 4);
	assert_int_equal(points[0], 7);
	assert_int_equal(points[3], 10);
	assert_int_equal(history_copy(&history, 0, points, 2), 2);
	assert_int_equal(points[0], 9);
	history_clear(&history);
	put(&history, 1, 1); /* a cleared one takes nothing */
	assert_int_equal(history_copy(&history, 0, points, 8), 0);
}

static void growth_of_a_target_and_the_time_to_its_maximum(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target = NULL;

	script_begin(&s);
	leader(&s);
	cgroup(&s, 1000 * MIB, 400 * MIB, UNKNOWN_U64);
	for (uint64_t i = 0; i < 100; i++) {
		memory(&s, 100 * MIB + i * MIB, 10 * MIB + i * MIB / 4, MIB);
		target = refresh(&s);
		if (i < 10) {
			assert_int_equal(target->growth_1m, UNKNOWN_I64);
			assert_true(isnan(target->seconds_to_memory_max));
		}
		assert_int_equal(target->growth_5m, UNKNOWN_I64);
	}
	assert_int_equal(target->growth_1m, 75 * MIB);
	assert_true(fabs(target->growth_5m_seconds - 99) < 0.01 && fabs(target->growth_1m_seconds - 60) < 0.01);
	assert_int_equal(target->growth_anon, 60 * MIB);
	assert_int_equal(target->growth_file, 15 * MIB);
	assert_int_equal(target->growth_shmem, 0);
	assert_true(fabs(target->seconds_to_memory_max - 480) < 0.01); /* 600 MiB at 75 a minute */
	assert_int_equal(target->n_history, 100);
	assert_int_equal(target->history[0], 100 * MIB);
	assert_int_equal(target->history[99], 199 * MIB);
	for (int i = 0; i < 70; i++)
		target = refresh(&s);
	assert_int_equal(target->growth_1m, 0);
	assert_true(target->growth_5m > 0);
	assert_true(isnan(target->seconds_to_memory_max));
	script_end(&s);
}

static void growth_of_a_pool_and_its_sparkline(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target = NULL;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	mapped(&s, 200, 0x10000000, 1000 * MIB);
	for (uint64_t i = 0; i < 90; i++) {
		resident(&s, 0x10000000, 1000 * MIB, i * MIB);
		target = refresh(&s);
	}
	assert_int_equal(pool(target, "w-*")->growth_per_minute, 60 * MIB);
	assert_int_equal(pool(target, "w-*")->n_history, 60);
	assert_int_equal(pool(target, "w-*")->history[0], 30 * MIB);
	assert_int_equal(pool(target, "w-*")->history[59], 89 * MIB);
	assert_int_equal(pool(target, "main")->growth_per_minute, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rate_before_ten_seconds),
		cmocka_unit_test(a_rate_is_over_its_window_alone),
		cmocka_unit_test(what_is_unknown_has_no_rate),
		cmocka_unit_test(a_fast_refresh_covers_the_same_time),
		cmocka_unit_test(a_ring_keeps_the_newest),
		cmocka_unit_test(growth_of_a_target_and_the_time_to_its_maximum),
		cmocka_unit_test(growth_of_a_pool_and_its_sparkline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
