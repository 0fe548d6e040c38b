/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose are the large blocks that malloc mapped before anybody looked: looks for their addresses in stacks and
 * arenas, within a budget. It must not know what a thread is charged with. */
#include "blocks.h"
#include "fault_bytes.h"
#include "glibc.h"
#include "glibc_arenas.h"
#include "glibc_doubt.h"
#include "memory_pages.h"

#include <errno.h>

#define PAGE 4096ULL
#define HUGE_BYTES (2ULL << 20) /* x86-64 */
#define SPAN_MIN (64ULL << 10)
/* Of all blocks together so many bytes are searched, some 100 ms; of each at least its head, where tables of pointers
 * begin. What is not searched may hold a block whose address is left over elsewhere. */
#define CONTENT_BYTES (256ULL << 20)
#define HEAD_BYTES (64ULL << 10)
/* Pages in which a header is looked for where mappings of other origin lie next to malloc's. */
#define STRAY_PAGES 16384
#define HEADERS 64 /* a call */
/* What is taken for a stack whose range is not known. */
#define STACK_BYTES (256ULL << 10)

/* Where addresses are looked for. */
struct place {
	uint32_t holder;
	uint64_t strong_from; /* words below it are a dead part of a stack */
};

struct search {
	struct memory_pages pages;
	struct blocks blocks;
	uint64_t fault_bytes; /* that one fault brings, where it brings no huge page */
	/* finding blocks */
	uint64_t span_end, next;
	size_t stray_left;
	/* finding their addresses: ranges by tag */
	uint64_t content; /* so many bytes of each block */
	struct place *place;
	struct word_range *range;
	size_t n_places, places_room;
	size_t n_stacks; /* the first of them, in order */
};

static void search_clear(struct search *search)
{
	blocks_clear(&search->blocks);
	free(search->place);
	free(search->range);
	memory_pages_close(&search->pages);
}

/* ---- the blocks -------------------------------------------------------------------------------------- */

/* Headers of `count` pages from search->next on: goes on behind the first block found, or behind them all. */
static int try_headers(struct search *search, size_t count)
{
	struct memory_piece pieces[HEADERS];
	uint64_t headers[HEADERS][2] = {0}, at = search->next;
	bool is_own = count > 1 && pages_are_own(search->pages.tables.fd, at, at + count * PAGE);
	int r;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct memory_piece){.address = at + i * PAGE, .buffer = headers[i],
						  .size = sizeof(headers[i]), .is_own = is_own};
	r = memory_read_pieces(&search->pages.reader, pieces, count);
	for (size_t i = 0; i < count && r == 0; i++) {
		uint64_t page = at + i * PAGE, length;

		length = pieces[i].read ? block_length(headers[i][0], headers[i][1], search->span_end - page) : 0;
		search->next = page + (length ? length : PAGE);
		if (length)
			return blocks_add(&search->blocks, page, length);
		search->stray_left -= search->stray_left > 0;
	}
	return r;
}

/* A page that is there took a fault: one for each, or for as many as it may have brought. */
static void add_faults(const struct search *search, struct block *block, const struct page_run *run)
{
	bool may_be_huge = !search->pages.knows_huge || run->categories & SCAN_PAGE_IS_HUGE;
	uint64_t start = block->start > run->start ? block->start : run->start;
	uint64_t end = block->start + block->length < run->end ? block->start + block->length : run->end;

	if (start >= end)
		return;
	block->present += end - start;
	block->faults += (end - start) / (may_be_huge ? HUGE_BYTES : search->fault_bytes);
}

/* What is present of one mapping. A chunk lies behind a chunk; where none does, page after page is tried. */
static int find_in_run(void *context, const struct page_run *run)
{
	struct search *search = context;
	struct blocks *blocks = &search->blocks;
	bool hit = true;

	if (!(run->categories & SCAN_PAGE_IS_PRESENT))
		return 0;
	if (blocks->count) /* the last goes on in this run */
		add_faults(search, &blocks->block[blocks->count - 1], run);
	if (search->next < run->start)
		search->next = run->start;
	while (search->next < run->end) {
		uint64_t pages = (run->end - search->next) / PAGE;
		size_t before = blocks->count, count = hit ? 1 : HEADERS;
		int r;

		count = pages < count ? (size_t)pages : count;
		if (!hit && !search->stray_left)
			return 0;
		r = try_headers(search, count);
		if (r < 0)
			return r;
		hit = blocks->count > before;
		if (hit)
			add_faults(search, &blocks->block[before], run);
	}
	return 0;
}

