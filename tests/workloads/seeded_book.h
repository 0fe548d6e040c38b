/* SPDX-License-Identifier: GPL-2.0-only */
/* The book of the workload `seeded`: who owns each page, by the rule, and what was written to. It lives in shared
 * memory, which is nobody's, so that keeping it changes no figure. It must not know calls or plans. */
#ifndef POOLSCOPE_WORKLOADS_SEEDED_BOOK_H
#define POOLSCOPE_WORKLOADS_SEEDED_BOOK_H

#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include "truth.h"

#define CHUNK_PAGES 512
#define CHUNKS_MAX 8192
#define SLOTS (2 * CHUNKS_MAX)
#define PEOPLE_MAX 1024
#define AREAS_MAX 512
#define AREA_PAGES_MAX 4096
#define BLOCKS_MAX 512
#define HEAPS_MAX 128
#define CHILDREN_MAX 16
#define SLICES_MAX 32
#define NOBODY 0xffff
#define MAIN_ARENA 1 /* in place of its address */
#define POOLS 3

enum kind { NOTHING, MMAP, STACK, ARENA, HEAP, FILE_PRIVATE, UNCHARGED };
enum { USABLE = 1, WRITTEN = 2, LOCKED = 4, ASK = 8 }; /* ASK: only the page tables know if it is resident */

struct page {
	uint16_t owner; /* of whom, NOBODY */
	uint8_t kind, flags;
};

struct person { /* a thread, or a guest of the address space */
	pid_t tid;
	int pool;
	bool alive, leaving, guest, host, reaped; /* host: has guests, which use its thread control block */
	unsigned done; /* the last round that it has finished */
	uint64_t random;
	uintptr_t arena; /* of glibc; MAIN_ARENA; 0: none yet */
	uintptr_t slice; /* its stack is a part of the slab */
	unsigned ops_left;
	struct page scratch[AREA_PAGES_MAX];
	uint64_t stack, arena_bytes, heap, mmap; /* filled in by the truth */
};

struct area {
	uintptr_t start;
	size_t length;
	bool claimed;
};

struct block { /* of malloc */
	void *start;
	size_t length;
	bool claimed;
};

struct heap {
	uintptr_t start, arena, usable_end;
};

struct last { /* whose arena it was last */
	uintptr_t arena;
	int pool;
};

struct child { /* of fork: tells its own truth */
	pid_t pid;
	bool ready;
	uint64_t own, inherited, image;
};

struct chunk {
	uintptr_t number;
	struct page page[CHUNK_PAGES];
};

struct book {
	atomic_int pages_lock, areas_lock, heap_lock;
	atomic_uint round; /* people wait for the next */
	unsigned ops; /* of each person in a round */
	pid_t pid;
	unsigned n_people, n_areas, n_blocks, n_heaps, n_lasts, n_children, n_chunks;
	uint64_t calls, failed;
	uintptr_t brk_low, main_end, slab;
	struct person *slice_user[SLICES_MAX];
	uint32_t slot[SLOTS];
	struct area areas[AREAS_MAX];
	struct block blocks[BLOCKS_MAX];
	struct heap heaps[HEAPS_MAX];
	struct last lasts[HEAPS_MAX];
	struct child children[CHILDREN_MAX];
	char text[1 << 20];
	struct person people[PEOPLE_MAX];
	struct chunk chunks[CHUNKS_MAX];
};

static struct book *book;

/* Nothing of libc's: guests and forked children take these too. */
static inline void take(atomic_int *lock)
{
	while (atomic_exchange(lock, 1))
		syscall(SYS_sched_yield);
}

static inline void give(atomic_int *lock)
{
	atomic_store(lock, 0);
}

static inline uint64_t random_next(struct person *self)
{
	self->random ^= self->random << 13;
	self->random ^= self->random >> 7;
	self->random ^= self->random << 17;
	return self->random * 0x2545f4914f6cdd1dULL;
}

