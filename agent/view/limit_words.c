/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentences about limits: over, near, soon over, and those that watch nothing. They must not know how a limit is
 * judged. */
#include "limit_words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "escape.h"
#include "format.h"

#define NAME_BUFFER ((char[NAME_SIZE]){ 0 })

static const struct {
	const char *before, *noun, *after; /* "41 threads > 40"; no noun: bytes */
} limit_phrases[] = {
	[LIMIT_THREADS] = { "", "thread", "" },
	[LIMIT_RESIDENT_BYTES] = { "RES ", NULL, "" },
	[LIMIT_RESIDENT_BYTES_PER_THREAD] = { "largest thread ", NULL, "" },
	[LIMIT_THREADS_STARTED_PER_MINUTE] = { "", "thread", " started a minute" },
};
_Static_assert(ARRAY_SIZE(limit_phrases) == LIMIT_KIND_COUNT, "a phrase for each kind of limit");

static const char *value_text(const struct snapshot_limit *limit, char buffer[FORMAT_SIZE])
{
	const char *noun = limit_phrases[limit->kind].noun;

	return noun ? format_counted(buffer, limit->value, noun) : format_bytes(buffer, limit->value);
}

static const char *max_text(const struct snapshot_limit *limit, char buffer[FORMAT_SIZE])
{
	return limit_phrases[limit->kind].noun ? format_count(buffer, limit->max) : format_bytes(buffer, limit->max);
}

/* Of what a limit in percent is a share; UNKNOWN_U64 when that cannot be told. */
static uint64_t natural_bound(const struct snapshot_target *target, const struct snapshot_pool *pool,
			      const struct snapshot_limit *limit, const char **ret_name)
{
	bool in_cgroup = target->cgroup.memory_max != UNKNOWN_U64 || target->cgroup.is_memory_unread;

	if (!limit_phrases[limit->kind].noun) {
		*ret_name = in_cgroup ? "memory.max" : "the host's memory";
		return fact_memory_bound(&target->cgroup);
	}
	*ret_name = pool ? "its capacity" : "pids.max";
	return pool ? pool->capacity : target->cgroup.pids_max;
}

static const char *limit_subject(const struct collector *all, const struct snapshot_pool *pool, char buffer[NAME_SIZE])
{
	if (!pool)
		return "process";
	escape_text(pool->name, sizeof(pool->name), all->options->utf8, buffer, NAME_SIZE);
	return buffer;
}

static void say_limits(struct collector *all, const struct snapshot_pool *pool, const struct snapshot_limit *limits,
		       size_t n_limits, enum limit_state state)
{
	for (size_t i = 0; i < n_limits; i++) {
		const struct snapshot_limit *limit = &limits[i];
		char percent[64] = "", since[96] = "", excess[64] = "";
		const char *bound_name = "", *held = "";
		uint64_t bound = natural_bound(all->target, pool, limit, &bound_name);

		if (limit->state != state)
			continue;
		if (limit->is_percent && bound != UNKNOWN_U64 && bound && limit->max != UNKNOWN_U64)
			snprintf(percent, sizeof(percent), " (%.4g %% of %s)", limit->percent, bound_name);
		if (limit->value > limit->max && limit->value != UNKNOWN_U64 &&
		    !strcmp(value_text(limit, FORMAT_BUFFER), max_text(limit, FORMAT_BUFFER)))
			snprintf(excess, sizeof(excess), " by %s", format_bytes(FORMAT_BUFFER, limit->value - limit->max));
		if (limit->since_realtime_ns)
			snprintf(since, sizeof(since), " since %s (%s)",
				 format_clock(FORMAT_BUFFER, limit->since_realtime_ns, all->snapshot->realtime_ns),
				 format_duration(FORMAT_BUFFER, seconds_since(all, limit->since_realtime_ns)));
		if (limit->max == UNKNOWN_U64 || limit->value == UNKNOWN_U64)
			held = ", not known by now: held for its clear_for";
		else if (state == LIMIT_OVER ? limit->value <= limit->max : limit->is_falling && !all->target->ended)
			held = ", below by now: held for its clear_for";
		say(all, state == LIMIT_OVER ? ATTR_OVER : ATTR_WARN, "%s %s: %s%s%s %s %s%s%s%s%s",
		    state == LIMIT_OVER ? "OVER" : "NEAR", limit_subject(all, pool, NAME_BUFFER), limit_phrases[limit->kind].before,
		    value_text(limit, FORMAT_BUFFER), limit_phrases[limit->kind].after,
		    limit->value > limit->max && limit->value != UNKNOWN_U64 ? ">" : "of",
		    max_text(limit, FORMAT_BUFFER), excess, percent, since, held);
	}
}

void say_all_limits(struct collector *all, enum limit_state state)
{
	const struct snapshot_target *target = all->target;

	say_limits(all, NULL, target->limits, target->n_limits, state);
	for (size_t i = 0; i < target->n_pools; i++)
		say_limits(all, &target->pools[i], target->pools[i].limits, target->pools[i].n_limits, state);
}

static bool is_over(const struct snapshot_limit *limits, size_t n_limits)
{
	for (size_t i = 0; i < n_limits; i++) {
		if (limits[i].state == LIMIT_OVER)
			return true;
	}
	return false;
}

/* What of a target is over, for a list; "": nothing is. */
static const char *over_subject(const struct collector *all, const struct snapshot_target *target, char buffer[NAME_SIZE])
{
	if (is_over(target->limits, target->n_limits))
		return limit_subject(all, NULL, buffer);
	for (size_t i = 0; i < target->n_pools; i++) {
		if (is_over(target->pools[i].limits, target->pools[i].n_limits))
			return limit_subject(all, &target->pools[i], buffer);
	}
	return "";
}

