/* SPDX-License-Identifier: GPL-2.0-only */
/* Growth by thread until the thread is asked: what counts as growth, when it is worth a question, what questions may
 * cost. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "app/growers.h"

#define KIB 1024ULL
#define MIB (1024 * KIB)
#define MSEC NSEC_PER_MSEC
#define STEP (132 * KIB)
#define AREA 0x10000000ULL
#define RW (PROT_READ | PROT_WRITE)

static struct growers *growers;
static struct growers_budget budget;
static uint64_t now;

static int begin(void **state)
{
	now = 1000 * NSEC_PER_SEC;
	budget = (struct growers_budget){.share = 0};
	return growers_new(&budget, &growers);
}

static int end(void **state)
{
	growers_free(growers);
	return 0;
}

static struct thread_id tid(uint32_t number)
{
	return (struct thread_id){number, number * NSEC_PER_SEC};
}

static bool note(struct fact fact)
{
	fact.time_ns = now;
	return growers_note(growers, &fact);
}

static bool range(enum fact_kind kind, uint32_t who, uint64_t start, uint64_t length)
{
	return note((struct fact){.kind = kind, .range = {.who = tid(who), .start = start, .length = length,
							  .protection = RW, .flags = RANGE_ANON}});
}

static void a_large_mapping_is_sizeable_at_once(void **state)
{
	struct grower *grower;

	assert_false(range(FACT_RANGE_MADE, 7, AREA, MIB - 4096));
	assert_null(growers_next(growers, now));
	assert_true(range(FACT_RANGE_MADE, 7, AREA + 2 * MIB, 4096));
	grower = growers_next(growers, now);
	assert_non_null(grower);
	assert_int_equal(grower->who.tid, 7);
	assert_int_equal(grower->bytes, MIB);
	assert_int_equal(grower->n_pieces, 2);
	growers_forget(grower);
	assert_null(growers_next(growers, now));
	assert_true(range(FACT_RANGE_MADE, 7, AREA + 8 * MIB, 4 * MIB));
	assert_true(range(FACT_RANGE_MADE, 9, AREA + 16 * MIB, 5 * MIB));
	assert_int_equal(growers_next(growers, now)->who.tid, 9); /* the largest first */
}

/* glibc makes an arena usable 132 KiB at a time, here one step every 10 s. */
static void steps_add_up_by_thread(void **state)
{
	uint64_t at[2] = {AREA, AREA + 64 * MIB};

	for (int i = 0; i < 7; i++, now += 10 * NSEC_PER_SEC) {
		for (uint32_t who = 0; who < 2; who++, at[who - 1] += STEP)
			assert_false(range(FACT_RANGE_PROTECTED, 7 + who, at[who], STEP));
	}
	assert_true(range(FACT_RANGE_PROTECTED, 8, at[1], STEP));
	assert_int_equal(growers_next(growers, now)->who.tid, 8);
	assert_int_equal(growers_next(growers, now)->n_pieces, 1);
	assert_int_equal(growers_next(growers, now)->piece[0].start, AREA + 64 * MIB);
	assert_int_equal(growers_next(growers, now)->piece[0].length, 8 * STEP);
	/* Asked too late, it may do something else; what it made waits for its next growth. */
	assert_non_null(growers_next(growers, now + GROWERS_FRESH_NS));
	now += GROWERS_FRESH_NS + 1;
	assert_null(growers_next(growers, now));
	assert_true(range(FACT_RANGE_PROTECTED, 8, at[1] + STEP, STEP));
	assert_int_equal(growers_next(growers, now)->bytes, 9 * STEP);
}

