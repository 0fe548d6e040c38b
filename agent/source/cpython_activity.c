/* SPDX-License-Identifier: GPL-2.0-only */
/* Which workers execute a task: those that their own waiting for the next one does not explain, or whose own function
 * has one at hand. It must not know what else an executor holds. */
#include "cpython_executor.h"

/* Between a worker's function and the lock that it waits on there are queue.get, Condition.wait and what they
 * call: whoever is deeper executes a task. */
#define DEPTH_MAX 8U
/* A ThreadPoolExecutor's worker calls its initializer within so many lines, and takes tasks beyond them. */
#define INITIALIZER_LINES 5U

struct search {
	struct py_thread *thread;
	struct frame frame; /* the one whose caller is looked at */
	bool done;
};

static bool is_worker(const struct py_thread *thread)
{
	return thread->root.kind == ROOT_FUTURES || thread->root.kind == ROOT_POOL ||
	       thread->root.kind == ROOT_ANYIO;
}

/* The function that the worker's own has called: its waiting, or a task. */
static enum worker_activity activity_by_callee(const struct cpython_image *image,
					       const struct py_thread *thread, const struct frame *callee)
{
	uint64_t queue;

	/* A task may wait on a queue as well: only the worker's own is idleness. */
	if (callee->code->role == CODE_QUEUE_GET && frame_local(image, callee->address, 0, &queue) == 0)
		return queue == thread->root.own_queue ? WORKER_IDLE : WORKER_BUSY;
	/* A ThreadPoolExecutor's worker calls tasks by _WorkItem.run alone; a lock is its own idle semaphore.
	 */
	if (thread->root.kind == ROOT_FUTURES &&
	    (callee->code->role == CODE_THREADING || callee->code->role == CODE_THREAD_RUN))
		return WORKER_IDLE;
	return WORKER_BUSY;
}

static void search_step(struct search *search, const struct cpython_image *image, struct code_table *codes)
{
	struct py_thread *thread = search->thread;
	struct frame caller;

	if (search->frame.previous == thread->root.worker_frame) {
		thread->activity = activity_by_callee(image, thread, &search->frame);
		search->done = true;
		return;
	}
	/* Its own function is out of reach: anyio's waits on a lock of C, and leaves its stack for nothing but a task. */
	if (!search->frame.previous && thread->root.kind == ROOT_ANYIO)
		thread->activity = WORKER_BUSY;
	if (!search->frame.previous || frame_read(image, codes, search->frame.previous, &caller) < 0) {
		search->done = true; /* torn: unknown */
		return;
	}
	/* Frames without a function stand between C and Python code; the callee is the last with one. */
	if (!caller.code) {
		search->frame.previous = caller.previous;
		return;
	}
	search->frame = caller;
}

static void searches_run(struct search *searches, size_t count, const struct cpython_image *image,
			 struct code_table *codes)
{
	for (unsigned int depth = 0; depth < DEPTH_MAX; depth++) {
		for (size_t i = 0; i < count; i++) {
			if (!searches[i].done &&
			    searches[i].frame.previous != searches[i].thread->root.worker_frame)
				frame_want(image, searches[i].frame.previous);
		}
		memory_view_fetch(image->view);
		for (size_t i = 0; i < count; i++) {
			if (!searches[i].done)
				search_step(&searches[i], image, codes);
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!searches[i].done)
			searches[i].thread->activity = WORKER_BUSY;
	}
}

/* ---- between two tasks, or in one that has no frame ---------------------------------------------- */

/* -EINVAL: it can't be told. */
static int is_in_initializer(const struct cpython_image *image, struct code_table *codes,
			     const struct py_thread *thread, bool *ret_is)
{
	const struct root *root = &thread->root;
	struct frame frame;
	uint64_t begun;
	uint32_t line;
	int r;

	if (root->begun_local) {
		r = object_pointer(image, root->begun_local, &begun);
		*ret_is = r == 0 && !(begun & ~7ULL);
		return r;
	}
	r = frame_read(image, codes, root->worker_frame, &frame);
	if (r < 0)
		return r;
	line = frame.code && frame.code->role == CODE_FUTURES_WORKER
		       ? code_line(codes, image, frame.code, frame.instruction)
		       : 0;
	if (!line)
		return -EINVAL;
	*ret_is = line < frame.code->first_line + INITIALIZER_LINES;
	return 0;
}

