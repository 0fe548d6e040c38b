/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the executors of one target, in order of their numbers. It must not know threads or pools. */
#include "executors.h"

#include <errno.h>
#include <string.h>

/* As many as a source tells; one that tells more is refused. */
#define EXECUTORS_MAX 1024U

void told_executors_clear(struct told_executors *executors)
{
	free(executors->executor);
	*executors = (struct told_executors){.refused = executors->refused};
}

/* The place of the first whose id is not smaller. */
static uint32_t place_of(const struct told_executors *executors, uint64_t id)
{
	return TABLE_PLACE(executors->executor, executors->count, fact.id, id);
}

struct told_executor *told_executors_find(const struct told_executors *executors, uint64_t id)
{
	uint32_t place = place_of(executors, id);

	return id && place < executors->count && executors->executor[place].fact.id == id
		       ? &executors->executor[place]
		       : NULL;
}

static bool is_same_name(const struct fact_executor *a, const struct fact_executor *b)
{
	return a->kind == b->kind && a->instance == b->instance && !strcmp(a->name, b->name) &&
	       !strcmp(a->function, b->function) && !strcmp(a->file, b->file);
}

static int executor_add(struct told_executors *executors, const struct fact_executor *fact)
{
	uint32_t place = place_of(executors, fact->id);

	if (executors->count == EXECUTORS_MAX) {
		executors->refused++;
		return 0;
	}
	if (TABLE_GROW(executors->executor, executors->count, executors->capacity, 8))
		return -ENOMEM;
	memmove(&executors->executor[place + 1], &executors->executor[place],
		(executors->count - place) * sizeof(*executors->executor));
	executors->executor[place] = (struct told_executor){.fact = *fact, .busy_peak = fact->busy};
	executors->count++;
	return 0;
}

int told_executors_apply(struct told_executors *executors, const struct fact_executor *fact,
			 bool *ret_renamed)
{
	struct told_executor *known = told_executors_find(executors, fact->id);
	bool renamed = known && !fact->gone && !is_same_name(&known->fact, fact);

	if (fact->gone) {
		if (known) {
			executors->count--;
			memmove(known, known + 1,
				(size_t)(&executors->executor[executors->count] - known) * sizeof(*known));
		}
	} else if (known) {
		known->fact = *fact;
		if (fact->busy != UNKNOWN_U64 &&
		    (known->busy_peak == UNKNOWN_U64 || fact->busy > known->busy_peak))
			known->busy_peak = fact->busy;
	} else {
		int r = executor_add(executors, fact);

		if (r < 0)
			return r;
	}
	*ret_renamed = renamed;
	return 0;
}
