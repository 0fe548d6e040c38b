/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads stretches of a process's memory, but only pages that are there: reading must neither bring a page into being
 * nor out of swap. It must not know what the bytes mean. */
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
				       .began_ns = residency_cpu_now()};
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
	return pages->budget_ns && residency_cpu_now() - pages->began_ns > pages->budget_ns;
}

int memory_pages_runs(struct memory_pages *pages, uint64_t start, uint64_t end, const struct run_sink *sink)
{
	return pages->walk(&pages->tables, start & ~(PAGE - 1), (end + PAGE - 1) & ~(PAGE - 1), true, sink);
}

struct reading {
	struct memory_pages *pages;
	const struct word_sink *sink;
	uint64_t start, end;
};

static int read_run(void *context, const struct page_run *run)
{
	struct reading *reading = context;
	struct memory_pages *pages = reading->pages;
	uint64_t at = run->start > reading->start ? run->start : reading->start;
	uint64_t end = run->end < reading->end ? run->end : reading->end;

	if (!(run->categories & SCAN_PAGE_IS_PRESENT))
		return 0;
	at = (at + 7) & ~7ULL;
	while (at + 8 <= end) {
		size_t size = end - at < BUFFER_BYTES ? (size_t)(end - at) : BUFFER_BYTES;
		struct memory_piece piece = {at, pages->buffer, size, false};
		int r = memory_read_pieces(&pages->reader, &piece, 1);

		if (r < 0)
			return r;
		if (memory_pages_spent(pages))
			return -ETIME;
		/* It was unmapped just now. */
		if (piece.read)
			reading->sink->words(reading->sink->context, at, pages->buffer, size / 8);
		pages->bytes += size;
		at += size;
	}
	return 0;
}

int memory_pages_words(struct memory_pages *pages, uint64_t start, uint64_t end, const struct word_sink *sink)
{
	struct reading reading = {pages, sink, start, end};
	struct run_sink runs = {read_run, &reading};

	return start < end ? memory_pages_runs(pages, start, end, &runs) : 0;
}
