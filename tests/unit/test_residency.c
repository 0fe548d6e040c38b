/* SPDX-License-Identifier: GPL-2.0-only */
/* Residency against mappings of this process whose pages are known, by both methods; the kernel's own figure
 * (smaps) is the judge where kernels differ. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "source/residency.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* include/uapi/asm-generic/mman-common.h, Linux 6.13 */
#endif

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define MAX_FACTS 32768

static const char *const methods[] = {"scan", "pagemap"};

struct seen {
	struct fact_resident facts[MAX_FACTS];
	uint64_t times[MAX_FACTS];
	size_t count;
	struct fact_resident outside;
};

static struct seen seen;

static int keep(void *context, const struct fact *fact)
{
	assert_int_equal(fact->kind, FACT_RESIDENT);
	assert_int_equal(fact->target, 5);
	if (fact->resident.outside) {
		seen.outside = fact->resident;
		return 0;
	}
	assert_true(seen.count < MAX_FACTS);
	seen.times[seen.count] = fact->time_ns;
	seen.facts[seen.count++] = fact->resident;
	return 0;
}

static const struct fact_sink sink = {keep, NULL};

/* NULL: this kernel has no such method. */
static struct residency *open_method(pid_t pid, const char *method)
{
	struct residency *residency = NULL;
	struct explain explain = {0};
	int r = residency_new(5, (uint32_t)pid, NULL, method, &residency, &explain);

	if (r == -ENOTTY && strcmp(method, "scan") == 0)
		return NULL;
	assert_int_equal(r, 0);
	assert_string_equal(residency_method(residency), method);
	return residency;
}

static bool read_spans(const char *method, pid_t pid, const struct span *spans, size_t count)
{
	struct residency *residency = open_method(pid, method);
	bool whole = false;

	if (!residency)
		return false;
	seen = (struct seen){0};
	assert_int_equal(residency_pass(residency, spans, count, 0, &sink, &whole), 0);
	assert_true(whole);
	assert_int_equal(seen.count, count);
	residency_free(residency);
	return true;
}

static char *map_pages(size_t pages, int protection)
{
	char *memory = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(memory != MAP_FAILED);
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	return memory;
}

static void touch(char *memory, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		((volatile char *)memory)[i * PAGE] = 1;
}

static struct span span_of(const void *memory, size_t pages)
{
	return (struct span){.start = (uint64_t)(uintptr_t)memory, .length = pages * PAGE};
}

/* "Anonymous:" (or another key) of the mapping that begins here. */
static uint64_t smaps_bytes(const void *start, const char *key)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	char line[512], wanted[32];
	uint64_t bytes = UNKNOWN_U64;
	bool here = false;

	assert_non_null(file);
	snprintf(wanted, sizeof(wanted), "%lx-", (unsigned long)(uintptr_t)start);
	while (fgets(line, sizeof(line), file)) {
		unsigned long kilobytes;

		if (strncmp(line, wanted, strlen(wanted)) == 0)
			here = true;
		else if (here && strncmp(line, key, strlen(key)) == 0 &&
			 sscanf(line + strlen(key), "%lu", &kilobytes) == 1) {
			bytes = kilobytes * 1024;
			break;
		}
	}
	fclose(file);
	return bytes;
}

static void counts_pages_exactly(void **state)
{
	char *memory = map_pages(64, PROT_READ | PROT_WRITE);
	struct span span = span_of(memory, 64);

	touch(memory, 3, 10);
	touch(memory, 63, 64);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), &span, 1))
			continue;
		assert_int_equal(seen.facts[0].start, span.start);
		assert_int_equal(seen.facts[0].length, span.length);
		assert_int_equal(seen.facts[0].resident, 8 * PAGE);
		assert_int_equal(seen.facts[0].swapped, 0);
		assert_true(seen.times[0] > 0);
	}
	madvise(memory + 4 * PAGE, 3 * PAGE, MADV_DONTNEED);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (read_spans(methods[m], getpid(), &span, 1))
			assert_int_equal(seen.facts[0].resident, 5 * PAGE);
	}
	munmap(memory, 64 * PAGE);
}

