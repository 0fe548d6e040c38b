/* SPDX-License-Identifier: GPL-2.0-only */
/* Stacks of threads: whose they are where births and ends are told late, where nothing but registers tells of them,
 * and how much of them is in use. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model_facts.h"

#define STACK 0x7f0000000000ULL

static void a_birth_takes_the_stack_over_whoever_still_counts_on_it(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	range(&s, FACT_RANGE_MADE, PID, STACK, 8 * MIB, RW, RANGE_ANON | RANGE_STACK);
	born_on(&s, 200, "w-1", STACK, 8 * MIB);
	resident(&s, STACK, 8 * MIB, 8192);
	target = refresh(&s);
	assert_int_equal(thread(target, 200)->memory.resident[REGION_STACK], 8192);
	assert_int_equal(thread(target, 200)->stack_used, STACK_USED);
	/* glibc hands the cached stack to the next; the end of the first is seen later */
	born_on(&s, 201, "w-2", STACK, 8 * MIB);
	target = refresh(&s);
	assert_int_equal(target->threads, 2);
	assert_int_equal(target->threads_peak, 2);
	assert_int_equal(pool(target, "w-*")->threads_peak, 1);
	assert_int_equal(pool(target, "w-*")->threads_exited, 1);
	exited(&s, 200);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->threads_exited, 1);
	assert_int_equal(thread(target, 201)->memory.mapped[REGION_STACK], 8 * MIB);
	assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 0);
	script_end(&s);
}

/* At attach the seed knows who is on a stack, and the drain then tells of the births of those that were on it before:
 * one in a hundred threads was lost for ever while threads came and went quickly. */
static void a_birth_that_is_told_late_takes_no_stack_of_a_younger(void **state)
{
	for (int by_proc = 0; by_proc < 2; by_proc++) {
		struct script s = {0};
		const struct snapshot_target *target;
		struct fact fact = thread_fact(FACT_THREAD_SEEN, 201, "w-2");

		script_begin(&s);
		leader(&s);
		seed_begin(&s, SEED_ATTACH);
		range(&s, FACT_RANGE_SEEN, 0, STACK, 8 * MIB, RW, RANGE_ANON);
		seed_end(&s);
		if (by_proc)
			fact.thread.id = tid_ticks(201);
		fact.thread.stack_start = STACK;
		fact.thread.stack_length = 8 * MIB;
		feed(&s, fact);
		born_on(&s, 200, "w-1", STACK, 8 * MIB);
		exited(&s, 200);
		born_on(&s, 201, "w-2", STACK, 8 * MIB);
		resident(&s, STACK, 8 * MIB, 8192);
		target = refresh(&s);
		assert_int_equal(target->threads, 2);
		assert_int_equal(thread(target, 201)->memory.resident[REGION_STACK], 8192);
		assert_int_equal(pool(target, "w-*")->threads_exited, 1);
		assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 0);
		script_end(&s);
	}
}

static void the_creator_of_a_thread_lives_whatever_the_stack_says(void **state)
{
	struct script s = {0};
	struct fact fact;

	script_begin(&s);
	leader(&s);
	mapped(&s, PID, STACK, 8 * MIB);
	born_on(&s, 200, "w-1", STACK, 8 * MIB);
	fact = thread_fact(FACT_THREAD_BORN, 201, "w-2");
	fact.thread.creator = tid(200);
	fact.thread.stack_start = STACK + MIB;
	fact.thread.stack_length = MIB;
	feed(&s, fact);
	/* nor does a birth end the leader */
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, STACK, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, 0x7ffffff00000, 132 * 1024, RW, RANGE_ANON | RANGE_STACK);
	seed_end(&s);
	fact = thread_fact(FACT_THREAD_SEEN, PID, "app");
	fact.thread.stack_start = 0x7ffffff00000;
	fact.thread.stack_length = 132 * 1024;
	feed(&s, fact);
	fact = thread_fact(FACT_THREAD_BORN, 202, "w-2");
	fact.thread.creator = tid(200);
	fact.thread.stack_start = 0x7ffffff00000 + 65536;
	fact.thread.stack_length = 65536;
	feed(&s, fact);
	assert_int_equal(refresh(&s)->threads, 4);
	script_end(&s);
}

/* A thread may lend a buffer on its stack, to whomever: its control block lies above it. */
static void who_lends_a_part_of_its_stack_lives(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	struct fact fact;

	script_begin(&s);
	leader(&s);
	mapped(&s, PID, STACK, 8 * MIB);
	born_on(&s, 200, "w-1", STACK, 8 * MIB);
	born(&s, 201, "v-1");
	fact = thread_fact(FACT_THREAD_BORN, 202, "x-1");
	fact.thread.creator = tid(201);
	fact.thread.stack_start = STACK + 4 * MIB;
	fact.thread.stack_length = MIB;
	feed(&s, fact);
	target = refresh(&s);
	assert_int_equal(target->threads, 4);
	assert_int_equal(thread(target, 200)->memory.mapped[REGION_STACK], 7 * MIB);
	assert_int_equal(thread(target, 202)->memory.mapped[REGION_STACK], MIB);
	script_end(&s);
}

