/* SPDX-License-Identifier: GPL-2.0-only */
/* Snapshots: owners by evidence. Arenas that are shared, the heap, blocks that nobody was seen making, and what
 * malloc keeps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model_facts.h"

#define AREA 0x10000000ULL
#define HEAP (64 * MIB * 5) /* of an arena */
#define ARENA (HEAP + 48)

static void arena_of_heap(struct script *s)
{
	feed(s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = HEAP, .address = ARENA}});
}

static void uses_arena(struct script *s, uint32_t thread)
{
	feed(s, (struct fact){.kind = FACT_THREAD_ARENA, .arena = {.who = tid(thread), .address = ARENA}});
}

static void a_shared_arena_is_divided(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "w-2");
	seen(&s, 202, "v-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, HEAP, 32 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, HEAP + 32 * MIB, 32 * MIB, PROT_NONE, RANGE_ANON);
	seed_end(&s);
	arena_of_heap(&s);
	resident(&s, HEAP, 32 * MIB, 3 * MIB);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 3 * MIB);
	for (uint32_t i = 200; i <= 202; i++)
		uses_arena(&s, i);
	target = refresh(&s);
	assert_int_equal(target->unattributed_bytes, 0);
	assert_int_equal(pool(target, "w-*")->memory.resident[REGION_ARENA], 2 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.resident[REGION_ARENA], MIB);
	assert_true(thread(target, 201)->memory.shared);
	assert_true(pool(target, "v-*")->memory.shared);
	assert_false(pool(target, "main")->memory.shared);
	exited(&s, 200);
	exited(&s, 201);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.resident[REGION_ARENA], 3 * MIB);
	assert_false(pool(target, "v-*")->memory.shared);
	assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 0);
	/* With nobody left it is the orphan of who was attached last, though it was there before anybody saw. */
	exited(&s, 202);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.orphaned_bytes, 3 * MIB);
	assert_int_equal(target->unattributed_bytes, 0);
	seen(&s, 203, "w-3");
	uses_arena(&s, 203);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.resident[REGION_ARENA], 3 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 0);
	script_end(&s);
}

/* However the memory of before the attach is divided as threads come and go: nobody has grown by it. */
static void a_divided_base_is_no_growth(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, HEAP, 32 * MIB, RW, RANGE_ANON);
	seed_end(&s);
	arena_of_heap(&s);
	uses_arena(&s, 200);
	resident(&s, HEAP, 32 * MIB, 8 * MIB);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.net_grown_bytes, 0);
	born(&s, 201, "v-1");
	uses_arena(&s, 201);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.resident_bytes, 4 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.net_grown_bytes, 0);
	assert_int_equal(pool(target, "w-*")->memory.net_grown_bytes, 0);
	assert_int_equal(pool(target, "v-*")->memory.grown_bytes, 4 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.grown_bytes, -4 * MIB);
	assert_int_equal(thread(target, 201)->memory.net_grown_bytes, 0);
	for (unsigned int second = 0; second < 20; second++)
		target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->growth_per_minute, 0);
	assert_int_equal(pool(target, "w-*")->growth_per_minute, 0);
	/* What comes into it is: by its users' shares. */
	resident(&s, HEAP, 32 * MIB, 12 * MIB);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.net_grown_bytes, 2 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.net_grown_bytes, 2 * MIB);
	exited(&s, 200);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.resident_bytes, 12 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.net_grown_bytes, 4 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.grown_bytes, 12 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.net_grown_bytes, 0);
	exited(&s, 201);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.orphaned_bytes, 12 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.net_grown_bytes, 4 * MIB);
	script_end(&s);
}

/* An image that was seen to begin has no base: what its seed found came since the exec. */
static void after_an_exec_there_is_no_base(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	refresh(&s);
	seed_begin(&s, SEED_EXEC);
	range(&s, FACT_RANGE_SEEN, 0, HEAP, 32 * MIB, RW, RANGE_ANON);
	seed_end(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	arena_of_heap(&s);
	uses_arena(&s, 200);
	resident(&s, HEAP, 32 * MIB, 8 * MIB);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.resident_bytes, 8 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.net_grown_bytes, 8 * MIB);
	script_end(&s);
}

