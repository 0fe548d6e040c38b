/* SPDX-License-Identifier: GPL-2.0-only */
/* The columns of the pool table and the thread table, as data: title, width, figure, order. The dashboard
 * and the readable text draw them all by the same code. They must not know keys or the layout of a screen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "columns.h"
#include "escape.h"
#include "format.h"
#include "pool_tree.h"
#include "processes.h"
#include "sparkline.h"

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

static enum attribute pool_attribute(const void *row)
{
	static const enum attribute of_state[] = {
		[LIMIT_OK] = ATTR_NORMAL, [LIMIT_WARN] = ATTR_WARN, [LIMIT_OVER] = ATTR_OVER
	};
	const struct snapshot_pool *pool = row;

	return of_state[limits_worst(pool->limits, pool->n_limits)];
}

/* In the tree a pool stands below the one that made it; `+`: what is below counts to it. */
static void format_name(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			size_t size)
{
	const struct snapshot_pool *pool = row;
	unsigned int depth = context->tree ? pool_depth(context->target, pool) : 0;
	char name[COLUMN_TEXT_SIZE];

	escape_text(pool->name, sizeof(pool->name), context->utf8, name, sizeof(name));
	snprintf(buffer, size, "%*s%s%s%s", depth ? 2 * (int)depth - 2 : 0, "",
		 !depth ? "" : context->utf8 ? "└ " : "`- ", name, context->sums ? " +" : "");
}

/* 16x3: teams, threads of the largest. */
static void format_teams(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			 size_t size)
{
	const struct snapshot_pool *pool = row;

	if (pool->teams == UNKNOWN_U64)
		snprintf(buffer, size, "n/a");
	else
		snprintf(buffer, size, "%sx%s", format_count(FORMAT_BUFFER, pool->teams),
			 format_count(FORMAT_BUFFER, pool->team_threads));
}

static int64_t key_teams(const void *row)
{
	const struct snapshot_pool *pool = row;

	return pool->teams == UNKNOWN_U64 ? -1 : (int64_t)pool->teams;
}

/* 7/40/-: threads, limit, capacity. */
static void format_threads(const struct column_context *context, const void *row, unsigned int width,
			   char *buffer, size_t size)
{
	const struct snapshot_pool *pool = row;
	const struct snapshot_limit *limit = limits_find(pool->limits, pool->n_limits, LIMIT_THREADS);
	bool bounded = limit && limit->max != UNKNOWN_U64;

	snprintf(buffer, size, "%s/%s/%s", format_count(FORMAT_BUFFER, pool->threads),
		 bounded ? format_count(FORMAT_BUFFER, limit->max) : "-",
		 pool->capacity != UNKNOWN_U64 ? format_count(FORMAT_BUFFER, pool->capacity) : "-");
}

static int64_t key_threads(const void *row)
{
	return (int64_t)((const struct snapshot_pool *)row)->threads;
}

static bool pool_is_full(const struct snapshot_pool *pool)
{
	return pool->capacity != UNKNOWN_U64 && pool->capacity && pool->threads >= pool->capacity;
}

static bool any_judged(const struct snapshot_pool *pool)
{
	for (size_t i = 0; i < pool->n_limits; i++)
		if (snapshot_limit_is_judged(&pool->limits[i]))
			return true;
	return false;
}

static void format_state(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			 size_t size)
{
	static const char *const words[] = { [LIMIT_OK] = "ok", [LIMIT_WARN] = "warn", [LIMIT_OVER] = "OVER" };
	const struct snapshot_pool *pool = row;
	enum limit_state worst = limits_worst(pool->limits, pool->n_limits);

	snprintf(buffer, size, "%s",
		 worst != LIMIT_OK	? words[worst]
		 : pool_is_full(pool) ? "full"
		 : any_judged(pool)	? words[LIMIT_OK]
		 : pool->n_limits	? "n/a"
					: "-");
}

static int64_t key_state(const void *row)
{
	const struct snapshot_pool *pool = row;
	enum limit_state worst = limits_worst(pool->limits, pool->n_limits);

	return worst * 4 + pool_is_full(pool) * 2 + (pool->n_limits > 0);
}

