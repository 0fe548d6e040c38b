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
	if (!stacks->kept || !target || !event->header.tid || event->header.flags > sizeof(event->stack) ||
	    event->n_codes > EVENT_CODES || event->header.doubled > EVENT_GROWTH_DOUBLED_MAX)
		return;
	kept = &stacks->kept[stacks->next++ % PROBE_STACKS_MAX];
	stacks->count += !kept->target;
	kept->target = target;
	kept->copy.who = (struct thread_id){.tid = event->header.tid, .start_ns = event->header.start_ns};
	kept->copy.time_ns = event->header.time_ns;
	stacks->newest_ns = event->header.time_ns;
	kept->copy.grown_start = event->grown_start;
	kept->copy.grown_length = event->grown_length;
	kept->copy.measure = (uint64_t)EVENT_GROWTH_BYTES << event->header.doubled;
	memcpy(kept->copy.registers, event->registers, sizeof(kept->copy.registers));
	kept->copy.is_python = event->is_python;
	kept->copy.n_codes = event->n_codes;
	kept->copy.size = event->header.flags;
	memcpy(kept->copy.bytes, event->stack, event->n_codes ? event->n_codes * sizeof(event->codes[0]) : event->header.flags);
}

static bool take(struct probe_stacks *stacks, struct kept_stack *kept, struct stack_copy *ret_copy)
{
	kept->target = 0;
	stacks->count--;
	*ret_copy = kept->copy;
	return true;
}

static bool is_of(const struct kept_stack *kept, const struct fact *fact)
{
	const struct stack_copy *copy = &kept->copy;

	return kept->target == fact->target && thread_id_equal(copy->who, fact->range.who) &&
	       fact->time_ns >= copy->time_ns && fact->time_ns - copy->time_ns <= PROBE_STACKS_CALL_NS &&
	       copy->grown_start >= fact->range.start && copy->grown_start - fact->range.start < fact->range.length;
}

bool probe_stacks_take_of(struct probe_stacks *stacks, const struct fact *fact, bool python_only, struct stack_copy *ret_copy)
{
	bool is_range = fact->kind == FACT_RANGE_MADE || fact->kind == FACT_RANGE_PROTECTED ||
			fact->kind == FACT_RANGE_MOVED || fact->kind == FACT_BRK;

	/* Most facts have no stack. */
	if (!is_range || !stacks->count || fact->time_ns + PROBE_STACKS_CALL_NS < stacks->newest_ns ||
	    fact->time_ns > stacks->newest_ns + PROBE_STACKS_CALL_NS)
		return false;
	for (uint32_t i = 0; i < PROBE_STACKS_MAX; i++) {
		if (is_of(&stacks->kept[i], fact) && (!python_only || stacks->kept[i].copy.n_codes))
			return take(stacks, &stacks->kept[i], ret_copy);
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
	return found && take(stacks, found, ret_copy);
}
