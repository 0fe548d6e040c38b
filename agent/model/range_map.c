/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map's events: what a thread's mmap, munmap, mprotect and brk do to the ownership of
 * addresses (mremap: range_map_move.c). It must not know seeds and readings (range_map_seed.c). */
#include "range_map_inside.h"

int range_map_new(uint32_t max_ranges, struct range_map **ret_map)
{
	struct range_map *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	map->max = max_ranges ? max_ranges : RANGES_DEFAULT;
	*ret_map = map;
	return 0;
}

void range_map_free(struct range_map *map)
{
	if (!map)
		return;
	limbo_forget_all(map);
	map_drop(map_take(map, 0, UINT64_MAX));
	free(map);
}

static struct range range_from(const struct fact_range *fact, uint64_t end, uint32_t caller, uint64_t time_ns)
{
	struct range range = {
		.start = fact->start,
		.end = end,
		.owner = OWNER_NONE,
		.region = REGION_MMAP,
		.protection = fact->protection,
		.flags = fact->flags,
	};

	if (is_private_anonymous(fact->flags)) {
		range.usable = fact->protection & PROT_WRITE;
		if (range.usable)
			range_charge_growth(&range, caller);
	} else {
		range.reason = UNATTRIBUTED_IMAGE;
		range.usable = !(fact->flags & (RANGE_SHARED | RANGE_HUGETLB));
	}
	range_touch(&range, time_ns);
	return range;
}

/* The same event, applied before. */
static bool is_same(const struct range *there, const struct range *range)
{
	return there->start <= range->start && there->end >= range->end &&
	       there->changed_ns >= range->changed_ns && there->owner == range->owner &&
	       (there->owner != OWNER_NONE || there->reason == range->reason) &&
	       there->region == range->region && there->protection == range->protection &&
	       there->flags == range->flags && there->usable == range->usable && there->unproven == range->unproven &&
	       there->provisional_until_ns == range->provisional_until_ns;
}

int map_make(struct range_map *map, const struct range *range)
{
	struct range_node *there = range_tree_at(&map->tree, range->start);
	int r;

	if (there && is_same(&there->range, range)) {
		there->range.changed = true;
		return 0;
	}
	r = map_place(map, range, range->changed_ns);
	map_join(map, range->start, range->end);
	return r;
}

int range_map_made(struct range_map *map, const struct fact_range *fact, uint32_t caller, uint64_t time_ns)
{
	struct range range;
	uint64_t end;
	int r = range_bounds(fact->start, fact->length, &end);

	limbo_forget(map, caller);
	if (r < 0)
		return r;
	range = range_from(fact, end, caller, time_ns);
	return map_make(map, &range);
}

int range_map_freed(struct range_map *map, uint64_t start, uint64_t length, uint32_t caller, uint64_t time_ns)
{
	const struct limbo *limbo = limbo_find(map, caller);
	uint64_t end;
	int r = range_bounds(start, length, &end);

	if (r == 0 && limbo && limbo->start == start && limbo->end == end && limbo->time_ns == time_ns)
		return 0;
	limbo_forget(map, caller);
	if (r < 0)
		return r;
	/* Where the bound forbids a cut, the range keeps what was freed of it: the next reading finds that
	 * empty. */
	r = map_cut(map, start, end, time_ns);
	limbo_keep(map, caller, start, end, time_ns, map_take(map, start, end));
	return r;
}

int map_fill(struct range_map *map, const struct range *range)
{
	uint64_t at = range->start;
	int result = 0;

	while (at < range->end) {
		const struct range_node *other = range_tree_at(&map->tree, at);
		bool blocked = other && other->range.start < range->end;
		uint64_t stop = blocked ? other->range.start : range->end;

		if (at < stop) {
			struct range part = range_slice(range, at, stop);
			int r = map_put(map, &part);

			result = r < 0 ? r : result;
		}
		at = blocked ? other->range.end : range->end;
	}
	return result;
}

int map_put_back(struct range_map *map, struct range_node *list, uint64_t time_ns)
{
	int result = 0;

	while (list) {
		struct range_node *node = list;
		struct range range = node->range;
		int r;

		list = node->right;
		free(node); /* first: the bound has room for it again */
		range_touch(&range, time_ns);
		r = map_fill(map, &range);
		result = r < 0 ? r : result;
	}
	return result;
}

int range_map_free_failed(struct range_map *map, uint32_t caller, uint64_t time_ns)
{
	struct limbo *limbo = limbo_find(map, caller);
	uint64_t start, end;
	int result;

	if (!limbo)
		return 0;
	start = limbo->start;
	end = limbo->end;
	result = map_put_back(map, limbo_take(map, limbo), time_ns);
	map_join(map, start, end);
	return result;
}

/* glibc's new_heap reserves one aligned block and makes its head usable; grow_heap goes on from there. */
static enum region growth_region(const struct range_node *node, uint64_t start)
{
	const struct range *reservation = &node->range;
	const struct range_node *before = range_tree_previous(node);