static void the_main_arena_owns_the_heap(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const uint64_t arena = 0x7f0000001000, heap = 0x5000000, elsewhere = AREA + MIB;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, heap, 8 * MIB, RW, RANGE_ANON | RANGE_HEAP);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	seed_end(&s);
	resident(&s, heap, 8 * MIB, 4 * MIB);
	feed(&s, (struct fact){.kind = FACT_THREAD_ARENA, .arena = {.who = tid(PID), .address = arena}});
	/* An arena whose top is not in the heap proves nothing: somebody else may be using brk. */
	feed(&s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = elsewhere, .address = arena, .is_main = true}});
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 4 * MIB);
	feed(&s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = heap + MIB, .address = arena, .is_main = true}});
	target = refresh(&s);
	assert_int_equal(target->unattributed_bytes, 0);
	assert_int_equal(pool(target, "main")->memory.resident[REGION_HEAP], 4 * MIB);
	assert_false(pool(target, "main")->memory.shared);
	feed(&s, (struct fact){.kind = FACT_THREAD_ARENA, .arena = {.who = tid(200), .address = arena}});
	target = refresh(&s);
	assert_int_equal(pool(target, "main")->memory.resident[REGION_HEAP], 2 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.resident[REGION_HEAP], 2 * MIB);
	assert_true(pool(target, "w-*")->memory.shared);
	script_end(&s);
}

static void evidence_charges_what_nobody_was_seen_making(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "v-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 16 * MIB, MIB, RW, RANGE_FILE);
	seed_end(&s);
	mapped(&s, 201, AREA + 6 * MIB, MIB);
	resident(&s, AREA, 6 * MIB, 6 * MIB);
	resident(&s, AREA + 6 * MIB, MIB, MIB);
	resident(&s, AREA + 7 * MIB, MIB, MIB);
	resident(&s, AREA + 16 * MIB, MIB, MIB);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 7 * MIB);
	/* Only what is nobody's: neither another's megabyte nor a file's. */
	range(&s, FACT_RANGE_OWNER, 200, AREA + 4 * MIB, 13 * MIB, 0, 0);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 4 * MIB);
	assert_int_equal(target->unattributed[UNATTRIBUTED_IMAGE], MIB);
	assert_int_equal(thread(target, 200)->memory.resident[REGION_MMAP], 3 * MIB);
	assert_int_equal(thread(target, 201)->memory.resident[REGION_MMAP], MIB);
	assert_int_equal(pool(target, "w-*")->memory.net_grown_bytes, 0);
	assert_int_equal(pool(target, "w-*")->memory.grown_bytes, 0);
	assert_int_equal(thread(target, 200)->memory.net_grown_bytes, 0);
	/* Marked as what it is, unlike what was seen being made. */
	assert_int_equal(thread(target, 200)->memory.held_bytes, 3 * MIB);
	assert_int_equal(thread(target, 201)->memory.held_bytes, 0);
	assert_int_equal(pool(target, "w-*")->memory.held_bytes, 3 * MIB);
	/* What is released is gone; what is mapped there then is the caller's. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 4 * MIB, MIB, 0, 0);
	mapped(&s, 201, AREA + 5 * MIB, MIB);
	range(&s, FACT_RANGE_OWNER, 200, AREA + 4 * MIB, 2 * MIB, 0, 0);
	target = refresh(&s);
	assert_int_equal(thread(target, 200)->memory.mapped[REGION_MMAP], MIB);
	assert_int_equal(thread(target, 201)->memory.held_bytes, 0);
	/* Of a thread that is not there it says nothing. */
	range(&s, FACT_RANGE_OWNER, 999, AREA, MIB, 0, 0);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 4 * MIB);
	script_end(&s);
}

/* Who holds what somebody else may have made is told beside all other figures, as long as it is there. */
static void what_is_held_but_nobodys(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	seen(&s, 200, "v-1");
	seen(&s, 201, "v-2");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 16 * MIB, MIB, RW, RANGE_FILE);
	seed_end(&s);
	range(&s, FACT_RANGE_HELD, 200, AREA + 4 * MIB, 13 * MIB, 0, 0); /* what is a file's is not */
	range(&s, FACT_RANGE_HELD, 201, AREA, MIB, 0, 0);
	range(&s, FACT_RANGE_HELD, 999, AREA + MIB, MIB, 0, 0);
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	resident(&s, AREA + 16 * MIB, MIB, MIB);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 8 * MIB);
	assert_int_equal(thread(target, 200)->memory.held_unattributed_bytes, 4 * MIB);
	assert_int_equal(thread(target, 200)->memory.held_bytes, 0);
	assert_int_equal(thread(target, 200)->memory.resident_bytes, 0);
	assert_int_equal(pool(target, "v-*")->memory.held_unattributed_bytes, 5 * MIB);
	/* Released, mapped anew by another, and its holder ends. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 4 * MIB, MIB, 0, 0);
	mapped(&s, 201, AREA + 5 * MIB, MIB);
	resident(&s, AREA + 5 * MIB, MIB, MIB);
	exited(&s, 200);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.held_unattributed_bytes, 3 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.held_bytes, 0);
	assert_int_equal(thread(target, 201)->memory.held_unattributed_bytes, MIB);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 6 * MIB);
	/* Its number goes to nobody else while what it held is there. */
	for (uint32_t i = 0; i < 20; i++) {
		seen(&s, 300 + i, "other-1");
		mapped(&s, 300 + i, AREA + (32 + i) * MIB, MIB);
	}
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.held_unattributed_bytes, 3 * MIB);
	assert_int_equal(pool(target, "other-*")->memory.held_unattributed_bytes, 0);
	/* It is charged where evidence comes after all. */
	range(&s, FACT_RANGE_OWNER, 201, AREA, 4 * MIB, 0, 0);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.held_unattributed_bytes, 2 * MIB);
	assert_int_equal(thread(target, 201)->memory.held_bytes, 4 * MIB);
	script_end(&s);
}

