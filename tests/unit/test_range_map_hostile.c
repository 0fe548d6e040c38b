/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map under values that no kernel reports, against a bound that is always near: it stays whole. The
 * same in every run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "range_oracle.h"

static uint64_t hostile_value(struct oracle *oracle, bool is_length)
{
	static const uint64_t ODD[] = {
		0, 1, 4095, UINT64_MAX, UINT64_MAX - 4095, 1ULL << 63, (1ULL << 63) - 4096};

	if (!oracle_below(oracle, 40))
		return ODD[oracle_below(oracle, ARRAY_SIZE(ODD))];
	return is_length ? oracle_below(oracle, 20) * ORACLE_PAGE
			 : ORACLE_BASE + oracle_below(oracle, ORACLE_PAGES) * ORACLE_PAGE;
}

static void hostile_step(struct range_map *map, struct oracle *oracle, uint64_t now)
{
	unsigned dice = oracle_below(oracle, 100);
	uint32_t caller = oracle_below(oracle, 20);
	struct fact_range fact = {.start = hostile_value(oracle, false),
				  .length = hostile_value(oracle, true),
				  .old_start = hostile_value(oracle, false),
				  .old_length = hostile_value(oracle, true),
				  .protection = oracle_below(oracle, 8),
				  .flags = oracle_below(oracle, 512)};
	struct fact_resident reading = {.start = fact.start,
					.length = fact.length,
					.resident = hostile_value(oracle, true),
					.swapped = fact.old_length};

	if (dice < 30)
		range_map_made(map, &fact, caller, now);
	else if (dice < 40)
		range_map_freed(map, fact.start, fact.length, caller, now);
	else if (dice < 50)
		range_map_free_failed(map, caller, now);
	else if (dice < 60)
		range_map_moved(map, &fact, caller, now);
	else if (dice < 75)
		range_map_protected(map, &fact, caller, now);
	else if (dice < 80)
		range_map_brk(map, fact.start, fact.start + fact.length, caller, now);
	else if (dice < 85)
		range_map_stack(map, fact.start, fact.length, caller, now);
	else if (dice < 86)
		range_map_seed_begin(map, UNATTRIBUTED_LOST, dice % 8 == 0);
	else if (dice < 92)
		range_map_seen(map, &fact, now);
	else if (dice < 93)
		range_map_seed_end(map, now);
	else
		range_map_resident(map, &reading, now);
}

static void nothing_breaks_the_map(void **state)
{
	enum { BOUND = 40 };

	for (unsigned seed = 1; seed <= 20; seed++) {
		struct oracle oracle = {.random = seed * 2654435761U + 1};
		struct range_map *map;

		assert_int_equal(range_map_new(BOUND, &map), 0);
		for (unsigned operation = 0; operation < 10000; operation++) {
			uint64_t end = 0;
			size_t n = 0;

			hostile_step(map, &oracle, 1000 + operation + oracle_below(&oracle, 50));
			for (const struct range *r = range_map_first(map); r;
			     r = range_map_next(map, r), n++) {
				if (r->start < end || r->start >= r->end || r->start % ORACLE_PAGE ||
				    r->end % ORACLE_PAGE || range_map_find(map, r->end - 1) != r ||
				    (r->owner != OWNER_NONE && r->owner >= 20))
					fail_msg("seed %u, operation %u: a range is broken", seed, operation);
				end = r->end;
			}
			if (n != range_map_count(map) || n > BOUND)
				fail_msg("seed %u, operation %u: %zu ranges", seed, operation, n);
		}
		assert_true(range_map_refused(map) > 0);
		range_map_free(map);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_breaks_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
