/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map's mremap: moved bytes keep their owner, added bytes are the caller's. It must not know
 * any other event. */
#include "range_map_inside.h"

/* mremap of a shared mapping with length 0 makes a second one of the same pages. */
static int map_duplicate(struct range_map *map, const struct fact_range *fact, uint64_t end, uint64_t time_ns)
{
	const struct range *source = range_map_find(map, fact->old_start);
	struct range range = {
		.start = fact->start,
		.end = end,
		.owner = OWNER_NONE,
		.reason = UNATTRIBUTED_IMAGE,
		.region = REGION_MMAP,
		.protection = source ? source->protection : PROT_READ | PROT_WRITE,
		.flags = source ? source->flags | RANGE_SHARED : RANGE_SHARED,
	};

	range_touch(&range, time_ns);
	return map_make(map, &range);
}

/* Leaves an empty copy of each range where it was (MREMAP_DONTUNMAP). */
static int leave_empty(struct range_map *map, const struct range_node *list, uint64_t time_ns)
{
	int result = 0;

	for (; list; list = list->right) {
		struct range left = list->range;
		int r;

		left.resident = left.swapped = 0;
		range_touch(&left, time_ns);
		r = map_put(map, &left);
		result = r < 0 ? r : result;
	}
	return result;
}

/* Puts the moved ranges down, shifted, and cut off at the new end. */
static void put_moved(struct range_map *map, struct range_node *list, uint64_t shift, uint64_t end, uint64_t time_ns)
{
	while (list) {
		struct range_node *node = list;
		struct range *range = &node->range;

		list = node->right;
		range->start += shift;
		range->end += shift;
		if (range->start >= end) {
			free(node);
			continue;
		}
		*range = range_slice(range, range->start, end);
		if (shift && (range->flags & RANGE_HEAP)) {
			range->flags &= ~RANGE_HEAP;
			range->region = REGION_MMAP;
		}
		range_touch(range, time_ns);
		map_put_node(map, node);
	}
}

/* Where moved bytes came from is not known: a seed has seen them here already, or events were lost. */
static int put_unknown(struct range_map *map, const struct range *like, uint64_t end, uint64_t time_ns)
{
	const struct range *there = range_map_find(map, like->start);
	struct range range = *like;

	if (there && is_provisional(there, time_ns))
		return 0;
	range.end = end;
	range_charge(&range, OWNER_NONE);
	range_touch(&range, time_ns);
	return map_place(map, &range, time_ns);
}

/* What mremap adds to a range is like it, but the caller's. */
static struct range range_added(const struct range *like, uint64_t start, uint64_t end, uint32_t caller,
				uint64_t time_ns)
{
	struct range added = {
		.start = start,
		.end = end,
		.owner = OWNER_NONE,
		.reason = like->reason,
		.region = REGION_MMAP,
		.protection = like->protection,
		.flags = like->flags & ~RANGE_HEAP,
		.usable = like->usable,
	};

	if (added.usable && is_private_anonymous(added.flags))
		range_charge(&added, caller);
	range_touch(&added, time_ns);
	return added;
}

int range_map_moved(struct range_map *map, const struct fact_range *fact, uint32_t caller, uint64_t time_ns)
{
	uint64_t start = fact->start, old_start = fact->old_start, end, old_end, kept_end;
	struct range like = { .start = start, .protection = PROT_READ | PROT_WRITE, .flags = RANGE_ANON,
			      .region = REGION_MMAP, .usable = true };
	const struct range *there = range_map_find(map, start);
	struct limbo *limbo = limbo_find(map, caller);
	struct range_node *list;
	size_t held;
	int r = range_bounds(start, fact->length, &end), left_r = 0;

	if (r == 0 && !fact->old_length)
		return map_duplicate(map, fact, end, time_ns);
	if (r == 0)
		r = range_bounds(old_start, fact->old_length, &old_end);
	if (r < 0) {
		limbo_forget(map, caller);
		return r;
	}
	if (limbo && limbo->start == old_start && limbo->end == old_end) {
		list = limbo_take(map, limbo);
	} else {
		limbo_forget(map, caller);
		if (there && there->changed_ns >= time_ns && !is_provisional(there, time_ns))
			return 0; /* applied before */
		r = map_cut(map, old_start, old_end, time_ns);
		if (r < 0)
			return r;
		list = map_take(map, old_start, old_end);
	}
	for (const struct range_node *node = list; node; node = node->right)
		like = node->range;
	/* In hand, these count against the bound as those in limbo do. */
	held = list_length(list);
	map->in_limbo += held;
	r = map_cut(map, start, end, time_ns);
	if (r == 0 && (fact->flags & RANGE_DONTUNMAP) && start != old_start)
		left_r = leave_empty(map, list, time_ns);
	map->in_limbo -= held;
	if (r < 0) {
		map_drop(list);
		return r;
	}
	kept_end = old_end - old_start < end - start ? start + (old_end - old_start) : end;
	if (list) {
		map_drop(map_take(map, start, end));
		put_moved(map, list, start - old_start, end, time_ns);
	} else {
		r = put_unknown(map, &like, kept_end, time_ns);
	}
	if (kept_end < end) {
		struct range added = range_added(&like, kept_end, end, caller, time_ns);
		int added_r = map_make(map, &added);

		r = added_r < 0 ? added_r : r;
	}
	map_join(map, old_start, old_end);
	map_join(map, start, end);
	return left_r < 0 ? left_r : r;
}
