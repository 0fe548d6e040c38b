/* SPDX-License-Identifier: GPL-2.0-only */
/* The workload `seeded`: sums the book up, by person and pool, while everything stands still. Where the book knows
 * what is resident, the page tables must agree: if they don't, the truth is none. It must not know plans. */
#ifndef POOLSCOPE_WORKLOADS_SEEDED_TRUTH_H
#define POOLSCOPE_WORKLOADS_SEEDED_TRUTH_H

#include <linux/kernel-page-flags.h>
#include "seeded_lives.h"

static struct {
	uint64_t nobody, wrong;
	uint64_t orphaned[POOLS];
	uint64_t left[HEAPS_MAX]; /* of arenas: what nobody alive has grown */
	uintptr_t arenas[HEAPS_MAX];
	unsigned n_arenas;
} sums;

static unsigned arena_of(uintptr_t address, bool main)
{
	uintptr_t arena = main ? MAIN_ARENA : 0;
	unsigned i = 0;

	for (unsigned h = 0; h < book->n_heaps && !main; h++)
		if (book->heaps[h].start == (address & ~(HEAP_MAX - 1)))
			arena = book->heaps[h].arena;
	while (i < sums.n_arenas && sums.arenas[i] != arena)
		i++;
	if (i == sums.n_arenas)
		sums.arenas[sums.n_arenas++] = arena;
	return i;
}

static void page_charge(uintptr_t address, const struct page *page)
{
	struct person *owner = page->owner == NOBODY ? NULL : &book->people[page->owner];
	uint64_t *figures[] = { [MMAP] = &owner->mmap, [STACK] = &owner->stack, [ARENA] = &owner->arena_bytes,
				[HEAP] = &owner->heap };

	if (page->kind == FILE_PRIVATE)
		return; /* whatever the image itself has of these is not in the book: see private_resident() */
	if (!owner)
		sums.nobody += PAGE;
	else if (owner->alive)
		*figures[page->kind] += PAGE;
	else if (page->kind == ARENA || page->kind == HEAP)
		sums.left[arena_of(address, page->kind == HEAP)] += PAGE;
	else
		sums.orphaned[owner->pool] += PAGE;
}

/* Of what the kernel decides: pages of a huge one that was never written are, once it is split, the zero page. */
static bool is_zero_frame(uint64_t frame)
{
	static int flags_file = -1;
	uint64_t flags = 0;

	if (flags_file < 0)
		flags_file = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	return frame && pread(flags_file, &flags, sizeof(flags), (off_t)(frame * sizeof(flags))) == sizeof(flags) &&
	       (flags >> KPF_ZERO_PAGE & 1);
}

static void chunk_sum(const struct chunk *chunk)
{
	static uint64_t entries[CHUNK_PAGES];
	uintptr_t start = chunk->number * CHUNK_PAGES * PAGE;

	if (pread(truth_pagemap, entries, sizeof(entries), start / PAGE * 8) != sizeof(entries))
		memset(entries, 0, sizeof(entries));
	for (unsigned i = 0; i < CHUNK_PAGES; i++) {
		const struct page *page = &chunk->page[i];
		uint64_t pfn = entries[i] & PAGEMAP_PFN;
		bool resident = (entries[i] & PAGEMAP_PRESENT) && !(entries[i] & PAGEMAP_FILE_OR_SHARED) &&
				(!pfn || pfn != truth_zero_pfn);

		if (page->kind == NOTHING || page->kind == UNCHARGED)
			continue;
		if (!(page->flags & ASK) && resident != !!(page->flags & WRITTEN) && sums.wrong++ < 5)
			fprintf(stderr, "seeded: %lx: kind %d, flags %d, owner %u, but %sresident\n", start + i * PAGE,
				page->kind, page->flags, page->owner, resident ? "" : "not ");
		if (resident && !((page->flags & ASK) && is_zero_frame(pfn)))
			page_charge(start + i * PAGE, page);
	}
}

/* Bytes of an arena that nobody alive has grown are shared by who uses it, or left to the pool of the last. */
static void arena_divide(unsigned arena)
{
	unsigned users = 0, first = 1;

	for (unsigned i = 0; i < book->n_people; i++)
		users += book->people[i].alive && book->people[i].arena == sums.arenas[arena];
	for (unsigned i = 0; i < book->n_people && users; i++) {
		struct person *person = &book->people[i];

		if (!person->alive || person->arena != sums.arenas[arena])
			continue;
		*(person->arena == MAIN_ARENA ? &person->heap : &person->arena_bytes) +=
			sums.left[arena] / users + (first ? sums.left[arena] % users : 0);
		first = 0;
	}
	for (unsigned i = 0; i < book->n_lasts && !users; i++)
		if (book->lasts[i].arena == sums.arenas[arena])
			sums.orphaned[book->lasts[i].pool] += sums.left[arena];
}

static void truth(void)
{
	uint64_t others, image, heap;

	memset(&sums, 0, sizeof(sums));
	private_resident(&others, &image);
	for (unsigned i = 0; i < book->n_people; i++)
		book->people[i].stack = book->people[i].arena_bytes = book->people[i].heap = book->people[i].mmap = 0;
	heaps_look(book->people);
	for (unsigned i = 0; i < book->n_chunks; i++)
		chunk_sum(&book->chunks[i]);
	/* What was there before is of the main arena, and nobody has been seen making it. */
	heap = named_resident("[heap]");
	for (unsigned i = 0; i < book->n_people; i++)
		heap -= book->people[i].alive ? book->people[i].heap : 0;
	sums.left[arena_of(0, true)] = heap;
	for (unsigned i = 0; i < sums.n_arenas; i++)
		arena_divide(i);
	book->people[0].stack = named_resident("[stack]");
	say("{\"pid\":%d,\"rss_anon\":%" PRIu64 ",\"image\":%" PRIu64 ",\"nobody\":%" PRIu64 ",\"wrong\":%" PRIu64
	    ",\"refused\":%" PRIu64 ",\"threads\":[",
	    book->pid, rss_anon(), image, sums.nobody, sums.wrong, book->failed);
	for (unsigned i = 0, n = 0; i < book->n_people; i++) {
		const struct person *person = &book->people[i];

		if (person->alive)
			say("%s{\"tid\":%d,\"pool\":\"%s\",\"guest\":%s,\"arena_at\":%" PRIuPTR ",\"stack\":%" PRIu64
			    ",\"arena\":%" PRIu64 ",\"heap\":%" PRIu64 ",\"mmap\":%" PRIu64 "}",
			    n++ ? "," : "", person->tid, i ? pool_names[person->pool] : "main",
			    person->guest ? "true" : "false", person->arena, person->stack, person->arena_bytes,
			    person->heap, person->mmap);
	}
	say("],\"orphaned\":{");
	for (unsigned i = 0; i < POOLS; i++)
		say("%s\"%s\":%" PRIu64, i ? "," : "", pool_names[i], sums.orphaned[i]);
	say("},\"children\":[");
	for (unsigned i = 0; i < book->n_children; i++)
		say("%s{\"pid\":%d,\"own\":%" PRIu64 ",\"inherited\":%" PRIu64 ",\"image\":%" PRIu64 "}", i ? "," : "",
		    book->children[i].pid, book->children[i].own, book->children[i].inherited, book->children[i].image);
	say("],\"dead\":%u}", book->n_people);
	say_done();
}

#endif
