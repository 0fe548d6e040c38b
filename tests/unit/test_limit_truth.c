/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads at random that are born, take names, take others and end: each state of a limit on their pools begins and ends when
 * it did. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "lives.h"

#define PROGRAMS 1000
#define PEOPLE 150
#define MOMENTS (PEOPLE * 8)
#define STATES 400
#define CERTAIN_NS (20 * MSEC) /* the least clear_for; also how long a newborn has for its name */

enum { FAMILY_A, FAMILY_B, NAMELESS, FAMILIES, NOWHERE };
static const char *const families[FAMILIES] = {"aa-*", "bb-*", "libfoo.so:work"};

struct event {
	uint64_t time_ns;
	enum { APPEARS, TAKES_NAME, ENDS } what;
	uint32_t person;
	int family; /* that it goes to */
};

struct change {
	uint64_t time_ns;
	int family, change;
};

struct program {
	struct event event[MOMENTS];
	struct change change[MOMENTS];
	size_t n_events, n_changes;
};

struct state_change {
	uint64_t time_ns;
	bool over;
};

struct states {
	struct state_change change[STATES];
	size_t count;
};

static int compare_events(const void *a, const void *b)
{
	const struct event *one = a, *other = b;

	return one->time_ns < other->time_ns ? -1 : one->time_ns > other->time_ns;
}

static int compare_changes(const void *a, const void *b)
{
	const struct change *one = a, *other = b;

	return one->time_ns < other->time_ns ? -1 : one->time_ns > other->time_ns;
}

static void goes(struct program *program, uint64_t time_ns, int from, int to)
{
	if (from != NOWHERE)
		program->change[program->n_changes++] = (struct change){time_ns, from, -1};
	if (to != NOWHERE)
		program->change[program->n_changes++] = (struct change){time_ns, to, 1};
}

static void live(struct program *program, uint32_t person, uint64_t born_ns, uint64_t life_ns, uint32_t *seed)
{
	static const uint32_t named_us[] = {10, 3000, 15000, 100000, 900000};
	uint64_t name_ns = 1 + next_random(seed, named_us[next_random(seed, 5)]) * 1000ULL, at_ns = born_ns;
	int family = next_random(seed, 4) ? (int)next_random(seed, 2) : NAMELESS, is_in = NAMELESS;

	program->event[program->n_events++] = (struct event){born_ns, APPEARS, person, NAMELESS};
	if (name_ns > 18 * MSEC && name_ns < 22 * MSEC)
		name_ns += 5 * MSEC;
	if (family != NAMELESS && name_ns < life_ns) {
		program->event[program->n_events++] = (struct event){born_ns + name_ns, TAKES_NAME, person, family};
		at_ns = born_ns + name_ns;
		if (name_ns < CERTAIN_NS)
			is_in = family;
	}
	goes(program, born_ns, NOWHERE, is_in);
	if (family != NAMELESS && name_ns < life_ns && name_ns > CERTAIN_NS) {
		goes(program, born_ns + name_ns, is_in, family);
		is_in = family;
	}
	for (uint32_t i = next_random(seed, 3); i && is_in != NAMELESS; i--) {
		at_ns += (1 + next_random(seed, i % 2 ? 8000 : 200000)) * 1000ULL;
		if (at_ns >= born_ns + life_ns)
			break;
		family = family == FAMILY_A ? FAMILY_B : FAMILY_A;
		program->event[program->n_events++] = (struct event){at_ns, TAKES_NAME, person, family};
		goes(program, at_ns, is_in, family);
		is_in = family;
	}
	program->event[program->n_events++] = (struct event){born_ns + life_ns, ENDS, person, NOWHERE};
	goes(program, born_ns + life_ns, is_in, NOWHERE);
}

/* Bursts and single threads; times are unique but for chance. */
static void make_program(struct program *program, uint32_t *seed)
{
	uint32_t lengths_us[] = {2000, 12000, 30000, 300000, 1500000}, at_us = 0;

	program->n_events = program->n_changes = 0;
	for (uint32_t person = 0; person < PEOPLE;) {
		uint32_t count = 1 + next_random(seed, 12), length_us = lengths_us[next_random(seed, 5)];

		for (uint32_t i = 0; i < count && person < PEOPLE; i++, person++)
			live(program, person, (at_us + next_random(seed, 400)) * 1000ULL + person,
			     (1 + next_random(seed, length_us)) * 1000ULL + 500, seed);
		at_us += 400 + next_random(seed, next_random(seed, 2) ? 8000 : 400000);
	}
	qsort(program->event, program->n_events, sizeof(*program->event), compare_events);
	qsort(program->change, program->n_changes, sizeof(*program->change), compare_changes);
}

/* What DESIGN's `for` and `clear_for` make of the true counts. */
static void make_truth(const struct program *program, int family, const struct limit_rule *rule, uint64_t begun_ns,
		       struct states *ret_states)
{
	uint64_t delays_ns[] = {rule->for_ns, rule->clear_for_ns > CERTAIN_NS ? rule->clear_for_ns : CERTAIN_NS};
	uint64_t contrary_ns = UINT64_MAX;
	uint32_t count = 0;
	bool over = false;

