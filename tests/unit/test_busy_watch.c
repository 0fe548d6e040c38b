/* SPDX-License-Identifier: GPL-2.0-only */
/* When a smaller pool is advised, and when not: each condition by itself, then all of them through the model and in
 * words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"
#include "model/busy_watch.h"
#include "view/right_size.h"

#define MINUTES (60ULL)
#define EACH (64 * MIB)

/* A watch of 40 workers, of which 7 are busy, looked at every second. */
struct watching {
	struct busy_watch watch;
	struct busy_look look;
};

static struct watching watching(void)
{
	return (struct watching){.look = {.time_ns = 5000 * SEC, .executor = 3, .workers = 40, .started = 2, .busy = 7}};
}

static void look_for(struct watching *all, uint64_t seconds)
{
	for (uint64_t i = 0; i < seconds; i++) {
		busy_watch_look(&all->watch, &all->look);
		all->look.time_ns += SEC;
	}
}

static struct snapshot_right_size advice(const struct watching *all)
{
	return busy_watch_advise(&all->watch, all->look.time_ns, all->look.workers, EACH);
}

static void what_would_do(void **state)
{
	struct watching all = watching();
	struct snapshot_right_size size;

	look_for(&all, 30 * MINUTES + 1);
	size = advice(&all);
	assert_int_equal(size.workers, 8);
	assert_int_equal(size.frees_bytes, 32 * EACH);
	assert_int_equal(size.observed_seconds, 30 * MINUTES);
	assert_int_equal(size.looks, 30 * MINUTES + 1);
	assert_int_equal(size.busy_peak, 7);
	assert_int_equal(size.demand_peak, 7);
}

/* Bursts that are over before a look sees them: what had work meanwhile is told beside what was seen. */
static void bursts_between_looks(void **state)
{
	struct snapshot_pool pool = {.name = "resize_*", .threads = 40};
	const struct snapshot_target target = {.pools = &pool, .n_pools = 1};
	const struct words_options options = {.utf8 = true};
	struct watching all = watching();
	struct word words[1];

	all.look.active = 40; /* before the watch */
	look_for(&all, 1);
	all.look.active = 7;
	look_for(&all, 5 * MINUTES);
	all.look.active = 9;
	look_for(&all, 1);
	all.look.active = 3;
	look_for(&all, 5 * MINUTES);
	pool.right_size = advice(&all);
	assert_int_equal(pool.right_size.active_peak, 9);
	assert_int_equal(right_size_words(&target, &options, words, 1), 1);
	assert_non_null(strstr(words[0].text, "8 would do and free about 2.00G; between two looks up to 9 had work, at once or in turn"));
	pool.right_size.active_peak = 8;
	assert_int_equal(right_size_words(&target, &options, words, 1), 1);
	assert_null(strstr(words[0].text, "between two looks"));
}

static void too_short_a_time_says_nothing(void **state)
{
	struct watching all = watching();

	look_for(&all, 10 * MINUTES);
	assert_int_equal(advice(&all).workers, 0);
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 8);
}

static void the_peak_counts_and_not_the_present(void **state)
{
	struct watching all = watching();

	all.look.busy = 21;
	look_for(&all, 1);
	all.look.busy = 1;
	look_for(&all, 60 * MINUTES);
	assert_int_equal(advice(&all).workers, 24); /* and a tenth */
	assert_int_equal(advice(&all).busy_peak, 21);
}

