/* SPDX-License-Identifier: GPL-2.0-only */
/* Who holds a large block: made-up words, and a naive search to compare with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "source/blocks.h"

#define MIB (1ULL << 20)
#define FIRST 0x7f0000000000ULL

static struct blocks blocks;

static void three_blocks(void)
{
	blocks_clear(&blocks);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(blocks_add(&blocks, FIRST + i * MIB, MIB), 0);
	assert_int_equal(blocks_index(&blocks), 0);
}

#define HOLDERS 12
#define WORKER 0x401000ULL

static struct block_holder holders[HOLDERS];
static uint64_t ended; /* page faults of threads that have */

/* Threads whose start routines are not known, and who took no page faults. */
static int strangers(void **state)
{
	ended = 0;
	for (size_t i = 0; i < HOLDERS; i++)
		holders[i] = (struct block_holder){.faults = 0};
	return 0;
}

static void doubt(void)
{
	assert_int_equal(blocks_doubt(&blocks, holders, HOLDERS, ended), 0);
}

static void find(uint64_t word, uint32_t holder, bool strong)
{
	blocks_search(&blocks, 0x1000, &word, 1, holder, strong);
}

static void headers(void **state)
{
	assert_int_equal(block_length(0, MIB | 2, 4 * MIB), MIB);
	assert_int_equal(block_length(0, MIB | 2, MIB), MIB);
	assert_int_equal(block_length(0, MIB | 2, MIB - 4096), 0);
	assert_int_equal(block_length(16, MIB | 2, 4 * MIB), 0);
	assert_int_equal(block_length(0, MIB, 4 * MIB), 0);
	assert_int_equal(block_length(0, MIB | 3, 4 * MIB), 0);
	assert_int_equal(block_length(0, (MIB + 16) | 2, 4 * MIB), 0);
	assert_int_equal(block_length(0, (MIB - 16) | 2, 4 * MIB), MIB); /* glibc 2.43 */
	assert_int_equal(block_length(0, (MIB - 16) | 2, MIB - 4096), 0);
	assert_int_equal(block_length(0, (MIB - 8) | 2, 4 * MIB), 0);
	assert_int_equal(block_length(0, 4096 | 2, 4 * MIB), 0);
	assert_int_equal(block_length(0, UINT64_MAX & ~5ULL, 4 * MIB), 0);
}

static void one_holder(void **state)
{
	three_blocks();
	find(FIRST + 16, 7, true);
	find(FIRST + 16, 7, false);
	find(FIRST + MIB + 4096 + 64, 8, true); /* aligned to a page */
	find(FIRST + 2 * MIB + 8192, 9, true);  /* somewhere inside: says nothing */
	find(FIRST - 1, 9, true);
	find(0, 9, true);
	find(UINT64_MAX, 9, true);
	doubt();
	assert_int_equal(block_maker(&blocks.block[0]), 7);
	assert_int_equal(block_maker(&blocks.block[1]), 8);
	assert_int_equal(block_maker(&blocks.block[2]), HOLDER_NONE);
}

static void what_charges_nobody(void **state)
{
	uint64_t own = FIRST + 2 * MIB + 16;

	three_blocks();
	find(FIRST + 16, 7, false); /* dead words alone */
	find(FIRST + MIB + 16, 8, true);
	find(FIRST + MIB + 16, HOLDER_OTHER, true);
	blocks_search(&blocks, FIRST + 2 * MIB + 64, &own, 1, 9, true); /* a block that names itself */
	doubt();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(block_maker(&blocks.block[i]), HOLDER_NONE);
	/* A global table is no sign that threads pass blocks on. */
	three_blocks();
	find(FIRST + 16, 7, true);
	find(FIRST + MIB + 16, 8, true);
	find(FIRST + MIB + 16, HOLDER_OTHER, true);
	doubt();
	assert_int_equal(block_maker(&blocks.block[0]), 7);
}

