/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map under what /proc shows (attach, reseed, exec) and what the page tables say, while events
 * are still to be drained. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "range_fixture.h"

/* Before the drain a seed has seen only where the bytes are now. */
static void mremap_before_the_seed_keeps_what_the_seed_saw(void **state)
{
	struct fixture *f = *state;
	uint64_t event = f->now;

	f->now += 10;
	seed(f, UNATTRIBUTED_BEFORE_ATTACH);
	seen(f, BASE + M, 6 * P, RW, RANGE_ANON);
	range_map_seed_end(f->map, f->now);
	f->now = event;
	do_munmap(f, ANN, BASE, 4 * P);
	do_mremap(f, ANN, BASE, 4 * P, BASE + M, 6 * P, 0);
	assert_map("256+4:before_attach:mmap 260+2:1:mmap");
}

/* What a later call reserved where the moved bytes had been is not what moved. */
static void mremap_before_the_seed_moves_nothing_that_came_since(void **state)
{
	struct fixture *f = *state;
	uint64_t event = f->now;

	f->now += 10;
	seed(f, UNATTRIBUTED_BEFORE_ATTACH);
	seen(f, BASE + 2 * P, 2 * P, PROT_NONE, RANGE_ANON);
	seen(f, BASE + M, 5 * P, RW, RANGE_ANON);
	range_map_seed_end(f->map, f->now);
	f->now = event;
	do_munmap(f, ANN, BASE, 4 * P);
	do_mremap(f, ANN, BASE, 4 * P, BASE + M, 5 * P, 0);
	assert_map("256+4:before_attach:mmap 260+1:1:mmap");
	assert_int_equal(map_flags(f, ANN, BASE + 2 * P, 2 * P, PROT_NONE, RANGE_ANON), 0);
	assert_true(range_map_find(f->map, BASE + M + 4 * P)->usable);
	assert_true(range_map_find(f->map, BASE + M + 3 * P)->usable);
}

/* A seed takes a while: what it read first may have gone on to where it never saw it. */
static void mremap_during_the_seed_takes_along_what_was_seen_before(void **state)
{
	struct fixture *f = *state;
	uint64_t event;

	seed(f, UNATTRIBUTED_BEFORE_ATTACH);
	seen(f, BASE, 4 * P, RW, RANGE_FILE | RANGE_SHARED);
	event = f->now;
	f->now += 10;
	seen(f, BASE + 2 * M, 4 * P, RW, RANGE_ANON);
	range_map_seed_end(f->map, f->now);
	f->now = event;
	do_munmap(f, ANN, BASE, 4 * P);
	do_mremap(f, ANN, BASE, 4 * P, BASE + M, 4 * P, 0);
	assert_null(range_map_find(f->map, BASE));
	assert_true(range_map_find(f->map, BASE + M)->flags & RANGE_SHARED);
	assert_map("512+4:before_attach:mmap");
}

/* What a reseed does not see may have been moved by an event that is still to be drained: it keeps its owner. */
static void a_reseed_drops_nothing_that_was_only_moved(void **state)
{
	struct fixture *f = *state;
	uint64_t event;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_mmap(f, ANN, BASE + 8 * P, 4 * P, RW);
	event = f->now;
	f->now += 10;
	seed(f, UNATTRIBUTED_LOST);
	seen(f, BASE + M, 6 * P, RW, RANGE_ANON);
	range_map_seed_end(f->map, f->now);
	f->now = event;
	do_munmap(f, ANN, BASE, 4 * P);
	do_mremap(f, ANN, BASE, 4 * P, BASE + M, 6 * P, 0);
	do_mmap(f, BOB, BASE + 16 * P, P, RW);
	range_map_sweep(f->map);
	assert_map("16+1:2:mmap 256+6:1:mmap");
}

/* What arrives from where no seed was may be of any kind: its pages must be told from those of files. */
static void mremap_of_what_nobody_saw_is_of_no_known_kind(void **state)
{
	struct fixture *f = *state;

	do_mremap(f, ANN, BASE, 4 * P, BASE + M, 6 * P, 0);
	assert_map("256+4:lost:mmap 260+2:1:mmap");
	assert_false(range_map_find(f->map, BASE + M)->flags & RANGE_ANON);
	assert_false(range_map_find(f->map, BASE + M + 5 * P)->flags & RANGE_ANON);
}

