/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits: which rule counts, when a state rises and falls, and that each change is told once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"

static void a_thread_limit_is_judged_as_the_event_arrives(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "w-*", LIMIT_THREADS, 10);
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 7);
	expect_no_transition(&s);
	workers(&s, 207, 1); /* 8 of 10 are 80 % */
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, 8);
	workers(&s, 208, 2); /* 10 are allowed */
	expect_no_transition(&s);
	pass(&s, 7 * SEC);
	workers(&s, 210, 1);
	expect_transition(&s, "w-*", LIMIT_WARN, LIMIT_OVER, 11);
	expect_no_transition(&s);
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->state, LIMIT_OVER);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->value, 11);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->max, 10);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->violations, 1);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->source, LIMIT_SOURCE_CONFIG);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->since_realtime_ns, REALTIME + s.now - SEC);
	assert_null(pool_limit(target, "main", LIMIT_THREADS));
	script_end(&s);
}

static void those_that_were_there_are_judged_when_all_are_listed(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 2);
	script_begin(&s);
	leader(&s);
	for (uint32_t i = 200; i < 205; i++)
		seen(&s, i, "w-1");
	expect_no_transition(&s);
	tick(&s);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 5);
	expect_no_transition(&s);
	script_end(&s);
}

static void a_violation_between_two_refreshes_counts(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 2);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	for (int i = 0; i < 3; i++) {
		workers(&s, 200 + 10 * i, 3);
		exited(&s, 200 + 10 * i);
		exited(&s, 201 + 10 * i);
		exited(&s, 202 + 10 * i);
		pass(&s, 20 * MSEC); /* sooner nobody knows what else was born */
		model_judge(s.model, s.now);
	}
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->violations, 3);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->state, LIMIT_OK);
	script_end(&s);
}

#define COUNTED_NS (20 * MSEC) /* then it is known how many lived */

static void a_state_rises_after_for_and_falls_after_clear_for(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 2);
	s.limits[0].for_ns = 5 * SEC;
	s.limits[0].clear_for_ns = 30 * SEC;
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 3);
	/* gone before it has held: nothing */
	run_for(&s, 4 * SEC);
	exited(&s, 200);
	exited(&s, 201);
	run_for(&s, 4 * SEC);
	expect_no_transition(&s);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	/* holds */
	workers(&s, 210, 2);
	run_for(&s, 5 * SEC + COUNTED_NS - 1);
	expect_no_transition(&s);
	run_for(&s, 1);
	expect_transition_at(&s, s.now - COUNTED_NS, "w-*", LIMIT_OK, LIMIT_OVER, 3);
	/* back to 2 of 2: over ends, warn (80 %) stays */
	exited(&s, 210);
	run_for(&s, COUNTED_NS);
	assert_int_equal(model_deadline(s.model), s.now + 30 * SEC);
	run_for(&s, 10 * SEC);
	workers(&s, 220, 1); /* over again before it fell: the time below was none */
	run_for(&s, COUNTED_NS);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	exited(&s, 220);
	run_for(&s, 30 * SEC + COUNTED_NS);
	expect_transition_at(&s, s.now - COUNTED_NS, "w-*", LIMIT_OVER, LIMIT_WARN, 2);
	exited(&s, 202);
	exited(&s, 211);
	run_for(&s, 30 * SEC + COUNTED_NS);
	expect_transition_at(&s, s.now - COUNTED_NS, "w-*", LIMIT_WARN, LIMIT_OK, 0);
	expect_no_transition(&s);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	script_end(&s);
}

/* Whoever judges may be late; what has lasted has done so. */
static void a_state_of_the_process_comes_at_its_own_time(void **state)
{
	struct script s = {0};
	uint64_t begun_ns;

	limit(&s, "", LIMIT_THREADS, 3);
	s.limits[0].for_ns = SEC;
	s.limits[0].clear_for_ns = SEC / 2;
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	begun_ns = s.now;
	workers(&s, 200, 3);
	pass(&s, 3 * SEC / 2);
	for (uint32_t i = 0; i < 3; i++)
		exited(&s, 200 + i);
	pass(&s, SEC);
	workers(&s, 300, 1);
	expect_transition_at(&s, begun_ns + SEC, "", LIMIT_OK, LIMIT_OVER, 4);
	expect_transition_at(&s, begun_ns + 2 * SEC, "", LIMIT_OVER, LIMIT_OK, 1);
	expect_no_transition(&s);
	script_end(&s);
}

/* A pool that ends within moments falls through the warning: that is one change, not a warning of what is gone. One that
 * takes longer is near its limit for a while. */
