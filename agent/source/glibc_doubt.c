/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults, and what was inherited.
 * It must not know where addresses were found. */
#include "glibc_doubt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
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

static bool program_of(struct procfs *procfs, uint32_t pid, struct stat *ret_program)
{
	char path[32];

	snprintf(path, sizeof(path), "%u/exe", pid);
	return fstatat(procfs->fd, path, ret_program, 0) == 0;
}

/* Does the process that forked it live, as far as can be told? It runs the same program. */
static bool has_parent(struct procfs *procfs, uint32_t pid, uint32_t parent)
{
	struct stat own, parents;

	return program_of(procfs, pid, &own) && program_of(procfs, parent, &parents) && own.st_dev == parents.st_dev &&
	       own.st_ino == parents.st_ino;
}

int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct fact_thread *threads,
		const uint64_t *kinds, size_t n_threads)
{
	_cleanup_(freep) struct block_holder *holders = calloc(n_threads + 1, sizeof(*holders));
	ssize_t n = procfs_read(procfs, "%u/stat", pid); /* its faults are of all threads, those that have ended too */
	struct proc_stat stat;
	uint64_t ended;

	if (!holders)
		return -ENOMEM;
	if (n < 0 || proc_parse_stat(procfs->buffer, (size_t)n, &stat) < 0)
		stat = (struct proc_stat){.flags = PF_FORKNOEXEC, .faults = UINT64_MAX};
	if (stat.flags & PF_FORKNOEXEC)
		doubt_inherited(blocks, procfs, pid);
	ended = ended_faults(stat.faults, threads, n_threads);
	/* What it shared with one that has gone (a daemon's parent) is its own by now, and may be all that it has. */
	if (stat.flags & PF_FORKNOEXEC && !has_parent(procfs, pid, stat.parent_pid))
		ended = UINT64_MAX;
	for (size_t i = 0; i < n_threads; i++)
		holders[i] = (struct block_holder){.routine = threads[i].is_leader ? 0 : kinds[i], .faults = threads[i].faults};
	return blocks_doubt(blocks, holders, n_threads, ended);
}
