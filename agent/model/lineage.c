/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pool made which: by the creators of threads, as births tell them or as certain evidence shows them.
 * It must not know how pools are named. */
#include "model_inside.h"

/* ---- creators of threads that were there before ------------------------------------------------------ */

struct stack {
	uint64_t start, end;
	uint32_t thread;
};

static int compare_stacks(const void *a, const void *b)
{
	return compare_u64(((const struct stack *)a)->start, ((const struct stack *)b)->start);
}

/* Once, when its routine is known. */
static bool wants_creator(struct target *target, struct thread *thread)
{
	if (!thread->living || thread->creator.tid || thread->creator_sought || thread->routine == ROUTINE_NONE)
		return false;
	thread->creator_sought = true;
	return thread->start_argument && thread_has_creators_argument(target, thread);
}

static uint32_t stacks_fill(const struct target *target, struct stack *stacks)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		const struct thread *thread = &target->threads.thread[i];
		uint64_t start = thread->leader ? target->stack_start : thread->stack_start;
		uint64_t length = thread->leader ? target->stack_length : thread->stack_length;

		if (thread->living && length)
			stacks[count++] = (struct stack){start, start + length, i};
	}
	qsort(stacks, count, sizeof(*stacks), compare_stacks);
	return count;
}

static const struct stack *stack_find(const struct stack *stacks, uint32_t count, uint64_t address)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (stacks[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && stacks[low].start <= address ? &stacks[low] : NULL;
}

/* Certainly: a start that /proc has truncated may have been up to a tick later. */
static bool began_before(const struct thread *first, const struct thread *second)
{
	uint64_t latest = first->id.start_ns;

	if (latest % NSEC_PER_TICK == 0)
		latest += NSEC_PER_TICK - 1;
	return first->id.start_ns && latest < second->id.start_ns;
}

/* Such a thread's argument lay on the stack of the thread that made it. Whoever lives on that stack since before the
 * thread began is the one: a later user of the stack began after it. */
void target_find_creators(struct target *target)
{
	struct threads *threads = &target->threads;
	_cleanup_(freep) struct stack *stacks = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];
		const struct stack *stack;

		if (!wants_creator(target, thread))
			continue;
		if (!stacks) {
			stacks = calloc(threads->n_slots, sizeof(*stacks));
			if (!stacks)
				return;
			count = stacks_fill(target, stacks);
		}
		stack = stack_find(stacks, count, thread->start_argument);
		if (stack && stack->thread != i && began_before(&threads->thread[stack->thread], thread))
			thread->creator = threads->thread[stack->thread].id;
	}
}

/* ---- pools ------------------------------------------------------------------------------------------- */

/* What the members of one pool say together. */
struct ancestry {
	uint32_t parent; /* POOL_NONE: nobody named one yet */
	bool is_unknown, is_mixed, has_members;
};

static void ancestry_add(struct ancestry *ancestry, uint32_t pool, uint32_t maker)
{
	ancestry->has_members = true;
	if (maker == POOL_NONE)
		ancestry->is_unknown = true;
	else if (maker == pool)
		return; /* one that its like has made says nothing of where they come from */
	else if (ancestry->parent == POOL_NONE)
		ancestry->parent = maker;
	else
		ancestry->is_mixed |= ancestry->parent != maker;
}

void pool_note_maker(struct target *target, uint32_t index, uint32_t makers_pool)
{
	struct pools *pools = &target->pools;
	struct pool *pool = &pools->pool[index];

	target->has_teams |= pool->is_makers_own;
	if (!pool->is_makers_own || pool->parent != POOL_NONE || makers_pool == POOL_NONE || makers_pool == index ||
	    pool_is_nobodys_parent(&pools->pool[makers_pool]))
		return;
	pool->parent = makers_pool;
	pool->parent_number = pools->pool[makers_pool].number;
}

void thread_note_maker_at_end(struct target *target, const struct thread *thread)
{
	const struct thread *maker = threads_find(&target->threads, thread->creator);
	struct pool *pool = &target->pools.pool[thread->pool];
	uint32_t number;

	/* Where its maker's pool is open still, or its like made it, it says nothing. */
	if (!maker || maker->pool == POOL_NONE || maker->is_unread || maker->pool == thread->pool)
		return;
	number = target->pools.pool[maker->pool].number;
	pool->has_ended_makers |= pool->ended_maker && pool->ended_maker != number;
	pool->ended_maker = number;
}

/* Those that have ended may have been made by others than those that live. */
static bool has_several_makers(const struct pools *pools, const struct pool *pool, uint32_t parent)
{
	return pool->has_ended_makers ||
	       (pool->ended_maker && parent != POOL_NONE && pools->pool[parent].number != pool->ended_maker);
}

