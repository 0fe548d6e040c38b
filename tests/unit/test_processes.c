/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of processes: who is of one family, what stands in a row, the totals, and how it is drawn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <string.h>

#include "fixture_frame.h"
#include "view/dashboard_parts.h"
#include "view/text.h"

#define MIB (1ULL << 20)
#define TARGETS 64

static struct snapshot_target targets[TARGETS];
static struct snapshot_pool pools[TARGETS];
static struct snapshot snapshot;

static struct snapshot_target *add(uint32_t pid, uint32_t parent, uint64_t start)
{
	struct snapshot_target *target = &targets[snapshot.n_targets];
	struct snapshot_pool *pool = &pools[snapshot.n_targets];

	*pool = (struct snapshot_pool){ .name = "main", .kind = "threads", .parent = -1, .threads = 1,
					.memory = { .resident_bytes = 3 * MIB, .net_grown_bytes = MIB } };
	pool->capacity = pool->busy = pool->busy_peak = pool->queued = pool->teams = UNKNOWN_U64;
	pool->team_threads = pool->team_bound = pool->parallelism = UNKNOWN_U64;
	*target = (struct snapshot_target){
		.id = (uint32_t)++snapshot.n_targets,
		.info = { .pid = pid, .parent_pid = parent, .start_ns = start, .name = "python3", .comm = "python3" },
		.threads = 2,
		.memory = { .rss_anon = 5 * MIB },
		.cgroup_seconds_to_memory_max = NAN,
		.attributed_bytes = 3 * MIB,
		.growth_anon = (int64_t)MIB,
		.pools = pool,
		.n_pools = 1,
	};
	snapshot.targets = targets;
	return target;
}

static int begin(void **state)
{
	snapshot = (struct snapshot){ 0 };
	return 0;
}

static struct process_rows collect(const struct snapshot_target *target)
{
	struct process_rows rows;

	assert_int_equal(processes_collect(&snapshot, target, &rows), 0);
	return rows;
}

/* The PIDs of its family, "100 101 102"; "" : it has none. */
static const char *family_of(const struct snapshot_target *target)
{
	static char text[512];
	struct process_rows rows = collect(target);
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i + 1 < rows.count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u", i ? " " : "", rows.rows[i].pid);
	if (rows.count)
		assert_ptr_equal(rows.rows[rows.shown].target, target);
	process_rows_free(&rows);
	return text;
}

static void families(void **state)
{
	struct snapshot_target *parent = add(100, 1, 10), *child = add(101, 100, 20), *alone = add(200, 1, 30);
	struct snapshot_target *grandchild = add(102, 101, 40);

	assert_string_equal(family_of(parent), "100 101 102");
	assert_string_equal(family_of(child), "100 101 102");
	assert_string_equal(family_of(grandchild), "100 101 102");
	assert_string_equal(family_of(alone), "");
}

