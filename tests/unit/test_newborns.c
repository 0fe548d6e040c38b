/* SPDX-License-Identifier: GPL-2.0-only */
/* Newborns that may still take a name: how long it is waited for, and what they are if none comes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"

/* One that has its creator's name counts for that family only after 20 ms: it may be about to take its own. One that has
 * ended under that name by then had no other. */
static void a_helper_is_what_its_last_name_says(void **state)
{
	struct script s = {0};
	struct fact fact;

	limit(&s, "kid-*", LIMIT_THREADS, 2);
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t number = 200; number < 202; number++) {
		born(&s, number, "app");
		renamed(&s, number, "kid-1");
	}
	expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_WARN, 2);
	fact = thread_fact(FACT_THREAD_BORN, 300, "kid-1");
	fact.thread.creator = tid(200);
	feed(&s, fact);
	pass(&s, MSEC);
	renamed(&s, 300, "helper");
	exited(&s, 300);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, 2);
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_started, 2);
	expect_no_transition(&s);
	fact = thread_fact(FACT_THREAD_BORN, 301, "kid-1");
	fact.thread.creator = tid(200);
	feed(&s, fact);
	pass(&s, MSEC);
	exited(&s, 301);
	expect_no_transition(&s); /* not before its 20 ms are over, so that all are judged by one rule */
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, 3);
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_started, 3);
	expect_transition(&s, "kid-*", LIMIT_WARN, LIMIT_OVER, 3);
	script_end(&s);
}

/* Born with the name of its creator, who is 200. */
static void born_kid(struct script *s, uint32_t number)
{
	struct fact fact = thread_fact(FACT_THREAD_BORN, number, "kid-1");

	fact.thread.creator = tid(200);
	feed(s, fact);
}

static void answer(struct script *s, const struct newborn *newborn, bool has_run)
{
	struct fact fact = {.kind = FACT_THREAD_ASKED, .thread = {.id = newborn->id, .has_run = has_run, .state = 'R'}};

	feed(s, fact);
}

/* One that has had no CPU when its time to take a name is over has it again; others do not wait for it. */
static void who_had_no_cpu_has_time_yet(void **state)
{
	struct script s = {0};
	struct newborn due[4];
	int asked = 0;

	limit(&s, "kid-*", LIMIT_THREADS, 2);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	refresh(&s);
	for (uint32_t number = 300; number < 303; number++) {
		born_kid(&s, number);
		pass(&s, MSEC);
	}
	assert_int_equal(model_due_newborns(s.model, s.now, due, 4), 0);
	pass(&s, 18 * MSEC); /* 21, 20 and 19 ms old */
	assert_int_equal(model_due_newborns(s.model, s.now, due, 1), 1);
	answer(&s, &due[0], false);
	model_judge(s.model, s.now);
	expect_no_transition(&s); /* 301 is due, and was not asked for: there was no room */
	assert_int_equal(model_deadline(s.model), s.now);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 4), 1);
	assert_int_equal(due[0].id.tid, 301);
	model_judge(s.model, s.now);
	expect_no_transition(&s); /* it was, and nobody has answered yet */
	answer(&s, &due[0], true);
	model_judge(s.model, s.now);
	expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_WARN, 2); /* with 301 */
	assert_int_equal(model_deadline(s.model), s.now + MSEC); /* of 302 */
	pass(&s, MSEC);
	model_judge(s.model, s.now);
	expect_no_transition(&s); /* nobody has asked for it */
	assert_int_equal(model_due_newborns(s.model, s.now, due, 4), 1);
	answer(&s, &due[0], true);
	model_judge(s.model, s.now);
	expect_transition(&s, "kid-*", LIMIT_WARN, LIMIT_OVER, 3);
	for (int i = 0; i < 600; i++) {
		pass(&s, 20 * MSEC);
		if (model_due_newborns(s.model, s.now, due, 4)) {
			answer(&s, &due[0], false);
			asked++;
		}
		model_judge(s.model, s.now);
		if (i < 495)
			assert_int_equal(pool(&look(&s)->targets[0], "kid-*")->threads_peak, 3);
	}
	look(&s);
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_peak, 4);
	assert_in_range(asked, 10, 20); /* not each 20 ms: there may be thousands */
	script_end(&s);
}

