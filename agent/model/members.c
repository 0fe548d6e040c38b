/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads in and out of pools: when a newborn's name counts, what is counted where.
 * It must not know how a pool's name is made, nor ranges. */
#include "model_inside.h"

#include <string.h>

const char *thread_symbol(const struct target *target, const struct thread *thread)
{
	if (thread->routine != ROUTINE_NONE)
		return target->threads.routine[thread->routine].symbol;
	return thread->leader ? "main" : "";
}

const char *thread_module(const struct target *target, const struct thread *thread)
{
	return thread->routine != ROUTINE_NONE ? target->threads.routine[thread->routine].module : "";
}

bool thread_carries_creators_name(const struct thread *thread)
{
	return !*thread->creator_name || !strcmp(thread->creator_name, thread->name);
}

bool thread_is_young(const struct thread *thread, uint64_t now_ns)
{
	return thread->id.start_ns && now_ns < add_saturated(thread->id.start_ns, NAME_WAIT_NS);
}

/* It is kept for when the creator has ended. */
void thread_note_creator(struct target *target, struct thread *thread)
{
	const struct thread *creator = threads_find(&target->threads, thread->creator);

	if (!creator)
		return;
	text_copy(thread->creator_name, sizeof(thread->creator_name), creator->name);
	if (creator->pool == POOL_NONE)
		return;
	thread->creator_pool = creator->pool;
	thread->creator_pool_number = target->pools.pool[creator->pool].number;
}

uint32_t thread_makers_pool(struct target *target, struct thread *thread)
{
	const struct pools *pools = &target->pools;

	thread_note_creator(target, thread);
	if (thread->creator_pool >= pools->count ||
	    pools->pool[thread->creator_pool].number != thread->creator_pool_number)
		return POOL_NONE;
	return thread->creator_pool;
}

static struct pool_subject subject_of(struct target *target, struct thread *thread)
{
	const struct told_executor *executor = told_executors_find(&target->executors, thread->executor);
	uint32_t makers_pool = thread_makers_pool(target, thread);

	if (thread->creator.tid == target->info.pid) /* the first thread is nobody's parent */
		makers_pool = POOL_NONE;
	return (struct pool_subject){
		.executor = executor ? &executor->fact : NULL,
		.name = thread->name,
		.symbol = thread_symbol(target, thread),
		.module = thread_module(target, thread),
		.process = target->info.comm,
		.programs_file = *target_file(target) && !strcmp(thread_module(target, thread), target_file(target)),
		.runtime = target->info.runtime,
		.creator = thread->leader ? target->info.parent_comm : thread->creator_name,
		.makers_pool = makers_pool,
		.leader = thread->leader,
		.io_worker = thread->io_worker,
		.own_name = target_is_own_name(target, thread->name),
	};
}

static uint32_t pool_of(struct target *target, struct thread *thread, uint64_t now_ns)
{
	const struct pool_subject subject = subject_of(target, thread);
	uint32_t pool = POOL_NONE;

	/* Without memory for a new pool the thread stays where it is. */
	(void)pools_place(&target->pools, target->policy, &subject, now_ns, &pool);
	if (pool != POOL_NONE)
		pool_note_maker(target, pool, subject.makers_pool);
	return pool;
}

uint32_t thread_rule(struct target *target, struct thread *thread)
{
	const struct pool_subject subject = subject_of(target, thread);

	return pools_rule_of(target->policy, &subject);
}

static void count_arrival(struct pool *pool, const struct thread *thread)
{
	if (thread->born) {
		pool->started++;
		births_change(&pool->births, thread->known_ns, 1);
	} else {
		pool->seen++;
	}
}

static void take_arrival_back(struct pool *pool, const struct thread *thread)
{
	if (thread->born && pool->started > 0) {
		pool->started--;
		births_change(&pool->births, thread->known_ns, -1);
	} else if (!thread->born && pool->seen > 0) {
		pool->seen--;
	}
}

