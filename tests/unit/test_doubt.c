/* SPDX-License-Identifier: GPL-2.0-only */
/* A source at random that loses births and ends, leaves some in the ring, and reads threads ahead of it: no more are counted than
 * lived at one time, and some seconds after the last loss all who live are. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "limit_facts.h"
#include "lives.h"

#define PROGRAMS 600
#define PEOPLE 300
#define FAMILIES 2
#define LENGTH_NS (6 * SEC)
#define HEALED_NS (4 * SEC)        /* after the last loss */
#define RESEED_SPACING_NS (SEC / 2) /* as the agent has it */

static const char *const families[FAMILIES] = {"aa-*", "bb-*"};
static const char *const names[FAMILIES] = {"aa-1", "bb-1"};

struct person {
	uint64_t born_ns, ends_ns;
	int family;
};

struct record {
	uint64_t time_ns, written_ns; /* a birth may be written a moment after it */
	uint32_t person;
	bool is_end, is_lost;
};

/* The kernel's side and the source's. */
struct source {
	struct script s;
	struct person person[PEOPLE];
	struct record record[2 * PEOPLE];
	uint32_t n_records, next, most; /* read at one time, so many */
	uint64_t begun_ns, last_loss_ns, counted_ns, reseeded_ns, interval_ns;
	uint64_t lost, told_lost, others; /* of its own; as told; of its family, but not its own */
	uint64_t fell_ns[FAMILIES];
	bool is_told, is_behind;
	uint32_t seed;
};

static uint32_t random_below(struct source *source, uint32_t below)
{
	return next_random(&source->seed, below);
}

static int compare_records(const void *a, const void *b)
{
	return compare_u64(((const struct record *)a)->written_ns, ((const struct record *)b)->written_ns);
}

static bool lives_at(const struct person *person, uint64_t time_ns)
{
	return person->born_ns <= time_ns && time_ns < person->ends_ns;
}

static uint32_t living_at(const struct source *source, int family, uint64_t time_ns)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PEOPLE; i++)
		count += lives_at(&source->person[i], time_ns) && source->person[i].family == family;
	return count;
}

static uint32_t most_between(const struct source *source, int family, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t most = living_at(source, family, from_ns);

	for (uint32_t i = 0; i < PEOPLE; i++) {
		uint64_t at_ns = source->person[i].born_ns;
		uint32_t count = at_ns > from_ns && at_ns <= to_ns ? living_at(source, family, at_ns) : 0;

		most = count > most ? count : most;
	}
	return most;
}

static uint32_t least_between(const struct source *source, int family, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t least = living_at(source, family, from_ns);

	for (uint32_t i = 0; i < PEOPLE; i++) {
		uint64_t at_ns = source->person[i].ends_ns;
		uint32_t count = at_ns > from_ns && at_ns <= to_ns ? living_at(source, family, at_ns) : least;

		least = count < least ? count : least;
	}
	return least;
}

static void make_lives_and_losses(struct source *source)
{
	uint32_t longest_us = (uint32_t[]){3000, 30000, 300000, 2500000}[random_below(source, 4)];

	for (uint32_t i = 0; i < PEOPLE; i++) {
		struct person *person = &source->person[i];
		uint64_t born_ns = source->begun_ns + random_below(source, LENGTH_NS / 1000) * 1000ULL + i;
		uint64_t ends_ns = born_ns + (1 + random_below(source, longest_us)) * 1000ULL + 500;
		uint64_t written_ns = born_ns + (random_below(source, 8) ? 0 : random_below(source, 3000) * 1000ULL);

		*person = (struct person){born_ns, random_below(source, 12) ? ends_ns : UINT64_MAX, (int)random_below(source, FAMILIES)};
		source->record[source->n_records++] = (struct record){born_ns, written_ns < ends_ns ? written_ns : born_ns, i, false, false};
		if (person->ends_ns != UINT64_MAX)
			source->record[source->n_records++] = (struct record){ends_ns, ends_ns, i, true, false};
	}
	qsort(source->record, source->n_records, sizeof(*source->record), compare_records);
	for (uint32_t windows = random_below(source, 4); windows; windows--) {
		uint64_t from_ns = source->begun_ns + random_below(source, (LENGTH_NS - SEC) / 1000) * 1000ULL;
		uint64_t to_ns = from_ns + random_below(source, random_below(source, 3) ? 50000 : 900000) * 1000ULL;

		for (uint32_t i = 0; i < source->n_records; i++) {
			struct record *record = &source->record[i];

			record->is_lost |= record->written_ns >= from_ns && record->written_ns < to_ns && random_below(source, 4);
		}
	}
	source->most = random_below(source, 3) ? UINT32_MAX : 5 + random_below(source, 30);
}

