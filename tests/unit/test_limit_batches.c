/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads at random that are heard of late, many at once, as by a busy agent: each state of a limit on their pools, near as
 * well as over, begins and ends when it did, and they are told in order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "lives.h"

#define PROGRAMS 800
#define PEOPLE 200
#define MOMENTS_MAX (PEOPLE * 5)
#define STATES 800
#define CERTAIN_NS (20 * MSEC) /* the least clear_for */
#define FALL_NS (100 * MSEC)   /* what falls through both within that ends at once */
#define FAMILIES 2

static const char *const families[FAMILIES] = {"aa-*", "bb-*"};
static const char *const names[FAMILIES + 1] = {"aa-1", "bb-1", "cc-1"};

struct step {
	uint64_t time_ns;
	enum { COMES, MOVES, GOES } what;
	uint32_t person;
	int from, to; /* FAMILIES: none */
};

struct program {
	struct step step[MOMENTS_MAX];
	size_t count;
};

struct state_change {
	uint64_t time_ns;
	enum limit_state state;
};

struct states {
	struct state_change change[STATES];
	size_t count;
};

static int compare_steps(const void *a, const void *b)
{
	return compare_u64(((const struct step *)a)->time_ns, ((const struct step *)b)->time_ns);
}

static void add(struct program *program, uint64_t time_ns, int what, uint32_t person, int from, int to)
{
	program->step[program->count++] = (struct step){time_ns, what, person, from, to};
}

/* Of no family that has a limit, but nobody knows before it has its name or no more time for that: what comes after it waits.
 * Who takes its name after that time comes into the family then. */
static void add_late(struct program *program, uint32_t person, uint64_t born_ns, uint32_t *seed)
{
	uint64_t ends_ns = born_ns + (1 + next_random(seed, 90000)) * 1000ULL + 300;
	uint64_t named_ns = born_ns + (1 + next_random(seed, 40000)) * 1000ULL + 600;
	int family = FAMILIES;

	add(program, born_ns, COMES, person, FAMILIES, FAMILIES);
	if (named_ns < ends_ns) {
		if (named_ns > born_ns + CERTAIN_NS)
			family = (int)next_random(seed, FAMILIES + 1);
		add(program, named_ns, MOVES, person, FAMILIES, family);
	}
	add(program, ends_ns, GOES, person, family, FAMILIES);
}

/* Each other has its name as it is born; some change families. */
static void make_program(struct program *program, uint32_t *seed)
{
	static const uint32_t lengths_us[] = {2000, 12000, 30000, 300000, 1500000};
	uint64_t at_us = 0;

	program->count = 0;
	for (uint32_t person = 0; person < PEOPLE;) {
		uint32_t crowd = 1 + next_random(seed, 8), longest_us = lengths_us[next_random(seed, 5)];

		for (uint32_t i = 0; i < crowd && person < PEOPLE; i++, person++) {
			uint64_t born_ns = (at_us + next_random(seed, 400)) * 1000ULL + person;
			uint64_t ends_ns = born_ns + (1 + next_random(seed, longest_us)) * 1000ULL + 300, at_ns = born_ns;
			int family = (int)next_random(seed, FAMILIES);

			if (!next_random(seed, 4)) {
				add_late(program, person, born_ns, seed);
				continue;
			}
			add(program, born_ns, COMES, person, FAMILIES, family);
			for (uint32_t moves = next_random(seed, 3); moves; moves--) {
				at_ns += (1 + next_random(seed, moves % 2 ? 8000 : 200000)) * 1000ULL + 300;
				if (at_ns >= ends_ns)
					break;
				add(program, at_ns, MOVES, person, family, !family);
				family = !family;
			}
			add(program, ends_ns, GOES, person, family, FAMILIES);
		}
		at_us += 400 + next_random(seed, next_random(seed, 2) ? 8000 : 200000);
	}
	qsort(program->step, program->count, sizeof(*program->step), compare_steps);
}

/* DESIGN.md's `for` and `clear_for`, once for near and once for over. */
struct turn {
	bool on, waits;
	uint64_t since_ns, delays_ns[2];
};

static uint64_t due_of(const struct turn *turn)
{
	return turn->waits ? turn->since_ns + turn->delays_ns[turn->on] : UINT64_MAX;
}

static bool takes(struct turn *turn, bool condition, uint64_t now_ns)
{
	if (condition == turn->on) {
		turn->waits = false;
		return false;
	}
	if (!turn->waits) {
		turn->waits = true;
		turn->since_ns = now_ns;
	}
	if (due_of(turn) > now_ns)
		return false;
	turn->on = condition;
	turn->waits = false;
	return true;
}

static void turn_both(struct turn *over, struct turn *near, const struct limit_rule *rule, uint32_t count, uint64_t now_ns,
		      struct states *ret_states)
{
	enum limit_state before = over->on ? LIMIT_OVER : near->on ? LIMIT_WARN : LIMIT_OK, state;
	uint64_t fell_ns = over->since_ns;
	bool is_over = count > rule->value, was_over = over->on;

	(void)takes(over, is_over, now_ns);
	(void)takes(near, is_over || (count && count >= rule->warn_ratio * (double)rule->value), now_ns);
	if (was_over && !over->on && near->waits && near->since_ns - fell_ns <= FALL_NS)
		near->on = near->waits = false;
	state = over->on ? LIMIT_OVER : near->on ? LIMIT_WARN : LIMIT_OK;
	if (state == before)
		return;
	assert_true(ret_states->count < STATES);
	ret_states->change[ret_states->count++] = (struct state_change){now_ns, state};
}

