/* SPDX-License-Identifier: GPL-2.0-only */
/* How busy the workers of one executor were seen, look after look, and how many would have done. It must not know
 * threads, nor where the figures come from. */
#include "busy_watch.h"

/* Long enough for what comes round every five minutes, which is what people's timers do, to have come twice. */
#define OBSERVED_LEAST_NS (600 * NSEC_PER_SEC)
/* After a longer time without a look nobody knows what was between: the watch begins anew. */
#define GAP_MOST_NS (12 * NSEC_PER_SEC)
/* Looks miss what lasts shorter than the time between them, so some room stays above what they saw. */
#define MARGIN_DIVISOR 10
/* To save less than a quarter of the workers is not worth it: the peak is that of a sample. */
#define KEPT_PARTS 3
#define ALL_PARTS 4

static bool begins_anew(const struct busy_watch *watch, const struct busy_look *look)
{
	return !watch->looks || look->executor != watch->executor || look->started != watch->started ||
	       look->workers > watch->workers || look->time_ns - watch->last_ns > GAP_MOST_NS;
}

static void keep_largest(uint64_t *largest, uint64_t value)
{
	if (value > *largest)
		*largest = value;
}

void busy_watch_look(struct busy_watch *watch, const struct busy_look *look)
{
	if (!look->executor) {
		*watch = (struct busy_watch){0};
		return;
	}
	if (look->busy == UNKNOWN_U64 || look->queued == UNKNOWN_U64)
		return;
	if (begins_anew(watch, look))
		*watch = (struct busy_watch){.since_ns = look->time_ns, .executor = look->executor,
					     .started = look->started};
	watch->workers = look->workers;
	watch->last_ns = look->time_ns;
	watch->looks++;
	keep_largest(&watch->busy_peak, look->busy);
	if (watch->looks > 1) /* else it is of a time that was not watched */
		keep_largest(&watch->active_peak, look->active);
	keep_largest(&watch->demand_peak,
		     look->queued > UNKNOWN_U64 - look->busy ? UNKNOWN_U64 : look->busy + look->queued);
}

/* A queue that stood while all were busy is a demand of more than all: it ends here as well. An executor that nobody
 * used shows nothing about its load. */
struct snapshot_right_size busy_watch_advise(const struct busy_watch *watch, uint64_t now_ns, uint64_t workers,
					    uint64_t bytes_each)
{
	const struct snapshot_right_size nothing = {0};
	uint64_t demand = watch->demand_peak, observed_ns = watch->last_ns - watch->since_ns, enough, freed;

	if (!watch->looks || now_ns - watch->last_ns > GAP_MOST_NS || observed_ns < OBSERVED_LEAST_NS || !demand || demand >= workers ||
	    bytes_each == UNKNOWN_U64)
		return nothing;
	enough = demand + (demand + MARGIN_DIVISOR - 1) / MARGIN_DIVISOR;
	if (enough > workers / ALL_PARTS * KEPT_PARTS + workers % ALL_PARTS * KEPT_PARTS / ALL_PARTS ||
	    __builtin_mul_overflow(workers - enough, bytes_each, &freed))
		return nothing;
	return (struct snapshot_right_size){
		.workers = enough,
		.frees_bytes = freed,
		.observed_seconds = observed_ns / NSEC_PER_SEC,
		.looks = watch->looks,
		.busy_peak = watch->busy_peak,
		.demand_peak = demand,
		.active_peak = watch->active_peak,
	};
}
