/* SPDX-License-Identifier: GPL-2.0-only */
/* DESIGN.md's rules of ownership said a second time, page by page, without any ranges: what the interval map
 * is compared with. Arenas are left out (a block of 64 MiB has too many pages): unit tests have them. */
#ifndef RANGE_ORACLE_H
#define RANGE_ORACLE_H

#include <string.h>
#include <sys/mman.h>

#include "model/range_map.h"

#define ORACLE_PAGES 512
#define ORACLE_PAGE 4096ULL
/* Half of it lies below a border of 64 MiB blocks, which ranges do not join across. */
#define ORACLE_BASE (0x7f0000000000ULL - ORACLE_PAGES / 2 * ORACLE_PAGE)
#define ORACLE_HEAP 16 /* the first page of the heap */
#define ORACLE_CALLERS 6
#define ORACLE_OPEN UINT64_MAX

struct oracle_page {
	bool mapped, usable, unproven, present; /* present: what a reading of the page tables finds */
	uint32_t owner, protection, flags;
	enum unattributed reason;
	enum region region;
	uint64_t provisional_until_ns, seed;
};

struct oracle_limbo {
	bool used;
	unsigned first, count;
	struct oracle_page pages[ORACLE_PAGES];
};

struct oracle {
	struct oracle_page pages[ORACLE_PAGES];
	struct oracle_limbo limbo[ORACLE_CALLERS];
	unsigned heap_end, heap_top; /* 0: not known */
	uint64_t seed, heap_seed, seeded;
	enum unattributed seed_reason;
	uint32_t random;
};

static uint32_t oracle_random(struct oracle *oracle)
{
	return oracle->random = oracle->random * 1664525U + 1013904223U;
}

/* Below n; the low bits of this generator are poor. */
static unsigned oracle_below(struct oracle *oracle, unsigned n)
{
	return (oracle_random(oracle) >> 8) % n;
}

static uint32_t oracle_owner(unsigned caller)
{
	return caller == ORACLE_CALLERS - 1 ? OWNER_NONE : caller;
}

static bool oracle_anonymous(uint32_t flags)
{
	return !(flags & (RANGE_FILE | RANGE_SHARED | RANGE_HUGETLB));
}

/* Memory just made may have been touched already. */
static void oracle_touch(struct oracle *oracle, struct oracle_page *page)
{
	page->present = (page->usable || page->unproven) && !(page->flags & (RANGE_SHARED | RANGE_HUGETLB)) &&
			oracle_below(oracle, 2);
}

static void oracle_charge(struct oracle_page *page, unsigned caller)
{
	page->owner = oracle_owner(caller);
	if (page->owner == OWNER_NONE)
		page->reason = UNATTRIBUTED_LOST;
	page->provisional_until_ns = 0;
}

static bool oracle_provisional(const struct oracle_page *page, uint64_t now)
{
	return page->owner == OWNER_NONE && page->provisional_until_ns > now;
}

static struct oracle_page oracle_fresh(struct oracle *oracle, int protection, uint32_t flags, unsigned caller)
{
	struct oracle_page page = {.mapped = true,
				   .owner = OWNER_NONE,
				   .region = REGION_MMAP,
				   .protection = protection,
				   .flags = flags};

	if (!oracle_anonymous(flags)) {
		page.reason = UNATTRIBUTED_IMAGE;
		page.usable = !(flags & (RANGE_SHARED | RANGE_HUGETLB));
	} else if (protection & PROT_WRITE) {
		page.usable = true;
		oracle_charge(&page, caller);
	}
	oracle_touch(oracle, &page);
	return page;
}

static void oracle_made(struct oracle *oracle, unsigned first, unsigned count, int protection, uint32_t flags,
			unsigned caller)
{
	oracle->limbo[caller].used = false;
	for (unsigned i = first; i < first + count; i++)
		oracle->pages[i] = oracle_fresh(oracle, protection, flags, caller);
}

static void oracle_freed(struct oracle *oracle, unsigned first, unsigned count, unsigned caller)
{
	struct oracle_limbo *limbo = &oracle->limbo[caller];

	limbo->used = true;
	limbo->first = first;
	limbo->count = count;
	memcpy(limbo->pages, &oracle->pages[first], count * sizeof(limbo->pages[0]));
	memset(&oracle->pages[first], 0, count * sizeof(limbo->pages[0]));
}

static void oracle_free_failed(struct oracle *oracle, unsigned caller)
{
	struct oracle_limbo *limbo = &oracle->limbo[caller];

	for (unsigned i = 0; limbo->used && i < limbo->count; i++)
		if (!oracle->pages[limbo->first + i].mapped)
			oracle->pages[limbo->first + i] = limbo->pages[i];
	limbo->used = false;
}