static void pages_behind_no_access_stay(void **state)
{
	char *memory = map_pages(16, PROT_READ | PROT_WRITE);
	struct span span = span_of(memory, 16);

	touch(memory, 0, 4);
	assert_int_equal(mprotect(memory, 16 * PAGE, PROT_NONE), 0);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (read_spans(methods[m], getpid(), &span, 1))
			assert_int_equal(seen.facts[0].resident, 4 * PAGE);
	}
	munmap(memory, 16 * PAGE);
}

/* A page that was read and never written is the zero page on most kernels, a private one on some. */
static void zero_pages_count_as_the_kernel_counts_them(void **state)
{
	char *memory = map_pages(33, PROT_READ | PROT_WRITE);
	struct span span = span_of(memory, 32);

	/* A neighbour of another kind, so that the mapping begins and ends here. */
	assert_int_equal(mprotect(memory + 32 * PAGE, PAGE, PROT_NONE), 0);
	touch(memory, 0, 2);
	for (size_t i = 8; i < 24; i++)
		(void)((volatile char *)memory)[i * PAGE];
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), &span, 1))
			continue;
		if (strcmp(methods[m], "pagemap") == 0 && geteuid() != 0)
			continue;
		assert_int_equal(seen.facts[0].resident, smaps_bytes(memory, "Anonymous:"));
		assert_true(seen.facts[0].resident >= 2 * PAGE);
	}
	munmap(memory, 33 * PAGE);
}

static void file_pages_count_once_they_are_private(void **state)
{
	char path[] = "/tmp/residency-XXXXXX";
	int fd = mkstemp(path);
	char *private, *shared;
	struct span spans[2];

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, (off_t)(16 * PAGE)), 0);
	private = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	shared = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(private != MAP_FAILED && shared != MAP_FAILED);
	touch(shared, 0, 16);
	for (size_t i = 0; i < 16; i++)
		(void)((volatile char *)private)[i * PAGE];
	touch(private, 5, 8);
	spans[0] = span_of(private < shared ? private : shared, 16);
	spans[1] = span_of(private < shared ? shared : private, 16);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), spans, 2))
			continue;
		assert_int_equal(seen.facts[private < shared ? 0 : 1].resident, 3 * PAGE);
		assert_int_equal(seen.facts[private < shared ? 1 : 0].resident, 0);
	}
	munmap(private, 16 * PAGE);
	munmap(shared, 16 * PAGE);
	close(fd);
}

static void shared_anonymous_pages_do_not_count(void **state)
{
	char *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct span span = span_of(memory, 16);

	assert_true(memory != MAP_FAILED);
	touch(memory, 0, 16);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (read_spans(methods[m], getpid(), &span, 1))
			assert_int_equal(seen.facts[0].resident, 0);
	}
	munmap(memory, 16 * PAGE);
}

static void guard_markers_are_not_swapped(void **state)
{
	char *memory = map_pages(16, PROT_READ | PROT_WRITE);
	struct span span = span_of(memory, 16);
	bool guarded = madvise(memory, 4 * PAGE, MADV_GUARD_INSTALL) == 0;

	touch(memory, 8, 10);
	print_message("guard markers: %s\n", guarded ? "yes" : "this kernel has none");
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), &span, 1))
			continue;
		assert_int_equal(seen.facts[0].resident, 2 * PAGE);
		assert_int_equal(seen.facts[0].swapped, 0);
	}
	munmap(memory, 16 * PAGE);
}

