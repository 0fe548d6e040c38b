/* SPDX-License-Identifier: GPL-2.0-only */
/* The two ways to read a page table: the ioctl PAGEMAP_SCAN and the file pagemap. It must not know spans or
 * facts. */
#include "../boottime.h"
#include "residency_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* struct page_region, struct pm_scan_arg: include/uapi/linux/fs.h as of Linux 6.7. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)
#define SCAN_REGIONS 4096

/* The kernel holds the target's mmap lock during one walk. So the stretch of one call grows while calls are
 * quick (address space that is mostly empty) and shrinks when they are slow. */
#define SCAN_CHUNK_MIN (64ULL << 20)
#define SCAN_CHUNK_MAX (1ULL << 40)
#define SCAN_CHUNK_START (1ULL << 30)
#define SCAN_QUICK_NS (200 * 1000ULL)
#define SCAN_SLOW_NS (2 * NSEC_PER_MSEC)

static int scan_call(struct page_reader *reader, struct scan_arg *arg, bool anonymous)
{
	uint64_t not_wanted = SCAN_PAGE_IS_PFNZERO | reader->guard | (anonymous ? 0 : SCAN_PAGE_IS_FILE);
	int n;

	*arg = (struct scan_arg){
		.size = sizeof(*arg),
		.start = arg->start,
		.end = arg->end,
		.vec = (uint64_t)(uintptr_t)reader->buffer,
		.vec_len = SCAN_REGIONS,
		.category_mask = not_wanted,
		.category_inverted = not_wanted,
		.category_anyof_mask = SCAN_PAGE_IS_PRESENT | SCAN_PAGE_IS_SWAPPED,
		.return_mask = SCAN_PAGE_IS_PRESENT | SCAN_PAGE_IS_SWAPPED | SCAN_PAGE_IS_HUGE,
	};
	n = ioctl(reader->fd, SCAN_IOCTL, arg);
	return n < 0 ? -errno : n;
}

/* Where the walk goes on. With room left in the buffer it is complete. walk_end alone does not tell: up to
 * 6.18 it may lie before the last run when the kernel filled its own smaller buffer on the way (seen). */
static uint64_t scan_next(const struct scan_arg *arg, const struct scan_region *regions, int n)
{
	if (n < SCAN_REGIONS)
		return arg->end;
	return arg->walk_end > regions[n - 1].end ? arg->walk_end : regions[n - 1].end;
}

/* The ioctl tells of an address space that has ended only that nothing is in it; the file itself reads as
 * empty then. */
static int address_space_check(const struct page_reader *reader, uint64_t address)
{
	uint64_t entry;

	return pread(reader->fd, &entry, sizeof(entry), (off_t)(address / reader->page_size * sizeof(entry))) ==
			       sizeof(entry) ? 0 : -ESRCH;
}

int page_scan(struct page_reader *reader, uint64_t start, uint64_t end, bool anonymous,
	      const struct run_sink *sink)
{
	uint64_t first = start;

	while (start < end) {
		struct scan_arg arg = {.start = start};
		uint64_t began = thread_cputime(), took;
		const struct scan_region *regions = reader->buffer;
		int n;

		arg.end = end - start > reader->chunk ? start + reader->chunk : end;
		n = scan_call(reader, &arg, anonymous);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		took = thread_cputime() - began;
		if (took > SCAN_SLOW_NS && reader->chunk > SCAN_CHUNK_MIN)
			reader->chunk /= 2;
		else if (took < SCAN_QUICK_NS && reader->chunk < SCAN_CHUNK_MAX)
			reader->chunk *= 2;
		for (int i = 0; i < n; i++) {
			struct page_run run = {regions[i].start, regions[i].end, regions[i].categories};
			int r = sink->run(sink->context, &run);

			if (r)
				return r;
		}
		start = scan_next(&arg, regions, n);
	}
	return address_space_check(reader, first);
}

int page_scan_prepare(struct page_reader *reader)
{
	struct scan_arg arg = {.start = 0, .end = 0};
	int r;

	free(reader->buffer);
	reader->buffer = malloc(SCAN_REGIONS * sizeof(struct scan_region));
	if (!reader->buffer)
		return -ENOMEM;
	reader->chunk = SCAN_CHUNK_START;
	reader->guard = SCAN_PAGE_IS_GUARD;
	r = scan_call(reader, &arg, false);
	if (r != -EINVAL)
		return r;
	reader->guard = 0;
	return scan_call(reader, &arg, false);
}

/* ---- pagemap: Documentation/admin-guide/mm/pagemap.rst --------------------------------------------- */

#define ENTRY_PRESENT (1ULL << 63)
#define ENTRY_SWAPPED (1ULL << 62)
#define ENTRY_FILE (1ULL << 61)
#define ENTRY_GUARD (1ULL << 58) /* since 6.15 */
#define ENTRY_PFN ((1ULL << 55) - 1)
#define ENTRY_SWAP_TYPE 31 /* bits 0-4; the last type is no swap file but a marker (mm/swap.h) */
#define SWAP_TYPE_MARKER 31

