/* SPDX-License-Identifier: GPL-2.0-only */
/* One CPython as seen through a memory source: each pass turns what its threads do into facts. Pure but for
 * the source's reads. It must not know where the memory lies, nor how the runtime was found. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_WALK_H
#define POOLSCOPE_SOURCE_CPYTHON_WALK_H

#include "../fact.h"
#include "cpython_memory.h"
#include "cpython_object.h"
#include "poolscope/event.h"

struct cpython_walk;

/* A thread as the system lists it. */
struct listed_thread {
	struct thread_id id;
	uint64_t tls_base; /* 0: not known */
	bool is_leader;
};

struct cpython_site {
	uint64_t runtime; /* address of _PyRuntime */
	struct cpython_types types;
	bool same_pids; /* the target sees its threads by the numbers that the facts use */
};

int cpython_walk_new(const struct memory_source *source, const struct cpython_offsets *offsets,
		     const struct cpython_site *site, struct cpython_walk **ret_walk);
void cpython_walk_free(struct cpython_walk *walk);
DEFINE_CLEANUP(struct cpython_walk *, cpython_walk_free)

/* Do these offsets fit? True when there is a thread whose state and innermost frame prove themselves. */
bool cpython_walk_proves(struct cpython_walk *walk);
/* The version as sys.version begins: "3.9.18". After cpython_walk_proves(). -ENOENT: offsets say nothing of
 * it. */
int cpython_walk_version(struct cpython_walk *walk, char *ret_version, size_t size);
void cpython_walk_set_name(struct cpython_walk *walk, const char *name);
/* FACT_RUNTIME, FACT_EXECUTOR for each executor, FACT_WORKER for each thread of `threads` that is known to
 * Python and could be read. -EFAULT, -EINVAL: too much changed meanwhile; then executors that were known keep
 * what was told, until passes fail again and again: then they are told as unknown. */
int cpython_walk_pass(struct cpython_walk *walk, uint32_t target, uint64_t time_ns,
		      const struct listed_thread *threads, size_t n_threads, const struct fact_sink *sink);
/* The next pass asks anew what is else asked now and then, and leaves no thread to the one after it. */
void cpython_walk_ask_all(struct cpython_walk *walk);
/* What the thread does as of now, by its id among `threads`: function, file, the line where the function begins.
 * -ENODATA: nothing of its program's; -ENOENT: it is not known to Python, or runs none; -EFAULT, -EINVAL: too much changed meanwhile. */
int cpython_walk_function(struct cpython_walk *walk, const struct listed_thread *threads, size_t n_threads,
			  struct thread_id id, struct fact_blame *ret_blame);
/* The same of code objects that a thread stood in at some time, the innermost first. -EFAULT: one is gone. */
int cpython_walk_codes(struct cpython_walk *walk, const uint64_t *codes, size_t count, struct fact_blame *ret_blame);
/* Threads that have come since the last pass are found among those listed. */
void cpython_walk_meet(struct cpython_walk *walk, const struct listed_thread *threads, size_t n_threads);
/* Where its threads' frames are. */
void cpython_walk_layout(const struct cpython_walk *walk, struct python_layout *ret_layout);
/* The state of each thread that the last pass told for the first time, from *at on; false: no more. */
void cpython_walk_tell_anew(struct cpython_walk *walk);
bool cpython_walk_is_told(const struct cpython_walk *walk, struct thread_id id);
bool cpython_walk_next_thread(struct cpython_walk *walk, size_t *at, struct thread_id *ret_id, uint64_t *ret_address);
/* Of those of the last pass that are an executor's, from *at on. */
bool cpython_walk_next_worker(const struct cpython_walk *walk, size_t *at, struct thread_id *ret_id, uint64_t *ret_executor);
const struct fact_runtime *cpython_walk_counts(const struct cpython_walk *walk);
/* Calls and blocks read so far. */
const struct memory_counts *cpython_walk_memory(const struct cpython_walk *walk);

#endif
