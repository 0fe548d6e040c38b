/* SPDX-License-Identifier: GPL-2.0-only */
/* Ring records to facts, with records that the kernel would and would not write; and the table of address spaces.
 * It must not need the kernel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "source/probe_event.h"
#include "source/probe_spaces.h"

#define PAGE 4096

static struct event_header header(enum event_kind kind)
{
	return (struct event_header){.kind = (uint8_t)kind, .protection = 3, .space = 70, .time_ns = 5, .start_ns = 3, .tid = 71};
}

static struct fact memory_fact(enum event_kind kind, uint64_t start, uint64_t length, uint32_t flags)
{
	struct event_memory event = {.header = header(kind), .start = start, .length = length};
	struct fact facts[PROBE_EVENT_MAX_FACTS];

	event.header.flags = flags;
	assert_int_equal(probe_event_check(&event, sizeof(event)), 0);
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 1);
	assert_int_equal(facts[0].target, 9);
	assert_int_equal(facts[0].time_ns, 5);
	assert_int_equal(facts[0].range.who.tid, 71);
	return facts[0];
}

static void test_size_must_fit_the_kind(void **state)
{
	union {
		struct event_header header;
		char bytes[sizeof(struct event_stack) + 8];
	} record;
	size_t right = 0;

	for (unsigned int kind = 0; kind < 2 * EVENT_KIND_COUNT; kind++)
		for (size_t size = 0; size <= sizeof(record); size++) {
			memset(&record, 0xff, sizeof(record));
			record.header.kind = (uint8_t)kind;
			right += probe_event_check(&record, size) == 0;
		}
	assert_int_equal(right, EVENT_KIND_COUNT - 1);
}

static void test_any_bytes_decode_or_are_refused(void **state)
{
	union {
		struct event_header header;
		struct event_thread thread;
		struct event_move move;
		struct event_stack stack;
		unsigned char bytes[sizeof(struct event_stack)];
	} record;
	struct fact facts[PROBE_EVENT_MAX_FACTS];
	uint32_t seed = 1;

	for (int round = 0; round < 4000; round++) {
		for (size_t i = 0; i < sizeof(record); i++) {
			seed = seed * 1103515245 + 12345;
			record.bytes[i] = round % 3 ? (unsigned char)(seed >> 16) : 0xff;
		}
		record.header.kind = (uint8_t)(1 + (unsigned int)round % (EVENT_KIND_COUNT - 1));
		int n = probe_event_facts(&record, 9, PAGE, facts);

		for (int i = 0; i < n; i++) {
			assert_true(facts[i].kind > 0 && facts[i].kind < FACT_KIND_COUNT);
			if (record.header.kind >= EVENT_MMAP) {
				assert_true(facts[i].range.start + facts[i].range.length >= facts[i].range.start);
				assert_int_equal(facts[i].range.length % PAGE, 0);
			} else if (facts[i].kind == FACT_THREAD_BORN) {
				assert_int_equal(facts[i].thread.name[FACT_NAME_SIZE - 1], 0);
			}
		}
	}
}

static void test_lengths_are_whole_pages(void **state)
{
	struct fact fact = memory_fact(EVENT_MMAP, 0x7000, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE);

	assert_int_equal(fact.kind, FACT_RANGE_MADE);
	assert_int_equal(fact.range.length, PAGE);
	assert_int_equal(fact.range.protection, PROT_READ | PROT_WRITE);
	assert_int_equal(fact.range.flags, RANGE_ANON | RANGE_STACK | RANGE_NORESERVE);
	fact = memory_fact(EVENT_MMAP, 2 << 20, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	assert_int_equal(fact.range.length, 2 << 20);
	fact = memory_fact(EVENT_MMAP, 64 << 10, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 16U << 26);
	assert_int_equal(fact.range.length, 64 << 10);
}

static void test_shared_and_file_mappings(void **state)
{
	assert_int_equal(memory_fact(EVENT_MMAP, 0, PAGE, MAP_SHARED).range.flags, RANGE_FILE | RANGE_SHARED);
	assert_int_equal(memory_fact(EVENT_MMAP, 0, PAGE, 3).range.flags, RANGE_FILE | RANGE_SHARED);
	assert_int_equal(memory_fact(EVENT_MMAP, 0, PAGE, MAP_PRIVATE).range.flags, RANGE_FILE);
	assert_int_equal(memory_fact(EVENT_MMAP, 0, PAGE, MAP_SHARED | MAP_ANONYMOUS).range.flags,
			 RANGE_ANON | RANGE_SHARED);
}

static void test_a_mprotect_that_met_a_hole(void **state)
{
	assert_int_equal(memory_fact(EVENT_MPROTECT, 0, PAGE, 0).range.flags, 0);
	assert_int_equal(memory_fact(EVENT_MPROTECT, 0, PAGE, EVENT_MPROTECT_FAILED).range.flags, RANGE_UP_TO_HOLE);
}

static void test_brk_covers_the_pages_that_the_kernel_maps(void **state)
{
	struct fact fact = memory_fact(EVENT_BRK, 0x1000, 0x21001, 0);

	assert_int_equal(fact.kind, FACT_BRK);
	assert_int_equal(fact.range.start, 0x1000);
	assert_int_equal(fact.range.length, 0x22000);
	fact = memory_fact(EVENT_BRK, 0x1234, 0x2000, 0);
	assert_int_equal(fact.range.start, 0x2000);
	assert_int_equal(fact.range.length, 0x2000);
	fact = memory_fact(EVENT_BRK, 0x1234, 0, 0);
	assert_int_equal(fact.range.length, 0);
}

static void test_a_move_tells_both_places(void **state)
{
	struct event_move event = {.to = {.header = header(EVENT_MREMAP), .start = 0x9000, .length = 1},
				   .old_start = 0x7000,
				   .old_length = PAGE + 1};
	struct fact facts[PROBE_EVENT_MAX_FACTS];

	event.to.header.flags = 5; /* MREMAP_MAYMOVE | MREMAP_DONTUNMAP */
	assert_int_equal(probe_event_check(&event, sizeof(event)), 0);
	assert_int_equal(probe_event_check(&event, sizeof(event.to)), -EINVAL);
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 1);
	assert_int_equal(facts[0].kind, FACT_RANGE_MOVED);
	assert_int_equal(facts[0].range.start, 0x9000);
	assert_int_equal(facts[0].range.length, PAGE);
	assert_int_equal(facts[0].range.old_start, 0x7000);
	assert_int_equal(facts[0].range.old_length, 2 * PAGE);
	assert_int_equal(facts[0].range.flags, RANGE_DONTUNMAP);
	event.old_start = UINT64_MAX - PAGE;
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), -EINVAL);
}

