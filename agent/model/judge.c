/* SPDX-License-Identifier: GPL-2.0-only */
/* Judges what a target holds against its limits, and keeps the changes of state for the wiring to fetch.
 * It must not know how values come about. */
#include "model_inside.h"

#include <string.h>

uint64_t model_realtime(const struct model *model, uint64_t time_ns)
{
	if (!model->realtime_ns || !time_ns)
		return 0;
	/* modular: a time after the last tick lies ahead of it */
	return model->realtime_ns + (time_ns - model->time_ns);
}

void limit_fill(const struct model *model, const struct limit_track *track, struct snapshot_limit *ret_limit)
{
	uint64_t over_at = limit_track_over_at(track), now_ns = model->time_ns;

	*ret_limit = (struct snapshot_limit){
		.kind = track->rule->kind,
		.state = limit_track_state(track),
		.source = track->rule->source,
		.value = track->value,
		.max = track->max,
		.since_realtime_ns = model_realtime(model, track->since_ns),
		.violations = track->violations,
		/* The exact course is 20 ms behind: it may be above when the value is not any more. */
		.over_in_ns = over_at == UINT64_MAX || track->value <= track->max ? 0 : over_at > now_ns ? over_at - now_ns : 1,
		.is_percent = track->rule->is_percent,
		.is_falling = track->over.on ? track->over.contrary : track->warn.on && track->warn.contrary,
		.percent = (double)track->rule->value / 100,
	};
}

static void note_transition(struct model *model, const struct target *target, const char *pool,
			    const struct limit_track *track, enum limit_state before, uint64_t now_ns)
{
	uint32_t at = (model->transition_first + model->n_transitions) % TRANSITIONS_MAX;

	/* Nobody fetches them: the state and the violations still stand in the snapshot. */
	if (model->n_transitions == TRANSITIONS_MAX) {
		model->transitions_dropped++;
		return;
	}
	model->n_transitions++;
	struct limit_transition *entry = &model->transition[at].entry;

	*entry = (struct limit_transition){
		.time_ns = now_ns,
		.target = target->id,
		.pid = target->info.pid,
		.before = before,
	};
	/* What was reached under a name ends under it: after an exec the new one is told first. */
	text_copy(entry->process, sizeof(entry->process),
		  target->former_group == GROUP_NONE ? target->info.name : model->group[target->former_group].name);
	text_copy(entry->pool, sizeof(entry->pool), pool);
	limit_fill(model, track, &entry->limit);
	model->transition[at].since_ns = track->since_ns;
}

bool model_next_transition(struct model *model, struct limit_transition *ret_transition)
{
	if (!model->n_transitions)
		return false;
	*ret_transition = model->transition[model->transition_first].entry;
	/* Before the first tick no clock was known; it may be now. */
	ret_transition->limit.since_realtime_ns = model_realtime(
		model, model->transition[model->transition_first].since_ns);
	model->transition_first = (model->transition_first + 1) % TRANSITIONS_MAX;
	model->n_transitions--;
	return true;
}

uint64_t model_dropped_transitions(struct model *model)
{
	uint64_t dropped = model->transitions_dropped;

	model->transitions_dropped = 0;
	return dropped;
}