static int find_blocks(struct search *search, const struct unowned *unowned, size_t n_unowned)
{
	struct run_sink runs = {find_in_run, search};
	int r = 0;

	for (size_t i = 0; i < n_unowned && r == 0; i++) {
		if (unowned[i].kind != UNOWNED_MMAP || unowned[i].length < SPAN_MIN)
			continue;
		search->span_end = unowned[i].start + unowned[i].length;
		search->next = unowned[i].start;
		r = memory_pages_runs(&search->pages, unowned[i].start, search->span_end, &runs);
		if (r == 0 && memory_pages_spent(&search->pages))
			r = -ETIME;
	}
	return r == 0 ? blocks_index(&search->blocks) : r;
}

/* ---- their addresses ---------------------------------------------------------------------------------- */

static void search_words(void *context, const struct word_range *range, uint64_t address, const uint64_t *words,
			 size_t count)
{
	struct search *search = context;
	const struct place *place = &search->place[range->tag];
	size_t weak = address >= place->strong_from ? 0 : (size_t)(place->strong_from - address) / 8;

	weak = weak < count ? weak : count;
	blocks_search(&search->blocks, address, words, weak, place->holder, false);
	blocks_search(&search->blocks, address + weak * 8, words + weak, count - weak, place->holder, true);
}

static int add_place(struct search *search, uint64_t start, uint64_t end, uint32_t holder, uint64_t strong_from)
{
	if (start >= end)
		return 0;
	if (search->n_places == search->places_room) {
		size_t room = search->places_room ? search->places_room * 2 : 256;
		struct place *place = reallocarray(search->place, room, sizeof(*place));
		struct word_range *range;

		if (place)
			search->place = place;
		range = reallocarray(search->range, room, sizeof(*range));
		if (range)
			search->range = range;
		if (!place || !range)
			return -ENOMEM;
		search->places_room = room;
	}
	search->place[search->n_places] = (struct place){holder, strong_from};
	search->range[search->n_places] = (struct word_range){start, end, (uint32_t)search->n_places};
	search->n_places++;
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	return compare_u64(((const struct word_range *)a)->start, ((const struct word_range *)b)->start);
}

/* All places that were added, each word once; where two overlap, the lower one has it. */
static int search_places(struct search *search)
{
	struct word_sink sink = {search_words, search};
	size_t kept = 0;
	int r;

	if (search->n_places)
		qsort(search->range, search->n_places, sizeof(*search->range), compare_ranges);
	for (size_t i = 0; i < search->n_places; i++) {
		struct word_range range = search->range[i];

		if (kept && range.start < search->range[kept - 1].end)
			range.start = search->range[kept - 1].end;
		if (range.start < range.end)
			search->range[kept++] = range;
	}
	r = memory_pages_words(&search->pages, search->range, kept, &sink);
	search->n_places = 0;
	return r;
}

/* What a thread was started with stands in its descriptor, at the top of its stack, and was made before it began: by
 * another. As the word of nobody's place it keeps that block from being charged. */
static int add_stack(struct search *search, uint64_t start, uint64_t end, uint32_t holder, uint64_t stack_pointer,
		     uint64_t argument)
{
	int r;

	if (argument < start || argument + 8 > end)
		return add_place(search, start, end, holder, stack_pointer);
	r = add_place(search, start, argument, holder, stack_pointer);
	if (r == 0)
		r = add_place(search, argument, argument + 8, HOLDER_OTHER, 0);
	return r ? r : add_place(search, argument + 8, end, holder, stack_pointer);
}

static const struct unowned *find_first_stack(const struct unowned *unowned, size_t n_unowned)
{
	for (size_t i = 0; i < n_unowned; i++) {
		if (unowned[i].kind == UNOWNED_STACK)
			return &unowned[i];
	}
	return NULL;
}

static int add_stacks(struct search *search, const struct fact_thread *threads, size_t n_threads,
		      const struct unowned *first_stack, uint32_t argument)
{
	int r = 0;

	for (size_t i = 0; i < n_threads && r == 0; i++) {
		const struct fact_thread *thread = &threads[i];
		uint64_t start = thread->stack_start, end = start + thread->stack_length, used = thread->stack_pointer & ~7ULL;

		if (thread->is_leader && first_stack) {
			start = first_stack->start;
			end = start + first_stack->length;
		} else if (!thread->stack_length) {
			start = thread->stack_pointer & ~(PAGE - 1);
			end = start + STACK_BYTES;
		}
		if (!thread->stack_pointer || thread->is_io_worker || end < start)
			continue;
		/* On another stack, a coroutine's or a signal's, or in a call: what of its own is in use is not known. */
		if (used < start || used >= end)
			used = end;
		r = add_stack(search, start, end, (uint32_t)i + 1, used,
			      argument && thread->tls_base && !thread->is_leader ? thread->tls_base + argument : 0);
	}
	search->n_stacks = search->n_places;
	if (search->n_stacks)
		qsort(search->range, search->n_stacks, sizeof(*search->range), compare_ranges);
	return r;
}

