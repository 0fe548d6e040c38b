/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults, and where their stacks lie.
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

/* Where mappings lower than which began after the thread's own stack; UINT64_MAX: not known, or it lies in no mapping of
 * its own, but in the heap of brk. */
static uint64_t stack_of(const struct fact_thread *thread, const struct unowned *unowned, size_t n_unowned)
{
	if (thread->is_leader || !thread->stack_length)
		return UINT64_MAX;
	for (size_t i = 0; i < n_unowned; i++) {
		if (unowned[i].kind == UNOWNED_HEAP && thread->stack_start - unowned[i].start < unowned[i].length)
			return UINT64_MAX;
	}
	return thread->stack_start;
}

/* Where mappings begin and go upwards from, in the legacy layout (setarch -L, or an unlimited stack): a third of user space
 * on x86-64, a quarter on arm64; else they go downwards from its end (arch/x86/mm/mmap.c, mm/util.c of Linux 6.12). */
#define UPWARD_END 0x555555554000ULL
/* A smaller stack finds a gap between older mappings all too often. (glibc's own is 8 MiB, 2 MiB where the first thread's is
 * unlimited, as Rust's; Java's 1 MiB.) */
#define GAP_BYTES (4ULL << 20)

int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct fact_thread *threads,
		size_t n_threads, const struct unowned *unowned, size_t n_unowned)
{
	_cleanup_(freep) struct block_holder *holders = calloc(n_threads + 1, sizeof(*holders));

	if (!holders)
		return -ENOMEM;
	for (size_t i = 0; i < n_threads; i++) {
		const struct fact_thread *thread = &threads[i];

		holders[i] = (struct block_holder){
			.routine = thread->start_routine, .faults = thread->faults, .is_leader = thread->is_leader,
			.stack = stack_of(thread, unowned, n_unowned),
			.is_upward = thread->stack_start < UPWARD_END, .is_in_a_gap = thread->stack_length < GAP_BYTES,
		};
	}
	return blocks_doubt(blocks, holders, n_threads, ended_faults(procfs, pid, threads, n_threads));
}
