/* SPDX-License-Identifier: GPL-2.0-only */
/* All processes of one name as one: gauges summed over the living, counters that keep what ended processes
 * counted. It must not know threads or ranges. */
#include "model_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define GROUP_POOLS_MAX 512

static struct ended_pool *group_pool(struct model *model, struct group *group, const char *name, const char *kind)
{
	for (uint32_t i = 0; i < group->n_pools; i++) {
		if (!strcmp(group->pool[i].name, name))
			return &group->pool[i];
	}
	if (group->n_pools >= GROUP_POOLS_MAX && strcmp(name, POOL_NAME_OTHER) != 0) {
		model->ended_pools_dropped++;
		return group_pool(model, group, POOL_NAME_OTHER, "");
	}
	if (TABLE_GROW(group->pool, group->n_pools, group->capacity, 8))
		return NULL;
	struct ended_pool *pool = &group->pool[group->n_pools++];

	*pool = (struct ended_pool){.kind = kind};
	text_copy(pool->name, sizeof(pool->name), name);
	return pool;
}

static void violations_add(bool *limited, uint64_t *violations, const bool *of_limited, const uint64_t *of)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		limited[kind] |= of_limited[kind];
		violations[kind] += of[kind];
	}
}

/* What the group counted is the other's from now on. */
static void group_fold(struct model *model, struct group *group, struct group *into)
{
	into->processes_started += group->processes_started;
	violations_add(into->limited, into->violations, group->limited, group->violations);
	for (uint32_t i = 0; i < group->n_pools; i++) {
		const struct ended_pool *pool = &group->pool[i];
		struct ended_pool *kept = group_pool(model, into, pool->name, pool->kind);

		if (!kept)
			continue;
		kept->started += pool->started;
		kept->exited += pool->exited;
		kept->faults = add_saturated(kept->faults, pool->faults);
		violations_add(kept->limited, kept->violations, pool->limited, pool->violations);
	}
	free(group->pool);
	*group = (struct group){.n_pools = 0};
}

static void group_begin(const struct model *model, struct group *group, const char *name)
{
	const struct policy *policy = model->options.policy;

	*group = (struct group){.n_pools = 0};
	text_copy(group->name, sizeof(group->name), name);
	for (size_t i = 0; i < policy->n_entries; i++)
		group->is_configs |= !strcmp(policy->entries[i].name, group->name);
}

/* Whose last process has ended first. What the user gave a name in the config keeps it: such a service may be about to
 * come back, and there are no more of them than the user wrote down. */
static uint32_t group_to_give_way(const struct model *model)
{
	uint32_t found = GROUP_NONE;

	for (uint32_t i = 0; i < model->n_groups; i++) {
		const struct group *group = &model->group[i];

		if (group->n_targets || group->is_configs || !strcmp(group->name, POOL_NAME_OTHER))
			continue;
		if (found == GROUP_NONE || group->emptied_as < model->group[found].emptied_as)
			found = i;
	}
	return found;
}

int model_group(struct model *model, const char *name, uint32_t *ret_group)
{
	uint32_t other, place;
	int r;

	for (uint32_t i = 0; i < model->n_groups; i++) {
		if (!strcmp(model->group[i].name, name)) {
			*ret_group = i;
			return 0;
		}
	}
	if (model->n_groups < PROCESS_NAMES_MAX || !strcmp(name, POOL_NAME_OTHER)) {
		if (TABLE_GROW(model->group, model->n_groups, model->group_capacity, 4))
			return -ENOMEM;
		*ret_group = model->n_groups++;
		group_begin(model, &model->group[*ret_group], name);
		return 0;
	}
	r = model_group(model, POOL_NAME_OTHER, &other);
	if (r < 0)
		return r;
	model->names_dropped++;
	place = group_to_give_way(model);
	if (place == GROUP_NONE) {
		*ret_group = other;
		return 0;
	}
	group_fold(model, &model->group[place], &model->group[other]);
	group_begin(model, &model->group[place], name);
	*ret_group = place;
	return 0;
}

void group_enter(struct model *model, struct target *target, uint32_t group)
{
	target->group = group;
	model->group[group].n_targets++;
	model->group[group].processes_started++;
}

static void group_leave(struct model *model, uint32_t group)
{
	model->group[group].n_targets--;
	model->group[group].emptied_as = ++model->leavings;
}

void group_change(struct model *model, struct target *target, uint32_t group)
{
	if (target->former_group == GROUP_NONE)
		target->former_group = target->group;
	else
		group_leave(model, target->group);
	group_enter(model, target, group);
}

