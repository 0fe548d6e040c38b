/* SPDX-License-Identifier: GPL-2.0-only */
/* Snapshots: what adds up in them, what is not known, when a reseed is due, and what is told of the observer
 * itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model_facts.h"

#define AREA 0x10000000ULL

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
	assert_int_equal(target->pools[0].memory.net_grown_bytes, UNKNOWN_I64);
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
	struct fact moved = {.kind = FACT_RANGE_MOVED,
			     .range = {.start = AREA + 100 * MIB, .length = MIB, .old_start = AREA + 200 * MIB, .old_length = MIB}};
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
	assert_true(spans[0].anonymous);
	assert_int_equal(spans[1].start, AREA + 90 * MIB);
	assert_false(spans[1].anonymous);
	free(spans);
	/* from where nobody saw anything: of a file, perhaps */
	feed(&s, moved);
	assert_int_equal(model_spans(s.model, TARGET, &spans, &count), 0);
	assert_int_equal(count, 3);
	assert_false(spans[2].anonymous);
	free(spans);
	resident(&s, AREA + 80 * MIB, MIB, 4096);
	assert_int_equal(model_spans(s.model, TARGET, &spans, &count), 0);
	assert_false(spans[0].changed);
	free(spans);
	assert_int_equal(model_spans(s.model, 99, &spans, &count), -ENOENT);
	script_end(&s);
}

static void what_moved_is_measured_by_what_there_is(void **state)
{
	struct script s = {0};

	script_begin(&s);
	leader(&s);
	assert_false(model_has_moved(s.model, TARGET, 1));
	memory(&s, 2 * MIB, 0, 0);
	range(&s, FACT_RANGE_MADE, PID, AREA, MIB / 2, RW, RANGE_ANON);
	assert_true(model_has_moved(s.model, TARGET, 32)); /* never read: nothing is told of growth */
	resident(&s, AREA, MIB / 2, 4096);
	tick(&s);
	assert_false(model_has_moved(s.model, TARGET, 1));
	range(&s, FACT_RANGE_MADE, PID, AREA + 2 * MIB, MIB / 32, RW, RANGE_ANON);
	assert_false(model_has_moved(s.model, TARGET, 1)); /* a 64th, as many as may */
	range(&s, FACT_RANGE_MADE, PID, AREA + 4 * MIB, MIB / 32, RW, RANGE_ANON);
	assert_true(model_has_moved(s.model, TARGET, 1));
	assert_false(model_has_moved(s.model, TARGET, 2));
	/* Of a large process 64 KiB may: it could be all that a pool has. */
	memory(&s, 1024 * MIB, 0, 0);
	assert_false(model_has_moved(s.model, TARGET, 1));
	range(&s, FACT_RANGE_MADE, PID, AREA + 5 * MIB, 4096, RW, RANGE_ANON);
	assert_true(model_has_moved(s.model, TARGET, 1));
	range(&s, FACT_RANGE_MADE, PID, AREA + 8 * MIB, 64 * MIB, PROT_NONE, RANGE_ANON); /* holds nothing */
	assert_false(model_has_moved(s.model, TARGET, 2));
	range(&s, FACT_RANGE_FREED, PID, AREA + 4 * MIB, MIB, 0, 0);
	assert_false(model_has_moved(s.model, TARGET, 1));
	assert_false(model_has_moved(s.model, 99, 1));
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

/* Its munmap may be among what was lost: what is there by now need not be the stack. Others' are theirs until they end. */
static void an_ended_threads_stack_does_not_survive_a_reseed(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	range(&s, FACT_RANGE_MADE, PID, AREA, 8 * MIB, RW, RANGE_ANON);
	born_on(&s, 200, "w-1", AREA, 4 * MIB);
	born_on(&s, 201, "w-2", AREA + 4 * MIB, 4 * MIB);
	mapped(&s, 200, AREA + 64 * MIB, MIB);
	exited(&s, 200);
	resident(&s, AREA, 8 * MIB, 64 << 10);
	resident(&s, AREA + 64 * MIB, MIB, 4096);
	assert_int_equal(pool(refresh(&s), "w-*")->memory.orphaned_bytes, (32 << 10) + 4096);
	seed_begin(&s, SEED_LOST);
	range(&s, FACT_RANGE_SEEN, 0, AREA, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, AREA + 64 * MIB, MIB, RW, RANGE_ANON);
	seed_end(&s);
	resident(&s, AREA, 4 * MIB, 2 * MIB);
	resident(&s, AREA + 4 * MIB, 4 * MIB, 32 << 10);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_LOST], 2 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 4096);
	assert_int_equal(thread(target, 201)->memory.resident[REGION_STACK], 32 << 10);
	/* It was the stack, which the C library had kept: its next thread takes it. */
	born_on(&s, 202, "w-3", AREA, 4 * MIB);
	resident(&s, AREA, 4 * MIB, 4096);
	target = refresh(&s);
	assert_int_equal(target->unattributed[UNATTRIBUTED_LOST], 0);
	assert_int_equal(thread(target, 202)->memory.resident[REGION_STACK], 4096);
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

