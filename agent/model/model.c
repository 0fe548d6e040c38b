/* SPDX-License-Identifier: GPL-2.0-only */
/* The model as others see it: facts in, by a table from kind to handler; snapshots, spans and deadlines
 * out. It must not know what a single fact means. */
#include "model_inside.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int model_new(const struct model_options *options, struct model **ret_model)
{
	_cleanup_(model_freep) struct model *model = calloc(1, sizeof(*model));

	if (!options->policy || !options->policy->n_entries)
		return -EINVAL;
	if (!model)
		return -ENOMEM;
	model->options = *options;
	model->transition = calloc(TRANSITIONS_MAX, sizeof(*model->transition));
	if (!model->transition)
		return -ENOMEM;
	*ret_model = TAKE_PTR(model);
	return 0;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	for (uint32_t i = 0; i < model->n_targets; i++)
		target_free(model->target[i]);
	for (uint32_t i = 0; i < model->n_groups; i++)
		free(model->group[i].pool);
	free(model->target);
	free(model->group);
	free(model->transition);
	free(model);
}

static struct target *target_find(const struct model *model, uint32_t id)
{
	uint32_t at = TABLE_PLACE_BY(model->target, model->n_targets, ->id, id);

	return at < model->n_targets && model->target[at]->id == id ? model->target[at] : NULL;
}

static int apply_tick(struct model *model, const struct fact *fact)
{
	uint64_t heard_ns = fact->tick.heard_ns ? fact->tick.heard_ns : fact->time_ns;

	if (fact->time_ns < model->time_ns)
		return -EINVAL;
	if (model->refresh && fact->time_ns == model->time_ns)
		return 0;
	model->refresh++;
	model->time_ns = fact->time_ns;
	model->realtime_ns = fact->tick.realtime_ns;
	model->lives_unsure = false;
	for (uint32_t i = 0; i < model->n_targets; i++) {
		target_refresh(model, model->target[i], heard_ns, fact->time_ns);
		model->lives_unsure |= model->target[i]->doubt.lives && !model->target[i]->ended;
	}
	return 0;
}

struct handler {
	int (*apply)(struct model *, struct target *, const struct fact *);
	bool agent_wide; /* target 0 is the agent as a whole: apply() gets NULL */
	bool of_image;   /* read of an image: what came before an exec says nothing of the one after it */
};

static const struct handler handlers[] = {
	[FACT_TARGET_GONE] = {apply_target_gone, false},
	[FACT_MEMORY] = {apply_memory, false, true},
	[FACT_CGROUP] = {apply_cgroup, false},
	[FACT_CHILDREN] = {apply_children, false},
	[FACT_THREAD_BORN] = {apply_thread_arrived, false},
	[FACT_THREAD_SEEN] = {apply_thread_arrived, false},
	[FACT_THREAD_EXITED] = {apply_thread_exited, false},
	[FACT_THREAD_RENAMED] = {apply_thread_renamed, false},
	[FACT_THREAD_SAMPLED] = {apply_thread_sampled, false},
	[FACT_THREAD_ASKED] = {apply_thread_asked, false},
	[FACT_THREAD_ROUTINE] = {apply_thread_routine, false},
	[FACT_THREAD_RUNNING] = {apply_thread_running, false},
	[FACT_RUNNING_SAMPLED] = {apply_running_sampled, false},
	[FACT_RANGE_MADE] = {apply_range, false},
	[FACT_RANGE_FREED] = {apply_range, false},
	[FACT_RANGE_FREE_FAILED] = {apply_range, false},
	[FACT_RANGE_MOVED] = {apply_range, false},
	[FACT_RANGE_PROTECTED] = {apply_range, false},
	[FACT_BRK] = {apply_range, false},
	[FACT_RANGE_SEEN] = {apply_range, false},
	[FACT_SEED_BEGIN] = {apply_seed_begin, false},
	[FACT_SEED_END] = {apply_seed_end, false},
	[FACT_RESIDENT] = {apply_resident, false},
	[FACT_ARENA] = {apply_arena, false},
	[FACT_THREAD_ARENA] = {apply_thread_arena, false},
	[FACT_ARENA_KEPT] = {apply_arena_kept, false},
	[FACT_RANGE_OWNER] = {apply_range_owner, false},
	[FACT_RANGE_HELD] = {apply_range_held, false},
	[FACT_RUNTIME] = {apply_runtime, false, true},
	[FACT_EXECUTOR] = {apply_executor, false, true},
	[FACT_WORKER] = {apply_worker, false, true},
	[FACT_ACTIVITY] = {apply_activity, false, true},
	[FACT_BLAME] = {apply_blame, false, true},
	[FACT_LOSS] = {apply_loss, true},
	[FACT_LIVES_LOST] = {apply_lives_lost, false},
	[FACT_EVENTS] = {apply_events, true},
	[FACT_VARIANT] = {apply_variant, true},
};
_Static_assert(ARRAY_SIZE(handlers) == FACT_KIND_COUNT, "a kind of fact has no handler");

