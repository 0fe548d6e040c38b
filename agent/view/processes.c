/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes of one family as rows of a table: a parent, its children that are watched, and their totals. They must
 * not know keys or the layout of a screen. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "escape.h"
#include "format.h"
#include "processes.h"

void process_rows_free(struct process_rows *rows)
{
	free(rows->rows);
	*rows = (struct process_rows){ 0 };
}

/* ---- who belongs together ----------------------------------------------------------------------- */

struct by_pid {
	uint32_t pid;
	uint64_t start_ns;
	size_t index;
};

static int compare_pids(const void *a, const void *b)
{
	const struct by_pid *left = a, *right = b;
	int order = compare_u64(left->pid, right->pid);

	return order ? order : compare_u64(left->start_ns, right->start_ns);
}

/* The last of that PID that began no later: numbers are used again. */
static const struct by_pid *find_pid(const struct by_pid *sorted, size_t count, uint32_t pid, uint64_t until_ns)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct by_pid *at = &sorted[middle];

		if (at->pid < pid || (at->pid == pid && at->start_ns <= until_ns))
			low = middle + 1;
		else
			high = middle;
	}
	return low && sorted[low - 1].pid == pid ? &sorted[low - 1] : NULL;
}

/* By who forked whom, the first of them in the snapshot: that one has no forebear there. */
struct by_family {
	uint32_t family;
	size_t index;
};

static int compare_families(const void *a, const void *b)
{
	const struct by_family *left = a, *right = b;
	int order = compare_u64(left->family, right->family);

	return order ? order : compare_u64(left->index, right->index);
}

/* Of each target the first that descends from whom it does; itself, where that is not known. -ENOMEM. */
static int find_firsts(const struct snapshot *snapshot, size_t *firsts)
{
	size_t count = snapshot->n_targets;
	_cleanup_(freep) struct by_family *sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct by_family){ snapshot->targets[i].info.family, i };
	qsort(sorted, count, sizeof(*sorted), compare_families);
	for (size_t i = 0; i < count; i++) {
		bool is_next = i && sorted[i].family && sorted[i].family == sorted[i - 1].family;

		firsts[sorted[i].index] = is_next ? firsts[sorted[i - 1].index] : sorted[i].index;
	}
	return 0;
}

/* The watched parent that /proc named, of a target that descends from none that was watched then; else itself. */
static size_t parent_of(const struct snapshot *snapshot, const struct by_pid *sorted, size_t index)
{
	const struct fact_target *info = &snapshot->targets[index].info;
	const struct by_pid *parent = NULL;

	if (info->parent_pid && info->parent_pid != info->pid)
		parent = find_pid(sorted, snapshot->n_targets, info->parent_pid, info->start_ns);
	if (!parent || (info->family && snapshot->targets[parent->index].info.family == info->family))
		return index;
	return parent->index;
}

/* How far up a process can have relatives: deeper ones are a family of their own. */
#define GENERATIONS_MAX 16

static size_t eldest_of(const struct snapshot *snapshot, const struct by_pid *sorted, const size_t *firsts, size_t index)
{
	index = firsts[index];
	for (size_t i = 0; i < GENERATIONS_MAX; i++) {
		size_t parent = parent_of(snapshot, sorted, index);

		if (parent == index)
			break;
		index = firsts[parent];
	}
	return index;
}

/* Of each target the family's eldest. -ENOMEM. */
static int find_eldest(const struct snapshot *snapshot, size_t **ret_eldest)
{
	size_t count = snapshot->n_targets;
	_cleanup_(freep) struct by_pid *sorted = calloc(count + 1, sizeof(*sorted));
	_cleanup_(freep) size_t *firsts = calloc(count + 1, sizeof(*firsts));
	_cleanup_(freep) size_t *eldest = calloc(count + 1, sizeof(*eldest));

	if (!sorted || !firsts || !eldest || find_firsts(snapshot, firsts))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct by_pid){ snapshot->targets[i].info.pid, snapshot->targets[i].info.start_ns, i };
	qsort(sorted, count, sizeof(*sorted), compare_pids);
	for (size_t i = 0; i < count; i++)
		eldest[i] = eldest_of(snapshot, sorted, firsts, i);
	*ret_eldest = TAKE_PTR(eldest);
	return 0;
}

