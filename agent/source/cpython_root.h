/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python thread is, by its outermost frames: whose worker, or a thread with a function of its own. It
 * must not know what an executor holds. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_ROOT_H
#define POOLSCOPE_SOURCE_CPYTHON_ROOT_H

#include "cpython_thread.h"

/* For all threads that are not told yet: walks their frames outwards level by level, and tells those whose
 * frames prove themselves. The others are tried again in the next pass. */
int py_threads_tell_roots(struct py_threads *threads, const struct cpython_image *image,
			  struct code_table *codes);
/* The loop that the thread runs, by its frame of run_forever. -ENOENT. */
int py_thread_loop(const struct py_thread *thread, const struct cpython_image *image,
		   struct code_table *codes, uint64_t *ret_loop);

#endif
