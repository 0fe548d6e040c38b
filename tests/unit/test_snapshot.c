/* SPDX-License-Identifier: GPL-2.0-only */
/* Snapshots: what adds up in them, what is not known, targets that exec and end, groups of processes, arenas
 * that are shared, and the bounds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model_facts.h"

#define AREA 0x10000000ULL

static const struct snapshot_group *group(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->n_groups; i++) {
		if (!strcmp(snapshot->groups[i].name, name))
			return &snapshot->groups[i];
	}
	fail_msg("there is no group \"%s\"", name);
	return NULL;
}

static const struct snapshot_group_pool *group_pool(const struct snapshot_group *of, const char *name)
{
	const struct snapshot_group_pool *found = NULL;

	for (size_t i = 0; i < of->n_pools; i++) {
		if (strcmp(of->pools[i].name, name) != 0)
			continue;
		assert_null(found); /* names are unique */
		found = &of->pools[i];
	}
	assert_non_null(found);
	return found;
}

static void gone(struct script *s, uint32_t target, enum target_end how, int code)
{
	feed(s, (struct fact){.kind = FACT_TARGET_GONE, .target = target, .gone = {how, code}});
}

static void unknown_is_not_zero(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	target = refresh(&s);
	assert_int_equal(target->memory.rss_anon, UNKNOWN_U64);
	assert_int_equal(target->unexplained_bytes, UNKNOWN_I64);
	assert_true(isnan(target->age_seconds));
	assert_true(isnan(target->reseed_age_seconds));
	assert_true(isnan(target->seconds_to_memory_max));
	assert_int_equal(target->growth_1m, UNKNOWN_I64);
	assert_int_equal(target->cgroup.memory_max, UNKNOWN_U64);
	assert_int_equal(target->events_received, UNKNOWN_U64);
	assert_int_equal(target->events_lost, UNKNOWN_U64);
	assert_int_equal(target->pools[0].capacity, UNKNOWN_U64);
	assert_int_equal(target->pools[0].busy, UNKNOWN_U64);
	assert_int_equal(target->pools[0].memory.grown_bytes, UNKNOWN_I64);
	assert_int_equal(target->pools[0].growth_per_minute, UNKNOWN_I64);
	assert_int_equal(target->pools[0].parent, -1);
	assert_int_equal(target->pools[0].verdict.state, VERDICT_NONE);
	assert_true(isnan(target->threads_list[0].cpu_percent));
	assert_int_equal(target->threads_list[0].stack_used, UNKNOWN_U64);
	script_end(&s);
}

static void the_identity_and_its_age(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, AREA, MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 2 * MIB, MIB, RW, RANGE_FILE);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 4 * MIB, MIB, RW, RANGE_SHARED | RANGE_ANON);
	seed_end(&s);
	pass(&s, MSEC);
	mapped(&s, 200, AREA + 6 * MIB, MIB);
	memory(&s, 4096 + 8192 + 12288 + 50, 0, 0);
	resident(&s, AREA, MIB, 4096);
	resident(&s, AREA + 2 * MIB, MIB, 8192);
	target = refresh(&s);
	/* the last range has no figure yet: no pass was whole */
	assert_int_equal(target->unexplained_bytes, UNKNOWN_I64);
	assert_true(fabs(target->age_seconds - 1) < 0.001);
	resident(&s, AREA + 6 * MIB, MIB, 12288);
	target = refresh(&s);
	assert_int_equal(target->attributed_bytes, 12288);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 4096);
	assert_int_equal(target->unattributed[UNATTRIBUTED_IMAGE], 8192);
	assert_int_equal(target->unattributed_bytes, 4096 + 8192);
	assert_int_equal(target->unexplained_bytes, 50);
	assert_true(fabs(target->age_seconds - 2) < 0.001); /* the oldest figure */
	assert_int_equal(target->ranges, 4);
	script_end(&s);
}

