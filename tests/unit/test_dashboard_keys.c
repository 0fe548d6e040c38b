/* SPDX-License-Identifier: GPL-2.0-only */
/* Keys of the dashboard: what each does to the state and to the frame. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>

#include "fixture_snapshot.h"
#include "view/dashboard.h"

static struct fixture *fixture;
static struct dashboard_state ui;

static int setup(void **state)
{
	fixture = fixture_snapshot();
	dashboard_init(&ui, true, 1000);
	return 0;
}

static enum dashboard_action press(int key)
{
	return dashboard_key(&ui, &fixture->snapshot, key);
}

static void type(const char *text)
{
	for (; *text; text++)
		press(*text);
}

/* The frame as text; the row that is painted as selected goes to `selected`. */
static char *frame(char *selected, size_t size)
{
	static char text[65536];
	struct cells *cells = NULL;
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_int_equal(cells_new(ui.rows, ui.columns, true, &cells), 0);
	assert_int_equal(dashboard_render(&fixture->snapshot, &ui, cells), 0);
	cells_print(cells, out);
	fclose(out);
	for (unsigned int row = 0; selected && row < cells->rows; row++)
		if (cells_at(cells, row, 0)->attribute == ATTR_SELECTED) {
			for (size_t i = 0; i < size - 1 && i < cells->columns; i++)
				selected[i] = (char)cells_at(cells, row, (unsigned int)i)->character;
			selected[size - 1] = '\0';
		}
	cells_free(cells);
	return text;
}

static void assert_selected(const char *begins)
{
	char selected[80] = "";

	frame(selected, sizeof(selected));
	if (strncmp(selected, begins, strlen(begins)))
		fail_msg("selected is \"%s\", not \"%s\"", selected, begins);
}

static void test_selection_moves_and_stays_at_its_row(void **state)
{
	assert_selected("anyio-worker-*");
	assert_int_equal(press(KEY_CURSOR_DOWN), DASHBOARD_REDRAW);
	assert_selected("libgomp");
	press(KEY_CURSOR_DOWN);
	assert_selected("main");
	/* Another pool overtakes all: the selection stays with main. */
	fixture->pools[FIXTURE_IO_URING].memory.net_grown_bytes = INT64_MAX;
	assert_selected("main");
	press(KEY_TOP);
	assert_selected("io_uring");
	press(KEY_CURSOR_UP);
	assert_selected("io_uring");
	press(KEY_BOTTOM);
	assert_selected("ThreadPool");
}

static void test_unmoved_selection_is_what_has_grown_most(void **state)
{
	assert_selected("anyio-worker-*");
	fixture->pools[FIXTURE_EXECUTOR].memory.net_grown_bytes = INT64_MAX;
	assert_selected("ThreadPoolEx");
}

static void test_a_selected_row_that_goes_leaves_its_place(void **state)
{
	press(KEY_BOTTOM);
	assert_selected("io_uring");
	fixture->targets[0].n_pools--;
	assert_selected("ThreadPool");
}

static void test_enter_moves_among_threads(void **state)
{
	press(KEY_RETURN);
	assert_int_equal(ui.focus, TABLE_THREADS);
	assert_selected(" 4719 anyio-worker-7");
	press(KEY_PAGE_DOWN);
	press(KEY_BOTTOM);
	press(KEY_CURSOR_UP);
	assert_selected(" 4740");
	press(KEY_ESCAPE);
	assert_int_equal(ui.focus, TABLE_POOLS);
	assert_selected("anyio-worker-*");
}

/* With tids that are reused, another thread under the same tid is not the selected one. */
static void test_thread_is_known_by_tid_and_start(void **state)
{
	press(KEY_RETURN);
	press(KEY_CURSOR_DOWN);
	assert_selected(" 4729");
	for (size_t i = 0; i < fixture->targets[0].n_threads_list; i++)
		if (fixture->threads[i].id.tid == 4729) {
			fixture->threads[i].id.start_ns += NSEC_PER_SEC;
			fixture->threads[i].memory.resident_bytes = 1;
		}
	assert_selected(" 4739"); /* its place */
}

