/* SPDX-License-Identifier: GPL-2.0-only */
/* How much of glibc's heaps is free inside, though resident: kept by malloc. Reads them one by one within a share of
 * the time. It must not know whose they are. */
#ifndef POOLSCOPE_SOURCE_GLIBC_KEPT_H
#define POOLSCOPE_SOURCE_GLIBC_KEPT_H

#include "glibc_arenas.h"
#include "glibc_fastbins.h"
#include "malloc_walk.h"

/* The heap of brk has no bound: it is read piece by piece. */
struct glibc_kept_main {
	struct malloc_walk walk;  /* where the last piece ended; at 0: at the beginning */
	uint64_t covered;         /* the address up to which pages were counted */
	uint64_t whole;           /* pages of the heap that were there when it was begun, in bytes */
	uint64_t resident, kept;  /* of the pieces before */
	uint64_t told;            /* of a heap that was never read whole, so much was told as read; UNKNOWN_U64: it was */
	unsigned int failures;    /* in a row, of the next piece */
};

struct glibc_kept {
	uint64_t cursor;  /* the heap that is read next */
	struct glibc_kept_main main;
	enum glibc_links links;
	uint64_t next_ns; /* boottime: not before; 0: at once */
};

/* FACT_ARENA_KEPT for as many heaps as the budget (CPU time; 0: one heap) allows, going on where the last call ended.
 * Arenas as glibc_arenas() left them. A heap that changes while it is read, or holds more than can be read in due time,
 * is left out; of the heap of brk what was read so far is told. Reads only pages that are present. 0, -ESRCH, -EPERM, -ENOMEM. */
int glibc_kept(uint32_t pid, const char *procfs, uint32_t target, const struct glibc_arenas *arenas,
	       struct glibc_kept *kept, uint64_t budget_ns, const struct fact_sink *sink);

#endif
