/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's malloc_state and heap_info from their bytes: where the fields are is proven by what stands there, not by
 * a version. Pure functions over bytes of a target; it must not read anything itself. */
#ifndef POOLSCOPE_SOURCE_MALLOC_STATE_H
#define POOLSCOPE_SOURCE_MALLOC_STATE_H

#include "../fact.h"

/* A heap starts at a multiple of its greatest size (HEAP_MAX_SIZE, malloc/arena.c) with heap_info, whose first word
 * is ar_ptr; the first heap of an arena holds the arena itself right behind (glibc 2.26 to 2.42, 64 bit). */
#define MALLOC_HEAP_BYTES (64ULL << 20)
#define MALLOC_HEAP_INFO_MAX 256
/* struct malloc_state is 2,192 bytes in glibc 2.26 and 2,200 in 2.36. */
#define MALLOC_STATE_BYTES 2304
#define MALLOC_FASTBINS 10

/* Offsets into malloc_state. */
struct malloc_layout {
	uint32_t fastbins; /* 0: none */
	uint32_t top, bins, next;
	uint32_t size; /* of the whole */
};

/* The bytes at `address`: an empty bin points at itself, which is the proof. -ENOENT: it is no malloc_state. */
int malloc_layout_find(const unsigned char *bytes, size_t length, uint64_t address, struct malloc_layout *ret_layout);

/* Can `word` be the address of an arena in a heap? */
static inline bool malloc_is_heap_arena(uint64_t word)
{
	return word >= MALLOC_HEAP_BYTES && word % 16 == 0 && word % MALLOC_HEAP_BYTES &&
	       word % MALLOC_HEAP_BYTES < MALLOC_HEAP_INFO_MAX;
}

struct malloc_heap_info {
	uint64_t arena, prev, size;
};

/* The bytes of heap_info at `heap`, which must belong to `arena`. -EINVAL: they contradict. */
#define MALLOC_HEAP_INFO_BYTES 24
int malloc_heap_parse(const unsigned char *bytes, uint64_t heap, uint64_t arena, struct malloc_heap_info *ret_info);

static inline uint64_t malloc_word(const unsigned char *bytes, size_t offset)
{
	uint64_t word;

	memcpy(&word, bytes + offset, sizeof(word));
	return word;
}

#endif
