/* SPDX-License-Identifier: GPL-2.0-only */
/* The lives of targets as snapshots show them: exec, the last frame, and what ended ones leave. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "group_facts.h"

#define AREA 0x10000000ULL

static void exec_drops_all_but_the_caller(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact = {.kind = FACT_TARGET, .target_info = {.pid = PID, .start_ns = 900 * SEC, .comm = "new",
								 .exe = "/bin/new", .name = "new"}};

	script_begin(&s);
	leader(&s);
	born(&s, 200, "w-1");
	mapped(&s, 200, AREA, MIB);
	resident(&s, AREA, MIB, 4096);
	refresh(&s);
	feed(&s, fact);
	seed_begin(&s, SEED_EXEC);
	range(&s, FACT_RANGE_SEEN, 0, AREA, MIB, RW, RANGE_ANON); /* the same address, another image */
	range(&s, FACT_RANGE_SEEN, 0, 2 * AREA, MIB, RW, RANGE_FILE);
	range(&s, FACT_RANGE_SEEN, 0, 0x7ffffff00000, 132 * 1024, RW, RANGE_ANON | RANGE_STACK);
	seed_end(&s);
	leader(&s); /* de_thread: the caller took the leader's tid and start */
	renamed(&s, PID, "new");
	exited(&s, 200);
	target = refresh(&s);
	assert_string_equal(target->info.name, "new");
	assert_int_equal(target->threads, 1);
	assert_int_equal(target->n_pools, 1);
	assert_string_equal(pool_name_of(target, PID), "main");
	assert_true(target->attributed_bytes == UNKNOWN_U64 && target->unattributed_bytes == UNKNOWN_U64);
	assert_int_equal(target->unexplained_bytes, UNKNOWN_I64); /* no pass of the new image yet */
	/* what was counted before is the former group's */
	assert_int_equal(group_pool(group(s.snapshot, "app"), "w-*")->started_total, 1);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "w-*")->exited_total, 1);
	assert_int_equal(group(s.snapshot, "app")->processes, 0);
	assert_int_equal(group(s.snapshot, "new")->processes, 1);
	assert_int_equal(group(s.snapshot, "new")->processes_started_total, 1);
	assert_int_equal(group(s.snapshot, "new")->n_pools, 1);
	born(&s, 300, "new");
	pass(&s, SEC);
	target = refresh(&s);
	assert_string_equal(pool_name_of(target, 300), "new"); /* the new name is its own */
	/* all of a new image has grown */
	mapped(&s, PID, 3 * AREA, MIB);
	resident(&s, 3 * AREA, MIB, 8192);
	resident(&s, AREA, MIB, 0);
	resident(&s, 2 * AREA, MIB, 0);
	resident(&s, 0x7ffffff00000, 132 * 1024, 4096);
	target = refresh(&s);
	assert_true(pool(target, "main")->memory.resident_bytes > 8191);
	assert_int_equal(pool(target, "main")->memory.net_grown_bytes, pool(target, "main")->memory.resident_bytes);
	script_end(&s);
}

/* The seed may come before the description. */
static void a_name_told_after_the_seed_of_an_exec(void **state)
{
	struct script s = {0};
	const struct snapshot_group *of;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "w-1");
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	leader(&s);
	born(&s, 300, "v-1");
	attach_as(&s, TARGET, PID, "new");
	refresh(&s);
	assert_int_equal(group(s.snapshot, "app")->n_pools, 2); /* main and w-* */
	assert_int_equal(group_pool(group(s.snapshot, "app"), "w-*")->exited_total, 1);
	of = group(s.snapshot, "new");
	assert_int_equal(group_pool(of, "v-*")->started_total, 1);
	assert_int_equal(of->n_pools, 2);
	script_end(&s);
}

/* The leader may have left before: the caller of exec comes back under its tid. */
static void exec_by_another_thread_after_the_leader_left(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	exited(&s, PID);
	refresh(&s);
	seed_begin(&s, SEED_EXEC);
	seed_end(&s);
	leader(&s);
	target = refresh(&s);
	assert_int_equal(target->threads, 1);
	assert_int_equal(thread(target, PID)->pool, 0);
	script_end(&s);
}

