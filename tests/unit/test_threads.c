/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads by (tid, start): births and ends in any order and more than once, what
 * the dead leave behind, and the bound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model/threads.h"
#include "model_facts.h"

static void born_and_seen_are_one_thread(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact;

	script_begin(&s);
	leader(&s);
	/* the seed saw it first, by ticks; then its birth is drained, twice */
	fact = thread_fact(FACT_THREAD_SEEN, 200, "worker-1");
	fact.thread.id = tid_ticks(200);
	feed(&s, fact);
	target = refresh(&s);
	assert_int_equal(pool(target, "worker-*")->threads_started, 0);
	fact = thread_fact(FACT_THREAD_BORN, 200, "app");
	fact.thread.creator = tid(PID);
	feed(&s, fact);
	feed(&s, fact);
	fact = thread_fact(FACT_THREAD_SEEN, 200, "worker-1");
	feed(&s, fact);
	target = refresh(&s);
	assert_int_equal(target->threads, 2);
	assert_int_equal(pool(target, "worker-*")->threads, 1);
	assert_int_equal(pool(target, "worker-*")->threads_started, 1);
	assert_int_equal(pool(target, "worker-*")->threads_peak, 1);
	assert_int_equal(thread(target, 200)->id.start_ns, tid(200).start_ns); /* the exact one is kept */
	assert_int_equal(thread(target, 200)->creator.tid, PID);
	script_end(&s);
}

static void an_end_counts_once_and_nobody_comes_back(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "worker-1");
	exited(&s, 200);
	exited(&s, 200);
	seen(&s, 200, "worker-1"); /* read from /proc before it ended, applied late */
	exited(&s, 300);           /* never heard of */
	seen(&s, 300, "worker-2");
	target = refresh(&s);
	assert_int_equal(target->threads, 1);
	assert_int_equal(pool(target, "worker-*")->threads_started, 1);
	assert_int_equal(pool(target, "worker-*")->threads_exited, 1);
	assert_null(find_pool(target, "worker-2"));
	script_end(&s);
}

static void a_reused_tid_is_another_thread(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "old-1");
	mapped(&s, 200, 0x10000000, MIB);
	resident(&s, 0x10000000, MIB, 4096);
	/* its end was lost; a birth with the same tid says that it is gone */
	fact = thread_fact(FACT_THREAD_BORN, 200, "new-1");
	fact.thread.id.start_ns += 5 * SEC;
	feed(&s, fact);
	target = refresh(&s);
	assert_int_equal(target->threads, 2);
	assert_int_equal(pool(target, "old-*")->threads_exited, 1);
	assert_int_equal(pool(target, "old-*")->memory.orphaned_bytes, 4096);
	assert_int_equal(pool(target, "new-*")->memory.resident_bytes, 0);
	/* what is told of the former one late concerns nobody */
	exited(&s, 200);
	seen(&s, 200, "old-1");
	target = refresh(&s);
	assert_int_equal(pool(target, "new-*")->threads, 1);
	assert_int_equal(target->threads, 2);
	script_end(&s);
}

static void a_start_of_zero_equals_any(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	leader(&s);
	fact = thread_fact(FACT_THREAD_SEEN, 200, "worker-1");
	fact.thread.id.start_ns = 0;
	feed(&s, fact);
	born(&s, 200, "worker-1");
	assert_int_equal(refresh(&s)->threads, 2);
	assert_int_equal(thread(&s.snapshot->targets[0], 200)->id.start_ns, tid(200).start_ns);
	exited(&s, 200);
	assert_int_equal(refresh(&s)->threads, 1);
	script_end(&s);
}

static void a_name_read_before_the_renaming_is_old(void **state)
{
	struct script s = {0};
	struct fact fact = {0};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "old-1");
	pass(&s, SEC);
	renamed(&s, 200, "new-1");
	fact = thread_fact(FACT_THREAD_SEEN, 200, "old-1");
	fact.target = TARGET;
	fact.time_ns = s.now - 1;
	assert_int_equal(model_apply(s.model, &fact), 0);
	assert_string_equal(thread(refresh(&s), 200)->name, "new-1");
	/* but a renaming that was lost is learnt from a reseed */
	seen(&s, 200, "newer-1");
	assert_string_equal(pool_name_of(refresh(&s), 200), "newer-*");
	script_end(&s);
}

static void zombies_are_no_threads(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	leader(&s);
	fact = thread_fact(FACT_THREAD_SEEN, 200, "worker-1");
	fact.thread.state = 'Z';
	feed(&s, fact);
	assert_int_equal(refresh(&s)->threads, 1);
	script_end(&s);
}