	if (!(start % HEAP_BLOCK) && reservation->start == start && reservation->end == start + HEAP_BLOCK &&
	    (reservation->flags & RANGE_NORESERVE))
		return REGION_ARENA;
	if (reservation->start == start && before && before->range.end == start &&
	    before->range.region == REGION_ARENA && before->range.start / HEAP_BLOCK == start / HEAP_BLOCK)
		return REGION_ARENA;
	return REGION_MMAP;
}

/* What mprotect makes of one range, if it covered all of it. */
static struct range protected_range(const struct range_node *node, uint64_t start,
				    const struct fact_range *fact, uint32_t caller, uint64_t time_ns)
{
	struct range range = node->range;
	bool writable = fact->protection & PROT_WRITE;

	range.protection = fact->protection;
	if (!is_private_anonymous(range.flags))
		return range;
	if (range.usable) {
		if (writable && is_provisional(&range, time_ns))
			range_charge_growth(&range, caller);
		/* Whoever changed it, it was there: a later toggle makes nobody its maker. */
		if (range.provisional_until_ns > time_ns)
			range.provisional_until_ns = 0;
	} else if (writable) {
		range.usable = true;
		range.unproven = false;
		if (range.owner == OWNER_NONE) {
			range.region = growth_region(node, start);
			range_charge_growth(&range, caller);
		}
		range_touch(&range, time_ns);
	}
	return range;
}

/* Where the kernel stopped. Without a hole it failed for want of something (the most mappings that a process may have,
 * as a rule), and changes nothing then of the one mapping that the call is about. */
static uint64_t first_hole(const struct range_map *map, uint64_t start, uint64_t end)
{
	uint64_t at = start;

	while (at < end) {
		const struct range *range = range_map_find(map, at);

		if (!range)
			return at;
		at = range->end;
	}
	return start;
}

int range_map_protected(struct range_map *map, const struct fact_range *fact, uint32_t caller,
			uint64_t time_ns)
{
	struct range_node *node;
	uint64_t end, at;
	int r = range_bounds(fact->start, fact->length, &end), result = 0;

	limbo_forget(map, caller);
	if (r < 0)
		return r;
	if (fact->flags & RANGE_UP_TO_HOLE)
		end = first_hole(map, fact->start, end);
	for (at = fact->start;
	     at < end && (node = range_tree_at(&map->tree, at)) && node->range.start < end;) {
		uint64_t from = node->range.start > at ? node->range.start : at;
		uint64_t to = node->range.end < end ? node->range.end : end;
		struct range after = protected_range(node, from, fact, caller, time_ns);

		at = to;
		if (after.protection == node->range.protection && after.usable == node->range.usable &&
		    after.provisional_until_ns == node->range.provisional_until_ns)
			continue;
		r = map_cut(map, from, to, time_ns);
		if (r < 0) {
			result = r;
			continue;
		}
		node = range_tree_at(&map->tree, from);
		/* Cutting may have divided the figures. */
		after.start = from;
		after.end = to;
		after.resident = node->range.resident;
		after.swapped = node->range.swapped;
		after.changed |= node->range.changed;
		after.changed_ns = node->range.changed_ns > after.changed_ns ? node->range.changed_ns
									     : after.changed_ns;
		node->range = after;
	}
	map_join(map, fact->start, end);
	return result;
}

static void drop_heap_above(struct range_map *map, uint64_t address, uint64_t time_ns)
{
	struct range_node *node, *next;

	/* Where the bound forbids this cut, the heap keeps a part too much, which the next reading finds
	 * empty. */
	if (address >= map->heap_top || map_cut(map, address, map->heap_top, time_ns) < 0)
		return;
	for (node = range_tree_at(&map->tree, address); node && node->range.start < map->heap_top;
	     node = next) {
		next = range_tree_next(node);
		if (!(node->range.flags & RANGE_HEAP))
			continue;
		range_tree_remove(&map->tree, node);
		map->count--;
		free(node);
	}
}

/* Heap that keeps its owner; what a seed saw before this event was drained may be this event's. */
static const struct range *next_heap(const struct range_map *map, uint64_t from, uint64_t end,
				     uint64_t time_ns)
{
	const struct range_node *node = range_tree_at(&map->tree, from);

	for (; node && node->range.start < end; node = range_tree_next(node))
		if ((node->range.flags & RANGE_HEAP) && !is_provisional(&node->range, time_ns))
			return &node->range;
	return NULL;
}