/* Of a target that ended before its page tables were read nothing resident is known: that is not 0. */
static void what_was_never_read_is_not_known(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_bytes *bytes;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "w-1");
	mapped(&s, 200, AREA, MIB);
	gone(&s, 0, TARGET_END_EXITED, 0);
	target = refresh(&s);
	bytes = &pool(target, "w-*")->memory;
	assert_true(target->attributed_bytes == UNKNOWN_U64 && target->unattributed_bytes == UNKNOWN_U64);
	assert_true(target->unattributed[UNATTRIBUTED_IMAGE] == UNKNOWN_U64);
	assert_true(bytes->resident_bytes == UNKNOWN_U64 && bytes->resident[REGION_MMAP] == UNKNOWN_U64);
	assert_true(bytes->orphaned_bytes == UNKNOWN_U64 && bytes->net_grown_bytes == UNKNOWN_I64);
	assert_true(pool(target, "w-*")->thread_resident_max == UNKNOWN_U64);
	assert_true(thread(target, 200)->memory.resident_bytes == UNKNOWN_U64);
	assert_int_equal(pool(target, "w-*")->threads_started, 1);
	script_end(&s);
}

/* Threads of the last moment, beside what was read before. */
static void who_was_born_after_the_last_reading(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "w-1");
	mapped(&s, 200, AREA, MIB);
	resident(&s, AREA, MIB, 4096);
	memory(&s, 4096, 0, 0);
	refresh(&s);
	pass(&s, 100 * MSEC);
	born(&s, 201, "w-2");
	born(&s, 300, "v-1");
	mapped(&s, 300, AREA + MIB, MIB);
	pass(&s, 100 * MSEC);
	gone(&s, 0, TARGET_END_SIGNALLED, 9);
	target = refresh(&s);
	assert_true(thread(target, 201)->memory.resident_bytes == UNKNOWN_U64);
	assert_true(thread(target, 201)->memory.mapped_bytes == UNKNOWN_U64);
	assert_true(pool(target, "v-*")->memory.resident_bytes == UNKNOWN_U64);
	assert_true(pool(target, "v-*")->memory.mapped_bytes == UNKNOWN_U64);
	assert_int_equal(thread(target, 200)->memory.resident_bytes, 4096);
	assert_int_equal(pool(target, "w-*")->memory.resident_bytes, 4096); /* of the last reading, as is said */
	assert_int_equal(target->attributed_bytes, 4096);
	script_end(&s);
}

/* The last reading of the cgroup was before the kill. */
static void an_oom_kill_counts_itself(void **state)
{
	static const uint64_t counted[][2] = {{3, 3}, {0, UNKNOWN_U64}, {UNKNOWN_U64, UNKNOWN_U64}};

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
		struct script s = {0};

		script_begin(&s);
		leader(&s);
		feed(&s, (struct fact){.kind = FACT_CGROUP, .cgroup = {.oom_kills = 2, .memory_current = MIB}});
		refresh(&s);
		feed(&s, (struct fact){.kind = FACT_TARGET_GONE, .gone = {TARGET_END_OOM_KILLED, 9, counted[i][0]}});
		assert_true(refresh(&s)->cgroup.oom_kills == counted[i][1]);
		assert_int_equal(s.snapshot->targets[0].cgroup.memory_current, MIB);
		script_end(&s);
	}
}

static void the_last_frame_stays_with_how_it_ended(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	born(&s, 200, "w-1");
	mapped(&s, 200, AREA, MIB);
	resident(&s, AREA, MIB, 4096);
	memory(&s, 4096, 0, 0);
	refresh(&s);
	pass(&s, 100 * MSEC);
	exited(&s, 200);
	exited(&s, PID);
	refresh(&s); /* between the last exit and the news of the end */
	gone(&s, 0, TARGET_END_SIGNALLED, 11);
	target = refresh(&s);
	assert_true(target->ended);
	assert_int_equal(target->end.how, TARGET_END_SIGNALLED);
	assert_int_equal(target->end.code, 11);
	assert_int_equal(target->ended_realtime_ns, REALTIME + s.now - SEC);
	assert_int_equal(target->threads, 2);
	assert_int_equal(target->n_threads_list, 2);
	assert_int_equal(pool(target, "w-*")->threads, 1);
	assert_int_equal(pool(target, "w-*")->threads_exited, 0); /* who is shown as there has not gone */
	assert_int_equal(pool(target, "w-*")->memory.resident_bytes, 4096);
	assert_int_equal(target->memory.rss_anon, 4096);
	assert_int_equal(target->unexplained_bytes, 0);
	assert_int_equal(group(s.snapshot, "app")->processes, 0);
	assert_int_equal(group(s.snapshot, "app")->threads, 0);
	/* facts that come later concern nobody */
	struct fact late = thread_fact(FACT_THREAD_BORN, 300, "w-2");

	late.target = TARGET;
	assert_int_equal(model_apply(s.model, &late), -ENOENT);
	assert_int_equal(model_deadline(s.model), UINT64_MAX);
	script_end(&s);
}

