/* SPDX-License-Identifier: GPL-2.0-only */
/* Applies facts about address ranges: who made them, what a seed shows, what the page tables say.
 * It must not know the rules of ownership: they are the range map's. */
#include "model_inside.h"

#include <errno.h>

static uint32_t owner_of(const struct target *target, struct thread_id who)
{
	const struct thread *thread = who.tid ? threads_find(&target->threads, who) : NULL;

	return thread ? thread->owner : OWNER_NONE;
}

static int range_made(struct target *target, const struct fact_range *range, uint32_t owner, uint64_t time_ns)
{
	return range_map_made(target->ranges, range, owner, time_ns);
}

static int range_freed(struct target *target, const struct fact_range *range, uint32_t owner,
		       uint64_t time_ns)
{
	return range_map_freed(target->ranges, range->start, range->length, owner, time_ns);
}

static int range_free_failed(struct target *target, const struct fact_range *range, uint32_t owner,
			     uint64_t time_ns)
{
	return range_map_free_failed(target->ranges, owner, time_ns);
}

static int range_moved(struct target *target, const struct fact_range *range, uint32_t owner,
		       uint64_t time_ns)
{
	return range_map_moved(target->ranges, range, owner, time_ns);
}

static int range_protected(struct target *target, const struct fact_range *range, uint32_t owner,
			   uint64_t time_ns)
{
	return range_map_protected(target->ranges, range, owner, time_ns);
}

static int range_brk(struct target *target, const struct fact_range *range, uint32_t owner, uint64_t time_ns)
{
	if (range->start + range->length < range->start)
		return -EINVAL;
	return range_map_brk(target->ranges, range->start, range->start + range->length, owner, time_ns);
}

static int range_seen(struct target *target, const struct fact_range *range, uint32_t owner, uint64_t time_ns)
{
	int r = range_map_seen(target->ranges, range, time_ns);

	if (r == 0 && (range->flags & RANGE_STACK)) {
		target->stack_start = range->start;
		target->stack_length = range->length;
	}
	return r;
}

int apply_range(struct model *model, struct target *target, const struct fact *fact)
{
	static int (*const handlers[FACT_KIND_COUNT])(struct target *, const struct fact_range *, uint32_t,
						      uint64_t) = {
		[FACT_RANGE_MADE] = range_made,
		[FACT_RANGE_FREED] = range_freed,
		[FACT_RANGE_FREE_FAILED] = range_free_failed,
		[FACT_RANGE_MOVED] = range_moved,
		[FACT_RANGE_PROTECTED] = range_protected,
		[FACT_BRK] = range_brk,
		[FACT_RANGE_SEEN] = range_seen,
	};
	int r;

	given_back_note(target, fact);
	r = handlers[fact->kind](target, &fact->range, owner_of(target, fact->range.who), fact->time_ns);
	return r == -ENOSPC ? 0 : r; /* counted by the map */
}

/* What evidence finds was held before: it has not grown. */
int apply_range_owner(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->range.who);
	uint64_t resident, based, length;

	if (!fact->range.who.tid)
		return -EINVAL;
	if (!thread)
		return 0;
	based = range_map_based(target->ranges, fact->range.start, fact->range.length, &length);
	resident = range_map_claim(target->ranges, fact->range.start, fact->range.length, thread->owner,
				   fact->time_ns);
	if (target->whole) {
		const struct base held = {.resident = resident, .had = resident};

		base_add(&thread->base, &held);
		if (thread->pool != POOL_NONE)
			base_add(&target->pools.pool[thread->pool].base, &held);
	}
	target->base_left -= based < target->base_left ? based : target->base_left;
	return 0;
}

int apply_range_held(struct model *model, struct target *target, const struct fact *fact)
{
	const struct thread *thread = threads_find(&target->threads, fact->range.who);

	if (!fact->range.who.tid)
		return -EINVAL;
	if (thread)
		range_map_hold(target->ranges, fact->range.start, fact->range.length, thread->owner, fact->time_ns);
	return 0;
}

static bool has_ended(const void *context, uint32_t owner)
{
	const struct threads *threads = context;

	return owner < threads->n_owners && threads->owner[owner].thread == THREAD_NONE;
}

int apply_seed_begin(struct model *model, struct target *target, const struct fact *fact)
{
	static const enum unattributed reasons[] = {
		[SEED_ATTACH] = UNATTRIBUTED_BEFORE_ATTACH,
		[SEED_INHERITED] = UNATTRIBUTED_INHERITED,
		[SEED_LOST] = UNATTRIBUTED_LOST,
		[SEED_EXEC] = UNATTRIBUTED_IMAGE, /* what the exec itself maps beside files is the program's BSS */
	};
	enum seed_reason reason = fact->seed.reason;
	bool has_taken_back = false;

	_Static_assert(ARRAY_SIZE(reasons) == SEED_EXEC + 1, "a seed has no reason for unowned bytes");
	if ((size_t)reason >= ARRAY_SIZE(reasons))
		return -EINVAL;
	range_map_seed_begin(target->ranges, reasons[reason], reason == SEED_EXEC);
	if (reason == SEED_EXEC) /* what came after it may be told before it has been read */
		has_taken_back = target_exec(model, target, target->info.image_ns ? target->info.image_ns : fact->time_ns);
	if (reason == SEED_LOST) {
		/* It may have been unmapped, and what looks like it be another's. */
		range_map_leave_stacks(target->ranges, has_ended, &target->threads, fact->time_ns);
		target->reseeds++;
		model->reseeds++;
		target->reseed_ns = fact->time_ns;
		doubt_reseeded(&target->doubt);
	} else {
		target->seed_reason = reason; /* a reseed does not make the stack another's */
	}
	/* An exec's lists the leader alone: births of others may have been lost. */
	target->doubt.wants_reseed = reason == SEED_EXEC && (target->doubt.wants_reseed || has_taken_back);
	target->outside_streak = 0;
	return 0;
}

int apply_seed_end(struct model *model, struct target *target, const struct fact *fact)
{
	range_map_seed_end(target->ranges, fact->time_ns);
	leader_take_stack(target, fact->time_ns);
	return 0;
}

int apply_resident(struct model *model, struct target *target, const struct fact *fact)
{
	const struct fact_resident *reading = &fact->resident;

	if (!reading->outside && reading->resident > reading->length)
		return -EINVAL;
	target->read = true;
	if (reading->outside)
		target->outside |= reading->resident > 0;
	else
		(void)range_map_resident(target->ranges, reading, fact->time_ns);
	return 0;
}

int apply_arena(struct model *model, struct target *target, const struct fact *fact)
{
	const struct range *range;
	int r;

	if (fact->arena.is_main) {
		/* Only an arena whose top lies in what brk made owns that: other allocators use brk too. */
		range = range_map_find(target->ranges, fact->arena.heap);
		target->arenas.main = range && range->region == REGION_HEAP ? fact->arena.address : 0;
		return 0;
	}
	r = arenas_add(&target->arenas, fact->arena.heap, fact->arena.address);
	if (r == 0)
		range_map_heap(target->ranges, fact->arena.heap, HEAP_MAX_SIZE, fact->time_ns);
	return r;
}

int apply_arena_kept(struct model *model, struct target *target, const struct fact *fact)
{
	const struct arena_inside inside = {fact->arena.resident, fact->arena.kept, fact->arena.unread};
	int r = arenas_set_inside(&target->arenas, fact->arena.heap, fact->arena.is_main, inside);

	return r == -ENOENT ? 0 : r; /* its arena will be told */
}
