/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults.
 * It must not know where addresses were found. */
#ifndef POOLSCOPE_SOURCE_GLIBC_DOUBT_H
#define POOLSCOPE_SOURCE_GLIBC_DOUBT_H

#include "blocks.h"
#include "glibc.h"
#include "procfs.h"

/* Page faults of the whole process, those of threads that have ended too. */
struct process_faults {
	uint64_t faults; /* UINT64_MAX: not known */
	bool is_forked;  /* and has called no exec since */
};

/* To be read soon after the threads were, for in between they go on. */
void glibc_read_process(struct procfs *procfs, uint32_t pid, struct process_faults *ret_process);

/* blocks_doubt() with what threads and the process had shown then; holder i + 1 is threads[i], of kinds[i]. -ENOMEM. */
int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct process_faults *process,
		const struct fact_thread *threads, const uint64_t *kinds, size_t n_threads);

#endif
