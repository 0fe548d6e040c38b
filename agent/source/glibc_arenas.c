/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's arenas from outside: which heap belongs to which arena, and which arena each thread uses. It
 * must not know who is charged with what is in them. */
#include "glibc_arenas_internal.h"
#include "glibc.h"

#include <errno.h>

#define MISSES_MAX 3 /* a process without glibc's malloc is no reason to look at each birth */
#define MISSES_SPACING 32

/* glibc.malloc.hugetlb=2 makes heaps of at most four huge pages (heap_max_size, malloc/arena.c, since 2.35). What they
 * are is not told apart here: their memory is known as other mappings are. */
#define SMALL_HEAP_BYTES (8ULL << 20)

static size_t position(const struct glibc_arenas *arenas, uint64_t address)
{
	return TABLE_PLACE(arenas->arena, arenas->n_arenas, address, address);
}

struct glibc_arena *glibc_arenas_find(const struct glibc_arenas *arenas, uint64_t address)
{
	size_t at = position(arenas, address);

	return at < arenas->n_arenas && arenas->arena[at].address == address ? &arenas->arena[at] : NULL;
}

const struct glibc_arena *glibc_arenas_main(const struct glibc_arenas *arenas)
{
	for (size_t i = 0; i < arenas->n_arenas; i++) {
		if (arenas->arena[i].is_main)
			return &arenas->arena[i];
	}
	return NULL;
}

void glibc_arenas_clear(struct glibc_arenas *arenas)
{
	free(arenas->arena);
	free(arenas->heap);
	free(arenas->words);
	*arenas = (struct glibc_arenas){.n_arenas = 0};
}

int arena_walk_add(struct glibc_arenas *arenas, uint64_t address, bool is_main)
{
	size_t at = position(arenas, address);

	if (at < arenas->n_arenas && arenas->arena[at].address == address)
		return 0;
	if (arenas->n_arenas == GLIBC_ARENAS_MAX)
		return 0;
	if (TABLE_GROW(arenas->arena, arenas->n_arenas, arenas->arena_room, 16))
		return -ENOMEM;
	memmove(&arenas->arena[at + 1], &arenas->arena[at], (arenas->n_arenas - at) * sizeof(*arenas->arena));
	arenas->arena[at] = (struct glibc_arena){.address = address, .is_main = is_main};
	arenas->n_arenas++;
	return 0;
}

static int heap_add(struct glibc_arenas *arenas, uint64_t arena, uint64_t start, uint64_t size)
{
	if (arenas->n_heaps == GLIBC_HEAPS_MAX)
		return -ENOSPC;
	if (TABLE_GROW(arenas->heap, arenas->n_heaps, arenas->heap_room, 16))
		return -ENOMEM;
	arenas->heap[arenas->n_heaps++] = (struct glibc_heap){start, start + size, arena};
	return 0;
}

/* ---- the ring of arenas ----------------------------------------------------------------------------- */

/* Bytes of a malloc_state; those of the main one may end where libc's data end. */
static bool state_parse(struct arena_walk *walk, const unsigned char *bytes, size_t length, struct glibc_arena *arena)
{
	struct malloc_layout layout;

	if (malloc_layout_find(bytes, length, arena->address, &layout) < 0)
		return false;
	if (!walk->arenas->layout.size)
		walk->arenas->layout = layout;
	if (memcmp(&layout, &walk->arenas->layout, sizeof(layout)) != 0)
		return false;
	arena->top = malloc_word(bytes, layout.top);
	arena->next = malloc_word(bytes, layout.next);
	arena->read = true;
	return true;
}

/* The main arena, at an address that somebody names: nothing but its own bins can prove it. */
int arena_walk_try_main(struct arena_walk *walk, uint64_t address)
{
	struct glibc_arena arena = {.address = address};
	unsigned char bytes[MALLOC_STATE_BYTES];
	ssize_t n;

	if (address < USER_MIN || address >= USER_MAX || address % 8 || glibc_arenas_main(walk->arenas))
		return 0;
	n = memory_read_present(walk->reader, walk->reader->via, address, bytes, sizeof(bytes));
	if (n <= 0 || !state_parse(walk, bytes, (size_t)n, &arena))
		return n == -ESRCH ? -ESRCH : 0;
	return arena_walk_add(walk->arenas, address, true);
}

/* Does the heap that begins at the multiple of `size` below name it? */
static bool heap_names(const struct arena_walk *walk, uint64_t address, uint64_t size)
{
	uint64_t first;

	return memory_read_present(walk->reader, walk->reader->via, address / size * size, &first, sizeof(first)) ==
		       sizeof(first) && first == address;
}