static void format_limits(const struct column_context *context, const void *row, unsigned int width,
			  char *buffer, size_t size)
{
	static const char *const kinds[] = {
		[LIMIT_THREADS] = "threads",
		[LIMIT_RESIDENT_BYTES] = "resident",
		[LIMIT_RESIDENT_BYTES_PER_THREAD] = "per thread",
		[LIMIT_THREADS_STARTED_PER_MINUTE] = "starts",
	};
	_Static_assert(ARRAY_SIZE(kinds) == LIMIT_KIND_COUNT, "a name for each kind of limit");
	static const char *const words[] = { [LIMIT_OK] = "ok", [LIMIT_WARN] = "warn", [LIMIT_OVER] = "OVER" };
	const struct snapshot_pool *pool = row;
	size_t used = 0;

	snprintf(buffer, size, "-");
	for (size_t i = 0; i < pool->n_limits && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s %s", i ? ", " : "",
					 kinds[pool->limits[i].kind],
					 snapshot_limit_is_judged(&pool->limits[i]) ? words[pool->limits[i].state] : "n/a");
}

static void format_history(const struct column_context *context, const void *row, unsigned int width,
			   char *buffer, size_t size)
{
	const struct snapshot_pool *pool = row;

	sparkline_draw(pool->history, pool->n_history, context->utf8, width, buffer, size);
}

static int64_t key_resident(const void *row)
{
	return (int64_t)((const struct snapshot_pool *)row)->memory.resident_bytes;
}

static void format_tid(const struct column_context *context, const void *row, unsigned int width, char *buffer,
		       size_t size)
{
	snprintf(buffer, size, "%u", ((const struct snapshot_thread *)row)->id.tid);
}

static int64_t key_tid(const void *row) /* tids ascend, so the order of figures is turned round */
{
	return -(int64_t)((const struct snapshot_thread *)row)->id.tid;
}

static void format_pool(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			size_t size)
{
	uint32_t pool = ((const struct snapshot_thread *)row)->pool;

	if (context->mixed && pool < context->target->n_pools)
		escape_text(context->target->pools[pool].name, sizeof(context->target->pools->name), context->utf8,
			    buffer, size);
	else
		snprintf(buffer, size, "n/a");
}

static int64_t key_pool(const void *row)
{
	return -(int64_t)((const struct snapshot_thread *)row)->pool;
}

static void format_run_state(const struct column_context *context, const void *row, unsigned int width,
			     char *buffer, size_t size)
{
	char state[2] = { ((const struct snapshot_thread *)row)->state };

	if (state[0])
		escape_text(state, 1, context->utf8, buffer, size);
	else
		snprintf(buffer, size, "?");
}

static int64_t key_run_state(const void *row) /* R, then D, then the sleepers */
{
	char state = ((const struct snapshot_thread *)row)->state;

	return state == 'R' ? 2 : state == 'D' ? 1 : 0;
}

static void format_routine(const struct column_context *context, const void *row, unsigned int width,
			   char *buffer, size_t size)
{
	const struct snapshot_thread *thread = row;
	bool has_symbol = thread->start_routine[0];

	if (has_symbol || thread->module[0])
		escape_text(has_symbol ? thread->start_routine : thread->module,
			    has_symbol ? sizeof(thread->start_routine) : sizeof(thread->module), context->utf8,
			    buffer, size);
	else
		snprintf(buffer, size, "n/a");
}

/* "predict (app.py:42)"; of an idle worker that it is idle. */
static void format_doing(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			 size_t size)
{
	char text[sizeof(struct snapshot_function) + 16];

	if (snapshot_doing(context->target, row, text, sizeof(text)))
		escape_text(text, sizeof(text), context->utf8, buffer, size);
	else
		snprintf(buffer, size, "%s", ((const struct snapshot_thread *)row)->activity == WORKER_IDLE ? "idle" : "n/a");
}

static int64_t key_doing(const void *row) /* the busy first, those in one function together */
{
	const struct snapshot_thread *thread = row;

	return (int64_t)thread->activity * INT32_MAX * 4 - thread->function;
}

static int64_t key_routine(const void *row) /* threads with one routine stand together */
{
	const struct snapshot_thread *thread = row;
	int64_t key = 0;

	for (size_t i = 0; i < 7; i++)
		key = key << 8 | (unsigned char)(i < strlen(thread->start_routine) ? thread->start_routine[i] : 0);
	return -key;
}

#define POOL(field) .offset = offsetof(struct snapshot_pool, field)
#define THREAD(field) .offset = offsetof(struct snapshot_thread, field)
#define POOL_TEXT(field) POOL(field), .size = sizeof(((struct snapshot_pool *)0)->field)
#define THREAD_TEXT(field) THREAD(field), .size = sizeof(((struct snapshot_thread *)0)->field)

