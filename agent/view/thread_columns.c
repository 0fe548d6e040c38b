/* SPDX-License-Identifier: GPL-2.0-only */
/* The columns of the thread table, as data: title, width, figure, order. They must not know where a column is shown, nor keys. */
#include <stdio.h>
#include <string.h>

#include "columns.h"
#include "escape.h"
#include "format.h"

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

/* "predict (app.py:42)"; of a worker of which no function is known, whether it is idle. */
static void format_doing(const struct column_context *context, const void *row, unsigned int width, char *buffer,
			 size_t size)
{
	static const char *const words[] = {[WORKER_UNKNOWN] = "n/a", [WORKER_IDLE] = "idle", [WORKER_BUSY] = "busy"};
	char text[sizeof(struct snapshot_function) + 16];

	if (snapshot_doing(context->target, row, text, sizeof(text)))
		escape_text(text, sizeof(text), context->utf8, buffer, size);
	else
		snprintf(buffer, size, "%s", words[((const struct snapshot_thread *)row)->activity]);
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

#define THREAD(field) .offset = offsetof(struct snapshot_thread, field)
#define THREAD_TEXT(field) THREAD(field), .size = sizeof(((struct snapshot_thread *)0)->field)

/* clang-format off: one row a column */
static const struct column columns[] = {
	{ "TID", "thread id", COLUMN_CUSTOM, .format = format_tid, .key = key_tid, .width = 5, .width_max = 10, .rank = 0 },
	{ "NAME", "the thread's own name (15 bytes)", COLUMN_TEXT, THREAD_TEXT(name), .width = 15, .width_max = 20, .rank = 1, .left = true },
	{ "POOL", "its pool, where threads of all pools stand together", COLUMN_CUSTOM, .format = format_pool,
	  .key = key_pool, .width = 8, .width_max = 30, .rank = 2, .left = true, .ends = true,
	  .optional = true },
	{ "S", "R runs or is ready, S sleeps, D waits for a device, T stopped", COLUMN_CUSTOM,
	  .format = format_run_state, .key = key_run_state, .width = 1, .width_max = 1, .rank = 3 },
	{ "CPU%", "of one core since the last refresh", COLUMN_PERCENT, THREAD(cpu_percent), .width = 5, .width_max = 5, .rank = 3 },
	{ "RES", "resident anonymous memory charged to the thread", COLUMN_BYTES, THREAD(memory.resident_bytes),
	  .width = 5, .width_max = 5, .rank = 1 },
	{ "GROWN", "resident now less at attach; what is made anew is none", COLUMN_GROWTH, THREAD(memory.net_grown_bytes), .width = 6, .width_max = 6, .rank = 7 },
	{ "STACK", "resident stack", COLUMN_BYTES, THREAD(memory.resident[REGION_STACK]), .width = 5, .width_max = 5, .rank = 4 },
	{ "ARENA", "resident glibc thread heaps it grew", COLUMN_BYTES, THREAD(memory.resident[REGION_ARENA]), .width = 5, .width_max = 5, .rank = 4 },
	{ "HEAP", "resident brk heap it grew", COLUMN_BYTES, THREAD(memory.resident[REGION_HEAP]), .width = 5, .width_max = 5, .rank = 5 },
	{ "MMAP", "resident rest: anonymous mappings it made", COLUMN_BYTES, THREAD(memory.resident[REGION_MMAP]), .width = 5, .width_max = 5, .rank = 4 },
	{ "STKUSE", "its stack in use: from stack pointer to top", COLUMN_BYTES, THREAD(stack_used), .width = 6, .width_max = 6, .rank = 7 },
	{ "MAPPED", "address space it made usable", COLUMN_BYTES, THREAD(memory.mapped_bytes), .width = 6, .width_max = 6, .rank = 8 },
	{ "AGE", "since its start", COLUMN_AGE, THREAD(age_ns), .width = 4, .width_max = 4, .rank = 3 },
	{ "DOING", "idle, or the function of its own language that it runs now", COLUMN_CUSTOM, .format = format_doing,
	  .key = key_doing, .width = 14, .width_max = 60, .rank = 2, .left = true, .optional = true },
	{ "START ROUTINE", "the function it began with, as far as symbols tell", COLUMN_CUSTOM, .format = format_routine,
	  .key = key_routine, .width = 13, .width_max = 60, .rank = 6, .left = true },
	{ "MODULE", "the file that function is in", COLUMN_TEXT, THREAD_TEXT(module), .width = 8, .width_max = 40, .rank = 9, .left = true },
};
/* clang-format on */
_Static_assert(ARRAY_SIZE(columns) <= COLUMN_COUNT_MAX, "widths of all columns have room");

const struct column *thread_columns(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(columns);
	return columns;
}