static void moved(struct script *s, uint32_t who, uint64_t from, uint64_t length, uint64_t to, uint64_t new_length)
{
	feed(s, (struct fact){.kind = FACT_RANGE_MOVED, .range = {.who = tid(who), .start = to, .length = new_length,
								  .old_start = from, .old_length = length}});
}

static int64_t grown(struct script *s, const char *name)
{
	const struct snapshot_bytes *memory = &pool(refresh(s), name)->memory;

	/* Nobody had anything at the attach. */
	assert_int_equal(memory->grown_bytes, memory->resident_bytes);
	return memory->net_grown_bytes;
}

#define MADE (16 * MIB)

/* By a thread since the attach: of this much can be taken what it gives back. */
static void made(struct script *s, uint32_t who, uint64_t at)
{
	mapped(s, who, at, MADE);
	resident(s, at, MADE, MADE);
}

static void who_makes_old_memory_anew_has_not_grown(void **state)
{
	struct script s = {0};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "v-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 16 * MIB, MIB, RW, RANGE_FILE);
	seed_end(&s);
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	resident(&s, AREA + 16 * MIB, MIB, MIB);
	assert_int_equal(grown(&s, "w-*"), 0);
	made(&s, 200, AREA + 128 * MIB);
	made(&s, 201, AREA + 192 * MIB);
	assert_int_equal(grown(&s, "w-*"), MADE);
	range(&s, FACT_RANGE_FREED, 200, AREA, 2 * MIB, 0, 0);
	assert_int_equal(grown(&s, "w-*"), MADE - 2 * MIB);
	range(&s, FACT_RANGE_FREE_FAILED, 200, AREA, 2 * MIB, 0, 0);
	assert_int_equal(grown(&s, "w-*"), MADE);
	range(&s, FACT_RANGE_FREED, 200, AREA, 2 * MIB, 0, 0);
	mapped(&s, 200, AREA + 32 * MIB, 2 * MIB);
	resident(&s, AREA + 32 * MIB, 2 * MIB, 2 * MIB);
	assert_int_equal(grown(&s, "w-*"), MADE);
	/* Over it, at its very place. */
	mapped(&s, 200, AREA + 2 * MIB, MIB);
	resident(&s, AREA + 2 * MIB, MIB, MIB);
	assert_int_equal(grown(&s, "w-*"), MADE);
	/* What a thread was seen to make, and a file's pages, are no such memory. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 32 * MIB, 2 * MIB, 0, 0);
	range(&s, FACT_RANGE_FREED, 201, AREA + 16 * MIB, MIB, 0, 0);
	assert_int_equal(grown(&s, "v-*"), MADE);
	assert_int_equal(grown(&s, "w-*"), MADE - 2 * MIB);
	/* Moved: the source is told at the call's entry, as if it were freed. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 4 * MIB, 2 * MIB, 0, 0);
	moved(&s, 201, AREA + 4 * MIB, 2 * MIB, AREA + 64 * MIB, 2 * MIB);
	assert_int_equal(grown(&s, "v-*"), MADE);
	assert_int_equal(refresh(&s)->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 5 * MIB);
	/* The reading of what is left tells how much of a part was there. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 3 * MIB, MIB / 2, 0, 0);
	resident(&s, AREA + 3 * MIB + MIB / 2, MIB / 2, MIB / 2);
	assert_int_equal(grown(&s, "v-*"), MADE - MIB / 2);
	/* Made shorter: its end is freed. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 65 * MIB, MIB, 0, 0);
	moved(&s, 201, AREA + 64 * MIB, 2 * MIB, AREA + 64 * MIB, MIB);
	assert_int_equal(grown(&s, "v-*"), MADE - 3 * MIB / 2);
	/* Who has freed more than it made has not shrunk: that was never told as its own. */
	range(&s, FACT_RANGE_FREED, 201, AREA + 192 * MIB, MADE, 0, 0);
	assert_int_equal(grown(&s, "v-*"), 0);
	script_end(&s);
}

