/* SPDX-License-Identifier: GPL-2.0-only */
/* glibc's arenas from outside: which heap belongs to which arena, and which arena each thread uses. It
 * must not know who is charged with what is in them. */
#include "glibc_arenas.h"
#include "glibc.h"

#include <errno.h>

/* The word `thread_arena` is in libc's static TLS, which ends at the thread control block (at fsbase-56 on
 * glibc 2.36; FACTS: within 512 bytes on all that were looked at). */
#define TLS_BYTES 512
#define TLS_WORDS (TLS_BYTES / 8)
#define STATIC_TLS_MAX (64ULL << 20) /* a sanity bound: what is found there must prove itself */
#define MODULES_MAX 255
#define LEARN_THREADS 3
#define MISSES_MAX 3 /* a process without glibc's malloc is no reason to look at each birth */
#define MISSES_SPACING 32
#define BATCH 64
#define USER_MIN 65536          /* vm.mmap_min_addr */
#define USER_MAX (1ULL << 56)

/* glibc.malloc.hugetlb=2 makes heaps of at most four huge pages (heap_max_size, malloc/arena.c, since 2.35). What they
 * are is not told apart here: their memory is known as other mappings are. */
#define SMALL_HEAP_BYTES (8ULL << 20)

struct walk {
	struct memory_reader *reader;
	const struct fact_thread *threads;
	size_t n_threads;
	struct glibc_arenas *arenas;
	uint64_t *of; /* by thread: its arena */
	size_t heaps_left; /* a hostile chain of heaps must end */
	bool has_small_heaps;
};

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
	*arenas = (struct glibc_arenas){.n_arenas = 0};
}

static int arena_add(struct glibc_arenas *arenas, uint64_t address, bool is_main)
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

/* ---- the arena words of threads ------------------------------------------------------------------- */

struct candidate {
	size_t thread;
	uint64_t word;
	uint32_t below; /* the thread pointer */
};

static int prove_candidates(struct walk *walk, const struct candidate *candidates, size_t count)
{
	struct memory_piece pieces[BATCH];
	uint64_t first[BATCH] = {0};
	int error;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct memory_piece){candidates[i].word / MALLOC_HEAP_BYTES * MALLOC_HEAP_BYTES,
						  &first[i], sizeof(first[i]), false};
	error = memory_read_pieces(walk->reader, pieces, count);
	for (size_t i = 0; i < count && !error; i++) {
		if (!pieces[i].read || first[i] != candidates[i].word)
			continue;
		walk->of[candidates[i].thread] = first[i];
		walk->arenas->word = candidates[i].below;
		error = arena_add(walk->arenas, first[i], false);
	}
	return error;
}

static bool is_readable(const struct fact_thread *thread)
{
	return thread->tls_base > TLS_BYTES + USER_MIN && thread->tls_base < USER_MAX && !thread->is_io_worker;
}

static int read_words(struct walk *walk, const size_t *batch, size_t count)
{
	struct candidate candidates[BATCH];
	struct memory_piece pieces[BATCH];
	uint64_t words[BATCH][TLS_WORDS] = {0};
	size_t n = 0;
	int error;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct memory_piece){walk->threads[batch[i]].tls_base - TLS_BYTES, words[i], TLS_BYTES,
						  false};
	error = memory_read_pieces(walk->reader, pieces, count);
	for (size_t i = 0; i < count && !error; i++) {
		/* The word nearest to the control block is libc's; one candidate a thread. */
		for (size_t w = pieces[i].read ? TLS_WORDS : 0; w > 0; w--) {
			if (!malloc_is_heap_arena(words[i][w - 1]))
				continue;
			candidates[n++] = (struct candidate){batch[i], words[i][w - 1],
							     (uint32_t)(TLS_BYTES - (w - 1) * 8)};
			break;
		}
	}
	return error ? error : prove_candidates(walk, candidates, n);
}

static int each_batch(struct walk *walk, bool without_arena_only, int (*read)(struct walk *, const size_t *, size_t))
{
	size_t batch[BATCH], n = 0;
	int error = 0;

	for (size_t i = 0; i < walk->n_threads && !error; i++) {
		if (is_readable(&walk->threads[i]) && (!without_arena_only || !walk->of[i]))
			batch[n++] = i;
		if (n == BATCH || (n && i + 1 == walk->n_threads)) {
			error = read(walk, batch, n);
			n = 0;
		}
	}
	return error;
}

