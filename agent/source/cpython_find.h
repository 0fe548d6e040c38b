/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a process keeps its CPython: the runtime's address, its types, its version, out of the symbols of the
 * executable or of libpython. It must not know what is read there. */
#ifndef POOLSCOPE_SOURCE_CPYTHON_FIND_H
#define POOLSCOPE_SOURCE_CPYTHON_FIND_H

#include "cpython_walk.h"
#include "symbols.h"

struct cpython_found {
	uint64_t runtime; /* _PyRuntime */
	uint64_t version; /* Py_Version (3.11 on); 0: there is none */
	struct cpython_types types;
};

/* -ENOENT: no CPython from 3.7 on is mapped. exe: path of the executable. */
int cpython_find(struct symbols *symbols, const char *exe, struct cpython_found *ret_found);
/* One from before 3.7 is mapped, which is not read: what it keeps of its threads stands in variables of their own. */
bool cpython_is_older(struct symbols *symbols, const char *exe);
#define CPYTHON_DESCRIPTION_BYTES 512 /* holds all words of which cpython_offsets tells the place */

/* The offsets that the runtime describes itself (3.13 on); where it says nothing, the table's: those of its version, or of
 * the newest that is known. -ENOENT: it does not describe itself; -EOPNOTSUPP: it is of a kind that is not known (without
 * the interpreter's lock). */
int cpython_described(const unsigned char *bytes, size_t length, struct cpython_offsets *ret_offsets);
/* How to call one of such a kind, in words that say that it is not read. */
void cpython_unread_name(const unsigned char description[CPYTHON_DESCRIPTION_BYTES], char *name, size_t size);
const struct cpython_offsets *cpython_offsets_of(uint32_t minor); /* NULL: none */

#endif
