/* SPDX-License-Identifier: GPL-2.0-only */
/* Lives of threads while their pool did not count them, or while it was not known who else lived with them, kept until the
 * next refresh: how many of them lived at once. It must not know pools beyond their numbers. */
#include "briefs.h"

#include "../base.h"

#include <string.h>

void briefs_note(struct briefs *briefs, const struct brief *brief)
{
	if (briefs->count == BRIEFS_MAX || TABLE_GROW(briefs->brief, briefs->count, briefs->room, 16))
		return;
	briefs->brief[briefs->count++] = *brief;
}

static int compare_briefs(const void *a, const void *b)
{
	const struct brief *one = a, *other = b;

	if (one->pool_number != other->pool_number)
		return compare_u64(one->pool_number, other->pool_number);
	return compare_u64(one->born, other->born);
}

void briefs_sort(struct briefs *briefs)
{
	if (briefs->count)
		qsort(briefs->brief, briefs->count, sizeof(*briefs->brief), compare_briefs);
}

static int compare_ends(const void *a, const void *b)
{
	const struct brief *one = a, *other = b;

	return compare_u64(one->ended, other->ended);
}

/* Most live just before one ends. */
static uint64_t most_before_an_end(const struct brief *by_birth, const struct brief *by_end, uint32_t count)
{
	uint64_t most = 0;
	uint32_t born = 0, new = 0;

	for (uint32_t ended = 0; ended < count; ended++) {
		uint64_t living;

		for (; born < count && by_birth[born].born <= by_end[ended].ended; born++)
			new += !by_birth[born].is_counted;
		living = (uint64_t)(born > ended ? born - ended : 0) + by_end[ended].members;
		most = new && living > most ? living : most;
		new -= !by_end[ended].is_counted;
	}
	return most;
}

uint64_t briefs_most(const struct briefs *briefs, uint32_t first, uint32_t *ret_next)
{
	const struct brief *by_birth = &briefs->brief[first];
	_cleanup_(freep) struct brief *by_end = NULL;
	uint32_t count = 0;

	while (first + count < briefs->count && by_birth[count].pool_number == by_birth->pool_number)
		count++;
	*ret_next = first + count;
	by_end = calloc(count, sizeof(*by_end));
	if (!by_end)
		return 0;
	memcpy(by_end, by_birth, count * sizeof(*by_end));
	qsort(by_end, count, sizeof(*by_end), compare_ends);
	return most_before_an_end(by_birth, by_end, count);
}

void briefs_forget(struct briefs *briefs)
{
	if (!briefs->count)
		briefs_clear(briefs);
	briefs->count = 0;
}

void briefs_clear(struct briefs *briefs)
{
	free(briefs->brief);
	*briefs = (struct briefs){.count = 0};
}
