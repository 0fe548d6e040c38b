/* SPDX-License-Identifier: GPL-2.0-only */
/* YAML text to a small tree with positions, bounded in every direction: the text is untrusted. It must
 * not know what the keys mean. */
#ifndef POOLSCOPE_EDGE_CONFIG_YAML_H
#define POOLSCOPE_EDGE_CONFIG_YAML_H

#include "../base.h"

#define YAML_BYTES_MAX (1024 * 1024)
#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 65536

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	unsigned line, column;   /* from 1 */
	char *text;              /* scalar; no NUL inside */
	bool plain;              /* scalar without quotes: `true`, `null` and figures are words of YAML */
	struct yaml_node *first; /* items; of a mapping: key, value, key, value... keys are scalars */
	struct yaml_node *next;
};
void yaml_free(struct yaml_node *node);
DEFINE_CLEANUP(struct yaml_node *, yaml_free)

/* What is wrong, where. */
#define PROBLEMS_MAX 20
struct problem {
	unsigned line, column; /* from 1; 0: the file as a whole */
	char text[320];        /* one sentence, escaped: printable ASCII only */
};
struct problems {
	struct problem list[PROBLEMS_MAX];
	size_t n_list, total; /* total counts those without room too */
};
void problem_add(struct problems *problems, unsigned line, unsigned column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* 0; -EINVAL with at least one problem added; -ENOMEM. An empty text gives NULL. Anchors, aliases and
 * tags are refused: nothing here needs them, and an alias can make a small file huge. */
int yaml_parse(const char *text, size_t length, struct yaml_node **ret_root, struct problems *problems);

#endif
