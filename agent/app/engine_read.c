/* SPDX-License-Identifier: GPL-2.0-only */
/* What a refresh reads of each target: its runtime, page tables, counters, what malloc keeps. It must not know when a
 * refresh is due, nor what becomes of the figures. */
#include "../boottime.h"
#include "engine_inside.h"

#include <errno.h>

/* Of each further reading twice as much may have moved meanwhile: of those that map all the time some always has, and a
 * reading that was interrupted is worse than the one before. */
#define TOLERANCE_MAX 32
/* For all targets together: births of those that are settled wait so long, and their limits are judged by these. */
#define SETTLE_NS (20 * NSEC_PER_MSEC)

static bool gives_way(const struct engine *engine)
{
	return engine->options.gives_way && engine->options.gives_way();
}

static size_t keep_changed(struct span *spans, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (spans[i].changed)
			spans[kept++] = spans[i];
	return kept;
}

/* moved: nothing else than what has changed since it was read last. */
static int read_page_tables(struct engine *engine, struct watched *watched, bool moved)
{
	struct fact_sink holder = {.emit = held_emit, .context = &engine->held};
	_cleanup_(freep) struct span *spans = NULL;
	uint64_t started = thread_cputime(), spent;
	size_t count = 0;
	bool all = false;
	int error;

	if (!watched->residency)
		return 0;
	error = model_spans(engine->model, watched->id, &spans, &count);
	if (error)
		return error;
	if (moved)
		count = keep_changed(spans, count);
	error = residency_pass(watched->residency, spans, count, watched->budget_ns, &holder, &all);
	watched->was_read |= all && !moved;
	spent = thread_cputime() - started;
	if (watched->budget_ns)
		watched->budget_ns = watched->budget_ns > spent ? watched->budget_ns - spent : 1;
	return error;
}

/* The first reading is what growth is measured against: it is whole, whatever it costs. 0: without bound. */
static uint64_t page_budget(const struct engine *engine, const struct watched *watched, bool whole)
{
	double share = engine->options.cpu_budget / (double)engine->living;
	uint64_t budget = (uint64_t)((double)engine->options.interval_ns * share);

	return whole || !watched->was_read || share <= 0 ? 0 : budget ? budget : 1;
}

/* Memory that is mapped anew within the time of a reading is nobody's in it: who reads longer than such a block lives finds
 * none of them. So what moved is read again at once, alone, and the kernel's own figure with it. */
static int settle(struct engine *engine, struct watched *watched)
{
	struct fact_sink sink = engine_sink(engine), holder = {.emit = held_emit, .context = &engine->held};
	int error = 0;

	for (unsigned int tolerance = 1; tolerance <= TOLERANCE_MAX && !error && watched->budget_ns != 1; tolerance *= 2) {
		if (!model_has_moved(engine->model, watched->id, tolerance))
			break;
		engine->held.size = 0;
		error = read_page_tables(engine, watched, true);
		engine_events(engine);
		if (!error)
			error = procfs_memory(watched->procfs, watched->id, watched->info.pid, false, &holder);
		if (!error)
			error = held_tell(&engine->held, &sink);
	}
	return error == -ESRCH || error == -ENOENT ? 0 : error; /* it has ended meanwhile */
}

/* What is read of one target; it waits in `holder`. */
static int read_target(struct engine *engine, struct watched *watched, bool whole, const struct fact_sink *holder)
{
	struct fact_sink sink = engine_sink(engine);
	int error = watched_tell_runtime(watched, &sink);

	if (!error)
		error = watched_read_unread(watched, whole, &sink);
	watched->budget_ns = page_budget(engine, watched, whole);
	/* The kernel's own figure is read next to the page tables, so that they can agree. */
	if (!error)
		error = read_page_tables(engine, watched, false);
	if (!error || error == -ESRCH)
		error = watched_sample(watched, whole, holder);
	if (!error)
		error = watched_read_kept(watched, whole, holder);
	return error == -ESRCH || error == -ENOENT ? 0 : error;
}

int engine_read(struct engine *engine, bool whole)
{
	struct fact_sink sink = engine_sink(engine), holder = {.emit = held_emit, .context = &engine->held};
	int error = 0;

	engine->held.size = 0;
	for (size_t i = 0; i < engine->watched.count && !error; i++) {
		struct watched *watched = engine->watched.watched[i];

		watched->runtime_share = engine->options.cpu_budget / (double)engine->living;
		error = gives_way(engine) ? -EINTR : read_target(engine, watched, whole, &holder);
	}
	if (error)
		return error;
	engine_events(engine);
	return held_tell(&engine->held, &sink);
}

int engine_settle(struct engine *engine)
{
	uint64_t until = boottime() + SETTLE_NS;
	int error = 0;

	for (size_t i = 0; i < engine->watched.count && !error; i++) {
		struct watched *watched = engine->watched.watched[i];

		if (boottime() < until)
			error = gives_way(engine) ? -EINTR : settle(engine, watched);
		watched->settled = true;
	}
	return error;
}
