/* SPDX-License-Identifier: GPL-2.0-only */
/* A grid of characters with attributes: what a frame of the dashboard is made of, and what tests compare.
 * It must not know terminals; what an attribute looks like is decided at the edge. */
#include <errno.h>

#include "cells.h"
#include "escape.h"

/* With less room the beginning says more than two ends. */
#define ENDS_MIN 9

int cells_new(unsigned int rows, unsigned int columns, bool utf8, struct cells **ret_cells)
{
	_cleanup_(cells_freep) struct cells *cells = calloc(1, sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	cells->grid = calloc((size_t)rows * columns + 1, sizeof(*cells->grid));
	if (!cells->grid)
		return -ENOMEM;
	cells->rows = rows;
	cells->columns = columns;
	cells->cut_mark = utf8 ? U'\u2026' : U'~';
	for (size_t i = 0; i < (size_t)rows * columns; i++)
		cells->grid[i].character = U' ';
	*ret_cells = TAKE_PTR(cells);
	return 0;
}

void cells_free(struct cells *cells)
{
	if (!cells)
		return;
	free(cells->grid);
	free(cells);
}

struct cell *cells_at(const struct cells *cells, unsigned int row, unsigned int column)
{
	if (row >= cells->rows || column >= cells->columns)
		return NULL;
	return &cells->grid[(size_t)row * cells->columns + column];
}

static void put(struct cells *cells, unsigned int row, unsigned int column, char32_t character, int width,
		enum attribute attribute)
{
	for (int i = 0; i < width; i++) {
		struct cell *cell = cells_at(cells, row, column + (unsigned int)i);

		if (cell)
			*cell = (struct cell){ i ? 0 : character, attribute };
	}
}

unsigned int cells_write(struct cells *cells, unsigned int row, unsigned int column, unsigned int width,
			 enum attribute attribute, const char *text)
{
	unsigned int used = 0, room;
	bool cut;

	if (column >= cells->columns)
		return 0;
	room = width < cells->columns - column ? width : cells->columns - column;
	cut = text_width(text) > room;
	if (cut && room)
		room--;
	else if (cut)
		return 0;
	for (;;) {
		char32_t character;
		int length = utf8_decode(text, SIZE_MAX, &character), columns;

		if (!length)
			break;
		if (length < 0 || !character_width(character))
			character = U'?';
		columns = character_width(character);
		if (used + (unsigned int)columns > room)
			break;
		put(cells, row, column + used, character, columns, attribute);
		used += (unsigned int)columns;
		text += length > 0 ? length : 1;
	}
	if (cut) {
		put(cells, row, column + used, cells->cut_mark, 1, attribute);
		used++;
	}
	return used;
}

/* The last of the text that fits into so many columns. */
static const char *text_end(const char *text, size_t columns)
{
	char32_t character;

	while (text_width(text) > columns) {
		int length = utf8_decode(text, SIZE_MAX, &character);

		text += length > 0 ? length : 1;
	}
	return text;
}

unsigned int cells_write_ends(struct cells *cells, unsigned int row, unsigned int column, unsigned int width,
			      enum attribute attribute, const char *text)
{
	const char *end;
	unsigned int used;

	if (text_width(text) <= width || width < ENDS_MIN)
		return cells_write(cells, row, column, width, attribute, text);
	end = text_end(text, width / 3);
	used = cells_write(cells, row, column, width - (unsigned int)text_width(end), attribute, text);
	return used + cells_write(cells, row, column + used, width - used, attribute, end);
}

void cells_paint(struct cells *cells, unsigned int row, unsigned int column, unsigned int width,
		 enum attribute attribute)
{
	for (unsigned int i = 0; i < width; i++) {
		struct cell *cell = cells_at(cells, row, column + i);

		if (!cell)
			break;
		cell->attribute = attribute;
	}
}

int stream_error(FILE *out)
{
	if (!ferror(out))
		return 0;
	return errno ? -errno : -EIO;
}

int cells_print(const struct cells *cells, FILE *out)
{
	for (unsigned int row = 0; row < cells->rows; row++) {
		unsigned int end = cells->columns;

		while (end && cells_at(cells, row, end - 1)->character == U' ')
			end--;
		for (unsigned int column = 0; column < end; column++) {
			char32_t character = cells_at(cells, row, column)->character;
			char bytes[4] = { 0 };

			if (character)
				fwrite(bytes, 1, (size_t)utf8_put(character, bytes), out);
		}
		fputc('\n', out);
	}
	return stream_error(out);
}