static void feed_at(struct source *source, struct fact fact, uint64_t time_ns)
{
	uint64_t now_ns = source->s.now;

	source->s.now = time_ns;
	feed(&source->s, fact);
	source->s.now = now_ns;
}

static struct fact fact_of(const struct source *source, enum fact_kind kind, uint32_t person)
{
	struct fact fact = thread_fact(kind, 200 + person, kind == FACT_THREAD_SAMPLED ? "" : names[source->person[person].family]);

	fact.thread.id.start_ns = source->person[person].born_ns;
	fact.thread.creator = kind == FACT_THREAD_BORN ? tid(PID) : (struct thread_id){0};
	fact.thread.state = 'S';
	return fact;
}

/* Time goes on: what the kernel could not write by then it has counted. */
static void wait_for(struct source *source, uint32_t microseconds)
{
	source->s.now += microseconds * 1000ULL;
	for (uint32_t i = 0; i < source->n_records; i++) {
		const struct record *record = &source->record[i];

		if (!record->is_lost || record->written_ns <= source->counted_ns || record->written_ns > source->s.now)
			continue;
		source->lost++;
		source->last_loss_ns = record->written_ns;
	}
	if (source->s.now < source->begun_ns + LENGTH_NS && !random_below(source, 600)) {
		source->others++;
		source->last_loss_ns = source->s.now;
	}
	source->counted_ns = source->s.now;
}

static void tell_losses(struct source *source)
{
	if (source->lost + source->others == source->told_lost)
		return;
	source->told_lost = source->lost + source->others;
	if (!source->is_told)
		feed(&source->s, (struct fact){.kind = FACT_LIVES_LOST});
	source->is_told = true;
}

/* Who is over is told so if more than allowed lived since it was not. */
static void expect_no_false_alarm(struct source *source)
{
	struct limit_transition change;

	while (model_next_transition(source->s.model, &change)) {
		for (int family = 0; family < FAMILIES; family++) {
			if (strcmp(change.pool, families[family]))
				continue;
			const struct limit_rule *rule = &source->s.limits[family];

			if (change.limit.state == LIMIT_OVER) { /* a moment longer for a birth that was written late */
				assert_true(most_between(source, family, source->fell_ns[family], change.time_ns + 4 * MSEC) > rule->value);
				if (rule->for_ns && !source->lost && !source->others)
					assert_true(least_between(source, family, change.time_ns - rule->for_ns + 4 * MSEC,
								  change.time_ns - MSEC) > rule->value);
			} else if (change.before == LIMIT_OVER) {
				source->fell_ns[family] = change.time_ns;
			}
		}
	}
}

static void drain(struct source *source)
{
	uint64_t there_ns = source->s.now;

	for (uint32_t count = 0; source->next < source->n_records && count < source->most; source->next++) {
		const struct record *record = &source->record[source->next];

		if (record->written_ns > there_ns)
			break;
		if (record->is_lost)
			continue;
		count++;
		tell_losses(source);
		feed_at(source, fact_of(source, record->is_end ? FACT_THREAD_EXITED : FACT_THREAD_BORN, record->person), record->time_ns);
	}
	tell_losses(source);
	while (source->next < source->n_records && source->record[source->next].is_lost && source->record[source->next].written_ns <= there_ns)
		source->next++;
	source->is_behind = source->next < source->n_records && source->record[source->next].written_ns <= there_ns;
	if (!source->is_behind)
		model_judge(source->s.model, there_ns);
	expect_no_false_alarm(source);
}

static void reseed_if_wanted(struct source *source)
{
	if (!model_wants_reseed(source->s.model, TARGET) || source->s.now - source->reseeded_ns < RESEED_SPACING_NS)
		return;
	source->reseeded_ns = source->s.now;
	seed_begin(&source->s, SEED_LOST);
	for (uint32_t i = 0; i < PEOPLE; i++)
		if (lives_at(&source->person[i], source->s.now))
			feed(&source->s, fact_of(source, FACT_THREAD_SEEN, i));
	seed_end(&source->s);
	wait_for(source, random_below(source, 3000));
	drain(source);
	if (source->is_behind)
		feed(&source->s, (struct fact){.kind = FACT_LIVES_LOST});
}

