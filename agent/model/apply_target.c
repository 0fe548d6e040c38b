/* SPDX-License-Identifier: GPL-2.0-only */
/* Applies facts about a target as a whole and about the observer: attach, end, memory, cgroup, losses.
 * It must not know threads or ranges. */
#include "model_inside.h"

#include <errno.h>
#include <string.h>

/* Ended targets that stay for the eye; older ones go. */
#define KEPT_ENDED_MAX 32
#define TARGETS_MAX 16384

static void strings_end(struct fact_target *info)
{
	info->name[sizeof(info->name) - 1] = info->comm[sizeof(info->comm) - 1] = '\0';
	info->exe[sizeof(info->exe) - 1] = info->unit[sizeof(info->unit) - 1] = '\0';
	info->container[sizeof(info->container) - 1] = info->runtime[sizeof(info->runtime) - 1] = '\0';
}

static void target_remove(struct model *model, uint32_t index)
{
	model->dropped_before += model->target[index]->pools.n_dropped;
	target_free(model->target[index]);
	memmove(&model->target[index], &model->target[index + 1],
		(model->n_targets - index - 1) * sizeof(*model->target));
	model->n_targets--;
	model->last = NULL;
}

static int target_insert(struct model *model, struct target *target)
{
	uint32_t at = model->n_targets;

	if (TABLE_GROW(model->target, model->n_targets, model->target_capacity, 4))
		return -ENOMEM;
	while (at > 0 && model->target[at - 1]->id > target->id)
		at--;
	memmove(&model->target[at + 1], &model->target[at], (model->n_targets - at) * sizeof(*model->target));
	model->target[at] = target;
	model->n_targets++;
	return 0;
}

/* An attach; or, for a target that is known, another description: the group's name and the policy are
 * judged again, the rest follows (after exec, with the seed). */
static int target_describe(struct model *model, struct target *target, const struct fact *fact)
{
	struct fact_target told = fact->target_info;
	bool group_changed, policy_changed, is_image;

	strings_end(&told);
	group_changed = strcmp(told.name, target->info.name) != 0;
	policy_changed = told.policy != target->info.policy;
	is_image = told.image_ns != target->info.image_ns; /* its seed follows: until then its former limits watch the former one */
	if (group_changed) {
		uint32_t group;
		int r = model_group(model, told.name, &group);

		if (r < 0)
			return r;
		group_change(model, target, group);
	}
	target->info = told;
	target_note_own_name(target, told.comm);
	if (!policy_changed || is_image)
		return 0;
	judge_release(model, target, fact->time_ns);
	target_bind_policy(model, target, fact->time_ns);
	for (uint32_t i = 0; i < target->pools.count; i++)
		limit_tracks_bind(target->pools.pool[i].limits, target->policy, target->pools.pool[i].name,
				  fact->time_ns);
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		struct thread *thread = &target->threads.thread[i];

		if (thread->living && !thread->pending)
			thread_settle(model, target, thread, fact->time_ns);
	}
	return 0;
}

static struct target *target_find(struct model *model, uint32_t id)
{
	for (uint32_t i = 0; i < model->n_targets; i++) {
		if (model->target[i]->id == id)
			return model->target[i];
	}
	return NULL;
}

int apply_target(struct model *model, const struct fact *fact)
{
	struct target *target = target_find(model, fact->target);
	struct fact copy = *fact;
	int r;

	if (!fact->target || !fact->target_info.pid)
		return -EINVAL;
	strings_end(&copy.target_info);
	if (target)
		return target->ended ? -ENOENT : target_describe(model, target, &copy);
	if (model->n_targets >= TARGETS_MAX)
		return 0;
	uint32_t group;

	r = model_group(model, copy.target_info.name, &group);
	if (r < 0)
		return r;
	r = target_new(model, &copy, &target);
	if (r < 0)
		return r;
	target_bind_policy(model, target, fact->time_ns);
	r = target_insert(model, target);
	if (r < 0) {
		target_free(target);
		return r;
	}
	group_enter(model, target, group);
	return 0;
}

