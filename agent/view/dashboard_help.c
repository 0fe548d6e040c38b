/* SPDX-License-Identifier: GPL-2.0-only */
/* Help screen, sort menu and bottom line of the dashboard: all of them lists made from the tables of keys and
 * columns. It must not know what a key does. */
#include <stdio.h>
#include <string.h>

#include "dashboard_parts.h"

#define HELP_COLUMN_SIZE 13

static const char *const about[] = {
	"poolscope: which pool of threads does the memory belong to?",
	"",
};

static const char *const notes[] = {
	"",
	"The meter RSS: | charged to threads, # not charged, * pages of files, @ shared memory.",
	"A byte of anonymous memory belongs to the thread that made it usable. `Unattributed` is what no thread could be "
	"charged with: from before attach, copied pages of files, inherited, lost. n/a is a figure that nobody could read; "
	"it is not zero. Growth and time to memory.max are rates, not verdicts: a pool that still fills grows too, and stops.",
};

/* Line `index` of the help; false after the last. */
static bool help_line(size_t index, char *text, size_t size)
{
	static const char *const titles[] = {
		[TABLE_POOLS] = "Columns of pools",
		[TABLE_THREADS] = "Columns of threads",
		[TABLE_PROCESSES] = "Columns of processes, with -f",
	};
	size_t n_bindings, n_columns;
	const struct binding *bindings = dashboard_bindings(&n_bindings);

	if (index < ARRAY_SIZE(about)) {
		snprintf(text, size, "%s", about[index]);
		return true;
	}
	index -= ARRAY_SIZE(about);
	for (size_t i = 0; i < n_bindings; i++)
		if (bindings[i].help && !index--) {
			snprintf(text, size, "  %s", bindings[i].help);
			return true;
		}
	for (enum table table = TABLE_POOLS; table <= TABLE_PROCESSES; table++) {
		const struct column *columns = columns_of(table, &n_columns);

		if (index < 2) {
			snprintf(text, size, "%s", index ? titles[table] : "");
			return true;
		}
		index -= 2;
		if (index < n_columns) {
			snprintf(text, size, "  %-*s %s", HELP_COLUMN_SIZE, columns[index].title,
				 columns[index].help);
			return true;
		}
		index -= n_columns;
	}
	if (index >= ARRAY_SIZE(notes))
		return false;
	snprintf(text, size, "%s", notes[index]);
	return true;
}

void dashboard_put_help(struct panel *panel)
{
	char text[512];

	for (size_t i = 0; help_line(i, text, sizeof(text)); i++)
		panel_put(panel, text[0] == ' ' ? ATTR_NORMAL : ATTR_BOLD, text[0] == ' ' ? 4 : 0, text);
}

void dashboard_draw_sort_menu(const struct dashboard_state *ui, struct rectangle place, struct cells *cells)
{
	size_t count, top = 0, height = place.rows ? place.rows - 1 : 0;
	const struct column *columns = columns_of(ui->focus, &count);

	if (!height)
		return;
	cells_paint(cells, place.row, place.column, place.columns, ATTR_HEADER);
	cells_write(cells, place.row, place.column, place.columns, ATTR_HEADER, "Sort by");
	if (ui->cursor >= height)
		top = ui->cursor - height + 1;
	for (size_t i = 0; i < height && top + i < count; i++) {
		unsigned int row = place.row + 1 + (unsigned int)i;

		cells_write(cells, row, place.column, place.columns, ATTR_NORMAL, columns[top + i].title);
		if (top + i == ui->cursor)
			cells_paint(cells, row, place.column, place.columns, ATTR_SELECTED);
	}
}

struct bar_item {
	const char *key, *label;
};

static void draw_items(const struct bar_item *items, size_t count, struct rectangle place, unsigned int at,
		       struct cells *cells)
{
	/* The last one tells how to get out: the others leave it room. */
	unsigned int last = (unsigned int)(strlen(items[count - 1].key) + strlen(items[count - 1].label)) + 1;

