/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads stretches of a process's memory, but only pages that are there: reading must neither bring a page into being
 * nor out of swap. It must not know what the bytes mean. */
#ifndef POOLSCOPE_SOURCE_MEMORY_PAGES_H
#define POOLSCOPE_SOURCE_MEMORY_PAGES_H

#include "memory_reader.h"
#include "residency_internal.h"

struct memory_pages {
	struct memory_reader reader;
	struct page_reader tables;
	int (*walk)(struct page_reader *reader, uint64_t start, uint64_t end, bool anonymous,
		    const struct run_sink *sink);
	bool knows_huge; /* runs tell huge pages */
	uint64_t *buffer;
	uint64_t bytes; /* read so far */
	uint64_t began_ns, budget_ns; /* CPU time; 0: no bound */
};

int memory_pages_open(struct memory_pages *pages, uint32_t pid, const char *procfs, uint64_t budget_ns);
void memory_pages_close(struct memory_pages *pages);

/* Is the time up? */
bool memory_pages_spent(const struct memory_pages *pages);
/* Runs of pages that are present, private and anonymous or not. */
int memory_pages_runs(struct memory_pages *pages, uint64_t start, uint64_t end, const struct run_sink *sink);

/* A stretch whose words are wanted. */
struct word_range {
	uint64_t start, end;
	uint32_t tag; /* the caller's */
};

struct word_sink {
	void (*words)(void *context, const struct word_range *range, uint64_t address, const uint64_t *words,
		      size_t count);
	void *context;
};
/* Hands over the words of the present pages of all ranges (ascending, disjoint), in order. Near neighbours are looked up
 * together and small pieces read together. -ETIME: the time is up; -ESRCH; -errno. */
int memory_pages_words(struct memory_pages *pages, const struct word_range *ranges, size_t count,
		       const struct word_sink *sink);

#endif
