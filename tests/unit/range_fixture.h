/* SPDX-License-Identifier: GPL-2.0-only */
/* A target's system calls in short words, and a picture of the interval map that a test can compare. It must
 * not know what any test expects. Include after cmocka.h. */
#ifndef RANGE_FIXTURE_H
#define RANGE_FIXTURE_H

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

static inline int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	fixture->now = 1000;
	return range_map_new(0, &fixture->map);
}

static inline int tear_down(void **state)
{
	struct fixture *fixture = *state;

	range_map_free(fixture->map);
	free(fixture);
	return 0;
}

static inline int map_flags(struct fixture *f, uint32_t who, uint64_t start, uint64_t length, int protection,
			    uint32_t flags)
{
	struct fact_range fact = {.start = start, .length = length, .protection = protection, .flags = flags};

	return range_map_made(f->map, &fact, who, ++f->now);
}

static inline int do_mmap(struct fixture *f, uint32_t who, uint64_t start, uint64_t length, int protection)
{
	return map_flags(f, who, start, length, protection, RANGE_ANON);
}

static inline int do_mprotect(struct fixture *f, uint32_t who, uint64_t start, uint64_t length,
			      int protection)
{
	struct fact_range fact = {.start = start, .length = length, .protection = protection};

	return range_map_protected(f->map, &fact, who, ++f->now);
}

static inline int do_munmap(struct fixture *f, uint32_t who, uint64_t start, uint64_t length)
{
	return range_map_freed(f->map, start, length, who, ++f->now);
}

static inline int do_mremap(struct fixture *f, uint32_t who, uint64_t old, uint64_t old_length,
			    uint64_t start, uint64_t length, uint32_t flags)
{
	struct fact_range fact = {
		.start = start, .length = length, .old_start = old, .old_length = old_length, .flags = flags};

	return range_map_moved(f->map, &fact, who, ++f->now);
}

static inline uint64_t do_read(struct fixture *f, uint64_t start, uint64_t length, uint64_t resident)
{
	struct fact_resident fact = {.start = start, .length = length, .resident = resident};

	return range_map_resident(f->map, &fact, f->now);
}

static inline void seen(struct fixture *f, uint64_t start, uint64_t length, int protection, uint32_t flags)
{
	struct fact_range fact = {.start = start, .length = length, .protection = protection, .flags = flags};

	assert_int_equal(range_map_seen(f->map, &fact, f->now), 0);
}

/* Writes the map as lines "offset from BASE in pages + pages owner region", usable ranges alone unless `all`.
 */
static inline const char *picture(struct fixture *f, bool all)
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
				 (long long)(r->start - BASE) / (long long)P,
				 (unsigned long long)(r->end - r->start) / P,
				 r->owner == OWNER_NONE ? unattributed_name(r->reason) : owner,
				 region_name(r->region), r->usable ? "" : "!");
	}
	return text;
}

#define assert_map(expected) assert_string_equal(picture(f, false), expected)
#define assert_all(expected) assert_string_equal(picture(f, true), expected)

/* glibc's new_heap: 128 MiB reserved, trimmed to an aligned block, 132 KiB made usable. */
static inline void new_heap(struct fixture *f, uint32_t who, uint64_t block)
{
	assert_int_equal(map_flags(f, who, block - 20 * M, 128 * M, PROT_NONE, RANGE_ANON | RANGE_NORESERVE),
			 0);
	assert_int_equal(do_munmap(f, who, block - 20 * M, 20 * M), 0);
	assert_int_equal(do_munmap(f, who, block + 64 * M, 44 * M), 0);
	assert_int_equal(do_mprotect(f, who, block, 132 * K, RW), 0);
}

/* glibc's allocate_stack: guard and stack reserved by the creator, the stack made usable, then clone3. */
static inline void new_stack(struct fixture *f, uint32_t creator, uint64_t start)
{
	assert_int_equal(map_flags(f, creator, start, 8 * M + P, PROT_NONE, STACK_FLAGS), 0);
	assert_int_equal(do_mprotect(f, creator, start + P, 8 * M, RW), 0);
}

static inline void born(struct fixture *f, uint32_t who, uint64_t start)
{
	assert_int_equal(range_map_stack(f->map, start, 8 * M + P, who, ++f->now), 0);
}

static inline void seed(struct fixture *f, enum unattributed reason)
{
	range_map_seed_begin(f->map, reason, false);
}

static inline const struct range *at(struct fixture *f, uint64_t address)
{
	const struct range *range = range_map_find(f->map, address);

	assert_non_null(range);
	return range;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