/* What a process takes along as it ends, ends in one go. */
#define END_GAP_NS (50 * NSEC_PER_MSEC)

static int compare_times(const void *a, const void *b)
{
	return compare_u64(*(const uint64_t *)a, *(const uint64_t *)b);
}

/* When that began: the first of the ends that follow each other to the last one, after the last birth. */
static uint64_t end_began(const struct threads *threads)
{
	_cleanup_(freep) uint64_t *ends = calloc(threads->n_slots + 1, sizeof(*ends));
	uint64_t last_birth_ns = 0, began_ns;
	size_t count = 0;

	for (uint32_t i = 0; i < threads->n_slots; i++) {
		const struct thread *thread = &threads->thread[i];

		if (thread->id.tid && thread->known_ns > last_birth_ns)
			last_birth_ns = thread->known_ns;
		if (ends && thread->id.tid && !thread->living)
			ends[count++] = thread->exited_ns;
	}
	if (!count)
		return last_birth_ns;
	qsort(ends, count, sizeof(*ends), compare_times);
	began_ns = ends[--count];
	while (count && began_ns - ends[count - 1] <= END_GAP_NS)
		began_ns = ends[--count];
	return began_ns > last_birth_ns ? began_ns : last_birth_ns;
}

/* Of others than these nobody knows whether they lived to its end, where events were lost. */
static bool is_in_last_frame(const struct target *target, const struct thread *thread, uint64_t began_ns)
{
	if (!thread->id.tid || thread->living || thread->exited_ns < began_ns)
		return false;
	return !target->doubt.lives || thread->leader || thread_is_found(thread, target->doubt.shown_sample_ns);
}

/* The last figures stay: threads that ended since the last refresh ended with the process, if no longer before than that
 * takes. (A refresh leaves a target without threads alone, see target_refresh().) */
static void revive_for_the_last_frame(struct target *target)
{
	struct threads *threads = &target->threads;
	uint64_t began_ns = end_began(threads);

	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];
		struct pool *pool = thread->pool == POOL_NONE ? NULL : &target->pools.pool[thread->pool];

		if (!is_in_last_frame(target, thread, began_ns) || !threads_revive(threads, thread) || !pool)
			continue;
		pool->threads++;
		pool->exited -= pool->exited > 0; /* the group, told before, has counted it */
	}
	/* What is said of a limit must be what the frame's own rows say. */
	target->limits[LIMIT_THREADS].value = threads->living;
	for (uint32_t i = 0; i < target->pools.count; i++)
		target->pools.pool[i].limits[LIMIT_THREADS].value = target->pools.pool[i].threads;
	target_note_peak(target);
}

/* It took along whoever lived in it, though nobody told of each: what has started has exited. */
static void end_threads(struct model *model, struct target *target, uint64_t time_ns)
{
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		if (target->threads.thread[i].living)
			thread_leave(model, target, &target->threads.thread[i], time_ns);
	}
}

/* One that was asked for is kept before children that were followed, and of these whoever held most. */
static bool is_worth_less(const struct target *one, const struct target *other)
{
	uint64_t rss[2] = {one->memory.rss_anon, other->memory.rss_anon};

	if (one->info.followed != other->info.followed)
		return one->info.followed;
	if (one->info.followed && rss[0] != rss[1])
		return rss[0] == UNKNOWN_U64 || (rss[1] != UNKNOWN_U64 && rss[0] < rss[1]);
	return one->ended_ns < other->ended_ns;
}

static void forget_one_ended(struct model *model)
{
	uint32_t kept = 0, least = 0;

	for (uint32_t i = 0; i < model->n_targets; i++) {
		if (!model->target[i]->ended)
			continue;
		if (!kept++ || is_worth_less(model->target[i], model->target[least]))
			least = i;
	}
	if (kept <= KEPT_ENDED_MAX)
		return;
	target_remove(model, least);
	model->ended_dropped++;
}