/* ---- the ring of arenas ----------------------------------------------------------------------------- */

/* Bytes of a malloc_state; those of the main one may end where libc's data end. */
static bool state_parse(struct walk *walk, const unsigned char *bytes, size_t length, struct glibc_arena *arena)
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
static int try_main(struct walk *walk, uint64_t address)
{
	struct glibc_arena arena = {.address = address};
	unsigned char bytes[MALLOC_STATE_BYTES];
	ssize_t n;

	if (address < USER_MIN || address >= USER_MAX || address % 8 || glibc_arenas_main(walk->arenas))
		return 0;
	n = memory_read_present(walk->reader, walk->reader->via, address, bytes, sizeof(bytes));
	if (n <= 0 || !state_parse(walk, bytes, (size_t)n, &arena))
		return n == -ESRCH ? -ESRCH : 0;
	return arena_add(walk->arenas, address, true);
}

/* Does the heap that begins at the multiple of `size` below name it? */
static bool heap_names(const struct walk *walk, uint64_t address, uint64_t size)
{
	uint64_t first;

	return memory_read_present(walk->reader, walk->reader->via, address / size * size, &first, sizeof(first)) ==
		       sizeof(first) && first == address;
}

/* An arena that a proven one names as its next. */
static int try_next(struct walk *walk, uint64_t address)
{
	if (glibc_arenas_find(walk->arenas, address))
		return 0;
	if (malloc_is_heap_arena(address))
		return heap_names(walk, address, MALLOC_HEAP_BYTES) ? arena_add(walk->arenas, address, false) : 0;
	walk->has_small_heaps |= address % 8 == 0 && heap_names(walk, address, SMALL_HEAP_BYTES);
	return walk->has_small_heaps ? 0 : try_main(walk, address);
}

static int read_states(struct walk *walk)
{
	_cleanup_(freep) unsigned char *bytes = malloc(BATCH * MALLOC_STATE_BYTES);
	struct memory_piece pieces[BATCH];
	size_t of[BATCH], n = 0;

	if (!bytes)
		return -ENOMEM;
	for (size_t i = 0; i <= walk->arenas->n_arenas; i++) {
		bool last = i == walk->arenas->n_arenas;
		int error;

		if (!last && !walk->arenas->arena[i].tried) {
			walk->arenas->arena[i].tried = true;
			of[n] = i;
			pieces[n] = (struct memory_piece){walk->arenas->arena[i].address, bytes + n * MALLOC_STATE_BYTES,
							  MALLOC_STATE_BYTES, false};
			n++;
		}
		if (n < BATCH && !(last && n))
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
static int close_ring(struct walk *walk)
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
			error = try_next(walk, next);
		}
	} while (!error && arenas->n_arenas > before);
	return error;
}

/* The words of libc's static TLS in one thread: one of them names an arena. */
static int try_window(struct walk *walk, const struct fact_thread *thread, uint64_t start)
{
	uint64_t words[TLS_WORDS] = {0};
	ssize_t n = memory_read_present(walk->reader, walk->reader->via, start, words, sizeof(words));
	int error = 0;

	for (size_t w = n > 0 ? (size_t)n / 8 : 0; w > 0 && !error && !walk->arenas->n_arenas; w--) {
		error = malloc_is_heap_arena(words[w - 1]) ? try_next(walk, words[w - 1]) : try_main(walk, words[w - 1]);
		if (walk->arenas->n_arenas)
			walk->arenas->word = (uint32_t)(thread->tls_base - start - (w - 1) * 8);
	}
	return error;
}

/* Other modules' TLS may lie between: where each module's is, stands in the thread's vector (dtv), which the control
 * block's second word names. Two words an entry: its length; a generation; then a module each, its address first. What
 * lies behind its end are other things, among them vectors of threads that are gone. */