static void oracle_duplicated(struct oracle *oracle, unsigned old, unsigned first, unsigned count,
			      unsigned caller)
{
	struct oracle_page source = oracle->pages[old];
	struct oracle_page page = {.mapped = true,
				   .owner = OWNER_NONE,
				   .reason = UNATTRIBUTED_IMAGE,
				   .region = REGION_MMAP,
				   .protection = source.mapped ? source.protection : 3,
				   .flags = (source.mapped ? source.flags : 0) | RANGE_SHARED};

	oracle->limbo[caller].used = false;
	for (unsigned i = first; i < first + count; i++)
		oracle->pages[i] = page;
}

static void oracle_moved(struct oracle *oracle, unsigned old, unsigned old_count, unsigned first,
			 unsigned count, bool dont_unmap, unsigned caller, uint64_t now)
{
	static struct oracle_page source[ORACLE_PAGES], seen[ORACLE_PAGES];
	struct oracle_page like = {.mapped = true,
				   .usable = true,
				   .protection = PROT_READ | PROT_WRITE,
				   .region = REGION_MMAP}, /* of no kind that is known */
			   unknown = like;
	struct oracle_limbo *limbo = &oracle->limbo[caller];
	bool any = false;

	if (limbo->used && old == first && count < old_count && limbo->first == first + count &&
	    limbo->count == old_count - count)
		old_count = count; /* shrinks in place: the tail was freed at entry */
	oracle_charge(&unknown, ORACLE_CALLERS - 1);
	if (limbo->used && limbo->first == old && limbo->count == old_count) {
		memcpy(source, limbo->pages, old_count * sizeof(source[0]));
	} else {
		memcpy(source, &oracle->pages[old], old_count * sizeof(source[0]));
		memset(&oracle->pages[old], 0, old_count * sizeof(source[0]));
	}
	limbo->used = false;
	if (old_count < count && oracle->pages[first + old_count].mapped &&
	    oracle_provisional(&oracle->pages[first + old_count], now))
		like = oracle->pages[first + old_count];
	for (unsigned i = 0; i < old_count; i++) {
		struct oracle_page *page = &oracle->pages[old + i];

		/* A seed saw it there after this move was done. */
		seen[i].mapped = false;
		if (source[i].mapped && oracle_provisional(&source[i], now)) {
			if (old == first && i < count)
				seen[i] = source[i];
			else if (!page->mapped)
				*page = source[i];
			source[i].mapped = false;
		}
		if (!source[i].mapped)
			continue;
		any = true;
		like = source[i];
		if (dont_unmap && old != first && !oracle->pages[old + i].mapped) {
			oracle->pages[old + i] = source[i];
			oracle->pages[old + i].present = false;
		}
	}
	for (unsigned i = 0; i < count; i++) {
		struct oracle_page *page = &oracle->pages[first + i];

		if (i >= old_count) {
			bool usable = like.usable && oracle_anonymous(like.flags);
			enum unattributed reason = like.owner == OWNER_NONE ? like.reason : UNATTRIBUTED_LOST;

			*page = (struct oracle_page){.mapped = true,
						     .owner = OWNER_NONE,
						     .reason = reason,
						     .region = REGION_MMAP,
						     .protection = like.protection,
						     .flags = like.flags & ~RANGE_HEAP,
						     .usable = like.usable};
			if (usable)
				oracle_charge(page, caller);
			oracle_touch(oracle, page);
		} else if (source[i].mapped) {
			*page = source[i];
			page->provisional_until_ns = 0;
			if (old != first && (page->flags & RANGE_HEAP)) {
				page->flags &= ~RANGE_HEAP;
				page->region = REGION_MMAP;
			}
		} else if (source[0].mapped && !seen[i].mapped && (old == first || old_count == count) && now > oracle->seeded) {
			continue; /* a gap between mappings that were moved together */
		} else if (any || !page->mapped || !oracle_provisional(page, now)) {
			*page = seen[i].mapped ? seen[i] : unknown;
			if (!seen[i].mapped)
				oracle_touch(oracle, page);
		}
	}
}

/* Without a hole none of it. */
static unsigned oracle_until_hole(const struct oracle *oracle, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!oracle->pages[first + i].mapped)
			return i;
	}
	return 0;
}

static void oracle_protected(struct oracle *oracle, unsigned first, unsigned count, int protection,
			     unsigned caller, uint64_t now)
{
	oracle->limbo[caller].used = false;
	for (unsigned i = first; i < first + count; i++) {
		struct oracle_page *page = &oracle->pages[i];

		if (!page->mapped)
			continue;
		page->protection = protection;
		if (!oracle_anonymous(page->flags))
			continue;
		if (page->usable && (protection & PROT_WRITE) && oracle_provisional(page, now)) {
			oracle_charge(page, caller);
		} else if (page->usable && page->provisional_until_ns > now) {
			page->provisional_until_ns = 0;
		} else if (!page->usable && (protection & PROT_WRITE)) {
			page->usable = true;
			page->unproven = false;
			if (page->owner == OWNER_NONE) {
				page->region = REGION_MMAP;
				oracle_charge(page, caller);
			}
			oracle_touch(oracle, page);
		}
	}
}

