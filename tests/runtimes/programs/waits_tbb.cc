// SPDX-License-Identifier: GPL-2.0-only
// TBB's three workers in and out of tasks.
#include "waits.h"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

static tbb::task_arena *arena;

static void tasks_run(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		arena->enqueue([] { task(); });
}

static void tasks_end(void)
{
}

int main()
{
	tbb::global_control slots(tbb::global_control::max_allowed_parallelism, 4);
	tbb::task_arena all(4, 1);

	arena = &all;
	blocked = 3;
	command_in();
	command_out();
	return serve();
}
