/* SPDX-License-Identifier: GPL-2.0-only */
/* The dashboard as frames: golden files at two sizes, every size without a crash, nothing hostile in any cell.
 * UPDATE_GOLDEN=1 writes the golden files anew; look at them before you commit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <signal.h>
#include <time.h>

#include "fixture_frame.h"
#include "golden.h"
#include "view/dashboard.h"
#include "view/escape.h"
#include "view/text.h"

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

/* What the rest of the screen can show: several targets, one ended; no UTF-8; losses; growth of files. */
static void test_golden_ended(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	struct dashboard_state ui;

	for (size_t i = 1; i < 3; i++) {
		fixture->targets[i] = *target;
		fixture->targets[i].id += (uint32_t)i;
		fixture->targets[i].info.pid += (uint32_t)i * 100;
	}
	fixture->snapshot.n_targets = 3;
	target->ended = true;
	target->end = (struct fact_target_gone){ TARGET_END_OOM_KILLED, SIGKILL, 1 };
	target->ended_realtime_ns = FIXTURE_AGO(2);
	target->reseeds = 1;
	target->reseed_age_seconds = 8.2;
	target->events_lost = 12;
	target->unattributed[UNATTRIBUTED_LOST] = FIXTURE_MIB(3.2);
	target->memory.swapped = FIXTURE_MIB(12);
	fixture->snapshot.lost[LOSS_RING] = 12;
	dashboard_init(&ui, false, 1000);
	snprintf(ui.waits_for, sizeof(ui.waits_for), "recsys-api.service");
	golden_frame("top_80x24_ended_ascii", &fixture->snapshot, &ui);
}

static void test_golden_help(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct dashboard_state ui;

	dashboard_init(&ui, true, 1000);
	dashboard_resize(&ui, 90, 120);
	dashboard_key(&ui, &fixture->snapshot, KEY_FUNCTION + 1);
	golden_frame("top_help", &fixture->snapshot, &ui);
	dashboard_resize(&ui, 90, 80); /* nothing is cut on the smallest usual screen */
	char *text = frame(&fixture->snapshot, &ui);

	assert_null(strstr(text, "…"));
	free(text);
}

static void test_golden_text(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(text_render(&fixture->snapshot, 132, out), 0);
	fputs("--- on leaving ---\n", out);
	assert_int_equal(text_render_summary(&fixture->snapshot, out), 0);
	fclose(out);
	compare_golden("dump", text);
	free(text);
}

/* Every cell holds a character that a terminal shows as one, or the right half of a wide one. */
static void check_cells(const struct cells *cells, bool utf8)
{
	for (unsigned int row = 0; row < cells->rows; row++)
		for (unsigned int column = 0; column < cells->columns; column++) {
			const struct cell *cell = cells_at(cells, row, column);

			assert_true(cell->attribute < ATTR_COUNT);
			if (!cell->character) {
				assert_true(column > 0 && character_width(cell[-1].character) == 2);
				continue;
			}
			assert_true(character_width(cell->character) > 0);
			assert_true(utf8 || cell->character < 0x7f);
		}
}

static void render_and_check(const struct snapshot *snapshot, struct dashboard_state *ui, unsigned int rows,
			     unsigned int columns)
{
	struct cells *cells = NULL;

	dashboard_resize(ui, rows, columns);
	assert_int_equal(cells_new(rows, columns, ui->utf8, &cells), 0);
	assert_int_equal(dashboard_render(snapshot, ui, cells), 0);
	check_cells(cells, ui->utf8);
	cells_free(cells);
}

static void test_every_size(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct dashboard_state ui;

	dashboard_init(&ui, true, 1000);
	snprintf(fixture->pools[FIXTURE_IO_URING].name, sizeof(fixture->pools->name), "日本語の長い名前-*");
	for (int mode = MODE_TABLES; mode <= MODE_WORDS; mode++) {
		ui.mode = (enum dashboard_mode)mode;
		for (unsigned int rows = 1; rows <= 100; rows += rows < 30 ? 1 : 14)
			for (unsigned int columns = 1; columns <= 400; columns += columns < 100 ? 3 : 37)
				render_and_check(&fixture->snapshot, &ui, rows, columns);
	}
}

