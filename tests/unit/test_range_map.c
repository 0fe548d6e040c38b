/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map under the calls that real programs make, glibc 2.36's malloc and threads among them: one
 * test per rule of ownership. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "range_fixture.h"

static void glibc_heap_is_an_arena_of_its_growers(void **state)
{
	struct fixture *f = *state;

	new_heap(f, ANN, BASE);
	assert_all("0+33:1:arena 33+16351:before_attach:mmap!");
	do_mprotect(f, ANN, BASE + 132 * K, 4 * K, RW);
	do_mprotect(f, BOB, BASE + 136 * K, 8 * K, RW);
	do_mprotect(f, ANN, BASE + 144 * K, 4 * K, RW);
	assert_map("0+34:1:arena 34+2:2:arena 36+1:1:arena");
}

static void an_arena_that_grows_in_many_steps_stays_one_range(void **state)
{
	struct fixture *f = *state;
	uint64_t used = 132 * K;

	new_heap(f, ANN, BASE);
	assert_int_equal(do_read(f, BASE, used, 100 * K), 0);
	for (int step = 0; used < 64 * M; step++, used += 128 * K)
		do_mprotect(f, ANN, BASE + used, used + 128 * K > 64 * M ? 64 * M - used : 128 * K, RW);
	assert_map("0+16384:1:arena");
	assert_int_equal(range_map_count(f->map), 1);
	assert_int_equal(at(f, BASE)->resident,
			 100 * K); /* what was added counts as empty until it is read */
	assert_true(at(f, BASE)->changed);
	assert_int_not_equal(at(f, BASE)->scanned_ns, 0);
}

/* glibc asks for the next heap right behind the last: the kernel sees one mapping, these stay two. */
static void heaps_side_by_side_are_two_arenas(void **state)
{
	struct fixture *f = *state;

	new_heap(f, ANN, BASE);
	map_flags(f, BOB, BASE + 64 * M, 64 * M, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	do_mprotect(f, BOB, BASE + 64 * M, 132 * K, RW);
	assert_map("0+33:1:arena 16384+33:2:arena");
	do_mprotect(f, ANN, BASE + 132 * K, 64 * M - 132 * K, RW);
	assert_map("0+16384:1:arena 16384+33:2:arena");
}

static void growth_in_any_other_reservation_is_mmap(void **state)
{
	struct fixture *f = *state;

	map_flags(f, ANN, BASE, 1024 * M, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	do_mprotect(f, ANN, BASE, 1 * M, RW);
	do_mprotect(f, BOB, BASE + 64 * M, 1 * M, RW);
	assert_map("0+256:1:mmap 16384+256:2:mmap");
	do_munmap(f, ANN, BASE, 1024 * M);
	map_flags(f, ANN, BASE, 64 * M, PROT_NONE, RANGE_ANON); /* glibc's has MAP_NORESERVE */
	do_mprotect(f, ANN, BASE, P, RW);
	assert_map("0+1:1:mmap");
	do_munmap(f, ANN, BASE, 64 * M);
	new_heap(f, ANN, BASE); /* and right behind a heap that is full */
	map_flags(f, BOB, BASE + 64 * M, M, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	do_mprotect(f, ANN, BASE + 132 * K, 64 * M - 132 * K, RW);
	do_mprotect(f, BOB, BASE + 64 * M, P, RW);
	assert_map("0+16384:1:arena 16384+1:2:mmap");
}

static void a_toggle_makes_no_owner(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 16 * P, RW);
	do_mprotect(f, BOB, BASE + 4 * P, 4 * P, PROT_NONE);
	assert_map("0+4:1:mmap 4+4:1:mmap 8+8:1:mmap");
	assert_int_equal(at(f, BASE + 4 * P)->protection, PROT_NONE);
	do_mprotect(f, BOB, BASE + 4 * P, 4 * P, PROT_READ | PROT_EXEC);
	do_mprotect(f, BOB, BASE + 4 * P, 4 * P, RW);
	assert_map("0+16:1:mmap");
	do_mmap(f, ANN, BASE + M, P, PROT_READ);
	assert_map("0+16:1:mmap"); /* a reservation, until somebody may write */
	do_mprotect(f, BOB, BASE + M, P, RW);
	assert_map("0+16:1:mmap 256+1:2:mmap");
}

static void a_stack_is_the_newborns(void **state)
{
	struct fixture *f = *state;

	new_stack(f, MAIN, BASE);
	assert_map("1+2048:0:mmap");
	born(f, ANN, BASE);
	assert_map("1+2048:1:stack");
	assert_false(at(f, BASE)->usable); /* the guard */
	born(f, ANN, BASE);
	assert_map("1+2048:1:stack");
}

static void a_cached_stack_goes_to_the_next_birth(void **state)
{
	struct fixture *f = *state;

	new_stack(f, MAIN, BASE);
	born(f, ANN, BASE);
	do_read(f, BASE + P, 8 * M, 64 * K);
	born(f, BOB, BASE); /* ANN's exit may be seen after this */
	range_map_owner_gone(f->map, ANN);
	assert_map("1+2048:2:stack");
	assert_int_equal(at(f, BASE + P)->resident, 64 * K);
	assert_true(at(f, BASE + P)->changed);
	do_munmap(f, EVE, BASE, 8 * M + P); /* evicted by another exiting thread */
	assert_all("");
}

static void stacks_in_a_slab_leave_each_other_alone(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, MAIN, BASE, 64 * P, RW);
	range_map_stack(f->map, BASE + 16 * P, 16 * P, ANN, ++f->now);
	range_map_stack(f->map, BASE + 32 * P, 16 * P, BOB, ++f->now);
	assert_map("0+16:0:mmap 16+16:1:stack 32+16:2:stack 48+16:0:mmap");
	/* in malloc's memory: the first and the last page are shared with others */
	range_map_stack(f->map, BASE + 16, 4 * P, EVE, ++f->now);
	assert_map("0+1:0:mmap 1+3:3:stack 4+12:0:mmap 16+16:1:stack 32+16:2:stack 48+16:0:mmap");
	assert_int_equal(range_map_stack(f->map, BASE + 16, P, EVE, ++f->now), -EINVAL);
}

static void a_stack_that_nobody_mapped_is_there_all_the_same(void **state)
{
	struct fixture *f = *state;

	born(f, ANN, BASE); /* the mmap was lost */
	assert_map("0+2049:1:stack");
	map_flags(f, BOB, BASE + 32 * M, 4 * P, RW, RANGE_SHARED | RANGE_ANON);
	range_map_stack(f->map, BASE + 32 * M, 4 * P, BOB,
			++f->now); /* a stack in shared memory: never charged */
	assert_map("0+2049:1:stack");
}

static void any_thread_may_unmap_any_part(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 48 * M, RW);
	do_read(f, BASE, 48 * M, 30 * M);
	do_munmap(f, BOB, BASE + 16 * M, 16 * M);
	assert_map("0+4096:1:mmap 8192+4096:1:mmap");
	assert_int_equal(at(f, BASE)->resident, 10 * M);
	assert_int_equal(at(f, BASE + 32 * M)->resident, 10 * M);
	assert_true(at(f, BASE)->changed && at(f, BASE + 32 * M)->changed);
	do_munmap(f, BOB, BASE, 64 * M);
	assert_all("");
}

