/* SPDX-License-Identifier: GPL-2.0-only */
/* The fixture's dashboard as text, and what it shows of growth by function. It must not know what a test expects of it. */
#ifndef POOLSCOPE_TESTS_FIXTURE_FRAME_H
#define POOLSCOPE_TESTS_FIXTURE_FRAME_H

#include "fixture_snapshot.h"
#include "view/dashboard.h"

static inline char *frame(const struct snapshot *snapshot, const struct dashboard_state *ui)
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

/* Who grew under what: one pool with a hostile function, one that was hardly seen. */
static inline void blame_pools(struct fixture *fixture)
{
	static struct snapshot_blame anyio[] = {
		{ "predict", "app.py", 42, FIXTURE_MIB(1900) },
		{ "Cache.load", "cache.py", 7, FIXTURE_MIB(60) },
		{ "\033[2J\n\xff<lambda>", "", 0, FIXTURE_MIB(2) },
	};
	static struct snapshot_blame executor[] = { { "resize", "__init__.py", 0, FIXTURE_MIB(20) } };

	fixture->targets[0].runtime.passes = 9;
	for (size_t i = 0; i < FIXTURE_POOLS; i++)
		fixture->pools[i].blame_other = fixture->pools[i].blame_unseen = 0;
	fixture->pools[FIXTURE_ANYIO].blame = anyio;
	fixture->pools[FIXTURE_ANYIO].n_blame = ARRAY_SIZE(anyio);
	fixture->pools[FIXTURE_ANYIO].blame_other = FIXTURE_MIB(6);
	fixture->pools[FIXTURE_ANYIO].blame_unseen = FIXTURE_MIB(80);
	fixture->pools[FIXTURE_EXECUTOR].blame = executor;
	fixture->pools[FIXTURE_EXECUTOR].n_blame = ARRAY_SIZE(executor);
	fixture->pools[FIXTURE_EXECUTOR].blame_unseen = FIXTURE_MIB(30);
	fixture->pools[FIXTURE_OPENMP].blame_unseen = FIXTURE_MIB(12);
}

#endif
