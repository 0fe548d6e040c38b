/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits: what a percentage refers to, and limits without a bound, or without a pool, or without a warning. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "limit_facts.h"

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
	feed(&s, (struct fact){.kind = FACT_CGROUP,
			       .cgroup = {.path = "/../app", .is_memory_unread = true, .memory_max = UNKNOWN_U64,
					  .memory_current = UNKNOWN_U64, .host_memory_total = 64ULL * 1024 * MIB}});
	target = refresh(&s);
	assert_int_equal(process_limit(target, LIMIT_RESIDENT_BYTES)->max, UNKNOWN_U64); /* there may be one */
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
	run_for(&s, 39 * MSEC); /* for 20 ms nobody knows what else was born; so long it stays at least */
	expect_no_transition(&s);
	run_for(&s, MSEC);
	expect_transition(&s, "w-*", LIMIT_OVER, LIMIT_OK, 0);
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

/* Its bound may go: an executor is shut down, pids.max is lifted. What is not known for a moment ends nothing; what stays
 * unknown is over nothing. */
static void a_bound_that_goes_ends_what_was_over(void **state)
{
	struct script s = {0};

	limit(&s, "", LIMIT_THREADS, 9000);
	s.limits[0].is_percent = true;
	script_begin(&s);
	cgroup(&s, UNKNOWN_U64, MIB, 10);
	leader(&s);
	workers(&s, 200, 10);
	refresh(&s);
	expect_transition(&s, "", LIMIT_OK, LIMIT_OVER, 11);
	for (int round = 0; round < 3; round++) { /* 40 seconds without, then it is back */
		cgroup(&s, UNKNOWN_U64, MIB, UNKNOWN_U64);
		for (int i = 0; i < 40; i++)
			refresh(&s);
		assert_int_equal(process_limit(refresh(&s), LIMIT_THREADS)->state, LIMIT_OVER);
		cgroup(&s, UNKNOWN_U64, MIB, 10);
		refresh(&s);
	}
	expect_no_transition(&s);
	cgroup(&s, UNKNOWN_U64, MIB, UNKNOWN_U64);
	for (int i = 0; i < 62; i++)
		refresh(&s);
	expect_transition(&s, "", LIMIT_OVER, LIMIT_OK, 11);
	assert_false(snapshot_limit_is_judged(process_limit(refresh(&s), LIMIT_THREADS)));
	expect_no_transition(&s);
	cgroup(&s, UNKNOWN_U64, MIB, 10);
	refresh(&s);
	expect_transition(&s, "", LIMIT_OK, LIMIT_OVER, 11);
	assert_int_equal(process_limit(refresh(&s), LIMIT_THREADS)->violations, 2);
	script_end(&s);
}

/* What was over is no more after an exec, and its log says so. */
static void exec_ends_what_was_over(int round)
{
	struct script s = {0};
	struct fact image = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/bin/new",
								   .name = "new", .comm = "new"}};
	struct limit_transition first;

	limit(&s, "w-*", LIMIT_THREADS, 4);
	limit(&s, "", LIMIT_THREADS, 6);
	script_begin(&s);
	leader(&s);
	workers(&s, 200, 5);
	refresh(&s);
	expect_transition(&s, "", LIMIT_OK, LIMIT_WARN, 6);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 5);
	expect_no_transition(&s);
	image.target_info.image_ns = s.now;
	if (round) {
		feed(&s, image); /* told first, but of the old name */
		pass(&s, 9 * MSEC); /* reading takes a while: it ended with the exec */
	}
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	assert_true(model_next_transition(s.model, &first));
	assert_string_equal(first.pool, "");
	assert_int_equal(first.limit.state, LIMIT_OK);
	assert_int_equal(first.limit.value, 1);
	assert_int_equal(first.time_ns, image.target_info.image_ns);
	expect_transition(&s, "w-*", LIMIT_OVER, LIMIT_OK, 0);
	expect_no_transition(&s);
	refresh(&s);
	expect_no_transition(&s);
	script_end(&s);
}

static void an_exec_ends_what_was_over(void **state)
{
	exec_ends_what_was_over(0);
	exec_ends_what_was_over(1);
}