int processes_heads(const struct snapshot *snapshot, bool **ret_heads)
{
	_cleanup_(freep) size_t *eldest = NULL;
	_cleanup_(freep) bool *heads = calloc(snapshot->n_targets + 1, sizeof(*heads));
	_cleanup_(freep) bool *met = calloc(snapshot->n_targets + 1, sizeof(*met));
	int error = find_eldest(snapshot, &eldest);

	if (error || !heads || !met)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		heads[i] = !met[eldest[i]];
		met[eldest[i]] = true;
	}
	*ret_heads = TAKE_PTR(heads);
	return 0;
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void judge(struct process_row *row, const struct snapshot_limit *limits, size_t n_limits)
{
	enum limit_state worst = limits_worst(limits, n_limits);

	row->state = worst > row->state ? worst : row->state;
	for (size_t i = 0; i < n_limits; i++)
		row->is_judged |= snapshot_limit_is_judged(&limits[i]);
}

static void add_count(uint64_t *sum, uint64_t value)
{
	if (*sum == UNKNOWN_U64 || value == UNKNOWN_U64 || __builtin_add_overflow(*sum, value, sum))
		*sum = UNKNOWN_U64;
}

static void add_growth(int64_t *sum, int64_t value)
{
	if (*sum == UNKNOWN_I64 || value == UNKNOWN_I64 || __builtin_add_overflow(*sum, value, sum))
		*sum = UNKNOWN_I64;
}

/* Whom it descends from may be kept no more: who is the eldest then is a child still. */
static bool is_child(const struct snapshot_target *target, bool is_eldest)
{
	return !is_eldest || (target->info.family && target->info.family != target->id);
}

static struct process_row row_of(const struct snapshot_target *target, bool is_eldest)
{
	struct process_row row = {
		.target = target,
		.pid = target->info.pid,
		.threads = target->threads,
		.rss_anon = target->memory.rss_anon,
		.attributed = target->attributed_bytes,
		.growth_per_minute = target->growth_anon,
		.ended = target->ended,
	};

	snprintf(row.name, sizeof(row.name), "%s", target->info.name[0] ? target->info.name : target->info.comm);
	snprintf(row.what, sizeof(row.what), "%s", snapshot_role(target));
	if (!row.what[0])
		snprintf(row.what, sizeof(row.what), is_child(target, is_eldest) ? "child" : "parent");
	judge(&row, target->limits, target->n_limits);
	for (size_t i = 0; i < target->n_pools; i++) {
		judge(&row, target->pools[i].limits, target->pools[i].n_limits);
		add_growth(&row.grown, target->pools[i].memory.net_grown_bytes);
	}
	return row;
}

static void add_totals(struct process_rows *rows)
{
	struct process_row totals = { 0 };
	size_t living = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct process_row *row = &rows->rows[i];

		if (row->ended)
			continue;
		living++;
		add_count(&totals.threads, row->threads);
		add_count(&totals.rss_anon, row->rss_anon);
		add_count(&totals.attributed, row->attributed);
		add_growth(&totals.grown, row->grown);
		add_growth(&totals.growth_per_minute, row->growth_per_minute);
		totals.state = row->state > totals.state ? row->state : totals.state;
		totals.is_judged |= row->is_judged;
	}
	snprintf(totals.name, sizeof(totals.name), "%zu process%s", living, living == 1 ? "" : "es");
	rows->rows[rows->count++] = totals;
}

int processes_collect(const struct snapshot *snapshot, const struct snapshot_target *target,
		      struct process_rows *ret_rows)
{
	_cleanup_(process_rows_free) struct process_rows rows = { 0 };
	_cleanup_(freep) size_t *eldest = NULL;
	size_t count = snapshot->n_targets, own = (size_t)(target - snapshot->targets);
	int error;