static void brk_goes_on_from_what_a_seed_saw(void **state)
{
	struct fixture *f = *state;

	seed(f, UNATTRIBUTED_BEFORE_ATTACH);
	seen(f, BASE, 33 * P, RW, RANGE_ANON | RANGE_HEAP);
	range_map_seed_end(f->map, f->now);
	range_map_brk(f->map, BASE, BASE + 40 * P, ANN, ++f->now);
	assert_map("0+33:before_attach:heap 33+7:1:heap");
	/* a reseed runs ahead of two events that are still to be drained, and after one that was lost */
	seed(f, UNATTRIBUTED_LOST);
	f->now += 100;
	seen(f, BASE, 60 * P, RW, RANGE_ANON | RANGE_HEAP);
	range_map_seed_end(f->map, f->now);
	assert_map("0+33:before_attach:heap 33+7:1:heap 40+20:lost:heap");
	f->now -= 50;
	range_map_brk(f->map, BASE, BASE + 50 * P, BOB, ++f->now);
	range_map_brk(f->map, BASE, BASE + 60 * P, EVE, ++f->now);
	assert_map("0+33:before_attach:heap 33+7:1:heap 40+10:2:heap 50+10:3:heap");
}

static void a_heap_that_grew_beyond_a_lost_event_is_one_arena_again(void **state)
{
	struct fixture *f = *state;

	new_heap(f, ANN, BASE);
	do_mprotect(f, ANN, BASE + 36 * P, 4 * P, RW); /* what made 33 to 36 usable was lost */
	assert_map("0+33:1:arena 36+4:1:mmap");
	seed(f, UNATTRIBUTED_LOST);
	f->now += 10;
	seen(f, BASE, 40 * P, RW, RANGE_ANON);
	seen(f, BASE + 40 * P, 64 * M - 40 * P, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	range_map_seed_end(f->map, f->now);
	assert_map("0+33:1:arena 33+3:lost:arena 36+4:1:arena");
}

/* Made usable, written and locked again by calls that were lost: no protection tells, but the pages do. */
static void pages_of_a_known_reservation_are_found_after_a_loss(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(map_flags(f, ANN, BASE, 8 * P, PROT_NONE, RANGE_ANON), 0);
	assert_int_equal(map_flags(f, ANN, BASE + 16 * P, 8 * P, PROT_NONE, RANGE_ANON), 0);
	seed(f, UNATTRIBUTED_LOST);
	f->now += 10;
	seen(f, BASE, 8 * P, PROT_NONE, RANGE_ANON);
	seen(f, BASE + 16 * P, 8 * P, PROT_NONE, RANGE_ANON);
	range_map_seed_end(f->map, f->now);
	assert_true(range_counts(at(f, BASE)) && range_counts(at(f, BASE + 16 * P)));
	f->now += 10;
	assert_int_equal(do_read(f, BASE, 8 * P, 3 * P), 0);
	assert_int_equal(do_read(f, BASE + 16 * P, 8 * P, 0), 0);
	assert_all("0+8:lost:mmap 16+8:lost:mmap!");
	assert_int_equal(at(f, BASE)->resident, 3 * P);
	/* what had no pages is a bare reservation again: who makes it usable owns it */
	assert_false(range_counts(at(f, BASE + 16 * P)));
	do_mprotect(f, BOB, BASE + 16 * P, 4 * P, RW);
	assert_map("0+8:lost:mmap 16+4:2:mmap");
}

static void a_seed_is_provisional_until_the_drain_has_passed_it(void **state)
{
	struct fixture *f = *state;

	f->now = 100;
	seed(f, UNATTRIBUTED_BEFORE_ATTACH);
	seen(f, BASE, 16 * P, RW, RANGE_ANON);
	seen(f, BASE + 20 * P, 4 * P, RW, RANGE_FILE);
	range_map_seed_end(f->map, f->now);
	assert_map("0+16:before_attach:mmap 20+4:image:mmap");
	f->now = 50;
	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_mprotect(f, BOB, BASE + 4 * P, 4 * P, RW);
	do_mprotect(f, BOB, BASE + 20 * P, 4 * P, RW);
	/* a toggle tells that it was there before */
	do_mprotect(f, EVE, BASE + 8 * P, 4 * P, PROT_READ);
	do_mprotect(f, EVE, BASE + 8 * P, 4 * P, RW);
	assert_map("0+4:1:mmap 4+4:2:mmap 8+4:before_attach:mmap 12+4:before_attach:mmap 20+4:image:mmap");
	f->now = 100;
	do_mprotect(f, EVE, BASE + 12 * P, 4 * P, RW);
	assert_map("0+4:1:mmap 4+4:2:mmap 8+4:before_attach:mmap 12+4:before_attach:mmap 20+4:image:mmap");
}

static void a_late_attach_shows_arenas_heap_and_stack(void **state)
{
	struct fixture *f = *state;

	seed(f, UNATTRIBUTED_BEFORE_ATTACH);
	seen(f, BASE - 8 * M, 200 * K, RW, RANGE_ANON | RANGE_HEAP);
	seen(f, BASE, 200 * K, RW, RANGE_ANON);
	seen(f, BASE + 200 * K, 64 * M - 200 * K, PROT_NONE, RANGE_ANON);
	seen(f, BASE + 64 * M, 1 * M, RW, RANGE_ANON); /* aligned by chance */
	seen(f, BASE + 65 * M, 4 * M, PROT_NONE, RANGE_ANON);
	seen(f, BASE + 128 * M - 132 * K, 132 * K, RW, RANGE_ANON | RANGE_STACK);
	range_map_seed_end(f->map, f->now);
	/* [stack] grows without a call: it is taken to reach down to its usual limit */
	assert_map("-2048+50:before_attach:heap 0+50:before_attach:arena 16384+256:before_attach:mmap "
		   "30720+2048:before_attach:stack");
	do_mprotect(f, ANN, BASE + 200 * K, 4 * K, RW);
	range_map_stack(f->map, BASE + 120 * M, 8 * M, MAIN, ++f->now);
	assert_map("-2048+50:before_attach:heap 0+50:before_attach:arena 50+1:1:arena "
		   "16384+256:before_attach:mmap "
		   "30720+2048:0:stack");
}

static void a_stack_that_grew_stays_its_owners(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 2; round++) {
		seed(f, UNATTRIBUTED_LOST);
		seen(f, BASE + (round ? 4 : 12) * M, (round ? 28 : 20) * M, RW, RANGE_ANON | RANGE_STACK);
		range_map_seed_end(f->map, ++f->now);
		range_map_stack(f->map, BASE + 12 * M, 20 * M, MAIN, ++f->now);
	}
	assert_map("1024+7168:0:stack");
}

