/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc from outside: where struct pthread keeps the start routine and the stack, found by evidence and not
 * assumed; and its arenas. Reads the target with process_vm_readv, never stops it. */
#ifndef POOLSCOPE_SOURCE_GLIBC_H
#define POOLSCOPE_SOURCE_GLIBC_H

#include "../fact.h"

/* Offsets from the thread pointer (fsbase) into struct pthread; 0: not known. */
struct glibc_descriptor {
	uint32_t tid, start_routine, stack_block, stack_size, guard_size;
	uint32_t bytes; /* of struct pthread, or more */
};

/* The right to read the target's memory is missing: what follows will find nothing. */
bool glibc_is_hidden(uint32_t pid, const char *procfs);
/* Learns the offsets from one or more living threads (tid, TLS base, stack pointer, as in
 * FACT_THREAD_SEEN) of a process; 64 of them suffice. The tid's own offset must prove itself: there stands the
 * tid that the target itself sees. With the leader alone, stack offsets are those of a known layout, which the
 * readings of later threads check again. -ENOENT: the evidence does not suffice (musl, Go). */
int glibc_learn(uint32_t pid, const char *procfs, const struct fact_thread *threads, size_t n_threads,
		struct glibc_descriptor *ret_descriptor);
/* Fills start_routine and the stack range of threads from their descriptors, by batched reads; what stands
 * there must fit the thread (its TLS base lies on its stack), or the thread is left as it is. The leader has
 * neither. Returns how many were filled, or -errno when the process cannot be read at all. */
int glibc_read_threads(uint32_t pid, const char *procfs, const struct glibc_descriptor *descriptor,
		       struct fact_thread *threads, size_t n_threads);
/* FACT_ARENA for each heap of each arena, used by a living thread or not, and FACT_THREAD_ARENA for each thread. The
 * arena word, just below the thread pointer, proves itself: the heap it points into points back; arenas are linked in
 * a ring, and name their newest heap, which names the one before it. No symbols, nothing is stopped. What was found
 * stays in *arenas, which starts zeroed (glibc_arenas_clear() frees it). -ESRCH, -EPERM, -ENOMEM. */
struct glibc_arenas;
int glibc_arenas(uint32_t pid, const char *procfs, uint32_t target, uint64_t time_ns, const struct fact_thread *threads,
		 size_t n_threads, struct glibc_arenas *arenas, const struct fact_sink *sink);

/* FACT_RANGE_OWNER for blocks that malloc mapped directly, whose addresses are found in memory of one thread alone
 * (FACT_RANGE_HELD where it is doubtful that it made them): in
 * its stack or in an arena that only it uses, and nowhere else; what a thread was started with is not its own. Threads as
 * for glibc_read_threads(), filled; kinds: who do the same (block_holder.routine); arenas as read just before. Reads only pages that are present. -ETIME: the budget (CPU time) did not suffice, nothing is said. */
int glibc_blocks(uint32_t pid, const char *procfs, uint32_t target, uint64_t time_ns, const struct fact_thread *threads,
		 const uint64_t *kinds, size_t n_threads, const struct glibc_arenas *arenas, const struct unowned *unowned, size_t n_unowned,
		 const struct glibc_descriptor *descriptor, uint64_t budget_ns, const struct fact_sink *sink);

#endif
