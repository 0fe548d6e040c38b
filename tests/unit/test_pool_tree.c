/* SPDX-License-Identifier: GPL-2.0-only */
/* Pools as a tree in the dashboard: order, names, selection, and memory that counts to the pool above. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>

#include "fixture_snapshot.h"
#include "view/dashboard.h"
#include "view/pool_tree.h"
#include "view/text.h"

static struct fixture *fixture;
static struct dashboard_state ui;

/* The OpenMP pool is the executor's, of two teams; that is anyio's. */
static int setup(void **state)
{
	fixture = fixture_snapshot();
	fixture->pools[FIXTURE_OPENMP].parent = FIXTURE_EXECUTOR;
	fixture->pools[FIXTURE_OPENMP].threads = 4;
	fixture->pools[FIXTURE_OPENMP].teams = 2;
	fixture->pools[FIXTURE_OPENMP].team_threads = 2;
	fixture->pools[FIXTURE_OPENMP].team_bound = 16;
	fixture->pools[FIXTURE_EXECUTOR].capacity = 8;
	fixture->pools[FIXTURE_EXECUTOR].parent = FIXTURE_ANYIO;
	dashboard_init(&ui, true, 1000);
	dashboard_resize(&ui, 60, 200);
	return 0;
}

static const char *frame(void)
{
	static char text[65536];
	struct cells *cells = NULL;
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_int_equal(cells_new(ui.rows, ui.columns, ui.utf8, &cells), 0);
	assert_int_equal(dashboard_render(&fixture->snapshot, &ui, cells), 0);
	cells_print(cells, out);
	fclose(out);
	cells_free(cells);
	return text;
}

static const char *line_of(const char *begins)
{
	static char line[1024];
	const char *text = frame(), *found;

	snprintf(line, sizeof(line), "\n%s", begins);
	found = strstr(text, line);
	if (!found)
		fail_msg("no line begins with \"%s\" in\n%s", begins, text);
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(found + 1, "\n"), found + 1);
	return line;
}

static void assert_in_order(const char *first, const char *second)
{
	const char *text = frame(), *at = strstr(text, first);

	assert_non_null(at);
	assert_non_null(strstr(at, second));
}

static void children_stand_below(void **state)
{
	assert_in_order("\nanyio-worker-*", "\n└ ThreadPoolExecutor-0_*");
	assert_in_order("\n└ ThreadPoolExecutor-0_*", "\n  └ libgomp:gomp_thread_start");
	assert_in_order("\n  └ libgomp:gomp_thread_start", "\nmain ");
	assert_non_null(strstr(line_of("  └ libgomp"), " 2x2 "));
	assert_non_null(strstr(frame(), "libgomp:gomp_thread_start below ThreadPoolExecutor-0_*: 2 teams of 2; at most 16 "
					"threads, when each of 8 workers has one"));
	fixture->pools[FIXTURE_OPENMP].threads = 3;
	assert_non_null(strstr(frame(), ": 2 teams, the largest of 2; at most 16 threads"));
	/* Sorted otherwise: still below. */
	ui.tables[TABLE_POOLS].sort = columns_find(TABLE_POOLS, "POOL");
	assert_in_order("\nanyio-worker-*", "\n└ ThreadPoolExecutor-0_*");
	ui.utf8 = false;
	assert_in_order("\nanyio-worker-*", "\n`- ThreadPoolExecutor-0_*");
}

static void the_parent_filtered_away(void **state)
{
	strcpy(ui.tables[TABLE_POOLS].filter, "gomp");
	assert_non_null(strstr(frame(), "└ libgomp:gomp_thread_start"));
	assert_null(strstr(frame(), "\n└ ThreadPoolExecutor"));
}

