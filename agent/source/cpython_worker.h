/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose worker a thread is, by the function that takes tasks. It must not know how that function was found, nor what an
 * executor holds. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_WORKER_H
#define POOLSCOPE_SOURCE_CPYTHON_WORKER_H

#include "cpython_thread.h"

/* The function that may take tasks: by its frame, or, where that is out of reach, by what its Thread has it called with. */
struct worker_call {
	struct code_info *code;
	uint64_t frame; /* 0: not known */
	uint64_t arguments; /* a tuple; 0: none, or not known */
};

/* root->object is the thread's. -ENOENT: the function takes no tasks; -EFAULT, -EINVAL. */
int worker_tell(const struct cpython_image *image, const struct worker_call *call, struct root *root);
/* What Thread.run() of that Thread calls, or a run() of its own class. -ENOENT: neither is a function of Python's. */
int worker_call_given(const struct cpython_image *image, struct code_table *codes, uint64_t object,
		      struct worker_call *ret_call);

#endif
