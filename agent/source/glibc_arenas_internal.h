/* SPDX-License-Identifier: GPL-2.0-only */
/* One reading of a process's arenas, shared by those who find them by threads' words and those who follow their ring.
 * Private to the glibc_arenas*.c family. */
#ifndef POOLSCOPE_SOURCE_GLIBC_ARENAS_INTERNAL_H
#define POOLSCOPE_SOURCE_GLIBC_ARENAS_INTERNAL_H

#include "glibc_arenas.h"

#define ARENA_BATCH 64
#define USER_MIN 65536 /* vm.mmap_min_addr */
#define USER_MAX (1ULL << 56)

struct arena_walk {
	struct memory_reader *reader;
	const struct fact_thread *threads;
	size_t n_threads;
	struct glibc_arenas *arenas;
	uint64_t *of; /* by thread: its arena */
	size_t heaps_left; /* a hostile chain of heaps must end */
	bool has_small_heaps;
	bool has_words; /* each thread's word is read, at the place that is known */
	bool has_users; /* a thread uses one */
};

/* 0 or -ENOMEM; -ESRCH from those that read. */
int arena_walk_add(struct glibc_arenas *arenas, uint64_t address, bool is_main);
int arena_walk_try_main(struct arena_walk *walk, uint64_t address); /* at an address that somebody names */
int arena_walk_try_next(struct arena_walk *walk, uint64_t address); /* one that a proven arena may name */

/* The threads' words: at the place that is known, or anywhere near their control blocks. */
int arena_words_read(struct arena_walk *walk);
/* No arena was found next to a control block: so libc's TLS lies further away, or all use the main arena. */
int arena_words_learn(struct arena_walk *walk);
/* When the arenas are known: whose they are. */
void arena_words_tell(struct arena_walk *walk);

#endif