void say_over_elsewhere(struct collector *all)
{
	char first[2 * NAME_SIZE + 32] = "", subject[NAME_SIZE], name[NAME_SIZE];
	uint64_t count = 0;

	for (size_t i = 0; i < all->snapshot->n_targets && all->options->shows_one; i++) {
		const struct snapshot_target *target = &all->snapshot->targets[i];
		const char *what = target == all->target || target->ended ? "" : over_subject(all, target, subject);

		if (what[0] && !count++)
			snprintf(first, sizeof(first), "%s (PID %u): %s",
				 escape_text(target->info.name[0] ? target->info.name : target->info.comm, 64, all->options->utf8,
					     name, sizeof(name)),
				 target->info.pid, what);
	}
	if (count == 1)
		say(all, ATTR_OVER, "OVER in another target, %s (Tab)", first);
	else if (count)
		say(all, ATTR_OVER, "OVER in %s other targets, first %s (Tab)", format_count(FORMAT_BUFFER, count), first);
}

/* It is beyond its limit, but not for long enough yet to be over it. */
static void say_pending(struct collector *all, const struct snapshot_pool *pool, const struct snapshot_limit *limits,
			size_t n_limits)
{
	for (size_t i = 0; i < n_limits; i++) {
		const struct snapshot_limit *limit = &limits[i];

		if (!limit->over_in_ns)
			continue;
		say(all, ATTR_WARN, "%s: %s%s%s > %s, over its limit if so in %s", limit_subject(all, pool, NAME_BUFFER),
		    limit_phrases[limit->kind].before, value_text(limit, FORMAT_BUFFER),
		    limit_phrases[limit->kind].after, max_text(limit, FORMAT_BUFFER),
		    format_duration(FORMAT_BUFFER, ceil((double)limit->over_in_ns / 1e9)));
	}
}

void say_pending_limits(struct collector *all)
{
	const struct snapshot_target *target = all->target;

	if (target->ended)
		return;
	say_pending(all, NULL, target->limits, target->n_limits);
	for (size_t i = 0; i < target->n_pools; i++)
		say_pending(all, &target->pools[i], target->pools[i].limits, target->pools[i].n_limits);
}

static bool is_unmatched(const struct snapshot_target *target, const char *glob)
{
	for (size_t i = 0; i < target->n_unmatched; i++) {
		if (!strcmp(target->unmatched[i].pool, glob))
			return true;
	}
	return false;
}

/* A limit is for all targets of its entry, an option's for all: one that watches a pool of another is no slip of the
 * pen. What one that has ended had tells nothing of those that live. */
static bool is_matched_elsewhere(const struct collector *all, const struct snapshot_unmatched *limit)
{
	for (size_t i = 0; i < all->snapshot->n_targets; i++) {
		const struct snapshot_target *other = &all->snapshot->targets[i];
		bool has_it = limit->source == LIMIT_SOURCE_OPTION || other->info.policy == all->target->info.policy;

		if (has_it && (!other->ended || all->target->ended) && !is_unmatched(other, limit->pool))
			return true;
	}
	return false;
}

/* A limit that was asked for and watches nothing must not look like one that is kept. */
void say_unmatched(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	char glob[NAME_SIZE];

	for (size_t i = 0; i < target->n_unmatched; i++) {
		const struct snapshot_unmatched *limit = &target->unmatched[i];
		bool said = is_matched_elsewhere(all, limit);

		for (size_t j = 0; j < i && !said; j++)
			said = !strcmp(target->unmatched[j].pool, limit->pool);
		if (said)
			continue;
		escape_text(limit->pool, sizeof(limit->pool), all->options->utf8, glob, sizeof(glob));
		say(all, ATTR_WARN, target->ended ? "no pool matched '%s': its limit watched nothing"
						  : "no pool matches '%s' yet: its limit watches nothing",
		    glob);
	}
}

struct unbound { /* limits in percent of what is not known */
	bool threads, bytes;
};

static struct unbound find_unbound(const struct snapshot_limit *limits, size_t n_limits)
{
	struct unbound found = { false, false };

	for (size_t i = 0; i < n_limits; i++) {
		bool unbound = snapshot_limit_wants_bound(&limits[i]), is_bytes = !limit_phrases[limits[i].kind].noun;

		found.threads |= unbound && !is_bytes;
		found.bytes |= unbound && is_bytes;
	}
	return found;
}

void say_not_judged(struct collector *all)
{
	const struct snapshot_target *target = all->target;
	struct unbound process = find_unbound(target->limits, target->n_limits);
	bool bytes = process.bytes;
	char pools[POOL_LIST_SIZE] = "";

	for (size_t i = 0; i < target->n_pools; i++) {
		struct unbound pool = find_unbound(target->pools[i].limits, target->pools[i].n_limits);

		if (pool.threads)
			append_pool(all, pools, &target->pools[i], "");
		bytes |= pool.bytes;
	}
	if (process.threads)
		say(all, ATTR_WARN, "process: limit of threads not judged: no pids.max is set, or it is not known");
	if (pools[0])
		say(all, ATTR_WARN, "limit of threads not judged: the capacity of %s is not known", pools);
	if (bytes)
		say(all, ATTR_WARN, "limits in percent of memory not judged: %s",
		    target->cgroup.is_memory_unread ? "the cgroup's memory.max cannot be read" : "its size is not known");
}
