/* SPDX-License-Identifier: GPL-2.0-only */
#include "doubt.h"

#include "../base.h"

/* Refreshes with a sample of threads but not of this one: its end is among what was lost. */
#define ROUNDS_UNTIL_GONE 3
/* By then who was born unheard has been listed, too: a reseed is put off for less (RESEED_SPACING_NS), if it can be done. */
#define RESEEDED_NS NSEC_PER_SEC

void doubt_lives(struct doubt *doubt, uint64_t now_ns)
{
	doubt->lives = true;
	doubt->lives_lost_ns = now_ns;
}

void doubt_events(struct doubt *doubt, uint64_t now_ns)
{
	doubt->wants_reseed = doubt->ends = true;
	doubt->events_lost_ns = now_ns;
	doubt->rounds = 0;
	doubt->is_listed = doubt->is_sampled = false;
}

void doubt_reseeded(struct doubt *doubt)
{
	doubt->is_reseeded = doubt->was_reseeded = true;
	doubt->is_listed = doubt->is_sampled = false;
}

void doubt_listed(struct doubt *doubt, bool is_known)
{
	doubt->has_sample = doubt->is_listed = true;
	/* Who is listed only now is told before the ends of others that came before. */
	if (!is_known && doubt->is_reseeded)
		doubt->lives = true;
}

void doubt_sampled(struct doubt *doubt, uint64_t time_ns)
{
	doubt->has_sample = doubt->is_sampled = true;
	if (!doubt->sample_ns || time_ns < doubt->sample_ns)
		doubt->sample_ns = time_ns;
}

/* The sample after a reseed has all who were there when it began. */
static bool sample_decides(const struct doubt *doubt)
{
	bool is_reseeds = doubt->was_reseeded && doubt->is_listed && doubt->is_sampled;

	return doubt->sample_ns && (is_reseeds || doubt->by_sample);
}

bool doubt_ends_now(struct doubt *doubt, uint64_t *since_ns, uint64_t now_ns)
{
	if (!(doubt->ends || doubt->by_sample) || !doubt->has_sample)
		return false;
	if (doubt->wants_reseed && now_ns < add_saturated(doubt->events_lost_ns, RESEEDED_NS))
		return false;
	doubt->rounds++;
	if (!sample_decides(doubt))
		return doubt->rounds >= ROUNDS_UNTIL_GONE;
	*since_ns = doubt->sample_ns;
	return true;
}

void doubt_ended(struct doubt *doubt, bool is_open)
{
	doubt->ends = false;
	doubt->by_sample = is_open;
}

enum doubt_counts doubt_counts(struct doubt *doubt)
{
	if (!doubt->lives)
		return COUNTS_SURE;
	if (doubt->ends)
		return COUNTS_UNKNOWN;
	/* All that was lost was known when threads were listed. */
	if (!doubt->by_sample && (!doubt->lives_lost_ns || doubt->lives_lost_ns < doubt->losses_told_ns)) {
		doubt->lives = false;
		doubt->lives_lost_ns = 0;
		return COUNTS_ANEW;
	}
	doubt->by_sample = true; /* who is told of since this sample may have ended before it */
	return doubt->sample_ns ? COUNTS_FOUND : COUNTS_UNKNOWN;
}

void doubt_refreshed(struct doubt *doubt)
{
	doubt->has_sample = doubt->is_reseeded = false;
	doubt->shown_sample_ns = doubt->sample_ns;
	doubt->sample_ns = 0;
}