/* Puts the thread where its name and routine say now, and judges the pools concerned. */
static void settle(struct model *model, struct target *target, struct thread *thread, bool settling, uint64_t now_ns)
{
	uint32_t before = thread->pool, counted = thread->is_unread ? POOL_NONE : before, after;

	threads_pending_remove(&target->threads, thread);
	after = pool_of(target, thread, now_ns);
	thread->placed_by = thread->creator_pool_number;
	if (after == before || after == POOL_NONE)
		return;
	struct pool *pool = &target->pools.pool[after];

	if (before != POOL_NONE) {
		struct pool *left = &target->pools.pool[before];

		left->threads--;
		left->left_ns = now_ns;
		left->unread -= thread->is_unread;
		/* What it had at the attach it had there: it has not grown by coming here. */
		base_take(&left->base, &thread->base);
		base_add(&pool->base, &thread->base);
		if (settling && !thread->is_unread)
			take_arrival_back(left, thread);
	}
	settling |= before == POOL_NONE || thread->is_unread;
	thread->is_unread = thread_is_to_be_told(target, thread, pool, now_ns);
	if (settling && !thread->is_unread)
		count_arrival(pool, thread);
	thread->pool = after;
	thread->guest_of = POOL_NONE;
	if (before == POOL_NONE && !thread->is_unread && thread_had_to_wait(target, thread))
		thread_note_brief(model, target, thread, false, now_ns, !thread->unrun_ns);
	pool->threads++;
	pool->unread += thread->is_unread;
	thread_counts_in(target, thread, counted, thread->is_unread ? POOL_NONE : after, now_ns);
	pool_note_peak(target, pool);
	if (before != POOL_NONE)
		judge_threads(model, target, before, now_ns);
	judge_threads(model, target, after, now_ns);
}

void thread_settle(struct model *model, struct target *target, struct thread *thread, uint64_t now_ns)
{
	settle(model, target, thread, now_ns < add_saturated(thread->known_ns, SETTLING_NS), now_ns);
}

static void count_unread(struct model *model, struct target *target, struct thread *thread, uint64_t now_ns)
{
	struct pool *pool = &target->pools.pool[thread->pool];

	thread->is_unread = false;
	pool->unread--;
	count_arrival(pool, thread);
	thread_counts_in(target, thread, POOL_NONE, thread->pool, now_ns);
	pool_note_peak(target, pool);
	judge_threads(model, target, thread->pool, now_ns);
}

void thread_recognise(struct model *model, struct target *target, struct thread *thread, uint64_t executor,
		      uint64_t now_ns)
{
	thread->executor = executor;
	settle(model, target, thread, true, now_ns);
}

void thread_is_told(struct model *model, struct target *target, struct thread *thread, uint64_t executor, uint64_t now_ns)
{
	thread->is_told = true;
	if (thread->executor != executor)
		thread_recognise(model, target, thread, executor, now_ns);
	if (thread->is_unread)
		count_unread(model, target, thread, now_ns);
}

void target_count_unread(struct model *model, struct target *target, uint64_t now_ns)
{
	uint32_t unread = 0;

	for (uint32_t i = 0; i < target->pools.count; i++)
		unread += target->pools.pool[i].unread;
	for (uint32_t i = 0; unread && i < target->threads.n_slots; i++) {
		struct thread *thread = &target->threads.thread[i];

		if (thread->living && thread->is_unread &&
		    !thread_is_to_be_told(target, thread, &target->pools.pool[thread->pool], now_ns))
			count_unread(model, target, thread, now_ns);
	}
}

/* Whose makers turned out to be, or have become, of another pool. */
void target_follow_makers(struct model *model, struct target *target, uint64_t now_ns)
{
	struct threads *threads = &target->threads;

	for (uint32_t i = 0; i < threads->n_slots; i++) {
		struct thread *thread = &threads->thread[i];

		if (!thread->living || thread->pool == POOL_NONE || !target->pools.pool[thread->pool].is_makers_own)
			continue;
		if (thread_makers_pool(target, thread) != POOL_NONE && thread->creator_pool_number != thread->placed_by)
			settle(model, target, thread, true, now_ns);
	}
}

bool thread_has_creators_argument(struct target *target, struct thread *thread)
{
	const struct pool_subject subject = subject_of(target, thread);

	return pools_have_creators_argument(&target->pools, &subject);
}

/* One that ended before its name counted is a start and an end of the pool that it would have come to, though never a
 * member. */
