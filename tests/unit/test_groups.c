/* SPDX-License-Identifier: GPL-2.0-only */
/* Groups of processes of one name: they keep what ended ones counted, and names beyond the bound give way to each
 * other. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "group_facts.h"

static void groups_keep_what_ended_processes_counted(void **state)
{
	struct script s = {.entry.n_limits = 1,
			   .limits = {{.pool = "w-*", .kind = LIMIT_THREADS, .value = 1, .warn_ratio = 0.8}}};
	const struct snapshot_group *of;

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	attach_as(&s, TARGET, PID, "app");
	leader(&s);
	tick(&s);
	born(&s, 200, "w-1");
	born(&s, 201, "w-2");
	exited(&s, 200);
	refresh(&s);
	of = group(s.snapshot, "app");
	assert_int_equal(group_pool(of, "w-*")->n_limits, 1);
	assert_int_equal(group_pool(of, "w-*")->limits[0].violations, 1);
	gone(&s, 0, TARGET_END_EXITED, 0);
	pass(&s, SEC);
	tick(&s);
	of = group(look(&s), "app");
	assert_int_equal(s.snapshot->n_targets, 0);
	assert_int_equal(of->processes, 0);
	assert_int_equal(of->processes_started_total, 1);
	assert_int_equal(of->threads_limit, UNKNOWN_U64);
	assert_int_equal(group_pool(of, "w-*")->threads, 0);
	assert_int_equal(group_pool(of, "w-*")->started_total, 2);
	assert_int_equal(group_pool(of, "w-*")->exited_total, 2); /* the process took the other along */
	assert_int_equal(group_pool(of, "w-*")->limits[0].violations, 1);
	assert_false(group_pool(of, "w-*")->limits[0].over);
	/* its successor goes on from there */
	attach_as(&s, 9, 101, "app");
	struct fact fact = thread_fact(FACT_THREAD_BORN, 300, "w-1");

	fact.target = 9;
	feed(&s, fact);
	refresh(&s);
	of = group(s.snapshot, "app");
	assert_int_equal(of->processes, 1);
	assert_int_equal(of->processes_started_total, 2);
	assert_int_equal(group_pool(of, "w-*")->started_total, 3);
	script_end(&s);
}

static void two_processes_of_one_name_are_one_group(void **state)
{
	struct script s = {.entry.n_limits = 1,
			   .limits = {{.pool = "*", .kind = LIMIT_THREADS, .value = 4, .warn_ratio = 0.8}}};
	const struct snapshot_group *of;
	struct fact fact;

	script_begin(&s);
	attach_as(&s, 8, 101, "app");
	leader(&s);
	for (uint32_t i = 0; i < 2; i++)
		seen(&s, 200 + i, "w-1");
	for (uint32_t i = 0; i < 6; i++) {
		fact = thread_fact(FACT_THREAD_SEEN, 300 + i, i < 5 ? "w-1" : "v-1");
		fact.target = 8;
		feed(&s, fact);
	}
	memory(&s, 100, 10, 1);
	cgroup(&s, 1000 * MIB, 0, 50);
	fact = (struct fact){.kind = FACT_CGROUP, .target = 8,
			     .cgroup = {.path = "/app", .memory_max = 1000 * MIB, .pids_max = 50, .cpu_quota_cores = 2}};
	feed(&s, fact);
	fact = (struct fact){.kind = FACT_MEMORY, .target = 8, .memory = {200, 20, 2, 0, 0}};
	feed(&s, fact);
	refresh(&s);
	assert_int_equal(s.snapshot->n_groups, 1);
	of = group(s.snapshot, "app");
	assert_int_equal(of->processes, 2);
	assert_int_equal(of->processes_started_total, 2);
	assert_int_equal(of->threads, 9);
	assert_int_equal(of->rss_anon, 300);
	assert_int_equal(of->rss_file, 30);
	assert_int_equal(of->rss_shmem, 3);
	assert_int_equal(of->memory_limit, 1000 * MIB); /* one cgroup, once */
	assert_int_equal(of->threads_limit, 50);
	assert_int_equal(of->n_pools, 3);
	assert_int_equal(group_pool(of, "w-*")->threads, 7);
	assert_int_equal(group_pool(of, "w-*")->peak, 5); /* of the largest process */
	assert_true(group_pool(of, "w-*")->limits[0].over);
	assert_true(fabs(group_pool(of, "w-*")->limits[0].used_ratio - 1.25) < 0.001); /* of the worst */
	assert_string_equal(of->pools[0].name, "main");
	script_end(&s);
}