int range_map_brk(struct range_map *map, uint64_t heap_start, uint64_t heap_end, uint32_t caller,
		  uint64_t time_ns)
{
	uint64_t start = page_up(heap_start), end = page_up(heap_end), at;
	struct range grown = {.region = REGION_HEAP,
			      .protection = PROT_READ | PROT_WRITE,
			      .flags = RANGE_ANON | RANGE_HEAP,
			      .usable = true};
	int result = 0;

	limbo_forget(map, caller);
	if (heap_start > heap_end || heap_end > USER_END)
		return -EINVAL;
	range_charge_growth(&grown, caller);
	range_touch(&grown, time_ns);
	drop_heap_above(map, end, time_ns);
	at = map->heap_end > start ? map->heap_end : start;
	map->heap_end = map->heap_top = end;
	map->heap_seed = 0;
	while (at < end) {
		const struct range *heap = next_heap(map, at, end, time_ns);
		uint64_t next = heap ? heap->end : end;

		grown.start = at;
		grown.end = heap ? heap->start : end;
		if (grown.start < grown.end) {
			int r = map_place(map, &grown, time_ns);

			result = r < 0 ? r : result;
		}
		at = next;
	}
	map_join(map, start, end);
	return result;
}

int range_map_stack(struct range_map *map, uint64_t start, uint64_t length, uint32_t owner, uint64_t time_ns)
{
	struct range fresh = {.owner = owner,
			      .reason = UNATTRIBUTED_LOST,
			      .region = REGION_STACK,
			      .protection = PROT_READ | PROT_WRITE,
			      .flags = RANGE_ANON | RANGE_STACK,
			      .usable = true};
	struct range_node *node;
	uint64_t end;
	int r;

	if (!length || start >= USER_END || length > USER_END - start)
		return -EINVAL;
	/* A stack in malloc's memory may share its first and last page with others. */
	end = (start + length) & ~(PAGE - 1);
	start = page_up(start);
	if (start >= end)
		return -EINVAL;
	node = range_tree_at(&map->tree, start);
	if (!node || node->range.start >= end) {
		fresh.start = start;
		fresh.end = end;
		range_touch(&fresh, time_ns);
		return map_put(map, &fresh);
	}
	r = map_cut(map, start, end, time_ns);
	if (r < 0)
		return r;
	for (node = range_tree_at(&map->tree, start); node && node->range.end <= end;
	     node = range_tree_next(node)) {
		struct range *range = &node->range;

		if (!is_private_anonymous(range->flags) ||
		    (range->owner == owner && range->region == REGION_STACK))
			continue;
		range->region = REGION_STACK;
		range_charge(range, owner);
		range_touch(range, time_ns);
	}
	map_join(map, start, end);
	return 0;
}

void range_map_blame(struct range_map *map, uint64_t start, uint64_t length, uint32_t owner, uint32_t blame)
{
	struct range_node *node;
	uint64_t end;

	/* Where the bound forbids a cut, it stays unseen. */
	if (owner == OWNER_NONE || range_bounds(start, length, &end) < 0)
		return;
	for (node = range_tree_at(&map->tree, start); node && node->range.start < end; node = range_tree_next(node)) {
		struct range *range = &node->range;
		uint64_t from = range->start > start ? range->start : start;

		if (range->owner != owner || range->blame != BLAME_UNSEEN || range->region == REGION_STACK ||
		    map_cut(map, from, range->end < end ? range->end : end, 0) < 0)
			continue;
		node = range_tree_at(&map->tree, from);
		node->range.blame = blame;
	}
	map_join(map, start, end);
}

const struct range *range_map_first(const struct range_map *map)
{
	return (const struct range *)range_tree_first(&map->tree);
}

const struct range *range_map_next(const struct range_map *map, const struct range *range)
{
	return (const struct range *)range_tree_next((const struct range_node *)range);
}

const struct range *range_map_find(const struct range_map *map, uint64_t address)
{
	const struct range_node *node = range_tree_at(&map->tree, address);

	return node && node->range.start <= address ? &node->range : NULL;
}

void range_map_reassign(struct range_map *map, uint32_t owner, uint32_t new_owner)
{
	struct range_node *node;

	for (node = range_tree_first(&map->tree); node; node = range_tree_next(node))
		if (node->range.owner == owner)
			node->range.owner = new_owner;
	for (size_t i = 0; i < LIMBO_SETS * LIMBO_WAYS; i++)
		for (node = map->limbo[i / LIMBO_WAYS][i % LIMBO_WAYS].pieces; node; node = node->right)
			if (node->range.owner == owner)
				node->range.owner = new_owner;
	map_join(map, 0, USER_END);
}

void range_map_owner_gone(struct range_map *map, uint32_t owner)
{
	limbo_forget(map, owner);
}

void range_map_each_in_limbo(const struct range_map *map,
			     void (*each)(void *context, const struct range *range), void *context)
{
	const struct range_node *node;

	for (size_t i = 0; map->in_limbo && i < LIMBO_SETS * LIMBO_WAYS; i++)
		for (node = map->limbo[i / LIMBO_WAYS][i % LIMBO_WAYS].pieces; node; node = node->right)
			each(context, &node->range);
}

size_t range_map_count(const struct range_map *map)
{
	return map->count;
}

uint64_t range_map_refused(const struct range_map *map)
{
	return map->refused;
}
