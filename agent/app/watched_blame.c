/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds out what the threads of a target that have grown did, and tells what was made to be blamed on it. It must not know
 * how a stack is read, nor what becomes of the answer. */
#include "../boottime.h"
#include "../source/unwind.h"
#include "watched.h"

#include <errno.h>
#include <sys/mman.h>

/* A thread of Python that the kernel does not know yet is asked what it does now: so long after its growth that is what it
 * did, as a rule. */
#define ASKED_AT_ONCE_NS (2 * NSEC_PER_MSEC)
/* Looking for the states of newborns takes no more than this part of a core, however many are born. */
#define MEET_SHARE 100
#define MEET_SPACING_NS (5 * NSEC_PER_MSEC)

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

static int emit_piece(const struct grower_piece *piece, struct fact *fact, const struct fact_sink *sink)
{
	fact->blame.start = piece->start;
	fact->blame.length = piece->length;
	return sink->emit(sink->context, fact);
}

/* It was asked what it does now. */
static int emit_asked(const struct grower *grower, struct fact *fact, const struct fact_sink *sink)
{
	int error = 0;

	for (uint32_t i = 0; i < grower->n_pieces && !error; i++) {
		if (growers_may_ask(&grower->piece[i], fact->time_ns))
			error = emit_piece(&grower->piece[i], fact, sink);
	}
	return error;
}

static int emit_alike(const struct grower *grower, uint64_t call_bytes, struct fact *fact, const struct fact_sink *sink)
{
	int error = 0;

	for (uint32_t i = 0; i < grower->n_pieces && !error; i++) {
		if (growers_are_alike(grower->piece[i].call_bytes, call_bytes))
			error = emit_piece(&grower->piece[i], fact, sink);
	}
	return error;
}

/* Who asked for it, by what the kernel copied at the call. */
static int stack_caller(struct watched *watched, const struct stack_copy *stack, struct fact_blame *blame)
{
	if (stack->n_codes)
		return watched->cpython ? cpython_codes(watched->cpython, stack->codes, stack->n_codes, blame) : -ENOENT;
	return watched->symbols ? unwind_caller(watched->symbols, stack, blame) : -ENOENT;
}

/* A call of the measure and more is that function's, exactly; of smaller ones it is the sample for what its thread made
 * by calls like it since the last. The measure is what is sizeable, or more, where growth comes faster than it may be looked at. */
static int blame_stack(struct watched *watched, const struct stack_copy *stack, const struct fact_sink *sink)
{
	struct fact fact = {.kind = FACT_BLAME, .target = watched->id, .time_ns = boottime(), .blame.who = stack->who};
	struct grower *grower = growers_of(watched->growers, stack->who);
	uint64_t begin;
	int error;

	if (!growers_may_read(watched->growers, fact.time_ns))
		return 0;
	begin = thread_cputime();
	error = stack_caller(watched, stack, &fact.blame);
	growers_paid(watched->growers, thread_cputime() - begin);
	if (stack->grown_length >= stack->measure) {
		fact.blame.start = stack->grown_start;
		fact.blame.length = stack->grown_length;
		if (grower)
			growers_forget_part(grower, fact.blame.start, fact.blame.length);
		return error ? 0 : sink->emit(sink->context, &fact);
	}
	if (!grower)
		return 0;
	error = error ? 0 : emit_alike(grower, stack->grown_length, &fact, sink);
	growers_forget_alike(grower, stack->grown_length);
	return error;
}

/* From then on the kernel sees what they do at the call itself. */
int watched_tell_python(struct watched *watched)
{
	struct python_layout layout;
	struct thread_id id;
	uint64_t address;
	size_t at = 0;
	int error;

	if (!watched->growers || !watched->cpython || !cpython_layout(watched->cpython, &layout))
		return 0;
	error = watched->python_is_told ? 0 : probes_set_python(watched->probes, watched->id, &layout);
	watched->python_is_told = !error;
	while (!error && cpython_next_thread(watched->cpython, &at, &id, &address))
		error = probes_note_python_thread(watched->probes, id, address);
	if (error)
		cpython_tell_anew(watched->cpython);
	return error == -ENOMEM ? error : 0;
}

