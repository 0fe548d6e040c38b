/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables of the dashboard: which rows in which order, which is selected, and how they are drawn.
 * It must not know keys; what a column says is in columns.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"
#include "escape.h"
#include "pool_tree.h"

void table_rows_free(struct table_rows *rows)
{
	free(rows->rows);
	free(rows->sums);
	*rows = (struct table_rows){ 0 };
}

const struct snapshot_target *dashboard_target(const struct dashboard_state *ui, const struct snapshot *snapshot)
{
	const struct snapshot_target *target, *next;

	if (!snapshot || !snapshot->n_targets)
		return NULL;
	for (size_t i = 0; i < snapshot->n_targets; i++)
		if (snapshot->targets[i].id == ui->target)
			return &snapshot->targets[i];
	/* Who has chosen none looks at a service rather than at a process: it goes on when that comes back. */
	target = &snapshot->targets[0];
	while ((next = target_successor(snapshot, target)))
		target = next;
	return target;
}

bool dashboard_row_matches(enum table table, const void *row, const char *text)
{
	const struct snapshot_thread *thread = row;

	if (table == TABLE_POOLS)
		return strcasestr(((const struct snapshot_pool *)row)->name, text);
	return strcasestr(thread->name, text) || strcasestr(thread->start_routine, text) ||
	       strcasestr(thread->module, text);
}

struct order {
	enum table table;
	const struct column *column;
	bool inverted;
};

static uint64_t resident_of(enum table table, const void *row)
{
	return table == TABLE_POOLS ? ((const struct snapshot_pool *)row)->memory.resident_bytes
				    : ((const struct snapshot_thread *)row)->memory.resident_bytes;
}

/* Among equals the larger comes first, as all are that have not grown. Then the snapshot's own order (name, tid) decides,
 * so that rows do not jump. */
static int compare_rows(const void *a, const void *b, void *context)
{
	const struct order *order = context;
	const void *left = *(const void *const *)a, *right = *(const void *const *)b;
	int difference = column_compare(order->column, left, right);

	if (difference)
		return order->inverted ? -difference : difference;
	difference = compare_u64(resident_of(order->table, right), resident_of(order->table, left));
	if (difference)
		return difference;
	return compare_u64((uintptr_t)left, (uintptr_t)right);
}

static bool is_chosen(const struct dashboard_table *ui, enum table table, const void *row)
{
	if (table == TABLE_POOLS)
		return !strncmp(((const struct snapshot_pool *)row)->name, ui->pool, sizeof(ui->pool));
	return thread_id_equal(((const struct snapshot_thread *)row)->id, ui->thread);
}

static void collect(const struct dashboard_table *ui, enum table table, const void *first, size_t size,
		    size_t count, uint32_t pool, struct table_rows *rows)
{
	for (size_t i = 0; i < count; i++) {
		const void *row = (const char *)first + i * size;

		if (table == TABLE_THREADS && ((const struct snapshot_thread *)row)->pool != pool)
			continue;
		if (!ui->filter[0] || dashboard_row_matches(table, row, ui->filter))
			rows->rows[rows->count++] = row;
	}
}

/* UINT32_MAX: none. */
static uint32_t selected_pool(const struct dashboard_state *ui, const struct snapshot_target *target, size_t *ret_pools)
{
	_cleanup_(table_rows_free) struct table_rows pools = { 0 };
	int error = dashboard_rows(ui, target, TABLE_POOLS, &pools);

	*ret_pools = pools.count;
	if (error || !pools.count)
		return UINT32_MAX;
	return (uint32_t)((const struct snapshot_pool *)pools.rows[pools.selected] -
			  (pools.sums ? pools.sums : target->pools));
}

void dashboard_count_rows(const struct dashboard_state *ui, const struct snapshot_target *target,
			  size_t ret_counts[TABLE_COUNT])
{
	const char *filter = ui->tables[TABLE_THREADS].filter;
	uint32_t pool = selected_pool(ui, target, &ret_counts[TABLE_POOLS]);

	ret_counts[TABLE_THREADS] = 0;
	for (const struct snapshot_thread *thread = target->threads_list;
	     thread < target->threads_list + target->n_threads_list; thread++)
		ret_counts[TABLE_THREADS] += thread->pool == pool &&
					     (!filter[0] || dashboard_row_matches(TABLE_THREADS, thread, filter));
}

int dashboard_rows(const struct dashboard_state *ui, const struct snapshot_target *target, enum table table,
		   struct table_rows *ret_rows)
{
	const struct dashboard_table *view = &ui->tables[table];
	size_t n_columns, count = table == TABLE_POOLS ? target->n_pools : target->n_threads_list;
	const struct column *columns = columns_of(table, &n_columns);
	struct order order = { table, &columns[view->sort < n_columns ? view->sort : 0], view->inverted };
	const struct snapshot_pool *pools = target->pools;
	struct table_rows rows = { 0 };
	size_t n_pools;

	rows.rows = calloc(count + 1, sizeof(*rows.rows));
	if (!rows.rows)
		return -ENOMEM;
	if (table == TABLE_POOLS && ui->counts_children) {
		rows.sums = pool_tree_sums(target);
		if (!rows.sums) {
			table_rows_free(&rows);
			return -ENOMEM;
		}
		pools = rows.sums;
	}
	if (table == TABLE_POOLS)
		collect(view, table, pools, sizeof(*target->pools), count, 0, &rows);
	else
		collect(view, table, target->threads_list, sizeof(*target->threads_list), count,
			selected_pool(ui, target, &n_pools), &rows);
	if (rows.count)
		qsort_r(rows.rows, rows.count, sizeof(*rows.rows), compare_rows, &order);
	if (table == TABLE_POOLS)
		(void)pool_tree_arrange(target, pools, rows.rows, rows.count); /* without memory for it: flat */
	if (view->chosen && rows.count) {
		/* When the row is gone, its place stays selected. */
		rows.selected = view->at < rows.count ? view->at : rows.count - 1;
		for (size_t i = 0; i < rows.count; i++)
			if (is_chosen(view, table, rows.rows[i]))
				rows.selected = i;
	}
	*ret_rows = rows;
	return 0;
}