static void violations_move(struct limit_track *tracks, bool *limited, uint64_t *violations, bool keep)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		if (!tracks[kind].rule || (tracks[kind].max == UNKNOWN_U64 && !tracks[kind].violations))
			continue;
		limited[kind] = true;
		violations[kind] += tracks[kind].violations;
		if (!keep)
			tracks[kind].violations = 0;
	}
}

void group_retire(struct model *model, struct target *target)
{
	bool is_former = target->former_group != GROUP_NONE;
	struct group *group = &model->group[is_former ? target->former_group : target->group];

	violations_move(target->limits, group->limited, group->violations, target->ended);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];
		struct ended_pool *kept;

		if (!pool_is_listed(pool))
			continue;
		kept = group_pool(model, group, pool->name, pool->kind);
		if (!kept)
			continue;
		kept->started += pool->started > pool->started_told ? pool->started : pool->started_told;
		kept->exited += pool->exited;
		kept->faults = add_saturated(kept->faults, pool->faults);
		violations_move(pool->limits, kept->limited, kept->violations, target->ended);
		/* The target goes on elsewhere: what it counted here must not be counted again. */
		if (!target->ended)
			pool->started = pool->started_told = pool->exited = pool->faults = 0;
	}
	if (is_former)
		group_leave(model, target->former_group);
	target->former_group = GROUP_NONE;
	if (target->ended)
		group_leave(model, target->group);
}

static void add_known(uint64_t *sum, uint64_t value)
{
	*sum = *sum == UNKNOWN_U64 || value == UNKNOWN_U64 ? UNKNOWN_U64 : add_saturated(*sum, value);
}

static void keep_largest(uint64_t *largest, uint64_t value)
{
	if (value != UNKNOWN_U64 && value > *largest)
		*largest = value;
}

static struct snapshot_group_limit *group_limit(struct snapshot_group_limit *limits, size_t *n_limits,
						enum limit_kind kind)
{
	for (size_t i = 0; i < *n_limits; i++) {
		if (limits[i].kind == kind)
			return &limits[i];
	}
	limits[*n_limits] = (struct snapshot_group_limit){.kind = kind, .used_ratio = NAN};
	return &limits[(*n_limits)++];
}

static void add_kept_limits(struct snapshot_group_limit *limits, size_t *n_limits, const bool *limited,
			    const uint64_t *violations)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		if (limited[kind])
			group_limit(limits, n_limits, kind)->violations += violations[kind];
	}
}

static void add_limits(struct snapshot_group_limit *limits, size_t *n_limits, const struct snapshot_limit *of,
		       size_t n_of)
{
	for (size_t i = 0; i < n_of; i++) {
		struct snapshot_group_limit *limit;
		double ratio = of[i].value == UNKNOWN_U64 || of[i].max == UNKNOWN_U64 || !of[i].max
				       ? NAN
				       : (double)of[i].value / (double)of[i].max;

		/* What was never judged is not "not over". */
		if (!snapshot_limit_is_judged(&of[i]) && !of[i].violations)
			continue;
		limit = group_limit(limits, n_limits, of[i].kind);
		if (isnan(limit->used_ratio) || ratio > limit->used_ratio)
			limit->used_ratio = ratio;
		limit->over |= of[i].state == LIMIT_OVER;
		limit->violations += of[i].violations;
	}
}

/* Finds or makes; the array has room for all. */
static struct snapshot_group_pool *fill_pool(struct snapshot_group *group, const char *name, const char *kind)
{
	for (size_t i = 0; i < group->n_pools; i++) {
		if (!strcmp(group->pools[i].name, name))
			return &group->pools[i];
	}
	struct snapshot_group_pool *pool = &group->pools[group->n_pools++];

	text_copy(pool->name, sizeof(pool->name), name);
	text_copy(pool->kind, sizeof(pool->kind), kind);
	return pool;
}

static void add_pool(struct snapshot_group *group, const struct snapshot_pool *of)
{
	struct snapshot_group_pool *pool = fill_pool(group, of->name, of->kind);

	pool->threads += of->threads;
	pool->running += of->running;
	add_known(&pool->busy, of->busy);
	add_known(&pool->capacity, of->capacity);
	add_known(&pool->queued, of->queued);
	keep_largest(&pool->peak, of->threads_peak);
	keep_largest(&pool->thread_resident_max, of->thread_resident_max);
	pool->started_total += of->threads_started_told;
	pool->exited_total += of->threads_exited;
	pool->faults_total = add_saturated(pool->faults_total, of->faults_total);
	for (int region = 0; region < REGION_COUNT; region++) {
		add_known(&pool->resident[region], of->memory.resident[region]);
		pool->mapped[region] += of->memory.mapped[region];
	}
	add_known(&pool->orphaned, of->memory.orphaned_bytes);
	add_limits(pool->limits, &pool->n_limits, of->limits, of->n_limits);
}

