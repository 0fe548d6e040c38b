/* SPDX-License-Identifier: GPL-2.0-only */
/* Births and ends that were lost: who is counted may have ended unheard, so counts are no peak and in no limit until a
 * refresh has found who lives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"

#define FIRST 200u

static void lives_lost(struct script *s)
{
	feed(s, (struct fact){.kind = FACT_LIVES_LOST});
}

/* What the kernel counts of this target so far. */
static void losses(struct script *s, uint64_t count)
{
	feed(s, (struct fact){.kind = FACT_LOSS, .loss = {.lost = {[LOSS_RING] = count}}});
}

static void list(struct script *s, uint32_t first, uint32_t count)
{
	seed_begin(s, SEED_LOST);
	leader(s);
	for (uint32_t number = first; number < first + count; number++)
		seen(s, number, "w-1");
	seed_end(s);
}

static void sample(struct script *s, uint32_t first, uint32_t count)
{
	pass(s, MSEC);
	feed(s, (struct fact){.kind = FACT_THREAD_SAMPLED, .thread = {.id = tid(PID), .state = 'S'}});
	for (uint32_t number = first; number < first + count; number++)
		feed(s, (struct fact){.kind = FACT_THREAD_SAMPLED, .thread = {.id = tid(number), .state = 'S'}});
}

static void ready(struct script *s, uint64_t limit_of_pool, uint64_t for_ns)
{
	limit(s, "w-*", LIMIT_THREADS, limit_of_pool);
	limit(s, "", LIMIT_THREADS, limit_of_pool + 1);
	s->limits[0].for_ns = s->limits[1].for_ns = for_ns;
	s->limits[0].warn_ratio = s->limits[1].warn_ratio = 1.5;
	script_begin(s);
	leader(s);
	for (uint32_t number = FIRST; number < FIRST + 3; number++)
		seen(s, number, "w-1");
	losses(s, 0);
	tick(s);
}

static void expect_peak(struct script *s, uint32_t peak)
{
	const struct snapshot_target *target = &look(s)->targets[0];

	assert_int_equal(pool(target, "w-*")->threads_peak, peak);
	/* Of the process never less than is shown beside it. */
	assert_int_equal(target->threads_peak, target->threads > peak + 1 ? target->threads : peak + 1);
}

/* Three have ended unheard, and four come after them. */
static void who_ended_unheard_is_not_counted(void **state)
{
	struct script s = {0};

	ready(&s, 4, 0);
	pass(&s, SEC);
	assert_false(model_wants_refresh(s.model));
	lives_lost(&s);
	assert_true(model_wants_refresh(s.model));
	workers(&s, 300, 4);
	exited(&s, 999); /* an event by which it would be judged */
	expect_peak(&s, 3);
	pass(&s, MSEC);
	losses(&s, 3);
	assert_true(model_wants_reseed(s.model, TARGET));
	list(&s, 300, 4);
	sample(&s, 300, 4);
	tick(&s);
	assert_false(model_wants_refresh(s.model));
	expect_peak(&s, 4);
	expect_no_transition(&s);
	/* From here on events count again. */
	workers(&s, 400, 1);
	expect_transition(&s, "", LIMIT_OK, LIMIT_OVER, 6);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 5);
	expect_peak(&s, 5);
	script_end(&s);
}

/* Losses that do not end: each refresh counts those that were born before its sample and are in it. */
static void who_lives_for_certain_is_counted(void **state)
{
	struct script s = {0};

	ready(&s, 4, 0);
	pass(&s, SEC);
	losses(&s, 1);
	list(&s, 300, 6);
	lives_lost(&s); /* more, since they were listed */
	sample(&s, 301, 5);
	workers(&s, 10200, 3); /* born after that sample: some of the others may have ended */
	assert_true(tid(10200).start_ns > s.now);
	expect_no_transition(&s);
	tick(&s);
	expect_transition(&s, "", LIMIT_OK, LIMIT_OVER, 6);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 5);
	expect_peak(&s, 5);
	pass(&s, SEC); /* and no more come */
	losses(&s, 2);
	list(&s, 301, 5);
	sample(&s, 301, 5);
	tick(&s);
	expect_peak(&s, 5);
	expect_no_transition(&s);
	script_end(&s);
}