	for (size_t i = 0; i < count; i++) {
		unsigned int key = (unsigned int)strlen(items[i].key), label = (unsigned int)strlen(items[i].label);

		if (at + key + label + 1 + (i + 1 < count ? last : 0) > place.columns)
			continue;
		at += cells_write(cells, place.row, at, key, ATTR_KEY, items[i].key);
		cells_paint(cells, place.row, at, label + 1, ATTR_KEY_LABEL);
		cells_write(cells, place.row, at, label, ATTR_KEY_LABEL, items[i].label);
		at += label + 1;
	}
	cells_paint(cells, place.row, at, place.columns > at ? place.columns - at : 0, ATTR_KEY_LABEL);
}

/* Where a text that fills the screen goes on, and the way out of it. */
static void draw_text_items(const struct dashboard_state *ui, bool goes_on, struct rectangle place, unsigned int at,
			    struct cells *cells)
{
	struct bar_item items[3];
	size_t count = 0;

	if (goes_on)
		items[count++] = (struct bar_item){ "PgDn", "More" };
	if (ui->cursor)
		items[count++] = (struct bar_item){ "PgUp", "Up" };
	items[count++] = (struct bar_item){ "Esc", "Back" };
	draw_items(items, count, place, at, cells);
}

void dashboard_draw_bar(const struct dashboard_state *ui, bool text_goes_on, struct rectangle place, struct cells *cells)
{
	static const struct bar_item search[] = { { "F3", "Next" }, { "Enter", "Done" }, { "Esc", "Done" } };
	static const struct bar_item filter[] = { { "Enter", "Done" }, { "Esc", "Clear" } };
	static const struct bar_item menu[] = { { "Enter", "Sort" }, { "Esc", "Cancel" } };
	const char *prompt = ui->mode == MODE_SEARCH ? "Search: " : "Filter: ";
	struct bar_item items[24];
	size_t count, n_items = 0;
	const struct binding *bindings = dashboard_bindings(&count);
	const char *pool_filter = ui->tables[TABLE_POOLS].filter;
	unsigned int at = place.column;

	if (!place.rows)
		return;
	if (ui->mode == MODE_SORT) {
		draw_items(menu, ARRAY_SIZE(menu), place, at, cells);
	} else if (dashboard_mode_is_text(ui->mode)) {
		draw_text_items(ui, text_goes_on, place, at, cells);
	} else if (ui->mode == MODE_SEARCH || ui->mode == MODE_FILTER) {
		at += cells_write(cells, place.row, at, place.columns, ATTR_BOLD, prompt);
		at += cells_write(cells, place.row, at, place.columns - at, ATTR_BOLD, ui->input);
		at += cells_write(cells, place.row, at, place.columns - at, ATTR_BOLD, "_  ");
		at += cells_write(cells, place.row, at, place.columns - at, ATTR_WARN, ui->message);
		at += ui->message[0] ? 2 : 0;
		if (ui->mode == MODE_SEARCH)
			draw_items(search, ARRAY_SIZE(search), place, at, cells);
		else
			draw_items(filter, ARRAY_SIZE(filter), place, at, cells);
	} else if (ui->message[0]) {
		cells_write(cells, place.row, at, place.columns, ATTR_BOLD, ui->message);
	} else {
		if (pool_filter[0]) { /* else hidden pools look like pools that are not there */
			at += cells_write(cells, place.row, at, place.columns, ATTR_WARN, "Only pools with \"");
			at += cells_write(cells, place.row, at, place.columns - at, ATTR_WARN, pool_filter);
			at += cells_write(cells, place.row, at, place.columns - at, ATTR_WARN, "\" ");
		}
		for (size_t i = 0; i < count && n_items < ARRAY_SIZE(items); i++)
			if (bindings[i].label)
				items[n_items++] = (struct bar_item){ bindings[i].key_text, bindings[i].label };
		draw_items(items, n_items, place, at, cells);
	}
}
