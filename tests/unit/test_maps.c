/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings: the parser of a maps line, and the seed of this very process against what it mapped itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "source/procfs.h"
#include "source/procfs_parse.h"

static void line_of_a_file(void **state)
{
	struct proc_mapping mapping;
	char line[] = "7f00a000-7f00c000 r-xp 00002000 fe:1f 247498                     /usr/bin/a b\\012c (deleted)";
	char path[64];

	assert_int_equal(proc_parse_mapping(line, &mapping), 0);
	assert_int_equal(mapping.start, 0x7f00a000);
	assert_int_equal(mapping.end, 0x7f00c000);
	assert_int_equal(mapping.offset, 0x2000);
	assert_int_equal(mapping.inode, 247498);
	assert_int_equal(mapping.dev_major, 0xfe);
	assert_int_equal(mapping.dev_minor, 0x1f);
	assert_int_equal(mapping.protection, PROT_READ | PROT_EXEC);
	assert_false(mapping.shared);
	proc_unescape_path(mapping.path, path, sizeof(path));
	assert_string_equal(path, "/usr/bin/a b\nc");
	proc_unescape_path(mapping.path, path, 5);
	assert_string_equal(path, "/usr");
	proc_unescape_path(" (deleted)", path, sizeof(path));
	assert_string_equal(path, "");
}

