/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the interval map share: its state, and the pieces they cut it into. It must not be
 * included by anything but range_map*.c. */
#ifndef POOLSCOPE_MODEL_RANGE_MAP_INSIDE_H
#define POOLSCOPE_MODEL_RANGE_MAP_INSIDE_H

#include "range_tree.h"

#include <errno.h>
#include <sys/mman.h>

#define RANGES_DEFAULT 262144U
/* The smallest page of the architectures poolscope builds for. */
#define PAGE 4096ULL
/* User space of every 64-bit architecture lies below (x86-64 with five levels: 2^56). */
#define USER_END (1ULL << 63)
/* HEAP_MAX_SIZE of 64-bit glibc (malloc/arena.c, 2.1 to 2.41): a thread heap is one such block, aligned. */
#define HEAP_BLOCK (64ULL << 20)
/* _STK_LIM (include/uapi/linux/resource.h): how far [stack] grows without any system call. */
#define STACK_LIMIT (8ULL << 20)

#define LIMBO_SETS 256
#define LIMBO_WAYS 4

/* What one thread freed last, until it is known whether the call succeeded. */
struct limbo {
	bool used;
	uint32_t caller;
	uint64_t start, end, time_ns;
	struct range_node *pieces; /* ascending, linked by `right`; they count against the bound */
};

struct range_map {
	struct range_tree tree;
	size_t count; /* ranges in the tree */
	size_t in_limbo; /* taken out of it, but kept */
	uint32_t max;
	uint64_t refused;

	uint64_t heap_end; /* after the last brk event, or as the first seed saw it; 0: not known */
	uint64_t heap_seed; /* the seed that told heap_end; 0: an event did */
	uint64_t heap_top; /* no byte of the heap lies above */

	uint64_t seed; /* number of the last seed */
	uint64_t seeded_ns; /* when it had been told; events before that may have been seen by it */
	bool unswept; /* what it did not see is still there */
	enum unattributed seed_reason;

	struct limbo limbo[LIMBO_SETS][LIMBO_WAYS];
};

static inline uint64_t page_up(uint64_t address)
{
	return (address + PAGE - 1) & ~(PAGE - 1);
}

static inline bool is_private_anonymous(uint32_t flags)
{
	return !(flags & (RANGE_FILE | RANGE_SHARED | RANGE_HUGETLB));
}

/* Seeded, and this event was made before the seed was read: it may be what made it. */
static inline bool is_provisional(const struct range *range, uint64_t time_ns)
{
	return range->owner == OWNER_NONE && range->provisional_until_ns > time_ns;
}

/* [start, start + length) in whole pages. -EINVAL: empty, unaligned, beyond user space. */
int range_bounds(uint64_t start, uint64_t length, uint64_t *ret_end);
/* Nobody's when the caller is not known. */
void range_charge(struct range *range, uint32_t caller);
/* The same, of what this very call made usable. */
void range_charge_growth(struct range *range, uint32_t caller);
void range_touch(struct range *range, uint64_t time_ns);
/* The part [start, end) of a range, with its share of the figures. */
struct range range_slice(const struct range *whole, uint64_t start, uint64_t end);

/* Makes both addresses borders, so that no range crosses them. -ENOSPC, -ENOMEM. */
int map_cut(struct range_map *map, uint64_t start, uint64_t end, uint64_t time_ns);
/* Takes the ranges that lie within out of the map: ascending, linked by `right`, still counted. */
struct range_node *map_take(struct range_map *map, uint64_t start, uint64_t end);
void map_drop(struct range_node *list);
size_t list_length(const struct range_node *list);
/* Into free space. -ENOSPC, -ENOMEM. */
int map_put(struct range_map *map, const struct range *range);
void map_put_node(struct range_map *map, struct range_node *node);
/* Into the gaps of [range->start, range->end) alone, with their share of the figures. */
int map_fill(struct range_map *map, const struct range *range);
/* Pieces that were taken out, where nothing stands by now; time_ns 0: they have not changed meanwhile. Frees the list. */
int map_put_back(struct range_map *map, struct range_node *list, uint64_t time_ns);
/* Cut, drop what was there, put. */
int map_place(struct range_map *map, const struct range *range, uint64_t time_ns);
/* The same, and joined; nothing to do when this very event was applied before. */
int map_make(struct range_map *map, const struct range *range);
/* Joins equal neighbours whose border lies in [start, end]. */
void map_join(struct range_map *map, uint64_t start, uint64_t end);

/* The thread's next event has come: the call before it had succeeded. */
void limbo_forget(struct range_map *map, uint32_t caller);
struct limbo *limbo_find(struct range_map *map, uint32_t caller);
void limbo_keep(struct range_map *map, uint32_t caller, uint64_t start, uint64_t end, uint64_t time_ns,
		struct range_node *pieces);
/* Empties the entry; its pieces are the caller's. */
struct range_node *limbo_take(struct range_map *map, struct limbo *limbo);
void limbo_forget_all(struct range_map *map);

#endif
