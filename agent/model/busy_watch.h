/* SPDX-License-Identifier: GPL-2.0-only */
/* How busy the workers of one executor were seen, look after look, and how many would have done. It must not know
 * threads, nor where the figures come from. */
#ifndef POOLSCOPE_MODEL_BUSY_WATCH_H
#define POOLSCOPE_MODEL_BUSY_WATCH_H

#include "snapshot.h"

struct busy_look {
	uint64_t time_ns;
	uint64_t executor;      /* the only one of the pool; 0: there is none, or several */
	uint64_t workers;       /* that live */
	uint64_t started;       /* so far */
	uint64_t busy, queued;  /* UNKNOWN_U64: not proven this time */
	uint64_t active;        /* workers that had CPU time since the look before */
};

/* Since the last worker came: who adds one found all others taken, however rarely that is looked at. */
struct busy_watch {
	uint64_t since_ns, last_ns, looks; /* looks 0: not watching */
	uint64_t executor, workers, started;
	uint64_t busy_peak, demand_peak; /* demand: busy, and the tasks that waited then */
	uint64_t active_peak;
};

void busy_watch_look(struct busy_watch *watch, const struct busy_look *look);
/* What would do now, of `workers` that hold bytes_each on average. workers 0: nothing is advised. */
struct snapshot_right_size busy_watch_advise(const struct busy_watch *watch, uint64_t now_ns, uint64_t workers,
					    uint64_t bytes_each);

#endif