static void the_bound_refuses_and_counts(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin_with(&s, (struct model_options){.max_threads = 3});
	attach_as(&s, TARGET, PID, "app");
	for (uint32_t i = 0; i < 5; i++)
		seen(&s, 200 + i, "w-1");
	target = refresh(&s);
	assert_int_equal(target->threads, 3);
	assert_int_equal(target->refused[TABLE_OF_THREADS], 2);
	exited(&s, 201);
	seen(&s, 210, "w-1");
	assert_int_equal(refresh(&s)->threads, 3);
	script_end(&s);
}

static void churn_does_not_pile_up(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 20000; i++) {
		born(&s, 1000 + i, "w-1");
		mapped(&s, 1000 + i, 0x10000000, 4096);
		unmapped(&s, 1000 + i, 0x10000000, 4096);
		exited(&s, 1000 + i);
		if (i % 100 == 0)
			refresh(&s);
	}
	target = refresh(&s);
	assert_int_equal(target->threads, 1);
	assert_int_equal(target->ranges, 0);
	assert_int_equal(pool(target, "w-*")->threads_started, 20000);
	assert_int_equal(pool(target, "w-*")->threads_exited, 20000);
	script_end(&s);
}

/* A second of churn takes no more memory than the living do, and an eighth. */
static void the_ended_give_their_slots_to_the_newborn(void **state)
{
	struct threads threads;
	struct thread *thread;

	assert_int_equal(threads_init(&threads, 65536), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(threads_add(&threads, tid(1000 + i), &thread), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		assert_int_equal(threads_add(&threads, tid(5000 + i), &thread), 0);
		threads_end(&threads, thread, i);
	}
	assert_int_equal(threads.living, 1000);
	assert_in_range(threads.n_slots, 1001, 1200);
	for (uint32_t i = 0; i < 1000; i++)
		assert_non_null(threads_find(&threads, tid(1000 + i)));
	threads_clear(&threads);
}

static void five_hundred_end_before_the_first_refresh(uint32_t max_threads, uint64_t counted)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin_with(&s, (struct model_options){.max_threads = max_threads});
	attach_as(&s, TARGET, PID, "app");
	leader(&s);
	for (uint32_t i = 0; i < 500; i++) {
		born(&s, 1000 + i, "w-1");
		exited(&s, 1000 + i);
	}
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->threads_started, counted);
	assert_int_equal(pool(target, "w-*")->threads_exited, counted);
	assert_int_equal(target->refused[TABLE_OF_THREADS], 500 - counted);
	script_end(&s);
}

/* Who ends before the first refresh waits for its pool, and is counted there, however many others do; but not more than twice
 * the bound: it is a bound of memory. */
static void who_ends_while_all_are_listed_is_counted(void **state)
{
	five_hundred_end_before_the_first_refresh(300, 500);
	five_hundred_end_before_the_first_refresh(100, 199);
}

static void sample(struct script *s, uint32_t number, char letter, uint64_t cpu_ns)
{
	struct fact fact = thread_fact(FACT_THREAD_SAMPLED, number, "");

	fact.thread.state = letter;
	fact.thread.cpu_ns = cpu_ns;
	feed(s, fact);
}

static void processor_time_is_a_difference(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	sample(&s, 200, 'R', 10 * SEC);
	target = refresh(&s);
	assert_true(isnan(thread(target, 200)->cpu_percent));
	assert_int_equal(thread(target, 200)->state, 'R');
	assert_int_equal(target->threads_running, 1);
	assert_int_equal(pool(target, "w-*")->running, 1);
	pass(&s, SEC);
	sample(&s, 200, 'S', 10 * SEC + SEC / 2); /* half a second in two */
	target = refresh(&s);
	assert_true(fabs(thread(target, 200)->cpu_percent - 25.0) < 0.001);
	assert_int_equal(pool(target, "w-*")->running, 0);
	seen(&s, 201, "w-2");
	sample(&s, 201, 'R', SEC);
	pass(&s, 5 * MSEC);
	sample(&s, 201, 'R', SEC + 5 * MSEC); /* who has just begun: 5 ms are no share */
	assert_true(isnan(thread(refresh(&s), 201)->cpu_percent));
	exited(&s, 201);
	sample(&s, 999, 'R', 5); /* unknown: changes nothing */
	assert_int_equal(refresh(&s)->threads, 2);
	script_end(&s);
}

