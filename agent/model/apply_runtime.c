/* SPDX-License-Identifier: GPL-2.0-only */
/* Applies what a language runtime tells: executors, whose worker a thread is, what it does. It must not know
 * how pools are named, nor what is computed at a refresh but for the executors' part. */
#include "model_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static void end_text(char *text, size_t size)
{
	text[size - 1] = '\0';
}

/* One that failed told nothing. */
static uint64_t passes_told(const struct fact_runtime *runtime)
{
	return runtime->passes - runtime->failed_passes;
}

int apply_runtime(struct model *model, struct target *target, const struct fact *fact)
{
	bool is_told = passes_told(&fact->runtime) != passes_told(&target->runtime);

	if (is_told)
		target->runtime_told_ns = fact->time_ns;
	target->runtime = fact->runtime;
	if ((unsigned int)target->runtime.role >= PROCESS_ROLE_COUNT)
		target->runtime.role = PROCESS_ROLE_NONE;
	end_text(target->runtime.name, sizeof(target->runtime.name));
	if (*target->runtime.name)
		memcpy(target->info.runtime, target->runtime.name, sizeof(target->info.runtime));
	if (is_told)
		target_count_unread(model, target, fact->time_ns);
	return 0;
}

int apply_executor(struct model *model, struct target *target, const struct fact *fact)
{
	struct fact_executor told = fact->executor;
	bool renamed;
	int r;

	if (!told.id || (unsigned int)told.kind >= EXECUTOR_KIND_COUNT)
		return -EINVAL;
	end_text(told.name, sizeof(told.name));
	end_text(told.function, sizeof(told.function));
	end_text(told.file, sizeof(told.file));
	if (!told.gone && !*told.name && !*told.function)
		return -EINVAL;
	r = told_executors_apply(&target->executors, &told, &renamed);
	if (r < 0)
		return r;
	for (uint32_t i = 0; renamed && i < target->threads.n_slots; i++) {
		struct thread *thread = &target->threads.thread[i];

		if (thread->living && thread->executor == told.id)
			thread_recognise(model, target, thread, told.id, fact->time_ns);
	}
	return 0;
}

int apply_worker(struct model *model, struct target *target, const struct fact *fact)
{
	struct fact_worker told = fact->worker;
	struct thread *thread;
	uint64_t executor;

	if (!told.id.tid || (unsigned int)told.activity > WORKER_BUSY)
		return -EINVAL;
	thread = threads_find(&target->threads, told.id);
	if (!thread)
		return 0;
	end_text(told.function, sizeof(told.function));
	end_text(told.file, sizeof(told.file));
	thread->activity = told.activity;
	thread->function = functions_number(&target->functions, told.function, told.file);
	thread->line = told.line;
	executor = told_executors_find(&target->executors, told.executor) ? told.executor : 0;
	thread_is_told(model, target, thread, executor, fact->time_ns);
	return 0;
}

int apply_activity(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->activity.id);

	if (!fact->activity.id.tid || (unsigned int)fact->activity.activity > WORKER_BUSY)
		return -EINVAL;
	if (!thread)
		return 0;
	thread->stands = fact->activity.activity;
	target->activity_told_ns = fact->time_ns;
	return 0;
}

int apply_blame(struct model *model, struct target *target, const struct fact *fact)
{
	struct fact_blame told = fact->blame;
	struct thread *thread = threads_find(&target->threads, told.who);
	uint32_t number;
	int r;

	end_text(told.function, sizeof(told.function));
	end_text(told.file, sizeof(told.file));
	if (!told.who.tid || !*told.function)
		return -EINVAL;
	if (!thread)
		return 0;
	r = blame_number(&target->blame, &told, &number);
	if (r == 0)
		range_map_blame(target->ranges, told.start, told.length, thread->owner, number);
	return r;
}

/* ---- at a refresh ------------------------------------------------------------------------------- */

static uint64_t sum_known(uint64_t sum, uint64_t value)
{
	return sum == UNKNOWN_U64 || value == UNKNOWN_U64 ? UNKNOWN_U64 : add_saturated(sum, value);
}

static void raise_known(uint64_t *peak, uint64_t value)
{
	if (value != UNKNOWN_U64 && (*peak == UNKNOWN_U64 || value > *peak))
		*peak = value;
}

static void count_thread(struct target *target, const struct thread *thread)
{
	struct told_executor *executor = told_executors_find(&target->executors, thread->executor);
	struct pool *pool = &target->pools.pool[thread->pool];
	enum worker_activity activity = thread_activity(thread);

	pool->had_activity |= thread->stands != WORKER_UNKNOWN;
	if (activity == WORKER_UNKNOWN)
		pool->busy = UNKNOWN_U64;
	else if (pool->busy != UNKNOWN_U64)
		pool->busy += activity == WORKER_BUSY;
	pool->has_others |= !executor || executor->fact.kind == EXECUTOR_THREAD;
	if (!executor)
		return;
	executor->is_split |= executor->pool != POOL_NONE && executor->pool != thread->pool;
	executor->pool = thread->pool;
}

/* Its thread is none of its workers: these are children. */
static void add_processes(struct pool *pool, const struct fact_executor *fact)
{
	if (!pool->has_processes)
		pool->processes = pool->processes_max = pool->processes_pending = 0;
	pool->has_processes = true;
	pool->processes = sum_known(pool->processes, fact->processes);
	pool->processes_max = sum_known(pool->processes_max, fact->capacity);
	pool->processes_pending = sum_known(pool->processes_pending, fact->queued);
	pool->n_executors++;
}

/* What an executor holds is its pool's where all of its workers are in that pool; several of one pool add up.
 */