static uint32_t arena_holder(const struct glibc_arenas *arenas, uint64_t address, const struct fact_thread *threads,
			     size_t n_threads)
{
	const struct glibc_arena *arena = glibc_arenas_find(arenas, address);

	if (!arena || arena->threads != 1)
		return HOLDER_OTHER;
	for (size_t i = 0; i < n_threads; i++) {
		if (threads[i].id.tid == arena->thread.tid)
			return (uint32_t)i + 1;
	}
	return HOLDER_OTHER;
}

/* A thread's stack may lie in memory that another took from malloc: what is there is the thread's own. */
static int add_around_stacks(struct search *search, uint64_t start, uint64_t end, uint32_t holder)
{
	int r = 0;

	for (size_t i = 0; i < search->n_stacks && r == 0; i++) {
		const struct word_range stack = search->range[i];

		if (stack.end <= start || stack.start >= end)
			continue;
		r = add_place(search, start, stack.start, holder, 0);
		start = stack.end;
	}
	return r ? r : add_place(search, start, end, holder, 0);
}

static int add_arenas(struct search *search, const struct glibc_arenas *arenas, const struct fact_thread *threads,
			 size_t n_threads)
{

	uint32_t holder = HOLDER_OTHER;
	int r = 0;

	for (size_t i = 0; i < arenas->n_heaps && r == 0; i++) {
		const struct glibc_heap *heap = &arenas->heap[i];

		if (!i || heap->arena != heap[-1].arena)
			holder = arena_holder(arenas, heap->arena, threads, n_threads);
		r = add_around_stacks(search, heap->start, heap->end, holder);
	}
	return r;
}

/* What of a mapping is no block: an allocator of other kind may have its memory between malloc's. */
static int add_gaps(struct search *search, uint64_t start, uint64_t end)
{
	const struct blocks *blocks = &search->blocks;
	int r = 0;

	for (size_t i = TABLE_PLACE(blocks->block, blocks->count, start, start);
	     i < blocks->count && blocks->block[i].start < end && r == 0; i++) {
		r = add_place(search, start, blocks->block[i].start, HOLDER_OTHER, 0);
		start = blocks->block[i].start + blocks->block[i].length;
	}
	return r ? r : add_place(search, start, end, HOLDER_OTHER, 0);
}

/* A program may have memory of its own that looks like a heap of glibc's. */
static bool has_heap(const struct glibc_arenas *arenas, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < arenas->n_heaps; i++) {
		if (arenas->heap[i].start < end && arenas->heap[i].end > start)
			return true;
	}
	return false;
}

/* The heap of brk is the main arena's, where the first thread sets the program up: others put the addresses of what they
 * make into its objects. Only of one who is alone it shows who made it; everything else is nobody's place. */
static int add_rest(struct search *search, const struct unowned *unowned, size_t n_unowned,
		       const struct glibc_arenas *arenas, const struct fact_thread *threads, size_t n_threads)
{
	const struct glibc_arena *main_arena = glibc_arenas_main(arenas);
	uint32_t holder = main_arena && n_threads == 1 ? arena_holder(arenas, main_arena->address, threads, n_threads) : HOLDER_OTHER;
	bool has_first = false; /* it may have ended while others live */
	int r = 0;

	for (size_t i = 0; i < n_threads; i++)
		has_first |= threads[i].is_leader && threads[i].stack_pointer;
	for (size_t i = 0; i < n_unowned && r == 0; i++) {
		uint64_t start = unowned[i].start, end = start + unowned[i].length;

		/* These are searched as what they are. */
		if ((unowned[i].kind == UNOWNED_STACK && has_first) ||
		    (unowned[i].kind == UNOWNED_ARENA && has_heap(arenas, start, end)))
			continue;
		if (unowned[i].kind == UNOWNED_MMAP)
			r = add_gaps(search, start, end);
		else
			r = add_around_stacks(search, start, end, unowned[i].kind == UNOWNED_HEAP ? holder : HOLDER_OTHER);
	}
	return r;
}