static void a_reseed_keeps_owners_and_drops_what_is_gone(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_mmap(f, ANN, BASE + 8 * P, 4 * P, RW);
	do_mmap(f, ANN, BASE + 16 * P, 4 * P, PROT_NONE);
	do_mmap(f, ANN, BASE + 32 * P, 4 * P, RW);
	do_read(f, BASE, 4 * P, 2 * P);
	f->now += 100;
	do_mmap(f, EVE, BASE + 24 * P, P, RW); /* newer than the seed */
	f->now -= 50;
	seed(f, UNATTRIBUTED_LOST);
	seen(f, BASE, 6 * P, PROT_READ, RANGE_ANON);
	seen(f, BASE + 16 * P, 4 * P, RW, RANGE_ANON);
	seen(f, BASE + 32 * P, 4 * P, RW, RANGE_FILE); /* something else by now */
	range_map_seed_end(f->map, f->now);
	range_map_sweep(f->map);
	assert_map("0+4:1:mmap 4+2:lost:mmap 16+4:lost:mmap 24+1:3:mmap 32+4:image:mmap");
	assert_int_equal(at(f, BASE)->protection, PROT_READ);
	assert_int_equal(at(f, BASE)->resident, 2 * P);
	/* the mprotect was only late, not lost */
	f->now -= 5;
	do_mprotect(f, BOB, BASE + 16 * P, 4 * P, RW);
	assert_map("0+4:1:mmap 4+2:lost:mmap 16+4:2:mmap 24+1:3:mmap 32+4:image:mmap");
}

static void exec_drops_everything(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	range_map_brk(f->map, BASE + M, BASE + 2 * M, ANN, ++f->now);
	do_munmap(f, ANN, BASE, P);
	range_map_seed_begin(f->map, UNATTRIBUTED_BEFORE_ATTACH, true);
	range_map_seed_end(f->map, ++f->now);
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_all("");
	range_map_brk(f->map, BASE + 3 * M, BASE + 3 * M + P, BOB, ++f->now);
	assert_map("768+1:2:heap");
}

static void a_seeded_reservation_may_hold_pages(void **state)
{
	struct fixture *f = *state;

	seed(f, UNATTRIBUTED_INHERITED);
	seen(f, BASE, 4 * P, PROT_NONE, RANGE_ANON);
	seen(f, BASE + 8 * P, 4 * P, PROT_NONE, RANGE_ANON);
	seen(f, 0xffffffffff600000, P, PROT_EXEC, RANGE_ANON); /* [vsyscall] */
	range_map_seed_end(f->map, f->now);
	assert_true(range_counts(at(f, BASE)));
	assert_int_equal(do_read(f, BASE, 4 * P, P), 0);
	assert_int_equal(do_read(f, BASE + 8 * P, 4 * P, 0), 0);
	assert_map("0+4:inherited:mmap");
	assert_false(range_counts(at(f, BASE + 8 * P)));
}