/* The threads of the former image end under its own limits, though the next image's are told first. */
static void an_exec_into_another_policy(void **state)
{
	for (int is_told = 0; is_told < 2; is_told++) {
		struct script s = {0};
		struct limit_rule strict[2];
		struct policy_entry entries[2];
		struct fact image = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/bin/new",
									   .policy = 1, .name = "new", .comm = "new"}};

		limit(&s, "", LIMIT_THREADS, 10);
		limit(&s, "w-*", LIMIT_THREADS, 10);
		script_begin(&s);
		memcpy(strict, s.limits, sizeof(strict));
		strict[0].value = strict[1].value = 2;
		entries[0] = entries[1] = s.entry;
		entries[1].limits = strict;
		s.policy.entries = entries;
		s.policy.n_entries = 2;
		leader(&s);
		tick(&s);
		refresh(&s);
		workers(&s, 200, 6);
		run_for(&s, 100 * MSEC);
		for (uint32_t i = 0; is_told && i < 6; i++)
			exited(&s, 200 + i);
		image.target_info.image_ns = s.now;
		feed(&s, image);
		pass(&s, MSEC);
		seed_begin(&s, SEED_EXEC);
		seed_end(&s);
		refresh(&s);
		expect_no_transition(&s);
		assert_int_equal(process_limit(&s.snapshot->targets[0], LIMIT_THREADS)->max, 2);
		script_end(&s);
	}
}

/* At exactly that part, whatever it is in floating point. */
static void near_is_from_the_warning_on(void **state)
{
	static const struct {
		double ratio;
		uint64_t limit, near;
	} cases[] = {{0.55, 100, 55}, {0.56, 50, 28}, {0.28, 25, 7}, {0.07, 100, 7}, {0.14, 50, 7}, {0.8, 5, 4}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {0};

		limit(&s, "w-*", LIMIT_THREADS, cases[i].limit);
		s.limits[0].warn_ratio = cases[i].ratio;
		script_begin(&s);
		leader(&s);
		tick(&s);
		workers(&s, 200, (uint32_t)cases[i].near - 1);
		expect_no_transition(&s);
		workers(&s, 500, 1);
		expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, cases[i].near);
		script_end(&s);
	}
}

/* What was read of the former image says nothing of the next one's limit. */
static void an_exec_ends_what_was_read(void **state)
{
	struct script s = {0};
	struct fact image = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/usr/bin/app",
								   .name = "app", .comm = "app"}};
	struct fact read = {.kind = FACT_MEMORY, .memory = {100 * MIB, 0, 0, 0, 0}};

	limit(&s, "", LIMIT_RESIDENT_BYTES, 50 * MIB);
	script_begin(&s);
	leader(&s);
	memory(&s, MIB, 0, 0);
	tick(&s);
	refresh(&s);
	memory(&s, 100 * MIB, 0, 0); /* no refresh has judged it */
	read.time_ns = s.now;
	read.target = TARGET;
	pass(&s, MSEC);
	image.target_info.image_ns = s.now;
	feed(&s, image);
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	assert_int_equal(model_apply(s.model, &read), 0); /* of a reading that began before it */
	refresh(&s);
	expect_no_transition(&s);
	assert_int_equal(s.snapshot->targets[0].memory.rss_anon, UNKNOWN_U64);
	memory(&s, 60 * MIB, 0, 0);
	refresh(&s);
	expect_transition(&s, "", LIMIT_OK, LIMIT_OVER, 60 * MIB);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentages_refer_to_natural_bounds),
		cmocka_unit_test(a_limit_of_none_warns_of_nothing),
		cmocka_unit_test(a_glob_that_no_pool_has_is_named_until_one_comes),
		cmocka_unit_test(what_is_not_judged_has_no_state_and_no_series),
		cmocka_unit_test(a_bound_that_goes_ends_what_was_over),
		cmocka_unit_test(an_exec_ends_what_was_over),
		cmocka_unit_test(an_exec_into_another_policy),
		cmocka_unit_test(near_is_from_the_warning_on),
		cmocka_unit_test(an_exec_ends_what_was_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
