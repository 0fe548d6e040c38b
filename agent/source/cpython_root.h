/* SPDX-License-Identifier: GPL-2.0-only */
/* What a Python thread is, by its outermost frames: whose worker, or a thread with a function of its own. It
 * must not know what an executor holds. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_ROOT_H
#define POOLSCOPE_SOURCE_CPYTHON_ROOT_H

#include "cpython_thread.h"

/* Of deep stacks so many frames are read in a pass; what is asked once reads all, as long as an attack does not make it
 * many times as many. One that is begun is read to its end. */
#define FRAMES_PASS FRAMES_MAX
#define FRAMES_ONCE (32 * FRAMES_MAX)

/* For all threads that are not told yet: walks their frames outwards level by level, of deep stacks `frames` of them, and
 * tells those whose frames prove themselves. The others are tried again in the next pass. */
int py_threads_tell_roots(struct py_threads *threads, const struct cpython_image *image,
			  struct code_table *codes, uint32_t frames);

#endif