/* An arena that a proven one names as its next. */
int arena_walk_try_next(struct arena_walk *walk, uint64_t address)
{
	if (glibc_arenas_find(walk->arenas, address))
		return 0;
	if (malloc_is_heap_arena(address))
		return heap_names(walk, address, MALLOC_HEAP_BYTES) ? arena_walk_add(walk->arenas, address, false) : 0;
	walk->has_small_heaps |= address % 8 == 0 && heap_names(walk, address, SMALL_HEAP_BYTES);
	return walk->has_small_heaps ? 0 : arena_walk_try_main(walk, address);
}

static int read_states(struct arena_walk *walk)
{
	_cleanup_(freep) unsigned char *bytes = malloc(ARENA_BATCH * MALLOC_STATE_BYTES);
	struct memory_piece pieces[ARENA_BATCH];
	size_t of[ARENA_BATCH], n = 0;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i <= walk->arenas->n_arenas; i++) {
		bool last = i == walk->arenas->n_arenas;
		int error;

		if (!last && !walk->arenas->arena[i].tried) {
			walk->arenas->arena[i].tried = true;
			of[n] = i;
			pieces[n] = (struct memory_piece){.address = walk->arenas->arena[i].address,
							  .buffer = bytes + n * MALLOC_STATE_BYTES,
							  .size = MALLOC_STATE_BYTES};
			n++;
		}
		if (n < ARENA_BATCH && !(last && n))
			continue;
		error = memory_read_pieces(walk->reader, pieces, n);
		if (error)
			return error;
		for (size_t k = 0; k < n; k++) {
			struct glibc_arena *arena = &walk->arenas->arena[of[k]];
			size_t length = MALLOC_STATE_BYTES;

			if (!pieces[k].read) {
				ssize_t got = memory_read(walk->reader, walk->reader->via, arena->address,
							  pieces[k].buffer, MALLOC_STATE_BYTES);

				length = got > 0 ? (size_t)got : 0;
			}
			state_parse(walk, pieces[k].buffer, length, arena);
		}
		n = 0;
	}
	return 0;
}

/* Arenas are linked in a ring, through the main one: those that no living thread uses are found so. */
static int close_ring(struct arena_walk *walk)
{
	struct glibc_arenas *arenas = walk->arenas;
	size_t before;
	int error;

	do {
		before = arenas->n_arenas;
		error = read_states(walk);
		for (size_t i = 0; i < arenas->n_arenas && !error; i++) {
			uint64_t next = arenas->arena[i].next;

			if (!arenas->arena[i].read || arenas->arena[i].followed)
				continue;
			arenas->arena[i].followed = true;
			error = arena_walk_try_next(walk, next);
		}
	} while (!error && arenas->n_arenas > before);
	return error;
}

/* ---- heaps ------------------------------------------------------------------------------------------- */

/* From the newest heap, which holds the top chunk, back to the first, which holds the arena. */
static int read_heaps(struct arena_walk *walk)
{
	struct glibc_arenas *arenas = walk->arenas;

	for (size_t i = 0; i < arenas->n_arenas; i++) {
		const struct glibc_arena *arena = &arenas->arena[i];
		uint64_t heap = arena->top / MALLOC_HEAP_BYTES * MALLOC_HEAP_BYTES;
		uint64_t first = arena->address / MALLOC_HEAP_BYTES * MALLOC_HEAP_BYTES;
		size_t kept = arenas->n_heaps;
		bool whole = false;
		int error = 0;

		if (arena->is_main || !arena->read)
			continue;
		while (!whole && !error && walk->heaps_left) {
			unsigned char bytes[MALLOC_HEAP_INFO_BYTES];
			struct malloc_heap_info info;
			ssize_t n = memory_read(walk->reader, walk->reader->via, heap, bytes, sizeof(bytes));

			walk->heaps_left--;
			if (n == -ESRCH)
				return -ESRCH;
			if (n != sizeof(bytes) || malloc_heap_parse(bytes, heap, arena->address, &info) < 0)
				break;
			error = heap_add(arenas, arena->address, heap, info.size);
			whole = heap == first;
			heap = info.prev;
		}
		if (error == -ENOMEM)
			return error;
		/* A chain that breaks off was being changed: the first heap is proven, the rest comes next time. */
		if (!whole) {
			arenas->n_heaps = kept;
			arenas->arena[i].read = false;
			if (heap_add(arenas, arena->address, first, MALLOC_HEAP_BYTES) == -ENOMEM)
				return -ENOMEM;
		}
	}
	return 0;
}

