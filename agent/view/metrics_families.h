/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of all metric families: names, units, help, and where in the snapshot the figure stands.
 * It must not know how a sample is written. */
#ifndef POOLSCOPE_VIEW_METRICS_FAMILIES_H
#define POOLSCOPE_VIEW_METRICS_FAMILIES_H

#include "../base.h"

/* What one set of samples is made of; the offset of a family counts from it. */
enum metrics_scope {
	SCOPE_POOL,	   /* struct snapshot_group_pool */
	SCOPE_POOL_JUDGED, /* the same, only pools that have a verdict */
	SCOPE_POOL_LIMIT,  /* struct snapshot_group_limit of a pool */
	SCOPE_GROUP,	   /* struct snapshot_group */
	SCOPE_GROUP_LIMIT, /* struct snapshot_group_limit of a group */
	SCOPE_AGENT,	   /* struct snapshot */
	SCOPE_SELF,	   /* struct self_stat; the names have no prefix */
};

enum metrics_number {
	NUMBER_U64,
	NUMBER_I64,
	NUMBER_DOUBLE,
	NUMBER_BOOL,
	NUMBER_NSEC,	/* uint64_t nanoseconds, written as seconds */
	NUMBER_VERDICT, /* enum verdict_state: one sample a state, 0 or 1 */
	NUMBER_TEXT,	/* char[]: the value is 1, the text is a label */
	NUMBER_ATTACHED, /* snapshot.attached: the value is 1, group and variant are labels */
};

/* A label that an array of uint64_t in the snapshot is spread over. */
struct metrics_dimension {
	const char *label;
	size_t count;
	const char *(*name)(size_t index);
};

struct metrics_family {
	const char *name; /* without prefix and, for a counter, without _total */
	const char *unit; /* the name ends with it; NULL: none */
	bool is_counter, is_opt_in;
	bool is_faults; /* opt-in of its own: --faults */
	enum metrics_scope scope;
	enum metrics_number number;
	size_t offset;
	const struct metrics_dimension *dimension; /* NULL: a single figure */
	const char *label;			   /* NUMBER_TEXT: the label's name */
	const char *help;
};

extern const struct metrics_family metrics_families[];
extern const size_t n_metrics_families;

#endif
