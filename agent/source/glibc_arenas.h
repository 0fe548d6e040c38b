/* SPDX-License-Identifier: GPL-2.0-only */
/* The arenas of one process as last read: their heaps, and who uses them. For the glibc source alone; it must not
 * know who is charged with what is in them. */
#ifndef POOLSCOPE_SOURCE_GLIBC_ARENAS_H
#define POOLSCOPE_SOURCE_GLIBC_ARENAS_H

#include "malloc_state.h"
#include "memory_reader.h"

struct glibc_arena {
	uint64_t address;
	uint64_t top, next; /* as last read; top: the chunk at the end of its newest heap */
	bool is_main;       /* lives in libc and grows by brk */
	bool read;          /* top and next hold */
	bool tried, followed; /* while the ring is walked */
	uint32_t threads;   /* living threads that use it */
	struct thread_id thread; /* one of them */
};

struct glibc_heap {
	uint64_t start, end; /* the part that is in use by malloc */
	uint64_t arena;
};

/* A thread's `thread_arena`, as read when it had used so much CPU time. */
struct arena_word {
	struct thread_id id;
	uint64_t cpu_ns;
	uint64_t word;
	bool is_read;
};

/* Bounds for what a hostile target can make the agent keep; glibc's own is 8 arenas a CPU. */
#define GLIBC_ARENAS_MAX 4096
#define GLIBC_HEAPS_MAX 16384

struct glibc_arenas {
	struct malloc_layout layout; /* size 0: not known yet */
	struct glibc_arena *arena;   /* by address, ascending */
	size_t n_arenas, arena_room;
	struct glibc_heap *heap; /* of arenas but the main one; by arena, from the newest to the first */
	size_t n_heaps, heap_room;
	uint32_t misses; /* readings in a row that found none: the dear search is then made seldom */
	uint64_t main_at; /* the main one, as last found; 0: not known */
	struct arena_word *words; /* of the threads of the last reading, in its order */
	size_t n_words;
	uint32_t word; /* `thread_arena` stands so many bytes below a thread pointer; 0: not known */
};

/* The arena of that address, or NULL. */
struct glibc_arena *glibc_arenas_find(const struct glibc_arenas *arenas, uint64_t address);
const struct glibc_arena *glibc_arenas_main(const struct glibc_arenas *arenas);
void glibc_arenas_clear(struct glibc_arenas *arenas);

/* Reads anew which arenas there are, whether or not a living thread uses them (they are linked), and their heaps;
 * ret_of gets each thread's arena, 0 where it is not known. 0, -ESRCH, -EPERM, -ENOMEM. */
int glibc_arenas_read(struct memory_reader *reader, const struct fact_thread *threads, size_t n_threads,
		      struct glibc_arenas *arenas, uint64_t *ret_of);

#endif
