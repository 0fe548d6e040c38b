/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults.
 * It must not know where addresses were found. */
#ifndef POOLSCOPE_SOURCE_GLIBC_DOUBT_H
#define POOLSCOPE_SOURCE_GLIBC_DOUBT_H

#include "blocks.h"
#include "glibc.h"
#include "procfs.h"

/* blocks_doubt() with what threads and the process have shown so far; holder i + 1 is threads[i], of kinds[i]. -ENOMEM. */
int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct fact_thread *threads,
		const uint64_t *kinds, size_t n_threads);

#endif