static void who_has_ended_comes_last(void **state)
{
	bool *heads;

	add(100, 1, 10);
	add(101, 100, 20)->ended = true;
	add(102, 100, 30);
	assert_string_equal(family_of(&targets[0]), "100 102 101");
	assert_string_equal(family_of(&targets[1]), "100 102 101");
	targets[0].ended = true;
	assert_string_equal(family_of(&targets[0]), "102 100 101");
	add(200, 1, 50);
	assert_int_equal(processes_heads(&snapshot, &heads), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(heads[i], i == 0 || i == 3);
	free(heads);
}

/* A child that is older than what carries its parent's number now has another parent. */
static void numbers_are_used_again(void **state)
{
	struct snapshot_target *first = add(100, 1, 10), *child = add(101, 100, 20);
	struct snapshot_target *again = add(100, 1, 30), *later = add(102, 100, 40);

	first->ended = true;
	assert_string_equal(family_of(child), "101 100");
	assert_string_equal(family_of(later), "100 102");
	assert_string_equal(family_of(again), "100 102");
}

static struct snapshot_target *add_followed(uint32_t pid, uint32_t parent, uint64_t start, uint32_t family)
{
	struct snapshot_target *target = add(pid, parent, start);

	target->info.family = family;
	target->info.followed = family != target->id;
	return target;
}

/* Init takes whoever's parent has ended: a family is who was forked by whom. */
static void who_was_forked_by_one_that_has_ended(void **state)
{
	struct snapshot_target *parent = add_followed(100, 1, 10, 1), *other = add_followed(200, 1, 15, 2);
	struct snapshot_target *child = add_followed(101, 100, 20, 1), *grandchild = add_followed(102, 1, 30, 1);
	struct process_rows rows;

	child->ended = true;
	assert_string_equal(family_of(parent), "100 102 101");
	assert_string_equal(family_of(grandchild), "100 102 101");
	assert_string_equal(family_of(other), "");
	rows = collect(grandchild);
	assert_string_equal(rows.rows[0].what, "parent");
	assert_string_equal(rows.rows[1].what, "child");
	assert_string_equal(rows.rows[3].name, "2 processes");
	assert_int_equal(rows.rows[3].rss_anon, 10 * MIB);
	process_rows_free(&rows);
}

/* Of those that have ended a number is kept. */
static void who_descends_from_one_that_is_not_kept(void **state)
{
	struct snapshot_target *parent = add_followed(100, 1, 10, 1), *grandchild = add_followed(102, 1, 30, 1);
	struct process_rows rows;
	bool *heads;

	assert_string_equal(family_of(parent), "100 102"); /* not who forked it */
	assert_string_equal(family_of(grandchild), "100 102");
	begin(state);
	grandchild = add_followed(102, 1, 30, 77); /* nor whom it descends from */
	add_followed(200, 1, 35, 2);
	add_followed(103, 1, 40, 77);
	assert_string_equal(family_of(grandchild), "102 103");
	rows = collect(grandchild);
	assert_string_equal(rows.rows[0].what, "child");
	process_rows_free(&rows);
	assert_int_equal(processes_heads(&snapshot, &heads), 0);
	assert_true(heads[0] && heads[1] && !heads[2]);
	free(heads);
}

/* Both were asked for, the child first: what is followed from it stands with the parent of both. */
static void who_descends_from_a_child_that_was_asked_for(void **state)
{
	struct snapshot_target *child = add_followed(101, 100, 20, 1), *parent = add_followed(100, 1, 10, 2);
	struct snapshot_target *grandchild = add_followed(102, 1, 30, 1), *circular = add_followed(50, 102, 40, 1);

	assert_string_equal(family_of(grandchild), "101 100 102 50");
	assert_string_equal(family_of(parent), "101 100 102 50");
	assert_string_equal(family_of(circular), "101 100 102 50");
	child->info.parent_pid = 50;
	child->info.start_ns = 50;
	assert_string_equal(family_of(grandchild), "101 102 50");
	assert_string_equal(family_of(child), "101 102 50");
	assert_string_equal(family_of(parent), "");
}

/* /proc may say anything while processes come and go: it ends, and each has one family at most. */
static void circles_end(void **state)
{
	struct snapshot_target *a = add(100, 101, 10), *b = add(101, 100, 10), *own = add(102, 102, 10);

	family_of(a);
	family_of(b);
	assert_string_equal(family_of(own), "");
	begin(state);
	for (uint32_t i = 0; i < TARGETS; i++)
		add(100 + i, 99 + i, i);
	family_of(&targets[TARGETS - 1]);
}

static void totals(void **state)
{
	struct snapshot_target *parent = add(100, 1, 10);
	struct snapshot_limit limit = { .kind = LIMIT_THREADS, .state = LIMIT_WARN, .value = 2, .max = 2 };
	struct process_rows rows;

	add(101, 100, 20)->limits = &limit;
	targets[1].n_limits = 1;
	add(102, 100, 30)->ended = true;
	rows = collect(parent);
	assert_int_equal(rows.count, 4);
	assert_string_equal(rows.rows[0].what, "parent");
	assert_string_equal(rows.rows[1].what, "child");
	assert_int_equal(rows.rows[1].state, LIMIT_WARN);
	assert_null(rows.rows[3].target);
	assert_string_equal(rows.rows[3].name, "2 processes");
	assert_int_equal(rows.rows[3].threads, 4);
	assert_int_equal(rows.rows[3].rss_anon, 10 * MIB);
	assert_int_equal(rows.rows[3].attributed, 6 * MIB);
	assert_int_equal(rows.rows[3].grown, 2 * MIB);
	assert_int_equal(rows.rows[3].growth_per_minute, 2 * MIB);
	assert_int_equal(rows.rows[3].state, LIMIT_WARN);
	process_rows_free(&rows);
	/* What is not known of one is not known of all. */
	targets[1].memory.rss_anon = UNKNOWN_U64;
	targets[1].growth_anon = UNKNOWN_I64;
	pools[0].memory.net_grown_bytes = UNKNOWN_I64;
	targets[0].attributed_bytes = UINT64_MAX - 1;
	rows = collect(parent);
	assert_true(rows.rows[3].rss_anon == UNKNOWN_U64 && rows.rows[3].attributed == UNKNOWN_U64);
	assert_true(rows.rows[3].grown == UNKNOWN_I64 && rows.rows[3].growth_per_minute == UNKNOWN_I64);
	assert_int_equal(rows.rows[3].threads, 4);
	process_rows_free(&rows);
}

static void roles(void **state)
{
	struct process_rows rows;

	add(100, 1, 10)->runtime.role = PROCESS_UVICORN_SUPERVISOR;
	add(101, 100, 20)->runtime.role = PROCESS_UVICORN_WORKER;
	add(102, 100, 20);
	snprintf(pools[2].kind, sizeof(pools[2].kind), "nginx child process");
	rows = collect(&targets[0]);
	assert_string_equal(rows.rows[0].what, "uvicorn supervisor");
	assert_string_equal(rows.rows[1].what, "uvicorn worker");
	assert_string_equal(rows.rows[2].what, "nginx child process");
	assert_string_equal(snapshot_role(&targets[2]), "nginx child process");
	process_rows_free(&rows);
	for (enum process_role role = PROCESS_ROLE_NONE + 1; role < PROCESS_ROLE_COUNT; role++)
		assert_true(process_role_name(role)[0] && strlen(process_role_name(role)) < sizeof(rows.rows->what));
}

static char *text_of(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(text_render(&snapshot, 132, out), 0);
	fclose(out);
	return text;
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, part)); at++)
		count++;
	return count;
}

