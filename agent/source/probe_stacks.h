/* SPDX-License-Identifier: GPL-2.0-only */
/* The last stacks that came, until somebody asks for them. It must not know what is in them. */
#ifndef POOLSCOPE_SOURCE_PROBE_STACKS_H
#define POOLSCOPE_SOURCE_PROBE_STACKS_H

#include "stack_copy.h"

/* The kernel sends 20 a second of each process; what nobody took for so many is forgotten. */
#define PROBE_STACKS_MAX 64

struct probe_stacks {
	struct kept_stack {
		uint32_t target; /* 0: free */
		struct stack_copy copy;
	} *kept; /* PROBE_STACKS_MAX; NULL: none came yet */
	uint32_t next; /* to be written */
	uint32_t count;
	uint32_t told; /* before this probe_stacks_came() has told of them */
};

void probe_stacks_clear(struct probe_stacks *stacks);
/* Of a checked record; one that contradicts itself is passed over. Without memory for the table there are none. */
void probe_stacks_keep(struct probe_stacks *stacks, uint32_t target, const struct event_stack *event);
/* Whose the next is that was not told of yet. False: there is none. */
bool probe_stacks_came(struct probe_stacks *stacks, uint32_t *ret_target);
/* Takes the newest of this thread, or with tid 0 the oldest of the target. */
bool probe_stacks_take(struct probe_stacks *stacks, uint32_t target, struct thread_id who, struct stack_copy *ret_copy);

#endif
