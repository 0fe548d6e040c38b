/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel copied of a thread's registers and stack when it was seen to grow. It must not know how it came, nor
 * what is found in it. */
#ifndef POOLSCOPE_SOURCE_STACK_COPY_H
#define POOLSCOPE_SOURCE_STACK_COPY_H

#include "../fact.h"
#include "poolscope/event.h"

struct stack_copy {
	struct thread_id who;
	uint64_t time_ns;
	uint64_t grown_start, grown_length; /* what the call made usable */
	uint64_t measure; /* bytes: a call of as many is looked at for itself, what less is by chance, in proportion to it */
	uint64_t registers[EVENT_REGISTERS];
	bool is_python; /* the kernel knew the thread's interpreter state */
	uint32_t n_codes; /* not 0: codes[] says what it did in Python, and no stack was copied */
	uint32_t size; /* of bytes[], which stood at the stack pointer */
	union {
		uint64_t codes[EVENT_CODES];
		unsigned char bytes[EVENT_STACK_BYTES];
	};
};

#endif
