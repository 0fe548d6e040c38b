/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the functions under which memory was made, and sums by pool and function. It must not know threads, nor how a
 * function was found. */
#include "blame.h"

#include <errno.h>
#include <string.h>

void blame_clear(struct blame *blame)
{
	free(blame->function);
	free(blame->bytes);
	*blame = (struct blame){.refused = blame->refused};
}

static bool is_function(const struct blame_function *function, const struct fact_blame *fact)
{
	return function->in_use && function->line == fact->line && !strcmp(function->name, fact->function) &&
	       !strcmp(function->file, fact->file);
}

int blame_number(struct blame *blame, const struct fact_blame *fact, uint32_t *ret_number)
{
	struct blame_function *vacant = NULL;

	if (!blame->function)
		blame->function = calloc(BLAME_FUNCTIONS_MAX, sizeof(*blame->function));
	if (!blame->function)
		return -ENOMEM;
	for (uint32_t i = 0; i < BLAME_FUNCTIONS_MAX; i++) {
		struct blame_function *function = &blame->function[i];

		if (is_function(function, fact)) {
			*ret_number = BLAME_FIRST + i;
			function->holds = true;
			return 0;
		}
		if (!function->in_use && !vacant)
			vacant = function;
	}
	if (!vacant) {
		blame->refused++;
		*ret_number = BLAME_OTHER;
		return 0;
	}
	*vacant = (struct blame_function){.line = fact->line, .in_use = true, .holds = true};
	text_copy(vacant->name, sizeof(vacant->name), fact->function);
	text_copy(vacant->file, sizeof(vacant->file), fact->file);
	*ret_number = BLAME_FIRST + (uint32_t)(vacant - blame->function);
	return 0;
}

void blame_begin(struct blame *blame, uint32_t n_pools)
{
	free(blame->bytes);
	/* without memory for them there are no sums */
	blame->bytes = n_pools ? calloc(n_pools, BLAME_NUMBERS * sizeof(*blame->bytes)) : NULL;
	blame->n_pools = blame->bytes ? n_pools : 0;
	for (uint32_t i = 0; blame->function && i < BLAME_FUNCTIONS_MAX; i++)
		blame->function[i].holds = false;
}

void blame_keep(struct blame *blame, uint32_t number)
{
	if (number >= BLAME_FIRST && number < BLAME_NUMBERS && blame->function)
		blame->function[number - BLAME_FIRST].holds = true;
}

void blame_add(struct blame *blame, uint32_t pool, uint32_t number, uint64_t resident)
{
	blame_keep(blame, number);
	if (pool < blame->n_pools && number < BLAME_NUMBERS)
		blame->bytes[(size_t)pool * BLAME_NUMBERS + number] += resident;
}

void blame_end(struct blame *blame)
{
	for (uint32_t i = 0; blame->function && i < BLAME_FUNCTIONS_MAX; i++)
		blame->function[i].in_use = blame->function[i].holds;
}

/* In order, the largest first; the smallest falls off the end into the rest. */
static void put_in_order(struct snapshot_pool *pool, const struct blame_function *function, uint64_t bytes)
{
	size_t at = pool->n_blame;

	if (at == BLAME_SHOWN) {
		at--;
		if (pool->blame[at].bytes >= bytes) {
			pool->blame_other += bytes;
			return;
		}
		pool->blame_other += pool->blame[at].bytes;
	} else {
		pool->n_blame++;
	}
	for (; at && pool->blame[at - 1].bytes < bytes; at--)
		pool->blame[at] = pool->blame[at - 1];
	pool->blame[at] = (struct snapshot_blame){.line = function->line, .bytes = bytes};
	memcpy(pool->blame[at].function, function->name, sizeof(pool->blame[at].function));
	memcpy(pool->blame[at].file, function->file, sizeof(pool->blame[at].file));
}

int blame_fill(const struct blame *blame, uint32_t pool, struct snapshot_pool *ret_pool)
{
	const uint64_t *bytes;

	if (pool >= blame->n_pools)
		return 0;
	bytes = &blame->bytes[(size_t)pool * BLAME_NUMBERS];
	ret_pool->blame_unseen = bytes[BLAME_UNSEEN];
	ret_pool->blame_other = bytes[BLAME_OTHER];
	if (!blame->function)
		return 0;
	ret_pool->blame = calloc(BLAME_SHOWN, sizeof(*ret_pool->blame));
	if (!ret_pool->blame)
		return -ENOMEM;
	for (uint32_t i = 0; i < BLAME_FUNCTIONS_MAX; i++) {
		if (bytes[BLAME_FIRST + i])
			put_in_order(ret_pool, &blame->function[i], bytes[BLAME_FIRST + i]);
	}
	return 0;
}