/* 0 .. limit - 1 */
static inline uint64_t pick(struct person *self, uint64_t limit)
{
	return (random_next(self) >> 16) % limit;
}

static inline bool chance(struct person *self, unsigned percent)
{
	return pick(self, 100) < percent;
}

static inline uint16_t number_of(const struct person *self)
{
	return (uint16_t)(self - book->people);
}

/* The caller holds pages_lock. NULL: not in the book, and not to be entered. */
static inline struct page *page_at(uintptr_t address, bool enter)
{
	uintptr_t number = address / PAGE / CHUNK_PAGES;
	uint32_t at = (uint32_t)(number * 2654435761u) % SLOTS;

	for (; book->slot[at]; at = (at + 1) % SLOTS)
		if (book->chunks[book->slot[at] - 1].number == number)
			return &book->chunks[book->slot[at] - 1].page[address / PAGE % CHUNK_PAGES];
	if (!enter)
		return NULL;
	if (book->n_chunks == CHUNKS_MAX)
		DIE("the book is full");
	book->chunks[book->n_chunks++].number = number;
	book->slot[at] = book->n_chunks;
	return &book->chunks[book->n_chunks - 1].page[address / PAGE % CHUNK_PAGES];
}

static inline void pages_set(uintptr_t start, size_t length, struct page page)
{
	take(&book->pages_lock);
	for (uintptr_t at = start; at < start + length; at += PAGE)
		*page_at(at, true) = page;
	give(&book->pages_lock);
}

/* Takes the pages out of the book, into self->scratch: what is about to be freed may be another's at once. */
static inline void pages_take(struct person *self, uintptr_t start, size_t length, bool out)
{
	take(&book->pages_lock);
	for (size_t i = 0; i < length / PAGE; i++) {
		struct page *page = page_at(start + i * PAGE, true);

		self->scratch[i] = *page;
		if (out)
			*page = (struct page){ .owner = NOBODY };
	}
	give(&book->pages_lock);
}

static inline void pages_put(const struct person *self, size_t first, uintptr_t start, size_t length)
{
	take(&book->pages_lock);
	for (size_t i = 0; i < length / PAGE; i++)
		*page_at(start + i * PAGE, true) = self->scratch[first + i];
	give(&book->pages_lock);
}

/* ---- areas: what somebody mapped, and anybody may work on, one at a time ----------------------------- */

static inline void area_add(uintptr_t start, size_t length)
{
	if (!length)
		return;
	take(&book->areas_lock);
	if (book->n_areas == AREAS_MAX)
		DIE("too many areas");
	book->areas[book->n_areas++] = (struct area){ start, length, false };
	give(&book->areas_lock);
}

/* Takes an area out of the list: it is the caller's until it is added again. */
static inline bool area_claim(struct person *self, struct area *ret_area)
{
	bool found;

	take(&book->areas_lock);
	found = book->n_areas > 0;
	if (found) {
		unsigned i = (unsigned)pick(self, book->n_areas);

		*ret_area = book->areas[i];
		book->areas[i] = book->areas[--book->n_areas];
	}
	give(&book->areas_lock);
	return found;
}

static inline struct person *person_add(int pool, uint64_t random, unsigned ops)
{
	struct person *person;

	take(&book->areas_lock);
	if (book->n_people == PEOPLE_MAX)
		DIE("too many people");
	person = &book->people[book->n_people++];
	give(&book->areas_lock);
	person->pool = pool;
	person->random = random * 0x9e3779b97f4a7c15ULL + 0x1234567;
	person->ops_left = ops;
	person->alive = true;
	return person;
}

/* The mapping of /proc/self/maps that holds the address. The caller holds heap_lock, which guards the text too. */
static inline bool mapping_of(uintptr_t address, uintptr_t *ret_start, uintptr_t *ret_end)
{
	char *line = proc_text("/proc/self/maps", book->text, sizeof(book->text));

	for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, ret_start, ret_end) == 2 && address >= *ret_start &&
		    address < *ret_end)
			return true;
	return false;
}

#endif