static void blocks_that_are_passed_on(void **state)
{
	/* One of three is held by two threads, if only by a dead word: nobody is believed. */
	three_blocks();
	find(FIRST + 16, 7, true);
	find(FIRST + MIB + 16, 8, true);
	find(FIRST + 2 * MIB + 16, 9, true);
	find(FIRST + 2 * MIB + 16, 10, false);
	doubt();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(block_maker(&blocks.block[i]), HOLDER_NONE);
	/* One of many: the two are not believed, the others are. */
	blocks_clear(&blocks);
	for (uint64_t i = 0; i < 100; i++)
		blocks_add(&blocks, FIRST + i * MIB, MIB);
	blocks_index(&blocks);
	for (uint64_t i = 0; i < 100; i++)
		find(FIRST + i * MIB + 16, 1 + (uint32_t)i % 10, true);
	find(FIRST + 16, 5, true);
	doubt();
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(block_maker(&blocks.block[i]), i % 10 == 0 || i % 10 == 4 ? HOLDER_NONE : 1 + i % 10);
	blocks_clear(&blocks);
}

static void hundred_of_ten_workers(void)
{
	for (size_t i = 0; i < HOLDERS; i++)
		holders[i] = (struct block_holder){.routine = i < 10 ? WORKER : 0, .faults = i < 10 ? UNKNOWN_U64 : 0};
	blocks_clear(&blocks);
	for (uint64_t i = 0; i < 100; i++) {
		blocks_add(&blocks, FIRST + i * MIB, MIB);
		blocks.block[i].faults = MIB / 4096;
	}
	blocks_index(&blocks);
	for (uint64_t i = 0; i < 100; i++)
		find(FIRST + i * MIB + 16, 1 + (uint32_t)i % 10, true);
}

static size_t believed(void)
{
	size_t count = 0;

	doubt();
	for (size_t i = 0; i < blocks.count; i++)
		count += block_maker(&blocks.block[i]) != HOLDER_NONE;
	return count;
}

static void one_taker_tells_of_all(void **state)
{
	hundred_of_ten_workers();
	assert_int_equal(believed(), 100);
	find(FIRST + 16, 11, false); /* a dead trace with another: it made it, the first worker took it */
	assert_int_equal(believed(), 0);
	hundred_of_ten_workers();
	find(FIRST + 16, 11, true); /* which of the two made it is open */
	assert_int_equal(believed(), 90);
	hundred_of_ten_workers();
	find(FIRST + MIB / 2 + 16, 11, false);
	find(FIRST + 50 * MIB + 64, HOLDER_OTHER, false); /* nobody's memory passes nothing on */
	assert_int_equal(believed(), 99);
	/* The dead trace of a worker: another took what it made, so that one is not believed, but all the workers are. */
	hundred_of_ten_workers();
	find(FIRST + 99 * MIB + 16, 10, false);
	blocks.block[99] = (struct block){.start = FIRST + 99 * MIB, .length = MIB};
	find(FIRST + 99 * MIB + 16, 10, false);
	find(FIRST + 99 * MIB + 16, 11, true);
	assert_int_equal(believed(), 90);
	blocks_clear(&blocks);
}

static void who_took_no_faults_made_nothing(void **state)
{
	hundred_of_ten_workers();
	for (size_t i = 0; i < 10; i++)
		holders[i].faults = 10 * MIB / 4096;
	assert_int_equal(believed(), 100);
	holders[3].faults--; /* one that holds more than it can have made: all of its kind may */
	assert_int_equal(believed(), 0);
	blocks_clear(&blocks);
}

#define BLOCK_FAULTS (MIB / 4096)

/* Ten workers with ten blocks each, and two that hold nothing. */
static void workers_and_others(void)
{
	hundred_of_ten_workers();
	for (size_t i = 0; i < 10; i++)
		holders[i].faults = 50 * BLOCK_FAULTS;
	holders[10].faults = holders[11].faults = 0;
}

