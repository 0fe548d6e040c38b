/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the executors of a Python process over the passes: instances, names, numbers, counts of workers. It
 * must not know how an executor's object is laid out. */
#include "cpython_executor.h"

#include <ctype.h>
#include <stdio.h>

#include "cpython_loop.h"

/* More than that is not a program but an attack: the rest keeps the pool of its start routine. */
#define EXECUTORS_MAX 1024U
/* An executor that was collected while its workers still run keeps the name of its kind: known when they have
 * run on for so long. */
#define UNNAMED_NS NSEC_PER_SEC

void executors_clear(struct executors *executors)
{
	free(executors->executor);
	*executors = (struct executors){.last_id = executors->last_id};
}

/* ---- whose worker a thread is ------------------------------------------------------------------- */

/* "Thread-7", "Thread-7 (work)", "Dummy-3": numbers that Python gives say nothing. */
static bool is_default_name(const char *name)
{
	static const char *const heads[] = {"Thread-", "Dummy-"};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		size_t length = strlen(heads[i]);

		if (strncmp(name, heads[i], length) != 0 || !isdigit((unsigned char)name[length]))
			continue;
		while (isdigit((unsigned char)name[length]))
			length++;
		if (!name[length] || name[length] == ' ')
			return true;
	}
	return !*name;
}

/* Threads that differ in their last number have one name. */
static void fold_number(char *name)
{
	size_t end = strlen(name), start;

	while (end > 0 && !isdigit((unsigned char)name[end - 1]))
		end--;
	start = end;
	while (start > 0 && isdigit((unsigned char)name[start - 1]))
		start--;
	if (start == end)
		return;
	name[start] = '0';
	memmove(name + start + 1, name + end, strlen(name + end) + 1);
}

/* What the thread belongs to; false: to nothing. */
static bool wanted_of(const struct py_thread *thread, struct executor *ret_wanted)
{
	static const enum executor_kind kinds[] = {
		[ROOT_FUTURES] = EXECUTOR_FUTURES,
		[ROOT_POOL] = EXECUTOR_POOL,
		[ROOT_ANYIO] = EXECUTOR_ANYIO,
		[ROOT_PROCESSES] = EXECUTOR_PROCESSES,
	};
	struct executor wanted = {.in_use = true, .fact.kind = EXECUTOR_THREAD};

	switch (thread->root.kind) {
	case ROOT_FUTURES:
	case ROOT_POOL:
	case ROOT_ANYIO:
	case ROOT_PROCESSES:
		wanted.fact.kind = kinds[thread->root.kind];
		wanted.identity = thread->root.queue;
		break;
	case ROOT_POOL_KEEPER:
	case ROOT_POOL_HELPER:
		strcpy(wanted.fact.name, "Pool-helpers");
		wanted.fact.is_runtimes_own = true;
		break;
	case ROOT_PLAIN:
		if (is_default_name(thread->root.name) && !*thread->root.function)
			return false;
		if (is_default_name(thread->root.name)) {
			memcpy(wanted.fact.function, thread->root.function, sizeof(wanted.fact.function));
			memcpy(wanted.fact.file, thread->root.file, sizeof(wanted.fact.file));
			wanted.path = thread->root.path;
		} else {
			memcpy(wanted.fact.name, thread->root.name, sizeof(wanted.fact.name));
			fold_number(wanted.fact.name);
		}
		break;
	default:
		return false;
	}
	*ret_wanted = wanted;
	return true;
}

static bool is_same(const struct executor *known, const struct executor *wanted)
{
	if (!known->in_use || known->fact.kind != wanted->fact.kind || known->identity != wanted->identity)
		return false;
	if (known->identity)
		return known->goes_on;
	return known->path == wanted->path && !strcmp(known->fact.name, wanted->fact.name) && !strcmp(known->fact.function, wanted->fact.function) &&
	       !strcmp(known->fact.file, wanted->fact.file);
}

static uint32_t executor_place(struct executors *executors, const struct executor *wanted, uint64_t since_ns)
{
	uint32_t place = executors->count;

	for (uint32_t i = 0; i < executors->count; i++) {
		if (is_same(&executors->executor[i], wanted))
			return i;
		if (!executors->executor[i].in_use && place == executors->count)
			place = i;
	}
	if (place == EXECUTORS_MAX)
		return EXECUTOR_NONE;
	if (TABLE_GROW(executors->executor, place, executors->capacity, 8))
		return EXECUTOR_NONE;
	executors->count += place == executors->count;
	executors->executor[place] = *wanted;
	executors->executor[place].fact.id = ++executors->last_id;
	executors->executor[place].goes_on = true;
	executors->executor[place].since_ns = since_ns;
	executors->executor[place].oldest = UINT64_MAX;
	return place;
}

