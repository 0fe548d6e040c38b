/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits: which rule counts, what a percentage refers to, when a state rises and falls, and that each change
 * is told once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"

static void limit(struct script *s, const char *glob, enum limit_kind kind, uint64_t value)
{
	struct limit_rule *rule = &s->limits[s->entry.n_limits++];

	*rule = (struct limit_rule){.kind = kind, .value = value, .warn_ratio = 0.8, .clear_for_ns = 60 * SEC,
				    .source = LIMIT_SOURCE_CONFIG};
	snprintf(rule->pool, sizeof(rule->pool), "%s", glob);
}

static const struct snapshot_limit *limit_of(const struct snapshot_limit *limits, size_t count,
					     enum limit_kind kind)
{
	for (size_t i = 0; i < count; i++) {
		if (limits[i].kind == kind)
			return &limits[i];
	}
	return NULL;
}

static const struct snapshot_limit *pool_limit(const struct snapshot_target *target, const char *name,
					       enum limit_kind kind)
{
	const struct snapshot_pool *of = pool(target, name);

	return limit_of(of->limits, of->n_limits, kind);
}

static const struct snapshot_limit *process_limit(const struct snapshot_target *target, enum limit_kind kind)
{
	return limit_of(target->limits, target->n_limits, kind);
}

static void expect_transition(struct script *s, const char *of, enum limit_state before, enum limit_state now,
			      uint64_t value)
{
	struct limit_transition transition;

	assert_true(model_next_transition(s->model, &transition));
	assert_string_equal(transition.pool, of);
	assert_string_equal(transition.process, "app");
	assert_int_equal(transition.pid, PID);
	assert_int_equal(transition.target, TARGET);
	assert_int_equal(transition.before, before);
	assert_int_equal(transition.limit.state, now);
	assert_int_equal(transition.limit.value, value);
}

static void expect_no_transition(struct script *s)
{
	struct limit_transition transition;

	assert_false(model_next_transition(s->model, &transition));
}

static void workers(struct script *s, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		born(s, first + i, "w-1");
}

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
	}
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->violations, 3);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->state, LIMIT_OK);
	script_end(&s);
}

static void a_state_rises_after_for_and_falls_after_clear_for(void **state)
{
	struct script s = {0};
	uint64_t start;

	limit(&s, "w-*", LIMIT_THREADS, 2);
	s.limits[0].for_ns = 5 * SEC;
	s.limits[0].clear_for_ns = 30 * SEC;
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 3);
	start = s.now;
	assert_int_equal(model_deadline(s.model), start + 5 * SEC);
	/* gone before it has held: nothing */
	pass(&s, 4 * SEC);
	exited(&s, 200);
	exited(&s, 201);
	pass(&s, 4 * SEC);
	model_judge(s.model, s.now);
	expect_no_transition(&s);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	/* holds */
	workers(&s, 210, 2);
	start = s.now;
	s.now = model_deadline(s.model);
	assert_int_equal(s.now, start + 5 * SEC);
	model_judge(s.model, s.now - 1);
	expect_no_transition(&s);
	model_judge(s.model, s.now);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 3);
	/* back to 2 of 2: over ends, warn (80 %) stays */
	exited(&s, 210);
	start = s.now;
	assert_int_equal(model_deadline(s.model), start + 30 * SEC);
	pass(&s, 10 * SEC);
	workers(&s, 220, 1); /* over again before it fell: the time below was none */
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	exited(&s, 220);
	pass(&s, 30 * SEC);
	model_judge(s.model, s.now);
	expect_transition(&s, "w-*", LIMIT_OVER, LIMIT_WARN, 2);
	exited(&s, 202);
	exited(&s, 211);
	pass(&s, 30 * SEC);
	model_judge(s.model, s.now);
	expect_transition(&s, "w-*", LIMIT_WARN, LIMIT_OK, 0);
	expect_no_transition(&s);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	script_end(&s);
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

static void percentages_refer_to_natural_bounds(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "", LIMIT_THREADS, 5000);
	limit(&s, "", LIMIT_RESIDENT_BYTES, 9000);
	limit(&s, "w-*", LIMIT_RESIDENT_BYTES, 2500);
	limit(&s, "w-*", LIMIT_THREADS, 9000);
	for (size_t i = 0; i < s.entry.n_limits; i++)
		s.limits[i].is_percent = true;
	script_begin(&s);
	leader(&s);
	tick(&s);
	seen(&s, 200, "w-1");
	mapped(&s, 200, 0x10000000, 600 * MIB);
	resident(&s, 0x10000000, 600 * MIB, 300 * MIB);
	memory(&s, 300 * MIB, 5 * MIB, MIB);
	target = refresh(&s);
	/* nothing known of the cgroup yet: no judgement */
	assert_int_equal(process_limit(target, LIMIT_THREADS)->max, UNKNOWN_U64);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->max, UNKNOWN_U64);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->state, LIMIT_OK);
	cgroup(&s, UNKNOWN_U64, 400 * MIB, UNKNOWN_U64); /* no memory.max: the host's memory, 64 GiB */
	target = refresh(&s);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->max, 64ULL * 1024 * MIB * 9 / 10);
	cgroup(&s, 1000 * MIB, 400 * MIB, 2);
	target = refresh(&s);
	assert_int_equal(process_limit(target, LIMIT_THREADS)->max, 1);
	assert_int_equal(process_limit(target, LIMIT_THREADS)->state, LIMIT_OVER);
	assert_true(process_limit(target, LIMIT_THREADS)->is_percent);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->max, 900 * MIB);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->value, 306 * MIB);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->state, LIMIT_OK);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_RESIDENT_BYTES)->max, 250 * MIB);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_RESIDENT_BYTES)->state, LIMIT_OVER);
	/* the capacity of a pool is not known without a runtime */
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->max, UNKNOWN_U64);
	assert_int_equal(pool_limit(target, "w-*", LIMIT_THREADS)->state, LIMIT_OK);
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