static void fall_through_both(uint64_t apart_ns, bool is_one)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 5);
	s.limits[0].clear_for_ns = 30 * SEC;
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 6);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, 4);
	expect_transition(&s, "w-*", LIMIT_WARN, LIMIT_OVER, 6);
	for (uint32_t thread = 200; thread < 205; thread++) {
		exited(&s, thread);
		run_for(&s, apart_ns);
	}
	run_for(&s, 31 * SEC);
	expect_transition(&s, "w-*", LIMIT_OVER, is_one ? LIMIT_OK : LIMIT_WARN, 1);
	if (!is_one)
		expect_transition(&s, "w-*", LIMIT_WARN, LIMIT_OK, 1);
	expect_no_transition(&s);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	script_end(&s);
}

static void a_fall_through_both_is_one(void **state)
{
	fall_through_both(2 * MSEC, true);
	fall_through_both(80 * MSEC, false);
}

static void a_limit_tells_how_long_it_waits(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 2);
	s.limits[0].for_ns = 5 * SEC;
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 2);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->over_in_ns, 0);
	workers(&s, 202, 1);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->over_in_ns, 4 * SEC);
	exited(&s, 202);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->over_in_ns, 0);
	workers(&s, 203, 1);
	pass(&s, 5 * SEC);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->over_in_ns, 0);
	assert_int_equal(pool_limit(s.snapshot->targets, "w-*", LIMIT_THREADS)->state, LIMIT_OVER);
	script_end(&s);
}

static void the_first_matching_rule_counts(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "w-*", LIMIT_THREADS, 5);
	limit(&s, "*", LIMIT_THREADS, 3);
	limit(&s, "*", LIMIT_RESIDENT_BYTES, MIB);
	limit(&s, "", LIMIT_THREADS, 100);
	script_begin(&s);
	leader(&s);
	tick(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "v-1");
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->max, 5);
	assert_int_equal(pool_limit(target, "v-*", LIMIT_THREADS)->max, 3);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_RESIDENT_BYTES)->max, MIB);
	assert_int_equal(process_limit(target, LIMIT_THREADS)->max, 100);
	assert_int_equal(process_limit(target, LIMIT_THREADS)->value, 3);
	assert_null(process_limit(target, LIMIT_RESIDENT_BYTES)); /* "*" is for pools */
	script_end(&s);
}

static void the_largest_thread_is_what_counts_per_thread(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "w-*", LIMIT_RESIDENT_BYTES_PER_THREAD, 80 * MIB);
	script_begin(&s);
	leader(&s);
	tick(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "w-2");
	mapped(&s, 200, 0x10000000, 100 * MIB);
	mapped(&s, 201, 0x20000000, 100 * MIB);
	resident(&s, 0x10000000, 100 * MIB, 60 * MIB);
	resident(&s, 0x20000000, 100 * MIB, 81 * MIB);
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_RESIDENT_BYTES_PER_THREAD)->value, 81 * MIB);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_RESIDENT_BYTES_PER_THREAD)->state, LIMIT_OVER);
	exited(&s, 201); /* its memory stays in the pool, but it is no thread any more */
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_RESIDENT_BYTES_PER_THREAD)->value, 60 * MIB);
	script_end(&s);
}

static void starts_are_counted_over_a_sliding_minute(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "*", LIMIT_THREADS_STARTED_PER_MINUTE, 10);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	seen(&s, 190, "w-1"); /* was there: no start */
	for (uint32_t i = 0; i < 6; i++) {
		workers(&s, 200 + 2 * i, 2);
		exited(&s, 200 + 2 * i);
		pass(&s, 2 * SEC);
	}
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, 8);
	expect_transition(&s, "w-*", LIMIT_WARN, LIMIT_OVER, 11);
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS_STARTED_PER_MINUTE)->value, 12);
	pass(&s, 49 * SEC); /* the first two pairs are more than a minute ago */
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS_STARTED_PER_MINUTE)->value, 8);
	pass(&s, 60 * SEC);
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS_STARTED_PER_MINUTE)->value, 0);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS_STARTED_PER_MINUTE)->state, LIMIT_OK);
	script_end(&s);
}

/* A burst that still carries its creator's name is judged when the names come, or after 20 ms. */
static void newborns_are_judged_by_their_own_name(void **state)
{
	struct script s = {0};

	limit(&s, "acceptor", LIMIT_THREADS, 1);
	limit(&s, "w-*", LIMIT_THREADS, 1);
	limit(&s, "", LIMIT_THREADS, 3);
	for (size_t i = 0; i < 3; i++)
		s.limits[i].warn_ratio = 1.0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	seen(&s, 200, "acceptor");
	expect_transition(&s, "acceptor", LIMIT_OK, LIMIT_WARN, 1);
	for (uint32_t i = 0; i < 2; i++) {
		struct fact fact = thread_fact(FACT_THREAD_BORN, 300 + i, "acceptor");

		fact.thread.creator = tid(200);
		feed(&s, fact);
	}
	/* the process is judged at once */
	expect_transition(&s, "", LIMIT_OK, LIMIT_WARN, 3);
	expect_transition(&s, "", LIMIT_WARN, LIMIT_OVER, 4);
	expect_no_transition(&s);
	renamed(&s, 300, "w-1");
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, 1);
	s.now = model_deadline(s.model);
	model_judge(s.model, s.now);
	expect_transition(&s, "acceptor", LIMIT_WARN, LIMIT_OVER, 2);
	expect_no_transition(&s);
	script_end(&s);
}

