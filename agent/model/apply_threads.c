/* SPDX-License-Identifier: GPL-2.0-only */
/* Applies facts about threads: born, seen, renamed, sampled, exited, and what they run.
 * It must not know how pools are named. */
#include "model_inside.h"

#include <errno.h>
#include <string.h>

/* Precise once known: /proc's start is truncated to clock ticks. */
static void take_start(struct thread_id *known, struct thread_id told)
{
	if (told.start_ns && (!known->start_ns || known->start_ns % NSEC_PER_TICK == 0))
		known->start_ns = told.start_ns;
}

static bool fill_u64(uint64_t *known, uint64_t told)
{
	bool news = !*known && told;

	if (news)
		*known = told;
	return news;
}

/* What the fact tells and the model did not know. True when the stack became known. */
static bool thread_fill(struct thread *thread, const struct fact_thread *told, uint64_t time_ns)
{
	bool stack = false;

	take_start(&thread->id, told->id);
	if (!thread->creator.tid)
		thread->creator = told->creator;
	thread->io_worker |= told->is_io_worker;
	fill_u64(&thread->tls_base, told->tls_base);
	fill_u64(&thread->start_routine, told->start_routine);
	fill_u64(&thread->start_argument, told->start_argument);
	if (told->stack_length && !thread->stack_length &&
	    told->stack_start + told->stack_length > told->stack_start) {
		thread->stack_start = told->stack_start;
		thread->stack_length = told->stack_length;
		stack = true;
	}
	/* a stack that is looked for needs both; the pointer itself moves, the first is as good as any */
	stack |= fill_u64(&thread->stack_pointer, told->stack_pointer);
	if (told->state && time_ns >= thread->seen_ns)
		thread->state = told->state;
	return stack;
}

/* The kernel counts faults for each task; what it counted before the attach is nobody's news. */
static void thread_sample_faults(struct thread *thread, uint64_t faults, uint64_t time_ns)
{
	uint64_t least = thread->fault_rate == UNKNOWN_U64 ? SAMPLE_SPAN_NS : FAULT_SPAN_NS, span = time_ns - thread->rate_ns;
	bool is_first = thread->faults == UNKNOWN_U64 || faults < thread->faults;

	if (faults == UNKNOWN_U64 || time_ns <= thread->faults_time_ns)
		return;
	if (!is_first) {
		thread->faults_new += faults - thread->faults;
		thread->rate_faults += faults - thread->faults;
	}
	if (!is_first && span >= least)
		thread->fault_rate = (uint64_t)((double)thread->rate_faults * (double)NSEC_PER_SEC / (double)span);
	if (is_first || span >= least) {
		thread->rate_faults = 0;
		thread->rate_ns = time_ns;
	}
	thread->faults = faults;
	thread->faults_time_ns = time_ns;
}

static void thread_sample(struct thread *thread, const struct fact_thread *told, uint64_t time_ns)
{
	uint64_t since_ns = thread->cpu_ns == UNKNOWN_U64 ? 0 : thread->cpu_time_ns + SAMPLE_SPAN_NS;

	if (told->state && time_ns >= thread->seen_ns)
		thread->state = told->state;
	if (told->cpu_ns != UNKNOWN_U64 && time_ns > thread->cpu_time_ns && time_ns >= since_ns) {
		if (thread->cpu_ns != UNKNOWN_U64 && told->cpu_ns >= thread->cpu_ns)
			thread->cpu_percent = 100.0 * (double)(told->cpu_ns - thread->cpu_ns) /
					      (double)(time_ns - thread->cpu_time_ns);
		thread->had_cpu |= thread->cpu_ns != UNKNOWN_U64 && told->cpu_ns > thread->cpu_ns;
		thread->cpu_ns = told->cpu_ns;
		thread->cpu_time_ns = time_ns;
	}
	thread_sample_faults(thread, told->faults, time_ns);
	if (told->stack_pointer && time_ns >= thread->seen_ns)
		thread->stack_at = told->stack_pointer;
	if (time_ns > thread->seen_ns)
		thread->seen_ns = time_ns;
}

/* May the name or the routine that decides its pool still come? */
static bool must_wait(const struct target *target, const struct thread *thread, uint64_t time_ns)
{
	if (thread->leader || thread->io_worker)
		return false;
	if (thread->born && target_is_listed(target))
		return thread_carries_creators_name(thread);
	if (thread_is_young(thread, time_ns))
		return true;
	/* At attach its runtime, if it has one that is read, is to tell first: a pool that all leave at once would have
	 * taken the room of another meanwhile. */
	return !target->listed || (thread->start_routine && thread->routine == ROUTINE_NONE);
}