static void little_to_gain_is_not_told(void **state)
{
	static const struct {
		uint64_t workers, busy, advised;
	} cases[] = {
		{40, 27, 30}, {40, 28, 0}, {40, 40, 0}, {40, 41, 0}, {4, 1, 2}, {4, 2, 3}, {4, 3, 0}, {2, 1, 0}, {1, 1, 0},
		{3, 1, 2}, {1000, 600, 660}, {UNKNOWN_U64 - 1, UNKNOWN_U64 - 1, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct watching all = watching();

		all.look.workers = cases[i].workers;
		all.look.busy = cases[i].busy;
		look_for(&all, 11 * MINUTES);
		assert_int_equal(advice(&all).workers, cases[i].advised);
	}
}

static void nobody_busy_is_no_load(void **state)
{
	struct watching all = watching();

	all.look.busy = 0;
	look_for(&all, 60 * MINUTES);
	assert_int_equal(advice(&all).workers, 0);
}

static void what_waited_was_asked_for(void **state)
{
	struct watching all = watching();

	all.look.queued = 3; /* with idle workers: on its way to them */
	look_for(&all, 1);
	all.look.queued = 0;
	look_for(&all, 11 * MINUTES);
	assert_int_equal(advice(&all).workers, 11);
	assert_int_equal(advice(&all).busy_peak, 7);
	assert_int_equal(advice(&all).demand_peak, 10);
	/* A queue while all were busy: never again. */
	all.look.busy = 40;
	all.look.queued = 1;
	look_for(&all, 1);
	all.look.busy = 7;
	all.look.queued = 0;
	look_for(&all, 60 * MINUTES);
	assert_int_equal(advice(&all).workers, 0);
	all.look.queued = UNKNOWN_U64 - 1; /* hostile */
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 0);
}

/* A pool adds a worker when it finds none idle, however short that was: so from then on is counted. */
static void a_worker_more_begins_anew(void **state)
{
	struct watching all = watching();

	look_for(&all, 11 * MINUTES);
	assert_int_equal(advice(&all).workers, 8);
	all.look.workers = 41;
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 0);
	look_for(&all, 10 * MINUTES);
	assert_int_equal(advice(&all).workers, 8);
	/* One came and another went. */
	all.look.started++;
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 0);
	look_for(&all, 10 * MINUTES);
	assert_int_equal(advice(&all).workers, 8);
	/* Fewer workers are no reason. */
	all.look.workers = 30;
	look_for(&all, 1);
	assert_int_equal(advice(&all).frees_bytes, 22 * EACH);
}

static void another_executor_begins_anew(void **state)
{
	struct watching all = watching();

	look_for(&all, 11 * MINUTES);
	all.look.executor = 4;
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 0);
	look_for(&all, 10 * MINUTES);
	assert_int_equal(advice(&all).workers, 8);
	all.look.executor = 0; /* none, or several of which no single setting is told */
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 0);
}

static void what_is_not_proven_is_no_look(void **state)
{
	struct watching all = watching();

	look_for(&all, 9 * MINUTES);
	all.look.busy = UNKNOWN_U64;
	look_for(&all, 5);
	all.look.busy = 7;
	all.look.queued = UNKNOWN_U64;
	look_for(&all, 4);
	all.look.queued = 0;
	look_for(&all, 61);
	assert_int_equal(advice(&all).workers, 8);
	assert_int_equal(advice(&all).looks, 9 * MINUTES + 61);
	/* A gap begins anew; and while nothing is seen, nothing is told. */
	all.look.time_ns += 12 * SEC;
	assert_int_equal(advice(&all).workers, 0);
	look_for(&all, 1);
	assert_int_equal(advice(&all).workers, 0);
	look_for(&all, 10 * MINUTES);
	assert_int_equal(advice(&all).workers, 8);
}

static void without_memory_nothing_is_told(void **state)
{
	struct watching all = watching();

	look_for(&all, 11 * MINUTES);
	assert_int_equal(busy_watch_advise(&all.watch, all.look.time_ns, 40, UNKNOWN_U64).workers, 0);
	assert_int_equal(busy_watch_advise(&all.watch, all.look.time_ns, 40, UNKNOWN_U64 / 2).workers, 0);
	all = watching();
	assert_int_equal(advice(&all).workers, 0);
}

/* ---- through the model, and in words ------------------------------------------------------------- */

#define WORKERS 20U