static void readable_text(void **state)
{
	char *text;

	add(100, 1, 10);
	text = text_of();
	assert_null(strstr(text, "PROCESS "));
	free(text);
	add(101, 100, 20);
	add(200, 1, 30);
	snprintf(targets[1].info.name, sizeof(targets[1].info.name), "\033[2J\"x");
	text = text_of();
	assert_int_equal(count_of(text, "PROCESS "), 1);
	assert_non_null(strstr(text, "  100 python3       parent "));
	assert_non_null(strstr(text, "  101 \\x1b[2J\"x     child "));
	assert_non_null(strstr(text, "total 2 processes "));
	assert_null(strchr(text, '\033'));
	free(text);
}

/* Of a large family as many as have room, the shown one among them, and the totals. */
static void frames(void **state)
{
	struct dashboard_state ui;

	add(100, 1, 10);
	for (uint32_t i = 1; i < TARGETS; i++)
		add(100 + i, 100, 10 + i);
	dashboard_init(&ui, true, 1000);
	for (uint32_t shown = 0; shown < TARGETS; shown += 9) {
		for (unsigned int rows = 1; rows < 120; rows++) {
			_cleanup_(cells_freep) struct cells *cells = NULL;
			struct dashboard_layout layout;
			char *text = NULL, pid[24];
			size_t size;
			FILE *out;

			ui.target = shown + 1;
			dashboard_resize(&ui, rows, 100);
			dashboard_arrange(&ui, &snapshot, rows, 100, &layout);
			assert_int_equal(cells_new(rows, 100, true, &cells), 0);
			assert_int_equal(dashboard_render(&snapshot, &ui, cells), 0);
			if (!layout.processes.rows)
				continue;
			out = open_memstream(&text, &size);
			assert_int_equal(cells_print(cells, out), 0);
			fclose(out);
			snprintf(pid, sizeof(pid), "\n%5u python3 ", 100 + shown);
			assert_non_null(strstr(text, "total 64 processes"));
			if (layout.processes.rows > 2)
				assert_non_null(strstr(text, pid));
			/* The pools and their threads keep what they are there for. */
			assert_true(layout.tables[TABLE_POOLS].rows > 1);
			assert_true(layout.processes.rows <= rows / 4 + 1 || layout.header.rows == HEADER_LINES);
			free(text);
		}
	}
}

