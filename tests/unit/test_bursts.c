/* SPDX-License-Identifier: GPL-2.0-only */
/* Bursts of threads, one after another: each that is over its pool's limit is one violation, told in time, and falls. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "lives.h"

#define TRAINS 1000
#define BURSTS 12
#define THREADS_MAX 30
#define AT_ONCE 8             /* the limit */
#define TOLD_NS (50 * MSEC)   /* from the first moment of too many */
#define FALLEN_NS (100 * MSEC) /* from the last end, beyond clear_for */

struct train {
	uint64_t clear_for_ns, life_ns, name_ns, apart_ns, refresh_ns;
	bool is_of_routine; /* else each thread is of its name */
};

/* As the agent does: what is due before the next fact is judged then; a refresh each second, and one brought forward. */
static void run_to(struct script *s, struct train *train, uint64_t time_ns)
{
	for (;;) {
		uint64_t due_ns = model_deadline(s->model);

		due_ns = due_ns > s->now ? due_ns : s->now + 1;
		if (due_ns >= time_ns && train->refresh_ns >= time_ns)
			break;
		s->now = due_ns < train->refresh_ns ? due_ns : train->refresh_ns;
		if (s->now == train->refresh_ns) {
			tick(s);
			train->refresh_ns += SEC;
		} else {
			model_judge(s->model, s->now);
		}
	}
	s->now = time_ns;
}

static void step(struct script *s, const struct train *train, const struct moment *moment, uint32_t number)
{
	if (moment->what == BORN)
		born(s, number, "app");
	else if (moment->what == ENDED)
		exited(s, number);
	else if (train->is_of_routine)
		routine(s, number, "libfoo.so", "work");
	else
		renamed(s, number, "kid-1");
}

/* Whether too many live at once, and since when. */
static bool burst(struct script *s, struct train *train, uint32_t first, uint32_t *seed, uint64_t *ret_over_ns)
{
	struct moment moments[3 * THREADS_MAX];
	uint32_t count = 1 + next_random(seed, THREADS_MAX), living = 0, n_moments = 0;
	uint64_t begun_ns = s->now, born_ns = 0, ended_ns, latest_ns;
	bool is_over = false;

	for (uint32_t i = 0; i < count; i++) {
		born_ns += 1 + next_random(seed, (uint32_t)train->apart_ns);
		latest_ns = train->is_of_routine ? 1 : 1 + next_random(seed, (uint32_t)train->name_ns);
		ended_ns = born_ns + latest_ns + 1 + next_random(seed, (uint32_t)train->life_ns);
		moments[n_moments++] = (struct moment){born_ns, BORN, i};
		moments[n_moments++] = (struct moment){born_ns + latest_ns, NAMED, i};
		moments[n_moments++] = (struct moment){ended_ns, ENDED, i};
	}
	qsort(moments, n_moments, sizeof(*moments), compare_moments);
	for (uint32_t i = 0; i < n_moments; i++) {
		run_to(s, train, begun_ns + moments[i].time_ns);
		step(s, train, &moments[i], first + moments[i].life);
		living += moments[i].what == BORN;
		living -= moments[i].what == ENDED;
		if (living > AT_ONCE && !is_over) {
			is_over = true;
			*ret_over_ns = s->now;
			/* an `over` brings a refresh forward, at most one a second */
			if (next_random(seed, 2))
				train->refresh_ns = s->now + next_random(seed, 40) * MSEC;
		}
	}
	return is_over;
}

static void run_train(uint32_t seed)
{
	struct script s = {0};
	struct train train = {
		.clear_for_ns = (uint64_t[]){0, 0, 5 * MSEC, 100 * MSEC}[seed % 4],
		.life_ns = (uint64_t[]){MSEC, 5 * MSEC, 12 * MSEC, 25 * MSEC, 90 * MSEC}[seed % 5],
		.name_ns = (uint64_t[]){MSEC / 10, 3 * MSEC, 15 * MSEC}[seed % 3],
		.apart_ns = (uint64_t[]){MSEC / 100, MSEC / 10, MSEC}[seed / 3 % 3],
		.is_of_routine = seed % 7 == 0,
	};
	uint32_t violations = 0, random = seed;

	limit(&s, "*", LIMIT_THREADS, AT_ONCE);
	s.limits[0].clear_for_ns = train.clear_for_ns;
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	train.refresh_ns = s.now + SEC;
	for (uint32_t i = 0; i < BURSTS; i++) {
		const char *name = train.is_of_routine ? "libfoo.so:work" : "kid-*";
		struct limit_transition change;
		uint64_t over_ns = 0;
		uint32_t told = 0;

		violations += burst(&s, &train, 200 + i * THREADS_MAX, &random, &over_ns);
		run_to(&s, &train, s.now + train.clear_for_ns + FALLEN_NS);
		while (model_next_transition(s.model, &change)) {
			if (change.limit.state != LIMIT_OVER)
				continue;
			told++;
			assert_string_equal(change.pool, name);
			assert_in_range(change.time_ns, over_ns, over_ns + TOLD_NS);
		}
		assert_int_equal(told, over_ns != 0);
		assert_int_equal(pool_limit(&look(&s)->targets[0], name, LIMIT_THREADS)->violations, violations);
		assert_int_equal(pool_limit(&s.snapshot->targets[0], name, LIMIT_THREADS)->state, LIMIT_OK);
		run_to(&s, &train, s.now + next_random(&random, 1500) * MSEC);
	}
	script_end(&s);
}

static void each_burst_is_one_violation(void **state)
{
	for (uint32_t seed = 1; seed <= TRAINS; seed++)
		run_train(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_burst_is_one_violation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