static void a_split_loses_no_byte(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 7 * P, RW);
	do_read(f, BASE, 7 * P, 5 * P);
	do_mprotect(f, ANN, BASE + P, P, PROT_NONE);
	assert_int_equal(at(f, BASE)->resident + at(f, BASE + P)->resident + at(f, BASE + 2 * P)->resident,
			 5 * P);
	do_mprotect(f, ANN, BASE + P, P, RW);
	assert_int_equal(at(f, BASE)->resident, 5 * P);
}

static void a_fixed_map_replaces_what_was_there(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_mmap(f, ANN, BASE + 6 * P, 4 * P, RW);
	do_mmap(f, BOB, BASE + 2 * P, 6 * P, RW);
	assert_map("0+2:1:mmap 2+6:2:mmap 8+2:1:mmap");
	map_flags(f, BOB, BASE + 4 * P, P, PROT_NONE, RANGE_ANON); /* shrink_heap of a set-user-ID program */
	assert_map("0+2:1:mmap 2+2:2:mmap 5+3:2:mmap 8+2:1:mmap");
}

static void what_is_not_private_memory_is_never_charged(void **state)
{
	struct fixture *f = *state;

	map_flags(f, ANN, BASE, P, RW, RANGE_ANON | RANGE_SHARED);
	map_flags(f, ANN, BASE + 2 * P, P, RW, RANGE_ANON | RANGE_HUGETLB);
	map_flags(f, ANN, BASE + 4 * P, P, RW, RANGE_FILE | RANGE_SHARED);
	map_flags(f, ANN, BASE + 6 * P, P, PROT_READ, RANGE_FILE);
	do_mprotect(f, ANN, BASE, 7 * P, RW);
	for (const struct range *r = range_map_first(f->map); r; r = range_map_next(f->map, r))
		assert_int_equal(r->owner, OWNER_NONE);
	assert_int_equal(range_map_count(f->map), 4);
	assert_map("6+1:image:mmap");
	assert_int_equal(do_read(f, BASE, P, P), P); /* of shared memory nothing counts */
	assert_int_equal(at(f, BASE)->resident, 0);
}

