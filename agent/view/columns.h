/* SPDX-License-Identifier: GPL-2.0-only */
/* The columns of the tables, as data: title, width, figure, order. The dashboard and the readable text draw them all by
 * the same code. They must not know keys or the layout of a screen. */
#ifndef POOLSCOPE_VIEW_COLUMNS_H
#define POOLSCOPE_VIEW_COLUMNS_H

#include "../model/snapshot.h"
#include "cells.h"

/* Room for one formatted cell: an escaped name (4 bytes for each of 128) or a sparkline. */
#define COLUMN_TEXT_SIZE 576
#define COLUMN_COUNT_MAX 32

enum column_kind {
	COLUMN_TEXT,    /* char[] of the target */
	COLUMN_COUNT,   /* uint64_t */
	COLUMN_BYTES,   /* uint64_t */
	COLUMN_GROWTH,  /* int64_t, bytes */
	COLUMN_PERCENT, /* double */
	COLUMN_AGE,     /* uint64_t, ns */
	COLUMN_CUSTOM,  /* `format` writes it, `key` orders it */
};

struct column_context {
	const struct snapshot_target *target;
	bool utf8;
	bool mixed; /* threads of all pools stand in one table */
	bool tree;  /* pools stand below the pools that made them */
	bool sums;  /* and count to them */
};

struct column {
	const char *title, *help;
	enum column_kind kind;
	size_t offset, size; /* of the figure in struct snapshot_pool, snapshot_thread or process_row */
	void (*format)(const struct column_context *context, const void *row, unsigned int width, char *buffer,
		       size_t size);
	int64_t (*key)(const void *row);
	enum attribute (*attribute)(const void *row);
	unsigned int width, width_max; /* the least; grows with its contents up to width_max */
	unsigned int rank;             /* 0: always there; the highest go first on a narrow screen */
	bool left;                     /* aligned to the left */
	bool ends;                     /* its end tells as much as its beginning: it is cut in the middle */
	bool optional;                 /* not shown while it knows or has nothing in any row */
	bool (*stays)(const void *row); /* but is shown where this is so of a row: n/a is told there. NULL: never */
	bool whole;                    /* a word that is not to be cut: others go rather */
	bool stretches;                /* takes what width is left over */
};

/* TABLE_COUNT: those in which rows can be chosen. */
enum table { TABLE_POOLS, TABLE_THREADS, TABLE_COUNT, TABLE_PROCESSES = TABLE_COUNT };

const struct column *pool_columns(size_t *ret_count);
const struct column *thread_columns(size_t *ret_count);
/* Columns of a table in their order on the screen. */
const struct column *columns_of(enum table table, size_t *ret_count);
/* Index of the column with that title; the count when there is none. */
size_t columns_find(enum table table, const char *title);

/* The text of one cell, escaped. width: what the column has (a sparkline fills it). Returns buffer. */
char *column_text(const struct column *column, const struct column_context *context, const void *row,
		  unsigned int width, char *buffer, size_t size);
/* Figures from large to small, texts from a to z; unknown last. */
int column_compare(const struct column *column, const void *a, const void *b);

/* Chooses columns and widths for `width` cells; widths[i] is 0 for a column that is not shown. */
void columns_fit(enum table table, const struct column_context *context, const void *const *rows, size_t n_rows,
		 unsigned int width, unsigned int widths[COLUMN_COUNT_MAX]);

/* The worst state of a set of limits; LIMIT_OK when there is none. */
enum limit_state limits_worst(const struct snapshot_limit *limits, size_t n_limits);
/* The limit of that kind, or NULL. */
const struct snapshot_limit *limits_find(const struct snapshot_limit *limits, size_t n_limits,
					 enum limit_kind kind);

#endif