static void what_is_read_is_what_can_hold_pages(void **state)
{
	struct script s = {0};
	struct span *spans;
	size_t count;

	script_begin(&s);
	leader(&s);
	range(&s, FACT_RANGE_MADE, PID, AREA, MIB, RW, RANGE_ANON | RANGE_SHARED);
	range(&s, FACT_RANGE_MADE, PID, AREA + 2 * MIB, 64 * MIB, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	range(&s, FACT_RANGE_MADE, PID, AREA + 80 * MIB, MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_MADE, PID, AREA + 90 * MIB, MIB, PROT_READ, RANGE_FILE);
	assert_int_equal(model_spans(s.model, TARGET, &spans, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(spans[0].start, AREA + 80 * MIB);
	assert_int_equal(spans[0].length, MIB);
	assert_true(spans[0].changed);
	assert_int_equal(spans[1].start, AREA + 90 * MIB);
	free(spans);
	resident(&s, AREA + 80 * MIB, MIB, 4096);
	assert_int_equal(model_spans(s.model, TARGET, &spans, &count), 0);
	assert_false(spans[0].changed);
	free(spans);
	assert_int_equal(model_spans(s.model, 99, &spans, &count), -ENOENT);
	script_end(&s);
}

static void pages_outside_twice_ask_for_a_reseed(void **state)
{
	struct script s = {0};
	const struct fact outside = {.kind = FACT_RESIDENT, .resident = {.start = AREA, .length = MIB,
									 .resident = 4096, .outside = true}};

	script_begin(&s);
	leader(&s);
	feed(&s, outside);
	refresh(&s);
	assert_false(model_wants_reseed(s.model, TARGET));
	resident(&s, AREA, MIB, 0); /* a reading without any: the streak ends */
	refresh(&s);
	feed(&s, outside);
	refresh(&s);
	assert_false(model_wants_reseed(s.model, TARGET));
	refresh(&s); /* nothing was read: says nothing */
	feed(&s, outside);
	refresh(&s);
	assert_true(model_wants_reseed(s.model, TARGET));
	seed_begin(&s, SEED_LOST);
	assert_false(model_wants_reseed(s.model, TARGET));
	seed_end(&s);
	assert_int_equal(refresh(&s)->reseeds, 1);
	assert_int_equal(s.snapshot->reseeds, 1);
	assert_true(fabs(s.snapshot->targets[0].reseed_age_seconds - 1) < 0.001);
	script_end(&s);
}

static void losses_ask_for_a_reseed_and_owners_survive_it(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact loss = {.kind = FACT_LOSS, .loss = {.lost = {[LOSS_RING] = 0, [LOSS_KRETPROBE] = UNKNOWN_U64}}};

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	mapped(&s, 200, AREA, MIB);
	feed(&s, loss);
	assert_false(model_wants_reseed(s.model, TARGET));
	loss.loss.lost[LOSS_RING] = 3;
	feed(&s, loss);
	assert_true(model_wants_reseed(s.model, TARGET));
	seed_begin(&s, SEED_LOST);
	range(&s, FACT_RANGE_SEEN, 0, AREA, MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 4 * MIB, MIB, RW, RANGE_ANON);
	seed_end(&s);
	feed(&s, loss); /* told again: nothing new */
	assert_false(model_wants_reseed(s.model, TARGET));
	resident(&s, AREA, MIB, 4096);
	resident(&s, AREA + 4 * MIB, MIB, 8192);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.resident_bytes, 4096);
	assert_int_equal(target->unattributed[UNATTRIBUTED_LOST], 8192);
	assert_int_equal(target->events_lost, 3);
	script_end(&s);
}

/* A program's misses cannot be told apart by target; the ring's can. */
static void losses_of_the_agent_concern_all_or_none(void **state)
{
	struct script s = {0};
	struct fact loss = {.kind = FACT_LOSS, .loss = {.lost = {[LOSS_RING] = 5}}};

	script_begin(&s);
	attach_as(&s, 8, 101, "app");
	assert_int_equal(model_apply(s.model, &loss), 0);
	assert_false(model_wants_reseed(s.model, TARGET));
	loss.loss.lost[LOSS_RECURSION] = 1;
	assert_int_equal(model_apply(s.model, &loss), 0);
	assert_true(model_wants_reseed(s.model, TARGET));
	assert_true(model_wants_reseed(s.model, 8));
	refresh(&s);
	assert_int_equal(s.snapshot->lost[LOSS_RING], 5);
	assert_int_equal(s.snapshot->lost[LOSS_RECURSION], 1);
	script_end(&s);
}

static void a_followed_child_starts_with_what_it_inherited(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seed_begin(&s, SEED_INHERITED);
	range(&s, FACT_RANGE_SEEN, 0, AREA, MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, 0x7ffffff00000, 132 * 1024, RW, RANGE_ANON | RANGE_STACK);
	seed_end(&s);
	resident(&s, AREA, MIB, 4096);
	resident_at(&s, 0x7ffffff00000, 8192);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_INHERITED], 4096 + 8192);
	assert_int_equal(target->attributed_bytes, 0);
	script_end(&s);
}

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
	assert_int_equal(target->attributed_bytes, 0);
	assert_int_equal(target->unattributed_bytes, 0);
	assert_int_equal(target->unexplained_bytes, UNKNOWN_I64); /* no whole pass of the new image yet */
	/* what was counted before is the former group's */
	assert_int_equal(group_pool(group(s.snapshot, "app"), "w-*")->started_total, 1);
	assert_int_equal(group_pool(group(s.snapshot, "app"), "w-*")->exited_total, 1);
	assert_int_equal(group(s.snapshot, "app")->processes, 0);
	assert_int_equal(group(s.snapshot, "new")->processes, 1);
	assert_int_equal(group(s.snapshot, "new")->processes_started_total, 1);
	assert_int_equal(group(s.snapshot, "new")->n_pools, 1);
	born(&s, 300, "new");
	pass(&s, SEC);
	assert_string_equal(pool_name_of(refresh(&s), 300), "new"); /* the new name is its own */
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
	assert_int_equal(pool(target, "w-*")->threads_exited, 1);
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

