/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds out what the threads of a target that have grown did, and tells what was made to be blamed on it. It must not know
 * how a stack is read, nor what becomes of the answer. */
#include "../boottime.h"
#include "../source/unwind.h"
#include "watched.h"

#include <errno.h>
#include <sys/mman.h>

int watched_blame_begin(struct watched *watched)
{
	/* Losing sight of it in the kernel (-ESRCH) is an end that comes by itself. */
	int error = probes_want_growth(watched->probes, watched->id);
	struct stack_copy stack;

	/* Those of an image that is no more would be read as this one's. */
	while (probes_take_stack(watched->probes, watched->id, (struct thread_id){0}, &stack))
		continue;
	return error ? 0 : growers_new(watched->budget, &watched->growers);
}

static bool runs_python(const struct watched *watched)
{
	return watched->cpython && cpython_is_found(watched->cpython);
}

static int emit_pieces(const struct grower *grower, bool calls_too, struct fact *fact, const struct fact_sink *sink)
{
	int error = 0;

	for (uint32_t i = 0; i < grower->n_pieces && !error; i++) {
		if (grower->piece[i].call_ns && !calls_too)
			continue;
		fact->blame.start = grower->piece[i].start;
		fact->blame.length = grower->piece[i].length;
		error = sink->emit(sink->context, fact);
	}
	return error;
}

/* Who is asked by the stack that the kernel copied at the call: a call that is sizeable by itself is that function's,
 * exactly; of smaller ones it is the sample for what its thread made by such since the last. */
static int blame_native(struct watched *watched, const struct stack_copy *stack, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_BLAME, .target = watched->id, .time_ns = boottime(), .blame.who = stack->who};
	struct grower *grower = growers_of(watched->growers, stack->who);
	uint64_t begin;
	int error;

	if (!watched->symbols || !growers_may_read(watched->growers, fact.time_ns))
		return 0;
	begin = thread_cputime();
	error = unwind_caller(watched->symbols, stack, &fact.blame);
	growers_paid(watched->growers, thread_cputime() - begin);
	if (stack->grown_length >= GROWERS_SIZEABLE_BYTES) {
		fact.blame.start = stack->grown_start;
		fact.blame.length = stack->grown_length;
		if (grower)
			growers_forget_part(grower, fact.blame.start, fact.blame.length);
		return error ? 0 : sink->emit(sink->context, &fact);
	}
	if (!grower)
		return 0;
	error = error ? 0 : emit_pieces(grower, false, &fact, sink);
	growers_forget(grower);
	return error;
}

bool watched_note(struct watched *watched, const struct fact *fact, const struct fact_sink *sink)
{
	struct stack_copy stack;
	bool is_sizeable;

	/* Without memory for it, a newborn is asked after the next reading. */
	if (fact->kind == FACT_THREAD_BORN && watched->growers && watched->cpython)
		(void)cpython_note_birth(watched->cpython, &fact->thread);
	if (fact->kind == FACT_THREAD_EXITED)
		workers_remove(&watched->workers, fact->thread.id);
	watched->arenas_stir |= fact->kind == FACT_RANGE_PROTECTED; /* so do the heaps of glibc's threads grow */
	if ((fact->kind == FACT_RANGE_MADE || fact->kind == FACT_RANGE_PROTECTED) &&
	    fact->range.protection & PROT_EXEC && watched->symbols)
		symbols_changed(watched->symbols);
	if (!watched->growers)
		return false;
	is_sizeable = growers_note(watched->growers, fact);
	if (runs_python(watched))
		return is_sizeable;
	/* At once, before the thread's next call is noted: that may be another function's. */
	if (probes_take_stack_of(watched->probes, fact, &stack))
		(void)blame_native(watched, &stack, sink);
	return false;
}

/* A thread that runs no Python; the last of its stacks may be of its last growth but one. */
static int blame_foreign(struct watched *watched, struct grower *grower, uint64_t now_ns, const struct fact_sink *sink)
{
	struct stack_copy stack;
	int error = 0;

	while (!error && probes_take_stack(watched->probes, watched->id, grower->who, &stack)) {
		if (stack.time_ns + GROWERS_FRESH_NS >= now_ns)
			error = blame_native(watched, &stack, sink);
	}
	growers_forget(grower);
	return error;
}

static int blame_python(struct watched *watched, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_BLAME, .target = watched->id};
	struct grower *grower;
	int error = 0;

	while (!error) {
		uint64_t cost_ns = 0;

		fact.time_ns = boottime();
		grower = growers_next(watched->growers, fact.time_ns);
		if (!grower || !growers_may_read(watched->growers, fact.time_ns))
			break;
		fact.blame = (struct fact_blame){.who = grower->who};
		error = cpython_function(watched->cpython, grower->who, &fact.blame, &cost_ns);
		growers_paid(watched->growers, cost_ns);
		if (error == -ENOMEM)
			break;
		if (error == -ENOENT) {
			error = blame_foreign(watched, grower, fact.time_ns, sink);
			continue;
		}
		if (error && error != -ENODATA) {
			growers_quiet(grower, fact.time_ns);
			error = 0;
			continue;
		}
		/* What it did when it grew is over: that stays unseen. */
		error = error ? 0 : emit_pieces(grower, true, &fact, sink);
		growers_forget(grower);
	}
	return error;
}

int watched_blame(struct watched *watched, const struct fact_sink *sink)
{
	watched->grew = false;
	if (!watched->growers || watched->ended)
		return 0;
	return runs_python(watched) ? blame_python(watched, sink) : 0;
}
