/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map's seeds (what /proc shows to be there) and readings of the page tables. It must not know
 * how either was read. */
#include "range_map_inside.h"

/* Until the seed's end tells its time, what it sees stays open to every event. */
#define OPEN UINT64_MAX

void range_map_seed_begin(struct range_map *map, enum unattributed reason, bool drop_all)
{
	if (drop_all) {
		limbo_forget_all(map);
		map_drop(map_take(map, 0, UINT64_MAX));
		map->heap_end = map->heap_seed = map->heap_top = 0;
	}
	map->seed++;
	map->seed_reason = reason;
}

void range_map_leave_stacks(struct range_map *map, bool (*has_ended)(const void *context, uint32_t owner), const void *context,
			    uint64_t time_ns)
{
	for (struct range_node *node = range_tree_first(&map->tree); node; node = range_tree_next(node)) {
		struct range *range = &node->range;

		if (range->region != REGION_STACK || range->flags & RANGE_STACK || range->owner == OWNER_NONE ||
		    !has_ended(context, range->owner))
			continue;
		range_charge(range, OWNER_NONE);
		range->region = REGION_MMAP;
		range_touch(range, time_ns);
	}
}

static struct range seeded_range(const struct range_map *map, const struct fact_range *fact, uint64_t start,
				 uint64_t end, uint64_t time_ns)
{
	struct range range = {
		.start = start,
		.end = end,
		.owner = OWNER_NONE,
		.reason = is_private_anonymous(fact->flags) ? map->seed_reason : UNATTRIBUTED_IMAGE,
		.region = fact->flags & RANGE_HEAP    ? REGION_HEAP
			  : fact->flags & RANGE_STACK ? REGION_STACK
						      : REGION_MMAP,
		.protection = fact->protection,
		.flags = fact->flags,
		.provisional_until_ns = OPEN,
		.seen_seed = map->seed,
	};

	/* Anonymous code and constants were written before they became read-only. */
	if (!(fact->flags & (RANGE_SHARED | RANGE_HUGETLB)))
		range.usable = fact->protection != PROT_NONE || (fact->flags & RANGE_FILE);
	range.unproven = !range.usable && is_private_anonymous(fact->flags);
	range_touch(&range, time_ns);
	return range;
}

/* What a seed can tell of a range that is known already. */
static void see_again(struct range_map *map, struct range *range, const struct fact_range *fact,
		      uint64_t time_ns)
{
	range->seen_seed = map->seed;
	range->protection = fact->protection;
	range->flags |= fact->flags;
	if (range->usable || !is_private_anonymous(range->flags))
		return;
	/* Without access it may have been usable for a while, between two events that were lost: its pages tell. */
	range->usable = fact->protection & PROT_WRITE;
	range->unproven = !range->usable;
	if (range->owner == OWNER_NONE) {
		range->reason = map->seed_reason;
		range->provisional_until_ns = OPEN;
	}
	range_touch(range, time_ns);
}

static bool same_kind(uint32_t a, uint32_t b)
{
	return !((a ^ b) & (RANGE_FILE | RANGE_SHARED | RANGE_HUGETLB));
}

/* [stack] grows downwards by itself: what is new of it belongs to whom the rest does. */
static void inherit_stack(const struct range_map *map, struct range *range)
{
	const struct range *above = range_map_find(map, range->end);

	if (!(range->flags & RANGE_STACK) || !above || above->region != REGION_STACK ||
	    above->owner == OWNER_NONE)
		return;
	range->region = REGION_STACK;
	range_charge(range, above->owner);
}

/* Events that are still to be drained go on from the end that the last event told, not from what is seen. */
static void see_heap(struct range_map *map, uint64_t end)
{
	if (end > map->heap_top)
		map->heap_top = end;
	if (map->heap_end && map->heap_seed != map->seed)
		return;
	map->heap_seed = map->seed;
	if (end > map->heap_end)
		map->heap_end = end;
}

