/* SPDX-License-Identifier: GPL-2.0-only */
/* Heaps chunk by chunk: made-up ones against what they were made of, in pieces of any size; and bytes without sense. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "source/malloc_walk.h"

#define BASE 0x7f0000000000ULL
#define WORDS 65536

static uint64_t heap[WORDS];
static uint64_t seed = 1;
static uint64_t found_bytes, expected_bytes, last_end;

static uint64_t draw(uint64_t bound)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % bound;
}

static void found(void *context, uint64_t start, uint64_t end)
{
	assert_true(start < end && start >= last_end);
	assert_true(start >= BASE && end <= BASE + sizeof(heap));
	last_end = end;
	found_bytes += end - start;
}

static void put(uint64_t at, uint64_t size, bool before_in_use)
{
	heap[(at - BASE) / 8 + 1] = size | before_in_use | (draw(2) ? 4 : 0);
}

/* Chunks up to the top, or up to a fence; returns the walk over it. */
static struct malloc_walk make_heap(bool to_top)
{
	struct malloc_walk walk = {.at = BASE + 48, .end = BASE + sizeof(heap), .found = found};
	uint64_t at = walk.at, limit = walk.end - (to_top ? 4096 + draw(100000) / 16 * 16 : 32);
	bool in_use = true;

	found_bytes = expected_bytes = last_end = 0;
	for (size_t i = 0; i < WORDS; i++)
		heap[i] = draw(2) ? draw(100000) : UINT64_MAX;
	while (at + 32 <= limit) {
		uint64_t size = draw(20) ? 32 + draw(20) * 16 : 32 + draw(3000) * 16;

		size = size > limit - at || limit - at - size < 32 ? limit - at : size;
		size &= ~15ULL;
		put(at, size, in_use);
		in_use = !in_use || draw(2);
		expected_bytes += in_use ? 0 : size;
		at += size;
	}
	if (to_top) {
		walk.top = at;
		put(at, walk.end - at, in_use);
		expected_bytes += walk.end - at;
	} else {
		put(at, 16, in_use);
		put(at + 16, 0, true);
	}
	return walk;
}

static enum malloc_walk_state run(struct malloc_walk *walk, size_t piece)
{
	enum malloc_walk_state state = MALLOC_WALK_ON;

	while (state == MALLOC_WALK_ON) {
		size_t first = (size_t)(walk->at - BASE) / 8, count;
		uint64_t *copy;

		if (walk->at < BASE || first + 2 > WORDS)
			return MALLOC_WALK_BROKEN;
		count = WORDS - first < piece ? WORDS - first : piece;
		/* Exactly as long as it says, so that a reading beyond is seen. */
		copy = malloc(count * 8);
		memcpy(copy, heap + first, count * 8);
		state = malloc_walk_feed(walk, walk->at, copy, count);
		free(copy);
	}
	return state;
}

static void what_it_was_made_of(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct malloc_walk walk = make_heap(round % 2);

		assert_int_equal(run(&walk, 2 + (size_t)draw(round % 3 ? 5000 : 8)), MALLOC_WALK_DONE);
		assert_int_equal(found_bytes, expected_bytes);
	}
}

#define SIZE 96

/* Chunks of one size, all of them in use by their headers; returns the words of chunk i from its header on. */
static uint64_t *make_row(struct malloc_walk *walk, size_t i)
{
	return heap + (walk->at - BASE + i * SIZE) / 8;
}

static uint64_t user_of(const struct malloc_walk *walk, size_t i)
{
	return walk->at + i * SIZE + 16;
}

/* Free in a fastbin or in a thread's cache: links that are mixed with where they stand; a program's are not. */
static void linked_chunks(void **state)
{
	struct malloc_walk walk = {.at = BASE + 48, .end = BASE + 4096, .top = BASE + 48 + 20 * SIZE, .found = found};
	uint64_t free_bytes = walk.end - walk.top;

	memset(heap, 0, sizeof(heap));
	for (size_t i = 0; i <= 20; i++)
		make_row(&walk, i)[1] = (i < 20 ? SIZE : free_bytes) | 1;
	make_row(&walk, 2)[2] = (user_of(&walk, 7) - 16) ^ user_of(&walk, 2) >> 12;
	make_row(&walk, 7)[2] = user_of(&walk, 7) >> 12; /* the last of the list */
	make_row(&walk, 9)[2] = user_of(&walk, 3);	 /* the program's own */
	make_row(&walk, 10)[2] = (user_of(&walk, 3) + 8) ^ user_of(&walk, 10) >> 12;
	make_row(&walk, 11)[2] = (user_of(&walk, 3) + (1ULL << 30)) ^ user_of(&walk, 11) >> 12;
	for (unsigned int mixed = 0; mixed < 2; mixed++) {
		struct malloc_walk again = walk;

		again.links_are_mixed = mixed;
		found_bytes = last_end = 0;
		assert_int_equal(run(&again, 64), MALLOC_WALK_DONE);
		assert_int_equal(found_bytes, free_bytes + mixed * 2 * SIZE);
	}
	/* Larger ones are the cache's alone, which marks them. */
	memset(heap, 0, sizeof(heap));
	walk.top = walk.at + 10 * SIZE;
	for (size_t i = 0; i < 10; i += 2)
		make_row(&walk, i)[1] = 2 * SIZE | 1;
	make_row(&walk, 10)[1] = (walk.end - walk.top) | 1;
	make_row(&walk, 2)[2] = make_row(&walk, 4)[2] = user_of(&walk, 2) >> 12;
	make_row(&walk, 2)[3] = 0x1234;
	walk.links_are_mixed = true;
	found_bytes = last_end = 0;
	assert_int_equal(run(&walk, 1000), MALLOC_WALK_DONE);
	assert_int_equal(found_bytes, walk.end - walk.top + 2 * SIZE);
}

static void broken_heaps(void **state)
{
	struct malloc_walk walk;

	for (int round = 0; round < 3000; round++) {
		walk = make_heap(round % 2);
		for (uint64_t i = draw(20); i < 20; i++)
			heap[draw(WORDS)] = draw(3) ? draw(4096) : draw(1 << 30) * 16;
		if (round % 50 == 0)
			walk.top = BASE + draw(1 << 20);
		if (round % 70 == 0)
			walk.end = draw(2) ? draw(100) : BASE + draw(1 << 19);
		if (walk.end > BASE + sizeof(heap))
			continue;
		run(&walk, 2 + (size_t)draw(5000));
	}
	walk = make_heap(true);
	walk.at += 8;
	assert_int_equal(malloc_walk_feed(&walk, BASE, heap, WORDS), MALLOC_WALK_BROKEN);
	walk = make_heap(true);
	walk.top = walk.at - 16; /* above the top there is no chunk */
	assert_int_equal(malloc_walk_feed(&walk, BASE, heap, WORDS), MALLOC_WALK_BROKEN);
	walk = make_heap(true);
	assert_int_equal(malloc_walk_feed(&walk, BASE + 4096, heap, 8), MALLOC_WALK_ON); /* not there yet */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_was_made_of),
		cmocka_unit_test(linked_chunks),
		cmocka_unit_test(broken_heaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