static void mremap_moves_bytes_with_their_owner(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_read(f, BASE, 4 * P, 3 * P);
	do_munmap(f, BOB, BASE, 4 * P); /* reported at entry */
	do_mremap(f, BOB, BASE, 4 * P, BASE + M, 6 * P, 0);
	assert_map("256+4:1:mmap 260+2:2:mmap");
	assert_int_equal(at(f, BASE + M)->resident, 3 * P);
	do_mremap(f, EVE, BASE + M, 6 * P, BASE, 5 * P, 0); /* the entry was lost */
	assert_map("0+4:1:mmap 4+1:2:mmap");
}

static void mremap_in_place_grows_and_shrinks(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_read(f, BASE, 4 * P, 4 * P);
	do_munmap(f, BOB, BASE, 4 * P);
	do_mremap(f, BOB, BASE, 4 * P, BASE, 8 * P, 0);
	assert_map("0+4:1:mmap 4+4:2:mmap");
	do_munmap(f, BOB, BASE, 8 * P);
	do_mremap(f, BOB, BASE, 8 * P, BASE, 2 * P, 0);
	assert_map("0+2:1:mmap");
	assert_int_equal(at(f, BASE)->resident, 2 * P);
}

/* Shrinking in place reports the tail at entry; at the call's return it may be another thread's. */
static void mremap_that_shrinks_takes_nothing_from_the_next_owner_of_its_tail(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 8 * P, RW);
	do_read(f, BASE, 8 * P, 8 * P);
	do_munmap(f, ANN, BASE + 4 * P, 4 * P);
	do_mmap(f, BOB, BASE + 4 * P, 2 * P, RW);
	do_mremap(f, ANN, BASE, 8 * P, BASE, 4 * P, 0);
	assert_map("0+4:1:mmap 4+2:2:mmap");
	assert_int_equal(at(f, BASE)->resident, 4 * P);
	/* the report at entry was lost: the tail goes now */
	do_mremap(f, ANN, BASE, 4 * P, BASE, 2 * P, 0);
	assert_map("0+2:1:mmap 4+2:2:mmap");
	do_munmap(f, ANN, BASE + P, P);
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_map("0+2:1:mmap 4+2:2:mmap");
}

static void count_owner(void *context, const struct range *range)
{
	((unsigned *)context)[range->owner]++;
}

static void what_may_come_back_still_has_an_owner(void **state)
{
	struct fixture *f = *state;
	unsigned count[4] = {};

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_mmap(f, BOB, BASE + 4 * P, 4 * P, RW);
	do_munmap(f, EVE, BASE, 8 * P);
	range_map_each_in_limbo(f->map, count_owner, count);
	assert_int_equal(count[ANN], 1);
	assert_int_equal(count[BOB], 1);
	range_map_reassign(f->map, ANN, BOB);
	range_map_free_failed(f->map, EVE, ++f->now);
	assert_map("0+8:2:mmap");
	range_map_each_in_limbo(f->map, count_owner, count);
	assert_int_equal(count[BOB], 1);
}

static void mremap_replaces_what_its_destination_held(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_mmap(f, EVE, BASE + 8 * P, 8 * P, RW);
	do_mremap(f, BOB, BASE, 4 * P, BASE + 10 * P, 4 * P, 0);
	assert_map("8+2:3:mmap 10+4:1:mmap 14+2:3:mmap");
}

static void mremap_may_leave_an_empty_range_behind(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 4 * P, RW);
	do_read(f, BASE, 4 * P, 4 * P);
	do_mremap(f, BOB, BASE, 4 * P, BASE + 8 * P, 4 * P, RANGE_DONTUNMAP);
	assert_map("0+4:1:mmap 8+4:1:mmap");
	assert_int_equal(at(f, BASE)->resident, 0);
	assert_int_equal(at(f, BASE + 8 * P)->resident, 4 * P);
}

static void mremap_of_nothing_duplicates_shared_memory(void **state)
{
	struct fixture *f = *state;

	map_flags(f, ANN, BASE, 4 * P, RW, RANGE_ANON | RANGE_SHARED);
	do_mremap(f, ANN, BASE, 0, BASE + 8 * P, 4 * P, 0);
	assert_map("");
	assert_int_equal(range_map_count(f->map), 2);
	assert_true(at(f, BASE + 8 * P)->flags & RANGE_SHARED);
}

