/* SPDX-License-Identifier: GPL-2.0-only */
/* Newborns of a process that is stopped again and again, or gets no CPU: no more are counted than lived at once, in whatever
 * order their pools and their ends become known. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "lives.h"

#define CYCLE_NS (100 * MSEC)
#define MOVES_NS (35 * MSEC) /* of each cycle: then it stands still */
#define HASTE_NS (2 * MSEC)  /* in which it does what it was to do meanwhile: sleeps have run out */
#define PROGRAMS 300
#define ASKED 64

/* In the same order. */
static uint64_t when_it_may(uint64_t time_ns)
{
	uint64_t cycle_ns = time_ns - time_ns % CYCLE_NS, at_ns = time_ns % CYCLE_NS;

	if (at_ns < MOVES_NS)
		return cycle_ns + HASTE_NS + at_ns * (MOVES_NS - HASTE_NS) / MOVES_NS;
	return cycle_ns + CYCLE_NS + (at_ns - MOVES_NS) * HASTE_NS / (CYCLE_NS - MOVES_NS);
}

/* What a thread does first is to take its name, if it takes one. */
static void stop_and_go(struct life *lives, struct moment *moments, size_t count)
{
	for (uint32_t i = 0; i < LIVES; i++) {
		uint64_t soon_ns = (lives[i].ended_ns - lives[i].born_ns) * (i % 8) / 16;

		lives[i].named_ns = when_it_may(lives[i].kind == OF_NAMED ? lives[i].named_ns : lives[i].born_ns + soon_ns);
	}
	for (size_t i = 0; i < count; i++)
		moments[i].time_ns = when_it_may(moments[i].time_ns);
}

static void answer_all(struct script *s, const struct life *lives, uint64_t begun_ns)
{
	struct newborn due[ASKED];
	size_t count = model_due_newborns(s->model, s->now, due, ASKED);

	for (size_t i = 0; i < count; i++) {
		const struct life *life = &lives[due[i].id.tid - 200];
		struct fact fact = {.kind = FACT_THREAD_ASKED, .thread.id = due[i].id,
				    .thread.has_run = begun_ns + life->named_ns <= s->now};

		feed(s, fact);
	}
}

/* It is judged some time after it was asked, and what happened meanwhile is told only then. */
static void run_to(struct script *s, const struct life *lives, uint64_t begun_ns, uint64_t time_ns, uint32_t *seed)
{
	for (;;) {
		uint64_t due_ns = model_deadline(s->model);

		due_ns = due_ns > s->now ? due_ns : s->now + MSEC / 2;
		if (due_ns >= time_ns)
			break;
		s->now = due_ns;
		answer_all(s, lives, begun_ns);
		s->now += next_random(seed, 3000) * 1000;
		if (next_random(seed, 100) < 2)
			tick(s);
		else
			model_judge(s->model, s->now);
	}
	s->now = time_ns;
}

static void play(struct script *s, const struct life *lives, const struct moment *moments, size_t count, uint32_t seed)
{
	uint64_t begun_ns = s->now;

	for (size_t i = 0; i < count; i++) {
		const struct life *life = &lives[moments[i].life];
		uint32_t number = 200 + moments[i].life;

		run_to(s, lives, begun_ns, begun_ns + moments[i].time_ns, &seed);
		if (moments[i].what == BORN) {
			born(s, number, "app");
			routine(s, number, "libfoo.so", life->kind == OF_OTHER ? "other" : "work");
		} else if (moments[i].what == NAMED) {
			renamed_after(s, number, "named-1", s->now - begun_ns - life->born_ns); /* it does that first */
		} else {
			exited(s, number);
		}
	}
	run_to(s, lives, begun_ns, s->now + 60 * MSEC, &seed);
}

