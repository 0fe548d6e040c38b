/* SPDX-License-Identifier: GPL-2.0-only */
/* Page faults of threads and pools: how many, and how many a second. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"

static void faults_by_the_second(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact sample = thread_fact(FACT_THREAD_SAMPLED, 200, "w-1");

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1"); /* 0 so far, of which nothing is news */
	target = refresh(&s);
	assert_true(thread(target, 200)->faults_per_second == UNKNOWN_U64);
	pass(&s, SEC);
	sample.thread.faults = 3000;
	feed(&s, sample);
	pass(&s, 2 * SEC);
	sample.thread.faults = 5000;
	feed(&s, sample);
	target = refresh(&s);
	assert_in_range(thread(target, 200)->faults_per_second, 990, 1000);
	/* the pool's is over the time since the last refresh, three seconds and a little */
	assert_in_range(pool(target, "w-*")->faults_per_second, 1200, 1667);
	assert_int_equal(pool(target, "w-*")->faults_total, 5000);
	/* a newborn's rate is over the moment since its birth, and no more than its count to the pool */
	pass(&s, 10 * SEC - SEC / 10);
	born(&s, 201, "w-2");
	sample = thread_fact(FACT_THREAD_SAMPLED, 201, "w-2");
	sample.thread.faults = 400;
	pass(&s, SEC / 10);
	feed(&s, sample);
	target = refresh(&s);
	assert_true(thread(target, 201)->faults_per_second > 3000);
	assert_in_range(pool(target, "w-*")->faults_per_second, 30, 40);
	assert_int_equal(pool(target, "w-*")->faults_total, 5400);
	/* one refresh upon the other: too short to tell a rate, but counted, and in the next rate */
	sample.thread.faults = 600;
	pass(&s, SEC / 200);
	feed(&s, sample);
	tick(&s);
	target = look(&s)->targets;
	assert_in_range(pool(target, "w-*")->faults_per_second, 30, 40);
	assert_int_equal(pool(target, "w-*")->faults_total, 5600);
	target = refresh(&s);
	assert_in_range(pool(target, "w-*")->faults_per_second, 190, 200);
	sample.thread.faults = 700;
	pass(&s, SEC / 200);
	feed(&s, sample);
	pass(&s, SEC / 200);
	sample.thread.faults = 900;
	feed(&s, sample);
	tick(&s);
	target = look(&s)->targets;
	assert_in_range(thread(target, 201)->faults_per_second, 95, 100); /* from 600 to 700; not 200 in 5 ms */
	assert_int_equal(pool(target, "w-*")->faults_total, 5900);
	sample = thread_fact(FACT_THREAD_EXITED, 201, "w-2");
	feed(&s, sample);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->faults_total, 5900);
	assert_int_equal(s.snapshot->groups[0].pools[1].faults_total, 5900);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_by_the_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
