/* SPDX-License-Identifier: GPL-2.0-only */
/* Under which functions the pools of one target grew: the functions, by number, and what of each pool's memory was made
 * under each. It must not know threads, nor how a function was found. */
#ifndef POOLSCOPE_MODEL_BLAME_H
#define POOLSCOPE_MODEL_BLAME_H

#include "range_map.h"

/* Functions that hold memory at one time; what comes beyond them is BLAME_OTHER. */
#define BLAME_FUNCTIONS_MAX 125
#define BLAME_NUMBERS (BLAME_FIRST + BLAME_FUNCTIONS_MAX)

struct blame_function {
	char name[FACT_SYMBOL_SIZE], file[64];
	uint32_t line;
	bool in_use;
	bool holds; /* a range is blamed on it, by the walk that goes on or the last one */
};

struct blame {
	struct blame_function *function; /* BLAME_FUNCTIONS_MAX; NULL: none was told yet */
	uint64_t refused;                /* facts that found the table full */
	uint64_t *bytes;                 /* resident; a row of BLAME_NUMBERS for each pool; NULL: none */
	uint32_t n_pools;
};

void blame_clear(struct blame *blame);
/* The number of a function, given if need be: BLAME_OTHER when there is none left. -ENOMEM. */
int blame_number(struct blame *blame, const struct fact_blame *fact, uint32_t *ret_number);

/* The walk over all ranges: begin, each range that was seen being made, those that may come back, end. Functions that
 * hold nothing any more lose their number at the end. */
void blame_begin(struct blame *blame, uint32_t n_pools);
void blame_add(struct blame *blame, uint32_t pool, uint32_t number, uint64_t resident);
void blame_keep(struct blame *blame, uint32_t number);
void blame_end(struct blame *blame);

/* Of one pool: the functions under which most was made, the largest first. */
int blame_fill(const struct blame *blame, uint32_t pool, struct snapshot_pool *ret_pool);

#endif