/* Of whom the kernel knows it sees what it does at the call, or nothing: by now it may do something else. */
static bool is_to_be_asked(struct watched *watched, struct thread_id who)
{
	struct grower *grower = growers_of(watched->growers, who);

	if (grower)
		grower->is_seen_at_call = cpython_is_told(watched->cpython, who);
	return grower && !grower->is_seen_at_call;
}

bool watched_note(struct watched *watched, const struct fact *fact, const struct fact_sink *sink)
{
	struct stack_copy stack;
	bool is_sizeable;

	/* Without memory for it, a newborn is asked after the next reading. */
	if (fact->kind == FACT_THREAD_BORN && watched->growers && runs_python(watched) &&
	    !cpython_note_birth(watched->cpython, &fact->thread))
		watched->grew = watched->has_python_newborns = true;
	if (fact->kind == FACT_THREAD_EXITED)
		workers_remove(&watched->workers, fact->thread.id);
	watched->arenas_stir |= fact->kind == FACT_RANGE_PROTECTED; /* so do the heaps of glibc's threads grow */
	if ((fact->kind == FACT_RANGE_MADE || fact->kind == FACT_RANGE_PROTECTED) &&
	    fact->range.protection & PROT_EXEC && watched->symbols)
		symbols_changed(watched->symbols);
	if (!watched->growers)
		return false;
	is_sizeable = growers_note(watched->growers, fact);
	/* At once, before the thread's next call is noted: that may be another function's. */
	if (probes_take_stack_of(watched->probes, fact, runs_python(watched), &stack)) {
		(void)blame_stack(watched, &stack, sink);
		return false;
	}
	if (!is_sizeable || !runs_python(watched) || is_to_be_asked(watched, fact->range.who))
		return is_sizeable && runs_python(watched);
	/* It had a state and stood in no function of Python: it runs C of its own. What a newborn did before its state was
	 * known stays unseen. */
	if (probes_take_stack_of(watched->probes, fact, false, &stack) && stack.is_python)
		(void)blame_stack(watched, &stack, sink);
	return false;
}

/* A thread that runs no Python; the last of its stacks may be of its last growth but one. */
static int blame_foreign(struct watched *watched, struct grower *grower, uint64_t now_ns, const struct fact_sink *sink)
{
	struct stack_copy stack;
	int error = 0;

	while (!error && probes_take_stack(watched->probes, watched->id, grower->who, &stack)) {
		if (stack.time_ns + GROWERS_FRESH_NS >= now_ns)
			error = blame_stack(watched, &stack, sink);
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
		watched->has_python_newborns = true; /* else the kernel would have told */
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
		/* What it did when it grew is over, or may be: that stays unseen. */
		error = error || grower->time_ns + ASKED_AT_ONCE_NS < fact.time_ns ? 0 : emit_asked(grower, &fact, sink);
		growers_forget(grower);
	}
	return error;
}

/* Their interpreter has states for newborns before they run. */
static int meet_newborns(struct watched *watched)
{
	uint64_t began_ns = boottime(), cost_ns = 0;

	if (!watched->has_python_newborns || began_ns < watched->meet_next_ns)
		return 0;
	watched->has_python_newborns = false;
	cpython_meet(watched->cpython, &cost_ns);
	watched->meet_next_ns = began_ns + MEET_SPACING_NS + cost_ns * MEET_SHARE;
	return watched_tell_python(watched);
}

int watched_blame(struct watched *watched, const struct fact_sink *sink)
{
	int error;

	watched->grew = false;
	if (!watched->growers || watched->ended || !runs_python(watched))
		return 0;
	error = blame_python(watched, sink);
	return error ? error : meet_newborns(watched);
}
