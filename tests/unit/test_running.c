/* SPDX-License-Identifier: GPL-2.0-only */
/* Samples of who runs: counted once each, for the pool that the thread is shown in, from one refresh to the next. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"

static void runs(struct script *s, uint32_t number)
{
	feed(s, thread_fact(FACT_THREAD_RUNNING, number, ""));
}

static void sampled(struct script *s)
{
	feed(s, (struct fact){.kind = FACT_RUNNING_SAMPLED});
	pass(s, 200 * MSEC);
}

static void state_of(struct script *s, uint32_t number, char state)
{
	struct fact fact = thread_fact(FACT_THREAD_SAMPLED, number, "");

	fact.thread.state = state;
	feed(s, fact);
}

static void two_pools(struct script *s)
{
	script_begin(s);
	leader(s);
	for (uint32_t i = 1; i <= 3; i++) {
		seen(s, 200 + i, "worker-1");
		seen(s, 300 + i, "idler-1");
	}
	refresh(s);
}

static void mean_and_peak_are_of_the_samples(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	two_pools(&s);
	for (uint32_t i = 1; i <= 3; i++)
		runs(&s, 200 + i);
	sampled(&s);
	runs(&s, 202);
	sampled(&s);
	sampled(&s);
	state_of(&s, 201, 'S');
	state_of(&s, 202, 'R');
	state_of(&s, 203, 'R');
	target = refresh(&s);
	assert_int_equal(target->running_samples, 4); /* the refresh's own is one of them */
	assert_int_equal(pool(target, "worker-*")->running, 2); /* at the last one */
	assert_int_equal(pool(target, "worker-*")->running_peak, 3);
	assert_true(pool(target, "worker-*")->running_mean == 6 / 4.0);
	assert_int_equal(pool(target, "idler-*")->running_peak, 0);
	assert_true(pool(target, "idler-*")->running_mean == 0);
	/* Each window for itself. */
	runs(&s, 301);
	sampled(&s);
	target = refresh(&s);
	assert_int_equal(target->running_samples, 1); /* states were not read again */
	assert_int_equal(pool(target, "worker-*")->running, 2);
	assert_int_equal(pool(target, "worker-*")->running_peak, 0);
	assert_int_equal(pool(target, "idler-*")->running_peak, 1);
	assert_true(pool(target, "idler-*")->running_mean == 1);
	script_end(&s);
}

static void without_a_sample_nothing_is_known(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	two_pools(&s);
	target = refresh(&s);
	assert_int_equal(target->running_samples, 0);
	assert_true(isnan(pool(target, "worker-*")->running_mean));
	assert_int_equal(pool(target, "worker-*")->running_peak, UNKNOWN_U64);
	script_end(&s);
}

static void twice_is_once(void **state)
{
	struct script s = {0};
	struct fact late;
	const struct snapshot_target *target;

	two_pools(&s);
	runs(&s, 201);
	runs(&s, 201);
	runs(&s, 999); /* nobody */
	late = thread_fact(FACT_THREAD_RUNNING, 202, "");
	late.target = TARGET;
	late.time_ns = s.now;
	feed(&s, (struct fact){.kind = FACT_RUNNING_SAMPLED});
	feed(&s, (struct fact){.kind = FACT_RUNNING_SAMPLED});
	/* The sample is complete: who comes after that, with its time, is not in it. */
	assert_int_equal(model_apply(s.model, &late), 0);
	feed(&s, (struct fact){.kind = FACT_RUNNING_SAMPLED});
	pass(&s, 200 * MSEC);
	target = refresh(&s);
	assert_int_equal(target->running_samples, 1);
	assert_int_equal(pool(target, "worker-*")->running_peak, 1);
	assert_true(pool(target, "worker-*")->running_mean == 1);
	late.thread.id.tid = 0;
	assert_int_equal(model_apply(s.model, &late), -EINVAL);
	script_end(&s);
}

/* A newborn is shown in its creator's pool until its name counts; there it runs. */
static void a_newborn_runs_where_it_is_shown(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	two_pools(&s);
	born(&s, 400, "app");
	runs(&s, 400);
	feed(&s, (struct fact){.kind = FACT_RUNNING_SAMPLED});
	renamed(&s, 400, "late-1");
	target = refresh(&s);
	assert_int_equal(pool(target, "main")->running_peak, 1);
	assert_int_equal(pool(target, "late-*")->running_peak, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mean_and_peak_are_of_the_samples),
		cmocka_unit_test(without_a_sample_nothing_is_known),
		cmocka_unit_test(twice_is_once),
		cmocka_unit_test(a_newborn_runs_where_it_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
