/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults.
 * It must not know where addresses were found. */
#include "glibc_doubt.h"

#include <errno.h>

#include "procfs_internal.h"

/* Page faults of threads that have ended: those of the process that no living one took. */
static uint64_t ended_faults(struct procfs *procfs, uint32_t pid, const struct fact_thread *threads, size_t n_threads)
{
	ssize_t n = procfs_read(procfs, "%u/stat", pid); /* sums over all threads, those that have ended too */
	struct proc_stat stat;

	if (n < 0 || proc_parse_stat(procfs->buffer, (size_t)n, &stat) < 0)
		return UINT64_MAX;
	for (size_t i = 0; i < n_threads; i++)
		stat.faults -= threads[i].faults < stat.faults ? threads[i].faults : stat.faults;
	return stat.faults;
}

int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct fact_thread *threads,
		const uint64_t *kinds, size_t n_threads)
{
	_cleanup_(freep) struct block_holder *holders = calloc(n_threads + 1, sizeof(*holders));

	if (!holders)
		return -ENOMEM;
	for (size_t i = 0; i < n_threads; i++)
		holders[i] = (struct block_holder){.routine = threads[i].is_leader ? 0 : kinds[i],
						   .team = threads[i].start_routine, .faults = threads[i].faults};
	return blocks_doubt(blocks, holders, n_threads, ended_faults(procfs, pid, threads, n_threads));
}
