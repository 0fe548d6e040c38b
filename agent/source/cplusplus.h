/* SPDX-License-Identifier: GPL-2.0-only */
/* What a thread of libstdc++'s std::thread runs: all of them have one start routine, and what they were given stands in the
 * object that is its argument. Read with process_vm_readv, without symbols. It must not know pools. */
#ifndef POOLSCOPE_SOURCE_CPLUSPLUS_H
#define POOLSCOPE_SOURCE_CPLUSPLUS_H

#include "symbols.h"

/* The classes of a target's state objects, by the address of their functions. Starts zeroed; cplusplus_clear() at exec, too. */
struct cplusplus {
	struct cplusplus_class *classes;
	size_t count;
};

void cplusplus_clear(struct cplusplus *known);

/* Is this start routine that of every std::thread? */
bool cplusplus_is_thread(const struct fact_routine *routine);
/* `argument`: of the start routine of the living thread `tid`. A function, or a method that is not virtual, is told by
 * *ret_address; of an object (a lambda, a functor) *ret_address is 0, and its type, and the module that made it, is in
 * *ret_routine. -ENOENT: there is no such object, or it cannot be told for certain; -ESRCH: the thread is gone. */
int cplusplus_callable(struct cplusplus *known, uint32_t pid, const char *procfs, struct symbols *symbols, uint32_t tid,
		       uint64_t argument, uint64_t *ret_address, struct fact_routine *ret_routine);

#endif