static void what_is_no_growth(void **state)
{
	struct fact fact = {.kind = FACT_RANGE_MADE, .range = {.who = tid(7), .start = AREA, .length = 64 * MIB}};

	fact.range.flags = RANGE_ANON;
	assert_false(note(fact)); /* reserved */
	fact.range.protection = RW;
	fact.range.flags = RANGE_FILE;
	assert_false(note(fact));
	fact.range.flags = RANGE_ANON | RANGE_SHARED;
	assert_false(note(fact));
	fact.range.flags = RANGE_ANON | RANGE_HUGETLB;
	assert_false(note(fact));
	fact.kind = FACT_RANGE_SEEN;
	fact.range.flags = RANGE_ANON;
	assert_false(note(fact));
	fact.kind = FACT_RANGE_MADE;
	fact.range.start = UINT64_MAX - 4095;
	assert_false(note(fact)); /* wraps round */
	assert_null(growers_next(growers, now));
}

static void what_is_freed_is_not_asked_for(void **state)
{
	assert_true(range(FACT_RANGE_MADE, 7, AREA, 4 * MIB));
	range(FACT_RANGE_FREED, 8, AREA, 4 * MIB); /* another's view: the model knows whose it is */
	assert_non_null(growers_next(growers, now));
	range(FACT_RANGE_FREED, 7, AREA, MIB);
	range(FACT_RANGE_FREED, 7, AREA + 3 * MIB, MIB);
	assert_int_equal(growers_next(growers, now)->bytes, 2 * MIB);
	range(FACT_RANGE_FREED, 7, AREA, 64 * MIB);
	assert_null(growers_next(growers, now));
}

static void a_stack_is_not_its_creators_growth(void **state)
{
	range(FACT_RANGE_PROTECTED, 7, AREA, 8 * MIB);
	note((struct fact){.kind = FACT_THREAD_BORN, .thread = {.id = tid(8), .creator = tid(7), .stack_start = AREA,
								 .stack_length = 8 * MIB}});
	assert_null(growers_next(growers, now));
}

static void who_ended_is_not_asked(void **state)
{
	range(FACT_RANGE_MADE, 7, AREA, 4 * MIB);
	note((struct fact){.kind = FACT_THREAD_EXITED, .thread = {.id = tid(7)}});
	assert_null(growers_next(growers, now));
}

static void a_heap_grows_by_what_is_added(void **state)
{
	struct grower *grower;

	assert_false(range(FACT_BRK, 7, AREA, 64 * MIB)); /* how much of it is new is not known */
	assert_null(growers_next(growers, now));
	assert_false(range(FACT_BRK, 7, AREA, 64 * MIB + STEP));
	assert_false(range(FACT_BRK, 7, AREA, 32 * MIB));
	assert_true(range(FACT_BRK, 7, AREA, 33 * MIB));
	grower = growers_next(growers, now);
	assert_true(grower->bytes >= MIB && grower->bytes <= MIB + STEP);
	assert_true(grower->piece[0].start >= AREA + 32 * MIB);
}

static void a_block_that_moves_as_it_grows(void **state)
{
	struct fact fact = {.kind = FACT_RANGE_MOVED, .range = {.who = tid(7), .start = AREA + 64 * MIB, .length = 3 * MIB,
								 .old_start = AREA, .old_length = 2 * MIB}};
	struct grower *grower;

	range(FACT_RANGE_MADE, 7, AREA, 2 * MIB);
	assert_true(note(fact));
	grower = growers_next(growers, now);
	assert_int_equal(grower->n_pieces, 2); /* each call's own */
	assert_int_equal(grower->piece[0].start, AREA + 64 * MIB);
	assert_int_equal(grower->piece[0].length, 2 * MIB);
	assert_int_equal(grower->piece[1].start, AREA + 66 * MIB);
	assert_int_equal(grower->bytes, 3 * MIB);
	growers_forget(grower);
	fact.range = (struct fact_range){.who = tid(7), .start = AREA, .length = MIB, .old_start = AREA, .old_length = 3 * MIB};
	assert_false(note(fact)); /* shrinks */
	fact.range.length = 5 * MIB;
	assert_true(note(fact)); /* in its place */
	assert_int_equal(growers_next(growers, now)->piece[0].start, AREA + 3 * MIB);
	assert_int_equal(growers_next(growers, now)->bytes, 2 * MIB);
}

