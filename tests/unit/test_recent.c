/* SPDX-License-Identifier: GPL-2.0-only */
/* How many threads of a pool lived at one time, though which pool each is of is known only later. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "lives.h"
#include "model/recent.h"

static struct recent_step step_at(uint64_t time_ns, uint32_t pool, int32_t change)
{
	return (struct recent_step){.time_ns = time_ns, .pool = pool, .pool_number = pool + 10, .change = change};
}

static void steps_pass_in_order(void **state)
{
	struct recent recent = {0};
	struct recent_step step;
	uint64_t numbers[100];

	for (uint32_t round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < 100; i++) {
			step = step_at(1000 * round + i, 7, 1);
			numbers[i] = recent_note(&recent, &step);
			assert_int_equal(numbers[i], 100 * round + i + 1);
		}
		assert_true(recent_place(&recent, numbers[3], 8, 80));
		for (uint32_t i = 0; i < 60; i++) {
			assert_true(recent_pass(&recent, 1000 * round + 99, &step));
			assert_int_equal(step.time_ns, 1000 * round + i);
			assert_int_equal(step.pool_number, i == 3 ? 80 : 17);
		}
		assert_false(recent_place(&recent, numbers[3], 9, 90)); /* it has passed */
		assert_true(recent_place(&recent, numbers[60], 9, 90));
		assert_true(recent_pass(&recent, 1000 * round + 60, &step));
		assert_int_equal(step.pool_number, 90);
		assert_false(recent_pass(&recent, 1000 * round + 60, &step)); /* later ones wait */
		if (round % 2) {
			recent_clear(&recent);
			assert_false(recent_place(&recent, numbers[99], 9, 90));
		} else {
			while (recent_pass(&recent, UINT64_MAX, &step))
				;
			recent_trim(&recent);
			assert_null(recent.step);
		}
	}
	assert_false(recent_place(&recent, 0, 1, 1));
}

static void there_is_a_bound(void **state)
{
	struct recent recent = {0};
	struct recent_step step = step_at(1, 1, 1);

	for (uint32_t i = 0; i < RECENT_MAX; i++)
		assert_int_equal(recent_note(&recent, &step), i + 1);
	assert_int_equal(recent_note(&recent, &step), 0);
	assert_true(recent_pass(&recent, 1, &step));
	assert_int_equal(recent_note(&recent, &step), RECENT_MAX + 1);
	recent_clear(&recent);
}

/* ---- threads at random: what is told is what was ------------------------------------------------------ */

/* As the agent does: what is due before the next fact is judged then; a refresh each second. */
static void run_to(struct script *s, uint64_t time_ns)
{
	for (;;) {
		uint64_t refresh_ns = (s->now / SEC + 1) * SEC, due_ns = model_deadline(s->model);

		due_ns = due_ns > s->now ? due_ns : s->now + 1;
		if (due_ns >= time_ns && refresh_ns >= time_ns)
			break;
		s->now = due_ns < refresh_ns ? due_ns : refresh_ns;
		if (s->now == refresh_ns)
			tick(s);
		else
			model_judge(s->model, s->now);
	}
	s->now = time_ns;
}

static void what_lived_at_once_is_the_peak(void **state)
{
	static struct life lives[LIVES];
	static struct moment moments[3 * LIVES];
	uint32_t over = 0, kept = 0;

	for (uint32_t seed = 1; seed <= 300; seed++) {
		struct script s = {0};
		size_t count = make_lives(seed, lives, moments);
		uint32_t most[KINDS], bound;
		struct limit_transition transition;
		const struct snapshot_target *target;
		uint64_t begun_ns;
		bool was_over = false;

		most_of(lives, moments, count, most);
		bound = most[OF_WORK] - seed % 2;
		limit(&s, pools[OF_WORK], LIMIT_THREADS, bound);
		s.limits[0].clear_for_ns = 0;
		script_begin(&s);
		leader(&s);
		tick(&s);
		refresh(&s);
		begun_ns = s.now;
		for (size_t i = 0; i < count; i++) {
			const struct life *life = &lives[moments[i].life];
			uint32_t number = 200 + moments[i].life;

			run_to(&s, begun_ns + moments[i].time_ns);
			if (moments[i].what == BORN) {
				born(&s, number, "app");
				routine(&s, number, "libfoo.so", life->kind == OF_OTHER ? "other" : "work");
			} else if (moments[i].what == NAMED) {
				renamed(&s, number, "named-1");
			} else {
				exited(&s, number);
			}
		}
		run_to(&s, s.now + 60 * MSEC);
		assert_int_equal(pool_limit(&look(&s)->targets[0], pools[OF_WORK], LIMIT_THREADS)->state, LIMIT_OK);
		while (model_next_transition(s.model, &transition))
			was_over |= transition.limit.state == LIMIT_OVER;
		assert_int_equal(was_over, most[OF_WORK] > bound);
		over += was_over;
		kept += !was_over;
		target = refresh(&s);
		for (int kind = 0; kind < KINDS; kind++) {
			const struct snapshot_pool *of = find_pool(target, pools[kind]);

			assert_int_equal(of ? of->threads_peak : 0, most[kind]);
			assert_int_equal(of ? of->threads_exited : 0, of ? of->threads_started : 0);
		}
		script_end(&s);
	}
	assert_int_equal(over + kept, 300);
	assert_int_equal(over, 150);
}