static uint64_t sooner(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static void judge(struct model *model, struct target *target, const char *pool, struct limit_track *track,
		  uint64_t value, const struct limit_bounds *bounds, uint64_t now_ns)
{
	enum limit_state before;

	/* While those that were there are listed one by one, no count is one yet. */
	if (!target_is_listed(target))
		return;
	if (limit_track_judge(track, value, bounds, now_ns, &before))
		note_transition(model, target, pool, track, before, now_ns);
}

static struct limit_bounds thread_bounds(const struct target *target, const struct pool *pool)
{
	return (struct limit_bounds){.threads = pool ? pool->capacity : target->cgroup.pids_max, .bytes = UNKNOWN_U64};
}

/* A count of threads, of the pool; POOL_NONE: of the process. Where no runtime tells a pool's capacity, a percentage of it
 * cannot be judged. */
static void judge_count(struct model *model, struct target *target, uint32_t pool, enum limit_kind kind, uint64_t count,
			uint64_t now_ns)
{
	struct pool *judged = pool == POOL_NONE ? NULL : &target->pools.pool[pool];
	struct limit_track *track = judged ? &judged->limits[kind] : &target->limits[kind];
	const struct limit_bounds bounds = thread_bounds(target, judged);

	judge(model, target, judged ? judged->name : "", track, count, &bounds, now_ns);
}

void judge_threads_found(struct model *model, struct target *target, uint32_t pool, uint64_t threads, uint64_t now_ns)
{
	judge_count(model, target, pool, LIMIT_THREADS, threads, now_ns);
}

/* What ends, or has lasted, between two changes does so at its own time. */
static void judge_meanwhile(struct model *model, struct target *target, uint32_t pool, uint64_t threads, uint64_t until_ns)
{
	const struct limit_track *limits = pool == POOL_NONE ? target->limits : target->pools.pool[pool].limits;
	uint64_t due_ns;

	while (target_is_listed(target) && (due_ns = limit_track_deadline(&limits[LIMIT_THREADS])) <= until_ns) {
		if (due_ns == UINT64_MAX)
			return;
		judge_count(model, target, pool, LIMIT_THREADS, threads, due_ns);
	}
}

static bool is_judged_then(const struct target *target, uint32_t pool)
{
	return target->pools.pool[pool].limits[LIMIT_THREADS].rule && target_is_listed(target) && !target->doubt.lives;
}

static void show_now(struct pool *pool)
{
	pool->limits[LIMIT_THREADS].value = pool->threads - pool->unread;
}

void judge_threads_then(struct model *model, struct target *target, uint32_t pool, int32_t change, uint64_t then_ns)
{
	struct pool *judged = &target->pools.pool[pool];
	bool is_judged = is_judged_then(target, pool);

	if (is_judged)
		judge_meanwhile(model, target, pool, judged->threads_then, then_ns);
	if (change > 0 || judged->threads_then)
		judged->threads_then += (uint32_t)change;
	if (!is_judged)
		return;
	judge_count(model, target, pool, LIMIT_THREADS, judged->threads_then, then_ns);
	show_now(judged);
}

typedef bool judge_beside(struct limit_track *track, uint64_t value, const struct limit_bounds *bounds, uint64_t since_ns,
			  uint64_t now_ns, enum limit_state *ret_before);

static void judge_threads_beside(struct model *model, struct target *target, uint32_t pool, judge_beside *judged_by, uint64_t threads,
				 uint64_t since_ns, uint64_t now_ns)
{
	struct pool *judged = &target->pools.pool[pool];
	struct limit_track *track = &judged->limits[LIMIT_THREADS];
	const struct limit_bounds bounds = thread_bounds(target, judged);
	enum limit_state before;

	if (!is_judged_then(target, pool))
		return;
	if (judged_by(track, threads, &bounds, since_ns, now_ns, &before))
		note_transition(model, target, judged->name, track, before, now_ns);
	show_now(judged);
}

void judge_threads_recalled(struct model *model, struct target *target, uint32_t pool, uint64_t threads, uint64_t since_ns,
			    uint64_t now_ns)
{
	judge_threads_beside(model, target, pool, limit_track_recall, threads, since_ns, now_ns);
}

static void judge_started(struct model *model, struct target *target, uint32_t pool, struct births *births,
			  const struct limit_track *limits, uint64_t now_ns)
{
	if (limits[LIMIT_THREADS_STARTED_PER_MINUTE].rule)
		judge_count(model, target, pool, LIMIT_THREADS_STARTED_PER_MINUTE, births_count(births, now_ns), now_ns);
}

/* The thread limits of a pool and of the process; POOL_NONE: of the process alone. */
void judge_threads(struct model *model, struct target *target, uint32_t pool, uint64_t now_ns)
{
	if (!target->doubt.lives) {
		judge_meanwhile(model, target, POOL_NONE, target->limits[LIMIT_THREADS].value, now_ns);
		judge_count(model, target, POOL_NONE, LIMIT_THREADS, target->threads.living, now_ns);
	}
	judge_started(model, target, POOL_NONE, &target->births, target->limits, now_ns);
	if (pool == POOL_NONE)
		return;
	struct pool *judged = &target->pools.pool[pool];
	uint64_t quiet_ns = now_ns > 2 * NAME_WAIT_NS ? now_ns - 2 * NAME_WAIT_NS : 0;

	/* What came before is told before. What fell just now may have risen since, which is about to be told as it was. */
	target_pass_recent(model, target, target_placed_until(target, now_ns), now_ns);
	quiet_ns = sooner(quiet_ns, target->passed_ns);
	judge_threads_beside(model, target, pool, target_newborns_are_late(target, now_ns) ? limit_track_hide : limit_track_foresee,
			     judged->threads - judged->unread, quiet_ns, now_ns);
	judge_started(model, target, pool, &judged->births, judged->limits, now_ns);
}

static uint64_t sum_known(uint64_t a, uint64_t b)
{
	return a == UNKNOWN_U64 || b == UNKNOWN_U64 ? UNKNOWN_U64 : add_saturated(a, b);
}

static void judge_memory(struct model *model, struct target *target, uint64_t now_ns)
{
	const struct fact_memory *memory = &target->memory;
	const struct limit_bounds bounds = {
		.threads = UNKNOWN_U64,
		.bytes = fact_memory_bound(&target->cgroup),
	};
	uint64_t rss = sum_known(sum_known(memory->rss_anon, memory->rss_file), memory->rss_shmem);

	judge(model, target, "", &target->limits[LIMIT_RESIDENT_BYTES], rss, &bounds, now_ns);
	judge(model, target, "", &target->limits[LIMIT_RESIDENT_BYTES_PER_THREAD],
	      target->oldest_scan_ns ? target->thread_resident_max : UNKNOWN_U64, &bounds, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];
		bool known = target->oldest_scan_ns != 0;

		judge(model, target, pool->name, &pool->limits[LIMIT_RESIDENT_BYTES],
		      known ? pool->memory.resident_bytes : UNKNOWN_U64, &bounds, now_ns);
		judge(model, target, pool->name, &pool->limits[LIMIT_RESIDENT_BYTES_PER_THREAD],
		      known ? pool->thread_resident_max : UNKNOWN_U64, &bounds, now_ns);
	}
}

