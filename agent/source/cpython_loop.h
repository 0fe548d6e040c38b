/* SPDX-License-Identifier: GPL-2.0-only */
/* The event loops that threads run, and which executor each calls its default. It must not know how executors are
 * found, nor what they are called. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_LOOP_H
#define POOLSCOPE_SOURCE_CPYTHON_LOOP_H

#include "cpython_object.h"

/* The loop that runs in the thread, by its state's address. -EFAULT, -EINVAL, -ENOENT: none, or it cannot be read. */
int event_loop_running(const struct cpython_image *image, uint64_t thread, uint64_t *ret_loop);
/* False as well where it cannot be read. */
bool event_loop_has_default(const struct cpython_image *image, uint64_t loop, uint64_t executor);

#endif
