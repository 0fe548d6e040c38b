/* SPDX-License-Identifier: GPL-2.0-only */
/* Evidence about struct pthread on made-up descriptors: layouts that no header knows, threads that contradict,
 * bytes without any sense. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/glibc_evidence.h"

#define MAX 16
#define CODE 0x400000ULL

static struct sample samples[MAX];
static struct code_ranges code;

static void put_word(struct sample *sample, size_t offset, uint64_t word)
{
	memcpy(sample->bytes + offset, &word, sizeof(word));
}

/* Threads of a libc with this layout; the first is the leader. Other words hold numbers without meaning. */
static void make_threads(size_t count, uint32_t tid, uint32_t routine, uint32_t stack)
{
	code = (struct code_ranges){.start = {CODE, 0x7f0000000000}, .end = {CODE + 0x1000, 0x7f0000100000}, .count = 2};
	for (size_t i = 0; i < count; i++) {
		uint64_t block = 0x7f1000000000 + i * 0x801000;
		uint32_t number = 1000 + (uint32_t)i;

		samples[i] = (struct sample){.tid = number, .ns_tid = number, .is_leader = i == 0, .length = DESCRIPTOR_BYTES};
		samples[i].tls_base = block + 0x801000 - 2368;
		for (size_t at = 0; at + 8 <= DESCRIPTOR_BYTES; at += 8)
			put_word(&samples[i], at, at * 2654435761u % 8191 + i * 77777);
		memcpy(samples[i].bytes + tid, &number, sizeof(number));
		if (i == 0)
			continue;
		put_word(&samples[i], routine, CODE + 16 * i);
		put_word(&samples[i], stack, block);
		put_word(&samples[i], stack + 8, 0x801000);
	}
}

static void a_layout_that_nobody_knows(void **state)
{
	struct glibc_descriptor found = {0};

	make_threads(5, 712, 1504, 1800);
	assert_int_equal(glibc_evidence(samples, 5, &code, 0, 0, &found), 0);
	assert_int_equal(found.tid, 712);
	assert_int_equal(found.start_routine, 1504);
	assert_int_equal(found.stack_block, 1800);
	assert_int_equal(found.stack_size, 1808);
	assert_int_equal(found.guard_size, 1816);
}

/* musl's begins with the tid, and then the mapping; a word that is code in all of them is not the routine. */
static void musl(void **state)
{
	struct glibc_descriptor found = {0};

	make_threads(4, 48, 200, 72);
	assert_int_equal(glibc_evidence(samples, 4, &code, 0, 0, &found), 0);
	assert_int_equal(found.tid, 48);
	assert_int_equal(found.stack_block, 72);
	assert_int_equal(found.stack_size, 80);
	assert_int_equal(found.start_routine, 0);
}

static void what_glibc_says_must_prove_itself(void **state)
{
	struct glibc_descriptor found = {0};

	make_threads(5, 712, 1504, 1800);
	assert_int_equal(glibc_evidence(samples, 5, &code, 712, 1504, &found), 0);
	assert_int_equal(found.start_routine, 1504);
	/* A description of another library: the tid is found all the same. */
	assert_int_equal(glibc_evidence(samples, 5, &code, 400, 0, &found), 0);
	assert_int_equal(found.tid, 712);
}

static void one_thread_in_four_may_differ(void **state)
{
	struct glibc_descriptor found = {0};

	make_threads(9, 720, 1592, 1680);
	memset(samples[3].bytes, 0, DESCRIPTOR_BYTES); /* it ends: its tid is cleared */
	samples[5].length = 100;                       /* no glibc thread at all */
	assert_int_equal(glibc_evidence(samples, 9, &code, 0, 0, &found), 0);
	assert_int_equal(found.tid, 720);
	assert_int_equal(found.start_routine, 1592);
	assert_int_equal(found.stack_block, 1680);
	for (size_t i = 4; i < 9; i++)
		samples[i].length = 100;
	found.tid = 7;
	assert_int_equal(glibc_evidence(samples, 9, &code, 0, 0, &found), -ENOENT);
	assert_int_equal(found.tid, 7);
}

static void the_leader_alone(void **state)
{
	struct glibc_descriptor found = {0};

	make_threads(1, 720, 1592, 1680);
	assert_int_equal(glibc_evidence(samples, 1, &code, 720, 1592, &found), 0);
	assert_int_equal(found.stack_block, 1680);
	/* A routine elsewhere means another layout: nothing is said about stacks. */
	assert_int_equal(glibc_evidence(samples, 1, &code, 720, 1600, &found), 0);
	assert_int_equal(found.stack_block, 0);
	/* Without glibc's word a lone tid proves nothing. */
	assert_int_equal(glibc_evidence(samples, 1, &code, 0, 0, &found), -ENOENT);
	make_threads(1, 712, 1504, 1800);
	assert_int_equal(glibc_evidence(samples, 1, &code, 0, 0, &found), -ENOENT);
}

static void bytes_without_sense(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 200; round++) {
		struct glibc_descriptor found = {0};

		make_threads(4, 720, 1592, 1680);
		for (size_t i = 0; i < 4; i++) {
			for (size_t at = 0; at < DESCRIPTOR_BYTES; at++) {
				seed = seed * 1664525 + 1013904223;
				samples[i].bytes[at] = (unsigned char)(seed >> 24);
			}
			samples[i].length = seed % (DESCRIPTOR_BYTES + 1);
		}
		assert_int_equal(glibc_evidence(samples, 4, &code, 720, 1592, &found), -ENOENT);
	}
	assert_int_equal(glibc_evidence(samples, 0, &code, 720, 1592, &(struct glibc_descriptor){0}), -ENOENT);
}

static void stacks(void **state)
{
	assert_true(stack_is_sound(0x10000, 0x10000, 0x1f000));
	assert_false(stack_is_sound(0x10000, 0x10000, 0x20000));
	assert_false(stack_is_sound(0x10000, 0x10000, 0xffff));
	assert_false(stack_is_sound(0x10000, 4096, 0x10800));
	assert_false(stack_is_sound(0, 0x10000, 0xf000));
	assert_false(stack_is_sound(0x10000, 1ULL << 50, 0x11000));
	assert_false(stack_is_sound(UINT64_MAX - 4096, 0x10000, UINT64_MAX - 4000));
	/* The descriptor is at the top: a range that only happens to hold it is no stack. */
	assert_false(stack_is_sound(0x10000, 0x1000000, 0x20000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_layout_that_nobody_knows), cmocka_unit_test(musl),
		cmocka_unit_test(what_glibc_says_must_prove_itself),
		cmocka_unit_test(one_thread_in_four_may_differ),
		cmocka_unit_test(the_leader_alone),
		cmocka_unit_test(bytes_without_sense),
		cmocka_unit_test(stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