/* A kretprobe before Linux 6.7: nobody knows what it missed, so losses are assumed now and then. */
static void losses_that_nobody_counts_are_unknown_and_healed(void **state)
{
	struct script s = {0};
	struct fact loss = {.kind = FACT_LOSS, .loss = {.lost = {[LOSS_KRETPROBE] = UNKNOWN_U64}}}, own = {.kind = FACT_LOSS};

	script_begin(&s);
	leader(&s);
	assert_false(model_losses_unknown(s.model));
	loss.time_ns = s.now + 60 * NSEC_PER_SEC;
	assert_int_equal(model_apply(s.model, &loss), 0);
	assert_true(model_losses_unknown(s.model));
	assert_true(model_wants_reseed(s.model, TARGET));
	feed(&s, own);
	assert_true(refresh(&s)->events_lost == UNKNOWN_U64);
	seed_begin(&s, SEED_LOST);
	seed_end(&s);
	assert_int_equal(model_apply(s.model, &loss), 0);
	assert_false(model_wants_reseed(s.model, TARGET));
	loss.time_ns += 10 * NSEC_PER_SEC;
	assert_int_equal(model_apply(s.model, &loss), 0);
	assert_true(model_wants_reseed(s.model, TARGET));
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

/* Plainly, and as a reader is told. */
#define assert_grown(of, bytes)                                         \
	do {                                                            \
		assert_int_equal((of)->memory.grown_bytes, bytes);      \
		assert_int_equal((of)->memory.net_grown_bytes, bytes);  \
	} while (0)

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
	assert_grown(pool(target, "v-*"), 4096);
	assert_grown(thread(target, 201), 4096);
	assert_grown(pool(target, "w-*"), 0);
	resident(&s, AREA, MIB, 8192);
	target = refresh(&s);
	assert_grown(pool(target, "w-*"), 8192 - 40960);
	assert_grown(thread(target, 200), 8192 - 40960);
	/* Who turns out to be another pool's has not grown by that, nor has what it left shrunk. */
	seen(&s, 202, "w-2");
	renamed(&s, 200, "x-1");
	target = refresh(&s);
	assert_grown(pool(target, "x-*"), 8192 - 40960);
	assert_grown(pool(target, "w-*"), 0);
	script_end(&s);
}

/* Others may share the bound: then it is nearer than this process's growth alone would have it. */
static void memory_max_is_the_whole_cgroups(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target = NULL;

	for (uint64_t others = 0; others < 2; others++) {
		script_begin(&s);
		leader(&s);
		for (uint64_t second = 0; second <= 30; second++) {
			memory(&s, (100 + second) * MIB, 0, 0);
			feed(&s, (struct fact){.kind = FACT_CGROUP,
					       .cgroup = {.memory_current = (200 + second * (1 + 3 * others)) * MIB,
							  .memory_max = 560 * MIB}});
			target = refresh(&s);
		}
		if (others)
			assert_true(fabs(target->cgroup_seconds_to_memory_max - (560 - 320) / 4.0) < 3);
		else
			assert_true(isnan(target->cgroup_seconds_to_memory_max));
		assert_true(fabs(target->seconds_to_memory_max - (others ? 240 : 330)) < 10);
		script_end(&s);
	}
}

/* What fills a new pool is its growth over the target's own window, not over what the pool has lived so far. */
static void a_later_pool_held_nothing_before(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	mapped(&s, PID, AREA, MIB);
	resident(&s, AREA, MIB, 40960);
	memory(&s, 40960, 0, 0);
	for (int i = 0; i < 20; i++)
		refresh(&s);
	born(&s, 201, "v-1");
	mapped(&s, 201, AREA + 2 * MIB, 30 * MIB);
	resident(&s, AREA + 2 * MIB, 30 * MIB, 30 * MIB);
	memory(&s, 40960 + 30 * MIB, 0, 0);
	refresh(&s);
	target = refresh(&s);
	assert_true(target->growth_1m > 0);
	assert_true(llabs(pool(target, "v-*")->growth_per_minute - target->growth_1m) < target->growth_1m / 50);
	assert_int_equal(pool(target, "main")->growth_per_minute, 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(the_identity_and_its_age),
		cmocka_unit_test(what_is_read_is_what_can_hold_pages),
		cmocka_unit_test(what_moved_is_measured_by_what_there_is),
		cmocka_unit_test(pages_outside_twice_ask_for_a_reseed),
		cmocka_unit_test(losses_ask_for_a_reseed_and_owners_survive_it),
		cmocka_unit_test(an_ended_threads_stack_does_not_survive_a_reseed),
		cmocka_unit_test(losses_of_the_agent_concern_all_or_none),
		cmocka_unit_test(losses_that_nobody_counts_are_unknown_and_healed),
		cmocka_unit_test(a_followed_child_starts_with_what_it_inherited),
		cmocka_unit_test(grown_is_since_the_first_whole_pass),
		cmocka_unit_test(a_later_pool_held_nothing_before),
		cmocka_unit_test(memory_max_is_the_whole_cgroups),
		cmocka_unit_test(the_observer_is_told_of_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