/* All live at once, but the first have ended before the last has its name: that is one violation, told once, though fewer are
 * counted at any moment. */
static void a_burst_that_ends_while_it_takes_its_names(void **state)
{
	enum { BURSTS = 10, THREADS = 12 };
	struct script s = {0};
	const struct snapshot_target *target;

	limit(&s, "kid-*", LIMIT_THREADS, 8);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t burst = 0; burst < BURSTS; burst++) {
		uint32_t first = 200 + burst * THREADS, width = burst % 2 ? 5 : 10; /* more than are allowed are named at once, or not */

		for (uint32_t i = 0; i < THREADS; i++)
			born(&s, first + i, "app");
		for (uint32_t i = 0; i < THREADS + width; i++) {
			pass(&s, 10000);
			if (i < THREADS)
				renamed(&s, first + i, "kid-1");
			if (i >= width)
				exited(&s, first + i - width);
		}
		for (int i = 0; i < 60; i++) {
			pass(&s, MSEC);
			if (model_deadline(s.model) <= s.now)
				model_judge(s.model, s.now);
		}
		target = &look(&s)->targets[0];
		assert_int_equal(pool_limit(target, "kid-*", LIMIT_THREADS)->violations, burst + 1);
		assert_int_equal(pool_limit(target, "kid-*", LIMIT_THREADS)->state, LIMIT_OK);
	}
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, THREADS);
	assert_int_equal(pool_limit(&s.snapshot->targets[0], "kid-*", LIMIT_THREADS)->violations, BURSTS);
	script_end(&s);
}

/* All have their names soon, and have ended before that can be told of them: each burst is a violation that has an end. */
static void bursts_that_end_soon(void **state)
{
	enum { BURSTS = 8, THREADS = 12 };
	struct script s = {0};
	uint64_t begun_ns;

	limit(&s, "kid-*", LIMIT_THREADS, 8);
	s.limits[0].clear_for_ns = 0;
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t burst = 0; burst < BURSTS; burst++) {
		const struct snapshot_limit *told;
		uint32_t first = 200 + burst * THREADS;

		begun_ns = s.now;
		for (uint32_t i = 0; i < 3 * THREADS; i++) { /* 25 us after another */
			static const uint64_t after_ns[] = {0, 3 * MSEC, 12 * MSEC};
			uint32_t number = first + i % THREADS;

			run_to(&s, begun_ns + after_ns[i / THREADS] + i % THREADS * 25000);
			if (i < THREADS)
				born(&s, number, "app");
			else if (i < 2 * THREADS)
				renamed(&s, number, "kid-1");
			else
				exited(&s, number);
		}
		run_to(&s, begun_ns + 22 * MSEC);
		tick(&s); /* a refresh brought forward: births have passed, ends have not */
		run_to(&s, begun_ns + 55 * MSEC);
		told = pool_limit(&look(&s)->targets[0], "kid-*", LIMIT_THREADS);
		assert_int_equal(told->violations, burst + 1);
		assert_int_equal(told->state, LIMIT_OK);
		run_to(&s, begun_ns + 300 * MSEC);
	}
	assert_int_equal(pool(refresh(&s), "kid-*")->threads_peak, THREADS);
	assert_int_equal(pool_limit(&s.snapshot->targets[0], "kid-*", LIMIT_THREADS)->violations, BURSTS);
	script_end(&s);
}

