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
		r = map_fill(map, &left);
		result = r < 0 ? r : result;
	}
	return result;
}

/* Puts the moved ranges down, shifted, and cut off at the new end. */
static void put_moved(struct range_map *map, struct range_node *list, uint64_t shift, uint64_t end,
		      uint64_t time_ns)
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
		range->provisional_until_ns = 0;
		range->unseen = false;
		range_touch(range, time_ns);
		map_put_node(map, node);
	}
}

/* Whatever stands where bytes of unknown origin arrived is stale, unless a seed saw them there. */
static void drop_settled(struct range_map *map, uint64_t start, uint64_t end, uint64_t time_ns)
{
	struct range_node *node, *next;

	for (node = range_tree_at(&map->tree, start); node && node->range.end <= end; node = next) {
		next = range_tree_next(node);
		if (is_provisional(&node->range, time_ns))
			continue;
		range_tree_remove(&map->tree, node);
		map->count--;
		free(node);
	}
}

/* Several mappings may be moved in one call, with the gaps between them (mm/mremap.c, remap_move(), since Linux 6.17): the first
 * begins where the call does, and what stands at the place of a gap stays. Older kernels refuse that. What becomes shorter where
 * it is may have gaps with every kernel: of that only the tail is looked at. */
static bool may_have_gaps(const struct range_map *map, const struct range_node *list, const struct fact_range *fact,
			  uint64_t time_ns)
{
	bool is_as_long = page_up(fact->length) == page_up(fact->old_length);

	return list && list->range.start == fact->old_start && time_ns > map->seeded_ns &&
	       (is_as_long || fact->start == fact->old_start);
}

/* -ENOSPC, -ENOMEM: it cannot be cut. */
static int drop_under(struct range_map *map, const struct range_node *list, uint64_t shift, uint64_t time_ns)
{
	int r = 0;

	for (; list && r == 0; list = list->right) {
		uint64_t start = list->range.start + shift, end = list->range.end + shift;

		r = map_cut(map, start, end, time_ns);
		if (r == 0)
			map_drop(map_take(map, start, end));
	}
	return r;
}

/* What mremap adds to a range is like it, but the caller's. */
static struct range range_added(const struct range *like, uint64_t start, uint64_t end, uint32_t caller,
				uint64_t time_ns)
{
	struct range added = {
		.start = start,
		.end = end,
		.owner = OWNER_NONE,
		.reason = like->owner == OWNER_NONE ? like->reason : UNATTRIBUTED_LOST, /* an owned range's own means nothing */
		.region = REGION_MMAP,
		.protection = like->protection,
		.flags = like->flags & ~RANGE_HEAP,
		.usable = like->usable,
	};

	if (added.usable && is_private_anonymous(added.flags))
		range_charge_growth(&added, caller);
	range_touch(&added, time_ns);
	return added;
}

/* From the limbo, if the source was reported at the call's entry, else from where it is still mapped. false:
 * the event was applied before. */
static bool take_source(struct range_map *map, uint64_t old_start, uint64_t old_end, uint64_t start,
			uint64_t end, uint32_t caller, uint64_t time_ns, struct range_node **ret_list)
{
	struct limbo *limbo = limbo_find(map, caller);
	const struct range *there = range_map_find(map, start);
	bool shrinks = start == old_start && end < old_end;

	if (limbo && limbo->start == old_start && limbo->end == old_end) {
		*ret_list = limbo_take(map, limbo);
		return true;
	}
	/* Shrinking in place frees the tail alone: at entry, so that another thread may have it by now. */
	if (shrinks && limbo && limbo->start == end && limbo->end == old_end)
		old_end = end;
	limbo_forget(map, caller);
	if (there && there->changed_ns >= time_ns && !is_provisional(there, time_ns))
		return false;
	/* Where the bound forbids a cut, what crosses the border stays behind, and counts as not known. */
	map_cut(map, old_start, old_end, time_ns);
	*ret_list = map_take(map, old_start, old_end);
	return true;
}

/* What a seed saw at the source after this move was done came there since: out of the list, into another. (A seed takes
 * a while: what it read before the move, this takes along.) */
static struct range_node *take_seen_since(struct range_node **list, uint64_t time_ns)
{
	struct range_node *seen = NULL;

	while (*list) {
		struct range_node *node = *list;

		if (!is_provisional(&node->range, time_ns) || node->range.changed_ns <= time_ns) {
			list = &node->right;
			continue;
		}
		*list = node->right;
		node->right = seen;
		seen = node;
	}
	return seen;
}

static int keep_error(int first, int then)
{
	return first < 0 ? first : then;
}

int range_map_moved(struct range_map *map, const struct fact_range *fact, uint32_t caller, uint64_t time_ns)
{
	uint64_t start = fact->start, old_start = fact->old_start, end, old_end = 0, kept_end;
	/* No flags: it may be of a file, or shared, and is read with care. */
	struct range unknown = {.region = REGION_MMAP, .protection = PROT_READ | PROT_WRITE, .usable = true},
		     like = unknown;
	const struct range *there;
	struct range_node *list, *seen;
	bool has_gaps = false;
	size_t held;
	int r = range_bounds(start, fact->length, &end), result = 0;

	if (r == 0 && fact->old_length)
		r = range_bounds(old_start, fact->old_length, &old_end);
	/* The kernel refuses a destination that overlaps the source. */
	if (r == 0 && fact->old_length && start != old_start && start < old_end && old_start < end)
		r = -EINVAL;
	if (r < 0 || !fact->old_length) {
		limbo_forget(map, caller);
		return r < 0 ? r : map_duplicate(map, fact, end, time_ns);
	}
	if (!take_source(map, old_start, old_end, start, end, caller, time_ns, &list))
		return 0;
	seen = take_seen_since(&list, time_ns);
	kept_end = old_end - old_start < end - start ? start + (old_end - old_start) : end;
	there = range_map_find(map, kept_end);
	if (there && is_provisional(there, time_ns))
		like = *there; /* a seed saw the outcome */
	for (const struct range_node *node = list; node; node = node->right)
		like = node->range;

	/* In hand, these count against the bound as those in limbo do. */
	held = list_length(list) + list_length(seen);
	map->in_limbo += held;
	r = map_cut(map, start, kept_end, time_ns);
	if (r == 0 && (fact->flags & RANGE_DONTUNMAP) && start != old_start)
		result = leave_empty(map, list, time_ns);
	map->in_limbo -= held;
	if (r < 0) {
		map_drop(list);
		map_drop(seen);
		return r;
	}
	if (may_have_gaps(map, list, fact, time_ns))
		has_gaps = drop_under(map, list, start - old_start, time_ns) == 0;
	if (!list)
		drop_settled(map, start, kept_end, time_ns);
	else if (!has_gaps)
		map_drop(map_take(map, start, kept_end));
	put_moved(map, list, start - old_start, kept_end, time_ns);
	result = keep_error(result, map_put_back(map, seen, 0));

	unknown.start = start;
	unknown.end = kept_end;
	range_charge(&unknown, OWNER_NONE);
	range_touch(&unknown, time_ns);
	if (!has_gaps)
		result = keep_error(result, map_fill(map, &unknown));
	if (kept_end < end) {
		struct range added = range_added(&like, kept_end, end, caller, time_ns);

		result = keep_error(result, map_make(map, &added));
	}
	map_join(map, old_start, old_end);
	map_join(map, start, end);
	return result;
}