	ret_states->count = 0;
	for (size_t i = 0; i <= program->n_changes; i++) {
		const struct change *change = &program->change[i];
		uint64_t now_ns = i < program->n_changes ? begun_ns + change->time_ns : UINT64_MAX;

		while (contrary_ns != UINT64_MAX && contrary_ns + delays_ns[over] <= now_ns) {
			over = !over;
			assert_true(ret_states->count < STATES);
			ret_states->change[ret_states->count++] = (struct state_change){contrary_ns + delays_ns[!over], over};
			contrary_ns = UINT64_MAX;
		}
		if (i == program->n_changes)
			return;
		if (change->family == family)
			count += (uint32_t)change->change;
		if ((count > rule->value) == over)
			contrary_ns = UINT64_MAX;
		else if (contrary_ns == UINT64_MAX)
			contrary_ns = now_ns;
		if (contrary_ns == now_ns && !delays_ns[over] && change->family == family &&
		    (i + 1 == program->n_changes || program->change[i + 1].time_ns != change->time_ns)) {
			over = !over;
			assert_true(ret_states->count < STATES);
			ret_states->change[ret_states->count++] = (struct state_change){now_ns, over};
			contrary_ns = UINT64_MAX;
		}
	}
}

static uint32_t most_of_family(const struct program *program, int family)
{
	uint32_t count = 0, most = 0;

	for (size_t i = 0; i < program->n_changes; i++) {
		if (program->change[i].family == family)
			count += (uint32_t)program->change[i].change;
		most = count > most ? count : most;
	}
	return most;
}

static void run_to(struct script *s, uint64_t *refresh_ns, uint64_t time_ns, uint32_t *seed)
{
	while (*refresh_ns < time_ns) {
		run_for(s, *refresh_ns - s->now);
		tick(s);
		*refresh_ns += (1 + next_random(seed, 1000)) * MSEC; /* some are brought forward */
	}
	run_for(s, time_ns - s->now);
}

static void fetch(struct script *s, struct states states[FAMILIES])
{
	struct limit_transition change;

	while (model_next_transition(s->model, &change)) {
		bool over = change.limit.state == LIMIT_OVER;

		for (int family = 0; family < FAMILIES; family++) {
			if (strcmp(change.pool, families[family]) || over == (change.before == LIMIT_OVER))
				continue;
			assert_true(states[family].count < STATES);
			assert_true(change.time_ns <= s->now);
			states[family].change[states[family].count++] = (struct state_change){change.time_ns, over};
		}
	}
}

static size_t play(uint32_t seed)
{
	static const uint64_t fors_ns[] = {0, 0, 0, 5 * MSEC, 60 * MSEC, 300 * MSEC};
	static const uint64_t clears_ns[] = {0, 10 * MSEC, 50 * MSEC, 700 * MSEC};
	static struct program program;
	static struct states told[FAMILIES], truth;
	struct script s = {0};
	const struct snapshot_target *target;
	uint64_t begun_ns, refresh_ns;
	size_t changes = 0;

	make_program(&program, &seed);
	for (int family = 0; family < FAMILIES; family++) {
		limit(&s, families[family], LIMIT_THREADS, 1 + next_random(&seed, 7));
		s.limits[family].for_ns = fors_ns[next_random(&seed, 6)];
		s.limits[family].clear_for_ns = clears_ns[next_random(&seed, 4)];
		told[family].count = 0;
	}
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	begun_ns = s.now;
	refresh_ns = s.now + SEC;
	for (size_t i = 0; i < program.n_events; i++) {
		const struct event *event = &program.event[i];

		run_to(&s, &refresh_ns, begun_ns + event->time_ns, &seed);
		if (event->what == APPEARS) {
			born(&s, 200 + event->person, "app");
			routine(&s, 200 + event->person, "libfoo.so", "work");
		} else if (event->what == TAKES_NAME) {
			renamed(&s, 200 + event->person, event->family == FAMILY_A ? "aa-1" : "bb-1");
		} else {
			exited(&s, 200 + event->person);
		}
		fetch(&s, told);
	}
	run_to(&s, &refresh_ns, s.now + 2 * SEC, &seed);
	fetch(&s, told);
	target = refresh(&s);
	for (int family = 0; family < FAMILIES; family++) {
		make_truth(&program, family, &s.limits[family], begun_ns, &truth);
		assert_int_equal(told[family].count, truth.count);
		for (size_t i = 0; i < truth.count; i++) {
			const struct state_change *is = &told[family].change[i], *was = &truth.change[i];

			assert_int_equal(is->over, was->over);
			/* Who took its name later was over from its birth on, but nobody knew. */
			assert_in_range(is->time_ns, was->time_ns, was->time_ns + (was->over ? CERTAIN_NS + MSEC : 0));
		}
		changes += truth.count;
		assert_int_equal(pool(target, families[family])->threads_peak, most_of_family(&program, family));
		assert_int_equal(pool(target, families[family])->threads, 0);
	}
	script_end(&s);
	return changes;
}

static void each_state_is_told_as_it_was(void **state)
{
	size_t changes = 0;

	for (uint32_t seed = 1; seed <= PROGRAMS; seed++)
		changes += play(seed);
	print_message("%zu changes\n", changes);
	assert_true(changes > 10 * PROGRAMS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_is_told_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