/* Whoever is missing from three samples after a loss has ended; without a loss silence means nothing. */
static void after_losses_the_unseen_have_ended(void **state)
{
	struct script s = {0};
	struct fact loss = {.kind = FACT_LOSS, .loss = {.lost = {[LOSS_RING] = 1}}};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "w-2");
	for (int i = 0; i < 6; i++) {
		sample(&s, PID, 'S', 0);
		sample(&s, 200, 'S', 0);
		assert_int_equal(refresh(&s)->threads, 3);
	}
	feed(&s, loss);
	assert_true(model_wants_reseed(s.model, TARGET));
	for (int i = 0; i < 3; i++) {
		sample(&s, PID, 'S', 0);
		sample(&s, 200, 'S', 0);
		assert_int_equal(refresh(&s)->threads, i < 2 ? 3 : 2);
	}
	assert_int_equal(s.snapshot->targets[0].threads, 2);
	assert_int_equal(pool(&s.snapshot->targets[0], "w-*")->threads, 1);
	script_end(&s);
}

/* A reseed lists all threads, and so does the sample after it: who is in neither need not be waited for. */
static void a_reseed_and_a_sample_tell_who_has_ended(void **state)
{
	struct script s = {0};
	struct fact loss = {.kind = FACT_LOSS, .loss = {.lost = {[LOSS_RING] = 1}}};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "w-2");
	refresh(&s);
	for (uint64_t round = 0; round < 2; round++) {
		pass(&s, SEC);
		loss.loss.lost[LOSS_RING] = round + 1;
		feed(&s, loss);
		seed_begin(&s, SEED_LOST);
		seed_end(&s);
		leader(&s);
		seen(&s, 200, "w-1");
		if (!round)
			seen(&s, 201, "w-2");
		pass(&s, MSEC);
		sample(&s, PID, 'S', 0);
		sample(&s, 200, 'S', 0);
		if (!round)
			sample(&s, 201, 'S', 0);
		born(&s, 300 + (uint32_t)round, "w-3"); /* not listed, but newer */
		assert_int_equal(refresh(&s)->threads, round ? 3 : 4);
	}
	assert_int_equal(thread(&s.snapshot->targets[0], 301)->id.tid, 301);
	script_end(&s);
}

static void a_fact_without_a_thread_makes_no_sense(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	fact = thread_fact(FACT_THREAD_BORN, 0, "w");
	fact.target = TARGET;
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	fact.kind = FACT_THREAD_EXITED;
	assert_int_equal(model_apply(s.model, &fact), -EINVAL);
	fact.target = 99;
	assert_int_equal(model_apply(s.model, &fact), -ENOENT);
	script_end(&s);
}

/* Those that wait, and of them those that had no CPU, are as many in any order. */
static void a_sort_counts_nobody_twice(void **state)
{
	struct threads threads = {0};
	struct thread *thread;

	assert_int_equal(threads_init(&threads, 100), 0);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(threads_add(&threads, tid(300 - i), &thread), 0);
		thread->unrun_ns = i % 2;
		threads_pending_add(&threads, thread);
	}
	threads_pending_sort(&threads);
	assert_int_equal(threads.n_pending, 10);
	assert_int_equal(threads.n_unrun, 5);
	while (threads.pending_first != THREAD_NONE)
		threads_pending_remove(&threads, &threads.thread[threads.pending_first]);
	assert_int_equal(threads.n_pending, 0);
	assert_int_equal(threads.n_unrun, 0);
	threads_clear(&threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(born_and_seen_are_one_thread),
		cmocka_unit_test(an_end_counts_once_and_nobody_comes_back),
		cmocka_unit_test(a_reused_tid_is_another_thread),
		cmocka_unit_test(a_start_of_zero_equals_any),
		cmocka_unit_test(a_name_read_before_the_renaming_is_old),
		cmocka_unit_test(zombies_are_no_threads),
		cmocka_unit_test(the_bound_refuses_and_counts),
		cmocka_unit_test(churn_does_not_pile_up),
		cmocka_unit_test(the_ended_give_their_slots_to_the_newborn),
		cmocka_unit_test(who_ends_while_all_are_listed_is_counted),
		cmocka_unit_test(processor_time_is_a_difference),
		cmocka_unit_test(after_losses_the_unseen_have_ended),
		cmocka_unit_test(a_reseed_and_a_sample_tell_who_has_ended),
		cmocka_unit_test(a_sort_counts_nobody_twice),
		cmocka_unit_test(a_fact_without_a_thread_makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
