/* SPDX-License-Identifier: GPL-2.0-only */
/* Judges values against limits, with the delays that the user asked for.
 * It must not know where the values come from. */
#include "limits.h"

#include <fnmatch.h>

#define FALL_NS (100 * NSEC_PER_MSEC)

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

/* A count that flutters about its limit is told so often at most. */
#define CERTAIN_NS (20 * NSEC_PER_MSEC)

void limit_tracks_bind(struct limit_track tracks[LIMIT_KIND_COUNT], const struct policy_entry *entry,
		       const char *pool, uint64_t time_ns)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		const struct limit_rule *rule = rule_find(entry, pool, kind);
		uint64_t clear_for_ns = rule ? rule->clear_for_ns : 0;

		if (kind == LIMIT_THREADS && *pool && clear_for_ns < CERTAIN_NS)
			clear_for_ns = CERTAIN_NS;
		tracks[kind] = (struct limit_track){
			.rule = rule,
			.value = UNKNOWN_U64,
			.max = UNKNOWN_U64,
			.since_ns = time_ns,
			.clear_for_ns = clear_for_ns,
		};
	}
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

void latch_fall(struct latch *latch, uint64_t now_ns)
{
	*latch = (struct latch){.on = false, .is_beyond = latch->is_beyond, .fell_ns = latch->on ? now_ns : latch->fell_ns};
}

static void latch_update(struct latch *latch, bool condition, uint64_t now_ns, uint64_t for_ns,
			 uint64_t clear_for_ns)
{
	if (condition == latch->on) {
		latch->contrary = false;
		return;
	}
	if (now_ns < latch->foreseen_ns) /* what is judged only now was there already */
		now_ns = latch->foreseen_ns;
	if (!latch->contrary) {
		latch->contrary = true;
		latch->contrary_since_ns = now_ns;
	}
	if (now_ns < add_saturated(latch->contrary_since_ns, latch->on ? clear_for_ns : for_ns))
		return;
	if (condition)
		*latch = (struct latch){.on = true, .is_beyond = latch->is_beyond};
	else
		latch_fall(latch, now_ns);
}

enum limit_state limit_track_state(const struct limit_track *track)
{
	return track->over.on ? LIMIT_OVER : track->warn.on ? LIMIT_WARN : LIMIT_OK;
}

/* What is not known is beyond nothing. */
static bool is_over(uint64_t value, uint64_t max)
{
	return value != UNKNOWN_U64 && max != UNKNOWN_U64 && value > max;
}

/* 0.55 of 100 is a little more than 55 in floating point. */
#define RATIO_SLACK (1 - 1e-12)

/* An empty pool is not near a limit of 0; `over` is beyond any warning. */
static bool is_near(const struct limit_rule *rule, uint64_t value, uint64_t max)
{
	return is_over(value, max) || (value != UNKNOWN_U64 && max != UNKNOWN_U64 && value > 0 &&
				       (double)value >= rule->warn_ratio * (double)max * RATIO_SLACK);
}

static bool has_changed(struct limit_track *track, enum limit_state before, uint64_t now_ns, enum limit_state *ret_before)
{
	enum limit_state state = limit_track_state(track);

	if (state == before)
		return false;
	track->since_ns = now_ns;
	if (state == LIMIT_OVER)
		track->violations++;
	*ret_before = before;
	return true;
}

static bool takes_value(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds)
{
	if (!track->rule)
		return false;
	track->value = value;
	track->max = limit_rule_max(track->rule, bounds);
	return true;
}

void limit_track_restart(struct limit_track *track)
{
	track->warn.contrary = track->over.contrary = false;
}