#define READ_ENTRIES 16384 /* 128 KiB */
#define HUGE_PAGES 512     /* of a huge zero page on x86-64 */

static uint64_t entry_categories(const struct page_reader *reader, uint64_t entry)
{
	uint64_t pfn = entry & ENTRY_PFN;

	if (entry & ENTRY_FILE)
		return 0;
	if (entry & ENTRY_PRESENT) {
		if (pfn && (pfn == reader->zero_pfn || (reader->huge_zero_pfn && pfn >= reader->huge_zero_pfn &&
							pfn < reader->huge_zero_pfn + HUGE_PAGES)))
			return 0;
		return SCAN_PAGE_IS_PRESENT;
	}
	/* Before bit 58 a guard marker can only be told by its swap type, if that is shown at all. */
	if (!(entry & ENTRY_SWAPPED) || (entry & ENTRY_GUARD) || (entry & ENTRY_SWAP_TYPE) == SWAP_TYPE_MARKER)
		return 0;
	return SCAN_PAGE_IS_SWAPPED;
}

static int run_extend(struct page_run *run, uint64_t address, uint64_t page_size, uint64_t categories,
		      const struct run_sink *sink)
{
	int r = 0;

	if (categories == run->categories && address == run->end) {
		run->end += page_size;
		return 0;
	}
	if (run->categories)
		r = sink->run(sink->context, run);
	*run = (struct page_run){address, address + page_size, categories};
	return r;
}

int page_read(struct page_reader *reader, uint64_t start, uint64_t end, bool anonymous,
	      const struct run_sink *sink)
{
	const uint64_t *entries = reader->buffer;
	struct page_run run = {.start = start, .end = start};

	while (start < end) {
		uint64_t pages = (end - start) / reader->page_size;
		size_t wanted = (pages < READ_ENTRIES ? pages : READ_ENTRIES) * sizeof(*entries);
		ssize_t n = pread(reader->fd, reader->buffer, wanted,
				  (off_t)(start / reader->page_size * sizeof(*entries)));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* The end of the file: no user addresses beyond, or the address space is gone. */
		if (n < (ssize_t)sizeof(*entries))
			return -ESRCH;
		for (size_t i = 0; i < (size_t)n / sizeof(*entries); i++) {
			int r = run_extend(&run, start, reader->page_size, entry_categories(reader, entries[i]), sink);

			if (r)
				return r;
			start += reader->page_size;
		}
	}
	return run.categories ? sink->run(sink->context, &run) : 0;
}

/* The frame behind a page that was read but never written: the kernel's zero page, if it uses one. Told
 * from a private page by a second page, which then has the same frame. */
static uint64_t frame_shared(int fd, uint64_t page_size, const volatile char *first, const volatile char *second)
{
	uint64_t a = 0, b = 0;

	(void)*first;
	(void)*second;
	if (pread(fd, &a, sizeof(a), (off_t)((uintptr_t)first / page_size * sizeof(a))) != sizeof(a) ||
	    pread(fd, &b, sizeof(b), (off_t)((uintptr_t)second / page_size * sizeof(b))) != sizeof(b))
		return 0;
	return (a & b & ENTRY_PRESENT) && (a & ENTRY_PFN) == (b & ENTRY_PFN) ? a & ENTRY_PFN : 0;
}

#define HUGE_BYTES (2ULL << 20)

/* Our own page tables tell the zero pages' frames. The huge zero page stays the same as long as somebody
 * that was given it lives: us. Without CAP_SYS_ADMIN frames are hidden, and zero pages that were only read
 * count as resident. */
static void find_zero_frames(struct page_reader *reader)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t length = 3 * HUGE_BYTES;
	char *pages = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd >= 0 && pages != MAP_FAILED) {
		char *aligned = pages + (-(uintptr_t)pages & (HUGE_BYTES - 1));
		uint64_t huge;

		madvise(pages, length, MADV_NOHUGEPAGE);
		reader->zero_pfn = frame_shared(fd, reader->page_size, aligned, aligned + reader->page_size);
		madvise(pages, length, MADV_DONTNEED);
		madvise(pages, length, MADV_HUGEPAGE);
		huge = frame_shared(fd, reader->page_size, aligned, aligned + HUGE_BYTES);
		reader->huge_zero_pfn = huge != reader->zero_pfn ? huge : 0;
	}
	if (fd >= 0)
		close(fd);
	if (pages != MAP_FAILED)
		munmap(pages, length);
}

int page_read_prepare(struct page_reader *reader)
{
	free(reader->buffer);
	reader->buffer = malloc(READ_ENTRIES * sizeof(uint64_t));
	if (!reader->buffer)
		return -ENOMEM;
	find_zero_frames(reader);
	return 0;
}
