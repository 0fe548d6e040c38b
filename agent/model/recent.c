/* SPDX-License-Identifier: GPL-2.0-only */
/* Births and ends of the last moments, in order: which pool a newborn counts in is known only a while after its birth, and
 * how many lived in a pool at one time, with it. It must not know threads, nor pools beyond their numbers. */
#include "recent.h"

#include "../base.h"

#include <string.h>

uint64_t recent_last_ns(const struct recent *recent)
{
	return recent->count > recent->first ? recent->step[recent->count - 1].time_ns : 0;
}

const struct recent_step *recent_waiting(const struct recent *recent, uint32_t *ret_count)
{
	*ret_count = recent->count - recent->first;
	return *ret_count ? recent->step + recent->first : NULL;
}

uint64_t recent_note(struct recent *recent, const struct recent_step *step)
{
	uint64_t last_ns;

	if (recent->count == recent->room && recent->first > recent->room / 2) {
		recent->count -= recent->first;
		memmove(recent->step, recent->step + recent->first, recent->count * sizeof(*step));
		recent->first = 0;
	}
	if (recent->count - recent->first >= RECENT_MAX || TABLE_GROW(recent->step, recent->count, recent->room, 16))
		return 0;
	last_ns = recent_last_ns(recent);
	recent->step[recent->count] = *step;
	if (step->time_ns < last_ns)
		recent->step[recent->count].time_ns = last_ns;
	recent->count++;
	return recent->passed + recent->count - recent->first;
}

bool recent_place(struct recent *recent, uint64_t number, uint32_t pool, uint32_t pool_number)
{
	struct recent_step *step;

	if (number <= recent->passed)
		return false;
	step = &recent->step[recent->first + (number - recent->passed - 1)];
	step->pool = pool;
	step->pool_number = pool_number;
	return true;
}

bool recent_pass(struct recent *recent, uint64_t until_ns, struct recent_step *ret_step)
{
	if (recent->first == recent->count || recent->step[recent->first].time_ns > until_ns)
		return false;
	*ret_step = recent->step[recent->first++];
	recent->passed++;
	return true;
}

void recent_trim(struct recent *recent)
{
	if (recent->first == recent->count)
		recent_clear(recent);
}

void recent_clear(struct recent *recent)
{
	uint64_t passed = recent->passed + recent->count - recent->first;

	free(recent->step);
	*recent = (struct recent){.passed = passed};
}
