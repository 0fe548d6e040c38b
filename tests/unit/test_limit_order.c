/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits on threads where facts come late, out of order, or at no time that can be: what is over falls, and what was never
 * over is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "limit_facts.h"

static void begin(struct script *s, const char *glob, uint64_t value)
{
	limit(s, glob, LIMIT_THREADS, value);
	s->limits[0].clear_for_ns = 0;
	script_begin(s);
	leader(s);
	tick(s);
	refresh(s);
	run_for(s, 100 * MSEC);
}

static void expect_fallen(struct script *s, const char *pool)
{
	run_for(s, 300 * MSEC);
	assert_int_equal(pool_limit(&look(s)->targets[0], pool, LIMIT_THREADS)->violations, 1);
	assert_true(pool_limit(&s->snapshot->targets[0], pool, LIMIT_THREADS)->state != LIMIT_OVER);
	script_end(s);
}

/* An exit that comes from another CPU than the name before it. */
static void an_end_is_told_after_what_came_later(void **state)
{
	struct script s = {0};

	begin(&s, "w-*", 3);
	for (uint32_t i = 0; i < 4; i++)
		born(&s, 200 + i, "app");
	pass(&s, 5 * MSEC);
	for (uint32_t i = 0; i < 4; i++) {
		pass(&s, 10);
		renamed(&s, 200 + i, "w-1");
	}
	s.now -= 5;
	exited(&s, 200);
	expect_fallen(&s, "w-*");
}

/* Newborns are judged at the present time; what is in the ring then is older. */
static void an_end_is_told_after_it_was_judged(void **state)
{
	struct script s = {0};

	begin(&s, "libfoo.so:work", 3);
	for (uint32_t i = 0; i < 4; i++) {
		born(&s, 200 + i, "app");
		routine(&s, 200 + i, "libfoo.so", "work");
	}
	pass(&s, 20 * MSEC + 30000);
	model_judge(s.model, s.now);
	s.now -= 10000;
	exited(&s, 200);
	expect_fallen(&s, "libfoo.so:work");
}

/* Who heads a new pool waits for a newborn that is older, whose time was over long ago: the answer tells since when it was. */
static void an_agent_is_late(void **state)
{
	struct script s = {0};
	struct newborn due[8];
	uint64_t named_ns;

	limit(&s, "w-*", LIMIT_THREADS, 2);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "other-1");
	refresh(&s);
	born(&s, 300, "app");
	pass(&s, 5 * MSEC);
	named_ns = s.now;
	for (uint32_t i = 0; i < 3; i++) {
		born(&s, 301 + i, "app");
		renamed(&s, 301 + i, "w-1");
	}
	assert_int_equal(model_due_newborns(s.model, s.now + 145 * MSEC, due, 8), 4);
	pass(&s, 91 * MSEC);
	exited(&s, 200);
	pass(&s, 54 * MSEC);
	for (uint32_t i = 0; i < 4; i++)
		feed(&s, (struct fact){.kind = FACT_THREAD_ASKED, .thread = {.id = due[i].id, .has_run = true}});
	model_judge(s.model, s.now);
	expect_transition_at(&s, named_ns, "w-*", LIMIT_OK, LIMIT_WARN, 2);
	expect_transition_at(&s, named_ns, "w-*", LIMIT_WARN, LIMIT_OVER, 3);
	script_end(&s);
}

/* Also where the one that is ahead is of a pool that nobody limits. */
static void ends_are_told_out_of_order(void **state)
{
	struct script s = {0};

	begin(&s, "w-*", 3);
	for (uint32_t i = 0; i < 4; i++)
		born(&s, 200 + i, "w-1");
	born(&s, 300, "x-1");
	run_for(&s, 100 * MSEC);
	pass(&s, 10000);
	exited(&s, 300);
	s.now -= 10000;
	exited(&s, 200);
	exited(&s, 201);
	expect_fallen(&s, "w-*");
}

/* Those that had no CPU lived at once, and have ended when that is found out at the refresh: it falls at once. */
static void what_was_starved_falls(void **state)
{
	struct script s = {0};
	struct newborn due[8];

	begin(&s, "w-*", 3);
	for (uint32_t i = 0; i < 6; i++)
		born(&s, 200 + i, "app");
	pass(&s, 21 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 8), 6);
	for (uint32_t i = 0; i < 6; i++)
		feed(&s, thread_fact(FACT_THREAD_ASKED, 200 + i, ""));
	for (uint32_t i = 0; i < 6; i++) {
		pass(&s, MSEC / 10);
		renamed_after(&s, 200 + i, "w-1", 20 * MSEC);
		pass(&s, MSEC / 10);
		exited(&s, 200 + i);
	}
	run_for(&s, 200 * MSEC);
	tick(&s);
	assert_int_equal(pool_limit(&look(&s)->targets[0], "w-*", LIMIT_THREADS)->state, LIMIT_OVER);
	expect_fallen(&s, "w-*");
}