static void oracle_brk(struct oracle *oracle, unsigned end, unsigned caller, uint64_t now)
{
	unsigned from = oracle->heap_end > ORACLE_HEAP ? oracle->heap_end : ORACLE_HEAP;

	oracle->limbo[caller].used = false;
	for (unsigned i = end; i < oracle->heap_top; i++)
		if (oracle->pages[i].mapped && (oracle->pages[i].flags & RANGE_HEAP))
			oracle->pages[i] = (struct oracle_page){};
	for (unsigned i = from; i < end; i++) {
		struct oracle_page *page = &oracle->pages[i];

		if (page->mapped && (page->flags & RANGE_HEAP) && !oracle_provisional(page, now))
			continue;
		*page = oracle_fresh(oracle, PROT_READ | PROT_WRITE, RANGE_ANON | RANGE_HEAP, caller);
		page->region = REGION_HEAP;
	}
	oracle->heap_end = oracle->heap_top = end;
	oracle->heap_seed = 0;
}

static void oracle_stack(struct oracle *oracle, unsigned first, unsigned count, unsigned owner)
{
	bool any = false;

	for (unsigned i = first; i < first + count; i++)
		any |= oracle->pages[i].mapped;
	for (unsigned i = first; i < first + count; i++) {
		struct oracle_page *page = &oracle->pages[i];

		if (!any)
			*page = oracle_fresh(oracle, PROT_READ | PROT_WRITE, RANGE_ANON | RANGE_STACK, owner);
		if (!page->mapped || !oracle_anonymous(page->flags))
			continue;
		page->region = REGION_STACK;
		oracle_charge(page, owner);
	}
}

static void oracle_seed_begin(struct oracle *oracle, enum unattributed reason, bool drop_all)
{
	if (drop_all) {
		memset(oracle->pages, 0, sizeof(oracle->pages));
		memset(oracle->limbo, 0, sizeof(oracle->limbo));
		oracle->heap_end = oracle->heap_top = oracle->heap_seed = 0;
	}
	oracle->seed++;
	oracle->seed_reason = reason;
}

static void oracle_seen(struct oracle *oracle, unsigned first, unsigned count, int protection, uint32_t flags)
{
	uint32_t kind = RANGE_FILE | RANGE_SHARED | RANGE_HUGETLB;

	if (flags & RANGE_HEAP) {
		if (!oracle->heap_end)
			oracle->heap_seed = oracle->seed;
		if (oracle->heap_seed == oracle->seed)
			oracle->heap_end = first + count; /* ascending */
		if (oracle->heap_top < first + count)
			oracle->heap_top = first + count;
	}
	for (unsigned i = first; i < first + count; i++) {
		struct oracle_page *page = &oracle->pages[i];
		bool anonymous = oracle_anonymous(flags);

		if (page->mapped && !((page->flags ^ flags) & kind)) {
			page->protection = protection;
			page->flags |= flags;
			if (!page->usable && oracle_anonymous(page->flags)) {
				page->usable = protection & PROT_WRITE;
				page->unproven = !page->usable;
				if (page->owner == OWNER_NONE) {
					page->reason = oracle->seed_reason;
					page->provisional_until_ns = ORACLE_OPEN;
				}
				oracle_touch(oracle, page);
			}
		} else {
			*page = (struct oracle_page){.mapped = true,
						     .owner = OWNER_NONE,
						     .region = REGION_MMAP,
						     .protection = protection,
						     .flags = flags,
						     .provisional_until_ns = ORACLE_OPEN};
			if (flags & RANGE_HEAP)
				page->region = REGION_HEAP;
			page->reason = anonymous ? oracle->seed_reason : UNATTRIBUTED_IMAGE;
			page->usable = !(flags & (RANGE_SHARED | RANGE_HUGETLB)) &&
				       (protection != PROT_NONE || (flags & RANGE_FILE));
			page->unproven = anonymous && !page->usable;
			oracle_touch(oracle, page);
		}
		page->seed = oracle->seed;
	}
}

static void oracle_seed_end(struct oracle *oracle, uint64_t now)
{
	oracle->seeded = now;
	for (unsigned i = 0; i < ORACLE_PAGES; i++) {
		struct oracle_page *page = &oracle->pages[i];

		if (page->mapped && page->seed != oracle->seed)
			*page = (struct oracle_page){};
		if (page->provisional_until_ns == ORACLE_OPEN)
			page->provisional_until_ns = now;
	}
}

static void oracle_reassigned(struct oracle *oracle, uint32_t owner, uint32_t new_owner)
{
	for (unsigned i = 0; i < ORACLE_PAGES; i++) {
		if (oracle->pages[i].mapped && oracle->pages[i].owner == owner)
			oracle->pages[i].owner = new_owner;
		for (unsigned c = 0; c < ORACLE_CALLERS; c++) {
			struct oracle_limbo *limbo = &oracle->limbo[c];

			if (limbo->used && i < limbo->count && limbo->pages[i].mapped &&
			    limbo->pages[i].owner == owner)
				limbo->pages[i].owner = new_owner;
		}
	}
}

#endif