/* What was above the limit before is judged by what is found; until then nothing is due. */
static void a_delay_does_not_pass_on_what_is_unsure(void **state)
{
	struct script s = {0};

	ready(&s, 2, 2 * SEC);
	pass(&s, SEC);
	assert_true(model_deadline(s.model) < UINT64_MAX);
	lives_lost(&s);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	pass(&s, 5 * SEC);
	model_judge(s.model, s.now);
	expect_no_transition(&s);
	losses(&s, 2);
	list(&s, FIRST, 1);
	sample(&s, FIRST, 1);
	tick(&s);
	expect_no_transition(&s);
	expect_peak(&s, 3);
	script_end(&s);
}

/* Another's losses: nothing of its own was lost, as the next refresh knows. */
static void whose_events_all_came_counts_on(void **state)
{
	struct script s = {0};

	ready(&s, 4, 0);
	pass(&s, SEC);
	lives_lost(&s);
	workers(&s, 300, 2);
	expect_no_transition(&s);
	pass(&s, MSEC);
	losses(&s, 0);
	assert_false(model_wants_reseed(s.model, TARGET));
	tick(&s);
	expect_transition(&s, "", LIMIT_OK, LIMIT_OVER, 6);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_OVER, 5);
	expect_peak(&s, 5);
	script_end(&s);
}

/* Threads are listed before the ends of others that came earlier are read from the ring, at any reseed. */
static void a_list_runs_ahead_of_the_ring(void **state)
{
	struct script s = {0};

	ready(&s, 4, 0);
	pass(&s, SEC);
	losses(&s, 0);
	list(&s, 300, 4);
	for (uint32_t number = FIRST; number < FIRST + 3; number++)
		exited(&s, number);
	sample(&s, 300, 4);
	tick(&s);
	expect_no_transition(&s);
	expect_peak(&s, 4);
	script_end(&s);
}

/* At the attach too: the first refresh counts those that it knows of. */
static void losses_during_the_attach(void **state)
{
	struct script s = {0};

	limit(&s, "w-*", LIMIT_THREADS, 2);
	script_begin(&s);
	leader(&s);
	workers(&s, FIRST, 3);
	losses(&s, 0);
	pass(&s, MSEC);
	lives_lost(&s);
	sample(&s, FIRST, 2);
	tick(&s);
	expect_peak(&s, 2);
	expect_transition(&s, "w-*", LIMIT_OK, LIMIT_WARN, 2);
	script_end(&s);
}

/* Above the limit for some of `for`, then below it and above it again, unheard; and the other way round. */
static void a_delay_begins_anew_when_counts_are_sure_again(void **state)
{
	struct script s = {0};
	uint64_t sure_ns;

	ready(&s, 2, 2 * SEC);
	s.limits[0].clear_for_ns = s.limits[1].clear_for_ns = 2 * SEC;
	run_for(&s, 1900 * MSEC);
	lives_lost(&s);
	pass(&s, 200 * MSEC);
	losses(&s, 2);
	list(&s, 300, 3);
	sample(&s, 300, 3);
	tick(&s);
	sure_ns = s.now;
	expect_no_transition(&s);
	run_for(&s, 2 * SEC - 1);
	expect_no_transition(&s);
	run_for(&s, 100 * MSEC);
	expect_transition_at(&s, sure_ns + 2 * SEC, "", LIMIT_OK, LIMIT_OVER, 4);
	expect_transition_at(&s, sure_ns + 2 * SEC, "w-*", LIMIT_OK, LIMIT_OVER, 3);
	exited(&s, 300);
	run_for(&s, s.limits[0].clear_for_ns - 100 * MSEC);
	lives_lost(&s);
	pass(&s, 200 * MSEC);
	losses(&s, 4);
	list(&s, 301, 2);
	sample(&s, 301, 2);
	tick(&s);
	expect_no_transition(&s);
	script_end(&s);
}