/* A function of C has no frame: what its caller has at hand tells a task from the waiting for one. */
static enum worker_activity activity_in_loop(const struct cpython_image *image, struct code_table *codes,
					     struct py_thread *thread)
{
	struct root *root = &thread->root;
	uint64_t task;

	if (root->has_initializer) {
		bool is;

		if (is_in_initializer(image, codes, thread, &is) < 0)
			return WORKER_UNKNOWN;
		if (is)
			return WORKER_BUSY;
		root->has_initializer = false;
	}
	if (!root->task_local)
		return WORKER_IDLE;
	if (object_pointer(image, root->task_local, &task) < 0)
		return WORKER_UNKNOWN;
	task &= ~7ULL;
	if (!task || task == image->types.none)
		return WORKER_IDLE;
	return object_is(image, task, image->types.tuple) ? WORKER_BUSY : WORKER_UNKNOWN;
}

/* What was not read because the frame is known: by one call for all. */
static void loops_want(const struct py_threads *threads, const struct cpython_image *image)
{
	for (size_t i = 0; i < threads->count; i++) {
		const struct py_thread *thread = threads->thread[i];

		if (!thread->is_in_loop)
			continue;
		if (thread->root.has_initializer)
			frame_want(image, thread->root.worker_frame);
		if (thread->root.task_local)
			memory_view_want(image->view, thread->root.task_local, 8);
	}
	memory_view_fetch(image->view);
	for (size_t i = 0; i < threads->count; i++) {
		const struct py_thread *thread = threads->thread[i];
		uint64_t task;

		if (!thread->is_in_loop || !thread->root.task_local ||
		    object_pointer(image, thread->root.task_local, &task) < 0 || !(task & ~7ULL))
			continue;
		memory_view_want(image->view, task & ~7ULL, 16);
		frame_want(image, thread->root.worker_frame);
	}
	memory_view_fetch(image->view);
}

static void tell_in_loop(const struct cpython_image *image, struct code_table *codes, struct py_thread *thread)
{
	struct frame frame;

	thread->activity = activity_in_loop(image, codes, thread);
	if (thread->activity == WORKER_BUSY && frame_read(image, codes, thread->root.worker_frame, &frame) == 0)
		thread->frame = frame;
}

static bool has_other_queue(const struct py_thread *thread, const struct executors *executors)
{
	return thread->executor != EXECUTOR_NONE && executors->executor[thread->executor].has_other_queue;
}

/* Frames of idle workers that must be told from those of tasks. */
static bool needs_search(const struct py_thread *thread, const struct executors *executors)
{
	if (thread->frame.previous == thread->root.worker_frame || thread->root.kind == ROOT_ANYIO)
		return true;
	return has_other_queue(thread, executors);
}

/* On another stack than its own function's, it is in a task: that function waits in C. A queue of the program's may
 * leave the stack to wait, as gevent's does. */
static enum worker_activity activity_elsewhere(const struct py_threads *threads, const struct py_thread *thread,
					       const struct executors *executors)
{
	bool is_there = thread->root_pass == threads->pass && thread->frame.code;

	return is_there && !has_other_queue(thread, executors) ? WORKER_BUSY : WORKER_UNKNOWN;
}

void workers_tell_activity(struct py_threads *threads, const struct executors *executors,
			   const struct cpython_image *image, struct code_table *codes)
{
	_cleanup_(freep) struct search *searches = calloc(threads->count + 1, sizeof(*searches));
	size_t count = 0;

	loops_want(threads, image);
	for (size_t i = 0; i < threads->count; i++) {
		struct py_thread *thread = threads->thread[i];

		thread->activity = WORKER_UNKNOWN;
		if (!is_worker(thread) || !thread->is_read)
			continue;
		if (thread->is_in_loop)
			tell_in_loop(image, codes, thread);
		else if (!thread->root.worker_frame)
			thread->activity = activity_elsewhere(threads, thread, executors);
		else if (!thread->frame.code)
			continue;
		else if (!needs_search(thread, executors))
			thread->activity = WORKER_BUSY;
		else if (searches)
			searches[count++] = (struct search){.thread = thread, .frame = thread->frame};
	}
	if (searches)
		searches_run(searches, count, image, codes);
}