static void who_runs_late_takes_its_name(void **state)
{
	struct script s = {0};
	struct newborn due[4];

	limit(&s, "kid-*", LIMIT_THREADS, 1);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	refresh(&s);
	expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_WARN, 1);
	born_kid(&s, 300);
	for (int i = 0; i < 10; i++) {
		pass(&s, 20 * MSEC);
		if (model_due_newborns(s.model, s.now, due, 4))
			answer(&s, &due[0], false);
		model_judge(s.model, s.now);
	}
	renamed_after(&s, 300, "w-1", 200 * MSEC);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, 1);
	assert_int_equal(pool(&s.snapshot->targets[0], "w-*")->threads_peak, 1);
	expect_no_transition(&s);
	script_end(&s);
}

/* Who ends before it is known what it was has lived with the others all the same. */
static void who_had_to_wait_and_ended_counts(void **state)
{
	struct script s = {0};
	struct newborn due[8];

	limit(&s, "kid-*", LIMIT_THREADS, 4);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	refresh(&s);
	for (uint32_t number = 300; number < 304; number++) {
		born_kid(&s, number);
	}
	pass(&s, 20 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 8), 4);
	for (int i = 0; i < 3; i++)
		answer(&s, &due[i], false);
	answer(&s, &due[3], true);
	model_judge(s.model, s.now);
	expect_no_transition(&s); /* 200 and 303 */
	pass(&s, 10 * MSEC);
	exited(&s, 303);
	pass(&s, MSEC);
	for (uint32_t number = 300; number < 303; number++)
		exited(&s, number);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_started, 4);
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_peak, 5);
	expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_OVER, 5);
	script_end(&s);
}

/* Who is placed may be told afterwards to have ended before: SIGCONT makes many run, and end, at once. Each has lived once. */
static void placed_before_an_end_is_told(void **state)
{
	enum { KIDS = 6 };
	struct script s = {0};
	struct newborn due[KIDS];

	limit(&s, "kid-*", LIMIT_THREADS, KIDS + 1);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	refresh(&s);
	for (uint32_t i = 0; i < KIDS; i++)
		born_kid(&s, 300 + i);
	pass(&s, 20 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, KIDS), KIDS);
	for (uint32_t i = 0; i < KIDS; i++)
		answer(&s, &due[i], false);
	pass(&s, 20 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, KIDS), KIDS);
	for (uint32_t i = 0; i < KIDS; i++)
		answer(&s, &due[i], true);
	model_judge(s.model, s.now);
	s.now -= MSEC;
	exited(&s, 302);
	exited(&s, 304);
	born_kid(&s, 400); /* in the room of one of them */
	exited(&s, 300);
	pass(&s, 2 * SEC);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, KIDS + 1);
	expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_WARN, KIDS);
	expect_no_transition(&s);
	script_end(&s);
}

/* What was over while it lived is not told once more when those that had to wait are counted. */
static void over_once(void **state)
{
	struct script s = {0};
	struct newborn due[4];

	limit(&s, "kid-*", LIMIT_THREADS, 2);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	refresh(&s);
	for (uint32_t burst = 0; burst < 2; burst++) {
		for (uint32_t i = 0; i < 4; i++)
			born(&s, 300 + 10 * burst + i, "app");
		pass(&s, 20 * MSEC);
		assert_int_equal(model_due_newborns(s.model, s.now, due, 4), 4);
		for (uint32_t i = 0; i < 4; i++)
			answer(&s, &due[i], false);
		pass(&s, 10 * MSEC);
		for (uint32_t i = 0; i < 4; i++)
			renamed(&s, 300 + 10 * burst + i, "kid-1");
		pass(&s, 100 * MSEC);
		for (uint32_t i = 0; i < 4; i++)
			exited(&s, 300 + 10 * burst + i);
		assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, 4);
		assert_int_equal(pool_limit(&s.snapshot->targets[0], "kid-*", LIMIT_THREADS)->violations, burst + 1);
	}
	script_end(&s);
}

/* Between its 20 ms and the answer it may have named itself; that stands in the ring behind other events. It is its first name
 * if it had to wait for a CPU so long, and a later one if it slept. */
