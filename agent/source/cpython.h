/* SPDX-License-Identifier: GPL-2.0-only */
/* CPython from outside: executors, their workers and what each runs, read from the memory of a process that
 * is never stopped. It must not know what the model makes of it. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_H
#define POOLSCOPE_SOURCE_CPYTHON_H

#include "../fact.h"
#include "cpython_memory.h"
#include "symbols.h"

struct cpython;

/* Cheap: nothing is read yet. info: copied. */
int cpython_new(const struct fact_target *info, uint32_t target, const char *procfs,
		struct cpython **ret_cpython);
void cpython_free(struct cpython *cpython);
DEFINE_CLEANUP(struct cpython *, cpython_free)

/* One reading, unless the last ones cost more than `share` of a core's time since (0: always); a process in
 * which no CPython is found is looked at again ever more seldom. threads: all that live, as FACT_THREAD_SEEN
 * has them. Emits as cpython_walk_pass(). 0: also when nothing was read; -ENOMEM, or what the sink returned.
 */
int cpython_read(struct cpython *cpython, struct symbols *symbols, uint64_t now_ns, double share,
		 const struct fact_thread *threads, size_t n_threads, const struct fact_sink *sink);
/* CPU time of the last reading; 0: there was none. For the bench. */
uint64_t cpython_cost_ns(const struct cpython *cpython);
/* What was read so far. */
const struct memory_counts *cpython_memory(const struct cpython *cpython);

#endif
