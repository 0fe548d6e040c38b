/* SPDX-License-Identifier: GPL-2.0-only */
/* How many lived at once, in the process and in each pool: by events, as newborns' pools become known; and by who is found,
 * where events were lost. It must not place threads. */
#include "model_inside.h"

static uint32_t number_of(const struct target *target, uint32_t pool)
{
	return pool == POOL_NONE ? 0 : target->pools.pool[pool].number;
}

static void note_most(uint32_t *most, uint32_t count)
{
	if (count > *most)
		*most = count;
}

void target_note_peak(struct target *target)
{
	if (!target->doubt.lives)
		note_most(&target->threads_peak, target->threads.living);
}

void pool_note_peak(const struct target *target, struct pool *pool)
{
	if (target->doubt.lives)
		return;
	note_most(&pool->threads_peak, pool->threads - pool->unread);
	note_most(&pool->threads_peak, pool->threads_then);
}

void target_doubt_lives(struct target *target, uint64_t now_ns)
{
	/* What was above a limit for some of its `for`, or below it for some of its `clear_for`, may not have been since. */
	limit_track_restart(&target->limits[LIMIT_THREADS]);
	for (uint32_t i = 0; i < target->pools.count; i++)
		limit_track_restart(&target->pools.pool[i].limits[LIMIT_THREADS]);
	doubt_lives(&target->doubt, now_ns);
}

static void pass_to(struct target *target, uint64_t time_ns)
{
	if (time_ns > target->passed_ns)
		target->passed_ns = time_ns;
}

static void count_anew(struct target *target, uint64_t now_ns)
{
	recent_clear(&target->recent);
	target->recent_due_ns = target->recent_last_due_ns = UINT64_MAX;
	pass_to(target, now_ns);
	target->limits[LIMIT_THREADS].value = target->threads.living;
	target_note_peak(target);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		pool->threads_then = pool->threads - pool->unread;
		pool_note_peak(target, pool);
	}
}

/* It is judged when all that were born before it have their pools. */
static void pass_after(struct target *target, uint32_t pool, uint64_t time_ns)
{
	if (pool == POOL_NONE || !target->pools.pool[pool].limits[LIMIT_THREADS].rule)
		return;
	if (time_ns < recent_last_ns(&target->recent))
		time_ns = recent_last_ns(&target->recent);
	target->recent_last_due_ns = add_saturated(time_ns, NAME_WAIT_NS);
	if (target->recent_due_ns == UINT64_MAX)
		target->recent_due_ns = target->recent_last_due_ns;
}

/* After the pool itself has changed. False: too many changes in too short a time; from here on those count that there are. */
static bool change_at(struct target *target, uint32_t pool, int32_t change, uint64_t time_ns)
{
	const struct recent_step step = {time_ns, pool, number_of(target, pool), change, change < 0 ? ++target->turns : 0};

	pass_after(target, pool, time_ns);
	if (pool == POOL_NONE || recent_note(&target->recent, &step))
		return true;
	count_anew(target, time_ns);
	return false;
}

static bool place_birth(struct target *target, const struct thread *thread, uint32_t pool, uint64_t now_ns)
{
	if (!recent_place(&target->recent, thread->birth_step, pool, number_of(target, pool)))
		return false;
	pass_after(target, pool, now_ns);
	return true;
}

/* Who is found was there before what is in the ring yet. */
static uint64_t came_at(const struct target *target, const struct thread *thread, uint64_t now_ns)
{
	uint64_t since_ns = thread->id.start_ns > target->heard_ns ? thread->id.start_ns : target->heard_ns;

	return thread->born || since_ns > now_ns ? now_ns : since_ns;
}

void thread_counts_in(struct target *target, struct thread *thread, uint32_t before, uint32_t after, uint64_t now_ns)
{
	if (before == POOL_NONE)
		now_ns = came_at(target, thread, now_ns);
	/* Its first pool it was in from its birth on; one that is taken back was in none. */
	if ((before == POOL_NONE || after == POOL_NONE) && place_birth(target, thread, after, now_ns))
		return;
	if (change_at(target, before, -1, now_ns))
		change_at(target, after, 1, now_ns);
	thread->birth_step = 0; /* it has moved: its birth stays where it was */
}

void thread_counted_until(struct target *target, const struct thread *thread, bool was_counted, uint64_t time_ns)
{
	if (was_counted || place_birth(target, thread, thread->pool, time_ns))
		change_at(target, thread->pool, -1, time_ns);
}

void target_count_from_now(struct target *target, uint64_t now_ns)
{
	target->threads_peak = 0;
	for (uint32_t i = 0; i < target->pools.count; i++)
		target->pools.pool[i].threads_peak = 0;
	count_anew(target, now_ns);
}

static uint32_t find_living(struct target *target)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < target->pools.count; i++)
		target->pools.pool[i].threads_found = 0;
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		const struct thread *thread = &target->threads.thread[i];

		if (!thread->living || !thread_is_found(thread, target->doubt.sample_ns))
			continue;
		found++;
		if (thread->pool != POOL_NONE && !thread->is_unread)
			target->pools.pool[thread->pool].threads_found++;
	}
	return found;
}

/* By events, as ever, from now on. */
static void judge_anew(struct model *model, struct target *target, uint64_t now_ns)
{
	briefs_forget(&target->briefs); /* those lived beside some that may have ended unheard */
	count_anew(target, now_ns);
	judge_threads_found(model, target, POOL_NONE, target->threads.living, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++)
		judge_threads_found(model, target, i, target->pools.pool[i].threads_then, now_ns);
}

static void judge_found(struct model *model, struct target *target, uint64_t now_ns)
{
	uint32_t found = find_living(target);

	note_most(&target->threads_peak, found);
	judge_threads_found(model, target, POOL_NONE, found, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		note_most(&pool->threads_peak, pool->threads_found);
		judge_threads_found(model, target, i, pool->threads_found, now_ns);
	}
}

void target_count_found(struct model *model, struct target *target, uint64_t now_ns)
{
	enum doubt_counts counts = doubt_counts(&target->doubt);

	if (counts == COUNTS_ANEW)
		judge_anew(model, target, now_ns);
	else if (counts == COUNTS_FOUND)
		judge_found(model, target, now_ns);
}

void target_pass_recent(struct model *model, struct target *target, uint64_t until_ns, uint64_t now_ns)
{
	struct recent_step step;

	if (now_ns >= target->recent_due_ns)
		target->recent_due_ns = now_ns < target->recent_last_due_ns ? target->recent_last_due_ns : UINT64_MAX;
	while (recent_pass(&target->recent, until_ns, &step)) {
		struct pool *pool = step.pool < target->pools.count ? &target->pools.pool[step.pool] : NULL;

		pass_to(target, step.time_ns); /* they come in order, but for what a first reading finds before it is told */
		if (!pool || pool->number != step.pool_number)
			continue;
		judge_threads_then(model, target, step.pool, step.change, target->passed_ns);
		pool_note_peak(target, pool);
	}
	pass_to(target, until_ns < now_ns ? until_ns : now_ns);
}

void target_pass_all(struct model *model, struct target *target, uint64_t now_ns)
{
	target_pass_recent(model, target, UINT64_MAX, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++)
		judge_threads_then(model, target, i, 0, target->passed_ns);
}