/* Counted in one pool, then in another, then in one that does not count it yet: each has lost what it was given. */
static void moves_leave_nothing_behind(void **state)
{
	struct script s = {0};

	begin(&s, "bb-*", 2);
	for (uint32_t round = 0; round < 4; round++) {
		uint32_t maker = 200 + 10 * round, member = maker + 1;
		struct fact team;

		born(&s, maker, "app"); /* its name is open, so is its team's pool */
		team = thread_fact(FACT_THREAD_BORN, member, "app");
		team.thread.creator = tid(maker);
		feed(&s, team);
		pass(&s, MSEC);
		renamed(&s, member, "aa-1");
		pass(&s, MSEC);
		renamed(&s, member, "bb-1");
		pass(&s, MSEC);
		renamed(&s, member, "bb-2");
		routine(&s, member, "libgomp.so.1", "gomp_thread_start");
		pass(&s, MSEC);
		renamed(&s, maker, "mk-1");
		run_for(&s, 100 * MSEC);
		exited(&s, member);
		exited(&s, maker);
		run_for(&s, 100 * MSEC);
		tick(&s);
		run_for(&s, 1500 * MSEC);
	}
	look(&s);
	const struct snapshot_pool *bb = find_pool(&s.snapshot->targets[0], "bb-*");

	assert_true(!bb || !bb->limits[0].violations);
	expect_no_transition(&s);
	script_end(&s);
}

/* A rise so soon after a fall that it is not foreseen is told as of its time also where another birth follows. */
static void what_has_just_fallen_rises_when_it_does(void **state)
{
	struct script s = {0};
	struct limit_transition change;
	uint64_t rise_ns;

	begin(&s, "w-*", 3);
	for (uint32_t i = 0; i < 4; i++)
		born(&s, 200 + i, "w-1");
	run_for(&s, 100 * MSEC);
	exited(&s, 200);
	run_for(&s, 50 * MSEC);
	rise_ns = s.now;
	born(&s, 300, "w-1");
	run_for(&s, 12 * MSEC);
	born(&s, 301, "w-1");
	run_for(&s, 100 * MSEC);
	change.time_ns = 0;
	for (struct limit_transition next; model_next_transition(s.model, &next);)
		change = next.limit.state == LIMIT_OVER ? next : change;
	assert_int_equal(change.time_ns, rise_ns);
	assert_int_equal(pool_limit(&look(&s)->targets[0], "w-*", LIMIT_THREADS)->violations, 2);
	script_end(&s);
}

/* Where more come just after a warning has fallen, which is not told yet. */
static void a_warning_falls_before_too_many_come(void **state)
{
	struct script s = {0};
	struct limit_transition change;
	static const enum limit_state states[] = {LIMIT_WARN, LIMIT_OK, LIMIT_WARN, LIMIT_OVER};
	uint64_t times_ns[ARRAY_SIZE(states)];

	begin(&s, "w-*", 3);
	for (uint32_t i = 0; i < 3; i++)
		born(&s, 200 + i, "w-1");
	times_ns[0] = s.now;
	run_for(&s, 100 * MSEC);
	for (uint32_t i = 0; i < 3; i++)
		exited(&s, 200 + i);
	times_ns[1] = s.now + 20 * MSEC;
	run_for(&s, 28 * MSEC);
	for (uint32_t i = 0; i < 4; i++)
		born(&s, 300 + i, "w-1");
	times_ns[2] = times_ns[3] = s.now;
	run_for(&s, 25 * MSEC);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		assert_true(model_next_transition(s.model, &change));
		assert_int_equal(change.limit.state, states[i]);
		assert_int_equal(change.time_ns, times_ns[i]);
	}
	expect_no_transition(&s);
	script_end(&s);
}

/* A followed child is read before its births are told, which came earlier: a `for` runs from these. */
static void a_reading_runs_ahead_of_births(void **state)
{
	struct script s = {0};
	struct fact child = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .followed = true,
								   .exe = "/usr/bin/app", .name = "app", .comm = "app"}};
	uint64_t third_ns;

	limit(&s, "w-*", LIMIT_THREADS, 2);
	s.limits[0].for_ns = 300 * MSEC;
	script_begin_with(&s, (struct model_options){.keep_ended = true});
	tick(&s);
	pass(&s, 40 * MSEC);
	feed(&s, child);
	seed_begin(&s, SEED_INHERITED);
	seed_end(&s);
	leader(&s);
	s.now -= 35 * MSEC;
	workers(&s, 200, 3);
	third_ns = s.now;
	pass(&s, 35 * MSEC);
	run_for(&s, 400 * MSEC);
	expect_transition_at(&s, third_ns + 300 * MSEC, "w-*", LIMIT_OK, LIMIT_OVER, 3);
	script_end(&s);
}

static void a_time_that_can_never_be(void **state)
{
	struct script s = {0};

	begin(&s, "w-*", 3);
	alarm(60);
	s.now = UINT64_MAX;
	born(&s, 200, "w-1");
	alarm(0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_is_told_after_what_came_later),
		cmocka_unit_test(an_end_is_told_after_it_was_judged),
		cmocka_unit_test(an_agent_is_late),
		cmocka_unit_test(ends_are_told_out_of_order),
		cmocka_unit_test(what_was_starved_falls),
		cmocka_unit_test(moves_leave_nothing_behind),
		cmocka_unit_test(what_has_just_fallen_rises_when_it_does),
		cmocka_unit_test(a_warning_falls_before_too_many_come),
		cmocka_unit_test(a_reading_runs_ahead_of_births),
		cmocka_unit_test(a_time_that_can_never_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