/* Of a process with one thread beside the leader; names differ by the number. */
static void attach_numbered(struct script *s, uint32_t number)
{
	struct fact fact = thread_fact(FACT_THREAD_BORN, 200, "w-1");
	char name[16];

	snprintf(name, sizeof(name), "app%u", number);
	attach_as(s, number, 1000 + number, name);
	fact.target = number;
	feed(s, fact);
}

static uint64_t started_of_all(const struct snapshot *snapshot)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < snapshot->n_groups; i++)
		for (size_t p = 0; p < snapshot->groups[i].n_pools; p++)
			sum += snapshot->groups[i].pools[p].started_total;
	return sum;
}

static bool has_group(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->n_groups; i++) {
		if (!strcmp(snapshot->groups[i].name, name))
			return true;
	}
	return false;
}

static void the_name_whose_last_process_ended_first_gives_way(void **state)
{
	struct script s = {.entry.n_limits = 1,
			   .limits = {{.pool = "w-*", .kind = LIMIT_THREADS, .value = 0, .warn_ratio = 0.8}}};
	const struct snapshot_group *other;

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	for (uint32_t i = 1; i <= 1024; i++) {
		attach_numbered(&s, i);
		if (i == 5) /* long enough for its limit to be judged */
			refresh(&s);
		/* 1 lives, 2 ends last; the others in their order */
		if (i > 2)
			gone(&s, i, TARGET_END_EXITED, 0);
	}
	gone(&s, 2, TARGET_END_EXITED, 0);
	refresh(&s);
	assert_int_equal(s.snapshot->n_groups, 1024);
	assert_int_equal(s.snapshot->series_dropped, 0);
	/* 3 comes back and ends again: it is not the one that has ended for longest now */
	attach_numbered(&s, 3);
	gone(&s, 3, TARGET_END_EXITED, 0);
	for (uint32_t i = 1025; i <= 1100; i++) {
		attach_numbered(&s, i);
		if (i < 1100)
			gone(&s, i, TARGET_END_EXITED, 0);
	}
	refresh(&s);
	assert_int_equal(s.snapshot->n_groups, 1025);
	assert_int_equal(s.snapshot->names_dropped, 76);
	assert_int_equal(s.snapshot->series_dropped, 76);
	assert_int_equal(group(s.snapshot, "app1100")->processes, 1);
	assert_int_equal(group_pool(group(s.snapshot, "app1100"), "w-*")->started_total, 1);
	assert_int_equal(group(s.snapshot, "app1")->processes, 1);
	assert_int_equal(group(s.snapshot, "app3")->processes_started_total, 2);
	assert_true(has_group(s.snapshot, "app2") && has_group(s.snapshot, "app80"));
	assert_false(has_group(s.snapshot, "app4") || has_group(s.snapshot, "app79"));
	other = group(s.snapshot, "other");
	assert_int_equal(other->processes, 0);
	assert_int_equal(other->processes_started_total, 76);
	assert_int_equal(group_pool(other, "w-*")->started_total, 76);
	assert_int_equal(group_pool(other, "w-*")->n_limits, 1);
	assert_int_equal(group_pool(other, "w-*")->limits[0].violations, 1);
	assert_false(group_pool(other, "w-*")->limits[0].over);
	assert_int_equal(started_of_all(s.snapshot), 1100 + 1);
	/* A name that gave way begins anew. */
	attach_numbered(&s, 4);
	refresh(&s);
	assert_int_equal(group(s.snapshot, "app4")->processes_started_total, 1);
	assert_int_equal(group(s.snapshot, "other")->processes_started_total, 77);
	assert_int_equal(started_of_all(s.snapshot), 1100 + 2);
	script_end(&s);
}