/* clang-format off: one row a column */
static const struct column pool_columns[] = {
	{ "POOL", "threads that do the same job; the name is a glob for --limit", COLUMN_TEXT, POOL_TEXT(name),
	  .format = format_name, .attribute = pool_attribute, .width = 14, .width_max = 40, .rank = 0, .left = true },
	{ "THR/LIM/CAP", "threads now / the limit you set / capacity the runtime tells", COLUMN_CUSTOM,
	  .format = format_threads, .key = key_threads, .attribute = pool_attribute, .width = 11, .width_max = 17, .rank = 1 },
	{ "STATE", "worst of its limits; n/a: not judged; full: at capacity", COLUMN_CUSTOM,
	  .format = format_state, .key = key_state, .attribute = pool_attribute, .width = 5, .width_max = 5, .rank = 2, .left = true },
	{ "KIND", "what kind of pool it is", COLUMN_TEXT, POOL_TEXT(kind), .width = 10, .width_max = 28, .rank = 10, .left = true },
	{ "RUN", "threads on a CPU or ready for one", COLUMN_COUNT, POOL(running), .width = 3, .width_max = 5, .rank = 5 },
	{ "RES", "resident anonymous memory charged to the pool", COLUMN_BYTES, POOL(memory.resident_bytes),
	  .width = 5, .width_max = 5, .rank = 1 },
	{ "GROWN", "resident now less resident at attach", COLUMN_GROWTH, POOL(memory.grown_bytes),
	  .width = 6, .width_max = 6, .rank = 2 },
	{ "/MIN", "growth over the last minute", COLUMN_GROWTH, POOL(growth_per_minute), .width = 6, .width_max = 6, .rank = 3 },
	{ "AVG/T", "resident memory of a living thread, the mean", COLUMN_BYTES, POOL(thread_resident_mean),
	  .width = 5, .width_max = 5, .rank = 4 },
	{ "MAX/T", "resident memory of the largest living thread", COLUMN_BYTES, POOL(thread_resident_max),
	  .width = 5, .width_max = 5, .rank = 4 },
	{ "STACK", "resident stacks", COLUMN_BYTES, POOL(memory.resident[REGION_STACK]), .width = 5, .width_max = 5, .rank = 7 },
	{ "ARENA", "resident glibc thread heaps", COLUMN_BYTES, POOL(memory.resident[REGION_ARENA]), .width = 5, .width_max = 5, .rank = 7 },
	{ "HEAP", "resident brk heap", COLUMN_BYTES, POOL(memory.resident[REGION_HEAP]), .width = 5, .width_max = 5, .rank = 7 },
	{ "MMAP", "resident rest: anonymous mappings", COLUMN_BYTES, POOL(memory.resident[REGION_MMAP]), .width = 5, .width_max = 5, .rank = 7 },
	{ "ORPHAN", "resident memory of threads that have exited (in RES)", COLUMN_BYTES, POOL(memory.orphaned_bytes),
	  .width = 6, .width_max = 6, .rank = 8 },
	{ "KEPT", "resident, but free: kept by glibc's malloc (in RES)", COLUMN_BYTES, POOL(memory.kept_bytes),
	  .width = 5, .width_max = 5, .rank = 8, .optional = true },
	{ "FLT/S", "page faults a second", COLUMN_COUNT, POOL(faults_per_second), .width = 5, .width_max = 6, .rank = 9, .optional = true },
	{ "PEAK", "most threads at one time", COLUMN_COUNT, POOL(threads_peak), .width = 4, .width_max = 5, .rank = 9 },
	{ "START", "threads started since attach", COLUMN_COUNT, POOL(threads_started), .width = 5, .width_max = 5, .rank = 9 },
	{ "EXIT", "threads exited since attach", COLUMN_COUNT, POOL(threads_exited), .width = 4, .width_max = 5, .rank = 9 },
	{ "BUSY", "threads that execute a task, even if blocked in it", COLUMN_COUNT, POOL(busy),
	  .width = 4, .width_max = 5, .rank = 3, .optional = true },
	{ "TEAMS", "OpenMP teams x threads of the largest", COLUMN_CUSTOM, .format = format_teams, .key = key_teams,
	  .width = 5, .width_max = 8, .rank = 3, .optional = true },
	{ "PAR", "threads that its runtime lets run at a time (GOMAXPROCS)", COLUMN_COUNT, POOL(parallelism),
	  .width = 3, .width_max = 4, .rank = 3, .optional = true },
	{ "QUEUE", "tasks that wait for a thread", COLUMN_COUNT, POOL(queued), .width = 5, .width_max = 5, .rank = 3, .optional = true },
	{ "LIMITS", "each limit with its state", COLUMN_CUSTOM, .format = format_limits, .key = key_state,
	  .attribute = pool_attribute, .width = 12, .width_max = 40, .rank = 10, .left = true },
	{ "TREND", "resident memory since attach, newest at the right", COLUMN_CUSTOM, .format = format_history,
	  .key = key_resident, .width = 6, .width_max = 60, .rank = 6, .left = true, .stretches = true },
};

