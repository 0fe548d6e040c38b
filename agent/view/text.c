/* SPDX-License-Identifier: GPL-2.0-only */
/* A snapshot as readable text: `dump`, `top` without a terminal, and the summary on leaving `top`.
 * The parts are those of the dashboard, drawn into cells that are as large as they need to be. */
#include <errno.h>
#include <string.h>

#include "dashboard_parts.h"
#include "escape.h"
#include "format.h"
#include "text.h"

/* Less than this no table is readable, more is a waste. */
#define COLUMNS_LEAST 40U
#define COLUMNS_MOST 400U
/* `dump --json` has all of them. */
#define TEXT_THREADS 20

static int render_part(const struct dashboard_state *ui, unsigned int columns, const struct snapshot_target *target, enum table table,
		       const struct table_rows *rows, size_t shown, FILE *out)
{
	_cleanup_(cells_freep) struct cells *cells = NULL;
	struct rectangle place = { 0, 0, (unsigned int)shown + 1, columns };
	int error = cells_new(place.rows, place.columns, ui->utf8, &cells);

	if (error)
		return error;
	dashboard_draw_table(ui, target, table, rows, place, cells);
	return cells_print(cells, out);
}

static int render_head(const struct dashboard_state *ui, unsigned int columns, const struct snapshot *snapshot,
		       const struct snapshot_target *target, FILE *out)
{
	_cleanup_(cells_freep) struct cells *cells = NULL;
	struct words_options options = { .utf8 = ui->utf8 };
	struct word words[WORDS_MAX];
	size_t count = words_collect(snapshot, target, &options, words, WORDS_MAX);
	struct rectangle title = { 0, 0, 1, columns };
	struct rectangle header = { 1, 0, HEADER_LINES, columns };
	struct rectangle below = { 1 + HEADER_LINES, 0, UINT32_MAX, columns };
	int error;

	below.rows = dashboard_draw_words(words, count, below, NULL);
	error = cells_new(below.row + below.rows, columns, ui->utf8, &cells);
	if (error)
		return error;
	dashboard_draw_title(ui, snapshot, target, title, cells);
	dashboard_draw_header(snapshot, target, header, cells);
	dashboard_draw_words(words, count, below, cells);
	return cells_print(cells, out);
}

/* The threads of all pools in one table, the largest first. */
static int largest_threads(const struct snapshot_target *target, struct table_rows *ret_rows)
{
	const void **rows = calloc(target->n_threads_list + 1, sizeof(*rows));
	const struct column *columns;
	size_t count, resident = columns_find(TABLE_THREADS, "RES");

	if (!rows)
		return -ENOMEM;
	columns = columns_of(TABLE_THREADS, &count);
	for (size_t i = 0; i < target->n_threads_list; i++) {
		size_t at = i;

		/* A short list kept in order: only its TEXT_THREADS first places are ever shown. */
		if (at > TEXT_THREADS)
			at = TEXT_THREADS;
		for (; at && column_compare(&columns[resident], &target->threads_list[i], rows[at - 1]) < 0; at--)
			rows[at] = rows[at - 1];
		rows[at] = &target->threads_list[i];
	}
	*ret_rows = (struct table_rows){ rows, target->n_threads_list, 0, .mixed = true };
	return 0;
}

static int render_target(struct dashboard_state *ui, unsigned int columns, const struct snapshot *snapshot,
			 const struct snapshot_target *target, FILE *out)
{
	_cleanup_(table_rows_free) struct table_rows pools = { 0 };
	_cleanup_(table_rows_free) struct table_rows threads = { 0 };
	size_t shown;
	int error = render_head(ui, columns, snapshot, target, out);

	if (!error)
		error = dashboard_rows(ui, target, TABLE_POOLS, &pools);
	if (!error)
		error = largest_threads(target, &threads);
	if (error)
		return error;
	shown = threads.count < TEXT_THREADS ? threads.count : TEXT_THREADS;
	fputc('\n', out);
	error = render_part(ui, columns, target, TABLE_POOLS, &pools, pools.count, out);
	if (error)
		return error;
	fputc('\n', out);
	threads.count = shown;
	error = render_part(ui, columns, target, TABLE_THREADS, &threads, shown, out);
	if (!error && target->n_threads_list > shown)
		fprintf(out, "and %zu smaller threads (--json has them all)\n", target->n_threads_list - shown);
	return error;
}

