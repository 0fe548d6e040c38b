/* SPDX-License-Identifier: GPL-2.0-only */
/* A ring of samples over time, of one or more columns: growth per minute and the points of a sparkline.
 * It must not know what is sampled. */
#ifndef POOLSCOPE_MODEL_HISTORY_H
#define POOLSCOPE_MODEL_HISTORY_H

#include "../base.h"

/* Samples closer than this to the one before replace it, so that a fast refresh does not shorten the
 * time that a ring covers. A little under a second: a refresh of one second comes early at times. */
#define HISTORY_SPACING_NS (900 * NSEC_PER_MSEC)
struct history {
	size_t rows, columns;
	size_t count, newest; /* filled rows; index of the last one */
	uint64_t *cells;      /* rows of 1 (time) + columns */
};

int history_init(struct history *history, size_t rows, size_t columns);
void history_clear(struct history *history); /* frees; a cleared one takes and tells nothing */
void history_restart(struct history *history);
void history_put(struct history *history, uint64_t time_ns, const uint64_t *values);
/* Bytes a minute over the last window_ns, by the oldest and the newest sample in it. UNKNOWN_I64 while
 * they span less than least_ns, or when one is unknown. */
int64_t history_growth(const struct history *history, size_t column, uint64_t window_ns, uint64_t least_ns);
/* What the samples in the window span by now, in ns. */
uint64_t history_span(const struct history *history, uint64_t window_ns);
/* Copies a column, oldest first, up to max newest values; returns how many. */
size_t history_copy(const struct history *history, size_t column, uint64_t *ret_values, size_t max);

#endif
