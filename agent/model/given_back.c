/* SPDX-License-Identifier: GPL-2.0-only */
/* Who gives memory back that was there before anybody looked, or maps over it, is taken to have held it then: who makes
 * such memory anew, piece by piece, has not grown. It must not know whose memory is what. */
#include "model_inside.h"

static void give_back(struct target *target, struct thread *thread, uint64_t bytes)
{
	thread->base.given_back += bytes;
	if (thread->pool != POOL_NONE)
		target->pools.pool[thread->pool].base.given_back += bytes;
}

int64_t base_net_grown(const struct base *base, uint64_t made)
{
	int64_t grown = (int64_t)(made - base->had), given_back = (int64_t)base->given_back;

	/* Who frees what others made has not shrunk by it: that was never told as its own. */
	if (grown <= 0 || given_back <= 0)
		return grown;
	return grown > given_back ? grown - given_back : 0;
}

/* A call that frees is told at its entry, and may fail, or move what it frees. */
static bool has_stayed(const struct fact *fact)
{
	const struct fact_range *range = &fact->range;

	return fact->kind == FACT_RANGE_FREE_FAILED ||
	       (fact->kind == FACT_RANGE_MOVED && (range->start != range->old_start || range->length >= range->old_length));
}

void given_back_note(struct target *target, const struct fact *fact)
{
	const struct fact_range *range = &fact->range;
	struct thread *thread = target->had_base && range->who.tid ? threads_find(&target->threads, range->who) : NULL;
	uint64_t length = 0;

	if (!thread)
		return;
	if (has_stayed(fact)) {
		thread->gave_back -= thread->gave_back_last;
		give_back(target, thread, -thread->settled_last);
	}
	thread->gave_back_last = thread->settled_last = 0;
	if (fact->kind == FACT_RANGE_FREED || fact->kind == FACT_RANGE_MADE ||
	    (fact->kind == FACT_RANGE_MOVED && range->start != range->old_start))
		(void)range_map_based(target->ranges, range->start, range->length, &length);
	thread->gave_back += length;
	if (fact->kind == FACT_RANGE_FREED)
		thread->gave_back_last = length;
}

/* By how much they freed, and never more than that: what a trim gives back is nobody's. */
static uint64_t share_of(uint64_t gave_back, uint64_t gone, uint64_t all)
{
	uint64_t share = all ? (uint64_t)((unsigned __int128)gone * gave_back / all) : 0;

	return share < gave_back ? share : gave_back;
}

void given_back_settle(struct target *target, uint64_t based)
{
	uint64_t gone = based < target->base_left ? target->base_left - based : 0, all = 0;

	for (uint32_t i = 0; i < target->threads.n_slots; i++)
		all += target->threads.thread[i].living ? target->threads.thread[i].gave_back : 0;
	for (uint32_t i = 0; i < target->pools.count; i++)
		all += target->pools.pool[i].gave_back;
	for (uint32_t i = 0; i < target->threads.n_slots && all; i++) {
		struct thread *thread = &target->threads.thread[i];

		if (!thread->living || !thread->gave_back)
			continue;
		uint64_t share = share_of(thread->gave_back, gone, all);

		give_back(target, thread, share);
		thread->settled_last = share_of(thread->gave_back_last, share, thread->gave_back);
		thread->gave_back = thread->gave_back_last = 0;
	}
	for (uint32_t i = 0; i < target->pools.count && all; i++) {
		struct pool *pool = &target->pools.pool[i];

		pool->base.given_back += share_of(pool->gave_back, gone, all);
		pool->gave_back = 0;
	}
	target->base_left = based;
	target->had_base |= based > 0;
}
