/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a worker waits for its next task or is in one, by the functions that it stands in. It must not know how they
 * were found, nor which pools exist. */
#ifndef POOLSCOPE_MODEL_WORKER_WAITS_H
#define POOLSCOPE_MODEL_WORKER_WAITS_H

#include "../fact.h"

/* What counts as a runtime's own wait. All patterns are globs. Between the wait and the start routine there is then no
 * function but the C library's and the runtime's own: no task. */
struct worker_waits {
	const char *module;   /* functions of this file are the runtime's own; NULL: tasks may be in it, too, and: */
	const char *function; /* only this one is, called by the start routine */
	const char *call;     /* by which of the C library's functions it waits; NULL: it calls the kernel itself */
	/* Before it waits it turns round for a while. Of others, who is on a CPU is not waiting: in a task, or on its way from
	 * or to its wait, which counts as busy. */
	bool spins;
};

/* One walk from where the thread stands outwards. */
struct wait_walk {
	const struct worker_waits *waits;
	const struct fact_routine *routine; /* where the thread began */
	char call[FACT_SYMBOL_SIZE]; /* the last function of the C library so far */
	bool has_call, has_own, waits_elsewhere, has_candidate;
	enum worker_activity activity;
};

void wait_walk_begin(struct wait_walk *walk, const struct worker_waits *waits, const struct fact_routine *routine);
/* The next function. False: it is told, no more are needed. */
bool wait_walk_step(struct wait_walk *walk, const struct fact_routine *frame);
/* is_whole: the last one was the outermost. WORKER_UNKNOWN: it cannot be told for certain. */
enum worker_activity wait_walk_end(const struct wait_walk *walk, bool is_whole);

#endif