void judge_target(struct model *model, struct target *target, bool memory_too, uint64_t now_ns)
{
	judge_threads(model, target, POOL_NONE, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		judge_threads(model, target, i, now_ns);
		judge_threads_then(model, target, i, 0, target->passed_ns);
	}
	if (memory_too)
		judge_memory(model, target, now_ns);
}

static void release(struct model *model, struct target *target, const char *pool, struct limit_track *tracks, uint64_t now_ns)
{
	for (int kind = 0; kind < LIMIT_KIND_COUNT; kind++) {
		enum limit_state before = limit_track_state(&tracks[kind]);

		if (!tracks[kind].rule || before == LIMIT_OK)
			continue;
		latch_fall(&tracks[kind].over, now_ns);
		latch_fall(&tracks[kind].warn, now_ns);
		tracks[kind].since_ns = now_ns;
		note_transition(model, target, pool, &tracks[kind], before, now_ns);
	}
}

/* What was over or near is no more, without a clear_for: what the limits watch goes, or other limits come. */
void judge_release(struct model *model, struct target *target, uint64_t now_ns)
{
	release(model, target, "", target->limits, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++)
		release(model, target, target->pools.pool[i].name, target->pools.pool[i].limits, now_ns);
}

uint64_t target_judge_deadline(const struct target *target)
{
	/* No newborn that waits for its pool passes what comes after it: when that is over, there is a deadline for that. */
	uint64_t passes_ns = target_newborns_until(target);
	uint64_t deadline = limit_track_deadline(&target->limits[LIMIT_THREADS_STARTED_PER_MINUTE]);

	if (!target_is_listed(target))
		return UINT64_MAX;
	if (!target->doubt.lives)
		deadline = sooner(deadline, limit_track_deadline(&target->limits[LIMIT_THREADS]));
	for (uint32_t i = 0; i < target->pools.count; i++) {
		const struct limit_track *limits = target->pools.pool[i].limits;
		uint64_t then_ns = limit_track_deadline(&limits[LIMIT_THREADS]);

		deadline = sooner(deadline, limit_track_deadline(&limits[LIMIT_THREADS_STARTED_PER_MINUTE]));
		if (!target->doubt.lives && then_ns <= passes_ns)
			deadline = sooner(deadline, add_saturated(then_ns, NAME_WAIT_NS));
	}
	return deadline;
}
