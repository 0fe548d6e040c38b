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

size_t dashboard_collect_words(const struct dashboard_state *ui, const struct snapshot *snapshot,
			       const struct snapshot_target *target, struct word words[WORDS_MAX])
{
	struct words_options options = { .utf8 = ui->utf8,
					 .follows_forks = ui->follows_forks,
					 .shows_one = true,
					 .waits_for = ui->waits_for };

	return words_collect(snapshot, target, &options, words, WORDS_MAX);
}

/* What the tables would need to show all of their rows. */
struct wish {
	unsigned int processes, pools, threads;
	unsigned int threads_largest; /* of the largest pool: whichever is selected, what is sized by it stays as it is */
};

static unsigned int lines_of(uint64_t rows)
{
	return rows < ROWS_MANY ? (unsigned int)rows : ROWS_MANY;
}

static struct wish find_wish(const struct dashboard_state *ui, const struct snapshot_target *target)
{
	size_t counts[TABLE_COUNT];
	uint64_t largest = 1;

	dashboard_count_rows(ui, target, counts);
	for (size_t i = 0; i < target->n_pools; i++)
		if (target->pools[i].threads > largest)
			largest = target->pools[i].threads;
	/* "none" takes a line, too */
	return (struct wish){ .pools = 1 + lines_of(counts[TABLE_POOLS] ? counts[TABLE_POOLS] : 1),
			      .threads = 1 + lines_of(counts[TABLE_THREADS] ? counts[TABLE_THREADS] : 1),
			      .threads_largest = ui->threads_hidden ? 0 : 2 + lines_of(largest) };
}

/* Lines of the parts of a screen below its title. */
struct heights {
	unsigned int targets, processes, header, words, pools, threads_title, threads;
};

/* The other targets: a family as a table, where there is room for it; a line when there are others, or no room. */
#define PROCESSES_ROWS_LEFT 16
#define WORDS_USUAL 2

static void size_processes(const struct snapshot *snapshot, const struct snapshot_target *target, unsigned int rows,
			   struct wish *wish, struct heights *heights)
{
	_cleanup_(process_rows_free) struct process_rows processes = { 0 };
	unsigned int tables = wish->pools + wish->threads_largest + WORDS_USUAL;
	bool has_table;

	if (snapshot->n_targets < 2 || rows <= 8)
		return;
	has_table = rows >= PROCESSES_ROWS_LEFT && !processes_collect(snapshot, target, &processes) && processes.count;
	heights->targets = !has_table || processes.count - 1 < snapshot->n_targets;
	if (!has_table)
		return;
	wish->processes = lines_of(processes.count) + 1;
	/* The header is whole where it is a third. */
	heights->processes = share(wish->processes, rows - heights->targets, 4,
				   HEADER_LINES + (tables > 2 * HEADER_LINES ? tables : 2 * HEADER_LINES));
}

/* A quarter, or the half when all are asked for, and what the others leave: of that as much as is used. */
static unsigned int words_height(const struct dashboard_state *ui, const struct snapshot *snapshot,
				 const struct snapshot_target *target, struct rectangle below, unsigned int others,
				 bool *ret_whole)
{
	struct rectangle place = { 0, 0, ROWS_MANY, below.columns };
	struct word words[WORDS_MAX];
	size_t count = dashboard_collect_words(ui, snapshot, target, words);
	unsigned int all = dashboard_draw_words(words, count, place, NULL);

	place.rows = below.rows > 3 ? share(all, below.rows, ui->all_words ? 2 : 4, others) : 0;
	*ret_whole = place.rows == all;
	return dashboard_draw_words(words, count, place, NULL);
}

/* Up to what is wanted. */
static void give(unsigned int *spare, unsigned int wanted, unsigned int *lines)
{
	unsigned int more = *lines && *lines < wanted ? smaller(*spare, wanted - *lines) : 0;

	*lines += more;
	*spare -= more;
}

/* What the threads of the selected pool do not need, the pools have; what those do not need, header and processes. */
static void size_tables(const struct dashboard_state *ui, unsigned int rows, const struct wish *wish,
			struct heights *heights)
{
	unsigned int spare;

	heights->pools = smaller(wish->pools, rows);
	if (!ui->threads_hidden && rows >= 6) {
		heights->pools = share(wish->pools, rows, 2, wish->threads);
		heights->threads = smaller(wish->threads, rows - heights->pools);
	}
	spare = rows - heights->pools - heights->threads;
	give(&spare, HEADER_LINES, &heights->header);
	give(&spare, wish->processes, &heights->processes);
	/* The title is worth a line where that hides no row, or where most are hidden anyhow. */
	if (heights->threads && (spare || (heights->threads > 7 && heights->threads < wish->threads)))
		heights->threads_title = 1;
	if (heights->threads)
		heights->threads += spare - heights->threads_title;
	else
		heights->pools += spare;
}

void dashboard_arrange(const struct dashboard_state *ui, const struct snapshot *snapshot, unsigned int rows,
		       unsigned int columns, struct dashboard_layout *layout)
{
	const struct snapshot_target *target = dashboard_target(ui, snapshot);
	struct rectangle left = { 0, 0, rows, columns };
	struct heights heights = { 0 };
	unsigned int below;
	struct wish wish;

	*layout = (struct dashboard_layout){ .title = take(&left, 1) };
	if (left.rows > 2) {
		layout->bar = (struct rectangle){ rows - 1, 0, 1, columns };
		left.rows--;
	}
	if (!target)
		return;
	wish = find_wish(ui, target);
	size_processes(snapshot, target, left.rows, &wish, &heights);
	below = left.rows - heights.targets - heights.processes;
	/* Below 80x24 the tables keep two thirds: a header without them answers nothing. */
	heights.header = smaller(HEADER_LINES, below > 5 ? below / 3 : 0);
	below -= heights.header;
	heights.words = words_height(ui, snapshot, target, (struct rectangle){ 0, 0, below, columns },
				     wish.pools + wish.threads_largest, &layout->words_whole);
	size_tables(ui, below - heights.words, &wish, &heights);

	layout->targets = take(&left, heights.targets);
	layout->processes = take(&left, heights.processes);
	layout->header = take(&left, heights.header);
	layout->words = take(&left, heights.words);
	layout->tables[TABLE_POOLS] = take(&left, heights.pools);
	layout->threads_title = take(&left, heights.threads_title);
	layout->tables[TABLE_THREADS] = take(&left, heights.threads);
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
	if (ui->mode == MODE_HELP || (dashboard_mode_is_text(ui->mode) && target)) {
		struct rectangle place = dashboard_text_place(cells->rows, cells->columns);
		unsigned int lines = dashboard_draw_text(ui, snapshot, place, cells);

		dashboard_draw_bar(ui, lines > ui->cursor + place.rows, layout.bar, cells);
		return 0;
	}
	dashboard_draw_bar(ui, false, layout.bar, cells);
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

		dashboard_draw_words(words, dashboard_collect_words(ui, snapshot, target, words), layout.words, cells);
	}
	return draw_tables(ui, target, &layout, cells);
}
