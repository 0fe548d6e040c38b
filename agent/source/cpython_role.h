/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python process is there for among its like, by the functions that its main thread stands in. It must not know
 * executors, nor who the parent is. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_ROLE_H
#define POOLSCOPE_SOURCE_CPYTHON_ROLE_H

#include "cpython_thread.h"

/* Starts zeroed. */
struct process_role_state {
	enum process_role role;
	uint64_t unique; /* of the main thread that said so */
	uint64_t next_ns, spacing_ns; /* when to ask again */
};

/* leader: NULL: not known in this pass. A role stays what it was while nothing else is told. */
void process_role_tell(struct process_role_state *state, const struct py_thread *leader,
		       const struct cpython_image *image, struct code_table *codes, uint64_t now_ns);

#endif
