/* SPDX-License-Identifier: GPL-2.0-only */
/* Which function asked a C library or an allocator for memory, and in which functions a thread stands, from a copy of its
 * registers and stack. It must not know pools, nor how the copy came. */
#ifndef POOLSCOPE_SOURCE_UNWIND_H
#define POOLSCOPE_SOURCE_UNWIND_H

#include "stack_copy.h"
#include "symbols.h"

/* function: its symbol, else module+0xOFFSET of the call; file: the module; line 0. -ENOENT: it cannot be told for
 * certain; or what symbols_resolve() says. */
int unwind_caller(struct symbols *symbols, const struct stack_copy *stack, struct fact_blame *ret_blame);

/* A thread's stack as far as it is known: `bytes` stood at the stack pointer. */
struct unwind_stack {
	const uint64_t *registers; /* EVENT_REGISTERS of them */
	const unsigned char *bytes;
	size_t size;
};

/* From where the thread stands outwards, `each` with every function, until it returns false. 0: it did, or the outermost
 * was reached; -ENODATA: further out more of the stack is needed; -ENOENT: it cannot be told for certain; or what symbols_resolve() says. */
int unwind_each(struct symbols *symbols, const struct unwind_stack *stack,
		bool (*each)(void *context, const struct fact_routine *frame), void *context);

#endif
