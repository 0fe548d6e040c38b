/* SPDX-License-Identifier: GPL-2.0-only */
/* The model on scripted targets: who is charged, what adds up, how a target begins and ends. The origin's
 * case is played whole, to the byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "model_facts.h"

#define WORKERS 200
#define FIRST_WORKER 1000
#define STACKS 0x7f0000000000ULL
#define ARENAS 0x700000000000ULL
#define ARENA_SIZE (64 * MIB)
#define STACK_SIZE (8 * MIB)

/* glibc's way: the creator maps stack and guard, opens the stack, clones; the worker reserves an arena and
 * grows it by mprotect. */
static void start_worker(struct script *s, uint32_t i)
{
	uint64_t stack = STACKS + i * (STACK_SIZE + 4096), arena = ARENAS + i * ARENA_SIZE;
	uint32_t worker = FIRST_WORKER + i;

	range(s, FACT_RANGE_MADE, PID, stack, STACK_SIZE + 4096, PROT_NONE, RANGE_ANON | RANGE_STACK | RANGE_NORESERVE);
	range(s, FACT_RANGE_PROTECTED, PID, stack + 4096, STACK_SIZE, RW, 0);
	born_on(s, worker, "app", stack + 4096, STACK_SIZE);
	routine(s, worker, "libpool.so.1.2", "worker_main");
	range(s, FACT_RANGE_MADE, worker, arena, ARENA_SIZE, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	range(s, FACT_RANGE_PROTECTED, worker, arena, 132 * 1024, RW, 0);
}

static void the_origins_case_to_the_byte(void **state)
{
	struct script s = {0};
	const struct snapshot_target *target;
	const struct snapshot_pool *workers, *main_pool;

	script_begin(&s);
	leader(&s);
	seed_begin(&s, SEED_ATTACH);
	range(&s, FACT_RANGE_SEEN, 0, 0x555555000000, MIB, RW, RANGE_FILE);
	range(&s, FACT_RANGE_SEEN, 0, 0x555556000000, MIB, RW, RANGE_ANON | RANGE_HEAP);
	range(&s, FACT_RANGE_SEEN, 0, 0x7ffffff00000, 132 * 1024, RW, RANGE_ANON | RANGE_STACK);
	seed_end(&s);
	resident(&s, 0x555555000000, MIB, 8192);
	resident(&s, 0x555556000000, MIB, 400 * 1024);
	resident_at(&s, 0x7ffffff00000, 12288);
	memory(&s, 8192 + 400 * 1024 + 12288, 0, 0);
	target = refresh(&s);
	assert_int_equal(target->unexplained_bytes, 0);
	assert_int_equal(target->unattributed[UNATTRIBUTED_IMAGE], 8192);
	assert_int_equal(target->unattributed[UNATTRIBUTED_BEFORE_ATTACH], 400 * 1024);
	assert_int_equal(pool(target, "main")->memory.resident[REGION_STACK], 12288);

	for (uint32_t i = 0; i < WORKERS; i++) {
		pass(&s, MSEC);
		start_worker(&s, i);
	}
	/* each worker's arena grows to 60 MiB and keeps 31 of them */
	for (uint32_t i = 0; i < WORKERS; i++) {
		uint64_t arena = ARENAS + i * ARENA_SIZE;

		range(&s, FACT_RANGE_PROTECTED, FIRST_WORKER + i, arena + 132 * 1024, 60 * MIB - 132 * 1024, RW, 0);
		pass(&s, MSEC);
		resident(&s, arena, 60 * MIB, 31 * MIB);
		resident(&s, STACKS + i * (STACK_SIZE + 4096) + 4096, STACK_SIZE, 40960);
	}
	memory(&s, 8192 + 400 * 1024 + 12288 + WORKERS * (31 * MIB + 40960), 3 * MIB, 0);
	target = refresh(&s);
	assert_int_equal(target->threads, WORKERS + 1);
	assert_int_equal(target->threads_peak, WORKERS + 1);
	workers = pool(target, "libpool.so:worker_main");
	assert_int_equal(target->n_pools, 2);
	assert_int_equal(workers->threads, WORKERS);
	assert_int_equal(workers->threads_peak, WORKERS);
	assert_int_equal(workers->threads_started, WORKERS);
	assert_int_equal(workers->threads_exited, 0);
	assert_int_equal(workers->memory.resident[REGION_ARENA], WORKERS * 31 * MIB);
	assert_int_equal(workers->memory.mapped[REGION_ARENA], WORKERS * 60 * MIB);
	assert_int_equal(workers->memory.resident[REGION_STACK], WORKERS * 40960);
	assert_int_equal(workers->memory.mapped[REGION_STACK], WORKERS * STACK_SIZE);
	assert_int_equal(workers->memory.resident[REGION_MMAP] + workers->memory.resident[REGION_HEAP], 0);
	assert_int_equal(workers->memory.resident_bytes, WORKERS * (31 * MIB + 40960));
	assert_int_equal(workers->memory.net_grown_bytes, WORKERS * (31 * MIB + 40960));
	assert_int_equal(workers->memory.orphaned_bytes, 0);
	assert_int_equal(workers->thread_resident_mean, 31 * MIB + 40960);
	assert_int_equal(workers->thread_resident_max, 31 * MIB + 40960);
	main_pool = pool(target, "main");
	assert_int_equal(main_pool->threads, 1);
	assert_int_equal(main_pool->threads_started, 0);
	assert_int_equal(main_pool->memory.resident_bytes, 12288);
	assert_int_equal(main_pool->memory.net_grown_bytes, 0);
	assert_int_equal(target->attributed_bytes, 12288 + WORKERS * (31 * MIB + 40960));
	assert_int_equal(target->unattributed_bytes, 8192 + 400 * 1024);
	assert_int_equal(target->unexplained_bytes, 0);
	assert_int_equal(thread(target, FIRST_WORKER + 5)->stack_used, STACK_USED);
	assert_int_equal(thread(target, FIRST_WORKER + 5)->memory.resident_bytes, 31 * MIB + 40960);
	assert_string_equal(thread(target, FIRST_WORKER + 5)->start_routine, "worker_main");
	assert_string_equal(thread(target, PID)->start_routine, "main");

	/* half of them end: their arenas stay, orphaned */
	for (uint32_t i = 0; i < WORKERS / 2; i++)
		exited(&s, FIRST_WORKER + i);
	target = refresh(&s);
	workers = pool(target, "libpool.so:worker_main");
	assert_int_equal(workers->threads, WORKERS / 2);
	assert_int_equal(workers->threads_exited, WORKERS / 2);
	assert_int_equal(workers->memory.resident_bytes, WORKERS * (31 * MIB + 40960));
	assert_int_equal(workers->memory.orphaned_bytes, WORKERS / 2 * (31 * MIB + 40960));
	assert_int_equal(target->unexplained_bytes, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_origins_case_to_the_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
