/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the dashboard share among themselves and with the readable text: parts of a frame, each
 * drawn into a rectangle of cells. Nobody else includes it. */
#ifndef POOLSCOPE_VIEW_DASHBOARD_PARTS_H
#define POOLSCOPE_VIEW_DASHBOARD_PARTS_H

#include "dashboard.h"
#include "dashboard_words.h"
#include "processes.h"

struct rectangle {
	unsigned int row, column, rows, columns;
};

/* Rows of a table in the order of the screen. */
struct table_rows {
	const void **rows; /* owned array of struct snapshot_pool or struct snapshot_thread */
	size_t count, selected;
	bool mixed; /* threads of all pools */
	struct snapshot_pool *sums; /* owned; NULL, or what rows of pools are of: those below counted in */
};
void table_rows_free(struct table_rows *rows);

/* The target that is shown: the chosen one; else the first, or who came in its place. NULL: there is none. */
const struct snapshot_target *dashboard_target(const struct dashboard_state *ui, const struct snapshot *snapshot);
/* Filtered, sorted, with the selection found; for threads those of the selected pool. -ENOMEM. */
int dashboard_rows(const struct dashboard_state *ui, const struct snapshot_target *target, enum table table,
		   struct table_rows *ret_rows);
/* How many rows each of the tables has: pools, and threads of the selected one. */
void dashboard_count_rows(const struct dashboard_state *ui, const struct snapshot_target *target,
			  size_t ret_counts[TABLE_COUNT]);
bool dashboard_row_matches(enum table table, const void *row, const char *text);
void dashboard_draw_table(const struct dashboard_state *ui, const struct snapshot_target *target,
			  enum table table, const struct table_rows *rows, struct rectangle place,
			  struct cells *cells);

/* Rows of a table that stand on the screen, of all. */
struct shown_part {
	size_t first, shown, of;
};

/* One line of a table, and its head; sort: the column that is marked, n_columns: none. */
void dashboard_draw_row(const struct column *columns, size_t n_columns, const unsigned int *widths,
			const struct column_context *context, const void *item, struct rectangle place,
			struct cells *cells);
void dashboard_draw_titles(const struct column *columns, size_t n_columns, const unsigned int *widths, size_t sort,
			   const struct shown_part *part, struct rectangle place, struct cells *cells);
/* A title, then rows; whatever the place, the totals are in its last line. -ENOMEM. */
int dashboard_draw_processes(const struct process_rows *processes, bool utf8, bool marks_shown, struct rectangle place,
			     struct cells *cells);

/* Where everything stands on a screen of this size. A rectangle without rows is not shown. */
struct dashboard_layout {
	struct rectangle title, targets, processes, header, words, tables[TABLE_COUNT], threads_title, bar;
	bool words_whole; /* no sentence is left out */
};
void dashboard_arrange(const struct dashboard_state *ui, const struct snapshot *snapshot, unsigned int rows,
		       unsigned int columns, struct dashboard_layout *layout);

/* Meters and figures of the target, the most important first; at most place.rows lines. */
#define HEADER_LINES 5
void dashboard_draw_title(const struct dashboard_state *ui, const struct snapshot *snapshot,
			  const struct snapshot_target *target, struct rectangle place, struct cells *cells);
void dashboard_draw_header(const struct snapshot *snapshot, const struct snapshot_target *target,
			   struct rectangle place, struct cells *cells);
void dashboard_draw_targets(const struct dashboard_state *ui, const struct snapshot *snapshot,
			    struct rectangle place, struct cells *cells);
/* Text that is wrapped between words, from the top of a place on. */
struct panel {
	struct rectangle place;
	unsigned int first, line; /* the first line that is shown; the next one */
	unsigned int used;        /* columns of the last one */
	struct cells *cells;      /* NULL: lines are counted only */
};
/* indent: of the lines after the first. */
void panel_put(struct panel *panel, enum attribute attribute, unsigned int indent, const char *text);

/* As many sentences as have room whole, and how many others there are. Returns the lines used; cells: NULL: counts only. */
unsigned int dashboard_draw_words(const struct word *words, size_t count, struct rectangle place,
				  struct cells *cells);
size_t dashboard_collect_words(const struct dashboard_state *ui, const struct snapshot *snapshot,
			       const struct snapshot_target *target, struct word words[WORDS_MAX]);

/* What a mode fills the screen with, from line ui->cursor on. Returns its lines; cells: NULL: counts only. */
unsigned int dashboard_draw_text(const struct dashboard_state *ui, const struct snapshot *snapshot, struct rectangle place,
				 struct cells *cells);
static inline bool dashboard_mode_is_text(enum dashboard_mode mode)
{
	return mode == MODE_HELP || mode == MODE_BLAME || mode == MODE_WORDS;
}
/* Where it stands: between title and bottom line. */
static inline struct rectangle dashboard_text_place(unsigned int rows, unsigned int columns)
{
	return (struct rectangle){ 1, columns > 1, rows > 2 ? rows - 2 : 0, columns > 1 ? columns - 1 : columns };
}
void dashboard_put_help(struct panel *panel);
/* Under which functions the pools grew. */
void dashboard_put_blame(const struct snapshot_target *target, bool utf8, struct panel *panel);

/* text_goes_on: below what is shown of a text that fills the screen there is more. */
void dashboard_draw_bar(const struct dashboard_state *ui, bool text_goes_on, struct rectangle place, struct cells *cells);
void dashboard_draw_sort_menu(const struct dashboard_state *ui, struct rectangle place, struct cells *cells);
#define SORT_MENU_COLUMNS 16

/* One row for each command: the keys, what the bottom line and the help say, what it does. */
struct binding {
	int keys[4];
	const char *key_text, *label; /* label: NULL: not in the bottom line */
	const char *help;
	enum dashboard_action (*run)(struct dashboard_state *ui, const struct snapshot *snapshot, int key);
};
const struct binding *dashboard_bindings(size_t *ret_count);

#endif
