/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions that threads of one target were seen in: each pair of texts is kept once. It must not know who
 * runs them. */
#ifndef POOLSCOPE_MODEL_FUNCTIONS_H
#define POOLSCOPE_MODEL_FUNCTIONS_H

#include "snapshot.h"

struct functions {
	struct snapshot_function *function;
	uint32_t *buckets; /* open addressing; index + 1, 0: free */
	uint32_t count, capacity; /* buckets: twice the capacity */
	uint64_t refused;
};

void functions_clear(struct functions *functions);
/* The number of a pair, made if need be; FUNCTION_NONE for "", and when the table is full (counted). */
uint32_t functions_number(struct functions *functions, const char *function, const char *file);
/* True when so many are held that those which nobody runs any more should go. */
bool functions_crowded(const struct functions *functions);
/* Keeps what is marked in used[], one flag a function; writes the new numbers to ret_numbers[]. */
void functions_keep(struct functions *functions, const bool *used, uint32_t *ret_numbers);

#endif