/* So many pools of a thread each, of which the first has more. */
static void fill_target(struct snapshot_target *target, size_t n_pools, size_t n_threads)
{
	static struct snapshot_pool many[40];
	static struct snapshot_thread threads[300];

	memset(many, 0, sizeof(many));
	memset(threads, 0, sizeof(threads));
	for (size_t i = 0; i < n_pools; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "pool-%02zu", i);
		many[i].parent = -1;
		many[i].threads = i ? 1 : n_threads;
		many[i].memory.net_grown_bytes = -(int64_t)i; /* sorted as they stand here */
	}
	for (size_t i = 0; i < n_threads + n_pools - 1; i++)
		threads[i] = (struct snapshot_thread){ .id = { (uint32_t)i + 1, i },
						       .pool = i < n_threads ? 0 : (uint32_t)(i - n_threads) + 1 };
	target->pools = many;
	target->n_pools = n_pools;
	target->threads_list = threads;
	target->n_threads_list = n_threads + n_pools - 1;
}

/* 24 lines for 8 pools of a thread each and a family of four: what one table does not need, the other has. */
static void no_row_is_hidden_beside_empty_lines(void **state)
{
	struct dashboard_layout layout;
	struct dashboard_state ui;

	add(100, 1, 10);
	fill_target(&targets[0], 8, 1);
	dashboard_init(&ui, true, 1000);
	ui.target = 1;
	dashboard_arrange(&ui, &snapshot, 24, 80, &layout);
	assert_int_equal(layout.tables[TABLE_POOLS].rows, 8 + 1);
	assert_true(layout.tables[TABLE_THREADS].rows >= 2);
	/* Of a pool that fills the screen each table has its half. */
	fill_target(&targets[0], 8, 200);
	dashboard_arrange(&ui, &snapshot, 24, 80, &layout);
	assert_true(layout.tables[TABLE_POOLS].rows <= 9 && layout.tables[TABLE_THREADS].rows >= 7);
	/* Another is selected, of one thread: the pools have what that one does not need. */
	dashboard_key(&ui, &snapshot, KEY_CURSOR_DOWN);
	dashboard_arrange(&ui, &snapshot, 24, 80, &layout);
	assert_int_equal(layout.tables[TABLE_POOLS].rows, 8 + 1);
	dashboard_init(&ui, true, 1000);
	ui.target = 1;
	fill_target(&targets[0], 1, 1);
	for (uint32_t i = 1; i < 4; i++)
		add(100 + i, 100, 10 + i);
	dashboard_arrange(&ui, &snapshot, 24, 80, &layout);
	assert_int_equal(layout.processes.rows, 4 + 2);
	assert_int_equal(layout.tables[TABLE_POOLS].rows, 2);
}

