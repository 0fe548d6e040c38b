/* SPDX-License-Identifier: GPL-2.0-only */
/* Lives of threads at random, of three pools, and how many of each lived at once. */
#ifndef POOLSCOPE_TESTS_LIVES_H
#define POOLSCOPE_TESTS_LIVES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model_facts.h"

enum { OF_WORK, OF_OTHER, OF_NAMED, KINDS };
static const char *const pools[KINDS] = {"libfoo.so:work", "libfoo.so:other", "named-*"};

struct life {
	uint64_t born_ns, ended_ns, named_ns;
	int kind;
};

struct moment {
	uint64_t time_ns;
	enum { BORN, NAMED, ENDED } what;
	uint32_t life;
};

static inline int compare_moments(const void *a, const void *b)
{
	const struct moment *one = a, *other = b;

	return one->time_ns < other->time_ns ? -1 : one->time_ns > other->time_ns;
}

static inline uint32_t next_random(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

#define LIVES 400

/* Times are unique: births in the first third of each microsecond, names in the second, ends in the third. */
static inline size_t make_lives(uint32_t seed, struct life *lives, struct moment *moments)
{
	uint32_t longest_ms = (uint32_t[]){5, 15, 25, 60, 300}[seed % 5], spread_ms = (uint32_t[]){300, 1500, 4000}[seed % 3];
	size_t count = 0;

	for (uint32_t i = 0; i < LIVES; i++) {
		uint64_t born = (uint64_t)next_random(&seed, spread_ms * 1000) * 1000 * LIVES + i;
		uint64_t length = (uint64_t)(1 + next_random(&seed, longest_ms * 1000)) * 1000;

		born /= LIVES / 300; /* a burst now and then */
		lives[i] = (struct life){.born_ns = SEC + born, .ended_ns = SEC + born + length + 600, .kind = (int)next_random(&seed, KINDS)};
		moments[count++] = (struct moment){lives[i].born_ns, BORN, i};
		if (lives[i].kind == OF_NAMED) {
			lives[i].named_ns = SEC + born + next_random(&seed, (uint32_t)(length < 15 * MSEC ? length : 15 * MSEC)) / 1000 * 1000 + 300;
			moments[count++] = (struct moment){lives[i].named_ns, NAMED, i};
		}
		moments[count++] = (struct moment){lives[i].ended_ns, ENDED, i};
	}
	qsort(moments, count, sizeof(*moments), compare_moments);
	return count;
}

static inline void most_of(const struct life *lives, const struct moment *moments, size_t count, uint32_t most[KINDS])
{
	uint32_t living[KINDS] = {0};

	memset(most, 0, KINDS * sizeof(*most));
	for (size_t i = 0; i < count; i++) {
		int kind = lives[moments[i].life].kind;

		if (moments[i].what == BORN)
			living[kind]++;
		if (moments[i].what == ENDED)
			living[kind]--;
		most[kind] = living[kind] > most[kind] ? living[kind] : most[kind];
	}
}

#endif