static int thread_enter(struct model *model, struct target *target, const struct fact *fact, bool born)
{
	const struct fact_thread *told = &fact->thread;
	struct thread *thread;
	int r;

	if (threads_has_exited(&target->threads, told->id))
		return 0;
	r = threads_add(&target->threads, told->id, &thread);
	if (r < 0)
		return r == -ENOSPC ? 0 : r;
	thread->born = born;
	thread->after_sample_ns = target->doubt.sample_ns;
	if (born) { /* all that it will have taken is news */
		thread->faults = 0;
		thread->faults_time_ns = thread->rate_ns = fact->time_ns;
	}
	/* By number: a child made with CLONE_VM leads a thread group of its own in the same memory. */
	thread->leader = told->id.tid == target->info.pid;
	thread->known_ns = fact->time_ns;
	thread->birth_turn = ++target->turns;
	text_copy(thread->name, FACT_NAME_SIZE, told->name);
	thread_fill(thread, told, fact->time_ns);
	thread_sample(thread, told, fact->time_ns);
	if (thread->leader)
		target_note_own_name(target, thread->name);
	thread_take_stack(model, target, thread, born, fact->time_ns);
	if (born) { /* who had its stack before has ended */
		thread->birth_step = recent_note(&target->recent, &(struct recent_step){fact->time_ns, POOL_NONE, 0, 1, 0});
		births_change(&target->births, fact->time_ns, 1);
	}
	target->had_threads = true;
	target_note_peak(target);
	judge_threads(model, target, POOL_NONE, fact->time_ns);
	if (born)
		thread_note_creator(target, thread);
	if (must_wait(target, thread, fact->time_ns))
		thread_await_name(target, thread, born && !thread_carries_creators_name(thread));
	else
		thread_settle(model, target, thread, fact->time_ns);
	return 0;
}

static void thread_rename(struct model *model, struct target *target, struct thread *thread, const char *name,
			  uint64_t time_ns)
{
	char renamed[FACT_NAME_SIZE];

	text_copy(renamed, FACT_NAME_SIZE, name);
	if (time_ns < thread->renamed_ns || !strcmp(renamed, thread->name))
		return;
	/* It has waited for older ones to name their pools first: it was in that of its name up to now. */
	if (thread->pending && thread->is_named && target_is_listed(target))
		thread_settle(model, target, thread, time_ns);
	memcpy(thread->name, renamed, sizeof(renamed));
	thread->renamed_ns = time_ns;
	if (thread->leader)
		target_note_own_name(target, thread->name);
	thread_name(model, target, thread, time_ns);
}

int apply_thread_arrived(struct model *model, struct target *target, const struct fact *fact)
{
	const struct fact_thread *told = &fact->thread;
	bool born = fact->kind == FACT_THREAD_BORN;
	struct thread *thread;

	if (!told->id.tid)
		return -EINVAL;
	if (told->state == 'Z' || told->state == 'X')
		return 0; /* ended; a leader stays in /proc so while others live */
	if (born) {
		target_heard(target, fact->time_ns);
		target_settle_due(model, target, fact->time_ns, false);
	}
	thread = threads_find_tid(&target->threads, told->id.tid);
	if (thread && !thread_id_equal(thread->id, told->id)) {
		if (told->id.start_ns < thread->id.start_ns)
			return 0; /* of a former user of this tid, read before it ended */
		thread_leave(model, target, thread, fact->time_ns);
		thread = NULL;
	}
	if (!born)
		doubt_listed(&target->doubt, thread);
	if (!thread)
		return thread_enter(model, target, fact, born);
	bool stack = thread_fill(thread, told, fact->time_ns);

	if (!born)
		thread_sample(thread, told, fact->time_ns);
	/* A birth that the seed knew already: its stack's mmap, drained just before, has made it the creator's. */
	if (stack || born)
		thread_take_stack(model, target, thread, false, fact->time_ns);
	if (born && !thread->born) {
		thread_upgrade_born(model, target, thread, fact->time_ns);
		thread_note_creator(target, thread);
	} else if (!born && *told->name) {
		thread_rename(model, target, thread, told->name, fact->time_ns);
	}
	return 0;
}

