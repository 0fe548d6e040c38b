/* SPDX-License-Identifier: GPL-2.0-only */
/* Judges values against limits, with the delays that the user asked for.
 * It must not know where the values come from. */
#include "limits.h"

#include <fnmatch.h>

#define FALL_NS NSEC_PER_SEC

static const struct limit_rule *rule_find(const struct policy_entry *entry, const char *pool,
					  enum limit_kind kind)
{
	for (size_t i = 0; i < entry->n_limits; i++) {
		const struct limit_rule *rule = &entry->limits[i];

		if (rule->kind != kind || !*rule->pool != !*pool)
			continue;
		if (!*pool || fnmatch(rule->pool, pool, 0) == 0)
			return rule;
	}
	return NULL;
}

void limit_tracks_bind(struct limit_track tracks[LIMIT_KIND_COUNT], const struct policy_entry *entry,
		       const char *pool, uint64_t time_ns)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++)
		tracks[kind] = (struct limit_track){
			.rule = rule_find(entry, pool, kind),
			.value = UNKNOWN_U64,
			.max = UNKNOWN_U64,
			.since_ns = time_ns,
		};
}

uint64_t limit_rule_max(const struct limit_rule *rule, const struct limit_bounds *bounds)
{
	static const uint64_t none = UNKNOWN_U64;
	const uint64_t *const bound_of[LIMIT_KIND_COUNT] = {
		[LIMIT_THREADS] = &bounds->threads,
		[LIMIT_RESIDENT_BYTES] = &bounds->bytes,
		[LIMIT_RESIDENT_BYTES_PER_THREAD] = &bounds->bytes,
		[LIMIT_THREADS_STARTED_PER_MINUTE] = &none, /* nature sets no rate */
	};
	uint64_t bound;

	if (!rule->is_percent)
		return rule->value;
	bound = *bound_of[rule->kind];
	if (bound == UNKNOWN_U64)
		return UNKNOWN_U64;
	return (uint64_t)((unsigned __int128)bound * rule->value / 10000);
}

static void latch_update(struct latch *latch, bool condition, uint64_t now_ns, uint64_t for_ns,
			 uint64_t clear_for_ns)
{
	if (condition == latch->on) {
		latch->contrary = false;
		return;
	}
	if (!latch->contrary) {
		latch->contrary = true;
		latch->contrary_since_ns = now_ns;
	}
	if (now_ns >= add_saturated(latch->contrary_since_ns, latch->on ? clear_for_ns : for_ns))
		*latch = (struct latch){.on = condition};
}

enum limit_state limit_track_state(const struct limit_track *track)
{
	return track->over.on ? LIMIT_OVER : track->warn.on ? LIMIT_WARN : LIMIT_OK;
}

bool limit_track_judge(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds,
		       uint64_t now_ns, enum limit_state *ret_before)
{
	enum limit_state before = limit_track_state(track);

	if (!track->rule)
		return false;
	track->value = value;
	track->max = limit_rule_max(track->rule, bounds);
	/* What is not known is beyond nothing: a state that was reached falls after its clear_for. */
	bool is_known = value != UNKNOWN_U64 && track->max != UNKNOWN_U64;
	bool over = is_known && value > track->max;
	/* An empty pool is not near a limit of 0; `over` is beyond any warning. */
	bool warn = over || (is_known && value > 0 && (double)value >= track->rule->warn_ratio * (double)track->max);
	uint64_t fell_ns = track->over.contrary_since_ns;

	latch_update(&track->over, over, now_ns, track->rule->for_ns, track->rule->clear_for_ns);
	latch_update(&track->warn, warn, now_ns, track->rule->for_ns, track->rule->clear_for_ns);
	track->was_over |= track->over.on;
	/* What fell through both at once ends at once: no warning of a value that is far from it. */
	if (before == LIMIT_OVER && !track->over.on && track->warn.contrary &&
	    track->warn.contrary_since_ns - fell_ns <= FALL_NS)
		track->warn = (struct latch){.on = false};
	enum limit_state state = limit_track_state(track);

	if (state == before)
		return false;
	track->since_ns = now_ns;
	if (state == LIMIT_OVER)
		track->violations++;
	*ret_before = before;
	return true;
}

static uint64_t latch_deadline(const struct latch *latch, const struct limit_rule *rule)
{
	return latch->contrary ? add_saturated(latch->contrary_since_ns,
					       latch->on ? rule->clear_for_ns : rule->for_ns)
			       : UINT64_MAX;
}

uint64_t limit_track_over_at(const struct limit_track *track)
{
	return track->rule && !track->over.on ? latch_deadline(&track->over, track->rule) : UINT64_MAX;
}

uint64_t limit_track_deadline(const struct limit_track *track)
{
	uint64_t warn, over;

	if (!track->rule)
		return UINT64_MAX;
	warn = latch_deadline(&track->warn, track->rule);
	over = latch_deadline(&track->over, track->rule);
	return warn < over ? warn : over;
}
