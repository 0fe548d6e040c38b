/* SPDX-License-Identifier: GPL-2.0-only */
/* A target from attach to end: its tables, the policy that it is judged by, and what exec does to it.
 * It must not know how single facts are applied. */
#include "model_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define DEFAULT_MAX_THREADS 65536
#define DEFAULT_MAX_RANGES 262144

static const struct fact_memory no_memory = {UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64, UNKNOWN_U64};

void target_free(struct target *target)
{
	if (!target)
		return;
	threads_clear(&target->threads);
	pools_clear(&target->pools);
	range_map_free(target->ranges);
	arenas_clear(&target->arenas);
	told_executors_clear(&target->executors);
	functions_clear(&target->functions);
	blame_clear(&target->blame);
	briefs_clear(&target->briefs);
	recent_clear(&target->recent);
	history_clear(&target->history);
	free(target);
}
DEFINE_CLEANUP(struct target *, target_free)

/* The process's own names: its comm at attach, its executable's, and what the leader called itself since.
 * The last place is for the newest. */
bool target_is_own_name(const struct target *target, const char *name)
{
	for (uint32_t i = 0; i < target->n_own_names; i++) {
		if (!strcmp(target->own_names[i], name))
			return true;
	}
	return false;
}

void target_note_own_name(struct target *target, const char *name)
{
	if (!*name)
		return;
	for (uint32_t i = 0; i < target->n_own_names; i++) {
		if (!strncmp(target->own_names[i], name, FACT_NAME_SIZE - 1))
			return;
	}
	if (target->n_own_names < OWN_NAMES)
		target->n_own_names++;
	char *place = target->own_names[target->n_own_names - 1];

	text_copy(place, FACT_NAME_SIZE, name);
}

const char *target_file(const struct target *target)
{
	const char *slash = strrchr(target->info.exe, '/');

	return slash ? slash + 1 : target->info.exe;
}

static void note_own_names(struct target *target)
{
	target_note_own_name(target, target->info.comm);
	target_note_own_name(target, target_file(target));
}

/* Binds the entry that the target's description names; threads are placed anew by its rules. */
void target_bind_policy(struct model *model, struct target *target, uint64_t time_ns)
{
	const struct policy *policy = model->options.policy;
	size_t entry = target->info.policy < policy->n_entries ? target->info.policy : 0;

	target->policy = &policy->entries[entry];
	limit_tracks_bind(target->limits, target->policy, "", time_ns);
}

int target_new(const struct model *model, const struct fact *fact, struct target **ret_target)
{
	_cleanup_(target_freep) struct target *target = calloc(1, sizeof(*target));
	uint32_t max_threads = model->options.max_threads, max_ranges = model->options.max_ranges;
	int r;

	if (!target)
		return -ENOMEM;
	r = threads_init(&target->threads, max_threads ? max_threads : DEFAULT_MAX_THREADS);
	if (r < 0)
		return r;
	r = range_map_new(max_ranges ? max_ranges : DEFAULT_MAX_RANGES, &target->ranges);
	if (r < 0)
		return r;
	r = history_init(&target->history, TARGET_HISTORY_ROWS, HISTORY_COLUMNS);
	if (r < 0)
		return r;
	target->id = fact->target;
	target->info = fact->target_info;
	target->attached_ns = fact->time_ns;
	target->group = target->former_group = GROUP_NONE;
	target->memory = no_memory;
	target->cgroup = (struct fact_cgroup){
		.memory_max = UNKNOWN_U64,
		.is_memory_unread = true,
		.memory_current = UNKNOWN_U64,
		.oom_kills = UNKNOWN_U64,
		.pids_max = UNKNOWN_U64,
		.cpu_quota_cores = NAN,
		.host_memory_total = UNKNOWN_U64,
	};
	target->activity_age_seconds = NAN;
	target->recent_due_ns = target->recent_last_due_ns = UINT64_MAX;
	memcpy(target->variant, model->variant, sizeof(target->variant));
	note_own_names(target);
	*ret_target = TAKE_PTR(target);
	return 0;
}

/* A new image in the same process: the pools, ranges and names of the old one are gone; of its threads
 * the one that called exec lives on, as the leader. The caller has emptied the range map. */
bool target_exec(struct model *model, struct target *target, uint64_t time_ns)
{
	struct threads *threads = &target->threads;
	struct thread_id survivor_id = {0};
	struct thread kept = {0};
	bool has_taken_back = false;

	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];

		if (!thread->living)
			continue;
		if (thread->id.tid == target->info.pid) {
			survivor_id = thread->id;
			kept = *thread;
		}
	}
	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];

		if (!thread->living || thread->id.tid == survivor_id.tid)
			continue;
		/* Read after the exec, which is only told now: it is of the new image, and will be told of there. */
		if (target->info.image_ns && thread->seen_ns > target->info.image_ns) {
			thread_take_back(target, thread);
			has_taken_back = true;
		} else {
			thread_leave(model, target, thread, time_ns);
		}
	}
	target_settle_due(model, target, time_ns, true); /* of them, those that still waited to be listed */
	target_count_briefs(model, target, time_ns);
	target_pass_all(model, target, time_ns);
	judge_release(model, target, time_ns);
	group_retire(model, target);
	target->based = true; /* all of a new image has grown */
	model->dropped_before += target->pools.n_dropped;
	pools_clear(&target->pools);
	arenas_clear(&target->arenas);
	target->arenas.all_is_new = true;
	told_executors_clear(&target->executors);
	functions_clear(&target->functions);
	blame_clear(&target->blame);
	briefs_clear(&target->briefs);
	memset(&target->runtime, 0, sizeof(target->runtime));
	target->runtime_told_ns = target->activity_told_ns = 0;
	target->activity_age_seconds = NAN;
	history_restart(&target->history);
	target->memory = no_memory;
	uint32_t max = threads->max;
	uint64_t refused = threads->refused;

	threads_clear(threads);
	target->births = (struct births){.newest = 0};
	target->n_own_names = 0;
	target->stack_start = target->stack_length = 0;
	target->was_read = target->whole = target->had_base = target->had_threads = target->outside = target->stacks_sought = false;
	target->oldest_scan_ns = 0;
	target->outside_streak = target->outside_reseeds = target->threads_peak = 0;
	target->attributed = target->base_left = 0;
	memset(target->unattributed, 0, sizeof(target->unattributed));
	note_own_names(target);
	target_bind_policy(model, target, time_ns);
	if (threads_init(threads, max) < 0)
		return has_taken_back; /* nothing can be added: as a full table, counted */
	threads->refused = refused;
	if (!survivor_id.tid)
		return has_taken_back;
	struct thread *leader;

	if (threads_add(threads, survivor_id, &leader) < 0)
		return has_taken_back;
	leader->leader = true;
	memcpy(leader->name, kept.name, sizeof(leader->name));
	leader->state = kept.state;
	leader->cpu_ns = kept.cpu_ns;
	leader->cpu_time_ns = kept.cpu_time_ns;
	leader->known_ns = kept.known_ns;
	target->had_threads = true;
	target_note_peak(target);
	target_note_own_name(target, leader->name);
	thread_settle(model, target, leader, time_ns);
	return has_taken_back;
}
