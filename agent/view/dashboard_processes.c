/* SPDX-License-Identifier: GPL-2.0-only */
/* Draws the table of processes, in the dashboard and in the readable text. It must not know who belongs to a family. */
#include <errno.h>
#include <stdlib.h>

#include "dashboard_parts.h"

/* The totals stay in the last line; of the rest as many as have room, the shown one among them. */
int dashboard_draw_processes(const struct process_rows *processes, bool utf8, bool marks_shown, struct rectangle place,
			     struct cells *cells)
{
	_cleanup_(freep) const void **rows = calloc(processes->count + 1, sizeof(*rows));
	const struct column_context context = { .utf8 = utf8 };
	size_t n_columns, living = processes->count ? processes->count - 1 : 0, top = 0;
	const struct column *columns = columns_of(TABLE_PROCESSES, &n_columns);
	unsigned int widths[COLUMN_COUNT_MAX], height = place.rows > 2 ? place.rows - 2 : 0;
	struct shown_part part;

	if (!rows)
		return -ENOMEM;
	if (!place.rows || !processes->count)
		return 0;
	for (size_t i = 0; i < processes->count; i++)
		rows[i] = &processes->rows[i];
	columns_fit(TABLE_PROCESSES, &context, rows, processes->count, place.columns, widths);
	if (height && height < living && processes->shown >= height)
		top = processes->shown - height + 1;
	part = (struct shown_part){ top, height < living ? height : living, living };
	dashboard_draw_titles(columns, n_columns, widths, n_columns, &part, place, cells);
	for (size_t i = 0; i < part.shown; i++) {
		struct rectangle line = { place.row + 1 + (unsigned int)i, place.column, 1, place.columns };

		dashboard_draw_row(columns, n_columns, widths, &context, rows[top + i], line, cells);
		if (marks_shown && top + i == processes->shown)
			cells_paint(cells, line.row, line.column, line.columns, ATTR_SELECTED_IDLE);
	}
	if (place.rows > 1) {
		unsigned int last = height < living ? place.rows - 1 : (unsigned int)living + 1;
		struct rectangle line = { place.row + last, place.column, 1, place.columns };

		dashboard_draw_row(columns, n_columns, widths, &context, rows[living], line, cells);
	}
	return 0;
}
