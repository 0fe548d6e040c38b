/* SPDX-License-Identifier: GPL-2.0-only */
/* The dashboard of `poolscope top`: its state, where everything stands on a screen, and the whole frame.
 * Pure: it reads no clock, no terminal and no target. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"

void dashboard_init(struct dashboard_state *ui, bool utf8, unsigned int refresh_ms)
{
	*ui = (struct dashboard_state){
		.utf8 = utf8,
		.refresh_ms = refresh_ms,
		.rows = 24,
		.columns = 80,
		.tables[TABLE_POOLS].sort = columns_find(TABLE_POOLS, "GROWN"),
		.tables[TABLE_THREADS].sort = columns_find(TABLE_THREADS, "RES"),
	};
}

void dashboard_resize(struct dashboard_state *ui, unsigned int rows, unsigned int columns)
{
	ui->rows = rows;
	ui->columns = columns;
}

void dashboard_say(struct dashboard_state *ui, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ui->message, sizeof(ui->message), format, arguments);
	va_end(arguments);
}

#define ROWS_MANY 1000U /* more than any terminal has */

static unsigned int smaller(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Hands out lines from the top. */
static struct rectangle take(struct rectangle *left, unsigned int rows)
{
	struct rectangle taken = *left;

	taken.rows = smaller(rows, left->rows);
	left->row += taken.rows;
	left->rows -= taken.rows;
	return taken;
}

/* Of so many lines a part, or what the others leave if that is more. */
static unsigned int share(unsigned int wanted, unsigned int rows, unsigned int part, unsigned int others)
{
	unsigned int left = rows > others ? rows - others : 0, least = rows / part;

	return smaller(wanted, left > least ? left : least);
}

/* Title, names of the columns, and the threads of the largest pool: whichever is selected, the tables stay where they are. */
static unsigned int threads_wanted(const struct snapshot_target *target)
{
	uint64_t largest = 1; /* "none" */

	for (size_t i = 0; i < target->n_pools; i++)
		if (target->pools[i].threads > largest)
			largest = target->pools[i].threads;
	return largest < ROWS_MANY ? (unsigned int)largest + 2 : ROWS_MANY;
}

static size_t collect_words(const struct dashboard_state *ui, const struct snapshot *snapshot,
			    const struct snapshot_target *target, struct word *words)
{
	struct words_options options = { .utf8 = ui->utf8,
					 .follows_forks = ui->follows_forks,
					 .waits_for = ui->waits_for };

	return words_collect(snapshot, target, &options, words, WORDS_MAX);
}

/* The other targets: a family as a table, where there is room for it; a line when there are others, or no room. */
#define PROCESSES_ROWS_LEFT 16
#define WORDS_USUAL 2

/* The header is whole where it is a third. */
static unsigned int below_wanted(const struct snapshot_target *target)
{
	unsigned int tables = (unsigned int)target->n_pools + 1 + threads_wanted(target) + WORDS_USUAL;

	return HEADER_LINES + (tables > 2 * HEADER_LINES ? tables : 2 * HEADER_LINES);
}

static void arrange_processes(const struct snapshot *snapshot, const struct snapshot_target *target,
			      struct rectangle *left, struct dashboard_layout *layout)
{
	_cleanup_(process_rows_free) struct process_rows processes = { 0 };
	bool has_table;

	if (snapshot->n_targets < 2 || left->rows <= 8)
		return;
	has_table = left->rows >= PROCESSES_ROWS_LEFT && !processes_collect(snapshot, target, &processes) &&
		    processes.count;
	if (!has_table || processes.count - 1 < snapshot->n_targets)
		layout->targets = take(left, 1);
	if (has_table)
		layout->processes = take(left, share((unsigned int)processes.count + 1, left->rows, 4, below_wanted(target)));
}

void dashboard_arrange(const struct dashboard_state *ui, const struct snapshot *snapshot, unsigned int rows,
		       unsigned int columns, struct dashboard_layout *layout)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	struct rectangle left = { 0, 0, rows, columns };
	unsigned int n_words, pools, threads;
	struct word words[WORDS_MAX];

	*layout = (struct dashboard_layout){ .title = take(&left, 1) };
	if (left.rows > 2) {
		layout->bar = (struct rectangle){ rows - 1, 0, 1, columns };
		left.rows--;
	}
	if (!target)
		return;
	arrange_processes(snapshot, target, &left, layout);
	/* Below 80x24 the tables keep two thirds: a header without them answers nothing. */
	layout->header = take(&left, smaller(HEADER_LINES, left.rows > 5 ? left.rows / 3 : 0));
	n_words = dashboard_draw_words(words, collect_words(ui, snapshot, target, words), left, NULL);
	layout->words = take(&left, smaller(n_words, ui->all_words ? left.rows : left.rows > 3 ? left.rows / 4 : 0));

	pools = smaller((unsigned int)target->n_pools + 1, left.rows);
	threads = 0;
	if (!ui->threads_hidden && left.rows >= 6) {
		pools = share(pools, left.rows, 2, threads_wanted(target));
		threads = left.rows - pools;
	}
	if (!threads)
		pools = left.rows;
	layout->tables[TABLE_POOLS] = take(&left, pools);
	if (threads > 7)
		layout->threads_title = take(&left, 1);
	layout->tables[TABLE_THREADS] = take(&left, left.rows);
	if (!threads)
		layout->tables[TABLE_THREADS].rows = 0;
}