	*ret_rows = rows;
	if (count < 2)
		return 0;
	error = find_eldest(snapshot, &eldest);
	rows.rows = calloc(count + 1, sizeof(*rows.rows));
	if (error || !rows.rows)
		return -ENOMEM;
	/* Who has ended must not take the place of who lives. */
	for (int ended = 0; ended < 2; ended++) {
		for (size_t i = 0; i < count; i++) {
			if (snapshot->targets[i].ended != ended || eldest[i] != eldest[own])
				continue;
			if (i == own)
				rows.shown = rows.count;
			rows.rows[rows.count++] = row_of(&snapshot->targets[i], i == eldest[own]);
		}
	}
	if (rows.count < 2)
		return 0;
	add_totals(&rows);
	*ret_rows = rows;
	rows.rows = NULL;
	return 0;
}

/* ---- columns ------------------------------------------------------------------------------------ */

static void format_pid(const struct column_context *context, const void *row, unsigned int width, char *buffer,
		       size_t size)
{
	const struct process_row *process = row;

	if (process->target)
		snprintf(buffer, size, "%u", process->pid);
	else
		snprintf(buffer, size, "total");
}

static void format_state(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			 size_t size)
{
	static const char *const words[] = { [LIMIT_OK] = "ok", [LIMIT_WARN] = "warn", [LIMIT_OVER] = "OVER" };
	const struct process_row *process = row;

	snprintf(buffer, size, "%s",
		 process->ended ? "ended" : process->is_judged || process->state != LIMIT_OK ? words[process->state] : "-");
}

static enum attribute process_attribute(const void *row)
{
	static const enum attribute of_state[] = {
		[LIMIT_OK] = ATTR_NORMAL, [LIMIT_WARN] = ATTR_WARN, [LIMIT_OVER] = ATTR_OVER
	};
	const struct process_row *process = row;

	if (process->ended)
		return ATTR_DIM;
	return !process->target && process->state == LIMIT_OK ? ATTR_BOLD : of_state[process->state];
}

#define ROW(field) .offset = offsetof(struct process_row, field)
#define ROW_TEXT(field) ROW(field), .size = sizeof(((struct process_row *)0)->field)

/* clang-format off: one row a column */
static const struct column columns[] = {
	{ "PID", "process; the last row is the sum over those that live", COLUMN_CUSTOM, .format = format_pid,
	  .attribute = process_attribute, .width = 5, .width_max = 10, .rank = 0 },
	{ "PROCESS", "its name", COLUMN_TEXT, ROW_TEXT(name), .attribute = process_attribute, .width = 13, .width_max = 30,
	  .rank = 1, .left = true },
	{ "WHAT", "what it is there for, as far as there is evidence", COLUMN_TEXT, ROW_TEXT(what),
	  .width = 12, .width_max = 32, .rank = 2, .left = true },
	{ "STATE", "worst of its limits and of its pools'; ended", COLUMN_CUSTOM, .format = format_state,
	  .attribute = process_attribute, .width = 5, .width_max = 5, .rank = 3, .left = true },
	{ "THR", "threads", COLUMN_COUNT, ROW(threads), .width = 4, .width_max = 6, .rank = 2 },
	{ "ANON", "resident anonymous memory; shared since a fork: in each", COLUMN_BYTES, ROW(rss_anon),
	  .width = 5, .width_max = 5, .rank = 1 },
	{ "ATTR", "of it charged to threads", COLUMN_BYTES, ROW(attributed), .width = 5, .width_max = 5, .rank = 4 },
	{ "GROWN", "what is charged now less what was at attach", COLUMN_GROWTH, ROW(grown), .width = 6, .width_max = 6, .rank = 3 },
	{ "/MIN", "growth of ANON over the last minute", COLUMN_GROWTH, ROW(growth_per_minute), .width = 6,
	  .width_max = 6, .rank = 3 },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(columns) <= COLUMN_COUNT_MAX, "widths of all columns have room");

const struct column *process_columns(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(columns);
	return columns;
}
