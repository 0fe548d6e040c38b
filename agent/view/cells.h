/* SPDX-License-Identifier: GPL-2.0-only */
/* A grid of characters with attributes: what a frame of the dashboard is made of, and what tests compare.
 * It must not know terminals; what an attribute looks like is decided at the edge. */
#ifndef POOLSCOPE_VIEW_CELLS_H
#define POOLSCOPE_VIEW_CELLS_H

#include <stdio.h>
#include <uchar.h>

#include "../base.h"

enum attribute {
	ATTR_NORMAL,
	ATTR_BOLD,
	ATTR_DIM,
	ATTR_LABEL,
	ATTR_TITLE,         /* the line at the top */
	ATTR_HEADER,        /* column titles */
	ATTR_SORTED,        /* the title of the column sorted by */
	ATTR_SELECTED,      /* the selected row of the table that has the keys */
	ATTR_SELECTED_IDLE, /* ... and of the other table */
	ATTR_OK,
	ATTR_WARN,
	ATTR_OVER,
	ATTR_BANNER,        /* the target has ended */
	ATTR_KEY,           /* bottom line: the key */
	ATTR_KEY_LABEL,     /* ... and what it does */
	ATTR_BAR_FIRST,     /* parts of a meter */
	ATTR_BAR_SECOND,
	ATTR_BAR_THIRD,
	ATTR_BAR_FOURTH,
	ATTR_COUNT,
};

struct cell {
	char32_t character; /* 0: the right half of a wide one */
	enum attribute attribute;
};

struct cells {
	unsigned int rows, columns;
	char32_t cut_mark; /* stands where text was cut */
	struct cell *grid; /* rows * columns */
};

/* Blank cells. -ENOMEM. cut_mark is U+2026 when `utf8`, else ~. */
int cells_new(unsigned int rows, unsigned int columns, bool utf8, struct cells **ret_cells);
void cells_free(struct cells *cells);
DEFINE_CLEANUP(struct cells *, cells_free)

/* NULL outside of the grid. */
struct cell *cells_at(const struct cells *cells, unsigned int row, unsigned int column);
/* Text that is printable already, at most `width` columns of it; the last column is the cut mark when there
 * was more. What falls outside of the grid is dropped. Returns the columns used. */
unsigned int cells_write(struct cells *cells, unsigned int row, unsigned int column, unsigned int width,
			 enum attribute attribute, const char *text);
/* The same with the cut in the middle: what tells long names apart stands at their ends. */
unsigned int cells_write_ends(struct cells *cells, unsigned int row, unsigned int column, unsigned int width,
			      enum attribute attribute, const char *text);
/* Gives a stretch one attribute and leaves the characters. */
void cells_paint(struct cells *cells, unsigned int row, unsigned int column, unsigned int width,
		 enum attribute attribute);
/* Why the last write to a stream failed, as far as that is known: -errno; 0 if none did. */
int stream_error(FILE *out);
/* The characters of one row or all rows, as UTF-8, without blanks at line ends. -errno. */
int cells_print(const struct cells *cells, FILE *out);

#endif
