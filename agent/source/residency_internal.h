/* SPDX-License-Identifier: GPL-2.0-only */
/* The two ways to read a page table, behind one function each. Nobody but the residency source includes
 * it. */
#ifndef POOLSCOPE_SOURCE_RESIDENCY_INTERNAL_H
#define POOLSCOPE_SOURCE_RESIDENCY_INTERNAL_H

#include "../fact.h"

/* include/uapi/linux/fs.h as of Linux 6.7; PAGE_IS_GUARD came with 6.16 or so: found by trial. */
#define SCAN_PAGE_IS_FILE (1ULL << 2)
#define SCAN_PAGE_IS_PRESENT (1ULL << 3)
#define SCAN_PAGE_IS_SWAPPED (1ULL << 4)
#define SCAN_PAGE_IS_PFNZERO (1ULL << 5)
#define SCAN_PAGE_IS_HUGE (1ULL << 6)
#define SCAN_PAGE_IS_GUARD (1ULL << 8)

/* A run of pages that are present (and anonymous) or swapped. */
struct page_run {
	uint64_t start, end;
	uint64_t categories; /* SCAN_PAGE_IS_PRESENT, _SWAPPED, _HUGE */
};

/* Where the runs of a stretch go; a return other than 0 stops the reading. */
struct run_sink {
	int (*run)(void *context, const struct page_run *run);
	void *context;
};

struct page_reader {
	int fd;                    /* /proc/PID/pagemap */
	uint64_t page_size;
	void *buffer;              /* runs or entries */
	uint64_t guard;            /* scan: SCAN_PAGE_IS_GUARD, or 0 before it existed */
	uint64_t chunk;            /* scan: bytes of address space for one call */
	uint64_t zero_pfn, huge_zero_pfn; /* pagemap: 0 when page frame numbers are hidden */
};

/* 0, -ESRCH: the address space is gone; -errno. anonymous: there is no file page in the stretch, so that
 * runs need not be told from file pages (which costs PAGEMAP_SCAN five times the rest). */
int page_scan(struct page_reader *reader, uint64_t start, uint64_t end, bool anonymous,
	      const struct run_sink *sink);
int page_read(struct page_reader *reader, uint64_t start, uint64_t end, bool anonymous,
	      const struct run_sink *sink);
/* Fills what the method needs. -ENOTTY and others: the kernel does not have it. */
int page_scan_prepare(struct page_reader *reader);
int page_read_prepare(struct page_reader *reader);

#endif
