/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pool made which: by births, by the argument that lies on the creator's stack, and not at all where neither is
 * there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "lineage_facts.h"
#include "view/pool_words.h"

/* There before: on its stack, its routine given `argument`. */
static void found(struct script *s, uint32_t number, uint64_t stack, uint64_t argument, const char *module,
		  const char *symbol)
{
	struct fact fact = thread_fact(FACT_THREAD_SEEN, number, "app");

	fact.thread.stack_start = stack;
	fact.thread.stack_length = MIB;
	fact.thread.start_routine = 0x4000;
	fact.thread.start_argument = argument;
	feed(s, fact);
	routine(s, number, module, symbol);
}

static void executor_of(struct script *s, uint64_t capacity, uint32_t first, uint32_t last)
{
	feed(s, (struct fact){.kind = FACT_EXECUTOR, .executor = {.id = 1, .kind = EXECUTOR_FUTURES, .instance = 1,
								  .capacity = capacity, .name = "resize_0"}});
	for (uint32_t number = first; number <= last; number++)
		feed(s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(number), .executor = 1}});
}

#define TEAM "resize_*/libgomp"

static void teams_of_workers(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t worker = 0; worker < 4; worker++) {
		born_of(&s, 200 + worker, PID, "python3.11", "thread_run");
		for (uint32_t i = 0; i < 3 - (worker == 3); i++)
			born_of(&s, 300 + worker * 10 + i, 200 + worker, "libgomp.so.1", "");
	}
	pass(&s, SEC);
	target = refresh(&s);
	assert_string_equal(parent_of(target, "python3.11:thread_run/libgomp"), "python3.11:thread_run");
	assert_int_equal(pool(target, "python3.11:thread_run/libgomp")->team_bound, UNKNOWN_U64);
	exited(&s, PID); /* nobody's parent, as when it was there */
	target = refresh(&s);
	assert_string_equal(parent_of(target, "python3.11:thread_run"), "none");
	/* The workers turn out to be an executor's. */
	executor_of(&s, 16, 200, 203);
	target = refresh(&s);
	assert_int_equal(target->n_pools, 3); /* and main, whose thread has ended */
	assert_int_equal(pool(target, TEAM)->threads_started, 11);
	assert_string_equal(parent_of(target, TEAM), "resize_*");
	assert_string_equal(parent_of(target, "resize_*"), "none");
	assert_int_equal(pool(target, TEAM)->teams, 4);
	assert_int_equal(pool(target, TEAM)->team_threads, 3);
	assert_int_equal(pool(target, TEAM)->team_bound, 48);
	assert_int_equal(pool(target, "resize_*")->teams, UNKNOWN_U64);
	/* A worker goes; its team stays, and is still of that pool, but whose team is not known. */
	exited(&s, 200);
	target = refresh(&s);
	assert_string_equal(parent_of(target, TEAM), "resize_*");
	assert_int_equal(pool(target, TEAM)->teams, UNKNOWN_U64);
	assert_int_equal(pool(target, TEAM)->team_bound, UNKNOWN_U64);
	for (uint32_t i = 0; i < 3; i++)
		exited(&s, 300 + i);
	assert_int_equal(pool(refresh(&s), TEAM)->teams, 3);
	/* The pool empties, and stays where it was. */
	for (uint32_t worker = 1; worker < 4; worker++)
		for (uint32_t i = 0; i < 3 - (worker == 3); i++)
			exited(&s, 300 + worker * 10 + i);
	target = refresh(&s);
	assert_string_equal(parent_of(target, TEAM), "resize_*");
	assert_int_equal(pool(target, TEAM)->threads, 0);
	assert_int_equal(pool(target, TEAM)->teams, UNKNOWN_U64);
	script_end(&s);
}

static void mains_team_has_no_parent(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 3; i++)
		born_of(&s, 300 + i, PID, "libgomp.so.1", "");
	pass(&s, SEC);
	target = refresh(&s);
	assert_string_equal(parent_of(target, "libgomp"), "none");
	assert_int_equal(pool(target, "libgomp")->teams, 1);
	assert_int_equal(pool(target, "libgomp")->team_threads, 3);
	assert_int_equal(pool(target, "libgomp")->team_bound, UNKNOWN_U64);
	script_end(&s);
}

/* Its two helpers, and one of each of the three of them: `first` to `first` + 4. */
static void nested_team(struct script *s, uint32_t maker, uint32_t first)
{
	born_of(s, first, maker, "libgomp.so.1", "");
	born_of(s, first + 1, maker, "libgomp.so.1", "");
	born_of(s, first + 2, maker, "libgomp.so.1", "");
	born_of(s, first + 3, first, "libgomp.so.1", "");
	born_of(s, first + 4, first + 1, "libgomp.so.1", "");
}

