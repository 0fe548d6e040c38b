/* SPDX-License-Identifier: GPL-2.0-only */
/* The executors of one target as its runtime tells them, by number. It must not know threads, nor how pools are
 * named. */
#ifndef POOLSCOPE_MODEL_EXECUTORS_H
#define POOLSCOPE_MODEL_EXECUTORS_H

#include "../fact.h"

struct told_executor {
	struct fact_executor fact;
	uint64_t busy_peak; /* of all that was told of it; UNKNOWN_U64: it never was */
	uint32_t pool; /* of its workers, as of the last refresh; POOL_NONE: none, or several */
	bool is_split; /* its workers are in several pools, by rules */
};

struct told_executors {
	struct told_executor *executor; /* by id, ascending */
	uint32_t count, capacity;
	uint64_t refused;
};

void told_executors_clear(struct told_executors *executors);
/* NULL: not known. */
struct told_executor *told_executors_find(const struct told_executors *executors, uint64_t id);
/* Takes what the fact says. *ret_renamed: its workers belong to another pool now. A full table refuses and counts. */
int told_executors_apply(struct told_executors *executors, const struct fact_executor *fact, bool *ret_renamed);

#endif