/* Attached late nothing has grown: the largest comes first, not the first of the alphabet. */
static void test_equals_by_size(void **state)
{
	for (size_t i = 0; i < fixture->targets[0].n_pools; i++) {
		fixture->pools[i].memory.net_grown_bytes = 0;
		fixture->pools[i].memory.resident_bytes = FIXTURE_MIB(i == FIXTURE_EXECUTOR ? 900 : 1 + i);
	}
	assert_selected("ThreadPoolEx");
}

static void test_sort_menu(void **state)
{
	press(KEY_FUNCTION + 6);
	assert_int_equal(ui.mode, MODE_SORT);
	assert_non_null(strstr(frame(NULL, 0), "Sort by"));
	press(KEY_TOP);
	press(KEY_RETURN);
	assert_int_equal(ui.mode, MODE_TABLES);
	press(KEY_TOP);
	assert_selected("\\x1b[2J"); /* by name */
	press('I');
	press(KEY_TOP);
	assert_selected("main");
	press('>');
	press(KEY_ESCAPE);
	assert_int_equal(ui.mode, MODE_TABLES);
	press('M');
	press(KEY_TOP);
	assert_selected("anyio-worker-*");
}

static void test_search(void **state)
{
	press('/');
	type("GOMP");
	assert_selected("libgomp");
	press(KEY_ERASE);
	assert_string_equal(ui.input, "GOM");
	type("nothing");
	assert_non_null(strstr(frame(NULL, 0), "nothing found"));
	press(KEY_RETURN);
	press('/');
	type("o");
	assert_selected("libgomp"); /* it matches already */
	press(KEY_FUNCTION + 3);
	assert_selected("ThreadPoolEx");
	press(KEY_ESCAPE);
	assert_selected("ThreadPoolEx");
	assert_int_equal(ui.mode, MODE_TABLES);
}

static void test_filter(void **state)
{
	press(KEY_FUNCTION + 4);
	type("exec");
	press(KEY_RETURN);
	assert_selected("ThreadPoolEx");
	assert_null(strstr(frame(NULL, 0), "\nanyio-worker-*"));
	press('\\');
	type("zzz");
	assert_non_null(strstr(frame(NULL, 0), "nothing matches the filter"));
	for (int i = 0; i < 3; i++)
		press(KEY_ERASE);
	press(KEY_RETURN);
	assert_selected("ThreadPoolEx");
	press('\\');
	press(KEY_ESCAPE); /* as in htop: no filter */
	assert_non_null(strstr(frame(NULL, 0), "\nanyio-worker-*"));
}

static void test_q_is_text_while_one_types(void **state)
{
	press('/');
	assert_int_equal(press('q'), DASHBOARD_REDRAW);
	assert_string_equal(ui.input, "q");
}

static void test_threads_on_and_off(void **state)
{
	assert_non_null(strstr(frame(NULL, 0), "TID"));
	press('t');
	assert_null(strstr(frame(NULL, 0), "TID"));
	press(KEY_RETURN);
	assert_non_null(strstr(frame(NULL, 0), "TID"));
}

static void test_words_on_and_off(void **state)
{
	assert_null(strstr(frame(NULL, 0), "At capacity"));
	press(KEY_FUNCTION + 2);
	assert_non_null(strstr(frame(NULL, 0), "At capacity"));
}

static void assert_frame(const char *words, bool is_there)
{
	const char *text = frame(NULL, 0);

	if (!strstr(text, words) == is_there)
		fail_msg("\"%s\" is %s in\n%s", words, is_there ? "missing" : "there", text);
}