static void no_more_than_lived_at_once(void **state)
{
	static struct life lives[LIVES];
	static struct moment moments[3 * LIVES];
	uint32_t exact = 0;

	for (uint32_t seed = 1; seed <= PROGRAMS; seed++) {
		struct script s = {0};
		size_t count = make_lives(seed, lives, moments);
		const struct snapshot_target *target;
		uint32_t most[KINDS];

		most_of(lives, moments, count, most);
		stop_and_go(lives, moments, count);
		for (int kind = 0; kind < KINDS; kind++)
			limit(&s, pools[kind], LIMIT_THREADS, most[kind]);
		script_begin(&s);
		leader(&s);
		tick(&s);
		refresh(&s);
		play(&s, lives, moments, count, seed);
		target = refresh(&s);
		for (int kind = 0; kind < KINDS; kind++) {
			const struct snapshot_pool *of = pool(target, pools[kind]);

			assert_in_range(of->threads_peak, 1, most[kind]);
			assert_int_equal(of->threads_exited, of->threads_started);
			assert_int_equal(pool_limit(target, pools[kind], LIMIT_THREADS)->violations, 0);
			exact += of->threads_peak == most[kind];
		}
		script_end(&s);
	}
	print_message("%u of %u are exact\n", exact, PROGRAMS * KINDS);
	assert_in_range(exact, PROGRAMS * KINDS / 2, PROGRAMS * KINDS);
}

/* That some wait for a CPU is found out when others, which lived with them, have ended. */
static void who_ended_before_it_was_known(void **state)
{
	struct script s = {0};
	struct newborn due[ASKED];
	size_t count;

	limit(&s, pools[OF_WORK], LIMIT_THREADS, 15);
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t number = 200; number < 220; number++) {
		born(&s, number, "app");
		routine(&s, number, "libfoo.so", "work");
	}
	pass(&s, 12 * MSEC);
	for (uint32_t number = 200; number < 213; number++)
		exited(&s, number);
	pass(&s, 8 * MSEC);
	count = model_due_newborns(s.model, s.now, due, ASKED);
	assert_int_equal(count, 7);
	for (size_t i = 0; i < count; i++)
		feed(&s, (struct fact){.kind = FACT_THREAD_ASKED, .thread.id = due[i].id});
	pass(&s, 5 * MSEC);
	for (uint32_t number = 213; number < 220; number++)
		exited(&s, number);
	assert_int_equal(pool(refresh(&s), pools[OF_WORK])->threads_peak, 20);
	assert_int_equal(pool_limit(&s.snapshot->targets[0], pools[OF_WORK], LIMIT_THREADS)->violations, 1);
	script_end(&s);
}

/* It is over its limit though the warning of a smaller one came and went since the last refresh. */
static void a_warning_hides_no_starved_burst(void **state)
{
	struct script s = {0};
	struct newborn due[ASKED];
	size_t count;

	limit(&s, pools[OF_WORK], LIMIT_THREADS, 5);
	s.limits[0].clear_for_ns = 0;
	s.limits[0].warn_ratio = 1;
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	for (uint32_t number = 200; number < 205; number++) {
		born(&s, number, "app");
		routine(&s, number, "libfoo.so", "work");
	}
	run_for(&s, 50 * MSEC);
	for (uint32_t number = 200; number < 205; number++)
		exited(&s, number);
	run_for(&s, 100 * MSEC);
	expect_transition(&s, pools[OF_WORK], LIMIT_OK, LIMIT_WARN, 5);
	expect_transition(&s, pools[OF_WORK], LIMIT_WARN, LIMIT_OK, 0);
	for (uint32_t number = 300; number < 309; number++) {
		born(&s, number, "app");
		routine(&s, number, "libfoo.so", "work");
	}
	pass(&s, 20 * MSEC);
	count = model_due_newborns(s.model, s.now, due, ASKED);
	assert_int_equal(count, 9);
	for (size_t i = 0; i < count; i++)
		feed(&s, (struct fact){.kind = FACT_THREAD_ASKED, .thread = {.id = due[i].id, .state = 'R'}});
	pass(&s, 27 * MSEC);
	for (uint32_t number = 300; number < 309; number++)
		exited(&s, number);
	run_for(&s, 500 * MSEC);
	assert_int_equal(pool(refresh(&s), pools[OF_WORK])->threads_peak, 9);
	assert_int_equal(pool_limit(&s.snapshot->targets[0], pools[OF_WORK], LIMIT_THREADS)->violations, 1);
	run_for(&s, 500 * MSEC);
	assert_int_equal(pool_limit(refresh(&s), pools[OF_WORK], LIMIT_THREADS)->state, LIMIT_OK);
	assert_int_equal(pool_limit(&s.snapshot->targets[0], pools[OF_WORK], LIMIT_THREADS)->violations, 1);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_than_lived_at_once),
		cmocka_unit_test(who_ended_before_it_was_known),
		cmocka_unit_test(a_warning_hides_no_starved_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
