/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map's carpentry: cutting, joining, taking out, putting in, and the limbo of what was freed
 * but may come back. It must not know what an event means. */
#include "range_map_inside.h"

int range_bounds(uint64_t start, uint64_t length, uint64_t *ret_end)
{
	if (!length || start % PAGE || start >= USER_END || length > USER_END - start)
		return -EINVAL;
	*ret_end = start + page_up(length);
	return 0;
}

void range_charge(struct range *range, uint32_t caller)
{
	range->owner = caller;
	if (caller == OWNER_NONE)
		range->reason = UNATTRIBUTED_LOST;
	range->provisional_until_ns = 0;
	range->blame = BLAME_NONE;
	range->held = false;
	range->base = 0;
}

void range_charge_growth(struct range *range, uint32_t caller)
{
	range_charge(range, caller);
	range->blame = caller == OWNER_NONE ? BLAME_NONE : BLAME_UNSEEN;
}

void range_touch(struct range *range, uint64_t time_ns)
{
	range->changed = true;
	if (time_ns > range->changed_ns)
		range->changed_ns = time_ns;
}

/* Rounded down to pages, but so that the rest has room, whoever told of half a page. */
static uint64_t share(uint64_t figure, uint64_t part, uint64_t whole)
{
	uint64_t rounded = (uint64_t)((unsigned __int128)figure * part / whole) & ~(PAGE - 1);
	uint64_t least = figure > whole - part ? figure - (whole - part) : 0;

	return rounded > least ? rounded : least;
}

/* Shortens `range` to [start, at) and fills the rest. */
static void range_split(struct range *range, uint64_t at, struct range *ret_rest)
{
	uint64_t whole = range->end - range->start, part = at - range->start;
	uint64_t resident = share(range->resident, part, whole), swapped = share(range->swapped, part, whole);

	*ret_rest = *range;
	ret_rest->start = range->end = at;
	ret_rest->resident -= resident;
	ret_rest->swapped -= swapped;
	range->resident = resident;
	range->swapped = swapped;
	/* In which part it was nobody knows any more: in either, as far as it has room. */
	range->base = range->base < part ? range->base : part;
	ret_rest->base = ret_rest->base < whole - part ? ret_rest->base : whole - part;
}

struct range range_slice(const struct range *whole, uint64_t start, uint64_t end)
{
	struct range slice = *whole, rest;

	if (end < slice.end)
		range_split(&slice, end, &rest);
	if (start <= slice.start)
		return slice;
	range_split(&slice, start, &rest);
	return rest;
}

static int node_new(struct range_map *map, struct range_node **ret_node)
{
	struct range_node *node;

	if (map->in_limbo && map->count + map->in_limbo >= map->max)
		limbo_forget_all(map);
	if (map->count + map->in_limbo >= map->max) {
		map->refused++;
		return -ENOSPC;
	}
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	*ret_node = node;
	return 0;
}

void map_put_node(struct range_map *map, struct range_node *node)
{
	range_tree_insert(&map->tree, node);
	map->count++;
}

int map_put(struct range_map *map, const struct range *range)
{
	struct range_node *node;
	int r = node_new(map, &node);

	if (r < 0)
		return r;
	node->range = *range;
	map_put_node(map, node);
	return 0;
}

static int split_at(struct range_map *map, uint64_t address, uint64_t time_ns)
{
	struct range_node *node = range_tree_at(&map->tree, address), *rest;
	int r;

	if (!node || node->range.start >= address)
		return 0;
	r = node_new(map, &rest);
	if (r < 0)
		return r;
	range_touch(&node->range, time_ns);
	range_split(&node->range, address, &rest->range);
	map_put_node(map, rest);
	return 0;
}

int map_cut(struct range_map *map, uint64_t start, uint64_t end, uint64_t time_ns)
{
	int r = split_at(map, start, time_ns);

	return r < 0 ? r : split_at(map, end, time_ns);
}

struct range_node *map_take(struct range_map *map, uint64_t start, uint64_t end)
{
	struct range_node *list = NULL, **tail = &list, *next;
	struct range_node *node = range_tree_at(&map->tree, start);

	if (node && node->range.start < start)
		node = range_tree_next(node);
	for (; node && node->range.end <= end; node = next) {
		next = range_tree_next(node);
		range_tree_remove(&map->tree, node);
		map->count--;
		*tail = node;
		tail = &node->right;
	}
	return list;
}