/* A followed child's first reading finds threads whose births are told after it, and their ends at once. */
static void who_was_seen_before_its_birth_is_told(void **state)
{
	struct script s = {0};
	struct fact child = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .exe = "/bin/app",
								   .name = "app", .comm = "app", .followed = true}};
	const struct snapshot_target *target;

	limit(&s, "*:work", LIMIT_THREADS, 10);
	script_begin_with(&s, (struct model_options){.keep_ended = true});
	feed(&s, child);
	leader(&s);
	for (uint32_t number = 200; number < 220; number++) {
		struct fact fact = thread_fact(FACT_THREAD_SEEN, number, "app");

		fact.thread.start_routine = 0x1139;
		feed(&s, fact);
		routine(&s, number, "libfoo.so", "work");
	}
	for (uint32_t number = 200; number < 220; number++)
		born(&s, number, "app");
	pass(&s, 2 * MSEC);
	for (uint32_t number = 200; number < 220; number++)
		exited(&s, number);
	target = refresh(&s);
	assert_int_equal(pool(target, "libfoo.so:work")->threads_peak, 20);
	assert_int_equal(pool(target, "libfoo.so:work")->threads_started, 20);
	assert_int_equal(pool_limit(target, "libfoo.so:work", LIMIT_THREADS)->violations, 1);
	script_end(&s);
}

/* Births and ends from before the seed are told after it: those that it listed were not there with them. */
static void what_is_drained_after_the_seed(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	pass(&s, 50 * MSEC);
	for (uint32_t i = 0; i < 3; i++)
		seen(&s, 500 + i, "w-1");
	s.now -= 40 * MSEC;
	for (uint32_t i = 0; i < 3; i++)
		born(&s, 400 + i, "w-1");
	pass(&s, 10 * MSEC);
	for (uint32_t i = 0; i < 3; i++)
		exited(&s, 400 + i);
	pass(&s, 100 * MSEC);
	target = refresh(&s);
	assert_int_equal(target->threads_peak, 4);
	assert_int_equal(pool(target, "w-*")->threads_peak, 3);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->threads_peak, 3);
	born(&s, 600, "w-1");
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->threads_peak, 4);
	script_end(&s);
}

/* First one goes, then another comes, more often than is kept: never more than five, and six. */
static void renames_without_end(void **state)
{
	struct script s = {0};
	bool is_a[10];
	const struct snapshot_target *target;
	unsigned int seed = 7;

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 10; i++) {
		is_a[i] = i < 5;
		seen(&s, 200 + i, is_a[i] ? "aa-1" : "bb-1");
	}
	tick(&s);
	refresh(&s);
	refresh(&s); /* a name taken now is not the first */
	for (int i = 0; i < 100000; i++) { /* some million changes a second, for 200 ms */
		uint32_t goes, comes;

		do
			goes = (uint32_t)rand_r(&seed) % 10;
		while (!is_a[goes]);
		do
			comes = (uint32_t)rand_r(&seed) % 10;
		while (is_a[comes]);
		pass(&s, 500 + (uint64_t)rand_r(&seed) % 1000);
		renamed(&s, 200 + goes, "bb-1");
		pass(&s, 500 + (uint64_t)rand_r(&seed) % 1000);
		renamed(&s, 200 + comes, "aa-1");
		is_a[goes] = false;
		is_a[comes] = true;
	}
	target = refresh(&s);
	assert_int_equal(pool(target, "aa-*")->threads, 5);
	assert_int_equal(pool(target, "aa-*")->threads_peak, 5);
	assert_int_equal(pool(target, "bb-*")->threads_peak, 6);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_pass_in_order),
		cmocka_unit_test(there_is_a_bound),
		cmocka_unit_test(what_lived_at_once_is_the_peak),
		cmocka_unit_test(a_burst_that_ends_while_it_takes_its_names),
		cmocka_unit_test(bursts_that_end_soon),
		cmocka_unit_test(who_was_seen_before_its_birth_is_told),
		cmocka_unit_test(what_is_drained_after_the_seed),
		cmocka_unit_test(renames_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
