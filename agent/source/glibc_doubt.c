/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults, and what was inherited.
 * It must not know where addresses were found. */
#include "glibc_doubt.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "memory_reader.h"

/* include/linux/sched.h, since Linux 2.0: it was forked, and has called no exec since. */
#define PF_FORKNOEXEC 0x40U
#define LOOKED_AT (256ULL << 10) /* of each block */

/* Page faults of threads that have ended: those of the process that no living one took. */
static uint64_t ended_faults(uint64_t faults, const struct fact_thread *threads, size_t n_threads)
{
	for (size_t i = 0; i < n_threads; i++)
		faults -= threads[i].faults < faults ? threads[i].faults : faults;
	return faults;
}

static bool is_shared(int pagemap, const struct block *block)
{
	return !pages_are_own(pagemap, block->start,
			      block->start + (block->length < LOOKED_AT ? block->length : LOOKED_AT));
}

/* What a child shares with its parent, or with others of its children, it has inherited. */
static void doubt_inherited(struct blocks *blocks, struct procfs *procfs, uint32_t pid)
{
	_cleanup_(close_fd) int pagemap = procfs_openf(procfs, O_RDONLY | O_CLOEXEC, "%u/pagemap", pid);

	for (size_t i = 0; i < blocks->count; i++)
		if (block_holder(&blocks->block[i]) && is_shared(pagemap, &blocks->block[i]))
			blocks->block[i].strong = false;
}

int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct fact_thread *threads,
		const uint64_t *kinds, size_t n_threads)
{
	_cleanup_(freep) struct block_holder *holders = calloc(n_threads + 1, sizeof(*holders));
	ssize_t n = procfs_read(procfs, "%u/stat", pid); /* its faults are of all threads, those that have ended too */
	struct proc_stat stat;

	if (!holders)
		return -ENOMEM;
	if (n < 0 || proc_parse_stat(procfs->buffer, (size_t)n, &stat) < 0)
		stat = (struct proc_stat){.flags = PF_FORKNOEXEC, .faults = UINT64_MAX};
	if (stat.flags & PF_FORKNOEXEC)
		doubt_inherited(blocks, procfs, pid);
	for (size_t i = 0; i < n_threads; i++)
		holders[i] = (struct block_holder){.routine = threads[i].is_leader ? 0 : kinds[i], .faults = threads[i].faults};
	return blocks_doubt(blocks, holders, n_threads, ended_faults(stat.faults, threads, n_threads));
}