int range_map_seen(struct range_map *map, const struct fact_range *fact, uint64_t time_ns)
{
	struct range_node *node;
	uint64_t start = fact->start, end, at;
	int r, result = 0;

	if (start >= USER_END) /* [vsyscall] */
		return 0;
	r = range_bounds(start, fact->length, &end);
	if (r < 0)
		return r;
	if (fact->flags & RANGE_STACK) {
		uint64_t lowest = end > STACK_LIMIT ? end - STACK_LIMIT : 0;

		for (node = range_tree_at(&map->tree, lowest); node && node->range.start < start;
		     node = range_tree_next(node))
			if (node->range.region != REGION_STACK)
				lowest = node->range.end < start ? node->range.end : start;
		start = lowest < start ? lowest : start;
	}
	if (fact->flags & RANGE_HEAP)
		see_heap(map, end);

	for (at = start; at < end;) {
		uint64_t stop = end;
		struct range fresh;

		r = 0;

		node = range_tree_at(&map->tree, at);
		if (node && node->range.start > at) {
			stop = node->range.start < end ? node->range.start : end;
			node = NULL;
		} else if (node) {
			stop = node->range.end < end ? node->range.end : end;
		}
		if (node && node->range.changed_ns > time_ns) {
			node->range.seen_seed = map->seed;
		} else if (node && same_kind(node->range.flags, fact->flags)) {
			r = map_cut(map, at, stop, time_ns);
			if (r == 0)
				see_again(map, &range_tree_at(&map->tree, at)->range, fact, time_ns);
			else
				node->range.seen_seed = map->seed;
		} else {
			fresh = seeded_range(map, fact, at, stop, time_ns);
			inherit_stack(map, &fresh);
			r = map_place(map, &fresh, time_ns);
		}
		result = r < 0 ? r : result;
		at = stop;
	}
	return result; /* joined at the seed's end, when what it did not see is gone */
}

/* A run of usable memory from the start of a block, then a reservation to the block's end: a thread heap of
 * glibc that was there before the agent, or grew while events were lost: what grew after a gap has an owner, but could
 * not be told from any other memory then. */
static void find_arena(struct range_node *first)
{
	uint64_t block_end = first->range.start + HEAP_BLOCK;
	struct range_node *node = first, *next;

	while (node->range.usable && is_private_anonymous(node->range.flags) &&
	       (next = range_tree_next(node)) && next->range.start == node->range.end &&
	       next->range.end <= block_end)
		node = next;
	if (node == first || node->range.usable || node->range.end != block_end)
		return;
	for (; first != node; first = range_tree_next(first))
		if (first->range.region == REGION_MMAP)
			first->range.region = REGION_ARENA;
}

static void find_arenas(struct range_map *map)
{
	for (struct range_node *node = range_tree_first(&map->tree); node; node = range_tree_next(node))
		if (!(node->range.start % HEAP_BLOCK))
			find_arena(node);
	map_join(map, 0, USER_END);
}

void range_map_seed_end(struct range_map *map, uint64_t time_ns)
{
	map->seeded_ns = time_ns;
	for (struct range_node *node = range_tree_first(&map->tree); node; node = range_tree_next(node)) {
		struct range *range = &node->range;

		if (range->provisional_until_ns == OPEN)
			range->provisional_until_ns = time_ns;
		range->unseen = range->seen_seed != map->seed && range->changed_ns <= time_ns;
		map->unswept |= range->unseen;
	}
	find_arenas(map);
}

void range_map_sweep(struct range_map *map)
{
	struct range_node *node, *next;

	if (!map->unswept)
		return;
	for (node = range_tree_first(&map->tree); node; node = next) {
		next = range_tree_next(node);
		if (!node->range.unseen)
			continue;
		range_tree_remove(&map->tree, node);
		map->count--;
		free(node);
	}
	map->unswept = false;
	find_arenas(map);
}

void range_map_heap(struct range_map *map, uint64_t start, uint64_t length, uint64_t time_ns)
{
	struct range_node *node;
	uint64_t end;

	if (range_bounds(start, length, &end) < 0 || map_cut(map, start, end, time_ns) < 0)
		return;
	for (node = range_tree_at(&map->tree, start); node && node->range.start < end; node = range_tree_next(node)) {
		struct range *range = &node->range;

		if (range->usable && range->region == REGION_MMAP && is_private_anonymous(range->flags))
			range->region = REGION_ARENA;
	}
	map_join(map, start, end);
}

