/* SPDX-License-Identifier: GPL-2.0-only */
/* The pages of a stack whose ends are no borders of pages. It must not know who told of it. */
#ifndef POOLSCOPE_SOURCE_STACK_PAGES_H
#define POOLSCOPE_SOURCE_STACK_PAGES_H

#include <stdint.h>

/* The thread's descriptor lies at the end: the page is its thread's, whole if glibc mapped the stack (the kernel rounds its
 * size up). A page that it begins within belongs to what ends there: of stacks side by side no page is two threads'.
 * Length 0: it has none. */
static inline void stack_pages(uint64_t page_size, uint64_t *start, uint64_t *length)
{
	uint64_t mask = page_size - 1, first, end;

	if (__builtin_add_overflow(*start, *length, &end) || __builtin_add_overflow(end, mask, &end) ||
	    __builtin_add_overflow(*start, mask, &first)) {
		*length = 0;
		return;
	}
	*start = first & ~mask;
	*length = (end & ~mask) - *start;
}

#endif
