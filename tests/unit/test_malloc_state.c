/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's arenas by evidence: of this very process, of made-up layouts, and of bytes without any sense. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "source/malloc_state.h"

#define ADDRESS 0x7f0010000030ULL

static unsigned char bytes[MALLOC_STATE_BYTES];

static void put(size_t offset, uint64_t word)
{
	memcpy(bytes + offset, &word, sizeof(word));
}

/* A malloc_state whose bins begin there; `used` of them hold a chunk, from the first on. */
static void make_state(size_t bins, size_t used)
{
	for (size_t at = 0; at < sizeof(bytes); at += 8)
		put(at, at * 2654435761u);
	for (size_t i = 0; i < 127; i++) {
		uint64_t self = ADDRESS + bins + i * 16 - 16;

		put(bins + i * 16, i < used ? 0x7f0010010000 + i * 64 : self);
		put(bins + i * 16 + 8, i < used ? 0x7f0010020000 + i * 64 : self);
	}
	put(bins - 16, 0x7f0010011000);
	put(bins + 127 * 16 + 16, 0x7f0020000030);
}

static void layouts_of_several_versions(void **state)
{
	/* glibc 2.26, 2.27 to 2.42, 2.43 (no fastbins), and another without. */
	static const size_t firsts[] = {104, 112, 24, 64};

	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
		struct malloc_layout layout = {0};

		make_state(firsts[i], i ? 110 : 0);
		assert_int_equal(malloc_layout_find(bytes, sizeof(bytes), ADDRESS, &layout), 0);
		assert_int_equal(layout.bins, firsts[i]);
		assert_int_equal(malloc_word(bytes, layout.top), 0x7f0010011000);
		assert_int_equal(malloc_word(bytes, layout.next), 0x7f0020000030);
		assert_int_equal(layout.fastbins, firsts[i] > 100 ? firsts[i] - 96 : 0);
		assert_true(layout.size <= sizeof(bytes));
	}
}

static void what_proves_nothing(void **state)
{
	struct malloc_layout layout = {.size = 7};

	make_state(112, 126); /* too few bins point at themselves */
	assert_int_equal(malloc_layout_find(bytes, sizeof(bytes), ADDRESS, &layout), -ENOENT);
	make_state(112, 100);
	put(112 + 16 * 50, 0x7f0010010001); /* no chunk */
	assert_int_equal(malloc_layout_find(bytes, sizeof(bytes), ADDRESS, &layout), -ENOENT);
	make_state(112, 0);
	assert_int_equal(malloc_layout_find(bytes, sizeof(bytes), ADDRESS + 16, &layout), -ENOENT);
	/* cut off in the middle */
	for (size_t length = 0; length < 2180; length++)
		assert_int_equal(malloc_layout_find(bytes, length, ADDRESS, &layout), -ENOENT);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(malloc_layout_find(bytes, sizeof(bytes), ADDRESS, &layout), -ENOENT);
	assert_int_equal(layout.size, 7);
}

static void bytes_without_sense(void **state)
{
	uint64_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct malloc_layout layout;
		struct malloc_heap_info info;
		unsigned char *exact;
		size_t length;

		make_state(64 + seed % 9 * 8, seed % 128);
		for (int i = 0; i < 30; i++) {
			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			put((seed >> 33) % (sizeof(bytes) / 8) * 8, round % 2 ? seed : ADDRESS + (seed >> 40) % 3000);
		}
		/* Exactly as long as it says, so that a reading beyond is seen. */
		length = (seed >> 20) % (sizeof(bytes) + 1);
		exact = malloc(length + 1);
		memcpy(exact, bytes, length);
		if (malloc_layout_find(exact, length, ADDRESS, &layout) == 0) {
			assert_true(layout.size <= length);
			assert_true(layout.next < layout.size && layout.top < layout.bins && layout.fastbins < layout.top);
		}
		free(exact);
		malloc_heap_parse(bytes, seed, seed >> 7, &info);
	}
}

/* In a thread, so with an arena of its own; by the C library's malloc: the sanitizer's makes no arenas. */
static void *own_arena(void *unused)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	void *(*real_malloc)(size_t);

	assert_non_null(libc);
	*(void **)&real_malloc = dlsym(libc, "malloc");
	assert_non_null(real_malloc);
	return real_malloc(1000);
}

static void this_process(void **state)
{
	struct malloc_heap_info info;
	struct malloc_layout layout;
	unsigned char *chunk, *heap, *top;
	uint64_t arena;
	pthread_t thread;

	own_arena(NULL); /* whoever calls malloc first has the main arena */
	pthread_create(&thread, NULL, own_arena, NULL);
	pthread_join(thread, (void **)&chunk);
	heap = (unsigned char *)((uintptr_t)chunk & ~(uintptr_t)(MALLOC_HEAP_BYTES - 1));
	arena = malloc_word(heap, 0);
	assert_int_equal(arena & ~(MALLOC_HEAP_BYTES - 1), (uintptr_t)heap);
	assert_true(malloc_is_heap_arena(arena));
	assert_int_equal(malloc_layout_find((unsigned char *)arena, MALLOC_STATE_BYTES, arena, &layout), 0);
	print_message("bins at +%u, next at +%u, size %u\n", layout.bins, layout.next, layout.size);
	top = (unsigned char *)malloc_word((unsigned char *)arena, layout.top);
	assert_true(top > chunk && top < heap + MALLOC_HEAP_BYTES);
	assert_int_equal(malloc_heap_parse(heap, (uintptr_t)heap, arena, &info), 0);
	assert_int_equal(info.prev, 0);
	assert_true(info.size >= 132 * 1024 && info.size <= MALLOC_HEAP_BYTES);
	/* the top chunk ends where the heap does */
	assert_int_equal((uintptr_t)top + (malloc_word(top, 8) & ~7ULL), (uintptr_t)heap + info.size);
	assert_int_equal(malloc_heap_parse(heap, (uintptr_t)heap, arena + 16, &info), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_of_several_versions),
		cmocka_unit_test(what_proves_nothing),
		cmocka_unit_test(bytes_without_sense),
		cmocka_unit_test(this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
