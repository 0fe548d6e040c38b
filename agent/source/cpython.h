/* SPDX-License-Identifier: GPL-2.0-only */
/* CPython from outside: executors, their workers and what each runs, read from the memory of a process that
 * is never stopped. It must not know what the model makes of it. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_H
#define POOLSCOPE_SOURCE_CPYTHON_H

#include "../fact.h"
#include "cpython_memory.h"
#include "poolscope/event.h"
#include "symbols.h"

struct cpython;

/* Cheap: nothing is read yet. info: copied. */
int cpython_new(const struct fact_target *info, uint32_t target, const char *procfs,
		struct cpython **ret_cpython);
void cpython_free(struct cpython *cpython);
DEFINE_CLEANUP(struct cpython *, cpython_free)

/* One reading: begin, add each thread that lives (as FACT_THREAD_SEEN has it), then read. begin is false when
 * none is due: the last ones cost more than `share` of a core's time since (0: always due), or no CPython was
 * found, which is looked for ever more seldom. read emits as cpython_walk_pass() does. 0: also when nothing
 * could be read; -ENOMEM, or what the sink returned. */
bool cpython_begin(struct cpython *cpython, uint64_t now_ns, double share);
int cpython_add(struct cpython *cpython, const struct fact_thread *thread);
int cpython_read(struct cpython *cpython, struct symbols *symbols, const struct fact_sink *sink);
/* A thread that was born since: the next reading will list it, cpython_function() can find it at once. */
int cpython_note_birth(struct cpython *cpython, const struct fact_thread *thread);
bool cpython_is_found(const struct cpython *cpython);
/* What one thread does now, as cpython_walk_function() has it. ret_cost_ns: CPU time, also of a failure. */
int cpython_function(struct cpython *cpython, struct thread_id id, struct fact_blame *ret_blame, uint64_t *ret_cost_ns);
/* What a thread did by the code objects that it stood in, as cpython_walk_codes() has it. */
int cpython_codes(struct cpython *cpython, const uint64_t *codes, size_t count, struct fact_blame *ret_blame);
/* Newborns that were noted get to be known before the next reading, if their interpreter has them already. */
void cpython_meet(struct cpython *cpython, uint64_t *ret_cost_ns);
/* Where an interpreter that was found has its threads' frames; and the threads' states, as far as they are news; whether
 * that thread's was told. */
bool cpython_layout(const struct cpython *cpython, struct python_layout *ret_layout);
void cpython_tell_anew(struct cpython *cpython); /* all of them are news again */
bool cpython_is_told(struct cpython *cpython, struct thread_id id);
/* The workers that the last reading told of, and whose they are (fact_executor.id), from *at on; false: no more. */
bool cpython_next_worker(const struct cpython *cpython, size_t *at, struct thread_id *ret_id, uint64_t *ret_executor);
bool cpython_next_thread(struct cpython *cpython, size_t *at, struct thread_id *ret_id, uint64_t *ret_address);
/* CPU time of the last reading; 0: there was none. For the bench. */
uint64_t cpython_cost_ns(const struct cpython *cpython);
/* What was read so far. */
const struct memory_counts *cpython_memory(const struct cpython *cpython);

#endif