static void count_leave(struct model *model, struct target *target, struct thread *thread, bool member, uint64_t time_ns)
{
	struct pool *pool;

	if (thread->pool == POOL_NONE)
		return;
	if (thread->arena)
		(void)arenas_set_last_pool(&target->arenas, thread->arena, thread->pool);
	pool = &target->pools.pool[thread->pool];
	thread_note_maker_at_end(target, thread);
	if (member)
		pool->threads--;
	if (!member || thread->is_unread)
		count_arrival(pool, thread);
	pool->unread -= thread->is_unread;
	if (thread->is_unread)
		thread_note_brief(model, target, thread, false, time_ns, false);
	else
		thread_counted_until(target, thread, member, time_ns);
	if (!thread->is_unread && thread_had_to_wait(target, thread))
		thread_note_brief(model, target, thread, member, time_ns, member || !thread->unrun_ns);
	thread->is_unread = false;
	pool->exited++;
	pool->gave_back += thread->gave_back;
	thread->gave_back = thread->gave_back_last = thread->settled_last = 0;
	pool->faults_left = add_saturated(pool->faults_left, thread->faults_new);
	thread->faults_new = 0;
	judge_threads(model, target, thread->pool, time_ns);
}

static bool has_name(const struct target *target, const struct thread *thread, uint64_t now_ns)
{
	if (!*thread->name || target_is_own_name(target, thread->name))
		return false;
	return !thread_carries_creators_name(thread) || (!thread->born && !thread_is_young(thread, now_ns));
}

/* Those who live at the same time as one that ends before its pool was told: they are the peak of it, and may be too many,
 * for as short as that is. */
static void settle_named(struct model *model, struct target *target, uint64_t time_ns)
{
	struct threads *threads = &target->threads;
	uint32_t next;

	for (uint32_t i = threads->pending_first; i != THREAD_NONE; i = next) {
		struct thread *thread = &threads->thread[i];

		next = thread->pending_next;
		if (thread->living && has_name(target, thread, time_ns))
			thread_settle(model, target, thread, time_ns);
	}
}

void thread_take_back(struct target *target, struct thread *thread)
{
	struct pool *pool = thread->pool == POOL_NONE ? NULL : &target->pools.pool[thread->pool];

	threads_pending_remove(&target->threads, thread);
	if (!pool)
		return;
	pool->threads--;
	pool->unread -= thread->is_unread;
	if (thread->is_unread)
		return;
	take_arrival_back(pool, thread);
	thread_counts_in(target, thread, thread->pool, POOL_NONE, 0);
}

/* A team that ends before its maker's time to take a name is over is that one's all the same. */
static void place_at_end(struct model *model, struct target *target, struct thread *thread, uint64_t time_ns)
{
	struct thread *maker = threads_find(&target->threads, thread->creator);

	thread->pool = pool_of(target, thread, time_ns);
	if (thread->pool == POOL_NONE || !maker || !maker->living || maker->pool != POOL_NONE ||
	    !target->pools.pool[thread->pool].is_makers_own)
		return;
	thread_settle(model, target, maker, time_ns);
	thread->pool = pool_of(target, thread, time_ns);
}

/* Who waits yet would not find it any more. */
static void tell_pending_of_maker(struct target *target, const struct thread *maker)
{
	for (uint32_t i = target->threads.pending_first; i != THREAD_NONE; i = target->threads.thread[i].pending_next)
		if (thread_id_equal(target->threads.thread[i].creator, maker->id))
			thread_note_creator(target, &target->threads.thread[i]);
}

/* The thread has ended. While those that were there are still being listed it waits for its pool as they do. */
void thread_leave(struct model *model, struct target *target, struct thread *thread, uint64_t time_ns)
{
	bool member, is_listed = target_is_listed(target);

	if (thread->pending && is_listed && has_name(target, thread, time_ns))
		settle_named(model, target, time_ns);
	member = thread->pool != POOL_NONE;
	if (!member && is_listed)
		place_at_end(model, target, thread, time_ns);
	if (target->has_teams)
		tell_pending_of_maker(target, thread);
	range_map_owner_gone(target->ranges, thread->owner);
	threads_end(&target->threads, thread, time_ns);
	if (!member && !is_listed)
		threads_pending_add(&target->threads, thread);
	judge_threads(model, target, POOL_NONE, time_ns);
	count_leave(model, target, thread, member, time_ns);
}

static void settle_ended(struct model *model, struct target *target, struct thread *thread)
{
	threads_pending_remove(&target->threads, thread);
	thread->pool = pool_of(target, thread, thread->exited_ns);
	target->threads.owner[thread->owner].pool = thread->pool;
	count_leave(model, target, thread, false, thread->exited_ns);
}

void thread_await_name(struct target *target, struct thread *thread, bool is_named)
{
	threads_pending_add(&target->threads, thread);
	thread->is_named = is_named;
}

