/* SPDX-License-Identifier: GPL-2.0-only */
/* How many lived at once, in the process and in each pool: by events, as newborns' pools become known; and by who is found,
 * where events were lost. It must not place threads. */
#include "model_inside.h"

/* Who is counted sooner than that after its birth is counted at once. */
#define LATE_NS NSEC_PER_MSEC

static uint32_t number_of(const struct target *target, uint32_t pool)
{
	return pool == POOL_NONE ? 0 : target->pools.pool[pool].number;
}

static void change_then(struct target *target, uint32_t pool, int32_t change)
{
	if (pool != POOL_NONE && (change > 0 || target->pools.pool[pool].threads_then))
		target->pools.pool[pool].threads_then += (uint32_t)change;
}

static void note_most(uint32_t *most, uint32_t count)
{
	if (count > *most)
		*most = count;
}

void target_note_peak(struct target *target)
{
	if (!target->lives_unsure)
		note_most(&target->threads_peak, target->threads.living);
}

void pool_note_peak(const struct target *target, struct pool *pool)
{
	if (target->lives_unsure)
		return;
	note_most(&pool->threads_peak, pool->threads - pool->unread);
	note_most(&pool->threads_peak, pool->threads_then);
}

static void count_anew(struct target *target)
{
	recent_clear(&target->recent);
	target->recent_due_ns = target->recent_last_due_ns = UINT64_MAX;
	target_note_peak(target);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		pool->threads_then = pool->threads - pool->unread;
		pool->late_ns = 0;
		pool_note_peak(target, pool);
	}
}

/* Whoever lived then has its pool by then. */
static void pass_after(struct target *target, uint64_t time_ns)
{
	target->recent_last_due_ns = add_saturated(time_ns, NAME_WAIT_NS);
	if (target->recent_due_ns == UINT64_MAX)
		target->recent_due_ns = target->recent_last_due_ns;
}

/* After the pool itself has changed. False: too many changes in too short a time; from here on those count that there are. */
static bool change_at(struct target *target, uint32_t pool, int32_t change, uint64_t time_ns)
{
	if (pool == POOL_NONE)
		return true;
	/* Who leaves may have lived with more than were counted then; and what has passed since may keep a limit over. */
	if (change < 0 && target->pools.pool[pool].limits[LIMIT_THREADS].rule)
		pass_after(target, time_ns);
	if (recent_note(&target->recent, &(struct recent_step){time_ns, pool, number_of(target, pool), change}))
		return true;
	count_anew(target);
	return false;
}

void thread_counts_in(struct target *target, const struct thread *thread, uint32_t before, uint32_t after,
		      bool is_since_birth, uint64_t now_ns)
{
	if (recent_place(&target->recent, thread->birth_step, after, number_of(target, after))) {
		if (after != POOL_NONE && now_ns > add_saturated(thread->known_ns, LATE_NS))
			target->pools.pool[after].late_ns = add_saturated(now_ns, NAME_WAIT_NS);
		return;
	}
	if (is_since_birth) {
		change_then(target, before, -1);
		change_then(target, after, 1);
	} else if (change_at(target, before, -1, now_ns)) {
		change_at(target, after, 1, now_ns);
	}
}

void thread_counted_until(struct target *target, const struct thread *thread, bool was_counted, uint64_t time_ns)
{
	struct pool *pool = &target->pools.pool[thread->pool];

	if (!was_counted) {
		if (!recent_place(&target->recent, thread->birth_step, thread->pool, number_of(target, thread->pool)))
			return;
		pool->late_ns = add_saturated(time_ns, 2 * NAME_WAIT_NS);
		pass_after(target, time_ns);
	}
	change_at(target, thread->pool, -1, time_ns);
}

uint32_t pool_counts(const struct pool *pool, uint64_t now_ns)
{
	uint32_t now = pool->threads - pool->unread;

	return now_ns <= pool->late_ns && pool->threads_then > now ? pool->threads_then : now;
}

void target_count_from_now(struct target *target)
{
	target->threads_peak = 0;
	for (uint32_t i = 0; i < target->pools.count; i++)
		target->pools.pool[i].threads_peak = 0;
	count_anew(target);
}

/* Who was born before the sample and is in it. */
static uint32_t find_living(struct target *target)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < target->pools.count; i++)
		target->pools.pool[i].threads_found = 0;
	for (uint32_t i = 0; i < target->threads.n_slots; i++) {
		const struct thread *thread = &target->threads.thread[i];

		if (!thread->living || thread->seen_ns < target->sample_ns || thread->id.start_ns > target->sample_ns)
			continue;
		found++;
		if (thread->pool != POOL_NONE && !thread->is_unread)
			target->pools.pool[thread->pool].threads_found++;
	}
	return found;
}

void target_count_found(struct model *model, struct target *target, uint64_t now_ns)
{
	uint32_t found;

	if (!target->lives_unsure || target->exits_unsure)
		return;
	/* All that was lost was known when threads were listed. */
	if (!model->lives_lost_ns || model->lives_lost_ns < target->loss_told_ns) {
		target->lives_unsure = false;
		count_anew(target);
		return;
	}
	if (!target->sample_ns)
		return;
	found = find_living(target);
	note_most(&target->threads_peak, found);
	judge_threads_found(model, target, POOL_NONE, found, now_ns);
	for (uint32_t i = 0; i < target->pools.count; i++) {
		struct pool *pool = &target->pools.pool[i];

		note_most(&pool->threads_peak, pool->threads_found);
		judge_threads_found(model, target, i, pool->threads_found, now_ns);
	}
}

void target_pass_recent(struct model *model, struct target *target, uint64_t until_ns, uint64_t now_ns)
{
	struct recent_step step;

	if (now_ns >= target->recent_due_ns)
		target->recent_due_ns = now_ns < target->recent_last_due_ns ? target->recent_last_due_ns : UINT64_MAX;
	while (recent_pass(&target->recent, until_ns, &step)) {
		struct pool *pool = step.pool < target->pools.count ? &target->pools.pool[step.pool] : NULL;
		uint32_t before, now;

		if (!pool || pool->number != step.pool_number)
			continue;
		before = pool->threads_then;
		now = pool->threads - pool->unread;
		change_then(target, step.pool, step.change);
		pool_note_peak(target, pool);
		if (!target->lives_unsure)
			judge_threads_then(model, target, step.pool,
					   &(struct threads_then){
						   .time_ns = step.time_ns,
						   .before = before,
						   .count = pool->threads_then > now ? pool->threads_then : now,
						   .counts_now = add_saturated(step.time_ns, NAME_WAIT_NS) <= pool->late_ns,
					   },
					   now_ns);
	}
}
