/* SPDX-License-Identifier: GPL-2.0-only */
/* The last stacks that came, until somebody asks for them. It must not know what is in them. */
#ifndef POOLSCOPE_SOURCE_PROBE_STACKS_H
#define POOLSCOPE_SOURCE_PROBE_STACKS_H

#include "stack_copy.h"

/* The kernel sends 50 a second of each process; what nobody took for so many is forgotten. */
#define PROBE_STACKS_MAX 64
/* From a stack to the record of its call, however slow the machine is; of a record that was lost no other is taken for it. */
#define PROBE_STACKS_CALL_NS (50 * NSEC_PER_MSEC)

struct probe_stacks {
	struct kept_stack {
		uint32_t target; /* 0: free */
		struct stack_copy copy;
	} *kept; /* PROBE_STACKS_MAX; NULL: none came yet */
	uint32_t next; /* to be written */
	uint32_t count;
	uint64_t newest_ns;
};

void probe_stacks_clear(struct probe_stacks *stacks);
/* Of a checked record; one that contradicts itself is passed over. Without memory for the table there are none. */
void probe_stacks_keep(struct probe_stacks *stacks, uint32_t target, const struct event_stack *event);
/* Takes that of the call which this fact tells: its record comes at once after the stack's. python_only: if it is one. */
bool probe_stacks_take_of(struct probe_stacks *stacks, const struct fact *fact, bool python_only, struct stack_copy *ret_copy);
/* Takes the newest of this thread, or with tid 0 the oldest of the target. */
bool probe_stacks_take(struct probe_stacks *stacks, uint32_t target, struct thread_id who, struct stack_copy *ret_copy);

#endif