/* More than the half of the screen: on a screen of their own, that scrolls; a key of another mode closes it. */
static void test_many_words_fill_the_screen(void **state)
{
	static struct snapshot_unmatched unmatched[40];

	for (size_t i = 0; i < ARRAY_SIZE(unmatched); i++)
		snprintf(unmatched[i].pool, sizeof(unmatched->pool), "absent-%02zu", i);
	fixture->targets[0].unmatched = unmatched;
	fixture->targets[0].n_unmatched = ARRAY_SIZE(unmatched);
	press(KEY_FUNCTION + 2);
	assert_int_equal(ui.mode, MODE_WORDS);
	assert_frame("OVER anyio-worker-*", true);
	assert_frame("PgDnMore EscBack", true);
	assert_frame("absent-39", false);
	assert_frame("more: F2", false);
	press(KEY_PAGE_DOWN);
	assert_frame("OVER anyio-worker-*", false);
	assert_frame("PgDnMore PgUpUp EscBack", true);
	press(KEY_BOTTOM);
	assert_frame("\nPgUpUp EscBack", true);
	assert_frame("At capacity", true);
	assert_frame("absent-39", true);
	press(KEY_CURSOR_UP);
	press(KEY_TOP);
	assert_frame("OVER anyio-worker-*", true);
	press(KEY_FUNCTION + 6);
	assert_int_equal(ui.mode, MODE_SORT);
	assert_frame("Sort by", true);
	press(KEY_ESCAPE);
	press('l');
	press(KEY_FUNCTION + 2);
	assert_int_equal(ui.mode, MODE_TABLES);
	assert_frame("more: F2", true);
	/* They became fewer, or the screen larger: above the tables; then more again. */
	fixture->targets[0].n_unmatched = 0;
	press(KEY_FUNCTION + 2);
	assert_int_equal(ui.mode, MODE_TABLES);
	assert_frame("F2 again: the worst of it alone", true);
	press(KEY_FUNCTION + 6);
	assert_frame("Sort by", true);
	press(KEY_ESCAPE);
	fixture->targets[0].n_unmatched = ARRAY_SIZE(unmatched);
	assert_frame("more: F2", true);
	press(KEY_FUNCTION + 2);
	assert_int_equal(ui.mode, MODE_WORDS);
	assert_int_equal(dashboard_key(&ui, NULL, KEY_PAGE_DOWN), DASHBOARD_REDRAW);
}

static void test_actions(void **state)
{
	assert_int_equal(press('q'), DASHBOARD_QUIT);
	assert_int_equal(press(KEY_FUNCTION + 10), DASHBOARD_QUIT);
	assert_int_equal(press('w'), DASHBOARD_WRITE_SNAPSHOT);
	assert_int_equal(dashboard_key(&ui, NULL, 'w'), DASHBOARD_NONE);
	assert_int_equal(press(' '), DASHBOARD_PAUSE);
	assert_true(ui.paused);
	assert_non_null(strstr(frame(NULL, 0), "PAUSED"));
	assert_int_equal(press('Z'), DASHBOARD_PAUSE);
	assert_false(ui.paused);
	assert_int_equal(press('+'), DASHBOARD_INTERVAL);
	assert_int_equal(ui.refresh_ms, 2000);
	assert_non_null(strstr(frame(NULL, 0), "a refresh every 2 s"));
	press('-');
	assert_int_equal(press('-'), DASHBOARD_INTERVAL);
	assert_int_equal(ui.refresh_ms, 500);
	for (int i = 0; i < 20; i++)
		press('-');
	assert_int_equal(ui.refresh_ms, 100);
}

static void test_message_goes_with_the_next_key(void **state)
{
	dashboard_say(&ui, "written to %s", "here.json");
	assert_non_null(strstr(frame(NULL, 0), "written to here.json"));
	press('X');
	assert_null(strstr(frame(NULL, 0), "written to"));
}

static void test_help_scrolls_to_its_end(void **state)
{
	press('?');
	assert_non_null(strstr(frame(NULL, 0), "this help"));
	for (int i = 0; i < 10; i++)
		press(KEY_PAGE_DOWN);
	assert_non_null(strstr(frame(NULL, 0), "and stops."));
	press('q');
	assert_int_equal(ui.mode, MODE_TABLES);
}

