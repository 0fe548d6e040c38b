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
/* The largest chunks of fastbins and of a thread's cache (tcache). */
#define FASTBIN_MAX 176
#define TCACHE_MAX 1040
/* A link leads less far, or is the program's own datum: mixed with an address of user space, a pointer into the heap
 * becomes one to 256 MiB away and more. */
#define NEAR (128ULL << 20)

/* Low in memory (the heap of a program at a fixed address) a pointer is not led away by being mixed. */
bool malloc_walk_tells_links(uint64_t at)
{
	return at >> 12 >= 2 * NEAR;
}

/* Whether the chunk, whose words these are, is linked to the next of its size. */
static bool is_linked(const struct malloc_walk *walk, uint64_t size, const uint64_t *words, size_t count)
{
	uint64_t link;

	/* What is cut off by a window's end is one chunk in thousands. */
	if (!walk->links_are_mixed || size > TCACHE_MAX || count < 4)
		return false;
	/* The cache marks its chunks; malloc takes the mark away. */
	if (size > FASTBIN_MAX && !words[3])
		return false;
	link = words[2] ^ (walk->at + 16) >> 12;
	return !link || (link % CHUNK_ALIGN == 0 && link - walk->at + NEAR < 2 * NEAR);
}

/* Nothing, mixed with its own address: so ends each list of a thread's cache and each fastbin, from glibc 2.32 on. */
static bool ends_a_mixed_list(const struct malloc_walk *walk, uint64_t size, const uint64_t *words, size_t count)
{
	return size <= TCACHE_MAX && count >= 3 && words[2] == (walk->at + 16) >> 12;
}

static enum malloc_walk_state step(struct malloc_walk *walk, const uint64_t *words, size_t count)
{
	uint64_t word = words[1], size = word & ~FLAGS, room = walk->end - walk->at;

	if (walk->before && (!(word & BEFORE_IN_USE) || walk->is_linked))
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
	walk->is_linked = is_linked(walk, size, words, count);
	walk->n_mixed += ends_a_mixed_list(walk, size, words, count);
	walk->at += size;
	return MALLOC_WALK_ON;
}

enum malloc_walk_state malloc_walk_feed(struct malloc_walk *walk, uint64_t address, const uint64_t *words, size_t count)
{
	enum malloc_walk_state state = MALLOC_WALK_ON;

	if (walk->at % CHUNK_ALIGN || (walk->top && (walk->at > walk->top || walk->top > walk->end)))
		return MALLOC_WALK_BROKEN;
	while (state == MALLOC_WALK_ON) {
		size_t index;

		if (walk->end < CHUNK_ALIGN || walk->at > walk->end - CHUNK_ALIGN)
			return MALLOC_WALK_BROKEN;
		if (walk->at < address || (walk->at - address) / 8 + 2 > count)
			return MALLOC_WALK_ON;
		index = (size_t)(walk->at - address) / 8;
		state = step(walk, words + index, count - index);
	}
	return state;
}
