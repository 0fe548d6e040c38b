/* SPDX-License-Identifier: GPL-2.0-only */
/* The interval map under the call sequences that real programs make (glibc 2.36's malloc and threads among
 * them), one test per rule of ownership. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "model/range_map.h"

#define K 1024ULL
#define M (1024 * K)
#define P 4096ULL
#define RW (PROT_READ | PROT_WRITE)
#define BASE 0x7f0000000000ULL /* a multiple of 64 MiB */
#define STACK_FLAGS (RANGE_ANON | RANGE_STACK | RANGE_NORESERVE)

enum { MAIN = 0, ANN, BOB, EVE };

struct fixture {
	struct range_map *map;
	uint64_t now; /* one more with every event */
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	fixture->now = 1000;
	return range_map_new(0, &fixture->map);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	range_map_free(fixture->map);
	free(fixture);
	return 0;
}

static int map_flags(struct fixture *f, uint32_t who, uint64_t start, uint64_t length, int protection, uint32_t flags)
{
	struct fact_range fact = { .start = start, .length = length, .protection = protection, .flags = flags };

	return range_map_made(f->map, &fact, who, ++f->now);
}

static int do_mmap(struct fixture *f, uint32_t who, uint64_t start, uint64_t length, int protection)
{
	return map_flags(f, who, start, length, protection, RANGE_ANON);
}

static int do_mprotect(struct fixture *f, uint32_t who, uint64_t start, uint64_t length, int protection)
{
	struct fact_range fact = { .start = start, .length = length, .protection = protection };

	return range_map_protected(f->map, &fact, who, ++f->now);
}

static int do_munmap(struct fixture *f, uint32_t who, uint64_t start, uint64_t length)
{
	return range_map_freed(f->map, start, length, who, ++f->now);
}

static int do_mremap(struct fixture *f, uint32_t who, uint64_t old, uint64_t old_length, uint64_t start,
		     uint64_t length, uint32_t flags)
{
	struct fact_range fact = { .start = start, .length = length, .old_start = old, .old_length = old_length,
				   .flags = flags };

	return range_map_moved(f->map, &fact, who, ++f->now);
}

static uint64_t do_read(struct fixture *f, uint64_t start, uint64_t length, uint64_t resident)
{
	struct fact_resident fact = { .start = start, .length = length, .resident = resident };

	return range_map_resident(f->map, &fact, f->now);
}

static void seen(struct fixture *f, uint64_t start, uint64_t length, int protection, uint32_t flags)
{
	struct fact_range fact = { .start = start, .length = length, .protection = protection, .flags = flags };

	assert_int_equal(range_map_seen(f->map, &fact, f->now), 0);
}

/* Writes the map as lines "offset from BASE in pages + pages owner region", usable ranges alone unless `all`. */
static const char *picture(struct fixture *f, bool all)
{
	static char text[4096];
	size_t used = 0;

	text[0] = 0;
	for (const struct range *r = range_map_first(f->map); r; r = range_map_next(f->map, r)) {
		char owner[24];

		if (!all && !(r->usable && range_counts(r)))
			continue;
		snprintf(owner, sizeof(owner), "%u", r->owner);
		used += snprintf(text + used, sizeof(text) - used, "%s%lld+%llu:%s:%s%s", used ? " " : "",
				 (long long)(r->start - BASE) / (long long)P, (unsigned long long)(r->end - r->start) / P,
				 r->owner == OWNER_NONE ? unattributed_name(r->reason) : owner, region_name(r->region),
				 r->usable ? "" : "!");
	}
	return text;
}

#define assert_map(expected) assert_string_equal(picture(f, false), expected)
#define assert_all(expected) assert_string_equal(picture(f, true), expected)

/* glibc's new_heap and grow_heap (FACTS: 128 MiB reserved, trimmed to an aligned 64 MiB, then 132 KiB). */
static void glibc_heap_is_an_arena_of_its_growers(void **state)
{
	struct fixture *f = *state;

	map_flags(f, ANN, BASE - 20 * M, 128 * M, PROT_NONE, RANGE_ANON | RANGE_NORESERVE);
	do_munmap(f, ANN, BASE - 20 * M, 20 * M);
	do_munmap(f, ANN, BASE + 64 * M, 44 * M);
	do_mprotect(f, ANN, BASE, 132 * K, RW);
	assert_all("0+33:1:arena 33+16351:before_attach:mmap!");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(glibc_heap_is_an_arena_of_its_growers, set_up, tear_down),
	};

	(void)do_mmap, (void)do_mremap, (void)do_read, (void)seen, (void)BOB, (void)EVE, (void)MAIN;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