/* What was asked for is done with; what it was before the first question nobody knows. */
static void only_what_is_new_of_a_moved_block_is_asked_for(void **state)
{
	struct fact fact = {.kind = FACT_RANGE_MOVED, .range = {.who = tid(7), .start = AREA + 64 * MIB, .length = 4 * MIB + STEP,
								 .old_start = AREA, .old_length = 4 * MIB}};
	struct grower *grower;

	range(FACT_RANGE_MADE, 7, AREA, 4 * MIB);
	growers_forget(growers_next(growers, now));
	assert_false(note(fact));
	/* Step by step, each time elsewhere: the steps go with it. */
	for (uint64_t i = 1; i < 8; i++) {
		fact.range.old_start = fact.range.start;
		fact.range.old_length = fact.range.length;
		fact.range.start += 64 * MIB;
		fact.range.length += STEP;
		assert_int_equal(note(fact), i == 7);
	}
	grower = growers_next(growers, now);
	assert_int_equal(grower->n_pieces, 1);
	assert_int_equal(grower->bytes, 8 * STEP);
	assert_int_equal(grower->piece[0].start, fact.range.start + 4 * MIB);
	/* Of a piece that two blocks make up, what is the other's stays where it is. */
	growers_forget(grower);
	range(FACT_RANGE_MADE, 7, AREA, STEP);
	range(FACT_RANGE_MADE, 7, AREA + STEP, STEP);
	assert_int_equal(grower->n_pieces, 1);
	fact.range = (struct fact_range){.who = tid(7), .start = AREA + 64 * MIB, .length = 3 * STEP, .old_start = AREA + STEP,
					 .old_length = STEP};
	assert_false(note(fact));
	assert_int_equal(grower->n_pieces, 2);
	assert_int_equal(grower->piece[0].start, AREA);
	assert_int_equal(grower->piece[0].length, STEP);
	assert_int_equal(grower->piece[1].start, AREA + 64 * MIB);
	assert_int_equal(grower->piece[1].length, 3 * STEP);
}

/* A mremap tells what it may move as freed, at its entry: what waits for a sample goes with the block, or stays; and a
 * munmap that fails has freed nothing. */
static void what_waits_survives_a_move(void **state)
{
	struct fact fact = {.kind = FACT_RANGE_MOVED, .range = {.who = tid(7), .start = AREA, .length = STEP,
								 .old_start = AREA, .old_length = STEP}};
	struct grower *grower;

	range(FACT_RANGE_MADE, 7, AREA, STEP);
	for (uint64_t i = 1; i < 6; i++) {
		range(FACT_RANGE_FREED, 7, fact.range.start, fact.range.length);
		fact.range.old_start = fact.range.start;
		fact.range.old_length = fact.range.length;
		fact.range.start += i % 2 ? 64 * MIB : 0;
		fact.range.length += STEP;
		assert_false(note(fact));
	}
	grower = growers_of(growers, tid(7));
	assert_int_equal(grower->bytes, 6 * STEP);
	assert_int_equal(grower->n_pieces, 1);
	range(FACT_RANGE_FREED, 7, fact.range.start, fact.range.length);
	range(FACT_RANGE_FREE_FAILED, 7, fact.range.start, fact.range.length);
	range(FACT_RANGE_MADE, 7, AREA + 512 * MIB, STEP);
	assert_int_equal(grower->bytes, 7 * STEP);
	/* It shrinks: what is freed is not what is moved. */
	range(FACT_RANGE_FREED, 7, fact.range.start + STEP, 5 * STEP);
	fact.range.old_start = fact.range.start;
	fact.range.old_length = fact.range.length;
	fact.range.length = STEP;
	assert_false(note(fact));
	range(FACT_RANGE_FREED, 7, AREA + 512 * MIB, STEP);
	range(FACT_RANGE_MADE, 7, AREA + 600 * MIB, STEP);
	assert_int_equal(grower->bytes, 2 * STEP);
}