int apply_target_gone(struct model *model, struct target *target, const struct fact *fact)
{
	uint32_t index = 0;

	/* A newborn whose host has gone before it could be shown nowhere in the last frame. */
	target_settle_due(model, target, fact->time_ns, true);
	end_threads(model, target, fact->time_ns);
	target_count_briefs(model, target, fact->time_ns);
	target_pass_all(model, target, fact->time_ns);
	target->threads_peak += !target->threads_peak; /* it was over before it could be looked at, and had its first thread */
	target->ended = true;
	group_retire(model, target);
	target->ended_ns = fact->time_ns;
	target->end = fact->gone;
	if (fact->gone.how == TARGET_END_OOM_KILLED) /* the last reading was before it */
		target->cgroup.oom_kills = fact->gone.oom_kills ? fact->gone.oom_kills : UNKNOWN_U64;
	target->doubt.wants_reseed = false;
	revive_for_the_last_frame(target);
	while (model->target[index] != target)
		index++;
	if (!model->options.keep_ended) {
		target_remove(model, index);
		return 0;
	}
	forget_one_ended(model);
	return 0;
}

int apply_memory(struct model *model, struct target *target, const struct fact *fact)
{
	target->memory = fact->memory;
	return 0;
}

int apply_cgroup(struct model *model, struct target *target, const struct fact *fact)
{
	target->cgroup = fact->cgroup;
	target->cgroup.path[sizeof(target->cgroup.path) - 1] = '\0';
	return 0;
}

int apply_children(struct model *model, struct target *target, const struct fact *fact)
{
	target->children = fact->children;
	return 0;
}

static bool has_grown(uint64_t before, uint64_t now)
{
	return now != UNKNOWN_U64 && before != UNKNOWN_U64 && now > before;
}

/* Losses that the kernel does not count are assumed this often: each time costs a reading of all mappings. */
#define UNCOUNTED_LOSS_NS (10 * NSEC_PER_SEC)

static bool uncounted_loss_is_due(struct model *model, uint64_t now_ns)
{
	if (!model_losses_unknown(model) || now_ns - model->doubted_ns < UNCOUNTED_LOSS_NS)
		return false;
	model->doubted_ns = now_ns;
	return true;
}

int apply_loss(struct model *model, struct target *target, const struct fact *fact)
{
	struct fact_loss *known = target ? &target->loss : &model->loss;
	bool grown = false;

	for (int reason = 0; reason < LOSS_REASON_COUNT; reason++) {
		/* What the agent as a whole loses on its ring and maps is told for each target too; misses of
		 * a program cannot be told apart. */
		if (target || reason == LOSS_RECURSION || reason == LOSS_KRETPROBE)
			grown |= has_grown(known->lost[reason], fact->loss.lost[reason]);
	}
	*known = fact->loss;
	if (target) {
		target->has_loss = true;
		target->doubt.losses_told_ns = fact->time_ns;
	} else {
		grown |= uncounted_loss_is_due(model, fact->time_ns);
	}
	if (!grown)
		return 0;
	if (target)
		doubt_events(&target->doubt, fact->time_ns);
	for (uint32_t i = 0; !target && i < model->n_targets; i++) {
		if (!model->target[i]->ended)
			doubt_events(&model->target[i]->doubt, fact->time_ns);
	}
	return 0;
}

int apply_lives_lost(struct model *model, struct target *target, const struct fact *fact)
{
	target_doubt_lives(target, fact->time_ns);
	model->lives_unsure = true;
	return 0;
}

int apply_events(struct model *model, struct target *target, const struct fact *fact)
{
	*(target ? &target->events : &model->events) = fact->events;
	if (target)
		target->has_events = true;
	return 0;
}

int apply_variant(struct model *model, struct target *target, const struct fact *fact)
{
	char *variant = target ? target->variant : model->variant;

	memcpy(variant, fact->variant, sizeof(fact->variant));
	variant[sizeof(fact->variant) - 1] = '\0';
	for (uint32_t i = 0; !target && i < model->n_targets; i++)
		memcpy(model->target[i]->variant, model->variant, sizeof(model->variant));
	return 0;
}