static void groups_keep_what_ended_processes_counted(void **state)
{
	struct script s = {.entry.n_limits = 1,
			   .limits = {{.pool = "w-*", .kind = LIMIT_THREADS, .value = 1, .warn_ratio = 0.8}}};
	const struct snapshot_group *of;

	script_begin_with(&s, (struct model_options){.keep_ended = false});
	attach_as(&s, TARGET, PID, "app");
	leader(&s);
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
	assert_int_equal(group_pool(of, "w-*")->exited_total, 1);
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

static void a_shared_arena_is_divided(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const uint64_t arena = 64 * MIB * 5 + 48, heap = 64 * MIB * 5;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	seen(&s, 201, "w-2");
	seen(&s, 202, "v-1");
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, heap, 32 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, heap + 32 * MIB, 32 * MIB, PROT_NONE, RANGE_ANON);
	seed_end(&s);
	feed(&s, (struct fact){.kind = FACT_ARENA, .arena = {.heap = heap, .address = arena}});
	resident(&s, heap, 32 * MIB, 3 * MIB);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 3 * MIB);
	for (uint32_t i = 200; i <= 202; i++)
		feed(&s, (struct fact){.kind = FACT_THREAD_ARENA, .arena = {.who = tid(i), .address = arena}});
	target = refresh(&s);
	assert_int_equal(target->unattributed_bytes, 0);
	assert_int_equal(pool(target, "w-*")->memory.resident[REGION_ARENA], 2 * MIB);
	assert_int_equal(pool(target, "v-*")->memory.resident[REGION_ARENA], MIB);
	assert_true(thread(target, 201)->memory.shared);
	assert_true(pool(target, "v-*")->memory.shared);
	assert_false(pool(target, "main")->memory.shared);
	exited(&s, 200);
	exited(&s, 201);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.resident[REGION_ARENA], 3 * MIB);
	assert_false(pool(target, "v-*")->memory.shared);
	assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 0);
	script_end(&s);
}

