/* SPDX-License-Identifier: GPL-2.0-only */
/* The treap behind range_tree.h: priorities from a small generator keep it balanced on average,
 * whatever the order of the keys. It must not know what a range means. */
#include "range_tree.h"

/* Marsaglia's xorshift32: a tree's shape is the same in every run. */
static uint32_t next_priority(struct range_tree *tree)
{
	uint32_t x = tree->random ? tree->random : 2463534242U;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return tree->random = x;
}

static void replace_child(struct range_tree *tree, struct range_node *old, struct range_node *new)
{
	struct range_node *parent = old->parent;

	if (!parent)
		tree->root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
	if (new)
		new->parent = parent;
}

/* Lifts a node over its parent. */
static void rotate_up(struct range_tree *tree, struct range_node *node)
{
	struct range_node *parent = node->parent, *moved;

	replace_child(tree, parent, node);
	if (parent->left == node) {
		moved = node->right;
		node->right = parent;
		parent->left = moved;
	} else {
		moved = node->left;
		node->left = parent;
		parent->right = moved;
	}
	parent->parent = node;
	if (moved)
		moved->parent = parent;
}

void range_tree_insert(struct range_tree *tree, struct range_node *node)
{
	struct range_node **link = &tree->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = node->range.start < parent->range.start ? &parent->left : &parent->right;
	}
	node->left = node->right = NULL;
	node->parent = parent;
	node->priority = next_priority(tree);
	*link = node;
	while (node->parent && node->parent->priority < node->priority)
		rotate_up(tree, node);
}

void range_tree_remove(struct range_tree *tree, struct range_node *node)
{
	while (node->left && node->right)
		rotate_up(tree, node->left->priority > node->right->priority ? node->left : node->right);
	replace_child(tree, node, node->left ? node->left : node->right);
	node->left = node->right = node->parent = NULL;
}

static struct range_node *leftmost(struct range_node *node)
{
	while (node && node->left)
		node = node->left;
	return node;
}

struct range_node *range_tree_first(const struct range_tree *tree)
{
	return leftmost(tree->root);
}

struct range_node *range_tree_next(const struct range_node *node)
{
	if (node->right)
		return leftmost(node->right);
	while (node->parent && node->parent->right == node)
		node = node->parent;
	return node->parent;
}

struct range_node *range_tree_previous(const struct range_node *node)
{
	if (node->left) {
		node = node->left;
		while (node->right)
			node = node->right;
		return (struct range_node *)node;
	}
	while (node->parent && node->parent->left == node)
		node = node->parent;
	return node->parent;
}

struct range_node *range_tree_at(const struct range_tree *tree, uint64_t address)
{
	struct range_node *node = tree->root, *best = NULL;

	while (node) {
		if (node->range.end > address) {
			best = node;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return best;
}
