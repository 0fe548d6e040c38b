/* SPDX-License-Identifier: GPL-2.0-only */
/* How much of glibc's heaps is free inside, though resident: kept by malloc. Reads them one by one within a share of
 * the time. It must not know whose they are. */
#include "../boottime.h"
#include "glibc_kept.h"
#include "memory_pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ULL
#define RUNS_MAX (1U << 20) /* of one heap */
#define WINDOW_MIN 512U         /* words */
#define WINDOW_MAX (32U << 10)
/* For one heap, whatever the budget; what takes longer cannot be read while it is in use. */
#define HEAP_NS (100 * NSEC_PER_MSEC)
/* On the average it may take one part in so many of the time. */
#define SHARE 200
#define TRIES 2
/* The heap of brk is read by such pieces. */
#define PIECE_BYTES (64ULL << 20)
#define FAILURES_MAX 4

struct run {
	uint64_t start, end;
};

struct heap_reading {
	struct memory_pages *pages;
	struct run *run; /* present pages, ascending */
	size_t n_runs, room;
	size_t at; /* the run that free chunks are in now: they ascend */
	uint64_t covered; /* what lies below is counted already */
	uint64_t resident, kept;
};

static int add_run(void *context, const struct page_run *found)
{
	struct heap_reading *reading = context;

	if (!(found->categories & SCAN_PAGE_IS_PRESENT))
		return 0;
	if (found->end > reading->covered)
		reading->resident += found->end - (found->start > reading->covered ? found->start : reading->covered);
	if (reading->n_runs && reading->run[reading->n_runs - 1].end == found->start) {
		reading->run[reading->n_runs - 1].end = found->end;
		return 0;
	}
	if (reading->n_runs == reading->room) {
		size_t room = reading->room ? reading->room * 2 : 256;
		struct run *grown = room > RUNS_MAX ? NULL : reallocarray(reading->run, room, sizeof(*grown));

		if (!grown)
			return room > RUNS_MAX ? -E2BIG : -ENOMEM;
		reading->run = grown;
		reading->room = room;
	}
	reading->run[reading->n_runs++] = (struct run){found->start, found->end};
	return 0;
}

static int count_run(void *context, const struct page_run *found)
{
	*(uint64_t *)context += found->categories & SCAN_PAGE_IS_PRESENT ? found->end - found->start : 0;
	return 0;
}

/* Of a free chunk only what is resident is kept: pages inside may have been given back. */
static void add_free(void *context, uint64_t start, uint64_t end)
{
	struct heap_reading *reading = context;

	while (reading->at < reading->n_runs && reading->run[reading->at].end <= start)
		reading->at++;
	for (size_t i = reading->at; i < reading->n_runs && reading->run[i].start < end; i++) {
		uint64_t from = reading->run[i].start > start ? reading->run[i].start : start;
		uint64_t to = reading->run[i].end < end ? reading->run[i].end : end;

		reading->kept += to - from;
	}
}