static const char *team_words(const struct snapshot_target *target, const char *name)
{
	static char text[320];

	return pool_team_words(target, pool(target, name), true, text, sizeof(text)) ? text : "";
}

static void teams_within_teams_count_to_the_maker(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t worker = 0; worker < 4; worker++) {
		born_of(&s, 200 + worker, PID, "python3.11", "thread_run");
		nested_team(&s, 200 + worker, 300 + worker * 10);
	}
	executor_of(&s, 4, 200, 203);
	pass(&s, SEC);
	target = refresh(&s);
	assert_int_equal(pool(target, TEAM)->threads, 20);
	assert_int_equal(pool(target, TEAM)->teams, 4);
	assert_int_equal(pool(target, TEAM)->team_threads, 5);
	assert_int_equal(pool(target, TEAM)->team_bound, 20);
	assert_string_equal(team_words(target, TEAM),
			    "resize_*/libgomp below resize_*: 4 teams of 5; at most 20 threads, when each of 4 workers has one");
	/* A helper has ended before its own: these may be anybody's. */
	exited(&s, 300);
	target = refresh(&s);
	assert_int_equal(pool(target, TEAM)->teams, UNKNOWN_U64);
	assert_int_equal(pool(target, TEAM)->team_bound, UNKNOWN_U64);
	exited(&s, 303);
	target = refresh(&s);
	assert_int_equal(pool(target, TEAM)->teams, 4);
	assert_int_equal(pool(target, TEAM)->team_bound, 20);
	script_end(&s);
}

/* Of a team of four, four teams of three; and one that is many deep. */
static void mains_teams_within_teams(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 3; i++) {
		born_of(&s, 300 + i, PID, "libgomp.so.1", "");
		born_of(&s, 310 + i, 300 + i, "libgomp.so.1", "");
		born_of(&s, 320 + i, 300 + i, "libgomp.so.1", "");
	}
	born_of(&s, 330, PID, "libgomp.so.1", "");
	born_of(&s, 331, PID, "libgomp.so.1", "");
	pass(&s, SEC);
	target = refresh(&s);
	assert_int_equal(pool(target, "libgomp")->threads, 11);
	assert_int_equal(pool(target, "libgomp")->teams, 1);
	assert_int_equal(pool(target, "libgomp")->team_threads, 11);
	for (uint32_t i = 0; i < 100; i++)
		born_of(&s, 400 + i, i ? 399 + i : 331, "libgomp.so.1", "");
	pass(&s, SEC);
	target = refresh(&s);
	assert_int_equal(pool(target, "libgomp")->teams, 1);
	assert_int_equal(pool(target, "libgomp")->team_threads, 111);
	script_end(&s);
}

/* Facts that cannot be: they are of nobody outside. */
static void who_made_each_other_are_no_team(void **state)
{
	static const uint32_t creators[][3] = {{300, 0, 0}, {301, 300, 0}, {302, 300, 301}};

	for (size_t i = 0; i < ARRAY_SIZE(creators); i++) {
		struct script s = {0};

		script_begin(&s);
		leader(&s);
		born_of(&s, 310, PID, "libomp.so.5", "");
		for (uint32_t j = 0; j < 3 && creators[i][j]; j++)
			born_of(&s, 300 + j, creators[i][j], "libomp.so.5", "");
		pass(&s, SEC);
		(void)refresh(&s);
		assert_int_equal(pool(refresh(&s), "libomp")->threads, 2 + i);
		assert_int_equal(pool(refresh(&s), "libomp")->teams, UNKNOWN_U64);
		script_end(&s);
	}
}

/* gcc's teams within teams end with their loop: the next one may be as large again. */
static void the_bound_remembers_the_largest_team(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born_of(&s, 200, PID, "python3.11", "thread_run");
	born_of(&s, 201, PID, "python3.11", "thread_run");
	nested_team(&s, 200, 300);
	nested_team(&s, 201, 310);
	executor_of(&s, 4, 200, 201);
	pass(&s, SEC);
	assert_int_equal(pool(refresh(&s), TEAM)->team_bound, 20);
	for (uint32_t i = 2; i < 5; i++) {
		exited(&s, 300 + i);
		exited(&s, 310 + i);
	}
	target = refresh(&s);
	assert_int_equal(pool(target, TEAM)->teams, 2);
	assert_int_equal(pool(target, TEAM)->team_threads, 2);
	assert_int_equal(pool(target, TEAM)->team_bound, 20);
	assert_string_equal(team_words(target, TEAM), "resize_*/libgomp below resize_*: 2 teams of 2 (largest so far: 5); "
						      "at most 20 threads, when each of 4 workers has one");
	/* Emptied, it is still that pool. */
	for (uint32_t i = 0; i < 2; i++) {
		exited(&s, 300 + i);
		exited(&s, 310 + i);
	}
	assert_int_equal(pool(refresh(&s), TEAM)->team_bound, UNKNOWN_U64);
	born_of(&s, 320, 200, "libgomp.so.1", "");
	pass(&s, SEC);
	target = refresh(&s);
	assert_int_equal(pool(target, TEAM)->team_threads, 1);
	assert_int_equal(pool(target, TEAM)->team_bound, 20);
	script_end(&s);
}