/* Who had to wait for a CPU lets others wait to be counted, with those that they lived with; some of these had ended. */
static void who_lived_beside_the_dead_makes_no_peak(void **state)
{
	struct script s = {0};
	struct newborn due[4];

	ready(&s, 4, 0);
	s.limits[1].value = 9;
	pass(&s, SEC);
	for (uint32_t number = 500; number < 503; number++)
		born(&s, number, "app");
	pass(&s, 21 * MSEC);
	assert_int_equal(model_due_newborns(s.model, s.now, due, 4), 3);
	for (uint32_t number = 500; number < 503; number++)
		feed(&s, thread_fact(FACT_THREAD_ASKED, number, ""));
	lives_lost(&s); /* all three have ended */
	renamed(&s, 500, "w-1");
	renamed(&s, 501, "w-1");
	pass(&s, MSEC);
	losses(&s, 3);
	list(&s, 300, 0);
	sample(&s, 500, 3);
	tick(&s);
	exited(&s, 502);
	assert_int_equal(pool(refresh(&s), "w-*")->threads_peak, 3);
	expect_no_transition(&s);
	script_end(&s);
}

/* What was in the ring yet when threads were listed is told after it, and the ends of these were lost. */
static void who_is_told_late_is_no_ghost(void **state)
{
	struct script s = {0};

	ready(&s, 4, 0);
	pass(&s, SEC);
	lives_lost(&s);
	losses(&s, 3);
	lives_lost(&s); /* there is more */
	list(&s, 300, 2);
	sample(&s, 300, 2);
	tick(&s);
	assert_true(model_wants_refresh(s.model));
	s.now -= 10; /* before the sample */
	workers(&s, 400, 3);
	expect_no_transition(&s);
	s.now += 500 * MSEC;
	losses(&s, 3);
	sample(&s, 300, 2);
	tick(&s);
	assert_false(model_wants_refresh(s.model));
	assert_int_equal(look(&s)->targets[0].threads, 3);
	expect_peak(&s, 3);
	expect_no_transition(&s);
	script_end(&s);
}

/* Who ended unheard did not live to the end of the process, as far as anybody knows. */
static void the_last_frame_has_those_that_were_found(void **state)
{
	struct script s = {0};

	ready(&s, 9, 0);
	pass(&s, SEC);
	losses(&s, 1);
	list(&s, FIRST, 2);
	sample(&s, FIRST, 2);
	tick(&s);
	lives_lost(&s); /* the two have ended, and two batches more */
	workers(&s, 10300, 3);
	workers(&s, 10400, 3);
	pass(&s, 100 * SEC);
	feed(&s, (struct fact){.kind = FACT_TARGET_GONE, .gone = {.how = TARGET_END_EXITED}});
	assert_int_equal(look(&s)->targets[0].threads, 3);
	assert_int_equal(pool(&s.snapshot->targets[0], "w-*")->threads, 2);
	expect_peak(&s, 3);
	expect_no_transition(&s);
	script_end(&s);
}

/* Threads of a new image, listed by a reseed before the exec was told of: their births were lost, so they are listed again. */
static void who_was_listed_before_an_exec_is_listed_again(void **state)
{
	struct script s = {0};
	struct fact image = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/usr/bin/app",
								   .name = "app", .comm = "app"}};

	ready(&s, 9, 0);
	pass(&s, SEC);
	image.target_info.image_ns = s.now;
	pass(&s, MSEC);
	lives_lost(&s);
	losses(&s, 4);
	list(&s, 300, 4);
	assert_false(model_wants_reseed(s.model, TARGET));
	feed(&s, image);
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	assert_true(model_wants_reseed(s.model, TARGET));
	list(&s, 300, 4);
	sample(&s, 300, 4);
	tick(&s);
	assert_int_equal(pool(&look(&s)->targets[0], "w-*")->threads, 4);
	assert_false(model_wants_reseed(s.model, TARGET));
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_ended_unheard_is_not_counted),
		cmocka_unit_test(who_lives_for_certain_is_counted),
		cmocka_unit_test(a_delay_does_not_pass_on_what_is_unsure),
		cmocka_unit_test(whose_events_all_came_counts_on),
		cmocka_unit_test(a_list_runs_ahead_of_the_ring),
		cmocka_unit_test(losses_during_the_attach),
		cmocka_unit_test(a_delay_begins_anew_when_counts_are_sure_again),
		cmocka_unit_test(who_lived_beside_the_dead_makes_no_peak),
		cmocka_unit_test(who_is_told_late_is_no_ghost),
		cmocka_unit_test(the_last_frame_has_those_that_were_found),
		cmocka_unit_test(who_was_listed_before_an_exec_is_listed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
