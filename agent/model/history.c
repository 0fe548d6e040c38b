/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the last samples of a figure and tells how fast it grows.
 * It must not know what is sampled. */
#include "history.h"

#include <errno.h>
#include <string.h>

static uint64_t *row(const struct history *history, size_t age)
{
	size_t index = (history->newest + history->rows - age) % history->rows;

	return history->cells + index * (1 + history->columns);
}

int history_init(struct history *history, size_t rows, size_t columns)
{
	uint64_t *cells = calloc(rows, (1 + columns) * sizeof(*cells));

	if (!cells)
		return -ENOMEM;
	*history = (struct history){.rows = rows, .columns = columns, .cells = cells};
	return 0;
}

void history_clear(struct history *history)
{
	free(history->cells);
	*history = (struct history){.rows = 0};
}

void history_restart(struct history *history)
{
	history->count = history->newest = 0;
}

void history_put(struct history *history, uint64_t time_ns, const uint64_t *values)
{
	if (!history->rows)
		return;
	if (history->count && time_ns <= row(history, 0)[0])
		return;
	/* Measured against the one before the newest: else a steady fast refresh would replace for ever. */
	if (history->count < 2 || row(history, 0)[0] - row(history, 1)[0] >= HISTORY_SPACING_NS) {
		if (history->count)
			history->newest = (history->newest + 1) % history->rows;
		if (history->count < history->rows)
			history->count++;
	}
	row(history, 0)[0] = time_ns;
	memcpy(row(history, 0) + 1, values, history->columns * sizeof(*values));
}

/* The oldest sample that is still inside the window. NULL: there are not two. */
static const uint64_t *oldest_of(const struct history *history, uint64_t window_ns)
{
	size_t low = 0, high = history->count;

	if (history->count < 2)
		return NULL;
	while (high - low > 1) { /* times fall with age */
		size_t middle = low + (high - low) / 2;

		if (row(history, 0)[0] - row(history, middle)[0] <= window_ns)
			low = middle;
		else
			high = middle;
	}
	return row(history, low);
}

uint64_t history_span(const struct history *history, uint64_t window_ns)
{
	const uint64_t *oldest = oldest_of(history, window_ns);

	return oldest ? row(history, 0)[0] - oldest[0] : 0;
}

int64_t history_growth(const struct history *history, size_t column, uint64_t window_ns, uint64_t least_ns)
{
	const uint64_t *newest, *oldest = oldest_of(history, window_ns);

	if (!oldest)
		return UNKNOWN_I64;
	newest = row(history, 0);
	if (newest[0] - oldest[0] < least_ns || newest[1 + column] == UNKNOWN_U64 || oldest[1 + column] == UNKNOWN_U64)
		return UNKNOWN_I64;
	/* hostile figures may be as large as they like, and a figure may have gone below 0 */
	double grown = (double)(int64_t)(newest[1 + column] - oldest[1 + column]);
	double rate = grown * (60.0 * NSEC_PER_SEC) / (double)(newest[0] - oldest[0]);

	return rate > 9e18 ? INT64_MAX : rate < -9e18 ? -INT64_MAX : (int64_t)rate;
}

size_t history_copy(const struct history *history, size_t column, uint64_t *ret_values, size_t max)
{
	size_t count = history->count < max ? history->count : max;

	for (size_t i = 0; i < count; i++)
		ret_values[i] = row(history, count - 1 - i)[1 + column];
	return count;
}