/* Only what was resident at the attach is a base; and of a mapping of which a part was, the reading of the rest tells. */
static void what_was_filled_since_is_no_base(void **state)
{
	struct script s = {0};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "v-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 64 * MIB, 8 * MIB, RW, RANGE_ANON);
	seed_end(&s);
	resident(&s, AREA, 8 * MIB, 0);
	resident(&s, AREA + 64 * MIB, 8 * MIB, 4 * MIB);
	assert_int_equal(grown(&s, "w-*"), 0);
	/* Filled since, then made anew: that is growth. */
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	assert_int_equal(grown(&s, "w-*"), 0);
	unmapped(&s, 200, AREA, 8 * MIB);
	mapped(&s, 200, AREA, 8 * MIB);
	resident(&s, AREA, 8 * MIB, 8 * MIB);
	assert_int_equal(grown(&s, "w-*"), 8 * MIB);
	/* The half that nobody touched; then the other one. */
	made(&s, 201, AREA + 192 * MIB);
	unmapped(&s, 201, AREA + 68 * MIB, 4 * MIB);
	resident(&s, AREA + 64 * MIB, 4 * MIB, 4 * MIB);
	assert_int_equal(grown(&s, "v-*"), MADE);
	unmapped(&s, 201, AREA + 64 * MIB, 4 * MIB);
	assert_int_equal(grown(&s, "v-*"), MADE - 4 * MIB);
	script_end(&s);
}

static void kept_is_what_was_read_of_the_heaps(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const uint64_t heap = 64 * MIB * 5, arena = heap + 48;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seed_begin(&s, SEED_ATTACH);
	/* Two heaps side by side, which the kernel shows as one mapping. */
	range(&s, FACT_RANGE_SEEN, 0, heap, 128 * MIB, RW, RANGE_ANON);
	seed_end(&s);
	target = refresh(&s);
	assert_true(pool(target, "main")->memory.kept_bytes == UNKNOWN_U64); /* no glibc to be seen */
	feed(&s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = heap, .address = arena}});
	feed(&s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = heap + 64 * MIB, .address = arena}});
	feed(&s, (struct fact){.kind = FACT_THREAD_ARENA, .arena = {.who = tid(200), .address = arena}});
	resident(&s, heap, 64 * MIB, 40 * MIB);
	resident(&s, heap + 64 * MIB, 64 * MIB, 20 * MIB);
	feed(&s, (struct fact){.kind = FACT_ARENA_KEPT,
			       .arena = {.heap = heap, .address = arena, .resident = 40 * MIB, .kept = 30 * MIB}});
	target = refresh(&s);
	assert_int_equal(thread(target, 200)->memory.resident[REGION_ARENA], 60 * MIB);
	assert_true(thread(target, 200)->memory.kept_bytes == UNKNOWN_U64); /* half is not known whole */
	assert_int_equal(pool(target, "main")->memory.kept_bytes, 0);
	/* What has grown since the reading is taken for as full as the rest. */
	feed(&s, (struct fact){.kind = FACT_ARENA_KEPT, .arena = {.heap = heap + 64 * MIB, .address = arena,
								  .resident = 10 * MIB, .kept = MIB}});
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.kept_bytes, 32 * MIB);
	/* Not more than there is. */
	assert_int_equal(model_apply(s.model, &(struct fact){.kind = FACT_ARENA_KEPT, .target = TARGET,
							     .arena = {.heap = heap, .resident = 1, .kept = 2}}),
			 -EINVAL);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_arena_is_divided),
		cmocka_unit_test(a_divided_base_is_no_growth),
		cmocka_unit_test(after_an_exec_there_is_no_base),
		cmocka_unit_test(the_main_arena_owns_the_heap),
		cmocka_unit_test(evidence_charges_what_nobody_was_seen_making),
		cmocka_unit_test(who_makes_old_memory_anew_has_not_grown),
		cmocka_unit_test(what_was_filled_since_is_no_base),
		cmocka_unit_test(what_is_held_but_nobodys),
		cmocka_unit_test(kept_is_what_was_read_of_the_heaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