static void test_wrapping_ranges_are_refused(void **state)
{
	struct event_memory event = {.header = header(EVENT_MUNMAP), .start = UINT64_MAX - PAGE, .length = 2 * PAGE};
	struct fact facts[PROBE_EVENT_MAX_FACTS];

	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), -EINVAL);
	event.start = PAGE;
	event.length = UINT64_MAX - PAGE;
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), -EINVAL);
	event.length = 0;
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), -EINVAL);
}

static void test_no_identity_no_fact(void **state)
{
	struct event_memory event = {.header = header(EVENT_MMAP), .start = PAGE, .length = PAGE};
	struct fact facts[PROBE_EVENT_MAX_FACTS];

	event.header.tid = 0;
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), -EINVAL);
}

static void test_process_born_names_the_child_first(void **state)
{
	struct event_thread event = {.header = header(EVENT_PROCESS_BORN), .pid = 71, .inner_pid = 2, .parent_pid = 70,
				     .family = 5};
	struct fact facts[PROBE_EVENT_MAX_FACTS];

	event.header.flags = EVENT_THREAD_LEADER;
	memset(event.name, 'x', sizeof(event.name));
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 2);
	assert_int_equal(facts[0].kind, FACT_TARGET);
	assert_int_equal(facts[0].target_info.pid, 71);
	assert_int_equal(facts[0].target_info.ns_pid, 2);
	assert_int_equal(facts[0].target_info.parent_pid, 70);
	assert_int_equal(facts[0].target_info.family, 5);
	assert_true(facts[0].target_info.followed);
	assert_false(facts[0].target_info.execed);
	assert_string_equal(facts[0].target_info.comm, "xxxxxxxxxxxxxxx");
	assert_int_equal(facts[1].kind, FACT_THREAD_BORN);
	assert_true(facts[1].thread.is_leader);
	assert_int_equal(facts[1].thread.stack_start, 0);
	event.header.flags |= EVENT_PROCESS_EXECED;
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 2);
	assert_true(facts[0].target_info.execed && facts[1].thread.is_leader);
}

static void test_stack_reaches_to_the_descriptor(void **state)
{
	static const struct {
		uint64_t start, length, tls, told_start, told_length;
	} stacks[] = {
		{0x10000, 0x7f80, 0x187c0, 0x10000, 0x9000},  /* glibc: the mapping ends at 0x19000 */
		{0x10000, 0x7f80, 0, 0x10000, 0x8000},        /* no TLS of its own */
		{0x10000, 0x7f80, 0x9000, 0x10000, 0x8000},   /* TLS below: unrelated */
		{0x10000, 0x7f80, 0x4000000, 0x10000, 0x8000}, /* far above: unrelated */
		{0x10010, 0x7f70, 0x187c0, 0x11000, 0x8000},  /* its first page is of what ends there */
		{0x10010, 0x10, 0, 0, 0},                     /* no page of its own */
		{0x10000, 0, 0x187c0, 0, 0},
		{UINT64_MAX - 5, 5, UINT64_MAX, 0, 0},
		{UINT64_MAX, 5, 0, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		struct event_thread event = {.header = header(EVENT_THREAD_BORN), .stack_start = stacks[i].start,
					     .stack_length = stacks[i].length, .tls_base = stacks[i].tls};
		struct fact facts[PROBE_EVENT_MAX_FACTS];

		assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 1);
		assert_int_equal(facts[0].thread.stack_start, stacks[i].told_start);
		assert_int_equal(facts[0].thread.stack_length, stacks[i].told_length);
	}
}

