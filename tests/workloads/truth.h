/* SPDX-License-Identifier: GPL-2.0-only */
/* What the workloads know about their own memory: pages of their own ranges, counted in their own page
 * tables. Nothing here allocates or touches a new page, so that asking does not change the answer. */
#ifndef POOLSCOPE_WORKLOADS_TRUTH_H
#define POOLSCOPE_WORKLOADS_TRUTH_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE ((uintptr_t)4096)
#define HEAP_MAX ((uintptr_t)64 << 20) /* glibc's HEAP_MAX_SIZE on 64 bit: heaps start at its multiples */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FILE_OR_SHARED (1ULL << 61)
#define PAGEMAP_PFN ((1ULL << 55) - 1)

#define DIE(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), exit(1))

static char truth_text[1 << 20]; /* touched at start: see truth_init() */
static size_t truth_length;
static int truth_pagemap = -1;
static uint64_t truth_zero_pfn;

static inline uint64_t pagemap_entry(uintptr_t address)
{
	uint64_t entry = 0;

	if (pread(truth_pagemap, &entry, sizeof(entry), address / PAGE * 8) != sizeof(entry))
		return 0;
	return entry;
}

/* Call once, first thing in main(). */
static inline void truth_init(void)
{
	volatile char *page = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile char depth[128 << 10];

	for (size_t i = 0; i < sizeof(depth); i += PAGE)
		depth[i] = 1;
	memset(truth_text, 1, sizeof(truth_text));
	truth_pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (truth_pagemap < 0)
		DIE("no /proc/self/pagemap: %s", strerror(errno));
	/* Pages that were only read are, on most kernels, all the one zero page: present, but not RssAnon. */
	(void)page[0];
	(void)page[PAGE];
	if (pagemap_entry((uintptr_t)page) == pagemap_entry((uintptr_t)page + PAGE))
		truth_zero_pfn = pagemap_entry((uintptr_t)page) & PAGEMAP_PFN;
	munmap((void *)page, 2 * PAGE);
}

/* Bytes of [start, start + length) that are present, anonymous and not the zero page. */
static inline uint64_t bytes_resident(uintptr_t start, size_t length)
{
	uint64_t entries[512], pages = 0;
	uintptr_t at = start & ~(PAGE - 1), end = (start + length + PAGE - 1) & ~(PAGE - 1);

	while (at < end) {
		size_t want = (end - at) / PAGE < 512 ? (end - at) / PAGE : 512;
		ssize_t got = pread(truth_pagemap, entries, want * 8, at / PAGE * 8);

		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got / 8; i++) {
			uint64_t pfn = entries[i] & PAGEMAP_PFN;

			if (!(entries[i] & PAGEMAP_PRESENT) || (entries[i] & PAGEMAP_FILE_OR_SHARED))
				continue;
			if (!pfn || pfn != truth_zero_pfn)
				pages++;
		}
		at += got / 8 * PAGE;
	}
	return pages * PAGE;
}

/* A file of /proc as text in the caller's buffer. */
static inline char *proc_text(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t got;

	while (fd >= 0 && length + 1 < size && (got = read(fd, buffer + length, size - 1 - length)) > 0)
		length += got;
	if (fd >= 0)
		close(fd);
	buffer[length] = '\0';
	return buffer;
}

static inline uint64_t rss_anon(void)
{
	static char text[8192];
	char *line = strstr(proc_text("/proc/self/status", text, sizeof(text)), "RssAnon:");

	return line ? strtoull(line + 8, NULL, 10) << 10 : 0;
}

/* Resident bytes of the mapping that /proc/self/maps calls `name` ("[heap]", "[stack]"). */
static inline uint64_t named_resident(const char *name)
{
	static char text[256 << 10];
	char *hit = strstr(proc_text("/proc/self/maps", text, sizeof(text)), name), *line = hit;
	uintptr_t start, end;

	if (!hit)
		return 0;
	while (line > text && line[-1] != '\n')
		line--;
	if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) != 2)
		return 0;
	return bytes_resident(start, end - start);
}

__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
	va_list arguments;
	int added;

	va_start(arguments, format);
	added = vsnprintf(truth_text + truth_length, sizeof(truth_text) - truth_length, format, arguments);
	va_end(arguments);
	if (added > 0 && truth_length + added < sizeof(truth_text))
		truth_length += added;
}

/* Writes what was said as one line on stdout. */
static inline void say_done(void)
{
	size_t at = 0;
	ssize_t wrote;

	say("\n");
	while (at < truth_length && (wrote = write(STDOUT_FILENO, truth_text + at, truth_length - at)) > 0)
		at += wrote;
	truth_length = 0;
}

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* "512", "64K", "3M", "1G" */
static inline uint64_t parse_size(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);
	static const char units[] = "KMG";
	const char *unit = *end ? strchr(units, *end) : NULL;

	return unit ? value << (10 * (unit - units + 1)) : value;
}

/* "500ms", "2s", "3" (seconds); in milliseconds */
static inline uint64_t parse_ms(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	return strcmp(end, "ms") == 0 ? value : value * 1000;
}

/* Writes one byte in each page. */
static inline void touch(void *start, size_t length)
{
	for (size_t i = 0; i < length; i += PAGE)
		((volatile char *)start)[i] = 1;
}

/* Touches `length` bytes of the caller's stack. */
__attribute__((noinline, unused)) static void touch_stack(size_t length)
{
	volatile char *deep;

	if (!length)
		return;
	deep = __builtin_alloca(length);
	for (size_t i = 0; i < length; i += PAGE)
		deep[length - 1 - i] = 1;
}

#endif
