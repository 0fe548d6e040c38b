/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes of one family as rows of a table: a parent, its children that are watched, and their totals. They must
 * not know keys or the layout of a screen. */
#ifndef POOLSCOPE_VIEW_PROCESSES_H
#define POOLSCOPE_VIEW_PROCESSES_H

#include "../model/snapshot.h"
#include "columns.h"

struct process_row {
	const struct snapshot_target *target; /* NULL: the totals */
	uint32_t pid;
	char name[64], what[40];
	/* Of the totals: over those that live; unknown where one of them is. */
	uint64_t threads, rss_anon, attributed;
	int64_t grown, growth_per_minute;
	enum limit_state state; /* the worst of its limits and of its pools' */
	bool is_judged, ended;
};

struct process_rows {
	struct process_row *rows; /* owned; in the snapshot's order, those that have ended behind the others, the totals last */
	size_t count;             /* 0: it has no relatives */
	size_t shown;             /* the row of the process that was asked for */
};
void process_rows_free(struct process_rows *rows);

/* The family that this target of the snapshot belongs to. -ENOMEM. */
int processes_collect(const struct snapshot *snapshot, const struct snapshot_target *target,
		      struct process_rows *ret_rows);
/* Of each target: is it the first of its family in the snapshot? Caller frees. -ENOMEM. */
int processes_heads(const struct snapshot *snapshot, bool **ret_heads);
const struct column *process_columns(size_t *ret_count);

#endif
