/* SPDX-License-Identifier: GPL-2.0-only */
/* An ordered tree of disjoint ranges: a treap, expected O(log n), iteration O(1) amortised. It owns
 * no memory and must not know what a range means, only where it starts and ends. */
#ifndef POOLSCOPE_MODEL_RANGE_TREE_H
#define POOLSCOPE_MODEL_RANGE_TREE_H

#include "range_map.h"

struct range_node {
	struct range range; /* first: a pointer to the range is one to its node */
	struct range_node *left, *right, *parent;
	uint32_t priority; /* never less than a child's */
};

struct range_tree {
	struct range_node *root;
	uint32_t random; /* state of the generator of priorities; never 0 */
};

/* The node must overlap none that is in the tree. */
void range_tree_insert(struct range_tree *tree, struct range_node *node);
void range_tree_remove(struct range_tree *tree, struct range_node *node);

struct range_node *range_tree_first(const struct range_tree *tree);
struct range_node *range_tree_next(const struct range_node *node);
struct range_node *range_tree_previous(const struct range_node *node);
/* The first range that ends after the address: it holds the address, or lies above it. */
struct range_node *range_tree_at(const struct range_tree *tree, uint64_t address);

#endif
