/* SPDX-License-Identifier: GPL-2.0-only */
/* The workload `seeded`: memory calls on areas, each entered in the book as the rule of ownership has it. What frees
 * addresses leaves the book before the call, what makes them enters it after. It must not know threads. */
#ifndef POOLSCOPE_WORKLOADS_SEEDED_CALLS_H
#define POOLSCOPE_WORKLOADS_SEEDED_CALLS_H

#include "seeded_book.h"

#define HUGE ((size_t)2 << 20)
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

static int shared_file = -1, disk_file = -1;

static size_t random_length(struct person *self)
{
	return (1 + pick(self, (uint64_t)1 << pick(self, 8))) * PAGE;
}

/* A part of the area; at least a page. */
static struct area random_part(struct person *self, const struct area *area)
{
	size_t pages = area->length / PAGE, first = chance(self, 30) ? 0 : pick(self, pages);

	return (struct area){ area->start + first * PAGE,
			      (chance(self, 20) ? pages - first : 1 + pick(self, pages - first)) * PAGE, true };
}

/* Gives back what is left of an area when its part was taken out. */
static void area_return_rest(const struct area *area, const struct area *part)
{
	area_add(area->start, part->start - area->start);
	area_add(part->start + part->length, area->start + area->length - part->start - part->length);
}

static void touch_pages(struct person *self, uintptr_t start, size_t length)
{
	for (uintptr_t at = start; at < start + length; at += PAGE) {
		struct page page, *there;

		take(&book->pages_lock);
		page = *page_at(at, true);
		give(&book->pages_lock);
		if (page.kind == NOTHING || (page.flags & LOCKED) || !(page.flags & USABLE))
			continue;
		*(volatile char *)at = 1;
		take(&book->pages_lock);
		there = page_at(at, true);
		there->flags |= WRITTEN;
		give(&book->pages_lock);
	}
}

static void op_touch(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	touch_pages(self, part.start, part.length);
	area_add(area.start, area.length);
}

/* What is only read has the zero page, present but not memory of anybody; a kernel that has none gives a page. Huge
 * ones (ASK) are left out: the book knows their zero page from others no better than the page tables tell. */
static void op_read(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	for (uintptr_t at = part.start; at < part.start + part.length; at += PAGE) {
		struct page page;

		take(&book->pages_lock);
		page = *page_at(at, true);
		give(&book->pages_lock);
		if (!(page.flags & USABLE) || (page.flags & (LOCKED | ASK)))
			continue;
		(void)*(volatile char *)at;
		take(&book->pages_lock);
		if (page.kind == MMAP && !truth_zero_pfn)
			page_at(at, true)->flags |= WRITTEN;
		give(&book->pages_lock);
	}
	area_add(area.start, area.length);
}

struct mapping {
	int protection, flags, file;
	struct page page;
};

static struct mapping anonymous(struct person *self, int flags)
{
	bool populate = chance(self, 10);

	return (struct mapping){ PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | flags | (populate ? MAP_POPULATE : 0), -1,
				 { number_of(self), MMAP, (uint8_t)(USABLE | (populate ? WRITTEN : 0)) } };
}

static struct mapping reserved(void)
{
	return (struct mapping){ PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, { NOBODY, MMAP, 0 } };
}

static struct mapping of_file(struct person *self, bool private)
{
	return (struct mapping){ PROT_READ | PROT_WRITE, private ? MAP_PRIVATE : MAP_SHARED,
				 chance(self, 50) ? shared_file : disk_file,
				 { NOBODY, private ? FILE_PRIVATE : UNCHARGED, USABLE } };
}

static struct mapping shared_anonymous(void)
{
	return (struct mapping){ PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, { NOBODY, UNCHARGED, USABLE } };
}