/* The object of an executor that has ended may leave its address to another's. While one of its workers lives it does
 * not: a ThreadPoolExecutor's leave all at its end, anyio lets go of those alone that it does not use at the time. A
 * ThreadPool may replace all of its workers between two passes. */
static void tell_who_goes_on(struct executors *executors, const struct py_threads *threads)
{
	for (uint32_t i = 0; i < executors->count; i++)
		executors->executor[i].goes_on = executors->executor[i].fact.kind == EXECUTOR_POOL;
	for (size_t i = 0; i < threads->count; i++) {
		if (threads->thread[i]->executor != EXECUTOR_NONE)
			executors->executor[threads->thread[i]->executor].goes_on = true;
	}
}

static void count_begin(struct executors *executors)
{
	for (uint32_t i = 0; i < executors->count; i++) {
		struct executor *executor = &executors->executor[i];

		executor->in_use &= !executor->fact.gone;
		executor->worker_frame = 0;
		executor->fact.workers = executor->fact.busy = executor->fact.idle = 0;
	}
}

static void place_thread(struct executors *executors, struct py_thread *thread, uint64_t now_ns)
{
	struct executor wanted, *executor;

	/* A worker that has been there for long when it is seen first is as good as one that was seen for long. */
	thread->executor = wanted_of(thread, &wanted)
				   ? executor_place(executors, &wanted, thread->began_ns ? thread->began_ns : now_ns)
				   : EXECUTOR_NONE;
	if (thread->executor == EXECUTOR_NONE)
		return;
	executor = &executors->executor[thread->executor];
	executor->fact.workers++;
	if (thread->root.reference) {
		executor->reference = thread->root.reference;
		if (thread->root.worker_frame)
			executor->worker_frame = thread->root.worker_frame;
	}
	if (thread->unique < executor->oldest)
		executor->oldest = thread->unique;
}

/* ---- names -------------------------------------------------------------------------------------- */

/* The executor that a running event loop calls its default, though nobody named it: the program gave it to the loop, or
 * the loop is uvloop's, or asyncio's before 3.9. */
static bool is_loops_default(const struct executor *executor, const struct py_threads *threads,
			     const struct cpython_image *image)
{
	for (size_t i = 0; i < threads->count; i++) {
		uint64_t loop;

		if (event_loop_running(image, threads->thread[i]->address, &loop) == 0 &&
		    event_loop_has_default(image, loop, executor->object))
			return true;
	}
	return false;
}

/* Its object is collected, and its workers run on: they were named NAME_0, NAME_1 and so on by it. */
static void name_by_workers(struct executor *executor, const struct py_threads *threads, const struct cpython_image *image)
{
	uint64_t object;

	if (object_referent(image, executor->reference, &object) < 0 || object != image->types.none)
		return;
	for (size_t i = 0; i < threads->count && !executor->is_named; i++) {
		const struct root *root = &threads->thread[i]->root;
		const char *number = root->kind == ROOT_FUTURES && root->queue == executor->identity
					     ? strrchr(root->name, '_')
					     : NULL;

		if (!number || number == root->name || !number[1] || number[1 + strspn(number + 1, "0123456789")])
			continue;
		executor->is_named = true;
		snprintf(executor->fact.name, sizeof(executor->fact.name), "%.*s_0", (int)(number - root->name), root->name);
	}
}

static void name_executor(struct executor *executor, const struct py_threads *threads, const struct cpython_image *image)
{
	static const char *const fixed[EXECUTOR_KIND_COUNT] = {
		/* Until its object can be read (or when it went before that) the kind stands for the name. */
		[EXECUTOR_FUTURES] = "ThreadPoolExecutor",
		[EXECUTOR_ANYIO] = "anyio-worker-0",
		[EXECUTOR_POOL] = "ThreadPool",
		[EXECUTOR_PROCESSES] = "ProcessPoolExecutor",
	};
	const char *name = fixed[executor->fact.kind];
	bool was_named = executor->is_named;

	if (name && !*executor->fact.name)
		strcpy(executor->fact.name, name);
	executor_read(image, executor);
	if (executor->fact.kind == EXECUTOR_FUTURES && !executor->is_named) {
		/* It may have been made after the blocks were read that it lies in. */
		memory_view_begin(image->view);
		executor_read(image, executor);
		if (!executor->is_named)
			name_by_workers(executor, threads, image);
	}
	executor->is_hidden = executor->fact.kind == EXECUTOR_FUTURES && !executor->is_named &&
			      threads->now_ns - executor->since_ns < UNNAMED_NS;
	if (was_named == executor->is_named)
		return;
	if (executor_has_default_name(executor) && is_loops_default(executor, threads, image))
		strcpy(executor->fact.name, "asyncio_0");
	executor->fact.instance = 0;
}

