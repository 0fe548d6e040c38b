/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of threads that hold blocks, for the doubt whether they made them: page faults, and whether it was forked.
 * It must not know where addresses were found. */
#include "glibc_doubt.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "memory_reader.h"

/* include/linux/sched.h, since Linux 2.0: it was forked, and has called no exec since. */
#define PF_FORKNOEXEC 0x40U
/* Documentation/admin-guide/mm/pagemap.rst; its flags: include/uapi/linux/kernel-page-flags.h, Linux 2.6.31 */
#define PAGE_IS_PRESENT (1ULL << 63)
#define PAGE_FRAME ((1ULL << 55) - 1)
#define FLAGS_OF_FOLIOS (1ULL << 15 | 1ULL << 16) /* KPF_COMPOUND_HEAD, KPF_COMPOUND_TAIL */
#define HUGE_BYTES (2ULL << 20) /* x86-64 */
#define SAMPLES 4096 /* of all blocks together, but some of each */
#define SAMPLES_MIN 8

/* Page faults of threads that have ended: those of the process that no living one took. */
static uint64_t ended_faults(uint64_t faults, const struct fact_thread *threads, size_t n_threads)
{
	for (size_t i = 0; i < n_threads; i++)
		faults -= threads[i].faults < faults ? threads[i].faults : faults;
	return faults;
}

/* Some pages here and there. A page of a large folio came with others by one fault, also where the page tables know it alone
 * by now, since a mapping was moved (mremap). */
static bool has_large_folios(int pagemap, int kpageflags, const struct block *block, size_t samples)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), step = block->length / samples + page, entry, flags;

	for (uint64_t at = block->start; at < block->start + block->length; at += step) {
		if (pread(pagemap, &entry, sizeof(entry), (off_t)(at / page * sizeof(entry))) != sizeof(entry) ||
		    !(entry & PAGE_IS_PRESENT) || !(entry & PAGE_FRAME))
			continue;
		if (pread(kpageflags, &flags, sizeof(flags), (off_t)((entry & PAGE_FRAME) * sizeof(flags))) ==
			    sizeof(flags) &&
		    flags & FLAGS_OF_FOLIOS)
			return true;
	}
	return false;
}

/* Where the kernel tells no page frames (without CAP_SYS_ADMIN), the page tables alone say what is huge. */
static void count_folios(struct blocks *blocks, int pagemap, int kpageflags)
{
	size_t held = 0, samples;

	for (size_t i = 0; i < blocks->count; i++)
		held += block_holder(&blocks->block[i]) != HOLDER_NONE;
	samples = held ? SAMPLES / held + SAMPLES_MIN : 0;
	for (size_t i = 0; i < blocks->count && kpageflags >= 0; i++) {
		struct block *block = &blocks->block[i];

		if (block_holder(block) && has_large_folios(pagemap, kpageflags, block, samples))
			block->faults = block->present / HUGE_BYTES;
	}
}

void glibc_read_process(struct procfs *procfs, uint32_t pid, struct process_faults *ret_process)
{
	ssize_t n = procfs_read(procfs, "%u/stat", pid);
	struct proc_stat stat;

	if (n < 0 || proc_parse_stat(procfs->buffer, (size_t)n, &stat) < 0)
		stat = (struct proc_stat){.flags = PF_FORKNOEXEC, .faults = UINT64_MAX};
	*ret_process = (struct process_faults){stat.faults, stat.flags & PF_FORKNOEXEC};
}

int glibc_doubt(struct blocks *blocks, struct procfs *procfs, uint32_t pid, const struct process_faults *process,
		const struct fact_thread *threads, const uint64_t *kinds, size_t n_threads)
{
	_cleanup_(freep) struct block_holder *holders = calloc(n_threads + 1, sizeof(*holders));
	_cleanup_(close_fd) int pagemap = procfs_openf(procfs, O_RDONLY, "%u/pagemap", pid);
	_cleanup_(close_fd) int kpageflags = procfs_openf(procfs, O_RDONLY, "kpageflags");
	/* Who forked it took the page faults for what it was given, and may have given that back since. */
	uint64_t ended = process->is_forked ? UINT64_MAX : ended_faults(process->faults, threads, n_threads);

	if (!holders)
		return -ENOMEM;
	count_folios(blocks, pagemap, kpageflags);
	for (size_t i = 0; i < n_threads; i++)
		holders[i] = (struct block_holder){.routine = threads[i].is_leader ? 0 : kinds[i], .faults = threads[i].faults};
	return blocks_doubt(blocks, holders, n_threads, ended);
}
