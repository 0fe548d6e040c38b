/* SPDX-License-Identifier: GPL-2.0-only */
/* The words by which threads name their arenas: where they stand, and what is in them. It must not know what an arena
 * is made of. */
#include "glibc_arenas_internal.h"

#include <string.h>

/* The word `thread_arena` is in libc's static TLS, which ends at the thread control block (at fsbase-56 on
 * glibc 2.36; FACTS: within 512 bytes on all that were looked at). */
#define TLS_BYTES 512
#define TLS_WORDS (TLS_BYTES / 8)
#define STATIC_TLS_MAX (64ULL << 20) /* a sanity bound: what is found there must prove itself */
#define MODULES_MAX 255
#define LEARN_THREADS 3

/* ---- where they stand ---------------------------------------------------------------------------------- */

struct candidate {
	uint64_t word;
	uint32_t below; /* the thread pointer */
};

static int prove_candidates(struct arena_walk *walk, const struct candidate *candidates, size_t count)
{
	struct memory_piece pieces[ARENA_BATCH];
	uint64_t first[ARENA_BATCH] = {0};
	int error;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct memory_piece){.address = candidates[i].word / MALLOC_HEAP_BYTES * MALLOC_HEAP_BYTES,
						  .buffer = &first[i], .size = sizeof(first[i])};
	error = memory_read_pieces(walk->reader, pieces, count);
	for (size_t i = 0; i < count && !error; i++) {
		if (!pieces[i].read || first[i] != candidates[i].word)
			continue;
		walk->arenas->word = candidates[i].below;
		error = arena_walk_add(walk->arenas, first[i], false);
	}
	return error;
}

static bool is_readable(const struct fact_thread *thread)
{
	return thread->tls_base > TLS_BYTES + USER_MIN && thread->tls_base < USER_MAX && !thread->is_io_worker;
}

/* The word nearest to a control block is libc's; one candidate a thread. */
static int scan_windows(struct arena_walk *walk, const size_t *batch, size_t count)
{
	struct candidate candidates[ARENA_BATCH];
	struct memory_piece pieces[ARENA_BATCH];
	uint64_t words[ARENA_BATCH][TLS_WORDS] = {0};
	size_t n = 0;
	int error;

	for (size_t i = 0; i < count; i++)
		pieces[i] = (struct memory_piece){.address = walk->threads[batch[i]].tls_base - TLS_BYTES,
						  .buffer = words[i], .size = TLS_BYTES};
	error = memory_read_pieces(walk->reader, pieces, count);
	for (size_t i = 0; i < count && !error; i++) {
		for (size_t w = pieces[i].read ? TLS_WORDS : 0; w > 0; w--) {
			if (!malloc_is_heap_arena(words[i][w - 1]))
				continue;
			candidates[n++] = (struct candidate){words[i][w - 1],
							     (uint32_t)(TLS_BYTES - (w - 1) * 8)};
			break;
		}
	}
	return error ? error : prove_candidates(walk, candidates, n);
}

static int each_batch(struct arena_walk *walk, int (*read)(struct arena_walk *, const size_t *, size_t))
{
	size_t batch[ARENA_BATCH], n = 0;
	int error = 0;

	for (size_t i = 0; i < walk->n_threads && !error; i++) {
		if (is_readable(&walk->threads[i]) && !(walk->has_words && walk->arenas->words[i].is_read))
			batch[n++] = i;
		if (n == ARENA_BATCH || (n && i + 1 == walk->n_threads)) {
			error = read(walk, batch, n);
			n = 0;
		}
	}
	return error;
}

/* The words of libc's static TLS in one thread: one of them names an arena. */
static int try_window(struct arena_walk *walk, const struct fact_thread *thread, uint64_t start)
{
	uint64_t words[TLS_WORDS] = {0};
	ssize_t n = memory_read_present(walk->reader, walk->reader->via, start, words, sizeof(words));
	int error = 0;

	for (size_t w = n > 0 ? (size_t)n / 8 : 0; w > 0 && !error && !walk->arenas->n_arenas; w--) {
		error = malloc_is_heap_arena(words[w - 1]) ? arena_walk_try_next(walk, words[w - 1]) : arena_walk_try_main(walk, words[w - 1]);
		if (walk->arenas->n_arenas)
			walk->arenas->word = (uint32_t)(thread->tls_base - start - (w - 1) * 8);
	}
	return error;
}