uint64_t range_map_claim(struct range_map *map, uint64_t start, uint64_t length, uint32_t owner, uint64_t time_ns)
{
	struct range_node *node;
	uint64_t end, resident = 0;

	if (range_bounds(start, length, &end) < 0 || map_cut(map, start, end, time_ns) < 0)
		return 0;
	for (node = range_tree_at(&map->tree, start); node && node->range.start < end; node = range_tree_next(node)) {
		if (!range_is_claimable(&node->range))
			continue;
		range_charge(&node->range, owner);
		node->range.held = owner != OWNER_NONE;
		resident += node->range.scanned_ns ? node->range.resident : 0;
	}
	map_join(map, start, end);
	return resident;
}

void range_map_hold(struct range_map *map, uint64_t start, uint64_t length, uint32_t holder, uint64_t time_ns)
{
	struct range_node *node;
	uint64_t end;

	if (range_bounds(start, length, &end) < 0 || map_cut(map, start, end, time_ns) < 0)
		return;
	for (node = range_tree_at(&map->tree, start); node && node->range.start < end; node = range_tree_next(node))
		if (range_is_claimable(&node->range))
			node->range.holder = holder + 1;
	map_join(map, start, end);
}

static uint64_t overlap(const struct range *range, uint64_t start, uint64_t end)
{
	return (range->end < end ? range->end : end) - (range->start > start ? range->start : start);
}

uint64_t range_map_set_base(struct range_map *map)
{
	struct range_node *node;
	uint64_t bytes = 0;

	for (node = range_tree_first(&map->tree); node; node = range_tree_next(node)) {
		struct range *range = &node->range;

		if (range->owner != OWNER_NONE || !range_counts(range) || range->region != REGION_MMAP ||
		    !is_private_anonymous(range->flags) ||
		    (range->reason != UNATTRIBUTED_BEFORE_ATTACH && range->reason != UNATTRIBUTED_INHERITED))
			continue;
		range->base = range->resident;
		bytes += range_based(range);
	}
	return bytes;
}

uint64_t range_map_based(const struct range_map *map, uint64_t start, uint64_t length, uint64_t *ret_length)
{
	const struct range_node *node;
	uint64_t end, bytes = 0;

	*ret_length = 0;
	if (range_bounds(start, length, &end) < 0)
		return 0;
	for (node = range_tree_at(&map->tree, start); node && node->range.start < end; node = range_tree_next(node)) {
		struct range part = range_slice(&node->range, start > node->range.start ? start : node->range.start, end);

		if (part.owner != OWNER_NONE || !part.base)
			continue;
		*ret_length += part.end - part.start;
		bytes += range_based(&part);
	}
	return bytes;
}

/* Takes this range's part, by length, out of what the reading still has to give. */
static uint64_t portion(uint64_t *left, uint64_t part, uint64_t parts_left)
{
	uint64_t figure = part == parts_left
				  ? *left
				  : (uint64_t)((unsigned __int128)*left * part / parts_left) & ~(PAGE - 1);

	figure = figure < part ? figure : part;
	*left -= figure;
	return figure;
}

uint64_t range_map_resident(struct range_map *map, const struct fact_resident *fact, uint64_t time_ns)
{
	uint64_t start = fact->start, end, resident = fact->resident, swapped = fact->swapped, total = 0;
	struct range_node *first, *node;

	if (fact->outside || start >= USER_END || fact->length > USER_END - start)
		return fact->resident;
	end = start + fact->length;
	first = range_tree_at(&map->tree, start);
	for (node = first; node && node->range.start < end; node = range_tree_next(node))
		if (range_counts(&node->range))
			total += overlap(&node->range, start, end);
	for (node = first; node && node->range.start < end; node = range_tree_next(node)) {
		struct range *range = &node->range;
		uint64_t part = overlap(range, start, end), length = range->end - range->start, here, out;

		if (!range_counts(range))
			continue;
		here = portion(&resident, part, total);
		out = portion(&swapped, part, total);
		total -= part;
		if (range->changed_ns > time_ns || range->scanned_ns > time_ns)
			continue;
		/* Of a range that the span covers in part, the rest keeps its share of the former figure. */
		range->resident = here +
				  (uint64_t)((unsigned __int128)range->resident * (length - part) / length);
		range->swapped = out +
				 (uint64_t)((unsigned __int128)range->swapped * (length - part) / length);
		range->scanned_ns = time_ns;
		/* A share is a guess until this very range is read. */
		range->changed = range->start != start || range->end != end;
		if (here || out)
			range->usable = true;
		if (!range->changed)
			range->unproven = false;
	}
	return resident;
}