static void huge_pages_count_whole(void **state)
{
	const size_t huge = 2U << 20;
	char *memory = mmap(NULL, 4 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = memory + (-(uintptr_t)memory & (huge - 1));
	struct span span = span_of(aligned, huge / PAGE);
	uint64_t resident = 0;

	assert_true(memory != MAP_FAILED);
	/* Exactly one huge page's worth may be had: the rest is taken out. */
	munmap(aligned + huge, 4 * huge - huge - (size_t)(aligned - memory));
	munmap(memory, (size_t)(aligned - memory));
	madvise(aligned, huge, MADV_HUGEPAGE);
	aligned[0] = 1;
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), &span, 1))
			continue;
		assert_true(seen.facts[0].resident == PAGE || seen.facts[0].resident == huge);
		assert_true(!resident || resident == seen.facts[0].resident);
		resident = seen.facts[0].resident;
	}
	print_message("huge pages: %s\n", resident == huge ? "yes" : "this kernel gave none");
	munmap(aligned, huge);
}

/* Runs that cross the edges of spans, and holes between them. */
static void edges_of_spans(void **state)
{
	char *memory = map_pages(100, PROT_READ | PROT_WRITE);
	struct span spans[] = {span_of(memory + 10 * PAGE, 10), span_of(memory + 20 * PAGE, 5),
			       span_of(memory + 30 * PAGE, 1), span_of(memory + 40 * PAGE, 20)};
	static const uint64_t pages[] = {5, 5, 1, 10};

	touch(memory, 15, 50); /* spans hold 5, 5, 1 and 10 of them; 5 + 9 lie in the holes */
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), spans, ARRAY_SIZE(spans)))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
			assert_int_equal(seen.facts[i].start, spans[i].start);
			assert_int_equal(seen.facts[i].resident, pages[i] * PAGE);
		}
		assert_int_equal(seen.outside.resident, 14 * PAGE);
		assert_true(seen.outside.start <= spans[0].start);
	}
	munmap(memory, 100 * PAGE);
}

/* Spans without files are read without a look at each page's origin; the file pages between them must not
 * pass for anonymous ones, and private pages that nobody asked for must still be found. */
static void files_between_anonymous_spans(void **state)
{
	char *memory = map_pages(40, PROT_READ | PROT_WRITE);
	struct span spans[] = {span_of(memory, 10), span_of(memory + 20 * PAGE, 10)};
	int fd = open("/proc/self/exe", O_RDONLY);
	char *file = mmap(memory + 10 * PAGE, 10 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, fd, 0);

	assert_true(file != MAP_FAILED);
	spans[0].anonymous = spans[1].anonymous = true;
	touch(memory, 3, 7);
	touch(memory, 22, 25);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), spans, 2))
			continue;
		assert_int_equal(seen.facts[0].resident, 4 * PAGE);
		assert_int_equal(seen.facts[1].resident, 3 * PAGE);
		assert_int_equal(seen.outside.resident, 0);
	}
	assert_true(mmap(file, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) == file);
	touch(file, 0, 2);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (!read_spans(methods[m], getpid(), spans, 2))
			continue;
		assert_int_equal(seen.facts[0].resident, 4 * PAGE);
		assert_int_equal(seen.outside.resident, 2 * PAGE);
	}
	close(fd);
	munmap(memory, 40 * PAGE);
}

/* More runs than one call of either method returns. */
static void many_runs(void **state)
{
	enum { PAGES = 40000 };
	char *memory = map_pages(PAGES, PROT_READ | PROT_WRITE);
	struct span span = span_of(memory, PAGES);

	for (size_t i = 0; i < PAGES; i += 2)
		touch(memory, i, i + 1);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (read_spans(methods[m], getpid(), &span, 1))
			assert_int_equal(seen.facts[0].resident, PAGES / 2 * PAGE);
	}
	munmap(memory, PAGES * PAGE);
}

/* A budget of nothing still reads one stretch a pass, the changed first, then the others in turn. */
static void budget_rotates(void **state)
{
	enum { SPANS = 5 };
	struct span spans[SPANS];
	/* Holes too wide to be bridged make each span a stretch. */
	char *memory = mmap(NULL, SPANS * (8UL << 20), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(memory != MAP_FAILED);
	for (size_t i = 0; i < SPANS; i++)
		spans[i] = span_of(memory + i * (8UL << 20), 4);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		struct residency *residency = open_method(getpid(), methods[m]);
		static const size_t order[] = {0, 1, 3, 2, 3, 4, 0, 1};
		bool whole = true;

		for (size_t i = 0; residency && i < ARRAY_SIZE(order); i++) {
			spans[3].changed = i == 2;
			seen = (struct seen){0};
			assert_int_equal(residency_pass(residency, spans, SPANS, 1, &sink, &whole), 0);
			assert_false(whole);
			assert_int_equal(seen.count, 1);
			assert_int_equal(seen.facts[0].start, spans[order[i]].start);
		}
		spans[3].changed = false;
		residency_free(residency);
	}
	munmap(memory, SPANS * (8UL << 20));
}