static void a_reading_is_void_for_what_changed_after_it(void **state)
{
	struct fixture *f = *state;
	struct fact_resident fact = {.start = BASE, .length = 8 * P, .resident = 8 * P, .swapped = 0};

	do_mmap(f, ANN, BASE, 8 * P, RW);
	assert_int_equal(range_map_resident(f->map, &fact, f->now - 1), 0);
	assert_true(at(f, BASE)->changed);
	assert_int_equal(at(f, BASE)->resident, 0);
	assert_int_equal(range_map_resident(f->map, &fact, f->now), 0);
	assert_false(at(f, BASE)->changed);
	assert_int_equal(at(f, BASE)->resident, 8 * P);
	fact.resident = P;
	range_map_resident(f->map, &fact, f->now - 1); /* older than the last one */
	assert_int_equal(at(f, BASE)->resident, 8 * P);
}

static void a_reading_is_divided_among_what_its_span_became(void **state)
{
	struct fixture *f = *state;
	struct fact_resident fact = {.start = BASE, .length = 8 * P, .resident = 4 * P, .swapped = 2 * P};

	do_mmap(f, ANN, BASE, 8 * P, RW);
	do_munmap(f, ANN, BASE + 2 * P, 4 * P);
	assert_int_equal(range_map_resident(f->map, &fact, f->now), 0);
	assert_int_equal(at(f, BASE)->resident, 2 * P);
	assert_int_equal(at(f, BASE + 6 * P)->resident, 2 * P);
	assert_int_equal(at(f, BASE)->swapped + at(f, BASE + 6 * P)->swapped, 2 * P);
	assert_true(at(f, BASE)->changed && at(f, BASE + 6 * P)->changed);
	fact.resident = 7 * P; /* more than there is room for */
	assert_int_equal(range_map_resident(f->map, &fact, ++f->now), 3 * P);
	assert_int_equal(at(f, BASE)->resident, 2 * P);
	/* a part of a range: the rest keeps its share */
	assert_int_equal(do_read(f, BASE, P, 0), 0);
	assert_int_equal(at(f, BASE)->resident, P);
	assert_true(at(f, BASE)->changed);
}

static void pages_that_meet_no_range_are_told(void **state)
{
	struct fixture *f = *state;
	struct fact_resident outside = {.start = BASE, .length = M, .resident = 5 * P, .outside = true};

	do_mmap(f, ANN, BASE, 4 * P, RW);
	assert_int_equal(do_read(f, BASE + M, M, 3 * P), 3 * P);
	assert_int_equal(range_map_resident(f->map, &outside, f->now), 5 * P);
	assert_int_equal(at(f, BASE)->resident, 0);
}

static void swapped_pages_keep_their_owner(void **state)
{
	struct fixture *f = *state;
	struct fact_resident fact = {.start = BASE, .length = 8 * P, .resident = P, .swapped = 7 * P};

	do_mmap(f, ANN, BASE, 8 * P, RW);
	do_read(f, BASE, 8 * P, 8 * P);
	range_map_resident(f->map, &fact, ++f->now);
	assert_map("0+8:1:mmap");
	assert_int_equal(at(f, BASE)->swapped, 7 * P);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mremap_before_the_seed_keeps_what_the_seed_saw),
		TEST(mremap_before_the_seed_moves_nothing_that_came_since),
		TEST(mremap_during_the_seed_takes_along_what_was_seen_before),
		TEST(a_reseed_drops_nothing_that_was_only_moved),
		TEST(mremap_of_what_nobody_saw_is_of_no_known_kind),
		TEST(brk_goes_on_from_what_a_seed_saw),
		TEST(pages_of_a_known_reservation_are_found_after_a_loss),
		TEST(a_seed_is_provisional_until_the_drain_has_passed_it),
		TEST(a_late_attach_shows_arenas_heap_and_stack),
		TEST(a_heap_that_grew_beyond_a_lost_event_is_one_arena_again),
		TEST(a_stack_that_grew_stays_its_owners),
		TEST(a_reseed_keeps_owners_and_drops_what_is_gone),
		TEST(exec_drops_everything),
		TEST(a_seeded_reservation_may_hold_pages),
		TEST(a_reading_is_void_for_what_changed_after_it),
		TEST(a_reading_is_divided_among_what_its_span_became),
		TEST(pages_that_meet_no_range_are_told),
		TEST(swapped_pages_keep_their_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
