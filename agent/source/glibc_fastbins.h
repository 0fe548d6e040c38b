/* SPDX-License-Identifier: GPL-2.0-only */
/* What a heap of glibc's malloc has in its arena's fastbins: free, but not to be told from what is in use chunk by
 * chunk. It must not know whose the arena is. */
#ifndef POOLSCOPE_SOURCE_GLIBC_FASTBINS_H
#define POOLSCOPE_SOURCE_GLIBC_FASTBINS_H

#include "malloc_state.h"
#include "memory_reader.h"

/* How a list leads from chunk to chunk. */
enum glibc_links { LINKS_UNKNOWN, LINKS_MIXED, LINKS_PLAIN };

/* As the first list of the arena at `address` shows that has two chunks; UNKNOWN: none has. */
enum glibc_links glibc_links(const struct memory_reader *reader, const struct malloc_layout *layout, uint64_t address);
/* Bytes in [start, end) of chunks that are linked in the fastbins of the arena at `address`; of pages that are there
 * only. UNKNOWN_U64: not all had been reached at `until_ns` of thread_cputime(). */
uint64_t glibc_fastbins(const struct memory_reader *reader, const struct malloc_layout *layout, uint64_t address,
			uint64_t start, uint64_t end, uint64_t until_ns);

#endif