static void add_executor(struct target *target, const struct told_executor *executor)
{
	struct pool *pool;

	if (executor->pool == POOL_NONE || executor->fact.kind == EXECUTOR_THREAD)
		return;
	pool = &target->pools.pool[executor->pool];
	if (executor->fact.kind == EXECUTOR_PROCESSES) {
		add_processes(pool, &executor->fact);
		return;
	}
	if (!pool->has_executors)
		pool->capacity = pool->queued = 0;
	if (executor->fact.kind == EXECUTOR_ANYIO)
		pool->borrowed = sum_known(pool->has_executors ? pool->borrowed : 0, executor->fact.borrowed);
	pool->only_executor = pool->has_executors || executor->is_split ? 0 : executor->fact.id;
	/* Several may be told between two refreshes; alone in its pool, an executor's peak is the pool's. */
	pool->executor_peak = pool->has_executors || executor->is_split ? UNKNOWN_U64 : executor->busy_peak;
	pool->has_executors = pool->had_executors = true;
	pool->n_executors++;
	if (executor->fact.may_have_more)
		pool->busy = UNKNOWN_U64;
	pool->capacity = sum_known(pool->capacity,
				   executor->is_split ? UNKNOWN_U64 : executor->fact.capacity);
	pool->queued = sum_known(pool->queued, executor->is_split ? UNKNOWN_U64 : executor->fact.queued);
}

/* What want of room has put together is no executor: what those in it hold is not all its. (Of a pool that is named by an
 * executor's threads, others are workers whose stacks were not reached.) */
static void figure_other(struct pool *pool)
{
	if (strcmp(pool->name, POOL_NAME_OTHER) != 0 || !pool->has_executors || !pool->has_others)
		return;
	pool->capacity = pool->queued = pool->borrowed = pool->executor_peak = UNKNOWN_U64;
	pool->only_executor = 0;
	pool->n_executors = 0;
}

static void forget_functions(struct target *target)
{
	struct functions *functions = &target->functions;
	_cleanup_(freep) bool *used = calloc(functions->count + 1, sizeof(*used));
	_cleanup_(freep) uint32_t *numbers = calloc(functions->count + 1, sizeof(*numbers));

	if (!used || !numbers)
		return;
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		if (target->threads.thread[i].living && target->threads.thread[i].function != FUNCTION_NONE)
			used[target->threads.thread[i].function] = true;
	}
	functions_keep(functions, used, numbers);
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		uint32_t *function = &target->threads.thread[i].function;

		if (*function != FUNCTION_NONE)
			*function = numbers[*function];
	}
}

/* What is older says nothing of now. */
#define STALE_SECONDS 30

bool target_activity_is_stale(const struct target *target)
{
	return target->activity_age_seconds > STALE_SECONDS;
}

static double age_of(uint64_t told_ns, uint64_t now_ns)
{
	return !told_ns ? NAN : now_ns > told_ns ? (double)(now_ns - told_ns) / NSEC_PER_SEC : 0;
}

static void figure_age(struct target *target, uint64_t now_ns)
{
	double runtime = age_of(target->runtime_told_ns, now_ns), activity = NAN;

	/* Told of each at each look; of those that have ended it is not. */
	for (uint32_t i = 0; i < target->threads.n_slots && isnan(activity); i++) {
		if (target->threads.thread[i].living && target->threads.thread[i].stands != WORKER_UNKNOWN)
			activity = age_of(target->activity_told_ns, now_ns);
	}
	target->activity_age_seconds = fmax(runtime, activity); /* of the two that are none NAN */
}

/* A reading that has not come since the last refresh is no look. */
static bool is_told_anew(struct target *target)
{
	uint64_t told = passes_told(&target->runtime);
	bool anew = told != target->runtime_told;

	target->runtime_told = told;
	return anew;
}

static void watch_busy(struct pool *pool, uint64_t now_ns)
{
	const struct busy_look look = {
		.time_ns = now_ns,
		.executor = pool->only_executor,
		.workers = pool->threads,
		.started = pool->started,
		.busy = pool->busy,
		.queued = pool->queued,
		.active = pool->active,
	};

	busy_watch_look(&pool->busy_watch, &look);
}

void target_figure_executors(struct target *target, uint64_t now_ns)
{
	bool is_look = is_told_anew(target);

	figure_age(target, now_ns);
	for (uint32_t i = 0; i < target->executors.count; i++) {
		target->executors.executor[i].pool = POOL_NONE;
		target->executors.executor[i].is_split = false;
	}
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		pool->has_executors = pool->has_processes = pool->has_others = false;
		pool->processes = pool->processes_max = pool->processes_pending = UNKNOWN_U64;
		pool->n_executors = 0;
		pool->only_executor = 0;
		pool->executor_peak = UNKNOWN_U64;
		pool->capacity = pool->queued = pool->borrowed = UNKNOWN_U64;
		pool->busy = 0;
	}
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		if (target->threads.thread[i].living && target->threads.thread[i].pool != POOL_NONE)
			count_thread(target, &target->threads.thread[i]);
	}
	for (uint32_t i = 0; i < target->executors.count; i++)
		add_executor(target, &target->executors.executor[i]);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		figure_other(pool);
		/* Without threads nobody is busy; but only where it was told who was. */
		if ((!pool->had_executors && !pool->had_activity) || target_activity_is_stale(target))
			pool->busy = UNKNOWN_U64;
		if (target_activity_is_stale(target))
			pool->queued = pool->borrowed = UNKNOWN_U64;
		raise_known(&pool->busy_peak, pool->busy);
		raise_known(&pool->busy_peak, pool->executor_peak);
		if (is_look)
			watch_busy(pool, now_ns);
	}
	if (functions_crowded(&target->functions))
		forget_functions(target);
}