static void told(struct script *s, uint64_t passes, uint64_t id, uint64_t queued, uint32_t busy)
{
	struct fact runtime = {.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = passes}};
	struct fact fact = {.kind = FACT_EXECUTOR, .executor = {.id = id, .kind = EXECUTOR_FUTURES, .name = "resize_0",
								.instance = 1, .capacity = WORKERS, .queued = queued,
								.busy = busy, .idle = WORKERS - busy, .workers = WORKERS}};

	feed(s, runtime);
	feed(s, fact);
	for (uint32_t i = 0; i < WORKERS; i++)
		feed(s, (struct fact){.kind = FACT_WORKER,
				      .worker = {.id = tid(200 + i), .executor = id,
						 .activity = i < busy ? WORKER_BUSY : WORKER_IDLE}});
}

static void pool_of_twenty(struct script *s)
{
	script_begin(s);
	leader(s);
	for (uint32_t i = 0; i < WORKERS; i++) {
		seen(s, 200 + i, "app");
		mapped(s, 200 + i, 0x10000000 + i * 4 * MIB, 4 * MIB);
		resident(s, 0x10000000 + i * 4 * MIB, 4 * MIB, 2 * MIB);
	}
}

static void through_the_model(void **state)
{
	struct words_options options = {.utf8 = true};
	struct script s = {0};
	const struct snapshot_target *target = NULL;
	const struct snapshot_pool *found;
	struct snapshot_pool shared;
	struct word words[4];
	uint64_t passes = 0;

	pool_of_twenty(&s);
	for (uint32_t i = 0; i <= 600; i++) {
		told(&s, ++passes, 1, 0, i == 300 ? 4 : 2);
		target = refresh(&s);
		assert_int_equal(pool(target, "resize_*")->right_size.workers, i < 600 ? 0 : 5);
	}
	found = pool(target, "resize_*");
	assert_int_equal(found->right_size.frees_bytes, 15 * 2 * MIB);
	assert_int_equal(found->busy_peak, 4);
	assert_int_equal(pool(target, "main")->right_size.workers, 0);
	assert_int_equal(right_size_words(target, &options, words, 4), 1);
	assert_string_equal(words[0].text, "resize_*: 20 workers, at most 4 seen busy in 10 min (601 looks) at this load; "
					   "5 would do and free about 30.0M");
	assert_int_equal(right_size_words(target, &options, words, 0), 0);
	shared = *found;
	shared.memory.shared = true;
	assert_int_equal(right_size_words(&(struct snapshot_target){.pools = &shared, .n_pools = 1}, &options, words, 4), 1);
	assert_non_null(strstr(words[0].text, "5 would do and free at most 30.0M"));
	shared.right_size.frees_bytes = UNKNOWN_U64;
	assert_int_equal(right_size_words(&(struct snapshot_target){.pools = &shared, .n_pools = 1,
								    .unattributed = {[UNATTRIBUTED_BEFORE_ATTACH] = 4 * MIB}},
					  &options, words, 4), 1);
	assert_non_null(strstr(words[0].text,
			       "5 would do (what that frees is not known: 4.00M are from before the attach, or lost)"));
	/* Refreshes without a reading are no looks. */
	for (uint32_t i = 0; i < 9; i++)
		target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->right_size.looks, 601);
	told(&s, ++passes, 1, 2, 4);
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->right_size.workers, 7);
	assert_int_equal(right_size_words(target, &options, words, 4), 1);
	assert_non_null(strstr(words[0].text, "at most 6 seen busy or asked for in 10 min (602 looks)"));
	/* One more executor in the pool: there is no one setting. */
	told(&s, ++passes, 1, 0, 4);
	feed(&s, (struct fact){.kind = FACT_EXECUTOR, .executor = {.id = 2, .kind = EXECUTOR_FUTURES, .name = "resize_0",
								    .instance = 1, .capacity = 1, .queued = 0}});
	feed(&s, (struct fact){.kind = FACT_WORKER, .worker = {.id = tid(200), .executor = 2,
								.activity = WORKER_BUSY}});
	target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->right_size.workers, 0);
	script_end(&s);
}