/* Many small calls are sampled by the last of them; one that is sizeable by itself is its own function's or nobody's. */
static void a_sizeable_call_is_no_other_calls(void **state)
{
	struct grower *grower;

	assert_false(range(FACT_RANGE_PROTECTED, 7, AREA, STEP));
	assert_true(range(FACT_RANGE_MADE, 7, AREA + STEP, 4 * MIB)); /* beside it: not one with it */
	grower = growers_next(growers, now);
	assert_int_equal(grower->n_pieces, 2);
	assert_int_equal(grower->bytes, 4 * MIB + STEP);
	/* Nobody asked in time. */
	now += GROWERS_FRESH_NS + 1;
	assert_false(range(FACT_RANGE_PROTECTED, 7, AREA + 64 * MIB, STEP));
	assert_null(growers_next(growers, now));
	assert_false(growers_may_ask(&grower->piece[1], now));
	assert_true(growers_may_ask(&grower->piece[0], now));
	/* But a sample may come, of a measure that makes it a small one. */
	assert_int_equal(grower->bytes, 4 * MIB + 2 * STEP);
	/* One in time and one too late. */
	assert_true(range(FACT_RANGE_MADE, 7, AREA + 128 * MIB, 8 * MIB));
	now += GROWERS_FRESH_NS * 3 / 4;
	assert_true(range(FACT_RANGE_MADE, 7, AREA + 256 * MIB, 2 * MIB));
	now += GROWERS_FRESH_NS / 2;
	assert_ptr_equal(growers_next(growers, now), grower);
	assert_false(growers_may_ask(&grower->piece[grower->n_pieces - 2], now));
	assert_true(growers_may_ask(&grower->piece[grower->n_pieces - 1], now));
	/* After a pause no sample is of it. */
	now += GROWERS_PAUSE_NS + 1;
	assert_false(range(FACT_RANGE_PROTECTED, 7, AREA + 65 * MIB, STEP));
	assert_int_equal(grower->bytes, STEP);
	/* However many they are, the largest stay. */
	for (uint64_t i = 0; i < 2 * GROWER_PIECES; i++, now++)
		range(FACT_RANGE_MADE, 7, AREA + (512 + 8 * i) * MIB, 2 * MIB);
	assert_int_equal(grower->n_pieces, GROWER_PIECES);
	assert_int_equal(grower->bytes, GROWER_PIECES * 2 * MIB);
}

/* A sample is of what was as likely to be looked at. Neighbours of about one size are one piece. */
static void a_sample_is_of_calls_like_it(void **state)
{
	struct grower *grower;
	uint64_t at = AREA;

	for (unsigned int i = 0; i < 2 * GROWER_PIECES; i++, at += 2 * MIB, now += MSEC)
		range(FACT_RANGE_MADE, 7, at, 2 * MIB);
	grower = growers_of(growers, tid(7));
	assert_int_equal(grower->n_pieces, 1);
	range(FACT_RANGE_MADE, 7, at, 3 * MIB); /* as good as that */
	range(FACT_RANGE_MADE, 7, at + 3 * MIB, 4 * MIB);
	range(FACT_RANGE_PROTECTED, 7, at + 7 * MIB, STEP);
	assert_int_equal(grower->n_pieces, 3);
	assert_int_equal(grower->piece[0].call_bytes, 3 * MIB);
	growers_forget_alike(grower, 1);
	assert_int_equal(grower->n_pieces, 2);
	growers_forget_alike(grower, 4 * MIB - 1);
	assert_int_equal(grower->n_pieces, 1);
	assert_int_equal(grower->bytes, 4 * MIB);
	/* Not one soon after the other: whether it was a moment ago would be true of a part. */
	now += GROWERS_FRESH_NS + 1;
	range(FACT_RANGE_MADE, 7, at - MIB, 4 * MIB);
	assert_int_equal(grower->n_pieces, 2);
	growers_forget_alike(grower, 5 * MIB);
	assert_int_equal(grower->n_pieces, 0);
	assert_int_equal(grower->bytes, 0);
}

