/* SPDX-License-Identifier: GPL-2.0-only */
/* What the columns of all tables have in common: a cell's text, the order of rows, the widths that fit. It must not know
 * keys or the layout of a screen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "columns.h"
#include "escape.h"
#include "format.h"
#include "processes.h"

/* Contents are measured in this many rows: enough for a screen, little for a process of 10,000 threads. */
#define MEASURED_ROWS 256

enum limit_state limits_worst(const struct snapshot_limit *limits, size_t n_limits)
{
	enum limit_state worst = LIMIT_OK;

	for (size_t i = 0; i < n_limits; i++)
		if (limits[i].state > worst)
			worst = limits[i].state;
	return worst;
}

const struct snapshot_limit *limits_find(const struct snapshot_limit *limits, size_t n_limits,
					 enum limit_kind kind)
{
	for (size_t i = 0; i < n_limits; i++)
		if (limits[i].kind == kind)
			return &limits[i];
	return NULL;
}

const struct column *columns_of(enum table table, size_t *ret_count)
{
	static const struct column *(*const of[])(size_t *) = {
		[TABLE_POOLS] = pool_columns, [TABLE_THREADS] = thread_columns, [TABLE_PROCESSES] = process_columns
	};

	return of[table](ret_count);
}

size_t columns_find(enum table table, const char *title)
{
	size_t count, i = 0;
	const struct column *columns = columns_of(table, &count);

	while (i < count && strcmp(columns[i].title, title))
		i++;
	return i;
}

static const void *figure(const struct column *column, const void *row)
{
	return (const char *)row + column->offset;
}

char *column_text(const struct column *column, const struct column_context *context, const void *row,
		  unsigned int width, char *buffer, size_t size)
{
	char text[FORMAT_SIZE] = "";

	switch (column->kind) {
	case COLUMN_TEXT:
		if (column->format) {
			column->format(context, row, width, buffer, size);
			return buffer;
		}
		return escape_text(figure(column, row), column->size, context->utf8, buffer, size);
	case COLUMN_CUSTOM:
		column->format(context, row, width, buffer, size);
		return buffer;
	case COLUMN_COUNT:
		format_count(text, *(const uint64_t *)figure(column, row));
		break;
	case COLUMN_BYTES:
		format_bytes(text, *(const uint64_t *)figure(column, row));
		break;
	case COLUMN_GROWTH:
		format_growth(text, *(const int64_t *)figure(column, row));
		break;
	case COLUMN_PERCENT:
		format_percent(text, *(const double *)figure(column, row));
		break;
	case COLUMN_AGE:
		format_age(text, *(const uint64_t *)figure(column, row));
		break;
	}
	snprintf(buffer, size, "%s", text);
	return buffer;
}

static double number(const struct column *column, const void *row)
{
	const void *at = figure(column, row);

	switch (column->kind) {
	case COLUMN_COUNT:
	case COLUMN_BYTES:
	case COLUMN_AGE:
		return *(const uint64_t *)at == UNKNOWN_U64 ? -INFINITY : (double)*(const uint64_t *)at;
	case COLUMN_GROWTH:
		return *(const int64_t *)at == UNKNOWN_I64 ? -INFINITY : (double)*(const int64_t *)at;
	case COLUMN_PERCENT:
		return isnan(*(const double *)at) ? -INFINITY : *(const double *)at;
	case COLUMN_CUSTOM:
		return (double)column->key(row);
	case COLUMN_TEXT:
		break;
	}
	return 0;
}

int column_compare(const struct column *column, const void *a, const void *b)
{
	double left, right;

	if (column->kind == COLUMN_TEXT)
		return strncmp(figure(column, a), figure(column, b), column->size);
	left = number(column, a);
	right = number(column, b);
	return (right > left) - (right < left);
}

/* What a column would like to have, at least its own width; 0: it has nothing to say. */
static unsigned int wanted_width(const struct column *column, const struct column_context *context,
				 const void *const *rows, size_t n_rows)
{
	unsigned int wanted = column->width;
	bool knows = false;

	for (size_t i = 0; i < n_rows && i < MEASURED_ROWS; i++) {
		char text[COLUMN_TEXT_SIZE];
		size_t width = text_width(column_text(column, context, rows[i], column->width, text, sizeof(text)));

		knows |= (strcmp(text, "n/a") && strcmp(text, "-")) || (column->stays && column->stays(rows[i]));
		if (width > wanted)
			wanted = (unsigned int)width;
	}
	if (column->optional && !knows)
		return 0;
	return wanted < column->width_max ? wanted : column->width_max;
}

static unsigned int total_width(const unsigned int *widths, size_t count)
{
	unsigned int total = 0;

	for (size_t i = 0; i < count; i++)
		total += widths[i] ? widths[i] + 1 : 0;
	return total ? total - 1 : 0;
}

void columns_fit(enum table table, const struct column_context *context, const void *const *rows, size_t n_rows,
		 unsigned int width, unsigned int widths[COLUMN_COUNT_MAX])
{
	size_t count;
	const struct column *columns = columns_of(table, &count);
	unsigned int wanted[COLUMN_COUNT_MAX], most_rank = 0, room;

	for (size_t i = 0; i < count; i++) {
		wanted[i] = wanted_width(&columns[i], context, rows, n_rows);
		widths[i] = columns[i].whole || !wanted[i] ? wanted[i] : columns[i].width;
		/* A name is worth more than the last column: it may have a quarter of the line at once. */
		if (!columns[i].rank && widths[i] + 1 < width / 4)
			widths[i] = wanted[i] < width / 4 ? wanted[i] : width / 4 - 1;
		if (columns[i].rank > most_rank)
			most_rank = columns[i].rank;
	}
	for (unsigned int rank = most_rank; rank && total_width(widths, count) > width; rank--)
		for (size_t i = count; i-- && total_width(widths, count) > width;)
			if (columns[i].rank == rank)
				widths[i] = 0;
	room = total_width(widths, count) < width ? width - total_width(widths, count) : 0;
	for (unsigned int rank = 0; rank <= most_rank; rank++)
		for (size_t i = 0; i < count; i++) {
			unsigned int more = widths[i] && columns[i].rank == rank ? wanted[i] - widths[i] : 0;

			more = more < room ? more : room;
			widths[i] += more;
			room -= more;
		}
	for (size_t i = 0; i < count; i++)
		if (columns[i].stretches && widths[i]) {
			unsigned int more = columns[i].width_max - widths[i];

			widths[i] += more < room ? more : room;
		}
}