static void mremap_of_the_unknown_charges_only_what_it_adds(void **state)
{
	struct fixture *f = *state;

	do_mremap(f, ANN, BASE, 4 * P, BASE + M, 6 * P, 0);
	assert_map("256+4:lost:mmap 260+2:1:mmap");
}

static void an_address_may_be_given_away_before_munmap_returns(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 8 * P, RW);
	do_munmap(f, ANN, BASE, 8 * P);
	do_mmap(f, BOB, BASE + 2 * P, 2 * P, RW);
	assert_map("2+2:2:mmap");
	/* had it failed, the rest would be there again */
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_map("0+2:1:mmap 2+2:2:mmap 4+4:1:mmap");
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_map("0+2:1:mmap 2+2:2:mmap 4+4:1:mmap");
}

static void only_the_last_call_of_a_thread_can_have_failed(void **state)
{
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, P, RW);
	do_munmap(f, ANN, BASE, P);
	do_mmap(f, ANN, BASE + 8 * P, P, RW);
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_map("8+1:1:mmap");
	do_munmap(f, ANN, BASE + 8 * P, P);
	assert_int_equal(do_munmap(f, ANN, BASE + 1, P), -EINVAL); /* the kernel refuses it as well */
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_map("");
	do_mmap(f, BOB, BASE, P, RW);
	do_munmap(f, ANN, BASE, P);
	range_map_owner_gone(f->map, ANN);
	range_map_free_failed(f->map, ANN, ++f->now);
	assert_map("");
}

static void what_waits_for_its_outcome_is_remembered_for_many_threads(void **state)
{
	struct fixture *f = *state;

	for (uint32_t who = 0; who < 1000; who++) {
		do_mmap(f, who, BASE + who * 2 * P, P, RW);
		do_munmap(f, who, BASE + who * 2 * P, P);
	}
	for (uint32_t who = 0; who < 1000; who++)
		range_map_free_failed(f->map, who, ++f->now);
	assert_int_equal(range_map_count(f->map), 1000);
	assert_int_equal(at(f, BASE + 999 * 2 * P)->owner, 999);
}

static void brk_grows_for_its_caller_and_shrinks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(range_map_brk(f->map, BASE, BASE, MAIN, ++f->now), 0); /* sbrk(0) */
	assert_all("");
	range_map_brk(f->map, BASE, BASE + 33 * P, MAIN, ++f->now);
	range_map_brk(f->map, BASE, BASE + 66 * P - 100, ANN, ++f->now);
	range_map_brk(f->map, BASE, BASE + 66 * P, BOB, ++f->now);
	assert_map("0+33:0:heap 33+33:1:heap");
	range_map_brk(f->map, BASE, BASE + 20 * P, BOB, ++f->now);
	assert_map("0+20:0:heap");
	range_map_brk(f->map, BASE, BASE + 40 * P, BOB, ++f->now);
	assert_map("0+20:0:heap 20+20:2:heap");
	do_mmap(f, EVE, BASE + 40 * P, 10 * P, RW);
	range_map_brk(f->map, BASE, BASE + 10 * P, ANN, ++f->now); /* takes nothing that is not heap */
	assert_map("0+10:0:heap 40+10:3:mmap");
	range_map_brk(f->map, BASE, BASE, ANN, ++f->now);
	assert_map("40+10:3:mmap");
}

static void nonsense_is_refused_and_changes_nothing(void **state)
{
	static const uint64_t ODD[][2] = {
		{BASE, 0},
		{BASE + 1, P},
		{BASE, UINT64_MAX},
		{BASE, UINT64_MAX - BASE + 1},
		{UINT64_MAX - P + 1, P},
		{UINT64_MAX - P + 1, 2 * P},
		{1ULL << 63, P},
		{(1ULL << 63) - P, 2 * P},
	};
	struct fixture *f = *state;

	do_mmap(f, ANN, BASE, 8 * P, RW);
	for (size_t i = 0; i < ARRAY_SIZE(ODD); i++) {
		uint64_t start = ODD[i][0], length = ODD[i][1];

		assert_int_equal(do_mmap(f, BOB, start, length, RW), -EINVAL);
		assert_int_equal(do_mprotect(f, BOB, start, length, RW), -EINVAL);
		assert_int_equal(do_munmap(f, BOB, start, length), -EINVAL);
		assert_int_equal(do_mremap(f, BOB, BASE, P, start, length, 0), -EINVAL);
		assert_int_equal(do_read(f, start, length, 0), 0);
		if (length) /* old_length 0 duplicates */
			assert_int_equal(do_mremap(f, BOB, start, length, BASE + M, P, 0), -EINVAL);
		if (start % P == 0)
			assert_int_equal(range_map_stack(f->map, start, length, BOB, ++f->now), -EINVAL);
	}
	assert_int_equal(do_mremap(f, BOB, BASE, 4 * P, BASE + 2 * P, 4 * P, 0), -EINVAL);
	assert_int_equal(range_map_brk(f->map, BASE, BASE - 1, BOB, ++f->now), -EINVAL);
	assert_int_equal(range_map_brk(f->map, BASE, UINT64_MAX, BOB, ++f->now), -EINVAL);
	assert_map("0+8:1:mmap");
	range_map_free(NULL);
}