/* Other modules' TLS may lie between: where each module's is, stands in the thread's vector (dtv), which the control
 * block's second word names. Two words an entry: its length; a generation; then a module each, its address first. What
 * lies behind its end are other things, among them vectors of threads that are gone. */
static int try_modules(struct arena_walk *walk, const struct fact_thread *thread)
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

int arena_words_learn(struct arena_walk *walk)
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

/* ---- the words at the known place --------------------------------------------------------------------- */

static int read_words(struct arena_walk *walk, const size_t *batch, size_t count)
{
	struct memory_piece pieces[ARENA_BATCH];
	int error;

	for (size_t i = 0; i < count; i++) {
		struct arena_word *word = &walk->arenas->words[batch[i]];

		pieces[i] = (struct memory_piece){.address = walk->threads[batch[i]].tls_base - walk->arenas->word,
						  .buffer = &word->word, .size = sizeof(word->word)};
	}
	error = memory_read_pieces(walk->reader, pieces, count);
	for (size_t i = 0; i < count && !error; i++)
		walk->arenas->words[batch[i]].is_read = pieces[i].read;
	return error;
}

/* Only the thread itself writes its word, so who has not run since it was read need not be asked again. (Of who runs the
 * kernel may count the time late: nohz_full.) Both lists are by TID as a rule; who is not found is read. */
static void recall(const struct arena_word *former, size_t n_former, size_t *at, const struct fact_thread *thread,
		   struct arena_word *word)
{
	while (*at < n_former && former[*at].id.tid < thread->id.tid)
		(*at)++;
	if (*at == n_former || !thread_id_equal(former[*at].id, thread->id) || !thread->cpu_is_exact ||
	    thread->state == 'R' || former[*at].cpu_ns != thread->cpu_ns || !former[*at].is_read)
		return;
	*word = former[*at];
}

static int read_all_words(struct arena_walk *walk)
{
	struct glibc_arenas *arenas = walk->arenas;
	_cleanup_(freep) struct arena_word *former = TAKE_PTR(arenas->words);
	size_t n_former = arenas->n_words, at = 0;

	arenas->n_words = 0;
	arenas->words = calloc(walk->n_threads + 1, sizeof(*arenas->words));
	if (!arenas->words)
		return -ENOMEM;
	arenas->n_words = walk->n_threads;
	walk->has_words = true;
	for (size_t i = 0; i < walk->n_threads; i++) {
		const struct fact_thread *thread = &walk->threads[i];

		arenas->words[i] = (struct arena_word){.id = thread->id, .cpu_ns = thread->cpu_ns};
		if (is_readable(thread))
			recall(former, n_former, &at, thread, &arenas->words[i]);
	}
	return each_batch(walk, read_words);
}

/* Of many threads with one arena, only the first has it proven. */
static int prove_words(struct arena_walk *walk)
{
	const struct glibc_arenas *arenas = walk->arenas;
	struct candidate candidates[ARENA_BATCH];
	size_t n = 0;
	int error = 0;

	for (size_t i = 0; i <= arenas->n_words && !error; i++) {
		bool is_last = i == arenas->n_words;
		const struct arena_word *word = &arenas->words[is_last ? 0 : i];

		if (!is_last && word->is_read && malloc_is_heap_arena(word->word) &&
		    !glibc_arenas_find(arenas, word->word))
			candidates[n++] = (struct candidate){word->word, arenas->word};
		if (n == ARENA_BATCH || (n && is_last)) {
			error = prove_candidates(walk, candidates, n);
			n = 0;
		}
	}
	return error;
}

int arena_words_read(struct arena_walk *walk)
{
	int error = 0;

	if (!walk->arenas->word)
		error = each_batch(walk, scan_windows);
	if (error || !walk->arenas->word || walk->has_words)
		return error;
	error = read_all_words(walk);
	return error ? error : prove_words(walk);
}

void arena_words_tell(struct arena_walk *walk)
{
	const struct glibc_arenas *arenas = walk->arenas;

	for (size_t i = 0; i < walk->n_threads && walk->has_words; i++) {
		const struct arena_word *word = &arenas->words[i];

		if (word->is_read && glibc_arenas_find(arenas, word->word))
			walk->of[i] = word->word;
	}
}