static void kinds_of_mappings(void **state)
{
	static const struct { const char *mode_and_path; int r; uint32_t flags; } cases[] = {
		{"rw-p 0 00:00 0 ", 0, RANGE_ANON},
		{"---p 0 00:00 0", 0, RANGE_ANON},
		{"rw-p 0 00:00 0    [heap]", 0, RANGE_ANON | RANGE_HEAP},
		{"rw-p 0 00:00 0    [stack]", 0, RANGE_ANON | RANGE_STACK | RANGE_GROWSDOWN},
		{"rw-p 0 00:00 0    [anon: glibc: malloc arena]", 0, RANGE_ANON},
		{"rw-p 0 00:00 0    [anon:Java Heap]", 0, RANGE_ANON},
		{"rw-p 0 00:10 7    /anon_hugepage (deleted)", 0, RANGE_ANON | RANGE_HUGETLB},
		{"rw-s 0 00:01 9    /dev/zero (deleted)", 0, RANGE_FILE | RANGE_SHARED},
		{"rw-s 0 00:01 9    [anon_shmem:x]", 0, RANGE_ANON | RANGE_SHARED},
		{"rw-p 0 fe:00 9    /usr/lib/libx.so", 0, RANGE_FILE},
		{"r-xp 0 00:00 0    [vdso]", -ENOENT, 0},
		{"r--p 0 00:00 0    [vvar]", -ENOENT, 0},
		{"r--p 0 00:00 0    [vvar_vclock]", -ENOENT, 0},
		{"--xp 0 00:00 0    [vsyscall]", -ENOENT, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proc_mapping mapping;
		uint32_t flags = 0;
		char line[128];

		snprintf(line, sizeof(line), "1000-2000 %s", cases[i].mode_and_path);
		assert_int_equal(proc_parse_mapping(line, &mapping), 0);
		assert_int_equal(proc_mapping_flags(&mapping, &flags), cases[i].r);
		assert_int_equal(flags, cases[i].flags);
	}
}

static void hostile_lines(void **state)
{
	static const char *const cases[] = {
		"", "-", "1000", "1000-", "1000-2000", "1000-2000 ", "1000-2000 rw", "1000-2000 rw-", "1000-2000 rw-p",
		"1000-2000 rw-p ", "1000-2000 rw-p 0", "1000-2000 rw-p 0 ", "1000-2000 rw-p 0 00", "1000-2000 rw-p 0 00:",
		"1000-2000 rw-p 0 00:00", "1000-2000 rw-p 0 00:00 ", "1000-2000 rwzp 0 00:00 0", "1000-2000 rw-q 0 00:00 0",
		"2000-1000 rw-p 0 00:00 0", "1000-1000 rw-p 0 00:00 0", "11112222333344445-2 rw-p 0 00:00 0",
		"ABC-DEF rw-p 0 00:00 0",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *line = strdup(cases[i]);
		struct proc_mapping mapping = {.start = 7};

		assert_int_equal(proc_parse_mapping(line, &mapping), -EINVAL);
		assert_int_equal(mapping.start, 7);
		free(line);
	}
}

struct seen {
	struct fact facts[16384];
	size_t count;
};

static int keep(void *context, const struct fact *fact)
{
	struct seen *seen = context;

	assert_true(seen->count < ARRAY_SIZE(seen->facts));
	seen->facts[seen->count++] = *fact;
	return 0;
}

static const struct fact_range *seen_at(const struct seen *seen, const void *address)
{
	uint64_t at = (uint64_t)(uintptr_t)address;

	for (size_t i = 0; i < seen->count; i++) {
		const struct fact *fact = &seen->facts[i];

		if (fact->kind == FACT_RANGE_SEEN && at - fact->range.start < fact->range.length)
			return &fact->range;
	}
	return NULL;
}

static void seed_of_this_process(void **state)
{
	long page = sysconf(_SC_PAGESIZE);
	/* Reserved first, so that no neighbour of the same kind is merged with what is looked for. */
	char *area = mmap(NULL, 64 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *anon = mmap(area + 4 * page, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	char *shared = mmap(area + 16 * page, 4 * page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	int fd = open("/proc/self/exe", O_RDONLY);
	char *file = mmap(area + 32 * page, 2 * page, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	struct seen *seen = calloc(1, sizeof(*seen));
	struct fact_sink sink = {keep, seen};
	struct procfs *procfs = NULL;
	struct explain explain;
	const struct fact_range *range;
	uint64_t end = 0;
	int local;

	assert_int_equal(procfs_open(NULL, &procfs, &explain), 0);
	assert_int_equal(procfs_seed(procfs, 3, (uint32_t)getpid(), SEED_LOST, &sink), 0);
	assert_true(seen->count > 4);
	assert_int_equal(seen->facts[0].kind, FACT_SEED_BEGIN);
	assert_int_equal(seen->facts[0].seed.reason, SEED_LOST);
	assert_int_equal(seen->facts[seen->count - 1].kind, FACT_SEED_END);
	assert_true(seen->facts[0].time_ns > 0);
	assert_true(seen->facts[seen->count - 1].time_ns > seen->facts[0].time_ns);
	for (size_t i = 1; i + 1 < seen->count; i++) {
		assert_int_equal(seen->facts[i].kind, FACT_RANGE_SEEN);
		assert_int_equal(seen->facts[i].target, 3);
		assert_true(seen->facts[i].range.start >= end);
		end = seen->facts[i].range.start + seen->facts[i].range.length;
	}

	range = seen_at(seen, anon);
	assert_non_null(range);
	assert_int_equal(range->start, (uintptr_t)anon);
	assert_int_equal(range->length, 4 * page);
	assert_int_equal(range->flags, RANGE_ANON);
	assert_int_equal(range->protection, PROT_READ | PROT_WRITE);
	range = seen_at(seen, area);
	assert_non_null(range);
	assert_int_equal(range->protection, PROT_NONE);
	range = seen_at(seen, shared);
	assert_non_null(range);
	assert_true(range->flags & RANGE_SHARED);
	range = seen_at(seen, file);
	assert_non_null(range);
	assert_int_equal(range->flags, RANGE_FILE);
	range = seen_at(seen, &local);
	assert_non_null(range);
	assert_int_equal(range->flags & RANGE_STACK, RANGE_STACK);

	procfs_free(procfs);
	free(seen);
	close(fd);
	munmap(area, 64 * page);
}

static int count_facts(void *context, const struct fact *fact)
{
	++*(size_t *)context;
	return 0;
}

/* 20,000 mappings: alternating protections keep the kernel from merging them. */
static void seed_of_many_mappings(void **state)
{
	enum { PAIRS = 10000 };
	long page = sysconf(_SC_PAGESIZE);
	char *area = mmap(NULL, 2 * PAIRS * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct timespec before, after;
	struct procfs *procfs = NULL;
	struct explain explain;
	size_t count = 0;
	struct fact_sink sink = {count_facts, &count};

	assert_true(area != MAP_FAILED);
	for (size_t i = 0; i < PAIRS; i++)
		assert_int_equal(mprotect(area + 2 * i * page, page, PROT_NONE), 0);
	assert_int_equal(procfs_open(NULL, &procfs, &explain), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	assert_int_equal(procfs_seed(procfs, 1, (uint32_t)getpid(), SEED_ATTACH, &sink), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	print_message("%zu mappings: %.1f ms CPU\n", count - 2,
		      (after.tv_sec - before.tv_sec) * 1e3 + (after.tv_nsec - before.tv_nsec) / 1e6);
	assert_true(count >= 2 * PAIRS + 2);
	procfs_free(procfs);
	munmap(area, 2 * PAIRS * page);
}

static int refuse_third(void *context, const struct fact *fact)
{
	return ++*(size_t *)context == 3 ? -ENOSPC : 0;
}

static void seed_stops_when_the_sink_refuses(void **state)
{
	struct procfs *procfs = NULL;
	struct explain explain;
	size_t count = 0;
	struct fact_sink sink = {refuse_third, &count};

	assert_int_equal(procfs_open(NULL, &procfs, &explain), 0);
	assert_int_equal(procfs_seed(procfs, 1, (uint32_t)getpid(), SEED_ATTACH, &sink), -ENOSPC);
	assert_int_equal(count, 4); /* begin, one range, the refused one, end */
	procfs_free(procfs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_a_file),
		cmocka_unit_test(kinds_of_mappings),
		cmocka_unit_test(hostile_lines),
		cmocka_unit_test(seed_of_this_process),
		cmocka_unit_test(seed_of_many_mappings),
		cmocka_unit_test(seed_stops_when_the_sink_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