/* What was too much to be asked for is not blamed on what comes a while later. */
static void a_burst_is_not_the_next_functions(void **state)
{
	struct grower *grower;
	uint64_t at = AREA;

	for (; at < AREA + GROWERS_SAMPLE_BYTES; at += MIB / 2, now += 10 * MSEC)
		range(FACT_RANGE_PROTECTED, 7, at, MIB / 2);
	now += 60 * NSEC_PER_SEC;
	assert_true(range(FACT_RANGE_PROTECTED, 7, at, MIB / 2)); /* a sample may stand for so much */
	grower = growers_next(growers, now);
	assert_int_equal(grower->bytes, GROWERS_SAMPLE_BYTES + MIB / 2);
	now += GROWERS_PAUSE_NS;
	assert_true(range(FACT_RANGE_PROTECTED, 7, at + MIB / 2, MIB / 2)); /* not yet a pause */
	assert_int_equal(grower->bytes, GROWERS_SAMPLE_BYTES + MIB);
	now += GROWERS_PAUSE_NS + 1;
	assert_false(range(FACT_RANGE_PROTECTED, 7, at + MIB, MIB / 2));
	assert_int_equal(grower->bytes, MIB / 2);
}

static void who_cannot_be_asked_is_left_alone(void **state)
{
	range(FACT_RANGE_MADE, 7, AREA, 4 * MIB);
	growers_quiet(growers_next(growers, now), now);
	assert_false(range(FACT_RANGE_MADE, 7, AREA + 8 * MIB, 4 * MIB));
	assert_null(growers_next(growers, now));
	now += NSEC_PER_SEC;
	assert_true(range(FACT_RANGE_MADE, 7, AREA + 16 * MIB, 4 * MIB));
}

/* Whoever grows asks as often as it may, 100 times a second for so many seconds, at so much a question. */
static unsigned int ask(struct growers *whose[], unsigned int n_growers, unsigned int seconds, uint64_t cost_ns)
{
	unsigned int asked = 0;

	for (unsigned int i = 0; i < 100 * seconds; i++, now += 10 * MSEC)
		for (unsigned int g = 0; g < n_growers; g++)
			if (growers_may_read(whose[g], now)) {
				growers_paid(whose[g], cost_ns);
				asked++;
			}
	return asked;
}

static void questions_are_counted(void **state)
{
	unsigned int asked = 0;

	/* As many at once as in a second, then one every 20 ms. */
	for (; growers_may_read(growers, now); asked++)
		growers_paid(growers, 1);
	assert_int_equal(asked, GROWERS_READINGS_PER_SECOND);
	assert_in_range(ask(&growers, 1, 1, 1), 48, 51);
	assert_int_equal(growers_per_second(&budget), 0);
}

static void questions_cost_time(void **state)
{
	/* 1 % of a core, at 2 ms each with the waking; a second's is saved up. */
	budget.share = 0.01;
	assert_in_range(ask(&growers, 1, 10, 2 * MSEC - GROWERS_WAKE_NS), 54, 57);
	assert_int_equal(growers_per_second(&budget), 100);
	budget.share = 0.0001;
	assert_int_equal(growers_per_second(&budget), GROWERS_READINGS_PER_SECOND);
}

#define TARGETS 300U

static void all_targets_have_one_budget(void **state)
{
	struct growers *all[TARGETS];

	budget.share = 0.01;
	for (unsigned int i = 0; i < TARGETS; i++)
		assert_int_equal(growers_new(&budget, &all[i]), 0);
	/* All grow: together they get what one would, 10 ms of each second and those of the second before. */
	assert_in_range(ask(all, TARGETS, 10, MSEC - GROWERS_WAKE_NS), 109, 111);
	/* One of them grows: it gets all of that, up to its own number. */
	assert_in_range(ask(all, 1, 10, MSEC / 10), 499, 551);
	for (unsigned int i = 0; i < TARGETS; i++)
		growers_free(all[i]);
}