static unsigned int aligned(struct cells *cells, unsigned int row, unsigned int at, unsigned int width,
			    const struct column *column, enum attribute attribute, const char *text)
{
	size_t taken = text_width(text);
	unsigned int skip = !column->left && taken < width ? width - (unsigned int)taken : 0;

	return (column->ends ? cells_write_ends : cells_write)(cells, row, at + skip, width - skip, attribute, text);
}

static bool says_nothing(const char *text)
{
	return !strcmp(text, "0") || !strcmp(text, "-") || !strcmp(text, "n/a") || !strcmp(text, "0.0");
}

void dashboard_draw_row(const struct column *columns, size_t n_columns, const unsigned int *widths,
			const struct column_context *context, const void *item, struct rectangle place,
			struct cells *cells)
{
	for (size_t i = 0, at = place.column; i < n_columns; i++) {
		char text[COLUMN_TEXT_SIZE];
		enum attribute attribute = ATTR_NORMAL;

		if (!widths[i])
			continue;
		column_text(&columns[i], context, item, widths[i], text, sizeof(text));
		if (columns[i].attribute)
			attribute = columns[i].attribute(item);
		else if (says_nothing(text))
			attribute = ATTR_DIM;
		aligned(cells, place.row, (unsigned int)at, widths[i], &columns[i], attribute, text);
		at += widths[i] + 1;
	}
}

/* "POOL 1-5/28": rows that are not on the screen must not look like rows that are not there. Where that has no room, the
 * figures alone. */
static const char *part_text(const char *title, const struct shown_part *part, unsigned int width,
			     char buffer[COLUMN_TEXT_SIZE])
{
	char figures[64];

	if (part->shown)
		snprintf(figures, sizeof(figures), "%zu-%zu/%zu", part->first + 1, part->first + part->shown, part->of);
	else
		snprintf(figures, sizeof(figures), "0/%zu", part->of);
	snprintf(buffer, COLUMN_TEXT_SIZE, "%s %s", title, figures);
	return text_width(buffer) <= width ? buffer : strcpy(buffer, figures);
}

void dashboard_draw_titles(const struct column *columns, size_t n_columns, const unsigned int *widths, size_t sort,
			   const struct shown_part *part, struct rectangle place, struct cells *cells)
{
	bool is_told = part->shown >= part->of;

	cells_paint(cells, place.row, place.column, place.columns, ATTR_HEADER);
	for (size_t i = 0, at = place.column; i < n_columns; i++) {
		const char *title = columns[i].title;
		char text[COLUMN_TEXT_SIZE];

		if (!widths[i])
			continue;
		if (!is_told && columns[i].left) { /* the names' */
			title = part_text(title, part, widths[i], text);
			is_told = true;
		}
		aligned(cells, place.row, (unsigned int)at, widths[i], &columns[i],
			i == sort ? ATTR_SORTED : ATTR_HEADER, title);
		if (i == sort)
			cells_paint(cells, place.row, (unsigned int)at, widths[i], ATTR_SORTED);
		at += widths[i] + 1;
	}
}

void dashboard_draw_table(const struct dashboard_state *ui, const struct snapshot_target *target,
			  enum table table, const struct table_rows *rows, struct rectangle place,
			  struct cells *cells)
{
	const struct dashboard_table *view = &ui->tables[table];
	struct column_context context = { target, ui->utf8, rows->mixed, .tree = true,
					  .sums = rows->sums };
	unsigned int widths[COLUMN_COUNT_MAX], height = place.rows ? place.rows - 1 : 0;
	size_t n_columns, top = view->top;
	const struct column *columns = columns_of(table, &n_columns);
	struct shown_part part;

	if (!place.rows)
		return;
	columns_fit(table, &context, rows->rows, rows->count, place.columns, widths);
	if (top + height > rows->count)
		top = rows->count > height ? rows->count - height : 0;
	if (rows->selected < top)
		top = rows->selected;
	if (height && rows->selected >= top + height)
		top = rows->selected - height + 1;
	part = (struct shown_part){ top, height < rows->count ? height : rows->count, rows->count };
	dashboard_draw_titles(columns, n_columns, widths, view->sort, &part, place, cells);
	for (size_t i = 0; i < part.shown; i++) {
		struct rectangle line = { place.row + 1 + (unsigned int)i, place.column, 1, place.columns };

		context.sums = rows->sums &&
			       pool_has_children(target, (uint32_t)((const struct snapshot_pool *)rows->rows[top + i] -
								    rows->sums));
		dashboard_draw_row(columns, n_columns, widths, &context, rows->rows[top + i], line, cells);
		if (top + i == rows->selected)
			cells_paint(cells, line.row, line.column, line.columns,
				    ui->focus == table ? ATTR_SELECTED : ATTR_SELECTED_IDLE);
	}
	if (height && !rows->count)
		cells_write(cells, place.row + 1, place.column + 1, place.columns - 1, ATTR_DIM,
			    view->filter[0] ? "nothing matches the filter" : "none");
}