/* What was joined before the process ended is not shown as having lived to its end. */
static void who_ended_before_the_process_stays_so(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	for (uint32_t number = 200; number < 206; number++)
		born(&s, number, "w-1");
	refresh(&s);
	for (uint32_t number = 200; number < 203; number++)
		exited(&s, number);
	pass(&s, 200 * MSEC);
	for (uint32_t number = 203; number < 206; number++) { /* these go with it, one after the other */
		exited(&s, number);
		pass(&s, 30 * MSEC);
	}
	exited(&s, PID);
	pass(&s, 300 * MSEC);
	gone(&s, 0, TARGET_END_SIGNALLED, 9);
	target = refresh(&s);
	assert_int_equal(target->threads, 4);
	assert_int_equal(pool(target, "w-*")->threads, 3);
	assert_int_equal(pool(target, "w-*")->threads_exited, 3);
	script_end(&s);
}

static void ended_targets_do_not_pile_up(void **state)
{
	struct script s = {0};

	script_begin_with(&s, (struct model_options){.keep_ended = true});
	for (uint32_t i = 1; i <= 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "app%u", i % 3);
		attach_as(&s, i, 1000 + i, name);
		gone(&s, i, TARGET_END_UNKNOWN, -1);
	}
	refresh(&s);
	assert_int_equal(s.snapshot->n_targets, 32);
	assert_int_equal(s.snapshot->targets[31].id, 100);
	assert_int_equal(s.snapshot->ended_dropped, 68);
	assert_int_equal(s.snapshot->n_groups, 3);
	assert_int_equal(group(s.snapshot, "app1")->processes_started_total, 34);
	script_end(&s);
}

/* Of many that have ended some go: children that were followed, before what was asked for. */
static void who_was_asked_for_is_kept(void **state)
{
	struct script s = {0};
	struct fact child = {.kind = FACT_TARGET,
			     .target_info = {.start_ns = 900 * SEC, .exe = "/bin/sh", .name = "sh", .comm = "sh", .followed = true}};

	script_begin(&s);
	leader(&s);
	for (uint32_t i = 0; i < 40; i++) {
		struct fact gone = {.kind = FACT_TARGET_GONE, .target = 100 + i, .gone = {TARGET_END_EXITED, 0, 0}};
		struct fact held = {.kind = FACT_MEMORY, .target = 100 + i, .memory = {.rss_anon = (i == 3 ? 1 : 0) << 20}};

		child.target = 100 + i;
		child.target_info.pid = 5000 + i;
		feed(&s, child);
		feed(&s, held);
		feed(&s, gone);
	}
	feed(&s, (struct fact){.kind = FACT_TARGET_GONE, .gone = {TARGET_END_EXITED, 7, 0}});
	look(&s);
	assert_int_equal(s.snapshot->n_targets, 32);
	assert_int_equal(s.snapshot->targets[0].info.pid, PID);
	assert_int_equal(s.snapshot->targets[1].info.pid, 5003); /* of those who held least, who ended first went first */
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exec_drops_all_but_the_caller),
		cmocka_unit_test(a_name_told_after_the_seed_of_an_exec),
		cmocka_unit_test(exec_by_another_thread_after_the_leader_left),
		cmocka_unit_test(what_was_never_read_is_not_known),
		cmocka_unit_test(who_was_born_after_the_last_reading),
		cmocka_unit_test(an_oom_kill_counts_itself),
		cmocka_unit_test(the_last_frame_stays_with_how_it_ended),
		cmocka_unit_test(who_ended_before_the_process_stays_so),
		cmocka_unit_test(ended_targets_do_not_pile_up),
		cmocka_unit_test(who_was_asked_for_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