static void sample_all(struct source *source)
{
	uint64_t sampled_ns = source->s.now;

	wait_for(source, random_below(source, 8000));
	drain(source);
	feed_at(source, (struct fact){.kind = FACT_THREAD_SAMPLED, .thread = {.id = tid(PID), .state = 'S', .cpu_ns = UNKNOWN_U64}}, sampled_ns);
	for (uint32_t i = 0; i < PEOPLE; i++)
		if (lives_at(&source->person[i], sampled_ns))
			feed_at(source, fact_of(source, FACT_THREAD_SAMPLED, i), sampled_ns);
}

/* As the agent refreshes: drain, counters, reseed, sample, drain, tick. */
static void refresh_all(struct source *source)
{
	drain(source);
	source->is_told &= source->is_behind;
	feed(&source->s, (struct fact){.kind = FACT_LOSS, .loss = {.lost = {[LOSS_RING] = source->lost}}});
	if (source->is_told)
		feed(&source->s, (struct fact){.kind = FACT_LIVES_LOST});
	wait_for(source, random_below(source, 100));
	reseed_if_wanted(source);
	wait_for(source, random_below(source, 3000));
	sample_all(source);
	wait_for(source, random_below(source, 2000));
	drain(source);
	tick(&source->s);
	expect_no_false_alarm(source);
}

/* All that was written has been read, all that was lost was told, and no birth is about to be written. */
static bool is_caught_up(const struct source *source)
{
	if (source->told_lost != source->lost + source->others)
		return false;
	for (uint32_t i = source->next; i < source->n_records; i++)
		if (source->record[i].time_ns <= source->s.now)
			return false;
	return true;
}

static void expect_truth(struct source *source)
{
	const struct snapshot_target *target = &look(&source->s)->targets[0];
	bool is_over = source->s.now > source->last_loss_ns + HEALED_NS && source->s.now > source->begun_ns + LENGTH_NS + HEALED_NS;

	for (int family = 0; family < FAMILIES; family++) {
		const struct snapshot_pool *of = find_pool(target, families[family]);

		if (of)
			assert_true(of->threads_peak <= most_between(source, family, source->begun_ns, source->s.now));
		if (is_over)
			assert_false(model_wants_refresh(source->s.model));
		if (is_over || (!model_wants_refresh(source->s.model) && is_caught_up(source)))
			assert_int_equal(of ? of->threads : 0, living_at(source, family, source->s.now));
	}
}

static bool play(struct source *source, uint32_t seed)
{
	uint64_t refresh_ns;

	memset(source, 0, sizeof(*source));
	source->seed = seed;
	for (int family = 0; family < FAMILIES; family++) {
		limit(&source->s, families[family], LIMIT_THREADS, 1 + random_below(source, 8));
		source->s.limits[family].for_ns = random_below(source, 3) ? 0 : 700 * MSEC;
		source->s.limits[family].clear_for_ns = random_below(source, 2) ? 50 * MSEC : 2 * SEC;
		source->s.limits[family].warn_ratio = 1.5;
	}
	script_begin(&source->s);
	leader(&source->s);
	feed(&source->s, (struct fact){.kind = FACT_LOSS});
	tick(&source->s);
	source->begun_ns = source->counted_ns = source->s.now + SEC;
	source->interval_ns = random_below(source, 2) ? SEC : (100 + random_below(source, 400)) * MSEC;
	make_lives_and_losses(source);
	refresh_ns = source->begun_ns;
	while (source->s.now < source->begun_ns + LENGTH_NS + 2 * HEALED_NS) {
		wait_for(source, random_below(source, 3) ? 500 + random_below(source, 5000) : random_below(source, 40000));
		if (source->s.now < refresh_ns) {
			drain(source);
			continue;
		}
		refresh_all(source);
		expect_truth(source);
		refresh_ns = source->s.now + source->interval_ns * 3 / 4 + random_below(source, (uint32_t)(source->interval_ns / 2000)) * 1000ULL;
	}
	script_end(&source->s);
	return source->lost > 0;
}

static void what_is_in_doubt_is_not_told(void **state)
{
	static struct source source;
	uint32_t lossy = 0;

	for (uint32_t seed = 1; seed <= PROGRAMS; seed++)
		lossy += play(&source, seed);
	print_message("%u of %u lost some\n", lossy, PROGRAMS);
	assert_true(lossy > PROGRAMS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_doubt_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