/* The main thread's, and those of two pools' workers, one of them within another. */
static void each_pool_has_its_own_teams(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 3; i++)
		born_of(&s, 300 + i, PID, "libgomp.so.1", "");
	born_of(&s, 200, PID, "app", "work");
	born_of(&s, 310, 200, "libgomp.so.1", "");
	born_of(&s, 311, 200, "libgomp.so.1", "");
	born_of(&s, 201, PID, "app", "sort");
	born_of(&s, 320, 201, "libgomp.so.1", "");
	born_of(&s, 321, 320, "libgomp.so.1", "");
	pass(&s, SEC);
	target = refresh(&s);
	assert_string_equal(parent_of(target, "libgomp"), "none");
	assert_int_equal(pool(target, "libgomp")->threads, 3);
	assert_int_equal(pool(target, "libgomp")->teams, 1);
	assert_string_equal(parent_of(target, "app:work/libgomp"), "app:work");
	assert_int_equal(pool(target, "app:work/libgomp")->teams, 1);
	assert_int_equal(pool(target, "app:work/libgomp")->team_threads, 2);
	assert_string_equal(parent_of(target, "app:sort/libgomp"), "app:sort");
	assert_int_equal(pool(target, "app:sort/libgomp")->threads, 2);
	assert_int_equal(pool(target, "app:sort/libgomp")->teams, 1);
	assert_int_equal(pool(target, "app:sort/libgomp")->team_threads, 2);
	/* Who made them has ended: they stay where they were. */
	exited(&s, 200);
	target = refresh(&s);
	assert_int_equal(pool(target, "app:work/libgomp")->threads, 2);
	script_end(&s);
}

/* LLVM's are handed on from team to team. */
static void of_both_is_of_neither(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 3; i++)
		born_of(&s, 300 + i, PID, "libomp.so.5", "");
	born_of(&s, 200, PID, "app", "work");
	born_of(&s, 310, 200, "libomp.so.5", "");
	pass(&s, SEC);
	target = refresh(&s);
	assert_string_equal(parent_of(target, "libomp"), "none");
	assert_int_equal(pool(target, "libomp")->teams, 2);
	script_end(&s);
}

/* Attached late: no pool has had, even for a moment, what is another's. */
static void what_was_there_is_placed_once(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	found(&s, 200, 0x10000000, 0, "app", "work");
	found(&s, 300, 0x30000000, 0x10000000, "libgomp.so.1", "");
	found(&s, 301, 0x40000000, 0x10000100, "libgomp.so.1", "");
	found(&s, 302, 0x50000000, 0x90000000, "libgomp.so.1", "");
	target = refresh(&s);
	assert_int_equal(pool(target, "app:work/libgomp")->threads_peak, 2);
	assert_int_equal(pool(target, "libgomp")->threads_peak, 1);
	script_end(&s);
}

static void without_evidence_nothing_is_said(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born_of(&s, 200, PID, "app", "work");
	born_of(&s, 300, 200, "libgomp.so.1", "");
	pass(&s, SEC);
	assert_string_equal(parent_of(refresh(&s), "app:work/libgomp"), "app:work");
	found(&s, 301, 0x10000000, 0, "libgomp.so.1", "");
	target = refresh(&s);
	assert_string_equal(parent_of(target, "app:work/libgomp"), "app:work");
	assert_string_equal(parent_of(target, "libgomp"), "none");
	assert_int_equal(pool(target, "libgomp")->teams, UNKNOWN_U64);
	assert_int_equal(thread(target, 301)->creator.tid, 0);
	script_end(&s);
}

