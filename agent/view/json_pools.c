/* SPDX-License-Identifier: GPL-2.0-only */
/* The pools of a target as JSON. It must not know what else there is in the snapshot. */
#include "json_build.h"

/* null: it has no teams, or whose they are is not known. `bound` is of the largest so far, `threads` of those there are. */
static json_t *build_teams(const struct snapshot_pool *pool)
{
	if (pool->teams == UNKNOWN_U64)
		return json_null();
	struct builder object = builder_open();

	add(&object, "count", count(pool->teams));
	add(&object, "threads", count(pool->team_threads));
	add(&object, "bound", count(pool->team_bound));
	return object.object;
}

/* null: its size is not what its runtime makes of the number of CPUs, or the quota is not less. */
static json_t *build_fit(const struct snapshot_fit *fit)
{
	if (!fit->size)
		return json_null();
	struct builder object = builder_open();

	add(&object, "size", count(fit->size));
	add(&object, "unit", text(fit->unit));
	add(&object, "formula", text(fit->formula));
	add(&object, "fits", count(fit->fits));
	add(&object, "setting", text(fit->setting));
	return object.object;
}

/* null: it manages no processes. */
static json_t *build_processes(const struct snapshot_pool *pool)
{
	if (!pool->has_processes)
		return json_null();
	struct builder object = builder_open();

	add(&object, "count", count(pool->processes));
	add(&object, "max", count(pool->processes_max));
	add(&object, "pending_tasks", count(pool->processes_pending));
	return object.object;
}

/* null: nothing is advised. */
static json_t *build_right_size(const struct snapshot_right_size *size)
{
	if (!size->workers)
		return json_null();
	struct builder object = builder_open();

	add(&object, "workers", count(size->workers));
	add(&object, "frees_bytes", count(size->frees_bytes));
	add(&object, "observed_seconds", count(size->observed_seconds));
	add(&object, "looks", count(size->looks));
	add(&object, "busy_peak", count(size->busy_peak));
	add(&object, "busy_or_queued_peak", count(size->demand_peak));
	add(&object, "active_peak", count(size->active_peak));
	return object.object;
}

/* null: no runtime tells functions. */
static json_t *build_blame(const struct snapshot_pool *pool)
{
	if (pool->blame_unseen == UNKNOWN_U64)
		return json_null();
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < pool->n_blame; i++) {
		const struct snapshot_blame *blame = &pool->blame[i];
		struct builder object = builder_open();

		add(&object, "function", text(blame->function));
		add(&object, "file", text_or_null(blame->file));
		add(&object, "line", count_or_null(blame->line));
		add(&object, "bytes", count(blame->bytes));
		if (json_array_append_new(array, object.object))
			return NULL;
	}
	return TAKE_PTR(array);
}

static json_t *build_pool(const struct snapshot_target *target, const struct snapshot_pool *pool)
{
	const bool has_parent = pool->parent >= 0 && (size_t)pool->parent < target->n_pools;
	struct builder object = builder_open();

	add(&object, "name", text(pool->name));
	add(&object, "kind", text_or_null(pool->kind));
	add(&object, "runtime_threads", json_boolean(pool->is_runtimes_own));
	add(&object, "parent", has_parent ? text(target->pools[pool->parent].name) : json_null());
	add(&object, "teams", build_teams(pool));
	add(&object, "threads", count(pool->threads));
	add(&object, "threads_peak", count(pool->threads_peak));
	add(&object, "threads_started", count(pool->threads_started));
	add(&object, "threads_exited", count(pool->threads_exited));
	add(&object, "capacity", count(pool->capacity));
	add(&object, "parallelism", count(pool->parallelism));
	add(&object, "processes", build_processes(pool));
	add(&object, "cpu_fit", build_fit(&pool->fit));
	add(&object, "running", count(pool->running));
	add(&object, "running_mean", real(pool->running_mean));
	add(&object, "running_peak", count(pool->running_peak));
	add(&object, "page_faults", count(pool->faults_total));
	add(&object, "page_faults_per_second", count(pool->faults_per_second));
	add(&object, "busy", count(pool->busy));
	add(&object, "busy_peak", count(pool->busy_peak));
	add(&object, "queued", count(pool->queued));
	add(&object, "borrowed", count(pool->borrowed));
	add(&object, "right_size", build_right_size(&pool->right_size));
	add(&object, "memory", build_bytes(&pool->memory));
	add(&object, "thread_resident_bytes_mean", count(pool->thread_resident_mean));
	add(&object, "thread_resident_bytes_max", count(pool->thread_resident_max));
	add(&object, "growth_bytes_per_minute", difference(pool->growth_per_minute));
	add(&object, "blame", build_blame(pool));
	add(&object, "blame_other_bytes", count(pool->blame_other));
	add(&object, "blame_unseen_bytes", count(pool->blame_unseen));
	add(&object, "limits", build_limits(pool->limits, pool->n_limits));
	add(&object, "verdict", build_verdict(&pool->verdict));
	return object.object;
}

json_t *json_pools(const struct snapshot_target *target)
{
	_cleanup_(json_decrefp) json_t *array = json_array();

	for (size_t i = 0; i < target->n_pools; i++) {
		if (json_array_append_new(array, build_pool(target, &target->pools[i])))
			return NULL;
	}
	return TAKE_PTR(array);
}