static void a_debt_is_a_seconds_at_most(void **state)
{
	budget.share = 0.01;
	assert_true(growers_may_read(growers, now));
	growers_paid(growers, 60 * NSEC_PER_SEC);
	now += NSEC_PER_SEC - MSEC;
	assert_false(growers_may_read(growers, now));
	now += 2 * MSEC;
	assert_true(growers_may_read(growers, now));
}

/* Any facts: no crash under the sanitizers, and the sums hold. */
static void facts_without_sense(void **state)
{
	srand(7);
	for (int i = 0; i < 300000; i++) {
		struct fact fact = {.kind = rand() % FACT_KIND_COUNT, .range = {
			.who = {(uint32_t)rand() % 600, (uint64_t)rand() % 3 * NSEC_PER_SEC},
			.start = rand() % 50 ? (uint64_t)rand() % 4096 * 4096 : (uint64_t)rand() << 33,
			.length = rand() % 50 ? (uint64_t)rand() % 1024 * 4096 : UINT64_MAX - (uint64_t)rand(),
			.old_start = (uint64_t)rand() % 4096 * 4096, .old_length = (uint64_t)rand() % 1024 * 4096,
			.protection = RW, .flags = RANGE_ANON}};
		struct grower *grower;
		uint64_t sum = 0;

		if (fact.kind == FACT_THREAD_BORN || fact.kind == FACT_THREAD_EXITED)
			fact.thread = (struct fact_thread){.id = {(uint32_t)rand() % 600, 0}, .creator = {(uint32_t)rand() % 600, 0},
							   .stack_start = (uint64_t)rand() % 4096 * 4096,
							   .stack_length = (uint64_t)rand() % 1024 * 4096};
		note(fact);
		now += (uint64_t)rand() % MSEC;
		grower = growers_next(growers, now);
		if (!grower)
			continue;
		assert_true(grower->n_pieces <= GROWER_PIECES);
		for (uint32_t p = 0; p < grower->n_pieces; p++) {
			sum += grower->piece[p].length;
		}
		assert_int_equal(sum, grower->bytes);
		if (rand() % 8 == 0)
			growers_quiet(grower, now);
		else if (rand() % 2)
			growers_forget(grower);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_large_mapping_is_sizeable_at_once, begin, end),
		cmocka_unit_test_setup_teardown(steps_add_up_by_thread, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_growth, begin, end),
		cmocka_unit_test_setup_teardown(what_is_freed_is_not_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(a_stack_is_not_its_creators_growth, begin, end),
		cmocka_unit_test_setup_teardown(who_ended_is_not_asked, begin, end),
		cmocka_unit_test_setup_teardown(a_heap_grows_by_what_is_added, begin, end),
		cmocka_unit_test_setup_teardown(a_block_that_moves_as_it_grows, begin, end),
		cmocka_unit_test_setup_teardown(only_what_is_new_of_a_moved_block_is_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(what_waits_survives_a_move, begin, end),
		cmocka_unit_test_setup_teardown(a_sizeable_call_is_no_other_calls, begin, end),
		cmocka_unit_test_setup_teardown(a_sample_is_of_calls_like_it, begin, end),
		cmocka_unit_test_setup_teardown(a_burst_is_not_the_next_functions, begin, end),
		cmocka_unit_test_setup_teardown(who_cannot_be_asked_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(questions_are_counted, begin, end),
		cmocka_unit_test_setup_teardown(questions_cost_time, begin, end),
		cmocka_unit_test_setup_teardown(all_targets_have_one_budget, begin, end),
		cmocka_unit_test_setup_teardown(a_debt_is_a_seconds_at_most, begin, end),
		cmocka_unit_test_setup_teardown(facts_without_sense, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