/* On the smallest screen nothing of the help is cut, and all of it can be reached. */
static void test_help_is_whole_on_a_small_screen(void **state)
{
	size_t lines = 0;

	dashboard_resize(&ui, 10, 40);
	press('?');
	assert_frame("again: the next", true);
	for (size_t before = SIZE_MAX; ui.cursor != before; lines++) {
		char *text = frame(NULL, 0);

		before = ui.cursor;
		*strrchr(text, '\n') = '\0';
		if (strstr(strchr(text, '\n'), "…"))
			fail_msg("cut: %s", text);
		press(KEY_CURSOR_DOWN);
	}
	assert_true(lines > 100);
	assert_frame("\n stops.\n", true);
	press('b');
	assert_int_equal(ui.mode, MODE_BLAME);
	press(KEY_BOTTOM);
	assert_frame(" seen.\n", true);
}

static void test_blame_fills_the_screen_and_goes(void **state)
{
	assert_int_equal(press('b'), DASHBOARD_REDRAW);
	assert_non_null(strstr(frame(NULL, 0), "Under which functions the pools grew"));
	for (int i = 0; i < 10; i++)
		press(KEY_PAGE_DOWN);
	press(KEY_TOP);
	assert_non_null(strstr(frame(NULL, 0), "Under which functions the pools grew"));
	press(KEY_FUNCTION + 1); /* help is a key away from everywhere */
	assert_int_equal(ui.mode, MODE_HELP);
	press(KEY_ESCAPE);
	assert_int_equal(ui.mode, MODE_TABLES);
	/* Without a target there is nothing to show. */
	assert_int_equal(dashboard_key(&ui, NULL, 'b'), DASHBOARD_NONE);
	assert_int_equal(ui.mode, MODE_TABLES);
}

static void test_tab_goes_round_the_targets(void **state)
{
	assert_int_equal(press(KEY_TAB), DASHBOARD_NONE); /* only one */
	for (uint32_t i = 1; i < 3; i++) {
		fixture->targets[i] = fixture->targets[0];
		fixture->targets[i].id = i + 1;
		fixture->targets[i].info.pid = 5000 + i;
	}
	fixture->snapshot.n_targets = 3;
	press(KEY_TAB);
	assert_non_null(strstr(frame(NULL, 0), "recsys-api  PID 5001"));
	press(KEY_TAB);
	press(KEY_TAB);
	assert_non_null(strstr(frame(NULL, 0), "recsys-api  PID 4711"));
	press(KEY_TAB_BACK);
	assert_non_null(strstr(frame(NULL, 0), "recsys-api  PID 5002"));
	/* The one that is shown goes: another takes its place. */
	fixture->snapshot.n_targets = 2;
	assert_non_null(strstr(frame(NULL, 0), "recsys-api  PID 4711"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_selection_moves_and_stays_at_its_row, setup),
		cmocka_unit_test_setup(test_unmoved_selection_is_what_has_grown_most, setup),
		cmocka_unit_test_setup(test_a_selected_row_that_goes_leaves_its_place, setup),
		cmocka_unit_test_setup(test_enter_moves_among_threads, setup),
		cmocka_unit_test_setup(test_thread_is_known_by_tid_and_start, setup),
		cmocka_unit_test_setup(test_equals_by_size, setup),
		cmocka_unit_test_setup(test_sort_menu, setup),
		cmocka_unit_test_setup(test_search, setup),
		cmocka_unit_test_setup(test_filter, setup),
		cmocka_unit_test_setup(test_q_is_text_while_one_types, setup),
		cmocka_unit_test_setup(test_threads_on_and_off, setup),
		cmocka_unit_test_setup(test_words_on_and_off, setup),
		cmocka_unit_test_setup(test_many_words_fill_the_screen, setup),
		cmocka_unit_test_setup(test_actions, setup),
		cmocka_unit_test_setup(test_message_goes_with_the_next_key, setup),
		cmocka_unit_test_setup(test_help_scrolls_to_its_end, setup),
		cmocka_unit_test_setup(test_help_is_whole_on_a_small_screen, setup),
		cmocka_unit_test_setup(test_blame_fills_the_screen_and_goes, setup),
		cmocka_unit_test_setup(test_tab_goes_round_the_targets, setup),
	};

	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
