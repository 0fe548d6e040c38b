/* SPDX-License-Identifier: GPL-2.0-only */
/* Samples of who runs, counted for each pool from one refresh to the next. It must not know whether anybody is busy:
 * being on a CPU says nothing of that. */
#include "model_inside.h"

#include <errno.h>
#include <math.h>

int apply_thread_running(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->thread.id);
	struct pool *pool;
	uint32_t shown;

	if (!fact->thread.id.tid)
		return -EINVAL;
	if (!thread || fact->time_ns <= target->running_sampled_ns || fact->time_ns == thread->running_ns)
		return 0;
	shown = thread_shown_pool(target, thread);
	if (shown == POOL_NONE)
		return 0;
	thread->running_ns = fact->time_ns;
	pool = &target->pools.pool[shown];
	if (pool->running_ns != fact->time_ns) {
		pool->running_ns = fact->time_ns;
		pool->running_now = 0;
	}
	pool->running_now++;
	return 0;
}

static void pool_count(struct pool *pool, uint64_t running)
{
	pool->running_sum += running;
	if (running > pool->running_most)
		pool->running_most = running;
}

int apply_running_sampled(struct model *model, struct target *target, const struct fact *fact)
{
	if (fact->time_ns <= target->running_sampled_ns)
		return 0;
	target->running_sampled_ns = fact->time_ns;
	target->running_samples++;
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		pool_count(pool, pool->running_ns == fact->time_ns ? pool->running_now : 0);
	}
	return 0;
}

/* A pool that came between two samples had nobody running before: its mean is over all of them. */
void target_figure_running(struct target *target, bool is_sample)
{
	uint64_t samples = target->running_samples + is_sample;

	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		if (is_sample)
			pool_count(pool, pool->running);
		pool->running_mean = samples ? (double)pool->running_sum / (double)samples : NAN;
		pool->running_peak = samples ? pool->running_most : UNKNOWN_U64;
		pool->running_sum = pool->running_most = 0;
	}
	target->running_samples_shown = samples;
	target->running_samples = 0;
}
