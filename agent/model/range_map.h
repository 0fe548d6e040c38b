/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map of one address space: which range of addresses belongs to which thread, and
 * what is resident in it. Implements DESIGN.md's rules 1, 2, 4 and 6 on addresses. It must not know
 * threads beyond an opaque owner number, nor pools, nor where facts come from. */
#ifndef POOLSCOPE_MODEL_RANGE_MAP_H
#define POOLSCOPE_MODEL_RANGE_MAP_H

#include "snapshot.h"

/* Who a range belongs to: an index that the caller gives to a thread (kept after its death), or
 * OWNER_NONE with a reason. */
#define OWNER_NONE UINT32_MAX

/* Under which function a range was made; the caller numbers functions from BLAME_FIRST on. */
enum { BLAME_NONE, /* nobody saw it being made */
       BLAME_UNSEEN, /* made by a thread that was not asked what it did */
       BLAME_OTHER, BLAME_FIRST };

/* One range: disjoint from all others. */
struct range {
	uint64_t start, end;
	uint32_t owner; /* OWNER_NONE: `reason` says why */
	enum unattributed reason;
	enum region region;
	uint32_t protection, flags; /* PROT_*, enum range_flag */
	uint32_t blame;
	bool usable; /* was made writable once; else a bare reservation */
	bool held; /* its owner holds it alone; who made it was not seen */
	uint32_t holder; /* of what is nobody's: the owner number of who alone knew it at the attach, + 1; 0: none */
	bool unproven; /* seeded without access: the first reading tells if it was usable */
	bool unseen; /* the last seed did not see it: the sweep drops it where it stands */
	bool changed; /* since the last residency reading */
	uint64_t changed_ns; /* boottime of the last mapping event: older readings are void */
	uint64_t provisional_until_ns; /* seeded: events older than this may still charge it; 0: settled */
	uint64_t resident, swapped; /* bytes; valid when scanned_ns != 0 (what was added since is empty) */
	uint64_t base; /* of what is nobody's: bytes that were resident at the attach, at most */
	uint64_t scanned_ns;
	uint64_t seen_seed; /* number of the seed that saw it last */
};

/* Can it hold pages that count? Only such ranges are worth a reading; the sums need usable ones alone. */
static inline bool range_counts(const struct range *range)
{
	return !(range->flags & (RANGE_SHARED | RANGE_HUGETLB)) && (range->usable || range->unproven);
}

/* Was it there before anybody saw who made it, so that evidence may say? (`image`, though no file: of an exec's seed.) */
static inline bool range_is_claimable(const struct range *range)
{
	return range->owner == OWNER_NONE && range->usable && range->region == REGION_MMAP &&
	       (range->reason == UNATTRIBUTED_BEFORE_ATTACH || range->reason == UNATTRIBUTED_IMAGE) &&
	       !(range->flags & (RANGE_FILE | RANGE_SHARED | RANGE_HUGETLB));
}

struct range_map;

/* max_ranges 0: 262,144. */
int range_map_new(uint32_t max_ranges, struct range_map **ret_map);
void range_map_free(struct range_map *map);
DEFINE_CLEANUP(struct range_map *, range_map_free)

/* All take boottime `time_ns`. 0, or -ENOSPC (bound reached: counted, map unchanged beyond the part
 * that fits), or -ENOMEM, or -EINVAL (empty, unaligned, beyond user space). `caller` is the owner number
 * of the thread that made the call (OWNER_NONE: not known; then the reason is `lost`). Lengths are rounded
 * up to pages, as the kernel does. The same event a second time changes nothing but `changed`. */
int range_map_made(struct range_map *map, const struct fact_range *fact, uint32_t caller, uint64_t time_ns);
int range_map_freed(struct range_map *map, uint64_t start, uint64_t length, uint32_t caller,
		    uint64_t time_ns);
/* The last freed range of this caller is there again (what was not overlapped meanwhile). */
int range_map_free_failed(struct range_map *map, uint32_t caller, uint64_t time_ns);
int range_map_moved(struct range_map *map, const struct fact_range *fact, uint32_t caller, uint64_t time_ns);
int range_map_protected(struct range_map *map, const struct fact_range *fact, uint32_t caller,
			uint64_t time_ns);
