/* SPDX-License-Identifier: GPL-2.0-only */
/* One heap of glibc's malloc, chunk by chunk, and what of it is free. Pure: bytes of a target in, answers out; it must
 * not read anything itself. */
#include "malloc_walk.h"

/* malloc/malloc.c, glibc 2.26 to 2.42, 64 bit: a chunk's second word is its size and these. */
#define BEFORE_IN_USE 1ULL
#define IS_MMAPPED 2ULL
#define FLAGS 7ULL
#define CHUNK_MIN 32
#define CHUNK_ALIGN 16
#define FENCE_BYTES 64 /* two headers, and what alignment leaves */

static enum malloc_walk_state step(struct malloc_walk *walk, uint64_t word)
{
	uint64_t size = word & ~FLAGS, room = walk->end - walk->at;

	if (walk->before && !(word & BEFORE_IN_USE))
		walk->found(walk->context, walk->before, walk->at);
	walk->before = 0;
	if (walk->at == walk->top) {
		walk->found(walk->context, walk->at, walk->end);
		return MALLOC_WALK_DONE;
	}
	if (!walk->top && room <= FENCE_BYTES && size < CHUNK_MIN)
		return MALLOC_WALK_DONE;
	if (size < CHUNK_MIN || size % CHUNK_ALIGN || size > room || (word & IS_MMAPPED) ||
	    (walk->top && size > walk->top - walk->at))
		return MALLOC_WALK_BROKEN;
	walk->before = walk->at;
	walk->at += size;
	return MALLOC_WALK_ON;
}

enum malloc_walk_state malloc_walk_feed(struct malloc_walk *walk, uint64_t address, const uint64_t *words, size_t count)
{
	enum malloc_walk_state state = MALLOC_WALK_ON;

	if (walk->at % CHUNK_ALIGN || (walk->top && (walk->at > walk->top || walk->top > walk->end)))
		return MALLOC_WALK_BROKEN;
	while (state == MALLOC_WALK_ON) {
		if (walk->end < CHUNK_ALIGN || walk->at > walk->end - CHUNK_ALIGN)
			return MALLOC_WALK_BROKEN;
		if (walk->at < address || (walk->at - address) / 8 + 2 > count)
			return MALLOC_WALK_ON;
		state = step(walk, words[(walk->at - address) / 8 + 1]);
	}
	return state;
}
