/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading mappings by tables of keys, and the values that every mapping may have. Complains with the place
 * of the key itself. It must not know which keys a config has. */
#ifndef POOLSCOPE_EDGE_CONFIG_READ_H
#define POOLSCOPE_EDGE_CONFIG_READ_H

#include "config_limit.h"
#include "config_yaml.h"

struct mapping;

/* Who reads: the problems found so far, and all mappings that a file may have; the schema embeds it. */
struct reader {
	struct problems *problems;
	const struct mapping *mappings;
	size_t n_mappings;
};

/* A key of a mapping. `read` gets the key's node (its value is node->next) and what the mapping fills. It
 * adds problems and goes on; it returns 0 or -ENOMEM. */
struct key {
	const char *name;
	int (*read)(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into);
	size_t offset, size; /* of the field in `into` */
	enum limit_kind kind;
};
#define KEYS_MAX 16 /* of one mapping */
#define KEY_FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)NULL)->field)

/* Both texts in a sentence: "an item of pools" has its keys, "in an item of pools" they stand. */
struct mapping {
	const char *what, *where;
	const struct key *keys;
	size_t n_keys;
};

/* `which`: index in the reader's mappings. */
int read_mapping(struct reader *reader, const struct yaml_node *at, size_t which, void *into);
/* `node`: a key whose value is a list of mappings, each read by read_item. */
int read_list(struct reader *reader, const struct yaml_node *node, const char *example,
	      int (*read_item)(struct reader *reader, const struct yaml_node *item));

/* Complains at the node of a key (or item). */
void complain(struct reader *reader, const struct yaml_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The text of a key's value; NULL: there is none, complained. */
const char *scalar(struct reader *reader, const struct yaml_node *node, const char *example);
/* False: complained. `where`: the key, or the item itself; `what` in a sentence. */
bool expect_kind(struct reader *reader, const struct yaml_node *where, const char *what, const struct yaml_node *value,
		 enum yaml_kind kind, const char *example);
/* Nothing after the key, `~` or `null`. */
bool is_null(const struct yaml_node *value);

/* Readers for key tables. The field's type: char[], int64_t (0, 1), uint64_t (percent x 100), uint64_t (ns). */
int read_text(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into);
int read_flag(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into);
int read_warn(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into);
int read_duration(struct reader *reader, const struct key *key, const struct yaml_node *node, void *into);

#endif
