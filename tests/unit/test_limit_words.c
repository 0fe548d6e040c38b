/* SPDX-License-Identifier: GPL-2.0-only */
/* What the dashboard says of limits: those that watch nothing, those that are held, and those of other targets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <time.h>

#include "fixture_words.h"

/* A limit that watches nothing says so, and says so once. */
static void test_limits_that_watch_nothing(void **state)
{
	static struct snapshot_unmatched unmatched[] = {
		{ "annyio*", LIMIT_THREADS, LIMIT_SOURCE_OPTION },
		{ "annyio*", LIMIT_RESIDENT_BYTES, LIMIT_SOURCE_OPTION },
		{ "\033[2J", LIMIT_THREADS, LIMIT_SOURCE_CONFIG },
	};
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	struct snapshot_limit *limit = &fixture->pool_limits[2];
	char *text;

	target->unmatched = unmatched;
	target->n_unmatched = ARRAY_SIZE(unmatched);
	assert_says(fixture, "no pool matches 'annyio*' yet: its limit watches nothing\n");
	assert_says(fixture, "no pool matches '\\x1b[2J' yet");
	text = words_of(fixture);
	assert_null(strstr(strstr(text, "annyio*") + 1, "annyio*"));
	assert_null(strstr(text, "not judged"));
	free(text);
	*limit = (struct snapshot_limit){ LIMIT_THREADS, LIMIT_OK, LIMIT_SOURCE_CONFIG, 7, UNKNOWN_U64, 0, 0, true, 0, false, 0 };
	assert_says(fixture, "limit of threads not judged: the capacity of ThreadPoolExecutor-0_* is not known\n");
	assert_says(fixture, "7/-/- n/a ");
	*limit = (struct snapshot_limit){ LIMIT_THREADS, LIMIT_OK, LIMIT_SOURCE_CONFIG, 7, 1, 0, 0, false, 11500000000, false, 0 };
	assert_says(fixture, "ThreadPoolExecutor-0_*: 7 threads > 1, over its limit if so in 12 s\n");
	*limit = (struct snapshot_limit){ LIMIT_THREADS, LIMIT_OVER, LIMIT_SOURCE_CONFIG, 1, 0, 0, 0, false, 0, false, 0 };
	assert_says(fixture, "OVER ThreadPoolExecutor-0_*: 1 thread > 0\n");
	*limit = (struct snapshot_limit){ LIMIT_THREADS, LIMIT_WARN, LIMIT_SOURCE_CONFIG, 0, 10, 0, 0, false, 0, true, 0 };
	assert_says(fixture, "NEAR ThreadPoolExecutor-0_*: 0 threads of 10, below by now: held for its clear_for\n");
	*limit = (struct snapshot_limit){ LIMIT_THREADS, LIMIT_OVER, LIMIT_SOURCE_CONFIG, 0, UNKNOWN_U64, 0, 0, true, 0, false, 0 };
	assert_says(fixture, "OVER ThreadPoolExecutor-0_*: 0 threads of n/a, not known by now: held for its clear_for\n");
	*limit = (struct snapshot_limit){ LIMIT_THREADS, LIMIT_OVER, LIMIT_SOURCE_CONFIG, 1, 0, 0, 0, false, 0, false, 0 };
	fixture->process_limits[1].max = UNKNOWN_U64;
	text = words_of(fixture); /* built in: nobody asked for it */
	assert_null(strstr(text, "pids.max is set"));
	free(text);
	fixture->process_limits[1].source = LIMIT_SOURCE_OPTION;
	assert_says(fixture, "process: limit of threads not judged: no pids.max is set, or it is not known\n");
	target->ended = true;
	assert_says(fixture, "no pool matched 'annyio*': its limit watched nothing\n");
}

/* Only one target is in sight: that another is over is said, and that a limit watches a pool of another's is no slip. */
static void test_other_targets_limits(void **state)
{
	static struct snapshot_target targets[3];
	static struct snapshot_unmatched unmatched = { "pB-*", LIMIT_THREADS, LIMIT_SOURCE_OPTION };
	static struct snapshot_pool pool = { .name = "p\033-*" };
	static struct snapshot_limit limit = { LIMIT_THREADS, LIMIT_OVER, LIMIT_SOURCE_OPTION, 3, 2, 0, 0, false, 0, false, 0 };
	struct fixture *fixture = fixture_snapshot();
	char *text;

	targets[0] = targets[1] = targets[2] = fixture->targets[0];
	targets[0].unmatched = &unmatched;
	targets[0].n_unmatched = 1;
	for (size_t i = 1; i < ARRAY_SIZE(targets); i++) {
		targets[i].info.pid = 4000 + (uint32_t)i;
		snprintf(targets[i].info.name, sizeof(targets[i].info.name), "other");
		targets[i].pools = &pool;
		targets[i].n_pools = 1;
		targets[i].n_limits = 0;
	}
	pool.limits = &limit;
	pool.n_limits = 1;
	fixture->snapshot.targets = targets;
	fixture->snapshot.n_targets = 2;
	assert_says(fixture, "OVER in another target, other (PID 4001): p\\x1b-* (Tab)\n");
	text = words_of(fixture);
	assert_null(strstr(text, "no pool matches"));
	free(text);
	fixture->snapshot.n_targets = 3;
	assert_says(fixture, "OVER in 2 other targets, first other (PID 4001): p\\x1b-* (Tab)\n");
	targets[1].ended = true;
	assert_says(fixture, "OVER in another target, other (PID 4002): p\\x1b-* (Tab)\n");
	limit.state = LIMIT_WARN;
	text = words_of(fixture);
	assert_null(strstr(text, "other target"));
	free(text);
	targets[1].unmatched = targets[2].unmatched = &unmatched;
	targets[1].n_unmatched = targets[2].n_unmatched = 1;
	assert_says(fixture, "no pool matches 'pB-*' yet: its limit watches nothing\n");
	/* A target that has ended, or that another entry is for, does not have the pool. */
	targets[1].n_unmatched = 0;
	assert_says(fixture, "no pool matches 'pB-*' yet: its limit watches nothing\n");
	targets[1].ended = false;
	text = words_of(fixture);
	assert_null(strstr(text, "no pool matches"));
	free(text);
	targets[1].info.policy = 1;
	unmatched.source = LIMIT_SOURCE_CONFIG;
	assert_says(fixture, "no pool matches 'pB-*' yet: its limit watches nothing\n");
}

/* What fell away with a target that has ended is no news of it: the last frame's figures are those of before. */
static void test_the_last_frame_of_one_that_was_over(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	char *text;

	fixture->targets[0].ended = true;
	fixture->process_limits[1] = (struct snapshot_limit){
		LIMIT_THREADS, LIMIT_OVER, LIMIT_SOURCE_OPTION, 13, 9, 0, 1, false, 0, true, 0
	};
	assert_says(fixture, "OVER process: 13 threads > 9\n");
	fixture->process_limits[1].state = LIMIT_WARN;
	text = words_of(fixture);
	assert_null(strstr(text, "below by now"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits_that_watch_nothing),
		cmocka_unit_test(test_other_targets_limits),
		cmocka_unit_test(test_the_last_frame_of_one_that_was_over),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
