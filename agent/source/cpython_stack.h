/* SPDX-License-Identifier: GPL-2.0-only */
/* Which function of a Python thread's stack is at work, seen from its program. It must not know why that is asked. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_STACK_H
#define POOLSCOPE_SOURCE_CPYTHON_STACK_H

#include "cpython_thread.h"

/* The innermost function of the program itself; else of a package. Good until the next pass. -ENODATA: there is none, as
 * in a worker that waits for its next task; -ENOENT: the thread runs no Python; -EFAULT, -EINVAL: torn. */
int stack_function(struct py_thread *thread, const struct cpython_image *image, struct code_table *codes,
		   const struct code_info **ret_code);

/* The same of code objects that a thread stood in, the innermost first, 0: none. -EFAULT: one is gone. */
int codes_function(const uint64_t *codes, size_t count, const struct cpython_image *image, struct code_table *table,
		   const struct code_info **ret_code);

#endif
