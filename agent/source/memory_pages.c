/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads stretches of a process's memory, but only pages that are there: reading must neither bring a page into being
 * nor out of swap. It must not know what the bytes mean. */
#include "../boottime.h"
#include "memory_pages.h"

#include <errno.h>
#include <fcntl.h>

#define BUFFER_BYTES (256U << 10)
#define PAGE 4096ULL

int memory_pages_open(struct memory_pages *pages, uint32_t pid, const char *procfs, uint64_t budget_ns)
{
	struct proc_dir dir;
	int r;

	*pages = (struct memory_pages){.tables = {.fd = -1, .page_size = PAGE}, .budget_ns = budget_ns,
				       .began_ns = thread_cputime()};
	r = memory_reader_open(&pages->reader, pid, procfs);
	if (r == 0)
		r = procfs_living(pages->reader.procfs, pid, &dir);
	if (r < 0)
		return r;
	pages->tables.fd = procfs_openf(pages->reader.procfs, O_RDONLY, "%s/pagemap", dir.path);
	if (pages->tables.fd < 0)
		return pages->tables.fd;
	pages->walk = page_scan;
	r = page_scan_prepare(&pages->tables);
	pages->knows_huge = r == 0;
	if (r < 0) {
		pages->walk = page_read;
		r = page_read_prepare(&pages->tables);
	}
	if (r < 0)
		return r;
	pages->buffer = malloc(BUFFER_BYTES);
	return pages->buffer ? 0 : -ENOMEM;
}

void memory_pages_close(struct memory_pages *pages)
{
	close_fd(&pages->tables.fd);
	free(pages->tables.buffer);
	free(pages->buffer);
	memory_reader_close(&pages->reader);
}

bool memory_pages_spent(const struct memory_pages *pages)
{
	return pages->budget_ns && thread_cputime() - pages->began_ns > pages->budget_ns;
}

int memory_pages_runs(struct memory_pages *pages, uint64_t start, uint64_t end, const struct run_sink *sink)
{
	return pages->walk(&pages->tables, start & ~(PAGE - 1), (end + PAGE - 1) & ~(PAGE - 1), true, sink);
}

/* ---- words ------------------------------------------------------------------------------------------------ */

/* Holes between ranges up to this size are looked up along: thread stacks are mostly hole. */
#define BRIDGE (32ULL << 20)
#define PIECES 256

struct reading {
	struct memory_pages *pages;
	const struct word_sink *sink;
	const struct word_range *range; /* the first that later runs can still meet */
	size_t n_ranges;
	struct memory_piece pieces[PIECES];
	const struct word_range *of[PIECES];
	size_t n_pieces, filled;
};

static int flush(struct reading *reading)
{
	struct memory_pages *pages = reading->pages;
	int r = memory_read_pieces(&pages->reader, reading->pieces, reading->n_pieces);

	for (size_t i = 0; i < reading->n_pieces && r == 0; i++) {
		const struct memory_piece *piece = &reading->pieces[i];

		/* what cannot be read was unmapped just now */
		if (piece->read)
			reading->sink->words(reading->sink->context, reading->of[i], piece->address, piece->buffer,
					     piece->size / 8);
	}
	reading->n_pieces = reading->filled = 0;
	return r == 0 && memory_pages_spent(pages) ? -ETIME : r;
}

static int add_pieces(struct reading *reading, uint64_t at, uint64_t end)
{
	bool is_own = pages_are_own(reading->pages->tables.fd, at, end);
	int r = 0;

	at = (at + 7) & ~7ULL;
	while (at + 8 <= end && r == 0) {
		size_t room = BUFFER_BYTES - reading->filled, size = end - at < room ? (size_t)(end - at) & ~7UL : room;

		reading->of[reading->n_pieces] = reading->range;
		reading->pieces[reading->n_pieces++] = (struct memory_piece){
			.address = at, .buffer = (char *)reading->pages->buffer + reading->filled, .size = size,
			.is_own = is_own};
		reading->filled += size;
		at += size;
		if (reading->n_pieces == PIECES || reading->filled + PAGE > BUFFER_BYTES)
			r = flush(reading);
	}
	return r;
}

static int add_run(void *context, const struct page_run *run)
{
	struct reading *reading = context;

	while (reading->n_ranges && reading->range->start < run->end) {
		uint64_t at = run->start > reading->range->start ? run->start : reading->range->start;
		uint64_t end = run->end < reading->range->end ? run->end : reading->range->end;
		int r = 0;

		if (at < end && (run->categories & SCAN_PAGE_IS_PRESENT))
			r = add_pieces(reading, at, end);
		if (r < 0)
			return r;
		if (reading->range->end > run->end)
			return 0;
		reading->range++;
		reading->n_ranges--;
	}
	return 0;
}

int memory_pages_words(struct memory_pages *pages, const struct word_range *ranges, size_t count,
		       const struct word_sink *sink)
{
	_cleanup_(freep) struct reading *reading = calloc(1, sizeof(*reading));
	struct run_sink runs = {add_run, reading};
	int r = 0;

	if (!reading)
		return -ENOMEM;
	reading->pages = pages;
	reading->sink = sink;
	for (size_t from = 0, to; from < count && r == 0; from = to) {
		for (to = from + 1; to < count && ranges[to].start - ranges[to - 1].end <= BRIDGE; to++)
			;
		reading->range = &ranges[from];
		reading->n_ranges = to - from;
		r = memory_pages_runs(pages, ranges[from].start, ranges[to - 1].end, &runs);
		if (r == 0 && memory_pages_spent(pages))
			r = -ETIME;
	}
	return r == 0 ? flush(reading) : r;
}
