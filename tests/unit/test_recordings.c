/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts of live targets (tests/recordings), replayed: the model must say of each thread what the target knew of
 * itself, also when facts come twice, or exits come late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>

#include "model/model.h"
#include "recording.h"

#define FOLDER "tests/recordings"

struct expected { /* of one thread; `orphaned` pools have their name instead */
	uint32_t tid;
	char pool[64];
	uint64_t bytes[REGION_COUNT];
};

struct recording {
	char name[64];
	struct fact *facts;
	size_t count;
	struct expected *expected;
	size_t n_expected;
	bool at_most; /* attached half-way: nobody has more than his own */
	bool guests;
};

enum order { AS_RECORDED, TWICE, EXITS_LATE, ORDERS };

/* How often the recordings show the races that they are kept for. */
static struct {
	unsigned given_away, stack_in_use, drained_after_seed, leader_gone, io_workers, guests, lost;
} races;

static void recording_add_fact(struct recording *recording, const struct fact *fact)
{
	if (!(recording->count & (recording->count + 1)))
		recording->facts = reallocarray(recording->facts, 2 * recording->count + 2, sizeof(*fact));
	assert_non_null(recording->facts);
	recording->facts[recording->count++] = *fact;
}

static void recording_add_line(struct recording *recording, const char *line)
{
	struct expected expected = {0};
	uint64_t *bytes = expected.bytes;
	struct fact fact;
	int r = recording_read(line, &fact);

	if (r)
		assert_int_equal(r, 1);
	if (r == 1)
		return recording_add_fact(recording, &fact);
	recording->at_most |= !strncmp(line, "at_most", 7);
	if (sscanf(line, "guest %u", &expected.tid) == 1)
		recording->guests = true;
	else if (sscanf(line, "thread %u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &expected.tid, &bytes[REGION_STACK],
			&bytes[REGION_ARENA], &bytes[REGION_HEAP], &bytes[REGION_MMAP]) == 5 ||
		 sscanf(line, "orphaned %63s %" SCNu64, expected.pool, &bytes[0]) == 2) {
		recording->expected = reallocarray(recording->expected, recording->n_expected + 1, sizeof(expected));
		assert_non_null(recording->expected);
		recording->expected[recording->n_expected++] = expected;
	}
}

static void recording_load(const char *name, struct recording *ret_recording)
{
	struct recording recording = {0};
	char path[256], line[1024];
	FILE *file;

	snprintf(recording.name, sizeof(recording.name), "%s", name);
	snprintf(path, sizeof(path), FOLDER "/%s", name);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		recording_add_line(&recording, line);
	fclose(file);
	assert_true(recording.count > 50 && recording.n_expected > 1);
	*ret_recording = recording;
}

static void recording_free(struct recording *recording)
{
	free(recording->facts);
	free(recording->expected);
}

/* What the model refuses at replay it refused when it was recorded: see engine.c, apply(). */
static void apply(struct model *model, const struct fact *fact, enum order order)
{
	assert_int_not_equal(model_apply(model, fact), -ENOMEM);
	if (order == TWICE && fact->kind != FACT_SEED_BEGIN && fact->kind != FACT_SEED_END)
		assert_int_not_equal(model_apply(model, fact), -ENOMEM);
}

/* Exits of one target wait here, as a kernel may report them after births on the same stacks; but never beyond the
 * next look at the target. */
struct late {
	struct fact exits[256];
	size_t count;
};

static void late_release(struct late *late, struct model *model)
{
	for (size_t i = 0; i < late->count; i++)
		apply(model, &late->exits[i], EXITS_LATE);
	late->count = 0;
}

static bool is_call(enum fact_kind kind)
{
	return kind == FACT_THREAD_BORN || kind == FACT_THREAD_RENAMED || kind == FACT_RANGE_MADE ||
	       kind == FACT_RANGE_FREED || kind == FACT_RANGE_FREE_FAILED || kind == FACT_RANGE_MOVED ||
	       kind == FACT_RANGE_PROTECTED || kind == FACT_BRK;
}

static struct snapshot *replay(const struct recording *recording, enum order order)
{
	struct policy_entry entry = {.name = "recorded"};
	const struct policy policy = {.entries = &entry, .n_entries = 1};
	const struct model_options options = {.policy = &policy, .keep_ended = true};
	_cleanup_(model_freep) struct model *model = NULL;
	struct snapshot *snapshot = NULL;
	struct late late = {0};

	assert_int_equal(model_new(&options, &model), 0);
	for (size_t i = 0; i < recording->count; i++) {
		const struct fact *fact = &recording->facts[i];

		if (order == EXITS_LATE && fact->kind == FACT_THREAD_EXITED && late.count < ARRAY_SIZE(late.exits)) {
			late.exits[late.count++] = *fact;
			continue;
		}
		if (!is_call(fact->kind))
			late_release(&late, model);
		apply(model, fact, order);
	}
	assert_int_equal(model_snapshot(model, &snapshot), 0);
	return snapshot;
}

static const struct snapshot_bytes *find(const struct snapshot_target *target, const struct expected *expected)
{
	for (size_t i = 0; i < target->n_threads_list && expected->tid; i++)
		if (target->threads_list[i].id.tid == expected->tid)
			return &target->threads_list[i].memory;
	for (size_t i = 0; i < target->n_pools && !expected->tid; i++)
		if (!strcmp(target->pools[i].name, expected->pool))
			return &target->pools[i].memory;
	return NULL;
}

