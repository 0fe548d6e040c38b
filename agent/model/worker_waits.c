/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether a worker waits for its next task or is in one, by the functions that it stands in. It must not know how they
 * were found, nor which pools exist. */
#include "worker_waits.h"

#include <fnmatch.h>
#include <string.h>

/* Theirs is what anybody waits by, and what a thread begins and ends in: they say nothing of tasks. */
static const char *const everybodys[] = {
	"libc.so.*", "libc-2.*.so", "libpthread.so.*", "libpthread-2.*.so", "ld-linux*", "ld-2.*.so", "ld-musl-*",
	"libstdc++.so*", "libc++.so*", "libgcc_s.so*", "[[]vdso]",
};

static bool is_everybodys(const char *module)
{
	for (size_t i = 0; i < ARRAY_SIZE(everybodys); i++)
		if (!fnmatch(everybodys[i], module, 0))
			return true;
	return false;
}

static bool matches(const char *glob, const char *text)
{
	return glob && *text && !fnmatch(glob, text, 0);
}

void wait_walk_begin(struct wait_walk *walk, const struct worker_waits *waits, const struct fact_routine *routine)
{
	*walk = (struct wait_walk){.waits = waits, .routine = routine};
}

static bool is_own(const struct wait_walk *walk, const struct fact_routine *frame)
{
	return walk->waits->module ? matches(walk->waits->module, frame->module)
				   : !strcmp(frame->module, walk->routine->module) &&
					     matches(walk->waits->function, frame->symbol);
}

static bool has_symbol(const struct fact_routine *routine)
{
	return *routine->symbol && !symbol_is_place(routine->symbol);
}

/* Without symbols any function of the file may be the one that the thread began in. */
static bool may_be_routine(const struct wait_walk *walk, const struct fact_routine *frame)
{
	return !walk->waits->module && !strcmp(frame->module, walk->routine->module) &&
	       (!has_symbol(frame) || !has_symbol(walk->routine) || !strcmp(frame->symbol, walk->routine->symbol));
}

/* A task may end in a jump into the C library, and has left no frame then: what it waits by tells it from the runtime. */
static bool is_own_call(const struct wait_walk *walk)
{
	return walk->waits->call ? walk->has_call && matches(walk->waits->call, walk->call) : !walk->has_call;
}

bool wait_walk_step(struct wait_walk *walk, const struct fact_routine *frame)
{
	if (is_everybodys(frame->module)) {
		walk->has_call = true;
		memcpy(walk->call, frame->symbol, sizeof(walk->call));
		return true;
	}
	/* What called anything of the file is not where the thread began. */
	if (!walk->has_candidate && is_own(walk, frame)) {
		if (!walk->has_own)
			walk->waits_elsewhere = !is_own_call(walk);
		walk->has_own = true;
		return true;
	}
	if (!walk->has_candidate && may_be_routine(walk, frame)) {
		walk->has_candidate = true;
		return true;
	}
	walk->activity = WORKER_BUSY;
	return false;
}

enum worker_activity wait_walk_end(const struct wait_walk *walk, bool is_whole)
{
	if (walk->activity == WORKER_BUSY)
		return WORKER_BUSY;
	if (!is_whole || !walk->has_own || walk->waits_elsewhere || (!walk->waits->module && !walk->has_candidate))
		return WORKER_UNKNOWN;
	return WORKER_IDLE;
}