int apply_thread_exited(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread;

	if (!fact->thread.id.tid)
		return -EINVAL;
	target_heard(target, fact->time_ns);
	target_settle_due(model, target, fact->time_ns, false);
	thread = threads_find(&target->threads, fact->thread.id);
	if (thread) {
		thread_sample_faults(thread, fact->thread.faults, fact->time_ns);
		thread_leave(model, target, thread, fact->time_ns);
		target_settle_due(model, target, fact->time_ns, false); /* who has waited for it */
	} else {
		threads_note_exit(&target->threads, fact->thread.id);
	}
	return 0;
}

/* A newborn's own time, up to the name that it takes: what it worked and slept, but did not wait for a CPU. While it was blocked
 * or stopped none is known to pass, and what came after that it may have begun at any time since. */
static bool may_have_had_its_time(const struct thread *thread, const struct fact *fact)
{
	uint64_t since_ns = thread->blocked_ns ? thread->blocked_ns : thread->known_ns, waited_ns = fact->thread.waited_ns;

	return waited_ns != UNKNOWN_U64 && fact->time_ns >= add_saturated(since_ns, add_saturated(waited_ns, NAME_WAIT_NS));
}

/* Whether the name that it takes is its first is asked when its time is over; but who asks may be late. */
static void heed_late_name(struct model *model, struct target *target, struct thread *thread, const struct fact *fact)
{
	bool may_be_late = may_have_had_its_time(thread, fact);

	if (!thread->pending || !thread->born)
		return;
	if (!thread->is_named && (thread->was_stopped || (thread->blocked_ns && may_be_late)))
		thread_lives_from_now(target, thread);
	else if (may_be_late)
		thread_settle(model, target, thread, fact->time_ns);
}

int apply_thread_renamed(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->thread.id);

	if (!fact->thread.id.tid)
		return -EINVAL;
	if (!thread)
		return 0;
	target_heard(target, fact->time_ns);
	target_settle_due(model, target, fact->time_ns, false);
	heed_late_name(model, target, thread, fact);
	thread_rename(model, target, thread, fact->thread.name, fact->time_ns);
	/* One that the seed had found under that name already waits still. */
	if (thread->pending && !thread->is_named)
		thread_name(model, target, thread, fact->time_ns);
	return 0;
}

int apply_thread_sampled(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->thread.id);

	if (!fact->thread.id.tid)
		return -EINVAL;
	if (thread)
		thread_sample(thread, &fact->thread, fact->time_ns);
	doubt_sampled(&target->doubt, fact->time_ns);
	return 0;
}

int apply_thread_asked(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->thread.id);
	bool is_stopped = fact->thread.state == 'T' || fact->thread.state == 't';

	if (!fact->thread.id.tid)
		return -EINVAL;
	if (!thread || !thread->pending)
		return 0;
	if (fact->thread.has_run || fact->time_ns >= add_saturated(thread->known_ns, UNRUN_NS)) {
		thread->asked_ns = fact->time_ns;
		return 0;
	}
	if (fact->thread.is_unsure && !thread->unrun_ns && !thread->unsure_ns) {
		thread->unsure_ns = fact->time_ns;
		thread->asked_ns = 0;
		return 0;
	}
	if (!target->threads.n_unrun)
		target_note_recent_ends(target);
	target->threads.n_unrun += !thread->unrun_ns;
	thread->unrun_ns = fact->time_ns;
	thread->asked_ns = 0;
	thread->was_stopped |= is_stopped;
	if (is_stopped || fact->thread.state == 'D')
		thread->blocked_ns = fact->time_ns;
	return 0;
}

int apply_thread_routine(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->routine.id);
	struct fact_routine told = fact->routine;

	if (!told.id.tid)
		return -EINVAL;
	if (!thread)
		return 0;
	told.symbol[sizeof(told.symbol) - 1] = told.module[sizeof(told.module) - 1] = '\0';
	thread->routine = threads_routine(&target->threads, &told);
	/* A newborn may still name itself: its name comes before its routine. */
	if (!thread->pending || (!thread->born && target->listed && !thread_is_young(thread, fact->time_ns)))
		thread_settle(model, target, thread, fact->time_ns);
	return 0;
}

int apply_thread_arena(struct model *model, struct target *target, const struct fact *fact)
{
	struct thread *thread = threads_find(&target->threads, fact->arena.who);

	if (!fact->arena.who.tid)
		return -EINVAL;
	if (thread)
		thread->arena = fact->arena.address;
	return 0;
}