static int render_processes(const struct dashboard_state *ui, unsigned int columns, const struct snapshot *snapshot,
			    const struct snapshot_target *target, FILE *out)
{
	_cleanup_(process_rows_free) struct process_rows processes = { 0 };
	_cleanup_(cells_freep) struct cells *cells = NULL;
	struct rectangle place = { 0, 0, 0, columns };
	int error = processes_collect(snapshot, target, &processes);

	if (error || !processes.count)
		return error;
	place.rows = (unsigned int)processes.count + 1;
	error = cells_new(place.rows, place.columns, ui->utf8, &cells);
	if (!error)
		error = dashboard_draw_processes(&processes, ui->utf8, false, place, cells);
	if (!error)
		error = cells_print(cells, out);
	if (!error)
		fputc('\n', out);
	return error;
}

int text_render(const struct snapshot *snapshot, unsigned int columns, FILE *out)
{
	_cleanup_(freep) bool *heads = NULL;
	struct dashboard_state ui;
	int error = processes_heads(snapshot, &heads);

	columns = columns < COLUMNS_LEAST ? COLUMNS_LEAST : columns > COLUMNS_MOST ? COLUMNS_MOST : columns;
	dashboard_init(&ui, locale_is_utf8(), 0);
	for (size_t i = 0; i < snapshot->n_targets && !error; i++) {
		if (i)
			fputc('\n', out);
		if (heads[i])
			error = render_processes(&ui, columns, snapshot, &snapshot->targets[i], out);
		if (!error)
			error = render_target(&ui, columns, snapshot, &snapshot->targets[i], out);
	}
	if (error)
		return error;
	return stream_error(out);
}

static void summarize_limits(const char *pool, const struct snapshot_limit *limits, size_t n_limits, FILE *out)
{
	for (size_t i = 0; i < n_limits; i++)
		if (limits[i].violations)
			fprintf(out, "  %s was over its limit of %s %s\n", pool, limit_kind_name(limits[i].kind),
				format_counted(FORMAT_BUFFER, limits[i].violations, "time"));
}

static void summarize(const struct dashboard_state *ui, const struct snapshot *snapshot,
		      const struct snapshot_target *target, FILE *out)
{
	struct words_options options = { .utf8 = ui->utf8, .is_summary = true };
	const struct snapshot_pool *grown = NULL;
	char name[COLUMN_TEXT_SIZE];
	struct word end = { 0 };

	escape_text(target->info.name[0] ? target->info.name : target->info.comm, 64, ui->utf8, name, sizeof(name));
	fprintf(out, "%s (PID %u): %s, at most %s; RssAnon %s, %s of it attributed\n", name, target->info.pid,
		format_counted(FORMAT_BUFFER, target->threads, "thread"), format_count(FORMAT_BUFFER, target->threads_peak),
		format_bytes(FORMAT_BUFFER, target->memory.rss_anon),
		format_bytes(FORMAT_BUFFER, target->attributed_bytes));
	if (target->ended && words_collect(snapshot, target, &options, &end, 1))
		fprintf(out, "  %s\n", end.text);
	for (size_t i = 0; i < target->n_pools; i++)
		if (!grown || target->pools[i].memory.net_grown_bytes > grown->memory.net_grown_bytes)
			grown = &target->pools[i];
	if (grown && grown->memory.net_grown_bytes > 0)
		fprintf(out, "  grew most: %s, %s since attach\n",
			escape_text(grown->name, sizeof(grown->name), ui->utf8, name, sizeof(name)),
			format_growth(FORMAT_BUFFER, grown->memory.net_grown_bytes));
	summarize_limits("the process", target->limits, target->n_limits, out);
	for (size_t i = 0; i < target->n_pools; i++)
		summarize_limits(escape_text(target->pools[i].name, sizeof(target->pools[i].name), ui->utf8, name,
					     sizeof(name)),
				 target->pools[i].limits, target->pools[i].n_limits, out);
}

int text_render_summary(const struct snapshot *snapshot, FILE *out)
{
	struct dashboard_state ui;

	dashboard_init(&ui, locale_is_utf8(), 0);
	for (size_t i = 0; i < snapshot->n_targets; i++)
		summarize(&ui, snapshot, &snapshot->targets[i], out);
	if (snapshot->ended_dropped)
		fprintf(out, "Processes that ended and are not shown: %s\n", format_count(FORMAT_BUFFER, snapshot->ended_dropped));
	return stream_error(out);
}