static void the_argument_on_the_creators_stack(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	found(&s, 200, 0x10000000, 0, "app", "work");
	found(&s, 201, 0x20000000, 0, "app", "work");
	found(&s, 300, 0x30000000, 0x10000000, "libgomp.so.1", "");          /* the first byte of it */
	found(&s, 301, 0x40000000, 0x20000000 + MIB - 8, "libgomp.so.1", ""); /* the last word */
	target = refresh(&s);
	assert_int_equal(thread(target, 300)->creator.tid, 200);
	assert_int_equal(thread(target, 301)->creator.tid, 201);
	assert_string_equal(parent_of(target, "app:work/libgomp"), "app:work");
	assert_int_equal(pool(target, "app:work/libgomp")->teams, 2);
	/* Elsewhere an argument on a stack may be anybody's. */
	found(&s, 302, 0x50000000, 0x10000000, "libomp.so.5", "");
	target = refresh(&s);
	assert_int_equal(thread(target, 302)->creator.tid, 0);
	assert_string_equal(parent_of(target, "libomp"), "none");
	/* On no stack, on its own, and on that of a thread that began later: the creator has gone. */
	found(&s, 303, 0x60000000, 0x10000000 + MIB, "libgomp.so.1", "");
	found(&s, 304, 0x70000000, 0x70000000, "libgomp.so.1", "");
	found(&s, 305, 0x80000000, 0x90000000, "libgomp.so.1", "");
	found(&s, 306, 0x90000000, 0, "app", "work");
	target = refresh(&s);
	for (uint32_t number = 303; number <= 305; number++)
		assert_int_equal(thread(target, number)->creator.tid, 0);
	assert_string_equal(parent_of(target, "libgomp"), "none");
	script_end(&s);
}

/* /proc's starts are truncated: two of one tick have no order. */
static void starts_of_one_tick_prove_nothing(void **state)
{
	struct script s = {0};
	struct fact fact = thread_fact(FACT_THREAD_SEEN, 200, "app");

	script_begin(&s);
	leader(&s);
	fact.thread.id = tid_ticks(200);
	fact.thread.stack_start = 0x10000000;
	fact.thread.stack_length = MIB;
	feed(&s, fact);
	fact = thread_fact(FACT_THREAD_SEEN, 300, "app");
	fact.thread.id.start_ns = tid_ticks(200).start_ns + NSEC_PER_TICK - 1;
	fact.thread.start_argument = 0x10000010;
	feed(&s, fact);
	feed(&s, (struct fact){.kind = FACT_THREAD_ROUTINE,
			       .routine = {.id = fact.thread.id, .module = "libgomp.so.1"}});
	assert_int_equal(thread(refresh(&s), 300)->creator.tid, 0);
	script_end(&s);
}

static void circles_and_families(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	/* a makes b's first, b makes a's: no thread of either came from elsewhere that was seen. */
	born_of(&s, 200, 400, "app", "b");
	born_of(&s, 400, 200, "app", "a");
	/* a pool that grows by itself, from one that `work` made */
	born_of(&s, 500, PID, "app", "work");
	born_of(&s, 600, 500, "app", "worker");
	born_of(&s, 601, 600, "app", "worker");
	pass(&s, SEC);
	target = refresh(&s);
	assert_true(!strcmp(parent_of(target, "app:a"), "none") || !strcmp(parent_of(target, "app:b"), "none"));
	assert_string_equal(parent_of(target, "app:worker"), "app:work");
	assert_string_equal(parent_of(target, "app:work"), "none");
	assert_string_equal(parent_of(target, "main"), "none");
	script_end(&s);
}

static void java_comes_from_nowhere(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born_of(&s, 200, PID, "libjli.so", "ThreadJavaMain");
	born_of(&s, 300, 200, "libjvm.so", "");
	renamed(&s, 300, "pool-1-thread-1");
	pass(&s, SEC);
	target = refresh(&s);
	assert_string_equal(parent_of(target, "pool-1-thread-*"), "none");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(teams_of_workers),
		cmocka_unit_test(mains_team_has_no_parent),
		cmocka_unit_test(teams_within_teams_count_to_the_maker),
		cmocka_unit_test(mains_teams_within_teams),
		cmocka_unit_test(who_made_each_other_are_no_team),
		cmocka_unit_test(the_bound_remembers_the_largest_team),
		cmocka_unit_test(each_pool_has_its_own_teams),
		cmocka_unit_test(of_both_is_of_neither),
		cmocka_unit_test(what_was_there_is_placed_once),
		cmocka_unit_test(without_evidence_nothing_is_said),
		cmocka_unit_test(the_argument_on_the_creators_stack),
		cmocka_unit_test(starts_of_one_tick_prove_nothing),
		cmocka_unit_test(circles_and_families),
		cmocka_unit_test(java_comes_from_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
