/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map under values that no kernel reports, against a bound that is always near: it stays whole. The
 * same in every run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "model/range_map.h"

#define PAGE 4096ULL
#define PAGES 512
#define BASE (0x7f0000000000ULL - PAGES / 2 * PAGE)

/* Below n; the low bits of this generator are poor. */
static unsigned below(unsigned *random, unsigned n)
{
	*random = *random * 1664525 + 1013904223;
	return (*random >> 8) % n;
}

static uint64_t hostile_value(unsigned *random, bool is_length)
{
	static const uint64_t ODD[] = {
		0, 1, 4095, UINT64_MAX, UINT64_MAX - 4095, 1ULL << 63, (1ULL << 63) - 4096};

	if (!below(random, 40))
		return ODD[below(random, ARRAY_SIZE(ODD))];
	return is_length ? below(random, 20) * PAGE
			 : BASE + below(random, PAGES) * PAGE;
}

static void hostile_step(struct range_map *map, unsigned *random, uint64_t now)
{
	unsigned dice = below(random, 100);
	uint32_t caller = below(random, 20);
	struct fact_range fact = {.start = hostile_value(random, false),
				  .length = hostile_value(random, true),
				  .old_start = hostile_value(random, false),
				  .old_length = hostile_value(random, true),
				  .protection = below(random, 8),
				  .flags = below(random, 512)};
	struct fact_resident reading = {.start = fact.start,
					.length = fact.length,
					.resident = hostile_value(random, true),
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
	else if (dice < 94)
		range_map_sweep(map);
	else
		range_map_resident(map, &reading, now);
}

static void nothing_breaks_the_map(void **state)
{
	enum { BOUND = 40 };

	for (unsigned seed = 1; seed <= 20; seed++) {
		unsigned random = seed * 2654435761U + 1;
		struct range_map *map;

		assert_int_equal(range_map_new(BOUND, &map), 0);
		for (unsigned operation = 0; operation < 10000; operation++) {
			uint64_t end = 0;
			size_t n = 0;

			hostile_step(map, &random, 1000 + operation + below(&random, 50));
			for (const struct range *r = range_map_first(map); r;
			     r = range_map_next(map, r), n++) {
				if (r->start < end || r->start >= r->end || r->start % PAGE ||
				    r->end % PAGE || range_map_find(map, r->end - 1) != r ||
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