static void check(const struct recording *recording, const struct snapshot_target *target)
{
	uint64_t living = 0;

	assert_int_equal(target->unexplained_bytes, 0);
	assert_int_equal(target->memory.rss_anon, target->attributed_bytes + target->unattributed_bytes);
	for (size_t i = 0; i < recording->n_expected; i++) {
		const struct expected *expected = &recording->expected[i];
		const struct snapshot_bytes *shown = find(target, expected);

		living += expected->tid != 0;
		if (!shown) {
			if (expected->tid || (expected->bytes[0] && !recording->at_most))
				fail_msg("thread %u, pool %s is not shown", expected->tid, expected->pool);
			continue;
		}
		if (!expected->tid && !recording->at_most)
			assert_int_equal(shown->orphaned_bytes, expected->bytes[0]);
		for (int region = 0; region < REGION_COUNT && expected->tid; region++) {
			if (recording->at_most ? shown->resident[region] > expected->bytes[region]
					       : shown->resident[region] != expected->bytes[region])
				fail_msg("thread %u has %" PRIu64 " of %s, not %" PRIu64, expected->tid,
					 shown->resident[region], region_name(region), expected->bytes[region]);
		}
	}
	assert_int_equal(target->threads, living);
}

static bool overlap(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	return a_length && b_length && a < b + b_length && b < a + a_length;
}

/* Freed by one thread, made by another before the first is heard of again. */
static bool is_given_away(const struct recording *recording, size_t at)
{
	const struct fact_range *freed = &recording->facts[at].range;

	if (recording->facts[at].kind != FACT_RANGE_FREED)
		return false;
	for (size_t i = at + 1; i < recording->count && i < at + 50; i++) {
		const struct fact *fact = &recording->facts[i];

		if (!is_call(fact->kind) || fact->kind == FACT_THREAD_BORN || fact->kind == FACT_THREAD_RENAMED)
			continue;
		if (fact->range.who.tid == freed->who.tid)
			return false;
		if (fact->kind == FACT_RANGE_MADE &&
		    overlap(fact->range.start, fact->range.length, freed->start, freed->length))
			return true;
	}
	return false;
}

/* Born on the stack of one whose exit comes between here and the last look, or, delayed, after. */
static bool is_on_a_stack_in_use(const struct recording *recording, size_t at)
{
	const struct fact_thread *born = &recording->facts[at].thread;

	if (recording->facts[at].kind != FACT_THREAD_BORN)
		return false;
	for (size_t i = at; i-- > 0 && (is_call(recording->facts[i].kind) || recording->facts[i].kind == FACT_THREAD_EXITED);) {
		for (size_t b = i; recording->facts[i].kind == FACT_THREAD_EXITED && b-- > 0;) {
			const struct fact_thread *former = &recording->facts[b].thread;

			if (recording->facts[b].kind == FACT_THREAD_BORN &&
			    former->id.tid == recording->facts[i].thread.id.tid)
				return overlap(former->stack_start, former->stack_length, born->stack_start,
					       born->stack_length);
		}
	}
	return false;
}

static void count_races(const struct recording *recording)
{
	uint64_t seeded_ns = 0;
	uint32_t pid = 0;

	for (size_t i = 0; i < recording->count; i++) {
		const struct fact *fact = &recording->facts[i];

		if (fact->kind == FACT_TARGET)
			pid = fact->target_info.pid;
		if (fact->kind == FACT_SEED_END)
			seeded_ns = fact->time_ns;
		races.given_away += is_given_away(recording, i);
		races.stack_in_use += is_on_a_stack_in_use(recording, i);
		races.drained_after_seed += is_call(fact->kind) && fact->time_ns < seeded_ns;
		races.leader_gone += fact->kind == FACT_THREAD_EXITED && fact->thread.id.tid == pid;
		races.io_workers += fact->kind == FACT_THREAD_BORN && fact->thread.is_io_worker;
		races.lost += fact->kind == FACT_LOSS && fact->loss.lost[LOSS_RING] > 0;
	}
	races.guests += recording->guests;
}

static void every_recording_tells_the_truth(void **state)
{
	struct dirent **entries;
	int n = scandir(FOLDER, &entries, NULL, alphasort), replayed = 0;

	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		struct recording recording;

		if (strstr(entries[i]->d_name, ".facts")) {
			recording_load(entries[i]->d_name, &recording);
			count_races(&recording);
			for (enum order order = AS_RECORDED; order < ORDERS; order++) {
				struct snapshot *snapshot = replay(&recording, order);

				print_message("%s: order %d\n", recording.name, order);
				assert_int_equal(snapshot->n_targets, 1);
				check(&recording, &snapshot->targets[0]);
				snapshot_free(snapshot);
			}
			recording_free(&recording);
			replayed++;
		}
		free(entries[i]);
	}
	free(entries);
	assert_true(replayed >= 8);
}

static void every_race_is_in_a_recording(void **state)
{
	print_message("given away %u, stack in use %u, drained after the seed %u, leader gone %u, io workers %u, guests %u, lost %u\n",
		      races.given_away, races.stack_in_use, races.drained_after_seed, races.leader_gone,
		      races.io_workers, races.guests, races.lost);
	assert_true(races.given_away && races.stack_in_use && races.drained_after_seed && races.leader_gone &&
		    races.io_workers && races.guests && races.lost);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_recording_tells_the_truth),
		cmocka_unit_test(every_race_is_in_a_recording),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