/* Of whatever kind: plain threads may carry the names that an executor gives to its workers. */
static bool is_namesake(const struct executor *a, const struct executor *b)
{
	return a != b && a->in_use && !a->fact.gone && !strcmp(a->fact.name, b->fact.name) &&
	       !strcmp(a->fact.function, b->fact.function) && !strcmp(a->fact.file, b->fact.file);
}

static uint32_t free_number(const struct executors *executors, const struct executor *executor)
{
	for (uint32_t number = 1;; number++) {
		bool taken = false;

		for (uint32_t i = 0; i < executors->count && !taken; i++)
			taken = is_namesake(&executors->executor[i], executor) &&
				executors->executor[i].fact.instance == number;
		if (!taken)
			return number;
	}
}

/* Of newcomers with one name the one whose first worker is oldest comes first: so it does after a restart of
 * the agent as well. Those that have a number keep it. */
static void number_executors(struct executors *executors)
{
	for (;;) {
		struct executor *next = NULL;

		for (uint32_t i = 0; i < executors->count; i++) {
			struct executor *executor = &executors->executor[i];

			if (executor->in_use && !executor->fact.instance &&
			    (!next || executor->oldest < next->oldest))
				next = executor;
		}
		if (!next)
			return;
		next->fact.instance = free_number(executors, next);
	}
}

/* ---- figures ------------------------------------------------------------------------------------ */

static void read_keepers(struct executors *executors, const struct py_threads *threads,
			 const struct cpython_image *image)
{
	for (size_t i = 0; i < threads->count; i++) {
		const struct py_thread *thread = threads->thread[i];
		int64_t processes;

		if (thread->root.kind != ROOT_POOL_KEEPER ||
		    object_integer(image, thread->root.reference, &processes) < 0 || processes < 0)
			continue;
		for (uint32_t e = 0; e < executors->count; e++) {
			struct executor *executor = &executors->executor[e];

			if (executor->in_use && executor->fact.kind == EXECUTOR_POOL &&
			    executor->identity == thread->root.queue)
				executor->fact.capacity = (uint64_t)processes;
		}
	}
}

static bool may_be_worker(const struct py_thread *thread)
{
	return thread->may_be_any && thread->root.kind == ROOT_UNKNOWN && !thread->is_leader;
}

/* A thread that is not told may be any executor's worker, and busy. Not the leader: no executor has made it. */
static void count_untold(struct executors *executors, const struct py_threads *threads)
{
	bool any = false;

	for (size_t i = 0; i < threads->count && !any; i++)
		any = may_be_worker(threads->thread[i]);
	for (uint32_t i = 0; i < executors->count; i++) {
		struct fact_executor *fact = &executors->executor[i].fact;

		fact->may_have_more = any;
		if (any)
			fact->busy = fact->idle = UNKNOWN_U64;
	}
}

static void count_activity(struct executors *executors, const struct py_threads *threads)
{
	for (size_t i = 0; i < threads->count; i++) {
		const struct py_thread *thread = threads->thread[i];
		struct fact_executor *fact;

		if (thread->executor == EXECUTOR_NONE)
			continue;
		fact = &executors->executor[thread->executor].fact;
		if (thread->activity == WORKER_UNKNOWN)
			fact->busy = fact->idle = UNKNOWN_U64;
		else if (fact->busy != UNKNOWN_U64)
			*(thread->activity == WORKER_BUSY ? &fact->busy : &fact->idle) += 1;
	}
}

void executors_update(struct executors *executors, struct py_threads *threads,
		      const struct cpython_image *image, struct code_table *codes)
{
	tell_who_goes_on(executors, threads);
	count_begin(executors);
	for (size_t i = 0; i < threads->count; i++)
		place_thread(executors, threads->thread[i], threads->now_ns);
	for (uint32_t i = 0; i < executors->count; i++) {
		struct executor *executor = &executors->executor[i];

		if (!executor->in_use)
			continue;
		executor->fact.gone = !executor->fact.workers;
		if (executor->fact.gone)
			continue;
		if (executor->fact.kind == EXECUTOR_ANYIO && !executor->limiter)
			anyio_limiter(image, executor->worker_frame, executor->reference, &executor->limiter);
		name_executor(executor, threads, image);
	}
	number_executors(executors);
	read_keepers(executors, threads, image);
	workers_tell_activity(threads, executors, image, codes);
	count_untold(executors, threads);
	count_activity(executors, threads);
}