static void named_before_the_answer(uint64_t waited_ns)
{
	struct script s = {0};
	struct newborn due[4];

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	refresh(&s);
	born_kid(&s, 300);
	pass(&s, 21 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 4), 1);
	pass(&s, 5 * MSEC);
	answer(&s, &due[0], true);
	s.now -= 4 * MSEC;
	born(&s, 400, "app");
	renamed(&s, 400, "other-1");
	pass(&s, MSEC);
	renamed_after(&s, 300, "w-1", waited_ns);
	pass(&s, 10 * MSEC);
	model_judge(s.model, s.now);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, waited_ns > 2 * MSEC ? 1 : 2);
	assert_int_equal(pool(&s.snapshot->targets[0], "w-*")->threads_peak, 1);
	script_end(&s);
}

static void what_came_before_the_answer_is_heard(void **state)
{
	named_before_the_answer(UNKNOWN_U64);
	named_before_the_answer(10 * MSEC);
	named_before_the_answer(2 * MSEC);
	named_before_the_answer(0);
}

static void answer_in_state(struct script *s, char state)
{
	struct newborn due[4];

	assert_int_equal(model_due_newborns(s->model, s->now, due, 4), 1);
	feed(s, (struct fact){.kind = FACT_THREAD_ASKED, .thread = {.id = due[0].id, .state = state}});
}

/* It had no CPU when it was asked, and takes a name 100 ms after its birth, 40 ms after the last w-* has ended. */
static void named_late(char state, uint64_t waited_ns, uint32_t most_w, uint32_t most_kids)
{
	struct script s = {0};
	limit(&s, "w-*", LIMIT_THREADS, 1);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	seen(&s, 201, "w-0");
	refresh(&s);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, 1);
	born_kid(&s, 300);
	for (int i = 0; i < 3; i++) {
		pass(&s, 20 * MSEC);
		answer_in_state(&s, state);
		model_judge(s.model, s.now);
	}
	exited(&s, 201);
	pass(&s, 25 * MSEC);
	model_judge(s.model, s.now);
	pass(&s, 15 * MSEC);
	renamed_after(&s, 300, "w-1", waited_ns);
	pass(&s, 100 * MSEC);
	model_judge(s.model, s.now);
	assert_int_equal(pool(refresh(&s), "w-*")->threads_peak, most_w);
	assert_int_equal(pool(&s.snapshot->targets[0], "w-*")->threads, 1);
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_peak, most_kids);
	if (most_w == 1)
		expect_no_transition(&s);
	script_end(&s);
}

/* Of who waited for a CPU it is known for how long; of who was stopped it is not when it went on. */
static void a_late_name_of_who_had_to_wait(void **state)
{
	named_late('R', 95 * MSEC, 2, 1);
	named_late('R', 60 * MSEC, 1, 2);
	named_late('R', UNKNOWN_U64, 2, 1);
	named_late('T', 0, 1, 1);
	named_late('t', 30 * MSEC, 1, 1);
	named_late('D', 0, 1, 1);
	named_late('D', 30 * MSEC, 2, 1);
}

/* Who sleeps for its 20 ms, and is awake as it is asked, is asked again: it lived with those that were born after it. */
static void who_has_just_woken_is_no_starved_one(void **state)
{
	struct script s = {0};
	struct newborn due[8];
	size_t count;

	limit(&s, "libfoo.so:work", LIMIT_THREADS, 5);
	script_begin(&s);
	leader(&s);
	refresh(&s);
	born(&s, 300, "app");
	routine(&s, 300, "libfoo.so", "work");
	pass(&s, 16 * MSEC);
	for (uint32_t number = 301; number < 306; number++) {
		born(&s, number, "app");
		routine(&s, number, "libfoo.so", "work");
	}
	pass(&s, 4 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 8), 1);
	feed(&s, (struct fact){.kind = FACT_THREAD_ASKED, .thread = {.id = due[0].id, .is_unsure = true, .state = 'R'}});
	model_judge(s.model, s.now);
	assert_int_equal(model_deadline(s.model), s.now + 2 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 8), 0);
	pass(&s, 2 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 8), 1);
	feed(&s, (struct fact){.kind = FACT_THREAD_ASKED, .thread = {.id = due[0].id, .has_run = true}});
	model_judge(s.model, s.now);
	pass(&s, 12 * MSEC);
	exited(&s, 300);
	pass(&s, 2 * MSEC);
	count = model_due_newborns(s.model, s.now, due, 8);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++)
		feed(&s, (struct fact){.kind = FACT_THREAD_ASKED, .thread = {.id = due[i].id, .has_run = true}});
	run_for(&s, 100 * MSEC);
	assert_int_equal(pool(refresh(&s), "libfoo.so:work")->threads_peak, 6);
	assert_int_equal(pool_limit(&s.snapshot->targets[0], "libfoo.so:work", LIMIT_THREADS)->violations, 1);
	script_end(&s);
}