bool limit_track_judge(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds,
		       uint64_t now_ns, enum limit_state *ret_before)
{
	enum limit_state before = limit_track_state(track);

	if (!takes_value(track, value, bounds))
		return false;
	/* Where that is not known, a state that was reached falls after its clear_for. */
	bool over = is_over(value, track->max), warn = is_near(track->rule, value, track->max);
	uint64_t fell_ns = track->over.contrary_since_ns;

	latch_update(&track->over, over, now_ns, track->rule->for_ns, track->clear_for_ns);
	latch_update(&track->warn, warn, now_ns, track->rule->for_ns, track->clear_for_ns);
	/* What fell through both at once ends at once: no warning of a value that is far from it. */
	if (before == LIMIT_OVER && !track->over.on && track->warn.contrary &&
	    track->warn.contrary_since_ns - fell_ns <= FALL_NS)
		latch_fall(&track->warn, now_ns);
	return has_changed(track, before, now_ns, ret_before);
}

/* What has fallen since, or by now, and what has risen and could not be foreseen, is told before what comes after it. */
static bool is_quiet_since(const struct limit_track *track, uint64_t after_ns, uint64_t now_ns)
{
	return limit_track_deadline(track) > now_ns && track->over.fell_ns <= after_ns && track->warn.fell_ns <= after_ns &&
	       track->hidden_ns <= after_ns;
}

/* False: it has risen, which is to be told in order. */
static bool latch_foresee(struct latch *latch, bool condition, bool is_quiet, uint64_t now_ns)
{
	bool rises = condition && !latch->is_beyond;

	latch->is_beyond = condition;
	if (!rises)
		return true;
	if (latch->on || !is_quiet)
		return false;
	latch->on = true;
	latch->contrary = false;
	latch->foreseen_ns = now_ns;
	return true;
}

static bool foresee(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, bool is_quiet, uint64_t now_ns,
		    enum limit_state *ret_before)
{
	enum limit_state before = limit_track_state(track);
	bool is_told;

	if (!takes_value(track, value, bounds) || track->rule->for_ns)
		return false;
	is_told = latch_foresee(&track->over, is_over(value, track->max), is_quiet, now_ns);
	is_told &= latch_foresee(&track->warn, is_near(track->rule, value, track->max), is_quiet, now_ns);
	if (!is_told)
		track->hidden_ns = now_ns;
	return has_changed(track, before, now_ns, ret_before);
}

bool limit_track_foresee(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t after_ns,
			 uint64_t now_ns, enum limit_state *ret_before)
{
	return foresee(track, value, bounds, is_quiet_since(track, after_ns, now_ns), now_ns, ret_before);
}

bool limit_track_hide(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t after_ns,
		      uint64_t now_ns, enum limit_state *ret_before)
{
	return foresee(track, value, bounds, false, now_ns, ret_before);
}

static void latch_recall(struct latch *latch, bool condition, uint64_t since_ns, uint64_t now_ns)
{
	if (!condition || latch->on || latch->fell_ns > since_ns)
		return;
	latch->on = true;
	latch->contrary = false;
	latch->foreseen_ns = now_ns;
}

bool limit_track_recall(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t since_ns,
			uint64_t now_ns, enum limit_state *ret_before)
{
	enum limit_state before = limit_track_state(track);

	if (!takes_value(track, value, bounds) || track->rule->for_ns)
		return false;
	latch_recall(&track->over, is_over(value, track->max), since_ns, now_ns);
	latch_recall(&track->warn, is_near(track->rule, value, track->max), since_ns, now_ns);
	return has_changed(track, before, now_ns, ret_before);
}

static uint64_t latch_deadline(const struct limit_track *track, const struct latch *latch)
{
	return latch->contrary ? add_saturated(latch->contrary_since_ns,
					       latch->on ? track->clear_for_ns : track->rule->for_ns)
			       : UINT64_MAX;
}

uint64_t limit_track_over_at(const struct limit_track *track)
{
	return track->rule && !track->over.on ? latch_deadline(track, &track->over) : UINT64_MAX;
}

uint64_t limit_track_deadline(const struct limit_track *track)
{
	uint64_t warn, over;

	if (!track->rule)
		return UINT64_MAX;
	warn = latch_deadline(track, &track->warn);
	over = latch_deadline(track, &track->over);
	return warn < over ? warn : over;
}