/* Others may have made it and given it away without a trace: if they took page faults enough. */
static void what_others_may_have_made(void **state)
{
	workers_and_others();
	assert_int_equal(believed(), 100); /* the workers alone took any */
	holders[10].faults = BLOCK_FAULTS; /* 1 % of what the workers hold is one block: just that */
	assert_int_equal(believed(), 100);
	holders[10].faults = 10 * BLOCK_FAULTS;
	assert_int_equal(believed(), 0);
	workers_and_others();
	for (uint64_t more = 0; more < 2; more++) { /* both together, parts of several: as a team fills them, or two stages do */
		workers_and_others();
		holders[10].faults = BLOCK_FAULTS / 2;
		holders[11].faults = BLOCK_FAULTS / 2 + more;
		assert_int_equal(believed(), more ? 0 : 100);
	}
	workers_and_others();
	ended = 10 * BLOCK_FAULTS; /* so did who has gone by now */
	assert_int_equal(believed(), 0);
	ended = 0;
	workers_and_others();
	holders[10].faults = UNKNOWN_U64;
	assert_int_equal(believed(), 0);
	/* Of whose routine is not known even the others of its kind are others. */
	workers_and_others();
	for (size_t i = 0; i < 10; i++)
		holders[i].routine = 0;
	assert_int_equal(believed(), 0);
	blocks_clear(&blocks);
}

/* Two that exchange what they made: each took as many page faults as what it holds needs, and may have made the other's;
 * or who has the small one took more, and who has the large one made something else. */
static void what_was_exchanged(void **state)
{
	for (uint64_t work = 0; work < 3; work++) {
		hundred_of_ten_workers();
		for (uint64_t i = 0; i < 100; i++)
			blocks.block[i].faults = work == 2 ? 80 : i % 2 ? 80 : 10;
		for (size_t i = 0; i < 10; i++) {
			holders[i].routine = WORKER + 64 * (i % 2);
			holders[i].faults = i % 2 && work < 2 ? 10 * (10 + 80 * work) : 10 * 80;
			blocks.block[i].length = MIB;
		}
		assert_int_equal(believed(), 0);
	}
	blocks_clear(&blocks);
}

static void against_a_naive_search(void **state)
{
	static uint64_t words[4096];
	uint64_t seed = 1;

	for (int round = 0; round < 60; round++) {
		uint64_t start = FIRST;
		size_t count = 1 + (size_t)round * 3;

		blocks_clear(&blocks);
		for (size_t i = 0; i < count; i++) {
			uint64_t length = 65536 + (seed >> 40) % 64 * 4096;

			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			start += (seed >> 60) % 3 * 4096;
			assert_int_equal(blocks_add(&blocks, start, length), 0);
			start += length;
		}
		assert_int_equal(blocks_index(&blocks), 0);
		for (size_t i = 0; i < 4096; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			words[i] = i % 3 ? FIRST + (seed >> 24) % (start - FIRST + 65536) : seed;
		}
		blocks_search(&blocks, 0x1000, words, 4096, 3, true);
		for (size_t b = 0; b < count; b++) {
			bool held = false;

			for (size_t i = 0; i < 4096; i++)
				held |= words[i] >= blocks.block[b].start + 16 && words[i] < blocks.block[b].start + 8192;
			assert_int_equal(block_maker(&blocks.block[b]), held ? 3 : HOLDER_NONE);
		}
	}
	blocks_clear(&blocks);
	blocks_search(&blocks, 0, words, 4096, 3, true); /* no blocks at all */
	for (uint64_t i = 0; i < BLOCKS_MAX; i++)
		assert_int_equal(blocks_add(&blocks, FIRST + i * MIB, MIB), 0);
	assert_int_equal(blocks_add(&blocks, FIRST + BLOCKS_MAX * MIB, MIB), -ENOSPC);
	blocks_clear(&blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test_setup(one_holder, strangers),
		cmocka_unit_test_setup(what_charges_nobody, strangers),
		cmocka_unit_test_setup(blocks_that_are_passed_on, strangers),
		cmocka_unit_test_setup(one_taker_tells_of_all, strangers),
		cmocka_unit_test_setup(who_took_no_faults_made_nothing, strangers),
		cmocka_unit_test_setup(what_others_may_have_made, strangers),
		cmocka_unit_test_setup(what_was_exchanged, strangers),
		cmocka_unit_test(against_a_naive_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