static const struct run *run_of(const struct heap_reading *reading, uint64_t address)
{
	size_t low = 0, high = reading->n_runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (reading->run[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < reading->n_runs && reading->run[low].start <= address ? &reading->run[low] : NULL;
}

/* Small chunks are read by large windows, large ones are skipped: the window grows while it is of use. Up to the header
 * that lies at `stop` or behind it, or to the end: then walk->at is 0. */
static int walk_heap(struct heap_reading *reading, struct malloc_walk *walk, uint64_t stop, uint64_t began)
{
	enum malloc_walk_state state = MALLOC_WALK_ON;
	uint64_t read_to = 0;
	/* A small heap is read by one call. */
	size_t smallest = reading->resident <= WINDOW_MAX * 8 ? WINDOW_MAX : WINDOW_MIN, window = smallest;

	while (state == MALLOC_WALK_ON && walk->at < stop) {
		uint64_t at = walk->at & ~(PAGE - 1), room;
		const struct run *run = run_of(reading, at);
		struct memory_piece piece = {.address = at, .buffer = reading->pages->buffer};
		int r;

		if (!run)
			return -EAGAIN; /* not there, so no header: it changed, or is swapped out */
		room = (run->end - at) / 8;
		window = walk->at - read_to < PAGE && window < WINDOW_MAX ? window * 2 : smallest;
		piece.size = (room < window ? room : window) * 8;
		r = memory_read_pieces(&reading->pages->reader, &piece, 1);
		if (r < 0)
			return r;
		if (!piece.read)
			return -EAGAIN;
		read_to = at + piece.size;
		state = malloc_walk_feed(walk, at, reading->pages->buffer, piece.size / 8);
		if (thread_cputime() - began > HEAP_NS)
			return -ETIME;
	}
	if (state == MALLOC_WALK_DONE)
		walk->at = 0;
	return state == MALLOC_WALK_BROKEN ? -EAGAIN : 0;
}

/* ---- what a heap looks like now ------------------------------------------------------------------------ */

static bool read_word(struct memory_pages *pages, uint64_t address, uint64_t *ret_word)
{
	struct memory_piece piece = {.address = address, .buffer = ret_word, .size = sizeof(*ret_word)};

	return address && memory_read_pieces(&pages->reader, &piece, 1) == 0 && piece.read;
}

static uint64_t chunk_align(uint64_t address)
{
	return (address + 15) & ~15ULL;
}

static bool thread_heap(struct memory_pages *pages, const struct glibc_arenas *arenas, const struct glibc_heap *heap,
			uint64_t top, struct malloc_walk *walk)
{
	uint64_t info_bytes = heap->arena % MALLOC_HEAP_BYTES, size;

	if (!read_word(pages, heap->start + 16, &size) || size < PAGE || size > MALLOC_HEAP_BYTES || size % PAGE)
		return false;
	walk->end = heap->start + size;
	walk->top = top >= heap->start && top < walk->end ? top : 0;
	/* The arena itself lies in its first heap, behind heap_info. */
	walk->at = heap->arena - info_bytes == heap->start ? chunk_align(heap->arena + arenas->layout.size)
							   : chunk_align(heap->start + info_bytes);
	return true;
}

/* Where the heap of brk began: field 47 of stat. */
static uint64_t brk_start(struct memory_pages *pages)
{
	struct procfs *procfs = pages->reader.procfs;
	struct proc_dir dir;
	char *field, *save = NULL;
	int number = 3;

	if (procfs_living(procfs, pages->reader.pid, &dir) < 0 || procfs_read(procfs, "%s/stat", dir.path) < 0)
		return 0;
	field = strrchr(procfs->buffer, ')');
	field = field ? strtok_r(field + 1, " ", &save) : NULL;
	for (; field && number < 47; number++)
		field = strtok_r(NULL, " ", &save);
	return field ? strtoull(field, NULL, 10) : 0;
}

static bool main_heap(struct memory_pages *pages, uint64_t top, struct malloc_walk *walk)
{
	uint64_t size, start = brk_start(pages);

	walk->at = chunk_align(start);
	walk->top = top;
	walk->links_are_mixed &= malloc_walk_tells_links(walk->at);
	if (!start || top < walk->at || !read_word(pages, top + 8, &size) || size > UINT64_MAX - top)
		return false;
	walk->end = top + (size & ~7ULL);
	return true;
}

/* What the headers have as in use, though it is free. */
static int add_fastbins(struct heap_reading *reading, const struct malloc_layout *layout, uint64_t arena, uint64_t start,
			const struct malloc_walk *walk)
{
	uint64_t bytes;

	if (walk->links_are_mixed)
		return 0; /* the walk has seen it */
	bytes = glibc_fastbins(&reading->pages->reader, layout, arena, start, walk->end, thread_cputime() + HEAP_NS);
	if (bytes == UNKNOWN_U64)
		return -ETIME;
	reading->kept += bytes;
	return 0;
}

static int tell(struct fact *fact, const struct fact_sink *sink)
{
	if (fact->arena.kept > fact->arena.resident) /* between the two the heap has changed */
		fact->arena.kept = fact->arena.resident;
	fact->time_ns = boottime();
	return sink->emit(sink->context, fact);
}

/* With all that is free in threads' caches no fastbin shows it; and what was walked so far was taken for in use. */
static bool links_turn_out_mixed(const struct malloc_walk *walk, enum glibc_links *links)
{
	if (*links != LINKS_UNKNOWN || !walk->n_mixed)
		return false;
	*links = LINKS_MIXED;
	return true;
}

/* What a thread makes. -EAGAIN: it changed meanwhile, or is to be read anew. */
static int read_heap(struct memory_pages *pages, const struct glibc_arenas *arenas, const struct glibc_arena *arena,
		     const struct glibc_heap *heap, enum glibc_links *links, struct fact *fact)
{
	struct heap_reading reading = {.pages = pages};
	struct malloc_walk walk = {.found = add_free, .context = &reading, .links_are_mixed = *links == LINKS_MIXED};
	struct run_sink runs = {add_run, &reading};
	uint64_t began = thread_cputime(), top;
	int r = -EAGAIN;

	if (read_word(pages, arena->address + arenas->layout.top, &top) && thread_heap(pages, arenas, heap, top, &walk)) {
		r = memory_pages_runs(pages, heap->start, walk.end, &runs);
		if (r == 0)
			r = walk_heap(&reading, &walk, UINT64_MAX, began);
		if (r == 0 && links_turn_out_mixed(&walk, links))
			r = -EAGAIN;
		if (r == 0)
			r = add_fastbins(&reading, &arenas->layout, arena->address, heap->start, &walk);
		fact->arena = (struct fact_arena){.heap = heap->start, .address = arena->address,
						  .resident = reading.resident, .kept = reading.kept};
	}
	free(reading.run);
	return r;
}

/* The next piece of the heap of brk, on from where the last one ended: what was found in it goes to `reading`. */
static int read_piece(struct heap_reading *reading, const struct glibc_arenas *arenas, const struct glibc_arena *arena,
		      enum glibc_links *links, struct glibc_kept_main *progress)
{
	struct malloc_walk walk = progress->walk, now = {.links_are_mixed = *links == LINKS_MIXED};
	struct run_sink runs = {add_run, reading};
	uint64_t began = thread_cputime(), top, start, stop;
	int r;

	if (!read_word(reading->pages, arena->address + arenas->layout.top, &top) || !main_heap(reading->pages, top, &now))
		return -EAGAIN;
	if (!walk.at || walk.at > top) {
		/* Of one that has shrunk below that, what was told is of no use any more. */
		*progress = (struct glibc_kept_main){.told = walk.at ? 0 : progress->told, .failures = progress->failures};
		walk = now;
		r = memory_pages_runs(reading->pages, walk.at & ~(PAGE - 1), walk.end, &(struct run_sink){count_run, &progress->whole});
		if (r < 0)
			return r;
	}
	walk.top = now.top;
	walk.end = now.end;
	walk.found = add_free;
	walk.context = reading;
	/* Whether the last chunk is free is known only now: all of it is looked at. */
	start = (walk.before ? walk.before : walk.at) & ~(PAGE - 1);
	stop = (walk.at & ~(PAGE - 1)) + PIECE_BYTES;
	/* The top is not walked: it is taken as one. */
	stop = top < stop ? walk.end : stop;
	reading->covered = progress->covered;
	r = memory_pages_runs(reading->pages, start, stop, &runs);
	if (r == 0)
		r = walk_heap(reading, &walk, stop, began);
	if (r == 0 && links_turn_out_mixed(&walk, links)) {
		*progress = (struct glibc_kept_main){.told = progress->told, .failures = progress->failures};
		r = -EAGAIN;
	}
	if (r < 0)
		return r;
	progress->walk = walk;
	progress->covered = stop;
	progress->resident += reading->resident;
	progress->kept += reading->kept;
	return 0;
}

static int tell_main(struct memory_pages *pages, const struct glibc_arenas *arenas, const struct glibc_arena *arena,
		     struct glibc_kept_main *progress, struct fact *fact, const struct fact_sink *sink)
{
	struct heap_reading reading = {.pages = pages, .kept = progress->kept};
	uint64_t rest = progress->whole > progress->resident ? progress->whole - progress->resident : 0;
	uint64_t unread = !progress->walk.at ? 0 : rest ? rest : PAGE;

	if (unread && progress->resident <= progress->told)
		return 0;
	if (!unread && add_fastbins(&reading, &arenas->layout, arena->address, 0, &progress->walk) < 0)
		return 0;
	progress->told = unread ? progress->resident : UNKNOWN_U64;
	fact->arena = (struct fact_arena){.address = arena->address, .is_main = true, .resident = progress->resident,
					  .kept = reading.kept, .unread = unread};
	return tell(fact, sink);
}

/* On as far as the time goes. */
static int read_main(struct memory_pages *pages, const struct glibc_arenas *arenas, const struct glibc_arena *arena,
		     struct glibc_kept *kept, struct fact *fact, const struct fact_sink *sink)
{
	struct glibc_kept_main *progress = &kept->main;
	int r = 0;

	do {
		struct heap_reading reading = {.pages = pages};

		r = read_piece(&reading, arenas, arena, &kept->links, progress);
		free(reading.run);
		progress->failures = r < 0 ? progress->failures + 1 : 0;
	} while (!memory_pages_spent(pages) &&
		 ((r == 0 && progress->walk.at) || (r == -EAGAIN && progress->failures < FAILURES_MAX)));
	if (progress->failures >= FAILURES_MAX) /* where it goes on is no chunk any more */
		*progress = (struct glibc_kept_main){.told = progress->told};
	if ((r < 0 && r != -EAGAIN && r != -ETIME && r != -E2BIG) || !progress->resident)
		return r;
	return tell_main(pages, arenas, arena, progress, fact, sink);
}

static int read_one(struct memory_pages *pages, const struct glibc_arenas *arenas, const struct glibc_arena *arena,
		    const struct glibc_heap *heap, struct glibc_kept *kept, struct fact *fact, const struct fact_sink *sink)
{
	int r = -EAGAIN;

	if (kept->links == LINKS_UNKNOWN)
		kept->links = glibc_links(&pages->reader, &arenas->layout, arena->address);
	for (int i = 0; heap && i < TRIES && r == -EAGAIN; i++)
		r = read_heap(pages, arenas, arena, heap, &kept->links, fact);
	r = !heap ? read_main(pages, arenas, arena, kept, fact, sink) : r == 0 ? tell(fact, sink) : r;
	return r == -EAGAIN || r == -ETIME || r == -E2BIG ? 0 : r;
}

int glibc_kept(uint32_t pid, const char *procfs, uint32_t target, const struct glibc_arenas *arenas,
	       struct glibc_kept *kept, uint64_t budget_ns, const struct fact_sink *sink)
{
	_cleanup_(memory_pages_close) struct memory_pages pages = {.tables = {.fd = -1}, .reader = MEMORY_READER_NONE};
	const struct glibc_arena *main_arena = glibc_arenas_main(arenas);
	struct fact fact = {.kind = FACT_ARENA_KEPT, .target = target};
	size_t count = arenas->n_heaps + (main_arena ? 1 : 0), first;
	int r;

	if (!count || !arenas->layout.size || boottime() < kept->next_ns)
		return 0;
	r = memory_pages_open(&pages, pid, procfs, budget_ns ? budget_ns : 1);
	first = (size_t)(kept->cursor % count);
	for (size_t i = 0; i < count && r == 0 && (!i || !memory_pages_spent(&pages)); i++) {
		size_t at = (first + i) % count;
		const struct glibc_heap *heap = at < arenas->n_heaps ? &arenas->heap[at] : NULL;
		const struct glibc_arena *arena = heap ? glibc_arenas_find(arenas, heap->arena) : main_arena;

		if (arena && arena->read)
			r = read_one(&pages, arenas, arena, heap, kept, &fact, sink);
		/* The heap of brk is gone on with, once begun. */
		kept->cursor = heap || !kept->main.walk.at ? at + 1 : at;
	}
	kept->next_ns = boottime() + (thread_cputime() - pages.began_ns) * SHARE;
	return r;
}