/* Threads that take their own name late leave nothing in the pool that they were counted in, but its alarm. */
static void an_alarm_stays_though_its_threads_turn_out_to_be_anothers(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "run-*", LIMIT_THREADS, 1);
	s.limits[0].warn_ratio = 1.5;
	script_begin(&s);
	leader(&s);
	tick(&s);
	born(&s, 200, "run-1");
	born(&s, 201, "run-2");
	s.now += 100 * MSEC;
	model_judge(s.model, s.now);
	expect_transition(&s, "run-*", LIMIT_OK, LIMIT_OVER, 2);
	renamed(&s, 200, "w-1");
	renamed(&s, 201, "w-2");
	target = refresh(&s);
	assert_int_equal(pool(target, "run-*")->threads, 0);
	assert_int_equal(pool(target, "run-*")->threads_started, 0);
	assert_int_equal(pool_limit(target, "run-*", LIMIT_THREADS)->state, LIMIT_OVER);
	assert_int_equal(pool_limit(target, "run-*", LIMIT_THREADS)->violations, 1);
	/* And falls as any does. */
	s.now += 61 * SEC;
	model_judge(s.model, s.now);
	expect_transition(&s, "run-*", LIMIT_OVER, LIMIT_OK, 0);
	target = refresh(&s);
	assert_int_equal(pool_limit(target, "run-*", LIMIT_THREADS)->state, LIMIT_OK);
	assert_int_equal(pool_limit(target, "run-*", LIMIT_THREADS)->violations, 1);
	script_end(&s);
}

static void a_late_exit_inflates_nothing(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 4);
	s.limits[0].warn_ratio = 1.5;
	script_begin(&s);
	leader(&s);
	tick(&s);
	for (uint32_t i = 0; i < 4; i++) {
		mapped(&s, PID, 0x7f0000000000 + i * 16 * MIB, 8 * MIB);
		born_on(&s, 200 + i, "w-1", 0x7f0000000000 + i * 16 * MIB, 8 * MIB);
	}
	/* four workers are replaced; the ends of the former are reported afterwards */
	for (uint32_t i = 0; i < 4; i++)
		born_on(&s, 300 + i, "w-1", 0x7f0000000000 + i * 16 * MIB, 8 * MIB);
	for (uint32_t i = 0; i < 4; i++)
		exited(&s, 200 + i);
	expect_no_transition(&s);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->value, 4);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->violations, 0);
	script_end(&s);
}

static void transitions_that_nobody_fetches_do_not_pile_up(void **state)
{
	struct script s = {0};
	struct limit_transition transition;
	int count = 0;

	limit(&s, "w-*", LIMIT_THREADS, 0);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	for (uint32_t i = 0; i < 1000; i++) {
		workers(&s, 200 + i, 1);
		exited(&s, 200 + i);
		pass(&s, 20 * MSEC);
		model_judge(s.model, s.now);
	}
	while (model_next_transition(s.model, &transition))
		count++;
	assert_int_equal(count, 512);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->violations, 1000);
	run_for(&s, 100 * MSEC);
	workers(&s, 2000, 1);
	while (model_next_transition(s.model, &transition))
		count++;
	assert_int_equal(count + (int)model_dropped_transitions(s.model), 1001 + 1000); /* none is lost uncounted */
	assert_int_equal(model_dropped_transitions(s.model), 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_limit_is_judged_as_the_event_arrives),
		cmocka_unit_test(those_that_were_there_are_judged_when_all_are_listed),
		cmocka_unit_test(a_violation_between_two_refreshes_counts),
		cmocka_unit_test(a_state_rises_after_for_and_falls_after_clear_for),
		cmocka_unit_test(a_state_of_the_process_comes_at_its_own_time),
		cmocka_unit_test(a_fall_through_both_is_one),
		cmocka_unit_test(a_limit_tells_how_long_it_waits),
		cmocka_unit_test(the_first_matching_rule_counts),
		cmocka_unit_test(the_largest_thread_is_what_counts_per_thread),
		cmocka_unit_test(starts_are_counted_over_a_sliding_minute),
		cmocka_unit_test(newborns_are_judged_by_their_own_name),
		cmocka_unit_test(an_alarm_stays_though_its_threads_turn_out_to_be_anothers),
		cmocka_unit_test(a_late_exit_inflates_nothing),
		cmocka_unit_test(transitions_that_nobody_fetches_do_not_pile_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