/* Random keys at random sizes over snapshots that change: never a crash, never an unprintable cell. */
static void test_random_keys(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	struct snapshot empty = { .realtime_ns = FIXTURE_NOW };
	struct dashboard_state ui;
	unsigned int seed = 1;

	dashboard_init(&ui, *(bool *)*state, 1000);
	blame_pools(fixture);
	fixture->targets[1] = *target;
	fixture->targets[1].id = 2;
	for (int i = 0; i < 4000; i++) {
		int key = rand_r(&seed) % 3 ? KEY_CURSOR_UP + rand_r(&seed) % (KEY_FUNCTION_LAST - KEY_CURSOR_UP + 1)
					    : rand_r(&seed) % 300;
		const struct snapshot *snapshot = rand_r(&seed) % 50 ? &fixture->snapshot
						  : rand_r(&seed) % 2 ? &empty : NULL;

		target->n_pools = rand_r(&seed) % 10 ? FIXTURE_POOLS : (size_t)(rand_r(&seed) % FIXTURE_POOLS);
		target->n_threads_list = target->n_pools == FIXTURE_POOLS ? (size_t)(rand_r(&seed) % 54) : 0;
		fixture->snapshot.n_targets = 1 + (size_t)(rand_r(&seed) % 2);
		dashboard_key(&ui, snapshot, key);
		if (i % 4 == 0)
			render_and_check(snapshot, &ui, 5 + (unsigned int)(rand_r(&seed) % 60),
					 20 + (unsigned int)(rand_r(&seed) % 200));
	}
}

static void test_golden_blame(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct dashboard_state ui;

	blame_pools(fixture);
	dashboard_init(&ui, true, 1000);
	dashboard_resize(&ui, 30, 100);
	dashboard_key(&ui, &fixture->snapshot, 'b');
	golden_frame("top_blame", &fixture->snapshot, &ui);
}

static void test_blame_before_growth(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct dashboard_state ui;
	char *text;

	dashboard_init(&ui, true, 1000);
	dashboard_key(&ui, &fixture->snapshot, 'b');
	text = frame(&fixture->snapshot, &ui);
	assert_non_null(strstr(text, "Nothing has grown yet."));
	assert_null(strstr(text, "16.0E"));
	free(text);
}

/* Nothing is known: n/a everywhere, and no crash. */
static void test_unknown_everywhere(void **state)
{
	struct fixture *fixture = fixture_snapshot();
	struct snapshot_target *target = &fixture->targets[0];
	struct dashboard_state ui;
	char *text;

	target->memory = (struct fact_memory){ UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, 0 };
	target->cgroup = (struct fact_cgroup){ .memory_max = UNKNOWN_U64, .memory_current = UNKNOWN_U64, .oom_kills = UNKNOWN_U64,
					       .pids_max = UNKNOWN_U64, .is_memory_unread = true, .cpu_quota_cores = NAN,
					       .host_memory_total = UNKNOWN_U64 };
	target->growth_1m = target->growth_5m = UNKNOWN_I64;
	target->growth_anon = target->growth_file = target->growth_shmem = UNKNOWN_I64;
	target->seconds_to_memory_max = NAN;
	target->age_seconds = NAN;
	target->unexplained_bytes = UNKNOWN_I64;
	for (size_t i = 0; i < FIXTURE_POOLS; i++) {
		memset(fixture->pools[i].memory.resident, 0xff, sizeof(fixture->pools[i].memory.resident));
		fixture->pools[i].memory.resident_bytes = UNKNOWN_U64;
		fixture->pools[i].memory.net_grown_bytes = UNKNOWN_I64;
		fixture->pools[i].growth_per_minute = UNKNOWN_I64;
		fixture->pools[i].n_history = 0;
	}
	dashboard_init(&ui, true, 1000);
	dashboard_resize(&ui, 50, 200);
	text = frame(&fixture->snapshot, &ui);
	assert_non_null(strstr(text, "n/a/n/a"));
	assert_non_null(strstr(text, "Growth over 1 min n/a"));
	assert_null(strstr(text, "16.0E"));
	assert_null(strstr(text, "memory.max in about"));
	free(text);
	target->cgroup.is_memory_unread = false; /* there is none */
	text = frame(&fixture->snapshot, &ui);
	assert_non_null(strstr(text, "n/a/no max"));
	free(text);
}

int main(void)
{
	static bool yes = true, no = false;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_frames),
		cmocka_unit_test(test_golden_ended),
		cmocka_unit_test(test_golden_help),
		cmocka_unit_test(test_golden_text),
		cmocka_unit_test(test_every_size),
		cmocka_unit_test_prestate(test_random_keys, &yes),
		cmocka_unit_test_prestate(test_random_keys, &no),
		cmocka_unit_test(test_golden_blame),
		cmocka_unit_test(test_blame_before_growth),
		cmocka_unit_test(test_unknown_everywhere),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
