/* SPDX-License-Identifier: GPL-2.0-only */
/* A ring of stacks: the oldest gives way. It must not know what is in them. */
#include "probe_stacks.h"

#include <string.h>

void probe_stacks_clear(struct probe_stacks *stacks)
{
	free(stacks->kept);
	*stacks = (struct probe_stacks){0};
}

void probe_stacks_keep(struct probe_stacks *stacks, uint32_t target, const struct event_stack *event)
{
	struct kept_stack *kept;

	if (!stacks->kept)
		stacks->kept = calloc(PROBE_STACKS_MAX, sizeof(*stacks->kept));
	if (!stacks->kept || !target || !event->header.tid || event->header.flags > sizeof(event->stack))
		return;
	kept = &stacks->kept[stacks->next++ % PROBE_STACKS_MAX];
	stacks->count += !kept->target;
	kept->target = target;
	kept->copy.who = (struct thread_id){.tid = event->header.tid, .start_ns = event->header.start_ns};
	kept->copy.time_ns = event->header.time_ns;
	kept->copy.grown_start = event->grown_start;
	kept->copy.grown_length = event->grown_length;
	memcpy(kept->copy.registers, event->registers, sizeof(kept->copy.registers));
	kept->copy.size = event->header.flags;
	memcpy(kept->copy.bytes, event->stack, event->header.flags);
}

bool probe_stacks_came(struct probe_stacks *stacks, uint32_t *ret_target)
{
	if (stacks->next - stacks->told > PROBE_STACKS_MAX)
		stacks->told = stacks->next - PROBE_STACKS_MAX;
	while (stacks->told != stacks->next) {
		uint32_t target = stacks->kept[stacks->told++ % PROBE_STACKS_MAX].target;

		if (!target) /* taken meanwhile */
			continue;
		*ret_target = target;
		return true;
	}
	return false;
}

bool probe_stacks_take(struct probe_stacks *stacks, uint32_t target, struct thread_id who, struct stack_copy *ret_copy)
{
	struct kept_stack *found = NULL;

	for (uint32_t i = 0; stacks->count && i < PROBE_STACKS_MAX; i++) {
		struct kept_stack *kept = &stacks->kept[(stacks->next + i) % PROBE_STACKS_MAX];

		if (kept->target != target || (who.tid && !thread_id_equal(kept->copy.who, who)))
			continue;
		found = kept;
		if (!who.tid)
			break;
	}
	if (!found)
		return false;
	found->target = 0;
	stacks->count--;
	*ret_copy = found->copy;
	return true;
}