static int try_modules(struct walk *walk, const struct fact_thread *thread)
{
	uint64_t vector, entries[MODULES_MAX + 2][2] = {0};
	struct memory_reader *reader = walk->reader;
	size_t count;
	ssize_t n = memory_read_present(reader, reader->via, thread->tls_base + 8, &vector, sizeof(vector));
	int error = 0;

	if (n != sizeof(vector) || vector < USER_MIN || vector >= USER_MAX ||
	    memory_read_present(reader, reader->via, vector - sizeof(entries[0]), entries, sizeof(entries[0])) !=
		    sizeof(entries[0]))
		return 0;
	count = (entries[0][0] < MODULES_MAX ? entries[0][0] : MODULES_MAX) + 2;
	n = memory_read_present(reader, reader->via, vector - sizeof(entries[0]), entries, count * sizeof(entries[0]));
	for (size_t i = 2; n > 0 && i < (size_t)n / sizeof(entries[0]) && !error && !walk->arenas->n_arenas; i++) {
		if (entries[i][0] < thread->tls_base && thread->tls_base - entries[i][0] <= STATIC_TLS_MAX)
			error = try_window(walk, thread, entries[i][0]);
	}
	return error;
}

/* No arena was found next to a control block: so libc's TLS lies further away, or all use the main arena. */
static int learn_word(struct walk *walk)
{
	size_t tried = 0;
	int error = 0;

	for (size_t i = 0; i < walk->n_threads && tried < LEARN_THREADS && !walk->arenas->n_arenas && !error; i++) {
		const struct fact_thread *thread = &walk->threads[i];

		if (!is_readable(thread))
			continue;
		tried++;
		error = try_window(walk, thread, thread->tls_base - TLS_BYTES);
		if (!error && !walk->arenas->n_arenas)
			error = try_modules(walk, thread);
	}
	return error;
}

static int read_known_words(struct walk *walk, const size_t *batch, size_t count)
{
	const struct glibc_arena *main_arena = glibc_arenas_main(walk->arenas);
	struct candidate candidates[BATCH];
	struct memory_piece pieces[BATCH];
	uint64_t words[BATCH] = {0};
	size_t n = 0;
	int error;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct memory_piece){walk->threads[batch[i]].tls_base - walk->arenas->word, &words[i],
						  sizeof(words[i]), false};
	error = memory_read_pieces(walk->reader, pieces, count);
	for (size_t i = 0; i < count && !error; i++) {
		if (pieces[i].read && main_arena && words[i] == main_arena->address)
			walk->of[batch[i]] = words[i];
		else if (pieces[i].read && malloc_is_heap_arena(words[i]))
			candidates[n++] = (struct candidate){batch[i], words[i], walk->arenas->word};
	}
	return error || !n ? error : prove_candidates(walk, candidates, n);
}

/* ---- heaps ------------------------------------------------------------------------------------------- */

/* From the newest heap, which holds the top chunk, back to the first, which holds the arena. */
static int read_heaps(struct walk *walk)
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

static void count_threads(struct walk *walk)
{
	for (size_t i = 0; i < walk->n_threads; i++) {
		struct glibc_arena *arena = walk->of[i] ? glibc_arenas_find(walk->arenas, walk->of[i]) : NULL;

		if (!arena)
			continue;
		arena->threads++;
		arena->thread = walk->threads[i].id;
	}
}

int glibc_arenas_read(struct memory_reader *reader, const struct fact_thread *threads, size_t n_threads,
		      struct glibc_arenas *arenas, uint64_t *ret_of)
{
	struct walk walk = {reader, threads, n_threads, arenas, ret_of, GLIBC_HEAPS_MAX, false};
	int error;

	arenas->n_arenas = arenas->n_heaps = 0;
	memset(ret_of, 0, n_threads * sizeof(*ret_of));
	error = each_batch(&walk, false, read_words);
	if (!error && !arenas->n_arenas && (arenas->misses < MISSES_MAX || arenas->misses % MISSES_SPACING == 0))
		error = learn_word(&walk);
	arenas->misses = arenas->n_arenas ? 0 : arenas->misses + 1;
	if (!error)
		error = close_ring(&walk);
	if (!error && arenas->word)
		error = each_batch(&walk, true, read_known_words);
	if (!error)
		error = read_states(&walk);
	if (!error)
		error = read_heaps(&walk);
	/* What was proven lies at a multiple of 64 MiB by chance, and others lie in those 64 MiB. */
	if (walk.has_small_heaps) {
		arenas->n_arenas = arenas->n_heaps = 0;
		memset(ret_of, 0, n_threads * sizeof(*ret_of));
	}
	if (!error)
		count_threads(&walk);
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