static void make_truth(const struct program *program, int family, const struct limit_rule *rule, uint64_t begun_ns,
		       struct states *ret_states)
{
	uint64_t clear_ns = rule->clear_for_ns > CERTAIN_NS ? rule->clear_for_ns : CERTAIN_NS, due_ns;
	struct turn over = {.delays_ns = {rule->for_ns, clear_ns}}, near = over;
	uint32_t count = 0;

	ret_states->count = 0;
	for (size_t i = 0; i <= program->count; i++) {
		uint64_t now_ns = i < program->count ? begun_ns + program->step[i].time_ns : UINT64_MAX;

		while ((due_ns = due_of(&over) < due_of(&near) ? due_of(&over) : due_of(&near)) < now_ns)
			turn_both(&over, &near, rule, count, due_ns, ret_states);
		if (i == program->count || (program->step[i].from != family && program->step[i].to != family))
			continue;
		count += program->step[i].to == family;
		count -= program->step[i].from == family;
		turn_both(&over, &near, rule, count, now_ns, ret_states);
	}
}

static void tell(struct script *s, const struct step *step, uint64_t time_ns)
{
	s->now = time_ns;
	if (step->what == COMES)
		born(s, 200 + step->person, step->to < FAMILIES ? names[step->to] : "app");
	else if (step->what == MOVES)
		renamed(s, 200 + step->person, names[step->to]);
	else
		exited(s, 200 + step->person);
}

static void fetch(struct script *s, struct states told[FAMILIES])
{
	struct limit_transition change;

	while (model_next_transition(s->model, &change)) {
		for (int family = 0; family < FAMILIES; family++) {
			if (strcmp(change.pool, families[family]))
				continue;
			assert_true(told[family].count < STATES);
			assert_true(change.time_ns <= s->now);
			told[family].change[told[family].count++] = (struct state_change){change.time_ns, change.limit.state};
		}
	}
}

/* It wakes when something is due, or later, hears all that has happened, and judges. */
static void run(struct script *s, const struct program *program, uint32_t *seed, struct states told[FAMILIES])
{
	uint64_t begun_ns = s->now, refresh_ns = s->now + SEC, end_ns, wake_ns, due_ns;
	uint32_t latest_us = (uint32_t[]){100, 3000, 15000, 40000}[next_random(seed, 4)];
	size_t next = 0;

	end_ns = begun_ns + program->step[program->count - 1].time_ns + 2 * SEC;
	for (wake_ns = begun_ns; wake_ns < end_ns;) {
		due_ns = model_deadline(s->model);
		due_ns = due_ns < refresh_ns ? due_ns : refresh_ns;
		if (next < program->count && begun_ns + program->step[next].time_ns < due_ns)
			due_ns = begun_ns + program->step[next].time_ns;
		wake_ns = (due_ns > wake_ns ? due_ns : wake_ns + 1) + next_random(seed, latest_us) * 1000ULL;
		while (next < program->count && begun_ns + program->step[next].time_ns <= wake_ns) {
			tell(s, &program->step[next], begun_ns + program->step[next].time_ns);
			next++;
		}
		s->now = wake_ns;
		model_judge(s->model, wake_ns);
		if (wake_ns >= refresh_ns) {
			tick(s);
			refresh_ns = s->now + (1 + next_random(seed, 1000)) * MSEC;
		}
		fetch(s, told);
	}
}

static size_t play(uint32_t seed)
{
	static const uint64_t fors_ns[] = {0, 0, 0, 5 * MSEC, 60 * MSEC};
	static const uint64_t clears_ns[] = {0, 10 * MSEC, 50 * MSEC, 400 * MSEC};
	static struct program program;
	static struct states told[FAMILIES], truth;
	struct script s = {0};
	uint64_t begun_ns;
	size_t changes = 0;

	make_program(&program, &seed);
	for (int family = 0; family < FAMILIES; family++) {
		limit(&s, families[family], LIMIT_THREADS, 1 + next_random(&seed, 7));
		s.limits[family].for_ns = fors_ns[next_random(&seed, 5)];
		s.limits[family].clear_for_ns = clears_ns[next_random(&seed, 4)];
		s.limits[family].warn_ratio = next_random(&seed, 2) ? 0.5 : 0.8;
		told[family].count = 0;
	}
	script_begin(&s);
	leader(&s);
	tick(&s);
	refresh(&s);
	begun_ns = s.now;
	run(&s, &program, &seed, told);
	for (int family = 0; family < FAMILIES; family++) {
		make_truth(&program, family, &s.limits[family], begun_ns, &truth);
		assert_int_equal(told[family].count, truth.count);
		for (size_t i = 0; i < truth.count; i++) {
			assert_int_equal(told[family].change[i].state, truth.change[i].state);
			assert_int_equal(told[family].change[i].time_ns, truth.change[i].time_ns);
		}
		changes += truth.count;
	}
	script_end(&s);
	return changes;
}

static void what_is_heard_of_late_is_told_as_it_was(void **state)
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
		cmocka_unit_test(what_is_heard_of_late_is_told_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