static void bad_spans_are_refused(void **state)
{
	char *memory = map_pages(16, PROT_READ | PROT_WRITE);
	uint64_t at = (uint64_t)(uintptr_t)memory;
	struct span cases[][2] = {
		{{.start = at, .length = PAGE}, {.start = at, .length = PAGE}},               /* overlap */
		{{.start = at + PAGE, .length = PAGE}, {.start = at, .length = PAGE}},        /* not sorted */
		{{.start = at}, {.start = at + PAGE, .length = PAGE}},                        /* empty */
		{{.start = at + 1, .length = PAGE}, {.start = at + 2 * PAGE, .length = PAGE}}, /* not aligned */
		{{.start = at, .length = PAGE}, {.start = -PAGE, .length = 2 * PAGE}},        /* wraps */
	};
	struct residency *residency = open_method(getpid(), "pagemap");
	bool whole;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(residency_pass(residency, cases[i], 2, 0, &sink, &whole), -EINVAL);
	assert_int_equal(residency_pass(residency, NULL, 0, 0, &sink, &whole), 0);
	assert_true(whole);
	residency_free(residency);
	munmap(memory, 16 * PAGE);
}

/* A child that stands still, so that its memory is seen from outside; then it ends. */
static void another_process_stopped_and_gone(void **state)
{
	char *memory = map_pages(16, PROT_READ | PROT_WRITE);
	struct span span = span_of(memory, 16);
	struct residency *residencies[ARRAY_SIZE(methods)];
	bool whole;
	pid_t child;
	int status;

	touch(memory, 0, 2);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		touch(memory, 0, 9);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		residencies[m] = open_method(child, methods[m]);
		if (read_spans(methods[m], child, &span, 1))
			assert_int_equal(seen.facts[0].resident, 9 * PAGE);
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	for (size_t m = 0; m < ARRAY_SIZE(methods); m++) {
		if (residencies[m])
			assert_int_equal(residency_pass(residencies[m], &span, 1, 0, &sink, &whole), -ESRCH);
		residency_free(residencies[m]);
	}
	munmap(memory, 16 * PAGE);
}

static void what_is_not_there_is_explained(void **state)
{
	struct residency *residency = NULL;
	struct explain explain = {0};

	assert_int_equal(residency_new(5, 0x7ffffff0, NULL, NULL, &residency, &explain), -ESRCH);
	assert_string_equal(explain.why, "the process is gone");
	assert_null(residency);
	assert_int_equal(residency_new(5, (uint32_t)getpid(), NULL, "guess", &residency, &explain), -EINVAL);
	assert_int_equal(residency_new(5, (uint32_t)getpid(), "/tmp", NULL, &residency, &explain), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_pages_exactly),
		cmocka_unit_test(pages_behind_no_access_stay),
		cmocka_unit_test(zero_pages_count_as_the_kernel_counts_them),
		cmocka_unit_test(file_pages_count_once_they_are_private),
		cmocka_unit_test(shared_anonymous_pages_do_not_count),
		cmocka_unit_test(guard_markers_are_not_swapped),
		cmocka_unit_test(huge_pages_count_whole),
		cmocka_unit_test(edges_of_spans),
		cmocka_unit_test(files_between_anonymous_spans),
		cmocka_unit_test(many_runs),
		cmocka_unit_test(budget_rotates),
		cmocka_unit_test(bad_spans_are_refused),
		cmocka_unit_test(another_process_stopped_and_gone),
		cmocka_unit_test(what_is_not_there_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
