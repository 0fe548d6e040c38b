/* SPDX-License-Identifier: GPL-2.0-only */
/* The workload `seeded`: glibc's malloc. One call at a time, and after each the heaps are looked at: what became usable
 * is the caller's. It must not know threads' lives. */
#ifndef POOLSCOPE_WORKLOADS_SEEDED_MALLOC_H
#define POOLSCOPE_WORKLOADS_SEEDED_MALLOC_H

#include <malloc.h>
#include <sys/uio.h>
#include "seeded_calls.h"

#define LARGE ((size_t)128 << 10) /* M_MMAP_THRESHOLD, fixed by seeded.c */

struct heap_header { /* heap_info of glibc 2.1 to 2.41 (malloc/arena.c) */
	uintptr_t arena, previous;
	size_t size, usable;
};

static bool is_foreign; /* malloc is not glibc's: what it maps is not in the book */
static struct heap_header looked; /* in .bss, which is nobody's either */

/* A heap may be gone, and its address another's. */
static bool heap_read(uintptr_t heap)
{
	struct iovec here = { &looked, sizeof(looked) }, there = { (void *)heap, sizeof(looked) };

	return process_vm_readv(book->pid, &here, 1, &there, 1, 0) == sizeof(looked);
}

static void heap_pages(uintptr_t from, uintptr_t to, uint16_t owner, uint8_t kind, uint8_t flags)
{
	take(&book->pages_lock);
	for (uintptr_t at = from; at < to; at += PAGE) {
		struct page *page = page_at(at, true);

		/* A heap that was given back may be another mapping by now. */
		if (kind || page->kind == ARENA)
			*page = (struct page){ owner, kind, flags };
	}
	give(&book->pages_lock);
}

static void heap_note(uintptr_t heap)
{
	for (unsigned i = 0; i < book->n_heaps; i++)
		if (book->heaps[i].start == heap)
			return;
	if (book->n_heaps == HEAPS_MAX)
		DIE("too many heaps");
	if (heap_read(heap))
		book->heaps[book->n_heaps++] = (struct heap){ heap, looked.arena, heap };
}

/* The caller holds heap_lock, and `self` is who called malloc. */
static void heaps_look(struct person *self)
{
	uintptr_t end = is_foreign ? book->main_end : brk_now();

	if (end > book->main_end)
		pages_set(book->main_end, end - book->main_end, (struct page){ number_of(self), HEAP, USABLE | ASK });
	else
		heap_pages(end, book->main_end, NOBODY, NOTHING, 0);
	book->main_end = end;
	for (unsigned i = 0; i < book->n_heaps; i++) {
		struct heap *heap = &book->heaps[i];

		if (!heap_read(heap->start) || looked.arena != heap->arena || looked.usable > HEAP_MAX) {
			heap_pages(heap->start, heap->usable_end, NOBODY, NOTHING, 0);
			*heap = book->heaps[--book->n_heaps];
			i--;
			continue;
		}
		if (heap->start + looked.usable > heap->usable_end) {
			heap_pages(heap->usable_end, heap->start + looked.usable, number_of(self), ARENA,
				   USABLE | ASK);
			heap->usable_end = heap->start + looked.usable;
		}
	}
}

/* What malloc mapped directly: the chunk says so in its size. */
static bool block_mapping(const void *block, uintptr_t *ret_start, size_t *ret_length)
{
	const size_t *header = (const size_t *)block - 2;

	if (!(header[1] & 2))
		return false;
	*ret_start = (uintptr_t)header - header[0];
	*ret_length = (header[1] & ~(size_t)7) + header[0];
	return true;
}

static void block_note(struct person *self, void *block)
{
	uintptr_t start, heap = (uintptr_t)block & ~(HEAP_MAX - 1);
	size_t length;

	if (block_mapping(block, &start, &length))
		pages_set(start, length, (struct page){ number_of(self), MMAP, USABLE | ASK });
	else if ((uintptr_t)block >= brk_now()) /* not of the main arena */
		heap_note(heap);
}

/* The caller's arena: known from its first small block. */
static void arena_attach(struct person *self)
{
	void *block;

	if (self->arena || is_foreign)
		return;
	block = malloc(24);
	block_note(self, block);
	if ((uintptr_t)block < brk_now())
		self->arena = MAIN_ARENA;
	else if (heap_read((uintptr_t)block & ~(HEAP_MAX - 1)))
		self->arena = looked.arena;
	heaps_look(self);
	free(block);
}

/* The caller ends: whatever of its arena nobody alive has grown is its pool's, once nobody uses the arena. */
static void arena_leave(const struct person *self)
{
	unsigned i = 0;

	if (!self->arena)
		return;
	while (i < book->n_lasts && book->lasts[i].arena != self->arena)
		i++;
	if (i == HEAPS_MAX)
		DIE("too many arenas");
	book->n_lasts += i == book->n_lasts;
	book->lasts[i] = (struct last){ self->arena, self->pool };
}

static void block_add(struct person *self, void *start, size_t length)
{
	if (book->n_blocks == BLOCKS_MAX) {
		free(start);
		heaps_look(self);
		return;
	}
	book->blocks[book->n_blocks++] = (struct block){ start, length, false };
}

static void op_malloc(struct person *self)
{
	size_t length = chance(self, 10) ? LARGE + pick(self, LARGE * 4) : 64 + pick(self, 1 << (6 + pick(self, 10)));

	take(&book->heap_lock);
	arena_attach(self);
	for (unsigned i = 0; i < (length < LARGE ? 8 : 1); i++) {
		char *block = malloc(length);

		if (!block)
			DIE("malloc failed");
		block_note(self, block);
		heaps_look(self);
		memset(block, 1, chance(self, 80) ? length : 1);
		block_add(self, block, length);
	}
	give(&book->heap_lock);
}

static void op_malloc_free(struct person *self)
{
	uintptr_t start;
	size_t length;

	take(&book->heap_lock);
	arena_attach(self);
	for (unsigned i = 0; i < 8 && book->n_blocks; i++) {
		unsigned at = (unsigned)pick(self, book->n_blocks);
		struct block block = book->blocks[at];

		book->blocks[at] = book->blocks[--book->n_blocks];
		if (block_mapping(block.start, &start, &length))
			pages_set(start, length, (struct page){ .owner = NOBODY });
		free(block.start);
		heaps_look(self);
	}
	if (chance(self, 10))
		malloc_trim(0);
	heaps_look(self);
	give(&book->heap_lock);
}

/* A block that malloc mapped directly grows by mremap. */
static void op_realloc(struct person *self)
{
	uintptr_t start, now;
	size_t length, more;
	struct block block;

	take(&book->heap_lock);
	arena_attach(self);
	if (book->n_blocks) {
		block = book->blocks[--book->n_blocks];
		bool direct = block_mapping(block.start, &start, &length);

		if (direct)
			pages_take(self, start, length, true);
		block.length = block.length < LARGE * 16 ? block.length * 2 : LARGE * 2;
		block.start = realloc(block.start, block.length);
		if (!block_mapping(block.start, &now, &more)) {
			block_note(self, block.start);
		} else if (!direct) {
			block_note(self, block.start);
		} else {
			pages_put(self, 0, now, more < length ? more : length);
			if (more > length)
				pages_set(now + length, more - length, (struct page){ number_of(self), MMAP, USABLE | ASK });
		}
		heaps_look(self);
		memset(block.start, 1, block.length);
		block_add(self, block.start, block.length);
	}
	give(&book->heap_lock);
}

#endif