static void make(struct person *self, struct mapping mapping, size_t length)
{
	char *start = mmap(NULL, length, mapping.protection, mapping.flags, mapping.file, 0);

	if (start == MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	pages_set((uintptr_t)start, length, mapping.page);
	if (chance(self, 70))
		touch_pages(self, (uintptr_t)start, chance(self, 50) ? length : (1 + pick(self, length / PAGE)) * PAGE);
	area_add((uintptr_t)start, length);
}

static void op_map(struct person *self)
{
	make(self, anonymous(self, 0), random_length(self));
}

static void op_noreserve(struct person *self)
{
	make(self, anonymous(self, MAP_NORESERVE), random_length(self));
}

static void op_reserve(struct person *self)
{
	make(self, reserved(), random_length(self) * 8);
}

static void op_shared(struct person *self)
{
	make(self, chance(self, 50) ? shared_anonymous() : of_file(self, false), random_length(self));
}

static void op_image(struct person *self)
{
	make(self, of_file(self, true), random_length(self));
}

static void op_unmap(struct person *self)
{
	struct area area;

	if (!area_claim(self, &area))
		return;
	pages_take(self, area.start, area.length, true);
	if (munmap((void *)area.start, area.length))
		DIE("munmap: %s", strerror(errno));
}

static void op_partial(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	pages_take(self, part.start, part.length, true);
	if (munmap((void *)part.start, part.length))
		DIE("munmap: %s", strerror(errno));
	area_return_rest(&area, &part);
}

/* Maps over what is there. */
static void op_fixed(struct person *self)
{
	struct mapping mapping;
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	switch (pick(self, 6)) {
	case 0: mapping = reserved(); break;
	case 1: mapping = shared_anonymous(); break;
	case 2: mapping = of_file(self, true); break;
	default: mapping = anonymous(self, chance(self, 50) ? MAP_NORESERVE : 0); break;
	}
	if (mmap((void *)part.start, part.length, mapping.protection, mapping.flags | MAP_FIXED, mapping.file, 0) ==
	    MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	pages_set(part.start, part.length, mapping.page);
	if (chance(self, 60))
		touch_pages(self, part.start, part.length);
	area_add(area.start, area.length);
}

/* Makes usable what nobody has used yet, or locks. */
static void protect(struct person *self, const struct area *part, bool usable)
{
	if (mprotect((void *)part->start, part->length, usable ? PROT_READ | PROT_WRITE : PROT_NONE))
		DIE("mprotect: %s", strerror(errno));
	take(&book->pages_lock);
	for (uintptr_t at = part->start; at < part->start + part->length; at += PAGE) {
		struct page *page = page_at(at, true);

		if (page->kind == MMAP && usable && page->owner == NOBODY)
			page->owner = number_of(self);
		if (usable && page->kind == MMAP)
			page->flags |= USABLE;
		page->flags = (uint8_t)(usable ? page->flags & ~LOCKED : page->flags | LOCKED);
	}
	give(&book->pages_lock);
}

static void op_protect(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	protect(self, &part, true);
	if (chance(self, 70))
		touch_pages(self, part.start, part.length);
	area_add(area.start, area.length);
}

static void op_lock(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	protect(self, &part, false);
	if (chance(self, 50))
		protect(self, &part, true);
	area_add(area.start, area.length);
}

/* What the last page of the source is, the added ones are: but the caller's, if it was made usable. Shared memory
 * does not grow with its mapping: nobody may touch what is added. */
static struct page added_page(struct person *self, const struct page *last)
{
	struct page page = *last;

	page.flags = (uint8_t)(page.flags & ~(page.kind == UNCHARGED ? WRITTEN | USABLE : WRITTEN));
	if (page.kind == MMAP && page.owner != NOBODY)
		page.owner = number_of(self);
	return page;
}

/* flags: of mremap. false: the kernel refused (it resizes and moves no more than one mapping at a time). */
static bool remap(struct person *self, struct area *area, size_t length, int flags, uintptr_t where)
{
	struct area part = *area;
	size_t kept = length < part.length ? length : part.length;
	bool in_place = !(flags & MREMAP_MAYMOVE), stays = flags & MREMAP_DONTUNMAP;
	char *start;

	pages_take(self, part.start, part.length, !in_place && !stays);
	if (in_place && length < part.length)
		pages_set(part.start + length, part.length - length, (struct page){ .owner = NOBODY });
	start = mremap((void *)part.start, part.length, length, flags, where);
	__atomic_add_fetch(&book->failed, start == MAP_FAILED, __ATOMIC_RELAXED);
	if (start == MAP_FAILED) {
		pages_put(self, 0, part.start, part.length);
		area_add(part.start, part.length);
		return false;
	}
	if (stays && (uintptr_t)start != part.start) {
		take(&book->pages_lock);
		for (uintptr_t at = part.start; at < part.start + part.length; at += PAGE)
			page_at(at, true)->flags &= (uint8_t)~WRITTEN;
		give(&book->pages_lock);
		area_add(part.start, part.length);
	}
	pages_put(self, 0, (uintptr_t)start, kept);
	if (length > part.length)
		pages_set((uintptr_t)start + part.length, length - part.length,
			  added_page(self, &self->scratch[part.length / PAGE - 1]));
	if (chance(self, 60))
		touch_pages(self, (uintptr_t)start, length);
	area_add((uintptr_t)start, length);
	return true;
}

static size_t grown(struct person *self, size_t length)
{
	size_t more = length + random_length(self);

	return more > AREA_PAGES_MAX * PAGE ? length : more;
}

static void op_grow(struct person *self)
{
	struct area area;

	if (area_claim(self, &area))
		remap(self, &area, grown(self, area.length), chance(self, 80) ? MREMAP_MAYMOVE : 0, 0);
}

static void op_shrink(struct person *self)
{
	struct area area;

	if (area_claim(self, &area))
		remap(self, &area, (1 + pick(self, area.length / PAGE)) * PAGE, 0, 0);
}

/* From Linux 6.17 on several mappings move by one call, which may fail half-way: not so with anonymous ones. */
static bool moves_whole(struct person *self, const struct area *part)
{
	bool whole = true;

	pages_take(self, part->start, part->length, false);
	for (size_t i = 0; i < part->length / PAGE; i++)
		whole = whole && self->scratch[i].kind == MMAP;
	return whole || part->length == PAGE;
}

/* To a place of its own choice, over what is there: a fresh reservation, or another area. It is emptied first: when
 * the kernel refuses, it may have freed the destination already, and then another may have it. */
static void op_move(struct person *self)
{
	struct area area, part, over = { 0 };
	size_t length;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	if (!moves_whole(self, &part)) {
		area_add(area.start, area.length);
		return;
	}
	area_return_rest(&area, &part);
	length = chance(self, 60) ? part.length : chance(self, 50) ? grown(self, part.length) : PAGE;
	if (chance(self, 60) || !area_claim(self, &over) || over.length < length) {
		area_add(over.start, over.length);
		over = (struct area){ 0 };
	}
	if (over.length)
		area_add(over.start + length, over.length - length);
	over.start = (uintptr_t)mmap((void *)over.start, length, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (over.length ? MAP_FIXED : 0), -1, 0);
	if ((void *)over.start == MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	pages_set(over.start, length, (struct page){ .owner = NOBODY });
	remap(self, &part, length, MREMAP_MAYMOVE | MREMAP_FIXED, over.start);
}

static void op_dontunmap(struct person *self)
{
	struct area area;

	if (area_claim(self, &area))
		remap(self, &area, area.length, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
}

static void advised(const struct area *part, uint8_t clear, uint8_t set, bool files_too)
{
	take(&book->pages_lock);
	for (uintptr_t at = part->start; at < part->start + part->length; at += PAGE) {
		struct page *page = page_at(at, true);

		if (page->kind == MMAP || (files_too && page->kind == FILE_PRIVATE))
			page->flags = (uint8_t)((page->flags & ~clear) | set);
	}
	give(&book->pages_lock);
}

static void op_discard(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	if (madvise((void *)part.start, part.length, MADV_DONTNEED))
		DIE("madvise: %s", strerror(errno));
	advised(&part, WRITTEN, 0, true);
	area_add(area.start, area.length);
}

/* The kernel takes these pages when it likes. */
static void op_free(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	(void)madvise((void *)part.start, part.length, MADV_FREE);
	advised(&part, 0, ASK, true);
	area_add(area.start, area.length);
}

/* Guard markers are no memory; installing them drops what was there. */
static void op_guard(struct person *self)
{
	struct area area, part;

	if (!area_claim(self, &area))
		return;
	part = random_part(self, &area);
	if (madvise((void *)part.start, part.length, MADV_GUARD_INSTALL) == 0)
		(void)madvise((void *)part.start, part.length, MADV_GUARD_REMOVE);
	advised(&part, 0, ASK, true);
	area_add(area.start, area.length);
}

static void op_huge(struct person *self)
{
	size_t length = HUGE * (1 + pick(self, 2));
	char *start = mmap(NULL, length + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *aligned;

	if (start == MAP_FAILED)
		DIE("mmap: %s", strerror(errno));
	aligned = (char *)(((uintptr_t)start + HUGE - 1) & ~(HUGE - 1));
	madvise(aligned, length, MADV_HUGEPAGE);
	pages_set((uintptr_t)start, length + HUGE, (struct page){ number_of(self), MMAP, USABLE | ASK });
	touch_pages(self, (uintptr_t)aligned, chance(self, 50) ? length : PAGE);
	area_add((uintptr_t)start, length + HUGE);
}

static uintptr_t brk_now(void)
{
	return (uintptr_t)syscall(SYS_brk, 0);
}

static void op_brk(struct person *self)
{
	uintptr_t now, then;

	take(&book->heap_lock);
	now = brk_now();
	if (chance(self, 60)) {
		then = now + random_length(self);
		if ((uintptr_t)syscall(SYS_brk, then) == then) {
			pages_set(now, then - now, (struct page){ number_of(self), HEAP, USABLE });
			touch_pages(self, now, chance(self, 60) ? then - now : PAGE);
		}
	} else if (now > book->brk_low) {
		then = book->brk_low + pick(self, (now - book->brk_low) / PAGE) * PAGE;
		pages_set(then, now - then, (struct page){ .owner = NOBODY });
		syscall(SYS_brk, then);
	}
	book->main_end = brk_now();
	give(&book->heap_lock);
}

#endif