/* heap_start == heap_end: no heap. */
int range_map_brk(struct range_map *map, uint64_t heap_start, uint64_t heap_end, uint32_t caller,
		  uint64_t time_ns);
/* A birth takes its stack over, whoever owned it: the whole pages of the range, the guard among them
 * (which stays unusable). */
int range_map_stack(struct range_map *map, uint64_t start, uint64_t length, uint32_t owner, uint64_t time_ns);

/* What `owner` made of this is blamed on a function, as far as it is BLAME_UNSEEN. */
void range_map_blame(struct range_map *map, uint64_t start, uint64_t length, uint32_t owner, uint32_t blame);

/* A seed: begin, seen (ascending), end, with no event between. What a reseed sees keeps its owner; what it does not see
 * again is dropped by the sweep, unless an event newer than the seed made it. The sweep comes when the events from before
 * the seed's end have been told: one of them may say where it went. drop_all: exec. [stack]
 * (RANGE_STACK) grows without any call, so it is taken to reach 8 MiB down where nothing else is. */
void range_map_seed_begin(struct range_map *map, enum unattributed reason, bool drop_all);
int range_map_seen(struct range_map *map, const struct fact_range *fact, uint64_t time_ns);
void range_map_seed_end(struct range_map *map, uint64_t time_ns);
void range_map_sweep(struct range_map *map);
/* Stacks of threads that have ended are nobody's from now on (`lost`). Of an owner alone, [stack] of the process excepted:
 * that cannot become another mapping. */
void range_map_leave_stacks(struct range_map *map, bool (*has_ended)(const void *context, uint32_t owner), const void *context,
			    uint64_t time_ns);

/* A heap of glibc is proven there: neighbours that the kernel merged are told apart, and all of it is
 * arena: glibc reserves it without MAP_NORESERVE from 2.41 on, so that its growth did not show what it is. */
void range_map_heap(struct range_map *map, uint64_t start, uint64_t length, uint64_t time_ns);

/* Evidence that `owner` made this: charges what is claimable of it, returns the resident bytes of that. */
uint64_t range_map_claim(struct range_map *map, uint64_t start, uint64_t length, uint32_t owner, uint64_t time_ns);

/* `holder` alone knows this: says so of what is claimable of it, which stays nobody's. */
void range_map_hold(struct range_map *map, uint64_t start, uint64_t length, uint32_t holder, uint64_t time_ns);

/* What of a range was resident at the attach (or the fork), is so still, and is nobody's. */
static inline uint64_t range_based(const struct range *range)
{
	if (range->owner != OWNER_NONE || !range->scanned_ns)
		return 0;
	return range->resident < range->base ? range->resident : range->base;
}

/* What is resident by now of direct mappings that are nobody's was so at the attach. Returns how much. */
uint64_t range_map_set_base(struct range_map *map);
/* What of that is in there; and how long the ranges of it are in there. */
uint64_t range_map_based(const struct range_map *map, uint64_t start, uint64_t length, uint64_t *ret_length);

/* A reading of the page tables that began at time_ns; void for ranges that changed later. Returns
 * the bytes of it that met no range. */
uint64_t range_map_resident(struct range_map *map, const struct fact_resident *fact, uint64_t time_ns);

/* In address order; the pointer is good until the next change. NULL: no more. */
const struct range *range_map_first(const struct range_map *map);
const struct range *range_map_next(const struct range_map *map, const struct range *range);
/* The range that holds the address, or NULL. */
const struct range *range_map_find(const struct range_map *map, uint64_t address);
/* All ranges of `owner` get another owner. Walks the whole map. */
void range_map_reassign(struct range_map *map, uint32_t owner, uint32_t new_owner);
/* This thread makes no more calls: what it freed last needs no correction. Its ranges stay its own. */
void range_map_owner_gone(struct range_map *map, uint32_t owner);
/* Ranges that were freed, yet may come back (range_map_free_failed, range_map_moved): their owners are still
 * needed. */
void range_map_each_in_limbo(const struct range_map *map,
			     void (*each)(void *context, const struct range *range), void *context);

size_t range_map_count(const struct range_map *map); /* ranges, in address order */
uint64_t range_map_refused(const struct range_map *map); /* ranges that the bound refused */

#endif