static void grown_is_since_the_first_whole_pass(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen(&s, 200, "w-1");
	mapped(&s, 200, AREA, MIB);
	resident(&s, AREA, MIB, 40960);
	born(&s, 201, "v-1"); /* since the attach: all of it has grown */
	mapped(&s, 201, AREA + 2 * MIB, MIB);
	resident(&s, AREA + 2 * MIB, MIB, 4096);
	target = refresh(&s);
	assert_int_equal(pool(target, "v-*")->memory.grown_bytes, 4096);
	assert_int_equal(thread(target, 201)->memory.grown_bytes, 4096);
	assert_int_equal(pool(target, "w-*")->memory.grown_bytes, 0);
	resident(&s, AREA, MIB, 8192);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.grown_bytes, 8192 - 40960);
	assert_int_equal(thread(target, 200)->memory.grown_bytes, 8192 - 40960);
	script_end(&s);
}

static void the_observer_is_told_of_too(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact = {.kind = FACT_VARIANT};

	script_begin(&s);
	strcpy(fact.variant, "tracepoint");
	assert_int_equal(model_apply(s.model, &fact), 0);
	fact = (struct fact){.kind = FACT_EVENTS, .events = {.received = {[PROBE_MMAP] = 5}}};
	assert_int_equal(model_apply(s.model, &fact), 0);
	fact.target = TARGET;
	fact.events.received[PROBE_BRK] = 2;
	assert_int_equal(model_apply(s.model, &fact), 0);
	fact = (struct fact){.kind = FACT_CHILDREN, .target = TARGET, .children = {3, 7 * MIB}};
	assert_int_equal(model_apply(s.model, &fact), 0);
	attach_as(&s, 8, 101, "later");
	target = refresh(&s);
	assert_string_equal(target->variant, "tracepoint");
	assert_string_equal(s.snapshot->targets[1].variant, "tracepoint");
	assert_int_equal(s.snapshot->received[PROBE_MMAP], 5);
	assert_int_equal(target->events_received, 7);
	assert_int_equal(target->children.count, 3);
	assert_int_equal(s.snapshot->refresh, 1);
	assert_int_equal(s.snapshot->realtime_ns, REALTIME + s.now);
	assert_int_equal(target->attached_realtime_ns, REALTIME + s.now - SEC);
	assert_int_equal(target->started_realtime_ns, REALTIME + 900 * SEC);
	tick(&s); /* the same tick again is none */
	assert_int_equal(look(&s)->refresh, 1);
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
	assert_int_equal(s.snapshot->n_groups, 3);
	assert_int_equal(group(s.snapshot, "app1")->processes_started_total, 34);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(the_identity_and_its_age),
		cmocka_unit_test(what_is_read_is_what_can_hold_pages),
		cmocka_unit_test(pages_outside_twice_ask_for_a_reseed),
		cmocka_unit_test(losses_ask_for_a_reseed_and_owners_survive_it),
		cmocka_unit_test(losses_of_the_agent_concern_all_or_none),
		cmocka_unit_test(a_followed_child_starts_with_what_it_inherited),
		cmocka_unit_test(exec_drops_all_but_the_caller),
		cmocka_unit_test(a_name_told_after_the_seed_of_an_exec),
		cmocka_unit_test(exec_by_another_thread_after_the_leader_left),
		cmocka_unit_test(the_last_frame_stays_with_how_it_ended),
		cmocka_unit_test(groups_keep_what_ended_processes_counted),
		cmocka_unit_test(two_processes_of_one_name_are_one_group),
		cmocka_unit_test(a_shared_arena_is_divided),
		cmocka_unit_test(grown_is_since_the_first_whole_pass),
		cmocka_unit_test(the_observer_is_told_of_too),
		cmocka_unit_test(ended_targets_do_not_pile_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