static void memory_counts_to_the_pool_above(void **state)
{
	struct snapshot_pool *sums = pool_tree_sums(&fixture->targets[0]);
	uint64_t openmp = fixture->pools[FIXTURE_OPENMP].memory.resident_bytes;
	uint64_t executor = fixture->pools[FIXTURE_EXECUTOR].memory.resident_bytes;

	assert_int_equal(sums[FIXTURE_OPENMP].memory.resident_bytes, openmp);
	assert_int_equal(sums[FIXTURE_EXECUTOR].memory.resident_bytes, executor + openmp);
	assert_int_equal(sums[FIXTURE_ANYIO].memory.resident_bytes,
			 fixture->pools[FIXTURE_ANYIO].memory.resident_bytes + executor + openmp);
	assert_int_equal(sums[FIXTURE_EXECUTOR].memory.net_grown_bytes, fixture->pools[FIXTURE_OPENMP].memory.net_grown_bytes);
	assert_int_equal(sums[FIXTURE_MAIN].memory.resident_bytes, fixture->pools[FIXTURE_MAIN].memory.resident_bytes);
	assert_int_equal(sums[FIXTURE_EXECUTOR].threads, 7);
	free(sums);

	assert_non_null(strstr(line_of("└ ThreadPoolExecutor-0_*"), " 373M "));
	assert_int_equal(dashboard_key(&ui, &fixture->snapshot, 'c'), DASHBOARD_REDRAW);
	assert_non_null(strstr(line_of("└ ThreadPoolExecutor-0_* +"), " 408M "));
	assert_non_null(strstr(line_of("  └ libgomp:gomp_thread_start "), " 35.3M "));
	assert_non_null(strstr(line_of("main "), " 119M "));
	/* The rows are others than the snapshot's; the selection and its threads are as ever. */
	dashboard_key(&ui, &fixture->snapshot, KEY_CURSOR_DOWN);
	dashboard_key(&ui, &fixture->snapshot, KEY_CURSOR_DOWN);
	assert_string_equal(ui.tables[TABLE_POOLS].pool, "libgomp:gomp_thread_start");
	assert_non_null(strstr(frame(), "gomp_thread_start libgomp.so.1"));
	dashboard_key(&ui, &fixture->snapshot, 'c');
	assert_non_null(strstr(line_of("└ ThreadPoolExecutor-0_*"), " 373M "));
}

/* What is not known in one place is not known in the sum. */
static void unknown_stays_unknown(void **state)
{
	struct snapshot_pool *sums;

	fixture->pools[FIXTURE_OPENMP].memory.net_grown_bytes = UNKNOWN_I64;
	fixture->pools[FIXTURE_OPENMP].memory.resident_bytes = UINT64_MAX - 1;
	sums = pool_tree_sums(&fixture->targets[0]);
	assert_int_equal(sums[FIXTURE_ANYIO].memory.net_grown_bytes, UNKNOWN_I64);
	assert_int_equal(sums[FIXTURE_ANYIO].memory.resident_bytes, UNKNOWN_U64);
	assert_int_equal(sums[FIXTURE_ANYIO].memory.kept_bytes, UNKNOWN_U64);
	free(sums);
}

/* No parents that a snapshot can have may harm a view, circles and places outside included. */
static void any_parents(void **state)
{
	unsigned int random = 1;

	for (int round = 0; round < 500; round++) {
		struct snapshot_target *target = &fixture->targets[0];
		const void *rows[FIXTURE_POOLS];
		unsigned int seen = 0;

		for (int i = 0; i < FIXTURE_POOLS; i++) {
			random = random * 1103515245 + 12345;
			fixture->pools[i].parent = (int32_t)((random >> 16) % (FIXTURE_POOLS + 3)) - 2;
			rows[i] = &fixture->pools[i];
		}
		assert_int_equal(pool_tree_arrange(target, target->pools, rows, FIXTURE_POOLS), 0);
		for (int i = 0; i < FIXTURE_POOLS; i++)
			seen |= 1U << ((const struct snapshot_pool *)rows[i] - fixture->pools);
		assert_int_equal(seen, (1U << FIXTURE_POOLS) - 1);
		ui.counts_children = round % 2;
		frame();
	}
}

static void dump_has_the_tree(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(text_render(&fixture->snapshot, 132, out), 0);
	fclose(out);
	assert_non_null(strstr(text, "\n└ ThreadPoolExecutor-0_*"));
	assert_non_null(strstr(text, "\n  └ libgomp:gomp_thread_start"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(children_stand_below, setup),
		cmocka_unit_test_setup(the_parent_filtered_away, setup),
		cmocka_unit_test_setup(memory_counts_to_the_pool_above, setup),
		cmocka_unit_test_setup(unknown_stays_unknown, setup),
		cmocka_unit_test_setup(any_parents, setup),
		cmocka_unit_test_setup(dump_has_the_tree, setup),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