static void count_threads(struct arena_walk *walk)
{
	for (size_t i = 0; i < walk->n_threads; i++) {
		struct glibc_arena *arena = walk->of[i] ? glibc_arenas_find(walk->arenas, walk->of[i]) : NULL;

		if (!arena)
			continue;
		arena->threads++;
		arena->thread = walk->threads[i].id;
		walk->has_users = true;
	}
}

static void forget_arenas(struct arena_walk *walk)
{
	walk->arenas->n_arenas = walk->arenas->n_heaps = 0;
	memset(walk->of, 0, walk->n_threads * sizeof(*walk->of));
}

/* Where the main one is and where the words stand does not change while the image lives. */
static int find_arenas(struct arena_walk *walk)
{
	struct glibc_arenas *arenas = walk->arenas;
	const struct glibc_arena *main_arena;
	int error = arena_words_read(walk);

	if (!error && arenas->main_at)
		error = arena_walk_try_main(walk, arenas->main_at);
	if (!error && !arenas->n_arenas && (arenas->misses < MISSES_MAX || arenas->misses % MISSES_SPACING == 0))
		error = arena_words_learn(walk);
	arenas->misses = arenas->n_arenas ? 0 : arenas->misses + 1;
	if (!error)
		error = close_ring(walk);
	main_arena = glibc_arenas_main(arenas);
	arenas->main_at = main_arena ? main_arena->address : 0;
	if (!error && arenas->word)
		error = arena_words_read(walk);
	return error;
}

int glibc_arenas_read(struct memory_reader *reader, const struct fact_thread *threads, size_t n_threads,
		      struct glibc_arenas *arenas, uint64_t *ret_of)
{
	struct arena_walk walk = {.reader = reader, .threads = threads, .n_threads = n_threads, .arenas = arenas,
				  .of = ret_of, .heaps_left = GLIBC_HEAPS_MAX};
	int error;

	forget_arenas(&walk);
	error = find_arenas(&walk);
	if (!error)
		error = read_states(&walk);
	if (!error)
		error = read_heaps(&walk);
	arena_words_tell(&walk);
	/* What was proven lies at a multiple of 64 MiB by chance, and others lie in those 64 MiB. */
	if (walk.has_small_heaps)
		forget_arenas(&walk);
	if (!error)
		count_threads(&walk);
	/* A word that names nobody's arena is none. */
	if (!walk.has_users)
		arenas->word = 0;
	return error;
}

/* ---- as facts ------------------------------------------------------------------------------------------ */

static int emit_arenas(const struct glibc_arenas *arenas, struct fact *fact, const struct fact_sink *sink)
{
	const struct glibc_arena *main_arena = glibc_arenas_main(arenas);
	int error = 0;

	fact->kind = FACT_ARENA;
	if (main_arena && main_arena->read) {
		fact->arena = (struct fact_arena){
			.heap = main_arena->top, .address = main_arena->address, .is_main = true};
		error = sink->emit(sink->context, fact);
	}
	for (size_t i = 0; i < arenas->n_heaps && !error; i++) {
		fact->arena = (struct fact_arena){.heap = arenas->heap[i].start, .address = arenas->heap[i].arena};
		error = sink->emit(sink->context, fact);
	}
	return error;
}

int glibc_arenas(uint32_t pid, const char *procfs, uint32_t target, uint64_t time_ns, const struct fact_thread *threads,
		 size_t n_threads, struct glibc_arenas *arenas, const struct fact_sink *sink)
{
	_cleanup_(memory_reader_close) struct memory_reader reader = MEMORY_READER_NONE;
	_cleanup_(freep) uint64_t *of = calloc(n_threads + 1, sizeof(*of));
	struct fact fact = {.target = target, .time_ns = time_ns};
	int error;

	if (!of)
		return -ENOMEM;
	error = memory_reader_open(&reader, pid, procfs);
	if (!error)
		error = glibc_arenas_read(&reader, threads, n_threads, arenas, of);
	if (!error)
		error = emit_arenas(arenas, &fact, sink);
	fact.kind = FACT_THREAD_ARENA;
	for (size_t i = 0; i < n_threads && !error; i++) {
		if (!of[i])
			continue;
		fact.arena = (struct fact_arena){.who = threads[i].id, .address = of[i]};
		error = sink->emit(sink->context, &fact);
	}
	return error;
}
