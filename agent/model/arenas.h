/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's thread arenas of one target: which heap belongs to which arena, and how the bytes that no living
 * thread grew are shared among the threads attached to it (DESIGN.md, rule 3). It must not know pools. */
#ifndef POOLSCOPE_MODEL_ARENAS_H
#define POOLSCOPE_MODEL_ARENAS_H

#include "range_map.h"
#include "threads.h"

/* HEAP_MAX_SIZE of glibc on 64 bits (2 * DEFAULT_MMAP_THRESHOLD_MAX, malloc/arena.c): heaps are aligned to
 * it and none is larger. */
#define HEAP_MAX_SIZE (64ULL << 20)

/* What was read of the inside of a heap. */
struct arena_inside {
	uint64_t resident, kept; /* kept: free for malloc; resident 0: not known */
	uint64_t unread;         /* of a large heap, what is still to be read */
};

struct arena_heap {
	uint64_t heap, arena; /* addresses: heap_info, ar_ptr */
	struct arena_inside inside;
};

/* What is remembered of an arena, whoever uses it. */
struct arena_use {
	uint64_t arena;
	uint64_t base;  /* resident that nobody was seen to make, when it was first shared: however it is divided
			 * later, nobody has grown by it */
	uint32_t pool;  /* of the thread that was attached last: where its memory belongs when nobody is; POOL_NONE */
	bool has_base;
	bool has_users; /* at the last division */
};

struct arenas {
	struct arena_heap *heap; /* by heap, ascending */
	uint32_t count, capacity;
	uint64_t refused;
	uint64_t main; /* the arena that grows by brk; 0: not known */
	struct arena_inside main_inside;
	struct arena_use *use; /* by arena, ascending */
	uint32_t n_uses, use_capacity;
	bool all_is_new; /* of an image that was seen to begin: there is no base */
};

int arenas_add(struct arenas *arenas, uint64_t heap, uint64_t arena);
void arenas_clear(struct arenas *arenas);
/* The arena that these bytes belong to: of the heap that holds the address, or the main one; 0: none known. */
uint64_t arenas_find(const struct arenas *arenas, uint64_t address, enum region region);
/* -ENOENT: no such heap is known. */
int arenas_set_inside(struct arenas *arenas, uint64_t heap, bool is_main, struct arena_inside inside);
/* How much of these resident bytes malloc keeps and of how much that is not known, taking them for an average part of
 * their heap: `resident` of it is what was told of. */
struct arena_inside arenas_inside(const struct arenas *arenas, uint64_t address, enum region region, uint64_t resident);
/* The pool of the thread that was attached to the arena last; POOL_NONE: none was seen. */
uint32_t arenas_last_pool(const struct arenas *arenas, uint64_t arena);
int arenas_set_last_pool(struct arenas *arenas, uint64_t arena, uint32_t pool);

/* The division at a refresh: begin, add what no living thread owns, end charges the members. */
struct arena_member {
	uint64_t arena;
	uint32_t thread;
	struct thread_id id;
	uint64_t resident, mapped, kept, unread, unmade; /* of the arena; on its first member */
};

struct arena_sharing {
	struct arena_member *member; /* by arena, then age */
	uint32_t count;
};

int arena_sharing_begin(struct arena_sharing *sharing, const struct threads *threads);
/* false: no living thread is attached to that arena. inside: of the range. */
bool arena_sharing_add(struct arena_sharing *sharing, uint64_t arena, const struct range *range, uint64_t resident,
		       const struct arena_inside *inside);
/* rebase: not everything had a figure so far, so what the arenas hold now is their base. */
void arena_sharing_end(struct arena_sharing *sharing, struct arenas *arenas, struct threads *threads, bool rebase);

#endif
