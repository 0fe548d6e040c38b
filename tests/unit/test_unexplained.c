/* SPDX-License-Identifier: GPL-2.0-only */
/* What no thread can be charged with: figures that stay unexplained, and arenas that a child inherited. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model_facts.h"

#define AREA 0x10000000ULL

/* System V's shmat over a range is seen by no probe: what is mapped there is no more what the model thinks. */
static void what_stays_unexplained_asks_for_a_reseed_once(void **state)
{
	struct script s = {0};

	script_begin(&s);
	leader(&s);
	mapped(&s, PID, AREA, 8 * MIB);
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	memory(&s, 8 * MIB, 0, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(refresh(&s)->unexplained_bytes, 0);
	assert_false(model_wants_reseed(s.model, TARGET));
	for (int64_t i = 0; i < 8; i++) { /* never twice the same: a target that runs */
		memory(&s, (8 + 2 * (i % 2)) * MIB, 0, 0);
		refresh(&s);
		assert_false(model_wants_reseed(s.model, TARGET));
	}
	memory(&s, 2 * MIB, 0, 6 * MIB);
	for (int i = 0; i < 4; i++) {
		assert_false(model_wants_reseed(s.model, TARGET));
		assert_int_equal(refresh(&s)->unexplained_bytes, -6 * (int64_t)MIB);
	}
	assert_true(model_wants_reseed(s.model, TARGET));
	seed_begin(&s, SEED_LOST);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 2 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 2 * MIB, 6 * MIB, RW, RANGE_FILE | RANGE_SHARED);
	seed_end(&s);
	resident_at(&s, AREA, 2 * MIB);
	assert_int_equal(refresh(&s)->unexplained_bytes, 0);
	/* what a reseed cannot explain asks no more */
	memory(&s, 5 * MIB, 0, 0);
	for (int round = 0; round < 20; round++) {
		refresh(&s);
		if (model_wants_reseed(s.model, TARGET)) {
			assert_int_equal(round, 3);
			seed_begin(&s, SEED_LOST);
			range(&s, FACT_RANGE_SEEN, 0, AREA, 2 * MIB, RW, RANGE_ANON);
			seed_end(&s);
		}
	}
	assert_int_equal(s.snapshot->reseeds, 2);
	script_end(&s);
}

static void an_inherited_arena_is_nobodys(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const uint64_t arena = 64 * MIB * 5 + 48, heap = 64 * MIB * 5;

	script_begin(&s);
	leader(&s);
	seed_begin(&s, SEED_INHERITED);
	range(&s, FACT_RANGE_SEEN, 0, heap, 32 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, heap + 32 * MIB, 32 * MIB, PROT_NONE, RANGE_ANON);
	seed_end(&s);
	feed(&s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = heap, .address = arena}});
	feed(&s, (struct fact){.kind = FACT_THREAD_ARENA, .arena = {.who = tid(PID), .address = arena}});
	/* the child's own growth of it is the child's */
	range(&s, FACT_RANGE_PROTECTED, PID, heap + 32 * MIB, MIB, RW, 0);
	resident(&s, heap, 32 * MIB, 3 * MIB);
	resident(&s, heap + 32 * MIB, MIB, MIB);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_INHERITED], 3 * MIB);
	assert_int_equal(pool(target, "main")->memory.resident[REGION_ARENA], MIB);
	assert_false(thread(target, PID)->memory.shared);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_stays_unexplained_asks_for_a_reseed_once),
		cmocka_unit_test(an_inherited_arena_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