static const struct column thread_columns[] = {
	{ "TID", "thread id", COLUMN_CUSTOM, .format = format_tid, .key = key_tid, .width = 5, .width_max = 10, .rank = 0 },
	{ "NAME", "the thread's own name (15 bytes)", COLUMN_TEXT, THREAD_TEXT(name), .width = 15, .width_max = 20, .rank = 1, .left = true },
	{ "POOL", "its pool, where threads of all pools stand together", COLUMN_CUSTOM, .format = format_pool,
	  .key = key_pool, .width = 8, .width_max = 30, .rank = 2, .left = true, .optional = true },
	{ "S", "R runs or is ready, S sleeps, D waits for a device, T stopped", COLUMN_CUSTOM,
	  .format = format_run_state, .key = key_run_state, .width = 1, .width_max = 1, .rank = 3 },
	{ "CPU%", "of one core since the last refresh", COLUMN_PERCENT, THREAD(cpu_percent), .width = 5, .width_max = 5, .rank = 3 },
	{ "RES", "resident anonymous memory charged to the thread", COLUMN_BYTES, THREAD(memory.resident_bytes),
	  .width = 5, .width_max = 5, .rank = 1 },
	{ "GROWN", "resident now less resident at attach", COLUMN_GROWTH, THREAD(memory.grown_bytes), .width = 6, .width_max = 6, .rank = 7 },
	{ "STACK", "resident stack", COLUMN_BYTES, THREAD(memory.resident[REGION_STACK]), .width = 5, .width_max = 5, .rank = 4 },
	{ "ARENA", "resident glibc thread heaps it grew", COLUMN_BYTES, THREAD(memory.resident[REGION_ARENA]), .width = 5, .width_max = 5, .rank = 4 },
	{ "HEAP", "resident brk heap it grew", COLUMN_BYTES, THREAD(memory.resident[REGION_HEAP]), .width = 5, .width_max = 5, .rank = 5 },
	{ "MMAP", "resident rest: anonymous mappings it made", COLUMN_BYTES, THREAD(memory.resident[REGION_MMAP]), .width = 5, .width_max = 5, .rank = 4 },
	{ "STKUSE", "used part of its own stack", COLUMN_BYTES, THREAD(stack_used), .width = 6, .width_max = 6, .rank = 6 },
	{ "MAPPED", "address space it made usable", COLUMN_BYTES, THREAD(memory.mapped_bytes), .width = 6, .width_max = 6, .rank = 8 },
	{ "AGE", "since its start", COLUMN_AGE, THREAD(age_ns), .width = 4, .width_max = 4, .rank = 3 },
	{ "DOING", "idle, or the function of its own language that it runs now", COLUMN_CUSTOM, .format = format_doing,
	  .key = key_doing, .width = 24, .width_max = 60, .rank = 2, .left = true, .optional = true },
	{ "START ROUTINE", "the function it began with, as far as symbols tell", COLUMN_CUSTOM, .format = format_routine,
	  .key = key_routine, .width = 13, .width_max = 60, .rank = 2, .left = true },
	{ "MODULE", "the file that function is in", COLUMN_TEXT, THREAD_TEXT(module), .width = 8, .width_max = 40, .rank = 9, .left = true },
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(pool_columns) <= COLUMN_COUNT_MAX && ARRAY_SIZE(thread_columns) <= COLUMN_COUNT_MAX,
	       "widths of all columns have room");

const struct column *columns_of(enum table table, size_t *ret_count)
{
	if (table == TABLE_PROCESSES)
		return process_columns(ret_count);
	*ret_count = table == TABLE_POOLS ? ARRAY_SIZE(pool_columns) : ARRAY_SIZE(thread_columns);
	return table == TABLE_POOLS ? pool_columns : thread_columns;
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

		knows |= strcmp(text, "n/a") != 0;
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
		widths[i] = wanted[i] ? columns[i].width : 0;
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