/* The snapshot's targets stand in the order of the model's. */
static bool is_member(const struct model *model, const struct snapshot *snapshot, size_t target, uint32_t group)
{
	return model->target[target]->group == group && !snapshot->targets[target].ended;
}

/* Limits that processes share (one cgroup) count once. */
static bool cgroup_counted(const struct model *model, const struct snapshot *snapshot, size_t target)
{
	for (size_t i = 0; i < target; i++) {
		if (is_member(model, snapshot, i, model->target[target]->group) &&
		    !strcmp(snapshot->targets[i].cgroup.path, snapshot->targets[target].cgroup.path))
			return true;
	}
	return false;
}

static void add_target(struct snapshot_group *group, const struct snapshot_target *target, bool cgroup_is_counted)
{
	group->processes++;
	group->threads += target->threads;
	if (!cgroup_is_counted) {
		add_known(&group->threads_limit, target->cgroup.pids_max);
		add_known(&group->memory_limit, target->cgroup.memory_max);
		group->cpu_limit_cores += target->cgroup.cpu_quota_cores; /* NAN stays */
	}
	add_known(&group->rss_anon, target->memory.rss_anon);
	add_known(&group->rss_file, target->memory.rss_file);
	add_known(&group->rss_shmem, target->memory.rss_shmem);
	add_known(&group->swapped, target->memory.swapped);
	group->activity_age_seconds = fmax(group->activity_age_seconds, target->activity_age_seconds);
	for (int reason = 0; reason < UNATTRIBUTED_COUNT; reason++)
		add_known(&group->unattributed[reason], target->unattributed[reason]);
	if (target->unexplained_bytes == UNKNOWN_I64 || group->unexplained == UNKNOWN_I64 ||
	    __builtin_add_overflow(group->unexplained, target->unexplained_bytes, &group->unexplained))
		group->unexplained = UNKNOWN_I64;
	add_limits(group->limits, &group->n_limits, target->limits, target->n_limits);
	for (size_t i = 0; i < target->n_pools; i++)
		add_pool(group, &target->pools[i]);
}

static int compare_group_pools(const void *a, const void *b)
{
	return strcmp(((const struct snapshot_group_pool *)a)->name,
		      ((const struct snapshot_group_pool *)b)->name);
}

static int group_fill(const struct model *model, uint32_t index, const struct snapshot *snapshot,
		      struct snapshot_group *group)
{
	const struct group *kept = &model->group[index];
	size_t room = kept->n_pools;

	for (size_t i = 0; i < snapshot->n_targets; i++) {
		if (is_member(model, snapshot, i, index))
			room += snapshot->targets[i].n_pools;
	}
	memcpy(group->name, kept->name, sizeof(group->name));
	group->processes_started_total = kept->processes_started;
	group->activity_age_seconds = NAN;
	group->pools = calloc(room ? room : 1, sizeof(*group->pools));
	if (!group->pools)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->n_targets; i++) {
		if (is_member(model, snapshot, i, index))
			add_target(group, &snapshot->targets[i], cgroup_counted(model, snapshot, i));
	}
	if (!group->processes) {
		group->threads_limit = group->memory_limit = UNKNOWN_U64;
		group->cpu_limit_cores = NAN;
	}
	add_kept_limits(group->limits, &group->n_limits, kept->limited, kept->violations);
	for (uint32_t i = 0; i < kept->n_pools; i++) {
		size_t before = group->n_pools;
		struct snapshot_group_pool *pool = fill_pool(group, kept->pool[i].name, kept->pool[i].kind);

		if (group->n_pools > before)
			pool->busy = pool->capacity = pool->queued = UNKNOWN_U64;
		pool->started_total += kept->pool[i].started;
		pool->exited_total += kept->pool[i].exited;
		pool->faults_total = add_saturated(pool->faults_total, kept->pool[i].faults);
		add_kept_limits(pool->limits, &pool->n_limits, kept->pool[i].limited,
				kept->pool[i].violations);
	}
	qsort(group->pools, group->n_pools, sizeof(*group->pools), compare_group_pools);
	return 0;
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp(((const struct snapshot_group *)a)->name, ((const struct snapshot_group *)b)->name);
}

int groups_fill(struct model *model, struct snapshot *snapshot)
{
	if (!model->n_groups)
		return 0;
	snapshot->groups = calloc(model->n_groups, sizeof(*snapshot->groups));
	if (!snapshot->groups)
		return -ENOMEM;
	for (uint32_t i = 0; i < model->n_groups; i++) {
		int r = group_fill(model, i, snapshot, &snapshot->groups[snapshot->n_groups++]);

		if (r < 0)
			return r;
	}
	qsort(snapshot->groups, snapshot->n_groups, sizeof(*snapshot->groups), compare_groups);
	return 0;
}