/* A thread that the seed had found turns out to have been born since the attach. */
void thread_upgrade_born(struct model *model, struct target *target, struct thread *thread, uint64_t time_ns)
{
	bool is_counted = thread->pool != POOL_NONE && !thread->is_unread;
	struct pool *pool = is_counted ? &target->pools.pool[thread->pool] : NULL;

	if (pool)
		take_arrival_back(pool, thread);
	thread->born = true;
	thread->known_ns = time_ns;
	thread->birth_turn = ++target->turns;
	births_change(&target->births, time_ns, 1);
	if (pool)
		count_arrival(pool, thread);
	if (thread->pool == POOL_NONE && !thread->birth_step)
		thread->birth_step = recent_note(&target->recent, &(struct recent_step){time_ns, POOL_NONE, 0, 1, 0});
}

/* As if it was born now: it is not known for how long it has had the name that counts. */
void thread_lives_from_now(struct target *target, struct thread *thread)
{
	thread->birth_turn = ++target->turns;
	thread->birth_step = 0;
}

/* Names go to pools by age, as a later attach gives them: a pool that there is not yet waits for threads that are older and
 * may still name themselves. */
static bool waits_for_elders(struct target *target, struct thread *thread)
{
	uint32_t before = thread->pending_before;

	if (before == THREAD_NONE || !target->threads.thread[before].born)
		return false;
	const struct pool_subject subject = subject_of(target, thread);

	return pools_find(&target->pools, target->policy, &subject) == POOL_NONE;
}

void thread_name(struct model *model, struct target *target, struct thread *thread, uint64_t now_ns)
{
	thread->is_named = thread->pending && (!target_is_listed(target) || waits_for_elders(target, thread));
	if (!thread->is_named)
		thread_settle(model, target, thread, now_ns);
	target_settle_due(model, target, now_ns, false);
}

/* Waited for its routine alone, or could be shown nowhere. */
static bool needs_no_event(const struct target *target, const struct thread *thread, uint64_t now_ns)
{
	if (thread_shown_pool(target, thread) == POOL_NONE)
		return true;
	return !thread->born && !thread_is_young(thread, now_ns);
}

/* Newborns whose time to name themselves is over, or who waited for such only; with seen_too (at a refresh) also those that
 * were there already and only wait for their routine, and those that could be shown nowhere. The list is in order of
 * arrival, so these may stand behind others. */
void target_settle_due(struct model *model, struct target *target, uint64_t now_ns, bool seen_too)
{
	struct threads *threads = &target->threads;
	uint32_t next;

	for (uint32_t i = seen_too ? threads->pending_first : target_first_due(target); i != THREAD_NONE; i = next) {
		struct thread *thread = &threads->thread[i];
		/* What it did before it was asked may be told yet. */
		bool over = model->is_told_unrun ? thread->asked_ns && thread->asked_ns <= now_ns : thread_settle_due(thread) <= now_ns;
		bool due = over || (thread->is_named && !waits_for_elders(target, thread));

		next = thread->pending_next;
		if (!thread->living)
			settle_ended(model, target, thread);
		else if (due || (seen_too && needs_no_event(target, thread, now_ns)))
			thread_settle(model, target, thread, now_ns);
		else if (!seen_too && !thread->unrun_ns)
			break;
	}
	target_pass_recent(model, target, target_placed_until(target, now_ns), now_ns);
}

void target_place_guests(struct target *target)
{
	struct threads *threads = &target->threads;

	for (uint32_t i = 0; i < target->pools.count; i++)
		target->pools.pool[i].guests = 0;
	for (uint32_t i = threads->pending_first; i != THREAD_NONE; i = threads->thread[i].pending_next) {
		struct thread *thread = &threads->thread[i];
		const struct pool_subject subject = subject_of(target, thread);

		thread->guest_of = pools_find(&target->pools, target->policy, &subject);
		if (thread->guest_of == POOL_NONE)
			continue;
		target->pools.pool[thread->guest_of].guests++; /* no peak: it may turn out to be another's */
	}
}

uint32_t thread_shown_pool(const struct target *target, const struct thread *thread)
{
	const struct thread *host;

	if (thread->pool != POOL_NONE)
		return thread->pool;
	if (thread->guest_of != POOL_NONE)
		return thread->guest_of;
	host = threads_find(&target->threads, thread->creator);
	if (!host || host->pool == POOL_NONE)
		host = threads_find_tid(&target->threads, target->info.pid);
	return host ? host->pool : POOL_NONE;
}
