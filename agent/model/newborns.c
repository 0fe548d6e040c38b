/* SPDX-License-Identifier: GPL-2.0-only */
/* Newborns whose pool is open still: for what reasons, until when, and what becomes of those that end before. It must not
 * place threads. */
#include "model_inside.h"

#include <string.h>

static bool begins_with(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* CPython starts all of its threads in one routine. It may be part of a program of another name: that it is in there, its
 * readings have shown, or the routine's name says nothing. */
static bool is_pythons(const struct target *target, const struct thread *thread)
{
	const char *module = thread_module(target, thread), *symbol = thread_symbol(target, thread);

	if (begins_with(module, "python3") || begins_with(module, "libpython3"))
		return true;
	return target->runtime_told_ns &&
	       (!strcmp(symbol, "pythread_wrapper") || !strcmp(symbol, "thread_run") || !strcmp(symbol, "t_bootstrap"));
}

/* How long a Python is looked for from its start on, and how long a newborn takes to what tells whose worker it is. */
#define FINDING_NS (3 * NSEC_PER_SEC)
#define BEGINNING_NS (5 * NSEC_PER_MSEC)

/* Its next reading tells whose worker it is. One that was read, and of which nothing was told, stays where it is; so do all
 * of a Python that is not read. */
static bool is_python_to_tell(const struct target *target, const struct thread *thread, uint64_t now_ns)
{
	uint64_t began_ns = target->info.image_ns ? target->info.image_ns : target->attached_ns;

	if (thread->is_told || target->runtime_told_ns >= add_saturated(thread->known_ns, BEGINNING_NS))
		return false;
	if (!target->runtime_told_ns && now_ns >= add_saturated(began_ns, FINDING_NS))
		return false;
	return is_pythons(target, thread);
}

/* One of a team is its maker's, who may not have a pool yet. */
static bool is_makers_to_come(const struct target *target, const struct thread *thread, const struct pool *pool)
{
	return pool->is_makers_own && (!thread->creator.tid || thread->creator_pool == POOL_NONE);
}

bool thread_is_to_be_told(const struct target *target, const struct thread *thread, const struct pool *pool, uint64_t now_ns)
{
	/* Of those that were there at the attach the first refresh knows what there is to be known. */
	if ((!thread->born && !target->listed) || now_ns >= add_saturated(thread->known_ns, SETTLING_NS))
		return false;
	return is_python_to_tell(target, thread, now_ns) || is_makers_to_come(target, thread, pool);
}

/* What had to wait for a CPU may have lived with what it is not known yet of. */
bool target_briefs_wait(const struct target *target, uint64_t now_ns)
{
	return target->threads.n_unrun && target->briefs.count &&
	       now_ns < add_saturated(target->briefs.brief[0].ended_ns, UNRUN_NS);
}

bool thread_had_to_wait(const struct target *target, const struct thread *thread)
{
	return thread->unrun_ns || target->threads.n_unrun || target->briefs.count;
}

void thread_note_brief(struct model *model, struct target *target, const struct thread *thread, bool member,
		       uint64_t time_ns, bool is_counted)
{
	const struct pool *pool = &target->pools.pool[thread->pool];

	if (target->briefs.count == BRIEFS_MAX)
		target_count_briefs(model, target, time_ns);
	target->turns++;
	if (thread_had_to_wait(target, thread))
		target->briefs_turn = target->turns;
	briefs_note(&target->briefs, &(struct brief){.born = member ? target->turns : thread->birth_turn,
						     .ended = target->turns, .ended_ns = time_ns, .pool = thread->pool,
						     .pool_number = pool->number, .members = pool->threads - pool->unread,
						     .is_counted = is_counted});
}

/* Who is found to have had no CPU may have lived with those that have ended since it was born: these have not passed yet. */
void target_note_recent_ends(struct target *target)
{
	_cleanup_(freep) uint32_t *living = calloc(target->pools.count + 1, sizeof(*living));
	const struct recent_step *steps;
	uint32_t count;

	if (!living)
		return; /* then what is told is a lower bound */
	for (uint32_t i = 0; i < target->pools.count; i++)
		living[i] = target->pools.pool[i].threads_then;
	steps = recent_waiting(&target->recent, &count);
	for (uint32_t i = 0; i < count; i++) {
		const struct recent_step *step = &steps[i];

		if (step->pool >= target->pools.count || target->pools.pool[step->pool].number != step->pool_number)
			continue;
		living[step->pool] += (uint32_t)step->change;
		if (step->turn > target->briefs_turn)
			briefs_note(&target->briefs, &(struct brief){.born = step->turn, .ended = step->turn, .ended_ns = step->time_ns,
								     .pool = step->pool, .pool_number = step->pool_number,
								     .members = living[step->pool], .is_counted = true});
	}
	target->briefs_turn = target->turns;
}

void target_count_briefs(struct model *model, struct target *target, uint64_t now_ns)
{
	struct briefs *briefs = &target->briefs;

	briefs_sort(briefs);
	for (uint32_t first = 0, next; first < briefs->count; first = next) {
		uint64_t most = briefs_most(briefs, first, &next);
		uint32_t index = briefs->brief[first].pool;
		struct pool *pool = index < target->pools.count ? &target->pools.pool[index] : NULL;

		if (!pool || pool->number != briefs->brief[first].pool_number)
			continue;
		if (target->doubt.lives)
			continue;
		if (most > pool->threads_peak)
			pool->threads_peak = (uint32_t)most;
		if (most > pool->threads - pool->unread)
			judge_threads_recalled(model, target, index, most, target->briefs_ns, now_ns);
		judge_threads_then(model, target, index, 0, target->passed_ns); /* that was: it may be over by now */
	}
	target->briefs_ns = now_ns;
	briefs_forget(briefs);
}

/* Asked again after half as long again: of thousands that are stopped, each is asked a few times. */
uint64_t thread_settle_due(const struct thread *thread)
{
	uint64_t last_ns = add_saturated(thread->known_ns, UNRUN_NS), wait_ns, due_ns;

	if (!thread->unrun_ns && thread->unsure_ns)
		return add_saturated(thread->unsure_ns, UNSURE_NS);
	if (!thread->unrun_ns)
		return add_saturated(thread->known_ns, NAME_WAIT_NS);
	wait_ns = thread->unrun_ns > thread->known_ns ? (thread->unrun_ns - thread->known_ns) / 2 : 0;
	due_ns = add_saturated(thread->unrun_ns, wait_ns > NAME_WAIT_NS ? wait_ns : NAME_WAIT_NS);
	return due_ns < last_ns ? due_ns : last_ns;
}

bool target_is_listed(const struct target *target)
{
	return target->listed || target->info.followed;
}

/* Who was there at attach waits for the first refresh, and newborns stand behind them. */
uint32_t target_first_due(const struct target *target)
{
	const struct threads *threads = &target->threads;
	uint32_t at = threads->pending_last, before;

	if (target->listed)
		return threads->pending_first;
	if (!target_is_listed(target) || at == THREAD_NONE || !threads->thread[at].born)
		return THREAD_NONE;
	while ((before = threads->thread[at].pending_before) != THREAD_NONE && threads->thread[before].born)
		at = before;
	return at;
}

/* Those whose time is over may still have to be asked whether they have had a CPU. UINT64_MAX: nobody waits. */
uint64_t target_newborns_until(const struct target *target)
{
	const struct thread *thread;

	for (uint32_t i = target_first_due(target); i != THREAD_NONE; i = thread->pending_next) {
		thread = &target->threads.thread[i];
		if (!thread->unrun_ns && thread->known_ns)
			return thread->known_ns - 1;
	}
	return UINT64_MAX;
}

/* The agent comes late: the time of one was over a while ago, and its answer, which is near, will tell of what came since then
 * when it came. */
bool target_newborns_are_late(const struct target *target, uint64_t now_ns)
{
	return add_saturated(target_newborns_until(target), 2 * NAME_WAIT_NS) < now_ns;
}

/* A reading runs ahead of what is in the ring. */
uint64_t target_placed_until(const struct target *target, uint64_t now_ns)
{
	uint64_t heard_ns = now_ns < target->heard_ns ? now_ns : target->heard_ns;
	uint64_t until_ns = heard_ns >= NAME_WAIT_NS ? heard_ns - NAME_WAIT_NS : 0, newborns_ns = target_newborns_until(target);

	return newborns_ns < until_ns ? newborns_ns : until_ns;
}

/* They stand in the order in which they are due, but for those that had no CPU. */
size_t target_due_newborns(struct target *target, uint64_t now_ns, struct newborn *ret_newborns, size_t max)
{
	struct thread *thread;
	size_t count = 0;

	for (uint32_t i = target_first_due(target); i != THREAD_NONE && count < max; i = thread->pending_next) {
		thread = &target->threads.thread[i];
		if (thread_settle_due(thread) > now_ns && !thread->unrun_ns)
			break;
		if (thread->asked_ns || thread_settle_due(thread) > now_ns || !thread->living)
			continue;
		thread->asked_ns = UINT64_MAX;
		ret_newborns[count++] = (struct newborn){target->id, thread->id};
	}
	return count;
}

uint64_t target_settle_deadline(const struct target *target)
{
	uint64_t deadline = target->recent_due_ns;
	const struct thread *thread;

	for (uint32_t i = target_first_due(target); i != THREAD_NONE; i = thread->pending_next) {
		thread = &target->threads.thread[i];
		deadline = thread_settle_due(thread) < deadline ? thread_settle_due(thread) : deadline;
		if (!thread->unrun_ns)
			break;
	}
	return deadline;
}