static void settle_parents(struct target *target, const struct ancestry *ancestry)
{
	const struct thread *leader = threads_find_tid(&target->threads, target->info.pid);
	struct pools *pools = &target->pools;

	for (uint32_t i = 0; i < pools->count; i++) {
		struct pool *pool = &pools->pool[i];
		uint32_t parent = ancestry[i].parent;

		if (!ancestry[i].has_members) { /* emptied: what it was stays */
			if (pool->parent != POOL_NONE && pools->pool[pool->parent].number != pool->parent_number)
				pool->parent = POOL_NONE;
			continue;
		}
		if (ancestry[i].is_unknown || ancestry[i].is_mixed || has_several_makers(pools, pool, parent) ||
		    (leader && parent == leader->pool) ||
		    (parent != POOL_NONE && pool_is_nobodys_parent(&pools->pool[parent])))
			parent = POOL_NONE;
		pool->parent = parent;
		pool->parent_number = parent != POOL_NONE ? pools->pool[parent].number : 0;
	}
}

/* Pools whose threads make each other's have no first one. */
static void break_circles(struct pools *pools)
{
	for (uint32_t i = 0; i < pools->count; i++) {
		uint32_t above = pools->pool[i].parent;

		for (uint32_t steps = 0; above != POOL_NONE && above != i && steps < pools->count; steps++)
			above = pools->pool[above].parent;
		if (above != POOL_NONE)
			pools->pool[i].parent = POOL_NONE;
	}
}

/* A thread, while the teams of one pool are counted. */
struct kin {
	uint32_t above;   /* who made it, or somebody further up; itself: it is not of the pool */
	uint32_t helpers; /* of a maker outside the pool: what it has, directly or through those */
};

/* The maker outside the pool. Threads that are said to have made each other have none: one of the pool. */
static uint32_t kin_top(struct kin *kin, uint32_t count, uint32_t at)
{
	for (uint32_t steps = 0; kin[at].above != at && steps < count; steps++) {
		/* Halves the way for those who come after: a nest may be as deep as there are threads. */
		kin[at].above = kin[kin[at].above].above;
		at = kin[at].above;
	}
	return at;
}

/* A team for each thread outside the pool that made one, with all that is within: helpers that have teams themselves are
 * in the same pool. kin: room for each thread. Where a maker has ended and its threads have not, they may be in another's
 * team by now (libomp hands them on): how many teams there are is not known. */
static void figure_teams(struct target *target, uint32_t index, struct kin *kin)
{
	const struct threads *threads = &target->threads;
	struct pool *pool = &target->pools.pool[index];

	for (uint32_t i = 0; i < threads->n_slots; i++)
		kin[i] = (struct kin){.above = i};
	pool->has_teams_within = false;
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		const struct thread *thread = &threads->thread[i], *creator;

		if (!thread->living || thread->pool != index)
			continue;
		creator = threads_find(threads, thread->creator);
		if (!creator)
			return;
		kin[i].above = thread_index(threads, creator);
		pool->has_teams_within |= creator->pool == index;
	}
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		uint32_t top;

		if (!threads->thread[i].living || threads->thread[i].pool != index)
			continue;
		top = kin_top(kin, threads->n_slots, i);
		if (threads->thread[top].pool == index)
			return;
		kin[top].helpers++;
	}
	pool->teams = pool->team_threads = 0;
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		pool->teams += kin[i].helpers > 0;
		if (kin[i].helpers > pool->team_threads)
			pool->team_threads = kin[i].helpers;
	}
	if (pool->team_threads > pool->team_threads_peak)
		pool->team_threads_peak = pool->team_threads;
}

void target_figure_lineage(struct target *target)
{
	struct threads *threads = &target->threads;
	struct pools *pools = &target->pools;
	_cleanup_(freep) struct ancestry *ancestry = calloc(pools->count + 1, sizeof(*ancestry));
	_cleanup_(freep) struct kin *kin = NULL;

	if (!ancestry)
		return;
	for (uint32_t i = 0; i < pools->count; i++)
		ancestry[i].parent = POOL_NONE;
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];

		if (thread->living && thread->pool != POOL_NONE)
			ancestry_add(&ancestry[thread->pool], thread->pool, thread_makers_pool(target, thread));
	}
	settle_parents(target, ancestry);
	break_circles(pools);
	for (uint32_t i = 0; i < pools->count; i++) {
		struct pool *pool = &pools->pool[i];

		pool->teams = pool->team_threads = UNKNOWN_U64;
		if (!pool->is_teams || !ancestry[i].has_members || ancestry[i].is_unknown)
			continue;
		if (!kin)
			kin = calloc(threads->n_slots, sizeof(*kin));
		if (kin)
			figure_teams(target, i, kin);
	}
}