static void the_bound_refuses_counts_and_recovers(void **state)
{
	struct fixture *f = *state;
	uint64_t refused;

	range_map_free(f->map);
	assert_int_equal(range_map_new(16, &f->map), 0);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(do_mmap(f, ANN, BASE + 4 * i * P, 3 * P, RW), 0);
	assert_int_equal(do_mmap(f, ANN, BASE + M, P, RW), -ENOSPC);
	assert_int_equal(do_mmap(f, BOB, BASE + P, P, RW), -ENOSPC);
	assert_int_equal(do_munmap(f, BOB, BASE + P, P), -ENOSPC);
	assert_int_equal(range_map_count(f->map), 16);
	refused = range_map_refused(f->map);
	assert_true(refused >= 3);
	/* what is freed makes room, even while the outcome of that call is not known */
	assert_int_equal(do_munmap(f, BOB, BASE, 3 * P), 0);
	assert_int_equal(do_mmap(f, ANN, BASE + M, P, RW), 0);
	assert_int_equal(do_mmap(f, BOB, BASE + M, P, RW), 0);
	assert_int_equal(range_map_refused(f->map), refused);
	assert_int_equal(range_map_count(f->map), 16);
}

static void as_many_ranges_as_the_bound_allows(void **state)
{
	struct fixture *f = *state;
	const struct range *r;
	uint64_t n = 262144, i = 0;

	for (i = 0; i < n; i++)
		assert_int_equal(do_mmap(f, i % 2, BASE + i * P, P, RW), 0);
	assert_int_equal(do_mmap(f, ANN, BASE - P, P, RW), -ENOSPC);
	for (i = 0, r = range_map_first(f->map); r; r = range_map_next(f->map, r), i++)
		assert_int_equal(r->start, BASE + i * P);
	assert_int_equal(i, n);
	range_map_reassign(f->map, 0, 1);
	assert_int_equal(range_map_count(f->map), n * P / (64 * M));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(glibc_heap_is_an_arena_of_its_growers),
		TEST(an_arena_that_grows_in_many_steps_stays_one_range),
		TEST(heaps_side_by_side_are_two_arenas),
		TEST(growth_in_any_other_reservation_is_mmap),
		TEST(a_toggle_makes_no_owner),
		TEST(a_stack_is_the_newborns),
		TEST(a_cached_stack_goes_to_the_next_birth),
		TEST(stacks_in_a_slab_leave_each_other_alone),
		TEST(a_stack_that_nobody_mapped_is_there_all_the_same),
		TEST(any_thread_may_unmap_any_part),
		TEST(a_split_loses_no_byte),
		TEST(a_fixed_map_replaces_what_was_there),
		TEST(what_is_not_private_memory_is_never_charged),
		TEST(mremap_moves_bytes_with_their_owner),
		TEST(mremap_in_place_grows_and_shrinks),
		TEST(mremap_that_shrinks_takes_nothing_from_the_next_owner_of_its_tail),
		TEST(what_may_come_back_still_has_an_owner),
		TEST(mremap_replaces_what_its_destination_held),
		TEST(mremap_may_leave_an_empty_range_behind),
		TEST(mremap_of_nothing_duplicates_shared_memory),
		TEST(mremap_of_the_unknown_charges_only_what_it_adds),
		TEST(an_address_may_be_given_away_before_munmap_returns),
		TEST(only_the_last_call_of_a_thread_can_have_failed),
		TEST(what_waits_for_its_outcome_is_remembered_for_many_threads),
		TEST(brk_grows_for_its_caller_and_shrinks),
		TEST(nonsense_is_refused_and_changes_nothing),
		TEST(the_bound_refuses_counts_and_recovers),
		TEST(as_many_ranges_as_the_bound_allows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