static void draw_threads_title(const struct dashboard_state *ui, const struct snapshot_target *target,
			       const struct table_rows *pools, const struct table_rows *threads,
			       struct rectangle place, struct cells *cells)
{
	const struct dashboard_table *view = &ui->tables[TABLE_THREADS];
	struct column_context context = { target, ui->utf8, .mixed = false };
	char name[COLUMN_TEXT_SIZE] = "", text[COLUMN_TEXT_SIZE + 128];
	size_t count;

	if (!place.rows || !pools->count)
		return;
	column_text(columns_of(TABLE_POOLS, &count), &context, pools->rows[pools->selected], 0, name, sizeof(name));
	snprintf(text, sizeof(text), "Threads of %s: %zu%s%s%s", name, threads->count,
		 view->filter[0] ? " that match \"" : "", view->filter, view->filter[0] ? "\"" : "");
	cells_write(cells, place.row, place.column, place.columns, ATTR_BOLD, text);
}

static int draw_tables(const struct dashboard_state *ui, const struct snapshot_target *target,
		       const struct dashboard_layout *layout, struct cells *cells)
{
	_cleanup_(table_rows_free) struct table_rows pools = { 0 };
	_cleanup_(table_rows_free) struct table_rows threads = { 0 };
	int error = dashboard_rows(ui, target, TABLE_POOLS, &pools);

	if (!error && layout->tables[TABLE_THREADS].rows)
		error = dashboard_rows(ui, target, TABLE_THREADS, &threads);
	if (error)
		return error;
	dashboard_draw_table(ui, target, TABLE_POOLS, &pools, layout->tables[TABLE_POOLS], cells);
	draw_threads_title(ui, target, &pools, &threads, layout->threads_title, cells);
	dashboard_draw_table(ui, target, TABLE_THREADS, &threads, layout->tables[TABLE_THREADS], cells);
	return 0;
}

static int draw_processes(const struct dashboard_state *ui, const struct snapshot *snapshot,
			  const struct snapshot_target *target, struct rectangle place, struct cells *cells)
{
	_cleanup_(process_rows_free) struct process_rows processes = { 0 };
	int error = processes_collect(snapshot, target, &processes);

	return error ? error : dashboard_draw_processes(&processes, ui->utf8, true, place, cells);
}

static void draw_nothing(const struct dashboard_state *ui, struct cells *cells)
{
	char text[96] = "No target yet.";

	if (ui->waits_for[0])
		snprintf(text, sizeof(text), "Waiting for %s to start.", ui->waits_for);
	cells_write(cells, 2, 2, cells->columns, ATTR_NORMAL, text);
}

int dashboard_render(const struct snapshot *snapshot, const struct dashboard_state *ui, struct cells *cells)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	struct dashboard_layout layout;

	for (size_t i = 0; i < (size_t)cells->rows * cells->columns; i++)
		cells->grid[i] = (struct cell){ U' ', ATTR_NORMAL };
	dashboard_arrange(ui, snapshot, cells->rows, cells->columns, &layout);
	dashboard_draw_title(ui, snapshot, target, layout.title, cells);
	dashboard_draw_bar(ui, layout.bar, cells);
	if (ui->mode == MODE_HELP || (ui->mode == MODE_BLAME && target)) {
		struct rectangle rest = { 1, 0, cells->rows > 2 ? cells->rows - 2 : 0, cells->columns };

		if (ui->mode == MODE_HELP)
			dashboard_draw_help(ui, rest, cells);
		else
			dashboard_draw_blame(ui, target, rest, cells);
		return 0;
	}
	if (!target) {
		draw_nothing(ui, cells);
		return 0;
	}
	if (ui->mode == MODE_SORT) {
		struct rectangle menu = { layout.tables[TABLE_POOLS].row, 0,
					  cells->rows - layout.tables[TABLE_POOLS].row - layout.bar.rows,
					  SORT_MENU_COLUMNS };

		dashboard_draw_sort_menu(ui, menu, cells);
		for (size_t i = 0; i < TABLE_COUNT; i++) {
			unsigned int taken = smaller(SORT_MENU_COLUMNS + 1, cells->columns);

			layout.tables[i].column += taken;
			layout.tables[i].columns -= taken;
		}
		layout.threads_title.column += SORT_MENU_COLUMNS + 1;
	}
	if (layout.targets.rows)
		dashboard_draw_targets(ui, snapshot, layout.targets, cells);
	if (layout.processes.rows && draw_processes(ui, snapshot, target, layout.processes, cells))
		return -ENOMEM;
	dashboard_draw_header(snapshot, target, layout.header, cells);
	if (layout.words.rows) {
		struct word words[WORDS_MAX];

		dashboard_draw_words(words, collect_words(ui, snapshot, target, words), layout.words, cells);
	}
	return draw_tables(ui, target, &layout, cells);
}