static void a_limit_of_none_warns_of_nothing(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 0);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 1);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 1);
	exited(&s, 200);
	expect_transition(&s, "w-*", LIMIT_OVER, LIMIT_OK, 0);
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
	}
	while (model_next_transition(s.model, &transition))
		count++;
	assert_int_equal(count, 512);
	assert_int_equal(pool_limit(refresh(&s), "w-*", LIMIT_THREADS)->violations, 1000);
	script_end(&s);
}

static void a_glob_that_no_pool_has_is_named_until_one_comes(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "*", LIMIT_THREADS, 100);
	limit(&s, "w-*", LIMIT_THREADS, 10); /* stands behind "*", and matches all the same */
	limit(&s, "typo*", LIMIT_RESIDENT_BYTES, 10 * MIB);
	limit(&s, "", LIMIT_THREADS, 100); /* the process is always there */
	script_begin(&s);
	leader(&s);
	tick(&s);
	target = refresh(&s);
	assert_int_equal(target->n_unmatched, 2);
	assert_string_equal(target->unmatched[0].pool, "w-*");
	assert_string_equal(target->unmatched[1].pool, "typo*");
	assert_int_equal(target->unmatched[1].kind, LIMIT_RESIDENT_BYTES);
	assert_int_equal(target->unmatched[1].source, LIMIT_SOURCE_CONFIG);
	workers(&s, 200, 1);
	target = refresh(&s);
	assert_int_equal(target->n_unmatched, 1);
	assert_string_equal(target->unmatched[0].pool, "typo*");
	exited(&s, 200); /* its pool stays in the table: it was no slip of the pen */
	assert_int_equal(refresh(&s)->n_unmatched, 1);
	script_end(&s);
}

static void what_is_not_judged_has_no_state_and_no_series(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "w-*", LIMIT_THREADS, 8000);
	s.limits[0].is_percent = true; /* of a capacity that nobody tells */
	limit(&s, "", LIMIT_THREADS, 9000);
	s.limits[1].is_percent = true; /* of a pids.max that is not set */
	s.limits[1].source = LIMIT_SOURCE_BUILTIN;
	script_begin(&s);
	leader(&s);
	tick(&s);
	workers(&s, 200, 5);
	target = refresh(&s);
	assert_false(snapshot_limit_is_judged(pool_limit(target, "w-*", LIMIT_THREADS)));
	assert_true(snapshot_limit_wants_bound(pool_limit(target, "w-*", LIMIT_THREADS)));
	assert_false(snapshot_limit_is_judged(process_limit(target, LIMIT_THREADS)));
	assert_false(snapshot_limit_wants_bound(process_limit(target, LIMIT_THREADS)));
	assert_int_equal(s.snapshot->groups[0].n_limits, 0);
	for (size_t i = 0; i < s.snapshot->groups[0].n_pools; i++)
		assert_int_equal(s.snapshot->groups[0].pools[i].n_limits, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_limit_is_judged_as_the_event_arrives),
		cmocka_unit_test(those_that_were_there_are_judged_when_all_are_listed),
		cmocka_unit_test(a_violation_between_two_refreshes_counts),
		cmocka_unit_test(a_state_rises_after_for_and_falls_after_clear_for),
		cmocka_unit_test(a_limit_tells_how_long_it_waits),
		cmocka_unit_test(the_first_matching_rule_counts),
		cmocka_unit_test(percentages_refer_to_natural_bounds),
		cmocka_unit_test(the_largest_thread_is_what_counts_per_thread),
		cmocka_unit_test(starts_are_counted_over_a_sliding_minute),
		cmocka_unit_test(newborns_are_judged_by_their_own_name),
		cmocka_unit_test(a_late_exit_inflates_nothing),
		cmocka_unit_test(a_limit_of_none_warns_of_nothing),
		cmocka_unit_test(transitions_that_nobody_fetches_do_not_pile_up),
		cmocka_unit_test(a_glob_that_no_pool_has_is_named_until_one_comes),
		cmocka_unit_test(what_is_not_judged_has_no_state_and_no_series),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