int model_apply(struct model *model, const struct fact *fact)
{
	const struct handler *handler;
	struct target *target = NULL;

	if (fact->kind == FACT_TICK)
		return apply_tick(model, fact);
	if (fact->kind == FACT_TARGET)
		return apply_target(model, fact);
	if ((size_t)fact->kind >= ARRAY_SIZE(handlers) || !handlers[fact->kind].apply)
		return -EINVAL;
	handler = &handlers[fact->kind];
	if (fact->target || !handler->agent_wide) {
		target = model->last && model->last->id == fact->target ? model->last
									: target_find(model, fact->target);
		if (!target || target->ended)
			return -ENOENT;
		model->last = target;
	}
	if (handler->of_image && fact->time_ns < target->info.image_ns)
		return 0;
	return handler->apply(model, target, fact);
}

void model_judge(struct model *model, uint64_t now_ns)
{
	for (uint32_t i = 0; i < model->n_targets; i++) {
		struct target *target = model->target[i];

		if (target->ended)
			continue;
		target_heard(target, now_ns);
		target_settle_due(model, target, now_ns, false);
		if (target_judge_deadline(target) <= now_ns)
			judge_target(model, target, false, now_ns);
	}
}

uint64_t model_deadline(const struct model *model)
{
	uint64_t deadline = UINT64_MAX;

	for (uint32_t i = 0; i < model->n_targets; i++) {
		const struct target *target = model->target[i];
		uint64_t settle, judge;

		if (target->ended)
			continue;
		settle = target_settle_deadline(target);
		judge = target_judge_deadline(target);
		deadline = settle < deadline ? settle : deadline;
		deadline = judge < deadline ? judge : deadline;
	}
	return deadline;
}

size_t model_due_newborns(struct model *model, uint64_t now_ns, struct newborn *ret_newborns, size_t max)
{
	size_t count = 0;

	model->is_told_unrun = true;
	for (uint32_t i = 0; i < model->n_targets && count < max; i++)
		if (!model->target[i]->ended)
			count += target_due_newborns(model->target[i], now_ns, ret_newborns + count, max - count);
	return count;
}

bool model_limits_pools_threads(const struct model *model, uint32_t target)
{
	const struct target *found = target_find(model, target);

	for (size_t i = 0; found && i < found->policy->n_limits; i++)
		if (found->policy->limits[i].kind == LIMIT_THREADS && *found->policy->limits[i].pool)
			return true;
	return false;
}

bool model_losses_unknown(const struct model *model)
{
	return model->loss.lost[LOSS_KRETPROBE] == UNKNOWN_U64;
}

bool model_wants_refresh(const struct model *model)
{
	return model->lives_unsure;
}

bool model_wants_reseed(const struct model *model, uint32_t target)
{
	const struct target *found = target_find(model, target);

	return found && found->doubt.wants_reseed;
}

