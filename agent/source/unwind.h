/* SPDX-License-Identifier: GPL-2.0-only */
/* Which function asked a C library or an allocator for memory, from a copy of the thread's registers and stack. It must
 * not know pools, nor how the copy came. */
#ifndef POOLSCOPE_SOURCE_UNWIND_H
#define POOLSCOPE_SOURCE_UNWIND_H

#include "stack_copy.h"
#include "symbols.h"

/* function: its symbol, else module+0xOFFSET of the call; file: the module; line 0. -ENOENT: it cannot be told for
 * certain; or what symbols_resolve() says. */
int unwind_caller(struct symbols *symbols, const struct stack_copy *stack, struct fact_blame *ret_blame);

#endif