static void the_dead_leave_their_stack_until_it_is_reused(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	mapped(&s, PID, STACK, 8 * MIB);
	born_on(&s, 200, "w-1", STACK, 8 * MIB);
	resident(&s, STACK, 8 * MIB, 4096);
	exited(&s, 200);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.orphaned_bytes, 4096);
	assert_int_equal(pool(target, "w-*")->memory.mapped[REGION_STACK], 8 * MIB);
	born_on(&s, 201, "v-1", STACK, 8 * MIB);
	pass(&s, MSEC);
	resident(&s, STACK, 8 * MIB, 8192);
	target = refresh(&s);
	assert_int_equal(pool(target, "w-*")->memory.resident_bytes, 0);
	assert_int_equal(pool(target, "v-*")->memory.resident[REGION_STACK], 8192);
	assert_int_equal(pool(target, "v-*")->memory.orphaned_bytes, 0);
	script_end(&s);
}

static void seen_with_registers(struct script *s, uint32_t number, uint64_t stack_pointer, uint64_t tls_base)
{
	struct fact fact = thread_fact(FACT_THREAD_SEEN, number, "w-1");

	fact.thread.stack_pointer = stack_pointer;
	fact.thread.tls_base = tls_base;
	feed(s, fact);
}

static void stack_pointer_and_tls_base_in_one_mapping_are_the_last_way(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	leader(&s);
	seen_with_registers(&s, 200, STACK + 8 * MIB - 20000, STACK + 8 * MIB - 2304);
	/* two stacks in one slab */
	seen_with_registers(&s, 201, STACK + 32 * MIB - 400000, STACK + 32 * MIB - 3000);
	seen_with_registers(&s, 202, STACK + 32 * MIB - 900000, STACK + 32 * MIB - 500000);
	/* far below the top: a stack that somebody cut out of something larger */
	seen_with_registers(&s, 204, STACK + 80 * MIB, STACK + 82 * MIB);
	/* control block elsewhere */
	seen_with_registers(&s, 203, STACK + 50 * MIB, STACK + 70 * MIB);
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, STACK, 8 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, STACK + 16 * MIB, 16 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, STACK + 48 * MIB, 4 * MIB, RW, RANGE_ANON);
	range(&s, FACT_RANGE_SEEN, 0, STACK + 64 * MIB, 32 * MIB, RW, RANGE_ANON);
	seed_end(&s);
	target = refresh(&s);
	assert_int_equal(thread(target, 200)->memory.mapped[REGION_STACK], 8 * MIB);
	assert_int_equal(thread(target, 201)->memory.mapped_bytes, 0);
	assert_int_equal(thread(target, 202)->memory.mapped_bytes, 0);
	assert_int_equal(thread(target, 203)->memory.mapped_bytes, 0);
	assert_int_equal(thread(target, 204)->memory.mapped_bytes, 0);
	assert_int_equal(thread(target, 203)->stack_used, UNKNOWN_U64);
	script_end(&s);
}

static void the_leader_has_the_main_stack(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;

	script_begin(&s);
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, 0x7ffffff00000, 132 * 1024, RW, RANGE_ANON | RANGE_STACK);
	seed_end(&s);
	leader(&s); /* known only after the seed */
	resident_at(&s, 0x7ffffff00000, 8192);
	target = refresh(&s);
	assert_int_equal(thread(target, PID)->memory.resident[REGION_STACK], 8192);
	assert_int_equal(thread(target, PID)->stack_used, UNKNOWN_U64);
	seen_with_registers(&s, PID, 0x7ffffff00000 + 132 * 1024 - 5000, 0);
	target = refresh(&s);
	assert_int_equal(thread(target, PID)->stack_used, 5000);
	seen_with_registers(&s, PID, STACK + 4096, 0); /* on a stack of its own making */
	target = refresh(&s);
	assert_int_equal(thread(target, PID)->stack_used, UNKNOWN_U64);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_birth_takes_the_stack_over_whoever_still_counts_on_it),
		cmocka_unit_test(a_birth_that_is_told_late_takes_no_stack_of_a_younger),
		cmocka_unit_test(the_creator_of_a_thread_lives_whatever_the_stack_says),
		cmocka_unit_test(who_lends_a_part_of_its_stack_lives),
		cmocka_unit_test(the_dead_leave_their_stack_until_it_is_reused),
		cmocka_unit_test(stack_pointer_and_tls_base_in_one_mapping_are_the_last_way),
		cmocka_unit_test(the_leader_has_the_main_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