int model_spans(const struct model *model, uint32_t target, struct span **ret_spans, size_t *ret_count)
{
	const struct target *found = target_find(model, target);
	const struct range *range;
	struct span *spans;
	size_t count = 0;

	if (!found || found->ended)
		return -ENOENT;
	spans = calloc(range_map_count(found->ranges) + 1, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	for (range = range_map_first(found->ranges); range; range = range_map_next(found->ranges, range)) {
		if (range_counts(range))
			spans[count++] = (struct span){range->start, range->end - range->start,
						       range->changed,
						       (range->flags & (RANGE_ANON | RANGE_FILE)) == RANGE_ANON};
	}
	*ret_spans = spans;
	*ret_count = count;
	return 0;
}

/* A pool may be a small part of a large process, so that a part of the whole alone is no measure. */
#define MOVED_BYTES (64ULL << 10)
#define MOVED_PART 64

bool model_has_moved(const struct model *model, uint32_t target, unsigned int tolerance)
{
	const struct target *found = target_find(model, target);
	const struct range *range = found && !found->ended ? range_map_first(found->ranges) : NULL;
	uint64_t least, moved = 0;

	if (!range)
		return false;
	least = found->memory.rss_anon / MOVED_PART; /* not known: a large figure */
	least = least < MOVED_BYTES ? least : MOVED_BYTES;
	for (; range; range = range_map_next(found->ranges, range)) {
		if (!range_counts(range) || !range->changed)
			continue;
		/* Until all has been read once, nothing is told of what grew and what is unexplained. */
		if (!found->whole && !range->scanned_ns)
			return true;
		moved += range->end - range->start;
	}
	return moved > least * tolerance;
}

uint32_t model_rule_of(const struct model *model, uint32_t target, const struct thread_id *id)
{
	struct target *found = target_find(model, target);
	struct thread *thread = found ? threads_find(&found->threads, *id) : NULL;

	return thread ? thread_rule(found, thread) : 0;
}

static bool is_first_stack(const struct target *target, const struct range *range)
{
	return target->stack_length && range->start < target->stack_start + target->stack_length &&
	       range->end > target->stack_start;
}

static enum unowned_kind unowned_kind(const struct target *target, const struct range *range)
{
	if (is_first_stack(target, range))
		return UNOWNED_STACK;
	if (!(range->protection & PROT_WRITE))
		return UNOWNED_OTHER;
	if (range->region == REGION_ARENA)
		return UNOWNED_ARENA;
	if (range->region == REGION_HEAP)
		return UNOWNED_HEAP;
	return range_is_claimable(range) ? UNOWNED_MMAP : UNOWNED_OTHER;
}

int model_unowned(const struct model *model, uint32_t target, struct unowned **ret_unowned, size_t *ret_count)
{
	const struct target *found = target_find(model, target);
	const struct range *range;
	struct unowned *unowned;
	size_t count = 0;

	if (!found || found->ended)
		return -ENOENT;
	unowned = calloc(range_map_count(found->ranges) + 1, sizeof(*unowned));
	if (!unowned)
		return -ENOMEM;
	for (range = range_map_first(found->ranges); range; range = range_map_next(found->ranges, range)) {
		if (range_counts(range) && (range->protection & (PROT_READ | PROT_WRITE)) &&
		    (range->owner == OWNER_NONE || is_first_stack(found, range)))
			unowned[count++] = (struct unowned){range->start, range->end - range->start,
							    unowned_kind(found, range)};
	}
	*ret_unowned = unowned;
	*ret_count = count;
	return 0;
}

int model_snapshot(struct model *model, struct snapshot **ret_snapshot)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int r;

	if (!snapshot)
		return -ENOMEM;
	snapshot->time_ns = model->time_ns;
	snapshot->realtime_ns = model->realtime_ns;
	snapshot->refresh = model->refresh;
	snapshot->reseeds = model->reseeds;
	snapshot->names_dropped = model->names_dropped;
	snapshot->ended_dropped = model->ended_dropped;
	snapshot->series_dropped = model->dropped_before + model->names_dropped + model->ended_pools_dropped;
	memcpy(snapshot->lost, model->loss.lost, sizeof(snapshot->lost));
	memcpy(snapshot->received, model->events.received, sizeof(snapshot->received));
	snapshot->targets = calloc(model->n_targets + 1, sizeof(*snapshot->targets));
	if (!snapshot->targets)
		return -ENOMEM;
	for (uint32_t i = 0; i < model->n_targets; i++) {
		snapshot->series_dropped += model->target[i]->pools.n_dropped;
		target_place_guests(model->target[i]); /* some may have come since the refresh */
		r = target_fill(model, model->target[i], &snapshot->targets[snapshot->n_targets++]);
		if (r < 0)
			return r;
	}
	r = groups_fill(model, snapshot);
	if (r < 0)
		return r;
	*ret_snapshot = TAKE_PTR(snapshot);
	return 0;
}
