/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools as a tree, by their parents; a snapshot whose parents make a circle must do no harm. It must not know columns. */
#include "pool_tree.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 32 /* of a tree that is drawn; deeper ones are cut */

static const struct snapshot_pool *parent_of(const struct snapshot_target *target, const struct snapshot_pool *pool)
{
	return pool->parent >= 0 && (size_t)pool->parent < target->n_pools ? &target->pools[pool->parent] : NULL;
}

unsigned int pool_depth(const struct snapshot_target *target, const struct snapshot_pool *pool)
{
	unsigned int depth = 0;

	while (depth < DEPTH_MAX && (pool = parent_of(target, pool)))
		depth++;
	return depth;
}

bool pool_has_children(const struct snapshot_target *target, uint32_t pool)
{
	for (size_t i = 0; i < target->n_pools; i++)
		if (target->pools[i].parent == (int32_t)pool)
			return true;
	return false;
}

struct arrangement {
	const struct snapshot_pool *pools;
	const void **rows, **arranged;
	size_t n_rows, n_arranged;
	bool *placed;
};

static void place(struct arrangement *all, size_t row, unsigned int depth)
{
	const struct snapshot_pool *pool = all->rows[row];

	if (all->placed[row])
		return;
	all->placed[row] = true;
	all->arranged[all->n_arranged++] = pool;
	for (size_t i = 0; i < all->n_rows && depth < DEPTH_MAX; i++)
		if (((const struct snapshot_pool *)all->rows[i])->parent == (int32_t)(pool - all->pools))
			place(all, i, depth + 1);
}

int pool_tree_arrange(const struct snapshot_target *target, const struct snapshot_pool *pools, const void **rows,
		      size_t n_rows)
{
	_cleanup_(freep) bool *shown = NULL;
	_cleanup_(freep) bool *placed = NULL;
	_cleanup_(freep) const void **arranged = NULL;
	struct arrangement all = { .pools = pools, .rows = rows, .n_rows = n_rows };
	bool is_tree = false;

	for (size_t i = 0; i < n_rows; i++)
		is_tree |= ((const struct snapshot_pool *)rows[i])->parent >= 0;
	if (!is_tree)
		return 0;
	shown = calloc(target->n_pools + 1, sizeof(*shown));
	placed = calloc(n_rows, sizeof(*placed));
	arranged = calloc(n_rows, sizeof(*arranged));
	if (!shown || !placed || !arranged)
		return -ENOMEM;
	all.arranged = arranged;
	all.placed = placed;
	for (size_t i = 0; i < n_rows; i++)
		shown[(const struct snapshot_pool *)rows[i] - pools] = true;
	for (size_t i = 0; i < n_rows; i++) {
		const struct snapshot_pool *above = parent_of(target, rows[i]);

		if (!above || !shown[above - target->pools])
			place(&all, i, 0);
	}
	for (size_t i = 0; i < n_rows; i++) /* what only a circle leads to */
		place(&all, i, 0);
	memcpy(rows, arranged, n_rows * sizeof(*rows));
	return 0;
}

static void add_known(uint64_t *sum, uint64_t value)
{
	if (*sum == UNKNOWN_U64 || value == UNKNOWN_U64 || __builtin_add_overflow(*sum, value, sum))
		*sum = UNKNOWN_U64;
}

static void add_signed(int64_t *sum, int64_t value)
{
	if (*sum == UNKNOWN_I64 || value == UNKNOWN_I64 || __builtin_add_overflow(*sum, value, sum))
		*sum = UNKNOWN_I64;
}

static void add_memory(struct snapshot_pool *sum, const struct snapshot_pool *pool)
{
	for (int region = 0; region < REGION_COUNT; region++) {
		add_known(&sum->memory.resident[region], pool->memory.resident[region]);
		add_known(&sum->memory.mapped[region], pool->memory.mapped[region]);
	}
	add_known(&sum->memory.resident_bytes, pool->memory.resident_bytes);
	add_known(&sum->memory.mapped_bytes, pool->memory.mapped_bytes);
	add_known(&sum->memory.orphaned_bytes, pool->memory.orphaned_bytes);
	add_known(&sum->memory.held_bytes, pool->memory.held_bytes);
	add_known(&sum->memory.held_unattributed_bytes, pool->memory.held_unattributed_bytes);
	add_known(&sum->memory.kept_bytes, pool->memory.kept_bytes);
	add_signed(&sum->memory.grown_bytes, pool->memory.grown_bytes);
	add_signed(&sum->memory.net_grown_bytes, pool->memory.net_grown_bytes);
	add_signed(&sum->growth_per_minute, pool->growth_per_minute);
}

struct snapshot_pool *pool_tree_sums(const struct snapshot_target *target)
{
	struct snapshot_pool *sums = calloc(target->n_pools + 1, sizeof(*sums));

	if (!sums)
		return NULL;
	if (target->n_pools)
		memcpy(sums, target->pools, target->n_pools * sizeof(*sums));
	for (size_t i = 0; i < target->n_pools; i++) {
		const struct snapshot_pool *above = parent_of(target, &target->pools[i]);

		for (int depth = 0; above && above != &target->pools[i] && depth < DEPTH_MAX; depth++) {
			add_memory(&sums[above - target->pools], &target->pools[i]);
			above = parent_of(target, above);
		}
	}
	return sums;
}