static void test_exec_by_another_thread(void **state)
{
	struct event_thread event = {.header = header(EVENT_EXEC), .pid = 71, .old_tid = 75};
	struct fact facts[PROBE_EVENT_MAX_FACTS];

	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 1);
	assert_false(facts[0].target_info.followed);
	event.header.flags = EVENT_THREAD_LEADER | EVENT_THREAD_TOOK_OVER;
	assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 3);
	assert_int_equal(facts[1].kind, FACT_THREAD_SEEN);
	assert_int_equal(facts[1].thread.id.tid, 71);
	assert_int_equal(facts[2].kind, FACT_THREAD_EXITED);
	assert_int_equal(facts[2].thread.id.tid, 75);
	assert_int_equal(facts[2].thread.id.start_ns, 0);
}

static void test_how_a_process_ends(void **state)
{
	static const struct {
		int code;
		uint32_t flags;
		enum target_end how;
		int told;
	} ends[] = {
		{0, 0, TARGET_END_EXITED, 0},
		{3 << 8, 0, TARGET_END_EXITED, 3},
		{SIGTERM, 0, TARGET_END_SIGNALLED, SIGTERM},
		{SIGSEGV | 0x80, 0, TARGET_END_SIGNALLED, SIGSEGV},
		{SIGKILL, EVENT_THREAD_OOM, TARGET_END_OOM_KILLED, SIGKILL},
		{SIGTERM, EVENT_THREAD_OOM, TARGET_END_SIGNALLED, SIGTERM},
	};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct event_exit event = {.header = header(EVENT_THREAD_EXITED), .exit_code = (uint16_t)ends[i].code,
					   .faults = 1ULL << 40, .name = "w-1"};
		struct fact facts[PROBE_EVENT_MAX_FACTS];

		event.header.flags = ends[i].flags;
		assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 1);
		assert_int_equal(facts[0].kind, FACT_THREAD_EXITED);
		assert_int_equal(facts[0].thread.id.tid, 71);
		assert_int_equal(facts[0].thread.id.start_ns, 3);
		assert_true(facts[0].thread.faults == 1ULL << 40 && facts[0].thread.cpu_ns == UNKNOWN_U64);
		assert_string_equal(facts[0].thread.name, "w-1");
		event.header.flags |= EVENT_THREAD_LAST;
		assert_int_equal(probe_event_facts(&event, 9, PAGE, facts), 2);
		assert_int_equal(facts[1].kind, FACT_TARGET_GONE);
		assert_int_equal(facts[1].gone.how, ends[i].how);
		assert_int_equal(facts[1].gone.code, ends[i].told);
	}
}

static void test_spaces_replace_find_and_end(void **state)
{
	struct probe_spaces *spaces;
	struct probe_space *space;
	size_t count = 0;

	assert_int_equal(probe_spaces_new(&spaces), 0);
	/* 1024 buckets: the last ones share theirs. */
	for (uint32_t tgid = 1; tgid <= 3000; tgid++)
		assert_int_equal(probe_spaces_add(spaces, tgid, tgid, tgid + 10000, &space), 0);
	assert_int_equal(probe_spaces_add(spaces, 7, 8, 20000, &space), 0);
	assert_int_equal(probe_spaces_find(spaces, 7)->target, 20000);
	assert_int_equal(probe_spaces_find(spaces, 7 + 1024)->target, 7 + 1024 + 10000);
	assert_ptr_equal(probe_spaces_of_target(spaces, 20000), space);
	assert_null(probe_spaces_of_target(spaces, 10007));
	probe_spaces_end_later(spaces, space);
	probe_spaces_end_later(spaces, space);
	assert_ptr_equal(probe_spaces_next_ended(spaces), space);
	assert_null(probe_spaces_next_ended(spaces));
	probe_spaces_end_later(spaces, space);
	probe_spaces_remove(spaces, 7);
	assert_null(probe_spaces_find(spaces, 7));
	assert_null(probe_spaces_next_ended(spaces));
	for (space = NULL; (space = probe_spaces_next(spaces, space)); count++)
		;
	assert_int_equal(count, 2999);
	probe_spaces_free(spaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_must_fit_the_kind),
		cmocka_unit_test(test_any_bytes_decode_or_are_refused),
		cmocka_unit_test(test_lengths_are_whole_pages),
		cmocka_unit_test(test_shared_and_file_mappings),
		cmocka_unit_test(test_a_mprotect_that_met_a_hole),
		cmocka_unit_test(test_brk_covers_the_pages_that_the_kernel_maps),
		cmocka_unit_test(test_a_move_tells_both_places),
		cmocka_unit_test(test_wrapping_ranges_are_refused),
		cmocka_unit_test(test_no_identity_no_fact),
		cmocka_unit_test(test_process_born_names_the_child_first),
		cmocka_unit_test(test_stack_reaches_to_the_descriptor),
		cmocka_unit_test(test_exec_by_another_thread),
		cmocka_unit_test(test_how_a_process_ends),
		cmocka_unit_test(test_spaces_replace_find_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