/* The tick comes when their names, which they took at once, are in the ring yet. */
static void names_that_are_left_in_the_ring(void **state)
{
	struct script s = {0};
	struct newborn due[16];
	uint64_t born_ns, tick_ns;

	limit(&s, "kid-*", LIMIT_THREADS, 3);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	tick(&s);
	pass(&s, SEC);
	born_ns = s.now;
	for (uint32_t number = 300; number < 310; number++)
		born_kid(&s, number);
	pass(&s, 60 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, ARRAY_SIZE(due)), 10);
	for (size_t i = 0; i < 10; i++)
		answer(&s, &due[i], true);
	model_judge(s.model, born_ns);
	feed(&s, (struct fact){.kind = FACT_TICK, .tick = {.realtime_ns = REALTIME + s.now, .heard_ns = born_ns}});
	tick_ns = s.now;
	expect_no_transition(&s);
	s.now = born_ns + MSEC;
	for (uint32_t number = 300; number < 310; number++)
		renamed(&s, number, "w-1");
	s.now = tick_ns + MSEC;
	model_judge(s.model, s.now);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, 1);
	assert_int_equal(pool(&s.snapshot->targets[0], "w-*")->threads_peak, 10);
	expect_no_transition(&s);
	script_end(&s);
}

/* What is found less than 20 ms after its birth, by the attach or after losses, may still have its creator's name. */
static void found_right_after_its_birth(void **state)
{
	const uint32_t at_attach = 9999, after_losses = 10049; /* born 10 ms before it is found */
	struct script s = {0};

	limit(&s, "kid-*", LIMIT_THREADS, 2);
	script_begin(&s);
	leader(&s);
	seen(&s, 200, "kid-1");
	seen(&s, 201, "kid-2");
	seen(&s, at_attach, "kid-2");
	tick(&s);
	expect_transition(&s, "kid-*", LIMIT_OK, LIMIT_WARN, 2);
	assert_int_equal(pool(&look(&s)->targets[0], "kid-*")->threads, 3); /* a guest */
	assert_int_equal(pool(&s.snapshot->targets[0], "kid-*")->threads_peak, 2);
	renamed(&s, at_attach, "helper");
	pass(&s, 500 * MSEC);
	seed_begin(&s, SEED_LOST);
	seen(&s, after_losses, "kid-2");
	routine(&s, after_losses, "app", "work");
	seed_end(&s);
	tick(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "kid-*")->threads_peak, 2);
	expect_no_transition(&s);
	pass(&s, 25 * MSEC); /* no other name has come: it is one of them */
	exited(&s, at_attach);
	expect_transition(&s, "kid-*", LIMIT_WARN, LIMIT_OVER, 3);
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, 3);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_helper_is_what_its_last_name_says),
		cmocka_unit_test(who_had_no_cpu_has_time_yet),
		cmocka_unit_test(who_runs_late_takes_its_name),
		cmocka_unit_test(who_had_to_wait_and_ended_counts),
		cmocka_unit_test(placed_before_an_end_is_told),
		cmocka_unit_test(over_once),
		cmocka_unit_test(what_came_before_the_answer_is_heard),
		cmocka_unit_test(a_late_name_of_who_had_to_wait),
		cmocka_unit_test(who_has_just_woken_is_no_starved_one),
		cmocka_unit_test(names_that_are_left_in_the_ring),
		cmocka_unit_test(found_right_after_its_birth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
