/* SPDX-License-Identifier: GPL-2.0-only */
/* What a heap of glibc's malloc has in its arena's fastbins: free, but not to be told from what is in use chunk by
 * chunk. It must not know whose the arena is. */
#include "../boottime.h"
#include "glibc_fastbins.h"
#include "residency_internal.h"

#include <stdlib.h>

/* What was freed one after another lies together as a rule. */
#define WINDOW 65536ULL
#define WINDOWS_KEPT 4
#define CLOCK_EVERY 256
#define CHUNK_FLAGS 7ULL
/* malloc/malloc.c, glibc 2.26 to 2.42, 64 bit: fastbin i has chunks of (i + 2) * 16 bytes. */
#define CHUNK_BYTES(i) (((uint64_t)(i) + 2) * 16)

struct window {
	uint64_t address;
	size_t length; /* 0: nothing is kept here */
	uint64_t words[WINDOW / 8];
};

struct list {
	uint64_t chunk; /* that is reached next; 0: none */
	uint64_t size;  /* of each of its chunks */
	uint64_t room;  /* for so many more: a list that changes under the reader may lead round in circles */
};

struct chase {
	const struct memory_reader *reader;
	struct window *window;
	struct list lists[MALLOC_FASTBINS];
	enum glibc_links links;
	uint64_t start, end;
	uint64_t bytes, chunks;
};

static struct window *window_of(const struct chase *chase, uint64_t address)
{
	return &chase->window[address / WINDOW % WINDOWS_KEPT];
}

static bool is_kept(const struct chase *chase, uint64_t address)
{
	const struct window *window = window_of(chase, address);

	return window->length && window->address == (address & ~(WINDOW - 1));
}

static bool word_at(struct chase *chase, uint64_t address, uint64_t *ret_word)
{
	struct window *window = window_of(chase, address);

	if (!is_kept(chase, address)) {
		ssize_t length = memory_read_present(chase->reader, chase->reader->via, address & ~(WINDOW - 1),
						     window->words, WINDOW);

		window->address = address & ~(WINDOW - 1);
		window->length = length > 0 ? (size_t)length : 0;
	}
	if (address % 8 || address % WINDOW + 8 > window->length)
		return false;
	*ret_word = window->words[address % WINDOW / 8];
	return true;
}

static bool is_chunk(struct chase *chase, uint64_t chunk, uint64_t size)
{
	uint64_t word;

	return chunk && chunk % 16 == 0 && word_at(chase, chunk + 8, &word) && (word & ~CHUNK_FLAGS) == size;
}

/* From glibc 2.32 on a link is mixed with its own address ("safe-linking"); which of the two it is shows the first that
 * leads somewhere. Whether there is a chunk where it leads is looked at on arrival: looking ahead, each list would run
 * through the heap alone. */
static uint64_t next_chunk(struct chase *chase, const struct list *list)
{
	uint64_t at = list->chunk + 16, link;

	if (!word_at(chase, at, &link) || !link)
		return 0;
	if (chase->links == LINKS_UNKNOWN && is_chunk(chase, link ^ at >> 12, list->size))
		chase->links = LINKS_MIXED;
	else if (chase->links == LINKS_UNKNOWN && is_chunk(chase, link, list->size))
		chase->links = LINKS_PLAIN;
	return chase->links == LINKS_PLAIN ? link : link ^ at >> 12;
}

/* Of the lists, one that goes on in what is kept; else that which is farthest up: then all move through the heap
 * together, and each window is read once. */
static struct list *choose(struct chase *chase)
{
	struct list *best = NULL;

	for (size_t i = 0; i < MALLOC_FASTBINS; i++) {
		struct list *list = &chase->lists[i];

		if (!list->chunk)
			continue;
		if (is_kept(chase, list->chunk))
			return list;
		if (!best || list->chunk > best->chunk)
			best = list;
	}
	return best;
}

static void advance(struct chase *chase, struct list *list)
{
	bool is_there = is_chunk(chase, list->chunk, list->size); /* else the list has changed */

	if (is_there && list->chunk >= chase->start && list->chunk < chase->end) {
		chase->bytes += list->size;
		list->room--;
	}
	list->chunk = is_there && list->room ? next_chunk(chase, list) : 0;
}

/* False: there is nothing to be chased. */
static bool chase_begin(struct chase *chase, const struct malloc_layout *layout, uint64_t address, struct window *windows)
{
	uint64_t first[MALLOC_FASTBINS], any = 0;

	if (!windows || !layout->fastbins ||
	    memory_read_present(chase->reader, chase->reader->via, address + layout->fastbins, first, sizeof(first)) !=
		    (ssize_t)sizeof(first))
		return false;
	chase->window = windows;
	for (size_t i = 0; i < MALLOC_FASTBINS; i++) {
		any |= first[i];
		chase->lists[i] = (struct list){first[i], CHUNK_BYTES(i), (chase->end - chase->start) / CHUNK_BYTES(i)};
	}
	return any;
}

enum glibc_links glibc_links(const struct memory_reader *reader, const struct malloc_layout *layout, uint64_t address)
{
	_cleanup_(freep) struct window *windows = calloc(WINDOWS_KEPT, sizeof(*windows));
	struct chase chase = {.reader = reader, .end = UINT64_MAX};

	if (!chase_begin(&chase, layout, address, windows))
		return LINKS_UNKNOWN;
	for (size_t i = 0; i < MALLOC_FASTBINS && chase.links == LINKS_UNKNOWN; i++)
		if (is_chunk(&chase, chase.lists[i].chunk, chase.lists[i].size))
			(void)next_chunk(&chase, &chase.lists[i]);
	return chase.links;
}

uint64_t glibc_fastbins(const struct memory_reader *reader, const struct malloc_layout *layout, uint64_t address,
			uint64_t start, uint64_t end, uint64_t until_ns)
{
	_cleanup_(freep) struct window *windows = calloc(WINDOWS_KEPT, sizeof(*windows));
	struct chase chase = {.reader = reader, .start = start, .end = end};
	struct list *list;

	if (!chase_begin(&chase, layout, address, windows))
		return 0;
	while ((list = choose(&chase))) {
		do {
			advance(&chase, list);
			if (++chase.chunks % CLOCK_EVERY == 0 && thread_cputime() > until_ns)
				return UNKNOWN_U64;
		} while (list->chunk && is_kept(&chase, list->chunk));
	}
	return chase.bytes;
}