/* Whatever a family, its pools and their threads are: lines stay empty only where every row is shown. */
static void all_lines_are_used(void **state)
{
	struct dashboard_state ui;

	dashboard_init(&ui, true, 1000);
	for (uint32_t n_targets = 1; n_targets < 16; n_targets += 3)
		for (size_t i = 0; i < 8 * 6 * 2; i++) {
			static const size_t thread_counts[] = { 1, 2, 6, 7, 8, 200 };
			size_t n_pools = 1 + i % 8 * 5, n_threads = thread_counts[i / 8 % 6];

			begin(NULL);
			add(100, 1, 10);
			for (uint32_t child = 1; child < n_targets; child++)
				add(100 + child, 100, 10 + child);
			fill_target(&targets[0], n_pools, n_threads);
			ui.target = 1;
			ui.tables[TABLE_POOLS].chosen = false;
			if (i >= 8 * 6)
				dashboard_key(&ui, &snapshot, KEY_BOTTOM);
			for (unsigned int rows = 10; rows < 80; rows++) {
				size_t threads = i >= 8 * 6 && n_pools > 1 ? 1 : n_threads;
				struct dashboard_layout layout;
				bool hides;

				dashboard_arrange(&ui, &snapshot, rows, 80, &layout);
				hides = layout.tables[TABLE_POOLS].rows < n_pools + 1 ||
					(layout.processes.rows && layout.processes.rows < n_targets + 2);
				assert_int_equal(layout.tables[TABLE_THREADS].row + layout.tables[TABLE_THREADS].rows,
						 layout.bar.row);
				if (layout.tables[TABLE_THREADS].rows > threads + 1 && hides)
					fail_msg("%u lines, %u processes, %zu pools, %zu threads: %u, %u, %u", rows,
						 n_targets, n_pools, threads, layout.processes.rows,
						 layout.tables[TABLE_POOLS].rows, layout.tables[TABLE_THREADS].rows);
			}
		}
}

static void assert_shows(const struct dashboard_state *ui, const char *words)
{
	char *text = frame(&snapshot, ui);

	if (!strstr(text, words))
		fail_msg("no \"%s\" in\n%s", words, text);
	free(text);
}

/* A table that hides rows says which of how many it shows, and says so anew while one scrolls. */
static void what_is_hidden_is_told(void **state)
{
	struct dashboard_state ui;
	char *text;

	add(100, 1, 10);
	fill_target(&targets[0], 28, 9);
	dashboard_init(&ui, true, 1000);
	assert_shows(&ui, "\nPOOL 1-7/28 ");
	assert_shows(&ui, " NAME 1-6/9 ");
	dashboard_key(&ui, &snapshot, KEY_BOTTOM); /* of one thread: the pools have more room */
	assert_shows(&ui, "\nPOOL 16-28/28 ");
	dashboard_key(&ui, &snapshot, KEY_TOP);
	assert_shows(&ui, "\nPOOL 1-7/28 ");
	dashboard_resize(&ui, 60, 80);
	text = frame(&snapshot, &ui);
	assert_non_null(strstr(text, "\nPOOL   "));
	assert_non_null(strstr(text, " NAME   "));
	free(text);
	for (uint32_t i = 1; i < 12; i++)
		add(100 + i, 100, 10 + i);
	dashboard_resize(&ui, 24, 80);
	assert_shows(&ui, "  PID 1-3/12 ");
	ui.target = 12;
	assert_shows(&ui, "  PID 3-12/12 "); /* one pool of one thread: the processes have the rest */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(families, begin),
		cmocka_unit_test_setup(who_has_ended_comes_last, begin),
		cmocka_unit_test_setup(numbers_are_used_again, begin),
		cmocka_unit_test_setup(who_was_forked_by_one_that_has_ended, begin),
		cmocka_unit_test_setup(who_descends_from_one_that_is_not_kept, begin),
		cmocka_unit_test_setup(who_descends_from_a_child_that_was_asked_for, begin),
		cmocka_unit_test_setup(circles_end, begin),
		cmocka_unit_test_setup(totals, begin),
		cmocka_unit_test_setup(roles, begin),
		cmocka_unit_test_setup(readable_text, begin),
		cmocka_unit_test_setup(frames, begin),
		cmocka_unit_test_setup(no_row_is_hidden_beside_empty_lines, begin),
		cmocka_unit_test_setup(all_lines_are_used, begin),
		cmocka_unit_test_setup(what_is_hidden_is_told, begin),
	};

	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