void map_drop(struct range_node *list)
{
	while (list) {
		struct range_node *node = list;

		list = node->right;
		free(node);
	}
}

int map_place(struct range_map *map, const struct range *range, uint64_t time_ns)
{
	int r = map_cut(map, range->start, range->end, time_ns);

	if (r < 0)
		return r;
	map_drop(map_take(map, range->start, range->end));
	return map_put(map, range);
}

/* Only inside one block: two reservations for thread heaps that touch must stay two, and a change in what
 * one thread mapped piece by piece must not make gigabytes be read again. */
static bool can_join(const struct range *a, const struct range *b)
{
	return a->end == b->start && a->start / HEAP_BLOCK == (b->end - 1) / HEAP_BLOCK &&
	       a->owner == b->owner && (a->owner != OWNER_NONE || a->reason == b->reason) &&
	       a->region == b->region && a->protection == b->protection && a->flags == b->flags && a->blame == b->blame &&
	       a->usable == b->usable && a->held == b->held && a->holder == b->holder && a->unproven == b->unproven &&
	       a->unseen == b->unseen &&
	       a->provisional_until_ns == b->provisional_until_ns;
}

/* A part that was never scanned is new, so empty: the other's reading holds for both. */
static uint64_t older_scan(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a | b;
	return a < b ? a : b;
}

void map_join(struct range_map *map, uint64_t start, uint64_t end)
{
	struct range_node *node = range_tree_at(&map->tree, start ? start - 1 : 0), *next;

	while (node && (next = range_tree_next(node)) && next->range.start <= end) {
		struct range *a = &node->range, *b = &next->range;

		if (!can_join(a, b)) {
			node = next;
			continue;
		}
		range_tree_remove(&map->tree, next);
		map->count--;
		a->end = b->end;
		a->resident += b->resident;
		a->base = a->base + b->base < a->end - a->start ? a->base + b->base : a->end - a->start;
		a->swapped += b->swapped;
		a->scanned_ns = older_scan(a->scanned_ns, b->scanned_ns);
		a->changed |= b->changed;
		a->changed_ns = a->changed_ns > b->changed_ns ? a->changed_ns : b->changed_ns;
		a->seen_seed = a->seen_seed > b->seen_seed ? a->seen_seed : b->seen_seed;
		free(next);
	}
}

size_t list_length(const struct range_node *list)
{
	size_t length = 0;

	for (; list; list = list->right)
		length++;
	return length;
}

struct range_node *limbo_take(struct range_map *map, struct limbo *limbo)
{
	struct range_node *pieces = limbo->pieces;

	map->in_limbo -= list_length(pieces);
	*limbo = (struct limbo){};
	return pieces;
}

struct limbo *limbo_find(struct range_map *map, uint32_t caller)
{
	struct limbo *set = map->limbo[caller % LIMBO_SETS];

	for (size_t i = 0; i < LIMBO_WAYS; i++)
		if (set[i].used && set[i].caller == caller)
			return &set[i];
	return NULL;
}

void limbo_forget(struct range_map *map, uint32_t caller)
{
	struct limbo *limbo = limbo_find(map, caller);

	if (limbo)
		map_drop(limbo_take(map, limbo));
}

void limbo_forget_all(struct range_map *map)
{
	for (size_t set = 0; set < LIMBO_SETS; set++)
		for (size_t way = 0; way < LIMBO_WAYS; way++)
			map_drop(limbo_take(map, &map->limbo[set][way]));
}

void limbo_keep(struct range_map *map, uint32_t caller, uint64_t start, uint64_t end, uint64_t time_ns,
		struct range_node *pieces)
{
	struct limbo *set = map->limbo[caller % LIMBO_SETS], *oldest = &set[0];

	/* A call is under way for microseconds: the oldest of four has long succeeded. */
	for (size_t i = 0; i < LIMBO_WAYS && oldest->used; i++)
		if (!set[i].used || set[i].time_ns < oldest->time_ns)
			oldest = &set[i];
	map_drop(limbo_take(map, oldest));
	*oldest = (struct limbo){.used = true,
				 .caller = caller,
				 .start = start,
				 .end = end,
				 .time_ns = time_ns,
				 .pieces = pieces};
	map->in_limbo += list_length(pieces);
}
