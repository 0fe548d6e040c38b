/* SPDX-License-Identifier: GPL-2.0-only */
/* The tables as data: order of rows, choice of columns, cells that keep to their column. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>

#include "fixture_snapshot.h"
#include "view/columns.h"
#include "view/escape.h"

static const struct column *column(enum table table, const char *title)
{
	size_t count, index = columns_find(table, title);
	const struct column *columns = columns_of(table, &count);

	assert_true(index < count);
	return &columns[index];
}

static void test_every_column_is_complete(void **state)
{
	for (enum table table = TABLE_POOLS; table < TABLE_COUNT; table++) {
		size_t count;
		const struct column *columns = columns_of(table, &count);

		for (size_t i = 0; i < count; i++) {
			assert_true(columns[i].title[0] && columns[i].help[0]);
			assert_true(columns[i].width <= columns[i].width_max);
			assert_true(strlen(columns[i].title) <= columns[i].width);
			assert_true(columns[i].kind != COLUMN_CUSTOM || (columns[i].format && columns[i].key));
			assert_int_equal(columns_find(table, columns[i].title), i);
		}
	}
}

static void test_order(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_pool *anyio = &fixture->pools[FIXTURE_ANYIO], *main_pool = &fixture->pools[FIXTURE_MAIN];

	assert_true(column_compare(column(TABLE_POOLS, "GROWN"), anyio, main_pool) < 0);
	assert_true(column_compare(column(TABLE_POOLS, "POOL"), anyio, main_pool) < 0);
	assert_true(column_compare(column(TABLE_POOLS, "STATE"), anyio, main_pool) < 0);
	main_pool->memory.net_grown_bytes = -5;
	anyio->memory.net_grown_bytes = UNKNOWN_I64; /* unknown is last, even after a loss */
	assert_true(column_compare(column(TABLE_POOLS, "GROWN"), anyio, main_pool) > 0);
	assert_true(column_compare(column(TABLE_POOLS, "BUSY"), anyio, main_pool) == 0);
	fixture->threads[0].cpu_percent = NAN;
	assert_true(column_compare(column(TABLE_THREADS, "CPU%"), &fixture->threads[0], &fixture->threads[1]) > 0);
	assert_true(column_compare(column(TABLE_THREADS, "TID"), &fixture->threads[0], &fixture->threads[1]) < 0);
}

static void test_threads_limit_capacity(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct column_context context = { &fixture->targets[0], true, .mixed = false };
	char text[COLUMN_TEXT_SIZE];

	column_text(column(TABLE_POOLS, "THR/LIM/CAP"), &context, &fixture->pools[FIXTURE_EXECUTOR], 17, text, sizeof(text));
	assert_string_equal(text, "7/40/-");
	column_text(column(TABLE_POOLS, "THR/LIM/CAP"), &context, &fixture->pools[FIXTURE_ANYIO], 17, text, sizeof(text));
	assert_string_equal(text, "41/40/40");
	column_text(column(TABLE_POOLS, "LIMITS"), &context, &fixture->pools[FIXTURE_ANYIO], 40, text, sizeof(text));
	assert_string_equal(text, "threads OVER, per thread warn");
}

/* Columns never need more than there is, the first ones stay longest, and what is known is not hidden. */
static void test_fit(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct column_context context = { &fixture->targets[0], true, .mixed = false };
	const void *rows[FIXTURE_POOLS];
	unsigned int widths[COLUMN_COUNT_MAX];
	size_t count;

	for (size_t i = 0; i < FIXTURE_POOLS; i++)
		rows[i] = &fixture->pools[i];
	columns_of(TABLE_POOLS, &count);
	for (unsigned int width = 14; width < 420; width++) {
		unsigned int total = 0;
		size_t shown = 0;

		columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, width, widths);
		for (size_t i = 0; i < count; i++) {
			total += widths[i] ? widths[i] + (shown > 0) : 0;
			shown += widths[i] > 0;
		}
		assert_true(total <= width);
		assert_true(widths[0] > 0);
	}
	assert_true(widths[columns_find(TABLE_POOLS, "QUEUE")] == 0); /* nothing known in any row */
	fixture->pools[FIXTURE_ANYIO].queued = 17;
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, 419, widths);
	assert_true(widths[columns_find(TABLE_POOLS, "QUEUE")] > 0);
}

/* What a runtime tells in principle is n/a, not absent: a column that comes and goes is read as none. */
static void test_busy_stays_where_executors_are(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct column_context context = { &fixture->targets[0], true, .mixed = false };
	size_t busy = columns_find(TABLE_POOLS, "BUSY");
	struct snapshot_pool *anyio = &fixture->pools[FIXTURE_ANYIO];
	unsigned int widths[COLUMN_COUNT_MAX];
	const void *rows[FIXTURE_POOLS];
	char text[COLUMN_TEXT_SIZE];

	for (size_t i = 0; i < FIXTURE_POOLS; i++)
		rows[i] = &fixture->pools[i];
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, 80, widths);
	assert_int_equal(widths[busy], 0);
	anyio->queued = 17;
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, 80, widths);
	assert_true(widths[busy] > 0);
	assert_true(widths[columns_find(TABLE_POOLS, "QUEUE")] > 0);
	column_text(column(TABLE_POOLS, "BUSY"), &context, anyio, widths[busy], text, sizeof(text));
	assert_string_equal(text, "n/a");
	anyio->queued = UNKNOWN_U64;
	anyio->busy_peak = 3; /* was told, and is not at this moment */
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, 80, widths);
	assert_true(widths[busy] > 0);
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_ANYIO, 80, widths); /* its row is filtered out */
	assert_int_equal(widths[busy], 0);
}

/* With every optional column and long names there is still room for what kind a pool is: limits that nobody set take none. */
static void test_kind_is_whole_at_200_columns(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct column_context context = { &fixture->targets[0], true, .mixed = false };
	size_t kind = columns_find(TABLE_POOLS, "KIND"), limits = columns_find(TABLE_POOLS, "LIMITS");
	unsigned int widths[COLUMN_COUNT_MAX];
	const void *rows[FIXTURE_POOLS];

	for (size_t i = 0; i < FIXTURE_POOLS; i++) {
		struct snapshot_pool *pool = &fixture->pools[i];

		rows[i] = pool;
		pool->n_limits = 0;
		pool->teams = pool->busy = pool->queued = pool->faults_per_second = pool->memory.kept_bytes = 1;
		snprintf(pool->kind, sizeof(pool->kind), "ThreadPoolExecutor");
		snprintf(pool->name, sizeof(pool->name), "a_pool_with_quite_a_long_name_of_its_%zu", i);
	}
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, 200, widths);
	assert_int_equal(widths[kind], strlen("ThreadPoolExecutor"));
	assert_int_equal(widths[limits], 0);
	fixture->pools[FIXTURE_ANYIO].n_limits = 2;
	columns_fit(TABLE_POOLS, &context, rows, FIXTURE_POOLS, 260, widths);
	assert_int_equal(widths[kind], strlen("ThreadPoolExecutor"));
	assert_true(widths[limits] >= strlen("threads OVER, per thread warn"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_column_is_complete),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_threads_limit_capacity),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_busy_stays_where_executors_are),
		cmocka_unit_test(test_kind_is_whole_at_200_columns),
	};

	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
