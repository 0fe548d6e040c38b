/* SPDX-License-Identifier: GPL-2.0-only */
/* The columns of the pool table, as data: title, width, figure, order. They must not know where a column is shown, nor keys. */
#include <stdio.h>

#include "columns.h"
#include "escape.h"
#include "format.h"
#include "pool_tree.h"
#include "sparkline.h"

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

/* 16x3: teams, threads of the largest with the teams within it. */
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

/* What it holds is its ended threads'. */
static bool pool_is_orphaned(const struct snapshot_pool *pool)
{
	return !pool->threads && pool->memory.orphaned_bytes && pool->memory.orphaned_bytes != UNKNOWN_U64;
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
		 : pool_is_orphaned(pool) ? "orphaned"
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

/* Its runtime tells a queue, or has told who is busy. */
static bool has_executor(const void *row)
{
	const struct snapshot_pool *pool = row;

	return pool->queued != UNKNOWN_U64 || pool->busy_peak != UNKNOWN_U64;
}

static int64_t key_resident(const void *row)
{
	return (int64_t)((const struct snapshot_pool *)row)->memory.resident_bytes;
}

#define POOL(field) .offset = offsetof(struct snapshot_pool, field)
#define POOL_TEXT(field) POOL(field), .size = sizeof(((struct snapshot_pool *)0)->field)

/* clang-format off: one row a column */
static const struct column columns[] = {
	{ "POOL", "threads that do the same job; the name is a glob for --limit", COLUMN_TEXT, POOL_TEXT(name),
	  .format = format_name, .attribute = pool_attribute, .width = 14, .width_max = 40, .rank = 0, .left = true,
	  .ends = true },
	{ "THR/LIM/CAP", "threads now / the limit you set / capacity the runtime tells", COLUMN_CUSTOM,
	  .format = format_threads, .key = key_threads, .attribute = pool_attribute, .width = 11, .width_max = 17, .rank = 1 },
	{ "STATE", "worst limit; n/a: not judged; full: at capacity; orphaned: ended", COLUMN_CUSTOM,
	  .format = format_state, .key = key_state, .attribute = pool_attribute, .width = 5, .width_max = 8, .rank = 2, .left = true,
	  .whole = true },
	{ "KIND", "what kind of pool it is", COLUMN_TEXT, POOL_TEXT(kind), .width = 10, .width_max = 28, .rank = 10, .left = true },
	{ "RUN", "threads on a CPU or ready for one", COLUMN_COUNT, POOL(running), .width = 3, .width_max = 5, .rank = 5 },
	{ "RES", "resident anonymous memory charged to the pool", COLUMN_BYTES, POOL(memory.resident_bytes),
	  .width = 5, .width_max = 5, .rank = 1 },
	{ "GROWN", "resident now less at attach; what is made anew is none", COLUMN_GROWTH, POOL(memory.net_grown_bytes),
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
	  .width = 4, .width_max = 5, .rank = 3, .optional = true, .stays = has_executor },
	{ "TEAMS", "OpenMP teams x threads of the largest, with teams within", COLUMN_CUSTOM, .format = format_teams, .key = key_teams,
	  .width = 5, .width_max = 8, .rank = 3, .optional = true },
	{ "PAR", "threads that its runtime lets run at a time (GOMAXPROCS)", COLUMN_COUNT, POOL(parallelism),
	  .width = 3, .width_max = 4, .rank = 3, .optional = true },
	{ "QUEUE", "tasks that wait for a thread", COLUMN_COUNT, POOL(queued), .width = 5, .width_max = 5, .rank = 3, .optional = true },
	{ "LIMITS", "each limit with its state", COLUMN_CUSTOM, .format = format_limits, .key = key_state,
	  .attribute = pool_attribute, .width = 12, .width_max = 40, .rank = 10, .left = true, .optional = true },
	{ "TREND", "resident memory since attach, newest at the right", COLUMN_CUSTOM, .format = format_history,
	  .key = key_resident, .width = 6, .width_max = 60, .rank = 6, .left = true, .stretches = true },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(columns) <= COLUMN_COUNT_MAX, "widths of all columns have room");

const struct column *pool_columns(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(columns);
	return columns;
}