static void a_living_name_never_gives_way(void **state)
{
	struct script s = {0};
	const struct snapshot_group *other;

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	for (uint32_t i = 1; i <= 1026; i++)
		attach_numbered(&s, i);
	refresh(&s);
	assert_int_equal(s.snapshot->n_groups, 1025);
	assert_int_equal(s.snapshot->series_dropped, 2);
	other = group(s.snapshot, "other");
	assert_int_equal(other->processes, 2); /* with all their gauges */
	assert_int_equal(other->threads, 2);
	assert_int_equal(group_pool(other, "w-*")->threads, 2);
	/* The place of one that ends is the next new name's; who is in `other` stays there. */
	gone(&s, 500, TARGET_END_EXITED, 0);
	attach_numbered(&s, 1027);
	gone(&s, 1025, TARGET_END_EXITED, 0);
	refresh(&s);
	assert_false(has_group(s.snapshot, "app500"));
	assert_int_equal(group(s.snapshot, "app1027")->processes, 1);
	other = group(s.snapshot, "other");
	assert_int_equal(other->processes, 1);
	assert_int_equal(other->processes_started_total, 3);
	assert_int_equal(group_pool(other, "w-*")->started_total, 3);
	assert_int_equal(s.snapshot->series_dropped, 3);
	script_end(&s);
}

/* By exec it goes from name to name: each stays until it has been told what was counted under it. */
static void a_former_name_waits_for_what_was_counted(void **state)
{
	struct script s = {0};

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	attach_numbered(&s, 1);
	refresh(&s);
	for (uint32_t i = 2; i <= 1024; i++) {
		attach_numbered(&s, i);
		gone(&s, i, TARGET_END_EXITED, 0);
	}
	attach_as(&s, 1, 1001, "app2000"); /* not told of it yet */
	for (uint32_t i = 1025; i <= 3000; i++) {
		attach_numbered(&s, i);
		gone(&s, i, TARGET_END_EXITED, 0);
	}
	refresh(&s);
	assert_int_equal(group_pool(group(s.snapshot, "app1"), "w-*")->started_total, 1);
	assert_int_equal(group(s.snapshot, "app2000")->processes, 1);
	assert_int_equal(started_of_all(s.snapshot), 3000);
	script_end(&s);
}

/* The seed of an exec and the new name come in any order, a tick may lie between, or another name: none is held. */
static void a_process_under_many_names_holds_the_last(void **state)
{
	struct script s = {0};
	char name[32];

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 2000; i++) {
		for (uint32_t way = i; way; way /= 4) {
			if (way % 4 == 1) {
				seed_begin(&s, SEED_EXEC);
				seed_end(&s);
				leader(&s);
			} else if (way % 4 == 2) {
				pass(&s, MSEC);
				tick(&s);
			} else {
				snprintf(name, sizeof(name), "p%u.%u", i, way);
				attach_as(&s, TARGET, PID, name);
			}
		}
	}
	attach_as(&s, TARGET, PID, "last");
	refresh(&s);
	assert_int_equal(group(s.snapshot, "last")->processes, 1);
	for (int round = 0; round < 2; round++) {
		uint32_t living = !round;

		for (uint32_t i = 10; i < 10 + 1024 - living; i++) {
			attach_numbered(&s, i + 5000 * (uint32_t)round);
			gone(&s, i + 5000 * (uint32_t)round, TARGET_END_EXITED, 0);
		}
		look(&s);
		assert_int_equal(s.snapshot->n_groups, 1025);
		for (size_t i = 0; i < s.snapshot->n_groups; i++)
			assert_true(!strncmp(s.snapshot->groups[i].name, "app", 3) ||
				    !strcmp(s.snapshot->groups[i].name, "other") ||
				    (living && !strcmp(s.snapshot->groups[i].name, "last")));
		if (living)
			gone(&s, TARGET, TARGET_END_EXITED, 0);
	}
	script_end(&s);
}

static void exec_as(struct script *s, const char *name)
{
	attach_as(s, TARGET, PID, name);
	pass(s, MSEC);
	seed_begin(s, SEED_EXEC);
	seed_end(s);
}

/* A wrapper that a second wrapper calls: no refresh lies between the two. */
static void what_a_short_image_did_is_its_own(void **state)
{
	struct script s = {.entry.n_limits = 1,
			   .limits = {{.pool = "w-*", .kind = LIMIT_THREADS, .value = 1, .warn_ratio = 0.8}}};
	static const char *const names[] = {"first", "second", "third"};
	struct limit_transition told;

	script_begin(&s);
	attach_as(&s, TARGET, PID, names[0]);
	leader(&s);
	refresh(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (uint32_t j = 0; j < 2; j++)
			born(&s, 200 + 10 * i + j, "w-1");
		for (uint32_t j = 0; j < 2; j++) { /* warn, over */
			assert_true(model_next_transition(s.model, &told));
			assert_string_equal(told.process, names[i]);
		}
		if (i + 1 == ARRAY_SIZE(names))
			break;
		pass(&s, 100 * MSEC);
		exec_as(&s, names[i + 1]);
		assert_true(model_next_transition(s.model, &told));
		assert_string_equal(told.process, names[i]);
		assert_int_equal(told.limit.state, LIMIT_OK);
	}
	refresh(&s);
	for (uint32_t i = 0; i < ARRAY_SIZE(names); i++) {
		const struct snapshot_group_pool *pool = group_pool(group(s.snapshot, names[i]), "w-*");

		assert_int_equal(pool->started_total, 2);
		assert_int_equal(pool->exited_total, i + 1 == ARRAY_SIZE(names) ? 0 : 2);
		assert_int_equal(pool->limits[0].violations, 1);
		assert_int_equal(group(s.snapshot, names[i])->processes, i + 1 == ARRAY_SIZE(names));
	}
	script_end(&s);
}

