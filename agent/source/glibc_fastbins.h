/* SPDX-License-Identifier: GPL-2.0-only */
/* What a heap of glibc's malloc has in its arena's fastbins: free, but not to be told from what is in use chunk by
 * chunk. It must not know whose the arena is. */
#ifndef POOLSCOPE_SOURCE_GLIBC_FASTBINS_H
#define POOLSCOPE_SOURCE_GLIBC_FASTBINS_H

#include "malloc_state.h"
#include "memory_reader.h"

/* Bytes in [start, end) of chunks that are linked in the fastbins of the arena at `address`; of pages that are there
 * only. Until `until_ns` of thread_cputime() at the latest: what has not been reached by then is not counted. */
uint64_t glibc_fastbins(const struct memory_reader *reader, const struct malloc_layout *layout, uint64_t address,
			uint64_t start, uint64_t end, uint64_t until_ns);

#endif