/* How much of each block is searched: all alike, but that those which have less leave it to the others. */
static uint64_t content_share(const struct blocks *blocks)
{
	uint64_t least = HEAD_BYTES, most = CONTENT_BYTES;

	while (most - least > PAGE) {
		uint64_t share = least + (most - least) / 2, sum = 0;

		for (size_t i = 0; i < blocks->count; i++)
			sum += blocks->block[i].present < share ? blocks->block[i].present : share;
		if (sum > CONTENT_BYTES)
			most = share;
		else
			least = share;
	}
	return least;
}

static int add_content(struct search *search, struct block *block, uint32_t holder)
{
	/* What of it is not there is not read. */
	uint64_t length = block->present < search->content ? block->length : search->content;

	block->searched = true;
	return add_place(search, block->start, block->start + length, holder, 0);
}

/* Blocks hold blocks: first those that are nobody's place, then from holder to held. */
static int search_blocks(struct search *search)
{
	struct blocks *blocks = &search->blocks;
	bool again = true;
	int r = 0;

	search->content = content_share(blocks);
	for (size_t i = 0; i < blocks->count && r == 0; i++) {
		if (blocks->block[i].holder && !block_holder(&blocks->block[i]))
			r = add_content(search, &blocks->block[i], HOLDER_OTHER);
	}
	r = r ? r : search_places(search);
	while (again && r == 0) {
		again = false;
		for (size_t i = 0; i < blocks->count && r == 0; i++) {
			struct block *block = &blocks->block[i];

			if (block->searched || !block_holder(block))
				continue;
			r = add_content(search, block, block_holder(block));
			again = true;
		}
		r = r ? r : search_places(search);
	}
	for (size_t i = 0; i < blocks->count && r == 0; i++) {
		if (!blocks->block[i].searched)
			r = add_content(search, &blocks->block[i], HOLDER_OTHER);
	}
	return r ? r : search_places(search);
}

static int emit_found(const struct search *search, uint32_t target, uint64_t time_ns,
		      const struct fact_thread *threads, const struct fact_sink *sink)
{
	struct fact fact = {.target = target, .time_ns = time_ns};
	int r = 0;

	for (size_t i = 0; i < search->blocks.count && r == 0; i++) {
		const struct block *block = &search->blocks.block[i];

		if (!block_holder(block))
			continue;
		fact.kind = block_maker(block) ? FACT_RANGE_OWNER : FACT_RANGE_HELD;
		fact.range = (struct fact_range){.who = threads[block_holder(block) - 1].id, .start = block->start,
						 .length = block->length};
		r = sink->emit(sink->context, &fact);
	}
	return r;
}

int glibc_blocks(uint32_t pid, const char *procfs, uint32_t target, uint64_t time_ns, const struct fact_thread *threads,
		 const uint64_t *kinds, size_t n_threads, const struct glibc_arenas *arenas, const struct unowned *unowned, size_t n_unowned,
		 const struct glibc_descriptor *descriptor, uint64_t budget_ns, const struct fact_sink *sink)
{
	/* `arg` follows `start_routine` in struct pthread (nptl/descr.h). */
	uint32_t argument = descriptor->start_routine ? descriptor->start_routine + 8 : 0;

	_cleanup_(search_clear) struct search search = {.stray_left = STRAY_PAGES,
						       .fault_bytes = fault_bytes("", HUGE_BYTES)};
	int r = memory_pages_open(&search.pages, pid, procfs, budget_ns);
	struct process_faults process;

	if (r < 0)
		return r;
	glibc_read_process(search.pages.reader.procfs, pid, &process);
	r = find_blocks(&search, unowned, n_unowned);
	if (r < 0 || !search.blocks.count)
		return r;
	r = add_stacks(&search, threads, n_threads, find_first_stack(unowned, n_unowned), argument);
	if (r == 0)
		r = add_arenas(&search, arenas, threads, n_threads);
	if (r == 0)
		r = add_rest(&search, unowned, n_unowned, arenas, threads, n_threads);
	if (r == 0)
		r = search_places(&search);
	if (r == 0)
		r = search_blocks(&search);
	/* Half a search proves nothing: where it was not looked, another may hold the address too. */
	if (r < 0)
		return r;
	r = glibc_doubt(&search.blocks, search.pages.reader.procfs, pid, &process, threads, kinds, n_threads);
	if (r < 0)
		return r;
	return emit_found(&search, target, time_ns, threads, sink);
}
