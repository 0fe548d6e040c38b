/* SPDX-License-Identifier: GPL-2.0-only */
/* The Thread objects of the threads that run, by threading's own table. It must not know frames, nor what the objects
 * are asked for. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_ACTIVE_H
#define POOLSCOPE_SOURCE_CPYTHON_ACTIVE_H

#include "cpython_object.h"

#define ACTIVE_TABLES_MAX 64U /* as many interpreters as are read */

struct active_thread {
	uint64_t interp, pthread, object;
};

/* Starts zeroed. Where a table stands is kept, what is in it until the next active_begin(). */
struct active_threads {
	struct active_table {
		uint64_t interp, dict;
		bool is_read;
		int error; /* of reading it */
	} table[ACTIVE_TABLES_MAX];
	size_t n_tables;
	struct active_thread *thread; /* by interpreter and pthread_self(), ascending */
	size_t count, capacity;
};

void active_clear(struct active_threads *active);
/* What was read is to be read anew. */
void active_begin(struct active_threads *active);
/* The globals of a function of threading.py, if one was met: its table is found without the interpreter's modules. */
void active_hint(struct active_threads *active, const struct cpython_image *image, uint64_t interp, uint64_t globals);
/* 0: that is said to be its Thread, which must prove it; -ENOENT: the table has none for it. -EFAULT, -EINVAL, -ENOMEM:
 * the table could not be read. */
int active_find(struct active_threads *active, const struct cpython_image *image, uint64_t interp, uint64_t pthread,
		uint64_t *ret_object);

#endif
