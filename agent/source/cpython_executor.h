/* SPDX-License-Identifier: GPL-2.0-only */
/* The executors of a Python process: which instance each thread works for, its figures, and who is busy. It
 * must not know how facts travel. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_EXECUTOR_H
#define POOLSCOPE_SOURCE_CPYTHON_EXECUTOR_H

#include "cpython_thread.h"

struct executor {
	uint64_t identity; /* the object that is this instance's alone; 0: threads of one function or name */
	uint64_t path; /* of that function's file, as code_info.path */
	uint64_t reference; /* by which a worker reaches the executor's object; as of this pass */
	uint64_t worker_frame; /* of one of its workers; 0: out of reach, of all of them */
	uint64_t object; /* ThreadPoolExecutor: found once; 0: not found yet */
	uint64_t limiter; /* anyio: likewise */
	uint64_t oldest; /* the smallest number of a worker: executors are in order of their first */
	bool in_use;
	bool goes_on; /* one of its workers is of the last pass, or it is seen for the first time */
	bool has_other_queue; /* not the queue of C code: idle workers have frames in it */
	bool is_named; /* the name was read from its object, or told by its workers' once that was gone */
	bool is_hidden; /* not told yet: its object was not readable so far, which may be a matter of moments
			 */
	uint64_t since_ns; /* when its first worker that was seen began */
	struct fact_executor fact;
};

/* Instances keep their place; a place whose executor is gone is free. */
struct executors {
	struct executor *executor;
	uint32_t count, capacity;
	uint64_t last_id;
};

void executors_clear(struct executors *executors);
/* Puts every thread to its executor and reads all figures. One without workers has fact.gone set, and its
 * place is free at the next call. */
void executors_update(struct executors *executors, struct py_threads *threads,
		      const struct cpython_image *image, struct code_table *codes);

/* cpython_figures.c: name, bound and queue from the executor's own object; UNKNOWN_U64 where unreadable. */
void executor_read(const struct cpython_image *image, struct executor *executor);
/* "ThreadPoolExecutor-N": nobody has named it. */
bool executor_has_default_name(const struct executor *executor);
/* The capacity limiter of the event loop that this worker of anyio's belongs to. worker_frame: 0: out of reach. */
int anyio_limiter(const struct cpython_image *image, uint64_t worker_frame, uint64_t worker,
		  uint64_t *ret_limiter);

/* cpython_activity.c: busy or idle, for each thread that has been located. */
void workers_tell_activity(struct py_threads *threads, const struct executors *executors,
			   const struct cpython_image *image, struct code_table *codes);

#endif