/* A reading that is put off says nothing of now: how old it is, is told, and after half a minute nothing else. */
static void what_was_read_long_ago(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	pool_of_twenty(&s);
	assert_true(isnan(refresh(&s)->activity_age_seconds));
	assert_true(isnan(s.snapshot->groups[0].activity_age_seconds));
	told(&s, 1, 1, 3, 7);
	feed(&s, (struct fact){.kind = FACT_RUNTIME, .runtime = {.name = "cpython 3.11.2", .passes = 2, .failed_passes = 1}});
	target = refresh(&s);
	assert_true(target->activity_age_seconds < 1.1);
	for (int i = 0; i < 28; i++)
		target = refresh(&s);
	assert_true(target->activity_age_seconds > 28 && target->activity_age_seconds < 30);
	assert_true(s.snapshot->groups[0].activity_age_seconds == target->activity_age_seconds);
	assert_int_equal(pool(target, "resize_*")->busy, 7);
	assert_int_equal(pool(target, "resize_*")->queued, 3);
	assert_int_equal(thread(target, 200)->activity, WORKER_BUSY);
	for (int i = 0; i < 2; i++)
		target = refresh(&s);
	assert_int_equal(pool(target, "resize_*")->busy, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->queued, UNKNOWN_U64);
	assert_int_equal(pool(target, "resize_*")->capacity, WORKERS); /* that does not change with what they do */
	assert_int_equal(pool(target, "resize_*")->busy_peak, 7);
	assert_int_equal(thread(target, 200)->activity, WORKER_UNKNOWN);
	told(&s, 3, 1, 0, 2);
	assert_int_equal(pool(refresh(&s), "resize_*")->busy, 2);
	script_end(&s);
}

/* Nobody knows whose that is which was there at the attach: with it the workers may free several times as much. */
static void what_is_freed_is_told_where_memory_is_known(void **state)
{
	static const struct {
		uint64_t untold, frees;
	} cases[] = {{0, 30 * MIB}, {3 * MIB, 30 * MIB}, {4 * MIB, UNKNOWN_U64}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct script s = {0};
		const struct snapshot_target *target = NULL;

		pool_of_twenty(&s);
		if (cases[i].untold) {
			seed_begin(&s, SEED_ATTACH);
			for (uint32_t w = 0; w < WORKERS; w++)
				range(&s, FACT_RANGE_SEEN, 0, 0x10000000 + w * 4 * MIB, 4 * MIB, RW, RANGE_ANON);
			range(&s, FACT_RANGE_SEEN, 0, 0x90000000, cases[i].untold, RW, RANGE_ANON);
			seed_end(&s);
			resident(&s, 0x90000000, cases[i].untold, cases[i].untold);
		}
		for (uint64_t look = 1; look <= 601; look++) {
			told(&s, look, 1, 0, 4);
			target = refresh(&s);
		}
		assert_int_equal(pool(target, "resize_*")->right_size.workers, 5);
		assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], cases[i].untold);
		assert_int_equal(pool(target, "resize_*")->right_size.frees_bytes, cases[i].frees);
		script_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_freed_is_told_where_memory_is_known),
		cmocka_unit_test(what_would_do),
		cmocka_unit_test(bursts_between_looks),
		cmocka_unit_test(too_short_a_time_says_nothing),
		cmocka_unit_test(the_peak_counts_and_not_the_present),
		cmocka_unit_test(little_to_gain_is_not_told),
		cmocka_unit_test(nobody_busy_is_no_load),
		cmocka_unit_test(what_waited_was_asked_for),
		cmocka_unit_test(a_worker_more_begins_anew),
		cmocka_unit_test(another_executor_begins_anew),
		cmocka_unit_test(what_is_not_proven_is_no_look),
		cmocka_unit_test(without_memory_nothing_is_told),
		cmocka_unit_test(what_was_read_long_ago),
		cmocka_unit_test(through_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