static void a_name_of_the_config_never_gives_way(void **state)
{
	struct script s = {.entry = {.name = "app1"}};

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	for (uint32_t i = 1; i <= 3000; i++) {
		attach_numbered(&s, i);
		gone(&s, i, TARGET_END_EXITED, 0);
	}
	look(&s);
	assert_int_equal(group(s.snapshot, "app1")->processes_started_total, 1);
	assert_int_equal(s.snapshot->names_dropped, 3000 - 1024);
	script_end(&s);
}

/* What a group keeps of ended processes is bounded too. */
static void pools_beyond_what_a_group_keeps_are_counted(void **state)
{
	struct script s = {.entry.max_pools = 1024};

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	attach_as(&s, TARGET, PID, "app");
	leader(&s);
	for (uint32_t i = 0; i < 600; i++) {
		char name[16] = {'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676, 'x'};

		born(&s, 200 + i, name);
	}
	refresh(&s);
	gone(&s, 0, TARGET_END_EXITED, 0);
	look(&s);
	assert_int_equal(s.snapshot->series_dropped, 601 - 512);
	assert_int_equal(s.snapshot->targets[0].pools_dropped, 0);
	assert_int_equal(group(s.snapshot, "app")->n_pools, 513);
	assert_int_equal(started_of_all(s.snapshot), 600);
	script_end(&s);
}

/* Who names itself late takes its start along to another pool: a counter has it once that cannot happen any more, and never
 * falls. */
static void a_counter_never_falls(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	refresh(&s);
	for (uint32_t number = 200; number < 207; number++) {
		born(&s, number, "app");
		routine(&s, number, "libfoo.so", "work");
	}
	pass(&s, 25 * MSEC);
	tick(&s);
	target = &look(&s)->targets[0];
	assert_int_equal(pool(target, "libfoo.so:work")->threads_started, 7);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "libfoo.so:work")->started_total, 0);
	for (uint32_t number = 200; number < 203; number++)
		renamed(&s, number, "kid-1");
	target = refresh(&s);
	assert_int_equal(pool(target, "libfoo.so:work")->threads_started, 4);
	assert_int_equal(pool(target, "kid-*")->threads_started, 3);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "libfoo.so:work")->started_total, 4);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "kid-*")->started_total, 3);
	born(&s, 300, "kid-2");
	exited(&s, 300); /* it will be nobody else's */
	renamed(&s, 206, "kid-3"); /* later than that, its start stays */
	born(&s, 301, "kid-2");
	pass(&s, MSEC);
	tick(&s);
	target = &look(&s)->targets[0];
	assert_int_equal(group_pool(group(s.snapshot, "app"), "libfoo.so:work")->started_total, 4);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "kid-*")->started_total, 4);
	gone(&s, 0, TARGET_END_EXITED, 0);
	look(&s);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "libfoo.so:work")->started_total, 4);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "kid-*")->started_total, 5);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_counter_never_falls),
		cmocka_unit_test(groups_keep_what_ended_processes_counted),
		cmocka_unit_test(two_processes_of_one_name_are_one_group),
		cmocka_unit_test(the_name_whose_last_process_ended_first_gives_way),
		cmocka_unit_test(a_living_name_never_gives_way),
		cmocka_unit_test(a_former_name_waits_for_what_was_counted),
		cmocka_unit_test(a_process_under_many_names_holds_the_last),
		cmocka_unit_test(what_a_short_image_did_is_its_own),
		cmocka_unit_test(a_name_of_the_config_never_gives_way),
		cmocka_unit_test(pools_beyond_what_a_group_keeps_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
