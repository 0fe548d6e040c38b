/* SPDX-License-Identifier: GPL-2.0-only */
/* What a walk keeps from pass to pass. For cpython_walk.c and cpython_ask.c alone. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_WALK_INTERNAL_H
#define POOLSCOPE_SOURCE_CPYTHON_WALK_INTERNAL_H

#include "cpython_code.h"
#include "cpython_executor.h"
#include "cpython_role.h"
#include "cpython_thread.h"
#include "cpython_walk.h"

#define ROUNDS 4U /* what changes while it is read is read again so often */

struct cpython_walk {
	struct cpython_site site;
	struct cpython_image image;
	struct memory_view *view;
	struct code_table *codes;
	struct py_threads threads;
	struct executors executors;
	struct process_role_state role;
	struct fact_runtime counts;
	uint32_t failures; /* of the last passes, in a row */
	uint32_t frames; /* of deep stacks, that the next pass may read */
};

/* The lists of threads anew, by few calls. */
int cpython_walk_list(struct cpython_walk *walk);

#endif
