/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools as the tree of who made whom: their order, and what those below come to. It must not know how rows are drawn. */
#ifndef POOLSCOPE_VIEW_POOL_TREE_H
#define POOLSCOPE_VIEW_POOL_TREE_H

#include "../model/snapshot.h"

/* How many pools stand above this one. */
unsigned int pool_depth(const struct snapshot_target *target, const struct snapshot_pool *pool);
bool pool_has_children(const struct snapshot_target *target, uint32_t pool);
/* Puts rows (of `pools`, which has the target's pools in their order) that are below another row right behind it, in
 * the order that they have. -ENOMEM: the order is as it was. */
int pool_tree_arrange(const struct snapshot_target *target, const struct snapshot_pool *pools, const void **rows,
		      size_t n_rows);
/* The target's pools with the memory of all that is below counted in; what they point to is the target's. Caller frees.
 * NULL without memory. */
struct snapshot_pool *pool_tree_sums(const struct snapshot_target *target);

#endif
